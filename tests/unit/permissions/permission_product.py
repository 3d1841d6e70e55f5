# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small product on disk and the policy the role makes for it."""

from __future__ import annotations

import grp
import os
import pwd
import stat
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._changes import Changes
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._permissions_tree import check_trees
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._recorder import Recorder, RecordError
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._permission_trees import permission_trees

SERVICE = "daemon"
READER = "mail"
OTHER = "games"
SERVICE_UID = pwd.getpwnam(SERVICE).pw_uid
SERVICE_GID = grp.getgrnam(SERVICE).gr_gid
READER_UID = pwd.getpwnam(READER).pw_uid
OTHER_UID = pwd.getpwnam(OTHER).pw_uid

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="changes owners, which only root may")

FILES = {
    "install/bin/start-jira.sh": 0o755,
    "install/bin/setenv.sh": 0o755,
    "install/conf/server.xml": 0o644,
    "install/conf/Catalina/localhost/x.xml": 0o644,
    "install/logs/catalina.out": 0o644,
    "install/temp/t": 0o644,
    "install/work/w": 0o644,
    "install/atlassian-jira/index.jsp": 0o644,
    "install/atlassian-jira/WEB-INF/lib/a.jar": 0o644,
    "install/atlassian-jira/WEB-INF/bundled.zip": 0o644,
    "home/dbconfig.xml": 0o644,
    "home/log/atlassian-jira.log": 0o644,
    "home/log/audit/1.audit.log": 0o644,
    "home/data/attachments/1": 0o644,
    "home/plugins/installed-plugins/app.jar": 0o644,
    "home/export/readme.txt": 0o644,
}


class Product:
    """A product as administrators leave it: everything 755 and owned by the service account."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.install = root / "install"
        self.home = root / "apps" / "home"
        for name, mode in FILES.items():
            self.add(name, mode)

    def path(self, name: str) -> Path:
        """Return the path of a name such as ``home/log``."""
        return self.root / "apps" / name if name.startswith("home") else self.root / name

    def add(self, name: str, mode: int = 0o644, uid: int = SERVICE_UID, gid: int = SERVICE_GID) -> Path:
        """Make a file with its folders."""
        path = self.path(name)
        made = []
        folder = path.parent
        while not folder.exists():
            made.append(folder)
            folder = folder.parent
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
        for item in [*made, path]:
            if item not in (self.root, self.root / "apps"):
                os.chown(item, uid, gid)
        path.chmod(mode)
        return path

    def instance(self, **more: Any) -> dict[str, Any]:
        """Return the instance as discovery does."""
        install, home = str(self.install), str(self.home)
        return {
            "name": "jira",
            "install_dir": install,
            "home_dir": home,
            "shared_home_dir": None,
            "running": False,
            "running_uid": None,
            "running_user": None,
            "service_account": SERVICE,
            "service_group": SERVICE,
            "working_dirs": [f"{install}/{name}" for name in ("logs", "temp", "work", "conf/Catalina")],
            "secret_files": [
                {"path": f"{home}/dbconfig.xml", "tree": "home"},
                {"path": f"{install}/conf/server.xml", "tree": "install"},
            ],
            "log_dirs": [f"{home}/log", f"{install}/logs"],
            "web_root": f"{install}/atlassian-jira",
            "archive_dirs": [f"{home}/export"],
            **more,
        }

    def run(self, check: bool = False, settings: dict[str, Any] | None = None, **params: Any) -> Result:
        """Judge it with the policy of the role."""
        instance = params.pop("instance", None) or self.instance()
        trees = permission_trees([instance], **(settings or {}))
        return run_trees(trees, check, **params)


class Result:
    """A result of the module, easy to ask."""

    def __init__(self, raw: dict[str, Any]) -> None:
        self.raw = raw
        self.changed: bool = raw["changed"]
        self.findings = {(finding["instance"], finding["control"]): finding for finding in raw["dc_findings"]}
        assert len(self.findings) == len(raw["dc_findings"]), "one finding per control and instance"

    def __getitem__(self, control: str) -> dict[str, Any]:
        """Return the finding of a control."""
        return self.findings[("jira", control)]

    @property
    def statuses(self) -> dict[str, str]:
        """Return the status of each control."""
        return {control: finding["status"] for (_instance, control), finding in self.findings.items()}

    @property
    def failing(self) -> set[str]:
        """Return the controls that fail."""
        return {control for control, status in self.statuses.items() if status == "fail"}

    def evidence(self, control: str) -> dict[str, str]:
        """Return what was found, by path."""
        return {item["what"]: item["actual"] for item in self[control]["evidence"]}

    @property
    def targets(self) -> list[str]:
        """Return the paths changed, in order."""
        return [change["target"] for change in self.raw["dc_changes"]]


def run_trees(
    trees: list[dict[str, Any]], check: bool = False, recorder: Recorder | None = None, **params: Any
) -> Result:
    changes = Changes(check, listed=params.pop("listed_changes", None), recorder=recorder)
    return Result({**check_trees({"trees": trees, **params}, changes), **changes.result()})


class FullRecorder(Recorder):
    """A record with room for some lines only."""

    def __init__(self, room: int) -> None:
        super().__init__("full")
        self.room = room

    def prepare(self) -> None:
        pass

    def permissions(self, path: str, info: os.stat_result, uid: int, gid: int, mode: int) -> None:
        if self.room <= 0:
            raise RecordError("what is there cannot be saved: No space left on device")
        self.room -= 1


def state(path: Path) -> tuple[int, int, int]:
    """Return user, group and permission bits."""
    info = path.lstat()
    return info.st_uid, info.st_gid, stat.S_IMODE(info.st_mode)


def snapshot(root: Path) -> dict[str, tuple[Any, ...]]:
    """Return all that may not change in check mode, for everything below a folder."""
    result = {}
    for folder, folders, files in os.walk(root):
        for name in [".", *folders, *files]:
            path = os.path.join(folder, name)
            info = os.lstat(path)
            result[os.path.normpath(path)] = (
                info.st_mode,
                info.st_uid,
                info.st_gid,
                info.st_mtime_ns,
                info.st_ctime_ns,
                info.st_ino,
            )
    return result
