# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Somebody swaps files and folders for links to the outside while the walk applies changes: nothing outside changes."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from unit.permissions.permission_product import OTHER_UID, SERVICE_UID, Product, needs_root, snapshot

pytestmark = needs_root

AT_FDCWD, RENAME_EXCHANGE = -100, 2
SECONDS, ROUNDS = 2.0, 5
"""How long and how often at least."""


@contextmanager
def swapping(pairs: list[tuple[Path, Path]]) -> Iterator[None]:
    """Exchange the members of each pair as fast as the machine can, in a process of its own."""
    exchange = ctypes.CDLL(None, use_errno=True).renameat2
    names = [(os.fsencode(one), os.fsencode(other)) for one, other in pairs]
    assert exchange(AT_FDCWD, names[0][0], AT_FDCWD, names[0][1], RENAME_EXCHANGE) == 0
    child = os.fork()
    if child == 0:
        while True:
            for one, other in names:
                exchange(AT_FDCWD, one, AT_FDCWD, other, RENAME_EXCHANGE)
    try:
        yield
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def outside_of(product: Product) -> Path:
    """Make a folder that looks as wrong as can be, and holds what the product's folder holds."""
    outside = product.root / "outside"
    for number in range(20):
        path = outside / "deep" / f"{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("not yours")
        os.chown(path, OTHER_UID, OTHER_UID)
        path.chmod(0o4777)
    for folder in (outside / "deep", outside):
        folder.chmod(0o777)
    return outside


@pytest.mark.parametrize("kind", ["folder", "file", "both"])
def test_nothing_outside_ever_changes(product: Product, kind: str) -> None:
    outside = outside_of(product)
    inside = product.path("home/data/work")
    pairs: list[tuple[Path, Path]] = []
    for number in range(20):
        product.add(f"home/data/work/deep/{number}", 0o777)
    if kind in ("folder", "both"):
        (product.path("home/data") / "lure").symlink_to(outside)
        pairs.append((inside, product.path("home/data") / "lure"))
    if kind in ("file", "both"):
        for number in range(20):
            link = product.path("home/data") / f"lure{number}"
            link.symlink_to(outside / "deep" / f"{number}")
            pairs.append((product.path("home/data/other") / f"{number}", link))
            product.add(f"home/data/other/{number}", 0o777)
    # Held open, for by their names somebody else's would be opened.
    mine = [os.open(path, os.O_RDONLY) for path in product.path("home/data").glob("**/*") if path.is_file()]
    mine = [descriptor for descriptor in mine if os.fstat(descriptor).st_uid == SERVICE_UID]
    before = snapshot(outside)
    rounds = 0
    try:
        with swapping(pairs):
            end = time.monotonic() + SECONDS
            while time.monotonic() < end or rounds < ROUNDS:
                for descriptor in mine:
                    os.fchmod(descriptor, 0o666)  # so that every round has something to change
                product.run()
                rounds += 1
                assert snapshot(outside) == before
    finally:
        for descriptor in mine:
            os.close(descriptor)
    assert snapshot(outside) == before
