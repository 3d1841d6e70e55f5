# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where even root may not look, as on mounts that squash root: the service account does.

Root gives up its right to pass by permissions, which is what such a mount takes from it.
"""

from __future__ import annotations

import ctypes
import json
import os
import stat
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
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

pytestmark = needs_root

CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER = 0, 1, 2, 3
CAPABILITY_VERSION_3 = 0x20080522


def drop_capabilities(*numbers: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    header = ctypes.create_string_buffer(struct.pack("<Ii", CAPABILITY_VERSION_3, 0))
    data = ctypes.create_string_buffer(24)
    assert libc.capget(header, data) == 0
    words = list(struct.unpack("<6I", data.raw))
    for number in numbers:
        words[0] &= ~(1 << number)
    assert libc.capset(header, ctypes.create_string_buffer(struct.pack("<6I", *words))) == 0


def squashed(work: Callable[[], dict[str, Any]], *more: int) -> dict[str, Any]:
    """Return what a function returns in a process whose root may not pass by permissions."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            drop_capabilities(CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, *more)
            with os.fdopen(writing, "w") as pipe:
                json.dump(work(), pipe)
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    return dict(json.loads(text))


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
