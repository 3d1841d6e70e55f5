# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wait for a moment on a host, and do what is told then: `watch.py MOMENT [kill | cut ADDRESS WORDS]`.

`kill` ends all other Python programs, `cut` lets no SSH packet in from an address that nftables describes so.

A moment is a Python expression over `there(path)`, whether a file exists, and `told(words...)`, what a program prints.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

SECONDS = 300
PAUSE = 0.001


def there(path: str) -> bool:
    return os.path.lexists(path)


def told(*words: str) -> str:
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout


def end_modules() -> None:
    """End what runs Ansible's modules, as a host that loses power would."""
    for path in Path("/proc").glob("[0-9]*/comm"):
        with contextlib.suppress(OSError):  # gone meanwhile
            pid = int(path.parent.name)
            if pid != os.getpid() and path.read_text() == "python3\n":
                os.kill(pid, signal.SIGKILL)


deadline = time.monotonic() + SECONDS
while not eval(sys.argv[1]):  # noqa: S307 - written in the test
    if time.monotonic() > deadline:
        sys.exit(f"never: {sys.argv[1]}")
    time.sleep(PAUSE)
if "kill" in sys.argv[2:]:
    end_modules()
if "cut" in sys.argv[2:]:
    rule = f"ip saddr {sys.argv[3]} tcp dport 22 {sys.argv[4]} drop"
    chain = f"chain input {{ type filter hook input priority -300; {rule}; }}"
    subprocess.run(["nft", f"table inet cut {{ {chain}; }}"], check=True)
