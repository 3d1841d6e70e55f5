# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judges and corrects all objects of a tree in one walk, and keeps count of what it saw."""

from __future__ import annotations

import bisect
import contextlib
import errno
import os
import stat
from collections.abc import Iterable, Iterator
from typing import Any, Callable

from ansible_collections.atlassian_dc.hardening.plugins.module_utils._as_account import DENIED, as_account
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._changes import (
    ChangeError,
    Changes,
    mode_text,
    printable,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._findings import (
    PENDING_RESTART,
    Evidence,
    Findings,
    evidence,
    plural,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._permissions import (
    ACL_ACCESS,
    ACL_DEFAULT,
    CAPABILITY,
    UNKNOWN,
    Accounts,
    Acl,
    Below,
    Match,
    Pattern,
    Patterns,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._permissions_policy import (
    CAPABILITIES,
    CLOSED,
    DEVICE,
    MODE,
    OPEN,
    OWNER,
    SETUID,
    UNOWNED,
    WORLD_WRITABLE,
    WRITABLE,
    Policy,
    Readers,
    Service,
    Verdict,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._walk import (
    ANOTHER_FILE_SYSTEM,
    VANISHED,
    Child,
    Folder,
    Mounts,
    Walk,
)

SAMPLES = 20
"""Most paths kept per kind of violation; all are counted."""

MAX_EVIDENCE = 49
"""Most paths in one finding; one more piece of evidence counts the rest."""

DIFF_LINES = 50
"""Most paths per control and tree in the diff; all are counted."""

MAX_UNREAD = 20
"""Most areas named that were not looked at; all are counted."""

ARCHIVE = "archive"

_PHRASES = {
    WRITABLE: ("is writable by {service}", "are writable by {service}"),
    OPEN: ("is open to other accounts", "are open to other accounts"),
    OWNER: ("has another owner or group than it should", "have another owner or group than they should"),
    CLOSED: ("lacks access that {service} needs", "lack access that {service} needs"),
    MODE: ("has another mode than it should", "have another mode than they should"),
    WORLD_WRITABLE: ("is writable by everybody", "are writable by everybody"),
    SETUID: ("is setuid or setgid", "are setuid or setgid"),
    UNOWNED: ("belongs to no existing account", "belong to no existing account"),
    CAPABILITIES: ("has file capabilities", "have file capabilities"),
    DEVICE: ("is a device node", "are device nodes"),
}

_CROSSING = "left out unless atlassian_dc_file_permissions_cross_file_systems is true"


class Samples:
    """The first few pieces of evidence in the order of their paths, however many are offered, and their number."""

    def __init__(self) -> None:
        self.count = 0
        self._kept: list[tuple[str, str, str]] = []

    def add(self, path: str, expected: str, actual: str) -> None:
        """Count one more and keep it if it is among the first."""
        self.count += 1
        if len(self._kept) < SAMPLES:
            bisect.insort(self._kept, (path, expected, actual))
        elif path < self._kept[-1][0]:
            self._kept.pop()
            bisect.insort(self._kept, (path, expected, actual))

    def dump(self) -> list[Any]:
        """Return it as JSON can carry it."""
        return [self.count, self._kept]

    @classmethod
    def load(cls, data: list[Any]) -> Samples:
        """Return what was dumped."""
        samples = cls()
        samples.count = data[0]
        samples._kept = [tuple(item) for item in data[1]]
        return samples

    def items(self) -> list[Evidence]:
        """Return what was kept."""
        return [evidence(printable(path), expected, actual) for path, expected, actual in self._kept]


class Tally:
    """What was seen for one control of one instance, over all its trees."""

    def __init__(self) -> None:
        self.phrases: dict[tuple[int, str], tuple[str, str, str]] = {}
        self.repaired: dict[tuple[int, str], Samples] = {}
        self.left: dict[tuple[int, str], Samples] = {}
        self.unread: list[tuple[str, str]] = []
        self.unread_count = 0
        self.hold = ""
        self.absent = ""
        self.elsewhere: tuple[str, str] | None = None
        """What is judged on which other host."""
        self.looked = False

    def add(self, key: tuple[int, str], path: str, expected: str, actual: str, repaired: bool) -> None:
        """Count a violation."""
        group = self.repaired if repaired else self.left
        group.setdefault(key, Samples()).add(path, expected, actual)

    def not_looked_at(self, path: str, why: str) -> None:
        """Note an area that was left out."""
        self.unread_count += 1
        if len(self.unread) < MAX_UNREAD:
            self.unread.append((path, why))

    def dump(self) -> dict[str, Any]:
        """Return it as JSON can carry it."""
        return {
            "phrases": [[*key, *words] for key, words in self.phrases.items()],
            "repaired": [[*key, samples.dump()] for key, samples in self.repaired.items()],
            "left": [[*key, samples.dump()] for key, samples in self.left.items()],
            "unread": self.unread,
            "unread_count": self.unread_count,
            "hold": self.hold,
            "absent": self.absent,
            "elsewhere": self.elsewhere,
            "looked": self.looked,
        }

    @classmethod
    def load(cls, data: dict[str, Any]) -> Tally:
        """Return what was dumped."""
        tally = cls()
        tally.phrases = {(number, kind): (noun, one, many) for number, kind, noun, one, many in data["phrases"]}
        tally.repaired = {(number, kind): Samples.load(samples) for number, kind, samples in data["repaired"]}
        tally.left = {(number, kind): Samples.load(samples) for number, kind, samples in data["left"]}
        tally.unread = [tuple(item) for item in data["unread"]]
        tally.unread_count = data["unread_count"]
        tally.hold = data["hold"]
        tally.absent = data["absent"]
        tally.elsewhere = tuple(data["elsewhere"]) if data["elsewhere"] else None
        tally.looked = data["looked"]
        return tally

    def _unread_evidence(self) -> list[Evidence]:
        items = [evidence(path, "looked at", f"not looked at: {why}") for path, why in self.unread]
        if self.unread_count > len(items):
            items.append(evidence(f"and {self.unread_count - len(items)} more", "looked at", "not looked at"))
        return items

    def _unread_reason(self) -> str:
        path, why = self.unread[0]
        more = f" and {self.unread_count - 1} more" if self.unread_count > 1 else ""
        return f"not looked at: {path} ({why}){more}"

    def report(self, findings: Findings, control: str, instance: str | None, fault: str | None) -> None:
        """Add the finding; a fault of the host is why changes were not made."""
        left = sum(samples.count for samples in self.left.values())
        total = left + sum(samples.count for samples in self.repaired.values())
        what, host = self.elsewhere or ("", None)
        judged_there = f"{what} is judged on {host}" if host else ""
        if not total:
            if self.unread_count:
                reason = "; ".join(filter(None, (self._unread_reason(), judged_there)))
                findings.add(control, instance, "not_checked", reason, self._unread_evidence(), elsewhere=host)
            elif self.absent:
                findings.add(control, instance, "not_applicable", self.absent)
            elif host and not self.looked:
                findings.add(control, instance, "not_applicable", f"{judged_there}, nothing else here", elsewhere=host)
            else:
                findings.add(control, instance, "pass", judged_there, elsewhere=host)
            return
        parts = []
        proof: list[Evidence] = []
        for key in sorted(set(self.left) | set(self.repaired)):
            count = sum(group[key].count for group in (self.left, self.repaired) if key in group)
            noun, one, many = self.phrases[key]
            parts.append(f"{plural(count, noun)} {one if count == 1 else many}")
        for group in (self.left, self.repaired):
            for key in sorted(group):
                proof += group[key].items()
        unread = self._unread_evidence()
        proof = proof[: MAX_EVIDENCE - len(unread)]
        if total > len(proof):
            proof.append(evidence(f"and {total - len(proof)} more", "as above", "as above"))
        reason = "; ".join(parts)
        held = bool(self.hold) and findings.enforces(control)
        if held:
            reason += f"; not changed now: {self.hold}"
        elif left and findings.enforces(control) and not findings.check_mode:
            reason += f"; {left} could not be put right" + (f": {fault}" if fault else "")
        if self.unread_count:
            reason += f"; {self._unread_reason()}"
            proof += unread
        if host:
            reason += f"; {judged_there}"
        pending = PENDING_RESTART if held else None
        findings.judge(control, instance, proof, reason, repaired=left == 0, pending=pending, elsewhere=host)


class Report:
    """The tallies of all trees."""

    def __init__(self, findings: Findings) -> None:
        self.findings = findings
        self.tallies: dict[tuple[str | None, str], Tally] = {}

    def tally(self, instance: str | None, control: str) -> Tally:
        """Return the tally of a control of an instance."""
        return self.tallies.setdefault((instance, control), Tally())

    def dump(self) -> list[Any]:
        """Return all tallies as JSON can carry them."""
        return [[instance, control, tally.dump()] for (instance, control), tally in self.tallies.items()]

    def load(self, data: list[Any]) -> None:
        """Replace the tallies by what was dumped."""
        self.tallies = {(instance, control): Tally.load(tally) for instance, control, tally in data}

    def finish(self, fault: str | None) -> None:
        """Turn the tallies into findings: by instance as given, then by control as judged."""
        instances = list(dict.fromkeys(instance for instance, _control in self.tallies))
        for instance in instances:
            for control in self.findings.judged:
                if (instance, control) in self.tallies:
                    self.tallies[(instance, control)].report(self.findings, control, instance, fault)


class Place:
    """What is asked of the objects that match the same patterns."""

    __slots__ = ("archive", "exempt", "index", "known", "link", "policy", "special")

    def __init__(self, index: int, policy: Policy, archive: dict[str, Any] | None, link: bool, exempt: bool) -> None:
        self.index = index
        self.policy = policy
        self.known = policy.known
        self.archive = archive
        self.link = link
        self.exempt = exempt
        self.special = exempt or archive is not None


class TreeCheck:
    """Judges one tree.

    Args:
        number: position of the tree among all trees.
        tree: the tree as the module takes it.
        accounts: users and groups of the host.
        mounts: the host's mount points.
        report: where violations are counted.
        changes: how the host is changed.
        covered: paths of all trees looked at, for links that lead from one into another.

    Raises:
        PolicyError: a rule that cannot be understood.

    """

    def __init__(
        self,
        number: int,
        tree: dict[str, Any],
        accounts: Accounts,
        mounts: Mounts,
        report: Report,
        changes: Changes,
        covered: Iterable[str],
    ) -> None:
        self.number = number
        self.path: str | None = tree.get("path")
        self.name: str = tree.get("name") or "tree"
        self.instance: str | None = tree.get("instance")
        self.rules: list[dict[str, Any]] = tree.get("rules") or []
        self.archives: list[dict[str, Any]] = tree.get("archives") or []
        self.trait_control: str | None = tree.get("trait_control")
        self.recurse: bool = tree.get("recurse", True)
        self.required: bool = tree.get("required", True)
        self.cross: bool = bool(tree.get("cross_file_systems"))
        self.hold: str = tree.get("hold") or ""
        self.absent: str = tree.get("absent") or ""
        self.elsewhere: str = tree.get("elsewhere") or ""
        self.exceptions: list[dict[str, Any]] = tree.get("exceptions") or []
        self.links: list[str] = tree.get("links") or []
        self.readers: list[dict[str, Any]] = tree.get("readers") or []
        self.accounts = accounts
        self.mounts = mounts
        self.report = report
        self.changes = changes
        self.covered = [path for path in covered if path]
        self.service = Service(accounts, tree.get("service_account"), tree.get("service_group"))
        self.entries = 0
        self.excepted = 0
        self.changed = 0
        self._acting_as = ""
        self._why_acting = ""
        # Devices where root was refused a change that the service account may make.
        self._refused: set[int] = set()
        self._no_xattrs: set[int] = set()
        self._diff: dict[str, list[str]] = {}
        self._diff_count: dict[str, int] = {}
        self._compile()

    def _compile(self) -> None:
        findings = self.report.findings
        patterns: list[Pattern] = []

        def number(texts: Iterable[str]) -> frozenset[int]:
            first = len(patterns)
            patterns.extend(Pattern(text) for text in texts)
            return frozenset(range(first, len(patterns)))

        self._rule_patterns = [
            (number(rule.get("paths") or [".", "**"]), number(rule.get("except") or [])) for rule in self.rules
        ]
        self._archive_patterns = [
            (number(archive["paths"]), number(archive.get("except") or [])) for archive in self.archives
        ]
        self._exception_patterns = [number([exception["path"]]) for exception in self.exceptions]
        self._link_patterns = number(self.links)
        self._reader_patterns = [number(reader.get("paths") or []) for reader in self.readers]
        self._readers = [
            (
                self.accounts.uid(reader["user"]) if reader.get("user") else UNKNOWN,
                self.accounts.gid(reader["group"]) if reader.get("group") else UNKNOWN,
                not reader.get("paths"),
            )
            for reader in self.readers
        ]
        self.patterns = Patterns(patterns)
        self._places: dict[frozenset[int], Place] = {}
        self._policies: dict[tuple[int, frozenset[int]], Policy] = {}
        self.judges_traits = bool(self.trait_control) and findings.judges(str(self.trait_control))
        # A rule nobody can understand must be refused before anything was changed.
        for index in range(len(self.rules)):
            self._policy(index, frozenset())

    def controls(self) -> list[str]:
        """Return the controls this tree is judged for."""
        found = [rule["control"] for rule in self.rules] + [archive["control"] for archive in self.archives]
        if self.trait_control:
            found.append(self.trait_control)
        return [control for control in dict.fromkeys(found) if self.report.findings.judges(control)]

    def _tally(self, control: str) -> Tally:
        return self.report.tally(self.instance, control)

    def _policy(self, index: int, readers: frozenset[int]) -> Policy:
        known = self._policies.get((index, readers))
        if known is None:
            findings = self.report.findings
            rule = self.rules[index] if index >= 0 else {"control": ""}
            chosen = [self._readers[reader] for reader in readers]
            known = self._policies[(index, readers)] = Policy(
                rule,
                self.accounts,
                self.service,
                Readers(
                    (uid for uid, _gid, _all in chosen if uid >= 0), (gid for _uid, gid, _all in chosen if gid >= 0)
                ),
                enforce_rule=not self.hold and findings.enforces(rule["control"]),
                enforce_traits=not self.hold
                and bool(self.trait_control)
                and findings.enforces(str(self.trait_control)),
                traits=self.judges_traits,
                predict=self.changes.check_mode,
            )
        return known

    def _place(self, numbers: frozenset[int]) -> Place:
        """Return what is asked where these patterns match."""
        known = self._places.get(numbers)
        if known is not None:
            return known
        index = -1
        for candidate, (wanted, but) in enumerate(self._rule_patterns):
            if numbers & wanted and not numbers & but:
                index = candidate
                break
        general = index < 0 or self.rules[index].get("readers", True)
        readers = frozenset(
            reader
            for reader, patterns in enumerate(self._reader_patterns)
            if (self._readers[reader][2] and general) or numbers & patterns
        )
        archive = None
        for rule, (wanted, but) in zip(self.archives, self._archive_patterns):
            if numbers & wanted and not numbers & but and self.report.findings.judges(rule["control"]):
                archive = rule
                break
        place = Place(
            index,
            self._policy(index, readers),
            archive,
            bool(numbers & self._link_patterns),
            any(numbers & patterns for patterns in self._exception_patterns),
        )
        self._places[numbers] = place
        return place

    def _place_of(self, match: Match) -> Place:
        place = match.place
        if isinstance(place, Place):
            return place
        place = match.place = self._place(match.numbers)
        return place

    def _controls_below(self, below: Below) -> list[str]:
        """Return the controls of what may lie below a folder that was not entered."""
        index = self._place_of(below.default).index
        found = [
            rule["control"]
            for candidate, rule in enumerate(self.rules)
            if (index < 0 or candidate <= index) and self._rule_patterns[candidate][0] & below.numbers
        ]
        found += [
            archive["control"]
            for candidate, archive in enumerate(self.archives)
            if self._archive_patterns[candidate][0] & below.numbers
        ]
        if self.trait_control:
            found.append(self.trait_control)
        return [control for control in dict.fromkeys(found) if self.report.findings.judges(control)]

    def _unread(self, below: Below, path: str, why: str) -> None:
        if why == ANOTHER_FILE_SYSTEM:
            kind = self.mounts.types.get(path)
            why += f" ({kind}), {_CROSSING}" if kind else f", {_CROSSING}"
        for control in self._controls_below(below):
            self._tally(control).not_looked_at(printable(path), why)

    def _left_out(self, why: str) -> None:
        for control in self.controls():
            self._tally(control).not_looked_at(printable(self.path or self.name), why)

    # ---- the walk ------------------------------------------------------------------------------

    def run(self) -> None:
        """Judge the tree, and put right what may be."""
        controls = self.controls()
        for control in controls:
            tally = self._tally(control)
            tally.hold = tally.hold or self.hold
            tally.absent = tally.absent or self.absent
            if self.elsewhere:
                tally.elsewhere = (f"{self.name} {printable(self.path or '')}".strip(), self.elsewhere)
            elif not self.absent:
                tally.looked = True
        if not controls or self.absent or self.elsewhere:
            return
        if not self.path:
            self._left_out("not known on this host")
            return
        if self._root_place().exempt:
            self._left_out(f"left out by an exception: {self._exception_reason()}")
            return
        network = self.mounts.network_type(self.path)
        if network and not self.cross:
            self._left_out(f"it is on a network file system ({network}), {_CROSSING}")
            return
        walk = Walk(self.path, self.mounts, self.cross, self._unread, self._denied, refused=self._refused)
        try:
            walk.run(self.patterns.start, self._visit_first)
        except FileNotFoundError:
            if self.required:
                self._left_out("it does not exist")
        except OSError as exc:
            link = exc.errno in (errno.ELOOP, errno.ENOTDIR)
            if not (exc.errno in DENIED and self._as_service(self.patterns.start, self.path, None, self._root_place())):
                self._left_out("it is not a folder" if link else exc.strerror or str(exc))
        self._finish_diff()

    # ---- where root may not look ---------------------------------------------------------------

    def _denied(self, below: Below, path: str, parent: int, name: str) -> bool:
        """Look at a folder that root may not open; it was judged itself where it was listed."""
        return self._as_service(below, path, (parent, name), None)

    def _as_service(self, below: Below, path: str, within: tuple[int, str] | None, place: Place | None) -> bool:
        """Walk a folder as the service account, in a process of its own, and take over what that found.

        Mounts that squash root and FUSE mounts of the account show their files to nobody else, root included.

        Args:
            below: what is asked of the content of the folder.
            path: where it lies.
            within: descriptor of its parent and its name there, None to open it by its path.
            place: what is asked of the folder itself, None when it was judged before.

        Returns:
            False when the account cannot look either, or there is none to ask.

        """
        return self._become(lambda: self._walk_again(below, path, within, place), "root may not look here")

    def _become(self, work: Callable[[], bool], why: str) -> bool:
        """Do something as the service account, in a process of its own, and take over what it has counted."""
        if self._acting_as or self.service.uid <= 0:
            return False
        self.changes.prepare()

        def act(name: str) -> dict[str, Any] | None:
            self._acting_as, self._why_acting = name, why
            return self._dump() if work() else None

        answer = as_account(self.service.uid, act)
        if answer is None:
            return False
        self._load(answer)
        return True

    def _walk_again(self, below: Below, path: str, within: tuple[int, str] | None, place: Place | None) -> bool:
        def visit(folder: Folder) -> list[Child]:
            if place is not None and folder.path == path and (self.rules or self.trait_control):
                self.entries += 1
                names = self._listxattr(f"/proc/self/fd/{folder.fd}")
                self._object(folder.fd, folder.path, "", folder.info, place, names)
            return self._visit(folder)

        try:
            Walk(path, self.mounts, self.cross, self._unread, None, within).run(below, visit)
        except OSError:
            return False
        return True

    def _dump(self) -> dict[str, Any]:
        # The process began as a copy of this one, so what it knows in the end includes what was known before.
        return {
            "tallies": self.report.dump(),
            "count": self.changes.count,
            "fault": self.changes.fault,
            "changes": self.changes.entries,
            "numbers": [self.entries, self.excepted, self.changed],
            "diff": self._diff,
            "diff_count": self._diff_count,
        }

    def _load(self, data: dict[str, Any]) -> None:
        self.report.load(data["tallies"])
        self.changes.count = data["count"]
        self.changes.fault = data["fault"]
        self.changes.entries[:] = data["changes"]
        self.entries, self.excepted, self.changed = data["numbers"]
        self._diff, self._diff_count = data["diff"], data["diff_count"]

    def _root_place(self) -> Place:
        return self._place(self.patterns.root_matches)

    def _exception_reason(self) -> str:
        for exception, numbers in zip(self.exceptions, self._exception_patterns):
            if numbers & self.patterns.root_matches:
                return str(exception.get("reason") or "no reason given")
        return "no reason given"

    def _visit_first(self, folder: Folder) -> list[Child]:
        if folder.path == self.path and not folder.name and (self.rules or self.trait_control):
            self.entries += 1
            place = self._root_place()
            self._object(folder.fd, folder.path, "", folder.info, place, self._listxattr(f"/proc/self/fd/{folder.fd}"))
        return self._visit(folder)

    @staticmethod
    def _listxattr(path: str) -> list[str]:
        try:
            return os.listxattr(path)
        except OSError:
            return []

    def _visit(self, folder: Folder) -> list[Child]:
        """Judge what lies in a folder; return the folders to enter.

        This is the loop that runs once per object: everything that can be is worked out before it or remembered.
        """
        below: Below = folder.state
        children: list[Child] = []
        plain = below.plain
        default = self._place_of(below.default)
        match: Match = below.default
        place = default
        prefix = f"/proc/self/fd/{folder.fd}/"
        try:
            # There is no listxattr relative to a descriptor. Names relative to the working folder are looked up three
            # times as fast as through /proc; nothing else depends on it.
            os.fchdir(folder.fd)
            prefix = ""
        except OSError:
            pass
        mounted = folder.mounted
        judged = bool(self.rules or self.trait_control)
        xattrs = judged and folder.info.st_dev not in self._no_xattrs
        listxattr = os.listxattr
        entries = 0
        try:
            with os.scandir(folder.fd) as listing:
                for entry in listing:
                    name = entry.name
                    if mounted and name in mounted:
                        if self.recurse:
                            self._mounted(folder, below.match(name), below, name)
                        continue
                    try:
                        info = entry.stat(follow_symlinks=False)
                    except OSError as exc:
                        if exc.errno not in DENIED:
                            if exc.errno not in VANISHED:
                                self._unread(below, f"{folder.path}/{name}", exc.strerror or str(exc))
                            continue
                        if name in self.mounts.below.get(folder.path, ()):
                            self._denied_mount(folder, below, name, exc)
                            continue
                        # The right to look names up belongs to the folder: no other name in it would do better.
                        raise
                    entries += 1
                    if not plain:
                        match = below.match(name)
                        place = self._place_of(match)
                    if place.special:
                        if place.exempt:
                            self.excepted += 1
                            continue
                        if stat.S_ISREG(info.st_mode):
                            self._archive(folder.path, name, place)
                    mode = info.st_mode
                    kind = mode & 0o170000
                    if kind == 0o120000:
                        if place.link:
                            self._link(folder, name, below, match)
                        continue
                    if judged:
                        names: list[str] = []
                        if xattrs:
                            try:
                                names = listxattr(prefix + name, follow_symlinks=False)
                            except OSError as exc:
                                if exc.errno in (errno.ENOTSUP, errno.EOPNOTSUPP):
                                    self._no_xattrs.add(info.st_dev)
                                    xattrs = False
                        key = (mode, info.st_uid, info.st_gid)
                        known = place.known
                        verdict = known[key] if key in known else place.policy.remember(*key)
                        if verdict is not None or names:
                            self._object(folder.fd, folder.path, name, info, place, names)
                    if kind == 0o040000 and self.recurse:
                        children.append(Child(name, below.enter(match), info))
        except OSError as exc:
            denied = exc.errno in DENIED and not children
            if denied and self._as_service(below, folder.path, (folder.fd, "."), None):
                return []
            if exc.errno not in VANISHED:
                self._unread(below, folder.path, exc.strerror or str(exc))
        self.entries += entries
        return children

    def _mounted(self, folder: Folder, match: Match, below: Below, name: str) -> None:
        if self._place_of(match).exempt:
            self.excepted += 1
        else:
            self._unread(below.enter(match), f"{folder.path}/{name}", ANOTHER_FILE_SYSTEM)

    def _denied_mount(self, folder: Folder, below: Below, name: str, exc: OSError) -> None:
        """Look at a mount that does not even tell root what it is."""
        if not self.recurse:
            return
        match = below.match(name)
        place = self._place_of(match)
        path = f"{folder.path}/{name}"
        if place.exempt:
            self.excepted += 1
        elif not self._as_service(below.enter(match), path, (folder.fd, name), place):
            self._unread(below.enter(match), path, exc.strerror or str(exc))

    # ---- one object ----------------------------------------------------------------------------

    def _assess(
        self, place: Place, info: os.stat_result, through: str, follow: bool, names: list[str]
    ) -> Verdict | None:
        """Judge an object, with its access lists and capabilities where it has any.

        Args:
            place: what is asked of it.
            info: its status.
            through: path to it by way of a descriptor.
            follow: whether that path ends in the descriptor of the object itself.
            names: its extended attributes.

        """
        access = default = None
        capability = b""
        if names:
            if ACL_ACCESS in names:
                access = Acl.parse(self._getxattr(through, ACL_ACCESS, follow))
            if ACL_DEFAULT in names:
                default = Acl.parse(self._getxattr(through, ACL_DEFAULT, follow))
            if CAPABILITY in names:
                capability = self._getxattr(through, CAPABILITY, follow)
        if access is None and default is None and not capability:
            key = (info.st_mode, info.st_uid, info.st_gid)
            return place.known[key] if key in place.known else place.policy.remember(*key)
        return place.policy.assess(info.st_mode, info.st_uid, info.st_gid, access, default, capability)

    @staticmethod
    def _getxattr(through: str, name: str, follow: bool) -> bytes:
        try:
            return os.getxattr(through, name, follow_symlinks=follow)
        except OSError:
            return b""

    def _object(
        self, folder_fd: int, folder_path: str, name: str, info: os.stat_result, place: Place, names: list[str]
    ) -> None:
        """Count what is wrong with an object and put it right if allowed."""
        through = f"/proc/self/fd/{folder_fd}/{name}" if name else f"/proc/self/fd/{folder_fd}"
        verdict = self._assess(place, info, through, not name, names)
        if verdict is None:
            return
        path = f"{folder_path}/{name}" if name else folder_path
        why = verdict.why_not
        failed = False
        if verdict.changes(info.st_mode, info.st_uid, info.st_gid):
            if stat.S_ISREG(info.st_mode) and info.st_nlink > 1 and info.st_uid != self.service.uid:
                # Somebody may have linked a file of the system here to have its owner or mode changed.
                failed = True
                why = f"it has {info.st_nlink} hard links; remove the others or replace it by a copy"
            else:
                try:
                    current = self._change(folder_fd, path, name, info, place, verdict, names)
                except ChangeError as exc:
                    failed = True
                    why = str(exc)
                    prefix = f"{printable(path)}: "
                    why = why[len(prefix) :] if why.startswith(prefix) else why
                    if self._acting_as:
                        why += f", tried as {self._acting_as} because {self._why_acting}"
                    elif self._change_as_service(exc, folder_fd, path, name, info, place, verdict, names):
                        failed, why = False, ""
                else:
                    if current is None:
                        return
                    verdict = current
        actual = verdict.actual if not why else f"{verdict.actual}; not put right: {why}"
        if verdict.rule is not None and place.index >= 0:
            control = place.policy.control
            if self.report.findings.judges(control):
                self._count(control, verdict.rule, path, verdict, actual, verdict.rule_repairs and not failed)
        for trait in verdict.traits:
            repaired = trait in verdict.trait_repairs and not failed
            self._count(str(self.trait_control), trait, path, verdict, actual, repaired)

    def _count(self, control: str, kind: str, path: str, verdict: Verdict, actual: str, repaired: bool) -> None:
        tally = self._tally(control)
        key = (self.number, kind)
        if key not in tally.phrases:
            one, many = _PHRASES[kind]
            service = self.service.user or "the product"
            where = "under" if self.recurse else "in"
            tally.phrases[key] = (
                "path",
                f"{where} the {self.name} {one.format(service=service)}",
                f"{where} the {self.name} {many.format(service=service)}",
            )
        tally.add(key, path, verdict.expected, actual, repaired)

    def _change(
        self,
        folder_fd: int,
        path: str,
        name: str,
        info: os.stat_result,
        place: Place,
        verdict: Verdict,
        names: list[str],
    ) -> Verdict | None:
        """Apply a verdict; return the one that was applied, None when the object has gone or is right by now."""
        if self.changes.check_mode:
            self._apply(path, -1, info, place, verdict, b"")
            return verdict
        flags = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            descriptor = os.open(name or ".", flags, dir_fd=folder_fd)
        except OSError as exc:
            if exc.errno in VANISHED:
                return None
            raise ChangeError(exc.strerror or str(exc)) from exc
        try:
            fresh = os.fstat(descriptor)
            if (fresh.st_dev, fresh.st_ino) != (info.st_dev, info.st_ino):
                return None
            through = f"/proc/self/fd/{descriptor}"
            if (fresh.st_mode, fresh.st_uid, fresh.st_gid) != (info.st_mode, info.st_uid, info.st_gid):
                again = self._assess(place, fresh, through, True, names)
                if again is None:
                    return None
                verdict = again
            capability = self._getxattr(through, CAPABILITY, True) if verdict.keep_capability else b""
            self._apply(path, descriptor, fresh, place, verdict, capability)
        finally:
            os.close(descriptor)
        return verdict

    def _change_as_service(self, refusal: ChangeError, *change: Any) -> bool:
        """Change an object of the service account where a server or FUSE program refuses it to root.

        What lies below on the same device is then walked as the account altogether.
        """
        path, info = change[1], change[3]
        cause = refusal.__cause__
        if not isinstance(cause, OSError) or cause.errno not in DENIED:
            return False
        if info.st_uid != self.service.uid or not self.mounts.served(path):
            return False

        def work() -> bool:
            try:
                self._change(*change)
            except ChangeError:
                return False
            return True

        done = self._become(work, "root may not change anything here")
        if done:
            self._refused.add(info.st_dev)
        return done

    def _apply(
        self, path: str, descriptor: int, info: os.stat_result, place: Place, verdict: Verdict, capability: bytes
    ) -> None:
        policy = place.policy
        mode = stat.S_IMODE(info.st_mode)
        before = f"{self.accounts.user(info.st_uid)}:{self.accounts.group(info.st_gid)} {mode_text(mode)}"
        after = f"{policy.owner_text(verdict.uid)}:{policy.group_text(verdict.gid)} {mode_text(verdict.mode)}"
        if (verdict.uid, verdict.gid, verdict.mode) != (info.st_uid, info.st_gid, mode):
            if UNKNOWN in (verdict.uid, verdict.gid):
                # Only predicted: the account has no number yet.
                self.changes.announce(printable(path), "permissions", before, after)
            else:
                self.changes.set_permissions(path, descriptor, info, verdict.uid, verdict.gid, verdict.mode)
                # A change of owner clears capabilities, also those nobody asked to take away.
                if verdict.keep_capability and (verdict.uid, verdict.gid) != (info.st_uid, info.st_gid):
                    self.changes.set_xattr(path, descriptor, CAPABILITY, capability, "capabilities", "kept", "kept")
        if verdict.drop_capability:
            self.changes.set_xattr(path, descriptor, CAPABILITY, None, "capabilities", "present", "none")
            after += ", no capabilities"
        for attribute, (value, found, wanted) in sorted(verdict.acls.items()):
            label = "access list" if attribute == ACL_ACCESS else "default access list"
            self.changes.set_xattr(path, descriptor, attribute, value, label, found, wanted)
            before += f", {label} {found}"
            after += f", {label} {wanted}"
        self.changed += 1
        control = policy.control if verdict.rule is not None else str(self.trait_control)
        self._diff_count[control] = self._diff_count.get(control, 0) + 1
        lines = self._diff.setdefault(control, [])
        if len(lines) < DIFF_LINES:
            lines.append(f"{printable(path)}: {before} -> {after}\n")

    def _finish_diff(self) -> None:
        text = []
        for control in sorted(self._diff):
            count = self._diff_count[control]
            text.append(f"{control}, {self.name} {printable(self.path)}: {plural(count, 'path')}\n")
            text += self._diff[control]
            if count > len(self._diff[control]):
                text.append(f"and {count - len(self._diff[control])} more\n")
        if text:
            self.changes.diff.append({"prepared": "".join(text)})

    # ---- what is only named --------------------------------------------------------------------

    def _archive(self, folder_path: str, name: str, place: Place) -> None:
        if place.archive is None:
            return
        tally = self._tally(place.archive["control"])
        key = (self.number, ARCHIVE)
        tally.phrases[key] = (
            "file",
            f"in the {self.name} looks like a backup archive or secret",
            f"in the {self.name} look like backup archives or secrets",
        )
        tally.add(key, f"{folder_path}/{name}", "no backup archive or secret here", "present", False)

    def _link(self, folder: Folder, name: str, below: Below, match: Match) -> None:
        """Name a link that leads out of the tree where something of the product's is expected."""
        path = f"{folder.path}/{name}"
        target = os.path.realpath(path)
        inside = any(target == root or target.startswith(f"{root.rstrip('/')}/") for root in self.covered)
        if inside or not os.path.lexists(target):
            return
        place = self._place_of(match)
        why = f"it is a symbolic link to {printable(target)}, which is outside the trees looked at"
        if os.path.isdir(target):
            self._unread(below.enter(match), path, why)
        elif place.index >= 0 and self.report.findings.judges(place.policy.control):
            self._tally(place.policy.control).not_looked_at(printable(path), why)

    def statistics(self) -> dict[str, Any]:
        """Return how much was looked at."""
        return {
            "instance": self.instance,
            "name": self.name,
            "path": None if self.path is None else printable(self.path),
            "entries": self.entries,
            "changed": self.changed,
            "excepted": self.excepted,
        }


@contextlib.contextmanager
def _working_folder_kept() -> Iterator[None]:
    """Come back to the working folder, or to the root where that is gone."""
    before = -1
    with contextlib.suppress(OSError):
        before = os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield
    finally:
        try:
            os.fchdir(before)
        except OSError:
            os.chdir("/")
        if before >= 0:
            os.close(before)


def check_trees(params: dict[str, Any], changes: Changes, mounts: Mounts | None = None) -> dict[str, Any]:
    """Judge all trees, and put right what may be.

    Args:
        params: the parameters of the module.
        changes: through which to change things.
        mounts: the host's mount points, read from the kernel when not given.

    Returns:
        The result of the module, what was changed apart.

    Raises:
        PolicyError: a rule that cannot be understood; nothing was changed.

    """
    trees: list[dict[str, Any]] = params["trees"]
    known: set[str] = set()
    for tree in trees:
        parts = [*(tree.get("rules") or []), *(tree.get("archives") or [])]
        known.update(part["control"] for part in parts)
        if tree.get("trait_control"):
            known.add(tree["trait_control"])
    findings = Findings(params, sorted(known), changes.check_mode)
    report = Report(findings)
    accounts = Accounts()
    mounts = mounts or Mounts()
    covered = [tree["path"] for tree in trees if tree.get("path") and tree.get("recurse", True)]
    checks = [TreeCheck(number, tree, accounts, mounts, report, changes, covered) for number, tree in enumerate(trees)]
    with _working_folder_kept():
        for check in checks:
            check.run()
    report.finish(changes.fault)
    return {
        "dc_findings": findings.results,
        "statistics": [check.statistics() for check in checks],
        "change_count": changes.count,
    }
