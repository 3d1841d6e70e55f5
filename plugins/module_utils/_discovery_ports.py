# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ports of an instance: what product data says of them, and what is configured on the host.

Configuration is hostile input here as well: a value that names no port leaves the port unknown, and nothing is guessed.
"""

from __future__ import annotations

import re
from typing import Any, Callable, NamedTuple

from ansible_collections.atlassian_dc.hardening.plugins.module_utils._discovery_parse import ParseError

ANY_ADDRESS = (None, "", "*", "0.0.0.0", "::")  # noqa: S104 - compared, not bound
"""Ways to say that a socket listens on all addresses."""

DEFAULT = "default"
JVM_ARGUMENTS = "JVM arguments"

_PORT = re.compile(r"[0-9]{1,5}")
_QUERY = re.compile(r"\?[^,()\s]*")
_AUTHORITY = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,30}://([^/?#,()\s]+)")
_ENDPOINT = re.compile(r"(?:(.*):)?([^:]*)", re.DOTALL)
_MAX_VALUE = 4096


class Endpoint(NamedTuple):
    """Where something listens; the address is None for all of them."""

    address: str | None
    port: int


class Configured(NamedTuple):
    """A port as the configuration of an instance has it.

    Attributes:
        value_from: the file that says so, or where else it is from, in words.
        port: None where none is open, or where it cannot be told which.
        address: address it is bound to, None for all of them.
        open: whether it is opened, None where nobody knows.
        note: why the port is not known.
        name: what it is called instead of as in the product data.

    """

    value_from: str | None
    port: int | None = None
    address: str | None = None
    open: bool | None = True
    note: str | None = None
    name: str | None = None


def bound_address(address: str | None) -> str | None:
    """Return the address a socket is bound to, None for all of them."""
    inner = (address or "").strip().strip("[]")
    return None if inner in ANY_ADDRESS else inner


def connector_name(connector: dict[str, Any]) -> str:
    """Return ``http``, ``https`` or ``ajp``: what a connector speaks itself, whatever a proxy before it does."""
    if "ajp" in connector["protocol"].lower():
        return "ajp"
    return "https" if connector["ssl"] else "http"


def parse_endpoints(value: str, form: str) -> list[Endpoint]:
    """Return where a configured value makes something listen.

    Args:
        value: as configured.
        form: ``port``: a number; ``address``: a number, with or without ``host:`` before it; ``uri``: one or several
            addresses of the form ``scheme://host:port``, also in brackets and with queries.

    Raises:
        ParseError: it names no port. The value is not quoted.

    """
    if len(value) > _MAX_VALUE:
        raise ParseError("is too long")
    if form == "port":
        return [Endpoint(None, _port(value.strip()))]
    if form == "address":
        host, port = _split(value.strip())
        return [Endpoint(bound_address(host), _port(port))]
    found = []
    for authority in _AUTHORITY.findall(_QUERY.sub("", value)):
        host, port = _split(authority.rpartition("@")[2])
        if host is None:
            raise ParseError("has an address without a port")
        found.append(Endpoint(bound_address(host), _port(port)))
    if not found:
        raise ParseError("has no address")
    return list(dict.fromkeys(found))


def _split(text: str) -> tuple[str | None, str]:
    match = _ENDPOINT.fullmatch(text)
    return (match.group(1), match.group(2)) if match else (None, "")


def _port(text: str) -> int:
    if not _PORT.fullmatch(text) or not 0 < int(text) <= 65535:
        raise ParseError("is no port number")
    return int(text)


def describe_ports(
    entry: dict[str, Any],
    clustered: bool | None,
    configured: Callable[[dict[str, Any]], list[Configured] | None],
) -> list[dict[str, Any]]:
    """Return the ports that an entry of product data stands for on this host.

    Args:
        entry: one of ``ports``, without its source.
        clustered: whether the instance is part of a cluster, None where nobody knows.
        configured: returns what one of the places of ``configured_in`` says, None where it says nothing.

    """
    member = clustered if entry.get("clustered_only") else True
    found: list[Configured] | None = None
    if member is False:
        found = [Configured(None, open=False)]
    for place in entry.get("configured_in") or []:
        if found is None:
            found = configured(place)
    return [
        {
            "name": port.name or entry["name"],
            "port": port.port,
            "protocol": entry["protocol"],
            "from": entry["from"],
            "address": port.address,
            "value_from": port.value_from,
            "clustered_only": bool(entry.get("clustered_only")),
            "open": port.open if member is not None else None,
            "note": port.note,
        }
        for port in found or [_default(entry)]
    ]


def _default(entry: dict[str, Any]) -> Configured:
    opened = entry.get("open_by_default", True)
    if opened is False:
        return Configured(DEFAULT, open=False)
    if isinstance(entry["port"], int):
        return Configured(DEFAULT, entry["port"], open=opened)
    return Configured(None, open=opened, note=f"{entry['port']['unknown']}. {entry['port']['consequence']}")
