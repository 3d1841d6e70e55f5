# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What modules that ask products over REST are handed: product data of their settings, and credentials as a list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._catalogue import load_catalogue
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._credentials import KEYS, from_environment
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._products import (
    add_product_data,
    load_products,
    plain,
    product_data,
)

ROLE = "product_settings"


def settings_of(product: str) -> list[dict[str, Any]]:
    """Return the settings of a product without sources. A place that nobody knows stays, with what it means."""
    return [
        {
            **plain({**entry, "read": []}),
            "read": [
                {"kind": "unknown", "why": f"{place['unknown']}; {place['consequence']}"}
                if "unknown" in place
                else plain(place)
                for place in entry["read"]
            ],
        }
        for entry in load_products()[product].get("settings", [])
    ]


def accounts_of(data: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what is known of accounts, with the form of the log that tells of passwords."""
    known = data.get("accounts")
    if not known or not known.get("passwords"):
        return known
    passwords = known["passwords"]
    return {**known, "passwords": {**passwords, "format": data["log_formats"][passwords["format"]]}}


def settings_data() -> dict[str, dict[str, Any]]:
    """Return by product what a module needs to know to ask it."""
    controls = [control for control in load_catalogue().values() if control.role == ROLE]
    found = {}
    for name in load_products():
        data = product_data(name)
        http = data.get("http") or {}
        up = [entry["state"] for entry in http.get("states") or [] if entry["ready"]]
        found[name] = {
            "part_of": data.get("part_of"),
            "controls": [c.id for c in controls if c.products == "all" or name in c.products],
            "status": {"path": http.get("status_path"), "key": http.get("state_key"), "up": up},
            "rest": {key: entry for key, entry in (data.get("rest") or {}).items() if entry is not None},
            "login_paths": [entry["path"] for entry in (data.get("web") or {}).get("login_paths") or []],
            "settings": settings_of(name),
            "accounts": accounts_of(data),
            "database": (data.get("cluster") or {}).get("database"),
        }
    return found


def hand_over(arguments: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of a task, product data added and credentials as the module takes them.

    Credentials that nobody has given are looked for in the environment.
    """
    add_product_data(arguments, "products", settings_data)
    given = arguments.get("credentials")
    if given is None or isinstance(given, Mapping):
        arguments["credentials"] = {**from_environment(arguments.get("instances") or []), **(given or {})}
    for option in ("credentials", "databases"):
        given = arguments.get(option)
        if isinstance(given, Mapping):
            # Keys of a mapping cannot be secret one by one: Ansible would take names of accounts for secrets too.
            arguments[option] = [
                {"name": name, **{key: entry[key] for key in KEYS if entry.get(key)}}
                for name, entry in given.items()
                if isinstance(entry, Mapping)
            ]
    return arguments
