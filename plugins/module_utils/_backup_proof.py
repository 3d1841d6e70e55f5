# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sees that what was saved comes back from the repository, and finds what the manifest says of it for a restore."""

# pylint: disable=ansible-bad-function  # runs by itself, where there is no module
from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import subprocess
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.atlassian_dc.hardening.plugins.module_utils._backup_database import Dump, PostgreSQL
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._backup_manifest import (
    DATABASE,
    NeededPath,
    Part,
    SampleFile,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._backup_restic import Restic
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._backup_sample import (
    Choice,
    Node,
    hash_on_host,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._backup_snapshot import VolumeSnapshot

SAMPLE_BYTES = 1024**3
"""Most that is read for the sample."""
READ_BACK_BYTES = 8 * 1024**2
"""Longest file that is read back from the repository at once."""
MAX_CHANGED = 5
"""Most files of it that have changed since and are hashed in the repository: each takes a start of restic."""
CLOCKS = 10
"""Seconds by which the clock of a file server may be ahead of that of the host."""
LIST_BYTES = 16 * 1024**2
"""How much of a dump is handed to pg_restore at most, which has to find its list of contents in it."""
AGAIN = "run role backup again"


class ProofError(Exception):
    """What was saved is not what it should be; says why."""


@dataclass
class _Listed:
    """What is in the snapshot of a part.

    Attributes:
        choice: of its files.
        found: which of the paths that a restore needs.
        keys: hashes of keys by path, by the path that a restore needs.

    """

    choice: Choice
    found: set[str] = field(default_factory=set)
    keys: dict[str, dict[str, str]] = field(default_factory=dict)


class Proof:
    """What comes back of a backup that was just made.

    Args:
        config: what is backed up, as the module writes it.
        name: of the backup.
        restic: the repository.
        now: tells the time.
        volumes: the snapshot of the storage that files were taken from, if there was one.

    """

    def __init__(
        self,
        config: Mapping[str, Any],
        name: str,
        restic: Restic,
        now: Callable[[], float],
        volumes: VolumeSnapshot | None,
    ) -> None:
        self.config = config
        self.name = name
        self.restic = restic
        self.now = now
        self.volumes = volumes
        self._needed = {str(item["place"]): item for item in config["needed"]}
        self._listed: dict[str, _Listed] = {}
        self._reads = threading.Lock()

    def see(self, parts: list[Part], dump: Dump | None) -> None:
        """See that the parts are in the repository, and read of each.

        All that a snapshot holds is listed: restic takes far longer to look for some hundred paths of many.

        Args:
            parts: what was saved.
            dump: of the database, the first of them; None where there is none.

        Raises:
            ProofError: something is not there, or another thing than what was saved.
            ResticError: the repository does not give it.

        """
        files = [part for part in parts if part.part != DATABASE]
        self._listed = {part.part: _Listed(Choice(f"{self.name} {part.part}")) for part in files}
        looks: list[Callable[[], None]] = [functools.partial(self._list, part, files) for part in files]
        if dump is not None:
            looks.insert(0, functools.partial(self._check_dump, parts[0], dump))
        self.restic.do_all(looks)

    def needed(self) -> tuple[NeededPath, ...]:
        """Return what a restore needs, as far as it is there."""
        parts = {place: name for name, listed in self._listed.items() for place in listed.found}
        keys = {place: hashes for listed in self._listed.values() for place, hashes in listed.keys.items()}
        return tuple(
            NeededPath(
                tree=item["tree"],
                path=item["path"],
                needed=item["needed"],
                part=parts.get(place),
                place=place if place in parts else None,
                present=place in parts,
                sha256=keys.get(place, {}),
            )
            for place, item in self._needed.items()
        )

    def sample(self) -> tuple[SampleFile, ...]:
        """Return files with their hashes.

        Raises:
            ResticError: one that has changed since does not come back.

        """
        chosen = Choice.among([listed.choice for listed in self._listed.values()], self.name)
        sample: list[SampleFile] = []
        total, count = 0, 0
        for node in sorted(chosen, key=lambda node: node.path):
            total += node.size
            if total > SAMPLE_BYTES:
                break
            digest = hash_on_host(node)
            changed = digest is None
            if digest is None:
                count += 1
                if count > MAX_CHANGED:
                    continue
                digest = self._stored_hash(node)
            sample.append(SampleFile(node.part, node.true_path, node.size, digest, changed))
        return tuple(sample)

    # ---- each part ---------------------------------------------------------------------------

    def _list(self, part: Part, parts: list[Part]) -> None:
        """See that the paths of a part are there, and what else is."""
        listed, missing = self._listed[part.part], set(part.paths)
        keys = tuple(f"{place}/" for place, item in self._needed.items() if item["key"])
        for item in self.restic.files(part.snapshot):
            path, size = item.get("path"), item.get("size", 0)
            if not isinstance(path, str) or not isinstance(size, int):
                continue
            path = path[len(part.root) :] if path.startswith(f"{part.root}/") else ""
            missing.discard(path)
            if item.get("type") == "symlink":
                self._see_link(path, part, parts)
                continue
            if path in self._needed:
                listed.found.add(path)
            # A name that is not UTF-8 cannot be asked for: restic tells it with this for each odd byte.
            if item.get("type") != "file" or "\N{REPLACEMENT CHARACTER}" in path:
                continue
            node = Node(part.part, part.snapshot, part.place(path), size, item.get("mtime"), part.root)
            if self.volumes and part.root:
                self._see_age(node, self.volumes)
            if f"{path}/".startswith(keys):
                digest = hash_on_host(node) or self._stored_hash(node)
                for place in filter(f"{path}/".startswith, keys):
                    listed.keys.setdefault(place[:-1], {})[path] = digest
            listed.choice.offer(node)
        if missing:
            raise ProofError(f"{part.part}: {sorted(missing)[0]} is not in the repository")
        self._read_back_one(listed.choice.nodes)

    def _read_back_one(self, nodes: list[Node]) -> None:
        """See that a file comes back as it is, of the part that is listed first; the drill reads all of the sample."""
        if not self._reads.acquire(blocking=False):
            return
        for node in nodes:
            digest = hash_on_host(node) if node.size <= READ_BACK_BYTES else None
            if digest is not None:
                if digest != self._stored_hash(node):
                    raise ProofError(f"{node.path} comes back from the repository with another content")
                return
        self._reads.release()

    def _see_link(self, path: str, part: Part, parts: list[Part]) -> None:
        """See that what a link leads to is saved where it matters: restic takes links as they are.

        Links that were there when this was set up lead to what is saved as well, or need not be followed. Others have
        been made since, as when somebody moves what takes much room to another disk.
        """
        needed = path in self._needed
        if not needed and os.path.dirname(path) not in part.paths:
            return
        target = os.path.realpath(path)
        if self.config["links"].get(path) == target or not (
            os.path.exists(target) if needed else os.path.isdir(target)
        ):
            return
        saved = [root for each in parts for root in each.paths]
        if not any(target == root or target.startswith(f"{root}/") for root in saved):
            raise ProofError(f"{path} has become a link to {target}, which is not saved: {AGAIN}")

    def _see_age(self, node: Node, volumes: VolumeSnapshot) -> None:
        """See that a file of a snapshot of the storage was not changed after it."""
        changed = (node.time or 0) / 10**9
        if volumes.ended + CLOCKS < changed <= self.now():
            raise ProofError(
                f"{node.path} was changed {changed - volumes.ended:.0f} seconds after the snapshot was made: what"
                " atlassian_dc_backup_snapshot makes is none"
            )

    def _stored_hash(self, node: Node) -> str:
        digest = hashlib.sha256()
        self.restic.dump(node.snapshot, node.path, digest.update)
        return digest.hexdigest()

    def _check_dump(self, part: Part, dump: Dump) -> None:
        """See that the tool of the database takes the dump as the repository has it; of others, that all is there."""
        if not isinstance(dump, PostgreSQL):
            sizes = [item.get("size") for item in self.restic.files(part.snapshot) if item.get("path") == part.paths[0]]
            if sizes != [part.bytes]:
                raise ProofError(f"the dump has {part.bytes} bytes, but the repository has {sizes} of it")
            return
        with subprocess.Popen(
            ["pg_restore", "--list"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        ) as process:
            target: Any = process.stdin
            given = 0

            def give(data: bytes) -> None:
                nonlocal given
                given += len(data)
                target.write(data)
                if given > LIST_BYTES:
                    raise _EnoughError

            with contextlib.suppress(BrokenPipeError, _EnoughError):  # it needs no more than the beginning
                self.restic.dump(part.snapshot, part.paths[0], give)
            _out, told = process.communicate()
        if process.returncode != 0:
            words = told.decode("utf-8", "replace").strip().splitlines()[-1:] or ["no reason told"]
            raise ProofError(f"pg_restore does not take the dump in the repository: {words[0]}")


class _EnoughError(Exception):
    """No more of a dump is needed."""
