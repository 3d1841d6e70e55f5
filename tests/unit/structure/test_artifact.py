# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What somebody who installs the collection gets."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[3]
# All that is used at run time, or read by people who have only the installed collection.
FOLDERS = {"changelogs", "docs", "meta", "playbooks", "plugins", "roles"}
FILES = {"CHANGELOG.md", "LICENSE", "README.md"}
# Written by ansible-galaxy itself.
MADE = {"FILES.json", "MANIFEST.json"}
# Left in a checkout by tests, tools and runs of the playbooks.
LEFTOVERS = (
    ".ansible/x", ".collections/x", ".demo/x", ".git/config", ".hosts/state.json", ".hypothesis/x",
    ".mypy_cache/x", ".pytest_cache/x", ".ruff_cache/x", ".test-results/x.xml", ".venv/bin/python", ".venvs/2.18/x",
    "atlassian-dc-backups/x.drill.json", "atlassian-dc-baselines/x.db.gz", "atlassian-dc-report/report.json",
    "atlassian_dc-hardening-0.0.1.tar.gz",
    "changelogs/.plugin-cache.yaml", "plugins/modules/__pycache__/gate.cpython-311.pyc", "tests/output/x",
)  # fmt: skip


def tracked() -> list[str]:
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        text=True,
        check=True,
        cwd=CHECKOUT,
    ).stdout
    return [name for name in listed.split("\0") if (CHECKOUT / name).is_file()]


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Build the collection from a checkout somebody has worked in; return the names of the files in it."""
    checkout, out = tmp_path_factory.mktemp("checkout"), tmp_path_factory.mktemp("artifact")
    for name in tracked():
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(CHECKOUT / name, checkout / name)
    for name in LEFTOVERS:
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout / name).write_text("left over\n", encoding="utf-8")
    subprocess.run(
        [Path(sys.executable).with_name("ansible-galaxy"), "collection", "build", "--output-path", out],
        check=True,
        capture_output=True,
        cwd=checkout,
    )
    (archive,) = out.iterdir()
    with tarfile.open(archive) as tar:
        return {member.name for member in tar if member.isfile()}


def test_holds_what_is_used_at_run_time_and_nothing_else(artifact: set[str]) -> None:
    used = {name for name in tracked() if name.partition("/")[0] in FOLDERS or name in FILES}
    used -= {name for name in used if name.startswith("changelogs/fragments/")}
    assert artifact - MADE == used
