# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils import _ledger
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._catalogue import severity_rank
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._statements import today


def gate_failures(report: dict[str, Any], fail_on: str | None) -> list[str]:
    """Return what makes a run exit with an error, worst first as the report lists it."""
    failures = []
    for host, content in report["hosts"].items():
        for entry in content["controls"]:
            counts = fail_on is not None and severity_rank(entry["severity"]) >= severity_rank(fail_on)
            if entry["status"] == "error" or (entry["status"] == "fail" and counts):
                subject = f"{host}/{entry['instance']}" if entry["instance"] else host
                failures.append(f"{subject} {entry['id']}: {entry['reason']}")
    return failures


class ActionModule(ActionBase):
    """Judges the run by the ledger's state."""

    _supports_check_mode = True
    _requires_connection = False

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Fail when a control is an error, or fails at the chosen severity."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _validation, arguments = self.validate_argument_spec(
            {"fail_on": {"type": "str", "choices": ["low", "medium", "high", "critical"]}}
        )
        result.update(changed=False, failing=[])
        if _ledger.ACTIVE is None:
            result.update(
                failed=True, msg="The ledger is not loaded; set callbacks_enabled = atlassian_dc.hardening.ledger"
            )
            return result
        result["failing"] = gate_failures(_ledger.ACTIVE.report(today()), arguments["fail_on"])
        if result["failing"]:
            result.update(failed=True, msg=f"{len(result['failing'])} controls make this run fail")
        return result
