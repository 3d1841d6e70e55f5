# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put a stand-in for a remote agent of Bamboo on this system: only a home, and needs that are real."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent))

from doubles.common import double, logs, tree  # noqa: E402 - found through the line above

MAIN = "org.tanukisoftware.wrapper.WrapperSimpleApp"
DOCKER = '{"auths": {"registry.example.com": {"auth": "YmFtYm9vOnIzZ2lzdHJ5LXBhc3N3b3Jk"}}}\n'
MAVEN = "<settings><servers><server><id>example</id><password>n3xus-password</password></server></servers></settings>\n"


class Agent(double.Double):
    """A remote agent: it runs what builds tell it, as an account that may use Docker and other hosts."""

    name = "bamboo_agent"
    title = "Bamboo agent"
    folder = HERE
    secrets = ("conf/wrapper.conf", "bamboo-agent.cfg.xml")

    def content(self) -> None:
        """Make the program, a home in use and what builds need of the account."""
        version = self.settings["version"]
        self.program(self.home / "lib/wrapper.jar", MAIN, self.script(self.all_values()))
        tree.jar(self.home / "lib/bamboo-agent-bootstrap.jar", version)
        tree.write(self.home / "installed.properties", f"bamboo.version={version}\n")
        for name in ("caches", "classpath", "framework-bundles", "logs", "plugins", "temp", "xml-data/configuration"):
            (self.home / name).mkdir(parents=True, exist_ok=True)
        tree.jar(
            self.home / f"classpath/atlassian-bamboo-agent-core-{self.settings['version']}.jar",
            self.settings["version"],
        )
        for plan in ("DEMO-APP-JOB1", "OPS-IMAGE-JOB1"):
            script = self.home / f"xml-data/build-dir/{plan}/build.sh"
            tree.write(script, "#!/bin/sh\ndocker build .\n")
            script.chmod(0o755)
        self._account_needs()
        logs.write(
            self.home / "logs/atlassian-bamboo.log",
            [
                f"{logs.stamp(moment, number)} INFO [0-BAM::agent1.example.com::Agent] [BuildAgentImpl]"
                f" DEMO-APP-{number}: build finished"
                for number, moment in logs.moments(60)
            ],
        )
        logs.write(
            self.home / "atlassian-bamboo-agent.log", ["STATUS | wrapper  | 2026/11/20 10:56:57 | Launching a JVM..."]
        )

    def _account_needs(self) -> None:
        """Leave what builds log in to other hosts, a registry and a repository with."""
        user = self.settings["user"]
        account = self.real(self.settings["user_home"])
        for name, text in ((".docker/config.json", DOCKER), (".m2/settings.xml", MAVEN), (".ssh/known_hosts", "")):
            tree.write(account / name, text)
        for name in (".docker", ".m2", ".ssh"):
            tree.own(account / name, user, user)

    def stray_archives(self) -> None:
        """Leave a copy of the home that somebody made before an upgrade."""
        tree.archive(self.home / "bamboo-agent-home-2026-11-01.zip", {"bamboo-agent.cfg.xml": "<configuration/>\n"})


if __name__ == "__main__":
    sys.exit(double.main(Agent))
