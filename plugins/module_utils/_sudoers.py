# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of sudo: which of them name an account, and how to leave it out of them.

Only the list of users at the start of each rule is understood, for that is all that matters here; what the rule allows
stays as it is. Positions are those of the original text, so that nothing but the list of users ever changes.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

MAX_FILES = 1000
MAX_DEPTH = 128  # the limit of sudo itself

_GAP = r"(?:[ \t\r]|\\[ \t]*\r?\n)*"
_ITEM = re.compile(
    rf"(?P<negation>(?:!{_GAP})*)"
    r"(?P<name>(?:%:?|\+)?(?:\"[^\"\n]*\"|\#[0-9]+|(?:\\[^\n]|[^\s,=:!()\"\\\#])+))"
)
_SKIP = re.compile(_GAP)
_COMMENT = re.compile(r"(?:^|[ \t])#(?!(?:include|includedir)[ \t])(?![0-9])")
_INCLUDE = re.compile(r"[ \t]*[#@](include|includedir)[ \t]+(.*)", re.DOTALL)
_ALIAS = re.compile(r"[ \t]*(User_Alias|Runas_Alias|Host_Alias|Cmnd_Alias|Cmd_Alias)(?=[\s\\])")
_DEFAULTS = re.compile(r"[ \t]*Defaults(?=[\s@:!>\\]|$)")


@dataclass(frozen=True)
class Identity:
    """Who a rule may be about."""

    name: str
    uid: int
    groups: frozenset[str] = frozenset()
    gids: frozenset[int] = frozenset()


@dataclass(frozen=True)
class UserItem:
    """One entry of a list of users, with its place in the text."""

    name: str
    negated: bool
    start: int
    end: int
    quoted: bool = False

    def is_account(self, who: Identity) -> bool:
        """Whether it names this very account, by name or number."""
        return self.name == who.name or (not self.quoted and self.name == f"#{who.uid}")


@dataclass(frozen=True)
class Rule:
    """One rule: its place in the text and its list of users."""

    start: int
    end: int
    line: int
    users: tuple[UserItem, ...]


@dataclass
class Sudoers:
    """What one file says."""

    path: str
    text: str
    rules: list[Rule] = field(default_factory=list)
    aliases: dict[str, tuple[UserItem, ...]] = field(default_factory=dict)
    includes: list[tuple[str, str]] = field(default_factory=list)


def _logical_lines(text: str) -> Iterable[tuple[int, int, int]]:
    """Yield start, end (without the newline) and line number of each line, continuations joined."""
    position, number = 0, 1
    while position < len(text):
        start, first = position, number
        while True:
            newline = text.find("\n", position)
            end = len(text) if newline < 0 else newline
            physical = text[position:end].rstrip(" \t\r")
            position, number = end + 1, number + 1
            # sudo ends a comment with its line, whatever stands at the end of it.
            if newline < 0 or not physical.endswith("\\") or _COMMENT.search(physical):
                break
        yield start, end, first


def _skip(text: str, position: int, end: int) -> int:
    match = _SKIP.match(text, position, end)
    return match.end() if match else position


def _user_list(text: str, position: int, end: int) -> tuple[tuple[UserItem, ...], int]:
    """Return the entries of a comma-separated list and where it ends; no entries when it is none."""
    items = []
    while True:
        position = _skip(text, position, end)
        match = _ITEM.match(text, position, end)
        if not match:
            return (), position
        raw = match["name"]
        prefix = re.match(r"%:?|\+", raw)
        body = raw[prefix.end() :] if prefix else raw
        quoted = body.startswith('"')
        plain = body[1:-1] if quoted else re.sub(r"\\(.)", r"\1", body)
        items.append(
            UserItem(
                (prefix[0] if prefix else "") + plain, match["negation"].count("!") % 2 == 1, *match.span(), quoted
            )
        )
        after = _skip(text, match.end(), end)
        if after >= end or text[after] != ",":
            return tuple(items), match.end()
        position = after + 1


def _parse_aliases(text: str, position: int, end: int) -> dict[str, tuple[UserItem, ...]]:
    aliases: dict[str, tuple[UserItem, ...]] = {}
    while True:
        position = _skip(text, position, end)
        match = re.compile(r"[A-Z][A-Z0-9_]*").match(text, position, end)
        if not match:
            return aliases
        position = _skip(text, match.end(), end)
        if position >= end or text[position] != "=":
            return aliases
        items, position = _user_list(text, position + 1, end)
        aliases[match[0]] = items
        position = _skip(text, position, end)
        if position >= end or text[position] != ":":
            return aliases
        position += 1


def parse(path: str, text: str) -> Sudoers:
    """Return the rules, aliases of users and includes of one file."""
    result = Sudoers(path, text)
    for start, end, number in _logical_lines(text):
        line = text[start:end]
        include = _INCLUDE.match(line)
        if include:
            result.includes.append((include[1], include[2].strip().strip('"').replace("\\ ", " ")))
            continue
        stripped = line.lstrip()
        if not stripped or re.match(r"#(?![0-9])", stripped) or _DEFAULTS.match(line):
            continue
        alias = _ALIAS.match(line)
        if alias:
            if alias[1] == "User_Alias":
                result.aliases.update(_parse_aliases(text, start + alias.end(), end))
            continue
        users, after = _user_list(text, start, end)
        if users and "=" in text[after:end]:
            result.rules.append(Rule(start, end, number, users))
    return result


def read_tree(root: str, hostname: str, start: str = "/etc/sudoers") -> list[Sudoers]:
    """Return all files of a sudoers policy: the main file and whatever it includes."""
    found: list[Sudoers] = []
    seen: set[str] = set()

    def read(path: str, depth: int) -> None:
        if path in seen or depth > MAX_DEPTH or len(found) >= MAX_FILES:
            return
        seen.add(path)
        try:
            with open(os.path.join(root, path.lstrip("/")), "rb") as handle:
                text = handle.read(16 * 1024 * 1024).decode("utf-8", "surrogateescape")
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            return
        sudoers = parse(path, text)
        found.append(sudoers)
        for kind, value in sudoers.includes:
            target = value.replace("%h", hostname.partition(".")[0])
            if not target.startswith("/"):
                target = os.path.join(os.path.dirname(path), target)
            if kind == "include":
                read(target, depth + 1)
                continue
            try:
                names = sorted(os.listdir(os.path.join(root, target.lstrip("/"))))
            except (FileNotFoundError, NotADirectoryError):
                continue
            for name in names:
                # sudo skips names that end in ~ or hold a dot: they belong to package managers and editors.
                if not name.endswith("~") and "." not in name:
                    read(os.path.join(target, name), depth + 1)

    read(start, 0)
    return found


def _matches_item(
    item: UserItem, who: Identity, aliases: Mapping[str, tuple[UserItem, ...]], depth: int = 0
) -> bool | None:
    """Whether an entry speaks of the account, its negation aside; None when it does not."""
    name = item.name
    if item.is_account(who):
        return True
    if item.quoted and not name.startswith("%"):
        return None
    if name == "ALL":
        return True
    if name.startswith("%#"):
        return True if name[2:].isdigit() and int(name[2:]) in who.gids else None
    if name.startswith("%"):
        return True if name[1:] in who.groups else None
    if name in aliases and depth < MAX_DEPTH:
        return _matches(aliases[name], who, aliases, depth + 1)
    return None


def _matches(
    items: Iterable[UserItem], who: Identity, aliases: Mapping[str, tuple[UserItem, ...]], depth: int = 0
) -> bool | None:
    """Whether a list of users is about the account: the last entry that speaks of it decides."""
    verdict: bool | None = None
    for item in items:
        says = _matches_item(item, who, aliases, depth)
        if says is not None:
            verdict = says != item.negated
    return verdict


@dataclass(frozen=True)
class Grant:
    """A rule that gives an account rights."""

    path: str
    line: int
    users: str
    removable: bool
    """Whether leaving the account out of the rule is enough."""


def all_aliases(files: Iterable[Sudoers]) -> dict[str, tuple[UserItem, ...]]:
    """Return the aliases of users of all files; sudo knows them everywhere, before their definition too."""
    return {name: items for sudoers in files for name, items in sudoers.aliases.items()}


def grants(sudoers: Sudoers, who: Identity, aliases: Mapping[str, tuple[UserItem, ...]]) -> list[Grant]:
    """Return the rules of one file that give the account rights."""
    found = []
    for rule in sudoers.rules:
        if not _matches(rule.users, who, aliases):
            continue
        others = [item for item in rule.users if not item.is_account(who)]
        users = " ".join(sudoers.text[rule.users[0].start : rule.users[-1].end].replace("\\\n", " ").split())
        found.append(Grant(sudoers.path, rule.line, users, not _matches(others, who, aliases)))
    return found


def without_account(sudoers: Sudoers, who: Identity) -> str:
    """Return the text of the file with the account left out of every rule that names it.

    Rules that name nobody else are taken out as a whole. A file that would be left empty keeps a comment, so that
    whoever finds it knows why.
    """
    text = sudoers.text
    for rule in reversed(sudoers.rules):
        kept = [item for item in rule.users if item.negated or not item.is_account(who)]
        if len(kept) == len(rule.users):
            continue
        # What is left of a list like "jira, !bob" never allows anything.
        if any(not item.negated for item in kept):
            users = ", ".join(text[item.start : item.end] for item in kept)
            text = text[: rule.users[0].start] + users + text[rule.users[-1].end :]
        else:
            text = text[: rule.start] + text[rule.end + 1 :]
    if not text.strip() and sudoers.text.strip():
        text = f"# The rules of account {who.name} were taken out: a service account needs no rights of sudo.\n"
    return text
