# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guard on the controller: which phases run in which order, and what it does when the host cannot be reached."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase
from ansible_collections.atlassian_dc.hardening.plugins.action import firewall
from ansible_collections.atlassian_dc.hardening.plugins.action.firewall import ActionModule

DUE = {"outcome": "due", "confirm_timeout": 60, "changed": False, "dc_findings": ["due"]}
LOADED = {
    "outcome": "loaded",
    "changed": True,
    "connection": {"source": "192.0.2.1", "source_port": 50000},
    "dc_findings": ["fixed"],
    "dc_changes": ["loaded"],
    "diff": ["loaded"],
    "rules": ["rules"],
}
CONFIRMED = {
    "outcome": "confirmed",
    "changed": True,
    "connection": {"source": "192.0.2.1", "source_port": 50001},
    "dc_findings": [],
    "dc_changes": ["confirmed"],
    "diff": ["confirmed"],
    "rules": [],
}
LOST = AnsibleConnectionFailure("connection refused")


class Host:
    """Answers of a host, phase by phase; what is asked, and how much time goes by."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.answers: dict[str, list[Any]] = {"judge": [DUE], "load": [LOADED], "confirm": [CONFIRMED]}
        self.asked: list[dict[str, Any]] = []
        self.seconds = 0.0
        self.resets = 0
        monkeypatch.setattr(firewall.time, "sleep", self.wait)
        monkeypatch.setattr(firewall.time, "monotonic", lambda: self.seconds)
        monkeypatch.setattr(ActionBase, "run", lambda *_arguments: {})
        monkeypatch.setattr(ActionBase, "_execute_module", lambda _self, **asked: self.execute(**asked))

    def wait(self, seconds: float) -> None:
        self.seconds += seconds

    def reset(self) -> None:
        self.resets += 1

    def execute(self, module_args: dict[str, Any], **_more: Any) -> dict[str, Any]:
        self.asked.append(module_args)
        answers = self.answers[module_args["phase"]]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            self.seconds += 10
            raise answer
        return dict(answer)

    @property
    def phases(self) -> list[str]:
        return [asked["phase"] for asked in self.asked]

    def run(
        self,
        check_mode: bool = False,
        transport: str = "ssh",
        hostvars: Any = None,
        more: dict[str, Any] | None = None,
        **args: Any,
    ) -> dict[str, Any]:
        name = "atlassian_dc.hardening.firewall"
        task: Any = SimpleNamespace(
            args=args, check_mode=check_mode, resolved_action=name, tags=[], _role=None, action=name
        )
        connection: Any = SimpleNamespace(transport=transport, reset=self.reset)
        action: Any = ActionModule.__new__(ActionModule)
        action._task, action._connection = task, connection
        return dict(action.run(task_vars={"hostvars": hostvars or {}, "inventory_hostname": "proxy1", **(more or {})}))


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Host:
    return Host(monkeypatch)


def test_rules_are_loaded_and_confirmed_over_a_new_connection(host: Host) -> None:
    result = host.run()
    assert host.phases == ["judge", "load", "confirm"]
    assert host.resets == 1
    _judge, load, confirm = host.asked
    assert load["token"] == confirm["token"] != ""
    assert confirm["loaded_over"] == LOADED["connection"]
    assert result["dc_findings"] == ["fixed"]
    assert (result["outcome"], result["changed"], result["rules"]) == ("confirmed", True, ["rules"])
    assert (result["dc_changes"], result["diff"]) == (["loaded", "confirmed"], ["loaded", "confirmed"])


@pytest.mark.parametrize("outcome", ["nothing", "refused"])
def test_judging_is_one_execution(host: Host, outcome: str) -> None:
    host.answers["judge"] = [{**DUE, "outcome": outcome}]
    assert host.run()["outcome"] == outcome
    assert host.phases == ["judge"]


def test_check_mode_is_one_execution(host: Host) -> None:
    host.run(check_mode=True)
    assert host.phases == ["judge"]


def test_what_is_refused_while_loading_is_not_confirmed(host: Host) -> None:
    host.answers["load"] = [{**LOADED, "outcome": "refused"}]
    assert host.run()["outcome"] == "refused"
    assert host.phases == ["judge", "load"]


def test_a_connection_that_is_slow_to_come_is_waited_for(host: Host) -> None:
    host.answers["confirm"] = [LOST, LOST, CONFIRMED]
    assert host.run()["outcome"] == "confirmed"
    assert host.phases == ["judge", "load", "confirm", "confirm", "confirm"]


def test_without_a_new_connection_the_host_is_judged_once_its_rules_are_back(host: Host) -> None:
    host.answers["confirm"] = [LOST]
    result = host.run()
    assert host.seconds > 60
    assert host.phases[-1] == "judge"
    assert "connection refused" in host.asked[-1]["setback"]
    assert (result["outcome"], result["dc_findings"]) == ("restored", ["due"])


def test_a_connection_that_breaks_while_rules_are_loaded(host: Host) -> None:
    host.answers["load"] = [LOST]
    result = host.run()
    assert host.phases == ["judge", "load", "judge"]
    assert host.seconds > 60
    assert "the connection broke" in host.asked[-1]["setback"]
    assert result["outcome"] == "restored"


def test_a_confirmation_that_is_refused(host: Host) -> None:
    host.answers["confirm"] = [{"failed": True, "msg": "this is not a new connection"}]
    host.run()
    assert host.asked[-1]["setback"] == "this is not a new connection"


def test_a_host_that_stays_away_is_unreachable(host: Host) -> None:
    host.answers["confirm"] = [LOST]
    host.answers["judge"] = [DUE, LOST]
    with pytest.raises(AnsibleConnectionFailure):
        host.run()
    assert host.phases.count("judge") == 1 + firewall.ATTEMPTS


@pytest.mark.parametrize(
    ("transport", "remote"), [("ssh", True), ("paramiko", True), ("local", False), ("podman", False)]
)
def test_the_host_is_told_whether_a_connection_can_prove_anything(host: Host, transport: str, remote: bool) -> None:
    host.run(transport=transport)
    assert host.asked[0]["remote"] == remote


class TestNames:
    def test_are_resolved_in_every_list(self, host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
        answer = [(0, 0, 0, "", ("192.0.2.9", 0))]
        monkeypatch.setattr(firewall.Resolver._of_name.__globals__["socket"], "getaddrinfo", lambda *_a, **_b: answer)
        flow = {"name": "x", "ports": [1]}
        host.run(
            check_mode=True,
            hostvars={"node2": {"ansible_host": "192.0.2.2"}},
            admin_networks=["192.0.2.0/26", "any"],
            proxy_addresses="proxy.example.org",
            cluster_peers=["node2"],
            agents=[],
            services=[{**flow, "from": ["admin", "node2"]}],
            closed=[{"ports": [2]}, {"ports": [2], "from": ["monitoring"]}],
            outbound=[{**flow, "to": ["db.example.org", "any"]}],
        )
        asked = host.asked[0]
        assert asked["admin_networks"] == ["192.0.2.0/26", "any"]
        assert (asked["proxy_addresses"], asked["cluster_peers"], asked["agents"]) == (["192.0.2.9"], ["192.0.2.2"], [])
        assert asked["services"] == [{**flow, "from": ["admin", "192.0.2.2"]}]
        assert asked["closed"] == [{"ports": [2]}, {"ports": [2], "from": ["192.0.2.9"]}]
        assert asked["outbound"] == [{**flow, "to": ["192.0.2.9", "any"]}]
        assert asked["unresolved"] == []

    def test_that_nobody_knows_are_handed_on(self, host: Host) -> None:
        host.run(check_mode=True, cluster_peers=["node2.example.invalid", "192.0.2.2"])
        (entry,) = host.asked[0]["unresolved"]
        assert (entry["variable"], entry["name"]) == ("atlassian_dc_cluster_peers", "node2.example.invalid")
        assert host.asked[0]["cluster_peers"] == ["192.0.2.2"]


class TestRelay:
    """The host of a reverse proxy lets in who tells it whom to ban."""

    HOSTS: ClassVar[dict[str, dict[str, Any]]] = {
        "proxy1": {"atlassian_dc_proxy_hosts": ["proxy1"]},
        "jira1": {"ansible_host": "192.0.2.10", "atlassian_dc_proxy_hosts": ["proxy1", "proxy2"]},
        "wiki1": {"ansible_host": "192.0.2.11", "atlassian_dc_proxy_hosts": ["proxy2"]},
        "db1": {"ansible_host": "192.0.2.12"},
    }

    @pytest.mark.parametrize(("more", "port"), [({}, "22"), ({"ansible_port": 2222}, "2222")])
    def test_is_let_in_over_ssh(self, host: Host, more: dict[str, Any], port: str) -> None:
        declared = {"name": "x", "ports": [1], "from": ["any"]}
        host.run(check_mode=True, hostvars=self.HOSTS, services=[declared], more=more)
        assert host.asked[0]["services"] == [
            declared,
            {"name": "ban relay", "ports": [port], "from": ["192.0.2.10"]},
        ]

    def test_is_nobody_on_another_host(self, host: Host) -> None:
        host.run(check_mode=True, hostvars=self.HOSTS, more={"inventory_hostname": "db1"})
        assert "services" not in host.asked[0]
