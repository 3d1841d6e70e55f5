# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Collects the rows of the fidelity table and prints it at the end."""

from __future__ import annotations

from collections.abc import Callable

import pytest

LONGEST = (
    "test_mutations",
    "test_log_shipping",
    "test_prediction",
    "test_restore",
    "test_faults",
    "test_firewall",
    "test_fail2ban",
    "test_guilty",
    "test_file_integrity",
    "test_backup",
    "test_restore_products",
    "test_product_settings",
    "test_cluster",
    "test_rollback",
    "test_found",
    "test_log_keeping",
)
"""Files that take longest: begun first, or the last one would run on its own for long."""
HEADINGS = ("what", "expected", "found", "result")
ROW = "fidelity"


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
