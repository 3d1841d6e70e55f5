# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host as discovery sees it: files, accounts, processes, units and init scripts below one root folder.

Everything is read, nothing is changed. Reads are bounded, only regular files are opened, and a root other than ``/``
makes a folder look like a whole host, which is how it is tested.
"""

from __future__ import annotations

import fnmatch
import grp
import os
import pwd
import re
import stat
from collections import deque
from typing import Callable

from ansible_collections.atlassian_dc.hardening.plugins.module_utils._discovery_parse import (
    jvm_command,
    parse_environment,
    parse_environment_file,
    parse_unit,
    split_words,
    text_of,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._systemd import cgroup_paths, process_start

MAX_FILE = 1024 * 1024
"""Most bytes of one configuration file; a larger one is not read."""

MAX_SCRIPT = 256 * 1024
"""Most bytes of one shell script, unit or environment file."""

MAX_ENTRIES = 20000
"""Most entries of one folder that are looked at."""

MAX_CLASS_PATH = 100
"""Most entries of a class path that are looked at."""

MAX_LINKS = 40

UNIT_FOLDERS = (
    "/etc/systemd/system.control",
    "/run/systemd/system.control",
    "/run/systemd/transient",
    "/run/systemd/generator.early",
    "/etc/systemd/system",
    "/etc/systemd/system.attached",
    "/run/systemd/system",
    "/run/systemd/system.attached",
    "/run/systemd/generator",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
    "/run/systemd/generator.late",
)
"""Where systemd looks for units of the system, first one wins."""

INIT_FOLDER = "/etc/init.d"

SESSION_UNITS = re.compile(
    r"(ssh|sshd|ssh@.*|sshd@.*|cron|crond|atd|getty@.*|systemd-.*|rc-local|containerd|docker)\.service"
)
"""Units in which processes started by hand end up; they are nobody's unit."""

_PROTECTED_TREES = (
    "/bin",
    "/boot",
    "/dev",
    "/etc",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/proc",
    "/root",
    "/run",
    "/sbin",
    "/sys",
    "/usr/bin",
    "/usr/lib",
    "/usr/lib64",
    "/usr/libexec",
    "/usr/sbin",
    "/var/run",
)
_PROTECTED_FOLDERS = (
    "/",
    "/home",
    "/media",
    "/mnt",
    "/opt",
    "/opt/atlassian",
    "/srv",
    "/tmp",  # noqa: S108 - named to be refused
    "/usr",
    "/usr/local",
    "/usr/local/bin",
    "/usr/local/lib",
    "/usr/local/sbin",
    "/usr/share",
    "/usr/src",
    "/var",
    "/var/atlassian",
    "/var/atlassian/application-data",
    "/var/cache",
    "/var/lib",
    "/var/log",
    "/var/mail",
    "/var/opt",
    "/var/spool",
    "/var/tmp",  # noqa: S108 - named to be refused
    "/var/www",
)


class UnreadableError(Exception):
    """A file that is there and cannot be read; says why."""


class MissingError(UnreadableError):
    """A file that is not there."""


def is_system_folder(path: str) -> bool:
    """Whether a folder belongs to the system, so that no product's file may claim it as its own."""
    return path in _PROTECTED_FOLDERS or any(path == tree or path.startswith(tree + "/") for tree in _PROTECTED_TREES)


class Host:
    """Files and accounts below a root folder."""

    def __init__(self, root: str = "/") -> None:
        self.root = "" if root == "/" else root.rstrip("/")
        self._evidence: dict[tuple[str, tuple[str, ...]], bool] = {}
        self._users: dict[str, tuple[int, int]] | None = None
        self._groups: dict[int, str] | None = None

    def at(self, path: str) -> str:
        """Return where a path of the host really lies."""
        return self.root + path if self.root else path

    def resolve(self, path: str) -> str:
        """Return an absolute path without symbolic links, seen from the host's own root; its end need not exist.

        Raises:
            UnreadableError: the links form a circle.

        """
        parts = deque(path.split("/"))
        current = ""
        links = 0
        while parts:
            part = parts.popleft()
            if part in ("", "."):
                continue
            if part == "..":
                current = current.rpartition("/")[0]
                continue
            try:
                target = os.readlink(self.at(f"{current}/{part}"))
            except (OSError, ValueError):
                current = f"{current}/{part}"
                continue
            links += 1
            if links > MAX_LINKS:
                raise UnreadableError("too many symbolic links")
            if target.startswith("/"):
                current = ""
            parts.extendleft(reversed(target.split("/")))
        return current or "/"

    def real(self, path: str) -> str:
        """Return an absolute path without symbolic links, or as it is where they form a circle."""
        try:
            return self.resolve(path)
        except UnreadableError:
            return path

    def read(self, path: str, limit: int = MAX_FILE) -> bytes:
        """Return the content of a regular file.

        Raises:
            MissingError: it is not there.
            UnreadableError: it is no regular file, too large, or not readable.

        """
        try:
            place = self.at(self.resolve(path))
            before = os.lstat(place)
            if not stat.S_ISREG(before.st_mode):
                raise UnreadableError("is not a regular file")
            # Non-blocking and without following: the owner of the folder may swap the file at any moment.
            handle = os.open(place, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY | os.O_NOFOLLOW)
        except (FileNotFoundError, NotADirectoryError) as exc:
            raise MissingError("is missing") from exc
        except (OSError, ValueError) as exc:
            raise UnreadableError(f"cannot be read: {getattr(exc, 'strerror', None) or exc}") from exc
        with os.fdopen(handle, "rb") as stream:
            info = os.fstat(stream.fileno())
            if not stat.S_ISREG(info.st_mode):
                raise UnreadableError("is not a regular file")
            try:
                data = stream.read(limit + 1)
            except OSError as exc:
                raise UnreadableError(f"cannot be read: {exc.strerror}") from exc
        if len(data) > limit:
            raise UnreadableError(f"is larger than {limit // 1024} KiB and was not read")
        return data

    def text(self, path: str, limit: int = MAX_FILE) -> str:
        """Return the content of a regular file as text."""
        return text_of(self.read(path, limit))

    def names(self, folder: str) -> list[str]:
        """Return the sorted names in a folder, none when it cannot be listed."""
        result: list[str] = []
        try:
            with os.scandir(self.at(folder)) as entries:
                for entry in entries:
                    result.append(entry.name)
                    if len(result) >= MAX_ENTRIES:
                        break
        except (OSError, ValueError):
            return []
        return sorted(result)

    def stat(self, path: str) -> os.stat_result | None:
        """Return the status of what a path leads to, None when there is nothing."""
        try:
            return os.lstat(self.at(self.resolve(path)))
        except (OSError, ValueError, UnreadableError):
            return None

    def lstat(self, path: str) -> os.stat_result | None:
        """Return the status of the path itself, be it a symbolic link."""
        parent, _slash, name = path.rpartition("/")
        try:
            return os.lstat(self.at(f"{self.resolve(parent)}/{name}"))
        except (OSError, ValueError, UnreadableError):
            return None

    def is_folder(self, path: str) -> bool:
        """Whether a path leads to a folder."""
        info = self.stat(path)
        return info is not None and stat.S_ISDIR(info.st_mode)

    def hidden(self, path: str) -> bool:
        """Whether even root may not look at what lies there, as on FUSE mounts of another account."""
        try:
            os.lstat(self.at(self.resolve(path)))
        except PermissionError:
            return True
        except (OSError, ValueError, UnreadableError):
            return False
        return False

    def holds(self, folder: str, relatives: list[str]) -> bool:
        """Whether a folder holds one of these paths."""
        key = (folder, tuple(relatives))
        if key not in self._evidence:
            self._evidence[key] = any(self.stat(f"{folder}/{relative}") is not None for relative in relatives)
        return self._evidence[key]

    def above(self, path: str, relatives: list[str], levels: int = 4) -> str | None:
        """Return the nearest folder at or above a path that holds one of these paths."""
        for _level in range(levels):
            if path in ("", "/"):
                return None
            if self.holds(path, relatives):
                return path
            path = path.rpartition("/")[0]
        return None

    def glob(self, pattern: str) -> list[str]:
        """Return the sorted paths a shell pattern stands for."""
        found = [""]
        for part in pattern.strip("/").split("/"):
            if any(char in part for char in "*?["):
                found = [
                    f"{folder}/{name}"
                    for folder in found
                    for name in self.names(folder or "/")
                    if fnmatch.fnmatchcase(name, part) and (not name.startswith(".") or part.startswith("."))
                ]
            else:
                found = [f"{folder}/{part}" for folder in found]
        return sorted(path for path in found if self.lstat(path) is not None)

    # -- accounts ------------------------------------------------------------------------------------------------------
    def _load_accounts(self) -> None:
        self._users, self._groups = {}, {}
        for name, fields in (("passwd", 4), ("group", 3)):
            try:
                lines = self.text(f"/etc/{name}").split("\n")
            except UnreadableError:
                continue
            for line in lines:
                parts = line.split(":")
                numbers = parts[2:fields]
                if len(parts) < fields or not all(number.isdigit() for number in numbers):
                    continue
                if name == "passwd":
                    self._users.setdefault(parts[0], (int(numbers[0]), int(numbers[1])))
                else:
                    self._groups.setdefault(int(numbers[0]), parts[0])

    def user(self, name: str) -> tuple[int, int] | None:
        """Return the ids of an account and its primary group, None when there is no such account."""
        if not self.root:
            try:
                entry = pwd.getpwnam(name)
            except (KeyError, ValueError):
                return None
            return entry.pw_uid, entry.pw_gid
        if self._users is None:
            self._load_accounts()
        return (self._users or {}).get(name)

    def user_name(self, uid: int) -> str:
        """Return the name of an account, or its number when it has none."""
        if not self.root:
            try:
                return pwd.getpwuid(uid).pw_name
            except KeyError:
                return str(uid)
        if self._users is None:
            self._load_accounts()
        return next((name for name, ids in (self._users or {}).items() if ids[0] == uid), str(uid))

    def group_name(self, gid: int) -> str:
        """Return the name of a group, or its number when it has none."""
        if not self.root:
            try:
                return grp.getgrgid(gid).gr_name
            except KeyError:
                return str(gid)
        if self._groups is None:
            self._load_accounts()
        return (self._groups or {}).get(gid, str(gid))


# ---- processes -------------------------------------------------------------------------------------------------------
class Process:
    """A JVM: its number, its command line, who started it, whose it is and the unit it belongs to."""

    def __init__(self, host: Host, pid: int, command: list[str]) -> None:
        self.pid = pid
        self.words = command
        self.jvm = jvm_command(command)
        self.uid, self.parent = self._status(host)
        self.unit = self._unit(host)
        self.environment = self._environment(host)
        self.started = process_start(pid, host.at("/proc"))
        self.folder = self._folder(host)

    @property
    def class_path(self) -> list[str]:
        """Absolute paths of the first entries of the class path."""
        entries = self.jvm.class_path[:MAX_CLASS_PATH]
        return [
            os.path.normpath(os.path.join(self.folder, entry)) for entry in entries if self.folder or entry[0] == "/"
        ]

    def _status(self, host: Host) -> tuple[int | None, int | None]:
        try:
            text = host.text(f"/proc/{self.pid}/status")
        except UnreadableError:
            return None, None
        uid = re.search(r"^Uid:\s+\d+\s+(\d+)", text, re.MULTILINE)
        parent = re.search(r"^PPid:\s+(\d+)", text, re.MULTILINE)
        return int(uid.group(1)) if uid else None, int(parent.group(1)) if parent else None

    def _folder(self, host: Host) -> str:
        try:
            folder = os.readlink(host.at(f"/proc/{self.pid}/cwd"))
        except OSError:
            return ""
        return folder if folder.startswith("/") else ""

    def _unit(self, host: Host) -> str | None:
        try:
            paths = cgroup_paths(host.text(f"/proc/{self.pid}/cgroup"))
        except UnreadableError:
            return None
        for parts in paths:
            if any(part.startswith("user@") for part in parts):
                continue
            services = [part for part in parts if part.endswith(".service")]
            if services:
                return services[-1]
        return None

    def _environment(self, host: Host) -> dict[str, str]:
        try:
            data = host.read(f"/proc/{self.pid}/environ")
        except UnreadableError:
            return {}
        return parse_environment([text_of(word) for word in data.split(b"\x00")])


def processes(host: Host) -> list[tuple[int, list[str]]]:
    """Return number and words of every process that has any, in one pass."""
    result = []
    for name in host.names("/proc"):
        if not name.isdigit():
            continue
        try:
            data = host.read(f"/proc/{name}/cmdline")
        except UnreadableError:
            # Gone in the meantime, or a command line of absurd length.
            continue
        if data:
            result.append((int(name), [os.fsdecode(word) for word in data.rstrip(b"\x00").split(b"\x00")]))
    return sorted(result)


# ---- units -----------------------------------------------------------------------------------------------------------
class Unit:
    """A service unit as it lies on disk, drop-ins included."""

    def __init__(self, name: str, path: str) -> None:
        self.name = name
        self.path = path
        self.settings: dict[str, list[str]] = {}
        self.environment: dict[str, str] = {}
        self.origins: dict[str, str] = {}

    @property
    def generated(self) -> bool:
        """Whether systemd made it from a SysV script."""
        return self.path.startswith("/run/systemd/generator.late/")

    def last(self, key: str) -> str:
        """Return the effective value of a setting that has only one."""
        values = self.settings.get(key, [])
        return values[-1] if values else ""

    def add(self, text: str) -> None:
        """Add the settings of a file; an empty assignment resets a list, as in systemd."""
        for section, key, value in parse_unit(text):
            if section == "Service" or (section == "Unit" and key == "SourcePath"):
                if value:
                    self.settings.setdefault(key, []).append(self._specifiers(value))
                else:
                    self.settings[key] = []

    def _specifiers(self, value: str) -> str:
        if "%" not in value:
            return value
        stem = self.name[: -len(".service")]
        prefix, _at, instance = stem.partition("@")
        known = {"%": "%", "n": self.name, "N": stem, "p": prefix, "i": instance, "I": instance.replace("-", "/")}
        return re.sub(r"%(.)", lambda match: known.get(match.group(1), match.group()), value)

    def command_lines(self) -> list[str]:
        """Return what the unit starts, variables replaced as far as the unit itself sets them."""
        lines = [value.lstrip("@-:+!|") for value in self.settings.get("ExecStart", [])]
        return [
            re.sub(
                r"\$(?:\{([A-Za-z_][A-Za-z0-9_]*)\}|([A-Za-z_][A-Za-z0-9_]*))",
                lambda match: self.environment.get(match.group(1) or match.group(2), match.group()),
                line,
            )
            for line in lines
        ]


class Units:
    """All service units on disk."""

    def __init__(self, host: Host, problem: Callable[[str, str], None]) -> None:
        self.host = host
        self.problem = problem
        self.paths: dict[str, str] = {}
        self.masked: set[str] = set()
        self.dropins: dict[str, dict[str, str]] = {}
        self.wanted: set[str] = set()
        self.loaded: dict[str, Unit] = {}
        self.searched: list[str] = []
        for folder in UNIT_FOLDERS:
            self._index(folder)
        for name in sorted(self.paths):
            if not name.endswith("@.service"):
                self.load(name)

    def _index(self, folder: str) -> None:
        names = self.host.names(folder)
        if names:
            self.searched.append(folder)
        for name in names:
            path = f"{folder}/{name}"
            if name.endswith(".service"):
                self._index_unit(name, path)
            elif name == "service.d" or name.endswith(".service.d"):
                for file in self.host.names(path):
                    if file.endswith(".conf"):
                        self.dropins.setdefault(name[:-2], {}).setdefault(file, f"{path}/{file}")
            elif name.endswith((".wants", ".requires")):
                self.wanted.update(item for item in self.host.names(path) if item.endswith(".service"))

    def _index_unit(self, name: str, path: str) -> None:
        if name in self.paths or name in self.masked:
            return
        try:
            target = self.host.resolve(path)
        except UnreadableError:
            return
        if target == "/dev/null":
            self.masked.add(name)
            return
        real = target.rpartition("/")[2]
        if real != name and real.endswith(".service") and target.rpartition("/")[0] in UNIT_FOLDERS:
            # An alias: the unit counts once, under its own name.
            return
        self.paths[name] = path

    def load(self, name: str) -> Unit | None:
        """Return a unit by name, instances of templates included; None when there is none."""
        if name in self.loaded:
            return self.loaded[name]
        template = re.sub(r"@.*\.service$", "@.service", name)
        path = self.paths.get(name) or self.paths.get(template)
        if not path:
            return None
        unit = Unit(name, path)
        files = {**self.dropins.get("service", {}), **self._prefix_dropins(name)}
        files.update({**self.dropins.get(template, {}), **self.dropins.get(name, {})})
        for file in [path, *(files[key] for key in sorted(files))]:
            try:
                unit.add(self.host.text(file, MAX_SCRIPT))
            except MissingError:
                continue
            except UnreadableError as exc:
                self.problem(file, str(exc))
        self._load_environment(unit)
        self.loaded[name] = unit
        return unit

    def _prefix_dropins(self, name: str) -> dict[str, str]:
        """Return drop-ins for all units whose name begins alike (``jira-.service.d``), longer prefixes winning."""
        stem = name[: -len(".service")]
        result: dict[str, str] = {}
        for index, char in enumerate(stem):
            if char == "-":
                result.update(self.dropins.get(f"{stem[: index + 1]}.service", {}))
        return result

    def _load_environment(self, unit: Unit) -> None:
        for line in unit.settings.get("Environment", []):
            for name, value in parse_environment(split_words(line)).items():
                unit.environment[name] = value
                unit.origins[name] = "unit environment"
        for entry in unit.settings.get("EnvironmentFile", []):
            optional = entry.startswith("-")
            pattern = entry.lstrip("-").strip('"')
            if not pattern.startswith("/"):
                continue
            paths = self.host.glob(pattern) if any(char in pattern for char in "*?[") else [pattern]
            for path in paths:
                self._load_environment_file(unit, path, optional)

    def _load_environment_file(self, unit: Unit, path: str, optional: bool) -> None:
        try:
            values = parse_environment_file(self.host.text(path, MAX_SCRIPT))
        except MissingError:
            if not optional:
                self.problem(path, f"is missing, but {unit.name} reads its environment from it")
            return
        except UnreadableError as exc:
            self.problem(path, str(exc))
            return
        for name, value in values.items():
            unit.environment[name] = value
            unit.origins[name] = f"environment file {path}"

    def instances(self, running: list[str]) -> list[Unit]:
        """Return all units that could start something, instances of templates included."""
        names = set(self.loaded)
        names.update(name for name in [*self.wanted, *running] if "@" in name)
        units = [self.load(name) for name in sorted(names)]
        return [unit for unit in units if unit is not None and unit.settings.get("ExecStart")]
