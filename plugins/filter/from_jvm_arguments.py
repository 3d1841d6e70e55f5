# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: from_jvm_arguments
short_description: Turn the arguments of a JVM into settings
version_added: 0.5.0
author:
  - the atlassian_dc.hardening contributors (@atlassian-dc-hardening)
description:
  - Of what is given twice the last one counts, as in the JVM.
  - The program before the arguments and the main class after them may be there; class paths and what belongs to the
    main class are left out.
positional: _input
options:
  _input:
    description: The arguments, as one line with quotes as in a shell, or as a list of words.
    type: raw
    required: true
  secrets:
    description: Return secrets as they are. Otherwise V(********) stands for passwords, keys and the like.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Read the line that a start script has
  ansible.builtin.assert:
    that:
      - settings.memory.maximum == 2147483648
      - settings.properties['atlassian.recovery.password'] == '********'
      - settings.properties['jira.home'] == '/var/atlassian data'
      - settings.flags.UseG1GC
  vars:
    settings: >-
      {{ '-Xmx2g -XX:+UseG1GC -Datlassian.recovery.password=hunter2 "-Djira.home=/var/atlassian data"'
         | atlassian_dc.hardening.from_jvm_arguments }}
"""

RETURN = r"""
_value:
  description: The settings.
  type: dict
  contains:
    properties:
      description: System properties (C(-D)), by name.
      type: dict
    flags:
      description: What C(-XX) sets, by name, V(true), V(false) or text.
      type: dict
    memory:
      description: Bytes of C(initial) heap, C(maximum) heap and C(stack); V(null) where they are not given.
      type: dict
    agents:
      description: Agents and debuggers that are loaded.
      type: list
      elements: str
    others:
      description: All other arguments in their order.
      type: list
      elements: str
"""

from collections.abc import Callable
from typing import Any

from ansible_collections.atlassian_dc.hardening.plugins.module_utils._discovery_parse import redact
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._stored_config import jvm_settings
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._filters import text, told
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._products import load_products, product_data


@told
def from_jvm_arguments(value: Any, secrets: bool = False) -> dict[str, Any]:
    """Return the settings that arguments of a JVM make."""
    settings = jvm_settings([text(word, "each word") for word in value] if isinstance(value, list) else text(value))
    if secrets:
        return settings
    public = [
        name for product in load_products() for name in product_data(product)["jvm"].get("public_properties") or []
    ]
    properties = {
        name: redact([f"-D{name}={value}"], public)[0].partition("=")[2]
        for name, value in settings["properties"].items()
    }
    return {**settings, "properties": properties, **{name: redact(settings[name]) for name in ("agents", "others")}}


class FilterModule:
    """The filter."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter by its name."""
        return {"from_jvm_arguments": from_jvm_arguments}
