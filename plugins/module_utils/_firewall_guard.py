# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What new rules would cut: the connection in use, connections that live, and listeners nobody could reach any more."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Callable

from ansible_collections.atlassian_dc.hardening.plugins.module_utils._findings import Evidence, evidence
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._firewall_exposure import DHCP_PORTS
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._firewall_rules import (
    ANY,
    GROUPS,
    OUTBOUND,
    SERVICES,
    RuleSet,
    in_networks,
    in_ranges,
    parse_networks,
    parse_ports,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._sockets import (
    Flow,
    Listener,
    Sockets,
    SshConnection,
)

CLOSED = "atlassian_dc_firewall_closed"

InterfaceOf = Callable[[str], "str | None"]
"""Returns the interface over which an address is reached."""


@dataclass(frozen=True)
class Closed:
    """Ports of which somebody has said that they may be cut."""

    protocol: str
    ports: tuple[tuple[int, int], ...]
    sources: tuple[str, ...] | None
    """Networks; None for everybody."""

    def covers(self, protocol: str, port: int, source: str | None = None) -> bool:
        """Whether a listener, or the flow of a source, was meant."""
        if protocol != self.protocol or not in_ranges(port, self.ports):
            return False
        if self.sources is None:
            return True
        return source is not None and in_networks(ipaddress.ip_address(source), self.sources)


def closed_of(entry: Mapping[str, Any], number: int, groups: Mapping[str, Sequence[str] | None]) -> Closed:
    """Return an entry of the option ``closed``.

    Args:
        entry: as it is given.
        number: its place in the list, for errors.
        groups: what the words for groups stand for.

    Raises:
        RulesError: something in it is wrong; names the variable and the element.

    """
    where = f"{CLOSED}[{number}]"
    named = [ANY] if entry.get("from") is None else entry["from"]
    members = [address for word in named if word in GROUPS for address in groups.get(word) or ()]
    sources = parse_networks([*(item for item in named if item not in GROUPS), *members], f"{where}.from")
    return Closed(entry["protocol"], parse_ports(entry["ports"], f"{where}.ports"), sources)


@dataclass(frozen=True)
class Cut:
    """Something that new rules would cut."""

    evidence: Evidence
    declaration: Mapping[str, Any]
    """What would declare it, by variable; empty where nothing does."""


def connection_cut(rules: RuleSet, connection: SshConnection | None, interface_of: InterfaceOf) -> Cut | None:
    """Return the connection in use if the rules would not let it in again."""
    if connection is None or _lets_in(rules, connection, interface_of):
        return None
    return Cut(
        evidence(
            f"this connection: tcp {connection.port} from {connection.source}",
            "accepted by the new rules: its source in atlassian_dc_admin_networks",
            "would be cut",
        ),
        {},
    )


def cuts(
    rules: RuleSet,
    before: RuleSet | None,
    sockets: Sockets,
    instances: Sequence[Mapping[str, Any]],
    closed: Sequence[Closed],
    interface_of: InterfaceOf,
) -> list[Cut]:
    """Return the live flows and the listeners that the rules would cut and nobody has declared, sorted.

    Args:
        rules: the new rules.
        before: the rules in force, None where they are not known. What they cut already new ones do not.
        sockets: what listens and who is connected.
        instances: the products of the host; product data says who needs which of their ports.
        closed: what may be cut.
        interface_of: returns the interface over which an address is reached.

    """
    flows = [flow for flow in sockets.flows if before is None or _lets_in(before, flow, interface_of)]
    listeners = [item for item in sockets.listeners if before is None or _is_served(before, item.protocol, item.port)]
    return [
        *_flows_cut(rules, flows, closed, interface_of),
        *_listeners_cut(rules, listeners, instances, closed),
        *_outbound_cut(rules, before, sockets.outbound),
    ]


def _lets_in(rules: RuleSet, flow: Flow | SshConnection, interface_of: InterfaceOf) -> bool:
    protocol = flow.protocol if isinstance(flow, Flow) else "tcp"
    if rules.allows(protocol, flow.source, flow.port):
        return True
    interface = interface_of(flow.source) if rules.trusted_interfaces else None
    return interface is not None and rules.allows(protocol, flow.source, flow.port, interface)


def _flows_cut(rules: RuleSet, flows: Iterable[Flow], closed: Sequence[Closed], interface_of: InterfaceOf) -> list[Cut]:
    sources: dict[tuple[str, int, str], list[str]] = {}
    for flow in flows:
        if _lets_in(rules, flow, interface_of):
            continue
        if any(entry.covers(flow.protocol, flow.port, flow.source) for entry in closed):
            continue
        known = sources.setdefault((flow.protocol, flow.port, held_by(flow)), [])
        if flow.source not in known:
            known.append(flow.source)
    found = []
    for (protocol, port, holder), addresses in sorted(sources.items()):
        for start in range(0, len(addresses), _TOGETHER):
            part = addresses[start : start + _TOGETHER]
            entry = {"name": _name(holder), "ports": [port], "protocol": protocol, "from": part}
            what = f"{protocol} {port} from {', '.join(part)} ({holder})"
            found.append(Cut(evidence(what, _declared(SERVICES, entry), "live, would be cut"), {SERVICES: entry}))
    return found


def _outbound_cut(rules: RuleSet, before: RuleSet | None, flows: Iterable[Flow]) -> list[Cut]:
    destinations: dict[tuple[str, int, str], list[str]] = {}
    for flow in flows:
        towards = (flow.protocol, flow.address, flow.port)
        if not rules.allows_out(*towards) and (before is None or before.allows_out(*towards)):
            known = destinations.setdefault((flow.protocol, flow.port, held_by(flow)), [])
            if flow.address not in known:
                known.append(flow.address)
    found = []
    for (protocol, port, holder), addresses in sorted(destinations.items()):
        entry = {"name": _name(holder), "ports": [port], "protocol": protocol, "to": addresses[:_TOGETHER]}
        what = f"{protocol} {port} to {', '.join(addresses[:_TOGETHER])} ({holder})"
        found.append(Cut(evidence(what, _declared(OUTBOUND, entry), "live, would be cut"), {OUTBOUND: entry}))
    return found


def _listeners_cut(
    rules: RuleSet,
    listeners: Iterable[Listener],
    instances: Sequence[Mapping[str, Any]],
    closed: Sequence[Closed],
) -> list[Cut]:
    # A port of a product is known: who needs it gets it by the rules, and a flow of anybody else is listed as such.
    of_products = {(entry["protocol"], entry["port"]) for item in instances for entry in item.get("ports") or []}
    places: dict[tuple[str, int, str], list[str]] = {}
    for listener in listeners:
        protocol, port = listener.protocol, listener.port
        if listener.scope == "loopback" or (protocol, port) in of_products or _is_served(rules, protocol, port):
            continue
        if any(entry.covers(protocol, port) for entry in closed):
            continue
        known = places.setdefault((protocol, port, held_by(listener)), [])
        if listener.address not in known:
            known.append(listener.address)
    found = []
    for (protocol, port, holder), addresses in sorted(places.items()):
        entry = {"ports": [port], "protocol": protocol}
        what = f"{protocol} {port} on {', '.join(addresses)} ({holder})"
        expected = f"{_declared(CLOSED, entry)}, or in {SERVICES} with who needs it"
        found.append(Cut(evidence(what, expected, "listens, nobody could reach it any more"), {CLOSED: entry}))
    return found


def _is_served(rules: RuleSet, protocol: str, port: int) -> bool:
    """Whether anybody may reach a port."""
    if protocol == "udp" and port in DHCP_PORTS:
        return True
    served = [(rule.protocol, rule.ports) for rule in rules.rules]
    denied = [(guarded.protocol, guarded.ports) for guarded in rules.guarded]
    if any(protocol == name and in_ranges(port, ports) for name, ports in served):
        return True
    return not rules.default_deny and not any(protocol == name and in_ranges(port, ports) for name, ports in denied)


_TOGETHER = 20
"""Most sources in one piece of evidence."""


def held_by(socket: Flow | Listener) -> str:
    """Return process and unit of a socket, in words."""
    return ", ".join([socket.process or "unknown", *([socket.unit] if socket.unit else [])])


def _name(holder: str) -> str:
    return holder.rpartition(", ")[2].rpartition(".")[0] or holder


def _declared(variable: str, entry: Mapping[str, Any]) -> str:
    return f"declared: {variable}: [{_flow_style(entry)}]"


def _flow_style(value: Any) -> str:
    """Return a value as YAML writes it in one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_flow_style(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_flow_style, value)) + "]"
    text = str(value)
    return text if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]*|[0-9]+", text) else json.dumps(text)


def declarations(found: Iterable[Cut]) -> str:
    """Return YAML that declares all that would be cut, ready to paste."""
    entries: dict[str, list[Mapping[str, Any]]] = {}
    for cut in found:
        for variable, entry in cut.declaration.items():
            entries.setdefault(variable, []).append(entry)
    return "".join(
        f"{variable}:\n" + "".join(f"  - {_flow_style(entry)}\n" for entry in items)
        for variable, items in sorted(entries.items(), reverse=True)
    )
