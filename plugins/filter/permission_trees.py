# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: permission_trees
short_description: Make the permission policy of the product instances of a host
version_added: 0.1.0
author:
  - the atlassian_dc.hardening contributors (@atlassian-dc-hardening)
description:
  - Turns what discovery found out about the instances of a host into the trees and rules that
    M(atlassian_dc.hardening.tree_permissions) judges.
  - The install tree belongs to root and is readable by the service account. Its working folders, the home and the
    shared home belong to the service account and are closed to other accounts. Secret files are closed further.
  - Each tree is walked once. A home inside the install tree, or a shared home inside the home, keeps its own rules.
positional: _input
options:
  _input:
    description: The instances, as the discovery role returns them in C(ansible_facts.atlassian_dc.instances).
    type: list
    elements: dict
    required: true
  readers:
    description:
      - Users and groups that keep the read access they have, each a dictionary with C(user) or C(group) and optionally
        C(paths), a list of absolute paths that may hold patterns and stand for everything below them too.
      - Without C(paths) a reader keeps access to everything but secret files.
    type: list
    elements: dict
    default: []
  exceptions:
    description:
      - Places that are neither judged nor changed, each a dictionary with C(path), absolute and with patterns if
        wanted, and C(reason).
    type: list
    elements: dict
    default: []
  cross_file_systems:
    description: Also enter other file systems and network mounts below the trees.
    type: bool
    default: false
  shared_homes:
    description:
      - What other nodes of a cluster mean for the shared homes of these instances, as the filter
        P(atlassian_dc.hardening.shared_homes#filter) tells it.
    type: dict
    default: {}
    version_added: 0.2.0
"""

EXAMPLES = r"""
- name: Show what is judged on this host
  ansible.builtin.debug:
    msg: "{{ ansible_facts.atlassian_dc.instances | atlassian_dc.hardening.permission_trees }}"

- name: Show it with a reader of the logs and a folder left alone
  ansible.builtin.debug:
    msg: >-
      {{ ansible_facts.atlassian_dc.instances | atlassian_dc.hardening.permission_trees(
           readers=[{"group": "splunk", "paths": ["/var/atlassian/application-data/jira/log"]}],
           exceptions=[{"path": "/opt/atlassian/jira/monitoring", "reason": "agent of the monitoring team"}]) }}
"""

RETURN = r"""
_value:
  description: Trees, for the option O(atlassian_dc.hardening.tree_permissions#module:trees).
  type: list
  elements: dict
"""

from typing import Any, Callable

from ansible.errors import AnsibleFilterError
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils import _permission_trees


def permission_trees(
    instances: Any,
    readers: Any = None,
    exceptions: Any = None,
    cross_file_systems: bool = False,
    shared_homes: Any = None,
) -> list[dict[str, Any]]:
    """Make the permission policy of the instances of a host."""
    try:
        return _permission_trees.permission_trees(instances, readers, exceptions, cross_file_systems, shared_homes)
    except _permission_trees.SettingsError as exc:
        raise AnsibleFilterError(f"permission_trees: {exc}") from exc


class FilterModule:
    """Filters of the permission policy."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"permission_trees": permission_trees}
