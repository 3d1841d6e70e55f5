# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: shared_homes
short_description: Tell who judges the shared homes of clusters
version_added: 0.2.0
author:
  - the atlassian_dc.hardening contributors (@atlassian-dc-hardening)
description:
  - Of the nodes of a cluster that run a task side by side and have the shared home in the same place, the first one in
    the inventory judges it. The others need not walk it again.
  - As long as a node on another host runs as an account that would lose access, its owner must not change. Root never
    loses access.
  - Instances that are in no cluster, or alone in the run, do not occur in the result.
positional: _input, host, batch, hosts
options:
  _input:
    description: C(hostvars), with what role discovery found on the hosts of this run.
    type: dict
    required: true
  host:
    description: Name of the host, C(inventory_hostname).
    type: str
    required: true
  batch:
    description: The hosts that run the task side by side and did not fail, C(ansible_play_batch).
    type: list
    elements: str
    required: true
  hosts:
    description: All hosts of the play, C(ansible_play_hosts_all).
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Show who judges the shared homes
  ansible.builtin.debug:
    msg: >-
      {{ hostvars | atlassian_dc.hardening.shared_homes(
           inventory_hostname, ansible_play_batch, ansible_play_hosts_all) }}
"""

RETURN = r"""
_value:
  description:
    - By name of the instance, C(judge) is the host that judges its shared home, where that is another one, and C(hold)
      is why the owner must not change now.
  type: dict
  sample:
    jira: {judge: jira1}
"""

from collections.abc import Mapping
from typing import Any, Callable

from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils import _clusters


def shared_homes(hostvars: Mapping[str, Any], host: str, batch: list[str], hosts: list[str]) -> dict[str, Any]:
    """Tell who judges the shared homes of the instances of a host."""

    def found(name: str) -> list[Any]:
        facts = hostvars[name].get("ansible_facts") or {}
        return list((facts.get("atlassian_dc") or {}).get("instances") or [])

    mine = found(host)
    # Variables of other hosts are slow to come by, and most instances stand alone.
    if not any(_clusters.cluster_id(instance) for instance in mine):
        return {}
    return _clusters.shared_homes(host, batch, {name: mine if name == host else found(name) for name in hosts})


class FilterModule:
    """Filters about clusters."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"shared_homes": shared_homes}
