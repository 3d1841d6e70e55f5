# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Roles on the supported operating systems of which there is no test host: their variables and templates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._platform import identify
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._platforms import load_platforms
from platforms import OS_RELEASES

try:
    from ansible.template import trust_as_template
except ImportError:  # ansible-core 2.18 trusts every text

    def trust_as_template(value: str) -> str:
        return value


CHECKOUT = Path(__file__).resolve().parents[3]
ROLES = sorted(path.name for path in (CHECKOUT / "roles").iterdir())
FAMILIES = {entry["family"] for entry in load_platforms()}
BY_PLATFORM = "_by_platform"
"""Ending of a variable that holds names of packages, services and paths by family; see docs/architecture.md."""

INSTANCE = {"name": "jira", "product": "jira", "unit": "jira.service", "running": True, "stopped_by_run": False}


def variables_of(role: Path) -> dict[str, Any]:
    """Return defaults and variables of a role, not resolved."""
    loader = DataLoader()
    files = [role / "defaults/main.yml", *sorted(role.glob("vars/*.yml"))]
    return {
        name: value
        for path in files
        if path.exists()
        for name, value in (loader.load_from_file(str(path)) or {}).items()
    }


def incomplete(variables: dict[str, Any]) -> list[str]:
    """Return what is not there for every family."""
    problems = []
    for name, families in variables.items():
        if name.endswith(BY_PLATFORM):
            problems += [f"{name}: nothing for {family}" for family in sorted(FAMILIES - set(families))]
            keys = {key for family in FAMILIES for key in families.get(family, {})}
            problems += [
                f"{name}: {family} has no {key}"
                for family in sorted(FAMILIES & set(families))
                for key in sorted(keys - set(families[family]))
            ]
    return problems


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("platform", OS_RELEASES)
def test_variables_and_templates_of_a_role_resolve(role: str, platform: str) -> None:
    folder = CHECKOUT / "roles" / role
    facts = {"platform": identify(OS_RELEASES[platform], load_platforms()), "instances": [INSTANCE]}
    shared = variables_of(CHECKOUT / "roles/discovery")
    variables = {**shared, **variables_of(folder)}
    known = {"inventory_hostname": "node1", "ansible_facts": {"atlassian_dc": facts}}
    templar = Templar(loader=DataLoader(), variables={**variables, **known})
    for name, value in variables.items():
        assert templar.template(value) is not None, name
    for path in folder.glob("templates/**/*.j2"):
        assert templar.template(trust_as_template(path.read_text(encoding="utf-8"))), path


@pytest.mark.parametrize("role", ROLES)
def test_names_are_there_for_every_family(role: str) -> None:
    assert incomplete(variables_of(CHECKOUT / "roles" / role)) == []


def test_the_check_of_names_itself() -> None:
    names = {"debian": {"package": "x", "service": "x"}, "redhat": {"package": "x"}}
    assert incomplete({"_x_by_platform": {**names, "redhat": {"package": "x", "service": "y"}}, "other": {}}) == []
    assert incomplete({"_x_by_platform": names}) == ["_x_by_platform: redhat has no service"]
    assert incomplete({"_x_by_platform": {"debian": {}}}) == ["_x_by_platform: nothing for redhat"]
