# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images of the test hosts that are built beside each other keep out of each other's way."""

from __future__ import annotations

import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hosts.images import PREFIX, Images
from hosts.podman import Podman

OLDER = f"{PREFIX}-base:bookworm-0123456789ab"
OTHERS = f"{PREFIX}-base_of_others:bookworm-0123456789ab"


class Builds:
    """Stands for podman: has no image, and tells what was removed or listed while something was being built."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.images = Images(Podman(folder))
        self.building: set[str] = set()
        self.removed: list[str] = []
        self.beside: list[tuple[str, ...]] = []
        self.looked = threading.Event()
        monkeypatch.setattr(self.images.podman, "run", self._run)
        monkeypatch.setattr(self.images.podman, "lines", self._lines)
        monkeypatch.setattr(self.images, "_build_base", self._build)

    def _run(self, *arguments: str, **_options: Any) -> subprocess.CompletedProcess[bytes]:
        if arguments[:2] == ("image", "exists"):
            return subprocess.CompletedProcess(arguments, 1, b"", b"")
        if arguments[:2] == ("image", "rm"):
            self.removed.append(arguments[2])
        self._look(arguments)
        return subprocess.CompletedProcess(arguments, 0, b"", b"")

    def _lines(self, *arguments: str) -> list[str]:
        self._look(arguments)
        return [OLDER, OTHERS, self.images.name("base", "bookworm"), self.images.name("base", "trixie")]

    def _look(self, arguments: tuple[str, ...]) -> None:
        if self.building:
            self.beside.append(arguments)
        self.looked.set()

    def _build(self, _image: str, distribution: str, _name: str) -> None:
        self.building.add(distribution)
        if distribution == "trixie":
            # Long enough for the other to have ended, and to have tidied up if it does so at once.
            self.looked.wait(1)
        self.building.remove(distribution)


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Builds:
    return Builds(monkeypatch, tmp_path)


def test_none_is_removed_or_listed_while_another_is_built(builds: Builds) -> None:
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda distribution: builds.images.ensure("base", distribution), ("trixie", "bookworm")))
    assert builds.looked.is_set()
    assert builds.beside == []


def test_what_earlier_recipes_made_is_removed_in_the_end(builds: Builds) -> None:
    builds.images.ensure("base", "bookworm")
    assert builds.removed == [OLDER]
