# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put a stand-in for Crowd on this system: its Tomcat lies in a folder of the installation."""

from __future__ import annotations

import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent))

from doubles.common import double, logs, tree  # noqa: E402 - found through the line above
from doubles.common.webapp import WebApplication  # noqa: E402

KEY = "shared/keys/db/javax.crypto.spec.SecretKeySpec_1763683200000"
LOGIN = "[crowd.console.action.Login] The user: '{user}' attempted to login with incorrect credentials"


class Crowd(WebApplication):
    """Crowd, with the folder of its home that cluster nodes share."""

    name = "crowd"
    title = "Crowd"
    folder = HERE
    webapp = "crowd-webapp"
    tomcat = "apache-tomcat"
    group = "com.atlassian.crowd"
    artifacts = ("crowd-web-app",)
    writable = ("apache-tomcat/logs", "apache-tomcat/temp", "apache-tomcat/work")
    secrets = (
        "shared/crowd.cfg.xml",
        "crowd.properties",
        "shared/keys/db/javax.crypto.spec.SecretKeySpec_1763683200000",
    )
    user_group = "crowd-users"
    admin_group = "crowd-administrators"

    def values(self) -> dict[str, str]:
        """Return what Crowd's files tell beside the settings."""
        return {"BUILD_NUMBER": "1927"}

    def content(self) -> None:
        """Make the web application and a home in use."""
        super().content()
        version = self.settings["version"]
        for name in ("crowd-api", "crowd-core", "crowd-server-common"):
            tree.jar(self.web_root / f"WEB-INF/lib/{name}-{version}.jar", version)
        for name in ("atlassian-audit-plugin", "crowd-admin-rest-plugin"):
            tree.app(self.web_root / f"WEB-INF/atlassian-bundled-plugins/{name}-{version}.jar", name, version)
        tree.app(self.home / "shared/plugins/installed-plugins/sync-app-1.4.0.jar", "com.example.sync-app", "1.4.0")
        tree.write(self.home / KEY, os.urandom(64))
        for folder in ("analytics-logs", "plugins", "shared/backups", "caches/felix/felix-cache"):
            (self.home / folder).mkdir(parents=True, exist_ok=True)
        self._logs()

    def _logs(self) -> None:
        lines = []
        for number, moment in logs.moments(200):
            head = f"{logs.stamp(moment, number)} http-nio-{self.settings['http_port']}-exec-{number % 25 + 1} INFO"
            user = logs.USERS[number % 4]
            if number % 4 == 0:
                lines.append(
                    f"{head} [crowd.manager.application.ApplicationServiceGeneric] Invalid credentials for user {user}"
                    " in directory Example Company (163841), aborting"
                )
                lines.append(f"{head} {LOGIN.format(user=user)}")
            elif number % 25 == 1:
                lines.append(
                    f"{head} [crowd.manager.validation.ClientValidationManagerImpl] Client with address"
                    f" '{logs.address(number)}' is forbidden from making requests to application 'jira'"
                )
        logs.write(self.home / "logs/atlassian-crowd.log", lines)
        logs.write(self.home / "logs/atlassian-crowd.log.1", lines[:50])

    def stray_archives(self) -> None:
        """Leave backups of the last nights, and one in the web root."""
        version = self.settings["version"]
        backup = '<?xml version="1.0" encoding="UTF-8"?>\n<crowd-backup/>\n'
        for day in ("2026-11-19", "2026-11-20"):
            name = f"atlassian-crowd-{version}-automated-backup-{day}-020000.xml"
            tree.write(self.home / "shared/backups" / name, backup)
        tree.archive(self.web_root / "crowd-home-2026-11-13.zip", {"crowd.cfg.xml": backup})


if __name__ == "__main__":
    sys.exit(double.main(Crowd))
