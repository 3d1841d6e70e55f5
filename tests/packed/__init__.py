# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hands modules that one run of Ansible has packed to the next ones, with their bytecode.

Packing them is a third of what a run costs, compiling them a third of what a module costs on its host. Such a run also
collects no garbage.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

FOLDER = "PACKED_MODULES"
"""Variable that names the folder in which they are kept."""


def begin() -> None:
    """Make the folder for a session of tests."""
    os.environ[FOLDER] = tempfile.mkdtemp(prefix="atlassian-dc-modules-")


def end() -> None:
    """Remove the folder."""
    shutil.rmtree(os.environ[FOLDER], ignore_errors=True)


def environment(*callbacks: Path) -> dict[str, str]:
    """Return the variables of a run that takes and leaves packed modules.

    Outside of a session of tests, as in a benchmark, it packs its own: that is part of what a run costs.

    Args:
        callbacks: folders of further callback plugins.

    """
    kept = {FOLDER: os.environ[FOLDER]} if FOLDER in os.environ else {}
    folders = [Path(__file__).parent / "callback_plugins", *callbacks] if kept else callbacks
    return {**kept, "ANSIBLE_CALLBACK_PLUGINS": ":".join(map(str, folders))}
