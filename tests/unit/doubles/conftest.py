# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Classes of the doubles, compiled once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from unit.doubles.instances import Instance, compiled


@pytest.fixture(scope="session")
def classes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled(tmp_path_factory.mktemp("java"))


@pytest.fixture
def instance(classes: Path, tmp_path: Path) -> Callable[..., Instance]:
    return lambda product, *changes: Instance(tmp_path, classes, product, *changes)
