# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A made-up product, added by one file and nothing else, goes through the whole audit and is hardened."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._catalogue import load_catalogue
from sixth import PRODUCT, collection_with_product

from .lab import UNSAID, Lab, Outcome

Row = Callable[[str, str, str, bool], None]

HOST = "almanac1"
ROLES = ("service_user", "file_permissions")
JUDGED = {control.id for role in ROLES for control in load_catalogue().controls_of_role(role)}
# What is right already where administrators leave a product as it came; all else is not.
RIGHT = {"DC-USR-05", "DC-DIR-05", "DC-SEC-03"}
BROKEN = JUDGED - RIGHT | {"DC-SEC-01", "DC-FIM-01", "DC-FIM-03"}
# Archives where they are served are named, never removed, and passwords never written: that is for a person.
BY_HAND = {"DC-DIR-06", "DC-SEC-01"}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    lab = Lab("fidelity-sixth", tmp_path_factory.mktemp("lab"))
    lab.up([f"{HOST}={PRODUCT}"])
    collections = collection_with_product(tmp_path_factory.mktemp("collections"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANSIBLE_COLLECTIONS_PATH", str(collections))
        yield lab
    lab.down()


@pytest.fixture(scope="module")
def before(lab: Lab) -> Outcome:
    return lab.play("audit")


def check(row: Row, what: str, expected: set[str], found: set[str]) -> None:
    row(f"a sixth product: {what}", ", ".join(sorted(expected)), ", ".join(sorted(found)), expected == found)
    assert found == expected


def test_it_is_found_by_its_file_alone(lab: Lab, before: Outcome) -> None:
    assert before.code == 0, before.output
    (instance,) = before.report["hosts"][HOST]["instances"]
    assert {name: instance[name] for name in ("name", "product", "version", "install_dir", "home_dir", "unit")} == {
        "name": PRODUCT,
        "product": PRODUCT,
        "version": "4.2.1",
        "install_dir": "/opt/almanac",
        "home_dir": "/var/lib/almanac",
        "unit": "almanac.service",
    }
    assert (instance["running_user"], instance["service_account"]) == ("root", "almanac")
    assert before.report["complete"]
    assert before.report["messages"] == []


def test_it_is_judged_like_any_other(before: Outcome, row: Row) -> None:
    check(row, "audit fails", BROKEN, before.with_status(HOST, "fail") - UNSAID)
    assert before.with_status(HOST, "pass") - UNSAID == RIGHT
    assert before.statuses(HOST).keys() == set(load_catalogue())


def test_the_catalogue_knows_what_concerns_it(before: Outcome) -> None:
    statuses = before.statuses(HOST)
    assert statuses["DC-ADM-01"] == "not_checked"
    assert statuses["DC-ADM-02"] == "not_applicable"
    assert before.reason(HOST, "DC-ADM-02") == "does not concern almanac"


def test_every_form_of_the_report_has_it(lab: Lab, before: Outcome) -> None:
    folders = sorted(path.parent for path in Path(lab.folder).glob("report*/report.json"))
    page = (folders[0] / "report.html").read_text(encoding="utf-8")
    suites = (folders[0] / "report.junit.xml").read_text(encoding="utf-8")
    for text in (page, suites, before.output):
        assert PRODUCT in text
        assert "DC-DIR-01" in text
    assert "/opt/almanac" in page


def test_it_is_hardened_and_the_next_audit_is_clean(lab: Lab, before: Outcome, row: Row) -> None:
    hardened = lab.play("harden", atlassian_dc_allow_restart=True)
    assert hardened.code == 0, hardened.output
    check(row, "harden fixes", BROKEN - BY_HAND, hardened.with_status(HOST, "fixed"))
    after = lab.play("audit")
    assert after.code == 0, after.output
    check(row, "audit after it fails", BY_HAND, after.with_status(HOST, "fail") - UNSAID)
    assert after.changes(HOST) == {}
    (instance,) = after.report["hosts"][HOST]["instances"]
    assert instance["running_user"] == "almanac"
    # The sandbox lets it work.
    health = "import urllib.request; print(urllib.request.urlopen('http://localhost:9480/health').read().decode())"
    assert lab.sh(HOST, f'python3 -c "{health}"').strip() == '{"state":"RUNNING"}'
