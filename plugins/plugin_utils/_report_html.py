# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report as one HTML file that loads nothing else.

Markup and style are in ``templates/report.html.j2``; here the report is arranged for it. Whatever is in a report may
come from a hostile host: the template escapes everything, and characters that mislead readers are written as escapes.
"""

from __future__ import annotations

import base64
import datetime
import functools
import hashlib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._report_plan import (
    RESTART_OPTION,
    fix_command,
    fix_notes,
    plan,
    restart_command,
)
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._report_terminal import (
    SEVERITIES,
    STATUSES,
    Entry,
    Report,
    count_statuses,
    entry_order,
    escape_character,
    is_showable,
    plural,
    readable_time,
    selection_notes,
    split_lines,
    visible,
    why_incomplete,
)
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

TEMPLATES = Path(__file__).parent / "templates"

MAX_CHARACTERS = 2000
"""Longest text shown in one place; report.json has the rest."""

MAX_EVIDENCE = 200
"""Most pieces of evidence shown for one control; report.json has the rest."""

LABELS = {
    "error": "Error",
    "fail": "Fail",
    "fixed": "Fixed",
    "manual": "Manual",
    "not_checked": "Not checked",
    "waived": "Waived",
    "pass": "Pass",
    "not_applicable": "Not applicable",
}
MEANINGS = {
    "error": "the check itself broke",
    "fail": "not as it should be",
    "fixed": "was wrong, put right in this run and live",
    "manual": "a person has to answer",
    "not_checked": "could not be judged, or was not selected",
    "waived": "not as it should be, accepted until a date",
    "pass": "as it should be",
    "not_applicable": "does not concern this host or product",
}
FOLDED = frozenset({"not_checked", "pass", "not_applicable"})
"""Long and of little urgency: groups that are closed when the report is opened."""

REMEDY_USEFUL = frozenset({"error", "fail", "manual", "not_checked", "waived"})


def _shown(text: str) -> Markup:
    """Return the text as markup, too long a one cut, misleading characters as marked escapes."""
    cut = len(text) - MAX_CHARACTERS
    if cut > 0:
        text = text[:MAX_CHARACTERS]
    if text.isprintable():
        markup = escape(str(text))
    else:
        markup = Markup("").join(
            escape(char) if is_showable(char) else Markup('<span class="esc">{}</span>').format(escape_character(char))
            for char in text
        )
    if cut > 0:
        markup += Markup(' <span class="cut">… {} more characters in report.json</span>').format(f"{cut:,}")
    return markup


def _plain(value: Any) -> Any:
    """Make every value the template prints safe, also where nobody thought of it (attributes included)."""
    if isinstance(value, Markup):
        return value
    return visible(str(value))


def _web_address(reference: str) -> str | None:
    """Return the reference when it can be followed as a link."""
    if not reference.isascii() or not reference.isprintable() or " " in reference:
        return None
    try:
        parts = urlsplit(reference)
    except ValueError:
        return None
    return reference if parts.scheme in ("http", "https") and parts.netloc else None


def _source_hash(source: str) -> str:
    """Return the name under which a content security policy allows an inline style or script."""
    return "sha256-" + base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()


@functools.lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_plain,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(shown=_shown, lines=split_lines, source_hash=_source_hash, plural=plural)
    return environment


def _time(iso: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(iso.replace("Z", "+00:00"))


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds % 1 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _waiver(entry: Entry, today: datetime.date) -> dict[str, Any] | None:
    waiver = entry["waiver"]
    if waiver is None:
        return None
    expires = datetime.date.fromisoformat(str(waiver["expires"]))
    days = (expires - today).days
    if waiver["expired"]:
        state = f"Waiver expired on {expires}"
    elif entry["status"] == "waived":
        left = "last day" if days <= 0 else f"{plural(days, 'day')} left"
        state = f"Waived until {expires}, {left}"
    elif entry["status"] in ("pass", "fixed", "not_applicable"):
        state = f"Waiver until {expires} not needed"
    else:
        state = f"Waiver until {expires} without effect: it covers failures only"
    return {
        "state": state,
        "expires": expires.isoformat(),
        "urgent": waiver["expired"] or (entry["status"] == "waived" and days <= 30),
        "owner": waiver["owner"],
        "justification": waiver["justification"],
        "approver": waiver.get("approver") or "",
        "ticket": waiver.get("ticket") or "",
    }


def _entry(host: str, anchor: str, entry: Entry, today: datetime.date) -> dict[str, Any]:
    """Arrange a control for the template."""
    command = fix_command(host, entry)
    status, evidence = entry["status"], entry["evidence"]
    remediation = (entry.get("remediation") or "") if status in REMEDY_USEFUL else ""
    references = list(entry.get("references") or [])
    inside = []
    if evidence:
        inside.append(f"Evidence ({len(evidence)})")
    if remediation or command:
        inside.append("How to put it right")
    if references:
        inside.append("References")
    return {
        "anchor": anchor,
        "host": host,
        "command": command,
        "notes": fix_notes(entry) if command else [],
        "order": entry_order(entry),
        "id": entry["id"],
        "title": entry["title"],
        "severity": entry["severity"],
        "scope": entry["scope"],
        "instance": entry["instance"],
        "status": status,
        "reason": entry["reason"] or "",
        "pending": entry["pending"],
        "waiver": _waiver(entry, today),
        "evidence": evidence[:MAX_EVIDENCE],
        "evidence_left_off": max(0, len(evidence) - MAX_EVIDENCE),
        "actual": "Actual, before" if status == "fixed" else "Actual",
        "remediation": remediation,
        "references": [{"text": text, "link": _web_address(text)} for text in references],
        "inside": " · ".join(inside),
    }


def _host(number: int, name: str, host: Report, today: datetime.date) -> dict[str, Any]:
    """Arrange a host for the template."""
    entries = sorted(host["controls"], key=entry_order)
    counts = count_statuses(entries)
    arranged = [_entry(name, f"entry-{number}-{position}", entry, today) for position, entry in enumerate(entries, 1)]
    return {
        "anchor": f"host-{number}",
        "name": name,
        "reachable": host["reachable"],
        "duration": _duration(host.get("duration_seconds") or 0),
        "instances": host["instances"],
        "counts": counts,
        "entries": arranged,
        "groups": [
            {
                "status": status,
                "open": status not in FOLDED,
                "entries": [entry for entry in arranged if entry["status"] == status],
            }
            for status in STATUSES
            if counts[status]
        ],
    }


def _worst_host_first(item: tuple[str, Report]) -> tuple[Any, ...]:
    """Sort key of hosts: those that could not be looked at, then by what fails or broke, the most severe first."""
    name, host = item
    bad = [entry["severity"] for entry in host["controls"] if entry["status"] in ("error", "fail")]
    return host["reachable"], [-bad.count(severity) for severity in SEVERITIES], name


def _by_control(hosts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the controls, the worst first, each with all its subjects."""
    found: dict[str, list[dict[str, Any]]] = {}
    for host in hosts:
        for entry in host["entries"]:
            found.setdefault(entry["id"], []).append(entry)
    controls = []
    for control, entries in found.items():
        entries.sort(key=lambda entry: (entry["order"], entry["host"]))
        counts = count_statuses(entries)
        controls.append(
            {
                "id": control,
                "title": entries[0]["title"],
                "severity": entries[0]["severity"],
                "counts": [(status, counts[status]) for status in STATUSES if counts[status]],
                "entries": entries,
                "order": entries[0]["order"],
            }
        )
    return sorted(controls, key=lambda control: control["order"])


def _bar(summary: Report) -> list[dict[str, Any]]:
    """Return the share of each status as stretches of a bar 1000 wide."""
    total = sum(summary[status] for status in STATUSES)
    stretches: list[dict[str, Any]] = []
    done = 0
    for status in STATUSES:
        if summary[status]:
            start, done = done, done + summary[status]
            x, end = 1000 * start // total, 1000 * done // total
            stretches.append({"status": status, "x": x, "width": end - x})
    return stretches


def render_html(report: Report) -> str:
    """Return the report as a self-contained HTML page; the same report always gives the same bytes.

    Args:
        report: the report as the ledger builds it.

    """
    finished = _time(report["finished"])
    today = finished.date()
    hosts = [
        _host(number, name, host, today)
        for number, (name, host) in enumerate(sorted(report["hosts"].items(), key=_worst_host_first), 1)
    ]
    entries = [entry for host in hosts for entry in host["entries"]]
    waivers = [entry for entry in entries if entry["waiver"]]
    waivers.sort(key=lambda entry: (entry["waiver"]["expires"], entry["id"], entry["host"], entry["instance"] or ""))
    waiting = [
        (name, entry) for name, host in report["hosts"].items() for entry in host["controls"] if entry["pending"]
    ]
    page = _environment().get_template("report.html.j2")
    return page.render(
        report=report,
        heading="Hardening report" if report["mode"] == "harden" else "Audit report",
        what=(
            "Settings were checked and, where allowed, put right."
            if report["mode"] == "harden"
            else "Settings were checked; nothing was changed."
        ),
        finished=readable_time(report["finished"]),
        duration=_duration((finished - _time(report["started"])).total_seconds()),
        incomplete=why_incomplete(report),
        selection=selection_notes(report),
        messages=list(report.get("messages") or []),
        statuses=STATUSES,
        labels=LABELS,
        meanings=MEANINGS,
        summary=report["summary"],
        bar=_bar(report["summary"]),
        pending=[entry for entry in entries if entry["pending"]],
        restart_command=restart_command(waiting),
        restart_option=RESTART_OPTION,
        waivers=waivers,
        plan=plan(report),
        severities=SEVERITIES,
        controls=_by_control(hosts),
        hosts=hosts,
    )
