# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logs that come with a double: times, people and the audit log all products share."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from . import tree

# Last day of the logs that come with a double: files of a running instance are newer.
LAST_DAY = datetime(2026, 11, 20, 18, 0, tzinfo=timezone.utc)
USERS = ("anna", "bert", "carla", "admin")


def moments(count: int) -> Iterator[tuple[int, datetime]]:
    """Yield numbers and times, the last of them on the last day."""
    for number in range(count):
        yield number, LAST_DAY - timedelta(minutes=7 * (count - number))


def stamp(moment: datetime, number: int) -> str:
    """Return a time as log4j writes it."""
    return moment.strftime("%Y-%m-%d %H:%M:%S,") + f"{number * 37 % 1000:03d}"


def address(number: int) -> str:
    """Return somebody's address."""
    return f"192.0.2.{number % 200 + 1}"


def session(number: int) -> str:
    """Return a session, as the products shorten it in their logs."""
    return f"{number * 7919 % 1000000 + 46656:06x}"[:6]


def write(path: Path, lines: Sequence[str]) -> None:
    """Write a log."""
    tree.write(path, "".join(f"{line}\n" for line in lines))


def forwarded_in_audit(where: str, together: str) -> dict[str, str]:
    """Return where a script writes X-Forwarded-For in audit entries; `together` is how it stands with the peer."""
    if where not in ("attribute", "source"):
        raise SystemExit(f"audit_forwarded={where}: there are attribute and source.")
    attribute = (
        'with forwarded context audit.extra {audit.extra},{"name":"Load balancer/proxy IP address",'
        '"nameI18nKey":"atlassian.audit.event.attribute.forwarder","value":"{forwarded|json}"}'
    )
    in_source = where == "source"
    return {
        "AUDIT_SOURCE": together if in_source else "{peer}",
        "AUDIT_FORWARDER": "" if in_source else attribute,
    }


def audit(
    folder: Path,
    system: str,
    audit_type: Mapping[str, str],
    affected: Sequence[Sequence[Mapping[str, str]]],
    author: Mapping[str, str],
) -> None:
    """Write the audit logs of three days: one line an hour, each with the next of the affected objects."""
    for days in range(3):
        day = LAST_DAY - timedelta(days=days)
        lines = []
        for number in range(20):
            event: dict[str, Any] = {
                "affectedObjects": affected[number % len(affected)],
                "auditType": audit_type,
                "author": author,
                "changedValues": [],
                "extraAttributes": [],
                "method": "Browser",
                "source": f"192.0.2.{number + 1}",
                "system": system,
                "timestamp": {"epochSecond": int(day.replace(hour=number).timestamp()), "nano": 0},
                "version": "1.0",
            }
            lines.append(json.dumps(event, separators=(",", ":")))
        write(folder / f"{day:%Y%m%d}.00000.audit.log", lines)
