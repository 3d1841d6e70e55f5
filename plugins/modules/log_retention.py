#!/usr/bin/python
# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: log_retention
short_description: Judge and set how logs of Data Center products are kept, and the clock that dates them
version_added: 0.6.0
description:
  - Judges for every given instance whether each of its logs is rotated by one owner and kept long enough
    (V(DC-LOG-05)), and whether the journal of the host outlives a restart of it.
  - What the product rotates is left to it. What nothing rotates is rotated here, by a logrotate with a configuration
    and a timer of its own; what somebody's logrotate rotates already stays theirs. Dated logs that the product never
    deletes are deleted once they are old enough.
  - Settings of the product are not changed. Where it deletes too soon, that is reported.
  - Judges whether a time service runs, is started at boot, and says that the clock of the host is right (V(DC-LOG-06)).
    The one in use is left as it is, whichever it is. Where none runs, one that is installed is started, and chrony is
    installed where there is none. A container has no clock of its own. There the control is C(not_applicable).
options:
  products:
    description:
      - What is known of the logs of products, by name.
      - Filled in by the action plugin from product data.
    type: dict
  packages:
    description: What has to be installed. Undefined, the names of this operating system are not known.
    type: list
    elements: str
  keep_days:
    description: Days for which logs are kept on the host.
    type: int
    default: 90
  max_megabytes:
    description: Size beyond which a log that is not rotated here shows that nobody rotates it.
    type: int
    default: 1024
  shipped:
    description: Whether logs are sent to a collector, so that it is no matter when the product deletes them.
    type: bool
    default: false
  chrony:
    description:
      - Chrony, to be installed where there is no time service.
      - Undefined, the names of this operating system are not known.
    type: dict
    suboptions:
      package:
        description: Its package.
        type: str
        required: true
      service:
        description: Its service.
        type: str
        required: true
extends_documentation_fragment:
  - atlassian_dc.hardening.attributes
  - atlassian_dc.hardening.controls
  - atlassian_dc.hardening.instances
  - atlassian_dc.hardening.record
seealso:
  - name: Keeping logs
    description: Who owns which log, and where everything lies.
    link: https://github.com/atlassian-dc-hardening/atlassian_dc.hardening/blob/main/docs/log-keeping.md
author:
  - the atlassian_dc.hardening contributors (@atlassian-dc-hardening)
"""

EXAMPLES = r"""
- name: Rotate what nothing rotates, and keep logs for half a year
  atlassian_dc.hardening.log_retention:
    instances: "{{ ansible_facts.atlassian_dc.instances }}"
    packages: [logrotate]
    keep_days: 180
    chrony:
      package: chrony
      service: chrony.service
  tags: [DC-LOG-05, DC-LOG-06]
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
owners:
  description: Who rotates each log that is there, by its path.
  returned: always
  type: dict
  sample: {/opt/atlassian/jira/logs/catalina.out: ours}
time_service:
  description: The time service that counts, null where there is none or it was not looked for.
  returned: always
  type: str
  sample: chrony.service
"""

import glob
import os
import pwd
import re
import stat
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._changes import ChangeError, Changes
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._clock import CONTROL as CLOCK
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._clock import Clock
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._discovery_parse import (
    ParseError,
    jvm_properties,
    parse_properties,
    parse_xml,
    text_of,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._findings import (
    CONTROL_ARGUMENTS,
    Evidence,
    Findings,
    evidence,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._own_timer import OwnFile, OwnTimer
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._packages import package_manager
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._recorder import RECORD_ARGUMENTS
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._retention import (
    CONFIG,
    HEADER,
    SCRIPT,
    UNIT,
    Aged,
    Rotation,
    Truncated,
    handler_days,
    journal_settings,
    most_generations,
    owner_of,
    parse_logrotate,
    render_config,
    render_script,
    render_service,
    render_timer,
    safe,
    time_span,
    valve_days,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._systemd import (
    RunCommand,
    quote_word,
    show_units,
)

CONTROL = "DC-LOG-05"
CONTROLS = (CONTROL, CLOCK)

LOGROTATE = "/usr/sbin/logrotate"
HOST_CONFIG = "/etc/logrotate.conf"
HOST_FOLDER = "/etc/logrotate.d"
HOST_TIMER = "logrotate.timer"
JOURNAL = "/var/log/journal"
JOURNAL_DROP_IN = "/etc/systemd/journald.conf.d/zz-atlassian-dc-log-shipping.conf"
JOURNAL_SERVICE = "systemd-journald.service"

MAX_FILE = 1024 * 1024
MAX_LOGS = 10_000
"""Most files that are looked at for one pattern."""

PRODUCT = "product"
OURS = "ours"
THEIRS = "logrotate of this host"
UNKNOWN = "unknown"


@dataclass
class Plan:
    """What is to be done for the logs of an instance, and what is wrong that nobody but a person can put right."""

    truncated: list[Truncated] = field(default_factory=list)
    aged: list[Aged] = field(default_factory=list)
    drift: list[Evidence] = field(default_factory=list)


class LogRetention:
    """Judges how long the logs of a host are kept, and puts right what may be.

    Args:
        params: the module's parameters.
        findings: where to put what was found.
        changes: through which to change things.
        run_command: to ask the system's tools.
        root: folder that stands for ``/``; anything but ``/`` only in tests.
        now: tells the time in seconds since 1970.

    """

    def __init__(
        self,
        params: dict[str, Any],
        findings: Findings,
        changes: Changes,
        run_command: RunCommand,
        root: str = "/",
        now: Callable[[], float] = time.time,
    ) -> None:
        self.params = params
        self.now = now
        self.findings = findings
        self.changes = changes
        self.run_command = run_command
        self.root = root
        self.keep_days: int = params["keep_days"]
        self.owners: dict[str, str] = {}
        self._theirs: dict[str, Rotation] = {}
        self._missing: list[str] = []
        self._journal: dict[str, tuple[str, str]] = {}
        self._journal_alone: dict[str, tuple[str, str]] = {}
        """The same without our file."""

    # ---- run ---------------------------------------------------------------------------------

    def run(self) -> None:
        """Judge, and put right what may be."""
        if not self.findings.judges(CONTROL):
            return
        instances = self.params["instances"]
        if not instances:
            self.findings.add(CONTROL, None, "not_applicable", "no product was found on this host")
            return
        if self.params["packages"] is None:
            for instance in instances:
                reason = "nobody knows what logrotate is called on this operating system"
                self.findings.add(CONTROL, instance["name"], "not_checked", reason)
            return
        judged = []
        for instance in instances:
            if self._owners_of(instance) is None:
                reason = f"who rotates the logs of {instance['product']} is not known"
                self.findings.add(CONTROL, instance["name"], "not_checked", reason)
            else:
                judged.append(instance)
        if not judged:
            return
        before = self._look(judged)
        after, refused = before, []
        if any(before.values()) and self.findings.enforces(CONTROL):
            refused = self._put_right()
            if not self.changes.check_mode:
                after = self._look(judged)
        for name, drift in before.items():
            left = drift if self.changes.check_mode else refused + after[name]
            shown = left or drift
            reason = "; ".join(f"{piece['what']}: {piece['actual']}" for piece in shown[:3])
            self.findings.judge(CONTROL, name, shown, reason, repaired=not left)

    def _owners_of(self, instance: Mapping[str, Any]) -> list[dict[str, Any]] | None:
        known = (self.params["products"] or {}).get(str(instance["product"])) or {}
        owners = known.get("owners")
        return None if owners is None else list(owners)

    def _look(self, instances: list[dict[str, Any]]) -> dict[str, list[Evidence]]:
        """Return what is wrong, by instance; what concerns the host concerns all of them."""
        manager = package_manager(self.run_command)
        self._missing = manager.missing(self.params["packages"])
        self._theirs = self._of_host()
        code, out, _err = self.run_command(["systemd-analyze", "cat-config", "systemd/journald.conf"])
        self._journal = journal_settings(out if code == 0 else "")
        self._journal_alone = journal_settings(out if code == 0 else "", JOURNAL_DROP_IN)
        self.plans = {instance["name"]: self._plan(instance) for instance in instances}
        self.timer = self._own_timer()
        shared = [evidence(f"package {name}", "installed", "absent") for name in self._missing]
        shared += self.timer.drift() + self._journal_drift()
        return {name: plan.drift + shared for name, plan in self.plans.items()}

    def _real(self, path: str) -> str:
        return os.path.join(self.root, path.lstrip("/"))

    # ---- who owns what -----------------------------------------------------------------------

    def _of_host(self) -> dict[str, Rotation]:
        """Return what the logrotate of the host rotates; nothing where nobody starts it."""
        if not os.access(self._real(LOGROTATE), os.X_OK) or not os.path.exists(self._real(HOST_CONFIG)):
            return {}
        timer = show_units(self.run_command, (HOST_TIMER,), ("ActiveState", "UnitFileState")).get(HOST_TIMER, {})
        if timer.get("ActiveState") != "active" and timer.get("UnitFileState") != "enabled":
            return {}
        _code, out, err = self.run_command(
            [LOGROTATE, "--debug", "--state", "/dev/null", HOST_CONFIG], environ_update={"LC_ALL": "C"}
        )
        return parse_logrotate(f"{err}\n{out}")

    def _said_by(self, path: str) -> str:
        """Return the file of the host's logrotate that most likely names a log."""
        folder = self._real(HOST_FOLDER)
        for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
            try:
                with open(os.path.join(folder, name), encoding="utf-8", errors="replace") as stream:
                    if os.path.dirname(path) in stream.read(MAX_FILE):
                        return f"{HOST_FOLDER}/{name}"
            except OSError:
                continue
        return HOST_CONFIG

    def _plan(self, instance: dict[str, Any]) -> Plan:
        plan = Plan()
        owners = self._owners_of(instance) or []
        known = self.params["products"][instance["product"]]
        for log in known.get("logs") or []:
            top = instance.get(f"{log['tree']}_dir")
            if not top:
                continue
            pattern = os.path.join(top, log["path"])
            owner = owner_of(log, owners)
            by = owner["by"] if owner else UNKNOWN
            if by == "nobody":
                self._of_nobody(plan, instance, pattern)
                continue
            self._doubly(plan, pattern, by)
            self._too_large(plan, pattern)
            if by == "audit":
                self._of_audit(plan, instance, pattern, known)
            elif owner and by in ("access_valve", "file_handler"):
                self._of_tomcat(plan, instance, pattern, owner)
            elif log["kind"] == "security":
                self._of_generations(plan, instance, pattern, known)
        return plan

    def _note(self, path: str, owner: str) -> None:
        self.owners[path] = owner

    def _logs(self, pattern: str) -> list[str]:
        """Return the files of a pattern that are there."""
        found = sorted(glob.glob(self._real(pattern)))[:MAX_LOGS]
        cut = len(self._real("/")) - 1 if self.root != "/" else 0
        return [path[cut:] for path in found]

    def _doubly(self, plan: Plan, pattern: str, by: str) -> None:
        """Note the logs that somebody's logrotate rotates although the product does."""
        for path in self._logs(pattern):
            theirs = path in self._theirs
            self._note(path, THEIRS if theirs and by == UNKNOWN else UNKNOWN if by == UNKNOWN else PRODUCT)
            if theirs and by != UNKNOWN:
                actual = f"also by logrotate ({self._said_by(path)})"
                plan.drift.append(evidence(path, "rotated by the product alone", actual))

    def _too_large(self, plan: Plan, pattern: str) -> None:
        for path in self._logs(pattern):
            try:
                info = os.lstat(self._real(path))
            except OSError:
                continue
            size = info.st_size // 2**20
            if stat.S_ISREG(info.st_mode) and size > self.params["max_megabytes"]:
                expected = f"rotated before it has {self.params['max_megabytes']} MB"
                plan.drift.append(evidence(path, expected, f"{size} MB; nothing rotates it"))

    def _account(self, instance: Mapping[str, Any], folder: str) -> tuple[str, str]:
        """Return account and group as whom logs are rotated: the product's, else those of the folder."""
        account, group = str(instance.get("service_account") or ""), str(instance.get("service_group") or "")
        try:
            pwd.getpwnam(account)
        except KeyError:
            info = os.stat(self._real(folder))
            return str(info.st_uid), str(info.st_gid)
        return account, group

    def _of_nobody(self, plan: Plan, instance: dict[str, Any], path: str) -> None:
        """Plan the rotation of a log that nothing rotates, unless somebody's logrotate does."""
        theirs = self._theirs.get(path)
        if theirs is not None:
            self._note(path, THEIRS)
            if theirs.days is not None and theirs.days < self.keep_days and not self.params["shipped"]:
                actual = f"{theirs.days:g} days, by {self._said_by(path)}"
                plan.drift.append(evidence(path, f"kept for {self.keep_days} days", actual))
            return
        folder = os.path.dirname(path)
        if not os.path.isdir(self._real(folder)):
            return
        if not safe(path):
            plan.drift.append(
                evidence(path, "a path that logrotate can be told", "holds characters that mean more to it")
            )
            return
        if os.path.lexists(self._real(path)):
            self._note(path, OURS)
        obstacle = self._not_appended(instance, path)
        if obstacle:
            # Cut to nothing, it would be as long as before with the next line.
            plan.drift.append(evidence(path, "opened to append by the product", obstacle))
            return
        account, group = self._account(instance, folder)
        if self._is_somebody_elses(instance, path, account):
            plan.drift.append(evidence(path, f"owned by {account}", "is not, so it cannot be rotated as that account"))
        plan.truncated.append(Truncated(path, account, group))

    def _is_somebody_elses(self, instance: Mapping[str, Any], path: str, account: str) -> bool:
        """Whether a log is not the account's although the product runs as it; before that its owner is to change."""
        try:
            uid = pwd.getpwnam(account).pw_uid
            return bool(instance.get("running_uid") == uid and os.lstat(self._real(path)).st_uid != uid)
        except (FileNotFoundError, KeyError):
            return False

    def _not_appended(self, instance: Mapping[str, Any], path: str) -> str:
        """Return who writes to a log without appending, empty where nobody does."""
        pid = instance.get("pid")
        for number in ("1", "2"):
            try:
                if os.readlink(self._real(f"/proc/{pid}/fd/{number}")) != path:
                    continue
                with open(self._real(f"/proc/{pid}/fdinfo/{number}"), encoding="ascii") as stream:
                    flags = re.search(r"^flags:\s*([0-7]+)$", stream.read(), re.MULTILINE)
            except OSError:
                continue
            if flags and not int(flags[1], 8) & os.O_APPEND:
                return f"process {pid} does not append to it; start it with >> in the place of >"
        return ""

    def _of_audit(self, plan: Plan, instance: dict[str, Any], pattern: str, known: Mapping[str, Any]) -> None:
        """Judge for how long the product keeps its audit files: it begins one a day, or more."""
        count = self._audit_files(instance, known)
        if count is not None and count < self.keep_days and not self.params["shipped"]:
            actual = f"{count} files, a new one every day: {count} days at most"
            plan.drift.append(evidence(pattern, f"kept for {self.keep_days} days", actual))

    def _audit_files(self, instance: dict[str, Any], known: Mapping[str, Any]) -> int | None:
        for place in known.get("audit_files") or []:
            if place["kind"] == "jvm_property":
                text = jvm_properties(instance.get("jvm_arguments") or []).get(place["name"])
            else:
                top = instance.get(f"{place['tree']}_dir")
                text = self._properties(os.path.join(top, place["path"])).get(place["name"]) if top else None
            if text is not None and re.fullmatch(r"\s*[0-9]{1,9}\s*", text):
                return int(text)
        default = known.get("audit_files_default")
        return None if default is None else int(default)

    def _of_generations(self, plan: Plan, instance: dict[str, Any], path: str, known: Mapping[str, Any]) -> None:
        """Judge a log that is rotated by size: once as many files are there as are kept, the oldest one tells."""
        numbers = {
            int(name.rpartition(".")[2]) for name in self._logs(f"{path}.*") if re.search(r"\.[0-9]{1,4}$", name)
        }
        limit = self._generations(instance, known)
        if limit is None or not numbers or max(numbers) < limit or self.params["shipped"]:
            return
        try:
            rotated = os.lstat(self._real(f"{path}.{max(numbers)}")).st_mtime
        except OSError:
            return
        days = int((self.now() - rotated) / 86400)
        if days < self.keep_days:
            actual = f"{limit} older files are kept, which is {days} days now; send them to a collector, or keep more"
            plan.drift.append(evidence(path, f"kept for {self.keep_days} days", actual))

    def _generations(self, instance: dict[str, Any], known: Mapping[str, Any]) -> int | None:
        """Return how many older files of a log the product keeps at most, None where nobody knows."""
        for config in known.get("log_configs") or []:
            top = instance.get(f"{config['tree']}_dir")
            try:
                text = text_of(self._content(os.path.join(top, config["path"]))) if top else ""
            except (OSError, ParseError):
                continue
            limits = most_generations(text)
            if limits is not None:
                return limits
        default = known.get("generations")
        return None if default is None else int(default)

    def _properties(self, path: str) -> dict[str, str]:
        try:
            return parse_properties(text_of(self._content(path)))
        except (OSError, ParseError):
            return {}

    def _content(self, path: str) -> bytes:
        handle = os.open(self._real(path), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as stream:
            return stream.read(MAX_FILE)

    def _of_tomcat(self, plan: Plan, instance: dict[str, Any], pattern: str, owner: Mapping[str, Any]) -> None:
        """Plan the end of dated logs that Tomcat never deletes; name those that it deletes too soon."""
        place = os.path.join(instance[f"{owner['tree']}_dir"], owner["configured_in"])
        try:
            data = self._content(place)
            if owner["by"] == "access_valve":
                valves = valve_days(parse_xml(data))
            else:
                valves = [(True, handler_days(parse_properties(text_of(data)), os.path.basename(pattern)))]
        except FileNotFoundError:
            return
        except (OSError, ParseError, ValueError) as exc:
            plan.drift.append(
                evidence(place, "tells for how long logs are kept", getattr(exc, "strerror", None) or exc)
            )
            return
        if any(not daily for daily, _days in valves):
            plan.drift.append(evidence(place, "a new access log every day", 'rotatable="false": nothing rotates it'))
        kept = [days for _daily, days in valves if days > 0]
        if kept and min(kept) < self.keep_days and not self.params["shipped"]:
            actual = f"maxDays is {min(kept)}; take it out, and the role deletes them in time"
            plan.drift.append(evidence(place, f"{pattern} kept for {self.keep_days} days", actual))
        folder = os.path.dirname(pattern)
        if not kept and valves and os.path.isdir(self._real(folder)):
            plan.aged.append(Aged(folder, os.path.basename(pattern), *self._account(instance, folder)))

    # ---- what is ours ------------------------------------------------------------------------

    def _own_timer(self) -> OwnTimer:
        truncated = sorted((log for plan in self.plans.values() for log in plan.truncated), key=lambda log: log.path)
        aged = sorted(
            (log for plan in self.plans.values() for log in plan.aged), key=lambda log: (log.folder, log.pattern)
        )
        folders = sorted({os.path.dirname(log.path) for log in truncated} | {log.folder for log in aged})
        quoted = [quote_word(f"-{folder}").replace("%", "%%") for folder in folders]
        files = (
            OwnFile(CONFIG, render_config(truncated, self.keep_days), validate=self._refuses),
            OwnFile(SCRIPT, render_script(truncated, aged, self.keep_days, LOGROTATE), 0o755),
        )
        units = (render_service(quoted), render_timer())
        return OwnTimer(UNIT, *units, files, self.changes, self.run_command, self.root)

    def _refuses(self, path: str) -> str | None:
        """Return what logrotate has against a configuration."""
        argv = [LOGROTATE, "--debug", "--state", "/dev/null", path]
        code, out, err = self.run_command(argv, environ_update={"LC_ALL": "C"})
        if code == 0:
            return None
        complaints = [line for line in f"{err}\n{out}".splitlines() if line.startswith("error:")]
        return "; ".join(complaints[:3]) or f"logrotate ended with {code}"

    # ---- the journal -------------------------------------------------------------------------

    def _journal_wanted(self) -> str | None:
        """Return the drop-in that makes the journal last, None where it does already."""
        lines = []
        storage = self._journal_alone.get("Storage", ("auto", ""))[0]
        if storage != "persistent" and not (storage == "auto" and os.path.isdir(self._real(JOURNAL))):
            lines.append("Storage=persistent")
        if self._too_short(self._journal_alone):
            lines.append(f"MaxRetentionSec={self.keep_days}day")
        return f"{HEADER}[Journal]\n" + "\n".join(lines) + "\n" if lines else None

    def _too_short(self, settings: Mapping[str, tuple[str, str]]) -> bool:
        kept = time_span(settings.get("MaxRetentionSec", ("0", ""))[0])
        return kept is not None and 0 < kept < self.keep_days * 86400

    def _journal_drift(self) -> list[Evidence]:
        drift = []
        storage, by = self._journal.get("Storage", ("auto", "the default"))
        if storage != "persistent" and not (storage == "auto" and os.path.isdir(self._real(JOURNAL))):
            drift.append(evidence("Storage of the journal", "persistent", f"{storage} ({by})"))
        if self._too_short(self._journal):
            kept, by = self._journal["MaxRetentionSec"]
            drift.append(evidence("the journal", f"kept for {self.keep_days} days", f"{kept} ({by})"))
        if not drift and not glob.glob(self._real(f"{JOURNAL}/*/system.journal")):
            drift.append(evidence("the journal", f"written to {JOURNAL}", "is not, since it was started"))
        return drift

    def _keep_journal(self) -> None:
        wanted = self._journal_wanted()
        if wanted is not None:
            # First of all, for a run is taken back backwards: the journal then comes to know of its old settings.
            restart = ["systemctl", "restart", JOURNAL_SERVICE]
            self.changes.perform(lambda: None, JOURNAL_SERVICE, "way back", "none", "restart", undo=restart)
            self.changes.write_file(self._real(JOURNAL_DROP_IN), wanted, 0o644, self.timer.owner)
        if self._journal_drift():
            self.changes.command(
                ["systemctl", "restart", JOURNAL_SERVICE], JOURNAL_SERVICE, "settings", "old", "as in the files"
            )
            self.changes.command(["journalctl", "--flush"], "the journal", "place", "memory", JOURNAL)

    # ---- changing ----------------------------------------------------------------------------

    def _put_right(self) -> list[Evidence]:
        """Put right what may be; return what could not."""
        try:
            package_manager(self.run_command).ensure(self.changes, *self._missing, start=False)
            if self.timer.drift():
                self.timer.put_right()
            if self._journal_drift():
                self._keep_journal()
        except ChangeError as exc:
            return [evidence("keeping the logs", "set up", exc)]
        return []


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "instances": {"type": "list", "elements": "dict", "required": True},
            "products": {"type": "dict"},
            "packages": {"type": "list", "elements": "str"},
            "keep_days": {"type": "int", "default": 90},
            "max_megabytes": {"type": "int", "default": 1024},
            "shipped": {"type": "bool", "default": False},
            "chrony": {
                "type": "dict",
                "options": {"package": {"type": "str", "required": True}, "service": {"type": "str", "required": True}},
            },
            **CONTROL_ARGUMENTS,
            **RECORD_ARGUMENTS,
        },
        supports_check_mode=True,
    )
    findings = Findings(module.params, CONTROLS, module.check_mode)
    changes = Changes.of(module)
    retention = LogRetention(module.params, findings, changes, module.run_command)
    clock = Clock(module.params["instances"], module.params["chrony"], findings, changes, module.run_command)
    msg = ""
    try:
        retention.run()
        clock.run()
    except ChangeError as exc:
        msg = str(exc)
    changes.exit(module, msg, dc_findings=findings.results, owners=retention.owners, time_service=clock.provider)


if __name__ == "__main__":
    main()
