# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads and writes databases of AIDE.

A database is text, compressed: comments, a line ``@@db_spec`` with the names of the columns, a line for each path, and
``@@end_db``. Whoever gets hold of the host can put anything there, so nothing in it is believed to be well formed, and
one without its last line is never taken for a whole one: AIDE 0.18 reads it and only calls all that is missing new.
Lines that are not touched are written back as they were read.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import io
import json
import os
import stat
import zlib
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes

from ansible_collections.atlassian_dc.hardening.plugins.module_utils._integrity_scope import kind_of

MAX_BYTES = 512 * 1024 * 1024
"""Longest database that is read; one of a million files is shorter."""

BEGIN, SPEC, END = "@@begin_db", "@@db_spec", "@@end_db"
NOTE = "# atlassian_dc.hardening "
REQUIRED = ("name", "perm", "uid", "gid", "size", "mtime", "ctime", "sha256", "lname")
_EMPTY = "0"


class DatabaseError(Exception):
    """A database that cannot be used; says why."""


class State(NamedTuple):
    """What is known of a path.

    Attributes:
        kind: ``f`` file, ``d`` folder, ``l`` link, ``o`` anything else.
        mode: permission bits.
        uid: number of the owner.
        gid: number of the group.
        size: of a file, else 0.
        mtime: when its content was last changed, in seconds since 1970.
        ctime: when anything of it was last changed.
        sha256: of a file, in hexadecimal; None where it was not read.
        target: of a link.
        more: access list and extended attributes as AIDE writes them; None where they were not looked at.

    """

    kind: str
    mode: int
    uid: int
    gid: int
    size: int = 0
    mtime: int = 0
    ctime: int = 0
    sha256: str | None = None
    target: str | None = None
    more: tuple[str, ...] | None = None


def _text(word: str) -> str | None:
    """Return a text: ``0`` stands for none, and ``00`` for one that begins with it."""
    if word == _EMPTY:
        return None
    if word.startswith("0"):
        word = "" if word == "0-" else word[1:]
    return os.fsdecode(unquote_to_bytes(word.encode("utf-8", "surrogateescape")))


def _time(word: str) -> int:
    """Return a time: a number, before AIDE 0.19 in Base64."""
    if word.isascii() and word.isdigit():
        return int(word[:20])
    return int(base64.b64decode(word, validate=True)[:20])


def _digest(word: str) -> str | None:
    return None if word == _EMPTY else base64.b64decode(word, validate=True).hex()


class Database:
    """A database in memory.

    Args:
        fields: names of the columns.
        lines: the columns of each path.
        note: what this collection has noted in it.

    """

    def __init__(self, fields: tuple[str, ...], lines: dict[str, tuple[str, ...]], note: Mapping[str, Any]) -> None:
        self.fields = fields
        self.lines = lines
        self.note = dict(note)
        self._columns = {name: number for number, name in enumerate(fields)}

    @classmethod
    def read(cls, data: bytes) -> Database:
        """Read a database.

        Raises:
            DatabaseError: it is none, or not whole.

        """
        try:
            with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
                raw = stream.read(MAX_BYTES + 1)
        except EOFError:
            raise DatabaseError("it is cut short") from None
        except (OSError, zlib.error) as exc:
            raise DatabaseError(f"it is not compressed as a database is ({exc})") from None
        if len(raw) > MAX_BYTES:
            raise DatabaseError(f"it is longer than {MAX_BYTES} bytes")
        text = raw.decode("utf-8", "surrogateescape")
        lines = text.split("\n")
        while lines and not lines[-1].strip():
            lines.pop()
        if not lines or lines[0].strip() != BEGIN:
            raise DatabaseError(f"it does not begin with {BEGIN}")
        if lines[-1].strip() != END:
            raise DatabaseError(f"it is cut short: {END} is missing")
        return cls._parse(lines[1:-1])

    @classmethod
    def _parse(cls, lines: list[str]) -> Database:
        fields: tuple[str, ...] = ()
        note: dict[str, Any] = {}
        found: dict[str, tuple[str, ...]] = {}
        for line in lines:
            if line.startswith("#"):
                note = _noted(line) or note
                continue
            words = tuple(line.split())
            if not words:
                continue
            if words[0] == SPEC:
                fields = words[1:]
                if not set(REQUIRED) <= set(fields) or len(set(fields)) != len(fields):
                    raise DatabaseError("it has other columns than this collection asks for")
                continue
            if len(words) != len(fields):
                raise DatabaseError(f"the line of {line[:80]!r} has {len(words)} columns and not {len(fields)}")
            name = _text(words[fields.index("name")]) or ""
            if not name.startswith("/") or name in found:
                raise DatabaseError(f"{name[:80]!r} is no path, or there twice")
            found[name] = words
        if not fields:
            raise DatabaseError(f"{SPEC} is missing")
        database = cls(fields, found, note)
        for name in found:
            database.state(name)
        return database

    def write(self) -> bytes:
        """Return the database as a file; the same content gives the same bytes."""
        head = [BEGIN, NOTE + json.dumps(self.note, sort_keys=True), " ".join((SPEC, *self.fields))]
        body = [" ".join(self.lines[name]) for name in sorted(self.lines, key=os.fsencode)]
        text = "\n".join([*head, *body, END]) + "\n"
        return gzip.compress(text.encode("utf-8", "surrogateescape"), mtime=0)

    def _of(self, name: str, column: str) -> str:
        return self.lines[name][self._columns[column]]

    def state(self, name: str) -> State:
        """Return what it says of a path.

        Raises:
            DatabaseError: its line makes no sense.

        """
        try:
            mode = int(self._of(name, "perm"), 8)
            kind = kind_of(mode)
            is_file = kind == "f"
            return State(
                kind,
                stat.S_IMODE(mode),
                int(self._of(name, "uid")),
                int(self._of(name, "gid")),
                int(self._of(name, "size")) if is_file else 0,
                _time(self._of(name, "mtime")) if is_file else 0,
                _time(self._of(name, "ctime")) if is_file else 0,
                _digest(self._of(name, "sha256")) if is_file else None,
                _text(self._of(name, "lname")) if kind == "l" else None,
                tuple(self._of(name, column) for column in ("acl", "xattrs") if column in self._columns)
                if kind != "l"
                else None,
            )
        except (ValueError, binascii.Error) as exc:
            raise DatabaseError(f"the line of {name[:80]!r} makes no sense: {exc}") from None

    def take(self, other: Database, name: str, columns: Iterable[str] | None = None) -> bool:
        """Take over what another database says of a path; say whether that is something else.

        Args:
            other: the other one.
            name: the path; it is removed where the other one does not have it.
            columns: only these, where both have the path. None for all.

        """
        theirs, ours = other.lines.get(name), self.lines.get(name)
        if theirs is None:
            return self.lines.pop(name, None) is not None
        columns = self.fields if columns is None or ours is None else tuple(columns)
        given = dict(zip(other.fields, theirs))
        known = dict(zip(self.fields, ours or ()))
        wanted = tuple(
            given.get(field, _EMPTY) if field in columns or field not in known else known[field]
            for field in self.fields
        )
        self.lines[name] = wanted
        return wanted != ours


def _noted(line: str) -> dict[str, Any]:
    """Return what this collection has noted in a comment."""
    if not line.startswith(NOTE):
        return {}
    try:
        found = json.loads(line[len(NOTE) :])
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
