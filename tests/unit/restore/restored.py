# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A repository that restores what a test has put into it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from ansible_collections.atlassian_dc.hardening.plugins.module_utils._backup_keep import Stored
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._backup_manifest import Manifest
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._backup_restic import ResticError
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._restore_database import Feed, LoadError
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._restore_repository import Repository


class Holding(Repository):
    """A repository with one backup.

    Args:
        manifest: of the backup.
        files: content by part and absolute path.
        dump: of the database.
        failing: what does not work, and how: ``open``, ``check``, or the name of a part.

    """

    def __init__(
        self, manifest: Manifest, files: dict[str, dict[str, str]], dump: bytes, failing: dict[str, str] | None = None
    ) -> None:
        super().__init__("/nowhere", "", {}, "/nowhere", 0)
        self.held = manifest
        self.files_of = files
        self.dumped = dump
        self.failing = failing or {}

    def _fail(self, what: str) -> None:
        if what in self.failing:
            raise ResticError(self.failing[what])

    def open(self) -> None:
        """Open it."""
        self._fail("open")

    def backups(self) -> dict[str, list[Stored]]:
        """Return the one."""
        return {self.held.key: [Stored(self.held.backup)]}

    def manifest(self, key: str, backup: Stored) -> Manifest:
        """Return its manifest."""
        assert (key, backup.name) == (self.held.key, self.held.backup)
        self._fail("manifest")
        return self.held

    def check(self, read_data: str) -> None:
        """Check it."""
        assert read_data == "5%"
        self._fail("check")

    def restore(self, snapshot: str, target: str, paths: Iterable[str] = ()) -> None:
        """Write the files of a part."""
        held = next(part for part in self.held.parts if part.snapshot == snapshot)
        part, wanted = held.part, tuple(paths) or ("/",)
        for path, text in self.files_of[part].items():
            if any(held.place(path).startswith(prefix) for prefix in wanted):
                real = Path(target) / held.place(path).lstrip("/")
                real.parent.mkdir(parents=True, exist_ok=True)
                real.write_text(text)
        self._fail(part)

    def dump(self, snapshot: str, path: str, take: Callable[[bytes], object]) -> None:
        """Hand out the dump."""
        assert (snapshot, path) == ("a" * 64, "/database.dump")
        for start in range(0, len(self.dumped), 3):
            take(self.dumped[start : start + 3])
        self._fail("database")


class FakeServer:
    """A server into which anything can be loaded."""

    found: dict[str, int]
    broken: str
    steps: list[str]

    def __init__(self, *_given: Any) -> None:
        pass

    @classmethod
    def fresh(cls, found: dict[str, int], broken: str = "") -> None:
        """Say what is in it, and what does not work."""
        cls.found, cls.broken, cls.steps = found, broken, []

    def _step(self, name: str) -> None:
        self.steps.append(name)
        if name == self.broken:
            raise LoadError(f"{name} does not work")

    def look(self) -> None:
        """See whether it is empty."""
        self._step("look")

    def start(self) -> None:
        """Start it."""
        self._step("start")

    def stop(self) -> None:
        """Stop it."""
        self.steps.append("stop")

    def load(self, feed: Feed) -> tuple[str, int]:
        """Take a dump."""
        pieces: list[bytes] = []
        feed(pieces.append)
        self._step("load")
        data = b"".join(pieces)
        return hashlib.sha256(data).hexdigest(), len(data)

    def rows(self) -> dict[str, int]:
        """Count."""
        self._step("rows")
        return self.found

    def commit(self) -> None:
        """Put it in place."""
        self._step("commit")

    def discard(self) -> None:
        """Remove what is not in place."""
        self.steps.append("discard")

    def folder(self) -> str:
        """Return where its data lie."""
        return "/"


def names_below(folder: Path) -> set[str]:
    """Return the paths of all that is in a folder."""
    return {os.path.relpath(path, folder) for path in folder.rglob("*")}
