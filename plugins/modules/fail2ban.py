#!/usr/bin/python
# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: fail2ban
short_description: Judge and set whose failed logins are banned on a host with Data Center products
version_added: 0.3.0
description:
  - Judges whether fail2ban bans repeated failed logins to the products (V(DC-BRU-01)) and to SSH (V(DC-BRU-02)), and
    that neither proxies, peers and administrators nor an address that somebody made up can be banned (V(DC-BRU-04)). A
    control passes only if the server that runs and what the next boot would bring are right.
  - Installs fail2ban, writes jails and filters of its own and has the server load them. Jails of others stay.
  - Nothing is replaced before fail2ban has accepted a copy of the whole configuration. What is broken in files of
    others is reported, and fail2ban is left running as it is.
options:
  packages:
    description: What has to be installed. Undefined, the names of this operating system are not known.
    type: list
    elements: str
  products:
    description:
      - What is known of the failed logins of products, by name. C(failed_logins) lists how they are logged,
        C(login_paths) where people log in.
      - Filled in by the action plugin from product data.
    type: dict
  admin_networks:
    description:
      - Networks and addresses of administrators, never banned.
      - Here and in all other lists of addresses undefined means that nobody has said, and an empty list that there are
        none. Names are resolved by the action plugin, those of the inventory through C(ansible_host).
    type: list
    elements: str
  proxy_addresses:
    description:
      - Addresses of the reverse proxies, never banned and believed about whom they speak for. An empty list says that
        users reach the products without one.
    type: list
    elements: str
  cluster_peers:
    description: Addresses of the other nodes of a cluster, never banned.
    type: list
    elements: str
  ignore:
    description: Further networks that are never banned.
    type: list
    elements: str
    default: []
  max_failures:
    description: Failed logins to a product from one address that are too many.
    type: int
    default: 5
  ssh_max_failures:
    description: The same for SSH.
    type: int
    default: 5
  find_time:
    description: Seconds within which they are.
    type: int
    default: 600
  ban_time:
    description: Seconds of the first ban; each further one of an address is twice as long.
    type: int
    default: 3600
  max_ban_time:
    description: Seconds of the longest ban.
    type: int
    default: 604800
  access_logs:
    description:
      - Access logs of a reverse proxy on this host, in the combined format. Undefined, the usual places of nginx and
        Apache where O(proxy_addresses) names this host.
    type: list
    elements: dict
    suboptions:
      path:
        description: Where it lies; shell patterns are allowed.
        type: str
        required: true
      ports:
        description: Ports of the proxy. Undefined, those it listens on.
        type: list
        elements: int
  relays:
    description:
      - Hosts of reverse proxies that are told whom to ban by module M(atlassian_dc.hardening.fail2ban_relay), and their
        addresses.
      - The action plugin makes these of names of the inventory, and adds the addresses in O(relay_results).
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the host in the inventory.
        type: str
        required: true
      addresses:
        description: Its addresses.
        type: list
        elements: str
        default: []
  relay_results:
    description:
      - What phase V(proxy) of module M(atlassian_dc.hardening.fail2ban_relay) has returned for each of them. The action
        plugin takes their further addresses from it.
    type: list
    elements: dict
    default: []
  unresolved:
    description:
      - Names that could not be resolved, each with the variable it is in. Nothing is changed then.
      - Filled in by the action plugin.
    type: list
    elements: dict
    default: []
extends_documentation_fragment:
  - atlassian_dc.hardening.attributes
  - atlassian_dc.hardening.controls
  - atlassian_dc.hardening.instances
  - atlassian_dc.hardening.record
seealso:
  - name: Fail2ban
    description: How failed logins become bans, and where everything lies.
    link: https://github.com/atlassian-dc-hardening/atlassian_dc.hardening/blob/main/docs/fail2ban.md
author:
  - the atlassian_dc.hardening contributors (@atlassian-dc-hardening)
"""

EXAMPLES = r"""
- name: Ban whoever guesses passwords of products and of SSH
  atlassian_dc.hardening.fail2ban:
    instances: "{{ ansible_facts.atlassian_dc.instances }}"
    packages: [nftables, python3-systemd, fail2ban]
    admin_networks: [192.0.2.0/26, "2001:db8:1::/64"]
    proxy_addresses: [192.0.2.80]
    cluster_peers: [node1, node2]
    ban_time: 7200
  tags: [DC-BRU-01, DC-BRU-02, DC-BRU-04]
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
jails:
  description: Jails of this collection that the host should have.
  returned: always
  type: list
  elements: str
  sample: [atlassian-dc-jira-security, sshd]
refused:
  description: What keeps jails from being set up. Each entry says what has to be done.
  returned: always
  type: list
  elements: dict
  sample:
    - what: fail2ban.service
      expected: can be started
      actual: "masked; allow it with: systemctl unmask fail2ban.service"
"""

import dataclasses
import os
import re
import tempfile
import time
from collections.abc import Iterable
from typing import Any, Callable

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._changes import ChangeError, Changes
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._fail2ban import FOLDER, SERVICE
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._fail2ban_dump import (
    ACTION,
    JailDump,
    Running,
    differences,
    flaws_of_sshd,
    items,
    merged,
    not_covered,
    stray,
    unread,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._fail2ban_host import (
    NO_FILE,
    PROBE,
    Fail2banHost,
    Found,
    Trial,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._fail2ban_jails import (
    DEFAULTS,
    EMPTY_LOG,
    LOGS_SERVICE,
    OFF,
    PRODUCTS,
    SERVER,
    SSHD,
    SSHD_JAIL,
    Jail,
    JailsError,
    Limits,
    Product,
    filter_files,
    networks_of,
    product_jails,
    proxy_jail,
    render_defaults,
    render_jails,
    render_server,
    render_watcher,
    sshd_jail,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._fail2ban_relay import (
    ACTION as RELAY_ACTION,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._fail2ban_relay import (
    jail_actions,
    render_action,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._findings import (
    CONTROL_ARGUMENTS,
    Evidence,
    Findings,
    evidence,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._firewall_rules import (
    RulesError,
    parse_networks,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._recorder import RECORD_ARGUMENTS
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._sockets import (
    connection_in_use,
    own_addresses,
    read_sockets,
    scope_of,
    ssh_ports,
)

LOGINS = "DC-BRU-01"
SSH = "DC-BRU-02"
NEVER = "DC-BRU-04"
CONTROLS = (LOGINS, SSH, NEVER)

ADMINS = "atlassian_dc_admin_networks"
PROXIES = "atlassian_dc_proxy_addresses"
PEERS = "atlassian_dc_cluster_peers"
IGNORE = "atlassian_dc_fail2ban_ignore"
NEEDS = {
    LOGINS: {"proxy_addresses": PROXIES},
    SSH: {"admin_networks": ADMINS},
    NEVER: {"proxy_addresses": PROXIES, "admin_networks": ADMINS},
}
"""Options that controls need, and the variables that set them."""

RELAY = f"action.d/{RELAY_ACTION}.conf"

FLAWS = {
    LOGINS: "repeated failed logins are not banned",
    SSH: "repeated failed SSH logins are not banned",
    NEVER: "who must never be banned can be",
}

PROXY_SERVERS = ("nginx", "apache2", "httpd", "haproxy")
ACCESS_LOGS = ("/var/log/nginx/access.log", "/var/log/apache2/access.log", "/var/log/httpd/access_log")
"""Where nginx and Apache write the combined format unless somebody has told them otherwise."""

OF_SSHD = (
    *("maxretry", "findtime", "bantime", "bantime.increment", "bantime.maxtime", "bantime.rndtime"),
    *("usedns", "ignoreself", "ignorecommand", "addignoreip", "addjournalmatch"),
)
"""What our jail of SSH sets; the filter is fail2ban's, and may be made stricter by others."""
OF_ADDRESSES = ("addfailregex", "addignoreregex", "prefregex", "datepattern", "usedns", "maxlines")
"""What decides whose address is taken from a line."""

PATIENCE = 3
"""Seconds after which a new log is read for sure."""

RunCommand = Callable[..., "tuple[int, str, str]"]
Wanted = dict[str, "str | None"]
"""Files by name as they should be, None for those that should be absent."""


@dataclasses.dataclass
class State:
    """What is on the host, and what our files come to there."""

    found: Found
    trial: Trial = dataclasses.field(default_factory=Trial)
    running: Running = dataclasses.field(default_factory=Running)
    unreadable: str = ""
    """Why fail2ban cannot read the configuration."""


class Fail2ban:
    """Judges the fail2ban of one host and puts it right.

    Args:
        params: the module's parameters.
        findings: where to put what was found.
        changes: through which to change things.
        run_command: to ask the system's tools.
        scratch: folder for copies of the configuration.
        root: folder that stands for ``/``; anything but ``/`` only in tests.

    """

    def __init__(
        self,
        params: dict[str, Any],
        findings: Findings,
        changes: Changes,
        run_command: RunCommand,
        scratch: str,
        root: str = "/",
    ) -> None:
        self.params = params
        self.findings = findings
        self.changes = changes
        self.host = Fail2banHost(run_command, changes, scratch, root)
        self.instances: list[dict[str, Any]] = params["instances"]
        self.refused: list[Evidence] = []
        proc = "/proc" if root == "/" else f"{root}/proc"
        self.connection = connection_in_use(proc)
        self.sockets = read_sockets(proc, run_command)
        self.ssh = ssh_ports(self.sockets, self.connection)
        self.own, _broadcast = own_addresses(proc, [])
        self.products = {
            name: Product(name, None if known["failed_logins"] is None else tuple(known["failed_logins"]))
            for name, known in (params["products"] or {}).items()
        }
        limits = {option: params[option] for option in ("find_time", "ban_time", "max_ban_time")}
        self.limits = Limits(failures=params["max_failures"], **limits)
        self.ssh_limits = Limits(failures=params["ssh_max_failures"], **limits)
        lists = {ADMINS: "admin_networks", PROXIES: "proxy_addresses", PEERS: "cluster_peers", IGNORE: "ignore"}
        networks = {variable: params[option] for variable, option in lists.items()}
        self.networks = networks_of(networks, self.own, params["proxy_addresses"])
        self.unwritable: dict[str, str] = {}
        """Why an instance has no jail, by its name."""
        self.jails = self._jails() if params["proxy_addresses"] is not None else []
        self.sshd = sshd_jail(self.ssh or [22], self.networks, self.ssh_limits)
        self.state = State(self._look())
        self.new = not self.state.found.installed
        """Whether what the package brings would be enabled by this run only."""

    # ---- run ---------------------------------------------------------------------------------

    def run(self) -> None:
        """Judge, and put right what may be."""
        if not self.instances:
            # Somebody else's host, which only happens to be in the inventory.
            for control in CONTROLS:
                self.findings.add(control, None, "not_applicable", "no product was found on this host")
            return
        if self.params["packages"] is None:
            for control in CONTROLS:
                self._tell_all(control, "not_checked", "nobody knows what fail2ban is called on this operating system")
            return
        self.state = self._examine(self.state.found)
        before = {subject: self._drift(*subject) for subject in self._subjects()}
        due = [control for (control, _name), drift in before.items() if drift and self.findings.enforces(control)]
        after = before
        if due:
            self._put_right()
            if not self.refused and not self.changes.check_mode:
                self.state = self._examine(self._look())
                after = {subject: self._drift(*subject) for subject in before}
        for subject, drift in before.items():
            self._tell(subject, drift, after[subject])

    def _look(self) -> Found:
        return self.host.look(self.params["packages"] or [], [*filter_files(self.jails), RELAY])

    def _examine(self, found: Found) -> State:
        state = State(found)
        if not found.installed:
            return state
        try:
            state.trial = self.host.try_out(self._overlaid(found, filter(self.findings.judges, CONTROLS)))
        except ChangeError as exc:
            state.unreadable = str(exc)
        if found.active:
            asked = {**state.trial.together.jails, SSHD_JAIL: None}
            state.running = self.host.ask(asked)
            if any(unread(dump, state.running.jails.get(name)) for name, dump in state.trial.together.jails.items()):
                # A log that has come up just now is about to be read.
                time.sleep(PATIENCE)
                state.running = self.host.ask(asked)
        return state

    def _subjects(self) -> list[tuple[str, str | None]]:
        """Return the controls that are judged, each with the instance; those that cannot be are told here."""
        subjects: list[tuple[str, str | None]] = []
        for control in CONTROLS:
            if not self.findings.judges(control):
                continue
            if control != LOGINS:
                subjects.append((control, None))
                continue
            for instance in self.instances:
                name, product = instance["name"], self.products.get(instance["product"])
                sources = None if product is None else product.sources
                if sources is not None and not sources:
                    self.findings.add(control, name, "not_applicable", "nobody logs in to it")
                elif sources is None and not any(jail.instance is None for jail in self.jails):
                    self.findings.add(control, name, "not_checked", "nobody tells how it logs failed logins")
                else:
                    subjects.append((control, name))
        return subjects

    def _tell_all(self, control: str, status: str, reason: str) -> None:
        for name in [instance["name"] for instance in self.instances] if control == LOGINS else [None]:
            self.findings.add(control, name, status, reason)

    def _tell(self, subject: tuple[str, str | None], before: list[Evidence], after: list[Evidence]) -> None:
        control, name = subject
        drift = after or before
        reason = FLAWS[control]
        if drift:
            reason = f"{reason}: {drift[0]['what']}: {drift[0]['actual']}"
        refused = self.refused if self.findings.enforces(control) else []
        if refused and before:
            reason = f"{reason}; not put right: {refused[0]['what']}: {refused[0]['actual']}"
            drift = [*refused, *(piece for piece in drift if piece not in refused)]
        self.findings.judge(control, name, drift, reason, repaired=not after)

    # ---- what is wanted ----------------------------------------------------------------------

    def _jails(self) -> list[Jail]:
        """Return the jails of the products, and of a reverse proxy on this host."""
        logs, ports = self._access_logs()
        jails: list[Jail] = []
        for instance in self.instances:
            product = self.products.get(instance["product"])
            try:
                if product is not None:
                    made = product_jails(instance, product, self.networks, self.limits, ports)
                    twice = {jail.name for jail in jails} & {jail.name for jail in made}
                    if twice:
                        raise JailsError(f"jail {min(twice)} is another instance's; give one of them another name")
                    jails += made
            except JailsError as exc:
                self.unwritable[instance["name"]] = str(exc)
        paths = {
            name: [path["path"] for path in known["login_paths"] or ()]
            for name, known in (self.params["products"] or {}).items()
            if any(instance["product"] == name for instance in self.instances)
        }
        if logs and any(paths.values()):
            jails.append(proxy_jail(logs, ports, paths, self.networks, self.limits))
        told = tuple(jail_actions(relay["name"] for relay in self.params["relays"]))
        return [dataclasses.replace(jail, actions=told) for jail in jails]

    def _access_logs(self) -> tuple[list[str], list[int]]:
        """Return the access logs of a reverse proxy on this host, and its ports; none where there is none."""
        declared = self.params["access_logs"]
        if declared is None and not self._is_proxy():
            return [], []
        listening = sorted(
            listener.port
            for listener in self.sockets.listeners
            if listener.process in PROXY_SERVERS and listener.protocol == "tcp" and listener.scope != "loopback"
        )
        ports = {port for entry in declared or () for port in entry.get("ports") or ()} or set(listening) or {80, 443}
        usual = [path for path in ACCESS_LOGS if os.path.exists(self.host.real(path))]
        return usual if declared is None else [entry["path"] for entry in declared], sorted(ports)

    def _is_here(self, address: str) -> bool:
        return address in self.own or ("/" not in address and scope_of(address) == "loopback")

    def _is_proxy(self) -> bool:
        return any(self._is_here(address) for address in self._proxies())

    def _proxies(self) -> tuple[str, ...]:
        return parse_networks(self.params["proxy_addresses"] or [], PROXIES) or ()

    def _missing(self, control: str) -> list[str]:
        """Return the variables that a control needs and that are not set."""
        return [variable for option, variable in NEEDS[control].items() if self.params[option] is None]

    def _wanted(self, control: str, found: Found) -> Wanted:
        """Return the files of a control as they should be; empty where that is not known."""
        if self._missing(control):
            return {}
        if control == NEVER:
            return {DEFAULTS: render_defaults(merged(found.ignore, self.networks.ignore))}
        if control == SSH:
            return {SSHD: None if self._others_serve(found) else render_jails([self.sshd]), **self._server()}
        if not self.jails:
            return {}
        files = {EMPTY_LOG: "", **filter_files(self.jails), PRODUCTS: render_jails(self.jails)}
        if self.params["relays"]:
            files[RELAY] = render_action()
        return {**files, **render_watcher(self.jails), **self._server()}

    def _server(self) -> Wanted:
        return {SERVER: render_server(self.limits)}

    def _others_serve(self, found: Found) -> bool:
        """Whether somebody has made a jail of SSH that works."""
        return bool(found.sshd_by) and not flaws_of_sshd(found.base.jails.get(SSHD_JAIL), self.ssh)

    def _files(self, found: Found, controls: Iterable[str]) -> Wanted:
        """Return the files as they would be with these controls put right."""
        files: Wanted = {}
        for control in controls:
            if control != SSH or not self._locks_out():
                files.update(self._wanted(control, found))
        default = found.base.jails.get(SSHD_JAIL)
        useless = default is not None and bool(flaws_of_sshd(default, ()))
        if SSHD not in files and SSHD not in found.files and not found.sshd_by and (self.new or useless):
            files[SSHD] = OFF
        return files

    def _overlaid(self, found: Found, controls: Iterable[str]) -> dict[str, str]:
        """Return all files of ours below the folder of fail2ban as they would be then."""
        files = {**found.files, **self._files(found, controls)}
        return {name: text for name, text in files.items() if text is not None and self.host.is_read(name)}

    # ---- changing ----------------------------------------------------------------------------

    def _locks_out(self) -> list[Evidence]:
        """Return why the jail of SSH must not be enabled: it could ban whoever is at work here."""
        connection = self.connection
        if connection is None or self.params["admin_networks"] is None:
            return []
        if not not_covered([connection.source], self.networks.ignore):
            return []
        actual = f"{connection.source}, which is in none of them; the jail is not enabled"
        return [evidence("the SSH connection in use", f"from {ADMINS}", actual)]

    def _refuse(self) -> None:
        """Note what is against changing anything."""
        for entry in self.params["unresolved"]:
            what = f"{entry['name']} in {entry['variable']}"
            self.refused.append(evidence(what, "a name the controller can resolve", entry["why"]))
        if self.networks.everybody:
            self.refused.append(evidence(self.networks.everybody, "networks", "any: nobody could ever be banned"))
        if self.state.found.service.get("LoadState") == "masked":
            how = f"masked by somebody; allow it with: systemctl unmask {SERVICE}"
            self.refused.append(evidence(SERVICE, "can be started", how))
        self.refused += [piece for piece in self._unread(self.jails) if piece["actual"] == NO_FILE]

    def _put_right(self) -> None:
        found = self.state.found
        self._refuse()
        if self.refused:
            return
        enforced = [control for control in CONTROLS if self.findings.enforces(control)]
        try:
            self.host.install(found)
            if not self.changes.check_mode and found.missing:
                # What the package has brought has a say in what is wanted; it is not running yet.
                found = self._look()
            files = self._files(found, enforced)
            if found.installed:
                self.host.prove(self._overlaid(found, enforced))
            self.host.put(found, files, bool(self._astray()), self._moved())
            if not self.changes.check_mode:
                jails = self.jails if files.get(PRODUCTS) else []
                self.host.wait([jail.name for jail in jails])
        except ChangeError as exc:
            self.refused.append(evidence("setting up fail2ban", "done", exc))

    def _moved(self) -> list[str]:
        """Return the jails that run and whose ports change: what was set up for the first ban stays otherwise."""
        found = []
        for jail in self.jails:
            port = self.state.running.jails.get(jail.name, {}).get(f"action {ACTION} port", "")
            if jail.ports and re.fullmatch(r"[0-9,]+", port) and port != ",".join(map(str, jail.ports)):
                found.append(jail.name)
        return found

    # ---- judging -----------------------------------------------------------------------------

    def _drift(self, control: str, name: str | None) -> list[Evidence]:
        """Return what is not as it should be."""
        drift = [evidence(variable, "set", "not set") for variable in self._missing(control)]
        drift += self._idle()
        if self.networks.everybody:
            drift.append(evidence(self.networks.everybody, "networks", "any: nobody can ever be banned"))
        if self.state.unreadable:
            return [*drift, evidence(FOLDER, "fail2ban can read it", self.state.unreadable)]
        if control == SSH and self._locks_out() and not self._others_serve(self.state.found):
            return drift + self._locks_out()
        drift += self._differing(self._wanted(control, self.state.found)) + self._forgotten(control)
        if control == NEVER:
            return drift + self._bannable()
        if control == SSH:
            return drift + self._of_sshd()
        jails = [jail for jail in self.jails if jail.instance in (name, None)]
        if name in self.unwritable:
            drift.append(evidence(f"jails of {name}", "can be written", self.unwritable[str(name)]))
        elif not jails and not self._missing(control):
            drift.append(evidence(f"logs of {name}", "in a known folder", "nobody knows where they lie"))
        for jail in jails:
            drift += self._of_jail(jail)
        return drift + self._beyond() + self._unread(jails) + self._unwatched(jails)

    def _idle(self) -> list[Evidence]:
        """Return what keeps fail2ban from running, now and after the next boot."""
        found = self.state.found
        idle = [evidence(f"package {name}", "installed", "absent") for name in reversed(found.missing)]
        if not found.installed:
            return idle or [evidence("fail2ban", "installed", "its client is absent")]
        for name in self.state.trial.together.logless:
            by = self.host.said_by(name)
            idle.append(
                evidence(f"jail {name}", "reads a log that exists", f"none is there: no start of fail2ban works ({by})")
            )
        if found.service.get("LoadState") == "masked":
            return [*idle, evidence(SERVICE, "enabled and running", "masked")]
        if not found.active:
            result = found.service.get("Result", "success")
            state = found.service.get("ActiveState") or "not known to systemd"
            idle.append(evidence(SERVICE, "running", state if result == "success" else f"{state} ({result})"))
        if not found.enabled:
            state = found.service.get("UnitFileState") or "not enabled"
            idle.append(evidence(SERVICE, "started at boot", state))
        return idle

    def _differing(self, wanted: Wanted) -> list[Evidence]:
        found, drift = self.state.found, []
        for name, text in wanted.items():
            there = found.files.get(name)
            if there != text:
                expected = "absent" if text is None else "as this role writes it"
                actual = "absent" if there is None else "there" if text is None else "other content"
                drift.append(evidence(self.host.path_of(name), expected, actual))
        return drift

    def _forgotten(self, control: str) -> list[Evidence]:
        """Return what has the server forget bans before they end, so that a restart ends them."""
        wanted, actual = (dump.server.get("dbpurgeage") for dump in (self.state.trial.alone, self.state.trial.together))
        if control == NEVER or wanted == actual:
            return []
        return [
            evidence("dbpurgeage of fail2ban", wanted, f"{actual} (overridden by a file below {FOLDER}/fail2ban.d)")
        ]

    def _of_jail(self, jail: Jail, options: Iterable[str] | None = None) -> list[Evidence]:
        """Return how a jail of ours differs: where others override it, and where the server runs something else."""
        trial, found = self.state.trial, self.state.found
        if not found.installed:
            return []
        alone, together = trial.alone.jails.get(jail.name), trial.together.jails.get(jail.name)
        if alone is None:
            return []  # not written yet
        if together is None:
            return [evidence(f"jail {jail.name}", "enabled", f"disabled by {self.host.said_by(jail.name, 'enabled')}")]
        drift = []
        for option, expected, actual in differences(alone, together, options):
            by = self.host.said_by(jail.name, option.removeprefix("add"))
            drift.append(evidence(f"jail {jail.name}: {option}", expected, f"{actual} (overridden by {by})"))
        return drift + self._of_running(jail.name, together)

    def _of_running(self, name: str, dump: JailDump) -> list[Evidence]:
        if not self.state.found.active:
            return []
        answers = self.state.running.jails.get(name)
        if answers is None:
            return [evidence(f"jail {name}", "running", "the server does not have it")]
        return [
            evidence(f"running jail {name}: {question}", expected, actual)
            for question, expected, actual in stray(dump, answers)
        ]

    def _astray(self) -> list[Evidence]:
        """Return where the server runs something else than the files say, in jails of ours or about who is ignored."""
        own = {jail.name for jail in (*self.jails, self.sshd)}
        found = []
        for name, dump in self.state.trial.together.jails.items():
            if name in own:
                found += self._of_running(name, dump)
            elif self.findings.enforces(NEVER) and not not_covered(self.networks.ignore, dump.ignore):
                found += self._bans(name)
        return found

    def _of_sshd(self) -> list[Evidence]:
        found = self.state.found
        if not found.installed:
            return []
        if not self._others_serve(found):
            return [] if self._missing(SSH) else self._of_jail(self.sshd, OF_SSHD)
        dump = found.base.jails[SSHD_JAIL]
        flaws = [evidence(*flaw) for flaw in flaws_of_sshd(dump, self.ssh)]
        if found.active and SSHD_JAIL not in self.state.running.jails:
            flaws.append(evidence(f"jail {SSHD_JAIL}", "running", "the server does not have it"))
        return flaws

    def _bannable(self) -> list[Evidence]:
        """Return the jails, of whomever, that may ban who must never be banned."""
        trial, drift = self.state.trial, []
        for name, dump in trial.together.jails.items():
            if name == PROBE:
                continue
            missing = not_covered(self.networks.ignore, dump.ignore)
            if missing:
                by = self.host.said_by(name, "ignoreip")
                drift.append(evidence(f"jail {name}", f"ignores {', '.join(missing)}", f"may ban them, by {by}"))
            else:
                drift += self._bans(name)
        filters = {f: text for f, text in filter_files(self.jails).items() if f in self.state.found.files}
        drift += self._differing(dict(filters))
        for jail in self.jails:
            alone, together = trial.alone.jails.get(jail.name), trial.together.jails.get(jail.name)
            if alone and together:
                for option, expected, actual in differences(alone, together, OF_ADDRESSES):
                    by = self.host.said_by(jail.name, option.removeprefix("add"))
                    drift.append(evidence(f"jail {jail.name}: {option}", expected, f"{actual} (overridden by {by})"))
        return drift

    def _bans(self, name: str) -> list[Evidence]:
        """Return who may be banned by a jail as it runs."""
        answers = self.state.running.jails.get(name)
        left = not_covered(self.networks.ignore, items(answers.get("ignoreip", ""))) if answers else []
        return [evidence(f"running jail {name}", f"ignores {', '.join(left)}", "may ban them")] if left else []

    def _beyond(self) -> list[Evidence]:
        """Return the reverse proxies on other hosts that nobody tells whom to ban: here a ban has no effect on them."""
        told = {address for relay in self.params["relays"] for address in relay["addresses"]}
        return [
            evidence(
                f"reverse proxy {address}",
                "bans who failed to log in here",
                "is elsewhere, and no host of atlassian_dc_proxy_hosts: a ban here does nothing",
            )
            for address in self._proxies()
            if not self._is_here(address) and address not in told
        ]

    def _unread(self, jails: list[Jail]) -> list[Evidence]:
        """Return the logs that fail2ban cannot read."""
        patterns = dict.fromkeys(pattern for jail in jails for pattern in jail.logs)
        return [
            evidence(what, "a log that root can read", why)
            for pattern in patterns
            for what, why in self.host.unreadable(pattern)
        ]

    def _unwatched(self, jails: list[Jail]) -> list[Evidence]:
        """Return what keeps new files of logs from being read."""
        found = self.state.found
        if LOGS_SERVICE not in found.files or not any(jail.logs for jail in jails):
            return []
        state = f"{found.watcher.get('ActiveState') or 'unknown'}, {found.watcher.get('UnitFileState') or 'unknown'}"
        return [] if state == "active, enabled" else [evidence(LOGS_SERVICE, "active, enabled", state)]


def main() -> None:
    """Run the module."""
    networks: dict[str, Any] = {"type": "list", "elements": "str"}
    module = AnsibleModule(
        argument_spec={
            "instances": {"type": "list", "elements": "dict", "required": True},
            "packages": {"type": "list", "elements": "str"},
            "products": {"type": "dict"},
            "admin_networks": networks,
            "proxy_addresses": networks,
            "cluster_peers": networks,
            "ignore": {**networks, "default": []},
            "max_failures": {"type": "int", "default": 5},
            "ssh_max_failures": {"type": "int", "default": 5},
            "find_time": {"type": "int", "default": 600},
            "ban_time": {"type": "int", "default": 3600},
            "max_ban_time": {"type": "int", "default": 604800},
            "access_logs": {
                "type": "list",
                "elements": "dict",
                "options": {
                    "path": {"type": "str", "required": True},
                    "ports": {"type": "list", "elements": "int"},
                },
            },
            "relays": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "name": {"type": "str", "required": True},
                    "addresses": {"type": "list", "elements": "str", "default": []},
                },
            },
            "relay_results": {"type": "list", "elements": "dict", "default": []},
            "unresolved": {"type": "list", "elements": "dict", "default": []},
            **CONTROL_ARGUMENTS,
            **RECORD_ARGUMENTS,
        },
        supports_check_mode=True,
    )
    findings = Findings(module.params, CONTROLS, module.check_mode)
    changes = Changes.of(module)
    msg, jails, refused = "", [], []
    try:
        # Ansible's own temporary folder would be made below the home of root.
        with tempfile.TemporaryDirectory(prefix="atlassian-dc-fail2ban-") as scratch:
            fail2ban = Fail2ban(module.params, findings, changes, module.run_command, scratch)
            fail2ban.run()
        jails = [jail.name for jail in (*fail2ban.jails, fail2ban.sshd)]
        refused = fail2ban.refused
    except (ChangeError, JailsError, RulesError) as exc:
        msg = str(exc)
    changes.exit(module, msg, dc_findings=findings.results, jails=jails, refused=refused)


if __name__ == "__main__":
    main()
