# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a product logs in to its database: where its files say so, and what protects the password there.

A password is kept out of everything that is shown: it is compared, never quoted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.atlassian_dc.hardening.plugins.module_utils._discovery_parse import (
    SECURED,
    parse_shell,
    parse_xml,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._stored_config import (
    parse_application_config,
    parse_database_config,
    parse_java_properties,
)

WEAK = ("DES", "DESede")
"""Algorithms that no longer protect anything."""
_ALGORITHM = re.compile(rb"\b(AES|DESede|DES)/[A-Za-z0-9]+/[A-Za-z0-9]+")


@dataclass(frozen=True)
class Login:
    """One login to a database.

    Attributes:
        path: the file that holds it.
        key: where in it the password stands.
        password: what stands there.
        user: the account.
        url: the address of the database.
        cipher: the class that turns what stands there into the password.

    """

    path: str
    key: str
    password: str = field(repr=False)
    user: str = ""
    url: str = field(default="", repr=False)
    cipher: str = ""

    @property
    def secured(self) -> bool:
        """Whether the product keeps the password in a store of its own."""
        return self.password == SECURED

    @property
    def details(self) -> dict[str, str]:
        """What a class that protects passwords is told instead of one."""
        if not self.password.startswith("{"):
            return {}
        try:
            told = json.loads(self.password)
        except (ValueError, RecursionError):
            return {}
        return {str(name): value for name, value in told.items() if isinstance(value, str)}

    @property
    def key_files(self) -> list[str]:
        """Files that the password is made from."""
        return [value for value in self.details.values() if value.startswith("/") and "\0" not in value]

    @property
    def plain(self) -> bool:
        """Whether the password can be read there as it is, whatever class stands beside it."""
        return not self.cipher or "plainTextPassword" in self.details


def read_logins(path: str, data: bytes, entry: dict[str, Any]) -> Iterator[Login]:
    """Yield the logins in a file.

    Args:
        path: the file, for the results.
        data: its content.
        entry: what product data tells of it.

    Raises:
        ParseError: it cannot be read as what it should be.

    """
    form = entry["form"]
    text = data.decode("utf-8", "replace")
    if form == "tomcat":
        for element in parse_xml(data).iter("Resource"):
            if element.get("password"):
                name = element.get("name") or "without a name"
                user, url = element.get("username") or element.get("user") or "", element.get("url") or ""
                yield Login(path, f"password of resource {name}", element.get("password") or "", user, url)
        return
    values = _values(form, text)
    password = _value(values, entry["password"])
    if password:
        yield Login(
            path,
            entry["password"],
            password,
            _value(values, entry["user"]),
            _value(values, entry["url"]),
            _value(values, entry["cipher"]) if "cipher" in entry else "",
        )


def weak_algorithm(data: bytes) -> str | None:
    """Return the name of the weak algorithm that a sealed object of Java was made with, None where it is another."""
    found = _ALGORITHM.search(data)
    name = found[1].decode() if found else ""
    return name if name in WEAK else None


def _values(form: str, text: str) -> dict[str, Any]:
    if form == "dbconfig":
        return parse_database_config(text)
    if form == "cfg_xml":
        return dict(parse_application_config(text)["properties"])
    if form == "shell":
        script = parse_shell(text)
        return {name: script.certain(name) for name in script.values}
    return dict(parse_java_properties(text))


def _value(values: Any, key: str) -> str:
    """Return a value, "" where there is none; in nested ones the key is a path."""
    for part in [key] if key in values else key.split("/"):
        values = values.get(part) if isinstance(values, dict) else None
    return values.strip() if isinstance(values, str) else ""
