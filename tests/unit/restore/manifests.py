# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A manifest to test with."""

from __future__ import annotations

import hashlib

from ansible_collections.atlassian_dc.hardening.plugins.module_utils._backup_manifest import (
    DatabaseDump,
    Instance,
    Manifest,
    NeededPath,
    Part,
    SampleFile,
)

HOME, INSTALL = "/var/atlassian/jira", "/opt/atlassian/jira"
BACKUP = "20261129T101500Z"


def sha256(data: bytes) -> str:
    """Return the hash of some bytes."""
    return hashlib.sha256(data).hexdigest()


def manifest() -> Manifest:
    """Return what a backup of a small Jira says of itself."""
    return Manifest(
        backup=BACKUP,
        key="jira1-jira",
        kind="instance",
        product="jira",
        version="10.3.15",
        instance=Instance("jira", INSTALL, HOME, None, "jira", "jira", "jira.service"),
        host="jira1",
        nodes=("jira1",),
        started="2026-11-29T10:15:00Z",
        finished="2026-11-29T10:16:30Z",
        collection="0.6.0",
        parts=(
            Part("database", "a" * 64, ("/database.dump",), 4096, 1, 2.5, sha256=sha256(b"dump")),
            Part("home-jira1", "b" * 64, (HOME,), 100, 2, 1.0, exclude=(f"{HOME}/caches",)),
            Part("install-jira1", "c" * 64, (f"{INSTALL}/conf/server.xml",), 10, 1, 0.5),
        ),
        database=DatabaseDump("postgresql", "15.14", "15.14", "jira", {"public.jiraissue": 3}),
        sample=(SampleFile("home-jira1", f"{HOME}/data/a.txt", 5, sha256(b"hello")),),
        needed=(
            NeededPath("home", "dbconfig.xml", True, "home-jira1", f"{HOME}/dbconfig.xml", True, {}),
            NeededPath("shared_home", "data", True, None, None, False, {}),
        ),
    )
