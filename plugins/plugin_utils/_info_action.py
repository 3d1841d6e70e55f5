# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Base of the action plugins of modules that ask products over REST and judge nothing."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._products import leave_out
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._settings_data import hand_over


class ProductInfoAction(ActionBase):
    """Hands the module of the same name product data: it runs on the target and cannot read it there."""

    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the module with the data added."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        name, arguments = self._task.resolved_action, hand_over(dict(self._task.args))
        result.update(self._execute_module(module_name=name, module_args=arguments, task_vars=task_vars or {}))
        leave_out(result, arguments.keys() - self._task.args.keys())
        return result
