# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run may take into a baseline, and what is found to differ."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._integrity_changes import (
    Deed,
    Look,
    deeds,
    renew,
    state_of,
    vouched,
    words,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._integrity_db import Database, State
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._integrity_scope import Area, Scope
from unit.integrity.databases import FOLDER, database, line

OLD, NEW, EVIL = "aa" * 32, "bb" * 32, "ee" * 32
PATH = "/opt/x/f"
SCOPE = Scope([Area("/opt/x", "program file")])


def wrote(before: str | None, after: str | None, mode: int = 0o644) -> dict[str, Any]:
    was = None if before is None else {"blob": before, "uid": 0, "gid": 0, "mode": mode}
    return {"kind": "file", "path": PATH, "before": was, "after": after}


def closed(before: tuple[int, int, int], after: tuple[int, int, int]) -> dict[str, Any]:
    names = ("uid", "gid", "mode", "new_uid", "new_gid", "new_mode")
    return {"kind": "p", "path": PATH, **dict(zip(names, (*before, *after), strict=True))}


def after(lines: list[dict[str, Any]], old: list[str], new: list[str]) -> tuple[list[str], Database]:
    """Return what is renewed, and the baseline then."""
    baseline = database(*old)
    return renew(baseline, database(*new), deeds(lines, SCOPE, None)), baseline


def entry(sha256: str, perm: str = "100644", owner: str = "0 0") -> list[str]:
    return [line(PATH, perm=perm, owner=owner, sha256=sha256)]


def test_a_content_of_the_baseline_that_the_run_replaced() -> None:
    renewed, baseline = after([wrote(OLD, NEW)], entry(OLD), entry(NEW))
    assert renewed == [PATH]
    assert baseline.state(PATH).sha256 == NEW


@pytest.mark.parametrize(
    ("lines", "old", "new"),
    [
        ([wrote(EVIL, NEW)], entry(OLD), entry(NEW)),  # somebody had changed it before the run
        ([wrote(OLD, NEW)], entry(OLD), entry(EVIL)),  # somebody has changed it after the run
        ([wrote(OLD, NEW), wrote(EVIL, NEW)], entry(OLD), entry(NEW)),  # and in between
        ([wrote(EVIL, NEW)], [], entry(NEW)),  # the file was there, and in no baseline
        ([], [], entry(EVIL)),
        ([], entry(OLD), []),
        ([wrote(EVIL, None)], entry(OLD), []),  # what the run removed was another one
    ],
)
def test_what_somebody_else_has_done_stays(lines: list[dict[str, Any]], old: list[str], new: list[str]) -> None:
    renewed, baseline = after(lines, old, new)
    assert renewed == []
    assert baseline.lines == database(*old).lines


def test_a_mode_is_taken_over_and_a_foreign_content_is_not() -> None:
    lines = [closed((1, 1, 0o755), (0, 0, 0o640))]
    renewed, baseline = after(lines, entry(OLD, "100755", "1 1"), entry(EVIL, "100640"))
    assert renewed == [PATH]
    state = baseline.state(PATH)
    assert (state.mode, state.uid, state.sha256) == (0o640, 0, OLD)
    assert state.ctime == database(*entry(OLD)).state(PATH).ctime


def test_a_mode_that_was_not_that_of_the_baseline_stays() -> None:
    lines = [closed((1, 1, 0o4755), (0, 0, 0o755))]
    assert after(lines, entry(OLD, "100755", "1 1"), entry(OLD, "100755"))[0] == []


def test_a_mode_that_is_not_what_the_run_set_stays() -> None:
    lines = [closed((1, 1, 0o755), (0, 0, 0o755))]
    assert after(lines, entry(OLD, "100755", "1 1"), entry(OLD, "104755"))[0] == []


def test_what_the_run_put_back_needs_nothing() -> None:
    lines = [closed((0, 0, 0o777), (0, 0, 0o644))]
    renewed, baseline = after(lines, entry(OLD), entry(OLD))
    assert renewed == []
    assert baseline.lines == database(*entry(OLD)).lines


def test_what_came_and_went_by_the_run() -> None:
    assert after([wrote(None, NEW)], [], entry(NEW))[0] == [PATH]
    assert after([wrote(OLD, None)], entry(OLD), [])[0] == [PATH]
    folder = [line(PATH, FOLDER)]
    assert after([{"kind": "folder", "path": PATH}], [], folder)[0] == [PATH]
    assert after([], [], folder)[0] == []


def test_several_changes_of_one_run_follow_on_one_another() -> None:
    lines = [wrote(OLD, EVIL), closed((0, 0, 0o644), (0, 0, 0o600)), wrote(EVIL, NEW, 0o600)]
    renewed, baseline = after(lines, entry(OLD), entry(NEW, "100600"))
    assert renewed == [PATH]
    assert (baseline.state(PATH).sha256, baseline.state(PATH).mode) == (NEW, 0o600)


def test_a_record_that_the_controller_knows_nothing_of_counts_for_no_content() -> None:
    """Who is root on the host can write any record."""
    lines = [wrote(OLD, NEW), closed((0, 0, 0o644), (0, 0, 0o600))]
    assert deeds(lines, SCOPE, [])[PATH].contents == []
    assert deeds(lines, SCOPE, [PATH])[PATH].contents == [(OLD, NEW)]
    folder = [{"kind": "folder", "path": "/opt/x/new"}]
    assert deeds(folder, SCOPE, []) == {}
    assert deeds(folder, SCOPE, ["/opt/x/new/file"])["/opt/x/new"].made


def test_what_is_not_watched_is_no_matter() -> None:
    assert deeds([{**wrote(OLD, NEW), "path": "/opt/y"}, {"kind": "command", "target": "x"}], SCOPE, None) == {}


def test_a_link_is_told_by_its_target() -> None:
    target = hashlib.sha256(b"new").hexdigest()
    deed = Deed(contents=[(hashlib.sha256(b"old").hexdigest(), target)])
    before, now = (State("l", 0o777, 0, 0, target=name) for name in ("old", "new"))
    assert "lname" in (vouched(deed, before, now) or ())
    assert vouched(deed, before, now._replace(target="evil")) == set()


# ---- looking -----------------------------------------------------------------------------------------------


class Tree:
    """A tree and its baseline, as AIDE would have taken it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.scope = Scope([Area(str(folder), "program file")])
        (folder / "bin").mkdir()
        (folder / "bin/a").write_text("a")
        (folder / "bin/b").write_text("b")
        (folder / "bin/l").symlink_to("a")
        self.baseline = self.taken()

    def taken(self) -> Database:
        lines = []
        for path, info in self.scope.walk([]):
            if not path.startswith(str(self.folder)):
                continue
            state = state_of(info, path)
            content = hashlib.sha256(Path(path).read_bytes()).hexdigest() if state.kind == "f" else "00" * 32
            owner = f"{state.uid} {state.gid}"
            made = line(path, f"{info.st_mode:o}", owner, state.size, str(state.mtime), content, state.target or "0")
            words_ = made.split()
            words_[6] = str(state.ctime)
            lines.append(" ".join(words_))
        return database(*lines)

    def differences(self, last: Database | None = None) -> dict[str, str]:
        found = Look(self.scope, self.baseline, last).differences()
        top = f"{self.folder}/"
        return {item.path.removeprefix(top): item.verb for item in found if item.path.startswith(top)}


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def later(path: Path, seconds: int = 100) -> None:
    info = path.lstat()
    os.utime(path, (info.st_atime + seconds, info.st_mtime + seconds))


def test_nothing_differs(tree: Tree) -> None:
    assert tree.differences() == {}


def test_a_new_time_alone_is_no_change(tree: Tree) -> None:
    later(tree.folder / "bin/a")
    assert tree.differences() == {}


def test_everything_that_differs(tree: Tree) -> None:
    (tree.folder / "bin/a").write_text("aa")
    (tree.folder / "bin/b").unlink()
    (tree.folder / "bin/c").write_text("c")
    (tree.folder / "bin/l").unlink()
    (tree.folder / "bin/l").symlink_to("c")
    (tree.folder / "bin").chmod(0o700)
    assert tree.differences() == {
        "bin": "changed",
        "bin/a": "changed",
        "bin/b": "gone",
        "bin/c": "new",
        "bin/l": "changed",
    }


def test_what_took_the_place_of_a_file(tree: Tree) -> None:
    (tree.folder / "bin/a").unlink()
    os.mkfifo(tree.folder / "bin/a")
    (tree.folder / "bin/b").unlink()
    (tree.folder / "bin/b").mkdir()
    assert tree.differences() == {"bin/a": "changed", "bin/b": "changed"}


def test_a_change_that_left_no_trace_but_that_aide_has_read(tree: Tree) -> None:
    last = tree.taken()
    path = str(tree.folder / "bin/a")
    last.lines[path] = tuple(line(path, sha256=EVIL).split())
    fields = dict(zip(last.fields, tree.baseline.lines[path], strict=True))
    last.lines[path] = tuple(
        fields[name] if name != "sha256" else word for name, word in zip(last.fields, last.lines[path], strict=True)
    )
    assert tree.differences() == {}
    assert tree.differences(last) == {"bin/a": "changed"}


def test_the_last_check_counts_only_for_what_was_not_touched_since(tree: Tree) -> None:
    (tree.folder / "bin/a").write_text("evil")
    last = tree.taken()
    (tree.folder / "bin/a").write_text("a")
    later(tree.folder / "bin/a")
    assert tree.differences(last) == {}


def test_a_file_too_large_to_be_read_now_is_told_all_the_same(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "ansible_collections.atlassian_dc.hardening.plugins.module_utils._integrity_changes.HASH_BYTES", 1
    )
    (tree.folder / "bin/a").write_text("much")
    assert tree.differences() == {"bin/a": "changed"}


def test_words() -> None:
    state = State("f", 0o4755, 1, 2, 3, 1795924819, 0, "ab" * 32)
    assert words(state, lambda uid, gid: f"u{uid}:g{gid}") == f"sha256 {'ab' * 32}, u1:g2 4755, 2026-11-29 04:00:19Z"
    assert words(None, lambda uid, gid: "") == "absent"
