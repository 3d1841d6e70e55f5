# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What firewalld is given, and what it says of it."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._firewall_firewalld import (
    POLICIES,
    Zone,
    info_lines,
    parse_active_zones,
    render_firewalld,
    wanted_lines,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._firewall_rules import RulesError
from unit.firewall.rule_sets import JIRA, port, rules_of

TWO = {"name": "x", "ports": [port("a", 8080, "proxy"), port("b", 8443, "proxy")]}
IPV6 = "2001:db8:9::/48"

# As firewall-cmd of 1.3.3 (Debian 12) prints them; 2.3.1 (Debian 13) says the same.
POLICY = """\
atlassian-dc-in (active)
  priority: -30000
  target: CONTINUE
  ingress-zones: ANY
  egress-zones: HOST
  services: 
  ports: 
  protocols: 
  masquerade: no
  forward-ports: 
  source-ports: 
  icmp-blocks: 
  rich rules: 
\trule priority="-1" family="ipv4" source ipset="atlassian-dc-proxies-v4" port port="8080" protocol="tcp" accept
\trule priority="-1" family="ipv4" source ipset="atlassian-dc-proxies-v4" port port="8443" protocol="tcp" accept
\trule priority="1" port port="8080" protocol="tcp" drop
\trule priority="1" port port="8443" protocol="tcp" drop
"""  # noqa: W291 - spaces at the ends of lines are firewalld's
IPSET = """\
atlassian-dc-admin-v6
  type: hash:net
  options: family=inet6
  entries: 2001:db8:9::/48 2001:db8::1
"""


def test_files() -> None:
    files = render_firewalld(rules_of(TWO, enforced=["DC-NET-02"]))
    made = "Made by role firewall of atlassian_dc.hardening from its variables; what is changed here is undone."
    assert files == {
        "ipsets/atlassian-dc-proxies-v4.xml": f"""\
<?xml version="1.0" encoding="utf-8"?>
<ipset type="hash:net">
  <description>{made}</description>
  <entry>192.0.2.10</entry>
</ipset>
""",
        "policies/atlassian-dc-in.xml": f"""\
<?xml version="1.0" encoding="utf-8"?>
<policy priority="-30000" target="CONTINUE">
  <description>{made}</description>
  <ingress-zone name="ANY"/>
  <egress-zone name="HOST"/>
  <rule priority="-1" family="ipv4">
    <source ipset="atlassian-dc-proxies-v4"/>
    <port port="8080" protocol="tcp"/>
    <accept/>
  </rule>
  <rule priority="-1" family="ipv4">
    <source ipset="atlassian-dc-proxies-v4"/>
    <port port="8443" protocol="tcp"/>
    <accept/>
  </rule>
  <rule priority="1">
    <port port="8080" protocol="tcp"/>
    <drop/>
  </rule>
  <rule priority="1">
    <port port="8443" protocol="tcp"/>
    <drop/>
  </rule>
</policy>
""",
    }


def test_default_deny_keeps_neighbours_of_ipv6() -> None:
    policy = ET.fromstring(render_firewalld(rules_of(JIRA))["policies/atlassian-dc-in.xml"])  # noqa: S314 - ours
    assert policy.attrib == {"priority": "-30000", "target": "DROP"}
    types = [
        (rule.attrib.get("family"), item.attrib["name"])
        for rule in policy.iter("rule")
        for item in rule.iter("icmp-type")
    ]
    assert types == [
        *((None, name) for name in ("destination-unreachable", "echo-request", "time-exceeded", "parameter-problem")),
        *(("ipv6", name) for name in ("packet-too-big", "echo-reply", "neighbour-advertisement")),
        *(("ipv6", name) for name in ("neighbour-solicitation", "router-advertisement", "router-solicitation")),
    ]
    lines = wanted_lines(rules_of(JIRA))["atlassian-dc-in"]
    assert 'rule priority="-1" family="ipv6" source address="fe80::/10" protocol value="58" accept' in lines


def test_names_are_short_enough_for_every_version() -> None:
    every = [
        {"name": "x", "ports": [1], "from": ["agents", "proxies"]},
        {"name": "y", "ports": [2], "from": ["agents"]},
    ]
    rules = rules_of(JIRA, services=every, trusted_interfaces=["wg0"], outbound=[])
    files = render_firewalld(rules, {"vpn": Zone(("wg0",))})
    names: dict[str, list[str]] = {"ipsets": [], "policies": []}
    for path in files:
        folder, _slash, name = path.partition("/")
        names[folder].append(name[: -len(".xml")])
    assert sorted(names["policies"]) == sorted(POLICIES)
    assert max(map(len, names["policies"])) <= 17
    assert len(names["ipsets"]) == 6
    assert max(map(len, names["ipsets"])) <= 31


def test_many_networks_are_one_ipset() -> None:
    many = [f"10.{number // 250}.{number % 250}.1" for number in range(1000)]
    few, lots = render_firewalld(rules_of(admin=["10.0.0.1"])), render_firewalld(rules_of(admin=many))
    assert few["policies/atlassian-dc-in.xml"] == lots["policies/atlassian-dc-in.xml"]
    assert lots["ipsets/atlassian-dc-admin-v4.xml"].count("<entry>") == 1000


def test_what_is_in_force_compares_with_what_is_wanted() -> None:
    wanted = wanted_lines(rules_of(TWO, enforced=["DC-NET-02"]))
    assert info_lines(POLICY) == wanted["atlassian-dc-in"]
    assert info_lines(IPSET) == wanted_lines(rules_of(admin=["2001:db8::1", IPV6]))["atlassian-dc-admin-v6"]


@pytest.mark.parametrize(
    ("old", "new", "shows"),
    [
        ("  services: \n", "  services: http\n", "services: http"),
        ("masquerade: no", "masquerade: yes", "masquerade: yes"),
        ("  ports: \n", "  ports: 80/tcp\n", "ports: 80/tcp"),
        ("  forward-ports: \n", "  forward-ports: \n\tport=1:proto=tcp:toport=2\n", "port=1:proto=tcp:toport=2"),
        ("CONTINUE", "ACCEPT", "target: ACCEPT"),
        ("-30000", "-1", "priority: -1"),
        ("ANY", "public work", "ingress-zones: public work"),
        ('"tcp" drop\n', '"udp" drop\n', 'rule priority="1" port port="8080" protocol="udp" drop'),
    ],
)
def test_whatever_somebody_changed_shows(old: str, new: str, shows: str) -> None:
    changed = info_lines(POLICY.replace(old, new, 1))
    assert set(changed) - set(info_lines(POLICY)) == {shows}


def test_a_policy_that_is_not_active_is_not_in_force() -> None:
    assert set(info_lines(POLICY)) - set(info_lines(POLICY.replace(" (active)", ""))) == {"active"}
    assert info_lines("") == []


ZONES = """\
docker
  interfaces: docker0 br-1
public (default)
  interfaces: eth0
vpn
  interfaces: wg0
  sources: 10.8.0.0/24
empty (default)
"""


def test_active_zones() -> None:
    assert parse_active_zones(ZONES) == {
        "docker": Zone(("docker0", "br-1")),
        "public": Zone(("eth0",)),
        "vpn": Zone(("wg0",), ("10.8.0.0/24",)),
        "empty": Zone(()),
    }


def test_trusted_interfaces_are_trusted_through_their_zone() -> None:
    rules = rules_of(trusted_interfaces=["docker0", "br-*"], outbound=[])
    wanted = wanted_lines(rules, parse_active_zones(ZONES))
    common = ["active", "priority: -30001", "target: ACCEPT"]
    assert wanted["atlassian-dc-zin"] == sorted([*common, "egress-zones: HOST", "ingress-zones: docker"])
    assert wanted["atlassian-dc-zout"] == sorted([*common, "egress-zones: docker", "ingress-zones: HOST"])


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["docker0"], "'docker0' is in docker together with br-1; put it in a zone of its own"),
        (["wg0"], "'wg0' is in vpn together with 10.8.0.0/24;"),
        (["podman0"], "'podman0' is in none; put it in a zone of its own"),
    ],
)
def test_an_interface_without_a_zone_of_its_own_is_refused(names: list[str], words: str) -> None:
    with pytest.raises(RulesError) as caught:
        render_firewalld(rules_of(trusted_interfaces=names), parse_active_zones(ZONES))
    assert str(caught.value).startswith("atlassian_dc_firewall_trusted_interfaces: ")
    assert words in str(caught.value)
