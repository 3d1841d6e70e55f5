# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the address of a database tells: where it is, and whether the connection is encrypted and verified.

Sources: the documentation of the drivers for PostgreSQL (https://jdbc.postgresql.org/documentation/ssl/), MySQL and
MariaDB (``sslMode``), and SQL Server (https://learn.microsoft.com/sql/connect/jdbc/). Of the accounts that servers are
set up with:

- https://www.postgresql.org/docs/15/database-roles.html
- https://dev.mysql.com/doc/refman/8.0/en/default-privileges.html
- https://mariadb.com/docs/server/clients-and-utilities/deployment-tools/mariadb-install-db
- the CIS benchmark of SQL Server, as https://www.tenable.com/audits tells its items (``sa`` has ``sysadmin``)
- https://docs.oracle.com/cd/B19306_01/server.102/b14231/dba.htm (``SYS`` and ``SYSTEM`` have the role ``DBA``)
"""

from __future__ import annotations

import ipaddress
import re
from typing import NamedTuple

_URL = re.compile(r"jdbc:([a-z0-9]+):(.*)", re.IGNORECASE | re.DOTALL)
_NAME = re.compile(r"[A-Za-z0-9_$.-]+")
"""Nothing in it can be taken for more than a name: psql takes words with ``=`` for further settings."""
_EMBEDDED = ("h2", "hsqldb", "derby")
_VERIFIED = ("verify-full", "verify_identity")
_SUPERUSERS = {
    "postgresql": ("postgres",),
    "mysql": ("root",),
    "mariadb": ("root",),
    "sqlserver": ("sa",),
    "oracle": ("sys", "system"),
}
"""Accounts that a server is set up with and that may do anything in it."""


class Database(NamedTuple):
    """An address of a database.

    Attributes:
        kind: the first word of the address after ``jdbc:``, such as ``postgresql``; "" where it is no such address.
        hosts: the servers; empty where the address does not tell them.
        parameters: what the address asks for, names in lower case.
        port: of the first server; None where the address does not tell it.
        name: of the database; "" where the address does not tell it, or as something else than a plain name.

    """

    kind: str
    hosts: tuple[str, ...]
    parameters: dict[str, str]
    port: int | None = None
    name: str = ""

    @property
    def local(self) -> bool:
        """Whether the connection stays on the host."""
        return self.kind in _EMBEDDED or (bool(self.hosts) and all(is_local(host) for host in self.hosts))

    @property
    def flaw(self) -> str | None:
        """What is wrong with its TLS; "" where it is encrypted and verified, None where nobody can tell."""
        given = {name: value.lower() for name, value in self.parameters.items()}
        if self.kind == "postgresql":
            mode = given.get("sslmode") or ("verify-full" if given.get("ssl") in ("", "true") else "")
            if "nonvalidating" in given.get("sslfactory", ""):
                return "sslfactory takes any certificate"
            return "" if mode in _VERIFIED else f"sslmode is {_shown(mode)}, not verify-full"
        if self.kind in ("mysql", "mariadb"):
            mode = given.get("sslmode", "")
            return "" if mode in _VERIFIED else f"sslMode is {_shown(mode)}, not VERIFY_IDENTITY"
        if self.kind == "sqlserver":
            if given.get("trustservercertificate") == "true":
                return "trustServerCertificate takes any certificate"
            if given.get("encrypt") in ("true", "strict", "mandatory"):
                return ""
            return None if "encrypt" not in given else f"encrypt is {_shown(given['encrypt'])}"
        return None

    def superuser(self, account: str) -> bool:
        """Whether an account is one that may do anything, by its name."""
        return account.strip().lower() in _SUPERUSERS.get(self.kind, ())


def _shown(value: str) -> str:
    """Return a value for a report; one that is no word may be anything."""
    return value if re.fullmatch("[a-z_-]{1,20}|given twice", value) else "not a word" if value else "not set"


def parse_jdbc(url: str) -> Database:
    """Return what an address tells; nothing of it is believed to be well formed."""
    match = _URL.fullmatch(url.strip())
    if match is None:
        return Database("", (), {})
    kind, rest = match[1].lower(), match[2]
    separator = ";" if kind == "sqlserver" else "[?&]"
    place, *given = re.split(separator, rest)
    parameters: dict[str, str] = {}
    for item in given:
        name, _equals, value = item.partition("=")
        name, value = name.strip().lower(), value.strip()
        # Which of two counts is up to the driver.
        parameters[name] = value if parameters.get(name, value) == value else "given twice"
    hosts: list[str] = []
    ports: list[str] = []
    name = ""
    if place.startswith("//"):
        servers, _slash, path = place[2:].partition("/")
        name = path if _NAME.fullmatch(path) else ""
        for server in servers.rpartition("@")[2].split(","):
            bracket = re.fullmatch(r"\[([^\]]*)\](?::(\d*))?", server)
            host, _colon, port = (bracket[1], "", bracket[2]) if bracket else server.partition(":")
            hosts.append(host.partition("\\")[0])
            ports.append(port or "")
    # More digits than any port has would only take time.
    port = int(ports[0]) if ports and ports[0].isascii() and ports[0].isdigit() and len(ports[0]) <= 5 else None
    return Database(kind, tuple(hosts), parameters, port, name)


def is_local(host: str) -> bool:
    """Whether a name or address is the host itself."""
    if host.lower() in ("", "localhost", "localhost.localdomain"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
