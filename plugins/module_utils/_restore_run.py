# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restores a backup to a host.

Files are restored beside their place first, and a database under another name; all is compared with the manifest, and
only then put in place by renaming.
What is there already is moved aside, where that was allowed; nothing is removed but what an earlier try has left.
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import shutil
import socket
import stat
import time
from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.atlassian_dc.hardening.plugins.module_utils._backup_keep import Stored
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._backup_manifest import (
    DATABASE,
    INSTALL,
    Manifest,
    Part,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._restore_database import LoadError, other_rows
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._restore_drill import (
    Checks,
    DrillError,
    credentials,
    empty,
    enough_space,
    none_of,
    run_alone,
    say,
    size_of,
    write_new,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._restore_plan import (
    DONE,
    NEW,
    THERE,
    Item,
    nearest,
    number_of,
    state_of,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._restore_repository import Repository, chosen
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._restore_result import Result, utc
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._restore_target import TARGETS, Target
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._restore_tree import (
    link_on_way,
    missing_files,
    within,
    wrong_needs,
    wrong_samples,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._systemd import below

OLD = ".atlassian-dc-old-"
"""What the name of something ends with that was moved aside; the name of the backup follows."""
MODE_BITS = 0o777
"""Set-user-ID and the like are not taken over from a backup."""


class Restore:
    """Restores one backup.

    Args:
        config: ``key``, ``backup``, ``items`` and ``done`` (as in `_restore_plan`), ``account`` (of the product),
            ``database`` (None where it is left out), ``state`` (folder).
        password: of the database's account.
        repository: where it lies.
        say: takes what the journal is told.

    """

    def __init__(
        self, config: Mapping[str, Any], password: str, repository: Repository, say: Callable[[str], None]
    ) -> None:
        self._config = config
        self._password = password
        self._repository = repository
        self._say = say
        self._state = str(config["state"])
        self._planned = [Item(**item) for item in config["items"]]
        self._items = [item for item in self._planned if item.state != DONE]
        self._staged: dict[str, str] = {}
        """By path of an item, the folder that its absolute path begins in."""
        self._progress = os.path.join(self._state, f"{config['key']}.progress.json")
        self._done: dict[str, int] = dict(config["done"])

    def run(self) -> bool:
        """Restore it; return whether all went well."""
        results = os.path.join(self._state, "results")
        empty(results)
        os.mkdir(results, 0o700)
        begun = time.time()
        checks = Checks(self._say)
        read: list[Manifest] = []
        key, name = str(self._config["key"]), str(self._config["backup"])
        with checks.of("repository"):
            self._repository.open()
            backup: Stored = chosen(self._repository.backups(), [key], name)[0][1]
            read.append(self._repository.manifest(key, backup))
        if read:
            try:
                self._restore(read[0], checks)
            finally:
                self._clear()
        result = Result(
            key=key,
            backup=name,
            product=read[0].product if read else "",
            host=socket.gethostname(),
            started=utc(begun),
            finished=utc(time.time()),
            bytes=read[0].total_bytes if read else 0,
            checks=tuple(checks.done),
        )
        write_new(os.path.join(results, f"{key}.json"), result.to_json())
        self._say(f"{'<3>' if checks.failed() else '<6>'}restore of {key}: {result.outcome}")
        return not checks.failed()

    def _clear(self) -> None:
        """Remove what is not in place."""
        for item in self._planned:
            # Files of an installation are no folders, and it may belong to others: see `_remove`.
            if not item.part.startswith(INSTALL):
                empty(item.staging)
        empty(os.path.join(self._state, "install"))

    def _restore(self, manifest: Manifest, checks: Checks) -> None:
        self._clear()
        target = None
        if self._config["database"] is not None:
            config = self._config["database"]
            target = TARGETS[config["kind"]](config, self._password, self._state)
            with checks.of("database before"):
                target.look()
        try:
            self._restore_to(target, manifest, checks)
        finally:
            if target is not None:
                with contextlib.suppress(LoadError):
                    target.discard()

    def _restore_to(self, target: Target | None, manifest: Manifest, checks: Checks) -> None:
        if not checks.failed():
            with checks.of("space") as told:
                told(self._space(manifest, target))
        for part in manifest.parts:
            items = [item for item in self._items if item.part == part.part]
            if items and not checks.failed():
                with checks.of(part.part, f"{part.files} files, {part.bytes} bytes"):
                    self._stage(part, items)
        if checks.failed():
            return
        with checks.of("sample", "files are as they were"):
            none_of(wrong_samples(manifest, self._place))
        with checks.of("needed", "what a restore needs is there"):
            none_of(wrong_needs(manifest, self._place))
        if target is not None and not checks.failed():
            with checks.of(DATABASE) as told:
                told(self._load(manifest, target))
        if checks.failed():
            return
        with checks.of("in place"):
            none_of([f"{item.path} has come into being meanwhile" for item in self._items if self._is_new(item)])
            # Nothing is called whole that a loss of power could take back.
            os.sync()
            for item in self._items:
                self._put(item)
            if target is not None:
                target.commit()
                self._note(DATABASE, 0)
            os.sync()
        if not checks.failed():
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._progress)

    @staticmethod
    def _is_new(item: Item) -> bool:
        """Whether something is at a path where nothing was when the restore was begun."""
        return item.state != THERE and state_of(item.path, item.mounted)[0] == THERE

    def _space(self, manifest: Manifest, target: Target | None) -> str:
        """See that everything has room; return how much there is."""
        wanted: dict[str, int] = {}

        def add(folder: str, part: Part) -> None:
            wanted[folder] = wanted.get(folder, 0) + size_of(part)

        for part in manifest.parts:
            paths = [item.path for item in self._items if item.part == part.part]
            if part.part == DATABASE:
                if target is not None and (folder := target.folder()):
                    add(folder, part)
            elif part.part.startswith(INSTALL):
                add(self._state, part)
            else:
                # How much lies below each of several is not known: there may be room for all at the first.
                for folder in {os.stat(each).st_dev: each for each in map(nearest, paths)}.values():
                    add(folder, part)
        return enough_space(wanted)

    def _place(self, part: str, path: str) -> str | None:
        """Return where a path of a part has been restored to."""
        for item in self._items:
            if item.part == part and item.path in self._staged and below(path, item.path):
                return within(self._staged[item.path], path)
        return None

    # ---- files -------------------------------------------------------------------------------

    def _stage(self, part: Part, items: list[Item]) -> None:
        """Restore a part beside its place, and see that it is whole."""
        small = part.part.startswith(INSTALL)
        if small:
            # Single files all over the installation: one folder for all of them.
            folder = os.path.join(self._state, "install")
            os.mkdir(folder, 0o700)
            self._repository.restore(part.snapshot, folder)
            for item in items:
                _see_way(folder, os.path.dirname(within(folder, item.path)))
            self._staged.update({item.path: folder for item in items})
            none_of(missing_files(part, [folder]))
            return
        for item in items:
            if not item.mounted:
                os.makedirs(os.path.dirname(item.path), mode=0o755, exist_ok=True)
            os.mkdir(item.staging, 0o700)
            only = [part.place(item.path)] if len(part.paths) > 1 else ()
            self._repository.restore(part.snapshot, item.staging, only)
            _see_way(item.staging, within(item.staging, part.place(item.path)))
            self._staged[item.path] = item.staging + part.root
        if len(items) == len(part.paths):
            none_of(missing_files(part, [item.staging for item in items]))
        for item in items:
            self._give(within(self._staged[item.path], item.path))

    def _account(self) -> tuple[int, int]:
        """Return numbers of the product's account on this host; those of root where it is missing."""
        try:
            account = pwd.getpwnam(str(self._config["account"]))
        except KeyError:
            return 0, 0
        return account.pw_uid, account.pw_gid

    def _give(self, root: str) -> None:
        """Give a tree that nobody else reaches yet to the product's account; numbers may differ from host to host."""
        uid, gid = self._account()
        for folder, folders, files, descriptor in os.fwalk(root, follow_symlinks=False):
            del folder
            for name in (*folders, *files):
                os.chown(name, uid, gid, dir_fd=descriptor, follow_symlinks=False)
                mode = os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_mode
                if stat.S_ISREG(mode) and stat.S_IMODE(mode) & ~MODE_BITS:
                    os.chmod(name, stat.S_IMODE(mode) & MODE_BITS, dir_fd=descriptor)
        os.chown(root, uid, gid, follow_symlinks=False)

    def _put(self, item: Item) -> None:
        """Put what was restored in its place."""
        source = within(self._staged[item.path], item.path)
        if item.part.startswith(INSTALL):
            self._put_small(item.path, source)
        elif item.mounted:
            for name in os.listdir(source):
                os.rename(os.path.join(source, name), os.path.join(item.path, name))
            info = os.stat(source)
            os.chown(item.path, info.st_uid, info.st_gid)
            os.chmod(item.path, stat.S_IMODE(info.st_mode))
            self._note(item.path, number_of(item.path))
        else:
            # Before it is there: what ends this in between is not to leave what nobody knows.
            self._note(item.path, number_of(source))
            if os.path.lexists(item.path):
                self._aside(item.path, dir_fd=None)
            os.rename(source, item.path)

    def _aside(self, path: str, dir_fd: int | None) -> None:
        """Make way: remove an empty folder, move anything else aside, each time under another name."""
        try:
            os.rmdir(path, dir_fd=dir_fd)
        except OSError:
            name = f"{path}{OLD}{self._config['backup']}"
            number = 1
            while _is_there(name if number == 1 else f"{name}-{number}", dir_fd):
                number += 1
            name = name if number == 1 else f"{name}-{number}"
            os.rename(path, name, src_dir_fd=dir_fd, dst_dir_fd=dir_fd)

    def _put_small(self, path: str, source: str) -> None:
        """Copy a file or folder into an installation, which others may write to meanwhile: no link is followed."""
        descriptor = os.open("/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            *folders, name = path.strip("/").split("/")
            for folder in folders:
                self._make(folder, descriptor)
                deeper = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=descriptor)
                os.close(descriptor)
                descriptor = deeper
            try:
                before: os.stat_result | None = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
            except FileNotFoundError:
                before = None
            self._remove(name + NEW, descriptor)
            try:
                self._copy(source, name + NEW, descriptor, before)
                self._note(path, os.stat(name + NEW, dir_fd=descriptor, follow_symlinks=False).st_ino)
                if before is not None:
                    self._aside(name, descriptor)
                os.rename(name + NEW, name, src_dir_fd=descriptor, dst_dir_fd=descriptor)
            except BaseException:
                with contextlib.suppress(OSError):
                    self._remove(name + NEW, descriptor)
                raise
        finally:
            os.close(descriptor)

    @staticmethod
    def _make(folder: str, descriptor: int) -> None:
        """Make a folder of an installation, if it is missing, of root and readable for all."""
        before = os.umask(0o022)
        try:
            with contextlib.suppress(FileExistsError):
                os.mkdir(folder, 0o755, dir_fd=descriptor)
        finally:
            os.umask(before)

    @staticmethod
    def _remove(name: str, descriptor: int) -> None:
        """Remove what an earlier try has left."""
        try:
            os.unlink(name, dir_fd=descriptor)
        except FileNotFoundError:
            return
        except (IsADirectoryError, PermissionError):
            os.rename(name, f"{name}-{time.time_ns()}", src_dir_fd=descriptor, dst_dir_fd=descriptor)

    def _copy(self, source: str, name: str, descriptor: int, like: os.stat_result | None) -> None:
        """Copy a file or folder with owner and mode of what it replaces; else root's, readable for the account."""
        info = os.lstat(source)
        uid, gid = (like.st_uid, like.st_gid) if like else (0, self._account()[1])
        mode = stat.S_IMODE(like.st_mode if like else info.st_mode & ~0o022) & MODE_BITS
        if stat.S_ISDIR(info.st_mode):
            os.mkdir(name, 0o700, dir_fd=descriptor)
            inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=descriptor)
            try:
                for each in sorted(os.listdir(source)):
                    self._copy(os.path.join(source, each), each, inner, None)
                os.fchown(inner, uid, gid)
                os.fchmod(inner, mode)
            finally:
                os.close(inner)
        elif stat.S_ISREG(info.st_mode):
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            with (
                os.fdopen(os.open(name, flags, 0o600, dir_fd=descriptor), "wb") as target,
                open(source, "rb") as stream,
            ):
                shutil.copyfileobj(stream, target)
                target.flush()
                os.fchown(target.fileno(), uid, gid)
                os.fchmod(target.fileno(), mode)
                os.fsync(target.fileno())
        elif stat.S_ISLNK(info.st_mode):
            os.symlink(os.readlink(source), name, dir_fd=descriptor)
            os.chown(name, uid, gid, dir_fd=descriptor, follow_symlinks=False)

    # ---- database ----------------------------------------------------------------------------

    def _load(self, manifest: Manifest, target: Target) -> str:
        """Load the database; return what can be said of it."""
        part = manifest.part(DATABASE)
        if part is None or manifest.database is None:
            raise DrillError("the backup has no database")
        digest, size = target.load(lambda take: self._repository.dump(part.snapshot, part.paths[0], take))
        if (digest, size) != (part.sha256, part.bytes):
            raise DrillError(f"the dump in the repository is not the one that was made ({size} bytes of {part.bytes})")
        rows = target.rows()
        none_of(other_rows(manifest.database.tables or rows, rows))
        return f"{len(rows)} tables, {sum(rows.values())} rows"

    def _note(self, what: str, number: int) -> None:
        """Note what is in place and its number there, so that another try of the same backup leaves it alone."""
        self._done[what] = number
        write_new(self._progress, json.dumps({"backup": self._config["backup"], "done": self._done}))


def _is_there(name: str, dir_fd: int | None) -> bool:
    try:
        os.stat(name, dir_fd=dir_fd, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _see_way(root: str, place: str) -> None:
    """See that what was restored lies where it seems to lie: a link in a backup may lead anywhere on this host.

    Raises:
        DrillError: it does not.

    """
    link = link_on_way(root, place)
    if link:
        raise DrillError(f"{link[len(root) :]} is a link in the backup, which may lead anywhere")


def progress(state: str, key: str, backup: str) -> dict[str, int]:
    """Return what an earlier try of a backup has put in place, with the numbers that it has there."""
    try:
        with open(os.path.join(state, f"{key}.progress.json"), encoding="utf-8") as stream:
            told = json.load(stream)
    except (OSError, ValueError):
        return {}
    return {str(path): int(number) for path, number in told["done"].items()} if told.get("backup") == backup else {}


def main() -> int:
    """Restore as a unit has it."""
    config, secrets = credentials()
    return run_alone(
        secrets["repository"],
        config["time_limit"],
        lambda repository: Restore(config, secrets["database"], repository, say).run(),
    )
