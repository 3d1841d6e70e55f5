# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judging whether failed logins are written, and putting that right, on a host made of a folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._log4j import FORMATS
from unit.login_logging.log_files import content
from unit.login_logging.login_host import BUILT, NOW, PROOF, STARTED, LoginHost, audit, logger, source

EVERY_FORMAT = pytest.mark.parametrize("form", sorted(FORMATS))
DAY = 86400


@pytest.fixture
def host(tmp_path: Path) -> LoginHost:
    return LoginHost(tmp_path)


def outcome(finding: dict[str, Any]) -> tuple[str, str | None]:
    return finding["status"], finding["pending"]


# ---- files -------------------------------------------------------------------------------------------------------


@EVERY_FORMAT
def test_a_product_that_runs_with_the_right_level_passes(host: LoginHost, form: str) -> None:
    host.configured(form, content(form, "DEBUG"))
    host.started()
    finding, logging = host.judge(source(logger(form)))
    assert outcome(finding) == ("pass", None)
    assert logging.changes.count == 0


@EVERY_FORMAT
def test_a_product_that_runs_is_put_right_and_waits_for_its_restart(host: LoginHost, form: str) -> None:
    path = host.configured(form)
    path.chmod(0o640)
    host.started()
    dry, logging = host.judge(source(logger(form)), check_mode=True)
    assert outcome(dry) == ("fail", None)
    assert logging.restart_pending == []
    assert path.read_text() == content(form)
    predicted = logging.changes.entries
    finding, logging = host.judge(source(logger(form)))
    assert outcome(finding) == ("fail", "restart")
    assert finding["reason"] == dry["reason"]
    assert logging.restart_pending == ["wiki"]
    assert logging.changes.entries == predicted
    assert path.read_text() == content(form, "DEBUG")
    assert path.stat().st_mode & 0o7777 == 0o640
    assert [(item["expected"], item["actual"].split()[0]) for item in finding["evidence"]] == [
        ("DEBUG or more detailed, to product-security.log", "INFO")
    ]
    # A second run changes nothing; the product still waits.
    again, logging = host.judge(source(logger(form)))
    assert outcome(again) == ("fail", "restart")
    assert logging.restart_pending == ["wiki"]
    assert logging.changes.count == 0
    assert again["evidence"][0]["what"] == "start of process 70"
    # The restart has been.
    host.started(path.stat().st_mtime + 5)
    assert outcome(host.judge(source(logger(form)))[0]) == ("pass", None)


def test_nothing_of_the_file_but_what_changes_is_shown(host: LoginHost) -> None:
    secrets = "appender.mail.type = SMTP\nappender.mail.name = mail\nappender.mail.smtpPassword = hunter2\n"
    path = host.configured(text=secrets + content("log4j2_properties") + "loggers = login\n" + secrets)
    deeper = {**logger(), "name": "org.example"}
    _finding, logging = host.judge(source(logger()), source(deeper, name="deeper"), check_mode=True)
    (diff,) = logging.changes.diff
    assert diff["before"] == "logger.login.level = INFO\nloggers = login\n"
    assert diff["after"].startswith("logger.login.level = DEBUG\nloggers = login, ")
    assert "hunter2" not in str(logging.changes.result())
    long = content("log4j2_xml").replace("\n", "")
    path = host.configured("log4j2_xml", long)
    _finding, logging = host.judge(source(logger("log4j2_xml")))
    (diff,) = logging.changes.diff
    assert (diff["before"], diff["after"]) == (f"({len(long)} bytes)\n", f"({len(path.read_bytes())} bytes)\n")


def test_a_level_that_is_none_is_cut(host: LoginHost) -> None:
    host.configured(text=content("log4j2_properties", "x" * 100_000))
    finding, _logging = host.judge(source(logger()), check_mode=True)
    assert len(str(finding)) < 2000


def test_a_product_that_does_not_run_is_put_right_at_once(host: LoginHost) -> None:
    path = host.configured()
    finding, logging = host.judge(source(logger()))
    assert outcome(finding) == ("fixed", None)
    assert logging.restart_pending == []
    assert path.read_text() == content("log4j2_properties", "DEBUG")
    assert outcome(host.judge(source(logger()))[0]) == ("pass", None)


def test_what_may_not_be_put_right_is_only_judged(host: LoginHost) -> None:
    path = host.configured()
    host.started()
    finding, logging = host.judge(source(logger()), enforce=[])
    assert outcome(finding) == ("fail", None)
    assert logging.restart_pending == []
    assert path.read_text() == content("log4j2_properties")


@pytest.mark.parametrize("runs_in", ["no unit", "session-1.scope"])
def test_a_product_its_unit_has_not_started_is_left_to_be_restarted_by_hand(host: LoginHost, runs_in: str) -> None:
    host.configured()
    host.runs_in = runs_in
    host.started()
    if runs_in == "no unit":
        host.instance["unit"] = None
    finding, logging = host.judge(source(logger()))
    assert outcome(finding) == ("fail", None)
    assert finding["reason"].endswith("restart the product the way you start it, for it runs in no unit")
    assert logging.restart_pending == []


def test_a_product_that_finds_no_space_is_not_restarted(host: LoginHost, monkeypatch: pytest.MonkeyPatch) -> None:
    path = host.configured()
    host.started()
    monkeypatch.setattr(os, "statvfs", lambda _path: os.statvfs_result((4096, 4096, 100, 0, 0, 9, 9, 9, 0, 255)))
    finding, logging = host.judge(source(logger()))
    assert outcome(finding) == ("fail", None)
    assert finding["reason"].endswith("the product is not restarted, because a file system it writes to is full")
    assert finding["evidence"][-1]["what"].startswith("file system of /")
    assert logging.restart_pending == []
    assert path.read_text() == content("log4j2_properties", "DEBUG")


def test_two_loggers_of_one_file_are_put_right_by_one_change(host: LoginHost) -> None:
    path = host.configured()
    second = {**logger(), "name": "com.example.login.other", "level": "trace"}
    finding, logging = host.judge(source(logger()), source(second, name="other"))
    assert outcome(finding) == ("fixed", None)
    assert logging.changes.count == 1
    assert "logger.login.level = DEBUG" in path.read_text()
    assert "com.example.login.other" in path.read_text()


def test_two_loggers_of_one_file_wait_for_one_restart(host: LoginHost) -> None:
    host.configured(text=content("log4j2_properties", "DEBUG"), at=STARTED + 10)
    host.started()
    finding, _logging = host.judge(source(logger()), source(logger(), name="other"))
    assert outcome(finding) == ("fail", "restart")
    assert len(finding["evidence"]) == 1


def test_what_a_file_alone_does_not_put_right_leaves_the_file_as_it_is(host: LoginHost) -> None:
    path = host.configured()
    host.instance["start_jvm_arguments"] = ["-DHomeLogAppender.disabled=true"]
    both = source({**logger(), "name": "com.example.other"}, SWITCH, name="both")
    finding, logging = host.judge(both, source(logger(), name="other"))
    assert outcome(finding) == ("fail", None)
    # Only what the other log needs is written.
    assert path.read_text() == content("log4j2_properties", "DEBUG")
    assert logging.changes.count == 1


def test_one_of_two_logs_that_cannot_be_put_right_fails_the_control(host: LoginHost) -> None:
    path = host.configured()
    other = source(logger(), name="other", path="log/nothing-writes-this.log")
    finding, _logging = host.judge(source(logger()), other)
    assert outcome(finding) == ("fail", None)
    assert "no appender writes messages of level DEBUG to nothing-writes-this.log" in finding["reason"]
    assert path.read_text() == content("log4j2_properties", "DEBUG")


def test_of_several_files_the_first_that_is_there_counts(host: LoginHost) -> None:
    host.configured("log4j2_xml", content("log4j2_xml", "DEBUG"))
    host.configured("log4j_properties")
    names = [
        ("log4j2.properties", "log4j2_properties"),
        ("log4j2.xml", "log4j2_xml"),
        ("log4j.properties", "log4j_properties"),
    ]
    files = [{"path": f"conf/{name}", "format": form} for name, form in names]
    assert outcome(host.judge(source(logger(files=files)))[0]) == ("pass", None)


@pytest.mark.parametrize("interval", [5, 30])
def test_a_file_the_product_reads_again_by_itself_needs_no_restart(host: LoginHost, interval: int) -> None:
    path = host.configured(text=content("log4j2_properties") + f"monitorInterval = {interval}\n")
    host.started()
    dry, _logging = host.judge(source(logger()), check_mode=True)
    assert outcome(dry) == ("fail", None)
    assert host.slept == []
    finding, logging = host.judge(source(logger()))
    assert outcome(finding) == ("fixed", None)
    assert host.slept == [interval + 1]
    assert logging.restart_pending == []
    os.utime(path, (NOW - interval, NOW - interval))
    assert outcome(host.judge(source(logger()))[0]) == ("pass", None)
    os.utime(path, (NOW - interval + 1, NOW - interval + 1))
    assert outcome(host.judge(source(logger()))[0]) == ("fail", "restart")


def test_a_file_that_is_read_again_much_later_is_not_waited_for(host: LoginHost) -> None:
    host.configured(text=content("log4j2_properties") + "monitorInterval = 600\n")
    host.started()
    finding, logging = host.judge(source(logger()))
    assert outcome(finding) == ("fail", None)
    assert (host.slept, logging.restart_pending) == ([], [])


def test_a_link_is_not_followed(host: LoginHost) -> None:
    path = host.configured()
    path.rename(path.with_name("real"))
    path.symlink_to("real")
    finding, logging = host.judge(source(logger()))
    assert outcome(finding) == ("not_checked", None)
    assert finding["reason"] == (
        "/opt/example/conf/log4j2.properties: reached through a symbolic link, which is not followed"
    )
    assert logging.changes.count == 0


def test_a_folder_on_the_way_that_is_a_link_is_not_followed(host: LoginHost) -> None:
    host.configured()
    (host.root / "opt/example/conf").rename(host.root / "opt/elsewhere")
    (host.root / "opt/example/conf").symlink_to(host.root / "opt/elsewhere")
    assert outcome(host.judge(source(logger()))[0]) == ("not_checked", None)


@pytest.mark.parametrize("kind", ["missing", "folder", "pipe", "broken", "unknown home"])
def test_a_file_that_tells_nothing_leaves_the_control_unchecked(host: LoginHost, kind: str) -> None:
    path = host.configured(text="a=\\u00zz\n")
    if kind != "broken":
        path.unlink()
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "unknown home":
        host.instance["install_dir"] = None
    finding, _logging = host.judge(source(logger()))
    refused = "a \\u escape is not followed by four hexadecimal digits"
    words = {
        "missing": "there is no log configuration (/opt/example/conf/log4j2.properties)",
        "folder": "/opt/example/conf/log4j2.properties: Is a directory",
        "pipe": "/opt/example/conf/log4j2.properties: not a regular file",
        "broken": f"/opt/example/conf/log4j2.properties: line 1: {refused}",
        "unknown home": "there is no log configuration (conf/log4j2.properties)",
    }
    assert (finding["status"], finding["reason"]) == ("not_checked", words[kind])


def test_a_change_the_system_refuses_stays_failed(host: LoginHost, monkeypatch: pytest.MonkeyPatch) -> None:
    host.configured()

    def refuse(_old: str, _new: str) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(os, "rename", refuse)
    finding, logging = host.judge(source(logger()))
    assert outcome(finding) == ("fail", None)
    assert "could not be changed: " in finding["reason"]
    assert "Read-only file system" in finding["reason"]
    assert logging.changes.count == 0


@pytest.mark.parametrize("which", ["jvm_arguments", "start_jvm_arguments"])
@pytest.mark.parametrize("option", ["log4j.configuration", "log4j2.configurationFile", "log4j.configurationFile"])
def test_another_configuration_makes_it_unknown(host: LoginHost, which: str, option: str) -> None:
    host.configured(text=content("log4j2_properties", "DEBUG"))
    for value, status in [("file:///etc/other.xml", "not_checked"), ("/opt/example/conf/log4j2.properties", "pass")]:
        host.instance[which] = [f"-D{option}={value}"]
        assert host.judge(source(logger()))[0]["status"] == status
    host.instance[which] = [f"-D{option}=file:///opt/example/conf/log4j2.properties"]
    assert host.judge(source(logger()))[0]["status"] == "pass"


# ---- arguments ---------------------------------------------------------------------------------------------------

SWITCH = {"kind": "argument", "forbidden": r"-DHomeLogAppender\.disabled=(?i:true)", "why": "no log file is written"}


@pytest.mark.parametrize(
    ("running", "next_start", "status"),
    [
        ([], [], "pass"),
        (["-DHomeLogAppender.disabled=false"], [], "pass"),
        (["-DHomeLogAppender.disabled=TRUE"], [], "fail"),
        ([], ["-DHomeLogAppender.disabled=true"], "fail"),
        ([], None, "pass"),
        (None, None, "not_checked"),
    ],
)
def test_a_switch_that_keeps_the_log_from_being_written(
    host: LoginHost, running: list[str] | None, next_start: list[str] | None, status: str
) -> None:
    host.started()
    host.instance.update(jvm_arguments=running, start_jvm_arguments=next_start)
    finding, logging = host.judge(source(SWITCH))
    assert finding["status"] == status
    assert (": no log file is written" in finding["reason"]) == (status == "fail")
    assert logging.changes.count == 0


# ---- audit log ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entries", "status"),
    [
        ([(PROOF, NOW - DAY)], "pass"),
        ([("security : full", NOW - DAY)], "pass"),
        ([("security : full", NOW - 2 * DAY), ("security : base", NOW - DAY)], "fail"),
        ([("security : base", NOW - 2 * DAY), (PROOF, NOW - DAY)], "pass"),
        ([(PROOF, NOW - 31 * DAY)], "not_checked"),
        ([("security : base", NOW - 31 * DAY)], "fail"),
        ([("other", NOW)], "not_checked"),
        ([], "not_checked"),
    ],
)
def test_the_audit_log_proves_its_coverage_itself(host: LoginHost, entries: list[Any], status: str) -> None:
    host.audited(*entries)
    finding, logging = host.judge(audit())
    assert outcome(finding) == (status, None)
    assert logging.changes.count == 0
    assert not any(PROOF in str(item) for item in finding["evidence"])


@pytest.mark.parametrize(
    ("entries", "status"),
    [
        ([(PROOF, NOW - 3600)], "pass"),
        ([(PROOF, NOW - 2 * DAY)], "not_checked"),
        ([("security : full", NOW)], "not_checked"),
    ],
)
def test_in_a_cluster_only_a_fresh_entry_is_proof(host: LoginHost, entries: list[Any], status: str) -> None:
    host.instance["cluster"] = {"key": "a"}
    host.audited(*entries)
    finding, _logging = host.judge(audit())
    assert finding["status"] == status
    assert ("another node" in finding["reason"]) == (status == "not_checked")


def test_an_audit_log_that_is_not_there_is_not_checked(host: LoginHost) -> None:
    (host.root / "data/example/log/audit").rmdir()
    finding, _logging = host.judge(audit())
    assert outcome(finding) == ("not_checked", None)
    assert finding["reason"].startswith("the coverage of its audit log is not known: ")
    assert finding["reason"].endswith("/data/example/log/audit: No such file or directory")


def test_unusable_lines_are_told(host: LoginHost) -> None:
    path = host.audited(("other", NOW))
    path.write_text("nonsense\n" + path.read_text())
    reason = host.judge(audit())[0]["reason"]
    assert reason.endswith("proves coverage full of area security (2 entries of 1 file, 1 line of them unusable)")


# ---- alternatives ------------------------------------------------------------------------------------------------

OTHERWISE = source(logger(), alternative_to="audit")


@pytest.mark.parametrize("level", ["INFO", "DEBUG"])
def test_where_the_audit_log_is_enough_no_file_is_touched(host: LoginHost, level: str) -> None:
    path = host.configured(text=content("log4j2_properties", level))
    host.audited((PROOF, NOW))
    host.started()
    assert outcome(host.judge(audit(), OTHERWISE)[0]) == ("pass", None)
    assert path.read_text() == content("log4j2_properties", level)


@pytest.mark.parametrize("entries", [[("security : base", NOW)], [("other", NOW)]])
def test_where_it_is_not_or_nobody_can_tell_the_file_is_put_right(host: LoginHost, entries: list[Any]) -> None:
    path = host.configured()
    host.audited(*entries)
    host.started()
    assert host.judge(audit(), OTHERWISE, check_mode=True)[0]["status"] == "fail"
    finding, logging = host.judge(audit(), OTHERWISE)
    assert outcome(finding) == ("fail", "restart")
    assert logging.restart_pending == ["wiki"]
    assert path.read_text() == content("log4j2_properties", "DEBUG")
    host.started(path.stat().st_mtime + 5)
    assert outcome(host.judge(audit(), OTHERWISE)[0]) == ("pass", None)


def test_nothing_proven_and_no_file_is_not_checked_and_both_reasons_are_told(host: LoginHost) -> None:
    host.audited(("other", NOW))
    finding, _logging = host.judge(audit(), OTHERWISE)
    assert finding["status"] == "not_checked"
    assert "proves coverage full" in finding["reason"]
    assert "there is no log configuration" in finding["reason"]


def test_nothing_that_can_be_right_fails(host: LoginHost) -> None:
    host.configured(text="rootLogger.level = INFO\n")
    host.audited(("security : off", NOW))
    finding, _logging = host.judge(audit(), OTHERWISE)
    assert outcome(finding) == ("fail", None)
    assert "coverage off of area security, not full" in finding["reason"]
    assert "no appender writes messages of level DEBUG" in finding["reason"]
    assert len(finding["evidence"]) == 2


def test_what_is_put_right_does_not_hide_what_is_unknown(host: LoginHost) -> None:
    host.configured()
    finding, _logging = host.judge(source(logger()), audit())
    assert finding["status"] == "not_checked"
    assert "the coverage of its audit log is not known" in finding["reason"]
    assert "com.example.login is at INFO" in finding["reason"]


# ---- what product data does not tell -----------------------------------------------------------------------------


def test_a_log_that_is_always_written_passes(host: LoginHost) -> None:
    assert outcome(host.judge(source())[0]) == ("pass", None)


def test_what_nobody_knows_is_not_checked(host: LoginHost) -> None:
    unknown = {**source(), "written": {"unknown": "how", "consequence": "not checked"}}
    finding, _logging = host.judge(unknown)
    assert outcome(finding) == ("not_checked", None)
    finding, _logging = host.judge(sources={"example": None})
    assert finding["reason"] == "where example writes failed logins is not known"


def test_a_product_nobody_logs_in_to(host: LoginHost) -> None:
    assert outcome(host.judge()[0]) == ("not_applicable", None)
    host.instance["part_of"] = "wiki"
    finding, _logging = host.judge(sources={})
    assert (finding["status"], finding["reason"]) == ("not_applicable", "users log in to wiki, not to it")


def test_the_moment_of_a_start_is_what_counts(host: LoginHost) -> None:
    host.started()
    for at, status in [(BUILT, "pass"), (STARTED, "pass"), (STARTED + 10, "fail")]:
        host.configured(text=content("log4j2_properties", "DEBUG"), at=at)
        assert host.judge(source(logger()))[0]["status"] == status
