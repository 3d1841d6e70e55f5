# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a drill looks at, and what it leaves."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
from pathlib import Path

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.module_utils import _restore_drill
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._backup_keep import Stored
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._backup_manifest import (
    DatabaseDump,
    Manifest,
    Part,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._restore_drill import Drill, empty, run_alone
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._restore_repository import Repository
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._restore_result import (
    FAILED,
    PASSED,
    UNTRIED,
    Result,
    parse_result,
)
from unit.restore.manifests import BACKUP, HOME, INSTALL, manifest, sha256
from unit.restore.restored import FakeServer, Holding, names_below

Captured = pytest.CaptureFixture[str]
DUMP = b"PGDMP and so on"
FILES = {
    "home-jira1": {f"{HOME}/data/a.txt": "hello", f"{HOME}/dbconfig.xml": "x" * 95},
    "install-jira1": {f"{INSTALL}/conf/server.xml": "0123456789"},
}


def fitting(size: int = len(DUMP)) -> Manifest:
    dump = dataclasses.replace(manifest().parts[0], bytes=size, sha256=sha256(DUMP))
    return dataclasses.replace(manifest(), parts=(dump, *manifest().parts[1:]))


@pytest.fixture(autouse=True)
def server(monkeypatch: pytest.MonkeyPatch) -> None:
    FakeServer.fresh({"public.jiraissue": 3})
    monkeypatch.setattr(_restore_drill, "SCRATCHES", {"postgresql": FakeServer})


def drill(tmp_path: Path, repository: Holding, keys: list[str] | None = None) -> tuple[bool, Result]:
    config = {
        "keys": keys,
        "backup": "latest",
        "read_data": "5%",
        "scratch": str(tmp_path),
        "results": str(tmp_path / "results"),
        "sockets": str(tmp_path),
    }
    said: list[str] = []
    passed = Drill(config, repository, said.append).run()
    assert names_below(tmp_path) == {"results"} | {f"results/{path.name}" for path in (tmp_path / "results").iterdir()}
    (path,) = (tmp_path / "results").iterdir()
    result = parse_result(path.read_text())
    assert path.stem == result.key
    assert all(line.startswith(("<3>", "<6>")) for line in said)
    return passed, result


def outcome_of(result: Result, name: str) -> tuple[str, str]:
    (check,) = [check for check in result.checks if check.name == name]
    return check.outcome, check.detail


def test_a_good_backup_passes(tmp_path: Path) -> None:
    passed, result = drill(tmp_path, Holding(fitting(), FILES, DUMP))

    assert passed
    assert (result.outcome, result.key, result.backup, result.product) == (PASSED, "jira1-jira", BACKUP, "jira")
    assert [check.name for check in result.checks] == [
        *("repository", "manifest", "space", "home-jira1", "install-jira1", "sample", "needed", "database"),
    ]
    assert outcome_of(result, "database") == (PASSED, "1 tables, 3 rows, as many rows as noted")
    assert FakeServer.steps == ["start", "load", "rows", "stop"]


def test_files_of_a_snapshot_are_found_where_it_showed_them(tmp_path: Path) -> None:
    known = fitting()
    parts = [
        dataclasses.replace(part, root="/run/snapshots/jira") if part.part == "home-jira1" else part
        for part in known.parts
    ]
    assert drill(tmp_path, Holding(dataclasses.replace(known, parts=tuple(parts)), FILES, DUMP))[0]


@pytest.mark.parametrize(
    ("failing", "name"),
    [
        ({"check": "damaged"}, "repository"),
        ({"home-jira1": "damaged"}, "home-jira1"),
        ({"database": "damaged"}, "database"),
        ({"manifest": "damaged"}, "manifest"),
    ],
)
def test_what_restic_refuses_fails_it(tmp_path: Path, failing: dict[str, str], name: str) -> None:
    passed, result = drill(tmp_path, Holding(fitting(), FILES, DUMP, failing))

    assert not passed
    assert result.outcome == FAILED
    assert outcome_of(result, name) == (FAILED, "damaged")


def test_a_repository_that_cannot_be_opened_is_a_result_of_what_was_meant(tmp_path: Path) -> None:
    repository = Holding(fitting(), FILES, DUMP, {"open": "it cannot be reached"})

    assert drill(tmp_path, repository, ["jira1-jira"])[1].key == "jira1-jira"
    passed, result = drill(tmp_path, repository)
    assert not passed
    assert (result.key, result.backup, result.outcome) == ("repository", "", FAILED)


@pytest.mark.parametrize(
    ("part", "path", "text", "name", "words"),
    [
        ("home-jira1", f"{HOME}/data/a.txt", "jello", "sample", "other content"),
        ("home-jira1", f"{HOME}/new", "", "home-jira1", "3 files instead of 2"),
        ("install-jira1", f"{INSTALL}/conf/server.xml", "012345678", "install-jira1", "9 bytes instead of 10"),
    ],
)
def test_files_that_differ_fail_it(tmp_path: Path, part: str, path: str, text: str, name: str, words: str) -> None:
    files = {**FILES, part: {**FILES[part], path: text}}
    _passed, result = drill(tmp_path, Holding(fitting(), files, DUMP))

    outcome, detail = outcome_of(result, name)
    assert outcome == FAILED
    assert words in detail


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ({"public.jiraissue": 2}, "table public.jiraissue has 2 rows instead of 3"),
        ({}, "table public.jiraissue is missing"),
        ({"public.jiraissue": 3, "x": 0}, "table x was not in the backup"),
    ],
)
def test_other_rows_fail_it(tmp_path: Path, found: dict[str, int], words: str) -> None:
    FakeServer.fresh(found)
    _passed, result = drill(tmp_path, Holding(fitting(), FILES, DUMP))
    assert outcome_of(result, "database") == (FAILED, words)


@pytest.mark.parametrize("step", ["start", "load", "rows"])
def test_a_server_that_fails_is_stopped(tmp_path: Path, step: str) -> None:
    FakeServer.fresh({}, broken=step)
    _passed, result = drill(tmp_path, Holding(fitting(), FILES, DUMP))
    assert outcome_of(result, "database") == (FAILED, f"{step} does not work")
    assert FakeServer.steps[-1] == "stop"


def test_another_dump_than_was_made_fails_it(tmp_path: Path) -> None:
    _passed, result = drill(tmp_path, Holding(fitting(), FILES, DUMP[:-1] + b"X"))
    assert outcome_of(result, "database")[1].startswith("the dump in the repository is not the one that was made")


def test_a_dump_that_only_its_own_tools_can_load_is_read_and_not_called_tried(tmp_path: Path) -> None:
    parts = (
        Part("database", "a" * 64, ("/database.dump",), len(DUMP), 1, 1.0, sha256=sha256(DUMP)),
        *fitting().parts[1:],
    )
    other = dataclasses.replace(fitting(), database=DatabaseDump("command", None, None, None, None), parts=parts)

    assert outcome_of(drill(tmp_path, Holding(other, FILES, DUMP))[1], "database")[0] == UNTRIED
    assert outcome_of(drill(tmp_path, Holding(other, FILES, DUMP + b"X"))[1], "database")[0] == FAILED


def test_one_that_is_cut_short_leaves_no_result(tmp_path: Path) -> None:
    """Not even of those backups that it has tried by then."""

    class CutShort(Holding):
        def backups(self) -> dict[str, list[Stored]]:
            return {**super().backups(), "other": [Stored(BACKUP)]}

        def manifest(self, key: str, backup: Stored) -> Manifest:
            if key == "other":
                raise KeyboardInterrupt
            return super().manifest(key, backup)

    with pytest.raises(KeyboardInterrupt):
        drill(tmp_path, CutShort(fitting(), FILES, DUMP))
    assert not (tmp_path / "results").exists()
    assert not (tmp_path / "scratch").exists()


@pytest.mark.parametrize(("limit", "words"), [(0, "it did not end within 0 seconds"), (99, "somebody has ended it")])
def test_one_that_is_ended_cleans_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], limit: int, words: str
) -> None:
    before = signal.getsignal(signal.SIGTERM)
    left: list[Path] = []

    def run(_repository: Repository) -> bool:
        (tmp_path / "cache").mkdir()
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        finally:
            left.append(tmp_path)
        return True

    try:
        with pytest.raises(SystemExit) as ended:
            run_alone({"url": "/x", "password": "", "environment": {}}, limit, run, str(tmp_path))
    finally:
        signal.signal(signal.SIGTERM, before)
    assert (ended.value.code, left) == (1, [tmp_path])
    assert list(tmp_path.iterdir()) == []
    assert capsys.readouterr().out == f"<3>{words}\n"


def test_a_disk_without_room_for_a_result_is_told(tmp_path: Path, capsys: Captured) -> None:
    def run(_repository: Repository) -> bool:
        raise OSError(28, "No space left on device", "/results/k.json.new")

    before = signal.getsignal(signal.SIGTERM)
    try:
        assert run_alone({"url": "/x", "password": "", "environment": {}}, 0, run, str(tmp_path)) == 1
    finally:
        signal.signal(signal.SIGTERM, before)
    assert capsys.readouterr().out == "<3>no result can be left: /results/k.json.new: No space left on device\n"


def test_too_little_space_is_told_before_anything_is_restored(tmp_path: Path) -> None:
    _passed, result = drill(tmp_path, Holding(fitting(1 << 60), FILES, DUMP))
    assert outcome_of(result, "space")[0] == FAILED
    assert [check.name for check in result.checks] == ["repository", "manifest", "space"]


def test_what_an_earlier_one_had_to_leave_is_removed(tmp_path: Path) -> None:
    left = tmp_path / "scratch/home-jira1/closed"
    left.mkdir(parents=True)
    (left / "file").write_text("x")
    left.chmod(0o000)
    (tmp_path / "results").mkdir()
    (tmp_path / "results/other.json").write_text(json.dumps({}))
    assert drill(tmp_path, Holding(fitting(), FILES, DUMP))[0]


def test_emptying_follows_no_link(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/file").write_text("x")
    (tmp_path / "scratch").mkdir()
    (tmp_path / "scratch/link").symlink_to("../elsewhere")
    empty(str(tmp_path / "scratch"))
    (tmp_path / "scratch").symlink_to("elsewhere")
    empty(str(tmp_path / "scratch"))
    assert names_below(tmp_path) == {"elsewhere", "elsewhere/file"}
