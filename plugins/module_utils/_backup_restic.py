# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A repository of restic: what is put into it and read back, and what its complaints mean.

Password and access keys reach restic in its environment, never as arguments. What restic writes is read as it comes, in
lines of JSON that may be anything. Versions from 0.14 on are understood: the words of their errors are matched where
their exit codes do not tell (codes 10 and 12 came with 0.17,
https://restic.readthedocs.io/en/stable/075_scripting.html#exit-codes).
"""

# pylint: disable=ansible-bad-function  # runs by itself, where there is no module
from __future__ import annotations

import contextlib
import fcntl
import functools
import glob
import json
import os
import re
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any, TypeVar

CHUNK = 1024 * 1024
F_SETPIPE_SZ = 1031
"""Of Linux; Python names it since 3.10 (fcntl(2))."""
MAX_COMPLAINT = 400
MAX_FAILED = 1000
"""Most paths that could not be read of which the names are kept."""
INCOMPLETE = 3
"""Code with which restic ends where it has made a snapshot without all files."""
NO_REPOSITORY, WRONG_PASSWORD = 10, 12
GRACE_SECONDS = 10
"""How long it may take to let go of the repository once it is to end."""
SMALL_INDEX = 32 * 1024**2
"""Longest index of a repository with which restic is run twice at once: each holds up to ten times of it in memory."""
KEEPS_LIMIT = (0, 14)
"""Version that keeps to a limit of its memory, which came with the Go it is made with
(https://go.dev/doc/go1.19#runtime): below that, memory is cheaper than the time to tidy it."""
CAN_SKIP_SCAN = (0, 15)
"""Version that need not walk all there is a second time, to tell how long it will take
(https://restic.readthedocs.io/en/stable/047_tuning_backup_parameters.html, https://github.com/restic/restic/pull/3931).
"""
WHOLE = 64
"""Digits of the whole number of a snapshot. By all of them restic 0.18 takes a snapshot it has kept itself, though the
repository has lost it (seen); by one less it has to look into the repository."""
UNLOCKED = "--no-lock"
"""For what only reads: restic waits a fifth of a second for each lock. Nobody removes what is still referred to."""

Result = TypeVar("Result")

_MEANINGS = (
    (r"wrong password|no key found", "the password of the repository is wrong"),
    (r"already locked", "somebody else has locked the repository"),
    (r"No space left on device|disk quota exceeded|insufficient storage|507 ", "the disk is full"),
    (
        r"ciphertext verification failed|does not match id|id does not match|invalid data returned|is damaged"
        r"|unexpected EOF",
        "damaged",
    ),
    (r"blob not found|not found in repository|pack .* not found|id not found|tree .* not found", "data is missing"),
    (r"x509|certificate", "the certificate of the server is not accepted"),
    (
        r"connection refused|no such host|i/o timeout|network is unreachable|no route to host|connection reset"
        r"|Could not resolve hostname|Connection timed out|connection closed|temporary failure in name resolution",
        "it cannot be reached",
    ),
    (r"unable to create lock", "nothing can be written to the repository"),
    (r"401 |403 |permission denied|Access Denied|not authorized|authentication", "access is denied"),
)
_USELESS = re.compile(
    r"Is there a repository|(rest|s3|rclone|sftp):|(runtime|main|github\.com)[./]|\s+/.*\.(go|s):\d+|\[\d+:\d+\]"
)
_ABSENT = re.compile(
    r"repository does not exist|unable to open config file:.*(no such file|does not exist|not found|404)", re.IGNORECASE
)


class ResticError(Exception):
    """Something that restic refused or could not do; says what in plain words."""


class NoRepositoryError(ResticError):
    """There is no repository at this address."""


class DamagedError(ResticError):
    """The repository has lost something, or holds something else than was written."""


@dataclass(frozen=True)
class Saved:
    """A snapshot that was made.

    Attributes:
        snapshot: its number as restic tells it, which may be cut short.
        files: how many it holds.
        bytes: their size.
        failed: what could not be read, with the reason; the snapshot lacks it.

    """

    snapshot: str
    files: int
    bytes: int
    failed: tuple[tuple[str, str], ...] = ()


def widen(pipe: Any) -> None:
    """Have a pipe hold as much as is copied at once, so that both of its ends can work at the same time."""
    with contextlib.suppress(OSError):  # an account may only have so much of it
        fcntl.fcntl(pipe, F_SETPIPE_SZ, CHUNK)


def words_of_seconds(seconds: float) -> str:
    """Return a time in words."""
    return f"{seconds:.0f} seconds" if seconds < 120 else f"{seconds / 60:.0f} minutes"


def literal(path: str) -> str:
    """Return a path as a pattern of restic that matches nothing else."""
    return re.sub(r"([\\*?\[\]])", r"\\\1", path)


def complaint_of(text: str, secrets: Iterable[str] = ()) -> str:
    """Return what restic complains of, in one line without secrets.

    Args:
        text: what it has written to its standard error.
        secrets: words that must not be shown.

    """
    lines = []
    for line in text.splitlines():
        with contextlib.suppress(ValueError, RecursionError):
            told = json.loads(line)
            if isinstance(told, dict):
                line = str(told.get("message") or _error_words(told.get("error")))
        # Where it is to be found is known, and may hold a password; where in its code it happened is of no use.
        if line.strip() and not _USELESS.match(line):
            lines.append(line.strip())
    told_once = "; ".join(dict.fromkeys(lines[-3:]))
    for secret in secrets:
        if secret:
            told_once = told_once.replace(secret, "***")
    told_once = re.sub(r"//[^/@\s]+@", "//***@", told_once)
    meaning = next((words for pattern, words in _MEANINGS if re.search(pattern, text, re.IGNORECASE)), "")
    shown = told_once if len(told_once) <= MAX_COMPLAINT else f"{told_once[:MAX_COMPLAINT]}…"
    return f"{meaning} ({shown})" if meaning else shown or "restic says nothing"


def _error_words(error: Any) -> str:
    """Return what an error in a line of JSON says; older versions give the error of the system in its parts."""
    if not isinstance(error, dict):
        return str(error or "")
    number = error.get("Err")
    words = os.strerror(number) if isinstance(number, int) and 0 < number < 1000 else str(number or "")
    return str(error.get("message") or f"{error.get('Op') or 'error'}: {words}")


class Restic:
    """One repository.

    Args:
        url: its address.
        password: what it is encrypted with.
        environment: what reaching it takes besides.
        cache: folder for what restic keeps of it.
        program: restic, as a command.
        limit: seconds from now after which restic is ended, whatever it does: a server that takes connections and
            never answers would hold it for ever. 0: none.

    """

    def __init__(
        self,
        url: str,
        password: str,
        environment: Mapping[str, str],
        cache: str,
        program: Sequence[str] = ("restic",),
        limit: float = 0,
    ) -> None:
        # Versions before 0.17 do not look for it in their environment.
        authorities = environment.get("RESTIC_CACERT")
        self._program = [*program, *(["--cacert", authorities] if authorities else [])]
        self._secrets = [password, *environment.values()]
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("RESTIC_")},
            **environment,
            "RESTIC_REPOSITORY": url,
            "RESTIC_PASSWORD": password,
            "RESTIC_CACHE_DIR": cache,
            "RESTIC_PROGRESS_FPS": "0.0001",
            "LC_ALL": "C.UTF-8",
            # Less than half of what the unit may use, for two of them.
            "GOMEMLIMIT": "400MiB",
        }
        self._cache = cache
        self._limit = limit
        self._overdue = False
        self._given_up = False
        self._processes: list[subprocess.Popen[bytes]] = []
        if limit:
            timer = threading.Timer(limit, self._be_over)
            timer.daemon = True
            timer.start()

    # ---- running it --------------------------------------------------------------------------

    def _start(
        self, *arguments: str, stderr: Any, stdin: Any = subprocess.DEVNULL, stdout: Any = subprocess.PIPE
    ) -> subprocess.Popen[bytes]:
        try:
            process = subprocess.Popen(
                [*self._program, *arguments], stdin=stdin, stdout=stdout, stderr=stderr, env=self._environment
            )
        except OSError as exc:
            raise ResticError(f"restic cannot be started: {exc.strerror}") from exc
        self._processes.append(process)
        if self._overdue or self._given_up:
            process.kill()
        return process

    def _be_over(self) -> None:
        self._overdue = True
        self._end()

    def _give_up(self) -> None:
        self._given_up = True
        self._end()

    def _end(self) -> None:
        """End all that runs."""
        running = [process for process in self._processes if process.poll() is None]
        for process in running:
            # So that it takes its lock away, if the repository answers.
            process.send_signal(signal.SIGINT)
        deadline = time.monotonic() + GRACE_SECONDS
        while any(process.poll() is None for process in running) and time.monotonic() < deadline:
            time.sleep(0.1)
        for process in running:
            process.kill()

    def do_all(self, jobs: Sequence[Callable[[], Result]]) -> list[Result]:
        """Do several things with the repository, two at a time where `may_run_beside`.

        Where one of them fails, the other is ended.

        Args:
            jobs: what is done, in the order in which it is begun; the first one in the thread of the caller.

        Returns:
            What they come to, in the same order.

        Raises:
            Exception: what has failed first.

        """
        if len(jobs) < 2 or not self.may_run_beside():
            return [job() for job in jobs]
        waiting = iter(list(enumerate(jobs)))
        results: dict[int, Result] = {}
        failed: list[BaseException] = []

        def work() -> None:
            for number, job in waiting:
                results[number] = job()

        def help_out() -> None:
            try:
                work()
            except BaseException as exc:
                failed.append(exc)
                self._give_up()

        first, job = next(waiting)
        helper = threading.Thread(target=help_out, daemon=True)
        helper.start()
        try:
            results[first] = job()
            work()
            helper.join()
        except ResticError:
            if not failed:
                raise
        finally:
            if len(results) < len(jobs):
                self._give_up()
            helper.join()
            self._given_up = False
        if failed:
            raise failed[0]
        return [results[number] for number in range(len(jobs))]

    def may_run_beside(self) -> bool:
        """Whether this host has the memory to run restic twice at once, as far as it knows the repository."""
        with contextlib.suppress(OSError):
            folders = [os.path.join(entry.path, "index") for entry in os.scandir(self._cache) if entry.is_dir()]
            files = [
                os.path.join(at, name) for top in folders for at, _folders, names in os.walk(top) for name in names
            ]
            return 0 < sum(os.path.getsize(path) for path in files) <= SMALL_INDEX
        return False

    def _error(self, what: str, code: int, text: str) -> ResticError:
        told = complaint_of(text, self._secrets)
        if code == NO_REPOSITORY or _ABSENT.search(text):
            return NoRepositoryError("there is no repository at its address")
        if code == WRONG_PASSWORD:
            told = "the password of the repository is wrong"
        if code < 0:
            told = f"ended by signal {-code}"
        if self._overdue:
            told = (
                f"restic did not end within {words_of_seconds(self._limit)}: the repository is slow, or never answers"
            )
        return ResticError(f"{what}: {told}")

    def _lines(self, what: str, *arguments: str, accept: tuple[int, ...] = (0,)) -> Iterator[bytes]:
        """Yield the lines that restic writes; raise ResticError after the last one where it has failed."""
        with tempfile.TemporaryFile() as errors:
            process = self._start(*arguments, stderr=errors)
            try:
                stream: Any = process.stdout
                yield from stream
                code = process.wait()
            finally:
                if process.poll() is None:
                    process.kill()
                    process.wait()
                if process.stdout:
                    process.stdout.close()
            if code not in accept:
                raise self._error(what, code, _tail(errors))

    def _objects(self, what: str, *arguments: str) -> Iterator[dict[str, Any]]:
        """Yield the objects that restic writes, one a line or all in a list."""
        for line in self._lines(what, *arguments):
            try:
                told = json.loads(line)
            except (ValueError, RecursionError):
                continue
            for item in told if isinstance(told, list) else [told]:
                if isinstance(item, dict):
                    yield item

    def _do(self, what: str, *arguments: str) -> None:
        for _line in self._lines(what, *arguments):
            pass

    # ---- the repository ----------------------------------------------------------------------

    @functools.cached_property
    def version(self) -> tuple[int, ...]:
        """The first two numbers of the version of restic, none where it does not tell them."""
        found = re.search(rb"^restic (\d+)\.(\d+)", b"".join(self._lines("restic", "version")))
        return (int(found[1]), int(found[2])) if found else ()

    def open(self) -> None:
        """See that the repository is there and its password is right.

        A lock that was left by restic that runs no longer, in the middle of removing old backups, would keep everybody
        out until somebody removes it.

        Raises:
            NoRepositoryError: it is not there.
            ResticError: it cannot be opened.

        """
        if self.version >= KEEPS_LIMIT:
            self._environment["GOGC"] = "400"
        if list(self._lines("the repository cannot be opened", "list", "locks")):
            self.unlock()

    def create(self) -> None:
        """Make the repository."""
        self._do("the repository cannot be made", "init")

    def unlock(self) -> None:
        """Remove locks in the repository that were left by restic that runs no longer."""
        self._do("stale locks cannot be removed", "unlock")

    def _list(self, *which: str) -> Iterator[dict[str, Any]]:
        return self._objects("snapshots cannot be listed", "snapshots", UNLOCKED, "--json", *which)

    def snapshots(self, *tags: str) -> list[dict[str, Any]]:
        """Return the snapshots that have all of some tags."""
        found = self._list("--tag", ",".join(tags))
        return [item for item in found if isinstance(item.get("id"), str) and isinstance(item.get("tags"), list)]

    def whole(self, snapshot: str) -> str:
        """Return the whole number of a snapshot that was just made here, of which older versions tell the beginning.

        What restic keeps of a snapshot has its number as its name
        (https://github.com/restic/restic/blob/v0.14.0/doc/cache.rst): no need to start it once more. Where it could
        keep nothing, the repository is asked.

        Args:
            snapshot: its number as restic has told it.

        Raises:
            ResticError: nobody tells it.

        """
        if len(snapshot) == WHOLE:
            return snapshot
        kept = os.path.join(glob.escape(self._cache), "*", "snapshots", snapshot[:2], f"{snapshot}*")
        numbers = [os.path.basename(path) for path in glob.glob(kept)]
        if len(numbers) != 1:
            numbers = [str(item.get("id")) for item in self._list(snapshot)]
        if len(numbers) != 1 or len(numbers[0]) != WHOLE:
            raise ResticError(f"snapshot {snapshot} was made, but the repository does not have it")
        return numbers[0]

    def files(self, snapshot: str) -> Iterator[dict[str, Any]]:
        """Yield what a snapshot holds: ``path``, ``type``, ``size``, ``mtime``; reads all its folders."""
        for item in self._objects(f"snapshot {snapshot[:8]} cannot be listed", "ls", UNLOCKED, "--json", snapshot):
            if item.get("struct_type") == "node" or item.get("message_type") == "node":
                yield item

    def dump(self, snapshot: str, path: str, take: Callable[[bytes], object]) -> None:
        """Read one file of a snapshot back.

        Args:
            snapshot: its number.
            path: of the file.
            take: is given its content, piece by piece.

        """
        with tempfile.TemporaryFile() as errors:
            process = self._start("dump", UNLOCKED, snapshot[: WHOLE - 1], path, stderr=errors)
            with process:
                stream: Any = process.stdout
                widen(stream)
                while data := stream.read(CHUNK):
                    take(data)
            if process.returncode != 0:
                raise self._error(f"{path} cannot be read back", process.returncode, _tail(errors))

    def look_over(self, share: int, shares: int, seconds: float) -> None:
        """See that the repository is whole, and read some of its data. Others may go on using it meanwhile.

        Args:
            share: which share of the data is read, from 1 on.
            shares: into how many it is divided.
            seconds: after which it is ended.

        Raises:
            DamagedError: it is not whole.
            ResticError: it cannot be checked, or not in that time.

        """
        command = ("check", UNLOCKED, f"--read-data-subset={share}/{shares}")
        with tempfile.TemporaryFile() as kept:
            process = self._start(*command, stderr=subprocess.STDOUT, stdout=kept)
            try:
                code = process.wait(timeout=seconds)
            except subprocess.TimeoutExpired:
                # So that it removes what it keeps in its cache meanwhile.
                process.send_signal(signal.SIGINT)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=GRACE_SECONDS)
                raise ResticError(f"the repository was not checked within {seconds:.0f} seconds") from None
            finally:
                if process.poll() is None:
                    process.kill()
                    process.wait()
            if code != 0:
                text = _tail(kept)
                error = self._error("the repository does not pass its check", code, text)
                raise DamagedError(str(error)) if "repository contains errors" in text else error

    def forget(self, snapshots: Sequence[str], prune: bool) -> None:
        """Take snapshots out of the repository.

        Args:
            snapshots: their numbers.
            prune: whether what only they hold is removed as well.

        """
        for start in range(0, len(snapshots), 500):
            self._do("old backups cannot be removed", "forget", *snapshots[start : start + 500])
        if prune:
            self._do("what is not needed any more cannot be removed", "prune")

    # ---- backing up --------------------------------------------------------------------------

    def save(self, host: str, tags: Sequence[str], paths: Sequence[str], exclude: Sequence[str]) -> Saved:
        """Make a snapshot of files and folders.

        Args:
            host: by which the next backup finds this one.
            tags: of the snapshot.
            paths: what it is made of.
            exclude: patterns of what is left out.

        Raises:
            ResticError: none was made. Where only some files could not be read, one was, which tells them.

        """
        options = [f"--exclude={pattern}" for pattern in exclude]
        if self.version >= CAN_SKIP_SCAN:
            options.append("--no-scan")
        command = ("backup", "--json", "--host", host, *_tagged(tags), *options, "--", *paths)
        summary: dict[str, Any] = {}
        failed: list[tuple[str, str]] = []
        with tempfile.TemporaryFile() as kept:
            process = self._start(*command, stderr=subprocess.PIPE)
            reader = threading.Thread(target=_sort_errors, args=(process.stderr, failed, kept), daemon=True)
            reader.start()
            with process:
                stream: Any = process.stdout
                for line in stream:
                    _sort_line(line, failed, kept, summary)
                reader.join()
            if process.returncode not in (0, INCOMPLETE):
                raise self._error(f"{paths[0]} cannot be backed up", process.returncode, _tail(kept))
            if process.returncode == INCOMPLETE and not failed:
                failed.append((paths[0], complaint_of(_tail(kept), self._secrets)))
        return _saved(summary, paths[0], failed)

    def save_stream(
        self, host: str, tags: Sequence[str], name: str, fill: Callable[[Callable[[bytes], object]], object]
    ) -> Saved:
        """Make a snapshot of one file that is written while it is made.

        Restic sees the end of its input only after `fill` has returned: what fails in it leaves no snapshot behind.

        Args:
            host: by which the next backup finds this one.
            tags: of the snapshot.
            name: of the file.
            fill: is given what takes the content.

        Raises:
            ResticError: none was made.
            Exception: what `fill` has raised.

        """
        command = ("backup", "--json", "--host", host, *_tagged(tags), "--stdin", "--stdin-filename", name)
        summary: dict[str, Any] = {}
        with tempfile.TemporaryFile() as kept:
            process = self._start(*command, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
            streams: list[Any] = [process.stdout, process.stderr]
            readers = [threading.Thread(target=_sort_all, args=(item, kept, summary), daemon=True) for item in streams]
            for reader in readers:
                reader.start()
            target: Any = process.stdin
            widen(target)
            whole = False
            try:
                with contextlib.suppress(BrokenPipeError):  # it has ended; its code tells
                    fill(target.write)
                    target.close()
                    whole = True
            except BaseException:
                # Before its input ends, or it would take what it has for the whole.
                process.kill()
                raise
            finally:
                code = process.wait()
                for reader in readers:
                    reader.join()
                for item in streams:
                    item.close()
                with contextlib.suppress(OSError):
                    target.close()
            if code != 0 or not whole:
                raise self._error(f"{name} cannot be backed up", code, _tail(kept))
        return _saved(summary, name, [])


def _tagged(tags: Sequence[str]) -> list[str]:
    return [word for tag in tags for word in ("--tag", tag)]


def _tail(stream: IO[bytes]) -> str:
    size = stream.seek(0, os.SEEK_END)
    stream.seek(max(0, size - 64 * 1024))
    return stream.read().decode("utf-8", "replace")


def _sort_all(lines: Iterable[bytes], kept: IO[bytes], summary: dict[str, Any]) -> None:
    for line in lines:
        _sort_line(line, [], kept, summary)


def _sort_errors(lines: Iterable[bytes], failed: list[tuple[str, str]], kept: IO[bytes]) -> None:
    for line in lines:
        _sort_line(line, failed, kept, {})


def _sort_line(line: bytes, failed: list[tuple[str, str]], kept: IO[bytes], summary: dict[str, Any]) -> None:
    """Take what matters from a line of ``restic backup --json``: the summary, a path that failed, or other words."""
    try:
        told = json.loads(line)
    except (ValueError, RecursionError):
        told = None
    kind = told.get("message_type") if isinstance(told, dict) else None
    if kind == "status":
        return
    if kind == "summary":
        summary.update(told)
        return
    if kind == "error" and isinstance(told.get("item"), str) and told["item"].startswith("/"):
        # What those after the last one were, nobody knows.
        if len(failed) < MAX_FAILED:
            failed.append((told["item"], complaint_of(line.decode("utf-8", "replace"))))
        return
    if kept.tell() < CHUNK:
        kept.write(line)


def _saved(summary: Mapping[str, Any], what: str, failed: list[tuple[str, str]]) -> Saved:
    snapshot = summary.get("snapshot_id")
    if not isinstance(snapshot, str) or not re.fullmatch("[0-9a-f]{8,64}", snapshot):
        raise ResticError(f"{what} cannot be backed up: restic has told of no snapshot")
    numbers = [summary.get(name) for name in ("total_files_processed", "total_bytes_processed")]
    files, size = (number if isinstance(number, int) and number >= 0 else 0 for number in numbers)
    return Saved(snapshot, files, size, tuple(failed))
