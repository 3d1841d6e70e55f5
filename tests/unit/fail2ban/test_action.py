# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the module is handed by the controller."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.action import fail2ban
from ansible_collections.atlassian_dc.hardening.plugins.action.fail2ban import ActionModule, failed_logins
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._addresses import check_firewall
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._products import load_products


def arguments(**given: Any) -> dict[str, Any]:
    action = ActionModule.__new__(ActionModule)
    action._task = SimpleNamespace(args=given, check_mode=True)
    hostvars = {"node2": {"ansible_host": "192.0.2.22"}}
    return action.module_arguments({"hostvars": hostvars})


def test_names_become_addresses() -> None:
    found = arguments(cluster_peers=["node2"], admin_networks=["192.0.2.0/26", "any"], ignore="192.0.2.9")
    assert found["cluster_peers"] == ["192.0.2.22"]
    assert found["admin_networks"] == ["192.0.2.0/26", "any"]
    assert found["ignore"] == ["192.0.2.9"]
    assert found["unresolved"] == []
    assert "proxy_addresses" not in found


def test_names_without_an_address_are_told() -> None:
    found = arguments(proxy_addresses=["proxy.invalid"])
    assert found["proxy_addresses"] == []
    assert [entry["variable"] for entry in found["unresolved"]] == ["atlassian_dc_proxy_addresses"]


def test_a_proxy_has_more_addresses_than_the_inventory_knows() -> None:
    told = [
        {"proxy": "node2", "own_addresses": ["2001:db8::22", "198.51.100.22"]},
        {"proxy": "gone", "refused": ["why"]},
    ]
    found = arguments(relays=["node2", "192.0.2.33"], relay_results=told)
    assert found["relays"] == [
        {"name": "node2", "addresses": ["192.0.2.22", "2001:db8::22", "198.51.100.22"]},
        {"name": "192.0.2.33", "addresses": ["192.0.2.33"]},
    ]
    assert "relay_results" not in found


def test_every_product_is_known() -> None:
    products = arguments()["products"]
    assert sorted(products) == sorted(load_products())
    assert "/login.jsp" in [entry["path"] for entry in products["jira"]["login_paths"]]


def test_nobody_logs_in_to_a_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fail2ban, "product_data", lambda name: {"part_of": "jira"} if name == "part" else {})
    assert failed_logins("part")["failed_logins"] == []
    assert failed_logins("whole")["failed_logins"] is None


def test_what_is_no_network_is_told_before_a_run() -> None:
    [problem] = check_firewall({"atlassian_dc_fail2ban_ignore": ["node2", "192.0.2.300"]})
    assert "atlassian_dc_fail2ban_ignore[1]" in problem
