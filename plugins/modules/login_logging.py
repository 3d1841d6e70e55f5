#!/usr/bin/python
# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: login_logging
short_description: Judge and put right whether Data Center products log failed logins
version_added: 0.4.0
description:
  - Judges for every given instance whether its product writes the failed logins that jails read (V(DC-BRU-03)). Levels
    of loggers decide, which the files of Log4j tell, and the coverage of the audit log, which its own entries prove.
  - Where a file decides, the level of one logger in it is changed, or a logger added. All else in the file stays as
    it is, byte by byte, and so do its owner and mode. What only the product itself can change is reported.
  - A product that runs since before its log configuration was changed has not read it. The control is then C(fail),
    with C(pending=restart).
  - Levels that somebody has set in the running product are in no file. They are not seen.
options:
  sources:
    description:
      - What makes the products write failed logins, by product, each as C(failed_logins) of its product data.
      - Filled in from the product data of the collection.
    type: dict
extends_documentation_fragment:
  - atlassian_dc.hardening.attributes
  - atlassian_dc.hardening.controls
  - atlassian_dc.hardening.instances
  - atlassian_dc.hardening.record
author:
  - the atlassian_dc.hardening contributors (@atlassian-dc-hardening)
"""

EXAMPLES = r"""
- name: See to it that failed logins are logged
  atlassian_dc.hardening.login_logging:
    instances: "{{ ansible_facts.atlassian_dc.instances }}"
  register: logging
  tags: [DC-BRU-03]
"""

RETURN = r"""
dc_findings:
  description: What was found for each control and instance.
  returned: always
  type: list
  elements: dict
dc_changes:
  description: What was changed, or would be in check mode.
  returned: always
  type: list
  elements: dict
restart_pending:
  description:
    - Names of the instances whose log configuration is right and waits for a restart of the product.
    - Empty in check mode, where nothing was written.
  returned: always
  type: list
  elements: str
  sample: [bamboo]
"""

import os
import re
import stat
import time
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Callable

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._audit_coverage import (
    AuditLogError,
    covers,
    read_coverage,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._changes import ChangeError, Changes
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._discovery_parse import jvm_properties
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._files import read_regular
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._findings import (
    CONTROL_ARGUMENTS,
    PENDING_RESTART,
    Evidence,
    Findings,
    evidence,
    plural,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._log4j import (
    FORMATS,
    MAX_SIZE,
    LogConfigError,
    LogConfiguration,
    Wanted,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._move import (
    UNIT_PROPERTIES,
    can_be_restarted,
    full_file_systems,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._recorder import RECORD_ARGUMENTS
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._systemd import (
    CLOCK_TOLERANCE,
    read_process,
    show_units,
)

CONTROL = "DC-BRU-03"
CONTROLS = (CONTROL,)


ELSEWHERE = ("log4j.configuration", "log4j.configurationFile", "log4j2.configurationFile")
"""System properties that make a product read another log configuration."""

PROOF_AGE = 30 * 86400
"""Seconds for which an entry of the audit log proves its coverage: a change may have been made that is not logged."""

CLUSTER_PROOF_AGE = 86400
"""The same where another node may have changed it, whose files are not here."""

LONGEST_WAIT = 30
"""Longest wait, in seconds, for a running product to read a changed file again by itself."""

MAX_SHOWN = 5
"""Most files of a logger that are named."""

RunCommand = Callable[..., "tuple[int, str, str]"]


def shown(text: str) -> str:
    """Return a word of a file, cut to what a report can hold: it may be anything."""
    return text if len(text) <= 60 else f"{text[:60]}…"


class LogFile:
    """A log configuration on this host.

    Args:
        path: where it lies, as people know it.
        real: where it is opened.
        form: its format.
        properties: system properties of the JVM.

    Raises:
        LogConfigError: it cannot be read or understood.

    """

    def __init__(self, path: str, real: str, form: str, properties: dict[str, str]) -> None:
        self.path = path
        self.real = real
        if os.path.realpath(real) != real:
            raise LogConfigError(f"{path}: reached through a symbolic link, which is not followed")
        try:
            data, self.info = read_regular(real, MAX_SIZE)
        except OSError as exc:
            raise LogConfigError(f"{path}: {exc.strerror}") from exc
        self._properties = properties
        self.configuration: LogConfiguration = FORMATS[form](path, data, properties)
        self.wanted: bytes = data
        """Its content once all that was asked for is right."""

    def put_right(self, wanted: Wanted) -> None:
        """Add to the wanted content what one logger lacks.

        Raises:
            LogConfigError: that cannot be done in this file.

        """
        self.wanted = type(self.configuration)(self.path, self.wanted, self._properties).put_right(wanted)

    def write(self, changes: Changes) -> None:
        """Give the file its wanted content; owner and mode stay.

        Raises:
            ChangeError: the system refused.

        """
        owner = (self.info.st_uid, self.info.st_gid)
        changes.write_file(self.real, self.wanted, stat.S_IMODE(self.info.st_mode), owner, changed_lines=True)


@dataclass
class Part:
    """One of the conditions on which failed logins are written.

    Attributes:
        met: whether the next start of the product meets it; None where nobody can tell.
        what: in words, what is wrong or why nobody can tell.
        proof: evidence of it.
        file: the file that decides.
        wanted: what is wanted in that file.

    """

    met: bool | None
    what: str = ""
    proof: list[Evidence] = field(default_factory=list)
    file: LogFile | None = None
    wanted: Wanted | None = None


@dataclass
class Source:
    """A log that failed logins are read from."""

    name: str
    log: str
    parts: list[Part]
    stale: list[Evidence] = field(default_factory=list)
    """Files that changed after the product was started."""
    obstacle: str = ""
    """Why the files cannot be put right."""

    @property
    def state(self) -> str:
        """``met``, ``stale`` (right, but not read yet), ``unknown`` or ``unmet``."""
        met = [part.met for part in self.parts]
        if False in met:
            return "unmet"
        return "unknown" if None in met else "stale" if self.stale else "met"

    @property
    def wrong(self) -> list[Part]:
        """The conditions that are not met or not known."""
        return [part for part in self.parts if not part.met]


class LoginLogging:
    """Judges what the products of one host log of failed logins, and puts it right.

    Args:
        params: the module's parameters.
        findings: where to put what was found.
        changes: through which to change things.
        run_command: to ask the system's tools.
        root: folder that stands for ``/``; anything but ``/`` only in tests.
        now: tells the time in seconds since 1970.
        sleep: waits some seconds.

    """

    def __init__(
        self,
        params: dict[str, Any],
        findings: Findings,
        changes: Changes,
        run_command: RunCommand,
        root: str = "/",
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.params = params
        self.findings = findings
        self.changes = changes
        self.run_command = run_command
        self.root = root
        self.now = now
        self.sleep = sleep
        self.restart_pending: list[str] = []

    def run(self) -> None:
        """Judge every instance, and put right what may be."""
        for instance in self.params["instances"]:
            _Instance(self, instance).run()

    def real(self, path: str) -> str:
        """Return where a path of the host is opened."""
        return os.path.join(self.root, path.lstrip("/"))

    @cached_property
    def units(self) -> dict[str, dict[str, str]]:
        """What systemd says about the units of the products, by name."""
        names = [instance["unit"] for instance in self.params["instances"] if instance.get("unit")]
        return show_units(self.run_command, names, UNIT_PROPERTIES)


class _Instance:
    """The judgement of one instance."""

    def __init__(self, run: LoginLogging, instance: dict[str, Any]) -> None:
        self.host = run
        self.instance = instance
        self.name = str(instance["name"])
        self.properties = jvm_properties(instance.get("jvm_arguments") or [])
        self.process = read_process(instance.get("pid"), run.root)
        self.files: dict[str, LogFile | str] = {}
        """Log configurations by path, or why they cannot be used."""

    def run(self) -> None:
        """Judge, put right, and say what is so."""
        add, sources = self.host.findings.add, self.host.params.get("sources") or {}
        product = str(self.instance.get("product"))
        known = sources.get(product)
        if known is None and self.instance.get("part_of"):
            return add(CONTROL, self.name, "not_applicable", f"users log in to {self.instance['part_of']}, not to it")
        if known is None:
            return add(CONTROL, self.name, "not_checked", f"where {product} writes failed logins is not known")
        if not known:
            return add(CONTROL, self.name, "not_applicable", "users do not log in to it")
        groups: dict[str, list[Source]] = {}
        for entry in known:
            groups.setdefault(str(entry.get("alternative_to") or entry["name"]), []).append(self._source(entry))
        return self._judge(list(groups.values()))

    # ---- looking ---------------------------------------------------------------------------------

    def _source(self, entry: dict[str, Any]) -> Source:
        written = entry.get("written")
        source = Source(str(entry["name"]), str(entry["path"]), [])
        if not isinstance(written, list):
            source.parts.append(Part(None, f"what makes the product write failed logins to {source.log} is not known"))
            return source
        look = {"logger": self._logger, "audit_coverage": self._audit_coverage, "argument": self._argument}
        source.parts = [look[condition["kind"]](entry, condition) for condition in written]
        used = {part.file.path: part.file for part in source.parts if part.file is not None}
        source.stale = [piece for file in used.values() for piece in self._stale(file)]
        return source

    def _path(self, tree: str, path: str) -> str | None:
        folder = self.instance.get(f"{tree}_dir")
        return None if not folder else os.path.join(folder, path)

    def _logger(self, entry: dict[str, Any], condition: dict[str, Any]) -> Part:
        log = os.path.basename(entry["path"])
        classes = tuple(condition.get("appenders") or ())
        wanted = Wanted(condition["name"], condition["level"].upper(), log, classes)
        found = self._file(condition["tree"], condition["files"])
        if isinstance(found, str):
            return Part(None, found)
        writing = found.configuration.judge(wanted)
        level = shown(writing.level)
        what = f"logger {wanted.logger} is at {level}"
        if writing.right:
            return Part(True, file=found)
        if writing.doubt:
            return Part(None, f"{found.path}: {writing.doubt}")
        if writing.enough:
            what = f"logger {wanted.logger} does not write to it"
        reached = ", ".join(map(shown, writing.files[:MAX_SHOWN])) or "no file"
        expected = f"{wanted.level} or more detailed, to {log}"
        actual = f"{level} ({writing.level_from}), to {reached}"
        return Part(False, what, [evidence(f"{found.path}: logger {wanted.logger}", expected, actual)], found, wanted)

    def _file(self, tree: str, files: list[dict[str, str]]) -> LogFile | str:
        """Return the log configuration that the product reads, or why nobody can tell what is in it."""
        paths = [(self._path(tree, file["path"]), file["format"]) for file in files]
        there = [(path, form) for path, form in paths if path and os.path.lexists(self.host.real(path))]
        if not there:
            names = [path or file["path"] for (path, _form), file in zip(paths, files)]
            return f"there is no log configuration ({', '.join(names)})"
        path, form = there[0]
        other = self._configured_elsewhere(path)
        if other:
            return other
        if path not in self.files:
            try:
                self.files[path] = LogFile(path, self.host.real(path), form, self.properties)
            except LogConfigError as exc:
                self.files[path] = str(exc)
        return self.files[path]

    def _configured_elsewhere(self, path: str) -> str | None:
        for arguments in (self.instance.get("jvm_arguments"), self.instance.get("start_jvm_arguments")):
            properties = jvm_properties(arguments or [])
            for name in ELSEWHERE:
                value = properties.get(name)
                if value and re.sub(r"^file:(?://(?=/))?", "", value) != path:
                    return f"-D{name}={value} makes the product read another log configuration, which is not looked at"
        return None

    def _stale(self, file: LogFile) -> list[Evidence]:
        """Return evidence that the running product has not read the file as it is."""
        if self.process is None or (self.process.started or 0.0) >= file.info.st_mtime - CLOCK_TOLERANCE:
            return []
        interval = file.configuration.monitor_interval
        if interval and self.host.now() - file.info.st_mtime >= interval:
            return []
        return [evidence(f"start of process {self.process.pid}", f"after {file.path} was last changed", "before")]

    def _argument(self, _entry: dict[str, Any], condition: dict[str, Any]) -> Part:
        forbidden = re.compile(condition["forbidden"])
        given = {
            "of the running JVM": self.instance.get("jvm_arguments") if self.process is not None else None,
            "of the next start": self.instance.get("start_jvm_arguments"),
        }
        if all(arguments is None for arguments in given.values()):
            return Part(None, "the arguments of its JVM are not known")
        proof = [
            evidence(f"argument {where}", f"not {argument}", argument)
            for where, arguments in given.items()
            for argument in arguments or ()
            if forbidden.fullmatch(argument)
        ]
        return Part(False, f"{proof[0]['actual']}: {condition['why']}", proof) if proof else Part(True)

    def _audit_coverage(self, entry: dict[str, Any], condition: dict[str, Any]) -> Part:
        area, level = condition["area"], condition["level"]
        path = self._path(entry["tree"], entry["path"])
        if path is None:
            return Part(None, "its home directory is not known")
        folder, pattern = os.path.split(path)
        try:
            found = read_coverage(self.host.real(folder), pattern, area, level, condition["proof"])
        except AuditLogError as exc:
            return Part(None, f"the coverage of its audit log is not known: {exc}")
        if found.level is None:
            bad = f", {plural(found.bad, 'line')} of them unusable" if found.bad else ""
            looked = f"{plural(found.entries + found.bad, 'entry', 'entries')} of {plural(found.files, 'file')}{bad}"
            return Part(None, f"nothing in {path} proves coverage {level} of area {area} ({looked})")
        file = os.path.join(folder, found.file)
        when = time.strftime("%Y-%m-%d", time.gmtime(found.when))
        age = self.host.now() - found.when
        clustered = bool(self.instance.get("cluster"))
        if clustered and (found.stated or age > CLUSTER_PROOF_AGE):
            why = "another node of the cluster may have changed it since"
        elif not covers(found.level, level):
            proof = [evidence(f"{file}: coverage of area {area}", f"{level} or more", f"{found.level} since {when}")]
            return Part(False, f"its audit log has coverage {found.level} of area {area}, not {level}", proof)
        elif age > PROOF_AGE:
            why = f"that is more than {PROOF_AGE // 86400} days ago"
        else:
            return Part(True)
        return Part(None, f"{file} proves coverage {found.level} of area {area} for {when} only: {why}")

    # ---- judging and putting right -----------------------------------------------------------------

    def _judge(self, groups: list[list[Source]]) -> None:
        """Judge what was found. Of a group one source is enough."""
        chosen: list[Source] = []
        failed: list[Source] = []
        unknown: list[Source] = []
        for group in groups:
            if any(source.state == "met" for source in group):
                continue
            # One that is right already and only has to be read is nearer than one that has to be changed.
            nearest = sorted(group, key=lambda source: source.state != "stale")
            usable = next((source for source in nearest if source.state == "stale" or self._plan(source)), None)
            if usable is not None:
                chosen.append(usable)
            elif any(source.state == "unknown" for source in group):
                unknown += group
            else:
                failed += group
        if not chosen and not failed:
            reason = "; ".join(part.what for source in unknown for part in source.wrong)
            self.host.findings.add(CONTROL, self.name, "not_checked" if unknown else "pass", reason)
            return
        self._conclude(chosen, failed, unknown)

    def _plan(self, source: Source) -> bool:
        """Plan to put a source right; say whether its files allow it."""
        todo = [(part.file, part.wanted) for part in source.wrong if part.file and part.wanted]
        if len(todo) < len(source.wrong):
            return False
        before = [(file, file.wanted) for file, _wanted in todo]
        try:
            for file, wanted in todo:
                file.put_right(wanted)
        except LogConfigError as exc:
            source.obstacle = str(exc)
            for file, content in before:
                file.wanted = content
            return False
        return True

    def _conclude(self, chosen: list[Source], failed: list[Source], unknown: list[Source]) -> None:
        """Put right what was chosen and say what is so."""
        findings, changes = self.host.findings, self.host.changes
        altered = list({part.file.path: part.file for source in chosen for part in source.wrong if part.file}.values())
        refused = [piece for file in altered for piece in self._write(file)] if findings.enforces(CONTROL) else []
        unread = list(
            {piece["what"] + piece["expected"]: piece for source in chosen for piece in source.stale}.values()
        )
        running = self.process is not None
        # What the running product reads by itself needs no restart; what it will read soon is not live yet.
        rereads = [file.configuration.monitor_interval for file in altered]
        due = bool(unread) or (running and not all(rereads))
        hopeless = bool(failed or unknown or refused)
        full = full_file_systems(self.instance, self.host.root) if due and not hopeless else []
        waits = due and not hopeless and not full and self._restartable and (findings.enforces(CONTROL) or not altered)
        live = bool(altered) and not due and not refused and (not running or self._wait(max(rereads)))
        proof = [*refused, *(piece for source in [*failed, *chosen] for part in source.wrong for piece in part.proof)]
        proof += [*unread, *full]
        reason = self._reason(chosen, failed, refused)
        if due and not hopeless:
            reason += self._until_live(bool(altered), bool(full))
        if live and unknown and not failed and findings.enforces(CONTROL) and not changes.check_mode:
            rest = "; ".join(part.what for source in unknown for part in source.wrong)
            findings.add(CONTROL, self.name, "not_checked", f"{rest}. Put right: {reason}", proof)
            return
        predicted = changes.check_mode and bool(altered)
        pending = PENDING_RESTART if waits and not predicted else None
        findings.judge(CONTROL, self.name, proof, reason, repaired=live and not hopeless, pending=pending)
        if pending and findings.enforces(CONTROL) and not changes.check_mode:
            self.host.restart_pending.append(self.name)

    def _write(self, file: LogFile) -> list[Evidence]:
        """Write a file; return evidence of what kept it from being written."""
        try:
            file.write(self.host.changes)
        except ChangeError as exc:
            return [evidence(file.path, "written", exc)]
        return []

    def _wait(self, interval: int) -> bool:
        """Wait until the running product has read changed files again; say whether it has."""
        if interval > LONGEST_WAIT:
            return False
        if not self.host.changes.check_mode and self.host.findings.enforces(CONTROL):
            self.host.sleep(interval + 1)
        return True

    @property
    def _restartable(self) -> bool:
        """Whether stopping and starting its unit restarts the product."""
        shown = self.host.units.get(self.instance.get("unit") or "", {})
        return can_be_restarted(self.instance, shown, self.process)

    def _until_live(self, altered: bool, full: bool) -> str:
        """Return what has to happen before the running product does what its files say."""
        if full:
            return "; the product is not restarted, because a file system it writes to is full"
        if not self._restartable:
            return "; restart the product the way you start it, for it runs in no unit"
        # Worded so that it is true before the change is made, while it waits, and once the restart has been.
        right = "harden puts the log configuration right" if altered else "the log configuration is right"
        return f"; {right}, which takes effect with a restart (atlassian_dc_allow_restart)"

    @staticmethod
    def _reason(chosen: list[Source], failed: list[Source], refused: list[Evidence]) -> str:
        texts = []
        for source in [*failed, *chosen]:
            what = "; ".join(part.what for part in source.wrong)
            what = what or "the product runs since before its log configuration was last changed"
            obstacle = f" ({source.obstacle})" if source.obstacle else ""
            texts.append(f"failed logins are not written to {source.log}: {what}{obstacle}")
        texts += [f"{piece['what']} could not be changed: {piece['actual']}" for piece in refused[:1]]
        return "; ".join(texts)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "instances": {"type": "list", "elements": "dict", "required": True},
            "sources": {"type": "dict"},
            **CONTROL_ARGUMENTS,
            **RECORD_ARGUMENTS,
        },
        supports_check_mode=True,
    )
    findings = Findings(module.params, CONTROLS, module.check_mode)
    changes = Changes.of(module)
    logging = LoginLogging(module.params, findings, changes, module.run_command)
    logging.run()
    changes.exit(module, dc_findings=findings.results, restart_pending=sorted(logging.restart_pending))


if __name__ == "__main__":
    main()
