# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which backup is meant, and manifests that are not what they should be."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._backup_keep import Stored
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._backup_manifest import Manifest, tags_of
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._backup_restic import ResticError
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._restore_repository import Repository, chosen
from unit.restore.manifests import BACKUP, manifest

KEY = manifest().key
LATER = "20261130T101500Z"


class Holding(Repository):
    """A repository with some snapshots and one manifest."""

    def __init__(self, snapshots: list[dict[str, Any]], text: str = "") -> None:
        super().__init__("/nowhere", "", {}, "/nowhere", 0)
        self._held = snapshots
        self._text = text

    def snapshots(self, *_tags: str, snapshot: str = "") -> list[dict[str, Any]]:
        """Return all."""
        assert snapshot == ""
        return self._held

    def dump(self, snapshot: str, path: str, take: Callable[[bytes], object]) -> None:
        """Read the manifest."""
        assert (snapshot, path) == ("f" * 64, "/manifest.json")
        for character in self._text.encode():
            take(bytes([character]))


def snapshots(written: Manifest, key: str = KEY, whole: bool = True) -> list[dict[str, Any]]:
    found = [{"id": part.snapshot, "tags": list(tags_of(key, written.backup, part.part))} for part in written.parts]
    last = {"id": "f" * 64, "tags": list(tags_of(key, written.backup, "manifest"))}
    return [*found, last] if whole else found


def read(written: Manifest, held: list[dict[str, Any]], text: str | None = None) -> Manifest:
    repository = Holding(held, written.to_json() if text is None else text)
    return repository.manifest(KEY, repository.backups()[KEY][-1])


def test_a_backup_is_read_as_it_was_written() -> None:
    assert read(manifest(), snapshots(manifest())) == manifest()


def test_only_whole_backups_count() -> None:
    later = dataclasses.replace(manifest(), backup=LATER)
    held = [*snapshots(manifest()), *snapshots(later, whole=False), *snapshots(manifest(), "other", whole=False)]
    found = Holding([*held, {"id": "1" * 64, "tags": ["somebody's"]}]).backups()
    assert {key: [backup.name for backup in backups] for key, backups in found.items()} == {KEY: [BACKUP]}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{}", "cannot be used: format: is missing"),
        (dataclasses.replace(manifest(), key="other").to_json(), f"is that of backup {BACKUP} of other"),
        (dataclasses.replace(manifest(), backup=LATER).to_json(), f"is that of backup {LATER}"),
        (
            dataclasses.replace(
                manifest(),
                parts=(
                    manifest().parts[0],
                    dataclasses.replace(manifest().parts[1], snapshot="e" * 64),
                    manifest().parts[2],
                ),
            ).to_json(),
            "names snapshot eeeeeeee as home-jira1, which is not there",
        ),
        ("x" * (16 * 1024 * 1024 + 2), "is longer than"),
    ],
    ids=["no manifest", "other instance", "other backup", "foreign snapshot", "endless"],
)
def test_a_manifest_of_something_else_is_refused(text: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if len(text) > 1_000_000:

        def dump(_self: Holding, _snapshot: str, _path: str, take: Callable[[bytes], object]) -> None:
            for _piece in range(18):
                take(b"x" * 1024 * 1024)

        monkeypatch.setattr(Holding, "dump", dump)
    with pytest.raises(ResticError) as refused:
        read(manifest(), snapshots(manifest()), text)
    assert words in str(refused.value)


def test_the_newest_or_the_named_backup_is_chosen() -> None:
    backups = {KEY: [Stored(BACKUP), Stored(LATER)], "other": [Stored(BACKUP)]}
    assert [(key, backup.name) for key, backup in chosen(backups, None, "latest")] == [(KEY, LATER), ("other", BACKUP)]
    assert [(key, backup.name) for key, backup in chosen(backups, None, LATER)] == [(KEY, LATER)]
    assert [backup.name for _key, backup in chosen(backups, [KEY], BACKUP)] == [BACKUP]


@pytest.mark.parametrize(
    ("backups", "keys", "name", "words"),
    [
        ({}, None, "latest", "holds no whole backup of this collection"),
        ({KEY: [Stored(BACKUP)]}, ["other"], "latest", f"no backup of other; it has some of {KEY}"),
        ({KEY: [Stored(BACKUP)]}, [KEY], LATER, f"no whole backup {LATER}; the newest are {BACKUP}"),
    ],
)
def test_what_there_is_not_is_said(
    backups: dict[str, list[Stored]], keys: list[str] | None, name: str, words: str
) -> None:
    with pytest.raises(ResticError) as refused:
        chosen(backups, keys, name)
    assert words in str(refused.value)
