# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A change that is refused concerns itself alone; a fault of the host ends all changing and fails the task."""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.module_utils import _recorder
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._changes import ChangeError, Changes
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._lock import HostLock
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._recorder import Recorder

ME = (os.getuid(), os.getgid())
FULL = os.strerror(errno.ENOSPC)


class EndedError(Exception):
    """A module that has ended."""


class FakeModule:
    """Keeps what a module ends with."""

    def exit_json(self, **result: Any) -> None:
        raise EndedError({"failed": False, **result})

    def fail_json(self, **result: Any) -> None:
        raise EndedError({"failed": True, **result})


def ended(changes: Changes, msg: str = "", **result: Any) -> dict[str, Any]:
    with pytest.raises(EndedError) as caught:
        changes.exit(FakeModule(), msg, **result)
    found: dict[str, Any] = caught.value.args[0]
    return found


class Host:
    """A folder to change things in, with a tool that answers as told."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = folder / "state"
        self.answer = (0, "", "")
        self.commands: list[list[str]] = []

    def run(self, argv: list[str], **_options: Any) -> tuple[int, str, str]:
        self.commands.append(argv)
        return self.answer

    def changes(self, **options: Any) -> Changes:
        return Changes(False, self.run, recorder=Recorder("run1", "role", str(self.state)), **options)

    def path(self, name: str) -> str:
        return str(self.folder / name)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def failing(name: str, number: int) -> Callable[..., Any]:
    def fail(*_arguments: Any, **_options: Any) -> Any:
        raise OSError(number, os.strerror(number))

    fail.__name__ = name
    return fail


def test_a_file_that_cannot_be_written_is_neither_there_nor_listed(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    Path(host.path("x")).write_text("old")
    changes = host.changes()
    changes.write_file(host.path("first"), "1", owner=ME)
    monkeypatch.setattr(os, "fchmod", failing("fchmod", errno.EPERM))
    with pytest.raises(ChangeError, match="Operation not permitted"):
        changes.write_file(host.path("x"), "new", owner=ME)
    assert Path(host.path("x")).read_text() == "old"
    assert sorted(os.listdir(host.folder)) == ["first", "state", "x"]
    assert [entry["target"] for entry in changes.entries] == [host.path("first")]
    assert [part["after"] for part in changes.diff] == ["1"]
    assert changes.count == 1
    assert changes.fault is None  # it was this file alone


@pytest.mark.parametrize("check_mode", [True, False])
def test_the_diff_shows_what_a_command_changes(host: Host, check_mode: bool) -> None:
    changes = Changes(check_mode, host.run)
    words = ("account jira", "login shell", "/bin/bash", "/usr/sbin/nologin")
    changes.command(["usermod", "--shell", "/usr/sbin/nologin", "jira"], *words)
    assert changes.result()["diff"] == [
        {
            "before_header": "account jira",
            "after_header": "account jira",
            "before": "login shell: /bin/bash\n",
            "after": "login shell: /usr/sbin/nologin\n",
        }
    ]
    assert bool(host.commands) is not check_mode


def test_a_command_that_failed_is_not_in_the_diff(host: Host) -> None:
    changes = host.changes()
    host.answer = (1, "", "usermod: user jira is currently used by process 67")
    with pytest.raises(ChangeError, match="used by process 67"):
        changes.command(["usermod"], "account jira", "groups", "adm", "none")
    assert changes.result()["diff"] == []


def test_what_a_run_that_was_cut_off_has_left_is_overwritten(host: Host) -> None:
    Path(host.path(".atlassian-dc-x.conf")).write_text("half of it")
    host.changes().write_file(host.path("x.conf"), "whole", owner=ME)
    assert sorted(os.listdir(host.folder)) == ["state", "x.conf"]


def test_a_link_in_the_place_of_the_new_file_leads_nowhere(host: Host) -> None:
    Path(host.path("victim")).write_text("root's")
    Path(host.path(".atlassian-dc-x")).symlink_to(host.path("victim"))
    host.changes().write_file(host.path("x"), "mine", owner=ME)
    assert Path(host.path("victim")).read_text() == "root's"
    assert Path(host.path("x")).read_text() == "mine"


def test_a_refused_file_leaves_nothing_and_the_next_one_is_written(host: Host) -> None:
    changes = host.changes()
    with pytest.raises(ChangeError, match="refused: line 1"):
        changes.write_file(host.path("x"), "bad", owner=ME, validate=lambda _path: "line 1")
    assert sorted(os.listdir(host.folder)) == ["state"]
    changes.write_file(host.path("y"), "good", owner=ME)
    assert ended(changes)["failed"] is False


def test_on_a_full_disk_nothing_more_is_attempted_and_the_task_fails(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = host.changes()
    changes.write_file(host.path("first"), "1", owner=ME)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fchmod", failing("fchmod", errno.ENOSPC))
        with pytest.raises(ChangeError, match=f"second: {FULL}"):
            changes.write_file(host.path("second"), "2", owner=ME)
    Path(host.path("third")).write_text("3")
    for change in (
        lambda: changes.write_file(host.path("fourth"), "4", owner=ME),
        lambda: changes.remove_file(host.path("third")),
        lambda: changes.command(["usermod"], "account jira", "shell", "a", "b"),
    ):
        with pytest.raises(ChangeError, match=f"not attempted, because .*second: {FULL}"):
            change()
    assert sorted(os.listdir(host.folder)) == ["first", "state", "third"]
    assert host.commands == []
    result = ended(changes, dc_findings=["what was judged"])
    assert result["failed"] is True
    assert result["dc_findings"] == ["what was judged"]
    assert [entry["target"] for entry in result["dc_changes"]] == [host.path("first")]
    assert result["msg"] == (
        f"{host.path('second')}: {FULL}. No further change was attempted (one made before it stays, recorded for"
        " rollback). Put that right and run this again"
    )


def test_what_cannot_be_saved_is_not_changed_and_nothing_after_it(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    Path(host.path("x")).write_text("old")
    changes = host.changes()
    with monkeypatch.context() as patch:
        patch.setattr(_recorder.os, "fsync", failing("fsync", errno.ENOSPC))
        with pytest.raises(ChangeError, match=f"cannot be saved in .*/state/runs/run1 before it is changed: {FULL}"):
            changes.write_file(host.path("x"), "new", owner=ME)
    handle = os.open(host.path("x"), os.O_PATH)
    mode = stat.S_IMODE(os.fstat(handle).st_mode)
    with pytest.raises(ChangeError, match="not attempted"):
        changes.set_permissions(host.path("x"), handle, os.fstat(handle), -1, -1, 0o400)
    os.close(handle)
    assert Path(host.path("x")).read_text() == "old"
    assert stat.S_IMODE(os.stat(host.path("x")).st_mode) == mode
    result = ended(changes, "the module's own words")
    assert result["msg"].startswith("the module's own words; what is there cannot be saved")
    assert result["changed"] is False


def test_a_record_that_fills_up_ends_between_two_changes(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line that does not fit as a whole announces a change that is not made; the next run closes it."""
    for name in ("a", "b"):
        Path(host.path(name)).write_text(name)
    changes = host.changes()

    def chmod(name: str) -> None:
        handle = os.open(host.path(name), os.O_PATH)
        try:
            changes.set_permissions(host.path(name), handle, os.fstat(handle), -1, -1, 0o400)
        finally:
            os.close(handle)

    chmod("a")
    write = os.write
    with monkeypatch.context() as patch:
        patch.setattr(_recorder.os, "write", lambda handle, data: write(handle, data[:7]))
        with pytest.raises(ChangeError, match=FULL):
            chmod("b")
    assert stat.S_IMODE(os.stat(host.path("b")).st_mode) != 0o400
    assert ended(changes)["failed"] is True
    host.changes().write_file(host.path("c"), "c", owner=ME)
    lines = (host.state / "runs/run1/manifest.jsonl").read_text().splitlines()
    kinds = [json.loads(line) for line in lines if len(line) > 7]
    assert [kind["kind"] if isinstance(kind, dict) else kind[0] for kind in kinds] == [
        "execution",
        "p",
        "execution",
        "file",
    ]


def test_too_much_to_save_concerns_that_file_alone(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_recorder, "MAX_BLOB_BYTES", 3)
    Path(host.path("large")).write_text("large")
    changes = host.changes()
    with pytest.raises(ChangeError, match="larger than 3 bytes"):
        changes.write_file(host.path("large"), "x", owner=ME)
    changes.write_file(host.path("small"), "x", owner=ME)
    assert ended(changes)["failed"] is False


@pytest.mark.parametrize(
    ("words", "fault"), [("usermod: cannot lock /etc/passwd; try again later.", False), (f"cannot write: {FULL}", True)]
)
def test_what_a_tool_says_tells_a_fault_of_the_host(host: Host, words: str, fault: bool) -> None:
    changes = host.changes()
    host.answer = (1, "", words)
    with pytest.raises(ChangeError, match="ended with 1"):
        changes.command(["usermod"], "account jira", "shell", "a", "b")
    assert changes.entries == []
    assert ended(changes)["failed"] is fault


def test_the_end_of_a_module_lets_other_runs_in(host: Host) -> None:
    lock = HostLock("run1", host.path("lock"))
    lock.acquire()
    assert ended(host.changes(lock=lock))["failed"] is False
    HostLock("run2", host.path("lock")).acquire()


def test_nothing_of_it_in_check_mode(host: Host) -> None:
    changes = Changes(True, host.run)
    changes.write_file(host.path("x"), "x", owner=ME)
    assert ended(changes) == {
        "failed": False,
        "changed": True,
        "dc_changes": changes.entries,
        "diff": changes.diff,
    }
    assert os.listdir(host.folder) == []
