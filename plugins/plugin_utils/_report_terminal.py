# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report on a terminal; also the order and the treatment of hostile text that all forms of the report share."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._catalogue import load_catalogue
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._report_plan import (
    PERSON,
    RESTART_OPTION,
    kind_of,
    plan,
)

Report = Mapping[str, Any]
Entry = Mapping[str, Any]

STATUSES = ("error", "fail", "fixed", "manual", "not_checked", "waived", "pass", "not_applicable")
"""Every status, the one that needs attention most first."""

SEVERITIES = ("critical", "high", "medium", "low")

MIN_WIDTH = 40
MIN_TITLE_WIDTH = 24
MAX_REASON_LINES = 3
MAX_LOCATION_WIDTH = 28
MAX_NAMES = 10
MAX_FOR_A_PERSON = 3
"""Most things named below a finding that no run of ours puts right."""

_SHORT_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_COLUMNS = {
    "pass": "pass",
    "fail": "fail",
    "fixed": "fixed",
    "waived": "waived",
    "not_applicable": "n/a",
    "manual": "manual",
    "not_checked": "not checked",
    "error": "error",
}
_GAP = "  "
_INDENT = " " * 7
_SGR = {"bold": "1", "dim": "2", "error": "1;35", "fail": "31", "fixed": "36", "pass": "32", "warning": "33"}


def escape_character(character: str) -> str:
    """Return how a character that must not reach a screen as it is gets written."""
    code = ord(character)
    if character in _SHORT_ESCAPES:
        return _SHORT_ESCAPES[character]
    if 0xDC80 <= code <= 0xDCFF:  # a byte of a file name that is not UTF-8, as os.fsdecode gives it
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def is_showable(character: str) -> bool:
    """Whether a character is safe to show: no control, direction override, invisible or surrogate character."""
    return character.isprintable() or unicodedata.category(character) == "Zs"


def visible(text: str) -> str:
    """Return the text with everything that could steer a terminal or mislead a reader written as an escape."""
    if text.isprintable():
        return text
    return "".join(char if is_showable(char) else escape_character(char) for char in text)


def split_lines(text: str) -> list[str]:
    """Return the lines that are not blank; only a line feed ends one, for the exotic ends may be there to deceive."""
    return [line.removesuffix("\r") for line in text.split("\n") if line.strip()]


def plural(count: int, noun: str) -> str:
    """Return ``1 host``, ``2 hosts``."""
    return f"{count} {noun if count == 1 else noun + 's'}"


def entry_order(entry: Entry) -> tuple[int, int, str, str]:
    """Sort key of the controls of a host: worst status first, then worst severity."""
    return (
        STATUSES.index(entry["status"]),
        SEVERITIES.index(entry["severity"]),
        entry["id"],
        entry["instance"] or "",
    )


def count_statuses(entries: Iterable[Entry]) -> dict[str, int]:
    """Return how many entries have each status."""
    counts = dict.fromkeys(STATUSES, 0)
    for entry in entries:
        counts[entry["status"]] += 1
    return counts


def readable_time(iso: str) -> str:
    """Return ``2026-11-23 15:00:00 UTC`` for ``2026-11-23T15:00:00Z``."""
    return f"{iso[:-1].replace('T', ' ')} UTC" if iso.endswith("Z") else iso


def some_names(names: list[str], most: int = MAX_NAMES) -> str:
    """Return the names in a line; of very many the first ones and how many more there are."""
    listed = ", ".join(names[:most])
    return f"{listed} and {len(names) - most} more" if len(names) > most else listed


def why_incomplete(report: Report) -> list[str]:
    """Return, as whole sentences, what is known about why a report is incomplete; nothing for a complete one."""
    if report["complete"]:
        return []
    hosts = report["hosts"]
    reasons = []
    unreachable = sorted(name for name, host in hosts.items() if not host["reachable"])
    statuses = {entry["status"] for host in hosts.values() for entry in host["controls"]}
    if unreachable:
        reasons.append(f"{plural(len(unreachable), 'host')} could not be reached: {some_names(unreachable)}.")
    if not hosts:
        reasons.append("The run stopped before it knew its hosts.")
    elif len(unreachable) < len(hosts) and statuses <= {"not_checked"}:
        reasons.append("The run stopped before any control was checked.")
    elif "error" in statuses:
        reasons.append(f"{plural(report['summary']['error'], 'control')} could not be judged because the check broke.")
    elif not unreachable:
        reasons.append("A task failed, so that not every host went through the whole run.")
    return reasons


def selection_notes(report: Report) -> list[str]:
    """Return, as whole sentences, how the run was limited; nothing when everything was selected."""
    selection = report.get("selection") or {}
    notes = []
    tags = list(selection.get("tags") or [])
    if tags and tags != ["all"]:
        notes.append(f"Only tags {', '.join(tags)} were selected.")
    if selection.get("skip_tags"):
        notes.append(f"Tags {', '.join(selection['skip_tags'])} were skipped.")
    if selection.get("skip_controls"):
        notes.append(f"Controls {', '.join(selection['skip_controls'])} were left out.")
    return notes


def _cells(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def text_width(text: str) -> int:
    """Return how many terminal columns a text takes."""
    return len(text) if text.isascii() else sum(map(_cells, text))


def _head(text: str, width: int) -> str:
    """Return as much of the beginning as fits."""
    used = 0
    for position, character in enumerate(text):
        used += _cells(character)
        if used > width:
            return text[:position]
    return text


def _truncate(text: str, width: int) -> str:
    return text if text_width(text) <= width else _head(text, width - 1) + "…"


def _pad(text: str, width: int) -> str:
    return text + " " * (width - text_width(text))


def wrap(text: str, width: int, max_lines: int | None = None) -> list[str]:
    """Break a text into lines at spaces, and a word longer than a line anywhere."""
    lines: list[str] = []
    line = ""
    for word in text.split():
        candidate = f"{line} {word}" if line else word
        if text_width(candidate) <= width:
            line = candidate
            continue
        if line:
            lines.append(line)
        rest = word
        while text_width(rest) > width and (max_lines is None or len(lines) <= max_lines):
            head = _head(rest, width)
            lines.append(head)
            rest = rest[len(head) :]
        line = rest
        if max_lines is not None and len(lines) > max_lines:
            break
    if line:
        lines.append(line)
    if max_lines is not None and len(lines) > max_lines:
        lines = [*lines[: max_lines - 1], _truncate(f"{lines[max_lines - 1]}…", width)]
    return lines or [""]


class Painter:
    """Colours text, or leaves it alone."""

    def __init__(self, color: bool) -> None:
        self.color = color

    def __call__(self, text: str, style: str | None) -> str:
        code = _SGR.get(style or "")
        return f"\x1b[{code}m{text}\x1b[0m" if self.color and code and text else text


def _table(report: Report, paint: Painter, width: int) -> Iterator[str]:
    rows = [
        (visible(name), count_statuses(host["controls"]), host["reachable"])
        for name, host in sorted(report["hosts"].items())
    ]
    total = dict(report["summary"])
    columns = list(_COLUMNS)
    longest = max((text_width(name) for name, _counts, _reachable in rows), default=0)
    mark = len(_GAP + "unreachable") if not all(row[2] for row in rows) else 0

    def space_for_name() -> int:
        return width - mark - sum(len(_GAP) + len(_COLUMNS[column]) for column in columns)

    if space_for_name() < longest:  # what nobody has is left out before names are cut
        columns = [column for column in columns if total[column] or column in ("pass", "fail")]
    if space_for_name() < min(longest, 8):  # too narrow for a table
        for name, counts, reachable in rows:
            parts = [f"{counts[column]} {_COLUMNS[column]}" for column in columns if counts[column]]
            text = f"{name}: {', '.join(parts) or 'no controls'}{'' if reachable else ', unreachable'}"
            yield from wrap(text, width)
        return
    name_width = max(min(longest, space_for_name()), len("total") if len(rows) > 1 else 0)

    def line(name: str, counts: Mapping[str, int]) -> str:
        cells = [_pad(_truncate(name, name_width), name_width)]
        for column in columns:
            style = "dim" if not counts[column] else column if column in _SGR else None
            cells.append(paint(f"{counts[column]:>{len(_COLUMNS[column])}}", style))
        return _GAP.join(cells)

    yield _GAP.join([" " * name_width, *(_COLUMNS[column] for column in columns)])
    for name, counts, reachable in rows:
        yield line(name, counts) + ("" if reachable else _GAP + paint("unreachable", "error"))
    if len(rows) > 1:
        yield line("total", total)


def _findings(report: Report, paint: Painter, width: int) -> Iterator[str]:
    found = [
        (entry, name if entry["instance"] is None else f"{name}/{entry['instance']}")
        for name, host in report["hosts"].items()
        for entry in host["controls"]
        if entry["status"] in ("error", "fail")
    ]
    found.sort(key=lambda item: (SEVERITIES.index(item[0]["severity"]), *entry_order(item[0]), item[1]))
    if not found:
        return
    id_width = max(text_width(visible(entry["id"])) for entry, _where in found)
    severity_width = max(map(len, SEVERITIES))
    fixed_width = len("ERROR") + severity_width + id_width + 3 * len(_GAP)
    longest = max(text_width(visible(where)) for _entry, where in found)
    where_width = min(longest, MAX_LOCATION_WIDTH, width - fixed_width)
    prefix_width = fixed_width + where_width + len(_GAP)
    for entry, where in found:
        status, severity = entry["status"], entry["severity"]
        prefix = _GAP.join(
            [
                paint(f"{status.upper():<5}", status),
                paint(f"{severity:<{severity_width}}", "bold" if severity == "critical" else None),
                _pad(visible(entry["id"]), id_width),
                _pad(_truncate(visible(where), where_width), where_width),
            ]
        )
        mark = f"[pending {visible(entry['pending'])}] " if entry["pending"] else ""
        title, reason = mark + visible(entry["title"]), visible(entry["reason"] or "")
        whole = f"{title}: {reason}"
        below = []
        if text_width(whole) <= width - prefix_width:
            yield prefix + _GAP + whole
        else:
            below.append(reason)
            if width - prefix_width >= MIN_TITLE_WIDTH:
                yield prefix + _GAP + _truncate(title, width - prefix_width)
            else:
                yield prefix.rstrip()
                yield _INDENT + _truncate(title, width - len(_INDENT))
        if kind_of(entry, load_catalogue()) == PERSON:  # who has to do it need not open the report for it
            below.append(some_names([visible(item["what"]) for item in entry["evidence"]], MAX_FOR_A_PERSON))
        for text in below:
            for line in wrap(text, width - len(_INDENT), MAX_REASON_LINES):
                yield _INDENT + line


def _hints(report: Report) -> Iterator[str]:
    summary = report["summary"]
    entries = [entry for host in report["hosts"].values() for entry in host["controls"]]
    waiting = sum(1 for entry in entries if entry["pending"])
    if waiting and report["mode"] == "harden":  # after an audit the plan tells it
        yield (
            f"{plural(waiting, 'control')} pending a product restart: "
            f"run harden with {RESTART_OPTION} when the product may be restarted."
        )
    counted = []
    if summary["waived"]:
        first = min(str(entry["waiver"]["expires"]) for entry in entries if entry["status"] == "waived")
        until = f" (the first until {visible(first)})"
        counted.append(f"{summary['waived']} waived{until}")
    if summary["manual"]:
        counted.append(f"{summary['manual']} manual (a person has to answer)")
    if summary["not_checked"]:
        counted.append(f"{summary['not_checked']} not checked")
    if counted:
        yield f"Not listed here: {', '.join(counted)}. The report has the reason of each."


def _plan(report: Report, paint: Painter, width: int) -> Iterator[str]:
    """Return what harden would do after an audit, and the command."""
    todo = plan(report)
    if todo is None:
        return
    yield from (paint(line, "bold") for line in wrap("What harden would do, unless a reason says otherwise", width))
    for step in todo.steps:
        ids = some_names([visible(item.id) for item in step.items])
        first, *others = wrap(f"{step.words}: {ids}", width - len(_INDENT))
        yield f"{len(step.items):>5}  {first}"
        yield from (_INDENT + line for line in others)
    if todo.command is None:
        return
    yield from wrap("To start it, with your inventory:", width)
    *firsts, last = wrap(todo.command, width - 4)
    yield from (f"  {line} \\" for line in firsts)
    yield f"  {last}"
    if not todo.limited:
        yield from wrap(
            "It names no hosts: limit it to those of this audit with --limit if your inventory has more.", width
        )
    if todo.restarts:
        yield from wrap(f"Add {RESTART_OPTION} when the products may be restarted.", width)


def render_terminal(report: Report, color: bool = False, width: int = 80) -> str:
    """Return the report as text for a terminal, without a newline at the end.

    Args:
        report: the report as the ledger builds it.
        color: whether to use terminal colours.
        width: columns of the terminal; fewer than 40 count as 40.

    """
    paint = Painter(color)
    width = max(width, MIN_WIDTH)
    summary = report["summary"]
    what = "Hardening" if report["mode"] == "harden" else "Audit"
    lines: list[str] = []

    def paragraph(text: str, style: str | None = None) -> None:
        # Lines of a message after its first are indented: they cannot pass for lines of the report.
        first, *others = (visible(line) for line in split_lines(text) or [""])
        lines.extend(paint(line, style) for line in wrap(first, width))
        lines.extend(paint(f"    {line}", style) for other in others for line in wrap(other, width - 4))

    paragraph(f"{what} of {plural(len(report['hosts']), 'host')}, {readable_time(report['finished'])}", "bold")
    reasons = why_incomplete(report)
    if reasons:
        paragraph(f"INCOMPLETE: {' '.join(reasons)} What was not reached counts as not checked.", "error")
    for note in selection_notes(report):
        paragraph(note)
    lines += ["", *_table(report, paint, width), ""]
    paragraph(f"Score {summary['score']}: pass and fixed, out of pass, fixed and fail")
    paragraph(f"Coverage {summary['coverage']}: judged, out of all that apply")
    findings = list(_findings(report, paint, width))
    lines += ["", *findings] if findings else []
    planned = list(_plan(report, paint, width))
    lines += ["", *planned] if planned else []
    hints = list(_hints(report))
    lines += [""] if hints else []
    for hint in hints:
        paragraph(hint)
    messages = list(report.get("messages") or [])
    lines += [""] if messages else []
    for message in messages:
        paragraph(f"Warning: {message}", "warning")
    return "\n".join(line.rstrip() for line in lines)
