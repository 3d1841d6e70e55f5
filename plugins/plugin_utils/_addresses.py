# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What variables of the firewall and of bans hold: addresses, names and ports; and the addresses behind names."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from ansible_collections.atlassian_dc.hardening.plugins.module_utils._firewall_guard import CLOSED, closed_of
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._firewall_host import SHORTEST_TIMEOUT
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._firewall_rules import (
    ANY,
    GROUPS,
    OUTBOUND,
    SERVICES,
    TRUSTED,
    RulesError,
    is_host_name,
    parse_interfaces,
    parse_networks,
    parse_services,
)
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._collection import PROXY_HOSTS

ADDRESS = "ansible_host"
WORDS = (ANY, *GROUPS)
"""What means something else than a name where flows are declared."""

CONFIRM_TIMEOUT = "atlassian_dc_firewall_confirm_timeout"
NEVER_BANNED = "atlassian_dc_fail2ban_ignore"
NAMES = "_atlassian_dc_names"
"""The fact in which preflight leaves what it found out about names, so that all hosts of a run see the same."""


def check_firewall(values: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with the variables of the firewall and of bans, as far as names need not be resolved for it.

    Args:
        values: variables of a host by name, of the documented types.

    """
    known = {variable: value for variable, value in values.items() if value is not None}
    checks: list[Callable[[], object]] = [
        partial(parse_networks, _nameless(known[name], (ANY,)), name)
        for name in (*GROUPS.values(), NEVER_BANNED)
        if name in known
    ]
    for variable, key in ((SERVICES, "from"), (OUTBOUND, "to")):
        if variable in known:
            checks.append(partial(parse_services, _nameless_flows(known[variable], key), variable, key))
    closed = _nameless_flows(known.get(CLOSED, ()), "from")
    checks += [partial(closed_of, entry, number, {}) for number, entry in enumerate(closed)]
    if TRUSTED in known:
        checks.append(partial(parse_interfaces, known[TRUSTED]))
    problems = []
    for check in checks:
        try:
            check()
        except RulesError as exc:
            problems.append(str(exc))
    if known.get(CONFIRM_TIMEOUT, SHORTEST_TIMEOUT) < SHORTEST_TIMEOUT:
        problems.append(f"{CONFIRM_TIMEOUT}: {known[CONFIRM_TIMEOUT]} is fewer than {SHORTEST_TIMEOUT} seconds")
    return problems


def _nameless(elements: Iterable[str], words: Iterable[str]) -> list[str]:
    """Return elements with an address in the place of every name, so that errors still count right."""
    return ["192.0.2.1" if is_host_name(element) and element not in words else element for element in elements]


def _nameless_flows(entries: Iterable[Mapping[str, Any]], key: str) -> list[dict[str, Any]]:
    return [
        {name: _nameless(value, WORDS) if name == key else value for name, value in entry.items() if value is not None}
        for entry in entries
    ]


def elements_of(values: Mapping[str, Any]) -> Iterator[str]:
    """Return all that may be names in the variables of a host, of whatever kind it is.

    Args:
        values: variables of a host by name, of the documented types.

    """
    for variable in (*GROUPS.values(), PROXY_HOSTS, NEVER_BANNED):
        yield from map(str, values.get(variable) or ())
    for variable, key in ((SERVICES, "from"), (CLOSED, "from"), (OUTBOUND, "to")):
        for entry in values.get(variable) or ():
            yield from map(str, entry.get(key) or ())


class Resolver:
    """Turns names into addresses.

    Args:
        hostvars: variables of all hosts of the inventory, whichever of them the run is limited to.
        known: the `answers` of another one, which are not asked for again.

    """

    def __init__(
        self, hostvars: Mapping[str, Mapping[str, Any]], known: Mapping[str, Mapping[str, Any]] | None = None
    ) -> None:
        self._hostvars = hostvars
        self.answers: dict[str, Mapping[str, Any]] = dict(known or {})
        """What is known of each name: its ``addresses``, or ``why`` it has none."""
        self.unresolved: list[dict[str, str]] = []
        """What has no address: ``variable``, ``name`` and ``why``."""

    @classmethod
    def of(cls, task_vars: Mapping[str, Any]) -> Resolver:
        """Return the one for a task: what preflight found out is not asked for again.

        Args:
            task_vars: variables of the task.

        """
        return cls(task_vars["hostvars"], task_vars.get("ansible_facts", {}).get(NAMES))

    def addresses(self, variable: str, elements: Iterable[Any], words: Iterable[str] = ()) -> list[str]:
        """Return elements with every name replaced by its addresses; the rest stays as it is, checked elsewhere.

        Args:
            variable: what they are the value of.
            elements: addresses, networks and names.
            words: names that mean something else and stay.

        """
        found: list[str] = []
        for element in map(str, elements):
            found += [element] if element in words or not is_host_name(element) else self._of_name(variable, element)
        return list(dict.fromkeys(found))

    def _of_name(self, variable: str, name: str) -> list[str]:
        target = str(self._hostvars[name].get(ADDRESS, name)) if name in self._hostvars else name
        if target not in self.answers:
            self.answers[target] = _look_up(target)
        answer = self.answers[target]
        if not answer["addresses"]:
            shown = name if target == name else f"{name} ({target})"
            entry = {"variable": variable, "name": shown, "why": str(answer["why"])}
            if entry not in self.unresolved:
                self.unresolved.append(entry)
        return list(answer["addresses"])


def _look_up(target: str) -> dict[str, Any]:
    """Return the addresses of a name, in one order, or why it has none."""
    try:
        return {"addresses": [str(ipaddress.ip_address(target))], "why": ""}
    except ValueError:
        pass
    try:
        answers = {str(answer[4][0]) for answer in socket.getaddrinfo(target, None, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError) as exc:
        return {"addresses": [], "why": getattr(exc, "strerror", None) or str(exc)}
    # What only this machine calls so, and what only means something on one of its links, is no use to others.
    known = [address for address in map(ipaddress.ip_address, answers) if not _is_local(address)]
    ordered = sorted(known, key=lambda address: (address.version, address.packed))
    return {
        "addresses": [str(address) for address in ordered],
        "why": "" if ordered else "it only has addresses of the controller itself",
    }


def _is_local(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    return address.is_loopback or address.is_link_local or address.is_unspecified
