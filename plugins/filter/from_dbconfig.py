# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: from_dbconfig
short_description: Turn dbconfig.xml into a dictionary
version_added: 0.5.0
author:
  - the atlassian_dc.hardening contributors (@atlassian-dc-hardening)
description:
  - Elements become keys; those that occur more than once, lists.
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
- name: How the password is kept
  ansible.builtin.assert:
    that:
      - found['jdbc-datasource'].password == '{ATL_SECURED}'
      - found['jdbc-datasource'].username == 'jiradb'
  vars:
    found: "{{ content | atlassian_dc.hardening.from_dbconfig }}"
    content: |
      <?xml version="1.0" encoding="UTF-8"?>
      <jira-database-config>
        <database-type>postgres72</database-type>
        <jdbc-datasource>
          <url>jdbc:postgresql://db.example.com:5432/jira</url>
          <username>jiradb</username>
          <password>{ATL_SECURED}</password>
        </jdbc-datasource>
      </jira-database-config>

- name: Read it on the host
  ansible.builtin.slurp:
    src: /var/atlassian/application-data/jira/dbconfig.xml
  register: dbconfig

- name: Show it
  ansible.builtin.debug:
    msg: "{{ dbconfig.content | b64decode | atlassian_dc.hardening.from_dbconfig }}"
"""

RETURN = r"""
_value:
  description: Its elements.
  type: dict
"""

from collections.abc import Callable
from typing import Any

from ansible_collections.atlassian_dc.hardening.plugins.module_utils._stored_config import (
    parse_database_config,
)
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._filters import shown, text, told


@told
def from_dbconfig(value: Any, secrets: bool = False) -> dict[str, Any]:
    """Return what the file says."""
    return shown(parse_database_config(text(value)), secrets)


class FilterModule:
    """The filter."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter by its name."""
        return {"from_dbconfig": from_dbconfig}
