# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Dumps by the tools of each kind of database, and when one is whole."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.module_utils import _backup_database
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._backup_database import (
    Dump,
    DumpError,
    client_file,
    dump_of,
)

MARIADB: dict[str, Any] = {"kind": "mariadb", "host": "db", "port": 3306, "name": "jiradb", "user": 'ji"ra\\'}
MYSQLDUMP = """#!/bin/sh
case $1 in --version) echo 'mysqldump  Ver 10.19 Distrib 10.11.6-MariaDB'; exit ;; esac
for word; do
  case $word in --defaults-file=*) cp "${word#*=}" "$TOOLS/seen"; stat -c %a "${word#*=}" > "$TOOLS/mode" ;; esac
done
echo "$@" > "$TOOLS/words"
cat "$TOOLS/dump"
"""
MARIADB_CLIENT = """#!/bin/sh
[ ! -e "$TOOLS/denied" ] || { echo "ERROR 1044 (42000): Access denied to database 'jiradb'" >&2; exit 1; }
[ ! -e "$TOOLS/gone" ] || { echo "ERROR 2002 (HY000): Can't connect" >&2; exit 1; }
"""
WHOLE = """-- MariaDB dump 10.19
-- Server version\t10.11.6-MariaDB
/*!40101 SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='NO_AUTO_VALUE_ON_ZERO' */;
CREATE TABLE `a` (
  `id` int
);
INSERT INTO `a` VALUES
(1),
(2);
-- Dump completed on 2026-11-29
"""


class Tools:
    """Stand-ins for the tools of MySQL, and what they were asked for."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        monkeypatch.setattr(
            Dump, "_environment", lambda _self: {"PATH": f"{folder}:/usr/bin:/bin", "TOOLS": str(folder)}
        )
        monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
        for name in ("mysqldump", "mariadb-dump"):
            (folder / name).write_text(MYSQLDUMP)
            (folder / name).chmod(0o755)
        (folder / "mariadb").write_text(MARIADB_CLIENT)
        (folder / "mariadb").chmod(0o755)

    def dump(
        self,
        text: str,
        config: Mapping[str, Any] = MappingProxyType(MARIADB),
        password: str = "pass word",  # noqa: S107 - of a database that is none
    ) -> tuple[Dump, bytes]:
        (self.folder / "dump").write_text(text)
        taken = bytearray()
        dump = dump_of(config, password, str(self.folder))
        dump.run(taken.extend)
        return dump, bytes(taken)

    def read(self, name: str) -> str:
        return (self.folder / name).read_text()


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tools:
    return Tools(tmp_path, monkeypatch)


class TestMySQL:
    def test_a_whole_dump(self, tools: Tools) -> None:
        dump, taken = tools.dump(WHOLE)
        assert taken == WHOLE.encode()
        assert (dump.bytes, dump.sha256) == (len(taken), hashlib.sha256(taken).hexdigest())
        told = dump.told()
        assert (told.kind, told.server_version, told.client_version) == ("mariadb", "10.11.6-MariaDB", "10.19")
        assert dump.file == "database.sql"
        assert (told.tables, dump.notes) == ({"a": 2}, [])

    def test_rows_that_cannot_be_counted_are_unknown_and_that_is_told(self, tools: Tools) -> None:
        dump, _taken = tools.dump(WHOLE.replace("(2)", "(NOW())"))
        assert dump.told().tables is None
        assert dump.notes == ["the rows of the dump cannot be counted: a row of a is of no known form"]

    def test_an_account_that_may_not_read_events_dumps_the_rest(self, tools: Tools) -> None:
        """As that of Jira, whose vendor wants no right to them to be granted."""
        (tools.folder / "denied").touch()
        dump, _taken = tools.dump(WHOLE)
        assert "--events" not in tools.read("words")
        assert "may not read the events of jiradb" in dump.notes[0]

    def test_what_else_keeps_it_from_events_the_dump_tells(self, tools: Tools) -> None:
        (tools.folder / "gone").touch()
        tools.dump(WHOLE)
        assert "--events" in tools.read("words").split()

    def test_it_is_of_one_moment_and_holds_everything(self, tools: Tools) -> None:
        tools.dump(WHOLE)
        words = tools.read("words").split()
        assert {"--single-transaction", "--routines", "--triggers", "--events", "--hex-blob"} <= set(words)
        assert {"--no-tablespaces", "--default-character-set=utf8mb4", "--max-allowed-packet=1G"} <= set(words)
        assert words[-2:] == ["--", "jiradb"]

    def test_the_password_is_in_a_file_that_is_gone_afterwards(self, tools: Tools) -> None:
        tools.dump(WHOLE)
        assert 'password="pass word"' in tools.read("seen")
        assert tools.read("mode").strip() == "600"
        assert "pass word" not in tools.read("words")
        assert not list(tools.folder.glob("client-*"))

    @pytest.mark.parametrize("text", [WHOLE.replace("-- Dump completed", ""), "", "x" * 10000])
    def test_a_dump_that_is_not_whole(self, tools: Tools, text: str) -> None:
        with pytest.raises(DumpError, match=r"no whole dump|has written nothing"):
            tools.dump(text)
        assert not list(tools.folder.glob("client-*"))

    def test_what_has_to_be_quoted(self) -> None:
        text = client_file({**MARIADB, "ssl_mode": "verify-full", "ssl_root": "/ca.pem"}, 'a"b\\c')
        assert 'user="ji\\"ra\\\\"' in text
        assert 'password="a\\"b\\\\c"' in text
        assert "ssl-verify-server-cert" in text


class TestCommand:
    def command(self, tools: Tools, script: str) -> dict[str, Any]:
        path = tools.folder / "dump.sh"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return {"kind": "command", "name": "database", "command": [str(path)]}

    def test_its_output_is_the_dump(self, tools: Tools) -> None:
        dump, taken = tools.dump("", self.command(tools, "printf abc"))
        assert (taken, dump.file) == (b"abc", "database.bin")
        assert dump.told().tables is None

    @pytest.mark.parametrize(
        ("script", "words"),
        [
            ("printf abc; echo 'ORA-01017: denied' >&2; exit 3", "dump.sh failed: ORA-01017: denied"),
            ("exit 0", "has written nothing"),
            ("printf abc; kill -9 $$", "ended by signal 9"),
            ("echo 'login as pass word failed' >&2; exit 1", "login as \\*\\*\\* failed"),
        ],
    )
    def test_what_fails(self, tools: Tools, script: str, words: str) -> None:
        with pytest.raises(DumpError, match=words):
            tools.dump("", self.command(tools, script))

    def test_what_cannot_be_taken_ends_it(self, tools: Tools) -> None:
        """The tool does not go on for nobody."""
        config = self.command(tools, f"echo $$ > {tools.folder}/pid; yes")

        def refuse(_data: bytes) -> None:
            raise BrokenPipeError

        with pytest.raises(BrokenPipeError):
            dump_of(config, "", str(tools.folder)).run(refuse)
        assert not os.path.exists(f"/proc/{tools.read('pid').strip()}")


POSTGRESQL: dict[str, Any] = {
    "kind": "postgresql",
    "host": "db",
    "port": 5432,
    "name": "jiradb",
    "user": "jira",
    "ssl_mode": "verify-full",
    "ssl_root": "/ca.pem",
}


class TestPostgreSQL:
    def test_everything_reaches_it_in_its_environment(self, tmp_path: Path) -> None:
        environment = dump_of(POSTGRESQL, "secret", str(tmp_path))._environment()
        assert environment["PGPASSWORD"] == "secret"
        assert (environment["PGSSLMODE"], environment["PGSSLROOTCERT"]) == ("verify-full", "/ca.pem")
        assert "default_transaction_read_only=on" in environment["PGOPTIONS"]
        assert "PGSSLMODE" not in dump_of({**POSTGRESQL, "ssl_mode": None}, "x", str(tmp_path))._environment()

    @pytest.mark.parametrize("line", ["x", "[]", '["a"]', '["a", "b"]', "7"])
    def test_an_answer_that_is_none(self, line: str) -> None:
        with pytest.raises(DumpError, match="rows could not be counted"):
            _backup_database._row(line)
