# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of a host as files for firewalld 1.0 and later: policies and ipsets of our own, nobody's zones.

firewalld itself accepts established connections and loopback before any policy is asked. What differs from the table
for nftables:

- Multicast listener reports have no name before firewalld 2, so all ICMPv6 from link-local addresses is accepted.
- A rule cannot name an interface. Trusted interfaces have to lie in zones that hold nothing else; policies of those
  zones come before ours.
- What no rule of ours accepts or drops is left to the zones, unless default deny is enforced.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple
from xml.sax.saxutils import quoteattr

from ansible_collections.atlassian_dc.hardening.plugins.module_utils._firewall_nft import by_version, set_name
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._firewall_rules import (
    MADE_BY,
    TRUSTED,
    Rule,
    RulesError,
    RuleSet,
    show_ports,
    trusts,
)

# Names of policies have 17 characters at most before firewalld 2, those of ipsets 31 (of which ours use 29).
INPUT, OUTPUT = "atlassian-dc-in", "atlassian-dc-out"
ZONES_INPUT, ZONES_OUTPUT = "atlassian-dc-zin", "atlassian-dc-zout"
POLICIES = (INPUT, OUTPUT, ZONES_INPUT, ZONES_OUTPUT)
IPSET_PREFIX = "atlassian-dc-"

# Before the policies of others, firewalld's own for IPv6 among them (-15000).
_PRIORITY = -30000
_ACCEPT, _DROP = -1, 1
_FAMILIES = {4: "ipv4", 6: "ipv6"}
_ICMP = ("destination-unreachable", "echo-request", "time-exceeded", "parameter-problem")
_ICMPV6 = (
    *("packet-too-big", "echo-reply"),
    *("neighbour-advertisement", "neighbour-solicitation", "router-advertisement", "router-solicitation"),
)
_IGMP, _ICMP_NUMBER, _ICMPV6_NUMBER = "2", "1", "58"

Element = tuple[str, tuple[tuple[str, str], ...]]
"""Name of an element and its attributes."""


class Zone(NamedTuple):
    """What an active zone holds."""

    interfaces: tuple[str, ...]
    sources: tuple[str, ...] = ()


@dataclass(frozen=True)
class _RichRule:
    """A rule of a policy."""

    elements: tuple[Element, ...]
    action: str
    priority: int = _ACCEPT
    family: str | None = None

    def _attributes(self) -> tuple[tuple[str, str], ...]:
        return (("priority", str(self.priority)), *((("family", self.family),) if self.family else ()))

    def text(self) -> str:
        """Return it in firewalld's language of rich rules, as ``firewall-cmd`` prints it."""
        words = [
            f"{name} {' '.join(f'{key}={quoteattr(value)}' for key, value in pairs)}" for name, pairs in self._all()
        ]
        return " ".join([*words, self.action])

    def xml(self) -> str:
        """Return it as part of a policy's file."""
        inner = "".join(f"    {_element(name, pairs)}\n" for name, pairs in self.elements)
        return f"  {_element('rule', self._attributes(), closed=False)}\n{inner}    <{self.action}/>\n  </rule>\n"

    def _all(self) -> Iterable[Element]:
        yield "rule", self._attributes()
        yield from self.elements


@dataclass(frozen=True)
class _Policy:
    priority: int
    target: str
    ingress: tuple[str, ...]
    egress: tuple[str, ...]
    rules: tuple[_RichRule, ...] = ()

    def xml(self) -> str:
        zones = [("ingress-zone", name) for name in self.ingress] + [("egress-zone", name) for name in self.egress]
        start = _element("policy", (("priority", str(self.priority)), ("target", self.target)), closed=False)
        inner = f"  <description>{MADE_BY}</description>\n"
        inner += "".join(f"  {_element(name, (('name', value),))}\n" for name, value in zones)
        inner += "".join(rule.xml() for rule in self.rules)
        return f"{_HEAD}{start}\n{inner}</policy>\n"

    def lines(self) -> list[str]:
        return sorted(
            [
                "active",
                f"priority: {self.priority}",
                f"target: {self.target}",
                f"ingress-zones: {' '.join(sorted(self.ingress))}",
                f"egress-zones: {' '.join(sorted(self.egress))}",
                *(rule.text() for rule in self.rules),
            ]
        )


@dataclass(frozen=True)
class _IpSet:
    version: int
    entries: tuple[str, ...]

    def xml(self) -> str:
        option = "" if self.version == 4 else "  " + _element("option", (("name", "family"), ("value", "inet6"))) + "\n"
        entries = "".join(f"  <entry>{entry}</entry>\n" for entry in self.entries)
        description = f"  <description>{MADE_BY}</description>\n"
        return f'{_HEAD}<ipset type="hash:net">\n{description}{option}{entries}</ipset>\n'

    def lines(self) -> list[str]:
        family = [] if self.version == 4 else ["options: family=inet6"]
        return sorted(["type: hash:net", *family, *(f"entry: {entry}" for entry in self.entries)])


_HEAD = '<?xml version="1.0" encoding="utf-8"?>\n'


def render_firewalld(rule_set: RuleSet, zones: Mapping[str, Zone] | None = None) -> dict[str, str]:
    """Return the files of the rules, by their names below ``/etc/firewalld``.

    Args:
        rule_set: the rules.
        zones: active zones, see `parse_active_zones`; needed for trusted interfaces.

    Raises:
        RulesError: a trusted interface has no zone of its own.

    """
    policies, ipsets = _objects(rule_set, zones or {})
    files = {f"ipsets/{name}.xml": ipset.xml() for name, ipset in ipsets.items()}
    files.update({f"policies/{name}.xml": policy.xml() for name, policy in policies.items()})
    return dict(sorted(files.items()))


def wanted_lines(rule_set: RuleSet, zones: Mapping[str, Zone] | None = None) -> dict[str, list[str]]:
    """Return what `info_lines` returns of each policy and ipset when the rules are in force, by name.

    Raises:
        RulesError: a trusted interface has no zone of its own.

    """
    policies, ipsets = _objects(rule_set, zones or {})
    return {
        **{name: policy.lines() for name, policy in policies.items()},
        **{name: ipset.lines() for name, ipset in ipsets.items()},
    }


def info_lines(text: str) -> list[str]:
    """Return what ``firewall-cmd --info-policy`` or ``--info-ipset`` says, one fact a line, sorted.

    What is empty or off is left out; everything else is kept, so that whatever somebody added shows.
    """
    lines = []
    head, *rest = text.splitlines() or [""]
    if head.rstrip().endswith("(active)"):
        lines.append("active")
    for line in rest:
        fact = " ".join(line.split())
        key, _colon, value = fact.partition(": ")
        if key == "entries":
            lines += [f"entry: {entry}" for entry in value.split()]
        elif key in ("ingress-zones", "egress-zones"):
            lines.append(f"{key}: {' '.join(sorted(value.split()))}")
        elif fact and not fact.endswith(":") and fact not in ("masquerade: no", "disable: no"):
            lines.append(fact)
    return sorted(lines)


def parse_active_zones(text: str) -> dict[str, Zone]:
    """Return what ``firewall-cmd --get-active-zones`` says."""
    zones: dict[str, Zone] = {}
    name = ""
    for line in text.splitlines():
        words = line.split()
        if words and not line[0].isspace():
            name = words[0]
            zones[name] = Zone(())
        elif words and name:
            if words[0] == "interfaces:":
                zones[name] = zones[name]._replace(interfaces=tuple(words[1:]))
            elif words[0] == "sources:":
                zones[name] = zones[name]._replace(sources=tuple(words[1:]))
    return zones


def _trusted_zones(names: tuple[str, ...], zones: Mapping[str, Zone]) -> tuple[str, ...]:
    found = set()
    for name in names:
        holding = [zone for zone in zones if any(trusts((name,), interface) for interface in zones[zone].interfaces)]
        if not holding:
            raise RulesError(f"{TRUSTED}: firewalld trusts zones, and {name!r} is in none; put it in a zone of its own")
        for zone in holding:
            others = [interface for interface in zones[zone].interfaces if not trusts(names, interface)]
            others += zones[zone].sources
            if others:
                raise RulesError(
                    f"{TRUSTED}: firewalld trusts zones, and {name!r} is in {zone} together with"
                    f" {', '.join(sorted(others))}; put it in a zone of its own"
                )
        found.update(holding)
    return tuple(sorted(found))


def _objects(rule_set: RuleSet, zones: Mapping[str, Zone]) -> tuple[dict[str, _Policy], dict[str, _IpSet]]:
    trusted = _trusted_zones(rule_set.trusted_interfaces, zones)
    target = "DROP" if rule_set.default_deny else "CONTINUE"
    policies = {INPUT: _Policy(_PRIORITY, target, ("ANY",), ("HOST",), _unique(_input(rule_set)))}
    if trusted:
        policies[ZONES_INPUT] = _Policy(_PRIORITY - 1, "ACCEPT", trusted, ("HOST",))
    if rule_set.outbound is not None:
        policies[OUTPUT] = _Policy(_PRIORITY, "REJECT", ("HOST",), ("ANY",), _unique(_output(rule_set.outbound)))
        if trusted:
            policies[ZONES_OUTPUT] = _Policy(_PRIORITY - 1, "ACCEPT", ("HOST",), trusted)
    ipsets = {
        IPSET_PREFIX + set_name(rule, version): _IpSet(version, tuple(networks))
        for rule in rule_set.rules + (rule_set.outbound or ())
        for version, networks in by_version(rule.sources).items()
    }
    return policies, ipsets


def _unique(rules: Iterable[_RichRule]) -> tuple[_RichRule, ...]:
    """Return rules without those that are the same but for the names of ours, which firewalld does not know."""
    return tuple(dict.fromkeys(rules))


def _input(rule_set: RuleSet) -> Iterable[_RichRule]:
    if rule_set.default_deny:
        yield from (_RichRule((_named("icmp-type", name),), "accept") for name in _ICMP)
        yield from (_RichRule((_named("icmp-type", name),), "accept", family="ipv6") for name in _ICMPV6)
        yield _RichRule((_protocol(_IGMP),), "accept", family="ipv4")
        link_local = ("source", (("address", "fe80::/10"),))
        yield _RichRule((link_local, _protocol(_ICMPV6_NUMBER)), "accept", family="ipv6")
        yield _RichRule((_port("68", "udp"),), "accept", family="ipv4")
        yield _RichRule((link_local, _port("546", "udp")), "accept", family="ipv6")
    for rule in rule_set.rules:
        yield from _accept(rule, "source")
    for guarded in rule_set.guarded:
        for ports in show_ports(guarded.ports):
            yield _RichRule((_port(ports, guarded.protocol),), "drop", _DROP)


def _output(outbound: Iterable[Rule]) -> Iterable[_RichRule]:
    yield _RichRule((_protocol(_ICMP_NUMBER),), "accept", family="ipv4")
    yield _RichRule((_protocol(_IGMP),), "accept", family="ipv4")
    yield _RichRule((_protocol(_ICMPV6_NUMBER),), "accept", family="ipv6")
    yield _RichRule((_port("67", "udp"),), "accept", family="ipv4")
    yield _RichRule((_port("547", "udp"),), "accept", family="ipv6")
    for rule in outbound:
        yield from _accept(rule, "destination")


def _accept(rule: Rule, side: str) -> Iterable[_RichRule]:
    for ports in show_ports(rule.ports):
        port = _port(ports, rule.protocol)
        if rule.sources is None:
            yield _RichRule((port,), "accept")
        for version in by_version(rule.sources):
            ipset = (side, (("ipset", IPSET_PREFIX + set_name(rule, version)),))
            yield _RichRule((ipset, port), "accept", family=_FAMILIES[version])


def _port(ports: str, protocol: str) -> Element:
    return "port", (("port", ports), ("protocol", protocol))


def _protocol(number: str) -> Element:
    # By number: the file that holds the names of protocols may be missing.
    return "protocol", (("value", number),)


def _named(element: str, name: str) -> Element:
    return element, (("name", name),)


def _element(name: str, attributes: Iterable[tuple[str, str]], closed: bool = True) -> str:
    words = " ".join([name, *(f"{key}={quoteattr(value)}" for key, value in attributes)])
    return f"<{words}{'/' if closed else ''}>"
