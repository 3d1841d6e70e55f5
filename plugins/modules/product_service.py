#!/usr/bin/python
# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: product_service
short_description: Stop and start Data Center products and wait until they really did
version_added: 0.1.0
description:
  - Stops or starts the systemd units of products, one after the other, and waits for each.
  - A product is stopped when its unit is, no Java process of its installation is left and no stale PID file lies about.
    Processes of other units, which may use the same installation, do not count.
  - A product is started when its unit is active and its status page tells a state that product data calls up, such as
    C(RUNNING), or C(FIRST_RUN) where the setup was never finished.
  - Before a running product is stopped, a mark is left in C(/var/lib/atlassian-dc/stopped), which goes when the product
    runs again. So a run that was interrupted in between, by a lost connection or a killed controller, leaves something
    by which the next one knows that the product is not meant to be down.
  - From the stop of a product to its start no other run changes the host or touches its products. A run of which
    nothing is heard for half a minute no longer counts.
  - A product that was started anew since discovery looked at it is not stopped, because what is known of it is out of
    date. It is named in RV(restarted_meanwhile).
options:
  state:
    description:
      - What the products should be.
      - V(restarted) starts them even if they did not stop cleanly; made for putting things back after a failure.
      - V(resumed) starts those that a run has stopped and not started again, whichever run it was, and leaves alone
        those that somebody else has stopped.
    type: str
    choices: [stopped, started, restarted, resumed]
    required: true
  timeout:
    description:
      - Longest time to wait for each product, in seconds.
    type: int
    default: 600
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: partial
    details:
      - With O(state=restarted) each run starts the products anew.
  platform:
    platforms: linux
    support: full
extends_documentation_fragment:
  - atlassian_dc.hardening.attributes
  - atlassian_dc.hardening.instances
  - atlassian_dc.hardening.record
author:
  - the atlassian_dc.hardening contributors (@atlassian-dc-hardening)
"""

EXAMPLES = r"""
- name: Stop the products of the host
  atlassian_dc.hardening.product_service:
    instances: "{{ ansible_facts.atlassian_dc.instances }}"
    state: stopped
    timeout: 300
"""

RETURN = r"""
services:
  description: What each product is in the end.
  returned: always
  type: list
  elements: dict
  sample:
    - instance: jira
      unit: jira.service
      state: RUNNING
      seconds: 41.3
      changed: true
running_before:
  description: Names of the instances whose unit was not stopped when the task began, also when it failed.
  returned: always, unless another run is changing the host
  type: list
  elements: str
  sample: [jira]
interrupted:
  description: Names of the instances that were down because of an interrupted run when the task began.
  returned: always, unless another run is changing the host
  type: list
  elements: str
  sample: []
restarted_meanwhile:
  description: Names of the instances that were not stopped, as they were started anew since discovery looked at them.
  returned: always, unless another run is changing the host
  type: list
  elements: str
  sample: []
dc_changes:
  description: What was changed, or would be in check mode.
  returned: always
  type: list
  elements: dict
"""

import json
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any, Callable

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._changes import ChangeError, Changes
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._discovery_host import SESSION_UNITS
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._recorder import RECORD_ARGUMENTS
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._systemd import (
    CLOCK_TOLERANCE,
    STOPPED_FOLDER,
    has_job,
    process_start,
    show_units,
)

ASSUMED = "RUNNING"
"""State of a product whose unit is active and which has no status page to ask."""

ERROR_PATIENCE = 60.0
"""Seconds for which a product may tell of an error while it starts, before the wait ends early."""

LAST_START = "ActiveEnterTimestampMonotonic"

PROPERTIES = ("ActiveState", "SubState", "Result", "NRestarts", "PIDFile", "LoadState", "Job", LAST_START)

MAX_ANSWER = 64 * 1024

RESTARTS_BEFORE_GIVING_UP = 2

JOURNAL_LINES = 15

_SECRET = re.compile(r"(?i)((?:pass(?:word|wd)?|secret|token|credential|api[-_]?key)[\w.-]*\s*[=:]\s*)\S+")

RunCommand = Callable[..., "tuple[int, str, str]"]


class ServiceError(Exception):
    """A product that did not get to where it should."""


def masked(text: str) -> str:
    """Return text without the values of what looks like a secret."""
    return _SECRET.sub(r"\1********", text)


def status_page(url: str, key: str = "state", timeout: float = 10) -> str:
    """Return what a product's status page tells under a key, or what went wrong in words."""
    if not url.startswith(("http://", "https://")):
        return f"not a web address: {url}"
    # The page is on this host: a proxy set for the outside world must not be asked.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=timeout) as answer:
            body = answer.read(MAX_ANSWER)
    except urllib.error.HTTPError as exc:
        body = exc.read(MAX_ANSWER)  # products answer 503 with their state while they start
    except (OSError, ValueError) as exc:
        return f"no answer: {getattr(exc, 'reason', exc)}"
    except Exception as exc:  # http.client raises its own kinds for an answer that is no HTTP
        return f"no answer: {type(exc).__name__}"
    try:
        return str(json.loads(body)[key])[:100]
    except (ValueError, KeyError, TypeError):
        # Some services answer with a single word.
        word = re.fullmatch(rb"\s*([A-Za-z_]{1,20})\s*", body)
        return word[1].decode() if word else "an answer without a state"


def processes_of(install_dirs: list[str], proc: str = "/proc") -> list[int]:
    """Return the Java processes whose arguments name one of the folders."""
    found = []
    needles = [os.fsencode(folder) for folder in install_dirs]
    for name in os.listdir(proc):
        if not name.isdigit():
            continue
        try:
            with open(os.path.join(proc, name, "cmdline"), "rb") as handle:
                arguments = handle.read().split(b"\0")
        except OSError:
            continue
        if os.path.basename(arguments[0]) != b"java":
            continue
        pattern = b"|".join(re.escape(needle) for needle in needles)
        if any(re.search(rb"(?:^|[=:])(?:" + pattern + rb")(?:[/:]|$)", argument) for argument in arguments[1:]):
            found.append(int(name))
    return sorted(found)


class ProductService:
    """Stops or starts one product.

    Args:
        instance: the instance, as discovery tells it.
        changes: through which to change things.
        run_command: to ask the system's tools.
        timeout: longest time to wait, in seconds.
        clock: tells the time in seconds.
        sleep: waits some seconds.
        page: asks the status page.
        processes: lists the product's Java processes.
        marks: folder of the marks of stopped units.
        proc: where the kernel lists processes.

    """

    def __init__(
        self,
        instance: dict[str, Any],
        changes: Changes,
        run_command: RunCommand,
        timeout: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        page: Callable[[str, str], str] = status_page,
        processes: Callable[[list[str]], list[int]] = processes_of,
        marks: str = STOPPED_FOLDER,
        proc: str = "/proc",
    ) -> None:
        self.instance = instance
        self.changes = changes
        self.run_command = run_command
        self.timeout = timeout
        self.clock = clock
        self.sleep = sleep
        self.page = page
        self.processes = processes
        self.proc = proc
        if not instance.get("unit"):
            raise ServiceError(f"{instance['name']} has no systemd unit, so it cannot be stopped or started safely")
        self.unit: str = instance["unit"]
        self.up_states = (ASSUMED, *(instance.get("up_states") or ()))
        self._mark = os.path.join(marks, self.unit)
        folders = (instance.get("install_dir"), instance.get("install_link"))
        self.install_dirs = [folder for folder in folders if folder]

    def _show(self) -> dict[str, str]:
        shown = show_units(self.run_command, [self.unit], PROPERTIES).get(self.unit, {})
        if shown.get("LoadState") != "loaded":
            raise ServiceError(f"{self.unit} is not loaded by systemd ({shown.get('LoadState', 'no answer')})")
        return shown

    def _systemctl(self, verb: str, before: str, after: str) -> None:
        # Without waiting for the job: how long that takes is for the timeout below to decide.
        self.changes.command(["systemctl", "--no-block", verb, self.unit], f"unit {self.unit}", "state", before, after)

    def _moments(self) -> Iterator[float]:
        """Yield the seconds gone by, at growing distances, until the time is over."""
        start, pause = self.clock(), 0.25
        while True:
            gone = self.clock() - start
            yield gone
            if gone >= self.timeout:
                return
            self.sleep(min(pause, max(self.timeout - gone, 0.01)))
            pause = min(pause * 1.5, 5.0)

    def _left(self) -> list[int]:
        """Return the product's Java processes, those of other units left out."""
        return [pid for pid in self.processes(self.install_dirs) if not self._of_another_unit(pid)]

    def _of_another_unit(self, pid: int) -> bool:
        try:
            with open(os.path.join(self.proc, str(pid), "cgroup"), encoding="utf-8", errors="replace") as handle:
                parts = handle.read().replace("\n", "/").split("/")
        except OSError:
            return False
        services = [part for part in parts if part.endswith(".service") and not SESSION_UNITS.fullmatch(part)]
        return bool(services) and self.unit not in services

    @property
    def runs(self) -> bool:
        """Whether the unit is anything but stopped."""
        return self._show()["ActiveState"] not in ("inactive", "failed")

    # ---- the mark of a stop that is not meant to last ------------------------------------------

    def _leave_mark(self, shown: dict[str, str]) -> None:
        text = f"{shown.get(LAST_START, '0')}\n"
        self.changes.write_file(self._mark, text, mode=0o600, owner=(os.geteuid(), os.getegid()))

    @property
    def interrupted(self) -> bool:
        """Whether the unit is down because a run was interrupted after it had stopped it."""
        try:
            with open(self._mark, encoding="ascii", errors="replace") as handle:
                noted = handle.read().strip()
        except OSError:
            return False
        shown = self._show()
        down = shown["ActiveState"] in ("inactive", "failed", "deactivating")
        # Started since, and stopped again: by somebody who wants it so. 0: not started since the host was.
        return down and shown.get(LAST_START, "0") in (noted, "0")

    @property
    def restarted_meanwhile(self) -> bool:
        """Whether the product was started anew since discovery looked at it, where it did."""
        if "pid" not in self.instance or not self.runs:
            return False
        pid = self.instance["pid"]
        if pid is None:
            return bool(self._left())
        if not os.path.exists(os.path.join(self.proc, str(pid))):
            return True
        # After a reboot its number may be that of another process.
        before, now = self.instance.get("started"), process_start(pid, self.proc)
        return before is not None and now is not None and abs(now - before) > CLOCK_TOLERANCE

    def resume(self) -> dict[str, Any]:
        """Start the product if an interrupted run has stopped it; return what it is in the end."""
        if self.interrupted:
            return self.start()
        shown = self._show()
        removed = self.changes.remove_file(self._mark)
        return self._outcome(f"unit {shown['ActiveState']}", 0.0, removed)

    def stop(self) -> dict[str, Any]:
        """Stop the product; return what it is in the end."""
        shown = self._show()
        left = self._left()
        changed = shown["ActiveState"] not in ("inactive", "failed")
        seconds = 0.0
        if changed:
            self._leave_mark(shown)
            if self.changes.lock is not None:
                self.changes.lock.keep()
            self._systemctl("stop", shown["ActiveState"], "inactive")
        if (changed and not self.changes.check_mode) or (left and not changed):
            for seconds in self._moments():  # noqa: B007 - the last one is told in the result
                shown, left = self._show(), self._left()
                if shown["ActiveState"] in ("inactive", "failed") and not left and not has_job(shown):
                    break
            else:
                self._give_up("stop", f"processes {', '.join(map(str, left)) or 'none'}", shown)
        removed = self._remove_pid_file(shown, changed)
        return self._outcome("stopped", seconds, changed or removed)

    def _remove_pid_file(self, shown: dict[str, str], was_running: bool) -> bool:
        path = shown.get("PIDFile") or ""
        if not path.startswith("/") or not os.path.isfile(path) or (was_running and self.changes.check_mode):
            return False
        return self.changes.remove_file(path)

    def start(self) -> dict[str, Any]:
        """Start the product and wait for its status page; return what it is in the end."""
        shown = self._show()
        state = self._state(shown)
        changed = shown["ActiveState"] not in ("active", "activating", "reloading")
        seconds = 0.0
        error_since: float | None = None
        if changed:
            if shown["ActiveState"] == "failed" and not self.changes.check_mode:
                # Else systemd may refuse because of starts that failed before.
                self.run_command(["systemctl", "reset-failed", self.unit])
            self._systemctl("start", shown["ActiveState"], "active")
        if not self.changes.check_mode and state not in self.up_states:
            for seconds in self._moments():
                shown = self._show()
                state = self._state(shown)
                if state in self.up_states:
                    break
                restarts = shown.get("NRestarts", "0")
                looping = restarts.isdigit() and int(restarts) >= RESTARTS_BEFORE_GIVING_UP
                over = shown["ActiveState"] in ("failed", "inactive") and not has_job(shown)
                error_since = (seconds if error_since is None else error_since) if state == "ERROR" else None
                broken = error_since is not None and seconds - error_since >= ERROR_PATIENCE
                if looping or over or broken:
                    self._give_up("start", state, shown)
            else:
                self._give_up("start", state, shown)
        self.changes.remove_file(self._mark)
        return self._outcome(ASSUMED if self.changes.check_mode else state, seconds, changed)

    def _state(self, shown: dict[str, str]) -> str:
        if shown["ActiveState"] != "active":
            return f"unit {shown['ActiveState']}"
        url = self.instance.get("status_url")
        return self.page(url, self.instance.get("status_key") or "state") if url else ASSUMED

    def _outcome(self, state: str, seconds: float, changed: bool) -> dict[str, Any]:
        return {
            "instance": self.instance["name"],
            "unit": self.unit,
            "state": state,
            "seconds": round(seconds, 1),
            "changed": changed,
        }

    def _give_up(self, verb: str, state: str, shown: dict[str, str]) -> None:
        _code, out, _err = self.run_command(
            ["journalctl", "--no-pager", "--output=cat", f"--lines={JOURNAL_LINES}", f"--unit={self.unit}"]
        )
        lines = "\n".join(f"  {masked(line)[:300]}" for line in out.splitlines()[-JOURNAL_LINES:])
        raise ServiceError(
            f"{self.instance['name']} did not {verb} (waited up to {self.timeout:g} s): unit {self.unit} is "
            f"{shown['ActiveState']} ({shown.get('SubState', '')}, {shown.get('Result', '')}), state found: {state}. "
            f"Last lines of its journal:\n{lines}"
        )


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "instances": {"type": "list", "elements": "dict", "required": True},
            "state": {"type": "str", "choices": ["stopped", "started", "restarted", "resumed"], "required": True},
            "timeout": {"type": "int", "default": 600},
            **RECORD_ARGUMENTS,
        },
        supports_check_mode=True,
    )
    changes = Changes.of(module, recorded=False)
    state, timeout = module.params["state"], module.params["timeout"]
    outcomes: list[dict[str, Any]] = []
    known: dict[str, list[str]] = {"running_before": [], "interrupted": [], "restarted_meanwhile": []}
    msg = ""
    try:
        services = [
            ProductService(instance, changes, module.run_command, timeout) for instance in module.params["instances"]
        ]
        known["running_before"] += [service.instance["name"] for service in services if service.runs]
        known["interrupted"] += [service.instance["name"] for service in services if service.interrupted]
        for service in services:
            if state == "stopped" and service.restarted_meanwhile:
                known["restarted_meanwhile"].append(service.instance["name"])
                module.warn(
                    f"{service.instance['name']} is not stopped: it was started anew since this run has looked at it,"
                    " by another run or by hand"
                )
            elif state == "stopped":
                outcomes.append(service.stop())
            elif state == "resumed":
                outcomes.append(service.resume())
            else:
                if state == "restarted":
                    try:
                        service.stop()
                    except ServiceError as exc:
                        module.warn(str(exc))
                outcomes.append(service.start())
        if state != "stopped" and changes.lock is not None:
            changes.lock.let_go()
    except (ServiceError, ChangeError) as exc:
        msg = str(exc)
    changes.exit(module, msg, services=outcomes, **known)


if __name__ == "__main__":
    main()
