# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which instances are nodes of one cluster, who judges what they share, what differs between them."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.filter.shared_homes import shared_homes as from_hostvars
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._catalogue import load_catalogue
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._clusters import (
    Node,
    clusters,
    compare_accounts,
    differences,
    shared_homes,
)
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._ledger import Ledger
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._permission_trees import below, permission_trees
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._products import jvm_switches

TODAY = datetime.date(2026, 11, 23)
SHARED = "/srv/shared"
TREES = "trees"
ACCOUNTS = "accounts"


def node(cluster: str | None = "jira-1", **more: Any) -> dict[str, Any]:
    return {
        "name": "jira",
        "product": "jira",
        "version": "10.3.15",
        "cluster": {"id": cluster} if cluster else None,
        "install_dir": "/opt/jira",
        "home_dir": "/var/jira",
        "shared_home_dir": SHARED,
        "shared_home_id": 77,
        "service_account": "jira",
        "running": True,
        "running_uid": 0,
        "running_user": "root",
        "jvm_arguments": ["-Xmx2g"],
        "secret_files": [{"path": "/var/jira/dbconfig.xml", "tree": "home"}],
        "working_dirs": ["/opt/jira/work"],
        "log_dirs": ["/var/jira/log"],
        "web_root": "/opt/jira/web",
        **more,
    }


def account(uid: int | None = 998, **more: Any) -> dict[str, Any]:
    return {"name": "jira", "uid": uid, "group": "jira", "gid": uid, **more}


class TestWhoIsANode:
    def test_instances_with_the_same_id_wherever_they_are(self) -> None:
        found = {"n1": [node(), node("crowd-1", name="crowd")], "n2": [node()], "n3": [node(None)], "n4": []}
        assert {key: [n.host for n in nodes] for key, nodes in clusters(found).items()} == {
            "jira-1": ["n1", "n2"],
            "crowd-1": ["n1"],
        }

    @pytest.mark.parametrize("cluster", [None, {}, {"id": None}, {"id": ""}, "jira-1", ["x"]])
    def test_without_an_id_nobody_knows(self, cluster: Any) -> None:
        assert clusters({"n1": [{**node(), "cluster": cluster}]}) == {}


class TestSharedHome:
    HOSTS = ("n1", "n2", "n3")

    def of(self, host: str, batch: tuple[str, ...] = HOSTS, **changed: Any) -> dict[str, Any]:
        return shared_homes(host, batch, {name: [changed.get(name, node())] for name in self.HOSTS})

    def test_the_first_of_those_that_run_side_by_side_judges_it(self) -> None:
        assert self.of("n1") == {}
        assert self.of("n2") == self.of("n3") == {"jira": {"judge": "n1"}}
        assert self.of("n2", ("n2", "n3")) == {}
        assert self.of("n3", ("n2", "n3")) == {"jira": {"judge": "n2"}}
        assert self.of("n3", ("n3",)) == {}

    @pytest.mark.parametrize(
        "other",
        [
            node("jira-2"),
            node(None),
            node(shared_home_dir="/mnt/else"),
            node(shared_home_dir=None),
            node(shared_home_id=78),
            node(shared_home_id=None),
        ],
    )
    def test_nothing_is_left_to_who_does_not_have_it(self, other: dict[str, Any]) -> None:
        assert self.of("n2", n1=other) == {}
        assert self.of("n3", n1=other) == {"jira": {"judge": "n2"}}

    def test_folders_that_nobody_mounts_are_judged_on_each_node(self) -> None:
        found = {host: [node(shared_home_id=None)] for host in self.HOSTS}
        assert [shared_homes(host, self.HOSTS, found) for host in self.HOSTS] == [{}, {}, {}]

    def test_two_nodes_on_one_host_judge_it_themselves(self) -> None:
        assert shared_homes("n1", ["n1"], {"n1": [node(), node(name="jira-b")]}) == {}

    def test_its_owner_stays_as_long_as_another_node_needs_it(self) -> None:
        found = self.of("n1", n3=node(running_uid=700, running_user="old"))
        assert found["jira"]["hold"].startswith("n3: jira runs as old and would lose access")
        assert "judge" not in found["jira"]

    def test_from_the_facts_of_the_hosts(self) -> None:
        facts = {"ansible_facts": {"atlassian_dc": {"instances": [node()]}}}
        hostvars: dict[str, Any] = {"n1": facts, "n2": facts, "n3": {"ansible_facts": {}}, "n4": {}}
        assert from_hostvars(hostvars, "n2", ["n1", "n2"], list(hostvars)) == {"jira": {"judge": "n1"}}

    def test_alone_it_looks_at_no_other_host(self) -> None:
        class OnlyMine(dict[str, Any]):
            def __missing__(self, host: str) -> None:
                raise AssertionError(f"looked at {host}")

        facts = {"ansible_facts": {"atlassian_dc": {"instances": [node(None)]}}}
        assert from_hostvars(OnlyMine(n2=facts), "n2", ["n1", "n2"], ["n1", "n2"]) == {}


def walked(trees: list[dict[str, Any]]) -> Iterator[str]:
    """Return the trees that are looked at whole."""
    for tree in trees:
        if tree.get("path") and tree.get("recurse", True) and not tree.get("elsewhere"):
            yield tree["path"]


class TestTrees:
    LEFT: Mapping[str, Mapping[str, str]] = {"jira": {"judge": "n1"}}

    def test_what_another_node_judges_is_not_walked(self) -> None:
        whole, part = permission_trees([node()]), permission_trees([node()], shared_homes=self.LEFT)
        assert SHARED in set(walked(whole))
        assert set(walked(whole)) - set(walked(part)) == {SHARED}
        left = next(tree for tree in part if tree.get("elsewhere"))
        assert (left["path"], left["name"], left["elsewhere"]) == (SHARED, "shared home", "n1")
        assert {rule["control"] for rule in left["rules"]} == {"DC-DIR-03", "DC-DIR-05"}

    def test_inside_the_home_it_is_passed_over(self) -> None:
        inside = node(shared_home_dir="/var/jira/shared", archive_dirs=["/var/jira/shared/export"])
        trees = permission_trees([inside], shared_homes=self.LEFT, exceptions=[{"path": "/var/jira/x", "reason": "r"}])
        home = next(tree for tree in trees if tree.get("path") == "/var/jira")
        assert home["exceptions"] == [
            {"path": "shared", "reason": "shared home, judged on n1"},
            {"path": "x", "reason": "r"},
        ]
        left = next(tree for tree in trees if tree.get("elsewhere"))
        assert {rule["control"] for rule in left["rules"]} == {"DC-DIR-03", "DC-DIR-05", "DC-DIR-06"}

    def test_what_another_node_needs_is_held(self) -> None:
        held = {tree["path"] for tree in permission_trees([node()], shared_homes={"jira": {"hold": "n2: why"}})
                if tree.get("hold")}  # fmt: skip
        assert held == {SHARED}

    def test_around_it_too(self) -> None:
        inside = node(shared_home_dir="/var/jira/shared")
        held = [
            tree for tree in permission_trees([inside], shared_homes={"jira": {"hold": "n2: why"}}) if tree.get("hold")
        ]
        assert {tree["path"] for tree in held if below("/var/jira", tree["path"]) == ""} == {"/var/jira"}


class TestAccounts:
    def compare(self, *accounts: Any) -> tuple[list[str], list[str]]:
        found = {f"n{number}": known for number, known in enumerate(accounts, 1) if known is not None}
        nodes = [Node(f"n{number}", node()) for number in range(1, len(accounts) + 1)]
        compared = compare_accounts(nodes[0], nodes[1:], found)
        return [f"{item['what']}: {item['actual']}" for item in compared.differing], list(compared.unknown)

    def test_the_same(self) -> None:
        assert self.compare([account()], [account()], [account()]) == ([], [])

    def test_both_nodes_and_both_values_are_named(self) -> None:
        assert self.compare([account()], [account()], [account(1001, gid=998)]) == (
            ["UID of the service account on n1 and n3: n1: 998, n3: 1001"],
            [],
        )

    def test_another_account(self) -> None:
        nodes = [Node("n1", node()), Node("n2", node(service_account="tickets"))]
        accounts = {"n1": [account()], "n2": [account(name="tickets")]}
        assert [item["actual"] for item in compare_accounts(nodes[0], nodes[1:], accounts).differing] == [
            "n1: jira, n2: tickets"
        ]

    @pytest.mark.parametrize(
        ("mine", "theirs", "told"),
        [
            ([account()], None, "the service account on n2 was not looked at"),
            ([account()], [], "the service account on n2 was not looked at"),
            ([account()], [{}], "the service account on n2 was not looked at"),
            ([account()], [account(None)], "account jira does not exist on n2"),
            ([account(None)], [account()], "account jira does not exist on n1"),
            ([], [account()], "the service account on n1 is not known"),
        ],
    )
    def test_what_is_not_known_is_said(self, mine: Any, theirs: Any, told: str) -> None:
        assert self.compare(mine, theirs) == ([], [told])


class TestOtherDifferences:
    def test_versions_and_places(self) -> None:
        nodes = [Node("n1", node()), Node("n2", node(version="10.3.12", shared_home_dir="/mnt/x"))]
        assert differences(nodes, {}) == [
            "version: n1 10.3.15, n2 10.3.12",
            f"place of the shared home: n1 {SHARED}, n2 /mnt/x",
        ]

    @pytest.mark.parametrize("number", [78, None])
    def test_a_shared_home_that_is_not_mounted_everywhere(self, number: int | None) -> None:
        nodes = [Node("n1", node()), Node("n2", node()), Node("n3", node(shared_home_id=number))]
        assert differences(nodes, {}) == [
            f"the folder at {SHARED}: it is not the same on n1, n2, n3; is it mounted on all?"
        ]

    def test_arguments_that_matter(self) -> None:
        switch = "-Djira.websudo.is.disabled=true"
        nodes = [
            Node("n1", node()),
            Node("n2", node(jvm_arguments=["-Xmx4g", switch])),
            Node("n3", node(jvm_arguments=[])),
        ]
        assert differences(nodes, jvm_switches()) == [f"argument {switch} of the JVM: n1 does not, n2 has it"]

    def test_nothing_is_made_of_what_is_unknown(self) -> None:
        assert (
            differences([Node("n1", node()), Node("n2", {"name": "jira", "product": "x", "version": None})], {}) == []
        )

    def test_two_nodes_of_one_host_are_told_apart(self) -> None:
        nodes = [Node("n1", node()), Node("n1", node(name="jira-b", version="9.12.1"))]
        assert differences(nodes, {}) == ["version: n1/jira 10.3.15, n1/jira-b 9.12.1"]


def finding(control: str, status: str, instance: str | None = "jira", **more: Any) -> dict[str, Any]:
    proof = [{"what": "w", "expected": "e", "actual": "a"}] if status in ("fail", "fixed") else []
    return {"control": control, "instance": instance, "status": status, "reason": "why", "evidence": proof, **more}


@pytest.fixture
def ledger() -> Ledger:
    ledger = Ledger(load_catalogue())
    for name in ("n1", "n2"):
        ledger.host(name).addresses = (name, f"192.0.2.{name[1:]}")
        ledger.found(name, [node()])
    return ledger


def entry(ledger: Ledger, host: str, control: str) -> dict[str, Any]:
    entries = ledger.report(TODAY)["hosts"][host]["controls"]
    return next(item for item in entries if item["id"] == control)


class TestPartElsewhere:
    LEFT = "shared home /srv/shared is judged on n1"

    def left(self, ledger: Ledger, status: str = "pass") -> None:
        ledger.findings("n2", [finding("DC-DIR-03", status, reason=self.LEFT, elsewhere="n1")], TREES)

    @pytest.mark.parametrize("theirs", ["pass", "fail", "fixed", "not_applicable"])
    @pytest.mark.parametrize("mine", ["pass", "fail", "fixed", "not_applicable"])
    def test_stands_when_it_was_judged_there(self, ledger: Ledger, mine: str, theirs: str) -> None:
        ledger.findings("n1", [finding("DC-DIR-03", theirs)], TREES)
        self.left(ledger, mine)
        found = entry(ledger, "n2", "DC-DIR-03")
        assert (found["status"], found["reason"]) == (mine, self.LEFT)

    @pytest.mark.parametrize("mine", ["pass", "fixed", "not_applicable"])
    @pytest.mark.parametrize("theirs", ["error", "not_checked"])
    def test_is_not_checked_when_it_could_not_be(self, ledger: Ledger, mine: str, theirs: str) -> None:
        ledger.findings("n1", [finding("DC-DIR-03", theirs, reason="it is broken")], TREES)
        self.left(ledger, mine)
        found = entry(ledger, "n2", "DC-DIR-03")
        assert (found["status"], found["reason"]) == ("not_checked", f"{self.LEFT}, where it was not: it is broken")
        assert bool(found["evidence"]) == (mine == "fixed")

    def test_is_not_checked_when_that_host_went_away(self, ledger: Ledger) -> None:
        ledger.host("n1").unreachable = "no route"
        self.left(ledger)
        found = entry(ledger, "n2", "DC-DIR-03")
        assert (found["status"], found["reason"]) == (
            "not_checked",
            f"{self.LEFT}, where it was not: host unreachable: no route",
        )

    def test_is_not_checked_when_nobody_knows_that_host(self, ledger: Ledger) -> None:
        ledger.findings("n2", [finding("DC-DIR-03", "pass", reason=self.LEFT, elsewhere="x")], TREES)
        found = entry(ledger, "n2", "DC-DIR-03")
        assert (found["status"], found["reason"]) == (
            "not_checked",
            f"{self.LEFT}, where it was not: it is not in this run",
        )
        assert list(ledger.hosts) == ["n1", "n2"]

    def test_what_is_judged_here_later_counts(self, ledger: Ledger) -> None:
        self.left(ledger)
        ledger.findings("n2", [finding("DC-DIR-03", "pass", reason="")], TREES)
        assert entry(ledger, "n2", "DC-DIR-03")["status"] == "pass"

    def test_a_finding_stays_one(self, ledger: Ledger) -> None:
        self.left(ledger, "fail")
        assert entry(ledger, "n2", "DC-DIR-03")["status"] == "fail"


class TestNumbers:
    def judged(self, ledger: Ledger, **accounts: Any) -> None:
        for host, uid in accounts.items():
            ledger.host(host).accounts = (account(uid),)
            ledger.findings(host, [finding("DC-USR-05", "pass", None, reason="")], ACCOUNTS)

    def status(self, ledger: Ledger, host: str = "n1") -> tuple[str, str]:
        found = entry(ledger, host, "DC-USR-05")
        return found["status"], found["reason"]

    def test_the_same_pass(self, ledger: Ledger) -> None:
        self.judged(ledger, n1=998, n2=998)
        assert self.status(ledger) == ("pass", "")
        assert ledger.report(TODAY)["messages"] == []

    def test_differing_ones_fail_on_both_and_name_both(self, ledger: Ledger) -> None:
        self.judged(ledger, n1=998, n2=1001)
        for host in ("n1", "n2"):
            status, reason = self.status(ledger, host)
            assert status == "fail"
            assert "n1: 998" in reason
            assert "n2: 1001" in reason
            assert len(entry(ledger, host, "DC-USR-05")["evidence"]) == 2  # UID and GID

    def test_a_node_that_was_not_reached_is_no_pass(self, ledger: Ledger) -> None:
        self.judged(ledger, n1=998, n2=998)
        ledger.host("n3").unreachable = "no route"
        assert self.status(ledger) == (
            "not_checked",
            "not compared with all nodes of the cluster: n3 may be a node and was not reached",
        )

    def test_one_that_fell_over_before_its_account_was_looked_at(self, ledger: Ledger) -> None:
        self.judged(ledger, n1=998)
        ledger.host("n2").failed = "no Python"
        assert self.status(ledger)[0] == "not_checked"

    @pytest.mark.parametrize(
        ("peers", "status"),
        [
            (["192.0.2.2"], "pass"),
            (["n2", "192.0.2.3"], "not_checked"),
            (["n3.example.com"], "not_checked"),
            ([], "pass"),
        ],
    )
    def test_who_is_declared_decides(self, ledger: Ledger, peers: list[str], status: str) -> None:
        self.judged(ledger, n1=998, n2=998)
        ledger.host("n3").unreachable = "no route"
        ledger.host("n3").addresses = ("n3", "192.0.2.3")
        ledger.host("n1").peers = tuple(peers)
        assert self.status(ledger)[0] == status

    def test_standalone_instances_have_nobody_to_be_compared_with(self, ledger: Ledger) -> None:
        ledger.found("n1", [node(None)])
        self.judged(ledger, n1=998, n2=1001)
        ledger.host("n3").unreachable = "no route"
        assert self.status(ledger) == ("pass", "")

    def test_hosts_left_out_are_said_and_change_nothing(self, ledger: Ledger) -> None:
        self.judged(ledger, n1=998, n2=998)
        ledger.left_out = ["n3"]
        assert self.status(ledger) == ("pass", "")
        assert ledger.report(TODAY)["messages"] == [
            "cluster jira-1 (n1, n2): not compared with n3 (left out by --limit, perhaps nodes too)"
        ]

    def test_declared_peers_that_are_not_in_the_run(self, ledger: Ledger) -> None:
        ledger.left_out = ["other"]
        ledger.host("n1").peers = ("192.0.2.1", "n2", "192.0.2.9")
        assert ledger.report(TODAY)["messages"] == [
            "cluster jira-1 (n1, n2): not compared with 192.0.2.9 (declared as nodes, not in this run)"
        ]

    def test_other_differences_are_messages(self, ledger: Ledger) -> None:
        ledger.found("n2", [node(version="10.3.12")])
        assert ledger.report(TODAY)["messages"] == [
            "cluster jira-1 (n1, n2): nodes differ in version: n1 10.3.15, n2 10.3.12"
        ]
