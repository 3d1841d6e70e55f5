# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every setting that products tell over REST, flipped: found under its control and no other, put right where it may be.

All products are on one host, so that one run serves all of them; a round flips one setting of each control.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from settings_flips import AUDITED, BY_ARGUMENT, GOOD, GOOD_FOR, ROUNDS, TOKEN, TOKENS, WITH_LOGINS, Flip

from .lab import Lab, Outcome

ROLE = ("--tags", "product_settings")
PRODUCTS = ("jira", "confluence", "bitbucket", "bamboo", "crowd")
SETTINGS: dict[str, Any] = {
    "atlassian_dc_credentials": {product: {"token": TOKEN} for product in PRODUCTS},
    "atlassian_dc_product_settings_enforce_basic_auth": True,
    "atlassian_dc_product_settings_enforce_rate_limit": True,
    "atlassian_dc_product_settings_enforce_signup": True,
}
Row = Callable[[str, str, str, bool], None]


FLIPS = [(product, number, flip) for number, flips in enumerate(ROUNDS) for flip in flips for product in flip.products]
CHANGE = """
import json, sys
path, value, where = sys.argv[1], json.loads(sys.argv[2]), json.loads(sys.argv[3])
def over(old, new):
    if isinstance(old, dict) and isinstance(new, dict):
        return {**old, **{key: over(old.get(key), part) for key, part in new.items()}}
    return new
with open(path) as stream:
    table = json.load(stream)
if where:
    table = [over(row, value) if row[where[0]] == where[1] else row for row in table]
else:
    table = over(table, value)
with open(path, 'w') as stream:
    json.dump(table, stream)
"""
"""Changes a table of a stand-in: its path, what is written over it, and column and value of the rows it is for."""


class Story:
    """The settings of all products, from what the stand-ins come with through every round."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.pristine = self.play("audit", atlassian_dc_credentials={})
        for table, value in GOOD.items():
            for product in GOOD_FOR.get(table, WITH_LOGINS):
                self.change(product, table, value)
        self.check = self.play("harden", "--check")
        self.harden = self.play("harden")
        self.restarted = self.play("harden", atlassian_dc_allow_restart=True)
        self.second = self.play("harden")
        self.clean = self.failures(self.second)
        self.rounds: list[tuple[Outcome, Outcome, Outcome]] = []
        for flips in ROUNDS:
            before = {
                (product, flip.table): self.table(product, flip.table) for flip in flips for product in flip.products
            }
            for flip in flips:
                for product in flip.products:
                    self.change(product, flip.table, flip.value, flip.where)
            predicted = self.play("harden", "--check")
            done = self.play("harden")
            for flip in flips:
                for product in flip.products if flip.becomes == "fail" else ():
                    self.write(product, flip.table, before[product, flip.table])
            self.rounds.append((predicted, done, self.play("audit")))

    def play(self, playbook: str, *arguments: str, **variables: Any) -> Outcome:
        return self.lab.play(playbook, *ROLE, *arguments, **{**SETTINGS, **variables})

    def path(self, product: str, table: str) -> str:
        return f"/var/atlassian/application-data/{product}/database/{table}.json"

    def table(self, product: str, table: str) -> str:
        return self.lab.sh("products", f"cat {self.path(product, table)}")

    def write(self, product: str, table: str, text: str) -> None:
        self.lab.sh("products", f"cat > {self.path(product, table)} <<'END'\n{text}\nEND")

    def change(self, product: str, table: str, value: Any, where: tuple[str, str] | None = None) -> None:
        arguments = [self.path(product, table), json.dumps(value), json.dumps(where)]
        self.lab.group.output("products", ["python3", "-c", CHANGE, *arguments])

    def statuses(self, outcome: Outcome) -> dict[tuple[str, str], str]:
        """Return statuses by instance and control."""
        return {(entry["instance"], entry["id"]): entry["status"] for entry in outcome.entries("products")}

    def failures(self, outcome: Outcome) -> set[tuple[str, str]]:
        return {key for key, status in self.statuses(outcome).items() if status == "fail"}


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    lab = Lab("fidelity-settings", tmp_path_factory.mktemp("settings"))
    try:
        lab.up(["products=products:bookworm"])
        yield Story(lab)
    finally:
        lab.down()


def test_no_run_fails(story: Story) -> None:
    for outcome in (story.pristine, story.check, story.harden, story.restarted, story.second, *sum(story.rounds, ())):
        assert outcome.code == 0, outcome.output


def test_without_credentials_nothing_of_rest_is_called_a_pass(story: Story) -> None:
    for entry in story.pristine.entries("products"):
        if entry["id"] in ("DC-LOG-01", "DC-LOG-02", "DC-AUT-01", "DC-RAT-01"):
            assert entry["status"] in ("not_checked", "not_applicable"), entry
    said = [entry["reason"] for entry in story.pristine.entries("products") if entry["id"] == "DC-LOG-01"]
    assert any("atlassian_dc_credentials" in reason for reason in said)


def test_what_is_predicted_is_what_is_done(story: Story, row: Row) -> None:
    predicted, real = story.check.changes("products"), story.harden.changes("products")
    row("settings: changes", f"{sum(map(len, predicted.values()))} predicted", "as predicted", predicted == real)
    assert predicted == real
    for product in PRODUCTS[:4]:
        assert any(target == product for target in real), product


def test_a_second_run_changes_nothing(story: Story, row: Row) -> None:
    tasks = story.second.changed_tasks("products")
    row("settings: second run", "changed=0", f"changed={len(tasks)}", not tasks)
    assert tasks == [], story.second.changes("products")


@pytest.mark.parametrize("product", BY_ARGUMENT)
def test_tokens_end_once_the_product_was_restarted(story: Story, row: Row, product: str) -> None:
    entries = [
        next(entry for entry in run.entries("products") if (entry["instance"], entry["id"]) == (product, "DC-AUT-04"))
        for run in (story.check, story.harden, story.restarted, story.second)
    ]
    statuses = [entry["status"] for entry in entries]
    row(f"DC-AUT-04 of {product}", "fail, fail, fixed, pass", ", ".join(statuses), entries[1]["pending"] == "restart")
    assert statuses == ["fail", "fail", "fixed", "pass"]
    assert [entry["pending"] for entry in entries] == [None, "restart", None, None]


@pytest.mark.parametrize(
    ("product", "number", "flip"), FLIPS, ids=[f"{product} {flip.name} {number}" for product, number, flip in FLIPS]
)
def test_a_setting_is_found_under_its_control_and_put_right(
    story: Story, row: Row, product: str, number: int, flip: Flip
) -> None:
    predicted, done, after = story.rounds[number]
    control = (product, flip.control)
    meant = {(name, other.control) for other in ROUNDS[number] for name in other.products}
    found = story.failures(predicted) - story.clean
    status = story.statuses(done)[control]
    right = control in found and found <= meant and status == flip.becomes
    told = "fail" if control in found else "missed"
    row(f"{flip.control} {flip.name} of {product}", f"fail, {flip.becomes}", f"{told}, {status}", right)
    assert control not in story.clean
    assert control in found
    assert found <= meant
    assert status == flip.becomes
    assert control not in story.failures(after)


def test_nothing_of_a_round_is_left_for_the_next(story: Story) -> None:
    for _predicted, _done, after in story.rounds:
        assert story.failures(after) <= story.clean


def test_no_secret_stands_anywhere(story: Story) -> None:
    runs = (story.pristine, story.check, story.harden, story.restarted, story.second, *sum(story.rounds, ()))
    assert all(TOKEN not in run.output + json.dumps(run.report) + json.dumps(run.results) for run in runs)


def test_rollback_sets_everything_back(story: Story, row: Row) -> None:
    """Done last: the newest run that has changed something is that of the second round."""

    def days(product: str) -> int:
        period = json.loads(story.table(product, "audit-retention"))["period"]
        return int(period["years"] * 365 + period["months"] * 30 + period["days"])

    before = [days(product) for product in AUDITED]
    outcome = story.lab.play("rollback", *ROLE, **SETTINGS)
    after = [days(product) for product in AUDITED]
    tokens = json.loads(story.table("bamboo", "security-settings"))[TOKENS]["maxDaysUntilExpiry"]
    right = before == [365] * 3 and after == [30] * 3 and tokens == 3650
    row("settings: rollback", "30 days, tokens 3650", f"{after}, {tokens}", right)
    assert outcome.code == 0, outcome.output
    assert right, (before, after, tokens)
