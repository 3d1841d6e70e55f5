# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Has a host try or restore backups by itself, in a unit that lives only for that and leaves nothing to start again.

Program, configuration and secrets lie below ``/run``, which no reboot keeps. Secrets are removed once the unit has
taken them over.
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import shutil
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.atlassian_dc.hardening.plugins.module_utils._changes import ChangeError, Changes
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._files import read_regular
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._own_program import PACKAGE, library
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._systemd import (
    RunCommand,
    outer_folders,
    quote_word,
    show_units,
)

DRILL_PARTS = (
    "_backup_database",
    "_backup_keep",
    "_backup_manifest",
    "_backup_restic",
    "_backup_rows",
    "_findings",
    "_restore_database",
    "_restore_drill",
    "_restore_repository",
    "_restore_result",
    "_restore_tree",
)
RESTORE_PARTS = (
    *DRILL_PARTS,
    "_discovery_host",
    "_discovery_parse",
    "_properties",
    "_restore_plan",
    "_restore_run",
    "_restore_target",
    "_systemd",
)
"""Files of this collection that the programs consist of."""

COMMON = {
    "Nice": "19",
    "IOSchedulingClass": "idle",
    "MemoryMax": "1G",
    "UMask": "0077",
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "PrivateTmp": "yes",
    "PrivateDevices": "yes",
    "NoNewPrivileges": "yes",
    "ProtectKernelTunables": "yes",
    "ProtectKernelModules": "yes",
    "ProtectKernelLogs": "yes",
    "ProtectControlGroups": "yes",
    "ProtectClock": "yes",
    "ProtectHostname": "yes",
    "RestrictNamespaces": "yes",
    "RestrictRealtime": "yes",
    "LockPersonality": "yes",
    "RestrictAddressFamilies": "AF_UNIX AF_INET AF_INET6",
    "SystemCallFilter": "@system-service",
    "KillMode": "control-group",
}
ACCOUNT = "atlassian-dc-drill"
"""Account that tries backups."""
_SHELLS = ("/usr/sbin/nologin", "/sbin/nologin", "/bin/false")
GRACE_SECONDS = 60
"""How much longer than its time it may take to end by itself."""
RUNNING = ("active", "activating", "deactivating", "reloading")


class Program:
    """A program of ours that runs once.

    Args:
        unit: name of its unit, without the ending.
        parts: files of this collection that it consists of.
        part: the one whose ``main`` it is.
        changes: through which to change things.
        run_command: to ask the system's tools.
        results: the folder that it leaves once it has ended by itself.
        root: folder that stands for ``/``; anything but ``/`` only in tests.

    """

    def __init__(
        self,
        unit: str,
        parts: Sequence[str],
        part: str,
        changes: Changes,
        run_command: RunCommand,
        results: str,
        root: str = "/",
    ) -> None:
        self.unit = unit
        self.results = results
        self.folder = f"/run/{unit}"
        self._parts = parts
        self._part = part
        self._changes = changes
        self._run_command = run_command
        self._root = root
        self._owner = (0, 0) if root == "/" else (os.getuid(), os.getgid())

    def real(self, path: str) -> str:
        """Return where a path of the host lies."""
        return os.path.join(self._root, path.lstrip("/"))

    @property
    def running(self) -> bool:
        """Whether it runs."""
        shown = show_units(self._run_command, [f"{self.unit}.service"], ("ActiveState",))
        return shown.get(f"{self.unit}.service", {}).get("ActiveState") in RUNNING

    def start(
        self, config: Mapping[str, Any], secrets: Mapping[str, Any], properties: Mapping[str, str], what: str
    ) -> None:
        """Start it; it goes on by itself.

        Args:
            config: what it is told; ``time_limit`` is for how many seconds it may run.
            secrets: what nobody else may see of that.
            properties: of its unit, beside the common ones.
            what: what it does, for the record.

        Raises:
            ChangeError: it runs already, or could not be started.

        """
        if self.running:
            raise ChangeError(f"{self.unit}.service runs already: journalctl -u {self.unit} tells how far it is")
        self._changes.perform(
            lambda: self._start(config, secrets, properties), f"unit {self.unit}.service", "state", "not running", what
        )

    def _start(self, config: Mapping[str, Any], secrets: Mapping[str, Any], properties: Mapping[str, str]) -> None:
        self.clean()
        # Those of another run are not to be taken for its own, should it not come so far.
        self._remove(self.results)
        try:
            for path, text, mode in (
                *((file.path, file.text, 0o644) for file in library(f"{self.folder}/lib", self._parts)),
                (f"{self.folder}/program.py", self._launcher(), 0o644),
                (f"{self.folder}/config.json", json.dumps(config, indent=1, sort_keys=True), 0o600),
                (f"{self.folder}/secrets.json", json.dumps(secrets), 0o600),
            ):
                self._write(path, text, mode)
            handed = {f"LoadCredential={name}:{self.folder}/{name}.json" for name in ("config", "secrets")}
            options = [
                f"{name}={value}" for name, value in {**COMMON, "SyslogIdentifier": self.unit, **properties}.items()
            ]
            argv = ["systemd-run", f"--unit={self.unit}", "--service-type=exec", "--quiet", "--collect"]
            argv += ["--description=Backups that are restored (atlassian_dc.hardening)", "--slice=system.slice"]
            argv.append(f"--property=RuntimeMaxSec={config['time_limit'] + GRACE_SECONDS}")
            argv += [f"--property={option}" for option in (*sorted(handed), *options)]
            argv += ["--", sys.executable, "-I", "-S", "-B", f"{self.folder}/program.py"]
            code, out, err = self._run_command(argv, environ_update={"LC_ALL": "C"})
            if code != 0:
                raise ChangeError(f"{self.unit}.service could not be started: {' '.join((err or out).split())}")
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.real(f"{self.folder}/secrets.json"))

    def _write(self, path: str, text: str, mode: int) -> None:
        real = self.real(path)
        os.makedirs(os.path.dirname(real), mode=0o755, exist_ok=True)
        handle = os.open(real, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            os.fchmod(stream.fileno(), mode)
            stream.write(text)

    def _launcher(self) -> str:
        return (
            f"import sys\n\nsys.path.insert(0, '{self.folder}/lib')\n\n"
            f"from {PACKAGE}.{self._part} import main  # noqa: E402\n\nraise SystemExit(main())\n"
        )

    def clean(self) -> None:
        """Remove its files; the next start brings them anew."""
        self._remove(self.folder)

    def _remove(self, folder: str) -> None:
        try:
            shutil.rmtree(self.real(folder))
        except FileNotFoundError:
            pass
        except OSError as exc:
            raise ChangeError(f"{folder}: {exc.strerror or exc}") from exc

    def journal(self, lines: int = 8) -> str:
        """Return the last that it has said, in one line."""
        argv = [
            "journalctl",
            "--quiet",
            "--no-pager",
            "--output=cat",
            f"--lines={lines}",
            f"--unit={self.unit}.service",
        ]
        _code, out, _err = self._run_command(argv, errors="replace")
        return "; ".join(line.strip() for line in out.splitlines() if line.strip())


def account_of(changes: Changes, url: str) -> str:
    """Return the account that tries backups; it is made where there is none.

    A repository in a folder of this host is read by whom it belongs to.

    Args:
        changes: through which to change things.
        url: address of the repository.

    """
    path = url[len("local:") :] if url.startswith("local:") else url
    if path.startswith("/"):
        with contextlib.suppress(OSError, KeyError):
            owner = os.stat(path).st_uid
            if owner != 0:
                return pwd.getpwuid(owner).pw_name
    try:
        pwd.getpwnam(ACCOUNT)
    except KeyError:
        shell = next((path for path in _SHELLS if os.path.exists(path)), _SHELLS[-1])
        argv = ["useradd", "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"]
        changes.command(
            [*argv, "--shell", shell, ACCOUNT],
            f"account {ACCOUNT}",
            "existence",
            "absent",
            f"a system account, {shell}",
        )
    return ACCOUNT


def scratch_folder(changes: Changes, folder: str, account: str) -> str:
    """Return the folder that a drill has for itself; it is made where there is none.

    Args:
        changes: through which to change things.
        folder: where it lies.
        account: to whom it belongs.

    Raises:
        ChangeError: something else is there.

    """
    path = os.path.join(folder, ACCOUNT)
    try:
        wanted: tuple[int, int] | None = (pwd.getpwnam(account).pw_uid, pwd.getpwnam(account).pw_gid)
    except KeyError:
        wanted = None  # it would be made by a real run
    try:
        info = os.lstat(path)
    except FileNotFoundError:
        info = None
    except OSError as exc:
        raise ChangeError(f"{path}: {exc.strerror}") from exc
    if info is not None:
        if os.path.isdir(path) and not os.path.islink(path) and wanted is not None and info.st_uid == wanted[0]:
            return path
        raise ChangeError(f"{path} is there already and does not belong to {account}; move it away")

    def make() -> None:
        os.mkdir(path, 0o700)
        if wanted is not None:
            os.chown(path, *wanted)

    changes.perform(make, path, "existence", "absent", f"a folder of {account}, 0700")
    return path


def drill_properties(account: str, scratch: str, unit: str) -> dict[str, str]:
    """Return what the unit of a drill has beside the common properties."""
    return {
        "User": account,
        "CapabilityBoundingSet": "",
        "ReadWritePaths": scratch,
        "RuntimeDirectory": f"{unit}-sockets",
        "RuntimeDirectoryMode": "0700",
        # Databases of products, should any be on this host.
        "InaccessiblePaths": "-/run/postgresql -/run/mysqld -/var/lib/postgresql -/var/lib/mysql",
        "TimeoutStopSec": "60",
    }


def restore_properties(paths: Sequence[str], unit: str) -> dict[str, str]:
    """Return what the unit of a restore has beside the common properties.

    Args:
        paths: what it writes to.
        unit: its name.

    """
    folders = []
    for path in paths:
        folder = path
        while not os.path.isdir(folder):
            folder = os.path.dirname(folder)
        folders.append(folder)
    capabilities = "CAP_CHOWN CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_FOWNER CAP_SETUID CAP_SETGID"
    return {
        # No device comes out of a backup; it becomes the database's superuser.
        "CapabilityBoundingSet": capabilities,
        "ReadWritePaths": " ".join(map(quote_word, outer_folders(folders))),
        "ProtectHome": "no",
        "StateDirectory": unit,
        "StateDirectoryMode": "0700",
        "TimeoutStopSec": "300",
    }


def read_results(folder: str, limit: int, names: Sequence[str] | None = None) -> dict[str, bytes]:
    """Return the files that a drill has left, by key. The folder belongs to an account that is not trusted.

    Args:
        folder: where they lie.
        limit: most bytes of one.
        names: only these; all where None.

    """
    found = {}
    with contextlib.suppress(OSError):
        for name in sorted(os.listdir(folder)):
            key, ending = os.path.splitext(name)
            if ending == ".json" and (names is None or key in names):
                with contextlib.suppress(OSError):
                    found[key] = read_regular(os.path.join(folder, name), limit)[0]
    return found
