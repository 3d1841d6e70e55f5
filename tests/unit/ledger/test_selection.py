# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which controls a task judges, and which it may put right."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._catalogue import load_catalogue
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._selection import (
    Selection,
    SelectionError,
    as_list,
    selected_by_tags,
)

DIRS = ("DC-DIR-01", "DC-DIR-02", "DC-DIR-06")


def select(tags: tuple[str, ...] = DIRS, run: tuple[str, ...] = ("all",), **variables: Any) -> Selection:
    action: Any = SimpleNamespace(
        _task=SimpleNamespace(tags=[*tags, "file_permissions"]), _templar=SimpleNamespace(template=lambda value: value)
    )
    named = {f"atlassian_dc_{name}": value for name, value in variables.items() if not name.startswith("_")}
    facts = {"atlassian_dc": {"instances": variables.get("_instances", []), "platform": variables.get("_platform", {})}}
    known = {"inventory_hostname": "jira1", "group_names": ["legacy"], "ansible_run_tags": run, "ansible_facts": facts}
    return Selection.of_task(action, {**known, **named})


@pytest.mark.parametrize(
    ("run_tags", "expected"),
    [
        (("all",), DIRS),
        ((), DIRS),
        (("tagged",), DIRS),
        (("file_permissions",), DIRS),
        (("DC-DIR-02",), ("DC-DIR-02",)),
        (("DC-DIR-02", "DC-USR-01"), ("DC-DIR-02",)),
        (("DC-DIR-02", "file_permissions"), DIRS),
        (("DC-USR-01",), ()),
        (("always",), ()),
    ],
)
def test_tags(run_tags: tuple[str, ...], expected: tuple[str, ...]) -> None:
    assert selected_by_tags(DIRS, [*DIRS, "file_permissions"], run_tags) == expected
    assert select(run=run_tags).judged == expected


def test_what_is_only_audited_is_judged_and_never_enforced() -> None:
    assert select().judged == DIRS
    assert select().enforced == ("DC-DIR-01", "DC-DIR-02")


class TestUnsupportedPlatform:
    @pytest.mark.parametrize("allow", [None, False, "false", "no", "", "whatever"])
    def test_is_judged_and_left_as_it_is(self, allow: Any) -> None:
        selection = select(_platform={"supported": False}, allow_unsupported_platform=allow)
        assert (selection.judged, selection.enforced) == (DIRS, ())

    @pytest.mark.parametrize("allow", [True, "true", "yes", "1"])
    def test_is_changed_when_somebody_says_so(self, allow: Any) -> None:
        selection = select(_platform={"supported": False}, allow_unsupported_platform=allow)
        assert selection.enforced == ("DC-DIR-01", "DC-DIR-02")

    def test_a_supported_one_needs_no_word(self) -> None:
        assert select(_platform={"supported": True}).enforced == ("DC-DIR-01", "DC-DIR-02")


@pytest.mark.parametrize("skip", [["DC-DIR-01"], "DC-DIR-01", "DC-DIR-01, DC-USR-01"])
def test_left_out_controls_are_not_judged(skip: Any) -> None:
    assert select(skip_controls=skip).judged == ("DC-DIR-02", "DC-DIR-06")


def test_a_task_without_controls_selects_nothing() -> None:
    assert select(tags=()) == Selection((), (), ())


def write_waiver(path: Path, **changes: str) -> str:
    entry = {"control": "DC-DIR-01", "hosts": "jira1", "justification": "x", "owner": "ops", "expires": "2999-01-01"}
    lines = [f"    {key}: {value}" for key, value in {**entry, **changes}.items()]
    path.write_text("waivers:\n  -\n" + "\n".join(lines) + "\n")
    return str(path)


@pytest.mark.parametrize("hosts", ["jira1", "'jira*'", "legacy", "all"])
def test_a_waived_control_is_judged_but_not_enforced(tmp_path: Path, hosts: str) -> None:
    selection = select(waivers_file=write_waiver(tmp_path / "w.yml", hosts=hosts))
    assert selection.judged == DIRS
    assert selection.enforced == ("DC-DIR-02",)


@pytest.mark.parametrize("changes", [{"expires": "2020-01-01"}, {"hosts": "wiki1"}, {"control": "DC-USR-01"}])
def test_an_expired_or_foreign_waiver_changes_nothing(tmp_path: Path, changes: dict[str, str]) -> None:
    path = write_waiver(tmp_path / "w.yml", **changes)
    assert select(waivers_file=path).enforced == ("DC-DIR-01", "DC-DIR-02")


def test_a_broken_waivers_file_stops_the_task(tmp_path: Path) -> None:
    (tmp_path / "w.yml").write_text("waivers: 1\n")
    with pytest.raises(SelectionError, match=r"w\.yml"):
        select(waivers_file=str(tmp_path / "w.yml"))


class TestNeeds:
    NET = ("DC-NET-01",)

    def test_unset_the_control_is_judged_and_not_applied(self) -> None:
        selection = select(self.NET)
        assert selection.judged == self.NET
        assert selection.enforced == ()

    def test_all_of_them_are_needed(self) -> None:
        assert select(self.NET, admin_networks=["10.0.0.0/8"]).enforced == ()
        assert select(self.NET, admin_networks=["10.0.0.0/8"], proxy_addresses=["10.1.1.1"]).enforced == self.NET

    def test_an_empty_list_is_an_answer(self) -> None:
        assert select(self.NET, admin_networks=[], proxy_addresses=[]).enforced == self.NET

    @pytest.mark.parametrize(("cluster", "applied"), [(None, True), ({"id": "x"}, False)])
    def test_some_count_in_clusters_only(self, cluster: Any, applied: bool) -> None:
        (need,) = load_catalogue()["DC-NET-03"].needs
        assert (need.variable, need.when) == ("atlassian_dc_cluster_peers", "clustered")
        selection = select(("DC-NET-03",), _instances=[{"name": "jira", "cluster": cluster}])
        assert bool(selection.enforced) is applied


def test_lists_from_the_command_line_are_strings() -> None:
    assert as_list("a, b,") == ["a", "b"]
    assert as_list(None) == []
    assert as_list(["a"]) == ["a"]
