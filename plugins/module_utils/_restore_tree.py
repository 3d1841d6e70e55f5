# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compares files that were restored with what the manifest of their backup says of them.

They come out of a repository that others may have written to: nothing is followed, and only regular files are read.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from typing import Optional

from ansible_collections.atlassian_dc.hardening.plugins.module_utils._backup_manifest import Manifest, Part

Place = Callable[[str, str], Optional[str]]
"""Says where a path of a part was restored to; None where that part, or that path, was left out."""

CHUNK = 1024 * 1024
MOST_NAMED = 20
"""Most differences that are named one by one."""


def within(root: str, path: str) -> str:
    """Return where an absolute path of a snapshot lies below the folder it was restored to."""
    return os.path.join(root, path.lstrip("/"))


def link_on_way(root: str, place: str) -> str:
    """Return the first link on the way from a folder to a place below it, that included; empty where there is none."""
    here = root
    for name in os.path.relpath(place, root).split("/"):
        here = os.path.join(here, name)
        if os.path.islink(here):
            return here
    return ""


def sha256_of(path: str) -> tuple[str, int]:
    """Return hash and size of a regular file.

    Raises:
        OSError: it is none, or cannot be read.

    """
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as stream:
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        digest, size = hashlib.sha256(), 0
        while data := stream.read(CHUNK):
            digest.update(data)
            size += len(data)
    return digest.hexdigest(), size


def count(root: str) -> tuple[int, int]:
    """Return how many regular files lie below a folder, and their size."""
    files = size = 0
    folders = [root]
    while folders:
        with os.scandir(folders.pop()) as listing:
            for entry in listing:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                elif entry.is_file(follow_symlinks=False):
                    files += 1
                    size += entry.stat(follow_symlinks=False).st_size
    return files, size


def missing_files(part: Part, roots: Iterable[str]) -> list[str]:
    """Return what a restored part lacks, in words; empty where it has as many files and bytes as were backed up.

    Args:
        part: as the manifest has it.
        roots: folders that it was restored to.

    """
    files = size = 0
    for root in roots:
        try:
            more, bytes_more = count(root)
        except OSError as exc:
            return [f"{part.part}: {exc.filename}: {exc.strerror}"]
        files, size = files + more, size + bytes_more
    found = [] if files == part.files else [f"{part.part}: {files} files instead of {part.files}"]
    return found if size == part.bytes else [*found, f"{part.part}: {size} bytes instead of {part.bytes}"]


def wrong_samples(manifest: Manifest, place: Place) -> list[str]:
    """Return which files of the sample are not as they were in the backup, in words."""
    expected = [(item.part, item.path, item.sha256, item.size) for item in manifest.sample]
    return list(_wrong(expected, place))


def wrong_needs(manifest: Manifest, place: Place) -> list[str]:
    """Return what of that which a restore needs is missing or another, keys among it; the same way."""
    found = []
    for item in manifest.needed:
        where = place(str(item.part), str(item.place)) if item.present else None
        if where is not None and not os.path.lexists(where):
            found.append(f"{item.place}: is missing")
    expected = [
        (str(item.part), path, digest, None) for item in manifest.needed for path, digest in item.sha256.items()
    ]
    return [*found, *_wrong(expected, place)]


def _wrong(expected: Iterable[tuple[str, str, str, int | None]], place: Place) -> Iterator[str]:
    for part, path, digest, size in expected:
        where = place(part, path)
        if where is None:
            continue
        try:
            found, length = sha256_of(where)
        except OSError as exc:
            yield f"{path}: {exc.strerror}"
            continue
        if size not in (None, length):
            yield f"{path}: {length} bytes instead of {size}"
        elif found != digest:
            yield f"{path}: other content"


def listed(problems: list[str]) -> str:
    """Return problems as one line; of many only the first."""
    more = len(problems) - MOST_NAMED
    return "; ".join([*problems[:MOST_NAMED], *([f"and {more} more"] if more > 0 else [])])
