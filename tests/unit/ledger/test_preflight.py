# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The preflight: what a user gets wrong is named before anything is touched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleUndefinedVariable
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._catalogue import load_catalogue
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._preflight import (
    Resolved,
    check_run,
    check_variables,
    check_waiting,
    doubtful_tags,
    load_specification,
)


def check(**variables: Any) -> list[str]:
    return check_variables(
        {f"atlassian_dc_{name}": value for name, value in variables.items()}, load_specification(), load_catalogue()
    )


def test_no_variable_set_is_fine() -> None:
    assert check() == []
    assert check_variables({"other_role_x": 1, "ansible_host": "h"}, load_specification(), load_catalogue()) == []


def test_every_shared_variable_of_the_contract_is_known() -> None:
    shared = (
        "instances admin_networks proxy_addresses proxy_hosts cluster_peers credentials certificate log_collector "
        "backup_repository allow_restart skip_controls waivers_file attestations_file report_dir fail_on"
    )
    assert {f"atlassian_dc_{name}" for name in shared.split()} <= set(load_specification())


def test_a_misspelt_variable_is_named_with_the_one_meant() -> None:
    (problem,) = check(admin_network=["10.0.0.0/8"])
    assert "atlassian_dc_admin_network'" in problem
    assert "did you mean 'atlassian_dc_admin_networks'" in problem


@pytest.mark.parametrize("value", ["false", "true", "no", True, 0])
def test_booleans_may_be_strings(value: Any) -> None:
    assert check(allow_restart=value) == []


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"allow_restart": "perhaps"}, "atlassian_dc_allow_restart"),
        ({"admin_networks": {"a": "b"}}, "atlassian_dc_admin_networks"),
        ({"fail_on": "severe"}, "atlassian_dc_fail_on"),
        ({"skip_controls": ["DC-DIR-1"]}, "did you mean 'DC-DIR-01'"),
        ({"instances": [{"product": "jira", "instal_dir": "/opt"}]}, "instal_dir"),
        ({"waivers_file": "/nonexistent/waivers.yml"}, "/nonexistent/waivers.yml"),
        ({"report_dir": "/etc/hostname/x"}, "/etc/hostname"),
    ],
)
def test_bad_values_are_named(variables: dict[str, Any], words: str) -> None:
    problems = check(**variables)
    assert problems
    assert words in " ".join(problems)


def test_secret_values_are_never_quoted() -> None:
    problems = check(credentials="hunter2-is-not-a-mapping", backup_repository=["hunter3"])
    assert len(problems) == 2
    assert "hunter" not in " ".join(problems)


class Waiting:
    """Stands for a templar that does not know yet what some values refer to."""

    def template(self, value: Any) -> Any:
        if value == "{{ unknown }}":
            raise AnsibleUndefinedVariable("'unknown' is undefined")
        return value


def test_values_that_wait_for_facts_are_named() -> None:
    waiting: set[str] = set()
    raw = {"atlassian_dc_admin_networks": "{{ unknown }}", "atlassian_dc_fail_on": "high"}
    variables = Resolved(raw, Waiting())
    assert check_variables(variables, load_specification(), load_catalogue(), waiting=waiting) == []
    assert waiting == {"atlassian_dc_admin_networks"}


def test_they_are_checked_when_the_facts_are_there() -> None:
    raw = {
        "atlassian_dc_allow_restart": True,
        "atlassian_dc_backup_wait": "soon",
        # Whatever needs it fails, and says so.
        "atlassian_dc_fail_on": "{{ unknown }}",
    }
    (problem,) = check_waiting(Resolved(raw, Waiting()))
    assert "atlassian_dc_backup_wait" in problem


def test_all_problems_are_listed() -> None:
    assert len(check(allow_restart="perhaps", nonsense=1, fail_on="x")) == 3


def test_an_unknown_control_in_tags_would_select_nothing() -> None:
    catalogue = load_catalogue()
    assert check_run(["all", "service_user", "DC-DIR-01", "my-own-tag"], catalogue) == []
    problems = check_run(["DC-DIR-O1", "DC-DIR-11", "dc-usr-01"], catalogue)
    assert [problem.partition(":")[0] for problem in problems] == [
        "--tags DC-DIR-O1",
        "--tags DC-DIR-11",
        "--tags dc-usr-01",
    ]
    assert problems[2].endswith("did you mean 'DC-USR-01'?")


def test_a_tag_that_looks_like_a_misspelt_role_is_doubted() -> None:
    (warning,) = doubtful_tags(["file_permision", "service_user", "my-own-tag", "all"], [])
    assert warning == (
        "--tags file_permision: no role of the collection is called so; did you mean 'file_permissions'?"
    )
    assert doubtful_tags(["service_users"], own_tags=["always", "service_users"]) == []


def test_a_broken_waivers_file_stops_the_run(tmp_path: Path) -> None:
    path = tmp_path / "w.yml"
    path.write_text("waivers: 3\n")
    (problem,) = check(waivers_file=str(path))
    assert str(path) in problem
