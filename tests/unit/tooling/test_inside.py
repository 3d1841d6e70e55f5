# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The first process of a test host, through which commands get in: never another one that has its number now."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hosts.podman import Podman, Process
from hosts.progress import HostsError


@pytest.fixture
def sleeper() -> subprocess.Popen[bytes]:
    return subprocess.Popen(["sleep", "60"])


def inspecting(monkeypatch: pytest.MonkeyPatch, folder: Path, *pids: int) -> Podman:
    """Return a podman that tells of a container's process, another one each time."""
    podman = Podman(folder)
    told = iter(pids)
    monkeypatch.setattr(podman, "lines", lambda *_arguments: [str(next(told))])
    return podman


def test_it_ends(sleeper: subprocess.Popen[bytes]) -> None:
    process = Process(sleeper.pid)
    assert process.runs()
    sleeper.kill()
    sleeper.wait()
    assert not process.runs()
    assert not Process(sleeper.pid).runs()


def test_another_one_has_its_number(sleeper: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    process = Process(sleeper.pid)
    monkeypatch.setattr(process, "_start", lambda: "4711")
    assert not process.runs()
    sleeper.kill()
    sleeper.wait()


def test_podman_is_asked_once_for_each_start(
    sleeper: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    again = subprocess.Popen(["sleep", "60"])
    podman = inspecting(monkeypatch, tmp_path, sleeper.pid, again.pid)
    assert podman.init("host").pid == podman.init("host").pid == sleeper.pid
    sleeper.kill()
    sleeper.wait()
    assert podman.init("host").pid == again.pid
    again.kill()
    again.wait()


def test_a_host_that_does_not_run_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(HostsError, match="host does not run"):
        inspecting(monkeypatch, tmp_path, 0).init("host")
