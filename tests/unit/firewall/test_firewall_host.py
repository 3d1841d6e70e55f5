# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tools print, the script that puts rules in force, and what keeps a run from being taken back."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.module_utils import _conntrack
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._firewall_host import (
    ETC,
    LOADER_TEXT,
    TARGET,
    UNIT_TEXT,
    facts_of_firewalld,
    filters,
    input_chains,
    rules_of_listing,
    why_not_back,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._firewall_rules import Rule, RuleSet
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._sockets import SshConnection

LISTING = """\
table inet atlassian-dc-firewall {
\tset admin-v4 {
\t\ttype ipv4_addr
\t\tflags interval
\t\telements = { 192.0.2.0/26, 192.0.2.128,
\t\t\t\t198.51.100.0/24 }
\t}

\tchain input {
\t\ttype filter hook input priority filter; policy drop;
\t\tct state established,related accept
\t\tip saddr @admin-v4 tcp dport { 22, 2222 } accept comment "SSH, \\"x\\""
\t}
}
"""
CHAINS = """\
table ip filter {
\tchain INPUT {
\t\ttype filter hook input priority filter; policy accept;
\t}
\tchain DOCKER {
\t}
}
# Warning: table ip nat is managed by iptables-nft, do not touch!
table ip nat {
\tchain PREROUTING {
\t\ttype nat hook prerouting priority dstnat; policy accept;
\t}
}
table bridge x {
\tchain input {
\t\ttype filter hook input priority filter; policy accept;
\t}
}
table inet filter {
\tchain in {
\t\ttype filter hook input priority filter + 5; policy drop;
\t}
}
"""


class TestWhatNftPrints:
    def test_rules_are_lines_and_so_are_elements(self) -> None:
        assert rules_of_listing(LISTING) == [
            "admin-v4: type ipv4_addr",
            "admin-v4: flags interval",
            "admin-v4: 192.0.2.0/26",
            "admin-v4: 192.0.2.128",
            "admin-v4: 198.51.100.0/24",
            "input: type filter hook input priority filter; policy drop;",
            "input: ct state established,related accept",
            'input: ip saddr @admin-v4 tcp dport { 22, 2222 } accept comment "SSH, \\"x\\""',
        ]

    def test_what_replaces_a_table_is_no_rule(self) -> None:
        text = "add table inet atlassian-dc-firewall\ndelete table inet atlassian-dc-firewall\n"
        assert rules_of_listing(text + LISTING) == rules_of_listing(LISTING)

    def test_base_chains_on_the_input_hook(self) -> None:
        assert input_chains(CHAINS) == [("ip", "filter", "INPUT", "accept"), ("inet", "filter", "in", "drop")]

    @pytest.mark.parametrize(
        ("policy", "rules", "expected"),
        [
            ("drop", "", True),
            ("accept", "", False),
            ("accept", "\t\ttype filter hook input priority filter; policy accept;\n", False),
            ("accept", "\t\ttcp dport 22 accept\n", False),
            ("accept", "\t\ttcp dport 25 drop\n", True),
            ("accept", "\t\tjump services\n", True),
            ("accept", "\t\ttcp dport 22 ip saddr @addr-set-sshd reject with icmp port-unreachable\n", False),
            ("accept", "-P INPUT ACCEPT\n-A INPUT -p tcp --dport 22 -j f2b-sshd\n", False),
            ("accept", "-P INPUT ACCEPT\n-A INPUT -j REJECT\n", True),
            ("accept", "-P INPUT ACCEPT\n-A INPUT -j LOG\n-A INPUT -i lo -j ACCEPT\n", False),
        ],
    )
    def test_what_may_deny_more_than_bans(self, policy: str, rules: str, expected: bool) -> None:
        assert filters(policy, rules) == expected


class TestWhatFirewalldPrints:
    RUNS = "public (active)\n  interfaces: eth0\n  services: ssh\n  rich rules: \n\trule family=ipv4 drop\n"

    def test_the_same_as_it_runs_and_in_its_files(self) -> None:
        kept = self.RUNS.replace(" (active)", "").replace("eth0", "")
        assert facts_of_firewalld(self.RUNS) == facts_of_firewalld(kept)

    def test_what_only_runs(self) -> None:
        assert facts_of_firewalld(self.RUNS) - facts_of_firewalld(self.RUNS.replace("ssh", "ssh http")) == {
            "public: services: ssh"
        }

    def test_ours_are_left_out(self) -> None:
        ours = "atlassian-dc-in (active)\n  target: DROP\n\n"
        assert facts_of_firewalld(ours + self.RUNS) == facts_of_firewalld(self.RUNS)
        assert facts_of_firewalld("atlassian-dc-admin-v4 others\n") == {"others"}

    def test_direct_rules(self) -> None:
        assert facts_of_firewalld("ipv4 filter INPUT 0 -j DROP\n") == {"ipv4 filter INPUT 0 -j DROP"}


class TestLoader:
    """The script, with tools that only note what they were asked to do."""

    @pytest.fixture
    def etc(self, tmp_path: Path) -> Path:
        tools = tmp_path / "bin"
        tools.mkdir()
        script = '#!/bin/sh\necho "${0##*/} $*" >> "$NOTES"\n'
        for name, more in {
            "nft": 'case "$*" in list*) [ -e "$TABLE" ] ;; "-f -") cat > "$TABLE" ;; *) rm "$TABLE" ;; esac',
            "systemctl": '[ "$FIREWALLD" ]',
            "firewall-cmd": "",
        }.items():
            (tools / name).write_text(f"{script}{more}\n")
            (tools / name).chmod(0o755)
        (tmp_path / "load").write_text(LOADER_TEXT.replace(ETC, str(tmp_path / "etc")))
        return tmp_path / "etc"

    def load(self, tmp_path: Path, folder: str, firewalld: str = "") -> list[str]:
        environment = {
            "PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin",
            "NOTES": str(tmp_path / "notes"),
            "TABLE": str(tmp_path / "table"),
            "FIREWALLD": firewalld,
        }
        (tmp_path / "notes").write_text("")
        subprocess.run(["sh", tmp_path / "load", tmp_path / folder], env=environment, check=True)
        lines = (tmp_path / "notes").read_text().splitlines()
        return [line for line in lines if not line.startswith(("systemctl", "nft list"))]

    def test_nftables(self, tmp_path: Path, etc: Path) -> None:
        (tmp_path / "rules").mkdir()
        (tmp_path / "rules/rules.nft").write_text("rules\n")
        assert self.load(tmp_path, "rules") == ["nft -f -"]
        assert (tmp_path / "table").read_text() == "rules\n"
        assert self.load(tmp_path, "nothing") == ["nft delete table inet atlassian-dc-firewall"]
        assert self.load(tmp_path, "nothing") == []

    def test_firewalld(self, tmp_path: Path, etc: Path) -> None:
        (tmp_path / "rules/firewalld/policies").mkdir(parents=True)
        (tmp_path / "rules/firewalld/policies/atlassian-dc-in.xml").write_text("new\n")
        (etc / "ipsets").mkdir(parents=True)
        (etc / "ipsets/atlassian-dc-old-v4.xml").touch()
        (etc / "ipsets/others.xml").touch()
        assert self.load(tmp_path, "rules", "runs") == ["firewall-cmd --quiet --reload"]
        assert (etc / "policies/atlassian-dc-in.xml").read_text() == "new\n"
        assert [path.name for path in (etc / "ipsets").iterdir()] == ["others.xml"]
        assert self.load(tmp_path, "nothing", "runs") == ["firewall-cmd --quiet --reload"]
        assert list((etc / "policies").iterdir()) == []
        assert self.load(tmp_path, "nothing", "runs") == []

    def test_at_boot_firewalld_finds_the_files(self, tmp_path: Path, etc: Path) -> None:
        (tmp_path / "rules/firewalld/policies").mkdir(parents=True)
        (tmp_path / "rules/firewalld/policies/atlassian-dc-in.xml").write_text("new\n")
        assert self.load(tmp_path, "rules") == []
        assert (etc / "policies/atlassian-dc-in.xml").exists()

    def test_the_provider_changes_without_a_gap(self, tmp_path: Path, etc: Path) -> None:
        (tmp_path / "table").write_text("old\n")
        (tmp_path / "rules/firewalld/policies").mkdir(parents=True)
        (tmp_path / "rules/firewalld/policies/atlassian-dc-in.xml").write_text("new\n")
        assert self.load(tmp_path, "rules", "runs") == [
            "firewall-cmd --quiet --reload",
            "nft delete table inet atlassian-dc-firewall",
        ]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd here")
def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    (tmp_path / "atlassian-dc-firewall.service").write_text(UNIT_TEXT)
    verified = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", tmp_path / "atlassian-dc-firewall.service"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "atlassian-dc-firewall.service:" not in verified.stderr.replace("Command /bin/sh", "")


class TestTakingBack:
    LINES = ({"kind": "command", "target": TARGET}, {"kind": "file", "path": "/x"})
    MINE = SshConnection("192.0.2.1", 50000, "192.0.2.10", 22)

    def why(self, previous: Path, connection: SshConnection | None = MINE, timer: str = "inactive") -> str | None:
        def run(_argv: list[str], **_options: Any) -> tuple[int, str, str]:
            return 0, f"{timer}\n", ""

        return why_not_back(self.LINES, run, connection, str(previous))

    def keep(self, folder: Path, source: str) -> None:
        rules = RuleSet((Rule("SSH", "tcp", ((22, 22),), (source,), "DC-NET-04"),), default_deny=True)
        (folder / "rules.nft").touch()
        (folder / "rules.json").write_text(json.dumps(rules.as_dict()))

    def test_rules_that_let_the_connection_in(self, tmp_path: Path) -> None:
        self.keep(tmp_path, "192.0.2.0/24")
        assert self.why(tmp_path) is None

    def test_rules_that_would_cut_it(self, tmp_path: Path) -> None:
        self.keep(tmp_path, "198.51.100.0/24")
        assert "tcp 22 from 192.0.2.1" in str(self.why(tmp_path))
        assert self.why(tmp_path, None) is None

    def test_none_of_ours(self, tmp_path: Path) -> None:
        assert self.why(tmp_path / "absent") is None

    @pytest.mark.parametrize("meaning", [None, "{", "{}"])
    def test_rules_of_which_nobody_knows_what_they_mean(self, tmp_path: Path, meaning: str | None) -> None:
        (tmp_path / "rules.nft").touch()
        if meaning is not None:
            (tmp_path / "rules.json").write_text(meaning)
        assert "nobody knows" in str(self.why(tmp_path))

    def test_rules_that_wait_to_be_confirmed(self, tmp_path: Path) -> None:
        assert "wait to be confirmed" in str(self.why(tmp_path, timer="active"))

    def test_a_run_that_loaded_none(self) -> None:
        assert why_not_back([{"kind": "file", "path": "/x"}], lambda *_a, **_b: (0, "active", ""), self.MINE) is None


class TestConnectionTracker:
    def test_a_request_holds_both_directions(self) -> None:
        data = _conntrack.message(("192.0.2.10", 40000, "198.51.100.5", 5432), 7)
        assert int.from_bytes(data[:4], "little") == len(data)
        assert data.count(bytes([192, 0, 2, 10])) == data.count(bytes([198, 51, 100, 5])) == 2
        assert data.count((40000).to_bytes(2, "big")) == data.count((5432).to_bytes(2, "big")) == 2

    def test_ipv6(self) -> None:
        data = _conntrack.message(("2001:db8::10", 1, "2001:db8::5", 2), 7)
        assert data.count(bytes.fromhex("20010db8000000000000000000000010")) == 2

    @pytest.mark.parametrize(("code", "expected"), [(0, 0), (-17, 17)])
    def test_answers_of_the_kernel(self, code: int, expected: int) -> None:
        head = (36).to_bytes(4, "little") + (2).to_bytes(2, "little") + bytes(10)
        assert _conntrack._answer(head + code.to_bytes(4, "little", signed=True) + bytes(16)) == expected
