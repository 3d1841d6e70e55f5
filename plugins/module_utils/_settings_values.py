# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of products in one form: what a place says, and whether that is what is wanted.

Pure: who looks into files and asks the product is `_settings_places`.

A setting is an entry of section ``settings`` of the product data. Its value is a boolean, a number, a list of words,
levels by area, or a period, which counts in days.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.atlassian_dc.hardening.plugins.module_utils._audit_coverage import LEVELS
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._findings import Evidence, evidence
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._versions import VersionError, parse_version

MAX_WORDS = 1000
MAX_SHOWN = 10
MAX_WORD = 80

DAYS = {"years": 365, "months": 30, "days": 1}

UNSET = object()
"""What a place says that does not name the setting: the next one decides."""


class UnknownValueError(Exception):
    """A place that should tell does not; says why. What comes after it counts no longer."""


@dataclass(frozen=True)
class Reading:
    """What is known of a setting.

    Attributes:
        value: its value; None where nobody can tell.
        where: where it was read, in words.
        kind: kind of that place, ``default`` where none of them names it, ``unknown``.
        why: why it is not known.

    """

    value: Any
    where: str
    kind: str
    why: str = ""

    @property
    def known(self) -> bool:
        """Whether it has a value."""
        return self.kind != "unknown"


# ---- versions --------------------------------------------------------------------------------------------------------


def reached(version: str, since: Iterable[str]) -> bool:
    """Whether a version has what came with these: in its own line with that one, in later lines with the last.

    Raises:
        UnknownValueError: it is no version.

    """
    try:
        mine, known = parse_version(version), sorted(map(parse_version, since))
    except VersionError as exc:
        raise UnknownValueError(f"its version is not known: {exc}") from exc
    own_line = (release for release in known if release.numbers[:2] == mine.numbers[:2])
    return any(mine >= release for release in own_line) or mine >= known[-1]


def concerns(entry: Mapping[str, Any], version: str | None) -> bool | None:
    """Whether an entry is one of a version; None where the version is needed and not known."""
    since, before = entry.get("since"), entry.get("before")
    if not since and not before:
        return True
    try:
        mine = parse_version(version or "")
    except VersionError:
        return None
    return not (since and mine < parse_version(since)) and not (before and mine >= parse_version(before))


# ---- what a place says -----------------------------------------------------------------------------------------------


def shown(value: Any) -> str:
    """Return a value for people: they are not flooded by whatever a product answers."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, (list, tuple)):
        words = [str(word)[:MAX_WORD] for word in value[:MAX_SHOWN]]
        more = f" and {len(value) - MAX_SHOWN} more" if len(value) > MAX_SHOWN else ""
        return (", ".join(words) + more) if words else "none"
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {level}" for key, level in sorted(value.items()))
    return str(value)[:MAX_WORD]


def picked(body: Any, place: Mapping[str, Any]) -> Any:
    """Return the part of an answer that a place means; `UNSET` where it is not in it.

    Raises:
        UnknownValueError: the answer has another form.

    """
    where, each = place.get("where"), place.get("each")
    if where or each:
        items = body.get("results") if isinstance(body, dict) and isinstance(body.get("results"), list) else body
        items = items if isinstance(items, list) else [items]
        if not all(isinstance(item, dict) for item in items):
            raise UnknownValueError("answers with another list than expected")
        items = [item for item in items if all(item.get(key) == value for key, value in (where or {}).items())]
        if each:
            return [str(item.get(each)) for item in items]
        if not items:
            return UNSET
        body = items[0]
    for key in place.get("pointer") or ():
        if not isinstance(body, dict):
            raise UnknownValueError("answers in another form than expected")
        if key not in body:
            return UNSET
        body = body[key]
    return body


def normal(kind: str, raw: Any, values: Mapping[str, Any] | None = None) -> Any:
    """Return a value in the common form; `UNSET` where it says nothing of the setting.

    Args:
        kind: type of the setting.
        raw: as a place has it.
        values: what the words of this place mean; null means that it says nothing.

    Raises:
        UnknownValueError: it is no value of the type.

    """
    if values and isinstance(raw, (str, bool, int)):
        word = ("true" if raw else "false") if isinstance(raw, bool) else str(raw).strip()
        if word in values:
            return UNSET if values[word] is None else values[word]
    found: Any = None
    if kind == "boolean":
        found = {"true": True, "false": False}.get(str(raw).strip().lower()) if isinstance(raw, (str, bool)) else None
    elif kind == "number" and not isinstance(raw, bool):
        text = str(raw).strip() if isinstance(raw, (str, int)) else ""
        found = int(text) if text.isascii() and text.isdigit() and len(text) < 12 else None
    elif kind == "words":
        right = isinstance(raw, list) and len(raw) <= MAX_WORDS and all(isinstance(word, str) for word in raw)
        found = raw if right else None
    elif kind == "levels" and isinstance(raw, dict) and len(raw) <= MAX_WORDS:
        levels = {str(key).lower().replace("_", "-"): str(level).lower() for key, level in raw.items()}
        found = levels if levels and set(levels.values()) <= set(LEVELS) else None
    elif kind == "period" and isinstance(raw, dict):
        parts = {key: raw.get(key) or 0 for key in DAYS}
        right = all(isinstance(part, int) and 0 <= part < 100_000 for part in parts.values())
        found = sum(parts[key] * days for key, days in DAYS.items()) if right and set(raw) & set(DAYS) else None
    if found is None:
        raise UnknownValueError(f"says {shown(raw)!r}, which is no {kind}")
    return found


def written(body: Any, kind: str, value: Any) -> Any:
    """Return what is sent to set a value.

    Args:
        body: as product data describes it; ``{value}`` stands for the value, ``{text}`` for it as text,
            ``{not}`` for its opposite.
        kind: type of the setting.
        value: the value.

    """
    if isinstance(body, Mapping):
        return {key: written(part, kind, value) for key, part in body.items()}
    if body == "{text}":
        return str(value)
    if body == "{not}":
        return not value
    if body != "{value}":
        return body
    if kind == "period":
        return {"years": value // 365, "months": 0, "days": value % 365}
    return value


# ---- what is wanted --------------------------------------------------------------------------------------------------

RULES = ("equals", "at_most", "at_least", "between", "only", "some", "levels")


class RuleError(ValueError):
    """What is wanted of a setting makes no sense; says what."""


@dataclass(frozen=True)
class Rule:
    """What is wanted of a setting: one of `RULES` and its operand."""

    kind: str
    wanted: Any

    @classmethod
    def of(cls, name: str, wanted: Any) -> Rule:
        """Return the rule that a mapping of one key describes; any other value is wanted as it is.

        Raises:
            RuleError: there is no such rule.

        """
        if not isinstance(wanted, Mapping):
            return cls("equals", wanted)
        if len(wanted) != 1 or next(iter(wanted)) not in RULES:
            raise RuleError(f"{name}: one of {', '.join(RULES)} is expected, not {', '.join(map(str, wanted))}")
        ((kind, operand),) = wanted.items()
        fits = {
            "at_most": _is_number(operand),
            "at_least": _is_number(operand),
            "between": isinstance(operand, (list, tuple)) and len(operand) == 2 and all(map(_is_number, operand)),
            "only": isinstance(operand, (list, tuple)),
            "levels": isinstance(operand, Mapping) and set(operand.values()) <= set(LEVELS),
        }
        if not fits.get(kind, True):
            raise RuleError(f"{name}: {operand!r} is nothing that {kind} can take")
        return cls(kind, operand)

    @property
    def words(self) -> str:
        """What is wanted, for people."""
        if self.kind == "between":
            return f"{self.wanted[0]} to {self.wanted[1]}"
        if self.kind == "some":
            return "at least one"
        if self.kind == "only":
            return "none" if not self.wanted else f"nothing but {shown(self.wanted)}"
        prefix = {"equals": "", "at_most": "at most ", "at_least": "at least ", "levels": "at least "}[self.kind]
        return prefix + shown(self.wanted)

    def broken(self, title: str, value: Any, where: str) -> list[Evidence]:
        """Return evidence of what is not as wanted.

        Args:
            title: what the setting is called.
            value: its value.
            where: where that was read.

        """
        if self.kind == "levels":
            if not set(self.wanted) & set(value):
                return [evidence(f"{title} ({where})", f"levels of {shown(sorted(self.wanted))}", shown(sorted(value)))]
            return [
                evidence(f"{title}: {area} ({where})", f"{level} or more", value[area])
                for area, level in sorted(self.wanted.items())
                if area in value and LEVELS.index(value[area]) < LEVELS.index(level)
            ]
        if self.kind == "only":
            beyond = [word for word in value if word not in self.wanted]
            return [evidence(f"{title} ({where})", self.words, shown(beyond))] if beyond else []
        right = {
            "equals": lambda: value == self.wanted,
            "at_most": lambda: value <= self.wanted,
            "at_least": lambda: value >= self.wanted,
            "between": lambda: self.wanted[0] <= value <= self.wanted[1],
            "some": lambda: bool(value),
        }[self.kind]()
        return [] if right else [evidence(f"{title} ({where})", self.words, shown(value))]

    def nearest(self, value: Any) -> Any:
        """Return the value that is right and nearest to the one there is; None where nobody can tell one."""
        if self.kind == "levels":
            better = {
                area: level
                for area, level in self.wanted.items()
                if area in value and LEVELS.index(value[area]) < LEVELS.index(level)
            }
            return {**value, **better}
        if self.kind == "only":
            return [word for word in value if word in self.wanted]
        if self.kind == "between":
            return min(max(value, self.wanted[0]), self.wanted[1]) if value else self.wanted[1]
        return None if self.kind == "some" else self.wanted


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
