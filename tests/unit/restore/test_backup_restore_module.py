# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of the results of drills, on the controller too."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.action.backup_restore import ActionModule
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._changes import Changes
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._restore_result import Check, Result, utc
from ansible_collections.atlassian_dc.hardening.plugins.modules import backup_restore
from ansible_collections.atlassian_dc.hardening.plugins.modules.backup_restore import complaint
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._control_action import ControlAction
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._drills import DrillError, Drills
from unit.restore.manifests import BACKUP

KEY = "jira1-jira"
JIRA = {"name": "jira", "product": "jira", "cluster": None}


def result(outcome: str) -> Result:
    when = utc(time.time())
    return Result(KEY, BACKUP, "jira", "drill1", when, when, 1, (Check("database", outcome, "said", 1.0),))


@pytest.mark.parametrize(
    ("given", "keys"),
    [
        ({"key": "other"}, ["other"]),
        ({}, [KEY]),
        ({"instances": []}, None),
        ({"without": ["jira"]}, None),
    ],
)
def test_a_host_tries_the_backups_of_its_own_instances(given: dict[str, Any], keys: list[str] | None) -> None:
    params = {"key": None, "instances": [JIRA], "without": [], "host": "jira1", "folder": "/", **given}
    module = SimpleNamespace(params=params, run_command=lambda *_argv, **_more: (0, "", ""))
    assert backup_restore.Drills(cast(Any, module), Changes(True))._keys() == keys


def test_what_has_not_passed_is_told() -> None:
    assert complaint(result("failed")) == f"backup {BACKUP} of {KEY} failed: database: said"
    assert complaint(result("not tried")) == f"backup {BACKUP} of {KEY} could not be tried as a whole: database: said"


class Module:
    """Stands for the module: returns one result, and keeps what it was called with."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, result: dict[str, Any]) -> None:
        self.called: dict[str, Any] = {}
        self.result = result
        monkeypatch.setattr(ControlAction, "execute", lambda _self, arguments, _vars: self.run(arguments))

    def run(self, arguments: dict[str, Any]) -> dict[str, Any]:
        self.called = arguments
        return self.result


def action(**given: Any) -> tuple[ActionModule, dict[str, Any]]:
    found = ActionModule.__new__(ActionModule)
    found._task = SimpleNamespace(args=given, check_mode=True)
    return found, found.module_arguments({"inventory_hostname": "jira1"})


def test_the_module_is_told_of_products() -> None:
    _plugin, arguments = action(action="plan")
    assert arguments["logins"]["jira"][0]["path"] == "dbconfig.xml"
    assert not {"copies", "record"} & set(arguments)


@pytest.mark.parametrize(("name", "kept"), [("drill_result", True), ("restore_result", False)])
def test_only_results_of_drills_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, kept: bool
) -> None:
    plugin, arguments = action(action=name, copies=str(tmp_path))
    Module(monkeypatch, {"trials": {KEY: {"outcome": "passed", "text": "text"}}})
    assert plugin.execute(arguments, {})["trials"] == {KEY: {"outcome": "passed"}}
    assert Drills(str(tmp_path)).path(KEY).exists() == kept


def test_a_result_that_cannot_be_kept_fails_the_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "kept").touch()
    plugin, arguments = action(action="drill_result", copies=str(tmp_path / "kept"))
    Module(monkeypatch, {"trials": {KEY: {"outcome": "passed", "text": "text"}}})
    told = plugin.execute(arguments, {})
    assert told["failed"]
    assert "kept" in told["msg"]


def test_results_are_kept_on_the_controller(tmp_path: Path) -> None:
    drills = Drills(str(tmp_path / "kept"))
    assert drills.read([KEY]) == {}
    drills.keep(KEY, "first")
    drills.keep(KEY, "second")
    assert drills.read([KEY, "other"]) == {KEY: "second"}
    assert [path.name for path in (tmp_path / "kept").iterdir()] == [f"{KEY}.drill.json"]
    assert (tmp_path / "kept").stat().st_mode & 0o777 == 0o700
    assert drills.path(KEY).stat().st_mode & 0o777 == 0o600


def test_a_folder_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / "kept").touch()
    for action in (lambda drills: drills.keep(KEY, "x"), lambda drills: drills.read([KEY])):
        with pytest.raises(DrillError, match=r"kept"):
            action(Drills(str(tmp_path / "kept")))
