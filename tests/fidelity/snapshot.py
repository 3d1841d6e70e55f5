# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Print the state of every file of a host as JSON: path to [type, owner, mode, time, content, attributes]."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import sys

# What changes by itself, or by logging in to look.
VOLATILE = (
    "/dev",
    "/proc",
    "/run",
    "/sys",
    "/tmp",
    "/root/.ansible",
    "/var/backups",
    "/var/cache/apt",
    "/var/lib/apt/daily_lock",
    "/var/lib/systemd",
    "/var/log/apt",
    "/var/log/btmp",
    "/var/log/journal",
    "/var/log/lastlog",
    "/var/log/wtmp",
    "/var/tmp",
)


def describe(path: str) -> list[object]:
    info = os.lstat(path)
    content = ""
    if stat.S_ISLNK(info.st_mode):
        content = os.readlink(path)
    elif stat.S_ISREG(info.st_mode):
        with open(path, "rb") as handle:
            content = hashlib.file_digest(handle, "sha256").hexdigest()
    attributes = {}
    for name in os.listxattr(path, follow_symlinks=False):
        attributes[name] = os.getxattr(path, name, follow_symlinks=False).hex()
    owner = f"{info.st_uid}:{info.st_gid}"
    return [stat.S_IFMT(info.st_mode), owner, oct(stat.S_IMODE(info.st_mode)), info.st_mtime_ns, content, attributes]


def main() -> None:
    found = {}
    for folder, names, files in os.walk("/"):
        names[:] = [name for name in names if os.path.join(folder, name) not in VOLATILE]
        for name in [*names, *files]:
            path = os.path.join(folder, name)
            if path not in VOLATILE:
                try:
                    found[path] = describe(path)
                except FileNotFoundError:
                    continue
    json.dump(found, sys.stdout)


main()
