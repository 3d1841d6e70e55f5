# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check mode against the real run, path by path, on a pristine host; and that an audit leaves no trace."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._catalogue import load_catalogue

from .lab import DISTRIBUTIONS, Lab, Outcome, differing

HOSTS = {distribution: f"pristine-{distribution}" for distribution in DISTRIBUTIONS}
EMPTY = "bare"
MAX_EXECUTIONS = 15
TREES = ("/opt/atlassian/jira", "/var/atlassian/application-data/jira")
LIST_ALL: dict[str, Any] = {"atlassian_dc_file_permissions_listed_changes": 100000}
Row = Callable[[str, str, str, bool], None]


class Story:
    """The way of one host of each distribution from pristine to hardened, with a look at it after every step."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        # What the product writes by itself while it runs is no trace of an audit: it stands still while we compare.
        self.signal("STOP")
        self.before = self.look()
        self.audit = lab.play("audit", atlassian_dc_allow_restart=True, **LIST_ALL)
        self.after_audit = self.look()
        self.check = lab.play("harden", "--check", atlassian_dc_allow_restart=True, **LIST_ALL)
        self.after_check = self.look()
        self.signal("CONT")
        self.harden = lab.play("harden", atlassian_dc_allow_restart=True, **LIST_ALL)
        self.hardened = self.look()
        self.second = lab.play("harden", atlassian_dc_allow_restart=True, **LIST_ALL)
        self.last = lab.play("audit", **LIST_ALL)
        self.again = lab.play("audit", **LIST_ALL)

    def signal(self, name: str) -> None:
        for host in HOSTS.values():
            self.lab.sh(host, f"systemctl kill --signal={name} jira.service")

    def look(self) -> dict[str, dict[str, list[Any]]]:
        with ThreadPoolExecutor(max_workers=len(HOSTS)) as pool:
            return dict(zip(HOSTS.values(), pool.map(self.lab.snapshot, HOSTS.values()), strict=True))


@pytest.fixture(params=HOSTS)
def host(request: pytest.FixtureRequest) -> str:
    return HOSTS[request.param]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    lab = Lab("fidelity-prediction", tmp_path_factory.mktemp("prediction"))
    try:
        lab.up([*(f"{host}=jira:{distribution}" for distribution, host in HOSTS.items()), f"{EMPTY}=base"])
        yield Story(lab)
    finally:
        lab.down()


def enforced() -> set[str]:
    roles = {"service_user", "file_permissions"}
    return {control.id for control in load_catalogue().values() if control.role in roles and control.mode == "enforce"}


@pytest.mark.parametrize("step", ["audit", "check", "harden", "second", "last"])
def test_no_run_fails(story: Story, host: str, step: str) -> None:
    outcome: Outcome = getattr(story, step)
    assert outcome.code == 0, outcome.output
    assert outcome.report["complete"]
    assert not outcome.with_status(host, "error")


def test_the_modes_are_told_apart(story: Story) -> None:
    modes = [outcome.report["mode"] for outcome in (story.audit, story.check, story.harden)]
    assert modes == ["audit", "audit", "harden"]


@pytest.mark.parametrize(("run", "after"), [("audit", "after_audit"), ("harden --check", "after_check")])
def test_nothing_on_the_host_changes(story: Story, host: str, row: Row, run: str, after: str) -> None:
    before = story.before if after == "after_audit" else story.after_audit
    changed = differing(before[host], getattr(story, after)[host])
    row(f"{host}: {run}: hash of {len(before[host])} files", "unchanged", f"{len(changed)} differ", not changed)
    assert changed == {}


def test_audit_and_check_mode_say_the_same(story: Story, host: str, row: Row) -> None:
    audit, check = ((run.entries(host), run.changes(host)) for run in (story.audit, story.check))
    row(
        f"{host}: audit and harden --check",
        "same findings, same paths",
        "same" if audit == check else "different",
        audit == check,
    )
    assert audit == check


def test_what_was_predicted_to_fail_is_what_was_fixed(story: Story, host: str, row: Row) -> None:
    predicted = story.audit.with_status(host, "fail") & enforced()
    fixed = story.harden.with_status(host, "fixed")
    row(f"{host}: controls", f"{len(predicted)} predicted", f"{len(fixed)} fixed", predicted == fixed)
    assert predicted == fixed
    assert len(predicted) > 8, "the pristine host should be badly kept"


@pytest.mark.parametrize("tree", TREES)
def test_permissions_change_exactly_where_predicted(story: Story, host: str, row: Row, tree: str) -> None:
    """Compared are owner, group, mode and access lists; what the restarted product itself creates is not."""

    def permissions(state: list[Any]) -> tuple[Any, ...]:
        return state[1], state[2], state[5]

    predicted = {
        path for path, what in story.audit.changes(host).items() if "permissions" in what and inside(path, tree)
    }
    real = {
        path
        for path, (before, after) in differing(story.after_check[host], story.hardened[host]).items()
        if inside(path, tree) and before and after and permissions(before) != permissions(after)
    }
    # Log files are rotated and caches rewritten by the restart: a path that went away cannot be compared.
    predicted &= story.hardened[host].keys()
    row(f"{host}: paths under {tree}", f"{len(predicted)} predicted", f"{len(real)} changed", predicted == real)
    assert sorted(predicted ^ real) == []
    assert predicted


def test_files_outside_the_trees_change_exactly_where_predicted(story: Story, host: str, row: Row) -> None:
    own = ("/var/lib/atlassian-dc", "/etc/.pwd.lock")
    # Account tools rewrite their files, and keep the version before beside them.
    accounts = {f"/etc/{name}" for name in ("passwd", "shadow", "group", "gshadow")}
    accounts |= {f"{path}-" for path in accounts} | {"/etc/subuid", "/etc/subuid-", "/etc/subgid", "/etc/subgid-"}
    outside = (*TREES, *own)
    predicted = {
        path for path in story.audit.changes(host) if path[0] == "/" and not any(inside(path, tree) for tree in outside)
    }
    real = {
        path
        for path, (before, after) in differing(story.after_check[host], story.hardened[host]).items()
        if not any(inside(path, tree) for tree in outside) and content(before) != content(after)
    }
    unforeseen = {path for path in real - predicted - accounts if not is_parent(path, predicted)}
    found = f"{len(predicted & real)} changed, {len(unforeseen)} unforeseen"
    row(f"{host}: other files", f"{len(predicted)} predicted", found, predicted <= real and not unforeseen)
    assert sorted(unforeseen) == []
    assert sorted(predicted - real) == []
    assert predicted


def content(state: list[Any] | None) -> Any:
    """State without times: a folder's time changes with its entries."""
    return state and [*state[:3], *state[4:]]


def inside(path: str, tree: str) -> bool:
    return path == tree or path.startswith(f"{tree}/")


def is_parent(path: str, paths: set[str]) -> bool:
    return any(inside(child, path) for child in paths)


def test_a_second_run_changes_nothing(story: Story, host: str, row: Row) -> None:
    tasks = story.second.changed_tasks(host)
    row(f"{host}: second harden", "changed=0", f"changed={len(tasks)}", not tasks)
    assert tasks == []
    assert not story.second.with_status(host, "fixed")


def test_all_enforced_controls_pass_in_the_end(story: Story, host: str, row: Row) -> None:
    passing = story.last.with_status(host, "pass") & enforced()
    row(
        f"{host}: enforced controls after hardening",
        f"{len(enforced())} pass",
        f"{len(passing)} pass",
        passing == enforced(),
    )
    assert {control: story.last.reason(host, control) for control in enforced() - passing} == {}


def test_the_product_serves_under_the_hardened_unit(story: Story, host: str) -> None:
    status = story.lab.sh(
        host, "python3 -c \"import urllib.request as u; print(u.urlopen('http://127.0.0.1:8080/status').read())\""
    )
    assert "RUNNING" in status
    user = story.lab.sh(host, 'ps -o user= -p "$(systemctl show -P MainPID jira.service)"')
    assert user.strip() == "jira"


def test_the_same_host_audited_twice_gives_the_same_report(story: Story) -> None:
    def timeless(outcome: Outcome) -> dict[str, Any]:
        report = {key: value for key, value in outcome.report.items() if key not in ("started", "finished")}
        report["hosts"] = {
            name: {key: value for key, value in host.items() if key != "duration_seconds"}
            for name, host in report["hosts"].items()
        }
        return report

    assert timeless(story.last) == timeless(story.again)


def test_a_host_without_product_is_audited_and_hardened_to_no_effect(story: Story) -> None:
    for outcome in (story.audit, story.harden):
        assert not outcome.with_status(EMPTY, "fail", "fixed", "error")
        assert outcome.statuses(EMPTY)["DC-USR-01"] == "not_applicable"
        assert outcome.changed_tasks(EMPTY) == []


def test_an_audit_needs_few_executions(story: Story, host: str, row: Row) -> None:
    executions = story.audit.executions(host)
    row(
        f"{host}: module executions of an audit",
        f"at most {MAX_EXECUTIONS}",
        str(len(executions)),
        len(executions) <= MAX_EXECUTIONS,
    )
    assert len(executions) <= MAX_EXECUTIONS
