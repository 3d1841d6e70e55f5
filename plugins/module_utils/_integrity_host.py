# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""AIDE on a host: its package, our configuration and units, the check that a unit runs, and what explains a change."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Callable

from ansible_collections.atlassian_dc.hardening.plugins.module_utils._changes import ChangeError, Changes
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._integrity_db import Database, DatabaseError
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._integrity_scope import (
    BASELINE,
    CONFIGURATION,
    FRESH,
    LOOK,
    NOW,
    REPORT,
    STATE,
    Scope,
    can_be_named,
    just_these,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._packages import package_manager
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._systemd import show_units, text_or_none

RunCommand = Callable[..., "tuple[int, str, str]"]

NAME = "atlassian-dc-file-integrity"
SERVICE = f"{NAME}.service"
TIMER = f"{NAME}.timer"
SYSTEMD = "/etc/systemd/system"
HEADER = "# Written by atlassian_dc.hardening, role file_integrity. Change its variables, not this file.\n"

MAX_AGE = 2
"""How many times as old as the timer wants it the last check may be."""
FAILED = 8
"""From this code on AIDE has not compared: 1, 2 and 4 say that something came, went or changed."""
_TIMED_OUT = 124  # exit code of timeout(1)
_EXPLAINED_BYTES = 64 * 1024 * 1024
_MD5_LINE = re.compile(r"([0-9a-f]{32}) {2}(.+)")

LOOK_TEXT = f"""#!/bin/sh
{HEADER}# Runs AIDE: what differs from the baseline goes to the journal, and what is there now into {NOW}.
umask 077
is_whole() {{
    [ "$(gzip -dc "$1" 2>/dev/null | tail -n 1)" = @@end_db ]
}}
whole=yes action=--update
if [ ! -e {BASELINE} ]; then
    action=--init
elif ! is_whole {BASELINE}; then
    echo "<2>the baseline {BASELINE} is cut short or damaged: nothing can be compared with it"
    whole=no action=--init
fi
rm -f {FRESH}
aide --config={CONFIGURATION} $action > {REPORT} 2>&1
code=$?
if [ $code -ge {FAILED} ]; then
    sed 's/^/<3>/' {REPORT}
    exit 1
fi
# AIDE ends well, too, where the disk is full.
if ! is_whole {FRESH}; then
    echo "<3>what was found could not be written to {FRESH} as a whole"
    exit 1
fi
mv -f {FRESH} {NOW} || exit 1
if [ $action = --init ]; then
    echo "<6>all files were read; there is no baseline to compare them with"
elif [ $code -eq 0 ]; then
    echo "<6>nothing differs from the baseline"
else
    echo "<3>files differ from the baseline; {REPORT} has all of it"
    head -n 1000 {REPORT} | sed 's/^/<4>/'
fi
[ $whole = yes ]
"""

SERVICE_TEXT = f"""{HEADER}[Unit]
Description=Compare files of Data Center products with their baseline
ConditionPathExists={CONFIGURATION}

[Service]
Type=oneshot
ExecStart={LOOK}
StateDirectory={NAME}
StateDirectoryMode=0700
SyslogIdentifier={NAME}
Nice=19
IOSchedulingClass=idle
CPUWeight=10
IOWeight=10
TimeoutStartSec=6h
ProtectSystem=strict
PrivateNetwork=yes
NoNewPrivileges=yes
CapabilityBoundingSet=CAP_DAC_READ_SEARCH
"""


def timer_text(schedule: str) -> str:
    """Return the timer's unit."""
    return f"""{HEADER}[Unit]
Description=When files of Data Center products are compared with their baseline

[Timer]
OnCalendar={schedule}
RandomizedDelaySec=15min
Persistent=yes

[Install]
WantedBy=timers.target
"""


@dataclass
class Found:
    """What was found on the host."""

    missing: tuple[str, ...] = ()
    """Packages that are not installed."""
    files: dict[str, str | None] = field(default_factory=dict)
    service: dict[str, str] = field(default_factory=dict)
    timer: dict[str, str] = field(default_factory=dict)
    reload_due: bool = False
    baseline: bytes | None = None
    last: Database | None = None
    """What the last check has seen."""
    last_time: float | None = None
    last_problem: str = ""


class IntegrityHost:
    """Reads and changes what this role has on a host.

    Args:
        run_command: ``AnsibleModule.run_command`` or a function of the same form.
        changes: through which to change things.
        option: what this version of AIDE calls the database it compares with.
        root: folder that stands for ``/``; anything but ``/`` only in tests.

    """

    def __init__(self, run_command: RunCommand, changes: Changes, option: str, root: str = "/") -> None:
        self._run_command = run_command
        self.changes = changes
        self._option = option
        self.root = root
        self._owner = (0, 0) if root == "/" else (os.getuid(), os.getgid())
        self._manager = package_manager(run_command)

    def real(self, path: str) -> str:
        """Return where a path of the host lies."""
        return os.path.join(self.root, path.lstrip("/"))

    # ---- looking -----------------------------------------------------------------------------

    def look(self, packages: Sequence[str], names: Iterable[str]) -> Found:
        """Return what there is.

        Args:
            packages: those that are needed.
            names: files of ours.

        """
        found = Found()
        found.missing = tuple(self._manager.missing(packages))
        found.files = {name: text_or_none(self.real(name)) for name in names}
        properties = ("ActiveState", "Result", "UnitFileState", "NeedDaemonReload", "LoadState")
        shown = show_units(self._run_command, (SERVICE, TIMER), properties)
        found.service, found.timer = shown.get(SERVICE, {}), shown.get(TIMER, {})
        found.reload_due = any(unit.get("NeedDaemonReload") == "yes" for unit in shown.values())
        found.baseline = self._bytes(BASELINE)
        self.read_last(found)
        return found

    def _bytes(self, path: str) -> bytes | None:
        try:
            handle = os.open(self.real(path), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        except OSError as exc:
            raise ChangeError(f"{path}: {exc.strerror}") from exc
        with open(handle, "rb") as stream:
            return stream.read()

    def read_last(self, found: Found) -> None:
        """Read what the last check has seen."""
        found.last, found.last_time, found.last_problem = None, None, ""
        data = self._bytes(NOW)
        if data is not None:
            found.last_time = os.stat(self.real(NOW)).st_mtime
            try:
                found.last = Database.read(data)
            except DatabaseError as exc:
                found.last_problem = str(exc)

    # ---- changing ----------------------------------------------------------------------------

    def install(self, found: Found) -> None:
        """Install what is missing; nothing is started or enabled by it."""
        self._manager.ensure(self.changes, *found.missing, start=False)

    def put(self, found: Found, files: Mapping[str, str]) -> None:
        """Put files and timer in place.

        Args:
            found: what there is.
            files: by path.

        """
        changing = {path: text for path, text in files.items() if found.files.get(path) != text}
        units = {path: text for path, text in changing.items() if path.startswith(SYSTEMD)}
        if units and not self.changes.check_mode:
            self._verify({path: text for path, text in files.items() if path.startswith(SYSTEMD)})
        for path, text in changing.items():
            self.changes.write_file(
                self.real(path),
                text,
                mode=0o755 if path == LOOK else 0o600 if path == CONFIGURATION else 0o644,
                owner=self._owner,
                validate=self._refused if path == CONFIGURATION else None,
            )
        if units or found.reload_due:
            self.changes.reload_units()
        if found.timer.get("UnitFileState") != "enabled":
            self.changes.systemctl("enable", TIMER, "at boot", "disabled", "enabled", ("disable", "--now"))
        state = found.timer.get("ActiveState") or "inactive"
        if state != "active" or f"{SYSTEMD}/{TIMER}" in units:
            self.changes.systemctl("restart", TIMER, "state", state, "active, as in the file")

    def _refused(self, path: str) -> str | None:
        code, out, err = self._run_command(["aide", f"--config={path}", "--config-check"])
        return None if code == 0 else " ".join((err or out).split()) or f"aide ended with {code}"

    def _verify(self, units: Mapping[str, str]) -> None:
        """See that systemd understands our units.

        Raises:
            ChangeError: it does not.

        """
        folder = tempfile.mkdtemp(prefix="atlassian-dc-units-")
        try:
            paths = []
            for path, text in units.items():
                paths.append(os.path.join(folder, os.path.basename(path)))
                with open(paths[-1], "w", encoding="utf-8") as stream:
                    # The program may not be there yet, which is no fault of the unit.
                    stream.write(text.replace(f"ExecStart={LOOK}", "ExecStart=/bin/true"))
            _code, out, err = self._run_command(["systemd-analyze", "verify", "--man=no", *paths])
            said = [line for line in f"{out}\n{err}".splitlines() if NAME in line]
            if said:
                raise ChangeError(f"systemd does not understand a unit of ours: {' '.join(said)}")
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def check(self, patience: int) -> str:
        """Have the unit look at everything; return what kept it from ending well, empty when nothing did.

        Args:
            patience: how many seconds it is waited for; it goes on by itself after that.

        """
        # What waits for the job may be ended; the job goes on.
        code, out, err = self._run_command(["timeout", str(patience), "systemctl", "start", SERVICE])
        if code == _TIMED_OUT:
            return f"{SERVICE} is still reading files; a later run takes the baseline from what it finds"
        return "" if code == 0 else self._complaint(" ".join((err or out).split()))

    def _complaint(self, told: str) -> str:
        report = text_or_none(self.real(REPORT)) or ""
        with contextlib.suppress(OSError):
            if os.statvfs(self.real(STATE)).f_bavail == 0:
                told = f"{STATE}: {os.strerror(errno.ENOSPC)}"
        said = [line.strip() for line in report.splitlines() if "ERROR" in line]
        return f"{SERVICE} failed: {'; '.join(said[:2]) or told}"

    def write_baseline(self, database: Database) -> bytes:
        """Put a baseline in force; return it as it is written."""
        data = database.write()
        self.put_baseline(data)
        return data

    def put_baseline(self, data: bytes) -> None:
        """Put a baseline in force, as it is."""
        self.changes.write_file(self.real(BASELINE), data, mode=0o600, owner=self._owner, secret=True)

    def fresh(self, scope: Scope, paths: Iterable[str]) -> Database:
        """Return what AIDE says of paths now.

        Args:
            scope: what is watched.
            paths: those meant. Where a rule cannot name one of them, all that is watched is read.

        Raises:
            ChangeError: AIDE cannot tell.

        """
        paths = sorted(set(paths))
        folder = tempfile.mkdtemp(prefix="atlassian-dc-aide-")
        try:
            configuration, target = os.path.join(folder, "aide.conf"), os.path.join(folder, "new.db.gz")
            there = [path for path in paths if os.path.lexists(path)]
            if all(map(can_be_named, there)):
                text = just_these(self._option, there, target, target)
            else:
                text = scope.configuration(self._option, HEADER.strip()).replace(FRESH, target)
            with open(configuration, "w", encoding="utf-8") as stream:
                stream.write(text)
            code, out, err = self._run_command(["nice", "aide", f"--config={configuration}", "--init"])
            if code != 0:
                raise ChangeError(f"aide ended with {code}: {' '.join((err or out).split())[-500:]}")
            with open(target, "rb") as stream:
                return Database.read(stream.read())
        except OSError as exc:
            raise ChangeError(f"{folder}: {exc.strerror}") from exc
        except DatabaseError as exc:
            raise ChangeError(f"what AIDE has written cannot be used: {exc}") from exc
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def journal(self, message: str) -> None:
        """Write to the journal of the host."""
        self._run_command(["logger", f"--tag={NAME}", "--priority=auth.notice", "--", message])

    # ---- explaining --------------------------------------------------------------------------

    def packages_of(self, paths: Sequence[str]) -> dict[str, str]:
        """Return what the package manager knows of paths, in words."""
        if not paths:
            return {}
        if shutil.which("dpkg-query"):
            return self._dpkg(paths)
        return self._rpm(paths)

    def _dpkg(self, paths: Sequence[str]) -> dict[str, str]:
        _code, out, _err = self._run_command(["dpkg-query", "--search", "--", *paths], environ_update={"LC_ALL": "C"})
        found = {}
        for line in out.splitlines():
            names, _colon, path = line.partition(": ")
            name = names.split(", ")[0]
            if path in paths and not names.startswith("diversion "):
                state = self._manager.state(name)
                brought = self._brought(name, path)
                found[path] = f"package {name} {state.version} " + (
                    "brings it" if brought is None else "brings it like this" if brought else "brings another content"
                )
        return found

    def _brought(self, package: str, path: str) -> bool | None:
        """Whether a file is as its package has brought it; None where dpkg does not know."""
        for name in (package, f"{package}:{self._architecture()}"):
            text = text_or_none(self.real(f"/var/lib/dpkg/info/{name}.md5sums"))
            for match in map(_MD5_LINE.fullmatch, (text or "").splitlines()):
                if match and f"/{match[2]}" == path:
                    return match[1] == self._md5(path)
        return None

    def _architecture(self) -> str:
        return str(self._run_command(["dpkg", "--print-architecture"])[1]).strip()

    def _md5(self, path: str) -> str | None:
        digest = hashlib.md5(usedforsecurity=False)
        try:
            with open(self.real(path), "rb") as stream:
                digest.update(stream.read(_EXPLAINED_BYTES))
        except OSError:
            return None
        return digest.hexdigest()

    def _rpm(self, paths: Sequence[str]) -> dict[str, str]:
        found = {}
        for path in paths:
            form = "%{NAME} %{VERSION}-%{RELEASE}\n"
            code, out, _err = self._run_command(["rpm", "--query", "--file", "--queryformat", form, path])
            if code == 0 and out.strip():
                verify = ["rpm", "--verify", "--nodeps", "--noscripts", "--file", path]
                differing = self._run_command(verify)[1]
                other = any(line.endswith(f" {path}") for line in differing.splitlines())
                verb = "brings another content" if other else "brings it like this"
                found[path] = f"package {out.splitlines()[0]} {verb}"
        return found


def versions_of(instances: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return the versions of the products, by instance."""
    return {instance["name"]: str(instance["version"]) for instance in instances if instance.get("version")}
