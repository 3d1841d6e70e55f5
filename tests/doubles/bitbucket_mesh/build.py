# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put a stand-in for a node of Bitbucket's Mesh on this system: no web server, only a port for gRPC."""

from __future__ import annotations

import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent))

from doubles.common import double, logs, tree  # noqa: E402 - found through the line above

SCRIPT = HERE / "instance.txt"
MAIN = "dc.testing.mesh.Mesh"


class Mesh(double.Double):
    """A node that keeps repositories for a Bitbucket elsewhere, or on the same host."""

    name = "bitbucket_mesh"
    title = "Bitbucket Mesh"
    folder = HERE
    secrets = ("mesh.properties", "config/signing-key.pem")

    def content(self) -> None:
        """Make the program and a home in use."""
        self.program(self.install / "bin/mesh-app.jar", MAIN, self.script(self.all_values()))
        tree.write(self.home / "config/signing-key.pem", f"-----BEGIN PRIVATE KEY-----\n{os.urandom(32).hex()}\n")
        for number in range(self.settings["repositories"]):
            repository = self.home / f"data/repositories/0{number % 4}/{number:016x}"
            tree.write(repository / "HEAD", "ref: refs/heads/main\n")
            tree.write(repository / "config", "[core]\n\tbare = true\n")
            tree.write(repository / "hooks/pre-receive", "#!/bin/sh\nexit 0\n")
            (repository / "hooks/pre-receive").chmod(0o755)
        logs.write(
            self.home / "log/atlassian-mesh.log",
            [
                f"{logs.stamp(moment, number)} INFO  [tx:thread-{number % 4}] admin 2CM38K4Fx339x{number}x2"
                f' @5XDWX5x339x568x0 {logs.address(number)} "TransactionService/Transact"'
                f" c.a.b.m.r.DefaultRepositoryManager Repository {number:016x}"
                " has been created and configured successfully"
                for number, moment in logs.moments(60)
            ],
        )

    def stray_archives(self) -> None:
        """Leave a copy of repositories that somebody made before an upgrade."""
        tree.archive(self.home / "repositories-2026-11-01.zip", {"HEAD": "ref: refs/heads/main\n"})


if __name__ == "__main__":
    sys.exit(double.main(Mesh))
