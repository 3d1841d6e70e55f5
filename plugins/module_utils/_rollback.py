# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes back what a run has changed, from the record it left on the host, last change first.

What somebody has changed since is left alone and named. Where the disk is full or broken, the run does not count as
taken back, and the same can be done again: what is as it was before is passed over. Paths are opened folder by folder
without following links: a service account may own some of the folders and must not be able to point a restored owner at
somebody else's file.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import grp
import hashlib
import json
import os
import pwd
import stat
import time
from collections.abc import Callable, Iterator
from typing import Any

from ansible_collections.atlassian_dc.hardening.plugins.module_utils._as_account import DENIED, as_account
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._changes import (
    is_fault,
    mode_text,
    printable,
    temporary_path,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._recorder import (
    RUN_NAME,
    STATE,
    UNDONE,
    Line,
    read_run,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._systemd import below, show_units
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._walk import Mounts

UNIT_FOLDER = "/etc/systemd/system/"


class RollbackError(Exception):
    """The run cannot be taken back; says why. Nothing was changed."""


@functools.cache
def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


@functools.cache
def _group(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def _words(uid: int, gid: int, mode: int) -> str:
    return f"{_user(uid)}:{_group(gid)} {mode_text(mode)}"


class DeniedError(Exception):
    """Root may not look at something, or not change it."""

    def __init__(self, where: str, refusal: OSError) -> None:
        """Say where that begins, so that all below can be done by somebody else."""
        super().__init__(refusal.strerror or str(refusal))
        self.where = where


def choose_run(name: str | None, roles: list[str] | None, state: str = STATE) -> tuple[str, list[Line]]:
    """Return the run to take back, with its lines: the named one, else the last that left something to take back.

    Raises:
        RollbackError: there is no such run, or a later one has to be taken back first.

    """
    runs = os.path.join(state, "runs")
    names = sorted(os.listdir(runs)) if os.path.isdir(runs) else []
    names = [known for known in names if RUN_NAME.fullmatch(known)]
    if name is not None and name not in names:
        kept = ", ".join(names) or "none"
        raise RollbackError(f"there is no record of run '{name}' on this host; recorded are: {kept}")
    for known in reversed(names):
        lines = list(read_run(os.path.join(runs, known), roles))
        if known == name or (name is None and lines):
            return known, lines
        if lines:
            raise RollbackError(f"run '{known}' is later than '{name}' and changed this host too; take it back first")
    return "", []


class Rollback:
    """Takes back the changes of a run.

    Args:
        folder: the folder of the run.
        check_mode: say what would be restored, change nothing.
        run_command: ``AnsibleModule.run_command`` or a function of the same form.
        put_back: puts the setting of a product back that a line tells of; returns why it stays, "" where it does not,
            and None where nothing is to be done.

    """

    def __init__(
        self, folder: str, check_mode: bool, run_command: Callable[..., Any], put_back: Callable[[Line], str | None]
    ) -> None:
        self.folder = folder
        self.check_mode = check_mode
        self._run_command = run_command
        self._put_back = put_back
        self.restored: list[dict[str, str]] = []
        self.kept: list[str] = []
        self.faults: list[str] = []
        """What could not be restored because of the host itself."""
        self.units: set[str] = set()
        self.stay: list[str] = []
        """Accounts and groups that the run made."""
        # What would be there by now, for check mode: contents and permissions by path.
        self._contents: dict[str, str | None] = {}
        self._permissions: dict[str, tuple[int, int, int]] = {}
        # What was there before the run, where it changed something more than once.
        self._origins: dict[tuple[str, str], Any] = {}
        self._reload = False
        self._parent: tuple[str, int] | None = None
        self._mounts: Mounts | None = None
        # What root may not do, all of it in or below one folder, and the accounts that may be able to.
        self._left: list[Line] = []
        self._left_in = ""
        self._accounts: list[int] = []

    def run(self, lines: list[Line]) -> None:
        """Take back changes, the last one first."""
        # The walk changes as the service account what is denied to root, and that account owns what it has changed.
        owners = [line["new_uid"] for line in reversed(lines) if line["kind"] == "p"]
        self._accounts = [uid for uid in dict.fromkeys(owners) if uid > 0]
        for line in lines:
            if line["kind"] == "file":
                self._origins.setdefault(("file", line["path"]), line["before"] and line["before"]["blob"])
            elif line["kind"] == "p":
                self._origins.setdefault(("p", line["path"]), (line["uid"], line["gid"], line["mode"]))
        try:
            for line in reversed(lines):
                if self._left and not below(line.get("path", ""), self._left_in):
                    self._finish_left()
                if self._left and line["kind"] in ("p", "attribute"):
                    self._left.append(line)
                    continue
                try:
                    self._take_back(line)
                except DeniedError as exc:
                    if line["kind"] not in ("p", "attribute"):
                        self._keep(line["path"], str(exc))
                        continue
                    self._left, self._left_in = [line], exc.where
            self._finish_left()
            if self._reload and not self.check_mode:
                code, out, err = self._run_command(["systemctl", "daemon-reload"])
                if code != 0:
                    self._keep("systemctl daemon-reload", (err or out).strip())
        finally:
            self._close_parent()

    def _take_back(self, line: Line) -> None:
        handlers: dict[str, Callable[[Line], None]] = {
            "file": self._file,
            "folder": self._folder,
            "p": self._mode,
            "attribute": self._attribute,
            "command": self._command,
            "setting": self._setting,
        }
        noted = len(self.restored)
        try:
            handlers[line["kind"]](line)
        except (OSError, DeniedError) as exc:
            del self.restored[noted:]
            if isinstance(exc, DeniedError):
                raise
            self._keep(line["path"], exc.strerror or str(exc), exc)

    def _finish_left(self) -> None:
        """Take back as the account that made them the changes that are denied to root."""
        lines, self._left = self._left, []
        if not lines:
            return
        own = [line["new_uid"] for line in lines if line["kind"] == "p" and line["new_uid"] > 0]
        for uid in dict.fromkeys([*own, *self._accounts]):
            answer = as_account(uid, lambda _name: self._as_account(lines))
            if answer is not None:
                self.restored += answer["restored"]
                self.kept += answer["kept"]
                self.faults += answer["faults"]
                self._permissions.update((path, (u, g, m)) for path, (u, g, m) in answer["permissions"].items())
                return
        for line in lines:
            self._keep(line["path"], "neither root nor the account that owned it may look at it")

    def _as_account(self, lines: list[Line]) -> dict[str, Any] | None:
        # The process began as a copy of root's; what it opened as root it does not use.
        self._close_parent()
        try:
            with self._opened(lines[0]["path"]):
                pass
        except DeniedError:
            return None
        except OSError:
            pass  # gone since, which each line says for itself
        self.restored, self.kept, self.faults, self._permissions = [], [], [], dict(self._permissions)
        for line in lines:
            try:
                self._take_back(line)
            except DeniedError as exc:
                self._keep(line["path"], str(exc))
        told = {"restored": self.restored, "kept": self.kept, "faults": self.faults}
        return {**told, "permissions": self._permissions}

    def targets(self, kind: str) -> list[str]:
        """Return the names of what was restored, of one kind such as ``account``, each once."""
        found = (item["target"].partition(" ") for item in self.restored if not item["target"].startswith("/"))
        return sorted({name for prefix, _blank, name in found if prefix == kind})

    @property
    def paths(self) -> int:
        """How many paths were restored."""
        return len({item["target"] for item in self.restored if item["target"].startswith("/")})

    def still_running(self, stopped: list[str]) -> list[str]:
        """Return the units put back whose products run as they were started; `stopped` are not meant."""
        shown = show_units(self._run_command, sorted(self.units - set(stopped)), ("ActiveState",))
        return [unit for unit, state in shown.items() if state.get("ActiveState") not in ("inactive", "failed")]

    def note_undone(self, roles: list[str] | None) -> None:
        """Note in the record what was taken back: these roles, or all of it."""
        path = os.path.join(self.folder, UNDONE)
        line = json.dumps({"roles": roles, "time": int(time.time())}) + "\n"
        try:
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a", encoding="ascii") as stream:
                stream.write(line)
        except OSError as exc:
            self.faults.append(f"{path}: {exc.strerror or exc}")

    def _keep(self, target: str, why: str, error: object = None) -> None:
        (self.faults if is_fault(error) else self.kept).append(f"{printable(target)}: {why}")

    def _note(self, target: str, what: str, now: str, before: str) -> None:
        self.restored.append({"target": printable(target), "attribute": what, "before": now, "after": before})

    # -- opening without following links -----------------------------------------------------------------------

    def _open_parent(self, path: str) -> int:
        """Return a descriptor of the folder something lies in; the last one is kept, for trees come in order."""
        folder = os.path.dirname(path)
        if self._parent is not None and self._parent[0] == folder:
            return self._parent[1]
        self._close_parent()
        handle, reached = os.open("/", os.O_PATH | os.O_DIRECTORY), ""
        for part in [name for name in folder.split("/") if name]:
            try:
                deeper = os.open(part, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=handle)
            except PermissionError as exc:
                raise DeniedError(reached or "/", exc) from exc
            finally:
                os.close(handle)
            handle, reached = deeper, f"{reached}/{part}"
        self._parent = (folder, handle)
        return handle

    def _close_parent(self) -> None:
        if self._parent is not None:
            os.close(self._parent[1])
            self._parent = None

    @contextlib.contextmanager
    def _opened(self, path: str) -> Iterator[tuple[int, os.stat_result]]:
        parent = self._open_parent(path)
        try:
            handle = os.open(os.path.basename(path), os.O_PATH | os.O_NOFOLLOW, dir_fd=parent)
        except PermissionError as exc:
            raise DeniedError(os.path.dirname(path), exc) from exc
        try:
            try:
                info = os.fstat(handle)
            except PermissionError as exc:
                raise DeniedError(path, exc) from exc
            yield handle, info
        finally:
            os.close(handle)

    @contextlib.contextmanager
    def _changing(self, path: str) -> Iterator[None]:
        """Tell a server or FUSE program that refuses changes to root from anything else that may be in the way."""
        try:
            yield
        except OSError as exc:
            if exc.errno in DENIED and os.geteuid() == 0:
                self._mounts = self._mounts or Mounts()
                if self._mounts.served(path):
                    raise DeniedError(self._mounts.point_of(path), exc) from exc
            raise

    # -- files -------------------------------------------------------------------------------------------------

    def _digest(self, path: str) -> str | None:
        if path in self._contents:
            return self._contents[path]
        name = os.path.basename(path)
        try:
            parent = self._open_parent(path)
            info = os.lstat(name, dir_fd=parent)
        except (FileNotFoundError, NotADirectoryError):
            return None
        if stat.S_ISLNK(info.st_mode):
            return hashlib.sha256(os.fsencode(os.readlink(name, dir_fd=parent))).hexdigest()
        with open(os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=parent), "rb") as stream:
            return hashlib.sha256(stream.read()).hexdigest()

    def _file(self, line: Line) -> None:
        path, before = line["path"], line["before"]
        current, wanted = self._digest(path), before and before["blob"]
        if current != line["after"]:
            if current not in (wanted, self._origins[("file", path)]):
                self._keep(path, "somebody has changed it since")
            return
        then = "absent" if before is None else f"as before, {_words(before['uid'], before['gid'], before['mode'])}"
        self._note(path, "content", "absent" if current is None else "as the run wrote it", then)
        if path.startswith(UNIT_FOLDER):
            self._reload = True
            unit, drop_in, _name = path[len(UNIT_FOLDER) :].partition("/")
            if drop_in:  # units as a whole are ours, not those of products
                self.units.add(unit.removesuffix(".d"))
        self._contents[path] = wanted
        if before is not None:
            self._permissions[path] = (before["uid"], before["gid"], before["mode"])
        if self.check_mode:
            return
        name, parent = os.path.basename(path), self._open_parent(path)
        if before is None:
            os.unlink(name, dir_fd=parent)
            return
        with open(os.path.join(self.folder, "blobs", before["blob"]), "rb") as stream:
            content = stream.read()
        temporary = temporary_path(name)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary, dir_fd=parent)
        if before["type"] == "link":
            os.symlink(os.fsdecode(content), temporary, dir_fd=parent)
        else:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
            handle = os.open(temporary, flags, 0o600, dir_fd=parent)
            try:
                with open(handle, "wb") as stream:
                    stream.write(content)
                    stream.flush()
                    os.fchown(stream.fileno(), before["uid"], before["gid"])
                    os.fchmod(stream.fileno(), before["mode"])
                    os.utime(stream.fileno(), ns=(before["times"][0], before["times"][1]))
                    os.fsync(stream.fileno())
            except OSError:
                os.unlink(temporary, dir_fd=parent)
                raise
        os.rename(temporary, name, src_dir_fd=parent, dst_dir_fd=parent)

    def _folder(self, line: Line) -> None:
        path = line["path"]
        self._note(path, "folder", "present", "absent")
        if self.check_mode:
            return
        try:
            os.rmdir(os.path.basename(path), dir_fd=self._open_parent(path))
        except FileNotFoundError:
            self.restored.pop()
        except OSError as exc:
            if exc.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            self.restored.pop()
            self._keep(path, "holds other files")

    # -- permissions -------------------------------------------------------------------------------------------

    def _same(self, line: Line, info: os.stat_result) -> bool:
        """Whether it still is the object that was changed, or the file this rollback has just put back."""
        return (info.st_dev, info.st_ino) == (line["dev"], line["ino"]) or line["path"] in self._contents

    def _mode(self, line: Line) -> None:
        path = line["path"]
        wanted = (line["uid"], line["gid"], line["mode"])
        expected = (line["new_uid"], line["new_gid"], line["new_mode"])
        try:
            with self._opened(path) as (handle, info):
                found = (info.st_uid, info.st_gid, stat.S_IMODE(info.st_mode))
                current = self._permissions.get(path, found) if self.check_mode else found
                if not self._same(line, info) or current in (wanted, self._origins[("p", path)]):
                    return  # replaced by the product since, or right already
                if current != expected:
                    self._keep(path, "somebody has changed its owner or mode since")
                    return
                self._permissions[path] = wanted
                if not self.check_mode:
                    through = f"/proc/self/fd/{handle}"
                    with self._changing(path):
                        os.chown(through, wanted[0], wanted[1])
                        if not stat.S_ISLNK(info.st_mode):
                            os.chmod(through, wanted[2])
                self._note(path, "permissions", _words(*current), _words(*wanted))
        except (FileNotFoundError, NotADirectoryError):
            return  # gone since

    def _attribute(self, line: Line) -> None:
        path, name = line["path"], line["name"]
        try:
            with self._opened(path) as (handle, info):
                through = f"/proc/self/fd/{handle}"
                if not self._same(line, info):
                    return
                try:
                    current: str | None = os.getxattr(through, name).hex()
                except OSError:
                    current = None
                if current == line["before"]:
                    return
                if not self.check_mode:
                    with self._changing(path):
                        if line["before"] is None:
                            os.removexattr(through, name)
                        else:
                            os.setxattr(through, name, bytes.fromhex(line["before"]))
                self._note(path, name, "as the run left it", "absent" if line["before"] is None else "as before")
        except (FileNotFoundError, NotADirectoryError):
            return

    # -- commands ----------------------------------------------------------------------------------------------

    def _setting(self, line: Line) -> None:
        why = self._put_back(line)
        if why:
            self._keep(line["path"], why)
        elif why is not None:
            self._note(line["path"], "setting", json.dumps(line["after"]), json.dumps(line["before"]))

    def _command(self, line: Line) -> None:
        if line["undo"] is None:
            if line["attribute"] == "existence":
                self.stay.append(line["target"])
            return
        self._note(line["target"], line["attribute"], line["after"], line["before"])
        if self.check_mode:
            return
        code, out, err = self._run_command(line["undo"], environ_update={"LC_ALL": "C"})
        if code != 0:
            self.restored.pop()
            words = (err or out).strip()
            self._keep(line["target"], f"{line['attribute']}: {words}", words)
