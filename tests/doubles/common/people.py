# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Users and groups of a double's database: a few of each kind an audit looks for, and as many more as are asked for."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

# Its members are administrators too, for it is a member of the administrators' group.
NESTED = "platform-team"


def user(number: int, name: str, groups: list[str], **differences: Any) -> dict[str, Any]:
    """Return a row of the users; `number` makes its keys."""
    row: dict[str, Any] = {
        "name": name,
        "key": f"JIRAUSER{10000 + number}",
        "id": f"2c9580827d4a06e8017d4a07c{number:07x}",
        "number": number + 1,
        "display": name.capitalize(),
        "email": f"user{number}@example.com",
        "active": True,
        "lastLoginMillis": 1795194000000,
        "grants": "",
        "groups": groups,
    }
    row.update(differences)
    millis = row["lastLoginMillis"]
    when = None if millis is None else datetime.fromtimestamp(millis / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    return {**row, "lastLogin": when}


def users(admin: str, member: str, admins: str, everybody: str, more: int, teams: int) -> list[dict[str, Any]]:
    """Return all users.

    Args:
        admin: name of the administrator.
        member: name of a user who is none.
        admins: group of the administrators.
        everybody: group of all.
        more: how many more users.
        teams: how many teams these are spread over, three each.

    """
    odd = 'zoë o\'neil "q" <i>&amp;%2F+{name}'
    rows = [
        user(0, admin, [admins, everybody], display="Administrator"),
        user(1, member, [everybody]),
        user(2, "bert", [NESTED, everybody]),
        user(3, "carla", [admins, everybody], active=False, lastLoginMillis=1782806400000),
        user(4, "dora", [everybody], lastLoginMillis=None),
        user(5, "test", [everybody]),
        user(6, odd, [everybody], display=odd),
    ]
    for number in range(len(rows), len(rows) + more):
        named = [f"team-{(number * step) % teams:03d}" for step in (1, 7, 31)] if teams else []
        rows.append(user(number, f"user{number:05d}", [everybody, *dict.fromkeys(named)]))
    return rows


def groups(admins: str, everybody: str, teams: int) -> list[dict[str, Any]]:
    """Return all groups; `grants` is what members may do, `groups` are those a group is a member of."""
    rows = [
        {"name": admins, "grants": "sysadmin", "groups": []},
        {"name": everybody, "grants": "user", "groups": []},
        {"name": NESTED, "grants": "", "groups": [admins]},
        {"name": "contractors", "grants": "", "groups": []},
    ]
    return rows + [{"name": f"team-{number:03d}", "grants": "", "groups": []} for number in range(teams)]
