# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The JUnit report: a case for each control, the right outcome, and XML that parses whatever is in it."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._report_junit import MAX_EVIDENCE, render_junit
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._report_terminal import is_showable, visible
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.report import samples


def parsed(report: samples.Report) -> ElementTree.Element:
    return ElementTree.fromstring(render_junit(report).encode("utf-8"))  # noqa: S314 - made by us a moment ago


def case(root: ElementTree.Element, control: str) -> ElementTree.Element:
    (found,) = (case for case in root.iter("testcase") if case.attrib["name"].startswith(f"{control} "))
    return found


@pytest.mark.parametrize("name", samples.ALL)
def test_a_suite_for_each_host_and_a_case_for_each_control(name: str) -> None:
    report = samples.ALL[name]()
    root = parsed(report)
    assert root.tag == "testsuites"
    assert [suite.attrib["name"] for suite in root] == [visible(host) for host in sorted(report["hosts"])]
    for suite, (host, content) in zip(root, sorted(report["hosts"].items()), strict=True):
        expected = sorted(
            (f"{host}.{entry['instance'] or entry['scope']}", f"{entry['id']} {entry['title']}")
            for entry in content["controls"]
        )
        found = sorted((found.attrib["classname"], found.attrib["name"]) for found in suite.iter("testcase"))
        assert found == sorted((visible(where), visible(what)) for where, what in expected)


@pytest.mark.parametrize("name", samples.ALL)
def test_the_counts_are_those_of_the_cases(name: str) -> None:
    root = parsed(samples.ALL[name]())
    for element in (root, *root):
        for attribute, tag in (
            ("tests", "testcase"),
            ("failures", "failure"),
            ("errors", "error"),
            ("skipped", "skipped"),
        ):
            assert int(element.attrib[attribute]) == len(list(element.iter(tag))), attribute


def test_each_status_has_its_outcome() -> None:
    root = parsed(samples.hardened())
    outcomes = {found.attrib["name"].split()[0]: [child.tag for child in found] for found in root.iter("testcase")}
    assert outcomes == {
        "DC-USR-02": [],
        "DC-USR-01": ["failure"],
        "DC-DIR-01": [],  # fixed
        "DC-DIR-04": ["skipped"],  # waived
        "DC-DIR-06": ["failure"],  # its waiver expired
        "DC-DIR-05": [],
        "DC-USR-05": ["error"],
        "DC-NET-01": ["failure"],
        "DC-NET-03": ["skipped"],  # not applicable
        "DC-ADM-01": ["skipped"],  # not checked
        "DC-TOM-05": [],
        "DC-LOG-04": [],
        "DC-ORG-01": ["skipped"],  # manual
    }


def test_a_failure_tells_reason_evidence_and_remedy() -> None:
    (failure,) = case(parsed(samples.audit()), "DC-USR-01")
    assert failure.attrib == {"message": "the main process 1234 runs as root, not as jira", "type": "critical"}
    assert failure.text == (
        "the main process 1234 runs as root, not as jira\n"
        "Pending: restart of the product\n"
        "user of process 1234: expected jira, found root\n"
        "jira.service: User=: expected jira, found not set (root)\n"
        "How to put it right: Run harden with atlassian_dc_allow_restart=true: it stops Jira, hands its folders over "
        "and starts it again."
    )


@pytest.mark.parametrize(
    ("control", "message"),
    [
        ("DC-NET-03", "not applicable: jira is not clustered"),
        ("DC-ADM-01", "not checked: no credentials for jira (set atlassian_dc_credentials)"),
        ("DC-ORG-01", "manual: no live attestation"),
        (
            "DC-DIR-04",
            "waived until 2026-12-01 by Dana Novak (Migration to the new proxy ends in November): "
            "dbconfig.xml is readable by everybody",
        ),
    ],
)
def test_what_is_skipped_says_why(control: str, message: str) -> None:
    (skipped,) = case(parsed(samples.audit()), control)
    assert skipped.attrib == {"message": message}


def test_an_incomplete_report_says_so_in_each_suite() -> None:
    root = parsed(samples.two_hosts_one_unreachable())
    assert [suite.findtext("system-err") for suite in root] == [
        "The report is incomplete.\n1 host could not be reached: jira2.\n"
        "1 control could not be judged because the check broke."
    ] * 2
    assert parsed(samples.audit()).find(".//system-err") is None


def test_much_evidence_is_cut_and_says_so() -> None:
    report = samples.audit()
    many = [samples.evidence(f"/path/{number}", "a", "b") for number in range(MAX_EVIDENCE + 7)]
    report["hosts"]["jira1"]["controls"][1]["evidence"] = many
    (failure,) = case(parsed(report), "DC-USR-01")
    assert failure.text is not None
    assert f"/path/{MAX_EVIDENCE - 1}:" in failure.text
    assert f"/path/{MAX_EVIDENCE}:" not in failure.text
    assert "\n7 more in report.json\n" in failure.text


def test_hostile_texts_stay_text() -> None:
    root = parsed(samples.hostile())
    assert {element.tag for element in root.iter()} == {"testsuites", "testsuite", "testcase", "failure", "system-err"}
    texts = "\n".join(failure.text or "" for failure in root.iter("failure"))
    assert samples.HOSTILE["markup"] in texts
    assert r"before\x00after" in texts
    assert r"lone \ud800 half" in texts
    assert not [line for line in texts.split("\n") if line.startswith("FAIL  critical")]


@pytest.mark.parametrize("name", samples.ALL)
def test_the_same_report_gives_the_same_text(name: str) -> None:
    first, second = samples.ALL[name](), samples.ALL[name]()
    second["hosts"] = dict(reversed(second["hosts"].items()))
    for host in second["hosts"].values():
        host["controls"].reverse()
    assert render_junit(first) == render_junit(second)


@settings(max_examples=60)
@given(text=st.text(alphabet=st.characters(), min_size=1, max_size=200))
def test_any_text_anywhere_gives_xml_that_parses(text: str) -> None:
    report = samples.audit()
    host = report["hosts"].pop("jira1")
    report["hosts"][text] = host
    for entry in host["controls"]:
        entry.update(title=text, reason=text, remediation=text, evidence=[samples.evidence(text, text, text)])
        if entry["instance"]:
            entry["instance"] = text
    root = parsed(report)
    assert root[0].attrib["name"] == visible(text)
    for element in root.iter():
        for value in (*element.attrib.values(), *(element.text or "").split("\n")):
            assert all(map(is_showable, value))
