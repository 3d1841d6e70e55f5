# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the controller adds to file integrity: what is to be watched, and the copies of the baselines."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import json
import os
import posixpath
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ansible_collections.atlassian_dc.hardening.plugins.module_utils._integrity_scope import Area
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._systemd import below

APP, CONFIGURATION, PROGRAM, UNIT = "app", "configuration file", "program file", "unit"
OWN_SCRIPT = Area("/var/lib/atlassian-dc-fail2ban/read-new-logs", "file of this collection")
"""The only script of this collection that systemd runs and that does not lie below /etc."""

_PATTERN = "*?["


class CopyError(Exception):
    """The copy of a baseline cannot be read or written; says why."""


# ---- what is watched ---------------------------------------------------------------------------------------


def _paths(instance: Mapping[str, Any], entries: Iterable[Mapping[str, Any]] | None) -> list[str]:
    """Return the paths of entries of product data, those with patterns left out."""
    trees = {"install": "install_dir", "home": "home_dir", "shared_home": "shared_home_dir"}
    found = []
    for entry in entries or ():
        folder = instance.get(trees[entry.get("tree", "install")])
        if folder and not any(character in entry["path"] for character in _PATTERN):
            found.append(posixpath.normpath(posixpath.join(folder, entry["path"])))
    return found


def areas_of(instance: Mapping[str, Any], data: Mapping[str, Any]) -> list[Area]:
    """Return what is watched of an instance.

    Args:
        instance: as discovery describes it.
        data: what is known of its product.

    """
    name, install = instance["name"], instance.get("install_dir")
    whole = bool(install) and install != instance.get("home_dir")
    programs = [install] if whole else _paths(instance, (data.get("install") or {}).get("code_dirs"))
    units = [instance.get("unit_path"), instance.get("init_script")]
    if instance.get("unit"):
        units += [f"/etc/systemd/system/{instance['unit']}", f"/etc/systemd/system/{instance['unit']}.d"]
    found = [
        *((path, PROGRAM) for path in [*programs, instance.get("install_link")]),
        *((path, APP) for path in _paths(instance, (data.get("code") or {}).get("dirs"))),
        *((path, CONFIGURATION) for path in _paths(instance, data.get("config_files"))),
        *((path, UNIT) for path in units),
    ]
    return [Area(path, what, name) for path, what in found if path]


def mutable_of(instance: Mapping[str, Any], data: Mapping[str, Any]) -> list[str]:
    """Return what of an instance changes by itself."""
    folders = ("working_dirs", "log_dirs", "scratch_dirs", "archive_dirs")
    found = [path for key in folders for path in instance.get(key) or ()]
    found += _paths(instance, (data.get("code") or {}).get("caches"))
    pid_file = (data.get("install") or {}).get("pid_file")
    if pid_file:
        found += _paths(instance, [{"path": pid_file}])
    return [*found, *(path for path in (instance.get("home_dir"), instance.get("shared_home_dir")) if path)]


def scope_of(
    instances: Iterable[Mapping[str, Any]], known: Mapping[str, Mapping[str, Any]], paths: Iterable[str] = ()
) -> tuple[list[Area], list[str]]:
    """Return what is watched on a host, and what of it changes by itself.

    A home that lies in an installation, such as that of a service that writes where it is installed, is left out of it.

    Args:
        instances: those of the host.
        known: product data by product.
        paths: further ones, of the user.

    """
    areas = [OWN_SCRIPT, *(Area(path.rstrip("/") or "/", "file") for path in paths)]
    mutable: list[str] = []
    for instance in instances:
        data = known.get(instance["product"], {})
        areas += areas_of(instance, data)
        mutable += mutable_of(instance, data)
    roots = [area.path for area in areas]
    # Only what lies in something that is watched has to be left out.
    return sorted(set(areas)), sorted({path for path in mutable if any(below(path, root) for root in roots)})


# ---- what is kept ------------------------------------------------------------------------------------------


class Copies:
    """The copies of the baselines, one for each host, with a log of how each became what it is.

    Args:
        folder: where they lie.
        host: name of the host in the inventory.

    """

    def __init__(self, folder: str, host: str) -> None:
        self.folder = Path(os.path.expanduser(folder)).absolute()
        name = quote(host, safe="")
        self.path = self.folder / f"{name}.db.gz"
        self.log = self.folder / f"{name}.log.jsonl"

    def read(self) -> bytes | None:
        """Return the copy, None where there is none.

        Raises:
            CopyError: it is there and cannot be read.

        """
        try:
            return self.path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as exc:
            raise CopyError(f"{self.path}: {exc.strerror}") from exc

    def keep(self, baseline: bytes, run: str, told: Mapping[str, Any]) -> None:
        """Keep a baseline in the place of the one before, and log why.

        Args:
            baseline: the file.
            run: name of the run.
            told: what the module says of how it came about.

        Raises:
            CopyError: it cannot be written. What was kept before is kept on.

        """
        entry = {
            "time": f"{datetime.datetime.now(datetime.timezone.utc):%Y-%m-%dT%H:%M:%SZ}",
            "run": run,
            "sha256": hashlib.sha256(baseline).hexdigest(),
            **told,
        }
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with open(os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a", encoding="utf-8") as log:
                log.write(json.dumps(entry, sort_keys=True) + "\n")
            temporary = self.path.with_name(f".{self.path.name}")
            with contextlib.suppress(FileNotFoundError):
                temporary.unlink()
            with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
                stream.write(baseline)
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(self.path)
        except OSError as exc:
            raise CopyError(f"{exc.filename or self.folder}: {exc.strerror}") from exc
