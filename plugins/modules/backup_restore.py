#!/usr/bin/python
# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_restore
short_description: Try backups of Data Center products, and judge whether that was done
version_added: 0.7.0
description:
  - Has a host restore backups to a scratch folder and a scratch database, compare both with what was noted when the
    backups were made, and remove them. No product is started.
  - Judges whether that was done and went well (V(DC-BKP-04)).
  - What takes long is done by a unit of its own, which O(action=drill) starts and O(action=drill_result) asks for.
options:
  action:
    description:
      - V(drill) begins a drill.
      - V(drill_result) tells whether it still runs, and what it has found.
      - V(judge) judges the last ones.
    type: str
    required: true
    choices: [drill, drill_result, judge]
  repository:
    description: The repository of restic.
    type: dict
    suboptions:
      url:
        description: Its address.
        type: str
        required: true
      password:
        description: What it is encrypted with.
        type: str
        required: true
      environment:
        description: Environment variables that restic needs to reach it.
        type: dict
        default: {}
  packages:
    description:
      - What has to be installed for O(action=drill).
      - Undefined, the names of this operating system are not known.
    type: list
    elements: str
  key:
    description: Instance in the repository of which a backup is tried. Undefined, the newest of each.
    type: str
  backup:
    description: Name of the backup, or V(latest).
    type: str
    default: latest
  read_data:
    description: How much of the repository's data is read beside that, as restic takes it.
    type: str
    default: 5%
  folder:
    description: Where the scratch folder is made. It takes as much space as the largest backup and its database.
    type: path
    default: /var/lib
  instances:
    description: The instances that O(action=judge) judges, as discovery describes them.
    type: list
    elements: dict
    default: []
  host:
    description:
      - Name of the host in the repository.
      - Filled in by the action plugin.
    type: str
  drills:
    description:
      - Results of drills by key, as they are kept on the controller.
      - Filled in by the action plugin.
    type: dict
    default: {}
  without:
    description:
      - Products of which there is nothing to back up.
      - Filled in by the action plugin from product data.
    type: list
    elements: str
    default: []
  max_age:
    description: Most days since the last drill.
    type: float
    default: 100
extends_documentation_fragment:
  - atlassian_dc.hardening.attributes
  - atlassian_dc.hardening.controls
seealso:
  - name: Restore
    description: What a drill looks at, how a backup is restored, and what happens when something fails.
    link: https://github.com/atlassian-dc-hardening/atlassian_dc.hardening/blob/main/docs/restore.md
author:
  - the atlassian_dc.hardening contributors (@atlassian-dc-hardening)
"""

EXAMPLES = r"""
- name: Begin to try the newest backups
  atlassian_dc.hardening.backup_restore:
    action: drill
    repository: "{{ atlassian_dc_backup_repository }}"
    packages: [restic, postgresql]

- name: Wait for it
  atlassian_dc.hardening.backup_restore:
    action: drill_result
  register: drill
  until: not drill.running
  retries: 100
  delay: 10

- name: Judge whether a restore was tried
  atlassian_dc.hardening.backup_restore:
    action: judge
    instances: "{{ ansible_facts.atlassian_dc.instances }}"
  tags: [DC-BKP-04]
"""

RETURN = r"""
dc_findings:
  description: What was found for the control.
  returned: with O(action=judge)
  type: list
  elements: dict
dc_changes:
  description: What was changed, or would be in check mode.
  returned: always
  type: list
  elements: dict
running:
  description: Whether the unit still runs.
  returned: with O(action=drill_result)
  type: bool
trials:
  description: What was found, by key. It is failed where any of them is not V(passed).
  returned: with O(action=drill_result)
  type: dict
  sample: {}
"""

import os
import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.atlassian_dc.hardening.plugins.module_utils import _restore_drill
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._backup_manifest import key_of_instance
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._changes import ChangeError, Changes
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._files import read_regular
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._findings import CONTROL_ARGUMENTS, Findings
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._packages import package_manager
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._restore_host import (
    ACCOUNT,
    Program,
    account_of,
    drill_properties,
    read_results,
    scratch_folder,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._restore_result import (
    FAILED,
    PASSED,
    Result,
    ResultError,
    judge,
    parse_result,
)

CONTROL = "DC-BKP-04"
MAX_RESULT = 1024 * 1024
STATE = "/var/lib/atlassian-dc-backup"
"""Where the host keeps what became of its backups."""
NAME = "drill.json"


class Drills:
    """Begins drills, and takes in what they have found.

    Args:
        module: the module.
        changes: through which to change things.

    """

    def __init__(self, module: AnsibleModule, changes: Changes) -> None:
        self._params = module.params
        self._changes = changes
        self._manager = package_manager(module.run_command)
        self.program = Program(ACCOUNT, _restore_drill.__name__.rpartition(".")[2], changes, module.run_command)

    def begin(self) -> None:
        """Begin one.

        Raises:
            ChangeError: it cannot be begun.

        """
        params, repository = self._params, self._params["repository"]
        if not repository:
            raise ChangeError("set atlassian_dc_backup_repository: it tells where the backups are")
        for name in params["packages"] or ():
            if self._manager.state(name).version is None:
                self._manager.ensure(self._changes, name, start=False)
        account = account_of(self._changes, repository["url"])
        scratch = scratch_folder(self._changes, params["folder"], account)
        config = {
            "key": params["key"],
            "backup": params["backup"],
            "read_data": params["read_data"],
            "scratch": scratch,
            "results": os.path.join(scratch, "results"),
            "sockets": f"/run/{ACCOUNT}-sockets",
        }
        properties = drill_properties(account, scratch, ACCOUNT)
        meant = params["key"] or "every instance"
        self.program.start(config, repository, properties, f"tries backup {params['backup']} of {meant}")

    def results(self) -> dict[str, Result]:
        """Return what the last one has found, and keep it for the audit.

        Raises:
            ChangeError: it has left nothing that can be used.

        """
        folder = os.path.join(self._params["folder"], ACCOUNT, "results")
        found: dict[str, Result] = {}
        for key, text in read_results(folder, MAX_RESULT).items():
            try:
                result = parse_result(text)
            except ResultError as exc:
                raise ChangeError(f"{folder}/{key}.json: {exc}") from exc
            if result.key != key:
                raise ChangeError(f"{folder}/{key}.json: is that of {result.key}")
            found[key] = result
        if not found:
            raise ChangeError(f"it has left no result: {self.program.journal() or 'and said nothing'}")
        for key, result in found.items():
            if result.backup:
                self._changes.write_file(f"{STATE}/{key}/{NAME}", result.to_json(), 0o644)
        return found


def judge_all(params: dict[str, Any], findings: Findings) -> None:
    """Judge the last drill of each instance.

    Args:
        params: the module's parameters.
        findings: where to put what was found.

    """
    instances = params["instances"]
    if not instances:
        findings.add(CONTROL, None, "not_applicable", "no product was found on this host")
    for instance in instances:
        if instance["product"] in params["without"] or instance.get("part_of"):
            findings.add(CONTROL, instance["name"], "not_applicable", "there is nothing to back up")
            continue
        key = key_of_instance(instance, params["host"])
        result, problem = last_drill(key, params["drills"].get(key))
        status, reason, proof = judge(
            result, problem, params["max_age"], time.time(), f"run playbook backup_drill for {key}"
        )
        findings.add(CONTROL, instance["name"], status, reason, proof)


def last_drill(key: str, kept: str | None, state: str = STATE) -> tuple[Result | None, str]:
    """Return the newest result that is known, and what is wrong with one that cannot be read.

    Args:
        key: of the instance.
        kept: that on the controller, None where there is none.
        state: where the host keeps its own.

    """
    texts: list[str | bytes] = [] if kept is None else [kept]
    found: list[Result] = []
    problem = ""
    path = f"{state}/{key}/{NAME}"
    try:
        texts.append(read_regular(path, MAX_RESULT)[0])
    except FileNotFoundError:
        pass
    except OSError as exc:
        problem = f"{path}: {exc.strerror}"
    for text in texts:
        try:
            result = parse_result(text)
        except ResultError as exc:
            problem = f"the result of the last drill cannot be used: {exc}"
            continue
        if result.key == key:
            found.append(result)
        else:
            problem = f"the result of the last drill is that of {result.key}"
    return max(found, key=lambda result: result.finished, default=None), problem


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "action": {"type": "str", "required": True, "choices": ["drill", "drill_result", "judge"]},
            "repository": {
                "type": "dict",
                "options": {
                    "url": {"type": "str", "required": True},
                    "password": {"type": "str", "required": True, "no_log": True},
                    "environment": {"type": "dict", "default": {}, "no_log": True},
                },
            },
            "packages": {"type": "list", "elements": "str"},
            "key": {"type": "str", "no_log": False},
            "backup": {"type": "str", "default": "latest"},
            "read_data": {"type": "str", "default": "5%"},
            "folder": {"type": "path", "default": "/var/lib"},
            "instances": {"type": "list", "elements": "dict", "default": []},
            "host": {"type": "str"},
            "drills": {"type": "dict", "default": {}},
            "without": {"type": "list", "elements": "str", "default": []},
            "max_age": {"type": "float", "default": 100},
            **CONTROL_ARGUMENTS,
        },
        supports_check_mode=True,
    )
    findings = Findings(module.params, (CONTROL,), module.check_mode)
    # What a drill makes is gone after it: there is nothing to take back.
    changes = Changes.of(module, recorded=False)
    result: dict[str, Any] = {}
    msg = ""
    try:
        if module.params["action"] == "judge":
            judge_all(module.params, findings)
            result["dc_findings"] = findings.results
        else:
            drills = Drills(module, changes)
            if module.params["action"] == "drill":
                drills.begin()
            else:
                result.update(running=drills.program.running, trials={})
                if not module.check_mode and not result["running"]:
                    found = drills.results()
                    drills.program.clean()
                    told = {key: {"outcome": each.outcome, "text": each.to_json()} for key, each in found.items()}
                    result["trials"] = told
                    msg = "; ".join(map(complaint, (each for each in found.values() if each.outcome != PASSED)))
    except ChangeError as exc:
        msg = str(exc)
    changes.exit(module, msg, **result)


def complaint(result: Result) -> str:
    """Return why a drill has not passed, in words."""
    said = "failed" if result.outcome == FAILED else "could not be tried as a whole"
    why = "; ".join(f"{check.name}: {check.detail}" for check in result.problems)
    return f"backup {result.backup or '(none)'} of {result.key} {said}: {why}"


if __name__ == "__main__":
    main()
