# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host made of a folder and canned answers of systemd's tools."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ansible_collections.atlassian_dc.hardening.plugins.module_utils._systemd import SANDBOX, live_path

JAVA_STATUS = """\
Name:\tjava
Umask:\t{umask}
Uid:\t{uid}\t{uid}\t{uid}\t{uid}
Gid:\t{gid}\t{gid}\t{gid}\t{gid}
Groups:\t{groups}
CapEff:\t{capabilities}
CapBnd:\t{capabilities}
NoNewPrivs:\t{confined:d}
Seccomp:\t{seccomp}
"""

NOTHING = "0000000000000000"
EVERYTHING = "000001ffffffffff"


class FakeHost:
    """A host with Jira: account files, a unit and, if wanted, a process."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.uid, self.gid = os.getuid() or 1001, os.getgid() or 1001
        self.commands: list[list[str]] = []
        self.trial: tuple[int, str] = (0, "")
        self.verify = ""
        self.unit: dict[str, str] = {
            "LoadState": "loaded",
            "ActiveState": "active",
            "FragmentPath": "/etc/systemd/system/jira.service",
            "DropInPaths": "",
            "NeedDaemonReload": "no",
            "ExecStartEx": "{ path=/opt/jira/bin/start-jira.sh ; argv[]=x ; flags= ; pid=1 }",
            "PIDFile": "",
            "Environment": "",
            "User": "",
            "Group": "",
            **dict.fromkeys(SANDBOX, "no"),
            "UMask": "0022",
            "SystemCallFilter": "~",
            "ReadWritePaths": "",
        }
        self.late: dict[str, str] = {}
        """Values that a drop-in read after ours sets."""
        for name in ("etc", "proc", "usr/sbin", "usr/local/jira", "data/jira", "opt/jira/logs"):
            (root / name).mkdir(parents=True)
        (root / "usr/sbin/nologin").touch()
        self.write("etc/systemd/system/jira.service", "[Unit]\n[Service]\nExecStart=/opt/jira/bin/start-jira.sh\n")
        self.accounts()
        self.instance: dict[str, Any] = {
            "name": "jira",
            "product": "jira",
            "install_dir": "/opt/jira",
            "home_dir": "/data/jira",
            "working_dirs": ["/opt/jira/logs"],
            "unit": "jira.service",
            "unit_user": "root",
            "init_script": None,
            "user_file_user": None,
            "pid": 70,
            "service_account": "jira",
            "service_group": "jira",
            "connectors": [{"port": 8080}],
        }

    def write(self, path: str, text: str) -> Path:
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def accounts(self, login: str = "/usr/sbin/nologin", field: str = "!", extra: str = "", groups: str = "") -> None:
        self.write(
            "etc/passwd", f"root:x:0:0::/root:/bin/sh\njira:x:{self.uid}:{self.gid}::/usr/local/jira:{login}\n{extra}"
        )
        self.write("etc/shadow", f"root:*:1::::::\njira:{field}:1::::::\n")
        self.write("etc/group", f"root:x:0:\njira:x:{self.gid}:\n{groups}")

    def process(self, confined: bool, uid: int | None = None, groups: str = "") -> None:
        """Let Jira run, in the sandbox or without it, as its account unless said otherwise."""
        values = {
            "umask": "0027" if confined else "0022",
            "uid": self.uid if uid is None else uid,
            "gid": self.gid if uid is None else uid,
            "groups": groups,
            "capabilities": NOTHING if confined else EVERYTHING,
            "confined": confined,
            "seccomp": 2 if confined else 0,
        }
        self.write("proc/70/status", JAVA_STATUS.format(**values))
        self.write("proc/70/cgroup", "0::/system.slice/jira.service\n")
        options = "ro" if confined else "rw"
        source = "/systemd-private-x/tmp" if confined else "/"
        self.write("proc/70/mountinfo", f"1 0 0:1 / / {options} - ext4 x rw\n2 1 0:2 {source} /tmp rw - tmpfs x rw\n")

    def load(self) -> None:
        """Let systemd read the drop-ins, ours and a later one."""
        live = self.root / live_path("jira.service").lstrip("/")
        base = {"User": "", "Group": "", **dict.fromkeys(SANDBOX, "no"), "UMask": "0022", "SystemCallFilter": "~"}
        self.unit.update(base, ReadWritePaths="", DropInPaths="", NeedDaemonReload="no")
        paths = []
        if live.exists():
            paths.append(live_path("jira.service"))
            for line in live.read_text().splitlines():
                name, equals, value = line.partition("=")
                if equals:
                    self.unit[name] = "read" if value == "@system-service" else value
        if self.late:
            path = "/etc/systemd/system/jira.service.d/zzz.conf"
            self.write(path, "[Service]\n" + "".join(f"{name}={value}\n" for name, value in self.late.items()))
            paths.append(path)
            self.unit.update(self.late)
        self.unit["DropInPaths"] = " ".join(paths)

    def run(self, argv: list[str], **_options: Any) -> tuple[int, str, str]:
        """Answer a command."""
        if argv[:2] == ["systemctl", "show"]:
            wanted = argv[2].partition("=")[2].split(",")
            return 0, "".join(f"{name}={self.unit[name]}\n" for name in wanted if name in self.unit), ""
        if argv[:2] == ["systemd-analyze", "syscall-filter"]:
            return 0, "@system-service\n    read\n", ""
        if argv[:2] == ["systemd-analyze", "security"]:
            return 0, "→ Overall exposure level for jira.service: 9.6 UNSAFE\n", ""
        if argv[:2] == ["systemd-analyze", "verify"]:
            return 0, "", self.verify.replace("FOLDER", os.path.dirname(argv[-1]))
        if argv[0] == "visudo":
            return 0, "", ""
        self.commands.append(argv)
        if argv[0] == "systemd-run":
            return self.trial[0], self.trial[1], ""
        if argv == ["systemctl", "daemon-reload"]:
            self.load()
        return 0, "", ""

    def ran(self, *beginning: str) -> list[list[str]]:
        """Return the commands that changed something and begin like this."""
        return [argv for argv in self.commands if argv[: len(beginning)] == list(beginning)]
