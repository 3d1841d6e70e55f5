# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: version_compare
short_description: Compare versions of the products
version_added: 0.5.0
author:
  - the atlassian_dc.hardening contributors (@atlassian-dc-hardening)
description:
  - Compares two versions by their numbers.
  - C(10.3) and C(10.3.0) are the same. A version with something behind its numbers, such as C(10.0.0-EAP01), is a
    preview and comes before the release.
positional: _input, version, operator
options:
  _input:
    description: The version.
    type: str
    required: true
  version:
    description: The version it is compared with.
    type: str
    required: true
  operator:
    description: What must hold between them.
    type: str
    choices: ['==', '!=', '<', '<=', '>', '>=']
    default: '=='
"""

EXAMPLES = r"""
- name: An older release of a line
  ansible.builtin.assert:
    that: "'10.3.9' | atlassian_dc.hardening.version_compare('10.3.26', '<')"

- name: A preview comes before its release
  ansible.builtin.assert:
    that: "'10.0.0-EAP01' | atlassian_dc.hardening.version_compare('10.0', '<')"

- name: Tell which of the found instances are older than 10.2
  ansible.builtin.debug:
    msg: "{{ item.name }} is old"
  loop: "{{ ansible_facts.atlassian_dc.instances }}"
  when: item.version | atlassian_dc.hardening.version_compare('10.2', '<')
"""

RETURN = r"""
_value:
  description: Whether it holds.
  type: bool
"""

import operator as operators
from collections.abc import Callable
from typing import Any

from ansible_collections.atlassian_dc.hardening.plugins.module_utils._versions import parse_version
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._filters import text, told

OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "==": operators.eq,
    "!=": operators.ne,
    "<": operators.lt,
    "<=": operators.le,
    ">": operators.gt,
    ">=": operators.ge,
}


@told
def version_compare(value: Any, version: Any, operator: Any = "==") -> bool:
    """Compare two versions."""
    if operator not in OPERATORS:
        raise ValueError(f"operator must be one of {', '.join(OPERATORS)}, found {str(operator)[:60]!r}")
    return OPERATORS[operator](parse_version(text(value)), parse_version(text(version, "version")))


class FilterModule:
    """The filter."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter by its name."""
        return {"version_compare": version_compare}
