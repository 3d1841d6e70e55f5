# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host whose firewall is a folder: answers of systemd, nft and firewalld as the real ones give them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from ansible_collections.atlassian_dc.hardening.plugins.module_utils._changes import Changes
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._findings import Findings
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._firewall_host import (
    CANDIDATE,
    FOLDER,
    RESTORE,
    UNIT,
    UNIT_PATH,
)
from ansible_collections.atlassian_dc.hardening.plugins.modules import firewall
from unit.firewall.fake_proc import FakeProc
from unit.firewall.rule_sets import port

ADMIN, PROXY, PEER, STRANGER = "192.0.2.1", "192.0.2.80", "192.0.2.21", "203.0.113.9"
TABLE = "table inet atlassian-dc-firewall"
JIRA: dict[str, Any] = {
    "name": "jira",
    "unit": "jira.service",
    "pid": 70,
    "ports": [port("http", 8080, "proxy"), port("shutdown", 8005, "local")],
}
DEFAULTS: dict[str, Any] = {
    "phase": "judge",
    "provider": "auto",
    "usual_provider": "nftables",
    "admin_networks": [ADMIN],
    "proxy_addresses": [PROXY],
    "cluster_peers": None,
    "agents": None,
    "users": ["any"],
    "services": [],
    "closed": [],
    "trusted_interfaces": [],
    "outbound": None,
    "confirm_timeout": 60,
    "unresolved": [],
    "remote": True,
    "token": "t",
    "loaded_over": None,
    "setback": None,
}


def listing(text: str) -> str:
    """Return rules as the kernel would list them: here as they were written, without what replaces the table."""
    return "\n".join(line for line in text.splitlines() if not line.startswith(("#", "add ", "delete "))) + "\n"


class WalledHost:
    """A host that is reached over SSH from ADMIN, with Jira, and nothing else that listens."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.proc = FakeProc(root / "proc")
        session = self.proc.connect("192.0.2.10", 22, ADMIN, 50000)
        environment = {"SSH_CONNECTION": f"{ADMIN} 50000 192.0.2.10 22"}
        ssh = self.proc.listen("0.0.0.0", 22)
        self.proc.process(50, "sshd", [ssh, session], cgroup="0::/system.slice/ssh.service\n")
        self.proc.process(os.getpid(), "python3", parent=50, environment=environment)
        self.proc.process(70, "java", [self.proc.listen("::", 8080)], cgroup="0::/system.slice/jira.service\n")
        self.commands: list[list[str]] = []
        self.remembered: list[Any] = []
        self.nft: str | None = None
        """Our table as it is in force."""
        self.chains = ""
        self.rules_of_others = ""
        self.refuses: dict[str, str] = {}
        """Programs that do not work, with what they say."""
        self.timer = ""
        """State of the way back: empty, active."""
        self.arms = True
        self.enabled: set[str] = set()
        self.active: set[str] = set()
        self.install("nft")

    def install(self, name: str) -> None:
        path = self.root / "usr/sbin" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o755)

    def write(self, path: str, text: str) -> None:
        place = self.root / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)

    def read(self, path: str) -> str:
        return (self.root / path.lstrip("/")).read_text()

    def there(self, path: str) -> bool:
        return (self.root / path.lstrip("/")).exists()

    # ---- the tools -----------------------------------------------------------------------------

    def run(self, argv: list[str], data: str | None = None, **_options: Any) -> tuple[int, str, str]:
        self.commands.append(argv)
        program = os.path.basename(argv[0])
        if program in self.refuses:
            return 1, "", self.refuses[program]
        answer = getattr(self, f"_{program.replace('-', '_')}")(argv[1:], data)
        return answer if isinstance(answer, tuple) else (0, answer, "")

    def _systemctl(self, words: list[str], _data: str | None) -> Any:
        verb, units = words[0], [word for word in words[1:] if not word.startswith("-")]
        if verb == "show":
            return "\n".join(self._shown(unit) for unit in units)
        if verb == "is-active":
            return self.timer if units == [f"{RESTORE}.timer"] else "inactive"
        if verb == "enable":
            self.enabled.update(units)
        elif verb == "start":
            self.active.update(units)
            if units == [UNIT]:
                self._sh(["/etc/atlassian-dc-firewall/load", FOLDER], None)
        elif verb == "stop":
            self.active.difference_update(units)
            if units == [f"{RESTORE}.timer"]:
                self.timer = ""
        return ""

    def _shown(self, unit: str) -> str:
        there = self.there(UNIT_PATH) if unit == UNIT else True
        active = unit in self.active or (self.timer and unit == f"{RESTORE}.timer")
        states = {
            "Id": unit,
            "LoadState": "loaded" if there else "not-found",
            "ActiveState": "active" if active else "inactive",
            "UnitFileState": "enabled" if unit in self.enabled else "disabled" if there else "",
            "NeedDaemonReload": "no",
        }
        return "".join(f"{key}={value}\n" for key, value in states.items())

    def _systemd_run(self, _words: list[str], _data: str | None) -> Any:
        if not self.arms:
            return 1, "", "Failed to start transient timer unit"
        self.timer = "active"
        return ""

    def _nft(self, words: list[str], _data: str | None) -> Any:
        words = [word for word in words if word != "--stateless"]
        if words == ["list", "tables"]:
            return f"{TABLE}\n" if self.nft is not None else ""
        if words == ["list", "chains"]:
            return self.chains
        return self.rules_of_others if words[1] == "chain" else self.nft

    def _unshare(self, _words: list[str], data: str | None) -> Any:
        if "nonsense" in (data or ""):
            return 1, "", "syntax error, unexpected string"
        return listing(data or "")

    def _sh(self, words: list[str], _data: str | None) -> Any:
        if words[0] == "-c":
            self.fire()
            return ""
        rules = self.root / words[1].lstrip("/") / "rules.nft"
        self.nft = listing(rules.read_text()) if rules.exists() else None
        return ""

    def _ip(self, _words: list[str], _data: str | None) -> Any:
        return '[{"dev": "eth0"}]'

    def fire(self) -> None:
        """Put the rules before back, as the timer does."""
        self.timer = ""
        shutil.rmtree(self.root / CANDIDATE.lstrip("/"), ignore_errors=True)
        self._sh(["load", "/etc/atlassian-dc-firewall/previous"], None)

    # ---- the module ----------------------------------------------------------------------------

    def module(self, check_mode: bool = False, **params: Any) -> firewall.Firewall:
        """Run the module as a run would; return it for what it found."""
        values = {**DEFAULTS, "instances": [JIRA], "controls": None, "enforce": None, **params}
        findings = Findings(values, firewall.CONTROLS, check_mode)
        changes = Changes(check_mode, self.run)
        module = firewall.Firewall(values, findings, changes, self.run, str(self.root))
        module.host._remember = self.remember
        module.run()
        return module

    def remember(self, connections: Any) -> None:
        self.remembered = list(connections)

    def reconnect(self, source_port: int = 50001, source: str = ADMIN) -> None:
        """Let the next module come over a new connection."""
        shutil.rmtree(self.proc.root / str(os.getpid()))
        self.proc.connect("192.0.2.10", 22, source, source_port)
        environment = {"SSH_CONNECTION": f"{source} {source_port} 192.0.2.10 22"}
        self.proc.process(os.getpid(), "python3", parent=50, environment=environment)

    def harden(self, **params: Any) -> firewall.Firewall:
        """Judge, load and confirm; return what loaded."""
        loaded = self.module(phase="load", **params)
        assert loaded.outcome == "loaded", loaded.refused
        assert loaded.connection is not None
        over = {"source": loaded.connection.source, "source_port": loaded.connection.source_port}
        self.reconnect(loaded.connection.source_port + 1)
        assert self.module(phase="confirm", loaded_over=over, **params).outcome == "confirmed"
        return loaded


def statuses(module: firewall.Firewall) -> dict[str, str]:
    """Return the status of each control."""
    return {finding["control"]: finding["status"] for finding in module.findings.results}


def finding(module: firewall.Firewall, control: str) -> dict[str, Any]:
    return next(item for item in module.findings.results if item["control"] == control)
