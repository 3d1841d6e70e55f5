# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put a stand-in for Jira on this system: real directory layout, real Tomcat and Java, no Atlassian code."""

from __future__ import annotations

import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent))

from doubles.common import double, logs, tree  # noqa: E402 - found through the line above
from doubles.common.webapp import WebApplication  # noqa: E402

OTHER_LOGS = (
    "atlassian-greenhopper.log",
    "atlassian-jira-app-monitoring.log",
    "atlassian-jira-incoming-mail.log",
    "atlassian-jira-ipd-monitoring.log",
    "atlassian-jira-outgoing-mail.log",
    "atlassian-jira-perf.log",
    "atlassian-jira-slow-queries.log",
    "atlassian-jira-sql.log",
    "atlassian-servicedesk.log",
)
AUDIT_TYPE = {
    "action": "User added to group",
    "actionI18nKey": "jira.auditing.user.added.to.group",
    "area": "USER_MANAGEMENT",
    "category": "group management",
    "categoryI18nKey": "jira.auditing.category.groupmanagement",
    "level": "BASE",
}


class Jira(WebApplication):
    """Jira, single or a node of a cluster."""

    name = "jira"
    title = "Jira"
    folder = HERE
    webapp = "atlassian-jira"
    group = "com.atlassian.jira"
    artifacts = ("jira-webapp-dist", "atlassian-jira-webapp")
    writable = ("logs", "temp", "work", "conf/Catalina")
    secrets = ("dbconfig.xml", "cluster.properties")
    user_group = "jira-software-users"
    admin_group = "jira-administrators"
    basic_off_since = "11.0"

    def values(self) -> dict[str, str]:
        """Return what Jira's files tell beside the settings."""
        s = self.settings
        in_properties = s["home_from"] == "properties"
        major, minor = [*str(s["version"]).split("."), "0"][:2]
        return {
            "BUILD_NUMBER": "".join(f"{int(part):02d}" for part in s["version"].split(".")).lstrip("0"),
            "DOCS_VERSION": f"{int(major):02d}{minor}",
            "VERSION_NUMBERS": ",".join(s["version"].split(".")),
            "CLUSTER_NODES": (
                f'answer [{{"nodeId":"{s["node_id"]}","state":"ACTIVE","alive":true}}]'
                if s["node_id"]
                else 'answer status=405 {"errorMessages":["This Jira instance is not clustered"],"errors":{}}'
            ),
            "HOME_IN_PROPERTIES": s["home"] if in_properties else "",
            "JIRA_HOME_LINE": '#JIRA_HOME=""' if in_properties else f'JIRA_HOME="{s["home"]}"',
        }

    def skipped(self) -> frozenset[str]:
        """Leave out the properties of a cluster where there is none."""
        return frozenset() if self.settings["node_id"] else frozenset({"cluster.properties"})

    def content(self) -> None:
        """Make the web application and a home in use."""
        super().content()
        version = self.settings["version"]
        tree.maven(self.web_root / "WEB-INF/classes", self.group, "jira-core", version)
        for name in ("jira-api", "jira-dmz-api", "jira-lucene-dmz"):
            tree.jar(self.web_root / f"WEB-INF/lib/{name}-{version}.jar", version)
        (self.install / "licenses").mkdir()
        self._apps()
        self._attachments()
        self._logs()

    def _apps(self) -> None:
        bundled = self.web_root / "WEB-INF/atlassian-bundled-plugins"
        for name, version in (("atlassian-audit-plugin", "1.13.1"), ("atlassian-healthcheck", "7.0.0")):
            tree.app(bundled / f"{name}-{version}.jar", f"com.atlassian.{name}", version)
        installed = self.home / "plugins/installed-plugins"
        for number, name, version in (
            ("7291572728482458613", "atlassian-universal-plugin-manager-plugin", "6.1.2"),
            ("4410293847562910384", "scheduler-app", "2.4.0"),
            ("1029384756102938475", "report-app", "1.9.3"),
        ):
            tree.app(installed / f"plugin.{number}.{name}-{version}.jar", f"com.example.{name}", version)
        for folder in (".bundled-plugins", ".osgi-plugins/felix/felix-cache", ".osgi-plugins/transformed-plugins"):
            (self.home / "plugins" / folder).mkdir(parents=True)

    def _attachments(self) -> None:
        """Small files, spread over projects and issues."""
        for number in range(self.settings["attachments"]):
            project = ("DEMO", "OPS", "HELP")[number % 3]
            issue = number // 9 + 1
            bucket = (issue // 10000 + 1) * 10000
            folder = self.home / "data/attachments" / project / str(bucket) / f"{project}-{issue}"
            tree.write(folder / str(10000 + number), f"attachment {number}\n")
        for name in ("data/avatars", "export", "import/attachments", "logos", "monitor", "tmp", "analytics-logs"):
            (self.home / name).mkdir(parents=True, exist_ok=True)
        for index in ("changes", "comments", "issues"):
            for segment in ("segments_1", "_0.cfs", "_0.cfe", "_0.si", "write.lock"):
                content = b"" if segment == "write.lock" else os.urandom(512)
                tree.write(self.home / "caches/indexesV1" / index / segment, content)

    def _logs(self) -> None:
        log = self.home / "log"
        application, security = [], []
        for number, moment in logs.moments(400):
            stamp = logs.stamp(moment, number) + "+0000"
            request = f"{moment.hour * 60 + moment.minute}x{number}x1"
            head = f"{stamp} http-nio-{self.settings['http_port']}-exec-{number % 25 + 1}"
            who = f"{request} {logs.session(number)} {logs.address(number)} /login.jsp"
            user = logs.USERS[number % 4]
            if number % 5:
                security.append(f"{head} {user} {who} The user '{user}' has PASSED authentication.")
            else:
                security.append(
                    f"{head} anonymous {who} login : '{user}' tried to login but they do not have USE permission"
                    " or weren't found. Deleting remember me cookie."
                )
                security.append(
                    f"{head} anonymous {who} The user '{user}' has FAILED authentication.  Failure count equals 1"
                )
            application.append(
                f"{stamp} Caesium-1-{number % 4 + 1} INFO ServiceRunner     "
                f"[c.a.j.p.h.service.ping.RefreshConnectedServices] Checked {number % 3} application links"
            )
        logs.write(log / "atlassian-jira-security.log", security)
        logs.write(log / "atlassian-jira.log", application)
        logs.write(log / "atlassian-jira.log.1", application[:50])
        for name in OTHER_LOGS:
            tree.write(log / name, "")
        logs.audit(
            log / "audit",
            "https://jira.example.com",
            AUDIT_TYPE,
            [
                [
                    {"name": "jira-software-users", "type": "GROUP"},
                    {"id": f"JIRAUSER1{number:04d}", "name": f"user{number}", "type": "USER"},
                ]
                for number in range(20)
            ],
            {"id": "JIRAUSER10000", "name": "admin", "type": "user"},
        )
        access = [
            f"{logs.address(number)} {number}x{number}x1 anna [20/Nov/2026:12:{number % 60:02d}:00 +0000]"
            f' "GET /secure/Dashboard.jspa HTTP/1.1" 200 24267 107 "" "Mozilla/5.0 (X11; Linux x86_64)" "c2c99b"'
            for number in range(100)
        ]
        logs.write(self.install / "logs/access_log.2026-11-20", access)

    def stray_archives(self) -> None:
        """Leave automatic backups in the home, and one that somebody put up for download in the web root."""
        members = {
            "entities.xml": '<?xml version="1.0"?><entity-engine-xml/>\n',
            "activeobjects.xml": '<?xml version="1.0"?><backup/>\n',
        }
        tree.archive(self.home / "export/2026-Nov-19--0300.zip", members)
        tree.archive(self.home / "export/2026-Nov-20--0300.zip", members)
        tree.archive(self.install / "atlassian-jira/2026-Nov-13--0300.zip", members)


if __name__ == "__main__":
    sys.exit(double.main(Jira))
