# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may reach which port of a host: made from product data and variables, before any firewall is asked.

What the rules mean, in this order; whatever renders them has to mean the same:

1. What belongs to an established connection, what the host sends to itself, and what comes in over a trusted interface
   is accepted.
2. With default deny, so are ICMP and ICMPv6 as hosts need them (RFC 4890), and the answers to a DHCP client.
3. Whatever one of the rules accepts is accepted.
4. Guarded ports are dropped for everybody else.
5. With default deny everything else is dropped, without it left to others.

So the order of rules never matters: a declared service opens a guarded port as well, which `build` notes. Under default
deny the ports of the products are accepted from whom product data names, whichever controls are enforced besides: a
run that was told to look at fewer controls never opens anything. Whoever waives DC-NET-02 declares who else comes.

A reverse proxy on the host itself is not guessed: no rule opens 80 and 443 until they are declared as a service. A run
that would close them while something listens there is refused by the guard, which says what to declare.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from bisect import bisect_right
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import groupby
from typing import Any, NamedTuple, Union

Network = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]
Address = Union[ipaddress.IPv4Address, ipaddress.IPv6Address]
Ports = tuple[tuple[int, int], ...]
Sources = Union[tuple[str, ...], None]
"""Canonical networks, an address for a network of one; None for anybody."""

DEFAULT_DENY, APPLICATION, CLUSTER, SSH = "DC-NET-01", "DC-NET-02", "DC-NET-03", "DC-NET-04"
CONTROLS = (DEFAULT_DENY, APPLICATION, CLUSTER, SSH)
"""The controls that rules enforce."""

ANY = "any"
GROUPS = {
    "admin": "atlassian_dc_admin_networks",
    "proxies": "atlassian_dc_proxy_addresses",
    "peers": "atlassian_dc_cluster_peers",
    "agents": "atlassian_dc_firewall_agents",
    "users": "atlassian_dc_firewall_users",
}
"""Words for groups of addresses, and the variables that hold them."""

SERVICES = "atlassian_dc_firewall_services"
TRUSTED = "atlassian_dc_firewall_trusted_interfaces"
OUTBOUND = "atlassian_dc_firewall_outbound"

MADE_BY = "Made by role firewall of atlassian_dc.hardening from its variables; what is changed here is undone."
"""Said in the files that rules are rendered to."""

PROTOCOLS = ("tcp", "udp")
MAX_NETWORKS = 65536
"""Most networks of one list: what a set of firewalld holds."""
MAX_NAME = 200
SHOWN_SOURCES = 4
"""How many networks of a rule are named where people read it."""

_GROUP_OF: dict[str, tuple[str, str | None]] = {
    "proxy": ("proxies", APPLICATION),
    "peers": ("peers", CLUSTER),
    "agents": ("agents", CLUSTER),
    "users": ("users", None),
}
"""For each ``from`` of product data that others may reach: their group, and the control that keeps the rest away."""

_NUMBER = r"(?:0|[1-9][0-9]*)"
_NETWORK = re.compile(rf"[0-9A-Fa-f:.]+(?:/{_NUMBER})?")
_PORTS = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")
_INTERFACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:@-]{0,14}|(?=.{2,15}$)[A-Za-z0-9][A-Za-z0-9_.:@-]*\*")
_LABEL = r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)"
_HOST_NAME = re.compile(rf"(?!.{{254}})(?:{_LABEL}\.)*(?=[^.]*[A-Za-z]){_LABEL}\.?")
_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")
_LINK_LOCAL = ipaddress.IPv6Network("fe80::/10")
_FORMAT = 1


class RulesError(Exception):
    """Something said of the firewall is wrong; names the variable and the element."""


@dataclass(frozen=True)
class Rule:
    """Ports that are accepted from some sources; of an outbound policy: towards some destinations.

    Attributes:
        name: what it is for.
        protocol: ``tcp`` or ``udp``.
        ports: ranges, sorted and apart from each other.
        sources: canonical networks, None for anybody.
        control: the control whose ports these are, None for those of users and of declared services.
        group: word for the sources where they are one of the groups, else "".

    """

    name: str
    protocol: str
    ports: Ports
    sources: Sources
    control: str | None = None
    group: str = ""

    @property
    def source_set(self) -> str:
        """Name for the set of the sources, the same for the same sources; 13 characters at most."""
        digest = hashlib.sha256(" ".join(self.sources or ()).encode()).hexdigest()
        return self.group or f"from-{digest[:8]}"

    def matches(self, protocol: str, address: Address, port: int) -> bool:
        """Whether it accepts a packet."""
        return (
            protocol == self.protocol
            and in_ranges(port, self.ports)
            and (self.sources is None or in_networks(address, self.sources))
        )


class Guarded(NamedTuple):
    """Ports that are dropped for everybody no rule accepts, and the control that wants it."""

    protocol: str
    ports: Ports
    control: str


@dataclass(frozen=True)
class RuleSet:
    """All rules of a host; the module's description says what they mean.

    Attributes:
        rules: what is accepted.
        guarded: what is dropped for everybody else.
        default_deny: whether everything else is dropped.
        trusted_interfaces: from which everything is accepted, and towards which with an outbound policy.
        outbound: what the host may connect to; None for no outbound policy.

    """

    rules: tuple[Rule, ...] = ()
    guarded: tuple[Guarded, ...] = ()
    default_deny: bool = False
    trusted_interfaces: tuple[str, ...] = ()
    outbound: tuple[Rule, ...] | None = None

    @property
    def controls(self) -> list[str]:
        """The controls that it enforces."""
        guards = {guarded.control for guarded in self.guarded}
        return [control for control in CONTROLS if control in guards or (control == DEFAULT_DENY and self.default_deny)]

    def allows(self, protocol: str, source: str, port: int, interface: str | None = None) -> bool:
        """Tell whether a new connection, or a first packet, from elsewhere is accepted.

        Args:
            protocol: ``tcp`` or ``udp``.
            source: address it comes from.
            port: port it goes to.
            interface: interface it comes in by, None where that is not known.

        Raises:
            ValueError: the source is no address.

        """
        address = _plain(ipaddress.ip_address(source.partition("%")[0]))
        if address.is_loopback or trusts(self.trusted_interfaces, interface):
            return True
        if self.default_deny and protocol == "udp" and _answers_dhcp(address, port):
            return True
        if any(rule.matches(protocol, address, port) for rule in self.rules):
            return True
        if self.default_deny:
            return False
        return not any(protocol == guarded.protocol and in_ranges(port, guarded.ports) for guarded in self.guarded)

    def allows_out(self, protocol: str, destination: str, port: int, interface: str | None = None) -> bool:
        """Tell whether the host may connect to somewhere.

        Args:
            protocol: ``tcp`` or ``udp``.
            destination: address it connects to.
            port: port there.
            interface: interface it goes out by, None where that is not known.

        Raises:
            ValueError: the destination is no address.

        """
        address = _plain(ipaddress.ip_address(destination.partition("%")[0]))
        if self.outbound is None or address.is_loopback or trusts(self.trusted_interfaces, interface):
            return True
        if protocol == "udp" and port == (67 if address.version == 4 else 547):
            return True  # the DHCP client
        return any(rule.matches(protocol, address, port) for rule in self.outbound)

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON can hold it."""
        return {
            "format": _FORMAT,
            "default_deny": self.default_deny,
            "trusted_interfaces": list(self.trusted_interfaces),
            "rules": [_rule_as_dict(rule) for rule in self.rules],
            "guarded": [
                {"protocol": guarded.protocol, "ports": show_ports(guarded.ports), "control": guarded.control}
                for guarded in self.guarded
            ],
            "outbound": None if self.outbound is None else [_rule_as_dict(rule) for rule in self.outbound],
        }

    @classmethod
    def from_dict(cls, data: Any, where: str = "rules") -> RuleSet:
        """Return what `as_dict` returned once.

        Args:
            data: as a file has it, perhaps edited by hand.
            where: what to call it in errors.

        Raises:
            RulesError: it is not what `as_dict` returns.

        """
        keys = ("format", "default_deny", "trusted_interfaces", "rules", "guarded", "outbound")
        data = _mapping(data, where, keys)
        if isinstance(data["format"], bool) or not isinstance(data["format"], int) or data["format"] != _FORMAT:
            raise RulesError(f"{where}.format: {data['format']!r} is not {_FORMAT}")
        if not isinstance(data["default_deny"], bool):
            raise RulesError(f"{where}.default_deny: {data['default_deny']!r} is neither true nor false")
        outbound = data["outbound"]
        rule_set = cls(
            _rules_from(data["rules"], f"{where}.rules", multicast=False),
            _sorted_guarded(_guarded_from(data["guarded"], f"{where}.guarded")),
            data["default_deny"],
            parse_interfaces(data["trusted_interfaces"], f"{where}.trusted_interfaces"),
            None if outbound is None else _rules_from(outbound, f"{where}.outbound", multicast=True),
        )
        groups: dict[str, Sources] = {}
        for rule in rule_set.rules + (rule_set.outbound or ()):
            if rule.group and groups.setdefault(rule.group, rule.sources) != rule.sources:
                raise RulesError(f"{where}: rules of group {rule.group!r} differ in their sources")
        return rule_set


class Missing(NamedTuple):
    """A variable that is not set and that a rule needs."""

    variable: str
    control: str
    why: str


class Note(NamedTuple):
    """Something to know of the rules; the control it is about, None for the outbound policy and users' services."""

    control: str | None
    text: str


@dataclass(frozen=True)
class Wanted:
    """What `build` makes.

    Attributes:
        rule_set: the rules; None where something is missing, or where there is nothing to enforce.
        missing: why there are none.
        notes: what somebody should know of the rules, or of what has none.

    """

    rule_set: RuleSet | None
    missing: tuple[Missing, ...] = ()
    notes: tuple[Note, ...] = ()


# ---- input ---------------------------------------------------------------------------------------------


def is_host_name(text: str) -> bool:
    """Whether it may be the name of a host; what looks like an address is none."""
    return bool(_HOST_NAME.fullmatch(text))


def parse_networks(values: Any, where: str, multicast: bool = False) -> Sources:
    """Return canonical networks, IPv4 first, overlapping ones joined; None when one of them is ``any``.

    Args:
        values: addresses and networks.
        where: variable they are from, for errors.
        multicast: whether groups of multicast may be among them.

    Raises:
        RulesError: one of them is none; names it.

    """
    if not isinstance(values, (list, tuple)):
        raise RulesError(f"{where}: {values!r} is no list")
    if len(values) > MAX_NETWORKS:
        raise RulesError(f"{where}: more than {MAX_NETWORKS} networks")
    networks = [_network(value, f"{where}[{number}]", multicast) for number, value in enumerate(values) if value != ANY]
    if ANY in values:
        return None
    return _canonical(networks, where)


def _network(value: Any, where: str, multicast: bool) -> Network:
    if not isinstance(value, str):
        raise RulesError(f"{where}: {value!r} is no text")
    if "%" in value:
        raise RulesError(f"{where}: {value!r} names an interface; give the address without it")
    if is_host_name(value):
        raise RulesError(f"{where}: {value!r} is a name, not an address; it was not resolved")
    try:
        if not _NETWORK.fullmatch(value):
            raise ValueError(value)
        network: Network = ipaddress.ip_network(value, strict=False)
    except ValueError:
        raise RulesError(f"{where}: {value!r} is no address or network") from None
    if network.network_address != ipaddress.ip_address(value.partition("/")[0]):
        raise RulesError(f"{where}: {value!r} is an address inside a network; the network is {network}")
    if network.version == 6 and network.subnet_of(_MAPPED):
        network = ipaddress.IPv4Network((int(network.network_address) & 0xFFFFFFFF, network.prefixlen - 96))
    if network.prefixlen == 0:
        raise RulesError(f"{where}: {value!r} is everybody; if that is meant, write {ANY}")
    if (network.is_multicast and not multicast) or (network.network_address.is_unspecified and _is_whole(network)):
        raise RulesError(f"{where}: {value!r} is no address of a host")
    return network


def _canonical(networks: Iterable[Network], where: str) -> tuple[str, ...]:
    found: list[str] = []
    by_version: dict[int, list[Any]] = {4: [], 6: []}
    for network in networks:
        by_version[network.version].append(network)
    for family in by_version.values():
        for network in ipaddress.collapse_addresses(family):
            if network.prefixlen == 0:
                raise RulesError(f"{where}: these networks together are everybody; if that is meant, write {ANY}")
            found.append(str(network.network_address if _is_whole(network) else network))
    return tuple(found)


def _is_whole(network: Network) -> bool:
    """Whether a network is but one address."""
    return network.prefixlen == network.max_prefixlen


def parse_ports(values: Any, where: str) -> Ports:
    """Return ranges of ports, sorted, overlapping and adjacent ones joined.

    Args:
        values: numbers and ranges ("8000-8010").
        where: variable they are from, for errors.

    Raises:
        RulesError: one of them is none; names it.

    """
    if not isinstance(values, (list, tuple)):
        raise RulesError(f"{where}: {values!r} is no list")
    if not values:
        raise RulesError(f"{where}: no ports")
    return _join_ports(_port_range(value, f"{where}[{number}]") for number, value in enumerate(values))


def _port_range(value: Any, where: str) -> tuple[int, int]:
    match = _PORTS.fullmatch(str(value)) if isinstance(value, (int, str)) and not isinstance(value, bool) else None
    if not match:
        raise RulesError(f"{where}: {value!r} is no port and no range of ports (first-last)")
    first, last = int(match[1]), int(match[2] or match[1])
    if not 1 <= first <= 65535 or not 1 <= last <= 65535:
        raise RulesError(f"{where}: {value!r} is out of range; ports are 1 to 65535")
    if first > last:
        raise RulesError(f"{where}: {value!r} ends before it begins")
    return first, last


def _join_ports(ranges: Iterable[tuple[int, int]]) -> Ports:
    joined: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(joined[-1][1], last))
        else:
            joined.append((first, last))
    return tuple(joined)


def parse_interfaces(values: Any, where: str = TRUSTED) -> tuple[str, ...]:
    """Return names of interfaces, sorted; one may end in an asterisk.

    Raises:
        RulesError: one of them cannot be a name; names it.

    """
    if not isinstance(values, (list, tuple)):
        raise RulesError(f"{where}: {values!r} is no list")
    for number, value in enumerate(values):
        if not isinstance(value, str) or not _INTERFACE.fullmatch(value):
            raise RulesError(f"{where}[{number}]: {value!r} is no name of an interface")
    return tuple(sorted(set(values)))


class Service(NamedTuple):
    """A flow as somebody declared it; `groups` are the words of it, `networks` None for anybody."""

    name: str
    protocol: str
    ports: Ports
    groups: tuple[str, ...]
    networks: Sources


def parse_services(values: Any, where: str = SERVICES, who: str = "from") -> tuple[Service, ...]:
    """Return declared services, or flows of an outbound policy.

    Args:
        values: list of mappings with ``name``, ``ports``, ``protocol`` (default tcp), and who.
        where: variable they are from, for errors.
        who: key of the sources, or destinations.

    Raises:
        RulesError: something is wrong with one of them; names it.

    """
    if not isinstance(values, (list, tuple)):
        raise RulesError(f"{where}: {values!r} is no list")
    services = []
    for number, value in enumerate(values):
        here = f"{where}[{number}]"
        entry = _mapping(value, here, ("name", "ports", who), ("protocol",))
        if not isinstance(entry["name"], str) or not label(entry["name"]):
            raise RulesError(f"{here}.name: {entry['name']!r} is no name")
        protocol = "tcp" if entry.get("protocol") is None else entry["protocol"]
        _one_of(protocol, PROTOCOLS, f"{here}.protocol")
        ports = parse_ports(entry["ports"], f"{here}.ports")
        named = entry[who]
        if not isinstance(named, (list, tuple)):
            raise RulesError(f"{here}.{who}: {named!r} is no list")
        groups = tuple(sorted({word for word in named if isinstance(word, str) and word in GROUPS}))
        networks = [
            _network(item, f"{here}.{who}[{at}]", multicast=who == "to")
            for at, item in enumerate(named)
            if not _is_word(item)
        ]
        sources = None if ANY in named else _canonical(networks, f"{here}.{who}")
        services.append(Service(label(entry["name"]), protocol, ports, groups, sources))
    return tuple(services)


def _is_word(item: Any) -> bool:
    return isinstance(item, str) and (item == ANY or item in GROUPS)


def label(text: str) -> str:
    """Return a name as it can be shown anywhere: in one line, without what terminals obey, and not too long."""
    return "".join(char if char.isprintable() else "?" for char in " ".join(text.split()))[:MAX_NAME].strip()


def _mapping(value: Any, where: str, required: Collection[str], optional: Collection[str] = ()) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise RulesError(f"{where}: {value!r} is no mapping")
    for key in required:
        if key not in value:
            raise RulesError(f"{where}: {key} is missing")
    for key in value:
        if key not in required and key not in optional:
            raise RulesError(f"{where}: {key!r} is unknown")
    return value


def _one_of(value: Any, words: Sequence[str], where: str) -> str:
    if not isinstance(value, str) or value not in words:
        raise RulesError(f"{where}: {value!r} is not one of {', '.join(words)}")
    return value


# ---- rules of a host -----------------------------------------------------------------------------------


def build(
    *,
    instances: Iterable[Mapping[str, Any]],
    ssh_ports: Iterable[int],
    admin: Sequence[str] | None,
    proxies: Sequence[str] | None,
    peers: Sequence[str] | None,
    agents: Sequence[str] | None,
    users: Sequence[str] | None,
    services: Sequence[Mapping[str, Any]] = (),
    trusted_interfaces: Sequence[str] = (),
    outbound: Sequence[Mapping[str, Any]] | None = None,
    enforced: Collection[str],
) -> Wanted:
    """Return the rules that a host should have.

    Args:
        instances: as module ``product_info`` returns them, each with its ``name`` and ``ports``.
        ssh_ports: ports on which SSH can be reached from elsewhere.
        admin: value of ``atlassian_dc_admin_networks``, None where it is not set; so for the next three.
        proxies: value of ``atlassian_dc_proxy_addresses``.
        peers: value of ``atlassian_dc_cluster_peers``.
        agents: value of ``atlassian_dc_firewall_agents``.
        users: value of ``atlassian_dc_firewall_users``.
        services: value of ``atlassian_dc_firewall_services``, names of hosts resolved.
        trusted_interfaces: value of ``atlassian_dc_firewall_trusted_interfaces``.
        outbound: value of ``atlassian_dc_firewall_outbound``, names of hosts resolved; None where it is not set.
        enforced: which controls the rules have to enforce.

    Raises:
        RulesError: a variable has a value that is wrong, whether a rule needs it or not.

    """
    given = {"admin": admin, "proxies": proxies, "peers": peers, "agents": agents, "users": users}
    groups = {
        group: None if given[group] is None else _Group(parse_networks(given[group], variable))
        for group, variable in GROUPS.items()
    }
    builder = _Builder(groups, frozenset(enforced) & frozenset(CONTROLS))
    declared = parse_services(services)
    declared_outbound = None if outbound is None else parse_services(outbound, OUTBOUND, "to")
    interfaces = parse_interfaces(trusted_interfaces)
    if not builder.enforced:
        return Wanted(None)
    builder.add_ssh(ssh_ports)
    for instance in instances:
        builder.add_instance(instance)
    for service in declared:
        builder.add_service(service)
    allowed_out = None if declared_outbound is None else builder.outbound(declared_outbound)
    notes = tuple(sorted(set(builder.notes), key=lambda note: (note.control or "", note.text)))
    missing = tuple(
        Missing(variable, control, "; ".join(dict.fromkeys(why)))
        for (variable, control), why in sorted(builder.missing.items())
    )
    if missing:
        return Wanted(None, missing, notes)
    rule_set = RuleSet(
        _sorted_rules(builder.rules),
        _sorted_guarded(builder.guarded),
        DEFAULT_DENY in builder.enforced,
        interfaces,
        allowed_out,
    )
    return Wanted(rule_set, (), notes + _opened(rule_set))


class _Group(NamedTuple):
    """The addresses of a group that somebody set."""

    sources: Sources


@dataclass
class _Builder:
    """Collects the rules of a host."""

    groups: Mapping[str, _Group | None]
    enforced: frozenset[str]
    rules: list[Rule] = field(default_factory=list)
    guarded: list[Guarded] = field(default_factory=list)
    missing: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)

    @property
    def default_deny(self) -> bool:
        return DEFAULT_DENY in self.enforced

    def add_ssh(self, ports: Iterable[int]) -> None:
        """Accept SSH from the admin networks."""
        found = _join_ports(_port_range(port, "ports of SSH") for port in ports)
        if found:
            self._add_port("SSH", "tcp", found, "admin", SSH)

    def add_instance(self, instance: Mapping[str, Any]) -> None:
        """Accept the ports of a product from those who need them."""
        name = label(str(instance["name"]))
        if instance.get("ports") is None:
            self.notes.append(Note(None, f"{name}: nobody knows its ports; no rule is made for it"))
        for port in instance.get("ports") or ():
            group, control = _GROUP_OF.get(port["from"], (None, None))
            if group is None or port.get("open") is False:
                continue
            what = label(f"{name} {port['name']}")
            if port["port"] is None:
                reason = label(str(port.get("note") or "")) or "nobody knows which port it is"
                self.notes.append(Note(control, f"{what}: {reason}"))
                continue
            ports = (_port_range(port["port"], f"ports of {name}"),)
            protocol = _one_of(port["protocol"], PROTOCOLS, f"ports of {name}")
            self._add_port(what, protocol, ports, group, control, _is_loopback(port.get("address")))

    def _add_port(
        self, name: str, protocol: str, ports: Ports, group: str, control: str | None, loopback: bool = False
    ) -> None:
        guard = control if control in self.enforced else None
        if guard:
            self.guarded.append(Guarded(protocol, ports, guard))
        elif not self.default_deny:
            return
        if loopback:
            return  # nobody else reaches it, so nobody has to be known
        known = self.groups[group]
        if known is None:
            self._miss(group, guard or DEFAULT_DENY, f"who may reach {name} ({_what(protocol, ports)}) is not known")
        else:
            self.rules.append(Rule(name, protocol, ports, known.sources, control, group))

    def add_service(self, service: Service) -> None:
        """Accept a declared service."""
        rule = self._declared(service)
        if rule:
            self.rules.append(rule)

    def outbound(self, services: Iterable[Service]) -> tuple[Rule, ...]:
        """Return the rules of an outbound policy."""
        return _sorted_rules(rule for rule in map(self._declared, services) if rule)

    def _declared(self, service: Service) -> Rule | None:
        parts = [service.networks]
        for group in service.groups:
            known = self.groups[group]
            if known is None:
                control = DEFAULT_DENY if self.default_deny else min(self.enforced)
                self._miss(group, control, f"{service.name} is declared for {group}")
            else:
                parts.append(known.sources)
        if len(parts) <= len(service.groups):
            return None
        sources: Sources = None
        if None not in parts:
            sources = _canonical((ipaddress.ip_network(network) for part in parts for network in part or ()), SERVICES)
        group = service.groups[0] if len(service.groups) == 1 and service.networks == () else ""
        return Rule(service.name, service.protocol, service.ports, sources, None, group)

    def _miss(self, group: str, control: str, why: str) -> None:
        self.missing.setdefault((GROUPS[group], control), []).append(why)


def _is_loopback(address: str | None) -> bool:
    if address is None:
        return False
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


def _opened(rule_set: RuleSet) -> tuple[Note, ...]:
    """Return which rules leave guarded ports open to more than the control wants."""
    return tuple(
        Note(guarded.control, f"open to more than it wants: {_rule_line('accept', 'from', rule, False).text}")
        for guarded in rule_set.guarded
        for rule in rule_set.rules
        if rule.protocol == guarded.protocol
        and (rule.control is None or rule.sources is None)
        and any(first <= end and begin <= last for first, last in guarded.ports for begin, end in rule.ports)
    )


def _sorted_rules(rules: Iterable[Rule]) -> tuple[Rule, ...]:
    """Return rules in their one order, those that differ in name only joined, those that accept nothing left out."""

    def what(rule: Rule) -> Any:
        sources = ("",) if rule.sources is None else (" ", *rule.sources)
        return (rule.control or "~", rule.protocol, rule.ports, rule.group, sources)

    joined = []
    for _key, same in groupby(sorted(rules, key=what), what):
        alike = list(same)
        if alike[0].sources != ():
            joined.append(replace(alike[0], name=label(", ".join(sorted({rule.name for rule in alike})))))
    return tuple(joined)


def _sorted_guarded(guarded: Iterable[Guarded]) -> tuple[Guarded, ...]:
    ports: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for item in guarded:
        ports.setdefault((item.control, item.protocol), []).extend(item.ports)
    return tuple(Guarded(protocol, _join_ports(found), control) for (control, protocol), found in sorted(ports.items()))


# ---- files ---------------------------------------------------------------------------------------------


def _rule_as_dict(rule: Rule) -> dict[str, Any]:
    return {
        "name": rule.name,
        "protocol": rule.protocol,
        "ports": show_ports(rule.ports),
        "sources": None if rule.sources is None else list(rule.sources),
        "control": rule.control,
        "group": rule.group,
    }


def _rules_from(values: Any, where: str, multicast: bool) -> tuple[Rule, ...]:
    if not isinstance(values, list):
        raise RulesError(f"{where}: {values!r} is no list")
    rules = []
    for number, value in enumerate(values):
        here = f"{where}[{number}]"
        entry = _mapping(value, here, ("name", "protocol", "ports", "sources", "control", "group"))
        name, sources = entry["name"], entry["sources"]
        if not isinstance(name, str) or not name or name != label(name):
            raise RulesError(f"{here}.name: {name!r} is no name")
        if entry["control"] is not None:
            _one_of(entry["control"], CONTROLS[1:], f"{here}.control")
        _one_of(entry["group"], ("", *GROUPS), f"{here}.group")
        parsed = None if sources is None else parse_networks(sources, f"{here}.sources", multicast)
        if parsed == () or (parsed is None and sources is not None):
            raise RulesError(f"{here}.sources: {sources!r} is no list of networks")
        rules.append(
            Rule(
                name,
                _one_of(entry["protocol"], PROTOCOLS, f"{here}.protocol"),
                parse_ports(entry["ports"], f"{here}.ports"),
                parsed,
                entry["control"],
                entry["group"],
            )
        )
    return _sorted_rules(rules)


def _guarded_from(values: Any, where: str) -> Iterable[Guarded]:
    if not isinstance(values, list):
        raise RulesError(f"{where}: {values!r} is no list")
    for number, value in enumerate(values):
        here = f"{where}[{number}]"
        entry = _mapping(value, here, ("protocol", "ports", "control"))
        yield Guarded(
            _one_of(entry["protocol"], PROTOCOLS, f"{here}.protocol"),
            parse_ports(entry["ports"], f"{here}.ports"),
            _one_of(entry["control"], CONTROLS[1:], f"{here}.control"),
        )


# ---- for people ----------------------------------------------------------------------------------------


def show_ports(ports: Ports) -> list[str]:
    """Return ranges of ports as `parse_ports` reads them."""
    return [str(first) if first == last else f"{first}-{last}" for first, last in ports]


class _Line(NamedTuple):
    """A line of a description; `head` is all of it but the sources, which are None where it has none to list."""

    head: str
    text: str
    sources: Sources = None


def describe(rule_set: RuleSet) -> list[str]:
    """Return the rules as people read them, one a line in the order of their meaning; long lists are cut short."""
    return [line.text for line in _lines(rule_set, all_sources=False)]


def diff(before: RuleSet | None, after: RuleSet | None) -> list[str]:
    """Return what differs, one a line: ``-`` goes, ``+`` comes, ``~`` stays, for other sources."""
    old, new = ([] if item is None else list(_lines(item, all_sources=True)) for item in (before, after))
    old_texts, new_texts = ({line.text for line in lines} for lines in (old, new))
    goes = [line for line in old if line.text not in new_texts]
    comes = [line for line in new if line.text not in old_texts]
    changes = []
    for line in goes:
        # Rules of the same name, ports and group on one side cannot be told apart: they go and come as a whole.
        same_old = [item for item in goes if item.head == line.head]
        same_new = [item for item in comes if item.head == line.head]
        if len(same_old) == len(same_new) == 1 and line.sources and same_new[0].sources:
            comes.remove(same_new[0])
            changes.append(f"~ {line.head}{_other_sources(line.sources, same_new[0].sources)}")
        else:
            changes.append(f"- {line.text}")
    return changes + [f"+ {line.text}" for line in comes]


def _lines(rule_set: RuleSet, all_sources: bool) -> Iterable[_Line]:
    fixed = ["accept established connections and what the host sends to itself"]
    fixed += [f"accept everything by interface {name}" for name in rule_set.trusted_interfaces]
    if rule_set.default_deny:
        fixed.append("accept ICMP and ICMPv6 that hosts need, and answers to a DHCP client")
    yield from map(_fixed, fixed)
    yield from (_rule_line("accept", "from", rule, all_sources) for rule in rule_set.rules)
    for guarded in rule_set.guarded:
        yield _fixed(f"drop {_what(guarded.protocol, guarded.ports)} from everybody else: {guarded.control}")
    if rule_set.default_deny:
        yield _fixed(f"drop everything else that comes in: {DEFAULT_DENY}")
    if rule_set.outbound is not None:
        yield from (_rule_line("let out", "to", rule, all_sources) for rule in rule_set.outbound)
        yield _fixed("let nothing else out but ICMP, ICMPv6 and DHCP")


def _fixed(text: str) -> _Line:
    return _Line(text, text)


def _rule_line(verb: str, direction: str, rule: Rule, all_sources: bool) -> _Line:
    what = f"{verb} {_what(rule.protocol, rule.ports)}"
    group = f" ({rule.group})" if rule.group else ""
    sources = "anybody" if rule.sources is None else _enumerate(rule.sources, all_sources)
    return _Line(f"{what}{group}: {rule.name}", f"{what} {direction} {sources}{group}: {rule.name}", rule.sources)


def _other_sources(old: tuple[str, ...], new: tuple[str, ...]) -> str:
    parts = [("also", set(new) - set(old)), ("no longer", set(old) - set(new))]
    return "".join(
        f"; {word} {_enumerate([item for item in new + old if item in items])}" for word, items in parts if items
    )


def _enumerate(items: Sequence[str], everything: bool = False) -> str:
    if everything or len(items) <= SHOWN_SOURCES + 1:
        return ", ".join(items)
    return f"{', '.join(items[:SHOWN_SOURCES])} and {len(items) - SHOWN_SOURCES} more"


def _what(protocol: str, ports: Ports) -> str:
    return f"{protocol} {', '.join(show_ports(ports))}"


# ---- packets -------------------------------------------------------------------------------------------


def trusts(names: Iterable[str], interface: str | None) -> bool:
    """Whether an interface is one of those named, or the host's own; a name may end in an asterisk."""
    if interface is None:
        return False
    return interface == "lo" or any(
        interface.startswith(name[:-1]) if name.endswith("*") else interface == name for name in names
    )


def _plain(address: Address) -> Address:
    """Return IPv4 inside IPv6 as what arrives: IPv4."""
    return getattr(address, "ipv4_mapped", None) or address


def _answers_dhcp(address: Address, port: int) -> bool:
    return port == 68 if address.version == 4 else port == 546 and address in _LINK_LOCAL


def in_ranges(number: int, ranges: Ports) -> bool:
    """Whether a port is in one of the ranges."""
    return any(first <= number <= last for first, last in ranges)


def in_networks(address: Address, sources: tuple[str, ...]) -> bool:
    """Whether an address is in one of the networks, which are canonical."""
    starts, ends = _bounds(sources)[address.version]
    at = bisect_right(starts, int(address)) - 1
    return at >= 0 and int(address) <= ends[at]


@lru_cache(maxsize=256)
def _bounds(sources: tuple[str, ...]) -> dict[int, tuple[list[int], list[int]]]:
    """Return first and last address of each network by version; they are sorted and do not overlap."""
    bounds: dict[int, tuple[list[int], list[int]]] = {4: ([], []), 6: ([], [])}
    for network in map(ipaddress.ip_network, sources):
        starts, ends = bounds[network.version]
        starts.append(int(network.network_address))
        ends.append(int(network.broadcast_address))
    return bounds
