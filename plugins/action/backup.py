# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._backup_manifest import key_of_instance
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._collection import collection_version
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._control_action import ControlAction
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._credentials import from_environment
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._drills import DEFAULT_FOLDER, DrillError, Drills
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._products import (
    add_product_data,
    load_products,
    product_data,
)

SECRET = ("repository", "databases", "credentials")


def knowledge() -> dict[str, dict[str, Any]]:
    """Return by product what the module needs to know of it."""
    told = {}
    for name in load_products():
        data = product_data(name)
        secrets = data.get("secrets") or {}
        told[name] = {
            "backup": data.get("backup"),
            "caches": (data.get("code") or {}).get("caches"),
            "secrets": {"database": secrets.get("database"), "keys": secrets.get("keys")},
        }
    return told


class ActionModule(ControlAction):
    """Hands the module what product data tells of backups, and what only the controller knows of the host."""

    def module_arguments(self, task_vars: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments of the module."""
        arguments = super().module_arguments(task_vars)
        arguments.setdefault("host", task_vars["inventory_hostname"])
        arguments.setdefault("collection", collection_version())
        given = from_environment(arguments.get("instances") or ())
        arguments["credentials"] = {**given, **(arguments.get("credentials") or {})}
        for name in SECRET:
            if arguments.get(name) is not None:
                # As one text: of its parts, each would be a secret, and names of accounts stand in many a path.
                arguments[name] = json.dumps(arguments[name])
        keys = [key_of_instance(instance, arguments["host"]) for instance in arguments.get("instances") or ()]
        try:
            arguments.setdefault("drills", Drills(arguments.get("copies") or DEFAULT_FOLDER).read(keys))
        except DrillError as exc:
            raise AnsibleActionFail(str(exc)) from exc
        add_product_data(arguments, "products", knowledge)
        return arguments
