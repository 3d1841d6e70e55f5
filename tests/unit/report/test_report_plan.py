# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan after an audit: each failing control in the right step, and commands that do what they say."""

from __future__ import annotations

import shlex
from typing import Any

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._catalogue import load_catalogue
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._report_plan import (
    MAX_LIMIT,
    Plan,
    fix_command,
    fix_notes,
    plan,
)
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._report_terminal import render_terminal
from unit.report import samples

HARDEN = "ansible-playbook -i INVENTORY atlassian_dc.hardening.harden"
EVIDENCE = [samples.evidence("a", "b", "c")]


def failing(control: str, **values: Any) -> dict[str, Any]:
    known = load_catalogue()[control]
    made = {"scope": known.scope, "reason": "because", "evidence": EVIDENCE, **values}
    return samples.entry(control, made.pop("status", "fail"), known.severity, known.title, **made)


def planned(report: samples.Report) -> Plan:
    made = plan(report)
    assert made is not None
    return made


def steps(made: Plan) -> dict[str, list[str]]:
    return {step.kind: [item.id for item in step.items] for step in made.steps}


def test_each_failing_control_is_in_the_step_of_its_mode_and_impact() -> None:
    assert steps(planned(samples.audit())) == {
        "now": ["DC-DIR-01"],
        "restart": ["DC-USR-01"],
        "traffic": ["DC-NET-01"],
        "person": ["DC-DIR-06"],
        "waived": ["DC-DIR-04"],
    }


def test_every_control_of_the_catalogue_is_planned_once() -> None:
    catalogue = load_catalogue()
    report = samples.report({"jira1": samples.host([failing(control) for control in catalogue])})
    made = steps(planned(report))
    assert sorted(control for controls in made.values() for control in controls) == sorted(catalogue)
    for control in catalogue.values():
        if control.mode != "enforce":
            assert control.id in made["person"]
        elif control.impact == "none":
            assert control.id in made["needs" if control.needs else "now"]
    assert {catalogue[control].impact for control in made["restart"]} == {"restart"}
    assert {catalogue[control].impact for control in made["traffic"]} == {"cuts_traffic"}
    assert {catalogue[control].impact for control in made["switch"]} == {"breaks_integrations"}


def test_what_waits_for_a_restart_needs_one_whatever_its_impact() -> None:
    entry = failing("DC-DIR-01", pending="restart")
    assert steps(planned(samples.report({"jira1": samples.host([entry])}))) == {"restart": ["DC-DIR-01"]}
    assert fix_command("jira1", entry) == (
        f"{HARDEN} --limit jira1 --tags service_user,DC-DIR-01 -e atlassian_dc_allow_restart=true"
    )


def test_what_no_run_puts_right_is_left_to_a_person_whatever_the_catalogue_says() -> None:
    entries = [failing(control, by_hand=True) for control in ("DC-ADM-01", "DC-AUT-04", "DC-AUT-08")]
    made = planned(samples.report({"jira1": samples.host([*entries, failing("DC-DIR-01")])}))
    assert {kind: sorted(controls) for kind, controls in steps(made).items()} == {
        "now": ["DC-DIR-01"],
        "person": ["DC-ADM-01", "DC-AUT-04", "DC-AUT-08"],
    }
    assert fix_command("jira1", entries[0]) is None
    assert fix_notes(entries[0]) == []


@pytest.mark.parametrize("status", ["pass", "manual", "not_checked", "not_applicable", "error"])
def test_nothing_is_planned_about_what_does_not_fail(status: str) -> None:
    assert plan(samples.report({"jira1": samples.host([failing("DC-DIR-01", status=status)])})) is None
    assert fix_command("jira1", failing("DC-DIR-01", status=status)) is None


def test_nothing_is_planned_after_hardening() -> None:
    assert plan(samples.hardened()) is None


def test_the_command_names_the_hosts_with_something_to_do() -> None:
    report = samples.report(
        {
            "jira1": samples.host([failing("DC-DIR-01")]),
            "jira2": samples.host([failing("DC-DIR-06")]),
            "jira3": samples.host([failing("DC-USR-01")]),
        }
    )
    made = planned(report)
    assert (made.command, made.restarts, made.limited) == (f"{HARDEN} --limit jira1,jira3", True, True)


def test_the_command_is_limited_as_the_audit_was() -> None:
    report = samples.audit()
    report["selection"] = {"tags": ["file_permissions", "DC-USR-01"], "skip_tags": ["firewall"], "skip_controls": []}
    assert planned(report).command == (f"{HARDEN} --limit jira1 --tags file_permissions,DC-USR-01 --skip-tags firewall")


def test_without_anything_to_start_there_is_no_command() -> None:
    made = planned(samples.report({"jira1": samples.host([failing("DC-DIR-06")])}))
    assert (made.command, made.restarts) == (None, False)


def test_many_hosts_are_not_named() -> None:
    report = samples.report({f"jira{n}": samples.host([failing("DC-DIR-01")]) for n in range(MAX_LIMIT + 1)})
    made = planned(report)
    assert (made.command, made.limited) == (HARDEN, False)
    assert "It names no hosts" in render_terminal(report, width=200)


NO_WORDS = [text for name, text in samples.HOSTILE.items() if name != "long"]


@pytest.mark.parametrize("name", [*NO_WORDS, "-e", "a:b", "a,b", "!a", "all", "~a", "a b", "$(id)", "@f"])
def test_a_name_that_is_no_plain_word_gets_no_command(name: str) -> None:
    assert fix_command(name, failing("DC-DIR-01")) is None


@pytest.mark.parametrize("tag", ["$(id)", "a b", "-e", "{{ x }}"])
def test_a_tag_that_is_no_plain_word_gets_no_command(tag: str) -> None:
    report = samples.audit()
    report["selection"]["tags"] = [tag]
    assert planned(report).command is None


@pytest.mark.parametrize("name", ["jira1", "jira-1.example.com", "10.0.0.7", "2001:db8::7"])
def test_the_command_of_a_finding(name: str) -> None:
    command = fix_command(name, failing("DC-DIR-01"))
    assert command == f"{HARDEN} --limit {name} --tags DC-DIR-01"
    assert " ".join(shlex.split(command)) == command
    assert fix_command(name, failing("DC-USR-01")) == (
        f"{HARDEN} --limit {name} --tags DC-USR-01 -e atlassian_dc_allow_restart=true"
    )
    assert fix_command(name, failing("DC-DIR-06")) is None


def test_a_command_says_what_it_costs_and_needs() -> None:
    assert fix_notes(failing("DC-DIR-01")) == []
    assert fix_notes(failing("DC-USR-01")) == ["It restarts the product."]
    assert fix_notes(failing("DC-NET-01")) == [
        "It refuses traffic that is not declared.",
        "It acts once atlassian_dc_admin_networks and atlassian_dc_proxy_addresses are set.",
    ]
    assert fix_notes(failing("DC-DIR-06")) == []
