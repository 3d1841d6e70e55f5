# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is watched on a host: as rules of AIDE, and as the same rules for a quick look of our own."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ansible_collections.atlassian_dc.hardening.plugins.module_utils._systemd import below

FOLDER = "/etc/atlassian-dc/file-integrity"
STATE = "/var/lib/atlassian-dc-file-integrity"
CONFIGURATION = f"{FOLDER}/aide.conf"
LOOK = f"{FOLDER}/look"
BASELINE = f"{STATE}/baseline.db.gz"
NOW = f"{STATE}/now.db.gz"
FRESH = f"{STATE}/new.db.gz"
REPORT = f"{STATE}/report.txt"

OWN_ROOT = "/etc"
OWN = re.compile(r"/etc/(?:.*/)?[^/]*atlassian-dc")
"""Files of this collection, whichever role has made them."""
_OWN_RULE = "/etc/(.*/)?[^/]*atlassian-dc"
LINKS = re.compile(r"/etc/systemd/system/[^/]+\.(?:wants|requires)(?:/|$)")
"""Which units start at boot is the affair of their roles."""
_LINKS_RULE = r"!/etc/systemd/system/[^/]+\.(wants|requires)(/|$)"
OF_COLLECTION = "file of this collection"

GROUPS = {
    "f": ("AtlassianDcFiles", "ftype+p+u+g+s+m+c+acl+xattrs+sha256"),
    "d": ("AtlassianDcFolders", "ftype+p+u+g+acl+xattrs"),
    "l": ("AtlassianDcLinks", "ftype+l+u+g"),
}
"""What AIDE notes of files, folders and links. Times are noted and told, but alone they are no change."""

KINDS = {stat.S_IFREG: "f", stat.S_IFDIR: "d", stat.S_IFLNK: "l"}
_PLAIN = re.compile(r"[A-Za-z0-9_/~:,=-]")
_NAMEABLE = re.compile(r"[A-Za-z0-9_/~:,=. +-]+")
"""Paths a rule can name. AIDE 0.18 puts a rule with an escaped bracket in the wrong place."""


class Area(NamedTuple):
    """A path that is watched, with all below it.

    Attributes:
        path: a file or folder, links resolved.
        what: what lies there, for people.
        instance: the instance it belongs to, None for what belongs to none.

    """

    path: str
    what: str
    instance: str | None = None


def kind_of(mode: int) -> str:
    """Return ``f``, ``d`` or ``l``, and ``o`` for anything else."""
    return KINDS.get(stat.S_IFMT(mode), "o")


def can_be_named(path: str) -> bool:
    """Whether a rule of AIDE can name a path."""
    return _NAMEABLE.fullmatch(path) is not None


def _escaped(path: str) -> str:
    return "".join(character if _PLAIN.match(character) else f"\\{character}" for character in path)


class Scope:
    """What is watched.

    Args:
        areas: what is watched; the innermost tells what a path is.
        mutable: folders and files that change by themselves; areas in them are watched all the same.

    """

    def __init__(self, areas: Iterable[Area], mutable: Iterable[str] = ()) -> None:
        self.areas = sorted(dict.fromkeys(areas))
        self.roots = [area.path for area in self.areas if not self._inside_another(area.path)]
        self._kept = {
            folder: [area.path for area in self.areas if area.path != folder and below(area.path, folder)]
            for folder in sorted(set(mutable))
        }

    @classmethod
    def of(cls, areas: Sequence[Mapping[str, Any]], mutable: Iterable[str]) -> Scope:
        """Return the scope from the arguments of the module."""
        return cls((Area(area["path"], area["what"], area.get("instance")) for area in areas), mutable)

    def _inside_another(self, path: str) -> bool:
        return any(other.path != path and below(path, other.path) for other in self.areas)

    @property
    def unnameable(self) -> list[str]:
        """Paths no rule can name."""
        return [path for path in (*self.roots, *self._kept) if not can_be_named(path)]

    # ---- as AIDE takes it --------------------------------------------------------------------

    def configuration(self, option: str, header: str) -> str:
        """Return the configuration.

        Args:
            option: what this version of AIDE calls the database it compares with.
            header: first line, a comment.

        """
        lines = [header, *settings(option, BASELINE, FRESH)]
        lines += [self._exclusion(folder, kept) for folder, kept in self._kept.items()]
        lines.append(_LINKS_RULE)
        for rule in [f"{_escaped(root)}(/|$)" for root in self.roots] + [_OWN_RULE]:
            lines += [f"{rule} {kind} {group}" for kind, (group, _attributes) in GROUPS.items()]
        return "\n".join(lines) + "\n"

    @staticmethod
    def _exclusion(folder: str, kept: Sequence[str]) -> str:
        if not kept:
            return f"!{_escaped(folder)}(/|$)"
        above = {path for inner in kept for path in _ancestors(inner, folder)}
        alternatives = [f"{_escaped(path[len(folder) + 1 :])}(/|$)" for path in kept]
        alternatives += [f"{_escaped(path[len(folder) + 1 :])}$" for path in sorted(above - set(kept))]
        return f"!{_escaped(folder)}/(?!({'|'.join(alternatives)}))"

    # ---- as we look ourselves ----------------------------------------------------------------

    def covers(self, path: str) -> bool:
        """Whether a path is watched."""
        if LINKS.match(path):
            return False
        if OWN.match(path):
            return True
        return any(below(path, root) for root in self.roots) and not any(
            self._excluded(path, folder, kept) for folder, kept in self._kept.items()
        )

    @staticmethod
    def _excluded(path: str, folder: str, kept: Sequence[str]) -> bool:
        if not kept:
            return below(path, folder)
        return (
            path != folder
            and below(path, folder)
            and not any(below(path, inner) or below(inner, path) for inner in kept)
        )

    def area_of(self, path: str) -> Area:
        """Return the innermost area a path lies in."""
        holders = [area for area in self.areas if below(path, area.path)]
        innermost = max(holders, key=lambda area: len(area.path), default=None)
        return innermost or Area(path, OF_COLLECTION)

    def walk(self, unreadable: list[tuple[str, str]]) -> Iterator[tuple[str, os.stat_result]]:
        """Yield everything that is watched and there.

        Args:
            unreadable: takes what root may not look at, and why.

        """
        for root in self.roots:
            try:
                info = os.lstat(root)
            except FileNotFoundError:
                continue
            except OSError as exc:
                unreadable.append((root, exc.strerror or str(exc)))
                continue
            if self.covers(root):
                yield root, info
            if stat.S_ISDIR(info.st_mode):
                yield from self._below(root, unreadable, own=False)
        yield from self._below(OWN_ROOT, unreadable, own=True)

    def _below(self, folder: str, unreadable: list[tuple[str, str]], own: bool) -> Iterator[tuple[str, os.stat_result]]:
        pending = [folder]
        while pending:
            current = pending.pop()
            try:
                with os.scandir(current) as entries:
                    found = sorted(entries, key=lambda entry: entry.name)
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as exc:
                unreadable.append((current, exc.strerror or str(exc)))
                continue
            for entry in found:
                covered = self.covers(entry.path)
                folder_itself = entry.is_dir(follow_symlinks=False)
                if folder_itself and (covered or (own and not LINKS.match(entry.path))):
                    pending.append(entry.path)
                if covered and (not own or not any(below(entry.path, root) for root in self.roots)):
                    try:
                        yield entry.path, entry.stat(follow_symlinks=False)
                    except OSError:
                        continue  # gone meanwhile


def _ancestors(path: str, folder: str) -> Iterator[str]:
    while (path := os.path.dirname(path)) != folder:
        yield path


def settings(option: str, before: str, after: str) -> list[str]:
    """Return the lines of a configuration that are no rules.

    Args:
        option: what this version of AIDE calls the database it compares with.
        before: where that lies.
        after: where the new one is written.

    """
    return [
        f"{option}=file:{before}",
        f"database_out=file:{after}",
        "gzip_dbout=yes",
        "report_url=stdout",
        "report_ignore_changed_attrs=m+c",
        *(f"{group} = {attributes}" for group, attributes in GROUPS.values()),
    ]


def just_these(option: str, paths: Iterable[str], before: str, after: str) -> str:
    """Return a configuration for these paths and nothing below them."""
    rules = [
        f"={_escaped(path)}$ {kind} {group}" for path in sorted(paths) for kind, (group, _attributes) in GROUPS.items()
    ]
    return "\n".join([*settings(option, before, after), *rules]) + "\n"
