# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Properties files of Java: their entries, and where in the file each part of them stands.

Source: the documentation of ``java.util.Properties.load``.
"""

from __future__ import annotations

import bisect
import re
from dataclasses import dataclass


class PropertiesError(ValueError):
    """A file that Java refuses; says in which line and why."""


_NATURAL_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n|\Z)")
_KEY = re.compile(r"(?:[^\\=: \t\f]|\\.)*", re.DOTALL)
_SEPARATOR = re.compile(r"[ \t\f]*[=:]?[ \t\f]*")
_ESCAPE = re.compile(r"\\(?:u(?P<hex>[0-9a-fA-F]{4})|(?P<char>.))", re.DOTALL)
_CONTROL = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}


@dataclass(frozen=True)
class Property:
    """One entry of a properties file.

    Attributes:
        key: its key.
        value: its value.
        line: number of its first line.
        places: where each character of the value begins and ends in the file.
        value_end: where the value ends.
        end: where its last line ends, the end of the line left out.

    """

    key: str
    value: str
    line: int
    places: tuple[tuple[int, int], ...]
    value_end: int
    end: int

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Return where a part of the value lies in the file."""
        return self.places[start][0], self.places[end - 1][1]


def parse_entries(text: str) -> tuple[list[Property], bool]:
    """Return the entries of a properties file in their order, as Java reads them.

    Args:
        text: the content.

    Returns:
        The entries, and whether the last line of the file would go on in one that is added.

    Raises:
        PropertiesError: it holds an escape that Java refuses.

    """
    entries: list[Property] = []
    number = index = 0
    continued = False
    while index < len(text):
        number += 1
        line = _LogicalLine(number)
        while index < len(text):
            match = _NATURAL_LINE.match(text, index)
            raw = match.group() if match else ""
            content = raw.rstrip("\r\n")
            stripped = content.lstrip(" \t\f")
            comment = not line.length and stripped[:1] in ("#", "!")
            continued = not comment and (len(stripped) - len(stripped.rstrip("\\"))) % 2 == 1
            line.end = index + len(content)
            if not comment:
                line.add(stripped[:-1] if continued else stripped, line.end - len(stripped))
            index += len(raw)
            if not continued:
                break
            number += index < len(text)
        if line.length:
            entries.append(line.property())
    return entries, continued


class _LogicalLine:
    """A line of a properties file with those it goes on in."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.end = 0
        self.length = 0
        self.starts: list[int] = []
        self._parts: list[str] = []
        self._offsets: list[int] = []

    def add(self, part: str, offset: int) -> None:
        """Add what stands in one line of the file, and where."""
        self.starts.append(self.length)
        self._offsets.append(offset)
        self._parts.append(part)
        self.length += len(part)

    def _in_file(self, position: int) -> int:
        part = max(bisect.bisect_right(self.starts, position) - 1, 0)
        return self._offsets[part] + position - self.starts[part]

    def property(self) -> Property:
        """Return the entry in it.

        Raises:
            PropertiesError: it holds an escape that Java refuses.

        """
        text = "".join(self._parts)
        key = _KEY.match(text)
        key_end = key.end() if key else 0
        separator = _SEPARATOR.match(text, key_end)
        value_start = separator.end() if separator else key_end
        try:
            name, _spans = _unescaped(text, 0, key_end)
            value, spans = _unescaped(text, value_start, len(text))
        except ValueError as exc:
            raise PropertiesError(f"line {self.number}: {exc}") from None
        # An end is told from the character before it: what follows may lie in another line.
        places = tuple((self._in_file(start), self._in_file(end - 1) + 1) for start, end in spans)
        value_end = self._in_file(len(text) - 1) + 1 if len(text) > value_start else self._in_file(value_start)
        return Property(name, value, self.number, places, value_end, self.end)


def _unescaped(text: str, start: int, end: int) -> tuple[str, list[tuple[int, int]]]:
    """Return a part of a line without its escapes, and where each of its characters begins and ends.

    Raises:
        ValueError: it holds an escape that Java refuses.

    """
    characters: list[str] = []
    spans: list[tuple[int, int]] = []
    index = start
    while index < end:
        character, width = text[index], 1
        if character == "\\":
            escape = _ESCAPE.match(text, index, end)
            if escape is None or escape["char"] == "u":
                raise ValueError("a \\u escape is not followed by four hexadecimal digits")
            width = escape.end() - index
            character = chr(int(escape["hex"], 16)) if escape["hex"] else _CONTROL.get(escape["char"], escape["char"])
        characters.append(character)
        spans.append((index, index + width))
        index += width
    return "".join(characters), spans
