# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files of a home are looked at again."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.module_utils import _backup_sample
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._backup_sample import chosen_of, files_below


class TestFiles:
    def test_all_but_what_is_left_out(self, tmp_path: Path) -> None:
        for name in ("a", "deep/er/b", "out/c", "outer"):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(name)
        found = files_below([str(tmp_path)], [str(tmp_path / "out")])
        assert {os.path.relpath(path, tmp_path) for path in found} == {"a", "deep/er/b", "outer"}

    def test_a_file_by_itself(self, tmp_path: Path) -> None:
        (tmp_path / "a").write_text("a")
        assert list(files_below([str(tmp_path / "a"), str(tmp_path / "none")])) == [str(tmp_path / "a")]

    def test_links_and_pipes_are_no_files(self, tmp_path: Path) -> None:
        (tmp_path / "link").symlink_to("/etc")
        (tmp_path / "file").symlink_to("/etc/passwd")
        os.mkfifo(tmp_path / "pipe")
        assert list(files_below([str(tmp_path)])) == []

    def test_names_that_are_no_text(self, tmp_path: Path) -> None:
        (tmp_path / os.fsdecode(b"\xff\n")).write_text("a")
        assert len(list(files_below([str(tmp_path)]))) == 1


class TestChoice:
    def test_few_are_all_chosen_but_empty_and_long_ones(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(_backup_sample, "FILE_BYTES", 3)
        for name, text in (("a", "abc"), ("empty", ""), ("long", "abcd")):
            (tmp_path / name).write_text(text)
        files = [("home", path) for path in files_below([str(tmp_path)])]
        chosen = chosen_of([*files, ("home", str(tmp_path / "gone"))], "any")
        assert chosen == [("home", str(tmp_path / "a"))]

    def test_each_is_as_likely_as_any_other(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(_backup_sample, "SAMPLE", 10)
        files = []
        for number in range(40):
            path = tmp_path / str(number)
            path.write_text("x")
            files.append(("home", str(path)))
        times = Counter(path for seed in range(400) for _part, path in chosen_of(files, str(seed)))
        assert sum(times.values()) == 4000
        # Expected 100 each, with a deviation of 9.
        assert min(times.values()) > 60
        assert max(times.values()) < 140
