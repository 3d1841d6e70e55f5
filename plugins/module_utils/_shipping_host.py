# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host a shipper or collector of logs runs on: its packages, files, units and certificate."""

from __future__ import annotations

import datetime
import os
import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Callable

from ansible_collections.atlassian_dc.hardening.plugins.module_utils._changes import ChangeError, Changes
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._findings import Evidence, evidence
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._packages import package_manager
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._shipping_config import (
    FOLDER,
    RSYSLOGD,
    SYSTEMD,
    digest,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._systemd import (
    refusal,
    show_units,
    text_or_none,
)

RunCommand = Callable[..., "tuple[int, str, str]"]
PROPERTIES = ("LoadState", "ActiveState", "UnitFileState", "NeedDaemonReload", "MainPID", "Result")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def parse_time(text: str) -> datetime.datetime | None:
    """Return a time as openssl prints it, such as ``Nov 29 03:00:00 2026 GMT``."""
    match = re.fullmatch(r"([A-Z][a-z]{2}) +(\d{1,2}) (\d{2}):(\d{2}):(\d{2}) (\d{4}) GMT", text.strip())
    if match is None or match[1] not in MONTHS:
        return None
    day, hour, minute, second, year = map(int, match.groups()[1:])
    return datetime.datetime(year, MONTHS.index(match[1]) + 1, day, hour, minute, second, tzinfo=datetime.timezone.utc)


@dataclass(frozen=True)
class Certificate:
    """Where the certificate of a service lies.

    Attributes:
        ca: file with the authorities that are believed.
        cert: file with the certificate.
        key: file with its private key.
        given: whether somebody else keeps it; then it is judged and never written.

    """

    ca: str
    cert: str
    key: str
    given: bool

    @classmethod
    def of(cls, given: Mapping[str, str] | None, prefix: str = "") -> Certificate:
        """Return a certificate somebody keeps, or where that of the collection's own authority lies."""
        if given:
            return cls(given["ca"], given["cert"], given["key"], True)
        return cls(f"{FOLDER}/{prefix}ca.pem", f"{FOLDER}/{prefix}cert.pem", f"{FOLDER}/{prefix}key.pem", False)

    def paths(self) -> dict[str, str]:
        """Return its files by what they hold."""
        return {"ca": self.ca, "cert": self.cert, "key": self.key}


class ShippingHost:
    """Looks at a host and changes it.

    Args:
        run_command: ``AnsibleModule.run_command`` or a function of the same form.
        changes: through which to change things.
        root: folder that stands for ``/``; anything but ``/`` only in tests.

    """

    def __init__(self, run_command: RunCommand, changes: Changes, root: str = "/") -> None:
        self._run_command = run_command
        self.changes = changes
        self.root = root
        self._owner = (0, 0) if root == "/" else (os.getuid(), os.getgid())

    def real(self, path: str) -> str:
        """Return where a path of the host lies."""
        return os.path.join(self.root, path.lstrip("/"))

    def text(self, path: str) -> str | None:
        """Return what is in a file; None where there is none."""
        return text_or_none(self.real(path))

    def run(self, *argv: str, data: str | None = None) -> tuple[int, str, str]:
        """Run a tool that changes nothing."""
        code, out, err = self._run_command(list(argv), data=data, environ_update={"LC_ALL": "C"})
        return code, out, err

    # ---- packages ----------------------------------------------------------------------------

    def missing(self, packages: Sequence[str]) -> list[str]:
        """Return the packages that are not installed."""
        return package_manager(self._run_command).missing(packages)

    def install(self, packages: Sequence[str]) -> None:
        """Install packages; what they bring is neither started nor enabled.

        Raises:
            ChangeError: one cannot be installed.

        """
        if packages:
            package_manager(self._run_command).ensure(self.changes, *packages, start=False)

    # ---- files and units ---------------------------------------------------------------------

    def units(self, names: Iterable[str]) -> dict[str, dict[str, str]]:
        """Return what systemd tells of units."""
        return show_units(self._run_command, list(names), PROPERTIES)

    def differing(self, files: Mapping[str, str]) -> list[Evidence]:
        """Return the files that are not as they should be."""
        drift = []
        for path, text in files.items():
            there = self.text(path)
            if there != text:
                drift.append(evidence(path, "as this role writes it", "absent" if there is None else "other content"))
        return drift

    def idle(self, units: Mapping[str, Mapping[str, str]], wanted: Iterable[str]) -> list[Evidence]:
        """Return which units do not run, or would not after a start of the host."""
        drift = []
        for name in wanted:
            unit = units.get(name, {})
            if unit.get("LoadState") == "masked":
                drift.append(evidence(name, "running and enabled", "masked"))
                continue
            if unit.get("ActiveState") != "active":
                state = unit.get("ActiveState") or "not known to systemd"
                result = unit.get("Result", "success")
                drift.append(evidence(name, "running", state if result == "success" else f"{state} ({result})"))
            if unit.get("UnitFileState") != "enabled":
                drift.append(evidence(name, "started at boot", unit.get("UnitFileState") or "not enabled"))
        return drift

    def stale(self, name: str, unit: Mapping[str, str], text: str) -> list[Evidence]:
        """Return whether a process was started with another configuration than its unit's file tells."""
        wanted = re.search(r"ATLASSIAN_DC_CONFIG=(\w+)", text)
        pid = unit.get("MainPID", "0")
        if wanted is None or unit.get("ActiveState") != "active" or not re.fullmatch(r"[1-9]\d*", pid):
            return []
        try:
            with open(self.real(f"/proc/{pid}/environ"), "rb") as handle:
                found = re.search(rb"ATLASSIAN_DC_CONFIG=(\w+)", handle.read())
        except OSError:
            found = None
        if found is not None and found[1].decode() == wanted[1]:
            return []
        return [evidence(name, "runs with the configuration in its files", "was started with another one")]

    def put(self, files: Mapping[str, str], certificate: Certificate, texts: Mapping[str, str], service: str) -> bool:
        """Write the certificate and the files, each proved before it replaces another.

        Args:
            files: by path.
            certificate: where it goes.
            texts: the certificate and its authority by kind, if they are new.
            service: unit that has to be restarted when this is taken back.

        Returns:
            Whether anything was changed, or would be.

        Raises:
            ChangeError: something is refused or cannot be changed.

        """
        changing = {path: text for path, text in files.items() if self.text(path) != text}
        fresh = {path: texts[kind] for kind, path in certificate.paths().items() if kind in texts}
        fresh = {path: text for path, text in fresh.items() if self.text(path) != text}
        if not changing and not fresh:
            return False
        if self.units([service]).get(service, {}).get("ActiveState") == "active":
            # First of all, for a run is taken back backwards: it then runs with what was put back before.
            back = ("systemctl", "restart", service)
            self.changes.perform(lambda: None, f"unit {service}", "way back", "none", "restart", undo=back)
        for path, text in fresh.items():
            self.changes.write_file(self.real(path), text, mode=0o600, owner=self._owner)
        units = {path: text for path, text in changing.items() if path.startswith(SYSTEMD)}
        self._prove_units(units)
        for path, text in changing.items():
            proof = self._prove_config if path.endswith(".conf") else None
            mode = 0o644 if path in units else 0o600
            self.changes.write_file(self.real(path), text, mode=mode, owner=self._owner, validate=proof)
        if units:
            self.changes.reload_units()
        return True

    def _prove_config(self, path: str) -> str | None:
        # The working directory is made by systemd when the service starts; without one rsyslog refuses it.
        with tempfile.TemporaryDirectory(prefix="atlassian-dc-rsyslog-") as scratch:
            with open(path, encoding="utf-8") as handle:
                text = re.sub(r'(workDirectory=)"[^"]*"', rf'\1"{scratch}"', handle.read())
            copy = os.path.join(scratch, "rsyslog.conf")
            with open(copy, "w", encoding="utf-8") as handle:
                handle.write(text)
            code, out, err = self.run(RSYSLOGD, "-N1", "-f", copy)
        if code == 0:
            return None
        said = [line.removeprefix("rsyslogd: ") for line in f"{out}\n{err}".splitlines() if "error" in line.lower()]
        return "; ".join(said)[:500] or f"rsyslogd -N1 ended with {code}"

    def _prove_units(self, units: Mapping[str, str]) -> None:
        if not units or self.changes.check_mode:
            return
        refused = refusal(self._run_command, units)
        if refused:
            raise ChangeError(f"systemd-analyze verify refuses the units: {refused}")

    def serve(self, units: Mapping[str, Mapping[str, str]], changed: bool, name: str, *also: str) -> None:
        """Have a service run with its files, now and after every start of the host.

        Args:
            units: as they were found.
            changed: whether its files were changed, or it runs with others.
            name: the service.
            also: units beside it.

        """
        for unit in (name, *also):
            found = units.get(unit, {})
            if found.get("UnitFileState") != "enabled":
                self.changes.systemctl("enable", unit, "at boot", "disabled", "enabled", ("disable", "--now"))
            state = found.get("ActiveState") or "inactive"
            if state != "active":
                self.changes.systemctl("start", unit, "state", state, "active", ("stop",))
            elif changed:
                self.changes.systemctl("restart", unit, "configuration", "another one", "as in the files")

    # ---- certificates ------------------------------------------------------------------------

    def flaws_of(
        self, certificate: Certificate, authority: str | None, name: str, today: datetime.datetime
    ) -> list[Evidence]:
        """Return what is wrong with a certificate.

        Args:
            certificate: where it lies.
            authority: the certificate of the authority that has to have signed it, None where that is not known here.
            name: that it has to hold; not looked at where it is given.
            today: when it has to be valid.

        """
        for path in (certificate.key, certificate.cert, certificate.ca):
            if not os.path.exists(self.real(path)):
                return [evidence(path, "there", "absent")]
        if os.stat(self.real(certificate.key)).st_mode & 0o077:
            return [evidence(certificate.key, "only its owner can read it", "others can")]
        cert = self.real(certificate.cert)
        code, out, err = self.run(
            "openssl", "x509", "-in", cert, "-noout", "-dates", "-pubkey", "-ext", "subjectAltName"
        )
        if code != 0:
            return [evidence(certificate.cert, "a certificate", (err or out).strip()[:200] or "cannot be read")]
        flaws = []
        times = {key: parse_time(value) for key, _equals, value in (line.partition("=") for line in out.splitlines())}
        begin, end = times.get("notBefore"), times.get("notAfter")
        if begin is None or end is None:
            return [evidence(certificate.cert, "a certificate", "nobody can tell until when it is valid")]
        until = end.strftime("%Y-%m-%d %H:%M UTC")
        if not begin <= today < end:
            flaws.append(evidence(certificate.cert, "valid today", f"valid until {until}"))
        elif not certificate.given and end - today < (end - begin) / 3:
            flaws.append(evidence(certificate.cert, "a third of its life is left", f"valid until {until}"))
        public = out[out.find("-----BEGIN") : out.find("-----END")]
        code, own, _err = self.run("openssl", "pkey", "-in", self.real(certificate.key), "-pubout")
        if code != 0 or own[own.find("-----BEGIN") : own.find("-----END")] != public:
            flaws.append(evidence(certificate.cert, f"for the key {certificate.key}", "for another one"))
        if certificate.given:
            return flaws
        if authority is not None and (self.text(certificate.ca) or "").strip() != authority.strip():
            flaws.append(evidence(certificate.ca, "the authority of the controller", "another one"))
        code, _out, _err = self.run("openssl", "verify", "-no_check_time", "-CAfile", self.real(certificate.ca), cert)
        if code != 0:
            flaws.append(evidence(certificate.cert, f"signed by {certificate.ca}", "signed by another one"))
        if not re.search(rf"DNS:{re.escape(name)}(,|\s|$)", out):
            flaws.append(evidence(certificate.cert, f"for {name}", "for other names"))
        return flaws

    def request(self, certificate: Certificate) -> str:
        """Return a request for a certificate, made with the host's own key, which is made where there is none.

        Raises:
            ChangeError: openssl refuses.

        """
        path = self.real(certificate.key)
        usable = os.path.exists(path) and self.run("openssl", "pkey", "-in", path, "-noout")[0] == 0
        if not usable:
            code, key, err = self.run("openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
            if code != 0:
                raise ChangeError(f"{certificate.key}: openssl makes no key: {err.strip()[:200]}")
            self.changes.write_file(path, key, mode=0o600, owner=self._owner, secret=True)
        elif os.stat(path).st_mode & 0o077:
            self.changes.write_file(path, self.text(certificate.key) or "", mode=0o600, owner=self._owner, secret=True)
        code, request, err = self.run("openssl", "req", "-new", "-key", path, "-subj", "/CN=atlassian-dc")
        if code != 0:
            raise ChangeError(f"{certificate.key}: openssl makes no request: {err.strip()[:200]}")
        return request

    def foresee(self, certificate: Certificate, authority: str | None) -> None:
        """Note, in check mode, what a new certificate will change."""
        for path, keep in ((certificate.key, True), (certificate.ca, False), (certificate.cert, False)):
            there = os.path.exists(self.real(path))
            same = path == certificate.ca and authority is not None and self.text(path) == authority
            if not (there and (keep or same)):
                self.changes.announce(path, "content", "there" if there else "absent", "0:0 0600")

    def identity(self, certificate: Certificate, fresh: Mapping[str, str]) -> str:
        """Return a digest of a certificate and its authority, as they come now or else lie there."""
        texts = [
            fresh.get(kind) or self.text(path) or "" for kind, path in certificate.paths().items() if kind != "key"
        ]
        return digest(*texts)


def issued_texts(issued: Mapping[str, Any] | None) -> dict[str, str]:
    """Return the certificate that the controller has signed, by kind; empty where it has not."""
    return {kind: str(issued[kind]) for kind in ("ca", "cert") if issued and issued.get(kind)}
