#!/usr/bin/python
# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: service_unit
short_description: Judge and put right the systemd units of Data Center products
version_added: 0.1.0
description:
  - Judges for every given instance whether its unit and its running process use the service account (V(DC-USR-01)), a
    sandbox and a umask that keeps others out (V(DC-USR-04)). Both controls pass only if the running process and what
    the next start brings are right.
  - Puts things right by one drop-in per unit, named to sort last. Units themselves and other people's drop-ins stay
    untouched.
  - A product that runs differently now is never switched over behind its back. The drop-in is then staged in
    C(/var/lib/atlassian-dc/staged), so that an unplanned reboot brings up what ran before, and becomes live with
    O(phase=live).
  - Before a drop-in is staged or becomes live, its sandbox is tried. As the service account and under the very same
    directives Java is started, and before it becomes live a file is written to every folder the product needs.
options:
  phase:
    description:
      - V(stage) judges, and changes what can be changed without a restart.
      - V(live) makes the drop-ins live while the products are stopped. It judges nothing and fails when a
        trial fails, with nothing changed.
      - V(back) undoes V(live) after a failed start. The drop-in that was live before is live again, the new one staged.
    type: str
    choices: [stage, live, back]
    default: stage
  sandbox:
    description:
      - Directives of C([Service]) that replace or extend the ones of the sandbox, by name. An empty value leaves the
        directive out.
    type: dict
    default: {}
  writable_paths:
    description:
      - Absolute paths of further folders that the products may write to.
    type: list
    elements: path
    default: []
extends_documentation_fragment:
  - atlassian_dc.hardening.attributes
  - atlassian_dc.hardening.controls
  - atlassian_dc.hardening.instances
  - atlassian_dc.hardening.record
  - atlassian_dc.hardening.restart
author:
  - the atlassian_dc.hardening contributors (@atlassian-dc-hardening)
"""

EXAMPLES = r"""
- name: Give the products their own account and a sandbox
  atlassian_dc.hardening.service_unit:
    instances: "{{ ansible_facts.atlassian_dc.instances }}"
    sandbox:
      AmbientCapabilities: CAP_NET_BIND_SERVICE
      CapabilityBoundingSet: CAP_NET_BIND_SERVICE
  register: unit
  tags: [DC-USR-01, DC-USR-04]
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
restart_pending:
  description:
    - Names of the instances whose drop-in is written and waits for a restart of the product.
    - Empty in check mode, where nothing was written.
  returned: always
  type: list
  elements: str
  sample: [jira]
security_score:
  description:
    - Exposure of each unit as C(systemd-analyze security) tells it, from 0 (closed) to 10 (open), before and after.
  returned: always
  type: dict
  sample:
    jira.service: {before: 9.6, after: 1.9}
overridden:
  description: Directives that other files of a unit set and that the drop-in overrides.
  returned: always
  type: list
  elements: dict
  sample:
    - unit: jira.service
      file: /etc/systemd/system/jira.service.d/override.conf
      directive: UMask
      value: "0022"
      used: "0027"
"""

import os
import re
import shutil
import tempfile
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any, Callable

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._accounts import Account, AccountDatabase
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._changes import ChangeError, Changes
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._findings import (
    CONTROL_ARGUMENTS,
    PENDING_RESTART,
    Evidence,
    Findings,
    evidence,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._move import (
    OWN_UNIT,
    UNIT_PROPERTIES,
    home_of_process,
    move_blockers,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._recorder import RECORD_ARGUMENTS
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._sandbox_trial import (
    TRIAL_UNIT,
    closed_to_all,
    find_java,
    may_exist,
    readable_files,
    run_trial,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._systemd import (
    CLOCK_TOLERANCE,
    DROP_IN_NAME,
    IDENTITY,
    Mismatch,
    Process,
    below,
    compare_process,
    compare_unit,
    directives_set_by,
    live_path,
    needed_folders,
    outer_folders,
    parse_drop_in,
    parse_exposure,
    parse_syscall_sets,
    place,
    previous_path,
    reachable_by_root,
    read_process,
    render,
    same_value,
    sandbox_directives,
    show_units,
    staged_path,
    text_or_none,
)

CONTROLS = ("DC-USR-01", "DC-USR-04")

PROPERTIES = (
    *UNIT_PROPERTIES,
    *("FragmentPath", "DropInPaths", "NeedDaemonReload", "PIDFile", "Environment", "WorkingDirectory"),
)

RunCommand = Callable[..., "tuple[int, str, str]"]


@dataclass
class Plan:
    """What is known and wanted for the unit of one instance."""

    instance: dict[str, Any]
    unit: str
    shown: dict[str, str]
    account: Account | None
    process: Process | None
    identity: dict[str, str]
    sandbox: dict[str, str]
    folders: list[str]
    content: str
    live: str | None
    staged: str | None
    written: float | None = None
    """When the live drop-in was last written, in seconds since 1970."""
    mismatches: list[Mismatch] = field(default_factory=list)
    process_identity: list[Mismatch] = field(default_factory=list)
    process_sandbox: list[Mismatch] = field(default_factory=list)
    blockers: list[Evidence] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Name of the instance."""
        return str(self.instance["name"])

    @property
    def active(self) -> bool:
        """Whether the product runs, or is being started or stopped."""
        return self.process is not None or self.shown.get("ActiveState") not in ("inactive", "failed", None)

    @property
    def started_before(self) -> bool:
        """Whether the process is older than the drop-in, so that it need not have all of it."""
        if self.process is None or self.process.started is None or self.written is None:
            return False
        return self.process.started < self.written - CLOCK_TOLERANCE

    @property
    def is_live(self) -> bool:
        """Whether our drop-in is in its place and as it should be."""
        return self.live == self.content

    @property
    def loaded(self) -> bool:
        """Whether systemd knows the files of the unit as they are."""
        return self.shown.get("NeedDaemonReload") != "yes"

    @property
    def content_right(self) -> bool:
        """Whether our drop-in, if there is one, is as it should be and known to systemd."""
        return (self.live is None or self.is_live) and self.loaded

    @property
    def unit_right(self) -> bool:
        """Whether the next start brings what is wanted."""
        return not self.mismatches and self.content_right

    @property
    def process_right(self) -> bool:
        """Whether what runs now, if anything, is what is wanted."""
        return not self.process_identity and not self.process_sandbox


class ServiceUnits:
    """Judges the units of one host and puts them right.

    Args:
        params: the module's parameters.
        findings: where to put what was found.
        changes: through which to change things.
        run_command: to ask the system's tools.
        root: folder that stands for ``/``; anything but ``/`` only in tests.

    """

    def __init__(
        self, params: dict[str, Any], findings: Findings, changes: Changes, run_command: RunCommand, root: str = "/"
    ) -> None:
        self.params = params
        self.findings = findings
        self.changes = changes
        self.run_command = run_command
        self.root = root
        self.owner = (0, 0) if root == "/" else (os.getuid(), os.getgid())
        self.database = AccountDatabase(root)
        self.syscalls: dict[str, set[str]] = {}
        self.restart_pending: list[str] = []
        self.overridden: list[dict[str, str]] = []
        self.exposure: dict[str, float] = {}
        self.scores: dict[str, dict[str, float | None]] = {}

    # ---- run ---------------------------------------------------------------------------------

    def run(self) -> None:
        """Do what the phase asks for.

        Raises:
            ChangeError: in phases live and back, when something could not be done.

        """
        instances = []
        for instance in self.params["instances"]:
            if not instance.get("service_account"):
                for control in CONTROLS:
                    self.findings.add(control, instance["name"], "not_checked", "its service account is not known")
            elif instance.get("unit"):
                instances.append(instance)
        if self.params["phase"] == "back":
            self._back(instances)
            return
        code, out, _err = self.run_command(["systemd-analyze", "syscall-filter", "--no-pager"])
        self.syscalls = parse_syscall_sets(out) if code == 0 else {}
        plans = self._plans(instances)
        units = [plan.unit for plan in plans]
        before = self.exposure = self._exposure(units)
        if self.params["phase"] == "live":
            self._go_live(plans)
        else:
            self._without_unit()
            self._stage(plans)
        after = self._exposure(units) if self.changes.count and not self.changes.check_mode else before
        self.scores = {unit: {"before": before.get(unit), "after": after.get(unit)} for unit in units}

    def _exposure(self, units: list[str]) -> dict[str, float]:
        if not units:
            return {}
        _code, out, _err = self.run_command(["systemd-analyze", "security", "--no-pager", *units])
        return parse_exposure(out)

    def _real(self, path: str) -> str:
        return os.path.join(self.root, path.lstrip("/"))

    def _text(self, path: str) -> str | None:
        return text_or_none(self._real(path))

    def _written(self, path: str) -> float | None:
        try:
            return os.stat(self._real(path)).st_mtime
        except OSError:
            return None

    # ---- what is wanted ----------------------------------------------------------------------

    def _plans(self, instances: list[dict[str, Any]]) -> list[Plan]:
        of_products = {
            name: value for item in instances for name, value in (item.get("sandbox") or {}).items() if value
        }
        directives = (*IDENTITY, *sandbox_directives({}, [], {**of_products, **self.params["sandbox"]}))
        shown = show_units(self.run_command, [item["unit"] for item in instances], (*PROPERTIES, *directives))
        return [self._plan(instance, shown.get(instance["unit"], {})) for instance in instances]

    def _plan(self, instance: dict[str, Any], shown: dict[str, str]) -> Plan:
        unit, name = instance["unit"], str(instance["service_account"])
        account = self.database.account(name)
        live, staged = self._text(live_path(unit)), self._text(staged_path(unit))
        pid_file = shown.get("PIDFile") or ""
        extra = [*self.params["writable_paths"], *([os.path.dirname(pid_file)] if pid_file.startswith("/") else [])]
        extra += self._started_in(shown)
        folders = needed_folders(instance, self._own_home(account), extra)
        wanted = {"User": name, "Group": instance.get("service_group") or name}
        identity = self._part("DC-USR-01", wanted, live or staged, of_identity=True)
        writable = outer_folders(reachable_by_root(folder, self.root) for folder in folders)
        sandbox = sandbox_directives(self.params["sandbox"], writable, instance.get("sandbox"))
        kept = self._part("DC-USR-04", sandbox, live or staged, of_identity=False)
        plan = Plan(
            instance=instance,
            unit=unit,
            shown=shown,
            account=account,
            process=read_process(instance.get("pid"), self.root),
            identity=identity,
            sandbox=kept,
            folders=folders,
            content=render(identity, kept),
            live=live,
            staged=staged,
            written=self._written(live_path(unit)),
        )
        plan.mismatches = compare_unit({**wanted, **sandbox}, shown, self.syscalls)
        self._compare_process(plan, wanted, sandbox)
        self._find_blockers(plan)
        return plan

    def _started_in(self, shown: dict[str, str]) -> list[str]:
        """Return the folder the unit is started in, if products of this host write there: it may log there."""
        started = shown.get("WorkingDirectory", "").lstrip("!-")
        return [started] if any(below(started, folder) for folder in self._written_folders) else []

    @cached_property
    def _written_folders(self) -> list[str]:
        """Folders that the products of this host write to."""
        return [folder for instance in self.params["instances"] for folder in needed_folders(instance, None)]

    def _part(self, control: str, wanted: dict[str, str], current: str | None, of_identity: bool) -> dict[str, str]:
        """Return the directives of a control: the wanted ones, or those there are when it may not be put right."""
        if self.findings.enforces(control):
            return wanted
        directives = parse_drop_in(current or "")
        return {name: value for name, value in directives.items() if (name in IDENTITY) == of_identity}

    def _own_home(self, account: Account | None) -> str | None:
        """Return the home directory of the account if it is its own: programs keep settings there."""
        if account is None or not account.home.startswith("/") or account.home == "/":
            return None
        try:
            home = os.path.realpath(self._real(account.home)) if self.root == "/" else account.home
            return home if os.stat(self._real(home)).st_uid == account.uid else None
        except OSError:
            return None

    def _compare_process(self, plan: Plan, wanted: dict[str, str], sandbox: dict[str, str]) -> None:
        process = plan.process
        if process is None:
            return
        if plan.account is None or process.uid != plan.account.uid:
            actual = next((item.name for item in self.database.accounts if item.uid == process.uid), str(process.uid))
            plan.process_identity.append(Mismatch("account", wanted.get("User", "unknown"), actual))
        group = self.database.group(wanted.get("Group", ""))
        if group is None or process.gid != group.gid:
            actual = self.database.group_name(process.gid)
            plan.process_identity.append(Mismatch("group", wanted.get("Group", "unknown"), actual))
        plan.process_sandbox = compare_process(sandbox, process)

    def _find_blockers(self, plan: Plan) -> None:
        """Find what would keep the product from starting, or the drop-in from doing what it says."""
        add = plan.blockers.append
        unit, shown, name = plan.unit, plan.shown, plan.instance.get("service_account")
        if plan.account is None:
            # In check mode it is not there yet, but a real run would have made it by now.
            if not (self.changes.check_mode and self.findings.enforces("DC-USR-01")):
                add(evidence(f"account {name}", "exists in /etc/passwd", "absent"))
        elif plan.account.uid == 0:
            add(evidence(f"UID of {name}", "not 0", "0"))
        if plan.identity.get("User", shown.get("User")) != name:
            add(evidence(f"User= of {unit}", str(name), shown.get("User") or "root (DC-USR-01 may not be put right)"))
        capabilities = plan.sandbox.get("AmbientCapabilities", "") if "User" in plan.identity else None
        plan.blockers += move_blockers(plan.instance, shown, plan.process, capabilities, self.root)

    # ---- judging, and what needs no restart --------------------------------------------------

    def _without_unit(self) -> None:
        for instance in self.params["instances"]:
            if instance.get("unit") or not instance.get("service_account"):
                continue
            process = read_process(instance.get("pid"), self.root)
            where = home_of_process(process) if process else ""
            found = [f"started by {instance['init_script']}"] if instance.get("init_script") else []
            found += [f"process {instance['pid']} runs in {where}"] if where else []
            reason = (
                "the product has no systemd unit; make one that starts it, as the README of role service_user shows, "
                "then run harden again"
            )
            proof = [evidence("systemd unit", OWN_UNIT, ", ".join(found) or "none")]
            for control in CONTROLS:
                self.findings.judge(control, instance["name"], proof, reason)

    def _stage(self, plans: list[Plan]) -> None:
        reload_for: list[Plan] = []
        outcomes: dict[str, str] = {}
        trials: dict[str, list[Evidence]] = {}
        for plan in plans:
            where = place("stage", plan.unit_right, plan.process_right, plan.active, self._trees_ready(plan))
            if not self._may_change(plan) or plan.blockers or plan.is_live:
                where = "nothing"
            elif where != "nothing":
                trials[plan.unit] = self._prepare(plan, where)
                where = "nothing" if trials[plan.unit] else where
            try:
                if where == "live":
                    self._write_live(plan)
                    self._tidy(plan)
                    reload_for.append(plan)
                elif where == "stage":
                    self.changes.write_file(
                        self._real(staged_path(plan.unit)), plan.content, mode=0o600, owner=self.owner
                    )
                    if self.changes.check_mode and self.params["restart_allowed"]:
                        self._write_live(plan)
                elif self.findings.enforced and (plan.unit_right or plan.is_live):
                    self._tidy(plan)
                    if plan.is_live and not plan.loaded:
                        reload_for.append(plan)
            except ChangeError as exc:
                trials[plan.unit] = [evidence(f"drop-in of {plan.unit}", "written", exc)]
                where = "nothing"
            outcomes[plan.unit] = where
        judged = [replace(plan) for plan in plans]  # what was found, not what it is after the reload
        complaints = self._reload(reload_for)
        for plan in judged:
            problems = [*trials.get(plan.unit, []), *([complaints[plan.unit]] if plan.unit in complaints else [])]
            self._judge(plan, outcomes[plan.unit], plan.unit in {item.unit for item in reload_for}, problems)

    def _may_change(self, plan: Plan) -> bool:
        if not self.findings.enforced:
            return False
        # One drop-in answers both controls. What only the other one lacks is not this one's business.
        wrong = {"DC-USR-01" if item.directive in IDENTITY else "DC-USR-04" for item in plan.mismatches}
        if not plan.content_right:
            return True
        return not wrong or bool(wrong & set(self.findings.enforced))

    def _trees_ready(self, plan: Plan) -> bool:
        """Whether the account owns the folders the product needs and those inside that the trial writes to."""
        if plan.account is None:
            return False
        for folder in plan.folders:
            try:
                if os.stat(self._real(folder)).st_uid != plan.account.uid:
                    return False
                with os.scandir(self._real(folder)) as listing:
                    inner = [entry.stat().st_uid for entry in listing if entry.is_dir(follow_symlinks=False)]
            except FileNotFoundError:
                continue
            except OSError:
                return False
            if any(uid != plan.account.uid for uid in inner):
                return False
        return True

    def _prepare(self, plan: Plan, where: str) -> list[Evidence]:
        """Return why the drop-in cannot be used; tries it in a real run only, for a trial writes files."""
        if self.changes.check_mode or (where == "stage" and plan.staged == plan.content):
            return []
        return self._try(plan, writing=where == "live")

    def _try(self, plan: Plan, writing: bool) -> list[Evidence]:
        existing = [folder for folder in plan.folders if may_exist(self._real(folder))]
        executable = plan.process.executable if plan.process else None
        java = find_java(plan.instance, plan.shown.get("Environment", ""), executable)
        complaints = run_trial(
            self.run_command,
            f"{TRIAL_UNIT}-{os.getpid()}-{re.sub(r'[^A-Za-z0-9]', '-', plan.unit)}",
            plan.identity or {key: plan.shown[key] for key in IDENTITY if plan.shown.get(key)},
            plan.sandbox,
            java,
            existing if writing else [],
            [folder for path in existing for folder in closed_to_all(path)] if writing else [],
            readable_files(plan.instance) if writing else [],
        )
        return [evidence(f"trial of the sandbox: {what}", "works", why) for what, why in complaints]

    def _judge(self, plan: Plan, where: str, changed_live: bool, problems: list[Evidence]) -> None:
        obstacles = [*plan.blockers, *problems]
        staged = not obstacles and (where == "stage" or plan.staged == plan.content)
        right_at_next_start = plan.unit_right or (where == "live" and not obstacles)
        older = plan.started_before or (where == "live" and plan.process is not None)
        # Predicted only: nothing is written yet that could be waiting.
        predicted = self.changes.check_mode and where != "nothing" and plan.staged != plan.content
        waiting = False
        for control in CONTROLS:
            mismatches = [item for item in plan.mismatches if (item.directive in IDENTITY) == (control == "DC-USR-01")]
            running = self._running_evidence(plan, control, older)
            proof = [evidence(f"{item.directive}= of {plan.unit}", *self._texts(item)) for item in mismatches]
            if control == "DC-USR-04" and not plan.content_right:
                actual = "not loaded by systemd yet" if plan.live is None or plan.is_live else "altered"
                proof.append(evidence(live_path(plan.unit), "as the role writes it, and loaded", actual))
            proof += running
            if not proof:
                self.findings.add(control, plan.name, "pass")
                continue
            if control == "DC-USR-04" and plan.unit in self.exposure:
                score = self.exposure[plan.unit]
                proof.append(evidence(f"exposure of {plan.unit} (0 to 10)", "as low as the sandbox makes it", score))
            overruling = self._overruling(plan, mismatches)
            waits = (bool(running) if right_at_next_start else staged) and not obstacles and not overruling
            waiting = waiting or (waits and self.findings.enforces(control))
            self.findings.judge(
                control,
                plan.name,
                [*obstacles, *overruling, *proof],
                self._reason(control, plan, right_at_next_start, obstacles, bool(overruling), waits),
                repaired=changed_live and not obstacles and not running and not overruling,
                pending=PENDING_RESTART if waits and not predicted else None,
            )
        if waiting and not self.changes.check_mode:
            self.restart_pending.append(plan.name)

    @staticmethod
    def _running_evidence(plan: Plan, control: str, older: bool) -> list[Evidence]:
        if plan.process is None:
            return []
        pid = plan.process.pid
        wrong = plan.process_identity if control == "DC-USR-01" else plan.process_sandbox
        found = [evidence(f"{item.directive} of process {pid}", item.expected, item.actual) for item in wrong]
        if control == "DC-USR-04" and not found and older:
            found.append(evidence(f"start of process {pid}", "after the drop-in was last written", "before"))
        return found

    @staticmethod
    def _texts(mismatch: Mismatch) -> tuple[str, str]:
        def shorten(text: str) -> str:
            return text if len(text) <= 200 else f"{text[:200]}… ({len(text.split())} entries)"

        # How systemctl show prints what was never set.
        unset = "root" if mismatch.directive in IDENTITY else "not set"
        actual = unset if mismatch.actual in ("", "~", "2147483646") else mismatch.actual
        return shorten(mismatch.expected or "none"), shorten(actual)

    def _overruling(self, plan: Plan, mismatches: list[Mismatch]) -> list[Evidence]:
        """Return the files that still win over our drop-in, though it is live and as it should be."""
        if not plan.is_live or not plan.loaded:
            return []
        paths = plan.shown.get("DropInPaths", "").split()
        position = paths.index(live_path(plan.unit)) if live_path(plan.unit) in paths else len(paths)
        found = []
        for path in paths[position + 1 :]:
            sets = directives_set_by(self._text(path) or "")
            names = [item.directive for item in mismatches if item.directive in sets]
            if names:
                found.append(
                    evidence(path, f"sets none of {', '.join(names)}", "is read after the role's drop-in and wins")
                )
        return found

    def _reason(
        self,
        control: str,
        plan: Plan,
        right_at_next_start: bool,
        obstacles: list[Evidence],
        overruled: bool,
        waits: bool,
    ) -> str:
        account = plan.instance.get("service_account")
        how = f"as {account}" if control == "DC-USR-01" else "in the sandbox"
        wrong = plan.process_identity if control == "DC-USR-01" else plan.process_sandbox
        if plan.process and wrong:
            what = f"the product does not run {how}"
        elif plan.process and plan.unit_right:
            what = "the product runs since before its sandbox was last changed"
        elif control == "DC-USR-01":
            # Its start script may change to the account all the same.
            what = f"{plan.unit} does not start the product as {account}"
        else:
            what = "the next start of the product would not be in the sandbox"
        if obstacles:
            first = obstacles[0]
            more = f" and {len(obstacles) - 1} more" if len(obstacles) > 1 else ""
            return f"{what}, and cannot before this is put right: {first['what']}: {first['actual']}{more}"
        if overruled:
            return f"{what}: another drop-in of {plan.unit} wins; take the directives out of it"
        if not waits:
            return what
        # Worded so that it is true before the change is staged, while it waits, and once the restart has been.
        unit = "the unit is right and" if right_at_next_start else "harden stages the right unit, which"
        return f"{what}; {unit} takes effect with a restart (atlassian_dc_allow_restart)"

    # ---- writing -----------------------------------------------------------------------------

    def _write_live(self, plan: Plan) -> None:
        self.changes.write_file(
            self._real(live_path(plan.unit)),
            plan.content,
            mode=0o644,
            owner=self.owner,
            validate=partial(self._verify, plan),
        )
        self._note_overridden(plan)

    def _tidy(self, plan: Plan) -> None:
        """Remove what waited for this moment."""
        for path in (staged_path(plan.unit), previous_path(plan.unit)):
            self.changes.remove_file(self._real(path))

    def _verify(self, plan: Plan, drop_in: str) -> str | None:
        """Return what ``systemd-analyze verify`` says about a new drop-in in its unit."""
        fragment = plan.shown.get("FragmentPath") or ""
        folder = tempfile.mkdtemp(prefix="atlassian-dc-service-user-")
        try:
            copy = os.path.join(folder, plan.unit)
            os.mkdir(f"{copy}.d")
            if not os.path.isfile(self._real(fragment)):
                return None
            shutil.copyfile(self._real(fragment), copy)
            shutil.copyfile(drop_in, os.path.join(f"{copy}.d", DROP_IN_NAME))
            _code, out, err = self.run_command(["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", copy])
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        # The rest of the unit may be in poor shape for years; that is no reason to keep the sandbox away.
        lines = [line.strip() for line in f"{out}\n{err}".splitlines() if folder in line and DROP_IN_NAME in line]
        return "; ".join(lines) or None

    def _note_overridden(self, plan: Plan) -> None:
        paths = [plan.shown.get("FragmentPath", ""), *plan.shown.get("DropInPaths", "").split()]
        wanted = {**plan.identity, **plan.sandbox}
        for path in paths:
            if not path or path == live_path(plan.unit):
                continue
            for name, value in directives_set_by(self._text(path) or "").items():
                if name in wanted and not same_value(name, wanted[name], value, self.syscalls):
                    entry = {"unit": plan.unit, "file": path, "directive": name, "value": value, "used": wanted[name]}
                    self.overridden.append(entry)

    def _reload(self, plans: list[Plan]) -> dict[str, Evidence]:
        """Make systemd read the units again and look at the effective values; return what went wrong, by unit."""
        if not plans:
            return {}
        try:
            self.changes.reload_units()
        except ChangeError as exc:
            return {plan.unit: evidence("systemctl daemon-reload", "done", exc) for plan in plans}
        if self.changes.check_mode:
            return {}
        wanted = {plan.unit: {**plan.identity, **plan.sandbox} for plan in plans}
        names = (*PROPERTIES, *(name for directives in wanted.values() for name in directives))
        shown = show_units(self.run_command, list(wanted), names)
        wrong = {}
        for plan in plans:
            plan.live, plan.shown = plan.content, shown.get(plan.unit, {})
            still = compare_unit(wanted[plan.unit], plan.shown, self.syscalls)
            if still:
                files = ", ".join(item["what"] for item in self._overruling(plan, still))
                listed = ", ".join(item.directive for item in still)
                actual = f"{listed} still differ" + (f": set by {files}, which is read later" if files else "")
                wrong[plan.unit] = evidence(f"effective values of {plan.unit}", "as the drop-in says", actual)
        return wrong

    # ---- inside the restart ------------------------------------------------------------------

    def _go_live(self, plans: list[Plan]) -> None:
        # What is not staged was refused before; its product is restarted for something else and stays as it is.
        waiting = [plan for plan in plans if plan.staged is not None and not plan.unit_right and not plan.is_live]
        todo = [plan for plan in waiting if self._may_change(plan) and not plan.blockers]
        running = [plan.unit for plan in todo if plan.shown.get("ActiveState") in ("active", "activating", "reloading")]
        if running and not self.changes.check_mode:
            raise ChangeError(
                f"{', '.join(running)} was stopped by this run and runs again: somebody else has started it meanwhile."
                " The unit was not changed; see to it that nothing else starts it (monitoring, another tool), then run"
                " harden again"
            )
        failed = [] if self.changes.check_mode else [piece for plan in todo for piece in self._try(plan, True)]
        if failed:
            words = "; ".join(f"{piece['what']}: {piece['actual']}" for piece in failed)
            for plan in todo:
                for control in CONTROLS:
                    reason = "the sandbox was tried before it became live, and the trial failed"
                    self.findings.judge(control, plan.name, failed, reason)
            hint = "folders are handed over by DC-DIR-02 and DC-DIR-03: select them too, and see that they pass"
            raise ChangeError(f"the unit was not changed, because a trial failed: {words} ({hint})")
        for plan in todo:
            # Kept until the product is seen to run; empty when no drop-in was live before.
            self.changes.write_file(self._real(previous_path(plan.unit)), plan.live or "", mode=0o600, owner=self.owner)
            self._write_live(plan)
            self.changes.remove_file(self._real(staged_path(plan.unit)))
        for complaint in self._reload(todo).values():
            raise ChangeError(f"{complaint['what']}: {complaint['actual']}")

    def _back(self, instances: list[dict[str, Any]]) -> None:
        units = [instance["unit"] for instance in instances]
        # Units that did not become live in this restart have no file here.
        undone = {unit: text for unit in units if (text := self._text(previous_path(unit))) is not None}
        new = {unit: self._text(live_path(unit)) for unit in undone}
        for unit, previous in undone.items():
            if previous:
                self.changes.write_file(self._real(live_path(unit)), previous, mode=0o644, owner=self.owner)
            else:
                self.changes.remove_file(self._real(live_path(unit)))
        if undone:
            self.changes.reload_units()
        # The product can run again; what is left only spares the next run some work.
        for unit in undone:
            if new[unit] is not None:
                self.changes.write_file(self._real(staged_path(unit)), new[unit] or "", mode=0o600, owner=self.owner)
            self.changes.remove_file(self._real(previous_path(unit)))


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "instances": {"type": "list", "elements": "dict", "required": True},
            "phase": {"type": "str", "choices": ["stage", "live", "back"], "default": "stage"},
            "sandbox": {"type": "dict", "default": {}},
            "writable_paths": {"type": "list", "elements": "path", "default": []},
            "restart_allowed": {"type": "bool", "default": False},
            **CONTROL_ARGUMENTS,
            **RECORD_ARGUMENTS,
        },
        supports_check_mode=True,
    )
    findings = Findings(module.params, CONTROLS, module.check_mode)
    # What undoes a change of this run needs no record, as that of the change stays true: a full disk is no obstacle.
    changes = Changes.of(module, recorded=module.params["phase"] != "back")
    units = ServiceUnits(module.params, findings, changes, module.run_command)
    msg = ""
    try:
        units.run()
    except ChangeError as exc:
        msg = str(exc)
    for entry in units.overridden:
        module.warn("{unit}: {directive}={value} in {file} is overridden by {used!r}".format(**entry))
    changes.exit(
        module,
        msg,
        dc_findings=findings.results,
        restart_pending=sorted(units.restart_pending),
        security_score=units.scores,
        overridden=units.overridden,
    )


if __name__ == "__main__":
    main()
