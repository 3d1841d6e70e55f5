# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What fail2ban says of a configuration (``fail2ban-client -d``) and of the server that runs (``-i``).

Forms were read in its sources, releases 1.0.2 and 1.1.0: client/jailreader.py, client/beautifier.py.
"""

from __future__ import annotations

import ast
import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Union

from ansible_collections.atlassian_dc.hardening.plugins.module_utils._fail2ban_jails import ACTION, DIGEST

PROMPT = "fail2ban> "

Network = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


@dataclass
class JailDump:
    """What a configuration makes of a jail."""

    backend: str = ""
    values: dict[str, Any] = field(default_factory=dict)
    """By option; of those that are given again and again, such as logs, a list."""
    actions: dict[str, dict[str, str]] = field(default_factory=dict)
    """Properties of its actions."""

    @property
    def ignore(self) -> list[str]:
        """Who it never bans."""
        return list(self.values.get("addignoreip", ()))

    @property
    def logs(self) -> list[str]:
        """Logs it reads that exist."""
        return list(self.values.get("addlogpath", ()))


@dataclass
class Dump:
    """What fail2ban makes of a configuration."""

    server: dict[str, Any] = field(default_factory=dict)
    jails: dict[str, JailDump] = field(default_factory=dict)
    """Those that are enabled."""
    errors: list[str] = field(default_factory=list)

    @property
    def logless(self) -> list[str]:
        """Jails that read files of which none is there: fail2ban does not start with one."""
        return [name for name, jail in self.jails.items() if not jail.backend.startswith("systemd") and not jail.logs]


_REPEATED = ("addlogpath", "addfailregex", "addignoreregex", "addjournalmatch", "addignoreip", "addaction")


def parse_dump(text: str) -> Dump:
    """Return what ``fail2ban-client -d`` prints; lines of another form are passed over."""
    dump = Dump()
    for line in text.splitlines():
        try:
            words = ast.literal_eval(line)
        except (ValueError, SyntaxError):
            continue
        if isinstance(words, list) and len(words) > 1:
            _take(dump, words)
    return dump


def _take(dump: Dump, words: list[Any]) -> None:
    verb, name, *rest = words
    if verb == "config-error":
        dump.errors.append(str(name))
    elif verb == "add":
        dump.jails[name] = JailDump(str(rest[0]) if rest else "")
    elif verb == "set" and len(rest) == 1 and name not in dump.jails:
        dump.server[name] = rest[0]
    elif verb in ("set", "multi-set") and name in dump.jails and rest:
        _set(dump.jails[name], rest)


def _set(jail: JailDump, words: list[Any]) -> None:
    option, *values = words
    if option == "action" and len(values) == 2 and isinstance(values[1], list):
        jail.actions.setdefault(values[0], {}).update((pair[0], str(pair[1])) for pair in values[1])
    elif option in _REPEATED:
        flat = values[0] if len(values) == 1 and isinstance(values[0], list) else values
        # Of a log the second word says where reading begins.
        jail.values.setdefault(option, []).extend(flat[:1] if option == "addlogpath" else flat)
    else:
        jail.values[option] = values[0] if len(values) == 1 else values


def differences(wanted: JailDump, actual: JailDump, options: Iterable[str] | None = None) -> list[tuple[str, str, str]]:
    """Return option, wanted and actual value where a jail is not as it should be.

    Args:
        wanted: as the files of ours make it.
        actual: as all files make it.
        options: those that are ours; all of them without.

    """
    pairs: dict[str, tuple[Any, Any]] = {"backend": (wanted.backend, actual.backend)}
    for option in {**wanted.values, **actual.values} if options is None else options:
        pairs[option] = (wanted.values.get(option), actual.values.get(option))
    for name, own in wanted.actions.items():
        # Further actions of somebody else, such as a mail, take nothing away.
        there = actual.actions.get(name, {})
        pairs.update({f"{name}[{key}]": (value, there.get(key)) for key, value in own.items()})
    return [
        (option, _short(first), _short(second))
        for option, (first, second) in pairs.items()
        if first != second and option != "addaction"
    ]


def _short(value: Any) -> str:
    if value is None:
        return "not set"
    text = " ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= 120 else f"{text[:120]}…"


# ---- the server that runs ------------------------------------------------------------------------


@dataclass
class Running:
    """What the server says of itself."""

    answers: bool = False
    jails: dict[str, dict[str, str]] = field(default_factory=dict)
    """Answers by jail and question."""


QUESTIONS = ("maxretry", "findtime", "bantime", "ignoreip", "logpath")
OWN_QUESTIONS = ("bantime.increment", f"action {ACTION} {DIGEST}", f"action {ACTION} port")


def parse_answers(text: str) -> list[str]:
    """Return the answers of ``fail2ban-client -i``, one for each command."""
    return [answer.strip() for answer in text.split(PROMPT)[1:]]


def items(answer: str) -> list[str]:
    """Return the elements of an answer that is a list."""
    return [match[1] for match in re.finditer(r"(?m)^[|`]- (.+)$", answer)]


def seconds(value: Any) -> int | None:
    """Return a time as seconds, ``10m`` or ``1d 12h`` too; None where it is none."""
    text = str(value).strip()
    if not re.fullmatch(r"(?:[0-9]+ ?[smhdw]? ?)+", text):
        return None
    return sum(int(match[1]) * _UNITS[match[2]] for match in re.finditer(r"([0-9]+) ?([smhdw]?)", text))


def stray(dump: JailDump, answers: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """Return question, wanted and actual value where the server differs from the configuration.

    Args:
        dump: what the configuration makes of the jail.
        answers: what the server says of the jail, by question.

    """
    found = []
    for option in ("maxretry", "findtime", "bantime"):
        wanted = seconds(dump.values.get(option))
        if wanted is not None and seconds(answers.get(option, "")) != wanted:
            found.append((option, str(wanted), answers.get(option) or "not told"))
    missing = not_covered(dump.ignore, items(answers.get("ignoreip", "")))
    if missing:
        found.append(("ignoreip", ", ".join(missing), "not ignored"))
    left = unread(dump, answers)
    if left:
        found.append(("logpath", ", ".join(left), "not read"))
    digest = dump.actions.get(ACTION, {}).get(DIGEST)
    if digest is not None and answers.get(f"action {ACTION} {DIGEST}") != digest:
        found.append(("jail and filter", "as in the files", "older or others"))
    if dump.values.get("bantime.increment") is True and answers.get("bantime.increment") != "True":
        found.append(("bantime.increment", "True", answers.get("bantime.increment") or "not told"))
    return found


def unread(dump: JailDump, answers: Mapping[str, str] | None) -> list[str]:
    """Return the logs that exist and that a running jail does not read; none of a jail that does not run."""
    if answers is None or dump.backend.startswith("systemd"):
        return []
    return sorted({*dump.logs} - {*items(answers.get("logpath", ""))})


# ---- who is never banned -------------------------------------------------------------------------


def _network(word: str) -> Network | None:
    try:
        return ipaddress.ip_network(word, strict=False)
    except ValueError:
        return None


def not_covered(wanted: Iterable[str], words: Sequence[str]) -> list[str]:
    """Return the networks of which some address is in none of the words of an ``ignoreip``."""
    known: dict[int, list[Any]] = {4: [], 6: []}
    for network in map(_network, words):
        if network is not None:
            known[network.version].append(network)
    joined = {version: list(ipaddress.collapse_addresses(networks)) for version, networks in known.items()}
    missing = []
    for word in wanted:
        network = _network(word)
        if network is not None and not any(network.subnet_of(other) for other in joined[network.version]):
            missing.append(word)
    return missing


def merged(words: Iterable[str], wanted: Iterable[str]) -> list[str]:
    """Return the words of an ``ignoreip`` with what it lacks added; nothing of it is taken away."""
    words = list(dict.fromkeys(words))
    return words + not_covered(wanted, words)


# ---- a jail of somebody else ---------------------------------------------------------------------


def flaws_of_sshd(jail: JailDump | None, ports: Iterable[int]) -> list[tuple[str, str, str]]:
    """Return what keeps a jail of SSH from working: what, wanted and actual."""
    if jail is None:
        return [("jail sshd", "enabled", "not enabled")]
    found = []
    if not jail.backend.startswith("systemd") and not jail.logs:
        found.append(("its log", "exists", "none of its files is there"))
    if not jail.actions and not jail.values.get("addaction"):
        found.append(("its action", "bans", "none"))
    covered = [_ports_of(properties) for properties in jail.actions.values()]
    missing = [str(port) for port in ports if covered and not any(each is None or port in each for each in covered)]
    if missing:
        found.append(("its ports", f"those of SSH: {', '.join(missing)} too", "not among them"))
    return found


def _ports_of(properties: Mapping[str, str]) -> set[int] | None:
    """Return the ports an action closes; None for all."""
    text = properties.get("port")
    if text is None or properties.get("type") == "allports" or "allports" in properties.get("actname", ""):
        return None
    found: set[int] = set()
    for part in text.split(","):
        word = {"ssh": "22"}.get(part.strip(), part.strip())
        match = re.fullmatch(r"([0-9]{1,5})(?:[:-]([0-9]{1,5}))?", word)
        if match:
            found.update(range(int(match[1]), int(match[2] or match[1]) + 1))
    return found
