# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Command line of the test hosts: see README.md beside this file."""

from __future__ import annotations

import sys
from pathlib import Path

if __package__ in (None, ""):
    # Run as a script: make the package importable under the name the tests use.
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from hosts.cli import main

if __name__ == "__main__":
    sys.exit(main())
