# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What production does to a run: nothing half-written, the product serves or is brought back, the report is honest.

Each fault has a host of its own. `docs/faults.md` tells users what to expect; each of its rows is one of these.
"""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from fault_tables import rows_of

from .lab import ACCOUNTS_AND_FILES, DISTRIBUTIONS, Lab, Outcome, Run

HOME = "/var/atlassian/application-data/jira"
STATE = "/var/lib/atlassian-dc"
UNITS = "/etc/systemd/system/jira.service.d"
RECORDS = f"{STATE}/runs"
STOP, LIVE, FILES = (
    "Stop the products",
    "Try the sandbox and make it live",
    "Judge and correct ownership and permissions of the products' trees",
)
MOVED = {"DC-USR-01", "DC-USR-04"}
BY_HAND = {"DC-DIR-06"}
"""What no run puts right on these hosts."""
RESTART: dict[str, Any] = {"atlassian_dc_allow_restart": True}
# Lines of the record after which a module is killed: in the middle of the files.
ENOUGH = 1500
KILL_AMID = f"""
until [ "$(cat {RECORDS}/*/manifest.jsonl 2>/dev/null | wc -l)" -gt {ENOUGH} ]; do :; done
pkill -KILL -x python3
"""
Row = Callable[[str, str, str, bool], None]


class Fault:
    """A fault on a host of its own, and what was seen of it."""

    def __init__(self, lab: Lab, host: str) -> None:
        self.lab, self.host = lab, host
        self.found: list[str] = []
        self.wrong: list[str] = []

    def expect(self, words: str, right: bool, shown: object = "") -> None:
        """Note something that must be so."""
        self.found.append(words)
        if not right:
            self.wrong.append(f"not so: {words}{f' ({shown})' if shown != '' else ''}")

    def sh(self, script: str) -> str:
        return self.lab.sh(self.host, script).strip()

    def play(self, playbook: str = "harden", *arguments: str, **options: Any) -> Outcome:
        return self.lab.play(playbook, "--limit", self.host, *arguments, **options)

    def expect_serving(self, account: str) -> None:
        found = self.lab.served_by(self.host)
        self.expect(f"serving as {account}", found == account, found)

    def expect_nothing_half_written(self) -> None:
        left = self.sh(f"""
            find /etc {STATE} -name '.atlassian-dc-*'
            systemd-analyze verify --man=no jira.service 2>&1 | grep -F atlassian-dc || true
            visudo -cq 2>&1 || true
            pwck -rq 2>&1 | grep -i invalid || true
        """)
        self.expect("nothing half-written", left == "", left)

    def expect_honest(self, outcome: Outcome) -> None:
        """Expect a run that did not come to its end to say so."""
        self.expect("exit code not 0", outcome.code != 0, outcome.output[-2000:])
        self.expect("report incomplete", outcome.report.get("complete") is False)

    def expect_hardened_by_the_next_run(self) -> None:
        again = self.play(**RESTART)
        self.expect("hardened by the next run", again.code == 0 and again.report["complete"], again.output[-3000:])
        failing = again.with_status(self.host, "fail", "error")
        self.expect("all put right that a run can", failing <= BY_HAND, failing)
        self.expect_serving("jira")
        self.expect_nothing_half_written()
        marks = self.sh(f"ls -A {STATE}/stopped 2>/dev/null || true")
        self.expect("no mark of a stop left", marks == "", marks)


def end(run: Run) -> None:
    """End the controller in the moment it is held."""
    run.held()
    run.kill()


def killed_in_the_restart(fault: Fault) -> None:
    broken = fault.play(hold_before=LIVE, during=end, **RESTART)
    fault.expect("controller killed", broken.code == -signal.SIGKILL and broken.report == {}, broken.code)
    fault.expect("down meanwhile, with a mark", fault.sh(f"ls {STATE}/stopped") == "jira.service")
    fault.expect_hardened_by_the_next_run()


def killed_among_the_files(fault: Fault) -> None:
    """Kill the host's own process too, as a loss of power does; then take back what was done."""
    roots = ("/opt/atlassian/", "/var/atlassian/", "/etc/")
    own = ("/log/", "/logs/", "/temp/", "/work/", "/caches/", "/monitor/", "/tmp/")

    def state() -> dict[str, list[Any]]:
        found = fault.lab.snapshot(fault.host)
        kept = {path for path in found if path.startswith(roots) and not any(part in path for part in own)}
        # Tools that change accounts keep the state before in passwd- and the like.
        return {path: [*found[path][:3], *found[path][4:]] for path in kept if not path.endswith("-")}

    def kill_both(run: Run) -> None:
        run.held()
        run.go()
        fault.sh(KILL_AMID)
        run.kill()

    before = state()
    broken = fault.play(hold_before=FILES, during=kill_both, **RESTART)
    fault.expect("no report is written", broken.report == {})
    changed = {path for path, found in state().items() if before.get(path) != found}
    fault.expect("killed in the middle", 500 < len(changed) < 3900, len(changed))
    fault.expect_serving("root")
    back = fault.play("rollback")
    fault.expect("rolled back", back.code == 0, back.output[-3000:])
    after = state()
    left = {
        path: (before.get(path), after.get(path))
        for path in before.keys() | after.keys()
        if before.get(path) != after.get(path)
    }
    fault.expect("all paths as before", not left, sorted(left.items())[:3])
    fault.expect_hardened_by_the_next_run()


def lost_connection(fault: Fault) -> None:
    def cut(run: Run) -> None:
        run.held()
        fault.sh("systemctl stop ssh.socket ssh.service || true; pkill -KILL sshd || true")

    try:
        broken = fault.play(hold_before=LIVE, during=cut, **RESTART)
    finally:
        fault.sh("systemctl reset-failed ssh.service || true; systemctl start ssh.service")
    fault.expect_honest(broken)
    fault.expect("nothing called fixed that is not", not broken.with_status(fault.host, "fixed", "pass") & MOVED)
    fault.expect("down meanwhile, with a mark", fault.sh(f"ls {STATE}/stopped") == "jira.service")
    fault.expect_hardened_by_the_next_run()


def rebooted_between_the_plays(fault: Fault) -> None:
    seen: list[str] = []

    def reboot(run: Run) -> None:
        run.held()
        fault.lab.group.restart(fault.host)
        seen.append(fault.lab.served_by(fault.host))

    broken = fault.play(hold_before=STOP, during=reboot, **RESTART)
    fault.expect("came up as it ran before", seen == ["root"], seen)
    fault.expect("the product is left alone by that run", "it was started anew" in broken.output, broken.output[-3000:])
    fault.expect("nothing called fixed that is not", not broken.with_status(fault.host, "fixed", "pass") & MOVED)
    fault.expect_serving("root")
    fault.expect_hardened_by_the_next_run()


def stopped_by_somebody(fault: Fault) -> None:
    fault.sh("systemctl stop jira.service")
    outcome = fault.play(**RESTART)
    fault.expect("the run ends well", outcome.code == 0 and outcome.report["complete"], outcome.output[-3000:])
    fault.expect("stays stopped", fault.lab.served_by(fault.host) == "down")
    again = fault.play(**RESTART)
    fault.expect("stays stopped after another run", again.code == 0 and fault.lab.served_by(fault.host) == "down")
    fault.sh("systemctl start jira.service")
    fault.expect_serving("jira")
    fault.expect_nothing_half_written()


def two_runs(fault: Fault) -> None:
    """Begin a second one while the product is down for the restart of the first."""
    others: list[Future[Outcome]] = []
    with ThreadPoolExecutor(1) as pool:

        def second(run: Run) -> None:
            run.held()
            begun = threading.Event()

            def tell(other: Run) -> None:
                other.held()
                begun.set()

            hold = "Start the products that an interrupted run has stopped"
            others.append(pool.submit(fault.play, hold_before=hold, during=tell, **RESTART))
            if begun.wait(120):
                time.sleep(2)

        first = fault.play(hold_before=LIVE, during=second, **RESTART)
    other = others[0].result()
    fault.expect("the first ends well", first.code == 0 and first.report["complete"], first.output[-3000:])
    fault.expect("the second waits for it, then ends well", other.code == 0, other.output[-3000:])
    failing = other.with_status(fault.host, "fail", "error")
    fault.expect("all put right that a run can", failing <= BY_HAND, failing)
    fault.expect_serving("jira")
    fault.expect_nothing_half_written()


def host_kept_by_another(fault: Fault) -> None:
    fault.sh(
        "systemd-run --quiet --unit=other flock /run/atlassian-dc.lock sleep 600;"
        " while flock -n /run/atlassian-dc.lock true; do sleep 0.1; done"
    )
    broken = fault.play(**RESTART)
    fault.sh("systemctl stop other.service")
    fault.expect_honest(broken)
    fault.expect("the message says why", "another run is changing this host" in broken.output, broken.output[-3000:])
    fault.expect("nothing recorded, nothing changed", fault.sh(f"ls {RECORDS} 2>/dev/null || true") == "")
    fault.expect_serving("root")
    fault.expect_hardened_by_the_next_run()


def full(fault: Fault, place: str, size: str = "64k") -> None:
    """Fill the file system of a folder of ours, run, and look that the product is as it was."""
    fault.sh(f"""
        mkdir -p {place}
        mount -t tmpfs -o size={size},mode=0755 none {place}
        {f"cat /dev/zero > {place}/filler || true" if size == "64k" else ":"}
    """)
    broken = fault.play(**RESTART)
    told = broken.output + json.dumps(broken.report)
    fault.expect_honest(broken)
    fault.expect("the message says what is full", "No space left on device" in told and place in told, told[-3000:])
    called = broken.statuses(fault.host)
    fault.expect(
        "nothing called fixed that is not", not broken.with_status(fault.host, "fixed", "pass") & MOVED, called
    )
    fault.expect_serving("root")
    fault.expect_nothing_half_written()
    if size == "64k":
        written = fault.sh(f"find {place} -type f -size +0 ! -name filler")
        fault.expect("nothing left behind", written == "", written)


def full_state(fault: Fault) -> None:
    full(fault, STATE)
    fault.sh(f"umount {STATE}")
    fault.expect_hardened_by_the_next_run()


def full_units(fault: Fault) -> None:
    full(fault, UNITS)
    fault.sh(f"umount {UNITS}")
    fault.expect_hardened_by_the_next_run()


def full_record(fault: Fault) -> None:
    """Let the record fill the disk in the middle of the files; then take back what was changed by then."""
    full(fault, RECORDS, "192k")
    early = fault.play("rollback")
    fault.expect(
        "no rollback without space, and it says so",
        early.code != 0 and "No space left" in early.output,
        early.output[-3000:],
    )
    fault.sh(f"mount -o remount,size=16m {RECORDS}")
    back = fault.play("rollback")
    fault.expect("what was changed is taken back", back.code == 0, back.output[-3000:])
    owner = fault.sh("stat -c %U:%a /opt/atlassian/jira/bin/start-jira.sh")
    fault.expect("files as before", owner == "jira:755", owner)
    fault.expect_hardened_by_the_next_run()


def full_home(fault: Fault) -> None:
    """Fill the disk the product writes to: it would not come up again, whoever it runs as."""
    fault.sh(f"""
        systemctl stop jira.service
        mv {HOME} {HOME}.disk; mkdir {HOME}
        mount -t tmpfs -o size=200m,mode=0755 none {HOME}
        cp -a {HOME}.disk/. {HOME}/
        chown --reference={HOME}.disk {HOME}; chmod --reference={HOME}.disk {HOME}
        systemctl start jira.service
    """)
    fault.expect_serving("root")
    fault.sh(f"cat /dev/zero > {HOME}/export/filler || true")
    outcome = fault.play(**RESTART)
    fault.expect("the run ends well", outcome.code == 0, outcome.output[-3000:])
    fault.expect("not called fixed", outcome.with_status(fault.host, "fail") >= MOVED)
    told = json.dumps([entry for entry in outcome.entries(fault.host) if entry["id"] in MOVED])
    fault.expect("the report says what is full", f"file system of {HOME}" in told and "MiB free" in told, told[:2000])
    stops = [action for action in outcome.executions(fault.host) if action.endswith("product_service")]
    fault.expect("the product is not stopped", stops == [], stops)
    fault.expect_serving("root")
    fault.sh(f"rm {HOME}/export/filler")
    fault.expect_hardened_by_the_next_run()


def without_change(fault: Fault, words: str, **variables: Any) -> None:
    """Run it where nothing can be looked at: an error with the cause, nothing called right."""
    outcome = fault.play(**RESTART, **variables)
    fault.expect_honest(outcome)
    good = outcome.with_status(fault.host, "pass", "fixed")
    fault.expect("nothing called right", good == set(), good)
    fault.expect("the message says why", words in outcome.output, outcome.output[-3000:])


def no_rights(fault: Fault) -> None:
    fault.sh("""
        useradd --create-home visitor; install -d -m 0700 -o visitor ~visitor/.ssh
        install -m 0600 -o visitor ~/.ssh/authorized_keys ~visitor/.ssh/authorized_keys
    """)
    ours = ("/etc/systemd", "/etc/passwd", "/etc/group", "/etc/sudoers", "/opt/", "/var/lib/atlassian-dc")
    before = fault.lab.snapshot(fault.host)
    without_change(fault, "sudo", ansible_user="visitor")
    after = fault.lab.snapshot(fault.host)
    touched = [p for p in before.keys() | after.keys() if p.startswith(ours) and before.get(p) != after.get(p)]
    fault.expect("nothing changed", touched == [], touched)


def no_python(fault: Fault) -> None:
    fault.sh("mv /usr/bin/python3 /usr/bin/python3.away")
    without_change(fault, "python3")


FAULTS: dict[str, tuple[Callable[[Fault], None], str]] = {
    "controller killed between the stop of a product and its start": (killed_in_the_restart, "jira"),
    "controller and host die while files are changed": (killed_among_the_files, "jira"),
    "SSH lost inside the restart": (lost_connection, "jira"),
    "host rebooted between the two plays": (rebooted_between_the_plays, "jira"),
    "product stopped by an administrator before harden": (stopped_by_somebody, "jira"),
    "two runs at once on one host": (two_runs, "jira"),
    "another run keeps the host for longer than a minute": (host_kept_by_another, "jira"),
    "disk full where changes are staged and recorded (/var/lib/atlassian-dc)": (full_state, "jira"),
    "disk full where units live (/etc/systemd/system)": (full_units, "jira"),
    "disk full by the record, while files are changed": (full_record, "jira"),
    "disk full where the product writes (its home)": (full_home, "jira"),
    "no right to become root": (no_rights, "base"),
    "host without Python": (no_python, "base"),
}


@pytest.fixture(scope="module")
def faults(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[dict[str, Future[Fault]]]:
    """Meet those that are to be tested, two at a time: mostly each waits for something."""
    names = {item.name for item in request.session.items}
    chosen = [title for title in FAULTS if f"test_fault[{title}]" in names]
    folder = tmp_path_factory.mktemp("faults")

    def meet(title: str) -> Fault:
        number = list(FAULTS).index(title)
        act, image = FAULTS[title]
        # A group of its own: more hosts at once than needed would use up what the kernel watches files with.
        lab = Lab(f"fidelity-fault{number}", folder / f"{number}", ACCOUNTS_AND_FILES)
        lab.folder.mkdir()
        fault = Fault(lab, f"f{number}")
        try:
            lab.up([f"{fault.host}={image}:{DISTRIBUTIONS[number % len(DISTRIBUTIONS)]}"])
            act(fault)
        finally:
            lab.down()
        return fault

    with ThreadPoolExecutor(max_workers=2) as pool:
        yield {title: pool.submit(meet, title) for title in chosen}


@pytest.mark.parametrize("title", FAULTS)
def test_fault(faults: dict[str, Future[Fault]], title: str, row: Row) -> None:
    fault = faults[title].result()
    row(title, "; ".join(fault.found), "; ".join(fault.wrong) or "so", not fault.wrong)
    assert fault.wrong == []


@pytest.mark.parametrize("title", FAULTS)
def test_users_are_told(title: str) -> None:
    assert title in rows_of("faults.md")
