# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Break a hardened host: the audit finds exactly what was broken, and harden puts it right.

Every product is broken in every way. A round breaks all hosts, each in a few ways that have no control and no place in
common, and other ones together in each group; so one audit and one harden serve many. The audit of a round also tells
what the repair of the round before has left: what follows on a host breaks other controls.
"""

from __future__ import annotations

import json
import re
import shlex
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._catalogue import load_catalogue

from .lab import Lab, Outcome

HOSTS = {
    "jira": "jira:bookworm",
    "confluence on Debian 13": "confluence:trixie",
    "bitbucket on Debian 13": "bitbucket:trixie",
    "bamboo": "bamboo:bookworm",
    "crowd": "crowd:bookworm",
}
"""What is broken in every way, and the image of its host. No way is another one on another distribution: it is the
hosts' own files and services that differ, and those are broken on both."""
WITHOUT_DISK = {"DC-SEC-06"}
"""What cannot be broken in a container, which does not see what its file system lies on. Unit tests have disks."""
SECRET = "Sup3rSecret"  # noqa: S105 - what all of them begin with
TOGETHER = 4
"""Most ways in which a host is broken at once."""
DATA = yaml.safe_load((Path(__file__).parent / "mutations.yml").read_text())
MUTATIONS: list[dict[str, Any]] = DATA["mutations"]
PLACES: dict[str, dict[str, str]] = {
    product: {name: str(value) for name, value in places.items()} for product, places in DATA["places"].items()
}
SETTINGS: dict[str, Any] = {
    "atlassian_dc_allow_restart": True,
    "atlassian_dc_service_user_groups": ["docker"],
    # One on the host itself: of one elsewhere nobody could say that it bans.
    "atlassian_dc_proxy_addresses": ["127.0.0.1"],
    "atlassian_dc_cluster_peers": ["192.0.2.21"],
    "atlassian_dc_firewall_agents": ["192.0.2.31"],
    # Single nodes, of which some listen for others all the same.
    "atlassian_dc_firewall_services": [{"name": "clusters", "ports": [5701, 7777, 25500], "from": ["peers"]}],
}
SHADOW = "DC-FIM-02"
"""Fails beside whatever changes a watched file, until that is put right or accepted; the catalogue says so too."""
FOUND = ("UNIT", "ACCOUNT", "INSTALL", "DATA")
"""Variables of the shell that discovery tells."""
VARIABLE = re.compile(r"\$([A-Z][A-Z0-9]*)")
Row = Callable[[str, str, str, bool], None]
Mutation = dict[str, Any]


def ways(group: str) -> list[Mutation]:
    """Return the mutations of a group: those for its product whose places it has."""
    product = HOSTS[group].partition(":")[0]
    known = {*FOUND, *PLACES[product]}
    meant = [mutation for mutation in MUTATIONS if product in mutation.get("products", [product])]
    return [mutation for mutation in meant if set(VARIABLE.findall(mutation["by"])) <= known]


PAIRS = [(group, mutation) for group in HOSTS for mutation in ways(group)]


def expected(mutation: Mutation) -> set[str]:
    """Return the controls that must fail by a mutation."""
    return {mutation["breaks"], *mutation.get("also", [])}


def touched(*mutations: Mutation) -> set[str]:
    """Return the controls that may fail by mutations."""
    return {control for mutation in mutations for control in expected(mutation) | set(mutation.get("may", []))}


def alone(mutation: Mutation) -> set[str]:
    """Return what no two mutations of a round may have in common: controls, and places they change."""
    places = set(VARIABLE.findall(mutation["by"])) - {"ACCOUNT", "INSTALL", "DATA"}
    return touched(mutation) | places | set(mutation.get("apart", []))


def rounds(group: str) -> list[list[Mutation]]:
    """Deal the mutations of a group to rounds; a control is not touched in two rounds in a row."""
    turn = list(HOSTS).index(group) * len(MUTATIONS) // len(HOSTS)
    left = ways(group)[turn:] + ways(group)[:turn]
    dealt: list[list[Mutation]] = []
    while left:
        chosen: list[Mutation] = []
        taken = touched(*dealt[-1]) if dealt else set()
        # Controls that are broken in many ways need most rounds: those first.
        shares = Counter(control for mutation in left for control in touched(mutation))
        for mutation in sorted(left, key=lambda mutation: -shares[mutation["breaks"]]):
            if len(chosen) < TOGETHER and not alone(mutation) & taken:
                chosen.append(mutation)
                taken |= alone(mutation)
        left = [mutation for mutation in left if mutation not in chosen]
        # As they stand in the file: a product is restarted before its files are broken.
        dealt.append(sorted(chosen, key=MUTATIONS.index))
    return dealt


class Trial:
    """What came of one mutation: what failed, what nobody broke, what harden fixed, what it left for the next audit."""

    def __init__(
        self, values: dict[str, str], found: dict[str, dict[str, Any]], stray: set[str], fixed: set[str]
    ) -> None:
        self.values, self.found, self.stray, self.fixed = values, found, stray, fixed
        self.left: set[str] = set()


class Target:
    """A host, and how what mutations break is called on it."""

    def __init__(self, group: str) -> None:
        self.group, self.image = group, HOSTS[group]
        self.name = self.image.replace(":", "-")
        self.product = self.image.partition(":")[0]
        self.rounds = rounds(group)
        self.values: dict[str, str] = {}

    def know(self, instance: dict[str, Any]) -> None:
        """Take from the report what discovery has found."""
        facts = (instance[key] for key in ("unit", "service_account", "install_dir", "home_dir"))
        self.values = {**dict(zip(FOUND, facts, strict=True)), **PLACES[self.product]}

    def broken_in(self, number: int) -> list[Mutation]:
        """Return the mutations of a round, none for one there is not."""
        return self.rounds[number] if 0 <= number < len(self.rounds) else []

    def script(self, commands: str) -> str:
        return "".join(f"{name}={shlex.quote(value)}\n" for name, value in self.values.items()) + commands


@pytest.fixture(scope="module")
def trials(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[tuple[str, str], Trial]]:
    lab = Lab("fidelity-mutations", tmp_path_factory.mktemp("mutations"))
    targets = [Target(group) for group in HOSTS]
    try:
        lab.up([f"{target.name}={target.image}" for target in targets])
        yield _run(lab, targets)
    finally:
        lab.down()


def _run(lab: Lab, targets: list[Target]) -> dict[tuple[str, str], Trial]:
    settings = {**SETTINGS, "atlassian_dc_admin_networks": lab.group.controller()}
    hardened = lab.play("harden", **settings)
    assert hardened.code == 0, hardened.output
    _tells_no_secret(hardened)
    for target in targets:
        instances = hardened.report["hosts"][target.name]["instances"]
        target.know(next(instance for instance in instances if instance["product"] == target.product))
        # What only a person may decide on or put right, done, so that these hosts have nothing left to find.
        archives = {
            item["what"]
            for entry in hardened.entries(target.name)
            if entry["id"] == "DC-DIR-06"
            for item in entry["evidence"]
        }
        if archives:
            lab.sh(target.name, shlex.join(["rm", "-r", *sorted(archives)]))
        lab.sh(target.name, target.script(DATA["prepared"]))
    told: dict[str, Any] = {
        "atlassian_dc_file_integrity_accept": ["/"],
        "atlassian_dc_file_integrity_reason": "done by a person",
    }
    prepared = lab.play("harden", "--tags", "file_integrity", **settings, **told)
    assert prepared.code == 0, prepared.output
    clean = _failures(lab, targets, settings)
    assert {name: sorted(found) for name, found in clean.items() if found} == {}
    trials: dict[tuple[str, str], Trial] = {}
    for number in range(max(len(target.rounds) for target in targets) + 1):
        waiting = [target for target in targets if number <= len(target.rounds)]
        for target in waiting:
            for mutation in target.broken_in(number):
                lab.sh(target.name, target.script(mutation["by"]))
        found = _failures(lab, waiting, settings)
        for target in waiting:
            for mutation in target.broken_in(number - 1):
                left = set(found[target.name]) - touched(*target.broken_in(number)) - {SHADOW}
                trials[target.group, mutation["name"]].left = left
        broken = [target for target in waiting if target.broken_in(number)]
        if not broken:
            continue
        repair = lab.play("harden", *_only(broken), **settings)
        assert repair.code == 0, repair.output
        _tells_no_secret(repair)
        for target in broken:
            failing, fixed = found[target.name], repair.with_status(target.name, "fixed")
            stray = set(failing) - touched(*target.broken_in(number)) - {SHADOW}
            for mutation in target.broken_in(number):
                if "undo" in mutation:
                    lab.sh(target.name, target.script(mutation["undo"]))
                of_it = {control: entry for control, entry in failing.items() if control in touched(mutation)}
                trials[target.group, mutation["name"]] = Trial(target.values, of_it, stray, fixed)
    return trials


def _tells_no_secret(outcome: Outcome) -> None:
    # Every password of a database, and every one that a mutation puts somewhere.
    assert SECRET not in outcome.output
    assert SECRET not in json.dumps(outcome.report)


def _only(targets: list[Target]) -> list[str]:
    return ["--limit", ",".join(target.name for target in targets)]


def _failures(lab: Lab, targets: list[Target], settings: dict[str, Any]) -> dict[str, dict[str, dict[str, Any]]]:
    outcome = lab.play("audit", *_only(targets), **settings)
    assert outcome.code == 0, outcome.output
    _tells_no_secret(outcome)
    return {
        target.name: {entry["id"]: entry for entry in outcome.entries(target.name) if entry["status"] == "fail"}
        for target in targets
    }


@pytest.mark.parametrize(
    ("group", "mutation"), PAIRS, ids=[f"{mutation['name']} ({group})" for group, mutation in PAIRS]
)
def test_is_found_under_its_control_and_repaired(
    trials: dict[tuple[str, str], Trial], row: Row, mutation: Mutation, group: str
) -> None:
    control = mutation["breaks"]
    trial = trials[group, mutation["name"]]
    must = expected(mutation)
    repaired = mutation.get("repaired", True)
    right = must <= set(trial.found) and not trial.stray | trial.left and (not repaired or must <= trial.fixed)
    outcome = "repaired" if repaired and must <= trial.fixed else "reported" if not repaired else "NOT repaired"
    found = f"{'+'.join(sorted({*trial.found, *trial.stray}))} {outcome}"
    row(f"{control} {mutation['name']} ({group})", "+".join(sorted(must)), found, right)
    assert must <= set(trial.found), {key: entry["reason"] for key, entry in trial.found.items()}
    assert trial.stray == set()
    assert touched(mutation) - {control} <= set(load_catalogue()[control].implies)
    entry = trial.found[control]
    assert mutation.get("words", "").format(**trial.values) in entry["reason"] + json.dumps(entry["evidence"])
    if repaired:
        assert must <= trial.fixed
    assert trial.left == set()


def test_every_control_of_the_roles_is_broken_at_least_once() -> None:
    roles = {"service_user", "file_permissions", "firewall", "fail2ban", "secrets", "file_integrity"}
    controls = {control.id for control in load_catalogue().values() if control.role in roles}
    assert controls - WITHOUT_DISK == {mutation["breaks"] for mutation in MUTATIONS}
