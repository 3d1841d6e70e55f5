# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stopping and starting a product, on a host made of canned answers and a clock that does not wait."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._changes import ChangeError, Changes
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._lock import HostLock
from ansible_collections.atlassian_dc.hardening.plugins.modules.product_service import (
    ProductService,
    ServiceError,
    masked,
    processes_of,
    status_page,
)

INSTANCE = {
    "name": "jira",
    "unit": "jira.service",
    "install_dir": "/opt/atlassian/jira",
    "install_link": None,
    "status_url": "http://127.0.0.1:8080/status",
    "up_states": ["RUNNING", "FIRST_RUN"],
}


class FakeHost:
    """A unit that goes through given states, one at each look."""

    def __init__(
        self, states: list[dict[str, str]], pages: list[str] | None = None, left: list[list[int]] | None = None
    ):
        self.states, self.pages, self.left = states, pages or ["RUNNING"], left or [[]]
        self.commands: list[list[str]] = []
        self.now = 0.0
        self.folder = tempfile.TemporaryDirectory()
        self.marks = Path(self.folder.name, "stopped")
        self.proc = Path(self.folder.name, "proc")
        self.found_marked: list[bool] = []

    def run(self, argv: list[str], **_options: Any) -> tuple[int, str, str]:
        if argv[:2] == ["systemctl", "show"]:
            state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
            return 0, "".join(f"{key}={value}\n" for key, value in {"LoadState": "loaded", **state}.items()), ""
        if argv[0] == "journalctl":
            return 0, "Starting\ndb.password=hunter2 token: abc\n", ""
        self.commands.append(argv)
        self.found_marked.append(self.mark.exists())
        return 0, "", ""

    @property
    def mark(self) -> Path:
        return self.marks / "jira.service"

    def page(self, _url: str, _key: str) -> str:
        return self.pages.pop(0) if len(self.pages) > 1 else self.pages[0]

    def processes(self, _folders: list[str]) -> list[int]:
        return self.left.pop(0) if len(self.left) > 1 else self.left[0]

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def service(
        self, check_mode: bool = False, timeout: float = 60, lock: HostLock | None = None, **looked_at: Any
    ) -> ProductService:
        return ProductService(
            {**INSTANCE, **looked_at},
            Changes(check_mode, self.run, lock=lock),
            self.run,
            timeout,
            clock=lambda: self.now,
            sleep=self.sleep,
            page=self.page,
            processes=self.processes,
            marks=str(self.marks),
            proc=str(self.proc),
        )

    def left_by(self, earlier: FakeHost) -> FakeHost:
        """Make it the same host as an earlier one, at the time of the next run."""
        self.folder, self.marks = earlier.folder, earlier.marks
        return self


ACTIVE = {"ActiveState": "active", "SubState": "running"}
STOPPING = {"ActiveState": "deactivating", "SubState": "stop"}
STARTING = {"ActiveState": "activating", "SubState": "start", "Job": "7"}
QUEUED = {"ActiveState": "inactive", "SubState": "dead", "Job": "7"}
STOPPED = {"ActiveState": "inactive", "SubState": "dead"}
FAILED = {"ActiveState": "failed", "SubState": "failed", "Result": "exit-code"}

STOP = ["systemctl", "--no-block", "stop", "jira.service"]
START = ["systemctl", "--no-block", "start", "jira.service"]


def test_stop_waits_for_unit_and_processes() -> None:
    host = FakeHost([ACTIVE, STOPPING, STOPPED], left=[[70], [70], [70], []])
    outcome = host.service().stop()
    assert host.commands == [STOP]
    assert (outcome["state"], outcome["changed"]) == ("stopped", True)
    assert host.now > 0


def test_stopped_already() -> None:
    host = FakeHost([STOPPED])
    assert host.service().stop()["changed"] is False
    assert host.commands == []


def test_process_that_stays() -> None:
    host = FakeHost([ACTIVE, STOPPED], left=[[70]])
    with pytest.raises(ServiceError, match=r"did not stop .* processes 70"):
        host.service(timeout=5).stop()
    assert 5 <= host.now < 6


def test_process_outside_the_unit_is_not_overlooked() -> None:
    host = FakeHost([STOPPED], left=[[70]])
    with pytest.raises(ServiceError, match="processes 70"):
        host.service(timeout=2).stop()


def test_stale_pid_file_is_removed(tmp_path: Path) -> None:
    stale = tmp_path / "catalina.pid"
    stale.write_text("70\n")
    host = FakeHost([ACTIVE, {**STOPPED, "PIDFile": str(stale)}])
    host.service().stop()
    assert not stale.exists()


def test_start_waits_for_the_page() -> None:
    host = FakeHost([STOPPED, QUEUED, STARTING, ACTIVE], ["no answer: refused", "STARTING", "RUNNING"])
    outcome = host.service().start()
    assert host.commands == [START]
    assert (outcome["state"], outcome["changed"]) == ("RUNNING", True)


def test_first_run_is_up() -> None:
    assert FakeHost([STOPPED, ACTIVE], ["FIRST_RUN"]).service().start()["state"] == "FIRST_RUN"


def test_running_already() -> None:
    host = FakeHost([ACTIVE])
    assert host.service().start()["changed"] is False
    assert host.commands == []


def test_failed_before_is_reset() -> None:
    host = FakeHost([FAILED, ACTIVE])
    host.service().start()
    assert host.commands == [["systemctl", "reset-failed", "jira.service"], START]


@pytest.mark.parametrize("end", [FAILED, {**STARTING, "NRestarts": "2"}, STOPPED])
def test_start_that_fails_ends_at_once(end: dict[str, str]) -> None:
    host = FakeHost([STOPPED, STARTING, end])
    with pytest.raises(ServiceError, match="did not start") as caught:
        host.service().start()
    assert host.now < 5
    assert "hunter2" not in str(caught.value)
    assert "abc" not in str(caught.value)


def test_page_that_never_says_running() -> None:
    host = FakeHost([STOPPED, ACTIVE], ["STARTING"])
    with pytest.raises(ServiceError, match="state found: STARTING"):
        host.service(timeout=30).start()
    assert 30 <= host.now < 31


@pytest.mark.parametrize(("state", "verb"), [(ACTIVE, "stop"), (STOPPED, "start")])
def test_check_mode_predicts(state: dict[str, str], verb: str) -> None:
    host = FakeHost([state])
    service = host.service(check_mode=True)
    outcome = service.stop() if verb == "stop" else service.start()
    assert outcome["changed"] is True
    assert service.changes.entries[-1]["target"] == "unit jira.service"
    assert host.commands == []


def test_unit_that_is_not_loaded() -> None:
    with pytest.raises(ServiceError, match="not-found"):
        FakeHost([{"LoadState": "not-found", "ActiveState": "inactive"}]).service().start()


def test_no_unit() -> None:
    with pytest.raises(ServiceError, match="no systemd unit"):
        ProductService({**INSTANCE, "unit": None}, Changes(False), FakeHost([ACTIVE]).run, 1)


def test_processes(tmp_path: Path) -> None:
    for pid, arguments in {
        1: ["/sbin/init"],
        70: ["/usr/bin/java", "-Dcatalina.base=/opt/atlassian/jira", "Bootstrap"],
        71: ["/usr/bin/java", "-cp", "/x.jar:/opt/atlassian/jira/bin/b.jar"],
        72: ["/usr/bin/java", "-Dcatalina.base=/opt/atlassian/jira2"],
        73: ["grep", "/opt/atlassian/jira"],
    }.items():
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "cmdline").write_bytes(b"\0".join(item.encode() for item in arguments) + b"\0")
    (tmp_path / "self").mkdir()
    assert processes_of(["/opt/atlassian/jira"], str(tmp_path)) == [70, 71]


def test_masked() -> None:
    assert masked("a password=x api-key: y keep=z") == "a password=******** api-key: ******** keep=z"


@pytest.mark.parametrize(
    ("cgroup", "left"),
    [
        ("0::/system.slice/jira.service\n", True),
        ("0::/system.slice/synchrony.service\n", False),
        ("1:name=systemd:/system.slice/synchrony.service\n0::/\n", False),
        ("0::/system.slice/cron.service\n", True),
        ("0::/user.slice/user-0.slice/session-1.scope\n", True),
        (None, True),
    ],
)
def test_processes_of_other_units_are_not_waited_for(cgroup: str | None, left: bool) -> None:
    host = FakeHost([{"ActiveState": "inactive"}], left=[[70]])
    (host.proc / "70").mkdir(parents=True)
    if cgroup:
        (host.proc / "70" / "cgroup").write_text(cgroup)
    assert host.service()._left() == ([70] if left else [])


@pytest.fixture
def server() -> Iterator[Any]:
    class Handler(BaseHTTPRequestHandler):
        answer = (200, b'{"state":"RUNNING"}')

        def do_GET(self) -> None:
            code, body = self.answer
            self.send_response(code)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_args: Any) -> None:
            pass

    http = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    yield Handler, f"http://127.0.0.1:{http.server_port}/status"
    http.shutdown()
    http.server_close()


@pytest.mark.parametrize(
    ("code", "body", "state"),
    [
        (200, b'{"state":"RUNNING"}', "RUNNING"),
        (200, b'{"status":"RUNNING"}', "an answer without a state"),
        (503, b'{"state":"STARTING"}', "STARTING"),
        (200, b"<html>", "an answer without a state"),
        (200, b"[]", "an answer without a state"),
        (200, b"OK\n", "OK"),
        (200, b"Log in to go on", "an answer without a state"),
        (200, b'{"state":"' + b"x" * 200000 + b'"}', "an answer without a state"),
    ],
)
def test_status_page(server: Any, monkeypatch: pytest.MonkeyPatch, code: int, body: bytes, state: str) -> None:
    monkeypatch.setenv("http_proxy", "http://192.0.2.1:9")
    handler, url = server
    handler.answer = (code, body)
    assert status_page(url, timeout=5) == state


def test_status_page_with_a_key_of_its_own(server: Any) -> None:
    handler, url = server
    handler.answer = (200, b'{"status":"RUNNING"}')
    assert status_page(url, "status", timeout=5) == "RUNNING"


def test_no_page() -> None:
    assert status_page("http://127.0.0.1:1/status", timeout=1).startswith("no answer")
    assert status_page("file:///etc/passwd").startswith("not a web address")


def at(state: dict[str, str], last_start: int) -> dict[str, str]:
    return {**state, "ActiveEnterTimestampMonotonic": str(last_start)}


def interrupted() -> FakeHost:
    """Return a host on which a run has stopped the product and then ended."""
    host = FakeHost([at(ACTIVE, 500), at(STOPPED, 500)])
    host.service().stop()
    return host


def test_a_stop_leaves_its_mark_before_anything_stops() -> None:
    host = interrupted()
    assert host.found_marked == [True]
    assert host.mark.exists()


def test_a_start_takes_the_mark_away_once_the_product_runs() -> None:
    host = FakeHost([at(STOPPED, 500), at(STARTING, 500), at(ACTIVE, 900)]).left_by(interrupted())
    host.service().start()
    assert host.found_marked == [True]
    assert not host.mark.exists()


def test_a_failed_start_keeps_the_mark() -> None:
    host = FakeHost([at(STOPPED, 500), at(FAILED, 500)]).left_by(interrupted())
    with pytest.raises(ServiceError):
        host.service().start()
    assert host.mark.exists()


@pytest.mark.parametrize("last_start", [500, 0])
def test_what_an_interrupted_run_stopped_is_started_again(last_start: int) -> None:
    """Also after the host was started anew, when nothing is known of the last start."""
    host = FakeHost([*[at(STOPPED, last_start)] * 3, at(ACTIVE, 900)]).left_by(interrupted())
    assert host.service().interrupted
    assert host.service().resume()["state"] == "RUNNING"
    assert host.commands == [START]
    assert not host.mark.exists()


def test_what_somebody_else_stopped_later_stays_down() -> None:
    host = FakeHost([at(STOPPED, 900)]).left_by(interrupted())
    assert not host.service().interrupted
    host.service().resume()
    assert host.commands == []
    assert not host.mark.exists()


def test_what_was_down_before_stays_down() -> None:
    host = FakeHost([at(STOPPED, 0)])
    host.service().stop()
    assert not host.mark.exists()
    assert host.service().resume()["changed"] is False
    assert host.commands == []


def test_resuming_is_only_predicted_in_check_mode() -> None:
    host = FakeHost([at(STOPPED, 500)]).left_by(interrupted())
    assert host.service(check_mode=True).resume()["changed"] is True
    assert host.commands == []
    assert host.mark.exists()


def test_nothing_is_stopped_when_the_mark_cannot_be_left() -> None:
    host = FakeHost([at(ACTIVE, 500)])
    host.marks.write_text("a file where the folder should be")
    with pytest.raises(ChangeError):
        host.service().stop()
    assert host.commands == []


def test_what_an_interrupted_run_is_still_stopping_is_started_again() -> None:
    stopping = at(STOPPING, 500)
    host = FakeHost([*[stopping] * 4, at(QUEUED, 500), at(ACTIVE, 900)]).left_by(interrupted())
    assert host.service().interrupted
    assert host.service().resume()["state"] == "RUNNING"
    assert host.commands == [START]


@pytest.mark.parametrize(
    ("pid", "alive", "java", "meanwhile"),
    [(70, [70], [70], False), (70, [99], [99], True), (None, [99], [99], True), (None, [], [], False)],
    ids=["the process looked at", "another one", "one where there was none", "a unit without a process"],
)
def test_a_product_started_since_it_was_looked_at(
    pid: int | None, alive: list[int], java: list[int], meanwhile: bool
) -> None:
    host = FakeHost([at(ACTIVE, 500)], left=[java])
    for number in alive:
        (host.proc / str(number)).mkdir(parents=True)
    assert host.service(pid=pid).restarted_meanwhile is meanwhile


def test_a_product_that_is_down_was_not_started_since() -> None:
    assert not FakeHost([at(STOPPED, 500)]).service(pid=70).restarted_meanwhile


def test_while_it_is_down_the_host_is_kept_from_other_runs(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    lock = HostLock("mine", path)
    lock.acquire()
    FakeHost([at(ACTIVE, 500), at(STOPPED, 500)]).service(lock=lock).stop()
    lock.release()
    assert '"kept_until": null' not in Path(path).read_text()


def test_what_was_down_before_keeps_nobody_out(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    lock = HostLock("mine", path)
    lock.acquire()
    FakeHost([at(STOPPED, 500)]).service(lock=lock).stop()
    lock.release()
    assert '"kept_until": null' in Path(path).read_text()
