#!/usr/bin/python
# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: service_account
short_description: Judge and put right the accounts that Data Center products run as
version_added: 0.1.0
description:
  - Judges the service account of every given instance for the controls V(DC-USR-01) (the account exists and belongs to
    one product), V(DC-USR-02) (nobody can log in with it), V(DC-USR-03) (it holds no extra rights) and, once per
    host, V(DC-USR-05) (nobody shares its UID or group).
  - A missing account is made as a system account without home directory, shell or password.
  - The login shell is not taken away as long as the product is started as root by a script that changes to the
    account with C(runuser) or C(su), for that start would fail, nor as long as it is not known what starts the product.
    The control is then C(fail), with C(pending=restart) where a restart puts that right.
  - Accounts that come from a directory service and not from C(/etc/passwd) are judged, never changed.
options:
  groups:
    description:
      - Names of the groups that service accounts may be members of besides their primary group.
      - Groups of a single product are C(declared_groups) of its instance.
      - A group that a product's work may need (C(needed_groups) of the instance, such as V(docker) for build agents)
        is reported and left to a person as long as neither names it and C(declared_groups) is null.
    type: list
    elements: str
    default: []
  sudo_allowed:
    description:
      - Names of the service accounts that may hold rights of sudo.
    type: list
    elements: str
    default: []
  group_members:
    description:
      - Names of the other accounts that may be in the group of a service account, such as monitoring or backup.
    type: list
    elements: str
    default: []
  sandbox:
    description:
      - Directives that replace or extend those of the sandbox, as for M(atlassian_dc.hardening.service_unit). They tell
        whether the unit can be made to start the product as its account.
    type: dict
    default: {}
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
- name: Close the service accounts
  atlassian_dc.hardening.service_account:
    instances: "{{ ansible_facts.atlassian_dc.instances }}"
    groups:
      - ssl-cert
  tags: [DC-USR-01, DC-USR-02, DC-USR-03, DC-USR-05]
"""

RETURN = r"""
dc_findings:
  description: What was found for each control and instance.
  returned: always
  type: list
  elements: dict
  sample:
    - control: DC-USR-02
      instance: jira
      status: fixed
      reason: "account jira could be logged in to: login shell"
      evidence:
        - what: login shell of jira
          expected: /usr/sbin/nologin
          actual: /bin/bash
      pending: null
dc_changes:
  description: What was changed, or would be in check mode.
  returned: always
  type: list
  elements: dict
dc_accounts:
  description:
    - The service accounts as they are in the end, so that the nodes of a cluster can be compared. C(group) is the
      primary group. The numbers are null where there is no such account.
  returned: always
  type: list
  elements: dict
  sample: [{name: jira, uid: 998, group: jira, gid: 998}]
restart_pending:
  description:
    - Names of the instances whose product has to be restarted before a change of this run is live.
    - Empty in check mode, where nothing was changed.
  returned: always
  type: list
  elements: str
"""

import os
import pwd
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, Callable

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._accounts import (
    NO_LOGIN_SHELLS,
    PRIVILEGED_GROUPS,
    ROOT_GROUPS,
    Account,
    AccountDatabase,
    UnsafePathError,
    key_files,
    open_key_file,
    parse_authorized_keys_file,
    unique_instances,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._changes import ChangeError, Changes
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._findings import (
    CONTROL_ARGUMENTS,
    PENDING_RESTART,
    Evidence,
    Findings,
    evidence,
    plural,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._move import (
    UNIT_PROPERTIES,
    can_be_restarted,
    full_file_systems,
    move_blockers,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._recorder import RECORD_ARGUMENTS
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._sudoers import (
    Identity,
    Sudoers,
    all_aliases,
    grants,
    read_tree,
    without_account,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._systemd import (
    STATE_FOLDER,
    read_process,
    sandbox_directives,
    show_units,
    staged_path,
)

CONTROLS = ("DC-USR-01", "DC-USR-02", "DC-USR-03", "DC-USR-05")

REMOVED_FOLDER = f"{STATE_FOLDER}/removed"
"""Where what was taken away from an account is kept, out of its reach."""

RunCommand = Callable[..., tuple[int, str, str]]


@dataclass
class Drift:
    """One thing that is not as it should be, and what puts it right."""

    proof: list[Evidence]
    short: str
    repair: Callable[[], Any] | None = None
    pending: bool = False
    """Can only be put right when the product is restarted."""


def _root_warning(groups: Iterable[str]) -> str:
    """Return what to say behind names of groups that are as good as root."""
    names = [name for name in groups if name in ROOT_GROUPS]
    return f" (members of {', '.join(names)} can make themselves root on this host)" if names else ""


class ServiceAccounts:
    """Judges the service accounts of one host and puts them right.

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
        self._root_owner = (0, 0) if root == "/" else (os.getuid(), os.getgid())
        self.database = AccountDatabase(root)
        self.sudoers: list[Sudoers] = []
        self.units: dict[str, dict[str, str]] = {}
        self.unit_users: dict[str, str] = {}
        self.restart_pending: list[str] = []

    def run(self) -> None:
        """Judge all accounts, changing what may be changed."""
        by_account = unique_instances(self.params["instances"])
        for instance in self.params["instances"]:
            if not instance.get("service_account"):
                for control in CONTROLS[:3]:
                    self.findings.add(control, instance["name"], "not_checked", "its service account is not known")
        if self.findings.judges("DC-USR-03"):
            self.sudoers = read_tree(self.root, socket.gethostname())
        self._read_units()
        for name, instances in by_account.items():
            self._account(name, instances)
        self._shared(list(by_account))

    def _real(self, path: str) -> str:
        return os.path.join(self.root, path.lstrip("/"))

    def _read_units(self) -> None:
        units = [instance["unit"] for instance in self.params["instances"] if instance.get("unit")]
        self.units = show_units(self.run_command, units, ("User", *UNIT_PROPERTIES))
        # The facts may be older than a drop-in this very run has written.
        self.unit_users = {unit: values.get("User") or "root" for unit, values in self.units.items()}

    def _can_be_restarted(self, instance: dict[str, Any]) -> bool:
        shown = self.units.get(instance.get("unit") or "", {})
        return can_be_restarted(instance, shown, read_process(instance.get("pid"), self.root))

    def _can_be_moved(self, instance: dict[str, Any]) -> bool:
        """Whether the restart would make the unit start the product as its account."""
        if not instance.get("unit"):
            return False
        directives = sandbox_directives(self.params["sandbox"], [], instance.get("sandbox"))
        capabilities = directives.get("AmbientCapabilities", "")
        process = read_process(instance.get("pid"), self.root)
        return not move_blockers(instance, self.units.get(instance["unit"], {}), process, capabilities, self.root)

    # ---- one account -------------------------------------------------------------------------

    def _account(self, name: str, instances: list[dict[str, Any]]) -> None:
        account = self.database.account(name) or self._from_directory(name)
        if account is None:
            self._missing(name, instances)
            return
        judgements = (
            ("DC-USR-01", f"account {name} is not the product's own", self._own(account, instances)),
            ("DC-USR-02", f"account {name} can be logged in to", self._login(account, instances)),
            ("DC-USR-03", f"account {name} holds extra rights", self._rights(account, instances)),
        )
        for control, reason, drifts in judgements:
            if self.findings.judges(control):
                self._settle(control, instances, reason, list(drifts), account)

    def _from_directory(self, name: str) -> Account | None:
        if self.root != "/":
            return None
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            return None
        return Account(name, entry.pw_uid, entry.pw_gid, entry.pw_dir, entry.pw_shell, local=False)

    def _missing(self, name: str, instances: list[dict[str, Any]]) -> None:
        proof = [evidence(f"account {name}", "a system account", "absent")]
        if not self.findings.enforces("DC-USR-01"):
            self._judge_all(("DC-USR-01",), instances, proof, f"account {name} does not exist", repaired=False)
            for control in ("DC-USR-02", "DC-USR-03"):
                self._add_all(control, instances, "not_checked", f"blocked by DC-USR-01: account {name} does not exist")
            return
        repaired = True
        try:
            self._create(name, instances[0])
        except ChangeError as exc:
            proof.append(evidence(f"creation of account {name}", "done", exc))
            repaired = False
        self._judge_all(CONTROLS[:3], instances, proof, f"account {name} does not exist", repaired)

    def _create(self, name: str, instance: dict[str, Any]) -> None:
        group = instance.get("service_group") or name
        if self.database.group(group) is None:
            self.changes.command(
                ["groupadd", "--system", group], f"group {group}", "existence", "absent", "a system group"
            )
        # Java's user.home: the product's own home is where it may write. useradd neither makes nor touches it.
        home = instance.get("home_dir") or "/nonexistent"
        self.changes.command(
            [
                *("useradd", "--system", "--gid", group, "--no-create-home", "--home-dir", home),
                *("--shell", self._nologin(), "--comment", f"{instance['product']} service account", name),
            ],
            f"account {name}",
            "existence",
            "absent",
            f"a system account of group {group} without shell and password",
        )
        if not self.changes.check_mode:
            self.database = AccountDatabase(self.root)

    def _own(self, account: Account, instances: list[dict[str, Any]]) -> Iterable[Drift]:
        if account.uid == 0:
            yield Drift(
                [evidence(f"UID of {account.name}", "not 0", "0")], "it is the administrator under another name"
            )
        # The vendor's layouts let a part, such as a node of Mesh, run as the account of its product.
        wholes = {instance.get("part_of") or instance.get("product") for instance in instances}
        if len(wholes) > 1 or sum(not instance.get("part_of") for instance in instances) > 1:
            names = ", ".join(instance["name"] for instance in instances)
            yield Drift(
                [evidence(f"products that run as {account.name}", "one, with its parts", names)],
                "several products share it; give each its own service_account in atlassian_dc_instances",
            )

    # ---- logging in --------------------------------------------------------------------------

    def _nologin(self) -> str:
        for shell in NO_LOGIN_SHELLS:
            if os.path.exists(self._real(shell)):
                return shell
        return "/bin/false"

    def _login(self, account: Account, instances: list[dict[str, Any]]) -> Iterable[Drift]:
        if account.shell not in NO_LOGIN_SHELLS:
            shell = self._nologin()
            proof = [evidence(f"login shell of {account.name}", shell, account.shell or "/bin/sh (none given)")]
            needed_by = [instance for instance in instances if self._start_needs_shell(instance)]
            if not all(self._can_be_moved(instance) for instance in needed_by):
                yield Drift(
                    proof,
                    "login shell, which stays because what starts the product may change to the account by it; "
                    "see DC-USR-01 for what keeps it from being started as the account",
                )
            elif needed_by and not (self.changes.check_mode and self.params["restart_allowed"]):
                yield Drift(
                    proof,
                    "login shell, which stays until the restart because the start script changes to the account by it",
                    pending=self._move_is_prepared(needed_by),
                )
            else:
                yield Drift(
                    proof,
                    "login shell",
                    lambda: self._usermod(
                        account, ["--shell", shell], "login shell", account.shell, shell, ["--shell", account.shell]
                    ),
                )
        found = self.database.passwords.get(account.name, "locked")
        if account.local and found != "locked":
            state = "no password at all" if found == "empty" else "a password is set"
            yield Drift(
                [evidence(f"password of {account.name}", "locked", state)],
                "password not locked",
                lambda: self._usermod(account, ["--lock"], "password", state, "locked", ["--unlock"]),
            )
        seen: set[str] = set()
        for path in key_files(account, self._configured_key_files(account)):
            for drift in self._keys(account, path):
                # Two files in one folder that is a link are one thing to put right.
                if drift.short not in seen:
                    yield drift
                seen.add(drift.short)

    def _start_needs_shell(self, instance: dict[str, Any]) -> bool:
        """Whether the next start runs as root and changes to the account by a command that needs its shell."""
        unit = instance.get("unit")
        named_by_script = instance.get("user_file_user") == instance["service_account"]
        if not unit:
            # What starts it is not known. Only where it runs as root it cannot have gone through the account.
            return named_by_script or not instance.get("running") or instance.get("running_uid") != 0
        if self.unit_users.get(unit, instance.get("unit_user") or "root") not in ("root", "0"):
            return False
        return named_by_script or bool(instance.get("init_script"))

    def _move_is_prepared(self, instances: list[dict[str, Any]]) -> bool:
        if not self.findings.check_mode and self.findings.enforces("DC-USR-01"):
            return True
        return all(
            instance.get("unit") and os.path.exists(self._real(staged_path(instance["unit"]))) for instance in instances
        )

    def _usermod(
        self, account: Account, options: list[str], attribute: str, before: str, after: str, undo: list[str]
    ) -> None:
        self.changes.command(
            ["usermod", *options, account.name],
            f"account {account.name}",
            attribute,
            before,
            after,
            undo=["usermod", *undo, account.name],
        )

    def _configured_key_files(self, account: Account) -> list[str]:
        sshd = self._real("/usr/sbin/sshd")
        if not os.path.exists(sshd):
            return []
        match = f"user={account.name},host=localhost,addr=127.0.0.1"
        code, out, _err = self.run_command([sshd, "-T", "-C", match])
        return parse_authorized_keys_file(out) if code == 0 else []

    def _keys(self, account: Account, path: str) -> Iterable[Drift]:
        wanted = "no authorized keys"
        try:
            found = open_key_file(path, account.home, self.root)
        except UnsafePathError as exc:
            yield Drift([evidence(path, wanted, exc)], f"keys were not looked for because {exc}; replace the link")
            return
        except OSError as exc:
            yield Drift([evidence(path, wanted, f"not readable: {exc.strerror}")], f"{path} is not readable")
            return
        if found is None:
            return
        found.close()
        if not found.keys:
            return
        actual = plural(found.keys, "key") + (f", through a link to {found.link}" if found.link else "")
        proof = [evidence(path, wanted, actual)]
        owner = self._somebody_else(account, path)
        if owner:
            yield Drift(proof, f"authorized keys in {path}, which {owner} uses too; remove them by hand")
        else:
            yield Drift(proof, f"authorized keys in {path}", lambda: self._take_keys(account, path))

    def _somebody_else(self, account: Account, path: str) -> str | None:
        """Return who else would lose keys with this file."""
        others = [item for item in self.database.accounts if item.uid != account.uid]
        inside = path.startswith(account.home.rstrip("/") + "/")
        if not inside and account.name not in path and str(account.uid) not in path:
            return "every account"
        homes = {item.name: os.path.normpath(item.home) for item in others if item.home}
        mine = os.path.normpath(account.home or "/")
        return next((name for name, home in sorted(homes.items()) if inside and home == mine), None)

    def _take_keys(self, account: Account, path: str) -> None:
        found = open_key_file(path, account.home, self.root)
        if found is None:
            return
        try:
            if found.link is None:
                # The copy lies where only root reaches it: in its own home the account could put the file back.
                copy = f"{REMOVED_FOLDER}/{account.name}{path.replace('/', '_')}"
                self.changes.write_file(self._real(copy), found.text, mode=0o600, owner=self._root_owner, secret=True)
            self.changes.remove_file(path, folder=found.folder)
        finally:
            found.close()

    # ---- rights ------------------------------------------------------------------------------

    def _rights(self, account: Account, instances: list[dict[str, Any]]) -> Iterable[Drift]:
        primary = self.database.group_name(account.gid)
        declared, undecided = self._groups(instances)
        if account.gid == 0 or (primary in PRIVILEGED_GROUPS and primary not in declared):
            yield Drift(
                [evidence(f"primary group of {account.name}", "a group of its own", primary)],
                f"primary group {primary}; give the account a group of its own with usermod --gid",
            )
        member_of = self.database.supplementary(account)
        asked = [name for name in member_of if name in undecided]
        if asked:
            yield Drift(
                [evidence(f"groups of {account.name}", "declared", ", ".join(asked))],
                f"member of {', '.join(asked)}, which its work may need{_root_warning(asked)}: declare it in "
                "atlassian_dc_service_user_groups or in groups of its instance, where an empty list takes it away",
            )
        extra = [name for name in member_of if name not in declared | undecided]
        kept = [name for name in member_of if name not in extra]
        if extra:
            yield Drift(
                [
                    evidence(
                        f"groups of {account.name}", ", ".join(kept) or "none besides its own", ", ".join(member_of)
                    )
                ],
                f"member of {', '.join(extra)}",
                lambda: self._usermod(
                    account,
                    ["--groups", ",".join(kept)],
                    "groups",
                    ", ".join(member_of),
                    ", ".join(kept) or "none",
                    ["--groups", ",".join(member_of)],
                ),
            )
        yield from self._directory_groups(account, declared)
        if account.name not in self.params["sudo_allowed"]:
            yield from self._sudo(account, {primary, *kept})

    def _groups(self, instances: list[dict[str, Any]]) -> tuple[set[str], set[str]]:
        """Return the groups declared for an account, and those its work may need while nobody has said anything."""
        declared, needed = set(self.params["groups"]), set()
        for instance in instances:
            if instance.get("declared_groups") is None:
                needed |= set(instance.get("needed_groups") or [])
            else:
                declared |= set(instance["declared_groups"])
        return declared, needed - declared

    def _directory_groups(self, account: Account, declared: set[str]) -> Iterable[Drift]:
        if self.root != "/":
            return
        local = {group.gid for group in self.database.groups}
        try:
            gids = os.getgrouplist(account.name, account.gid)
        except OSError:
            return
        foreign = sorted(str(gid) for gid in set(gids) - local - {account.gid})
        if foreign:
            yield Drift(
                [evidence(f"groups of {account.name} from a directory service", "none", f"GID {', '.join(foreign)}")],
                "member of groups of a directory service; take it out of them there",
            )

    def _sudo(self, account: Account, groups: set[str]) -> Iterable[Drift]:
        gids = {account.gid, *(group.gid for group in self.database.groups if group.name in groups)}
        who = Identity(account.name, account.uid, frozenset(groups), frozenset(gids))
        aliases = all_aliases(self.sudoers)
        for sudoers in self.sudoers:
            found = grants(sudoers, who, aliases)
            proof = {
                grant: evidence(f"{grant.path}:{grant.line}", f"no sudo rule for {account.name}", f"for {grant.users}")
                for grant in found
            }
            removable = [grant for grant in found if grant.removable]
            if removable:
                yield Drift(
                    [proof[grant] for grant in removable],
                    f"{plural(len(removable), 'sudo rule')} in {sudoers.path}",
                    partial(self._rewrite, sudoers, who),
                )
            fixed = [grant for grant in found if not grant.removable]
            if fixed:
                yield Drift(
                    [proof[grant] for grant in fixed],
                    f"{plural(len(fixed), 'sudo rule')} in {sudoers.path} that cover the account through a group, an "
                    "alias or ALL; leave it out there by hand",
                )

    def _rewrite(self, sudoers: Sudoers, who: Identity) -> None:
        path = self._real(sudoers.path)
        info = os.lstat(path)
        self.changes.write_file(
            path,
            without_account(sudoers, who),
            mode=info.st_mode & 0o7777,
            owner=(info.st_uid, info.st_gid),
            validate=self._visudo,
        )

    def _visudo(self, path: str) -> str | None:
        code, out, err = self.run_command(["visudo", "-c", "-f", path])
        return None if code == 0 else (err or out).strip() or f"visudo ended with {code}"

    # ---- findings ----------------------------------------------------------------------------

    def _settle(
        self, control: str, instances: list[dict[str, Any]], reason: str, drifts: list[Drift], account: Account
    ) -> None:
        proof, repaired = [piece for drift in drifts for piece in drift.proof], True
        pending = bool(drifts)
        for drift in drifts:
            if drift.pending:
                repaired = False
                continue
            if not drift.repair or not account.local or not self.findings.enforces(control):
                repaired = pending = False
                continue
            try:
                drift.repair()
            except (ChangeError, OSError) as exc:
                proof.append(evidence(f"repair: {drift.short}", "done", exc))
                repaired = pending = False
        text = f"{reason}: {'; '.join(drift.short for drift in drifts)}"
        if drifts and not account.local:
            text += " (the account comes from a directory service; change it there)"
        pending = pending and any(drift.pending for drift in drifts)
        for instance in instances:
            mine, own_pending, own_text, right_now = list(proof), pending, text, repaired
            if control == "DC-USR-03":
                held = self._held_groups(account, instance, instances)
                if held:
                    mine.append(evidence(f"groups of process {instance['pid']}", "none but its own", ", ".join(held)))
                    right_now = False
                    own_text = own_text if drifts else f"{reason}: the running process keeps groups taken away earlier"
                    full = full_file_systems(instance, self.root)
                    mine += full
                    own_pending = repaired and not full and self._can_be_restarted(instance)
                    if repaired and full:
                        own_text += "; the product is not restarted, because a file system it writes to is full"
                    elif repaired and not own_pending:
                        own_text += "; restart the product the way you start it, for it runs in no unit"
                elif not mine:
                    self.findings.add(control, instance["name"], "pass", self._kept(account, instances))
                    continue
            if own_pending and not self.findings.check_mode and self.findings.enforces(control):
                self.restart_pending.append(instance["name"])
            self.findings.judge(
                control,
                instance["name"],
                mine,
                own_text,
                repaired=right_now and not own_pending,
                pending=PENDING_RESTART if own_pending else None,
            )

    def _kept(self, account: Account, instances: list[dict[str, Any]]) -> str:
        """Return what a reader has to know of an account whose groups are as declared."""
        declared, _undecided = self._groups(instances)
        kept = [name for name in self.database.supplementary(account) if name in declared & ROOT_GROUPS]
        return f"account {account.name} is in {', '.join(kept)} as declared{_root_warning(kept)}" if kept else ""

    def _held_groups(self, account: Account, instance: dict[str, Any], instances: list[dict[str, Any]]) -> list[str]:
        """Return extra groups of the running process: it keeps what the account had when it was started."""
        process = read_process(instance.get("pid"), self.root)
        if process is None or process.uid != account.uid:
            return []
        allowed = {account.gid, process.gid}
        declared, undecided = self._groups(instances)
        allowed |= {group.gid for group in self.database.groups if group.name in declared | undecided}
        return [self.database.group_name(gid) for gid in sorted(process.groups - allowed)]

    def _judge_all(
        self,
        controls: Iterable[str],
        instances: list[dict[str, Any]],
        proof: list[Evidence],
        reason: str,
        repaired: bool,
    ) -> None:
        for control in controls:
            for instance in instances:
                self.findings.judge(control, instance["name"], proof, reason, repaired)

    def _add_all(self, control: str, instances: list[dict[str, Any]], status: str, reason: str) -> None:
        for instance in instances:
            self.findings.add(control, instance["name"], status, reason)

    # ---- the host ----------------------------------------------------------------------------

    def told(self) -> list[dict[str, Any]]:
        """Return the service accounts as they are now."""
        result = []
        for name in unique_instances(self.params["instances"]):
            account = self.database.account(name) or self._from_directory(name)
            numbers = {"uid": account.uid, "gid": account.gid} if account else {"uid": None, "gid": None}
            group = self.database.group_name(account.gid) if account else None
            result.append({"name": name, "group": group, **numbers})
        return result

    def _shared(self, names: list[str]) -> None:
        if not names:
            self.findings.add("DC-USR-05", None, "not_applicable", "no product was found on this host")
            return
        if not self.changes.check_mode:
            self.database = AccountDatabase(self.root)  # groups may have been taken away meanwhile
        found = [self.database.account(name) or self._from_directory(name) for name in names]
        accounts = [account for account in found if account]
        # Service accounts of the same host are judged by the same rule: no product is in another one's group.
        shared = self.database.sharing(accounts, self.params["group_members"])
        proof = [evidence(*item) for item in shared]
        what = "; ".join(f"{item[0]}: {item[2]}" for item in shared)
        remedy = "take them out, or declare them in atlassian_dc_service_user_group_members"
        self.findings.judge(
            "DC-USR-05", None, proof, f"others share a service account's UID or group ({what}); {remedy}"
        )


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "instances": {"type": "list", "elements": "dict", "required": True},
            "groups": {"type": "list", "elements": "str", "default": []},
            "sudo_allowed": {"type": "list", "elements": "str", "default": []},
            "group_members": {"type": "list", "elements": "str", "default": []},
            "restart_allowed": {"type": "bool", "default": False},
            "sandbox": {"type": "dict", "default": {}},
            **CONTROL_ARGUMENTS,
            **RECORD_ARGUMENTS,
        },
        supports_check_mode=True,
    )
    findings = Findings(module.params, CONTROLS, module.check_mode)
    changes = Changes.of(module)
    accounts = ServiceAccounts(module.params, findings, changes, module.run_command)
    accounts.run()
    changes.exit(
        module,
        dc_findings=findings.results,
        dc_accounts=accounts.told(),
        restart_pending=sorted(set(accounts.restart_pending)),
    )


if __name__ == "__main__":
    main()
