# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pythons are found and environments made anew when they have to be."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import environments
import pytest
import versions
from environments import Environment, find_python
from hosts.podman import SYSTEM_PATH


def program(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


class TestFindPython:
    @pytest.fixture(autouse=True)
    def places(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(environments, "PLACES", (f"{tmp_path}/managed/*/bin",))
        monkeypatch.setenv("PATH", f"{tmp_path}/shims:{tmp_path}/bin")

    def test_passes_over_what_does_not_run(self, tmp_path: Path) -> None:
        program(tmp_path / "shims/python3.97", "exit 127")
        (tmp_path / "bin").mkdir()
        (tmp_path / "bin/python3.97").write_text("not executable", encoding="utf-8")
        right = program(tmp_path / "managed/3.97.1/bin/python3.97", "echo 3.97")
        assert find_python((3, 97), (3, 98)) == str(right)

    def test_takes_the_oldest_that_will_do(self, tmp_path: Path) -> None:
        for minor in (96, 97, 98):
            program(tmp_path / f"bin/python3.{minor}", f"echo 3.{minor}")
        assert find_python((3, 97), (3, 98)) == str(tmp_path / "bin/python3.97")

    def test_does_not_trust_the_name(self, tmp_path: Path) -> None:
        program(tmp_path / "bin/python3.97", "echo 3.8")
        assert find_python((3, 97), (3, 97)) is None


class TestEnvironment:
    @pytest.fixture
    def made(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """Return the environments that were made, one entry each."""
        made: list[str] = []

        def run(argv: Sequence[str], *_rest: object) -> None:
            if "venv" in argv:
                made.append(argv[-1])
                link = Path(argv[-1], "bin", "python")
                link.parent.mkdir(parents=True, exist_ok=True)
                link.unlink(missing_ok=True)
                link.symlink_to(sys.executable)

        monkeypatch.setattr(environments, "CHECKOUT", tmp_path)
        monkeypatch.setattr(environments, "run_logged", run)
        (tmp_path / "requirements.txt").write_text("one\n", encoding="utf-8")
        return made

    def environment(self, tmp_path: Path, *packages: str) -> Environment:
        return Environment(tmp_path / ".venvs" / "2.18", sys.executable, packages)

    def test_is_made_once(self, made: list[str], tmp_path: Path) -> None:
        self.environment(tmp_path, "one").make()
        self.environment(tmp_path, "one").make()
        assert made == [str(tmp_path / ".venvs" / "2.18")]

    def test_is_made_anew_when_something_has_changed(self, made: list[str], tmp_path: Path) -> None:
        self.environment(tmp_path, "one").make()
        self.environment(tmp_path, "two").make()
        assert len(made) == 2
        (tmp_path / "requirements.txt").write_text("two\n", encoding="utf-8")
        self.environment(tmp_path, "two").make()
        assert len(made) == 3

    def test_is_made_anew_when_its_python_has_gone(self, made: list[str], tmp_path: Path) -> None:
        self.environment(tmp_path).make()
        link = tmp_path / ".venvs" / "2.18" / "bin" / "python"
        link.unlink()
        link.symlink_to(tmp_path / "gone")
        self.environment(tmp_path).make()
        assert len(made) == 2

    def test_takes_the_place_of_anything(self, made: list[str], tmp_path: Path) -> None:
        (tmp_path / ".venvs").mkdir()
        (tmp_path / ".venvs" / "2.18").symlink_to(tmp_path / "nowhere")
        self.environment(tmp_path).make()
        assert len(made) == 1
        assert not (tmp_path / ".venvs" / "2.18").is_symlink()


@pytest.mark.parametrize(
    ("warning", "exit_code", "passes"),
    [
        ('Using locale "C.UTF-8" instead of "en_US.UTF-8".', 0, True),
        ('Using locale "C.UTF-8" instead of "en_US.UTF-8".', 1, False),
        ('Required program "shellcheck" not found.', 0, False),
        ("All targets skipped.", 0, False),
    ],
)
def test_nothing_left_out_goes_unnoticed(tmp_path: Path, warning: str, exit_code: int, passes: bool) -> None:
    pip = "WARNING: Location 'file:///x/' is ignored: it is neither a file nor a directory."
    shown = (
        f"cat <<'END'\n{pip}\nWARNING: {warning}\nWARNING: Reviewing previous 1 warning(s):\nWARNING: {warning}\nEND"
    )
    fake = program(tmp_path / "ansible-test", f"{shown}\nexit {exit_code}")
    assert versions.passes([str(fake)], tmp_path, {"PATH": SYSTEM_PATH}) is passes
