# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Snapshots of the storage: what is one, who makes and removes it, and a backup that is taken from it.

The storage is a copy of the home; that it is read-only, on a file system of its own, is said by a stand-in.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.module_utils import _backup_run, _backup_snapshot
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._backup_maintenance import Maintenance
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._backup_manifest import parse_manifest
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._backup_proof import CLOCKS
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._backup_run import LOCK_FILE
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._backup_snapshot import (
    SnapshotError,
    Volumes,
    VolumeSnapshot,
    main,
    mounted_below,
    problem_of,
    run_command,
    serve,
)
from unit.backup.backup_host import START, BackupHost
from unit.backup.maintained import PROTOCOL, Maintained


class Storage:
    """Makes and removes snapshots as commands would."""

    def __init__(self, folder: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.home = home
        self.ran: list[str] = []
        self.run: Callable[[Sequence[str], str, float], str] = self.command
        self.fault = ""
        self.clock = START
        self.writable = False
        for name in ("ROOT", "LEFT"):
            monkeypatch.setattr(_backup_snapshot, name, str(folder / name.lower()))
        self.mounts = folder / "mountinfo"
        self.mounts.write_text("22 1 0:21 / / rw - ext4 /dev/sda rw\n")
        monkeypatch.setattr(_backup_snapshot, "MOUNTS", str(self.mounts))
        monkeypatch.setattr(_backup_snapshot.os, "statvfs", self.flags)
        self.root = folder / "root/jira"
        self.shown = self.root / str(home).lstrip("/")
        self.left = folder / "left/jira"
        self.config: dict[str, Any] = {
            "create": ["create"],
            "remove": ["remove"],
            "root": str(self.root),
            "socket": str(folder / "root/jira.socket"),
            "parts": ["home-jira1"],
            "paths": [str(home)],
            "exclude": [str(home / "caches")],
            "needed": [str(home / "data")],
        }

    def flags(self, _path: str) -> SimpleNamespace:
        return SimpleNamespace(f_flag=0 if self.writable else os.ST_RDONLY)

    def command(self, argv: Sequence[str], folder: str, _seconds: float) -> str:
        assert folder == str(self.root)
        (verb,) = argv
        self.ran.append(verb)
        if self.fault == verb:
            return f"{verb} failed: no space"
        if verb == "remove":
            shutil.rmtree(self.shown, ignore_errors=True)
        elif self.fault != "nothing":
            assert self.left.exists()
            shutil.copytree(self.home, self.shown, dirs_exist_ok=True)
        return ""

    def volumes(self) -> Volumes:
        def sleep(seconds: float) -> None:
            self.clock += seconds

        def now() -> float:
            self.clock += 1
            return self.clock

        return Volumes("jira", self.config, self.run, sleep, now)

    def mount(self, path: str) -> None:
        with self.mounts.open("a") as stream:
            stream.write(f"23 22 0:22 / {path} rw - ext4 /dev/sdb rw\n")


def hiding(storage: Storage, name: str) -> Callable[[Sequence[str], str, float], str]:
    """Return a command that shows but an empty folder in the place of one."""

    def run(argv: Sequence[str], folder: str, seconds: float) -> str:
        problem = storage.command(argv, folder, seconds)
        shutil.rmtree(storage.shown / name)
        (storage.shown / name).mkdir()
        return problem

    return run


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BackupHost:
    return BackupHost(tmp_path, monkeypatch)


@pytest.fixture
def storage(host: BackupHost, monkeypatch: pytest.MonkeyPatch) -> Storage:
    return Storage(host.folder, host.home, monkeypatch)


class TestSeen:
    def test_a_copy_that_cannot_be_written_to_is_one(self, storage: Storage) -> None:
        shutil.copytree(storage.home, storage.shown)
        assert problem_of(str(storage.home), str(storage.shown)) == ""

    def test_the_home_itself_is_none(self, storage: Storage) -> None:
        assert "itself and no snapshot" in problem_of(str(storage.home), str(storage.home))

    def test_nothing_is_none_unless_there_is_nothing(self, storage: Storage) -> None:
        storage.shown.mkdir(parents=True)
        assert "is empty" in problem_of(str(storage.home), str(storage.shown))
        empty = storage.home.parent / "empty"
        empty.mkdir()
        assert problem_of(str(empty), str(storage.shown)) == ""

    def test_what_can_be_written_to_is_none(self, storage: Storage) -> None:
        shutil.copytree(storage.home, storage.shown)
        storage.writable = True
        assert "mount it read-only" in problem_of(str(storage.home), str(storage.shown))

    def test_what_is_not_there_is_none(self, storage: Storage) -> None:
        assert problem_of(str(storage.home), "/nonexistent") == "/nonexistent: No such file or directory"

    def test_mounts_below(self, storage: Storage) -> None:
        storage.mount("/data/a\\040b")
        storage.mount("/data")
        storage.mount("/database")
        assert mounted_below("/data") == ["/data/a b"]


class TestCommands:
    def test_what_it_may_know(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SECRET", "x")
        script = 'test -z "${SECRET:-}"; [ "$ATLASSIAN_DC_SNAPSHOT" = /run/x ]; read -r line || exit 0'
        assert run_command(["/bin/sh", "-euc", script], "/run/x", 10) == ""

    def test_its_words_are_told(self) -> None:
        assert run_command(["/bin/sh", "-c", "echo full >&2; exit 5"], "/", 10) == "sh failed: full"
        assert run_command(["/bin/sh", "-c", "exit 5"], "/", 10) == "sh failed: it ended with 5"
        assert run_command(["/nonexistent"], "/", 10) == "/nonexistent cannot be started: No such file or directory"

    def test_it_is_ended_with_all_it_has_started(self, tmp_path: Path) -> None:
        script = f"sleep 60 & echo $! > {tmp_path}/pid; wait"
        assert run_command(["/bin/sh", "-c", script], "/", 2) == "sh has not ended after 2 seconds"
        state = Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}/stat")
        deadline = time.monotonic() + 50
        while state.exists() and state.read_text().rpartition(")")[2].split()[0] != "Z" and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z"


class TestVolumes:
    def test_made_and_removed(self, storage: Storage) -> None:
        told = storage.volumes().create()
        assert told["begun"] < told["ended"]
        assert (storage.shown / "dbconfig.xml").exists()
        assert storage.root.stat().st_mode & 0o777 == 0o700
        assert storage.volumes().remove() == ""
        assert not storage.root.exists()
        assert not storage.left.exists()
        assert storage.ran == ["create", "remove"]

    def test_nothing_is_removed_where_nothing_was_made(self, storage: Storage) -> None:
        assert storage.volumes().remove() == ""
        assert storage.ran == []

    def test_what_is_left_goes_first(self, storage: Storage) -> None:
        storage.volumes().create()
        storage.volumes().create()
        assert storage.ran == ["create", "remove", "create"]

    def test_nothing_is_made_beside_what_cannot_be_removed(self, storage: Storage) -> None:
        storage.volumes().create()
        storage.fault = "remove"
        with pytest.raises(SnapshotError, match=r"an earlier snapshot is still there: .* remove failed"):
            storage.volumes().create()
        assert storage.ran == ["create", *["remove"] * _backup_snapshot.TRIES]
        assert storage.left.exists()

    def test_a_command_that_says_it_has_removed_it(self, storage: Storage) -> None:
        storage.volumes().create()
        storage.mount(str(storage.shown))
        assert storage.volumes().remove() == f"the snapshot cannot be removed: {storage.shown} is still mounted"

    @pytest.mark.parametrize(("fault", "words"), [("create", "no space"), ("nothing", "is empty")])
    def test_no_snapshot(self, storage: Storage, fault: str, words: str) -> None:
        storage.fault = fault
        with pytest.raises(SnapshotError, match=words):
            storage.volumes().create()

    def test_a_volume_in_the_home_that_it_does_not_show(self, storage: Storage) -> None:
        """A snapshot of one file system has but an empty folder where another is mounted."""
        storage.mount(str(storage.home / "keys"))
        storage.run = hiding(storage, "keys")
        with pytest.raises(SnapshotError, match="keys is empty"):
            storage.volumes().create()

    def test_a_folder_that_a_restore_needs_and_it_does_not_show(self, storage: Storage) -> None:
        """As of a subvolume."""
        storage.run = hiding(storage, "data")
        with pytest.raises(SnapshotError, match="data is empty"):
            storage.volumes().create()

    def test_what_is_not_backed_up_need_not_be_shown(self, storage: Storage) -> None:
        storage.mount(str(storage.home / "caches"))
        shutil.rmtree(storage.home / "log")
        assert storage.volumes().create()


class Served:
    """The service of root, for one connection after the other."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self.codes: list[int] = []
        Path(storage.config["socket"]).parent.mkdir(parents=True, exist_ok=True)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(storage.config["socket"])
        self.listener.listen()
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _address = self.listener.accept()
            except OSError:
                return
            with connection:
                self.codes.append(serve(self.storage.volumes(), connection))

    def ended(self, count: int) -> list[int]:
        deadline = time.monotonic() + 10
        while len(self.codes) < count and time.monotonic() < deadline:
            time.sleep(0.01)
        return self.codes


@pytest.fixture
def served(storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    # Paths of sockets are short.
    short = Path(f"/tmp/{os.getpid()}-{time.monotonic_ns()}.socket")
    storage.config["socket"] = str(short)
    served = Served(storage)
    yield served
    served.listener.close()
    short.unlink()


class TestConnection:
    def test_it_is_there_as_long_as_somebody_is_connected(self, storage: Storage, served: Served) -> None:
        taken = VolumeSnapshot(storage.config, 10)
        taken.take()
        assert storage.shown.exists()
        assert START < taken.begun < taken.ended
        taken.check()
        assert taken.end() == ""
        assert not storage.shown.exists()
        assert served.ended(1) == [0]

    def test_who_is_killed_leaves_none(self, storage: Storage, served: Served) -> None:
        taken = VolumeSnapshot(storage.config, 10)
        taken.take()
        assert taken._connection is not None
        taken._connection.close()
        assert served.ended(1) == [0]
        assert not storage.shown.exists()

    def test_nothing_that_comes_over_it_is_looked_at(self, storage: Storage, served: Served) -> None:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(storage.config["socket"])
            connection.sendall(b'{"create": ["/bin/false"]}\nremove\n' * 1000)
            assert b"begun" in connection.recv(4096)
            assert storage.shown.exists()
        assert served.ended(1) == [0]
        assert storage.ran == ["create", "remove"]

    def test_why_there_is_none(self, storage: Storage, served: Served) -> None:
        storage.fault = "create"
        taken = VolumeSnapshot(storage.config, 10)
        with pytest.raises(SnapshotError, match="no snapshot was made: create failed: no space"):
            taken.take()
        assert not taken.taken
        assert taken.end() == ""
        assert served.ended(1) == [1]
        assert not storage.left.exists()

    def test_one_that_is_not_removed_is_told(self, storage: Storage, served: Served) -> None:
        taken = VolumeSnapshot(storage.config, 10)
        taken.take()
        storage.fault = "remove"
        assert taken.end() == "the snapshot cannot be removed: remove failed: no space"
        assert served.ended(1) == [1]

    def test_one_that_is_removed_meanwhile(self, storage: Storage, served: Served) -> None:
        taken = VolumeSnapshot(storage.config, 10)
        taken.take()
        shutil.rmtree(storage.shown)
        with pytest.raises(SnapshotError, match=r"the snapshot cannot be backed up: .*No such file"):
            taken.check()
        taken.end()

    def test_one_whose_service_has_ended(self, storage: Storage) -> None:
        here, there = socket.socketpair()
        taken = VolumeSnapshot(storage.config, 10)
        taken._connection = here
        storage.volumes().create()
        taken.check()
        there.close()
        with pytest.raises(SnapshotError, match="it was removed meanwhile"):
            taken.check()
        assert "is not known" in taken.end()

    @pytest.mark.parametrize("answer", [b"", b"\xff\n", b"[]\n", b'{"begun": "x", "ended": 1}\n'])
    def test_answers_that_are_none(self, storage: Storage, answer: bytes) -> None:
        storage.config["socket"] = path = f"/tmp/{os.getpid()}-{time.monotonic_ns()}.socket"
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen()

            def tell() -> None:
                connection, _address = listener.accept()
                connection.sendall(answer)
                connection.close()

            thread = threading.Thread(target=tell)
            thread.start()
            with pytest.raises(SnapshotError, match="no snapshot was made"):
                VolumeSnapshot(storage.config, 10).take()
            thread.join()
        os.unlink(path)

    def test_nobody_is_there(self, storage: Storage) -> None:
        with pytest.raises(SnapshotError, match=r"no snapshot was made: .*No such file"):
            VolumeSnapshot(storage.config, 10).take()

    def test_what_comes_after_the_service(
        self, storage: Storage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        monkeypatch.setattr(_backup_snapshot, "run_command", storage.run)
        monkeypatch.setattr(Volumes.__init__, "__defaults__", (storage.run, time.sleep, time.time))
        monkeypatch.setattr(_backup_snapshot.signal, "signal", lambda *_given: None)
        path = tmp_path / "jira.snapshot.json"
        assert main("clear", "jira", str(path)) == 1
        path.write_text(json.dumps(storage.config))
        storage.volumes().create()
        assert main("clear", "jira", str(path)) == 0
        assert not storage.left.exists()
        assert "No such file" in capsys.readouterr().out


def _nothing(_seconds: float) -> None:
    """Wait for nothing."""


class Taken(VolumeSnapshot):
    """A snapshot that is asked for without a service."""

    def __init__(self, storage: Storage, told: Callable[[str], None]) -> None:
        super().__init__(storage.config)
        self.storage = storage
        self.told = told
        self.lost = False

    def take(self) -> None:
        self.told("take")
        told = self.storage.volumes().create()
        self.begun, self.ended = told["begun"], told["ended"]
        self._connection, self._other = socket.socketpair()

    def check(self) -> None:
        if self.lost:
            raise SnapshotError("lost")

    def end(self) -> str:
        self.told("end")
        if self._connection:
            self._connection.close()
            self._other.close()
        return self.storage.volumes().remove()


class Backed:
    """A backup from a snapshot."""

    def __init__(self, host: BackupHost, storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
        self.host, self.storage = host, storage
        self.steps: list[str] = []
        self.taken = Taken(storage, self.steps.append)
        host.config["snapshot"] = storage.config
        original = host.backup

        def backup(*given: str) -> Any:
            made = original(*given)
            made.snapshot_of = lambda _config: self.taken
            return made

        monkeypatch.setattr(host, "backup", backup)


@pytest.fixture
def backed(host: BackupHost, storage: Storage, monkeypatch: pytest.MonkeyPatch) -> Backed:
    return Backed(host, storage, monkeypatch)


class TestBackup:
    def test_it_is_of_the_snapshot_and_tells_the_true_paths(self, backed: Backed) -> None:
        host = backed.host
        state = host.run()
        assert (state.result, state.warnings) == ("success", ())
        (backup,) = host.stored()
        manifest = host.manifest(backup)
        home, install = manifest.part("home-jira1"), manifest.part("install-jira1")
        assert home is not None
        assert install is not None
        assert (home.paths, home.root, install.root) == ((str(host.home),), str(backed.storage.root), "")
        assert {item.path for item in manifest.sample} >= {str(host.home / "keys/key")}
        needed = {item.path: item for item in manifest.needed}
        assert list(needed["keys"].sha256) == [str(host.home / "keys/key")]
        assert needed["data"].place == str(host.home / "data")
        paths = {item["path"] for item in host.restic().files(home.snapshot)}
        assert str(backed.storage.shown / "dbconfig.xml") in paths
        assert not any(path.startswith(str(backed.storage.shown / "caches")) for path in paths)
        assert manifest.snapshot is not None
        assert manifest.snapshot.seconds > 0
        assert state.whole is not None
        assert not any(str(backed.storage.root) in str(item["place"]) for item in state.whole.needed)
        assert not backed.storage.root.exists()

    def test_the_database_is_held_before_and_dumped_after(
        self, backed: Backed, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        psql = backed.host.tools / "psql"
        seen = f"*pg_export_snapshot*) touch {psql}.held; echo 00000003-0000001B-1 ;;\n *pg_export"
        psql.write_text(psql.read_text().replace("*pg_export", seen))
        take = backed.taken.take

        def taking() -> None:
            assert os.path.exists(f"{psql}.held")
            assert not any("database.dump" in command for command in backed.host.commands())
            take()

        monkeypatch.setattr(backed.taken, "take", taking)
        assert backed.host.run().result == "success"

    def test_of_another_database_the_dump_comes_first(self, backed: Backed, monkeypatch: pytest.MonkeyPatch) -> None:
        backed.host.config["database"] = {"kind": "command", "name": "x", "command": ["/bin/echo", "rows"]}
        take = backed.taken.take

        def taking() -> None:
            assert any("database.bin" in command for command in backed.host.commands())
            take()

        monkeypatch.setattr(backed.taken, "take", taking)
        assert backed.host.run().result == "success"
        assert backed.steps == ["take", "end"]

    def test_a_product_that_is_locked_for_the_dump_is_let_go_before_files_are_saved(
        self, backed: Backed, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        product = Maintained()
        backed.host.config["database"] = {"kind": "command", "name": "x", "command": ["/bin/echo", "rows"]}
        backed.host.config["maintenance"] = {"url": "http://git", "protocol": PROTOCOL, "drain": 60}

        def lock(*_given: object) -> Maintenance:
            path = str(backed.host.state / LOCK_FILE)
            return Maintenance("git", "http://git", PROTOCOL, {"token": "t0ken"}, path, 60, product, sleep=_nothing)

        monkeypatch.setattr(_backup_run, "maintenance_of", lock)
        take, save, seen = backed.taken.take, _backup_run.Backup._save_files, []

        def taking() -> None:
            seen.append(product.locked)
            take()

        def saving(*given: Any) -> Any:
            seen.append(product.locked)
            return save(*given)

        monkeypatch.setattr(backed.taken, "take", taking)
        monkeypatch.setattr(_backup_run.Backup, "_save_files", saving)
        assert backed.host.run().result == "success", backed.host.last().reason
        assert seen == [True, False, False]

    def test_no_snapshot_no_backup(self, backed: Backed) -> None:
        backed.storage.fault = "create"
        assert "no space" in backed.host.run().reason
        assert backed.host.whole() == []
        backed.storage.fault = ""
        assert backed.host.run().result == "success"

    def test_one_that_is_lost_is_no_backup(self, backed: Backed) -> None:
        """Its files look as if somebody had removed them meanwhile."""
        backed.taken.lost = True
        assert backed.host.run().reason == "lost"
        assert backed.host.whole() == []

    def test_a_file_of_it_that_cannot_be_read_is_a_gap_even_if_it_is_gone(self, backed: Backed) -> None:
        backed.host.run()
        backed.host.trouble(unreadable=[str(backed.storage.shown / "gone")])
        create = backed.storage.run

        def run(argv: Sequence[str], folder: str, seconds: float) -> str:
            problem = create(argv, folder, seconds)
            if argv == ["create"]:
                (backed.storage.shown / "gone").write_text("x")
            return problem

        backed.storage.run = run
        original = os.path.lexists
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os.path, "lexists", lambda path: not str(path).endswith("gone") and original(path))
            assert "not everything could be read" in backed.host.run().reason

    @pytest.mark.parametrize(("after", "result"), [(CLOCKS / 2, "success"), (CLOCKS * 2, "failure"), (9e6, "success")])
    def test_a_file_that_was_changed_after_it(self, backed: Backed, after: float, result: str) -> None:
        """What tells a snapshot from a second way to the same files; one may have any time of long ago or to come."""
        create = backed.storage.run

        def run(argv: Sequence[str], folder: str, seconds: float) -> str:
            problem = create(argv, folder, seconds)
            if argv == ["create"]:
                moment = backed.storage.clock + 1 + after
                os.utime(backed.storage.shown / "dbconfig.xml", (moment, moment))
            return problem

        backed.storage.run = run
        backed.storage.clock = START
        state = backed.host.run(after=600)
        assert state.result == result, state.reason
        assert ("seconds after the snapshot was made" in state.reason) == (result == "failure")

    def test_one_that_stays_is_told_and_no_failure(self, backed: Backed) -> None:
        backed.storage.fault = "remove"
        state = backed.host.run()
        assert state.result == "success"
        assert state.warnings == ("the snapshot cannot be removed: remove failed: no space",)

    def test_a_lock_of_before_it_is_not_forgotten(self, backed: Backed) -> None:
        """With a snapshot nothing is locked any more, so nothing knows how to let go what was."""
        backed.host.write(f"state/jira/{LOCK_FILE}", "{}")
        assert "see whether the product is still locked" in backed.host.run().reason


def test_a_manifest_without_any_of_it_is_read_as_before(host: BackupHost) -> None:
    host.run()
    (backup,) = host.stored()
    told = json.loads(host.manifest(backup).to_json())
    del told["snapshot"]
    for part in told["parts"]:
        del part["root"]
    manifest = parse_manifest(json.dumps(told))
    assert (manifest.snapshot, {part.root for part in manifest.parts}) == (None, {""})
