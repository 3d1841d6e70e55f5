#!/usr/bin/python
# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: packages
short_description: Install packages and touch nothing else by it
version_added: 0.2.0
author:
  - the atlassian_dc.hardening contributors (@atlassian-dc-hardening)
description:
  - Makes sure that packages are installed, by C(apt-get) or C(dnf), whichever the host has. One that is installed is
    left in its version.
  - Check mode asks C(dpkg) or C(rpm) only, so it predicts the same on a host that has no package lists yet. Whether
    a repository offers the package is seen in the real run.
  - The lists of apt are fetched only where they do not have a package, or have one that the repository does not have
    any more.
  - Packages come without what they only recommend. None is removed for them. Changed configuration files stay.
  - No service of another package is restarted, neither by needrestart nor by scripts of packages.
  - A rollback leaves packages installed and names them.
options:
  names:
    description:
      - Names of the packages, as this host's system calls them.
    type: list
    elements: str
    required: true
  state:
    description:
      - V(present), the only one, makes sure that they are installed.
    type: str
    choices: [present]
    default: present
  start:
    description:
      - Whether services that a package brings are started and enabled as it wants them. V(false) leaves those of a
        package that is installed now stopped and disabled, for they need to be configured first.
      - Refused where C(/usr/sbin/policy-rc.d) of the host lets them start.
    type: bool
    default: true
  lock_timeout:
    description:
      - How long another program that is using the package manager is waited for, in seconds.
    type: int
    default: 300
notes:
  - For tasks that carry no ids of controls. Modules that judge controls install what they need by themselves.
extends_documentation_fragment:
  - atlassian_dc.hardening.attributes
  - atlassian_dc.hardening.record
"""

EXAMPLES = r"""
- name: Have the tool that shows folders as trees
  atlassian_dc.hardening.packages:
    names: [tree]

- name: Have fail2ban, but do not let it start before it is configured
  atlassian_dc.hardening.packages:
    names: [fail2ban, python3-systemd]
    start: false
"""

RETURN = r"""
installed:
  description: Packages that were installed, or would be in check mode.
  returned: always
  type: list
  elements: str
  sample: [tree]
versions:
  description: Versions of the packages in the end; null for one that is not installed.
  returned: always
  type: dict
  sample: {tree: 2.1.0-1}
dc_changes:
  description: What was changed, or would be in check mode.
  returned: always
  type: list
  elements: dict
  sample: [{target: package tree, attribute: existence, before: absent, after: installed}]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._changes import ChangeError, Changes
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._packages import (
    LOCK_SECONDS,
    check_name,
    package_manager,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._recorder import RECORD_ARGUMENTS


def main() -> None:
    """Install what is missing."""
    module = AnsibleModule(
        argument_spec={
            "names": {"type": "list", "elements": "str", "required": True},
            "state": {"type": "str", "choices": ["present"], "default": "present"},
            "start": {"type": "bool", "default": True},
            "lock_timeout": {"type": "int", "default": LOCK_SECONDS},
            **RECORD_ARGUMENTS,
        },
        supports_check_mode=True,
    )
    names = list(dict.fromkeys(module.params["names"]))
    try:
        for name in names:
            check_name(name)
        manager = package_manager(module.run_command, module.params["lock_timeout"])
    except ChangeError as exc:
        module.fail_json(msg=str(exc))
    changes = Changes.of(module)

    def version(name: str) -> str | None:
        try:
            return manager.state(name).version
        except ChangeError:  # it has been told
            return None

    problem = ""
    try:
        manager.ensure(changes, *names, start=module.params["start"])
    except ChangeError as exc:
        problem = str(exc)
    installed = [entry["target"].partition(" ")[2] for entry in changes.entries]
    changes.exit(module, problem, installed=installed, versions={name: version(name) for name in names})


if __name__ == "__main__":
    main()
