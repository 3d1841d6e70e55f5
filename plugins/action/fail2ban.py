# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

from ansible_collections.atlassian_dc.hardening.plugins.module_utils._firewall_rules import ANY
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._addresses import Resolver
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._collection import PROXY_HOSTS
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._control_action import ControlAction
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._products import load_products, product_data
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._selection import as_list

LISTS = {
    "admin_networks": "atlassian_dc_admin_networks",
    "proxy_addresses": "atlassian_dc_proxy_addresses",
    "cluster_peers": "atlassian_dc_cluster_peers",
    "ignore": "atlassian_dc_fail2ban_ignore",
}
"""Options that are lists of addresses, and the variables they are from."""


class ActionModule(ControlAction):
    """Hands the module what is known of the products' failed logins, and addresses in the place of names."""

    def module_arguments(self, task_vars: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments of the module."""
        arguments = super().module_arguments(task_vars)
        resolver = Resolver.of(task_vars)
        for option, variable in LISTS.items():
            if arguments.get(option) is not None:
                arguments[option] = resolver.addresses(variable, as_list(arguments[option]), (ANY,))
        # A proxy has more addresses than the one by which the inventory knows it.
        own = {found["proxy"]: found.get("own_addresses", []) for found in arguments.pop("relay_results", None) or []}
        arguments["relays"] = [
            {"name": name, "addresses": [*resolver.addresses(PROXY_HOSTS, [name]), *own.get(name, [])]}
            for name in as_list(arguments.get("relays"))
        ]
        arguments.setdefault("unresolved", resolver.unresolved)
        arguments.setdefault("products", {name: failed_logins(name) for name in load_products()})
        return arguments


def failed_logins(product: str) -> dict[str, Any]:
    """Return what is known of the failed logins of a product."""
    data = product_data(product)
    # People log in to the product as a whole, not to a part of it.
    known = data.get("failed_logins", [] if data.get("part_of") else None)
    return {"failed_logins": known, "login_paths": (data.get("web") or {}).get("login_paths")}
