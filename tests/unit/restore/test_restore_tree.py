# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that were restored, compared with the manifest."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._backup_manifest import Manifest
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._restore_tree import (
    Place,
    listed,
    missing_files,
    sha256_of,
    within,
    wrong_needs,
    wrong_samples,
)
from unit.restore.manifests import HOME, manifest, sha256

PART = "home-jira1"


@pytest.fixture
def restored(tmp_path: Path) -> Path:
    """Make a home as it was in the backup."""
    for name, text in (("data/a.txt", "hello"), ("dbconfig.xml", "x" * 95), ("keys/k", "secret")):
        path = tmp_path / HOME.lstrip("/") / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def place(root: Path) -> Place:
    return lambda part, path: within(str(root), path) if part == PART else None


def with_key() -> Manifest:
    key = dataclasses.replace(
        manifest().needed[0], path="keys", place=f"{HOME}/keys", sha256={f"{HOME}/keys/k": sha256(b"secret")}
    )
    return dataclasses.replace(manifest(), needed=(*manifest().needed, key))


def test_all_is_as_it_was(restored: Path) -> None:
    part = dataclasses.replace(manifest().parts[1], files=3, bytes=106)
    assert missing_files(part, [str(restored)]) == []
    assert wrong_samples(manifest(), place(restored)) == []
    assert wrong_needs(with_key(), place(restored)) == []


def test_a_part_that_was_left_out_is_not_missed(tmp_path: Path) -> None:
    assert wrong_samples(manifest(), lambda _part, _path: None) == []
    assert wrong_needs(with_key(), lambda _part, _path: None) == []


def test_files_that_are_missing_or_shorter_are_told(restored: Path) -> None:
    part = dataclasses.replace(manifest().parts[1], files=4, bytes=107)
    assert missing_files(part, [str(restored)]) == [
        "home-jira1: 3 files instead of 4",
        "home-jira1: 106 bytes instead of 107",
    ]
    assert missing_files(part, [str(restored / "nowhere")])[0].endswith("No such file or directory")


@pytest.mark.parametrize(
    ("text", "words"),
    [("hell", "4 bytes instead of 5"), ("jello", "other content"), (None, "No such file or directory")],
)
def test_a_file_of_the_sample_that_differs_is_told(restored: Path, text: str | None, words: str) -> None:
    path = restored / HOME.lstrip("/") / "data/a.txt"
    path.unlink()
    if text is not None:
        path.write_text(text)
    assert wrong_samples(manifest(), place(restored)) == [f"{HOME}/data/a.txt: {words}"]


def test_a_key_that_is_missing_or_another_is_told(restored: Path) -> None:
    key = restored / HOME.lstrip("/") / "keys/k"
    key.write_text("sEcret")
    assert wrong_needs(with_key(), place(restored)) == [f"{HOME}/keys/k: other content"]
    key.unlink()
    key.parent.rmdir()
    assert wrong_needs(with_key(), place(restored)) == [
        f"{HOME}/keys: is missing",
        f"{HOME}/keys/k: No such file or directory",
    ]


def test_links_and_pipes_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to("file")
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "pipe"):
        with pytest.raises(OSError):  # noqa: PT011 - of several kinds
            sha256_of(str(tmp_path / name))


def test_of_many_problems_the_first_are_named() -> None:
    assert listed(["a", "b"]) == "a; b"
    assert listed([str(number) for number in range(22)]).endswith("19; and 2 more")
