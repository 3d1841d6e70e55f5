# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report on a terminal: what it says, that it fits, and that no text from a host steers the terminal."""

from __future__ import annotations

import re

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._report_terminal import (
    is_showable,
    render_terminal,
    some_names,
    text_width,
    visible,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.report import samples

SGR = re.compile(r"\x1b\[[0-9;]+m")

AUDIT_AT_100 = """\
Audit of 1 host, 2026-11-23 15:00:09 UTC

       pass  fail  fixed  waived  n/a  manual  not checked  error
jira1     4     4      0       1    1       1            1      1

Score 4/8: pass and fixed, out of pass, fixed and fail
Coverage 9/12: judged, out of all that apply

FAIL   critical  DC-DIR-01  jira1/jira  Install tree is owned by root and not writable by the servi…
       41 paths under the install tree are writable by jira
FAIL   critical  DC-NET-01  jira1       Inbound traffic is denied by default and only needed ports …
       no rule set denies inbound traffic; not applied because atlassian_dc_admin_networks is not
       set
FAIL   critical  DC-USR-01  jira1/jira  [pending restart] Product runs as its own non-root account
       the main process 1234 runs as root, not as jira
FAIL   high      DC-DIR-06  jira1/jira  No backup archive or secret lies where the web server can s…
       1 backup archive lies in the export folder; its waiver expired on 2026-10-01
       /var/atlassian/application-data/jira/export/2025-02-11.zip
ERROR  medium    DC-USR-05  jira1       No account shares the service account's UID or group by acc…
       getent passwd ended with status 2 after 10 s

What harden would do, unless a reason says otherwise
    1  put right at once, without a restart: DC-DIR-01
    1  put right by a restart of the product, if atlassian_dc_allow_restart=true: DC-USR-01
    1  put right by refusing traffic that is not declared, as far as what it needs is set
       (atlassian_dc_admin_networks, atlassian_dc_proxy_addresses): DC-NET-01
    1  leave to a person: DC-DIR-06
    1  leave alone, for somebody accepts it: DC-DIR-04
To start it, with your inventory:
  ansible-playbook -i INVENTORY atlassian_dc.hardening.harden --limit jira1
Add -e atlassian_dc_allow_restart=true when the products may be restarted.

Not listed here: 1 waived (the first until 2026-12-01), 1 manual (a person has to answer), 1 not
checked. The report has the reason of each.

Warning: The waiver of DC-DIR-04 on jira1 expires on 2026-12-01, in 8 days (owner: Dana Novak)."""


def test_an_audit_as_people_see_it() -> None:
    assert render_terminal(samples.audit(), width=100) == AUDIT_AT_100


def test_one_line_where_it_fits() -> None:
    lines = render_terminal(samples.audit(), width=160).splitlines()
    assert (
        "FAIL   critical  DC-USR-01  jira1/jira  [pending restart] Product runs as its own non-root account: "
        "the main process 1234 runs as root, not as jira"
    ) in lines


def test_after_hardening_it_says_what_waits_instead_of_a_plan() -> None:
    shown = render_terminal(samples.hardened(), width=200)
    assert "1 control pending a product restart: run harden with -e atlassian_dc_allow_restart=true" in shown
    assert "What harden would do" not in shown


def test_of_what_is_left_to_a_person_the_first_are_named() -> None:
    report = samples.audit()
    (entry,) = (entry for entry in report["hosts"]["jira1"]["controls"] if entry["id"] == "DC-DIR-06")
    entry["evidence"] = [samples.evidence(f"/export/{number}.zip", "absent", "1 MB") for number in range(5)]
    assert "       /export/0.zip, /export/1.zip, /export/2.zip and 2 more" in render_terminal(report).splitlines()


def test_a_long_command_is_continued_as_a_shell_takes_it() -> None:
    report = samples.audit()
    report["hosts"] = {f"jira-production-node-{n}": report["hosts"]["jira1"] for n in range(3)}
    lines = render_terminal(report, width=80).splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("  ansible-playbook"))
    assert lines[start : start + 2] == [
        "  ansible-playbook -i INVENTORY atlassian_dc.hardening.harden --limit \\",
        "  jira-production-node-0,jira-production-node-1,jira-production-node-2",
    ]


def test_colours_change_nothing_but_colour() -> None:
    coloured = render_terminal(samples.hardened(), color=True, width=90)
    assert "\x1b[31mFAIL \x1b[0m" in coloured
    assert SGR.sub("", coloured) == render_terminal(samples.hardened(), color=False, width=90)
    assert coloured.count("\x1b[0m") * 2 == len(SGR.findall(coloured))


@pytest.mark.parametrize("width", [1, 40, 60, 80, 100, 200])
@pytest.mark.parametrize("name", samples.ALL)
def test_every_line_fits_and_is_clean(name: str, width: int) -> None:
    shown = render_terminal(samples.ALL[name](), width=width)
    for line in shown.split("\n"):
        assert text_width(line) <= max(width, 40)
        assert all(map(is_showable, line))


def test_no_text_of_a_host_steers_the_terminal() -> None:
    shown = render_terminal(samples.hostile(), color=True, width=120)
    assert "\x1b" not in SGR.sub("", shown)
    assert r"\x1b[2J" in shown
    assert r"invoice\u202egpj.exe" in shown
    # A line of a message cannot pass for a finding: findings start at the edge, such lines are indented.
    lines = SGR.sub("", shown).split("\n")
    assert "    FAIL critical forged line" in lines
    assert not [line for line in lines if line.startswith("FAIL critical forged")]


def test_unreachable_hosts_are_named() -> None:
    shown = render_terminal(samples.two_hosts_one_unreachable(), width=100)
    assert "INCOMPLETE: 1 host could not be reached: jira2." in shown
    assert re.search(r"^jira2 .* unreachable$", shown, re.M)
    assert re.search(r"^total +4 +4 +0 +1 +1 +1 +13 +1$", shown, re.M)


def test_a_narrow_terminal_gets_sentences_for_the_table() -> None:
    shown = render_terminal(samples.two_hosts_one_unreachable(), width=44)
    assert "jira2: 12 not checked, unreachable" in shown


def test_columns_nobody_has_go_first_when_names_are_long() -> None:
    report = samples.audit()
    name = "jira-production-node-1.example.com"
    report["hosts"] = {name: report["hosts"]["jira1"]}
    table = render_terminal(report, width=88).splitlines()[2:4]
    assert "fixed" not in table[0]
    assert name in table[1]
    assert "fixed" in render_terminal(report, width=120)


def test_worst_severity_first_and_errors_before_failures_of_the_same() -> None:
    report = samples.audit()
    controls = report["hosts"]["jira1"]["controls"]
    (broken,) = (control for control in controls if control["status"] == "error")
    broken["severity"] = "high"
    found = re.findall(r"^(FAIL|ERROR) +(\w+) +(DC-\S+)", render_terminal(report), re.M)
    assert found == [
        ("FAIL", "critical", "DC-DIR-01"),
        ("FAIL", "critical", "DC-NET-01"),
        ("FAIL", "critical", "DC-USR-01"),
        ("ERROR", "high", "DC-USR-05"),
        ("FAIL", "high", "DC-DIR-06"),
    ]


def test_a_clean_report_has_neither_findings_nor_hints() -> None:
    report = samples.report({"jira1": samples.host([samples.entry("DC-USR-01", "pass", "critical", "Title")])})
    assert render_terminal(report).splitlines()[-2:] == [
        "Score 1/1: pass and fixed, out of pass, fixed and fail",
        "Coverage 1/1: judged, out of all that apply",
    ]


def test_a_run_stopped_in_preflight_says_why() -> None:
    shown = render_terminal(samples.preflight_stop(), width=200)
    assert "INCOMPLETE: The run stopped before any control was checked." in shown
    assert "Warning: jira1: unknown variable atlassian_dc_admin_netwroks" in shown


def test_a_report_without_hosts_is_shown() -> None:
    shown = render_terminal(samples.report({}, complete=False))
    assert "INCOMPLETE: The run stopped before it knew its hosts." in shown


def test_many_names_are_counted() -> None:
    assert some_names([str(number) for number in range(12)]) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more"
    assert some_names(["a", "b"]) == "a, b"


def test_visible_keeps_what_is_harmless() -> None:
    assert visible("Überprüfung\u00a0設定 🙂") == "Überprüfung\u00a0設定 🙂"
    assert visible("\n\r\t\x7f\x9b\u200d\U000e0041\udc80\ud800") == r"\n\r\t\x7f\x9b\u200d\U000e0041\x80\ud800"


@settings(max_examples=60)
@given(text=st.text(alphabet=st.characters(), min_size=1, max_size=300), width=st.integers(0, 150))
def test_any_text_fits_and_is_clean(text: str, width: int) -> None:
    report = samples.audit()
    host = report["hosts"].pop("jira1")
    report["hosts"][text] = host
    report["messages"] = [text]
    for entry in host["controls"]:
        entry.update(title=text, reason=text)
        if entry["instance"]:
            entry["instance"] = text
    for line in render_terminal(report, width=width).split("\n"):
        assert text_width(line) <= max(width, 40)
        assert all(map(is_showable, line))
