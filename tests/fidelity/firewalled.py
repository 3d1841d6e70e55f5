# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts to try the firewall on, what listens on them, and who may reach it."""

from __future__ import annotations

import json
import shlex
import subprocess
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml

from .lab import Lab

HERE = Path(__file__).parent
SCAN, LISTEN, WATCH = ((HERE / name).read_text(encoding="utf-8") for name in ("scan.py", "listen.py", "watch.py"))

CLIENTS = {
    "proxy": "base",
    "peer": "base:trixie",
    "admin": "base",
    "stranger": "base",
    # A remote agent that really is one: it talks to the broker of bamboo1.
    "agent": "agent",
    "monitoring": "base",
}
"""Those who try to reach the others, and the images of their hosts."""
ANYBODY = " ".join(CLIENTS)
COMMON = {"tcp/22": "admin", "tcp/9100": "monitoring", "udp/5161": "monitoring", "udp/5405": ""}
REACHED_BY: dict[str, dict[str, str]] = {
    "jira1": {"tcp/8080": "proxy", "tcp/40001": "peer", "tcp/40011": "peer", "tcp/5005": ""},
    "confluence1": {
        **{"tcp/8090": "proxy", "tcp/5801": "peer"},
        **{"tcp/8091": "proxy", "tcp/5701": "peer", "tcp/25500": "peer"},  # Synchrony
    },
    "bitbucket1": {"tcp/7990": "proxy", "tcp/7999": ANYBODY, "tcp/5701": "peer", "tcp/7777": "peer"},  # the last: Mesh
    "bamboo1": {"tcp/8085": "proxy", "tcp/54663": "agent"},
    "crowd1": {"tcp/8095": "proxy"},
    "walled1": {"tcp/8080": "proxy"},
}
"""What may reach which port once a host is hardened, besides what is common to all. This is the expectation of the
tests, written down by hand; nothing of the role goes into it."""
PRODUCTS = {
    "jira1": "jira",
    "confluence1": "confluence:trixie",
    "bitbucket1": "bitbucket",
    "bamboo1": "bamboo",
    "crowd1": "crowd",
    "walled1": "firewalld",
}
LISTENER = "/usr/local/lib/listen.py"
# Units, and the ports they listen on, of every host of a product.
STAND_INS = {
    "stand-in-node-exporter": ["tcp/9100"],
    "stand-in-snmp": ["udp/5161"],
    "stand-in-discovery": ["udp/5405"],
}
# What the stand-ins of the products do not listen on.
CLUSTER_PORTS = {"jira1": ["tcp/40001", "tcp/40011"], "confluence1": ["tcp/5801"], "bitbucket1": ["tcp/5701"]}
JIRA_HOME = "/var/atlassian/application-data/jira"
MEMBER = {
    "jira1": f"""
        printf 'jira.node.id = n1\\njira.shared.home = /srv/shared\\nehcache.listener.port = 40001\\n\
ehcache.object.port = 40011\\n' > {JIRA_HOME}/cluster.properties
        sed -i 's/^JVM_SUPPORT_RECOMMENDED_ARGS=.*/JVM_SUPPORT_RECOMMENDED_ARGS="\
-agentlib:jdwp=transport=dt_socket,server=y,suspend=n,address=*:5005"/' /opt/atlassian/jira/bin/setenv.sh
        systemctl restart jira.service
        until ss -ltn | grep -q ':8080 '; do sleep 0.2; done
    """,
    "confluence1": """
        sed -i 's|^ *<property name="confluence.cluster.home">|<property name="confluence.cluster">true</property>&|' \
            /var/atlassian/application-data/confluence/confluence.cfg.xml
    """,
    "bitbucket1": """
        echo hazelcast.network.tcpip=true >> /var/atlassian/application-data/bitbucket/shared/bitbucket.properties
    """,
}
"""What makes hosts nodes of a cluster; and Jira's a host whose debugger somebody has forgotten."""


def listen(lab: Lab, host: str, units: Mapping[str, Iterable[str]], first: str = "") -> None:
    """Start units, return when they listen on their ports; also after a restart. `first` is a script to run before."""
    script = f"printf %s {shlex.quote(LISTEN)} > {LISTENER}\n{first}\n"
    for unit, ports in units.items():
        text = (
            f"[Unit]\nDescription=Listens where {unit.removeprefix('stand-in-')} would\n"
            f"[Service]\nType=notify\nNotifyAccess=all\nExecStart=/usr/bin/python3 {LISTENER} {' '.join(ports)}\n"
            "[Install]\nWantedBy=multi-user.target\n"
        )
        script += f"printf %s {shlex.quote(text)} > /etc/systemd/system/{unit}.service\n"
    lab.sh(host, f"{script}systemctl daemon-reload\nsystemctl enable --now --quiet {' '.join(units)}")


def families(lab: Lab, host: str) -> dict[str, str]:
    """Return the addresses of a host: IPv4, and IPv6 where the machine has it."""
    found = lab.group.hosts()[host]
    return {"IPv4": found.address, **({"IPv6": found.address6} if found.address6 else {})}


def addresses(lab: Lab, *hosts: str) -> list[str]:
    return [address for host in hosts for address in families(lab, host).values()]


def wanted(host: str) -> dict[str, str]:
    """Return who may reach each port of a host."""
    return {**COMMON, **REACHED_BY.get(host, {})}


Scan = dict[tuple[str, str, str, str], str]
"""Client, host, family and port to open, closed or filtered."""


def scan(lab: Lab, ports: Mapping[str, Iterable[str]], clients: Iterable[str] = tuple(CLIENTS)) -> Scan:
    """Look from every client at ports of hosts, over all families."""
    keys = [(host, family, port) for host in ports for family in families(lab, host) for port in ports[host]]
    asked = []
    for host, family, port in keys:
        protocol, _slash, number = port.partition("/")
        asked.append((families(lab, host)[family], protocol, int(number)))

    def look(client: str) -> Scan:
        words = json.loads(lab.group.output(client, ["python3", "-c", SCAN, json.dumps(asked)]))
        return {(client, *key): word for key, word in zip(keys, words, strict=True)}

    found: Scan = {}
    clients = list(clients)
    with ThreadPoolExecutor(max_workers=len(clients)) as pool:
        for part in pool.map(look, clients):
            found.update(part)
    return found


def expected(found: Scan, closed: str = "filtered") -> Scan:
    """Return what a scan of hardened hosts has to find."""
    return {key: "open" if key[0] in wanted(key[1])[key[3]].split() else closed for key in found}


def watch(lab: Lab, host: str, moment: str, *options: str) -> None:
    """Return at a moment of a host, what is to be done then done; see watch.py."""
    lab.group.output(host, ["python3", "-c", WATCH, moment, *options])


def say_of(lab: Lab, host: str, variables: Mapping[str, Any]) -> None:
    """Set variables of one host, or of all hosts (`all`), as an inventory does; they replace those set before."""
    folder = lab.group.dir / ("group_vars" if host == "all" else "host_vars")
    folder.mkdir(exist_ok=True)
    (folder / f"{host}.yml").write_text(yaml.safe_dump(dict(variables)), encoding="utf-8")


def reachable(lab: Lab, host: str, seconds: float = 60) -> bool:
    """Tell whether a new SSH connection from here can be had."""
    deadline = time.monotonic() + seconds
    while True:
        done = subprocess.run(lab.group.ssh_argv(host, "true"), capture_output=True, check=False)
        if done.returncode == 0 or time.monotonic() > deadline:
            return done.returncode == 0
        time.sleep(0.2)
