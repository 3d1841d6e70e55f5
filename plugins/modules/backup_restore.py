#!/usr/bin/python
# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_restore
short_description: Restore backups of Data Center products, or try that
version_added: 0.7.0
description:
  - Has a host restore backups to a scratch folder and a scratch database, compare both with what was noted when the
    backups were made, and remove them. No product is started.
  - Restores a backup to its place, where nothing is yet. What is there is overwritten only where it is named, and even
    then moved aside; a database is loaded only into an empty one. Nothing is started.
  - What takes long is done by a unit of its own, which O(action=drill) and O(action=restore) start, and
    O(action=drill_result) and O(action=restore_result) ask for.
options:
  action:
    description:
      - V(drill) begins a drill.
      - V(drill_result) tells whether it still runs, and what it has found.
      - V(plan) tells what a restore would do, and what speaks against it.
      - V(restore) begins to restore, unless something speaks against it.
      - V(restore_result) tells whether that still runs, and how it ended.
    type: str
    required: true
    choices: [drill, drill_result, plan, restore, restore_result]
  repository:
    description: The repository of restic.
    type: dict
    suboptions:
      url:
        description: Its address.
        type: str
        required: true
      password:
        description: What it is encrypted with.
        type: str
        required: true
      environment:
        description: Environment variables that restic needs to reach it.
        type: dict
        default: {}
  packages:
    description:
      - Packages for O(action=drill), O(action=plan) and O(action=restore), by what they are for, C(restic) or the kind
        of a database.
      - What is not named has to be there.
    type: dict
    default: {}
  key:
    description:
      - Instance in the repository of which a backup is tried or restored.
      - Undefined, the newest of each of O(instances) is tried, or of each in the repository where there are none;
        restored is that of the only one in the repository.
    type: str
  backup:
    description: Name of the backup, or V(latest).
    type: str
    default: latest
  read_data:
    description: How much of the repository's data is read beside that, as restic takes it.
    type: str
    default: 5%
  time_limit:
    description: Seconds after which O(action=drill) and O(action=restore) are ended, so that none hangs for ever.
    type: int
    default: 43200
  folder:
    description: Where the scratch folder is made. It takes as much space as the largest backup and its database.
    type: path
    default: /var/lib
  instances:
    description:
      - The instances of the host, as discovery describes them.
      - Their backups are tried by O(action=drill).
      - Nothing is restored while the one that is meant runs.
    type: list
    elements: dict
    default: []
  host:
    description:
      - Name of the host in the repository.
      - Filled in by the action plugin.
    type: str
  without:
    description:
      - Products of which there is nothing to back up.
      - Filled in by the action plugin from product data.
    type: list
    elements: str
    default: []
  parts:
    description: What of the backup is restored, such as V(database) and V(home-jira1). Undefined, all of it.
    type: list
    elements: str
  overwrite:
    description: Parts and paths that are restored although something is there. That is moved aside.
    type: list
    elements: str
    default: []
  database:
    description:
      - Where the database goes.
      - What is not said is taken from the product's configuration in the backup.
    type: dict
    default: {}
    suboptions:
      host:
        description: Name or address of the server.
        type: str
      port:
        description: Its port.
        type: int
      name:
        description: Name of the database.
        type: str
      username:
        description: The product's account there.
        type: str
      password:
        description: Its password.
        type: str
      create:
        description:
          - Whether account and database are made, which only the server's own host can.
          - Undefined, that is so where the server is this host.
        type: bool
  first_start:
    description:
      - What the first start after a restore needs, by product, where files were taken from a snapshot of their storage.
      - Filled in by the action plugin.
    type: dict
    default: {}
  logins:
    description:
      - Where products keep the address of their database, by product.
      - Filled in by the action plugin from product data.
    type: dict
    default: {}
extends_documentation_fragment:
  - atlassian_dc.hardening.attributes
seealso:
  - name: Restore
    description: What a drill looks at, how a backup is restored, and what happens when something fails.
    link: https://github.com/atlassian-dc-hardening/atlassian_dc.hardening/blob/main/docs/restore.md
author:
  - the atlassian_dc.hardening contributors (@atlassian-dc-hardening)
"""

EXAMPLES = r"""
- name: Begin to try the newest backups
  atlassian_dc.hardening.backup_restore:
    action: drill
    repository: "{{ atlassian_dc_backup_repository }}"
    packages: {restic: restic, postgresql: postgresql}

- name: Wait for it
  atlassian_dc.hardening.backup_restore:
    action: drill_result
  register: drill
  until: not drill.running
  retries: 100
  delay: 10

- name: See what a restore would do
  atlassian_dc.hardening.backup_restore:
    action: plan
    repository: "{{ atlassian_dc_backup_repository }}"
    key: jira1-jira
    packages: {restic: restic, postgresql: postgresql-client}
"""

RETURN = r"""
dc_changes:
  description: What was changed, or would be in check mode.
  returned: always
  type: list
  elements: dict
running:
  description: Whether the unit still runs.
  returned: with O(action=drill_result) and O(action=restore_result)
  type: bool
plan:
  description: What a restore does, in words.
  returned: with O(action=plan) and O(action=restore)
  type: list
  elements: str
  sample: ["restore /var/atlassian/application-data/jira (part home-jira1): absent"]
trials:
  description: What was found, by key. It is failed where any of them is not V(passed).
  returned: with O(action=drill_result) and O(action=restore_result)
  type: dict
  sample:
    jira1-jira:
      outcome: passed
      checks:
        - "home-jira1: passed, 3027 files, 60500 bytes"
        - "database: passed, 7 tables, 4159 rows, as many rows as noted"
"""

import contextlib
import dataclasses
import os
import shutil
import tempfile
from collections.abc import Iterator
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.atlassian_dc.hardening.plugins.module_utils import _restore_drill
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._backup_manifest import (
    Manifest,
    key_of_instance,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._backup_restic import ResticError
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._backup_scope import CA_FILES, PORTS
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._changes import ChangeError, Changes
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._database_logins import Login, read_logins
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._discovery_parse import ParseError
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._jdbc import is_local, parse_jdbc
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._packages import package_manager
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._restore_host import (
    ACCOUNT,
    DRILL_PARTS,
    RESTORE_PARTS,
    Program,
    account_of,
    drill_properties,
    read_results,
    restore_properties,
    scratch_folder,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._restore_kept import MAX_RESULT, path_on_host
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._restore_plan import folder_of, plan
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._restore_repository import Repository, chosen
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._restore_result import (
    FAILED,
    PASSED,
    Result,
    ResultError,
    parse_result,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._restore_run import progress
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._restore_target import TARGETS
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._systemd import below

RESTORE = "atlassian-dc-restore"
LOOK_SECONDS = 600
"""For how long the module itself may read in the repository."""
ACTIONS = ("drill", "drill_result", "plan", "restore", "restore_result")


class Drills:
    """Begins drills, and takes in what they have found.

    Args:
        module: the module.
        changes: through which to change things.

    """

    def __init__(self, module: AnsibleModule, changes: Changes) -> None:
        self._params = module.params
        self._module = module
        self._changes = changes
        part = _restore_drill.__name__.rpartition(".")[2]
        results = os.path.join(self._params["folder"], ACCOUNT, "results")
        self.program = Program(ACCOUNT, DRILL_PARTS, part, changes, module.run_command, results)

    def begin(self) -> None:
        """Begin one.

        Raises:
            ChangeError: it cannot be begun.

        """
        params = self._params
        repository = prepared(self._module, self._changes)
        for kind in self._kinds(repository):
            install(self._module, self._changes, kind)
        account = account_of(self._changes, repository["url"])
        scratch = scratch_folder(self._changes, params["folder"], account)
        config = {
            "keys": self._keys(),
            "backup": params["backup"],
            "read_data": params["read_data"],
            "scratch": scratch,
            "results": self.program.results,
            "sockets": f"/run/{ACCOUNT}-sockets",
            "time_limit": params["time_limit"],
        }
        properties = drill_properties(account, scratch, ACCOUNT)
        meant = ", ".join(self._keys() or ["every instance"])
        self.program.start(config, repository, properties, f"tries backup {params['backup']} of {meant}")

    def _keys(self) -> list[str] | None:
        """Return the keys of the instances that are meant, None for all."""
        params = self._params
        if params["key"]:
            return [params["key"]]
        own = [each for each in params["instances"] if each["product"] not in params["without"]]
        return [key_of_instance(each, params["host"]) for each in own] or None

    def _kinds(self, told: dict[str, Any]) -> set[str]:
        """Return the kinds of the databases that will be loaded."""
        kinds: set[str] = set()
        with (
            opened(told, self._params["time_limit"]) as repository,
            contextlib.suppress(ResticError),
        ):  # which the drill will tell
            for key, backup in chosen(repository.backups(), self._keys(), self._params["backup"]):
                database = repository.manifest(key, backup).database
                kinds |= {database.kind} if database else set()
        return kinds

    def results(self) -> dict[str, Result]:
        """Return what the last one has found, and keep it for the audit.

        Raises:
            ChangeError: it has left nothing that can be used.

        """
        found = results_of(self.program)
        for key, result in found.items():
            if result.backup:
                self._changes.write_file(path_on_host(key), result.to_json(), 0o644)
        return found


class Restores:
    """Plans and begins a restore, and tells how it ended.

    Args:
        module: the module.
        changes: through which to change things.

    """

    def __init__(self, module: AnsibleModule, changes: Changes) -> None:
        self._params = module.params
        self._module = module
        self._changes = changes
        self.folder = f"/var/lib/{RESTORE}"
        results = os.path.join(self.folder, "results")
        self.program = Program(RESTORE, RESTORE_PARTS, "_restore_run", changes, module.run_command, results)

    def plan(self, begin: bool) -> tuple[list[str], str]:
        """Return what a restore does, in words, and why it is not begun; begin it, if nothing speaks against it.

        Args:
            begin: whether that is wanted.

        Raises:
            ChangeError: nothing can be told, or it cannot be begun.

        """
        params = self._params
        told = prepared(self._module, self._changes)
        if self._module.check_mode and shutil.which("restic") is None:
            return [], "restic is not installed yet: what a restore does is not known before it is"
        with opened(told, params["time_limit"]) as repository:
            try:
                backups = repository.backups()
                if params["key"] is None and len(backups) > 1:
                    raise ResticError(f"set atlassian_dc_restore_instance to one of {', '.join(backups)}")
                key, backup = chosen(backups, [params["key"]] if params["key"] else None, params["backup"])[0]
                manifest = repository.manifest(key, backup)
                database, password = self._database(repository, manifest)
            except ResticError as exc:
                raise ChangeError(str(exc)) from exc
        if manifest.database is not None:
            install(self._module, self._changes, manifest.database.kind)
        done = progress(self.folder, key, backup.name)
        made = plan(manifest, params["parts"], params["overwrite"], params["instances"], done)
        where = f"{database['name']} at {database['host']}:{database['port']}" if database else "nowhere"
        refused = [*made.refused]
        if made.database and not (database and password):
            refused.append(
                "where the database goes is not known: set atlassian_dc_restore_database, or leave it out with"
                " atlassian_dc_restore_parts"
            )
        lines = made.lines(where, params["first_start"].get(manifest.product))
        lines += [*(f"REFUSED: {words}" for words in refused[len(made.refused) :])]
        if refused or not begin:
            return lines, "; ".join(refused)
        config = {
            "key": key,
            "backup": backup.name,
            "items": [dataclasses.asdict(item) for item in made.items],
            "done": done,
            "account": manifest.instance.user,
            "database": database if made.database else None,
            "state": self.folder,
            "time_limit": params["time_limit"],
        }
        paths = [os.path.dirname(item.staging) for item in made.items]
        secrets = {"repository": told, "database": password}
        self.program.start(config, secrets, restore_properties(paths, RESTORE), f"restores {lines[0]}")
        return lines, ""

    def _database(self, repository: Repository, manifest: Manifest) -> tuple[dict[str, Any] | None, str]:
        """Return where the database goes, as far as that is known, and the password of its account."""
        said = {name: value for name, value in self._params["database"].items() if value is not None}
        if manifest.database is None:
            return None, ""
        found: dict[str, Any] = {}
        for login in self._logins(repository, manifest):
            address = parse_jdbc(login.url)
            if address.kind == manifest.database.kind and address.hosts and address.name:
                found = {"host": address.hosts[0], "port": address.port, "name": address.name, "username": login.user}
                found["password"] = login.password if login.plain and not login.secured else ""
                found["ssl_mode"] = address.parameters.get("sslmode", "").lower().replace("_", "-")
                break
        found = {**found, **said}
        kind = manifest.database.kind
        if kind not in TARGETS or not {"host", "name", "username"} <= found.keys():
            return None, ""
        create = found.get("create")
        verifies = found.get("ssl_mode") in ("verify-ca", "verify-full")
        return {
            "kind": kind,
            "host": found["host"],
            "port": found.get("port") or PORTS[kind],
            "ssl_mode": found.get("ssl_mode") or "",
            "ssl_root": next(filter(os.path.exists, CA_FILES), "") if verifies else "",
            "name": found["name"],
            "user": found["username"],
            "create": is_local(found["host"]) if create is None else create,
        }, str(found.get("password") or "")

    def _logins(self, repository: Repository, manifest: Manifest) -> Iterator[Login]:
        """Yield what the configuration in the backup tells of its database."""
        for entry in self._params["logins"].get(manifest.product) or ():
            tree = folder_of(manifest, entry["tree"])
            if tree is None:
                continue
            path = os.path.normpath(os.path.join(tree, entry["path"]))
            for part in manifest.parts:
                if any(below(path, root) for root in part.paths):
                    pieces: list[bytes] = []
                    with contextlib.suppress(ResticError, ParseError):
                        repository.dump(part.snapshot, part.place(path), pieces.append)
                        yield from read_logins(path, b"".join(pieces), entry)

    def results(self) -> dict[str, Result]:
        """Return how it ended.

        Raises:
            ChangeError: it has left nothing that can be used.

        """
        return results_of(self.program)


@contextlib.contextmanager
def opened(told: dict[str, Any], time_limit: int) -> Iterator[Repository]:
    """Provide a repository for a short look."""
    with tempfile.TemporaryDirectory(prefix="atlassian-dc-restic-") as cache:
        limit = min(LOOK_SECONDS, time_limit)
        yield Repository(told["url"], told["password"], told["environment"], cache, limit)


def prepared(module: AnsibleModule, changes: Changes) -> dict[str, Any]:
    """Return the repository, with all installed that it takes to reach it.

    Raises:
        ChangeError: it is not known, or something could not be installed.

    """
    repository: dict[str, Any] | None = module.params["repository"]
    if not repository:
        raise ChangeError("set atlassian_dc_backup_repository: it tells where the backups are")
    install(module, changes, "restic")
    return repository


def install(module: AnsibleModule, changes: Changes, purpose: str) -> None:
    """Install what something needs, as far as its name is known; raises ChangeError where that fails."""
    manager, name = package_manager(module.run_command), module.params["packages"].get(purpose)
    if name:
        manager.ensure(changes, name, start=False)


def results_of(program: Program) -> dict[str, Result]:
    """Return the results that a program has left, by key.

    Raises:
        ChangeError: it has left none that can be used.

    """
    folder, found = program.results, dict[str, Result]()
    for key, text in read_results(folder, MAX_RESULT).items():
        try:
            result = parse_result(text)
        except ResultError as exc:
            raise ChangeError(f"{folder}/{key}.json: {exc}") from exc
        if result.key != key:
            raise ChangeError(f"{folder}/{key}.json: is that of {result.key}")
        found[key] = result
    if not found:
        raise ChangeError(f"{program.unit} has left no result: {program.journal() or 'and said nothing'}")
    return found


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "action": {"type": "str", "required": True, "choices": list(ACTIONS)},
            "repository": {
                "type": "dict",
                "options": {
                    "url": {"type": "str", "required": True},
                    "password": {"type": "str", "required": True, "no_log": True},
                    "environment": {"type": "dict", "default": {}, "no_log": True},
                },
            },
            "packages": {"type": "dict", "default": {}},
            "key": {"type": "str", "no_log": False},
            "backup": {"type": "str", "default": "latest"},
            "read_data": {"type": "str", "default": "5%"},
            "time_limit": {"type": "int", "default": 43200},
            "folder": {"type": "path", "default": "/var/lib"},
            "instances": {"type": "list", "elements": "dict", "default": []},
            "host": {"type": "str"},
            "without": {"type": "list", "elements": "str", "default": []},
            "parts": {"type": "list", "elements": "str"},
            "overwrite": {"type": "list", "elements": "str", "default": []},
            "database": {
                "type": "dict",
                "default": {},
                "options": {
                    "host": {"type": "str"},
                    "port": {"type": "int"},
                    "name": {"type": "str"},
                    "username": {"type": "str"},
                    "password": {"type": "str", "no_log": True},
                    "create": {"type": "bool"},
                },
            },
            "first_start": {"type": "dict", "default": {}},
            "logins": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    # What a drill makes is gone after it: there is nothing to take back.
    changes = Changes.of(module, recorded=False)
    result: dict[str, Any] = {}
    msg = ""
    try:
        action = module.params["action"]
        if action == "drill":
            Drills(module, changes).begin()
        elif action in ("plan", "restore"):
            result["plan"], msg = Restores(module, changes).plan(begin=action == "restore")
        else:
            tried = Drills(module, changes) if action == "drill_result" else Restores(module, changes)
            result.update(running=tried.program.running, trials={})
            if not module.check_mode and not result["running"]:
                tried.program.clean()
                found = tried.results()
                result["trials"] = {
                    key: {
                        "outcome": each.outcome,
                        "checks": [check.words for check in each.checks],
                        "text": each.to_json(),
                    }
                    for key, each in found.items()
                }
                msg = "; ".join(map(complaint, (each for each in found.values() if each.outcome != PASSED)))
    except ChangeError as exc:
        msg = str(exc)
    changes.exit(module, msg, **result)


def complaint(result: Result) -> str:
    """Return why a drill has not passed, in words."""
    said = "failed" if result.outcome == FAILED else "could not be tried as a whole"
    why = "; ".join(f"{check.name}: {check.detail}" for check in result.problems)
    return f"backup {result.backup or '(none)'} of {result.key} {said}: {why}"


if __name__ == "__main__":
    main()
