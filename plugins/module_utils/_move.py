# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeps a product from being moved to its account and sandbox by a drop-in of its unit."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.atlassian_dc.hardening.plugins.module_utils._findings import Evidence, evidence
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._systemd import (
    Process,
    below,
    cgroup_paths,
    needed_folders,
)

UNIT_PROPERTIES = ("LoadState", "ActiveState", "SubState", "ExecStartEx")
"""Properties of a unit that the functions below look at."""

OWN_UNIT = "the product's own start script, in a unit of its own (see the README of role service_user)"

MIN_FREE_BYTES = 16 * 1024 * 1024
"""Space that a file system must have left for a product to be stopped: one that finds none does not start again."""

MAX_SCRIPT = 256 * 1024
"""Most bytes of a start script that are looked at."""

_CHANGES_USER = frozenset({"su", "runuser", "sudo", "setpriv", "daemonize", "start-stop-daemon"})

# A command that runs another one as another account, where a shell expects a command.
_CHANGE_IN_SCRIPT = re.compile(
    r"""(?:^|[;&|(){`"'] | \b(?:then|do|else|exec|if|nohup|env)\b) \s* (?:/\S*/)?
        (?: (?P<command>su|runuser|sudo|setpriv|daemonize|setuidgid|gosu|chpst) [ \t]+ \S
          | (?P<debian>start-stop-daemon) \b [^\n]* \s (?:--chuid|-c) \b
          | (?P<redhat>daemon) [ \t]+ [^\n]* --user )""",
    re.MULTILINE | re.VERBOSE,
)


def in_unit(process: Process, unit: str) -> bool:
    """Whether a process belongs to a unit, as far as is known."""
    if not process.cgroup:
        return True
    # systemd writes characters that are special to it as \x2d and the like, in both places the same
    return any(unit in line.rpartition(":")[2].split("/") for line in process.cgroup.splitlines())


def home_of_process(process: Process) -> str:
    """Return the unit, session or container a process runs in, "" when it is not known."""
    return next((parts[-1] for parts in cgroup_paths(process.cgroup) if parts[-1]), "")


def can_be_restarted(instance: Mapping[str, Any], shown: Mapping[str, str], process: Process | None) -> bool:
    """Whether stopping and starting its unit restarts the product."""
    unit = instance.get("unit")
    if not unit or shown.get("LoadState", "loaded") != "loaded":
        return False
    # A script that opens a session (su) takes the product out of a unit that stays active without a process.
    stays = (shown.get("ActiveState"), shown.get("SubState")) == ("active", "exited")
    return process is None or in_unit(process, unit) or stays


def _command_lines(shown: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """Yield program, arguments and flags of each ExecStart=."""
    for line in shown.get("ExecStartEx", "").splitlines():
        path = re.search(r"path=(\S+)", line)
        arguments = re.search(r"argv\[\]=(.*?) ; ", line)
        flags = re.search(r"flags=([^;]*)", line)
        if path:
            yield path[1], arguments[1] if arguments else "", flags[1].strip() if flags else ""


def _script_text(path: str, root: str, own: list[str]) -> str:
    """Return a script that is not the product's own, without comments; "" for anything else."""
    real = os.path.realpath(os.path.join(root, path.lstrip("/")))
    if any(below(real, os.path.join(root, folder.lstrip("/"))) for folder in own):
        # The product's own ones start it as whoever calls them.
        return ""
    try:
        if not stat.S_ISREG(os.stat(real).st_mode):
            return ""
        with open(real, "rb") as handle:
            data = handle.read(MAX_SCRIPT)
    except OSError:
        return ""
    if not data.startswith(b"#!"):
        return ""
    return re.sub(r"^\s*#.*$", "", data.decode("utf-8", "replace"), flags=re.MULTILINE)


def _changes_account(text: str) -> str:
    found = _CHANGE_IN_SCRIPT.search(text)
    return found[found.lastgroup or 0] if found else ""


def start_blockers(instance: Mapping[str, Any], shown: Mapping[str, str], root: str = "/") -> list[Evidence]:
    """Return what in the way the unit starts the product would defeat ``User=`` and the sandbox."""
    what = f"ExecStart= of {instance['unit']}"
    own = [str(instance[key]) for key in ("install_dir", "install_link") if instance.get(key)]
    found = []
    for program, arguments, flags in _command_lines(shown):
        if re.search(r"privileged|no-setuid", flags):
            found.append(evidence(what, "no prefix + or !, which lift User= and the sandbox", flags))
        if os.path.basename(program) in _CHANGES_USER:
            found.append(evidence(what, OWN_UNIT, f"started through {program}"))
            continue
        words = [word.strip("\"'") for word in arguments.split()]
        if os.path.basename(program) in ("sh", "bash", "dash", "ksh") and "-c" in words:
            command = _changes_account(" ".join(words[words.index("-c") + 1 :]))
            if command:
                found.append(evidence(what, OWN_UNIT, f"a shell command that changes the account by {command}"))
        for script in dict.fromkeys([program, *(word for word in words if word.startswith("/"))]):
            command = _changes_account(_script_text(script, root, own))
            if command:
                found.append(evidence(what, OWN_UNIT, f"{script}, which changes the account by {command}"))
    return found


def move_blockers(
    instance: Mapping[str, Any],
    shown: Mapping[str, str],
    process: Process | None,
    capabilities: str | None,
    root: str = "/",
) -> list[Evidence]:
    """Return what would keep the product from starting as its account, or the drop-in from doing what it says.

    Args:
        instance: the instance, as discovery tells it; it has a unit.
        shown: the UNIT_PROPERTIES of the unit.
        process: what runs now.
        capabilities: those the sandbox gives the product; None when it stays the account it is.
        root: folder that stands for ``/``.

    """
    unit = instance["unit"]
    found = []
    state = shown.get("LoadState", "unknown")
    if state != "loaded":
        found.append(evidence(f"unit {unit}", "loaded", state))
    found += start_blockers(instance, shown, root)
    if process is not None and not can_be_restarted(instance, shown, process):
        where = home_of_process(process)
        actual = f"runs in {where}: started by hand or by something else" if where else "started by hand"
        found.append(evidence(f"process {process.pid}", f"started by {unit}; stop it and start the unit", actual))
    if capabilities is not None and "CAP_NET_BIND_SERVICE" not in capabilities.upper():
        lowest = _lowest_open_port(root)
        for connector in instance.get("connectors") or ():
            port = connector.get("port")
            if isinstance(port, int) and 0 < port < lowest:
                allow = "AmbientCapabilities and CapabilityBoundingSet: CAP_NET_BIND_SERVICE"
                wanted = f"{lowest} or above, or {allow} in atlassian_dc_service_user_sandbox"
                found.append(evidence("connector port", wanted, port))
    return [*found, *full_file_systems(instance, root)]


def full_file_systems(instance: Mapping[str, Any], root: str = "/") -> list[Evidence]:
    """Return the file systems that a product writes to and that are full, each with one of its folders.

    Folders that are missing, or that root may not look at, are passed over.

    Args:
        instance: the instance, as discovery tells it.
        root: folder that stands for ``/``.

    """
    found: dict[int, Evidence] = {}
    for folder in needed_folders(instance, None):
        real = os.path.join(root, folder.lstrip("/"))
        try:
            device, space = os.stat(real).st_dev, os.statvfs(real)
        except OSError:
            continue
        free = space.f_bavail * space.f_frsize  # what is kept for root is no use to the account
        if space.f_blocks and free < MIN_FREE_BYTES and device not in found:
            wanted = f"at least {MIN_FREE_BYTES >> 20} MiB free, or the product may not start again"
            found[device] = evidence(f"file system of {folder}", wanted, f"{free / (1 << 20):.1f} MiB free")
    return list(found.values())


def _lowest_open_port(root: str) -> int:
    try:
        with open(os.path.join(root, "proc/sys/net/ipv4/ip_unprivileged_port_start"), encoding="ascii") as handle:
            return int(handle.read())
    except (OSError, ValueError):
        return 1024
