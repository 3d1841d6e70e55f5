#!/usr/bin/python
# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: product_accounts_info
short_description: Tell who administers Data Center products and which tokens never end
version_added: 0.5.0
description:
  - Returns the administrators of each given instance with the route by which they are, and the personal access tokens
    that have no end or live too long, where an administrator may see those of others.
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
      long_tokens: [{name: nightly, owner: robot, created: "2024-01-02", expires: never, used: ""}]
      problems: []
  contains:
    administrators:
      description: Accounts that administer it, C(name), C(active) and the C(groups) that make them administrators.
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
import time
import urllib.parse
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Callable

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._findings import (
    CONTROL_ARGUMENTS,
    Findings,
    evidence,
    plural,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._rest import PageForm, RestError
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._settings_places import (
    CONNECTION_ARGUMENTS,
    Product,
    asked,
    products_of,
    side_by_side,
)

FEW = "DC-ADM-03"
OWN_NAMES = "DC-ADM-04"
DECLARED = "DC-ADM-05"
TOKENS = "DC-AUT-04"
IDLE = "DC-AUT-05"
PASSWORDS = "DC-AUT-10"
CONTROLS = (FEW, OWN_NAMES, DECLARED, TOKENS, IDLE, PASSWORDS)

MAX_LISTED = 1000
MAX_NAME = 200
NEVER = "9999"
"""What the end of a token without one begins with."""

GROUPS_VARIABLE = "atlassian_dc_product_settings_admin_groups"
ADMINISTRATORS_VARIABLE = "atlassian_dc_product_settings_administrators"


@dataclass
class Accounts:
    """What is known of the accounts of an instance."""

    administrators: dict[str, dict[str, Any]] = field(default_factory=dict)
    complete: bool = False
    tokens: int | None = None
    long_tokens: list[dict[str, str]] = field(default_factory=list)
    unknown_groups: str = ""
    """Why its administrators are not known."""
    unknown_tokens: str = ""

    @property
    def active(self) -> list[str]:
        """Names of the administrators that can log in."""
        return sorted(name for name, entry in self.administrators.items() if entry["active"])

    def told(self) -> dict[str, Any]:
        """Return it as the module returns it."""
        return {
            "administrators": [self.administrators[name] for name in sorted(self.administrators)][:MAX_LISTED],
            "complete": self.complete,
            "tokens": self.tokens,
            "long_tokens": self.long_tokens[:MAX_LISTED],
            "problems": [why for why in (self.unknown_groups, self.unknown_tokens) if why],
        }


def text(value: Any) -> str:
    """Return what a product calls somebody, cut to what a report can hold."""
    return str(value or "")[:MAX_NAME]


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
        return float(value) / 1000
    # Python 3.9 knows neither Z nor an offset without a colon; the day is what counts.
    try:
        day = datetime.datetime.strptime(words[:10], "%Y-%m-%d")
    except ValueError:
        return None
    return day.replace(tzinfo=datetime.timezone.utc).timestamp()


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
        try:
            if mine is None:
                mine = self._read_holders(product, holders, found) or known.get("admin_groups") or []
            if mine or not found.administrators:
                self._read_groups(product, known, mine, found)
        except RestError as exc:
            found.unknown_groups = str(exc)
        if self.findings.judges(TOKENS):
            try:
                self._read_tokens(product, known.get("tokens"), found)
            except RestError as exc:
                found.unknown_tokens = str(exc)
        product.close()
        return found

    @staticmethod
    def _read_holders(product: Product, holders: Iterable[Mapping[str, Any]], found: Accounts) -> list[str]:
        """Read who holds the right to administer it; return the groups that do."""
        groups = []
        for known in holders:
            for entry in product.client.pages(known["path"], PageForm.of(known["list"])):
                if inner(entry, [known["permission"]]) not in known["of"]:
                    continue
                name = text(inner(entry, known["name"]))
                if not name:
                    raise RestError("not_json", "somebody who may administer it has no name")
                if known["kind"] == "groups":
                    groups.append(name)
                else:
                    active = inner(entry, known.get("active") or ()) is not False
                    account = {"name": name, "active": active, "groups": ["the account itself"]}
                    found.administrators.setdefault(name, account)
        return groups

    def _read_groups(self, product: Product, known: Mapping[str, Any], groups: Iterable[str], found: Accounts) -> None:
        members = known.get("members")
        if not members or not groups:
            found.unknown_groups = "no source tells how to ask it for its administrators"
            return
        form = PageForm.of(members["list"])
        for group in groups:
            path = members["path"].replace("{group}", urllib.parse.quote(str(group), safe=""))
            query = dict(members.get("query") or {})
            if members.get("parameter"):
                query[members["parameter"]] = group
            for entry in product.client.pages(path, form, query):
                name = text(inner(entry, [members["name"]]))
                if not name:
                    raise RestError("not_json", f"a member of {group} has no name")
                active = inner(entry, [members["active"]]) is not False if members.get("active") else True
                account = found.administrators.setdefault(name, {"name": name, "active": active, "groups": []})
                account["groups"].append(str(group))

    def _read_tokens(self, product: Product, known: Mapping[str, Any] | None, found: Accounts) -> None:
        if not known:
            found.unknown_tokens = "no source tells how to ask it for the tokens of others"
            return
        form = PageForm.of(known["list"])
        count = 0
        for entry in product.client.pages(known["path"], form, known.get("query"), post=known.get("method") == "POST"):
            count += 1
            end = moment(inner(entry, known["expires"]))
            long = end is None or end > self.now() + self.params["token_days"] * 86400
            if long and len(found.long_tokens) < MAX_LISTED:
                found.long_tokens.append(self._token(entry, known, end))
        found.tokens = count

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
        add, judge = self.findings.add, self.findings.judge
        if control == IDLE:
            why = "when accounts were used last is not read by this version; see the directory they come from"
            return add(control, name, "not_checked", why)
        if control == PASSWORDS:
            why = "who used a password over REST is not read by this version; see the security log of the product"
            return add(control, name, "not_checked", why)
        if control == TOKENS:
            if found.unknown_tokens:
                return add(control, name, "not_checked", f"tokens that there are: {found.unknown_tokens}")
            limit = f"at most {self.params['token_days']} days from now"
            proof = [
                evidence(f"token {item['name']} of {item['owner']}", limit, item["expires"])
                for item in found.long_tokens
            ]
            return judge(control, name, proof, f"{plural(len(proof), 'token')} valid for longer than {limit}")
        if found.unknown_groups:
            return add(control, name, "not_checked", f"administrators: {found.unknown_groups}")
        return self._judge_administrators(control, name, found)

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
            return self.findings.judge(control, name, proof, f"{plural(len(beyond), 'account')} nobody has declared")
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
        if proof or found.complete:
            return self.findings.judge(control, name, proof, reason)
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
