# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A product in a folder, a repository of a stand-in for restic, and a database of stand-ins for its tools."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._backup_keep import Stored, stored
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._backup_manifest import (
    MANIFEST,
    Manifest,
    parse_manifest,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._backup_restic import Restic
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._backup_run import Backup
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._backup_state import State, read_state

FAKE = str(Path(__file__).with_name("fake_restic.py"))
PASSWORD = "open sesame"  # noqa: S105 - of a repository that is none
KEY = "jira1-jira"
START = 1795946400.0  # 2026-11-29T10:00:00Z
DUMP = b"PGDMP" + b"rows" * 1000
PSQL = """#!/bin/sh
[ ! -e "$TOOLS/refuses" ] || { echo "psql: error: connection refused" >&2; exit 2; }
while read -r line; do
  case $line in
    *pg_export_snapshot*) echo 00000003-0000001B-1 ;;
    *server_version*) echo 15.4 ;;
    *gexec*) echo '["public.issue", 3]'; echo '["public.odd \\"name", 0]' ;;
    *echo*) printf '%s\\n' "$line" | sed "s/^.echo '//; s/'$//" ;;
  esac
done
"""
PG_DUMP = """#!/bin/sh
case $1 in --version) echo 'pg_dump (PostgreSQL) 15.4'; exit ;; esac
[ "$PGPASSWORD" = secret ] || exit 7
for word; do case $word in *secret*) exit 8 ;; esac; done
cat "$TOOLS/dump"
[ ! -e "$TOOLS/breaks" ] || { echo 'pg_dump: error: server closed the connection' >&2; exit 1; }
"""
PG_RESTORE = """#!/bin/sh
head -c 5 | grep -q PGDMP || { echo 'pg_restore: error: input file does not appear to be a valid archive' >&2; exit 1; }
[ ! -e "$TOOLS/unreadable" ] || { echo 'pg_restore: error: corrupt' >&2; exit 1; }
"""


class BackupHost:
    """What one host has, and its runs one after the other."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.repository, self.state, self.tools = folder / "repository", folder / "state/jira", folder / "tools"
        self.log = folder / "restic.log"
        self.said: list[str] = []
        self.now = START
        for path in (self.state, self.tools, folder / "run"):
            path.mkdir(parents=True)
        for name, text in (("psql", PSQL), ("pg_dump", PG_DUMP), ("pg_restore", PG_RESTORE)):
            (self.tools / name).write_text(text)
            (self.tools / name).chmod(0o755)
        (self.tools / "dump").write_bytes(DUMP)
        monkeypatch.setenv("PATH", f"{self.tools}:/usr/bin:/bin")
        monkeypatch.setenv("FAKE_LOG", str(self.log))
        self.home, self.install = folder / "home", folder / "install"
        self.write("home/data/attachments/1", "one")
        self.write("home/data/[odd] name*", "odd")
        self.write("home/dbconfig.xml", "<x/>")
        self.write("home/keys/key", "sesame")
        self.write("home/caches/index", "made anew")
        self.write("home/log/x.log", "a line")
        self.write("install/conf/server.xml", "<Server/>")
        self.config: dict[str, Any] = {
            "collection": "0.2.0",
            "key": KEY,
            "repository": "0123456789abcdef",
            "host": "jira1",
            "product": "jira",
            "version": "10.3.15",
            "instance": {
                "name": "jira",
                "install_dir": str(self.install),
                "home_dir": str(self.home),
                "shared_home_dir": None,
                "user": "jira",
                "group": "jira",
                "unit": "jira.service",
            },
            "clustered": False,
            "node": {"key": "jira1-jira-jira1", "parts": []},
            "parts": [
                {
                    "part": "home-jira1",
                    "paths": [str(self.home)],
                    "exclude": [str(self.home / "caches"), str(self.home / "log")],
                },
                {
                    "part": "install-jira1",
                    "paths": [str(self.install / "conf/server.xml"), str(self.install / "conf/gone.xml")],
                    "exclude": [],
                    "as_far_as_there": True,
                },
            ],
            "needed": [
                self.needed("home", "data"),
                self.needed("home", "keys", key=True),
                self.needed("home", "cluster.properties"),
                self.needed("install", "conf/server.xml"),
            ],
            "links": {},
            "database": {"kind": "postgresql", "host": "db", "port": 5432, "name": "jiradb", "user": "jira"},
            "maintenance": None,
            "snapshot": None,
            "period": 86400,
            "time_limit": 3600,
            "keep": {"daily": 2, "weekly": 0, "monthly": 0},
            "forget": True,
            "create": True,
        }
        self.secrets: dict[str, Any] = {"database": "secret", "product": {"token": "t0ken"}}
        monkeypatch.setenv("TOOLS", str(self.tools))
        monkeypatch.setattr(
            "ansible_collections.atlassian_dc.hardening.plugins.module_utils._backup_database.Dump._environment",
            lambda _self: {"PATH": f"{self.tools}:/usr/bin:/bin", "TOOLS": str(self.tools)},
        )

    def needed(self, tree: str, path: str, key: bool = False) -> dict[str, Any]:
        place = str(self.folder / tree / path)
        return {"tree": tree, "path": path, "place": place, "needed": True, "key": key}

    def write(self, path: str, text: str) -> Path:
        place = self.folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
        return place

    def restic(self, password: str = PASSWORD) -> Restic:
        environment = {"LOGIN": "hidden"}
        return Restic(str(self.repository), password, environment, str(self.folder / "cache"), (sys.executable, FAKE))

    def trouble(self, **told: Any) -> None:
        """Have commands of restic fail; nothing: none."""
        (self.repository / "trouble.json").write_text(json.dumps(told))

    def backup(self, password: str = PASSWORD) -> Backup:
        return Backup(
            self.config,
            self.secrets,
            str(self.state),
            str(self.folder / "run"),
            self.restic(password),
            self.said.append,
            lambda: self.now,
            self.slept,
        )

    def slept(self, _seconds: float) -> None:
        """Be waited for; tests have something happen meanwhile."""

    def run(self, after: float = 60.0, password: str = PASSWORD) -> State:
        """Make a backup some seconds after the one before; return what it leaves."""
        self.now += after
        code = self.backup(password).run()
        state = self.last()
        assert (code == 0) == (state.result == "success"), state.reason
        return state

    def last(self) -> State:
        state = read_state(str(self.state / "last.json"))
        assert state is not None
        return state

    def stored(self, key: str = KEY) -> list[Stored]:
        """Return what of an instance is in the repository."""
        folder = self.repository / "snapshots"
        return stored([json.loads(path.read_text()) for path in folder.iterdir()], key) if folder.exists() else []

    def whole(self) -> list[str]:
        return [backup.name for backup in self.stored() if backup.whole]

    def manifest(self, backup: Stored) -> Manifest:
        text = bytearray()
        self.restic().dump(backup.parts[MANIFEST][0], "/manifest.json", text.extend)
        return parse_manifest(bytes(text))

    def commands(self) -> list[list[str]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]
