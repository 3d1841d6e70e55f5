# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._control_action import ControlAction
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._settings_data import hand_over


class ActionModule(ControlAction):
    """Hands the module what product data tells of accounts: it runs on the target and cannot read it there."""

    def module_arguments(self, task_vars: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments of the module, product data added. It changes nothing that could be recorded."""
        arguments = hand_over(super().module_arguments(task_vars))
        arguments.pop("record", None)
        return arguments
