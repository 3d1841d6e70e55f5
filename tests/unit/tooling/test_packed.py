# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs share packed modules in a session of tests, and do without anywhere else."""

from __future__ import annotations

import os
from pathlib import Path

import packed
import pytest


def test_runs_of_a_session_share_what_they_have_packed() -> None:
    given = packed.environment(Path("/more"))
    assert given[packed.FOLDER] == os.environ[packed.FOLDER]
    assert given["ANSIBLE_CALLBACK_PLUGINS"].split(":")[1:] == ["/more"]


def test_a_run_outside_of_tests_packs_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(packed.FOLDER)
    assert packed.environment(Path("/more")) == {"ANSIBLE_CALLBACK_PLUGINS": "/more"}
