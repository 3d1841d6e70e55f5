# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a backup leaves on its host: how it ended, for the audit, and the same as figures for a monitoring system."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import re
from dataclasses import dataclass
from typing import Any

FORMAT = 1
FOLDER = "/var/lib/atlassian-dc-backup"
METRICS = f"{FOLDER}/metrics"
NAME = "last.json"
MAX_BYTES = 1024 * 1024
RUNNING, DONE, FAILED = "running", "success", "failure"


class StateError(Exception):
    """What was left cannot be used; says why."""


@dataclass(frozen=True)
class Success:
    """A backup that has succeeded.

    Attributes:
        backup: its name.
        kind: ``instance`` or ``node``, as in its manifest.
        host: the host that made it.
        finished: when, in seconds since 1970.
        seconds: how long it took.
        bytes: size of all that is in it.
        files: how many they are.
        needed: what product data wants to be there: ``tree``, ``path``, ``place``, ``needed``, ``present``.

    """

    backup: str
    kind: str
    host: str
    finished: float
    seconds: float
    bytes: int
    files: int
    needed: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class State:
    """How the last try ended, and what the last success was.

    Attributes:
        key: of the instance in the repository.
        begun: when the last try was begun, in seconds since 1970.
        result: `RUNNING`, `DONE` or `FAILED`.
        reason: why it failed.
        warnings: what went wrong and did not make it fail.
        whole: the last success of the whole instance; on a node that does not make it, as far as it has seen.
        node: the last success of what only this node of a cluster has.
        pruned: when what was not needed any more was last removed, in seconds since 1970.
        checked: when the repository was last checked, in seconds since 1970.
        checks: how many checks it has passed: which share of its data is read next.
        damage: what the last check has found; "" where nothing was wrong.
        repository: which one all of this is of, as `place_of` tells it.

    """

    key: str
    begun: float
    result: str
    reason: str = ""
    warnings: tuple[str, ...] = ()
    whole: Success | None = None
    node: Success | None = None
    pruned: float = 0.0
    checked: float = 0.0
    checks: int = 0
    damage: str = ""
    repository: str = ""

    def to_json(self) -> str:
        """Return the text of the file."""
        return json.dumps({"format": FORMAT, **dataclasses.asdict(self)}, indent=1, sort_keys=True) + "\n"


def place_of(url: str) -> str:
    """Return what tells a repository from others: of its address, without who logs in there."""
    return hashlib.sha256(re.sub(r"//[^/@]*@", "//", url).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def parse_state(text: str) -> State:
    """Return the state that a text is.

    Raises:
        StateError: it is none.

    """
    try:
        told = json.loads(text[:MAX_BYTES])
        if told["format"] != FORMAT:
            raise StateError(f"is of format {told['format']!r:.20}, not {FORMAT}")
        state = State(
            key=str(told["key"]),
            begun=float(told["begun"]),
            result=str(told["result"]),
            reason=str(told["reason"]),
            warnings=tuple(map(str, told["warnings"])),
            whole=_success(told["whole"]),
            node=_success(told["node"]),
            pruned=float(told["pruned"]),
            checked=float(told["checked"]),
            checks=int(told["checks"]),
            damage=str(told["damage"]),
            repository=str(told["repository"]),
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError):
        raise StateError("is not what a backup leaves") from None
    if state.result not in (RUNNING, DONE, FAILED):
        raise StateError("is not what a backup leaves")
    return state


def _success(told: Any) -> Success | None:
    if told is None:
        return None
    needed = tuple(dict(item) for item in told["needed"])
    for item in needed:
        if not all(isinstance(item[name], bool) for name in ("needed", "present")):
            raise ValueError
        if not all(isinstance(item[name], str) for name in ("tree", "path")):
            raise ValueError
    return Success(
        backup=str(told["backup"]),
        kind=str(told["kind"]),
        host=str(told["host"]),
        finished=float(told["finished"]),
        seconds=float(told["seconds"]),
        bytes=int(told["bytes"]),
        files=int(told["files"]),
        needed=needed,
    )


def read_state(path: str) -> State | None:
    """Return what the last backup has left, None where there was none.

    Raises:
        StateError: it cannot be read; says why.

    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(handle, encoding="utf-8") as stream:
            return parse_state(stream.read(MAX_BYTES + 1))
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        raise StateError("is not what a backup leaves") from None
    except OSError as exc:
        raise StateError(f"cannot be read: {exc.strerror}") from exc


def write_atomically(path: str, text: str, mode: int) -> None:
    """Have a file with this content, or the one before."""
    temporary = f"{path}.new"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(temporary)
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fchmod(stream.fileno(), mode)
        os.fsync(stream.fileno())
    os.replace(temporary, path)


def metrics_of(name: str, state: State) -> str:
    """Return a state in the text format of Prometheus.

    Args:
        name: of the instance.
        state: what is to be told.

    """
    label = "".join(f"\\{char}" if char in '"\\' else char for char in name.replace("\n", " "))
    last = state.whole or state.node
    values = [
        ("last_try_timestamp_seconds", "When the last backup was begun.", state.begun),
        ("last_try_failed", "Whether it failed.", float(state.result == FAILED)),
        ("repository_damaged", "Whether the last check has found the repository damaged.", float(bool(state.damage))),
        ("warnings", "How many things went wrong without making it fail.", float(len(state.warnings))),
    ]
    if last is not None:
        values += [
            ("last_success_timestamp_seconds", "When the last good backup ended.", last.finished),
            ("last_success_duration_seconds", "How long it took.", last.seconds),
            ("last_success_bytes", "Size of what it holds.", float(last.bytes)),
            ("last_success_files", "Files that it holds.", float(last.files)),
        ]
    lines = []
    for metric, help_text, value in values:
        full = f"atlassian_dc_backup_{metric}"
        lines += [f"# HELP {full} {help_text}", f"# TYPE {full} gauge", f'{full}{{instance="{label}"}} {value:.3f}']
    return "\n".join(lines) + "\n"
