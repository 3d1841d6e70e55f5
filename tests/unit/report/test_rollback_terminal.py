# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the terminal tells of a rollback."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._report_terminal import text_width
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._rollback_terminal import (
    HostRollback,
    render_rollback,
)

NOTHING: dict[str, Any] = {
    "changed": False,
    "run": "",
    "roles": [],
    "paths": 0,
    "accounts": [],
    "kept": [],
    "stay": [],
    "units": [],
    "still_running": [],
}
RUN = {
    **NOTHING,
    "changed": True,
    "run": "20261123T150000Z-9f3c",
    "begin": "2026-11-23T15:00:04Z",
    "roles": ["file_permissions", "service_user"],
    "paths": 4066,
    "accounts": ["jira"],
    "units": ["jira.service"],
}


def rendered(result: dict[str, Any] | None, predicted: bool = False, trouble: str | None = None, **options: Any) -> str:
    host = HostRollback(result, predicted, trouble)
    return render_rollback({"jira1": host}, options.pop("check_mode", predicted), **{"width": 120, **options})


def test_what_was_taken_back() -> None:
    assert (
        rendered(RUN)
        == """\
Rollback of 1 host

jira1: run 20261123T150000Z-9f3c of 2026-11-23 15:00:04 UTC (roles file_permissions, service_user) is taken back
    put back: 4066 paths, 1 unit (jira.service), 1 account (jira)"""
    )


def test_what_would_be_taken_back() -> None:
    assert (
        rendered({**RUN, "still_running": ["jira.service"]}, predicted=True)
        == """\
Rollback of 1 host in check mode: nothing was changed

jira1: run 20261123T150000Z-9f3c of 2026-11-23 15:00:04 UTC (roles file_permissions, service_user) would be taken back
    would be put back: 4066 paths, 1 unit (jira.service), 1 account (jira)
    to be done by hand:
        restart jira.service: what runs would go on as it was started; with -e atlassian_dc_allow_restart=true the
        rollback does it"""
    )


def test_what_is_left_and_what_is_to_be_done() -> None:
    result = {
        **RUN,
        "kept": ["/etc/sudoers.d/jira: somebody has changed it since"],
        "still_running": ["jira.service"],
        "stay": ["account jira", "group jira"],
    }
    assert rendered(result).splitlines()[4:] == [
        "    left as it is:",
        "        /etc/sudoers.d/jira: somebody has changed it since",
        "    to be done by hand:",
        "        restart jira.service: the unit is put back, but what runs goes on as it was started (-e",
        "        atlassian_dc_allow_restart=true was not given)",
        "        remove account jira, group jira once no file belongs to it: the run made it, and a rollback leaves it",
    ]


def test_of_much_that_was_left_the_rarest_is_listed_and_the_rest_counted() -> None:
    tree = [f"/opt/jira/{number}: somebody has changed its owner or mode since" for number in range(4000)]
    lines = rendered({**RUN, "kept": [*tree, "/etc/sudoers.d/jira: somebody has changed it since"]}).splitlines()
    assert lines[4:6] == ["    left as they are:", "        /etc/sudoers.d/jira: somebody has changed it since"]
    assert lines[-1] == "        and 3991 more; -v lists all"
    assert len(lines) == 16


@pytest.mark.parametrize(
    ("result", "said"),
    [(NOTHING, "jira1: nothing to take back"), ({**NOTHING, "run": "run1"}, "jira1: run run1: nothing to take back")],
)
def test_nothing_to_take_back(result: dict[str, Any], said: str) -> None:
    assert rendered(result).splitlines()[2:] == [said]


def test_a_run_of_which_nothing_could_be_put_back_is_not_nothing() -> None:
    text = rendered({**NOTHING, "run": "run1", "kept": ["/etc/x: somebody has changed it since"]})
    assert "nothing to take back" not in text
    assert "/etc/x: somebody has changed it since" in text
    assert "put back:" not in text


def test_a_host_that_only_came_to_the_prediction_was_not_taken_back() -> None:
    text = rendered(RUN, predicted=True, trouble="task 'Stop' failed: it does not stop", check_mode=False)
    assert text.splitlines()[2:] == ["jira1: NOT taken back: task 'Stop' failed: it does not stop"]


@pytest.mark.parametrize("why", ["'Restore' failed: run x is not taken back as a whole", "'Start' failed: it is down"])
def test_a_rollback_that_failed_in_it_or_after_it_tells_what_came_back(why: str) -> None:
    text = rendered(RUN, trouble=f"task {why}")
    assert text.splitlines()[2:] == [
        f"jira1: task {why}",
        "    put back: 4066 paths, 1 unit (jira.service), 1 account (jira)",
    ]


def test_a_host_that_was_not_reached() -> None:
    hosts = {"a": HostRollback(trouble="host unreachable: no route"), "b": HostRollback()}
    assert render_rollback(hosts, False, width=120).splitlines()[2:] == [
        "a: NOT taken back: host unreachable: no route",
        "",
        "b: not reached, because the rollback ended at another host",
    ]


def test_no_text_of_a_host_steers_the_terminal_and_all_fits() -> None:
    evil = "\x1b[2Jx\n" + "y" * 500
    result = {**RUN, "kept": [evil], "units": [evil], "accounts": [evil], "roles": [evil], "run": evil, "stay": [evil]}
    text = rendered({**result, "still_running": [evil]}, trouble=evil, width=60)
    assert "\x1b" not in text
    assert max(map(text_width, text.splitlines())) <= 60
    assert "\x1b[1m" in rendered(RUN, color=True)


def test_packages_stay_for_another_reason() -> None:
    text = rendered({**RUN, "stay": ["package nftables", "account jira"]})
    assert "remove account jira once no file belongs to it: the run made it" in text
    assert "remove package nftables if nothing needs it: the run installed it, and a rollback leaves it" in text
