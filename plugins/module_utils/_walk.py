# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Walks a tree of files once, safely while others write to it.

Folders are opened relative to the descriptor of their parent and never through a symbolic link, so nobody can lead the
walk out of the tree. It needs memory for the folders waiting on the way down only, and a bounded number of descriptors.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Container, Iterable
from typing import Any, Callable

from ansible_collections.atlassian_dc.hardening.plugins.module_utils._as_account import DENIED

FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK

OPEN_FOLDERS = 64
"""Most levels kept open at once; higher ones are opened again on the way back."""

MAX_LEVELS = 512
"""Deepest folder that is entered. Nothing of a product lies near it; who makes a deeper one wants to exhaust memory."""

ANOTHER_FILE_SYSTEM = "it is another file system"

VANISHED = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ESTALE)
"""What the system says about an entry that was removed or replaced since it was listed."""

NETWORK_TYPES = frozenset(
    (
        "9p",
        "afs",
        "beegfs",
        "ceph",
        "ceph-fuse",
        "cifs",
        "coda",
        "davfs",
        "gcsfuse",
        "glusterfs",
        "gpfs",
        "juicefs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs4",
        "pvfs2",
        "rclone",
        "s3fs",
        "smb3",
        "smbfs",
        "sshfs",
    )
)
"""File system types whose files lie on another machine, those of FUSE without their ``fuse.``."""


class Mounts:
    """The mount points of the host, as the kernel lists them."""

    def __init__(self, table: str = "/proc/self/mountinfo") -> None:
        self.types: dict[str, str] = {}
        self.below: dict[str, set[str]] = {}
        try:
            with open(table, "rb") as handle:
                lines = handle.read().splitlines()
        except OSError:
            lines = []
        for line in lines:
            fields, _dash, source = line.partition(b" - ")
            parts = fields.split()
            if len(parts) < 5 or not source:
                continue
            raw = re.sub(rb"\\([0-7]{3})", lambda found: bytes([int(found.group(1), 8)]), parts[4])
            point = os.fsdecode(raw)
            self.types[point] = os.fsdecode(source.split()[0])
            folder, name = os.path.split(point)
            self.below.setdefault(folder, set()).add(name)

    def type_of(self, path: str) -> str:
        """Return the type of the file system a path lies on, "" when unknown."""
        while path not in self.types:
            parent = os.path.dirname(path)
            if parent == path:
                return ""
            path = parent
        return self.types[path]

    def point_of(self, path: str) -> str:
        """Return the mount point of the file system a path lies on."""
        while path not in self.types and path != "/":
            path = os.path.dirname(path)
        return path

    def network_type(self, path: str) -> str:
        """Return the type of the file system if it lies on another machine, else ""."""
        kind = self.type_of(path)
        return kind if kind.removeprefix("fuse.") in NETWORK_TYPES else ""

    def served(self, path: str) -> bool:
        """Whether a server or another program decides what root may do on the file system of a path."""
        return bool(self.network_type(path)) or self.type_of(path).startswith("fuse")


class Folder:
    """A folder being looked at.

    Attributes:
        fd: its descriptor.
        path: where it lies.
        state: what the visitor attached to it.
        info: its ``os.stat_result``.
        mounted: names in it that are mount points and are not to be looked at.

    """

    __slots__ = ("fd", "info", "mounted", "name", "path", "pending", "state")

    def __init__(
        self, fd: int, path: str, name: str, state: Any, info: os.stat_result, mounted: frozenset[str]
    ) -> None:
        self.fd = fd
        self.path = path
        self.name = name
        self.state = state
        self.info = info
        self.mounted = mounted
        self.pending: list[Child] | None = None


class Child:
    """A folder found while its parent was looked at; to be entered later."""

    __slots__ = ("device", "inode", "name", "state")

    def __init__(self, name: str, state: Any, info: os.stat_result) -> None:
        self.name = name
        self.state = state
        self.device = info.st_dev
        self.inode = info.st_ino


class Walk:
    """One walk over one tree.

    Args:
        root: absolute path of the tree.
        mounts: the host's mount points.
        cross_file_systems: enter other file systems too, network ones included.
        unread: called with the state and path of a folder that could not or may not be entered, and why.
        denied: called with the state and path of a folder that may not be opened, the descriptor of its parent and its
            name there; returns whether it was dealt with.
        refused: numbers of devices where ``denied`` is asked before a folder is opened; may grow during the walk.
        within: descriptor of a folder and the name of the root in it, to open the root by instead of its path.

    """

    def __init__(
        self,
        root: str,
        mounts: Mounts,
        cross_file_systems: bool,
        unread: Callable[[Any, str, str], None],
        denied: Callable[[Any, str, int, str], bool] | None = None,
        within: tuple[int, str] | None = None,
        refused: Container[int] = (),
    ) -> None:
        self.root = root
        self.denied = denied
        self.refused = refused
        self.within = within
        self.mounts = mounts
        self.cross = cross_file_systems
        self.unread = unread
        self._stack: list[Folder] = []

    def _mounted(self, path: str) -> frozenset[str]:
        return frozenset() if self.cross else frozenset(self.mounts.below.get(path, ()))

    def _open_root(self) -> int:
        if self.within is None:
            return os.open(self.root, FOLDER_FLAGS)
        parent, name = self.within
        return os.open(name, FOLDER_FLAGS, dir_fd=parent)

    def run(self, state: Any, visit: Callable[[Folder], Iterable[Child]]) -> None:
        """Visit every folder of the tree, parents first; ``visit`` returns the folders to enter next.

        Raises:
            OSError: the root itself cannot be opened.

        """
        root_fd = self._open_root()
        stack = self._stack
        stack.append(Folder(root_fd, self.root, "", state, os.fstat(root_fd), self._mounted(self.root)))
        try:
            while stack:
                folder = stack[-1]
                if folder.pending is None:
                    # Sorted, so that two walks over the same tree report in the same order.
                    folder.pending = sorted(visit(folder), key=lambda child: child.name, reverse=True)
                if not folder.pending:
                    if folder.fd >= 0:
                        os.close(folder.fd)
                        folder.fd = -1
                    stack.pop()
                    continue
                if folder.fd < 0 and not self._reopen(folder):
                    for child in folder.pending:
                        self.unread(child.state, f"{folder.path}/{child.name}", "it was moved during the check")
                    folder.pending = []
                    continue
                self._enter(folder, folder.pending.pop())
        finally:
            for folder in stack:
                if folder.fd >= 0:
                    os.close(folder.fd)
            stack.clear()

    def _enter(self, parent: Folder, child: Child) -> None:
        path = f"{parent.path}/{child.name}"
        if child.device != parent.info.st_dev and not self.cross:
            self.unread(child.state, path, ANOTHER_FILE_SYSTEM)
            return
        if len(self._stack) >= MAX_LEVELS:
            self.unread(child.state, path, f"it lies more than {MAX_LEVELS} folders deep")
            return
        if child.device in self.refused and self.denied and self.denied(child.state, path, parent.fd, child.name):
            return
        try:
            fd = os.open(child.name, FOLDER_FLAGS, dir_fd=parent.fd)
        except OSError as exc:
            if exc.errno in DENIED and self.denied and self.denied(child.state, path, parent.fd, child.name):
                return
            if exc.errno not in VANISHED:
                self.unread(child.state, path, exc.strerror or str(exc))
            return
        info = os.fstat(fd)
        if (info.st_dev, info.st_ino) != (child.device, child.inode):
            os.close(fd)
            self.unread(child.state, path, "it was replaced during the check")
            return
        self._stack.append(Folder(fd, path, child.name, child.state, info, self._mounted(path)))
        if len(self._stack) > OPEN_FOLDERS:
            far = self._stack[-OPEN_FOLDERS - 1]
            if far.fd >= 0:
                os.close(far.fd)
                far.fd = -1

    def _reopen(self, folder: Folder) -> bool:
        """Open a folder again from the root down; False when it is no longer the same."""
        fd = -1
        try:
            fd = self._open_root()
            for level in self._stack[1 : self._stack.index(folder) + 1]:
                deeper = os.open(level.name, FOLDER_FLAGS, dir_fd=fd)
                os.close(fd)
                fd = deeper
            info = os.fstat(fd)
        except OSError:
            if fd >= 0:
                os.close(fd)
            return False
        if (info.st_dev, info.st_ino) != (folder.info.st_dev, folder.info.st_ino) or not stat.S_ISDIR(info.st_mode):
            os.close(fd)
            return False
        folder.fd = fd
        return True
