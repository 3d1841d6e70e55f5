# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: from_properties
short_description: Turn a properties file such as bitbucket.properties into a dictionary
version_added: 0.5.0
author:
  - the atlassian_dc.hardening contributors (@atlassian-dc-hardening)
description:
  - Reads it as Java does, with its escapes and continued lines. A later key replaces an earlier one.
  - Errors name the line.
positional: _input
options:
  _input:
    description: The text of the file.
    type: str
    required: true
  secrets:
    description: Return secrets as they are. Otherwise V(********) stands for passwords, keys and the like.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Values as the product reads them
  ansible.builtin.assert:
    that:
      - >-
        found == {'jdbc.user': 'bitbucket', 'jdbc.password': '********', 'plugin.note': 'one two'}
  vars:
    found: "{{ content | atlassian_dc.hardening.from_properties }}"
    content: |
      # Settings of the database
      jdbc.user=bitbucket
      jdbc.password = hunter2
      plugin.note:one \
          two
"""

RETURN = r"""
_value:
  description: Values by key.
  type: dict
"""

from collections.abc import Callable
from typing import Any

from ansible_collections.atlassian_dc.hardening.plugins.module_utils._stored_config import (
    parse_java_properties,
)
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._filters import shown, text, told


@told
def from_properties(value: Any, secrets: bool = False) -> dict[str, Any]:
    """Return what the file says."""
    return shown(parse_java_properties(text(value)), secrets)


class FilterModule:
    """The filter."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter by its name."""
        return {"from_properties": from_properties}
