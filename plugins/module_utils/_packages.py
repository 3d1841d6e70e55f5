# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Installs packages with the system's own tools, and touches nothing else by it.

What is installed is asked of dpkg or rpm, which need no lists, so a prediction never depends on the network. A package
is installed without what it only recommends, without removing another, without a question, and without restarting any
service of another package. It stays when a run is taken back: what came with it, or uses it by now, cannot be told.
"""

from __future__ import annotations

import abc
import contextlib
import os
import re
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Callable, NamedTuple

from ansible_collections.atlassian_dc.hardening.plugins.module_utils._changes import ChangeError, Changes, is_fault

LOCK_SECONDS = 300
"""How long another program that holds the lock of the package manager is waited for."""

POLL_SECONDS = 2.0

POLICY = "/usr/sbin/policy-rc.d"
"""Asked on the Debian family before a package starts, stops or restarts a service; 101 forbids it."""

POLICY_LOCK = "/run/atlassian-dc-packages.lock"
"""Held as long as the package manager runs, so that a policy that was left behind is void."""

ENVIRONMENT = {
    "LC_ALL": "C",
    "DEBIAN_FRONTEND": "noninteractive",
    "UCF_FORCE_CONFFOLD": "1",
    "APT_LISTCHANGES_FRONTEND": "none",
    "NEEDRESTART_SUSPEND": "1",
    "NEEDRESTART_MODE": "l",
}
"""In English, for its words are looked through; no questions, no restarts."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._-]*[A-Za-z0-9+]")
_UNIT_FILE = re.compile(r"(?:/usr)?/lib/systemd/system/([^/@]+\.(?:service|socket|timer|path))")
_MAX_WORDS = 500
_FORBIDDEN = 101
_IN_USE = 75  # chosen here, none of the tools ends with it

RunCommand = Callable[..., Any]


class State(NamedTuple):
    """What the system knows of a package.

    Attributes:
        version: of the installed one, None where it is not installed.
        unfinished: the state in the words of the system, where an installation was begun and not ended; else empty.

    """

    version: str | None = None
    unfinished: str = ""


def check_name(name: str) -> None:
    """Raise ChangeError where a name could mean something else to a package manager than one package."""
    if not _NAME.fullmatch(name):
        raise ChangeError(f"{name!r} is no name of a package: letters, digits and + . _ - are allowed")


def package_manager(
    run_command: RunCommand, lock_timeout: float = LOCK_SECONDS, find: Callable[[str], str | None] = shutil.which
) -> PackageManager:
    """Return the package manager of this host.

    Args:
        run_command: ``AnsibleModule.run_command`` or a function of the same form.
        lock_timeout: how long another program that holds its lock is waited for, in seconds.
        find: tells where a program lies, None where there is none.

    Raises:
        ChangeError: the host has neither apt nor dnf.

    """
    for manager in (Apt, Dnf):
        if all(find(tool) for tool in manager.tools):
            return manager(run_command, lock_timeout)
    raise ChangeError("this host has neither apt-get with dpkg nor dnf with rpm: packages cannot be installed")


class PackageManager(abc.ABC):
    """What Apt and Dnf have in common."""

    tools: tuple[str, ...] = ()
    explanations: tuple[tuple[str, str], ...] = ()
    """What words of the tools mean, the first that is found."""
    busy: re.Pattern[str]
    """Words with which the tools say that another program holds their lock."""
    busy_codes: tuple[int, ...] = ()
    """Codes with which they end then."""

    def __init__(self, run_command: RunCommand, lock_timeout: float = LOCK_SECONDS) -> None:
        self._run_command = run_command
        self._lock_timeout = lock_timeout

    def missing(self, names: Iterable[str]) -> list[str]:
        """Return the packages that are not installed, each once.

        Raises:
            ChangeError: the system cannot tell.

        """
        return [name for name in dict.fromkeys(names) if self.state(name).version is None]

    def ensure(self, changes: Changes, *names: str, start: bool = True) -> list[str]:
        """Make sure that packages are installed, in whatever version.

        All that are missing are installed at once; where that fails, one by one, so that one keeps no other away.

        Args:
            changes: makes the changes, or only notes them.
            names: of the packages.
            start: whether services that they bring are left as the packages want them. Otherwise they are neither
                started nor enabled when they are installed now.

        Returns:
            Those that are missing (check mode) or were installed.

        Raises:
            ChangeError: one cannot be installed; says why, and what to do. The others have been.

        """
        for name in names:
            check_name(name)
        made, problems = [], []
        together = _Together(self, start)
        for name in dict.fromkeys(names):
            try:
                state = self.state(name)
                if state.unfinished:
                    raise ChangeError(f"package {name}: {self.unfinished(state)}")
                if state.version is None:
                    together.names.append(name)
            except ChangeError as exc:
                problems.append(str(exc))
        for name in together.names:
            try:
                changes.perform(partial(together.install, name), f"package {name}", "existence", "absent", "installed")
                made.append(name)
            except ChangeError as exc:
                problems.append(str(exc))
        if problems:
            raise ChangeError("; ".join(problems))
        return made

    @abc.abstractmethod
    def state(self, name: str) -> State:
        """Return what the system knows of a package."""

    @abc.abstractmethod
    def files(self, name: str) -> list[str]:
        """Return the files of an installed package."""

    @abc.abstractmethod
    def install(self, names: Sequence[str], start: bool, deadline: float) -> None:
        """Install packages that are missing.

        Args:
            names: of the packages.
            start: whether they may start their services.
            deadline: until when another program that holds the lock is waited for, by the clock that is monotonic.

        """

    @staticmethod
    def unfinished(state: State) -> str:
        """Return what is wrong with a package whose installation was begun and not ended."""
        return f"is {state.unfinished}, because its installation was not ended"

    def disable(self, name: str) -> None:
        """Keep the services of a package that was just installed from being started at the next boot."""
        units = sorted({match.group(1) for match in map(_UNIT_FILE.fullmatch, self.files(name)) if match})
        if units:
            code, out, err = self._run("systemctl", "disable", "--", *units)
            if code != 0:
                raise ChangeError(f"is installed, but {', '.join(units)} cannot be disabled: {words(out, err)}")

    def deadline(self) -> float:
        """Return until when another program that holds the lock is waited for, if that begins now."""
        return time.monotonic() + self._lock_timeout

    def _run(self, *argv: str) -> tuple[int, str, str]:
        code, out, err = self._run_command(list(argv), environ_update=ENVIRONMENT, errors="replace")
        return code, out, err

    def _when_free(self, argv: Sequence[str], deadline: float) -> tuple[int, str, str]:
        """Run a tool, again and again as long as another program holds its lock."""
        while True:
            code, out, err = self._run(*argv)
            if code == 0 or not (code in self.busy_codes or self.busy.search(f"{out}\n{err}")):
                return code, out, err
            if time.monotonic() >= deadline:
                said = words(out, err)
                raise ChangeError(
                    "another program is using the package manager, and still was after "
                    f"{self._lock_timeout:g} seconds; wait until it has ended{f': {said}' if said else ''}"
                )
            time.sleep(POLL_SECONDS)

    def _explained(self, out: str, err: str) -> str:
        """Return what went wrong: what it means, where that is known, and the tool's own words."""
        said = words(out, err) or "no message"
        for pattern, meaning in self.explanations:
            if re.search(pattern, f"{out}\n{err}"):
                return f"{meaning}: {said}"
        return said


class Apt(PackageManager):
    """The Debian family: apt-get and dpkg."""

    tools = ("apt-get", "apt-cache", "dpkg-query")
    busy = re.compile(r"Could not get lock|Unable to acquire the dpkg frontend lock|Unable to lock ")
    busy_codes = (_IN_USE,)
    explanations = (
        (
            r"dpkg was interrupted",
            "the installation of some package was cut off on this host; run dpkg --configure -a",
        ),
        (r"fix-broken", "what other packages depend on is missing on this host; run apt-get --fix-broken install"),
        (r"remove is disabled", "other packages would have to be removed for it"),
        (r"held broken packages|[Uu]nmet dependencies", "something that it depends on cannot be installed"),
        (
            r"NO_PUBKEY|not signed|cannot be authenticated|BADSIG|EXPKEYSIG",
            "the repository is not signed as it should be",
        ),
        (
            r"Failed to fetch|Unable to fetch|[Cc]ould not resolve|failure resolving|Could not connect|unreachable",
            "files cannot be fetched; does this host reach its repositories?",
        ),
        (r"returned an error code", "a script of the package failed"),
    )

    _PRESENT = ("installed", "triggers-awaited", "triggers-pending")
    _ABSENT = ("not-installed", "config-files", "")

    def __init__(
        self, run_command: RunCommand, lock_timeout: float = LOCK_SECONDS, policy: str = POLICY, lock: str = POLICY_LOCK
    ) -> None:
        super().__init__(run_command, lock_timeout)
        self._policy = policy
        self._lock = lock

    def state(self, name: str) -> State:
        """Return what dpkg knows of a package."""
        form = "${db:Status-Status}\t${Version}\n"
        code, out, err = self._run("dpkg-query", "--show", f"--showformat={form}", name)
        if code > 1:
            raise ChangeError(f"package {name}: dpkg-query cannot tell whether it is installed: {words(out, err)}")
        # One line for each architecture.
        found = [line.partition("\t")[::2] for line in out.splitlines()] if code == 0 else []
        for status, version in found:
            if status in self._PRESENT:
                return State(version)
        return State(unfinished=next((status for status, _version in found if status not in self._ABSENT), ""))

    def files(self, name: str) -> list[str]:
        """Return the files of an installed package."""
        return self._run("dpkg-query", "--listfiles", name)[1].splitlines()

    @staticmethod
    def unfinished(state: State) -> str:
        """Return the same, and what to do."""
        return f"is {state.unfinished}, because its installation was not ended; run dpkg --configure -a"

    def install(self, names: Sequence[str], start: bool, deadline: float) -> None:
        """Install packages; the lists are fetched where they lack one."""
        fetched = not all(map(self._is_offered, names))
        if fetched:
            problem = self._fetch_lists(deadline)
            if not all(map(self._is_offered, names)):
                missing = "the lists of this host do not have it, and cannot be fetched anew"
                raise ChangeError(f"{missing}: {problem}" if problem else "no repository of this host offers it")
        argv = (
            *("flock", "--close", "--nonblock", "--conflict-exit-code", str(_IN_USE), self._lock),
            *("apt-get", "install", "--yes", "--no-install-recommends", "--no-remove"),
            *("--option", "DPkg::Options::=--force-confold", "--option", "DPkg::Use-Pty=0"),
            *("--option", "DPkg::Lock::Timeout=0", *names),
        )
        with self._services_left_alone(names, start):
            code, out, err = self._when_free(argv, deadline)
            if code != 0 and not fetched and re.search(r"Failed to fetch|Unable to fetch", err):
                # The lists are older than what the repository has by now.
                self._fetch_lists(deadline)
                code, out, err = self._when_free(argv, deadline)
        if code != 0:
            left = "".join(f". It is left {state.unfinished}" for state in map(self.state, names) if state.unfinished)
            raise ChangeError(self._explained(out, err) + left)

    def _is_offered(self, name: str) -> bool:
        """Whether the lists of this host have a package of exactly this name.

        apt-get takes a name it does not know for a regular expression.
        """
        out = self._run("apt-cache", "policy", name)[1]
        candidate = re.search(r"^  Candidate: (.+)$", out, re.MULTILINE)
        return candidate is not None and candidate.group(1) != "(none)"

    def _fetch_lists(self, deadline: float) -> str:
        """Fetch the lists of packages; return what went wrong, empty when nothing did."""
        argv = ("apt-get", "update", "--option", "APT::Update::Error-Mode=any", "--option", "DPkg::Lock::Timeout=0")
        code, out, err = self._when_free(argv, deadline)
        return self._explained(out, err) if code != 0 else ""

    @contextlib.contextmanager
    def _services_left_alone(self, names: Sequence[str], start: bool) -> Iterator[None]:
        """Forbid packages to start, stop or restart services, but for starting the new ones if that is wanted.

        Raises:
            ChangeError: the host has a policy of its own, which would start them.

        """
        if self._is_foreign():
            # One that cannot be executed is passed over.
            forbids = os.access(self._policy, os.X_OK) and all(
                self._run(self._policy, name, "start")[0] == _FORBIDDEN for name in names
            )
            if not start and not forbids:
                raise ChangeError(
                    f"is to be installed without being started, but {self._policy} of this host lets it start"
                )
            yield
            return
        permitted = 'test "$2" = start && exit 0\n' if start else ""
        script = (
            "#!/bin/sh\n"
            "# Made by atlassian_dc.hardening while it installs a package, and void afterwards.\n"
            f"flock --nonblock --shared {self._lock} true && exit 0\n{permitted}exit {_FORBIDDEN}\n"
        )
        try:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._policy)
            handle = os.open(self._policy, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o755)
            with open(handle, "w", encoding="ascii") as stream:
                stream.write(script)
                os.fchmod(handle, 0o755)
        except OSError as exc:
            raise ChangeError(f"{self._policy}, which keeps services from being started, {exc.strerror}") from exc
        try:
            yield
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._policy)

    def _is_foreign(self) -> bool:
        """Whether there is a policy that is none of ours, left behind by a run that was cut off."""
        try:
            with open(self._policy, encoding="utf-8", errors="replace") as stream:
                return "atlassian_dc.hardening" not in stream.read(1000)
        except FileNotFoundError:
            return os.path.lexists(self._policy)
        except OSError:
            return True


class Dnf(PackageManager):
    """The Red Hat family: dnf and rpm. Its packages start nothing by themselves."""

    tools = ("dnf", "rpm")
    busy = re.compile(r"[Ww]aiting for process with pid|[Ff]ailed to obtain .*lock")
    busy_codes = (200,)
    explanations = (
        (r"No match for argument|Unable to find a match", "no repository of this host offers it"),
        (r"rpmdb open failed|error: .*rpmdb|database disk image is malformed", "the database of rpm is broken"),
        (r"[Pp]roblem: |conflicting requests|nothing provides", "something that it depends on cannot be installed"),
        (r"GPG|not signed|Public key", "the repository is not signed as it should be"),
        (
            r"Failed to download|Error downloading|Errors during downloading|Cannot download|Curl error|all mirrors",
            "files cannot be fetched; does this host reach its repositories?",
        ),
        (r"There are no enabled repos|no enabled repositories", "no repository is enabled on this host"),
        (r"scriptlet failed", "a script of the package failed"),
    )

    def state(self, name: str) -> State:
        """Return what rpm knows of a package."""
        code, out, err = self._run("rpm", "--query", "--queryformat", "%{VERSION}-%{RELEASE}\n", name)
        if code == 0 and out.strip():
            return State(out.strip().splitlines()[-1])
        if "is not installed" in out:
            return State()
        raise ChangeError(f"package {name}: rpm cannot tell whether it is installed: {self._explained(out, err)}")

    def files(self, name: str) -> list[str]:
        """Return the files of an installed package."""
        return self._run("rpm", "--query", "--list", name)[1].splitlines()

    def install(self, names: Sequence[str], start: bool, deadline: float) -> None:
        """Install packages."""
        options = ("--assumeyes", "--setopt=install_weak_deps=False", "--setopt=exit_on_lock=True")
        code, out, err = self._when_free(("dnf", *options, "install", *names), deadline)
        if code != 0:
            raise ChangeError(self._explained(out, err))


class _Together:
    """Packages that are installed by one call of the system's tool.

    Args:
        manager: installs them.
        start: whether they may start their services.

    """

    def __init__(self, manager: PackageManager, start: bool) -> None:
        self.names: list[str] = []
        self._manager = manager
        self._start = start
        self._deadline = 0.0

    def install(self, name: str) -> None:
        """Install one of them, and the others with it if they have not been.

        Raises:
            ChangeError: it cannot be installed.

        """
        try:
            if not self._deadline:
                self._deadline = self._manager.deadline()
                if len(self.names) > 1:
                    with contextlib.suppress(ChangeError):  # which of them it is, is told when each is tried
                        self._manager.install(self.names, self._start, self._deadline)
            if self._manager.state(name).version is None:
                self._manager.install([name], self._start, self._deadline)
            after = self._manager.state(name)
            if after.version is None:
                raise ChangeError(
                    self._manager.unfinished(after) if after.unfinished else "was not installed after all"
                )
            if not self._start:
                self._manager.disable(name)
        except ChangeError as exc:
            raise ChangeError(f"package {name}: {exc}") from exc


def words(out: str, err: str) -> str:
    """Return what a tool complains of, in one line that is not too long."""
    complaints: list[str] = []
    taken = False
    for line in (err or out).splitlines():
        # Lines that are indented go on with what the one before says.
        taken = line.startswith(("E: ", "Error: ", "error: ", "dpkg: error")) or (taken and line[:1] in (" ", "\t"))
        if taken or is_fault(line):
            complaints.append(line.strip())
    lines = complaints or [line.strip() for line in (err or out).splitlines() if line.strip()][-3:]
    text = "; ".join(dict.fromkeys(lines))
    return text if len(text) <= _MAX_WORDS else f"{text[:_MAX_WORDS]}…"
