# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the audit log files of a product prove about the coverage of its audit log.

Two kinds of entries do. One that is only written from a certain level on proves that level for its moment. And a change
of the coverage is an entry itself, which names area and level. The newest of both wins.

What users have typed stands in these files: nothing of an entry but its action, its level and its time is passed on.
"""

from __future__ import annotations

import fnmatch
import json
import os
import stat
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

LEVELS = ("off", "base", "advanced", "full")
"""From what writes nothing to what writes everything."""

CONFIG_UPDATED = "atlassian.audit.event.action.audit.config.updated"
COVERAGE_CHANGED = "atlassian.audit.event.change.coverage.level"

MAX_NAMES = 10_000
MAX_FILES = 5
MAX_BYTES = 16 * 1024 * 1024
"""How much is read of the newest files together."""
MAX_LINE = 1024 * 1024


class AuditLogError(Exception):
    """Audit log files that cannot be read; says which and why."""


@dataclass(frozen=True)
class Coverage:
    """What was found.

    Attributes:
        level: the level proven, None when no entry proves one.
        stated: whether it is exactly that level, as a change of the coverage says, and not perhaps a higher one.
        when: when that was, in seconds since 1970.
        file: name of the file that proves it.
        entries: how many entries were looked at.
        bad: how many lines were none.
        files: how many files were looked into.

    """

    level: str | None = None
    stated: bool = False
    when: float = 0.0
    file: str = ""
    entries: int = 0
    bad: int = 0
    files: int = 0


def covers(level: str, wanted: str) -> bool:
    """Whether a level writes what another one does."""
    return LEVELS.index(level) >= LEVELS.index(wanted)


def area_name(name: str) -> str:
    """Return the name of an area as REST writes it: entries of the log have ``END_USER_ACTIVITY``."""
    return name.strip().lower().replace("_", "-")


def merge_coverage(current: Mapping[str, str], wanted: Mapping[str, str]) -> dict[str, str]:
    """Return the coverage that writes all that is written now, and all that is wanted.

    Args:
        current: level by area, as the product has it.
        wanted: the least level by area.

    Returns:
        Level by area, of all areas of both, under the names REST has for them.

    Raises:
        ValueError: a level that there is none of; says where.

    """
    merged: dict[str, str] = {}
    for origin, coverage in (("current", current), ("wanted", wanted)):
        for area, level in coverage.items():
            name, found = area_name(str(area)), str(level).strip().lower()
            if found not in LEVELS:
                raise ValueError(
                    f"{origin}: {name}: level must be one of {', '.join(LEVELS)}, found {str(level)[:60]!r}"
                )
            if name not in merged or covers(found, merged[name]):
                merged[name] = found
    return merged


def read_coverage(folder: str, pattern: str, area: str, level: str, actions: Collection[str]) -> Coverage:
    """Return what the newest files prove about the coverage of an area.

    Args:
        folder: where the files lie.
        pattern: shell pattern of their names.
        area: area of the coverage, such as ``security``.
        level: level that is asked for.
        actions: keys of the actions that are only written from that level on.

    Raises:
        AuditLogError: there are no files, or none can be read.

    """
    names = _newest(folder, pattern)
    entries = bad = files = 0
    left = MAX_BYTES
    refused = ""
    for name in names[:MAX_FILES]:
        try:
            data, whole = _tail(os.path.join(folder, name), left)
        except OSError as exc:
            refused = refused or f"{os.path.join(folder, name)}: {exc.strerror or exc}"
            continue
        files += 1
        left -= len(data)
        for entry in _entries(data, whole):
            if entry is None:
                bad += 1
                continue
            entries += 1
            found = _proves(entry, area, actions)
            if found is not None:
                stated = found != ""
                return Coverage(found or level, stated, _moment(entry), name, entries, bad, files)
        if left <= 0:
            break
    if not files:
        raise AuditLogError(refused or f"{folder}: there is no file {pattern}")
    return Coverage(entries=entries, bad=bad, files=files)


def _newest(folder: str, pattern: str) -> list[str]:
    """Return the names of the regular files, newest first."""
    found: list[tuple[float, str]] = []
    try:
        with os.scandir(folder) as listing:
            for count, entry in enumerate(listing):
                if count >= MAX_NAMES:
                    raise AuditLogError(f"{folder}: more than {MAX_NAMES} files")
                if fnmatch.fnmatchcase(entry.name, pattern):
                    info = entry.stat(follow_symlinks=False)
                    if stat.S_ISREG(info.st_mode):
                        found.append((info.st_mtime, entry.name))
    except OSError as exc:
        raise AuditLogError(f"{folder}: {exc.strerror}") from exc
    return [name for _time, name in sorted(found, reverse=True)]


def _tail(path: str, most: int) -> tuple[bytes, bool]:
    """Return the end of a file, and whether that is all of it."""
    # The service account owns the folder: what was a file may be a link or a pipe by now.
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as stream:
        info = os.fstat(stream.fileno())
        if not stat.S_ISREG(info.st_mode):
            raise OSError(f"{path}: not a regular file")
        start = max(info.st_size - most, 0)
        stream.seek(start)
        return stream.read(most), start == 0


def _entries(data: bytes, whole: bool) -> Iterator[dict[str, Any] | None]:
    """Yield the entries from the last to the first, None for a line that is none."""
    lines = data.split(b"\n")
    # The last line may be half written, the first one may be cut off by the limit.
    last = lines.pop()
    if last and _entry(last) is not None:
        lines.append(last)
    for line in reversed(lines if whole else lines[1:]):
        if line.strip():
            yield _entry(line)


def _entry(line: bytes) -> dict[str, Any] | None:
    if len(line) > MAX_LINE:
        return None
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(entry, dict) or not isinstance(entry.get("auditType"), dict):
        return None
    return entry


def _moment(entry: dict[str, Any]) -> float:
    timestamp = entry.get("timestamp")
    seconds = timestamp.get("epochSecond") if isinstance(timestamp, dict) else None
    known = isinstance(seconds, (int, float)) and not isinstance(seconds, bool) and 0 <= seconds < 1e11
    return float(seconds) if known and seconds is not None else 0.0


def _proves(entry: dict[str, Any], area: str, actions: Collection[str]) -> str | None:
    """Return the level an entry states, "" where it proves the one asked for, None where it proves nothing."""
    action = entry["auditType"].get("actionI18nKey")
    if isinstance(action, str) and action in actions:
        return ""
    changes = entry.get("changedValues")
    if action != CONFIG_UPDATED or not isinstance(changes, list):
        return None
    for change in changes:
        if isinstance(change, dict) and change.get("i18nKey") == COVERAGE_CHANGED:
            changed_area, _colon, changed_level = str(change.get("to")).lower().partition(":")
            if area_name(changed_area) == area_name(area) and changed_level.strip() in LEVELS:
                return changed_level.strip()
    return None
