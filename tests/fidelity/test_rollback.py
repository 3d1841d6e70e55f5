# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run that is rolled back leaves the host as it was: contents, owners, modes, access lists, unit, product."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from .lab import Lab

WHOLE, PART = "r1", "r2"
READER = "setfacl -m u:nobody:r /var/atlassian/application-data/jira/dbconfig.xml"
ACCOUNTS = ("/etc/passwd", "/etc/shadow", "/etc/group", "/etc/gshadow")
OWN = ("/log", "/temp", "/work", "/caches", "/monitor")
Row = Callable[[str, str, str, bool], None]


class Story:
    """One host rolled back whole, another one only for the files, after a file was edited by hand."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        for host in (WHOLE, PART):
            lab.sh(host, READER)
        self.before = {host: lab.snapshot(host) for host in (WHOLE, PART)}
        self.harden = lab.play(
            "harden", atlassian_dc_allow_restart=True, atlassian_dc_file_permissions_listed_changes=100000
        )
        self.hardened = {host: lab.snapshot(host) for host in (WHOLE, PART)}
        self.check = lab.play("rollback", "--check", "--limit", WHOLE, atlassian_dc_allow_restart=True)
        self.after_check = lab.snapshot(WHOLE)
        self.whole = lab.play("rollback", "--limit", WHOLE, atlassian_dc_allow_restart=True)
        lab.sh(PART, "chmod 0700 /opt/atlassian/jira/bin")
        self.part = lab.play("rollback", "--limit", PART, "--tags", "file_permissions")
        self.after = {host: lab.snapshot(host) for host in (WHOLE, PART)}
        self.again = lab.play("rollback", "--limit", WHOLE, atlassian_dc_allow_restart=True)

    def managed(self, host: str) -> set[str]:
        """Paths the run has changed, except those the product itself rewrites."""
        changed = {path for path in self.harden.changes(host) if path.startswith("/") and "atlassian-dc/" not in path}
        return {path for path in changed if path in self.before[host] or path not in self.after[host]} - self.logs(host)

    def logs(self, host: str) -> set[str]:
        return {path for path in self.harden.changes(host) if any(part in path for part in OWN)}


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    lab = Lab("fidelity-rollback", tmp_path_factory.mktemp("rollback"))
    try:
        lab.up([WHOLE, PART])
        yield Story(lab)
    finally:
        lab.down()


def state(snapshot: dict[str, list[Any]], path: str) -> list[Any] | None:
    """Type, owner, mode, content and access list; times count for files the run has written."""
    found = snapshot.get(path)
    return found and [*found[:3], *found[4:]]


def test_the_runs_end_well(story: Story) -> None:
    for outcome in (story.harden, story.check, story.whole, story.part, story.again):
        assert outcome.code == 0, outcome.output


def test_every_managed_path_is_as_it_was(story: Story, row: Row) -> None:
    paths = story.managed(WHOLE)
    wrong = {path for path in paths if state(story.before[WHOLE], path) != state(story.after[WHOLE], path)}
    row("rollback: managed paths", f"{len(paths)} as before", f"{len(paths) - len(wrong)} as before", not wrong)
    assert {path: (story.before[WHOLE].get(path), story.after[WHOLE].get(path)) for path in sorted(wrong)[:5]} == {}
    assert len(paths) > 4000


@pytest.mark.parametrize("path", [*ACCOUNTS, "/etc/sudoers.d/jira", "/usr/local/jira/.ssh/authorized_keys"])
def test_accounts_and_rights_are_as_they_were(story: Story, path: str) -> None:
    assert state(story.hardened[WHOLE], path) != state(story.before[WHOLE], path) or path in ACCOUNTS
    assert state(story.after[WHOLE], path) == state(story.before[WHOLE], path)


def test_times_of_files_come_back(story: Story) -> None:
    path = "/etc/sudoers.d/jira"
    assert story.after[WHOLE][path][3] == story.before[WHOLE][path][3]


def test_the_product_serves_as_it_did(story: Story, row: Row) -> None:
    user = story.lab.sh(WHOLE, 'ps -o user= -p "$(systemctl show -P MainPID jira.service)"').strip()
    status = story.lab.sh(
        WHOLE, "python3 -c \"import urllib.request as u; print(u.urlopen('http://127.0.0.1:8080/status').read())\""
    )
    row("rollback: the product", "serves as root again", f"serves as {user}", user == "root" and "RUNNING" in status)
    assert user == "root"
    assert "RUNNING" in status
    assert "/etc/systemd/system/jira.service.d" not in story.after[WHOLE]


def test_check_mode_predicts_it_and_changes_nothing(story: Story, row: Row) -> None:
    def settled(snapshot: dict[str, list[Any]]) -> dict[str, Any]:
        kept = story.managed(WHOLE) | set(ACCOUNTS)
        return {path: found for path, found in snapshot.items() if path in kept}

    assert settled(story.hardened[WHOLE]) == settled(story.after_check)
    predicted, real = story.check.changes(WHOLE), story.whole.changes(WHOLE)
    missed = {path for path in predicted.keys() ^ real.keys() if path not in story.logs(WHOLE)}
    row("rollback --check", f"{len(predicted)} changes predicted", f"{len(real)} made", not missed)
    assert missed == set()


def test_by_role_it_takes_back_only_that_role(story: Story) -> None:
    login = story.lab.sh(PART, "getent passwd jira")
    assert "nologin" in login
    path = "/var/atlassian/application-data/jira"
    assert state(story.after[PART], path) == state(story.before[PART], path)


def test_what_somebody_has_changed_since_is_left_and_named(story: Story) -> None:
    assert "/opt/atlassian/jira/bin: somebody has changed its owner or mode since" in story.part.output
    assert story.after[PART]["/opt/atlassian/jira/bin"][2] == "0o700"


def test_a_second_rollback_has_nothing_to_do(story: Story) -> None:
    assert story.again.changed_tasks(WHOLE) == []


def test_records_are_private(story: Story) -> None:
    modes = story.lab.sh(
        WHOLE, "stat -c %a /var/lib/atlassian-dc/runs; find /var/lib/atlassian-dc/runs -type f -perm /077 | wc -l"
    )
    assert modes.split() == ["700", "0"]
