# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collector of logs: an instance of rsyslog that writes what shippers send, by host and day."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from ansible_collections.atlassian_dc.hardening.plugins.module_utils._shipping_config import (
    CANARY,
    FOLDER,
    HEADER,
    LONGEST,
    NAME,
    RSYSLOGD,
    SYSTEMD,
    digest,
    quoted,
    render_room,
    render_room_service,
)

SERVICE = f"{NAME}-collector.service"
KEEP_SERVICE = f"{NAME}-collector-keep.service"
KEEP_TIMER = f"{NAME}-collector-keep.timer"
ROOM_SERVICE = f"{NAME}-collector-room.service"
UNITS = (SERVICE, ROOM_SERVICE, KEEP_SERVICE, KEEP_TIMER)
SERVED = (SERVICE, ROOM_SERVICE, KEEP_TIMER)
"""Those that run all the time and are started at boot."""
CONFIG = f"{FOLDER}/collector.conf"
KEEP_SCRIPT = f"{FOLDER}/collector-keep"
ROOM_SCRIPT = f"{FOLDER}/collector-room"
LOGS = f"/var/log/{NAME}-collector"
STATE = f"/var/lib/{NAME}-collector"
_TAIL = 4096


@dataclass(frozen=True)
class Receiver:
    """What a collector takes.

    Attributes:
        ports: TCP ports by protocol, ``relp`` and ``tcp``.
        peers: names of which a shipper's certificate has to hold one.
        certificate: paths of ``ca``, ``cert`` and ``key``.
        days: how many days are kept.

    """

    ports: Mapping[str, int]
    peers: tuple[str, ...]
    certificate: Mapping[str, str]
    days: int


def render_config(receiver: Receiver) -> str:
    """Return the configuration of the collector. What it confirms is written: there is no queue in between."""
    files, peers = receiver.certificate, ", ".join(map(quoted, receiver.peers))
    stream = (
        f'    defaultNetstreamDriver="ossl"\n    defaultNetstreamDriverCAFile={quoted(files["ca"])}\n'
        f"    defaultNetstreamDriverCertFile={quoted(files['cert'])}\n"
        f"    defaultNetstreamDriverKeyFile={quoted(files['key'])}\n"
    )
    parts = [
        HEADER,
        f'global(\n    workDirectory="{STATE}"\n    maxMessageSize="{LONGEST + 50}k"\n    net.enableDNS="off"\n'
        f'    processInternalMessages="off"\n{stream if "tcp" in receiver.ports else ""})\n',
        'main_queue(queue.type="Direct")\n',
        f'template(name="place" type="string" string="{LOGS}/%hostname:::secpath-replace%/%$now-utc%/'
        '%app-name:::secpath-replace%.%msgid:::secpath-replace%.log")\n',
        # Whoever has a certificate can call himself what he likes; the address he comes from he cannot choose.
        'template(name="entry" type="string" string="%timereported:::date-rfc3339% %fromhost-ip% %structured-data%'
        ' %msg%\\n")\n',
        'ruleset(name="collect" queue.type="Direct") {\n'
        '    action(type="omfile" dynaFile="place" template="entry" fileCreateMode="0600" dirCreateMode="0700"\n'
        '        asyncWriting="off" flushOnTXEnd="on" closeTimeout="5" dynaFileCacheSize="200"\n'
        '        action.resumeRetryCount="-1" action.resumeInterval="5" action.resumeIntervalMax="30")\n}\n',
    ]
    if "relp" in receiver.ports:
        parts.append(
            'module(load="imrelp" tls.tlslib="openssl")\n'
            f'input(type="imrelp" port="{receiver.ports["relp"]}" ruleset="collect" maxDataSize="{LONGEST + 50}k"\n'
            f'    keepAlive="on" tls="on" tls.authMode="name" tls.permittedPeer=[{peers}]\n'
            f"    tls.caCert={quoted(files['ca'])} tls.myCert={quoted(files['cert'])}"
            f" tls.myPrivKey={quoted(files['key'])})\n"
        )
    if "tcp" in receiver.ports:
        parts.append(
            'module(load="imtcp" streamDriver.name="ossl" streamDriver.mode="1" streamDriver.authMode="x509/name"\n'
            f'    permittedPeer=[{peers}] keepAlive="on")\n'
            f'input(type="imtcp" port="{receiver.ports["tcp"]}" ruleset="collect")\n'
        )
    return "".join(parts)


_KEEP = """\
# What is written is only added to, as far as the file system can see to it; older days are packed, and then go.
cd {logs} || exit 0
# A day is over for good when nobody has a file of it open any more.
today=$(date -u -d '2 hours ago' +%F)
oldest=$(date -u -d '{days} days ago' +%F)
for folder in */????-??-??; do
    [ -d "$folder" ] && [ ! -h "$folder" ] || continue
    day=${{folder##*/}}
    if [ "$day" \\< "$oldest" ]; then
        chattr -R -a "$folder" 2>/dev/null
        rm -rf -- "$folder"
    elif [ "$day" \\< "$today" ]; then
        for file in "$folder"/*.log; do
            [ -f "$file" ] || continue
            chattr -a "$file" 2>/dev/null
            gzip -q -- "$file" && chattr +i "$file.gz" 2>/dev/null
        done
    else
        chattr +a "$folder"/*.log 2>/dev/null
    fi
done
exit 0
"""


def render_files(receiver: Receiver, certificate: str) -> dict[str, str]:
    """Return all files by path.

    Args:
        receiver: what is taken.
        certificate: digest of the certificate, so that a new one restarts the collector.

    """
    config = render_config(receiver)
    service = f"""\
{HEADER}[Unit]
Description=Collector of logs of Atlassian Data Center products
After=network-online.target
Wants=network-online.target
StartLimitIntervalSec=0

[Service]
# Which configuration the process has read.
Environment=ATLASSIAN_DC_CONFIG={digest(config, certificate)}
# On a full disk rsyslog confirms what it cannot write: then it does not run, and shippers keep it.
ExecStartPre=/bin/sh {ROOM_SCRIPT}
ExecStart={RSYSLOGD} -n -i NONE -f {CONFIG}
Restart=always
RestartSec=2
TimeoutStopSec=30
StateDirectory={NAME}-collector
StateDirectoryMode=0700
LogsDirectory={NAME}-collector
LogsDirectoryMode=0700
UMask=0077
CapabilityBoundingSet=CAP_NET_BIND_SERVICE
NoNewPrivileges=yes
PrivateDevices=yes
PrivateTmp=yes
ProtectControlGroups=yes
ProtectHome=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectSystem=strict
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
RestrictNamespaces=yes
RestrictRealtime=yes
LockPersonality=yes
SystemCallArchitectures=native
LimitNOFILE=16384

[Install]
WantedBy=multi-user.target
"""
    keep_service = f"""\
{HEADER}[Unit]
Description=Keep collected logs as long as they are to be kept

[Service]
Type=oneshot
ExecStart=/bin/sh {KEEP_SCRIPT}
Nice=10
IOSchedulingClass=idle
ProtectSystem=strict
ReadWritePaths=-{LOGS}
PrivateTmp=yes
UMask=0077
LogLevelMax=notice
"""
    keep_timer = f"""\
{HEADER}[Unit]
Description=Keep collected logs as long as they are to be kept

[Timer]
OnActiveSec=1min
OnUnitActiveSec=10min

[Install]
WantedBy=timers.target
"""
    return {
        CONFIG: config,
        KEEP_SCRIPT: HEADER + _KEEP.format(logs=LOGS, days=receiver.days),
        f"{SYSTEMD}/{SERVICE}": service,
        ROOM_SCRIPT: render_room(LOGS, SERVICE),
        f"{SYSTEMD}/{ROOM_SERVICE}": render_room_service(ROOM_SCRIPT, SERVICE),
        f"{SYSTEMD}/{KEEP_SERVICE}": keep_service,
        f"{SYSTEMD}/{KEEP_TIMER}": keep_timer,
    }


def canaries_seen(logs: str) -> dict[str, dict[str, int]]:
    """Return when each canary that has arrived last was sent, in seconds since 1970, by host and name.

    Args:
        logs: folder of the collected logs.

    """
    return {node: _of_node(os.path.join(logs, node)) for node in (os.listdir(logs) if os.path.isdir(logs) else [])}


def _of_node(folder: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for day in sorted(os.listdir(folder))[-2:]:
        for name in os.listdir(os.path.join(folder, day)):
            match = re.fullmatch(rf"{CANARY}\.([\w.-]+)\.log", name)
            if match is None:
                continue
            with open(os.path.join(folder, day, name), "rb") as handle:
                handle.seek(max(0, os.fstat(handle.fileno()).st_size - _TAIL))
                sent = re.findall(rb"\] canary (\d{1,12})\n", handle.read())
            if sent:
                found[match[1]] = max(found.get(match[1], 0), *map(int, sent))
    return found
