# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the controller does for the modules of log shipping: it knows the logs, and signs certificates."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible_collections.atlassian_dc.hardening.plugins.action import log_collector, log_shipping
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._certified_action import host_name
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._control_action import ControlAction
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from unit.log_shipping.test_authority import names_of, request

Execute = Callable[[dict[str, Any]], dict[str, Any]]


@pytest.fixture
def executed(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Give what the module is called with; it asks for a certificate until it has one."""
    calls: list[dict[str, Any]] = []

    def execute(_self: ControlAction, arguments: dict[str, Any], _task_vars: dict[str, Any]) -> dict[str, Any]:
        calls.append(dict(arguments))
        if arguments.get("issued"):
            return {"changed": True, "dc_changes": ["cert"], "diff": ["two"], "dc_findings": ["found"]}
        return {"changed": True, "dc_changes": ["key"], "diff": ["one"], "dc_findings": [], "csr": request()}

    monkeypatch.setattr(ControlAction, "execute", execute)
    return calls


def run(module: Any, folder: Path, **arguments: Any) -> dict[str, Any]:
    action = module.ActionModule.__new__(module.ActionModule)
    return dict(action.execute({"ca_dir": str(folder / "ca"), "certificate_days": 30, **arguments}, {}))


def test_a_certificate_is_signed_between_two_executions(executed: list[dict[str, Any]], tmp_path: Path) -> None:
    result = run(log_shipping, tmp_path, node="Node_1")
    assert [call.get("issued") is not None for call in executed] == [False, True]
    assert names_of(executed[1]["issued"]["cert"]) == ["shipper.atlassian-dc.internal", "node-1"]
    assert executed[1]["issued"]["ca"] == executed[1]["authority"]
    assert result == {"changed": True, "dc_changes": ["key", "cert"], "diff": ["one", "two"], "dc_findings": ["found"]}


def test_a_collector_gets_one_with_which_it_may_serve(executed: list[dict[str, Any]], tmp_path: Path) -> None:
    run(log_collector, tmp_path, collector="logs1")
    signed = x509.load_pem_x509_certificate(executed[1]["issued"]["cert"].encode())
    usage = signed.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.SERVER_AUTH]


def test_a_broken_authority_is_told(executed: list[dict[str, Any]], tmp_path: Path) -> None:
    (tmp_path / "ca").write_text("a file")
    with pytest.raises(AnsibleActionFail, match="authority"):
        run(log_shipping, tmp_path, node="node1")
    assert executed == []


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (AnsibleConnectionFailure("no route"), "does not reach"),
        ({"failed": True, "msg": "the disk is full"}, "the disk is full"),
    ],
)
def test_a_collector_that_fails_stops_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, failure: Any, words: str
) -> None:
    def execute(*_arguments: Any) -> dict[str, Any]:
        if isinstance(failure, Exception):
            raise failure
        return dict(failure)

    monkeypatch.setattr(ControlAction, "execute", execute)
    result = run(log_collector, tmp_path, collector="logs1")
    assert words in result["refused"][0]
    assert not result.get("failed")


def test_the_module_is_told_of_the_products_of_the_host_alone() -> None:
    action = log_shipping.ActionModule.__new__(log_shipping.ActionModule)
    instances = [{"name": "jira", "product": "jira"}]
    action._task = SimpleNamespace(args={"instances": instances}, check_mode=True)
    found = action.module_arguments({"inventory_hostname": "node1"})
    assert found["node"] == "node1"
    assert list(found["products"]) == ["jira"]
    assert {"logs", "log_formats"} == set(found["products"]["jira"])


def test_names_of_hosts() -> None:
    assert host_name("Node_1.example.COM") == "node-1.example.com"
    assert host_name("__") == "host"
