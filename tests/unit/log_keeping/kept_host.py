# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host made of a folder, with units that do what systemctl tells them."""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from typing import Any

from ansible_collections.atlassian_dc.hardening.plugins.module_utils._packages import PackageManager
from unit.packages.installing import Installing

ACCOUNT = pwd.getpwuid(os.getuid()).pw_name
JIRA: dict[str, Any] = {
    "name": "jira",
    "product": "jira",
    "install_dir": "/opt/jira",
    "home_dir": "/data/jira",
    "service_account": ACCOUNT,
    "service_group": ACCOUNT,
    "pid": 70,
    "jvm_arguments": [],
}
VALVE = "org.apache.catalina.valves.AccessLogValve"
SERVER_XML = f'<Server><Service><Engine><Valve className="{VALVE}"%s/></Engine></Service></Server>'


class KeptHost:
    """A host with Jira, its journal in memory."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.packages: set[str] = set()
        self.units: dict[str, dict[str, str]] = {}
        self.commands: list[list[str]] = []
        self.answers: dict[str, tuple[int, str, str]] = {}
        """Answers of tools, by the name of the program."""
        self.write("/opt/jira/conf/server.xml", SERVER_XML % "")
        self.write("/opt/jira/conf/logging.properties", "1catalina.org.apache.juli.FileHandler.prefix = catalina.\n")
        self.write("/opt/jira/logs/catalina.out", "started\n")
        self.write("/opt/jira/logs/access_log.2026-11-29", "x\n")
        self.write("/data/jira/log/atlassian-jira.log", "x\n")

    def write(self, path: str, text: str) -> Path:
        place = self.root / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
        return place

    def read(self, path: str) -> str:
        return (self.root / path.lstrip("/")).read_text()

    def unit(self, name: str, **properties: str) -> None:
        self.units[name] = {"LoadState": "loaded", "ActiveState": "inactive", "UnitFileState": "disabled", **properties}

    def manager(self, _run_command: Any) -> PackageManager:
        return Installing(self.packages, lambda name: self.unit("chrony.service") if name == "chrony" else None)

    def run(self, argv: list[str], **_options: Any) -> tuple[int, str, str]:
        if argv[:2] == ["systemctl", "show"]:
            names = argv[argv.index("--") + 1 :] if "--" in argv else [word for word in argv[2:] if "=" not in word]
            wanted = next(word for word in argv if word.startswith(("--property=", "-p"))).partition("=")[2].split(",")
            blocks = []
            for name in names:
                unit = {"Id": name, "LoadState": "not-found", **self.units.get(name, {})}
                blocks.append("".join(f"{key}={unit[key]}\n" for key in ["Id", *wanted] if key in unit))
            return 0, "\n".join(blocks), ""
        program = os.path.basename(argv[0])
        if program in self.answers:
            return self.answers[program]
        if argv[:2] == ["systemd-analyze", "cat-config"]:
            folder = self.root / "etc/systemd/journald.conf.d"
            files = sorted(folder.glob("*.conf")) if folder.is_dir() else []
            return 0, "".join(f"# /etc/systemd/journald.conf.d/{file.name}\n{file.read_text()}\n" for file in files), ""
        self.commands.append(argv)
        if argv[0] == "systemctl" and argv[1] in ("enable", "restart", "start"):
            unit = self.units.setdefault(argv[-1], {"LoadState": "loaded"})
            unit.update({"UnitFileState": "enabled"} if argv[1] == "enable" else {"ActiveState": "active"})
        if argv[:2] == ["systemctl", "reset-failed"]:
            self.units[argv[-1]].pop("Result", None)
        if argv == ["systemctl", "restart", "systemd-journald.service"]:
            self.write("/var/log/journal/1/system.journal", "")
        return 0, "", ""

    def ran(self, *beginning: str) -> list[list[str]]:
        return [argv for argv in self.commands if argv[: len(beginning)] == list(beginning)]
