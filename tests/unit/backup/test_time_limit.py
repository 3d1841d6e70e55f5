# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A repository that takes connections and never answers."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.module_utils import _backup_restic, _backup_run
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._backup_restic import (
    Restic,
    ResticError,
    words_of_seconds,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._backup_run import StoppedError

POLITE = """
trap 'printf "lock taken away" > "$0"; kill $!; exit 130' INT
echo '{}'
# Whoever reads what this prints waits for all that may print too.
sleep 60 > /dev/null 2>&1 &
wait
"""
STUBBORN = "trap '' INT; echo '{}'; exec sleep 60"
CALLS: dict[str, Callable[[Restic], object]] = {
    "open": lambda restic: restic.open(),
    "dump": lambda restic: restic.dump("a" * 64, "/file", lambda _data: None),
    "save": lambda restic: restic.save("host", ["tag"], ["/folder"], []),
    "save_stream": lambda restic: restic.save_stream("host", ["tag"], "dump", endless),
}


def endless(take: Callable[[bytes], object]) -> None:
    while True:
        take(b"x" * 65536)


def silent(tmp_path: Path, program: str = POLITE, limit: float = 1) -> Restic:
    command = ("/bin/sh", "-c", program, str(tmp_path / "left"))
    return Restic("/nowhere", "secret", {}, str(tmp_path), command, limit)


@pytest.mark.parametrize("call", CALLS)
def test_it_is_given_up(tmp_path: Path, call: str) -> None:
    restic, begun = silent(tmp_path), time.monotonic()
    for _each in range(2):
        with pytest.raises(
            ResticError, match=r": restic did not end within 1 seconds: the repository is slow, or never answers$"
        ):
            CALLS[call](restic)
    assert time.monotonic() - begun < 50
    assert (tmp_path / "left").read_text() == "lock taken away"


def test_it_is_killed_if_it_must_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_backup_restic, "GRACE_SECONDS", 0.2)
    with pytest.raises(ResticError, match="did not end within"):
        silent(tmp_path, STUBBORN).open()


def test_what_is_in_time_is_not_touched(tmp_path: Path) -> None:
    silent(tmp_path, "echo", limit=60).open()


def test_times_in_words() -> None:
    assert [words_of_seconds(seconds) for seconds in (5, 119, 120, 43200)] == [
        *("5 seconds", "119 seconds", "2 minutes", "720 minutes")
    ]


@pytest.mark.parametrize(
    ("limit", "words"),
    [(0, "the run did not end within 0 seconds"), (float("inf"), "the run was ended by SIGTERM")],
)
def test_a_run_tells_why_it_was_ended(limit: float, words: str) -> None:
    before = signal.getsignal(signal.SIGTERM)
    try:
        with pytest.raises(StoppedError, match=f"^{words}$"):
            _backup_run._stop(signal.SIGTERM, None, limit)
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)
