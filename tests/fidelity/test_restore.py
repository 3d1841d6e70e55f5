# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backups that are tried and restored: drills that pass and fail, a host that has lost everything, kills in between.

The backup is one of Debian 12; it is restored on Debian 13, with newer PostgreSQL and restic.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from .held import WAITING, go_on, hold, put, reached
from .lab import BY_HAND, Lab, Outcome, Run
from .repositories import FOLDER, open_at_once, repository, trust

HOST, FRESH, TRIED, REPOSITORY = "jira1", "jira2", "drill1", "repo1"
"""The host that is backed up, one that gets its backup, one that tries it, and one that keeps it."""
IMAGES = {
    HOST: "jira_database:bookworm",
    FRESH: "jira_database:trixie",
    TRIED: "drill:bookworm",
    REPOSITORY: "repository:bookworm",
}
HOME = "/var/atlassian/application-data/jira"
KEY = f"{HOST}-jira"
INSTALL_PART = f"install-{HOST}"
UNITS = {TRIED: "atlassian-dc-drill.service", FRESH: "atlassian-dc-restore.service"}
STAGES = {
    "before anything is restored": ("restic", f'case "$*" in *" restore "*) {WAITING} || true; esac'),
    "in the middle of files": (
        "restic",
        f'case "$*" in *" restore "*) /usr/bin/restic "$@" --include={HOME}/data >&2; {WAITING}; esac',
    ),
    "in the middle of the database": (
        "restic",
        f'case "$*" in *" dump "*database.dump) /usr/bin/restic "$@" | head -c 200000; {WAITING}; esac',
    ),
    "while things are put in place": (
        "psql",
        f'said=$(cat); case "$said" in *"RENAME TO"*) {WAITING}; esac\n'
        'printf "%s\\n" "$said" | /usr/bin/psql "$@"; exit',
    ),
}
"""Where a unit waits: the program that waits in its place, and how that begins."""
BEFORE, FILES, DATABASE, PUT = STAGES
KEPT = "find . -type f -not -path './log/*' -not -path './monitor/*' -not -path './caches/*' -not -path './tmp/*'"
TREE = f"cd {HOME}; {KEPT} -not -path './export/*' -not -path './analytics-logs/*' -exec sha256sum {{}} + | sort -k 2"
"""Hashes of all files but those that a backup leaves out, and those that a start of the product changes."""
DUMP = r"""
PGPASSWORD=Sup3rSecret-jiradb pg_dump -h localhost -U jiradbuser jiradb |
    grep -v '^--\|^$\|^.\(un\)\?restrict \|^SET ' |
    sed 's/^ALTER \(SEQUENCE\|VIEW\) \(.*\) OWNER TO/ALTER TABLE \2 OWNER TO/; s/cwd_user\.//g' | LC_ALL=C sort
"""
"""All lines of a dump, made alike: PostgreSQL 15 and 17 name owners and columns of views otherwise, and put large
objects elsewhere."""
INSTALL = "/opt/atlassian/jira"
EDITED = ("conf/server.xml", "bin/setenv.sh")
EDIT = f"""
cd {INSTALL}
echo '<!-- as it is here -->' >> conf/server.xml
echo '# as it is here' >> bin/setenv.sh
"""
HASHES = f"cd {INSTALL}; sha256sum {' '.join(EDITED)}"
DESTROY = f"""
systemctl disable --now jira
rm -rf {HOME}
runuser -u postgres -- dropdb --if-exists jiradb
runuser -u postgres -- dropuser --if-exists jiradbuser
"""
LEFT = "ls -d /var/lib/atlassian-dc-drill/scratch /run/atlassian-dc-drill 2>/dev/null || true"
HALF = f"""
ls -d {HOME} {HOME}.* 2>/dev/null || true
runuser -u postgres -- psql -Atl | grep -o '^jiradb[^|]*' || true
"""
"""What is there of home and database."""
SMALL = "/var/atlassian/application-data"
JAVA = "dirname $(dirname $(readlink -f /usr/bin/java))"
ROOM = "100m"
"""Of a file system that has enough of it, until somebody else fills it."""
SILENT = "import socket, time; server = socket.create_server(('', 8001)); time.sleep(3600)"
Row = Callable[[str, str, str, bool], None]


GOOD = repository(REPOSITORY, "jira")
DAMAGED = repository(REPOSITORY, "damaged")
SILENT_REPOSITORY = {**GOOD, "url": f"rest:http://{REPOSITORY}:8001/jira/"}


class Story:
    """From a backup over drills to a host that has everything again."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        trust(lab, REPOSITORY, HOST, FRESH, TRIED)
        lab.sh(HOST, EDIT)
        open_at_once(lab, REPOSITORY, "jira")
        self.backup = lab.play(
            "harden",
            "--tags",
            "backup",
            "--limit",
            HOST,
            **self.said(**BY_HAND),
        )
        self.tree, self.dump, self.files = lab.sh(HOST, TREE), lab.sh(HOST, DUMP), lab.sh(HOST, HASHES)
        lab.sh(REPOSITORY, f'systemd-run -q --unit=silent python3 -c "{SILENT}"')
        self.try_it()
        self.restore_it()

    def try_it(self) -> None:
        """Let the backup be tried, with all that can come in between."""
        lab = self.lab
        self.untried = self.audit()
        self.drill_check = self.drill("--check")
        self.drilled = self.drill()
        self.left = lab.sh(TRIED, LEFT)
        self.tried = self.audit()
        hold(self.lab, TRIED, UNITS[TRIED])
        self.killed_drills, self.left_killed = {}, {}
        for stage in (FILES, DATABASE):
            self.killed_drills[stage] = self.drill(during=self.at(TRIED, stage, self.killing(TRIED)))
            self.left_killed[stage] = lab.sh(TRIED, LEFT)
        lab.sh(TRIED, "mkdir /srv/small; mount -t tmpfs -o size=1m,mode=0755 tmpfs /srv/small")
        small: dict[str, Any] = {"atlassian_dc_drill_folder": "/srv/small"}
        self.small_drill = self.drill(**small)
        lab.sh(TRIED, f"mount -o remount,size={ROOM} /srv/small")
        self.full_drill = self.drill(during=self.at(TRIED, BEFORE, self.filling(TRIED, "/srv/small")), **small)
        self.left_full = lab.sh(TRIED, "ls -d /srv/small/atlassian-dc-drill/scratch 2>/dev/null || true")
        self.silent_drill = self.drill(atlassian_dc_drill_wait=5, atlassian_dc_backup_repository=SILENT_REPOSITORY)
        self.left_silent = lab.sh(TRIED, LEFT)
        self.drilled_again = self.drill()
        self.left_again = lab.sh(TRIED, LEFT)
        self.locks = lab.sh(REPOSITORY, f"ls {FOLDER}/jira/locks")
        self.wrong_password = self.drill(atlassian_dc_backup_repository=repository(REPOSITORY, "jira", "other"))
        damage = f"""
        cd {FOLDER}
        cp -a jira damaged
        pack=$(ls -S damaged/data/*/* | head -n 1)
        printf XXXXXXXX | dd of="$pack" bs=1 seek=2000 conv=notrunc 2>/dev/null
        """
        lab.sh(REPOSITORY, damage)
        self.damaged = self.drill(atlassian_dc_backup_repository=DAMAGED)
        self.failed = self.audit()

    def restore_it(self) -> None:
        """Restore it to another host, with all that can come in between."""
        lab = self.lab
        self.refused = self.restore("--check", atlassian_dc_restore_overwrite=[])
        self.refused_for_real = self.restore()
        self.untouched = lab.sh(FRESH, TREE)
        lab.sh(FRESH, DESTROY)
        hold(self.lab, FRESH, UNITS[FRESH])
        self.plan = self.restore("--check")
        self.silent = self.restore(
            "--check", atlassian_dc_restore_wait=5, atlassian_dc_backup_repository=SILENT_REPOSITORY
        )
        self.damaged_restore = self.restore(atlassian_dc_backup_repository=DAMAGED)
        self.nothing = lab.sh(FRESH, HALF)
        lab.sh(FRESH, f"mount -t tmpfs -o size=1m,mode=0755 tmpfs {SMALL}")
        self.small = self.restore()
        lab.sh(FRESH, f"mount -o remount,size={ROOM} {SMALL}")
        self.full = self.restore(during=self.at(FRESH, BEFORE, self.filling(FRESH, SMALL)))
        self.nothing_full = lab.sh(FRESH, HALF)
        lab.sh(FRESH, f"umount {SMALL}")
        crash = self.at(FRESH, FILES, lambda: lab.crash(FRESH, ready=False))
        self.crashed = self.restore(during=crash)
        hold(self.lab, FRESH, UNITS[FRESH])
        self.killed, self.half = {}, {}
        for stage in STAGES:
            self.killed[stage] = self.restore(during=self.at(FRESH, stage, self.killing(FRESH)))
            self.half[stage] = lab.sh(FRESH, HALF)
        # Where the edited files of the other host name it.
        java = lab.sh(HOST, JAVA).strip()
        lab.sh(FRESH, f"ln -s $({JAVA}) {java}")
        # It goes on with what the last one has not put in place.
        self.restored = self.restore(atlassian_dc_restore_start=True)
        self.tree_after, self.dump_after = lab.sh(FRESH, TREE), lab.sh(FRESH, DUMP)
        self.files_after, self.left_restored = lab.sh(FRESH, HASHES), lab.sh(FRESH, HALF)
        self.account = lab.served_by(FRESH)

    def said(self, **more: Any) -> dict[str, Any]:
        return {"atlassian_dc_backup_repository": GOOD, **more}

    def audit(self) -> Outcome:
        return self.lab.play("audit", "--tags", "DC-BKP-04", "--limit", HOST, **self.said())

    def drill(self, *arguments: str, during: Callable[[Run], None] | None = None, **more: Any) -> Outcome:
        meant = {"atlassian_dc_drill_host": TRIED, "atlassian_dc_drill_instance": KEY, **more}
        return self.lab.play("backup_drill", *arguments, during=during, **self.said(**meant))

    def restore(self, *arguments: str, during: Callable[[Run], None] | None = None, **more: Any) -> Outcome:
        meant = {"atlassian_dc_restore_host": FRESH, "atlassian_dc_restore_overwrite": [INSTALL_PART], **more}
        return self.lab.play("restore", *arguments, during=during, **self.said(**meant))

    def at(self, host: str, stage: str, then: Callable[[], object]) -> Callable[[Run], None]:
        """Return what does something once the unit of a host has come to a stage, at which it waits."""
        program, first = STAGES[stage]
        put(self.lab, host, program, first)

        def during(_run: Run) -> None:
            reached(self.lab, host, program)
            then()

        return during

    def killing(self, host: str) -> Callable[[], object]:
        """Return what kills the unit of a host."""
        return lambda: self.lab.sh(host, f"systemctl kill -s KILL {UNITS[host]}")

    def filling(self, host: str, folder: str) -> Callable[[], object]:
        """Return what fills a file system, and lets the unit go on."""
        fill = f"cat /dev/zero > {folder}/somebody-s 2>/dev/null || true"

        def then() -> None:
            self.lab.sh(host, fill)
            go_on(self.lab, host)

        return then

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


def said_by(outcome: Outcome) -> str:
    return " ".join(outcome.output.split())


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


@pytest.mark.parametrize("stage", [FILES, DATABASE])
def test_a_killed_drill_is_none_and_the_next_one_works(story: Story, stage: str) -> None:
    assert story.killed_drills[stage].code != 0
    assert "has left no result" in story.killed_drills[stage].output
    assert "scratch" in story.left_killed[stage]
    assert story.drilled_again.code == 0, story.drilled_again.output


def test_no_drill_leaves_a_lock_in_the_repository(story: Story) -> None:
    assert story.locks == ""


def test_a_drill_without_room_is_told(story: Story) -> None:
    """Where there is none from the beginning, and where somebody else takes it."""
    assert "/srv/small/atlassian-dc-drill/scratch has 1 MiB free, and " in said_by(story.small_drill)
    assert story.small_drill.code != 0
    assert "disk is full" in said_by(story.full_drill)
    assert story.full_drill.code != 0
    assert story.left_full == ""


def test_a_repository_that_never_answers_is_given_up(story: Story) -> None:
    for outcome in (story.silent_drill, story.silent):
        assert outcome.code != 0
        assert "restic did not end within 5 seconds" in said_by(outcome)
    assert story.left_silent == ""


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
    assert f"{HOME} is there already: name home-jira1 in atlassian_dc_restore_overwrite" in said_by(story.refused)
    assert story.refused_for_real.code != 0
    assert len(story.untouched.splitlines()) > 3000


def test_the_plan_is_made_and_nothing_else(story: Story) -> None:
    assert story.plan.code == 0, story.plan.output
    assert "restore the database into jiradb at localhost:5432" in said_by(story.plan)


def test_a_damaged_backup_is_not_restored(story: Story) -> None:
    assert story.damaged_restore.code != 0
    assert story.nothing == ""


def test_a_restore_without_room_is_told_and_puts_nothing_in_place(story: Story) -> None:
    """Where there is none from the beginning, and where somebody else takes it."""
    assert f"{SMALL} has 1 MiB free, and " in said_by(story.small)
    assert story.small.code != 0
    assert "disk is full" in said_by(story.full)
    assert story.full.code != 0
    assert story.nothing_full == ""


@pytest.mark.parametrize("stage", STAGES)
def test_a_killed_restore_is_told(story: Story, stage: str) -> None:
    assert story.killed[stage].code != 0
    assert "has left no result" in story.killed[stage].output
    there = story.half[stage].splitlines()
    assert (HOME in there, "jiradb" in there) == (stage == PUT, False)
    if stage == PUT:
        assert f"restore {HOME} (part home-{HOST}): restored already" in said_by(story.restored)


def test_a_host_without_power_is_told(story: Story) -> None:
    assert story.crashed.code != 0


def test_everything_is_there_again(story: Story, row: Row) -> None:
    assert story.restored.code == 0, story.restored.output
    same = [getattr(story, f"{what}_after") == getattr(story, what) for what in ("tree", "dump", "files")]
    row(
        "restore on a host without data, after four kills and a crash: files, database, edited files",
        "the same",
        str(same),
        all(same),
    )
    assert story.tree_after == story.tree
    assert story.dump_after == story.dump
    assert len(story.dump.splitlines()) > 4000
    assert story.files_after == story.files
    assert story.left_restored.split() == [HOME, "jiradb"]


def test_the_product_runs_as_its_account(story: Story) -> None:
    assert story.account in ("jira", "root")
