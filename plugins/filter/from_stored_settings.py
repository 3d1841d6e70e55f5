# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: from_stored_settings
short_description: Turn settings from the database of a product into a dictionary
version_added: 0.5.0
author:
  - the atlassian_dc.hardening contributors (@atlassian-dc-hardening)
description:
  - Reads the one row in which a product such as Confluence keeps the settings of its administration pages, XML or JSON.
  - Before Confluence 10.1 it is XML in table C(bandana), since then JSON in C(plugin_setting). An upgrade leaves the
    old row, which says nothing of the product any more; so the form that the version does not have is refused.
  - A setting that is not there has the product's default.
positional: _input, product, version
options:
  _input:
    description: The value of the row.
    type: str
    required: true
  product:
    description: Name of the product.
    type: str
    required: true
  version:
    description: Its version.
    type: str
    required: true
  secrets:
    description: Return secrets as they are. Otherwise V(********) stands for passwords, keys and the like.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Before 10.1
  ansible.builtin.assert:
    that:
      - >-
        found == {'webSudoEnabled': true, 'webSudoTimeout': 10, 'loginManagerSettings': {'loginAttemptsThreshold': 3}}
  vars:
    found: "{{ row | atlassian_dc.hardening.from_stored_settings('confluence', '9.2.26') }}"
    row: |
      <settings>
        <webSudoEnabled>true</webSudoEnabled>
        <webSudoTimeout>10</webSudoTimeout>
        <loginManagerSettings><loginAttemptsThreshold>3</loginAttemptsThreshold></loginManagerSettings>
      </settings>

- name: Since 10.1
  ansible.builtin.assert:
    that: not found.webSudoEnabled
  vars:
    found: "{{ row | string | atlassian_dc.hardening.from_stored_settings('confluence', '10.2.19') }}"
    row: ' {"webSudoEnabled": false, "webSudoTimeout": 10}'
"""

RETURN = r"""
_value:
  description: The settings; true, false and numbers are such in either form.
  type: dict
"""

from collections.abc import Callable
from typing import Any

from ansible_collections.atlassian_dc.hardening.plugins.module_utils._stored_config import (
    parse_stored_settings,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._versions import parse_version
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._filters import shown, text, told
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._products import product_data


@told
def from_stored_settings(value: Any, product: Any, version: Any, secrets: bool = False) -> dict[str, Any]:
    """Return the settings in a row of the database."""
    known = product_data(text(product, "product")).get("stored_settings")
    if not known:
        raise ValueError(f"product data of {product} tells no settings in its database")
    asked = parse_version(text(version, "version"))
    row = next(
        row
        for row in known["rows"]
        if parse_version(row.get("since", "0")) <= asked
        and ("before" not in row or asked < parse_version(row["before"]))
    )
    written = "xml" if text(value).lstrip("\ufeff \t\r\n").startswith("<") else "json"
    if written != row["form"]:
        where = f"{row['form'].upper()} in table {row['table']}"
        raise ValueError(f"version {version} keeps its settings as {where}; this is a row of another version")
    settings = parse_stored_settings(value, row["form"], known["flags"], known["numbers"])
    return shown(settings, secrets)


class FilterModule:
    """The filter."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter by its name."""
        return {"from_stored_settings": from_stored_settings}
