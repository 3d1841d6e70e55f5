# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A product with MariaDB on Debian 13: backed up, tried, lost and restored; the account as its vendor wants it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .lab import BY_HAND, Lab, Outcome
from .repositories import open_at_once, repository, restic, trust

HOST, SERVER = "jira1", "repository1"
HOSTS = (f"{HOST}=jira_mariadb:trixie", f"{SERVER}=repository:bookworm")
UNIT = "atlassian-dc-backup@jira"
STATE = "/var/lib/atlassian-dc-backup/jira/last.json"
HOME = "/var/atlassian/application-data/jira"
SQL = (Path(__file__).parent / "hostile.sql").read_text(encoding="utf-8")
DUMP = "mariadb-dump --skip-comments --hex-blob --routines --events --order-by-primary jiradb | sha256sum"
DESTROY = (
    f"systemctl disable -q --now jira; rm -rf {HOME}; mariadb -e 'DROP DATABASE jiradb; DROP USER jiradbuser@localhost'"
)
VENDOR = "SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, REFERENCES, ALTER, INDEX"
"""What Atlassian wants the account of Jira to be granted."""
MORE_RIGHTS = "DROP VIEW active_users, bad, `v'w`; DROP TRIGGER trimmed; DROP TRIGGER tr;"
"""Removes what takes more of them to dump."""
Row = Callable[[str, str, str, bool], None]


class Story:
    """From a backup to the same database on a host that had lost it."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        trust(lab, SERVER, HOST)
        lab.sh(HOST, f"mariadb --default-character-set=utf8mb4 <<'END'\n{SQL}\nEND\n")
        open_at_once(lab, SERVER, "jira")
        self.harden = self.play("harden", "--tags", "backup")
        self.first = self.state()
        self.manifest = self.newest_manifest()
        self.counted = self.rows()
        self.text = lab.sh(HOST, DUMP)
        self.drill = self.play("backup_drill", atlassian_dc_drill_host=HOST, atlassian_dc_drill_instance=f"{HOST}-jira")
        self.cut_off = self.killed("pkill -KILL -x mariadb-dump")
        self.killed_run = self.killed(f"systemctl kill --kill-whom=main --signal=KILL {UNIT}")
        self.whole = self.backups()
        lab.sh(HOST, DESTROY)
        self.restore = self.play(
            "restore", atlassian_dc_restore_host=HOST, atlassian_dc_restore_overwrite=[f"install-{HOST}"]
        )
        self.text_after = lab.sh(HOST, DUMP)
        self.grant(VENDOR)
        self.refused = self.backup()
        lab.sh(HOST, f"mariadb jiradb <<'END'\n{MORE_RIGHTS}\nEND\n")
        self.vendor = self.backup()

    def play(self, playbook: str, *arguments: str, **variables: Any) -> Outcome:
        variables |= {"atlassian_dc_backup_repository": repository(SERVER, "jira"), **BY_HAND}
        return self.lab.play(playbook, *arguments, "--limit", HOST, **variables)

    def state(self) -> dict[str, Any]:
        return dict(json.loads(self.lab.sh(HOST, f"cat {STATE}")))

    def backup(self) -> dict[str, Any]:
        """Make a backup; return what it leaves, whatever becomes of it."""
        self.lab.sh(HOST, f"systemctl start {UNIT} || true")
        return self.state()

    def restic(self, words: str) -> str:
        return restic(self.lab, SERVER, "jira", words)

    def backups(self) -> int:
        return len(json.loads(self.restic("snapshots --json --tag part=manifest")))

    def newest_manifest(self) -> dict[str, Any]:
        return dict(json.loads(self.restic("dump --tag part=manifest latest /manifest.json")))

    def rows(self) -> dict[str, int]:
        """Return the rows of each table as the server counts them."""
        tables = "SELECT HEX(table_name) FROM information_schema.tables WHERE table_schema = 'jiradb'"
        tables += " AND table_type IN ('BASE TABLE', 'SYSTEM VERSIONED')"
        names = self.lab.sh(HOST, f'mariadb --default-character-set=utf8mb4 -BN -e "{tables}"').split()
        queries = []
        for name in names:
            quoted = bytes.fromhex(name).decode().replace("`", "``")
            queries.append(f"SELECT '{name}', COUNT(*) FROM `{quoted}`;")  # noqa: S608 - it is quoted
        text = "\n".join(queries)
        found = self.lab.sh(HOST, f"mariadb --default-character-set=utf8mb4 -BN jiradb <<'END'\n{text}\nEND\n")
        return {bytes.fromhex(line.split()[0]).decode(): int(line.split()[1]) for line in found.splitlines()}

    def killed(self, kill: str) -> dict[str, Any]:
        """Kill something in the middle of a dump, which a lock on a table keeps there; return what that leaves."""
        self.lab.sh(
            HOST,
            f"""
            mariadb jiradb -e 'LOCK TABLES jiraissue WRITE; SELECT SLEEP(3600)' &
            holder=$!
            until mariadb -BN -e 'SHOW PROCESSLIST' | grep -q SLEEP; do sleep 0.1; done
            systemctl start --no-block {UNIT}
            timeout 300 sh -c 'until pgrep -x mariadb-dump; do sleep 0.1; done'
            timeout 300 sh -c "until mariadb -BN -e 'SHOW PROCESSLIST' | grep -q 'metadata lock'; do sleep 0.1; done"
            {kill}
            timeout 300 sh -c 'until systemctl is-failed -q {UNIT}; do sleep 0.1; done'
            kill $holder
            mariadb -BN -e 'SHOW PROCESSLIST' | grep SLEEP | cut -f1 | while read id; do mariadb -e "KILL $id"; done
            """,
        )
        return self.state()

    def grant(self, rights: str) -> None:
        account = "jiradbuser@localhost"
        self.lab.sh(
            HOST,
            f"mariadb -e 'REVOKE ALL PRIVILEGES, GRANT OPTION FROM {account}; GRANT {rights} ON jiradb.* TO {account}'",
        )


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    lab = Lab("fidelity-backup-mariadb", tmp_path_factory.mktemp("mariadb"))
    try:
        lab.up(HOSTS)
        yield Story(lab)
    finally:
        lab.down()


def test_it_is_backed_up(story: Story) -> None:
    assert story.harden.code == 0, story.harden.output
    statuses = {entry["id"]: entry["status"] for entry in story.harden.entries(HOST) if entry["instance"] == "jira"}
    assert [statuses[f"DC-BKP-0{number}"] for number in (1, 2, 3, 5)] == ["fixed", "fixed", "pass", "pass"]
    assert (story.first["result"], story.first["warnings"]) == ("success", [])


def test_its_rows_are_those_of_the_dump(story: Story, row: Row) -> None:
    """Of tables and rows that look like the statements around them."""
    told = story.manifest["database"]["tables"]
    row("backup: rows of MariaDB", f"{sum(story.counted.values())}", f"{sum(told.values())}", told == story.counted)
    assert told == story.counted
    assert story.manifest["database"]["server_version"].startswith("11.8")


def test_a_dump_that_is_killed_leaves_no_backup(story: Story, row: Row) -> None:
    cut_off, killed = story.cut_off, story.killed_run
    assert (cut_off["result"], "mariadb-dump failed" in cut_off["reason"]) == ("failure", True)
    assert (killed["result"], "cut short" in killed["reason"]) == ("failure", True)
    row("backup: dump of MariaDB killed", "no backup", f"{story.whole - 1} more", story.whole == 1)
    assert story.whole == 1


def test_a_drill_counts_its_rows(story: Story) -> None:
    assert story.drill.code == 0, story.drill.output
    result = json.loads((story.lab.group.drills / f"{HOST}-jira.drill.json").read_text(encoding="utf-8"))
    (check,) = [check for check in result["checks"] if check["name"] == "database"]
    assert check["outcome"] == "passed"
    assert f"{len(story.counted)} tables, {sum(story.counted.values())} rows, as many rows as noted" in check["detail"]


def test_the_database_is_there_again(story: Story, row: Row) -> None:
    assert story.restore.code == 0, story.restore.output
    row("restore of MariaDB: hash of a dump", story.text[:8], story.text_after[:8], story.text_after == story.text)
    assert story.text_after == story.text


def test_what_the_account_may_not_read_is_told(story: Story) -> None:
    assert story.refused["result"] == "failure"
    assert "SHOW VIEW command denied" in story.refused["reason"]
    assert story.vendor["result"] == "success", story.vendor
    assert "may not read the events of jiradb" in story.vendor["warnings"][0]
