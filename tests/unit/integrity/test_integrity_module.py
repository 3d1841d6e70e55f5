# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the three controls are judged, and which baseline is ever kept."""

from __future__ import annotations

import base64
import hashlib
import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._changes import ChangeError, Changes
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._findings import Findings
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._integrity_db import Database
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._integrity_host import Found, IntegrityHost
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._integrity_scope import BASELINE, Area, Scope
from ansible_collections.atlassian_dc.hardening.plugins.modules.file_integrity import CONTROLS, COPY, Integrity
from unit.integrity.databases import database, line, raw

ALL_RIGHT = {"ActiveState": "active", "UnitFileState": "enabled"}


class Host(IntegrityHost):
    """A host on which everything but the baseline is right."""

    def __init__(self, changes: Changes, top: Path) -> None:
        self.changes = changes
        self.top = top
        self.baseline: bytes | None = None
        self.last: Database | None = None
        self.complaint = ""
        self.checked = 0
        self.said: list[str] = []
        self.refuses = False

    def look(self, packages: Any, names: Iterable[str]) -> Found:
        files = {name: name for name in names}
        found = Found(files=dict(files), timer=ALL_RIGHT, service={"Result": "success"}, baseline=self.baseline)
        if isinstance(names, Mapping):
            found.files = dict(names)
        self.read_last(found)
        return found

    def read_last(self, found: Found) -> None:
        found.last, found.last_time = self.last, time.time() if self.last else None

    def check(self, patience: int) -> str:
        self.checked += 1
        if not self.complaint:
            self.last = self.taken()
        return self.complaint

    def taken(self) -> Database:
        lines = []
        for path in [self.top, *sorted(self.top.rglob("*"))]:
            info = path.lstat()
            content = hashlib.sha256(path.read_bytes() if path.is_file() else b"").hexdigest()
            lines.append(line(str(path), f"{info.st_mode:o}", f"{info.st_uid} {info.st_gid}", 0, "5", content))
        return database(*lines)

    def fresh(self, scope: Scope, paths: Iterable[str]) -> Database:
        return self.taken()

    def put_baseline(self, data: bytes) -> None:
        if self.refuses:
            raise ChangeError(f"{BASELINE}: No space left on device")
        before = "absent" if self.baseline is None else "0:0 0600"
        if data != self.baseline and self.changes.announce(BASELINE, "content", before, "0:0 0600"):
            self.baseline = data

    def install(self, found: Found) -> None: ...

    def put(self, found: Found, files: Mapping[str, str]) -> None: ...

    def journal(self, message: str) -> None:
        self.said.append(message)

    def packages_of(self, paths: Any) -> dict[str, str]:
        return {}


class Case:
    """A host with one file, and runs of the module on it."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "setenv.sh"
        self.file.write_text("good")
        self.scope = Scope([Area(str(folder), "program file", "jira")])
        self.host = Host(Changes(False), folder)
        self.kept: bytes | None = None
        self.version = "1.0"

    def run(self, check_mode: bool = False, **params: Any) -> Integrity:
        """Run the module as the action plugin does, which keeps what it returns."""
        self.host.changes = Changes(check_mode)
        given: dict[str, Any] = {
            "instances": [{"name": "jira", "version": self.version}],
            "packages": ["aide"],
            "database_option": "database_in",
            "schedule": "daily",
            "interval": 86400,
            "wait": 1,
            "accept": [],
            "reason": "",
            "restart_follows": False,
            "changing": None,
            "record": None,
            "kept_sha256": None if self.kept is None else hashlib.sha256(self.kept).hexdigest(),
            "kept_baseline": None,
            **params,
        }
        findings = Findings({}, CONTROLS, check_mode)
        found = Integrity(given, findings, self.host.changes, self.host, self.scope)
        if found.wants_kept and self.kept is not None:
            given["kept_baseline"] = base64.b64encode(self.kept).decode()
            found = Integrity(given, findings, self.host.changes, self.host, self.scope)
        found.run()
        if found.to_be_kept is not None and not check_mode:
            self.kept = found.to_be_kept
        return found


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


def statuses(found: Integrity) -> list[str]:
    return [result["status"] for result in sorted(found.findings.results, key=lambda result: str(result["control"]))]


def reason(found: Integrity, control: str) -> str:
    return next(str(result["reason"]) for result in found.findings.results if result["control"] == control)


def test_the_first_baseline_is_taken_and_kept(case: Case) -> None:
    predicted = case.run(check_mode=True)
    assert statuses(predicted) == ["fail", "not_checked", "fail"]
    done = case.run()
    assert statuses(done) == ["fixed", "pass", "fixed"]
    assert done.changes.entries == predicted.changes.entries
    assert {entry["target"] for entry in done.changes.entries} == {BASELINE, COPY}
    again = case.run()
    assert (statuses(again), again.changes.count, case.host.checked) == (["pass"] * 3, 0, 1)


def test_a_check_that_takes_long_is_not_waited_for_and_used_by_a_later_run(case: Case) -> None:
    case.host.complaint = "still reading files"
    found = case.run()
    assert statuses(found) == ["fail", "not_checked", "fail"]
    assert "still reading files" in reason(found, "DC-FIM-01")
    case.host.last = case.host.taken()
    assert statuses(case.run()) == ["fixed", "pass", "fixed"]
    assert case.host.checked == 1


def test_an_altered_baseline_needs_the_copy_and_is_put_back(case: Case) -> None:
    case.run()
    case.file.write_text("evil")
    evil = case.host.taken()
    evil.note = {"taken": "now"}
    case.host.baseline = evil.write()
    found = case.run(check_mode=True)
    assert statuses(found) == ["pass", "fail", "fail"]
    assert [entry["target"] for entry in found.changes.entries] == [BASELINE]
    [_whole, path] = next(result["evidence"] for result in found.findings.results if result["control"] == "DC-FIM-03")
    assert path["what"] == f"{BASELINE}: {case.file}"
    assert "it was altered" in reason(found, "DC-FIM-03")
    kept = case.kept
    assert statuses(case.run()) == ["pass", "fail", "fixed"]
    assert case.host.baseline == case.kept == kept


def test_an_altered_baseline_that_cannot_be_put_back_is_never_kept(case: Case) -> None:
    case.run()
    kept, case.host.baseline, case.host.refuses = case.kept, raw(line("/evil")), True
    found = case.run()
    assert found.to_be_kept is None
    assert case.kept == kept
    assert statuses(found) == ["fail", "pass", "fail"]


def test_a_lost_baseline_is_not_taken_anew(case: Case) -> None:
    case.run()
    case.file.write_text("evil")
    case.host.baseline = None
    assert "gone from the host" in reason(case.run(check_mode=True), "DC-FIM-03")
    assert statuses(case.run()) == ["fixed", "fail", "fixed"]
    assert case.host.checked == 1


def test_a_baseline_cut_short_without_a_copy_is_not_replaced_by_itself(case: Case) -> None:
    case.run()
    case.host.baseline = (case.host.baseline or b"")[:-20]
    case.kept = None
    found = case.run()
    assert statuses(found) == ["fail", "not_checked", "fail"]
    assert "cut short" in reason(found, "DC-FIM-01")
    assert case.kept is None
    assert statuses(case.run(accept=["baseline"], reason="CHG-1")) == ["fixed", "pass", "fixed"]
    assert "CHG-1" in case.host.said[-1]


def test_an_upgrade_explains_and_is_accepted_by_name(case: Case) -> None:
    case.run()
    case.file.write_text("better")
    os.utime(case.file, (9, 9))
    case.version = "2.0"
    found = case.run()
    [evidence] = next(result["evidence"] for result in found.findings.results if result["control"] == "DC-FIM-02")
    assert "jira is version 2.0, and was 1.0 in the baseline" in evidence["actual"]
    assert case.run(accept=["confluence"], reason="x").accepted == []
    accepted = case.run(accept=["jira"], reason="CHG-2")
    assert accepted.accepted == [str(case.file)]
    assert statuses(accepted) == ["pass", "pass", "pass"]
    assert "CHG-2" in case.host.said[-1]
    case.file.write_text("evil")
    [evidence] = next(r["evidence"] for r in case.run().findings.results if r["control"] == "DC-FIM-02")
    assert "neither a package nor another version explains it" in evidence["actual"]


def test_what_a_restart_is_still_to_put_back_waits_for_it(case: Case) -> None:
    case.run()
    case.file.write_text("evil")
    found = case.run(restart_follows=True)
    assert [r["pending"] for r in found.findings.results if r["control"] == "DC-FIM-02"] == ["restart"]


def test_renewal_is_predicted_from_what_tasks_before_have_predicted(case: Case) -> None:
    case.run()
    path = str(case.file)
    written = {"target": path, "attribute": "content", "before": "x", "after": "y"}
    closed = {"target": path, "attribute": "permissions", "before": "x", "after": "0:0 0600"}
    info = case.file.stat()
    as_it_was = {**closed, "after": f"{info.st_uid}:{info.st_gid} {info.st_mode & 0o7777:04o}"}
    for changing, expected in (([], 0), ([written], 2), ([closed], 2), ([as_it_was], 0)):
        found = case.run(check_mode=True, changing=changing)
        assert found.changes.count == expected, changing
        assert statuses(found) == ["pass", "pass", "pass"]
    case.file.write_text("evil")
    assert case.run(check_mode=True, changing=[written]).changes.count == 0
