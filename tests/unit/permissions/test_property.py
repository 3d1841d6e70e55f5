# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever a product's trees look like: after a run a fresh check passes, and nothing outside them has changed."""

from __future__ import annotations

import os
import shutil
import stat
import struct
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from unit.permissions.permission_product import (
    OTHER_UID,
    READER,
    READER_UID,
    SERVICE_GID,
    SERVICE_UID,
    Product,
    needs_root,
    snapshot,
)

pytestmark = needs_root

ACL = "system.posix_acl_access"
NAMES = st.sampled_from(["a", "b.sh", "logs", "work", "conf", "server.xml", "dbconfig.xml", "x\ny", "\udcff"])
IDS = st.sampled_from([0, SERVICE_UID, SERVICE_GID, OTHER_UID, READER_UID, 54321])
PERMISSION = st.integers(0, 7)


@st.composite
def acls(draw: st.DrawFn) -> bytes:
    users = draw(st.dictionaries(IDS, PERMISSION, max_size=2))
    groups = draw(st.dictionaries(IDS, PERMISSION, max_size=2))
    entries = [(1, draw(PERMISSION), 0xFFFFFFFF)]
    entries += [(2, permission, uid) for uid, permission in sorted(users.items())]
    entries.append((4, draw(PERMISSION), 0xFFFFFFFF))
    entries += [(8, permission, gid) for gid, permission in sorted(groups.items())]
    entries += [(16, draw(PERMISSION), 0xFFFFFFFF), (32, draw(PERMISSION), 0xFFFFFFFF)]
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


ENTRY = st.tuples(
    st.sampled_from(["install", "home"]),
    st.lists(NAMES, min_size=1, max_size=3),
    st.sampled_from(["file", "file", "folder", "link", "fifo"]),
    st.integers(0, 0o7777),
    IDS,
    IDS,
    st.none() | acls(),
    st.none() | acls(),
)


def build(product: Product, outside: Path, entries: list[tuple]) -> None:
    for tree, names, kind, mode, uid, gid, access, default in entries:
        path = os.path.join(product.path(tree), *names)
        parent = os.path.dirname(path)
        try:
            os.makedirs(parent, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            continue
        if os.path.lexists(path) or os.path.islink(parent):
            continue
        if not os.path.realpath(parent).startswith(str(product.root)):
            continue
        if kind == "link":
            os.symlink(outside / "target", path)
            continue
        if kind == "folder":
            os.mkdir(path)
        elif kind == "fifo":
            os.mkfifo(path)
        else:
            with open(path, "w"):
                pass
        os.chown(path, uid, gid)
        os.chmod(path, mode)
        if access is not None:
            os.setxattr(path, "system.posix_acl_access", access)
        if default is not None and kind == "folder":
            os.setxattr(path, "system.posix_acl_default", default)


def writers(path: str, mode: int) -> list[object]:
    """Return who may write apart from root."""
    names = os.listxattr(path, follow_symlinks=False)
    data = os.getxattr(path, "system.posix_acl_access", follow_symlinks=False) if ACL in names else b""
    found: list[object] = ["other"] if mode & 0o002 else []
    mask = mode >> 3 & 7
    for tag, permission, number in struct.iter_unpack("<HHI", data[4:]) if data else [(4, mask, 0)]:
        if permission & mask & 2 and (tag in (4, 8) or (tag == 2 and number)):
            found.append((tag, number))
    return found


def accessible(mode: int, uid: int, gid: int) -> int:
    """Return what the service account may do by owner, group or other bits."""
    if uid == SERVICE_UID:
        return mode >> 6 & 7
    return mode >> 3 & 7 if gid == SERVICE_GID else mode & 7


@settings(max_examples=60)
@given(
    entries=st.lists(ENTRY, max_size=12),
    readers=st.sampled_from([[], [{"user": READER}], [{"group": str(READER_UID)}]]),
)
def test_one_run_is_enough_and_stays_inside(entries: list[tuple], readers: list[dict]) -> None:
    root = Path(tempfile.mkdtemp(prefix="permissions-"))
    try:
        outside = root / "outside"
        (outside / "target").mkdir(parents=True)
        (outside / "target" / "file").write_text("x")
        (outside / "target" / "file").chmod(0o777)
        product = Product(root / "product")
        build(product, outside, entries)
        contents = {path: values[5] for path, values in snapshot(product.root).items()}
        before = snapshot(outside)
        policy = {"readers": readers}

        predicted = product.run(check=True, settings=policy)
        real = product.run(settings=policy)
        assert predicted.raw["dc_changes"] == real.raw["dc_changes"]
        assert real.failing == set()
        again = product.run(settings=policy)
        assert not again.changed, again.raw["dc_changes"]
        assert "fail" not in again.statuses.values()
        assert snapshot(outside) == before
        assert {path: values[5] for path, values in snapshot(product.root).items()} == contents

        for path in contents:
            info = os.lstat(path)
            if stat.S_ISLNK(info.st_mode) or path in (str(product.root), str(product.root / "apps")):
                continue
            assert not info.st_mode & 0o002
            written = path.startswith(str(product.home)) or any(
                path == folder or path.startswith(f"{folder}/") for folder in product.instance()["working_dirs"]
            )
            if written:
                assert info.st_uid == SERVICE_UID
                assert not info.st_mode & 0o007
                assert accessible(info.st_mode, info.st_uid, info.st_gid) & 4
            else:
                assert info.st_uid == 0
                assert not writers(path, info.st_mode)
    finally:
        shutil.rmtree(root, ignore_errors=True)
