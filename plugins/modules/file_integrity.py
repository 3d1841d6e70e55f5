#!/usr/bin/python
# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: file_integrity
short_description: Judge whether files of Data Center products are as in a baseline, and keep that baseline
version_added: 0.6.0
description:
  - Judges whether a baseline of programs, configuration and apps exists and is compared on a schedule
    (V(DC-FIM-01)), whether nothing has changed since that nobody has accepted (V(DC-FIM-02)), and whether the baseline
    is the one that is kept on the controller (V(DC-FIM-03)).
  - Installs AIDE with a configuration, a baseline and a timer of its own; those of others stay as they are. The
    baseline is taken by a unit of low priority, which is waited for no longer than O(wait).
  - Since the last check of AIDE, which reads every file, changes are found by their times.
  - Of a run, only what it has recorded to have changed itself is taken into the baseline. Everything else stays a
    finding until it is accepted by name.
options:
  packages:
    description: What has to be installed. Undefined, the names of this operating system are not known.
    type: list
    elements: str
  database_option:
    description: What this version of AIDE calls the database it compares with.
    type: str
    default: database_in
    choices: [database_in, database]
  areas:
    description:
      - What is watched.
      - Filled in by the action plugin from product data.
    type: list
    elements: dict
    suboptions:
      path:
        description: A file, or a folder with all below it.
        type: path
        required: true
      what:
        description: What lies there, for people.
        type: str
        required: true
      instance:
        description: The instance it belongs to.
        type: str
  mutable:
    description:
      - Files and folders that change by themselves; O(areas) in them are watched all the same.
      - Filled in by the action plugin from product data.
    type: list
    elements: str
    default: []
  schedule:
    description: When files are compared, as systemd writes points in time.
    type: str
    default: daily
  interval:
    description: Seconds between two checks. One that is twice as old is too old.
    type: int
    default: 86400
  wait:
    description: Seconds for which the first baseline is waited for.
    type: int
    default: 120
  accept:
    description:
      - Names of instances, or paths, below which all that differs from the baseline is taken into it.
      - V(baseline) takes a whole new baseline.
    type: list
    elements: str
    default: []
  reason:
    description: Why that is accepted. It is written to the journal and needed for O(accept).
    type: str
    default: ""
  restart_follows:
    description: Whether products are restarted later in this run, and this is judged again then.
    type: bool
    default: false
  changing:
    description:
      - Paths that this run has changed, or would in check mode, as far as its tasks have told.
      - Filled in by the action plugin. Undefined, only the record on the host tells.
    type: list
    elements: dict
  kept_sha256:
    description:
      - Hash of the baseline that is kept on the controller. Undefined, none is.
      - Filled in by the action plugin.
    type: str
  kept_baseline:
    description:
      - That baseline, in Base64. Without it nothing is done where the host has another one than O(kept_sha256), but
        to return RV(wants_kept).
    type: str
extends_documentation_fragment:
  - atlassian_dc.hardening.attributes
  - atlassian_dc.hardening.controls
  - atlassian_dc.hardening.instances
  - atlassian_dc.hardening.record
seealso:
  - name: File integrity
    description: What is watched, what is renewed by whom, and where everything lies.
    link: https://github.com/atlassian-dc-hardening/atlassian_dc.hardening/blob/main/docs/file-integrity.md
author:
  - the atlassian_dc.hardening contributors (@atlassian-dc-hardening)
"""

EXAMPLES = r"""
- name: Watch the files of the products
  atlassian_dc.hardening.file_integrity:
    instances: "{{ ansible_facts.atlassian_dc.instances }}"
    packages: [aide]
  tags: [DC-FIM-01, DC-FIM-02, DC-FIM-03]

- name: Accept an upgrade
  atlassian_dc.hardening.file_integrity:
    instances: "{{ ansible_facts.atlassian_dc.instances }}"
    packages: [aide]
    accept: [jira]
    reason: upgrade to 10.3.16, CHG-4711
  tags: [DC-FIM-01, DC-FIM-02, DC-FIM-03]
"""

RETURN = r"""
dc_findings:
  description: What was found for each control.
  returned: always
  type: list
  elements: dict
dc_changes:
  description: What was changed, or would be in check mode.
  returned: always
  type: list
  elements: dict
differences:
  description: Paths that are not as in the baseline, in the end.
  returned: always
  type: list
  elements: str
  sample: [/opt/atlassian/jira/bin/setenv.sh]
renewed:
  description: Paths of which the baseline says something else now, because this run has changed them.
  returned: always
  type: list
  elements: str
  sample: []
accepted:
  description: Paths of which the baseline says something else now, because it was accepted.
  returned: always
  type: list
  elements: str
  sample: []
baseline_sha256:
  description: Hash of the baseline that is in force; empty where there is none.
  returned: always
  type: str
baseline:
  description: That baseline, in Base64, where the controller has to keep it. The action plugin takes it out.
  returned: in a real run that has written another one, or where none was kept
  type: str
wants_kept:
  description: Whether O(kept_baseline) is needed.
  returned: always
  type: bool
"""

import base64
import grp
import hashlib
import os
import pwd
import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._changes import ChangeError, Changes
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._findings import (
    CONTROL_ARGUMENTS,
    EVIDENCE_LIMIT,
    PENDING_RESTART,
    Evidence,
    Findings,
    evidence,
    plural,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._integrity_changes import (
    Difference,
    Look,
    content_of,
    deeds,
    differ,
    renew,
    words,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._integrity_db import (
    Database,
    DatabaseError,
    State,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._integrity_host import (
    HEADER,
    LOOK_TEXT,
    MAX_AGE,
    SERVICE,
    SERVICE_TEXT,
    SYSTEMD,
    TIMER,
    IntegrityHost,
    timer_text,
    versions_of,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._integrity_scope import (
    BASELINE,
    CONFIGURATION,
    LOOK,
    Scope,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._recorder import (
    RECORD_ARGUMENTS,
    STATE,
    read_run,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._systemd import below

EXISTS = "DC-FIM-01"
UNCHANGED = "DC-FIM-02"
KEPT = "DC-FIM-03"
CONTROLS = (EXISTS, UNCHANGED, KEPT)

COPY = "copy of the baseline on the controller"
ACCEPT = "atlassian_dc_file_integrity_accept"
WHOLE = "baseline"
"""Name under which a whole new baseline is accepted."""
LISTED = EVIDENCE_LIMIT - 1
"""Most differences that are explained."""
LOGGED = 100
"""Most paths that the journal names."""


def _named(uid: int, gid: int) -> str:
    """Return owner and group by name, or by number where they have none."""
    try:
        user = pwd.getpwuid(uid).pw_name
    except KeyError:
        user = str(uid)
    try:
        group = grp.getgrgid(gid).gr_name
    except KeyError:
        group = str(gid)
    return f"{user}:{group}"


class Baseline:
    """The baseline of the host and the one that is kept.

    Attributes:
        on_host: the file as it is on the host, None where there is none.
        usable: the one that counts, None where there is none that can be read.
        problem: why that on the host cannot be used; empty where it can, or is absent.

    """

    def __init__(self, on_host: bytes | None, kept_sha256: str | None, kept: bytes | None) -> None:
        self.on_host = on_host
        self.kept_sha256 = kept_sha256
        self.kept = kept
        self.usable: Database | None = None
        self.problem = ""
        mine: Database | None = None
        if on_host is not None:
            try:
                mine = Database.read(on_host)
            except DatabaseError as exc:
                self.problem = str(exc)
        self.mine = mine
        # What is kept where the host cannot alter it counts, whatever the host has.
        self.usable = Database.read(kept) if kept is not None else mine

    @property
    def sha256(self) -> str:
        """Hash of that on the host, empty where there is none."""
        return "" if self.on_host is None else hashlib.sha256(self.on_host).hexdigest()

    @property
    def altered(self) -> bool:
        """Whether the host has another one than is kept."""
        return self.kept_sha256 is not None and self.sha256 != self.kept_sha256

    def altered_paths(self) -> list[str]:
        """Return the paths of which the host's says something else than the kept one."""
        if self.mine is None or self.kept is None or self.usable is None:
            return []
        ours, kept = self.mine, self.usable
        return sorted(
            path
            for path in ours.lines.keys() | kept.lines.keys()
            if path not in ours.lines or path not in kept.lines or differ(ours.state(path), kept.state(path))
        )


class Integrity:
    """Judges the files of one host and keeps their baseline.

    Args:
        params: the module's parameters.
        findings: where to put what was found.
        changes: through which to change things.
        host: the host.
        baseline: what is known of the baseline.
        found: what was found on the host.

    """

    def __init__(
        self, params: dict[str, Any], findings: Findings, changes: Changes, host: IntegrityHost, scope: Scope
    ) -> None:
        self.params = params
        self.findings = findings
        self.changes = changes
        self.host = host
        self.scope = scope
        self.files = {
            CONFIGURATION: scope.configuration(params["database_option"], HEADER.strip()),
            LOOK: LOOK_TEXT,
            f"{SYSTEMD}/{SERVICE}": SERVICE_TEXT,
            f"{SYSTEMD}/{TIMER}": timer_text(params["schedule"]),
        }
        self.found = host.look(params["packages"] or [], self.files)
        kept = params["kept_baseline"]
        self.baseline = Baseline(
            self.found.baseline, params["kept_sha256"], None if kept is None else base64.b64decode(kept)
        )
        self.refused: list[Evidence] = []
        self.renewed: list[str] = []
        self.accepted: list[str] = []
        self.differences: list[Difference] = []
        self.unreadable: list[tuple[str, str]] = []
        self.written = False
        """Whether this run has written another baseline than is kept."""
        self.taken = False
        """Whether this run has had all files read for the baseline, so that it has all that the run has changed."""
        self.announced = False
        """Whether a real run would write another one, which check mode does not know."""

    @property
    def wants_kept(self) -> bool:
        """Whether nothing can be told without the kept baseline itself."""
        return self.baseline.altered and self.baseline.kept is None

    # ---- run ---------------------------------------------------------------------------------

    def run(self) -> None:
        """Judge, and put right what may be."""
        exists, kept, why = self._drift_of_baseline(), self._drift_of_copy(), self._reason_of_copy()
        try:
            if exists and self.findings.enforces(EXISTS):
                self.host.install(self.found)
                self.host.put(self.found, self.files)
            self._restore_or_take()
            self._check_again()
            self._renew()
            self._accept()
        except ChangeError as exc:
            self.refused.append(evidence(BASELINE, "can be set up", exc))
        if not self.changes.check_mode and self.changes.count:
            self.found = self.host.look(self.params["packages"] or [], self.files)
            self._reread()
        if self.baseline.usable is not None:
            look = Look(self.scope, self.baseline.usable, self.found.last)
            self.differences = look.differences()
            self.unreadable = look.unreadable
        self._tell_baseline(exists)
        self._tell_differences()
        self._tell_copy(kept, why)

    def _reread(self) -> None:
        self.baseline = Baseline(self.found.baseline, self.params["kept_sha256"], None)

    # ---- putting right -----------------------------------------------------------------------

    def _restore_or_take(self) -> None:
        """Put back the kept baseline where the host has another one, and take one where there is none at all."""
        baseline, whole = self.baseline, WHOLE in self.params["accept"]
        if baseline.kept is not None and not whole:
            if self.findings.enforces(KEPT):
                self._put(baseline.kept, f"the kept baseline was put back, in the place of {baseline.sha256 or 'none'}")
        elif (baseline.on_host is None or whole) and self.findings.enforces(EXISTS):
            if self.changes.check_mode:
                self._announce()
                return
            # A check that took longer than an earlier run could wait has left all that is needed.
            self.taken = whole or self.found.last is None or self._is_old
            problem = self.host.check(self.params["wait"]) if self.taken else ""
            self.host.read_last(self.found)
            if self.found.last is None or (problem and not whole):
                raise ChangeError(problem or f"the check has left no result: {self.found.last_problem or 'no file'}")
            why = f", because: {self.params['reason']}" if whole else ""
            self._put(self._noted(self.found.last, None).write(), f"a whole new baseline was taken{why}")

    @property
    def _is_old(self) -> bool:
        """Whether the last check is older than the schedule allows."""
        age = time.time() - (self.found.last_time or 0)
        return age > MAX_AGE * self.params["interval"]

    def _check_again(self) -> None:
        """Have files compared, where the last comparison failed or is too old."""
        fit = not self.taken and self.baseline.usable is not None and self.findings.enforces(EXISTS)
        if fit and not self.changes.check_mode and self._drift_of_checks():
            problem = self.host.check(self.params["wait"])
            if problem:
                raise ChangeError(problem)

    def _announce(self) -> None:
        """Note in check mode that the baseline would be another one."""
        before = "absent" if self.baseline.on_host is None else "0:0 0600"
        if not self.announced:
            self.changes.announce(BASELINE, "content", before, "0:0 0600")
        self.announced = True

    def _noted(self, database: Database, accepted: set[str | None] | None) -> Database:
        """Note in a baseline what explains later changes.

        Args:
            database: the baseline.
            accepted: instances whose files are as in their version of now; None for all.

        """
        now, before = versions_of(self.params["instances"]), database.note.get("versions")
        before = before if isinstance(before, dict) else {}
        versions = now if accepted is None else {**before, **{name: now[name] for name in now if name in accepted}}
        taken = database.note.get("taken") or time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        database.note = {"taken": str(taken), "versions": versions, "run": (self.params["record"] or {}).get("run")}
        return database

    def _put(self, data: bytes, message: str) -> None:
        self.host.put_baseline(data)
        if not self.changes.check_mode:
            self.baseline = Baseline(data, self.params["kept_sha256"], None)
            self.written = self.baseline.altered
            self.host.journal(f"{message}; it has sha256 {self.baseline.sha256}")

    def _renew(self) -> None:
        """Take over what this run has changed itself."""
        baseline, record = self.baseline.usable, self.params["record"]
        if baseline is None or self.taken or not self.findings.enforces(EXISTS):
            return
        if self.changes.check_mode:
            if self._would_renew(baseline):
                self._announce()
            return
        if not record:
            return
        folder = os.path.join(STATE, "runs", record["run"])
        seen = None if self.params["changing"] is None else [change["target"] for change in self.params["changing"]]
        own = [change["target"] for change in self.changes.entries]
        done = deeds(read_run(folder, None), self.scope, None if seen is None else [*seen, *own])
        if not done:
            return
        self.renewed = renew(baseline, self.host.fresh(self.scope, done), done)
        if self.renewed:
            self._put(
                self._noted(baseline, set()).write(),
                f"run {record['run']} has renewed what it has changed itself: {_listed(self.renewed)}",
            )

    def _would_renew(self, baseline: Database) -> bool:
        """Whether a real run would take something over, as far as tasks before this one have told."""
        look = Look(self.scope, baseline, self.found.last)
        for change in [*(self.params["changing"] or []), *self.changes.entries]:
            path = change["target"]
            if not path.startswith("/") or not self.scope.covers(path):
                continue
            before, now = (_state(baseline, path)), look.state(path)
            if change["attribute"] == "permissions":
                if before is not None and change["after"] != f"{before.uid}:{before.gid} {before.mode:04o}":
                    return True
            elif content_of(before) == content_of(now):
                return True
        return False

    # ---- accepting ---------------------------------------------------------------------------

    def _accept(self) -> None:
        """Take over all that differs below what was named."""
        names = [name for name in self.params["accept"] if name != WHOLE]
        baseline = self.baseline.usable
        if not names or baseline is None or not self.findings.enforces(EXISTS):
            return
        found = Look(self.scope, baseline, self.found.last).differences()
        meant = [item.path for item in found if self._is_accepted(item.path, names)]
        if not meant:
            return
        if self.changes.check_mode:
            self._announce()
            return
        fresh = self.host.fresh(self.scope, meant)
        self.accepted = [path for path in meant if baseline.take(fresh, path)]
        if self.accepted:
            self._put(
                self._noted(baseline, {self.scope.area_of(path).instance for path in names} | set(names)).write(),
                f"accepted below {', '.join(names)}, because: {self.params['reason']}: {_listed(self.accepted)}",
            )

    def _is_accepted(self, path: str, names: list[str]) -> bool:
        owner = self.scope.area_of(path).instance
        return any(name == owner or (name.startswith("/") and below(path, name.rstrip("/"))) for name in names)

    # ---- judging -----------------------------------------------------------------------------

    def _drift_of_baseline(self) -> list[Evidence]:
        """Return what keeps files from being compared with a baseline."""
        found = self.found
        drift = [evidence(f"package {name}", "installed", "absent") for name in found.missing]
        for path, text in self.files.items():
            if found.files.get(path) != text:
                actual = "absent" if found.files.get(path) is None else "other content"
                drift.append(evidence(path, "as this role writes it", actual))
        state = f"{found.timer.get('ActiveState') or 'unknown'}, {found.timer.get('UnitFileState') or 'unknown'}"
        if state != "active, enabled":
            drift.append(evidence(TIMER, "active, enabled", state))
        baseline = self.baseline
        if baseline.on_host is None:
            drift.append(evidence(BASELINE, "the baseline", "absent"))
        elif baseline.problem:
            drift.append(evidence(BASELINE, "the baseline", baseline.problem))
        else:
            drift += self._drift_of_checks()
        for path in self.scope.unnameable:
            drift.append(evidence(path, "a path that AIDE's configuration can name", "has characters it cannot hold"))
        return drift

    def _drift_of_checks(self) -> list[Evidence]:
        found = self.found
        result = found.service.get("Result") or "success"
        drift = []
        if result != "success":
            drift.append(evidence(SERVICE, "the last check ended well", f"{result}; see journalctl --unit={SERVICE}"))
        if found.last_time is None:
            drift.append(evidence(SERVICE, "has compared files", "has left no result"))
        elif self._is_old:
            when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(found.last_time))
            wanted = f"the last check is at most {MAX_AGE * self.params['interval']} seconds old"
            drift.append(evidence(SERVICE, wanted, f"it is of {when}"))
        elif found.last_problem:
            drift.append(evidence(SERVICE, "has left a result", found.last_problem))
        return drift

    def _tell_baseline(self, before: list[Evidence]) -> None:
        after = before if self.changes.check_mode else self._drift_of_baseline()
        drift = [*self.refused, *(after or before)]
        drift += [evidence(what, "root can look at it", why) for what, why in self.unreadable]
        reason = f"files are not compared with a baseline on a schedule: {_first(drift)}" if drift else ""
        repaired = not (after or self.refused or self.unreadable)
        self.findings.judge(EXISTS, None, drift, reason, repaired=repaired)

    def _tell_differences(self) -> None:
        if self.baseline.usable is None:
            why = self.baseline.problem and f"the baseline cannot be read: {self.baseline.problem}"
            self.findings.add(UNCHANGED, None, "not_checked", why or "there is no baseline to compare with")
            return
        known = self.host.packages_of([item.path for item in self.differences[:LISTED]])
        drift = [self._evidence(item, known.get(item.path)) for item in self.differences[:LISTED]]
        if len(self.differences) > LISTED:
            drift.append(evidence(f"and {len(self.differences) - LISTED} more", "as in the baseline", "as above"))
        # What the restart is still to put back is no change that somebody else has made.
        pending = PENDING_RESTART if drift and self.params["restart_follows"] else None
        self.findings.judge(UNCHANGED, None, drift, self._reason() if drift else "", pending=pending)

    def _reason(self) -> str:
        counts = [
            plural(len(found), f"{verb} path", f"{verb} paths")
            for verb in ("changed", "new", "gone")
            if (found := [item for item in self.differences if item.verb == verb])
        ]
        first = self.differences[0]
        names = sorted({self.scope.area_of(item.path).instance or item.path for item in self.differences})
        taken = (self.baseline.usable.note.get("taken") if self.baseline.usable else "") or "an unknown time"
        what = f"{', '.join(counts)} since the baseline of {taken}, such as {first.path}"
        return f"{what}; what you can explain is accepted by {ACCEPT} ({', '.join(names[:5])})"

    def _evidence(self, item: Difference, package: str | None) -> Evidence:
        area = self.scope.area_of(item.path)
        why = self._explanation(area.instance, package)
        return evidence(
            item.path,
            words(item.before, _named),
            f"{item.verb} {area.what}: {words(item.now, _named)}; {why}",
        )

    def _explanation(self, instance: str | None, package: str | None) -> str:
        if package:
            return package
        before = (self.baseline.usable.note.get("versions") or {}) if self.baseline.usable else {}
        now = versions_of(self.params["instances"])
        if instance in before and instance in now and before[instance] != now[instance]:
            return f"{instance} is version {now[instance]}, and was {before[instance]} in the baseline"
        return "neither a package nor another version explains it"

    def _drift_of_copy(self) -> list[Evidence]:
        """Return how the baseline differs from the one that is kept."""
        baseline = self.baseline
        if baseline.kept_sha256 is None:
            return [evidence(COPY, "kept", "none")]
        if not baseline.altered:
            return []
        actual = f"sha256 {baseline.sha256}" if baseline.on_host is not None else "absent"
        if baseline.problem:
            actual += f", and {baseline.problem}"
        drift = [evidence(BASELINE, f"sha256 {baseline.kept_sha256}, as it is kept on the controller", actual)]
        for path in baseline.altered_paths():
            mine, kept = (_state(database, path) for database in (baseline.mine, baseline.usable))
            drift.append(evidence(f"{BASELINE}: {path}", words(kept, _named), words(mine, _named)))
        return drift

    def _reason_of_copy(self) -> str:
        """Return why the baseline and the one that is kept are not the same, where they are not."""
        if self.baseline.kept_sha256 is None:
            return "no copy of the baseline is kept on this controller"
        if self.baseline.on_host is None:
            return "the baseline that is kept on the controller is gone from the host"
        return "the baseline of the host is not the one that is kept on the controller: it was altered"

    def _tell_copy(self, before: list[Evidence], reason: str) -> None:
        baseline, enforced = self.baseline, self.findings.enforces(KEPT)
        if enforced and (self.announced or self.to_be_kept is not None):
            kept = "none" if baseline.kept_sha256 is None else "another one"
            self.changes.announce(COPY, "content", kept, "as on the host")
        same = baseline.kept_sha256 is not None and not baseline.altered
        repaired = (same or self.to_be_kept is not None) and not self.refused
        self.findings.judge(KEPT, None, before, reason, repaired=repaired)

    @property
    def to_be_kept(self) -> bytes | None:
        """The baseline that the controller has to take over; never one that somebody else has put there."""
        baseline = self.baseline
        kept = self.written or baseline.kept_sha256 is None
        return baseline.on_host if kept and baseline.mine is not None else None


def _state(database: Database | None, path: str) -> State | None:
    return database.state(path) if database is not None and path in database.lines else None


def _listed(paths: list[str]) -> str:
    more = f" and {len(paths) - LOGGED} more" if len(paths) > LOGGED else ""
    return f"{', '.join(paths[:LOGGED])}{more}"


def _first(drift: list[Evidence]) -> str:
    return f"{drift[0]['what']}: {drift[0]['actual']}"


def main() -> None:
    """Run the module."""
    names: dict[str, Any] = {"type": "list", "elements": "str", "default": []}
    module = AnsibleModule(
        argument_spec={
            "instances": {"type": "list", "elements": "dict", "required": True},
            "packages": {"type": "list", "elements": "str"},
            "database_option": {"type": "str", "default": "database_in", "choices": ["database_in", "database"]},
            "areas": {
                "type": "list",
                "elements": "dict",
                "options": {
                    "path": {"type": "path", "required": True},
                    "what": {"type": "str", "required": True},
                    "instance": {"type": "str"},
                },
            },
            "mutable": names,
            "schedule": {"type": "str", "default": "daily"},
            "interval": {"type": "int", "default": 86400},
            "wait": {"type": "int", "default": 120},
            "accept": names,
            "reason": {"type": "str", "default": ""},
            "restart_follows": {"type": "bool", "default": False},
            "changing": {"type": "list", "elements": "dict"},
            "kept_sha256": {"type": "str", "no_log": False},
            "kept_baseline": {"type": "str", "no_log": True},
            **CONTROL_ARGUMENTS,
            **RECORD_ARGUMENTS,
        },
        supports_check_mode=True,
    )
    params = module.params
    findings = Findings(params, CONTROLS, module.check_mode)
    if params["accept"] and not params["reason"].strip():
        module.fail_json(msg=f"{ACCEPT} needs a reason: set atlassian_dc_file_integrity_reason")
    if not params["instances"] or params["packages"] is None:
        for control in CONTROLS:
            if params["instances"]:
                findings.add(control, None, "not_checked", "nobody knows what AIDE is called on this operating system")
            else:
                findings.add(control, None, "not_applicable", "no product was found on this host")
        module.exit_json(changed=False, dc_findings=findings.results, dc_changes=[], wants_kept=False)
    changes = Changes.of(module)
    msg = ""
    result: dict[str, Any] = {"wants_kept": False}
    try:
        host = IntegrityHost(module.run_command, changes, params["database_option"])
        integrity = Integrity(params, findings, changes, host, Scope.of(params["areas"] or [], params["mutable"]))
        if integrity.wants_kept:
            changes.exit(module, dc_findings=[], wants_kept=True)
        integrity.run()
        result.update(
            differences=[item.path for item in integrity.differences],
            renewed=integrity.renewed,
            accepted=integrity.accepted,
            baseline_sha256=integrity.baseline.sha256,
        )
        if integrity.to_be_kept is not None and not module.check_mode and findings.enforces(KEPT):
            result["baseline"] = base64.b64encode(integrity.to_be_kept).decode("ascii")
    except (ChangeError, DatabaseError) as exc:
        msg = str(exc)
    changes.exit(module, msg, dc_findings=findings.results, **result)


if __name__ == "__main__":
    main()
