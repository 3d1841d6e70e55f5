# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._collection import COLLECTION
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._platforms import load_platforms
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._preflight import (
    WAITING,
    Resolved,
    check_waiting,
)
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._products import (
    add_product_data,
    discovery_products,
    leave_out,
)


class ActionModule(ActionBase):
    """Hands the collection's data to the module, which runs on the target and cannot read it there."""

    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the module with the data added."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        add_product_data(arguments, "products", discovery_products)
        if arguments.get("platforms") is None:
            arguments["platforms"] = load_platforms()
        result.update(
            self._execute_module(module_name=f"{COLLECTION}.product_info", module_args=arguments, task_vars=task_vars)
        )
        leave_out(result, arguments.keys() - self._task.args.keys())
        problems = [] if result.get("failed") else self._waiting_problems(task_vars or {}, result["ansible_facts"])
        if problems:
            return {"failed": True, "msg": "To be put right before any role goes on:\n- " + "\n- ".join(problems)}
        return result

    def _waiting_problems(self, task_vars: dict[str, Any], found: dict[str, Any]) -> list[str]:
        """Return what is wrong with variables that refer to what has just been found."""
        known = task_vars.get("ansible_facts", {})
        waiting = {name: task_vars[name] for name in known.get(WAITING, ()) if name in task_vars}
        if not waiting:
            return []
        facts = {**known, **found}
        templar = self._templar.copy_with_new_env(available_variables={**task_vars, "ansible_facts": facts})
        return check_waiting(Resolved(waiting, templar))
