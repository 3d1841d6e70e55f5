# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The dump of a product's database, made by the database's own tools, and how it is known to be whole.

Passwords reach the tools in their environment or in a file that only this account can read, never as arguments.

Sources: https://www.postgresql.org/docs/current/app-pgdump.html (``--snapshot``, custom format),
https://www.postgresql.org/docs/current/functions-admin.html (``pg_export_snapshot``),
https://mariadb.com/kb/en/mariadb-dump/ and https://dev.mysql.com/doc/refman/8.0/en/mysqldump.html
(``--single-transaction``, which rights are needed, the last line of a dump).
"""

# pylint: disable=ansible-bad-function  # runs by itself, where there is no module
from __future__ import annotations

import abc
import contextlib
import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ansible_collections.atlassian_dc.hardening.plugins.module_utils._backup_manifest import DUMPS, DatabaseDump
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._backup_restic import CHUNK, widen
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._backup_rows import RowCounter

MAX_COMPLAINT = 400
HEAD, TAIL = 64, 4096
"""How much of the beginning and of the end of a dump is looked at."""
CONNECT_SECONDS = "30"

COUNT_ROWS = """
SELECT format('SELECT json_build_array(%L, count(*)) FROM %I.%I', n.nspname || '.' || c.relname, n.nspname, c.relname)
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
    WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY n.nspname, c.relname
\\gexec
"""
"""Every table that a dump holds rows of: what belongs to an extension comes with it."""


class DumpError(Exception):
    """No dump could be made; says why."""


class Dump(abc.ABC):
    """One dump.

    Args:
        config: ``kind``, ``name``, and how to get there.
        password: of the account.
        scratch: folder for what only this account may read.

    Attributes:
        notes: what is not in it, or not known of it, in words.

    """

    header = b""
    """What a dump begins with."""
    ending = b""
    """What must stand in its last lines."""
    at_once = False
    """Whether it is of the moment at which `held` begins, however long it takes."""

    def __init__(self, config: Mapping[str, Any], password: str, scratch: str) -> None:
        self.config = config
        self._password = password
        self._scratch = scratch
        self.notes: list[str] = []
        self.bytes = 0
        self._digest = hashlib.sha256()
        self._head = b""
        self._tail = b""
        self.moment: float | None = None
        """When it was begun, in seconds since 1970."""

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Hold the database's content as it is, where that can be done; the dump is made meanwhile.

        Raises:
            DumpError: it could not be.

        """
        self.moment = time.time()
        yield

    @property
    def file(self) -> str:
        """Name of the file that it is in the snapshot."""
        return DUMPS[str(self.config["kind"])]

    @property
    def sha256(self) -> str:
        """Hash of what has been dumped."""
        return self._digest.hexdigest()

    @abc.abstractmethod
    def run(self, take: Callable[[bytes], object]) -> None:
        """Make the dump.

        Args:
            take: is given the content, piece by piece.

        Raises:
            DumpError: it could not be made, or is not whole.

        """

    @abc.abstractmethod
    def told(self) -> DatabaseDump:
        """Return what the manifest says of it."""

    def _environment(self) -> dict[str, str]:
        return {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C.UTF-8", "HOME": "/nonexistent"}

    def _copy(self, command: list[str], take: Callable[[bytes], object]) -> None:
        """Run a command and hand on what it writes; see that it ended well and wrote a whole dump."""
        program = os.path.basename(command[0])
        with tempfile.TemporaryFile() as errors:
            process = started(command, self._environment(), stdout=subprocess.PIPE, stderr=errors)
            stream: Any = process.stdout
            widen(stream)
            try:
                # Tools write some kilobytes at a time: to hand on each of them takes more time than to wait for more.
                while data := stream.read(CHUNK):
                    self._digest.update(data)
                    self.bytes += len(data)
                    if len(self._head) < HEAD:
                        self._head += data[:HEAD]
                    self._tail = (self._tail + data[-TAIL:])[-TAIL:]
                    take(data)
            except BaseException:
                process.kill()
                raise
            finally:
                stream.close()
                code = process.wait()
            if code != 0:
                raise DumpError(f"{program} failed: {self._complaint(errors, code)}")
        if not self.bytes:
            raise DumpError(f"{program} ended well, but has written nothing")
        if not self._head.startswith(self.header) or self.ending not in self._tail:
            raise DumpError(f"{program} ended well, but what it has written is no whole dump")

    def _complaint(self, errors: Any, code: int) -> str:
        size = errors.seek(0, os.SEEK_END)
        errors.seek(max(0, size - 16 * 1024))
        return self._words(errors.read(), code)

    def _words(self, told: bytes, code: int) -> str:
        lines = [line.strip() for line in told.decode("utf-8", "replace").splitlines() if line.strip()]
        text = "; ".join(lines[-3:])
        if self._password:
            text = text.replace(self._password, "***")
        return text[:MAX_COMPLAINT] or (f"ended by signal {-code}" if code < 0 else f"ended with {code}")


def started(command: list[str], environment: Mapping[str, str], **more: Any) -> subprocess.Popen[bytes]:
    """Start a program.

    Raises:
        DumpError: it is not there.

    """
    try:
        return subprocess.Popen(command, stdin=more.pop("stdin", subprocess.DEVNULL), env=dict(environment), **more)
    except OSError as exc:
        raise DumpError(f"{command[0]} cannot be started: {exc.strerror}") from exc


class PostgreSQL(Dump):
    """A dump of PostgreSQL, and the rows of each table in that very dump.

    One session holds a snapshot of the database; ``pg_dump`` reads from it, and so are rows counted.
    """

    header = b"PGDMP"
    at_once = True

    def __init__(self, config: Mapping[str, Any], password: str, scratch: str) -> None:
        super().__init__(config, password, scratch)
        self._session: _Session | None = None
        self._snapshot = ""
        self._server: str | None = None
        self._client: str | None = None
        self._rows: dict[str, int] = {}

    def _environment(self) -> dict[str, str]:
        given = {
            "PGHOST": self.config["host"],
            "PGPORT": str(self.config["port"]),
            "PGUSER": self.config["user"],
            "PGDATABASE": self.config["name"],
            "PGPASSWORD": self._password,
            "PGSSLMODE": self.config.get("ssl_mode") or "",
            "PGSSLROOTCERT": self.config.get("ssl_root") or "",
            "PGCONNECT_TIMEOUT": CONNECT_SECONDS,
            "PGCLIENTENCODING": "UTF8",
            # Whatever the account may do, and however long a dump takes.
            "PGOPTIONS": "-c default_transaction_read_only=on -c statement_timeout=0 -c lock_timeout=600s"
            " -c idle_in_transaction_session_timeout=0",
        }
        return {**super()._environment(), **{name: value for name, value in given.items() if value}}

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Hold a snapshot of the database.

        Raises:
            DumpError: it refuses.

        """
        with _Session(self) as session:
            session.ask("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;")
            self._server = next(session.ask("SHOW server_version;"), None)
            self.moment = time.time()
            self._snapshot = next(session.ask("SELECT pg_export_snapshot();"), "")
            if not re.fullmatch(r"[0-9A-F-]{3,64}", self._snapshot):
                raise DumpError("psql has told of no snapshot")
            self._session = session
            yield

    def run(self, take: Callable[[bytes], object]) -> None:
        """Make the dump of what is held, and count the rows of it."""
        if self._session is None:
            raise DumpError("no snapshot of the database is held")
        self._client = client_version(["pg_dump", "--version"], self._environment())
        options = ["--format=custom", "--compress=0", "--no-password", f"--snapshot={self._snapshot}"]
        # The rows meanwhile.
        self._session.put(COUNT_ROWS)
        self._copy(["pg_dump", *options], take)
        self._rows = dict(map(_row, self._session.answer()))

    def told(self) -> DatabaseDump:
        """Return what the manifest says of it."""
        return DatabaseDump("postgresql", self._server, self._client, str(self.config["name"]), self._rows)


class _Session:
    """A session of psql that answers one question after the other."""

    END = "-- atlassian-dc: end of the answer"

    def __init__(self, dump: PostgreSQL) -> None:
        self._dump = dump

    def __enter__(self) -> _Session:
        self._errors = tempfile.TemporaryFile()
        options = ["--no-psqlrc", "--no-password", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1"]
        self._process = started(
            ["psql", *options],
            self._dump._environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
        )
        return self

    def __exit__(self, *_exception: object) -> None:
        process = self._process
        with contextlib.suppress(OSError):
            process.communicate(timeout=30)
        if process.poll() is None:
            process.kill()
            process.wait()
        self._errors.close()

    def ask(self, text: str) -> Iterator[str]:
        """Have commands run; return the lines of their answer.

        Raises:
            DumpError: one failed, or the session is lost.

        """
        self.put(text)
        return self.answer()

    def put(self, text: str) -> None:
        """Begin to have commands run; `answer` waits for them."""
        put: Any = self._process.stdin
        with contextlib.suppress(OSError):  # it has ended, which its answer tells
            put.write(f"{text.strip()}\n\\echo '{self.END}'\n".encode())
            put.flush()

    def answer(self) -> Iterator[str]:
        """Return the lines of the answer to what was put last.

        Raises:
            DumpError: a command failed, or the session is lost.

        """
        got: Any = self._process.stdout
        lines: list[str] = []
        for line in got:
            words = line.decode("utf-8", "replace").rstrip("\n")
            if words == self.END:
                return iter(lines)
            lines.append(words)
        code = self._process.wait()
        raise DumpError(f"the database refuses: {self._dump._complaint(self._errors, code)}")


def _row(line: str) -> tuple[str, int]:
    try:
        name, count = json.loads(line)
        return str(name), int(count)
    except (ValueError, TypeError):
        raise DumpError("rows could not be counted: the answer of psql is not as it should be") from None


class MySQL(Dump):
    """A dump of MySQL or MariaDB; rows are counted in it while it is made."""

    ending = b"-- Dump completed"
    OPTIONS = (
        # All of one moment, without keeping anybody from writing.
        *("--single-transaction", "--quick", "--routines", "--triggers", "--hex-blob"),
        # Tools before MySQL 8 ask for three bytes at most, and get question marks instead of what takes four.
        "--default-character-set=utf8mb4",
        # Those of MySQL need a right on the whole server to tell of them, and products have none.
        "--no-tablespaces",
        # A row may be as long as the server takes it.
        "--max-allowed-packet=1G",
    )

    def __init__(self, config: Mapping[str, Any], password: str, scratch: str) -> None:
        super().__init__(config, password, scratch)
        self._client: str | None = None
        self._server: str | None = None
        self._tables: dict[str, int] | None = None

    def run(self, take: Callable[[bytes], object]) -> None:
        """Make the dump, and count the rows in it."""
        handle, path = tempfile.mkstemp(dir=self._scratch, prefix="client-", suffix=".cnf")
        counter = RowCounter()
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                stream.write(client_file(self.config, self._password))
            program = _first_of("mariadb-dump", "mysqldump")
            self._client = client_version([program, "--version"], self._environment())
            options = [*self.OPTIONS, *(["--events"] if self._may_read_events(path) else [])]
            command = [program, f"--defaults-file={path}", *options, "--", str(self.config["name"])]
            self._copy(command, self._seen(counter, take))
        finally:
            os.unlink(path)
        self._tables = counter.rows()
        if counter.problem:
            self.notes.append(counter.problem)

    def _may_read_events(self, path: str) -> bool:
        """Whether the account may read the events of the database, as not all vendors want it to."""
        name = str(self.config["name"])
        command = [_first_of("mariadb", "mysql"), f"--defaults-file={path}", "--execute=SHOW EVENTS", "--", name]
        with started(command, self._environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
            told: Any = process.stderr
            # Whatever else is wrong, the dump will tell.
            if b"ERROR 1044" not in told.read():
                return True
        self.notes.append(
            f"{self.config['user']} may not read the events of {name}: if there are any, they are not in the dump;"
            " grant it EVENT"
        )
        return False

    def _seen(self, counter: RowCounter, take: Callable[[bytes], object]) -> Callable[[bytes], object]:
        def see(data: bytes) -> None:
            if self._server is None:
                found = re.search(rb"^-- Server version\s+(\S+)", data, re.MULTILINE)
                self._server = found[1].decode("utf-8", "replace") if found else ""
            counter.take(data)
            take(data)

        return see

    def told(self) -> DatabaseDump:
        """Return what the manifest says of it."""
        kind, name = str(self.config["kind"]), str(self.config["name"])
        return DatabaseDump(kind, self._server or None, self._client, name, self._tables)


class Command(Dump):
    """What a command writes that somebody has given, for databases whose tools are not ours."""

    def run(self, take: Callable[[bytes], object]) -> None:
        """Make the dump."""
        self._copy([str(word) for word in self.config["command"]], take)

    def told(self) -> DatabaseDump:
        """Return what the manifest says of it."""
        return DatabaseDump("command", None, None, None, None)


KINDS: dict[str, type[Dump]] = {"postgresql": PostgreSQL, "mysql": MySQL, "mariadb": MySQL, "command": Command}


def dump_of(config: Mapping[str, Any], password: str, scratch: str) -> Dump:
    """Return the dump that a configuration asks for."""
    return KINDS[str(config["kind"])](config, password, scratch)


def client_file(config: Mapping[str, Any], password: str) -> str:
    """Return the file that tells the tools of MySQL where to go and as whom."""

    def quoted(value: Any) -> str:
        return '"' + re.sub(r'(["\\])', r"\\\1", str(value)) + '"'

    lines = ["[client]", *(f"{name}={quoted(config[name])}" for name in ("host", "port", "user"))]
    lines.append(f"password={quoted(password)}")
    if config.get("ssl_mode") == "verify-full":
        lines += [f"ssl-ca={quoted(config['ssl_root'])}", "ssl-verify-server-cert"]
    return "\n".join(lines) + "\n"


def client_version(command: list[str], environment: Mapping[str, str]) -> str | None:
    """Return the version that a tool tells, None where it tells none."""
    with contextlib.suppress(DumpError):
        process = started(command, environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        text = process.communicate()[0].decode("utf-8", "replace")
        found = re.search(r"\d+(\.\d+)+", text)
        return found[0] if found else None
    return None


def _first_of(*programs: str) -> str:
    """Return the first of some programs that is there, or the last one."""
    return next((name for name in programs if shutil.which(name)), programs[-1])
