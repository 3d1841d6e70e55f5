# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a database goes: which statements are made, in which order, and where passwords are seen."""

from __future__ import annotations

import pwd
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.module_utils import _restore_target
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._restore_database import LoadError
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._restore_target import (
    MARK,
    MariaDB,
    PostgreSQL,
    Target,
)

PASSWORD = r"it's \ secret"  # noqa: S105 - of no database


class Server:
    """Answers what is asked, and keeps it.

    Attributes:
        databases: those that there are, with the count of what is in them.
        roles: accounts that there are.
        steps: the first words of what was asked for.
        seen: all arguments.
        tables: those of the database of MariaDB.
        broken: what does not work.

    """

    def __init__(self) -> None:
        self.databases: dict[str, int] = {}
        self.roles: set[str] = set()
        self.steps: list[str] = []
        self.seen: list[str] = []
        self.tables: list[str] = []
        self.broken = ""

    def _answer(self, text: str, names: dict[str, str]) -> str:
        text = "\n".join(line for line in text.splitlines() if not line.startswith(("\\set", "SET ")))
        self.steps.append(" ".join(text.split()[:2]))
        if "pg_database" in text:
            return "1" if names["name"] in self.databases else ""
        if "pg_roles" in text:
            return "1" if names["user"] in self.roles else ""
        if "CREATE DATABASE" in text:
            self.databases[names.get("new", "jira")] = 0
            self.tables += [MARK] * (MARK in text)
        elif "DROP DATABASE" in text:
            self.databases.pop(names.get("new") or names.get("name") or "jira", None)
            self.tables.clear()
        elif "RENAME TO" in text:
            self.databases[names["name"]] = self.databases.pop(names["new"])
        return "0"

    def administer(self, argv: Sequence[str], **given: Any) -> SimpleNamespace:
        """Stand for subprocess.run as the superuser of PostgreSQL."""
        self.seen += argv
        assert (given["user"], given["group"], given["extra_groups"]) == (7, 8, [])
        names = dict(word[len("--set=") :].split("=", 1) for word in argv if word.startswith("--set="))
        if self.broken:
            return SimpleNamespace(returncode=1, stderr=f"{self.broken} {PASSWORD}".encode(), stdout=b"")
        return SimpleNamespace(returncode=0, stdout=self._answer(given["input"].decode(), names).encode(), stderr=b"")

    def run(self, argv: Sequence[str], environment: dict[str, str] | None = None, text: str | None = None) -> str:
        """Stand for a tool."""
        self.seen += argv
        if argv[0] == "psql":
            name = (environment or {})["PGDATABASE"]
            if name not in self.databases:
                raise LoadError("psql ended with 2: no such database")
            return str(self.databases[name])
        if "FROM information_schema.tables" in str(text):
            return "\n".join(self.tables)
        return self._answer(str(text), {})

    def feed(self, argv: Sequence[str], environment: dict[str, str], feed: Callable[..., object]) -> tuple[str, int]:
        """Stand for a tool that reads a dump."""
        del feed
        self.seen += argv
        self.steps.append(f"load {environment.get('PGDATABASE') or argv[-1]}")
        if self.broken:
            raise LoadError(self.broken)
        return "hash", 3


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    found = Server()
    monkeypatch.setattr(_restore_target, "run", found.run)
    monkeypatch.setattr(_restore_target, "feed_to", found.feed)
    monkeypatch.setattr(subprocess, "run", found.administer)
    monkeypatch.setattr(pwd, "getpwnam", lambda _name: SimpleNamespace(pw_uid=7, pw_gid=8))
    return found


def target(kind: type[Target], folder: Path, create: bool = True) -> Target:
    place = {"host": "localhost", "port": 5432, "name": "jira", "user": "jirauser", "ssl_mode": "", "ssl_root": ""}
    return kind({**place, "create": create}, PASSWORD, str(folder))


def feed(_take: Callable[[bytes], object]) -> None:
    raise AssertionError("is not called by the stand-ins")


def test_account_and_database_are_made_and_take_the_place_of_nothing(server: Server, tmp_path: Path) -> None:
    made = target(PostgreSQL, tmp_path)
    made.look()
    assert made.load(feed) == ("hash", 3)
    assert server.databases == {"jira_atlassian_dc_new": 0}
    made.commit()
    assert server.databases == {"jira": 0}
    assert server.steps == [
        *("SELECT 1", "SELECT 1", "SELECT 1", "CREATE ROLE", "CREATE DATABASE"),
        *("load jira_atlassian_dc_new", "SELECT 1", "ALTER DATABASE"),
    ]
    made.discard()
    assert server.databases == {"jira": 0}
    assert PASSWORD not in " ".join(server.seen)


def test_an_account_that_is_there_keeps_its_password(server: Server, tmp_path: Path) -> None:
    server.roles.add("jirauser")
    target(PostgreSQL, tmp_path).load(feed)
    assert "CREATE ROLE" not in server.steps


def test_an_empty_database_gives_way(server: Server, tmp_path: Path) -> None:
    server.databases["jira"] = 0
    made = target(PostgreSQL, tmp_path)
    made.look()
    made.load(feed)
    made.commit()
    assert server.databases == {"jira": 0}


@pytest.mark.parametrize("create", [True, False])
def test_one_with_something_in_it_is_refused(server: Server, tmp_path: Path, create: bool) -> None:
    server.databases["jira"] = 5
    with pytest.raises(LoadError, match="database jira has 5 tables and other things in it already"):
        target(PostgreSQL, tmp_path, create).look()


def test_one_that_was_filled_meanwhile_is_not_dropped(server: Server, tmp_path: Path) -> None:
    made = target(PostgreSQL, tmp_path)
    made.look()
    made.load(feed)
    server.databases["jira"] = 5
    with pytest.raises(LoadError, match="already"):
        made.commit()
    assert server.databases["jira"] == 5


def test_elsewhere_it_is_loaded_at_once_or_not_at_all(server: Server, tmp_path: Path) -> None:
    made = target(PostgreSQL, tmp_path, create=False)
    with pytest.raises(LoadError, match="no such database"):
        made.look()
    server.databases["jira"] = 0
    made.look()
    made.load(feed)
    made.commit()
    assert "--single-transaction" in server.seen
    assert server.steps == ["load jira"]


def test_what_the_server_refuses_is_told_without_the_password(server: Server, tmp_path: Path) -> None:
    server.broken = "no"
    with pytest.raises(LoadError, match=r"^the database cannot be made: no \*\*\*$"):
        target(PostgreSQL, tmp_path).load(feed)


def test_a_host_without_the_server_s_account_is_told(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(_name: str) -> None:
        raise KeyError

    monkeypatch.setattr(pwd, "getpwnam", missing)
    with pytest.raises(LoadError, match="there is no account postgres on this host"):
        target(PostgreSQL, tmp_path).load(feed)
    assert server.steps == []


def test_mariadb_is_loaded_into_the_empty_database(server: Server, tmp_path: Path) -> None:
    made = target(MariaDB, tmp_path)
    made.look()
    assert made.load(feed) == ("hash", 3)
    made.commit()
    assert server.steps == ["CREATE DATABASE", "load jira", "DROP TABLE"]
    assert "--sandbox" in server.seen
    assert PASSWORD not in " ".join(server.seen)
    assert list(tmp_path.iterdir()) == []


def test_what_was_loaded_and_is_not_in_place_is_removed(server: Server, tmp_path: Path) -> None:
    made = target(PostgreSQL, tmp_path)
    made.load(feed)
    server.databases["jira"] = 5
    made.discard()
    assert server.databases == {"jira": 5}
    # What a kill has left, too, before there has to be room for it again.
    server.databases = {"jira_atlassian_dc_new": 5}
    made.look()
    assert server.databases == {}


def test_mariadb_removes_what_could_not_be_loaded(server: Server, tmp_path: Path) -> None:
    server.broken = "line 3: no"
    made = target(MariaDB, tmp_path)
    with pytest.raises(LoadError, match="line 3: no"):
        made.load(feed)
    made.discard()
    assert server.steps[-1] == "DROP DATABASE"
    assert list(tmp_path.iterdir()) == []


def test_mariadb_begins_anew_only_what_was_cut_off(server: Server, tmp_path: Path) -> None:
    server.tables = ["one", "two"]
    with pytest.raises(LoadError, match="database jira has 2 tables"):
        target(MariaDB, tmp_path).look()
    assert server.steps == []
    server.tables.append(MARK)
    target(MariaDB, tmp_path).look()
    assert server.steps == ["DROP DATABASE"]


def test_mariadb_elsewhere_is_never_dropped(server: Server, tmp_path: Path) -> None:
    server.tables = [MARK]
    with pytest.raises(LoadError, match="database jira has 1 tables"):
        target(MariaDB, tmp_path, create=False).look()
    server.broken = "no"
    with pytest.raises(LoadError, match="no"):
        target(MariaDB, tmp_path, create=False).load(feed)
    assert "DROP DATABASE" not in server.steps
