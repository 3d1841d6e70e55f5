# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the checkout importable as ``ansible_collections.atlassian_dc.hardening``, never an installed copy."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

CHECKOUT = Path(__file__).resolve().parent.parent
COLLECTIONS = CHECKOUT / ".collections"


# How long an example takes says nothing on a machine with other work.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


def _link_checkout() -> None:
    link = COLLECTIONS / "ansible_collections" / "atlassian_dc" / "hardening"
    if not link.is_symlink():
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(os.path.relpath(CHECKOUT, link.parent), target_is_directory=True)


def pytest_configure(config: pytest.Config) -> None:
    """Put the checkout first, also for Ansible's own collection finder."""
    _link_checkout()
    os.environ["ANSIBLE_COLLECTIONS_PATH"] = str(COLLECTIONS)
    from ansible.utils.collection_loader._collection_finder import _AnsibleCollectionFinder

    finder = _AnsibleCollectionFinder(paths=[str(COLLECTIONS)], scan_sys_paths=False)
    finder._install()
    sys.path.insert(0, str(CHECKOUT / "tests"))
    if not hasattr(config, "workerinput"):  # else what the main process has begun
        import packed

        packed.begin()


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        import packed

        packed.end()
