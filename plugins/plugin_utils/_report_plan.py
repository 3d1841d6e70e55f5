# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a hardening run would do about the findings of an audit, and the commands that start it.

A report says what fails, and of what on an instance no way to put it right is known; the catalogue says whether
``harden`` changes the rest and at what cost. Nothing else is claimed: whether a variable that a control needs is set is
not in a report, so the plan says "once it is set".
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._catalogue import (
    Catalogue,
    load_catalogue,
    severity_rank,
)

Report = Mapping[str, Any]
Entry = Mapping[str, Any]

PLAYBOOK = "ansible-playbook -i INVENTORY atlassian_dc.hardening.harden"
ALLOW_RESTART = "atlassian_dc_allow_restart"
RESTART_OPTION = f"-e {ALLOW_RESTART}=true"
RESTART_ROLE = "service_user"
"""The role that knows what waits for a restart, and restarts."""

NOW, RESTART, TRAFFIC, SWITCH, NEEDS, PERSON, WAIVED = (
    "now",
    "restart",
    "traffic",
    "switch",
    "needs",
    "person",
    "waived",
)
STEPS = {
    NOW: "put right at once, without a restart",
    RESTART: f"put right by a restart of the product, if {ALLOW_RESTART}=true",
    TRAFFIC: "put right by refusing traffic that is not declared",
    SWITCH: "put right only if the role's own switch is on, for integrations may break",
    NEEDS: "put right",
    PERSON: "leave to a person",
    WAIVED: "leave alone, for somebody accepts it",
}
"""What ``harden`` would do about a control, the easiest first."""

ACTED_ON = (NOW, RESTART, TRAFFIC, SWITCH, NEEDS)

MAX_LIMIT = 10
"""Most hosts that a command names."""

# Names that mean themselves to a shell and in a host pattern; others get no command rather than a dangerous one.
_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


@dataclass(frozen=True)
class Item:
    """A control that fails somewhere, and where."""

    id: str
    title: str
    severity: str
    where: tuple[str, ...]
    needs: tuple[str, ...]


@dataclass(frozen=True)
class Step:
    """All controls that are met in the same way."""

    kind: str
    items: tuple[Item, ...]

    @property
    def words(self) -> str:
        """What ``harden`` would do about them."""
        needs = list(dict.fromkeys(need for item in self.items for need in item.needs))
        if not needs:
            return STEPS[self.kind]
        return f"{STEPS[self.kind]}, as far as what it needs is set ({', '.join(needs)})"


@dataclass(frozen=True)
class Plan:
    """What ``harden`` would do, and how to start it.

    Attributes:
        steps: what would happen.
        command: what starts it, without restarts; None where there is nothing to start or it cannot be written.
        restarts: whether something waits for RESTART_OPTION.
        limited: the command names the hosts; else they are many or have names that cannot be written there.

    """

    steps: tuple[Step, ...]
    command: str | None
    restarts: bool
    limited: bool


def kind_of(entry: Entry, catalogue: Catalogue) -> str | None:
    """Return the step a control belongs to; None for what neither fails nor is waived."""
    if entry["status"] == "waived":
        return WAIVED
    if entry["status"] != "fail":
        return None
    control = catalogue.get(entry["id"])
    if control is None or control.mode != "enforce" or entry.get("by_hand"):
        return PERSON
    if entry["pending"] or control.impact == "restart":
        return RESTART
    if control.impact == "cuts_traffic":
        return TRAFFIC
    if control.impact == "breaks_integrations":
        return SWITCH
    return NEEDS if _needs(entry, catalogue) else NOW


def _needs(entry: Entry, catalogue: Catalogue) -> tuple[str, ...]:
    """Return the variables without which the control is not put right; that of restarts is told elsewhere."""
    control = catalogue.get(entry["id"])
    return tuple(
        f"{need.variable} (in a cluster)" if need.when else need.variable
        for need in (control.needs if control else ())
        if need.variable != ALLOW_RESTART
    )


def plan(report: Report) -> Plan | None:
    """Return what ``harden`` would do after an audit; None after hardening, and when nothing fails."""
    catalogue = load_catalogue()
    found: dict[str, dict[str, list[tuple[str, Entry]]]] = {kind: {} for kind in STEPS}
    for name, host in sorted(report["hosts"].items()):
        for entry in host["controls"]:
            kind = kind_of(entry, catalogue)
            if kind is not None:
                found[kind].setdefault(entry["id"], []).append((name, entry))
    if report["mode"] != "audit" or not any(found[kind] for kind in STEPS if kind != WAIVED):
        return None
    steps = []
    for kind, controls in found.items():
        items = [
            Item(
                control,
                where[0][1]["title"],
                where[0][1]["severity"],
                tuple(name if entry["instance"] is None else f"{name}/{entry['instance']}" for name, entry in where),
                _needs(where[0][1], catalogue) if kind in ACTED_ON else (),
            )
            for control, where in sorted(controls.items(), key=_worst_first)
        ]
        if items:
            steps.append(Step(kind, tuple(items)))

    hosts = sorted({name for kind in ACTED_ON for where in found[kind].values() for name, _entry in where})
    limit = _limit(hosts)
    command = _command(report, limit) if hosts else None
    return Plan(tuple(steps), command, bool(found[RESTART]), limit is not None)


def _worst_first(item: tuple[str, list[tuple[str, Entry]]]) -> tuple[int, str]:
    control, where = item
    return -severity_rank(where[0][1]["severity"]), control


def _command(report: Report, limit: str | None) -> str | None:
    """Return the command for a whole plan, limited to the tags of the audit; None if they cannot be written."""
    selection = report.get("selection") or {}
    tags, skipped = list(selection.get("tags") or []), list(selection.get("skip_tags") or [])
    if not all(map(_PLAIN.fullmatch, [*tags, *skipped])):
        return None
    parts = [
        PLAYBOOK,
        f"--limit {limit}" if limit else "",
        f"--tags {','.join(tags)}" if tags and tags != ["all"] else "",
        f"--skip-tags {','.join(skipped)}" if skipped else "",
    ]
    return " ".join(part for part in parts if part)


def _limit(hosts: Iterable[str]) -> str | None:
    """Return the hosts as --limit takes them; None if they are too many or one cannot be written there."""
    names = list(hosts)
    return ",".join(names) if len(names) <= MAX_LIMIT and all(map(_is_plain_host, names)) else None


def _is_plain_host(name: str) -> bool:
    if _PLAIN.fullmatch(name):
        return name not in ("all", "ungrouped")
    try:
        return "%" not in name and bool(ipaddress.IPv6Address(name))
    except ValueError:
        return False


def fix_command(host: str, entry: Entry) -> str | None:
    """Return the command that puts one finding right on its host; None when no command of ours does."""
    catalogue = load_catalogue()
    kind, limit = kind_of(entry, catalogue), _limit([host])
    if kind not in ACTED_ON or limit is None:
        return None
    control = catalogue[entry["id"]]
    tags, option = control.id, ""
    if kind == RESTART:
        option = f" {RESTART_OPTION}"
        if control.impact != "restart":  # it waits for what the role of the restarts has to do first
            tags = f"{RESTART_ROLE},{control.id}"
    return f"{PLAYBOOK} --limit {limit} --tags {tags}{option}"


def restart_command(waiting: Iterable[tuple[str, Entry]]) -> str | None:
    """Return the command that finishes what waits for a restart, given as host and entry; None if there is none."""
    found = [(host, entry) for host, entry in waiting if kind_of(entry, load_catalogue()) == RESTART]
    limit = _limit(sorted({host for host, _entry in found}))
    if not found or limit is None:
        return None
    others = {entry["id"] for _host, entry in found if load_catalogue()[entry["id"]].role != RESTART_ROLE}
    return f"{PLAYBOOK} --limit {limit} --tags {','.join([RESTART_ROLE, *sorted(others)])} {RESTART_OPTION}"


def fix_notes(entry: Entry) -> list[str]:
    """Return, as whole sentences, what has to be known before the command of a finding is run."""
    catalogue = load_catalogue()
    notes = []
    kind, needs = kind_of(entry, catalogue), _needs(entry, catalogue)
    if kind == RESTART:
        notes.append("It restarts the product.")
    elif kind == TRAFFIC:
        notes.append("It refuses traffic that is not declared.")
    elif kind == SWITCH:
        notes.append("Integrations may break: the role acts only with its own switch, named below.")
    if needs and kind in ACTED_ON:
        notes.append(f"It acts once {' and '.join(needs)} {'is' if len(needs) == 1 else 'are'} set.")
    return notes
