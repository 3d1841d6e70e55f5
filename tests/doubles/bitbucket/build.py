# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put a stand-in for Bitbucket on this system: a Tomcat without server.xml, Git repositories with hooks."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent))

from doubles.bitbucket_mesh.build import MAIN, SCRIPT  # noqa: E402
from doubles.common import double, java, logs, tree  # noqa: E402 - found through the line above

OTHER_LOGS = ("-mail", "-profiler", "-search", "-upgrade")
AUDIT_TYPE = {
    "action": "User login failed",
    "actionI18nKey": "bitbucket.service.user.audit.action.authenticationfailure",
    "area": "SECURITY",
    "category": "Authentication",
    "categoryI18nKey": "bitbucket.service.audit.category.authentication",
    "level": "ADVANCED",
}
LAUNCHER = "com.atlassian.bitbucket.internal.launcher.BitbucketServerLauncher"
MESH = "app/WEB-INF/mesh/mesh-app.jar"
HOOK = "#!/bin/sh\nexit 0\n"


class Bitbucket(double.Double):
    """Bitbucket, with the Mesh that each node starts for itself."""

    name = "bitbucket"
    title = "Bitbucket"
    folder = HERE
    secrets = ("shared/bitbucket.properties",)
    user_group = "stash-users"
    admin_group = "bitbucket-admins"
    basic_off_since = "10.0"

    def values(self) -> dict[str, str]:
        """Return what Bitbucket's files tell beside the settings."""
        s = self.settings
        cluster = (
            f"hazelcast.port={s['hazelcast_port']}\nhazelcast.group.name=git\nhazelcast.group.password=git\n"
            "hazelcast.network.tcpip=true\nhazelcast.network.tcpip.members=127.0.0.1"
        )
        sidecar = f"run {java.home()}/bin/java -Xmx32m -Dmesh.home={{home}}/mesh -jar {{install}}/{MESH}"
        return {
            "CLUSTER_PROPERTIES": cluster if s["cluster"] else "",
            "HAZELCAST": f"listen 0.0.0.0 {s['hazelcast_port']}" if s["cluster"] else "",
            "SIDECAR": sidecar if s["sidecar_port"] else "",
            **logs.forwarded_in_audit(s["audit_forwarded"], "{addresses|json}"),
        }

    def content(self) -> None:
        """Make the web application and a home in use."""
        web_inf = self.install / "app/WEB-INF"
        version = self.settings["version"]
        java.install_libraries(web_inf / "lib")
        shutil.copy(java.TOMCAT / "bin/tomcat-juli.jar", web_inf / "lib")
        classes = (*java.PAGES, "Launcher", "Embedded")
        self.compile(web_inf / "classes", classes, web_inf / "lib")
        tree.write(web_inf / "classes/instance.txt", self.script(self.all_values()))
        self.compile(self.install / "app", ("Main",), main=LAUNCHER, values={"LAUNCHER": "Embedded"})
        self.program(self.install / MESH, MAIN, SCRIPT.read_text(), {"PRODUCT": "mesh", "TITLE": "Mesh sidecar"})
        for name in ("bitbucket-api", "bitbucket-process", "bitbucket-service-impl"):
            tree.jar(web_inf / f"lib/{name}-{version}.jar", version)
        for name in ("bitbucket-audit", "bitbucket-rest"):
            tree.app(web_inf / f"atlassian-bundled-plugins/{name}-{version}.jar", f"com.atlassian.{name}", version)
        for folder in ("lib/native", "tools/atlassian-password", "licenses"):
            (self.install / folder).mkdir(parents=True)
        tree.jar(self.install / "tools/atlassian-password/atlassian-secrets-cli-5.0.3.jar", "5.0.3")
        tree.app(self.home / "shared/plugins/installed-plugins/hooks-app-6.1.0.jar", "com.example.hooks-app", "6.1.0")
        for folder in ("bin", "caches", "export", "lib", "mesh", "tmp", "shared/config/git", "shared/data/avatars"):
            (self.home / folder).mkdir(parents=True, exist_ok=True)
        sidecar = f"grpc.server.address=127.0.0.1\ngrpc.server.port={self.settings['sidecar_port']}\n"
        tree.write(self.home / "mesh/mesh.properties", sidecar)
        self._repositories()
        self._logs()

    def _repositories(self) -> None:
        for number in range(1, self.settings["repositories"] + 1):
            repository = self.home / f"shared/data/repositories/{number}"
            tree.write(repository / "HEAD", "ref: refs/heads/main\n")
            tree.write(repository / "config", "[core]\n\tbare = true\n")
            tree.write(
                repository / "repository-config", f"[bitbucket]\n\tproject = DEMO\n\trepository = demo-{number}\n"
            )
            for folder in ("objects/info", "objects/pack", "refs/heads", "refs/tags"):
                (repository / folder).mkdir(parents=True)
            for hook in ("pre-receive", "post-receive"):
                for path in (f"hooks/{hook}", f"hooks/{hook}.d/20_bitbucket_callback"):
                    tree.write(repository / path, HOOK)
                    (repository / path).chmod(0o755)
        for number in range(40):
            tree.write(self.home / f"shared/data/attachments/{number % 4}/{number:040x}", f"attachment {number}\n")

    def _logs(self) -> None:
        log = self.home / "log"
        access, application = [], []
        for number, moment in logs.moments(300):
            stamp = logs.stamp(moment, number)
            user = logs.USERS[number % 4]
            who = f"{moment.hour * 60 + moment.minute}x{number}x0"
            head = f"{logs.address(number)} | https"
            request = f'"POST /scm/demo/demo-{number % 12 + 1}.git/git-upload-pack HTTP/1.1" | "" "git/2.44.0"'
            end = f"{logs.session(number)} |"
            access.append(f"{head} | i@1749XX8x{who} | - | {stamp} | {request} | - | - | - | - | - | {end}")
            answer = f"401 | 0 | 0 | - | {number % 50}" if number % 7 == 0 else f"200 | 175 | 52 | refs | {number % 90}"
            name = "-" if number % 7 == 0 else user
            access.append(f"{head} | o@1749XX8x{who} | {name} | {stamp} | {request} | {answer} | {end}")
            application.append(
                f"{stamp} INFO  [Caesium-1-{number % 4 + 1}]  c.a.b.i.s.g.DefaultGitGarbageCollector"
                f" demo-{number % 12 + 1}: nothing to collect"
            )
        logs.write(log / "atlassian-bitbucket-access.log", access)
        logs.write(log / "atlassian-bitbucket.log", application)
        logs.write(log / "atlassian-bitbucket-2026-11-19.log", application[:50])
        for name in OTHER_LOGS:
            tree.write(log / f"atlassian-bitbucket{name}.log", "")
        logs.audit(
            log / "audit",
            "https://git.example.com",
            AUDIT_TYPE,
            [[]],
            {"id": "-2", "name": "Anonymous", "type": "user"},
        )

    def stray_archives(self) -> None:
        """Leave exports in the home and a backup in the web root."""
        members = {"metadata/repositories.json": "[]\n"}
        tree.archive(self.home / "shared/data/migration/export/Bitbucket_export_17.tar.zip", members)
        tree.archive(self.home / "export/bitbucket-home-2026-11-13.zip", members)
        tree.archive(self.install / "app/bitbucket-2026-11-01.zip", members)


if __name__ == "__main__":
    sys.exit(double.main(Bitbucket))
