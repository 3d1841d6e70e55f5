# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules of the report, one by one."""

from __future__ import annotations

import dataclasses
import datetime
import itertools
from collections import Counter

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._catalogue import load_catalogue
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._ledger import (
    PRECEDENCE,
    Judgement,
    Ledger,
    combine,
    summarise,
)
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._statements import Attestation, Waiver

TODAY = datetime.date(2026, 11, 23)
PROOF = {"what": "/opt/atlassian/jira", "expected": "root:root", "actual": "jira:jira"}
JIRA = {"name": "jira", "product": "jira", "version": "10.3.15"}


def instance(name: str, product: str = "jira", cluster: str | None = None) -> dict:
    return {"name": name, "product": product, "cluster": {"id": cluster} if cluster else None}


def finding(control: str, status: str, name: str | None = "jira", **more: object) -> dict:
    reason = "" if status == "pass" else f"{control} is {status}"
    evidence = [PROOF] if status in ("fail", "fixed") else []
    return {"control": control, "instance": name, "status": status, "reason": reason, "evidence": evidence, **more}


@pytest.fixture
def ledger() -> Ledger:
    ledger = Ledger(load_catalogue())
    ledger.host("jira1")
    ledger.found("jira1", [JIRA])
    ledger.finished_plays = True
    return ledger


def entries(ledger: Ledger, host: str = "jira1") -> dict:
    controls = ledger.report(TODAY)["hosts"][host]["controls"]
    return {(entry["id"], entry["instance"]): entry for entry in controls}


def judgement(status: str, reason: str = "why") -> Judgement:
    return Judgement(status, "" if status == "pass" else reason, (PROOF,) if status in ("fail", "fixed") else ())


class TestCombine:
    @pytest.mark.parametrize(("one", "two"), list(itertools.product(PRECEDENCE, repeat=2)))
    def test_the_worse_status_wins_in_either_order(self, one: str, two: str) -> None:
        assert combine([judgement(one), judgement(two)]).status == min(one, two, key=PRECEDENCE.index)

    def test_reasons_and_evidence_of_the_winning_status_are_all_kept(self) -> None:
        other = Judgement("fail", "the unit", ({"what": "unit", "expected": "User=jira", "actual": "root"},))
        merged = combine([judgement("fail", "the process"), other, judgement("pass")])
        assert merged.reason == "the process; the unit"
        assert [item["what"] for item in merged.evidence] == ["/opt/atlassian/jira", "unit"]

    def test_a_run_puts_right_what_it_can_of_a_part(self) -> None:
        by_hand = Judgement("fail", "the token", (PROOF,), by_hand=True)
        assert combine([by_hand, by_hand]).by_hand
        assert not combine([by_hand, judgement("fail")]).by_hand
        assert combine([by_hand, judgement("pass")]).by_hand

    def test_the_same_is_said_once(self) -> None:
        merged = combine([judgement("fail"), judgement("fail")])
        assert (merged.reason, merged.evidence) == ("why", (PROOF,))

    def test_a_part_of_a_reason_that_another_one_has_too_is_said_once(self) -> None:
        first = judgement("fail", "account jira holds extra rights: member of adm; 1 sudo rule in /etc/sudoers.d/jira")
        second = judgement("fail", "account jira holds extra rights: member of adm; it keeps groups")
        merged = combine([first, second])
        assert merged.reason == (
            "account jira holds extra rights: member of adm; 1 sudo rule in /etc/sudoers.d/jira; it keeps groups"
        )

    def test_two_plays_in_which_the_same_fails_say_it_once(self, ledger: Ledger) -> None:
        waits = finding("DC-DIR-01", "fail", reason="3 paths are writable by jira; 1 path is open to other accounts")
        fails = finding("DC-DIR-01", "fail", reason="1 path is open to other accounts")
        ledger.findings("jira1", [waits], "first play")
        ledger.findings("jira1", [fails], "first play")
        ledger.findings("jira1", [fails], "second play")
        entry = entries(ledger)["DC-DIR-01", "jira"]
        assert entry["reason"] == "3 paths are writable by jira; 1 path is open to other accounts"
        assert len(entry["evidence"]) == 1


class TestJudgementRules:
    @pytest.mark.parametrize("status", [status for status in PRECEDENCE if status != "pass"])
    def test_every_status_but_pass_needs_a_reason(self, status: str) -> None:
        with pytest.raises(ValueError, match="without a reason"):
            Judgement(status, "", (PROOF,))

    @pytest.mark.parametrize("status", ["fail", "fixed"])
    def test_drift_needs_evidence(self, status: str) -> None:
        with pytest.raises(ValueError, match="without evidence"):
            Judgement(status, "why")

    def test_statuses_of_the_ledger_cannot_be_claimed_by_a_task(self) -> None:
        with pytest.raises(ValueError, match="unknown status"):
            Judgement("waived", "why")

    def test_a_finding_that_breaks_the_rules_is_an_error_of_its_control(self, ledger: Ledger) -> None:
        ledger.findings("jira1", [finding("DC-DIR-01", "fail", evidence=[])], "task")
        assert entries(ledger)["DC-DIR-01", "jira"]["status"] == "error"


class TestSums:
    def test_one_standalone_instance_adds_up_to_the_catalogue(self, ledger: Ledger) -> None:
        report = ledger.report(TODAY)
        catalogue = load_catalogue()
        found = Counter(entry["id"] for entry in report["hosts"]["jira1"]["controls"])
        assert found == dict.fromkeys(catalogue, 1)
        assert sum(
            report["summary"][status] for status in report["summary"] if status not in ("score", "coverage")
        ) == len(catalogue)

    def test_each_scope_adds_up_over_hosts_instances_and_clusters(self) -> None:
        ledger = Ledger(load_catalogue())
        for name in ("a", "b", "c", "d"):
            ledger.host(name)
        ledger.found("a", [instance("jira", cluster="x"), instance("crowd", "crowd")])
        ledger.found("b", [instance("jira", cluster="x")])
        ledger.found("c", [])
        ledger.host("d").unreachable = "no route"
        scopes = Counter(control.scope for control in load_catalogue().values())
        report = ledger.report(TODAY)
        found = Counter(entry["scope"] for host in report["hosts"].values() for entry in host["controls"])
        assert found["host"] == 4 * scopes["host"]
        assert found["instance"] == (3 + 2) * scopes["instance"]  # three instances; once each on c and d
        assert found["cluster"] == (2 + 2) * scopes["cluster"]  # cluster x, crowd; once each on c and d
        assert found["site"] == scopes["site"]

    def test_id_and_instance_are_unique_per_host(self, ledger: Ledger) -> None:
        ledger.found("jira1", [instance("jira-a"), instance("jira-b")])
        keys = [(e["id"], e["instance"]) for e in ledger.report(TODAY)["hosts"]["jira1"]["controls"]]
        assert len(keys) == len(set(keys))

    def test_score_and_coverage_are_plain_fractions(self) -> None:
        summary = summarise(["pass", "fixed", "fail", "waived", "not_applicable", "not_checked", "manual", "error"])
        assert (summary["score"], summary["coverage"]) == ("2/3", "4/7")

    def test_site_controls_stand_on_the_first_reachable_host(self) -> None:
        ledger = Ledger(load_catalogue())
        ledger.host("a").unreachable = "no route"
        ledger.host("b")
        ledger.found("b", [])
        report = ledger.report(TODAY)
        sites = {name: [e for e in host["controls"] if e["scope"] == "site"] for name, host in report["hosts"].items()}
        assert not sites["a"]
        assert sites["b"]

    @pytest.mark.parametrize(
        ("mine", "theirs", "status", "reason"),
        [
            ("pass", "pass", "pass", ""),
            ("pass", "fail", "fail", "b: DC-LOG-08 is fail"),
            ("not_applicable", "pass", "pass", ""),
            ("fail", "pass", "fail", "DC-LOG-08 is fail"),
        ],
    )
    def test_site_controls_are_judged_by_all_hosts(self, mine: str, theirs: str, status: str, reason: str) -> None:
        ledger = Ledger(load_catalogue())
        for name, said in (("a", mine), ("b", theirs)):
            ledger.host(name)
            ledger.found(name, [])
            ledger.findings(name, [finding("DC-LOG-08", said, None)], "task")
        entry = entries(ledger, "a")["DC-LOG-08", None]
        assert (entry["status"], entry["reason"]) == (status, reason)

    def test_cluster_controls_stand_on_the_node_that_judged(self) -> None:
        ledger = Ledger(load_catalogue())
        for name in ("a", "b"):
            ledger.host(name)
            ledger.found(name, [instance("jira", cluster="x")])
        ledger.findings("b", [finding("DC-ADM-03", "pass")], "task")
        assert entries(ledger, "b")["DC-ADM-03", "jira"]["status"] == "pass"
        assert ("DC-ADM-03", "jira") not in entries(ledger, "a")


class TestWhatIsNotJudged:
    def test_what_another_node_says_of_a_cluster_control_counts_too(self) -> None:
        ledger = Ledger(load_catalogue())
        for name in ("a", "b", "c"):
            ledger.host(name)
            ledger.found(name, [instance("jira", cluster="x")])
            ledger.findings(name, [finding("DC-AUT-01", "not_checked")], "task")
        forced = finding("DC-AUT-03", "fail", reason="forced on", evidence=[{**PROOF, "what": "-Dx"}])
        ledger.findings("a", [finding("DC-AUT-03", "not_checked")], "task")
        ledger.findings("c", [forced], "task")
        entry = entries(ledger, "a")["DC-AUT-03", "jira"]
        assert (entry["status"], entry["reason"]) == ("fail", "c: forced on")
        assert [item["what"] for item in entry["evidence"]] == ["c: -Dx"]
        assert entries(ledger, "a")["DC-AUT-01", "jira"]["reason"] == "DC-AUT-01 is not_checked"
        assert ("DC-AUT-03", "jira") not in entries(ledger, "c")

    def test_host_without_product_is_not_applicable(self, ledger: Ledger) -> None:
        ledger.found("jira1", [])
        entry = entries(ledger)["DC-USR-01", None]
        assert (entry["status"], entry["reason"]) == ("not_applicable", "no product was found on this host")

    def test_nothing_discovered_yet_is_never_not_applicable(self) -> None:
        ledger = Ledger(load_catalogue())
        ledger.host("jira1").failed = "task 'Find' failed: no Python"
        entry = entries(ledger)["DC-USR-01", None]
        assert entry["status"] == "not_checked"
        assert "no Python" in entry["reason"]

    def test_unreachable_host_is_not_checked_and_says_why(self, ledger: Ledger) -> None:
        ledger.host("gone").unreachable = "connection refused"
        statuses = {entry["status"] for entry in entries(ledger, "gone").values()}
        assert statuses == {"not_checked"}
        assert "connection refused" in entries(ledger, "gone")["DC-USR-01", None]["reason"]
        assert not ledger.report(TODAY)["complete"]

    def test_missing_role_is_named(self, ledger: Ledger) -> None:
        entry = entries(ledger)["DC-UPD-01", "jira"]
        assert entry["status"] == "not_checked"
        assert "role updates does not exist" in entry["reason"]

    def test_a_control_left_out_says_so(self, ledger: Ledger) -> None:
        ledger.host("jira1").skip_controls = frozenset({"DC-DIR-01"})
        assert "atlassian_dc_skip_controls" in entries(ledger)["DC-DIR-01", "jira"]["reason"]
        assert ledger.report(TODAY)["selection"]["skip_controls"] == ["DC-DIR-01"]

    def test_a_control_of_another_product_is_not_applicable(self, ledger: Ledger) -> None:
        ledger.found("jira1", [instance("crowd", "crowd")])
        assert entries(ledger)["DC-RAT-01", "crowd"]["status"] == "not_applicable"

    def test_a_preflight_stop_leaves_everything_not_checked(self) -> None:
        ledger = Ledger(load_catalogue())
        ledger.host("jira1")
        ledger.stopped.append("unknown variable 'atlassian_dc_x'")
        report = ledger.report(TODAY)
        statuses = Counter(entry["status"] for entry in report["hosts"]["jira1"]["controls"])
        assert set(statuses) == {"not_checked", "manual"}
        assert not report["complete"]
        assert "atlassian_dc_x" in report["messages"][0]

    def test_attested_controls_are_manual_from_the_first_day(self, ledger: Ledger) -> None:
        assert entries(ledger)["DC-ORG-01", None]["status"] == "manual"


def test_what_discovery_could_not_read_is_said(ledger: Ledger) -> None:
    broken = {"path": "/opt/atlassian/jira/conf/server.xml", "message": "line 12: not well-formed XML"}
    lost = {"path": "/opt/atlassian/old", "message": "declared, but there is no such installation"}
    ledger.found("jira1", [{**JIRA, "problems": [broken]}], [lost])
    messages = ledger.report(TODAY)["messages"]
    assert "jira1/jira: /opt/atlassian/jira/conf/server.xml: line 12: not well-formed XML" in messages
    assert "jira1: /opt/atlassian/old: declared, but there is no such installation" in messages


class TestPending:
    def test_a_later_pass_of_what_waited_is_fixed(self, ledger: Ledger) -> None:
        ledger.findings("jira1", [finding("DC-USR-01", "fail", pending="restart")], "unit")
        ledger.findings("jira1", [finding("DC-USR-01", "pass")], "unit")
        entry = entries(ledger)["DC-USR-01", "jira"]
        assert (entry["status"], entry["pending"]) == ("fixed", None)
        assert entry["evidence"] == [PROOF]

    def test_a_pass_of_another_source_does_not_end_the_wait(self, ledger: Ledger) -> None:
        ledger.findings("jira1", [finding("DC-USR-01", "fail", pending="restart")], "unit")
        ledger.findings("jira1", [finding("DC-USR-01", "pass")], "account")
        entry = entries(ledger)["DC-USR-01", "jira"]
        assert (entry["status"], entry["pending"]) == ("fail", "restart")

    def test_what_still_fails_after_the_restart_stays_fail(self, ledger: Ledger) -> None:
        ledger.findings("jira1", [finding("DC-USR-01", "fail", pending="restart")], "unit")
        ledger.findings("jira1", [finding("DC-USR-01", "fail")], "unit")
        entry = entries(ledger)["DC-USR-01", "jira"]
        assert (entry["status"], entry["pending"]) == ("fail", None)

    def test_a_fail_without_wait_is_not_replaced(self, ledger: Ledger) -> None:
        ledger.findings("jira1", [finding("DC-USR-01", "fail")], "unit")
        ledger.findings("jira1", [finding("DC-USR-01", "pass")], "unit")
        assert entries(ledger)["DC-USR-01", "jira"]["status"] == "fail"


def waiver(control: str = "DC-DIR-01", expires: datetime.date = TODAY, hosts: tuple[str, ...] = ("jira*",)) -> Waiver:
    return Waiver(control, hosts, "vendor support asked for it", "ops", expires)


class TestWaivers:
    def test_a_live_waiver_turns_only_fail_into_waived(self, ledger: Ledger) -> None:
        ledger.waivers = (waiver(), waiver("DC-DIR-02"))
        ledger.findings("jira1", [finding("DC-DIR-01", "fail"), finding("DC-DIR-02", "pass")], "task")
        found = entries(ledger)
        assert found["DC-DIR-01", "jira"]["status"] == "waived"
        assert found["DC-DIR-01", "jira"]["waiver"]["judged"] == "fail"
        assert found["DC-DIR-02", "jira"]["status"] == "pass"
        assert found["DC-DIR-02", "jira"]["waiver"]["judged"] == "pass"

    @pytest.mark.parametrize("days", [0, 1])
    def test_it_holds_through_its_last_day(self, ledger: Ledger, days: int) -> None:
        ledger.waivers = (waiver(expires=TODAY + datetime.timedelta(days)),)
        ledger.findings("jira1", [finding("DC-DIR-01", "fail")], "task")
        assert entries(ledger)["DC-DIR-01", "jira"]["status"] == "waived"

    def test_expired_it_fails_and_says_so(self, ledger: Ledger) -> None:
        ledger.waivers = (waiver(expires=TODAY - datetime.timedelta(1)),)
        ledger.findings("jira1", [finding("DC-DIR-01", "fail")], "task")
        entry = entries(ledger)["DC-DIR-01", "jira"]
        assert entry["status"] == "fail"
        assert "expired on 2026-11-22" in entry["reason"]
        assert entry["waiver"]["expired"]

    def test_other_hosts_are_not_covered(self, ledger: Ledger) -> None:
        ledger.waivers = (waiver(hosts=("wiki*",)),)
        ledger.findings("jira1", [finding("DC-DIR-01", "fail")], "task")
        assert entries(ledger)["DC-DIR-01", "jira"]["status"] == "fail"
        assert any("matches no host" in message for message in ledger.report(TODAY)["messages"])

    def test_groups_are_covered(self, ledger: Ledger) -> None:
        ledger.host("jira1").groups = ("legacy",)
        ledger.waivers = (waiver(hosts=("legacy",)),)
        ledger.findings("jira1", [finding("DC-DIR-01", "fail")], "task")
        assert entries(ledger)["DC-DIR-01", "jira"]["status"] == "waived"

    @pytest.mark.parametrize(
        ("days", "status", "words"),
        [(10, "fail", "expires in 10 days"), (-1, "fail", "expired"), (90, "pass", "no longer needed")],
    )
    def test_owners_are_warned(self, ledger: Ledger, days: int, status: str, words: str) -> None:
        ledger.waivers = (waiver(expires=TODAY + datetime.timedelta(days)),)
        ledger.findings("jira1", [finding("DC-DIR-01", status)], "task")
        assert any(words in message for message in ledger.report(TODAY)["messages"])


class TestAttestations:
    def answer(self, expires: datetime.date) -> Attestation:
        return Attestation("DC-ORG-01", "A. Admin", TODAY, expires, "mail list subscription")

    def test_a_live_one_passes(self, ledger: Ledger) -> None:
        ledger.attestations = (self.answer(TODAY),)
        assert entries(ledger)["DC-ORG-01", None]["status"] == "pass"

    def test_an_old_one_does_not(self, ledger: Ledger) -> None:
        ledger.attestations = (self.answer(TODAY - datetime.timedelta(1)),)
        assert entries(ledger)["DC-ORG-01", None]["status"] == "manual"

    @pytest.mark.parametrize("judged", ["fail", "not_checked"])
    def test_a_person_may_vouch_for_what_the_host_cannot_show(self, ledger: Ledger, judged: str) -> None:
        ledger.findings("jira1", [finding("DC-SEC-06", judged, None)], "task")
        assert entries(ledger)["DC-SEC-06", None]["status"] == judged
        answer = Attestation("DC-SEC-06", "A. Admin", TODAY, TODAY, "the array encrypts")
        ledger.attestations = (answer,)
        vouched = entries(ledger)["DC-SEC-06", None]
        assert (vouched["status"], vouched["evidence"][0]["what"]) == ("pass", "attested by A. Admin")
        ledger.attestations = (dataclasses.replace(answer, expires=TODAY - datetime.timedelta(1)),)
        expired = entries(ledger)["DC-SEC-06", None]
        assert expired["status"] == judged
        assert "the attestation by A. Admin" in expired["reason"]

    def test_for_other_controls_nobody_can_vouch(self, ledger: Ledger) -> None:
        ledger.findings("jira1", [finding("DC-DIR-01", "fail")], "task")
        ledger.attestations = (Attestation("DC-DIR-01", "A. Admin", TODAY, TODAY, "trust me"),)
        assert "pass" not in {entry["status"] for key, entry in entries(ledger).items() if key[0] == "DC-DIR-01"}


class TestBrokenTasks:
    def test_a_failed_task_is_an_error_of_its_controls_on_every_instance(self, ledger: Ledger) -> None:
        ledger.found("jira1", [instance("jira-a"), instance("jira-b")])
        ledger.broke("jira1", ["DC-DIR-01"], "task 'x' failed: boom", "x")
        found = entries(ledger)
        assert {found["DC-DIR-01", name]["status"] for name in ("jira-a", "jira-b")} == {"error"}

    def test_unknown_instances_and_controls_are_reported(self, ledger: Ledger) -> None:
        ledger.findings("jira1", [finding("DC-DIR-01", "pass", "other"), finding("DC-XXX-01", "pass")], "task")
        messages = " ".join(ledger.report(TODAY)["messages"])
        assert "'other'" in messages
        assert "DC-XXX-01" in messages

    def test_a_failed_host_makes_the_run_incomplete(self, ledger: Ledger) -> None:
        assert ledger.report(TODAY)["complete"]
        ledger.host("jira1").failed = "boom"
        assert not ledger.report(TODAY)["complete"]


class TestARunThatEndedEarly:
    """A control that two tasks judge, of which the second never came to its end on the host."""

    @pytest.fixture
    def half(self, ledger: Ledger) -> Ledger:
        record = ledger.host("jira1")
        record.plan([("account", ["DC-USR-01", "DC-USR-02"]), ("unit", ["DC-USR-01"])])
        record.ran.add("account")
        record.failed = "task 'files' failed: No space left on device"
        return ledger

    @pytest.mark.parametrize("status", ["pass", "fixed"])
    def test_half_of_the_evidence_is_no_pass(self, half: Ledger, status: str) -> None:
        half.findings("jira1", [finding("DC-USR-01", status), finding("DC-USR-02", status)], "account")
        entry = entries(half)["DC-USR-01", "jira"]
        assert entry["status"] == "not_checked"
        assert "before task 'unit' judged its part" in entry["reason"]
        assert "No space left on device" in entry["reason"]
        assert entries(half)["DC-USR-02", "jira"]["status"] == status

    def test_half_of_the_evidence_is_enough_to_fail(self, half: Ledger) -> None:
        half.findings("jira1", [finding("DC-USR-01", "fail")], "account")
        assert entries(half)["DC-USR-01", "jira"]["status"] == "fail"

    def test_a_host_that_became_unreachable(self, half: Ledger) -> None:
        half.host("jira1").failed = None
        half.host("jira1").unreachable = "timed out"
        half.findings("jira1", [finding("DC-USR-01", "pass")], "account")
        assert "host unreachable: timed out" in entries(half)["DC-USR-01", "jira"]["reason"]

    def test_a_task_that_failed_later_on_takes_nothing_away(self, half: Ledger) -> None:
        half.host("jira1").ran.add("unit")
        half.findings("jira1", [finding("DC-USR-01", "pass")], "account")
        assert entries(half)["DC-USR-01", "jira"]["status"] == "pass"

    def test_a_run_that_came_through_needs_no_such_proof(self, half: Ledger) -> None:
        half.host("jira1").failed = None
        half.findings("jira1", [finding("DC-USR-01", "pass")], "account")
        assert entries(half)["DC-USR-01", "jira"]["status"] == "pass"


def test_the_same_facts_give_the_same_report(ledger: Ledger) -> None:
    def bare(report: dict) -> dict:
        return {key: value for key, value in report.items() if key not in ("started", "finished")}

    ledger.findings("jira1", [finding("DC-DIR-01", "fail")], "task")
    assert bare(ledger.report(TODAY)) == bare(ledger.report(TODAY))
