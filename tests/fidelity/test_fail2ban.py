# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fail2ban on hosts of Debian 12 and 13: prediction and real run, who is banned how fast, what others have set."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from .firewalled import SCAN
from .lab import Lab, Outcome, differing

HOSTS = {"jira12": "found:bookworm", "jira13": "firewalld:trixie"}
"""One has what is needed for mounts where root may not look, the other somebody's firewalld."""
DATED = "confluence12"
"""A host whose product begins a new audit file every day."""
ROLE = ("--tags", "fail2ban")
CONTROLS = {"DC-BRU-01", "DC-BRU-02", "DC-BRU-04"}
SECURITY, AUDIT = "atlassian-dc-jira-security", "log/atlassian-jira-security.log"
GUILTY, FORGETFUL, LATE = "198.51.100.7", "198.51.100.8", "2001:db8:7::9"
PATIENCE = 120
"""Seconds after which no ban is waited for any more; it takes less than ten unless the machine is busy."""
FAILED = (
    "{stamp} http-nio-8080-exec-17 anonymous 311x{number}x1 1qvu69a {address} /login.jsp"
    " The user 'admin' has FAILED authentication.  Failure count equals {number}"
)
AUDITED = (
    '{"affectedObjects":[{"name":"admin","type":"User"}],"auditType":{"action":"Login failed",'
    '"actionI18nKey":"audit.logging.summary.login.failed","area":"SECURITY","category":"Authentication",'
    '"categoryI18nKey":"audit.logging.category.authentication","level":"FULL"},"author":{"id":"-2","name":"Anonymous",'
    '"type":"user"},"changedValues":[],"extraAttributes":[],"method":"Browser","source":"%s",'
    '"system":"http://confluence.internal:8090","timestamp":{"epochSecond":%s,"nano":382000000},"version":"1.0"}'
)
Row = Callable[[str, str, str, bool], None]


class Story:
    """The way of the hosts from pristine to hardened."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.settings: dict[str, Any] = {
            "atlassian_dc_admin_networks": lab.group.controller(),
            "atlassian_dc_proxy_addresses": [],
            "atlassian_dc_cluster_peers": ["198.51.100.21"],
        }
        self.check = self.play("harden", "--check")
        self.before = {host: lab.snapshot(host) for host in HOSTS}
        self.harden = self.play("harden")
        self.after = {host: lab.snapshot(host) for host in HOSTS}
        self.second = self.play("harden")
        self.audit = self.play("audit")

    def play(self, playbook: str, *arguments: str, **variables: Any) -> Outcome:
        return self.lab.play(playbook, *ROLE, *arguments, **{**self.settings, **variables})

    def home(self, host: str) -> str:
        found = self.harden.report["hosts"][host]["instances"]
        return next(str(instance["home_dir"]) for instance in found if host.startswith(instance["product"]))

    def fail(self, host: str, path: str, address: str, times: int = 5) -> None:
        """Write failed logins into a log of the product."""
        lines = "\n".join(FAILED.format(stamp="$stamp", number=number, address=address) for number in range(times))
        self.lab.sh(
            host,
            f'stamp=$(date +%Y-%m-%dT%H:%M:%S,%3N%z | tr T " ")\ncat >> {self.home(host)}/{path} <<END\n{lines}\nEND\n',
        )

    def audited(self, name: str, address: str, times: int = 5) -> None:
        """Write failed logins into an audit file of the host that has them."""
        path = f"{self.home(DATED)}/log/audit/{name}"
        lines = "\n".join([AUDITED % (address, "$now")] * times).replace('"', '\\"')
        self.lab.sh(DATED, f'now=$(date +%s)\necho "{lines}" >> {path}')

    def banned(self, host: str, address: str, within: float = PATIENCE) -> bool:
        """Whether nftables rejects an address by then."""
        end = time.monotonic() + within
        while True:
            # A look can take long itself: the last one begins when the time is up.
            last = time.monotonic() > end
            if address in self.lab.sh(host, "nft list table inet f2b-table 2>/dev/null || true"):
                return True
            if last:
                return False
            time.sleep(0.3)

    def statuses(self, outcome: Outcome, host: str) -> dict[str, str]:
        return {control: status for control, status in outcome.statuses(host).items() if control in CONTROLS}


@pytest.fixture(params=HOSTS)
def host(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    lab = Lab("fidelity-fail2ban", tmp_path_factory.mktemp("fail2ban"))
    try:
        lab.up([*(f"{host}={image}" for host, image in HOSTS.items()), f"{DATED}=confluence:bookworm"])
        yield Story(lab)
    finally:
        lab.down()


def all_of(status: str) -> dict[str, str]:
    return dict.fromkeys(sorted(CONTROLS), status)


def test_no_run_fails(story: Story) -> None:
    for outcome in (story.check, story.harden, story.second, story.audit):
        assert outcome.code == 0, outcome.output


def test_what_is_predicted_is_what_is_done(story: Story, host: str, row: Row) -> None:
    predicted, real = story.check.changes(host), story.harden.changes(host)
    row(f"{host}: fail2ban: changes", f"{len(predicted)} predicted", f"{len(real)} made", predicted == real)
    assert predicted == real
    assert story.statuses(story.check, host) == all_of("fail")
    assert story.statuses(story.harden, host) == all_of("fixed"), story.harden.output


def test_only_what_is_predicted_is_written(story: Story, host: str) -> None:
    predicted = {path for path in story.check.changes(host) if path.startswith("/")}
    changed = {
        path
        for path, (before, after) in differing(story.before[host], story.after[host]).items()
        if not before or not after or [*before[:3], *before[4:]] != [*after[:3], *after[4:]]
    }
    brought = set(story.lab.sh(host, "dpkg-query --listfiles fail2ban python3-systemd nftables").splitlines())
    unforeseen = {path for path in changed - predicted - brought if path.startswith(("/etc/fail2ban", "/etc/systemd"))}
    assert predicted <= changed
    assert {path for path in unforeseen if ".wants" not in path} == set()


def test_a_second_run_changes_nothing(story: Story, host: str, row: Row) -> None:
    tasks = story.second.changed_tasks(host)
    row(f"{host}: fail2ban: second run", "changed=0", f"changed={len(tasks)}", not tasks)
    assert tasks == [], story.second.changes(host)
    assert story.statuses(story.second, host) == all_of("pass")
    assert story.statuses(story.audit, host) == all_of("pass")


def test_no_unit_has_failed(story: Story, host: str) -> None:
    assert story.lab.sh(host, "systemctl list-units --failed --plain --no-legend") == ""


def test_who_fails_is_banned_in_time(story: Story, host: str, row: Row) -> None:
    story.fail(host, AUDIT, FORGETFUL, 4)
    story.fail(host, AUDIT, GUILTY)
    failed = time.monotonic()
    seen = story.banned(host, GUILTY)
    after = f"after {time.monotonic() - failed:.0f} s"
    innocent = not story.banned(host, FORGETFUL, within=0)
    row(f"{host}: fail2ban: ban", f"within {PATIENCE} s", after if seen else "not banned", seen and innocent)
    assert seen
    assert innocent


def test_those_who_must_not_be_are_not(story: Story, host: str) -> None:
    for address in ("198.51.100.21", "127.0.0.1", *story.lab.group.controller()):
        story.fail(host, AUDIT, address, 20)
    # Written after them: those before are read by then.
    story.fail(host, AUDIT, "198.51.100.9")
    assert story.banned(host, "198.51.100.9")
    table = story.lab.sh(host, "nft list table inet f2b-table 2>/dev/null || true")
    assert "198.51.100.21" not in table
    assert all(address not in table for address in story.lab.group.controller())


def test_a_log_that_is_made_anew_is_read(story: Story, host: str) -> None:
    home = story.home(host)
    story.lab.sh(host, f"mv {home}/{AUDIT} {home}/{AUDIT}.1; install -o jira -m 0640 /dev/null {home}/{AUDIT}")
    story.fail(host, AUDIT, LATE)
    assert story.banned(host, LATE)


def test_new_files_of_a_day_are_followed(story: Story, row: Row) -> None:
    """Counts go on from one file to the next, and no file is missed, however fast they come."""
    story.audited("20991230.00001.audit.log", "198.51.100.30", 3)
    time.sleep(2)
    story.audited("20991231.00001.audit.log", "198.51.100.30", 2)
    seen = story.banned(DATED, "198.51.100.30")
    for number in range(5):
        story.audited(f"2099123{number}.00002.audit.log", f"198.51.100.4{number}")
        time.sleep(0.4)
    found = [story.banned(DATED, f"198.51.100.4{number}") for number in range(5)]
    row("fail2ban: audit files that come up", "all followed", f"{seen}, {found}", seen and all(found))
    assert seen
    assert all(found)


def test_who_fails_to_log_in_over_ssh_is_banned(story: Story, row: Row) -> None:
    address = story.lab.group.hosts()["jira13"].address
    attempt = (
        f"ssh -o BatchMode=yes -o StrictHostKeyChecking=no stranger@{story.lab.group.hosts()['jira12'].address} true"
    )
    # A connection that breaks off before it names somebody counts for none.
    attempts, seen = 0, False
    while not seen and attempts < 15:
        story.lab.sh("jira13", f"for i in 1 2 3 4 5; do {attempt} || true; done 2>/dev/null")
        attempts += 5
        seen = story.banned("jira12", address, within=30)
    refused = "refused" in story.lab.sh("jira13", f"{attempt} 2>&1 || true")
    told = f"{seen}, after {attempts} attempts, refused: {refused}"
    row("fail2ban: SSH", "banned", told, seen and refused)
    logs = "fail2ban-client status sshd; journalctl -q -t sshd -n 60; tail -n 100 /var/log/fail2ban.log"
    assert seen, story.lab.sh("jira12", logs)
    assert refused


def test_bans_are_kept_over_restarts(story: Story, host: str, row: Row) -> None:
    story.lab.sh(host, "systemctl restart fail2ban")
    again = story.banned(host, GUILTY, within=60)
    story.lab.group.restart(host)
    booted = story.banned(host, GUILTY, within=60)
    row(f"{host}: fail2ban: ban after restart and reboot", "kept", f"{again}, {booted}", again and booted)
    assert (again, booted) == (True, True), story.lab.sh(host, "tail -n 200 /var/log/fail2ban.log")
    assert story.statuses(story.play("audit", "--limit", host), host) == all_of("pass")


def test_broken_file_of_somebody_else(story: Story, host: str) -> None:
    story.lab.sh(host, "echo nonsense > /etc/fail2ban/jail.d/mine.conf")
    try:
        outcome = story.play("harden", "--limit", host, atlassian_dc_fail2ban_max_failures=7)
        assert outcome.code == 0, outcome.output
        assert story.statuses(outcome, host) == all_of("fail")
        assert "/etc/fail2ban/jail.d/mine.conf" in outcome.reason(host, "DC-BRU-01")
        assert outcome.changed_tasks(host) == []
        assert SECURITY in story.lab.sh(host, "fail2ban-client status")
    finally:
        story.lab.sh(host, "rm /etc/fail2ban/jail.d/mine.conf")


@pytest.mark.parametrize(
    ("breaks", "script"),
    [
        (CONTROLS, "systemctl stop fail2ban"),
        (CONTROLS, "systemctl kill --signal=KILL fail2ban; sleep 1; systemctl stop fail2ban"),
        (CONTROLS, "systemctl disable --quiet fail2ban"),
        ({"DC-BRU-01"}, f"fail2ban-client set {SECURITY} maxretry 500"),
        ({"DC-BRU-01"}, "sed -i 's/^maxretry = 5/maxretry = 50/' /etc/fail2ban/jail.d/*-products.local"),
        ({"DC-BRU-01"}, "systemctl stop atlassian-dc-fail2ban-logs.service"),
        (
            {"DC-BRU-01", "DC-BRU-04"},
            "sed -i 's/^failregex = .*/failregex = <HOST>/' /etc/fail2ban/filter.d/atlassian-dc-jira-*",
        ),
        ({"DC-BRU-02"}, "rm /etc/fail2ban/jail.d/*-sshd.local; fail2ban-client stop sshd"),
        ({"DC-BRU-04"}, "rm /etc/fail2ban/jail.d/zz-atlassian-dc-fail2ban.local"),
        ({"DC-BRU-02", "DC-BRU-04"}, "fail2ban-client set sshd delignoreip 198.51.100.21"),
    ],
)
def test_what_is_broken_is_found_and_put_right(story: Story, row: Row, breaks: set[str], script: str) -> None:
    """Nothing is called fixed that was not found, and the next one finds nothing of the one before."""
    host = "jira12"
    story.lab.sh(host, script)
    fixed = story.play("harden", "--limit", host).with_status(host, "fixed") & CONTROLS
    row(f"fail2ban: {script}", ", ".join(sorted(breaks)), f"fixed {sorted(fixed)}", fixed == breaks)
    assert fixed == breaks


def test_later_override_of_somebody_else_is_named(story: Story, host: str) -> None:
    path = "/etc/fail2ban/jail.d/zzz-mine.local"
    story.lab.sh(host, f"printf '[{SECURITY}]\\nmaxretry = 99\\n' > {path}; fail2ban-client reload >/dev/null")
    try:
        outcome = story.play("harden", "--limit", host)
        assert story.statuses(outcome, host) == {**all_of("pass"), "DC-BRU-01": "fail"}
        assert f"overridden by {path}" in outcome.reason(host, "DC-BRU-01")
    finally:
        story.lab.sh(host, f"rm {path}; fail2ban-client reload >/dev/null")


def test_an_address_comes_through_no_firewall_of_others(story: Story, row: Row) -> None:
    """A firewalld has opened the port, and opens it again whenever it loads its rules."""
    source, target = (story.lab.group.hosts()[name].address for name in ("jira12", "jira13"))
    asked = json.dumps([[target, "tcp", 8080]])
    look = ["python3", "-c", SCAN, asked]
    before = story.lab.group.output("jira12", look)
    story.fail("jira13", AUDIT, source)
    assert story.banned("jira13", source)
    banned = story.lab.group.output("jira12", look)
    story.lab.sh("jira13", "systemctl is-active --quiet firewalld; firewall-cmd --quiet --reload")
    reloaded = story.lab.group.output("jira12", look)
    story.lab.sh("jira13", f"fail2ban-client unban {source}")
    words = [json.loads(said)[0] for said in (before, banned, reloaded)]
    right = words == ["open", "closed", "closed"]
    row("fail2ban: a ban beside firewalld", "open, closed, closed after a reload", ", ".join(words), right)
    assert right, words


def test_a_huge_log_keeps_nobody_waiting(story: Story, row: Row) -> None:
    """Of 5 GB most is too old to count: fail2ban has to find what is new."""
    host, path, address = "jira12", f"{story.home('jira12')}/{AUDIT}", "198.51.100.60"
    old = FAILED.format(stamp="2026-01-02 03:04:05,678+0000", number=1, address="198.51.100.61")
    story.lab.sh(
        host,
        f"""
        systemctl stop fail2ban
        yes "{old}" | head -c 10000000 > /run/part
        for i in $(seq 500); do cat /run/part; done > {path}
        rm /run/part
        echo >> {path}
        systemctl start fail2ban
        """,
    )
    size = int(story.lab.sh(host, f"stat -c %s {path}"))
    story.fail(host, AUDIT, address)
    seen, innocent = story.banned(host, address), not story.banned(host, "198.51.100.61", within=0)
    row("fail2ban: a log of 5 GB", "banned", f"{seen}, {size // 10**6} MB", seen and innocent)
    story.lab.sh(host, f": > {path}")
    assert size >= 5 * 10**9
    assert seen
    assert innocent
    # And the same log, empty, is followed from its beginning.
    story.fail(host, AUDIT, "198.51.100.62")
    assert story.banned(host, "198.51.100.62")


def test_a_log_that_root_cannot_read_is_named(story: Story, row: Row) -> None:
    """A folder of the home on a file system that keeps root out, as NFS may."""
    host = "jira12"
    folder = f"{story.home(host)}/log"
    story.lab.sh(host, f"chmod 666 /dev/fuse; runuser -u jira -- bindfs --no-allow-other {folder} {folder}")
    try:
        outcome = story.play("audit", "--limit", host)
        reason = outcome.reason(host, "DC-BRU-01")
        row("fail2ban: a log that root cannot read", "fail, named", reason, f"{folder}: Permission denied" in reason)
        assert story.statuses(outcome, host) == {**all_of("pass"), "DC-BRU-01": "fail"}
        assert f"{folder}: Permission denied" in reason
    finally:
        story.lab.sh(host, f"umount -l {folder}")
    assert story.statuses(story.play("audit", "--limit", host), host) == all_of("pass")


def test_a_folder_in_the_place_of_a_log_is_refused(story: Story) -> None:
    """With it fail2ban would not start any more: it is left running as it is."""
    host = "jira12"
    path = f"{story.home(host)}/{AUDIT}"
    story.lab.sh(host, f"mv {path} {path}.1; mkdir {path}")
    try:
        outcome = story.play("harden", "--limit", host, atlassian_dc_fail2ban_max_failures=7)
        assert outcome.code == 0, outcome.output
        assert f"{path}: no file" in outcome.reason(host, "DC-BRU-01")
        assert outcome.changed_tasks(host) == []
        assert SECURITY in story.lab.sh(host, "fail2ban-client status")
    finally:
        story.lab.sh(host, f"rmdir {path}; mv {path}.1 {path}")


def test_rollback_puts_everything_back(story: Story, row: Row) -> None:
    """Done last: the runs of these tests are taken back one after the other."""
    host = "jira13"
    while True:
        outcome = story.lab.play("rollback", *ROLE, "--limit", host)
        assert outcome.code == 0, outcome.output
        if not outcome.changed_tasks(host):
            break
    left = story.lab.sh(
        host, "find /etc /var/lib -path /var/lib/atlassian-dc -prune -o -name '*atlassian-dc-fail2ban*' -print"
    )
    states = story.lab.sh(host, "systemctl is-active fail2ban || systemctl is-enabled fail2ban || true").split()
    row("fail2ban: rollback", "nothing left", f"{left.split()}, {states}", not left)
    assert left == ""
    assert states == ["inactive", "disabled"]
