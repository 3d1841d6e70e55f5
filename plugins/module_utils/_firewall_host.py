# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The firewall of a host: what is in force, what a boot would bring, and how rules are loaded and taken back.

Rules are files in a folder: ``rules.nft`` for nftables, files below ``firewalld/`` for firewalld, and ``rules.json``,
which says what they mean. One script on the host puts such a folder in force, whichever it is: the candidate of a run,
the rules before it, or the confirmed ones at boot. So all ways lead through the same few lines.
"""

from __future__ import annotations

import contextlib
import difflib
import json
import os
import re
import shutil
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Callable

from ansible_collections.atlassian_dc.hardening.plugins.module_utils._changes import ChangeError, Changes
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._conntrack import Connection, remember
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._findings import Evidence, evidence
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._firewall_firewalld import (
    IPSET_PREFIX,
    POLICIES,
    Zone,
    info_lines,
    parse_active_zones,
    render_firewalld,
    wanted_lines,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._firewall_nft import FAMILY, TABLE, render_nft
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._firewall_rules import (
    Rule,
    RulesError,
    RuleSet,
    parse_ports,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._packages import package_manager
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._sockets import SshConnection
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._systemd import show_units, text_or_none

RunCommand = Callable[..., "tuple[int, str, str]"]
Files = dict[str, str]
"""Rules as they lie in a folder: names in it to contents."""

NFTABLES, FIREWALLD = "nftables", "firewalld"
"""The providers; their packages are called so, too, on all supported systems."""

UNIT = "atlassian-dc-firewall.service"
UNIT_PATH = f"/etc/systemd/system/{UNIT}"
RESTORE = "atlassian-dc-firewall-restore"
"""The transient timer that puts the rules before back, and its service."""

FOLDER = "/etc/atlassian-dc-firewall"
"""Holds the confirmed rules."""
PREVIOUS = f"{FOLDER}/previous"
"""Holds the rules that were in force before those of the last run."""
LOADER = f"{FOLDER}/load"
STATE = "/run/atlassian-dc-firewall"
CANDIDATE = f"{STATE}/candidate"
TRIED = f"{STATE}/tried"
"""Where firewalld's configuration is tried, before it is the host's."""

TARGET = "firewall"
"""What a loading of rules is called in the record of a run."""

NFT_FILE, MEANING, TOKEN = "rules.nft", "rules.json", "token"
KINDS = ("policies", "ipsets")
ETC = "/etc/firewalld"

LOADER_TEXT = f"""\
#!/bin/sh
# Part of the role firewall of atlassian_dc.hardening.
# Puts the rules of a folder in force: sh {LOADER} FOLDER
# What the folder does not hold is taken out of force; tables, zones and policies of others are not touched.
set -eu
rules=$1

if [ -e "$rules/{NFT_FILE}" ]; then
    nft -f - < "$rules/{NFT_FILE}"
fi

changed=
for file in {ETC}/policies/{IPSET_PREFIX}*.xml {ETC}/ipsets/{IPSET_PREFIX}*.xml \\
    "$rules"/firewalld/policies/*.xml "$rules"/firewalld/ipsets/*.xml; do
    [ -e "$file" ] || continue
    name=${{file##*/}}
    folder=${{file%/*}}
    kind=${{folder##*/}}
    new=$rules/firewalld/$kind/$name
    live={ETC}/$kind/$name
    if [ ! -e "$new" ]; then
        rm "$live"
        changed=yes
    elif ! cmp -s "$new" "$live"; then
        mkdir -p "{ETC}/$kind"
        cp "$new" "$live.new"
        mv "$live.new" "$live"
        changed=yes
    fi
done
# At boot firewalld does not run yet; rules that somebody has changed in a running one come back by reading them again.
if systemctl --quiet is-active firewalld.service && {{ [ "$changed" ] || [ -d "$rules/firewalld" ]; }}; then
    firewall-cmd --quiet --reload
fi

if [ ! -e "$rules/{NFT_FILE}" ] && command -v nft > /dev/null && nft list table {FAMILY} {TABLE} > /dev/null 2>&1; then
    nft delete table {FAMILY} {TABLE}
fi
"""

UNIT_TEXT = f"""\
# Part of the role firewall of atlassian_dc.hardening: loads the confirmed rules, and nothing but those.
[Unit]
Description=Firewall of the Atlassian Data Center products
Documentation=https://github.com/atlassian-dc-hardening/atlassian_dc.hardening/blob/main/docs/firewall.md
DefaultDependencies=no
RequiresMountsFor={FOLDER}
Wants=network-pre.target
Before=network-pre.target firewalld.service shutdown.target
Conflicts=shutdown.target
# Its configuration may empty the whole rule set, ours included.
After=nftables.service
PartOf=nftables.service
ReloadPropagatedFrom=nftables.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh {LOADER} {FOLDER}
ExecReload=/bin/sh {LOADER} {FOLDER}

[Install]
WantedBy=sysinit.target
"""

_STOP_FIREWALLD = ("systemctl", "stop", "firewalld.service")

SHORTEST_TIMEOUT = 10
"""Fewer seconds are too few for a new connection to a busy host."""

_PATIENCE = 30
"""Seconds that putting rules back may take."""

_PROGRAMS = {NFTABLES: "nft", FIREWALLD: "firewall-cmd"}


_PORTS_OF_RULE = re.compile(
    r"\b(?P<protocol>tcp|udp) dport (?P<ports>\{ [0-9, -]+ \}|[0-9-]+) "
    r"|\bport port=\"(?P<port>[0-9-]+)\" protocol=\"(?P<named>tcp|udp)\""
)


class FirewallError(Exception):
    """A tool does not do what it should; holds its own words."""


@dataclass(frozen=True)
class Chain:
    """A base chain on the input hook that is not ours."""

    where: str
    """Such as ``nftables chain inet filter input``."""
    policy: str
    filters: bool
    """Whether it may deny what is not banned: by its policy, or by rules that drop, reject or lead elsewhere."""


@dataclass
class Found:
    """What was found on the host."""

    provider: str
    problem: str | None = None
    """Why the provider cannot be used, in words."""
    missing: bool = False
    """Whether the provider is not installed."""
    firewalld: bool = False
    """Whether firewalld runs."""
    firewalld_enabled: bool = False
    zones: dict[str, Zone] = field(default_factory=dict)
    """Active zones of firewalld."""
    listed: dict[str, list[str]] = field(default_factory=dict)
    """What firewalld says of our policies and ipsets, by name."""
    in_force: Files = field(default_factory=dict)
    """Rules of ours that are in force, as files that would bring them back."""
    confirmed: Files = field(default_factory=dict)
    chains: tuple[Chain, ...] = ()
    unit: dict[str, str] = field(default_factory=dict)
    unit_text: str | None = None
    loader_text: str | None = None
    waiting: bool = False
    """Whether rules of a run wait to be confirmed, with the way back armed."""


@dataclass
class Differences:
    """What is not as wanted."""

    rules: list[Evidence] = field(default_factory=list)
    """Of single rules, in force or at the next boot; each names the rule."""
    all: list[Evidence] = field(default_factory=list)
    """What concerns all rules."""


class FirewallHost:
    """Reads and changes the firewall of a host.

    Args:
        run_command: ``AnsibleModule.run_command`` or a function of the same form.
        changes: through which to change things.
        root: folder that stands for ``/``; anything but ``/`` only in tests.
        remember: makes live connections known to the connection tracker; another one in tests.

    """

    def __init__(
        self,
        run_command: RunCommand,
        changes: Changes,
        root: str = "/",
        remember: Callable[[Iterable[Connection]], str | None] = remember,
    ) -> None:
        self._run_command = run_command
        self._remember = remember
        self.warnings: list[str] = []
        self.changes = changes
        self.root = root
        self._owner = (0, 0) if root == "/" else (os.getuid(), os.getgid())
        self._canonical: dict[str, list[str]] = {}

    # ---- looking -----------------------------------------------------------------------------

    def look(self, provider: str, usual: str) -> Found:
        """Return what there is.

        Args:
            provider: ``auto``, ``nftables`` or ``firewalld``.
            usual: what hosts of this family have where nothing is in use.

        """
        names = [UNIT, f"{RESTORE}.timer", f"{RESTORE}.service", "firewalld.service"]
        shown = show_units(self._run_command, names, ("LoadState", "ActiveState", "UnitFileState", "NeedDaemonReload"))
        active = {name for name in names if shown.get(name, {}).get("ActiveState") in ("active", "activating")}
        found = Found(provider, unit=shown.get(UNIT, {}))
        found.firewalld = "firewalld.service" in active
        found.firewalld_enabled = shown.get("firewalld.service", {}).get("UnitFileState") == "enabled"
        found.waiting = bool(active & {f"{RESTORE}.timer", f"{RESTORE}.service"})
        found.unit_text, found.loader_text = self._text(UNIT_PATH), self._text(LOADER)
        found.confirmed = self._files(FOLDER)
        try:
            found.chains = self._chains()
            found.in_force = self._in_force()
        except FirewallError as exc:
            found.problem = str(exc)
        if provider == "auto":
            found.provider = self._provider_in_use(found, usual)
        found.missing = self._tool(_PROGRAMS[found.provider]) is None
        if found.provider == FIREWALLD and found.firewalld:
            try:
                self._look_at_firewalld(found)
            except FirewallError as exc:
                found.problem = found.problem or str(exc)
        found.problem = found.problem or self._ufw()
        return found

    @staticmethod
    def _provider_in_use(found: Found, usual: str) -> str:
        if found.firewalld:
            return FIREWALLD
        in_nft = NFT_FILE in found.in_force or NFT_FILE in found.confirmed
        return NFTABLES if in_nft or any(chain.filters for chain in found.chains) else usual

    def _ufw(self) -> str | None:
        """Return what is to be done about an active ufw."""
        configuration = self._text("/etc/ufw/ufw.conf") or ""
        if self._tool("ufw") and re.search(r"(?m)^\s*ENABLED\s*=\s*[\"']?yes", configuration):
            return (
                "ufw is active, which writes the rules of the host anew whenever it is used; declare what it lets in"
                " (atlassian_dc_firewall_services), then turn it off (ufw disable)"
            )
        return None

    def _real(self, path: str) -> str:
        return os.path.join(self.root, path.lstrip("/"))

    def _text(self, path: str) -> str | None:
        return text_or_none(self._real(path))

    def _names(self, folder: str, start: str = "") -> list[str]:
        try:
            names = os.listdir(self._real(folder))
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted(name for name in names if name.startswith(start) and name.endswith(".xml"))

    def _files(self, folder: str) -> Files:
        """Return the rules in a folder; empty where there are none."""
        names = [NFT_FILE, MEANING]
        names += [f"firewalld/{kind}/{name}" for kind in KINDS for name in self._names(f"{folder}/firewalld/{kind}")]
        files = {name: self._text(f"{folder}/{name}") for name in names}
        return {name: text for name, text in files.items() if text is not None}

    def _tool(self, name: str) -> str | None:
        """Return where a program lies, None where it is not installed."""
        paths = (f"/{folder}/{name}" for folder in ("usr/sbin", "usr/bin", "sbin", "bin", "usr/local/sbin"))
        return next((path for path in paths if os.access(self._real(path), os.X_OK)), None)

    def _ask(self, *argv: str, data: str | None = None) -> str:
        """Return what a command prints that only reads.

        Raises:
            FirewallError: it failed.

        """
        code, out, err = self._run_command(list(argv), data=data, environ_update={"LC_ALL": "C"})
        if code != 0:
            words = " ".join((err or out).split())
            raise FirewallError(f"{os.path.basename(argv[0])} does not work: {words or f'it ended with {code}'}")
        return out

    def _in_force(self) -> Files:
        files = {}
        nft = self._tool("nft")
        if nft and f"table {FAMILY} {TABLE}" in self._ask(nft, "list", "tables").splitlines():
            files[NFT_FILE] = anew(self._ask(nft, "--stateless", "list", "table", FAMILY, TABLE))
        for kind in KINDS:
            for name in self._names(f"{ETC}/{kind}", IPSET_PREFIX):
                files[f"firewalld/{kind}/{name}"] = self._text(f"{ETC}/{kind}/{name}") or ""
        return files

    def _chains(self) -> tuple[Chain, ...]:
        """Return the base chains of others on the input hook."""
        found: list[Chain] = []
        nft = self._tool("nft")
        if nft:
            for family, table, chain, policy in input_chains(self._ask(nft, "list", "chains")):
                if (family, table) not in ((FAMILY, TABLE), ("inet", "firewalld")):
                    rules = self._ask(nft, "--stateless", "list", "chain", family, table, chain)
                    found.append(Chain(f"nftables chain {family} {table} {chain}", policy, filters(policy, rules)))
        legacy = (self._text("/proc/net/ip_tables_names") or "") + (self._text("/proc/net/ip6_tables_names") or "")
        # What nft does not show: chains of the older interface of the kernel; all of them where there is no nft.
        for name in ("iptables", "ip6tables") if nft is None or "filter" in legacy.split() else ():
            program = (self._tool(f"{name}-legacy") if nft else None) or self._tool(name)
            rules = self._ask(program, "-S", "INPUT") if program else ""
            policy = "drop" if "-P INPUT DROP" in rules else "accept"
            if policy == "drop" or "-A INPUT" in rules:
                found.append(Chain(f"{name} chain INPUT", policy, filters(policy, rules)))
        return tuple(found)

    def _look_at_firewalld(self, found: Found) -> None:
        self._ask("firewall-cmd", "--state")
        found.zones = parse_active_zones(self._ask("firewall-cmd", "--get-active-zones"))
        for kind, option in (("policies", "policy"), ("ipsets", "ipset")):
            for name in self._ask("firewall-cmd", f"--get-{kind}").split():
                if name in POLICIES or name.startswith(IPSET_PREFIX):
                    found.listed[name] = info_lines(self._ask("firewall-cmd", f"--info-{option}={name}"))

    def only_at_runtime(self) -> str | None:
        """Return, in words, what of others firewalld would forget when it is reloaded; None where nothing is.

        Raises:
            FirewallError: firewalld does not answer.

        """
        for what in _KEPT_BY_FIREWALLD:
            now, kept = (
                facts_of_firewalld(self._ask("firewall-cmd", *permanent, *what)) for permanent in ([], ["--permanent"])
            )
            differing = sorted(now ^ kept)
            if differing:
                where = "runs only" if differing[0] in now else "is only in the files"
                more = f" and {len(differing) - 1} more" if len(differing) > 1 else ""
                return (
                    f"firewalld would forget or read anew what is not the same in its files and as it runs: "
                    f"{differing[0]} {where}{more}; see to it with firewall-cmd --runtime-to-permanent or --reload"
                )
        return None

    def candidate(self) -> Files:
        """Return the rules that wait to be confirmed."""
        return self._files(CANDIDATE)

    # ---- comparing ---------------------------------------------------------------------------

    @staticmethod
    def render(found: Found, rules: RuleSet) -> Files:
        """Return rules as files for the provider of a host.

        Raises:
            RulesError: the provider cannot do what is asked for.

        """
        meaning = {MEANING: json.dumps(rules.as_dict(), indent=1) + "\n"}
        if found.provider == NFTABLES:
            return {NFT_FILE: render_nft(rules), **meaning}
        return {f"firewalld/{name}": text for name, text in render_firewalld(rules, found.zones).items()} | meaning

    def canonical(self, text: str) -> list[str]:
        """Return rules for nftables as the kernel lists them, one a line; it also proves that they can be loaded.

        They are loaded in a network namespace of their own, which ends with the command: the host's rules stay as they
        are. How nft lists a rule differs between its versions; so both sides of a comparison come from the same one.

        Raises:
            FirewallError: they cannot be loaded.

        """
        if text not in self._canonical:
            nft = self._tool("nft") or "nft"
            script = f'"$0" -f - && "$0" --stateless list table {FAMILY} {TABLE}'
            try:
                listing = self._ask("unshare", "--net", "sh", "-c", script, nft, data=text)
            except FirewallError as exc:
                raise FirewallError(f"rules cannot be tried in a network namespace of their own: {exc}") from exc
            self._canonical[text] = rules_of_listing(listing)
        return self._canonical[text]

    def lets_in_no_less(self, found: Found) -> bool:
        """Whether what is in force lets in whatever the confirmed rules do, although somebody may have edited it.

        Raises:
            FirewallError: the confirmed rules cannot be read.

        """
        now = self._now(found, found.confirmed)
        added = [piece["what"] for piece in now.rules if piece["expected"] == "not there"]
        gone = [piece["what"] for piece in now.rules if piece["expected"] != "not there"]
        elements = re.compile(r"rule \S+-v[46]: [0-9a-f.:/-]+")
        return (
            not now.all
            and all(re.search(r"\baccept\b", rule) or elements.fullmatch(rule) for rule in added)
            and all(re.search(r"\bdrop\b", rule) for rule in gone)
        )

    def in_force(self, found: Found) -> RuleSet | None:
        """Return what the rules in force mean, at most; None where none of ours are, or nobody knows.

        Rules that somebody has added for certain ports are taken to let in everybody there.
        """
        try:
            before = RuleSet.from_dict(json.loads(found.confirmed[MEANING]))
            now = self._now(found, found.confirmed)
        except (KeyError, ValueError, RulesError, FirewallError):
            return None
        if not found.in_force or now.all:
            return None
        added = []
        for piece in now.rules:
            match = _PORTS_OF_RULE.search(piece["what"])
            if match is None:
                return None
            ports = re.findall(r"[0-9]+(?:-[0-9]+)?", match["ports"] or match["port"])
            protocol = match["protocol"] or match["named"]
            added.append(Rule("changed by hand", protocol, parse_ports(ports, piece["what"]), None))
        return replace(before, rules=(*before.rules, *added))

    def differences(self, found: Found, wanted: Files) -> Differences:
        """Return what is not as wanted, now and at the next boot.

        Raises:
            FirewallError: the wanted rules cannot be loaded.

        """
        now, boot = self._now(found, wanted), self._boot(found, wanted)
        return Differences(now.rules + boot.rules, now.all + boot.all)

    def in_force_differs(self, found: Found, wanted: Files) -> list[Evidence]:
        """Return what is not as wanted now.

        Raises:
            FirewallError: the wanted rules cannot be loaded.

        """
        now = self._now(found, wanted)
        return now.rules + now.all

    def _now(self, found: Found, wanted: Files) -> Differences:
        differences = Differences()
        there, missing = found.in_force.get(NFT_FILE), wanted.get(NFT_FILE)
        # Also where nothing of ours is there: it proves that nft takes them.
        listed = self.canonical(missing) if missing is not None and self._tool("nft") else []
        table = f"nftables table {FAMILY} {TABLE}"
        if there is not None and missing is not None:
            differences.rules += _lines_differ(rules_of_listing(there), listed, "in force")
        elif there is not None:
            differences.all.append(evidence(table, "absent: the rules are those of firewalld", "in force"))
        elif missing is not None:
            differences.all.append(evidence(table, "in force", "absent"))
        if found.provider == FIREWALLD or any(name.startswith("firewalld/") for name in found.in_force):
            self._firewalld_now(found, wanted, differences)
        return differences

    @staticmethod
    def _firewalld_now(found: Found, wanted: Files, differences: Differences) -> None:
        ours = {name for name in (*found.in_force, *wanted) if name.startswith("firewalld/")}
        for name in sorted(ours):
            if found.in_force.get(name) != wanted.get(name):
                actual = "differs" if name in found.in_force and name in wanted else "absent"
                actual = actual if name in wanted else "in force"
                differences.all.append(
                    evidence(f"{ETC}/{name.partition('/')[2]}", "as wanted" if name in wanted else "absent", actual)
                )
        if not found.firewalld:
            if found.provider == FIREWALLD:
                differences.all.append(evidence("firewalld.service", "active", "not running"))
            return
        lines: dict[str, list[str]] = {}
        with contextlib.suppress(KeyError, ValueError, RulesError):
            lines = wanted_lines(RuleSet.from_dict(json.loads(wanted[MEANING])), found.zones)
        for name in sorted({*lines, *found.listed}):
            if name in lines and name not in found.listed:
                differences.all.append(evidence(f"firewalld: {name}", "in force", "absent"))
            else:
                told = [f"{name}: {line}" for line in found.listed.get(name, [])]
                right = [f"{name}: {line}" for line in lines.get(name, [])]
                differences.rules += _lines_differ(told, right, "in force")

    def _boot(self, found: Found, wanted: Files) -> Differences:
        differences = Differences()
        for name in sorted({*found.confirmed, *wanted}):
            there, right = found.confirmed.get(name), wanted.get(name)
            if there != right:
                if name == NFT_FILE and there is not None and right is not None:
                    differences.rules += self._file_differs(there, right)
                where = differences.rules if there is not None and right is not None else differences.all
                expected = "absent" if right is None else "the rules wanted"
                where.append(evidence(f"{FOLDER}/{name}", expected, "absent" if there is None else "differs"))
        for path, there, text in ((LOADER, found.loader_text, LOADER_TEXT), (UNIT_PATH, found.unit_text, UNIT_TEXT)):
            if there != text:
                actual = "absent" if there is None else "altered"
                differences.all.append(evidence(path, "as the role writes it", actual))
        state, active = found.unit.get("UnitFileState") or "absent", found.unit.get("ActiveState") or "unknown"
        if state != "enabled":
            differences.all.append(evidence(UNIT, "enabled", state))
        elif active != "active":
            differences.all.append(evidence(UNIT, "active", active))
        if found.provider == FIREWALLD and not found.firewalld_enabled:
            differences.all.append(evidence("firewalld.service", "enabled", "not started at boot"))
        return differences

    def _file_differs(self, there: str, right: str) -> list[Evidence]:
        try:
            return _lines_differ(self.canonical(there), self.canonical(right), f"in {FOLDER}/{NFT_FILE}")
        except FirewallError as exc:
            return [evidence(f"{FOLDER}/{NFT_FILE}", "rules that nft can load", exc)]

    # ---- changing ----------------------------------------------------------------------------

    def install(self, found: Found) -> None:
        """Install the provider where it is missing; none of its services is started.

        Raises:
            ChangeError: it cannot be installed.

        """
        if found.missing:
            package_manager(self._run_command).ensure(self.changes, found.provider, start=False)

    def prove(self, wanted: Files) -> None:
        """See that the provider takes rules.

        Raises:
            FirewallError: it does not.

        """
        if NFT_FILE in wanted:
            self.canonical(wanted[NFT_FILE])
            return
        tried = self._real(TRIED)
        try:
            shutil.copytree(self._real(ETC), tried)
            for name, text in wanted.items():
                if name.startswith("firewalld/"):
                    _write(os.path.join(tried, name.partition("/")[2]), text)
            self._ask("firewall-offline-cmd", f"--system-config={TRIED}", "--check-config")
        except OSError as exc:
            raise FirewallError(
                f"firewalld's configuration cannot be copied to {TRIED}: {exc.strerror or exc}"
            ) from exc
        finally:
            shutil.rmtree(tried, ignore_errors=True)

    def prepare(self, found: Found) -> None:
        """Bring what loads the confirmed rules at boot. It comes first, so that no boot can load any others.

        Raises:
            ChangeError: something could not be changed.

        """
        self.changes.write_file(self._real(LOADER), LOADER_TEXT, mode=0o755, owner=self._owner)
        new = self.changes.write_file(self._real(UNIT_PATH), UNIT_TEXT, mode=0o644, owner=self._owner)
        if new or found.unit.get("NeedDaemonReload") == "yes":
            self.changes.reload_units()
        if found.unit.get("UnitFileState") != "enabled":
            self.changes.systemctl("enable", UNIT, "at boot", "disabled", "enabled", undo=("disable", "--now"))

    def load(
        self,
        found: Found,
        previous: Files,
        wanted: Files,
        token: str,
        seconds: int,
        connections: Iterable[Connection] = (),
    ) -> None:
        """Put rules in force that still have to be confirmed. Before, the way back is armed, and seen to be.

        Args:
            found: what there is.
            previous: what is in force.
            wanted: the rules.
            token: what `stop_timer` has to know.
            seconds: after how many the rules before come back by themselves.
            connections: those that live, whoever has opened them.

        Raises:
            ChangeError: it could not be done; the rules before are in force.

        """
        starts = found.provider == FIREWALLD and not found.firewalld
        restore = self._restore_command(starts)
        self._write_rules(PREVIOUS, previous)
        if not self.changes.check_mode:
            self._put_candidate(wanted, token)
            self._arm(restore, seconds)
            unknown = self._remember(connections)
            if unknown:
                self.warnings.append(
                    f"connections that live could not be made known to the connection tracker ({unknown}): those in"
                    " which the other side speaks next may hang"
                )
        try:
            self.changes.command(
                ["/bin/sh", LOADER, CANDIDATE],
                TARGET,
                "rules in force",
                "others of ours" if found.in_force else "none of ours",
                "those wanted",
                undo=["/bin/sh", LOADER, PREVIOUS],
            )
            if starts:
                # It reads our policies as it starts: there is no moment at which only its zones are in force.
                self.changes.systemctl("start", "firewalld.service", "state", "not running", "active", undo=("stop",))
        except ChangeError:
            self._run_command(["/bin/sh", "-c", restore])
            self._run_command(["systemctl", "stop", f"{RESTORE}.timer"])
            raise

    @staticmethod
    def _restore_command(stops_firewalld: bool) -> str:
        """Return what the timer runs.

        It first takes the candidate away, by which `stop_timer` sees that it was too late. Where the rules before
        cannot be put back, none are better than new ones that may keep everybody out.
        """
        stop = f"{' '.join(_STOP_FIREWALLD)}; " if stops_firewalld else ""
        return f"rm -rf {CANDIDATE}; {stop}sh {LOADER} {PREVIOUS} || sh {LOADER} {STATE}/nothing"

    def _write_rules(self, folder: str, files: Files) -> None:
        for name in sorted({*self._files(folder), *files}):
            path = self._real(f"{folder}/{name}")
            if name in files:
                self.changes.write_file(path, files[name], mode=0o600, owner=self._owner)
            else:
                self.changes.remove_file(path)

    def _put_candidate(self, wanted: Files, token: str) -> None:
        shutil.rmtree(self._real(CANDIDATE), ignore_errors=True)
        try:
            for name, text in {**wanted, TOKEN: token}.items():
                _write(self._real(f"{CANDIDATE}/{name}"), text)
        except OSError as exc:
            raise ChangeError(f"{CANDIDATE}: {exc.strerror or exc}") from exc

    def _arm(self, restore: str, seconds: int) -> None:
        # What is left of an earlier one would keep its name taken.
        self._run_command(["systemctl", "reset-failed", f"{RESTORE}.timer", f"{RESTORE}.service"])
        code, out, err = self._run_command(
            [
                *("systemd-run", "--collect", f"--unit={RESTORE}", f"--on-active={seconds}"),
                *("--timer-property=AccuracySec=100ms", "--description=Put the firewall rules before back"),
                *("/bin/sh", "-c", restore),
            ],
            environ_update={"LC_ALL": "C"},
        )
        _code, state, _err = self._run_command(["systemctl", "is-active", f"{RESTORE}.timer"])
        if code != 0 or state.strip() != "active":
            shutil.rmtree(self._real(CANDIDATE), ignore_errors=True)
            words = " ".join((err or out).split()) or f"it is {state.strip() or 'not there'}"
            raise ChangeError(f"timer {RESTORE}, which would put the rules before back, cannot be armed: {words}")

    def stop_timer(self, token: str) -> bool:
        """Disarm the way back; return whether it was in time, so that the rules loaded are still in force.

        Args:
            token: the one given to `load`.

        """
        self._run_command(["systemctl", "stop", f"{RESTORE}.timer"])
        for _second in range(_PATIENCE):
            _code, state, _err = self._run_command(["systemctl", "is-active", f"{RESTORE}.service"])
            if state.strip() not in ("active", "activating", "deactivating"):
                break
            time.sleep(1)
        return self._text(f"{CANDIDATE}/{TOKEN}") == token

    def confirm(self, found: Found, wanted: Files) -> None:
        """Make the rules in force those of the next boot.

        Raises:
            ChangeError: something could not be changed.

        """
        self._write_rules(FOLDER, wanted)
        if found.unit.get("ActiveState") != "active":
            self.changes.systemctl("start", UNIT, "state", "not started", "active")
        if found.provider == FIREWALLD and not found.firewalld_enabled:
            self.changes.systemctl("enable", "firewalld.service", "at boot", "disabled", "enabled", undo=("disable",))
        if not self.changes.check_mode:
            shutil.rmtree(self._real(CANDIDATE), ignore_errors=True)


def _write(path: str, text: str) -> None:
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "w") as stream:
        stream.write(text)


def _lines_differ(there: list[str], wanted: list[str], where: str) -> list[Evidence]:
    """Return the lines of which one side has more; `where` is where the first ones are."""
    proof = []
    for kind, first, last, begin, end in difflib.SequenceMatcher(None, there, wanted, False).get_opcodes():
        if kind != "equal":
            proof += [evidence(f"rule {line}", "not there", where) for line in there[first:last]]
            proof += [evidence(f"rule {line}", where, "not there") for line in wanted[begin:end]]
    return proof


# ---- taking a run back ---------------------------------------------------------------------------


def why_not_back(
    lines: Iterable[Mapping[str, Any]],
    run_command: RunCommand,
    connection: SshConnection | None,
    previous: str = PREVIOUS,
) -> str | None:
    """Return why the rules before those of a run cannot be put back, None where they can or the run has loaded none.

    Args:
        lines: what the run has recorded.
        run_command: as for the class.
        connection: the connection in use; without one nothing can be cut.
        previous: folder of the rules before.

    """
    if not any(line["kind"] == "command" and line["target"] == TARGET for line in lines):
        return None
    _code, state, _err = run_command(["systemctl", "is-active", f"{RESTORE}.timer"])
    if state.strip() == "active":
        return "the rules of a run wait to be confirmed, else they are put back by themselves; try again then"
    if connection is None or not (os.path.exists(f"{previous}/{NFT_FILE}") or os.path.isdir(f"{previous}/firewalld")):
        return None  # there were none of ours, and those of others have let the connection in already
    try:
        with open(f"{previous}/{MEANING}", encoding="utf-8") as handle:
            before = RuleSet.from_dict(json.load(handle))
    except (OSError, ValueError, RulesError):
        return f"nobody knows whether the rules before would let this connection in; see {previous}"
    if before.allows("tcp", connection.source, connection.port):
        return None
    return f"the rules before would cut this connection (tcp {connection.port} from {connection.source})"


# ---- what the tools print ------------------------------------------------------------------------


def anew(listing: str) -> str:
    """Return what loads a listing of our table in place of whatever is there, in one transaction."""
    return f"add table {FAMILY} {TABLE}\ndelete table {FAMILY} {TABLE}\n{listing}"


def input_chains(text: str) -> list[tuple[str, str, str, str]]:
    """Return family, table, name and policy of the base chains on the input hook in ``nft list chains``."""
    found = []
    family = table = chain = ""
    for line in text.splitlines():
        words = line.split()
        if words[:1] == ["table"] and len(words) > 2:
            family, table = words[1], words[2]
        elif words[:1] == ["chain"] and len(words) > 1:
            chain = words[1]
        elif words[:1] == ["type"] and "hook input " in line and family in ("ip", "ip6", "inet"):
            policy = re.search(r"policy (\w+);", line)
            found.append((family, table, chain, policy[1] if policy else "accept"))
    return found


_DENIES = re.compile(
    r"(?<![\w-])(?:drop|reject|DROP|REJECT|(?:jump|goto|-j|-g) (?!f2b-|ACCEPT|LOG|RETURN|NFLOG)[\w-]+)"
)


def filters(policy: str, rules: str) -> bool:
    """Whether a chain may deny more than what is banned; bans of fail2ban concern single addresses for a while."""
    lines = [line for line in rules.splitlines() if "policy" not in line and "@addr" not in line]
    return policy == "drop" or any(_DENIES.search(line) for line in lines)


def rules_of_listing(listing: str) -> list[str]:
    """Return the rules of a table as ``nft list table`` prints it, one in a line, each with the chain or set it is in.

    Elements of a set are lines of their own: one more of them is one line more, however the listing is wrapped.
    """
    lines: list[str] = []
    place = ""
    elements: str | None = None
    for raw in listing.splitlines():
        line = raw.strip()
        opened = re.fullmatch(r"(?:chain|set|map) (\S+) \{", line)
        if elements is not None or line.startswith("elements = {"):
            elements = f"{elements or ''} {line}"
            if line.endswith("}"):
                inner = elements.partition("{")[2].rpartition("}")[0]
                lines += [f"{place}: {element.strip()}" for element in inner.split(",")]
                elements = None
        elif opened:
            place = opened[1]
        elif line and line != "}" and not re.match(r"(?:(?:add|delete) )?table ", line):
            lines.append(f"{place}: {line}")
    return lines


_KEPT_BY_FIREWALLD = (
    ["--list-all-zones"],
    ["--list-all-policies"],
    ["--get-ipsets"],
    ["--direct", "--get-all-rules"],
    ["--direct", "--get-all-passthroughs"],
)


def facts_of_firewalld(text: str) -> set[str]:
    """Return what firewalld says of its zones, policies, ipsets or direct rules, each fact with where it belongs.

    Left out are what is ours, and to which zones interfaces belong: a reload keeps that.
    """
    facts = set()
    place = ""
    for line in text.splitlines():
        words = " ".join(line.split())
        if not words:
            continue
        if not line[0].isspace():
            place = words.split()[0]
            if place.startswith("ipv") or place == "eb":  # a direct rule
                facts.add(words)
            else:
                facts |= {name for name in words.partition(" (")[0].split() if not name.startswith(IPSET_PREFIX)}
        elif not place.startswith(IPSET_PREFIX) and not words.startswith("interfaces:"):
            facts.add(f"{place}: {words}")
    return facts
