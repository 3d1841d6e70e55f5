# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._catalogue import load_catalogue
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._control_action import ControlAction
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._settings_data import hand_over


class ActionModule(ControlAction):
    """Runs the module under the name of the run, so that no other run changes the host meanwhile."""

    def module_arguments(self, task_vars: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments of the module; refuse ids of controls, for what a run did is recorded by role."""
        arguments = super().module_arguments(task_vars)
        catalogue, roles = load_catalogue(), arguments.get("roles") or []
        wrong = [name for name in roles if name in catalogue]
        if wrong:
            meant = ",".join(dict.fromkeys(catalogue[name].role for name in wrong))
            raise AnsibleActionFail(
                f"what a run did is taken back by role, not by control ({', '.join(wrong)}): use --tags {meant}"
            )
        return hand_over(arguments)
