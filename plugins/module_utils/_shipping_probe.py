# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Knocks at a collector of logs as the shipper does, to tell whether each of them believes the other."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.atlassian_dc.hardening.plugins.module_utils._shipping_config import Collector

SECONDS = 5.0
_OFFERS = b"relp_version=0\nrelp_software=atlassian-dc\ncommands=syslog"
_OPEN = b"1 open %d %s\n" % (len(_OFFERS), _OFFERS)


def knock(collector: Collector, certificate: Mapping[str, str], peers: Iterable[str], seconds: float = SECONDS) -> str:
    """Return why a collector takes no logs of this host; empty where it takes them.

    Args:
        collector: where it is.
        certificate: paths of ``ca``, ``cert`` and ``key``.
        peers: names of which its certificate has to hold one.
        seconds: how long each step may take.

    """
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.check_hostname = False  # shippers go by the names they are told, see below
        context.load_verify_locations(certificate["ca"])
        context.load_cert_chain(certificate["cert"], certificate["key"])
    except (OSError, ValueError) as exc:
        return f"the certificate of this host cannot be used: {_words(exc)}"
    try:
        plain = socket.create_connection((collector.host, collector.port), timeout=seconds)
    except OSError as exc:
        return f"cannot be reached: {_words(exc)}"
    with plain:
        try:
            wrapped = context.wrap_socket(plain, server_hostname=_name(collector.host))
        except ssl.SSLCertVerificationError as exc:
            return f"its certificate is not believed: {exc.verify_message}"
        except (OSError, ValueError) as exc:
            return f"no TLS connection: {_words(exc)}"
        with wrapped:
            names = names_in(wrapped.getpeercert() or {})
            if not names & set(peers):
                return f"its certificate is for {', '.join(sorted(names)) or 'nobody'}, not for {', '.join(peers)}"
            return _accepted(wrapped, collector.protocol, seconds)


def names_in(certificate: Mapping[str, Any]) -> set[str]:
    """Return the names that a certificate holds, as Python's ssl tells it."""
    names = {str(value) for _kind, value in certificate.get("subjectAltName", ())}
    subject = [entry for part in certificate.get("subject", ()) for entry in part]
    return names | {str(value) for key, value in subject if key == "commonName"}


def _accepted(connection: ssl.SSLSocket, protocol: str, seconds: float) -> str:
    refused = "it does not believe the certificate of this host"
    try:
        if protocol == "relp":
            connection.sendall(_OPEN)
            answer = connection.recv(4096)
            if b" rsp " not in answer or b"200 OK" not in answer:
                return refused if not answer else "it does not speak RELP"
            connection.sendall(b"2 close 0\n")
            return ""
        # It says nothing, unless it closes the connection.
        connection.settimeout(min(seconds, 1.0))
        return refused if connection.recv(1) == b"" else ""
    except socket.timeout:
        return "" if protocol != "relp" else "it does not answer"
    except OSError as exc:
        return f"{refused}: {_words(exc)}"


def _name(host: str) -> str | None:
    try:
        host.encode("idna")
    except UnicodeError:
        return None
    return host


def _words(exc: BaseException) -> str:
    return getattr(exc, "strerror", None) or getattr(exc, "reason", None) or str(exc)
