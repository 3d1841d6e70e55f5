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
    runs. This module restores contents, owners, modes, times, access lists and properties of accounts from such a
    record, the last change first.
  - What somebody has changed since the run, or what the product has replaced, is left alone. What could not be restored
    is named in RV(kept).
  - Accounts that the run made stay, for files may belong to them.
  - Where the disk is full or broken, the rest is restored and the module fails. The run then does not count as taken
    back, so the same can be done again.
  - A running product is not touched. Units whose drop-ins are restored are returned in RV(units), so that a playbook
    can stop and start them around this module.
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
attributes:
  idempotent:
    support: partial
    details:
      - Without O(run) each run takes back an earlier one.
extends_documentation_fragment:
  - atlassian_dc.hardening.attributes
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
kept:
  description: What was not restored, with the reason.
  returned: always
  type: list
  elements: str
  sample: ["/etc/sudoers.d/jira: somebody has changed it since; left as it is"]
units:
  description: Units whose drop-ins were restored.
  returned: always
  type: list
  elements: str
  sample: [jira.service]
dc_changes:
  description: What was restored, or would be in check mode.
  returned: always
  type: list
  elements: dict
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._lock import HostLock, LockError
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._recorder import RECORD_ARGUMENTS, STATE
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._rollback import (
    Rollback,
    RollbackError,
    choose_run,
)

DIFF_LINES = 200


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={"run": {"type": "str"}, "roles": {"type": "list", "elements": "str"}, **RECORD_ARGUMENTS},
        supports_check_mode=True,
    )
    roles = module.params["roles"]
    try:
        lock = HostLock.of(module.params, module.check_mode)
        name, lines = choose_run(module.params["run"], roles)
    except (LockError, RollbackError) as exc:
        module.fail_json(msg=str(exc))
    folder = os.path.join(STATE, "runs", name)
    rollback = Rollback(folder, module.check_mode, module.run_command)
    rollback.run(lines)
    if lines and not module.check_mode and not rollback.faults:
        rollback.note_undone(roles)
    if lock is not None:
        lock.release()
    # Trees come by the thousand; what is rare is shown first.
    shown = sorted(rollback.restored, key=lambda item: item["attribute"] == "permissions")[:DIFF_LINES]
    beyond = len(rollback.restored) - len(shown)
    more = f"and {beyond} more\n" if beyond else ""
    result = {
        "changed": bool(rollback.restored),
        "run": name,
        "kept": rollback.kept,
        "units": sorted(rollback.units),
        "dc_changes": rollback.restored,
        "diff": {
            "before": "".join(f"{item['target']}: {item['before']}\n" for item in shown) + more,
            "after": "".join(f"{item['target']}: {item['after']}\n" for item in shown) + more,
        },
    }
    if rollback.faults:
        others = f" and {len(rollback.faults) - 1} more" if len(rollback.faults) > 1 else ""
        why = f"{rollback.faults[0]}{others}"
        module.fail_json(
            msg=f"run {name} is not taken back as a whole: {why}. Put that right and roll back again", **result
        )
    module.exit_json(**result)


if __name__ == "__main__":
    main()
