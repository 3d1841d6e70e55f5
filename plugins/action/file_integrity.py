# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import hashlib
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._integrity_scope import Scope
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils import _ledger
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._control_action import ControlAction, run_name
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._integrity import Copies, CopyError, scope_of
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._products import load_products, product_data
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._selection import as_list

KEPT = "DC-FIM-03"
MOST_CHANGES = 2000
"""Most changes of this run that the module is told; the record on the host has all."""


class ActionModule(ControlAction):
    """Tells the module what to watch and which baseline is kept here, and keeps the one that it returns."""

    def module_arguments(self, task_vars: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments of the module."""
        arguments = super().module_arguments(task_vars)
        self._copies = Copies(str(arguments.pop("copies", "./atlassian-dc-baselines")), task_vars["inventory_hostname"])
        arguments["accept"] = as_list(arguments.get("accept"))
        known = {name: product_data(name) for name in load_products()}
        paths, exclude = (as_list(arguments.pop(name, None)) for name in ("paths", "exclude"))
        relative = [path for path in (*paths, *exclude) if not path.startswith("/")]
        if relative:
            raise AnsibleActionFail(f"what is watched is named by absolute paths, not by {', '.join(relative)}")
        areas, mutable = scope_of(arguments["instances"], known, paths)
        mutable += exclude
        arguments.setdefault("areas", [area._asdict() for area in areas])
        arguments.setdefault("mutable", mutable)
        if _ledger.ACTIVE is not None:
            scope = Scope.of(arguments["areas"], arguments["mutable"])
            done = _ledger.ACTIVE.host(task_vars["inventory_hostname"]).changes
            covered = [change for change in done if scope.covers(str(change.get("target")))]
            arguments.setdefault("changing", [dict(change) for change in covered[:MOST_CHANGES]])
        return arguments

    def execute(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Run the module, once more with the kept baseline where it asks for it, and keep what it returns."""
        try:
            kept = self._copies.read()
        except CopyError as exc:
            raise AnsibleActionFail(f"the copy of the baseline cannot be read: {exc}") from exc
        if kept is not None:
            arguments["kept_sha256"] = hashlib.sha256(kept).hexdigest()
        result = super().execute(arguments, task_vars)
        if kept is not None and result.get("wants_kept"):
            arguments["kept_baseline"] = base64.b64encode(kept).decode("ascii")
            result = super().execute(arguments, task_vars)
        baseline = result.pop("baseline", None)
        if baseline is not None:
            self._keep(base64.b64decode(baseline), arguments, result)
        return result

    def _keep(self, baseline: bytes, arguments: dict[str, Any], result: dict[str, Any]) -> None:
        told: dict[str, Any] = {key: result[key] for key in ("renewed", "accepted") if result.get(key)}
        if arguments["accept"]:
            told.update(names=arguments["accept"], reason=arguments.get("reason"))
        try:
            self._copies.keep(baseline, run_name(), told)
        except CopyError as exc:
            why = f"the baseline could not be kept on the controller: {exc}"
            proof = {"what": str(self._copies.path), "expected": "written", "actual": str(exc)}
            for finding in result.get("dc_findings", ()):
                if finding["control"] == KEPT:
                    finding.update(status="fail", reason=why, evidence=[proof])
