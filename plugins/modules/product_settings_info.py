#!/usr/bin/python
# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: product_settings_info
short_description: Tell the security settings of Data Center products in one form
version_added: 0.5.0
description:
  - Returns the settings of each given instance that matter for security, under names that all products share, each with
    where it was read.
  - A setting that several places can hold is read from the one that wins, such as an argument of the JVM over a file,
    and a file over what the product keeps itself.
  - Only reads. Arguments of the JVM and files are read without credentials too.
extends_documentation_fragment:
  - atlassian_dc.hardening.attributes
  - atlassian_dc.hardening.attributes.info_module
  - atlassian_dc.hardening.instances
  - atlassian_dc.hardening.product_rest
author:
  - the atlassian_dc.hardening contributors (@atlassian-dc-hardening)
seealso:
  - module: atlassian_dc.hardening.product_settings
  - name: Settings of the products
    description: Which settings are known of which product, and where they are read.
    link: https://github.com/atlassian-dc-hardening/atlassian_dc.hardening/blob/main/docs/product-settings.md
"""

EXAMPLES = r"""
- name: Read the settings
  atlassian_dc.hardening.product_settings_info:
    instances: "{{ ansible_facts.atlassian_dc.instances }}"
    credentials:
      jira:
        token: "{{ lookup('ansible.builtin.env', 'JIRA_TOKEN') }}"
  register: read

- name: Show who may still log in with a password over REST
  ansible.builtin.debug:
    msg: "{{ read.settings.jira.basic_auth_users }}"
"""

RETURN = r"""
settings:
  description: By name of the instance, its settings by name.
  returned: always
  type: dict
  sample:
    jira:
      websudo:
        value: true
        where: default
        why: ""
        title: secure administrator sessions (websudo)
        control: DC-ADM-01
        writable: false
        next_start: {}
  contains:
    value:
      description:
        - The value, null where it is not known.
        - It is a boolean, a number, a list of words, or levels by area. A period counts in days.
      type: raw
    where:
      description: Where it was read; V(default) where nothing sets it.
      type: str
    why:
      description: Why it is not known, else empty.
      type: str
    title:
      description: What it is.
      type: str
    control:
      description: Id of the control it belongs to.
      type: str
    writable:
      description: Whether M(atlassian_dc.hardening.product_settings) can change it.
      type: bool
    next_start:
      description: C(value) and C(where) after the next start of the product, where they differ, else empty.
      type: dict
rejected:
  description: Names of the instances that have refused every login.
  returned: always
  type: list
  elements: str
  sample: []
requests:
  description: By name of the instance, how many requests were made.
  returned: always
  type: dict
  sample: {jira: 9}
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._settings_places import (
    CONNECTION_ARGUMENTS,
    Product,
    asked,
    products_of,
    side_by_side,
)


def describe(product: Product) -> dict[str, Any]:
    """Return the settings that an instance has, or may have where nobody can tell, as the module returns them."""
    settings = {}
    for entry in (product.data or {}).get("settings") or []:
        if product.concerned(entry) is False:
            continue
        found = product.read(entry)
        settings[entry["name"]] = {
            "value": found[0].value,
            "where": found[0].where,
            "why": found[0].why,
            "title": entry["title"],
            "control": entry["control"],
            "writable": "write" in entry,
            "next_start": {"value": found[1].value, "where": found[1].where} if len(found) > 1 else {},
        }
    product.close()
    return settings


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=CONNECTION_ARGUMENTS, supports_check_mode=True)
    products = products_of(module)
    found = side_by_side(describe, products)
    module.exit_json(
        changed=False,
        settings={product.name: settings for product, settings in zip(products, found)},
        **asked(products),
    )


if __name__ == "__main__":
    main()
