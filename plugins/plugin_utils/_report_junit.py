# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report as JUnit XML, which CI servers show as test results: a suite per host, a case per control and instance."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from xml.etree import ElementTree

from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._report_terminal import (
    Entry,
    Report,
    entry_order,
    split_lines,
    visible,
    why_incomplete,
)

OUTCOMES = {
    "error": "error",
    "fail": "failure",
    "not_checked": "skipped",
    "manual": "skipped",
    "waived": "skipped",
    "not_applicable": "skipped",
}
"""Which element tells that a case did not pass; a status without one passes."""

MAX_EVIDENCE = 200
"""Most pieces of evidence told for one control; report.json has the rest."""


def _details(entry: Entry) -> Iterator[str]:
    """Return the lines that tell what was found and what to do."""
    if entry["pending"]:
        yield f"Pending: {visible(str(entry['pending']))} of the product"
    for item in entry["evidence"][:MAX_EVIDENCE]:
        yield f"{visible(item['what'])}: expected {visible(item['expected'])}, found {visible(item['actual'])}"
    if len(entry["evidence"]) > MAX_EVIDENCE:
        yield f"{len(entry['evidence']) - MAX_EVIDENCE} more in report.json"
    remedy = [visible(line) for line in split_lines(entry.get("remediation") or "")]
    if remedy:
        yield f"How to put it right: {remedy[0]}"
        yield from (f"    {line}" for line in remedy[1:])  # indented: none can pass for a line of ours


def _message(entry: Entry) -> str:
    status, reason = entry["status"], visible(entry["reason"] or "")
    if status == "waived":
        waiver = entry["waiver"]
        return (
            f"waived until {visible(str(waiver['expires']))} by {visible(waiver['owner'])} "
            f"({visible(waiver['justification'])}): {reason}"
        )
    return f"{status.replace('_', ' ')}: {reason}" if OUTCOMES[status] == "skipped" else reason


def _case(suite: ElementTree.Element, host: str, entry: Entry) -> None:
    # What is judged on no instance has its scope in that place: CI servers group by all before the last dot.
    subject = entry["scope"] if entry["instance"] is None else entry["instance"]
    case = ElementTree.SubElement(
        suite,
        "testcase",
        {
            "classname": f"{visible(host)}.{visible(subject)}",
            "name": f"{visible(entry['id'])} {visible(entry['title'])}",
        },
    )
    outcome = OUTCOMES.get(entry["status"])
    if outcome is None:
        return
    element = ElementTree.SubElement(case, outcome, {"message": _message(entry)})
    if outcome != "skipped":
        element.set("type", entry["severity"])
        element.text = "\n".join([_message(entry), *_details(entry)])


def _counts(entries: Iterable[Entry]) -> dict[str, str]:
    outcomes = [OUTCOMES.get(entry["status"]) for entry in entries]
    return {
        "tests": str(len(outcomes)),
        "failures": str(outcomes.count("failure")),
        "errors": str(outcomes.count("error")),
        "skipped": str(outcomes.count("skipped")),
    }


def render_junit(report: Report) -> str:
    """Return the report as JUnit XML; the same report always gives the same text.

    Args:
        report: the report as the ledger builds it.

    """
    hosts = sorted(report["hosts"].items())
    everything = [entry for _name, host in hosts for entry in host["controls"]]
    root = ElementTree.Element(
        "testsuites", {"name": f"atlassian_dc.hardening {report['mode']}", **_counts(everything)}
    )
    for name, host in hosts:
        suite = ElementTree.SubElement(
            root,
            "testsuite",
            {
                "name": visible(name),
                "hostname": visible(name),
                **_counts(host["controls"]),
                "time": str(host.get("duration_seconds") or 0),
                "timestamp": report["started"].removesuffix("Z"),
            },
        )
        for entry in sorted(host["controls"], key=entry_order):
            _case(suite, name, entry)
        if not report["complete"]:
            problems = ElementTree.SubElement(suite, "system-err")
            problems.text = "\n".join(visible(line) for line in ["The report is incomplete.", *why_incomplete(report)])
    ElementTree.indent(root)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{ElementTree.tostring(root, encoding="unicode")}\n'
