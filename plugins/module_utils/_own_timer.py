# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A service of ours that a timer starts, and sockets it needs: their files, and what systemd has of them."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, field

from ansible.module_utils.common.text.converters import to_bytes
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._changes import ChangeError, Changes, mode_text
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._findings import Evidence, evidence
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._systemd import (
    RunCommand,
    refusal,
    show_units,
)

SYSTEMD = "/etc/systemd/system"
PROPERTIES = ("LoadState", "ActiveState", "UnitFileState", "Result", "NeedDaemonReload")


@dataclass(frozen=True)
class OwnFile:
    """A file as it should be.

    Attributes:
        path: where it lies.
        text: its content.
        mode: permission bits.
        validate: called with the path of the new file before it replaces the old; returns what is wrong, or None.
        secret: whether its content is kept out of the diff.

    """

    path: str
    text: str = field(repr=False)
    mode: int = 0o644
    validate: Callable[[str], str | None] | None = None
    secret: bool = False


class OwnTimer:
    """A service and the timer that starts it.

    Args:
        name: of the units, without their ending.
        service: content of the service's unit.
        timer: content of the timer's unit.
        files: what the service needs besides.
        changes: through which to change things.
        run_command: to ask systemd.
        root: folder that stands for ``/``; anything but ``/`` only in tests.
        judge_runs: whether a run that failed is a difference, for which the service is started once more. Otherwise
            somebody else judges how runs end.
        begins: whether the service is started once when its timer is new.
        more: units that it needs besides; those that are sockets listen.

    """

    def __init__(
        self,
        name: str,
        service: str,
        timer: str,
        files: tuple[OwnFile, ...],
        changes: Changes,
        run_command: RunCommand,
        root: str = "/",
        judge_runs: bool = True,
        begins: bool = True,
        more: tuple[OwnFile, ...] = (),
    ) -> None:
        self._judge_runs = judge_runs
        self._begins = begins
        self.service, self.timer = f"{name}.service", f"{name}.timer"
        own = (OwnFile(f"{SYSTEMD}/{self.service}", service), OwnFile(f"{SYSTEMD}/{self.timer}", timer))
        self.units = (*own, *more)
        names = (os.path.basename(unit.path) for unit in more)
        self.sockets = tuple(name for name in names if name.endswith(".socket"))
        self.files = files
        self.changes = changes
        self._run_command = run_command
        self._root = root
        self.owner = (0, 0) if root == "/" else (os.getuid(), os.getgid())

    def _real(self, path: str) -> str:
        return os.path.join(self._root, path.lstrip("/"))

    def _shown(self) -> dict[str, dict[str, str]]:
        return show_units(self._run_command, (self.service, self.timer, *self.sockets), PROPERTIES)

    def _differs(self, file: OwnFile) -> str:
        """Return how a file differs, empty where it does not."""
        path = self._real(file.path)
        try:
            info = os.lstat(path)
            if not stat.S_ISREG(info.st_mode):
                return "not a regular file"
            with open(path, "rb") as stream:
                if stream.read() != to_bytes(file.text):
                    return "other content"
        except FileNotFoundError:
            return "absent"
        except OSError as exc:
            return str(exc.strerror)
        if (info.st_uid, info.st_gid, stat.S_IMODE(info.st_mode)) != (*self.owner, file.mode):
            return f"{info.st_uid}:{info.st_gid} {mode_text(info.st_mode)}"
        return ""

    def drift(self) -> list[Evidence]:
        """Return what is not as it should be, of files, units and the last run."""
        found = [
            evidence(file.path, "as this role writes it", difference)
            for file in (*self.files, *self.units)
            for difference in [self._differs(file)]
            if difference
        ]
        shown = self._shown()
        for name in (*self.sockets, self.timer):
            unit = shown.get(name, {})
            state = f"{unit.get('ActiveState') or 'inactive'}, {unit.get('UnitFileState') or 'disabled'}"
            if state != "active, enabled":
                found.append(evidence(name, "active, enabled", state))
        if self._stale(shown):
            found.append(evidence("units in systemd", "as in their files", "older"))
        result = self._result(shown)
        if result != "success":
            found.append(evidence(f"last run of {self.service}", "success", result))
        return found

    def _result(self, shown: dict[str, dict[str, str]]) -> str:
        """Return how the last run ended, as far as that is of interest."""
        return (self._judge_runs and shown.get(self.service, {}).get("Result")) or "success"

    @staticmethod
    def _stale(shown: dict[str, dict[str, str]]) -> bool:
        return any(unit.get("NeedDaemonReload") == "yes" for unit in shown.values())

    def put_right(self) -> None:
        """Write the files, have systemd read them, start the timer and the service once.

        Raises:
            ChangeError: something could not be changed.

        """
        shown = self._shown()
        changed = [unit for unit in self.units if self._differs(unit)]
        new = [file for file in self.files if not os.path.lexists(self._real(file.path))]
        # What a unit starts has to be there for it to be verified; what is there already is changed after that only.
        for file in new:
            self._write(file)
        if changed and not self.changes.check_mode:
            self._verify()
        for file in (*self.files, *self.units):
            if file not in new:
                self._write(file)
        if changed or self._stale(shown):
            self.changes.reload_units()
        for name in (*self.sockets, self.timer):
            unit = shown.get(name, {})
            if unit.get("UnitFileState") != "enabled":
                self.changes.systemctl("enable", name, "at boot", "disabled", "enabled", ("disable", "--now"))
            state = unit.get("ActiveState") or "inactive"
            if (
                state != "active"
                or any(name == os.path.basename(file.path) for file in changed)
                or (name == self.timer and self.units[0] in changed)
            ):
                self.changes.systemctl("restart", name, "state", state, "active, as in the file")
        timer = shown.get(self.timer, {})
        result = self._result(shown)
        if result != "success":
            # What it ended with is told until it has begun again, which takes a moment.
            self.changes.systemctl("reset-failed", self.service, "last run", "failed", "forgotten")
        if result != "success" or (self._begins and not timer.get("UnitFileState")):
            before = "failed" if result != "success" else "never"
            self.changes.systemctl("start", self.service, "last run", before, "begun", options=("--no-block",))

    def _write(self, file: OwnFile) -> None:
        self.changes.write_file(self._real(file.path), file.text, file.mode, self.owner, file.validate, file.secret)

    def _verify(self) -> None:
        """See that systemd understands the units.

        Raises:
            ChangeError: it does not; holds its words.

        """
        refused = refusal(self._run_command, {unit.path: unit.text for unit in self.units})
        if refused:
            raise ChangeError(f"systemd refuses {self.service}: {refused}")
