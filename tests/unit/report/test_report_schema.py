# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The published schema takes what the ledger writes and refuses what the contract rules out."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._catalogue import load_catalogue
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._ledger import Ledger
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._report_files import canonical, report_json
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._report_terminal import SEVERITIES, STATUSES
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._statements import Attestation, Waiver
from jsonschema import Draft202012Validator
from unit.report import samples

SCHEMA = json.loads((Path(__file__).parents[3] / "docs" / "report.schema.json").read_text(encoding="utf-8"))
VALIDATOR = Draft202012Validator(SCHEMA)


def entry_of(report: samples.Report, control: str) -> dict[str, Any]:
    return next(entry for entry in report["hosts"]["jira1"]["controls"] if entry["id"] == control)


def test_the_schema_is_itself_valid() -> None:
    Draft202012Validator.check_schema(SCHEMA)


def test_statuses_and_severities_are_those_the_code_sorts_by() -> None:
    assert set(SCHEMA["$defs"]["status"]["enum"]) == set(STATUSES)
    assert set(SCHEMA["$defs"]["entry"]["properties"]["severity"]["enum"]) == set(SEVERITIES)


def test_the_samples_show_every_status() -> None:
    seen = {
        entry["status"]
        for make in samples.ALL.values()
        for host in make()["hosts"].values()
        for entry in host["controls"]
    }
    assert seen == set(STATUSES)


@pytest.mark.parametrize("name", samples.ALL)
def test_reports_as_written_are_valid(name: str) -> None:
    written = json.loads(report_json(samples.ALL[name]()))
    assert [error.message for error in VALIDATOR.iter_errors(written)] == []


Change = Callable[[samples.Report], Any]


def setting(control: str, **values: Any) -> Change:
    return lambda report: entry_of(report, control).update(values)


def without(control: str, key: str) -> Change:
    return lambda report: entry_of(report, control).pop(key)


def waiver_with(control: str, **values: Any) -> Change:
    return lambda report: entry_of(report, control)["waiver"].update(values)


def lacking(key: str) -> Change:
    return lambda report: report.pop(key)


BROKEN: dict[str, Change] = {
    "fail without evidence": setting("DC-DIR-01", evidence=[]),
    "fail without a reason": setting("DC-DIR-01", reason=""),
    "fail with a blank reason": setting("DC-DIR-01", reason=" \t"),
    "fail with a null reason": setting("DC-DIR-01", reason=None),
    "not_checked without a reason": setting("DC-ADM-01", reason=""),
    "not_applicable without a reason": setting("DC-NET-03", reason=""),
    "manual without a reason": setting("DC-ORG-01", reason=""),
    "error without a reason": setting("DC-USR-05", reason=""),
    "waived without a reason": setting("DC-DIR-04", reason=""),
    "fixed without evidence": lambda report: (
        report.update(mode="harden"),
        setting("DC-DIR-01", status="fixed", evidence=[])(report),
    ),
    "fixed in an audit": setting("DC-DIR-01", status="fixed"),
    "fixed counted in an audit": lambda report: report["summary"].update(fixed=1),
    "waived without waiver": setting("DC-DIR-04", waiver=None),
    "waived without evidence": setting("DC-DIR-04", evidence=[]),
    "waived by an expired waiver": waiver_with("DC-DIR-04", expired=True),
    "waived though it passed": waiver_with("DC-DIR-04", judged="pass"),
    "fail in spite of a live waiver": waiver_with("DC-DIR-06", expired=False),
    "waiver that says waived twice": waiver_with("DC-DIR-05", judged="waived"),
    "waiver without owner": waiver_with("DC-DIR-04", owner=""),
    "waiver with a time": waiver_with("DC-DIR-04", expires="2026-12-01T00:00:00Z"),
    "waiver with an unknown key": waiver_with("DC-DIR-04", reason="because"),
    "unknown pending": setting("DC-USR-01", pending="reboot"),
    "pass that waits for a restart": setting("DC-USR-02", pending="restart"),
    "unknown status": setting("DC-USR-02", status="ok"),
    "unknown severity": setting("DC-USR-02", severity="info"),
    "unknown scope": setting("DC-USR-02", scope="product"),
    "host scope with an instance": setting("DC-NET-01", instance="jira"),
    "site scope with an instance": setting("DC-ORG-01", instance="jira"),
    "empty instance name": setting("DC-USR-02", instance=""),
    "malformed control id": setting("DC-USR-02", id="USR-02"),
    "unknown key of an entry": setting("DC-USR-02", comment="x"),
    "evidence without what": lambda report: entry_of(report, "DC-DIR-01")["evidence"][0].pop("what"),
    "evidence that is not text": lambda report: entry_of(report, "DC-DIR-01")["evidence"][0].update(actual=755),
    "evidence with an unknown key": lambda report: entry_of(report, "DC-DIR-01")["evidence"][0].update(path="/"),
    "same entry twice": lambda report: report["hosts"]["jira1"]["controls"].append(entry_of(report, "DC-USR-02")),
    "unknown key of the report": lambda report: report.update(comment="x"),
    "unknown key of a host": lambda report: report["hosts"]["jira1"].update(os="debian"),
    "another schema": lambda report: report.update(schema="atlassian_dc.hardening/report/2"),
    "unknown mode": lambda report: report.update(mode="check"),
    "time with an offset": lambda report: report.update(started="2026-11-23T15:00:00+01:00"),
    "time with a newline": lambda report: report.update(started="2026-11-23T15:00:00Z\n"),
    "complete with an unreachable host": lambda report: report["hosts"]["jira1"].update(reachable=False),
    "negative duration": lambda report: report["hosts"]["jira1"].update(duration_seconds=-1),
    "instance without version": lambda report: report["hosts"]["jira1"]["instances"][0].pop("version"),
    "score in percent": lambda report: report["summary"].update(score="50%"),
    "summary without a status": lambda report: report["summary"].pop("error"),
    "no tags selected": lambda report: report["selection"].update(tags=[]),
    "message that is empty": lambda report: report["messages"].append(""),
    **{f"entry without {key}": without("DC-DIR-01", key) for key in SCHEMA["$defs"]["entry"]["required"]},
    **{f"report without {key}": lacking(key) for key in SCHEMA["required"]},
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_the_contract_rules_out_is_refused(name: str) -> None:
    report = canonical(samples.audit())
    assert VALIDATOR.is_valid(report)
    BROKEN[name](report)
    assert not VALIDATOR.is_valid(report)


def test_instances_may_tell_more() -> None:
    report = canonical(samples.audit())
    report["hosts"]["jira1"]["instances"][0]["running_user"] = "root"
    assert VALIDATOR.is_valid(report)


@pytest.mark.parametrize("status", ["fail", "waived", "error"])
def test_what_is_not_live_yet_may_wait_for_a_restart(status: str) -> None:
    report = canonical(samples.audit())
    entry_of(report, "DC-DIR-04").update(status=status, pending="restart")
    if status != "waived":
        entry_of(report, "DC-DIR-04").update(waiver=None)
    assert VALIDATOR.is_valid(report)


def test_what_the_ledger_builds_is_valid() -> None:
    """The real producer, not a sample: found, judged, waived, expired, attested, unreachable."""
    today = datetime.date(2026, 11, 23)
    day = datetime.timedelta(days=1)
    proof = [samples.evidence("/opt/atlassian/jira", "root:root", "jira:jira")]
    ledger = Ledger(load_catalogue())
    ledger.finished_plays = True
    ledger.found("jira1", [samples.jira(cluster=None)])
    ledger.host("jira2").unreachable = "timed out"
    ledger.findings(
        "jira1",
        [
            {"control": control, "instance": "jira", "status": status, "reason": "because", "evidence": proof}
            for control, status in (("DC-DIR-01", "fail"), ("DC-DIR-02", "fail"), ("DC-DIR-03", "pass"))
        ],
        "task",
    )
    ledger.waivers = tuple(
        Waiver(control, ("all",), "migration", "Dana Novak", today + left)
        for control, left in (("DC-DIR-01", day), ("DC-DIR-02", -day), ("DC-DIR-03", day))
    )
    ledger.attestations = (Attestation("DC-ORG-01", "Dana Novak", today - day, today + day, "wiki"),)
    report = json.loads(report_json(ledger.report(today)))
    assert [error.message for error in VALIDATOR.iter_errors(report)] == []
    statuses = {entry["id"]: entry["status"] for entry in report["hosts"]["jira1"]["controls"]}
    assert (statuses["DC-DIR-01"], statuses["DC-DIR-02"]) == ("waived", "fail")
