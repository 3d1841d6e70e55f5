# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Break a hardened host in one way at a time: the audit finds exactly that, and harden puts it right.

Every product is broken in every way. Each round breaks all hosts, so that one audit and one harden serve all.
"""

from __future__ import annotations

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
PLACES: dict[str, dict[str, str]] = {
    product: {name: str(value) for name, value in places.items()} for product, places in DATA["places"].items()
}
SETTINGS: dict[str, Any] = {
    "atlassian_dc_allow_restart": True,
    "atlassian_dc_service_user_groups": ["docker"],
    "atlassian_dc_proxy_addresses": ["192.0.2.80"],
    "atlassian_dc_cluster_peers": ["192.0.2.21"],
    "atlassian_dc_firewall_agents": ["192.0.2.31"],
    # Single nodes, of which some listen for others all the same.
    "atlassian_dc_firewall_services": [{"name": "clusters", "ports": [5701, 7777, 25500], "from": ["peers"]}],
}
FOUND = ("UNIT", "ACCOUNT", "INSTALL", "DATA")
"""Variables of the shell that discovery tells."""
Row = Callable[[str, str, str, bool], None]


def ways(group: str) -> list[dict[str, Any]]:
    """Return the mutations of a group: those whose places its product has."""
    product = HOSTS[group][0].partition(":")[0]
    known = {*FOUND, *PLACES[product]}
    return [mutation for mutation in MUTATIONS if set(re.findall(r"\$([A-Z][A-Z0-9]*)", mutation["by"])) <= known]


PAIRS = [(group, mutation) for group in HOSTS for mutation in ways(group)]


class Trial:
    """What came of one mutation."""

    def __init__(
        self, values: dict[str, str], found: dict[str, dict[str, Any]], fixed: set[str], left: set[str]
    ) -> None:
        self.values, self.found, self.fixed, self.left = values, found, fixed, left


class Target:
    """A host, and how what mutations break is called on it."""

    def __init__(self, name: str, group: str, image: str) -> None:
        self.name, self.group, self.image = name, group, image
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
        Target(f"{image.replace(':', '-')}{number}", group, image)
        for group, images in HOSTS.items()
        for number, image in enumerate(images, start=1)
    ]
    try:
        lab.up([f"{target.name}={target.image}" for target in targets])
        yield _run(lab, targets)
    finally:
        lab.down()


def _run(lab: Lab, targets: list[Target]) -> dict[tuple[str, str], Trial]:
    settings = {**SETTINGS, "atlassian_dc_admin_networks": lab.group.controller()}
    hardened = lab.play("harden", **settings)
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
    clean = _failures(lab, targets, settings)
    assert {name: sorted(found) for name, found in clean.items() if found} == {}
    trials: dict[tuple[str, str], Trial] = {}
    waiting = {group: ways(group) for group in HOSTS}
    while any(waiting.values()):
        tried = [(target, waiting[target.group].pop(0)) for target in targets if waiting[target.group]]
        for target, mutation in tried:
            lab.sh(target.name, target.script(mutation["by"]))
        found = _failures(lab, targets, settings)
        repair = lab.play("harden", **settings)
        assert repair.code == 0, repair.output
        for target, mutation in tried:
            if "undo" in mutation:
                lab.sh(target.name, target.script(mutation["undo"]))
        left = _failures(lab, targets, settings)
        for target, mutation in tried:
            name = target.name
            fixed = repair.with_status(name, "fixed")
            trial = Trial(target.values, found[name], fixed, set(left[name]))
            trials[target.group, mutation["name"]] = trial
    return trials


def _failures(lab: Lab, targets: list[Target], settings: dict[str, Any]) -> dict[str, dict[str, dict[str, Any]]]:
    outcome = lab.play("audit", **settings)
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
    expected = {control, *mutation.get("also", [])}
    may = set(mutation.get("may", []))
    repaired = mutation.get("repaired", True)
    right = (
        expected <= set(trial.found) <= expected | may and not trial.left and (not repaired or expected <= trial.fixed)
    )
    outcome = "repaired" if repaired and expected <= trial.fixed else "reported" if not repaired else "NOT repaired"
    found = f"{'+'.join(sorted(trial.found))} {outcome}"
    row(f"{control} {mutation['name']} ({group})", "+".join(sorted(expected)), found, right)
    assert expected <= set(trial.found) <= expected | may, {key: entry["reason"] for key, entry in trial.found.items()}
    assert (expected | may) - {control} <= set(load_catalogue()[control].implies)
    entry = trial.found[control]
    assert mutation.get("words", "").format(**trial.values) in entry["reason"] + json.dumps(entry["evidence"])
    if repaired:
        assert expected <= trial.fixed
    assert trial.left == set()


def test_every_control_of_the_roles_is_broken_at_least_once() -> None:
    roles = {"service_user", "file_permissions", "firewall"}
    controls = {control.id for control in load_catalogue().values() if control.role in roles}
    assert controls == {mutation["breaks"] for mutation in MUTATIONS}
