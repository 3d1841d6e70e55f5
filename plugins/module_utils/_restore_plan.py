# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a backup goes where on a host, what is there already, and what speaks against it.

A manifest may name any path: only what lies in the trees of its own instance is restored by itself, and these may be no
folders of the system. Nothing that is there is overwritten unless it is named.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.atlassian_dc.hardening.plugins.module_utils._backup_manifest import (
    DATABASE,
    INSTALL,
    Manifest,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._discovery_host import is_system_folder
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._systemd import below

OVERWRITE = "atlassian_dc_restore_overwrite"
ABSENT, EMPTY, THERE, DONE = "absent", "empty", "there", "restored already"
NEW = ".atlassian-dc-new"
"""What the name of something ends with until it is whole."""


@dataclass(frozen=True)
class Item:
    """One path that is restored.

    Attributes:
        part: the part that it is in.
        path: where it was and will be.
        state: what is there now: one of `ABSENT`, `EMPTY`, `THERE`, `DONE`.
        mounted: whether a file system of its own is mounted there.

    """

    part: str
    path: str
    state: str
    mounted: bool = False

    @property
    def staging(self) -> str:
        """Folder in which it is restored first, on the same file system."""
        return os.path.join(self.path, NEW) if self.mounted else self.path + NEW


@dataclass(frozen=True)
class Plan:
    """What a restore does.

    Attributes:
        manifest: of the backup.
        items: what is restored.
        database: whether the database is.
        left_out: what of the backup is not, with the reason.
        refused: what speaks against it; nothing is done while there is something.

    """

    manifest: Manifest
    items: tuple[Item, ...]
    database: bool
    left_out: tuple[str, ...]
    refused: tuple[str, ...]

    def lines(self, target: str, first_start: Mapping[str, str] | None = None) -> list[str]:
        """Return it for people.

        Args:
            target: where the database goes, in words.
            first_start: the line, and the tree and path of its file, that has the product look for what does not fit
                at its first start.

        """
        manifest = self.manifest
        told = [
            f"backup {manifest.backup} of {manifest.key} ({manifest.product} {manifest.version or '?'}), made on"
            f" {manifest.host}, {manifest.total_bytes >> 20} MiB"
        ]
        told += [f"restore {item.path} (part {item.part}): {item.state}" for item in self.items]
        if self.database:
            told.append(f"restore the database into {target}")
        told += [f"leave out {words}" for words in self.left_out]
        if manifest.snapshot is not None and first_start:
            file = os.path.join(folder_of(manifest, first_start["tree"]) or "", first_start["path"])
            told.append(
                f"before the first start, by hand: {first_start['line']} in {file}, and take it out later: database and"
                f" files are up to {manifest.snapshot.seconds:g} seconds apart"
            )
        return [*told, *(f"REFUSED: {words}" for words in self.refused)]


def folder_of(manifest: Manifest, tree: str) -> str | None:
    """Return where a tree of product data was, None where there was none.

    Args:
        manifest: of the backup, which does not name a shared home that lies in the home.
        tree: ``install``, ``home`` or ``shared_home``.

    """
    told: str | None = getattr(manifest.instance, f"{tree}_dir")
    for item in manifest.needed:
        if told is None and item.tree == tree and item.place and item.place.endswith(f"/{item.path}"):
            told = item.place[: -len(item.path) - 1]
    return told


def state_of(path: str, mounted: bool | None = None) -> tuple[str, bool]:
    """Return what is at a path, and whether a file system is mounted there.

    Args:
        path: where to look.
        mounted: the latter, where it is known.

    """
    try:
        info = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return ABSENT, False
    if not stat.S_ISDIR(info.st_mode):
        return THERE, False
    mounted = os.path.ismount(path) if mounted is None else mounted
    # The latter is in every new file system of ext.
    names = set(os.listdir(path)) - ({NEW, "lost+found"} if mounted else set())
    return (THERE if names else EMPTY), mounted


def number_of(path: str) -> int:
    """Return the number that what is at a path has in its file system."""
    return os.lstat(path).st_ino


def nearest(path: str) -> str:
    """Return the folder that is there and nearest to a path: the path itself, or one above."""
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    return path


def unsafe_parent(path: str) -> str:
    """Return the folder above a path that somebody else than root could swap meanwhile; empty where there is none."""
    folder = os.path.dirname(path)
    while True:
        try:
            info = os.lstat(folder)
        except (FileNotFoundError, NotADirectoryError):
            info = None
        if info is not None:
            others = info.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not info.st_mode & stat.S_ISVTX
            if not stat.S_ISDIR(info.st_mode) or info.st_uid != 0 or others:
                return folder
        if folder == "/":
            return ""
        folder = os.path.dirname(folder)


def plan(
    manifest: Manifest,
    parts: Collection[str] | None,
    overwrite: Collection[str],
    instances: Iterable[Mapping[str, Any]],
    done: Mapping[str, int],
) -> Plan:
    """Return what a restore does on this host.

    Args:
        manifest: of the backup.
        parts: only these; all where None.
        overwrite: parts and paths that may be replaced although something is there.
        instances: those of the host, as discovery describes them.
        done: paths that an earlier try of the same backup has put in place, with the numbers that they have there.

    """
    refused = [
        f"{instance['name']} runs: stop {instance.get('unit') or 'it'} first"
        for instance in instances
        if instance.get("running") and _same(instance, manifest)
    ]
    known = [part.part for part in manifest.parts]
    refused += [
        f"the backup has no part {name}; it has {', '.join(known)}" for name in parts or () if name not in known
    ]
    trees = [manifest.instance.install_dir, manifest.instance.home_dir, manifest.instance.shared_home_dir]
    for tree in filter(None, trees):
        if is_system_folder(tree):
            refused.append(f"{tree} belongs to the system and cannot be a folder of {manifest.instance.name}")
    install = manifest.instance.install_dir
    items: list[Item] = []
    left_out: list[str] = []
    for part in manifest.parts:
        if part.part == DATABASE:
            continue
        if parts is not None and part.part not in parts:
            left_out.append(f"part {part.part}: not asked for")
            continue
        there: list[str] = []
        for path in part.paths:
            named = bool({part.part, path} & set(overwrite))
            if not any(below(path, tree) for tree in trees if tree) and path not in overwrite:
                left_out.append(f"{path}: lies outside the product's folders; name it in {OVERWRITE} to restore it")
                continue
            state, mounted = state_of(path)
            if path in done and state == THERE and done[path] == number_of(path):
                state = DONE
            items.append(Item(part.part, path, state, mounted))
            if part.part.startswith(INSTALL) and install and below(path, install) and not os.path.isdir(install):
                refused.append(f"{install} is not there: install {manifest.product} {manifest.version or ''} first")
            if state == THERE and not named:
                there.append(path)
            if state == THERE and mounted and named:
                refused.append(f"{path} is a file system of its own and cannot be moved aside: empty it")
            parent = unsafe_parent(items[-1].staging)
            if parent and state != DONE and not part.part.startswith(INSTALL):
                refused.append(
                    f"{parent} can be swapped by others while {path} is restored: chown root:root, chmod go-w"
                )
        if there:
            verb = "is" if len(there) == 1 else "are"
            refused.append(
                f"{', '.join(there)} {verb} there already: name {part.part} in {OVERWRITE} to have that moved aside"
            )
    database = manifest.database is not None and (parts is None or DATABASE in parts) and DATABASE not in done
    if manifest.database is not None and not database:
        left_out.append(f"the database: {DONE if DATABASE in done else 'not asked for'}")
    return Plan(manifest, tuple(items), database, tuple(left_out), tuple(dict.fromkeys(refused)))


def _same(instance: Mapping[str, Any], manifest: Manifest) -> bool:
    """Whether an instance of the host is the one in the backup, by its folders."""
    mine = manifest.instance
    pairs = ((instance.get(name), getattr(mine, name)) for name in ("install_dir", "home_dir", "shared_home_dir"))
    return any(here and here == there for here, there in pairs)
