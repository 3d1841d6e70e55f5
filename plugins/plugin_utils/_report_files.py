# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes a report into its directory, keeping the earlier ones.

At every moment ``report.json`` is a whole report, the last one or this one: the new files are written under other names
first, the last report is linked into ``history/``, and only then the new files take the names of the old.
"""

from __future__ import annotations

import contextlib
import datetime
import errno
import fcntl
import itertools
import json
import math
import os
import re
import secrets
import stat
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._report_html import render_html
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._report_junit import render_junit
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._report_terminal import escape_character

JSON_NAME = "report.json"
HTML_NAME = "report.html"
JUNIT_NAME = "report.junit.xml"
HISTORY = "history"

MAX_HISTORY = 100
"""Earlier reports that are kept; of more, the oldest are removed."""

MAX_OLD_REPORT_BYTES = 256 * 1024 * 1024
"""A larger report.json is not parsed for its time."""

LOCK_SECONDS = 30
"""How long another run that is writing its report is waited for."""

_REPORT_FILE = re.compile(r"report\.[A-Za-z0-9.]+")
_TEMPORARY = re.compile(r"\.report\.[A-Za-z0-9.]+\.[0-9a-f]{16}\.tmp")
_HISTORY_NAME = re.compile(r"(\d{8}T\d{6}Z)(?:-(\d+))?")
_SURROGATES = re.compile("[\ud800-\udfff]")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")

# The order in which people read a report; other keys follow in the order of the alphabet.
_TOP = (
    "schema",
    "collection_version",
    "mode",
    "started",
    "finished",
    "complete",
    "selection",
    "messages",
    "summary",
    "hosts",
)
_SELECTION = ("tags", "skip_tags", "skip_controls")
_SUMMARY = (
    "pass",
    "fail",
    "fixed",
    "waived",
    "not_applicable",
    "manual",
    "not_checked",
    "error",
    "score",
    "coverage",
)
_HOST = ("reachable", "duration_seconds", "instances", "controls")
_INSTANCE = ("name", "product", "version", "install_dir", "home_dir")
_ENTRY = (
    "id",
    "scope",
    "instance",
    "status",
    "severity",
    "title",
    "reason",
    "evidence",
    "remediation",
    "pending",
    "waiver",
    "references",
)
_EVIDENCE = ("what", "expected", "actual")
_WAIVER = ("justification", "owner", "approver", "ticket", "expires", "judged", "expired")


class ReportError(Exception):
    """The report cannot be written; says where and why."""


def _ordered(mapping: Mapping[str, Any], first: tuple[str, ...]) -> dict[str, Any]:
    names = [name for name in first if name in mapping]
    return {name: mapping[name] for name in [*names, *sorted(set(mapping) - set(first))]}


def _value(value: Any, where: str) -> Any:
    """Return a value as the plain types of JSON.

    Args:
        value: what to convert; dates become text, and what has no place in JSON is refused.
        where: path of the value in the report, for messages.

    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        # File names need not be UTF-8; what came through as a lone surrogate cannot be written.
        return _SURROGATES.sub(lambda match: escape_character(match.group()), str(value))
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float) and math.isfinite(value):
        return float(value)
    if isinstance(value, (datetime.date, datetime.datetime)):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {_value(str(key), where): _value(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_value(item, f"{where}[{number}]") for number, item in enumerate(value)]
    raise ReportError(f"{where}: a value of type {type(value).__name__} has no place in a report")


def canonical(report: Mapping[str, Any]) -> dict[str, Any]:
    """Return the report as plain JSON types in the one order in which it is written: equal reports give equal bytes."""
    plain = _value(report, "report")
    for name in sorted(plain["hosts"]):
        host = plain["hosts"].pop(name)
        host["instances"] = [
            _ordered(instance, _INSTANCE) for instance in sorted(host["instances"], key=lambda item: str(item["name"]))
        ]
        host["controls"] = [_canonical_entry(entry) for entry in sorted(host["controls"], key=_by_id)]
        plain["hosts"][name] = _ordered(host, _HOST)
    if "selection" in plain:
        plain["selection"] = _ordered(plain["selection"], _SELECTION)
    plain["summary"] = _ordered(plain["summary"], _SUMMARY)
    return _ordered(plain, _TOP)


def _by_id(entry: Mapping[str, Any]) -> tuple[str, str]:
    # Not by status: the difference between two reports is then what changed, not what moved.
    return str(entry["id"]), str(entry["instance"] or "")


def _canonical_entry(entry: dict[str, Any]) -> dict[str, Any]:
    entry["evidence"] = [_ordered(item, _EVIDENCE) for item in entry["evidence"]]
    if entry["waiver"] is not None:
        entry["waiver"] = _ordered(entry["waiver"], _WAIVER)
    return _ordered(entry, _ENTRY)


def report_json(report: Mapping[str, Any]) -> str:
    """Return the text of report.json."""
    return json.dumps(canonical(report), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def prepare_directory(directory: str | Path) -> Path:
    """Create the report directory (mode 0700) unless it is there, and make sure that a report can be written to it.

    An existing directory keeps its mode: it may serve other purposes too. The files in it are private anyway.

    Returns:
        the absolute path.

    Raises:
        ReportError: it cannot be used; says why.

    """
    path = Path(os.path.abspath(Path(directory).expanduser()))  # without following links: they must stay to be seen
    try:
        with contextlib.suppress(FileExistsError):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.mkdir(mode=0o700)
            path.chmod(0o700)  # whatever the umask
        info = path.lstat()
        if stat.S_ISLNK(info.st_mode):
            if info.st_uid not in (os.geteuid(), 0):
                raise ReportError(
                    f"{path}: is a symbolic link owned by uid {info.st_uid}, neither by root nor by the user "
                    "who runs this (set atlassian_dc_report_dir to a directory of your own)"
                )
            info = path.stat()
        if not stat.S_ISDIR(info.st_mode):
            raise ReportError(f"{path}: is not a directory (set atlassian_dc_report_dir to another path)")
    except OSError as exc:
        raise _error(path, exc) from exc
    if not os.access(path, os.W_OK | os.X_OK):
        raise ReportError(f"{path}: is not writable for the user who runs this (uid {os.geteuid()})")
    return path


def write_report(report: Mapping[str, Any], directory: str | Path) -> dict[str, Path]:
    """Write a report, after moving the one before it into ``history/<time it finished>/``.

    Either all files are written, or the directory is left as it was.

    Args:
        report: the report as the ledger builds it.
        directory: where to; created with mode 0700 when missing.

    Returns:
        the absolute path of each file, by its name.

    Raises:
        ReportError: nothing was written; says why.

    """
    report = canonical(report)
    contents = {JUNIT_NAME: render_junit(report), HTML_NAME: render_html(report), JSON_NAME: report_json(report)}
    path = prepare_directory(directory)
    try:
        with _opened_directory(path) as room:
            _lock(room, path)
            _remove_leftovers(room)
            _put_in_place(room, contents)
            with contextlib.suppress(OSError):  # tidying up must not cost the report
                _prune_history(room)
    except OSError as exc:
        raise _error(path, exc) from exc
    return {name: path / name for name in reversed(contents)}


def _error(path: Path, exc: OSError) -> ReportError:
    where = f"{path}: the report cannot be written"
    if exc.errno in (errno.ENOSPC, errno.EDQUOT):
        return ReportError(f"{where}: no space left; a report that was there before is untouched")
    if exc.errno == errno.ELOOP:
        return ReportError(f"{where}: '{exc.filename}' is a symbolic link, which is not followed here")
    return ReportError(f"{where}: {exc.strerror or exc}{f' ({exc.filename})' if exc.filename else ''}")


@contextlib.contextmanager
def _opened_directory(name: str | Path, inside: int | None = None) -> Iterator[int]:
    flags = os.O_RDONLY | os.O_DIRECTORY | (os.O_NOFOLLOW if inside is not None else 0)
    room = os.open(name, flags, dir_fd=inside)
    try:
        yield room
    finally:
        os.close(room)


def _lock(room: int, path: Path) -> None:
    """Make two runs that end at once write one after the other; the lock goes with the descriptor."""
    end = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(room, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                raise ReportError(f"{path}: another run has been writing here for {LOCK_SECONDS} s") from None
            time.sleep(0.1)
        except OSError:  # a file system without locks
            return
        else:
            return


def _remove_leftovers(room: int) -> None:
    """Remove what runs that were killed while writing left behind."""
    for name in os.listdir(room):
        if _TEMPORARY.fullmatch(name):
            os.unlink(name, dir_fd=room)


def _write_file(room: int, name: str, content: bytes) -> None:
    handle = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=room)
    try:
        os.fchmod(handle, 0o600)
        view = memoryview(content)
        while view:
            view = view[os.write(handle, view) :]
        os.fsync(handle)
    finally:
        os.close(handle)


def _regular_files(room: int) -> list[str]:
    """Return the files of the report that is in place."""
    return sorted(
        name
        for name in os.listdir(room)
        if _REPORT_FILE.fullmatch(name) and stat.S_ISREG(os.stat(name, dir_fd=room, follow_symlinks=False).st_mode)
    )


def _put_in_place(room: int, contents: Mapping[str, str]) -> None:
    """Replace the last report by this one; on a failure put everything back."""
    temporary = {name: f".{name}.{secrets.token_hex(8)}.tmp" for name in contents}
    previous = _regular_files(room)
    kept: str | None = None
    touched: list[str] = []
    try:
        for name, text in contents.items():
            _write_file(room, temporary[name], text.encode("utf-8"))
        if previous:
            kept = _keep(room, previous)
        for name in previous:
            if name not in contents:  # of the last report only, as one in a format this run was not asked for
                os.unlink(name, dir_fd=room)
                touched.append(name)
        for name in contents:
            os.replace(temporary[name], name, src_dir_fd=room, dst_dir_fd=room)
            touched.append(name)
        os.fsync(room)
    except BaseException:
        for name in touched:
            if kept and name in previous:
                os.replace(f"{kept}/{name}", name, src_dir_fd=room, dst_dir_fd=room)
            else:
                os.unlink(name, dir_fd=room)
        for name in temporary.values():
            with contextlib.suppress(OSError):
                os.unlink(name, dir_fd=room)
        if kept:
            _remove_kept(room, kept)
        raise


def _keep(room: int, names: Sequence[str]) -> str:
    """Give the files of the last report a second name in the history, and return the folder."""
    stamp = _finished(room, names)
    with contextlib.suppress(FileExistsError):
        os.mkdir(HISTORY, 0o700, dir_fd=room)
    with _opened_directory(HISTORY, inside=room) as history:
        folder = stamp
        for number in itertools.count(2):
            try:
                os.mkdir(folder, 0o700, dir_fd=history)
                break
            except FileExistsError:
                folder = f"{stamp}-{number}"
        try:
            with _opened_directory(folder, inside=history) as target:
                for name in names:
                    _link_or_copy(room, name, target)
        except BaseException:
            _remove_kept(history, folder)
            raise
    return f"{HISTORY}/{folder}"


def _link_or_copy(room: int, name: str, target: int) -> None:
    try:
        os.link(name, name, src_dir_fd=room, dst_dir_fd=target, follow_symlinks=False)
    except OSError as exc:
        if exc.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK):
            raise
        _write_file(target, name, _read_file(room, name))  # a file system without hard links


def _read_file(room: int, name: str) -> bytes:
    with open(os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=room), "rb") as handle:
        return handle.read()


def _finished(room: int, names: Sequence[str]) -> str:
    """Return when the report in place finished, as a name that sorts; of an unreadable one, when it was written."""
    if JSON_NAME in names and os.stat(JSON_NAME, dir_fd=room).st_size <= MAX_OLD_REPORT_BYTES:
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError, RecursionError):
            finished = json.loads(_read_file(room, JSON_NAME))["finished"]
            if _TIME.fullmatch(finished):
                return str(finished).replace("-", "").replace(":", "")
    newest = max(os.stat(name, dir_fd=room).st_mtime for name in names)
    return datetime.datetime.fromtimestamp(newest, datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")


def _remove_kept(room: int, folder: str) -> None:
    """Remove a folder of the history; one that holds anything but a report stays."""
    with contextlib.suppress(OSError):
        with _opened_directory(folder, inside=room) as old:
            for name in _regular_files(old):
                os.unlink(name, dir_fd=old)
        os.rmdir(folder, dir_fd=room)


def _prune_history(room: int) -> None:
    with _opened_directory(HISTORY, inside=room) as history:
        matches = [match for match in map(_HISTORY_NAME.fullmatch, os.listdir(history)) if match]
        matches.sort(key=lambda match: (match[1], int(match[2] or 1)))
        for match in matches[:-MAX_HISTORY]:
            _remove_kept(history, match[0])
