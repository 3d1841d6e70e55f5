# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files of a home are looked at again."""

from __future__ import annotations

from collections import Counter

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.module_utils import _backup_sample
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._backup_sample import Choice, Node


def chosen(sizes: dict[str, int], seed: str) -> list[str]:
    choice = Choice(seed)
    for path, size in sizes.items():
        choice.offer(Node("home", "1234", path, size, None))
    return [node.path for node in choice.nodes]


def test_few_are_all_chosen_but_empty_and_long_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_backup_sample, "FILE_BYTES", 3)
    assert chosen({"/a": 3, "/empty": 0, "/long": 4}, "any") == ["/a"]


def test_each_is_as_likely_as_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_backup_sample, "SAMPLE", 10)
    sizes = {f"/{number}": 1 for number in range(40)}
    times = Counter(path for seed in range(400) for path in chosen(sizes, str(seed)))
    assert sum(times.values()) == 4000
    # Expected 100 each, with a deviation of 9.
    assert min(times.values()) > 60
    assert max(times.values()) < 140


def test_several_that_have_chosen_are_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_backup_sample, "SAMPLE", 10)
    times: Counter[str] = Counter()
    for seed in range(400):
        choices = [Choice(f"{seed} {part}") for part in range(3)]
        for part, count in enumerate((0, 4, 36)):
            for number in range(count):
                choices[part].offer(Node("home", "1234", f"/{part}/{number}", 1, None))
        nodes = Choice.among(choices, str(seed))
        assert nodes == Choice.among(choices, str(seed))
        times.update(node.path for node in nodes)
    assert sum(times.values()) == 4000
    # Expected 100 each, with a deviation of 9.
    assert min(times.values()) > 60
    assert max(times.values()) < 140


def test_few_are_all_there_whoever_has_chosen_them() -> None:
    one, other = Choice("one"), Choice("other")
    one.offer(Node("home", "1234", "/a", 1, None))
    other.offer(Node("home", "1234", "/b", 1, None))
    assert {node.path for node in Choice.among([one, other], "any")} == {"/a", "/b"}
    assert Choice.among([], "any") == []
