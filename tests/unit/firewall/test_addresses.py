# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What variables of the firewall may hold, and the addresses behind names."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._addresses import (
    WORDS,
    Resolver,
    check_firewall,
    elements_of,
)

FLOW = {"name": "metrics", "ports": ["9100"], "protocol": "tcp"}


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"atlassian_dc_admin_networks": None},
        {"atlassian_dc_admin_networks": []},
        {"atlassian_dc_admin_networks": ["192.0.2.0/26", "2001:db8::/48", "bastion", "any"]},
        {"atlassian_dc_cluster_peers": ["node2", "node3.example.org"]},
        {"atlassian_dc_firewall_services": [{**FLOW, "from": ["any", "admin", "monitoring", "192.0.2.7"]}]},
        {"atlassian_dc_firewall_closed": [{"ports": ["1-10", "111"], "protocol": "udp", "from": None}]},
        {"atlassian_dc_firewall_outbound": [{**FLOW, "to": ["db", "peers"]}]},
        {"atlassian_dc_firewall_trusted_interfaces": ["docker0", "tun*"]},
        {"atlassian_dc_firewall_confirm_timeout": 10},
    ],
)
def test_good_values(values: dict[str, Any]) -> None:
    assert check_firewall(values) == []


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"atlassian_dc_admin_networks": ["bastion", "10.0.0.0/33"]}, "atlassian_dc_admin_networks[1]: '10.0.0.0/33'"),
        ({"atlassian_dc_proxy_addresses": ["300.1.1.1"]}, "atlassian_dc_proxy_addresses[0]: '300.1.1.1'"),
        ({"atlassian_dc_cluster_peers": ["192.0.2.5/24"]}, "192.0.2.0/24"),
        (
            {"atlassian_dc_firewall_services": [{**FLOW, "from": ["any"]}, {**FLOW, "ports": ["70000"], "from": []}]},
            "atlassian_dc_firewall_services[1].ports[0]: '70000'",
        ),
        ({"atlassian_dc_firewall_closed": [{**FLOW, "ports": ["0"]}]}, "atlassian_dc_firewall_closed[0].ports[0]"),
        (
            {"atlassian_dc_firewall_closed": [{**FLOW, "from": ["x", "1.2.3"]}]},
            "atlassian_dc_firewall_closed[0].from[1]: '1.2.3'",
        ),
        ({"atlassian_dc_firewall_outbound": [{**FLOW, "to": ["::/129"]}]}, "atlassian_dc_firewall_outbound[0].to[0]"),
        ({"atlassian_dc_firewall_trusted_interfaces": ["a b"]}, "atlassian_dc_firewall_trusted_interfaces[0]"),
        ({"atlassian_dc_firewall_confirm_timeout": 9}, "atlassian_dc_firewall_confirm_timeout: 9"),
    ],
)
def test_bad_values_are_named(values: dict[str, Any], words: str) -> None:
    (problem,) = check_firewall(values)
    assert words in problem


def resolver(monkeypatch: pytest.MonkeyPatch, *answers: str, **hosts: str) -> Resolver:
    def look_up(name: str, *_arguments: Any, **_options: Any) -> list[Any]:
        if not answers:
            raise socket.gaierror(-2, "Name or service not known")
        return [(0, 0, 0, "", (address, 0)) for address in answers]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return Resolver({name: {"ansible_host": address} for name, address in hosts.items()})


def test_all_addresses_of_a_name_in_one_order(monkeypatch: pytest.MonkeyPatch) -> None:
    names = resolver(monkeypatch, "2001:db8::7", "192.0.2.9", "192.0.2.7", "192.0.2.9")
    assert names.addresses("v", ["monitoring"]) == ["192.0.2.7", "192.0.2.9", "2001:db8::7"]


def test_a_host_of_the_inventory_has_the_address_that_says(monkeypatch: pytest.MonkeyPatch) -> None:
    assert resolver(monkeypatch, node2="192.0.2.2").addresses("v", ["node2"]) == ["192.0.2.2"]
    assert resolver(monkeypatch, "192.0.2.3", node2="node2.example.org").addresses("v", ["node2"]) == ["192.0.2.3"]


def test_what_is_no_name_stays_for_others_to_check(monkeypatch: pytest.MonkeyPatch) -> None:
    values = ["192.0.2.0/24", "10.0.0.0/33", "::1", "any", ""]
    assert resolver(monkeypatch).addresses("v", values, ("any",)) == values


@pytest.mark.parametrize("address", ["127.0.1.1", "::1", "fe80::1", "169.254.0.1"])
def test_addresses_that_only_mean_something_here_are_none(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    names = resolver(monkeypatch, address)
    assert names.addresses("v", ["controller"]) == []
    assert names.unresolved[0]["name"] == "controller"


def test_each_unknown_name_is_told_once_with_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    names = resolver(monkeypatch, node2="node2.example.org")
    names.addresses("v", ["node2", "192.0.2.1", "node2"])
    assert names.unresolved == [
        {"variable": "v", "name": "node2 (node2.example.org)", "why": "Name or service not known"}
    ]


def test_a_name_is_asked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    first = resolver(monkeypatch, "192.0.2.7", "192.0.2.9")
    assert first.addresses("v", ["monitoring"]) == ["192.0.2.7", "192.0.2.9"]
    # A name server that answers in turns must not give hosts of one run different rules.
    resolver(monkeypatch, "192.0.2.8")
    assert first.addresses("w", ["monitoring"]) == ["192.0.2.7", "192.0.2.9"]
    assert Resolver({}, first.answers).addresses("v", ["monitoring"]) == ["192.0.2.7", "192.0.2.9"]


def test_that_a_name_has_no_address_is_remembered_too(monkeypatch: pytest.MonkeyPatch) -> None:
    first = resolver(monkeypatch)
    first.addresses("", ["gone"])
    resolver(monkeypatch, "192.0.2.8")
    second = Resolver({}, first.answers)
    assert second.addresses("v", ["gone"]) == []
    assert second.unresolved == [{"variable": "v", "name": "gone", "why": "Name or service not known"}]


def test_names_of_all_variables_are_found() -> None:
    values = {
        "atlassian_dc_admin_networks": ["bastion", "192.0.2.0/24"],
        "atlassian_dc_proxy_addresses": None,
        "atlassian_dc_proxy_hosts": ["proxy1"],
        "atlassian_dc_firewall_users": ["any"],
        "atlassian_dc_firewall_services": [{**FLOW, "from": ["monitoring", "any"]}, FLOW],
        "atlassian_dc_firewall_closed": [{"ports": ["1"], "from": ["old"]}],
        "atlassian_dc_firewall_outbound": [{**FLOW, "to": ["db"]}],
    }
    names = set(elements_of(values)) - set(WORDS)
    assert names == {"bastion", "192.0.2.0/24", "proxy1", "monitoring", "old", "db"}
