#!/usr/bin/python
# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: log_collector
short_description: Set up a host to which logs of Data Center products are sent
version_added: 0.6.0
description:
  - Sets up an instance of rsyslog of its own that takes logs of module M(atlassian_dc.hardening.log_shipping) over TLS
    with certificates on both sides and writes them by host and day, readable by root only and, where the file system
    can, append-only.
  - Run on the collector on behalf of the hosts of a run. What goes wrong is returned, for they are judged by it.
options:
  collector:
    description: Name of the collector in the inventory.
    type: str
    required: true
  packages:
    description: What has to be installed, by family of operating systems.
    type: dict
    required: true
  relp_port:
    description: TCP port for RELP over TLS. 0 for none.
    type: int
    default: 2514
  syslog_port:
    description: TCP port for syslog over TLS. 0 for none.
    type: int
    default: 0
  certificate:
    description:
      - Paths on the host of a certificate that somebody else keeps.
      - Undefined, it is one of the authority on the controller.
    type: dict
    suboptions:
      ca:
        description: Authorities that are believed.
        type: str
        required: true
      cert:
        description: Certificate.
        type: str
        required: true
      key:
        description: Its private key.
        type: str
        required: true
  peers:
    description:
      - Names of which the certificate of a shipper has to hold one, where it is not one of the controller's authority.
    type: list
    elements: str
    default: []
  days:
    description: How many days are kept.
    type: int
    default: 400
  ca_dir:
    description: Folder on the controller with the authority that signs certificates. Used by the action plugin.
    type: str
    default: ~/.atlassian-dc/log-shipping-ca
  certificate_days:
    description: How long its certificates hold. Used by the action plugin.
    type: int
    default: 365
  authority:
    description: Certificate of the authority on the controller. Filled in by the action plugin where there is one.
    type: str
  issued:
    description: What that authority has signed for this host, C(ca) and C(cert). Filled in by the action plugin.
    type: dict
extends_documentation_fragment:
  - atlassian_dc.hardening.attributes
  - atlassian_dc.hardening.controls
  - atlassian_dc.hardening.record
seealso:
  - module: atlassian_dc.hardening.log_shipping
author:
  - the atlassian_dc.hardening contributors (@atlassian-dc-hardening)
"""

EXAMPLES = r"""
- name: Take the logs of the hosts of products
  atlassian_dc.hardening.log_collector:
    collector: logs1
    packages:
      debian: [openssl, rsyslog, rsyslog-relp]
      redhat: [openssl, rsyslog, rsyslog-relp]
  delegate_to: logs1
"""

RETURN = r"""
dc_findings:
  description: Always empty. The host that sends its logs is judged.
  returned: always
  type: list
  elements: dict
dc_changes:
  description: What was changed, or would be in check mode.
  returned: always
  type: list
  elements: dict
collector:
  description: Name of the collector in the inventory.
  returned: always
  type: str
refused:
  description: What is wrong with the collector, and was not put right.
  returned: always
  type: list
  elements: str
seen:
  description: When each sign of life that has arrived last was sent, in seconds since 1970, by host.
  returned: always
  type: dict
  sample: {jira1: {jira.audit: 1796000000}}
csr:
  description: A request for a certificate, which the action plugin has signed before it runs the module again.
  returned: when one is needed
  type: str
"""

import datetime
import os
import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._changes import ChangeError, Changes
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._findings import (
    CONTROL_ARGUMENTS,
    Evidence,
    Findings,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._recorder import RECORD_ARGUMENTS
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._shipping_collector import (
    LOGS,
    SERVED,
    SERVICE,
    UNITS,
    Receiver,
    canaries_seen,
    render_files,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._shipping_config import (
    COLLECTOR,
    SHIPPER,
    SYSTEMD,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._shipping_host import (
    Certificate,
    RunCommand,
    ShippingHost,
    issued_texts,
)

CONTROL = "DC-LOG-03"
PREFIX = "collector-"
SECONDS = 10
"""How long what was just started may take until it is right."""


class LogCollector:
    """Sets up a collector.

    Args:
        params: the module's parameters.
        enforce: whether a real run may change it.
        changes: through which to change things.
        run_command: to ask the system's tools.
        root: folder that stands for ``/``; anything but ``/`` only in tests.

    """

    def __init__(
        self, params: dict[str, Any], enforce: bool, changes: Changes, run_command: RunCommand, root: str = "/"
    ) -> None:
        self.params = params
        self.enforce = enforce
        self.changes = changes
        self.host = ShippingHost(run_command, changes, root)
        self.certificate = Certificate.of(params["certificate"], PREFIX)
        self.request: str | None = None
        family = "debian" if os.path.exists(self.host.real("/etc/debian_version")) else "redhat"
        self.packages: list[str] = params["packages"][family]
        ports = {"relp": params["relp_port"], "tcp": params["syslog_port"]}
        self.receiver = Receiver(
            ports={protocol: port for protocol, port in ports.items() if port},
            peers=tuple(dict.fromkeys([*([] if self.certificate.given else [SHIPPER]), *params["peers"]])),
            certificate=self.certificate.paths(),
            days=params["days"],
        )

    def run(self) -> list[str]:
        """Put right what may be; return what is wrong after it."""
        drift = self._drift()
        if not drift or not self.enforce:
            return _words(drift)
        try:
            self._put_right()
        except ChangeError as exc:
            return [str(exc)]
        if self.request is not None or self.changes.check_mode:
            return []
        for _second in range(SECONDS):
            drift = self._drift()
            if not drift:
                break
            time.sleep(1)
        return _words(drift)

    def _files(self) -> dict[str, str]:
        return render_files(self.receiver, self.host.identity(self.certificate, issued_texts(self.params["issued"])))

    def _flaws(self) -> list[Evidence]:
        today = datetime.datetime.now(datetime.timezone.utc)
        return self.host.flaws_of(self.certificate, self.params["authority"], COLLECTOR, today)

    def _drift(self) -> list[Evidence]:
        missing = self.host.missing(self.packages)
        drift = [{"what": f"package {name}", "expected": "installed", "actual": "absent"} for name in missing]
        units = self.host.units(UNITS)
        drift += [] if missing else self._flaws()
        drift += self.host.differing(self._files()) + self.host.idle(units, SERVED)
        return drift + self._stale(units)

    def _stale(self, units: dict[str, dict[str, str]]) -> list[Evidence]:
        return self.host.stale(SERVICE, units.get(SERVICE, {}), self.host.text(f"{SYSTEMD}/{SERVICE}") or "")

    def _put_right(self) -> None:
        units = self.host.units(UNITS)
        self.host.install(self.host.missing(self.packages))
        issued = issued_texts(self.params["issued"])
        flaws = [] if issued else self._flaws()
        if flaws and self.certificate.given:
            raise ChangeError("; ".join(_words(flaws)))
        if flaws and self.changes.check_mode:
            self.host.foresee(self.certificate, self.params["authority"])
        elif flaws:
            self.request = self.host.request(self.certificate)
            return
        changed = self.host.put(self._files(), self.certificate, issued, SERVICE)
        self.host.serve(units, changed or bool(self._stale(units)), *SERVED)

    def seen(self) -> dict[str, dict[str, int]]:
        """Return the signs of life that have arrived, by host."""
        return canaries_seen(self.host.real(LOGS))


def _words(drift: list[Evidence]) -> list[str]:
    return [f"{piece['what']}: {piece['actual']}" for piece in drift]


def main() -> None:
    """Run the module."""
    needed = {"type": "str", "required": True}
    module = AnsibleModule(
        argument_spec={
            "collector": needed,
            "packages": {"type": "dict", "required": True},
            "relp_port": {"type": "int", "default": 2514},
            "syslog_port": {"type": "int", "default": 0},
            "certificate": {
                "type": "dict",
                "options": {"ca": needed, "cert": needed, "key": {**needed, "no_log": False}},
            },
            "peers": {"type": "list", "elements": "str", "default": []},
            "days": {"type": "int", "default": 400},
            "ca_dir": {"type": "str", "default": "~/.atlassian-dc/log-shipping-ca"},
            "certificate_days": {"type": "int", "default": 365},
            "authority": {"type": "str"},
            "issued": {"type": "dict"},
            **CONTROL_ARGUMENTS,
            **RECORD_ARGUMENTS,
        },
        supports_check_mode=True,
    )
    findings = Findings(module.params, (CONTROL,), module.check_mode)
    changes = Changes.of(module)
    collector = LogCollector(module.params, findings.enforces(CONTROL), changes, module.run_command)
    result: dict[str, Any] = {"collector": module.params["collector"], "seen": {}, "refused": []}
    try:
        result["refused"] = collector.run()
        result["seen"] = collector.seen()
        if collector.request is not None:
            result["csr"] = collector.request
    except (ChangeError, OSError) as exc:
        result["refused"] = [str(exc)]
    changes.exit(module, "", dc_findings=findings.results, **result)


if __name__ == "__main__":
    main()
