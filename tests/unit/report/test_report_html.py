# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The HTML report: well-formed, complete, and deaf to whatever hostile hosts put into it."""

from __future__ import annotations

import base64
import hashlib
import html
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._report_html import (
    MAX_CHARACTERS,
    MAX_EVIDENCE,
    render_html,
)
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._report_terminal import STATUSES, is_showable
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.report import samples

VOID = {"meta", "col", "link", "img", "br", "hr", "input"}
LOADING = {"src", "srcset", "poster", "data", "action", "background", "formaction", "ping", "manifest", "xlink:href"}


class Page(HTMLParser):
    """A page taken apart; fails on tags that do not match."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.style = self.script = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _value in attrs}) == len(attrs), f"attribute twice in <{tag}>"
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "style":
            self.style += data
        elif self.open and self.open[-1] == "script":
            self.script += data
        else:
            self.text.append(data)

    def all(self, tag: str, **attributes: str) -> list[dict[str, str | None]]:
        return [
            attrs for name, attrs in self.tags if name == tag and all(attrs.get(k) == v for k, v in attributes.items())
        ]

    @property
    def kinds(self) -> set[str]:
        return {tag for tag, _attrs in self.tags}

    @property
    def groups(self) -> list[tuple[str, bool]]:
        """Return the status of each group of controls, and whether it is open."""
        classes = [(str(attrs.get("class")).split(), "open" in attrs) for attrs in self.all("details")]
        return [(names[1], is_open) for names, is_open in classes if names[0] == "group"]

    @property
    def words(self) -> str:
        return " ".join("".join(self.text).split())


def page(report: samples.Report) -> Page:
    return Page(render_html(report))


@pytest.mark.parametrize("name", samples.ALL)
def test_every_report_is_well_formed_and_self_contained(name: str) -> None:
    shown = page(samples.ALL[name]())
    assert not shown.kinds & {"img", "link", "iframe", "object", "embed", "form", "base", "image", "use"}
    for tag, attrs in shown.tags:
        assert not LOADING & set(attrs), (tag, attrs)
        assert not [attribute for attribute in attrs if attribute.startswith("on") or attribute == "style"], (
            tag,
            attrs,
        )
        if "href" in attrs:
            assert tag == "a"
    assert not re.search(r"url\(|@import|expression\(", shown.style)


@pytest.mark.parametrize("name", samples.ALL)
def test_links_leave_no_trace_and_lead_to_the_web_or_into_the_page(name: str) -> None:
    shown = page(samples.ALL[name]())
    ids = [attrs["id"] for _tag, attrs in shown.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    for link in shown.all("a"):
        target = link["href"]
        assert target is not None
        if target.startswith("#"):
            assert target[1:] in ids
        else:
            assert re.match(r"https?://[\x21-\x7e]+$", target)
            assert link["rel"] == "noreferrer"
    for _tag, attrs in shown.tags:
        if "aria-labelledby" in attrs:
            assert attrs["aria-labelledby"] in ids


def test_a_dangerous_reference_is_no_link() -> None:
    report = samples.audit()
    dangerous = [
        "javascript:alert(1)",
        "data:text/html,x",
        "https:nohost",
        "https://[bad",
        "file:///etc/passwd",
        "//x.y",
    ]
    report["hosts"]["jira1"]["controls"][0]["references"] = ["https://example.com/a?b=1&c=2", *dangerous]
    shown = page(report)
    targets = {link["href"] for link in shown.all("a")}
    assert "https://example.com/a?b=1&c=2" in targets
    assert not targets & set(dangerous)
    assert all(text in shown.words for text in dangerous)


def test_the_content_security_policy_allows_this_style_and_nothing_else() -> None:
    shown = page(samples.hostile())
    (policy,) = [meta["content"] for meta in shown.all("meta") if meta.get("http-equiv") == "Content-Security-Policy"]
    style, script = (
        base64.b64encode(hashlib.sha256(source.encode()).digest()).decode() for source in (shown.style, shown.script)
    )
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{style}'; script-src 'sha256-{script}'; "
        "base-uri 'none'; form-action 'none'"
    )
    assert len(shown.all("style")) == len(shown.all("script")) == 1
    assert shown.script == page(samples.audit()).script, "nothing of a report is in the script"


def test_hostile_texts_stay_text() -> None:
    text_of_page = render_html(samples.hostile())
    assert [char for char in set(text_of_page) if char != "\n" and not is_showable(char)] == []
    assert text_of_page.count("<script") == 1
    assert "onmouseover=&#34;" in text_of_page
    shown = Page(text_of_page)
    assert "{{ 7 * 7 }}{% for x in y %}{# #}" in shown.words
    assert shown.kinds <= page(samples.two_hosts_one_unreachable()).kinds
    for escaped in (r"invoice\u202egpj.exe", r"zero\u200bwidth\ufeff", r"\x1b[2J", r"before\x00after", r"caf\xe9-\xff"):
        assert escaped in shown.words
    assert r"lone \ud800 half" in shown.words
    text_of_page.encode("utf-8")


def test_escapes_are_told_from_text_that_looks_like_them() -> None:
    report = samples.audit()
    report["hosts"]["jira1"]["controls"][1]["reason"] = "a\tb and a\\tb"
    assert r'a<span class="esc">\t</span>b and a\tb' in render_html(report)


def test_long_texts_are_cut_and_say_so() -> None:
    report = samples.audit()
    report["hosts"]["jira1"]["controls"][1]["reason"] = "B" * (MAX_CHARACTERS + 1234)
    text_of_page = render_html(report)
    assert max(map(len, re.findall("B+", text_of_page))) == MAX_CHARACTERS
    assert "… 1,234 more characters in report.json" in text_of_page


def test_much_evidence_is_cut_and_says_so() -> None:
    report = samples.audit()
    many = [samples.evidence(f"/path/{number}", "a", "b") for number in range(MAX_EVIDENCE + 7)]
    report["hosts"]["jira1"]["controls"][1]["evidence"] = many
    shown = page(report)
    assert f"/path/{MAX_EVIDENCE - 1}" in shown.words
    assert f"/path/{MAX_EVIDENCE}" not in shown.words
    assert "7 more in report.json" in shown.words


@pytest.mark.parametrize("name", samples.ALL)
def test_the_same_report_gives_the_same_bytes(name: str) -> None:
    first, second = samples.ALL[name](), samples.ALL[name]()
    second["hosts"] = dict(reversed(second["hosts"].items()))
    for host in second["hosts"].values():
        host["controls"].reverse()
    assert render_html(first) == render_html(second)


def test_worst_comes_first() -> None:
    shown = page(samples.hardened())
    groups = [status for status, _open in shown.groups]
    assert groups == [status for status in STATUSES if status in groups]
    assert set(groups) == set(STATUSES)
    ids = re.findall(r'<code class="id">(DC-[A-Z]{3}-\d\d)</code>', render_html(samples.hardened()))
    fails = ["DC-NET-01", "DC-USR-01", "DC-DIR-06"]  # critical before high, then by id
    assert [control for control in ids if control in fails] == fails


def test_long_groups_of_little_urgency_are_closed() -> None:
    closed = {status for status, is_open in page(samples.hardened()).groups if not is_open}
    assert closed == {"not_checked", "pass", "not_applicable"}


def test_what_a_reader_needs_is_there() -> None:
    report = samples.audit()
    words = page(report).words
    for entry in report["hosts"]["jira1"]["controls"]:
        for text in (entry["id"], entry["title"], entry["reason"]):
            assert text in words
        for item in entry["evidence"]:
            assert all(value in words for value in item.values())
        if entry["status"] in ("fail", "manual"):
            assert " ".join(entry["remediation"].split()) in words
    for text in (
        "4/8",
        "9/12",
        "pending restart",
        "2026-11-23 15:00:09 UTC",
        "10.3.15",
        "/opt/atlassian/jira",
        *report["messages"],
    ):
        assert text in words
    assert "Waived until 2026-12-01, 8 days left." in words
    assert "Owner: Dana Novak; approved by Sam Okafor; ticket SEC-1182" in words
    assert "Waiver expired on 2026-10-01." in words
    assert "Waiver until 2027-06-30 not needed." in words
    assert "incomplete" not in words


def test_a_waiver_of_what_could_not_be_judged_has_no_effect() -> None:
    report = samples.audit()
    (entry,) = (entry for entry in report["hosts"]["jira1"]["controls"] if entry["status"] == "not_checked")
    entry["waiver"] = samples.waiver(judged="not_checked", approver=None, ticket=None)
    words = page(report).words
    assert "Waiver until 2026-12-01 without effect: it covers failures only." in words
    assert "None" not in words


def test_the_last_day_of_a_waiver() -> None:
    report = samples.audit()
    (entry,) = (entry for entry in report["hosts"]["jira1"]["controls"] if entry["status"] == "waived")
    entry["waiver"]["expires"] = "2026-11-23"
    assert "Waived until 2026-11-23, last day." in page(report).words


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("two_hosts_one_unreachable", "1 host could not be reached: jira2."),
        ("preflight_stop", "The run stopped before any control was checked."),
    ],
)
def test_an_incomplete_report_says_so_loudly_and_why(name: str, reason: str) -> None:
    words = page(samples.ALL[name]()).words
    assert f"This report is incomplete {reason}" in words
    assert "never as pass" in words


def test_a_run_that_failed_on_reachable_hosts_is_explained() -> None:
    report = samples.audit()
    report["complete"] = False
    report["hosts"]["jira1"]["controls"] = [
        control for control in report["hosts"]["jira1"]["controls"] if control["status"] != "error"
    ]
    assert "A task failed, so that not every host went through the whole run." in page(report).words


def test_a_limited_run_says_what_was_left_out() -> None:
    report = samples.audit()
    report["selection"] = {"tags": ["firewall", "DC-DIR-01"], "skip_tags": ["tomcat"], "skip_controls": ["DC-USR-01"]}
    words = page(report).words
    assert "Only tags firewall, DC-DIR-01 were selected." in words
    assert "Tags tomcat were skipped." in words
    assert "Controls DC-USR-01 were left out." in words


def test_hosts_are_listed_with_their_counts_when_there_are_several() -> None:
    several = page(samples.two_hosts_one_unreachable())
    assert len(several.all("section", **{"class": "overview"})) == 1
    assert page(samples.audit()).all("section", **{"class": "overview"}) == []
    assert "No Atlassian product was found on this host." in page(samples.nothing_installed()).words


def test_a_report_without_hosts_or_optional_parts_is_shown() -> None:
    report = samples.report({}, complete=False)
    del report["messages"], report["selection"]
    assert "The run stopped before it knew its hosts." in page(report).words
    with_host = samples.audit()
    for entry in with_host["hosts"]["jira1"]["controls"]:
        del entry["references"]
        entry["remediation"] = None
    assert "DC-DIR-01" in page(with_host).words


@settings(max_examples=60)
@given(text=st.text(alphabet=st.characters(), min_size=1, max_size=200))
def test_any_text_anywhere_keeps_the_page_whole(text: str) -> None:
    report: dict[str, Any] = samples.audit()
    host = report["hosts"].pop("jira1")
    report["hosts"][text] = host
    report["messages"] = [text]
    host["instances"][0].update(name=text, version=text, install_dir=text)
    for entry in host["controls"]:
        entry.update(title=text, reason=text, remediation=text, references=[text])
        entry["evidence"] = [samples.evidence(text, text, text)]
    text_of_page = render_html(report)
    assert Page(text_of_page).kinds <= page(samples.two_hosts_one_unreachable()).kinds
    assert all(char == "\n" or is_showable(char) for char in text_of_page)


def entry_of(report: samples.Report, control: str) -> dict[str, Any]:
    (found,) = (entry for host in report["hosts"].values() for entry in host["controls"] if entry["id"] == control)
    return dict(found)


def blocks(report: samples.Report) -> list[str]:
    found = re.findall(r'<pre class="command" tabindex="0"><code>(.*?)</code></pre>', render_html(report))
    return [html.unescape(text) for text in found]


HARDEN = "ansible-playbook -i INVENTORY atlassian_dc.hardening.harden --limit jira1"


def test_commands_can_be_copied() -> None:
    assert blocks(samples.audit()) == [
        HARDEN,  # the plan
        f"{HARDEN} -e atlassian_dc_allow_restart=true",
        f"{HARDEN} --tags service_user -e atlassian_dc_allow_restart=true",  # what waits for a restart
        f"{HARDEN} --tags DC-DIR-01",
        f"{HARDEN} --tags DC-NET-01",
        f"{HARDEN} --tags DC-USR-01 -e atlassian_dc_allow_restart=true",
    ]


def test_hardening_has_no_plan_but_what_waits() -> None:
    words = page(samples.hardened()).words
    assert "What harden would do" not in words
    assert f"{HARDEN} --tags service_user -e atlassian_dc_allow_restart=true" in words
    assert "Waiting for a restart" in words


def test_hostile_names_are_in_no_command() -> None:
    report = samples.hostile()
    for host in report["hosts"].values():
        host["controls"] = [entry | {"id": "DC-DIR-01"} for entry in host["controls"]]
    assert set(blocks(report)) <= {"ansible-playbook -i INVENTORY atlassian_dc.hardening.harden"}


def test_each_control_lists_all_its_subjects() -> None:
    report = samples.two_hosts_one_unreachable()
    shown = page(report)
    listed = [item["data-entry"] for item in shown.all("li") if "data-entry" in item]
    rows = [body["id"] for body in shown.all("tbody") if "data-status" in body]
    assert sorted(map(str, listed)) == sorted(map(str, rows))
    assert len(rows) == sum(len(host["controls"]) for host in report["hosts"].values())


def test_the_host_that_needs_attention_most_comes_first() -> None:
    report = samples.report(
        {
            "a-good": samples.host([samples.entry("DC-DIR-01", "pass", "critical", "Title")]),
            "b-bad": samples.host([entry_of(samples.audit(), "DC-DIR-06")]),
            "c-worse": samples.host([entry_of(samples.audit(), "DC-DIR-01")]),
            "d-gone": samples.host([], reachable=False),
        },
        complete=False,
    )
    names = re.findall(r'<h2 id="host-\d+-name"><bdi>([a-z-]+)</bdi>', render_html(report))
    assert names == ["d-gone", "c-worse", "b-bad", "a-good"]


def test_without_script_everything_is_shown() -> None:
    shown = page(samples.audit())
    assert [tag for tag, attrs in shown.tags if "hidden" in attrs] == ["div", "button"]  # the filter and its button


# ---- in a real browser ----------------------------------------------------------------------------------------------

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--dump-dom",
]


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
@pytest.mark.parametrize(
    ("fragment", "expected"),
    [
        ("status=fail&q=dir", {"DC-DIR-01", "DC-DIR-06"}),
        ("severity=high&status=pass", {"DC-USR-02", "DC-DIR-05"}),
        ("host=jira2&q=DC-TOM", {"DC-TOM-05"}),
        ("q=runs+root&host=jira1", {"DC-USR-01"}),
        ("q=nothing-like-this", set()),
    ],
)
def test_a_link_to_a_filtered_view_shows_only_that(tmp_path: Path, fragment: str, expected: set[str]) -> None:
    file = tmp_path / "report.html"
    file.write_text(render_html(samples.two_hosts_one_unreachable()))
    run = subprocess.run(
        [str(CHROMIUM), *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", f"{file.as_uri()}#{fragment}"],
        capture_output=True,
        text=True,
        timeout=600,
        check=True,
    )
    bodies = re.findall(r'<tbody [^>]*data-status="[^"]*"[^>]*>.*?<code class="id">[^<]*', run.stdout, re.DOTALL)
    assert len(bodies) == 25
    shown = [body for body in bodies if "hidden" not in body[: body.index(">")]]
    assert {body[-9:] for body in shown} == expected
    assert f'role="status">{len(shown)} of 25 shown<' in run.stdout
