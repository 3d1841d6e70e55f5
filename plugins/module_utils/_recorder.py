# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Saves the state of everything on the host, before a run changes it.

A run has a folder ``/var/lib/atlassian-dc/runs/<run>`` that only root reaches: ``manifest.jsonl``, to which one line is
added before each change, and ``blobs/``, the contents that were there, named by their hash. The last runs that left
something to take back are kept.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
import stat
import time
from collections.abc import Iterator
from typing import Any

STATE = "/var/lib/atlassian-dc"
KEPT_RUNS = 5
"""Records that are kept. Others go when a run starts its own: first those with nothing to take back, then the oldest"""

MAX_BLOB_BYTES = 16 * 1024 * 1024
"""Longest file content that is saved. What the roles rewrite are configuration files."""

RUN_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z.-]{0,63}")
MANIFEST = "manifest.jsonl"
UNDONE = "undone.jsonl"
Line = dict[str, Any]

RECORD_ARGUMENTS: dict[str, dict[str, Any]] = {
    "record": {"type": "dict", "options": {"run": {"type": "str", "required": True}, "role": {"type": "str"}}},
}
"""Argument spec of every module that changes a host; documented in the ``record`` fragment."""


class RecordError(Exception):
    """The record cannot be written; says why. Nothing was changed, and nothing more can be."""


class TooLargeError(RecordError):
    """Only this one thing cannot be saved."""


# -- what is read --------------------------------------------------------------------------------------------------


def read_lines(path: str) -> Iterator[Any]:
    """Yield the JSON lines of a file; a line that was cut short is passed over, as what it announced was not done."""
    with contextlib.suppress(FileNotFoundError), open(path, "rb") as stream:
        for raw in stream:
            try:
                yield json.loads(raw)
            except ValueError:
                continue


def read_run(folder: str, roles: list[str] | None) -> Iterator[Line]:
    """Yield what a run has recorded and what was not taken back yet, oldest first.

    Args:
        folder: the folder of the run.
        roles: only what these roles changed; None for all.

    """
    undone = list(read_lines(os.path.join(folder, UNDONE)))
    if any(entry["roles"] is None for entry in undone):
        return
    gone = {role for entry in undone for role in entry["roles"]}
    announced: Line | None = None
    role: str | None = None
    for line in read_lines(os.path.join(folder, MANIFEST)):
        if isinstance(line, list):
            names = ("kind", "path", "dev", "ino", "uid", "gid", "mode", "new_uid", "new_gid", "new_mode")
            line = dict(zip(names, line))
        if line["kind"] == "execution":
            role = line["role"]
        elif role not in gone and (roles is None or role in roles):
            line["role"] = role
            # Whether it was refused, only the next line says.
            refused = _refused(line)
            if announced is not None and not (refused and _object(announced) == _object(line)):
                yield announced
            announced = None if refused else line
    if announced is not None:
        yield announced


def begin_of_run(folder: str) -> int | None:
    """Return when a run made its first change, in seconds since 1970; None where its record does not tell."""
    first = next(read_lines(os.path.join(folder, MANIFEST)), None)
    return first["time"] if isinstance(first, dict) and first.get("kind") == "execution" else None


def _object(line: Line) -> tuple[Any, ...]:
    return (line["kind"], *(line.get(key) for key in ("path", "dev", "ino", "name")))


def _refused(line: Line) -> bool:
    """Whether a line says that the change announced before it was refused: nothing is different after it."""
    if line["kind"] == "p":
        return (line["uid"], line["gid"], line["mode"]) == (line["new_uid"], line["new_gid"], line["new_mode"])
    return line["kind"] == "attribute" and line["before"] == line["after"]


# -- what is written -----------------------------------------------------------------------------------------------


class Recorder:
    """The record of one execution of a module.

    Args:
        run: name of the run, the same for all executions of one run of Ansible.
        role: role that makes the changes, so that they can be undone by role.
        state: folder of the records; another one in tests.

    Raises:
        RecordError: the name cannot be that of a run.

    """

    def __init__(self, run: str, role: str | None = None, state: str = STATE) -> None:
        if not RUN_NAME.fullmatch(run):
            raise RecordError(f"'{run}' cannot be the name of a run")
        self.runs = os.path.join(state, "runs")
        self.folder = os.path.join(self.runs, run)
        self.run = run
        self.role = role
        self._manifest: int | None = None

    def prepare(self) -> None:
        """Open the record now, so that a process with fewer rights can go on adding to it."""
        self._open()

    def close(self) -> None:
        """Close the record, safe on the disk."""
        if self._manifest is not None:
            with self._saving():
                os.fsync(self._manifest)
            os.close(self._manifest)
            self._manifest = None

    # -- what is saved -----------------------------------------------------------------------------------------

    def file(self, path: str, info: os.stat_result | None, content: bytes | None, after: bytes | None) -> None:
        """Save a file or link that is about to be written or removed.

        Args:
            path: where it lies, or will.
            info: its ``os.lstat``, None when it is absent.
            content: what is in it, the target of a link.
            after: what will be in it, None when it will be absent.

        """
        before: dict[str, Any] | None = None
        if info is not None:
            before = {
                "type": "link" if stat.S_ISLNK(info.st_mode) else "file",
                "uid": info.st_uid,
                "gid": info.st_gid,
                "mode": stat.S_IMODE(info.st_mode),
                "times": [info.st_atime_ns, info.st_mtime_ns],
                "blob": self._blob(path, content or b""),
            }
        digest = None if after is None else hashlib.sha256(after).hexdigest()
        self._add({"kind": "file", "path": path, "before": before, "after": digest}, durable=True)

    def folder_made(self, path: str) -> None:
        """Note a folder that is about to be made."""
        self._add({"kind": "folder", "path": path}, durable=True)

    def permissions(self, path: str, info: os.stat_result, uid: int, gid: int, mode: int) -> None:
        """Save owner, group and mode of something; one short line each, for trees are large."""
        before = [info.st_uid, info.st_gid, stat.S_IMODE(info.st_mode)]
        self._add(["p", path, info.st_dev, info.st_ino, *before, uid, gid, mode])

    def attribute(self, path: str, descriptor: int, name: str, after: bytes | None) -> None:
        """Save an extended attribute of something that is open."""
        info = os.fstat(descriptor)
        try:
            before: str | None = os.getxattr(f"/proc/self/fd/{descriptor}", name).hex()
        except OSError:
            before = None
        line = {"kind": "attribute", "path": path, "dev": info.st_dev, "ino": info.st_ino, "name": name}
        self._add({**line, "before": before, "after": None if after is None else after.hex()})

    def command(self, target: str, attribute: str, before: str, after: str, undo: list[str] | None) -> None:
        """Note a command that is about to run, what it changes in words, and the one that takes it back."""
        line = {"kind": "command", "target": target, "attribute": attribute, "before": before, "after": after}
        self._add({**line, "undo": undo}, durable=True)

    def setting(self, instance: str, setting: str, before: Any, after: Any) -> None:
        """Note a setting that a product is about to be told, with its values. Never a secret."""
        line = {"kind": "setting", "path": f"{instance}: {setting}", "instance": instance, "setting": setting}
        self._add({**line, "before": before, "after": after}, durable=True)

    # -- how ---------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _saving(self) -> Iterator[None]:
        try:
            yield
        except OSError as exc:
            raise RecordError(
                f"what is there cannot be saved in {self.folder} before it is changed: {exc.strerror or exc}"
            ) from exc

    def _blob(self, path: str, content: bytes) -> str:
        if len(content) > MAX_BLOB_BYTES:
            raise TooLargeError(f"{path!r} is larger than {MAX_BLOB_BYTES} bytes and would not be saved")
        self._open()
        digest = hashlib.sha256(content).hexdigest()
        with self._saving():
            target = os.path.join(self.folder, "blobs", digest)
            if not os.path.exists(target):
                temporary = f"{target}.new"
                with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
                    stream.write(content)
                    stream.flush()
                    os.fsync(stream.fileno())
                os.rename(temporary, target)
        return digest

    def _add(self, line: Any, durable: bool = False) -> None:
        handle = self._open()
        with self._saving():
            text = (json.dumps(line, separators=(",", ":")) + "\n").encode("ascii")
            if os.write(handle, text) != len(text):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            if durable:
                os.fsync(handle)

    def _open(self) -> int:
        """Open the manifest, at the first change of the execution."""
        if self._manifest is None:
            with self._saving():
                os.makedirs(self.runs, mode=0o700, exist_ok=True)
                if not os.path.isdir(self.folder):
                    self._forget_old_runs()  # first, for they may be what fills the disk
                os.makedirs(os.path.join(self.folder, "blobs"), mode=0o700, exist_ok=True)
                path = os.path.join(self.folder, MANIFEST)
                self._manifest = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
                self._end_torn_line(path)
            self._add({"kind": "execution", "role": self.role, "time": int(time.time())})
        return self._manifest

    def _end_torn_line(self, path: str) -> None:
        """Close a line that a full disk or a lost host has cut short, so that it does not swallow the next one."""
        with open(path, "rb") as stream:
            stream.seek(0, os.SEEK_END)
            if stream.tell():
                stream.seek(-1, os.SEEK_END)
                if stream.read(1) != b"\n" and self._manifest is not None:
                    os.write(self._manifest, b"\n")

    def _forget_old_runs(self) -> None:
        runs = sorted(name for name in os.listdir(self.runs) if RUN_NAME.fullmatch(name))
        beyond = len(runs) + 1 - KEPT_RUNS
        if beyond > 0:
            for name in sorted(runs, key=self._is_of_use)[:beyond]:  # within both kinds still the oldest first
                shutil.rmtree(os.path.join(self.runs, name), ignore_errors=True)

    def _is_of_use(self, name: str) -> bool:
        """Whether a run has left something to take back, or may have: what cannot be read counts as such."""
        try:
            return any(True for _line in read_run(os.path.join(self.runs, name), None))
        except (OSError, KeyError, TypeError):
            return True
