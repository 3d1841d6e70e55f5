# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: merge_audit_coverage
short_description: Raise the coverage of an audit log, and lower none
version_added: 0.5.0
author:
  - the atlassian_dc.hardening contributors (@atlassian-dc-hardening)
description:
  - Of each area the higher of two levels remains, C(off), C(base), C(advanced) or C(full).
  - Areas and levels may be written as in REST (C(user-management)) or as in entries of the audit log
    (C(USER_MANAGEMENT)).
positional: _input, wanted
options:
  _input:
    description: Level by area as it is, C(levelByArea) of what REST answers.
    type: dict
    required: true
  wanted:
    description: The least level by area.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: What is full stays full
  ansible.builtin.assert:
    that:
      - >-
        merged == {'security': 'full', 'user-management': 'advanced', 'permissions': 'base'}
  vars:
    merged: >-
      {{ {'security': 'full', 'user-management': 'base'} | atlassian_dc.hardening.merge_audit_coverage(
           {'SECURITY': 'ADVANCED', 'USER_MANAGEMENT': 'ADVANCED', 'permissions': 'base'}) }}
"""

RETURN = r"""
_value:
  description: Level by area, in the names that REST has for them.
  type: dict
  sample: {security: full}
"""

from collections.abc import Callable
from typing import Any

from ansible_collections.atlassian_dc.hardening.plugins.module_utils._audit_coverage import merge_coverage
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._filters import mapping, told


@told
def merge_audit_coverage(value: Any, wanted: Any) -> dict[str, str]:
    """Return the coverage that writes all that either does."""
    return merge_coverage(mapping(value), mapping(wanted, "wanted"))


class FilterModule:
    """The filter."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter by its name."""
        return {"merge_audit_coverage": merge_audit_coverage}
