# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which backups are kept: whole ones only, so that the snapshots of one live and go together."""

from __future__ import annotations

import calendar
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.atlassian_dc.hardening.plugins.module_utils._backup_manifest import MANIFEST, TAG, is_backup

PERIODS = {"daily": "%Y-%j", "weekly": "%G-%V", "monthly": "%Y-%m"}
"""What the days of one period have in common."""


@dataclass
class Stored:
    """The snapshots of one backup.

    Attributes:
        name: the backup: the time it was begun at.
        parts: numbers of its snapshots by part.
        node: the host that makes or has made it, as far as it has said so.

    """

    name: str
    parts: dict[str, list[str]] = field(default_factory=dict)
    node: str = ""

    @property
    def whole(self) -> bool:
        """Whether it has a manifest, which is written last."""
        return MANIFEST in self.parts

    @property
    def snapshots(self) -> list[str]:
        """Numbers of all its snapshots, that of the manifest first: without it, the others are no backup."""
        return sorted(
            (number for part, numbers in self.parts.items() for number in numbers),
            key=lambda number: number not in self.parts.get(MANIFEST, []),
        )


def time_of(backup: str) -> float:
    """Return when a backup was begun, in seconds since 1970."""
    return float(calendar.timegm(time.strptime(backup, "%Y%m%dT%H%M%SZ")))


def stored(snapshots: Iterable[Mapping[str, Any]], key: str) -> list[Stored]:
    """Return the backups of an instance in a repository, oldest first; whatever else is there is passed over.

    Args:
        snapshots: as restic lists them.
        key: of the instance.

    """
    found: dict[str, Stored] = {}
    for item in snapshots:
        tags = [str(tag) for tag in item.get("tags") or ()]
        told = dict(tag.split("=", 1) for tag in tags if "=" in tag)
        name = told.get("backup", "")
        if TAG not in tags or told.get("instance") != key or not is_backup(name) or "part" not in told:
            continue
        try:
            time_of(name)
        except ValueError:
            continue
        backup = found.setdefault(name, Stored(name))
        backup.parts.setdefault(told["part"], []).append(str(item["id"]))
        backup.node = told.get("node", backup.node)
    return [found[name] for name in sorted(found)]


def kept(backups: Sequence[str], rule: Mapping[str, int]) -> set[str]:
    """Return which of some backups are kept.

    Args:
        backups: names of whole backups.
        rule: how many days, weeks and months are kept, the newest backup of each; nothing at all keeps every one.

    """
    if not any(rule.get(period) for period in PERIODS):
        return set(backups)
    found: set[str] = set(sorted(backups)[-1:])
    for period, form in PERIODS.items():
        newest: dict[str, str] = {}
        for name in sorted(backups):
            newest[time.strftime(form, time.gmtime(time_of(name)))] = name
        count = max(int(rule.get(period) or 0), 0)
        found |= set(sorted(newest.values(), reverse=True)[:count])
    return found
