# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bitbucket is backed up while people push, from a snapshot of its storage, and gets all of it back.

The storage is a stand-in: a script copies the home to a file system of its own. A push is a file, then a row.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from .held import WAITING, begin, go_on
from .lab import BY_HAND, Lab, Outcome
from .repositories import open_at_once, repository, restic, trust

OLD, NEW, SERVER = "bitbucket1", "bitbucket2", "repository1"
"""With the systemd of Debian 12, and that of Debian 13; and what keeps their backups."""
HOSTS = (f"{OLD}=bitbucket_database:bookworm", f"{NEW}=bitbucket_database:trixie", f"{SERVER}=repository:bookworm")
CONTROLS = ("DC-BKP-01", "DC-BKP-03", "DC-BKP-05")
HOME = "/var/atlassian/application-data/bitbucket"
PUSHES = f"{HOME}/shared/data/repositories"
UNIT, SOCKET = "atlassian-dc-backup@bitbucket", "atlassian-dc-backup-snapshot-bitbucket"
SHOWN = f"/run/atlassian-dc-backup-snapshots/bitbucket{HOME}"
STATE = "/var/lib/atlassian-dc-backup/bitbucket/last.json"
LEFT = "/var/lib/atlassian-dc-backup-snapshots/bitbucket"
STORAGE = f"""#!/bin/sh
set -eu
at=$ATLASSIAN_DC_SNAPSHOT{HOME}
fault=$(cat /run/fault 2>/dev/null || true)
case $1:$fault in
  create:fails) echo 'the volume group is full' >&2; exit 5 ;;
  create:nothing) ;;
  create:living) mount --bind {HOME} "$at"; mount -o remount,bind,ro "$at" ;;
  create:*)
    mount -t tmpfs -o mode=0755 snapshot "$at"
    cp -a {HOME}/. "$at" 2>/dev/null || true
    [ "$fault" = writable ] || mount -o remount,ro "$at" ;;
  remove:stuck) echo 'the snapshot is busy' >&2; exit 6 ;;
  remove:*) ! mountpoint -q "$at" || umount "$at" ;;
esac
"""
PUSHER = f"""#!/bin/sh
push() {{
  n=0
  while [ -e /run/push ]; do
    n=$((n + 1)); echo $n > {PUSHES}/push-$n; echo "insert into pushes values ($n);"; sleep 0.01
  done
}}
push | runuser -u postgres -- psql -q -v ON_ERROR_STOP=1 -d bitbucketdb
"""  # noqa: S608 - a number
OVER = f"""
for i in $(seq 3000); do
  case $(systemctl show -P ActiveState {UNIT}) in failed|inactive) break ;; esac
  sleep 0.1
done
"""
"""Waits until a backup has ended."""
Row = Callable[[str, str, str, bool], None]


class Story:
    """From a host with nothing to one that has lost everything and has it again."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        trust(lab, SERVER, OLD, NEW)
        for host in (OLD, NEW):
            lab.sh(
                host,
                f"""
                printf '%s' {shlex.quote(STORAGE)} > /usr/local/sbin/storage
                printf '%s' {shlex.quote(PUSHER)} > /usr/local/sbin/pusher
                chmod 0755 /usr/local/sbin/storage /usr/local/sbin/pusher
                mkdir -p {PUSHES}
                head -c 40000000 /dev/urandom > {PUSHES}/large
                chown -R --reference={HOME}/shared {PUSHES}
                runuser -u postgres -- psql -q -d bitbucketdb -c 'create table pushes (n int)'
                runuser -u postgres -- psql -q -d bitbucketdb -c 'alter table pushes owner to bitbucketdbuser'
                """,
            )
            open_at_once(lab, SERVER, host)
        self.check = self.play("harden", "--check")
        self.harden = self.play("harden")
        self.second = self.play("harden")

    def play(self, playbook: str, *arguments: str, **variables: Any) -> Outcome:
        storage = {verb: ["/usr/local/sbin/storage", verb] for verb in ("create", "remove")}
        tags = ("--tags", ",".join(CONTROLS), "--limit", f"{OLD},{NEW}") if playbook == "harden" else ()
        return self.lab.play(
            playbook,
            *tags,
            *arguments,
            atlassian_dc_backup_repository=repository(SERVER, "{{ inventory_hostname }}"),
            atlassian_dc_backup_snapshot={"bitbucket": storage},
            **BY_HAND,
            **variables,
        )

    def backup(self, host: str, fault: str = "") -> dict[str, Any]:
        """Make a backup while the storage has a fault; return what it leaves."""
        text = self.lab.sh(
            host, f"echo '{fault}' > /run/fault; systemctl start {UNIT} || true; rm /run/fault; cat {STATE}"
        )
        return dict(json.loads(text))

    def begin(self, host: str) -> None:
        """Begin a backup, which waits where it is about to save the home."""
        first = f'case "$*" in *"backup "*part=home*) {WAITING} || true ;; esac'
        begin(self.lab, host, f"{UNIT}.service", "restic", first)

    def restic(self, host: str, words: str) -> str:
        """Ask the repository of a host."""
        return restic(self.lab, SERVER, host, words)

    def manifest(self, host: str) -> dict[str, Any]:
        return dict(json.loads(self.restic(host, "dump --tag part=manifest latest /manifest.json")))

    def gone(self, host: str) -> bool:
        """Whether nothing is left of a snapshot, after a moment for that."""
        return (
            self.lab.sh(
                host,
                f"""
                for i in $(seq 3000); do [ -e {LEFT} ] || [ -e {SHOWN} ] || break; sleep 0.1; done
                if [ -e {LEFT} ] || mountpoint -q {SHOWN} || [ -e {SHOWN} ]; then echo left; else echo gone; fi
                """,
            ).strip()
            == "gone"
        )


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    lab = Lab("fidelity-snapshot", tmp_path_factory.mktemp("snapshot"))
    try:
        lab.up(HOSTS)
        yield Story(lab)
    finally:
        lab.down()


def judged(outcome: Outcome, host: str) -> str:
    found = {entry["id"]: entry["status"] for entry in outcome.entries(host) if entry["instance"] == "bitbucket"}
    return " ".join(found[control] for control in CONTROLS)


@pytest.mark.parametrize("host", [OLD, NEW])
def test_it_is_set_up_as_predicted_and_once(story: Story, row: Row, host: str) -> None:
    for outcome in (story.check, story.harden, story.second):
        assert outcome.code == 0, outcome.output
    predicted, made = story.check.changes(host), story.harden.changes(host)
    row(f"snapshots on {host}: changes", f"{len(predicted)} predicted", f"{len(made)} made", predicted == made)
    assert predicted == made
    assert story.second.changed_tasks(host) == []
    assert judged(story.second, host) == "pass pass pass", story.second.output
    assert "is not locked meanwhile" in story.second.reason(host, "DC-BKP-01")


@pytest.mark.parametrize("host", [OLD, NEW])
def test_systemd_has_nothing_to_say_of_the_units(story: Story, host: str) -> None:
    units = f"/etc/systemd/system/{SOCKET}.socket /etc/systemd/system/{SOCKET}@.service"
    assert story.lab.sh(host, f"systemd-analyze verify {units} 2>&1").strip() == ""
    assert story.lab.sh(host, "stat -c %a:%U /run/atlassian-dc-backup-snapshots/bitbucket.socket").strip() == (
        "600:atlassian-dc-backup"
    )


@pytest.mark.parametrize("host", [OLD, NEW])
def test_people_push_while_it_is_backed_up(story: Story, row: Row, host: str) -> None:
    """Every row of the dump has its file, and no file is newer than the snapshot."""
    story.lab.sh(host, "touch /run/push; systemd-run -q --unit=pusher /usr/local/sbin/pusher; sleep 0.5")
    story.lab.sh(host, f"dd if=/dev/urandom of={PUSHES}/large bs=1M count=40 conv=notrunc 2>/dev/null")
    state = story.backup(host)
    pushed = story.lab.sh(
        host,
        f"""
        rm /run/push
        while systemctl is-active -q pusher; do sleep 0.1; done
        runuser -u postgres -- psql -At -d bitbucketdb -c 'select count(*) from pushes'
        ls {PUSHES} | grep -c push-
        grep -rl mvc/maintenance {HOME}/log || true
        """,  # noqa: S608 - nothing of others
    ).split()
    assert state["result"] == "success", state
    assert state["warnings"] == []
    manifest = story.manifest(host)
    rows = manifest["database"]["tables"]["public.pushes"]
    (part,) = [part for part in manifest["parts"] if part["part"].startswith("home-")]
    assert (part["paths"], part["root"]) == ([HOME], "/run/atlassian-dc-backup-snapshots/bitbucket")
    listed = story.restic(host, f"ls {part['snapshot']} {SHOWN}/shared/data/repositories | grep push-")
    files = {int(line.rpartition("-")[2]) for line in listed.split()}
    right = set(range(1, rows + 1)) <= files and rows > 5 and int(pushed[0]) > len(files)
    told = f"{rows} rows, {len(files)} files, {pushed[0]} pushes in the end"
    row(f"snapshots on {host}: rows whose file is there", "all", told, right)
    assert right, told
    assert pushed[0] == pushed[1]
    assert (manifest["lock"], pushed[2:]) == (None, [])
    moment = manifest["snapshot"]
    assert moment["database"] <= moment["begun"] <= moment["ended"]
    assert story.gone(host)


FAULTS: dict[str, tuple[str, str]] = {
    "the command for a snapshot fails": ("fails", "storage failed: the volume group is full"),
    "the command for a snapshot makes nothing": ("nothing", "is empty: the command has to make"),
    "the snapshot can be written to": ("writable", "can be written to"),
    "the snapshot is the home itself": ("living", "itself and no snapshot of it"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_no_snapshot_is_no_backup(story: Story, row: Row, fault: str) -> None:
    mode, words = FAULTS[fault]
    state = story.backup(OLD, mode)
    right = state["result"] == "failure" and words in state["reason"] and story.gone(OLD)
    row(f"backup: {fault}", words, state["reason"][:80], right)
    assert right, state


def test_a_snapshot_that_stays_is_told_and_removed_first(story: Story, row: Row) -> None:
    """Once its removal fails a good backup has been made; the next one does not begin beside it."""
    told = story.lab.sh(
        OLD,
        f"""
        echo stuck > /run/fault
        systemctl start {UNIT}; tr -d '\\n' < {STATE}; echo
        ! systemctl start {UNIT}; tr -d '\\n' < {STATE}
        rm /run/fault
        """,
    )
    stuck, refused = map(json.loads, told.splitlines())
    assert (stuck["result"], len(stuck["warnings"])) == ("success", 1), stuck
    assert "the snapshot cannot be removed: storage failed: the snapshot is busy" in stuck["warnings"][0]
    right = refused["result"] == "failure" and "an earlier snapshot is still there" in refused["reason"]
    row("backup: a snapshot that cannot be removed", "told; the next run refuses", refused["reason"][:80], right)
    assert right, refused
    assert story.backup(OLD)["result"] == "success"
    assert story.gone(OLD)


@pytest.mark.parametrize("host", [OLD, NEW])
def test_a_kill_leaves_no_snapshot(story: Story, row: Row, host: str) -> None:
    story.begin(host)
    story.lab.sh(
        host,
        f"""
        mountpoint -q {SHOWN}
        systemctl kill --kill-whom=all --signal=KILL {UNIT}
        {OVER}
        """,
    )
    gone = story.gone(host)
    row(f"snapshots on {host}: run killed", "no snapshot is left", "gone" if gone else "left", gone)
    assert gone
    assert story.backup(host)["result"] == "success"


def test_a_snapshot_that_is_taken_away_is_noticed(story: Story, row: Row) -> None:
    """As by a kill of the service that has made it."""
    story.begin(OLD)
    story.lab.sh(OLD, f"systemctl kill --kill-whom=all --signal=KILL '{SOCKET}@*'")
    # Until what comes after the service has removed it, it is a good snapshot.
    assert story.gone(OLD)
    go_on(story.lab, OLD)
    text = story.lab.sh(
        OLD,
        f"""
        {OVER}
        cat {STATE}
        """,
    )
    state = json.loads(text)
    row("backup: the snapshot is taken away", "no backup", state["reason"][:80], state["result"] == "failure")
    assert state["result"] == "failure", state
    assert story.gone(OLD)
    assert story.backup(OLD)["result"] == "success"


def test_only_the_account_of_backups_may_ask(story: Story) -> None:
    code = "import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])"
    path = "/run/atlassian-dc-backup-snapshots/bitbucket.socket"
    refused = f"! runuser -u nobody -- python3 -c '{code}' {path} 2>&1"
    assert "Permission" in story.lab.sh(OLD, refused)


def test_all_of_it_comes_back(story: Story, row: Row) -> None:
    """Drilled on one host; restored on the other, which has lost home and database."""
    drilled = story.play("backup_drill", atlassian_dc_drill_host=OLD, atlassian_dc_drill_instance=f"{OLD}-bitbucket")
    assert drilled.code == 0, drilled.output
    manifest = story.manifest(NEW)
    rows = manifest["database"]["tables"]["public.pushes"]
    large = story.lab.sh(NEW, f"sha256sum {PUSHES}/large")
    story.lab.sh(
        NEW,
        f"systemctl stop atlbitbucket; rm -rf {HOME}; runuser -u postgres -- dropdb bitbucketdb;"
        " runuser -u postgres -- dropuser bitbucketdbuser",
    )
    restored = story.play(
        "restore",
        atlassian_dc_restore_host=NEW,
        atlassian_dc_restore_instance=f"{NEW}-bitbucket",
        atlassian_dc_restore_overwrite=[f"install-{NEW}"],
    )
    assert restored.code == 0, restored.output
    assert "disaster.recovery=true" in restored.output
    counted = story.lab.sh(
        NEW, "runuser -u postgres -- psql -At -d bitbucketdb -c 'select count(*) from pushes'"
    ).strip()
    same = story.lab.sh(NEW, f"sha256sum {PUSHES}/large") == large
    files = int(story.lab.sh(NEW, f"ls {PUSHES} | grep -c push-"))
    right = counted == str(rows) and same and files >= rows
    row("snapshots: restored on a host that has lost all", f"{rows} rows", f"{counted} rows, {files} files", right)
    assert right
    assert story.lab.sh(NEW, "ls -d /run/atlassian-dc-backup-snapshots/bitbucket 2>/dev/null || true").strip() == ""


def test_rollback_takes_the_units_back(story: Story) -> None:
    """Done last."""
    for _time in range(6):
        outcome = story.lab.play("rollback", "--tags", "backup", "--limit", OLD)
        assert outcome.code == 0, outcome.output
        if not outcome.changed_tasks(OLD):
            break
    left = story.lab.sh(OLD, "find /etc /usr/local -name '*atlassian-dc-backup*'")
    assert left.split() == []
    assert "not-found" in story.lab.sh(OLD, f"systemctl show -P LoadState {SOCKET}.socket")
