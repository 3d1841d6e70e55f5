# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Groups of test hosts keep out of each other's way."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from hosts.groups import Group, own_networks
from hosts.podman import Podman
from hosts.progress import HostsError


def test_a_group_whose_name_begins_as_another_one_keeps_its_network() -> None:
    names = ["hosts-backup-a1b2c3", "hosts-backup-cluster-a1b2c3", "hosts-backup-", "hosts-restore-a1b2c3"]
    assert own_networks("hosts-backup-", names) == ["hosts-backup-a1b2c3"]


@pytest.mark.parametrize(("failures", "right"), [(0, True), (1, True), (2, False)])
def test_a_host_that_ends_while_it_is_removed_is_removed_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, failures: int, right: bool
) -> None:
    group = Group("ending", Podman(tmp_path))
    codes = iter([125] * failures + [0] * right)

    def run(*arguments: str, check: bool = True, **_options: Any) -> subprocess.CompletedProcess[bytes]:
        code = next(codes) if arguments[0] == "rm" else 0
        if check and code:
            raise HostsError("open pidfd: No such file or directory")
        return subprocess.CompletedProcess(arguments, code, b"", b"")

    monkeypatch.setattr(group.podman, "prepare", lambda: None)
    monkeypatch.setattr(group.podman, "lines", lambda *_arguments: ["ending-host"])
    monkeypatch.setattr(group.podman, "run", run)
    if right:
        group.down()
    else:
        with pytest.raises(HostsError, match="pidfd"):
            group.down()
    assert list(codes) == []
