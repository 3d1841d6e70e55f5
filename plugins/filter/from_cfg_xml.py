# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: from_cfg_xml
short_description: Turn confluence.cfg.xml, crowd.cfg.xml or bamboo.cfg.xml into a dictionary
version_added: 0.5.0
author:
  - the atlassian_dc.hardening contributors (@atlassian-dc-hardening)
description:
  - Elements become keys; what the file calls properties is found under C(properties), by name.
  - Document type declarations and entities are refused. Errors name the line.
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
- name: Where the database is
  ansible.builtin.assert:
    that:
      - found.setupStep == 'complete'
      - found.properties['hibernate.connection.url'] == 'jdbc:postgresql://db/confluence'
      - found.properties['hibernate.connection.password'] == '********'
  vars:
    found: "{{ content | atlassian_dc.hardening.from_cfg_xml }}"
    content: |
      <confluence-configuration>
        <setupStep>complete</setupStep>
        <properties>
          <property name="hibernate.connection.password">hunter2</property>
          <property name="hibernate.connection.url">jdbc:postgresql://db/confluence</property>
        </properties>
      </confluence-configuration>
"""

RETURN = r"""
_value:
  description: Its elements, and C(properties).
  type: dict
"""

from collections.abc import Callable
from typing import Any

from ansible_collections.atlassian_dc.hardening.plugins.module_utils._stored_config import (
    parse_application_config,
)
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._filters import shown, text, told


@told
def from_cfg_xml(value: Any, secrets: bool = False) -> dict[str, Any]:
    """Return what the file says."""
    return shown(parse_application_config(text(value)), secrets)


class FilterModule:
    """The filter."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter by its name."""
        return {"from_cfg_xml": from_cfg_xml}
