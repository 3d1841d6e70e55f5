# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Building a product's directories below a root: templates, archives, accounts, owners and modes."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

PLACEHOLDER = re.compile(r"@([A-Z_]+)@")


def fill(text: str, values: Mapping[str, str], where: str) -> str:
    """Replace @NAME@ by its value; an unknown name is an error of the double's author."""

    def value(match: re.Match[str]) -> str:
        if match[1] not in values:
            raise KeyError(f"{where}: no value for @{match[1]}@")
        return values[match[1]]

    return PLACEHOLDER.sub(value, text)


def install_templates(
    source: Path, target: Path, values: Mapping[str, str], skip: frozenset[str] = frozenset()
) -> None:
    """Copy a folder of text files, filled in; names in `skip` (relative paths) are left out."""
    for path in sorted(source.rglob("*")):
        relative = path.relative_to(source)
        if path.is_file() and str(relative) not in skip:
            write(target / relative, fill(path.read_text(), values, str(relative)))
            if path.suffix == ".sh":
                (target / relative).chmod(0o755)


def write(path: Path, content: str | bytes) -> None:
    """Write a file and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content, encoding="utf-8")


def archive(path: Path, members: Mapping[str, str]) -> None:
    """Write a ZIP or JAR file with the given members; the same input gives the same bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(zipfile.ZipInfo(name, (2026, 11, 20, 3, 0, 0)), content)


def below(root: Path) -> Iterator[Path]:
    """Yield a folder and everything in it, without following symbolic links."""
    yield root
    for folder, folders, files in os.walk(root):
        for name in (*folders, *files):
            yield Path(folder) / name


def own(root: Path, user: str, group: str) -> None:
    """Give a tree to somebody."""
    for path in below(root):
        shutil.chown(path, user, group) if not path.is_symlink() else None


def modes(root: Path, folder: int, file: int, executable: int | None = None) -> None:
    """Set modes in a tree; `executable` is for files that anybody may execute now."""
    for path in below(root):
        if path.is_symlink():
            continue
        if path.is_dir():
            path.chmod(folder)
        elif executable is not None and path.stat().st_mode & stat.S_IXUSR:
            path.chmod(executable)
        else:
            path.chmod(file)


def run(*argv: str, data: str | None = None) -> str:
    """Run a command that must succeed."""
    done = subprocess.run(argv, input=data, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(argv)} failed: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout
