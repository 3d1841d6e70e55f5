# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Break a hardened host: the audit finds exactly what was broken, and harden puts it right.

Every product is broken in every way, most of them beside each other on one host: what is broken in one must not be
found in another. A round breaks each in a few ways at once that have no control and no place in common; so one audit
and one harden serve many. The audit of a round also tells what the repair of the one before has left: what follows
breaks other controls.
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

HOSTS = {"jira13": "jira:trixie", "products12": "products:bookworm"}
"""Hosts and their images."""
BROKEN = {
    "jira": "jira13",
    "confluence": "products12",
    "bitbucket": "products12",
    "bamboo": "products12",
    "crowd": "products12",
}
"""On which of them each product is broken. What is called alike on all hosts is broken on the first."""
IN_CONTAINERS = {"DC-SEC-06", "DC-LOG-06"}
"""What cannot be broken in a container, which does not see what its file system lies on and has no clock of its own.
Unit tests have disks; test_log_keeping has a clock."""
BY_FILES = (
    *("service_user", "file_permissions", "firewall", "fail2ban", "secrets", "file_integrity"),
    *("DC-LOG-05", "DC-LOG-06", "DC-LOG-08"),
)
"""Roles and controls that are tried here; DC-LOG-03 needs a collector, and is tried elsewhere."""
SECRET = "Sup3rSecret"  # noqa: S105 - what all of them begin with
TOGETHER = 8
"""Most ways in which a product is broken at once."""
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
    # Single nodes, of which some listen for others all the same; so does the Synchrony that Confluence starts.
    "atlassian_dc_firewall_services": [{"name": "clusters", "ports": [5701, 7777, 8091, 25500], "from": ["peers"]}],
}
FOUND = ("UNIT", "ACCOUNT", "INSTALL", "DATA")
"""Variables of the shell that discovery tells."""
KEYS = ("unit", "service_account", "install_dir", "home_dir")
"""The same in the report."""
VARIABLE = re.compile(r"\$([A-Z][A-Z0-9]*)")
Row = Callable[[str, str, str, bool], None]
Mutation = dict[str, Any]
Key = tuple[str, str, str | None]
"""A host, a control, and the instance it is judged on; None for the host."""
SHADOWS: set[Key] = {(host, "DC-FIM-02", None) for host in HOSTS}
"""Fails beside whatever changes a watched file, until that is put right or accepted; the catalogue says so too."""
Way = tuple[str, Mutation]
"""A product, and how it is broken."""


def ways(product: str) -> list[Way]:
    """Return the ways in which a product is broken: those whose places it has."""
    known = {*FOUND, *PLACES[product]}
    meant = [mutation for mutation in MUTATIONS if product in mutation.get("products", [product])]
    return [(product, mutation) for mutation in meant if set(VARIABLE.findall(mutation["by"])) <= known]


WAYS = [way for product in PLACES for way in ways(product)]


def keys(way: Way, *names: str) -> set[Key]:
    """Return the controls that a way lists under these names, and on what they are judged."""
    product, mutation = way
    listed = [mutation[name] for name in names if name in mutation]
    controls = {control for value in listed for control in ([value] if isinstance(value, str) else value)}
    of_host = {control for control in controls if load_catalogue()[control].scope in ("host", "site")}
    return {(BROKEN[product], control, None if control in of_host else product) for control in controls}


def expected(way: Way) -> set[Key]:
    """Return the controls that must fail by a way."""
    return keys(way, "breaks", "also")


def touched(*ways: Way) -> set[Key]:
    """Return the controls that may fail by ways."""
    return {key for way in ways for key in keys(way, "breaks", "also", "may")}


def clash(one: Way, other: Way) -> bool:
    """Whether two ways cannot be told apart, or are in each other's way: by a control, or a place they change."""
    places = [
        {(product, name) for name in set(VARIABLE.findall(mutation["by"])) - set(FOUND)}
        for product, mutation in (one, other)
    ]
    return bool(
        places[0] & places[1]
        or keys(one, "breaks", "apart") & touched(other)
        or keys(other, "breaks", "apart") & touched(one)
    )


def rounds() -> list[list[Way]]:
    """Deal all ways to rounds; what one breaks is not touched in the round after it."""
    left = list(WAYS)
    dealt: list[list[Way]] = []
    while left:
        chosen: list[Way] = []
        before = {key for way in dealt[-1] for key in keys(way, "breaks")} if dealt else set()
        # Ways that fit with few others first, or each would need a round of its own at the end.
        shares = Counter(key for way in left for key in keys(way, "breaks"))
        for way in sorted(left, key=lambda way: -sum(shares[key] for key in touched(way))):
            of_product = sum(product == way[0] for product, _mutation in chosen)
            if of_product < TOGETHER and not touched(way) & before and not any(clash(way, other) for other in chosen):
                chosen.append(way)
        left = [way for way in left if way not in chosen]
        # As they stand in the file: a product is restarted before its files are broken.
        dealt.append(sorted(chosen, key=WAYS.index))
    return dealt


class Trial:
    """What came of one way: what failed, what nobody broke, what harden fixed, what it left for the next audit."""

    def __init__(
        self, values: dict[str, str], found: dict[Key, dict[str, Any]], stray: set[Key], fixed: set[Key]
    ) -> None:
        self.values, self.found, self.stray, self.fixed = values, found, stray, fixed
        self.left: set[Key] = set()


Trials = dict[tuple[str, str], Trial]
"""By product and name of the mutation."""


@pytest.fixture(scope="module")
def trials(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trials]:
    lab = Lab("fidelity-mutations", tmp_path_factory.mktemp("mutations"), (*BY_FILES, "product_settings"))
    try:
        lab.up([f"{host}={image}" for host, image in HOSTS.items()])
        yield _run(lab)
    finally:
        lab.down()


def _run(lab: Lab) -> Trials:
    settings = {**SETTINGS, "atlassian_dc_admin_networks": lab.group.controller()}
    hardened = lab.play("harden", **settings)
    assert hardened.code == 0, hardened.output
    _tells_no_secret(hardened)
    # What discovery has found: how what mutations break is called on the hosts.
    values = {
        (host, str(instance["product"])): {
            **dict(zip(FOUND, (instance[key] for key in KEYS), strict=True)),
            **PLACES[instance["product"]],
        }
        for host in HOSTS
        for instance in hardened.report["hosts"][host]["instances"]
        if instance["product"] in PLACES
    }

    def do(product: str, commands: str, host: str = "") -> None:
        host = host or BROKEN[product]
        named = "".join(f"{name}={shlex.quote(value)}\n" for name, value in values[host, product].items())
        lab.sh(host, named + commands)

    # What only a person may decide on or put right, done, so that the hosts have nothing left to find.
    for host in HOSTS:
        entries = [entry for entry in hardened.entries(host) if entry["id"] == "DC-DIR-06"]
        archives = {item["what"] for entry in entries for item in entry["evidence"]}
        if archives:
            lab.sh(host, shlex.join(["rm", "-r", *sorted(archives)]))
    for host, product in values:
        do(product, DATA["prepared"], host)
    accepted: dict[str, Any] = {
        "atlassian_dc_file_integrity_accept": ["/"],
        "atlassian_dc_file_integrity_reason": "done by a person",
    }
    prepared = lab.play("harden", "--tags", "file_integrity", **settings, **accepted)
    assert prepared.code == 0, prepared.output
    clean = _failures(lab, settings)
    assert {key: entry["reason"] for key, entry in clean.items()} == {}
    trials: Trials = {}
    before: list[Way] = []
    for broken in [*rounds(), []]:
        for product, mutation in broken:
            do(product, mutation["by"])
        found = _failures(lab, settings)
        for product, mutation in before:
            trials[product, mutation["name"]].left = set(found) - touched(*broken) - SHADOWS
        before = broken
        if not broken:
            continue
        repair = lab.play("harden", **settings)
        assert repair.code == 0, repair.output
        _tells_no_secret(repair)
        fixed = set(_entries(repair, "fixed"))
        for product, mutation in broken:
            if "undo" in mutation:
                do(product, mutation["undo"])
            of_it = {key: entry for key, entry in found.items() if key in touched((product, mutation))}
            stray = set(found) - touched(*broken) - SHADOWS
            trials[product, mutation["name"]] = Trial(values[BROKEN[product], product], of_it, stray, fixed)
    return trials


def _tells_no_secret(outcome: Outcome) -> None:
    # Every password of a database, and every one that a mutation puts somewhere.
    assert SECRET not in outcome.output
    assert SECRET not in json.dumps(outcome.report)


def _failures(lab: Lab, settings: dict[str, Any]) -> dict[Key, dict[str, Any]]:
    outcome = lab.play("audit", **settings)
    assert outcome.code == 0, outcome.output
    _tells_no_secret(outcome)
    return _entries(outcome, "fail")


def _entries(outcome: Outcome, status: str) -> dict[Key, dict[str, Any]]:
    return {
        (host, entry["id"], entry["instance"]): entry
        for host in HOSTS
        for entry in outcome.entries(host)
        if entry["status"] == status
    }


def _words(found: set[Key]) -> str:
    return "+".join(sorted(f"{control} ({instance or host})" for host, control, instance in found))


@pytest.mark.parametrize("way", WAYS, ids=[f"{mutation['name']} ({product})" for product, mutation in WAYS])
def test_is_found_under_its_control_and_repaired(trials: Trials, row: Row, way: Way) -> None:
    product, mutation = way
    control = mutation["breaks"]
    trial = trials[product, mutation["name"]]
    must = expected(way)
    repaired = mutation.get("repaired", True)
    right = must <= set(trial.found) and not trial.stray | trial.left and (not repaired or must <= trial.fixed)
    outcome = "repaired" if repaired and must <= trial.fixed else "reported" if not repaired else "NOT repaired"
    found = f"{_words({*trial.found, *trial.stray})} {outcome}"
    row(f"{control} {mutation['name']} ({product}, {BROKEN[product]})", _words(must), found, right)
    assert must <= set(trial.found), {key: entry["reason"] for key, entry in trial.found.items()}
    assert trial.stray == set()
    assert {other for _host, other, _instance in touched(way)} - {control} <= set(load_catalogue()[control].implies)
    words = mutation.get("words", "").format(**trial.values)
    for key in keys(way, "breaks"):
        entry = trial.found[key]
        assert words in entry["reason"] + json.dumps(entry["evidence"])
    if repaired:
        assert must <= trial.fixed
    assert trial.left == set()


def test_every_control_of_the_roles_is_broken_at_least_once() -> None:
    controls = {control.id for control in load_catalogue().values() if {control.id, control.role} & set(BY_FILES)}
    assert controls - IN_CONTAINERS == {mutation["breaks"] for mutation in MUTATIONS}
