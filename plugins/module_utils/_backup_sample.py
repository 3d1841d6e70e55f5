# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Chooses files of a home whose hashes the manifest keeps, for a drill to compare what comes back with."""

# pylint: disable=ansible-bad-function  # runs by itself, where there is no module
from __future__ import annotations

import calendar
import hashlib
import os
import random
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

SAMPLE = 200
"""Most files of the sample."""
FILE_BYTES = 256 * 1024**2
"""Longest file that is taken into it."""
CHUNK = 1024 * 1024
_MTIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)")


def nanoseconds(text: Any) -> int | None:
    """Return a time as restic writes it in nanoseconds since 1970, None where it is none."""
    found = _MTIME.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        return None
    try:
        seconds = calendar.timegm(time.strptime(found[1], "%Y-%m-%dT%H:%M:%S"))
    except ValueError:
        return None
    if found[3] != "Z":
        hours, minutes = found[3][1:].split(":")
        seconds -= (-1 if found[3][0] == "-" else 1) * (int(hours) * 3600 + int(minutes) * 60)
    return seconds * 10**9 + int((found[2] or "").ljust(9, "0"))


@dataclass(frozen=True)
class Node:
    """A file of a snapshot.

    Attributes:
        part: the part it is in.
        snapshot: of that part.
        path: absolute, in the repository.
        size: in bytes.
        stamp: when it was last changed, as restic tells it.
        root: what its path begins with, in a snapshot of the storage.

    """

    part: str
    snapshot: str
    path: str
    size: int
    stamp: Any
    root: str = ""

    @property
    def time(self) -> int | None:
        """When it was last changed, in nanoseconds since 1970; None where nobody has told."""
        return nanoseconds(self.stamp)

    @property
    def true_path(self) -> str:
        """Where it lies on the host."""
        return self.path[len(self.root) :]


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

    @staticmethod
    def among(choices: Sequence[Choice], seed: str) -> list[Node]:
        """Choose among what several have chosen from, as if it had all been offered to one.

        Args:
            choices: what has been chosen of each.
            seed: the same one chooses the same.

        """
        chance = random.Random(seed)  # noqa: S311 - the same
        left = [choice._seen for choice in choices]
        nodes = [chance.sample(choice.nodes, len(choice.nodes)) for choice in choices]
        chosen: list[Node] = []
        while any(left) and len(chosen) < SAMPLE:
            (number,) = chance.choices(range(len(left)), left)
            left[number] -= 1
            chosen.append(nodes[number].pop())
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
