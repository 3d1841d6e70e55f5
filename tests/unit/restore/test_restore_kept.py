# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which result of a drill counts: that on the host, or that on the controller."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._restore_kept import last_drill
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._restore_result import Check, Result, utc
from unit.restore.manifests import BACKUP

KEY = "jira1-jira"


def result(outcome: str = "passed", age: float = 0, key: str = KEY) -> str:
    when = utc(time.time() - age)
    checks = (Check("database", outcome, "said", 1.0),)
    return Result(key, BACKUP, "jira", "drill1", when, when, 1, checks).to_json()


def outcome(kept: str | None, path: Path) -> str | None:
    known, _problem = last_drill(KEY, kept, str(path))
    return known.outcome if known else None


def test_the_newest_counts(tmp_path: Path) -> None:
    path = tmp_path / "drill.json"
    assert outcome(None, path) is None
    assert outcome(result(), path) == "passed"
    path.write_text(result("failed", age=60))
    assert outcome(None, path) == "failed"
    assert outcome(result(age=3600), path) == "failed"
    assert outcome(result(age=1), path) == "passed"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "the result of the last drill cannot be used: line 1"),
        (result(key="other"), "the result of the last drill is that of other"),
    ],
    ids=["broken", "of another"],
)
def test_one_that_cannot_be_used_is_none(tmp_path: Path, text: str, words: str) -> None:
    known, problem = last_drill(KEY, text, str(tmp_path / "drill.json"))
    assert known is None
    assert words in problem


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text(result())
    (tmp_path / "drill.json").symlink_to("elsewhere")
    known, problem = last_drill(KEY, None, str(tmp_path / "drill.json"))
    assert known is None
    assert problem.endswith("drill.json: Too many levels of symbolic links")
