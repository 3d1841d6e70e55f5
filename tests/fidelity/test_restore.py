# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backups that are tried and restored: drills that pass and fail, a host that has lost everything, kills in between."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from .lab import Lab, Outcome, Run

HOST, FRESH, TRIED, REPOSITORY = "jira1", "jira2", "drill1", "repo1"
"""The host that is backed up, one that gets its backup, one that tries it, and one that keeps it."""
IMAGES = {HOST: "jira_database", FRESH: "jira_database", TRIED: "drill", REPOSITORY: "repository"}
HOME = "/var/atlassian/application-data/jira"
KEY = f"{HOST}-jira"
PASSWORD = "correct-horse-battery"  # noqa: S105 - of a repository that lives for a minute
INSTALL_PART = f"install-{HOST}"
CERTIFICATE = "/etc/ssl/certs/repository.pem"
STAGES = ("repository: passed", f"home-{HOST}: passed", "needed: passed", "database: passed")
"""What a restore has said when it is killed."""
KEPT = "find . -type f -not -path './log/*' -not -path './monitor/*' -not -path './caches/*' -not -path './tmp/*'"
TREE = f"cd {HOME}; {KEPT} -not -path './export/*' -not -path './analytics-logs/*' -exec sha256sum {{}} + | sort -k 2"
"""Hashes of all files but those that a backup leaves out, and those that a start of the product changes."""
DUMP = "PGPASSWORD=Sup3rSecret-jiradb pg_dump -h localhost -U jiradbuser jiradb | grep -v '^.\\(un\\)\\?restrict '"
DESTROY = f"""
systemctl disable --now jira
rm -rf {HOME}
runuser -u postgres -- dropdb --if-exists jiradb
runuser -u postgres -- dropuser --if-exists jiradbuser
"""
LEFT = "ls -d /var/lib/atlassian-dc-drill/scratch /run/atlassian-dc-drill 2>/dev/null || true"
Row = Callable[[str, str, str, bool], None]


def repository(name: str = "a", password: str = PASSWORD) -> dict[str, Any]:
    """Return the variable that tells where backups go."""
    url = f"rest:https://backup:take-and-keep@{REPOSITORY}:8000/{name}/"
    return {"url": url, "password": password, "environment": {"SSL_CERT_FILE": CERTIFICATE}}


class Story:
    """From a backup over drills to a host that has everything again."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        certificate = lab.sh(REPOSITORY, "cat /etc/repository/certificate.pem")
        for host in (HOST, FRESH, TRIED):
            lab.sh(host, f"cat > {CERTIFICATE} << 'END'\n{certificate}END\n")
        self.backup = lab.play(
            "harden",
            "--tags",
            "backup",
            "--limit",
            HOST,
            **self.said(atlassian_dc_backup_prune=False, atlassian_dc_backup_wait=300),
        )
        self.tree, self.dump = lab.sh(HOST, TREE), lab.sh(HOST, DUMP)

        self.untried = self.audit()
        self.drill_check = self.drill("--check")
        self.drilled = self.drill()
        self.left = lab.sh(TRIED, LEFT)
        self.tried = self.audit()
        self.killed_drill = self.drill(during=lambda run: self.kill(TRIED, "atlassian-dc-drill", "manifest: passed"))
        self.left_killed = lab.sh(TRIED, LEFT)
        self.drilled_again = self.drill()
        self.left_again = lab.sh(TRIED, LEFT)
        self.wrong_password = self.drill(atlassian_dc_backup_repository=repository(password="other"))  # noqa: S106
        damage = """
        cd /srv/repository
        cp -a a damaged
        pack=$(ls -S damaged/data/*/* | head -n 1)
        printf XXXXXXXX | dd of="$pack" bs=1 seek=2000 conv=notrunc 2>/dev/null
        """
        lab.sh(REPOSITORY, damage)
        self.damaged = self.drill(atlassian_dc_backup_repository=repository("damaged"))
        self.failed = self.audit()

        self.refused = self.restore("--check")
        self.refused_for_real = self.restore(atlassian_dc_restore_overwrite=[INSTALL_PART])
        self.untouched = lab.sh(FRESH, TREE)
        lab.sh(FRESH, DESTROY)
        self.plan = self.restore("--check", atlassian_dc_restore_overwrite=[INSTALL_PART])
        self.damaged_restore = self.restore(
            atlassian_dc_restore_overwrite=[INSTALL_PART], atlassian_dc_backup_repository=repository("damaged")
        )
        self.nothing = lab.sh(FRESH, f"ls -d {HOME}* 2>/dev/null || true")
        self.killed = {stage: self.killed_at(stage) for stage in STAGES}
        self.crashed = self.restore(
            during=lambda run: self.crash(FRESH, "atlassian-dc-restore", STAGES[1]),
            atlassian_dc_restore_overwrite=[INSTALL_PART],
        )
        self.restored = self.restore(atlassian_dc_restore_overwrite=[INSTALL_PART], atlassian_dc_restore_start=True)
        self.tree_after, self.dump_after = lab.sh(FRESH, TREE), lab.sh(FRESH, DUMP)
        self.account = lab.served_by(FRESH)

    def said(self, **more: Any) -> dict[str, Any]:
        return {"atlassian_dc_backup_repository": repository(), **more}

    def audit(self) -> Outcome:
        return self.lab.play("audit", "--tags", "DC-BKP-04", "--limit", HOST, **self.said())

    def drill(self, *arguments: str, during: Callable[[Run], None] | None = None, **more: Any) -> Outcome:
        meant = {"atlassian_dc_drill_host": TRIED, "atlassian_dc_drill_instance": KEY, **more}
        return self.lab.play("backup_drill", *arguments, during=during, **self.said(**meant))

    def restore(self, *arguments: str, during: Callable[[Run], None] | None = None, **more: Any) -> Outcome:
        meant = {"atlassian_dc_restore_host": FRESH, **more}
        return self.lab.play("restore", *arguments, during=during, **self.said(**meant))

    def killed_at(self, stage: str) -> Outcome:
        return self.restore(
            during=lambda run: self.kill(FRESH, "atlassian-dc-restore", stage),
            atlassian_dc_restore_overwrite=[INSTALL_PART],
        )

    def kill(self, host: str, unit: str, stage: str) -> None:
        """Kill a unit once it has said something."""
        self.reach(host, unit, stage, f"systemctl kill -s KILL {unit}.service")

    def crash(self, host: str, unit: str, stage: str) -> None:
        """Take a host's power away once a unit of it has said something, and start it again."""
        self.reach(host, unit, stage, "true")
        self.lab.group.restart(host, crash=True)

    def reach(self, host: str, unit: str, stage: str, then: str) -> None:
        """Run a command on a host once a unit of it has said something."""
        self.lab.sh(
            host,
            f"""
            # From its journal alone, which takes no time: it may be over soon.
            timeout 300 journalctl -f -n 0 -o cat -t {unit} > /run/said &
            for i in $(seq 6000); do
                grep -qF '{stage}' /run/said && {then} && kill $! && exit
                sleep 0.05
            done
            exit 1
            """,
        )

    def trial(self) -> dict[str, Any]:
        """Return the result of the last drill as it is kept on the controller."""
        return dict(json.loads((self.lab.group.drills / f"{KEY}.drill.json").read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    lab = Lab("fidelity-restore", tmp_path_factory.mktemp("restore"))
    try:
        lab.up([f"{host}={image}" for host, image in IMAGES.items()])
        yield Story(lab)
    finally:
        lab.down()


def status(outcome: Outcome) -> str:
    return outcome.statuses(HOST)["DC-BKP-04"]


def test_the_backup_is_there(story: Story) -> None:
    assert story.backup.code == 0, story.backup.output
    assert story.backup.statuses(HOST)["DC-BKP-03"] == "pass"


def test_an_untried_backup_is_a_finding(story: Story) -> None:
    assert status(story.untried) == "fail"
    assert "run playbook backup_drill for jira1-jira" in story.untried.reason(HOST, "DC-BKP-04")


def test_a_drill_passes_and_answers_the_control(story: Story, row: Row) -> None:
    assert story.drilled.code == 0, story.drilled.output
    right = status(story.tried) == "pass"
    row("a drill of a good backup: DC-BKP-04", "pass", status(story.tried), right)
    assert right


def test_a_drill_leaves_nothing_behind(story: Story) -> None:
    assert (story.left, story.left_again) == ("", "")


def test_check_mode_of_a_drill_does_nothing(story: Story) -> None:
    assert story.drill_check.code == 0, story.drill_check.output
    assert "unit atlassian-dc-drill.service" in story.drill_check.changes(TRIED)
    assert "unit atlassian-dc-drill.service" in story.drilled.changes(TRIED)


def test_a_killed_drill_is_none_and_the_next_one_works(story: Story) -> None:
    assert story.killed_drill.code != 0
    assert "has left no result" in story.killed_drill.output
    assert "scratch" in story.left_killed
    assert story.drilled_again.code == 0, story.drilled_again.output


def test_a_wrong_password_is_said(story: Story) -> None:
    assert story.wrong_password.code != 0
    assert "the password of the repository is wrong" in story.wrong_password.output


def test_a_damaged_repository_fails_the_drill(story: Story, row: Row) -> None:
    assert story.damaged.code != 0
    assert story.trial()["outcome"] == "failed"
    right = status(story.failed) == "fail"
    row("a drill of a damaged repository: DC-BKP-04", "fail", status(story.failed), right)
    assert right
    assert "the last restore that was tried failed" in story.failed.reason(HOST, "DC-BKP-04")


def test_nothing_that_is_there_is_overwritten(story: Story) -> None:
    assert story.refused.code != 0
    assert f"{HOME} is there already: name home-jira1 in atlassian_dc_restore_overwrite" in " ".join(
        story.refused.output.split()
    )
    assert story.refused_for_real.code != 0
    assert len(story.untouched.splitlines()) > 3000


def test_the_plan_is_made_and_nothing_else(story: Story) -> None:
    assert story.plan.code == 0, story.plan.output
    assert "restore the database into jiradb at localhost:5432" in " ".join(story.plan.output.split())


def test_a_damaged_backup_is_not_restored(story: Story) -> None:
    assert story.damaged_restore.code != 0
    assert story.nothing == ""


@pytest.mark.parametrize("stage", STAGES)
def test_a_killed_restore_is_told(story: Story, stage: str) -> None:
    assert story.killed[stage].code != 0
    assert "has left no result" in story.killed[stage].output


def test_a_host_without_power_is_told(story: Story) -> None:
    assert story.crashed.code != 0


def test_everything_is_there_again(story: Story, row: Row) -> None:
    assert story.restored.code == 0, story.restored.output
    same = story.tree_after == story.tree, story.dump_after == story.dump
    row(
        "restore on a host without data, after four kills and a crash: files, database",
        "the same",
        str(same),
        all(same),
    )
    assert story.tree_after == story.tree
    assert story.dump_after == story.dump


def test_the_product_runs_as_its_account(story: Story) -> None:
    assert story.account in ("jira", "root")
