# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who rotates which log, and what is done about it."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.action.log_retention import rotation
from ansible_collections.atlassian_dc.hardening.plugins.module_utils import _retention as rules
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._changes import Changes
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._discovery_parse import parse_xml
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._findings import Findings
from ansible_collections.atlassian_dc.hardening.plugins.modules import log_retention
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._products import load_products
from unit.log_keeping.kept_host import ACCOUNT, JIRA, SERVER_XML, KeptHost

LOGROTATE = """\
reading config file /etc/logrotate.conf
including /etc/logrotate.d
reading config file somebody

Handling 3 logs

rotating pattern: /data/jira/log/*.log  weekly (4 rotations)
empty log files are rotated, old logs are removed
considering log /data/jira/log/atlassian-jira.log
  Now: 2026-11-29 04:13
considering log /data/jira/log/atlassian-jira-security.log

rotating pattern: /opt/jira/logs/catalina.out  after 1 days (30 rotations)
considering log /opt/jira/logs/catalina.out

rotating pattern: /var/log/x.log  1048576 bytes (no old logs will be kept)
considering log /var/log/x.log
"""


class TestWhatIsRead:
    def test_the_logrotate_of_the_host(self) -> None:
        found = rules.parse_logrotate(LOGROTATE)
        assert {path: kept.days for path, kept in found.items()} == {
            "/data/jira/log/atlassian-jira.log": 28,
            "/data/jira/log/atlassian-jira-security.log": 28,
            "/opt/jira/logs/catalina.out": 30,
            "/var/log/x.log": None,
        }

    @pytest.mark.parametrize(
        ("attributes", "expected"),
        [
            ("", [(True, -1)]),
            (' maxDays="30"', [(True, 30)]),
            (' rotatable="false"', [(False, -1)]),
        ],
    )
    def test_valves(self, attributes: str, expected: list[tuple[bool, int]]) -> None:
        assert rules.valve_days(parse_xml((SERVER_XML % attributes).encode())) == expected

    def test_a_valve_that_tells_no_number(self) -> None:
        with pytest.raises(ValueError, match="invalid literal"):
            rules.valve_days(parse_xml((SERVER_XML % ' maxDays="${days}"').encode()))

    @pytest.mark.parametrize(
        ("properties", "days"),
        [
            ({}, -1),
            ({"1catalina.org.apache.juli.FileHandler.prefix": "catalina."}, -1),
            ({"1c.FileHandler.prefix": "catalina.", "1c.FileHandler.maxDays": "90"}, 90),
            ({"2l.FileHandler.prefix": "localhost.", "2l.FileHandler.maxDays": "9"}, -1),
        ],
    )
    def test_handlers(self, properties: dict[str, str], days: int) -> None:
        assert rules.handler_days(properties, "catalina.*.log") == days

    @pytest.mark.parametrize(
        ("text", "seconds"),
        [
            ("0", 0),
            ("3600", 3600),
            ("90day", 7776000),
            ("1month", 2629800),
            ("1 week 2d", 777600),
            ("soon", None),
            ("", None),
            ("5x", None),
        ],
    )
    def test_time_spans(self, text: str, seconds: float | None) -> None:
        assert rules.time_span(text) == seconds

    def test_the_last_file_of_the_journal_wins(self) -> None:
        text = (
            "# /etc/systemd/journald.conf\n[Journal]\n#Storage=none\nStorage=auto\n"
            "# /etc/systemd/journald.conf.d/a.conf\n[Journal]\nStorage=volatile\n[Other]\nMaxRetentionSec=1\n"
        )
        assert rules.journal_settings(text) == {"Storage": ("volatile", "/etc/systemd/journald.conf.d/a.conf")}
        assert rules.journal_settings(text, "/etc/systemd/journald.conf.d/a.conf")["Storage"][0] == "auto"

    @pytest.mark.parametrize(
        ("text", "most"),
        [
            ("log4j.appender.a.MaxBackupIndex=5\nlog4j.appender.b.MaxBackupIndex = 10", 10),
            ("appender.rolling.strategy.max = 7", 7),
            ('<DefaultRolloverStrategy fileIndex="min" max="20"/>', 20),
            ("log4j.rootLogger=WARN", None),
        ],
    )
    def test_generations_of_log4j(self, text: str, most: int | None) -> None:
        assert rules.most_generations(text) == most

    @pytest.mark.parametrize("path", ['/x"y', "/x*", "/x y\n", "/{a}", "/\\"])
    def test_paths_that_mean_more_to_logrotate(self, path: str) -> None:
        assert not rules.safe(path)
        assert rules.safe("/srv/jira home/ünd/catalina.out")

    def test_the_script_takes_names_for_nothing_but_names(self) -> None:
        aged = [rules.Aged("/srv/a b;c", "x.*", "jira", "jira")]
        script = rules.render_script([], aged, 90, "/usr/sbin/logrotate")
        assert " --reuid=jira --regid=jira --clear-groups find '/srv/a b;c' -maxdepth 1 -type f -name 'x.*'" in script


@pytest.mark.parametrize(
    ("enabled", "active", "large", "rotates"),
    [(True, True, False, True), (True, False, False, False), (False, False, False, True), (True, False, True, True)],
)
def test_a_log_waits_for_who_sends_it_elsewhere(
    tmp_path: Path, enabled: bool, active: bool, large: bool, rotates: bool
) -> None:
    log = tmp_path / "a log"
    log.touch()
    os.truncate(log, 2 * 2**30 if large else 10)
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "systemctl").write_text(f'#!/bin/sh\n[ "$2" = is-enabled ] && exit {1 - enabled}\nexit {1 - active}\n')
    (tools / "logrotate").write_text("#!/bin/sh\necho rotated\n")
    for tool in tools.iterdir():
        tool.chmod(0o755)
    script = rules.render_script([rules.Truncated(str(log), "jira", "jira")], [], 90, "logrotate")
    environment = {"PATH": f"{tools}:/usr/bin:/bin"}
    done = subprocess.run(["sh", "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert (done.stdout == "rotated\n") == rotates
    assert ("wait to be rotated" in done.stdout) == (not rotates)


@pytest.mark.parametrize("product", sorted(load_products()))
def test_every_owner_in_product_data_owns_a_log(product: str) -> None:
    known = rotation(product)
    for owner in known["owners"] or []:
        assert any(rules.owner_of(log, [owner]) for log in known["logs"]), owner


class Run:
    """Runs of the module on one host."""

    def __init__(self, host: KeptHost) -> None:
        self.host = host

    def __call__(self, check: bool = False, enforce: bool = True, **params: Any) -> dict[str, Any]:
        given = {
            "instances": [JIRA],
            "products": {"jira": rotation("jira")},
            "packages": ["logrotate"],
            "keep_days": 90,
            "max_megabytes": 1,
            "shipped": False,
            "enforce": None if enforce else [],
            **params,
        }
        findings, changes = Findings(given, log_retention.CONTROLS, check), Changes(check, self.host.run)
        log_retention.LogRetention(given, findings, changes, self.host.run, str(self.host.root)).run()
        (result,) = findings.results
        return {**result, "changes": [(entry["target"], entry["attribute"]) for entry in changes.entries]}


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KeptHost:
    host = KeptHost(tmp_path)
    monkeypatch.setattr(log_retention, "package_manager", host.manager)
    return host


@pytest.fixture
def run(host: KeptHost) -> Run:
    return Run(host)


def logrotate(host: KeptHost, answer: str) -> None:
    """Let somebody's logrotate run on the host."""
    host.write("/usr/sbin/logrotate", "").chmod(0o755)
    host.write("/etc/logrotate.conf", "")
    host.write("/etc/logrotate.d/somebody", "/data/jira/log/*.log {\n}\n/opt/jira/logs/catalina.out {\n}\n")
    host.unit("logrotate.timer", ActiveState="active", UnitFileState="enabled")
    host.answers["logrotate"] = (0, "", answer)


def whats(result: dict[str, Any]) -> dict[str, str]:
    return {item["what"]: item["actual"] for item in result["evidence"]}


class TestRuns:
    def test_predicts_does_and_is_done(self, run: Run, host: KeptHost) -> None:
        predicted = run(check=True)
        assert predicted["status"] == "fail"
        assert host.commands == []
        real = run()
        assert (real["status"], real["changes"]) == ("fixed", predicted["changes"])
        again = run()
        assert (again["status"], again["changes"]) == ("pass", [])

    def test_what_nothing_rotates_is_ours(self, run: Run, host: KeptHost) -> None:
        run()
        config, script = host.read(rules.CONFIG), host.read(rules.SCRIPT)
        assert f'"/opt/jira/logs/catalina.out" {{\n    su {ACCOUNT} {ACCOUNT}\n' in config
        assert "maxage 90" in config
        assert config.count("copytruncate") == 1
        assert "'access_log.*' -mtime +90" in script
        assert "'catalina.*.log' -mtime +90" in script
        assert "audit" not in script
        assert "ReadWritePaths=-/opt/jira/logs\n" in host.read(f"/etc/systemd/system/{rules.UNIT}.service")

    def test_the_journal_is_made_to_last(self, run: Run, host: KeptHost) -> None:
        host.write("/etc/systemd/journald.conf.d/a.conf", "[Journal]\nStorage=volatile\nMaxRetentionSec=1week\n")
        run()
        drop_in = host.read(log_retention.JOURNAL_DROP_IN)
        assert drop_in.endswith("[Journal]\nStorage=persistent\nMaxRetentionSec=90day\n")
        assert host.ran("journalctl") == [["journalctl", "--flush"]]

    def test_what_sorts_after_our_drop_in_is_named(self, run: Run, host: KeptHost) -> None:
        host.write("/etc/systemd/journald.conf.d/zzz.conf", "[Journal]\nStorage=none\n")
        result = run()
        assert result["status"] == "fail"
        assert whats(result)["Storage of the journal"] == "none (/etc/systemd/journald.conf.d/zzz.conf)"

    def test_nothing_is_changed_for_who_may_not(self, run: Run, host: KeptHost) -> None:
        result = run(enforce=False)
        assert (result["status"], result["changes"], host.commands) == ("fail", [], [])

    @pytest.mark.parametrize(
        ("params", "status", "words"),
        [
            ({"instances": []}, "not_applicable", "no product"),
            ({"packages": None}, "not_checked", "what logrotate is called"),
            ({"products": {"jira": {"logs": [], "owners": None}}}, "not_checked", "who rotates the logs of jira"),
        ],
    )
    def test_what_cannot_be_judged(self, run: Run, params: dict[str, Any], status: str, words: str) -> None:
        result = run(**params)
        assert result["status"] == status
        assert words in result["reason"]


class TestOwners:
    """One owner for each log."""

    def test_the_hosts_own_logrotate_keeps_what_nothing_else_rotates(self, run: Run, host: KeptHost) -> None:
        logrotate(host, LOGROTATE.replace("/data/jira/log/", "/var/log/").replace("30 rotations", "365 rotations"))
        assert run()["status"] == "fixed"
        assert "catalina.out" not in host.read(rules.CONFIG)

    def test_it_must_keep_it_long_enough(self, run: Run, host: KeptHost) -> None:
        logrotate(host, LOGROTATE.replace("/data/jira/log/", "/var/log/"))
        result = run()
        assert result["status"] == "fail"
        assert whats(result)["/opt/jira/logs/catalina.out"] == "30 days, by /etc/logrotate.d/somebody"
        assert run(shipped=True)["status"] == "pass"

    def test_it_must_leave_the_products_logs_alone(self, run: Run, host: KeptHost) -> None:
        logrotate(host, LOGROTATE)
        told = whats(run(shipped=True))["/data/jira/log/atlassian-jira.log"]
        assert told == "also by logrotate (/etc/logrotate.d/somebody)"

    def test_one_that_nobody_starts_does_not_count(self, run: Run, host: KeptHost) -> None:
        logrotate(host, LOGROTATE)
        host.unit("logrotate.timer")
        run()
        assert "catalina.out" in host.read(rules.CONFIG)

    def test_a_log_that_is_not_appended_to_is_not_cut(self, run: Run, host: KeptHost) -> None:
        host.write("/proc/70/fdinfo/1", "pos:\t0\nflags:\t0100001\n")
        (host.root / "proc/70/fd").mkdir()
        os.symlink("/opt/jira/logs/catalina.out", host.root / "proc/70/fd/1")
        result = run()
        assert "start it with >>" in whats(result)["/opt/jira/logs/catalina.out"]
        assert "catalina.out" not in host.read(rules.CONFIG)
        host.write("/proc/70/fdinfo/1", "pos:\t0\nflags:\t0102001\n")
        assert run()["status"] == "fixed"

    @pytest.mark.skipif(os.getuid() != 0, reason="only root gives files away")
    @pytest.mark.parametrize(("running", "status"), [(0, "fixed"), (65534, "fail")])
    def test_a_log_of_somebody_else_is_named_once_the_product_runs_as_its_account(
        self, run: Run, host: KeptHost, running: int, status: str
    ) -> None:
        result = run(
            instances=[{**JIRA, "service_account": "nobody", "service_group": "nogroup", "running_uid": running}]
        )
        assert result["status"] == status
        assert ("/opt/jira/logs/catalina.out" in whats(result)) == (status == "fail")
        assert "su nobody nogroup" in host.read(rules.CONFIG)

    def test_a_log_that_grows_is_rotated_by_nobody(self, run: Run, host: KeptHost) -> None:
        host.write("/data/jira/log/atlassian-jira.log", "x" * (2 * 2**20 + 1))
        assert whats(run())["/data/jira/log/atlassian-jira.log"] == "2 MB; nothing rotates it"


class TestProducts:
    def test_max_days_that_are_too_few_are_named_and_left(self, run: Run, host: KeptHost) -> None:
        host.write("/opt/jira/conf/server.xml", SERVER_XML % ' maxDays="14"')
        assert "maxDays is 14" in whats(run())["/opt/jira/conf/server.xml"]
        assert "access_log" not in host.read(rules.SCRIPT)
        assert run(shipped=True)["status"] == "pass"

    def test_a_valve_that_never_begins_a_new_log(self, run: Run, host: KeptHost) -> None:
        host.write("/opt/jira/conf/server.xml", SERVER_XML % ' rotatable="false"')
        assert "rotatable" in whats(run())["/opt/jira/conf/server.xml"]

    @pytest.mark.parametrize("text", ["<Server>", SERVER_XML % ' maxDays="soon"', "<!DOCTYPE x><x/>"])
    def test_files_nobody_can_read_are_no_pass(self, run: Run, host: KeptHost, text: str) -> None:
        host.write("/opt/jira/conf/server.xml", text)
        result = run()
        assert result["status"] == "fail"
        assert "/opt/jira/conf/server.xml" in whats(result)

    @pytest.mark.parametrize(
        ("files", "days", "status"),
        [(5, 10, "fail"), (4, 10, "fixed"), (5, 100, "fixed")],
    )
    def test_generations(self, run: Run, host: KeptHost, files: int, days: int, status: str) -> None:
        host.write("/opt/jira/atlassian-jira/WEB-INF/classes/log4j2.xml", '<DefaultRolloverStrategy max="5"/>')
        for number in range(1, files + 1):
            place = host.write(f"/data/jira/log/atlassian-jira-security.log.{number}", "x")
            os.utime(place, (0, time.time() - 86400 * days - 60))
        result = run()
        assert result["status"] == status
        if status == "fail":
            told = whats(result)["/data/jira/log/atlassian-jira-security.log"]
            assert told.startswith("5 older files are kept, which is 10 days now")
            assert run(shipped=True)["status"] == "pass"

    @pytest.mark.parametrize(("count", "status"), [("90", "fixed"), ("89", "fail"), ("many", "fixed")])
    def test_audit_files(self, run: Run, count: str, status: str) -> None:
        instance = {**JIRA, "jvm_arguments": [f"-Dplugin.audit.file.max.file.count={count}"]}
        assert run(instances=[instance])["status"] == status
