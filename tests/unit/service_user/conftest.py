# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the tests of role service_user."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def host(tmp_path: Path) -> Any:
    # Imported late: the collection becomes importable only after this file was read.
    from unit.service_user.unit_host import FakeHost

    return FakeHost(tmp_path)
