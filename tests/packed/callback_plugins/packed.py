# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes modules that another run has packed, and leaves those that this one has packed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from ansible import constants
from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: packed
type: aggregate
short_description: Shares packed modules between runs
description: Used by the tests only.
"""


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "packed"

    def __init__(self) -> None:
        super().__init__()
        # Where Ansible keeps them for the length of a run; nothing is saved should it once keep them elsewhere.
        self._own = Path(constants.DEFAULT_LOCAL_TMP) / "ansiballz_cache"
        self._packed = Path(os.environ["PACKED_MODULES"])
        self._own.mkdir(exist_ok=True)
        for path in self._packed.glob("*.*"):
            shutil.copyfile(path, self._own / path.name)

    def v2_playbook_on_stats(self, stats: Any) -> None:
        for path in self._own.glob("*.*"):
            if path.suffix != ".lock" and not (self._packed / path.name).exists():
                # Others may be about to do the same.
                part = self._packed / f"part-{os.getpid()}"
                shutil.copyfile(path, part)
                part.rename(self._packed / path.name)
