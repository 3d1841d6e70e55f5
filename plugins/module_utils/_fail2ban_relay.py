# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a host with a product tells hosts with a reverse proxy whom to ban: all texts, and what can be checked of them.

Names: the *source* is a host with products, whose fail2ban finds out whom to ban; a *proxy* is a host that bans for it.
Whatever one of them says about itself is checked before it gets into a file of the other.
"""

from __future__ import annotations

import base64
import binascii
import fnmatch
import hashlib
import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ansible_collections.atlassian_dc.hardening.plugins.module_utils._fail2ban import FOLDER as FAIL2BAN_FOLDER
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._fail2ban import HEADER

FOLDER = "/etc/atlassian-dc-fail2ban"
KEY = f"{FOLDER}/relay_ed25519"
KNOWN_HOSTS = f"{FOLDER}/known_hosts"
SSH_CONFIG = f"{FOLDER}/ssh_config"
TELL = f"{FOLDER}/tell"
RECEIVE = f"{FOLDER}/receive"

ACCOUNT = "atlassian-dc-fail2ban"
HOME = "/var/lib/atlassian-dc-fail2ban-relay"
AUTHORIZED_KEYS = f"{HOME}/.ssh/authorized_keys"
SHELL = "/bin/sh"
"""A forced command is run by the shell of its account."""

IDENTIFIER = "atlassian-dc-fail2ban"
ACTION = "atlassian-dc-relay"
FILTER = "atlassian-dc-relay"
UNBAN = "atlassian-dc-relay-unban"
"""Filter and action."""
CHECK = "check"
"""What a source says to learn whether it would be heard."""

PURGE = f"{FAIL2BAN_FOLDER}/fail2ban.d/zz-atlassian-dc-relay.local"
SSHD_JAIL = f"{FAIL2BAN_FOLDER}/jail.d/zz-atlassian-dc-relay.local"

UNBAN_TIME = 600
"""Seconds after which fail2ban forgets that it has lifted a ban; one that comes to its turn later would be left out."""

NEVER = ("127.0.0.0/8", "::1")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_HOST_KEY = re.compile(r"(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(?:256|384|521)) ([A-Za-z0-9+/]{40,2000}={0,2})(?: .*)?")


class RelayError(Exception):
    """Something one host says of itself cannot be what it should be."""


@dataclass(frozen=True)
class Source:
    """A host that tells proxies whom to ban.

    Attributes:
        name: as `safe_name` gives it.
        key: its public key, type and base64.
        addresses: where it comes from.

    """

    name: str
    key: str
    addresses: tuple[str, ...]


@dataclass(frozen=True)
class Proxy:
    """A host that bans, as a source reaches it."""

    name: str
    address: str
    port: int
    host_keys: tuple[str, ...]


@dataclass(frozen=True)
class Bans:
    """How long a proxy bans, and whom never."""

    ports: tuple[int, ...]
    ban_time: int
    max_ban_time: int
    ignore: tuple[str, ...]


# ---- what hosts say of themselves --------------------------------------------------------------------------------


def safe_name(host: str) -> str:
    """Return the name of a host of the inventory as file names, jails and commands can carry it."""
    if _NAME.fullmatch(host):
        return host
    digest = hashlib.sha256(host.encode("utf-8", "surrogateescape")).hexdigest()[:8]
    return f"{re.sub('[^A-Za-z0-9]+', '-', host).strip('-')[:40] or 'host'}-{digest}"


def public_key(text: str) -> str:
    """Return type and base64 of a public key, its comment left out.

    Raises:
        RelayError: it is none.

    """
    match = _HOST_KEY.fullmatch(text.strip())
    if match is None:
        raise RelayError(f"{text.strip()[:60]!r} is no public key")
    kind, data = match.groups()
    try:
        # The type is in the key once more, behind its length.
        inside = base64.b64decode(data, validate=True)[4 : 4 + len(kind)]
    except binascii.Error as exc:
        raise RelayError(f"{text.strip()[:60]!r} is no public key: {exc}") from exc
    if inside != kind.encode("ascii"):
        raise RelayError(f"{text.strip()[:60]!r} is no public key: its type is another")
    return f"{kind} {data}"


def single_address(text: str) -> str:
    """Return an address in its usual form.

    Raises:
        RelayError: it is none.

    """
    try:
        return str(ipaddress.ip_address(text))
    except ValueError as exc:
        raise RelayError(str(exc)) from exc


def networks(elements: Iterable[str]) -> tuple[str, ...]:
    """Return networks in their usual form.

    Raises:
        RelayError: one of them is none, or is everybody.

    """
    found = []
    for element in elements:
        try:
            network = ipaddress.ip_network(element, strict=False)
        except ValueError as exc:
            raise RelayError(f"who is never banned cannot be told to fail2ban: {exc}") from exc
        if network.prefixlen == 0:
            raise RelayError(f"{network} is never banned: nobody could ever be banned")
        found.append(str(network))
    return tuple(dict.fromkeys(found))


def source(host: str, key: str, addresses: Iterable[str]) -> Source:
    """Return a source, everything that is said of it checked.

    Raises:
        RelayError: something is not what it should be.

    """
    where = tuple(dict.fromkeys(map(single_address, addresses)))
    if not where:
        raise RelayError(f"{host} has no address it could come from")
    kind = public_key(key)
    if not kind.startswith("ssh-ed25519 "):
        raise RelayError(f"the key of {host} is not of type ed25519")
    return Source(safe_name(host), kind, where)


# ---- a source ----------------------------------------------------------------------------------------------------


def read_proxy(name: str, ssh_config: str, known_hosts: str) -> Proxy | None:
    """Return a proxy as the files written before tell of it; None where they do not."""
    block = re.search(rf"^Host {re.escape(name)}\n +HostName (\S+)\n +Port (\d+)\n", ssh_config, re.MULTILINE)
    keys = re.findall(rf"^{re.escape(name)} (\S+ \S+)$", known_hosts, re.MULTILINE)
    return Proxy(name, block.group(1), int(block.group(2)), tuple(keys)) if block and keys else None


def render_known_hosts(proxies: Iterable[Proxy]) -> str:
    """Return the file that says by which keys proxies are known."""
    lines = [f"{proxy.name} {key}" for proxy in proxies for key in proxy.host_keys]
    return HEADER + "".join(f"{line}\n" for line in lines)


def render_ssh_config(proxies: Iterable[Proxy]) -> str:
    """Return the whole configuration with which ssh is run; that of the system is not read beside it."""
    hosts = [
        f"Host {proxy.name}\n    HostName {proxy.address}\n    Port {proxy.port}\n    HostKeyAlias {proxy.name}\n"
        for proxy in proxies
    ]
    options = {
        "User": ACCOUNT,
        "IdentityFile": KEY,
        "IdentitiesOnly": "yes",
        "IdentityAgent": "none",
        "PreferredAuthentications": "publickey",
        "BatchMode": "yes",
        "StrictHostKeyChecking": "yes",
        "UserKnownHostsFile": KNOWN_HOSTS,
        "GlobalKnownHostsFile": "/dev/null",
        "UpdateHostKeys": "no",
        "CheckHostIP": "no",
        # What fail2ban waits for at most, while other bans wait.
        "ConnectTimeout": "3",
        "ConnectionAttempts": "1",
        "ServerAliveInterval": "2",
        "ServerAliveCountMax": "2",
        "ControlMaster": "no",
        "ControlPath": "none",
        "ClearAllForwardings": "yes",
        "ForwardAgent": "no",
        "ForwardX11": "no",
        "Tunnel": "no",
        "PermitLocalCommand": "no",
        "RequestTTY": "no",
        "LogLevel": "ERROR",
    }
    everywhere = "".join(f"    {name} {value}\n" for name, value in options.items())
    return f"{HEADER}{''.join(hosts)}Host *\n{everywhere}"


TELL_SCRIPT = f"""#!/bin/sh
{HEADER}# tell PROXY JAIL ban|unban ADDRESS: tells a proxy whom to ban. Run by fail2ban, which waits for it.
proxy=$1 jail=$2 word=$3 address=$4
state=/run/fail2ban
# Without an answer a moment ago there is none now: many bans at once must not wait for each other.
silent=$state/atlassian-dc-relay.$proxy
# Makes fail2ban ask again: see actioncheck. Only fail2ban removes it, for other bans may still be untold.
untold=$silent.$jail
if [ -n "$(find "$silent" -mmin -1 2>/dev/null)" ]; then
    echo "$proxy did not answer a moment ago" >&2
    code=255
else
    # One connection serves all bans of a minute: after its start fail2ban tells all that still last, one by one.
    set -- -o ControlMaster=auto -o ControlPersist=60 -o "ControlPath=$state/atlassian-dc-relay.%C"
    timeout --kill-after=1 8 ssh -n -F {SSH_CONFIG} "$@" -- "$proxy" "$word $address"
    code=$?
    case $code in
        0) rm -f "$silent"; exit 0 ;;
        124|137|255) touch "$silent" ;;
    esac
fi
[ "$word" = ban ] && touch "$untold"
exit $code
"""
"""Runs under ``/bin/sh``; its arguments come from fail2ban, which gives an address as one word."""


def render_action() -> str:
    """Return the action with which a jail of a source tells one proxy.

    A ban that was not told leaves a mark. Where the same address fails on, fail2ban runs ``actioncheck``, sees it, and
    bans anew. At its start fail2ban bans anew whom it has banned before, and when it stops, proxies go on banning.
    """
    untold = "/run/fail2ban/atlassian-dc-relay.<proxy>.<name>"
    return (
        f"{HEADER}[Definition]\n"
        f"actionban = {TELL} <proxy> <name> ban <ip>\n"
        f"actionunban = {TELL} <proxy> <name> unban <ip>\n"
        "actionflush = true\n"
        f"actioncheck = test ! -e {untold}\n"
        f"actionrepair = rm -f {untold}\n"
    )


def jail_actions(proxies: Iterable[str]) -> list[str]:
    """Return what a jail of a source has as ``action``, one for each proxy, one a line.

    Args:
        proxies: names of the hosts in the inventory.

    """
    names = sorted(safe_name(name) for name in proxies)
    return [f"{ACTION}[proxy={name}, actname={ACTION}-{name}]" for name in names]


# ---- a proxy -----------------------------------------------------------------------------------------------------


def authorized_line(entry: Source) -> str:
    """Return the line that lets a source in, to say one thing only."""
    where = ",".join(entry.addresses)
    return f'restrict,command="{RECEIVE} {entry.name}",from="{where}" {entry.key} {entry.name}'


def render_authorized_keys(text: str, entry: Source, known: Iterable[str] | None) -> str:
    """Return the file of keys with the line of one source as it should be.

    Args:
        text: what is there.
        entry: the source.
        known: names of all hosts of the inventory; sources that are none of them are left out. None where nobody
            knows them all.

    """
    names = None if known is None else {safe_name(name) for name in known}
    lines = {}
    for line in text.splitlines():
        match = re.fullmatch(rf'restrict,command="{RECEIVE} (\S+)",from="[0-9A-Fa-f:.,]+" ssh-ed25519 \S+ \1', line)
        if match and (names is None or match.group(1) in names):
            lines[match.group(1)] = line
    lines[entry.name] = authorized_line(entry)
    return HEADER + "".join(f"{lines[name]}\n" for name in sorted(lines))


RECEIVE_SCRIPT = f'''#!/usr/bin/python3 -I
{HEADER}"""receive SOURCE: the only command of account {ACCOUNT}. Writes to the journal whom a source wants banned."""

import ipaddress
import os
import re
import socket
import sys

JOURNAL = "/run/systemd/journal/socket"


def main():
    """Return the exit code."""
    asked = os.environ.get("SSH_ORIGINAL_COMMAND", "")
    if asked == "{CHECK}":
        return 0
    match = re.fullmatch("(ban|unban) ([0-9A-Fa-f:.]{{2,45}})", asked)
    try:
        address = ipaddress.ip_address(match.group(2)) if match else None
    except ValueError:
        address = None
    address = getattr(address, "ipv4_mapped", None) or address
    if address is None or address.is_unspecified or address.is_loopback or address.is_multicast:
        sys.stderr.write("refused: ban ADDRESS, unban ADDRESS or {CHECK} is expected\\n")
        return 2
    message = "%s %s by %s" % (match.group(1), address, sys.argv[1])
    entry = "SYSLOG_IDENTIFIER={IDENTIFIER}\\nPRIORITY=5\\nMESSAGE=%s\\n" % message
    journal = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    journal.sendto(entry.encode("ascii"), JOURNAL)
    return 0


sys.exit(main())
'''


def render_filter() -> str:
    """Return the filter for bans that `RECEIVE_SCRIPT` writes; a jail says which source it is for."""
    return _filter("ban <ADDR>")


def render_unban_filter() -> str:
    """Return the filter for bans that are to be lifted.

    What it finds is no address but a message, by its process: one that is asked again is done again.
    """
    return _filter("unban <F-WHO>[0-9a-f.:]+</F-WHO>", ("<F-ID>", "</F-ID>"))


def _filter(said: str, around: tuple[str, str] = ("", "")) -> str:
    before, after = around
    return (
        f"{HEADER}[Definition]\n"
        f"failregex = ^\\S+ {IDENTIFIER}\\[{before}\\d+\\]: {said}{after} by <source>$\n"
        "ignoreregex =\n"
    )


def render_unban_action() -> str:
    """Return the action that lifts a ban of a source.

    fail2ban runs one command at a time: what asks itself for another must not be waited for. What it has done before it
    was started is not done again.
    """
    ask = "fail2ban-client set <jail> unbanip <F-WHO> </dev/null >/dev/null 2>&1 &"
    return f"{HEADER}[Definition]\nnorestored = true\nactionban = {ask}\n"


def jail_name(name: str) -> str:
    """Return the name of the jail that bans for a source."""
    return f"atlassian-dc-relay-{name}"


def unban_jail_name(name: str) -> str:
    """Return the name of the jail that lifts bans of a source."""
    return f"atlassian-dc-unban-{name}"


def jail_path(name: str) -> str:
    """Return the file with the jails for a source."""
    return f"{FAIL2BAN_FOLDER}/jail.d/zz-{jail_name(name)}.local"


def render_jails(name: str, uid: int | None, bans: Bans) -> str:
    """Return the jails for a source: one that bans, one that lifts bans.

    A source has jails of its own, so that it lifts no ban of another.

    Args:
        name: of the source.
        uid: of the account whose lines in the journal count; None where it is not there yet.
        bans: how long, and whom never.

    """
    jail = jail_name(name)
    account = f"_UID={uid if uid is not None else '(of the account)'}"
    common = f"""enabled = true
backend = systemd
journalmatch = SYSLOG_IDENTIFIER={IDENTIFIER} {account}
maxretry = 1
findtime = {bans.ban_time}
usedns = no
ignorecommand =
"""
    # An address in it is found as soon as one of its dots is not just any character.
    pattern = re.escape(name)
    return f"""{HEADER}[{jail}]
{common}filter = {FILTER}[source="{pattern}"]
bantime = {bans.ban_time}
bantime.increment = true
bantime.maxtime = {bans.max_ban_time}
bantime.rndtime = 0
ignoreself = true
ignoreip = {" ".join(dict.fromkeys((*NEVER, *bans.ignore)))}
action = nftables[type=multiport, port="{",".join(map(str, bans.ports))}", protocol=tcp]

[{unban_jail_name(name)}]
{common}filter = {UNBAN}[source="{pattern}"]
bantime = {UNBAN_TIME}
bantime.increment = false
ignoreself = false
ignoreip =
action = {UNBAN}[jail={jail}]
"""


def render_purge(seconds: int) -> str:
    """Return server options by which fail2ban does not forget a ban that still lasts."""
    return f"{HEADER}[Definition]\ndbpurgeage = {seconds}\n"


def render_sshd_jail() -> str:
    """Return what makes Debian's jail for sshd start where there is no ``/var/log/auth.log``."""
    return f"{HEADER}[sshd]\nbackend = systemd\n"


def complaint(out: str, err: str) -> str:
    """Return what fail2ban complains of, without time and process, which are others each time."""
    lines = [line for line in f"{err}\n{out}".splitlines() if "ERROR" in line]
    found = [re.sub(r"^.*?\bERROR:?\s+(?:ERROR:\s+)?", "", line) for line in lines]
    return "; ".join(dict.fromkeys(found)) or " ".join((err or out).split())[-500:] or "no message"


# ---- sshd --------------------------------------------------------------------------------------------------------


def parse_sshd(text: str) -> dict[str, list[str]]:
    """Return the values of each keyword in the output of ``sshd -T``, those of several lines in one list."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        keyword, *values = line.split()
        found.setdefault(keyword.lower(), []).extend(values)
    return found


def sshd_obstacles(found: Mapping[str, Sequence[str]], group: str, address: str) -> list[tuple[str, str]]:
    """Return what keeps the account from logging in with a key, as (keyword, what is wrong).

    Args:
        found: settings of sshd for the account and the address it comes from.
        group: of the account.
        address: where the source comes from.

    """
    obstacles = []
    if _matches(found.get("denyusers", ()), ACCOUNT, address):
        obstacles.append(("DenyUsers", f"refuses {ACCOUNT}"))
    if found.get("allowusers") and not _matches(found["allowusers"], ACCOUNT, address):
        obstacles.append(("AllowUsers", f"does not name {ACCOUNT}"))
    if _matches(found.get("denygroups", ()), group, address):
        obstacles.append(("DenyGroups", f"refuses group {group}"))
    if found.get("allowgroups") and not _matches(found["allowgroups"], group, address):
        obstacles.append(("AllowGroups", f"does not name group {group}"))
    if found.get("pubkeyauthentication") == ["no"]:
        obstacles.append(("PubkeyAuthentication", "is off"))
    for keyword in ("PubkeyAcceptedAlgorithms", "PubkeyAcceptedKeyTypes"):
        accepted = found.get(keyword.lower())
        if accepted and "ssh-ed25519" not in ",".join(accepted).split(","):
            obstacles.append((keyword, "does not allow ssh-ed25519"))
    methods = found.get("authenticationmethods") or ["any"]
    if not {"any", "publickey"} & set(methods):
        obstacles.append(("AuthenticationMethods", f"asks for more than a key: {' '.join(methods)}"))
    files = found.get("authorizedkeysfile", ())
    if files and not any(_expanded(pattern) == AUTHORIZED_KEYS for pattern in files):
        obstacles.append(("AuthorizedKeysFile", f"does not lead to {AUTHORIZED_KEYS}: {' '.join(files)}"))
    for keyword, harmless in (("ForceCommand", "none"), ("ChrootDirectory", "none")):
        value = " ".join(found.get(keyword.lower()) or [harmless])
        if value != harmless:
            obstacles.append((keyword, f"is {value}"))
    return obstacles


def _expanded(pattern: str) -> str:
    path = pattern.replace("%h", HOME).replace("%u", ACCOUNT)
    return path if path.startswith("/") else f"{HOME}/{path}"


def _matches(patterns: Iterable[str], name: str, address: str) -> bool:
    """Whether one of sshd's patterns, ``NAME`` or ``NAME@ADDRESSES``, is about a name at an address."""
    for pattern in patterns:
        whom, at, where = pattern.rpartition("@")
        if not fnmatch.fnmatchcase(name, whom if at else pattern):
            continue
        if not at or any(_is_at(address, place) for place in where.split(",")):
            return True
    return False


def _is_at(address: str, place: str) -> bool:
    try:
        return ipaddress.ip_address(address) in ipaddress.ip_network(place, strict=False)
    except ValueError:
        return fnmatch.fnmatchcase(address, place)


def find_setting(files: Mapping[str, str], keyword: str) -> str:
    """Return where a keyword stands in the files of sshd, as ``path:line: text``; only its name where it is not found.

    Args:
        files: text by path, in the order in which sshd reads them.
        keyword: what is looked for.

    """
    for path, text in files.items():
        for number, line in enumerate(text.splitlines(), 1):
            words = re.split(r"[\s=]+", line.strip(), maxsplit=1)
            if words[0].lower() == keyword.lower():
                return f"{path}:{number}: {' '.join(line.split())}"
    return keyword
