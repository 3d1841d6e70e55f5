#!/usr/bin/python
# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: log_review
short_description: Judge and set up a scheduled look at the logs of Data Center products
version_added: 0.6.0
description:
  - Judges whether something on the host looks at the logs of the products, on a schedule and with success
    (V(DC-LOG-08)), and sets it up.
  - What it looks for is product data, namely who becomes an administrator, apps that are installed, a coverage of the
    audit log that is lowered, exports, and failed logins of one name or from one address that are too many. What it
    finds stands in the journal, of unit C(atlassian-dc-log-shipping-review.service).
  - It runs on the host by itself, with the code of this collection that reads logs, and may read everything and write
    nothing but its own state.
options:
  products:
    description:
      - What is known of the logs of products, by name.
      - Filled in by the action plugin from product data.
    type: dict
  failures:
    description: Failed logins of one name, or from one address, from one look to the next but one that are too many.
    type: int
    default: 20
  schedule:
    description: When to look, as C(OnCalendar) of systemd.
    type: str
    default: hourly
  proxies:
    description: Addresses of reverse proxies, which are not whom failed logins come from.
    type: list
    elements: str
    default: []
extends_documentation_fragment:
  - atlassian_dc.hardening.attributes
  - atlassian_dc.hardening.controls
  - atlassian_dc.hardening.instances
  - atlassian_dc.hardening.record
seealso:
  - name: Keeping logs
    description: What is looked for, and where everything lies.
    link: https://github.com/atlassian-dc-hardening/atlassian_dc.hardening/blob/main/docs/log-keeping.md
author:
  - the atlassian_dc.hardening contributors (@atlassian-dc-hardening)
"""

EXAMPLES = r"""
- name: Have the logs looked at every quarter of an hour
  atlassian_dc.hardening.log_review:
    instances: "{{ ansible_facts.atlassian_dc.instances }}"
    schedule: "*:0/15"
    failures: 10
  tags: [DC-LOG-08]
"""

RETURN = r"""
dc_findings:
  description: What was found for each control.
  returned: always
  type: list
  elements: dict
dc_changes:
  description: What was changed, or would be in check mode.
  returned: always
  type: list
  elements: dict
logs:
  description: Patterns of the logs that are looked at.
  returned: always
  type: list
  elements: str
  sample: [/var/atlassian/application-data/jira/log/audit/*.audit.log]
"""

import json
import os
import sys
from collections.abc import Mapping
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.atlassian_dc.hardening.plugins.module_utils import _review
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._changes import ChangeError, Changes
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._findings import (
    CONTROL_ARGUMENTS,
    Findings,
    evidence,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._own_program import library
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._own_timer import OwnFile, OwnTimer
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._recorder import RECORD_ARGUMENTS
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._systemd import RunCommand

CONTROL = "DC-LOG-08"
CONTROLS = (CONTROL,)

UNIT = "atlassian-dc-log-shipping-review"
CONFIG = "/etc/atlassian-dc/log-shipping/review.json"
STATE = f"/var/lib/{UNIT}"
LIBRARY = "/usr/local/lib/atlassian-dc-log-shipping-review"
"""Where the code lies that looks at the logs."""

PARTS = ("_review", "_product_logs", "_audit_coverage", "_discovery_parse", "_properties")
"""Files of this collection that it consists of."""

HEADER = "# Written by atlassian_dc.hardening, role log_shipping. Change its variables, not this file.\n"


class LogReview:
    """Judges whether the logs of a host are looked at, and sees to it.

    Args:
        params: the module's parameters.
        findings: where to put what was found.
        changes: through which to change things.
        run_command: to ask the system's tools.
        root: folder that stands for ``/``; anything but ``/`` only in tests.

    """

    def __init__(
        self,
        params: dict[str, Any],
        findings: Findings,
        changes: Changes,
        run_command: RunCommand,
        root: str = "/",
    ) -> None:
        self.params = params
        self.findings = findings
        self.changes = changes
        self.instances = [known for known in map(self._logs_of, params["instances"]) if known["logs"]]
        config = {"failures": params["failures"], "proxies": params["proxies"], "instances": self.instances}
        files = (
            OwnFile(CONFIG, json.dumps(config, indent=1, sort_keys=True) + "\n", 0o600),
            *library(LIBRARY, PARTS),
            OwnFile(f"{LIBRARY}/review.py", launcher()),
        )
        self.timer = OwnTimer(
            UNIT, render_service(), render_timer(params["schedule"]), files, changes, run_command, root
        )

    def run(self) -> None:
        """Judge, and put right what may be."""
        if not self.params["instances"]:
            self.findings.add(CONTROL, None, "not_applicable", "no product was found on this host")
            return
        whole = [instance for instance in self.params["instances"] if not instance.get("part_of")]
        if not whole:
            self.findings.add(CONTROL, None, "not_applicable", "nobody logs in to what is on this host")
            return
        if not self.instances:
            names = ", ".join(str(instance["name"]) for instance in whole)
            self.findings.add(CONTROL, None, "not_checked", f"how the logs of {names} look is not known")
            return
        before = self.timer.drift()
        left = before
        if before and self.findings.enforces(CONTROL):
            refused = []
            try:
                self.timer.put_right()
            except ChangeError as exc:
                refused = [evidence("a scheduled look at the logs", "set up", exc)]
            if not self.changes.check_mode:
                left = refused + self.timer.drift()
        shown = left or before
        what = "; ".join(f"{piece['what']}: {piece['actual']}" for piece in shown[:3])
        self.findings.judge(CONTROL, None, shown, f"nothing reads the logs: {what}", repaired=not left)

    def _logs_of(self, instance: Mapping[str, Any]) -> dict[str, Any]:
        """Return what the look at an instance needs to know."""
        known = (self.params["products"] or {}).get(str(instance["product"])) or {}
        logs = [
            {"path": os.path.join(instance[f"{log['tree']}_dir"], log["path"]), "form": log["form"]}
            for log in known.get("logs") or []
            if instance.get(f"{log['tree']}_dir")
        ]
        return {"name": instance["name"], "logs": logs, "unusual": known.get("unusual") or []}


def launcher() -> str:
    """Return the program that the unit starts."""
    return (
        f"{HEADER}import sys\n\nsys.path.insert(0, {LIBRARY!r})\n\n"
        f"from {_review.__name__} import main  # noqa: E402\n\n"
        f'raise SystemExit(main({CONFIG!r}, "{STATE}/state.json"))\n'
    )


def render_service() -> str:
    """Return the unit that looks at the logs."""
    return f"""{HEADER}[Unit]
Description=Look at the logs for what is unusual (atlassian_dc.hardening)

[Service]
Type=oneshot
ExecStart={sys.executable} -I -S -B {LIBRARY}/review.py
SyslogIdentifier={UNIT}
StateDirectory={UNIT}
StateDirectoryMode=0700
UMask=0077
Nice=19
IOSchedulingClass=idle
TimeoutStartSec=30min
MemoryMax=1G
ProtectSystem=strict
ProtectHome=read-only
PrivateTmp=yes
PrivateDevices=yes
PrivateNetwork=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
RestrictAddressFamilies=AF_UNIX
RestrictNamespaces=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
NoNewPrivileges=yes
CapabilityBoundingSet=CAP_DAC_READ_SEARCH
SystemCallFilter=@system-service
"""


def render_timer(schedule: str) -> str:
    """Return the unit that starts it.

    Raises:
        ChangeError: the schedule is more than one line.

    """
    if not schedule.isprintable():
        raise ChangeError(f"{schedule!r} is no schedule")
    return f"""{HEADER}[Unit]
Description=Look at the logs for what is unusual (atlassian_dc.hardening)

[Timer]
OnCalendar={schedule}
RandomizedDelaySec=1min
Persistent=true

[Install]
WantedBy=timers.target
"""


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "instances": {"type": "list", "elements": "dict", "required": True},
            "products": {"type": "dict"},
            "failures": {"type": "int", "default": 20},
            "schedule": {"type": "str", "default": "hourly"},
            "proxies": {"type": "list", "elements": "str", "default": []},
            **CONTROL_ARGUMENTS,
            **RECORD_ARGUMENTS,
        },
        supports_check_mode=True,
    )
    findings = Findings(module.params, CONTROLS, module.check_mode)
    changes = Changes.of(module)
    msg = ""
    logs: list[str] = []
    try:
        review = LogReview(module.params, findings, changes, module.run_command)
        review.run()
        logs = [log["path"] for instance in review.instances for log in instance["logs"]]
    except ChangeError as exc:
        msg = str(exc)
    changes.exit(module, msg, dc_findings=findings.results, logs=logs)


if __name__ == "__main__":
    main()
