# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Systemd units and the sandbox of a product: what is wanted, what a unit brings and what a process really has."""

from __future__ import annotations

import errno
import os
import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Callable

STATE_FOLDER = "/var/lib/atlassian-dc"
STAGED_FOLDER = f"{STATE_FOLDER}/staged"
STOPPED_FOLDER = f"{STATE_FOLDER}/stopped"
"""Holds a mark for each unit that was stopped to be restarted, until it runs again."""

CLOCK_TOLERANCE = 2.0
"""Seconds; the kernel tells the time of the last boot to the second only."""

DROP_IN_NAME = "zz-atlassian-dc-service-user.conf"

IDENTITY = ("User", "Group")
"""Directives that answer DC-USR-01; all others of the drop-in answer DC-USR-04."""

SANDBOX: dict[str, str] = {
    "UMask": "0027",
    "NoNewPrivileges": "yes",
    "CapabilityBoundingSet": "",
    "AmbientCapabilities": "",
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "PrivateTmp": "yes",
    "PrivateDevices": "yes",
    "ProtectKernelTunables": "yes",
    "ProtectKernelModules": "yes",
    "ProtectKernelLogs": "yes",
    "ProtectControlGroups": "yes",
    "ProtectClock": "yes",
    "ProtectHostname": "yes",
    "RestrictSUIDSGID": "yes",
    "RestrictRealtime": "yes",
    "RestrictNamespaces": "yes",
    "LockPersonality": "yes",
    "KeyringMode": "private",
    "RestrictAddressFamilies": "AF_UNIX AF_INET AF_INET6 AF_NETLINK",
    "SystemCallArchitectures": "native",
    "SystemCallErrorNumber": "EPERM",
    "SystemCallFilter": "@system-service",
}
"""What a JVM with a web application survives. No MemoryDenyWriteExecute: it breaks the JIT compiler."""

_RESET_FIRST = frozenset({"SystemCallFilter", "SystemCallArchitectures", "RestrictAddressFamilies", "ReadWritePaths"})
"""Lists to which a drop-in would otherwise only add."""

_CAPABILITY_SETS = frozenset({"CapabilityBoundingSet", "AmbientCapabilities"})

_COMPARABLE = frozenset(SANDBOX) | {
    *("User", "Group", "ReadWritePaths", "ProtectProc", "ProcSubset", "PrivateNetwork", "PrivateUsers", "PrivateIPC"),
    *("MemoryDenyWriteExecute", "RemoveIPC"),
}
"""Directives whose value ``systemctl show`` prints in the form in which it was set."""

_HIDDEN_BY_PROTECT_HOME = ("/home", "/root", "/run/user")

RunCommand = Callable[..., "tuple[int, str, str]"]


def staged_path(unit: str) -> str:
    """Return where the drop-in of a unit waits for the restart."""
    return f"{STAGED_FOLDER}/{unit}.conf"


def previous_path(unit: str) -> str:
    """Return where the drop-in that was live before is kept while the restart is under way."""
    return f"{STAGED_FOLDER}/{unit}.previous"


def live_path(unit: str) -> str:
    """Return where the drop-in of a unit is live."""
    return f"/etc/systemd/system/{unit}.d/{DROP_IN_NAME}"


# ---- what systemd says -----------------------------------------------------------------------------


def parse_show(text: str) -> list[dict[str, str]]:
    """Return the properties of each unit in the output of ``systemctl show``."""
    units = []
    for block in re.split(r"\n[ \t]*\n", text.strip("\n")):
        values: dict[str, str] = {}
        for line in block.splitlines():
            key, equals, value = line.partition("=")
            if equals:
                # Several ExecStart lines are several lines of the same name.
                values[key] = f"{values[key]}\n{value}" if key in values else value
        if values:
            units.append(values)
    return units


def show_units(run_command: RunCommand, units: Sequence[str], properties: Iterable[str]) -> dict[str, dict[str, str]]:
    """Return the properties of all units by one call of ``systemctl show``; empty where systemd does not answer."""
    names = list(dict.fromkeys(units))
    if not names:
        return {}
    wanted = ",".join(dict.fromkeys(("Id", *properties)))
    code, out, _err = run_command(["systemctl", "show", f"--property={wanted}", "--", *names])
    shown = parse_show(out) if code == 0 else []
    return dict(zip(names, shown)) if len(shown) == len(names) else {}


def has_job(shown: Mapping[str, str]) -> bool:
    """Whether systemd has a job for a unit, by its property ``Job``; it may not have come to it yet."""
    return shown.get("Job", "") not in ("", "0")


def refusal(run_command: RunCommand, units: Mapping[str, str]) -> str:
    """Return what ``systemd-analyze verify`` says against units, empty where it takes them.

    Args:
        run_command: ``AnsibleModule.run_command`` or a function of the same form.
        units: texts of units that may not be there yet, by path.

    """
    with tempfile.TemporaryDirectory(prefix="atlassian-dc-units-") as scratch:
        paths = []
        for path, text in units.items():
            paths.append(os.path.join(scratch, os.path.basename(path)))
            with open(paths[-1], "w", encoding="utf-8") as stream:
                stream.write(text)
        code, out, err = run_command(["systemd-analyze", "verify", *paths], environ_update={"LC_ALL": "C"})
    return "" if code == 0 else " ".join((err or out).split())[:500] or f"ended with {code}"


def parse_syscall_sets(text: str) -> dict[str, set[str]]:
    """Return the sets of system calls in the output of ``systemd-analyze syscall-filter``, sets in sets resolved."""
    raw: dict[str, set[str]] = {}
    current = ""
    for line in text.splitlines():
        word = line.strip()
        if line.startswith("#"):
            current = ""  # the calls that are in no set
        if not word or word.startswith("#"):
            continue
        if line.startswith("@"):
            current = word
            raw[current] = set()
        elif current:
            raw[current].add(word)

    def resolve(name: str, seen: frozenset[str]) -> set[str]:
        calls: set[str] = set()
        for item in raw.get(name, ()):
            if not item.startswith("@"):
                calls.add(item)
            elif item not in seen:
                calls |= resolve(item, seen | {item})
        return calls

    return {name: resolve(name, frozenset({name})) for name in raw}


def _truth(value: str) -> str:
    lowered = value.strip().lower()
    if lowered in ("yes", "true", "on", "1"):
        return "yes"
    return "no" if lowered in ("no", "false", "off", "0") else value.strip()


def same_value(directive: str, expected: str, actual: str, syscalls: Mapping[str, set[str]]) -> bool:
    """Whether a unit's property is what a directive asks for.

    Args:
        directive: its name.
        expected: its value, as in a unit file.
        actual: its value, as ``systemctl show`` prints it.
        syscalls: the sets of system calls this systemd knows.

    """
    if directive == "SystemCallFilter":
        if actual.startswith("~") or not actual:
            return False
        allowed: set[str] = set()
        for word in expected.split():
            allowed |= syscalls.get(word, {word})
        # Calls this machine does not have are left out of what systemd prints; fewer is as strict.
        return {word.partition(":")[0] for word in actual.split()} <= allowed
    if directive == "SystemCallErrorNumber":
        number = getattr(errno, expected, None)
        return actual in (expected, str(number))
    if directive == "UMask":
        return _octal(actual) & _octal(expected) == _octal(expected)
    if directive in _CAPABILITY_SETS or directive in _RESET_FIRST:
        plain = (text.replace('"', "").lower() for text in (expected, actual))
        return set(next(plain).split()) == set(next(plain).split())
    return _truth(expected) == _truth(actual)


def _octal(text: str) -> int:
    try:
        return int(text, 8)
    except ValueError:
        return 0


def parse_exposure(text: str) -> dict[str, float]:
    """Return the score of each unit in the output of ``systemd-analyze security``: 0 is closed, 10 is open."""
    pattern = re.compile(r"exposure level for (\S+): ([0-9]+(?:\.[0-9]+)?)")
    return {unit: float(score) for unit, score in pattern.findall(text)}


# ---- what is wanted --------------------------------------------------------------------------------


def below(path: str, folder: str) -> bool:
    """Whether a path is a folder or lies in it."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def outer_folders(paths: Iterable[str]) -> list[str]:
    """Return the folders sorted, those inside another one left out."""
    kept: list[str] = []
    for path in sorted({os.path.normpath(path) for path in paths}):
        if not any(below(path, outer) for outer in kept):
            kept.append(path)
    return kept


def reachable_by_root(folder: str, root: str = "/") -> str:
    """Return a folder, or the nearest one above it that root may look at.

    Mounts that squash root and FUSE mounts of an account may hide even their own root, and systemd, which opens folders
    in a sandbox as root, would refuse to start the unit.
    """
    while folder != "/":
        try:
            os.stat(os.path.join(root, folder.lstrip("/")))
        except PermissionError:
            folder = os.path.dirname(folder)
        except OSError:
            break
        else:
            break
    return folder


def jvm_folders(arguments: Iterable[str]) -> list[str]:
    """Return folders that the JVM itself has to write to, as its arguments name them."""
    pattern = re.compile(r"-Djava\.io\.tmpdir=(?P<folder>/.+)|(?:-Xloggc:|-Xlog:gc[^:]*:file=)(?P<file>/[^:]+).*")
    folders = []
    for argument in arguments:
        match = pattern.fullmatch(argument)
        if match:
            folders.append(os.path.normpath(match["folder"] or os.path.dirname(match["file"])))
    # The sandbox gives the product its own /tmp, where it may write anyway.
    return [folder for folder in folders if not below(folder, "/tmp") and not below(folder, "/var/tmp")]  # noqa: S108


def needed_folders(instance: Mapping[str, Any], account_home: str | None, extra: Iterable[str] = ()) -> list[str]:
    """Return the folders that the product has to write to.

    Args:
        instance: the instance, as discovery tells it.
        account_home: home directory of the service account, if it belongs to it.
        extra: further folders, declared by the administrator.

    """
    folders = [
        *(instance.get("working_dirs") or ()),
        *(instance.get("log_dirs") or ()),
        *(instance.get(key) for key in ("home_dir", "shared_home_dir") if instance.get(key)),
        *jvm_folders(instance.get("jvm_arguments") or ()),
        *([account_home] if account_home else []),
        *extra,
    ]
    return outer_folders(folder for folder in folders if folder.startswith("/"))


def sandbox_directives(
    overrides: Mapping[str, Any], folders: Sequence[str], of_product: Mapping[str, Any] | None = None
) -> dict[str, str]:
    """Return the directives of the sandbox with their values.

    Args:
        overrides: values that replace all others; None leaves a directive out.
        folders: where the product may write.
        of_product: values that replace the default ones because the product's work needs it.

    """
    directives = dict(SANDBOX)
    changed = {**(of_product or {}), **overrides}
    if _truth(directive_text(changed.get("PrivateTmp", SANDBOX["PrivateTmp"]) or "")) != "yes":
        # Only a /tmp of its own can be written without being named.
        folders = [*folders, "/tmp", "/var/tmp"]  # noqa: S108 - named, not used
    if any(below(folder, hidden) for folder in folders for hidden in _HIDDEN_BY_PROTECT_HOME):
        # Nothing can be opened again below a hidden folder, but it can below a read-only one.
        directives["ProtectHome"] = "read-only"
    # The minus sign: a folder that is missing does not keep the product from starting.
    directives["ReadWritePaths"] = " ".join(quote_word(f"-{folder}") for folder in folders)
    for name, value in changed.items():
        if value is None:
            directives.pop(name, None)
        else:
            directives[name] = directive_text(value)
    return directives


def directive_text(value: Any) -> str:
    """Return a value given in YAML as systemd writes it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return " ".join(str(item) for item in value)
    return str(value)


def quote_word(word: str) -> str:
    """Return a word of a list so that systemd reads it as one."""
    if re.fullmatch(r"[\w@%+=:,./~-]+", word, re.ASCII):
        return word
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'


def render(identity: Mapping[str, str], sandbox: Mapping[str, str]) -> str:
    """Return the content of the drop-in."""
    lines = [
        "# Written by atlassian_dc.hardening, role service_user. Change its variables, not this file.",
        "[Service]",
    ]
    for name, value in {**identity, **sandbox}.items():
        if name in _RESET_FIRST and value:
            lines.append(f"{name}=")
        # Nothing here is meant to hold one of systemd's specifiers.
        lines.append(f"{name}={value.replace('%', '%%')}")
    return "\n".join(lines) + "\n"


def parse_drop_in(text: str) -> dict[str, str]:
    """Return the directives of a drop-in of ours."""
    directives: dict[str, str] = {}
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith(("#", ";", "[")):
            directives[name] = value.replace("%%", "%")
    return directives


def directives_set_by(text: str) -> dict[str, str]:
    """Return the directives of the Service section of any unit file, several of one name joined."""
    found: dict[str, str] = {}
    section = ""
    for line in re.sub(r"\\\n", " ", text).splitlines():
        stripped = line.strip()
        if stripped.startswith("[") and stripped.endswith("]"):
            section = stripped
        elif section == "[Service]" and "=" in stripped and not stripped.startswith(("#", ";")):
            name, _equals, value = stripped.partition("=")
            found[name.strip()] = f"{found.get(name.strip(), '')} {value.strip()}".strip()
    return found


@dataclass(frozen=True)
class Mismatch:
    """A directive whose effective value is not the wanted one."""

    directive: str
    expected: str
    actual: str


def compare_unit(
    wanted: Mapping[str, str], shown: Mapping[str, str], syscalls: Mapping[str, set[str]]
) -> list[Mismatch]:
    """Return the wanted directives that the unit does not have; those this systemd does not know are left out."""
    return [
        Mismatch(name, value, shown[name])
        for name, value in wanted.items()
        if name in _COMPARABLE and name in shown and not same_value(name, value, shown[name], syscalls)
    ]


# ---- what a process has ----------------------------------------------------------------------------

_UNITS_WITH_PROCESSES = (".service", ".scope", ".socket", ".mount", ".swap")


@dataclass(frozen=True)
class Process:
    """What the kernel says about a running process."""

    pid: int
    uid: int
    gid: int
    groups: frozenset[int]
    umask: int
    no_new_privileges: bool
    effective_capabilities: int
    bounding_capabilities: int
    filtered: bool
    root_read_only: bool
    private_tmp: bool
    cgroup: str
    executable: str | None
    started: float | None = None
    """When it was started, in seconds since 1970."""


def read_process(pid: Any, root: str = "/") -> Process | None:
    """Return what ``/proc`` says about a process, None when there is none."""
    if not isinstance(pid, int) or pid <= 0:
        return None
    folder = os.path.join(root, "proc", str(pid))
    try:
        status = _read(os.path.join(folder, "status"))
    except OSError:
        return None
    fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    try:
        mounts = _read(os.path.join(folder, "mountinfo"))
        cgroup = _read(os.path.join(folder, "cgroup"))
    except OSError:
        mounts = cgroup = ""
    try:
        executable: str | None = os.readlink(os.path.join(folder, "exe"))
    except OSError:
        executable = None
    process = parse_process(pid, fields, mounts, cgroup, executable)
    return replace(process, started=process_start(pid, os.path.join(root, "proc"))) if process else None


@dataclass(frozen=True)
class ProcessStat:
    """What the stat file of a process says: its own name for itself, its parent, and when it was started."""

    name: str
    parent: int
    ticks: int
    """Ticks of the clock from the boot of the host to its start."""


def process_stat(pid: int, proc: str = "/proc") -> ProcessStat | None:
    """Return name, parent and start of a process; None when it is gone or that is not known."""
    try:
        # The name may hold anything, brackets and spaces too.
        head, _bracket, rest = _read(os.path.join(proc, str(pid), "stat")).rpartition(")")
        fields = rest.split()
        return ProcessStat(head.partition("(")[2], int(fields[1]), int(fields[19]))
    except (OSError, ValueError, IndexError):
        return None


def process_start(pid: int, proc: str = "/proc") -> float | None:
    """Return when a process was started, in seconds since 1970; None when it is gone or that is not known."""
    stat = process_stat(pid, proc)
    try:
        boot = re.search(r"^btime ([0-9]+)$", _read(os.path.join(proc, "stat")), re.MULTILINE)
    except OSError:
        return None
    return int(boot[1]) + stat.ticks / os.sysconf("SC_CLK_TCK") if stat and boot else None


def cgroup_paths(cgroup: str) -> list[list[str]]:
    """Return the control groups in which systemd keeps a process, each split into its parts.

    Args:
        cgroup: content of the process's cgroup file; in hybrid mode two of its lines count, else one.

    """
    paths = []
    for line in cgroup.split("\n"):
        hierarchy, _first, rest = line.partition(":")
        controllers, _second, path = rest.partition(":")
        if hierarchy == "0" or controllers == "name=systemd":
            # The kernel marks groups that were removed, systemd names that mean something to the kernel.
            parts = path.removesuffix(" (deleted)").split("/")
            paths.append([part[1:] if part.startswith("_") else part for part in parts])
    return paths


def process_unit(pid: int, proc: str = "/proc") -> str | None:
    """Return the unit a process belongs to; None when it has none or that is not known.

    A unit of a user's own manager follows that manager's: ``user@1000.service/proxy.service``. Names stay escaped, as
    ``systemctl`` takes them.
    """
    try:
        paths = cgroup_paths(_read(os.path.join(proc, str(pid), "cgroup")))
    except OSError:
        return None
    for parts in paths:
        # Slices only group units; what is below a unit is its own affair.
        units = [part for part in parts if part.endswith(_UNITS_WITH_PROCESSES)]
        if units:
            return "/".join(units[:2]) if units[0].startswith("user@") else units[0]
    return None


def _read(path: str) -> str:
    with open(path, encoding="utf-8", errors="surrogateescape") as handle:
        return handle.read()


def text_or_none(path: str) -> str | None:
    """Return the content of a file, None where there is none.

    Raises:
        OSError: it is there and cannot be read.

    """
    try:
        return _read(path)
    except (FileNotFoundError, NotADirectoryError):
        return None


def parse_process(
    pid: int, fields: Mapping[str, str], mounts: str, cgroup: str, executable: str | None
) -> Process | None:
    """Return a process from the fields of its status file and its table of mounts; None when they make no sense."""
    try:
        uid, gid = int(fields["Uid"].split()[1]), int(fields["Gid"].split()[1])
        groups = frozenset(int(word) for word in fields.get("Groups", "").split())
        umask = int(fields.get("Umask", "0").strip(), 8)
        effective, bounding = int(fields["CapEff"], 16), int(fields["CapBnd"], 16)
    except (KeyError, ValueError, IndexError):
        return None
    options, tmp_source = "", ""
    for line in mounts.splitlines():
        words = line.split()
        # root of the mount, mount point and options are fields 4 to 6; a later mount hides an earlier one
        if len(words) > 5 and words[4] == "/":
            options = words[5]
        elif len(words) > 5 and words[4] == "/tmp":  # noqa: S108
            tmp_source = words[3]
    return Process(
        pid=pid,
        uid=uid,
        gid=gid,
        groups=groups,
        umask=umask,
        no_new_privileges=fields.get("NoNewPrivs", "").strip() == "1",
        effective_capabilities=effective,
        bounding_capabilities=bounding,
        filtered=fields.get("Seccomp", "").strip() == "2",
        root_read_only="ro" in options.split(","),
        private_tmp="systemd-private-" in tmp_source,
        cgroup=cgroup,
        executable=executable.replace(" (deleted)", "") if executable else None,
    )


def compare_process(sandbox: Mapping[str, str], process: Process) -> list[Mismatch]:
    """Return what of the sandbox a process does not have, as far as the kernel tells."""
    facts: list[tuple[bool, str, str, str]] = []
    umask = sandbox.get("UMask")
    if umask:
        facts.append((process.umask & _octal(umask) == _octal(umask), "umask", umask, f"{process.umask:04o}"))
    if _truth(sandbox.get("NoNewPrivileges", "")) == "yes":
        facts.append((process.no_new_privileges, "NoNewPrivs", "1", "0"))
    if sandbox.get("CapabilityBoundingSet") == "":
        bounding, effective = process.bounding_capabilities, process.effective_capabilities
        facts.append((not bounding, "capability bounding set", "empty", f"{bounding:x}"))
        facts.append((not effective, "effective capabilities", "none", f"{effective:x}"))
    if sandbox.get("SystemCallFilter"):
        facts.append((process.filtered, "system call filter", "on", "off"))
    if sandbox.get("ProtectSystem") == "strict":
        facts.append((process.root_read_only, "file system outside its own folders", "read-only", "writable"))
    if _truth(sandbox.get("PrivateTmp", "")) == "yes":
        facts.append((process.private_tmp, "folder /tmp", "its own", "shared"))
    return [Mismatch(name, expected, actual) for right, name, expected, actual in facts if not right]


# ---- what to do ------------------------------------------------------------------------------------


def place(phase: str, unit_right: bool, process_right: bool, active: bool, trees_ready: bool) -> str:
    """Return what to do with the drop-in: ``nothing``, ``stage`` it outside the live unit, or make it ``live``.

    The next start, planned or not, must bring up something that works. So the drop-in becomes live only inside the
    restart, or where the process runs just like that already, or where nothing runs and the folders are ready.
    """
    if unit_right:
        return "nothing"
    if phase == "live" or (active and process_right) or (not active and trees_ready):
        return "live"
    return "stage"
