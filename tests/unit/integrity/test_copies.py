# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies of baselines on the controller."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._integrity import Copies, CopyError


def test_are_kept_privately_with_a_log(tmp_path: Path) -> None:
    copies = Copies(str(tmp_path / "kept"), "host")
    assert copies.read() is None
    copies.keep(b"one", "run1", {})
    copies.keep(b"two", "run2", {"accepted": ["/x"], "reason": "because"})
    assert copies.read() == b"two"
    log = [json.loads(line) for line in copies.log.read_text().splitlines()]
    assert [(entry["run"], entry.get("reason")) for entry in log] == [("run1", None), ("run2", "because")]
    assert [stat.S_IMODE(path.stat().st_mode) for path in (copies.folder, copies.path, copies.log)] == [
        0o700,
        0o600,
        0o600,
    ]
    assert sorted(path.name for path in copies.folder.iterdir()) == ["host.db.gz", "host.log.jsonl"]


def test_a_name_with_a_slash_stays_in_the_folder(tmp_path: Path) -> None:
    copies = Copies(str(tmp_path), "../../etc/x")
    copies.keep(b"", "run", {})
    assert copies.path.parent == tmp_path


def test_a_folder_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("")
    copies = Copies(str(tmp_path / "kept"), "host")
    with pytest.raises(CopyError, match="kept"):
        copies.read()
    with pytest.raises(CopyError, match="kept"):
        copies.keep(b"", "run", {})
