# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Groups of test hosts keep out of each other's way."""

from __future__ import annotations

from hosts.groups import own_networks


def test_a_group_whose_name_begins_as_another_one_keeps_its_network() -> None:
    names = ["hosts-backup-a1b2c3", "hosts-backup-cluster-a1b2c3", "hosts-backup-", "hosts-restore-a1b2c3"]
    assert own_networks("hosts-backup-", names) == ["hosts-backup-a1b2c3"]
