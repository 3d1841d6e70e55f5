# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes what each task changed or would change, and which modules ran on hosts, as JSON lines for the tests.

It also holds a run before a task, so that a test can let something happen at just that moment.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: collect
type: aggregate
short_description: Collects predicted and real changes
description: Used by the fidelity tests only.
"""


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "collect"

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        held = Path(os.environ["COLLECT_FILE"] + ".held")
        if task.name and task.name == os.environ.get("HOLD_BEFORE") and not held.exists():
            held.touch()
            while not held.with_suffix(".go").exists():
                time.sleep(0.02)

    def v2_runner_on_ok(self, result: Any) -> None:
        self._write(result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        self._write(result)

    def _write(self, result: Any) -> None:
        data, fields = result._result, result._task_fields
        line = {
            "host": result._host.name,
            "task": result._task.get_name(),
            "action": fields["action"],
            "check_mode": bool(fields["check_mode"]),
            "changed": bool(data.get("changed")),
            "changes": data.get("dc_changes", []),
        }
        with open(os.environ["COLLECT_FILE"], "a", encoding="utf-8") as handle:
            handle.write(json.dumps(line) + "\n")
