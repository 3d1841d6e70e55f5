# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

from ansible_collections.atlassian_dc.hardening.plugins.module_utils._backup_scope import needs_backup
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._control_action import ControlAction
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._drills import DEFAULT_FOLDER, DrillError, Drills
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._products import load_products, product_data


class ActionModule(ControlAction):
    """Tells the module where products keep addresses of databases, and keeps the results of drills that it returns."""

    def module_arguments(self, task_vars: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments of the module."""
        arguments = super().module_arguments(task_vars)
        arguments.pop("record", None)
        self._drills = Drills(str(arguments.pop("copies", DEFAULT_FOLDER)))
        if arguments.get("action") == "drill":
            arguments.setdefault("host", task_vars["inventory_hostname"])
            arguments.setdefault("without", [name for name in load_products() if not needs_backup(product_data(name))])
        if arguments.get("action") in ("plan", "restore"):
            secrets = {name: product_data(name).get("secrets") or {} for name in load_products()}
            arguments.setdefault("logins", {name: told.get("database") or [] for name, told in secrets.items()})
            backups = {name: product_data(name).get("backup") or {} for name in load_products()}
            starts = {name: told["first_start"] for name, told in backups.items() if "first_start" in told}
            arguments.setdefault("first_start", starts)
        return arguments

    def execute(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Run the module; keep the results that it returns."""
        result = super().execute(arguments, task_vars)
        try:
            for key, told in (result.get("trials") or {}).items():
                text = told.pop("text")
                if arguments["action"] == "drill_result":
                    self._drills.keep(key, text)
        except DrillError as exc:
            result.update(failed=True, msg=f"{result.get('msg') or ''} {exc}".strip())
        return result
