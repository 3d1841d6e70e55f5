# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines of the products' logs as events.

How the lines of a log look is product data: a pattern as the product's own configuration has it, or columns. What
users and clients send stands in the lines, so every expression takes time linear in the length of a line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from ansible_collections.atlassian_dc.hardening.plugins.module_utils._discovery_parse import usable

MAX_TEXT = 32 * 1024 * 1024
"""Most characters of a log."""
MAX_LINE = 64 * 1024
"""Longer lines are cut."""
MAX_PARTS = 50
"""Most objects, changes and attributes of an entry of an audit log."""
MAX_MORE = 200
"""Most lines that one event goes on in."""

FAILED, SUCCEEDED, LOCKED = "login_failed", "login_succeeded", "locked_out"

_TIME = r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}[.,][0-9]{3}(?:[+-][0-9]{4})?"
_QUOTED = r'(?:[^"\\]|\\.)*'
_ACCESS_NAMES = {
    "a": "addresses", "h": "addresses", "t": "time", "m": "method", "U": "path", "q": "query", "H": "protocol",
    "r": "request", "s": "status", "b": "bytes", "D": "duration", "I": "thread",
}  # fmt: skip
"""Names of what stands in access logs of Tomcat. The unit of the duration depends on its version."""
_ACCESS_FORMS = {
    "t": r"\[[^\]]*\]", "U": r'[^ ?"]*', "q": r'(?:\?[^ "]*)?', "r": r"(?:[^ ]+ [^ ]+ [^ ]+|-)", "s": r"(?:[0-9]{3}|-)",
    "b": r"(?:[0-9]+|-)", "D": r"(?:[0-9]+|-)",
}  # fmt: skip
_LOG4J_NAMES = {"d": "time", "p": "level", "t": "thread", "c": "logger", "M": "method", "m": "message"}
_LOG4J_FORMS = {"d": _TIME, "p": "[A-Z]+", "m": ".*", "X": r"[^\[ ]*"}
_COLUMN_FORMS = {"timestamp": _TIME, "request_id": "[0-9]+x[0-9]+x[0-9]+", "message": ".*", "url": "/[^ ]*"}
_NAMES = {"timestamp": "time"}
_TOKEN = re.compile(r"%(?:\{(?P<name>[^}]*)\}(?P<kind>[A-Za-z])|(?P<code>[A-Za-z])(?:\{[^}]*\})?)")
_PLACEHOLDER = re.compile(r"<([a-z]+)>")


class LogError(ValueError):
    """A log that nobody can read; says which and why."""


class Templates(NamedTuple):
    """What the message of a login looks like: expressions by event, and actions of the audit log by event."""

    expressions: dict[str, re.Pattern[str]]
    actions: dict[str, str]
    name_attribute: str | None


def parse_log(text: str, form: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the events of a log in their order.

    Args:
        text: the log.
        form: how its lines look: an entry of ``log_formats`` without sources.

    Returns:
        Dictionaries with ``line`` (number of the first line), ``event`` (one of the constants above, or None), the
        columns of the line, ``name`` of who logged in, and ``more``: lines that belong to it. A line that nothing
        can be said of has ``text`` alone.

    Raises:
        LogError: nobody knows how the lines look, or there are too many.

    """
    if len(text) > MAX_TEXT:
        raise LogError(f"has {len(text)} characters; more than {MAX_TEXT} are not read")
    grammar = form.get("grammar")
    templates = _templates(form)
    lines = ((number, usable(line[:MAX_LINE])) for number, line in enumerate(_lines(text), 1) if line.strip())
    if grammar == "audit":
        return [_audit_event(number, line, templates) for number, line in lines]
    if grammar == "pipes":
        return [_piped(number, line, form["columns"]) for number, line in lines]
    return _events(lines, _expression(form), templates)


def _lines(text: str) -> list[str]:
    # Not splitlines: a form feed or U+2028 in a name begins no line.
    return text.replace("\r\n", "\n").split("\n")


def _expression(form: dict[str, Any]) -> re.Pattern[str]:
    """Return the expression for one line.

    Raises:
        LogError: product data does not tell enough.

    """
    grammar, pattern = form.get("grammar"), form.get("pattern")
    if grammar == "columns" and form.get("columns"):
        return re.compile(_columns(form["columns"], form.get("decorations") or []))
    if grammar == "access" and pattern:
        # One with more columns comes first, for a line of it fits the shorter one too.
        patterns = [form["chart_pattern"], pattern] if form.get("chart_pattern") else [pattern]
        return re.compile("|".join(_access(item, number) for number, item in enumerate(patterns)))
    if grammar == "log4j" and pattern:
        return re.compile(_log4j(pattern))
    raise LogError("how its lines look is not known")


def _pieces(pattern: str) -> list[tuple[str, re.Match[str] | None, str]]:
    """Cut a pattern: for each token the text before it, the token, and the text up to the next one."""
    tokens = list(_TOKEN.finditer(pattern))
    ends = [token.start() for token in tokens[1:]] + [len(pattern)]
    pieces: list[tuple[str, re.Match[str] | None, str]] = []
    for token, end in zip(tokens, ends):
        pieces.append((pattern[: token.start()], token, pattern[token.end() : end]))
    return pieces


def _access(pattern: str, number: int) -> str:
    pieces = _pieces(pattern)
    out = re.escape(pattern[: pieces[0][1].start()] if pieces and pieces[0][1] else pattern)
    for before, token, after in pieces:
        if token is None:
            continue
        name = _attribute(token["name"]) if token["name"] else _ACCESS_NAMES.get(token["code"], token["code"])
        form = _ACCESS_FORMS.get(token["code"] or "")
        if form is None and before.endswith('"') and after.startswith('"'):
            form = _QUOTED
        elif form is None and name == "user" and pattern[token.end() :].startswith(" %t"):
            form = r"(?:(?! \[).)*"  # a name may hold blanks
        out += f"(?P<{name}_{number}>{form or ('[^ ]*' if after else '.*')}){re.escape(after)}"
    return f"^{out}$"


def _attribute(name: str) -> str:
    """Return what a header or an attribute of a request is called in events."""
    words = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    ends = {"username": "user", "request_id": "request_id", "session_id": "session_id", "assession_id": "session_id"}
    return next((known for end, known in ends.items() if words.endswith(end)), words)


def _log4j(pattern: str) -> str:
    pattern = pattern[:-2] if pattern.endswith("%n") else pattern
    pieces = _pieces(pattern)
    out = re.escape(pattern[: pieces[0][1].start()] if pieces and pieces[0][1] else pattern)
    for _before, token, after in pieces:
        if token is None:
            continue
        code = token["code"]
        # Up to what follows it: names of threads hold blanks and brackets.
        form = _LOG4J_FORMS.get(code) or (rf"(?:(?!{re.escape(after)}).)*" if after.strip() else "[^ ]*")
        name = _LOG4J_NAMES.get(code)
        out += (f"(?P<{name}_0>{form})" if name else f"(?:{form})") + re.escape(after)
    return f"^{out}$"


def _columns(columns: list[str], decorations: list[str]) -> str:
    # What a thread does may stand behind its name.
    added = "".join(f"(?: {_PLACEHOLDER.sub('[^ ]+', decoration)})?" for decoration in decorations)
    out = []
    for index, column in enumerate(columns):
        following = _COLUMN_FORMS.get(columns[index + 1]) if index + 1 < len(columns) else None
        form = _COLUMN_FORMS.get(column, "[^ ]+")
        if column == "user" and following:
            # Somebody's name may hold blanks, but not what the next column looks like.
            form = rf"(?:(?! {following} ).)+"
        elif column == "thread":
            form += added
        out.append(f"(?P<{_NAMES.get(column, column)}_0>{form})")
    return "^" + " ".join(out) + "$"


def _templates(form: dict[str, Any]) -> Templates:
    expressions: dict[str, re.Pattern[str]] = {}
    actions: dict[str, str] = {}
    for key, event in (("failed", FAILED), ("succeeded", SUCCEEDED), ("locked", LOCKED)):
        told = form.get(key)
        if isinstance(told, dict):
            actions[told["action"]] = event
        elif told and form.get("grammar") == "audit":
            actions[told] = event
        elif told:
            expressions[event] = re.compile(_template(told))
    return Templates(expressions, actions, form.get("failed_name_attribute"))


def _template(told: str) -> str:
    """Return the expression of a message such as ``User '<name>' failed``, up to the end of the line."""
    out, at = "", 0
    for place in _PLACEHOLDER.finditer(told):
        form = {"n": "[0-9]+", "addresses": "[0-9A-Fa-f:., ]+"}.get(place[1], ".*")
        out += _blanks(told[at : place.start()]) + f"(?P<{'count' if place[1] == 'n' else place[1]}>{form})"
        at = place.end()
    return out + _blanks(told[at:]) + "$"


def _blanks(text: str) -> str:
    # Copies of a log on the way to people lose one of two blanks.
    return re.sub(r"(?:\\ )+", " +", re.escape(text))


def _events(
    lines: Iterable[tuple[int, str]], expression: re.Pattern[str], templates: Templates
) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = []
    for number, line in lines:
        match = expression.match(line)
        if match is None:
            if events and "more" in events[-1]:
                if len(events[-1]["more"]) < MAX_MORE:
                    events[-1]["more"].append(line)
            else:
                events.append({"line": number, "event": None, "text": line})
            continue
        found = {name.rpartition("_")[0]: value for name, value in match.groupdict().items() if value is not None}
        event: dict[str, Any] = {"line": number, "event": None, **found, "more": []}
        for kind, template in templates.expressions.items():
            login = template.search(line)
            if login:
                event.update(event=kind, **login.groupdict())
                break
        events.append(event)
    return events


def _piped(number: int, line: str, columns: list[str]) -> dict[str, Any]:
    """Return a line of columns with ``|`` between them.

    What a client sends in the column ``details`` may hold some, too; and columns at the end are left out at times.
    """
    values = line.rstrip(" |").split(" | ")
    details = columns.index("details")
    surplus = len(values) - len(columns)
    if surplus > 0:
        values[details : details + surplus + 1] = [" | ".join(values[details : details + surplus + 1])]
    if len(values) <= details or not re.fullmatch(_TIME, values[columns.index("timestamp")]):
        return {"line": number, "event": None, "text": line}
    known = columns if surplus >= 0 else columns[: details + 1]
    named = {_NAMES.get(column, column): value for column, value in zip(known, values)}
    return {"line": number, "event": None, **named, "more": []}


def _audit_event(number: int, line: str, templates: Templates) -> dict[str, Any]:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        entry = None
    kind = entry.get("auditType") if isinstance(entry, dict) else None
    if not isinstance(entry, dict) or not isinstance(kind, dict):
        return {"line": number, "event": None, "text": line}

    def told(holder: Any, key: str) -> str | None:
        value = holder.get(key) if isinstance(holder, dict) else None
        return usable(value) if isinstance(value, str) else None

    action = told(kind, "actionI18nKey")
    moment = entry.get("timestamp")
    seconds = moment.get("epochSecond") if isinstance(moment, dict) else None

    def parts(key: str) -> list[Any]:
        value = entry.get(key)
        return value[:MAX_PARTS] if isinstance(value, list) else []

    attributes = {
        told(item, "name") or told(item, "nameI18nKey") or "": told(item, "value") for item in parts("extraAttributes")
    }
    changes = [
        {part: told(item, key) for part, key in (("key", "i18nKey"), ("from", "from"), ("to", "to"))}
        for item in parts("changedValues")
    ]
    author = told(entry.get("author"), "name")
    return {
        "line": number,
        "event": templates.actions.get(action or ""),
        "time": seconds if isinstance(seconds, int) and 0 <= seconds < 10**11 else None,
        "action": action,
        "category": told(kind, "category"),
        "category_key": told(kind, "categoryI18nKey"),
        "area": told(kind, "area"),
        "level": told(kind, "level"),
        "author": author,
        "addresses": told(entry, "source"),
        "name": attributes.get(templates.name_attribute) if templates.name_attribute else author,
        "objects": [name for name in (told(item, "name") for item in parts("affectedObjects")) if name],
        "changes": changes,
        "attributes": attributes,
    }
