# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What production does to a run: nothing half-written, the product comes back, no lie is told."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .lab import Lab, Outcome

CUT, FULL, BARE = "cut", "full", "bare"
DROP_IN = "/etc/systemd/system/jira.service.d/zz-atlassian-dc-service-user.conf"
FINISH = "Try the sandbox and make it live"
Row = Callable[[str, str, str, bool], None]
During = Callable[["subprocess.Popen[str]", Path], None]


class Hosts:
    """The hosts things go wrong on."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab

    def serving(self, host: str) -> str:
        """Return the account the product runs as once its status page answers, "down" when it does not run."""
        page = "import json, urllib.request as u; print(json.load(u.urlopen('http://127.0.0.1:8080/status'))['state'])"
        script = f"""
            [ "$(systemctl show -P ActiveState jira.service)" = active ] || {{ echo down; exit; }}
            for i in $(seq 60); do [ "$(python3 -c "{page}" 2>&1)" = RUNNING ] && break; sleep 0.5; done
            ps -o user= -p "$(systemctl show -P MainPID jira.service)"
        """
        return self.lab.sh(host, script).strip()

    def half_written(self, host: str) -> str:
        """Return what is unfinished or broken among the files a run writes."""
        script = """
            find /etc /var/lib/atlassian-dc -name '.atlassian-dc-*'
            [ ! -e /etc/systemd/system/jira.service.d ] || systemd-analyze verify --man=no jira.service 2>&1 |
                grep -F zz-atlassian-dc || true
            visudo -cq 2>&1 || true
            pwck -rq 2>&1 | grep -i invalid || true
        """
        return self.lab.sh(host, script).strip()

    def harden(self, host: str, during: During | None = None, **variables: Any) -> Outcome:
        return self.lab.play("harden", "--limit", host, during=during, **variables)

    def reset(self, host: str) -> None:
        """Undo a hardening far enough that the next one has everything to do again."""
        self.lab.sh(
            host,
            f"""
            systemctl stop jira.service
            rm -rf {DROP_IN} /var/lib/atlassian-dc
            systemctl daemon-reload
            chmod -R u+rwX,go+rX /var/atlassian/application-data/jira
            systemctl start jira.service
            """,
        )


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    lab = Lab("fidelity-faults", tmp_path_factory.mktemp("faults"))
    try:
        lab.up([CUT, FULL, BARE])
        yield Hosts(lab)
    finally:
        lab.down()


def at_task(name: str, action: Callable[[subprocess.Popen[str]], None], delay: float = 0) -> During:
    """Do something to a run when it has begun a task."""

    def during(process: subprocess.Popen[str], log: Path) -> None:
        deadline = time.monotonic() + 120
        while f": {name}]" not in log.read_text(encoding="utf-8"):
            if process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"the run never came to the task '{name}':\n{log.read_text(encoding='utf-8')}")
            time.sleep(0.02)
        time.sleep(delay)
        action(process)

    return during


def kill(process: subprocess.Popen[str]) -> None:
    """End the controller as the kernel does when memory is short: with all its forks, and nothing said."""
    os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.parametrize(
    ("moment", "task", "delay"),
    [
        ("between stop and start", FINISH, 0.0),
        ("while the sandbox becomes live", FINISH, 0.5),
    ],
)
def test_controller_killed(hosts: Hosts, row: Row, moment: str, task: str, delay: float) -> None:
    hosts.reset(CUT)
    broken = hosts.harden(CUT, at_task(task, kill, delay), atlassian_dc_allow_restart=True)
    assert broken.code == -signal.SIGKILL
    assert broken.report == {}
    # What was under way on the host ends by itself.
    hosts.lab.sh(CUT, "for i in $(seq 100); do pgrep -f 'python3.*[A]nsiballZ' >/dev/null || break; sleep 0.1; done")
    meanwhile = hosts.serving(CUT)
    again = hosts.harden(CUT, atlassian_dc_allow_restart=True)
    user, left = hosts.serving(CUT), hosts.half_written(CUT)
    right = again.code == 0 and user == "jira" and not left and again.report["complete"]
    row(
        f"controller killed {moment}, run again",
        "hardened, serving",
        f"was {'down' if meanwhile == 'down' else 'serving'}; then {'hardened, serving' if right else user}",
        right,
    )
    assert left == ""
    assert again.code == 0, again.output
    assert user == "jira"
    assert {"DC-USR-01", "DC-USR-04"} <= again.with_status(CUT, "pass", "fixed")
    assert hosts.lab.sh(CUT, "ls -A /var/lib/atlassian-dc/stopped").strip() == ""


def test_connection_lost(hosts: Hosts, row: Row) -> None:
    """The session's end on the host dies inside the restart, and SSH is refused from then on."""
    hosts.reset(CUT)
    cut = "systemctl stop ssh.socket ssh.service 2>/dev/null; pkill -KILL sshd"

    def drop(_process: subprocess.Popen[str]) -> None:
        hosts.lab.sh(CUT, cut)

    try:
        broken = hosts.harden(CUT, at_task(FINISH, drop), atlassian_dc_allow_restart=True)
    finally:
        hosts.lab.sh(CUT, "systemctl reset-failed ssh.service || true; systemctl start ssh.service")
    down = hosts.serving(CUT)
    again = hosts.harden(CUT, atlassian_dc_allow_restart=True)
    user, left = hosts.serving(CUT), hosts.half_written(CUT)
    honest = broken.code != 0 and not broken.report["complete"]
    right = honest and again.code == 0 and user == "jira" and not left
    row(
        "SSH lost inside the restart, run again",
        "said; hardened, serving",
        f"{'said' if honest else 'hidden'}, {'down' if down == 'down' else 'serving'}; then {user}",
        right,
    )
    assert honest
    assert not broken.with_status(CUT, "fixed") & {"DC-USR-01", "DC-USR-04"}
    assert again.code == 0, again.output
    assert (user, left) == ("jira", "")


def test_stopped_before(hosts: Hosts, row: Row) -> None:
    """What an administrator has stopped stays stopped."""
    hosts.lab.sh(CUT, "systemctl stop jira.service")
    outcome = hosts.harden(CUT, atlassian_dc_allow_restart=True)
    user = hosts.serving(CUT)
    row("product stopped by somebody before harden", "stays stopped", user, user == "down" and outcome.code == 0)
    assert outcome.code == 0, outcome.output
    assert user == "down"


@pytest.mark.parametrize("place", ["/var/lib/atlassian-dc", "/etc/systemd/system/jira.service.d"])
def test_disk_full(hosts: Hosts, row: Row, place: str) -> None:
    hosts.lab.sh(
        FULL,
        f"mkdir -p {place}; mount -t tmpfs -o size=64k,mode=0755 none {place}; cat /dev/zero > {place}/filler || true",
    )
    try:
        broken = hosts.harden(FULL, atlassian_dc_allow_restart=True)
        user, left = hosts.serving(FULL), hosts.half_written(FULL)
        written = hosts.lab.sh(FULL, f"find {place} -type f ! -name filler").strip()
    finally:
        hosts.lab.sh(FULL, f"umount {place}")
    # What keeps a change from being made stands in its control's evidence; what ends the restart, in the messages.
    told = broken.output + json.dumps(broken.report)
    said = "No space left on device" in told and place in told
    honest = not broken.with_status(FULL, "fixed", "pass") & {"DC-USR-01", "DC-USR-04"}
    right = said and honest and user == "root" and not left + written
    row(
        f"disk full at {place}",
        "said; product as before",
        f"{'said' if said else 'not said'}; product runs as {user}; left behind: {left + written or 'nothing'}",
        right,
    )
    assert said, broken.output
    assert honest
    assert user == "root"
    assert left + written == ""


def unreadable(hosts: Hosts, row: Row, what: str, words: str, **variables: Any) -> None:
    """Run it where nothing can be looked at: an error with the cause, nothing called right, nothing changed."""
    before = hosts.lab.snapshot(BARE) if "ansible_user" in variables else None
    outcome = hosts.harden(BARE, **variables)
    good = outcome.with_status(BARE, "pass", "fixed")
    said = words in outcome.output
    right = outcome.code != 0 and not outcome.report["complete"] and not good and said
    row(what, "said, nothing called right", f"{'said' if said else 'not said'}, {len(good)} called right", right)
    assert outcome.code != 0
    assert not outcome.report["complete"]
    assert good == set()
    assert said, outcome.output
    if before is not None:
        own = ("/etc/systemd", "/etc/passwd", "/etc/group", "/etc/sudoers", "/opt/", "/var/lib/atlassian-dc")
        after = hosts.lab.snapshot(BARE)
        assert [p for p in before.keys() | after.keys() if p.startswith(own) and before.get(p) != after.get(p)] == []


def test_no_rights(hosts: Hosts, row: Row) -> None:
    script = """
        useradd --create-home visitor; install -d -m 0700 -o visitor ~visitor/.ssh
        install -m 0600 -o visitor ~/.ssh/authorized_keys ~visitor/.ssh/authorized_keys
    """
    hosts.lab.sh(BARE, script)
    unreadable(hosts, row, "no right to become root", "password", ansible_user="visitor")


def test_no_python(hosts: Hosts, row: Row) -> None:
    hosts.lab.sh(BARE, "mv /usr/bin/python3 /usr/bin/python3.away")
    unreadable(hosts, row, "host without Python", "python3")
