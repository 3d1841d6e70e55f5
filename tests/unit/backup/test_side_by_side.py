# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is done with a repository at the same time, and what becomes of it when one thing fails."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.module_utils import _backup_restic, _backup_run
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._backup_restic import Restic, ResticError
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._backup_run import StoppedError
from unit.backup.backup_host import BackupHost

# Python itself, interrupted just before it falls asleep, would sleep on.
SLEEPS = """
import os, signal, sys, time
signal.signal(signal.SIGINT, signal.SIG_DFL)
open(sys.argv[1], "w").close()
time.sleep(0 if os.path.exists(sys.argv[1] + ".answers") else 60)
"""
PATIENCE = 50.0


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BackupHost:
    return BackupHost(tmp_path, monkeypatch)


class Slow:
    """A repository that this host knows well enough to use it twice at once, and which never answers."""

    def __init__(self, folder: Path, index: int | None = 1) -> None:
        self.begun = folder / "begun"
        if index is not None:
            known = folder / "cache/0123/index/45"
            known.mkdir(parents=True)
            (known / "6789").write_bytes(b"x" * index)
        self.restic = Restic("/nowhere", "", {}, str(folder / "cache"), (sys.executable, "-c", SLEEPS, str(self.begun)))

    def ask(self) -> None:
        self.restic.open()

    def wait(self) -> None:
        """Return once somebody asks."""
        deadline = time.monotonic() + PATIENCE
        while not self.begun.exists() and time.monotonic() < deadline:
            time.sleep(0.01)


class TestJobs:
    def test_two_at_once_and_all_in_their_order(self, tmp_path: Path) -> None:
        met = threading.Barrier(2)

        def meet() -> str:
            met.wait(PATIENCE)
            return "met"

        jobs: list[Callable[[], str]] = [meet, meet, lambda: "third", lambda: "fourth"]
        assert Slow(tmp_path).restic.do_all(jobs) == ["met", "met", "third", "fourth"]

    @pytest.mark.parametrize("index", [None, 0, 9])
    def test_one_after_the_other_where_memory_may_not_do(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, index: int | None
    ) -> None:
        monkeypatch.setattr(_backup_restic, "SMALL_INDEX", 8)
        threads = Slow(tmp_path, index).restic.do_all([threading.get_ident] * 4)
        assert set(threads) == {threading.get_ident()}

    @pytest.mark.parametrize("place", [0, 1])
    def test_what_fails_ends_the_other(self, tmp_path: Path, place: int) -> None:
        slow, begun = Slow(tmp_path), time.monotonic()

        def fail() -> None:
            slow.wait()
            raise ValueError("of no use")

        jobs: list[Callable[[], None]] = [slow.ask]
        jobs.insert(place, fail)
        never: list[Callable[[], None]] = [slow.ask] * 2
        with pytest.raises(ValueError, match="of no use"):
            slow.restic.do_all([*jobs, *never])
        assert time.monotonic() - begun < PATIENCE
        # It is of use again.
        (tmp_path / "begun.answers").touch()
        slow.restic.open()

    def test_who_ends_all_of_it_is_told_and_not_what_that_made_fail(self, tmp_path: Path) -> None:
        slow, failed = Slow(tmp_path), threading.Event()

        def ask() -> None:
            try:
                slow.ask()
            finally:
                failed.set()

        def stop() -> None:
            slow.wait()
            slow.restic._end()
            failed.wait(PATIENCE)
            raise StoppedError("the run was ended by SIGTERM")

        with pytest.raises(StoppedError, match="ended by SIGTERM"):
            slow.restic.do_all([stop, ask])

    def test_the_first_failure_is_told(self, tmp_path: Path) -> None:
        slow = Slow(tmp_path)

        def fail() -> None:
            slow.wait()
            raise ResticError("the disk is full")

        with pytest.raises(ResticError, match=r"^the disk is full$"):
            slow.restic.do_all([slow.ask, fail])


class TestBackup:
    def test_files_are_saved_while_the_dump_is_made(self, host: BackupHost, monkeypatch: pytest.MonkeyPatch) -> None:
        host.run()
        met = threading.Barrier(2)
        self._at(monkeypatch, "_save_dump", met)
        self._at(monkeypatch, "_save_files", met, once=True)
        assert host.run().result == "success", host.last().reason
        assert [part.part for part in host.manifest(host.stored()[-1]).parts] == [
            *("database", "home-jira1", "install-jira1")
        ]

    def test_the_database_is_held_no_longer_than_the_dump_takes(
        self, host: BackupHost, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        host.run()
        psql = host.tools / "psql"
        psql.write_text(f'{psql.read_text()}\ntouch "$TOOLS/let go"\n')
        save, seen = _backup_run.Backup._save_files, []

        def saving(*given: Any) -> Any:
            deadline = time.monotonic() + PATIENCE
            while not (host.tools / "let go").exists() and time.monotonic() < deadline:
                time.sleep(0.01)
            seen.append((host.tools / "let go").exists())
            return save(*given)

        monkeypatch.setattr(_backup_run.Backup, "_save_files", saving)
        assert host.run().result == "success", host.last().reason
        assert seen == [True, True]

    @pytest.mark.parametrize("kind", ["command", "mysql"])
    def test_of_any_other_database_files_come_after_it(
        self, host: BackupHost, monkeypatch: pytest.MonkeyPatch, kind: str
    ) -> None:
        for name in ("mariadb-dump", "mariadb"):
            program = host.tools / name
            program.write_text("#!/bin/sh\necho '-- Dump completed'\n")
            program.chmod(0o755)
        host.config["database"].update(kind=kind, command=["/bin/echo", "rows"])
        host.run()
        seen: list[str] = []
        for name in ("_save_dump", "_save_files"):
            self._telling(monkeypatch, name, seen)
        assert host.run().result == "success", host.last().reason
        assert seen == ["_save_dump", "that", *["_save_files", "that"] * 2]

    def test_a_dump_that_breaks_ends_it_and_the_next_run_tidies_up(self, host: BackupHost) -> None:
        host.run()
        (host.tools / "breaks").touch()
        state = host.run()
        assert "pg_dump failed: pg_dump: error: server closed the connection" in state.reason
        (host.tools / "breaks").unlink()
        assert host.run().result == "success"
        assert all(backup.whole for backup in host.stored())

    def test_files_that_cannot_be_saved_end_the_dump(self, host: BackupHost) -> None:
        host.run()
        host.trouble(unreadable=[str(host.home / "dbconfig.xml")])
        state = host.run()
        assert f"not everything could be read: {host.home}/dbconfig.xml" in state.reason
        assert len(host.whole()) == 1
        host.trouble()
        assert host.run().result == "success"

    @staticmethod
    def _at(monkeypatch: pytest.MonkeyPatch, name: str, met: threading.Barrier, once: bool = False) -> None:
        """Have a step wait for another one."""
        step, left = getattr(_backup_run.Backup, name), [1]

        def waiting(*given: Any) -> Any:
            if not once or (left and left.pop()):
                met.wait(PATIENCE)
            return step(*given)

        monkeypatch.setattr(_backup_run.Backup, name, waiting)

    @staticmethod
    def _telling(monkeypatch: pytest.MonkeyPatch, name: str, seen: list[str]) -> None:
        """Have a step tell that it is begun, and some time later that it is done."""
        step = getattr(_backup_run.Backup, name)

        def telling(*given: Any) -> Any:
            seen.append(name)
            told = step(*given)
            time.sleep(0.2)
            seen.append("that")
            return told

        monkeypatch.setattr(_backup_run.Backup, name, telling)
