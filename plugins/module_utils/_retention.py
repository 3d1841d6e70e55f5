# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who rotates which log, for how long it is kept, and the files with which ours are rotated.

A log has one owner: the product, somebody's logrotate, or this collection where nobody else is. What is read here are
configurations of products and answers of tools; nothing is changed.
"""

from __future__ import annotations

import fnmatch
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from xml.etree import ElementTree

CONFIG = "/etc/atlassian-dc/log-shipping/rotation.conf"
SCRIPT = "/etc/atlassian-dc/log-shipping/rotate"
STATE = "/var/lib/atlassian-dc-log-shipping-rotation"
UNIT = "atlassian-dc-log-shipping-rotation"
SHIPPER = "atlassian-dc-log-shipping.service"
"""Sends the logs off the host. It does not read copies, or all lines would come twice: so it has to be there first."""
UNSHIPPED_MEGABYTES = 1024
"""Size beyond which a log is cut although nothing has read it."""

HEADER = "# Written by atlassian_dc.hardening, role log_shipping. Change its variables, not this file.\n"

_UNSAFE = re.compile(r'["*?\[\]{}\\\x00-\x1f\x7f]')
"""What would mean something to logrotate in the name of a log."""

_PATTERN = re.compile(r"^rotating pattern: (?P<pattern>.+?) {1,2}(?P<when>after [0-9]+ days|[a-z]+|[0-9]+ bytes) \(")
_LOG = re.compile(r"^considering log (?P<path>/.*)$")
_COUNT = re.compile(r"\((?:(?P<count>[0-9]+) rotations|no old logs will be kept)\)$")
_DAYS = {"hourly": 1 / 24, "weekly": 7.0, "monthly": 28.0, "yearly": 365.0}

_UNITS = {
    "": 1.0, "s": 1.0, "sec": 1.0, "second": 1.0, "seconds": 1.0, "m": 60.0, "min": 60.0, "minute": 60.0,
    "minutes": 60.0, "h": 3600.0, "hr": 3600.0, "hour": 3600.0, "hours": 3600.0, "d": 86400.0, "day": 86400.0,
    "days": 86400.0, "w": 604800.0, "week": 604800.0, "weeks": 604800.0, "M": 2629800.0, "month": 2629800.0,
    "months": 2629800.0, "y": 31557600.0, "year": 31557600.0, "years": 31557600.0,
}  # fmt: skip
_SPAN = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?\s*[A-Za-z]*\s*)+")


class Rotation(NamedTuple):
    """How somebody's logrotate treats a log."""

    days: float | None
    """For how long it is kept; None where that depends on its size."""


@dataclass(frozen=True)
class Truncated:
    """A log that is ours: copied, then cut to nothing, for whoever writes it keeps it open."""

    path: str
    account: str
    group: str


@dataclass(frozen=True)
class Aged:
    """Dated logs of which ours are those that are old enough to go."""

    folder: str
    pattern: str
    account: str
    group: str


def safe(path: str) -> bool:
    """Whether logrotate takes a path for nothing but a path."""
    return not _UNSAFE.search(path)


def owner_of(log: Mapping[str, Any], owners: Iterable[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Return the entry of product data that says who rotates a log, None where nobody knows."""
    for entry in owners:
        if entry["tree"] == log["tree"] and fnmatch.fnmatchcase(log["path"], entry["path"]):
            return entry
    return None


# ---- what products are told ------------------------------------------------------------------------------------------


def valve_days(root: ElementTree.Element) -> list[tuple[bool, int]]:
    """Return of each access log valve in Tomcat's file whether it begins a new log every day, and its ``maxDays``.

    Raises:
        ValueError: a number is none.

    """
    found = []
    for valve in root.iter("Valve"):
        if valve.get("className", "").endswith("AccessLogValve"):
            found.append((valve.get("rotatable", "true").lower() != "false", int(valve.get("maxDays", "-1"))))
    return found


def handler_days(properties: Mapping[str, str], name: str) -> int:
    """Return for how many days Tomcat's own logging keeps a log; not positive where it never deletes one.

    Args:
        properties: its configuration.
        name: of the log, with a pattern in the place of the date.

    Raises:
        ValueError: the number is none.

    """
    for key, value in properties.items():
        handler, _dot, option = key.rpartition(".")
        if option == "prefix" and value.strip() and name.startswith(value.strip()):
            return int(properties.get(f"{handler}.maxDays", "-1").strip())
    return -1


def most_generations(text: str) -> int | None:
    """Return how many older files of a log a configuration of Log4j keeps, the most of all its logs; None for none."""
    found = re.findall(r"MaxBackupIndex\s*=\s*([0-9]{1,4})|\.max\s*=\s*([0-9]{1,4})|\smax=\"([0-9]{1,4})\"", text)
    numbers = [int(number) for groups in found for number in groups if number]
    return max(numbers) if numbers else None


# ---- somebody's logrotate --------------------------------------------------------------------------------------------


def parse_logrotate(text: str) -> dict[str, Rotation]:
    """Return the logs that ``logrotate --debug`` would handle, and how."""
    found: dict[str, Rotation] = {}
    rotation = Rotation(None)
    for line in text.splitlines():
        pattern = _PATTERN.match(line)
        if pattern:
            rotation = Rotation(_kept(pattern["when"], line))
            continue
        log = _LOG.match(line)
        if log:
            found[log["path"]] = rotation
    return found


def _kept(when: str, line: str) -> float | None:
    count = _COUNT.search(line)
    if count is None or when.endswith(" bytes"):
        return None
    every = float(when.split()[1]) if when.startswith("after ") else _DAYS.get(when)
    return None if every is None else every * int(count["count"] or 0)


# ---- ours ------------------------------------------------------------------------------------------------------------


def render_config(logs: Sequence[Truncated], keep_days: int) -> str:
    """Return the configuration of our logrotate."""
    parts = [HEADER]
    for log in logs:
        parts.append(
            f'"{log.path}" {{\n'
            f"    su {log.account} {log.group}\n"
            "    daily\n    maxsize 200M\n"
            f"    rotate {2 * keep_days}\n    maxage {keep_days}\n"
            "    missingok\n    notifempty\n    copytruncate\n    compress\n    delaycompress\n"
            "    dateext\n    dateformat -%Y%m%d-%s\n}\n"
        )
    return "\n".join(parts)


def render_script(truncated: Sequence[Truncated], aged: Sequence[Aged], keep_days: int, logrotate: str) -> str:
    """Return the script that the unit runs: what one log makes impossible does not keep it from the others."""
    logs = shlex.join(log.path for log in truncated)
    large = f"find {logs} -size +{UNSHIPPED_MEGABYTES}M 2>/dev/null | grep -q ." if truncated else "false"
    lines = [
        "#!/bin/sh\n",
        HEADER,
        "failed=0\n",
        f"unit={SHIPPER}\n",
        'if systemctl -q is-enabled "$unit" 2>/dev/null && ! systemctl -q is-active "$unit" &&\n',
        f"  ! {{ {large}; }}; then\n",
        f"  echo 'logs wait to be rotated until {SHIPPER} has read them'\n",
        "else\n",
        f"  {logrotate} --state {STATE}/state {CONFIG} || failed=1\n",
        "fi\n",
    ]
    for item in aged:
        # As the account that may delete them anyway: it could put a link in the place of the folder.
        argv = [
            *("setpriv", f"--reuid={item.account}", f"--regid={item.group}", "--clear-groups"),
            *("find", item.folder, "-maxdepth", "1", "-type", "f"),
            *("-name", item.pattern, "-mtime", f"+{keep_days}", "-delete"),
        ]
        lines.append(f"[ ! -d {shlex.quote(item.folder)} ] || {shlex.join(argv)} || failed=1\n")
    lines.append("exit $failed\n")
    return "".join(lines)


def render_service(folders: Iterable[str]) -> str:
    """Return the unit that rotates; it may write where the logs lie.

    Args:
        folders: those of the logs, as systemd takes them.

    """
    return f"""{HEADER}[Unit]
Description=Rotation of logs that nothing else rotates (atlassian_dc.hardening)

[Service]
Type=oneshot
ExecStart=/bin/sh {SCRIPT}
StateDirectory={UNIT}
Nice=19
IOSchedulingClass=idle
ProtectSystem=strict
ReadWritePaths={" ".join(folders)}
PrivateTmp=yes
PrivateDevices=yes
PrivateNetwork=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectControlGroups=yes
NoNewPrivileges=yes
RestrictSUIDSGID=yes
CapabilityBoundingSet=CAP_SETUID CAP_SETGID CAP_CHOWN CAP_FOWNER CAP_DAC_OVERRIDE
"""


def render_timer() -> str:
    """Return the unit that starts it: every hour, for a log may grow fast."""
    return f"""{HEADER}[Unit]
Description=Rotation of logs that nothing else rotates (atlassian_dc.hardening)

[Timer]
OnCalendar=hourly
RandomizedDelaySec=5min
Persistent=true

[Install]
WantedBy=timers.target
"""


# ---- the journal -----------------------------------------------------------------------------------------------------


def journal_settings(text: str, without: str = "") -> dict[str, tuple[str, str]]:
    """Return what ``systemd-analyze cat-config`` says of the journal: by key the value that holds, and its file.

    Args:
        text: the answer.
        without: a file that does not count.

    """
    found: dict[str, tuple[str, str]] = {}
    path = section = ""
    for line in text.splitlines():
        if line.startswith("# /"):
            path = line[2:]
        elif line.startswith("["):
            section = line.strip()
        elif "=" in line and not line.startswith(("#", ";")) and section == "[Journal]" and path != without:
            key, _equals, value = line.partition("=")
            found[key.strip()] = (value.strip(), path)
    return found


def time_span(text: str) -> float | None:
    """Return a time span of systemd in seconds, None where it is none."""
    if not _SPAN.fullmatch(text.strip()):
        return None
    total = 0.0
    for number, unit in re.findall(r"([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)", text):
        if unit not in _UNITS:
            return None
        total += float(number) * _UNITS[unit]
    return total
