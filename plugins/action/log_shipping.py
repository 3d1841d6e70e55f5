# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ansible_collections.atlassian_dc.hardening.plugins.module_utils._shipping_config import SHIPPER
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._certified_action import CertifiedAction, host_name
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._products import add_product_data, product_data


class ActionModule(CertifiedAction):
    """Hands the module what is known of the products' logs, and a certificate."""

    def module_arguments(self, task_vars: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments of the module."""
        arguments = super().module_arguments(task_vars)
        arguments.setdefault("node", task_vars["inventory_hostname"])
        found = {instance["product"] for instance in arguments["instances"]}
        add_product_data(arguments, "products", lambda: {name: logs_of(name) for name in sorted(found)})
        return arguments

    def names(self, arguments: dict[str, Any]) -> Sequence[str]:
        """Return the names the certificate is to hold: what it is for, and the host."""
        return SHIPPER, host_name(arguments["node"])


def logs_of(product: str) -> dict[str, Any]:
    """Return what is known of the logs of a product."""
    data = product_data(product)
    return {"logs": data.get("logs"), "log_formats": data.get("log_formats")}
