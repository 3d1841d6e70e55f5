# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""File integrity on hosts of Debian 12 and 13: what a run renews, what it does not, and a baseline that was altered."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from .lab import Lab, Outcome, differing

HOSTS = {"jira12": "jira:bookworm", "jira13": "jira:trixie"}
BROKEN, REPLACED = "jira12", "jira13"
"""A host whose files are changed, and one whose baseline is replaced too."""
ROLE = ("--tags", "file_integrity")
CONTROLS = {"DC-FIM-01", "DC-FIM-02", "DC-FIM-03"}
INSTALL, HOME = "/opt/atlassian/jira", "/var/atlassian/application-data/jira"
STATE = "/var/lib/atlassian-dc-file-integrity"
BASELINE = f"{STATE}/baseline.db.gz"
JAR, SETENV, SCRIPT = f"{INSTALL}/lib/catalina.jar", f"{INSTALL}/bin/setenv.sh", f"{INSTALL}/bin/catalina.sh"
APP = f"{HOME}/plugins/installed-plugins/unheard-of.jar"
INTRUSION = f"""
touch -r {JAR} /run/times; printf x >> {JAR}; touch -r /run/times {JAR}
echo '# unheard of' >> {SETENV}
chmod 0777 {SETENV}
echo x > {APP}
chmod u+s {SCRIPT}
"""
"""A jar with its old times, a foreign line in a script that harden closes, a new app, a mode that harden puts right."""
REPLACEMENT = f"""
printf x >> {JAR}
aide --config=/etc/atlassian-dc/file-integrity/aide.conf --init >/dev/null
cp {STATE}/new.db.gz {BASELINE}
"""
FOUND = {JAR: "changed program file: sha256", SETENV: "changed configuration file: sha256", APP: "new app: sha256"}
"""What has to be said of each."""
REASON = "CHG-4711"
Row = Callable[[str, str, str, bool], None]


class Story:
    """The way of the hosts from pristine over hardened to broken into."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.check = lab.play("harden", *ROLE, "--check")
        self.before = {host: lab.snapshot(host) for host in HOSTS}
        self.baseline = lab.play("harden", *ROLE)
        self.after = {host: lab.snapshot(host) for host in HOSTS}
        self.kept = {host: self.copy(host) for host in HOSTS}
        # The whole of it, with a restart: thousands of owners and modes, units, files of its own.
        self.predicted = lab.play("harden", "--check", atlassian_dc_allow_restart=True)
        self.harden = lab.play("harden", atlassian_dc_allow_restart=True)
        self.renewed = lab.play("audit", *ROLE)
        self.rollback = lab.play("rollback", "--limit", REPLACED, atlassian_dc_allow_restart=True)
        self.back = lab.play("audit", *ROLE, "--limit", REPLACED)
        self.again = lab.play("harden", "--limit", REPLACED, atlassian_dc_allow_restart=True)
        lab.sh(BROKEN, INTRUSION)
        lab.sh(REPLACED, REPLACEMENT)
        self.found = lab.play("audit", *ROLE)
        self.repair = lab.play("harden", "--tags", "file_permissions,file_integrity")
        self.still = lab.play("audit", *ROLE)

    def copy(self, host: str) -> bytes:
        return (self.lab.group.baselines / f"{host}.db.gz").read_bytes()

    def log(self, host: str) -> list[dict[str, Any]]:
        text = (self.lab.group.baselines / f"{host}.log.jsonl").read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines()]

    def hash_on(self, host: str) -> str:
        return self.lab.sh(host, f"sha256sum {BASELINE}").split()[0]


@pytest.fixture(params=HOSTS)
def host(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    lab = Lab("fidelity-integrity", tmp_path_factory.mktemp("integrity"))
    try:
        lab.up([f"{host}={image}" for host, image in HOSTS.items()])
        yield Story(lab)
    finally:
        lab.down()


def statuses(outcome: Outcome, host: str) -> list[str]:
    """Return the status of each control, in their order."""
    return [status for control, status in sorted(outcome.statuses(host).items()) if control in CONTROLS]


def evidence(outcome: Outcome, host: str, control: str) -> dict[str, dict[str, str]]:
    """Return the evidence of a control by what it is about."""
    entry = next(entry for entry in outcome.entries(host) if entry["id"] == control)
    return {item["what"]: item for item in entry["evidence"]}


def test_no_run_fails(story: Story) -> None:
    outcomes = [value for value in vars(story).values() if isinstance(value, Outcome)]
    assert [outcome.output for outcome in outcomes if outcome.code] == []


def test_what_is_predicted_is_what_is_done(story: Story, host: str, row: Row) -> None:
    predicted, real = story.check.changes(host), story.baseline.changes(host)
    row(f"{host}: file integrity: changes", f"{len(predicted)} predicted", f"{len(real)} made", predicted == real)
    assert predicted == real
    assert statuses(story.check, host) == ["fail", "not_checked", "fail"]
    assert statuses(story.baseline, host) == ["fixed", "pass", "fixed"]


def test_only_what_is_predicted_is_written(story: Story, host: str) -> None:
    changed = differing(story.before[host], story.after[host])
    # Running products write their logs by themselves.
    ours = {path for path in changed if not re.search("/logs?(/|$)", path)}
    unforeseen = {path for path in ours if path.startswith(("/etc", "/opt", "/var/atlassian"))}
    folders = {"/etc", "/etc/atlassian-dc", "/etc/atlassian-dc/file-integrity", "/etc/systemd/system"}
    links = {path for path in unforeseen if ".wants" in path}
    assert unforeseen - folders - links - {"/etc/ld.so.cache"} == {
        path for path in story.check.changes(host) if path.startswith("/etc")
    }


def test_the_distribution_s_timer_is_not_there(story: Story, host: str) -> None:
    assert "dailyaidecheck" not in story.lab.sh(host, "systemctl list-unit-files --no-legend")


def test_a_copy_is_kept(story: Story, host: str) -> None:
    kept = hashlib.sha256(story.kept[host]).hexdigest()
    assert kept == story.log(host)[0]["sha256"]
    assert oct((story.lab.group.baselines / f"{host}.db.gz").stat().st_mode)[-3:] == "600"


def test_the_whole_hardening_is_renewed_and_nothing_is_left(story: Story, host: str, row: Row) -> None:
    assert statuses(story.harden, host) == ["pass", "pass", "pass"]
    renewed = {path for entry in story.log(host) for path in entry.get("renewed", [])}
    right = statuses(story.renewed, host) == ["pass", "pass", "pass"]
    row(f"{host}: file integrity: after a whole harden", "nothing differs", f"{len(renewed)} renewed", right)
    assert right, story.renewed.reason(host, "DC-FIM-02")
    assert {SCRIPT, "/etc/systemd/system/jira.service.d/zz-atlassian-dc-service-user.conf"} <= renewed
    assert BASELINE in story.predicted.changes(host)


def test_rollback_takes_back_the_baseline_with_the_files(story: Story) -> None:
    assert statuses(story.back, REPLACED) == ["pass", "fail", "fail"]
    assert "not the one that is kept" in story.back.reason(REPLACED, "DC-FIM-03")
    # The unit's own drop-in is back only after the restart.
    assert statuses(story.again, REPLACED) == ["pass", "fixed", "fixed"]


def test_an_intrusion_is_told_in_the_right_words(story: Story, row: Row) -> None:
    told = evidence(story.found, BROKEN, "DC-FIM-02")
    for path, words in FOUND.items():
        said = told.get(path, {}).get("actual", "nothing")
        row(f"{BROKEN}: {path}", words, said[:60], said.startswith(words))
        assert said.startswith(words)
    assert " 4755, " in told[SCRIPT]["actual"]
    assert told[JAR]["expected"].startswith("sha256 ")
    assert told[JAR]["expected"][:71] != told[JAR]["actual"].partition(": ")[2][:71]
    assert told[APP]["expected"] == "absent"
    assert set(told) == {*FOUND, SCRIPT}


def test_a_harden_launders_nothing(story: Story, row: Row) -> None:
    """It closes the script, and what it puts right is as in the baseline again; the rest stays."""
    left = set(evidence(story.still, BROKEN, "DC-FIM-02"))
    row(f"{BROKEN}: left after a harden", "jar, setenv.sh, app", f"{sorted(left)}", left == set(FOUND))
    assert left == set(FOUND)
    assert story.lab.sh(BROKEN, f"stat -c %a {SETENV} {SCRIPT}").split() == ["750", "755"]


def test_a_replaced_baseline_is_found_and_put_back(story: Story, row: Row) -> None:
    told = evidence(story.found, REPLACED, "DC-FIM-03")
    row(f"{REPLACED}: replaced baseline", "altered", story.found.reason(REPLACED, "DC-FIM-03"), len(told) > 1)
    assert "it was altered" in story.found.reason(REPLACED, "DC-FIM-03")
    assert f"{BASELINE}: {JAR}" in told
    assert set(evidence(story.found, REPLACED, "DC-FIM-02")) == {JAR}
    assert statuses(story.repair, REPLACED) == ["pass", "fail", "fixed"]
    assert story.hash_on(REPLACED) == hashlib.sha256(story.copy(REPLACED)).hexdigest()
    assert set(evidence(story.still, REPLACED, "DC-FIM-02")) == {JAR}


def test_the_timer_s_check_writes_to_the_journal(story: Story) -> None:
    story.lab.sh(BROKEN, "systemctl start atlassian-dc-file-integrity.service")
    said = story.lab.sh(BROKEN, "journalctl --sync; journalctl -q -o cat -p err -t atlassian-dc-file-integrity")
    assert "files differ from the baseline" in said
    assert APP in story.lab.sh(BROKEN, f"cat {STATE}/report.txt")


def test_accepting_takes_a_reason_and_is_logged(story: Story, row: Row) -> None:
    refused = story.lab.play("harden", *ROLE, "--limit", BROKEN, atlassian_dc_file_integrity_accept=["jira"])
    assert refused.code != 0
    assert "atlassian_dc_file_integrity_reason" in refused.output
    done = story.lab.play(
        *("harden", *ROLE),
        atlassian_dc_file_integrity_accept=[SETENV, JAR],
        atlassian_dc_file_integrity_reason=REASON,
    )
    assert set(evidence(done, BROKEN, "DC-FIM-02")) == {APP}
    assert statuses(done, REPLACED) == ["pass", "pass", "pass"]
    entry = story.log(BROKEN)[-1]
    right = entry["reason"] == REASON and entry["accepted"] == sorted([SETENV, JAR])
    row(f"{BROKEN}: accepted by path", "logged on controller and host", f"{entry['accepted']}", right)
    assert right
    assert REASON in story.lab.sh(BROKEN, "journalctl --no-pager -o cat -t atlassian-dc-file-integrity")
    named = story.lab.play(
        *("harden", *ROLE, "--limit", BROKEN),
        atlassian_dc_file_integrity_accept=["jira"],
        atlassian_dc_file_integrity_reason=REASON,
    )
    assert statuses(named, BROKEN) == ["pass", "pass", "pass"]


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (f"head -c 3000 {BASELINE} > /run/x; cat /run/x > {BASELINE}", "cut short"),
        (f"zcat {BASELINE} | head -n 40 | gzip > /run/x; cat /run/x > {BASELINE}", "@@end_db is missing"),
        (f"rm {BASELINE}", "absent"),
        (f"echo nonsense > {BASELINE}", "not compressed"),
    ],
)
def test_a_damaged_baseline_is_not_believed(story: Story, row: Row, script: str, words: str) -> None:
    before = story.hash_on(REPLACED)
    story.lab.sh(REPLACED, script)
    outcome = story.lab.play("harden", *ROLE, "--limit", REPLACED)
    said = json.dumps(evidence(outcome, REPLACED, "DC-FIM-03"))
    row(f"{REPLACED}: {script[:40]}", words, said[:60], words in said)
    assert words in said
    assert statuses(outcome, REPLACED) == ["fixed", "pass", "fixed"]
    assert story.hash_on(REPLACED) == before


def test_missing_aide_is_installed_again(story: Story) -> None:
    story.lab.sh(REPLACED, "dpkg --remove aide >/dev/null")
    audit = story.lab.play("audit", *ROLE, "--limit", REPLACED)
    assert statuses(audit, REPLACED) == ["fail", "pass", "pass"]
    assert "package aide: absent" in audit.reason(REPLACED, "DC-FIM-01")
    assert statuses(story.lab.play("harden", *ROLE, "--limit", REPLACED), REPLACED) == ["fixed", "pass", "pass"]


def test_a_full_disk_leaves_no_half_baseline(story: Story) -> None:
    """There is no copy to put back, so a baseline would have to be taken."""
    elsewhere: dict[str, Any] = {"atlassian_dc_file_integrity_copies": str(story.lab.folder / "elsewhere")}
    full = f"mount -t tmpfs -o size=16k tmpfs {STATE}; head -c 1M /dev/zero > {STATE}/x || true"
    story.lab.sh(REPLACED, full)
    try:
        outcome = story.lab.play("harden", *ROLE, "--limit", REPLACED, **elsewhere)
        assert statuses(outcome, REPLACED) == ["fail", "not_checked", "fail"]
        assert "No space left on device" in outcome.reason(REPLACED, "DC-FIM-01")
        assert story.lab.sh(REPLACED, f"ls {STATE}").split().count("baseline.db.gz") == 0
    finally:
        story.lab.sh(REPLACED, f"umount {STATE}; systemctl reset-failed")
    assert statuses(story.lab.play("audit", *ROLE, "--limit", REPLACED), REPLACED) == ["pass", "pass", "pass"]
