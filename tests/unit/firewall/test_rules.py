# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules of a host: who may reach what, what is refused, what people and files see of it."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._firewall_rules import (
    Missing,
    Note,
    RulesError,
    RuleSet,
    describe,
    diff,
    is_host_name,
    parse_interfaces,
    parse_networks,
    parse_ports,
    parse_services,
)
from unit.firewall.rule_sets import BAMBOO, BITBUCKET, JIRA, port, rules_of, wanted

# ---- networks, ports, names --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["192.0.2.1", "192.0.2.1/32"], ("192.0.2.1",)),
        (["10.1.0.0/16", "10.0.0.0/8"], ("10.0.0.0/8",)),
        (["192.0.2.2", "192.0.2.3"], ("192.0.2.2/31",)),
        (["2001:DB8:0::1", "10.0.0.2", "10.0.0.1"], ("10.0.0.1", "10.0.0.2", "2001:db8::1")),
        (["::ffff:192.0.2.7", "::ffff:198.51.100.0/120"], ("192.0.2.7", "198.51.100.0/24")),
        (["fe80::/10", "127.0.0.1"], ("127.0.0.1", "fe80::/10")),
        ([], ()),
        (["any"], None),
        (["10.0.0.0/8", "any"], None),
    ],
)
def test_networks_have_one_form(given: list[str], expected: Any) -> None:
    assert parse_networks(given, "v") == expected


@pytest.mark.parametrize(
    ("element", "words"),
    [
        ("10.0.0.300", "'10.0.0.300' is no address or network"),
        ("10.0.0.5/24", "'10.0.0.5/24' is an address inside a network; the network is 10.0.0.0/24"),
        ("2001:db8::5/64", "the network is 2001:db8::/64"),
        ("0.0.0.0/0", "is everybody; if that is meant, write any"),
        ("::/0", "is everybody; if that is meant, write any"),
        ("::ffff:0:0/96", "is everybody"),
        ("fe80::1%eth0", "names an interface"),
        ("proxy1.example.com", "is a name, not an address; it was not resolved"),
        ("db1", "is a name, not an address"),
        ("10.0.0.0/255.255.255.0", "is no address or network"),
        ("10.0.0.0/0.0.0.255", "is no address or network"),
        ("10.0.0.0/08", "is no address or network"),
        ("10.0.0.0/33", "is no address or network"),
        ("10.0.0", "is no address or network"),
        (" 10.0.0.1", "is no address or network"),
        ("10.0.0.1\n", "is no address or network"),
        ("\u0661\u0660.0.0.1", "is no address or network"),
        ("", "is no address or network"),
        ("ANY/", "is no address or network"),
        ("224.0.0.0/4", "is no address of a host"),
        ("ff02::1", "is no address of a host"),
        ("0.0.0.0", "is no address of a host"),
        (10, "10 is no text"),
        (None, "None is no text"),
        (["10.0.0.1"], "is no text"),
    ],
)
def test_a_malformed_network_is_named(element: Any, words: str) -> None:
    with pytest.raises(RulesError) as caught:
        parse_networks(["192.0.2.1", "any", element], "atlassian_dc_admin_networks")
    assert str(caught.value).startswith("atlassian_dc_admin_networks[2]: ")
    assert words in str(caught.value)


@pytest.mark.parametrize(("value", "words"), [("10.0.0.1", "is no list"), (["10.0.0.1"] * 65537, "more than 65536")])
def test_networks_come_as_a_list_of_bounded_length(value: Any, words: str) -> None:
    with pytest.raises(RulesError, match=words):
        parse_networks(value, "v")


@pytest.mark.parametrize("halves", [["0.0.0.0/1", "128.0.0.0/1"], ["::/1", "8000::/1"]])
def test_networks_that_are_everybody_together_are_refused(halves: list[str]) -> None:
    with pytest.raises(RulesError, match="together are everybody"):
        parse_networks(halves, "v")


@pytest.mark.parametrize("name", ["db1", "proxy-1.example.com", "a.b.c1.", "1a", "xn--bcher-kva.example"])
def test_names_of_hosts(name: str) -> None:
    assert is_host_name(name)


@pytest.mark.parametrize("text", ["10.0.0.300", "1.2", "-a", "a-.b", "a..b", "a b", "a/24", "::1", "", "a" * 64, "a\n"])
def test_what_is_no_name_of_a_host(text: str) -> None:
    assert not is_host_name(text)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([80], ((80, 80),)),
        (["443", 80, 80], ((80, 80), (443, 443))),
        (["8000-8010", 8005, "8009-8020"], ((8000, 8020),)),
        ([80, 81, "82-83"], ((80, 83),)),
        (["1-65535"], ((1, 65535),)),
    ],
)
def test_ports_have_one_form(given: list[Any], expected: Any) -> None:
    assert parse_ports(given, "v") == expected


@pytest.mark.parametrize(
    ("element", "words"),
    [
        (0, "0 is out of range; ports are 1 to 65535"),
        (70000, "70000 is out of range"),
        ("1-65536", "'1-65536' is out of range"),
        ("90-80", "'90-80' ends before it begins"),
        (-1, "-1 is no port"),
        (True, "True is no port"),
        (80.0, "80.0 is no port"),
        ("http", "'http' is no port"),
        ("80 ", "'80 ' is no port"),
        ("80:90", "is no port"),
        ("\u0668\u0660", "is no port"),
        (None, "None is no port"),
    ],
)
def test_a_malformed_port_is_named(element: Any, words: str) -> None:
    with pytest.raises(RulesError) as caught:
        parse_ports([80, element], "x.ports")
    assert str(caught.value).startswith("x.ports[1]: ")
    assert words in str(caught.value)


def test_interfaces() -> None:
    assert parse_interfaces(["docker0", "br-*", "docker0", "eth0.5", "wg0"]) == ("br-*", "docker0", "eth0.5", "wg0")


@pytest.mark.parametrize(
    "name", ["*", "", "a b", 'a"', "a/b", "a" * 16, "a" * 15 + "*", "e*h", "é", "-a", 1, "a\n", "lo;"]
)
def test_a_malformed_interface_is_named(name: Any) -> None:
    with pytest.raises(RulesError, match=r"^atlassian_dc_firewall_trusted_interfaces\[1\]: "):
        parse_interfaces(["eth0", name])


SERVICE = {"name": "node exporter", "ports": [9100], "protocol": "tcp", "from": ["192.0.2.30"]}


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"ports": [70000]}, ".ports[0]: 70000 is out of range"),
        ({"ports": []}, ".ports: no ports"),
        ({"ports": 9100}, ".ports: 9100 is no list"),
        ({"from": ["10.0.0.0/8", "admin", "10.0.0.300"]}, ".from[2]: '10.0.0.300' is no address"),
        ({"from": "any"}, ".from: 'any' is no list"),
        ({"protocol": "icmp"}, ".protocol: 'icmp' is not one of tcp, udp"),
        ({"name": " \n"}, ".name: ' \\n' is no name"),
        ({"form": []}, ": 'form' is unknown"),
    ],
)
def test_what_is_wrong_with_a_service_is_named(changed: dict[str, Any], words: str) -> None:
    with pytest.raises(RulesError) as caught:
        parse_services([SERVICE, {**SERVICE, **changed}])
    assert str(caught.value).startswith(f"atlassian_dc_firewall_services[1]{words}")


def test_a_service_names_who_may_reach_it() -> None:
    with pytest.raises(RulesError, match=r"\[0\]: from is missing$"):
        parse_services([{"name": "x", "ports": [1]}])


# ---- rules of a host ---------------------------------------------------------------------------


def test_everything_enforced() -> None:
    rules = rules_of(JIRA, BITBUCKET, BAMBOO, services=[SERVICE])
    assert describe(rules) == [
        "accept established connections and what the host sends to itself",
        "accept ICMP and ICMPv6 that hosts need, and answers to a DHCP client",
        "accept tcp 7990 from 192.0.2.10 (proxies): bitbucket http",
        "accept tcp 8080 from 192.0.2.10 (proxies): jira http",
        "accept tcp 8085 from 192.0.2.10 (proxies): bamboo http",
        "accept tcp 5701 from 192.0.2.21, 192.0.2.23 (peers): bitbucket Hazelcast",
        "accept tcp 40001 from 192.0.2.21, 192.0.2.23 (peers): jira cluster cache listener",
        "accept tcp 54663 from 198.51.100.0/24 (agents): bamboo broker",
        "accept tcp 22 from 10.9.0.0/16, 2001:db8:9::/48 (admin): SSH",
        "accept tcp 7999 from anybody (users): bitbucket Git over SSH",
        "accept tcp 9100 from 192.0.2.30: node exporter",
        "drop tcp 7990, 8080, 8085 from everybody else: DC-NET-02",
        "drop tcp 5701, 40001, 54663 from everybody else: DC-NET-03",
        "drop tcp 22 from everybody else: DC-NET-04",
        "drop everything else that comes in: DC-NET-01",
    ]
    assert rules.controls == ["DC-NET-01", "DC-NET-02", "DC-NET-03", "DC-NET-04"]


def test_only_what_is_enforced_is_restricted() -> None:
    rules = rules_of(JIRA, BITBUCKET, enforced=["DC-NET-04"], proxies=None, peers=None)
    assert describe(rules) == [
        "accept established connections and what the host sends to itself",
        "accept tcp 22 from 10.9.0.0/16, 2001:db8:9::/48 (admin): SSH",
        "drop tcp 22 from everybody else: DC-NET-04",
    ]
    assert rules.allows("tcp", "203.0.113.1", 8080)
    assert not rules.allows("tcp", "203.0.113.1", 22)


def test_default_deny_alone_opens_no_more_than_all_controls_together() -> None:
    alone, together = rules_of(JIRA, enforced=["DC-NET-01"]), rules_of(JIRA)
    assert alone.rules == together.rules
    assert alone.guarded == ()
    assert not alone.allows("tcp", "203.0.113.1", 8080)


def test_nothing_is_wanted_where_nothing_is_enforced() -> None:
    assert wanted(JIRA, enforced=["DC-NET-05"], admin=None).rule_set is None
    assert wanted(JIRA, enforced=[], admin=None).missing == ()


def test_what_is_not_set_is_named_with_whom_it_keeps_waiting() -> None:
    made = wanted(JIRA, BAMBOO, admin=None, proxies=None, peers=None, agents=None)
    assert made.rule_set is None
    assert made.missing == (
        Missing("atlassian_dc_admin_networks", "DC-NET-04", "who may reach SSH (tcp 22) is not known"),
        Missing(
            "atlassian_dc_cluster_peers",
            "DC-NET-03",
            "who may reach jira cluster cache listener (tcp 40001) is not known",
        ),
        Missing("atlassian_dc_firewall_agents", "DC-NET-03", "who may reach bamboo broker (tcp 54663) is not known"),
        Missing(
            "atlassian_dc_proxy_addresses",
            "DC-NET-02",
            "who may reach jira http (tcp 8080) is not known; who may reach bamboo http (tcp 8085) is not known",
        ),
    )


def test_default_deny_needs_what_the_ports_need_though_their_control_is_not_enforced() -> None:
    made = wanted(JIRA, peers=None, enforced=["DC-NET-01"])
    assert [(item.variable, item.control) for item in made.missing] == [("atlassian_dc_cluster_peers", "DC-NET-01")]


@pytest.mark.parametrize(
    ("value", "missing"), [(None, ["atlassian_dc_firewall_agents"]), ([], []), (["198.51.100.1"], [])]
)
def test_nobody_is_something_else_than_not_known(value: list[str] | None, missing: list[str]) -> None:
    made = wanted(BAMBOO, agents=value)
    assert [item.variable for item in made.missing] == missing
    if made.rule_set:
        assert made.rule_set.allows("tcp", "198.51.100.1", 54663) is bool(value)
        assert not made.rule_set.allows("tcp", "203.0.113.1", 54663)


def test_a_group_a_service_names_has_to_be_known() -> None:
    both = {**SERVICE, "from": ["agents", "peers", "192.0.2.1"]}
    made = wanted(services=[both], agents=None, peers=None, enforced=["DC-NET-04", "DC-NET-02"])
    assert made.missing == (
        Missing("atlassian_dc_cluster_peers", "DC-NET-02", "node exporter is declared for peers"),
        Missing("atlassian_dc_firewall_agents", "DC-NET-02", "node exporter is declared for agents"),
    )


@pytest.mark.parametrize(
    "changed",
    [
        {"open": False, "port": None},
        {"open": False},
        {"from": "local"},
        {"from": "nobody"},
        {"address": "127.0.0.1"},
        {"address": "::1"},
        {"address": "localhost"},
    ],
)
def test_ports_that_nobody_else_reaches_need_nobody(changed: dict[str, Any]) -> None:
    made = wanted({"name": "x", "ports": [{**port("http", 8080, "proxy"), **changed}]}, proxies=None)
    assert made.missing == ()
    assert made.notes == ()
    assert made.rule_set
    assert [rule.name for rule in made.rule_set.rules] == ["SSH"]
    assert not made.rule_set.allows("tcp", "192.0.2.10", 8080)


def test_ports_that_are_not_known_are_told() -> None:
    notes = wanted(JIRA, {"name": "x", "ports": None}).notes
    assert notes == (
        Note(None, "x: nobody knows its ports; no rule is made for it"),
        Note("DC-NET-03", "jira cluster cache objects: a random free port when the key is not set"),
    )


def test_a_port_that_may_be_closed_is_guarded() -> None:
    odd = {"name": "x", "ports": [port("maybe", 7000, "peers", open=None)]}
    assert rules_of(odd).allows("tcp", "192.0.2.21", 7000)
    assert not rules_of(odd, enforced=["DC-NET-03"]).allows("tcp", "203.0.113.1", 7000)


def test_several_products_on_one_host() -> None:
    other = {"name": "jira2", "ports": [port("http", 8080, "proxy", address="192.0.2.1"), port("x", 8080, "peers")]}
    rules = rules_of(JIRA, other)
    assert rules == rules_of(other, JIRA)
    assert [line for line in describe(rules) if line.startswith("accept tcp 8080 ")] == [
        "accept tcp 8080 from 192.0.2.10 (proxies): jira http, jira2 http",
        "accept tcp 8080 from 192.0.2.21, 192.0.2.23 (peers): jira2 x",
    ]


def test_a_service_joins_what_its_words_stand_for() -> None:
    mixed = {**SERVICE, "ports": ["161-162", 5405], "protocol": "udp", "from": ["admin", "192.0.2.30", "proxies"]}
    rule = next(rule for rule in rules_of(services=[mixed]).rules if rule.name == "node exporter")
    assert rule.sources == ("10.9.0.0/16", "192.0.2.10", "192.0.2.30", "2001:db8:9::/48")
    assert rule.group == ""
    assert rule.protocol == "udp"
    assert rule.ports == ((161, 162), (5405, 5405))
    alone = next(rule for rule in rules_of(services=[{**SERVICE, "from": ["peers"]}]).rules if rule.name != "SSH")
    assert (alone.group, alone.sources) == ("peers", ("192.0.2.21", "192.0.2.23"))


def test_services_without_a_protocol_are_tcp() -> None:
    assert [service.protocol for service in parse_services([{**SERVICE, "protocol": None}])] == ["tcp"]


def test_what_opens_guarded_ports_is_told() -> None:
    loose = {"name": "everything", "ports": ["8000-9000"], "from": ["any"]}
    made = wanted(JIRA, services=[loose], admin=["any"])
    text = "open to more than it wants: accept tcp "
    assert made.notes[1:] == (
        Note("DC-NET-02", f"{text}8000-9000 from anybody: everything"),
        Note("DC-NET-04", f"{text}22 from anybody (admin): SSH"),
    )
    assert made.rule_set
    assert made.rule_set.allows("tcp", "203.0.113.1", 8080)
    assert not wanted(JIRA, services=[{**loose, "protocol": "udp"}]).notes[1:]


def test_values_are_checked_that_no_rule_needs() -> None:
    with pytest.raises(RulesError, match=r"^atlassian_dc_firewall_agents\[0\]: "):
        wanted(enforced=[], agents=["10.0.0.300"])
    with pytest.raises(RulesError, match=r"^atlassian_dc_firewall_outbound\[0\]\.to\[0\]: "):
        wanted(enforced=[], outbound=[{"name": "x", "ports": [1], "to": ["10.0.0.300"]}])


def test_names_from_hosts_stay_in_their_line() -> None:
    odd = {"name": "jira\n\x1b[2Jdrop", "ports": [port("ht\u202etp", 8080, "proxy")]}
    assert "accept tcp 8080 from 192.0.2.10 (proxies): jira ?[2Jdrop ht?tp" in describe(rules_of(odd))


# ---- packets -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("packet", "allowed"),
    [
        (("tcp", "192.0.2.10", 8080), True),
        (("tcp", "::ffff:192.0.2.10", 8080), True),
        (("tcp", "192.0.2.11", 8080), False),
        (("udp", "192.0.2.10", 8080), False),
        (("tcp", "10.9.255.255", 22), True),
        (("tcp", "10.10.0.0", 22), False),
        (("tcp", "2001:db8:9:ffff::", 22), True),
        (("tcp", "2001:db8:a::", 22), False),
        (("tcp", "127.0.0.1", 5005), True),
        (("tcp", "203.0.113.1", 5005, "lo"), True),
        (("tcp", "203.0.113.1", 5005, "docker0"), True),
        (("tcp", "203.0.113.1", 5005, "br-1a"), True),
        (("tcp", "203.0.113.1", 5005, "eth0"), False),
        (("udp", "203.0.113.1", 68), True),
        (("udp", "fe80::1%eth0", 546), True),
        (("udp", "2001:db8::1", 546), False),
    ],
)
def test_who_is_let_in(packet: tuple[Any, ...], allowed: bool) -> None:
    assert rules_of(JIRA, trusted_interfaces=["docker0", "br-*"]).allows(*packet) is allowed


def test_sources_are_addresses() -> None:
    with pytest.raises(ValueError, match="proxy1"):
        rules_of(JIRA).allows("tcp", "proxy1", 22)


def test_what_is_let_out() -> None:
    assert rules_of(JIRA).allows_out("tcp", "203.0.113.1", 25)
    mail = [{"name": "mail", "ports": [25], "to": ["203.0.113.1"]}, {"name": "groups", "ports": [1], "to": ["ff05::1"]}]
    rules = rules_of(JIRA, outbound=mail, trusted_interfaces=["docker0"])
    assert rules.allows_out("tcp", "203.0.113.1", 25)
    assert not rules.allows_out("tcp", "203.0.113.2", 25)
    assert rules.allows_out("tcp", "203.0.113.2", 25, "docker0")
    assert rules.allows_out("udp", "255.255.255.255", 67)
    assert rules.allows_out("udp", "ff02::1:2", 547)
    assert not rules.allows_out("tcp", "203.0.113.1", 67)
    assert describe(rules)[-3:] == [
        "let out tcp 1 to ff05::1: groups",
        "let out tcp 25 to 203.0.113.1: mail",
        "let nothing else out but ICMP, ICMPv6 and DHCP",
    ]
    assert not rules_of(outbound=[]).allows_out("tcp", "203.0.113.1", 25)


# ---- people ------------------------------------------------------------------------------------


def test_long_lists_are_cut_where_people_read_them() -> None:
    many = [f"10.{number}.0.1" for number in range(100)]
    lines = describe(rules_of(admin=many))
    assert "accept tcp 22 from 10.0.0.1, 10.1.0.1, 10.2.0.1, 10.3.0.1 and 96 more (admin): SSH" in lines


def test_differences_are_told_as_what_goes_comes_and_stays() -> None:
    before = rules_of(JIRA, services=[SERVICE])
    after = rules_of(JIRA, proxies=["192.0.2.11"], enforced=["DC-NET-01", "DC-NET-02", "DC-NET-03"])
    assert diff(before, after) == [
        "~ accept tcp 8080 (proxies): jira http; also 192.0.2.11; no longer 192.0.2.10",
        "- accept tcp 9100 from 192.0.2.30: node exporter",
        "- drop tcp 22 from everybody else: DC-NET-04",
    ]
    assert diff(before, before) == []
    assert [line[2:] for line in diff(None, before)] == describe(before)
    assert [line[:2] for line in diff(before, None)] == ["- "] * len(describe(before))


def test_one_network_more_among_many_is_told() -> None:
    many = [f"10.{number}.0.1" for number in range(100)]
    assert diff(rules_of(peers=[], admin=many), rules_of(peers=[], admin=[*many, "192.0.2.99"])) == [
        "~ accept tcp 22 (admin): SSH; also 192.0.2.99"
    ]


def test_rules_of_the_same_name_are_told_apart() -> None:
    two = [{**SERVICE, "from": ["192.0.2.30"]}, {**SERVICE, "from": ["192.0.2.40"]}]
    assert diff(rules_of(services=two), rules_of(services=[{**SERVICE, "from": ["192.0.2.50"]}])) == [
        "- accept tcp 9100 from 192.0.2.30: node exporter",
        "- accept tcp 9100 from 192.0.2.40: node exporter",
        "+ accept tcp 9100 from 192.0.2.50: node exporter",
    ]


# ---- files -------------------------------------------------------------------------------------

FULL = rules_of(
    *(JIRA, BITBUCKET, BAMBOO),
    services=[SERVICE, {**SERVICE, "from": ["any"], "protocol": "udp"}],
    trusted_interfaces=["docker0"],
    outbound=[
        {"name": "web", "ports": [80, 443], "to": ["any"]},
        {"name": "discovery", "ports": [5405], "protocol": "udp", "to": ["224.2.2.3", "peers"]},
    ],
)


@pytest.mark.parametrize("rules", [FULL, rules_of(enforced=["DC-NET-04"]), RuleSet()])
def test_rules_come_back_from_a_file_as_they_were(rules: RuleSet) -> None:
    assert RuleSet.from_dict(json.loads(json.dumps(rules.as_dict()))) == rules


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ((), [], "rules: [] is no mapping"),
        (("format",), 2, "rules.format: 2 is not 1"),
        (("format",), True, "rules.format: True is not 1"),
        (("default_deny",), "no", "rules.default_deny: 'no' is neither true nor false"),
        (("more",), 1, "rules: 'more' is unknown"),
        (("trusted_interfaces",), ["a b"], "rules.trusted_interfaces[0]: 'a b' is no name"),
        (("rules",), {}, "rules.rules: {} is no list"),
        (("rules", 0), 1, "rules.rules[0]: 1 is no mapping"),
        (("rules", 0, "protocol"), "sctp", "rules.rules[0].protocol: 'sctp' is not one of"),
        (("rules", 0, "ports"), ["0"], "rules.rules[0].ports[0]: '0' is out of range"),
        (("rules", 0, "sources"), [], "rules.rules[0].sources: [] is no list of networks"),
        (("rules", 0, "sources"), ["any"], "rules.rules[0].sources: ['any'] is no list of networks"),
        (("rules", 0, "sources"), ["10.0.0.300"], "rules.rules[0].sources[0]: "),
        (("rules", 0, "control"), "DC-NET-01", "rules.rules[0].control: 'DC-NET-01' is not one of"),
        (("rules", 0, "group"), "friends", "rules.rules[0].group: 'friends' is not one of"),
        (("rules", 0, "group"), None, "rules.rules[0].group: None is not one of"),
        (("rules", 0, "name"), 'a\n"', "rules.rules[0].name: 'a\\n\"' is no name"),
        (("rules", 0, "name"), "", "rules.rules[0].name: '' is no name"),
        (("guarded", 0, "control"), None, "rules.guarded[0].control: None is not one of"),
        (("guarded", 0, "ports"), [], "rules.guarded[0].ports: no ports"),
        (("guarded",), None, "rules.guarded: None is no list"),
        (("rules", 0, "sources"), ["224.2.2.3"], "rules.rules[0].sources[0]: '224.2.2.3' is no address of a host"),
        (("outbound", 0, "port"), 1, "rules.outbound[0]: 'port' is unknown"),
        (("rules", 0, "sources"), ["192.0.2.99"], "rules: rules of group 'proxies' differ in their sources"),
    ],
)
def test_a_file_edited_by_hand_is_refused_where_it_is_wrong(path: tuple[Any, ...], value: Any, words: str) -> None:
    data: Any = {"root": copy.deepcopy(FULL.as_dict())}
    at: Any = data
    keys = ("root", *path)
    for key in keys[:-1]:
        at = at[key]
    at[keys[-1]] = value
    with pytest.raises(RulesError) as caught:
        RuleSet.from_dict(data["root"])
    assert str(caught.value).startswith(words)


@pytest.mark.parametrize("key", ["format", "default_deny", "trusted_interfaces", "rules", "guarded", "outbound"])
def test_a_file_with_a_part_missing_is_refused(key: str) -> None:
    data = FULL.as_dict()
    del data[key]
    with pytest.raises(RulesError, match=f"^rules: {key} is missing$"):
        RuleSet.from_dict(data)
