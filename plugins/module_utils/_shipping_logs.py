# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which logs of a host are shipped, from what is known of its products. Nothing here looks at the host."""

from __future__ import annotations

import fnmatch
import glob
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

DATE = "^[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:"
"""Begin of an entry whose pattern begins with its time, in the form of log4j and of audit columns."""

UNINDENTED = "^([^[:space:]C]|C([^a]|$)|Ca([^u]|$))"
"""Begin of an entry of which nobody knows more: neither white space nor a Java cause, which go on with one before."""

ROTATED = (
    ".[0-9]",
    ".[0-9][0-9]",
    ".[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]",
    "-[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]",
)
"""What names of files end with once they are rotated. Packed ones are left out: nobody could read them."""

SINGLE = ("access", "audit")
"""Kinds of logs whose entries are lines."""

HOST = "host"
"""What stands in the place of an instance where a log is the host's, such as that of its reverse proxy."""

_UNWRITABLE = re.compile(r"[\x00-\x1f\x7f\"\\$]")
_NO_WORD = re.compile(r"[^A-Za-z0-9._-]")


class LogsError(Exception):
    """A log that cannot be shipped; says which and why."""


@dataclass(frozen=True)
class Input:
    """Files that are read alike.

    Attributes:
        instance: name of the instance, `HOST` for logs of the host.
        product: the product, ``-`` for logs of the host.
        kind: what is logged.
        path: pattern of the files as they are written to.
        begins: expression (POSIX, extended) of the first line of an entry; None where each line is one.
        named: files among them of another kind, by the beginning of their path.

    """

    instance: str
    product: str
    kind: str
    path: str
    begins: str | None = None
    named: tuple[tuple[str, str], ...] = ()

    @property
    def patterns(self) -> tuple[str, ...]:
        """Patterns of the files as they are written to, and of what they are called once they are rotated."""
        return (self.path,) if self.path.endswith("*") else (self.path, *(self.path + end for end in ROTATED))

    @property
    def kinds(self) -> tuple[str, ...]:
        """All kinds in these files."""
        return tuple(dict.fromkeys((self.kind, *(kind for _path, kind in self.named))))


def word(text: str) -> str:
    """Return a name as a word of a syslog header; what cannot stand there becomes an underscore."""
    return _NO_WORD.sub("_", text)[:48] or "_"


def begin_of(kind: str, form: Mapping[str, Any] | None) -> str | None:
    """Return how an entry of a log begins.

    Args:
        kind: of the log.
        form: what product data tells of its format.

    """
    if kind in SINGLE:
        return None
    form = form or {}
    pattern, columns = str(form.get("pattern") or ""), form.get("columns") or [""]
    dated = form.get("grammar") == "log4j" and re.match(r"%d(ate)?(\s|$)", pattern)
    return DATE if dated or (form.get("grammar") == "columns" and columns[0] == "timestamp") else UNINDENTED


def inputs_of(instance: Mapping[str, Any], known: Mapping[str, Any]) -> list[Input]:
    """Return what is read of an instance.

    A pattern that also describes a file with an entry of its own stands for both, or its lines would come twice.

    Args:
        instance: as discovery tells it.
        known: ``logs`` and ``log_formats`` of its product.

    Raises:
        LogsError: a path cannot be written in a configuration.

    """
    formats = known.get("log_formats") or {}
    plain: dict[str, Input] = {}
    wild: list[Input] = []
    for entry in known.get("logs") or ():
        folder = instance.get(f"{entry['tree']}_dir")
        if not folder:
            continue
        found = Input(
            instance=str(instance["name"]),
            product=str(instance["product"]),
            kind=entry["kind"],
            path=checked(os.path.join(glob.escape(folder), entry["path"])),
            begins=begin_of(entry["kind"], formats.get(entry.get("format"))),
        )
        if glob.has_magic(entry["path"]):
            wild.append(found)
        else:
            plain[found.path] = found
    result = []
    for pattern in wild:
        within = [path for path in plain if _covers(pattern.path, path)]
        named = [plain.pop(path) for path in within]
        begins = {item.begins for item in named} | {pattern.begins}
        result.append(
            Input(
                pattern.instance,
                pattern.product,
                pattern.kind,
                pattern.path,
                # Where some entries are known better than others, what is known of all of them has to do.
                pattern.begins if len(begins) == 1 else UNINDENTED if begins - {None} else None,
                tuple((_unescaped(item.path), item.kind) for item in named),
            )
        )
    return [*plain.values(), *result]


def host_inputs(logs: Iterable[Mapping[str, Any]]) -> list[Input]:
    """Return what is read of the host itself, and of logs that somebody has named.

    Args:
        logs: each with ``path``, ``kind``, and ``begins`` where an entry may have several lines.

    Raises:
        LogsError: a path cannot be written in a configuration.

    """
    return [
        Input(HOST, "-", str(entry["kind"]), checked(str(entry["path"])), entry.get("begins") or None) for entry in logs
    ]


def checked(path: str) -> str:
    """Return a path, or a pattern, that can be written between quotation marks.

    Raises:
        LogsError: it cannot.

    """
    if _UNWRITABLE.search(path) or not path.startswith("/"):
        raise LogsError(f"{path!r} cannot be written in a configuration of rsyslog")
    return path


def kinds_of(inputs: Sequence[Input], instance: str) -> list[str]:
    """Return the kinds of logs that are read of an instance."""
    return sorted({kind for item in inputs if item.instance == instance for kind in item.kinds})


def _covers(pattern: str, path: str) -> bool:
    """Whether a pattern describes a file, or one in the place of a rotated one would."""
    return os.path.dirname(pattern) == os.path.dirname(path) and fnmatch.fnmatchcase(
        os.path.basename(path), os.path.basename(pattern)
    )


def _unescaped(path: str) -> str:
    return re.sub(r"\[([*?[])\]", r"\1", path)
