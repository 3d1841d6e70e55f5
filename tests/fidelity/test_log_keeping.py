# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logs that are rotated, kept and looked at, and the clock, on hosts of Debian 12 and 13."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from .lab import Lab, Outcome, differing

HOSTS = {"jira12": "jira:bookworm", "bitbucket13": "bitbucket:trixie"}
ROLE = ("--tags", "DC-LOG-05,DC-LOG-06,DC-LOG-08")
LOGS = "/opt/atlassian/jira/logs"
AUDIT = "/var/atlassian/application-data/bitbucket/log/audit"
ROTATION, REVIEW = "atlassian-dc-log-shipping-rotation", "atlassian-dc-log-shipping-review"
GRANTED = {
    "affectedObjects": [{"id": "2", "name": "mallory", "type": "USER"}],
    "auditType": {
        "action": "Global permission granted",
        "actionI18nKey": "bitbucket.service.user.audit.action.globalpermissiongranted",
        "area": "PERMISSIONS",
        "level": "BASE",
    },
    "author": {"id": "-2", "name": "Anonymous\n<0>forged: line", "type": "user"},
    "changedValues": [],
    "extraAttributes": [{"name": "Permission", "nameI18nKey": "permission", "value": "SYS_ADMIN"}],
    "source": "10.100.100.2",
    "timestamp": {"epochSecond": 1638034465, "nano": 0},
    "version": "1.0",
}
LOWERED = {
    **GRANTED,
    "auditType": {
        "action": "Audit Log configuration updated",
        "actionI18nKey": "atlassian.audit.event.action.audit.config.updated",
        "area": "AUDIT_LOG",
        "level": "BASE",
    },
    "changedValues": [
        {
            "from": "security : full",
            "i18nKey": "atlassian.audit.event.change.coverage.level",
            "key": "Coverage Level",
            "to": "security : base",
        }
    ],
    "extraAttributes": [],
}
FAILED = {
    **GRANTED,
    "auditType": {
        "action": "User login failed",
        "actionI18nKey": "bitbucket.service.user.audit.action.authenticationfailure",
        "area": "SECURITY",
        "level": "ADVANCED",
    },
    "source": "198.51.100.7",
    "extraAttributes": [{"name": "target", "nameI18nKey": "bitbucket.audit.attribute.legacy.target", "value": "root"}],
}
PREPARED = """
# As on a machine of its own; chronyd cannot set the clock, which belongs to the machine that runs the tests.
rm -f /run/systemd/container
mkdir -p /etc/systemd/system/chrony.service.d /etc/chrony/conf.d
printf '[Service]\\nCapabilityBoundingSet=~CAP_SYS_TIME\\n' > /etc/systemd/system/chrony.service.d/test.conf
printf 'DAEMON_OPTS="-F 1 -x"\\n' > /etc/default/chrony
systemctl daemon-reload
"""
Row = Callable[[str, str, str, bool], None]


class Story:
    """The way of the hosts from pristine to hardened."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        server = lab.group.hosts()["bitbucket13"].address
        for host in HOSTS:
            lab.sh(host, PREPARED)
        # One tells the other the time.
        lab.sh("bitbucket13", "printf 'local stratum 8\\nallow\\n' > /etc/chrony/conf.d/test.conf")
        lab.sh("jira12", f"printf 'server {server} iburst minpoll 0 maxpoll 2\\n' > /etc/chrony/conf.d/test.conf")
        # The stand-in runs as root until the role service_user has been there.
        lab.sh("jira12", f"chown jira: {LOGS}/catalina.out")
        self.check = self.play("harden", "--check")
        self.before = {host: lab.snapshot(host) for host in HOSTS}
        self.harden = self.play("harden")
        self.after = {host: lab.snapshot(host) for host in HOSTS}
        self.second = self.play("harden")

    def play(self, playbook: str, *arguments: str, **variables: Any) -> Outcome:
        return self.lab.play(playbook, *ROLE, *arguments, **variables)

    def look(self, host: str) -> str:
        """Have the logs looked at; return what the journal tells of it."""
        return self.lab.sh(
            host,
            f"""
            journalctl --rotate --vacuum-time=1s -u {REVIEW} -q
            begun=$(date +%s)
            systemctl start {REVIEW}
            journalctl --sync
            journalctl -q -o cat -t {REVIEW} --since @$begun
            """,
        )


@pytest.fixture(params=HOSTS)
def host(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    lab = Lab("fidelity-log-keeping", tmp_path_factory.mktemp("log-keeping"))
    try:
        lab.up([f"{host}={image}" for host, image in HOSTS.items()])
        yield Story(lab)
    finally:
        lab.down()


def judged(outcome: Outcome, host: str) -> dict[str, str]:
    """Return what was said of each control on a host; a node of Mesh beside Bitbucket is not judged."""
    return {
        entry["id"]: entry["status"]
        for entry in outcome.entries(host)
        if entry["id"] in ROLE[1] and entry["instance"] in (None, "jira", "bitbucket")
    }


def all_of(status: str, host: str) -> dict[str, str]:
    controls = {"DC-LOG-05", "DC-LOG-06"} | ({"DC-LOG-08"} if host == site(host) else set())
    return dict.fromkeys(sorted(controls), status)


def site(_host: str) -> str:
    """Return the host that speaks for the site: the first of the inventory."""
    return min(HOSTS)


def test_what_is_predicted_is_what_is_done(story: Story, host: str, row: Row) -> None:
    for outcome in (story.check, story.harden, story.second):
        assert outcome.code == 0, outcome.output
    predicted, real = story.check.changes(host), story.harden.changes(host)
    row(f"{host}: keeping logs: changes", f"{len(predicted)} predicted", f"{len(real)} made", predicted == real)
    assert predicted == real
    assert judged(story.check, host) == all_of("fail", host)
    assert judged(story.harden, host) == all_of("fixed", host), story.harden.output


def test_only_what_is_predicted_is_written(story: Story, host: str) -> None:
    predicted = {path for path in story.check.changes(host) if path.startswith("/")}
    changed = set(differing(story.before[host], story.after[host]))
    ours = {path for path in changed if "atlassian-dc" in path and "/var/lib/atlassian-dc" not in path}
    folders = {path for path in ours if any(other.startswith(f"{path}/") for other in predicted)}
    assert predicted <= changed
    assert {path for path in ours - predicted - folders if ".wants/" not in path} == set()


def test_a_second_run_changes_nothing(story: Story, host: str, row: Row) -> None:
    tasks = story.second.changed_tasks(host)
    row(f"{host}: keeping logs: second harden", "0 changes", f"{len(tasks)} changes", not tasks)
    assert tasks == []
    assert judged(story.second, host) == all_of("pass", host)


def test_what_packages_bring_is_not_started(story: Story, host: str) -> None:
    assert story.lab.sh(host, "systemctl is-enabled logrotate.timer || true").strip() == "disabled"


def test_the_log_that_nothing_rotates_is_cut_and_what_is_old_enough_goes(story: Story, row: Row) -> None:
    """The product goes on writing to the same file."""
    inode = story.lab.sh("jira12", f"stat -c %i {LOGS}/catalina.out")
    lines = story.lab.sh(
        "jira12",
        f"""
        echo 'before the rotation' >> {LOGS}/catalina.out
        touch -d '91 days ago' {LOGS}/access_log.2026-08-01 {LOGS}/catalina.2026-08-01.log {LOGS}/notes.2026-08-01
        touch -d '89 days ago' {LOGS}/access_log.2026-09-01
        sed -i 's/-[0-9]*-[0-9]*-[0-9:]*$/-2026-1-1-0:0:0/' /var/lib/{ROTATION}/state
        sed -i 's/ [0-9]*-[0-9]*-[0-9]*-.*/ 2026-1-1-0:0:0/' /var/lib/{ROTATION}/state
        systemctl start {ROTATION}
        cat {LOGS}/catalina.out-*
        stat -c 'size %s inode %i' {LOGS}/catalina.out
        ls {LOGS}
        """,
    )
    size = int(re.findall(r"size (\d+) inode", lines)[0])
    names = lines.split()
    right = "before the rotation" in lines and size < 20 and f"inode {inode.strip()}" in lines
    row("jira12: catalina.out", "copied and cut", f"{size} bytes left", right)
    assert right, lines
    assert "access_log.2026-08-01" not in names
    assert "catalina.2026-08-01.log" not in names
    assert {"access_log.2026-09-01", "notes.2026-08-01"} <= set(names)
    owner = story.lab.sh("jira12", f"stat -c %U {LOGS}/catalina.out-*").split()
    assert set(owner) == {"jira"}


def test_what_is_unusual_stands_in_the_journal(story: Story, row: Row) -> None:
    """Also what somebody has put into an entry to forge lines."""
    story.lab.sh("bitbucket13", f"systemctl stop {REVIEW}.timer")
    story.look("bitbucket13")
    entries = [GRANTED, LOWERED, *[FAILED] * 20]
    text = "".join(json.dumps(entry, separators=(",", ":")) + "\n" for entry in entries)
    story.lab.sh("bitbucket13", f"cat > {AUDIT}/20261129.00007.audit.log <<'END'\n{text}not an entry\nEND\n")
    said = story.look("bitbucket13").splitlines()
    wanted = (
        "admin_granted",
        "coverage_lowered",
        '"address": "198.51.100.7", "count": 20',
        '"count": 20, "name": "root"',
    )
    missing = [words for words in wanted if not any(words in line for line in said)]
    row("bitbucket13: unusual entries", f"{len(wanted)} named", f"{len(wanted) - len(missing)} named", not missing)
    assert missing == [], said
    assert not any(line.startswith("forged") for line in said)
    assert "22 unusual" not in said[-1]
    assert "looked at 23 entries: 4 unusual, 0 logs could not be read" in said[-1]
    assert "looked at 0 entries" in story.look("bitbucket13")
    story.lab.sh("bitbucket13", f"systemctl start {REVIEW}.timer")


def test_two_owners_of_a_log_and_what_the_product_deletes_too_soon_are_named(story: Story, row: Row) -> None:
    """Whoever set them up has to decide; the rest of the host is left as it is."""
    story.lab.sh(
        "jira12",
        """
        logs='/var/atlassian/application-data/jira/log/*.log'
        printf '%s {\\n  weekly\\n  rotate 4\\n}\\n' "$logs" > /etc/logrotate.d/somebody
        systemctl start logrotate.timer
        sed -i 's/AccessLogValve"/AccessLogValve" maxDays="14"/' /opt/atlassian/jira/conf/server.xml
        """,
    )
    outcome = story.play("harden")
    found = {item["what"]: item["actual"] for entry in outcome.entries("jira12") for item in entry["evidence"]}
    double = found.get("/var/atlassian/application-data/jira/log/atlassian-jira-security.log", "")
    valve = found.get("/opt/atlassian/jira/conf/server.xml", "")
    right = "/etc/logrotate.d/somebody" in double and "maxDays is 14" in valve
    row("jira12: two owners, and maxDays", "both named", f"{double}; {valve}", right)
    assert right, found
    assert judged(outcome, "jira12")["DC-LOG-05"] == "fail"
    story.lab.sh(
        "jira12",
        """
        rm /etc/logrotate.d/somebody
        systemctl stop logrotate.timer
        sed -i 's/ maxDays="14"//' /opt/atlassian/jira/conf/server.xml
        """,
    )


def test_what_is_broken_is_found_and_repaired(story: Story, row: Row) -> None:
    """On both hosts at once: a journal that is lost, a clock and a look at the logs that nobody starts."""
    story.lab.sh(
        "bitbucket13",
        f"""
        mkdir -p /etc/systemd/journald.conf.d
        printf '[Journal]\\nStorage=volatile\\nMaxRetentionSec=1week\\n' > /etc/systemd/journald.conf.d/somebody.conf
        systemctl restart systemd-journald
        systemctl disable --now {REVIEW}.timer
        """,
    )
    story.lab.sh("jira12", "systemctl disable --now chrony; rm /etc/atlassian-dc/log-shipping/rotation.conf")
    found = story.play("audit")
    assert judged(found, "bitbucket13") == {**all_of("fail", "bitbucket13"), "DC-LOG-06": "pass"}
    assert "volatile (/etc/systemd/journald.conf.d/somebody.conf)" in found.reason("bitbucket13", "DC-LOG-05")
    assert judged(found, "jira12") == all_of("fail", "jira12")
    repaired = story.play("harden")
    assert judged(repaired, "bitbucket13") == {**all_of("fixed", "bitbucket13"), "DC-LOG-06": "pass"}, repaired.output
    assert judged(repaired, "jira12") == all_of("fixed", "jira12")
    row("keeping logs: what is broken", "fixed", "fixed", True)
    story.lab.sh("bitbucket13", "logger outlives; journalctl --sync; ls /var/log/journal/*/system.journal")


def test_a_look_that_fails_fails_the_site(story: Story) -> None:
    """Said on the host that speaks for the site, whichever host it is."""
    other = max(HOSTS)
    log = "/var/atlassian/application-data/jira/log/atlassian-jira-security.log"
    story.lab.sh(other, f"rm -r /usr/local/lib/{REVIEW}")
    outcome = story.play("audit")
    entry = next(entry for entry in outcome.entries(min(HOSTS)) if entry["id"] == "DC-LOG-08")
    assert entry["status"] == "fail"
    assert entry["reason"].startswith(f"{other}: nothing reads the logs: /usr/local/lib/")
    assert story.play("harden").code == 0
    assert story.lab.sh(other, f"test -e {log}; systemctl start {REVIEW}; echo yes").strip() == "yes"


def test_rollback_puts_everything_back(story: Story, row: Row) -> None:
    """Done last: the runs of these tests are taken back one after the other."""
    while True:
        outcome = story.lab.play("rollback", "--tags", "log_shipping")
        assert outcome.code == 0, outcome.output
        if not any(outcome.changed_tasks(host) for host in HOSTS):
            break
    for host in HOSTS:
        left = story.lab.sh(host, "find /etc /usr/local -name '*atlassian-dc*' -print")
        states = story.lab.sh(host, "systemctl is-active chrony || systemctl is-enabled chrony || true").split()
        row(f"{host}: keeping logs: rollback", "nothing left", f"{left.split()}, {states}", not left)
        assert left == ""
        assert states == ["inactive", "disabled"]
