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
      - Under which name the state before each change is saved on the host, in C(/var/lib/atlassian-dc/runs).
      - Filled in with the name of the run and the role; nothing is saved when the module is used by itself.
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
