# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel's limit on programs that watch files is raised for many hosts, and never lowered."""

from __future__ import annotations

from pathlib import Path

import pytest
from hosts.podman import allow_watchers


@pytest.mark.parametrize(("before", "after"), [("128\n", "1024"), ("8192\n", "8192\n"), ("unknown", "unknown")])
def test_the_limit(tmp_path: Path, before: str, after: str) -> None:
    setting = tmp_path / "max_user_instances"
    setting.write_text(before)
    allow_watchers(setting)
    assert setting.read_text() == after


def test_a_machine_without_it(tmp_path: Path) -> None:
    allow_watchers(tmp_path / "missing")
    assert list(tmp_path.iterdir()) == []
