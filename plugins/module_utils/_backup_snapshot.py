# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A snapshot of the storage that homes lie on: root makes it, the backup reads it.

The account of backups may do nothing but read. So a socket that only it can reach starts a small service of root. That
somebody connects is the request for the snapshot, that the connection ends the one to remove it, so that no snapshot
outlives the run that has asked for it, however that ends. Nothing that comes over the connection is looked at, and no
commands are run but the two that an administrator has declared.

What is made is believed as far as it can be seen: see `problem_of`. That all of it is of one moment, only the storage
can see to.
"""

# pylint: disable=ansible-bad-function  # runs by itself, where there is no module
from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

ROOT = "/run/atlassian-dc-backup-snapshots"
"""Below it lies a folder for each instance, in which the paths of its homes appear, and the socket."""
LEFT = "/var/lib/atlassian-dc-backup-snapshots"
"""Has a file for each instance as long as there may be a snapshot of it: storage outlives a start of the host."""
VARIABLE = "ATLASSIAN_DC_SNAPSHOT"
"""Tells commands the folder of their instance."""
SECONDS = 300
"""What each command may take."""
TRIES = 4
"""How often removing is tried: what has read a moment ago may still keep it busy."""
PATIENCE = 4 * SECONDS
"""For how long the backup waits: something left may have to be removed first."""
MAX_ANSWER = 64 * 1024
MAX_COMPLAINT = 400
ACTIONS = MAKE, CLEAR = "snapshot", "clear"
"""What the service of root is started for, and what comes after it, whatever has ended it."""
MOUNTS = "/proc/self/mountinfo"


class SnapshotError(Exception):
    """There is no snapshot that could be backed up; says why."""


class _StoppedError(Exception):
    """Somebody has ended the service."""


def folder_of(name: str) -> str:
    """Return where the homes of an instance appear."""
    return os.path.join(ROOT, name)


def socket_of(name: str) -> str:
    """Return where the snapshot of an instance is asked for."""
    return os.path.join(ROOT, f"{name}.socket")


# ---- what is a snapshot ----------------------------------------------------------------------------------------------


def mounted_below(path: str) -> list[str]:
    """Return where file systems are mounted below a folder: a snapshot of one does not show the others."""
    with open(MOUNTS, encoding="utf-8", errors="surrogateescape") as stream:
        points = [line.split(" ")[4] for line in stream]
    named = {re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), point) for point in points}
    return sorted(point for point in named if point.startswith(f"{path}/"))


def problem_of(path: str, shown: str) -> str:
    """Return why what is shown is no snapshot of a folder, in words; empty where nothing speaks against it."""
    try:
        living, there = os.stat(path), os.stat(shown)
        names, space = os.listdir(shown), os.statvfs(shown)
        expected = os.listdir(path)
    except OSError as exc:
        return f"{exc.filename}: {exc.strerror}"
    if (living.st_dev, living.st_ino) == (there.st_dev, there.st_ino):
        return f"{shown} is {path} itself and no snapshot of it"
    if expected and not names:
        return f"{shown} is empty: the command has to make {path} appear there"
    if not space.f_flag & os.ST_RDONLY:
        return f"{shown} can be written to: the command has to mount it read-only"
    return ""


def problems_of(folder: str, config: Mapping[str, Any]) -> str:
    """Return why what is in a folder is no snapshot of some homes; empty where nothing speaks against it.

    Args:
        folder: where they appear.
        config: ``paths``, the homes; ``exclude``, what below them is not backed up; ``needed``, what has to be.

    """
    for path in config["paths"]:
        # A volume of its own that lies in a home is not part of what it lies in.
        inner = [*mounted_below(path), *(place for place in config["needed"] if place.startswith(f"{path}/"))]
        for place in (path, *(place for place in inner if os.path.isdir(place))):
            if not any(place == out or place.startswith(f"{out}/") for out in config["exclude"]):
                problem = problem_of(place, folder + place)
                if problem:
                    return problem
    return ""


# ---- the service of root ---------------------------------------------------------------------------------------------


def run_command(argv: Sequence[str], folder: str, seconds: float) -> str:
    """Run a command to its end; return what is wrong with that, empty where nothing is."""
    program = os.path.basename(argv[0])
    try:
        process = subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", VARIABLE: folder},
            cwd="/",
            start_new_session=True,
        )
    except OSError as exc:
        return f"{argv[0]} cannot be started: {exc.strerror}"
    try:
        told, _nothing = process.communicate(timeout=seconds)
    except BaseException as exc:
        # With all that it has started: the next one is not to meet it.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        if isinstance(exc, subprocess.TimeoutExpired):
            return f"{program} has not ended after {seconds:g} seconds"
        raise
    lines = [line.strip() for line in told.decode("utf-8", "replace").splitlines() if line.strip()]
    words = "; ".join(lines[-3:])[:MAX_COMPLAINT] or f"it ended with {process.returncode}"
    return f"{program} failed: {words}" if process.returncode else ""


class Volumes:
    """The storage of one instance, as root sees it.

    Args:
        name: of the instance.
        config: ``create`` and ``remove``, commands as lists, and what `problems_of` takes.
        run: runs a command.
        sleep: waits.
        now: tells the time.

    """

    def __init__(
        self,
        name: str,
        config: Mapping[str, Any],
        run: Callable[[Sequence[str], str, float], str] = run_command,
        sleep: Callable[[float], None] = time.sleep,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._config = config
        self._folder = folder_of(name)
        self._left = os.path.join(LEFT, name)
        self._run = run
        self._sleep = sleep
        self._now = now

    def create(self) -> dict[str, float]:
        """Make the snapshot; return when that was begun and done.

        Raises:
            SnapshotError: there is none.

        """
        problem = self.remove()
        if problem:
            raise SnapshotError(f"an earlier snapshot is still there: {problem}")
        # The account of backups may go everywhere; nobody else is to see homes of the past.
        os.makedirs(self._folder, mode=0o700, exist_ok=True)
        os.chmod(self._folder, 0o700)
        for path in self._config["paths"]:
            os.makedirs(self._folder + path, exist_ok=True)
        os.makedirs(LEFT, mode=0o700, exist_ok=True)
        with open(self._left, "w", encoding="utf-8") as stream:
            os.fsync(stream.fileno())
        begun = self._now()
        problem = self._run(self._config["create"], self._folder, SECONDS)
        ended = self._now()
        problem = problem or problems_of(self._folder, self._config)
        if problem:
            raise SnapshotError(problem)
        return {"begun": begun, "ended": ended}

    def remove(self) -> str:
        """Remove the snapshot, if there may be one; return what kept it from that."""
        problem = ""
        if os.path.lexists(self._left):
            end = self._now() + SECONDS
            for attempt in range(TRIES):
                problem = self._run(self._config["remove"], self._folder, max(end - self._now(), 1))
                if not problem:
                    break
                if attempt + 1 < TRIES and self._now() < end:
                    self._sleep(2.0**attempt)
            if not problem:
                problem = self._still()
            if problem:
                return f"the snapshot cannot be removed: {problem}"
            os.unlink(self._left)
        self._fold()
        return ""

    def _still(self) -> str:
        """Return what is still there after all; empty where nothing is."""
        found = mounted_below(self._folder)
        return f"{found[0]} is still mounted" if found else ""

    def _fold(self) -> None:
        """Remove the folders in which homes appear, as long as nothing is in them."""
        for path in self._config["paths"]:
            place = self._folder + path
            while place.startswith(self._folder):
                try:
                    os.rmdir(place)
                except FileNotFoundError:
                    pass
                except OSError:
                    break
                place = os.path.dirname(place)


def serve(volumes: Volumes, connection: socket.socket) -> int:
    """Have a snapshot as long as somebody is connected.

    Args:
        volumes: of which.
        connection: to whoever has asked for it, and is told how it went.

    Returns:
        Exit code.

    """
    problem = ""
    try:
        _tell(connection, volumes.create())
        # Nothing that comes is looked at; its end is waited for.
        while connection.recv(MAX_ANSWER):
            pass
    except (SnapshotError, OSError, _StoppedError) as exc:
        problem = str(exc)
    finally:
        problem = "; ".join(filter(None, (problem, volumes.remove())))
    if problem:
        sys.stdout.write(f"<3>{problem}\n")
    with contextlib.suppress(OSError):  # it has gone, and so nobody wants to know
        _tell(connection, {"problem": problem})
    return 1 if problem else 0


def _tell(connection: socket.socket, words: Mapping[str, Any]) -> None:
    connection.sendall(json.dumps(words).encode() + b"\n")


@contextlib.contextmanager
def _alone(name: str, wait: bool) -> Iterator[bool]:
    """Be the only one who has to do with the snapshot of an instance; yields whether that is so."""
    os.makedirs(LEFT, mode=0o700, exist_ok=True)
    with open(os.path.join(LEFT, f"{name}.lock"), "w", encoding="utf-8") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
        else:
            yield True


def _stop(number: int, _frame: object) -> None:
    signal.signal(number, signal.SIG_IGN)
    raise _StoppedError(f"the service was ended by {signal.Signals(number).name}")


def main(action: str, name: str, path: str) -> int:
    """Run as the service of root.

    Args:
        action: one of `ACTIONS`; the first with the connection as standard input.
        name: of the instance.
        path: file with the commands.

    Returns:
        Exit code.

    """
    try:
        with open(path, encoding="utf-8") as stream:
            volumes = Volumes(name, json.load(stream))
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, _stop)
        if action == MAKE:
            with _alone(name, wait=True), socket.socket(fileno=os.dup(0)) as connection:
                return serve(volumes, connection)
        with _alone(name, wait=False) as mine:
            # Who else has to do with it removes it as well.
            problem = volumes.remove() if mine else ""
    except (OSError, ValueError, _StoppedError) as exc:
        problem = str(exc)
    if problem:
        sys.stdout.write(f"<3>{problem}\n")
    return 1 if problem else 0


# ---- the backup ------------------------------------------------------------------------------------------------------


class VolumeSnapshot:
    """The snapshot, as the backup asks for it and sees it.

    Args:
        config: ``root``, the folder in which homes appear; ``socket``; and what `problems_of` takes.
        patience: seconds for which it is waited for.

    """

    def __init__(self, config: Mapping[str, Any], patience: float = PATIENCE) -> None:
        self.root = str(config["root"])
        self.begun = self.ended = 0.0
        self._config = config
        self._patience = patience
        self._connection: socket.socket | None = None

    @property
    def taken(self) -> bool:
        """Whether there is one."""
        return self._connection is not None

    def take(self) -> None:
        """Have it made.

        Raises:
            SnapshotError: there is none.

        """
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(self._patience)
        try:
            connection.connect(str(self._config["socket"]))
            told = _hear(connection)
            self.begun, self.ended = float(told["begun"]), float(told["ended"])
        except BaseException as exc:
            connection.close()
            if isinstance(exc, OSError):
                words = f"{self._config['socket']}: {exc.strerror or exc}"
            elif isinstance(exc, (KeyError, TypeError, ValueError)):
                words = str(told.get("problem") or "its answer is not understood")
            elif isinstance(exc, SnapshotError):
                words = str(exc)
            else:
                raise
            raise SnapshotError(f"no snapshot was made: {words}") from None
        self._connection = connection
        self.check()

    def check(self) -> None:
        """See that it is there, and still whole.

        Raises:
            SnapshotError: it is not.

        """
        problem = problems_of(self.root, self._config)
        if self._connection is not None and select.select([self._connection], [], [], 0)[0]:
            # Whatever is told now is of its end.
            problem = "it was removed meanwhile"
        if problem:
            raise SnapshotError(f"the snapshot cannot be backed up: {problem}")

    def end(self) -> str:
        """Have it removed; return what kept it from that."""
        if self._connection is None:
            return ""
        problem = ""
        with self._connection as connection:
            try:
                connection.shutdown(socket.SHUT_WR)
                problem = str(_hear(connection).get("problem") or "")
            except (SnapshotError, OSError) as exc:
                problem = f"whether the snapshot was removed is not known: {exc}"
        self._connection = None
        return problem


def _hear(connection: socket.socket) -> dict[str, Any]:
    """Return what the service of root tells.

    Raises:
        SnapshotError: nothing that could be understood.

    """
    text = b""
    try:
        while not text.endswith(b"\n") and len(text) < MAX_ANSWER:
            data = connection.recv(1)
            if not data:
                raise SnapshotError("it has ended without a word; its journal tells why")
            text += data
        told = json.loads(text)
    except OSError as exc:
        raise SnapshotError(f"it does not answer: {exc.strerror or exc}") from exc
    except ValueError:
        raise SnapshotError("its answer is not understood") from None
    return told if isinstance(told, dict) else {}
