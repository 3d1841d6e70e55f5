# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads single values from the database of a product, with an account that somebody has given for it.

PostgreSQL only, through its own client. The session is read-only whatever the account may do.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ansible_collections.atlassian_dc.hardening.plugins.module_utils._jdbc import parse_jdbc
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._settings_values import UnknownValueError
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._systemd import RunCommand

SECONDS = 10
"""Longest time for an answer."""

MAX_ANSWER = 4 * 1024 * 1024
"""Longest answer that is used."""

VARIABLE = "atlassian_dc_product_settings_databases"

_HOST = re.compile(r"[0-9A-Fa-f:.]+|[A-Za-z0-9_.-]+")


class Database:
    """The database of one instance.

    Args:
        address: as the product has it for JDBC.
        account: ``username`` and ``password`` of the account to read with.
        run_command: of the module.

    Raises:
        UnknownValueError: it is none that can be read.

    """

    def __init__(self, address: str, account: Mapping[str, Any], run_command: RunCommand) -> None:
        found = parse_jdbc(address)
        known = found.kind == "postgresql" and len(found.hosts) == 1 and found.name
        if not known or not _HOST.fullmatch(found.hosts[0]):
            raise UnknownValueError("its database is none of PostgreSQL, or its address has a form that is not known")
        self._run_command = run_command
        # For names that take for ever to be resolved.
        self._command = [
            "timeout",
            str(2 * SECONDS),
            "psql",
            "--no-psqlrc",
            "--no-password",
            "--quiet",
            "--tuples-only",
            "--no-align",
        ]
        self._command += ["--host", found.hosts[0], "--port", str(found.port or 5432)]
        self._command += ["--username", str(account.get("username")), "--dbname", found.name]
        self._environment = {
            "LC_ALL": "C.UTF-8",
            # Not an argument, which everybody on the host could read.
            "PGPASSWORD": str(account.get("password") or ""),
            "PGCONNECT_TIMEOUT": str(SECONDS),
            "PGCLIENTENCODING": "UTF8",
            "PGOPTIONS": f"-c default_transaction_read_only=on -c statement_timeout={SECONDS}s",
        }
        self._failure = ""

    def value(self, query: str) -> str | None:
        """Return the one value that a query selects, None where there is none.

        Raises:
            UnknownValueError: it cannot be read. A refused login is not tried again.

        """
        if self._failure:
            raise UnknownValueError(self._failure)
        code, out, _err = self._run_command(
            [*self._command, "--command", query], environ_update=self._environment, errors="replace"
        )
        if code == 127:
            self._failure = "psql, which reads the database, is not installed on the host"
        elif code == 124:
            self._failure = "the database does not answer"
        elif code == 2:  # psql: the connection to the server went bad
            self._failure = f"the database lets nobody in, or cannot be reached ({VARIABLE})"
        elif code != 0:
            raise UnknownValueError("the database has no such table, or the account may not read it")
        elif len(out) > MAX_ANSWER:
            raise UnknownValueError("the database answers with more than is read")
        if self._failure:
            raise UnknownValueError(self._failure)
        return out[:-1] if out.endswith("\n") else out or None
