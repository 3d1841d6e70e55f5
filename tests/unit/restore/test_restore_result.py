# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a drill has found, as text and back, and what it says of DC-BKP-04."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._restore_result import (
    DAY,
    FAILED,
    PASSED,
    UNTRIED,
    Check,
    Result,
    ResultError,
    judge,
    parse_result,
    utc,
)
from hypothesis import given
from hypothesis import strategies as st
from unit.restore.manifests import BACKUP

NOW = 1_795_939_473.0


def result(*outcomes: str, days: float = 1, **more: Any) -> Result:
    """Return the result of a drill so many days ago."""
    checks = tuple(Check(f"check {number}", outcome, "said", 1.5) for number, outcome in enumerate(outcomes))
    when = utc(NOW - days * DAY)
    known = Result("jira1-jira", BACKUP, "jira", "drill1", when, when, 100, checks)
    return dataclasses.replace(known, **more)


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        ((), FAILED),
        ((PASSED,), PASSED),
        ((PASSED, UNTRIED), UNTRIED),
        ((UNTRIED, FAILED, PASSED), FAILED),
    ],
)
def test_nothing_but_passed_checks_make_one_that_passed(outcomes: tuple[str, ...], expected: str) -> None:
    assert result(*outcomes).outcome == expected


def test_comes_back_as_it_was_written() -> None:
    for written in (result(PASSED, FAILED), result(PASSED, backup="", product="")):
        assert parse_result(written.to_json()) == written


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("format", 2, "format: 2 is not known"),
        ("key", "../etc", "key: '../etc' is no key"),
        ("backup", "latest", "backup: is no name of a backup"),
        ("checks", None, "checks: null, not a list"),
        (
            "checks",
            [{"name": "x", "outcome": "good", "detail": "", "seconds": 1}],
            "checks[0].outcome: a text, not one of",
        ),
        ("finished", "2026", "finished: '2026' is no time in UTC"),
        ("bytes", -1, "bytes: a number, not a whole number"),
    ],
)
def test_says_what_is_wrong_and_where(name: str, value: Any, complaint: str) -> None:
    told = {**json.loads(result(PASSED).to_json()), name: value}
    with pytest.raises(ResultError) as refused:
        parse_result(json.dumps(told))
    assert complaint in str(refused.value)


@given(st.text() | st.binary())
def test_any_text_is_taken_or_refused(text: str | bytes) -> None:
    with pytest.raises(ResultError):
        parse_result(text)


@pytest.mark.parametrize(
    ("known", "problem", "status", "words"),
    [
        (None, "", "fail", "no restore is known to have been tried: do it"),
        (None, "x.json: Permission denied", "fail", "no restore is known"),
        (result(PASSED), "", "pass", ""),
        (result(PASSED, days=99.9), "", "pass", ""),
        (result(PASSED, days=101), "", "fail", "is 101 days old; at most 100 are allowed"),
        (result(PASSED, days=-2), "", "fail", "lies in the future"),
        (result(PASSED, finished="2026-99-99T00:00:00Z"), "", "fail", "is inf days old"),
        (result(PASSED, FAILED), "", "fail", "failed (backup 20261129T101500Z on drill1"),
        (result(PASSED, FAILED, days=101), "", "fail", "failed"),
        (result(), "", "fail", "nothing was looked at"),
        (result(PASSED, UNTRIED), "", "not_checked", "check 1: said"),
    ],
)
def test_judges_what_is_known(known: Result | None, problem: str, status: str, words: str) -> None:
    found, reason, proof = judge(known, problem, 100, NOW, "do it")

    assert found == status
    assert words in reason
    assert bool(proof) == (status == "fail")
    assert not problem or proof[0]["actual"] == problem
