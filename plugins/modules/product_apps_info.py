#!/usr/bin/python
# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: product_apps_info
short_description: Tell which apps are installed in Data Center products
version_added: 0.5.0
description:
  - Returns the apps of each given instance as its Universal Plugin Manager lists them, and which of them somebody
    has installed.
  - Tells too whether the product runs apps without a valid signature and lets apps be uploaded, as its arguments say.
    Which of the installed apps are signed no product tells over REST.
  - Only reads.
extends_documentation_fragment:
  - atlassian_dc.hardening.attributes
  - atlassian_dc.hardening.attributes.info_module
  - atlassian_dc.hardening.instances
  - atlassian_dc.hardening.product_rest
author:
  - the atlassian_dc.hardening contributors (@atlassian-dc-hardening)
seealso:
  - module: atlassian_dc.hardening.product_settings_info
"""

EXAMPLES = r"""
- name: List the apps
  atlassian_dc.hardening.product_apps_info:
    instances: "{{ ansible_facts.atlassian_dc.instances }}"
    credentials: "{{ atlassian_dc_credentials }}"
  register: read

- name: Show those that somebody has installed
  ansible.builtin.debug:
    msg: "{{ read.apps.jira.apps | selectattr('user_installed') | map(attribute='key') | list }}"
"""

RETURN = r"""
apps:
  description: By name of the instance, what is known.
  returned: always
  type: dict
  sample:
    jira:
      apps: [{key: com.example.app, name: Example, version: 1.2.3, enabled: true, user_installed: true}]
      user_installed: 1
      disabled: 0
      signatures_checked: true
      upload_enabled: false
      why: ""
  contains:
    apps:
      description:
        - The apps, sorted by key. C(enabled) and C(user_installed) are null where the product does not tell.
      type: list
      elements: dict
    user_installed:
      description: How many of them somebody has installed.
      type: int
    disabled:
      description: How many of them are off.
      type: int
    signatures_checked:
      description: Whether no argument of the JVM switches the check of signatures off; null where they are not known.
      type: bool
    upload_enabled:
      description: Whether an argument of the JVM lets apps be uploaded; null where the arguments are not known.
      type: bool
    why:
      description: Why the apps are not known, else empty.
      type: str
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
  sample: {jira: 2}
"""

from collections.abc import Mapping
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._discovery_parse import jvm_properties
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._rest import RestError
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._settings_places import (
    CONNECTION_ARGUMENTS,
    Product,
    asked,
    products_of,
    side_by_side,
)

MAX_APPS = 5000
MAX_WORD = 200

NO_SIGNATURES = "atlassian.upm.signature.check.disabled"
UPLOAD = "upm.plugin.upload.enabled"


def app_of(entry: Any) -> dict[str, Any]:
    """Return an app as the module returns it.

    Raises:
        RestError: it has no key.

    """
    entry = entry if isinstance(entry, Mapping) else {}
    if not isinstance(entry.get("key"), str):
        raise RestError("not_json", "an app in its list has no key")

    def flag(name: str) -> bool | None:
        value = entry.get(name)
        return value if isinstance(value, bool) else None

    vendor = entry.get("vendor")
    vendor = vendor.get("name") if isinstance(vendor, Mapping) else vendor
    words = {"key": entry["key"], "name": entry.get("name"), "version": entry.get("version"), "vendor": vendor}
    texts = {key: str(value or "")[:MAX_WORD] for key, value in words.items()}
    return {**texts, "enabled": flag("enabled"), "user_installed": flag("userInstalled")}


def apps_of(product: Product) -> list[dict[str, Any]]:
    """Return the apps of an instance, sorted by key.

    Raises:
        RestError: they cannot be read.

    """
    resource = ((product.data or {}).get("rest") or {}).get("apps")
    if not resource:
        raise RestError("missing", "no source tells how to ask it for its apps")
    body = product.client.get(resource["path"])
    entries = body.get("plugins") if isinstance(body, dict) else None
    if not isinstance(entries, list) or len(entries) > MAX_APPS:
        raise RestError("not_json", "it answers with something that is no list of apps")
    return sorted(map(app_of, entries), key=lambda app: app["key"])


def describe(product: Product) -> dict[str, Any]:
    """Return what is known of the apps of an instance."""
    apps: list[dict[str, Any]] = []
    why = ""
    try:
        apps = apps_of(product)
    except RestError as exc:
        why = str(exc)
    product.close()
    given = product.instance.get("jvm_arguments")
    properties = None if given is None else jvm_properties([str(argument) for argument in given])
    return {
        "apps": apps,
        "user_installed": sum(app["user_installed"] is True for app in apps),
        "disabled": sum(app["enabled"] is False for app in apps),
        "signatures_checked": None if properties is None else properties.get(NO_SIGNATURES) != "true",
        "upload_enabled": None if properties is None else properties.get(UPLOAD) == "true",
        "why": why,
    }


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=CONNECTION_ARGUMENTS, supports_check_mode=True)
    products = products_of(module)
    found = side_by_side(describe, products)
    module.exit_json(
        changed=False,
        apps={product.name: apps for product, apps in zip(products, found)},
        **asked(products),
    )


if __name__ == "__main__":
    main()
