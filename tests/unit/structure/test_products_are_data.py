# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""No role, playbook or plugin knows a product: what they do depends on the product files alone."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._products import load_products

CHECKOUT = Path(__file__).resolve().parents[3]
# Products, and the services that are part of one.
NAME = re.compile("|".join([*load_products(), "synchrony", "mesh"]), re.IGNORECASE)
EXPLAINS = {"DOCUMENTATION", "EXAMPLES", "RETURN"}
"""Parts of a plugin that are documentation."""
WORDS = {"description", "short_description", "galaxy_tags"}
"""Keys of a role's files that are words for people."""


def code_of(source: str) -> str:
    """Return Python code without comments, docstrings and documentation."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [item for item in body if not _explains(item)] or [ast.Pass()]  # type: ignore[attr-defined]
    return ast.unparse(tree)


def _explains(item: ast.stmt) -> bool:
    if isinstance(item, ast.Expr):
        return isinstance(item.value, ast.Constant) and isinstance(item.value.value, str)
    names = (
        [target.id for target in item.targets if isinstance(target, ast.Name)] if isinstance(item, ast.Assign) else []
    )
    return bool(EXPLAINS & set(names))


def data_of(source: str) -> str:
    """Return what a YAML file says to Ansible, without comments and words for people."""

    def walk(node: Any) -> Iterator[str]:
        if isinstance(node, dict):
            for key, value in node.items():
                if key not in WORDS:
                    yield str(key)
                    yield from walk(value)
        elif isinstance(node, list):
            for item in node:
                yield from walk(item)
        else:
            yield str(node)

    return "\n".join(walk(yaml.safe_load(source)))


def template_of(source: str) -> str:
    """Return a template without its comments."""
    return re.sub(r"\{#.*?#\}", "", source, flags=re.DOTALL)


READERS = {".py": code_of, ".yml": data_of, ".j2": template_of}
FILES = sorted(
    path
    for folder in ("roles", "playbooks", "plugins")
    for path in (CHECKOUT / folder).rglob("*")
    if path.is_file() and path.suffix not in (".md", ".pyc")
)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(CHECKOUT)))
def test_names_no_product(path: Path) -> None:
    lines = READERS[path.suffix](path.read_text(encoding="utf-8")).splitlines()
    assert [line.strip() for line in lines if NAME.search(line)] == []


@pytest.mark.parametrize(
    ("suffix", "source", "named"),
    [
        (".py", '"""About Jira."""\nx = 1  # as Crowd does\n', False),
        (".py", 'EXAMPLES = """\nproduct: jira\n"""\n', False),
        (".py", 'def f():\n    """As Jira."""\n', False),
        (".py", 'def f():\n    return x == "jira"\n', True),
        (".py", "def jira_home():\n    return 1\n", True),
        (".py", 'MESSAGE = "see bitbucket.properties"\n', True),
        (".yml", "# for Bamboo\noptions: {x: {description: such as V(jira), type: str}}\n", False),
        (".yml", "- name: Do it\n  when: product == 'confluence'\n", True),
        (".yml", "jira_home: /x\n", True),
        (".j2", "{# as Synchrony #}x\n", False),
        (".j2", "{% if product == 'crowd' %}x{% endif %}\n", True),
    ],
)
def test_the_check_itself(suffix: str, source: str, named: bool) -> None:
    assert bool(NAME.search(READERS[suffix](source))) == named
