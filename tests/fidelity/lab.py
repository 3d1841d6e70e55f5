# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test hosts to experiment on: run playbooks against them, look at them, break them."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import packed
import tomllib
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._catalogue import load_catalogue
from hosts.groups import Group, Host
from hosts.images import RECIPES

CHECKOUT = Path(__file__).resolve().parents[2]
COLLECTION = "atlassian_dc.hardening"
DISTRIBUTIONS: tuple[str, ...] = tuple(tomllib.loads(RECIPES.read_text(encoding="utf-8"))["distributions"])
UNSAID = {
    control.id
    for role in ("firewall", "fail2ban", "log_shipping", "product_settings", "backup")
    for control in load_catalogue().controls_of_role(role)
}
"""Controls that fail and for which nothing is changed, until somebody has said who is to get in, and never banned, and
how to log in to the products."""
ACCOUNTS_AND_FILES = ("service_user", "file_permissions")
"""Roles for hosts on which the others only take time: who is let in and who is banned is tried elsewhere."""
PATIENCE = 3600
"""Seconds after which a run is given up."""
BY_HAND: dict[str, Any] = {
    "atlassian_dc_backup_prune": False,
    "atlassian_dc_backup_schedule": "2099-01-01",
    "atlassian_dc_backup_wait": 900,
}
"""For backups that are made when a test says so, at any time of the day."""
SNAPSHOT = (Path(__file__).parent / "snapshot.py").read_text(encoding="utf-8")
STATE = "import json, urllib.request as u; print(json.load(u.urlopen('http://127.0.0.1:%d/status'))['state'])"
"""Prints what a product says of itself."""


@dataclass
class Outcome:
    """What one run of a playbook said and did."""

    code: int
    output: str
    report: dict[str, Any]
    results: list[dict[str, Any]]

    def entries(self, host: str) -> list[dict[str, Any]]:
        return list(self.report["hosts"][host]["controls"])

    def statuses(self, host: str) -> dict[str, str]:
        """Status of each control of a host with one instance."""
        return {entry["id"]: entry["status"] for entry in self.entries(host)}

    def with_status(self, host: str, *statuses: str) -> set[str]:
        """Return the controls that have one of the statuses on any instance."""
        return {entry["id"] for entry in self.entries(host) if entry["status"] in statuses}

    def reason(self, host: str, control: str) -> str:
        return next(str(entry["reason"]) for entry in self.entries(host) if entry["id"] == control)

    def changes(self, host: str) -> dict[str, set[str]]:
        """Return what was changed, or would be: target to attributes."""
        found: dict[str, set[str]] = {}
        for result in self.results:
            if result["host"] == host:
                for change in result["changes"]:
                    found.setdefault(change["target"], set()).add(change["attribute"])
        return found

    def changed_tasks(self, host: str) -> list[str]:
        return [result["task"] for result in self.results if result["host"] == host and result["changed"]]

    def executions(self, host: str) -> list[str]:
        """Modules that ran on the host; action plugins that stay on the controller do not count."""
        local = {f"{COLLECTION}.preflight", f"{COLLECTION}.gate", "ansible.builtin.validate_argument_spec"}
        steering = {
            "ansible.builtin.group_by",
            "ansible.builtin.set_fact",
            "ansible.builtin.fail",
            "ansible.builtin.meta",
        }
        return [r["action"] for r in self.results if r["host"] == host and r["action"] not in local | steering]


class Run:
    """A playbook that runs."""

    def __init__(self, process: subprocess.Popen[str], collected: Path) -> None:
        self.process = process
        self._held = Path(f"{collected}.held")

    def held(self) -> None:
        """Return when it is about to begin the task before which it is held; it waits there."""
        deadline = time.monotonic() + PATIENCE
        while not self._held.exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError("the run never came to the task before which it was to be held")
            time.sleep(0.02)

    def go(self) -> None:
        """Let it go on."""
        self._held.with_suffix(".go").touch()

    def kill(self) -> None:
        """End it as a machine does that loses power: at once, with all its processes."""
        parents: dict[int, int] = {}
        for path in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):  # gone meanwhile
                parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
        family = [self.process.pid]
        for member in family:
            family += [pid for pid, parent in parents.items() if parent == member]
        for pid in family:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()


class Lab:
    """A group of test hosts.

    Args:
        name: of the group.
        folder: for reports and logs.
        roles: those that audit and harden are limited to, unless a run has tags of its own; none for all.

    """

    def __init__(self, name: str, folder: Path, roles: Sequence[str] = ()) -> None:
        self.group = Group(name)
        self.folder = folder
        self.roles = roles
        self._numbers = itertools.count(1)

    def up(self, hosts: Sequence[str]) -> None:
        self.group.up([Host.parse(host) for host in hosts], fresh=True)

    def play(
        self,
        playbook: str,
        *arguments: str,
        hold_before: str = "",
        during: Callable[[Run], None] | None = None,
        **variables: Any,
    ) -> Outcome:
        """Run a playbook of the collection; its name without the collection's. Several may run side by side.

        Args:
            playbook: its name.
            arguments: further ones of the command line.
            hold_before: name of a task; the run waits before it the first time, until `during` has ended.
            during: called while it runs.
            variables: extra variables.

        """
        number = next(self._numbers)
        report_dir = self.folder / f"report{number}"
        collected = self.folder / f"collected{number}.jsonl"
        settings = {"atlassian_dc_report_dir": str(report_dir), **variables}
        limited = self.roles and playbook in ("audit", "harden") and "--tags" not in arguments
        tags = ["--tags", ",".join(self.roles)] if limited else []
        log = self.folder / f"output{number}.log"
        with log.open("w", encoding="utf-8") as stream:
            process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "ansible", "playbook", "-i", str(self.group.inventory)),
                    *(f"{COLLECTION}.{playbook}", "-e", json.dumps(settings), *tags, *arguments),
                ],
                cwd=CHECKOUT,
                env={
                    **os.environ,
                    "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg"),
                    **packed.environment(Path(__file__).parent / "callback_plugins"),
                    "ANSIBLE_NOCOLOR": "1",
                    "COLLECT_FILE": str(collected),
                    "HOLD_BEFORE": hold_before,
                    "PYTHONUNBUFFERED": "1",
                },
                text=True,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            run = Run(process, collected)
            try:
                if during:
                    during(run)
                    run.go()
                process.wait(timeout=PATIENCE)
            finally:
                if process.poll() is None:
                    run.kill()
        output = log.read_text(encoding="utf-8")
        path = report_dir / "report.json"
        report = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        lines = collected.read_text(encoding="utf-8").splitlines() if collected.exists() else []
        return Outcome(process.returncode, output, report, [json.loads(line) for line in lines])

    def sh(self, host: str, script: str) -> str:
        """Run a shell script on a host; it must succeed."""
        return self.group.output(host, ["sh", "-euc", script])

    def crash(self, host: str, ready: bool = True) -> None:
        """Have a host lose its power and start again.

        Args:
            host: its name.
            ready: wait until its software answers, too.

        """
        # By chance another process gets the number that Tomcat had, and it would not start.
        self.sh(host, "rm -f $(systemctl show -P PIDFile jira)")
        self.group.restart(host, crash=True, ready=ready)

    def served_by(self, host: str, unit: str = "jira.service", port: int = 8080) -> str:
        """Return the account a product runs as in its unit, once its status page answers; else what is wrong."""
        return self.sh(
            host,
            f"""
            state() {{ python3 -c "{STATE % port}" 2>&1; }}
            [ "$(systemctl show -P ActiveState {unit})" = active ] || {{ echo down; exit; }}
            for i in $(seq 240); do [ "$(state)" = RUNNING ] && break; sleep 0.5; done
            [ "$(state)" = RUNNING ] || {{ echo not serving; exit; }}
            for pid in $(pgrep java); do
              if grep -q "/{unit}$" /proc/$pid/cgroup; then ps -o user:32= -p $pid; fi
            done
            """,
        ).strip()

    def snapshot(self, host: str) -> dict[str, list[Any]]:
        return dict(json.loads(self.group.output(host, ["python3", "-c", SNAPSHOT])))

    def down(self) -> None:
        self.group.down()


def differing(before: dict[str, list[Any]], after: dict[str, list[Any]]) -> dict[str, tuple[Any, Any]]:
    """Paths that came, went or differ in anything."""
    return {
        path: (before.get(path), after.get(path))
        for path in before.keys() | after.keys()
        if before.get(path) != after.get(path)
    }
