# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judges one object of a tree by the rule for its place: owner, group, mode and access control list."""

from __future__ import annotations

import stat
from collections.abc import Iterable
from typing import Any

from ansible_collections.atlassian_dc.hardening.plugins.module_utils._changes import mode_text
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._permissions import (
    NOBODY,
    UNKNOWN,
    Accounts,
    Acl,
    ModeExpression,
    only_binds_low_ports,
)

MAX_REMEMBERED = 20000
"""Most verdicts remembered per rule: bounds memory on trees with very many owners."""

WRITABLE = "writable"
OPEN = "open"
OWNER = "owner"
CLOSED = "closed"
MODE = "mode"
WORLD_WRITABLE = "world_writable"
SETUID = "setuid"
UNOWNED = "unowned"
CAPABILITIES = "capabilities"
DEVICE = "device"


class Readers:
    """Accounts that keep read access though the mode would not give it to them."""

    def __init__(self, users: Iterable[int] = (), groups: Iterable[int] = ()) -> None:
        self.users = frozenset(users)
        self.groups = frozenset(groups)


class Service:
    """The account the product runs as."""

    def __init__(self, accounts: Accounts, user: str | None, group: str | None) -> None:
        self.user = user
        self.group = group
        self.uid = accounts.uid(user) if user else NOBODY
        self.gid = accounts.gid(group) if group else NOBODY


class Verdict:
    """What is wrong with an object and what it is to become.

    Attributes:
        rule: kind of violation of its rule, None when it agrees.
        traits: kinds of the traits found that no object may have.
        rule_repairs: whether applying the verdict puts the rule right.
        trait_repairs: the traits that applying the verdict takes away.
        uid: wanted user, gid: wanted group, mode: wanted permission bits as the file system will show them.
        acls: access control lists to write, by attribute name; None removes one.
        drop_capability: take the file's capabilities away.
        keep_capability: they have to be put back after a change of owner, which clears them.
        expected: wanted state in words.
        actual: found state in words.
        why_not: why it cannot be put right, "" when it can.

    """

    __slots__ = (
        "acls",
        "actual",
        "drop_capability",
        "expected",
        "gid",
        "keep_capability",
        "mode",
        "rule",
        "rule_repairs",
        "trait_repairs",
        "traits",
        "uid",
        "why_not",
    )

    def __init__(self, rule: str | None, traits: tuple[str, ...], uid: int, gid: int, mode: int) -> None:
        self.rule = rule
        self.traits = traits
        self.rule_repairs = False
        self.trait_repairs: frozenset[str] = frozenset()
        self.uid = uid
        self.gid = gid
        self.mode = mode
        self.acls: dict[str, tuple[bytes | None, str, str]] = {}
        self.drop_capability = False
        self.keep_capability = False
        self.expected = ""
        self.actual = ""
        self.why_not = ""

    def changes(self, mode: int, uid: int, gid: int) -> bool:
        """Whether applying it to an object in this state changes something."""
        return bool(
            (self.uid, self.gid, self.mode) != (uid, gid, stat.S_IMODE(mode)) or self.acls or self.drop_capability
        )


class Policy:
    """A rule, ready to judge objects.

    Args:
        rule: the rule as the module takes it.
        accounts: users and groups of the host.
        service: the account the product runs as.
        readers: who keeps read access here.
        enforce_rule: whether the rule's control may be put right.
        enforce_traits: whether the control of the traits may be put right.
        traits: whether traits are judged at all.
        predict: check mode: an account that does not exist yet will be there in a real run.

    """

    def __init__(
        self,
        rule: dict[str, Any],
        accounts: Accounts,
        service: Service,
        readers: Readers,
        enforce_rule: bool,
        enforce_traits: bool,
        traits: bool,
        predict: bool,
    ) -> None:
        self.control: str = rule["control"]
        self.accounts = accounts
        self.service = service
        self.readers = readers
        self.enforce_rule = enforce_rule
        self.enforce_traits = enforce_traits
        self.judge_traits = traits
        self.predict = predict
        self.owner_names: list[str] = list(rule.get("owner") or [])
        self.group_names: list[str] = list(rule.get("group") or [])
        self.owners = [accounts.uid(name) for name in self.owner_names]
        self.groups = [accounts.gid(name) for name in self.group_names]
        self.readable = bool(rule.get("readable_by_service"))
        self.closed = bool(rule.get("closed_to_service"))
        self._expressions = {
            True: ModeExpression(rule["directory_mode"]) if rule.get("directory_mode") else None,
            False: ModeExpression(rule["file_mode"]) if rule.get("file_mode") else None,
        }
        self.known: dict[tuple[int, int, int], Verdict | None] = {}

    def remember(self, mode: int, uid: int, gid: int) -> Verdict | None:
        """Judge an object without access control list or capabilities; the answer is kept for the next like it."""
        verdict = self.assess(mode, uid, gid)
        if len(self.known) >= MAX_REMEMBERED:
            self.known.clear()
        self.known[(mode, uid, gid)] = verdict
        return verdict

    def _wanted(self, mode: int, is_dir: bool, uid: int, gid: int, granted: int) -> tuple[int, int, int]:
        """Return the user, group and permission bits the rule asks for."""
        if self.closed:
            return self._wanted_closed(mode, uid, gid)
        if self.owners and uid not in self.owners:
            uid = self.owners[0]
        if self.groups and gid not in self.groups and gid not in self.readers.groups:
            gid = self.groups[0]
        expression = self._expressions[is_dir]
        wanted = mode if expression is None else expression.apply(mode, is_dir)
        if gid in self.readers.groups:
            wanted |= mode & (0o050 if is_dir else 0o040)
        if self.readable:
            need = 5 if is_dir or wanted & 0o111 else 4
            if uid == self.service.uid:
                wanted |= need << 6
            elif need & ~granted and gid == self.service.gid:
                wanted |= need << 3
            elif need & ~granted:
                wanted |= need
        return uid, gid, wanted

    def _wanted_closed(self, mode: int, uid: int, gid: int) -> tuple[int, int, int]:
        """Return what takes writing from the product's account, and nothing from anybody else if it can be helped."""
        if uid == self.service.uid:
            uid = 0
        if gid == self.service.gid:
            mode &= ~0o020
        # In a folder with the sticky bit nobody can move what belongs to others.
        if not mode & stat.S_ISVTX:
            mode &= ~0o002
        return uid, gid, mode

    def _granted(self, access: Acl | None) -> int:
        """Return what an access control list gives the product's account by name."""
        if access is None:
            return 0
        return (access.users.get(self.service.uid, 0) | access.groups.get(self.service.gid, 0)) & access.mask

    def _allowed(self, number: int, group: bool, is_dir: bool) -> int:
        """Return the most a named entry of an access control list may give here."""
        if self.closed:
            return 5 if number == (self.service.gid if group else self.service.uid) else 7
        if number in (self.readers.groups if group else self.readers.users):
            return 5
        if not group and (number == 0 or number in self.owners):
            return 7
        expression = self._expressions[is_dir]
        ceiling = 0o777 if expression is None else expression.ceiling(is_dir)
        if group and number in self.groups:
            return ceiling >> 3 & 7
        if self.readable and number == (self.service.gid if group else self.service.uid):
            return 5
        return ceiling & 7

    def _clean(self, acl: Acl, is_dir: bool) -> tuple[dict[int, int], dict[int, int], bool, bool]:
        """Return the named users and groups that may stay, and what is wrong with the others.

        Returns:
            The users, the groups, whether an entry gives too much, and whether that lets the product's account write.

        """
        widens = False
        writable = False
        kept: list[dict[int, int]] = []
        for group, named in ((False, acl.users), (True, acl.groups)):
            stay = {}
            service = self.service.gid if group else self.service.uid
            readers = self.readers.groups if group else self.readers.users
            for number, permission in named.items():
                effective = permission & acl.mask
                beyond = effective & ~self._allowed(number, group, is_dir)
                if beyond:
                    widens = True
                    writable = writable or (number == service and bool(beyond & 2))
                    if (number == service or number in readers) and effective & ~beyond:
                        stay[number] = effective & ~beyond
                else:
                    stay[number] = effective
            kept.append(stay)
        return kept[0], kept[1], widens, writable

    def _rebuilt(self, users: dict[int, int], groups: dict[int, int], mode: int) -> Acl | None:
        """Return the list that gives these permissions, None when the mode alone does."""
        if not users and not groups:
            return None
        mask = mode >> 3 & 7
        for permission in (*users.values(), *groups.values()):
            mask |= permission
        return Acl(mode >> 6 & 7, mode >> 3 & 7, mode & 7, mask, users, groups)

    def assess(
        self,
        mode: int,
        uid: int,
        gid: int,
        access: Acl | None = None,
        default: Acl | None = None,
        capability: bytes = b"",
    ) -> Verdict | None:
        """Judge one object; None when nothing is wrong with it.

        Args:
            mode: its type and permission bits.
            uid: its user.
            gid: its group.
            access: its access control list.
            default: the list that new files in it inherit.
            capability: its file capabilities.

        """
        is_dir = stat.S_ISDIR(mode)
        if stat.S_ISBLK(mode) or stat.S_ISCHR(mode):
            return self._device(mode, uid, gid)
        shown = stat.S_IMODE(mode)
        actual = shown if access is None else access.mode(shown)
        want_uid, want_gid, want = self._wanted(actual, is_dir, uid, gid, self._granted(access))
        users: dict[int, int] = {}
        groups: dict[int, int] = {}
        widens = acl_writable = False
        if access is not None:
            users, groups, widens, acl_writable = self._clean(access, is_dir)
        inherited = self._inherited(default, is_dir) if default is not None else None
        rule = self._kind(actual, uid, gid, want_uid, want_gid, want, acl_writable, widens or inherited is not None)
        traits = self._traits(mode, actual, uid, gid, capability)
        if rule is None and not traits:
            return None

        verdict = Verdict(rule, traits, uid, gid, shown)
        new_uid, new_gid, new = uid, gid, actual
        clean = False
        if rule is not None and self.enforce_rule:
            missing = self._missing(want_uid, want_gid)
            if missing and not self.predict:
                verdict.why_not = missing
            else:
                new_uid, new_gid, new, clean = want_uid, want_gid, want, True
                verdict.rule_repairs = True
        repaired: set[str] = set()
        if traits and self.enforce_traits:
            new_uid, new_gid, new = self._without_traits(traits, repaired, verdict, new_uid, new_gid, new, is_dir)
            if CAPABILITIES in traits:
                if only_binds_low_ports(capability):
                    verdict.why_not = (
                        "it lets the program listen on a port below 1024, take it away by hand (setcap -r)"
                    )
                else:
                    verdict.drop_capability = True
                    repaired.add(CAPABILITIES)
        verdict.trait_repairs = frozenset(repaired)
        verdict.keep_capability = bool(capability) and not verdict.drop_capability
        verdict.uid, verdict.gid, verdict.mode = new_uid, new_gid, new
        if access is not None:
            self._plan_access(verdict, access, users if clean else None, groups if clean else None, new, shown)
        if default is not None and inherited is not None and clean:
            self._plan_default(verdict, default, inherited)
        self._describe(verdict, actual, uid, gid, (want_uid, want_gid, want), access, default, widens, inherited)
        return verdict

    def _device(self, mode: int, uid: int, gid: int) -> Verdict | None:
        if not self.judge_traits:
            return None
        verdict = Verdict(None, (DEVICE,), uid, gid, stat.S_IMODE(mode))
        verdict.why_not = "remove it by hand"
        verdict.expected = "no device node"
        verdict.actual = f"{'block' if stat.S_ISBLK(mode) else 'character'} device {self._state(uid, gid, mode)}"
        return verdict

    def _kind(
        self,
        actual: int,
        uid: int,
        gid: int,
        want_uid: int,
        want_gid: int,
        want: int,
        acl_writable: bool,
        widens: bool,
    ) -> str | None:
        """Return the gravest way in which the object violates its rule, None when it does not."""
        differs = (uid, gid, actual) != (want_uid, want_gid, want)
        if not differs and not widens:
            return None
        foreign = self.closed or (self.owners and self.service.uid not in self.owners)
        if foreign and self.service.uid >= 0:
            by_group = gid == self.service.gid and actual & 0o020
            if uid == self.service.uid or by_group or actual & 0o002 or acl_writable:
                return WRITABLE
        if widens or actual & ~want & 0o077:
            return OPEN
        if (uid, gid) != (want_uid, want_gid):
            return OWNER
        return CLOSED if want & ~actual else MODE

    def _traits(self, mode: int, actual: int, uid: int, gid: int, capability: bytes) -> tuple[str, ...]:
        if not self.judge_traits:
            return ()
        found = []
        if actual & 0o002:
            found.append(WORLD_WRITABLE)
        # setgid on a folder only hands the group down to new files; on anything that can be run it gives rights.
        if not stat.S_ISDIR(mode) and actual & 0o6000:
            found.append(SETUID)
        if not self.accounts.has_user(uid) or not self.accounts.has_group(gid):
            found.append(UNOWNED)
        if capability:
            found.append(CAPABILITIES)
        return tuple(found)

    def _without_traits(
        self,
        traits: tuple[str, ...],
        repaired: set[str],
        verdict: Verdict,
        uid: int,
        gid: int,
        mode: int,
        is_dir: bool,
    ) -> tuple[int, int, int]:
        if WORLD_WRITABLE in traits:
            mode &= ~0o002
            repaired.add(WORLD_WRITABLE)
        if SETUID in traits:
            mode &= ~0o6000
            repaired.add(SETUID)
        if UNOWNED in traits:
            new_uid = uid if self.accounts.has_user(uid) or not self.owners else self.owners[0]
            new_gid = gid if self.accounts.has_group(gid) or not self.groups else self.groups[0]
            missing = self._missing(new_uid, new_gid)
            if missing and not self.predict:
                verdict.why_not = missing
            elif (new_uid == UNKNOWN or self.accounts.has_user(new_uid)) and (
                new_gid == UNKNOWN or self.accounts.has_group(new_gid)
            ):
                uid, gid = new_uid, new_gid
                repaired.add(UNOWNED)
            else:
                verdict.why_not = "no rule says whose it should be"
        return uid, gid, mode

    def _missing(self, uid: int, gid: int) -> str:
        if uid == UNKNOWN:
            return f"account {self.owner_names[0]} does not exist"
        if gid == UNKNOWN:
            return f"group {self.group_names[0]} does not exist"
        return ""

    def _inherited(self, default: Acl, is_dir: bool) -> Acl | str | None:
        """Return what a folder's default list should be ("" for none), None when it is right."""
        if self.closed:
            return None  # what the folder hands down to new entries is judged where they lie
        users, groups, widens, _writable = self._clean(default, is_dir)
        expression = self._expressions[is_dir]
        ceiling = 0o777 if expression is None else expression.ceiling(is_dir)
        group = default.group & default.mask
        if not widens and not group & ~(ceiling >> 3) & 7 and not default.other & ~ceiling & 7:
            return None
        mode = default.owner << 6 | (group & ceiling >> 3 & 7) << 3 | default.other & ceiling & 7
        return self._rebuilt(users, groups, mode) or ""

    def _plan_access(
        self,
        verdict: Verdict,
        access: Acl,
        users: dict[int, int] | None,
        groups: dict[int, int] | None,
        mode: int,
        shown: int,
    ) -> None:
        """Work out the access list that goes with the wanted mode, and the mode the file system then shows."""
        if users is None or groups is None:
            users = {number: permission & access.mask for number, permission in access.users.items()}
            groups = {number: permission & access.mask for number, permission in access.groups.items()}
            if mode == access.mode(shown):
                verdict.mode = shown
                return
        rebuilt = self._rebuilt(users, groups, mode)
        after = self._rebuilt_text(rebuilt)
        verdict.mode = mode if rebuilt is None else mode & ~0o070 | rebuilt.mask << 3
        if rebuilt is not None and rebuilt.mode(mode) == access.mode(shown) and after == access.text(self.accounts):
            verdict.mode = shown
            return
        verdict.acls["system.posix_acl_access"] = (
            None if rebuilt is None else rebuilt.dump(),
            access.text(self.accounts),
            after,
        )

    def _plan_default(self, verdict: Verdict, default: Acl, inherited: Acl | str) -> None:
        rebuilt = None if isinstance(inherited, str) else inherited
        verdict.acls["system.posix_acl_default"] = (
            None if rebuilt is None else rebuilt.dump(),
            default.text(self.accounts),
            self._rebuilt_text(rebuilt),
        )

    def _rebuilt_text(self, acl: Acl | None) -> str:
        return "none" if acl is None else acl.text(self.accounts)

    def owner_text(self, uid: int) -> str:
        """Return the name of a wanted user, also of one that does not exist yet."""
        return self.owner_names[0] if uid == UNKNOWN else self.accounts.user(uid)

    def group_text(self, gid: int) -> str:
        """Return the name of a wanted group, also of one that does not exist yet."""
        return self.group_names[0] if gid == UNKNOWN else self.accounts.group(gid)

    def _state(self, uid: int, gid: int, mode: int) -> str:
        return f"{self.owner_text(uid)}:{self.group_text(gid)} {mode_text(mode)}"

    def _describe(
        self,
        verdict: Verdict,
        actual: int,
        uid: int,
        gid: int,
        wanted: tuple[int, int, int],
        access: Acl | None,
        default: Acl | None,
        widens: bool,
        inherited: Acl | str | None,
    ) -> None:
        """Put what is expected and what was found into words."""
        want_uid, want_gid, want = wanted
        if WORLD_WRITABLE in verdict.traits:
            want &= ~0o002
        if SETUID in verdict.traits:
            want &= ~0o6000
        expected = [self._state(want_uid, want_gid, want)]
        found = [self._state(uid, gid, actual)]
        if access is not None and widens:
            expected.append("no access list that gives more")
            found.append(f"access list {access.text(self.accounts)}")
        if default is not None and inherited is not None:
            expected.append("no default access list that gives more")
            found.append(f"default access list {default.text(self.accounts)}")
        if UNOWNED in verdict.traits:
            found.append("owner or group does not exist")
        if CAPABILITIES in verdict.traits:
            expected.append("no file capabilities")
            found.append("file capabilities")
        verdict.expected = ", ".join(expected)
        verdict.actual = ", ".join(found)
