# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What differs from a baseline, and which of it a run may take into the baseline because it has made it itself.

A run vouches for what it did and for nothing else. It takes over a new content only where the baseline has the very
content that the run found, so that what somebody else had changed before it stays a finding; the same with owners and
modes. Where a run has changed the mode of a file with a foreign content, the mode is taken over and the content is not.
"""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.atlassian_dc.hardening.plugins.module_utils._integrity_db import Database, State
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._integrity_scope import Scope, kind_of
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._systemd import below

CONTENT = ("size", "mtime", "sha256", "lname")
PERMISSIONS = ("perm", "uid", "gid")
LISTS = ("acl", "xattrs")
HASH_BYTES = 256 * 1024 * 1024
"""How much is read at once to tell new hashes; of what is beyond, the next check of AIDE knows them."""
_PART = 1024 * 1024
_FOLDER = "folder"


@dataclass
class Difference:
    """A path that is not as in the baseline.

    Attributes:
        path: where it lies.
        before: as in the baseline, None where it was not there.
        now: as it is, None where it is gone.

    """

    path: str
    before: State | None
    now: State | None

    @property
    def verb(self) -> str:
        """What happened, for people."""
        return "new" if self.before is None else "gone" if self.now is None else "changed"


def state_of(info: os.stat_result, path: str) -> State:
    """Return what the file system says of a path, without reading files."""
    kind = kind_of(info.st_mode)
    of_file = (info.st_size, int(info.st_mtime), int(info.st_ctime)) if kind == "f" else (0, 0, 0)
    target = os.readlink(path) if kind == "l" else None
    return State(kind, stat.S_IMODE(info.st_mode), info.st_uid, info.st_gid, *of_file, None, target)


def times(state: State) -> tuple[int, int, int]:
    """Return what changes with the content of a file."""
    return state.size, state.mtime, state.ctime


class Look:
    """Compares the host with a baseline, quickly: only what may have changed is read.

    Args:
        scope: what is watched.
        baseline: the good state.
        last: what the last check of AIDE has seen, which has read all files; None where there is none.

    """

    def __init__(self, scope: Scope, baseline: Database, last: Database | None) -> None:
        self.scope = scope
        self.baseline = baseline
        self.last = last
        self.unreadable: list[tuple[str, str]] = []
        self._budget = HASH_BYTES

    def differences(self) -> list[Difference]:
        """Return what is not as in the baseline, sorted by path."""
        found: list[Difference] = []
        seen: set[str] = set()
        for path, info in self.scope.walk(self.unreadable):
            seen.add(path)
            before = self.baseline.state(path) if path in self.baseline.lines else None
            try:
                now = state_of(info, path)
            except OSError:
                continue  # gone meanwhile
            if before is None and now.kind == "o":
                continue
            now = self._known(path, before, now)
            if before is None or differ(before, now):
                found.append(Difference(path, before, now))
        for path in self.baseline.lines:
            if path not in seen and self.scope.covers(path) and not self._unseen(path):
                found.append(Difference(path, self.baseline.state(path), None))
        return sorted(found, key=lambda difference: difference.path)

    def state(self, path: str) -> State | None:
        """Return what is at a path now, None where nothing is."""
        try:
            now = state_of(os.lstat(path), path)
        except OSError:
            return None
        return self._known(path, self.baseline.state(path) if path in self.baseline.lines else None, now)

    def _unseen(self, path: str) -> bool:
        """Whether a path may be there, in a folder that root may not look at."""
        return any(below(path, what) for what, _why in self.unreadable)

    def _known(self, path: str, before: State | None, now: State) -> State:
        """Return the state with the hash of a file, from where it is known."""
        if now.kind != "f":
            return now
        if self.last is not None and path in self.last.lines:
            last = self.last.state(path)
            if last.kind == "f" and times(last) == times(now):
                # Read by AIDE, and not touched since; it also knows access lists.
                return now._replace(sha256=last.sha256, more=last.more)
        if before is not None and before.kind == "f" and times(before) == times(now):
            return now._replace(sha256=before.sha256)
        return now._replace(sha256=self._read(path, now.size))

    def _read(self, path: str, size: int) -> str | None:
        if size > self._budget:
            return None
        self._budget -= size
        digest = hashlib.sha256()
        try:
            with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as stream:
                while part := stream.read(_PART):
                    digest.update(part)
        except OSError as exc:
            self.unreadable.append((path, exc.strerror or str(exc)))
            return None
        return digest.hexdigest()


def differ(before: State, now: State) -> bool:
    """Whether something is not as before. Times alone are no change, and what was not looked at is none either."""
    if (before.kind, before.target) != (now.kind, now.target):
        return True
    if before.kind != "l" and (before.mode, before.uid, before.gid) != (now.mode, now.uid, now.gid):
        return True
    if None not in (before.more, now.more) and before.more != now.more:
        return True
    # A file too large to be read now, or that cannot be, is one of another content until somebody has read it.
    return before.sha256 != now.sha256


# ---- what a run has done itself ----------------------------------------------------------------------------


@dataclass
class Deed:
    """What a run has done to a path.

    Attributes:
        contents: hash of each content it replaced and of the one it wrote, None for absent.
        before: owner, group and mode as the run found them.
        after: as it set them; None where it wrote the whole file.
        lists: whether it changed the access list.
        made: whether it made the folder.

    """

    contents: list[tuple[str | None, str | None]] = field(default_factory=list)
    before: tuple[int, int, int] | None = None
    after: tuple[int, int, int] | None = None
    lists: bool = False
    made: bool = False

    @property
    def unbroken(self) -> bool:
        """Whether nobody has written between two contents of the run."""
        return all(earlier[1] == later[0] for earlier, later in zip(self.contents, self.contents[1:]))


def deeds(lines: Iterable[Mapping[str, Any]], scope: Scope, seen: Iterable[str] | None) -> dict[str, Deed]:
    """Return what a run has done to watched paths.

    Args:
        lines: its record.
        scope: what is watched.
        seen: paths that the controller has seen the run write; a record on the host can be forged. None where it does
            not know them.

    """
    found: dict[str, Deed] = {}
    written = None if seen is None else set(seen)
    for line in lines:
        path = line.get("path")
        if line["kind"] not in ("file", "folder", "p", "attribute") or not path or not scope.covers(path):
            continue
        if line["kind"] in ("file", "folder") and written is not None and not _announced(path, written):
            continue
        deed = found.setdefault(path, Deed())
        if line["kind"] == "file":
            before = line["before"]
            deed.contents.append((before and before["blob"], line["after"]))
            if before and deed.before is None:
                deed.before = (before["uid"], before["gid"], before["mode"])
            deed.after = None
        elif line["kind"] == "p":
            if deed.before is None:
                deed.before = (line["uid"], line["gid"], line["mode"])
            deed.after = (line["new_uid"], line["new_gid"], line["new_mode"])
        else:
            deed.lists |= line["kind"] == "attribute"
            deed.made |= line["kind"] == "folder"
    return found


def _announced(path: str, written: set[str]) -> bool:
    """Whether a path was written, or is a folder made for one that was."""
    return path in written or any(other.startswith(f"{path}/") for other in written)


def content_of(state: State | None) -> str | None:
    """Return the hash of what a path holds, in the way the recorder tells it."""
    if state is None:
        return None
    if state.kind == "l":
        return hashlib.sha256(os.fsencode(state.target or "")).hexdigest()
    return state.sha256 if state.kind == "f" else _FOLDER


def vouched(deed: Deed, before: State | None, now: State | None) -> set[str] | None:
    """Return the columns of a path that a run may take over, because it has made them what they are.

    Args:
        deed: what the run did to it.
        before: as in the baseline.
        now: as it is.

    Returns:
        Names of columns, none of them where it vouches for nothing; None for the path as a whole, which has come or
        gone.

    """
    wrote = bool(deed.contents) and deed.unbroken and deed.contents[-1][1] == content_of(now)
    if before is None and now is None:
        return set()
    if now is None:
        return None if wrote and deed.contents[0][0] == content_of(before) else set()
    if before is None:
        made = deed.made if now.kind == "d" else wrote and deed.contents[0][0] is None
        return None if made else set()
    columns: set[str] = set()
    if wrote and deed.contents[0][0] == content_of(before):
        columns |= {*CONTENT, "ctime"}
    owner = (now.uid, now.gid, now.mode)
    if deed.before == (before.uid, before.gid, before.mode) and deed.after in (None, owner):
        columns |= {*PERMISSIONS, "acl"}
    if deed.lists:
        columns.add("acl")
    # The time of the last change of anything tells the quick look that there is nothing to read.
    if columns and content_of(before) == content_of(now):
        columns.add("ctime")
    return columns


def renew(baseline: Database, fresh: Database, done: Mapping[str, Deed]) -> list[str]:
    """Take into a baseline what a run has done itself; return the paths that it now says something else of.

    Args:
        baseline: is changed.
        fresh: what AIDE says of these paths now.
        done: what the run has done.

    """
    renewed = []
    for path, deed in sorted(done.items()):
        before = baseline.state(path) if path in baseline.lines else None
        now = fresh.state(path) if path in fresh.lines else None
        columns = vouched(deed, before, now)
        if (columns is None or columns) and baseline.take(fresh, path, columns):
            renewed.append(path)
    return renewed


def words(state: State | None, owner: Callable[[int, int], str]) -> str:
    """Return a state for people: hash, owner, mode and time.

    Args:
        state: of a path, None where it is absent.
        owner: names user and group.

    """
    if state is None:
        return "absent"
    parts = [f"{owner(state.uid, state.gid)} {state.mode:04o}"]
    if state.kind == "f":
        when = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(state.mtime))
        parts = [f"sha256 {state.sha256 or 'not read yet'}", *parts, when]
    elif state.kind == "l":
        parts = [f"link to {state.target!r}", *parts]
    elif state.kind == "d":
        parts = ["folder", *parts]
    else:
        parts = ["neither file, folder nor link", *parts]
    return ", ".join(parts)
