# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Never half-moved: without leave to restart everything stays as it ran, and a restart that fails is undone."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from .lab import ACCOUNTS_AND_FILES, DISTRIBUTIONS, Lab, Outcome

# The oldest and the newest distribution.
FIRST, SECOND = "n1", "n2"
# A product that refuses to run as anybody but root: the sandbox is fine, the start is not.
ONLY_AS_ROOT = "echo '[ $(id -u) = 0 ] || exit 1' >> /opt/atlassian/jira/bin/setenv.sh"
Row = Callable[[str, str, str, bool], None]


class Story:
    """Two hosts hardened without leave to restart, then with it while the first one cannot start."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.staged = lab.play("harden")
        self.again = lab.play("harden")
        lab.sh(SECOND, "systemctl restart jira.service")
        self.users_when_staged = [lab.served_by(FIRST), lab.served_by(SECOND)]
        lab.sh(FIRST, ONLY_AS_ROOT)
        self.failed = lab.play("harden", atlassian_dc_allow_restart=True, atlassian_dc_service_user_start_timeout=300)
        self.users_after_failure = [lab.served_by(FIRST), lab.served_by(SECOND)]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    lab = Lab("fidelity-restart", tmp_path_factory.mktemp("restart"), ACCOUNTS_AND_FILES)
    try:
        lab.up([f"{FIRST}=jira:{DISTRIBUTIONS[0]}", f"{SECOND}=jira:{DISTRIBUTIONS[-1]}"])
        yield Story(lab)
    finally:
        lab.down()


def pending(outcome: Outcome, host: str) -> set[str]:
    return {entry["id"] for entry in outcome.entries(host) if entry["pending"] == "restart"}


@pytest.mark.parametrize("host", [FIRST, SECOND])
def test_without_leave_it_waits_and_says_so(story: Story, row: Row, host: str) -> None:
    found = pending(story.staged, host)
    row(f"harden without restart, {host}", "DC-USR-01+DC-USR-04 pending", "+".join(sorted(found)), len(found) == 2)
    assert story.staged.code == 0
    assert found == {"DC-USR-01", "DC-USR-04"}
    assert found <= story.staged.with_status(host, "fail")


def test_running_it_again_changes_nothing(story: Story) -> None:
    assert story.again.changed_tasks(FIRST) == story.again.changed_tasks(SECOND) == []


def test_a_restart_by_somebody_else_brings_up_what_ran_before(story: Story, row: Row) -> None:
    users = story.users_when_staged
    row("restart by somebody else while staged", "root, root", ", ".join(users), users == ["root", "root"])
    assert users == ["root", "root"]


def test_a_product_that_does_not_come_up_runs_as_before(story: Story, row: Row) -> None:
    right = story.users_after_failure[0] == "root" and story.failed.code != 0
    row(
        "a start as the service account fails",
        "old unit back, serving",
        f"{FIRST} as {story.users_after_failure[0]}",
        right,
    )
    assert right
    assert "the old unit is back in place" in story.failed.output
    live = story.lab.sh(FIRST, "ls -A /etc/systemd/system/jira.service.d 2>/dev/null || true")
    assert live.strip() == ""


def test_the_roll_stops_there_and_the_next_host_is_not_touched(story: Story, row: Row) -> None:
    touched = [action for action in story.failed.executions(SECOND) if action.endswith("product_service")]
    row("the next host of the roll", "not restarted", "restarted" if touched else "not restarted", not touched)
    assert touched == []
    assert story.users_after_failure[1] == "root"


def test_the_report_is_honest_about_it(story: Story) -> None:
    assert not story.failed.report["complete"]
    assert any("the restart failed" in message for message in story.failed.report["messages"])
    for host in (FIRST, SECOND):
        assert {"DC-USR-01", "DC-USR-04"} <= story.failed.with_status(host, "fail")
