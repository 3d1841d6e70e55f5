# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put a stand-in for Jira on this system: real directory layout, real Tomcat and Java, no Atlassian code.

Needs Debian's Tomcat 10 libraries, the Eclipse compiler and a Java runtime, as images.toml of the test hosts installs.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import tomllib

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent))

from doubles.common import tree  # noqa: E402 - found through the line above

TOMCAT = Path("/usr/share/tomcat10")
# Debian 13 keeps the compiler in a package of its own.
COMPILERS = (
    Path("/usr/share/java/eclipse-jdt-core-compiler-batch.jar"),
    Path("/usr/share/java/eclipse-jdt-core.jar"),
)
TOMCAT_SCRIPTS = ("catalina.sh", "configtest.sh", "digest.sh", "setclasspath.sh", "shutdown.sh", "startup.sh",
                  "tool-wrapper.sh", "version.sh", "bootstrap.jar", "tomcat-juli.jar")  # fmt: skip
# Last day of the logs that come with the double: files of a running instance are newer.
LAST_DAY = datetime(2026, 11, 20, 18, 0, tzinfo=timezone.utc)
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


class Jira:
    """One stand-in, in one state."""

    def __init__(self, settings: dict[str, Any], root: Path) -> None:
        """Only stores what to build."""
        self.settings = settings
        self.root = root
        self.install = self._real("install")
        self.home = self._real("home")

    def _real(self, name: str) -> Path:
        return self.root / str(self.settings[name]).lstrip("/")

    def build(self) -> None:
        """Make everything; owners and modes come last."""
        self._account()
        values = self._values()
        skip = frozenset() if self.settings["node_id"] else frozenset({"cluster.properties"})
        tree.install_templates(HERE / "files" / "install", self.install, values)
        tree.install_templates(HERE / "files" / "home", self.home, values, skip)
        self._tomcat()
        self._classes()
        self._version_files()
        self._apps()
        self._attachments()
        self._logs()
        if self.settings["stray_archives"]:
            self._stray_archives()
        self._owners_and_modes()
        self._unit(values)

    def _values(self) -> dict[str, str]:
        s = self.settings
        in_properties = s["home_from"] == "properties"
        major, minor = [*str(s["version"]).split("."), "0"][:2]
        java = Path("/usr/bin/java").resolve().parent.parent
        return {
            "VERSION": s["version"],
            "BUILD_NUMBER": "".join(f"{int(part):02d}" for part in s["version"].split(".")).lstrip("0"),
            "DOCS_VERSION": f"{int(major):02d}{minor}",
            "INSTALL": s["install"],
            "HOME_IN_PROPERTIES": s["home"] if in_properties else "",
            "JIRA_HOME_LINE": '#JIRA_HOME=""' if in_properties else f'JIRA_HOME="{s["home"]}"',
            "SUPPORT_ARGS": s["support_args"],
            "MIN_MEMORY": s["min_memory"],
            "MAX_MEMORY": s["max_memory"],
            "JAVA_HOME": str(java),
            "HTTP_PORT": str(s["http_port"]),
            "SHUTDOWN_PORT": str(s["shutdown_port"]),
            "CONTEXT_PATH": s["context_path"],
            "USER_FILE_USER": s["user_file_user"],
            "UNIT_USER_LINE": f"User={s['unit_user']}" if s["unit_user"] else "",
            "DATABASE_PASSWORD": s["database_password"],
            "JIRA_CONFIG": s["jira_config"],
            "NODE_ID": s["node_id"],
            "SHARED_HOME": s["shared_home"],
        }

    # Account

    def _account(self) -> None:
        s = self.settings
        kind = ["--system", "--user-group"] if s["system_account"] else []
        options = ["--create-home", "--home-dir", s["user_home"], "--shell", s["shell"]]
        tree.run("useradd", *kind, *options, *(["--groups", ",".join(s["groups"])] if s["groups"] else []), s["user"])
        if s["password"]:
            tree.run("chpasswd", data=f"{s['user']}:{s['password']}\n")
        ssh = self._real("user_home") / ".ssh"
        ssh.mkdir(mode=0o700)
        # A key the product itself uses, for repositories and the like: it has to stay.
        tree.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "jira@jira1", "-f", str(ssh / "id_ed25519"))
        if s["authorized_keys"]:
            with tempfile.TemporaryDirectory() as folder:
                key = Path(folder) / "key"
                tree.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "admin@laptop", "-f", str(key))
                (ssh / "authorized_keys").write_text(key.with_suffix(".pub").read_text())
                (ssh / "authorized_keys").chmod(0o600)
        tree.own(ssh, s["user"], s["user"])
        if s["sudoers"]:
            sudoers = self.root / "etc/sudoers.d" / s["user"]
            tree.write(sudoers, s["sudoers"] + "\n")
            sudoers.chmod(0o440)

    # Installation

    def _tomcat(self) -> None:
        for name in TOMCAT_SCRIPTS:
            shutil.copy(TOMCAT / "bin" / name, self.install / "bin" / name)
        (self.install / "lib").mkdir()
        for jar in (TOMCAT / "lib").glob("*.jar"):
            shutil.copy(jar, self.install / "lib" / jar.name)
        shutil.copy(self._compiler(), self.install / "lib" / "ecj.jar")
        for folder in ("logs", "temp", "work", "webapps", "licenses", "conf/Catalina/localhost"):
            (self.install / folder).mkdir(parents=True)

    @staticmethod
    def _compiler() -> Path:
        found = next((path for path in COMPILERS if path.exists()), None)
        if found is None:
            raise SystemExit(f"No Java compiler: none of {', '.join(str(path) for path in COMPILERS)} is there.")
        return found

    def _classes(self) -> None:
        """Compile the web application: JSPs by Tomcat itself at its first start, the rest here."""
        classes = self.install / "atlassian-jira/WEB-INF/classes"
        compiler = ("java", "-cp", str(self._compiler()), "org.eclipse.jdt.internal.compiler.batch.Main")
        servlet_api = str(self.install / "lib/servlet-api.jar")
        tree.run(*compiler, "-17", "-proc:none", "-cp", servlet_api, "-d", str(classes), str(HERE / "java"))

    def _version_files(self) -> None:
        version = self.settings["version"]
        webapp = self.install / "atlassian-jira"
        for folder, artifact in (
            (webapp, "jira-webapp-dist"),
            (webapp, "atlassian-jira-webapp"),
            (webapp / "WEB-INF/classes", "jira-core"),
        ):
            lines = (
                "#Generated by Maven",
                f"version={version}",
                "groupId=com.atlassian.jira",
                f"artifactId={artifact}",
                "",
            )
            where = folder / "META-INF/maven/com.atlassian.jira" / artifact
            tree.write(where / "pom.properties", "\n".join(lines))
            tree.write(
                where / "pom.xml",
                f"<project><artifactId>{artifact}</artifactId><version>{version}</version></project>\n",
            )
        for name in ("jira-api", "jira-dmz-api", "jira-lucene-dmz"):
            manifest = f"Manifest-Version: 1.0\nImplementation-Version: {version}\n"
            tree.archive(webapp / f"WEB-INF/lib/{name}-{version}.jar", {"META-INF/MANIFEST.MF": manifest})

    # Home

    @staticmethod
    def _app(path: Path, key: str, version: str) -> None:
        descriptor = (
            f'<atlassian-plugin key="{key}" name="{key}" plugins-version="2">\n'
            f"  <plugin-info><version>{version}</version></plugin-info>\n</atlassian-plugin>\n"
        )
        tree.archive(path, {"META-INF/MANIFEST.MF": "Manifest-Version: 1.0\n", "atlassian-plugin.xml": descriptor})

    def _apps(self) -> None:
        bundled = self.install / "atlassian-jira/WEB-INF/atlassian-bundled-plugins"
        for name, version in (("atlassian-audit-plugin", "1.13.1"), ("atlassian-healthcheck", "7.0.0")):
            self._app(bundled / f"{name}-{version}.jar", f"com.atlassian.{name}", version)
        installed = self.home / "plugins/installed-plugins"
        for number, name, version in (
            ("7291572728482458613", "atlassian-universal-plugin-manager-plugin", "6.1.2"),
            ("4410293847562910384", "scheduler-app", "2.4.0"),
            ("1029384756102938475", "report-app", "1.9.3"),
        ):
            self._app(installed / f"plugin.{number}.{name}-{version}.jar", f"com.example.{name}", version)
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
        for number in range(400):
            moment = LAST_DAY - timedelta(minutes=7 * (400 - number))
            stamp = moment.strftime("%Y-%m-%d %H:%M:%S,") + f"{number * 37 % 1000:03d}+0000"
            request = f"{moment.hour * 60 + moment.minute}x{number}x1"
            head = f"{stamp} http-nio-{self.settings['http_port']}-exec-{number % 25 + 1}"
            session = f"{number * 7919 % 1000000 + 46656:06x}"[:6]
            who = f"{request} {session} 192.0.2.{number % 200 + 1} /login.jsp"
            user = ("anna", "bert", "carla", "admin")[number % 4]
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
        tree.write(log / "atlassian-jira-security.log", "\n".join(security) + "\n")
        tree.write(log / "atlassian-jira.log", "\n".join(application) + "\n")
        tree.write(log / "atlassian-jira.log.1", "\n".join(application[:50]) + "\n")
        for name in OTHER_LOGS:
            tree.write(log / name, "")
        for days in range(3):
            self._audit_log(log / "audit", LAST_DAY - timedelta(days=days))
        access = [
            f"192.0.2.{number % 200 + 1} {number}x{number}x1 anna [20/Nov/2026:12:{number % 60:02d}:00 +0000]"
            f' "GET /secure/Dashboard.jspa HTTP/1.1" 200 24267 107 "" "Mozilla/5.0 (X11; Linux x86_64)" "c2c99b"'
            for number in range(100)
        ]
        tree.write(self.install / "logs/access_log.2026-11-20", "\n".join(access) + "\n")

    @staticmethod
    def _audit_log(folder: Path, day: datetime) -> None:
        lines = []
        for number in range(20):
            moment = day.replace(hour=number)
            lines.append(
                json.dumps(
                    {
                        "affectedObjects": [
                            {"name": "jira-software-users", "type": "GROUP"},
                            {"id": f"JIRAUSER1{number:04d}", "name": f"user{number}", "type": "USER"},
                        ],
                        "auditType": {
                            "action": "User added to group",
                            "actionI18nKey": "jira.auditing.user.added.to.group",
                            "area": "USER_MANAGEMENT",
                            "category": "group management",
                            "categoryI18nKey": "jira.auditing.category.groupmanagement",
                            "level": "BASE",
                        },
                        "author": {"id": "JIRAUSER10000", "name": "admin", "type": "user"},
                        "changedValues": [],
                        "extraAttributes": [],
                        "method": "Browser",
                        "source": f"192.0.2.{number + 1}",
                        "system": "https://jira.example.com",
                        "timestamp": {"epochSecond": int(moment.timestamp()), "nano": 0},
                        "version": "1.0",
                    },
                    separators=(",", ":"),
                )
            )
        tree.write(folder / f"{day:%Y%m%d}.00000.audit.log", "\n".join(lines) + "\n")

    def _stray_archives(self) -> None:
        """Automatic backups in the home, and one that somebody put up for download in the web root."""
        members = {
            "entities.xml": '<?xml version="1.0"?><entity-engine-xml/>\n',
            "activeobjects.xml": '<?xml version="1.0"?><backup/>\n',
        }
        tree.archive(self.home / "export/2026-Nov-19--0300.zip", members)
        tree.archive(self.home / "export/2026-Nov-20--0300.zip", members)
        tree.archive(self.install / "atlassian-jira/2026-Nov-13--0300.zip", members)

    # Owners, modes, unit

    def _owners_and_modes(self) -> None:
        user = self.settings["user"]
        if self.settings["tree"] == "everything-755":
            for root in (self.install, self.home):
                tree.own(root, user, user)
                tree.modes(root, 0o755, 0o755)
            return
        tree.own(self.install, "root", "root")
        tree.modes(self.install, 0o755, 0o644, 0o755)
        for folder in ("logs", "temp", "work", "conf/Catalina"):
            tree.own(self.install / folder, user, user)
            tree.modes(self.install / folder, 0o750, 0o640)
        tree.own(self.home, user, user)
        tree.modes(self.home, 0o750, 0o640)
        for name in ("dbconfig.xml", "cluster.properties"):
            if (self.home / name).exists():
                (self.home / name).chmod(0o600)

    def _unit(self, values: dict[str, str]) -> None:
        unit = self.root / "etc/systemd/system/jira.service"
        text = tree.fill((HERE / "files/system/jira.service").read_text(), values, "jira.service")
        # No User= line at all, rather than an empty one.
        tree.write(unit, text.replace("Type=forking\n\n", "Type=forking\n"))
        unit.chmod(int(self.settings["unit_mode"], 8))
        if self.settings["enabled"]:
            tree.run("systemctl", f"--root={self.root}", "enable", "jira.service")


def settings_for(state: str, changes: Sequence[str]) -> dict[str, Any]:
    """Return the settings of a state with changes KEY=VALUE applied; a value that is not TOML is a string."""
    described = tomllib.loads((HERE / "states.toml").read_text())
    states = described["states"]
    if state not in states:
        raise SystemExit(f"There is no state '{state}'. There are: {', '.join(sorted(states))}.")
    settings: dict[str, Any] = {**described["defaults"], **states[state]}
    for change in changes:
        key, separator, value = change.partition("=")
        if not separator or key not in settings:
            raise SystemExit(f"--set {change}: there is no such setting. There are: {', '.join(sorted(settings))}.")
        try:
            settings[key] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            settings[key] = value
    return settings


def main(argv: Sequence[str] | None = None) -> int:
    """Build the stand-in on this system."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--state", default="unhardened", help="state of states.toml (default: unhardened)")
    parser.add_argument("--version", help="version the files tell")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change a setting of the state")
    parser.add_argument("--root", type=Path, default=Path("/"), help="where the file system begins (default: /)")
    arguments = parser.parse_args(argv)
    changes = [*arguments.set, *([f'version="{arguments.version}"'] if arguments.version else [])]
    Jira(settings_for(arguments.state, changes), arguments.root).build()
    return 0


if __name__ == "__main__":
    sys.exit(main())
