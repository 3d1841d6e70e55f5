#!/usr/bin/python
# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: firewall
short_description: Judge and set who may reach a host with Data Center products
version_added: 0.3.0
description:
  - Judges whether inbound traffic is denied by default (V(DC-NET-01)), whether application ports are reached from the
    reverse proxies only (V(DC-NET-02)), ports of clusters and agents from those only (V(DC-NET-03)), SSH from the
    networks of administrators only (V(DC-NET-04)), and what listens on public addresses undeclared (V(DC-NET-05)). A
    control passes only if the rules in force and those of the next boot are right.
  - Puts rules of its own in force, by a table of nftables or policies of firewalld. Tables, zones and policies of
    others are not touched. Traffic that is forwarded, such as that of containers, is not filtered.
  - Its action plugin is a guard. Nothing is loaded that would cut the connection in use, or live flows and listeners
    that nobody has declared; they are listed, and the controls stay failed. Before rules are loaded a timer is armed on
    the host that puts those before back. Only when a new connection has been had through the new rules the timer is
    stopped, and the rules are written for the next boot.
options:
  phase:
    description:
      - V(judge) looks, and in check mode predicts what V(load) and V(confirm) would change.
      - V(load) arms the timer and loads the rules, V(confirm) keeps them.
      - Set by the action plugin, which calls the module up to three times. There is no need to set it in a task.
    type: str
    choices: [judge, load, confirm]
    default: judge
  provider:
    description:
      - V(auto) uses firewalld where it runs, else nftables where rules of it filter inbound traffic already, else what
        is usual on the host, O(usual_provider).
      - A host with an active ufw is left as it is, and told why.
    type: str
    choices: [auto, nftables, firewalld]
    default: auto
  usual_provider:
    description: What V(auto) uses where no firewall is in use.
    type: str
    choices: [nftables, firewalld]
    default: nftables
  admin_networks:
    description:
      - Networks and addresses that may reach SSH.
      - Here and in all other lists of addresses undefined means that nobody has said, and an empty list that there are
        none.
      - Here and in all other lists names are resolved by the action plugin, those of the inventory through
        C(ansible_host).
    type: list
    elements: str
  proxy_addresses:
    description: Addresses of the reverse proxies. An empty list says that users reach the products without one.
    type: list
    elements: str
  cluster_peers:
    description: Addresses of the other nodes of a cluster.
    type: list
    elements: str
  agents:
    description: Addresses of the agents that reach a server of this host.
    type: list
    elements: str
  users:
    description: Networks of the users of ports that are reached without a reverse proxy, such as Git over SSH.
    type: list
    elements: str
    default: [any]
  services:
    description: Further inbound flows that stay open.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: What it is called in the rules.
        type: str
        required: true
      ports:
        description: Ports, and ranges such as V(8000-8010).
        type: list
        elements: str
        required: true
      protocol:
        description: The protocol.
        type: str
        choices: [tcp, udp]
        default: tcp
      from:
        description:
          - Networks, addresses, or the words V(any), V(admin), V(proxies), V(peers), V(agents) and V(users).
        type: list
        elements: str
        required: true
  closed:
    description:
      - Listeners and live flows that may be cut. What is neither here nor in O(services) keeps rules from being loaded.
    type: list
    elements: dict
    default: []
    suboptions:
      ports:
        description: Ports, and ranges such as V(8000-8010).
        type: list
        elements: str
        required: true
      protocol:
        description: The protocol.
        type: str
        choices: [tcp, udp]
        default: tcp
      from:
        description: Only flows from there; everybody when undefined. The same as for O(services[].from).
        type: list
        elements: str
  trusted_interfaces:
    description: Interfaces from which everything is accepted, such as those of containers and VPNs.
    type: list
    elements: str
    default: []
  outbound:
    description:
      - What the host may reach; everything else is refused to it. Undefined, it may reach everything.
      - An empty list leaves only answers, name resolution being none of them.
    type: list
    elements: dict
    suboptions:
      name:
        description: What it is called in the rules.
        type: str
        required: true
      ports:
        description: Ports, and ranges such as V(8000-8010).
        type: list
        elements: str
        required: true
      protocol:
        description: The protocol.
        type: str
        choices: [tcp, udp]
        default: tcp
      to:
        description: The same as for O(services[].from).
        type: list
        elements: str
        required: true
  confirm_timeout:
    description: After how many seconds without a new connection the rules before are put back; at least V(10).
    type: int
    default: 60
  unresolved:
    description:
      - Names that could not be resolved, each with the variable it is in. Nothing is loaded then.
      - Filled in by the action plugin.
    type: list
    elements: dict
    default: []
  token:
    description: By what V(confirm) knows the rules that V(load) has loaded. Filled in by the action plugin.
    type: str
  loaded_over:
    description:
      - The connection over which rules were loaded, as RV(connection) tells it. V(confirm) refuses to be run over it.
      - Filled in by the action plugin.
    type: dict
  remote:
    description:
      - Whether the host is reached over the network. If it is not, as with connection C(local), no new connection can
        prove anything; every live SSH connection has to be let in again then.
      - Filled in by the action plugin.
    type: bool
    default: true
  setback:
    description: Why rules that were loaded had to be put back. Filled in by the action plugin.
    type: str
extends_documentation_fragment:
  - atlassian_dc.hardening.attributes
  - atlassian_dc.hardening.controls
  - atlassian_dc.hardening.instances
  - atlassian_dc.hardening.record
seealso:
  - name: Firewall
    description: What is done in which order, and what a crash leaves after each step.
    link: https://github.com/atlassian-dc-hardening/atlassian_dc.hardening/blob/main/docs/firewall.md
author:
  - the atlassian_dc.hardening contributors (@atlassian-dc-hardening)
"""

EXAMPLES = r"""
- name: Let administrators, reverse proxies and the other nodes in, and nobody else
  atlassian_dc.hardening.firewall:
    instances: "{{ ansible_facts.atlassian_dc.instances }}"
    admin_networks: [192.0.2.0/26, "2001:db8:1::/64"]
    proxy_addresses: [192.0.2.80]
    cluster_peers: [node1, node2]
    services:
      - name: monitoring
        ports: ["9100"]
        from: [monitoring.example.org]
    closed:
      - ports: ["111"]
  tags: [DC-NET-01, DC-NET-02, DC-NET-03, DC-NET-04, DC-NET-05]
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
provider:
  description: The firewall in use, or the one that would be.
  returned: always
  type: str
  sample: nftables
rules:
  description: The rules wanted, one a line, for people. Empty where they are not known.
  returned: always
  type: list
  elements: str
  sample: ["tcp 22 (ssh): from 192.0.2.0/26, 2001:db8:1::/64", "all else: dropped"]
notes:
  description: What somebody should know of the rules, such as ports of a product that nobody can tell.
  returned: always
  type: list
  elements: str
  sample: ["DC-NET-03: jira cluster cache objects: a random free port when the key is not set"]
refused:
  description: What keeps the rules from being loaded. Each entry says what has to be done.
  returned: always
  type: list
  elements: dict
  sample:
    - what: tcp 9100 from 192.0.2.7 (node_exporter, prometheus-node-exporter.service)
      expected: "declared: atlassian_dc_firewall_services: [...]"
      actual: live, would be cut
declarations:
  description: YAML that declares all that would be cut, ready to paste.
  returned: always
  type: str
other_filters:
  description:
    - Chains of others that filter inbound traffic too. What they drop stays dropped, whatever the rules accept; what
      they accept is dropped all the same where the rules deny it.
  returned: always
  type: list
  elements: str
  sample: ["nftables chain inet filter input (policy accept)"]
connection:
  description: The SSH connection in use as the host sees it; null without one.
  returned: always
  type: dict
  sample: {source: 192.0.2.5, source_port: 51812, address: 192.0.2.20, port: 22}
outcome:
  description:
    - V(nothing) to be done, V(refused), V(due) after V(judge) of a real run, V(loaded) and V(confirmed).
    - V(restored) where the rules before were put back, because no new connection could be had.
  returned: always
  type: str
"""

import dataclasses
import json
import re
from collections.abc import Iterable
from typing import Any, Callable

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._changes import ChangeError, Changes
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._findings import (
    CONTROL_ARGUMENTS,
    Evidence,
    Findings,
    evidence,
    plural,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._firewall_exposure import (
    Declared,
    exposed,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._firewall_guard import (
    Cut,
    closed_of,
    connection_cut,
    cuts,
    declarations,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._firewall_host import (
    FIREWALLD,
    MEANING,
    NFT_FILE,
    SHORTEST_TIMEOUT,
    Differences,
    Files,
    FirewallError,
    FirewallHost,
    rules_of_listing,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._firewall_rules import (
    SERVICES,
    Missing,
    Note,
    RulesError,
    RuleSet,
    Wanted,
    build,
    describe,
    diff,
    in_ranges,
    parse_ports,
    show_ports,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._recorder import RECORD_ARGUMENTS
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._sockets import (
    SshConnection,
    connection_in_use,
    established,
    read_sockets,
    scope_of,
    ssh_ports,
)

DENY = "DC-NET-01"
PROXY = "DC-NET-02"
PEERS = "DC-NET-03"
SSH = "DC-NET-04"
LISTENERS = "DC-NET-05"
CONTROLS = (DENY, PROXY, PEERS, SSH, LISTENERS)
PUT_RIGHT = CONTROLS[:4]
OF_INSTANCES = {PROXY: ("proxy",), PEERS: ("peers", "agents")}
"""Controls of instances, and whose ports they are about."""

FLAWS = {
    DENY: "inbound traffic is not denied by default",
    PROXY: "application ports are not limited to the reverse proxies",
    PEERS: "ports of clusters and agents are not limited to those",
    SSH: "SSH is not limited to the networks of administrators",
}
LIMITED = {
    DENY: "dropped, unless a rule accepts it",
    PROXY: "reached from the reverse proxies only",
    PEERS: "reached from known peers and agents only",
    SSH: "reached from the networks of administrators only",
}
GROUPS_OF = {PROXY: ("proxies",), PEERS: ("peers", "agents"), SSH: ("admin",)}
"""Words for groups that controls are about."""

STAYS = "not touched: what it drops stays dropped, what it accepts is dropped where the rules of this role deny it"

GROUP_OPTIONS = {
    "admin": "admin_networks",
    "proxies": "proxy_addresses",
    "peers": "cluster_peers",
    "agents": "agents",
    "users": "users",
}
"""Words for groups of addresses, and the options that hold them."""

NONE_OF = {PROXY: "it has no port of an application", PEERS: "it has no port for other nodes or agents"}

RunCommand = Callable[..., "tuple[int, str, str]"]


@dataclasses.dataclass
class Plan:
    """Rules for some controls, and how what there is differs from them."""

    controls: frozenset[str]
    rules: RuleSet | None = None
    """None where they cannot be made; then `obstacles` say why."""
    files: Files = dataclasses.field(default_factory=dict)
    differences: Differences = dataclasses.field(default_factory=Differences)
    obstacles: list[Evidence] = dataclasses.field(default_factory=list)
    notes: tuple[Note, ...] = ()
    """What somebody should know of the rules."""

    @property
    def drift(self) -> bool:
        """Whether anything is different."""
        return bool(self.obstacles or self.differences.rules or self.differences.all)


class Firewall:
    """Judges the firewall of one host and puts it right.

    Args:
        params: the module's parameters.
        findings: where to put what was found.
        changes: through which to change things.
        run_command: to ask the system's tools.
        root: folder that stands for ``/``; anything but ``/`` only in tests.

    """

    def __init__(
        self, params: dict[str, Any], findings: Findings, changes: Changes, run_command: RunCommand, root: str = "/"
    ) -> None:
        self.params = params
        self.findings = findings
        self.changes = changes
        self.run_command = run_command
        self.root = root
        self.host = FirewallHost(run_command, changes, root)
        self.instances: list[dict[str, Any]] = params["instances"]
        self.outcome = "nothing"
        self.refused: list[Evidence] = []
        self.declarations = ""
        self.rules: list[str] = []
        self.notes: list[str] = []
        self.proc = "/proc" if root == "/" else f"{root}/proc"
        self.connection = connection_in_use(self.proc)
        self.sockets = read_sockets(self.proc, run_command)
        self.ssh = ssh_ports(self.sockets, self.connection)
        self.found = self.host.look(params["provider"], params["usual_provider"])

    # ---- run ---------------------------------------------------------------------------------

    def run(self) -> None:
        """Do what the phase asks for.

        Raises:
            ChangeError: in phase confirm, when the rules could not be kept.

        """
        if not self.instances:
            # Somebody else's host, which only happens to be in the inventory.
            for control in CONTROLS:
                self.findings.add(control, None, "not_applicable", "no product was found on this host")
            return
        if self.params["phase"] == "confirm":
            self._confirm()
            return
        due = self._plan(self._enforced()) if any(map(self.findings.enforces, PUT_RIGHT)) else None
        if due is not None and due.drift:
            self._refuse(due)
            self.outcome = "refused" if self.refused else "due"
            if self.outcome == "due" and (self.changes.check_mode or self.params["phase"] == "load"):
                self._load(due)
        self._judge(due)

    # ---- what is wanted ----------------------------------------------------------------------

    def _enforced(self) -> frozenset[str]:
        """Return the controls that the rules are made for."""
        enforced = {control for control in PUT_RIGHT if self.findings.enforces(control)}
        # What earlier runs have set stays, where this one does not look at it.
        before = self._before()
        return frozenset(
            enforced | {name for name in before.controls if not self.findings.judges(name)} if before else enforced
        )

    def _before(self) -> RuleSet | None:
        """Return what the confirmed rules mean; None where there are none, or somebody has edited the file."""
        try:
            return RuleSet.from_dict(json.loads(self.found.confirmed[MEANING]))
        except (KeyError, ValueError, RulesError):
            return None

    def _build(self, controls: frozenset[str]) -> Wanted:
        given = ("services", "trusted_interfaces", "outbound")
        return build(
            instances=self.instances,
            ssh_ports=self.ssh,
            enforced=controls,
            **{word: self.params[option] for word, option in GROUP_OPTIONS.items()},
            **{option: self.params[option] for option in given},
        )

    def _plan(self, controls: frozenset[str]) -> Plan:
        wanted = self._build(controls)
        if wanted.rule_set is None:
            missing = [evidence(item.variable, "set", f"not set: {item.why}") for item in wanted.missing]
            return Plan(controls, obstacles=missing)
        if not wanted.rule_set.controls and not self.found.in_force:
            return Plan(controls, wanted.rule_set)  # no port that is to be limited, and nothing to take out of force
        try:
            files = self.host.render(self.found, wanted.rule_set)
            differences = self.host.differences(self.found, files)
            return Plan(controls, wanted.rule_set, files, differences, notes=wanted.notes)
        except (FirewallError, RulesError) as exc:
            return Plan(controls, obstacles=[evidence(self.found.provider, "takes the rules", exc)])

    # ---- the guard ---------------------------------------------------------------------------

    def _refuse(self, plan: Plan) -> None:
        """Note what is against loading rules."""
        found, params, refused = self.found, self.params, self.refused
        refused += plan.obstacles
        if found.problem:
            refused.append(evidence(found.provider, "can be used", found.problem))
        for entry in params["unresolved"]:
            what = f"{entry['name']} in {entry['variable']}"
            refused.append(evidence(what, "a name the controller can resolve", entry["why"]))
        if found.waiting:
            waits = "rules of another run wait to be confirmed, or are put back within its confirm_timeout"
            refused.append(evidence("the firewall", "changed by one run at a time", waits))
        if params["setback"]:
            refused.append(evidence("a new connection through the new rules", "had", params["setback"]))
        if params["remote"] and self.connection is None:
            unseen = "the host does not tell; it is kept in SSH_CONNECTION of the ancestors of this process"
            refused.append(evidence("the SSH connection in use", "known, so that it is not cut", unseen))
        if found.provider == FIREWALLD:
            self._refuse_firewalld(plan)
        if plan.rules is None:
            return
        if self.sockets.blind:
            self.host.warnings.append(f"who is connected over UDP is not known ({self.sockets.blind})")
        found_cuts = [*self._cut_connections(plan.rules), *self._cut_others(plan.rules)]
        refused += [cut.evidence for cut in found_cuts]
        self.declarations = declarations(found_cuts)

    def _refuse_firewalld(self, plan: Plan) -> None:
        if self.found.firewalld:
            try:
                forgotten = self.host.only_at_runtime()
            except FirewallError as exc:
                forgotten = str(exc)
            if forgotten:
                self.refused.append(evidence("firewalld", "can be reloaded without harm", forgotten))
        elif DENY not in plan.controls:
            why = f"it is not running, and once it does its zones deny more than is asked for without {DENY}"
            self.refused.append(evidence("firewalld", "running", why))

    def _cut_connections(self, rules: RuleSet) -> list[Cut]:
        used = [self.connection] if self.connection else []
        if not self.params["remote"]:
            # Nobody can prove a new connection; so whoever is logged in has to be let in again.
            used += [
                SshConnection(flow.source, flow.source_port, flow.address, flow.port)
                for flow in self.sockets.flows
                if flow.protocol == "tcp" and flow.port in self.ssh
            ]
        cut = [connection_cut(rules, connection, self._interface_of) for connection in used]
        return list({item.evidence["what"]: item for item in cut if item}.values())

    def _cut_others(self, rules: RuleSet) -> list[Cut]:
        params = self.params
        groups = {word: params[option] for word, option in GROUP_OPTIONS.items()}
        closed = [closed_of(entry, number, groups) for number, entry in enumerate(params["closed"])]
        mine = self.connection
        found = cuts(rules, self.host.in_force(self.found), self.sockets, self.instances, closed, self._interface_of)
        if mine is None:
            return found
        # The connection in use is told as such.
        return [cut for cut in found if not cut.evidence["what"].startswith(f"tcp {mine.port} from {mine.source} (")]

    def _interface_of(self, address: str) -> str | None:
        """Return the interface over which an address is reached, as the routing of the host has it."""
        code, out, _err = self.run_command(["ip", "-json", "route", "get", address])
        try:
            return str(json.loads(out)[0]["dev"]) if code == 0 else None
        except (ValueError, LookupError, TypeError):
            return None

    # ---- changing ----------------------------------------------------------------------------

    def _load(self, plan: Plan) -> None:
        host, found = self.host, self.found
        try:
            if plan.rules is not None:
                self.changes.diff += self._preview(plan.rules)
            host.install(found)
            if not self.changes.check_mode:
                host.prove(plan.files)
            host.prepare(found)
            previous = dict(found.in_force)
            if found.in_force and self._before() is not None and host.lets_in_no_less(found):
                previous[MEANING] = found.confirmed[MEANING]
            token, seconds = self.params["token"] or "", self.params["confirm_timeout"]
            host.load(found, previous, plan.files, token, seconds, established(self.proc))
            if self.changes.check_mode:
                host.confirm(found, plan.files)
            self.outcome = "loaded"
        except (ChangeError, FirewallError) as exc:
            self.outcome = "refused"
            self.refused.append(evidence("loading the rules", "done", exc))

    def _preview(self, wanted: RuleSet) -> list[dict[str, str]]:
        """Return the rules in force and those wanted as people read them, for the diff."""
        before = self.host.in_force(self.found)
        lines = ["no rules of this role"]
        if before is not None:
            lines = describe(before)
        elif self.found.in_force:
            lines = rules_of_listing(self.found.in_force.get(NFT_FILE, "")) or sorted(self.found.in_force)
        others = [f"besides: {chain.where} (policy {chain.policy})" for chain in self.found.chains]
        shown = {
            "before_header": "firewall rules in force",
            "after_header": "firewall rules wanted",
            "before": "".join(f"{line}\n" for line in [*lines, *others]),
            "after": "".join(f"{line}\n" for line in [*describe(wanted), *others]),
        }
        # Long lists of addresses are cut short above; what differs in them is told here.
        longer = [line for line in diff(before, wanted) if before is not None and line.startswith("~")]
        return [shown, {"prepared": "".join(f"{line}\n" for line in longer)}] if longer else [shown]

    def _confirm(self) -> None:
        """Keep the rules that were loaded, now that a new connection through them has been had.

        Raises:
            ChangeError: it is no new connection, or the rules are no longer in force.

        """
        before = self.params["loaded_over"]
        if self.params["remote"]:
            now = self.connection
            if (
                now is None
                or before is None
                or (now.source, now.source_port) == (before["source"], before["source_port"])
            ):
                raise ChangeError("the rules were not confirmed: this is not a new connection, so it proves nothing")
        wanted = self.host.candidate()
        differing = self.host.in_force_differs(self.found, wanted) if wanted else []
        if differing:
            words = f"{differing[0]['what']}: {differing[0]['actual']}"
            raise ChangeError(f"the rules were not confirmed: those in force are no longer those loaded ({words})")
        if not self.host.stop_timer(self.params["token"] or ""):
            raise ChangeError("the rules were not confirmed: those before had been put back already")
        self.host.confirm(self.found, wanted)
        self.outcome = "confirmed"

    # ---- judging -----------------------------------------------------------------------------

    def _judge(self, due: Plan | None) -> None:
        enforced = self._enforced()
        for control in PUT_RIGHT:
            if not self.findings.judges(control):
                continue
            if due is not None and control in due.controls:
                self._judge_by(control, due)
                continue
            made_for = enforced | {control}
            missing = self._build(made_for).missing
            if missing:
                self._judge_without(control, missing)
            else:
                self._judge_by(control, self._plan(made_for))
        self._judge_listeners()
        if due is not None and due.rules is not None:
            self.rules = describe(due.rules)
            self.notes = [note.text if note.control is None else f"{note.control}: {note.text}" for note in due.notes]

    def _subjects(self, control: str) -> list[dict[str, Any] | None]:
        """Return the instances a control is judged on; those it does not concern are judged here."""
        if control not in OF_INSTANCES:
            return [None]
        subjects: list[dict[str, Any] | None] = []
        for instance in self.instances:
            if instance.get("ports") is None:
                self.findings.add(control, instance["name"], "not_checked", "nobody knows which ports it has")
            elif not self._ports_of(control, instance):
                self.findings.add(control, instance["name"], "not_applicable", NONE_OF[control])
            elif all(is_loopback(entry["address"]) for entry in self._ports_of(control, instance)):
                self.findings.add(control, instance["name"], "pass")  # nobody else reaches it, whatever the rules are
            else:
                subjects.append(instance)
        return subjects

    def _ports_of(self, control: str, instance: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the ports of an instance that a control is about and that are open, or may be."""
        entries = instance.get("ports") or []
        return [entry for entry in entries if entry["from"] in OF_INSTANCES[control] and entry["open"] is not False]

    def _places(self, control: str, instance: dict[str, Any] | None) -> list[tuple[int, str]]:
        """Return number and name of the ports a control is about."""
        if control == SSH:
            return [(port, "ssh") for port in self.ssh]
        if instance is None:
            return []
        return [(entry["port"], entry["name"]) for entry in self._ports_of(control, instance) if entry["port"]]

    def _judge_without(self, control: str, missing: Iterable[Missing]) -> None:
        """Judge a control for which a variable is not set: it is not known who may reach what."""
        names = ", ".join(dict.fromkeys(item.variable for item in missing))
        filters = [chain.where for chain in self.found.chains if chain.filters]
        filters += ["firewalld"] if self.found.firewalld else []
        if self.found.in_force:
            unknown = (
                f"{names} is not set, so that nothing tells whether the rules of this role that are in force are right"
            )
        elif filters:
            others = " and ".join(filters)
            unknown = f"{names} is not set, and the rules of {others}, which filters already, are not read here"
        else:
            unknown = ""
        for instance in self._subjects(control):
            name = None if instance is None else instance["name"]
            if unknown:
                self.findings.add(control, name, "not_checked", unknown)
                continue
            proof = [evidence(item.variable, "set", f"not set: {item.why}") for item in missing]
            proof += self._unlimited(control, instance)
            self.findings.judge(control, name, proof, f"{FLAWS[control]}; to be put right it needs {names}")

    def _unlimited(self, control: str, instance: dict[str, Any] | None) -> list[Evidence]:
        places = self._places(control, instance)
        missing = "no rule of this role limits it"
        found = [evidence(f"tcp {port} ({name})", LIMITED[control], missing) for port, name in places]
        return found or [evidence("inbound traffic", LIMITED[control], missing)]

    def _judge_by(self, control: str, plan: Plan) -> None:
        """Judge a control by how the rules differ from those made for it."""
        for instance in self._subjects(control):
            self._judge_subject(control, instance, plan)

    def _judge_subject(self, control: str, instance: dict[str, Any] | None, plan: Plan) -> None:
        name = None if instance is None else instance["name"]
        opened = self._opened(control, instance, plan)
        differs = [*plan.obstacles, *self._concerning(control, instance, plan), *plan.differences.all, *opened]
        if not differs:
            self.findings.add(control, name, "pass")
            return
        reason = FLAWS[control]
        if opened and len(differs) == len(opened):
            reason = f"open to everybody by a variable: {opened[0]['what']}"
        elif self.found.in_force:
            reason = f"not as it should be: {differs[0]['what']}: {differs[0]['actual']}"
        else:
            # Where there is nothing at all, one line says so.
            differs = differs if self.found.confirmed or self.found.unit_text else plan.obstacles
            differs = [*self._unlimited(control, instance), *differs]
        refused = self.refused if self.findings.enforces(control) else []
        if refused:
            more = f" and {len(refused) - 1} more" if len(refused) > 1 else ""
            reason = f"{reason}; nothing was loaded: {refused[0]['what']}: {refused[0]['actual']}{more}"
        beside = self._beside(plan) if control == DENY else []
        proof = [*refused, *(piece for piece in differs if piece not in refused), *beside]
        self.findings.judge(control, name, proof, reason, repaired=self.outcome == "loaded" and not opened)

    def _opened(self, control: str, instance: dict[str, Any] | None, plan: Plan) -> list[Evidence]:
        """Return rules that leave ports a control is about open to everybody, because somebody has said so."""
        rules = plan.rules.rules if plan.rules is not None else ()
        places = [port for port, _name in self._places(control, instance)]
        return [
            evidence(f"tcp {', '.join(show_ports(rule.ports))} from anybody ({rule.name})", LIMITED[control], "said so")
            for rule in rules
            if rule.sources is None and rule.protocol == "tcp" and any(in_ranges(port, rule.ports) for port in places)
        ]

    def _beside(self, plan: Plan) -> list[Evidence]:
        """Return what somebody should see beside what differs: the rules that come, and those of others that stay."""
        wanted = describe(plan.rules) if plan.rules is not None and not self.found.in_force else []
        comes = [evidence(f"rule: {line}", "in force", "not there") for line in wanted]
        stays = [
            evidence(chain.where, STAYS, f"policy {chain.policy}, filters too")
            for chain in self.found.chains
            if chain.filters
        ]
        return comes + stays

    def _concerning(self, control: str, instance: dict[str, Any] | None, plan: Plan) -> list[Evidence]:
        """Return the differing rules that concern a control: by the id, the group or a port named in them."""
        pieces = plan.differences.rules
        if control == DENY or DENY not in plan.controls:
            return pieces
        ports = {str(port) for port, _name in self._places(control, instance)}
        others = {str(port) for item in self.instances for port, _name in self._places(control, item)} - ports
        words = re.compile(rf"{control}|\b(?:{'|'.join(GROUPS_OF[control])})-v[46]\b")
        found = []
        for piece in pieces:
            numbers = set(re.findall(r"[0-9]+", re.sub(r"^.*?(?: dport | port=)", "", piece["what"])))
            named = " dport " in piece["what"] or " port=" in piece["what"]
            if (named and numbers & ports) or (words.search(piece["what"]) and not (named and numbers & others)):
                found.append(piece)
        return found

    def _judge_listeners(self) -> None:
        services = self.params["services"]
        declared = [Declared(entry["protocol"], parse_ports(entry["ports"], SERVICES)) for entry in services]
        proof = exposed(self.sockets, self.instances, self.ssh, declared)
        if proof:
            more = f" and {len(proof) - 1} more" if len(proof) > 1 else ""
            reason = (
                f"{plural(len(proof), 'listener')} on public addresses nobody has declared: {proof[0]['what']}{more}"
            )
            self.findings.judge(LISTENERS, None, proof, reason)
        elif self.sockets.problems:
            self.findings.add(LISTENERS, None, "not_checked", "; ".join(self.sockets.problems))
        else:
            self.findings.add(LISTENERS, None, "pass")


def is_loopback(address: str | None) -> bool:
    """Whether what is bound to an address, None for all of them, can be reached from the host itself only."""
    try:
        return address is not None and (address == "localhost" or scope_of(address) == "loopback")
    except ValueError:
        return False


def main() -> None:
    """Run the module."""
    flow = {
        "ports": {"type": "list", "elements": "str", "required": True},
        "protocol": {"type": "str", "choices": ["tcp", "udp"], "default": "tcp"},
    }
    name = {"type": "str", "required": True}
    who: dict[str, Any] = {"type": "list", "elements": "str"}
    module = AnsibleModule(
        argument_spec={
            "instances": {"type": "list", "elements": "dict", "required": True},
            "phase": {"type": "str", "choices": ["judge", "load", "confirm"], "default": "judge"},
            "provider": {"type": "str", "choices": ["auto", "nftables", "firewalld"], "default": "auto"},
            "usual_provider": {"type": "str", "choices": ["nftables", "firewalld"], "default": "nftables"},
            "admin_networks": who,
            "proxy_addresses": who,
            "cluster_peers": who,
            "agents": who,
            "users": {**who, "default": ["any"]},
            "services": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {"name": name, **flow, "from": {**who, "required": True}},
            },
            "closed": {"type": "list", "elements": "dict", "default": [], "options": {**flow, "from": who}},
            "trusted_interfaces": {"type": "list", "elements": "str", "default": []},
            "outbound": {
                "type": "list",
                "elements": "dict",
                "options": {"name": name, **flow, "to": {**who, "required": True}},
            },
            "confirm_timeout": {"type": "int", "default": 60},
            "unresolved": {"type": "list", "elements": "dict", "default": []},
            "remote": {"type": "bool", "default": True},
            "token": {"type": "str", "no_log": False},
            "loaded_over": {"type": "dict"},
            "setback": {"type": "str"},
            **CONTROL_ARGUMENTS,
            **RECORD_ARGUMENTS,
        },
        supports_check_mode=True,
    )
    findings = Findings(module.params, CONTROLS, module.check_mode)
    changes = Changes.of(module)
    msg = ""
    if module.params["confirm_timeout"] < SHORTEST_TIMEOUT:
        module.fail_json(msg=f"confirm_timeout: fewer than {SHORTEST_TIMEOUT} seconds are too few for a new connection")
    firewall = Firewall(module.params, findings, changes, module.run_command)
    try:
        firewall.run()
    except (ChangeError, FirewallError, RulesError) as exc:
        msg = str(exc)
    found = firewall.found
    for warning in firewall.host.warnings:
        module.warn(warning)
    changes.exit(
        module,
        msg,
        dc_findings=findings.results,
        provider=found.provider,
        rules=firewall.rules,
        notes=firewall.notes,
        refused=firewall.refused,
        declarations=firewall.declarations,
        other_filters=[f"{chain.where} (policy {chain.policy})" for chain in found.chains if chain.filters],
        connection=dataclasses.asdict(firewall.connection) if firewall.connection else None,
        confirm_timeout=module.params["confirm_timeout"],
        outcome=firewall.outcome,
    )


if __name__ == "__main__":
    main()
