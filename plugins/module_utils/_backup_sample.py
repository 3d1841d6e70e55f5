# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Chooses files of a home whose hashes the manifest keeps, for a drill to compare what comes back with."""

# pylint: disable=ansible-bad-function  # runs by itself, where there is no module
from __future__ import annotations

import contextlib
import hashlib
import os
import random
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

SAMPLE = 200
"""Most files of the sample."""
FILE_BYTES = 256 * 1024**2
"""Longest file that is taken into it."""
CHUNK = 1024 * 1024


@dataclass(frozen=True)
class Node:
    """A file of a snapshot.

    Attributes:
        part: the part it is in.
        snapshot: of that part.
        path: absolute, in the repository.
        size: in bytes.
        time: when it was last changed, in nanoseconds since 1970.
        root: what its path begins with, in a snapshot of the storage.

    """

    part: str
    snapshot: str
    path: str
    size: int
    time: int | None
    root: str = ""

    @property
    def true_path(self) -> str:
        """Where it lies on the host."""
        return self.path[len(self.root) :]

    def is_below(self, path: str) -> bool:
        """Whether it is a file of the host, or lies in a folder of it."""
        return f"{self.true_path}/".startswith(f"{path}/")


def files_below(paths: Iterable[str], left_out: Iterable[str] = ()) -> Iterator[str]:
    """Yield the regular files at and below some paths; what cannot be listed is passed over.

    Args:
        paths: absolute.
        left_out: paths at and below which none is yielded.

    """
    folders, passed = [], frozenset(left_out)
    for path in paths:
        with contextlib.suppress(OSError):
            mode = os.lstat(path).st_mode
            if stat.S_ISDIR(mode):
                folders.append(path)
            elif stat.S_ISREG(mode):
                yield path
    while folders:
        with contextlib.suppress(OSError), os.scandir(folders.pop()) as listing:
            for entry in listing:
                if entry.path in passed:
                    continue
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                elif entry.is_file(follow_symlinks=False):
                    yield entry.path


def chosen_of(files: Iterable[tuple[str, str]], seed: str) -> list[tuple[str, str]]:
    """Return some files of many, each as likely as any other: part and path.

    Args:
        files: all of them; empty and very long ones are not chosen.
        seed: the same one chooses the same of the same files.

    """
    chance = random.Random(seed)  # noqa: S311 - which files are looked at is no secret
    chosen: list[tuple[str, str]] = []
    for number, (part, path) in enumerate(files):
        place = len(chosen) if len(chosen) < SAMPLE else chance.randrange(number + 1)
        if place >= SAMPLE:
            continue
        with contextlib.suppress(OSError):
            if 0 < os.lstat(path).st_size <= FILE_BYTES:
                chosen[place : place + 1] = [(part, path)]
    return chosen


def hash_on_host(node: Node) -> str | None:
    """Return the hash of a file on the host, None where it is not that of the snapshot any more."""
    digest = hashlib.sha256()
    try:
        handle = os.open(node.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(handle, "rb") as stream:
            before = os.fstat(handle)
            while data := stream.read(CHUNK):
                digest.update(data)
            after = os.fstat(handle)
    except OSError:
        return None
    same = (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns) == (node.size, node.time)
    return digest.hexdigest() if same else None
