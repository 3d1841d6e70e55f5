# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Regular expressions for the addresses of a network, in every form in which somebody may write them.

An IPv6 address has many spellings: Java writes all eight groups, other programs put ``::`` for some of the zeros, a
zone may follow, and the address of an IPv4 host may stand in an IPv6 one. An expression that knows only one of them
takes a trusted proxy for a stranger.

Every expression here first looks whether a whole address stands there (:data:`ADDRESS`). What tells one network from
another is then simple, because text that is no address cannot get that far. Both are looked at ahead and taken in one
step, so that nothing can be tried in two ways: the time is linear, whatever the text.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from itertools import groupby

Form = tuple[str, ...]
"""One way to write the addresses of a network: expressions that follow each other."""

ZONE = "(?:%[0-9A-Za-z_.-]+)?"
"""The zone that may follow an IPv6 address, the network interface as a rule."""

_END = rf"{ZONE}(?![0-9A-Za-z_.:%-])"
_TOKEN = f"[0-9a-f:.]+{ZONE}"

_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4 = rf"{_OCTET}(?:\.{_OCTET}){{3}}"
_GROUP = "[0-9a-f]{1,4}"


def _ipv6_spellings() -> Iterable[str]:
    """Yield the ways to write an IPv6 address: in full, or with ``::`` for at least one of its eight groups."""
    yield f"(?:{_GROUP}:){{7}}{_GROUP}"
    yield f"(?:{_GROUP}:){{6}}{_IPV4}"
    yield f"(?:{_GROUP}:){{1,7}}:"
    for after in range(1, 7):
        yield f"(?:{_GROUP}:){{1,{7 - after}}}(?::{_GROUP}){{{after}}}"
    yield f":(?:(?::{_GROUP}){{1,7}}|:)"
    for after in range(5):
        yield f"(?:{_GROUP}:){{1,{5 - after}}}(?::{_GROUP}){{{after}}}:{_IPV4}"
    yield f":(?::{_GROUP}){{0,5}}:{_IPV4}"


ADDRESS = f"(?i:(?=(?:{_IPV4}|{'|'.join(_ipv6_spellings())}){_END}){_TOKEN})"
"""Any address, in any form, and nothing that goes on as if it were a longer word."""

# From here on the text is known to be an address: numbers need no bounds any more, and one with a dot ends an address.
_DOTTED = "[0-9]+[.][0-9.]+"
_ZERO = "0+"
_ZEROS = "(?:0+:)*"
_MAPPED = "[0:]+ffff:"
_MAPPED_IN_FULL = "(?:0+:){5}ffff:"


def network_pattern(network: str) -> str:
    """Return an expression for every form of the addresses of a network, whole words only.

    Args:
        network: address or network, such as ``10.0.0.0/8`` or ``2001:db8::1``.

    Raises:
        ValueError: it is neither.

    """
    return any_pattern([network])


def any_pattern(networks: Sequence[str]) -> str:
    """Return an expression for every form of the addresses of any of the networks; it matches nothing if there is none.

    Args:
        networks: addresses and networks.

    Raises:
        ValueError: one of them is neither.

    """
    ipv4: list[ipaddress.IPv4Network] = []
    ipv6: list[ipaddress.IPv6Network] = []
    for text in networks:
        network = _unmapped(ipaddress.ip_network(text, strict=False))
        if isinstance(network, ipaddress.IPv4Network):
            ipv4.append(network)
        else:
            ipv6.append(network)
    forms: list[Form] = []
    for inside in ipaddress.collapse_addresses(ipv4):
        forms += [(f"(?:{_MAPPED})?", *_ipv4_form(inside)), *_mapped_forms(inside)]
    for network in ipaddress.collapse_addresses(ipv6):
        forms += _ipv6_forms(network)
    if not forms:
        return "(?!)"
    return f"(?i:(?={ADDRESS})(?={_merged(forms)}{_END}){_TOKEN})"


def _merged(forms: Sequence[Form]) -> str:
    """Return an expression for any of the forms, in which what several begin with stands once."""
    branches: dict[str, list[Form]] = {}
    for form in forms:
        if form:
            branches.setdefault(form[0], []).append(form[1:])
    text = "|".join(first + _merged(rest) for first, rest in branches.items())
    if () in forms:
        return f"(?:{text})?" if text else ""
    return f"(?:{text})" if len(branches) > 1 else text


def _unmapped(network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """Return the IPv4 network that an IPv6 network of IPv4-mapped addresses means; any other as it is."""
    if isinstance(network, ipaddress.IPv6Network) and network.prefixlen >= 96:
        inside = network.network_address.ipv4_mapped
        if inside is not None:
            return ipaddress.IPv4Network((int(inside), network.prefixlen - 96))
    return network


def _parts(value: int, fixed: int, width: int, count: int) -> list[tuple[int, int]]:
    """Cut an address into its numbers; return each with how many of its bits the network fixes."""
    return [
        (value >> width * (count - 1 - place) & (1 << width) - 1, min(max(fixed - width * place, 0), width))
        for place in range(count)
    ]


# ---- IPv4 -----------------------------------------------------------------------------------------------------------
def _ipv4_form(network: ipaddress.IPv4Network) -> Form:
    octets = [_octet(*part) for part in _parts(int(network.network_address), network.prefixlen, 8, 4)]
    return (*(rf"{octet}\." for octet in octets[:3]), octets[3])


def _octet(value: int, fixed: int) -> str:
    """Return an expression for the numbers of one byte whose first bits are fixed."""
    if fixed == 8:
        return str(value)
    if fixed == 0:
        return "[0-9]+"
    forms = []
    for ten, numbers in groupby(range(value, (value | (1 << 8 - fixed) - 1) + 1), lambda number: number // 10):
        ones = [number % 10 for number in numbers]
        forms.append(f"{ten or ''}[{ones[0]}-{ones[-1]}]")
    return f"(?:{'|'.join(forms)})"


def _mapped_forms(network: ipaddress.IPv4Network) -> Iterable[Form]:
    """Yield the forms of the IPv4-mapped addresses whose last two groups are written as such."""
    (high, low) = _parts(int(network.network_address), network.prefixlen, 16, 2)
    yield (_MAPPED, f"{_group(*high)}:", _group(*low))
    # `::` may stand for a zero among the two, then for none before them.
    if low[0] == 0:
        yield (_MAPPED_IN_FULL, f"{_group(*high)}:", ":")
    if high[0] == 0:
        yield (_MAPPED_IN_FULL, ":", _group(*low))
    if high[0] == low[0] == 0:
        yield (_MAPPED_IN_FULL, ":")


# ---- IPv6 -----------------------------------------------------------------------------------------------------------
def _ipv6_forms(network: ipaddress.IPv6Network) -> Iterable[Form]:
    """Yield the forms of the addresses of a network."""
    parts = [part for part in _parts(int(network.network_address), network.prefixlen, 16, 8) if part[1]]
    if not parts:
        yield ("[0-9a-f]*:[0-9a-f:.]*",)
        return
    groups = [f"{_group(*part)}:" for part in parts]
    last = _group(*parts[-1])
    free = 8 - len(parts)
    # Nothing that the network fixes is left out: the rest may look as it likes.
    yield (*groups[:-1], last, ":[0-9a-f:.]*") if free else (*groups[:-1], last)
    for start, end in _zero_runs(parts):
        head = (*groups[:start], _ZEROS, ":" if start else "::?")
        if end < len(parts):
            yield (*head, _ZEROS, *groups[end:-1], last, _exactly(free))
        else:
            # `::` may end among the numbers of the network, the last of which need not be zero, or after them.
            yield (*head, _ZEROS, last, _exactly(free))
            yield (*head, _at_most(free))
    if free < 2:
        yield from _dotted_forms(network, parts[:6], groups[:6])


def _dotted_forms(network: ipaddress.IPv6Network, parts: list[tuple[int, int]], groups: list[str]) -> Iterable[Form]:
    """Yield the forms that end like an IPv4 address, where the network fixes some of that end."""
    end = _ipv4_form(ipaddress.IPv4Network((int(network.network_address) & 0xFFFFFFFF, network.prefixlen - 96)))
    yield (*groups, *end)
    for start, stop in _zero_runs(parts):
        yield (*groups[:start], _ZEROS, ":" if start else "::?", _ZEROS, *groups[stop:], *end)


def _zero_runs(parts: list[tuple[int, int]]) -> Iterable[tuple[int, int]]:
    """Yield where groups that can be zero begin and end."""
    for zero, places in groupby(range(len(parts)), lambda place: parts[place][0] == 0):
        if zero:
            run = list(places)
            yield run[0], run[-1] + 1


def _exactly(free: int) -> str:
    """Return an expression for that many groups at the end, each after a colon."""
    if free < 2:
        return f":{_GROUP}" * free
    return f"(?::{_GROUP}){{{free - 2}}}(?::{_GROUP}:{_GROUP}|:{_DOTTED})"


def _at_most(free: int) -> str:
    """Return an expression for up to that many groups at the end, the first without a colon before it."""
    forms = [f"(?:{_GROUP}:){{0,{free - 1}}}{_GROUP}"] if free else []
    if free > 1:
        forms.append(f"(?:{_GROUP}:){{0,{free - 2}}}{_DOTTED}")
    return f"(?:{'|'.join(forms)})?" if forms else ""


def _group(value: int, fixed: int) -> str:
    """Return an expression for the groups of four digits whose first bits are fixed, with and without leading zeros."""
    if fixed == 16:
        return f"0*{value:x}" if value else _ZERO
    if fixed == 0:
        return _GROUP
    text = ""
    for shift in (12, 8, 4, 0):
        text += _digit(value >> shift & 15, min(max(fixed - 12 + shift, 0), 4))
        if shift and value >> shift == 0:
            text = f"(?:{text})?"
    return text


def _digit(value: int, fixed: int) -> str:
    """Return an expression for the digits whose first bits are fixed."""
    last = value | (1 << 4 - fixed) - 1
    return f"{value:x}" if fixed == 4 else f"[{''.join(f'{digit:x}' for digit in range(value, last + 1))}]"
