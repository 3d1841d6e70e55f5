# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts to make rules for."""

from __future__ import annotations

from typing import Any

from ansible_collections.atlassian_dc.hardening.plugins.module_utils._firewall_rules import (
    CONTROLS,
    RuleSet,
    Wanted,
    build,
)


def port(name: str, number: int | None, who: str, **more: Any) -> dict[str, Any]:
    """Return a port as module product_info does."""
    return {
        "name": name,
        "port": number,
        "protocol": "tcp",
        "from": who,
        "address": None,
        "value_from": "default",
        "clustered_only": False,
        "open": True,
        "note": None,
        **more,
    }


JIRA = {
    "name": "jira",
    "ports": [
        port("http", 8080, "proxy"),
        port("shutdown", 8005, "local"),
        port("cluster cache listener", 40001, "peers", clustered_only=True),
        port("cluster cache objects", None, "peers", note="a random free port when the key is not set"),
        port("debugger", 5005, "nobody"),
    ],
}
BITBUCKET = {
    "name": "bitbucket",
    "ports": [port("http", 7990, "proxy"), port("Git over SSH", 7999, "users"), port("Hazelcast", 5701, "peers")],
}
BAMBOO = {"name": "bamboo", "ports": [port("http", 8085, "proxy"), port("broker", 54663, "agents")]}

KNOWN: dict[str, Any] = {
    "ssh_ports": [22],
    "admin": ["10.9.0.0/16", "2001:db8:9::/48"],
    "proxies": ["192.0.2.10"],
    "peers": ["192.0.2.21", "192.0.2.23"],
    "agents": ["198.51.100.0/24"],
    "users": ["any"],
    "enforced": CONTROLS,
}
"""Values of a host of which everything is known."""


def wanted(*instances: dict[str, Any], **changed: Any) -> Wanted:
    """Build rules; everything is known but for what is changed."""
    return build(instances=instances, **{**KNOWN, **changed})


def rules_of(*instances: dict[str, Any], **changed: Any) -> RuleSet:
    """Build rules that need nothing more."""
    made = wanted(*instances, **changed)
    assert made.rule_set is not None, made.missing
    return made.rule_set
