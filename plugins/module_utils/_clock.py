# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a time service runs, is started at boot, and says that the clock of the host is right.

The time service in use is left as it is, whichever it is. Where none runs, one that is installed is started, and chrony
is installed where there is none.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.atlassian_dc.hardening.plugins.module_utils._changes import ChangeError, Changes
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._findings import Evidence, Findings, evidence
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._packages import package_manager
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._systemd import RunCommand, show_units

CONTROL = "DC-LOG-06"

CHRONY = ("chrony.service", "chronyd.service")
PROVIDERS = (
    *CHRONY,
    *(
        "ntpsec.service",
        "ntpd.service",
        "ntp.service",
        "openntpd.service",
        "ptp4l.service",
        "systemd-timesyncd.service",
    ),
)
"""Time services that are known, the one that is preferred first."""

CONTAINER = "/run/systemd/container"
"""Where systemd names what runs the container it is in."""

PATIENCE = 20
"""Seconds after which a time service that was just started has heard of the time."""

PROPERTIES = ("LoadState", "ActiveState", "UnitFileState", "ConditionResult")


class Clock:
    """Judges what keeps the clock of a host right.

    Args:
        instances: the products of the host.
        chrony: ``package`` and ``service`` of chrony; None where they are not known for this operating system.
        findings: where to put what was found.
        changes: through which to change things.
        run_command: to ask the system's tools.
        root: folder that stands for ``/``; anything but ``/`` only in tests.
        sleep: waits some seconds.

    """

    def __init__(
        self,
        instances: list[dict[str, Any]],
        chrony: Mapping[str, str] | None,
        findings: Findings,
        changes: Changes,
        run_command: RunCommand,
        root: str = "/",
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.instances = instances
        self.chrony = chrony
        self.findings = findings
        self.changes = changes
        self.run_command = run_command
        self.root = root
        self.sleep = sleep
        self.units: dict[str, dict[str, str]] = {}
        self.provider: str | None = None

    def run(self) -> None:
        """Judge, and put right what may be."""
        if not self.findings.judges(CONTROL):
            return
        if not self.instances:
            # Somebody else's host, which only happens to be in the inventory.
            self.findings.add(CONTROL, None, "not_applicable", "no product was found on this host")
            return
        if os.path.exists(os.path.join(self.root, CONTAINER.lstrip("/"))):
            reason = "a container has no clock of its own; see to that of the machine it runs on"
            self.findings.add(CONTROL, None, "not_applicable", reason)
            return
        before = self._look()
        if not before:
            self.findings.add(CONTROL, None, "pass")
            return
        after, refused = before, []
        if self.findings.enforces(CONTROL) and self._changeable():
            refused = self._put_right()
            if not self.changes.check_mode:
                after = self._look(PATIENCE)
        left = before if self.changes.check_mode else refused + after
        shown = left or before
        reason = "; ".join(f"{piece['what']}: {piece['actual']}" for piece in shown)
        self.findings.judge(CONTROL, None, shown, reason, repaired=not left)

    # ---- looking -----------------------------------------------------------------------------

    def _look(self, patience: float = 0) -> list[Evidence]:
        """Return what is wrong.

        Args:
            patience: seconds that a service may take to hear of the time.

        """
        self.units = show_units(self.run_command, PROVIDERS, PROPERTIES)
        running = [name for name in PROVIDERS if self._state(name, "ActiveState") == "active"]
        there = [name for name in PROVIDERS if self._state(name, "LoadState") == "loaded"]
        self.provider = next(iter(running or there), None)
        if self.provider is None:
            return [evidence("a time service", "running", "none is installed")]
        drift = []
        if not running:
            drift.append(evidence(self.provider, "running", self._state(self.provider, "ActiveState") or "inactive"))
        boot = self._state(self.provider, "UnitFileState")
        # One that another unit starts, or that a script of the system brings, has no state of its own.
        if boot in ("disabled", "masked", "indirect", ""):
            drift.append(evidence(self.provider, "started at boot", boot or "disabled"))
        if running and not self._synchronised(self.provider, patience):
            drift.append(evidence(self.provider, "has the right time", "not synchronised; are its servers reached?"))
        return drift

    def _state(self, name: str, key: str) -> str:
        return self.units.get(name, {}).get(key, "")

    def _synchronised(self, provider: str, patience: float) -> bool:
        while True:
            if self._says_so(provider):
                return True
            if patience <= 0:
                return False
            self.sleep(1)
            patience -= 1

    def _says_so(self, provider: str) -> bool:
        if provider in CHRONY:
            code, out, _err = self.run_command(["chronyc", "-c", "-n", "tracking"], environ_update={"LC_ALL": "C"})
            return code == 0 and out.strip().rpartition(",")[2] == "Normal"
        code, out, _err = self.run_command(["timedatectl", "show", "--property=NTPSynchronized", "--value"])
        return code == 0 and out.strip() == "yes"

    # ---- changing ----------------------------------------------------------------------------

    def _changeable(self) -> bool:
        """Whether there is something to do about it: servers that are not reached are somebody else's."""
        if self.provider is None:
            return self.chrony is not None
        running = self._state(self.provider, "ActiveState") == "active"
        return not running or self._state(self.provider, "UnitFileState") in ("disabled", "indirect", "")

    def _put_right(self) -> list[Evidence]:
        try:
            provider = self.provider or (self.chrony["service"] if self.chrony else "")
            if self.provider is None and self.chrony is not None:
                package_manager(self.run_command).ensure(self.changes, self.chrony["package"], start=False)
            if self._state(provider, "LoadState") == "masked":
                return [evidence(provider, "can be started", f"masked; allow it with: systemctl unmask {provider}")]
            if self._state(provider, "UnitFileState") in ("disabled", "indirect", ""):
                self.changes.systemctl("enable", provider, "at boot", "disabled", "enabled", ("disable",))
            if self._state(provider, "ActiveState") != "active":
                self.changes.systemctl("start", provider, "state", "inactive", "active", ("stop",))
        except ChangeError as exc:
            return [evidence("synchronising the clock", "set up", exc)]
        return []
