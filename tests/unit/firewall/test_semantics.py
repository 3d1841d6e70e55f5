# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever the variables: the guard, nftables and firewalld decide alike, and files keep rules as they are."""

from __future__ import annotations

import ipaddress
import json
from typing import Any

from ansible_collections.atlassian_dc.hardening.plugins.module_utils._firewall_firewalld import Zone, render_firewalld
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._firewall_nft import render_nft
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._firewall_rules import (
    CONTROLS,
    RulesError,
    RuleSet,
    build,
    describe,
    diff,
    parse_networks,
)
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from unit.firewall.interpreters import Firewalld, NftTable, Packet
from unit.firewall.rule_sets import port

# Few addresses and ports, so that rules and packets meet.
NETWORKS = st.one_of(
    st.sampled_from(["10.0.0.0/8", "10.1.0.0/16", "192.0.2.0/30", "2001:db8::/32", "2001:db8:1::/48", "fe80::/10"]),
    st.integers(0, 9).map(lambda last: f"192.0.2.{last}"),
    st.integers(0, 9).map(lambda last: f"2001:db8::{last}"),
    st.integers(0, 3).map(lambda last: f"::ffff:192.0.2.{last}"),
)
LISTS = st.lists(NETWORKS, max_size=5)
PORTS = st.one_of(st.integers(66, 72), st.integers(544, 548), st.sampled_from(["67-69", "70-546"]))
WORDS = st.sampled_from(["any", "admin", "proxies", "peers", "agents", "users"])
INTERFACES = st.sampled_from(["eth0", "docker0", "br-1", "br-2", "wg0"])
FROM = st.sampled_from(["proxy", "peers", "agents", "users", "local", "nobody"])
PROTOCOLS = st.sampled_from(["tcp", "udp"])
ADDRESSES = st.one_of(
    NETWORKS.map(lambda text: str(ipaddress.ip_network(text).network_address)),
    NETWORKS.map(lambda text: str(ipaddress.ip_network(text).broadcast_address)),
    NETWORKS.map(lambda text: str(ipaddress.ip_network(text).broadcast_address + 1)),
    st.sampled_from(["203.0.113.1", "fe80::1", "ff02::1:2", "2001:db9::", "255.255.255.255"]),
).map(lambda text: str(getattr(ipaddress.ip_address(text), "ipv4_mapped", None) or text))
NAMES = st.text(min_size=1, max_size=200).filter(lambda text: bool(text.strip()))


def flows(who: str) -> st.SearchStrategy[list[dict[str, Any]]]:
    fields = {"name": NAMES, "ports": st.lists(PORTS, min_size=1, max_size=3), "protocol": PROTOCOLS}
    return st.lists(st.fixed_dictionaries({**fields, who: st.lists(WORDS | NETWORKS, max_size=3)}), max_size=3)


@st.composite
def rule_sets(draw: st.DrawFn) -> RuleSet:
    product_ports = [
        port(draw(NAMES), draw(st.integers(66, 72)), draw(FROM), protocol=draw(PROTOCOLS))
        for _number in range(draw(st.integers(0, 4)))
    ]
    try:
        made = build(
            instances=[{"name": "x", "ports": product_ports}],
            ssh_ports=draw(st.lists(st.integers(66, 72), max_size=2)),
            **{group: draw(LISTS) for group in ("admin", "proxies", "peers", "agents")},
            users=draw(st.one_of(LISTS, st.just(["any"]))),
            services=draw(flows("from")),
            trusted_interfaces=draw(st.lists(INTERFACES.filter(lambda name: name != "eth0"), max_size=2)),
            outbound=draw(st.none() | flows("to")),
            enforced=draw(st.sets(st.sampled_from(CONTROLS), min_size=1)),
        )
    except RulesError:
        # A name of nothing but what terminals obey.
        assume(False)
        raise
    assert made.rule_set is not None
    return made.rule_set


PACKETS = st.builds(
    Packet, PROTOCOLS, ADDRESSES, st.integers(64, 74) | st.integers(542, 550), INTERFACES | st.just("lo")
)
ZONES = {name: Zone((name,)) for name in ("docker0", "br-1", "br-2", "wg0")}


@settings(max_examples=100)
@given(rule_sets(), st.lists(PACKETS, min_size=1, max_size=20))
def test_all_decide_alike(rules: RuleSet, packets: list[Packet]) -> None:
    table = NftTable(render_nft(rules))
    held = {name: zone.interfaces for name, zone in ZONES.items()}
    firewalld = Firewalld(render_firewalld(rules, ZONES), held)
    for packet in packets:
        allowed = rules.allows(*packet)
        assert table.accepts(packet, "input") is allowed, packet
        assert firewalld.accepts(packet) is allowed, packet
        out = rules.allows_out(*packet)
        if rules.outbound is None:
            assert out
            assert "output" not in table.chains
        else:
            assert table.accepts(packet, "output") is out, packet
        assert firewalld.accepts(packet, ingress=False) is out, packet


@settings(max_examples=50)
@given(rule_sets(), rule_sets())
def test_files_and_previews_keep_what_rules_are(rules: RuleSet, others: RuleSet) -> None:
    assert RuleSet.from_dict(json.loads(json.dumps(rules.as_dict()))) == rules
    # Differences are told where there are some, in the order of rules too.
    assert bool(diff(rules, others)) is (describe(rules) != describe(others))
    assert all("\n" not in line and line.isprintable() for line in describe(rules) + diff(rules, others))


@settings(max_examples=200)
@given(LISTS, ADDRESSES)
def test_one_form_of_networks_holds_the_same_addresses(networks: list[str], address: str) -> None:
    canonical = parse_networks(networks, "v")
    assert canonical is not None
    assert parse_networks(list(canonical), "v") == canonical
    found = ipaddress.ip_address(address)
    mapped = ipaddress.ip_address(f"::ffff:{address}") if found.version == 4 else found
    expected = any(item in ipaddress.ip_network(text) for text in networks for item in (found, mapped))
    assert any(found in ipaddress.ip_network(text) for text in canonical) is expected
