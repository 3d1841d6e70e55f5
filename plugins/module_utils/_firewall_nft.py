# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of a host as text for nftables: a table of our own, replaced in one transaction.

There are no counters, so that the kernel lists the same rules in the same way each time. Interfaces are matched by
name, which need not exist; nothing asks where a source would be routed to, for hosts with several ways out.
"""

from __future__ import annotations

import ipaddress
import textwrap
from collections.abc import Iterable

from ansible_collections.atlassian_dc.hardening.plugins.module_utils._firewall_rules import (
    MADE_BY,
    Guarded,
    Rule,
    RuleSet,
    Sources,
    show_ports,
)

TABLE = "atlassian-dc-firewall"
FAMILY = "inet"

MAX_COMMENT = 128
"""Most bytes of a comment."""

# Types by number where old versions of nft have no name for them: certification paths (148, 149), discovery of
# multicast routers (151 to 153). Redirects are left out, as RFC 4890 leaves them to whoever needs them.
ICMP = "destination-unreachable, echo-request, time-exceeded, parameter-problem"
ICMPV6 = "destination-unreachable, packet-too-big, time-exceeded, parameter-problem, echo-request, echo-reply"
NEIGHBOURS = (
    "nd-router-solicit, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert, "
    "ind-neighbor-solicit, ind-neighbor-advert, 148, 149"
)
MULTICAST = "mld-listener-query, mld-listener-report, mld-listener-done, mld2-listener-report, 151, 152, 153"

# Protocols by number: the file that holds their names may be missing.
_IGMP = "ip protocol 2"
_NEEDED = (
    f"icmp type {{ {ICMP} }} accept",
    f'{_IGMP} accept comment "multicast groups of IPv4"',
    f"icmpv6 type {{ {ICMPV6} }} accept",
    # From a neighbour only: a router would have lowered it.
    f'ip6 hoplimit 255 icmpv6 type {{ {NEIGHBOURS} }} accept comment "neighbours and routers of IPv6"',
    f'ip6 saddr fe80::/10 icmpv6 type {{ {MULTICAST} }} accept comment "multicast groups of IPv6"',
    'meta nfproto ipv4 udp dport 68 accept comment "answers to the DHCP client"',
    'ip6 saddr fe80::/10 udp dport 546 accept comment "answers to the DHCP client"',
)
_NEEDED_OUT = (
    "meta l4proto { 1, 58 } accept",
    f"{_IGMP} accept",
    'meta nfproto ipv4 udp dport 67 accept comment "DHCP client"',
    'meta nfproto ipv6 udp dport 547 accept comment "DHCP client"',
)
_FAMILIES = ((4, "ip", "ipv4_addr"), (6, "ip6", "ipv6_addr"))


def render_nft(rule_set: RuleSet) -> str:
    """Return what ``nft -f`` takes to replace the table as a whole, whether there is one or not."""
    parts = [*_sets(rule_set), _chain("input", _input(rule_set), "drop" if rule_set.default_deny else "accept")]
    if rule_set.outbound is not None:
        parts.append(_chain("output", _output(rule_set, rule_set.outbound), "drop"))
    body = "\n\n".join(parts)
    table = f"table {FAMILY} {TABLE}"
    return f"# {MADE_BY}\nadd {table}\ndelete {table}\n{table} {{\n{body}\n}}\n"


def comment(text: str) -> str:
    """Return a comment for a rule; the names in it are chosen by others."""
    safe = "".join(char if char.isprintable() else "?" for char in text).replace('"', "'").replace("\\", "/")
    return f'comment "{safe.encode()[:MAX_COMMENT].decode(errors="ignore")}"'


def set_name(rule: Rule, version: int) -> str:
    """Return the name of the set of a rule's sources."""
    return f"{rule.source_set}-v{version}"


def by_version(sources: Sources) -> dict[int, list[str]]:
    """Return the networks of each version of IP that has some."""
    found: dict[int, list[str]] = {}
    for source in sources or ():
        found.setdefault(ipaddress.ip_network(source).version, []).append(source)
    return found


def _sets(rule_set: RuleSet) -> list[str]:
    sets = {}
    for rule in rule_set.rules + (rule_set.outbound or ()):
        networks = by_version(rule.sources)
        for version, _word, kind in _FAMILIES:
            if version in networks:
                elements = textwrap.fill(
                    ", ".join(networks[version]), 110, break_long_words=False, break_on_hyphens=False
                )
                sets[set_name(rule, version)] = (
                    f"type {kind}\nflags interval\nelements = {{\n{textwrap.indent(elements, '    ')}\n}}"
                )
    return [_block(f"set {name}", sets[name]) for name in sorted(sets)]


def _chain(hook: str, rules: Iterable[str], policy: str) -> str:
    first = f"type filter hook {hook} priority filter; policy {policy};"
    return _block(f"chain {hook}", "\n".join([first, *rules]))


def _block(head: str, body: str) -> str:
    return textwrap.indent(f"{head} {{\n{textwrap.indent(body, '    ')}\n}}", "    ")


def _input(rule_set: RuleSet) -> Iterable[str]:
    yield "ct state established,related accept"
    yield 'iifname "lo" accept'
    for name in rule_set.trusted_interfaces:
        yield f'iifname "{name}" accept {comment("trusted interface")}'
    if rule_set.default_deny:
        yield "ct state invalid drop"
        yield from _NEEDED
    for rule in rule_set.rules:
        yield from _accept(rule, "saddr")
    for guarded in rule_set.guarded:
        yield f"{_ports(guarded)} drop {comment(f'{guarded.control}: nobody else')}"


def _output(rule_set: RuleSet, outbound: Iterable[Rule]) -> Iterable[str]:
    yield "ct state established,related accept"
    yield 'oifname "lo" accept'
    for name in rule_set.trusted_interfaces:
        yield f'oifname "{name}" accept {comment("trusted interface")}'
    yield from _NEEDED_OUT
    for rule in outbound:
        yield from _accept(rule, "daddr")
    # Told at once, local programs need not wait until they give up.
    yield "reject"


def _accept(rule: Rule, side: str) -> Iterable[str]:
    what = f"{_ports(rule)} accept {comment(rule.name)}"
    if rule.sources is None:
        yield what
    networks = by_version(rule.sources)
    for version, word, _kind in _FAMILIES:
        if version in networks:
            yield f"{word} {side} @{set_name(rule, version)} {what}"


def _ports(rule: Rule | Guarded) -> str:
    words = show_ports(rule.ports)
    return f"{rule.protocol} dport {words[0] if len(words) == 1 else '{ ' + ', '.join(words) + ' }'}"
