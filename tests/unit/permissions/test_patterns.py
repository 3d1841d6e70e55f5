# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Path patterns, followed along a walk."""

from __future__ import annotations

import re

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._permissions import (
    Pattern,
    Patterns,
    PolicyError,
)
from hypothesis import given
from hypothesis import strategies as st


def matching(texts: list[str], path: str) -> set[str]:
    """Return the patterns a path matches, going down folder by folder as the walk does."""
    patterns = Patterns([Pattern(text) for text in texts])
    if path == ".":
        return {texts[number] for number in patterns.root_matches}
    below = patterns.start
    numbers: frozenset[int] = frozenset()
    for name in path.split("/"):
        match = below.match(name)
        numbers = match.numbers
        below = below.enter(match)
    return {texts[number] for number in numbers}


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        (".", ".", True),
        (".", "a", False),
        ("**", ".", False),
        ("**", "a", True),
        ("**", "a/b/c", True),
        ("logs", "logs", True),
        ("logs", "logs/a", False),
        ("logs", "x/logs", False),
        ("logs/**", "logs", False),
        ("logs/**", "logs/a", True),
        ("logs/**", "logs/a/b", True),
        ("**/*.zip", "a.zip", True),
        ("**/*.zip", "x/y/a.zip", True),
        ("**/*.zip", "a.zip/b", False),
        ("conf/*/x.xml", "conf/Catalina/x.xml", True),
        ("conf/*/x.xml", "conf/x.xml", False),
        ("a/**/b", "a/b", True),
        ("a/**/b", "a/x/y/b", True),
        ("a/**/b", "b", False),
        ("[*]", "*", True),
        ("[*]", "x", False),
        ("*", "*", True),
        ("a?c", "a\nc", True),
        ("*.zip", "a\nb.zip", True),
        ("*.zip", "\udcff.zip", True),
        ("*.zip", "A.ZIP", False),
    ],
)
def test_meaning(pattern: str, path: str, expected: bool) -> None:
    assert (pattern in matching([pattern], path)) is expected


@pytest.mark.parametrize("text", ["/etc", "../x", "a/../b"])
def test_patterns_stay_in_the_tree(text: str) -> None:
    with pytest.raises(PolicyError, match="relative to the tree"):
        Pattern(text)


def as_expression(pattern: str) -> re.Pattern[str]:
    """Return a pattern as one regular expression over the whole path: the simple way to say the same."""
    names = pattern.split("/")
    if names[-1] == "**":
        names.append("*")
    result = ""
    for position, name in enumerate(names):
        if name == "**":
            result += "(?:[^/]+/)*"
        else:
            result += "".join("[^/]*" if letter == "*" else re.escape(letter) for letter in name)
            result += "/" if position < len(names) - 1 else ""
    return re.compile(result)


NAME = st.text("ab", min_size=1, max_size=2)
STEP = st.one_of(NAME, st.just("*"), st.just("**"), st.just("a*"))


@given(
    st.lists(st.lists(STEP, min_size=1, max_size=4).map("/".join), min_size=1, max_size=4, unique=True),
    st.lists(NAME, min_size=1, max_size=4).map("/".join),
)
def test_many_patterns_at_once_match_as_each_alone(texts: list[str], path: str) -> None:
    assert matching(texts, path) == {text for text in texts if as_expression(text).fullmatch(path)}
