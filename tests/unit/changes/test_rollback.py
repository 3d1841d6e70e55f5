# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is changed is saved first, and comes back."""

from __future__ import annotations

import errno
import json
import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._changes import ChangeError, Changes
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._recorder import (
    KEPT_RUNS,
    Recorder,
    RecordError,
    begin_of_run,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._rollback import (
    Rollback,
    RollbackError,
    choose_run,
)
from hypothesis import given, settings
from hypothesis import strategies as st

ME = (os.getuid(), os.getgid())


class Host:
    """A folder to change things in, and the state folder that records it."""

    def __init__(self, folder: Path) -> None:
        self.files = folder / "files"
        self.state = folder / "state"
        self.files.mkdir(parents=True)
        self.state.mkdir()
        self.commands: list[list[str]] = []
        self.running: list[str] = []
        self._recorder: Recorder | None = None

    def command(self, argv: list[str], **_options: Any) -> tuple[int, str, str]:
        self.commands.append(argv)
        if argv[:2] == ["systemctl", "show"]:
            units = argv[argv.index("--") + 1 :]
            states = (f"Id={u}\nActiveState={'active' if u in self.running else 'inactive'}\n" for u in units)
            return 0, "\n".join(states), ""
        if "full" in argv:
            return 1, "", "usermod: /etc/passwd: No space left on device"
        return (1, "", "no such account") if "fails" in argv else (0, "", "")

    def changes(self, run: str = "run1", role: str | None = "service_user", check_mode: bool = False) -> Changes:
        if self._recorder is not None:
            self._recorder.close()  # each execution of a module is a process of its own
        self._recorder = Recorder(run, role, str(self.state))
        return Changes(check_mode, self.command, recorder=self._recorder)

    def rollback(self, run: str | None = None, roles: list[str] | None = None, check_mode: bool = False) -> Rollback:
        name, lines = choose_run(run, roles, str(self.state))
        folder = self.state / "runs" / name
        rollback = Rollback(str(folder), check_mode, self.command, lambda _line: None)
        rollback.run(lines)
        if lines and not check_mode:
            with open(folder / "undone.jsonl", "a") as stream:
                stream.write(json.dumps({"roles": roles}) + "\n")
        return rollback

    def chmod(self, changes: Changes, path: Path, mode: int) -> None:
        handle = os.open(path, os.O_PATH | os.O_NOFOLLOW)
        try:
            changes.set_permissions(str(path), handle, os.fstat(handle), -1, -1, mode)
        finally:
            os.close(handle)

    def snapshot(self) -> dict[str, Any]:
        found = {}
        for path in sorted(self.files.rglob("*")):
            info = path.lstat()
            content: Any = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else None
            times = info.st_mtime_ns if path.is_file() and not path.is_symlink() else None
            found[str(path)] = (stat.S_IFMT(info.st_mode), stat.S_IMODE(info.st_mode), info.st_uid, content, times)
        return found


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_everything_comes_back(host: Host) -> None:
    (host.files / "edited").write_text("old")
    (host.files / "gone").write_bytes(b"\xff\x00")
    (host.files / "link").symlink_to("/nowhere")
    (host.files / "odd\nname\udcff").write_text("x")
    before = host.snapshot()
    changes = host.changes()
    changes.write_file(str(host.files / "edited"), "new", mode=0o600, owner=ME)
    changes.write_file(str(host.files / "edited"), "newer", mode=0o640, owner=ME)
    changes.write_file(str(host.files / "a/b/created"), "x", owner=ME)
    changes.remove_file(str(host.files / "gone"))
    changes.remove_file(str(host.files / "link"))
    host.chmod(changes, host.files / "odd\nname\udcff", 0o400)
    host.chmod(changes, host.files / "edited", 0o400)
    assert host.snapshot() != before
    rollback = host.rollback()
    assert host.snapshot() == before
    assert rollback.kept == []


def test_the_first_change_of_all_may_lie_beside_the_record(host: Host) -> None:
    host.state.rmdir()
    host.changes().write_file(str(host.state / "staged/jira.conf"), "x", owner=ME)
    assert (host.state / "staged/jira.conf").read_text() == "x"
    assert host.rollback().kept == []
    assert not (host.state / "staged").exists()


def test_check_mode_says_the_same_and_changes_nothing(host: Host) -> None:
    (host.files / "edited").write_text("old")
    changes = host.changes()
    changes.write_file(str(host.files / "edited"), "new", owner=ME)
    changes.write_file(str(host.files / "staged"), "x", owner=ME)
    changes.remove_file(str(host.files / "staged"))
    host.chmod(changes, host.files / "edited", 0o400)
    after = host.snapshot()
    dry = host.rollback(check_mode=True)
    assert host.snapshot() == after
    assert dry.restored == host.rollback().restored


def test_a_run_that_was_refused_everything_is_not_the_one_to_take_back(host: Host, monkeypatch: Any) -> None:
    path = host.files / "stuck"
    path.write_text("x")
    path.chmod(0o644)
    host.chmod(host.changes("run1"), path, 0o600)

    def refuse(*_arguments: Any) -> None:
        raise PermissionError(1, "Operation not permitted")

    changes = host.changes("run2")
    with monkeypatch.context() as patch:
        patch.setattr(os, "chmod", refuse)
        patch.setattr(os, "setxattr", refuse)
        with pytest.raises(ChangeError):
            host.chmod(changes, path, 0o400)
        descriptor = os.open(path, os.O_PATH)
        with pytest.raises(ChangeError):
            changes.set_xattr(str(path), descriptor, "user.x", b"1", "attribute", "absent", "present")
        os.close(descriptor)
    assert choose_run(None, None, str(host.state))[0] == "run1"
    assert host.rollback().kept == []
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_what_was_changed_since_is_kept_and_named(host: Host) -> None:
    for name in ("content", "mode"):
        (host.files / name).write_text("old")
    changes = host.changes()
    changes.write_file(str(host.files / "content"), "new", owner=ME)
    host.chmod(changes, host.files / "mode", 0o400)
    (host.files / "content").write_text("by hand")
    (host.files / "mode").chmod(0o444)
    rollback = host.rollback()
    assert (host.files / "content").read_text() == "by hand"
    assert stat.S_IMODE((host.files / "mode").stat().st_mode) == 0o444
    assert len(rollback.kept) == 2


def test_a_file_replaced_or_removed_since_is_not_touched(host: Host) -> None:
    (host.files / "rotated").write_text("old")
    (host.files / "removed").write_text("old")
    changes = host.changes()
    host.chmod(changes, host.files / "rotated", 0o600)
    host.chmod(changes, host.files / "removed", 0o600)
    (host.files / "rotated.new").write_text("new")
    (host.files / "rotated.new").chmod(0o640)
    (host.files / "rotated.new").rename(host.files / "rotated")
    (host.files / "removed").unlink()
    host.rollback()
    assert stat.S_IMODE((host.files / "rotated").stat().st_mode) == 0o640


def test_a_folder_swapped_for_a_link_leads_nowhere(host: Host) -> None:
    outside = host.files / "outside"
    outside.mkdir()
    (outside / "victim").write_text("root's")
    tree = host.files / "tree"
    tree.mkdir()
    (tree / "victim").write_text("mine")
    changes = host.changes()
    changes.write_file(str(tree / "victim"), "hardened", owner=ME)
    changes.remove_file(str(tree / "victim"))
    (tree).rename(host.files / "moved")
    tree.symlink_to(outside)
    rollback = host.rollback()
    assert (outside / "victim").read_text() == "root's"
    assert rollback.kept


def test_by_role(host: Host) -> None:
    for role in ("service_user", "file_permissions"):
        host.changes(role=role).write_file(str(host.files / role), "x", owner=ME)
    host.rollback(roles=["file_permissions"])
    assert [path.name for path in host.files.iterdir()] == ["service_user"]
    host.rollback()
    assert list(host.files.iterdir()) == []
    assert host.rollback().restored == []


def test_later_runs_come_first(host: Host) -> None:
    for run in ("run1", "run2"):
        host.changes(run).write_file(str(host.files / run), "x", owner=ME)
    with pytest.raises(RollbackError, match=r"run2.*later"):
        host.rollback("run1")
    host.rollback()
    host.rollback("run1")
    assert list(host.files.iterdir()) == []


def test_an_unknown_run_is_named_with_those_there_are(host: Host) -> None:
    host.changes("run1").write_file(str(host.files / "x"), "x", owner=ME)
    with pytest.raises(RollbackError, match=r"'nope'.*run1"):
        host.rollback("nope")


def test_nothing_recorded_is_nothing_to_do(host: Host) -> None:
    host.changes(check_mode=True).write_file(str(host.files / "x"), "x", owner=ME)
    assert list(host.state.iterdir()) == []
    assert host.rollback().restored == []


def test_commands_are_taken_back_in_reverse_and_failures_named(host: Host) -> None:
    changes = host.changes()
    changes.command(["usermod", "--lock", "jira"], "account jira", "password", "set", "locked", ["usermod", "--unlock"])
    changes.command(["x"], "account y", "shell", "a", "b", ["fails"])
    changes.command(["systemctl", "daemon-reload"], "systemd", "units", "old", "new")
    host.commands.clear()
    rollback = host.rollback()
    assert host.commands == [["fails"], ["usermod", "--unlock"]]
    assert rollback.restored == [
        {"target": "account jira", "attribute": "password", "before": "locked", "after": "set"}
    ]
    assert rollback.kept == ["account y: shell: no such account"]


def test_what_there_is_to_tell_of_a_run(host: Host) -> None:
    (host.files / "x").write_text("old")
    changes = host.changes(role="service_user")
    changes.command(["groupadd"], "group jira", "existence", "absent", "a system group")
    changes.command(["useradd"], "account jira", "existence", "absent", "a system account")
    changes.command(["usermod"], "account crowd", "shell", "a", "b", ["usermod", "--shell", "a"])
    changes.command(["usermod"], "account crowd", "groups", "adm", "none", ["usermod", "--groups", "adm"])
    changes.command(["systemctl", "daemon-reload"], "systemd", "units", "old", "new")
    changes = host.changes(role="file_permissions")
    host.chmod(changes, host.files / "x", 0o600)
    changes.write_file(str(host.files / "x"), "new", owner=ME)
    changes.write_file(str(host.files / "made/y"), "new", owner=ME)
    _name, lines = choose_run(None, None, str(host.state))
    assert {line["role"] for line in lines} == {"service_user", "file_permissions"}
    assert (begin_of_run(str(host.state / "runs/run1")) or 0) > 1_700_000_000
    dry, real = host.rollback(check_mode=True), host.rollback()
    for rollback in (dry, real):
        assert rollback.stay == ["account jira", "group jira"]
        assert rollback.targets("account") == ["crowd"]
        assert rollback.paths == 3  # x, made and made/y


def test_a_record_without_a_beginning_tells_none(host: Host) -> None:
    folder = host.state / "runs/run1"
    folder.mkdir(parents=True)
    assert begin_of_run(str(folder)) is None
    (folder / "manifest.jsonl").write_text('{"kind": "exec')
    assert begin_of_run(str(folder)) is None


@pytest.mark.parametrize(
    ("running", "stopped", "told"),
    [
        (["jira.service"], [], ["jira.service"]),
        (["jira.service"], ["jira.service"], []),
        ([], [], []),
    ],
)
def test_products_that_go_on_as_they_were_started(
    host: Host, running: list[str], stopped: list[str], told: list[str]
) -> None:
    host.running = running
    rollback = Rollback(str(host.state), False, host.command, lambda _line: None)
    rollback.units = {"jira.service", "crowd.service"}
    assert rollback.still_running(stopped) == told


def test_on_a_full_disk_the_rest_is_restored_and_the_run_can_be_taken_back_again(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("first", "second"):
        (host.files / name).write_text("old")
    (host.files / "closed").write_text("x")
    before = host.snapshot()
    changes = host.changes()
    for content in ("new", "newer"):
        changes.write_file(str(host.files / "first"), content, owner=ME)
        changes.write_file(str(host.files / "second"), content, owner=ME)
    host.chmod(changes, host.files / "closed", 0o400)
    host.chmod(changes, host.files / "closed", 0o444)
    real = os.fchmod

    def full(descriptor: int, mode: int) -> None:
        if os.readlink(f"/proc/self/fd/{descriptor}").endswith("second"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(descriptor, mode)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fchmod", full)
        partial = Rollback(str(host.state / "runs/run1"), False, host.command, lambda _line: None)
        partial.run(choose_run(None, None, str(host.state))[1])
    assert partial.faults == [f"{host.files / 'second'}: No space left on device"] * 2
    assert str(host.files / "second") not in [item["target"] for item in partial.restored]
    assert (host.files / "first").read_text() == "old"
    assert (host.files / "second").read_text() == "newer"
    assert [path.name for path in host.files.iterdir() if path.name.startswith(".")] == []
    again = host.rollback()
    assert host.snapshot() == before
    assert again.kept == again.faults == []


def test_a_tool_that_finds_the_disk_full_is_a_fault(host: Host) -> None:
    host.changes().command(["usermod"], "account jira", "shell", "a", "b", ["full"])
    rollback = host.rollback()
    assert rollback.faults == ["account jira: shell: usermod: /etc/passwd: No space left on device"]
    assert rollback.kept == []


def test_a_line_cut_short_hides_nothing_else(host: Host) -> None:
    host.changes().write_file(str(host.files / "first"), "x", owner=ME)
    manifest = host.state / "runs/run1/manifest.jsonl"
    with open(manifest, "a") as stream:
        stream.write('{"kind": "file", "path": "/tm')
    host.changes().write_file(str(host.files / "second"), "x", owner=ME)
    host.rollback()
    assert list(host.files.iterdir()) == []


def test_only_the_last_runs_are_kept_and_all_is_private(host: Host) -> None:
    for number in range(KEPT_RUNS + 3):
        host.changes(f"run{number}").write_file(str(host.files / "x"), str(number), owner=ME)
    runs = sorted(path.name for path in (host.state / "runs").iterdir())
    assert runs == [f"run{number}" for number in range(3, KEPT_RUNS + 3)]
    modes = {stat.S_IMODE(path.stat().st_mode) & 0o077 for path in (host.state / "runs").rglob("*") if path.is_file()}
    assert modes == {0}
    assert stat.S_IMODE((host.state / "runs").stat().st_mode) == 0o700


def kept(host: Host) -> list[str]:
    return sorted(path.name for path in (host.state / "runs").iterdir())


def refused_everything(host: Host, run: str) -> None:
    """Leave the record of a run that changed nothing: announced, refused, and saved once more as it was."""
    recorder = Recorder(run, "file_permissions", str(host.state))
    info = os.stat(host.files)
    before = (info.st_uid, info.st_gid, stat.S_IMODE(info.st_mode))
    recorder.permissions(str(host.files), info, *before[:2], 0o700)
    recorder.permissions(str(host.files), info, *before)
    recorder.close()


def test_runs_that_changed_nothing_do_not_push_out_one_that_did(host: Host) -> None:
    host.changes("run0").write_file(str(host.files / "x"), "0", owner=ME)
    for number in range(1, KEPT_RUNS + 3):
        if number % 2:
            refused_everything(host, f"run{number}")
        else:
            host.changes(f"run{number}").prepare()
    assert kept(host) == ["run0", *(f"run{number}" for number in range(4, KEPT_RUNS + 3))]
    host.rollback()
    assert not (host.files / "x").exists()


def test_a_run_that_is_taken_back_as_a_whole_goes_before_one_that_is_not(host: Host) -> None:
    for number in range(KEPT_RUNS):
        host.changes(f"run{number}", role="service_user" if number else None).write_file(
            str(host.files / str(number)), "x", owner=ME
        )
    host.rollback(f"run{KEPT_RUNS - 1}")
    host.rollback(f"run{KEPT_RUNS - 2}", roles=["file_permissions"])  # it has changed nothing of that role
    host.changes("run9").write_file(str(host.files / "x"), "x", owner=ME)
    assert kept(host) == [*(f"run{number}" for number in range(KEPT_RUNS - 1)), "run9"]


@pytest.mark.parametrize(
    "cut", ["after the change", "in the line after it", "before the change", "unreadable", "unknown"]
)
def test_the_record_of_an_interrupted_run_is_not_taken_for_an_empty_one(host: Host, cut: str) -> None:
    recorder = Recorder("run0", "service_user", str(host.state))
    path = host.files / "x"
    path.write_text("old")
    recorder.file(str(path), path.lstat(), b"old", b"new")  # never closed
    manifest = host.state / "runs/run0/manifest.jsonl"
    if cut != "before the change":
        path.write_text("new")
    if cut == "in the line after it":
        with manifest.open("a") as stream:
            stream.write('["p","/et')
    elif cut == "unreadable":
        manifest.unlink()
        manifest.mkdir()
    elif cut == "unknown":
        manifest.write_text('{"of": "a later version"}\n')
    for number in range(1, KEPT_RUNS + 3):
        refused_everything(host, f"run{number}")
    assert "run0" in kept(host)
    assert len(kept(host)) == KEPT_RUNS
    if cut in ("after the change", "in the line after it"):
        host.rollback()
        assert path.read_text() == "old"


@pytest.mark.parametrize("name", ["../x", "", "a/b", ".hidden", "x" * 65])
def test_a_run_cannot_lead_out_of_its_folder(host: Host, name: str) -> None:
    with pytest.raises(RecordError):
        Recorder(name, None, str(host.state))


NAMES = st.sampled_from(["a", "b", "d/c", "d/e/f"])
STEPS: dict[str, Callable[[Host, Changes, Path, int], Any]] = {
    "write": lambda host, changes, path, n: changes.write_file(str(path), str(n), mode=0o600 + n % 8, owner=ME),
    "remove": lambda host, changes, path, n: changes.remove_file(str(path)),
    "chmod": lambda host, changes, path, n: host.chmod(changes, path, 0o400 + n) if path.exists() else None,
}


@settings(max_examples=60)
@given(st.lists(st.tuples(st.sampled_from(sorted(STEPS)), NAMES, st.integers(0, 63)), max_size=12))
def test_any_sequence_of_changes_comes_back(steps: list[tuple[str, str, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        host = Host(Path(folder))
        (host.files / "a").write_text("was here")
        (host.files / "d").mkdir()
        (host.files / "d/c").write_text("was here too")
        before = host.snapshot()
        changes = host.changes()
        for what, name, number in steps:
            STEPS[what](host, changes, host.files / name, number)
        rollback = host.rollback()
        assert host.snapshot() == before
        assert rollback.kept == []
