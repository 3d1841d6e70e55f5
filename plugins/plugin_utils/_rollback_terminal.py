# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a rollback did, or would do, on a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._report_plan import RESTART_OPTION
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._report_terminal import (
    MAX_NAMES,
    MIN_WIDTH,
    Painter,
    plural,
    readable_time,
    some_names,
    visible,
    wrap,
)

MAX_LINES = 3
"""Most lines for one thing that was not put back."""

_INDENT = " " * 4


@dataclass
class HostRollback:
    """What is known of the rollback of one host.

    Attributes:
        result: what module ``rollback`` returned last; None where it did not come to that.
        predicted: the module only said what it would do.
        trouble: why the run did not go through on the host, None where it did.

    """

    result: Mapping[str, Any] | None = None
    predicted: bool = False
    trouble: str | None = None


def render_rollback(hosts: Mapping[str, HostRollback], check_mode: bool, color: bool = False, width: int = 80) -> str:
    """Return what was taken back on each host, what was not and what is left to do, for a terminal.

    Args:
        hosts: the targeted hosts.
        check_mode: the whole run only said what it would do.
        color: whether to use terminal colours.
        width: columns of the terminal; fewer than 40 count as 40.

    """
    paint, width = Painter(color), max(width, MIN_WIDTH)
    title = f"Rollback of {plural(len(hosts), 'host')}"
    lines = [paint(f"{title} in check mode: nothing was changed" if check_mode else title, "bold")]
    for name, host in hosts.items():
        lines.append("")
        if host.trouble is None and host.result is None:
            lines += wrap(f"{visible(name)}: not reached, because the rollback ended at another host", width)
            continue
        # Where only the prediction was reached, nothing has happened.
        tried = host.result if host.trouble is None or host.predicted == check_mode else None
        if host.trouble is not None:
            # What failed after it, such as a start, or in it, tells so itself.
            text = f"{visible(name)}: {'' if tried else 'NOT taken back: '}{visible(host.trouble)}"
            lines += (paint(line, "error") for line in wrap(text, width))
        if tried is None:
            continue
        if host.trouble is None:
            lines += wrap(f"{visible(name)}: {_headline(tried, host.predicted)}", width)
        for first, others in _details(tried, host.predicted):
            lines += (_INDENT + line for line in wrap(first, width - len(_INDENT)))
            for other in others:
                lines += (2 * _INDENT + line for line in wrap(other, width - 2 * len(_INDENT), MAX_LINES))
    return "\n".join(lines)


def _headline(result: Mapping[str, Any], predicted: bool) -> str:
    run = f"run {visible(result['run'])}" if result["run"] else ""
    if not (result["changed"] or result["kept"] or result["stay"]):
        return f"{run}: nothing to take back" if run else "nothing to take back"
    when = f" of {readable_time(result['begin'])}" if result.get("begin") else ""
    roles = ", ".join(visible(role) for role in result["roles"])
    what = f" (role{'s' if len(result['roles']) > 1 else ''} {roles})" if roles else ""
    return f"{run}{when}{what} {'would be' if predicted else 'is'} taken back"


def _details(result: Mapping[str, Any], predicted: bool) -> Iterator[tuple[str, list[str]]]:
    """Yield what there is to say of a host, each with what is listed below it."""
    units, accounts = [visible(unit) for unit in result["units"]], [visible(name) for name in result["accounts"]]
    settings = [visible(name) for name in result.get("settings") or ()]
    counts = [
        plural(result["paths"], "path") if result["paths"] else "",
        f"{plural(len(units), 'unit')} ({some_names(units)})" if units else "",
        f"{plural(len(accounts), 'account')} ({some_names(accounts)})" if accounts else "",
        f"{plural(len(settings), 'setting')} ({some_names(settings)})" if settings else "",
        f"firewall rules ({visible(result['firewall'])})" if result.get("firewall") else "",
    ]
    if any(counts):
        yield f"{'would be put back' if predicted else 'put back'}: {', '.join(filter(None, counts))}", []
    kept = [visible(line) for line in _rarest_first(result["kept"])]
    if kept:
        beyond = len(kept) - MAX_NAMES
        more = [f"and {beyond} more; -v lists all"] if beyond > 0 else []
        yield f"left as {'they are' if len(kept) > 1 else 'it is'}:", [*kept[:MAX_NAMES], *more]
    todo = list(_by_hand(result, predicted))
    if todo:
        yield "to be done by hand:", todo


def _rarest_first(kept: Sequence[str]) -> list[str]:
    """Return what was not put back, so that thousands of paths of a tree do not hide the one file that differs."""
    reasons = Counter(line.rpartition(": ")[2] for line in kept)
    return sorted(kept, key=lambda line: reasons[line.rpartition(": ")[2]])


def _by_hand(result: Mapping[str, Any], predicted: bool) -> Iterator[str]:
    running = [visible(unit) for unit in result["still_running"]]
    if running and predicted:
        yield (
            f"restart {some_names(running)}: what runs would go on as it was started; "
            f"with {RESTART_OPTION} the rollback does it"
        )
    elif running:
        yield (
            f"restart {some_names(running)}: the unit is put back, but what runs goes on as it was started"
            f" ({RESTART_OPTION} was not given)"
        )
    stay = [visible(item) for item in result["stay"]]
    packages = [item for item in stay if item.startswith("package ")]
    accounts = [item for item in stay if item not in packages]
    if accounts:
        yield f"remove {some_names(accounts)} once no file belongs to it: the run made it, and a rollback leaves it"
    if packages:
        yield f"remove {some_names(packages)} if nothing needs it: the run installed it, and a rollback leaves it"
