# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Three nodes of a cluster: one is away at a time, the others serve, and what they share is looked at once.

`docs/clusters.md` tells users what to expect.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any

import pytest

from .lab import ACCOUNTS_AND_FILES, DISTRIBUTIONS, Lab, Outcome, Run

N1, N2, N3 = NODES = ("n1", "n2", "n3")
SHARED = "/srv/jira-shared"
HOME = "/var/atlassian/application-data/jira"
UP = [f"{N1}=jira:{DISTRIBUTIONS[0]}", f"{N2}=jira:{DISTRIBUTIONS[-1]}", f"{N3}=jira:{DISTRIBUTIONS[0]}"]
# What the first node has left in the shared home: open to everybody, and things of root.
KEPT_BADLY = f"""
mkdir -p {SHARED}/data/attachments/DEMO {SHARED}/plugins/installed-plugins {SHARED}/export
for number in $(seq 50); do echo x > {SHARED}/data/attachments/DEMO/$number; done
chmod 666 {SHARED}/data/attachments/DEMO/1
chmod 777 {SHARED}/export
chown -R jira:jira {SHARED}/data
"""
# A product that refuses to run as anybody but root: the sandbox is fine, the start is not.
ONLY_AS_ROOT = "echo '[ $(id -u) = 0 ] || exit 1' >> /opt/atlassian/jira/bin/setenv.sh"
ANOTHER_NUMBER = "sed -i 's/^jira:x:1000:/jira:x:1001:/' /etc/passwd"
THE_NUMBER = "sed -i 's/^jira:x:1001:/jira:x:1000:/' /etc/passwd"
ROLL: dict[str, Any] = {"atlassian_dc_allow_restart": True, "atlassian_dc_file_permissions_listed_changes": 100000}
PAUSE = 0.1
PATIENCE = 30
"""Seconds after which a request has failed: these machines are slow, and a slow answer is one."""
Row = Callable[[str, str, str, bool], None]


@dataclass
class Request:
    """One look at a status page."""

    begun: float
    ended: float
    served: bool


class Client:
    """Asks the status pages of all nodes all the time, as users and their load balancer do."""

    def __init__(self, lab: Lab) -> None:
        self.addresses = {name: host.address for name, host in lab.group.hosts().items()}
        self.requests: dict[str, list[Request]] = {name: [] for name in self.addresses}
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(name,), daemon=True) for name in self.addresses]
        # Test hosts are on this machine: a proxy for the outside world must not be asked for them.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def _ask(self, name: str) -> None:
        while not self._over.is_set():
            begun, served = time.monotonic(), False
            url = f"http://{self.addresses[name]}:8080/status"
            with (
                contextlib.suppress(OSError, HTTPException, ValueError, KeyError),
                self._opener.open(url, timeout=PATIENCE) as answer,
            ):
                served = json.load(answer)["state"] == "RUNNING"
            self.requests[name].append(Request(begun, time.monotonic(), served))
            self._over.wait(PAUSE)

    def __enter__(self) -> Client:
        """Begin."""
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_failure: object) -> None:
        """End, with all answers in."""
        self._over.set()
        for thread in self._threads:
            thread.join()

    def down(self, name: str) -> list[tuple[float, float]]:
        """Return the times in which a node did not serve: from the first request that failed to the next served one."""
        found: list[tuple[float, float]] = []
        since: float | None = None
        for request in self.requests[name]:
            if request.served and since is not None:
                found.append((since, request.begun))
                since = None
            elif not request.served and since is None:
                since = request.begun
        return found if since is None else [*found, (since, float("inf"))]

    def failed_after_restart(self, name: str) -> int:
        """Return how many requests failed in all but the first time a node was down."""
        times = self.down(name)[1:]
        return (
            sum(not request.served and request.begun >= times[0][0] for request in self.requests[name]) if times else 0
        )


def overlapping(client: Client) -> list[tuple[str, str]]:
    """Return the pairs of nodes that were down at the same moment."""
    times = [(name, *span) for name in NODES for span in client.down(name)]
    return [
        (one, other)
        for number, (one, begun, ended) in enumerate(times)
        for other, its_begin, its_end in times[number + 1 :]
        if one != other and begun < its_end and its_begin < ended
    ]


def make_cluster(lab: Lab) -> None:
    lab.group.shared_path = SHARED
    lab.up(UP)
    for name in NODES:
        settings = f"jira.node.id = {name}\\njira.shared.home = {SHARED}\\n"
        lab.sh(name, f"printf '{settings}' > {HOME}/cluster.properties")
    lab.sh(N1, KEPT_BADLY)


def pid(lab: Lab, host: str) -> str:
    return lab.sh(host, "systemctl show -P MainPID jira.service").strip()


def user(lab: Lab, host: str) -> str:
    return lab.sh(host, f"ps -o user= -p {pid(lab, host)}").strip()


def in_shared_home(outcome: Outcome, host: str) -> set[str]:
    return {path for path in outcome.changes(host) if path == SHARED or path.startswith(f"{SHARED}/")}


def of_first_play(outcome: Outcome) -> Outcome:
    """Return it without what the roll did; each node is alone in there."""
    stop = next(number for number, result in enumerate(outcome.results) if result["task"].endswith("Stop the products"))
    return Outcome(outcome.code, outcome.output, outcome.report, outcome.results[:stop])


class Rolled:
    """A cluster that is audited, hardened and rolled."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        make_cluster(lab)
        lab.sh(N3, ANOTHER_NUMBER)
        self.odd = lab.play("audit", hold_before="Find the installed products", during=self._cut_off, **ROLL)
        lab.sh(N1, "systemctl reset-failed ssh.service || true; systemctl start ssh.service")
        lab.sh(N3, THE_NUMBER)
        self.limited = lab.play("audit", "--limit", N2, **ROLL)
        self.audit = lab.play("audit", **ROLL)
        self.check = lab.play("harden", "--check", **ROLL)
        with Client(lab) as self.client:
            self.harden = lab.play("harden", **ROLL)
        self.users = {name: user(lab, name) for name in NODES}
        self.again = lab.play("audit", **ROLL)

    def _cut_off(self, run: Run) -> None:
        run.held()
        self.lab.sh(N1, "systemctl stop ssh.service; systemctl stop ssh.socket || true; pkill -KILL sshd || true")


class Stopped:
    """The same, with a second node that cannot start as its account."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        make_cluster(lab)
        lab.sh(N2, ONLY_AS_ROOT)
        self.pids = {name: pid(lab, name) for name in NODES}
        with Client(lab) as self.client:
            self.harden = lab.play("harden", atlassian_dc_service_user_start_timeout=120, **ROLL)
        self.pids_after = {name: pid(lab, name) for name in NODES}
        self.users = {name: user(lab, name) for name in NODES}


@pytest.fixture(scope="module")
def rolled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rolled]:
    lab = Lab("fidelity-cluster", tmp_path_factory.mktemp("cluster"), ACCOUNTS_AND_FILES)
    try:
        yield Rolled(lab)
    finally:
        lab.down()


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stopped]:
    lab = Lab("fidelity-cluster-stopped", tmp_path_factory.mktemp("stopped"), ACCOUNTS_AND_FILES)
    try:
        yield Stopped(lab)
    finally:
        lab.down()


# ---- a roll that succeeds ----------------------------------------------------------------------


def test_no_two_nodes_are_down_at_once(rolled: Rolled, row: Row) -> None:
    assert rolled.harden.code == 0, rolled.harden.output
    both = overlapping(rolled.client)
    row("roll of 3 nodes: two down at once", "never", ", ".join(map(" and ".join, both)) or "never", not both)
    assert both == []
    assert set(rolled.users.values()) == {"jira"}


@pytest.mark.parametrize("node", NODES)
def test_each_node_is_down_once(rolled: Rolled, row: Row, node: str) -> None:
    times, requests = rolled.client.down(node), rolled.client.requests[node]
    failed = sum(not request.served for request in requests)
    seconds = sum(ended - begun for begun, ended in times)
    found = f"{len(times)} time, {seconds:.0f} s, {failed} of {len(requests)} requests"
    row(f"roll of 3 nodes: {node} does not serve", "1 time", found, len(times) == 1)
    assert len(times) == 1


def test_one_node_judges_the_shared_home(rolled: Rolled, row: Row) -> None:
    paths = {name: len(in_shared_home(rolled.audit, name)) for name in NODES}
    row("shared home: paths judged by", "n1 only", str(paths), paths[N1] > 50 and not paths[N2] and not paths[N3])
    assert paths[N1] > 50
    assert paths[N2] == paths[N3] == 0
    assert SHARED not in rolled.audit.reason(N1, "DC-DIR-03")
    for name in (N2, N3):
        assert f"shared home {SHARED} is judged on {N1}" in rolled.audit.reason(name, "DC-DIR-03")


@pytest.mark.parametrize("node", NODES)
def test_check_mode_predicts_just_that(rolled: Rolled, row: Row, node: str) -> None:
    predicted = [in_shared_home(outcome, node) for outcome in (rolled.audit, rolled.check)]
    changed = in_shared_home(of_first_play(rolled.harden), node)
    right = predicted == [changed, changed]
    row(f"shared home: {node} changes", f"{len(predicted[0])} predicted", f"{len(changed)} changed", right)
    assert predicted == [changed, changed]
    assert rolled.audit.entries(node) == rolled.check.entries(node)
    # In the roll a node hands over only what was written since; these wrote nothing there.
    assert in_shared_home(rolled.harden, node) == changed


def test_it_takes_no_module_more_than_without_a_cluster(rolled: Rolled) -> None:
    names = {name: [action.rpartition(".")[2] for action in rolled.audit.executions(name)] for name in NODES}
    assert names[N1] == names[N2] == names[N3]
    assert names[N1].count("tree_permissions") == 1


def test_all_is_right_in_the_end(rolled: Rolled) -> None:
    for name in NODES:
        assert rolled.again.with_status(name, "fail") == {"DC-DIR-06"}
        assert rolled.again.statuses(name)["DC-USR-05"] == "pass"
    assert rolled.again.report["messages"] == []


def test_with_limit_the_node_judges_itself(rolled: Rolled) -> None:
    assert len(in_shared_home(rolled.limited, N2)) > 50
    assert rolled.limited.statuses(N2)["DC-USR-05"] == "pass"
    message = f"not compared with {N1}, {N3} (left out by --limit, perhaps nodes too)"
    assert [told for told in rolled.limited.report["messages"] if message in told]


def test_the_next_one_judges_it_when_the_first_is_away(rolled: Rolled, row: Row) -> None:
    assert rolled.odd.code != 0
    assert not rolled.odd.report["hosts"][N1]["reachable"]
    paths = {name: len(in_shared_home(rolled.odd, name)) for name in NODES}
    row("shared home: paths judged without n1 by", "n2 only", str(paths), paths[N2] > 50 and not paths[N3])
    assert paths[N2] > 50
    assert paths[N1] == paths[N3] == 0


@pytest.mark.parametrize("node", [N2, N3])
def test_accounts_with_different_numbers_are_a_finding_on_both(rolled: Rolled, row: Row, node: str) -> None:
    reason = rolled.odd.reason(node, "DC-USR-05")
    right = rolled.odd.statuses(node)["DC-USR-05"] == "fail" and f"{N2}: 1000" in reason and f"{N3}: 1001" in reason
    row(f"{node}: UID 1000 on n2, 1001 on n3", "DC-USR-05 fail", rolled.odd.statuses(node)["DC-USR-05"], right)
    assert right, reason


# ---- a roll that fails at the second node ------------------------------------------------------


def test_the_node_that_does_not_start_serves_as_before(stopped: Stopped, row: Row) -> None:
    serves = stopped.client.requests[N2][-1].served
    right = serves and stopped.users[N2] == "root" and stopped.harden.code != 0
    row("n2 does not start", "put back, serves", f"{'serves' if serves else 'down'} as {stopped.users[N2]}", right)
    assert right, stopped.harden.output
    assert "the old unit is back in place" in stopped.harden.output


def test_the_roll_stops_before_the_third_node(stopped: Stopped, row: Row) -> None:
    right = stopped.pids[N3] == stopped.pids_after[N3] and stopped.users[N3] == "root"
    row("n2 does not start: n3", "never stopped", "never stopped" if right else "stopped", right)
    assert right
    touched = [action for action in stopped.harden.executions(N3) if action.endswith("product_service")]
    assert touched == []


@pytest.mark.parametrize(("node", "failed"), [(N1, "after its restart"), (N3, "ever")])
def test_the_other_two_serve_throughout(stopped: Stopped, row: Row, node: str, failed: str) -> None:
    client = stopped.client
    assert len(client.down(node)) == (1 if node == N1 else 0)
    count = client.failed_after_restart(node) if node == N1 else sum(not r.served for r in client.requests[node])
    total = len(client.requests[node])
    row(f"n2 does not start: {node}, requests failed {failed}", "0", f"{count} of {total}", count == 0 and total > 50)
    assert count == 0
    assert total > 50
    assert overlapping(client) == []


def test_the_report_of_the_stopped_roll_is_honest(stopped: Stopped) -> None:
    assert not stopped.harden.report["complete"]
    assert {"DC-USR-01", "DC-USR-04"} <= stopped.harden.with_status(N1, "fixed")
    for name in (N2, N3):
        assert {"DC-USR-01", "DC-USR-04"} <= stopped.harden.with_status(name, "fail")
