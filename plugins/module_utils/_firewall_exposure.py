# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""DC-NET-05: what listens on a public address of a host, against what is meant to."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.atlassian_dc.hardening.plugins.module_utils._findings import Evidence, evidence
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._firewall_rules import in_ranges
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._sockets import Listener, Sockets

PROXY_PORTS = (80, 443)
PROXY_PROCESSES = ("apache2", "caddy", "envoy", "h2o", "haproxy", "httpd", "nginx", "traefik")
"""Programs that speak HTTP/3 (443/udp) to users."""

DHCP_CLIENTS = ("NetworkManager", "dhclient", "dhcpcd", "systemd-network", "udhcpc")
DHCP_PORTS = (68, 546)
"""Where a host that gets its address from the network must listen; role firewall lets the answers in as well."""

_REACHABLE = ("proxy", "peers", "agents", "users")

_UNDECLARED = "declared in atlassian_dc_firewall_services, bound to loopback or a private address, or stopped"


@dataclass(frozen=True)
class Declared:
    """Ports that may be public: a declared service."""

    protocol: str
    ports: tuple[tuple[int, int], ...]
    """First and last of each range."""

    def covers(self, listener: Listener) -> bool:
        """Whether it was meant by this."""
        return self.protocol == listener.protocol and in_ranges(listener.port, self.ports)


def exposed(
    sockets: Sockets, instances: Sequence[Mapping[str, Any]], ssh: Collection[int], declared: Iterable[Declared]
) -> list[Evidence]:
    """Return what listens on public addresses without being meant to, sorted; IPv4 and IPv6 of one service together.

    Args:
        sockets: what listens.
        instances: the products of the host as discovery found them, with their ``ports``.
        ssh: ports of the SSH server.
        declared: services that are declared.

    """
    services = list(declared)
    # What belongs together differs in nothing but the address.
    groups: dict[tuple[str, int, str, str], list[str]] = {}
    for listener in sockets.listeners:
        if listener.scope not in ("wildcard", "public") or any(service.covers(listener) for service in services):
            continue
        expected = _complaint(listener, instances, ssh)
        if expected:
            key = (listener.protocol, listener.port, _held_by(listener), expected)
            places = groups.setdefault(key, [])
            if listener.address not in places:
                places.append(listener.address)
    return [
        evidence(
            f"{protocol} {' and '.join(_at(place, port) for place in places)} ({holder})", expected, _actual(places)
        )
        for (protocol, port, holder, expected), places in sorted(groups.items())
    ]


def _complaint(listener: Listener, instances: Sequence[Mapping[str, Any]], ssh: Collection[int]) -> str | None:
    """Return what is expected of a listener instead, None when it may be there."""
    protocol, port, process = listener.protocol, listener.port, listener.process
    if protocol == "tcp" and (port in PROXY_PORTS or port in ssh):
        return None
    if protocol == "udp" and (
        (port == 443 and process in PROXY_PROCESSES) or (port in DHCP_PORTS and process in DHCP_CLIENTS)
    ):
        return None
    closed = None
    for instance in instances:
        for entry in instance.get("ports") or []:
            if (entry["protocol"], entry["port"]) != (protocol, port) or not _is_of(listener, instance):
                continue
            reason = _not_reachable(entry, instance)
            if reason is None:
                return None
            closed = closed or reason
    return closed or _UNDECLARED


def _is_of(listener: Listener, instance: Mapping[str, Any]) -> bool:
    """Whether a product holds a socket, as far as is known: another program may have taken its port."""
    pids = {instance.get("pid"), *(companion["pid"] for companion in instance.get("companions") or [])} - {None}
    unit = instance.get("unit")
    if listener.pid is None or not (pids or unit):
        return True
    return listener.pid in pids or (unit is not None and listener.unit == unit)


def _not_reachable(entry: Mapping[str, Any], instance: Mapping[str, Any]) -> str | None:
    """Return why nobody from elsewhere has business with a port of a product, None when somebody has."""
    what = f"{entry['name']} of {instance['name']}"
    if entry["from"] == "local":
        return f"bound to loopback: {what}, for this host only"
    if entry["from"] not in _REACHABLE:
        return f"closed: {what}, for nobody"
    if entry.get("clustered_only") and not instance.get("cluster"):
        return f"bound to loopback or a private address: {what}, which is not in a cluster"
    return None


def _held_by(listener: Listener) -> str:
    parts = [listener.process, *([listener.unit] if listener.unit else [])]
    if listener.forwarded:
        parts.append("forwarded by a session")
    return ", ".join(parts)


def _at(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _actual(addresses: Iterable[str]) -> str:
    everywhere = any(address in ("0.0.0.0", "::") for address in addresses)  # noqa: S104 - compared, not bound to
    return "listens on all addresses" if everywhere else "listens on a public address"
