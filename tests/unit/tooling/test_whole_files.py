# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What processes beside each other read is never there by halves: it is written beside its place and moved there."""

from __future__ import annotations

from pathlib import Path

import pytest
from hosts.groups import Group, Host
from hosts.podman import Podman


def written(folder: Path, name: str) -> Path:
    """Write what a run writes each time, and return the file that has this name."""
    podman = Podman(folder)
    podman.store.mkdir(parents=True, exist_ok=True)
    group = Group("beside", podman)
    group._save({"host": Host("host", address="10.213.0.10")})
    podman._write_config()
    group._write_inventory(group.hosts())
    (path,) = folder.rglob(name)
    return path


@pytest.mark.parametrize("name", ["containers.conf", "hosts.json", "inventory.yml", "ssh_config"])
def test_who_reads_it_has_all_of_it(tmp_path: Path, name: str) -> None:
    path = written(tmp_path, name)
    text = path.read_text()
    path.write_text("as it was before")
    reader = tmp_path / "what a reader has open"
    reader.hardlink_to(path)
    assert written(tmp_path, name).read_text() == text
    assert reader.read_text() == "as it was before"
    assert [left.name for left in path.parent.iterdir() if left.suffix == ".new"] == []
