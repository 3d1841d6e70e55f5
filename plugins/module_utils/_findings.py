# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a module says about controls: the ``dc_findings`` part of its result."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

Evidence = dict[str, str]

STATUSES = ("error", "fail", "fixed", "not_checked", "pass", "not_applicable")
"""The statuses a module may give. The ledger adds ``waived`` and ``manual``."""

PENDING_RESTART = "restart"

EVIDENCE_LIMIT = 50
"""Most pieces of evidence in one finding; what is beyond is counted in the last piece."""

CONTROL_ARGUMENTS: dict[str, dict[str, Any]] = {
    "controls": {"type": "list", "elements": "str"},
    "enforce": {"type": "list", "elements": "str"},
}
"""Argument spec of every module that judges controls; documented in the ``controls`` fragment."""


def evidence(what: Any, expected: Any, actual: Any) -> Evidence:
    """One piece of evidence: the thing looked at, what it should be and what it is."""
    return {"what": str(what), "expected": str(expected), "actual": str(actual)}


def plural(count: int, noun: str, many: str | None = None) -> str:
    """Return ``1 path``, ``2 paths``: for reasons that people read."""
    return f"{count} {noun if count == 1 else many or noun + 's'}"


class Findings:
    """Collects the findings of one module run.

    Args:
        params: the module's parameters, holding ``controls`` and ``enforce``.
        known: ids of all controls the module can judge.
        check_mode: whether the module only predicts.

    """

    def __init__(self, params: dict[str, Any], known: Sequence[str], check_mode: bool) -> None:
        judged = known if params.get("controls") is None else params["controls"]
        self.judged = [control for control in known if control in set(judged)]
        enforced = judged if params.get("enforce") is None else params["enforce"]
        self.enforced = [control for control in self.judged if control in set(enforced)]
        self.check_mode = check_mode
        self.results: list[dict[str, Any]] = []

    def judges(self, control: str) -> bool:
        """Whether the control was selected for this run."""
        return control in self.judged

    def enforces(self, control: str) -> bool:
        """Whether a real run may put the control right (selected, not waived, its needs set)."""
        return control in self.enforced

    def add(
        self,
        control: str,
        instance: str | None,
        status: str,
        reason: str = "",
        proof: Iterable[Evidence] = (),
        pending: str | None = None,
        elsewhere: str | None = None,
        by_hand: bool = False,
    ) -> None:
        """Add a finding as it is, unless its control was not selected.

        Args:
            control: id of the control.
            instance: name of the instance, None for controls of the host.
            status: one of `STATUSES`.
            reason: one plain line; only a pass needs none.
            proof: what is not as expected.
            pending: what has to happen before a repair is live.
            elsewhere: the host that judges a part of it, without which this is no pass.
            by_hand: no run puts it right, whatever is allowed.

        Raises:
            ValueError: the finding breaks a rule of the report (unknown status, missing reason or evidence).

        """
        if not self.judges(control):
            return
        items = list(proof)
        if status not in STATUSES:
            raise ValueError(f"{control}: unknown status {status!r}")
        if status != "pass" and not reason:
            raise ValueError(f"{control}: status {status} needs a reason")
        if status in ("fail", "fixed") and not items:
            raise ValueError(f"{control}: status {status} needs evidence")
        if len(items) > EVIDENCE_LIMIT:
            beyond = len(items) - EVIDENCE_LIMIT
            items = [*items[:EVIDENCE_LIMIT], evidence(f"and {beyond} more", "as above", "as above")]
        self.results.append(
            {
                "control": control,
                "instance": instance,
                "status": status,
                "reason": reason,
                "evidence": items,
                "pending": pending,
                **({"elsewhere": elsewhere} if elsewhere else {}),
                **({"by_hand": True} if by_hand else {}),
            }
        )

    def judge(
        self,
        control: str,
        instance: str | None,
        drift: Iterable[Evidence],
        reason: str,
        repaired: bool = False,
        pending: str | None = None,
        elsewhere: str | None = None,
        by_hand: bool = False,
    ) -> None:
        """Add ``pass`` where nothing drifts, else ``fail``, or ``fixed`` when this run has put it right and it is live.

        Args:
            control: id of the control.
            instance: name of the instance, None for controls of the host.
            drift: what is not as expected.
            reason: one plain line, used when something drifts.
            repaired: the caller changed it in this run; never believed in check mode or while something is pending.
            pending: what has to happen before the repair is live.
            elsewhere: the host that judges a part of it.
            by_hand: no run puts it right, whatever is allowed.

        """
        items = list(drift)
        if not items:
            self.add(control, instance, "pass", elsewhere=elsewhere)
        elif repaired and not pending and not self.check_mode and self.enforces(control):
            self.add(control, instance, "fixed", reason, items, elsewhere=elsewhere)
        else:
            self.add(control, instance, "fail", reason, items, pending, elsewhere, by_hand)
