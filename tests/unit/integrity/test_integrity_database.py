# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Databases of AIDE: read in the form of each version, written back as they were, refused where they are not whole."""

from __future__ import annotations

import contextlib
import gzip
import os

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._integrity_db import Database, DatabaseError, State
from hypothesis import given
from hypothesis import strategies as st
from unit.integrity.databases import FIELDS, FOLDER, LINK, database, line, raw


def test_a_file_a_folder_and_a_link() -> None:
    found = database(
        line("/opt/a", owner="12 34"), line("/opt/d", FOLDER, size=180), line("/opt/l", LINK, target="a%20b")
    )
    assert found.state("/opt/a") == State(
        "f", 0o644, 12, 34, 2, 1795924819, 1795924819, "ab" * 32, None, ("POSIX,eA==,0", "0")
    )
    assert found.state("/opt/d") == State("d", 0o755, 0, 0, more=("POSIX,eA==,0", "0"))
    assert found.state("/opt/l") == State("l", 0o777, 0, 0, target="a b")


def test_times_of_older_versions_are_in_base64() -> None:
    found = database(line("/opt/a", time="MTc5NTkyNDgxOQ==") + " ")
    assert found.state("/opt/a").mtime == 1795924819


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("/tmp/n%0Al", "/tmp/n\nl"),
        ("/tmp/pct%2520%40x", "/tmp/pct%20@x"),
        ("/tmp/%C3%BC", "/tmp/ü"),
        ("/tmp/%FF", os.fsdecode(b"/tmp/\xff")),
    ],
)
def test_names_are_unescaped(written: str, name: str) -> None:
    found = database(line(written))
    assert list(found.lines) == [name]
    assert written.encode() in gzip.decompress(found.write())


def test_a_link_to_something_that_begins_with_a_zero() -> None:
    assert database(line("/l", LINK, target="00x")).state("/l").target == "0x"
    assert database(line("/l", LINK, target="0-")).state("/l").target == ""


def test_is_written_back_as_it_was_and_always_alike() -> None:
    found = database(line("/b"), line("/a", FOLDER))
    found.note = {"taken": "2026"}
    again = Database.read(found.write())
    assert (again.lines, again.fields, again.note) == (found.lines, found.fields, {"taken": "2026"})
    assert again.write() == found.write()


WHOLE = raw(line("/opt/a"), line("/opt/b"))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (WHOLE[:60], "cut short"),
        (WHOLE[:-8], "cut short"),
        (b"", "does not begin"),
        (b"nonsense", "not compressed"),
        (gzip.compress(b""), "does not begin"),
        (raw(line("/a"), end=""), "cut short: @@end_db is missing"),
        (raw(line("/a"), line("/b")[:30]), "columns"),
        (raw(line("/a"), line("/a")), "twice"),
        (raw(line("a")), "no path"),
        (raw(line("/a", perm="10z")), "makes no sense"),
        (raw(line("/a", time="!")), "makes no sense"),
        (raw("/a 0", fields="name lname"), "other columns"),
        (raw(fields=f"{FIELDS} uid"), "other columns"),
        (gzip.compress(b"@@begin_db\n@@end_db\n"), "@@db_spec is missing"),
    ],
    # Packed, they hold the time.
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_one_that_is_not_whole_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(DatabaseError, match=words):
        Database.read(data)


@given(st.binary(max_size=300), st.integers(0, 200))
def test_whatever_is_in_it_is_read_or_refused(noise: bytes, place: int) -> None:
    plain = gzip.decompress(WHOLE)
    for data in (noise, gzip.compress(noise), gzip.compress(plain[:place] + noise + plain[place:])):
        with contextlib.suppress(DatabaseError):
            found = Database.read(data)
            assert all(found.state(name) for name in found.lines)
            assert Database.read(found.write()).lines == found.lines


@pytest.mark.parametrize("length", range(0, len(gzip.decompress(WHOLE)), 7))
def test_no_shorter_one_is_taken_for_whole(length: int) -> None:
    with pytest.raises(DatabaseError):
        Database.read(gzip.compress(gzip.decompress(WHOLE)[:length]))


def test_taking_over_columns_and_paths() -> None:
    old = database(line("/a", owner="1 1"), line("/gone"))
    new = database(line("/a", owner="2 2", sha256="cd" * 32), line("/new"))
    assert old.take(new, "/a", {"uid", "gid"})
    assert (old.state("/a").uid, old.state("/a").sha256) == (2, "ab" * 32)
    assert not old.take(new, "/a", {"uid", "gid"})
    assert old.take(new, "/new")
    assert old.take(new, "/gone")
    assert not old.take(new, "/never")
    assert sorted(old.lines) == ["/a", "/new"]


def test_columns_of_another_version_come_in_the_order_of_this_one() -> None:
    other = " ".join(reversed(FIELDS.split()))
    new = Database.read(raw(" ".join(reversed(line("/a", owner="5 6").split())), fields=other))
    old = database(line("/a"))
    assert old.take(new, "/a")
    assert (old.state("/a").uid, old.state("/a").gid) == (5, 6)
