# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes connections that live known to the kernel's connection tracker.

A host without a firewall tracks nothing. The first packet it sees of a connection from then on counts as new: where the
other side speaks first, such as a database that answers a query sent a moment ago, default deny would drop it, and the
connection would hang though it belongs to an established one. So each is entered before the rules are loaded.

Messages and attributes are those of the kernel's ``include/uapi/linux/netfilter/nfnetlink_conntrack.h``.
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import os
import socket
import struct
from collections.abc import Iterable

Connection = tuple[str, int, str, int]
"""Addresses and ports of the two ends of a TCP connection."""

_NETLINK_NETFILTER = 12
_NEW_ENTRY = 1 << 8
_REQUEST, _ACK, _EXCLUSIVE, _CREATE = 1, 4, 0x200, 0x400
_ERROR = 2
_NESTED = 0x8000

_ORIGINAL, _REPLY, _STATUS, _PROTOCOL_INFO, _TIMEOUT = 1, 2, 3, 4, 7
_SEEN_REPLY_ASSURED = struct.pack(">I", 2 | 4 | 8)
_ESTABLISHED = b"\x03"
_LIBERAL = b"\x08\x08"
"""Flag and mask: sequence numbers are not checked, as nobody knows those that were."""
_SECONDS = struct.pack(">I", 432000)
"""How long the kernel keeps an established connection that is silent, by default."""


def remember(connections: Iterable[Connection]) -> str | None:
    """Enter connections; return why it could not be done, in words, None where it could.

    Args:
        connections: TCP connections that are established; those that are known already stay as they are.

    """
    try:
        with contextlib.closing(socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER)) as link:
            link.bind((0, 0))
            link.settimeout(5)
            for number, connection in enumerate(connections, 1):
                link.send(message(connection, number))
                code = _answer(link.recv(65536))
                if code not in (0, errno.EEXIST):
                    return os.strerror(code)
    except OSError as exc:
        return exc.strerror or str(exc)
    return None


def message(connection: Connection, number: int) -> bytes:
    """Return the request that enters a connection."""
    source, source_port, destination, port = connection
    family = socket.AF_INET if ipaddress.ip_address(source).version == 4 else socket.AF_INET6
    body = b"".join(
        (
            struct.pack("BBH", family, 0, 0),
            _tuple(_ORIGINAL, source, source_port, destination, port),
            _tuple(_REPLY, destination, port, source, source_port),
            _attribute(_STATUS, _SEEN_REPLY_ASSURED),
            _nest(
                _PROTOCOL_INFO,
                _nest(1, _attribute(1, _ESTABLISHED) + _attribute(4, _LIBERAL) + _attribute(5, _LIBERAL)),
            ),
            _attribute(_TIMEOUT, _SECONDS),
        )
    )
    return struct.pack("=IHHII", 16 + len(body), _NEW_ENTRY, _REQUEST | _ACK | _EXCLUSIVE | _CREATE, number, 0) + body


def _tuple(kind: int, source: str, source_port: int, destination: str, port: int) -> bytes:
    ends = [ipaddress.ip_address(address) for address in (source, destination)]
    first = 1 if ends[0].version == 4 else 3
    addresses = b"".join(_attribute(first + place, end.packed) for place, end in enumerate(ends))
    ports = struct.pack(">H", source_port), struct.pack(">H", port)
    protocol = _attribute(1, bytes([socket.IPPROTO_TCP])) + _attribute(2, ports[0]) + _attribute(3, ports[1])
    return _nest(kind, _nest(1, addresses) + _nest(2, protocol))


def _nest(kind: int, content: bytes) -> bytes:
    return _attribute(kind | _NESTED, content)


def _attribute(kind: int, content: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(content), kind) + content + b"\0" * (-len(content) % 4)


def _answer(data: bytes) -> int:
    """Return the number of the error in the kernel's answer, 0 for none."""
    _length, kind = struct.unpack_from("=IH", data)
    return -struct.unpack_from("=i", data, 16)[0] if kind == _ERROR else 0
