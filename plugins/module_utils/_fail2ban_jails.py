# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which jails a host should have, and the files they stand in. Nothing here looks at a host.

Each control has a drop-in of its own below ``jail.d``, so that one can be put right without the others. Whatever a jail
needs is written into its own section: nothing depends on the ``[DEFAULT]`` of others, and theirs keep it.
"""

from __future__ import annotations

import dataclasses
import glob
import hashlib
import os
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.atlassian_dc.hardening.plugins.module_utils._fail2ban import HEADER
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._fail2ban_filters import (
    Source,
    access_log_source,
    filter_name,
    render_filter,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._firewall_rules import parse_networks
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._sockets import reachable_at

Files = dict[str, str]
"""Files by their path below the folder of fail2ban."""

DEFAULTS = "jail.d/zz-atlassian-dc-fail2ban.local"
PRODUCTS = "jail.d/zz-atlassian-dc-fail2ban-products.local"
SSHD = "jail.d/zz-atlassian-dc-fail2ban-sshd.local"
SERVER = "fail2ban.d/zz-atlassian-dc-fail2ban.local"
"""Drop-ins of ours; their names sort last."""
OWN = (DEFAULTS, PRODUCTS, SSHD, SERVER)

EMPTY_LOG = "/var/lib/atlassian-dc-fail2ban/empty.log"
"""Read by every jail beside its own logs: fail2ban does not start with a jail that has none yet."""

PREFIX = "atlassian-dc-"
SSHD_JAIL = "sshd"
PROXY_JAIL = f"{PREFIX}proxy"
LOGS_SERVICE = "atlassian-dc-fail2ban-logs.service"
LOGS_SCRIPT = "/var/lib/atlassian-dc-fail2ban/read-new-logs"
OUTSIDE = (LOGS_SERVICE, LOGS_SCRIPT, EMPTY_LOG)
"""Files of ours that are no part of fail2ban's configuration."""

LOOPBACK = ("127.0.0.0/8", "::1")

ACTION = "nftables"
DIGEST = "rendered"
"""Property of the action by which a running jail tells from which text it was made."""

_NAME_LENGTH = 40
_UNWRITABLE = re.compile(r"[\x00-\x1f\x7f;<>\\]|\s$|^\s")
_WILD = re.compile(r"[*?[]")

JOURNAL_OF_SSHD = "_UID=0 _COMM=sshd + _UID=0 _COMM=sshd-session"
"""What servers of SSH log, whatever their unit is called; other accounts may log under the same names."""


class JailsError(Exception):
    """Something cannot be written so that fail2ban reads it as meant; says what."""


@dataclass(frozen=True)
class Limits:
    """How many failures within how long are too many, and for how long is banned; seconds."""

    failures: int
    find_time: int
    ban_time: int
    max_ban_time: int


@dataclass(frozen=True)
class Jail:
    """A jail as it should be."""

    name: str
    filter: str | None
    """None for fail2ban's own filter of that name."""
    filter_text: str
    logs: tuple[str, ...]
    """Patterns; empty for a jail that reads the journal."""
    ports: tuple[int, ...]
    """Empty for all."""
    limits: Limits
    ignore: tuple[str, ...]
    instance: str | None = None
    """The instance whose failed logins it counts; None for those of all of them, or of SSH."""
    actions: tuple[str, ...] = ()
    """What else is done with a ban, as fail2ban writes it."""

    @property
    def digest(self) -> str:
        """What tells this jail, its filter included, from any other."""
        return hashlib.sha256(repr(dataclasses.astuple(self)).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Networks:
    """Who is never banned, and who tells the truth about addresses."""

    ignore: tuple[str, ...]
    proxies: tuple[str, ...]
    everybody: str | None = None
    """The variable that says that nobody is to be banned at all."""


def networks_of(
    lists: Mapping[str, Sequence[str] | None], own_addresses: Iterable[str], proxies: Sequence[str] | None
) -> Networks:
    """Return who is never banned.

    Args:
        lists: networks that are never banned, by the variable they are from; None where nobody has said.
        own_addresses: those of the host.
        proxies: addresses of the reverse proxies, which are trusted to tell their clients' addresses.

    Raises:
        RulesError: one of them is no network; names it.

    """
    everybody = None
    found: dict[str, None] = dict.fromkeys(LOOPBACK)
    for variable, values in lists.items():
        parsed = parse_networks(values or [], variable)
        everybody = variable if parsed is None else everybody
        found.update(dict.fromkeys(parsed or ()))
    found.update(dict.fromkeys(reachable_at(own_addresses)))
    trusted = tuple(parse_networks(proxies or [], "atlassian_dc_proxy_addresses") or ())
    return Networks(tuple(found), tuple(dict.fromkeys((*trusted, *LOOPBACK))) if trusted else (), everybody)


def safe_name(text: str) -> str:
    """Return a part of the name of a jail that tells an instance from all others, whatever it is called."""
    safe = re.sub(r"[^A-Za-z0-9_-]", "-", text)[:_NAME_LENGTH]
    return safe if safe == text else f"{safe}-{hashlib.sha256(text.encode('utf-8', 'replace')).hexdigest()[:6]}"


def log_pattern(folder: str, pattern: str) -> str:
    """Return the pattern of a log below a folder that may itself hold what patterns are made of.

    Raises:
        JailsError: fail2ban or systemd would read the path otherwise.

    """
    path = os.path.join(folder, pattern)
    if _UNWRITABLE.search(path):
        raise JailsError(f"{path!r} cannot be written in a configuration of fail2ban")
    return os.path.join(glob.escape(folder), pattern)


@dataclass(frozen=True)
class Product:
    """What is known of the failed logins of a product."""

    name: str
    sources: tuple[Mapping[str, Any], ...] | None
    """None where nobody tells how it logs them, empty where nobody logs in to it."""


def product_jails(
    instance: Mapping[str, Any], product: Product, networks: Networks, limits: Limits, further_ports: Iterable[int]
) -> list[Jail]:
    """Return the jails of an instance, one for each source of failed logins whose folder is known.

    Args:
        instance: as discovery tells it.
        product: what is known of its product.
        networks: who is never banned, and who is trusted.
        limits: when and for how long.
        further_ports: those of a reverse proxy on the same host.

    Raises:
        JailsError: the path of a log cannot be written.

    """
    jails = []
    ports = http_ports(instance)
    for entry in product.sources or ():
        folder = instance.get(f"{entry['tree']}_dir")
        if not folder:
            continue
        source = Source.from_data(product.name, entry)
        jails.append(
            Jail(
                name=f"{PREFIX}{safe_name(instance['name'])}-{entry['name']}",
                filter=filter_name(product.name, entry["name"]),
                filter_text=render_filter(source, networks.proxies),
                logs=(log_pattern(folder, entry["path"]),),
                ports=tuple(sorted({*ports, *further_ports})) if ports else (),
                limits=limits,
                ignore=networks.ignore,
                instance=instance["name"],
            )
        )
    return jails


def http_ports(instance: Mapping[str, Any]) -> set[int]:
    """Return the ports on which users, or their proxy, reach an instance; empty where they are not known."""
    return {
        entry["port"]
        for entry in instance.get("ports") or ()
        if entry["from"] == "proxy" and entry["port"] and entry["open"] is not False
    }


def proxy_jail(
    logs: Sequence[str],
    ports: Iterable[int],
    login_paths: Mapping[str, Sequence[str]],
    networks: Networks,
    limits: Limits,
) -> Jail:
    """Return the jail of the access logs of a reverse proxy on this host."""
    source = access_log_source(login_paths)
    return Jail(
        name=PROXY_JAIL,
        filter=filter_name(source.product, source.name),
        filter_text=render_filter(source, networks.proxies),
        logs=tuple(log_pattern("/", path.lstrip("/")) for path in logs),
        ports=tuple(sorted(set(ports))),
        limits=limits,
        ignore=networks.ignore,
    )


def sshd_jail(ports: Iterable[int], networks: Networks, limits: Limits) -> Jail:
    """Return the jail of SSH."""
    return Jail(SSHD_JAIL, None, "", (), tuple(sorted(set(ports))), limits, networks.ignore)


# ---- files ---------------------------------------------------------------------------------------


def _value(text: str) -> str:
    """Return a value as it is written, with what fail2ban would take for a reference."""
    return text.replace("%", "%%")


def _lines(values: Iterable[str], key: str) -> str:
    return f"{key} = " + f"\n{' ' * (len(key) + 3)}".join(values)


def render_section(jail: Jail) -> str:
    """Return the section of a jail."""
    limits = jail.limits
    where = f'port="{",".join(map(str, jail.ports))}"' if jail.ports else ""
    kind = "multiport" if jail.ports else "allports"
    options = [f"type={kind}", f'name="{jail.name}"', where, "protocol=tcp", f"{DIGEST}={jail.digest}"]
    action = f"{ACTION}[{', '.join(filter(None, options))}]"
    if jail.logs:
        # The word says where to begin; without it the last word of a path with spaces would be taken for it.
        source = ["backend = polling", _lines([f"{_value(path)} head" for path in (*jail.logs, EMPTY_LOG)], "logpath")]
    else:
        source = ["backend = systemd", f"journalmatch = {JOURNAL_OF_SSHD}"]
    return "\n".join(
        [
            f"[{jail.name}]",
            "enabled = true",
            *([f"filter = {jail.filter}"] if jail.filter else []),
            *source,
            "logencoding = utf-8",
            "usedns = no",
            f"maxretry = {limits.failures}",
            f"findtime = {limits.find_time}",
            f"bantime = {limits.ban_time}",
            "bantime.increment = true",
            f"bantime.maxtime = {max(limits.max_ban_time, limits.ban_time)}",
            f"bantime.rndtime = {limits.ban_time // 12}",
            "ignoreself = true",
            "ignorecommand =",
            _lines(map(_value, jail.ignore), "ignoreip"),
            _lines([action, *jail.actions], "action"),
            "",
        ]
    )


def render_jails(jails: Iterable[Jail]) -> str:
    """Return the drop-in that holds jails."""
    return HEADER + "\n" + "\n".join(map(render_section, jails))


OFF = f"""\
{HEADER}
# The distribution's jail: it cannot work as it is, or nobody has said who must never be banned by it.
[{SSHD_JAIL}]
enabled = false
"""


def render_defaults(ignore: Iterable[str]) -> str:
    """Return the drop-in with who is never banned, by jails of others neither."""
    return f"{HEADER}\n[DEFAULT]\n{_lines(map(_value, ignore), 'ignoreip')}\n"


def render_server(limits: Limits) -> str:
    """Return the drop-in of the server: it must not forget a ban before that ends, or a restart would end it."""
    return f"{HEADER}\n[Definition]\ndbpurgeage = {max(limits.max_ban_time, limits.ban_time) + 86400}\n"


def filter_files(jails: Iterable[Jail]) -> Files:
    """Return the filters of jails."""
    return {f"filter.d/{jail.filter}.conf": jail.filter_text for jail in jails if jail.filter}


def render_watcher(jails: Sequence[Jail]) -> Files:
    """Return what makes jails read logs that have come up since they were loaded: its unit by name, its script by path.

    A pattern is only expanded when a jail is loaded, and products begin a new file every day. A path unit of systemd
    would not do: what comes up while the service it has started ends is not seen.
    """
    service = [
        "[Unit]",
        "Description=Have new logs of Atlassian Data Center products read by fail2ban",
        "# With fail2ban it starts and stops, and it must never give up.",
        *("After=fail2ban.service", "PartOf=fail2ban.service", "StartLimitIntervalSec=0", ""),
        *("[Service]", f"ExecStart=/bin/sh {LOGS_SCRIPT}", "Restart=always", "RestartSec=1", ""),
        *("[Install]", "WantedBy=fail2ban.service", ""),
    ]
    patterns = dict.fromkeys(_shell_pattern(path) for jail in jails for path in jail.logs)
    names = " ".join(jail.name for jail in jails if jail.logs)
    return {
        LOGS_SCRIPT: HEADER + _SCRIPT.format(patterns=" ".join(patterns), names=names),
        LOGS_SERVICE: HEADER + "\n".join(service),
    }


_SCRIPT = """\
# Has jails of fail2ban look for new files of their logs. Positions in files, counts and bans are kept.
logs() {{ ls -di -- {patterns} 2>/dev/null; }}
load() {{
    for jail in {names}; do
        fail2ban-client -q reload --if-exists $jail >/dev/null || return 1
    done
}}
while sleep 1; do
    # Listed before it is loaded: what comes up in between differs the next time.
    now=$(logs)
    if [ "$now" != "$seen" ] && load; then
        seen=$now
    fi
done
"""


def _shell_pattern(pattern: str) -> str:
    """Return a pattern as a shell takes it."""
    return re.sub(r"[^*?\[\]]+", lambda match: shlex.quote(match.group()), pattern)


def log_folder(pattern: str) -> str:
    """Return the folder below which the logs of a pattern lie."""
    folder = os.path.dirname(pattern)
    while _literal(folder) is None:
        folder = os.path.dirname(folder)
    return str(_literal(folder))


def _literal(pattern: str) -> str | None:
    """Return the path that a pattern means; None where it may mean several."""
    text = re.sub(r"\[([*?[])\]", "\0\\1", pattern)
    if _WILD.search(re.sub(r"\0.", "", text)):
        return None
    return text.replace("\0", "")


def in_scratch(files: Mapping[str, str], empty_log: str) -> Files:
    """Return files that read another empty log, for trying them before there is ours."""
    return {name: text.replace(EMPTY_LOG, _value(empty_log)) for name, text in files.items()}
