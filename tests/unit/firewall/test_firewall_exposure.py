# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""DC-NET-05: which listeners are on a public address without being meant to."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._firewall_exposure import Declared, exposed
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._sockets import Listener, Sockets
from hypothesis import given
from hypothesis import strategies as st

JIRA: dict[str, Any] = {
    "name": "jira",
    "unit": "jira.service",
    "pid": 700,
    "companions": [{"name": "helper", "pid": 701}],
    "cluster": {"id": "jira-1"},
    "ports": [
        {"name": "http", "port": 8080, "protocol": "tcp", "from": "proxy"},
        {"name": "shutdown", "port": 8005, "protocol": "tcp", "from": "local"},
        {"name": "cluster cache listener", "port": 40001, "protocol": "tcp", "from": "peers", "clustered_only": True},
        {"name": "broker", "port": 54663, "protocol": "tcp", "from": "agents"},
        {"name": "Git over SSH", "port": 7999, "protocol": "tcp", "from": "users"},
        {"name": "debugger", "port": 5005, "protocol": "tcp", "from": "nobody"},
        {"name": "random", "port": None, "protocol": "tcp", "from": "peers"},
    ],
}


def of_jira(port: int, address: str = "::", protocol: str = "tcp") -> Listener:
    return Listener(protocol, address, port, 700, "java", "jira.service", uid=1001)


def of_other(port: int, address: str = "0.0.0.0", protocol: str = "tcp", process: str = "other") -> Listener:
    return Listener(protocol, address, port, 900, process, f"{process}.service")


def judge(*listeners: Listener, instances: Any = (JIRA,), declared: Any = ()) -> list[dict[str, str]]:
    return exposed(Sockets(listeners, ()), instances, [22], declared)


@pytest.mark.parametrize(
    "listener",
    [
        of_other(80, process="nginx"),
        of_other(443, "::", process="nginx"),
        of_other(443, "::", "udp", process="nginx"),
        of_other(22, process="sshd"),
        of_other(68, protocol="udp", process="dhclient"),
        of_other(546, "2001:db8::10", "udp", process="systemd-network"),
        of_other(9100, "127.0.0.1"),
        of_other(9100, "::1"),
        of_other(9100, "10.0.0.1"),
        of_other(9100, "fd00::1"),
        *(of_jira(port) for port in (8080, 40001, 54663, 7999)),
        of_jira(8005, "127.0.0.1"),
        Listener("tcp", "::", 8080, 700, "java", "session-1.scope"),
        Listener("tcp", "::", 8080, 701, "java", None),
        Listener("tcp", "::", 8080, 4711, "java", "jira.service"),
        Listener("tcp", "::", 8080, None, "unknown", None),
    ],
)
def test_meant_to_be_there(listener: Listener) -> None:
    assert judge(listener) == []


@pytest.mark.parametrize(
    ("listener", "what"),
    [
        (of_other(9100), "tcp 0.0.0.0:9100 (other, other.service)"),
        (of_other(9100, "192.0.2.10"), "tcp 192.0.2.10:9100 (other, other.service)"),
        (of_other(9100, "2001:db8::1"), "tcp [2001:db8::1]:9100 (other, other.service)"),
        (of_other(443, protocol="udp"), "udp 0.0.0.0:443 (other, other.service)"),
        (of_other(22, protocol="udp"), "udp 0.0.0.0:22 (other, other.service)"),
        (of_other(68, protocol="udp"), "udp 0.0.0.0:68 (other, other.service)"),
        (of_other(68, process="dhclient"), "tcp 0.0.0.0:68 (dhclient, dhclient.service)"),
        (of_other(8080), "tcp 0.0.0.0:8080 (other, other.service)"),
        (of_jira(8080, protocol="udp"), "udp [::]:8080 (java, jira.service)"),
        (of_jira(45678), "tcp [::]:45678 (java, jira.service)"),
        (Listener("udp", "0.0.0.0", 51820, None, "kernel", None), "udp 0.0.0.0:51820 (kernel)"),
        (
            Listener("tcp", "0.0.0.0", 9000, 5, "sshd", "session-1.scope", forwarded=True),
            "tcp 0.0.0.0:9000 (sshd, session-1.scope, forwarded by a session)",
        ),
    ],
)
def test_not_declared(listener: Listener, what: str) -> None:
    [found] = judge(listener)
    assert found["what"] == what
    assert "atlassian_dc_firewall_services" in found["expected"]


def test_ports_of_products_that_are_for_nobody() -> None:
    assert judge(of_jira(5005, "192.0.2.10"), of_jira(8005)) == [
        {
            "what": "tcp 192.0.2.10:5005 (java, jira.service)",
            "expected": "closed: debugger of jira, for nobody",
            "actual": "listens on a public address",
        },
        {
            "what": "tcp [::]:8005 (java, jira.service)",
            "expected": "bound to loopback: shutdown of jira, for this host only",
            "actual": "listens on all addresses",
        },
    ]


def test_cluster_port_without_a_cluster() -> None:
    [found] = judge(of_jira(40001), instances=[{**JIRA, "cluster": None}])
    assert "jira, which is not in a cluster" in found["expected"]


def test_somebody_may_reach_it_by_another_product() -> None:
    synchrony = {
        **{"name": "synchrony", "unit": "jira.service", "pid": 700},
        "ports": [{"name": "http", "port": 8005, "protocol": "tcp", "from": "proxy"}],
    }
    assert judge(of_jira(8005), instances=[JIRA, synchrony]) == []


def test_product_that_was_not_told_apart() -> None:
    unknown = {"name": "jira", "unit": None, "pid": None, "companions": None, "ports": JIRA["ports"]}
    assert judge(of_jira(8080), instances=[unknown]) == []
    assert len(judge(of_jira(8080), instances=[{"name": "jira", "ports": None}])) == 1


def test_declared() -> None:
    service = Declared("tcp", ((9100, 9100), (9200, 9202)))
    assert judge(*(of_other(port) for port in (9100, 9200, 9202)), declared=iter([service])) == []
    assert len(judge(of_other(9203), of_other(9100, protocol="udp"), declared=[service])) == 2


def test_ipv4_and_ipv6_together() -> None:
    [found] = judge(of_other(9100), of_other(9100), of_other(9100, "::"))
    assert found["what"] == "tcp 0.0.0.0:9100 and [::]:9100 (other, other.service)"


@given(st.permutations([of_other(9100), of_other(9100, process="b"), of_other(53, protocol="udp"), of_jira(5005)]))
def test_order(listeners: list[Listener]) -> None:
    assert [item["what"] for item in judge(*listeners)] == [
        "tcp [::]:5005 (java, jira.service)",
        "tcp 0.0.0.0:9100 (b, b.service)",
        "tcp 0.0.0.0:9100 (other, other.service)",
        "udp 0.0.0.0:53 (other, other.service)",
    ]
