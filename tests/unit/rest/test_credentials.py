# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logins from the environment of the controller: which count, and what they allow."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._catalogue import load_catalogue
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._credentials import (
    environment_name,
    from_environment,
)
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._selection import missing_needs
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._settings_data import hand_over

DESK = {"name": "jira-help.desk", "product": "jira"}


def test_names_of_instances_become_names_of_variables() -> None:
    assert environment_name("jira-help.desk", "token") == "ATLASSIAN_DC_JIRA_HELP_DESK_TOKEN"
    assert environment_name("w\u00fcki", "password") == "ATLASSIAN_DC_W_KI_PASSWORD"


@pytest.mark.parametrize(
    ("environment", "found"),
    [
        ({}, {}),
        ({"ATLASSIAN_DC_JIRA_TOKEN": ""}, {}),
        ({"ATLASSIAN_DC_JIRA_TOKEN": "t"}, {"jira": {"token": "t"}}),
        ({"ATLASSIAN_DC_JIRA_HELP_DESK_TOKEN": "t"}, {"jira-help.desk": {"token": "t"}}),
        ({"ATLASSIAN_DC_JIRA_USERNAME": "a"}, {}),
        (
            {"ATLASSIAN_DC_JIRA_USERNAME": "a", "ATLASSIAN_DC_JIRA_PASSWORD": "p"},
            {"jira": {"username": "a", "password": "p"}},
        ),
        ({"ATLASSIAN_DC_CONFLUENCE_TOKEN": "t"}, {}),
    ],
)
def test_what_counts_as_a_login(environment: dict[str, str], found: dict[str, Any]) -> None:
    assert from_environment([DESK], environment) == found


def test_what_somebody_has_said_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATLASSIAN_DC_JIRA_TOKEN", "of the environment")
    arguments = {"products": {}, "instances": [DESK]}
    assert hand_over({**arguments})["credentials"] == [{"name": "jira", "token": "of the environment"}]
    given = {"credentials": {"jira": {"token": "given"}}}
    assert hand_over({**arguments, **given})["credentials"] == [{"name": "jira", "token": "given"}]
    other = {"credentials": {"confluence": {"token": "given"}}}
    assert [entry["name"] for entry in hand_over({**arguments, **other})["credentials"]] == ["jira", "confluence"]
    listed = {"credentials": [{"name": "x", "token": "y"}]}
    assert hand_over({**arguments, **listed})["credentials"] == listed["credentials"]


def test_a_login_of_the_environment_is_a_need_that_is_met(monkeypatch: pytest.MonkeyPatch) -> None:
    variables = {"ansible_facts": {"atlassian_dc": {"instances": [DESK]}}}
    assert missing_needs(load_catalogue(), "DC-LOG-01", variables, False) == ("atlassian_dc_credentials",)
    monkeypatch.setenv("ATLASSIAN_DC_JIRA_TOKEN", "t")
    assert missing_needs(load_catalogue(), "DC-LOG-01", variables, False) == ()
    assert missing_needs(load_catalogue(), "DC-LOG-01", {}, False) == ("atlassian_dc_credentials",)
