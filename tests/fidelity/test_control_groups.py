# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test hosts on a machine whose control groups are plain version 2, as a namespace makes of any machine."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

from hosts.podman import CHECKOUT, PLAIN_GROUPS

Row = Callable[[str, str, str, bool], None]

SCRIPT = f"""
python=$1
hosts() {{ "$python" tests/hosts/hosts.py --group fidelity-plain "$@"; }}
mount --make-rprivate /
{PLAIN_GROUPS}
PYTHONPATH=tests "$python" -c 'import hosts.podman; print("namespace of its own:", hosts.podman.needs_namespace())'
hosts up plain1=base --fresh
trap 'hosts down' EXIT
hosts exec plain1 -- systemd-run --quiet --wait --pipe stat --file-system --format='in a unit: %T' /sys/fs/cgroup
hosts restart plain1
hosts ssh plain1 systemctl is-system-running
"""
EXPECTED = ("namespace of its own: False", "in a unit: cgroup2fs", "running")


def test_they_run_there_too(row: Row) -> None:
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-euc", SCRIPT, "plain", sys.executable],
        cwd=CHECKOUT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    told = [line for line in EXPECTED if line in done.stdout.splitlines()]
    right = done.returncode == 0 and len(told) == len(EXPECTED)
    row("a host where control groups are plain version 2", ", ".join(EXPECTED), ", ".join(told), right)
    assert right, done.stdout
