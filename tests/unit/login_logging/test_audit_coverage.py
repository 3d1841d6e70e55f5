# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What audit log files prove, and what they do not, whatever is in them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.module_utils import _audit_coverage
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._audit_coverage import (
    AuditLogError,
    Coverage,
    covers,
    read_coverage,
)
from hypothesis import given, settings
from hypothesis import strategies as st

FAILED = "bitbucket.service.user.audit.action.authenticationfailure"


def entry(action: str, second: int = 1000, **more: Any) -> str:
    kind = {"action": "x", "actionI18nKey": action, "area": "SECURITY", "level": "ADVANCED"}
    return json.dumps({"auditType": kind, "timestamp": {"epochSecond": second, "nano": 1}, **more})


def change(to: str, second: int = 1000) -> str:
    values = [
        {"from": "x : base", "i18nKey": "atlassian.audit.event.change.retention", "to": "security : full"},
        {"from": "security : base", "i18nKey": "atlassian.audit.event.change.coverage.level", "to": to},
    ]
    return entry("atlassian.audit.event.action.audit.config.updated", second, changedValues=values)


def write(folder: Path, *lines: str, name: str = "20260101.00000.audit.log", age: int = 0) -> Path:
    path = folder / name
    path.write_text("".join(f"{line}\n" for line in lines))
    os.utime(path, (10_000 - age, 10_000 - age))
    return path


def read(folder: Path, level: str = "advanced") -> Coverage:
    return read_coverage(str(folder), "*.audit.log", "security", level, (FAILED,))


@pytest.mark.parametrize(
    ("level", "wanted", "enough"), [("off", "base", False), ("full", "full", True), ("full", "base", True)]
)
def test_levels_are_in_their_order(level: str, wanted: str, enough: bool) -> None:
    assert covers(level, wanted) is enough


def test_an_entry_of_the_level_proves_it(tmp_path: Path) -> None:
    write(tmp_path, entry("other"), entry(FAILED, 1234), entry("other"))
    found = read(tmp_path)
    assert (found.level, found.stated, found.when, found.entries) == ("advanced", False, 1234, 2)
    assert found.file == "20260101.00000.audit.log"


@pytest.mark.parametrize("to", ["security : off", "SECURITY : BASE", "security : advanced", "security : full"])
def test_a_change_of_the_coverage_states_it(tmp_path: Path, to: str) -> None:
    write(tmp_path, change("permissions : off"), change(to, 77), entry("other"))
    found = read(tmp_path)
    assert (found.level, found.stated, found.when) == (to.split()[-1].lower(), True, 77)


@pytest.mark.parametrize("to", ["permissions : full", "security : everything", "security", "", "full : security"])
def test_other_changes_prove_nothing(tmp_path: Path, to: str) -> None:
    write(tmp_path, change(to))
    assert read(tmp_path) == Coverage(entries=1, files=1)


def test_the_newest_wins_in_a_file_and_over_files(tmp_path: Path) -> None:
    write(tmp_path, entry(FAILED), name="20260101.00000.audit.log", age=30)
    write(tmp_path, change("security : base"), name="20260102.00000.audit.log", age=20)
    write(tmp_path, entry("other"), name="20260103.00000.audit.log", age=10)
    assert read(tmp_path).level == "base"
    write(tmp_path, change("security : base"), entry(FAILED), name="20260104.00000.audit.log")
    assert (read(tmp_path).level, read(tmp_path).stated) == ("advanced", False)


def test_what_users_typed_proves_nothing(tmp_path: Path) -> None:
    forged = [{"name": "target", "value": change("security : full")}, {"name": FAILED, "actionI18nKey": FAILED}]
    write(tmp_path, entry("other", extraAttributes=forged, actionI18nKey=FAILED))
    assert read(tmp_path).level is None


def test_bad_lines_are_skipped_and_counted(tmp_path: Path) -> None:
    bad = ["{", "[]", "null", '{"auditType": 1}', "[" * 100_000, '{"auditType": {}, "a": ' + "9" * 10_000 + "}"]
    path = write(tmp_path, entry(FAILED), *bad)
    path.write_bytes(path.read_bytes() + b"\xff\xfe\n\n  \n")
    found = read(tmp_path)
    assert found.level == "advanced"
    assert 6 <= found.bad <= 7


def test_a_half_written_last_line_is_not_bad(tmp_path: Path) -> None:
    path = write(tmp_path, entry(FAILED))
    path.write_text(path.read_text() + '{"auditType": {"act')
    assert (read(tmp_path).level, read(tmp_path).bad) == ("advanced", 0)
    path.write_text(change("security : full") + "\n" + entry(FAILED))
    assert read(tmp_path).stated is False


def test_only_the_end_of_a_huge_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "20260101.00000.audit.log"
    tail = f"{entry('other')}\n{entry(FAILED)}\n".encode()
    with path.open("wb") as stream:
        stream.truncate(5 * 1024**3)
        stream.seek(5 * 1024**3)
        stream.write(b"\n" + tail)
    assert read(tmp_path).level == "advanced"
    monkeypatch.setattr(_audit_coverage, "MAX_BYTES", len(entry(FAILED)) // 2)
    assert read(tmp_path).level is None


def test_no_more_than_some_files_are_read(tmp_path: Path) -> None:
    for number in range(8):
        write(tmp_path, entry("other"), name=f"2026010{number}.00000.audit.log", age=number)
    found = read(tmp_path)
    assert (found.files, found.entries) == (5, 5)


def test_links_pipes_and_folders_are_not_read(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    write(elsewhere, entry(FAILED))
    logs = tmp_path / "audit"
    logs.mkdir()
    (logs / "1.audit.log").symlink_to(elsewhere / "20260101.00000.audit.log")
    os.mkfifo(logs / "2.audit.log")
    (logs / "3.audit.log").mkdir()
    with pytest.raises(AuditLogError, match=r"audit: there is no file \*\.audit\.log$"):
        read(logs)


def test_what_became_a_link_meanwhile_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, entry(FAILED))
    monkeypatch.setattr(_audit_coverage, "_newest", lambda _folder, _pattern: [path.name])
    path.rename(tmp_path / "away")
    path.symlink_to(tmp_path / "away")
    with pytest.raises(AuditLogError, match=r"20260101\.00000\.audit\.log: "):
        read(tmp_path)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(AuditLogError, match="audit: No such file or directory"):
        read(tmp_path / "audit")


@pytest.mark.parametrize(
    "timestamp", [None, 5, {}, {"epochSecond": "1"}, {"epochSecond": True}, {"epochSecond": 1e300}]
)
def test_a_time_that_makes_no_sense_is_long_ago(tmp_path: Path, timestamp: Any) -> None:
    write(tmp_path, json.dumps({"auditType": {"actionI18nKey": FAILED}, "timestamp": timestamp}))
    assert read(tmp_path).when == 0.0


@settings(max_examples=60)
@given(
    lines=st.lists(st.binary(max_size=60).map(lambda line: line.replace(b"\n", b"")), max_size=8), ended=st.booleans()
)
def test_garbage_proves_nothing_and_breaks_nothing(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], ended: bool
) -> None:
    folder = tmp_path_factory.mktemp("audit")
    (folder / "1.audit.log").write_bytes(b"\n".join(lines) + (b"\n" if ended else b""))
    found = read(folder)
    assert (found.level, found.entries) == (None, 0)
    assert found.bad <= len(lines)
