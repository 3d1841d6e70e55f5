# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where even root may not look, as on mounts that squash root: the service account does.

Root gives up its right to pass by permissions, which is what such a mount takes from it.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._changes import Changes
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._permissions_tree import check_trees
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._recorder import Recorder
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._rollback import Rollback, choose_run
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._walk import Mounts
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._permission_trees import permission_trees
from unit.permissions.permission_product import (
    OTHER_UID,
    SERVICE,
    SERVICE_GID,
    SERVICE_UID,
    FullRecorder,
    Product,
    Result,
    needs_root,
    snapshot,
    state,
)
from unit.squash import CAP_CHOWN, CAP_FOWNER, squashed

pytestmark = needs_root


def run(product: Product, check: bool = False, more: tuple[int, ...] = (), **settings: Any) -> Result:
    return Result(squashed(lambda: product.run(check=check, **settings).raw, *more))


@pytest.fixture(autouse=True)
def reachable(tmp_path: Path) -> None:
    """Open the folders on the way, which belong to root, to the service account."""
    for folder in [tmp_path, *tmp_path.parents]:
        if folder != Path("/") and folder != Path("/tmp"):
            folder.chmod(folder.stat().st_mode | stat.S_IXOTH | stat.S_IROTH)


def test_a_closed_folder_is_walked_as_the_service_account(hardened: Product) -> None:
    path = hardened.add("home/data/attachments/DEMO/1", 0o644)
    entries = hardened.run(check=True).raw["statistics"]
    result = run(hardened)
    assert result.statuses["DC-DIR-03"] == "fixed"
    assert state(path) == (SERVICE_UID, SERVICE_GID, 0o640)
    assert str(path) in result.targets
    assert result.raw["statistics"][1]["entries"] == entries[1]["entries"]
    assert str(path) in result.raw["diff"][0]["prepared"]
    again = run(hardened)
    assert not again.changed
    assert set(again.statuses.values()) == {"pass"}


def test_check_mode_predicts_it_and_changes_nothing(product: Product) -> None:
    product.home.chmod(0o700)
    product.path("home/data").chmod(0o700)
    before = snapshot(product.root)
    predicted = run(product, check=True)
    assert snapshot(product.root) == before
    real = run(product)
    assert predicted.raw["dc_changes"] == real.raw["dc_changes"]
    assert predicted.raw["change_count"] == real.raw["change_count"] > 5
    assert "error" not in real.statuses.values()


def test_what_the_account_may_not_change_stays_failed_and_says_why(hardened: Product) -> None:
    path = hardened.add("home/data/attachments/1", 0o640, OTHER_UID, SERVICE_GID)
    result = run(hardened)
    assert result.statuses["DC-DIR-03"] == "fail"
    assert f"tried as {SERVICE} because root may not look here" in result.evidence("DC-DIR-03")[str(path)]
    assert state(path)[0] == OTHER_UID
    assert not result.changed


def test_what_nobody_may_look_at_is_not_checked(hardened: Product) -> None:
    folder = hardened.path("home/data/attachments")
    os.chown(folder, OTHER_UID, OTHER_UID)
    folder.chmod(0o700)
    result = run(hardened, check=True)
    assert result.statuses["DC-DIR-03"] == "fail"  # for the owner of the folder
    assert "Permission denied" in result["DC-DIR-03"]["reason"]
    assert result.statuses["DC-LOG-04"] == "pass"
    assert result.statuses["DC-DIR-05"] == "not_checked"
    assert "error" not in result.statuses.values()


def test_without_an_account_to_ask_nothing_passes(hardened: Product) -> None:
    missing = hardened.instance(service_account="atlassian-dc-none", service_group="atlassian-dc-none")
    result = run(hardened, check=True, instance=missing)
    assert result.statuses["DC-DIR-03"] == "not_checked"
    assert "Permission denied" in result["DC-DIR-03"]["reason"]


def test_a_folder_that_may_be_listed_but_not_searched(hardened: Product) -> None:
    folder = hardened.path("home/data")
    path = hardened.add("home/data/attachments/9", 0o644)
    folder.chmod(0o744)
    result = run(hardened, check=True, more=(CAP_CHOWN, CAP_FOWNER))
    assert str(path) in result.evidence("DC-DIR-03")


def test_a_record_that_fills_up_in_the_process_of_the_account_ends_all_changes(hardened: Product) -> None:
    closed = hardened.path("home/data")
    inside = [hardened.add(f"home/data/attachments/{name}", 0o644) for name in ("1", "2")]
    later = hardened.add("home/export/3", 0o644)
    os.chown(later, SERVICE_UID, SERVICE_GID)
    closed.chmod(0o700)
    result = run(hardened, recorder=FullRecorder(room=1))
    assert sorted(stat.S_IMODE(path.stat().st_mode) for path in [*inside, later]).count(0o644) == 2
    assert result.statuses["DC-DIR-03"] == "fail"
    assert "could not be put right: what is there cannot be saved" in result["DC-DIR-03"]["reason"]


def test_a_process_of_the_account_that_dies_is_no_pass(hardened: Product, monkeypatch: pytest.MonkeyPatch) -> None:
    from ansible_collections.atlassian_dc.hardening.plugins.module_utils._permissions_tree import TreeCheck

    def broken(self: TreeCheck) -> dict[str, Any]:
        raise ValueError

    monkeypatch.setattr(TreeCheck, "_dump", broken)
    result = run(hardened, check=True)
    assert result.statuses["DC-DIR-03"] == "not_checked"


def test_the_account_has_no_right_of_root_left(hardened: Product, monkeypatch: pytest.MonkeyPatch) -> None:
    from ansible_collections.atlassian_dc.hardening.plugins.module_utils._permissions_tree import TreeCheck

    dump = TreeCheck._dump
    seen = hardened.root / "seen"
    seen.write_text("")
    seen.chmod(0o666)

    def spy(self: TreeCheck) -> dict[str, Any]:
        status = Path("/proc/self/status").read_text()
        seen.write_text("\n".join(line for line in status.splitlines() if line.startswith(("Uid", "Gid", "CapEff"))))
        return dump(self)

    monkeypatch.setattr(TreeCheck, "_dump", spy)
    run(hardened, check=True)
    lines = dict(line.split(":", 1) for line in seen.read_text().splitlines())
    assert lines["Uid"].split() == [str(SERVICE_UID)] * 4
    assert lines["Gid"].split() == [str(SERVICE_GID)] * 4
    assert int(lines["CapEff"], 16) == 0


# ---- where root may look, but a server lets it change nothing --------------------------------------


def served(product: Product, check: bool = False, recorder: Recorder | None = None) -> Result:
    """Run it with all of the product on a mount that squashes root."""
    mounts = Mounts("/nonexistent")
    mounts.types[str(product.root)] = "nfs4"
    trees = permission_trees([product.instance()], cross_file_systems=True)

    def work() -> dict[str, Any]:
        changes = Changes(check, recorder=recorder)
        return {**check_trees({"trees": trees}, changes, mounts), **changes.result()}

    return Result(squashed(work, CAP_CHOWN, CAP_FOWNER))


def test_what_is_refused_to_root_is_changed_as_the_service_account(product: Product) -> None:
    everything_else = product.add("home/data/others", 0o644, OTHER_UID, OTHER_UID)
    predicted = served(product, check=True)
    result = served(product)
    for path in product.home.rglob("*"):
        expected = 0o750 if path.is_dir() else 0o600 if path.name == "dbconfig.xml" else 0o640
        assert path == everything_else or state(path) == (SERVICE_UID, SERVICE_GID, expected)
    assert result.evidence("DC-DIR-03").keys() == predicted.evidence("DC-DIR-03").keys()
    assert "not put right" in result.evidence("DC-DIR-03")[str(everything_else)]
    assert state(everything_else) == (OTHER_UID, OTHER_UID, 0o644)
    assert {str(product.home / "log"), str(product.home)} <= set(result.targets) <= set(predicted.targets)
    assert not served(product).changed


def test_without_a_server_a_refusal_stays_one(product: Product) -> None:
    result = run(product, more=(CAP_CHOWN, CAP_FOWNER))
    assert "immutable attribute, which lsattr shows" in result.evidence("DC-DIR-03")[str(product.home)]
    assert not result.changed


# ---- taking it back --------------------------------------------------------------------------------


@pytest.fixture
def recorder(tmp_path: Path) -> Recorder:
    """Return what records a run."""
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)
    return Recorder("run1", "file_permissions", str(folder))


def take_back(recorder: Recorder, check: bool = False, more: tuple[int, ...] = ()) -> dict[str, Any]:
    def work() -> dict[str, Any]:
        _name, lines = choose_run(None, None, str(Path(recorder.runs).parent))
        rollback = Rollback(recorder.folder, check, lambda _argv: (0, "", ""), lambda _line: None)
        rollback.run(lines)
        return {"restored": rollback.restored, "kept": rollback.kept}

    return squashed(work, *more)


def permissions(root: Path) -> dict[str, tuple[int, int, int]]:
    return {str(path): state(path) for path in [root, *root.rglob("*")]}


def test_what_was_changed_as_the_account_is_taken_back_as_the_account(hardened: Product, recorder: Recorder) -> None:
    for name in ("a/1", "a/2", "b/1"):
        hardened.add(f"home/data/attachments/{name}", 0o666)
    hardened.path("home/data/attachments/a").chmod(0o777)
    before = permissions(hardened.home)
    run(hardened, recorder=recorder)
    after = permissions(hardened.home)
    assert after != before
    dry = take_back(recorder, check=True)
    assert permissions(hardened.home) == after
    real = take_back(recorder)
    assert real == dry
    assert real["kept"] == []
    assert {item["target"] for item in real["restored"]} == {path for path in before if before[path] != after[path]}
    assert permissions(hardened.home) == before


def test_what_nobody_may_look_at_is_kept_and_named(hardened: Product, recorder: Recorder) -> None:
    path = hardened.add("home/data/attachments/1", 0o666)
    run(hardened, recorder=recorder)
    os.chown(hardened.path("home/data/attachments"), OTHER_UID, OTHER_UID)
    hardened.path("home/data/attachments").chmod(0o700)
    result = take_back(recorder)
    assert result["kept"] == [f"{path}: neither root nor the account that owned it may look at it"]
    assert state(path)[2] == 0o640


def test_what_a_server_refuses_to_root_is_taken_back_as_the_account(
    product: Product, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = permissions(product.home)
    served(product, recorder=recorder)
    monkeypatch.setattr(Mounts, "served", lambda _self, path: path.startswith(str(product.root)))
    monkeypatch.setattr(Mounts, "point_of", lambda _self, _path: str(product.root))
    result = take_back(recorder, more=(CAP_CHOWN, CAP_FOWNER))
    assert result["kept"] == []
    assert permissions(product.home) == before
