# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Base of the action plugins of all modules that judge controls and put them right."""

from __future__ import annotations

import datetime
import os
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils import _ledger
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._products import leave_out
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._selection import Selection, SelectionError


def run_name() -> str:
    """Return the name under which this run of Ansible is recorded on hosts; names sort by time."""
    if _ledger.ACTIVE is not None:
        return _ledger.ACTIVE.name
    # Without the ledger, what all tasks of a run have in common is the process that started them.
    return f"{datetime.datetime.now(datetime.timezone.utc):%Y%m%d}-{os.getppid()}"


class ControlAction(ActionBase):
    """Runs the module of the same name and tells it which controls to judge, which to put right, and how to record it.

    What the task says itself about ``controls``, ``enforce`` and ``record`` wins. A plugin with more to add overrides
    `module_arguments`, one that does more than to run it `execute`.
    """

    _supports_check_mode = True
    _supports_async = False

    def module_arguments(self, task_vars: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments the module is called with, before the selection of controls is added."""
        arguments = dict(self._task.args)
        if not self._task.check_mode:
            role = self._task._role
            arguments.setdefault("record", {"run": run_name(), "role": role._role_name if role else None})
        return arguments

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the module; skip it when none of the task's controls is selected."""
        task_vars = task_vars or {}
        result: dict[str, Any] = super().run(tmp, task_vars)
        arguments = self.module_arguments(task_vars)
        added = arguments.keys() - self._task.args.keys()
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
        result.update(self.execute(arguments, task_vars))
        leave_out(result, added)
        return result

    def execute(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Run the module once and return its result. A plugin that runs it more often overrides this."""
        return dict(
            self._execute_module(module_name=self._task.resolved_action, module_args=arguments, task_vars=task_vars)
        )
