# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Chooses files of a home whose hashes the manifest keeps, for a drill to compare what comes back with."""

# pylint: disable=ansible-bad-function  # runs by itself, where there is no module
from __future__ import annotations

import hashlib
import os
import random
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


class Choice:
    """Some of many files, each as likely as any other.

    Args:
        seed: the same one chooses the same of the same files.

    Attributes:
        nodes: those that are chosen.

    """

    def __init__(self, seed: str) -> None:
        self.nodes: list[Node] = []
        self._chance = random.Random(seed)  # noqa: S311 - which files are looked at is no secret
        self._seen = 0

    def offer(self, node: Node) -> None:
        """Take a file into account; empty and very long ones are not chosen."""
        if not 0 < node.size <= FILE_BYTES:
            return
        self._seen += 1
        if len(self.nodes) < SAMPLE:
            self.nodes.append(node)
        elif (place := self._chance.randrange(self._seen)) < SAMPLE:
            self.nodes[place] = node


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
