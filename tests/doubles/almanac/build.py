# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put a stand-in for Almanac on this system, the made-up product of docs/adding-a-product.md."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent))

from doubles.common import double, logs, tree  # noqa: E402 - found through the line above

MAIN = "org.example.almanac.Almanac"


class Almanac(double.Double):
    """A small program with a status page and a home."""

    name = "almanac"
    title = "Almanac"
    folder = HERE
    writable = ("logs",)
    secrets = ("almanac.properties",)

    def values(self) -> dict[str, str]:
        """Return what Almanac's files tell beside the settings."""
        return {"MAIN": MAIN}

    def content(self) -> None:
        """Make the program and a home in use."""
        self.program(self.install / "lib/almanac.jar", MAIN, self.script(self.all_values()))
        tree.write(self.home / "pages/welcome.txt", "Welcome\n")
        stamps = [logs.stamp(moment, number) for number, moment in logs.moments(20)]
        logs.write(self.install / "logs/almanac.log", [f"{stamp} INFO page saved: welcome" for stamp in stamps])

    def stray_archives(self) -> None:
        """Leave an export of last week where the program serves files."""
        tree.archive(self.install / "pages/export-2026-11-13.zip", {"welcome.txt": "Welcome\n"})


if __name__ == "__main__":
    sys.exit(double.main(Almanac))
