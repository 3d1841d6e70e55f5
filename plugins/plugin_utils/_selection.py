# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which controls a task judges on a host, and which of them it may put right."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean
from ansible.playbook.task import Task
from ansible.plugins.action import ActionBase
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._catalogue import Catalogue, load_catalogue
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._collection import (
    ALLOW_UNSUPPORTED_PLATFORM,
    SKIP_CONTROLS,
    WAIVERS_FILE,
)
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._credentials import (
    VARIABLE as CREDENTIALS,
)
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._credentials import (
    from_environment,
)
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._statements import (
    StatementError,
    load_waivers,
    today,
    waiver_of,
)

EVERYTHING = frozenset({"all", "tagged"})


class SelectionError(Exception):
    """The variables that select controls cannot be used."""


def as_list(value: Any) -> list[str]:
    """Return a list of strings from a list or a comma separated string, as the command line gives it."""
    if value is None:
        return []
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return [str(part) for part in value]


def carried_controls(catalogue: Catalogue, task_tags: Iterable[str]) -> tuple[str, ...]:
    """Return the controls whose ids a task carries as tags, in the order of the catalogue."""
    tags = set(task_tags)
    return tuple(control for control in catalogue if control in tags)


def selected_by_tags(controls: Iterable[str], task_tags: Iterable[str], run_tags: Iterable[str]) -> tuple[str, ...]:
    """Return those of a task's controls that ``--tags`` asked for.

    A tag that stands for the whole task (its role's name, a tag of the user's import) selects all its controls.
    """
    controls = tuple(controls)
    wanted = set(run_tags) or {"all"}
    if wanted & EVERYTHING or wanted & (set(task_tags) - set(controls)):
        return controls
    return tuple(control for control in controls if control in wanted)


@dataclass(frozen=True)
class Selection:
    """The controls of one task on one host.

    Attributes:
        task_controls: all that the task carries as tags.
        judged: those selected for this run.
        enforced: those of them that a real run may put right.

    """

    task_controls: tuple[str, ...]
    judged: tuple[str, ...]
    enforced: tuple[str, ...]

    @classmethod
    def of_task(cls, action: ActionBase, task_vars: Mapping[str, Any]) -> Selection:
        """Read the selection from a running action plugin and its variables.

        Raises:
            SelectionError: a variable or the waivers file cannot be used.

        """
        task: Task = action._task
        catalogue = load_catalogue()
        carried = carried_controls(catalogue, task.tags)
        if not carried:
            return cls((), (), ())

        def variable(name: str) -> Any:
            return action._templar.template(task_vars.get(name))

        skipped = set(as_list(variable(SKIP_CONTROLS)))
        judged = tuple(
            control
            for control in selected_by_tags(carried, task.tags, task_vars.get("ansible_run_tags", ()))
            if control not in skipped
        )
        waived = _waived(variable(WAIVERS_FILE), catalogue, task_vars)
        facts = task_vars.get("ansible_facts", {}).get("atlassian_dc", {})
        clustered = any(instance.get("cluster") for instance in facts.get("instances", ()))
        # Whether a host may be changed at all. Discovery tells when its operating system is the reason why not.
        changeable = facts.get("platform", {}).get("supported", True) or boolean(
            variable(ALLOW_UNSUPPORTED_PLATFORM) or False, strict=False
        )
        enforced = tuple(
            control
            for control in judged
            if changeable
            and catalogue[control].mode == "enforce"
            and control not in waived
            and not missing_needs(catalogue, control, task_vars, clustered)
        )
        return cls(carried, judged, enforced)


def _waived(path: Any, catalogue: Catalogue, task_vars: Mapping[str, Any]) -> set[str]:
    if not path:
        return set()
    try:
        waivers = load_waivers(str(path), catalogue)
    except StatementError as exc:
        raise SelectionError(str(exc)) from exc
    host, groups, day = str(task_vars["inventory_hostname"]), task_vars.get("group_names", ()), today()
    found = {waiver.control: waiver_of(waivers, waiver.control, host, groups) for waiver in waivers}
    return {control for control, waiver in found.items() if waiver is not None and waiver.live(day)}


def missing_needs(catalogue: Catalogue, control: str, variables: Mapping[str, Any], clustered: bool) -> tuple[str, ...]:
    """Return the variables that must be set before a control may be put right and are not.

    An empty list is an answer; undefined is unset. Credentials may stand in the environment.
    """
    instances = variables.get("ansible_facts", {}).get("atlassian_dc", {}).get("instances", ())
    return tuple(
        need.variable
        for need in catalogue[control].needs
        if variables.get(need.variable) is None
        and (need.when != "clustered" or clustered)
        and not (need.variable == CREDENTIALS and from_environment(instances))
    )
