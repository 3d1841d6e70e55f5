# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waivers and attestations files: good ones are read, bad ones are refused with file, entry and key."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._statements import (
    StatementError,
    load_attestations,
    load_waivers,
    waiver_of,
)
from hypothesis import given
from hypothesis import strategies as st

KNOWN = ("DC-DIR-01", "DC-ORG-01")
GOOD = """
waivers:
  - control: DC-DIR-01
    hosts: [jira1, "legacy*"]
    justification: The monitoring agent needs it
    owner: ops@example.org
    expires: 2027-01-31
"""


def test_a_good_file(tmp_path: Path) -> None:
    path = tmp_path / "waivers.yml"
    path.write_text(GOOD)
    (waiver,) = load_waivers(path, KNOWN)
    assert waiver.expires == datetime.date(2027, 1, 31)
    assert waiver_of([waiver], "DC-DIR-01", "x", ["legacy-site"]) is waiver
    assert waiver_of([waiver], "DC-DIR-01", "jira2", []) is None


def test_an_empty_list_is_fine(tmp_path: Path) -> None:
    path = tmp_path / "waivers.yml"
    path.write_text("waivers: []\n")
    assert load_waivers(path, KNOWN) == ()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("control: DC-DIR-01", "control: DC-DIR-99", "no control 'DC-DIR-99'"),
        ("    owner: ops@example.org\n", "", "'owner' is missing"),
        ("owner: ops@example.org", "owner: ''", "'owner' is missing or empty"),
        ("owner:", "ownr:", "unknown key 'ownr'"),
        ("2027-01-31", "2027-13-31", "month must be in 1..12"),
        ("2027-01-31", "soon", "must be a date"),
        ("2027-01-31", "2027-01-31 10:00:00", "must be a date"),
        ("justification: The", "justification: [The]  #", "'justification' must be text"),
        ('[jira1, "legacy*"]', "{a: b}", "host pattern"),
        ("waivers:", "waiver:", "must hold one key, 'waivers'"),
        ("  - control", "    control", "must be a list"),
        ("waivers:", "waivers: [", "not valid YAML"),
    ],
)
def test_a_bad_file_is_refused_with_place_and_cause(tmp_path: Path, old: str, new: str, words: str) -> None:
    path = tmp_path / "waivers.yml"
    assert old in GOOD
    path.write_text(GOOD.replace(old, new))
    with pytest.raises(StatementError) as caught:
        load_waivers(path, KNOWN)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"x" * (1024 * 1024 + 1), b"", b"- 1", b"waivers: {a: &a [*a]}"])
def test_hostile_files(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "waivers.yml"
    path.write_bytes(content)
    with pytest.raises(StatementError, match=r"waivers\.yml"):
        load_waivers(path, KNOWN)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(StatementError, match="cannot be read"):
        load_waivers(tmp_path / "none.yml", KNOWN)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    import tempfile

    with tempfile.NamedTemporaryFile(suffix=".yml") as handle:
        handle.write(content)
        handle.flush()
        try:
            load_waivers(handle.name, KNOWN)
        except StatementError as exc:
            assert handle.name in str(exc)


def test_attestations(tmp_path: Path) -> None:
    path = tmp_path / "attestations.yml"
    text = (
        "attestations:\n  - control: DC-ORG-01\n    attested_by: A. Admin\n    date: 2026-01-01\n"
        "    expires: 2027-01-01\n    proof: ticket SEC-1\n"
    )
    path.write_text(text)
    (answer,) = load_attestations(path, ["DC-ORG-01"])
    assert answer.live(datetime.date(2026, 6, 1))
    assert not answer.live(datetime.date(2025, 12, 31))
    with pytest.raises(StatementError, match="no control"):
        load_attestations(path, ["DC-ORG-02"])
