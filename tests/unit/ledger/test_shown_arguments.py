# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Results tell the arguments of a task, not the product data that action plugins add for their modules."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from ansible.plugins.action import ActionBase
from ansible_collections.atlassian_dc.hardening.plugins.action.log_retention import ActionModule as Judging
from ansible_collections.atlassian_dc.hardening.plugins.action.product_accounts_info import ActionModule as Asking
from ansible_collections.atlassian_dc.hardening.plugins.action.product_info import ActionModule as Finding

GIVEN = {"instances": [{"product": "jira", "name": "jira"}]}


@pytest.mark.parametrize("plugin", [Judging, Asking, Finding])
@pytest.mark.parametrize("told", [True, False])
def test_results_tell_what_the_task_said(monkeypatch: pytest.MonkeyPatch, plugin: Any, told: bool) -> None:
    handed: dict[str, Any] = {}

    def execute(_self: ActionBase, module_args: dict[str, Any], **_more: Any) -> dict[str, Any]:
        handed.update(module_args)
        # As a module tells them, with its defaults; ansible-core 2.21 and newer leave them out.
        shown = {"invocation": {"module_args": {"days": 30, **module_args}}} if told else {}
        return {"ansible_facts": {}, **shown}

    monkeypatch.setattr(ActionBase, "run", lambda *_arguments: {})
    monkeypatch.setattr(ActionBase, "_execute_module", execute)
    action = plugin.__new__(plugin)
    action._task = SimpleNamespace(
        args=dict(GIVEN), check_mode=True, tags=[], resolved_action="atlassian_dc.hardening.some"
    )
    result = action.run(None, {})
    assert handed["products"]
    assert result.get("invocation") == ({"module_args": {"days": 30, **GIVEN}} if told else None)
