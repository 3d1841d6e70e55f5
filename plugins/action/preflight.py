# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._addresses import NAMES, Resolver
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._catalogue import load_catalogue
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._preflight import (
    WAITING,
    Resolved,
    check_run,
    check_variables,
    doubtful_tags,
    load_specification,
)

display = Display()


class ActionModule(ActionBase):
    """Checks what the user has set, on the controller, for all targeted hosts at once."""

    _supports_check_mode = True
    _requires_connection = False

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Fail with the list of all problems, if there is one."""
        task_vars = task_vars or {}
        result: dict[str, Any] = super().run(tmp, task_vars)
        self.validate_argument_spec({})
        specification = load_specification()
        catalogue = load_catalogue()
        resolver = Resolver(task_vars["hostvars"])
        waiting: set[str] = set()
        seen: dict[str, list[str]] = {}
        for host in task_vars["ansible_play_hosts_all"]:
            variables = self._variables(host, task_vars)
            for problem in check_variables(variables, specification, catalogue, resolver, waiting):
                seen.setdefault(problem, []).append(host)
        # A mistake in a group's variables is one mistake, however many hosts the group has.
        problems = [
            problem if len(hosts) == len(task_vars["ansible_play_hosts_all"]) else f"{', '.join(hosts)}: {problem}"
            for problem, hosts in seen.items()
        ]
        run_tags = task_vars.get("ansible_run_tags", ())
        problems = check_run(run_tags, catalogue) + problems
        result.update(changed=False, problems=problems)
        for warning in doubtful_tags(run_tags, self._task.tags):
            display.warning(warning)
        if problems:
            result.update(failed=True, msg="Nothing was touched. To be put right first:\n- " + "\n- ".join(problems))
        else:
            # Those of a task that runs once are those of all hosts: they all see the same addresses behind a name.
            result["ansible_facts"] = {NAMES: resolver.answers, WAITING: sorted(waiting)}
        return result

    def _variables(self, host: str, task_vars: dict[str, Any]) -> Mapping[str, Any]:
        """Return the variables of a host, with those that the import of the playbook has given: hostvars lacks them."""
        hosts = task_vars["hostvars"]
        given = {name: task_vars[name] for name in self._task.get_play().get_vars()}
        raw = {**hosts.raw_get(host), "hostvars": hosts, **given}
        return Resolved(raw, self._templar.copy_with_new_env(available_variables=raw))
