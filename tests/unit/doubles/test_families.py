# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings flipped on the families of versions with long support before and after that of the test hosts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._products import load_products
from settings_flips import GOOD, GOOD_FOR, ROUNDS, WITH_LOGINS, Flip
from unit.doubles.asked import described, judge_settings
from unit.doubles.instances import Instance, built


def families(product: str) -> list[str]:
    """Return a version of the family before and of the one after that of the test hosts."""

    def numbers(version: str) -> tuple[int, ...]:
        return tuple(map(int, version.split(".")))[:2]

    own = numbers(built(product).settings["version"])
    lines = sorted(
        numbers(entry["cycle"]) for entry in load_products()[product]["lifecycle"]["cycles"] if entry.get("lts")
    )
    place = lines.index(own)
    return [f"{major}.{minor}.9" for major, minor in (lines[place - 1], lines[place + 1])]


CASES = [(product, version) for product in WITH_LOGINS for version in families(product)]


@dataclass
class Family:
    """A double of a version, set up as it should be."""

    instance: Instance
    described: dict[str, Any]
    clean: dict[str, str]

    def judge(self, check_mode: bool = True) -> dict[str, str]:
        return judge_settings([self.described], check_mode)

    @contextmanager
    def flipped(self, flip: Flip) -> Iterator[None]:
        """Change a setting for the worse for a while."""
        before = self.instance.kept(flip.table)
        if flip.where is None:
            self.instance.keep(flip.table, over(before, flip.value))
        else:
            column, value = flip.where
            self.instance.keep(flip.table, [over(row, flip.value) if row[column] == value else row for row in before])
        yield
        self.instance.keep(flip.table, before)


def over(old: Any, new: Any) -> Any:
    """Write one value over another, groups of settings one by one."""
    if isinstance(old, dict) and isinstance(new, dict):
        return {**old, **{key: over(old.get(key), part) for key, part in new.items()}}
    return new


@pytest.fixture(scope="module", params=CASES, ids=[" ".join(case) for case in CASES])
def family(request: pytest.FixtureRequest, classes: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Family]:
    product, version = request.param
    instance = Instance(tmp_path_factory.mktemp(product), classes, product, f"version={version}")
    for table, value in GOOD.items():
        if product in GOOD_FOR.get(table, WITH_LOGINS):
            instance.keep(table, value)
    with instance.serving() as client:
        told = described(instance, client)
        judge_settings([told], check_mode=False)
        yield Family(instance, told, judge_settings([told]))


def test_each_setting_is_found_under_its_control_and_put_right(family: Family) -> None:
    product = family.instance.product
    flips = [flip for flips in ROUNDS for flip in flips if product in flip.products]
    assert len(flips) >= 7
    for flip in flips:
        assert family.clean[flip.control] != "fail", flip
        with family.flipped(flip):
            assert family.judge() == {**family.clean, flip.control: "fail"}, flip
            assert family.judge(check_mode=False)[flip.control] == flip.becomes, flip
            right = "fail" if flip.becomes == "fail" else family.clean[flip.control]
            assert family.judge()[flip.control] == right, flip
    assert family.judge() == family.clean
