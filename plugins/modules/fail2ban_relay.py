#!/usr/bin/python
# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: fail2ban_relay
short_description: Let the host of a reverse proxy ban whom fail2ban finds on the host of a product
version_added: 0.4.0
description:
  - Where the reverse proxy is on another host, banning on the host of the product does nothing. There fail2ban tells
    the host of the proxy over SSH whom to ban, and fail2ban bans there (V(DC-BRU-01)).
  - On the proxy an account without rights of its own is made. Its keys run one command only, which writes a checked
    address to the journal; a jail for each host of a product reads it, and never bans whom O(ignore) names.
  - The configuration of sshd is not changed. What keeps the account from logging in is named.
  - It is run three times. V(key) on the host of the product, V(proxy) on the host of each proxy by delegation, V(tell)
    on the host of the product once more, with what the others have returned.
options:
  phase:
    description:
      - V(key) makes the key of the host and what fail2ban runs to tell a proxy.
      - V(proxy) makes a proxy ban for the host.
      - V(tell) makes the proxies known to the host, asks each of them for an answer, and judges.
    type: str
    choices: [key, proxy, tell]
    required: true
  proxies:
    description:
      - With V(key), the names of the proxies in the inventory; the action plugin makes addresses of them.
    type: list
    elements: str
    default: []
  source:
    description: With V(proxy), the name of the host of the product. Filled in by the action plugin.
    type: str
  proxy:
    description: With V(proxy), the name of the proxy in the inventory.
    type: str
  address:
    description: With V(proxy), its address. Filled in by the action plugin.
    type: str
  key:
    description: With V(proxy), the public key of the host of the product. Undefined in check mode before there is one.
    type: str
  addresses:
    description:
      - With V(proxy), where the host of the product comes from. The action plugin adds its address in the inventory.
    type: list
    elements: str
    default: []
  ports:
    description: With V(proxy), the ports that are closed to a banned address.
    type: list
    elements: int
    default: [80, 443]
  ban_time:
    description: With V(proxy), for how many seconds an address is banned the first time.
    type: int
    default: 3600
  max_ban_time:
    description: With V(proxy), the longest ban in seconds.
    type: int
    default: 604800
  ignore:
    description:
      - With V(proxy), addresses and networks that are never banned. Names are resolved by the action plugin.
    type: list
    elements: str
    default: []
  inventory:
    description:
      - With V(proxy), all hosts of the inventory. Hosts of products that are none of them are not let in any more.
      - Filled in by the action plugin, unless the run is limited to some hosts.
    type: list
    elements: str
  results:
    description: With V(tell), what V(key) has returned, and V(proxy) for each proxy.
    type: list
    elements: dict
    default: []
extends_documentation_fragment:
  - atlassian_dc.hardening.attributes
  - atlassian_dc.hardening.controls
  - atlassian_dc.hardening.instances
  - atlassian_dc.hardening.record
author:
  - the atlassian_dc.hardening contributors (@atlassian-dc-hardening)
"""

EXAMPLES = r"""
- name: Make the key with which this host tells the proxies
  atlassian_dc.hardening.fail2ban_relay:
    phase: key
    instances: "{{ ansible_facts.atlassian_dc.instances }}"
    proxies: [proxy1, proxy2]
  register: relay_key
  tags: [DC-BRU-01]

- name: Let the proxies ban for it
  atlassian_dc.hardening.fail2ban_relay:
    phase: proxy
    instances: "{{ ansible_facts.atlassian_dc.instances }}"
    proxy: "{{ item }}"
    key: "{{ relay_key.public_key or omit }}"
    addresses: "{{ relay_key.addresses }}"
    ignore: [192.0.2.0/26, proxy1, proxy2]
  loop: [proxy1, proxy2]
  delegate_to: "{{ item }}"
  register: relay_proxies
  tags: [DC-BRU-01]

- name: Make the proxies known to it, and see that they answer
  atlassian_dc.hardening.fail2ban_relay:
    phase: tell
    instances: "{{ ansible_facts.atlassian_dc.instances }}"
    results: "{{ [relay_key] + relay_proxies.results }}"
  tags: [DC-BRU-01]
"""

RETURN = r"""
dc_findings:
  description: What was found for each instance.
  returned: with phase C(tell)
  type: list
  elements: dict
dc_changes:
  description: What was changed, or would be in check mode.
  returned: always
  type: list
  elements: dict
public_key:
  description: Public key of the host; null in check mode before there is one.
  returned: with phase C(key)
  type: str
addresses:
  description: Addresses from which the host reaches the proxies.
  returned: with phase C(key)
  type: list
  elements: str
proxy:
  description: Name of the proxy in the inventory.
  returned: with phase C(proxy)
  type: str
address:
  description: Its address.
  returned: with phase C(proxy)
  type: str
port:
  description: The port of its SSH server; null where it is not known.
  returned: with phase C(proxy)
  type: int
host_keys:
  description: The public keys of its SSH server.
  returned: with phase C(proxy)
  type: list
  elements: str
own_addresses:
  description: All addresses it has that others can reach it at.
  returned: with phase C(proxy)
  type: list
  elements: str
evidence:
  description: What was not as it should be.
  returned: with phase C(key) and C(proxy)
  type: list
  elements: dict
refused:
  description: Why it was not put right.
  returned: with phase C(key) and C(proxy)
  type: list
  elements: str
"""

import ipaddress
import os
import re
import shutil
import socket
import stat
import tempfile
import time
from typing import Any, Callable

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.atlassian_dc.hardening.plugins.module_utils import _fail2ban_relay as relay
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._accounts import AccountDatabase, read_text
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._changes import (
    ChangeError,
    Changes,
    mode_text,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._fail2ban import (
    CLIENT,
    FOLDER,
    PATIENCE,
    SERVICE,
    jail_list,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._fail2ban_relay import Proxy, RelayError
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._findings import (
    CONTROL_ARGUMENTS,
    Evidence,
    Findings,
    evidence,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._packages import (
    Dnf,
    PackageManager,
    package_manager,
    words,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._recorder import RECORD_ARGUMENTS
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._sockets import (
    connection_in_use,
    own_addresses,
    reachable_at,
    read_sockets,
    ssh_ports,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._systemd import show_units, text_or_none

CONTROL = "DC-BRU-01"
NEEDED = ("nftables", "python3-systemd")
"""Packages with which fail2ban bans and reads the journal."""
SSHD = "/usr/sbin/sshd"
NO_KEY_YET = f"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{'A' * 43}"
"""Stands in predictions for a key that only a real run makes."""

RunCommand = Callable[..., "tuple[int, str, str]"]


class RelayHost:
    """One end of a relay: looks, and puts right what is enforced.

    Args:
        params: the module's parameters.
        findings: says what may be put right, and takes what was found.
        changes: through which to change things.
        run_command: to ask the system's tools.
        root: folder that stands for ``/``; anything but ``/`` only in tests.

    """

    def __init__(
        self, params: dict[str, Any], findings: Findings, changes: Changes, run_command: RunCommand, root: str = "/"
    ) -> None:
        self.params = params
        self.findings = findings
        self.changes = changes
        self.run_command = run_command
        self.root = root
        # Files of the host are root's; in tests those of whoever runs them.
        self.owner = (0, 0) if root == "/" else (os.getuid(), os.getgid())
        self.evidence: list[Evidence] = []
        self.refused: list[str] = []
        self.result: dict[str, Any] = {}

    def run(self) -> dict[str, Any]:
        """Do what the phase is for, and return its part of the result."""
        phases = {"key": self._key, "proxy": self._proxy, "tell": self._tell}
        try:
            phases[self.params["phase"]]()
        except (ChangeError, RelayError) as exc:
            self._refuse(str(exc))
        if self.params["phase"] == "tell":
            self._judge()
            return {"dc_findings": self.findings.results}
        return {**self.result, "evidence": self.evidence, "refused": self.refused}

    # ---- what all phases have in common ----------------------------------------------------------

    def _real(self, path: str) -> str:
        return os.path.join(self.root, path.lstrip("/"))

    def _text(self, path: str) -> str | None:
        return text_or_none(self._real(path))

    def _refuse(self, why: str) -> None:
        if why not in self.refused:
            self.refused.append(why)

    def _drift(self, what: str, expected: str, actual: str, change: Callable[[], object]) -> None:
        """Note that something differs, and put it right where that is allowed."""
        self.evidence.append(evidence(what, expected, actual))
        if self.findings.enforces(CONTROL):
            change()

    def _file(self, path: str, text: str, mode: int = 0o644) -> bool:
        """Have a file of ours say what it should; return whether it differs."""
        real = self._real(path)
        actual = "absent"
        try:
            info = os.lstat(real)
        except FileNotFoundError:
            pass
        else:
            right = (*self.owner, mode)
            if not stat.S_ISREG(info.st_mode) or read_text(real) != text:
                actual = "something else"
            elif (info.st_uid, info.st_gid, stat.S_IMODE(info.st_mode)) != right:
                actual = f"{info.st_uid}:{info.st_gid} {mode_text(info.st_mode)}"
            else:
                return False
        expected = f"as this role writes it, {self.owner[0]}:{self.owner[1]} {mode_text(mode)}"
        self._drift(path, expected, actual, lambda: self.changes.write_file(real, text, mode, self.owner))
        return True

    def _folder(self, path: str) -> None:
        """Have a folder of ours, where it is there, belong to root and be open to be read."""
        try:
            handle = os.open(self._real(path), os.O_PATH | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        except OSError as exc:
            raise RelayError(f"{path} is no folder ({exc.strerror}); move it away") from exc
        try:
            info = os.fstat(handle)
            found = (info.st_uid, info.st_gid, stat.S_IMODE(info.st_mode))
            if found != (*self.owner, 0o755):
                self._drift(
                    path,
                    f"{self.owner[0]}:{self.owner[1]} 0755",
                    f"{found[0]}:{found[1]} {mode_text(found[2])}",
                    lambda: self.changes.set_permissions(self._real(path), handle, info, *self.owner, 0o755),
                )
        finally:
            os.close(handle)

    def _ask(self, *argv: str) -> tuple[int, str, str]:
        code, out, err = self.run_command(list(argv), environ_update={"LC_ALL": "C"})
        return code, out, err

    # ---- the host of a product -------------------------------------------------------------------

    def _key(self) -> None:
        self.result = {"public_key": None, "addresses": self._sources()}
        self._file(relay.TELL, relay.TELL_SCRIPT, 0o755)
        self._folder(relay.FOLDER)
        path = self._real(relay.KEY)
        if not os.path.lexists(path):
            argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", relay.ACCOUNT, "-f", path]
            self._drift(
                relay.KEY,
                "a key of this host",
                "absent",
                lambda: self.changes.command(
                    argv, relay.KEY, "existence", "absent", "a key pair", ["rm", "-f", path, f"{path}.pub"]
                ),
            )
        else:
            info = os.lstat(path)
            if not stat.S_ISREG(info.st_mode):
                raise RelayError(f"{relay.KEY} is not a regular file; move it away")
            if (info.st_uid, stat.S_IMODE(info.st_mode)) != (self.owner[0], 0o600):
                self._drift(
                    relay.KEY,
                    f"{self.owner[0]} 0600",
                    f"{info.st_uid} {mode_text(info.st_mode)}",
                    lambda: self.changes.write_file(path, read_text(path), 0o600, self.owner, secret=True),
                )
        self.result["public_key"] = self._public_key()

    def _public_key(self) -> str | None:
        path = self._real(relay.KEY)
        if not os.path.exists(path):
            return None
        # From the private one: the file beside it may be another.
        code, out, err = self._ask("ssh-keygen", "-y", "-f", path)
        if code != 0:
            raise RelayError(f"{relay.KEY} is no key that can be used: {words(out, err)}; remove it")
        return relay.public_key(out)

    def _sources(self) -> list[str]:
        """Return the addresses from which this host reaches the proxies."""
        found = []
        for address in self.params["proxies"]:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            # Nothing is sent: the kernel only chooses the way.
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                try:
                    probe.connect((address, 9))
                    found.append(str(ipaddress.ip_address(probe.getsockname()[0].partition("%")[0])))
                except OSError as exc:
                    self._refuse(f"there is no way to {address}: {exc.strerror or exc}")
        return list(dict.fromkeys(found))

    def _tell(self) -> None:
        texts = [read_text(self._real(path)) for path in (relay.SSH_CONFIG, relay.KNOWN_HOSTS)]
        proxies: list[Proxy] = []
        for result in self.params["results"]:
            host = result.get("proxy")
            where = f"{host}: " if host else ""
            self.evidence += [{**piece, "what": f"{where}{piece['what']}"} for piece in result["evidence"]]
            for why in result["refused"]:
                self._refuse(f"{where}{why}")
            if not host:
                continue
            name = relay.safe_name(host)
            if result.get("port") and result.get("address"):
                keys = tuple(relay.public_key(key) for key in result["host_keys"])
                proxies.append(Proxy(name, relay.single_address(result["address"]), result["port"], keys))
            else:
                # What is known of it stays: it may only be away for a moment.
                known = relay.read_proxy(name, *texts)
                proxies += [known] if known else []
        differs = self._file(relay.KNOWN_HOSTS, relay.render_known_hosts(proxies))
        differs |= self._file(relay.SSH_CONFIG, relay.render_ssh_config(proxies))
        # Before all is in place nobody can say what the answer will be.
        written = self.findings.enforces(CONTROL) and not self.findings.check_mode
        if written or not (differs or self.evidence):
            for proxy in proxies:
                self._ask_for_an_answer(proxy)

    def _ask_for_an_answer(self, proxy: Proxy) -> None:
        argv = ("timeout", "--kill-after=1", "10", "ssh", "-n", "-F", self._real(relay.SSH_CONFIG))
        code, out, err = self._ask(*argv, "--", proxy.name, relay.CHECK)
        if code == 0:
            return
        why = "no answer within 10 seconds" if code in (124, 137) else words(out, err) or f"ssh ended with {code}"
        self.evidence.append(
            evidence(f"{proxy.name}: ssh to {proxy.address} port {proxy.port} as {relay.ACCOUNT}", "an answer", why)
        )
        self._refuse(f"{proxy.name} does not answer: {why}")

    def _judge(self) -> None:
        first = self.refused[0] if self.refused else self.evidence[0]["what"] if self.evidence else ""
        proof = self.evidence or [evidence("the relay of bans", "as it should be", why) for why in self.refused]
        hosts = ", ".join(result["proxy"] for result in self.params["results"] if result.get("proxy"))
        more = f" and {len(self.refused) - 1} more" if len(self.refused) > 1 else ""
        reason = f"bans have to be told to {hosts}, in front of this host: {first}{more}"
        for instance in self.params["instances"]:
            self.findings.judge(CONTROL, instance["name"], proof, reason, repaired=not self.refused)

    # ---- the host of a proxy ---------------------------------------------------------------------

    def _proxy(self) -> None:
        self.proc = "/proc" if self.root == "/" else self._real("/proc")
        self.result = {"proxy": self.params["proxy"], "address": self.params["address"], "port": None, "host_keys": []}
        own, _broadcast = own_addresses(self.proc, [])
        self.result["own_addresses"] = reachable_at(own)
        if self.params["key"] is None and self.findings.enforces(CONTROL) and not self.changes.check_mode:
            raise RelayError(f"{self.params['source']} has no key to be let in with")
        entry = relay.source(self.params["source"], self.params["key"] or NO_KEY_YET, self.params["addresses"])
        longest = max(self.params["ban_time"], self.params["max_ban_time"])
        ignore = relay.networks(self.params["ignore"])
        bans = relay.Bans(tuple(self.params["ports"]), self.params["ban_time"], longest, ignore)
        self._look_at_ssh(entry)
        self._look_at_ports()
        self._look_at_fail2ban()
        manager = package_manager(self.run_command)
        # A proxy need not be of the operating system of the host it is for.
        packages = (*NEEDED, "fail2ban-server" if isinstance(manager, Dnf) else "fail2ban")
        missing = manager.missing(packages)
        for name in missing:
            self._drift(f"package {name}", "installed", "absent", self._installing(manager, name))
        if missing and self.findings.enforces(CONTROL) and not self.changes.check_mode:
            self._look_at_fail2ban()
        uid = self._account()
        self._bans(entry, uid, bans)
        self._file(relay.RECEIVE, relay.RECEIVE_SCRIPT, 0o755)
        text = read_text(self._real(relay.AUTHORIZED_KEYS))
        self._file(relay.AUTHORIZED_KEYS, relay.render_authorized_keys(text, entry, self.params["inventory"]))
        for folder in (relay.FOLDER, relay.HOME, os.path.dirname(relay.AUTHORIZED_KEYS)):
            self._folder(folder)

    def _installing(self, manager: PackageManager, name: str) -> Callable[[], object]:
        # It is started once its jails are there.
        return lambda: manager.ensure(self.changes, name, start=False)

    def _look_at_ssh(self, entry: relay.Source) -> None:
        """Find port and keys of the SSH server; refuse where it would not let the account in."""
        sshd = self._real(SSHD)
        found: dict[str, list[str]] = {}
        connection = connection_in_use(self.proc)
        self.sockets = read_sockets(self.proc, self.run_command)
        ports = [connection.port] if connection else ssh_ports(self.sockets, None)
        if not ports:
            raise RelayError("no SSH server is found there")
        for address in entry.addresses:
            match = f"user={relay.ACCOUNT},host={address},addr={address}"
            match += f",laddr={self.params['address']},lport={ports[0]}"
            code, out, err = self._ask(sshd, "-T", "-C", match)
            if code != 0:
                raise RelayError(f"sshd -T does not tell how it is set up: {words(out, err)}")
            found = relay.parse_sshd(out)
            for keyword, wrong in relay.sshd_obstacles(found, relay.ACCOUNT, address):
                where = relay.find_setting(self._sshd_files(), keyword)
                self.evidence.append(evidence(where, f"lets {relay.ACCOUNT} in from {address} by its key", wrong))
                self._refuse(f"{where}: {wrong}; the configuration of sshd is yours to change")
        keys = []
        for path in found.get("hostkey", ()):
            text = read_text(self._real(f"{path}.pub")).strip()
            keys += [relay.public_key(text)] if text else []
        if not keys:
            raise RelayError("the SSH server there has no key that is known")
        self.result.update(port=ports[0], host_keys=keys)
        if self.refused:
            raise RelayError(self.refused[0])

    def _sshd_files(self) -> dict[str, str]:
        folder = "/etc/ssh/sshd_config.d"
        try:
            names = sorted(name for name in os.listdir(self._real(folder)) if name.endswith(".conf"))
        except OSError:
            names = []
        paths = [*(f"{folder}/{name}" for name in names), "/etc/ssh/sshd_config"]
        return {path: read_text(self._real(path)) for path in paths}

    def _look_at_ports(self) -> None:
        ports = self.params["ports"]
        served = {item.port for item in self.sockets.listeners if item.protocol == "tcp"}
        if not served & set(ports):
            what = f"tcp {', '.join(map(str, ports))} (atlassian_dc_fail2ban_relay_ports)"
            self.evidence.append(evidence(what, "ports of the proxy", "nothing listens there"))
            self._refuse(f"nothing listens on {what}")

    def _account(self) -> int | None:
        """Have the account; return its number, None where it is not there yet."""
        name = relay.ACCOUNT
        database = AccountDatabase(self.root)
        account = database.account(name)
        if account is None:
            group = ("--gid", name) if database.group(name) else ("--user-group",)
            argv = [
                # An asterisk: no password, and not locked either, for sshd without PAM refuses who is locked.
                *("useradd", "--system", *group, "--no-create-home", "--home-dir", relay.HOME, "--shell", relay.SHELL),
                *("--password", "*", "--comment", "tells fail2ban whom to ban", name),
            ]
            self._drift(
                f"account {name}",
                "a system account",
                "absent",
                lambda: self.changes.command(argv, f"account {name}", "existence", "absent", "a system account"),
            )
            account = AccountDatabase(self.root).account(name)
            return account.uid if account else None
        if account.uid == 0:
            raise RelayError(f"account {name} is root; remove it")
        shadow = re.search(rf"^{name}:([^:]*):", read_text(self._real("/etc/shadow")), re.MULTILINE)
        groups = database.supplementary(account)
        for attribute, option, wanted, actual in (
            ("home", "--home", relay.HOME, account.home),
            ("shell", "--shell", relay.SHELL, account.shell),
            ("groups", "--groups", "", ",".join(groups)),
        ):
            if actual != wanted:
                self._usermod(attribute, option, wanted, actual, ["usermod", option, actual, name])
        if shadow and shadow.group(1) != "*":
            # What it was is a secret, so it cannot be taken back.
            locked = shadow.group(1).startswith("!")
            self._usermod("password", "--password", "*", "locked" if locked else "a password", None)
        return account.uid

    def _usermod(self, attribute: str, option: str, wanted: str, actual: str, undo: list[str] | None) -> None:
        target, shown = f"account {relay.ACCOUNT}", wanted or "none"
        self._drift(
            f"{attribute} of {target}",
            shown,
            actual or "none",
            lambda: self.changes.command(
                ["usermod", option, wanted, relay.ACCOUNT], target, attribute, actual or "none", shown, undo
            ),
        )

    # ---- fail2ban of a proxy ---------------------------------------------------------------------

    def _look_at_fail2ban(self) -> None:
        """Find whether the jail for sshd has to be helped; refuse where the configuration is broken otherwise."""
        if not os.path.exists(self._real(f"{FOLDER}/jail.conf")):
            # What the package of Debian 12 will bring does not start where there is no such log.
            debian12 = re.search(r'^ID=debian$(?s:.*)^VERSION_ID="12"$', self._release(), re.MULTILINE)
            self.sshd_jail = bool(debian12) and not os.path.exists(self._real("/var/log/auth.log"))
            return
        said = self._tried({relay.SSHD_JAIL: None})
        self.sshd_jail = "sshd" in said
        if self.sshd_jail:
            said = self._tried({relay.SSHD_JAIL: relay.render_sshd_jail()})
        if said:
            raise RelayError(f"fail2ban does not take its configuration, nothing was changed: {said}")

    def _release(self) -> str:
        lines = sorted(read_text(self._real("/etc/os-release")).splitlines())
        return "\n".join(line for line in lines if line.startswith(("ID=", "VERSION_ID=")))

    def _tried(self, files: dict[str, str | None]) -> str:
        """Return what fail2ban says against its configuration with some files of ours as they would be."""
        if not os.path.exists(self._real("/usr/bin/fail2ban-client")):
            return ""
        with tempfile.TemporaryDirectory(prefix="atlassian-dc-relay-") as scratch:
            copy = os.path.join(scratch, "fail2ban")
            shutil.copytree(self._real(FOLDER), copy, ignore_dangling_symlinks=True)
            for path, text in files.items():
                target = copy + path[len(FOLDER) :]
                if text is not None:
                    os.makedirs(os.path.dirname(target), exist_ok=True)
                    with open(target, "w", encoding="utf-8") as stream:
                        stream.write(text)
                elif os.path.lexists(target):
                    os.unlink(target)
            code, out, err = self._ask(CLIENT, "-c", copy, "-t")
        return "" if code == 0 else relay.complaint(out, err).replace(copy, FOLDER)

    def _bans(self, entry: relay.Source, uid: int | None, bans: relay.Bans) -> None:
        """Have the jails for a source, and fail2ban running with them."""
        files: dict[str, str | None] = {
            f"{FOLDER}/filter.d/{relay.FILTER}.conf": relay.render_filter(),
            f"{FOLDER}/filter.d/{relay.UNBAN}.conf": relay.render_unban_filter(),
            f"{FOLDER}/action.d/{relay.UNBAN}.conf": relay.render_unban_action(),
            relay.jail_path(entry.name): relay.render_jails(entry.name, uid, bans),
            relay.SSHD_JAIL: relay.render_sshd_jail() if self.sshd_jail else None,
            relay.PURGE: self._purge(bans.max_ban_time),
            **self._gone(),
        }
        said = self._tried(files)
        if said:
            raise RelayError(f"fail2ban does not take the jails for {entry.name}: {said}")
        differing = [path for path, text in files.items() if self._text(path) != text]
        if differing and self.findings.enforces(CONTROL) and self._unit().get("ActiveState") == "active":
            # First of all, for a run is taken back backwards: fail2ban then comes to know of the files before.
            self.changes.perform(lambda: None, SERVICE, "way back", "none", "reload", undo=(CLIENT, "reload"))
        differs = False
        for path, text in files.items():
            if text is not None:
                differs |= self._file(path, text)
            elif os.path.lexists(self._real(path)):
                differs = True
                self._drift(path, "absent", "present", self._removing(path))
        self._service(entry.name, differs)

    def _removing(self, path: str) -> Callable[[], object]:
        return lambda: self.changes.remove_file(self._real(path))

    def _purge(self, longest: int) -> str | None:
        """Return what has fail2ban remember bans long enough; None where a file of the role does already."""
        folder = f"{FOLDER}/fail2ban.d"
        try:
            names = [name for name in os.listdir(self._real(folder)) if name.startswith("zz-atlassian-dc-")]
        except OSError:
            names = []
        set_to = {}
        for name in names:
            found = re.search(r"^dbpurgeage\s*=\s*(\d+)\s*$", read_text(self._real(f"{folder}/{name}")), re.MULTILINE)
            set_to[f"{folder}/{name}"] = int(found.group(1)) if found else 0
        # Other sources may ban for longer.
        longest = max(longest, set_to.pop(relay.PURGE, 0))
        return None if max(set_to.values(), default=0) >= longest else relay.render_purge(longest)

    def _gone(self) -> dict[str, str | None]:
        """Return the files with jails for hosts that are in the inventory no more."""
        if self.params["inventory"] is None:
            return {}
        kept = {relay.jail_path(relay.safe_name(host)) for host in self.params["inventory"]}
        folder, start = os.path.split(relay.jail_path(""))
        start = start[: -len(".local")]
        try:
            names = os.listdir(self._real(folder))
        except OSError:
            names = []
        paths = {f"{folder}/{name}" for name in names if name.startswith(start) and name.endswith(".local")}
        return dict.fromkeys(sorted(paths - kept))

    def _service(self, name: str, differs: bool) -> None:
        """Have fail2ban run with the jails, now and after a boot."""
        unit = self._unit()
        if unit.get("UnitFileState") != "enabled":
            state = unit.get("UnitFileState") or "absent"
            self._drift(SERVICE, "enabled", state, lambda: self._systemctl("enable", state, "enabled", "disable"))
        if unit.get("ActiveState") != "active":
            state = unit.get("ActiveState") or "absent"
            self._drift(SERVICE, "active", state, lambda: self._systemctl("start", state, "active", "stop"))
        elif not differs and self._in_force(name):
            return
        else:
            reload = [CLIENT, "reload"]
            self._drift(
                "fail2ban",
                "bans as its files say",
                "the files before are in force",
                lambda: self.changes.command(reload, SERVICE, "configuration", "before", "as its files say"),
            )
        if self.findings.enforces(CONTROL) and not self.changes.check_mode:
            self._wait(name)

    def _wait(self, name: str) -> None:
        """See that fail2ban has come to run the jails for a source."""
        end = time.monotonic() + PATIENCE
        while not self._in_force(name):
            if time.monotonic() > end:
                raise RelayError(f"fail2ban does not run the jails for {name}; its log says why")
            time.sleep(0.5)

    def _unit(self) -> dict[str, str]:
        return show_units(self.run_command, [SERVICE], ["ActiveState", "UnitFileState"]).get(SERVICE, {})

    def _systemctl(self, verb: str, before: str, after: str, undo: str) -> None:
        self.changes.command(
            ["systemctl", verb, SERVICE], SERVICE, "state", before, after, ["systemctl", undo, SERVICE]
        )

    def _in_force(self, name: str) -> bool:
        """Whether fail2ban runs the jails for a source."""
        code, out, _err = self._ask(CLIENT, "status")
        return code == 0 and {relay.jail_name(name), relay.unban_jail_name(name)} <= set(jail_list(out))


def main() -> None:
    """Run the module."""
    texts: dict[str, Any] = {"type": "list", "elements": "str"}
    module = AnsibleModule(
        argument_spec={
            "phase": {"type": "str", "choices": ["key", "proxy", "tell"], "required": True},
            "instances": {"type": "list", "elements": "dict", "required": True},
            "proxies": {**texts, "default": []},
            "source": {"type": "str"},
            "proxy": {"type": "str"},
            "address": {"type": "str"},
            "key": {"type": "str", "no_log": False},
            "addresses": {**texts, "default": []},
            "ports": {"type": "list", "elements": "int", "default": [80, 443]},
            "ban_time": {"type": "int", "default": 3600},
            "max_ban_time": {"type": "int", "default": 604800},
            "ignore": {**texts, "default": []},
            "inventory": texts,
            "results": {"type": "list", "elements": "dict", "default": []},
            **CONTROL_ARGUMENTS,
            **RECORD_ARGUMENTS,
        },
        required_if=[("phase", "proxy", ("source", "proxy", "address"))],
        supports_check_mode=True,
    )
    findings = Findings(module.params, (CONTROL,), module.check_mode)
    changes = Changes.of(module)
    result = RelayHost(module.params, findings, changes, module.run_command).run()
    changes.exit(module, **result)


if __name__ == "__main__":
    main()
