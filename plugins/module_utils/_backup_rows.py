# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Counts the rows in a dump of MySQL or MariaDB while it passes by, without keeping it.

It is read as the client reads it that loads it: statements end at the delimiter, which stands in no string, name or
comment, and which ``DELIMITER`` changes around what has a body. Rows come in ``INSERT INTO `name` VALUES (…),(…);``,
with a list of columns where some are generated or invisible; on one line by MySQL, one row a line by MariaDB. A value
is a number, ``NULL``, hexadecimal digits, or a string, which MySQL may mark ``_binary``. The tools have their session
without ``NO_BACKSLASH_ESCAPES``, and a dump sets the same mode for whoever loads it: in strings, quotes and
backslashes are escaped by a backslash. Whatever is not as told here makes the rows unknown; they are never guessed.

Sources: https://github.com/MariaDB/server/blob/11.8/client/mysqldump.cc (``dump_table``, ``dump_trigger``,
``get_table_structure``), https://github.com/MariaDB/server/blob/11.8/client/mysql.cc (``add_line``),
https://github.com/mysql/mysql-server/blob/8.0/client/mysqldump.cc,
https://dev.mysql.com/doc/refman/8.0/en/string-literals.html (escapes),
https://dev.mysql.com/doc/refman/8.0/en/comments.html
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

MAX_STATEMENT = 16 * 1024 * 1024
"""Longest statement but those with rows, which may have any length."""
AHEAD = 16
"""How much has to be there to tell what comes next."""
_NAME = rb"`((?:[^`]|``)+)`"
_INSERT = b"INSERT INTO `"
_HEADER = re.compile(rb"INSERT INTO " + _NAME + rb" (?:\((?:`(?:[^`]|``)+`(?:, )?)+\) )?VALUES[ \n]")
_TABLE = re.compile(rb"CREATE TABLE (?:IF NOT EXISTS )?" + _NAME)
_MODE = re.compile(rb"\bSQL_MODE\s*=\s*'([^']*)'", re.IGNORECASE)
_DELIMITER = re.compile(rb"DELIMITER (;{1,2})\r?\n", re.IGNORECASE)
_WORD = re.compile(rb"[A-Za-z]+|/\*M?!")
_HARMLESS = {b"ALTER", b"COMMIT", b"CREATE", b"DO", b"DROP", b"LOCK", b"SELECT", b"SET", b"UNLOCK", b"/*!", b"/*M!"}
"""What statements begin with that change no rows. Of those in ``/*!…*/`` the tools make none that does."""
_BETWEEN = re.compile(rb"[ \t\r\n]+|--(?:[ \t][^\n]*)?\n|#[^\n]*\n|/\*(?![!+]|M!).*?\*/", re.DOTALL)
"""Between statements: space and comments."""
_WITHIN = re.compile(
    _BETWEEN.pattern
    + rb"|'[^'\\]*(?:\\.[^'\\]*)*'"
    + rb'|"[^"\\]*(?:\\.[^"\\]*)*"'
    + rb"|`[^`]*`|/\*[!+]|/\*M!|/(?!\*)|--(?![ \t\n])|-(?!-)|[^'\"`#;/-]+",
    re.DOTALL,
)
"""Within a statement: whatever does not end it."""
_SEMICOLON = re.compile(rb";")
_VALUES = b"0123456789ABCDEFabcdefx+-.eENUL_binary(), \n'"
"""What rows consist of, with a quote for each string."""
_NO_BRACKETS = bytes(set(range(256)) - set(b"()"))


class _UnknownError(Exception):
    """The dump is not as dumps are known to be; says how."""


class RowCounter:
    """Counts the rows of each table in a dump.

    Attributes:
        problem: why they cannot be known; else "".

    """

    def __init__(self) -> None:
        self.problem = ""
        self._rows: dict[str, int] = {}
        self._escapes_are_known = False
        # Of a statement: what has come of it so far, and how much of that was looked at.
        self._rest = b""
        self._seen = 0
        self._delimiter = b";"
        # Of rows: their table, "" outside of any, what a border has cut apart, and what is open there.
        self._table = ""
        self._held = b""
        self._in_string = False
        self._in_row = False

    def take(self, data: bytes) -> None:
        """Go on with the next piece of the dump, which may have any length."""
        with self._noted():
            while data and not self.problem:
                data = self._values(data) if self._table else self._statements(data)

    def rows(self) -> dict[str, int] | None:
        """Return the rows of each table, once the dump has ended; None where they cannot be known."""
        with self._noted():
            if not self.problem:
                self._statements(b"", last=True)
                if self._table or self._rest:
                    raise _UnknownError("it ends within a statement")
        return None if self.problem else dict(self._rows)

    @contextlib.contextmanager
    def _noted(self) -> Iterator[None]:
        try:
            yield
        except _UnknownError as exc:
            self.problem = f"the rows of the dump cannot be counted: {exc}"
            self._rest = self._held = b""

    # ---- statements --------------------------------------------------------------------------

    def _statements(self, data: bytes, last: bool = False) -> bytes:
        """Go through statements.

        Args:
            data: what follows.
            last: whether nothing will come after it.

        Returns:
            What follows once rows begin.

        """
        text, start, at = self._rest + data, 0, self._seen
        # What is nearer to the end may be cut off anywhere.
        enough = len(text) - (0 if last else AHEAD)
        while at < enough:
            if at == start:
                between = _BETWEEN.match(text, at)
                if between:
                    start = at = between.end()
                    continue
                header = _HEADER.match(text, at) if self._delimiter == b";" else None
                if header:
                    self._rest, self._seen = b"", 0
                    self._begin(header[1])
                    return text[header.end() :]
                delimiter = _DELIMITER.match(text, at)
                if delimiter:
                    self._delimiter = delimiter[1]
                    start = at = delimiter.end()
                    continue
                if text.startswith((_INSERT, b"DELIMITER"), at):
                    break  # of which not all is there yet
            if text.startswith(self._delimiter, at):
                self._end(text[start:at])
                start = at = at + len(self._delimiter)
                continue
            within = _WITHIN.match(text, at) or (_SEMICOLON.match(text, at) if self._delimiter != b";" else None)
            if within is None:
                break
            at = within.end()
        if len(text) - start > MAX_STATEMENT:
            raise _UnknownError("it has a statement that is too long")
        self._rest, self._seen = text[start:], at - start
        return b""

    def _end(self, statement: bytes) -> None:
        """Take a whole statement that has no rows."""
        word = _WORD.match(statement)
        if word is None or word[0].upper() not in _HARMLESS:
            raise _UnknownError(f"it has a statement of no known kind: {statement[:40].decode('utf-8', 'replace')!r}")
        table = _TABLE.match(statement)
        if table:
            name = _name(table[1])
            if name in self._rows:
                raise _UnknownError(f"it makes table {name} twice")
            self._rows[name] = 0
        for mode in _MODE.findall(statement):
            if b"NO_BACKSLASH_ESCAPES" in mode.upper():
                raise _UnknownError("it has something that was made with NO_BACKSLASH_ESCAPES")
            self._escapes_are_known = True

    # ---- rows --------------------------------------------------------------------------------

    def _begin(self, quoted: bytes) -> None:
        """Begin with rows of a table."""
        self._table = _name(quoted)
        if self._table not in self._rows:
            raise _UnknownError(f"it has rows of {self._table}, which is no table in it")
        if not self._escapes_are_known:
            raise _UnknownError("it does not tell how strings are escaped")
        self._held, self._in_string, self._in_row = b"", False, False

    def _values(self, data: bytes) -> bytes:
        """Go through rows; return what follows their statement."""
        data, at = self._held + data, 0
        self._held = b""
        while True:
            end = data.find(b";\n", at)
            if end < 0:
                break
            self._count(data[at:end])
            at = end + 2
            if not self._in_string:
                if self._in_row:
                    raise _UnknownError(f"a row of {self._table} does not end")
                self._table = ""
                return data[at:]
        rest = data[at:]
        if rest.endswith(b";") or (len(rest) - len(rest.rstrip(b"\\"))) % 2:
            # Together with what follows it may mean something else.
            rest, self._held = rest[:-1], rest[-1:]
        self._count(rest)
        return b""

    def _count(self, rows: bytes) -> None:
        """Count the rows that end in a piece of them; nothing that a border has cut apart is at its end."""
        if b"\\" in rows:
            # Each of a run of backslashes that begins one escapes the next; only a quote is of interest then.
            rows = rows.replace(b"\\\\", b"  ").replace(b"\\'", b"  ")
        pieces = rows.replace(b"','", b"").split(b"'")
        values = b"'".join(pieces[self._in_string :: 2])
        self._in_string ^= not len(pieces) % 2
        brackets = values.translate(None, _NO_BRACKETS)
        pair = b")(" if self._in_row else b"()"
        # Told alike: which of the two comes first depends on where the dump is cut.
        if values.translate(None, _VALUES) or brackets != (pair * (len(brackets) // 2 + 1))[: len(brackets)]:
            raise _UnknownError(f"a row of {self._table} is of no known form")
        self._in_row ^= bool(len(brackets) % 2)
        self._rows[self._table] += brackets.count(b")")


def _name(quoted: bytes) -> str:
    """Return the name of a table."""
    try:
        return quoted.replace(b"``", b"`").decode()
    except UnicodeDecodeError:
        raise _UnknownError("the name of a table is no UTF-8") from None
