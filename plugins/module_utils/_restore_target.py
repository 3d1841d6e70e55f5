# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts the dump of a database where a product will look for it.

Loaded is with the product's own account, into a database that is empty. On the database's own host, account and
database are made where they are missing: the dump goes into a database with another name, which takes the place of an
empty one once it is whole. One with something in it is never written to. MySQL and MariaDB cannot rename a database:
there the dump goes into the empty one itself, which is removed again where that fails.
"""

# pylint: disable=ansible-bad-function  # runs by itself, where there is no module
from __future__ import annotations

import abc
import contextlib
import os
import pwd
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.atlassian_dc.hardening.plugins.module_utils._backup_database import (
    COUNT_ROWS,
    client_file,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._restore_database import (
    LIST_MARIADB,
    LONG_ROWS,
    Feed,
    LoadError,
    count_mariadb,
    feed_to,
    rows_of,
    run,
    words_of,
)

ADMINISTRATOR = "postgres"
"""Account of the system that is the superuser of a server, as packages of PostgreSQL set it up."""
SUFFIX = "_atlassian_dc_new"
MARK = "atlassian_dc_being_restored"
"""A table of a database of MariaDB that is not whole yet."""
OPTIONS = ("--no-psqlrc", "--no-password", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1")
RELATIONS = """
SELECT count(*) FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema';
"""
"""How much there is in a database."""


class Target(abc.ABC):
    """A database that a product will use.

    Args:
        config: ``kind``, ``host``, ``port``, ``name``, ``user``, ``ssl_mode`` and ``ssl_root`` (or empty), and
            ``create``: whether account and database are made here.
        password: of the account.
        scratch: folder for what only root may read.

    """

    def __init__(self, config: Mapping[str, Any], password: str, scratch: str) -> None:
        self._config = config
        self._password = password
        self._scratch = scratch
        self.name = str(config["name"])

    @property
    def _creates(self) -> bool:
        return bool(self._config["create"])

    @property
    def _user(self) -> str:
        return str(self._config["user"])

    @abc.abstractmethod
    def look(self) -> None:
        """See that the dump can be loaded.

        Raises:
            LoadError: it cannot; nothing was changed.

        """

    @abc.abstractmethod
    def load(self, feed: Feed) -> tuple[str, int]:
        """Load the dump, as a whole or not at all; return its hash and length.

        Raises:
            LoadError: it could not be loaded.

        """

    @abc.abstractmethod
    def rows(self) -> dict[str, int]:
        """Return the rows of all tables that were loaded."""

    @abc.abstractmethod
    def commit(self) -> None:
        """Have what was loaded be the product's database."""

    @abc.abstractmethod
    def discard(self) -> None:
        """Remove what was loaded and is not the product's database, as far as that was made here.

        Raises:
            LoadError: it cannot be removed.

        """

    def folder(self) -> str:
        """Return the folder in which the server keeps its data; empty where that is another host's.

        Raises:
            LoadError: the server does not tell.

        """
        found = self._data_folder() if self._creates else ""
        return found if os.path.isdir(found) else ""

    @abc.abstractmethod
    def _data_folder(self) -> str:
        """Return where the server of this host keeps its data."""

    def _empty(self, tables: int) -> None:
        """Refuse a database with something in it."""
        if tables:
            raise LoadError(
                f"database {self.name} has {tables} tables and other things in it already:"
                " rename it or drop it, nothing is loaded over it"
            )


class PostgreSQL(Target):
    """A database of PostgreSQL."""

    def __init__(self, config: Mapping[str, Any], password: str, scratch: str) -> None:
        super().__init__(config, password, scratch)
        self._new = self.name + SUFFIX

    def _environment(self, database: str) -> dict[str, str]:
        return {
            "PGHOST": str(self._config["host"]),
            "PGPORT": str(self._config["port"]),
            "PGUSER": str(self._config["user"]),
            "PGDATABASE": database,
            "PGPASSWORD": self._password,
            "PGCONNECT_TIMEOUT": "30",
            **({"PGSSLMODE": str(self._config["ssl_mode"])} if self._config["ssl_mode"] else {}),
            **({"PGSSLROOTCERT": str(self._config["ssl_root"])} if self._config["ssl_root"] else {}),
            # What a dump has made must not stand in for what is built in.
            "PGOPTIONS": "-c search_path=pg_catalog",
        }

    def _ask(self, text: str, database: str) -> str:
        return run(["psql", *OPTIONS], self._environment(database), text)

    def _administer(self, text: str, **names: str) -> str:
        """Have the server's superuser run statements; names are quoted by psql.

        Raises:
            LoadError: it cannot, or the server refuses.

        """
        try:
            account = pwd.getpwnam(ADMINISTRATOR)
        except KeyError:
            raise LoadError(f"there is no account {ADMINISTRATOR} on this host that could make the database") from None
        settings = [f"--set={name}={value}" for name, value in names.items()]
        # No argument, which everybody on the host could read, and nothing that the server logs.
        secret = self._password.replace("\\", "\\\\").replace("'", "\\'")
        text = f"\\set secret '{secret}'\nSET log_statement = 'none';\nSET log_min_error_statement = 'panic';\n{text}"
        try:
            done = subprocess.run(
                [
                    "psql",
                    *OPTIONS,
                    f"--port={self._config['port']}",
                    f"--username={ADMINISTRATOR}",
                    *settings,
                    "postgres",
                ],
                input=text.encode(),
                capture_output=True,
                check=False,
                user=account.pw_uid,
                group=account.pw_gid,
                extra_groups=[],
                cwd="/",
                env={"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C.UTF-8", "HOME": "/nonexistent"},
            )
        except OSError as exc:
            raise LoadError(f"psql: {exc.strerror}") from exc
        if done.returncode != 0:
            told = words_of(done.stderr.decode("utf-8", "replace"))
            raise LoadError(f"the database cannot be made: {told.replace(self._password, '***')}")
        return done.stdout.decode("utf-8", "replace").strip()

    def _exists(self, name: str) -> bool:
        query = "SELECT 1 FROM pg_catalog.pg_database WHERE datname = :'name';"
        return self._administer(query, name=name) == "1"

    def look(self) -> None:
        """See that the dump can be loaded; what an earlier try has left of it is removed."""
        self.discard()
        self._see_empty()

    def _see_empty(self) -> None:
        if self._creates and not self._exists(self.name):
            return
        try:
            relations = int(self._ask(RELATIONS, self.name))
        except ValueError:
            raise LoadError("the answer of psql is not as it should be") from None
        except LoadError:
            # The account may be missing or have another password: a database that nobody has looked into is not empty.
            if not self._creates:
                raise
            relations = self._count_as_administrator()
        self._empty(relations)

    def _count_as_administrator(self) -> int:
        return int(self._administer(f'\\connect :"name"\n{RELATIONS}', name=self.name))

    def load(self, feed: Feed) -> tuple[str, int]:
        """Load the dump, as a whole or not at all; return its hash and length."""
        if not self._creates:
            return self._load(feed, self.name, "--single-transaction")
        exists = self._administer("SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = :'user';", user=self._user) == "1"
        if not exists:
            self._administer("CREATE ROLE :\"user\" LOGIN PASSWORD :'secret';", user=self._user)
        made = (
            """CREATE DATABASE :"new" OWNER :"user" ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0;"""
        )
        self._administer(made, new=self._new, user=self._user)
        return self._load(feed, self._new)

    def _load(self, feed: Feed, database: str, *more: str) -> tuple[str, int]:
        options = ["--no-password", "--no-owner", "--no-privileges", "--exit-on-error", *more, f"--dbname={database}"]
        return feed_to(["pg_restore", *options], self._environment(database), feed)

    def rows(self) -> dict[str, int]:
        """Return the rows of all tables that were loaded."""
        return rows_of(self._ask(COUNT_ROWS, self._new if self._creates else self.name))

    def commit(self) -> None:
        """Have what was loaded take the place of the empty database."""
        if self._creates:
            if self._exists(self.name):
                self._see_empty()
                self._administer('DROP DATABASE :"name";', name=self.name)
            self._administer('ALTER DATABASE :"new" RENAME TO :"name";', new=self._new, name=self.name)

    def discard(self) -> None:
        """Remove what was loaded and is not the product's database."""
        if self._creates and self._exists(self._new):
            # A client that was killed may have left the server at work.
            end = "SELECT pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity WHERE datname = :'new';"
            self._administer(f'{end}\nDROP DATABASE :"new";', new=self._new)

    def _data_folder(self) -> str:
        return self._administer("SHOW data_directory;")


class MariaDB(Target):
    """A database of MariaDB or MySQL, by MariaDB's client."""

    CLIENT = ("mariadb",)
    ANSWER = ("--batch", "--raw", "--skip-column-names")

    @contextlib.contextmanager
    def _as_account(self) -> Iterator[list[str]]:
        """Provide the client as the product's account; its password is in a file that only root can read."""
        handle, path = tempfile.mkstemp(dir=self._scratch, prefix="client-", suffix=".cnf")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                stream.write(client_file(self._config, self._password))
            yield [*self.CLIENT, f"--defaults-file={path}"]
        finally:
            os.unlink(path)

    def _administer(self, text: str) -> str:
        """Have the server's superuser run statements."""
        try:
            return run([*self.CLIENT, "--no-defaults", "--user=root", *self.ANSWER], text=text)
        except LoadError as exc:
            told = str(exc).replace(self._password, "***")
            raise LoadError(f"the database cannot be made: {told}") from None

    def _named(self) -> str:
        return "`" + self.name.replace("`", "``") + "`"

    def look(self) -> None:
        """See that the dump can be loaded; what an earlier try has left of it is removed."""
        self.discard()
        if self._creates:
            tables = self._tables()
        else:
            with self._as_account() as client:
                tables = run([*client, *self.ANSWER, self.name], text=LIST_MARIADB).splitlines()
        self._empty(len(tables))

    def _tables(self) -> list[str]:
        return self._administer(
            f"SELECT table_name FROM information_schema.tables WHERE table_schema = {_text(self.name)};"  # noqa: S608
        ).splitlines()

    def discard(self) -> None:
        """Remove what was loaded and is not the product's database yet."""
        if self._creates and MARK in self._tables():
            self._administer(f"DROP DATABASE IF EXISTS {self._named()};")

    def _data_folder(self) -> str:
        return self._administer("SELECT @@datadir;").strip()

    def load(self, feed: Feed) -> tuple[str, int]:
        """Load the dump, as a whole or not at all; return its hash and length."""
        if self._creates:
            account = f"{_text(self._user)}@'localhost'"
            self._administer(
                f"CREATE DATABASE IF NOT EXISTS {self._named()} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;\n"
                f"CREATE USER IF NOT EXISTS {account} IDENTIFIED BY {_text(self._password)};\n"
                f"GRANT ALL ON {self._named()}.* TO {account};\n"
                f"CREATE TABLE {self._named()}.{MARK} (a INT);"
            )
        with self._as_account() as client:
            # Without its sandbox the client runs programs that a dump names.
            return feed_to([*client, "--sandbox", LONG_ROWS, self.name], {}, feed)

    def rows(self) -> dict[str, int]:
        """Return the rows of all tables that were loaded."""
        with self._as_account() as client:
            rows = count_mariadb([*client, *self.ANSWER, self.name])
        return {name: number for name, number in rows.items() if name != MARK}

    def commit(self) -> None:
        """Have what was loaded be the product's database."""
        if self._creates:
            self._administer(f"DROP TABLE {self._named()}.{MARK};")


def _text(value: str) -> str:
    """Return a text as SQL of MariaDB has it."""
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"


TARGETS: dict[str, type[Target]] = {"postgresql": PostgreSQL, "mysql": MariaDB, "mariadb": MariaDB}
