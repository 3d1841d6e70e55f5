# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs share packed modules in a session of tests, and do without anywhere else."""

from __future__ import annotations

import importlib
import inspect
import io
import os
import zipfile
from pathlib import Path
from types import ModuleType

import packed
import pytest
from packed.callback_plugins.packed import compiled


def test_runs_of_a_session_share_what_they_have_packed() -> None:
    given = packed.environment(Path("/more"))
    assert given[packed.FOLDER] == os.environ[packed.FOLDER]
    assert given["ANSIBLE_CALLBACK_PLUGINS"].split(":")[1:] == ["/more"]


def test_a_run_outside_of_tests_packs_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(packed.FOLDER)
    assert packed.environment(Path("/more")) == {"ANSIBLE_CALLBACK_PLUGINS": "/more"}


def imported(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Import a module from an archive that holds its bytecode."""
    source = io.BytesIO()
    with zipfile.ZipFile(source, "w") as out:
        out.writestr(f"{name}.py", "ANSWER = 42\n")
    path = folder / "module.zip"
    path.write_bytes(compiled(source.getvalue()))
    monkeypatch.syspath_prepend(path)
    return importlib.import_module(name)


def test_a_module_is_run_from_bytecode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = imported("packed_for_this_python", tmp_path, monkeypatch)
    assert module.ANSWER == 42
    assert str(module.__file__).endswith(".pyc")
    assert inspect.getsource(module) == "ANSWER = 42\n"


def test_another_python_takes_the_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("packed.callback_plugins.packed.HEAD", b"\0" * 16)
    module = imported("packed_for_another_python", tmp_path, monkeypatch)
    assert module.ANSWER == 42
    assert str(module.__file__).endswith(".py")
