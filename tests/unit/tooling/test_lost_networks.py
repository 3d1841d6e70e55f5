# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host whose network is gone keeps podman from everything: it gets an empty one, so that it can be removed."""

from __future__ import annotations

from pathlib import Path

import pytest
from hosts.podman import Podman
from hosts.progress import HostsError

NETWORKS = ("netns-1234-ab", "netns-5678-cd")
# Fails as podman does for each network that is not there.
PODMAN = """
for network in $NETWORKS; do
  [ -e "$network" ] && continue
  echo "Error: retrieving network namespace at /run/netns/$network: failed to Statfs" >&2
  exit 125
done
cat
"""
# Stands before every command in a namespace of podman's own: here for `ip netns add NAME`.
IP = 'touch "$FOLDER/$4"'


def podman_in(monkeypatch: pytest.MonkeyPatch, folder: Path, ip: str) -> Podman:
    """Return a podman whose hosts have lost their networks, and a machine on which `ip` does what it is told here."""
    podman = Podman(folder)
    monkeypatch.setattr(podman, "prepare", lambda: None)
    podman._prefix = ["sh", "-c", ip.replace("$FOLDER", str(folder)), "prefix"]
    script = f"cd {folder}; NETWORKS='{' '.join(NETWORKS)}'; {PODMAN}"
    monkeypatch.setattr(podman, "argv", lambda *_arguments: ["sh", "-c", script])
    return podman


def test_it_gets_an_empty_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    done = podman_in(monkeypatch, tmp_path, IP).run("cp", data=b"all of the input")
    assert done.stdout == b"all of the input"
    assert all((tmp_path / network).exists() for network in NETWORKS)


def test_where_that_does_not_help_it_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    podman = podman_in(monkeypatch, tmp_path, "exit 1")
    with pytest.raises(HostsError, match=NETWORKS[0]):
        podman.run("ps")
    assert podman.run("ps", check=False).returncode == 125
