# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of sudo: which name an account, and files without it, checked by visudo itself where there is one."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._sudoers import (
    Identity,
    all_aliases,
    grants,
    parse,
    read_tree,
    without_account,
)
from hypothesis import given, settings
from hypothesis import strategies as st

JIRA = Identity("jira", 1001, frozenset({"jira", "ssl"}), frozenset({1001, 50}))

VISUDO = shutil.which("visudo", path="/usr/sbin:/usr/bin:/sbin:/bin")


def found(text: str, who: Identity = JIRA) -> list[tuple[int, bool]]:
    sudoers = parse("/etc/sudoers", text)
    return [(grant.line, grant.removable) for grant in grants(sudoers, who, sudoers.aliases)]


def rewritten(text: str) -> str:
    return without_account(parse("/etc/sudoers", text), JIRA)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("jira ALL=(ALL) NOPASSWD: ALL\n", [(1, True)]),
        ("  jira\tALL = /bin/ls\n", [(1, True)]),
        ("alice, jira , bob ALL=ALL\n", [(1, True)]),
        ("alice,\\\n  jira ALL=ALL\n", [(1, True)]),
        ("#1001 ALL=ALL\n", [(1, True)]),
        ("#1002 ALL=ALL\n", []),
        ('"jira" ALL=ALL\n', [(1, True)]),
        ("%jira ALL=ALL\n", [(1, False)]),
        ("%#50 ALL=ALL\n", [(1, False)]),
        ("%other ALL=ALL\n", []),
        ("+netgroup ALL=ALL\n", []),
        ("ALL ALL=ALL\n", [(1, False)]),
        ("ALL, !jira ALL=ALL\n", []),
        ("jira, !jira ALL=ALL\n", []),
        ("!jira, jira ALL=ALL\n", [(1, True)]),
        ("ALL, !%ssl ALL=ALL\n", []),
        ("User_Alias A = alice, jira : B = bob\nA ALL=ALL\nB ALL=ALL\n", [(2, False)]),
        ("B ALL=ALL\nUser_Alias A = jira\nUser_Alias B = A\n", [(1, False)]),
        ("User_Alias A = ALL, !jira\nA ALL=ALL\n", []),
        ("jira, ALL ALL=ALL\n", [(1, False)]),
        ("# jira ALL=ALL\n", []),
        ("# a comment \\\njira ALL=ALL\n", [(2, True)]),
        ("Defaults:jira !authenticate\n", []),
        ("Defaults env_reset\njira ALL=ALL\n", [(2, True)]),
        ("Runas_Alias jira = bob\nCmnd_Alias J = /bin/jira\nHost_Alias H = jira\n", []),
        ("alice ALL=(jira) ALL\n", []),
        ("jirax ALL=ALL\nxjira ALL=ALL\nJIRA ALL=ALL\n", []),
        ("", []),
    ],
)
def test_rules_for_the_account(text: str, expected: list[tuple[int, bool]]) -> None:
    assert found(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("alice ALL=ALL\njira ALL=ALL\nbob ALL=ALL\n", "alice ALL=ALL\nbob ALL=ALL\n"),
        ("alice, jira, bob ALL=(ALL) ALL # both\n", "alice, bob ALL=(ALL) ALL # both\n"),
        ("jira, #1001, bob ALL=ALL\n", "bob ALL=ALL\n"),
        ("alice,\\\n  jira ALL = \\\n  /bin/ls\n", "alice ALL = \\\n  /bin/ls\n"),
        ("jira ALL = /bin/ls, \\\n  /bin/cat\nbob ALL=ALL\n", "bob ALL=ALL\n"),
        ("jira, !bob ALL=ALL\nbob ALL=ALL\n", "bob ALL=ALL\n"),
        ("jira ALL=ALL", "# The rules of account jira were taken out: a service account needs no rights of sudo.\n"),
        ("Defaults:jira !tty\njira ALL=ALL\n", "Defaults:jira !tty\n"),
        ("%jira ALL=ALL\nALL ALL=/bin/ls\n", "%jira ALL=ALL\nALL ALL=/bin/ls\n"),
    ],
)
def test_account_is_left_out(text: str, expected: str) -> None:
    assert rewritten(text) == expected
    assert not any(removable for _line, removable in found(rewritten(text)))


user = st.sampled_from(
    ["jira", "#1001", "alice", "bob", "%wheel", "%jira", "+net", "ADMINS", '"jira"', "!bob", "al\\ ice"]
)
comma = st.sampled_from([",", ", ", " ,", ",\\\n  "])
gap = st.sampled_from([" ", "\t", "  ", " \\\n "])
rights = st.sampled_from(
    ["ALL=ALL", "ALL=(root) NOPASSWD: /bin/ls, /bin/cat", "ALL = (ALL:ALL) \\\n  /bin/ls", "h1=/bin/ls : h2=ALL"]
)


@st.composite
def rules(draw: st.DrawFn) -> str:
    users = draw(st.lists(user, min_size=1, max_size=5))
    text = users[0]
    for item in users[1:]:
        text += draw(comma) + item
    return text + draw(gap) + draw(rights)


lines = st.one_of(
    rules(),
    st.sampled_from(["# jira stays in comments", "", "Defaults env_reset", "Defaults:jira !lecture"]),
)
files = st.lists(lines, max_size=6).map(
    lambda parts: "Cmnd_Alias LS = /bin/ls\nUser_Alias ADMINS = carol, jira\n" + "".join(f"{p}\n" for p in parts)
)


@given(files)
def test_nobody_but_the_account_loses_anything(text: str) -> None:
    after = rewritten(text)
    assert not any(removable for _line, removable in found(after))
    for name in ("alice", "bob", "carol", "al ice"):
        other = Identity(name, 5000, frozenset({"wheel"}), frozenset())
        assert len(found(after, other)) == len(found(text, other))
    assert rewritten(after) == after


@given(st.text('jira#,!=%+:@\\" \t\nALUser_AliasDefaults()/', max_size=80))
def test_any_text_is_read_without_an_error(text: str) -> None:
    rewritten(text)
    assert not any(removable for _line, removable in found(rewritten(text)))


@pytest.mark.skipif(VISUDO is None, reason="visudo is not installed")
@settings(max_examples=25)
@given(text=files)
def test_visudo_takes_the_result(text: str) -> None:
    def accepted(content: str) -> bool:
        command = [str(VISUDO), "-c", "-f", "-"]
        return subprocess.run(command, input=content.encode(), capture_output=True, check=False).returncode == 0

    assert accepted(text)
    assert accepted(rewritten(text))


def test_tree_of_includes(tmp_path: Path) -> None:
    etc = tmp_path / "etc"
    (etc / "sudoers.d").mkdir(parents=True)
    (etc / "more").mkdir()
    (etc / "sudoers").write_text(
        "root ALL=(ALL) ALL\n@includedir /etc/sudoers.d\n#include more/%h\n@include /etc/absent\n"
        "@include /etc/sudoers\n"
    )
    for name in ("10-a", "b", "skipped.conf", "skipped~"):
        (etc / "sudoers.d" / name).write_text(f"{name} ALL=ALL\n")
    (etc / "more/host1").write_text("User_Alias A = jira\n")
    files_read = read_tree(str(tmp_path), "host1.example.com")
    assert [sudoers.path for sudoers in files_read] == [
        "/etc/sudoers",
        "/etc/sudoers.d/10-a",
        "/etc/sudoers.d/b",
        "/etc/more/host1",
    ]
    assert list(all_aliases(files_read)) == ["A"]


def test_no_sudo(tmp_path: Path) -> None:
    assert read_tree(str(tmp_path), "host1") == []
