# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tries backups: restores them to a scratch folder and a scratch database and compares both with their manifests.

It runs on a host by itself, as an account that may do nothing else, and starts no product. What it has written is
removed at the end, and what an earlier one had to leave, when it begins.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ansible_collections.atlassian_dc.hardening.plugins.module_utils._backup_keep import Stored
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._backup_manifest import (
    DATABASE,
    DatabaseDump,
    Manifest,
    Part,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._backup_restic import (
    ResticError,
    words_of_seconds,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._restore_database import (
    SCRATCHES,
    LoadError,
    UntriedError,
    other_rows,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._restore_repository import Repository, chosen
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._restore_result import (
    FAILED,
    PASSED,
    UNTRIED,
    Check,
    Result,
    utc,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._restore_tree import (
    listed,
    missing_files,
    within,
    wrong_needs,
    wrong_samples,
)

RESERVE = 0.1
"""How much more free space than the size of a backup is asked for: a database takes more than its dump."""
BLOCK = 4096
"""What the smallest file takes of a disk."""


class DrillError(Exception):
    """A check that has not passed; says what was found."""


class Checks:
    """What has been looked at so far."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.done: list[Check] = []
        self._say = say

    def add(self, name: str, outcome: str, detail: str, seconds: float = 0.0) -> None:
        """Note one."""
        check = Check(name, outcome, detail, round(seconds, 1))
        self.done.append(check)
        self._say(f"{'<3>' if outcome == FAILED else '<6>'}{check.words}")

    @contextlib.contextmanager
    def of(self, name: str, detail: str = "") -> Iterator[Callable[[str], None]]:
        """Note what happens in a block; it takes what is to be said where all goes well."""
        begun = time.monotonic()
        told = [detail]
        try:
            yield lambda words: told.__setitem__(0, words)
        except UntriedError as exc:
            self.add(name, UNTRIED, str(exc), time.monotonic() - begun)
        except (DrillError, ResticError, LoadError) as exc:
            self.add(name, FAILED, str(exc), time.monotonic() - begun)
        except OSError as exc:
            self.add(name, FAILED, f"{exc.filename or 'the host'}: {exc.strerror}", time.monotonic() - begun)
        else:
            self.add(name, PASSED, told[0], time.monotonic() - begun)

    def failed(self) -> bool:
        """Whether anything has failed."""
        return any(check.outcome == FAILED for check in self.done)


class Drill:
    """Tries the backups of a repository.

    Args:
        config: ``keys`` of instances or None for all, ``backup``, ``read_data`` (how much of the repository is read
            beside what is restored), and the folders ``scratch``, ``results`` (which is there only once all were
            tried) and ``sockets``.
        repository: where they lie.
        say: takes what the journal is told.

    """

    def __init__(self, config: Mapping[str, Any], repository: Repository, say: Callable[[str], None]) -> None:
        self._config = config
        self._repository = repository
        self._say = say
        self._scratch = os.path.join(str(config["scratch"]), "scratch")

    def run(self) -> bool:
        """Try them; return whether all have passed."""
        empty(self._scratch)
        results = f"{self._config['results']}.new"
        empty(results)
        empty(str(self._config["results"]))
        os.mkdir(results, 0o700)
        common = Checks(self._say)
        begun = time.time()
        meant: list[tuple[str, Stored | None]] = []
        with common.of("repository") as told:
            self._repository.open()
            meant += chosen(self._repository.backups(), self._config["keys"], str(self._config["backup"]))
            self._repository.check(str(self._config["read_data"]))
            told(f"is whole, and so is {self._config['read_data']} of its data that was read")
        passed = True
        # Where it cannot even be opened, that is the result of whatever was meant.
        for key, backup in meant or [(key, None) for key in self._config["keys"] or ["repository"]]:
            self._say(f"<6>trying backup {backup.name if backup else '?'} of {key}")
            checks = Checks(self._say)
            checks.done = list(common.done)
            manifest = None
            if backup is not None:
                try:
                    manifest = self._try(key, backup, checks)
                finally:
                    empty(self._scratch)
            result = Result(
                key=key,
                backup=backup.name if backup else "",
                product=manifest.product if manifest else "",
                host=socket.gethostname(),
                started=utc(begun),
                finished=utc(time.time()),
                bytes=manifest.total_bytes if manifest else 0,
                checks=tuple(checks.done),
            )
            write_new(os.path.join(results, f"{key}.json"), result.to_json())
            passed = passed and result.outcome == PASSED
            self._say(f"{'<6>' if result.outcome == PASSED else '<3>'}backup of {key}: {result.outcome}")
        os.rename(results, str(self._config["results"]))
        return passed

    def _try(self, key: str, backup: Stored, checks: Checks) -> Manifest | None:
        """Try one backup."""
        read: list[Manifest] = []
        with checks.of("manifest"):
            read.append(self._repository.manifest(key, backup))
        if not read:
            return None
        manifest = read[0]
        os.mkdir(self._scratch, 0o700)
        with checks.of("space") as told:
            told(enough_space({self._scratch: sum(map(size_of, manifest.parts))}))
        if checks.done[-1].outcome == FAILED:
            return manifest
        roots: dict[str, str] = {}

        def place(part: str, path: str) -> str | None:
            return within(roots[part], path) if part in roots else None

        for part in manifest.parts:
            if part.part != DATABASE:
                with checks.of(part.part, f"{part.files} files, {part.bytes} bytes"):
                    self._files(part, roots)
        with checks.of("sample", f"{len(manifest.sample)} files are as they were"):
            none_of(wrong_samples(manifest, place))
        keys = sum(len(item.sha256) for item in manifest.needed)
        present = sum(item.present for item in manifest.needed)
        with checks.of("needed", f"all {present} are there, and {keys} keys as they were"):
            none_of(wrong_needs(manifest, place))
        if manifest.database is not None:
            with checks.of("database") as told:
                told(self._database(manifest, manifest.database))
        return manifest

    def _files(self, part: Part, roots: dict[str, str]) -> None:
        """Restore the files of a part, and see that none is missing."""
        target = os.path.join(self._scratch, part.part)
        os.mkdir(target, 0o700)
        self._repository.restore(part.snapshot, target)
        roots[part.part] = target + part.root
        none_of(missing_files(part, [target]))

    def _database(self, manifest: Manifest, database: DatabaseDump) -> str:
        """Load the database into a server of its own; return what can be said of it."""
        part = manifest.part(DATABASE)
        if part is None:
            raise DrillError("the backup has no database")
        kind = SCRATCHES.get(database.kind)
        if kind is None:
            # Nothing here can load it, but it can be seen to be what was written.
            self._compare(part, *self._read(part))
            raise UntriedError("its dump is as it was written, but only its own tools can load it")
        server = kind(self._scratch, str(self._config["sockets"]))
        try:
            server.start()
            self._compare(part, *server.load(lambda take: self._repository.dump(part.snapshot, part.paths[0], take)))
            rows = server.rows()
        finally:
            server.stop()
        if database.tables is not None:
            none_of(other_rows(database.tables, rows))
        elif not rows:
            raise DrillError("it has no table")
        compared = "as many rows as noted" if database.tables is not None else "rows not noted at the time"
        return f"{len(rows)} tables, {sum(rows.values())} rows, {compared}"

    def _read(self, part: Part) -> tuple[str, int]:
        """Return hash and length of the dump."""
        digest, size = hashlib.sha256(), 0

        def take(data: bytes) -> None:
            nonlocal size
            digest.update(data)
            size += len(data)

        self._repository.dump(part.snapshot, part.paths[0], take)
        return digest.hexdigest(), size

    @staticmethod
    def _compare(part: Part, digest: str, size: int) -> None:
        if (digest, size) != (part.sha256, part.bytes):
            raise DrillError(f"the dump in the repository is not the one that was made ({size} bytes of {part.bytes})")


def none_of(problems: list[str]) -> None:
    """Let a check fail where there are problems.

    Raises:
        DrillError: there are.

    """
    if problems:
        raise DrillError(listed(problems))


def size_of(part: Part) -> int:
    """Return how much of a disk a part takes at most."""
    return part.bytes + part.files * BLOCK


def enough_space(wanted: Mapping[str, int]) -> str:
    """See that what is restored has room; return how much is free.

    Args:
        wanted: how many bytes go into a folder, by its path. Those on the same file system share its room.

    Raises:
        DrillError: there is not as much.

    """
    together: dict[int, tuple[str, int]] = {}
    for folder, size in wanted.items():
        device = os.stat(folder).st_dev
        first, sum_of_others = together.get(device, (folder, 0))
        together[device] = first, sum_of_others + size
    told = []
    for folder, size in together.values():
        space = os.statvfs(folder)
        free, needed = space.f_bavail * space.f_frsize, int(size * (1 + RESERVE))
        if free < needed:
            raise DrillError(f"{folder} has {free >> 20} MiB free, and {-(-needed >> 20)} MiB are needed")
        told.append(f"{free >> 20} MiB free in {folder}")
    return ", ".join(told)


def empty(folder: str) -> None:
    """Remove a folder of this account with all that is in it, whatever modes were restored there."""
    if os.path.islink(folder):
        os.unlink(folder)
    folders = [folder] if os.path.isdir(folder) else []
    while folders:
        os.chmod(folders[-1], 0o700)
        with os.scandir(folders.pop()) as listing:
            folders += [entry.path for entry in listing if entry.is_dir(follow_symlinks=False)]
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(folder)


def write_new(path: str, text: str) -> None:
    """Write a file as a whole or not at all."""
    temporary = f"{path}.new"
    with open(temporary, "w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    os.rename(temporary, path)


def credentials() -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what the unit hands over: configuration and secrets."""
    folder = os.environ["CREDENTIALS_DIRECTORY"]
    read = []
    for name in ("config", "secrets"):
        with open(os.path.join(folder, name), encoding="utf-8") as stream:
            read.append(json.load(stream))
    return read[0], read[1]


def say(words: str) -> None:
    """Tell the journal something."""
    sys.stdout.write(words.encode("utf-8", "backslashreplace").decode() + "\n")
    sys.stdout.flush()


def run_alone(
    secrets: Mapping[str, Any],
    limit: float,
    run: Callable[[Repository], bool],
    folder: str = "/var/tmp",  # noqa: S108 - PrivateTmp
) -> int:
    """Have a unit do something with a repository; return the unit's exit code.

    Args:
        secrets: ``url``, ``password`` and ``environment`` of the repository.
        limit: seconds after which it is given up.
        run: does it; returns whether all went well.
        folder: where restic keeps what it has read meanwhile: not where backups are restored, for without room for
            that it goes on trying for a long time. It is the unit's own, and gone with it.

    """
    begun = time.monotonic()

    def stop(number: int, _frame: object) -> None:
        # Once: what is cleaned up meanwhile is not to be cut short by the second.
        signal.signal(number, signal.SIG_IGN)
        over = time.monotonic() - begun >= limit
        say(f"<3>it did not end within {words_of_seconds(limit)}" if over else "<3>somebody has ended it")
        raise SystemExit(1)

    # So that nothing but a kill leaves anything behind.
    signal.signal(signal.SIGTERM, stop)
    cache = os.path.join(folder, "cache")
    try:
        return 0 if run(Repository(secrets["url"], secrets["password"], secrets["environment"], cache, limit)) else 1
    except OSError as exc:
        say(f"<3>no result can be left: {exc.filename or 'the host'}: {exc.strerror}")
        return 1
    finally:
        empty(cache)


def main() -> int:
    """Run a drill as a unit has it."""
    config, secrets = credentials()
    return run_alone(secrets, config["time_limit"], lambda repository: Drill(config, repository, say).run())
