# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a backup holds, as text and back, and what is refused."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._backup_manifest import (
    Lock,
    Manifest,
    ManifestError,
    Snapshot,
    is_backup,
    key_of,
    parse_manifest,
    tags_of,
)
from hypothesis import given
from hypothesis import strategies as st
from unit.restore.manifests import BACKUP, HOME, manifest

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def edited(path: str, value: Any) -> str:
    """Return the text of the manifest with one member replaced, or removed where the value is ``...``."""
    data = json.loads(manifest().to_json())
    place: Any = data
    *steps, last = [int(step) if step.isdigit() else step for step in path.split(".")]
    for step in steps:
        place = place[step]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return json.dumps(data)


def members(value: Any, path: str = "") -> list[str]:
    """Return the places of all members of a JSON text."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    places = [(f"{path}.{name}".lstrip("."), item) for name, item in items]
    return [place for place, _item in places] + [inner for place, item in places for inner in members(item, place)]


PLACES = [place for place in members(json.loads(manifest().to_json())) if "/" not in place and "public" not in place]


def test_comes_back_as_it_was_written() -> None:
    locked = dataclasses.replace(manifest(), lock=Lock("2026-11-29T10:15:01Z", None, "2026-11-29T10:15:09Z"))
    home = dataclasses.replace(locked.parts[1], root="/run/atlassian-dc-backup-snapshots/jira")
    moment = Snapshot("2026-11-29T10:15:01Z", "2026-11-29T10:15:01Z", "2026-11-29T10:15:03Z", 2.25)
    shot = dataclasses.replace(locked, parts=(locked.parts[0], home, locked.parts[2]), snapshot=moment)

    assert parse_manifest(shot.to_json()) == shot
    assert parse_manifest(locked.to_json()) == locked
    assert parse_manifest(locked.to_json().encode()) == locked


def test_names_of_files_may_hold_any_bytes() -> None:
    name = HOME + "/data/" + b"\xff\n".decode("utf-8", "surrogateescape")
    sample = dataclasses.replace(manifest().sample[0], path=name)
    written = dataclasses.replace(manifest(), sample=(sample,))

    assert parse_manifest(written.to_json()) == written


def test_says_how_much_there_is_and_finds_parts() -> None:
    assert manifest().total_bytes == 4206
    assert manifest().part("home-jira1") == manifest().parts[1]
    assert manifest().part("shared_home") is None


@pytest.mark.parametrize(
    ("path", "value", "complaint"),
    [
        ("format", 2, "format: 2 is not known"),
        ("format", ..., "format: is missing"),
        ("parts", [], "parts: there are none"),
        ("parts.1.part", "home-../../etc", "parts[1].part: 'home-../../etc' is no part of a backup"),
        ("parts.1.part", "install-jira1", "parts: install-jira1 is listed twice"),
        ("parts.1.paths", ["/var/../etc"], "parts[1].paths[0]: a text, not an absolute path"),
        ("parts.1.paths", [], "parts[1].paths: there are none"),
        ("parts.1.bytes", True, "parts[1].bytes: true or false, not a whole number from 0 on"),
        ("parts.1.bytes", -1, "parts[1].bytes: a number, not a whole number from 0 on"),
        ("parts.1.seconds", "1", "parts[1].seconds: a text, not a number of seconds"),
        ("parts.1.snapshot", "latest", "parts[1].snapshot: 'latest' is no whole number of a snapshot"),
        ("parts.0.paths", ["/etc/shadow"], "parts: database is no dump /database.dump"),
        ("parts.0.bytes", 0, "parts: database is no dump"),
        ("parts.0.root", "/run/x", "parts: database is no dump"),
        ("parts.1.root", "/", "parts[1].root: is /"),
        ("parts.1.root", "/run/../etc", "parts[1].root: a text, not an absolute path"),
        ("parts.1.root", None, "parts[1].root: null, not an absolute path"),
        ("snapshot", [], "snapshot: a list, not an object"),
        ("snapshot", {"database": None, "begun": "now"}, "snapshot.begun: 'now' is no time in UTC"),
        ("parts.0.sha256", None, "parts: database is no dump"),
        ("database", None, "database: is told of, or part database is listed, but not both"),
        ("database.kind", ["mysql"], "database.kind: a list, not one of postgresql, mysql, mariadb, command"),
        ("database.tables", {"a": -1}, "database.tables['a']: a number, not a whole number from 0 on"),
        ("backup", "latest", "backup: 'latest' is no name of a backup"),
        ("key", "../x", "key: '../x' is no key of an instance"),
        ("instance", [], "instance: a list, not an object"),
        ("instance.home_dir", "relative", "instance.home_dir: a text, not an absolute path"),
        ("started", "yesterday", "started: 'yesterday' is no time in UTC"),
        ("sample.0.path", "/a/./b", "sample[0].path: a text, not an absolute path"),
        ("sample.0.part", "home-other", "sample[0].part: home-other is not listed in parts"),
        ("sample.0.sha256", "x", "sample[0].sha256: 'x' is no hash"),
        ("needed.0.place", None, "needed[0]: is present, but in no part that is listed, or nowhere in it"),
        ("needed.0.sha256", {"x": "y"}, "needed[0].sha256['x']: no hash of an absolute path"),
        ("nodes", [1], "nodes[0]: a number, not a text"),
    ],
)
def test_says_what_is_wrong_and_where(path: str, value: Any, complaint: str) -> None:
    with pytest.raises(ManifestError) as refused:
        parse_manifest(edited(path, value))
    assert complaint in str(refused.value)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "line 1, column 1: not JSON"),
        ("[]", "manifest: a list, not an object"),
        (b"\xff", "is not in UTF-8"),
        ("[" * 100_000, "is nested too deeply"),
        ('{"format": NaN}', "holds NaN"),
        ('{"format": ' + "9" * 5000 + "}", "holds a number of more than 19 digits"),
        (" " * (16 * 1024 * 1024 + 1), "is longer than 16777216 bytes"),
    ],
)
def test_refuses_what_is_no_manifest_at_all(text: str | bytes, complaint: str) -> None:
    with pytest.raises(ManifestError) as refused:
        parse_manifest(text)
    assert complaint in str(refused.value)


@given(st.sampled_from(PLACES), JSON)
def test_takes_or_refuses_anything_in_any_place(place: str, value: Any) -> None:
    try:
        taken = parse_manifest(edited(place, value))
    except ManifestError as exc:
        str(exc).encode("utf-8")
    else:
        assert isinstance(taken, Manifest)
        assert parse_manifest(taken.to_json()) == taken


def test_names_it_does_not_know_are_passed_over() -> None:
    assert parse_manifest(edited("later", {"a": 1})) == manifest()


def test_keys_and_tags_can_stand_in_a_repository() -> None:
    assert key_of("jira1-jira (old)") == "jira1-jira__old_"
    assert tags_of("jira1-jira", BACKUP, "database") == (
        "atlassian-dc",
        "instance=jira1-jira",
        "backup=20261129T101500Z",
        "part=database",
    )
    assert is_backup(BACKUP)
    assert not is_backup("latest")
