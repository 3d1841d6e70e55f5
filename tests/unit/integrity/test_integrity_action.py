# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the controller hands to the module, and what it keeps of what comes back."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.errors import AnsibleActionFail
from ansible_collections.atlassian_dc.hardening.plugins.action.file_integrity import ActionModule
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils import _ledger
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._catalogue import load_catalogue
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._control_action import ControlAction

INSTANCE = {"name": "jira", "product": "jira", "install_dir": "/opt/jira", "home_dir": "/srv/jira"}
HOST = {"inventory_hostname": "jira1"}


def action(**given: Any) -> tuple[ActionModule, dict[str, Any]]:
    found = ActionModule.__new__(ActionModule)
    found._task = SimpleNamespace(args={"instances": [INSTANCE], **given}, check_mode=True)
    return found, found.module_arguments(HOST)


class Module:
    """Stands for the module: returns one result after the other, and keeps what it was called with."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *results: dict[str, Any]) -> None:
        self.results = list(results)
        self.called: list[dict[str, Any]] = []
        monkeypatch.setattr(ControlAction, "execute", lambda _self, arguments, _vars: self.run(arguments))

    def run(self, arguments: dict[str, Any]) -> dict[str, Any]:
        self.called.append(dict(arguments))
        return self.results.pop(0)


def finding(status: str) -> dict[str, Any]:
    return {"control": "DC-FIM-03", "status": status, "reason": "", "evidence": []}


def test_what_is_watched_comes_from_product_data() -> None:
    _plugin, arguments = action(paths=["/srv/scripts"], exclude=["/opt/jira/x"], accept="jira,/opt")
    areas = {area["path"]: area["what"] for area in arguments["areas"]}
    assert areas["/opt/jira"] == "program file"
    assert areas["/srv/jira/plugins/installed-plugins"] == "app"
    assert areas["/srv/scripts"] == "file"
    assert "/opt/jira/x" in arguments["mutable"]
    assert arguments["accept"] == ["jira", "/opt"]
    assert not {"paths", "exclude", "copies"} & set(arguments)


def test_a_relative_path_is_refused() -> None:
    with pytest.raises(AnsibleActionFail, match="scripts"):
        action(paths=["scripts"])


def test_what_this_run_has_changed_is_told_as_far_as_it_is_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "changing" not in action()[1]
    ledger = _ledger.Ledger(load_catalogue())
    change = {"target": "/opt/jira/bin/setenv.sh", "attribute": "content", "before": "x", "after": "y"}
    ledger.host("jira1").changes = [change, {**change, "target": "/etc/passwd"}, {**change, "target": "account jira"}]
    monkeypatch.setattr(_ledger, "ACTIVE", ledger)
    assert action()[1]["changing"] == [change]


def test_the_first_baseline_is_kept_and_shown_to_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plugin, arguments = action(copies=str(tmp_path))
    result = {"baseline": base64.b64encode(b"base").decode(), "dc_findings": [finding("fixed")]}
    module = Module(monkeypatch, result)
    told = plugin.execute(arguments, HOST)
    assert "kept_sha256" not in module.called[0]
    assert "baseline" not in told
    assert (tmp_path / "jira1.db.gz").read_bytes() == b"base"
    assert told["dc_findings"] == [finding("fixed")]


def test_the_copy_is_handed_over_only_where_it_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "jira1.db.gz").write_bytes(b"base")
    plugin, arguments = action(copies=str(tmp_path))
    module = Module(monkeypatch, {"wants_kept": True}, {"wants_kept": False, "dc_findings": []})
    plugin.execute(arguments, HOST)
    first, second = module.called
    assert first["kept_sha256"] == hashlib.sha256(b"base").hexdigest()
    assert "kept_baseline" not in first
    assert base64.b64decode(second["kept_baseline"]) == b"base"


def test_a_copy_that_cannot_be_written_is_no_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "file"
    plugin, arguments = action(copies=str(folder))
    Module(monkeypatch, {"baseline": "", "dc_findings": [finding("fixed")]})
    monkeypatch.setattr(plugin._copies, "read", lambda: None)
    folder.write_text("")
    [told] = plugin.execute(arguments, HOST)["dc_findings"]
    assert told["status"] == "fail"
    assert str(folder) in told["reason"]
