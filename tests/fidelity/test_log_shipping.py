# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logs of hosts of Debian 12 and 13 on their way to a collector: nothing is lost, nobody else gets or sends any."""

from __future__ import annotations

import datetime
import json
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._shipping_config import COLLECTOR, SHIPPER
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils import _shipping_authority
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._shipping_authority import Authority

from .lab import Lab, Outcome, differing
from .shipped import DISTURBANCES, FIVE, KEPT, SINK_UNIT, UNIT, Disturbed

HOSTS = {"jira12": "jira:bookworm", "jira13": "jira:trixie"}
SINK = "logs"
"""The collector, with no product on it."""
CONTROL = "DC-LOG-03"
TAGS = ("--tags", CONTROL)
PORT = 2514
ETC = "/etc/atlassian-dc/log-shipping"
STATE = "/var/lib/atlassian-dc-log-shipping"
CAPTURE = (Path(__file__).parent / "capture.py").read_text(encoding="utf-8")
LINES = 2000
"""Lines to each of five logs while everything is disturbed; tests/bench writes more."""
CAPTURING = "/run/capturing"
Row = Callable[[str, str, str, bool], None]


class Story:
    """The way of the hosts from pristine to hardened."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.settings: dict[str, Any] = {
            "atlassian_dc_log_collector": [{"host": lab.group.hosts()[SINK].address, "port": PORT}],
            "atlassian_dc_log_shipping_collector_hosts": [SINK],
            "atlassian_dc_log_shipping_ca_dir": str(lab.folder / "ca"),
            "atlassian_dc_log_shipping_extra_logs": FIVE,
        }
        for host in HOSTS:
            lab.sh(host, "mkdir -p /srv/logs")
        self.unset = lab.play("audit", *TAGS, "--limit", "jira12")
        self.check = self.play("harden", "--check")
        self.before = {host: lab.snapshot(host) for host in HOSTS}
        self.harden = self.play("harden")
        self.after = {host: lab.snapshot(host) for host in HOSTS}
        self.second = self.play("harden")
        self.audit = self.play("audit")

    def play(self, playbook: str, *arguments: str, **variables: Any) -> Outcome:
        return self.lab.play(playbook, *TAGS, *arguments, **{**self.settings, **variables})

    def status(self, outcome: Outcome, host: str) -> str:
        return outcome.statuses(host)[CONTROL]

    def kept(self, pattern: str, host: str = "jira12") -> list[str]:
        return Disturbed(self.lab, "jira12", SINK).kept(pattern, host)

    def arrives(self, word: str, host: str = "jira12", within: float = 60) -> bool:
        """Write a line into the security log of a product, and say whether it comes to the collector."""
        home = next(str(item["home_dir"]) for item in self.harden.report["hosts"][host]["instances"])
        stamp = "2026-11-29 00:00:00,000+0000"
        self.lab.sh(host, f"echo '{stamp} main {word}' >> {home}/log/atlassian-jira-security.log")
        return self.comes(word, host, within)

    def comes(self, word: str, host: str = "jira12", within: float = 60) -> bool:
        end = time.monotonic() + within
        while not self.kept(word, host):
            if time.monotonic() > end:
                return False
            time.sleep(0.5)
        return True

    def sign(self, host: str, prefix: str, authority: Authority, name: str, serves: bool) -> None:
        """Give the key of a host another certificate."""
        request = self.lab.sh(host, f"openssl req -new -key {ETC}/{prefix}key.pem -subj /CN=x")
        self.lab.sh(host, f"cat > {ETC}/{prefix}cert.pem <<'END'\n{authority.sign(request, [name], 30, serves)}END\n")


@pytest.fixture(params=HOSTS)
def host(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    lab = Lab("fidelity-log-shipping", tmp_path_factory.mktemp("log-shipping"))
    try:
        lab.up([*(f"{host}={image}" for host, image in HOSTS.items()), f"{SINK}=base:bookworm"])
        yield Story(lab)
    finally:
        lab.down()


def test_no_run_fails(story: Story) -> None:
    for outcome in (story.unset, story.check, story.harden, story.second, story.audit):
        assert outcome.code == 0, outcome.output


def test_nothing_is_done_until_somebody_says_where_to(story: Story) -> None:
    assert story.status(story.unset, "jira12") == "fail"
    assert "atlassian_dc_log_collector" in story.unset.reason("jira12", CONTROL)
    assert story.unset.changes("jira12") == {}


def test_what_is_predicted_is_what_is_done(story: Story, host: str, row: Row) -> None:
    predicted, real = story.check.changes(host), story.harden.changes(host)
    row(f"{host}: log shipping: changes", f"{len(predicted)} predicted", f"{len(real)} made", predicted == real)
    assert predicted == real
    assert story.status(story.check, host) == "fail"
    assert story.status(story.harden, host) == "fixed", story.harden.reason(host, CONTROL)


def test_only_what_is_predicted_is_written(story: Story, host: str) -> None:
    predicted = {path for path in story.check.changes(host) if path.startswith("/")}
    changed = set(differing(story.before[host], story.after[host]))
    ours = {path for path in changed if "atlassian-dc" in path and path.startswith("/etc/")}
    links = {path for path in ours if ".wants" in path}
    folders = {ETC, "/etc/atlassian-dc"}
    assert predicted <= changed
    assert ours - links - folders == predicted


def test_a_second_run_changes_nothing(story: Story, host: str, row: Row) -> None:
    tasks = story.second.changed_tasks(host)
    row(f"{host}: log shipping: second run", "changed=0", f"changed={len(tasks)}", not tasks)
    assert tasks == [], story.second.changes(host)
    assert story.status(story.second, host) == "pass", story.second.reason(host, CONTROL)
    assert story.status(story.audit, host) == "pass", story.audit.reason(host, CONTROL)


def test_the_rsyslog_that_came_with_it_does_not_run(story: Story, host: str) -> None:
    state = story.lab.sh(
        host, "systemctl is-active rsyslog.service || true; systemctl is-enabled rsyslog.service || true"
    )
    assert state.split() == ["inactive", "disabled"]
    assert story.lab.sh(host, "systemctl list-units --failed --plain --no-legend") == ""


def test_every_kind_of_logs_arrives_whole(story: Story, host: str, row: Row) -> None:
    wanted = {"access", "application", "audit", "security", "journal"}
    names = set(story.lab.sh(SINK, f"ls {KEPT}/{host}/*").split())
    kinds = {name.split(".")[1] for name in names if name.startswith("jira.")}
    row(f"{host}: log shipping: kinds", ", ".join(sorted(wanted)), ", ".join(sorted(kinds)), wanted == kinds)
    assert kinds == wanted
    audit = story.lab.sh(SINK, f"cat {KEPT}/{host}/*/jira.audit.log").splitlines()
    entries = [json.loads(line.partition("] ")[2]) for line in audit]
    assert all("auditType" in entry for entry in entries)
    for key in ("product", "instance", "kind", "node", "file"):
        assert f'{key}="' in audit[0]
    private = story.lab.sh(SINK, f"find {KEPT} -perm /077")
    assert private == ""


def test_an_entry_of_several_lines_stays_one(story: Story, host: str) -> None:
    home = next(str(item["home_dir"]) for item in story.harden.report["hosts"][host]["instances"])
    entry = "2026-11-29 00:00:01,000+0000 main ERROR it-broke\\n\\tat one.two\\nCaused by: x-y\\n\\tat three.four\\n"
    story.lab.sh(host, f"printf '{entry}' >> {home}/log/atlassian-jira.log")
    assert story.comes("it-broke.*at one.two.*Caused by: x-y.*three.four", host)


def test_signs_of_life_arrive(story: Story, host: str, row: Row) -> None:
    expected = {"jira.access", "jira.application", "jira.audit", "jira.security"}
    story.lab.sh(host, "systemctl start atlassian-dc-log-shipping-canary.service")
    end = time.monotonic() + 60
    while True:
        found = set(re.findall(r"canary\.(jira\.\w+)\.log", story.lab.sh(SINK, f"ls {KEPT}/{host}/*")))
        if found == expected or time.monotonic() > end:
            break
        time.sleep(0.5)
    row(f"{host}: log shipping: signs of life", "4 arrive", f"{len(found)} arrive", found == expected)
    assert found == expected


def test_nobody_on_the_way_can_read_it(story: Story, row: Row) -> None:
    argv = ["python3", "-c", CAPTURE, str(PORT), "confidential-word", CAPTURING]
    with ThreadPoolExecutor(1) as pool:
        look = pool.submit(story.lab.group.output, SINK, argv)
        story.lab.sh(SINK, f"timeout 120 sh -c 'until [ -e {CAPTURING} ]; do sleep 0.1; done'")
        try:
            arrived = story.arrives("confidential-word")
        finally:
            story.lab.sh(SINK, f"rm {CAPTURING}")
        size, seen = look.result().split()
    right = arrived and int(size) > 100 and seen == "False"
    row("log shipping: captured traffic", "encrypted", f"{size} bytes, readable: {seen}", right)
    assert right


def test_no_line_is_lost_whatever_happens(story: Story, host: str, row: Row) -> None:
    """Killed five times, the collector stopped, the network cut, logs rotated, one host restarted."""
    steps = DISTURBANCES["all of these"]
    distinct, twice = Disturbed(story.lab, host, SINK).disturb("line", LINES, steps, True, host == "jira12", 300)
    told = f"{distinct} of them, {twice} twice"
    row(f"{host}: log shipping: lines under disturbances", f"{5 * LINES}", told, distinct == 5 * LINES)
    assert distinct == 5 * LINES
    outcome = story.play("audit", "--limit", host)
    assert story.status(outcome, host) == "pass", outcome.reason(host, CONTROL)


def test_a_file_cut_short_is_read_from_its_begin(story: Story) -> None:
    """Also where nothing was read of it since the shipper was started, by which alone rsyslog does not see it."""
    story.lab.sh(
        "jira12", f"systemctl restart {UNIT}; sleep 3; : > /srv/logs/log1; echo after-truncation >> /srv/logs/log1"
    )
    if not story.comes("after-truncation", within=5):
        story.lab.sh("jira12", "systemctl start atlassian-dc-log-shipping-canary.service")
    assert story.comes("after-truncation")


def test_strange_lines_do_no_harm(story: Story, row: Row) -> None:
    """Bytes that are no text, a line of one MB; what comes after them comes."""
    noise = "head -c 3000 /dev/urandom; echo; printf 'nul-%b-line\\n' '\\000'"
    script = f"{noise}; head -c 1000000 /dev/zero | tr '\\0' x; echo big-end"
    story.lab.sh("jira12", f"{{ {script}; echo still-there; }} >> /srv/logs/log2")
    there, big = story.comes("still-there"), story.kept("x{1000}big-end")
    row("log shipping: binary lines and one of 1 MB", "arrive", f"{there}, {len(big)}", there and len(big) == 1)
    assert there
    assert len(big) == 1


def _expired(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """Return the authority as it was long ago: what it signs is no longer valid."""
    past = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0) - datetime.timedelta(days=60)
    monkeypatch.setattr(_shipping_authority, "now", lambda: past)
    return Authority(folder)


@pytest.mark.parametrize("wrong", ["foreign", "expired", "wrong name"])
def test_only_the_right_ones_are_believed(
    story: Story, row: Row, wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither does a host send anything to a collector that it does not know, nor the collector take it from one."""
    lab, host, ca = story.lab, "jira12", story.lab.folder / "ca"
    authority = Authority(tmp_path / "other") if wrong == "foreign" else Authority(ca)
    if wrong == "expired":
        authority = _expired(ca, monkeypatch)
    word = f"secret-{wrong.replace(' ', '-')}"
    for which, place, prefix, unit, name, serves in (
        ("collector", SINK, "collector-", SINK_UNIT, COLLECTOR, True),
        ("shipper", host, "", UNIT, SHIPPER, False),
    ):
        wrong_name = "stranger.example" if wrong == "wrong name" else name
        lab.sh(place, f"cp -p {ETC}/{prefix}cert.pem /root/right.pem")
        story.sign(place, prefix, authority, wrong_name, serves)
        lab.sh(place, f"systemctl restart {unit}")
        arrived = story.arrives(f"{word}-{which}", within=6)
        outcome = story.play("audit", "--limit", host)
        reason = outcome.reason(host, CONTROL)
        lab.sh(place, f"cat /root/right.pem > {ETC}/{prefix}cert.pem; systemctl restart {unit}")
        refused = not arrived and story.status(outcome, host) == "fail"
        row(f"log shipping: {which} with a certificate that is {wrong}", "refused", reason, refused)
        assert refused
        # What was refused is sent once it may be, at the latest with the next sign of life after a minute without any.
        for _try in range(12):
            lab.sh(host, "systemctl start atlassian-dc-log-shipping-canary.service")
            if story.comes(f"{word}-{which}", within=10):
                break
        assert story.kept(f"{word}-{which}")


def test_it_is_taken_back(story: Story, row: Row) -> None:
    """What the run has set up goes; the next test sets it up again."""
    host = "jira13"
    outcome = story.lab.play("rollback", "--tags", "log_shipping", "--limit", host)
    assert outcome.code == 0, outcome.output
    now = story.lab.snapshot(host)
    left = {path for path in now if path.startswith(("/etc/atlassian-dc", "/etc/systemd")) and "log-shipping" in path}
    left -= set(story.before[host])
    state = story.lab.sh(host, f"systemctl is-active {UNIT} || true").strip()
    row("log shipping: rollback", "nothing left", f"{sorted(left)}, {state}", not left and state == "inactive")
    assert left == set()
    assert state == "inactive"


def test_what_is_dropped_at_the_cap_is_counted(story: Story, row: Row) -> None:
    lab, host, count = story.lab, "jira13", 60_000
    outcome = story.play("harden", "--limit", host, atlassian_dc_log_shipping_queue_megabytes=9)
    assert story.status(outcome, host) == "fixed", outcome.reason(host, CONTROL)
    lab.sh(SINK, f"systemctl stop {SINK_UNIT}")
    lab.sh(host, f"seq -f 'capped %.0f of the lines of a log' {count} >> /srv/logs/log3")
    lab.sh(host, f"timeout 300 sh -c 'until grep -q \"discarded.full.: [1-9]\" {STATE}/stats.json; do sleep 1; done'")
    lab.sh(SINK, f"systemctl start {SINK_UNIT}")
    found: set[str] = set()
    dropped = 0
    end = time.monotonic() + 300
    while len(found) + dropped < count and time.monotonic() < end:
        time.sleep(3)
        found = set(story.kept("capped [0-9]+ of", host))
        stats = lab.sh(host, f"grep -o '\"discarded.full\": [0-9]*' {STATE}/stats.json | cut -d' ' -f2")
        dropped = sum(map(int, stats.split()))
    told = f"{len(found)} came, {dropped} dropped"
    row("log shipping: at the cap of the queue", f"{count} come or are counted", told, len(found) + dropped == count)
    assert dropped > 0
    assert len(found) + dropped == count
    outcome = story.play("audit", "--limit", host, atlassian_dc_log_shipping_queue_megabytes=9)
    assert story.status(outcome, host) == "fail"
    assert "dropped" in outcome.reason(host, CONTROL)
    lab.sh(host, f": > {STATE}/stats.json")
    assert story.status(story.play("harden", "--limit", host), host) == "fixed"


def test_a_full_disk_of_the_collector_keeps_it_from_confirming(story: Story, row: Row) -> None:
    lab, count = story.lab, 4000
    lab.sh(
        SINK,
        f"""
        systemctl stop {SINK_UNIT}
        mount -t tmpfs -o size=100m,mode=0700 none {KEPT}
        systemctl start {SINK_UNIT}
        head -c 50000000 /dev/zero > {KEPT}/ballast
        timeout 300 sh -c 'while systemctl is-active -q {SINK_UNIT}; do sleep 0.2; done'
        """,
    )
    lab.sh("jira13", f"seq -f 'full %.0f of a disk that has no more room for it' {count} >> /srv/logs/log4")
    time.sleep(5)
    before = len(set(story.kept("full [0-9]+ of", "jira13")))
    lab.sh(SINK, f"rm {KEPT}/ballast")
    found, end = 0, time.monotonic() + 90
    while found < count and time.monotonic() < end:
        time.sleep(2)
        found = len(set(story.kept("full [0-9]+ of", "jira13")))
    lab.sh(SINK, f"systemctl stop {SINK_UNIT}; umount {KEPT}; systemctl start {SINK_UNIT}")
    row(
        "log shipping: full disk of the collector", f"{count} lines", f"{before}, then {found}", before < count == found
    )
    assert before < count
    assert found == count


def test_a_full_disk_of_the_host_keeps_lines_in_their_logs(story: Story, row: Row) -> None:
    lab, host, count = story.lab, "jira13", 3000
    lab.sh(
        host,
        f"""
        systemctl stop {UNIT}
        cp -a {STATE} /root/state
        mount -t tmpfs -o size=100m,mode=0700 none {STATE}
        cp -a /root/state/. {STATE}/
        systemctl start {UNIT}
        head -c 50000000 /dev/zero > {STATE}/ballast
        timeout 300 sh -c 'while systemctl is-active -q {UNIT}; do sleep 0.2; done'
        seq -f 'crowded %.0f of the lines of a log' {count} >> /srv/logs/log5
        """,
    )
    outcome = story.play("audit", "--limit", host)
    reason = outcome.reason(host, CONTROL)
    lab.sh(host, f"rm {STATE}/ballast")
    found, end = 0, time.monotonic() + 300
    while found < count and time.monotonic() < end:
        time.sleep(2)
        found = len(set(story.kept("crowded [0-9]+ of", host)))
    lab.sh(host, f"systemctl stop {UNIT}; cp -a {STATE}/. /root/state/; umount {STATE}; cp -a /root/state/. {STATE}/")
    lab.sh(host, f"systemctl start {UNIT}")
    row("log shipping: full disk of the host", f"{count} lines, told", f"{found}, {reason}", found == count)
    assert story.status(outcome, host) == "fail"
    assert "until there is room" in reason
    assert found == count


def test_the_next_collector_takes_over_also_by_syslog(story: Story, row: Row) -> None:
    """The first is not there; the second takes syslog over TLS."""
    address = story.lab.group.hosts()[SINK].address
    collectors = [{"host": address, "port": 2599}, {"host": address, "port": 6514, "protocol": "tcp"}]
    settings = {"atlassian_dc_log_collector": collectors, "atlassian_dc_log_shipping_collector_syslog_port": 6514}
    outcome = story.play("harden", "--limit", "jira13", **settings)
    told = f"{address}:2599" in outcome.output
    arrived = story.arrives("by-the-second", "jira13", 60)
    status = story.status(outcome, "jira13")
    row("log shipping: the next of two collectors", "takes over", f"{status}, {arrived}", arrived and told)
    assert status == "fixed", outcome.reason("jira13", CONTROL)
    assert told
    assert arrived
    assert story.status(story.play("harden", "--limit", "jira13"), "jira13") == "fixed"
    assert story.arrives("by-the-first-again", "jira13", 60)


def test_a_broken_rsyslog_of_the_host_is_left_alone(story: Story, row: Row) -> None:
    lab, host = story.lab, "jira12"
    lab.sh(host, "systemctl enable --now --quiet rsyslog; echo 'nonsense(' > /etc/rsyslog.d/mine.conf")
    outcome = story.play("harden", "--limit", host)
    told = "this host's own rsyslog is broken" in re.sub(r"\s+", " ", outcome.output)
    there = lab.sh(host, "cat /etc/rsyslog.d/mine.conf; systemctl is-active rsyslog.service").split()
    right = told and there == ["nonsense(", "active"] and story.status(outcome, host) == "pass"
    row("log shipping: a broken rsyslog of the host", "told, left running", ", ".join(there), right)
    assert right, outcome.output
    lab.sh(host, "rm /etc/rsyslog.d/mine.conf; systemctl disable --now --quiet rsyslog syslog.socket")


@pytest.mark.parametrize(
    "script",
    [
        f"systemctl stop {UNIT}",
        f"systemctl disable --quiet {UNIT}",
        f"sed -i s/persistStateInterval/persiststateinterval/ {ETC}/rsyslog.conf",
        "systemctl disable --now --quiet atlassian-dc-log-shipping-canary.timer",
        f"rm {ETC}/cert.pem",
    ],
)
def test_what_is_broken_is_found_and_put_right(story: Story, row: Row, script: str) -> None:
    story.lab.sh("jira12", script)
    outcome = story.play("harden", "--limit", "jira12")
    status = story.status(outcome, "jira12")
    row(f"log shipping: {script}", "fixed", status, status == "fixed")
    assert status == "fixed", outcome.reason("jira12", CONTROL)
