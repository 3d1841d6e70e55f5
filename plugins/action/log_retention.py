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
    """Hands the module what product data tells of who rotates logs: it runs on the target and cannot read it there."""

    def module_arguments(self, task_vars: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments of the module, product data added."""
        arguments = super().module_arguments(task_vars)
        add_product_data(arguments, "products", lambda: {name: rotation(name) for name in load_products()})
        return arguments


def rotation(product: str) -> dict[str, Any]:
    """Return what is known of the logs of a product and of who rotates them."""
    data = product_data(product)
    known = data.get("log_rotation") or {}
    logs = data.get("logs") or []
    written = [source.get("written") or [] for source in data.get("failed_logins") or []]
    configs = [(kind["tree"], file["path"]) for kinds in written for kind in kinds for file in kind.get("files") or []]
    formats = [(data.get("log_formats") or {}).get(log["format"]) or {} for log in logs if log["kind"] == "audit"]
    return {
        "logs": [{key: log[key] for key in ("kind", "tree", "path")} for log in logs],
        "owners": known.get("files"),
        "log_configs": [{"tree": tree, "path": path} for tree, path in dict.fromkeys(configs)],
        "generations": (known.get("log4j") or {}).get("max_files"),
        "audit_files": known.get("audit_files"),
        "audit_files_default": next((form["max_files"] for form in formats if form.get("max_files")), None),
    }
