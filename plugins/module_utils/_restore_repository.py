# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backups in a repository of restic, as a restore sees them.

Whoever could write to the repository could write a manifest that names any snapshot, so what it says is compared with
what the repository has.

It is read without a lock: so it may be one that takes nothing from this host, nothing stays locked by what was killed
here, and no backup has to wait for a drill. Where somebody prunes it meanwhile, restic misses data and says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ansible_collections.atlassian_dc.hardening.plugins.module_utils._backup_keep import Stored, stored
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._backup_manifest import (
    MANIFEST,
    MANIFEST_FILE,
    MAX_BYTES,
    TAG,
    Manifest,
    ManifestError,
    parse_manifest,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._backup_restic import (
    Restic,
    ResticError,
    literal,
)

LATEST = "latest"


class Repository(Restic):
    """A repository that backups are taken from.

    Args:
        url: its address.
        password: what it is encrypted with.
        environment: what reaching it takes besides.
        cache: folder for what restic keeps of it.
        limit: seconds from now after which reading it is given up.

    """

    def __init__(self, url: str, password: str, environment: Mapping[str, str], cache: str, limit: float) -> None:
        super().__init__(url, password, environment, cache, ("restic", "--no-lock"), limit)

    def backups(self) -> dict[str, list[Stored]]:
        """Return the whole backups by key of their instance, oldest first."""
        snapshots = self.snapshots(TAG)
        prefix = "instance="
        keys = {tag[len(prefix) :] for item in snapshots for tag in item["tags"] if str(tag).startswith(prefix)}
        found = {key: [backup for backup in stored(snapshots, key) if backup.whole] for key in keys}
        return {key: found[key] for key in sorted(found) if found[key]}

    def manifest(self, key: str, backup: Stored) -> Manifest:
        """Return what a backup holds.

        Args:
            key: of its instance.
            backup: its snapshots.

        Raises:
            ResticError: it cannot be read back, or is not that of this backup.

        """
        where = f"the manifest of backup {backup.name} of {key}"
        pieces: list[bytes] = []

        def take(data: bytes) -> None:
            if sum(map(len, pieces)) > MAX_BYTES:
                raise ResticError(f"{where} is longer than {MAX_BYTES} bytes")
            pieces.append(data)

        self.dump(backup.parts[MANIFEST][0], f"/{MANIFEST_FILE}", take)
        try:
            manifest = parse_manifest(b"".join(pieces))
        except ManifestError as exc:
            raise ResticError(f"{where} cannot be used: {exc}") from exc
        if (manifest.key, manifest.backup) != (key, backup.name):
            raise ResticError(f"{where} is that of backup {manifest.backup} of {manifest.key}")
        for part in manifest.parts:
            if part.snapshot not in backup.parts.get(part.part, ()):
                raise ResticError(f"{where} names snapshot {part.snapshot[:8]} as {part.part}, which is not there")
        return manifest

    def check(self, read_data: str) -> None:
        """See that the repository is whole.

        Args:
            read_data: how much of its data is read, as restic takes it: ``10%``, ``1/5``, ``2G``.

        Raises:
            ResticError: it is not.

        """
        self._do("the repository does not pass its check", "check", f"--read-data-subset={read_data}")

    def restore(self, snapshot: str, target: str, paths: Iterable[str] = ()) -> None:
        """Restore a snapshot and compare what was written with it.

        Args:
            snapshot: its number.
            target: the folder in which its paths begin.
            paths: only these; all that it holds where there are none.

        Raises:
            ResticError: something could not be read or written.

        """
        chosen = [f"--include={literal(path)}" for path in paths]
        what = f"snapshot {snapshot[:8]} cannot be restored"
        self._do(what, "restore", snapshot, f"--target={target}", "--verify", *chosen)


def chosen(backups: dict[str, list[Stored]], keys: Sequence[str] | None, name: str) -> list[tuple[str, Stored]]:
    """Return the backups that are meant.

    Args:
        backups: all that there are.
        keys: of the instances; None for every one.
        name: of the backup, or `LATEST`.

    Raises:
        ResticError: there is none; says which there are.

    """
    if not backups:
        raise ResticError("the repository holds no whole backup of this collection")
    unknown = [key for key in keys or () if key not in backups]
    if unknown:
        raise ResticError(
            f"the repository holds no backup of {', '.join(unknown)}; it has some of {', '.join(backups)}"
        )
    wanted = list(backups) if keys is None else keys
    found = []
    for each in wanted:
        fitting = [backup for backup in backups[each] if name in (LATEST, backup.name)]
        if fitting:
            found.append((each, fitting[-1]))
    if not found:
        there = ", ".join(backup.name for each in wanted for backup in backups[each][-10:])
        raise ResticError(f"the repository holds no whole backup {name}; the newest are {there}")
    return found
