# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Results of drills on the controller: a drill mostly runs on another host than the product."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

DEFAULT_FOLDER = "./atlassian-dc-backups"


class DrillError(Exception):
    """A result cannot be read or written; says why."""


class Drills:
    """The last result of each instance.

    Args:
        folder: where they lie.

    """

    def __init__(self, folder: str) -> None:
        self.folder = Path(os.path.expanduser(folder)).absolute()

    def path(self, key: str) -> Path:
        """Return where the result of an instance lies, by its key, which is fit for a file's name."""
        return self.folder / f"{key}.drill.json"

    def read(self, keys: Iterable[str]) -> dict[str, str]:
        """Return those that there are, by key.

        Raises:
            DrillError: one is there and cannot be read.

        """
        found = {}
        for key in keys:
            try:
                found[key] = self.path(key).read_text(encoding="utf-8", errors="replace")
            except FileNotFoundError:
                continue
            except OSError as exc:
                raise DrillError(f"{self.path(key)}: {exc.strerror}") from exc
        return found

    def keep(self, key: str, text: str) -> None:
        """Keep a result in the place of the one before.

        Raises:
            DrillError: it cannot be written.

        """
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=self.folder, prefix=".")
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                stream.write(text)
            os.replace(temporary, self.path(key))
        except OSError as exc:
            raise DrillError(f"{self.folder}: {exc.strerror}") from exc
