# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Version numbers of the products, in their order."""

from __future__ import annotations

import re
from typing import NamedTuple

_VERSION = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9}){0,7}(?:[-.+][A-Za-z0-9]{1,30}){0,8}")
_NUMBERS = re.compile(r"[0-9]+(?:\.[0-9]+)*(?![A-Za-z0-9])")
_PIECE = re.compile(r"[0-9]+|[A-Za-z]+")


class VersionError(ValueError):
    """A text that is no version."""


class Version(NamedTuple):
    """A version; compares as versions do.

    Attributes:
        numbers: its numbers, without zeros at the end: 10.3 and 10.3.0 are the same.
        final: whether it is a release, and not a preview such as ``10.0.0-EAP01``, which comes before it.
        suffix: pieces of what follows the numbers; numbers among them come before words and compare as numbers.

    """

    numbers: tuple[int, ...]
    final: bool
    suffix: tuple[tuple[int, int, str], ...]


def parse_version(text: str) -> Version:
    """Return a version that can be compared.

    Raises:
        VersionError: the text is none.

    """
    match = _NUMBERS.match(text) if _VERSION.fullmatch(text) else None
    if match is None:
        raise VersionError(f"{text[:60]!r} is no version")
    numbers = [int(part) for part in match.group().split(".")]
    while len(numbers) > 1 and numbers[-1] == 0:
        numbers.pop()
    rest = text[match.end() :]
    pieces = [(0, int(piece), "") if piece.isdigit() else (1, 0, piece.lower()) for piece in _PIECE.findall(rest)]
    return Version(tuple(numbers), not rest, tuple(pieces))


def in_cycle(version: str, cycle: str) -> bool:
    """Whether a version belongs to a release line: 10.3.15 does to 10.3, 10.30 does not."""
    return re.match(rf"{re.escape(cycle)}(?![0-9])", version) is not None
