# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run at a time changes a host, and a run that died keeps nobody out."""

from __future__ import annotations

import multiprocessing
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.module_utils import _lock
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._lock import (
    KEEP_SECONDS,
    LOCK_SECONDS,
    HostLock,
    LockError,
)

FORK = multiprocessing.get_context("fork")


class Time:
    """The clock since the start of the machine; waiting lets it pass."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Time:
    clock = Time()
    monkeypatch.setattr(_lock, "time", clock)
    return clock


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "lock")


@contextmanager
def held_elsewhere(path: str, keep: bool = False) -> Iterator[int]:
    """Let another process hold the lock for run "other"; it dies without a word."""

    def hold(ready: Any, end: Any) -> None:
        lock = HostLock("other", path)
        lock.acquire()
        if keep:
            lock.keep()
        ready.set()
        end.wait(20)
        os._exit(1)

    ready, end = FORK.Event(), FORK.Event()
    process = FORK.Process(target=hold, args=(ready, end))
    process.start()
    try:
        assert ready.wait(20)
        yield process.pid or 0
    finally:
        end.set()
        process.join()


def test_the_second_run_waits_and_then_says_who_has_the_host(path: str, clock: Time) -> None:
    with held_elsewhere(path) as pid, pytest.raises(LockError) as caught:
        HostLock("mine", path).acquire()
    assert clock.now >= 1000 + LOCK_SECONDS
    assert f"run other (process {pid} here) is changing this host" in str(caught.value)
    assert "wait until that run has ended" in str(caught.value)


def test_a_module_that_died_leaves_no_lock(path: str, clock: Time) -> None:
    with held_elsewhere(path):
        pass
    HostLock("mine", path).acquire()
    assert clock.now == 1000


def test_between_modules_another_run_may_go_on(path: str, clock: Time) -> None:
    first = HostLock("first", path)
    first.acquire()
    first.release()
    HostLock("second", path).acquire()
    assert clock.now == 1000


def test_while_products_are_down_the_host_is_kept_between_modules(path: str, clock: Time) -> None:
    first = HostLock("first", path)
    first.acquire()
    first.keep()
    clock.now += 600  # a module may take long; the time counts from its end
    first.release()
    clock.now += KEEP_SECONDS - 1
    again = HostLock("first", path)
    again.acquire()  # the next module of the same run
    again.release()
    second = HostLock("second", path)
    second.acquire()
    assert clock.now >= 1600 + 2 * KEEP_SECONDS - 1


def test_who_waits_outlasts_a_run_that_died(path: str, clock: Time) -> None:
    with held_elsewhere(path, keep=True):
        pass
    HostLock("mine", path).acquire()
    assert 1000 + KEEP_SECONDS <= clock.now < 1000 + LOCK_SECONDS


def test_a_living_run_that_restarts_products_is_named(path: str, clock: Time, monkeypatch: pytest.MonkeyPatch) -> None:
    first = HostLock("first", path)
    first.acquire()
    first.keep()
    first.release()
    monkeypatch.setattr(_lock, "LOCK_SECONDS", KEEP_SECONDS / 2)
    with pytest.raises(LockError, match="run first is restarting products of this host at this moment"):
        HostLock("second", path).acquire()


def test_letting_go_ends_it_at_once(path: str, clock: Time) -> None:
    first = HostLock("first", path)
    first.acquire()
    first.keep()
    first.let_go()
    first.release()
    HostLock("second", path).acquire()
    assert clock.now == 1000


@pytest.mark.parametrize("text", ["", "run x", "[]", "{}", '{"run": "x", "process": 1, "kept_until": "soon"}'])
def test_whatever_the_file_holds_keeps_nobody_out(path: str, clock: Time, text: str) -> None:
    Path(path).write_text(text)
    HostLock("mine", path).acquire()
    assert clock.now == 1000


def test_it_is_private_and_no_link_is_followed(path: str, tmp_path: Path) -> None:
    HostLock("mine", path).acquire()
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(LockError, match="cannot be opened"):
        HostLock("mine", str(tmp_path / "link")).acquire()
    assert not (tmp_path / "elsewhere").exists()


def test_it_is_taken_only_by_a_real_run(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_lock, "LOCK", path)
    assert HostLock.of({"record": None}, check_mode=False) is None
    assert HostLock.of({"record": {"run": "x"}}, check_mode=True) is None
    assert not Path(path).exists()
