# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role wants, what it sets, and the page that tells it."""

from __future__ import annotations

from typing import Any

import pytest
import settings_table
import yaml
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._settings_values import Rule
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._catalogue import load_catalogue
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._settings_data import settings_data

SETTINGS = [entry for data in settings_data().values() for entry in data["settings"]]
SWITCHES = sorted(
    name
    for name in yaml.safe_load((settings_table.ROLE / "defaults/main.yml").read_text(encoding="utf-8"))
    if name.startswith("atlassian_dc_product_settings_enforce_")
)


def writes(**more: Any) -> set[str]:
    return set(settings_table.resolved("write", **more))


def test_the_page_is_made_from_the_product_data() -> None:
    text = settings_table.PAGE.read_text(encoding="utf-8")
    assert settings_table.page(text) == text


def test_what_is_wanted_is_a_setting_of_some_product_and_the_other_way_round() -> None:
    wanted = settings_table.wanted()
    readable = {entry["name"] for entry in SETTINGS if any(place["kind"] != "unknown" for place in entry["read"])}
    assert readable <= set(wanted) <= {entry["name"] for entry in SETTINGS}
    for name, rule in wanted.items():
        Rule.of(name, rule)
    assert wanted["token_days"] == {"at_most": 90}


def test_credentials_alone_ask_for_nothing_that_breaks_an_integration() -> None:
    catalogue = load_catalogue()
    impacts = {entry["name"]: catalogue[entry["control"]].impact for entry in SETTINGS}
    assert {impacts[name] for name in writes()} <= {"none", "restart"}
    assert {catalogue[entry["control"]].mode for entry in SETTINGS if entry["name"] in writes()} == {"enforce"}


@pytest.mark.parametrize("switch", SWITCHES)
def test_every_switch_adds_something_that_can_be_written(switch: str) -> None:
    added = writes(**{switch: "true"}) - writes(**{switch: "false"})
    writable = {entry["name"] for entry in SETTINGS if "write" in entry}
    assert added
    assert added <= writable
    assert writes(**{switch: "no"}) == writes()


def test_everything_that_can_be_written_is_written_by_default_or_by_a_switch() -> None:
    assert writes(**dict.fromkeys(SWITCHES, True)) == {entry["name"] for entry in SETTINGS if "write" in entry}
