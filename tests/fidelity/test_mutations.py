# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Break a hardened host in one way at a time: the audit finds exactly that, and harden puts it right.

Every round breaks several hosts of each distribution in different ways, so that one audit and one harden serve all.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._catalogue import load_catalogue

from .lab import DISTRIBUTIONS, Lab

ROUND = 4
"""Mutations tried at once, each on a host of its own."""
HOSTS = {distribution: [f"{distribution}-{number}" for number in range(ROUND)] for distribution in DISTRIBUTIONS}
ALL = [host for hosts in HOSTS.values() for host in hosts]
MUTATIONS: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "mutations.yml").read_text())["mutations"]
Row = Callable[[str, str, str, bool], None]


class Trial:
    """What came of one mutation."""

    def __init__(self, found: dict[str, dict[str, Any]], fixed: set[str], left: set[str]) -> None:
        self.found, self.fixed, self.left = found, fixed, left


@pytest.fixture(scope="module")
def trials(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[tuple[str, str], Trial]]:
    lab = Lab("fidelity-mutations", tmp_path_factory.mktemp("mutations"))
    try:
        lab.up([f"{host}=jira:{distribution}" for distribution, hosts in HOSTS.items() for host in hosts])
        yield _run(lab)
    finally:
        lab.down()


def _run(lab: Lab) -> dict[tuple[str, str], Trial]:
    hardened = lab.play("harden", atlassian_dc_allow_restart=True)
    assert hardened.code == 0, hardened.output
    for host in ALL:
        # What only a person may decide on, done, so that these hosts have nothing left to find.
        for entry in hardened.entries(host):
            if entry["id"] == "DC-DIR-06":
                lab.sh(host, shlex.join(["rm", *(item["what"] for item in entry["evidence"])]))
    assert set().union(*_failures(lab).values()) == set()
    trials: dict[tuple[str, str], Trial] = {}
    for start in range(0, len(MUTATIONS), ROUND):
        tried = MUTATIONS[start : start + ROUND]
        pairs = [pair for hosts in HOSTS.values() for pair in zip(hosts, tried, strict=False)]
        for host, mutation in pairs:
            lab.sh(host, mutation["by"])
        found = _failures(lab)
        repair = lab.play("harden", atlassian_dc_allow_restart=True)
        assert repair.code == 0, repair.output
        for host, mutation in pairs:
            if "undo" in mutation:
                lab.sh(host, mutation["undo"])
        left = _failures(lab)
        for host, mutation in pairs:
            distribution = host.partition("-")[0]
            trial = Trial(found[host], repair.with_status(host, "fixed"), set(left[host]))
            trials[distribution, mutation["name"]] = trial
    return trials


def _failures(lab: Lab) -> dict[str, dict[str, dict[str, Any]]]:
    outcome = lab.play("audit")
    assert outcome.code == 0, outcome.output
    return {host: {entry["id"]: entry for entry in outcome.entries(host) if entry["status"] == "fail"} for host in ALL}


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
@pytest.mark.parametrize("mutation", MUTATIONS, ids=[mutation["name"] for mutation in MUTATIONS])
def test_is_found_under_its_control_and_repaired(
    trials: dict[tuple[str, str], Trial], row: Row, mutation: dict[str, Any], distribution: str
) -> None:
    control = mutation["breaks"]
    trial = trials[distribution, mutation["name"]]
    expected = {control, *mutation.get("also", [])}
    may = set(mutation.get("may", []))
    repaired = mutation.get("repaired", True)
    right = (
        expected <= set(trial.found) <= expected | may and not trial.left and (not repaired or expected <= trial.fixed)
    )
    outcome = "repaired" if repaired and expected <= trial.fixed else "reported" if not repaired else "NOT repaired"
    found = f"{'+'.join(sorted(trial.found))} {outcome}"
    row(f"{control} {mutation['name']} ({distribution})", "+".join(sorted(expected)), found, right)
    assert expected <= set(trial.found) <= expected | may
    assert (expected | may) - {control} <= set(load_catalogue()[control].implies)
    entry = trial.found[control]
    assert mutation.get("words", "") in entry["reason"] + json.dumps(entry["evidence"])
    if repaired:
        assert expected <= trial.fixed
    assert trial.left == set()


def test_every_control_of_the_roles_is_broken_at_least_once() -> None:
    roles = {"service_user", "file_permissions"}
    controls = {control.id for control in load_catalogue().values() if control.role in roles}
    assert controls == {mutation["breaks"] for mutation in MUTATIONS}
