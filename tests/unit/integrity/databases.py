# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Databases of AIDE, as its versions write them."""

from __future__ import annotations

import base64
import gzip

from ansible_collections.atlassian_dc.hardening.plugins.module_utils._integrity_db import Database

FIELDS = "name lname perm uid gid size ctime mtime inode attr acl sha256 xattrs"
FILE, FOLDER, LINK = "100644", "40755", "120777"


def digest(hexadecimal: str) -> str:
    return base64.b64encode(bytes.fromhex(hexadecimal)).decode()


def line(
    name: str,
    perm: str = FILE,
    owner: str = "0 0",
    size: int = 2,
    time: str = "1795924819",
    sha256: str = "ab" * 32,
    target: str = "0",
    acl: str = "POSIX,eA==,0",
) -> str:
    of_file = perm.startswith("10")
    content = digest(sha256) if of_file else "0"
    return f"{name} {target} {perm} {owner} {size} {time} {time} 9 44025512381 {acl} {content} 0"


def raw(*lines: str, fields: str = FIELDS, end: str = "@@end_db\n") -> bytes:
    text = "\n".join(["@@begin_db", "# by AIDE", f"@@db_spec {fields}", *lines]) + "\n" + end
    return gzip.compress(text.encode("utf-8"), mtime=0)


def database(*lines: str) -> Database:
    return Database.read(raw(*lines))
