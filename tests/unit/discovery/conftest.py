# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the discovery tests."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from unit.discovery.fake_host import FakeHost


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    """Return an empty host."""
    # Only here: the collection cannot be imported yet when pytest reads this file.
    from unit.discovery.fake_host import FakeHost

    return FakeHost(tmp_path)


@pytest.fixture
def jira(host: FakeHost) -> FakeHost:
    """Return a host with a stopped Jira, its home and its unit."""
    host.install()
    host.home()
    host.unit()
    return host
