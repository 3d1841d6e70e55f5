# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """Option of every module that changes a host."""

    DOCUMENTATION = r"""
options:
  record:
    description:
      - In whose name the host is changed. The state before each change is saved on the host under the name of the run,
        in C(/var/lib/atlassian-dc/runs), and no other run changes the host while the module does.
      - Filled in with the name of the run and the role. When the module is used by itself, nothing is saved and no
        other run kept away.
    type: dict
    suboptions:
      run:
        description: Name of the run, the same for all its tasks.
        type: str
        required: true
      role:
        description: Role that makes the changes, so that they can be taken back by role.
        type: str
"""
