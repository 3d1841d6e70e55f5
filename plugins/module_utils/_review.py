# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A look at what the logs of products hold since the last one, for what is unusual. It runs on the host by itself.

How the lines of a log look and what of them is unusual is product data, which the configuration holds. What users and
clients have typed stands in the lines: what is said of them is JSON in ASCII, one line each and bounded.
"""

from __future__ import annotations

import fnmatch
import hashlib
import json
import os
import re
import stat
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ansible_collections.atlassian_dc.hardening.plugins.module_utils._audit_coverage import COVERAGE_CHANGED, LEVELS
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._product_logs import (
    FAILED,
    LOCKED,
    LogError,
    parse_log,
)

MAX_BYTES = 4 * 1024 * 1024
"""Most that is read at once."""

MAX_READS = 32
"""How often that is done for a file in one look; the rest is for the next one."""

MAX_PAST = 16 * 1024 * 1024
"""How much of a file is read that was not there at the last look, or never looked at."""

MAX_FILES = 1000
"""Most files of one log."""

MAX_SHOWN = 100
"""Most entries of one kind of an instance that are named in one look; the others are counted."""

MAX_SUBJECTS = 10_000
"""Most names and addresses whose failures are counted from one look to the next."""

MAX_TEXT = 200
"""Longest text in what is said of an entry."""

HEAD = 256
"""How much of the beginning of a file tells it from another one that was given the same number."""

WARNING, NOTICE = "<4>", "<5>"
"""How the journal is told of the priority of a line."""

State = dict[str, Any]
Say = Callable[[str], None]


class Review:
    """One look at the logs of a host.

    Args:
        config: instances with their logs and what is unusual in them, and how many failures are too many.
        state: what the last look has left; changed by this one.
        say: takes each line of the result.

    """

    def __init__(self, config: Mapping[str, Any], state: State, say: Say) -> None:
        self._config = config
        self._say = say
        self._state = state
        self.entries = 0
        self.unusual = 0
        self.unreadable = 0

    def run(self) -> None:
        """Look at every log."""
        for instance in self._config["instances"]:
            self._look_at(instance)
        result = f"{self.unusual} unusual, {self.unreadable} logs could not be read"
        self._say(f"{NOTICE}looked at {self.entries} entries: {result}")

    def _look_at(self, instance: Mapping[str, Any]) -> None:
        name = str(instance["name"])
        counts: dict[str, Counter[str]] = {"name": Counter(), "address": Counter()}
        named: Counter[str] = Counter()
        for log in instance["logs"]:
            for text in self._new_text(name, log["path"]):
                try:
                    events = parse_log(text, log["form"])
                except LogError as exc:
                    self._unreadable(name, log["path"], str(exc))
                    break
                self.entries += len(events)
                for event in events:
                    self._count(event, counts)
                    for kind in kinds_of(event, instance["unusual"]):
                        named[kind] += 1
                        if named[kind] <= MAX_SHOWN:
                            self._warn(name, kind, told(event))
        for kind, count in named.items():
            if count > MAX_SHOWN:
                self._warn(name, kind, {"and more of them": count - MAX_SHOWN})
        self._bursts(name, counts)

    def _warn(self, instance: str, kind: str, what: Mapping[str, Any]) -> None:
        self.unusual += 1
        self._say(f"{WARNING}{instance}: {kind}: {json.dumps(what, sort_keys=True)}")

    def _unreadable(self, instance: str, path: str, why: str) -> None:
        self.unreadable += 1
        self._say(f"{WARNING}{instance}: unreadable: {json.dumps({'log': path, 'why': why})}")

    # ---- failed logins -----------------------------------------------------------------------

    def _count(self, event: Mapping[str, Any], counts: dict[str, Counter[str]]) -> None:
        if event["event"] not in (FAILED, LOCKED):
            return
        if event.get("name"):
            counts["name"][short(event["name"])] += 1
        address = self._address(event.get("addresses"))
        if address:
            counts["address"][short(address)] += 1

    def _address(self, addresses: Any) -> str:
        """Return who failed: the last address that is no proxy, for a client can send what it likes before it."""
        found = [part.strip() for part in str(addresses or "").split(",") if part.strip()]
        foreign = [address for address in found if address not in self._config["proxies"]]
        return (foreign or found or [""])[-1]

    def _bursts(self, instance: str, counts: dict[str, Counter[str]]) -> None:
        """Name who failed too often in this look and the one before, once until it is quiet again."""
        before: dict[str, dict[str, int]] = self._state.setdefault("failures", {}).get(instance, {})
        limit = self._config["failures"]
        kept: dict[str, dict[str, int]] = {}
        for kind, counter in counts.items():
            earlier = before.get(kind, {})
            for subject, count in counter.most_common(MAX_SHOWN):
                if count + earlier.get(subject, 0) >= limit:
                    self._warn(instance, "failed_logins", {kind: subject, "count": count + earlier.get(subject, 0)})
            # A burst that was named is over; what was too little for one goes on counting.
            kept[kind] = {
                subject: count
                for subject, count in counter.most_common(MAX_SUBJECTS)
                if count + earlier.get(subject, 0) < limit
            }
        self._state["failures"][instance] = kept

    # ---- reading -----------------------------------------------------------------------------

    def _new_text(self, instance: str, pattern: str) -> Iterator[str]:
        """Yield what the files of a log hold since the last look, oldest file first."""
        folder, name = os.path.split(pattern)
        known: dict[str, dict[str, Any]] = self._state.setdefault("files", {}).setdefault(pattern, {})
        seen: dict[str, dict[str, Any]] = {}
        try:
            files = sorted(_files(folder, name))[-MAX_FILES:]
        except FileNotFoundError:
            return  # the product has not written it yet
        except OSError as exc:
            self._unreadable(instance, pattern, exc.strerror or str(exc))
            return
        for _time, path in files:
            for _read in range(MAX_READS):
                try:
                    text, number, place = _read_on(path, known)
                except FileNotFoundError:
                    break  # rotated away meanwhile
                except OSError as exc:
                    self._unreadable(instance, path, exc.strerror or str(exc))
                    break
                known[number] = seen[number] = place
                if not text:
                    break
                yield text
        self._state["files"][pattern] = seen


def _files(folder: str, name: str) -> Iterator[tuple[float, str]]:
    """Yield the files of a log with the time of their last change, those that were rotated by number too."""
    with os.scandir(folder) as listing:
        for entry in listing:
            plain = re.sub(r"\.[0-9]+$", "", entry.name)
            if fnmatch.fnmatchcase(entry.name, name) or fnmatch.fnmatchcase(plain, name):
                info = entry.stat(follow_symlinks=False)
                if stat.S_ISREG(info.st_mode):
                    yield info.st_mtime, entry.path


def _read_on(path: str, known: Mapping[str, dict[str, Any]]) -> tuple[str, str, dict[str, Any]]:
    """Return the new whole lines of a file, its number, and up to where it has been read.

    Args:
        path: the file. Its folder belongs to the product: what was a file may be a link or a pipe by now.
        known: up to where files were read, by number.

    """
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as stream:
        info = os.fstat(stream.fileno())
        if not stat.S_ISREG(info.st_mode):
            raise OSError("not a regular file")
        number = f"{info.st_dev}:{info.st_ino}"
        last = known.get(number)
        offset = int(last["offset"]) if last else 0
        if last and (offset > info.st_size or _digest(stream, last["head"]) != last["digest"]):
            offset = 0  # cut to nothing, or another file that was given the same number
        offset = max(offset, info.st_size - MAX_PAST)
        stream.seek(offset)
        data = stream.read(MAX_BYTES)
        end = data.rfind(b"\n") + 1
        if end == 0 and len(data) == MAX_BYTES:
            end = len(data)  # a line that never ends
        head = min(HEAD, offset + end)
        place = {"offset": offset + end, "head": head, "digest": _digest(stream, head)}
    return data[:end].decode("utf-8", "replace"), number, place


def _digest(stream: Any, size: int) -> str:
    stream.seek(0)
    return hashlib.sha256(stream.read(size)).hexdigest()


# ---- what is unusual -------------------------------------------------------------------------------------------------


def kinds_of(event: Mapping[str, Any], unusual: list[dict[str, Any]]) -> list[str]:
    """Return in which ways an entry is unusual.

    Args:
        event: the entry.
        unusual: what is, as product data has it.

    """
    return list(dict.fromkeys(entry["name"] for entry in unusual if _is(event, entry)))


def _is(event: Mapping[str, Any], entry: Mapping[str, Any]) -> bool:
    if not event.get("action"):
        return False
    if "action" in entry and event["action"] != entry["action"]:
        return False
    if "category" in entry and event.get("category_key") != entry["category"]:
        return False
    if entry.get("lowered"):
        return any(_lowers(change) for change in event["changes"])
    return "holds" not in entry or any(re.fullmatch(entry["holds"], text) for text in _texts(event))


def _texts(event: Mapping[str, Any]) -> Iterator[str]:
    yield from event["objects"]
    yield from (change["to"] for change in event["changes"] if change["to"])
    yield from (value for value in event["attributes"].values() if value)


def _lowers(change: Mapping[str, Any]) -> bool:
    """Whether a change of the audit log's coverage takes something away."""
    if change["key"] != COVERAGE_CHANGED:
        return False
    before, after = (_level(change[end]) for end in ("from", "to"))
    return before is not None and after is not None and after < before


def _level(text: str | None) -> int | None:
    level = (text or "").rpartition(":")[2].strip().lower()
    return LEVELS.index(level) if level in LEVELS else None


def short(text: Any) -> str:
    """Return a text as it is said: cut where it is too long."""
    words = str(text)
    return words if len(words) <= MAX_TEXT else f"{words[:MAX_TEXT]}…"


def told(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is said of an entry of the audit log."""
    said: dict[str, Any] = {
        "when": event.get("time"),
        "action": event.get("action"),
        "by": event.get("author"),
        "from": event.get("addresses"),
    }
    found = {key: short(value) for key, value in said.items() if value is not None}
    objects = [short(name) for name in event["objects"][:10]]
    changes = [f"{short(change['from'] or '')} -> {short(change['to'] or '')}" for change in event["changes"][:10]]
    return {**found, **({"objects": objects} if objects else {}), **({"changes": changes} if changes else {})}


def main(config_path: str, state_path: str) -> int:
    """Look at the logs once.

    Args:
        config_path: file with the configuration.
        state_path: file that holds what one look leaves for the next one.

    Returns:
        Exit code: not 0 where a log could not be read.

    """
    with open(config_path, encoding="utf-8") as stream:
        config = json.load(stream)
    try:
        with open(state_path, encoding="utf-8") as stream:
            state = json.load(stream)
        if not isinstance(state, dict):
            state = {}
    except (FileNotFoundError, ValueError):
        state = {}

    def say(line: str) -> None:
        sys.stdout.write(f"{line}\n")

    review = Review(config, state, say)
    review.run()
    temporary = f"{state_path}.new"
    with open(temporary, "w", encoding="utf-8") as stream:
        json.dump(state, stream)
    os.replace(temporary, state_path)
    return 1 if review.unreadable else 0
