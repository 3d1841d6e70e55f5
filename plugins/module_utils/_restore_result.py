# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a drill or a restore has found, as a file, and what that says of DC-BKP-04."""

from __future__ import annotations

import calendar
import dataclasses
import json
import re
import time
from dataclasses import dataclass

from ansible_collections.atlassian_dc.hardening.plugins.module_utils._backup_manifest import (
    JsonObject,
    ManifestError,
    is_backup,
    load_json,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._findings import Evidence, evidence

FORMAT = 1
PASSED, FAILED, UNTRIED = "passed", "failed", "not tried"
OUTCOMES = (PASSED, FAILED, UNTRIED)
DAY = 86400
TIME = "%Y-%m-%dT%H:%M:%SZ"
_KEY = re.compile(r"[A-Za-z0-9._-]{1,255}")


class ResultError(Exception):
    """A result that cannot be used; says what is wrong and where."""


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: what, in a word or two.
        outcome: one of `OUTCOMES`.
        detail: what was found, for people.
        seconds: how long that took.

    """

    name: str
    outcome: str
    detail: str
    seconds: float

    @property
    def words(self) -> str:
        """All of it in a line."""
        return f"{self.name}: {self.outcome}{f', {self.detail}' if self.detail else ''}"


@dataclass(frozen=True)
class Result:
    """How a backup was tried.

    Attributes:
        key: of the instance in the repository.
        backup: name of the backup; empty where it did not come so far.
        product: of the instance; the same.
        host: where it was tried.
        started: when, in UTC.
        finished: the same.
        bytes: how much was restored.
        checks: what was looked at.

    """

    key: str
    backup: str
    product: str
    host: str
    started: str
    finished: str
    bytes: int
    checks: tuple[Check, ...]

    @property
    def outcome(self) -> str:
        """One of `OUTCOMES`: failed where anything did, passed where nothing was left out."""
        found = {check.outcome for check in self.checks}
        return FAILED if FAILED in found or not found else UNTRIED if UNTRIED in found else PASSED

    @property
    def problems(self) -> list[Check]:
        """Return the checks that have not passed."""
        return [check for check in self.checks if check.outcome != PASSED]

    def to_json(self) -> str:
        """Return the text of the file."""
        told = {"format": FORMAT, "outcome": self.outcome, **dataclasses.asdict(self)}
        return json.dumps(told, indent=1, sort_keys=True) + "\n"


def parse_result(text: str | bytes) -> Result:
    """Return the result that a text is.

    Raises:
        ResultError: it is none.

    """
    try:
        top = JsonObject(load_json(text), "")
        if top.number("format") != FORMAT:
            raise ResultError(f"format: {top.number('format')} is not known; this version reads {FORMAT}")
        backup = top.word("backup")
        if backup and not is_backup(backup):
            raise ResultError("backup: is no name of a backup")
        return Result(
            key=top.like("key", _KEY, "no key of an instance"),
            backup=backup,
            product=top.word("product"),
            host=top.text("host"),
            started=top.time("started"),
            finished=top.time("finished"),
            bytes=top.number("bytes"),
            checks=tuple(
                Check(item.text("name"), item.one_of("outcome", OUTCOMES), item.word("detail"), item.seconds("seconds"))
                for item in top.objects("checks")
            ),
        )
    except ManifestError as exc:
        raise ResultError(str(exc)) from exc


def utc(seconds: float) -> str:
    """Return a point in time as results have it."""
    return time.strftime(TIME, time.gmtime(seconds))


def age_of(moment: str, now: float) -> float:
    """Return how old a point in time is, in days.

    Raises:
        ValueError: there is no such day.

    """
    return (now - calendar.timegm(time.strptime(moment, TIME))) / DAY


def judge(result: Result | None, problem: str, max_age: float, now: float, how: str) -> tuple[str, str, list[Evidence]]:
    """Judge DC-BKP-04 of one instance.

    Args:
        result: of the last drill; None where there is none.
        problem: why there is none that can be read; empty where nobody knows of one.
        max_age: most days since it.
        now: the time.
        how: what brings one about, for people.

    Returns:
        Status, reason and evidence.

    """
    what = "last restore that was tried"
    if result is None:
        actual = problem or "never"
        return "fail", f"no restore is known to have been tried: {how}", [evidence(what, "passed", actual)]
    try:
        days = age_of(result.finished, now)
    except ValueError:
        days = float("inf")
    told = f"backup {result.backup or '?'} on {result.host}, finished {result.finished}"
    if result.outcome == FAILED:
        proof = [evidence(check.name, PASSED, check.detail or check.outcome) for check in result.problems]
        first = proof[0]["actual"] if proof else "nothing was looked at"
        return (
            "fail",
            f"the last restore that was tried failed ({told}): {first}",
            proof or [evidence(what, PASSED, told)],
        )
    if days > max_age or days < -1:
        why = "lies in the future" if days < 0 else f"is {days:.0f} days old; at most {max_age:g} are allowed"
        return "fail", f"the last restore that was tried {why}", [evidence(what, f"within {max_age:g} days", told)]
    if result.outcome == UNTRIED:
        left = "; ".join(f"{check.name}: {check.detail}" for check in result.problems)
        return "not_checked", f"the last restore could not be tried as a whole ({told}): {left}", []
    return "pass", "", []
