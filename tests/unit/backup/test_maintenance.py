# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock of a product, and that it is let go whatever happens."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.module_utils import _backup_run
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._backup_maintenance import LockError, Maintenance
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._rest import RestError
from unit.backup.backup_host import BackupHost
from unit.backup.maintained import CANCEL, LOCK, PROTOCOL, Maintained

URL = "http://127.0.0.1:7990"
LOGIN = {"token": "t0ken"}


class Clock:
    """Tells a time that passes only while somebody waits."""

    def __init__(self) -> None:
        self.now = 1795946400.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def lock_of(product: Maintained, path: Path, login: dict[str, str] | None = None, drain: float = 60) -> Maintenance:
    clock = Clock()
    login = LOGIN if login is None else login
    return Maintenance("git", URL, PROTOCOL, login, str(path), drain, product, clock, clock.sleep)


@pytest.fixture
def product() -> Maintained:
    return Maintained()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lock.json"


def test_holds_drains_and_lets_go(product: Maintained, path: Path) -> None:
    lock = lock_of(product, path)
    lock.hold()
    assert (product.locked, product.backing_up) == (True, True)
    lock.progress(50)
    lock.done()
    assert lock.let_go() == ""
    assert not product.locked
    assert not path.exists()
    # What has ended well is not cancelled.
    assert product.asked[:2] == ["POST lock", "POST backups"]
    assert "DELETE backups" not in product.asked
    times = lock.times
    assert times is not None
    assert times.drained == "2026-11-29T10:00:02Z"


def test_what_takes_the_lock_away_is_kept_where_only_this_account_reads_it(product: Maintained, path: Path) -> None:
    lock_of(product, path).hold()
    assert json.loads(path.read_text()) == {"url": URL, "lock": LOCK, "cancel": CANCEL}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("what", ["POST lock", "POST backups", "GET state"])
@pytest.mark.parametrize("told", [500, 401, {}, {"unlockToken": 7, "cancelToken": "a b"}, RestError("timeout", "late")])
def test_whatever_goes_wrong_it_is_not_left_locked(product: Maintained, path: Path, what: str, told: Any) -> None:
    product.trouble[what] = told
    with pytest.raises(LockError):
        lock_of(product, path).hold()
    assert not product.locked
    assert not path.exists()


def test_a_backup_that_does_not_drain_is_cancelled(path: Path) -> None:
    product = Maintained(polls=1000)
    with pytest.raises(LockError, match="git still works on something after 60 seconds"):
        lock_of(product, path).hold()
    assert product.asked[-2:] == ["DELETE backups", "DELETE lock"]
    assert not product.locked


def test_a_backup_that_the_product_ends_by_itself(product: Maintained, path: Path) -> None:
    product.trouble["GET state"] = {"task": {"state": "FAILED"}, "db-state": "DRAINED", "scm-state": "DRAINED"}
    with pytest.raises(LockError, match="its task is FAILED"):
        lock_of(product, path).hold()
    assert not product.locked


def test_somebody_elses_lock_stays(product: Maintained, path: Path) -> None:
    product.locked = True
    with pytest.raises(LockError, match=r"git cannot be locked: .* answers with status 409"):
        lock_of(product, path).hold()
    assert product.locked
    assert product.asked == ["POST lock"]


@pytest.mark.parametrize(
    ("told", "unsure"),
    [
        (RestError("timeout", "late"), True),
        (503, True),
        ({}, True),
        (RestError("unreachable", "no"), False),
        (401, False),
    ],
)
def test_a_lock_that_may_be_there_and_nobody_has_the_number_of_is_told(
    product: Maintained, path: Path, told: Any, unsure: bool
) -> None:
    product.trouble["POST lock"] = told
    with pytest.raises(LockError) as caught:
        lock_of(product, path).hold()
    assert ("whether it is locked now is not known" in str(caught.value)) == unsure


def test_without_a_login_nothing_is_asked(product: Maintained, path: Path) -> None:
    with pytest.raises(LockError, match="no login"):
        lock_of(product, path, {}).hold()
    assert product.asked == []


def test_a_lock_that_somebody_took_away_meanwhile_is_noticed(product: Maintained, path: Path) -> None:
    lock = lock_of(product, path)
    lock.hold()
    product.locked = False
    with pytest.raises(LockError, match="cannot be told"):
        lock.progress(50)
    product.trouble["POST progress"] = 200
    with pytest.raises(LockError, match="not of one moment"):
        lock.progress(50)


def test_what_cannot_be_let_go_is_left_to_the_next_start(product: Maintained, path: Path) -> None:
    lock = lock_of(product, path)
    lock.hold()
    product.trouble["DELETE lock"] = 503
    assert "The next start of the unit tries it again" in lock.let_go()
    assert path.exists()
    with pytest.raises(LockError, match="cannot be let go"):
        lock_of(product, path).release_left()
    product.trouble.clear()
    assert lock_of(product, path).release_left()
    assert not product.locked
    assert not lock_of(product, path).release_left()


def test_a_lock_that_is_gone_already_is_no_trouble(product: Maintained, path: Path) -> None:
    lock_of(product, path).hold()
    product.locked = False
    assert lock_of(product, path).release_left()
    assert not path.exists()


@pytest.mark.parametrize("text", ["{", "[]", "7"])
def test_what_is_left_and_cannot_be_read_is_told(product: Maintained, path: Path, text: str) -> None:
    path.write_text(text)
    with pytest.raises(LockError, match=r"nobody can tell whether git is locked|at another address"):
        lock_of(product, path).release_left()


class TestInABackup:
    @pytest.fixture
    def host(self, tmp_path: Path, product: Maintained, monkeypatch: pytest.MonkeyPatch) -> BackupHost:
        host = BackupHost(tmp_path, monkeypatch)
        host.config["maintenance"] = {"url": URL, "drain": 60, "protocol": PROTOCOL}
        monkeypatch.setattr(
            _backup_run, "maintenance_of", lambda *_given: lock_of(product, host.state / _backup_run.LOCK_FILE)
        )
        return host

    def test_it_is_locked_while_its_parts_are_saved(self, host: BackupHost, product: Maintained) -> None:
        assert host.run().result == "success"
        assert not product.locked
        (backup,) = host.stored()
        lock = host.manifest(backup).lock
        assert lock is not None
        assert lock.unlocked is not None

    def test_a_backup_that_fails_lets_it_go_and_cancels(self, host: BackupHost, product: Maintained) -> None:
        (host.tools / "breaks").touch()
        assert host.run().result == "failure"
        assert product.asked[-2:] == ["DELETE backups", "DELETE lock"]
        assert not product.locked

    def test_a_run_that_is_ended_lets_it_go(
        self, host: BackupHost, product: Maintained, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def stop(*_given: object) -> None:
            raise _backup_run.StoppedError("the run was ended by SIGTERM")

        monkeypatch.setattr(_backup_run.Backup, "_save_files", stop)
        assert host.run().reason == "the run was ended by SIGTERM"
        assert not product.locked

    def test_the_next_run_lets_go_what_a_kill_has_left(self, host: BackupHost, product: Maintained) -> None:
        lock_of(product, host.state / _backup_run.LOCK_FILE).hold()
        product.polls = 2
        state = host.run()
        assert (state.result, product.locked) == ("success", False)
        assert "still locked by a run that was cut short" in state.warnings[0]

    def test_what_is_saved_without_the_lock_is_no_backup(self, host: BackupHost, product: Maintained) -> None:
        product.trouble["POST progress"] = 409
        assert "whether git is still locked cannot be told" in host.run().reason
        assert host.whole() == []
