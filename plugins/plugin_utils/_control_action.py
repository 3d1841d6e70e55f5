# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Base of the action plugins of all modules that judge controls."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._selection import Selection, SelectionError


class ControlAction(ActionBase):
    """Runs the module of the same name and tells it which controls to judge and which to put right.

    What the task says itself about ``controls`` and ``enforce`` wins. A plugin with more to add overrides
    `module_arguments`.
    """

    _supports_check_mode = True
    _supports_async = False

    def module_arguments(self, task_vars: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments the module is called with, before the selection of controls is added."""
        return dict(self._task.args)

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the module once; skip it when none of the task's controls is selected."""
        task_vars = task_vars or {}
        result: dict[str, Any] = super().run(tmp, task_vars)
        arguments = self.module_arguments(task_vars)
        try:
            selection = Selection.of_task(self, task_vars)
        except SelectionError as exc:
            raise AnsibleActionFail(str(exc)) from exc
        if selection.task_controls:
            arguments.setdefault("controls", list(selection.judged))
            arguments.setdefault("enforce", list(selection.enforced))
            if not arguments["controls"]:
                result.update(skipped=True, skip_reason="none of its controls is selected")
                return result
        result.update(
            self._execute_module(module_name=self._task.resolved_action, module_args=arguments, task_vars=task_vars)
        )
        return result
