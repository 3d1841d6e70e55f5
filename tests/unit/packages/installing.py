# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A package manager whose tools do nothing but note what is installed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ansible_collections.atlassian_dc.hardening.plugins.module_utils._packages import PackageManager, State


class Installing(PackageManager):
    """Installs at once, and never with services started.

    Args:
        installed: names of what is installed.
        bring: puts in place what a package brings.

    """

    def __init__(self, installed: set[str], bring: Callable[[str], object] = lambda _name: None) -> None:
        super().__init__(lambda *_arguments, **_options: (0, "", ""))
        self._installed = installed
        self._bring = bring

    def state(self, name: str) -> State:
        return State("1" if name in self._installed else None)

    def files(self, name: str) -> list[str]:
        return []

    def install(self, names: Sequence[str], start: bool, deadline: float) -> None:
        assert not start
        self._installed.update(names)
        for name in names:
            self._bring(name)

    def found(self, _run_command: Any) -> PackageManager:
        """Stand for `package_manager`."""
        return self
