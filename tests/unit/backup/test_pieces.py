# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which backups are kept, what is left on the host, what addresses and complaints of restic mean."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._backup_keep import kept, stored, time_of
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._backup_manifest import is_backup
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._backup_repository import repository_of
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._backup_restic import (
    Restic,
    _sort_line,
    complaint_of,
    literal,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._backup_run import backup_name
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._backup_state import (
    State,
    StateError,
    Success,
    metrics_of,
    parse_state,
    read_state,
)
from hypothesis import given
from hypothesis import strategies as st

START = 1795946400.0
DAY = 86400
TAGS = ["atlassian-dc", "instance=jira", "backup=20261129T100000Z"]
SUCCESS = Success("20261129T100000Z", "instance", "n1", START, 5.0, 10, 2, ())
STATE = State("jira", START, "success", "", ("w",), SUCCESS, None, 0.0)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


class Left(Restic):
    """A repository with a lock."""

    def __init__(self, locks: list[bytes], version: str = "0.14.0") -> None:
        super().__init__("/nowhere", "", {}, "/nowhere")
        self.told, self.asked = {"list": locks, "version": [f"restic {version} compiled".encode()]}, list[str]()

    def _lines(self, what: str, *arguments: str, accept: tuple[int, ...] = (0,)) -> Iterator[bytes]:
        self.asked.append(arguments[0])
        yield from self.told.get(arguments[0], [])


def test_a_stale_lock_keeps_nobody_out() -> None:
    left = Left([b"0123456789abcdef\n"])
    left.open()
    assert left.asked == ["version", "list", "unlock"]
    free = Left([])
    free.open()
    assert free.asked == ["version", "list"]


@pytest.mark.parametrize(
    ("version", "wanted"), [("0.12.1", None), ("0.14.0", "400"), ("0.18.0-dev", "400"), ("1.0", "400"), ("new", None)]
)
def test_memory_is_left_untidy_only_where_its_limit_is_kept(version: str, wanted: str | None) -> None:
    restic = Left([], version)
    restic.open()
    assert restic._environment.get("GOGC") == wanted


def names(*days: int) -> list[str]:
    return [backup_name(START + day * DAY) for day in days]


class TestKeeping:
    def test_the_newest_of_each_day_week_and_month(self) -> None:
        backups = names(*range(-60, 1))
        left = kept(backups, {"daily": 3, "weekly": 2, "monthly": 2})
        # The 29th of November 2026 is a Sunday.
        assert left == set(names(0, -1, -2, -7, -29))

    def test_two_of_one_day_are_one_day(self) -> None:
        later = backup_name(START + 3600)
        assert kept([*names(0), later], {"daily": 1}) == {later}

    def test_nothing_at_all_keeps_every_one(self) -> None:
        assert kept(names(0, 1), {"daily": 0, "weekly": 0}) == set(names(0, 1))

    @given(
        st.sets(st.integers(0, 4000)),
        st.dictionaries(st.sampled_from(["daily", "weekly", "monthly"]), st.integers(-3, 20)),
    )
    def test_the_newest_is_always_kept(self, hours: set[int], rule: dict[str, int]) -> None:
        backups = [backup_name(START + hour * 3600) for hour in hours]
        left = kept(backups, rule)
        assert left <= set(backups)
        assert not backups or max(backups) in left

    @given(st.integers(0, 4 * 10**9))
    def test_names_and_times_are_the_same(self, seconds: int) -> None:
        assert is_backup(backup_name(seconds))
        assert time_of(backup_name(seconds)) == seconds


class TestStored:
    def test_a_backup_is_whole_with_its_manifest(self) -> None:
        found = stored(
            [{"id": "1", "tags": [*TAGS, "part=database"]}, {"id": "2", "tags": [*TAGS, "part=manifest", "node=n1"]}],
            "jira",
        )
        assert [(backup.whole, backup.node, backup.snapshots) for backup in found] == [(True, "n1", ["2", "1"])]

    @pytest.mark.parametrize(
        "tags",
        [[], TAGS, [*TAGS[1:], "part=x"], ["atlassian-dc", "instance=jira", "backup=29999999T999999Z", "part=x"]],
    )
    def test_whatever_else_is_there_is_passed_over(self, tags: list[str]) -> None:
        assert stored([{"id": "1", "tags": tags}], "jira") == []
        assert stored([{"id": "1", "tags": [*TAGS, "part=database"]}], "other") == []


class TestState:
    def test_is_read_as_it_was_written(self) -> None:
        assert parse_state(STATE.to_json()) == STATE

    @given(JSON)
    def test_anything_else_is_refused(self, told: Any) -> None:
        with pytest.raises(StateError):
            parse_state(json.dumps(told))

    @pytest.mark.parametrize("name", [*json.loads(STATE.to_json()), "whole.needed", "whole.bytes"])
    @given(value=JSON)
    def test_no_value_breaks_reading_it(self, name: str, value: Any) -> None:
        told = json.loads(STATE.to_json())
        first, _dot, second = name.partition(".")
        if second:
            told[first][second] = value
        else:
            told[first] = value
        try:
            metrics_of("jira", parse_state(json.dumps(told)))
        except StateError as exc:
            assert str(exc)

    def test_a_link_is_not_followed(self, tmp_path: Path) -> None:
        (tmp_path / "real").write_text(STATE.to_json())
        (tmp_path / "last.json").symlink_to("real")
        with pytest.raises(StateError, match="cannot be read"):
            read_state(str(tmp_path / "last.json"))
        assert read_state(str(tmp_path / "none.json")) is None

    def test_figures(self) -> None:
        text = metrics_of('a "b"\n', STATE)
        assert 'atlassian_dc_backup_last_success_bytes{instance="a \\"b\\" "} 10.000' in text
        assert 'atlassian_dc_backup_last_try_failed{instance="a \\"b\\" "} 0.000' in text
        assert "last_success" not in metrics_of("a", State("jira", time.time(), "failure", "x"))


class TestRepository:
    @pytest.mark.parametrize(
        ("url", "kind", "off_host"),
        [
            ("/srv/backup", "local", False),
            ("local:/srv/backup", "local", False),
            ("/mnt/nfs/backup", "local", True),
            ("rest:https://user:pass@backup.example.com/jira", "rest", True),
            ("rest:http://localhost:8000/", "rest", False),
            ("rest:http://[::1]:8000/", "rest", False),
            ("sftp:backup@backup.example.com:/srv", "sftp", True),
            ("sftp:localhost:/srv", "sftp", False),
            ("sftp://backup@127.0.0.1:2222//srv", "sftp", False),
            ("s3:s3.amazonaws.com/bucket", "s3", True),
            ("s3:http://127.0.0.1:9000/bucket", "s3", False),
            ("b2:bucket:path", "other", True),
            ("rclone:remote:path", "rclone", True),
        ],
    )
    def test_is_told_by_its_address(self, url: str, kind: str, off_host: bool) -> None:
        found = repository_of(url, lambda path: "nfs4" if path.startswith("/mnt/nfs") else "")
        assert (found.kind, found.off_host) == (kind, off_host)
        assert found.append_only
        assert bool(found.path) == (kind == "local")


class TestComplaints:
    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("Fatal: wrong password or no key found", "the password of the repository is wrong ("),
            ("Save(<data/1>) returned error: no space left on device", "the disk is full ("),
            (
                "unable to create lock in backend: 500\nruntime.goexit\n\t/usr/lib/go/asm.s:15",
                "nothing can be written to",
            ),
            ("unable to create lock in backend: repository is already locked by PID 7", "somebody else has locked"),
            ("dial tcp 10.0.0.1:8000: connect: connection refused", "it cannot be reached ("),
            ('{"message_type":"exit_error","code":1,"message":"Fatal: x"}', "Fatal: x"),
            ('{"message_type":"error","error":{"Op":"open","Path":"/x","Err":13}}', "open: Permission denied"),
            (
                "Pack ID does not match, want 4b, got 21\n[0:00] 100%  7 / 7 packs\nFatal: repository contains errors",
                "damaged (Pack ID does not match, want 4b, got 21; Fatal: repository contains errors)",
            ),
            ("", "restic says nothing"),
        ],
    )
    def test_are_told_in_plain_words(self, text: str, words: str) -> None:
        assert complaint_of(text).startswith(words)

    def test_hold_no_secret(self) -> None:
        told = complaint_of("cannot reach https://jira:hunter2@backup/x with key 4711", ["4711", ""])
        assert "hunter2" not in told
        assert "4711" not in told

    @given(st.text())
    def test_are_one_short_line(self, text: str) -> None:
        told = complaint_of(text)
        assert len(told) < 600
        assert told

    @given(st.binary() | JSON.map(lambda told: json.dumps(told).encode()))
    def test_any_line_is_taken(self, line: bytes) -> None:
        failed: list[tuple[str, str]] = []
        _sort_line(line, failed, io.BytesIO(), {})
        assert failed == []

    @given(JSON | st.fixed_dictionaries({"Err": JSON | st.integers()}), JSON)
    def test_what_failed_is_taken_by_its_path(self, error: Any, during: Any) -> None:
        failed: list[tuple[str, str]] = []
        told = {"message_type": "error", "error": error, "during": during, "item": "/x"}
        _sort_line(json.dumps(told).encode(), failed, io.BytesIO(), {})
        assert [path for path, _words in failed] == ["/x"]

    def test_a_path_as_a_pattern(self) -> None:
        assert literal("/a/[b]*?\\c") == "/a/\\[b\\]\\*\\?\\\\c"
