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


class ActionModule(ControlAction):
    """Hands the module what product data tells of logs: it runs on the target and cannot read it there."""

    def module_arguments(self, task_vars: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments of the module, product data added."""
        arguments = super().module_arguments(task_vars)
        add_product_data(arguments, "products", lambda: {name: reviewed(name) for name in load_products()})
        return arguments


def reviewed(product: str) -> dict[str, Any]:
    """Return the logs of a product that tell of logins or are its audit log, and what in them is unusual."""
    data = product_data(product)
    formats = data.get("log_formats") or {}
    logs = [
        {"tree": log["tree"], "path": log["path"], "form": form}
        for log in data.get("logs") or []
        for form in [formats.get(log["format"]) or {}]
        if form.get("grammar") == "audit" or (form.get("grammar") and form.get("failed"))
    ]
    return {"logs": logs, "unusual": data.get("unusual")}
