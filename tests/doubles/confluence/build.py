# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put a stand-in for Confluence and its Synchrony on this system."""

from __future__ import annotations

import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent))

from doubles.common import double, java, logs, tree  # noqa: E402 - found through the line above
from doubles.common.webapp import WebApplication  # noqa: E402

OTHER_LOGS = ("-index", "-ipd-monitoring", "-jmx", "-migrations", "-outgoing-mail", "-profiler", "-sql")
AUDIT_TYPE = {
    "action": "User added to group",
    "actionI18nKey": "audit.logging.summary.group.membership.added",
    "area": "USER_MANAGEMENT",
    "category": "Users and groups",
    "categoryI18nKey": "audit.logging.category.user.management",
    "level": "BASE",
}
DRIVER = "postgresql-42.7.4"
DATABASE_PASSWORD = "Sup3rSecret-confdb"  # noqa: S105 - of no database


class Confluence(WebApplication):
    """Confluence, with the Synchrony that it starts or that has a unit of its own."""

    name = "confluence"
    title = "Confluence"
    folder = HERE
    webapp = "confluence"
    group = "com.atlassian.confluence"
    artifacts = ("confluence-webapp",)
    writable = ("logs", "temp", "work", "conf/Catalina")
    secrets = ("confluence.cfg.xml", "shared-home/confluence.cfg.xml", "keys/secret.key")
    user_group = "confluence-users"
    admin_group = "confluence-administrators"
    basic_off_since = "10.2"

    @property
    def shared(self) -> str:
        """Where the shared home is."""
        return str(self.settings["shared_home"] or f"{self.settings['home']}/shared-home")

    @property
    def roots(self) -> list[Path]:
        """Return the folders that are the product's."""
        return [*super().roots, *([self.real(self.shared)] if self.settings["shared_home"] else [])]

    def values(self) -> dict[str, str]:
        """Return what Confluence's files tell beside the settings."""
        s = self.settings
        cluster = {
            "confluence.cluster": "true",
            "confluence.cluster.authentication.enabled": "true",
            "confluence.cluster.authentication.secret": "9f3c1b2a7d6e5f40",
            "confluence.cluster.home": self.shared,
            "confluence.cluster.join.type": "tcp_ip",
            "confluence.cluster.name": "wiki",
            "confluence.cluster.node.name": s["node_name"],
            "confluence.cluster.peers": "127.0.0.1",
        }
        lines = cluster if s["node_name"] else {"confluence.cluster.home": self.shared}
        managed = (
            "copy {webapp}/WEB-INF/packages .\n"
            f"run /usr/bin/env synchrony.port={s['synchrony_port']} synchrony.database.password={DATABASE_PASSWORD}"
            f" {java.home()}/bin/java -classpath {{home}}/synchrony-standalone.jar:{{webapp}}/WEB-INF/lib/{DRIVER}.jar"
            " -Xss2048k -Xmx64m synchrony.core sql"
        )
        return {
            "BUILD_NUMBER": "9111",
            "SETUP_TYPE": "cluster" if s["node_name"] else "custom",
            "SHARED": self.shared,
            "CLUSTER": "\n".join(f'    <property name="{key}">{value}</property>' for key, value in lines.items()),
            "MANAGED_SYNCHRONY": managed if s["synchrony"] == "managed" else "",
            "SYNCHRONY_DATABASE_PASSWORD": "" if s["synchrony_env_file"] else DATABASE_PASSWORD,
            **logs.forwarded_in_audit(s["audit_forwarded"], "{list|json}"),
        }

    def units(self) -> list[str]:
        """Leave out Synchrony's unit where Confluence starts it, or nobody does."""
        return ["confluence", *(["synchrony"] if self.settings["synchrony"] == "standalone" else [])]

    def content(self) -> None:
        """Make the web application and a home in use."""
        super().content()
        version = self.settings["version"]
        for name in (f"confluence-{version}", DRIVER):
            tree.jar(self.web_root / f"WEB-INF/lib/{name}.jar", name.rpartition("-")[2])
        for name in ("confluence-context-path-extractor", "synchrony-proxy-watchdog"):
            tree.jar(self.install / f"bin/{name}.jar", version)
        (self.install / "conf/Standalone/localhost").mkdir(parents=True)
        self._synchrony()
        self._apps()
        self._data()
        self._logs()

    def _synchrony(self) -> None:
        self.program(
            self.web_root / "WEB-INF/packages/synchrony-standalone.jar",
            "synchrony.core",
            self.script(self.all_values(), "synchrony.txt"),
            {"PRODUCT": "synchrony", "TITLE": "Synchrony"},
        )
        if self.settings["synchrony_env_file"]:
            path = self.real(self.settings["synchrony_env_file"])
            tree.write(path, f'export SYNCHRONY_DATABASE_PASSWORD="{DATABASE_PASSWORD}"\n')
            path.chmod(0o700)

    def _apps(self) -> None:
        for name, version in (("atlassian-audit-plugin", "1.19.4"), ("synchrony-interop-bootstrap-plugin", "5.0.11")):
            jar = self.web_root / f"WEB-INF/atlassian-bundled-plugins/{name}-{version}.jar"
            tree.app(jar, f"com.atlassian.{name}", version)
        for number, name, version in ((1, "diagram-app", "8.2.1"), (2, "forms-app", "3.4.0")):
            jar = self.real(self.shared) / f"plugins/installed-plugins/plugin_{number}_{name}-{version}.jar"
            tree.app(jar, f"com.example.{name}", version)

    def _data(self) -> None:
        for number in range(self.settings["attachments"]):
            page = 98305 + number // 3
            path = f"attachments/ver003/{page % 250}/{page // 1000 % 250}/{page}/{1_000_000 + number}/1"
            tree.write(self.home / path, f"attachment {number}\n")
        for name in ("segments_1", "_0.cfs", "_0.si"):
            tree.write(self.home / "index" / name, os.urandom(512))
        tree.write(self.home / "journal/main_index", b"\0" * 64)
        tree.write(self.home / "keys/secret.key", os.urandom(32).hex())
        tree.write(self.real(self.shared) / "confluence.cfg.xml", (self.home / "confluence.cfg.xml").read_text())
        for name in (
            "analytics-logs",
            "backups",
            "export",
            "restore",
            "temp",
            "thumbnails",
            "plugins-osgi-cache/felix",
        ):
            (self.home / name).mkdir(parents=True, exist_ok=True)

    def _logs(self) -> None:
        folder = self.home / "logs"
        application, access = [], []
        port = self.settings["http_port"]
        for number, moment in logs.moments(300):
            thread = f"http-nio-{port}-exec-{number % 48 + 1}"
            application.append(
                f"{logs.stamp(moment, number)} WARN [{thread}] [confluence.impl.journal.DefaultJournalManager] enqueue"
                f" Newly enqueued entry in journal [main_index] has an ID [{number}] that should have been higher"
            )
            path, code = ("/dologin.action", 200) if number % 9 == 0 else ("/index.action", 200)
            access.append(
                f"[{moment:%d/%b/%Y:%H:%M:%S} +0000] {logs.USERS[number % 4]} {thread} {logs.address(number)}"
                f" {'POST' if path == '/dologin.action' else 'GET'} {path} HTTP/1.1 {code} {number % 90 + 10}ms 7881"
                " http://localhost:8090/login.action Mozilla/5.0 (X11; Linux x86_64)"
            )
        logs.write(folder / "atlassian-confluence.log", application)
        logs.write(folder / "atlassian-confluence.log.1", application[:50])
        logs.write(
            folder / "atlassian-confluence-security.log",
            [
                f"{logs.stamp(moment, number)} DEBUG [http-nio-{port}-exec-5]"
                " [confluence.security.login.DefaultLoginManager] onSuccessfulLoginAttempt Successful login attempt for"
                f" user '{logs.USERS[number % 4]}'"
                for number, moment in logs.moments(40)
            ],
        )
        for name in OTHER_LOGS:
            tree.write(folder / f"atlassian-confluence{name}.log", "")
        tree.write(folder / "atlassian-synchrony.log", "")
        logs.write(self.install / f"logs/conf_access_log.{logs.LAST_DAY:%Y-%m-%d}.log", access)
        group = {"id": "confluence-users", "name": "confluence-users", "type": "Group"}
        logs.audit(
            self.home / "log/audit",
            "https://wiki.example.com",
            AUDIT_TYPE,
            [[group, {"id": f"2c95808{number:04d}", "name": f"user{number}", "type": "User"}] for number in range(20)],
            {"id": "2c95808000", "name": "admin", "type": "user"},
        )

    def stray_archives(self) -> None:
        """Leave site exports in the home, and one that somebody put up for download in the web root."""
        members = {"entities.xml": "<hibernate-generic/>\n", "exportDescriptor.properties": "exportType=all\n"}
        tree.archive(self.home / "backups/backup-2026_11_19.zip", members)
        tree.archive(self.home / "restore/site-export-2026-11-01.zip", members)
        tree.archive(self.home / "temp/xmlexport-20261113-101010-1.zip", members)
        tree.archive(self.web_root / "backup-2026_11_13.zip", members)


if __name__ == "__main__":
    sys.exit(double.main(Confluence))
