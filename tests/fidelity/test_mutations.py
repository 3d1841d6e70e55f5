# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Break a hardened host in one way at a time: the audit finds exactly that, and harden puts it right.

Every product is broken in every way. Each round breaks all hosts, so that one audit and one harden serve all. The audit
of a round also tells what the repair of the round before has left: what follows on a host breaks other controls.
"""

from __future__ import annotations

import itertools
import json
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._catalogue import load_catalogue

from .lab import Lab

HOSTS = {
    "jira": ["jira:bookworm", "jira:bookworm"],
    "jira on Debian 13": ["jira:trixie", "jira:trixie"],
    "confluence": ["confluence:bookworm", "confluence:bookworm"],
    "bitbucket on Debian 13": ["bitbucket:trixie", "bitbucket:trixie"],
    "bamboo": ["bamboo:bookworm", "bamboo:bookworm"],
    "crowd": ["crowd:bookworm", "crowd:bookworm"],
}
"""What is broken in every way, and the images of the hosts that share the work."""
DATA = yaml.safe_load((Path(__file__).parent / "mutations.yml").read_text())
MUTATIONS: list[dict[str, Any]] = DATA["mutations"]
PLACES: dict[str, dict[str, str]] = DATA["places"]
SETTINGS: dict[str, Any] = {"atlassian_dc_allow_restart": True, "atlassian_dc_service_user_groups": ["docker"]}
FOUND = ("UNIT", "ACCOUNT", "INSTALL", "DATA")
"""Variables of the shell that discovery tells."""
Row = Callable[[str, str, str, bool], None]


def ways(group: str) -> list[dict[str, Any]]:
    """Return the mutations of a group: those whose places its product has."""
    product = HOSTS[group][0].partition(":")[0]
    known = {*FOUND, *PLACES[product]}
    return [mutation for mutation in MUTATIONS if set(re.findall(r"\$([A-Z][A-Z0-9]*)", mutation["by"])) <= known]


PAIRS = [(group, mutation) for group in HOSTS for mutation in ways(group)]


def expected(mutation: dict[str, Any]) -> set[str]:
    """Return the controls that must fail by a mutation."""
    return {mutation["breaks"], *mutation.get("also", [])}


def touched(mutation: dict[str, Any] | None) -> set[str]:
    """Return the controls that may fail by a mutation."""
    return set() if mutation is None else expected(mutation) | set(mutation.get("may", []))


def courses(group: str) -> list[list[dict[str, Any] | None]]:
    """Deal the mutations of a group to its hosts; two in a row touch no common control. None is a round of rest."""
    left = ways(group)
    dealt: list[list[dict[str, Any] | None]] = [[] for _image in HOSTS[group]]
    while left:
        for course in dealt:
            before = touched(course[-1]) if course else set()
            following = next((mutation for mutation in left if not touched(mutation) & before), None)
            if following is not None:
                left.remove(following)
            course.append(following)
    return dealt


class Trial:
    """What came of one mutation: what failed, what harden fixed, and what it left for the next audit of the host."""

    def __init__(self, values: dict[str, str], found: dict[str, dict[str, Any]], fixed: set[str]) -> None:
        self.values, self.found, self.fixed = values, found, fixed
        self.left: set[str] = set()


class Target:
    """A host, and how what mutations break is called on it."""

    def __init__(self, name: str, group: str, image: str, course: list[dict[str, Any] | None]) -> None:
        self.name, self.group, self.image, self.course = name, group, image, course
        self.product = image.partition(":")[0]
        self.values: dict[str, str] = {}

    def know(self, instance: dict[str, Any]) -> None:
        """Take from the report what discovery has found."""
        facts = (instance[key] for key in ("unit", "service_account", "install_dir", "home_dir"))
        self.values = {**dict(zip(FOUND, facts, strict=True)), **PLACES[self.product]}

    def script(self, commands: str) -> str:
        return "".join(f"{name}={shlex.quote(value)}\n" for name, value in self.values.items()) + commands


@pytest.fixture(scope="module")
def trials(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[tuple[str, str], Trial]]:
    lab = Lab("fidelity-mutations", tmp_path_factory.mktemp("mutations"))
    targets = [
        Target(f"{image.replace(':', '-')}{number}", group, image, course)
        for group, images in HOSTS.items()
        for number, (image, course) in enumerate(zip(images, courses(group), strict=True), start=1)
    ]
    try:
        lab.up([f"{target.name}={target.image}" for target in targets])
        yield _run(lab, targets)
    finally:
        lab.down()


def _run(lab: Lab, targets: list[Target]) -> dict[tuple[str, str], Trial]:
    hardened = lab.play("harden", **SETTINGS)
    assert hardened.code == 0, hardened.output
    for target in targets:
        instances = hardened.report["hosts"][target.name]["instances"]
        target.know(next(instance for instance in instances if instance["product"] == target.product))
        # What only a person may decide on, done, so that these hosts have nothing left to find.
        archives = {
            item["what"]
            for entry in hardened.entries(target.name)
            if entry["id"] == "DC-DIR-06"
            for item in entry["evidence"]
        }
        if archives:
            lab.sh(target.name, shlex.join(["rm", "-r", *sorted(archives)]))
    clean = _failures(lab, targets)
    assert {name: sorted(found) for name, found in clean.items() if found} == {}
    trials: dict[tuple[str, str], Trial] = {}
    last: dict[str, Trial] = {}
    for round_ in itertools.zip_longest(*(target.course for target in targets)):
        tried = [(target, mutation) for target, mutation in zip(targets, round_, strict=True) if mutation is not None]
        for target, mutation in tried:
            lab.sh(target.name, target.script(mutation["by"]))
        found = _failures(lab, targets)
        _settle(last, found, {target.name: touched(mutation) for target, mutation in tried})
        repair = lab.play("harden", **SETTINGS)
        assert repair.code == 0, repair.output
        for target, mutation in tried:
            name = target.name
            if "undo" in mutation:
                lab.sh(name, target.script(mutation["undo"]))
            last[name] = Trial(target.values, found[name], repair.with_status(name, "fixed"))
            trials[target.group, mutation["name"]] = last[name]
    _settle(last, _failures(lab, targets), {})
    return trials


def _settle(last: dict[str, Trial], found: dict[str, dict[str, Any]], touched_now: dict[str, set[str]]) -> None:
    """Note what the last mutation of each host has left behind: what fails and does not by the one that follows."""
    for name, trial in last.items():
        trial.left |= set(found[name]) - touched_now.get(name, set())
    last.clear()


def _failures(lab: Lab, targets: list[Target]) -> dict[str, dict[str, dict[str, Any]]]:
    outcome = lab.play("audit", **SETTINGS)
    assert outcome.code == 0, outcome.output
    return {
        target.name: {entry["id"]: entry for entry in outcome.entries(target.name) if entry["status"] == "fail"}
        for target in targets
    }


@pytest.mark.parametrize(
    ("group", "mutation"), PAIRS, ids=[f"{mutation['name']} ({group})" for group, mutation in PAIRS]
)
def test_is_found_under_its_control_and_repaired(
    trials: dict[tuple[str, str], Trial], row: Row, mutation: dict[str, Any], group: str
) -> None:
    control = mutation["breaks"]
    trial = trials[group, mutation["name"]]
    must, may = expected(mutation), touched(mutation)
    repaired = mutation.get("repaired", True)
    right = must <= set(trial.found) <= may and not trial.left and (not repaired or must <= trial.fixed)
    outcome = "repaired" if repaired and must <= trial.fixed else "reported" if not repaired else "NOT repaired"
    found = f"{'+'.join(sorted(trial.found))} {outcome}"
    row(f"{control} {mutation['name']} ({group})", "+".join(sorted(must)), found, right)
    assert must <= set(trial.found) <= may, {key: entry["reason"] for key, entry in trial.found.items()}
    assert may - {control} <= set(load_catalogue()[control].implies)
    entry = trial.found[control]
    assert mutation.get("words", "").format(**trial.values) in entry["reason"] + json.dumps(entry["evidence"])
    if repaired:
        assert must <= trial.fixed
    assert trial.left == set()


def test_every_control_of_the_roles_is_broken_at_least_once() -> None:
    roles = {"service_user", "file_permissions"}
    controls = {control.id for control in load_catalogue().values() if control.role in roles}
    assert controls == {mutation["breaks"] for mutation in MUTATIONS}
