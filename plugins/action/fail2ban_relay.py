# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What only the controller knows: addresses of hosts of the inventory, and which hosts there are."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleConnectionFailure
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._addresses import Resolver
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._collection import PROXY_HOSTS
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._control_action import ControlAction
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._products import product_data
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._selection import as_list


class ActionModule(ControlAction):
    """Runs the module; a proxy that cannot be reached or changed is told, and stops nothing on the host it is for."""

    def module_arguments(self, task_vars: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments of the module, names replaced by addresses."""
        arguments = super().module_arguments(task_vars)
        hosts, host = task_vars["hostvars"], task_vars["inventory_hostname"]
        resolver = Resolver.of(task_vars)
        # People log in to a product as a whole, not to a part of it.
        whole = [item for item in arguments["instances"] if not product_data(item["product"]).get("part_of")]
        arguments["instances"] = whole
        if arguments.get("phase") == "key":
            arguments["proxies"] = resolver.addresses(PROXY_HOSTS, as_list(arguments.get("proxies")))
        elif arguments.get("phase") == "proxy":
            arguments.setdefault("source", host)
            own = resolver.addresses(PROXY_HOSTS, [host])
            arguments["addresses"] = list(dict.fromkeys([*as_list(arguments.get("addresses")), *own]))
            found = resolver.addresses(PROXY_HOSTS, [arguments["proxy"]])
            arguments.setdefault("address", found[0] if found else None)
            # The hosts of products must not lock each other, or the proxies, out either.
            ignored = [*as_list(arguments.get("ignore")), *arguments["addresses"], *found]
            arguments["ignore"] = resolver.addresses("atlassian_dc_fail2ban_ignore", ignored)
            if not task_vars.get("ansible_limit"):
                arguments.setdefault("inventory", list(hosts))
        self._unresolved = resolver.unresolved
        return arguments

    def execute(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Run the module once; what goes wrong on a proxy becomes part of what is judged on the host."""
        if not arguments["instances"]:
            return {"changed": False, "skipped": True, "skip_reason": "nobody logs in to a product of this host"}
        if arguments.get("phase") != "proxy":
            return super().execute(arguments, task_vars)
        if self._unresolved:
            return _silent(arguments, "; ".join(f"{item['name']}: {item['why']}" for item in self._unresolved))
        try:
            result = super().execute(arguments, task_vars)
        except AnsibleConnectionFailure as exc:
            return _silent(arguments, f"the controller does not reach it: {exc}")
        if result.get("failed"):
            return _silent(arguments, str(result.get("msg") or "no message"))
        return result


def _silent(arguments: dict[str, Any], why: str) -> dict[str, Any]:
    """Return the result for a proxy of which nothing is known."""
    proof = {"what": "the host of the proxy", "expected": "looked at", "actual": why}
    known = {"proxy": arguments["proxy"], "address": arguments.get("address"), "port": None, "host_keys": []}
    return {"changed": False, **known, "evidence": [proof], "refused": [why]}
