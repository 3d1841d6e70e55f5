# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What module firewall judges, refuses, loads and confirms, and in which order."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._changes import ChangeError
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._firewall_host import (
    CANDIDATE,
    FOLDER,
    LOADER,
    PREVIOUS,
    RESTORE,
    UNIT,
    UNIT_PATH,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._firewall_rules import RulesError
from unit.firewall.rule_sets import port
from unit.firewall.walled_host import ADMIN, JIRA, PEER, PROXY, STRANGER, WalledHost, finding, statuses

RULES = ("DC-NET-01", "DC-NET-02", "DC-NET-04")
MEMBER = {**JIRA, "ports": [*JIRA["ports"], port("cluster", 40001, "peers")], "cluster": {"id": "x"}}


@pytest.fixture
def host(tmp_path: Path) -> WalledHost:
    return WalledHost(tmp_path)


def refusals(module: Any) -> str:
    return json.dumps(module.refused)


class TestJudging:
    def test_a_host_without_rules_fails_and_is_due(self, host: WalledHost) -> None:
        module = host.module()
        assert statuses(module) == {
            **dict.fromkeys(RULES, "fail"),
            "DC-NET-03": "not_applicable",
            "DC-NET-05": "pass",
        }
        assert (module.outcome, module.changes.count, host.nft) == ("due", 0, None)
        assert "tcp 8080 (http)" in json.dumps(finding(module, "DC-NET-02"))
        assert finding(module, "DC-NET-02")["instance"] == "jira"

    def test_a_hardened_one_passes(self, host: WalledHost) -> None:
        host.harden()
        module = host.module()
        assert {status for name, status in statuses(module).items() if name in RULES} == {"pass"}
        assert (module.outcome, module.changes.count) == ("nothing", 0)

    @pytest.mark.parametrize(
        ("variable", "controls"),
        [
            ("admin_networks", {"DC-NET-01", "DC-NET-04"}),
            ("proxy_addresses", {"DC-NET-01", "DC-NET-02"}),
            ("cluster_peers", {"DC-NET-01", "DC-NET-03"}),
        ],
    )
    def test_what_is_not_set_is_named_and_nothing_is_loaded(
        self, host: WalledHost, variable: str, controls: set[str]
    ) -> None:
        given: dict[str, Any] = {
            "cluster_peers": [PEER],
            "enforce": [name for name in RULES if name not in controls],
            variable: None,
        }
        module = host.module(instances=[MEMBER], **given)
        named = {item["control"] for item in module.findings.results if f"atlassian_dc_{variable}" in item["reason"]}
        assert controls - {"DC-NET-01"} <= named
        assert {statuses(module)[control] for control in controls} == {"fail"}

    def test_rules_of_others_are_not_judged_without_what_is_needed(self, host: WalledHost) -> None:
        host.chains = (
            "table inet filter {\n\tchain input {\n\t\ttype filter hook input priority filter; policy drop;\n\t}\n}\n"
        )
        module = host.module(admin_networks=None, proxy_addresses=None, enforce=[])
        assert {statuses(module)[control] for control in RULES} == {"not_checked"}
        assert "nftables chain inet filter input" in finding(module, "DC-NET-04")["reason"]

    def test_bans_are_no_filter(self, host: WalledHost) -> None:
        host.chains = (
            "table inet f2b-table {\n\tchain f2b-chain {\n"
            "\t\ttype filter hook input priority filter - 1; policy accept;\n\t}\n}\n"
        )
        host.rules_of_others = "\t\ttcp dport 22 ip saddr @addr-set-sshd reject\n"
        module = host.module(admin_networks=None, proxy_addresses=None, enforce=[])
        assert {statuses(module)[control] for control in RULES} == {"fail"}

    def test_ports_on_loopback_pass_whatever_the_rules_are(self, host: WalledHost) -> None:
        jira = {**JIRA, "ports": [port("http", 8080, "proxy", address="127.0.0.1")]}
        module = host.module(instances=[jira], admin_networks=None, proxy_addresses=None, enforce=[])
        assert statuses(module)["DC-NET-02"] == "pass"
        assert statuses(module)["DC-NET-01"] == "fail"

    def test_a_product_of_which_nobody_knows_the_ports(self, host: WalledHost) -> None:
        module = host.module(instances=[{**JIRA, "ports": None}], enforce=[])
        assert statuses(module)["DC-NET-02"] == statuses(module)["DC-NET-03"] == "not_checked"

    def test_a_listener_nobody_has_declared(self, host: WalledHost) -> None:
        host.proc.process(9, "node_exporter", [host.proc.listen("0.0.0.0", 9100)])
        module = host.module()
        assert statuses(module)["DC-NET-05"] == "fail"
        assert "node_exporter" in finding(module, "DC-NET-05")["reason"]
        declared = [{"name": "metrics", "ports": ["9100"], "protocol": "tcp", "from": ["any"]}]
        assert statuses(host.module(services=declared))["DC-NET-05"] == "pass"

    def test_a_waived_control_is_judged_by_rules_that_would_hold_it(self, host: WalledHost) -> None:
        waived = ["DC-NET-02", "DC-NET-04"]
        host.harden(enforce=waived)
        module = host.module(enforce=waived)
        assert statuses(module)["DC-NET-01"] == "fail"
        assert statuses(module)["DC-NET-02"] == statuses(module)["DC-NET-04"] == "pass"
        assert module.outcome == "nothing"

    def test_a_run_that_looks_at_fewer_controls_keeps_the_others_in_force(self, host: WalledHost) -> None:
        host.harden()
        rules = host.nft
        module = host.module(controls=["DC-NET-02"], enforce=["DC-NET-02"])
        assert (module.outcome, host.nft) == ("nothing", rules)
        assert statuses(module) == {"DC-NET-02": "pass"}

    @pytest.mark.parametrize(
        ("given", "control"),
        [
            ({"admin_networks": ["any"]}, "DC-NET-04"),
            ({"proxy_addresses": ["any"]}, "DC-NET-02"),
            (
                {"services": [{"name": "direct", "ports": ["8000-8100"], "protocol": "tcp", "from": ["any"]}]},
                "DC-NET-02",
            ),
        ],
    )
    def test_what_a_variable_opens_to_everybody_is_loaded_and_stays_failed(
        self, host: WalledHost, given: dict[str, Any], control: str
    ) -> None:
        loaded = host.harden(**given)
        module = host.module(**given)
        assert (statuses(loaded)[control], statuses(module)[control], module.outcome) == ("fail", "fail", "nothing")
        assert "from anybody" in finding(module, control)["reason"]
        assert statuses(module)["DC-NET-01"] == "pass"

    @pytest.mark.parametrize("phase", ["judge", "load"])
    def test_a_host_without_a_product_is_left_alone(self, host: WalledHost, phase: str) -> None:
        module = host.module(instances=[], phase=phase)
        assert set(statuses(module).values()) == {"not_applicable"}
        assert (module.outcome, module.changes.count, host.nft) == ("nothing", 0, None)

    def test_without_a_port_to_limit_nothing_is_loaded(self, host: WalledHost) -> None:
        module = host.module(phase="load", admin_networks=None, proxy_addresses=None, enforce=["DC-NET-03"])
        assert (module.outcome, module.changes.count, host.nft) == ("nothing", 0, None)

    def test_wrong_variables_are_an_error(self, host: WalledHost) -> None:
        with pytest.raises(RulesError, match=r"atlassian_dc_admin_networks\[0\]"):
            host.module(admin_networks=["10.0.0.0/33"])


class TestDrift:
    @pytest.fixture
    def hardened(self, host: WalledHost) -> WalledHost:
        host.harden()
        return host

    def test_a_table_that_is_gone(self, hardened: WalledHost) -> None:
        hardened.nft = None
        assert {statuses(hardened.module())[control] for control in RULES} == {"fail"}

    def test_a_rule_added_by_hand(self, hardened: WalledHost) -> None:
        assert hardened.nft is not None
        hardened.nft = hardened.nft.replace("priority filter;", "priority filter;\n\ttcp dport 8080 accept\n\t")
        module = hardened.module()
        assert statuses(module)["DC-NET-02"] == "fail"
        assert statuses(module)["DC-NET-04"] == "pass"
        assert "tcp dport 8080 accept" in finding(module, "DC-NET-02")["reason"]

    def test_a_network_added_by_hand(self, hardened: WalledHost) -> None:
        assert hardened.nft is not None
        hardened.nft = hardened.nft.replace(ADMIN, f"{ADMIN}, {STRANGER}")
        module = hardened.module()
        assert (statuses(module)["DC-NET-02"], statuses(module)["DC-NET-04"]) == ("pass", "fail")

    def test_confirmed_rules_that_were_edited(self, hardened: WalledHost) -> None:
        text = hardened.read(f"{FOLDER}/rules.nft")
        hardened.write(f"{FOLDER}/rules.nft", text.replace(PROXY, STRANGER))
        module = hardened.module()
        assert (statuses(module)["DC-NET-02"], statuses(module)["DC-NET-04"]) == ("fail", "pass")

    def test_confirmed_rules_that_nft_does_not_take(self, hardened: WalledHost) -> None:
        hardened.write(f"{FOLDER}/rules.nft", "nonsense")
        assert "syntax error" in json.dumps(finding(hardened.module(), "DC-NET-01"))

    @pytest.mark.parametrize("what", ["disabled", "altered", "absent", "loader"])
    def test_a_boot_that_would_not_load_them(self, hardened: WalledHost, what: str) -> None:
        if what == "disabled":
            hardened.enabled.discard(UNIT)
        elif what == "altered":
            hardened.write(UNIT_PATH, "[Unit]\n")
        elif what == "absent":
            (hardened.root / UNIT_PATH.lstrip("/")).unlink()
        else:
            hardened.write(LOADER, "exit 0\n")
        module = hardened.module()
        assert {statuses(module)[control] for control in RULES} == {"fail"}
        hardened.harden()
        assert {statuses(hardened.module())[control] for control in RULES} == {"pass"}


class TestGuard:
    def test_the_connection_in_use(self, host: WalledHost) -> None:
        module = host.module(admin_networks=["198.51.100.0/24"])
        assert module.outcome == "refused"
        assert f"tcp 22 from {ADMIN}" in refusals(module)
        assert ADMIN in finding(module, "DC-NET-04")["reason"]
        assert statuses(module)["DC-NET-01"] == "fail"

    def test_a_live_flow_with_its_process_and_what_declares_it(self, host: WalledHost) -> None:
        exporter = host.proc.listen("0.0.0.0", 9100)
        flow = host.proc.connect("192.0.2.10", 9100, STRANGER, 4000)
        group = "0::/system.slice/prometheus-node-exporter.service\n"
        host.proc.process(9, "node_exporter", [exporter, flow], cgroup=group)
        module = host.module()
        assert f"tcp 9100 from {STRANGER} (node_exporter, prometheus-node-exporter.service)" in refusals(module)
        assert module.declarations.startswith(
            "atlassian_dc_firewall_services:\n"
            f'  - {{name: prometheus-node-exporter, ports: [9100], protocol: tcp, from: ["{STRANGER}"]}}\n'
        )
        declared = {"name": "metrics", "ports": ["9100"], "protocol": "tcp", "from": [STRANGER]}
        assert host.module(services=[declared]).outcome == "due"
        assert host.module(closed=[{"ports": ["9100"], "protocol": "tcp", "from": None}]).outcome == "due"

    def test_a_user_who_goes_round_the_proxy(self, host: WalledHost) -> None:
        host.proc.connect("192.0.2.10", 8080, STRANGER, 4000)
        assert f"tcp 8080 from {STRANGER}" in refusals(host.module())
        closed = {"ports": ["8080"], "protocol": "tcp", "from": [STRANGER]}
        assert host.module(closed=[closed]).outcome == "due"
        assert host.module(closed=[{**closed, "from": ["198.51.100.1"]}]).outcome == "refused"
        assert host.module(closed=[{**closed, "from": ["users"]}], users=[f"{STRANGER}/32"]).outcome == "due"

    def test_a_listener(self, host: WalledHost) -> None:
        host.proc.process(9, "snmpd", [host.proc.bind("0.0.0.0", 161)])
        assert "udp 161 on 0.0.0.0 (snmpd, snmpd.service)" in refusals(host.module())
        assert host.module(closed=[{"ports": ["161"], "protocol": "udp", "from": None}]).outcome == "due"

    def test_ports_of_products_need_no_declaration(self, host: WalledHost) -> None:
        debugged = {**JIRA, "ports": [*JIRA["ports"], port("debugger", 5005, "nobody")]}
        host.proc.process(9, "java", [host.proc.listen("0.0.0.0", 5005)])
        assert host.module(instances=[debugged]).outcome == "due"
        host.proc.connect("192.0.2.10", 5005, STRANGER, 4000)
        assert f"tcp 5005 from {STRANGER}" in refusals(host.module(instances=[debugged]))

    def test_what_rules_in_force_cut_already_new_ones_do_not(self, host: WalledHost) -> None:
        host.harden()
        host.proc.process(9, "late", [host.proc.listen("0.0.0.0", 9999)])
        more = {"name": "more", "ports": ["9000"], "protocol": "tcp", "from": ["any"]}
        assert host.module(services=[more]).outcome == "due"
        host.nft = None
        assert host.module(services=[more]).outcome == "refused"

    def test_connections_of_the_host_itself(self, host: WalledHost) -> None:
        database = host.proc.connect("192.0.2.10", 40000, "198.51.100.5", 5432)
        host.proc.process(9, "postgres-client", [database])
        assert host.module().outcome == "due"
        module = host.module(outbound=[])
        assert "tcp 5432 to 198.51.100.5 (postgres-client" in refusals(module)
        assert "atlassian_dc_firewall_outbound" in module.declarations
        allowed = {"name": "db", "ports": ["5432"], "protocol": "tcp", "to": ["198.51.100.5"]}
        assert host.module(outbound=[allowed]).outcome == "due"

    def test_a_trusted_interface(self, host: WalledHost) -> None:
        host.proc.connect("192.0.2.10", 8080, STRANGER, 4000)
        assert host.module(trusted_interfaces=["eth0"]).outcome == "due"
        assert host.module(trusted_interfaces=["tun0"]).outcome == "refused"

    def test_names_without_addresses(self, host: WalledHost) -> None:
        entry = {"variable": "atlassian_dc_cluster_peers", "name": "node2", "why": "unknown"}
        assert "node2 in atlassian_dc_cluster_peers" in refusals(host.module(unresolved=[entry]))

    def test_ufw(self, host: WalledHost) -> None:
        host.install("ufw")
        host.write("/etc/ufw/ufw.conf", "# ENABLED=yes\nENABLED=no\n")
        assert host.module().outcome == "due"
        host.write("/etc/ufw/ufw.conf", "ENABLED=yes\n")
        assert "ufw is active" in refusals(host.module())

    def test_a_tool_that_does_not_work(self, host: WalledHost) -> None:
        host.refuses["nft"] = "netlink: Error: cache initialization failed"
        module = host.module()
        assert "cache initialization failed" in refusals(module)
        assert statuses(module)["DC-NET-01"] == "fail"

    def test_rules_of_another_run_that_wait(self, host: WalledHost) -> None:
        host.timer = "active"
        assert "another run" in refusals(host.module())

    def test_a_connection_the_host_does_not_know(self, host: WalledHost) -> None:
        host.proc.process(51, "su", parent=1)
        host.proc.write(f"{os.getpid()}/environ", "")
        assert "the SSH connection in use" in refusals(host.module())
        assert host.module(remote=False).outcome == "due"

    def test_without_a_network_whoever_is_logged_in_must_come_in_again(self, host: WalledHost) -> None:
        host.proc.write(f"{os.getpid()}/environ", "")
        closed = {"ports": ["22"], "protocol": "tcp", "from": None}
        assert host.module(remote=False, admin_networks=["198.51.100.1"], closed=[closed]).outcome == "refused"

    def test_what_came_of_it_when_no_new_connection_could_be_had(self, host: WalledHost) -> None:
        module = host.module(setback="no new connection within 60 seconds")
        assert "no new connection within 60 seconds" in finding(module, "DC-NET-01")["reason"]


class TestLoading:
    def test_order(self, host: WalledHost) -> None:
        """The timer is seen to be armed, and connections are known, before anything is loaded."""
        host.module(phase="load")
        changing = [
            argv
            for argv in host.commands
            if argv[0] in ("systemd-run", "/bin/sh")
            or argv[:2] in (["systemctl", "enable"], ["systemctl", "is-active"])
        ]
        assert [argv[0] if argv[0] != "systemctl" else argv[1] for argv in changing] == [
            "enable",
            "systemd-run",
            "is-active",
            "/bin/sh",
        ]
        assert changing[-1] == ["/bin/sh", LOADER, CANDIDATE]
        assert (f"--unit={RESTORE}" in changing[1], "--on-active=60" in changing[1]) == (True, True)
        assert ("192.0.2.10", 22, ADMIN, 50000) in host.remembered
        assert host.timer == "active"
        assert host.nft is not None

    def test_nothing_is_loaded_without_the_way_back(self, host: WalledHost) -> None:
        host.arms = False
        module = host.module(phase="load")
        assert (module.outcome, host.nft) == ("refused", None)
        assert "cannot be armed" in refusals(module)
        assert not host.there(CANDIDATE)

    def test_nothing_is_confirmed_by_loading(self, host: WalledHost) -> None:
        host.module(phase="load")
        assert not host.there(f"{FOLDER}/rules.nft")

    def test_confirmed_is_what_was_loaded(self, host: WalledHost) -> None:
        module = host.harden()
        assert {statuses(module)[control] for control in RULES} == {"fixed"}
        assert (host.nft or "nothing") in host.read(f"{FOLDER}/rules.nft")
        assert (host.timer, host.there(CANDIDATE)) == ("", False)
        assert {UNIT} <= host.enabled & host.active

    def test_the_connection_that_loaded_does_not_prove_anything(self, host: WalledHost) -> None:
        host.module(phase="load")
        with pytest.raises(ChangeError, match="not a new connection"):
            host.module(phase="confirm", loaded_over={"source": ADMIN, "source_port": 50000})
        assert host.timer == "active"
        assert not host.there(f"{FOLDER}/rules.nft")

    @pytest.mark.parametrize(
        ("happens", "words"),
        [
            ("fired", "put back already"),
            ("edited", "no longer those loaded"),
            ("other", "put back already"),
        ],
    )
    def test_confirming_comes_too_late(self, host: WalledHost, happens: str, words: str) -> None:
        host.module(phase="load")
        host.reconnect()
        if happens == "fired":
            host.fire()
        elif happens == "edited":
            host.nft = (host.nft or "").replace(PROXY, STRANGER)
        known = "another" if happens == "other" else "t"
        with pytest.raises(ChangeError, match=words):
            host.module(phase="confirm", token=known, loaded_over={"source": ADMIN, "source_port": 50000})
        assert not host.there(f"{FOLDER}/rules.nft")

    def test_without_a_network_there_is_nothing_to_prove(self, host: WalledHost) -> None:
        host.module(phase="load", remote=False)
        assert host.module(phase="confirm", remote=False).outcome == "confirmed"

    def test_check_mode_predicts_what_a_real_run_does(self, host: WalledHost) -> None:
        predicted = host.module(check_mode=True)
        assert (host.nft, host.timer, host.there(FOLDER)) == (None, "", False)
        loaded = host.module(phase="load")
        host.reconnect()
        confirmed = host.module(phase="confirm", loaded_over={"source": ADMIN, "source_port": 50000})
        real = loaded.changes.entries + confirmed.changes.entries
        words = ("target", "attribute", "after")
        assert [
            [entry[word].removeprefix(str(host.root)) for word in words] for entry in predicted.changes.entries
        ] == [[entry[word].removeprefix(str(host.root)) for word in words] for entry in real]
        assert statuses(predicted)["DC-NET-01"] == "fail"

    def test_the_rules_before_are_kept(self, host: WalledHost) -> None:
        host.harden()
        before = host.nft
        host.harden(proxy_addresses=[STRANGER])
        assert before is not None
        assert before in host.read(f"{PREVIOUS}/rules.nft")
        assert PROXY in host.read(f"{PREVIOUS}/rules.json")

    def test_of_rules_that_let_in_less_by_hand_nobody_says_what_they_mean(self, host: WalledHost) -> None:
        host.harden()
        host.nft = (host.nft or "").replace(ADMIN, STRANGER)
        host.harden()
        assert not host.there(f"{PREVIOUS}/rules.json")

    def test_the_preview_is_for_people(self, host: WalledHost) -> None:
        first = host.module(check_mode=True).changes.diff[0]
        assert first["before"] == "no rules of this role\n"
        assert f"accept tcp 8080 from {PROXY} (proxies): jira http" in first["after"]
        host.harden()
        many = [ADMIN, *(f"10.{number}.0.0/24" for number in range(20))]
        second = host.module(check_mode=True, admin_networks=many).changes.diff
        assert f"accept tcp 22 from {ADMIN} (admin): SSH" in second[0]["before"]
        assert "also 10.0.0.0/24" in second[1]["prepared"]
