# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two nodes with one database, one shared home and one repository: who makes the backup, and who takes over."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from .held import WAITING, begin
from .lab import BY_HAND, Lab
from .repositories import open_at_once, repository, restic, trust

N1, N2, SERVER = "jira1", "jira2", "repository1"
HOSTS = (f"{N1}=jira_database:bookworm", f"{N2}=jira_database:trixie", f"{SERVER}=repository:bookworm")
CONTROLS = "DC-BKP-01,DC-BKP-03,DC-BKP-05"
SHARED = "/mnt/jira-shared"
HOME = "/var/atlassian/application-data/jira"
UNIT = "atlassian-dc-backup@jira"
Row = Callable[[str, str, str, bool], None]


class Story:
    """Two nodes that are set up for backups, one after the other."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        address = lab.group.hosts()[N1].address
        trust(lab, SERVER, N1, N2)
        lab.sh(
            N1,
            """
            for folder in /etc/postgresql/*/main; do
              echo "listen_addresses = '*'" >> $folder/postgresql.conf
              echo 'host all all 0.0.0.0/0 scram-sha-256' >> $folder/pg_hba.conf
            done
            systemctl restart postgresql
            """,
        )
        for name in (N1, N2):
            lab.sh(
                name,
                f"""
                printf 'jira.node.id = {name}\\njira.shared.home = {SHARED}\\n' > {HOME}/cluster.properties
                sed -i -E 's,jdbc:postgresql://[^/]*/,jdbc:postgresql://{address}:5432/,' {HOME}/dbconfig.xml
                """,
            )
        lab.sh(N1, f"mkdir -p {SHARED}/data/attachments; head -c 30000000 /dev/urandom > {SHARED}/data/attachments/a")
        open_at_once(lab, SERVER, "jira")
        self.harden = self.play("harden")
        config = json.loads(lab.sh(N1, "cat /etc/atlassian-dc/backup/jira.json"))
        self.key, self.clustered = str(config["key"]), bool(config["clustered"])
        self.first = self.whole()

    def play(self, playbook: str) -> Any:
        return self.lab.play(
            playbook,
            *("--tags", CONTROLS, "--limit", f"{N1},{N2}"),
            atlassian_dc_backup_repository=repository(SERVER, "jira"),
            **BY_HAND,
        )

    def restic(self, words: str) -> str:
        return restic(self.lab, SERVER, "jira", words)

    def manifests(self, key: str) -> dict[str, str]:
        """Return who has made the backups of a key, by their names."""
        told = json.loads(self.restic(f"snapshots --json --tag instance={key},part=manifest"))
        found = [dict(tag.partition("=")[::2] for tag in item["tags"]) for item in told]
        return {item["backup"]: item["node"] for item in found}

    def whole(self) -> dict[str, str]:
        return self.manifests(self.key)

    def state(self, host: str) -> dict[str, Any]:
        return dict(json.loads(self.lab.sh(host, "cat /var/lib/atlassian-dc-backup/jira/last.json")))

    def backup(self, host: str) -> dict[str, Any]:
        self.lab.sh(host, f"systemctl start {UNIT} || true")
        return self.state(host)

    def age(self) -> None:
        """Have all backups and claims be of long ago, in the same order."""
        told = json.loads(self.restic(f"snapshots --json --tag instance={self.key}"))
        names = sorted({tag for item in told for tag in item["tags"] if tag.startswith("backup=")})
        for number, name in enumerate(names):
            old = f"backup=20200101T0000{number:02}Z"
            if name != old:
                self.restic(f"tag --tag instance={self.key},{name} --remove {name} --add {old}")


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    lab = Lab("fidelity-two-nodes", tmp_path_factory.mktemp("two-nodes"))
    try:
        lab.group.shared_path = SHARED
        lab.up(HOSTS)
        yield Story(lab)
    finally:
        lab.down()


def test_one_node_makes_it_and_the_other_its_own_part(story: Story, row: Row) -> None:
    assert story.harden.code == 0, story.harden.output
    assert story.clustered
    own = story.manifests(f"{story.key}-{N2}")
    right = list(story.first.values()) == [N1] and list(own.values()) == [N2]
    row("cluster: who backs it up", f"{N1} all, {N2} its part", f"{story.first}, {own}", right)
    assert right
    text = story.restic(f"dump --tag instance={story.key},part=manifest latest /manifest.json")
    parts = {part["part"] for part in json.loads(text)["parts"]}
    assert parts >= {"database", "shared_home", f"home-{N1}"}


def test_started_at_once_they_make_one(story: Story, row: Row) -> None:
    story.age()
    before = story.whole()
    with ThreadPoolExecutor() as pool:
        states = list(pool.map(story.backup, (N1, N2)))
    assert [state["result"] for state in states] == ["success", "success"], states
    made = {name: node for name, node in story.whole().items() if name not in before}
    row("cluster: both started at once", "1 backup", f"{len(made)}, by {', '.join(made.values())}", len(made) == 1)
    assert len(made) == 1
    assert [state["whole"]["backup"] for state in states if state["whole"]["host"] in made.values()] != []


def test_a_node_that_dies_is_replaced_once_its_claim_is_old(story: Story, row: Row) -> None:
    story.age()
    before = story.whole()
    first = f'case "$*" in *"backup "*part=shared_home*) {WAITING} ;; esac'
    begin(story.lab, N2, f"{UNIT}.service", "restic", first)
    story.lab.crash(N2)
    early = story.backup(N1)
    assert early["result"] == "success"
    left_alone = story.whole() == before
    story.age()
    state = story.backup(N1)
    made = {name: node for name, node in story.whole().items() if name not in before}
    right = left_alone and state["result"] == "success" and list(made.values()) == [N1]
    told = f"left alone at first: {left_alone}; then by {', '.join(made.values())}"
    row("cluster: the node that makes it dies", f"{N1} takes over", told, right)
    assert right, state
    after = story.backup(N2)
    assert (after["result"], after["whole"]["host"]) == ("success", N1), after


def test_the_audit_judges_the_cluster_once(story: Story) -> None:
    outcome = story.play("audit")
    assert outcome.code == 0, outcome.output
    found = {entry["id"]: entry["status"] for entry in outcome.entries(N1) if entry["instance"] == "jira"}
    assert (found["DC-BKP-01"], found["DC-BKP-05"]) == ("pass", "pass"), outcome.output
    assert not [entry for entry in outcome.entries(N2) if entry["id"].startswith("DC-BKP")]
    for host in (N1, N2):
        assert story.lab.sh(host, f"systemctl is-active {UNIT}.timer").strip() == "active"
