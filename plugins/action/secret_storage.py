# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._control_action import ControlAction
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._products import (
    add_product_data,
    load_products,
    product_data,
)


def knowledge() -> dict[str, dict[str, Any]]:
    """Return by product what the module needs to know of it."""
    told = {}
    for name in load_products():
        data = product_data(name)
        told[name] = {
            "secrets": data.get("secrets"),
            "public_properties": data["jvm"].get("public_properties"),
            "backup": (data.get("backup") or {}).get("sets"),
        }
    return told


class ActionModule(ControlAction):
    """Hands the module what product data tells of secrets: it runs on the target and cannot read it there."""

    def module_arguments(self, task_vars: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments of the module, product data added."""
        arguments = dict(self._task.args)
        add_product_data(arguments, "products", knowledge)
        return arguments
