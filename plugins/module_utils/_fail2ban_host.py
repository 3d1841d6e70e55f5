# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fail2ban of a host: what its files make of it, what runs, and how both are changed.

Configurations are tried in copies of ``/etc/fail2ban``: without our files it tells what others have set, with them what
will hold, and our files with nothing but the distribution's what should.
"""

from __future__ import annotations

import contextlib
import glob
import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Callable

from ansible_collections.atlassian_dc.hardening.plugins.module_utils._changes import ChangeError, Changes
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._fail2ban import (
    CLIENT,
    FOLDER,
    PATIENCE,
    SERVICE,
    jail_list,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._fail2ban_dump import (
    OWN_QUESTIONS,
    QUESTIONS,
    Dump,
    JailDump,
    Running,
    parse_answers,
    parse_dump,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._fail2ban_jails import (
    EMPTY_LOG,
    LOGS_SCRIPT,
    LOGS_SERVICE,
    OUTSIDE,
    OWN,
    SSHD_JAIL,
    Files,
    in_scratch,
    log_folder,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._packages import package_manager
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._systemd import show_units, text_or_none

RunCommand = Callable[..., "tuple[int, str, str]"]

SYSTEMD = "/etc/systemd/system"

NO_FILE = "no file; move it away"
"""Why a log cannot be read with which fail2ban does not start either."""

OF_DISTRIBUTION = ("defaults-debian.conf", "00-firewalld.conf", "00-systemd.conf")
"""Files in ``jail.d`` that packages bring; what stands there nobody has set for this host."""

PROBE = "atlassian-dc-probe"
"""A jail that exists in copies only, and tells what ``[DEFAULT]`` holds."""
_PROBE_FILE = "jail.d/zzz-atlassian-dc-probe.local"
_PROBE_TEXT = f"[{PROBE}]\nenabled = true\nfilter =\nlogpath =\naction =\n"

_SAY_NOTHING = (
    "Init of command line failed",
    "test configuration failed",
    "The configuration stream failed because of the invalid syntax.",
)


@dataclass
class Found:
    """What was found on the host."""

    missing: tuple[str, ...] = ()
    """Packages that are not installed."""
    installed: bool = False
    service: dict[str, str] = field(default_factory=dict)
    watcher: dict[str, str] = field(default_factory=dict)
    """The unit that has new logs read."""
    reload_due: bool = False
    """Whether systemd has loaded units that are older than their files."""
    files: Files = field(default_factory=dict)
    """Files of ours below the folder of fail2ban, and units of ours by name."""
    base: Dump = field(default_factory=Dump)
    """What others have configured."""
    broken: str = ""
    """Why that cannot be read, in fail2ban's words."""
    sshd_by: tuple[str, ...] = ()
    """Files of others, the distribution's left out, that say something about the jail of SSH."""

    @property
    def active(self) -> bool:
        """Whether the server runs."""
        return self.service.get("ActiveState") == "active"

    @property
    def enabled(self) -> bool:
        """Whether it is started at boot."""
        return self.service.get("UnitFileState") == "enabled"

    @property
    def ignore(self) -> list[str]:
        """Who is never banned where a jail says nothing else, as others have set it."""
        return self.base.jails.get(PROBE, JailDump()).ignore


@dataclass
class Trial:
    """What a configuration with our files comes to."""

    together: Dump = field(default_factory=Dump)
    """With everything that is there."""
    alone: Dump = field(default_factory=Dump)
    """With nothing but what the distribution brings."""


class Fail2banHost:
    """Reads and changes the fail2ban of a host.

    Args:
        run_command: ``AnsibleModule.run_command`` or a function of the same form.
        changes: through which to change things.
        scratch: folder for copies; they are removed again.
        root: folder that stands for ``/``; anything but ``/`` only in tests.

    """

    def __init__(self, run_command: RunCommand, changes: Changes, scratch: str, root: str = "/") -> None:
        self._run_command = run_command
        self.changes = changes
        self._scratch = scratch
        self.root = root
        self._owner = (0, 0) if root == "/" else (os.getuid(), os.getgid())

    def real(self, path: str) -> str:
        """Return where a path of the host lies."""
        return os.path.join(self.root, path.lstrip("/"))

    def _text(self, path: str) -> str | None:
        return text_or_none(self.real(path))

    def path_of(self, name: str) -> str:
        """Return where a file of ours lies."""
        folder = SYSTEMD if name == LOGS_SERVICE else FOLDER
        return os.path.join(folder, name)

    @staticmethod
    def is_read(name: str) -> bool:
        """Whether a file of ours is part of fail2ban's configuration."""
        return name not in OUTSIDE

    # ---- looking -----------------------------------------------------------------------------

    def look(self, packages: Sequence[str], names: Iterable[str]) -> Found:
        """Return what there is.

        Args:
            packages: those that are needed.
            names: files of ours that may be there.

        Raises:
            ChangeError: the host has no package manager that is known, and not all that is needed.

        """
        found = Found(installed=os.access(self.real(f"/usr/bin/{CLIENT}"), os.X_OK))
        manager = package_manager(self._run_command)
        found.missing = tuple(manager.missing(packages))
        units = (SERVICE, LOGS_SERVICE)
        properties = ("LoadState", "ActiveState", "SubState", "Result", "UnitFileState", "NeedDaemonReload")
        shown = show_units(self._run_command, units, properties)
        found.service = shown.get(SERVICE, {})
        found.watcher = shown.get(LOGS_SERVICE, {})
        found.reload_due = any(unit.get("NeedDaemonReload") == "yes" for unit in shown.values())
        texts = {name: self._text(self.path_of(name)) for name in dict.fromkeys((*OWN, *OUTSIDE, *names))}
        found.files = {name: text for name, text in texts.items() if text is not None}
        if found.installed:
            found.sshd_by = tuple(path for path in self._jail_files() if self._says(path, SSHD_JAIL))
            with self._copy({_PROBE_FILE: _PROBE_TEXT}) as folder:
                found.base, found.broken = self._dump(folder)
        return found

    def unreadable(self, pattern: str) -> list[tuple[str, str]]:
        """Return what keeps logs of a pattern from being read, each with the reason; those yet to come are no matter.

        Where root may not look, as on a network file system that squashes it, fail2ban finds nothing and says nothing.
        """
        folder = log_folder(pattern)
        try:
            os.listdir(self.real(folder))
        except FileNotFoundError:
            return []
        except OSError as exc:
            return [(folder, exc.strerror or str(exc))]
        found = []
        for path in sorted(glob.glob(self.real(pattern))):
            name = path[len(self.real("")) - 1 :]
            try:
                handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
            except FileNotFoundError:
                continue
            except OSError as exc:
                found.append((name, exc.strerror or str(exc)))
                continue
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                found.append((name, NO_FILE))
            os.close(handle)
        return found

    def _jail_files(self) -> list[str]:
        """Return the files of others that make jails, in the order fail2ban reads them."""
        folder = self.real(f"{FOLDER}/jail.d")
        names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
        names = [name for name in names if f"jail.d/{name}" not in OWN and name not in OF_DISTRIBUTION]
        configured = [f"{FOLDER}/jail.d/{name}" for name in names if name.endswith(".conf")]
        local = [f"{FOLDER}/jail.d/{name}" for name in names if name.endswith(".local")]
        return [*configured, f"{FOLDER}/jail.local", *local]

    def _says(self, path: str, section: str, option: str = "") -> bool:
        """Whether a file has a section, with an option if one is given."""
        body = re.search(rf"(?ms)^\[{re.escape(section)}\][^\n]*$(.*?)(?=^\[|\Z)", self._text(path) or "")
        return body is not None and (not option or re.search(rf"(?m)^{re.escape(option)}\s*[=:]", body[1]) is not None)

    def said_by(self, jail: str, option: str = "") -> str:
        """Return the last file of others that says something of a jail, for messages."""
        found = [path for path in self._jail_files() if self._says(path, jail, option)]
        return found[-1] if found else f"a file below {FOLDER}"

    # ---- trying ------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _copy(self, files: Mapping[str, str], foreign: bool = True) -> Iterator[str]:
        """Give a copy of the configuration with these files in the place of ours.

        Args:
            files: by their path in it.
            foreign: whether what others have set is in it, too.

        """

        def left_out(folder: str, names: list[str]) -> set[str]:
            kind = os.path.relpath(folder, self.real(FOLDER))
            return {name for name in names if not self._is_copied(os.path.normpath(os.path.join(kind, name)), foreign)}

        top = tempfile.mkdtemp(prefix="fail2ban-", dir=self._scratch)
        try:
            folder = os.path.join(top, "fail2ban")
            shutil.copytree(self.real(FOLDER), folder, ignore=left_out, ignore_dangling_symlinks=True)
            empty = _empty_log(folder)
            for name, text in {empty: "", **in_scratch(files, empty)}.items():
                path = os.path.join(folder, name)
                os.makedirs(os.path.dirname(path), exist_ok=True)
                with open(path, "w", encoding="utf-8", errors="surrogateescape") as stream:
                    stream.write(text)
            yield folder
        except (OSError, shutil.Error) as exc:
            raise ChangeError(f"{FOLDER} cannot be copied to be tried: {exc}") from exc
        finally:
            shutil.rmtree(top, ignore_errors=True)

    @staticmethod
    def _is_copied(path: str, foreign: bool) -> bool:
        if path in OWN:
            return False
        folder, name = os.path.split(path)
        if foreign or not folder:
            return foreign or not name.endswith(".local")
        return not (
            name.endswith(".local") or folder == "fail2ban.d" or (folder == "jail.d" and name not in OF_DISTRIBUTION)
        )

    def _client(self, *argv: str, data: str | None = None) -> tuple[int, str, str]:
        code, out, err = self._run_command([CLIENT, *argv], data=data, environ_update={"LC_ALL": "C.UTF-8"})
        return code, out, err

    def _dump(self, folder: str) -> tuple[Dump, str]:
        """Return what fail2ban makes of a configuration, and what it complains of if that is nothing."""
        code, out, err = self._client("-c", folder, "-d")
        dump = parse_dump(out.replace(_empty_log(folder), EMPTY_LOG))
        return dump, "" if dump.server and code == 0 else _complaint(out, err).replace(folder, FOLDER)

    def try_out(self, files: Files) -> Trial:
        """Return what our files come to.

        Raises:
            ChangeError: the configuration cannot be read with them.

        """
        trial = Trial()
        with self._copy(files) as folder:
            trial.together, broken = self._dump(folder)
        if broken:
            raise ChangeError(broken)
        with self._copy(files, foreign=False) as folder:
            trial.alone, _broken = self._dump(folder)
        return trial

    def prove(self, files: Files) -> None:
        """See that fail2ban would start with our files.

        Raises:
            ChangeError: it would not; says whose fault it is.

        """
        with self._copy(files) as folder:
            code, out, err = self._client("-c", folder, "-t")
            complaint = _complaint(out, err).replace(folder, FOLDER)
        if code == 0:
            return
        with self._copy({}) as folder:
            before, out, err = self._client("-c", folder, "-t")
        whose = "the configuration of this host is broken without it too" if before else "with the files of this role"
        raise ChangeError(f"{CLIENT} -t refuses it ({whose}): {complaint}")

    # ---- the server --------------------------------------------------------------------------

    def ask(self, jails: Collection[str]) -> Running:
        """Return what the server says of jails; nothing of those that it does not have, or where it does not answer."""
        names = [name for name in jails if re.fullmatch(r"[\w.-]+", name)]
        questions = [*QUESTIONS, *OWN_QUESTIONS]
        asked = [(name, question) for name in names for question in questions]
        data = "".join(f"{line}\n" for line in ("status", *(f"get {name} {question}" for name, question in asked)))
        answers = parse_answers(self._client("-i", data=data)[1])
        running = Running(answers=bool(answers) and "Jail list:" in answers[0])
        for name in jail_list(answers[0]) if answers else ():
            running.jails[name] = {}
        for (name, question), answer in zip(asked, answers[1:]):
            if name in running.jails:
                running.jails[name][question] = answer
        return running

    # ---- changing ----------------------------------------------------------------------------

    def install(self, found: Found) -> None:
        """Install what is missing; nothing is started by it.

        Raises:
            ChangeError: it cannot be installed.

        """
        if found.missing:
            package_manager(self._run_command).ensure(self.changes, *found.missing, start=False)

    def put(self, found: Found, files: Mapping[str, str | None], reload_due: bool, restarted: Sequence[str]) -> None:
        """Put files in place and have the server run with them, now and after every boot.

        Args:
            found: what there is.
            files: by name, None for those that are to be absent.
            reload_due: whether the server runs with something else than the files, which may be as they should be.
            restarted: jails whose action has to be set up anew.

        Raises:
            ChangeError: something could not be changed.

        """
        changing = {name: text for name, text in files.items() if found.files.get(name) != text}
        configuration = any(map(self.is_read, changing))
        if found.active and (configuration or reload_due):
            # First of all, for a run is taken back backwards: the server then comes to know of files put back before.
            self.changes.perform(lambda: None, SERVICE, "way back", "none", "reload", undo=(CLIENT, "reload"))
        for name, text in changing.items():
            path = self.real(self.path_of(name))
            if text is None:
                self.changes.remove_file(path)
            else:
                self.changes.write_file(path, text, owner=self._owner)
        if LOGS_SERVICE in changing or found.reload_due:
            self.changes.reload_units()
        self._serve(found, configuration or reload_due, restarted)
        if files.get(LOGS_SERVICE):
            self._watch(found, bool({LOGS_SERVICE, LOGS_SCRIPT} & set(changing)))

    def _serve(self, found: Found, reload_due: bool, restarted: Sequence[str]) -> None:
        if not found.enabled:
            self.changes.systemctl("enable", SERVICE, "at boot", "disabled", "enabled", ("disable",))
        if not found.active:
            before = found.service.get("ActiveState") or "inactive"
            self.changes.systemctl("start", SERVICE, "state", before, "active", ("stop",))
        elif reload_due:
            self.changes.command([CLIENT, "reload"], SERVICE, "configuration", "another one", "as in the files")
            for name in restarted:
                argv = [CLIENT, "reload", "--restart", name]
                self.changes.command(argv, f"jail {name}", "ports", "others", "as in the files")

    def _watch(self, found: Found, changed: bool) -> None:
        if found.watcher.get("UnitFileState") != "enabled":
            self.changes.systemctl("enable", LOGS_SERVICE, "at boot", "disabled", "enabled", ("disable", "--now"))
        state = found.watcher.get("ActiveState") or "inactive"
        if state != "active" or changed:
            self.changes.systemctl("restart", LOGS_SERVICE, "state", state, "active, as in the file")

    def wait(self, jails: Collection[str]) -> None:
        """Wait until the server runs these jails, for a while."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            running = self.ask(())
            if running.answers and set(jails) <= set(running.jails):
                break
            time.sleep(0.5)


def _empty_log(folder: str) -> str:
    """Return the empty log of a copy, for ours may not be there yet."""
    return os.path.join(os.path.dirname(folder), "empty.log")


def _complaint(out: str, err: str) -> str:
    """Return what fail2ban complains of, without its own time and process, and what only says that it failed."""
    found: list[str] = []
    begun = False
    for line in f"{err}\n{out}".splitlines():
        match = re.match(
            r"(?:[0-9-]{10} [0-9:,]+ fail2ban\S*\s+\[[0-9]+\]: )?(ERROR|WARNING|NOTICE|INFO)?:?\s*(.*)", line
        )
        level, words = match.groups() if match else (None, "")
        begun = level == "ERROR" or (begun and level is None)
        words = words.removeprefix("ERROR: ")
        if begun and words and words not in _SAY_NOTHING:
            found.append(words)
    return "; ".join(dict.fromkeys(found)) or " ".join((err or out).split())[-500:] or "no message"
