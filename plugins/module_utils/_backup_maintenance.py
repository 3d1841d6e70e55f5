# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps a product from changing anything while it is backed up, and lets it go again whatever happens.

The numbers that take the lock away again are written down before anything else is asked, in a file that only this
account can read: who finds that file after a crash lets the product go with it. What the product answers is believed
as far as it is understood.

Where it is asked is product data; the order is that of the vendor's own scripts (bitbucket-diy-backup, ``common.sh``).
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
import urllib.parse
from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.atlassian_dc.hardening.plugins.module_utils._backup_manifest import Lock
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._rest import (
    Answer,
    RestError,
    Transport,
    json_of,
    logins_of,
    refusal,
)

SECONDS = 30.0
POLL = 1.0
TRIES = 5
"""How often letting go is tried before it is left to the next start."""
UNSURE = ("timeout", "not_json", "too_large", "unavailable")
"""Kinds of errors that do not tell whether what was asked for was done."""
_TOKEN = re.compile(r"[A-Za-z0-9._~-]{1,200}")


class LockError(Exception):
    """The product could not be locked, drained or let go; says what and how."""


def utc(seconds: float) -> str:
    """Return a moment as manifests have it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


class Maintenance:
    """The lock of one product.

    Args:
        name: of the instance, for messages.
        url: where it answers.
        protocol: where it is asked for what: ``lock``, ``state``, ``backups``, ``progress``, and the ``header`` that
            holds the number of the lock.
        login: entry of ``atlassian_dc_credentials``.
        path: file that keeps the numbers of the lock as long as there is one.
        drain: seconds that it may take until nothing is going on any more.
        transport: makes a request; that of the network by default.
        now: tells the time.
        sleep: waits.

    """

    def __init__(
        self,
        name: str,
        url: str,
        protocol: Mapping[str, str],
        login: Mapping[str, Any],
        path: str,
        drain: float,
        transport: Callable[..., Answer] | None = None,
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._name = name
        self._url = url.rstrip("/")
        self._protocol = protocol
        self._logins = logins_of(login)
        self._path = path
        self._drain = drain
        self._transport = transport
        self._now = now
        self._sleep = sleep
        self._lock = ""
        self._cancel = ""
        self._times: dict[str, str] = {}

    # ---- asking ------------------------------------------------------------------------------

    def _ask(self, method: str, path: str, query: Mapping[str, Any] | None = None, locked: bool = False) -> Any:
        if not self._logins:
            raise LockError(f"{self._name} cannot be locked: atlassian_dc_credentials has no login for it")
        if self._transport is None:
            self._transport = Transport(self._url, SECONDS, None)
        headers = {"Authorization": self._logins[0].header, "Accept": "application/json"}
        headers.update({"Content-Type": "application/json"} if method == "POST" else {})
        headers.update({self._protocol["header"]: self._lock} if locked else {})
        url = self._url + path
        answer = self._transport(
            method,
            url + (f"?{urllib.parse.urlencode(query)}" if query else ""),
            headers,
            b"" if method == "POST" else None,
        )
        refused = refusal(answer, url)
        if refused:
            raise refused
        return json_of(answer, url)

    def _token(self, told: Any, name: str) -> str:
        token = told.get(name) if isinstance(told, dict) else None
        if not isinstance(token, str) or not _TOKEN.fullmatch(token):
            raise LockError(f"{self._name} has not told {name}: this is not the protocol that is known")
        return token

    def _keep(self) -> None:
        """Write down what takes the lock away, so that it survives whatever happens next."""
        temporary = f"{self._path}.new"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            json.dump({"url": self._url, "lock": self._lock, "cancel": self._cancel}, stream)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, self._path)

    # ---- the protocol ------------------------------------------------------------------------

    def hold(self) -> None:
        """Lock the product, have it begin a backup, and wait until nothing is going on any more.

        Raises:
            LockError: it cannot be had. It is let go by then, as far as it answers.

        """
        try:
            self._ask_for_lock()
            self._keep()
            self._times["locked"] = utc(self._now())
            self._cancel = self._token(
                self._ask("POST", self._protocol["backups"], {"external": "true"}, locked=True), "cancelToken"
            )
            self._keep()
            self._wait()
        except (RestError, LockError, OSError) as exc:
            problem = self.let_go()
            what = f"{self._name} cannot be locked: {exc}" if isinstance(exc, RestError) else str(exc)
            raise LockError(f"{what}; {problem}" if problem else what) from None

    def _ask_for_lock(self) -> None:
        """Lock it; where it may be locked and nobody has been told the number, say so."""
        try:
            told = self._ask("POST", self._protocol["lock"])
            self._lock = self._token(told, "unlockToken")
        except (RestError, LockError) as exc:
            unsure = exc.kind in UNSURE if isinstance(exc, RestError) else bool(self._logins)
            if not unsure:
                raise
            raise LockError(
                f"{self._name} cannot be locked: {exc}; whether it is locked now is not known: see its administration"
            ) from None

    def _wait(self) -> None:
        end = self._now() + self._drain
        while True:
            told = self._ask("GET", self._protocol["state"], locked=True)
            state = told if isinstance(told, dict) else {}
            task = state.get("task")
            running = task.get("state") if isinstance(task, dict) else None
            if running != "RUNNING":
                raise LockError(f"{self._name} has ended its backup by itself: its task is {str(running)[:40]}")
            if state.get("db-state") == state.get("scm-state") == "DRAINED":
                self._times["drained"] = utc(self._now())
                return
            if self._now() > end:
                raise LockError(
                    f"{self._name} still works on something after {self._drain:g} seconds; nothing was backed up"
                )
            self._sleep(POLL)

    def progress(self, percentage: int) -> None:
        """Tell people who wait how far it is; of no importance to the backup, but that the lock still holds is.

        Raises:
            LockError: it does not, and what was backed up since is not of one moment.

        """
        try:
            self._ask("POST", self._protocol["progress"], {"token": self._lock, "percentage": percentage})
            told = self._ask("GET", self._protocol["state"], locked=True)
        except RestError as exc:
            raise LockError(f"whether {self._name} is still locked cannot be told: {exc}") from None
        state = told if isinstance(told, dict) else {}
        if not state.get("db-state") == state.get("scm-state") == "DRAINED":
            raise LockError(
                f"{self._name} was let go by somebody else meanwhile: what was backed up is not of one moment"
            )

    def let_go(self) -> str:
        """Cancel the backup where it has not ended, and take the lock away; return what kept it from that."""
        if not self._lock:
            return ""
        problem = ""
        for attempt in range(TRIES):
            try:
                if self._cancel and not self._times.get("done"):
                    # It may have ended by itself; what counts is that the lock is gone.
                    with contextlib.suppress(RestError):
                        self._ask("DELETE", f"{self._protocol['backups']}/{self._cancel}", locked=True)
                self._ask("DELETE", self._protocol["lock"], {"token": self._lock})
                break
            except RestError as exc:
                if exc.kind == "missing":
                    break  # it is not locked with this number any more
                problem = f"{self._name} cannot be let go: {exc}. The next start of the unit tries it again"
                if attempt + 1 < TRIES:
                    self._sleep(2.0**attempt)
        else:
            return problem
        self._times["unlocked"] = utc(self._now())
        self._lock = self._cancel = ""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path)
        return ""

    def done(self) -> None:
        """Note that all was backed up: letting go need not cancel anything then."""
        self._times["done"] = utc(self._now())

    def release_left(self) -> bool:
        """Let the product go where an earlier run has left it locked; return whether there was anything to do.

        Raises:
            LockError: it could not be.

        """
        try:
            with open(self._path, encoding="utf-8") as stream:
                left = json.load(stream)
        except FileNotFoundError:
            return False
        except (OSError, ValueError) as exc:
            raise LockError(
                f"{self._path} cannot be read, so nobody can tell whether {self._name} is locked: {exc}"
            ) from exc
        if not isinstance(left, dict) or left.get("url") != self._url:
            raise LockError(f"{self._path} is of a product at another address; see whether that one is locked")
        self._lock, self._cancel = str(left.get("lock") or ""), str(left.get("cancel") or "")
        problem = self.let_go()
        if problem:
            raise LockError(problem)
        return True

    @property
    def times(self) -> Lock | None:
        """When it was locked, drained and let go; None where it never was."""
        if "locked" not in self._times:
            return None
        return Lock(self._times["locked"], self._times.get("drained"), self._times.get("unlocked"))
