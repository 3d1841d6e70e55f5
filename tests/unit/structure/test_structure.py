# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every role, playbook and module has in common."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._catalogue import load_catalogue

CHECKOUT = Path(__file__).resolve().parents[3]
ROLES = sorted(path.name for path in (CHECKOUT / "roles").iterdir())
FILES = ("README.md", "defaults/main.yml", "meta/main.yml", "meta/argument_specs.yml", "tasks/main.yml")
SHARED = "discovery"
CONTROL = re.compile(r"DC-[A-Z]+-\d{2}")
FORBIDDEN = {
    "ignore_errors": "hides what the audit should see",
    "ignore_unreachable": "hides what the audit should see",
    "recurse": "walks a tree the slow way",
    "when: not ansible_check_mode": "makes the audit judge less than a real run",
    "failed_when: false": "an error nobody will see",
    "ansible_check_mode": "is False under a play's check_mode",
}


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def tasks_of(path: Path) -> Iterator[dict[str, Any]]:
    def walk(items: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        for item in items:
            yield item
            for part in ("block", "rescue", "always"):
                yield from walk(item.get(part, []))

    yield from walk(load(path) or [])


def controls_of(task: dict[str, Any]) -> set[str]:
    tags = task.get("tags", [])
    return {tag for tag in ([tags] if isinstance(tags, str) else tags) if CONTROL.fullmatch(tag)}


def options_of(role: str) -> dict[str, Any]:
    specs = load(CHECKOUT / "roles" / role / "meta" / "argument_specs.yml")["argument_specs"]
    return {name: option for entry in specs.values() for name, option in entry.get("options", {}).items()}


@pytest.mark.parametrize("role", ROLES)
class TestRoles:
    def test_has_the_common_shape(self, role: str) -> None:
        assert [name for name in FILES if not (CHECKOUT / "roles" / role / name).is_file()] == []

    def test_variables_carry_its_name(self, role: str) -> None:
        allowed = re.compile(rf"_?atlassian_dc_{role}_\w+")
        named = set(load(CHECKOUT / "roles" / role / "defaults/main.yml") or {})
        if role != SHARED:
            named |= set(options_of(role))
        for path in (CHECKOUT / "roles" / role).glob("vars/*.yml"):
            named |= set(load(path))
        for path in (CHECKOUT / "roles" / role).glob("tasks/*.yml"):
            for task in tasks_of(path):
                named |= {task["register"]} if "register" in task else set()
                named |= set(task.get("vars", {})) | set(task.get("ansible.builtin.set_fact", {}))
        if role == SHARED:
            named -= set(options_of(role))
        assert [name for name in sorted(named) if not allowed.fullmatch(name)] == []

    def test_defaults_and_specification_agree(self, role: str) -> None:
        defaults = load(CHECKOUT / "roles" / role / "defaults/main.yml") or {}
        specified = {name: option["default"] for name, option in options_of(role).items() if "default" in option}
        assert defaults == specified

    def test_the_readme_names_every_variable_and_control(self, role: str) -> None:
        readme = (CHECKOUT / "roles" / role / "README.md").read_text(encoding="utf-8")
        assert [name for name in options_of(role) if f"`{name}`" not in readme] == []
        carried = {
            c
            for path in (CHECKOUT / "roles" / role).glob("tasks/*.yml")
            for t in tasks_of(path)
            for c in controls_of(t)
        }
        assert [control for control in sorted(carried) if control not in readme] == []

    def test_its_controls_are_those_of_the_catalogue(self, role: str) -> None:
        files = (CHECKOUT / "roles" / role).glob("tasks/*.yml")
        carried = {control for path in files for task in tasks_of(path) for control in controls_of(task)}
        assert carried == {control.id for control in load_catalogue().values() if control.role == role}

    def test_every_module_is_called_by_its_full_name(self, role: str) -> None:
        for path in (CHECKOUT / "roles" / role).glob("tasks/*.yml"):
            for task in tasks_of(path):
                assert any("." in key for key in task) or "block" in task, f"{path}: {task.get('name')}"


def test_playbooks_leave_checking_variables_to_preflight() -> None:
    for path in sorted((CHECKOUT / "playbooks").glob("**/*.yml")):
        plays = load(path)
        told = str(plays)
        # Else each host has a task more for every role, whatever --tags says.
        assert told.count("'rolespec_validate': False") == told.count("import_role'"), path
        assert "include_role" not in told, path
        if "import_role'" in told and path.parent.name == "playbooks":
            assert plays[0]["ansible.builtin.import_playbook"] == "parts/preflight.yml"


def test_every_role_is_run_by_the_playbooks_and_selected_by_its_name() -> None:
    imported = {SHARED: [SHARED]}  # the others depend on it
    for task in load(CHECKOUT / "playbooks/tasks/controls.yml"):
        name = task["ansible.builtin.import_role"]["name"]
        imported[name.removeprefix("atlassian_dc.hardening.")] = task["tags"]
    assert sorted(imported) == ROLES
    assert all(role in tags for role, tags in imported.items())
    for role in ROLES:
        depends = [entry["role"] for entry in load(CHECKOUT / "roles" / role / "meta/main.yml")["dependencies"]]
        assert depends == ([] if role == SHARED else [f"atlassian_dc.hardening.{SHARED}"])


@pytest.mark.parametrize("words", FORBIDDEN)
def test_roles_and_playbooks_hide_nothing(words: str) -> None:
    found = [
        f"{path}:{number}: {FORBIDDEN[words]}"
        for folder in ("roles", "playbooks")
        for path in sorted((CHECKOUT / folder).rglob("*.yml"))
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if words in line and not line.lstrip().startswith("#")
    ]
    assert found == []


@pytest.mark.parametrize("path", sorted((CHECKOUT / "plugins/modules").glob("*.py")), ids=lambda path: path.stem)
def test_modules_document_themselves_whole(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    for part in ("DOCUMENTATION", "EXAMPLES", "RETURN"):
        assert re.search(rf'^{part} = r?"""', source, re.MULTILINE), part
    assert "atlassian_dc.hardening.attributes" in source
