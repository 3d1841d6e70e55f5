# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ansible.errors import AnsibleConnectionFailure
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._shipping_config import COLLECTOR
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._certified_action import CertifiedAction, host_name


class ActionModule(CertifiedAction):
    """Runs the module; a collector that cannot be reached or changed is told to the host that needs it."""

    serves = True

    def names(self, arguments: dict[str, Any]) -> Sequence[str]:
        """Return the names the certificate is to hold: what it is for, and the host."""
        return COLLECTOR, host_name(arguments["collector"])

    def execute(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Run the module; what goes wrong becomes part of what is judged on the host that sends its logs."""
        name = arguments["collector"]
        try:
            result = super().execute(arguments, task_vars)
        except AnsibleConnectionFailure as exc:
            return _silent(name, f"the controller does not reach it: {exc}")
        if result.get("failed"):
            return _silent(name, str(result.get("msg") or "no message"))
        return result


def _silent(collector: str, why: str) -> dict[str, Any]:
    return {"changed": False, "dc_findings": [], "dc_changes": [], "collector": collector, "refused": [why], "seen": {}}
