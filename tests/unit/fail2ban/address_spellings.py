# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses and networks for property tests, in all their spellings, and what plain Python says of them."""

from __future__ import annotations

import ipaddress

from hypothesis import strategies as st

# Zeros and numbers of few digits make what is hard: places for `::`, and leading zeros to leave out.
GROUPS = st.one_of(st.just(0), st.integers(0, 0xFFFF), st.sampled_from([0x0A00, 0x00FF, 0x8, 0x80, 0xFFFF]))


@st.composite
def ipv6_numbers(draw: st.DrawFn) -> int:
    value = 0
    for _number in range(8):
        value = value << 16 | draw(GROUPS)
    if draw(st.booleans()):
        value = 0xFFFF << 32 | value & 0xFFFFFFFF
    return value


ADDRESSES = st.one_of(st.builds(ipaddress.IPv6Address, ipv6_numbers()), st.ip_addresses())


@st.composite
def networks(draw: st.DrawFn) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    if draw(st.booleans()):
        number = draw(st.integers(0, 2**32 - 1))
        return ipaddress.IPv4Network((number, draw(st.integers(0, 32))), strict=False)
    return ipaddress.IPv6Network((draw(ipv6_numbers()), draw(st.integers(0, 128))), strict=False)


@st.composite
def spellings(draw: st.DrawFn, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    """Write an address in one of its many forms."""
    if isinstance(address, ipaddress.IPv4Address):
        if draw(st.booleans()):
            return str(address)
        address = ipaddress.IPv6Address(0xFFFF << 32 | int(address))
    number = int(address)
    groups = [number >> shift & 0xFFFF for shift in range(112, -1, -16)]
    texts = [f"{group:0{draw(st.integers(1, 4))}x}" for group in groups]
    if draw(st.booleans()):
        groups[6:], texts[6:] = [1], [str(ipaddress.IPv4Address(number & 0xFFFFFFFF))]
    starts = [place for place, group in enumerate(groups) if group == 0]
    if draw(st.booleans()) and starts:
        start = end = draw(st.sampled_from(starts))
        while end + 1 < len(groups) and groups[end + 1] == 0 and draw(st.booleans()):
            end += 1
        text = f"{':'.join(texts[:start])}::{':'.join(texts[end + 1 :])}"
    else:
        text = ":".join(texts)
    text = draw(st.sampled_from([text, text.upper()]))
    return text + draw(st.sampled_from(["", "%eth0", "%2", "%br-1f.100"]))


def member(text: str, network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> bool:
    """Tell as plain Python does whether an address is in a network, IPv4-mapped ones being the same as IPv4."""
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address) and isinstance(network, ipaddress.IPv4Network):
        return address.ipv4_mapped is not None and address.ipv4_mapped in network
    if isinstance(address, ipaddress.IPv4Address) and isinstance(network, ipaddress.IPv6Network):
        return network.prefixlen >= 96 and ipaddress.IPv6Address(0xFFFF << 32 | int(address)) in network
    return address in network


@st.composite
def members(
    draw: st.DrawFn, network: ipaddress.IPv4Network | ipaddress.IPv6Network
) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Draw an address of a network."""
    number = int(network.network_address) | draw(st.integers(0, network.num_addresses - 1))
    return type(network.network_address)(number)
