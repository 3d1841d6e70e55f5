# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The walk alone, on trees of any shape and while they change: each folder once, none outside, no descriptor lost."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from unittest import mock

from ansible_collections.atlassian_dc.hardening.plugins.module_utils import _walk
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._walk import Child, Folder, Mounts, Walk
from hypothesis import given, settings
from hypothesis import strategies as st

NAMES = st.sampled_from([b"a", b"b", b"x\ny", b"\xff", b" ", b"-rf", b"..."])
PATHS = st.lists(st.lists(NAMES, min_size=1, max_size=9), max_size=12)
ACTIONS = st.lists(st.tuples(st.sampled_from(["remove", "link", "move", "replace"]), st.integers(0, 30)), max_size=4)


def children_of(folder: Folder) -> list[Child]:
    with os.scandir(folder.fd) as listing:
        return [
            Child(entry.name, None, entry.stat(follow_symlinks=False))
            for entry in listing
            if entry.is_dir(follow_symlinks=False)
        ]


def disturb(root: str, outside: str, action: str, number: int) -> None:
    """Change one folder of the tree, as somebody else might."""
    folders = sorted(os.path.join(above, name) for above, names, _files in os.walk(root) for name in names)
    folders = [folder for folder in folders if not os.path.islink(folder)]
    if not folders:
        return
    chosen = folders[number % len(folders)]
    if action == "move":
        os.rename(chosen, os.path.join(outside, f"moved{len(os.listdir(outside))}"))
        return
    shutil.rmtree(chosen)
    if action == "link":
        os.symlink(outside, chosen)
    elif action == "replace":
        os.mkdir(chosen)


@settings(max_examples=150)
@given(paths=PATHS, levels=st.integers(1, 4), actions=ACTIONS, when=st.integers(0, 5))
def test_each_folder_once_and_none_outside(
    paths: list[list[bytes]], levels: int, actions: list[tuple[str, int]], when: int
) -> None:
    base = tempfile.mkdtemp(prefix="walk-")
    try:
        root, outside = os.path.join(base, "tree"), os.path.join(base, "outside")
        os.mkdir(root)
        os.makedirs(os.path.join(outside, "never"))
        for path in paths:
            os.makedirs(os.path.join(os.fsencode(root), *path), exist_ok=True)
        os.symlink(outside, os.path.join(root, "link"))
        kept = {info.st_ino for info in (os.stat(outside), os.stat(os.path.join(outside, "never")))}
        all_folders = {os.path.join(above, name) for above, names, _files in os.walk(root) for name in names}
        everything = {root} | {path for path in all_folders if not os.path.islink(path)}
        seen: list[str] = []
        inodes: list[int] = []
        unread: list[str] = []
        pending = list(actions)

        def visit(folder: Folder) -> list[Child]:
            seen.append(folder.path)
            inodes.append(folder.info.st_ino)
            found = children_of(folder)
            if pending and len(seen) > when:
                disturb(root, outside, *pending.pop())
            return found

        descriptors = len(os.listdir("/proc/self/fd"))
        with mock.patch.object(_walk, "OPEN_FOLDERS", levels):
            Walk(root, Mounts("/nonexistent"), False, lambda _state, path, _why: unread.append(path)).run(None, visit)
        assert len(os.listdir("/proc/self/fd")) == descriptors
        assert len(seen) == len(set(seen))
        assert not kept & set(inodes)
        assert all(Path(path).is_relative_to(root) for path in seen)
        if not actions:
            assert set(seen) == everything
            assert unread == []
    finally:
        shutil.rmtree(base)
