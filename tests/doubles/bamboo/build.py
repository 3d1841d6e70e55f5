# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put a stand-in for Bamboo on this system: the server, with the broker its agents connect to."""

from __future__ import annotations

import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent))

from doubles.common import double, logs, tree  # noqa: E402 - found through the line above
from doubles.common.webapp import WebApplication  # noqa: E402


class Bamboo(WebApplication):
    """Bamboo's server."""

    name = "bamboo"
    title = "Bamboo"
    folder = HERE
    webapp = "atlassian-bamboo"
    group = "com.atlassian.bamboo"
    artifacts = ("atlassian-bamboo-web-app",)
    writable = ("logs", "temp", "work", "conf/Catalina")
    secrets = ("bamboo.cfg.xml", "shared/configuration/administration.xml", "shared/configuration/cipher/key_0")
    user_group = "bamboo-users"
    admin_group = "bamboo-admin"

    def values(self) -> dict[str, str]:
        """Return what Bamboo's files tell beside the settings."""
        s = self.settings
        scheme = "nio" if s["broker_scheme"] == "tcp" else s["broker_scheme"]
        return {"BUILD_NUMBER": "100212", "BROKER_URI": f"{scheme}://0.0.0.0:{s['broker_port']}"}

    def content(self) -> None:
        """Make the web application and a home in use."""
        super().content()
        version = self.settings["version"]
        for name in ("atlassian-bamboo-api", "atlassian-bamboo-core", "atlassian-bamboo-web"):
            tree.jar(self.web_root / f"WEB-INF/lib/{name}-{version}.jar", version)
        tree.jar(self.web_root / f"admin/agent/atlassian-bamboo-agent-installer-{version}.jar", version)
        for name in ("atlassian-bamboo-plugin-git", "bamboo-audit-log"):
            tree.app(self.web_root / f"WEB-INF/atlassian-bundled-plugins/{name}-{version}.jar", name, version)
        tree.app(self.home / "shared/plugins/deploy-app-4.0.2.jar", "com.example.deploy-app", "4.0.2")
        tree.write(self.home / "shared/configuration/cipher/key_0", os.urandom(32).hex())
        self._builds()
        self._logs()

    def _builds(self) -> None:
        for number in range(self.settings["builds"]):
            plan = ("DEMO-APP", "OPS-IMAGE", "WEB-SITE")[number % 3]
            tree.write(self.home / f"shared/artifacts/{plan}/shared/build-{number:05d}/log.txt", f"build {number}\n")
            tree.write(self.home / f"shared/builds/{plan}/download-data/build_logs/{plan}-{number}.log", "built\n")
            # What a build leaves is run again.
            script = self.home / f"xml-data/build-dir/{plan}-JOB1/run.sh"
            tree.write(script, "#!/bin/sh\nexit 0\n")
            script.chmod(0o755)
        for name in ("segments_1", "_0.cfs"):
            tree.write(self.home / "index" / name, os.urandom(512))
        tree.write(self.home / "jms-store/db.data", b"\0" * 4096)
        for name in ("analytics-logs", "caches", "exports", "local-working-dir", "shared/exports", "temp"):
            (self.home / name).mkdir(parents=True, exist_ok=True)

    def _logs(self) -> None:
        application, access = [], []
        port = self.settings["http_port"]
        for number, moment in logs.moments(300):
            stamp = logs.stamp(moment, number)
            user = logs.USERS[number % 4]
            thread = f"http-nio-{port}-exec-{number % 25 + 1}"
            if number % 6 == 0:
                application.append(
                    f"{stamp} DEBUG [{thread} url: /userlogin.action] [BambooAuthenticator] User '{user}'"
                    f" with IP address: {logs.address(number)}, 10.0.9.6 failed to log in."
                )
            application.append(f"{stamp} INFO [scheduler_Worker-{number % 10}] [ChangeDetectionListener] no change")
            access.append(
                f"{stamp} INFO [{thread}] [AccessLogFilter] {user} GET"
                f" https://bamboo.example.com/allPlans.action {1048969 + number}kb"
            )
        folder = self.home / "logs"
        logs.write(folder / "atlassian-bamboo.log", application)
        logs.write(folder / "atlassian-bamboo.log.1", application[:50])
        logs.write(folder / "atlassian-bamboo-access.log", access)

    def stray_archives(self) -> None:
        """Leave exports in the home, and one in the web root."""
        members = {"db-export/db.xml": "<bamboo/>\n"}
        tree.archive(self.home / "exports/export_100212_20261119.zip", members)
        tree.archive(self.home / "shared/exports/export_100212_20261120.zip", members)
        tree.archive(self.web_root / "export_100212_20261101.zip", members)


if __name__ == "__main__":
    sys.exit(double.main(Bamboo))
