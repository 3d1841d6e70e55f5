# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run that is rolled back leaves the host as it was: contents, owners, modes, access lists, unit, product."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from .lab import ACCOUNTS_AND_FILES, DISTRIBUTIONS, Lab, Outcome

WHOLE = {distribution: f"whole-{distribution}" for distribution in DISTRIBUTIONS}
PART = {distribution: f"part-{distribution}" for distribution in DISTRIBUTIONS}
HOSTS = [*WHOLE.values(), *PART.values()]
READER = "setfacl -m u:nobody:r /var/atlassian/application-data/jira/dbconfig.xml"
ACCOUNTS = ("/etc/passwd", "/etc/shadow", "/etc/group", "/etc/gshadow")
OWN = ("/log", "/temp", "/work", "/caches", "/monitor")
Row = Callable[[str, str, str, bool], None]


class Story:
    """Hosts of each distribution: rolled back whole, or only for the files and after something was changed by hand."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        whole, part = ",".join(WHOLE.values()), ",".join(PART.values())
        for host in HOSTS:
            lab.sh(host, READER)
        self.before = self.look(HOSTS)
        self.harden = lab.play(
            "harden", atlassian_dc_allow_restart=True, atlassian_dc_file_permissions_listed_changes=100000
        )
        self.hardened = self.look(HOSTS)
        self.check = self.roll_back("--check", "--limit", whole)
        self.after_check = self.look(WHOLE.values())
        self.whole = self.roll_back("--limit", whole)
        for host in PART.values():
            lab.sh(host, "chmod 0700 /opt/atlassian/jira/bin")
        self.part = lab.play("rollback", "--limit", part, "--tags", "file_permissions")
        self.after = self.look(HOSTS)
        self.logins = {host: lab.sh(host, "getent passwd jira") for host in PART.values()}
        self.refused = lab.play("rollback", "--limit", part, "--tags", "DC-DIR-01")
        self.rest = lab.play("rollback", "--limit", part, "--diff")
        self.again = self.roll_back("--limit", whole)

    def roll_back(self, *arguments: str) -> Outcome:
        """Take everything back with restarts, listing every change."""
        return self.lab.play(
            "rollback",
            *arguments,
            atlassian_dc_allow_restart=True,
            atlassian_dc_file_permissions_listed_changes=100000,
        )

    def look(self, hosts: Iterable[str]) -> dict[str, dict[str, list[Any]]]:
        with ThreadPoolExecutor(max_workers=2) as pool:
            return dict(zip(hosts, pool.map(self.lab.snapshot, hosts), strict=True))

    def managed(self, host: str) -> set[str]:
        """Paths the run has changed, except those the product itself rewrites."""
        changed = {path for path in self.harden.changes(host) if path.startswith("/") and "atlassian-dc/" not in path}
        return {path for path in changed if path in self.before[host] or path not in self.after[host]} - self.logs(host)

    def logs(self, host: str) -> set[str]:
        return {path for path in self.harden.changes(host) if any(part in path for part in OWN)}


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    lab = Lab("fidelity-rollback", tmp_path_factory.mktemp("rollback"), ACCOUNTS_AND_FILES)
    try:
        lab.up([f"{host}=jira:{distribution}" for hosts in (WHOLE, PART) for distribution, host in hosts.items()])
        yield Story(lab)
    finally:
        lab.down()


@pytest.fixture(params=DISTRIBUTIONS)
def whole(request: pytest.FixtureRequest) -> str:
    return WHOLE[request.param]


@pytest.fixture(params=DISTRIBUTIONS)
def part(request: pytest.FixtureRequest) -> str:
    return PART[request.param]


def state(snapshot: dict[str, list[Any]], path: str) -> list[Any] | None:
    """Type, owner, mode, content and access list; times count for files the run has written."""
    found = snapshot.get(path)
    return found and [*found[:3], *found[4:]]


def test_the_runs_end_well(story: Story) -> None:
    for outcome in (story.harden, story.check, story.whole, story.part, story.rest, story.again):
        assert outcome.code == 0, outcome.output


def test_every_managed_path_is_as_it_was(story: Story, whole: str, row: Row) -> None:
    paths = story.managed(whole)
    wrong = {path for path in paths if state(story.before[whole], path) != state(story.after[whole], path)}
    found = f"{len(paths) - len(wrong)} as before"
    row(f"{whole}: rollback: managed paths", f"{len(paths)} as before", found, not wrong)
    assert {path: (story.before[whole].get(path), story.after[whole].get(path)) for path in sorted(wrong)[:5]} == {}
    assert len(paths) > 4000


@pytest.mark.parametrize("path", [*ACCOUNTS, "/etc/sudoers.d/jira", "/usr/local/jira/.ssh/authorized_keys"])
def test_accounts_and_rights_are_as_they_were(story: Story, whole: str, path: str) -> None:
    assert state(story.hardened[whole], path) != state(story.before[whole], path) or path in ACCOUNTS
    assert state(story.after[whole], path) == state(story.before[whole], path)


def test_times_of_files_come_back(story: Story, whole: str) -> None:
    path = "/etc/sudoers.d/jira"
    assert story.after[whole][path][3] == story.before[whole][path][3]


def test_the_product_serves_as_it_did(story: Story, whole: str, row: Row) -> None:
    user = story.lab.served_by(whole)
    right = user == "root"
    row(f"{whole}: rollback: the product", "serves as root again", f"serves as {user}", right)
    assert right
    assert "/etc/systemd/system/jira.service.d" not in story.after[whole]


def test_check_mode_predicts_it_and_changes_nothing(story: Story, whole: str, row: Row) -> None:
    def settled(snapshot: dict[str, list[Any]]) -> dict[str, Any]:
        kept = story.managed(whole) | set(ACCOUNTS)
        return {path: found for path, found in snapshot.items() if path in kept}

    assert settled(story.hardened[whole]) == settled(story.after_check[whole])
    predicted, real = story.check.changes(whole), story.whole.changes(whole)
    missed = {path for path in predicted.keys() ^ real.keys() if path not in story.logs(whole)}
    row(f"{whole}: rollback --check", f"{len(predicted)} changes predicted", f"{len(real)} made", not missed)
    assert missed == set()


def test_by_role_it_takes_back_only_that_role(story: Story, part: str) -> None:
    assert "nologin" in story.logins[part]
    path = "/var/atlassian/application-data/jira"
    assert state(story.after[part], path) == state(story.before[part], path)


def told(outcome: Outcome, host: str) -> str:
    """Return what the end of the output says of a host."""
    end = outcome.output.partition("\nRollback of ")[2]
    return next((part for part in end.split("\n\n") if part.startswith(f"{host}: ")), "nothing")


def test_the_end_tells_what_was_put_back(story: Story, whole: str) -> None:
    for outcome, words in ((story.check, "would be put back"), (story.whole, "put back")):
        made = [r["changes"] for r in outcome.results if r["host"] == whole and r["action"].endswith(".rollback")]
        paths = len({item["target"] for changes in made for item in changes if item["target"].startswith("/")})
        assert f"{words}: {paths} paths, 1 unit (jira.service), 1 account (jira)" in told(outcome, whole)
        assert "by hand" not in told(outcome, whole)
    assert "(roles file_permissions, service_user) is taken back" in " ".join(told(story.whole, whole).split())


def test_what_somebody_has_changed_since_is_left_and_named(story: Story, part: str, row: Row) -> None:
    named = "/opt/atlassian/jira/bin: somebody has changed its owner or mode since" in told(story.part, part)
    row(f"{part}: rollback: changed by hand since", "left and named", "named" if named else "not named", named)
    assert named
    assert "(role file_permissions) is taken back" in " ".join(told(story.part, part).split())
    assert story.after[part]["/opt/atlassian/jira/bin"][2] == "0o700"


def test_the_id_of_a_control_is_refused_with_the_role_to_name(story: Story) -> None:
    assert story.refused.code == 2
    assert "not by control (DC-DIR-01): use --tags file_permissions" in " ".join(story.refused.output.split())


def test_without_a_restart_it_tells_that_the_product_runs_on(story: Story, part: str) -> None:
    assert "restart jira.service: the unit is put back" in " ".join(told(story.rest, part).split())
    assert story.lab.sh(part, 'ps -o user= -p "$(systemctl show -P MainPID jira.service)"').strip() == "jira"


def test_its_diff_shows_accounts_in_words(story: Story, part: str) -> None:
    assert "account jira: login shell: /usr/sbin/nologin -> /bin/bash" in story.rest.output
    assert "/etc/sudoers.d/jira: content: as the run wrote it -> as before, root:root 0440" in story.rest.output


def test_a_second_rollback_has_nothing_to_do(story: Story, whole: str) -> None:
    assert story.again.changed_tasks(whole) == []
    assert told(story.again, whole).strip() == f"{whole}: nothing to take back"


def test_records_are_private(story: Story, whole: str) -> None:
    modes = story.lab.sh(
        whole, "stat -c %a /var/lib/atlassian-dc/runs; find /var/lib/atlassian-dc/runs -type f -perm /077 | wc -l"
    )
    assert modes.split() == ["700", "0"]
