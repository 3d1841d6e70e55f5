# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a double is made of fits together before an image is built from it."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest
from doubles.common import double, tree

DOUBLES = Path(double.__file__).resolve().parent.parent
FOLDERS = sorted(path.parent.name for path in DOUBLES.glob("*/build.py"))
STATES = ("unhardened", "vendor")
STEP = re.compile(r'^ +case "(\w+)" ->', re.MULTILINE)


def double_of(folder: str) -> type[double.Double]:
    module = importlib.import_module(f"doubles.{folder}.build")
    return next(
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, double.Double) and value.__module__ == module.__name__
    )


def built(folder: str, state: str, *changes: str) -> double.Double:
    cls = double_of(folder)
    return cls(double.settings_for(cls.folder, state, changes), Path("/nowhere"))


def scripts(one: double.Double) -> dict[str, str]:
    values = one.all_values()
    names = {path.name for path in one.folder.glob("*.txt")} - {double.REST}
    return {name: one.script(values, name) for name in names}


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("folder", FOLDERS)
class TestEveryDouble:
    def test_has_a_value_for_every_placeholder_of_its_files(self, folder: str, state: str) -> None:
        one = built(folder, state)
        values = one.all_values()
        for path in (one.folder / "files").rglob("*"):
            if path.is_file():
                tree.fill(path.read_text(), values, path.name)
        assert scripts(one)

    def test_its_scripts_hold_only_steps_there_are(self, folder: str, state: str) -> None:
        steps = set(STEP.findall((double.COMMON / "java/Instance.java").read_text()))
        assert {"lock", "append", "listen"} <= steps
        for text in scripts(built(folder, state)).values():
            section = ""
            for line in text.splitlines():
                if line.startswith("["):
                    section = line
                elif line and not line.startswith("#") and section not in ("[page]", "[rest]"):
                    words = line.split()
                    while words[0] in ("with", "without"):
                        words = words[2:]
                    assert words[0] in steps, line

    def test_its_unit_runs_as_root_only_where_it_is_badly_kept(self, folder: str, state: str) -> None:
        one = built(folder, state)
        values = one.all_values()
        for unit in one.units():
            text = tree.fill((one.folder / f"files/system/{unit}.service").read_text(), values, unit)
            assert (f"\nUser={one.settings['user']}\n" in text) is (state == "vendor")
            assert "User=\n" not in text

    def test_its_folder_is_called_as_it_is_and_says_where_its_choices_come_from(self, folder: str, state: str) -> None:
        one = built(folder, state)
        assert one.name == folder
        assert "## Where each choice comes from" in (one.folder / "README.md").read_text()


class TestSettings:
    def test_a_product_overrides_what_is_common_and_a_change_both(self) -> None:
        folder = DOUBLES / "bamboo_agent"
        assert double.settings_for(folder, "unhardened", [])["groups"] == ["adm", "docker"]
        assert double.settings_for(folder, "vendor", ['groups=["video"]'])["groups"] == ["video"]

    def test_texts_name_the_account(self) -> None:
        settings = double.settings_for(DOUBLES / "crowd", "unhardened", ["user=crowd1"])
        assert settings["sudoers"] == "crowd1 ALL=(ALL) NOPASSWD: ALL"

    @pytest.mark.parametrize("change", ["colour=red", "user"])
    def test_what_is_no_setting_is_refused(self, change: str) -> None:
        with pytest.raises(SystemExit, match="there is no such setting"):
            double.settings_for(DOUBLES / "crowd", "unhardened", [change])

    def test_an_unknown_state_is_refused(self) -> None:
        with pytest.raises(SystemExit, match=r"There are: unhardened, vendor\."):
            double.settings_for(DOUBLES / "crowd", "neglected", [])


def test_confluence_has_synchrony_as_a_process_of_its_own_or_as_a_unit() -> None:
    managed, standalone = (built("confluence", "unhardened", f"synchrony={how}") for how in ("managed", "standalone"))
    assert managed.units() == ["confluence"]
    assert standalone.units() == ["confluence", "synchrony"]
    assert ["synchrony.core sql" in scripts(one)["instance.txt"] for one in (managed, standalone)] == [True, False]


def test_an_agent_has_nothing_but_its_home(tmp_path: Path) -> None:
    cls = double_of("bamboo_agent")
    agent = cls(double.settings_for(cls.folder, "unhardened", []), tmp_path)
    agent.home.mkdir(parents=True)
    assert agent.roots == [agent.home]


def test_the_same_archive_has_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.jar", "b.jar"):
        tree.jar(tmp_path / name, "1.2.3")
    assert (tmp_path / "a.jar").read_bytes() == (tmp_path / "b.jar").read_bytes()
