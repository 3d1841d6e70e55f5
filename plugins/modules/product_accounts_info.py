#!/usr/bin/python
# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: product_accounts_info
short_description: Tell who administers Data Center products, who uses them no more, and which tokens never end
version_added: 0.5.0
description:
  - Returns the administrators of each given instance with the route by which they are, and the personal access tokens
    that have no end or live too long, where an administrator may see those of others; and the accounts nobody uses,
    where the product tells when they were used last.
  - Members of groups in these groups count, where a source says how to ask for them.
  - An instance is asked for 180 pages of lists at most. Of a list that goes on after that, nothing passes.
  - Judges from that whether they are few, have names of their own and are the declared ones.
  - Only reads.
options:
  admin_groups:
    description:
      - Names of all groups whose members administer a product, by name of the instance or product.
      - Undefined, the product is asked which they are. Where no source tells how, the groups that the product makes
        itself are looked at. That there are no others nobody can tell then, so that nothing passes.
    type: dict
  administrators:
    description:
      - Names of the accounts that may be in these groups. Undefined, V(DC-ADM-05) cannot be judged.
    type: list
    elements: str
  max_administrators:
    description: Most accounts that administer a product.
    type: int
    default: 5
  guessable_names:
    description: Names of accounts that are guessed first, or that several people use, as shell patterns in lower case.
    type: list
    elements: str
    default: [admin, administrator, root, sysadmin, test, "*-admin", "admin-*"]
  token_days:
    description: Days for which a personal access token may be valid.
    type: int
    default: 90
  idle_days:
    description: Days after which an account that nobody has logged in with should be off.
    type: int
    default: 90
extends_documentation_fragment:
  - atlassian_dc.hardening.attributes
  - atlassian_dc.hardening.attributes.info_module
  - atlassian_dc.hardening.controls
  - atlassian_dc.hardening.instances
  - atlassian_dc.hardening.product_rest
author:
  - the atlassian_dc.hardening contributors (@atlassian-dc-hardening)
seealso:
  - module: atlassian_dc.hardening.product_settings_info
"""

EXAMPLES = r"""
- name: See who administers the products
  atlassian_dc.hardening.product_accounts_info:
    instances: "{{ ansible_facts.atlassian_dc.instances }}"
    credentials: "{{ atlassian_dc_credentials }}"
  register: read

- name: Show them
  ansible.builtin.debug:
    msg: "{{ read.accounts.jira.administrators | map(attribute='name') | list }}"
"""

RETURN = r"""
accounts:
  description: By name of the instance, what is known.
  returned: always
  type: dict
  sample:
    jira:
      administrators: [{name: alice, active: true, groups: [jira-administrators]}]
      complete: false
      tokens: 31
      accounts: 412
      idle: [{name: dora, last: never}]
      passwords: [{name: robot, last: "2026-11-28", path: /rest/api/2/search}]
      long_tokens: [{name: nightly, owner: robot, created: "2024-01-02", expires: never, used: ""}]
      problems: []
  contains:
    administrators:
      description:
        - Accounts that administer it, C(name), C(active) and the C(groups) that make them administrators. At most 1000.
      type: list
      elements: dict
    complete:
      description: Whether these are all, as the product or O(admin_groups) says.
      type: bool
    tokens:
      description: How many personal access tokens there are; null where that is not known.
      type: int
    long_tokens:
      description: Those without an end, or valid for longer than O(token_days) from now on. At most 1000.
      type: list
      elements: dict
    accounts:
      description: How many active accounts there are; null where nobody can tell when they were used last.
      type: int
    idle:
      description:
        - Those of them that nobody has used for O(idle_days), and the day on which they were used last. At most 1000.
      type: list
      elements: dict
    passwords:
      description:
        - Accounts that have used a password over REST within 30 days, as the log of Jira on the host tells, with the
          day and the path of the last time. Read only where DC-AUT-10 is judged.
      type: list
      elements: dict
    problems:
      description: What could not be found out, and why.
      type: list
      elements: str
dc_findings:
  description: What was found for each control and instance.
  returned: always
  type: list
  elements: dict
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
  sample: {jira: 4}
"""

import datetime
import fnmatch
import os
import time
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Callable

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._files import read_regular
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._findings import (
    CONTROL_ARGUMENTS,
    Evidence,
    Findings,
    evidence,
    plural,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._product_logs import (
    SUCCEEDED,
    LogError,
    parse_log,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._rest import Allowance, PageForm, RestError
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._settings_places import (
    CONNECTION_ARGUMENTS,
    Product,
    asked,
    products_of,
    side_by_side,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._settings_values import concerns

FEW = "DC-ADM-03"
OWN_NAMES = "DC-ADM-04"
DECLARED = "DC-ADM-05"
TOKENS = "DC-AUT-04"
IDLE = "DC-AUT-05"
PASSWORDS = "DC-AUT-10"
CONTROLS = (FEW, OWN_NAMES, DECLARED, TOKENS, IDLE, PASSWORDS)

MAX_LISTED = 1000
"""Most administrators, tokens or accounts that are kept: whoever has more has a finding already."""
MAX_NAME = 200
DAY = 86400
ADMINISTRATOR_PAGES = 50
TOKEN_PAGES = 70
LOGIN_PAGES = 60
"""Most pages that are asked for: with what the settings take, an instance is asked less than 200 times in all."""
MOMENTS = 10**14
"""Milliseconds since 1970 that a time has at most; what is beyond is none."""
NEVER = "9999"
"""What the end of a token without one begins with."""

UNSOURCED = {
    TOKENS: "no source tells how to ask it for the tokens of others",
    IDLE: "no source tells how to ask it when accounts were used last; see the directory they come from",
    PASSWORDS: "who used a password over REST no source tells how to ask; see the access log of the product",
}
"""Why a control cannot be judged on products of which nothing is known."""

LOG_END = 2 * 1024 * 1024
"""Bytes of a log that are read, its last ones."""
LATELY = 30
"""Days for which somebody has used a password lately."""

GROUPS_VARIABLE = "atlassian_dc_product_settings_admin_groups"
ADMINISTRATORS_VARIABLE = "atlassian_dc_product_settings_administrators"


@dataclass
class Accounts:
    """What is known of the accounts of an instance."""

    administrators: dict[str, dict[str, Any]] = field(default_factory=dict)
    complete: bool = False
    tokens: int | None = None
    long_tokens: list[dict[str, str]] = field(default_factory=list)
    idle: list[dict[str, str]] = field(default_factory=list)
    logins: int | None = None
    """How many active accounts there are, as far as they were read."""
    unknown_groups: str = ""
    """Why its administrators are not known."""
    unknown_tokens: str = ""
    unknown_logins: str = ""
    passwords: dict[str, dict[str, str]] = field(default_factory=dict)
    """Who used a password over REST lately, by name: the day and the path of the last time."""
    unknown_passwords: str = ""
    cut: dict[str, str] = field(default_factory=dict)
    """By control, why a list was not read to its end."""

    def add(self, name: str, active: bool, route: str) -> None:
        """Add an administrator, or another route by which somebody is one.

        Raises:
            RestError: there are too many.

        """
        if name not in self.administrators and len(self.administrators) >= MAX_LISTED:
            raise RestError("paging", f"more than {MAX_LISTED} accounts administer it")
        account = self.administrators.setdefault(name, {"name": name, "active": active, "groups": []})
        account["groups"].append(route)

    @property
    def active(self) -> list[str]:
        """Names of the administrators that can log in."""
        return sorted(name for name, entry in self.administrators.items() if entry["active"])

    def told(self) -> dict[str, Any]:
        """Return it as the module returns it."""
        return {
            "administrators": [self.administrators[name] for name in sorted(self.administrators)],
            "complete": self.complete and FEW not in self.cut,
            "tokens": self.tokens,
            "long_tokens": self.long_tokens,
            "accounts": self.logins,
            "idle": self.idle,
            "passwords": [self.passwords[name] for name in sorted(self.passwords)],
            "problems": list(
                dict.fromkeys(
                    why
                    for why in (
                        self.unknown_groups,
                        self.unknown_tokens,
                        self.unknown_logins,
                        self.unknown_passwords,
                        *self.cut.values(),
                    )
                    if why
                )
            ),
        }


def text(value: Any) -> str:
    """Return what a product calls somebody, cut to what a report can hold."""
    return str(value or "")[:MAX_NAME]


def day(seconds: float | None) -> str:
    """Return the day of a time, as people write it."""
    if seconds is None:
        return "never"
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%d")


def inner(entry: Any, keys: Iterable[str]) -> Any:
    """Return what lies below keys, None where it does not."""
    for key in keys:
        entry = entry.get(key) if isinstance(entry, Mapping) else None
    return entry


def moment(value: Any) -> float | None:
    """Return a time of a product in seconds since 1970; None where it is none, infinite where it never comes."""
    words = str(value or "")
    if words.startswith(NEVER):
        return float("inf")
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value) / 1000 if 0 <= value < MOMENTS else None
    # Python 3.9 knows neither Z nor an offset without a colon; the day is what counts.
    try:
        date = datetime.datetime.strptime(words[:10], "%Y-%m-%d")
    except ValueError:
        return None
    return date.replace(tzinfo=datetime.timezone.utc).timestamp()


class AccountsReader:
    """Reads the accounts of the instances of a host and judges them.

    Args:
        params: the module's parameters.
        findings: where to put what was found.
        products: the instances.
        now: tells the time.

    """

    def __init__(
        self,
        params: dict[str, Any],
        findings: Findings,
        products: list[Product],
        now: Callable[[], float] = time.time,
    ) -> None:
        self.params = params
        self.findings = findings
        self.products = products
        self.now = now
        self.found: dict[str, Accounts] = {}

    def run(self) -> None:
        """Read all instances side by side, and judge them."""
        whole = [product for product in self.products if product.data and not product.data.get("part_of")]
        self.found = {product.name: found for product, found in zip(whole, side_by_side(self._read, whole))}
        for product in self.products:
            self._judge(product)

    # -- reading -------------------------------------------------------------------------------------------------------

    def _read(self, product: Product) -> Accounts:
        found = Accounts()
        known = (product.data or {}).get("accounts") or {}
        declared = self.params.get("admin_groups") or {}
        mine = next((declared[key] for key in (product.name, product.instance.get("product")) if key in declared), None)
        holders = known.get("holders") or []
        found.complete = mine is not None or bool(holders)
        allowance = Allowance(ADMINISTRATOR_PAGES)
        try:
            if mine is None:
                mine = self._read_holders(product, holders, found, allowance) or known.get("admin_groups") or []
            if mine or not found.administrators:
                self._read_groups(product, known, mine, found, allowance)
        except RestError as exc:
            if exc.kind == "paging":
                found.cut.update(dict.fromkeys((FEW, OWN_NAMES, DECLARED), str(exc)))
            else:
                found.unknown_groups = str(exc)
        found.unknown_tokens = self._reading(TOKENS, self._read_tokens, product, known.get("tokens"), found)
        found.unknown_logins = self._reading(IDLE, self._read_logins, product, known.get("logins"), found)
        found.unknown_passwords = self._reading(PASSWORDS, self._read_passwords, product, known.get("passwords"), found)
        product.close()
        return found

    def _reading(
        self,
        control: str,
        read: Callable[[Product, Any, Accounts], None],
        product: Product,
        known: Mapping[str, Any] | None,
        found: Accounts,
    ) -> str:
        """Read a list for a control, if it was selected; return why it is not known, "" where it is."""
        if not self.findings.judges(control):
            return ""
        if not known:
            return UNSOURCED[control]
        if "unknown" in known:
            return f"{known['unknown']}; {known['consequence']}"
        if concerns(known, product.version) is not True:
            return f"version {product.version or 'unknown'} does not tell"
        try:
            read(product, known, found)
        except RestError as exc:
            if exc.kind != "paging":
                return str(exc)
            found.cut[control] = str(exc)
        return ""

    @staticmethod
    def _read_holders(
        product: Product, holders: Iterable[Mapping[str, Any]], found: Accounts, allowance: Allowance
    ) -> list[str]:
        """Read who holds the right to administer it; return the groups that do."""
        groups = []
        for known in holders:
            for entry in product.client.pages(known["path"], PageForm.of(known["list"]), allowance):
                if inner(entry, [known["permission"]]) not in known["of"]:
                    continue
                name = text(inner(entry, known["name"]))
                if not name:
                    raise RestError("not_json", "somebody who may administer it has no name")
                if known["kind"] == "groups":
                    groups.append(name)
                else:
                    found.add(name, inner(entry, known.get("active") or ()) is not False, "the account itself")
        return groups

    def _read_groups(
        self,
        product: Product,
        known: Mapping[str, Any],
        groups: Iterable[str],
        found: Accounts,
        allowance: Allowance,
    ) -> None:
        """Read who is in groups, and in groups that are in them."""
        members, subgroups = known.get("members"), known.get("subgroups") or {}
        if not members or not groups:
            found.unknown_groups = "no source tells how to ask it for its administrators"
            return
        if not concerns(subgroups, product.version):
            subgroups = {}
        routes = {str(group): str(group) for group in groups}
        waiting = list(routes)
        while waiting:
            group = waiting.pop(0)
            for entry in self._listed(product, members, group, allowance):
                name = text(inner(entry, [members["name"]]))
                if not name:
                    raise RestError("not_json", f"a member of {group} has no name")
                active = inner(entry, [members["active"]]) is not False if members.get("active") else True
                found.add(name, active, routes[group])
            for entry in self._listed(product, subgroups, group, allowance) if subgroups else ():
                name = text(inner(entry, [subgroups["name"]]))
                if not name:
                    raise RestError("not_json", f"a group in {group} has no name")
                if name not in routes:
                    routes[name] = f"{name} in {routes[group]}"
                    waiting.append(name)

    @staticmethod
    def _listed(product: Product, known: Mapping[str, Any], group: str, allowance: Allowance) -> Iterator[Any]:
        """Yield the entries of a list that a group has."""
        path = known["path"].replace("{group}", urllib.parse.quote(group, safe=""))
        query = dict(known.get("query") or {})
        if known.get("parameter"):
            query[known["parameter"]] = group
        return product.client.pages(path, PageForm.of(known["list"]), allowance, query)

    def _read_tokens(self, product: Product, known: Mapping[str, Any], found: Accounts) -> None:
        form, allowance, post = PageForm.of(known["list"]), Allowance(TOKEN_PAGES), known.get("method") == "POST"
        found.tokens = 0
        for entry in product.client.pages(known["path"], form, allowance, known.get("query"), post):
            found.tokens += 1
            end = moment(inner(entry, known["expires"]))
            long = end is None or end > self.now() + self.params["token_days"] * DAY
            if long and len(found.long_tokens) < MAX_LISTED:
                found.long_tokens.append(self._token(entry, known, end))

    def _read_logins(self, product: Product, known: Mapping[str, Any], found: Accounts) -> None:
        form, allowance = PageForm.of(known["list"]), Allowance(LOGIN_PAGES)
        found.logins, told = 0, False
        for entry in product.client.pages(known["path"], form, allowance, known.get("query")):
            if inner(entry, known.get("active") or ()) is False:
                continue
            found.logins += 1
            name, said = text(inner(entry, known["name"])), inner(entry, known["last"])
            last = moment(said)
            if not name or (last is None and said is not None):
                raise RestError("not_json", "it says in another form than expected when somebody has logged in last")
            told = told or last is not None
            idle = last is None or last < self.now() - self.params["idle_days"] * DAY
            if idle and len(found.idle) < MAX_LISTED:
                found.idle.append({"name": name, "last": day(last)})
        if found.logins and not told:
            found.idle = []
            raise RestError("missing", "it says of nobody when the account was used last")

    def _read_passwords(self, product: Product, known: Mapping[str, Any], found: Accounts) -> None:
        """Read who has used a password over REST from the log on this host.

        Raises:
            RestError: the log does not tell.

        """
        folder = product.instance.get(f"{known['tree']}_dir")
        if not folder:
            raise RestError("log", f"the folder of {known['path']} is not known")
        path = f"{folder}/{known['path']}"
        try:
            data, _info = read_regular(os.path.join(product.root, path.lstrip("/")), LOG_END, end=True)
            events = parse_log(data.decode("utf-8", "replace"), known["format"])
        except (OSError, LogError) as exc:
            raise RestError("log", f"{path}: {getattr(exc, 'strerror', None) or exc}") from exc
        since, seen = self.now() - LATELY * DAY, False
        for event in events:
            when = moment(event.get("time"))
            if event.get("event") != SUCCEEDED or when is None or when < since:
                continue
            seen = True
            name, url = text(event.get("name")), text(event.get("url")).partition("?")[0]
            by_program = known["under"] in url and not any(form in url for form in known["forms"])
            if by_program and (name in found.passwords or len(found.passwords) < MAX_LISTED):
                found.passwords[name] = {"name": name, "last": day(when), "path": url}
        if not seen:
            raise RestError("log", f"{path} tells of no login within {LATELY} days, so it need not tell of all")

    @staticmethod
    def _token(entry: Any, known: Mapping[str, Any], end: float | None) -> dict[str, str]:
        ends = "never" if end == float("inf") else text(inner(entry, known["expires"]))[:10] or "not said"
        return {
            "name": text(inner(entry, known["name"])),
            "owner": text(inner(entry, known["owner"])),
            "created": text(inner(entry, known["created"]))[:10],
            "expires": ends,
            "used": text(inner(entry, known["used"]))[:10],
        }

    # -- judging -------------------------------------------------------------------------------------------------------

    def _judge(self, product: Product) -> None:
        add, data = self.findings.add, product.data
        kind = str(product.instance.get("product"))
        for control in self.findings.judged:
            if data is None:
                add(control, product.name, "not_checked", f"nothing is known of the accounts of {kind}")
            elif data.get("part_of"):
                add(
                    control,
                    product.name,
                    "not_applicable",
                    f"it has no accounts of its own, {data['part_of']} has them",
                )
            elif control in data["controls"]:
                self._judge_control(control, product.name, self.found[product.name])

    def _judge_control(self, control: str, name: str, found: Accounts) -> None:
        add = self.findings.add
        if control == PASSWORDS:
            if found.unknown_passwords:
                return add(control, name, "not_checked", f"passwords over REST: {found.unknown_passwords}")
            proof = [
                evidence(f"account {item['name']}", "a token", f"a password, last on {item['last']} at {item['path']}")
                for _name, item in sorted(found.passwords.items())
            ]
            reason = f"{plural(len(proof), 'account')} used a password over REST within {LATELY} days"
            return self._judge_list(control, name, proof, reason, found)
        if control == TOKENS:
            if found.unknown_tokens:
                return add(control, name, "not_checked", f"tokens that there are: {found.unknown_tokens}")
            limit = f"at most {self.params['token_days']} days from now"
            proof = [
                evidence(f"token {item['name']} of {item['owner']}", limit, item["expires"])
                for item in found.long_tokens
            ]
            reason = f"{plural(len(proof), 'token')} valid for longer than {limit}"
            return self._judge_list(control, name, proof, reason, found)
        if control == IDLE:
            if found.unknown_logins:
                return add(control, name, "not_checked", f"accounts nobody uses: {found.unknown_logins}")
            limit = f"used within {self.params['idle_days']} days, or off"
            proof = [evidence(f"account {item['name']}", limit, item["last"]) for item in found.idle]
            return self._judge_list(control, name, proof, f"{plural(len(proof), 'account')} nobody uses", found)
        if found.unknown_groups:
            return add(control, name, "not_checked", f"administrators: {found.unknown_groups}")
        return self._judge_administrators(control, name, found)

    def _judge_list(self, control: str, name: str, proof: list[Evidence], reason: str, found: Accounts) -> None:
        """Judge what was read of a list; what was not read is no pass."""
        cut = found.cut.get(control)
        if proof or not cut:
            return self.findings.judge(control, name, proof, f"{reason}; {cut}" if cut else reason, by_hand=True)
        return self.findings.add(control, name, "not_checked", f"nothing is wrong with what was read; {cut}")

    def _judge_administrators(self, control: str, name: str, found: Accounts) -> None:
        add, active = self.findings.add, found.active
        groups = {account: ", ".join(found.administrators[account]["groups"]) for account in active}
        if control == DECLARED:
            declared = self.params.get("administrators")
            if declared is None:
                return add(
                    control, name, "not_checked", f"who may be in them is not declared ({ADMINISTRATORS_VARIABLE})"
                )
            beyond = [account for account in active if account not in declared]
            proof = [
                evidence(f"administrator by {groups[account]}", "a declared account", account) for account in beyond
            ]
            reason = f"{plural(len(beyond), 'account')} nobody has declared"
            return self._judge_list(control, name, proof, reason, found)
        if control == OWN_NAMES:
            patterns = self.params["guessable_names"]
            bad = [item for item in active if any(fnmatch.fnmatchcase(item.lower(), pattern) for pattern in patterns)]
            proof = [evidence(f"administrator by {groups[account]}", "a name of its own", account) for account in bad]
            reason = f"names that are guessed first or shared: {', '.join(bad[:5])}"
        else:
            most = self.params["max_administrators"]
            proof = [
                evidence(f"administrator by {groups[account]}", f"one of at most {most}", account) for account in active
            ]
            proof = proof if len(active) > most else []
            reason = f"{plural(len(active), 'account')} can administer it, more than {most}"
        if proof or found.complete or control in found.cut:
            return self._judge_list(control, name, proof, reason, found)
        why = f"nothing is wrong with the members of {', '.join(sorted(set(groups.values()))) or 'its own groups'}"
        return add(control, name, "not_checked", f"{why}; whether other groups administer it, say in {GROUPS_VARIABLE}")


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **CONNECTION_ARGUMENTS,
            "admin_groups": {"type": "dict"},
            "administrators": {"type": "list", "elements": "str"},
            "max_administrators": {"type": "int", "default": 5},
            "guessable_names": {
                "type": "list",
                "elements": "str",
                "default": ["admin", "administrator", "root", "sysadmin", "test", "*-admin", "admin-*"],
            },
            "token_days": {"type": "int", "default": 90, "no_log": False},
            "idle_days": {"type": "int", "default": 90},
            **CONTROL_ARGUMENTS,
        },
        supports_check_mode=True,
    )
    findings = Findings(module.params, CONTROLS, module.check_mode)
    products = products_of(module)
    reader = AccountsReader(module.params, findings, products)
    reader.run()
    module.exit_json(
        changed=False,
        accounts={name: found.told() for name, found in reader.found.items()},
        dc_findings=findings.results,
        **asked(products),
    )


if __name__ == "__main__":
    main()
