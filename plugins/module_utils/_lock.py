# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run at a time changes a host.

Every module that may change a host holds a lock while it runs, so what it has looked at is still so when it changes it.
Between two modules of one run the lock is free, and another run may go on: each leaves something whole. Only while
products are down for a restart a run keeps the host to itself also between its modules. As nothing on the host can tell
whether the controller of a run still lives, this ends by itself when that run does nothing for a while.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from typing import Any

LOCK = "/run/atlassian-dc.lock"
"""Not in the folder of the records: it must work when that disk is full, and be gone when the host was started anew."""

LOCK_SECONDS = 60
"""How long another run that is changing the host at this moment is waited for."""

KEEP_SECONDS = 30
"""How long the host is kept between two modules of a run; less than others wait, so that they outlast one that died."""

POLL_SECONDS = 0.2


class LockError(Exception):
    """The host cannot be had for this run; says why and what to do. Nothing was changed."""


class HostLock:
    """The lock of a host, as one module of a run uses it.

    Args:
        run: name of the run, the same for all its modules.
        path: the lock file; another one in tests.

    """

    def __init__(self, run: str, path: str | None = None) -> None:
        self.run = run
        self._path = path or LOCK
        self._handle: int | None = None
        self._kept = False

    @classmethod
    def of(cls, params: dict[str, Any], check_mode: bool) -> HostLock | None:
        """Return the lock of a module in a run, held already; None where nothing is changed or there is no run.

        Raises:
            LockError: as `acquire` does.

        """
        record = params.get("record")
        if not record or check_mode:
            return None
        lock = cls(record["run"])
        lock.acquire()
        return lock

    def acquire(self) -> None:
        """Wait until no other run is changing the host, then hold it.

        Raises:
            LockError: another run still does after `LOCK_SECONDS`, or the caller is not root.

        """
        try:
            handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as exc:
            hint = "; changing this host needs root (become)" if os.geteuid() != 0 else ""
            raise LockError(f"the lock {self._path} cannot be opened: {exc.strerror}{hint}") from exc
        end = time.monotonic() + LOCK_SECONDS
        while True:
            busy = self._try(handle)
            if busy is None:
                break
            if time.monotonic() > end:
                os.close(handle)
                raise LockError(
                    f"{busy} at this moment, and still was after {LOCK_SECONDS} seconds. Nothing was changed by this"
                    " task; wait until that run has ended, then start this one again"
                )
            time.sleep(POLL_SECONDS)
        self._handle = handle
        self._write()

    def _try(self, handle: int) -> str | None:
        """Take the lock, or return in words who has the host."""
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = self._read(handle)
            who = f"run {holder['run']} (process {holder['process']} here)" if holder else "another run"
            return f"{who} is changing this host"
        holder = self._read(handle)
        # The clock of the machine since its start: it cannot be set, and the file does not survive a start.
        if not holder or not holder["kept_until"] or holder["kept_until"] < time.monotonic():
            return None
        if holder["run"] == self.run:
            self._kept = True
            return None
        fcntl.flock(handle, fcntl.LOCK_UN)
        return f"run {holder['run']} is restarting products of this host"

    @staticmethod
    def _read(handle: int) -> dict[str, Any]:
        with contextlib.suppress(OSError, ValueError):
            found = json.loads(os.pread(handle, 1000, 0))
            until = found.get("kept_until") if isinstance(found, dict) else ""
            if isinstance(until, (float, type(None))):
                return {"run": found.get("run"), "process": found.get("process"), "kept_until": until}
        return {}

    def _write(self) -> None:
        if self._handle is None:
            return
        until = time.monotonic() + KEEP_SECONDS if self._kept else None
        text = json.dumps({"run": self.run, "process": os.getpid(), "kept_until": until})
        os.pwrite(self._handle, text.encode("ascii"), 0)
        os.ftruncate(self._handle, len(text))

    def keep(self) -> None:
        """Keep other runs away also between the modules of this one, because products are about to go down."""
        self._kept = True
        self._write()

    def let_go(self) -> None:
        """Let other runs in between the modules of this one again."""
        self._kept = False
        self._write()

    def release(self) -> None:
        """End holding the host; a process that ends without does the same, but keeps the host less long."""
        if self._handle is not None:
            self._write()
            os.close(self._handle)
            self._handle = None
