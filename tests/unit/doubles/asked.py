# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Doubles asked by the modules, as role product_settings runs them: settings, then accounts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import settings_table
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._changes import Changes
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._findings import STATUSES, Findings
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._settings_places import Product, side_by_side
from ansible_collections.atlassian_dc.hardening.plugins.modules import product_accounts_info, product_settings
from ansible_collections.atlassian_dc.hardening.plugins.modules.product_accounts_info import AccountsReader
from ansible_collections.atlassian_dc.hardening.plugins.modules.product_apps_info import describe
from ansible_collections.atlassian_dc.hardening.plugins.modules.product_settings import ProductSettings
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._settings_data import settings_data
from doubles.common import double
from unit.doubles.instances import DOUBLES, STATUS, Client, Instance

DATA = settings_data()
TOKEN = double.settings_for(DOUBLES["jira"].folder, "unhardened", [])["admin_token"]
PEOPLE, TEAMS, TOKENS, ADMINISTRATORS = 30_000, 400, 20_000, 3_000
SWITCHES = ("basic_auth", "rate_limit", "signup")
WRITTEN = settings_table.resolved(
    "write", **{f"atlassian_dc_product_settings_enforce_{name}": True for name in SWITCHES}
)
ROLE: dict[str, Any] = {
    "wanted": settings_table.wanted(),
    "write": WRITTEN,
    "max_administrators": 5,
    "guessable_names": ["admin", "test"],
    "token_days": 90,
    "idle_days": 90,
}


@dataclass
class Audit:
    """What an audit has found, by instance and control, and how often it has asked each instance."""

    found: dict[tuple[str, str], dict[str, Any]]
    requests: dict[str, int]

    def statuses(self, instance: str) -> dict[str, str]:
        return {control: finding["status"] for (name, control), finding in self.found.items() if name == instance}


def described(instance: Instance, client: Client) -> dict[str, Any]:
    """Return what discovery tells of a double that runs."""
    return {
        "name": instance.product,
        "product": instance.product,
        "version": instance.settings["version"],
        "install_dir": None,
        "home_dir": str(instance.home),
        "status_url": client.base + STATUS[instance.product],
        "jvm_arguments": [],
        "start_jvm_arguments": [],
        "cluster": None,
    }


def judge_settings(instances: Sequence[dict[str, Any]], check_mode: bool = True) -> dict[str, str]:
    """Judge the settings of one double, and put them right; return the status of each control."""
    params = params_of(instances)
    findings = Findings(params, product_settings.CONTROLS, check_mode)
    ProductSettings(params, findings, Changes(check_mode), products(params), no_program).run()
    return {finding["control"]: finding["status"] for finding in findings.results}


def params_of(instances: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the parameters of the modules, as the role has them."""
    return {
        **ROLE,
        "instances": list(instances),
        "credentials": [{"name": instance["name"], "token": TOKEN} for instance in instances],
        "products": DATA,
        "timeout": 30,
    }


def audit(instances: Sequence[dict[str, Any]], check_mode: bool = True) -> Audit:
    """Ask doubles as the role does, and for their apps."""
    params = params_of(instances)
    settings = Findings(params, product_settings.CONTROLS, check_mode)
    accounts = Findings(params, product_accounts_info.CONTROLS, True)
    asked = [products(params) for _module in range(3)]
    ProductSettings(params, settings, Changes(check_mode), asked[0], no_program).run()
    AccountsReader(params, accounts, asked[1]).run()
    side_by_side(describe, asked[2])
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for finding in (*settings.results, *accounts.results):
        key = finding["instance"], finding["control"]
        other = found.get(key)
        if other:  # both judge it
            status = min(finding["status"], other["status"], key=STATUSES.index)
            reason = f"{other['reason']}; {finding['reason']}"
            finding = {
                **finding,
                "status": status,
                "reason": reason,
                "evidence": other["evidence"] + finding["evidence"],
            }
        found[key] = finding
    assert TOKEN not in json.dumps(list(found.values()))
    return Audit(found, {each[0].name: sum(one.requests for one in each) for each in zip(*asked, strict=True)})


@contextmanager
def large_instances(folder: Path, classes: Path) -> Iterator[list[dict[str, Any]]]:
    """Run one large instance of each product; yield what discovery tells of them."""
    with ExitStack() as stack:
        found = []
        for product in DOUBLES:
            # The release that tells most.
            version = ["version=10.2.7"] if product == "confluence" else []
            (folder / product).mkdir()
            instance = Instance(folder / product, classes, product, f"people={PEOPLE}", f"teams={TEAMS}", *version)
            enlarge(instance)
            found.append(described(instance, stack.enter_context(instance.serving("-Xmx512m"))))
        yield found


def enlarge(instance: Instance) -> None:
    """Give an instance many tokens, and an administrators' group into which somebody has put half a company."""
    tokens = instance.kept("tokens")
    more = [{**tokens[0], "id": 100 + number, "rawToken": f"none-{number}"} for number in range(TOKENS)]
    instance.keep("tokens", [*tokens, *more])
    group = next(row["name"] for row in instance.kept("groups") if row["grants"] == "sysadmin")
    users = instance.kept("users")
    for user in users[-ADMINISTRATORS:]:
        user["groups"].append(group)
    instance.keep("users", users)


def products(params: dict[str, Any]) -> list[Product]:
    return [Product(instance, params, no_program) for instance in params["instances"]]


def no_program(_command: Iterable[str], **_more: Any) -> tuple[int, str, str]:
    """Have no program to run."""
    return 127, "", "not found"
