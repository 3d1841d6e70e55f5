# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Base of the action plugins whose modules need a certificate of the authority on the controller."""

from __future__ import annotations

import abc
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._control_action import ControlAction
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._shipping_authority import (
    Authority,
    AuthorityError,
)

DEFAULT_FOLDER = "~/.atlassian-dc/log-shipping-ca"
DEFAULT_DAYS = 365


class CertifiedAction(ControlAction):
    """Runs the module; where it asks for a certificate, has one signed and runs it again with that."""

    serves = False
    """Whether the certificate is that of a collector."""

    @abc.abstractmethod
    def names(self, arguments: dict[str, Any]) -> Sequence[str]:
        """Return the names the certificate is to hold."""

    def execute(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Run the module, twice where it asks for a certificate."""
        folder = str(arguments.get("ca_dir") or DEFAULT_FOLDER)
        days = int(arguments.get("certificate_days") or DEFAULT_DAYS)
        authority = Authority(Path(folder).expanduser())
        try:
            if not arguments.get("certificate"):
                arguments["authority"] = authority.certificate()
            first = super().execute(arguments, task_vars)
            request = first.pop("csr", None)
            if not isinstance(request, str):
                return first
            signed = authority.sign(request, self.names(arguments), days, self.serves)
            arguments["authority"] = authority.certificate()
        except AuthorityError as exc:
            raise AnsibleActionFail(f"the authority on the controller cannot be used: {exc}") from exc
        arguments["issued"] = {"ca": arguments["authority"], "cert": signed}
        second = super().execute(arguments, task_vars)
        for key in ("dc_changes", "diff", "warnings"):
            both = [*(first.get(key) or []), *(second.get(key) or [])]
            if both:
                second[key] = list(both)
        second["changed"] = bool(first.get("changed") or second.get("changed"))
        return second


def host_name(name: str) -> str:
    """Return the name of a host in the inventory as a certificate can hold it."""
    return re.sub(r"[^a-z0-9.-]", "-", name.lower())[:60].strip("-.") or "host"
