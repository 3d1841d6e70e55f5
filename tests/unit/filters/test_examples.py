# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the documentation of the filters shows is true: each example that asserts something is run by Ansible itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import filter_docs
import pytest
import yaml
from filter_docs import FILTERS, documented

CHECKOUT = Path(__file__).resolve().parents[3]
OF_FACTS = {"permission_trees", "shared_homes"}
"""Filters over what discovery has found, which no example can hold."""


def test_the_page_of_the_filters_is_current() -> None:
    assert filter_docs.PAGE.read_text(encoding="utf-8") == filter_docs.page(), "run python tests/filter_docs.py"


@pytest.mark.parametrize("path", FILTERS, ids=lambda path: path.stem)
def test_documents_itself_under_its_own_name(path: Path) -> None:
    documentation = documented(path, "DOCUMENTATION")
    assert documentation["name"] == path.stem
    assert documented(path, "RETURN")["_value"]["type"]
    assert f"atlassian_dc.hardening.{path.stem}" in path.read_text(encoding="utf-8").partition("EXAMPLES")[2]


def test_the_examples_hold(tmp_path: Path) -> None:
    tasks: list[dict[str, Any]] = []
    for path in FILTERS:
        shown = [task for task in documented(path, "EXAMPLES") if "ansible.builtin.assert" in task]
        assert shown or path.stem in OF_FACTS, f"{path.stem}: no example asserts anything"
        tasks += [{**task, "name": f"{path.stem}: {task['name']}"} for task in shown]
    play = tmp_path / "examples.yml"
    play.write_text(yaml.safe_dump([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]), encoding="utf-8")
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": os.pathsep.join(path for path in sys.path if path.endswith(".collections"))
        or str(CHECKOUT / ".collections"),
        "ANSIBLE_LOCAL_TEMP": str(tmp_path / "tmp"),
        "ANSIBLE_LOCALHOST_WARNING": "false",
    }
    ran = subprocess.run(
        [Path(sys.executable).with_name("ansible-playbook"), "-i", "localhost,", "-c", "local", play],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        cwd=tmp_path,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert f"ok={len(tasks)} " in ran.stdout
