#!/usr/bin/python
# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rollback
short_description: Take back what a run has changed on a host
version_added: 0.2.0
author:
  - the atlassian_dc.hardening contributors (@atlassian-dc-hardening)
description:
  - Every real run saves on the host what it is about to change, in C(/var/lib/atlassian-dc/runs), for the last five
    runs that changed something. This module restores contents, owners, modes, times, access lists and properties of
    accounts from such a record, the last change first.
  - What somebody has changed since the run, or what the product has replaced, is left alone. What could not be restored
    is named in RV(kept).
  - Accounts that the run made stay, for files may belong to them, and so do packages it installed.
  - Where the disk is full or broken, the rest is restored and the module fails. The run then does not count as taken
    back, so the same can be done again.
  - Rules of the firewall are put in force as they were before. Where those would cut the connection in use, all that
    the role of the firewall has changed stays, and is named in RV(kept).
  - Settings that a product itself was told are put back over REST, which takes O(credentials) and a product that runs.
    One that somebody has changed since is left alone.
  - A running product is not touched otherwise. Units whose drop-ins are restored are returned in RV(units), so that a
    playbook can stop and start them around this module.
  - In a playbook that loads the ledger, what was restored is told for all hosts at the end of the run.
options:
  run:
    description:
      - Name of the run to take back. Runs after it have to be taken back first.
      - The last run that left something to take back when unset.
    type: str
  roles:
    description:
      - Names of the roles whose changes are taken back; all when unset.
    type: list
    elements: str
  stopped:
    description:
      - Units that are stopped around this module, so that in check mode they do not count as RV(still_running).
    type: list
    elements: str
    default: []
  listed_changes:
    description:
      - Most changes listed one by one in RV(dc_changes) and in the diff. All are counted.
    type: int
    default: 200
  instances:
    description:
      - Instances whose settings are put back, as C(ansible_facts.atlassian_dc.instances) lists them.
    type: list
    elements: dict
    default: []
    version_added: 0.5.0
attributes:
  idempotent:
    support: partial
    details:
      - Without O(run) each run takes back an earlier one.
extends_documentation_fragment:
  - atlassian_dc.hardening.attributes
  - atlassian_dc.hardening.product_rest
  - atlassian_dc.hardening.record
"""

EXAMPLES = r"""
- name: Take back the permissions that the last run has set
  atlassian_dc.hardening.rollback:
    roles: [file_permissions]
"""

RETURN = r"""
run:
  description: Name of the run that was taken back, empty when there was none.
  returned: always
  type: str
  sample: 20261123T231500Z-9f3c
begin:
  description: When that run made its first change on the host.
  returned: when there was one
  type: str
  sample: "2026-11-23T23:15:04Z"
roles:
  description: Roles whose changes were taken back.
  returned: always
  type: list
  elements: str
  sample: [service_user, file_permissions]
paths:
  description: How many paths were restored, or would be in check mode.
  returned: always
  type: int
  sample: 4066
accounts:
  description: Accounts of which properties were restored.
  returned: always
  type: list
  elements: str
  sample: [jira]
settings:
  description: Settings of products that were put back, with the name of the instance before them.
  returned: always
  type: list
  elements: str
  sample: ["jira: audit_exclusions"]
  version_added: 0.5.0
firewall:
  description: What rules of the collection's firewall were put in force again, in words; empty where none were.
  returned: always
  type: str
  sample: none of ours
  version_added: 0.3.0
kept:
  description: What was not restored, with the reason.
  returned: always
  type: list
  elements: str
  sample: ["/etc/sudoers.d/jira: somebody has changed it since"]
stay:
  description: Accounts and groups that the run made, and packages it installed. They stay.
  returned: always
  type: list
  elements: str
  sample: ["group jira", "account jira"]
units:
  description: Units whose drop-ins were restored.
  returned: always
  type: list
  elements: str
  sample: [jira.service]
still_running:
  description: Those of RV(units) whose products go on running as they were started.
  returned: always
  type: list
  elements: str
  sample: []
dc_changes:
  description: The first of what was restored, or would be in check mode, at most O(listed_changes).
  returned: always
  type: list
  elements: dict
"""

import os
import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._firewall_host import TARGET, why_not_back
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._lock import HostLock, LockError
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._recorder import (
    RECORD_ARGUMENTS,
    STATE,
    begin_of_run,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._rollback import (
    Rollback,
    RollbackError,
    choose_run,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._settings_back import SettingsBack
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._settings_places import (
    CONNECTION_ARGUMENTS,
    products_of,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._sockets import connection_in_use


def words(change: dict[str, str]) -> str:
    """Return a change as a line of the diff."""
    what = "" if change["attribute"] == "permissions" else f"{change['attribute']}: "
    return f"{change['target']}: {what}{change['before']} -> {change['after']}\n"


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "run": {"type": "str"},
            "roles": {"type": "list", "elements": "str"},
            "stopped": {"type": "list", "elements": "str", "default": []},
            "listed_changes": {"type": "int", "default": 200},
            **CONNECTION_ARGUMENTS,
            "instances": {"type": "list", "elements": "dict", "default": []},
            **RECORD_ARGUMENTS,
        },
        supports_check_mode=True,
    )
    roles = module.params["roles"]
    try:
        lock = HostLock.of(module.params, module.check_mode)
        name, lines = choose_run(module.params["run"], roles)
    except (LockError, RollbackError) as exc:
        module.fail_json(msg=str(exc))
    folder = os.path.join(STATE, "runs", name)
    products = {product.name: product for product in products_of(module)}
    put_back = SettingsBack(products, module.check_mode)
    rollback = Rollback(folder, module.check_mode, module.run_command, put_back)
    stays = why_not_back(lines, module.run_command, connection_in_use())
    if stays is not None:
        rollback.kept.append(f"firewall: {stays}")
        of_firewall = {line["role"] for line in lines if line.get("target") == TARGET}
        lines = [line for line in lines if line["role"] not in of_firewall]
        roles = sorted({line["role"] for line in lines if line["role"]})
    rollback.run(lines)
    for product in products.values():
        product.close()
    if lines and not module.check_mode and not rollback.faults:
        rollback.note_undone(roles)
    if lock is not None:
        lock.release()
    # Trees come by the thousand; what is rare is shown first.
    listed = max(module.params["listed_changes"], 0)
    shown = sorted(rollback.restored, key=lambda item: item["attribute"] == "permissions")[:listed]
    beyond = len(rollback.restored) - len(shown)
    result = {
        "changed": bool(rollback.restored),
        "run": name,
        "roles": sorted({line["role"] for line in lines if line["role"]}),
        "paths": rollback.paths,
        "accounts": rollback.targets("account"),
        "settings": [item["target"] for item in rollback.restored if item["attribute"] == "setting"],
        "firewall": next((item["after"] for item in rollback.restored if item["target"] == TARGET), ""),
        "kept": rollback.kept,
        "stay": rollback.stay,
        "units": sorted(rollback.units),
        "still_running": rollback.still_running(module.params["stopped"]),
        "dc_changes": shown,
        "diff": {"prepared": "".join(map(words, shown)) + (f"and {beyond} more\n" if beyond else "")},
    }
    begin = begin_of_run(folder) if name else None
    if begin is not None:
        result["begin"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(begin))
    if rollback.faults:
        others = f" and {len(rollback.faults) - 1} more" if len(rollback.faults) > 1 else ""
        why = f"{rollback.faults[0]}{others}"
        module.fail_json(
            msg=f"run {name} is not taken back as a whole: {why}. Put that right and roll back again", **result
        )
    module.exit_json(**result)


if __name__ == "__main__":
    main()
