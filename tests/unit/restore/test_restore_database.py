# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Dumps that are fed to tools, rows that are counted."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.module_utils import _restore_database
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._restore_database import (
    LoadError,
    UntriedError,
    count_mariadb,
    feed_to,
    other_rows,
    program,
    rows_of,
    run,
    words_of,
)
from unit.restore.manifests import sha256

DATA = b"x" * 3_000_000


def feed(take: Callable[[bytes], object]) -> None:
    for start in range(0, len(DATA), 1_000_000):
        take(DATA[start : start + 1_000_000])


def tool(text: str) -> list[str]:
    return [sys.executable, "-c", text]


def test_a_tool_gets_all_of_a_dump() -> None:
    counted = "import sys; sys.exit(len(sys.stdin.buffer.read()) != 3000000)"
    assert feed_to(tool(counted), {}, feed) == (sha256(DATA), len(DATA))


def test_a_tool_that_does_not_read_to_the_end_may_do_so() -> None:
    assert feed_to(tool(""), {}, feed) == (sha256(DATA), len(DATA))


def test_a_tool_that_fails_is_told_in_its_words() -> None:
    with pytest.raises(LoadError, match="ended with 3: one; two"):
        feed_to(tool(r"import sys; print('one\n\ntwo', file=sys.stderr); sys.exit(3)"), {}, feed)


def test_a_tool_that_is_missing_is_told() -> None:
    with pytest.raises(LoadError, match="/nowhere/pg_restore: No such file"):
        feed_to(["/nowhere/pg_restore"], {}, feed)
    with pytest.raises(LoadError, match="/nowhere/psql: No such file"):
        run(["/nowhere/psql"])


def test_a_dump_that_breaks_off_is_never_taken_for_the_whole() -> None:
    def broken(take: Callable[[bytes], object]) -> None:
        take(b"half")
        raise LoadError("damaged")

    with pytest.raises(LoadError, match="damaged"):
        feed_to(tool("import sys; sys.stdin.read()"), {}, broken)


def test_the_environment_reaches_the_tool_and_its_answer_is_returned() -> None:
    assert run(tool("import os, sys; print(os.environ['A'], sys.stdin.read())"), {"A": "1"}, "text") == "1 text\n"
    with pytest.raises(LoadError, match="ended with 1: no"):
        run(tool("import sys; sys.exit('no')"))


def test_words_are_one_line_and_short() -> None:
    assert words_of(" a \n\n b ") == "a; b"
    assert words_of("") == "it says nothing"
    assert len(words_of("x" * 10_000)) == 500


def test_rows_are_read_from_the_answer() -> None:
    assert rows_of('["public.a", 3]\n["extra.with space", 0]\n') == {"public.a": 3, "extra.with space": 0}
    for text in ("nonsense", '["a"]', '["a", "b"]', "3"):
        with pytest.raises(LoadError, match="not as it should be"):
            rows_of(text)


ODD = "new\nline `of` größe"
CLIENT = f"""
import sys
text = sys.stdin.read()
if "information_schema" in text:
    print("{ODD.encode().hex().upper()}", "61", sep="\\n")
else:
    assert "COUNT(*) FROM `new\\nline ``of`` größe`;" in text, text
    print("{ODD.encode().hex().upper()}\\t3\\n61\\t0")
"""


def test_rows_of_mariadb_are_counted_whatever_tables_are_called() -> None:
    assert count_mariadb(tool(CLIENT)) == {ODD: 3, "a": 0}
    for answer in ("zz", "ff\\n"):
        with pytest.raises(LoadError, match="answer of the database is not as it should be"):
            count_mariadb(tool(f"print('{answer}')"))


def test_tables_that_differ_are_named() -> None:
    assert other_rows({"a": 1, "b": 2, "c": 3}, {"a": 1, "b": 3, "d": 0}) == [
        "table b has 3 rows instead of 2",
        "table c is missing",
        "table d was not in the backup",
    ]
    assert other_rows({"a": 1}, {"a": 1}) == []


def test_a_server_that_is_not_installed_says_nothing_about_a_dump(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_restore_database, "FOLDERS", ("/nowhere/*/bin",))
    with pytest.raises(UntriedError, match="no-such-program, which loads the database, is not installed"):
        program("no-such-program")
    assert program("sh").endswith("/sh")


def test_the_newest_server_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    found = ["/usr/lib/postgresql/9.6/bin/initdb", "/usr/lib/postgresql/15/bin/initdb"]
    monkeypatch.setattr(_restore_database.glob, "glob", lambda pattern: found if "lib/postgresql" in pattern else [])
    assert program("initdb") == found[1]
