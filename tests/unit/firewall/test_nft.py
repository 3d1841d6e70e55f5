# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What nftables is given."""

from __future__ import annotations

import re

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._firewall_nft import comment, render_nft
from unit.firewall.rule_sets import JIRA, port, rules_of


def chain(text: str, name: str) -> list[str]:
    body = re.search(rf"^    chain {name} \{{\n(.*?)^    \}}", text, re.MULTILINE | re.DOTALL)
    assert body
    return [line.strip() for line in body[1].splitlines()]


def test_one_transaction_replaces_the_table_and_nothing_else() -> None:
    lines = render_nft(rules_of(JIRA)).splitlines()
    assert lines[0].startswith("# Made by role firewall")
    assert lines[1:4] == [
        "add table inet atlassian-dc-firewall",
        "delete table inet atlassian-dc-firewall",
        "table inet atlassian-dc-firewall {",
    ]
    assert [line for line in lines[4:] if not line.startswith("    ")] == ["", "", "", "", "}"]


def test_default_deny() -> None:
    rules = rules_of(JIRA, trusted_interfaces=["docker0", "br-*"])
    assert chain(render_nft(rules), "input") == [
        "type filter hook input priority filter; policy drop;",
        "ct state established,related accept",
        'iifname "lo" accept',
        'iifname "br-*" accept comment "trusted interface"',
        'iifname "docker0" accept comment "trusted interface"',
        "ct state invalid drop",
        "icmp type { destination-unreachable, echo-request, time-exceeded, parameter-problem } accept",
        'ip protocol 2 accept comment "multicast groups of IPv4"',
        "icmpv6 type { destination-unreachable, packet-too-big, time-exceeded, parameter-problem, echo-request, "
        "echo-reply } accept",
        "ip6 hoplimit 255 icmpv6 type { nd-router-solicit, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert, "
        'ind-neighbor-solicit, ind-neighbor-advert, 148, 149 } accept comment "neighbours and routers of IPv6"',
        "ip6 saddr fe80::/10 icmpv6 type { mld-listener-query, mld-listener-report, mld-listener-done, "
        'mld2-listener-report, 151, 152, 153 } accept comment "multicast groups of IPv6"',
        'meta nfproto ipv4 udp dport 68 accept comment "answers to the DHCP client"',
        'ip6 saddr fe80::/10 udp dport 546 accept comment "answers to the DHCP client"',
        'ip saddr @proxies-v4 tcp dport 8080 accept comment "jira http"',
        'ip saddr @peers-v4 tcp dport 40001 accept comment "jira cluster cache listener"',
        'ip saddr @admin-v4 tcp dport 22 accept comment "SSH"',
        'ip6 saddr @admin-v6 tcp dport 22 accept comment "SSH"',
        'tcp dport 8080 drop comment "DC-NET-02: nobody else"',
        'tcp dport 40001 drop comment "DC-NET-03: nobody else"',
        'tcp dport 22 drop comment "DC-NET-04: nobody else"',
    ]


def test_without_default_deny_everything_else_is_left_to_others() -> None:
    two = {"name": "x", "ports": [port("a", 8080, "proxy"), port("b", 8443, "proxy")]}
    text = render_nft(rules_of(two, enforced=["DC-NET-02"]))
    assert chain(text, "input") == [
        "type filter hook input priority filter; policy accept;",
        "ct state established,related accept",
        'iifname "lo" accept',
        'ip saddr @proxies-v4 tcp dport 8080 accept comment "x a"',
        'ip saddr @proxies-v4 tcp dport 8443 accept comment "x b"',
        'tcp dport { 8080, 8443 } drop comment "DC-NET-02: nobody else"',
    ]
    assert "chain output" not in text


def test_an_outbound_policy() -> None:
    mail = {"name": "mail", "ports": [25, "587-588"], "to": ["peers", "203.0.113.0/24"]}
    assert chain(render_nft(rules_of(outbound=[mail], trusted_interfaces=["wg0"])), "output") == [
        "type filter hook output priority filter; policy drop;",
        "ct state established,related accept",
        'oifname "lo" accept',
        'oifname "wg0" accept comment "trusted interface"',
        "meta l4proto { 1, 58 } accept",
        "ip protocol 2 accept",
        'meta nfproto ipv4 udp dport 67 accept comment "DHCP client"',
        'meta nfproto ipv6 udp dport 547 accept comment "DHCP client"',
        'ip daddr @from-cf4b8456-v4 tcp dport { 25, 587-588 } accept comment "mail"',
        "reject",
    ]


def test_many_networks_are_one_set() -> None:
    many = [f"10.{number // 250}.{number % 250}.1" for number in range(1000)]
    many += [f"2001:db8:{number:x}::/48" for number in range(2, 2002, 2)]
    few, lots = render_nft(rules_of(JIRA, admin=["10.0.0.1", "2001:db8::1"])), render_nft(rules_of(JIRA, admin=many))
    assert chain(lots, "input") == chain(few, "input")
    assert lots.count("set admin-v") == 2
    assert sum(lots.count(f"{source},") + lots.count(f"{source}\n") for source in many) == 2000
    assert max(map(len, lots.splitlines())) < 300


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SSH", '"SSH"'),
        ('a" drop; flush ruleset; #', '"a\' drop; flush ruleset; #"'),
        ("a\\", '"a/"'),
        ("a\nb\x00\x1b", '"a?b??"'),
        ("Überwachung", '"Überwachung"'),
        ("x" * 129, f'"{"x" * 128}"'),
        ("x" * 127 + "ü", f'"{"x" * 127}"'),
        ("\ud800", '"?"'),
    ],
)
def test_names_in_comments_stay_in_their_quotes(text: str, expected: str) -> None:
    assert comment(text) == f"comment {expected}"
