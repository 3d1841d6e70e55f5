# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host made of a folder, with a product that logs its logins."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from ansible_collections.atlassian_dc.hardening.plugins.module_utils._changes import Changes
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._findings import Findings
from ansible_collections.atlassian_dc.hardening.plugins.modules.login_logging import CONTROLS, LoginLogging
from unit.login_logging.log_files import content
from unit.service_user.unit_host import JAVA_STATUS, NOTHING

BOOT = 1_700_000_000
"""When the host was started."""
BUILT, STARTED, NOW = BOOT + 100, BOOT + 1000, BOOT + 500_000
"""When the log configuration was written, when the product was started, and what time it is."""

NAMES = {"log4j_properties": "log4j.properties", "log4j2_properties": "log4j2.properties", "log4j2_xml": "log4j2.xml"}

PROOF = "example.login.failed"


def logger(form: str = "log4j2_properties", **more: Any) -> dict[str, Any]:
    """Return the condition that the logger of logins is at DEBUG."""
    files = [{"path": f"conf/{NAMES[form]}", "format": form}]
    return {"kind": "logger", "name": "com.example.login", "level": "debug", "tree": "install", "files": files, **more}


def source(*written: dict[str, Any], name: str = "security", **more: Any) -> dict[str, Any]:
    """Return a log of failed logins."""
    return {"name": name, "tree": "home", "path": "log/product-security.log", "written": list(written), **more}


def audit(**more: Any) -> dict[str, Any]:
    """Return an audit log of failed logins."""
    covered = {"kind": "audit_coverage", "area": "security", "level": "full", "proof": [PROOF]}
    return source(covered, **{"name": "audit", "path": "log/audit/*.audit.log", **more})


class LoginHost:
    """A host with one product."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.slept: list[float] = []
        self.runs_in = "example.service"
        self.instance: dict[str, Any] = {
            "name": "wiki",
            "product": "example",
            "part_of": None,
            "install_dir": "/opt/example",
            "home_dir": "/data/example",
            "shared_home_dir": None,
            "unit": "example.service",
            "pid": None,
            "jvm_arguments": ["-Xmx1g"],
            "start_jvm_arguments": ["-Xmx1g"],
            "cluster": None,
        }
        for folder in ("opt/example/conf", "data/example/log/audit", "proc"):
            (root / folder).mkdir(parents=True)
        (root / "proc/stat").write_text(f"cpu 1\nbtime {BOOT}\n")

    def configured(self, form: str = "log4j2_properties", text: str | None = None, at: float = BUILT) -> Path:
        """Write a log configuration as of some time."""
        path = self.root / "opt/example/conf" / NAMES[form]
        path.write_text(content(form) if text is None else text)
        os.utime(path, (at, at))
        return path

    def started(self, at: float = STARTED) -> None:
        """Let the product run since some time."""
        self.instance["pid"] = 70
        (self.root / "proc/70").mkdir(exist_ok=True)
        ticks = int((at - BOOT) * os.sysconf("SC_CLK_TCK"))
        values = {
            "umask": "0027",
            "uid": 1,
            "gid": 1,
            "groups": "",
            "capabilities": NOTHING,
            "confined": True,
            "seccomp": 2,
        }
        (self.root / "proc/70/status").write_text(JAVA_STATUS.format(**values))
        (self.root / "proc/70/cgroup").write_text(f"0::/system.slice/{self.runs_in}\n")
        (self.root / "proc/70/mountinfo").write_text("")
        (self.root / "proc/70/stat").write_text(f"70 (java) S 1 {'0 ' * 17}{ticks} 0\n")

    def audited(self, *entries: tuple[str, float]) -> Path:
        """Write an audit log; an entry is an action, or a coverage of the area, and its time."""
        lines = []
        for what, at in entries:
            changes = []
            if ":" in what:
                changes = [{"i18nKey": "atlassian.audit.event.change.coverage.level", "to": what}]
                what = "atlassian.audit.event.action.audit.config.updated"
            entry = {"auditType": {"actionI18nKey": what}, "timestamp": {"epochSecond": at}, "changedValues": changes}
            lines.append(json.dumps(entry) + "\n")
        path = self.root / "data/example/log/audit/20260101.00000.audit.log"
        path.write_text("".join(lines))
        return path

    def run(self, _command: list[str], **_more: Any) -> tuple[int, str, str]:
        """Answer as ``systemctl show`` does."""
        return 0, "Id=example.service\nLoadState=loaded\nActiveState=active\nSubState=running\n", ""

    def judge(
        self, *sources: dict[str, Any], check_mode: bool = False, **params: Any
    ) -> tuple[dict[str, Any], LoginLogging]:
        """Run the module; return its finding and itself."""
        values = {"instances": [self.instance], "sources": {"example": list(sources)}, **params}
        findings = Findings(values, CONTROLS, check_mode)
        changes = Changes(check_mode)
        root, sleep = str(self.root), self.slept.append
        logging = LoginLogging(values, findings, changes, self.run, root, now=lambda: NOW, sleep=sleep)
        logging.run()
        assert len(findings.results) == 1
        return findings.results[0], logging
