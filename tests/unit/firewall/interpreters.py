# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide about first packets as nftables and firewalld do, from nothing but the text they are given."""

from __future__ import annotations

import ipaddress
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple


class Packet(NamedTuple):
    """A packet as a rule sees it; `other` is where it comes from, or where it goes to."""

    protocol: str
    other: str
    port: int
    interface: str

    @property
    def version(self) -> int:
        return ipaddress.ip_address(self.other).version


def within(address: str, networks: Iterable[str]) -> bool:
    found = ipaddress.ip_address(address)
    return any(found in ipaddress.ip_network(network) for network in networks)


def in_ports(port: int, words: Iterable[str]) -> bool:
    ranges = [word.split("-") for word in words]
    return any(int(part[0]) <= port <= int(part[-1]) for part in ranges)


def named(pattern: str, name: str) -> bool:
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern


# ---- nftables ----------------------------------------------------------------------------------

_WORD = re.compile(r'"[^"]*"|\{[^}]*\}|[^\s{}"]+')


def _items(word: str) -> list[str]:
    return [item.strip() for item in word.strip("{}").split(",")]


class NftTable:
    """A table of nftables."""

    def __init__(self, text: str) -> None:
        self.sets: dict[str, tuple[str, list[str]]] = {}
        self.chains: dict[str, list[str]] = {}
        for name, body in re.findall(r"^    set (\S+) \{\n(.*?)^    \}", text, re.MULTILINE | re.DOTALL):
            elements = re.search(r"elements = \{([^}]*)\}", body)
            kind = re.search(r"type (\S+)", body)
            assert elements
            assert kind
            self.sets[name] = (kind[1], _items(elements[1]))
        for name, body in re.findall(r"^    chain (\S+) \{\n(.*?)^    \}", text, re.MULTILINE | re.DOTALL):
            self.chains[name] = [line.strip() for line in body.splitlines()]

    def accepts(self, packet: Packet, chain: str) -> bool:
        """Tell whether a chain lets a packet pass that belongs to nothing established."""
        head, *rules = self.chains[chain]
        for rule in rules:
            verdict = self._verdict(_WORD.findall(rule), packet)
            if verdict:
                return verdict == "accept"
        policy = re.search(r"policy (\w+);", head)
        assert policy
        return policy[1] == "accept"

    def _verdict(self, words: list[str], packet: Packet) -> str:
        versions = {"ip": 4, "ip6": 6}
        while words:
            word = words.pop(0)
            if word in ("accept", "drop", "reject"):
                return word
            if word in ("icmp", "icmpv6"):
                return ""  # packets here are TCP or UDP
            key = words.pop(0)
            value = words.pop(0) if word != "iifname" and word != "oifname" else key
            if word == "ct":
                return ""  # neither established nor invalid
            if word in ("iifname", "oifname"):
                holds = named(value.strip('"'), packet.interface)
            elif word in versions and key in ("saddr", "daddr"):
                holds = packet.version == versions[word] and self._holds(value, packet, versions[word])
            elif word in versions:
                holds = False  # the number of a protocol, or a hop limit before ICMP
            elif (word, key) == ("meta", "nfproto"):
                holds = packet.version == {"ipv4": 4, "ipv6": 6}[value]
            elif (word, key) == ("meta", "l4proto"):
                holds = False
            elif key == "dport":
                holds = word == packet.protocol and in_ports(packet.port, _items(value))
            else:
                raise AssertionError(f"{word} {key} is not understood")
            if not holds:
                return ""
        return ""

    def _holds(self, value: str, packet: Packet, version: int) -> bool:
        if not value.startswith("@"):
            return within(packet.other, [value])
        kind, elements = self.sets[value[1:]]
        assert kind == {4: "ipv4_addr", 6: "ipv6_addr"}[version]
        return within(packet.other, elements)


# ---- firewalld ---------------------------------------------------------------------------------


class Firewalld:
    """Policies and ipsets of firewalld.

    Args:
        files: by their names below ``/etc/firewalld``.
        zones: interfaces of the active zones; others are in the default zone.

    """

    def __init__(self, files: Mapping[str, str], zones: Mapping[str, Iterable[str]]) -> None:
        parsed = {name: ET.fromstring(text) for name, text in files.items()}  # noqa: S314 - made by us
        self.zones = zones
        self.policies = sorted(
            (root for name, root in parsed.items() if name.startswith("policies/")),
            key=lambda root: int(root.attrib["priority"]),
        )
        self.ipsets: dict[str, tuple[str, list[str]]] = {}
        for name, root in parsed.items():
            if name.startswith("ipsets/"):
                options = {option.attrib["name"]: option.attrib["value"] for option in root.findall("option")}
                entries = [entry.text or "" for entry in root.findall("entry")]
                self.ipsets[name[len("ipsets/") : -len(".xml")]] = (options.get("family", "inet"), entries)

    def accepts(self, packet: Packet, ingress: bool = True) -> bool:
        """Tell whether policies let a packet pass; what they leave to the zones passes."""
        if packet.interface == "lo":
            return True
        zone = next((name for name, held in self.zones.items() if packet.interface in held), "public")
        for policy in self.policies:
            ours, theirs = ("ingress-zone", "egress-zone") if ingress else ("egress-zone", "ingress-zone")
            if [item.attrib["name"] for item in policy.findall(theirs)] != ["HOST"]:
                continue
            if not {item.attrib["name"] for item in policy.findall(ours)} & {zone, "ANY"}:
                continue
            rules = sorted(policy.findall("rule"), key=lambda rule: int(rule.attrib["priority"]))
            for rule in rules:
                if self._matches(rule, packet):
                    return rule.find("accept") is not None
            if policy.attrib["target"] != "CONTINUE":
                return policy.attrib["target"] == "ACCEPT"
        return True

    def _matches(self, rule: ET.Element, packet: Packet) -> bool:
        if rule.attrib.get("family") not in (None, f"ipv{packet.version}"):
            return False
        tests: dict[str, Callable[[ET.Element], bool]] = {
            "source": lambda item: self._is_other(item, packet),
            "destination": lambda item: self._is_other(item, packet),
            "port": lambda item: (
                packet.protocol == item.attrib["protocol"] and in_ports(packet.port, [item.attrib["port"]])
            ),
            "icmp-type": lambda _item: False,
            "protocol": lambda _item: False,
            "accept": lambda _item: True,
            "drop": lambda _item: True,
        }
        return all(tests[item.tag](item) for item in rule)

    def _is_other(self, item: ET.Element, packet: Packet) -> bool:
        if "address" in item.attrib:
            return within(packet.other, [item.attrib["address"]])
        family, entries = self.ipsets[item.attrib["ipset"]]
        assert family == {4: "inet", 6: "inet6"}[packet.version]
        return within(packet.other, entries)
