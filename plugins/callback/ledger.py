# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: ledger
type: notification
short_description: Collect what tasks prove about controls and write the report
version_added: 0.1.0
author:
  - the atlassian_dc.hardening contributors (@atlassian-dc-hardening)
description:
  - Watches every task that carries the id of a control as a tag, records what its result proves, and writes
    C(report.json), C(report.html) and C(report.junit.xml) at the very end of the run, also after failures.
  - The playbooks of this collection load it by themselves. A playbook of your own that uses single roles needs
    C(callbacks_enabled = atlassian_dc.hardening.ledger).
  - Where the report is written is set by the variable C(atlassian_dc_report_dir).
  - After a rollback it tells for each host what was put back, what was left as it is and what is to be done by hand.
requirements:
  - Enable in configuration, unless a playbook of this collection runs.
"""

import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ansible import context
from ansible.errors import AnsibleError
from ansible.playbook import Playbook
from ansible.playbook.block import Block
from ansible.playbook.handler import Handler
from ansible.playbook.play import Play
from ansible.plugins.callback import CallbackBase
from ansible.template import Templar
from ansible.utils.color import ANSIBLE_COLOR
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils import _ledger
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._catalogue import load_catalogue
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._collection import (
    ATTESTATIONS_FILE,
    CLUSTER_PEERS,
    COLLECTION,
    REPORT_DIR,
    SKIP_CONTROLS,
    WAIVERS_FILE,
)
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._ledger import Judgement, Ledger
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._report_files import ReportError, write_report
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._report_terminal import render_terminal
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._rollback_terminal import (
    HostRollback,
    render_rollback,
)
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._selection import (
    as_list,
    carried_controls,
    selected_by_tags,
)
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._statements import (
    StatementError,
    load_attestations,
    load_waivers,
    today,
)

DEFAULT_REPORT_DIR = "./atlassian-dc-report"
PREFLIGHT = f"{COLLECTION}.preflight"
GATE = f"{COLLECTION}.gate"
ROLLBACK = f"{COLLECTION}.rollback"
TAKE_BACK = f"ansible-playbook -i INVENTORY {ROLLBACK}"
ADDRESS = "ansible_host"
SETTINGS = (REPORT_DIR, SKIP_CONTROLS, WAIVERS_FILE, ATTESTATIONS_FILE, CLUSTER_PEERS, ADDRESS)

NEVER_EVIDENCE = frozenset(
    (
        *("add_host", "assert", "debug", "fail", "group_by", "import_playbook", "import_role", "import_tasks"),
        *("include_role", "include_tasks", "include_vars", "meta", "pause", "ping", "set_fact", "set_stats", "setup"),
        *("slurp", "stat", "validate_argument_spec", "wait_for", "wait_for_connection"),
    )
)
"""Actions that only read, or only steer the run."""


class CallbackModule(CallbackBase):
    """Translates Ansible's events into entries of the ledger."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = f"{COLLECTION}.ledger"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        # Loaded by the playbook and enabled in the configuration, it would see every event twice.
        if _ledger.ACTIVE is not None:
            self.disabled = True
            return
        self._catalogue = load_catalogue()
        self._ledger = _ledger.ACTIVE = Ledger(self._catalogue)
        self._ledger.run_tags = tuple(sorted(context.CLIARGS.get("tags") or ("all",)))
        self._ledger.skip_tags = tuple(sorted(context.CLIARGS.get("skip_tags") or ()))
        self._settings: dict[str, Any] = {}
        self._check_modes: set[bool] = set()
        self._gated = False
        self._judges = False
        self._changed = False
        self._takes_back: set[bool] = set()
        self._rollbacks: dict[str, HostRollback] = {}

    # -- plays -------------------------------------------------------------------------------------------------

    def v2_playbook_on_start(self, playbook: Playbook) -> None:
        """Note whether the playbook changes hosts, and whether it ends with a gate."""
        for play in playbook.get_plays():
            if not _is_ours(play):
                continue
            if play.roles:
                self._check_modes.add(bool(play.check_mode))
            self._gated |= any(task.action == GATE for task in _tasks(play.tasks))
            self._judges |= _judges(play)
            if any(task.action == ROLLBACK for task in _tasks(play.tasks)):
                self._takes_back.add(bool(play.check_mode))

    def v2_playbook_on_play_start(self, play: Play) -> None:
        """Note the targeted hosts of a play of ours, with what their variables say about the report."""
        if not _is_ours(play):
            return
        manager = play.get_variable_manager()
        planned = [(task.get_name(), self._judged_by(task, _plan_of(task))) for task in _tasks(play.compile())]
        for host in manager._inventory.get_hosts(play.hosts, ignore_restrictions=True):
            known = host.name in self._ledger.hosts
            self._ledger.host(host.name).plan(planned)
            if known:
                continue
            record = self._ledger.host(host.name)
            record.groups = tuple(group.name for group in host.get_groups())
            settings = self._resolve(manager.get_vars(play=play, host=host), play)
            record.skip_controls = frozenset(as_list(settings.get(SKIP_CONTROLS)))
            record.addresses = (host.name, str(settings.get(ADDRESS, host.name)))
            if CLUSTER_PEERS in settings:
                record.peers = tuple(as_list(settings[CLUSTER_PEERS]))
            for name, value in settings.items():
                self._settings.setdefault(name, value)
        everywhere = manager._inventory.get_hosts(play.hosts, ignore_limits=True, ignore_restrictions=True)
        named = {*self._ledger.hosts, *self._ledger.left_out}
        self._ledger.left_out += [host.name for host in everywhere if host.name not in named]
        self._load_statements()

    def _load_statements(self) -> None:
        """Read waivers and attestations once; the preflight refuses bad ones."""
        try:
            if WAIVERS_FILE in self._settings and not self._ledger.waivers:
                self._ledger.waivers = load_waivers(self._settings[WAIVERS_FILE], self._catalogue)
            if ATTESTATIONS_FILE in self._settings and not self._ledger.attestations:
                self._ledger.attestations = load_attestations(self._settings[ATTESTATIONS_FILE], self._catalogue)
        except StatementError as exc:
            if str(exc) not in self._ledger.messages:
                self._ledger.messages.append(str(exc))

    def _resolve(self, variables: dict[str, Any], play: Play) -> dict[str, Any]:
        templar = Templar(loader=play._loader, variables=variables)
        settings = {}
        for name in SETTINGS:
            if variables.get(name) is None:
                continue
            try:
                settings[name] = templar.template(variables[name])
            except AnsibleError as exc:
                # The preflight stops the run on this; the report must come all the same.
                self._display.warning(f"{name} cannot be resolved: {exc}")
        return settings

    # -- results -----------------------------------------------------------------------------------------------

    def v2_runner_on_start(self, host: Any, task: Any) -> None:
        """Start the host's clock."""
        if host.name in self._ledger.hosts:
            self._ledger.host(host.name).seen(time.monotonic())

    def v2_runner_on_ok(self, result: Any) -> None:
        """Record what a task that did not fail proves."""
        task, host, data = _parts(result)
        if _is_action(task, GATE):
            self._ledger.finished_plays = True
        if host not in self._ledger.hosts:
            return
        self._ledger.host(host).seen(time.monotonic())
        if "dc_instances" in data:
            facts = data.get("ansible_facts", {}).get("atlassian_dc", {})
            self._ledger.found(host, data["dc_instances"], facts.get("problems", ()))
        if "dc_accounts" in data:
            accounts = data["dc_accounts"]
            self._ledger.host(host).accounts = tuple(item for item in accounts if isinstance(item, Mapping))
        self._note_changes(host, result, task, data)
        self._record_all(host, result, task, data)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """Record that controls could not be judged, and that the host did not get through."""
        task, host, data = _parts(result)
        if _is_action(task, PREFLIGHT):
            self._ledger.stopped.extend(str(line) for line in data.get("problems") or [_why_failed(task, data)])
        elif _is_action(task, GATE):
            self._ledger.finished_plays = True
        elif host in self._ledger.hosts:
            self._ledger.host(host).seen(time.monotonic())
            self._ledger.host(host).failed = _why_failed(task, data)
            self._note_changes(host, result, task, data)
            # Ansible takes the flag itself out of the result.
            self._record_all(host, result, task, {**data, "failed": True})

    def v2_runner_on_skipped(self, result: Any) -> None:
        """Note that a task had nothing to do on a host."""
        task, host, _data = _parts(result)
        if host in self._ledger.hosts:
            self._ledger.host(host).ran.add(task.get_name())

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """Record that nothing more is known of a host."""
        _task, host, data = _parts(result)
        if host in self._ledger.hosts:
            self._ledger.host(host).unreachable = _first_line(data.get("msg", "no connection"))

    def _note_changes(self, host: str, result: Any, task: Any, data: Mapping[str, Any]) -> None:
        """Note what a run has changed or taken back on a host, for later tasks and for the words at the end."""
        predicted = bool(_fields(result).get("check_mode"))
        looped = data["results"] if isinstance(data.get("results"), list) else [data]
        self._ledger.host(host).changes += [change for item in looped for change in item.get("dc_changes") or ()]
        if _is_action(task, ROLLBACK):
            if "run" in data:
                self._rollbacks[host] = HostRollback(data, predicted)
        elif data.get("dc_changes") and not predicted:
            self._changed = True

    def _record_all(self, host: str, result: Any, task: Any, data: Mapping[str, Any]) -> None:
        self._ledger.host(host).ran.add(task.get_name())
        controls = self._judged_by(task, _fields(result))
        if controls:
            for item in data["results"] if isinstance(data.get("results"), list) else [data]:
                self._record(host, controls, result, task, item)

    def _judged_by(self, task: Any, fields: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the controls that the result of a task says something about."""
        carried = carried_controls(self._catalogue, task.tags)
        controls = selected_by_tags(carried, task.tags, self._ledger.run_tags)
        return () if _only_steers(fields, task) else controls

    def _record(self, host: str, controls: tuple[str, ...], result: Any, task: Any, item: Mapping[str, Any]) -> None:
        source = task.get_name()
        if item.get("skipped"):
            return
        if "dc_findings" in item:
            self._ledger.findings(host, item["dc_findings"], source)
        elif item.get("failed"):
            self._ledger.broke(host, controls, _why_failed(task, item), source)
        elif len(controls) == 1 and not task.action.startswith(COLLECTION):
            looped = item.get("dc_instance")
            instance = looped.get("name") if isinstance(looped, Mapping) else None
            judgement = _judge_change(task, item, bool(_fields(result).get("check_mode")))
            self._ledger.changed(host, controls[0], instance, judgement, source)

    # -- the end -----------------------------------------------------------------------------------------------

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """Write the report and show it."""
        ledger = self._ledger
        for record in ledger.hosts.values():
            # A failure that a rescue has caught is none.
            if not stats.failures.get(record.name):
                record.failed = None
        if self._takes_back and not ledger.stopped:
            self._show_rollback()
        if not ledger.hosts or not self._judges:
            return
        ledger.finished_plays |= not self._gated
        ledger.mode = "harden" if False in self._check_modes else "audit"
        report = ledger.report(today())
        self._display.display(render_terminal(report, ANSIBLE_COLOR, _columns()))
        try:
            written = write_report(report, str(self._settings.get(REPORT_DIR) or DEFAULT_REPORT_DIR))
        except ReportError as exc:
            self._display.error(f"The report could not be written: {exc}")
            return
        for path in written.values():
            self._display.display(f"Report: {path}")
        if self._changed:
            self._display.display(f"To take back what this run ({ledger.name}) has changed:\n  {TAKE_BACK}")

    def _show_rollback(self) -> None:
        for name, record in self._ledger.hosts.items():
            trouble = record.failed if record.unreachable is None else f"host unreachable: {record.unreachable}"
            self._rollbacks.setdefault(name, HostRollback()).trouble = trouble
        hosts = {name: self._rollbacks[name] for name in self._ledger.hosts}
        self._display.display(render_rollback(hosts, False not in self._takes_back, ANSIBLE_COLOR, _columns()))


def _columns() -> int:
    return shutil.get_terminal_size((120, 24)).columns


def _parts(result: Any) -> tuple[Any, str, Mapping[str, Any]]:
    """Return task, host name and data of a result; ansible-core 2.18 has only the private names."""
    if hasattr(result, "task"):
        return result.task, result.host.name, result.result
    return result._task, result._host.name, result._result


def _fields(result: Any) -> Mapping[str, Any]:
    return result.task_fields if hasattr(result, "task_fields") else result._task_fields


def _is_action(task: Any, action: str) -> bool:
    return action in (task.resolved_action, task.action)


def _tasks(blocks: Iterable[Any]) -> Iterator[Any]:
    """Return the tasks of a play or block, however deep."""
    for item in blocks:
        if isinstance(item, Block):
            yield from _tasks([*item.block, *item.rescue, *item.always])
        else:
            yield item


def _judges(play: Play) -> bool:
    """Whether a play judges controls; only then there is something to report."""
    controls = load_catalogue()
    return any(
        role._role_collection == COLLECTION and controls.controls_of_role(role._role_name) for role in play.roles
    ) or any(set(controls) & set(task.tags) for task in _tasks(play.tasks))


def _is_ours(play: Play) -> bool:
    """Whether a play has a role or task of this collection, or a task that judges a control."""
    controls = set(load_catalogue())
    return any(role._role_collection == COLLECTION for role in play.roles) or any(
        str(task.action).startswith(f"{COLLECTION}.") or controls & set(task.tags)
        for task in _tasks([*play.pre_tasks, *play.tasks, *play.post_tasks])
    )


def _plan_of(task: Any) -> Mapping[str, Any]:
    """Return of a task that did not run yet what `_fields` tells of one that did."""
    return {name: getattr(task, name, None) for name in ("changed_when", "async_val", "poll")}


def _only_steers(fields: Mapping[str, Any], task: Any) -> bool:
    """Whether a task is of a kind whose result never proves anything."""
    return (
        isinstance(task, Handler)
        or task.action.rpartition(".")[2] in NEVER_EVIDENCE
        # One of ours that only reads may judge what it has read: it says so by `dc_findings`.
        or (task.action.endswith(("_info", "_facts")) and not task.action.startswith(f"{COLLECTION}."))
        or list(fields.get("changed_when") or ()) == [False]
        or bool(fields.get("async_val") and not fields.get("poll"))
        or _in_rescue(task)
    )


def _in_rescue(task: Any) -> bool:
    child, parent = task, task._parent
    while parent is not None:
        if isinstance(parent, Block) and any(known._uuid == child._uuid for known in parent.rescue):
            return True
        child, parent = parent, parent._parent
    return False


def _judge_change(task: Any, item: Mapping[str, Any], check_mode: bool) -> Judgement:
    """Judge by a module whose "changed" means drift."""
    if not item.get("changed"):
        return Judgement("pass")
    hidden = "censored" in item
    target = "" if hidden else next((str(item[key]) for key in ("dest", "path", "name") if item.get(key)), "")
    evidence = {
        "what": target or task.get_name(),
        "expected": "no change needed",
        "actual": "would be changed" if check_mode else "was changed by this run",
    }
    reason = f"{task.get_name()}: {'differs from what is wanted' if check_mode else 'differed, put right in this run'}"
    return Judgement("fail" if check_mode else "fixed", reason, (evidence,))


def _why_failed(task: Any, data: Mapping[str, Any]) -> str:
    return f"task '{task.get_name()}' failed: {_first_line(data.get('msg') or data.get('stderr') or 'no message')}"


def _first_line(text: Any) -> str:
    lines = str(text).strip().splitlines()
    return lines[0][:500] if lines else "no message"
