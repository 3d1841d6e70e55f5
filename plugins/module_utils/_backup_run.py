# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backs up one instance. It runs on the host by itself, as an account that may read everything and write nothing else.

A backup counts once its manifest is in the repository, which comes last: after every part was saved and read back. So
whatever ends a run early, what it leaves is no backup, and the next run removes it.
"""

# pylint: disable=ansible-bad-function  # runs by itself, where there is no module
from __future__ import annotations

import contextlib
import fcntl
import functools
import json
import math
import os
import signal
import stat
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from ansible_collections.atlassian_dc.hardening.plugins.module_utils import _backup_snapshot
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._backup_database import (
    Dump,
    DumpError,
    dump_of,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._backup_keep import Stored, kept, stored, time_of
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._backup_maintenance import (
    LockError,
    Maintenance,
    utc,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._backup_manifest import (
    CLAIM,
    DATABASE,
    MANIFEST,
    MANIFEST_FILE,
    TAG,
    Instance,
    Manifest,
    ManifestError,
    Part,
    Snapshot,
    parse_manifest,
    tags_of,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._backup_proof import AGAIN, Proof, ProofError
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._backup_restic import (
    MAX_FAILED,
    DamagedError,
    NoRepositoryError,
    Restic,
    ResticError,
    literal,
    words_of_seconds,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._backup_sample import nanoseconds
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._backup_snapshot import (
    SnapshotError,
    VolumeSnapshot,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._backup_state import (
    DONE,
    FAILED,
    NAME,
    RUNNING,
    State,
    StateError,
    Success,
    metrics_of,
    read_state,
    write_atomically,
)

CONFIG = "/etc/atlassian-dc/backup"
"""Where the module writes what is backed up, and the secrets for that."""
LOCK_FILE = "lock.json"
"""What takes the lock of the product away, as long as there is one."""
PRUNE_SECONDS = 7 * 86400
CHECK_SECONDS = 7 * 86400
CHECK_SHARES = 13
"""In how many checks all data of the repository is read: once in a quarter of a year."""
CHECK_TIME = 0.25
"""Most of the time for a backup that a check may take."""
MAX_NAMED = 5
SETTLE = 5.0
"""Seconds for which a claim is left alone at least before it is believed to be the first."""
_BEGUN = time.monotonic()
EMERGENCY, WARNING, INFO = "<3>", "<4>", "<6>"


class BackupError(Exception):
    """The backup cannot be made; says why."""


class StoppedError(BackupError):
    """Somebody has ended the run."""


Say = Callable[[str], None]


def say(line: str) -> None:
    """Write a line to the journal."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def backup_name(now: float) -> str:
    """Return the name of a backup that is begun at a moment."""
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))


def success_of(manifest: Manifest, finished: float, seconds: float) -> Success:
    """Return what the state of the host keeps of a backup.

    Args:
        manifest: of the backup.
        finished: when it was done, in seconds since 1970.
        seconds: how long it took.

    """
    needed = tuple(
        {"tree": item.tree, "path": item.path, "place": item.place, "needed": item.needed, "present": item.present}
        for item in manifest.needed
    )
    files = sum(part.files for part in manifest.parts)
    return Success(
        manifest.backup, manifest.kind, manifest.host, finished, seconds, manifest.total_bytes, files, needed
    )


def is_gone(path: str) -> bool:
    """Whether there is nothing at a path; of one that cannot be looked at, nobody knows."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def _moment_of(volumes: VolumeSnapshot, dump: Dump | None) -> Snapshot:
    """Return what the manifest says of a snapshot of the storage."""
    first = min(volumes.begun, dump.moment) if dump and dump.moment else volumes.begun
    database = utc(dump.moment) if dump and dump.moment else None
    return Snapshot(database, utc(volumes.begun), utc(volumes.ended), round(max(volumes.ended - first, 0.0), 3))


def maintenance_of(config: Mapping[str, Any], secrets: Mapping[str, Any], folder: str) -> Maintenance | None:
    """Return the lock of the product, None where it needs none."""
    given = config["maintenance"]
    if not given:
        return None
    name, login = str(config["instance"]["name"]), secrets.get("product") or {}
    path = os.path.join(folder, LOCK_FILE)
    return Maintenance(name, given["url"], given["protocol"], login, path, given["drain"])


def release_left(lock: Maintenance | None, folder: str) -> bool:
    """Let a product go that a run has left locked; return whether there was anything to do.

    Args:
        lock: the lock of the product; None where it is not locked any more.
        folder: where the state of the instance is kept.

    Raises:
        LockError: it could not be.

    """
    if lock is not None:
        return lock.release_left()
    path = os.path.join(folder, LOCK_FILE)
    if os.path.lexists(path):
        raise LockError(
            f"{path} is of a lock, but this configuration locks nothing: see whether the product is still locked, and"
            " remove the file"
        )
    return False


class Backup:
    """One run.

    Args:
        config: what is backed up, as the module writes it.
        secrets: passwords, as the module writes them.
        folder: where the state of the instance is kept.
        scratch: folder for what only this account may read; gone after a start of the host.
        restic: the repository.
        tell: takes lines for the journal.
        now: tells the time.
        sleep: waits.

    """

    def __init__(
        self,
        config: Mapping[str, Any],
        secrets: Mapping[str, Any],
        folder: str,
        scratch: str,
        restic: Restic,
        tell: Say = say,
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.config = config
        self.secrets = secrets
        self.folder = folder
        self.scratch = scratch
        self.restic = restic
        self.tell = tell
        self.now = now
        self.sleep = sleep
        self.begun = now()
        self.name = backup_name(self.begun)
        self.warnings: list[str] = []
        self.maintenance = maintenance_of(config, secrets, folder)
        self.before = self._read()
        self.kind = "instance"
        self.snapshot_of: Callable[[Mapping[str, Any]], VolumeSnapshot] = VolumeSnapshot

    # ---- state -------------------------------------------------------------------------------

    @property
    def _path(self) -> str:
        return os.path.join(self.folder, NAME)

    def _read(self) -> State:
        fresh = State(self.config["key"], self.begun, RUNNING, repository=self.config["repository"])
        try:
            last = read_state(self._path) or fresh
        except StateError as exc:
            self._warn(f"{self._path} {exc}; it is written anew")
            last = fresh
        # A backup of another repository or instance says nothing of this one.
        return last if (last.key, last.repository) == (fresh.key, fresh.repository) else fresh

    def _write(self, state: State) -> None:
        try:
            write_atomically(self._path, state.to_json(), 0o600)
            name = str(self.config["instance"]["name"])
            metrics = os.path.join(os.path.dirname(self.folder), "metrics")
            os.makedirs(metrics, exist_ok=True)
            write_atomically(
                os.path.join(metrics, f"{os.path.basename(self.folder)}.prom"), metrics_of(name, state), 0o644
            )
        except OSError as exc:
            raise BackupError(f"the result cannot be written to {self.folder}: {exc.strerror}") from exc

    def _warn(self, words: str) -> None:
        self.warnings.append(words)
        self.tell(f"{WARNING}{words}")

    # ---- run ---------------------------------------------------------------------------------

    def run(self) -> int:
        """Make the backup; return the exit code."""
        state = replace(self.before, begun=self.begun, result=RUNNING, reason="", warnings=())
        try:
            # First: nothing that fails is to keep the product locked.
            self._release_left()
            self._write(state)
            state = self._make(state)
            # What is in the repository already, restic does not write again: damage there is damage to this backup.
            result = FAILED if state.damage else DONE
            state = replace(state, result=result, reason=state.damage, warnings=tuple(self.warnings))
        except (BackupError, ResticError, DumpError, LockError, ManifestError, ProofError, SnapshotError) as exc:
            state = replace(state, result=FAILED, reason=str(exc), warnings=tuple(self.warnings))
        except OSError as exc:
            reason = f"{exc.filename or self.folder}: {exc.strerror or exc}"
            state = replace(state, result=FAILED, reason=reason, warnings=tuple(self.warnings))
        try:
            self._write(state)
        except BackupError as exc:
            self.tell(f"{EMERGENCY}{exc}")
            state = replace(state, result=FAILED, reason=state.reason or str(exc))
        if state.result == FAILED:
            self.tell(f"{EMERGENCY}no backup was made of {self.config['key']}: {state.reason}")
            return 1
        return 0

    def _release_left(self) -> None:
        if release_left(self.maintenance, self.folder):
            self._warn("the product was still locked by a run that was cut short, and is let go")

    def _make(self, state: State) -> State:
        self._open()
        mine = self._is_mine()
        if mine:
            try:
                manifest = self._backup("instance", self.config["key"], self.config["parts"])
            except Exception:
                self._give_up()
                raise
            state = replace(state, whole=self._success(manifest))
        elif self.config["node"]["parts"]:
            manifest = self._backup("node", self.config["node"]["key"], self.config["node"]["parts"])
            state = replace(state, node=self._success(manifest))
        if not mine:
            state = replace(state, whole=self._others() or state.whole)
        if mine or state.damage:
            state = self._check(state)
        if state.damage:
            # An old backup may be the last good one.
            return state
        return self._tidy(state, self.config["key"] if mine else self.config["node"]["key"])

    def _open(self) -> None:
        try:
            self.restic.open()
        except NoRepositoryError as exc:
            if self.before.whole or self.before.node:
                raise BackupError(f"the repository is gone: {exc}, and there was one before") from None
            if not self.config["create"]:
                raise BackupError(f"{exc}, and atlassian_dc_backup_create is false") from None
            self.restic.create()
            self.tell(f"{INFO}a new repository was made")

    @contextlib.contextmanager
    def _tolerated(self, what: str) -> Iterator[None]:
        """Have something fail without the backup failing; it is told."""
        try:
            yield
        except ResticError as exc:
            self._warn(f"{what}: {exc}")

    def _success(self, manifest: Manifest) -> Success:
        done = success_of(manifest, self.now(), self.now() - self.begun)
        self.tell(
            f"{INFO}backup {manifest.backup} of {manifest.key} is in the repository: {len(manifest.parts)} parts,"
            f" {done.files} files, {done.bytes} bytes, {done.seconds:.0f} seconds"
        )
        return done

    # ---- clusters ----------------------------------------------------------------------------

    def _is_mine(self) -> bool:
        """Whether this node makes the backup of the whole cluster in this period.

        The first one whose claim is in the repository does. A claim that is older than a backup may take, without a
        backup, is of a node that is gone.
        """
        if not self.config["clustered"]:
            return True
        fresh = self.begun - 0.75 * self.config["period"]
        newest = max((backup for backup in self._stored() if backup.whole), key=lambda each: each.name, default=None)
        # Who has made it and is started once more makes another one.
        if newest and time_of(newest.name) > fresh and newest.node != self.config["host"]:
            return False
        claimed = self._claims()
        if not claimed or claimed[0].node != self.config["host"]:
            if claimed:
                return False
            tags = (*tags_of(self.config["key"], self.name, CLAIM), f"node={self.config['host']}")
            begun = self.now()
            self.restic.save_stream(self.config["key"], tags, "claim", lambda take: take(b"1\n"))
            # Who has looked before this claim was there may still be on the way to make one: both see both once twice
            # the time of a claim is over, in the same order.
            self.sleep(max(SETTLE, 2 * (self.now() - begun)))
            claimed = self._claims()
        return bool(claimed) and claimed[0].node == self.config["host"]

    def _claims(self) -> list[Stored]:
        """Return who has claimed to make the backup and may still be at it, the first one first."""
        earliest = self.begun - self.config["time_limit"]
        found = [item for item in self._stored() if CLAIM in item.parts and not item.whole]
        return sorted(
            (item for item in found if time_of(item.name) > earliest), key=lambda item: (item.name, item.node)
        )

    def _nodes(self) -> tuple[str, ...]:
        """Return the hosts that have had anything to do with backups of this instance."""
        hosts = {self.config["host"]}
        if self.config["clustered"]:
            hosts |= {item.node for item in self._stored() if item.node}
        return tuple(sorted(hosts))

    def _give_up(self) -> None:
        """Take back what this node has claimed, for another one to make the backup."""
        if self.config["clustered"]:
            with self._tolerated("the claim of this node stays"):
                mine = [item for item in self._claims() if item.node == self.config["host"]]
                self.restic.forget([number for item in mine for number in item.parts[CLAIM]], prune=False)

    def _stored(self, key: str | None = None) -> list[Stored]:
        key = key or self.config["key"]
        return stored(self.restic.snapshots(TAG, f"instance={key}"), key)

    def _others(self) -> Success | None:
        """Return the newest backup of the cluster, whoever has made it."""
        newest = max((item for item in self._stored() if item.whole), key=lambda item: item.name, default=None)
        if newest is None:
            return None
        text = bytearray()
        self.restic.dump(newest.parts[MANIFEST][0], f"/{MANIFEST_FILE}", text.extend)
        manifest = parse_manifest(bytes(text))
        # A manifest may hold a time that no calendar has; when it was begun is known better then.
        finished = (nanoseconds(manifest.finished) or time_of(newest.name) * 10**9) / 10**9
        return success_of(manifest, finished, finished - time_of(newest.name))

    # ---- making it ---------------------------------------------------------------------------

    def _backup(self, kind: str, key: str, parts: list[dict[str, Any]]) -> Manifest:
        """Save all parts, read them back, and write the manifest."""
        self.kind = kind
        started, database = self.begun, self.config["database"] if kind == "instance" else None
        lock = self.maintenance if kind == "instance" else None
        dump = dump_of(database, str(self.secrets.get("database") or ""), self.scratch) if database else None
        made: list[Part] = []
        with self._volumes(kind) as volumes:
            with self._held(lock):
                # Files after the database: they are only added, so that no row is without its file.
                left = [] if volumes else parts
                if dump:
                    with contextlib.ExitStack() as held:
                        held.enter_context(dump.held())
                        if volumes and dump.at_once:
                            volumes.take()
                        if left and dump.at_once and self.restic.may_run_beside():
                            made += self._save_beside(key, dump, left, held)
                            left = []
                        else:
                            made.append(self._save_dump(key, dump))
                    for note in dump.notes:
                        self._warn(note)
                    if lock:
                        lock.progress(50)
                if volumes and not volumes.taken:
                    volumes.take()
                made += [save() for save in self._savers(key, left)]
                if lock:
                    lock.progress(100)
                    lock.done()
            if volumes:
                made += [save() for save in self._savers(key, parts, volumes)]
            proof = Proof(self.config, self.name, self.restic, self.now, volumes)
            proof.see(made, dump)
            sample = proof.sample()
            if volumes:
                # Whoever removes it under the backup makes holes that look as if files were gone.
                volumes.check()
        instance = self.config["instance"]
        manifest = Manifest(
            backup=self.name,
            key=key,
            kind=kind,
            product=self.config["product"],
            version=self.config["version"],
            instance=Instance(**instance),
            host=self.config["host"],
            nodes=self._nodes(),
            started=utc(started),
            finished=utc(self.now()),
            collection=self.config["collection"],
            parts=tuple(made),
            database=dump.told() if dump else None,
            sample=sample,
            needed=proof.needed(),
            lock=lock.times if lock else None,
            snapshot=_moment_of(volumes, dump) if volumes else None,
        )
        text = manifest.to_json().encode()
        parse_manifest(text)
        tags = (*tags_of(key, self.name, MANIFEST), f"node={self.config['host']}")
        self.restic.save_stream(key, tags, MANIFEST_FILE, lambda take: take(text))
        return manifest

    @contextlib.contextmanager
    def _held(self, lock: Maintenance | None) -> Iterator[None]:
        if lock is None:
            yield
            return
        lock.hold()
        try:
            yield
        finally:
            problem = lock.let_go()
            if problem:
                self._warn(problem)

    @contextlib.contextmanager
    def _volumes(self, kind: str) -> Iterator[VolumeSnapshot | None]:
        """Provide the snapshot of the storage, which is taken when it is time and removed in the end."""
        given = self.config["snapshot"] if kind == "instance" else None
        if not given:
            yield None
            return
        volumes = self.snapshot_of(given)
        try:
            yield volumes
        finally:
            problem = volumes.end()
            if problem:
                self._warn(problem)

    def _savers(
        self, key: str, parts: list[dict[str, Any]], volumes: VolumeSnapshot | None = None
    ) -> list[Callable[[], Part]]:
        """Return what saves the files of each part; of those that a snapshot of the storage shows, as it shows them."""
        shown = self.config["snapshot"]["parts"] if volumes else ()
        return [
            functools.partial(self._save_files, key, part, volumes.root if volumes and part["part"] in shown else "")
            for part in parts
            if self._there(part)
        ]

    def _tags(self, key: str, part: str) -> tuple[str, ...]:
        return (*tags_of(key, self.name, part), f"node={self.config['host']}")

    def _save_dump(self, key: str, dump: Dump) -> Part:
        begun = self.now()
        saved = self.restic.save_stream(key, self._tags(key, DATABASE), dump.file, dump.run)
        if saved.bytes != dump.bytes:
            raise BackupError(f"the dump has {dump.bytes} bytes, but the repository has taken {saved.bytes}")
        seconds = max(self.now() - begun, 0.0)
        number = self.restic.whole(saved.snapshot)
        return Part(DATABASE, number, (f"/{dump.file}",), dump.bytes, 1, seconds, dump.sha256)

    def _save_beside(self, key: str, dump: Dump, parts: list[dict[str, Any]], held: contextlib.ExitStack) -> list[Part]:
        """Save the dump of a moment that is over already, and meanwhile the files."""

        def database() -> Part:
            part = self._save_dump(key, dump)
            # Files may take hours yet, and what keeps the moment keeps the database from being cleaned up.
            held.close()
            return part

        return self.restic.do_all([database, *self._savers(key, parts)])

    @staticmethod
    def _there(part: Mapping[str, Any]) -> list[str]:
        """Return what a part is made of: files that somebody may have made need not be there, homes have to."""
        return [str(path) for path in part["paths"] if not part.get("as_far_as_there") or not is_gone(path)]

    def _save_files(self, key: str, part: Mapping[str, Any], root: str) -> Part:
        begun = self.now()
        paths = self._there(part)
        exclude = tuple(literal(path) for path in part["exclude"])
        for path in paths:
            try:
                info = os.lstat(root + path)
            except OSError as exc:
                raise BackupError(f"{root}{path} cannot be backed up: {exc.strerror}") from exc
            if stat.S_ISLNK(info.st_mode):
                raise BackupError(f"{root}{path} has become a link, and nothing behind it would be saved: {AGAIN}")
        left_out = [literal(root) + pattern for pattern in exclude]
        saved = self.restic.save(key, self._tags(key, part["part"]), [root + path for path in paths], left_out)
        # What is gone by now was removed while restic was on its way; anything else is a gap. Of a snapshot nothing is
        # removed but all of it.
        missing = {path: why for path, why in saved.failed if root or not is_gone(path)}
        if len(saved.failed) >= MAX_FAILED:
            missing.setdefault(f"{paths[0]} and elsewhere", f"{MAX_FAILED} paths or more; no more are looked at")
        if missing:
            shown = "; ".join(f"{path}: {why}" for path, why in list(missing.items())[:MAX_NAMED])
            more = f" and {len(missing) - MAX_NAMED} more" if len(missing) > MAX_NAMED else ""
            raise BackupError(f"not everything could be read: {shown}{more}")
        if saved.failed:
            self.tell(f"{INFO}{len(saved.failed)} files were removed while they were backed up")
        seconds = max(self.now() - begun, 0.0)
        number = self.restic.whole(saved.snapshot)
        return Part(part["part"], number, tuple(paths), saved.bytes, saved.files, seconds, None, exclude, root)

    # ---- afterwards --------------------------------------------------------------------------

    def _check(self, state: State) -> State:
        """See from time to time whether the repository is whole, and after damage until it is again."""
        if not state.damage and self.begun - state.checked < CHECK_SECONDS:
            return state
        share, seconds = state.checks % CHECK_SHARES + 1, CHECK_TIME * self.config["time_limit"]
        for last in (False, True):
            try:
                self.restic.look_over(share, CHECK_SHARES, seconds)
            except DamagedError as exc:
                # Somebody may have removed something meanwhile.
                if last:
                    return replace(state, checked=self.now(), damage=str(exc))
            except ResticError as exc:
                self._warn(str(exc))
                return state
            else:
                return replace(state, checked=self.now(), checks=state.checks + 1, damage="")
        raise AssertionError

    def _tidy(self, state: State, key: str) -> State:
        """Remove what is too old, and what runs have left that were cut short."""
        if not self.config["forget"]:
            return state
        with self._tolerated("old backups were not removed"):
            backups = self._stored(key)
            keep = kept([backup.name for backup in backups if backup.whole], self.config["keep"])
            gone = [number for backup in backups if self._is_gone(backup, keep) for number in backup.snapshots]
            prune = bool(gone) and self.begun - state.pruned > PRUNE_SECONDS
            if gone:
                # What restic has left that was cut short would keep it from that.
                self.restic.unlock()
                self.restic.forget(gone, prune)
                self.tell(f"{INFO}{len(gone)} snapshots of old backups were removed")
            if prune:
                return replace(state, pruned=self.now())
        return state

    def _is_gone(self, backup: Stored, keep: set[str]) -> bool:
        if backup.whole:
            return backup.name not in keep
        # Another node may be about to finish it.
        mine = backup.node in ("", self.config["host"]) and backup.name < self.name
        return mine or time_of(backup.name) < self.begun - self.config["time_limit"]


# ---- the program -----------------------------------------------------------------------------------------------------


def _load(path: str) -> dict[str, Any]:
    try:
        with open(path, encoding="utf-8") as stream:
            told = json.load(stream)
    except (OSError, ValueError) as exc:
        raise BackupError(f"{path} cannot be read: {exc}") from exc
    if not isinstance(told, dict):
        raise BackupError(f"{path} is no configuration")
    return told


def _stop(number: int, _frame: object, limit: float = math.inf) -> None:
    # Once: what is cleaned up meanwhile is not to be cut short by the second.
    signal.signal(number, signal.SIG_IGN)
    over = time.monotonic() - _BEGUN >= limit
    told = f"did not end within {words_of_seconds(limit)}" if over else f"was ended by {signal.Signals(number).name}"
    raise StoppedError(f"the run {told}")


@contextlib.contextmanager
def _alone(path: str) -> Iterator[None]:
    """Hold the lock that lets one backup run at a time on this host."""
    with open(path, "w", encoding="utf-8") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"{INFO}another backup is running on this host; this one waits for it")
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def main(arguments: list[str]) -> int:
    """Run the program.

    Args:
        arguments: ``run`` or ``release``, or what root does (`_backup_snapshot`), and the name of the instance.

    Returns:
        Exit code: not 0 where no backup was made, or the product could not be let go.

    """
    action, name = [*arguments, "", ""][:2]
    if action in _backup_snapshot.ACTIONS and name:
        return _backup_snapshot.main(action, name, f"{CONFIG}/{name}.snapshot.json")
    credentials = os.environ.get("CREDENTIALS_DIRECTORY", "")
    state, runtime, cache = (
        os.environ.get(variable, "").split(":")[0]
        for variable in ("STATE_DIRECTORY", "RUNTIME_DIRECTORY", "CACHE_DIRECTORY")
    )
    # What comes after a service is handed no credentials.
    given = state and runtime and cache and (credentials or action == "release")
    if action not in ("run", "release") or not name or not given:
        sys.stderr.write("this is started by atlassian-dc-backup@INSTANCE.service\n")
        return 2
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _stop)
    folder = os.path.join(state, name)
    try:
        if action == "release":
            return _release(folder, name)
        config, secrets = _load(f"{credentials}/config"), _load(f"{credentials}/secrets")
        told = secrets["repository"]
        limit = config["time_limit"]
        signal.signal(signal.SIGTERM, functools.partial(_stop, limit=limit))
        restic = Restic(told["url"], told["password"], told["environment"], cache, limit=limit)
        # Before it waits for others, which may take hours; what keeps it from that is told by the run.
        with contextlib.suppress(LockError):
            if release_left(maintenance_of(config, secrets, folder), folder):
                say(f"{WARNING}the product was still locked by a run that was cut short, and is let go")
        with _alone(os.path.join(runtime, "lock")):
            return Backup(config, secrets, folder, runtime, restic).run()
    except (BackupError, LockError, StateError, OSError) as exc:
        say(f"{EMERGENCY}{exc}")
        return 1


def _release(folder: str, name: str) -> int:
    """Put in order what a run has left that was cut short: a product that is locked, and its state.

    Returns:
        Exit code: not 0 where something could not be.

    """
    code = 0
    # The product first, and neither for want of the other.
    for step in (_let_go, _tell_end):
        try:
            step(folder, name)
        except (BackupError, LockError, StateError, OSError) as exc:
            say(f"{EMERGENCY}{exc}")
            code = 1
    return code


def _let_go(folder: str, name: str) -> None:
    if os.path.lexists(os.path.join(folder, LOCK_FILE)):
        # What systemd hands over is gone by the time it runs what comes after a service.
        config, secrets = _load(f"{CONFIG}/{name}.json"), _load(f"{CONFIG}/{name}.secrets.json")
        if release_left(maintenance_of(config, secrets, folder), folder):
            say(f"{WARNING}the product was still locked and is let go")


def _tell_end(folder: str, _name: str) -> None:
    path = os.path.join(folder, NAME)
    state = read_state(path)
    if state is not None and state.result == RUNNING:
        reason = f"the run was cut short ({os.environ.get('SERVICE_RESULT') or 'unknown'})"
        say(f"{EMERGENCY}no backup was made of {state.key}: {reason}")
        write_atomically(path, replace(state, result=FAILED, reason=reason).to_json(), 0o600)
