# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Loads the dump of a database, and counts what is in it then.

A dump is a program: whoever wrote it has the server do what he likes with the rights it is loaded with. It is never
loaded as a superuser of the server: neither in a scratch server, nor in that of a product.

Sources: https://www.postgresql.org/docs/current/app-pgrestore.html, https://www.postgresql.org/docs/current/app-initdb.html,
https://mariadb.com/kb/en/mariadb-install-db/
"""

# pylint: disable=ansible-bad-function  # runs by itself, where there is no module
from __future__ import annotations

import abc
import contextlib
import glob
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible_collections.atlassian_dc.hardening.plugins.module_utils._backup_database import COUNT_ROWS

Feed = Callable[[Callable[[bytes], object]], object]
"""Reads a dump: is given what takes its content, piece by piece."""

OWNER = "restored"
"""Account without any rights that owns the scratch database."""
NAME = "drill"
START_SECONDS = 60
STOP_SECONDS = 60
MAX_WORDS = 500
FOLDERS = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin")
"""Where Debian and PostgreSQL's own packages for Red Hat put the programs of a server; else they are in PATH."""

# Triggers and views name the account that made them.
SETUP_MARIADB = f"""
CREATE DATABASE {NAME} CHARACTER SET utf8mb4;
CREATE USER {OWNER}@localhost;
GRANT ALL ON {NAME}.* TO {OWNER}@localhost;
GRANT SET USER ON *.* TO {OWNER}@localhost;
"""
LIST_MARIADB = """
SET NAMES utf8mb4;
SELECT HEX(CONVERT(table_name USING utf8mb4)) FROM information_schema.tables
WHERE table_schema = DATABASE() AND table_type IN ('BASE TABLE', 'SYSTEM VERSIONED') ORDER BY table_name;
"""
"""The tables of a database, whatever is in their names."""


LONG_ROWS = "--max-allowed-packet=1G"
"""For MariaDB and its client: otherwise they take no statement that is longer than 16 MB."""


class LoadError(Exception):
    """A dump that cannot be loaded, or a server that cannot be used; says why."""


class UntriedError(LoadError):
    """Nothing here can load a dump of this kind; that says nothing about the dump."""


def words_of(text: str) -> str:
    """Return what a tool complains of, in one line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return "; ".join(lines[:6])[:MAX_WORDS] or "it says nothing"


def run(argv: Sequence[str], environment: Mapping[str, str] | None = None, text: str | None = None) -> str:
    """Run a tool; return what it writes.

    Raises:
        LoadError: it is not there, or failed; holds its words.

    """
    try:
        done = subprocess.run(
            list(argv),
            input=None if text is None else text.encode(),
            stdin=subprocess.DEVNULL if text is None else None,
            capture_output=True,
            env={**os.environ, "LC_ALL": "C.UTF-8", **(environment or {})},
            check=False,
        )
    except OSError as exc:
        raise LoadError(f"{argv[0]}: {exc.strerror}") from exc
    if done.returncode != 0:
        told = words_of(done.stderr.decode("utf-8", "replace"))
        raise LoadError(f"{os.path.basename(argv[0])} ended with {done.returncode}: {told}")
    return done.stdout.decode("utf-8", "replace")


def feed_to(argv: Sequence[str], environment: Mapping[str, str], feed: Feed) -> tuple[str, int]:
    """Run a tool that reads a dump; return hash and length of what it was given.

    Raises:
        LoadError: it failed; holds its words.

    """
    digest, size = hashlib.sha256(), 0
    with tempfile.TemporaryFile() as said:
        try:
            process = subprocess.Popen(
                list(argv),
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=said,
                env={**os.environ, "LC_ALL": "C.UTF-8", **environment},
            )
        except OSError as exc:
            raise LoadError(f"{argv[0]}: {exc.strerror}") from exc
        target: Any = process.stdin
        gone = threading.Event()

        def take(data: bytes) -> None:
            nonlocal size
            digest.update(data)
            size += len(data)
            if not gone.is_set():
                try:
                    target.write(data)
                except BrokenPipeError:
                    # It has ended, which its code tells; the rest is still compared with the manifest.
                    gone.set()

        try:
            feed(take)
        except BaseException:
            # Before its input ends, or it could take what it has for the whole.
            process.kill()
            raise
        finally:
            with contextlib.suppress(OSError):
                target.close()
            code = process.wait()
        said.seek(0)
        told = words_of(said.read(64 * 1024).decode("utf-8", "replace"))
    if code != 0:
        raise LoadError(f"{os.path.basename(argv[0])} ended with {code}: {told}")
    return digest.hexdigest(), size


def rows_of(text: str) -> dict[str, int]:
    """Return the rows of tables from the answer to `COUNT_ROWS`.

    Raises:
        LoadError: it is no such answer.

    """
    rows = {}
    for line in text.splitlines():
        try:
            name, number = json.loads(line)
            rows[str(name)] = int(number)
        except (ValueError, TypeError):
            raise LoadError("the answer of psql is not as it should be") from None
    return rows


def other_rows(expected: Mapping[str, int], found: Mapping[str, int]) -> list[str]:
    """Return which tables have other rows than they should, in words."""
    problems = []
    for name in sorted(expected.keys() | found.keys()):
        if name not in found:
            problems.append(f"table {name} is missing")
        elif name not in expected:
            problems.append(f"table {name} was not in the backup")
        elif found[name] != expected[name]:
            problems.append(f"table {name} has {found[name]} rows instead of {expected[name]}")
    return problems


def program(name: str) -> str:
    """Return where a program of the newest PostgreSQL server on this host lies.

    Raises:
        UntriedError: there is none.

    """
    found = [path for pattern in FOLDERS for path in glob.glob(f"{pattern}/{name}")]
    newest = max(found, key=lambda path: [int(number) for number in re.findall(r"\d+", path)], default=None)
    path = newest or shutil.which(name)
    if path is None:
        raise UntriedError(f"{name}, which loads the database, is not installed on this host")
    return path


class Scratch(abc.ABC):
    """A server that lives only for one load, with no way to it but a socket in a private folder.

    Args:
        folder: empty folder for its data, which only this account reaches.
        socket: short folder for its socket, the same.

    """

    def __init__(self, folder: str, socket: str) -> None:
        self.folder = folder
        self.socket = socket

    @abc.abstractmethod
    def start(self) -> None:
        """Start it, with an empty database."""

    @abc.abstractmethod
    def stop(self) -> None:
        """Stop it, if it runs."""

    @abc.abstractmethod
    def load(self, feed: Feed) -> tuple[str, int]:
        """Load a dump; return its hash and length."""

    @abc.abstractmethod
    def rows(self) -> dict[str, int]:
        """Return the rows of all tables."""


class ScratchPostgreSQL(Scratch):
    """A scratch server of PostgreSQL."""

    def _environment(self, user: str, database: str) -> dict[str, str]:
        # What a dump has made must not stand in for what is built in.
        options = "-c search_path=pg_catalog"
        return {"PGHOST": self.socket, "PGPORT": "5432", "PGUSER": user, "PGDATABASE": database, "PGOPTIONS": options}

    def _psql(self, text: str, user: str, database: str) -> str:
        options = ["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1"]
        return run([program("psql"), *options], self._environment(user, database), text)

    def start(self) -> None:
        """Start it, with an empty database."""
        data = os.path.join(self.folder, "postgresql")
        options = ["--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
        run([program("initdb"), f"--pgdata={data}", *options])
        settings = {
            "listen_addresses": "''",
            "unix_socket_directories": f"'{self.socket}'",
            "unix_socket_permissions": "0700",
            # It is thrown away whatever happens.
            "fsync": "off",
            "full_page_writes": "off",
            "synchronous_commit": "off",
            "wal_level": "minimal",
            "max_wal_senders": "0",
            "shared_buffers": "64MB",
            "autovacuum": "off",
        }
        with open(os.path.join(data, "postgresql.auto.conf"), "w", encoding="utf-8") as stream:
            stream.writelines(f"{name} = {value}\n" for name, value in settings.items())
        log = os.path.join(self.folder, "postgresql.log")
        command = [program("pg_ctl"), f"--pgdata={data}", f"--log={log}", f"--timeout={START_SECONDS}", "--wait"]
        try:
            run([*command, "start"])
        except LoadError as exc:
            with contextlib.suppress(OSError), open(log, encoding="utf-8", errors="replace") as stream:
                raise LoadError(f"{exc}: {words_of(stream.read()[-MAX_WORDS:])}") from exc
            raise
        self._psql(
            f"CREATE ROLE {OWNER} LOGIN NOSUPERUSER;\nCREATE DATABASE {NAME} OWNER {OWNER} TEMPLATE template0;",
            "postgres",
            "postgres",
        )

    def stop(self) -> None:
        """Stop it, if it runs."""
        with contextlib.suppress(LoadError):
            data = os.path.join(self.folder, "postgresql")
            run([program("pg_ctl"), f"--pgdata={data}", "--mode=immediate", f"--timeout={STOP_SECONDS}", "stop"])

    def load(self, feed: Feed) -> tuple[str, int]:
        """Load a dump in the custom format; return its hash and length."""
        options = ["--no-owner", "--no-privileges", f"--dbname={NAME}"]
        return feed_to([program("pg_restore"), *options], self._environment(OWNER, NAME), feed)

    def rows(self) -> dict[str, int]:
        """Return the rows of all tables."""
        return rows_of(self._psql(COUNT_ROWS, OWNER, NAME))


class ScratchMariaDB(Scratch):
    """A scratch server of MariaDB, which takes dumps of MySQL as well as far as they mean the same to both."""

    _process: subprocess.Popen[bytes] | None = None

    @property
    def _socket(self) -> str:
        return os.path.join(self.socket, "mariadb.sock")

    @staticmethod
    def _program(name: str) -> str:
        path = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/libexec")
        if path is None:
            raise UntriedError(f"{name}, which loads the database, is not installed on this host")
        return path

    def _client(self, user: str) -> list[str]:
        return [self._program("mariadb"), "--no-defaults", f"--socket={self._socket}", f"--user={user}"]

    def start(self) -> None:
        """Start it, with an empty database."""
        data = os.path.join(self.folder, "mariadb")
        options = ["--auth-root-authentication-method=normal", "--skip-test-db"]
        run([self._program("mariadb-install-db"), "--no-defaults", f"--datadir={data}", *options])
        nothing = os.path.join(self.folder, "nothing")
        os.mkdir(nothing, 0o500)
        path = os.path.join(self.folder, "mariadb.log")
        with open(path, "wb") as log:
            self._process = subprocess.Popen(
                [
                    self._program("mariadbd"),
                    "--no-defaults",
                    f"--datadir={data}",
                    f"--socket={self._socket}",
                    "--skip-networking",
                    "--innodb-flush-log-at-trx-commit=0",
                    "--innodb-buffer-pool-size=64M",
                    # What a dump may read and write beside that: nothing.
                    f"--secure-file-priv={nothing}",
                    "--local-infile=0",
                    LONG_ROWS,
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                run(self._client("root"), text=SETUP_MARIADB)
                return
            except LoadError as exc:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    with open(path, encoding="utf-8", errors="replace") as stream:
                        told = words_of(stream.read()[-MAX_WORDS:])
                    raise LoadError(f"the scratch server does not start: {told}") from exc
                time.sleep(0.2)

    def stop(self) -> None:
        """Stop it, if it runs."""
        if self._process is not None:
            with contextlib.suppress(OSError):
                self._process.send_signal(signal.SIGKILL)
            self._process.wait()

    def load(self, feed: Feed) -> tuple[str, int]:
        """Load a dump; return its hash and length."""
        # Without its sandbox the client runs programs that a dump names.
        return feed_to([*self._client(OWNER), "--sandbox", LONG_ROWS, NAME], {}, feed)

    def rows(self) -> dict[str, int]:
        """Return the rows of all tables."""
        return count_mariadb([*self._client(OWNER), "--batch", "--raw", "--skip-column-names", NAME])


def count_mariadb(client: Sequence[str]) -> dict[str, int]:
    """Return the rows of all tables of a database of MariaDB.

    Args:
        client: the client, with the database.

    Raises:
        LoadError: they cannot be counted.

    """
    names = run(client, text=LIST_MARIADB).split()
    queries = ["SET NAMES utf8mb4;"]
    try:
        for name in names:
            quoted = bytes.fromhex(name).decode().replace("`", "``")
            queries.append(f"SELECT '{name}', COUNT(*) FROM `{quoted}`;")  # noqa: S608 - it is quoted
        lines = [line.split() for line in run(client, text="\n".join(queries)).splitlines()]
        return {bytes.fromhex(name).decode(): int(number) for name, number in lines}
    except ValueError:
        raise LoadError("the answer of the database is not as it should be") from None


SCRATCHES: dict[str, type[Scratch]] = {
    "postgresql": ScratchPostgreSQL,
    "mysql": ScratchMariaDB,
    "mariadb": ScratchMariaDB,
}
