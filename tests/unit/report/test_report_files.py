# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a report: private, whole at every moment, and the earlier ones kept."""

from __future__ import annotations

import datetime
import errno
import fcntl
import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils import _report_files as files
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._report_files import (
    ReportError,
    canonical,
    prepare_directory,
    report_json,
    write_report,
)
from unit.report import samples


def at(time: str) -> samples.Report:
    return {**samples.audit(), "finished": f"2026-11-23T{time}Z"}


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def tree(path: Path) -> dict[str, str]:
    """Return the files below a directory and what they hold."""
    return {str(file.relative_to(path)): file.read_text() for file in sorted(path.rglob("*")) if file.is_file()}


# ---- what is written ------------------------------------------------------------------------------------------------


def test_a_report_is_written_privately(tmp_path: Path) -> None:
    previous = os.umask(0)
    try:
        written = write_report(samples.audit(), tmp_path / "new" / "report")
    finally:
        os.umask(previous)
    directory = tmp_path / "new" / "report"
    assert written == {name: directory / name for name in ("report.json", "report.html", "report.junit.xml")}
    assert mode(directory) == 0o700
    assert {name: mode(path) for name, path in written.items()} == dict.fromkeys(written, 0o600)
    assert sorted(os.listdir(directory)) == ["report.html", "report.json", "report.junit.xml"]
    assert "<testsuites " in written["report.junit.xml"].read_text()
    version = samples.audit()["collection_version"]
    assert json.loads(written["report.json"].read_text())["collection_version"] == version
    assert f"atlassian_dc.hardening {version}" in written["report.html"].read_text()


def test_a_tight_umask_does_not_lock_us_out(tmp_path: Path) -> None:
    previous = os.umask(0o777)
    try:
        written = write_report(samples.audit(), tmp_path / "report")
    finally:
        os.umask(previous)
    assert mode(tmp_path / "report") == 0o700
    assert mode(written["report.json"]) == 0o600


def test_a_relative_directory_is_below_the_current_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert (
        write_report(samples.audit(), "./atlassian-dc-report")["report.json"]
        == tmp_path / "atlassian-dc-report/report.json"
    )


def test_a_tilde_is_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert write_report(samples.audit(), "~/report")["report.json"] == tmp_path / "report/report.json"


def test_an_existing_directory_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "report").mkdir(mode=0o755)
    (tmp_path / "report").chmod(0o755)
    written = write_report(samples.audit(), tmp_path / "report")
    assert mode(tmp_path / "report") == 0o755
    assert mode(written["report.json"]) == 0o600


@pytest.mark.parametrize("name", samples.ALL)
def test_equal_reports_give_equal_bytes(name: str) -> None:
    first, second = samples.ALL[name](), samples.ALL[name]()
    second = dict(reversed(second.items()))
    second["hosts"] = dict(reversed(second["hosts"].items()))
    for host in second["hosts"].values():
        host["controls"] = [dict(reversed(entry.items())) for entry in reversed(host["controls"])]
        host["instances"].reverse()
    text = report_json(first)
    assert text == report_json(second)
    assert text.endswith("}\n")
    assert text.startswith('{\n  "schema": "atlassian_dc.hardening/report/1",\n  "collection_version"')
    text.encode("utf-8")


def test_the_report_handed_in_is_not_changed(tmp_path: Path) -> None:
    report = samples.hostile()
    write_report(report, tmp_path / "report")
    assert report == samples.hostile()


def test_text_is_kept_as_it_is_where_json_can(tmp_path: Path) -> None:
    report = samples.audit()
    report["messages"] = ["Überprüfung 設定", "caf\udce9", "tab\tand\x1b"]
    raw = write_report(report, tmp_path)["report.json"].read_bytes()
    assert "Überprüfung 設定".encode() in raw
    assert json.loads(raw)["messages"] == ["Überprüfung 設定", r"caf\xe9", "tab\tand\x1b"]


def test_dates_become_text() -> None:
    report = samples.audit()
    (waived,) = (entry for entry in report["hosts"]["jira1"]["controls"] if entry["status"] == "waived")
    waived["waiver"]["expires"] = datetime.date(2026, 12, 1)
    assert report_json(report) == report_json(samples.audit())


@pytest.mark.parametrize("value", [{"a", "b"}, float("nan"), float("inf"), b"bytes", object()])
def test_what_json_cannot_hold_is_named(value: Any) -> None:
    report = samples.audit()
    report["hosts"]["jira1"]["instances"][0]["version"] = value
    with pytest.raises(ReportError, match=r"report\.hosts\.jira1\.instances\[0\]\.version: .*" + type(value).__name__):
        canonical(report)


# ---- earlier reports ------------------------------------------------------------------------------------------------


def test_the_report_before_moves_to_the_history(tmp_path: Path) -> None:
    write_report(at("15:00:00"), tmp_path)
    first = tree(tmp_path)
    (tmp_path / "report.csv").write_text("id;status")
    (tmp_path / "notes.txt").write_text("mine")
    write_report(at("16:00:00"), tmp_path)
    assert sorted(tree(tmp_path)) == [
        "history/20261123T150000Z/report.csv",
        "history/20261123T150000Z/report.html",
        "history/20261123T150000Z/report.json",
        "history/20261123T150000Z/report.junit.xml",
        "notes.txt",
        "report.html",
        "report.json",
        "report.junit.xml",
    ]
    assert {name: (tmp_path / "history/20261123T150000Z" / name).read_text() for name in first} == first
    assert json.loads((tmp_path / "report.json").read_text())["finished"] == "2026-11-23T16:00:00Z"
    assert mode(tmp_path / "history") == 0o700
    assert mode(tmp_path / "history/20261123T150000Z") == 0o700


def test_the_history_is_never_overwritten(tmp_path: Path) -> None:
    for number in range(4):
        write_report({**at("15:00:00"), "messages": [f"run {number}"]}, tmp_path)
    kept = {
        folder.name: json.loads((folder / "report.json").read_text())["messages"]
        for folder in (tmp_path / "history").iterdir()
    }
    assert kept == {
        "20261123T150000Z": ["run 0"],
        "20261123T150000Z-2": ["run 1"],
        "20261123T150000Z-3": ["run 2"],
    }


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "null",
        '{"finished": 7}',
        '{"finished": "../../../../tmp/x"}',
        '{"finished": "2026-11-23T15:00:00Z/../.."}',
        "[" * 200_000,
        b"\xff\xfe",
    ],
)
def test_an_unreadable_report_is_kept_under_its_modification_time(tmp_path: Path, content: str | bytes) -> None:
    old = tmp_path / "report.json"
    old.write_bytes(content.encode() if isinstance(content, str) else content)
    os.utime(old, (0, 1_000_000_000))
    before = old.read_bytes()
    write_report(samples.audit(), tmp_path)
    assert (tmp_path / "history/20010909T014640Z/report.json").read_bytes() == before


def test_the_oldest_reports_go_when_there_are_too_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_HISTORY", 3)
    for name in ("20200101T000000Z", "20200101T000000Z-2", "20200101T000000Z-10", "20190101T000000Z"):
        (tmp_path / "history" / name).mkdir(parents=True)
        (tmp_path / "history" / name / "report.json").write_text("{}")
    (tmp_path / "history" / "mine").mkdir()
    (tmp_path / "history" / "20190101T000000Z" / "evidence.tar").write_text("kept by somebody")
    write_report(at("15:00:00"), tmp_path)
    write_report(at("16:00:00"), tmp_path)
    assert sorted(os.listdir(tmp_path / "history")) == [
        "20190101T000000Z",  # holds something that is not ours
        "20200101T000000Z-10",
        "20200101T000000Z-2",
        "20261123T150000Z",
        "mine",
    ]
    assert os.listdir(tmp_path / "history/20190101T000000Z") == ["evidence.tar"]


def test_what_a_killed_run_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / ".report.json.0123456789abcdef.tmp").write_text("half")
    (tmp_path / ".report.notes.tmp").write_text("mine")
    write_report(samples.audit(), tmp_path)
    assert sorted(os.listdir(tmp_path)) == [
        ".report.notes.tmp",
        "report.html",
        "report.json",
        "report.junit.xml",
    ]


# ---- places that cannot be used -------------------------------------------------------------------------------------


def test_a_link_of_somebody_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    link = tmp_path / "report"
    link.symlink_to("target")
    if os.geteuid() != 0:
        pytest.skip("only root can give a link away")
    os.chown(link, 65534, 65534, follow_symlinks=False)
    with pytest.raises(ReportError, match="symbolic link owned by uid 65534"):
        write_report(samples.audit(), link)
    assert os.listdir(tmp_path / "target") == []


def test_a_link_of_ones_own_is_followed(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    (tmp_path / "report").symlink_to("target")
    assert write_report(samples.audit(), tmp_path / "report")["report.json"] == tmp_path / "report/report.json"
    assert sorted(os.listdir(tmp_path / "target")) == ["report.html", "report.json", "report.junit.xml"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.write_text("x"), "is not a directory"),
        (os.mkfifo, "is not a directory"),
        (lambda path: path.symlink_to("nowhere"), "cannot be written: No such file"),
        (lambda path: path.symlink_to("/dev/null"), "is not a directory"),
    ],
)
def test_what_is_no_directory_is_refused(tmp_path: Path, make: Callable[[Path], Any], message: str) -> None:
    make(tmp_path / "report")
    with pytest.raises(ReportError, match=f"{tmp_path}/report.*{message}"):
        prepare_directory(tmp_path / "report")


def test_a_directory_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ReportError, match="Not a directory"):
        prepare_directory(tmp_path / "file" / "report")


def test_a_history_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    directory = tmp_path / "report"
    write_report(at("15:00:00"), directory)
    (directory / "history").symlink_to(tmp_path / "elsewhere")
    before = tree(directory)
    with pytest.raises(ReportError, match="report cannot be written"):
        write_report(at("16:00:00"), directory)
    assert os.listdir(tmp_path / "elsewhere") == []
    assert tree(directory) == before


def test_a_report_that_is_a_link_is_replaced_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("precious")
    directory = tmp_path / "report"
    directory.mkdir()
    (directory / "report.json").symlink_to("../precious")
    write_report(samples.audit(), directory)
    assert (tmp_path / "precious").read_text() == "precious"
    assert not (directory / "report.json").is_symlink()


def test_a_directory_in_the_place_of_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "report.json").mkdir()
    with pytest.raises(ReportError, match="Is a directory"):
        write_report(samples.audit(), tmp_path)
    assert os.listdir(tmp_path) == ["report.json"]


def test_two_runs_write_one_after_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "LOCK_SECONDS", 0.2)
    write_report(at("15:00:00"), tmp_path)
    before = tree(tmp_path)
    other = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(other, fcntl.LOCK_EX)
    with pytest.raises(ReportError, match="another run"):
        write_report(at("16:00:00"), tmp_path)
    assert tree(tmp_path) == before
    os.close(other)
    write_report(at("16:00:00"), tmp_path)


# ---- failures while writing -----------------------------------------------------------------------------------------

CALLS = ("open", "write", "fsync", "fchmod", "link", "mkdir", "replace", "unlink", "listdir", "stat")


class FailingCall:
    """Lets the system calls through, but for the n-th, which finds the disk full."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, failing: int) -> None:
        self.calls = 0
        self.failing = failing
        for name in CALLS:
            monkeypatch.setattr(os, name, self.wrap(getattr(os, name)))

    def wrap(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            self.calls += 1
            if self.calls == self.failing:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return real(*args, **kwargs)

        return call


def test_whatever_fails_the_report_before_is_untouched(tmp_path: Path) -> None:
    failures = 0
    for failing in range(1, 500):
        directory = tmp_path / str(failing)
        write_report(at("14:00:00"), directory)
        write_report(at("15:00:00"), directory)
        (directory / "report.csv").write_text("id;status")
        before = tree(directory)
        error = None
        with pytest.MonkeyPatch.context() as patch:
            counter = FailingCall(patch, failing)
            try:
                write_report(at("16:00:00"), directory)
            except ReportError as exc:
                error = str(exc)
        if error is not None:
            failures += 1
            assert error.endswith("no space left; a report that was there before is untouched")
            assert tree(directory) == before, f"call {failing}"
            assert os.listdir(directory / "history") == ["20261123T140000Z"]
        else:  # nothing failed, or nothing that the report needs
            assert json.loads((directory / "report.json").read_text())["finished"] == "2026-11-23T16:00:00Z"
            (kept,) = set(os.listdir(directory / "history")) - {"20261123T140000Z"}
            names = ["report.csv", "report.html", "report.json", "report.junit.xml"]
            assert tree(directory / "history" / kept) == {name: before[name] for name in names}
        if counter.calls < failing:
            break
    assert counter.calls < failing, "not every call was tried"
    assert failures > 20


def test_short_writes_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda handle, data: real(handle, data[:1000]))
    written = write_report(samples.audit(), tmp_path)
    assert json.loads(written["report.json"].read_text()) == canonical(samples.audit())


def test_a_file_system_without_hard_links_gets_copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: Any, **_kwargs: Any) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    write_report(at("15:00:00"), tmp_path)
    first = tree(tmp_path)
    write_report(at("16:00:00"), tmp_path)
    assert tree(tmp_path / "history/20261123T150000Z") == first


def test_a_file_system_without_locks_is_used_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: Any) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    assert write_report(samples.audit(), tmp_path)["report.json"].exists()


def test_an_interrupt_leaves_nothing_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_report(at("15:00:00"), tmp_path)
    before = tree(tmp_path)

    def interrupt(*_args: Any, **_kwargs: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_report(at("16:00:00"), tmp_path)
    assert tree(tmp_path) == before
    assert os.listdir(tmp_path / "history") == []
