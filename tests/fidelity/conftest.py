# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Collects the rows of the fidelity table and prints it at the end; keeps what the runs of a session share."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable

import pytest

LONGEST = (
    "test_log_shipping",
    "test_firewall",
    "test_restore",
    "test_guilty",
    "test_mutations",
    "test_prediction",
    "test_faults",
    "test_rollback",
    "test_fail2ban",
    "test_file_integrity",
    "test_log_keeping",
    "test_found",
    "test_cluster",
    "test_product_settings",
)
"""Files that take longest: begun first, or the last one would run on its own for long."""
HEADINGS = ("what", "expected", "found", "result")
ROW = "fidelity"


def pytest_configure(config: pytest.Config) -> None:
    """Make the folder in which runs of this session find modules that others of it have packed."""
    if not hasattr(config, "workerinput"):
        os.environ["PACKED_MODULES"] = tempfile.mkdtemp(prefix="atlassian-dc-modules-")


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        shutil.rmtree(os.environ["PACKED_MODULES"], ignore_errors=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        return LONGEST.index(item.path.stem) if item.path.stem in LONGEST else len(LONGEST)

    items.sort(key=place)


@pytest.fixture
def row(request: pytest.FixtureRequest) -> Callable[[str, str, str, bool], None]:
    """Add a row to the table: what was tried, what was expected, what was found, whether that is right."""

    def add(what: str, expected: str, found: str, right: bool) -> None:
        # Properties of a test reach the terminal from every process that runs tests.
        request.node.user_properties.append((ROW, (what, expected, found, "ok" if right else "WRONG")))

    return add


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.stats.get(kind, [])]
    rows = sorted(tuple(value) for report in reports for name, value in report.user_properties if name == ROW)
    if not rows:
        return
    table = [HEADINGS, *rows]
    widths = [max(len(row[column]) for row in table) for column in range(len(HEADINGS))]
    terminalreporter.section("fidelity")
    for row in table:
        terminalreporter.write_line(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        )
