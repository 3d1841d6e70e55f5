# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host whose fail2ban is a folder: its client answers of it as the real one does, and its server has loaded it."""

from __future__ import annotations

import configparser
import glob
import os
import re
import shlex
from pathlib import Path
from typing import Any

from ansible_collections.atlassian_dc.hardening.plugins.module_utils import _fail2ban_host
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._changes import Changes
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._fail2ban_dump import PROMPT, parse_dump, seconds
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._findings import Findings
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._packages import PackageManager
from ansible_collections.atlassian_dc.hardening.plugins.modules import fail2ban
from unit.firewall.fake_proc import FakeProc
from unit.firewall.rule_sets import port
from unit.packages.installing import Installing

ADMIN, PROXY, PEER, OWN = "192.0.2.1", "192.0.2.80", "192.0.2.21", "192.0.2.10"
PACKAGES = ["nftables", "python3-systemd", "fail2ban"]
JIRA: dict[str, Any] = {
    "name": "jira",
    "product": "jira",
    "home_dir": "/srv/jira home",
    "install_dir": "/opt/jira",
    "ports": [port("http", 8080, "proxy"), port("shutdown", 8005, "local")],
}
SECURITY = {
    "name": "security",
    "tree": "home",
    "path": "log/atlassian-jira-security.log",
    "timestamp": "^%Y-%m-%d %H:%M:%S,%f%z",
    "separator": ",",
    "lines": ["^ .* <ADDRESSES> .* FAILED$"],
}
AUDIT = {**SECURITY, "name": "audit", "path": "log/audit/*.audit.log"}
DATA: dict[str, Any] = {
    "jira": {"failed_logins": [SECURITY, AUDIT], "login_paths": [{"path": "/login.jsp"}]},
    "crowd": {"failed_logins": None, "login_paths": [{"path": "/console/login.action"}]},
    "synchrony": {"failed_logins": [], "login_paths": None},
}
DEFAULTS: dict[str, Any] = {
    "packages": PACKAGES,
    "products": DATA,
    "admin_networks": [ADMIN],
    "proxy_addresses": [],
    "cluster_peers": [PEER],
    "ignore": [],
    "max_failures": 5,
    "ssh_max_failures": 4,
    "find_time": 600,
    "ban_time": 3600,
    "max_ban_time": 604800,
    "access_logs": None,
    "unresolved": [],
    "relays": [],
}
ETC = "etc/fail2ban"
DISTRIBUTION = {
    "fail2ban.conf": "[Definition]\ndbpurgeage = 1d\n",
    "jail.conf": (
        "[DEFAULT]\nenabled = false\nbackend = auto\nmaxretry = 5\nfindtime = 10m\nbantime = 10m\nusedns = warn\n"
        'action = iptables-multiport[port="%(port)s"]\nport = 0:65535\n'
        "[sshd]\nport = ssh\nlogpath = /var/log/auth.log\n"
        "[nginx-http-auth]\nport = http,https\nlogpath = /var/log/nginx/error.log\n"
    ),
    "jail.d/defaults-debian.conf": "[sshd]\nenabled = true\n",
    "filter.d/sshd.conf": "[Definition]\nfailregex = ^Failed\n",
    "filter.d/nginx-http-auth.conf": "[Definition]\nfailregex = ^no\n",
}
WORDS = (
    *("maxretry", "findtime", "bantime", "usedns", "bantime.increment", "bantime.maxtime", "bantime.rndtime"),
    *("ignoreself", "ignorecommand", "logencoding"),
)
STAMP = "2026-11-28 20:23:57,548 fail2ban                [32]:"
NUMBERS, TRUTHS = ("maxretry",), ("bantime.increment", "ignoreself")


class BanningHost:
    """A host that is reached over SSH from ADMIN, with Jira; fail2ban is there once it is installed."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.proc = FakeProc(root / "proc")
        session = self.proc.connect(OWN, 22, ADMIN, 50000)
        self.proc.process(50, "sshd", [self.proc.listen("0.0.0.0", 22), session])
        environment = {"SSH_CONNECTION": f"{ADMIN} 50000 {OWN} 22"}
        self.proc.process(os.getpid(), "python3", parent=50, environment=environment)
        self.commands: list[list[str]] = []
        self.packages: set[str] = set()
        self.enabled: set[str] = set()
        self.active: set[str] = set()
        self.masked: set[str] = set()
        self.loaded: list[list[Any]] = []
        """What the server that runs was told."""
        self.said: dict[str, dict[str, str]] = {}
        """What somebody has told it since, by jail and question."""
        (root / "scratch").mkdir()

    # ---- files -------------------------------------------------------------------------------

    def write(self, path: str, text: str) -> None:
        place = self.root / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)

    def etc(self, name: str, text: str) -> None:
        self.write(f"{ETC}/{name}", text)

    def read(self, name: str) -> str:
        return (self.root / ETC / name).read_text()

    def files(self) -> dict[str, str]:
        """Return all files that a run may have changed."""
        kept = {self.root / "proc", self.root / "scratch"}
        paths = [path for path in self.root.rglob("*") if path.is_file() and not kept & set(path.parents)]
        return {str(path.relative_to(self.root)): path.read_text() for path in paths}

    def install(self) -> None:
        """Install fail2ban as the distribution does, not started."""
        self.packages |= set(PACKAGES)
        for name, text in DISTRIBUTION.items():
            self.etc(name, text)
        self.write("usr/bin/fail2ban-client", "")
        (self.root / "usr/bin/fail2ban-client").chmod(0o755)

    # ---- the tools ---------------------------------------------------------------------------

    def manager(self, _run_command: Any) -> PackageManager:
        return Installing(self.packages, lambda name: self.install() if name == "fail2ban" else None)

    def run(self, argv: list[str], data: str | None = None, **_options: Any) -> tuple[int, str, str]:
        self.commands.append(argv)
        if argv[0] == "systemctl":
            return self._systemctl(argv[1], [word for word in argv[2:] if not word.startswith("-")])
        assert argv[0] == "fail2ban-client"
        if argv[1] == "-c":
            return self._tried(Path(argv[2]), argv[3])
        if argv[1] == "-i":
            return (
                0,
                "Fail2Ban v1\n" + "".join(f"{PROMPT}{self._answer(line)}\n" for line in (data or "").splitlines()),
                "",
            )
        assert argv[1] == "reload"
        self.load()
        return 0, "OK", ""

    def _systemctl(self, verb: str, units: list[str]) -> tuple[int, str, str]:
        if verb == "show":
            return 0, "\n".join(map(self._shown, units)), ""
        if verb == "enable":
            self.enabled.update(units)
        elif verb in ("start", "restart"):
            if set(units) & self.masked:
                return 1, "", "Unit is masked."
            self.active.update(units)
            if units == [_fail2ban_host.SERVICE]:
                self.load()
        return 0, "", ""

    def _shown(self, unit: str) -> str:
        states = {
            "Id": unit,
            "LoadState": "masked" if unit in self.masked else "loaded",
            "ActiveState": "active" if unit in self.active else "inactive",
            "UnitFileState": "enabled" if unit in self.enabled else "disabled",
            "NeedDaemonReload": "no",
        }
        return "".join(f"{key}={value}\n" for key, value in states.items())

    def load(self) -> None:
        """Have the server load the files."""
        self.loaded = self._stream(self.root / ETC)
        self.said.clear()

    def _tried(self, folder: Path, option: str) -> tuple[int, str, str]:
        try:
            stream = self._stream(folder)
        except configparser.Error as exc:
            said = f"{STAMP} ERROR   Failed during configuration: {exc}\n{STAMP} ERROR   Init of command line failed\n"
            return 255, "ERROR: The configuration stream failed because of the invalid syntax.\n", said
        if option == "-d":
            return 0, "".join(f"{words!r}\n" for words in stream), ""
        for words in stream:
            logs = [entry for entry in stream if entry[:1] == ["set"] and entry[1:3] == [words[1], "addlogpath"]]
            if words[0] == "add" and words[2] != "systemd" and not logs:
                return 255, "", f"{STAMP} ERROR   Have not found any log file for {words[1]} jail\n"
        return 0, "OK: configuration test is successful\n", ""

    def _stream(self, folder: Path) -> list[list[Any]]:
        """Return what fail2ban makes of a folder, in the order and forms of its own reader."""
        parser = configparser.ConfigParser(inline_comment_prefixes=(";",), strict=False)
        server = configparser.ConfigParser(inline_comment_prefixes=(";",), strict=False)
        for reader, name in ((server, "fail2ban"), (parser, "jail")):
            kinds = (folder / f"{name}.d").glob("*.conf"), (folder / f"{name}.d").glob("*.local")
            paths = [folder / f"{name}.conf", *sorted(kinds[0]), folder / f"{name}.local", *sorted(kinds[1])]
            reader.read(paths)
        stream: list[list[Any]] = [["set", "dbpurgeage", server["Definition"]["dbpurgeage"]]]
        for name in parser.sections():
            if parser[name].getboolean("enabled"):
                stream += self._jail(folder, name, parser[name])
        return stream

    def _jail(self, folder: Path, name: str, section: configparser.SectionProxy) -> list[list[Any]]:
        stream: list[list[Any]] = [["add", name, section["backend"]]]
        rules = configparser.ConfigParser(interpolation=None)
        rules.read([folder / f"filter.d/{section.get('filter', name)}{end}" for end in (".conf", ".local")])
        if rules.has_section("Definition"):
            stream.append(["set", name, "addfailregex", rules["Definition"]["failregex"]])
        for option in WORDS:
            if option in section:
                value: Any = section[option]
                value = int(value) if option in NUMBERS else value == "true" if option in TRUTHS else value
                stream.append(["set", name, option, value])
        if section.get("ignoreip"):
            stream.append(["set", name, "addignoreip", *re.split(r"[\s,]+", section["ignoreip"].strip())])
        for line in section.get("logpath", "").splitlines() if section["backend"] != "systemd" else ():
            path = line.removesuffix(" head")
            prefix = "" if path.startswith(str(self.root)) else str(self.root)
            found = [entry.removeprefix(prefix) for entry in sorted(glob.glob(f"{prefix}{path}"))]
            stream += [["set", name, "addlogpath", entry, "head"] for entry in found]
        if "journalmatch" in section:
            stream.append(["set", name, "addjournalmatch", *section["journalmatch"].split()])
        for match in re.finditer(r"([\w-]+)\[(.*?)\]", section["action"]):
            pairs = [part.partition("=")[::2] for part in re.split(r", *(?=\w+=)", match[2])]
            stream.append(["set", name, "addaction", match[1]])
            values = [[key, value.strip('"')] for key, value in pairs]
            stream.append(["multi-set", name, "action", match[1], [["actionban", "nft"], *values]])
        return [*stream, ["start", name]]

    def _answer(self, line: str) -> str:
        words = shlex.split(line)
        jails = [entry[1] for entry in self.loaded if entry[0] == "add"]
        if _fail2ban_host.SERVICE not in self.active:
            return ""
        if words == ["status"]:
            return f"Status\n|- Number of jail:\t{len(jails)}\n`- Jail list:\t{', '.join(jails)}"
        name, question = words[1], " ".join(words[2:])
        if name not in jails:
            return f"Sorry but the jail '{name}' does not exist"
        if question in self.said.get(name, {}):
            return self.said[name][question]
        dump = fail2ban_dump(self.loaded).jails[name]
        if question in ("ignoreip", "logpath"):
            values = dump.values.get(f"add{question}", [])
            return "These:\n" + "\n".join(f"|- {value}" for value in values)
        if question.startswith("action "):
            _word, action, key = question.split()
            return dump.actions.get(action, {}).get(key, "Sorry but the action does not exist")
        value = dump.values.get(question)
        return str(seconds(value)) if question in ("findtime", "bantime") else str(value)

    # ---- the module --------------------------------------------------------------------------

    def module(self, check_mode: bool = False, **params: Any) -> fail2ban.Fail2ban:
        """Run the module as a run would; return it for what it found."""
        self.commands.clear()
        values = {"instances": [JIRA], "controls": None, "enforce": None, **DEFAULTS, **params}
        findings = Findings(values, fail2ban.CONTROLS, check_mode)
        changes = Changes(check_mode, self.run)
        module = fail2ban.Fail2ban(values, findings, changes, self.run, str(self.root / "scratch"), str(self.root))
        module.run()
        return module


def fail2ban_dump(stream: list[list[Any]]) -> Any:
    return parse_dump("".join(f"{words!r}\n" for words in stream))


def statuses(module: fail2ban.Fail2ban) -> dict[str, str]:
    """Return the status of each control, of its first finding."""
    found: dict[str, str] = {}
    for result in module.findings.results:
        found.setdefault(result["control"], result["status"])
    return found


def proof(module: fail2ban.Fail2ban, control: str) -> list[dict[str, str]]:
    return [piece for result in module.findings.results if result["control"] == control for piece in result["evidence"]]


def reason(module: fail2ban.Fail2ban, control: str) -> str:
    return next(str(result["reason"]) for result in module.findings.results if result["control"] == control)


def changed(module: fail2ban.Fail2ban) -> list[tuple[str, str]]:
    return [(entry["target"], entry["attribute"]) for entry in module.changes.entries]
