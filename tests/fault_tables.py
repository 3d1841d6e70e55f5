# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of faults in the documentation, and the tests that hold their rows."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from pathlib import Path

TESTS = Path(__file__).resolve().parent
Tried = tuple[str, str]
"""A file below `TESTS`, and what holds a row in it: a test, or one of the values that a test is tried with."""


def rows_of(page: str) -> list[str]:
    """Return the faults that a page of the documentation tells of."""
    text = (TESTS.parent / "docs" / page).read_text(encoding="utf-8").replace("`", "")
    lines = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("|")]
    heads = [number for number, line in enumerate(lines) if not line.strip("-: ")]
    start = next(number for number in heads if lines[number - 1] == "fault") - 1
    return [line for line in lines[start:] if line != "fault" and line.strip("-: ")]


def untried(tried: Iterable[Tried]) -> list[Tried]:
    """Return what of some tests is none."""
    return [(file, name) for file, name in tried if name not in _named(TESTS / file)]


def _named(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return {name for name in functions if name.startswith("test_")} | texts
