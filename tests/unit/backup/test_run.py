# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole backup, and everything that keeps one from being made."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.module_utils import _backup_proof, _backup_run
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._backup_maintenance import Maintenance
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._backup_restic import (
    DamagedError,
    Restic,
    ResticError,
    Saved,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._backup_run import BackupError, main
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._backup_sample import (
    Node,
    hash_on_host,
    nanoseconds,
)
from unit.backup.backup_host import DUMP, KEY, START, BackupHost
from unit.backup.maintained import PROTOCOL, Maintained


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BackupHost:
    return BackupHost(tmp_path, monkeypatch)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class TestWhole:
    def test_all_of_it_is_in_the_repository(self, host: BackupHost) -> None:
        state = host.run()
        (backup,) = host.stored()
        manifest = host.manifest(backup)
        assert {part.part for part in manifest.parts} == {"database", "home-jira1", "install-jira1"}
        assert manifest.database is not None
        assert manifest.database.tables == {"public.issue": 3, 'public.odd "name': 0}
        assert (manifest.database.server_version, manifest.database.client_version) == ("15.4", "15.4")
        dump = manifest.part("database")
        assert dump is not None
        assert (dump.bytes, dump.sha256) == (len(DUMP), sha256(DUMP))
        assert state.whole is not None
        assert (state.whole.backup, state.whole.files) == (backup.name, 1 + 4 + 1)
        assert state.whole.bytes == manifest.total_bytes

    def test_whole_numbers_of_snapshots_take_no_start_of_restic(self, host: BackupHost) -> None:
        host.config["forget"] = False
        host.run()
        (backup,) = host.stored()
        parts = host.manifest(backup).parts
        assert {part.part: [part.snapshot] for part in parts}.items() < backup.parts.items()
        assert all(command[0] != "snapshots" for command in host.commands())

    def test_they_are_asked_for_where_restic_can_keep_nothing(self, host: BackupHost) -> None:
        host.config["forget"] = False
        host.run()
        shutil.rmtree(host.folder / "cache")
        host.trouble(**{"keeps nothing": True})
        assert host.run().result == "success", host.last().reason
        assert len(host.whole()) == 2

    def test_caches_and_logs_stay_out_and_odd_names_get_in(self, host: BackupHost) -> None:
        host.run()
        (backup,) = host.stored()
        paths = {item["path"] for item in host.restic().files(backup.parts["home-jira1"][0])}
        assert str(host.home / "data/[odd] name*") in paths
        left_out = (str(host.home / "caches"), str(host.home / "log"))
        assert not any(path.startswith(left_out) for path in paths)

    def test_what_an_exclusion_looks_like_is_not_taken_for_a_pattern(self, host: BackupHost) -> None:
        host.write("home/data/o", "not to be left out")
        host.config["parts"][0]["exclude"] = [str(host.home / "data/[odd] name*")]
        host.run()
        (backup,) = host.stored()
        names = {os.path.basename(item["path"]) for item in host.restic().files(backup.parts["home-jira1"][0])}
        assert "o" in names
        assert "[odd] name*" not in names

    def test_what_a_restore_needs_is_told_and_keys_with_their_hash(self, host: BackupHost) -> None:
        host.run()
        (backup,) = host.stored()
        needed = {item.path: item for item in host.manifest(backup).needed}
        assert needed["keys"].sha256 == {str(host.home / "keys/key"): sha256(b"sesame")}
        assert needed["data"].part == "home-jira1"
        assert needed["conf/server.xml"].part == "install-jira1"
        assert not needed["cluster.properties"].present

    def test_the_sample_is_hashed_on_the_host(self, host: BackupHost) -> None:
        host.run()
        (backup,) = host.stored()
        sample = {item.path: item for item in host.manifest(backup).sample}
        assert sample[str(host.home / "data/attachments/1")].sha256 == sha256(b"one")
        assert not any(item.changed for item in sample.values())

    def test_a_name_that_is_no_text_keeps_nothing_from_being_backed_up(
        self, host: BackupHost, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Restic lists it with marks in the place of its odd bytes, and knows no file of such a name."""
        place = host.write("home/data/odd", "x")
        place.rename(os.fsdecode(os.fsencode(place) + b"\xfc"))
        original = Restic.files

        def files(self: Restic, snapshot: str) -> Iterator[dict[str, Any]]:
            for item in original(self, snapshot):
                yield {**item, "path": item["path"].encode("utf-8", "surrogateescape").decode("utf-8", "replace")}

        monkeypatch.setattr(Restic, "files", files)
        assert host.run().result == "success", host.last().reason

    def test_a_file_that_has_changed_since_is_hashed_in_the_repository(
        self, host: BackupHost, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(_backup_proof, "hash_on_host", lambda _node: None)
        host.run()
        (backup,) = host.stored()
        sample = {item.path: item for item in host.manifest(backup).sample}
        item = sample[str(host.home / "data/attachments/1")]
        assert (item.sha256, item.changed) == (sha256(b"one"), True)

    def test_it_says_so_and_leaves_figures(self, host: BackupHost) -> None:
        host.run()
        assert host.said[0].startswith("<6>a new repository")
        assert f"of {KEY} is in the repository: 3 parts, 6 files" in host.said[-1]
        metrics = (host.state.parent / "metrics/jira.prom").read_text()
        assert 'atlassian_dc_backup_last_success_files{instance="jira"} 6.000' in metrics

    def test_no_password_is_an_argument(self, host: BackupHost) -> None:
        host.run()
        assert not any(word in json.dumps(host.commands()) for word in ("sesame", "hidden", "secret"))

    def test_without_a_database(self, host: BackupHost) -> None:
        host.config["database"] = None
        assert host.run().result == "success"
        (backup,) = host.stored()
        assert host.manifest(backup).database is None


class TestFailure:
    """None of it leaves a backup, all of it is told, and the next run is a good one."""

    def failed(self, host: BackupHost, *words: str) -> None:
        before = host.whole()
        state = host.run()
        assert state.result == "failure"
        for word in words:
            assert word in state.reason
        assert state.reason in host.said[-1]
        assert host.whole() == before

    def recovered(self, host: BackupHost) -> None:
        """Have a good run; whatever the failed one has left is gone after it."""
        assert host.run().result == "success"
        assert [backup.whole for backup in host.stored()] == [True]

    def test_a_dump_that_breaks_leaves_no_snapshot(self, host: BackupHost) -> None:
        (host.tools / "breaks").touch()
        self.failed(host, "pg_dump failed", "server closed the connection")
        assert host.stored() == []
        (host.tools / "breaks").unlink()
        self.recovered(host)

    def test_an_empty_dump(self, host: BackupHost) -> None:
        (host.tools / "dump").write_bytes(b"")
        self.failed(host, "has written nothing")
        assert host.stored() == []

    def test_a_dump_that_is_none(self, host: BackupHost) -> None:
        (host.tools / "dump").write_bytes(b"something else")
        self.failed(host, "no whole dump")
        assert host.stored() == []

    def test_a_dump_that_its_own_tool_does_not_take(self, host: BackupHost) -> None:
        (host.tools / "unreadable").touch()
        self.failed(host, "pg_restore does not take the dump in the repository: pg_restore: error: corrupt")
        (host.tools / "unreadable").unlink()
        self.recovered(host)

    def test_a_database_that_refuses(self, host: BackupHost) -> None:
        (host.tools / "refuses").touch()
        self.failed(host, "the database refuses", "connection refused")

    def test_a_tool_that_is_not_there(self, host: BackupHost) -> None:
        host.config["database"] = {"kind": "command", "name": "database", "command": ["/nonexistent/dump"]}
        self.failed(host, "/nonexistent/dump cannot be started: No such file or directory")

    def test_a_file_that_cannot_be_read(self, host: BackupHost) -> None:
        host.run()
        host.trouble(unreadable=[str(host.home / "dbconfig.xml")])
        self.failed(host, "not everything could be read", "dbconfig.xml", "Permission denied")
        host.trouble()
        assert host.run().result == "success"
        assert all(backup.whole for backup in host.stored())

    def test_a_file_that_is_removed_meanwhile_is_no_gap(self, host: BackupHost) -> None:
        host.run()
        host.trouble(unreadable=[str(host.home / "data/gone")])
        host.write("home/data/gone", "x")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(_backup_run, "is_gone", lambda path: str(path).endswith("gone") or not os.path.lexists(path))
            assert host.run().result == "success"
        assert "1 files were removed while they were backed up" in "".join(host.said)

    def test_what_cannot_even_be_looked_at_is_a_gap(self, host: BackupHost) -> None:
        """As a mount that root may not enter: nobody knows whether it was removed."""
        (host.home / "loop").symlink_to("loop")
        host.run()
        host.trouble(unreadable=[str(host.home / "data")])
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Restic, "save", self.missing(host, "loop/inside"))
            self.failed(host, "not everything could be read", "loop/inside")

    def test_more_gaps_than_are_looked_at_are_a_gap(self, host: BackupHost) -> None:
        host.run()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Restic, "save", self.missing(host, *map(str, range(1000))))
            self.failed(host, "not everything could be read", "1000 paths or more")

    @staticmethod
    def missing(host: BackupHost, *paths: str) -> Callable[..., Saved]:
        """Return what stands for a snapshot that lacks some paths."""
        return lambda *_given: Saved("0" * 64, 1, 1, tuple((str(host.home / path), "no") for path in paths))

    def test_a_home_that_was_moved_away_and_linked(self, host: BackupHost) -> None:
        host.run()
        host.home.rename(host.folder / "elsewhere")
        host.home.symlink_to(host.folder / "elsewhere")
        self.failed(host, f"{host.home} has become a link", "run role backup again")

    @pytest.mark.parametrize("path", ["data", "keys", "plugins"])
    def test_a_folder_that_was_moved_away_and_linked(self, host: BackupHost, path: str) -> None:
        """Restic saves the link, and nothing of what it leads to."""
        host.write("home/plugins/x", "x")
        host.run()
        (host.home / path).rename(host.folder / "elsewhere")
        (host.home / path).symlink_to(host.folder / "elsewhere")
        self.failed(host, f"{host.home / path} has become a link to {host.folder / 'elsewhere'}, which is not saved")

    def test_links_that_are_known_or_lead_to_what_is_saved(self, host: BackupHost) -> None:
        (host.folder / "elsewhere").mkdir()
        (host.home / "known").symlink_to(host.folder / "elsewhere")
        host.config["links"] = {str(host.home / "known"): str(host.folder / "elsewhere")}
        (host.home / "within").symlink_to(host.home / "data")
        (host.home / "nowhere").symlink_to("/nonexistent")
        (host.home / "data" / "deep").symlink_to(host.folder / "elsewhere")
        assert host.run().result == "success"

    def test_a_home_that_is_not_there(self, host: BackupHost) -> None:
        host.home.rename(host.folder / "elsewhere")
        self.failed(host, f"{host.home} cannot be backed up: No such file or directory")

    @pytest.mark.parametrize(
        ("command", "told", "words"),
        [
            ("backup database.dump", [1, "unable to save snapshot: no space left on device"], "the disk is full"),
            ("backup manifest.json", [1, "connection reset by peer"], "it cannot be reached"),
            ("ls", [1, "tree 1234 not found in repository"], "data is missing"),
            ("dump", [1, "blob not found"], "data is missing"),
            ("list", [1, "dial tcp: connection refused"], "it cannot be reached"),
            ("list", [1, "x509: certificate signed by unknown authority"], "the certificate of the server"),
        ],
    )
    def test_a_repository_that_fails(self, host: BackupHost, command: str, told: list[object], words: str) -> None:
        host.run()
        host.trouble(**{command: told})
        self.failed(host, words)
        host.trouble()
        host.config["keep"] = {"daily": 1}
        self.recovered(host)

    def test_a_snapshot_whose_whole_number_nobody_tells(self, host: BackupHost) -> None:
        host.run()
        shutil.rmtree(host.folder / "cache")
        host.trouble(**{"keeps nothing": True, "forgets": True})
        self.failed(host, "was made, but the repository does not have it")
        host.trouble(**{"keeps nothing": True, "snapshots": [1, "ciphertext verification failed"]})
        self.failed(host, "damaged")
        host.trouble()
        self.recovered(host)

    def test_a_dump_that_only_the_cache_has(self, host: BackupHost) -> None:
        host.run()
        host.trouble(loses="database.dump")
        self.failed(host, "database.dump cannot be read back")
        host.trouble()
        self.recovered(host)

    def test_another_password(self, host: BackupHost) -> None:
        host.run()
        state = host.run(password="wrong")  # noqa: S106 - a wrong one
        assert (state.result, state.whole is not None) == ("failure", True)
        assert "the password of the repository is wrong" in state.reason
        assert host.run().result == "success"

    def test_a_repository_that_is_gone_is_not_made_anew(self, host: BackupHost) -> None:
        host.run()
        host.repository.rename(host.folder / "lost")
        self.failed(host, "the repository is gone")
        assert not host.repository.exists()

    def test_another_repository_is_a_new_beginning(self, host: BackupHost) -> None:
        host.run()
        host.repository = host.folder / "another"
        host.config["repository"] = "another"
        state = host.run()
        assert (state.result, state.repository, len(host.whole())) == ("success", "another", 1)

    def test_a_repository_is_made_only_where_that_is_wanted(self, host: BackupHost) -> None:
        host.config["create"] = False
        self.failed(host, "there is no repository", "atlassian_dc_backup_create")

    def test_what_comes_back_otherwise_than_it_is_on_the_host(
        self, host: BackupHost, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(_backup_proof, "hash_on_host", lambda _node: "0" * 64)
        self.failed(host, "comes back from the repository with another content")

    def test_a_state_that_is_damaged_is_written_anew(self, host: BackupHost) -> None:
        host.write("state/jira/last.json", "{")
        assert host.run().warnings[0].endswith("it is written anew")

    def test_a_result_that_cannot_be_written(self, host: BackupHost) -> None:
        (host.state / "last.json.new").mkdir()
        assert host.backup().run() == 1
        assert "the result cannot be written" in host.said[-1]


class TestKeeping:
    def test_old_backups_go_as_a_whole(self, host: BackupHost) -> None:
        for _day in range(3):
            host.run(after=86400)
        assert len(host.whole()) == 2
        assert all(len(backup.snapshots) == 4 for backup in host.stored())
        # What was left of a run that was cut short would lock it out.
        words = [command[0] for command in host.commands() if command[0] in ("unlock", "forget", "prune")]
        assert words == ["unlock", "forget", "prune"]

    def test_a_host_that_may_only_add_removes_nothing(self, host: BackupHost) -> None:
        host.config["forget"] = False
        for _day in range(3):
            host.run(after=86400)
        assert len(host.whole()) == 3
        assert not any(command[0] in ("forget", "prune", "unlock") for command in host.commands())

    def test_a_repository_that_removes_nothing_is_told_and_no_failure(self, host: BackupHost) -> None:
        host.config["keep"] = {"daily": 1}
        host.run()
        host.trouble(forget=[1, "Forbidden"])
        state = host.run(after=86400)
        assert state.result == "success"
        assert state.warnings == ("old backups were not removed: old backups cannot be removed: Fatal: Forbidden",)

    def test_it_is_pruned_once_a_week(self, host: BackupHost) -> None:
        host.config["keep"] = {"daily": 1}
        for _time in range(4):
            host.run(after=3 * 86400)
        assert sum(command == ["prune"] for command in host.commands()) == 1


class TestDamage:
    """Restic does not write again what is there already, so a backup is as good as what it stands on."""

    def test_it_is_no_success_and_nothing_is_removed_until_it_is_mended(self, host: BackupHost) -> None:
        host.config["keep"] = {"daily": 1}
        host.run()
        host.trouble(check=[1, "repository contains errors"])
        state = host.run(after=8 * 86400)
        assert (state.result, state.damage) == ("failure", state.reason)
        assert state.reason.startswith("the repository does not pass its check")
        assert len(host.whole()) == 2
        assert "the repository does not pass its check" in host.said[-1]
        host.run(after=86400)
        assert len(host.whole()) == 3
        host.trouble()
        state = host.run(after=86400)
        assert (state.result, state.damage, len(host.whole())) == ("success", "", 1)

    def test_once_a_week_another_share_of_it_is_read(self, host: BackupHost) -> None:
        for _time in range(8):
            host.run(after=4 * 86400)
        checks = [command for command in host.commands() if command[0] == "check"]
        assert checks == [["check", "--no-lock", f"--read-data-subset={share}/13"] for share in (1, 2, 3, 4)]
        assert host.last().checks % 13 + 1 == 5

    def test_what_is_removed_meanwhile_is_no_damage(self, host: BackupHost, monkeypatch: pytest.MonkeyPatch) -> None:
        told = [DamagedError("pack is missing"), None]

        def look_over(*_given: object) -> None:
            if error := told.pop(0):
                raise error

        monkeypatch.setattr(Restic, "look_over", look_over)
        assert host.run().result == "success"
        assert told == []

    def test_what_cannot_be_checked_is_told_and_no_failure(self, host: BackupHost) -> None:
        host.run()
        host.trouble(check=[1, "dial tcp: connection refused"])
        state = host.run(after=8 * 86400)
        assert (state.result, state.damage) == ("success", "")
        assert "it cannot be reached" in state.warnings[0]
        host.trouble()
        assert host.run(after=86400).checks == 2

    def test_it_is_ended_after_its_time(self, tmp_path: Path) -> None:
        restic = Restic("x", "x", {}, str(tmp_path), (sys.executable, "-c", "import time; time.sleep(60)"))
        with pytest.raises(ResticError, match="was not checked within 0 seconds"):
            restic.look_over(1, 13, 0.2)

    def test_a_node_that_has_found_it_looks_again_though_another_makes_the_backup(self, host: BackupHost) -> None:
        host.config.update(clustered=True, key="jira-c1", node={"key": "jira-c1-jira1", "parts": []})
        host.run()
        damaged = replace(host.last(), damage="was damaged", whole=None)
        host.write("state/jira/last.json", damaged.to_json())
        state = host.run()
        assert (state.result, state.damage) == ("success", "")


class TestCluster:
    @pytest.fixture
    def nodes(self, host: BackupHost) -> BackupHost:
        host.config.update(clustered=True, key="jira-c1")
        self.be(host, "n1")
        return host

    def be(self, host: BackupHost, name: str) -> None:
        """Have the next runs be those of another node."""
        host.config["host"] = name
        host.config["node"] = {"key": f"jira-c1-{name}", "parts": host.config["parts"]}
        host.state = host.folder / f"state-{name}/jira"
        host.state.mkdir(parents=True, exist_ok=True)

    def test_one_node_makes_it_and_the_others_their_own_part(self, nodes: BackupHost) -> None:
        assert nodes.run().whole is not None
        self.be(nodes, "n2")
        state = nodes.run()
        assert state.whole is not None
        assert state.node is not None
        assert (state.whole.host, state.node.kind) == ("n1", "node")
        assert len(nodes.stored("jira-c1")) == 1
        (own,) = nodes.stored("jira-c1-n2")
        manifest = nodes.manifest(own)
        assert (manifest.kind, manifest.database) == ("node", None)

    def test_in_the_next_period_there_is_another(self, nodes: BackupHost) -> None:
        nodes.run()
        self.be(nodes, "n2")
        state = nodes.run(after=86400)
        assert state.whole is not None
        assert state.whole.host == "n2"
        (_first, second) = nodes.stored("jira-c1")
        assert nodes.manifest(second).nodes == ("n1", "n2")

    def test_who_made_the_last_one_leaves_the_next_to_whom_has_made_it(self, nodes: BackupHost) -> None:
        nodes.run()
        self.be(nodes, "n2")
        nodes.run(after=86400)
        self.be(nodes, "n1")
        assert nodes.run().node is not None
        assert len(nodes.stored("jira-c1")) == 2

    def test_who_has_made_it_makes_another_one_when_it_is_asked(self, nodes: BackupHost) -> None:
        nodes.config["forget"] = False
        nodes.run()
        nodes.run()
        assert len(nodes.stored("jira-c1")) == 2

    def test_who_is_at_it_is_left_to_finish(self, nodes: BackupHost) -> None:
        self.claim(nodes, "n1")
        self.be(nodes, "n2")
        state = nodes.run()
        assert state.whole is None
        assert state.node is not None

    def test_another_takes_over_from_a_node_that_is_gone(self, nodes: BackupHost) -> None:
        self.claim(nodes, "n1")
        self.be(nodes, "n2")
        state = nodes.run(after=3700)
        assert state.whole is not None
        assert state.whole.host == "n2"

    def test_a_node_that_fails_leaves_it_to_another_at_once(self, nodes: BackupHost) -> None:
        (nodes.tools / "breaks").touch()
        assert nodes.run().result == "failure"
        (nodes.tools / "breaks").unlink()
        self.be(nodes, "n2")
        state = nodes.run()
        assert state.whole is not None
        assert state.whole.host == "n2"

    def test_who_was_a_moment_earlier_and_slower_makes_it_alone(self, nodes: BackupHost) -> None:
        """Its claim comes after this node has looked; both must come to the same end."""
        nodes.restic().create()

        def slept(_seconds: float) -> None:
            earlier = _backup_run.backup_name(nodes.now - 1)
            tags = ("atlassian-dc", "instance=jira-c1", f"backup={earlier}", "part=claim", "node=n2")
            nodes.restic().save_stream("jira-c1", tags, "claim", lambda take: take(b"1"))

        nodes.slept = slept  # type: ignore[method-assign]
        state = nodes.run()
        assert state.whole is None
        assert state.node is not None

    def claim(self, nodes: BackupHost, name: str) -> None:
        """Have a node begin a backup and be gone before it is done."""
        self.be(nodes, name)
        nodes.restic().create()
        backup = nodes.backup()
        assert backup._is_mine()


class TestProgram:
    def test_refuses_to_be_started_by_hand(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
        assert main(["run", "jira"]) == 2
        assert main([]) == 2

    @pytest.fixture
    def installed(self, host: BackupHost, monkeypatch: pytest.MonkeyPatch) -> BackupHost:
        restic = host.write("tools/restic", f'#!/bin/sh\nexec {sys.executable} {host.restic()._program[1]} "$@"\n')
        restic.chmod(0o755)
        given = {"url": str(host.repository), "password": "x", "environment": {}}
        host.write("credentials/config", json.dumps(host.config))
        host.write("credentials/secrets", json.dumps({**host.secrets, "repository": given}))
        for name, folder in (("CREDENTIALS", "credentials"), ("STATE", "state"), ("RUNTIME", "run"), ("CACHE", "run")):
            monkeypatch.setenv(f"{name}_DIRECTORY", str(host.folder / folder))
        return host

    def test_makes_a_backup(self, installed: BackupHost, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["run", "jira"]) == 0
        assert "is in the repository" in capsys.readouterr().out

    def test_tells_of_a_configuration_it_cannot_read(
        self, installed: BackupHost, capsys: pytest.CaptureFixture[str]
    ) -> None:
        installed.write("credentials/config", "[]")
        assert main(["run", "jira"]) == 1
        assert "is no configuration" in capsys.readouterr().out

    def test_what_comes_after_it_needs_no_credentials(
        self, installed: BackupHost, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Of which systemd hands over none, from version 257 on not even the variable."""
        monkeypatch.delenv("CREDENTIALS_DIRECTORY")
        assert main(["release", "jira"]) == 0
        assert main(["run", "jira"]) == 2

    def test_waits_for_another_one(self, installed: BackupHost) -> None:
        code = (
            "import fcntl, sys, time\nstream = open(sys.argv[1], 'w')\nfcntl.flock(stream, fcntl.LOCK_EX)\n"
            "print('held', flush=True)\ntime.sleep(1)\nopen(sys.argv[2], 'w').close()\n"
        )
        ended = installed.folder / "ended"
        argv = [sys.executable, "-c", code, str(installed.folder / "run/lock"), str(ended)]
        with subprocess.Popen(argv, stdout=subprocess.PIPE) as other:
            assert other.stdout is not None
            other.stdout.readline()
            assert main(["run", "jira"]) == 0
            assert ended.exists()

    def test_a_run_that_was_cut_short_is_told(
        self, installed: BackupHost, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        installed.run()
        begun = replace(installed.last(), result="running")
        installed.write("state/jira/last.json", begun.to_json())
        monkeypatch.setenv("SERVICE_RESULT", "oom-kill")
        assert main(["release", "jira"]) == 0
        state = installed.last()
        assert (state.result, state.reason) == ("failure", "the run was cut short (oom-kill)")
        assert state.whole == begun.whole
        assert "the run was cut short" in capsys.readouterr().out

    def test_lets_go_what_is_locked(self, installed: BackupHost, monkeypatch: pytest.MonkeyPatch) -> None:
        product = Maintained()
        path = installed.state / _backup_run.LOCK_FILE
        lock = Maintenance(
            "git", "http://git", PROTOCOL, {"token": "t0ken"}, str(path), 60, product, sleep=lambda _seconds: None
        )
        lock.hold()
        monkeypatch.setattr(_backup_run, "CONFIG", str(installed.folder))
        installed.write("jira.json", "{}")
        installed.write("jira.secrets.json", "{}")
        monkeypatch.setattr(_backup_run, "maintenance_of", lambda *_given: lock)
        assert main(["release", "jira"]) == 0
        assert not product.locked

    @pytest.fixture
    def locked(self, installed: BackupHost, monkeypatch: pytest.MonkeyPatch) -> Maintained:
        """Return a product that a run has left locked."""
        product = Maintained()
        path = str(installed.state / _backup_run.LOCK_FILE)
        lock = Maintenance("git", "http://git", PROTOCOL, {"token": "t0ken"}, path, 60, product, sleep=installed.slept)
        lock.hold()
        monkeypatch.setattr(_backup_run, "CONFIG", str(installed.folder))
        for name in ("jira.json", "jira.secrets.json"):
            installed.write(name, "{}")
        monkeypatch.setattr(_backup_run, "maintenance_of", lambda *_given: lock)
        return product

    def test_lets_go_whatever_is_wrong_with_the_state(self, installed: BackupHost, locked: Maintained) -> None:
        installed.write("state/jira/last.json", "{")
        assert main(["release", "jira"]) == 1
        assert not locked.locked

    def test_lets_go_before_anything_is_written(self, installed: BackupHost, locked: Maintained) -> None:
        """As where the disk is full."""
        (installed.state / "last.json.new").mkdir()
        assert installed.backup().run() == 1
        assert not locked.locked

    def test_lets_go_before_it_waits_for_others(
        self, installed: BackupHost, locked: Maintained, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def alone(_path: str) -> None:
            assert not locked.locked
            raise BackupError("seen")

        monkeypatch.setattr(_backup_run, "_alone", alone)
        assert main(["run", "jira"]) == 1
        assert not locked.locked

    def test_a_state_is_put_in_order_though_the_product_stays_locked(
        self, installed: BackupHost, locked: Maintained
    ) -> None:
        installed.run()
        installed.write("state/jira/last.json", replace(installed.last(), result="running").to_json())
        installed.write(f"state/jira/{_backup_run.LOCK_FILE}", "{")
        assert main(["release", "jira"]) == 1
        assert installed.last().result == "failure"
        assert installed.state.joinpath(_backup_run.LOCK_FILE).exists()

    def test_has_nothing_to_let_go_where_nothing_is_locked(self, installed: BackupHost) -> None:
        assert main(["release", "jira"]) == 0


class TestPieces:
    @pytest.mark.parametrize(
        ("text", "wanted"),
        [
            ("2026-11-29T10:00:00Z", int(START) * 10**9),
            ("2026-11-29T10:00:00.000000001Z", int(START) * 10**9 + 1),
            ("2026-11-29T12:00:00.5+02:00", int(START) * 10**9 + 5 * 10**8),
            ("2026-11-29T07:30:00-02:30", int(START) * 10**9),
            ("2026-11-29 10:00:00Z", None),
            ("2026-13-41T10:00:00Z", None),
            (17, None),
        ],
    )
    def test_nanoseconds(self, text: object, wanted: int | None) -> None:
        assert nanoseconds(text) == wanted

    def test_a_file_that_is_another_one_has_no_hash(self, tmp_path: Path) -> None:
        path = tmp_path / "x"
        path.write_text("x")
        os.utime(path, (START, START))
        node = Node("home-x", "0" * 64, str(path), 1, "2026-11-29T10:00:00Z")
        assert hash_on_host(node) == sha256(b"x")
        path.write_text("y")
        os.utime(path, (START, START + 1))
        assert hash_on_host(node) is None
        path.unlink()
        path.symlink_to("/etc/hostname")
        assert hash_on_host(node) is None
