# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check mode against the real run, path by path, on pristine hosts of every product; and no trace of an audit."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._catalogue import load_catalogue

from .lab import CHECKOUT, UNSAID, Lab, Outcome, differing

HOSTS = {
    "jira12": "jira:bookworm",
    "confluence12": "confluence:bookworm",
    "bitbucket13": "bitbucket:trixie",
    "bamboo12": "bamboo:bookworm",
    "crowd12": "crowd:bookworm",
    "two12": "two:bookworm",
}
"""Hosts and their images: every product with what belongs to it, one of them on Debian 13, and two on one host."""
EMPTY = "bare"
AGAIN = "two12"
"""Host that is audited once more."""
MAX_EXECUTIONS = 15
MAX_RATIO = 1.3
"""How many times as many executions a host with two products may cost as one with one."""
PERFORMANCE = CHECKOUT / "docs" / "performance.md"
"""What an audit costs, as it is told to people."""
MINIMUM = 8
"""Controls that a badly kept host must fail at least."""
SETTINGS: dict[str, Any] = {
    "atlassian_dc_allow_restart": True,
    "atlassian_dc_file_permissions_listed_changes": 100000,
    # Builds of the agent need it; without this declaration it is reported, and left to a person.
    "atlassian_dc_service_user_groups": ["docker"],
}
UNKNOWN = {("DC-LOG-04", "confluence_synchrony")}
"""What nobody can judge: where it logs is in no source."""
UNFORESEEN = (
    *("/var/lib/dpkg", "/var/lib/apt", "/var/cache", "/var/log/dpkg.log", "/etc/ld.so.cache"),
    *("/var/lib/atlassian-dc-log-shipping-rotation", "/var/lib/atlassian-dc-log-shipping-review"),
    "/var/lib/atlassian-dc-file-integrity",
)
"""Where the package manager and the services of the roles write by themselves."""
ENABLED = ".wants/atlassian-dc-"
"""What links are called that enable the units of the roles."""
UNITS = "find /etc/systemd/system -maxdepth 1 -type f -name '*.service' -printf '%f '"
PACKAGES = "dpkg-query --show --showformat='${Package} '"
Row = Callable[[str, str, str, bool], None]
Key = tuple[str, str | None]


class Story:
    """The way of all hosts from pristine to hardened, with a look at them after every step."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.units = {host: lab.sh(host, UNITS).split() for host in HOSTS}
        self.packages = {host: set(lab.sh(host, PACKAGES).split()) for host in HOSTS}
        # What running products write by themselves is no trace of an audit: they stand still while we compare.
        self.signal("STOP")
        self.before = self.look()
        self.audit = lab.play("audit", **SETTINGS)
        self.after_audit = self.look()
        self.check = lab.play("harden", "--check", **SETTINGS)
        self.after_check = self.look()
        self.signal("CONT")
        self.harden = lab.play("harden", **SETTINGS)
        self.hardened = self.look()
        self.second = lab.play("harden", **SETTINGS)
        self.last = lab.play("audit", **SETTINGS)
        self.again = lab.play("audit", "--limit", AGAIN, **SETTINGS)

    def signal(self, name: str) -> None:
        for host, units in self.units.items():
            self.lab.sh(host, f"systemctl kill --signal={name} {' '.join(units)}")

    def look(self) -> dict[str, dict[str, list[Any]]]:
        with ThreadPoolExecutor(max_workers=3) as pool:
            return dict(zip(HOSTS, pool.map(self.lab.snapshot, HOSTS), strict=True))

    def brought(self, host: str) -> set[str]:
        """Files of the packages that harden has installed, and where the package manager keeps its own."""
        new = set(self.lab.sh(host, PACKAGES).split()) - self.packages[host]
        listed = self.lab.sh(host, f"dpkg-query --listfiles {' '.join(new)}").splitlines() if new else []
        # Packages of Debian 12 still name folders that are links below /usr.
        return {*listed, *(f"/usr{path}" for path in listed)}

    def trees(self, host: str) -> list[str]:
        """Install trees and homes of the host."""
        found = self.audit.report["hosts"][host]["instances"]
        keys = ("install_dir", "home_dir", "shared_home_dir")
        return [instance[key] for instance in found for key in keys if instance[key]]


@pytest.fixture(params=HOSTS)
def host(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    lab = Lab("fidelity-prediction", tmp_path_factory.mktemp("prediction"))
    try:
        lab.up([*(f"{host}={image}" for host, image in HOSTS.items()), f"{EMPTY}=base"])
        for host in (*HOSTS, EMPTY):
            lab.sh(host, "rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin")  # as the most pristine ones are
        yield Story(lab)
    finally:
        lab.down()


def enforced() -> set[str]:
    roles = {"service_user", "file_permissions"}
    return {control.id for control in load_catalogue().values() if control.role in roles and control.mode == "enforce"}


def keys(outcome: Outcome, host: str, *statuses: str) -> set[Key]:
    """Return what has one of the statuses: controls that harden may put right, each with its instance."""
    found = (entry for entry in outcome.entries(host) if entry["id"] in enforced())
    return {(entry["id"], entry["instance"]) for entry in found if entry["status"] in statuses}


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
    predicted, fixed = keys(story.audit, host, "fail"), keys(story.harden, host, "fixed")
    row(f"{host}: controls", f"{len(predicted)} predicted", f"{len(fixed)} fixed", predicted == fixed)
    assert predicted ^ fixed == set()
    assert len(predicted) > MINIMUM, "the pristine host should be badly kept"


def test_permissions_change_exactly_where_predicted(story: Story, host: str, row: Row) -> None:
    """Compared are owner, group, mode and access lists; what the restarted products themselves create is not."""

    def permissions(state: list[Any]) -> tuple[Any, ...]:
        return state[1], state[2], state[5]

    trees = story.trees(host)
    predicted = {
        path for path, what in story.audit.changes(host).items() if "permissions" in what and inside(path, *trees)
    }
    real = {
        path
        for path, (before, after) in differing(story.after_check[host], story.hardened[host]).items()
        if inside(path, *trees) and before and after and permissions(before) != permissions(after)
    }
    # Log files are rotated and caches rewritten by the restart: a path that went away cannot be compared.
    predicted &= story.hardened[host].keys()
    row(f"{host}: paths under the trees", f"{len(predicted)} predicted", f"{len(real)} changed", predicted == real)
    assert sorted(predicted ^ real) == []
    assert predicted


def test_files_outside_the_trees_change_exactly_where_predicted(story: Story, host: str, row: Row) -> None:
    own = ("/var/lib/atlassian-dc", "/etc/.pwd.lock", *UNFORESEEN)
    # Account tools rewrite their files, and keep the version before beside them.
    accounts = {f"/etc/{name}" for name in ("passwd", "shadow", "group", "gshadow")}
    accounts |= {f"{path}-" for path in accounts} | {"/etc/subuid", "/etc/subuid-", "/etc/subgid", "/etc/subgid-"}
    outside = (*story.trees(host), *own)
    predicted = {path for path in story.audit.changes(host) if path[0] == "/" and not inside(path, *outside)}
    real = {
        path
        for path, (before, after) in differing(story.after_check[host], story.hardened[host]).items()
        if not inside(path, *outside) and ENABLED not in path and content(before) != content(after)
    }
    brought = story.brought(host)
    unforeseen = {path for path in real - predicted - accounts - brought if not is_parent(path, predicted)}
    found = f"{len(predicted & real)} changed, {len(unforeseen)} unforeseen"
    row(f"{host}: other files", f"{len(predicted)} predicted", found, predicted <= real and not unforeseen)
    assert sorted(unforeseen) == []
    assert sorted(predicted - real) == []
    assert predicted


def content(state: list[Any] | None) -> Any:
    """State without times: a folder's time changes with its entries."""
    return state and [*state[:3], *state[4:]]


def inside(path: str, *trees: str) -> bool:
    return any(path == tree or path.startswith(f"{tree}/") for tree in trees)


def is_parent(path: str, paths: set[str]) -> bool:
    return any(inside(child, path) for child in paths)


def test_a_second_run_changes_nothing(story: Story, host: str, row: Row) -> None:
    tasks = story.second.changed_tasks(host)
    row(f"{host}: second harden", "changed=0", f"changed={len(tasks)}", not tasks)
    assert tasks == []
    assert not story.second.with_status(host, "fixed")


def test_all_enforced_controls_pass_in_the_end(story: Story, host: str, row: Row) -> None:
    wanted = {(entry["id"], entry["instance"]) for entry in story.last.entries(host) if entry["id"] in enforced()}
    wanted -= keys(story.last, host, "not_applicable") | (UNKNOWN & keys(story.last, host, "not_checked"))
    passing = keys(story.last, host, "pass")
    row(
        f"{host}: enforced controls after hardening",
        f"{len(wanted)} pass",
        f"{len(passing)} pass",
        passing == wanted,
    )
    left = {
        (entry["id"], entry["instance"]): entry["reason"]
        for entry in story.last.entries(host)
        if (entry["id"], entry["instance"]) in wanted - passing
    }
    assert left == {}
    assert {control for control, _instance in passing} == enforced()


def test_the_products_serve_under_their_hardened_units(story: Story, host: str, row: Row) -> None:
    instances = story.last.report["hosts"][host]["instances"]
    expected, found = [], []
    for instance in instances:
        user = story.lab.sh(host, f'ps -o user:32= -p "$(systemctl show -P MainPID {instance["unit"]})"').strip()
        expected.append(f"{instance['name']} as {instance['service_account']}")
        found.append(f"{instance['name']} as {user}")
    for page in story.lab.group.images.ready_checks(HOSTS[host].partition(":")[0]):
        url = f"http://127.0.0.1:{page['port']}{page['path']}"
        fetch = f"import urllib.request as u; print(u.urlopen('{url}', timeout=20).read().decode())"
        assert page["text"] in story.lab.group.output(host, ["python3", "-c", fetch])
    row(f"{host}: running", ", ".join(expected), ", ".join(found), found == expected)
    assert found == expected
    assert {instance["running_user"] for instance in instances} == {item["service_account"] for item in instances}


def test_the_same_host_audited_twice_gives_the_same_report(story: Story) -> None:
    def timeless(outcome: Outcome) -> dict[str, Any]:
        host = {key: value for key, value in outcome.report["hosts"][AGAIN].items() if key != "duration_seconds"}
        # What is of the whole site stands with the first host of a run.
        return {**host, "controls": [entry for entry in host["controls"] if entry["scope"] != "site"]}

    assert timeless(story.last) == timeless(story.again)


def test_a_host_without_product_is_audited_and_hardened_to_no_effect(story: Story) -> None:
    for outcome in (story.audit, story.harden):
        # What it says of the site it says for the others.
        own = {entry["id"] for entry in outcome.entries(EMPTY) if entry["scope"] != "site"}
        assert not own & outcome.with_status(EMPTY, "fail", "fixed", "error") - UNSAID
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


def test_what_is_told_of_its_cost_is_still_so(story: Story, row: Row) -> None:
    told = re.findall(r"with \*\*(\d+) executions of modules\*\* on the host", PERFORMANCE.read_text(encoding="utf-8"))
    found = [str(len(story.audit.executions("jira12")))]
    row("docs/performance.md: module executions of an audit", ", ".join(told), ", ".join(found), told == found)
    assert told == found


@pytest.mark.parametrize("run", ["audit", "harden"])
def test_two_products_cost_hardly_more_executions_than_one(story: Story, row: Row, run: str) -> None:
    one, two = (len(getattr(story, run).executions(host)) for host in ("jira12", "two12"))
    right = two <= MAX_RATIO * one
    row(f"{run}: executions of two products and of one", f"at most {MAX_RATIO} times", f"{two} and {one}", right)
    assert right


def test_what_is_of_the_host_appears_once_beside_the_instances(story: Story) -> None:
    entries = [(entry["id"], entry["instance"]) for entry in story.last.entries("two12")]
    assert len(entries) == len(set(entries))
    instances = {instance["name"] for instance in story.last.report["hosts"]["two12"]["instances"]}
    assert len(instances) > 1
    for control in load_catalogue().values():
        subjects = {instance for known, instance in entries if known == control.id}
        if control.scope in ("instance", "cluster"):
            assert subjects == instances
        elif subjects:  # of those of the whole site each is on one host only
            assert subjects == {None}
