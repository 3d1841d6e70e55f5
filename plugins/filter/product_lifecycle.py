# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: product_lifecycle
short_description: Tell how long a version is supported, and whether it has known critical vulnerabilities
version_added: 0.5.0
author:
  - the atlassian_dc.hardening contributors (@atlassian-dc-hardening)
description:
  - Looks the release line of a version up in the data the collection has of the product.
  - Nothing is asked over the network; C(read) tells on which day the vendor's pages were read.
positional: _input, product
options:
  _input:
    description: The version.
    type: str
    required: true
  product:
    description: Name of the product, such as V(jira).
    type: str
    required: true
  day:
    description:
      - The day of interest, as V(2026-11-28).
      - Without it C(supported) and C(days_left) are V(null); the result does not depend on the day it is asked.
    type: str
"""

EXAMPLES = r"""
- name: A release that has to be replaced
  ansible.builtin.assert:
    that:
      - not found.safe
      - found.upgrade_to == '10.3.26'
      - found.because == 'CVE-2026-21589'
      - found.supported
      - found.days_left == 7
  vars:
    found: "{{ '10.3.15' | atlassian_dc.hardening.product_lifecycle('jira', day='2026-11-28') }}"

- name: Show it of every instance found
  ansible.builtin.debug:
    msg: >-
      {{ item.version | atlassian_dc.hardening.product_lifecycle(
           item.product, day=now(utc=true).strftime('%Y-%m-%d')) }}
  loop: "{{ ansible_facts.atlassian_dc.instances }}"
"""

RETURN = r"""
_value:
  description: What is known. A value that nobody tells is V(null).
  type: dict
  contains:
    cycle:
      description: The release line.
      type: str
      sample: "10.3"
    lts:
      description: Whether it is supported for long.
      type: bool
    released:
      description: Day of its first release.
      type: str
    ends:
      description: Last day of its support.
      type: str
    days_left:
      description: Days from O(day) to that day; negative afterwards.
      type: int
    supported:
      description: Whether it is supported on the day.
      type: bool
    safe:
      description: Whether the version has no critical vulnerability that the collection knows of.
      type: bool
    upgrade_to:
      description: Where it has one, the lowest later release without.
      type: str
    because:
      description: The vulnerability.
      type: str
    read:
      description: Day on which the vendor's pages were read.
      type: str
"""

from collections.abc import Callable
from typing import Any

from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._filters import text, told
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._lifecycle import lifecycle


@told
def product_lifecycle(value: Any, product: Any, day: Any = None) -> dict[str, Any]:
    """Tell what is known of the release line of a version."""
    return lifecycle(text(product, "product"), text(value), None if day is None else text(day, "day"))


class FilterModule:
    """The filter."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter by its name."""
        return {"product_lifecycle": product_lifecycle}
