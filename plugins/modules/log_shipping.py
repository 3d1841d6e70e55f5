#!/usr/bin/python
# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: log_shipping
short_description: Judge and set whether logs of Data Center products are sent off their host
version_added: 0.6.0
description:
  - Judges whether the security, access, audit and application logs of the products are sent to a collector over TLS
    with certificates on both sides, and nothing is lost while it is away (V(DC-LOG-03)). The control passes only if the
    shipper runs, is started at boot, is believed by a collector, and its queue neither grows nor drops anything.
  - Sets up an instance of rsyslog of its own. The host's rsyslog, whatever it does, is left as it is; where its
    configuration is broken a warning says so.
options:
  packages:
    description: What has to be installed. Undefined, the names of this operating system are not known.
    type: list
    elements: str
  products:
    description:
      - What is known of the logs of products, by name, C(logs) and C(log_formats).
      - Filled in by the action plugin from product data.
    type: dict
  collectors:
    description:
      - Where logs are sent. The first that answers gets them.
      - Undefined, nobody has said; an empty list says that no log leaves the host.
    type: list
    elements: dict
    suboptions:
      host:
        description: Name or address.
        type: str
        required: true
      port:
        description: TCP port.
        type: int
        required: true
      protocol:
        description: V(relp) is RELP over TLS, V(tcp) is syslog over TLS, which confirms nothing.
        type: str
        choices: [relp, tcp]
        default: relp
  host_logs:
    description: Logs of the host that are sent too. Those whose folder is absent are left out.
    type: list
    elements: dict
    default: []
    suboptions: &log
      path:
        description: Where it lies; shell patterns are allowed.
        type: str
        required: true
      kind:
        description: What is in it, such as V(access).
        type: str
        required: true
      begins:
        description: Expression (POSIX, extended) of the first line of an entry. Undefined, each line is one.
        type: str
  extra_logs:
    description: Further logs that are sent.
    type: list
    elements: dict
    default: []
    suboptions: *log
  node:
    description: Name of the host in what is sent. The action plugin fills in its name in the inventory.
    type: str
    required: true
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
      - Names of which the certificate of a collector has to hold one. The name of each collector where none is given.
    type: list
    elements: str
    default: []
  queue_megabytes:
    description: How much may wait on disk while no collector answers.
    type: int
    default: 1024
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
  collector_results:
    description: What module M(atlassian_dc.hardening.log_collector) has returned, if it was run.
    type: list
    elements: dict
    default: []
extends_documentation_fragment:
  - atlassian_dc.hardening.attributes
  - atlassian_dc.hardening.controls
  - atlassian_dc.hardening.instances
  - atlassian_dc.hardening.record
seealso:
  - module: atlassian_dc.hardening.log_collector
  - name: Log shipping
    description: How a line gets to the collector, and where everything lies.
    link: https://github.com/atlassian-dc-hardening/atlassian_dc.hardening/blob/main/docs/log-shipping.md
author:
  - the atlassian_dc.hardening contributors (@atlassian-dc-hardening)
"""

EXAMPLES = r"""
- name: Send the logs of products to the collector
  atlassian_dc.hardening.log_shipping:
    instances: "{{ ansible_facts.atlassian_dc.instances }}"
    node: "{{ inventory_hostname }}"
    packages: [openssl, rsyslog, rsyslog-relp]
    collectors:
      - host: logs.example.com
        port: 2514
    certificate:
      ca: /etc/pki/logs/ca.pem
      cert: /etc/pki/logs/jira1.pem
      key: /etc/pki/logs/jira1.key
  tags: [DC-LOG-03]
"""

RETURN = r"""
dc_findings:
  description: What was found for each control and instance.
  returned: always
  type: list
  elements: dict
dc_changes:
  description: What was changed, or would be in check mode.
  returned: always
  type: list
  elements: dict
csr:
  description: A request for a certificate, which the action plugin has signed before it runs the module again.
  returned: when one is needed
  type: str
dropped:
  description: Entries that were dropped because the queue was full.
  returned: always
  type: int
  sample: 0
"""

import datetime
import glob
import os
import time
from typing import Any, Callable

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._changes import ChangeError, Changes
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._findings import (
    CONTROL_ARGUMENTS,
    Evidence,
    Findings,
    evidence,
    plural,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._recorder import RECORD_ARGUMENTS
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._shipping_config import (
    CANARY_MINUTES,
    CANARY_SERVICE,
    COLLECTOR,
    ROOM_MEGABYTES,
    RSYSLOGD,
    SERVED,
    SERVICE,
    SHIPPER,
    STATE,
    STATS,
    SYSTEMD,
    UNITS,
    Collector,
    Plan,
    Stats,
    canary_id,
    is_growing,
    read_stats,
    render_files,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._shipping_host import (
    Certificate,
    RunCommand,
    ShippingHost,
    issued_texts,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._shipping_logs import (
    LogsError,
    host_inputs,
    inputs_of,
    word,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._shipping_probe import knock

SHIPPED = "DC-LOG-03"
CONTROLS = (SHIPPED,)
VARIABLE = "atlassian_dc_log_collector"
REASON = "logs are not sent off the host for sure"
OWN_SERVICE = "rsyslog.service"
OWN_CONFIG = "/etc/rsyslog.conf"
GRACE = 3 * CANARY_MINUTES * 60
"""Seconds after which a sign of life that has not arrived is missed."""
PATIENCE = 15.0
"""Seconds within which a shipper that was just started is up."""

Knock = Callable[[Collector, "dict[str, str]", "tuple[str, ...]"], str]


class LogShipping:
    """Judges the shipper of logs of one host and puts it right.

    Args:
        params: the module's parameters.
        findings: where to put what was found.
        changes: through which to change things.
        run_command: to ask the system's tools.
        root: folder that stands for ``/``; anything but ``/`` only in tests.
        knock_at: tells why a collector takes no logs.

    """

    def __init__(
        self,
        params: dict[str, Any],
        findings: Findings,
        changes: Changes,
        run_command: RunCommand,
        root: str = "/",
        knock_at: Knock = knock,
    ) -> None:
        self.params = params
        self.findings = findings
        self.changes = changes
        self.host = ShippingHost(run_command, changes, root)
        self._knock = knock_at
        self.instances: list[dict[str, Any]] = params["instances"]
        self.certificate = Certificate.of(params["certificate"])
        self.refused: list[Evidence] = []
        self.unwritable: dict[str, str] = {}
        """Why logs of an instance cannot be shipped, by its name."""
        self.request: str | None = None
        self.stats = Stats()
        self.silent: list[str] = []
        """Collectors that take nothing, while another one does."""
        self.plan = self._plan()

    # ---- run ---------------------------------------------------------------------------------

    def run(self) -> None:
        """Judge, and put right what may be."""
        if not self.instances:
            self.findings.add(SHIPPED, None, "not_applicable", "no product was found on this host")
            return
        if self.params["packages"] is None:
            for instance in self.instances:
                why = "nobody knows what rsyslog is called on this operating system"
                self.findings.add(SHIPPED, instance["name"], "not_checked", why)
            return
        before = after = self._drift()
        due = self.findings.enforces(SHIPPED) and self.plan is not None and any(before.values())
        if due:
            self._put_right()
            if self.request is not None:
                return
            if not self.refused and not self.changes.check_mode:
                after = self._settled()
        for instance in self.instances:
            self._tell(instance, before, after)

    def _settled(self) -> dict[str, list[Evidence]]:
        """Return what is not right once what was started had a little time."""
        end = time.monotonic() + PATIENCE
        while True:
            drift = self._drift()
            if not any(drift.values()) or time.monotonic() > end:
                return drift
            time.sleep(1)

    def _tell(self, instance: dict[str, Any], before: dict[str, Any], after: dict[str, Any]) -> None:
        name = instance["name"]
        known = (self.params["products"] or {}).get(instance["product"]) or {}
        if not known.get("logs") and name not in self.unwritable:
            self.findings.add(SHIPPED, name, "not_checked", "nobody tells where it writes its logs")
            return
        drift = after[name] or before[name]
        reason = f"{REASON}: {drift[0]['what']}: {drift[0]['actual']}" if drift else ""
        if self.refused and before[name]:
            reason = f"{reason}; not put right: {self.refused[0]['what']}: {self.refused[0]['actual']}"
            drift = [*self.refused, *(piece for piece in drift if piece not in self.refused)]
        self.findings.judge(SHIPPED, name, drift, reason, repaired=not after[name])

    # ---- what is wanted ----------------------------------------------------------------------

    def _plan(self) -> Plan | None:
        """Return what is to be shipped where; None where nobody has said where to."""
        if not self.params["collectors"]:
            return None
        inputs = []
        for instance in self.instances:
            try:
                inputs += inputs_of(instance, (self.params["products"] or {}).get(instance["product"]) or {})
            except LogsError as exc:
                self.unwritable[instance["name"]] = str(exc)
        present = [
            log for log in self.params["host_logs"] if os.path.isdir(self.host.real(os.path.dirname(log["path"])))
        ]
        try:
            inputs += host_inputs([*present, *self.params["extra_logs"]])
        except LogsError as exc:
            self.refused.append(evidence("logs of the host", "can be read", exc))
        collectors = tuple(
            Collector(item["host"], item["port"], item["protocol"]) for item in self.params["collectors"]
        )
        peers = self.params["peers"] or [item.host for item in collectors]
        own = [] if self.certificate.given else [COLLECTOR]
        return Plan(
            node=self.params["node"],
            collectors=collectors,
            inputs=tuple(inputs),
            units=tuple(
                (str(instance["unit"]), str(instance["name"]), str(instance["product"]))
                for instance in self.instances
                if instance.get("unit")
            ),
            peers=tuple(dict.fromkeys([*own, *peers])),
            certificate=self.certificate.paths(),
            queue_megabytes=self.params["queue_megabytes"],
        )

    def _files(self) -> dict[str, str]:
        """Return all files as they should be, with the certificate that is there or comes now."""
        if self.plan is None:
            return {}
        return render_files(self.plan, self.host.identity(self.certificate, issued_texts(self.params["issued"])))

    # ---- changing ----------------------------------------------------------------------------

    def _put_right(self) -> None:
        units = self.host.units(UNITS)
        for name in SERVED:
            if units.get(name, {}).get("LoadState") == "masked":
                how = f"masked by somebody; allow it with: systemctl unmask {name}"
                self.refused.append(evidence(name, "can be started", how))
        if self.refused:
            return
        missing = self.host.missing(self.params["packages"])
        try:
            self.host.install(missing)
            issued = issued_texts(self.params["issued"])
            if not self._certify(issued):
                return
            changed = self.host.put(self._files(), self.certificate, issued, SERVICE)
            stale = self._stale(units)
            self.host.serve(units, changed or bool(stale), *SERVED)
            if changed and not self.changes.check_mode:
                # Not a change: what is sent says that it is a sign of life, and tells at once whether it arrives.
                self.host.run("systemctl", "start", CANARY_SERVICE)
        except ChangeError as exc:
            self.refused.append(evidence("setting up the shipper", "done", exc))

    def _certify(self, issued: dict[str, str]) -> bool:
        """See to the certificate; return whether the rest can go on."""
        flaws = self._flaws_of_certificate()
        if not flaws or issued:
            return True
        if self.certificate.given:
            self.refused += flaws
            return False
        if self.changes.check_mode:
            self.host.foresee(self.certificate, self.params["authority"])
            return True
        self.request = self.host.request(self.certificate)
        return False

    # ---- judging -----------------------------------------------------------------------------

    def _flaws_of_certificate(self) -> list[Evidence]:
        today = datetime.datetime.now(datetime.timezone.utc)
        return self.host.flaws_of(self.certificate, self.params["authority"], SHIPPER, today)

    def _stale(self, units: dict[str, dict[str, str]]) -> list[Evidence]:
        text = self.host.text(f"{SYSTEMD}/{SERVICE}") or ""
        return self.host.stale(SERVICE, units.get(SERVICE, {}), text)

    def _drift(self) -> dict[str, list[Evidence]]:
        """Return by instance what is not as it should be."""
        common = self._common()
        found = {}
        for instance in self.instances:
            name = instance["name"]
            own = [evidence(f"logs of {name}", "can be read", self.unwritable[name])] if name in self.unwritable else []
            found[name] = [*common, *own, *self._unreadable(name)]
        return found

    def _common(self) -> list[Evidence]:
        if self.params["collectors"] is None:
            return [evidence(VARIABLE, "set", "not set")]
        if self.plan is None:
            return [evidence(VARIABLE, "a collector", "an empty list: no log leaves the host")]
        drift = [
            evidence(f"package {name}", "installed", "absent") for name in self.host.missing(self.params["packages"])
        ]
        flaws = [] if drift else self._flaws_of_certificate()
        units = self.host.units(UNITS)
        drift += self._of_room() + flaws
        drift += self.host.differing(self._files()) + self.host.idle(units, SERVED)
        if units.get(SERVICE, {}).get("ActiveState") != "active":
            return drift
        drift += self._stale(units)
        return drift + ([] if flaws else self._of_collectors()) + self._of_queue() + self._of_canaries()

    def _of_collectors(self) -> list[Evidence]:
        """Return why no collector takes anything."""
        if self.plan is None:
            return []
        paths = {kind: self.host.real(path) for kind, path in self.certificate.paths().items()}
        told = [
            (f"collector {item.host}:{item.port}", self._knock(item, paths, self.plan.peers))
            for item in self.plan.collectors
        ]
        silent = [evidence(what, "takes logs of this host", why) for what, why in told if why]
        if len(silent) < len(told):
            self.silent = [f"{piece['what']}: {piece['actual']}" for piece in silent]
            return []
        return silent

    def _of_room(self) -> list[Evidence]:
        """Return whether the disk has no room for the queue, without which the shipper does not run."""
        try:
            disk = os.statvfs(self.host.real(STATE))
        except FileNotFoundError:
            return []
        free = disk.f_bavail * disk.f_frsize // 2**20
        if free >= ROOM_MEGABYTES:
            return []
        return [evidence(STATE, f"{ROOM_MEGABYTES} MB are free", f"{free} MB; nothing is sent until there is room")]

    def _of_queue(self) -> list[Evidence]:
        self.stats = read_stats((self.host.text(STATS) or "").splitlines()[-20_000:])
        drift = []
        if self.stats.dropped:
            lost = f"{plural(self.stats.dropped, 'entry was', 'entries were')} dropped, for it was full"
            drift.append(evidence(f"queue in {STATE}", f"no more than {self.params['queue_megabytes']} MB wait", lost))
        if is_growing(self.stats):
            waiting = plural(self.stats.waiting[-1], "entry waits", "entries wait")
            drift.append(evidence(f"queue in {STATE}", "does not grow", f"grows: {waiting}"))
        return drift

    def _of_canaries(self) -> list[Evidence]:
        """Return which signs of life did not arrive at collectors of this collection, and what is wrong there."""
        if self.plan is None or not self.params["collector_results"]:
            return []
        drift: list[Evidence] = []
        seen: dict[str, int] = {}
        for result in self.params["collector_results"]:
            drift += [
                evidence(f"collector {result.get('collector', '')}", "set up", why)
                for why in result.get("refused") or ()
            ]
            for name, sent in ((result.get("seen") or {}).get(word(self.plan.node)) or {}).items():
                seen[name] = max(seen.get(name, 0), int(sent))
        for instance, _product, kind in self.plan.canaries:
            name = canary_id(instance, kind)
            overdue = self._sent_before(name, time.time() - GRACE)
            if overdue and seen.get(name, 0) < overdue:
                when = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seen[name])) if name in seen else "never"
                drift.append(evidence(f"sign of life of {name}", "arrives at the collector", f"arrived last: {when}"))
        return drift

    def _sent_before(self, name: str, moment: float) -> int:
        """Return when the last sign of life before a moment was sent; 0 where there was none."""
        sent = [line.rpartition(" ")[2] for line in (self.host.text(f"{STATE}/canary/{name}") or "").splitlines()]
        return max((int(word) for word in sent if word.isdigit() and int(word) <= moment), default=0)

    def _unreadable(self, name: str) -> list[Evidence]:
        """Return the logs of an instance that root cannot read, as on a file system that keeps it out."""
        drift = []
        for item in self.plan.inputs if self.plan else ():
            if item.instance != name:
                continue
            for path in sorted(glob.glob(self.host.real(item.path))):
                try:
                    os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC))
                except FileNotFoundError:
                    continue
                except OSError as exc:
                    drift.append(evidence(path, "root can read it", exc.strerror or exc))
        return drift

    def complaint_of_host(self) -> str:
        """Return what is wrong with the host's own rsyslog; it is left as it is."""
        if self.host.text(OWN_CONFIG) is None or not os.path.exists(self.host.real(RSYSLOGD)):
            return ""
        unit = self.host.units([OWN_SERVICE]).get(OWN_SERVICE, {})
        if unit.get("ActiveState") != "active" and unit.get("UnitFileState") != "enabled":
            return ""
        code, out, err = self.host.run(RSYSLOGD, "-N1", "-f", OWN_CONFIG)
        if code == 0:
            return ""
        said = [line.removeprefix("rsyslogd: ") for line in f"{out}\n{err}".splitlines() if "error" in line]
        return f"the configuration of this host's own rsyslog is broken, and is left as it is: {'; '.join(said)[:500]}"


def main() -> None:
    """Run the module."""
    log = {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "path": {"type": "str", "required": True},
            "kind": {"type": "str", "required": True},
            "begins": {"type": "str"},
        },
    }
    needed = {"type": "str", "required": True}
    module = AnsibleModule(
        argument_spec={
            "instances": {"type": "list", "elements": "dict", "required": True},
            "packages": {"type": "list", "elements": "str"},
            "products": {"type": "dict"},
            "collectors": {
                "type": "list",
                "elements": "dict",
                "options": {
                    "host": needed,
                    "port": {"type": "int", "required": True},
                    "protocol": {"type": "str", "choices": ["relp", "tcp"], "default": "relp"},
                },
            },
            "host_logs": log,
            "extra_logs": log,
            "node": needed,
            "certificate": {
                "type": "dict",
                "options": {"ca": needed, "cert": needed, "key": {**needed, "no_log": False}},
            },
            "peers": {"type": "list", "elements": "str", "default": []},
            "queue_megabytes": {"type": "int", "default": 1024},
            "ca_dir": {"type": "str", "default": "~/.atlassian-dc/log-shipping-ca"},
            "certificate_days": {"type": "int", "default": 365},
            "authority": {"type": "str"},
            "issued": {"type": "dict"},
            "collector_results": {"type": "list", "elements": "dict", "default": []},
            **CONTROL_ARGUMENTS,
            **RECORD_ARGUMENTS,
        },
        supports_check_mode=True,
    )
    findings = Findings(module.params, CONTROLS, module.check_mode)
    changes = Changes.of(module)
    msg, extra = "", {}
    shipping = LogShipping(module.params, findings, changes, module.run_command)
    try:
        shipping.run()
        complaint = shipping.complaint_of_host()
        if complaint:
            module.warn(complaint)
        for words in shipping.silent:
            module.warn(f"{words}; another collector takes the logs")
        if shipping.request is not None:
            extra["csr"] = shipping.request
    except ChangeError as exc:
        msg = str(exc)
    changes.exit(module, msg, dc_findings=findings.results, dropped=shipping.stats.dropped, **extra)


if __name__ == "__main__":
    main()
