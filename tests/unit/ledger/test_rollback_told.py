# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ledger tells at the end what a rollback did. The module itself never runs here: it would change this machine."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from ansible.errors import AnsibleActionFail
from ansible_collections.atlassian_dc.hardening.plugins.action.rollback import ActionModule
from ansible_collections.atlassian_dc.hardening.plugins.callback.ledger import ROLLBACK, CallbackModule
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils import _ledger
from unit.report.test_rollback_terminal import RUN


@pytest.fixture
def callback(monkeypatch: pytest.MonkeyPatch) -> CallbackModule:
    monkeypatch.setattr(_ledger, "ACTIVE", None)
    plugin = CallbackModule()
    told: list[str] = []
    monkeypatch.setattr(plugin, "_display", SimpleNamespace(display=told.append, columns=120))
    plugin.told = told
    for name in ("a", "b"):
        plugin._ledger.host(name)
    return plugin


def play(plugin: Any, check_mode: bool = False, action: str = ROLLBACK) -> None:
    task = SimpleNamespace(action=action, tags=[])
    one = SimpleNamespace(roles=[], tasks=[task], pre_tasks=[], post_tasks=[], check_mode=check_mode)
    plugin.v2_playbook_on_start(SimpleNamespace(get_plays=lambda: [one]))


def result(host: str, check_mode: bool = False, **data: Any) -> Any:
    task = SimpleNamespace(action=ROLLBACK, resolved_action=ROLLBACK, tags=[], get_name=lambda: "Restore", _parent=None)
    fields = {"check_mode": check_mode}
    return SimpleNamespace(task=task, host=SimpleNamespace(name=host), result=data, task_fields=fields)


def end(plugin: Any, **failures: int) -> str:
    plugin.v2_playbook_on_stats(SimpleNamespace(failures=failures))
    return "\n".join(plugin.told)


def test_the_last_word_of_the_module_counts(callback: Any) -> None:
    play(callback)
    callback.v2_runner_on_ok(result("a", check_mode=True, **{**RUN, "paths": 1}))
    callback.v2_runner_on_ok(result("a", **RUN))
    text = end(callback)
    assert "put back: 4066 paths" in text
    assert "would be" not in text
    assert "b: not reached" in text


def test_check_mode_is_told_as_such(callback: Any) -> None:
    play(callback, check_mode=True)
    callback.v2_runner_on_ok(result("a", check_mode=True, **RUN))
    text = end(callback)
    assert "nothing was changed" in text
    assert "would be put back: 4066 paths" in text


def test_a_failure_is_told_with_what_came_back(callback: Any) -> None:
    play(callback)
    callback.v2_runner_on_failed(result("a", **RUN, msg="run x is not taken back as a whole: /etc: disk full"))
    callback.v2_runner_on_failed(result("b", msg="run 'y' is later than 'x'"))
    text = end(callback, a=1, b=1)
    assert "a: task 'Restore' failed: run x is not taken back as a whole" in text
    assert "put back: 4066 paths" in text
    assert "b: NOT taken back: task 'Restore' failed: run 'y' is later than 'x'" in text


def test_a_run_without_a_rollback_tells_of_none(callback: Any) -> None:
    play(callback, action="ansible.builtin.debug")
    assert end(callback) == ""


def test_a_stop_by_the_preflight_says_enough(callback: Any) -> None:
    play(callback)
    callback._ledger.stopped.append("unknown variable")
    assert end(callback) == ""


def arguments(*roles: str) -> dict[str, Any]:
    plugin: Any = object.__new__(ActionModule)
    plugin._task = SimpleNamespace(args={"roles": list(roles)}, check_mode=True)
    return dict(plugin.module_arguments({}))


def test_ids_of_controls_are_refused_and_the_role_named() -> None:
    with pytest.raises(
        AnsibleActionFail, match=r"by role, not by control .DC-DIR-01, DC-DIR-02.: use --tags file_perm"
    ):
        arguments("service_user", "DC-DIR-01", "DC-DIR-02")


def test_names_of_roles_go_through() -> None:
    assert arguments("service_user", "role_of_ours")["roles"] == ["service_user", "role_of_ours"]
