# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every fault that docs/backup.md tells of is tried by a test, and is told of if it is."""

from __future__ import annotations

import pytest
from fault_tables import rows_of, untried

HOSTS, MARIADB, SNAPSHOT = (f"fidelity/test_backup{name}.py" for name in ("", "_mariadb", "_snapshot"))
RUN, MODULE, MAINTENANCE = (f"unit/backup/test_{name}.py" for name in ("run", "backup_module", "maintenance"))
FAULT = (HOSTS, "test_a_fault_is_told_and_the_next_run_is_a_good_one")
NO_SNAPSHOT = (
    "the command for a snapshot fails",
    "the command for a snapshot makes nothing",
    "the snapshot can be written to",
    "the snapshot is the home itself",
)
TRIED = {
    "the password of the repository is another one": [FAULT, (HOSTS, "the password of the repository is another one")],
    "the repository cannot be reached": [FAULT, (HOSTS, "the repository cannot be reached")],
    "the disk of the repository is full": [FAULT, (HOSTS, "the disk of the repository is full")],
    "the disk of the host is full": [FAULT, (HOSTS, "the disk of the host is full")],
    "the database is gone": [FAULT, (HOSTS, "the database is gone")],
    "the database refuses the account": [
        FAULT,
        (HOSTS, "the database refuses the account"),
        (MARIADB, "test_what_the_account_may_not_read_is_told"),
    ],
    **{fault: [(SNAPSHOT, "test_no_snapshot_is_no_backup"), (SNAPSHOT, fault)] for fault in NO_SNAPSHOT},
    "the run is killed while it is there": [(SNAPSHOT, "test_a_kill_leaves_no_snapshot")],
    "it is taken away meanwhile": [(SNAPSHOT, "test_a_snapshot_that_is_taken_away_is_noticed")],
    "it cannot be removed": [(SNAPSHOT, "test_a_snapshot_that_stays_is_told_and_removed_first")],
    "run killed in the middle": [
        (HOSTS, "test_a_kill_leaves_no_backup_and_the_next_run_makes_one"),
        (HOSTS, "test_a_kill_at_any_step_leaves_no_lock"),
        (MARIADB, "test_a_dump_that_is_killed_leaves_no_backup"),
    ],
    "host dies in the middle": [
        (HOSTS, "test_a_host_that_dies_leaves_no_backup_and_the_next_run_makes_one"),
        (MODULE, "test_what_the_last_backup_has_left"),
        (MAINTENANCE, "test_the_next_run_lets_go_what_a_kill_has_left"),
    ],
    "started twice at once": [
        (HOSTS, "test_two_at_once_are_one_after_the_other"),
        (RUN, "test_waits_for_another_one"),
    ],
    "a dump that breaks off, is empty, or is none": [
        (RUN, "test_a_dump_that_breaks_leaves_no_snapshot"),
        (RUN, "test_an_empty_dump"),
        (RUN, "test_a_dump_that_is_none"),
    ],
    "a file that cannot be read": [(RUN, "test_a_file_that_cannot_be_read")],
    "a file that nobody can even look at, or more than 1000 that were missed": [
        (RUN, "test_what_cannot_even_be_looked_at_is_a_gap"),
        (RUN, "test_more_gaps_than_are_looked_at_are_a_gap"),
    ],
    "a home or folder that was moved away and linked since the role ran": [
        (RUN, "test_a_home_that_was_moved_away_and_linked"),
        (RUN, "test_a_folder_that_was_moved_away_and_linked"),
    ],
    "a repository that was there and is gone": [(RUN, "test_a_repository_that_is_gone_is_not_made_anew")],
    "what comes back from the repository is damaged or another content": [
        (RUN, "test_what_comes_back_otherwise_than_it_is_on_the_host"),
        (RUN, "test_a_repository_that_fails"),
    ],
    "a damaged pack": [
        (HOSTS, "test_a_damaged_pack_is_found_and_no_success_is_told"),
        (RUN, "test_it_is_no_success_and_nothing_is_removed_until_it_is_mended"),
    ],
    "the lock of the product is taken away by somebody else": [
        (MAINTENANCE, "test_what_is_saved_without_the_lock_is_no_backup")
    ],
    "a stale lock in the repository": [(RUN, "test_old_backups_go_as_a_whole")],
}


def test_rows_are_those_that_are_tried() -> None:
    assert rows_of("backup.md") == list(TRIED)


@pytest.mark.parametrize("fault", TRIED)
def test_each_is_tried(fault: str) -> None:
    assert untried(TRIED[fault]) == []
