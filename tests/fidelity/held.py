# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Units that wait at a place of their work until a test goes on, however fast or slow the machine is."""

from __future__ import annotations

from .lab import Lab

FOLDER = "/usr/local/hold"
WAITING = "sleep 98765"
"""What a program does that waits."""


def hold(lab: Lab, host: str, unit: str) -> None:
    """Have a unit of a host look for its programs in a folder of ours first, until the host is started again."""
    folder = f"/run/systemd/system/{unit}.d"
    lab.sh(
        host,
        f"""
        mkdir -p {FOLDER} {folder}
        printf '[Service]\\nEnvironment=PATH={FOLDER}:/usr/sbin:/usr/bin:/sbin:/bin\\n' > {folder}/hold.conf
        systemctl daemon-reload
        """,
    )


def put(lab: Lab, host: str, program: str, first: str) -> None:
    """Put a script into the place of a program, which begins with `first` and is the program then."""
    text = f'#!/bin/sh\n{first}\nexec /usr/bin/{program} "$@"\n'
    lab.sh(host, f"cat > {FOLDER}/{program} << 'END'\n{text}END\nchmod 755 {FOLDER}/{program}")


def reached(lab: Lab, host: str, program: str) -> None:
    """Return once the unit waits; the program is the right one again from there on."""
    lab.sh(host, f"timeout 300 sh -c 'until pgrep -fx \"{WAITING}\"; do sleep 0.1; done'; rm {FOLDER}/{program}")


def begin(lab: Lab, host: str, unit: str, program: str, first: str) -> None:
    """Start a unit, and return once it waits in a program."""
    hold(lab, host, unit)
    put(lab, host, program, first)
    lab.sh(host, f"systemctl start --no-block {unit}")
    reached(lab, host, program)


def go_on(lab: Lab, host: str) -> None:
    """Let a unit that waits go on."""
    lab.sh(host, f"pkill -fx '{WAITING}'")
