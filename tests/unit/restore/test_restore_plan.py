# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes where, and what speaks against it."""

from __future__ import annotations

import dataclasses
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.module_utils import _restore_plan
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._backup_manifest import Manifest, Snapshot
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._restore_plan import (
    ABSENT,
    DONE,
    EMPTY,
    THERE,
    Item,
    folder_of,
    plan,
    state_of,
    unsafe_parent,
)
from unit.restore.manifests import manifest


@pytest.fixture(autouse=True)
def trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_restore_plan, "unsafe_parent", lambda _path: "")


def backed_up(root: Path) -> Manifest:
    """Return a manifest of an instance below a folder."""
    known = manifest()
    parts = [
        dataclasses.replace(part, paths=tuple(f"{root}{path}" for path in part.paths))
        if part.part != "database"
        else part
        for part in known.parts
    ]
    instance = dataclasses.replace(
        known.instance, install_dir=f"{root}{known.instance.install_dir}", home_dir=f"{root}{known.instance.home_dir}"
    )
    return dataclasses.replace(known, parts=tuple(parts), instance=instance)


def made(root: Path, **more: Any) -> _restore_plan.Plan:
    given: dict[str, Any] = {"parts": None, "overwrite": (), "instances": (), "done": {}, **more}
    if given.pop("installed", True):
        Path(f"{root}{manifest().instance.install_dir}").mkdir(parents=True, exist_ok=True)
    return plan(given.pop("of", backed_up(root)), **given)


def test_on_a_host_without_anything_all_is_restored(tmp_path: Path) -> None:
    found = made(tmp_path)
    assert [(item.part, item.state) for item in found.items] == [("home-jira1", ABSENT), ("install-jira1", ABSENT)]
    assert found.database
    assert (found.refused, found.left_out) == ((), ())
    lines = found.lines("jira at localhost:5432")
    assert lines[0].startswith("backup 20261129T101500Z of jira1-jira (jira 10.3.15)")
    assert lines[-1] == "restore the database into jira at localhost:5432"


def test_what_is_there_has_to_be_named(tmp_path: Path) -> None:
    home = Path(str(backed_up(tmp_path).instance.home_dir))
    home.mkdir(parents=True)
    assert made(tmp_path).refused == ()
    (home / "file").touch()
    assert made(tmp_path).refused == (
        f"{home} is there already: name home-jira1 in atlassian_dc_restore_overwrite to have that moved aside",
    )
    assert made(tmp_path, overwrite=["home-jira1"]).refused == ()
    assert made(tmp_path, overwrite=[str(home)]).refused == ()


def test_what_an_earlier_try_has_put_in_place_is_left_alone_while_it_is_there(tmp_path: Path) -> None:
    home = Path(str(backed_up(tmp_path).instance.home_dir))
    done = {str(home): 1, "database": 0}
    assert made(tmp_path, done=done).items[0].state == ABSENT
    home.mkdir(parents=True)
    (home / "file").touch()
    # Somebody has put another one there since.
    assert made(tmp_path, done=done).items[0].state == THERE
    found = made(tmp_path, done={**done, str(home): home.stat().st_ino})
    assert found.items[0].state == DONE
    assert (found.refused, found.database) == ((), False)


def test_a_product_that_is_not_installed_is_told(tmp_path: Path) -> None:
    install = backed_up(tmp_path).instance.install_dir
    assert made(tmp_path, installed=False).refused == (f"{install} is not there: install jira 10.3.15 first",)


def test_only_parts_that_were_asked_for(tmp_path: Path) -> None:
    found = made(tmp_path, parts=["database"])
    assert (found.items, found.database) == ((), True)
    assert found.left_out == ("part home-jira1: not asked for", "part install-jira1: not asked for")
    assert made(tmp_path, parts=["home-jira9"]).refused == (
        "the backup has no part home-jira9; it has database, home-jira1, install-jira1",
    )


@pytest.mark.parametrize("folder", ["install_dir", "home_dir", "shared_home_dir"])
def test_a_product_that_runs_has_to_be_stopped(tmp_path: Path, folder: str) -> None:
    instance = dataclasses.replace(backed_up(tmp_path).instance, shared_home_dir="/srv/shared")
    of = dataclasses.replace(backed_up(tmp_path), instance=instance)
    here = {"name": "jira", "unit": "jira.service", "running": True, folder: getattr(instance, folder)}
    assert made(tmp_path, of=of, instances=[here]).refused == ("jira runs: stop jira.service first",)
    assert made(tmp_path, of=of, instances=[{**here, "running": False}]).refused == ()
    assert made(tmp_path, of=of, instances=[{**here, folder: "/elsewhere"}]).refused == ()


def test_paths_of_somebody_else_are_left_out_unless_they_are_named(tmp_path: Path) -> None:
    known = backed_up(tmp_path)
    outside = f"{tmp_path}/etc/cron.d/evil"
    part = dataclasses.replace(known.parts[2], paths=(outside,))
    of = dataclasses.replace(known, parts=(*known.parts[:2], part))
    found = made(tmp_path, of=of)
    assert [item.path for item in found.items] == list(known.parts[1].paths)
    assert found.left_out == (
        f"{outside}: lies outside the product's folders; name it in atlassian_dc_restore_overwrite to restore it",
    )
    assert [item.path for item in made(tmp_path, of=of, overwrite=[outside]).items][-1] == outside


def test_folders_of_the_system_are_nobody_s_home(tmp_path: Path) -> None:
    of = dataclasses.replace(manifest(), instance=dataclasses.replace(manifest().instance, home_dir="/etc"))
    assert "/etc belongs to the system and cannot be a folder of jira" in made(tmp_path, of=of).refused


def test_a_parent_that_others_may_swap_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_restore_plan, "unsafe_parent", os.path.dirname)
    home = str(backed_up(tmp_path).instance.home_dir)
    assert made(tmp_path).refused == (
        f"{os.path.dirname(home)} can be swapped by others while {home} is restored: chown root:root, chmod go-w",
    )


def test_states_of_paths(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").touch()
    (tmp_path / "link").symlink_to("nowhere")
    names = ("nothing", "empty", "full", "full/file", "full/file/below", "link")
    assert [state_of(str(tmp_path / name))[0] for name in names] == [ABSENT, EMPTY, THERE, THERE, ABSENT, THERE]


def test_a_file_system_of_its_own_is_filled_and_not_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = Path(str(backed_up(tmp_path).instance.home_dir))
    (home / "lost+found").mkdir(parents=True)
    monkeypatch.setattr(os.path, "ismount", lambda path: path == str(home))
    item = made(tmp_path).items[0]
    assert (item.state, item.mounted, item.staging) == (EMPTY, True, f"{home}/.atlassian-dc-new")
    (home / "file").touch()
    assert made(tmp_path, overwrite=["home-jira1"]).refused == (
        f"{home} is a file system of its own and cannot be moved aside: empty it",
    )


def test_others_are_staged_beside_their_place() -> None:
    assert Item("home-x", "/var/home", ABSENT).staging == "/var/home.atlassian-dc-new"


@pytest.mark.parametrize(
    ("owner", "mode", "safe"),
    [
        (0, stat.S_IFDIR | 0o755, True),
        (0, stat.S_IFDIR | 0o1777, True),
        (0, stat.S_IFDIR | 0o775, False),
        (7, stat.S_IFDIR | 0o755, False),
        (0, stat.S_IFLNK | 0o777, False),
    ],
)
def test_only_folders_of_root_are_trusted(monkeypatch: pytest.MonkeyPatch, owner: int, mode: int, safe: bool) -> None:
    monkeypatch.undo()

    def lstat(path: str) -> os.stat_result:
        if path == "/srv/data/deep":
            raise FileNotFoundError
        return os.stat_result(
            (mode if path == "/srv" else stat.S_IFDIR | 0o755, 0, 0, 1, owner if path == "/srv" else 0, 0, 0, 0, 0, 0)
        )

    monkeypatch.setattr(os, "lstat", lstat)
    assert unsafe_parent("/srv/data/deep/home") == ("" if safe else "/srv")


def test_a_shared_home_in_the_home_is_told_by_what_is_needed_of_it() -> None:
    needed = manifest().needed[0]
    shared = dataclasses.replace(needed, tree="shared_home", path="keys/k", place="/var/crowd/shared/keys/k")
    of = dataclasses.replace(manifest(), needed=(needed, shared))
    assert folder_of(of, "shared_home") == "/var/crowd/shared"
    assert folder_of(of, "home") == manifest().instance.home_dir
    assert folder_of(manifest(), "shared_home") is None


def test_what_the_first_start_needs_is_said_where_files_are_of_a_snapshot(tmp_path: Path) -> None:
    first = {"tree": "home", "path": "x.properties", "line": "look=true"}
    known = backed_up(tmp_path)
    assert not any("look=true" in line for line in made(tmp_path, of=known).lines("x", first))
    moment = Snapshot("2026-11-29T10:15:01Z", "2026-11-29T10:15:01Z", "2026-11-29T10:15:03Z", 2.5)
    shot = made(tmp_path, of=dataclasses.replace(known, snapshot=moment))
    assert not any("look=true" in line for line in shot.lines("x"))
    (line,) = [line for line in shot.lines("x", first) if "look=true" in line]
    assert f"look=true in {known.instance.home_dir}/x.properties" in line
    assert "up to 2.5 seconds apart" in line
