#!/usr/bin/python
# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: backup
short_description: Judge and set up the backups of Data Center products
version_added: 0.7.0
description:
  - Judges whether database and homes of each product are backed up on a schedule (V(DC-BKP-01)), whether the backups
    are encrypted, off the host, and out of reach of the product's account (V(DC-BKP-02)), whether the last one
    succeeded and is recent enough (V(DC-BKP-03)), whether a restore was tried and went well (V(DC-BKP-04)), and whether
    the last backup holds what a restore needs beside data (V(DC-BKP-05)).
  - Sets up a service and a timer for each product, C(atlassian-dc-backup@INSTANCE), which run restic and the database's
    own tools under an account of their own. The first backup is begun and waited for no longer than O(wait),
    but that of a product which has to be locked meanwhile is left to the timer.
  - What a backup has left on the host is judged; the repository is not asked.
options:
  packages:
    description:
      - What has to be installed, by what it is for.
      - Undefined, the names of this operating system are not known.
    type: dict
  products:
    description:
      - What product data tells of backups, by product.
      - Filled in by the action plugin.
    type: dict
  host:
    description:
      - Name of the host in the repository.
      - Filled in by the action plugin.
    type: str
  collection:
    description:
      - Version of the collection.
      - Filled in by the action plugin.
    type: str
  repository:
    description:
      - The repository of restic. C(url), its address; C(password), what it is encrypted with; C(environment),
        environment variables that restic needs to reach it. Undefined, nothing is set up.
      - The action plugin hands it over as one text, so that no name in it is taken for a secret in results.
    type: json
  databases:
    description:
      - Accounts to read databases with, C(username) and C(password), or C(command), which writes a dump to its standard
        output.
      - By name of the instance or product. Handed over as O(repository) is.
    type: json
  credentials:
    description:
      - How to log in to products that have to be locked meanwhile, by name of the instance or product.
      - Handed over as O(repository) is.
    type: json
  other:
    description:
      - Where another tool leaves something after each good backup, C(path), and how old that may be, C(max_age) in
        seconds.
      - By name of the instance or product. Nothing is set up for what is named here.
    type: dict
  schedule:
    description: When backups are made, as C(OnCalendar) of systemd.
    type: str
    default: daily
  interval:
    description: Seconds between two of them. One that is twice as old is too old.
    type: int
    default: 86400
  time_limit:
    description: Seconds after which a backup is ended.
    type: int
    default: 43200
  keep:
    description: How many backups are kept, the newest of each day, week and month; all, if none of them is set.
    type: dict
  forget:
    description: Whether old backups are removed by this host. Not, where it may only add to the repository.
    type: bool
    default: true
  create:
    description: Whether a repository is made where there is none.
    type: bool
    default: true
  drain:
    description: Seconds that a product which is locked may take to end what it does.
    type: int
    default: 300
  snapshot:
    description:
      - How a snapshot of the storage that an instance lies on is made, C(create), and removed, C(remove), each a list
        of words that begins with the absolute path of a program.
      - Root runs them as they are, with C(ATLASSIAN_DC_SNAPSHOT) in their environment, the folder in which the homes
        have to appear, read-only, each at its own absolute path. C(remove) ends well where there is nothing to remove.
      - Who sets this states that such a snapshot is of one moment.
      - By name of the instance or product.
    type: dict
  textfile_dir:
    description:
      - Folder from which Prometheus' node exporter takes figures. A link in it leads to those of each product.
    type: path
  wait:
    description: Seconds for which the first backup is waited for.
    type: int
    default: 30
  copies:
    description: Folder on the controller that keeps the results of drills. Relative to the current directory.
    type: path
    default: ./atlassian-dc-backups
  drills:
    description:
      - What is kept there, by key.
      - Filled in by the action plugin.
    type: dict
    default: {}
  drill_max_age:
    description: Most days since the last drill.
    type: float
    default: 100
extends_documentation_fragment:
  - atlassian_dc.hardening.attributes
  - atlassian_dc.hardening.controls
  - atlassian_dc.hardening.instances
  - atlassian_dc.hardening.record
seealso:
  - name: Backups
    description: What is in a backup, how it is made, and what happens when something fails.
    link: https://github.com/atlassian-dc-hardening/atlassian_dc.hardening/blob/main/docs/backup.md
author:
  - the atlassian_dc.hardening contributors (@atlassian-dc-hardening)
"""

EXAMPLES = r"""
- name: Back up all products of a host every night
  atlassian_dc.hardening.backup:
    instances: "{{ ansible_facts.atlassian_dc.instances }}"
    packages: {restic: restic, postgresql: postgresql-client}
    repository:
      url: rest:https://backup.example.com/jira
      password: "{{ vault_backup_password }}"
    schedule: "*-*-* 02:00"
  tags: [DC-BKP-01, DC-BKP-02, DC-BKP-03, DC-BKP-04, DC-BKP-05]
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
repository_keys:
  description: Under which key each instance is in the repository.
  returned: always
  type: dict
  sample: {jira: jira1-jira}
"""

import contextlib
import json
import os
import pwd
import stat
import sys
import time
from collections.abc import Mapping
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.atlassian_dc.hardening.plugins.module_utils import (
    _backup_database,
    _backup_keep,
    _backup_maintenance,
    _backup_manifest,
    _backup_proof,
    _backup_restic,
    _backup_rows,
    _backup_run,
    _backup_sample,
    _backup_snapshot,
    _backup_state,
    _rest,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._accounts import NO_LOGIN_SHELLS, AccountDatabase
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._backup_repository import Repository, repository_of
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._backup_run import CONFIG
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._backup_scope import (
    Scope,
    ScopeError,
    needs_backup,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._backup_state import (
    FAILED,
    FOLDER,
    METRICS,
    RUNNING,
    State,
    StateError,
    place_of,
    read_state,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._changes import ChangeError, Changes, mode_text
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._discovery_host import Host
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._findings import (
    CONTROL_ARGUMENTS,
    Evidence,
    Findings,
    evidence,
    plural,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._own_program import library
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._own_timer import SYSTEMD, OwnFile, OwnTimer
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._packages import package_manager
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._recorder import RECORD_ARGUMENTS
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._restore_kept import last_drill, path_on_host
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._restore_result import judge
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._systemd import (
    RunCommand,
    has_job,
    quote_word,
    show_units,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._walk import Mounts

SCHEDULED = "DC-BKP-01"
APART = "DC-BKP-02"
RECENT = "DC-BKP-03"
TRIED = "DC-BKP-04"
COMPLETE = "DC-BKP-05"
CONTROLS = (SCHEDULED, APART, RECENT, TRIED, COMPLETE)

NEED = "atlassian_dc_backup_repository"
SNAPSHOT = "atlassian_dc_backup_snapshot"
ACCOUNT = "atlassian-dc-backup"
UNIT = "atlassian-dc-backup@"
RELEASE_UNIT = "atlassian-dc-backup-release@"
SNAPSHOT_UNIT = "atlassian-dc-backup-snapshot-"
PROGRAM = "/usr/local/libexec/atlassian-dc-backup"
LIBRARY = "/usr/local/lib/atlassian-dc-backup"
"""Where the code lies that makes backups."""
MODULES = (
    _backup_run,
    _backup_maintenance,
    _backup_database,
    _backup_keep,
    _backup_manifest,
    _backup_proof,
    _backup_restic,
    _backup_rows,
    _backup_sample,
    _backup_snapshot,
    _backup_state,
    _rest,
)
"""Files of this collection that it consists of."""
GRACE_SECONDS = 120
"""How much longer than its time a backup may take to let everything go."""
MAX_AGE = 2
"""How many times as old as the schedule wants it the last backup may be."""
AHEAD = 3600
"""Seconds that clocks may differ; what is dated later than that would never grow old."""
HEADER = "# Written by atlassian_dc.hardening, role backup. Change its variables, not this file.\n"


class Backups:
    """Judges the backups of one host and sets them up.

    Args:
        params: the module's parameters.
        findings: where to put what was found.
        changes: through which to change things.
        run_command: to ask the system's tools.
        root: folder that stands for ``/``; anything but ``/`` only in tests.

    """

    def __init__(
        self,
        params: dict[str, Any],
        findings: Findings,
        changes: Changes,
        run_command: RunCommand,
        root: str = "/",
    ) -> None:
        self.params = params
        self.findings = findings
        self.changes = changes
        self.run_command = run_command
        self.root = root
        self.files = Host(root)
        self.manager = package_manager(run_command)
        self.mounts = Mounts()
        self.keys: dict[str, str] = {}

    def run(self) -> None:
        """Judge every instance, and put right what may be.

        Raises:
            ChangeError: a value that was given cannot be used.

        """
        see_snapshots(self.params["snapshot"])
        if not self.params["instances"]:
            for control in CONTROLS:
                self.findings.add(control, None, "not_applicable", "no product was found on this host")
        for instance in self.params["instances"]:
            _Instance(self, instance).run()

    def real(self, path: str) -> str:
        """Return where a path of the host lies."""
        return os.path.join(self.root, path.lstrip("/"))

    def given(self, option: str, instance: Mapping[str, Any]) -> Any:
        """Return what the user says of an instance, by its name or its product; None where nothing is said."""
        said = self.params[option] or {}
        return said.get(instance["name"], said.get(instance["product"]))

    # ---- what all instances of the host have in common ---------------------------------------

    def missing(self, names: list[str]) -> list[Evidence]:
        """Return which packages are not installed."""
        missing = self.manager.missing(names)
        return [evidence(f"package {name}", "installed", "absent") for name in missing]

    def account_drift(self) -> list[Evidence]:
        """Return how the account of backups differs from what it should be."""
        account = AccountDatabase(self.root).account(ACCOUNT)
        if account is None:
            return [evidence(f"account {ACCOUNT}", "a system account without shell", "absent")]
        found = []
        if account.uid == 0:
            found.append(evidence(f"UID of {ACCOUNT}", "not 0", "0"))
        if account.shell not in NO_LOGIN_SHELLS:
            found.append(evidence(f"shell of {ACCOUNT}", "none that logs in", account.shell))
        return found

    def make_account(self) -> None:
        """Have the account of backups.

        Raises:
            ChangeError: it cannot be had.

        """
        database = AccountDatabase(self.root)
        account = database.account(ACCOUNT)
        target = f"account {ACCOUNT}"
        shell = next((path for path in NO_LOGIN_SHELLS if os.path.exists(self.real(path))), NO_LOGIN_SHELLS[0])
        if account is None:
            group = ("--gid", ACCOUNT) if database.group(ACCOUNT) else ("--user-group",)
            self.changes.command(
                [
                    *("useradd", "--system", *group, "--no-create-home", "--home-dir", FOLDER, "--shell", shell),
                    *("--comment", "backups of Data Center products", ACCOUNT),
                ],
                target,
                "existence",
                "absent",
                "a system account without shell",
            )
        elif account.uid == 0:
            raise ChangeError(f"{target} is root under another name; remove it")
        elif account.shell not in NO_LOGIN_SHELLS:
            undo = ["usermod", "--shell", account.shell, ACCOUNT]
            self.changes.command(["usermod", "--shell", shell, ACCOUNT], target, "shell", account.shell, shell, undo)

    def in_group(self) -> list[str]:
        """Return the accounts of products that are in the group of backups."""
        database = AccountDatabase(self.root)
        group = database.group(ACCOUNT)
        if group is None:
            return []
        products = {str(item["service_account"]) for item in self.params["instances"] if item.get("service_account")}
        primary = {account.name for account in database.accounts if account.gid == group.gid}
        return sorted(products & (primary | set(group.members)))


class _Instance:
    """The backups of one instance."""

    def __init__(self, host: Backups, instance: dict[str, Any]) -> None:
        self.host = host
        self.params = host.params
        self.findings = host.findings
        self.changes = host.changes
        self.instance = instance
        self.name = str(instance["name"])
        self.unit_name = _backup_manifest.key_of(self.name)
        self.data: dict[str, Any] = (self.params["products"] or {}).get(str(instance["product"])) or {}
        self.refused: list[Evidence] = []
        self.database: dict[str, Any] | None = None

    @property
    def _snapshot(self) -> dict[str, Any] | None:
        """How a snapshot of its storage is made and removed; None where none is made."""
        found: dict[str, Any] | None = self.host.given("snapshot", self.instance)
        return found

    @property
    def _locks(self) -> bool:
        """Whether people are kept from their work while it is backed up: then only its timer begins a backup."""
        return self._protocol is not None

    def run(self) -> None:
        """Judge it, and put right what may be."""
        if self._is_without():
            return
        scope = Scope(self.instance, self.data, str(self.params["host"]), self.host.files)
        self.host.keys[self.name] = scope.key
        self._judge_tried(scope)
        other = self.host.given("other", self.instance)
        if other:
            self._judge_other(other)
        elif not self.params["repository"]:
            self._judge_without_repository()
        else:
            self._judge(scope)

    def _is_without(self) -> bool:
        """Say of what needs no backup that it needs none; whether that is so."""
        if not needs_backup(self.data):
            status, reason = "not_checked", f"what a restore of {self.instance['product']} needs is not known"
            if self.instance.get("part_of"):
                status = "not_applicable"
                reason = f"nothing of it is needed for a restore of {self.instance['part_of']}"
            for control in CONTROLS:
                self.findings.add(control, self.name, status, reason)
            return True
        return False

    # ---- without backups of ours -------------------------------------------------------------

    def _judge_without_repository(self) -> None:
        reason = f"{NEED} is not set, so this role makes no backups"
        proof = [evidence(NEED, "the repository that backups go to", "not set")]
        for control in (SCHEDULED, APART, RECENT, COMPLETE):
            self.findings.add(control, self.name, "fail", reason, proof)

    def _judge_other(self, other: Mapping[str, Any]) -> None:
        """Judge by what another tool leaves behind."""
        path, limit = str(other.get("path") or ""), int(other.get("max_age") or MAX_AGE * self.params["interval"])
        info = self.host.files.stat(path) if path.startswith("/") else None
        if info is None:
            proof = [evidence(path or "atlassian_dc_backup_other", "left by the last good backup", "absent")]
            for control in (SCHEDULED, RECENT):
                self.findings.add(control, self.name, "fail", f"another tool was to leave {path or 'a file'}", proof)
        else:
            age = time.time() - info.st_mtime
            said = f"changed {_time(age)} ago" if age >= -AHEAD else "dated in the future"
            proof = [evidence(path, f"changed within {_time(limit)}", said)] if not -AHEAD <= age <= limit else []
            for control in (SCHEDULED, RECENT):
                self.findings.judge(control, self.name, proof, f"what another tool left, {path}, was {said}")
        for control in (APART, COMPLETE):
            reason = (
                "another tool makes the backups (atlassian_dc_backup_other), and what it keeps where is not known here"
            )
            self.findings.add(control, self.name, "not_checked", reason)

    # ---- with them ---------------------------------------------------------------------------

    def _judge(self, scope: Scope) -> None:
        repository = repository_of(self.params["repository"]["url"], self.host.mounts.network_type)
        apart = self._apart(repository)
        try:
            self.database, password = scope.database(self.host.given("databases", self.instance))
            names = self._packages(repository, self.database)
            timer = self._timer(scope, repository, self.database, password)
        except ScopeError as exc:
            proof = [evidence(f"database of {self.name}", "one that can be dumped", exc)]
            self.findings.add(SCHEDULED, self.name, "fail", str(exc), proof, by_hand=True)
        else:
            before = self._drift(names, timer, repository)
            if before and self.findings.enforces(SCHEDULED):
                self._put_right(names, timer, repository)
            left = before if self.changes.check_mode else self._drift(names, timer, repository)
            shown = [*self.refused, *left] or before
            what = "; ".join(f"{piece['what']}: {piece['actual']}" for piece in shown[:3])
            repaired = not left and not self.refused
            if shown:
                self.findings.judge(SCHEDULED, self.name, shown, f"backups are not set up: {what}", repaired=repaired)
            else:
                self.findings.add(SCHEDULED, self.name, "pass", self._how())
        self._judge_apart(repository, apart)
        self._judge_recent(scope)
        self._judge_complete(scope)

    def _drift(self, names: list[str], timer: OwnTimer, repository: Repository) -> list[Evidence]:
        """Return what of the backups is not set up as it should be."""
        units = (*timer.drift(), *self._overruled(timer), *self._retired_drift())
        found = [*self.host.missing(names), *self.host.account_drift(), *units]
        return [*found, *self._folder_drift(repository), *self._figures_drift()]

    def _overruled(self, timer: OwnTimer) -> list[Evidence]:
        """Return what drop-ins of somebody else make of the units; what does no harm there is left alone."""
        shown = show_units(
            self.host.run_command, (timer.service, timer.timer), ("DropInPaths", "User", "ExecStart", "TimersCalendar")
        )
        found = []
        for unit, name, fits in (
            (timer.service, "User", lambda told: told == ACCOUNT),
            (timer.service, "ExecStart", lambda told: f"path={PROGRAM} " in told),
            (timer.timer, "TimersCalendar", lambda told: "OnCalendar=" in told),
        ):
            told, paths = (shown.get(unit, {}).get(key, "") for key in (name, "DropInPaths"))
            if paths and not fits(told):
                found.append(evidence(f"{name} of {unit}", "as in its file", f"{told[:80] or 'none'}, by {paths}"))
        return found

    def _put_right(self, names: list[str], timer: OwnTimer, repository: Repository) -> None:
        try:
            self.host.manager.ensure(self.changes, *names, start=False)
            self.host.make_account()
            self._make_folder(repository)
            self._link_figures()
            begun = self._read()[0]
            timer.put_right()
            self._retire()
            if not self._locks and begun is not None and begun.whole is None and begun.result == FAILED:
                # What has kept the first one from succeeding may be what was put right.
                self.changes.systemctl("start", timer.service, "last run", "failed", "begun", options=("--no-block",))
            self._wait(timer)
        except ChangeError as exc:
            self.refused.append(evidence(f"backups of {self.name}", "set up", exc))

    def _wait(self, timer: OwnTimer) -> None:
        """Wait for the backup that was begun, if it is the first: what it leaves is judged next."""
        state = self._read()[0]
        if self.changes.check_mode or (state is not None and state.whole is not None):
            return
        unit = show_units(self.host.run_command, [timer.service], ("ActiveState", "Job")).get(timer.service, {})
        # A job that systemd has not come to yet leaves the unit as it was.
        if unit.get("ActiveState") == "activating" or has_job(unit):
            # What waits for the job may be ended; the job goes on.
            self.host.run_command(["timeout", str(self.params["wait"]), "systemctl", "start", timer.service])

    def _packages(self, repository: Repository, database: Mapping[str, Any] | None) -> list[str]:
        """Return the packages that are needed."""
        names = self.params["packages"]
        if names is None:
            raise ScopeError("the names of packages are not known for this operating system")
        wanted = ["restic", *([database["kind"]] if database and database["kind"] in names else [])]
        wanted += [repository.kind] if repository.kind in names else []
        return list(dict.fromkeys(str(names[name]) for name in wanted))

    def _timer(self, scope: Scope, repository: Repository, database: dict[str, Any] | None, password: str) -> OwnTimer:
        """Return the service and its timer, with all that they need."""
        config, secrets = self._config(scope, database), self._secrets(password)
        path = f"{CONFIG}/{self.unit_name}"
        parts = tuple(module.__name__.rpartition(".")[2] for module in MODULES)
        files = (
            *library(LIBRARY, parts),
            OwnFile(PROGRAM, launcher(), 0o755),
            OwnFile(f"{path}.json", json.dumps(config, indent=1, sort_keys=True) + "\n", 0o600),
            OwnFile(f"{path}.secrets.json", json.dumps(secrets, sort_keys=True) + "\n", 0o600, secret=True),
        )
        release = OwnFile(f"{SYSTEMD}/{RELEASE_UNIT}{self.unit_name}.service", render_release(self.unit_name))
        more: tuple[OwnFile, ...] = (release,)
        if self._snapshot:
            commands = {**config["snapshot"], **{verb: self._snapshot[verb] for verb in VERBS}}
            text = json.dumps(commands, indent=1, sort_keys=True) + "\n"
            path, socket, service = self._snapshot_files
            files = (*files, OwnFile(path, text, 0o600))
            name = self.unit_name
            units = OwnFile(service, render_snapshot_service(name)), OwnFile(socket, render_snapshot_socket(name))
            more = (*more, *units)
        return OwnTimer(
            f"{UNIT}{self.unit_name}",
            render_service(self.unit_name, self.params["time_limit"], repository.path),
            render_timer(self.params["schedule"]),
            files,
            self.changes,
            self.host.run_command,
            self.host.root,
            judge_runs=False,
            begins=not self._locks,
            more=more,
        )

    def _config(self, scope: Scope, database: dict[str, Any] | None) -> dict[str, Any]:
        instance = self.instance
        home = [part for part in scope.parts() if part["part"] != _backup_manifest.SHARED_HOME]
        protocol = self._protocol
        if protocol and not self.host.given("credentials", instance):
            raise ScopeError(
                f"database and repositories have to be of one moment, so {self.name} is locked while it is backed up:"
                " set atlassian_dc_credentials for it"
            )
        url = instance.get("url") or f"http://127.0.0.1:{instance.get('http_port')}{instance.get('context_path') or ''}"
        return {
            "collection": self.params["collection"],
            "key": scope.key,
            "repository": self._place,
            "host": self.params["host"],
            "product": instance["product"],
            "version": instance.get("version"),
            "instance": {
                "name": self.name,
                "install_dir": instance.get("install_dir"),
                "home_dir": scope.home,
                "shared_home_dir": scope.shared,
                "user": instance.get("service_account"),
                "group": instance.get("service_group"),
                "unit": instance.get("unit"),
            },
            "clustered": scope.clustered,
            "node": {"key": scope.node_key, "parts": home if scope.clustered else []},
            "parts": scope.parts(),
            "needed": scope.needed(),
            "links": scope.links(),
            "database": database,
            "maintenance": {"url": url, "drain": self.params["drain"], "protocol": protocol} if protocol else None,
            "snapshot": self._shown(scope) if self._snapshot else None,
            "period": self.params["interval"],
            "time_limit": self.params["time_limit"],
            "keep": {period: int(count) for period, count in (self.params["keep"] or {}).items()},
            "forget": self.params["forget"],
            "create": self.params["create"],
        }

    @property
    def _place(self) -> str:
        """What tells the repository from others."""
        return place_of(str(self.params["repository"]["url"]))

    @property
    def _protocol(self) -> dict[str, str] | None:
        """Where the product is locked while it is backed up; None where it need not be.

        It need not where its files are of one moment, and that of its dump is known, which only PostgreSQL tells.
        """
        told = self.data.get("backup") or {}
        found: dict[str, str] | None = told.get("maintenance")
        at_once = (self.database or {}).get("kind") == "postgresql"
        return None if self._snapshot and at_once and told.get("snapshot") else found

    # ---- a snapshot of its storage -----------------------------------------------------------

    def _shown(self, scope: Scope) -> dict[str, Any]:
        """Return what a snapshot has to show: the shared home, which has what people add; else the home."""
        parts = {part["part"]: part for part in scope.parts()}
        name = _backup_manifest.SHARED_HOME
        if name not in parts:
            name = next((each for each in parts if each.startswith(_backup_manifest.HOME)), "")
        if not name:
            raise ScopeError(f"{self.name} has no home that {SNAPSHOT} could be of")
        paths = [str(path) for path in parts[name]["paths"]]
        return {
            "root": _backup_snapshot.folder_of(self.unit_name),
            "socket": _backup_snapshot.socket_of(self.unit_name),
            "parts": [name],
            "paths": paths,
            "exclude": parts[name]["exclude"],
            "needed": [item["place"] for item in scope.needed()],
        }

    @property
    def _snapshot_files(self) -> tuple[str, str, str]:
        """Files of a snapshot: the commands, the socket, and the service of root."""
        unit = f"{SYSTEMD}/{SNAPSHOT_UNIT}{self.unit_name}"
        return f"{CONFIG}/{self.unit_name}.snapshot.json", f"{unit}.socket", f"{unit}@.service"

    def _retired_drift(self) -> list[Evidence]:
        """Return what is left of a snapshot that is not declared any more."""
        if self._snapshot:
            return []
        left = [path for path in self._snapshot_files if self.host.files.lstat(path) is not None]
        return [evidence(path, f"absent without {SNAPSHOT}", "present") for path in left]

    def _retire(self) -> None:
        """Remove what is left of a snapshot that is not declared any more."""
        left = [str(piece["what"]) for piece in self._retired_drift()]
        if left and self.host.files.lstat(f"{_backup_snapshot.LEFT}/{self.unit_name}") is not None:
            # Nothing would know any more how it is removed.
            clear = f"{PROGRAM} {_backup_snapshot.CLEAR} {self.unit_name}"
            raise ChangeError(f"a snapshot of {self.name} may still be there: run {clear} first")
        socket = self._snapshot_files[1]
        if socket in left:
            unit = os.path.basename(socket)
            self.changes.systemctl("disable", unit, "at boot", "enabled", "disabled", ("enable", "--now"), ("--now",))
        for path in left:
            self.changes.remove_file(self.host.real(path))
        if left:
            self.changes.reload_units()

    def _how(self) -> str:
        """Return how it is backed up, where people may notice."""
        of_one_moment = bool((self.data.get("backup") or {}).get("maintenance"))
        if self._snapshot and not self._locks:
            words = f"files are taken from a snapshot that is of one moment, as {SNAPSHOT} states"
            return f"{words}; {self.name} is not locked meanwhile" if of_one_moment else words
        if self._snapshot:
            return f"{self.name} is locked while its database is dumped, of which no tool tells the moment"
        return f"{self.name} is locked while it is backed up" if of_one_moment else ""

    def _secrets(self, password: str) -> dict[str, Any]:
        repository = self.params["repository"]
        environment = {str(name): str(value) for name, value in (repository.get("environment") or {}).items()}
        return {
            "repository": {"url": repository["url"], "password": repository["password"], "environment": environment},
            "database": password,
            "product": self.host.given("credentials", self.instance) if self._protocol else {},
        }

    # ---- a repository that is a folder of the host -------------------------------------------

    def _folder_drift(self, repository: Repository) -> list[Evidence]:
        """Return what keeps the account from writing to a repository that is a folder."""
        if not repository.path:
            return []
        info = self.host.files.stat(repository.path)
        if info is None:
            return [evidence(repository.path, f"a folder of {ACCOUNT}", "absent")]
        return []

    def _make_folder(self, repository: Repository) -> None:
        path = repository.path
        if not path or self.host.files.stat(path) is not None:
            return

        def make() -> None:
            account = pwd.getpwnam(ACCOUNT)
            os.mkdir(self.host.real(path), 0o700)
            os.chown(self.host.real(path), account.pw_uid, account.pw_gid)

        # Nothing takes it back: whatever is in it by then is a backup.
        self.changes.perform(make, path, "existence", "absent", f"a folder of {ACCOUNT}")

    # ---- figures for a monitoring system -----------------------------------------------------

    @property
    def _figures(self) -> tuple[str, str] | None:
        """The link in the folder of the node exporter, and where it leads; None where there is no such folder."""
        folder, name = self.params["textfile_dir"], f"{self.unit_name}.prom"
        return (os.path.join(folder, f"atlassian-dc-backup-{name}"), f"{METRICS}/{name}") if folder else None

    def _figures_drift(self) -> list[Evidence]:
        if self._figures is None:
            return []
        link, target = self._figures
        try:
            found = os.readlink(self.host.real(link))
        except FileNotFoundError:
            found = "absent"
        except OSError:
            found = "no link"
        return [] if found == target else [evidence(link, f"a link to {target}", found)]

    def _link_figures(self) -> None:
        for piece in self._figures_drift():
            if piece["actual"] == "no link":
                raise ChangeError(f"{piece['what']} exists and is no link; move it away")
            link, target = self._figures or ("", "")
            undo = ["rm", "-f", link] if piece["actual"] == "absent" else ["ln", "-sfn", piece["actual"], link]
            # The program may write to its own folders only; what it wrote there, everybody may read.
            argv = ["ln", "-sfn", target, link]
            self.changes.command(argv, link, "link", piece["actual"], target, undo)

    # ---- DC-BKP-02 ---------------------------------------------------------------------------

    def _apart(self, repository: Repository) -> list[tuple[str, Evidence]]:
        """Return what of the backups is within reach of others, each with the reason."""
        found = []
        if not repository.off_host:
            where = repository.path or "this host"
            proof = evidence("atlassian_dc_backup_repository", "a place off the host", where)
            found.append(("the repository is on the host itself", proof))
        if self.host.files.lstat(f"{CONFIG}/{self.unit_name}.secrets.json") is None:
            proof = evidence(f"backups of {self.name}", "set up", "not set up")
            found.append(("no backups are made that could be encrypted and off the host (DC-BKP-01)", proof))
        found += [("the secrets of backups can be read by others", proof) for proof in self._open_secrets()]
        for name in self.host.in_group():
            proof = evidence(f"members of group {ACCOUNT}", "no account of a product", name)
            found.append((f"{name} is in the group of backups", proof))
        found += [("the repository is open to others", proof) for proof in self._open_folder(repository)]
        return found

    def _judge_apart(self, repository: Repository, before: list[tuple[str, Evidence]]) -> None:
        if self.findings.enforces(APART):
            self._take_out(self.host.in_group())
        left = before if self.changes.check_mode else self._apart(repository)
        if not before and not left:
            return self.findings.add(APART, self.name, "pass", repository.append_only)
        shown = left or before
        reason = f"{', and '.join(reason for reason, _proof in shown)}; {repository.append_only}"
        proof = [piece for _reason, piece in shown]
        by_hand = not repository.off_host
        return self.findings.judge(APART, self.name, proof, reason, repaired=not left, by_hand=by_hand)

    def _open_secrets(self) -> list[Evidence]:
        path = f"{CONFIG}/{self.unit_name}.secrets.json"
        info = self.host.files.lstat(path)
        if info is None:
            return []
        owner = 0 if self.host.root == "/" else os.getuid()
        if info.st_uid == owner and not stat.S_IMODE(info.st_mode) & 0o077:
            return []
        return [evidence(path, "root 0600", f"UID {info.st_uid} {mode_text(info.st_mode)}")]

    def _open_folder(self, repository: Repository) -> list[Evidence]:
        info = self.host.files.stat(repository.path) if repository.path else None
        if info is None:
            return []
        owner = self.host.files.user_name(info.st_uid)
        if stat.S_IMODE(info.st_mode) & 0o077 or owner == self.instance.get("service_account"):
            actual = f"{owner} {mode_text(info.st_mode)}"
            return [evidence(repository.path, f"closed to all but {ACCOUNT}", actual)]
        return []

    def _take_out(self, members: list[str]) -> None:
        """Take accounts of products out of the group of backups; who stays is judged after it."""
        for name in members:
            with contextlib.suppress(ChangeError):
                self.changes.command(
                    ["gpasswd", "--delete", name, ACCOUNT],
                    f"account {name}",
                    f"group {ACCOUNT}",
                    "a member",
                    "none",
                    ["gpasswd", "--add", name, ACCOUNT],
                )

    # ---- DC-BKP-04 ---------------------------------------------------------------------------

    def _judge_tried(self, scope: Scope) -> None:
        kept, path = (self.params["drills"] or {}).get(scope.key), self.host.real(path_on_host(scope.key))
        result, problem = last_drill(scope.key, kept, path)
        how = f"run playbook backup_drill for {scope.key}"
        status, reason, proof = judge(result, problem, self.params["drill_max_age"], time.time(), how)
        self.findings.add(TRIED, self.name, status, reason, proof)

    # ---- DC-BKP-03 and 05 --------------------------------------------------------------------

    def _read(self) -> tuple[State | None, str]:
        """Return what the last backup has left, and what is wrong with that."""
        path = f"{FOLDER}/{self.unit_name}/{_backup_state.NAME}"
        try:
            state = read_state(self.host.real(path))
        except StateError as exc:
            return None, f"{path} {exc}"
        if state is not None and state.repository != self._place:
            return None, "no backup was made in this repository yet"
        return state, ""

    def _judge_recent(self, scope: Scope) -> None:
        state, problem = self._read()
        where = f"the last backup of {self.name}"
        if state is None or state.key != scope.key:
            reason = problem or "no backup was made yet"
            if self._locks and not problem:
                reason += f": {self.name} is locked meanwhile, so the first is left to the timer"
            return self.findings.add(RECENT, self.name, "fail", reason, [evidence(where, "a success", reason)])
        limit = MAX_AGE * self.params["interval"]
        reasons, drift = [], []
        if state.result == FAILED and state.reason != state.damage:
            reasons.append(f"the last try failed: {state.reason}")
            drift.append(evidence(f"the last try, {_time(time.time() - state.begun)} ago", "a success", state.reason))
        if state.damage:
            reasons.append(f"the repository is damaged: {state.damage}")
            drift.append(evidence("the last check of the repository", "nothing found", state.damage))
        if state.result == RUNNING and not -AHEAD <= time.time() - state.begun <= self.params["time_limit"]:
            # The host went down before anything could say so.
            reasons.append("the last try was cut short")
            drift.append(evidence(f"the last try, {_time(time.time() - state.begun)} ago", "an end", "none"))
        if state.whole is None:
            running = "is still being made" if state.result == RUNNING else "has not succeeded yet"
            reasons.append(f"the first backup {running}")
            drift.append(evidence(where, "a success", "none"))
        else:
            age = time.time() - state.whole.finished
            if age < -AHEAD:
                reasons.append("the last success is dated in the future")
                drift.append(evidence(where, f"at most {_time(limit)} old", "dated in the future"))
            if age > limit:
                reasons.append(f"the last success is {_time(age)} old")
                drift.append(evidence(where, f"at most {_time(limit)} old", f"{_time(age)} old"))
        return self.findings.judge(RECENT, self.name, drift, "; ".join(reasons))

    def _judge_complete(self, scope: Scope) -> None:
        state, problem = self._read()
        if state is None or state.whole is None or state.key != scope.key:
            reason = problem or "no backup was made yet"
            proof = [evidence(f"the last backup of {self.name}", "holds what a restore needs", reason)]
            return self.findings.add(COMPLETE, self.name, "fail", reason, proof)
        held = {(item["tree"], item["path"]) for item in state.whole.needed if item["present"]}
        drift = [
            evidence(item["place"], f"in backup {state.whole.backup}", "not in it")
            for item in scope.needed()
            if item["needed"]
            and (item["tree"], item["path"]) not in held
            and self.host.files.stat(item["place"]) is not None
        ]
        count = plural(len(drift), "path")
        other = (self.data.get("backup") or {}).get("consistent_with")
        if other and not drift:
            reason = (
                f"all that this node needs is in the last backup; whether it fits to the database of {other['product']}"
                " is not known, for they are backed up one by one"
            )
            return self.findings.add(COMPLETE, self.name, "not_checked", reason)
        return self.findings.judge(
            COMPLETE, self.name, drift, f"{count} that a restore needs are not in the last backup"
        )


def _time(seconds: float) -> str:
    """Return a span for people."""
    hours = seconds / 3600
    return (
        plural(int(hours // 24), "day")
        if hours >= 48
        else plural(int(hours), "hour")
        if hours >= 2
        else plural(int(seconds // 60), "minute")
    )


VERBS = ("create", "remove")


def see_snapshots(given: Mapping[str, Any] | None) -> None:
    """See that commands for snapshots can be run.

    Args:
        given: by name of the instance or product.

    Raises:
        ChangeError: they cannot; says which one, and why.

    """
    for name, commands in (given or {}).items():
        where = f"{SNAPSHOT}: {name}"
        if not isinstance(commands, Mapping) or set(commands) != set(VERBS):
            raise ChangeError(f"{where}: has to have create and remove and nothing else")
        for verb in VERBS:
            words = commands[verb]
            if not isinstance(words, list) or not words or not all(isinstance(word, str) for word in words):
                raise ChangeError(f"{where}: {verb}: has to be a list of words")
            if not words[0].startswith("/") or words[0].endswith("/"):
                raise ChangeError(f"{where}: {verb}: {words[0]!r} is no absolute path of a program")
            if any("\0" in word for word in words):
                raise ChangeError(f"{where}: {verb}: a word holds a NUL character")


def launcher() -> str:
    """Return the program that the units start."""
    return (
        f"#!{sys.executable} -ISB\n{HEADER}import sys\n\nsys.path.insert(0, {LIBRARY!r})\n\n"
        f"from {_backup_run.__name__} import main  # noqa: E402\n\n"
        "raise SystemExit(main(sys.argv[1:]))\n"
    )


CONFINED = f"""SyslogIdentifier={ACCOUNT}
SyslogLevelPrefix=yes
User={ACCOUNT}
Group={ACCOUNT}
StateDirectory={ACCOUNT}
CacheDirectory={ACCOUNT}
CacheDirectoryMode=0700
RuntimeDirectory={ACCOUNT}
RuntimeDirectoryMode=0700
RuntimeDirectoryPreserve=yes
UMask=0022
Nice=19
IOSchedulingClass=idle
CPUWeight=10
IOWeight=10
MemoryMax=1G
# To read what belongs to the product; nothing else of what root may do.
AmbientCapabilities=CAP_DAC_READ_SEARCH
CapabilityBoundingSet=CAP_DAC_READ_SEARCH
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=read-only
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectHostname=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
"""
"""What the units of the account have in common, which are to read and to write nothing but what is theirs."""


def render_service(name: str, time_limit: int, folder: str) -> str:
    """Return the unit that makes a backup.

    Args:
        name: of the instance, as in units.
        time_limit: seconds after which it ends by itself; it is ended some time later.
        folder: the repository, where it is a folder; else "".

    """
    writes = f"ReadWritePaths={quote_word('-' + folder)}\n" if folder else ""
    return f"""{HEADER}[Unit]
Description=Back up {name} (atlassian_dc.hardening)
Wants=network-online.target
After=network-online.target
OnFailure={RELEASE_UNIT}{name}.service

[Service]
Type=oneshot
ExecStart={PROGRAM} run {name}
# Whatever has ended it: the product is not left locked.
ExecStopPost={PROGRAM} release {name}
LoadCredential=config:{CONFIG}/{name}.json
LoadCredential=secrets:{CONFIG}/{name}.secrets.json
KillMode=mixed
TimeoutStartSec={time_limit + GRACE_SECONDS}
TimeoutStopSec=120
{CONFINED}StateDirectory={ACCOUNT}/{name}
{writes}"""


def render_release(name: str) -> str:
    """Return the unit that puts in order what a backup has left that was killed with all that comes after it.

    Newer systemd (seen with 257) kills what comes after a service as well where all of it is to be killed.
    """
    return f"""{HEADER}[Unit]
Description=Put in order what a backup of {name} has left (atlassian_dc.hardening)

[Service]
Type=oneshot
ExecStart={PROGRAM} release {name}
TimeoutStartSec=120
{CONFINED}"""


def render_snapshot_socket(name: str) -> str:
    """Return the unit at which the backup of an instance asks for a snapshot."""
    return f"""{HEADER}[Unit]
Description=Where a snapshot of {name} is asked for (atlassian_dc.hardening)

[Socket]
ListenStream={_backup_snapshot.socket_of(name)}
SocketUser={ACCOUNT}
SocketMode=0600
DirectoryMode=0755
RemoveOnStop=yes
Accept=yes
MaxConnections=8

[Install]
WantedBy=sockets.target
"""


def render_snapshot_service(name: str) -> str:
    """Return the unit of root that has a snapshot as long as somebody is connected.

    What it mounts has to be seen by others, so it has no file system of its own.
    """
    seconds = _backup_snapshot.SECONDS
    return f"""{HEADER}[Unit]
Description=Make and remove a snapshot of {name} (atlassian_dc.hardening)
CollectMode=inactive-or-failed

[Service]
ExecStart={PROGRAM} {_backup_snapshot.MAKE} {name}
# Whatever has ended it: no snapshot is left.
ExecStopPost={PROGRAM} {_backup_snapshot.CLEAR} {name}
StandardInput=socket
StandardOutput=journal
StandardError=journal
SyslogIdentifier={ACCOUNT}
SyslogLevelPrefix=yes
UMask=0077
KillMode=mixed
TimeoutStopSec={seconds + 60}
LockPersonality=yes
RestrictRealtime=yes
SystemCallArchitectures=native
"""


def render_timer(schedule: str) -> str:
    """Return the unit that starts it.

    Raises:
        ChangeError: the schedule is more than one line.

    """
    if not schedule.isprintable():
        raise ChangeError(f"{schedule!r} is no schedule")
    return f"""{HEADER}[Unit]
Description=When backups are made (atlassian_dc.hardening)

[Timer]
OnCalendar={schedule}
RandomizedDelaySec=15min
Persistent=yes

[Install]
WantedBy=timers.target
"""


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "instances": {"type": "list", "elements": "dict", "required": True},
            "packages": {"type": "dict"},
            "products": {"type": "dict"},
            "host": {"type": "str"},
            "collection": {"type": "str"},
            "repository": {"type": "json", "no_log": True},
            "databases": {"type": "json", "no_log": True},
            "credentials": {"type": "json", "no_log": True},
            "other": {"type": "dict"},
            "schedule": {"type": "str", "default": "daily"},
            "interval": {"type": "int", "default": 86400},
            "time_limit": {"type": "int", "default": 43200},
            "keep": {"type": "dict"},
            "forget": {"type": "bool", "default": True},
            "create": {"type": "bool", "default": True},
            "drain": {"type": "int", "default": 300},
            "snapshot": {"type": "dict"},
            "textfile_dir": {"type": "path"},
            "wait": {"type": "int", "default": 30},
            "copies": {"type": "path", "default": "./atlassian-dc-backups"},
            "drills": {"type": "dict", "default": {}},
            "drill_max_age": {"type": "float", "default": 100},
            **CONTROL_ARGUMENTS,
            **RECORD_ARGUMENTS,
        },
        supports_check_mode=True,
    )
    findings = Findings(module.params, CONTROLS, module.check_mode)
    for name in ("repository", "databases", "credentials"):
        module.params[name] = json.loads(module.params[name] or "null")
    changes = Changes.of(module)
    msg = ""
    keys: dict[str, str] = {}
    try:
        backups = Backups(module.params, findings, changes, module.run_command)
        backups.run()
        keys = backups.keys
    except ChangeError as exc:
        msg = str(exc)
    changes.exit(module, msg, dc_findings=findings.results, repository_keys=keys)


if __name__ == "__main__":
    main()
