# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module on a host that is a folder: what it judges, predicts, asks for and writes."""

from __future__ import annotations

import datetime
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.action.log_shipping import logs_of
from ansible_collections.atlassian_dc.hardening.plugins.module_utils import _shipping_host
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._changes import Changes
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._findings import Findings
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._shipping_collector import LOGS
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._shipping_config import (
    CANARY_TIMER,
    COLLECTOR,
    CONFIG,
    FOLDER,
    SERVICE,
    SHIPPER,
    STATE,
    SYSTEMD,
)
from ansible_collections.atlassian_dc.hardening.plugins.modules.log_collector import LogCollector
from ansible_collections.atlassian_dc.hardening.plugins.modules.log_shipping import CONTROLS, LogShipping
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._shipping_authority import Authority
from unit.packages.installing import Installing

JIRA = {"name": "jira", "product": "jira", "unit": "jira.service", "home_dir": "/home/jira", "install_dir": "/opt/jira"}
PARAMS: dict[str, Any] = {
    "instances": [JIRA],
    "packages": ["rsyslog"],
    "products": {"jira": logs_of("jira")},
    "collectors": [{"host": "logs1", "port": 2514, "protocol": "relp"}],
    "host_logs": [],
    "extra_logs": [],
    "node": "node1",
    "certificate": None,
    "peers": [],
    "queue_megabytes": 100,
    "authority": None,
    "issued": None,
    "collector_results": [],
}


class Host:
    """A host in a folder; openssl is real, systemd and rsyslog are not."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.installed: set[str] = set()
        self.units: dict[str, dict[str, str]] = {}
        self.complaint = ""
        self.commands: list[list[str]] = []

    def run(self, argv: list[str], **options: Any) -> tuple[int, str, str]:
        if argv[0] == "openssl":
            done = subprocess.run(argv, capture_output=True, text=True, check=False)
            return done.returncode, done.stdout, done.stderr
        if argv[0] == "/usr/sbin/rsyslogd":
            return (1, "", f"rsyslogd: error {self.complaint}") if self.complaint else (0, "", "")
        if argv[:2] == ["systemctl", "show"]:
            blocks = []
            for name in argv[argv.index("--") + 1 :]:
                unit = {"Id": name, "LoadState": "not-found", "ActiveState": "inactive", **self.units.get(name, {})}
                blocks.append("\n".join(f"{key}={value}" for key, value in unit.items()))
            return 0, "\n\n".join(blocks) + "\n", ""
        self.commands.append(argv)
        if argv[0] == "systemctl" and argv[1] in ("enable", "start", "restart"):
            change = {"UnitFileState": "enabled"} if argv[1] == "enable" else {"ActiveState": "active"}
            self.units.setdefault(argv[-1], {"LoadState": "loaded"}).update(change)
            if argv[-1] == SERVICE and argv[1] != "enable":
                self.start()
        return 0, "", ""

    def start(self) -> None:
        """Give the service a process that was started with what its unit tells."""
        text = (self.root / SYSTEMD.lstrip("/") / SERVICE).read_text()
        environment = next(line.partition("=")[2] for line in text.splitlines() if line.startswith("Environment="))
        folder = self.root / "proc/77"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "environ").write_bytes(environment.encode() + b"\0")
        self.units[SERVICE]["MainPID"] = "77"


class Trial:
    """One execution after the other on a host."""

    def __init__(self, root: Path) -> None:
        self.host = Host(root)
        self.authority = Authority(root / "controller")
        self.answer = ""

    def shipping(self, check_mode: bool = False, **params: Any) -> tuple[LogShipping, Findings, Changes]:
        given = {**PARAMS, "authority": self.authority.certificate(), **params}
        findings = Findings(given, CONTROLS, check_mode)
        changes = Changes(check_mode, self.host.run)
        made = LogShipping(
            given, findings, changes, self.host.run, str(self.host.root), lambda *_arguments: self.answer
        )
        made.run()
        return made, findings, changes

    def harden(self, **params: Any) -> tuple[str, str]:
        """Run it as the action plugin does; return status and reason."""
        made, findings, _changes = self.shipping(**params)
        if made.request is not None:
            signed = self.authority.sign(made.request, [SHIPPER, "node1"], 30, serves=False)
            issued = {"ca": self.authority.certificate(), "cert": signed}
            _made, findings, _changes = self.shipping(**params, issued=issued)
        (found,) = findings.results
        return found["status"], found["reason"]

    def judge(self, **params: Any) -> tuple[str, str]:
        _made, findings, changes = self.shipping(check_mode=True, **params)
        (found,) = findings.results
        return found["status"], f"{found['reason']} {found['evidence']} {changes.count}"

    def path(self, path: str) -> Path:
        return self.host.root / path.lstrip("/")


@pytest.fixture
def trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Trial:
    made = Trial(tmp_path)
    monkeypatch.setattr(_shipping_host, "package_manager", Installing(made.host.installed).found)
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    monkeypatch.setattr("ansible_collections.atlassian_dc.hardening.plugins.modules.log_shipping.PATIENCE", 0)
    return made


def test_it_predicts_what_it_does_and_does_it_once(trial: Trial) -> None:
    _made, findings, foreseen = trial.shipping(check_mode=True)
    assert findings.results[0]["status"] == "fail"
    assert not trial.path(FOLDER).exists()
    made, _findings, first = trial.shipping()
    assert made.request is not None
    signed = trial.authority.sign(made.request, [SHIPPER], 30, serves=False)
    issued = {"ca": trial.authority.certificate(), "cert": signed}
    _made, findings, second = trial.shipping(issued=issued)
    assert findings.results[0]["status"] == "fixed", findings.results

    def targets(*runs: Changes) -> set[str]:
        root = str(trial.host.root)
        return {entry["target"].removeprefix(root) for run in runs for entry in run.entries}

    assert targets(foreseen) == targets(first, second)
    assert trial.path(f"{FOLDER}/key.pem").stat().st_mode & 0o777 == 0o600
    _made, findings, third = trial.shipping()
    assert third.count == 0
    assert findings.results[0]["status"] == "pass", findings.results
    # Nothing that a result may show holds the key.
    key = trial.path(f"{FOLDER}/key.pem").read_text().splitlines()[1]
    assert key not in json.dumps([first.entries, first.diff, second.diff, made.request])


def test_nobody_has_said_where_to(trial: Trial) -> None:
    status, told = trial.judge(collectors=None)
    assert status == "fail"
    assert "atlassian_dc_log_collector" in told
    status, told = trial.judge(collectors=[])
    assert status == "fail"
    assert "no log leaves the host" in told
    assert told.endswith(" 0")


def test_hosts_it_does_not_concern(trial: Trial) -> None:
    assert trial.judge(instances=[])[0] == "not_applicable"
    assert trial.judge(packages=None)[0] == "not_checked"
    assert trial.judge(products={"jira": {"logs": None, "log_formats": None}})[0] == "not_checked"


@pytest.mark.parametrize(
    ("breaks", "words"),
    [
        (lambda t: t.host.units[SERVICE].update(ActiveState="failed", Result="signal"), "failed (signal)"),
        (lambda t: t.host.units[SERVICE].update(UnitFileState="disabled"), "disabled"),
        (lambda t: t.host.units[CANARY_TIMER].update(ActiveState="inactive"), CANARY_TIMER),
        (lambda t: t.host.installed.clear(), "package rsyslog"),
        (lambda t: t.path(CONFIG).write_text("x"), "other content"),
        (lambda t: t.path("/proc/77/environ").write_bytes(b"ATLASSIAN_DC_CONFIG=0\0"), "started with another one"),
        (lambda t: t.path(f"{FOLDER}/cert.pem").write_text("x"), "cert.pem"),
        (lambda t: t.path(f"{FOLDER}/key.pem").chmod(0o644), "others can"),
        (lambda t: setattr(t, "answer", "its certificate is not believed"), "not believed"),
    ],
)
def test_what_is_broken_is_found(trial: Trial, breaks: Any, words: str) -> None:
    assert trial.harden()[0] == "fixed"
    breaks(trial)
    status, told = trial.judge()
    assert status == "fail"
    assert words in told


def test_another_collector_is_enough(trial: Trial) -> None:
    two = [{"host": name, "port": 1, "protocol": "relp"} for name in ("logs1", "logs2")]
    assert trial.harden(collectors=two)[0] == "fixed"
    given = {**PARAMS, "authority": trial.authority.certificate(), "collectors": two}
    findings = Findings(given, CONTROLS, True)
    answers = iter(["gone", ""])
    made = LogShipping(
        given, findings, Changes(True), trial.host.run, str(trial.host.root), lambda *_arguments: next(answers)
    )
    made.run()
    assert findings.results[0]["status"] == "pass"
    assert made.silent == ["collector logs1:1: gone"]


def test_what_rsyslog_refuses_replaces_nothing(trial: Trial) -> None:
    trial.host.complaint = "in line 3"
    status, reason = trial.harden()
    assert status == "fail"
    assert "refused" in reason
    assert not trial.path(CONFIG).exists()
    assert not trial.path(f"{SYSTEMD}/{SERVICE}").exists()


def test_a_masked_unit_is_left_masked(trial: Trial) -> None:
    trial.host.units[SERVICE] = {"LoadState": "masked"}
    status, reason = trial.harden()
    assert status == "fail"
    assert "unmask" in reason
    assert trial.host.commands == []


def test_a_certificate_of_others_is_never_written(trial: Trial) -> None:
    given = {kind: f"/etc/mine/{kind}.pem" for kind in ("ca", "cert", "key")}
    status, reason = trial.harden(certificate=given)
    assert status == "fail"
    assert "/etc/mine/key.pem: absent" in reason
    assert not trial.path("/etc/mine").exists()


def test_a_certificate_is_renewed_in_time(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    assert trial.harden()[0] == "fixed"
    old = trial.path(f"{FOLDER}/cert.pem").read_text()
    key = trial.path(f"{FOLDER}/key.pem").read_text()
    later = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=21)
    made, _findings, _changes = trial.shipping(check_mode=True)
    assert made.host.flaws_of(made.certificate, trial.authority.certificate(), SHIPPER, later) != []
    soon = later - datetime.timedelta(days=3)
    assert made.host.flaws_of(made.certificate, trial.authority.certificate(), SHIPPER, soon) == []
    trial.path(f"{FOLDER}/cert.pem").unlink()
    assert trial.harden()[0] == "fixed"
    assert trial.path(f"{FOLDER}/cert.pem").read_text() != old
    assert trial.path(f"{FOLDER}/key.pem").read_text() == key


def test_a_sign_of_life_that_does_not_arrive_is_missed(trial: Trial) -> None:
    assert trial.harden()[0] == "fixed"
    folder = trial.path(f"{STATE}/canary")
    folder.mkdir(parents=True)
    (folder / "jira.audit").write_text("canary 1000\ncanary 99999999999\n")
    told = trial.judge(collector_results=[{"collector": "logs1", "seen": {"node1": {"jira.audit": 900}}}])
    assert told[0] == "fail"
    assert "sign of life of jira.audit" in told[1]
    told = trial.judge(collector_results=[{"collector": "logs1", "seen": {"node1": {"jira.audit": 1000}}}])
    assert told[0] == "pass"
    told = trial.judge(collector_results=[{"collector": "logs1", "refused": ["it is gone"], "seen": {}}])
    assert "it is gone" in told[1]


def test_what_was_dropped_is_told(trial: Trial) -> None:
    assert trial.harden()[0] == "fixed"
    entry = {"name": "ship", "origin": "core.queue", "size": 3, "discarded.full": 12}
    trial.path(STATE).mkdir(parents=True)
    trial.path(f"{STATE}/stats.json").write_text(f"now: {json.dumps(entry)}\n")
    status, told = trial.judge()
    assert status == "fail"
    assert "12 entries were dropped" in told


def test_the_rsyslog_of_the_host_is_looked_at_only_where_it_is_used(trial: Trial) -> None:
    made, _findings, _changes = trial.shipping(check_mode=True)
    trial.host.complaint = "in their file"
    assert made.complaint_of_host() == ""
    for path in ("etc/rsyslog.conf", "usr/sbin/rsyslogd"):
        (trial.host.root / path).parent.mkdir(parents=True, exist_ok=True)
        (trial.host.root / path).write_text("")
    assert made.complaint_of_host() == ""
    trial.host.units["rsyslog.service"] = {"ActiveState": "active"}
    assert "in their file" in made.complaint_of_host()


def test_a_collector_is_set_up_once(trial: Trial) -> None:
    params = {
        "collector": "logs1",
        "packages": {"debian": ["rsyslog"], "redhat": ["rsyslog"]},
        "relp_port": 2514,
        "syslog_port": 6514,
        "certificate": None,
        "peers": [],
        "days": 30,
        "authority": None,
        "issued": None,
    }

    def run(**more: Any) -> tuple[LogCollector, Changes, list[str]]:
        changes = Changes(False, trial.host.run)
        made = LogCollector({**params, **more}, True, changes, trial.host.run, str(trial.host.root))
        return made, changes, made.run()

    first, _changes, _refused = run()
    assert first.request is not None
    signed = trial.authority.sign(first.request, [COLLECTOR], 30, serves=True)
    issued = {"ca": trial.authority.certificate(), "cert": signed}
    _made, changes, refused = run(authority=issued["ca"], issued=issued)
    assert refused == []
    assert changes.count > 0
    made, changes, refused = run(authority=issued["ca"])
    assert (changes.count, refused) == (0, [])
    assert made.seen() == {}
    trial.path(LOGS).mkdir(parents=True)
    assert made.seen() == {}
