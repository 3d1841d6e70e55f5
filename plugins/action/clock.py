# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._control_action import ControlAction


class ActionModule(ControlAction):
    """Runs the module under the name of the run, so that it is recorded and no other run changes the host meanwhile."""
