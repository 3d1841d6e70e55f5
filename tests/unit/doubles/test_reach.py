# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Five large instances audited at once: how often each is asked, and what memory that takes."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from unit.doubles.asked import Audit, audit, large_instances
from unit.doubles.instances import DOUBLES

MEMORY = 32 * 1024**2
"""Most that all of them take: far less than the lists have."""


@pytest.fixture(scope="module")
def large(classes: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[dict[str, Any]]]:
    with large_instances(tmp_path_factory.mktemp("large"), classes) as instances:
        yield instances


@pytest.fixture(scope="module")
def found(large: list[dict[str, Any]]) -> Audit:
    tracemalloc.start()
    try:
        result = audit(large)
        assert tracemalloc.get_traced_memory()[1] < MEMORY
    finally:
        tracemalloc.stop()
    return result


def test_each_is_asked_less_than_two_hundred_times(found: Audit) -> None:
    assert list(found.requests) == list(DOUBLES)
    assert max(found.requests.values()) <= 200, found.requests
    assert found.requests["jira"] > 20


def test_what_is_cut_off_is_said(found: Audit) -> None:
    for product in ("jira", "confluence"):
        administrators, tokens = (found.found[product, control] for control in ("DC-ADM-03", "DC-AUT-04"))
        assert administrators["status"] == "fail"
        assert "more than 1000 accounts administer it" in administrators["reason"]
        assert tokens["status"] == "fail"
    assert "goes on after the 70 pages" in found.found["jira", "DC-AUT-04"]["reason"]


def test_accounts_nobody_uses_are_found_among_all(found: Audit) -> None:
    for product in ("confluence", "bitbucket"):
        idle = found.found[product, "DC-AUT-05"]
        assert idle["status"] == "fail", idle
        assert {piece["what"] for piece in idle["evidence"]} == {"account dora"}
        assert "pages" not in idle["reason"]
    for product in ("jira", "bamboo", "crowd"):
        assert found.found[product, "DC-AUT-05"]["status"] == "not_checked"
