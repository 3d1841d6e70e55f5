# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ledger: collects what tasks found out about controls and turns it into a report.

Nothing here knows Ansible's events; the callback plugin translates them. So every rule of the report is a plain
function of what was recorded, and is tested as such.
"""

from __future__ import annotations

import datetime
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._catalogue import Catalogue, Control
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._clusters import (
    SAME_NUMBERS,
    Node,
    cluster_id,
    cluster_key,
    clusters,
    compare_accounts,
    differences,
    may_be_node,
)
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._collection import (
    collection_version,
    existing_roles,
)
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._products import jvm_switches
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._statements import (
    EXPIRY_WARNING_DAYS,
    Attestation,
    Waiver,
    waiver_of,
)

SCHEMA = "atlassian_dc.hardening/report/1"
PRECEDENCE = ("error", "fail", "fixed", "not_checked", "pass", "not_applicable")
"""Which status wins when several tasks judge the same control: the first."""
STATUSES = ("pass", "fail", "fixed", "waived", "not_applicable", "manual", "not_checked", "error")
INSTANCE_FACTS = (
    "name",
    "product",
    "version",
    "install_dir",
    "home_dir",
    "shared_home_dir",
    "unit",
    "running_user",
    "service_account",
)


@dataclass(frozen=True)
class Judgement:
    """What one task said about one control."""

    status: str
    reason: str = ""
    evidence: tuple[Mapping[str, str], ...] = ()
    pending: str | None = None
    elsewhere: str | None = None
    """The host that judges a part of it."""
    by_hand: bool = False
    """Whether no run puts it right, whatever is allowed."""

    def __post_init__(self) -> None:
        """Hold every judgement to the rules of the report, wherever it comes from."""
        if self.status not in PRECEDENCE:
            raise ValueError(f"unknown status '{self.status}'")
        if self.status != "pass" and not self.reason:
            raise ValueError(f"status '{self.status}' without a reason")
        if self.status in ("fail", "fixed") and not self.evidence:
            raise ValueError(f"status '{self.status}' without evidence")


def combine(judgements: Sequence[Judgement]) -> Judgement:
    """Merge what several tasks said about the same control: the worst status, and all that was said at it, once."""
    status = min((judgement.status for judgement in judgements), key=PRECEDENCE.index)
    same = [judgement for judgement in judgements if judgement.status == status]
    # A reason may have several parts, of which another one has some too.
    parts = [part for judgement in same if judgement.reason for part in judgement.reason.split("; ")]
    return Judgement(
        status,
        "; ".join(dict.fromkeys(parts)),
        tuple({tuple(sorted(item.items())): item for judgement in same for item in judgement.evidence}.values()),
        next((judgement.pending for judgement in same if judgement.pending), None),
        next((judgement.elsewhere for judgement in judgements if judgement.elsewhere), None),
        all(judgement.by_hand for judgement in same),
    )


def _told_by(host: str, judgement: Judgement) -> Judgement:
    """Return a judgement of another host, which it names."""
    proof = tuple({**item, "what": f"{host}: {item['what']}"} for item in judgement.evidence)
    reason = f"{host}: {judgement.reason}" if judgement.reason else ""
    return Judgement(judgement.status, reason, proof, judgement.pending, by_hand=judgement.by_hand)


@dataclass
class HostRecord:
    """What was recorded about one host."""

    name: str
    groups: tuple[str, ...] = ()
    skip_controls: frozenset[str] = frozenset()
    unreachable: str | None = None
    failed: str | None = None
    discovered: bool = False
    instances: list[dict[str, Any]] = field(default_factory=list)
    problems: list[dict[str, Any]] = field(default_factory=list)
    addresses: tuple[str, ...] = ()
    """Its name and its address in the inventory."""
    peers: tuple[str, ...] | None = None
    """The other nodes of its clusters as declared, None when nothing is."""
    accounts: tuple[Mapping[str, Any], ...] | None = None
    """Its service accounts, None when they were not looked at."""
    judgements: dict[tuple[str, str | None], dict[str, list[Judgement]]] = field(default_factory=dict)
    planned: dict[str, set[str]] = field(default_factory=dict)
    """Names of the tasks that judge a control on this host, each perhaps only a part of it."""
    ran: set[str] = field(default_factory=set)
    """Names of the tasks that came to an end on this host, skipped ones too."""
    changes: list[Mapping[str, Any]] = field(default_factory=list)
    """What tasks have changed on the host, or would in check mode, as far as they list it."""
    first_seen: float | None = None
    last_seen: float | None = None

    def seen(self, moment: float) -> None:
        """Note that something happened on the host, in seconds of a monotonic clock."""
        self.first_seen = moment if self.first_seen is None else self.first_seen
        self.last_seen = moment

    def plan(self, tasks: Iterable[tuple[str, Iterable[str]]]) -> None:
        """Add tasks that are to run on the host: their names, each with the controls it judges."""
        for name, controls in tasks:
            for control in controls:
                self.planned.setdefault(control, set()).add(name)

    def judge(self, control: str, instance: str | None, judgement: Judgement, source: str) -> None:
        """Add a judgement. It replaces those of the same source that were waiting for something, such as a restart.

        Passing after having waited is a repair of this run.
        """
        sources = self.judgements.setdefault((control, instance), {})
        earlier = sources.get(source, [])
        waiting = [known for known in earlier if known.pending]
        if waiting and judgement.status == "pass":
            judgement = Judgement("fixed", waiting[0].reason, waiting[0].evidence, elsewhere=judgement.elsewhere)
        # What was left to another host before is looked at here now, or left to it again.
        kept = [replace(known, elsewhere=None) for known in earlier if not known.pending]
        sources[source] = [*kept, judgement]

    def judged(self, control: str, instance: str | None) -> Judgement | None:
        """Return what all sources together say about a control, None if none has judged it."""
        sources = self.judgements.get((control, instance), {})
        known = [judgement for judgements in sources.values() for judgement in judgements]
        return self._with_all_parts(control, combine(known)) if known else None

    def _with_all_parts(self, control: str, judgement: Judgement) -> Judgement:
        """Call nothing right of which a part was not looked at, because the run ended on this host before."""
        ended = self.failed if self.unreachable is None else f"host unreachable: {self.unreachable}"
        missing = sorted(self.planned.get(control, set()) - self.ran)
        if ended is None or not missing or judgement.status not in ("pass", "fixed"):
            return judgement
        done = "; what was looked at is right" + (f" now ({judgement.reason})" if judgement.reason else "")
        return Judgement(
            "not_checked",
            f"the run ended on this host before task '{missing[0]}' judged its part: {ended}{done}",
            judgement.evidence,
            elsewhere=judgement.elsewhere,
        )


class Ledger:
    """Everything recorded in one run of Ansible.

    Args:
        catalogue: the controls.

    """

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self.hosts: dict[str, HostRecord] = {}
        self.name = f"{datetime.datetime.now(datetime.timezone.utc):%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"
        self.mode = "audit"
        self.started = now()
        self.finished_plays = False
        self.stopped: list[str] = []
        self.run_tags: tuple[str, ...] = ("all",)
        self.skip_tags: tuple[str, ...] = ()
        self.waivers: tuple[Waiver, ...] = ()
        self.attestations: tuple[Attestation, ...] = ()
        self.messages: list[str] = []
        self.left_out: list[str] = []
        """Hosts that ``--limit`` leaves out."""

    def host(self, name: str) -> HostRecord:
        """Return the record of a targeted host, in the order hosts were first named."""
        return self.hosts.setdefault(name, HostRecord(name))

    # -- recording ---------------------------------------------------------------------------------------------

    def found(
        self, host: str, instances: Iterable[Mapping[str, Any]], problems: Iterable[Mapping[str, Any]] = ()
    ) -> None:
        """Record what discovery found, and what it could not read or make sense of on the host."""
        record = self.host(host)
        record.discovered = True
        record.instances = [dict(instance) for instance in instances]
        record.problems = [dict(problem) for problem in problems]

    def findings(self, host: str, findings: Iterable[Mapping[str, Any]], source: str) -> None:
        """Record what a module of ours returned as ``dc_findings``; one that breaks the rules is an error."""
        for finding in findings:
            control = str(finding.get("control"))
            if control not in self.catalogue:
                self.messages.append(f"{host}: a task judged the unknown control '{control}'")
                continue
            try:
                judgement = Judgement(
                    str(finding.get("status")),
                    str(finding.get("reason") or ""),
                    tuple(
                        {key: str(item.get(key, "")) for key in ("what", "expected", "actual")}
                        for item in finding.get("evidence") or ()
                    ),
                    finding.get("pending"),
                    finding.get("elsewhere"),
                    bool(finding.get("by_hand")),
                )
            except ValueError as exc:
                judgement = Judgement("error", f"the check returned an unusable finding: {exc}")
            instance = finding.get("instance")
            self.host(host).judge(control, None if instance is None else str(instance), judgement, source)

    def changed(self, host: str, control: str, instance: str | None, judgement: Judgement, source: str) -> None:
        """Record what a state-changing module of somebody else proves about a control.

        Without a loop over instances it speaks for all of them.
        """
        record = self.host(host)
        for subject in [instance] if instance else self._subjects(record, self.catalogue[control]):
            record.judge(control, subject, judgement, source)

    def broke(self, host: str, controls: Iterable[str], reason: str, source: str) -> None:
        """Record that the task judging these controls failed: nothing is known about them on any instance."""
        for control in controls:
            self.changed(host, control, None, Judgement("error", reason), source)

    # -- clusters ----------------------------------------------------------------------------------------------

    @property
    def _clusters(self) -> dict[str, list[Node]]:
        """The nodes of each cluster in this run."""
        return clusters({record.name: record.instances for record in self.hosts.values()})

    @property
    def _addresses(self) -> set[str]:
        """Names and addresses of all hosts of the run."""
        return {address for record in self.hosts.values() for address in record.addresses}

    def _with_other_nodes(
        self, record: HostRecord, control: Control, instance: Mapping[str, Any] | None, judgement: Judgement
    ) -> Judgement:
        """Add to a judgement what the other nodes of a cluster mean for it."""
        if judgement.elsewhere and instance is not None:
            return self._with_part_elsewhere(control, cluster_key(record.name, instance), judgement)
        if control.id == SAME_NUMBERS and record.accounts is not None:
            return combine([judgement, *self._numbers(record)])
        if control.scope == "cluster" and instance is not None:
            return combine([judgement, *self._same_on_others(record, control, instance, judgement)])
        if control.scope == "site":
            return combine([judgement, *self._on_other_hosts(record, control, judgement)])
        return judgement

    def _on_other_hosts(self, record: HostRecord, control: Control, judgement: Judgement) -> list[Judgement]:
        """Return what other hosts say of a control of the whole site, where it is something else."""
        return [
            _told_by(host.name, theirs)
            for host in self.hosts.values()
            if host.name != record.name
            for theirs in [host.judged(control.id, None)]
            if theirs is not None and (theirs.status, theirs.reason) != (judgement.status, judgement.reason)
        ]

    def _same_on_others(
        self, record: HostRecord, control: Control, instance: Mapping[str, Any], judgement: Judgement
    ) -> list[Judgement]:
        """Return what other nodes say of a control of their cluster, where it is something else.

        What the product tells is the same on all nodes. Files and arguments of the JVM are those of a node.
        """
        found = []
        for node in self._clusters.get(cluster_id(instance) or "", ()):
            theirs = self.hosts[node.host].judged(control.id, node.name) if node.host != record.name else None
            if theirs is not None and (theirs.status, theirs.reason) != (judgement.status, judgement.reason):
                found.append(_told_by(node.host, theirs))
        return found

    def _with_part_elsewhere(self, control: Control, cluster: str, judgement: Judgement) -> Judgement:
        """Call nothing right of which another host was to judge a part and did not."""
        if judgement.status not in ("pass", "fixed", "not_applicable"):
            return judgement
        other = self.hosts.get(str(judgement.elsewhere))
        theirs = None
        if other is not None:
            names = [item["name"] for item in other.instances if cluster_key(other.name, item) == cluster]
            theirs = next((found for name in names if (found := other.judged(control.id, name))), None)
        if theirs is not None and theirs.status not in ("error", "not_checked"):
            return judgement
        if theirs is not None:
            why = theirs.reason
        else:
            why = "it is not in this run" if other is None else self._why_not_checked(other, control)
        return Judgement("not_checked", f"{judgement.reason}, where it was not: {why}", judgement.evidence)

    def _numbers(self, record: HostRecord) -> list[Judgement]:
        """Judge whether the nodes of a host's clusters have the same service accounts."""
        accounts = {name: known.accounts or () for name, known in self.hosts.items()}
        silent = [
            f"{other.name} may be a node and was not reached"
            for other in self.hosts.values()
            if not other.discovered and may_be_node(other.addresses, record.peers, self._addresses)
        ]
        found = []
        for nodes in self._clusters.values():
            others = [node for node in nodes if node.host != record.name]
            for node in nodes:
                if node.host != record.name:
                    continue
                compared = compare_accounts(node, others, accounts)
                if compared.differing:
                    told = "; ".join(f"{item['what']} differ ({item['actual']})" for item in compared.differing[:2])
                    more = f" and {len(compared.differing) - 2} more" if len(compared.differing) > 2 else ""
                    reason = f"{told}{more}: the shared home knows accounts by number"
                    found.append(Judgement("fail", reason, compared.differing))
                unknown = [*(compared.unknown if others else ()), *silent]
                if unknown:
                    reason = f"not compared with all nodes of the cluster: {'; '.join(unknown)}"
                    found.append(Judgement("not_checked", reason))
        return found

    def _cluster_messages(self) -> list[str]:
        """Say what differs between nodes and belongs to no control, and which nodes were not compared."""
        messages = []
        for cluster, nodes in self._clusters.items():
            names = f"cluster {cluster} ({', '.join(dict.fromkeys(node.host for node in nodes))})"
            messages += [f"{names}: nodes differ in {difference}" for difference in differences(nodes, jvm_switches())]
            peers = self.hosts[nodes[0].host].peers
            missing = self.left_out if peers is None else [peer for peer in peers if peer not in self._addresses]
            if missing:
                more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
                why = (
                    "left out by --limit, perhaps nodes too" if peers is None else "declared as nodes, not in this run"
                )
                messages.append(f"{names}: not compared with {', '.join(missing[:5])}{more} ({why})")
        return messages

    # -- judging -----------------------------------------------------------------------------------------------

    @staticmethod
    def _subjects(record: HostRecord, control: Control) -> list[str | None]:
        """Return the instance names a control is judged on, on one host."""
        if control.scope in ("host", "site") or not record.instances:
            return [None]
        return [instance["name"] for instance in record.instances]

    def _cluster_judges(self) -> dict[str, str]:
        """Map each cluster to the host that speaks for it: the one that judged, else the first reachable, else any."""
        judges: dict[str, tuple[int, str]] = {}
        for record in self.hosts.values():
            for instance in record.instances:
                key = cluster_key(record.name, instance)
                judged = any(
                    (control.id, instance["name"]) in record.judgements
                    for control in self.catalogue.values()
                    if control.scope == "cluster"
                )
                rank = 0 if judged else 1 if record.unreachable is None else 2
                if key not in judges or rank < judges[key][0]:
                    judges[key] = (rank, record.name)
        return {key: name for key, (_rank, name) in judges.items()}

    def _site_judge(self) -> str | None:
        reachable = [record.name for record in self.hosts.values() if record.unreachable is None]
        return next(iter(reachable or self.hosts), None)

    def _why_not_checked(self, record: HostRecord, control: Control) -> str:
        """Say why nothing is known of a control that should have been judged."""
        if self.stopped:
            return f"the run stopped before any host was touched: {self.stopped[0]}"
        if record.unreachable is not None:
            return f"host unreachable: {record.unreachable}"
        if control.id in record.skip_controls:
            return "left out by atlassian_dc_skip_controls"
        if control.role not in existing_roles():
            return f"role {control.role} does not exist in this version of the collection"
        if record.failed is not None:
            return f"the run ended on this host before it was judged: {record.failed}"
        if self.run_tags != ("all",) or self.skip_tags:
            return "not selected by --tags or --skip-tags"
        return f"no task of this playbook judged it; role {control.role} does"

    def _default(self, record: HostRecord, control: Control, instance: Mapping[str, Any] | None) -> Judgement:
        """Judge a control that no task has judged."""
        known = record.unreachable is None and not self.stopped
        if control.scope in ("instance", "cluster"):
            if instance is None and known and record.discovered:
                return Judgement("not_applicable", "no product was found on this host")
            if instance is not None and control.products != "all" and instance["product"] not in control.products:
                return Judgement("not_applicable", f"does not concern {instance['product']}")
        return Judgement("not_checked", self._why_not_checked(record, control))

    def _entry(
        self, record: HostRecord, control: Control, instance: Mapping[str, Any] | None, today: datetime.date
    ) -> dict[str, Any]:
        name = None if instance is None else instance["name"]
        judged = record.judged(control.id, name)
        if judged:
            judged = self._with_other_nodes(record, control, instance, judged)
        entry: dict[str, Any] = {
            "id": control.id,
            "scope": control.scope,
            "instance": name,
            "status": "",
            "severity": control.severity,
            "title": control.title,
            "reason": "",
            "evidence": [],
            "remediation": control.remediation,
            "references": list(control.references),
            "pending": None,
            "waiver": None,
        }
        if control.mode == "attest" and not judged:
            self._attest(entry, today)
        else:
            judgement = judged or self._default(record, control, instance)
            entry["status"], entry["reason"] = judgement.status, judgement.reason
            entry["evidence"] = [dict(item) for item in judgement.evidence]
            entry["pending"] = judgement.pending
            if judgement.by_hand:
                entry["by_hand"] = True
            if control.attestable and entry["status"] in ("fail", "not_checked"):
                self._vouch(entry, today)
        self._waive(entry, record, today)
        return entry

    def _answer(self, control: str) -> Attestation | None:
        answers = [answer for answer in self.attestations if answer.control == control]
        return max(answers, key=lambda known: known.expires, default=None)

    def _attest(self, entry: dict[str, Any], today: datetime.date) -> None:
        answer = self._answer(entry["id"])
        if answer is None:
            entry["status"] = "manual"
            entry["reason"] = "needs the statement of a person in atlassian_dc_attestations_file"
        elif not answer.live(today):
            entry["status"] = "manual"
            entry["reason"] = _run_out(answer)
        else:
            entry["status"], entry["evidence"] = "pass", [_attested(answer, today)]

    def _vouch(self, entry: dict[str, Any], today: datetime.date) -> None:
        """Let a person vouch for what the host cannot show; what it shows is kept."""
        answer = self._answer(entry["id"])
        if answer is not None and answer.live(today):
            entry["status"], entry["evidence"] = "pass", [_attested(answer, today), *entry["evidence"]]
        elif answer is not None:
            entry["reason"] = f"{entry['reason']}; {_run_out(answer)}"

    def _waive(self, entry: dict[str, Any], record: HostRecord, today: datetime.date) -> None:
        waiver = waiver_of(self.waivers, entry["id"], record.name, record.groups)
        if waiver is None:
            return
        live = waiver.live(today)
        entry["waiver"] = {
            "justification": waiver.justification,
            "owner": waiver.owner,
            "approver": waiver.approver or None,
            "ticket": waiver.ticket or None,
            "expires": waiver.expires.isoformat(),
            "expired": not live,
            "judged": entry["status"],
        }
        if entry["status"] != "fail":
            return
        if live:
            entry["status"] = "waived"
        else:
            entry["reason"] += f" (the waiver owned by {waiver.owner} expired on {waiver.expires})"

    def _controls(self, record: HostRecord, judges: Mapping[str, str], today: datetime.date) -> list[dict[str, Any]]:
        entries = []
        for control in self.catalogue.values():
            if control.scope == "site":
                if record.name == self._site_judge():
                    entries.append(self._entry(record, control, None, today))
            elif control.scope == "host" or not record.instances:
                entries.append(self._entry(record, control, None, today))
            else:
                entries.extend(
                    self._entry(record, control, instance, today)
                    for instance in record.instances
                    if control.scope == "instance" or judges[cluster_key(record.name, instance)] == record.name
                )
        return entries

    def _statement_messages(self, entries: Sequence[tuple[str, dict[str, Any]]], today: datetime.date) -> list[str]:
        messages = []
        used = {
            (entry["id"], waiver): entry
            for host, entry in entries
            if (waiver := waiver_of(self.waivers, entry["id"], host, self.hosts[host].groups))
        }
        for waiver in self.waivers:
            name = f"waiver of {waiver.control} for {', '.join(waiver.hosts)}"
            mine = [entry for (_control, known), entry in used.items() if known is waiver]
            days = (waiver.expires - today).days
            if not mine:
                messages.append(f"{name}: matches no host of this run")
            elif days < 0:
                messages.append(f"{name}: expired on {waiver.expires} and no longer counts; renew or remove it")
            elif days <= EXPIRY_WARNING_DAYS:
                messages.append(f"{name}: expires in {days} days, on {waiver.expires}")
            if mine and all(entry["status"] == "pass" for entry in mine):
                messages.append(f"{name}: no longer needed, the control passes")
        return messages

    # -- reporting ---------------------------------------------------------------------------------------------

    @property
    def complete(self) -> bool:
        """Whether every targeted host went through all its plays without a failed task."""
        return (
            bool(self.hosts)
            and self.finished_plays
            and not self.stopped
            and all(record.unreachable is None and record.failed is None for record in self.hosts.values())
        )

    def report(self, today: datetime.date) -> dict[str, Any]:
        """Return the report as it stands, in the published form."""
        judges = self._cluster_judges()
        hosts: dict[str, Any] = {}
        for record in self.hosts.values():
            seconds = 0.0 if record.first_seen is None else (record.last_seen or 0.0) - record.first_seen
            hosts[record.name] = {
                "reachable": record.unreachable is None,
                "duration_seconds": round(seconds, 1),
                "instances": [
                    {fact: instance.get(fact) for fact in INSTANCE_FACTS} | {"cluster": cluster_id(instance)}
                    for instance in record.instances
                ],
                "controls": self._controls(record, judges, today),
            }
        entries = [(host, entry) for host, content in hosts.items() for entry in content["controls"]]
        failures = [f"{record.name}: {record.failed}" for record in self.hosts.values() if record.failed is not None]
        problems = [
            f"{subject}: {problem.get('path')}: {problem.get('message')}"
            for record in self.hosts.values()
            for subject, found in [
                (record.name, record.problems),
                *((f"{record.name}/{item['name']}", item.get("problems") or []) for item in record.instances),
            ]
            for problem in found
        ]
        strays = [
            f"{record.name}: a task judged {control} on the unknown instance '{instance}'"
            for record in self.hosts.values()
            for control, instance in record.judgements
            if instance not in self._subjects(record, self.catalogue[control])
        ]
        return {
            "schema": SCHEMA,
            "collection_version": collection_version(),
            "mode": self.mode,
            "started": self.started,
            "finished": now(),
            "complete": self.complete,
            "selection": {
                "tags": list(self.run_tags),
                "skip_tags": list(self.skip_tags),
                "skip_controls": sorted(
                    {control for record in self.hosts.values() for control in record.skip_controls}
                ),
            },
            "messages": self.stopped
            + failures
            + problems
            + self._cluster_messages()
            + self.messages
            + strays
            + self._statement_messages(entries, today),
            "hosts": hosts,
            "summary": summarise(entry["status"] for _host, entry in entries),
        }


def summarise(statuses: Iterable[str]) -> dict[str, Any]:
    """Count statuses; score over what was judged, coverage over what applies, both as plain fractions."""
    counts = dict.fromkeys(STATUSES, 0)
    for status in statuses:
        counts[status] += 1
    good = counts["pass"] + counts["fixed"]
    judged = good + counts["fail"]
    applicable = sum(counts.values()) - counts["not_applicable"]
    return {**counts, "score": f"{good}/{judged}", "coverage": f"{judged + counts['waived']}/{applicable}"}


def now() -> str:
    """Return the current time as the report writes it: UTC, to the second."""
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


ACTIVE: Ledger | None = None
"""The ledger of this process. The callback sets it; the gate, which runs in a fork, reads it."""


def _run_out(answer: Attestation) -> str:
    return f"the attestation by {answer.attested_by} of {answer.date} holds until {answer.expires}"


def _attested(answer: Attestation, today: datetime.date) -> dict[str, str]:
    return {
        "what": f"attested by {answer.attested_by}",
        "expected": f"a statement that holds on {today}",
        "actual": f"of {answer.date}, until {answer.expires}: {answer.proof}",
    }
