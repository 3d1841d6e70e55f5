# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The units that try and restore backups: what they are made of, what they are handed, what is left of them."""

from __future__ import annotations

import ast
import json
import os
import pwd
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.module_utils import _restore_host
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._changes import ChangeError, Changes
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._own_program import PACKAGE, path_of
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._restore_host import (
    ACCOUNT,
    COMMON,
    DRILL_PARTS,
    RESTORE_PARTS,
    Program,
    account_of,
    drill_properties,
    read_results,
    restore_properties,
    scratch_folder,
)

PLUGINS = Path(_restore_host.__file__).parent
CONFIG = {"key": "k", "time_limit": 100}
SECRETS: dict[str, Any] = {"url": "/repository", "password": "pass%word", "environment": {"A": "B"}}


class System:
    """The tools that are called, and what they answer."""

    def __init__(self, active: str = "inactive", code: int = 0) -> None:
        self.active, self.code = active, code
        self.calls: list[list[str]] = []
        self.handed: dict[str, str] = {}
        self.root = Path("/nowhere")

    def run_command(self, argv: list[str], **_more: Any) -> tuple[int, str, str]:
        self.calls.append(argv)
        if argv[0] == "systemctl":
            return 0, f"Id={argv[-1]}\nActiveState={self.active}\n", ""
        if argv[0] == "journalctl":
            return 0, "one\n\n two\n", ""
        if argv[0] == "systemd-run":
            folder = self.root / "run/some-unit"
            self.handed = {name: (folder / f"{name}.json").read_text() for name in ("config", "secrets")}
            assert all((folder / f"{name}.json").stat().st_mode & 0o777 == 0o600 for name in self.handed)
        return self.code, "", "no" * bool(self.code)


def program(tmp_path: Path, system: System, check_mode: bool = False) -> tuple[Program, Changes]:
    system.root = tmp_path
    changes = Changes(check_mode, system.run_command)
    parts, results = DRILL_PARTS, "/var/lib/some/results"
    return Program("some-unit", parts, "_restore_drill", changes, system.run_command, results, str(tmp_path)), changes


def imported(part: str) -> set[str]:
    """Return the files of the collection that one of them imports."""
    tree = ast.parse((PLUGINS / f"{part}.py").read_text())
    names = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    return {name.rpartition(".")[2] for name in names if name.startswith(f"{PACKAGE}.")}


@pytest.mark.parametrize("parts", [DRILL_PARTS, RESTORE_PARTS])
def test_a_program_brings_all_that_it_imports(parts: tuple[str, ...]) -> None:
    assert {name for part in parts for name in imported(part)} <= set(parts)
    assert len(parts) == len(set(parts))


@pytest.mark.parametrize(("parts", "part"), [(DRILL_PARTS, "_restore_drill"), (RESTORE_PARTS, "_restore_run")])
def test_a_program_runs_without_ansible(tmp_path: Path, parts: tuple[str, ...], part: str) -> None:
    system = System()
    system.root = tmp_path
    changes = Changes(False, system.run_command)
    made = Program("some-unit", parts, part, changes, system.run_command, "/results", str(tmp_path))
    made.start(CONFIG, SECRETS, {}, "does")
    started = tmp_path / "run/some-unit/program.py"
    text = started.read_text().replace("/run/some-unit", f"{tmp_path}/run/some-unit").replace("main())", "0)")
    started.write_text(text)
    done = subprocess.run([sys.executable, "-I", "-S", "-B", str(started)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_secrets_are_handed_over_and_removed(tmp_path: Path) -> None:
    system = System()
    made, changes = program(tmp_path, system)
    made.start(CONFIG, SECRETS, {"User": "somebody"}, "does something")

    assert json.loads(system.handed["config"]) == CONFIG
    assert json.loads(system.handed["secrets"]) == SECRETS
    assert not (tmp_path / "run/some-unit/secrets.json").exists()
    (argv,) = [argv for argv in system.calls if argv[0] == "systemd-run"]
    assert "--property=LoadCredential=secrets:/run/some-unit/secrets.json" in argv
    assert {"--property=User=somebody", "--property=RuntimeMaxSec=160"} <= set(argv)
    assert {f"--property={name}={value}" for name, value in COMMON.items()} <= set(argv)
    assert SECRETS["password"] not in " ".join(argv) + json.dumps(changes.result())
    assert (tmp_path / "run/some-unit/lib" / path_of("_restore_drill")).exists()
    assert [change["target"] for change in changes.entries] == ["unit some-unit.service"]

    made.clean()
    assert not (tmp_path / "run/some-unit").exists()
    made.clean()


def test_results_of_an_earlier_run_are_not_taken_for_those_of_this_one(tmp_path: Path) -> None:
    left = tmp_path / "var/lib/some/results"
    left.mkdir(parents=True)
    (left / "k.json").write_text("passed")
    made, _changes = program(tmp_path, System())
    made.start(CONFIG, SECRETS, {}, "does")
    assert list((tmp_path / "var/lib/some").iterdir()) == []
    left.symlink_to(tmp_path)
    with pytest.raises(ChangeError, match="results: "):
        made.start(CONFIG, SECRETS, {}, "does")


def test_secrets_are_removed_where_it_cannot_be_started(tmp_path: Path) -> None:
    system = System(code=1)
    made, changes = program(tmp_path, system)
    with pytest.raises(ChangeError, match=r"some-unit\.service could not be started: no"):
        made.start(CONFIG, SECRETS, {}, "does")
    assert not (tmp_path / "run/some-unit/secrets.json").exists()
    assert changes.count == 0


def test_check_mode_only_says_so(tmp_path: Path) -> None:
    system = System()
    made, changes = program(tmp_path, system, check_mode=True)
    made.start(CONFIG, SECRETS, {}, "does")
    assert changes.count == 1
    assert list(tmp_path.iterdir()) == []


def test_two_at_once_are_refused(tmp_path: Path) -> None:
    made, _changes = program(tmp_path, System(active="active"))
    with pytest.raises(ChangeError, match=r"some-unit\.service runs already"):
        made.start(CONFIG, SECRETS, {}, "does")
    assert made.running
    assert made.journal() == "one; two"


def test_the_account_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    system = System()
    changes = Changes(False, system.run_command)
    assert account_of(changes, "rest:https://x/") == ACCOUNT
    assert [argv[0] for argv in system.calls] == ["useradd"]
    monkeypatch.setattr(pwd, "getpwnam", lambda _name: pwd.getpwuid(0))
    assert account_of(changes, "rest:https://x/") == ACCOUNT
    assert len(system.calls) == 1


def test_a_folder_on_the_host_is_read_by_its_owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changes = Changes(True, System().run_command)
    owner = pwd.getpwnam("daemon")
    stat = os.stat(tmp_path)
    owned = os.stat_result((stat.st_mode, 0, 0, 1, owner.pw_uid, 0, 0, 0, 0, 0))
    monkeypatch.setattr(os, "stat", lambda _path: owned)
    assert account_of(changes, f"local:{tmp_path}") == account_of(changes, str(tmp_path)) == "daemon"


def test_the_scratch_folder_belongs_to_the_account(tmp_path: Path) -> None:
    me = pwd.getpwuid(os.getuid()).pw_name
    changes = Changes(False)
    path = scratch_folder(changes, str(tmp_path), me)
    assert path == str(tmp_path / ACCOUNT)
    assert os.stat(path).st_mode & 0o777 == 0o700
    assert scratch_folder(changes, str(tmp_path), me) == path
    assert changes.count == 1


@pytest.mark.parametrize("kind", ["file", "link"])
def test_something_else_in_its_place_is_refused(tmp_path: Path, kind: str) -> None:
    if kind == "file":
        (tmp_path / ACCOUNT).touch()
    else:
        (tmp_path / ACCOUNT).symlink_to("/")
    with pytest.raises(ChangeError, match="is there already and does not belong to"):
        scratch_folder(Changes(False), str(tmp_path), pwd.getpwuid(os.getuid()).pw_name)


def test_a_drill_has_no_rights_and_sees_no_database() -> None:
    told = drill_properties("somebody", "/scratch", "unit")
    assert (told["User"], told["CapabilityBoundingSet"], told["ReadWritePaths"]) == ("somebody", "", "/scratch")
    assert "/run/postgresql" in told["InaccessiblePaths"]


def test_a_restore_writes_below_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "a b").mkdir()
    told = restore_properties([str(tmp_path / "a b/not/yet"), str(tmp_path / "a b")], "unit")
    assert told["ReadWritePaths"] == f'"{tmp_path}/a b"'
    assert "CAP_MKNOD" not in told["CapabilityBoundingSet"]


def test_only_regular_files_are_results(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{}")
    (tmp_path / "b.json").symlink_to("/etc/passwd")
    (tmp_path / "c.txt").write_text("x")
    (tmp_path / "d.json").write_text("x" * 100)
    assert read_results(str(tmp_path), 50) == {"a": b"{}"}
    assert read_results(str(tmp_path / "nowhere"), 50) == {}
