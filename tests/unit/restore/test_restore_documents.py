# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every fault that docs/restore.md tells of is tried by a test, and is told of if it is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from fault_tables import rows_of, untried

CHECKOUT = Path(__file__).resolve().parents[3]
TEXT = (CHECKOUT / "docs/restore.md").read_text(encoding="utf-8")
HOSTS, DRILL, RUN, PLAN, TARGET, REPOSITORY, UNIT, LIMIT = (
    "fidelity/test_restore.py",
    "unit/restore/test_restore_drill.py",
    "unit/restore/test_restore_run.py",
    "unit/restore/test_restore_plan.py",
    "unit/restore/test_restore_target.py",
    "unit/restore/test_restore_repository.py",
    "unit/restore/test_restore_host.py",
    "unit/backup/test_time_limit.py",
)
TRIED = {
    "wrong password of the repository": [(HOSTS, "test_a_wrong_password_is_said")],
    "repository cannot be reached": [
        (DRILL, "test_a_repository_that_cannot_be_opened_is_a_result_of_what_was_meant"),
        (RUN, "test_what_cannot_be_read_leaves_everything_as_it_was"),
    ],
    "damaged pack": [
        (HOSTS, "test_a_damaged_repository_fails_the_drill"),
        (HOSTS, "test_a_damaged_backup_is_not_restored"),
    ],
    "manifest missing or altered": [
        (REPOSITORY, "test_only_whole_backups_count"),
        (REPOSITORY, "test_a_manifest_of_something_else_is_refused"),
    ],
    "dump cut short or altered": [
        (DRILL, "test_another_dump_than_was_made_fails_it"),
        (RUN, "test_a_database_that_differs_is_not_put_in_place"),
    ],
    "other rows or files than noted": [
        (DRILL, "test_other_rows_fail_it"),
        (DRILL, "test_files_that_differ_fail_it"),
        (RUN, "test_files_that_differ_are_not_put_in_place"),
    ],
    "repository never answers": [
        (HOSTS, "test_a_repository_that_never_answers_is_given_up"),
        (HOSTS, "test_no_drill_leaves_a_lock_in_the_repository"),
        (LIMIT, "test_it_is_given_up"),
    ],
    "drill killed": [
        (HOSTS, "test_a_killed_drill_is_none_and_the_next_one_works"),
        (DRILL, "test_one_that_is_cut_short_leaves_no_result"),
        (UNIT, "test_results_of_an_earlier_run_are_not_taken_for_those_of_this_one"),
    ],
    "restore killed, or its host, before anything is in place": [
        (HOSTS, "test_a_killed_restore_is_told"),
        (HOSTS, "test_a_host_without_power_is_told"),
        (HOSTS, "test_everything_is_there_again"),
    ],
    "restore killed or failing while things are put in place": [
        (HOSTS, "test_a_killed_restore_is_told"),
        (RUN, "test_a_kill_between_two_renames_loses_nothing"),
        (RUN, "test_another_try_goes_on_where_the_first_was_cut_off"),
    ],
    "loss of power after something was put in place": [
        (RUN, "test_what_was_restored_is_on_the_disk_before_it_is_called_so"),
    ],
    "scratch folder full": [
        (HOSTS, "test_a_drill_without_room_is_told"),
        (DRILL, "test_too_little_space_is_told_before_anything_is_restored"),
    ],
    "disk of the host full": [
        (HOSTS, "test_a_restore_without_room_is_told_and_puts_nothing_in_place"),
        (RUN, "test_too_little_space_is_told_before_anything_is_restored"),
        (TARGET, "test_what_was_loaded_and_is_not_in_place_is_removed"),
    ],
    "product not installed": [(PLAN, "test_a_product_that_is_not_installed_is_told")],
    "something appears in an empty place meanwhile": [
        (RUN, "test_what_has_come_into_being_meanwhile_is_left_alone"),
    ],
    "database gone or refusing": [
        (RUN, "test_a_database_with_something_in_it_stops_it_before_anything_is_read"),
        (TARGET, "test_what_the_server_refuses_is_told_without_the_password"),
    ],
    "database with something in it": [(TARGET, "test_one_with_something_in_it_is_refused")],
    "product runs": [
        (PLAN, "test_a_product_that_runs_has_to_be_stopped"),
        (HOSTS, "test_nothing_that_is_there_is_overwritten"),
    ],
    "two drills or two restores at once": [(UNIT, "test_two_at_once_are_refused")],
}


def test_rows_are_those_that_are_tried() -> None:
    assert rows_of("restore.md") == list(TRIED)


@pytest.mark.parametrize("fault", TRIED)
def test_each_is_tried(fault: str) -> None:
    assert untried(TRIED[fault]) == []


def test_every_check_of_a_drill_is_explained() -> None:
    source = (CHECKOUT / "plugins/module_utils/_restore_drill.py").read_text(encoding="utf-8")
    names = set(re.findall(r'\.of\("(\w+)"', source))
    assert {name for name in names if f"| `{name}` |" not in TEXT} == set()
