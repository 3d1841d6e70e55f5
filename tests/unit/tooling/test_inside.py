# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The first process of a test host, through which commands get in: never another one that has its number now."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hosts.podman import Podman, Process
from hosts.progress import HostsError


@contextmanager
def asleep() -> Iterator[int]:
    """Start a process and tell its number; it has ended after that, whatever happens."""
    with subprocess.Popen(["sleep", "60"]) as process:
        try:
            yield process.pid
        finally:
            process.kill()


def inspecting(monkeypatch: pytest.MonkeyPatch, folder: Path, *pids: int) -> Podman:
    """Return a podman that tells of a container's process, another one each time."""
    podman = Podman(folder)
    told = iter(pids)
    monkeypatch.setattr(podman, "lines", lambda *_arguments: [str(next(told))])
    return podman


def test_it_ends() -> None:
    with asleep() as pid:
        process = Process(pid)
        assert process.runs()
    assert not process.runs()
    assert not Process(pid).runs()


def test_another_one_has_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    with asleep() as pid:
        process = Process(pid)
        monkeypatch.setattr(process, "_start", lambda: "4711")
        assert not process.runs()


def test_podman_is_asked_once_for_each_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with asleep() as again:
        with asleep() as first:
            podman = inspecting(monkeypatch, tmp_path, first, again)
            assert podman.init("host").pid == podman.init("host").pid == first
        assert podman.init("host").pid == again


def test_a_host_that_does_not_run_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(HostsError, match="host does not run"):
        inspecting(monkeypatch, tmp_path, 0).init("host")
