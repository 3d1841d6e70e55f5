# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Expressions for addresses, held against what Python's own module takes for members of a network."""

from __future__ import annotations

import functools
import ipaddress
import re

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.module_utils import _address_patterns as patterns
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.fail2ban.address_spellings import ADDRESSES, member, members, networks, spellings

compiled = functools.lru_cache(maxsize=None)(re.compile)


@settings(deadline=None)
@given(st.data())
def test_every_spelling_of_a_member_matches(data: st.DataObject) -> None:
    network = data.draw(networks())
    text = data.draw(spellings(data.draw(members(network))))
    assert compiled(patterns.network_pattern(str(network))).fullmatch(text)


@settings(deadline=None)
@given(st.data())
def test_nothing_else_does(data: st.DataObject) -> None:
    network = data.draw(networks())
    number = int(network.network_address) ^ 1 << data.draw(st.integers(0, network.max_prefixlen - 1))
    near = type(network.network_address)(number)
    text = data.draw(spellings(data.draw(st.one_of(st.just(near), ADDRESSES))))
    assert bool(compiled(patterns.network_pattern(str(network))).fullmatch(text)) == member(text, network)


@settings(deadline=None)
@given(st.data())
def test_several_are_any_of_them(data: st.DataObject) -> None:
    several = data.draw(st.lists(networks(), max_size=4))
    text = data.draw(spellings(data.draw(ADDRESSES)))
    expected = any(member(text, network) for network in several)
    assert bool(re.fullmatch(patterns.any_pattern([str(network) for network in several]), text)) == expected


@settings(deadline=None)
@given(st.data())
def test_an_address_is_one(data: st.DataObject) -> None:
    text = data.draw(spellings(data.draw(ADDRESSES)))
    assert compiled(patterns.ADDRESS).fullmatch(text)


@settings(deadline=None)
@given(st.text(alphabet="0123456789abcdefABCDEF:.%x٣ ", max_size=40))
def test_what_python_takes_for_no_address_is_none(text: str) -> None:
    address, zone, name = text.partition("%")
    try:
        ipaddress.ip_address(address)
        valid = not zone or bool(re.fullmatch("[0-9A-Za-z_.-]+", name))
    except ValueError:
        valid = False
    assert bool(compiled(patterns.ADDRESS).fullmatch(text)) == valid


@pytest.mark.parametrize(
    ("network", "text"),
    [
        ("10.1.16.0/20", "10.1.31.255"),
        ("10.1.16.0/20", "::ffff:10.1.20.1"),
        ("10.1.16.0/20", "0:0:0:0:0:ffff:a01:1401"),
        ("10.1.0.0/16", "0:0:0:0:0:FFFF:A01::"),
        ("2001:db8:0:80::/57", "2001:db8:0:ff:1:2:3:4"),
        ("2001:db8:0:80::/57", "2001:0DB8::0080:0:0:0:1"),
        ("2001:db8::/57", "2001:db8::1.2.3.4"),
        ("2001:db8::7", "2001:db8:0:0:0:0:0:7"),
        ("2001:db8::7", "2001:db8:0:0::0:7"),
        ("2001:db8::7", "2001:db8::0.0.0.7%eth0"),
        ("::1", "0:0:0:0:0:0:0:1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("0.0.0.0/0", "192.0.2.1"),
        ("::/0", "fe80::1%2"),
    ],
)
def test_members(network: str, text: str) -> None:
    assert re.fullmatch(patterns.network_pattern(network), text)


@pytest.mark.parametrize(
    ("network", "text"),
    [
        ("10.1.16.0/20", "10.1.32.0"),
        ("10.1.16.0/20", "110.1.16.1"),
        ("10.0.0.1", "10.0.0.10"),
        ("10.0.0.1", "10.0.0.1.6.6.6.6"),
        ("10.0.0.1", "10a0b0c1"),
        ("10.0.0.1", "010.0.0.1"),
        ("10.0.0.0/8", "10.0.0.256"),
        ("10.0.0.1", "٣0.0.0.1"),
        ("10.0.0.1", "0:0:0:ffff:0:0:a00:1"),
        ("2001:db8:0:80::/57", "2001:db8::1"),
        ("2001:db8::7", "2001:db8:7::"),
        ("2001:db8::7", "2001:db8:0:0:0:0:0:0:7"),
        ("2001:db8::7", "2001:db8::0::7"),
        ("::/0", "192.0.2.1"),
        ("0.0.0.0/0", "2001:db8::1"),
    ],
)
def test_strangers(network: str, text: str) -> None:
    assert not re.fullmatch(patterns.network_pattern(network), text)


@pytest.mark.parametrize("text", ["10.0.0.1", "10.0.0.1x", "10.0.0.1-x", "10.0.0.1%", "10.0.0.1:80", "10.0.0.12"])
def test_only_whole_words(text: str) -> None:
    assert bool(re.match(patterns.network_pattern("10.0.0.1"), text)) == (text == "10.0.0.1")


def test_no_network_has_no_members() -> None:
    assert not re.search(patterns.any_pattern([]), "10.0.0.1 ::1")


@pytest.mark.parametrize("network", ["", "localhost", "10.0.0.0/33", "10.0.0.1,10.0.0.2", "10.0.0.1)|(.*"])
def test_what_is_no_network_is_refused(network: str) -> None:
    with pytest.raises(ValueError, match="does not appear to be"):
        patterns.any_pattern(["10.0.0.1", network])
