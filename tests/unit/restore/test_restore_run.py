# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A restore: what is put in place, when, and what is left alone."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.module_utils import _restore_plan, _restore_run
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._backup_manifest import Manifest
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._restore_plan import (
    ABSENT,
    DONE,
    EMPTY,
    THERE,
    Plan,
    plan,
    state_of,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._restore_result import Result, parse_result
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._restore_run import Restore, progress
from unit.restore.manifests import BACKUP, manifest, sha256
from unit.restore.restored import FakeServer, Holding, names_below

DUMP = b"PGDMP and so on"
OLD = f".atlassian-dc-old-{BACKUP}"


class Host:
    """A host below a folder, on which one backup is restored."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.home, self.install = root / "var/jira", root / "opt/jira"
        self.server = self.install / "conf/server.xml"
        self.server.parent.mkdir(parents=True)
        self.home.parent.mkdir(parents=True)
        self.state = root / "state"
        self.state.mkdir()
        self.shown = ""
        self.files = {
            "home-jira1": {f"{self.home}/data/a.txt": "hello", f"{self.home}/dbconfig.xml": "x" * 95},
            "install-jira1": {str(self.server): "0123456789"},
        }
        FakeServer.fresh({"public.jiraissue": 3})

    def manifest(self) -> Manifest:
        known = manifest()
        paths = {"database": ("/database.dump",), "home-jira1": (str(self.home),), "install-jira1": (str(self.server),)}
        parts = [dataclasses.replace(part, paths=paths[part.part]) for part in known.parts]
        parts[0] = dataclasses.replace(parts[0], bytes=len(DUMP), sha256=sha256(DUMP))
        parts[1] = dataclasses.replace(parts[1], root=self.shown)
        sample = (dataclasses.replace(known.sample[0], path=f"{self.home}/data/a.txt"),)
        needed = (dataclasses.replace(known.needed[0], place=f"{self.home}/dbconfig.xml"),)
        return dataclasses.replace(known, parts=tuple(parts), sample=sample, needed=needed)

    def restore(
        self,
        failing: dict[str, str] | None = None,
        dump: bytes = DUMP,
        kind: type[Holding] = Holding,
        **more: Any,
    ) -> tuple[bool, Result]:
        server_state = THERE if self.server.exists() else ABSENT
        config: dict[str, Any] = {
            "key": "jira1-jira",
            "backup": BACKUP,
            "items": [
                {"part": "home-jira1", "path": str(self.home), "state": state_of(str(self.home))[0]},
                {"part": "install-jira1", "path": str(self.server), "state": server_state},
            ],
            "done": {},
            "account": "no-such-account",
            "database": {"kind": "postgresql"},
            "state": str(self.state),
            **more,
        }
        repository = kind(self.manifest(), self.files, dump, failing)
        passed = Restore(config, "secret", repository, lambda _words: None).run()
        result = parse_result((self.state / "results/jira1-jira.json").read_text())
        assert not list(self.root.rglob("*.atlassian-dc-new"))
        return passed, result

    def planned(self) -> Plan:
        """Return what another try would do, after one of which everything may be moved aside."""
        done = progress(str(self.state), "jira1-jira", BACKUP)
        instance = dataclasses.replace(self.manifest().instance, install_dir=str(self.install), home_dir=str(self.home))
        of = dataclasses.replace(self.manifest(), instance=instance)
        return plan(of, None, ["home-jira1", "install-jira1"], [], done)

    def problems(self, **more: Any) -> list[tuple[str, str]]:
        passed, result = self.restore(**more)
        assert not passed
        return [(check.name, check.detail) for check in result.problems]


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    monkeypatch.setattr(_restore_run, "TARGETS", {"postgresql": FakeServer})
    if os.geteuid() != 0:
        monkeypatch.setattr(Restore, "_account", lambda _self: (os.getuid(), os.getgid()))
    return Host(tmp_path)


def test_everything_is_put_in_place(host: Host) -> None:
    host.server.write_text("as installed")
    host.server.chmod(0o640)
    passed, result = host.restore()

    assert (passed, result.outcome) == (True, "passed")
    assert (host.home / "data/a.txt").read_text() == "hello"
    assert host.server.read_text() == "0123456789"
    assert host.server.stat().st_mode & 0o777 == 0o640
    assert Path(f"{host.server}{OLD}").read_text() == "as installed"
    assert FakeServer.steps == ["look", "load", "rows", "commit", "discard"]
    assert progress(str(host.state), "jira1-jira", BACKUP) == {}


@pytest.mark.parametrize("mounted", [False, True])
def test_files_of_a_snapshot_come_back_to_where_they_were(host: Host, mounted: bool) -> None:
    host.shown = "/run/snapshots/jira"
    more: dict[str, Any] = {}
    if mounted:
        host.home.mkdir()
        more["items"] = [{"part": "home-jira1", "path": str(host.home), "state": EMPTY, "mounted": True}]
    assert host.restore(**more)[0]
    assert (host.home / "data/a.txt").read_text() == "hello"
    assert sorted(os.listdir(host.home)) == ["data", "dbconfig.xml"]
    assert not (host.home / "run").exists()


@pytest.mark.parametrize("what", ["home", "above the home", "above a file"])
def test_a_link_in_a_backup_leads_nowhere(host: Host, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    """Who writes to the repository is not to have folders of this host given to the product, or moved."""
    precious = host.root / "precious"
    for path in (precious / "x", precious / "jira/x", precious / "conf/server.xml"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine")
    link = {"home": host.home, "above the home": host.home.parent, "above a file": host.install}[what]
    original = Holding.restore

    def restore(self: Holding, snapshot: str, target: str, paths: Any = ()) -> None:
        if snapshot == ("c" if what == "above a file" else "b") * 64:
            place = Path(target) / str(link).lstrip("/")
            place.parent.mkdir(parents=True)
            place.symlink_to(precious)
        else:
            original(self, snapshot, target, paths)

    monkeypatch.setattr(Holding, "restore", restore)
    (name, detail), *_more = host.problems()
    assert name in ("home-jira1", "install-jira1")
    assert detail == f"{link} is a link in the backup, which may lead anywhere"
    assert (precious / "x").read_text() == "mine"
    assert (precious / "conf/server.xml").exists()


def test_what_was_there_is_moved_aside(host: Host) -> None:
    host.home.mkdir()
    (host.home / "mine").touch()
    assert host.restore()[0]
    assert Path(f"{host.home}{OLD}/mine").exists()
    assert not (host.home / "mine").exists()


def test_what_was_moved_aside_before_stays(host: Host) -> None:
    host.home.mkdir()
    (host.home / "mine").touch()
    host.server.write_text("as installed")
    assert host.restore()[0]
    assert host.restore()[0]
    assert Path(f"{host.server}{OLD}").read_text() == "as installed"
    assert Path(f"{host.server}{OLD}-2").read_text() == "0123456789"
    assert Path(f"{host.home}{OLD}/mine").exists()
    assert Path(f"{host.home}{OLD}-2/data/a.txt").exists()


def test_what_has_come_into_being_meanwhile_is_left_alone(host: Host) -> None:
    class Meanwhile(Holding):
        def dump(self, snapshot: str, path: str, take: Any) -> None:
            super().dump(snapshot, path, take)
            host.home.mkdir()
            (host.home / "new").touch()

    assert host.problems(kind=Meanwhile) == [("in place", f"{host.home} has come into being meanwhile")]
    assert os.listdir(host.home) == ["new"]
    assert not host.server.exists()
    assert "commit" not in FakeServer.steps


def test_a_folder_of_the_installation_is_made(host: Host) -> None:
    host.server.parent.rmdir()
    assert host.restore()[0]
    assert host.server.parent.stat().st_mode & 0o777 == 0o755


def test_too_little_space_is_told_before_anything_is_restored(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []

    def no_room(path: str) -> os.statvfs_result:
        told.append(path)
        return os.statvfs_result((1, 1, 0, 0, 0, 0, 0, 0, 0, 255))

    monkeypatch.setattr(os, "statvfs", no_room)
    ((name, words),) = host.problems()
    assert (name, words.endswith("has 0 MiB free, and 1 MiB are needed")) == ("space", True)
    assert len(told) == 1
    assert FakeServer.steps == ["look", "discard"]


def test_what_was_restored_is_on_the_disk_before_it_is_called_so(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[bool, bool]] = []
    monkeypatch.setattr(os, "sync", lambda: seen.append((host.home.exists(), "commit" in FakeServer.steps)))
    assert host.restore()[0]
    assert seen == [(False, False), (True, True)]


class KilledError(BaseException):
    """Ends a restore as a kill does, as far as that goes."""


@pytest.mark.parametrize(("moves", "states"), [(0, "--"), (1, " -"), (2, "+-"), (3, "+ "), (4, "++")])
def test_a_kill_between_two_renames_loses_nothing(
    host: Host, monkeypatch: pytest.MonkeyPatch, moves: int, states: str
) -> None:
    """What is in place by then is known as such, though it may be noted by then or not; the next try does the rest."""
    monkeypatch.setattr(_restore_plan, "unsafe_parent", lambda _path: "")
    host.home.mkdir()
    (host.home / "mine").touch()
    host.server.write_text("as installed")
    left, rename, empty = [moves], os.rename, _restore_run.empty

    def some(source: Any, *rest: Any, **more: Any) -> None:
        if not str(source).endswith(".json.new"):
            left[0] -= 1
            if left[0] < 0:
                raise KilledError
        rename(source, *rest, **more)

    with monkeypatch.context() as patched:
        patched.setattr(os, "rename", some)
        # Nothing is cleaned up after a kill.
        patched.setattr(_restore_run, "empty", lambda path: empty(path) if left[0] >= 0 else None)
        patched.setattr(Restore, "_remove", lambda *_given: None)
        patched.setattr(FakeServer, "commit", lambda _self: some("commit", "nowhere"))
        with pytest.raises(KilledError):
            host.restore()
    assert Path(f"{host.server}.atlassian-dc-new").exists() == (moves in (2, 3))
    found = host.planned()
    assert "".join({DONE: "+", THERE: "-", ABSENT: " "}[item.state] for item in found.items) == states
    assert found.refused == ()

    FakeServer.fresh({"public.jiraissue": 3})
    items = [dataclasses.asdict(item) for item in found.items]
    assert host.restore(items=items, done=progress(str(host.state), "jira1-jira", BACKUP))[0]
    assert (host.home / "data/a.txt").read_text() == "hello"
    assert host.server.read_text() == "0123456789"
    assert Path(f"{host.home}{OLD}/mine").exists()
    assert Path(f"{host.server}{OLD}").read_text() == "as installed"
    assert names_below(host.server.parent) == {"server.xml", f"server.xml{OLD}"}
    assert names_below(host.home.parent) == {
        "jira",
        f"jira{OLD}",
        "jira/data",
        "jira/data/a.txt",
        "jira/dbconfig.xml",
        f"jira{OLD}/mine",
    }


def test_an_empty_folder_gives_way(host: Host) -> None:
    host.home.mkdir()
    assert host.restore()[0]
    assert not Path(f"{host.home}{OLD}").exists()


def test_a_file_system_of_its_own_is_filled(host: Host) -> None:
    host.home.mkdir()
    (host.home / "lost+found").mkdir()
    items = [{"part": "home-jira1", "path": str(host.home), "state": EMPTY, "mounted": True}]
    assert host.restore(items=items)[0]
    assert sorted(os.listdir(host.home)) == ["data", "dbconfig.xml", "lost+found"]


@pytest.mark.parametrize("part", ["open", "home-jira1", "install-jira1", "database"])
def test_what_cannot_be_read_leaves_everything_as_it_was(host: Host, part: str) -> None:
    host.server.write_text("as installed")
    assert [detail for _name, detail in host.problems(failing={part: "damaged"})] == ["damaged"]
    assert not host.home.exists()
    assert host.server.read_text() == "as installed"
    assert "commit" not in FakeServer.steps


def test_files_that_differ_are_not_put_in_place(host: Host) -> None:
    host.files["home-jira1"][f"{host.home}/data/a.txt"] = "jello"
    assert host.problems() == [("sample", f"{host.home}/data/a.txt: other content")]
    assert not host.home.exists()


@pytest.mark.parametrize(("rows", "dump"), [(2, DUMP), (3, DUMP[:-1] + b"X")])
def test_a_database_that_differs_is_not_put_in_place(host: Host, rows: int, dump: bytes) -> None:
    FakeServer.fresh({"public.jiraissue": rows})
    assert [name for name, _detail in host.problems(dump=dump)] == ["database"]
    assert not host.home.exists()
    assert "commit" not in FakeServer.steps


def test_a_database_with_something_in_it_stops_it_before_anything_is_read(host: Host) -> None:
    FakeServer.fresh({}, broken="look")
    assert host.problems() == [("database before", "look does not work")]
    assert not host.home.exists()


def test_the_database_can_be_left_out(host: Host) -> None:
    assert host.restore(database=None)[0]
    assert FakeServer.steps == []


def test_another_try_goes_on_where_the_first_was_cut_off(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    FakeServer.fresh({"public.jiraissue": 3}, broken="commit")
    assert host.problems() == [("in place", "commit does not work")]
    done = progress(str(host.state), "jira1-jira", BACKUP)
    assert done == {str(path): path.stat().st_ino for path in (host.home, host.server)}
    assert progress(str(host.state), "jira1-jira", "20261130T101500Z") == {}
    assert FakeServer.steps[-1] == "discard"

    FakeServer.fresh({"public.jiraissue": 3})
    items = [
        {"part": "home-jira1", "path": str(host.home), "state": DONE, "mounted": False},
        {"part": "install-jira1", "path": str(host.server), "state": DONE, "mounted": False},
    ]
    (host.home / "since").touch()
    assert host.restore(items=items, done=done)[0]
    assert (host.home / "since").exists()
    assert FakeServer.steps[-2:] == ["commit", "discard"]


def test_nothing_is_written_through_a_link_of_somebody_else(host: Host) -> None:
    elsewhere = host.root / "elsewhere"
    elsewhere.mkdir()
    host.server.parent.rmdir()
    host.server.parent.symlink_to(elsewhere)
    assert [name for name, _detail in host.problems()] == ["in place"]
    assert list(elsewhere.iterdir()) == []


def test_set_user_id_is_not_taken_over(host: Host) -> None:
    class Setting(Holding):
        def restore(self, snapshot: str, target: str, paths: Any = ()) -> None:
            super().restore(snapshot, target, paths)
            for path in Path(target).rglob("a.txt"):
                path.chmod(0o6755)

    config: dict[str, Any] = {
        "key": "jira1-jira",
        "backup": BACKUP,
        "items": [{"part": "home-jira1", "path": str(host.home), "state": ABSENT, "mounted": False}],
        "done": {},
        "account": "no-such-account",
        "database": None,
        "state": str(host.state),
    }
    assert Restore(config, "", Setting(host.manifest(), host.files, DUMP), lambda _words: None).run()
    assert (host.home / "data/a.txt").stat().st_mode & 0o7777 == 0o755


def test_progress_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    (tmp_path / "k.progress.json").write_text("{")
    assert progress(str(tmp_path), "k", BACKUP) == {}
    (tmp_path / "k.progress.json").write_text(json.dumps({"backup": BACKUP, "done": {"x": 1}}))
    assert progress(str(tmp_path), "k", BACKUP) == {"x": 1}
