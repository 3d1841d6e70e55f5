# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pure parts of the permission check: symbolic modes, path patterns, access control lists, accounts."""

from __future__ import annotations

import fnmatch
import grp
import pwd
import re
import stat
import struct
from collections.abc import Iterable, Sequence
from typing import Callable

UNKNOWN = -2
"""Stands for the id of an account that does not exist on the host (yet)."""

NOBODY = -1
"""No id at all."""


class PolicyError(Exception):
    """A rule that cannot be understood; says which part and why."""


_CLAUSE = re.compile(r"([ugoa]+)((?:[-+=][rwxXst]*)+)\Z")
_ACTION = re.compile(r"([-+=])([rwxXst]*)")
_WHO = {
    "u": stat.S_ISUID | stat.S_IRWXU,
    "g": stat.S_ISGID | stat.S_IRWXG,
    "o": stat.S_ISVTX | stat.S_IRWXO,
    "a": 0o7777,
}
_WHAT = {"r": 0o444, "w": 0o222, "x": 0o111, "X": 0, "s": stat.S_ISUID | stat.S_ISGID, "t": stat.S_ISVTX}


class ModeExpression:
    """A mode as ``chmod`` takes it, such as ``u=rwX,g=rX,o=``.

    A mode agrees with the expression when applying it changes nothing. So ``go-w`` leaves a stricter mode alone, and
    ``u+rX`` asks for bits that must be there.

    Args:
        text: clauses of ``u``, ``g``, ``o`` or ``a``, an operator and any of ``rwxXst``, separated by commas.

    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._steps: list[tuple[str, int, int, bool]] = []
        for clause in text.split(","):
            parsed = _CLAUSE.match(clause.strip())
            if not parsed:
                raise PolicyError(f"{text!r} is not a symbolic mode such as u=rwX,g=rX,o=: see {clause!r}")
            affected = 0
            for who in parsed.group(1):
                affected |= _WHO[who]
            for operator, letters in _ACTION.findall(parsed.group(2)):
                value = 0
                for letter in letters:
                    value |= _WHAT[letter]
                self._steps.append((operator, affected, value, "X" in letters))

    def _once(self, mode: int, is_dir: bool) -> int:
        for operator, affected, value, execute in self._steps:
            # Like chmod: folders keep setuid and setgid unless the expression names them.
            kept = (stat.S_ISUID | stat.S_ISGID) & ~(affected & value) if is_dir else 0
            bits = value | 0o111 if execute and (is_dir or mode & 0o111) else value
            bits &= affected & ~kept
            if operator == "=":
                mode = (mode & (0o7777 & ~affected | kept)) | bits
            elif operator == "+":
                mode |= bits
            else:
                mode &= ~bits
        return mode

    def apply(self, mode: int, is_dir: bool) -> int:
        """Return the permission bits an object with these bits should have: applying it again changes nothing."""
        # X looks at bits that other clauses set, so a second round can add some; there is nothing left for a third,
        # because no clause can tell more than whether any execute bit is set.
        for _round in range(3):
            mode = self._once(mode, is_dir)
        return mode

    def ceiling(self, is_dir: bool) -> int:
        """Return the most permission bits the expression leaves."""
        return self.apply(0o777, is_dir)


class Accounts:
    """Users and groups of the host, looked up once each."""

    def __init__(self) -> None:
        self._users: dict[int, str | None] = {}
        self._groups: dict[int, str | None] = {}

    def user(self, uid: int) -> str:
        """Return the name of a user, the number when it has none."""
        return self._name(self._users, uid, lambda number: pwd.getpwuid(number).pw_name) or str(uid)

    def group(self, gid: int) -> str:
        """Return the name of a group, the number when it has none."""
        return self._name(self._groups, gid, lambda number: grp.getgrgid(number).gr_name) or str(gid)

    def has_user(self, uid: int) -> bool:
        """Whether an account with this number exists."""
        self.user(uid)
        return self._users[uid] is not None

    def has_group(self, gid: int) -> bool:
        """Whether a group with this number exists."""
        self.group(gid)
        return self._groups[gid] is not None

    @staticmethod
    def _name(known: dict[int, str | None], number: int, find: Callable[[int], str]) -> str | None:
        if number not in known:
            if len(known) > 4096:
                known.clear()
            try:
                known[number] = find(number)
            except (KeyError, OverflowError):
                known[number] = None
        return known[number]

    @staticmethod
    def uid(name: str) -> int:
        """Return the number of a user given by name or number, UNKNOWN when there is none."""
        if name.isdigit():
            return int(name)
        try:
            return pwd.getpwnam(name).pw_uid
        except KeyError:
            return UNKNOWN

    @staticmethod
    def gid(name: str) -> int:
        """Return the number of a group given by name or number, UNKNOWN when there is none."""
        if name.isdigit():
            return int(name)
        try:
            return grp.getgrnam(name).gr_gid
        except KeyError:
            return UNKNOWN


ACL_ACCESS = "system.posix_acl_access"
ACL_DEFAULT = "system.posix_acl_default"
CAPABILITY = "security.capability"

_ACL_VERSION = 2
_USER_OBJ, _USER, _GROUP_OBJ, _GROUP, _MASK, _OTHER = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20
_NO_ID = 0xFFFFFFFF


class Acl:
    """A POSIX access control list as the kernel stores it.

    Attributes:
        owner: permission of the owner, 0 to 7.
        group: permission of the owning group before the mask.
        other: permission of everybody else.
        mask: most that named entries and the owning group get.
        users: permission by user number, before the mask.
        groups: permission by group number, before the mask.

    """

    def __init__(
        self, owner: int, group: int, other: int, mask: int, users: dict[int, int], groups: dict[int, int]
    ) -> None:
        self.owner = owner
        self.group = group
        self.other = other
        self.mask = mask
        self.users = users
        self.groups = groups

    @classmethod
    def parse(cls, data: bytes) -> Acl | None:
        """Return the list, None when it says no more than a mode does or cannot be read."""
        if len(data) < 4 or (len(data) - 4) % 8 or struct.unpack_from("<I", data)[0] != _ACL_VERSION:
            return None
        single = {_USER_OBJ: 0, _GROUP_OBJ: 0, _OTHER: 0, _MASK: 7}
        users: dict[int, int] = {}
        groups: dict[int, int] = {}
        for tag, permission, number in struct.iter_unpack("<HHI", data[4:]):
            if tag == _USER:
                users[number] = permission & 7
            elif tag == _GROUP:
                groups[number] = permission & 7
            elif tag in single:
                single[tag] = permission & 7
        return cls(single[_USER_OBJ], single[_GROUP_OBJ], single[_OTHER], single[_MASK], users, groups)

    def dump(self) -> bytes:
        """Return the list as the kernel stores it."""
        entries = [(_USER_OBJ, self.owner, _NO_ID)]
        entries += [(_USER, permission, number) for number, permission in sorted(self.users.items())]
        entries.append((_GROUP_OBJ, self.group, _NO_ID))
        entries += [(_GROUP, permission, number) for number, permission in sorted(self.groups.items())]
        entries += [(_MASK, self.mask, _NO_ID), (_OTHER, self.other, _NO_ID)]
        return struct.pack("<I", _ACL_VERSION) + b"".join(struct.pack("<HHI", *entry) for entry in entries)

    def mode(self, special: int) -> int:
        """Return the permission bits that count: the group's own ones instead of the mask the mode shows."""
        return special & 0o7000 | self.owner << 6 | (self.group & self.mask) << 3 | self.other

    def text(self, accounts: Accounts) -> str:
        """Return the named entries and the base ones as ``user:backup:r-x,group::r--``."""
        parts = [f"user:{accounts.user(uid)}:{bits(self.users[uid] & self.mask)}" for uid in sorted(self.users)]
        parts += [f"group:{accounts.group(gid)}:{bits(self.groups[gid] & self.mask)}" for gid in sorted(self.groups)]
        parts += [f"group::{bits(self.group & self.mask)}", f"other::{bits(self.other)}"]
        return ",".join(parts)


def bits(permission: int) -> str:
    """Return ``r-x`` for 5."""
    return "".join(letter if permission & bit else "-" for letter, bit in (("r", 4), ("w", 2), ("x", 1)))


_CAP_NET_BIND_SERVICE = 1 << 10


def only_binds_low_ports(capability: bytes) -> bool:
    """Whether file capabilities hold nothing but the right to listen on ports below 1024."""
    if len(capability) < 12 or len(capability) % 4:
        return False
    words = struct.unpack(f"<{len(capability) // 4}I", capability)
    granted = words[1] | words[2]
    # Versions 2 and 3 have a second pair of words for capabilities above 31.
    return granted == _CAP_NET_BIND_SERVICE and not any(words[3:5])


ANY = "*"
"""The step of a pattern that every name matches."""


class Pattern:
    """A path below a tree: names, ``*``, ``?``, ``[...]`` within a name, ``**`` for any number of folders.

    ``.`` is the root of the tree itself; ``logs/**`` is everything below ``logs`` without ``logs``.
    """

    __slots__ = ("steps", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        names = [name for name in text.split("/") if name not in ("", ".")]
        if text.startswith("/") or ".." in names:
            raise PolicyError(f"pattern {text!r} must be relative to the tree, without '..'")
        if names and names[-1] == "**":
            names.append("*")
        self.steps: list[str | re.Pattern[str] | None] = []
        for name in names:
            if name == "**":
                self.steps.append(None)
            elif name != ANY and any(letter in name for letter in "*?["):
                self.steps.append(re.compile(fnmatch.translate(name)))
            else:
                self.steps.append(name)


class Patterns:
    """Matches many patterns at once, along the walk: what is possible below a folder is worked out once per folder.

    Args:
        patterns: the patterns; matches are given by their numbers.

    """

    def __init__(self, patterns: Sequence[Pattern]) -> None:
        self._patterns = patterns
        self._states: dict[frozenset[tuple[int, int]], Below] = {}
        start = [(number, 0) for number in range(len(patterns))]
        self.root_matches = frozenset(number for number, pattern in enumerate(patterns) if not pattern.steps)
        self.start = self.state(self._close(start))

    def _close(self, positions: Iterable[tuple[int, int]]) -> frozenset[tuple[int, int]]:
        """Add the positions reached without a name: ``**`` may stand for no folder at all."""
        result = set()
        for number, step in positions:
            result.add((number, step))
            steps = self._patterns[number].steps
            while step < len(steps) and steps[step] is None:
                step += 1
                result.add((number, step))
        return frozenset(result)

    def state(self, positions: frozenset[tuple[int, int]]) -> Below:
        """Return what is possible below a folder reached at these positions."""
        known = self._states.get(positions)
        if known is None:
            live = frozenset((number, step) for number, step in positions if step < len(self._patterns[number].steps))
            known = self._states.get(live)
            if known is None:
                if len(self._states) > 4096:
                    self._states.clear()
                known = self._states[live] = Below(self, live)
            self._states[positions] = known
        return known

    def advance(self, positions: Iterable[tuple[int, int]], name: str | None) -> frozenset[tuple[int, int]]:
        """Return the positions after one more name, None for a name no pattern mentions."""
        reached = []
        for number, step in positions:
            wanted = self._patterns[number].steps[step]
            if wanted is None:
                reached.append((number, step))
            elif isinstance(wanted, str):
                if wanted in (ANY, name):
                    reached.append((number, step + 1))
            elif name is not None and wanted.match(name):
                reached.append((number, step + 1))
        return self._close(reached)

    def accepted(self, positions: Iterable[tuple[int, int]]) -> frozenset[int]:
        """Return the numbers of the patterns that are complete at these positions."""
        return frozenset(number for number, step in positions if step == len(self._patterns[number].steps))


class Match:
    """What one name in a folder matches, and what is possible below it if it is a folder."""

    __slots__ = ("numbers", "place", "positions")

    def __init__(self, numbers: frozenset[int], positions: frozenset[tuple[int, int]]) -> None:
        self.numbers = numbers
        self.positions = positions
        self.place: object = None


class Below:
    """What the patterns make of the names in one folder.

    Attributes:
        default: the match of every name that no pattern mentions.
        plain: whether all names have that match.
        numbers: the patterns something in or below this folder may still match.

    """

    __slots__ = ("_globs", "_literals", "_matches", "_owner", "_positions", "default", "numbers", "plain")

    def __init__(self, owner: Patterns, positions: frozenset[tuple[int, int]]) -> None:
        self._owner = owner
        self._positions = positions
        self._literals: set[str] = set()
        self._globs: list[re.Pattern[str]] = []
        for number, step in positions:
            wanted = owner._patterns[number].steps[step]
            if isinstance(wanted, str):
                if wanted != ANY:
                    self._literals.add(wanted)
            elif wanted is not None:
                self._globs.append(wanted)
        self.numbers = frozenset(number for number, _step in positions)
        self._matches: dict[frozenset[tuple[int, int]], Match] = {}
        self.default = self._match(None)
        if self._globs:
            joined = "|".join(f"(?:{glob})" for glob in sorted({glob.pattern for glob in self._globs}))
            self._globs = [re.compile(joined)]
        self.plain = not self._literals and not self._globs

    def _match(self, name: str | None) -> Match:
        positions = self._owner.advance(self._positions, name)
        known = self._matches.get(positions)
        if known is None:
            known = self._matches[positions] = Match(self._owner.accepted(positions), positions)
        return known

    def match(self, name: str) -> Match:
        """Return what a name in this folder matches."""
        if name in self._literals or (self._globs and self._globs[0].match(name)):
            return self._match(name)
        return self.default

    def enter(self, match: Match) -> Below:
        """Return what is possible below a folder with this match."""
        return self._owner.state(match.positions)
