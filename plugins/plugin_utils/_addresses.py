# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses behind names: those of the inventory, and those the controller's resolver knows."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable, Mapping
from typing import Any

ADDRESS = "ansible_host"

# Something with a letter in it and nothing that only a network has: the rest of the checking is the resolver's.
_NAME = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?\.?")


def is_name(element: str) -> bool:
    """Whether an element of a list of addresses is a name, and not an address or network, be it malformed."""
    return bool(_NAME.fullmatch(element))


class Resolver:
    """Turns names into addresses.

    Args:
        hostvars: variables of all hosts of the inventory, whichever of them the run is limited to.

    """

    def __init__(self, hostvars: Mapping[str, Mapping[str, Any]]) -> None:
        self._hostvars = hostvars
        self.unresolved: list[dict[str, str]] = []
        """What has no address: ``variable``, ``name`` and ``why``."""

    def addresses(self, variable: str, elements: Iterable[Any], words: Iterable[str] = ()) -> list[str]:
        """Return elements with every name replaced by its addresses; the rest stays as it is, checked elsewhere.

        Args:
            variable: what they are the value of.
            elements: addresses, networks and names.
            words: names that mean something else and stay.

        """
        found: list[str] = []
        for element in map(str, elements):
            found += [element] if element in words or not is_name(element) else self._of_name(variable, element)
        return list(dict.fromkeys(found))

    def _of_name(self, variable: str, name: str) -> list[str]:
        target = str(self._hostvars[name].get(ADDRESS, name)) if name in self._hostvars else name
        try:
            return [str(ipaddress.ip_address(target))]
        except ValueError:
            pass
        try:
            answers = {str(answer[4][0]) for answer in socket.getaddrinfo(target, None, type=socket.SOCK_STREAM)}
        except (OSError, UnicodeError) as exc:
            return self._give_up(variable, name, target, getattr(exc, "strerror", None) or str(exc))
        # What only this machine calls so, and what only means something on one of its links, is no use to others.
        known = [address for address in map(ipaddress.ip_address, answers) if not _is_local(address)]
        if not known:
            return self._give_up(variable, name, target, "it only has addresses of the controller itself")
        return [str(address) for address in sorted(known, key=lambda address: (address.version, address.packed))]

    def _give_up(self, variable: str, name: str, target: str, why: str) -> list[str]:
        shown = name if target == name else f"{name} ({target})"
        entry = {"variable": variable, "name": shown, "why": why}
        if entry not in self.unresolved:
            self.unresolved.append(entry)
        return []


def _is_local(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    return address.is_loopback or address.is_link_local or address.is_unspecified
