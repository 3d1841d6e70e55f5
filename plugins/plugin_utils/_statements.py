# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people state in files: waivers (a failure is accepted for a time) and attestations (a person vouches)."""

from __future__ import annotations

import datetime
import fnmatch
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

MAX_BYTES = 1024 * 1024
EXPIRY_WARNING_DAYS = 30


class StatementError(Exception):
    """A waivers or attestations file that cannot be used; names the file, the entry and the key."""


@dataclass(frozen=True)
class Waiver:
    """A failure of one control that somebody accepts on some hosts until a day."""

    control: str
    hosts: tuple[str, ...]
    justification: str
    owner: str
    expires: datetime.date
    approver: str = ""
    ticket: str = ""

    def covers(self, host: str, groups: Iterable[str]) -> bool:
        """Whether one of the host patterns names this host or a group it is in."""
        names = {host, "all", *groups}
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in self.hosts for name in names)

    def live(self, today: datetime.date) -> bool:
        """Whether it still holds; the day of expiry is the last one."""
        return today <= self.expires


@dataclass(frozen=True)
class Attestation:
    """A dated answer of a person to a control that no machine can judge."""

    control: str
    attested_by: str
    date: datetime.date
    expires: datetime.date
    proof: str

    def live(self, today: datetime.date) -> bool:
        """Whether it still holds; the day of expiry is the last one."""
        return self.date <= today <= self.expires


def _read(path: Path, what: str) -> Any:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise StatementError(f"{path}: larger than {MAX_BYTES} bytes, which no {what} file is")
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise StatementError(f"{path}: cannot be read: {exc.strerror}") from exc
    except UnicodeDecodeError as exc:
        raise StatementError(f"{path}: not UTF-8 text") from exc
    except (yaml.YAMLError, RecursionError, ValueError) as exc:
        # PyYAML lets the ValueError of an impossible date such as 2027-13-31 through.
        raise StatementError(f"{path}: not valid YAML: {exc}") from exc


def _entries(
    path: Path, what: str, required: set[str], optional: set[str], known: Iterable[str]
) -> list[dict[str, Any]]:
    content = _read(path, what)
    if not isinstance(content, dict) or set(content) != {what}:
        raise StatementError(f"{path}: must hold one key, '{what}', with a list of entries")
    entries = content[what] or []
    if not isinstance(entries, list):
        raise StatementError(f"{path}: '{what}' must be a list")
    ids = set(known)
    for number, entry in enumerate(entries, 1):
        where = f"{path}: {what} entry {number}"
        if not isinstance(entry, dict):
            raise StatementError(f"{where}: must be a mapping")
        unknown = sorted(str(key) for key in set(entry) - required - optional)
        if unknown:
            raise StatementError(
                f"{where}: unknown key '{unknown[0]}'; known are {', '.join(sorted(required | optional))}"
            )
        for key in sorted(required):
            if entry.get(key) in (None, "", []):
                raise StatementError(f"{where}: '{key}' is missing or empty")
        if entry["control"] not in ids:
            raise StatementError(f"{where}: there is no control '{entry['control']}'")
        for key in sorted(set(entry) - {"hosts", "expires", "date"}):
            if not isinstance(entry[key], str):
                raise StatementError(f"{where}: '{key}' must be text")
    return entries


def _date(value: Any, where: str) -> datetime.date:
    # YAML turns an unquoted ISO date into a date, and a date with a time into a datetime, which is a date too.
    if isinstance(value, datetime.date) and not isinstance(value, datetime.datetime):
        return value
    try:
        return datetime.date.fromisoformat(str(value))
    except ValueError as exc:
        raise StatementError(f"{where} must be a date such as 2027-01-31, not '{value}'") from exc


def load_waivers(path: str | Path, known: Iterable[str]) -> tuple[Waiver, ...]:
    """Read a waivers file.

    Args:
        path: the file; a relative one is relative to the current directory.
        known: ids of the controls that exist.

    Raises:
        StatementError: the file cannot be used.

    """
    path = Path(path)
    waivers = []
    required = {"control", "hosts", "justification", "owner", "expires"}
    for number, entry in enumerate(_entries(path, "waivers", required, {"approver", "ticket"}, known), 1):
        where = f"{path}: waivers entry {number}"
        hosts = entry["hosts"] if isinstance(entry["hosts"], list) else [entry["hosts"]]
        if not all(isinstance(host, str) and host for host in hosts):
            raise StatementError(f"{where}: 'hosts' must be a host pattern or a list of them")
        waivers.append(
            Waiver(
                control=entry["control"],
                hosts=tuple(hosts),
                justification=entry["justification"],
                owner=entry["owner"],
                expires=_date(entry["expires"], f"{where}: 'expires'"),
                approver=entry.get("approver", ""),
                ticket=entry.get("ticket", ""),
            )
        )
    return tuple(waivers)


def load_attestations(path: str | Path, attestable: Iterable[str]) -> tuple[Attestation, ...]:
    """Read an attestations file.

    Args:
        path: the file; a relative one is relative to the current directory.
        attestable: ids of the controls that are answered by attestation.

    Raises:
        StatementError: the file cannot be used.

    """
    path = Path(path)
    required = {"control", "attested_by", "date", "expires", "proof"}
    attestations = []
    for number, entry in enumerate(_entries(path, "attestations", required, set(), attestable), 1):
        where = f"{path}: attestations entry {number}"
        attestations.append(
            Attestation(
                control=entry["control"],
                attested_by=entry["attested_by"],
                date=_date(entry["date"], f"{where}: 'date'"),
                expires=_date(entry["expires"], f"{where}: 'expires'"),
                proof=entry["proof"],
            )
        )
    return tuple(attestations)


def waiver_of(waivers: Iterable[Waiver], control: str, host: str, groups: Iterable[str]) -> Waiver | None:
    """Return the waiver that counts for a control on a host: the one that holds longest, live or not."""
    groups = tuple(groups)
    found = [waiver for waiver in waivers if waiver.control == control and waiver.covers(host, groups)]
    return max(found, key=lambda waiver: waiver.expires, default=None)


def today() -> datetime.date:
    """Return the date that expiry is measured against, in UTC like every time in a report."""
    return datetime.datetime.now(datetime.timezone.utc).date()
