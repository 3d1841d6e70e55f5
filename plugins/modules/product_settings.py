#!/usr/bin/python
# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: product_settings
short_description: Judge and put right the security settings of Data Center products
version_added: 0.5.0
description:
  - Judges the settings of each given instance, each by the place that wins. Instances are asked side by side, and each
    resource of a product once, however many settings lie in it.
  - Changes only settings that O(write) names and that the product can be told over REST, one by one, and reads them
    again. Of others the findings name the place, and where it is known the page and the field for a person.
  - A setting that an argument of the JVM or a file decides is not written over REST. It would change nothing.
  - What only an argument of the JVM sets is written into a block at the end of the product's start script. The
    rest of the script stays. It takes effect with a restart, which this module does not make.
  - Without credentials, arguments and files are judged all the same. What only the product can tell is C(not_checked).
options:
  wanted:
    description:
      - What is wanted, by name of the setting. Settings that are not named are not judged.
      - A plain value is wanted as it is. A mapping of one key is a rule. V(at_most), V(at_least) and V(between) are for
        numbers; V(only) allows no other words than these, V(some) asks for one at least; V(levels) is the lowest level
        of the audit log by area.
    type: dict
    default: {}
  write:
    description: Names of the settings that a real run may change.
    type: list
    elements: str
    default: []
extends_documentation_fragment:
  - atlassian_dc.hardening.attributes
  - atlassian_dc.hardening.controls
  - atlassian_dc.hardening.instances
  - atlassian_dc.hardening.product_rest
  - atlassian_dc.hardening.record
author:
  - the atlassian_dc.hardening contributors (@atlassian-dc-hardening)
seealso:
  - module: atlassian_dc.hardening.product_settings_info
  - name: Settings of the products
    description: Which settings are known of which product, where they are read and which can be written.
    link: https://github.com/atlassian-dc-hardening/atlassian_dc.hardening/blob/main/docs/product-settings.md
"""

EXAMPLES = r"""
- name: Keep the audit log for two years, with nothing left out
  atlassian_dc.hardening.product_settings:
    instances: "{{ ansible_facts.atlassian_dc.instances }}"
    credentials: "{{ atlassian_dc_credentials }}"
    wanted:
      audit_exclusions: {only: []}
      audit_retention_days: {at_least: 730}
    write: [audit_exclusions, audit_retention_days]
  tags: [DC-LOG-02]
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
  description: Names of instances for which something is written that takes effect with a restart.
  returned: always
  type: list
  elements: str
  sample: [jira]
rejected:
  description: Names of the instances that have refused every login.
  returned: always
  type: list
  elements: str
  sample: []
requests:
  description: By name of the instance, how many requests were made.
  returned: always
  type: dict
  sample: {jira: 9}
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._changes import ChangeError, Changes
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._findings import (
    CONTROL_ARGUMENTS,
    PENDING_RESTART,
    Evidence,
    Findings,
    evidence,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._move import (
    UNIT_PROPERTIES,
    can_be_restarted,
    full_file_systems,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._recorder import RECORD_ARGUMENTS, Recorder
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._rest import RestError
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._settings_back import write_setting
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._settings_places import (
    CONNECTION_ARGUMENTS,
    Product,
    asked,
    products_of,
    side_by_side,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._settings_values import (
    Reading,
    Rule,
    RuleError,
    shown,
    written,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._start_file import write_properties
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._systemd import (
    RunCommand,
    read_process,
    show_units,
)

CONTROLS = (
    "DC-NET-06",
    "DC-NET-07",
    "DC-ADM-01",
    "DC-ADM-02",
    "DC-AUT-01",
    "DC-AUT-02",
    "DC-AUT-03",
    "DC-AUT-04",
    "DC-AUT-06",
    "DC-AUT-07",
    "DC-AUT-08",
    "DC-AUT-09",
    "DC-BRU-05",
    "DC-RAT-01",
    "DC-LOG-01",
    "DC-LOG-02",
)

OWN_PLACES = ("rest", "default")
"""Kinds of places that mean that the product itself decides, and can be told otherwise."""

ARGUMENT_PLACES = ("jvm_property", "default")
"""The same where an argument of the JVM is written."""


@dataclass
class Judged:
    """What is known of the settings of one control."""

    drift: list[Evidence] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    unknown: dict[str, list[str]] = field(default_factory=dict)
    """By the reason why they are not known, what they are called."""
    left: int = 0
    """How many of those that are wrong were not put right."""
    seen: int = 0
    arguments: list[tuple[Mapping[str, Any], str]] = field(default_factory=list)
    """Settings that are to be written as arguments of the JVM, and their values."""
    by_hand: bool = True
    """Whether nothing of what is wrong could be put right by a run, whatever is allowed."""
    waiting: bool = False
    """Whether the next start of the product has what the running one has not."""


class ProductSettings:
    """Judges the settings of the instances of a host, and puts them right.

    Args:
        params: the module's parameters.
        findings: where to put what was found.
        changes: through which to change things.
        products: the instances.
        run_command: to ask the system's tools.
        root: folder that stands for ``/``; anything but ``/`` only in tests.

    Raises:
        RuleError: what is wanted makes no sense.

    """

    def __init__(
        self,
        params: dict[str, Any],
        findings: Findings,
        changes: Changes,
        products: list[Product],
        run_command: RunCommand,
        root: str = "/",
    ) -> None:
        self.findings = findings
        self.changes = changes
        self.products = products
        self.run_command = run_command
        self.root = root
        self.restart_pending: list[str] = []
        self.rules = {name: Rule.of(name, wanted) for name, wanted in (params.get("wanted") or {}).items()}
        self.may_write = set(params.get("write") or ())

    def run(self) -> None:
        """Judge every instance, and put right what may be."""
        for product, found in zip(self.products, side_by_side(self._read, self.products)):
            for control in self.findings.judged:
                if self._is_judged(product, control):
                    self._judge(product, control, [pair for pair in found if pair[0]["control"] == control])
            product.close()

    def _read(self, product: Product) -> list[tuple[Mapping[str, Any], list[Reading]]]:
        """Return the settings of an instance that are to be read, and what is known of each."""
        return [
            (entry, product.read(entry))
            for entry in (product.data or {}).get("settings") or []
            if self.findings.judges(entry["control"])
            and product.concerned(entry) is not False
            and (entry["name"] in self.rules or _nobody_knows(entry))
        ]

    def _is_judged(self, product: Product, control: str) -> bool:
        """Say what there is to say of a control without its settings; return whether they are to be judged."""
        add, data = self.findings.add, product.data
        kind = str(product.instance.get("product"))
        if data is None:
            add(control, product.name, "not_checked", f"nothing is known of the settings of {kind}")
            return False
        if data.get("part_of"):
            add(control, product.name, "not_applicable", f"it has no settings of its own, {data['part_of']} has them")
            return False
        if control not in data["controls"]:
            return False  # the catalogue says that it does not concern the product
        entries = [entry for entry in data.get("settings") or [] if entry["control"] == control]
        if not entries:
            add(control, product.name, "not_checked", f"where {kind} keeps what this is about is not known")
        elif all(product.concerned(entry) is False for entry in entries):
            single = any(entry.get("clustered") for entry in entries) and not product.instance.get("cluster")
            why = "it is no node of a cluster" if single else f"version {product.version} does not have it"
            add(control, product.name, "not_applicable", why)
        else:
            return True
        return False

    def _judge(self, product: Product, control: str, found: list[tuple[Mapping[str, Any], list[Reading]]]) -> None:
        judged = Judged()
        for entry, readings in found:
            self._judge_setting(product, entry, readings, judged)
        altered = self._write_arguments(product, judged)
        add = self.findings.add
        unknown = "; ".join(f"{', '.join(dict.fromkeys(titles))}: {why}" for why, titles in judged.unknown.items())
        if judged.waiting:
            self._judge_waiting(product, control, judged, unknown, altered)
        elif not judged.seen:
            add(control, product.name, "not_checked", "nothing is said of what is wanted of it")
        elif not judged.drift:
            add(control, product.name, "not_checked" if unknown else "pass", unknown)
        elif unknown and not judged.left and not self.changes.check_mode:
            reason = f"{unknown}. Put right: {'; '.join(judged.reasons)}"
            add(control, product.name, "not_checked", reason, judged.drift)
        else:
            reason = "; ".join(judged.reasons) + (f". Not known: {unknown}" if unknown else "")
            self.findings.judge(
                control, product.name, judged.drift, reason, repaired=not judged.left, by_hand=judged.by_hand
            )

    def _judge_setting(
        self, product: Product, entry: Mapping[str, Any], readings: list[Reading], judged: Judged
    ) -> None:
        """Judge one setting, put it right where that may be, and add what is so."""
        judged.seen += 1
        page = f" ({entry['page']})" if entry.get("page") else ""
        for reading in readings:
            if not reading.known:
                judged.unknown.setdefault(reading.why, []).append(f"{entry['title']}{page}")
        rule = self.rules.get(entry["name"])
        drift = [
            piece
            for reading in readings
            if reading.known and rule is not None
            for piece in rule.broken(entry["title"], reading.value, reading.where)
        ]
        if rule is None or not drift:
            return
        judged.drift += drift
        judged.by_hand = judged.by_hand and not _can_be_written(product, entry, readings)
        told = ", ".join(dict.fromkeys(piece["actual"] for piece in drift))
        reason = f"{entry['title']}: {told}, wanted {rule.words}"
        if "argument" in (entry.get("write") or {}):
            self._judge_argument(product, entry, readings, judged, f"{reason}{page}")
            return
        value = rule.nearest(readings[0].value)
        if self._may_write(product, entry, readings) and value is not None:
            refused = self._write(product, entry, readings[0].value, value, rule)
            if refused:
                judged.drift.append(evidence(entry["title"], "set", refused))
                reason += f"; it could not be set: {refused}"
            else:
                judged.reasons.append(reason)
                return
        judged.left += 1
        places = [reading.where for reading in readings if reading.kind not in OWN_PLACES]
        decides = f"; decided by {', '.join(places)}" if places else ""
        judged.reasons.append(f"{reason}{decides}{page}")

    # -- arguments of the JVM ------------------------------------------------------------------------------------------

    def _judge_argument(
        self, product: Product, entry: Mapping[str, Any], readings: list[Reading], judged: Judged, reason: str
    ) -> None:
        """Plan to write a setting as an argument of the JVM, where the next start has it wrong."""
        judged.reasons.append(reason)
        rule, following = self.rules[entry["name"]], readings[-1]
        if following.known and not rule.broken("", following.value, ""):
            judged.waiting = True
        elif self._may_write(product, entry, readings):
            judged.arguments.append((entry, str(written("{text}", entry["type"], rule.nearest(following.value)))))
        else:
            judged.left += 1

    def _write_arguments(self, product: Product, judged: Judged) -> bool:
        """Write what was planned into the start script; return whether that was done, or would be."""
        if not judged.arguments:
            return False
        how = judged.arguments[0][0]["write"]
        path = f"{product.instance[how['tree'] + '_dir']}/{how['path']}"
        properties = {entry["write"]["argument"]: value.lower() for entry, value in judged.arguments}
        try:
            write_properties(self.changes, self.run_command, path, how["variable"], properties, self.root)
        except ChangeError as exc:
            judged.left += len(judged.arguments)
            judged.drift.append(evidence(path, "written", exc))
            judged.reasons.append(f"{path} could not be written: {exc}")
            return False
        judged.waiting = judged.waiting or bool(product.instance.get("running"))
        return True

    def _judge_waiting(self, product: Product, control: str, judged: Judged, unknown: str, altered: bool) -> None:
        """Judge what is right but for a restart."""
        process = read_process(product.instance.get("pid"), self.root)
        unit = self.units.get(product.instance.get("unit") or "", {})
        hopeless = bool(judged.left or unknown)
        full = [] if hopeless else full_file_systems(product.instance, self.root)
        reason = "; ".join(judged.reasons)
        waits = False
        if full:
            reason += "; the product is not restarted, because a file system it writes to is full"
        elif not can_be_restarted(product.instance, unit, process):
            reason += "; restart the product the way you start it, for it runs in no unit"
        elif not hopeless:
            waits = True
            # Worded so that it is true before it is written, while it waits, and once the restart has been.
            reason += "; the argument in its start script takes effect with a restart (atlassian_dc_allow_restart)"
        reason += f". Not known: {unknown}" if unknown else ""
        predicted = altered and self.changes.check_mode
        pending = PENDING_RESTART if waits and not predicted else None
        self.findings.judge(control, product.name, [*judged.drift, *full], reason, pending=pending)
        if pending and self.findings.enforces(control) and not self.changes.check_mode:
            self.restart_pending.append(product.name)

    @cached_property
    def units(self) -> dict[str, dict[str, str]]:
        """What systemd says about the units of the products, by name."""
        names = [str(product.instance["unit"]) for product in self.products if product.instance.get("unit")]
        return show_units(self.run_command, names, UNIT_PROPERTIES)

    # -- settings of the product itself --------------------------------------------------------------------------------

    def _may_write(self, product: Product, entry: Mapping[str, Any], readings: list[Reading]) -> bool:
        return (
            entry["name"] in self.may_write
            and self.findings.enforces(entry["control"])
            and _can_be_written(product, entry, readings)
        )

    def _write(self, product: Product, entry: Mapping[str, Any], before: Any, value: Any, rule: Rule) -> str:
        """Set a value and read it again; return why it is not set, "" where it is."""
        name = entry["name"]
        found: list[Reading] = []
        if entry["write"].get("token") and product.client.form != "token":
            return "that would lock out the password which is in use; set a token in atlassian_dc_credentials"

        def change() -> None:
            try:
                found.append(write_setting(product, entry, value))
            except RestError as exc:
                raise ChangeError(str(exc)) from exc

        def save(recorder: Recorder) -> None:
            recorder.setting(product.name, name, before, value)

        try:
            words = (shown(before), shown(value))
            self.changes.perform(change, product.name, f"setting {name}", *words, save=save)
        except ChangeError as exc:
            return str(exc)
        for again in found:  # none in check mode
            if not again.known:
                return f"it was set and cannot be read again: {again.why}"
            if rule.broken("", again.value, ""):
                return f"it was set and is {shown(again.value)} still"
        return ""


def _can_be_written(product: Product, entry: Mapping[str, Any], readings: list[Reading]) -> bool:
    """Whether a way to set it is known, and would change what counts."""
    how = entry.get("write")
    if how is None:
        return False
    if "argument" in how:
        return readings[-1].kind in ARGUMENT_PLACES and bool(product.instance.get(f"{how['tree']}_dir"))
    return all(reading.kind in OWN_PLACES for reading in readings)


def _nobody_knows(entry: Mapping[str, Any]) -> bool:
    return all(place["kind"] == "unknown" for place in entry["read"])


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **CONNECTION_ARGUMENTS,
            "wanted": {"type": "dict", "default": {}},
            "write": {"type": "list", "elements": "str", "default": []},
            **CONTROL_ARGUMENTS,
            **RECORD_ARGUMENTS,
        },
        supports_check_mode=True,
    )
    findings = Findings(module.params, CONTROLS, module.check_mode)
    changes = Changes.of(module)
    products = products_of(module)
    try:
        settings = ProductSettings(module.params, findings, changes, products, module.run_command)
    except RuleError as exc:
        module.fail_json(msg=f"wanted: {exc}")
    settings.run()
    changes.exit(
        module,
        dc_findings=findings.results,
        restart_pending=sorted(settings.restart_pending),
        **asked(products),
    )


if __name__ == "__main__":
    main()
