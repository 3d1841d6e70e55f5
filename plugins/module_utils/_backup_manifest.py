# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a backup holds: the tags of its snapshots, and the manifest that is written last.

A backup is several snapshots of restic with the same tag ``backup=``, one for each part, and the manifest, which is a
snapshot of its own with one file. Without a manifest there is no backup.

Whoever gets hold of a host can write a manifest, so reading one believes nothing: `ManifestError` says what is wrong
and where. Unknown names are passed over, so that a later version may add some.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

FORMAT = 1
MAX_BYTES = 16 * 1024 * 1024
"""Longest manifest that is read."""
MAX_DIGITS = 19

TAG = "atlassian-dc"
DATABASE, SHARED_HOME, MANIFEST, CLAIM = "database", "shared_home", "manifest", "claim"
HOME, INSTALL = "home-", "install-"
"""What the parts of a host begin with; its name follows."""
MANIFEST_FILE = "manifest.json"
KINDS = ("instance", "node")
"""A whole instance, or what only one node of a cluster has, under a key of its own."""
DUMPS = {"postgresql": "database.dump", "mysql": "database.sql", "mariadb": "database.sql", "command": "database.bin"}
"""Name of the file that a dump is, by kind of the database."""
TREES = ("install", "home", "shared_home")

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")
_KEY = re.compile(r"[A-Za-z0-9._-]{1,255}")
_BACKUP = re.compile(r"[0-9]{8}T[0-9]{6}Z")
_PART = re.compile(r"database|shared_home|(?:home|install)-[A-Za-z0-9._-]{1,255}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")


class ManifestError(Exception):
    """A manifest that cannot be used; says what is wrong and where."""


def key_of(name: str) -> str:
    """Return the key of an instance in the repository.

    Args:
        name: id of its cluster; of a standalone one ``<host>-<name of the instance>``.

    """
    return _UNSAFE.sub("_", name)


def key_of_instance(instance: Mapping[str, Any], host: str) -> str:
    """Return the key of an instance that discovery has found.

    Args:
        instance: as discovery describes it.
        host: name of its host in the inventory.

    """
    cluster = instance.get("cluster") or {}
    return key_of(str(cluster.get("id") or f"{host}-{instance['name']}"))


def tags_of(key: str, backup: str, part: str) -> tuple[str, ...]:
    """Return the tags of the snapshot of a part."""
    return (TAG, f"instance={key}", f"backup={backup}", f"part={part}")


def is_backup(text: str) -> bool:
    """Whether a text is the name of a backup: its time in UTC."""
    return _BACKUP.fullmatch(text) is not None


@dataclass(frozen=True)
class Instance:
    """The instance as it was.

    Attributes:
        name: as in reports.
        install_dir: its installation.
        home_dir: its home.
        shared_home_dir: the shared home; None where it lies below the home or there is none.
        user: the account it ran as.
        group: the group of that account.
        unit: the unit that starts it.

    """

    name: str
    install_dir: str | None
    home_dir: str | None
    shared_home_dir: str | None
    user: str | None
    group: str | None
    unit: str | None


@dataclass(frozen=True)
class Part:
    """One snapshot.

    Attributes:
        part: ``database``, ``shared_home``, ``home-<host>`` or ``install-<host>``.
        snapshot: its whole number in the repository.
        paths: what it was made of: absolute paths; of a database the one file in it, such as ``/database.dump``.
        bytes: size of all its files.
        files: how many they are.
        seconds: how long it took.
        sha256: of the stream of a database; None of files.
        exclude: patterns of what was left out.
        root: what each of these paths begins with in the repository, where files were taken from a snapshot of their
            storage; "" where they were taken from where they are.

    """

    part: str
    snapshot: str
    paths: tuple[str, ...]
    bytes: int
    files: int
    seconds: float
    sha256: str | None = None
    exclude: tuple[str, ...] = ()
    root: str = ""

    def place(self, path: str) -> str:
        """Return where a path lies in the repository."""
        return self.root + path


@dataclass(frozen=True)
class DatabaseDump:
    """The database in the backup.

    Attributes:
        kind: one of `DUMPS`; ``command`` where a command that somebody has given made the dump.
        server_version: of the server, None where nobody could tell.
        client_version: of the tool that made the dump, the same.
        name: of the database; None where it was not told.
        tables: rows of each table in the dump, by ``schema.table`` (of MySQL and MariaDB by ``table``). None where
            nobody could count them.

    """

    kind: str
    server_version: str | None
    client_version: str | None
    name: str | None
    tables: dict[str, int] | None


@dataclass(frozen=True)
class SampleFile:
    """A file of the sample.

    Attributes:
        part: the part that it is in.
        path: absolute, as in the snapshot.
        size: in the snapshot.
        sha256: of its content in the snapshot.
        changed: whether the file on the host was another one already when it was looked at.

    """

    part: str
    path: str
    size: int
    sha256: str
    changed: bool = False


@dataclass(frozen=True)
class NeededPath:
    """Something that product data says a restore needs.

    Attributes:
        tree: one of `TREES`.
        path: below that tree.
        needed: whether a restore is impossible without.
        part: the part that has it; None where it is not present.
        place: where it lies in that part, absolute; None where it is not present.
        present: whether it is in the backup.
        sha256: hashes of files by absolute path: of keys, and of what lies in a folder of keys.

    """

    tree: str
    path: str
    needed: bool
    part: str | None
    place: str | None
    present: bool
    sha256: dict[str, str]


@dataclass(frozen=True)
class Lock:
    """For how long Bitbucket was kept from changing anything; times in UTC. Its numbers are secret and stay out.

    Attributes:
        locked: when it was locked.
        drained: when nothing was going on any more.
        unlocked: when it was let go.

    """

    locked: str
    drained: str | None
    unlocked: str | None


@dataclass(frozen=True)
class Snapshot:
    """Of which moment files are that were taken from a snapshot of their storage; times in UTC.

    Attributes:
        database: when the dump was begun; one of PostgreSQL is of that moment. None where there is none.
        begun: when the snapshot was begun.
        ended: when it was there.
        seconds: how far at most database and files are apart.

    """

    database: str | None
    begun: str
    ended: str
    seconds: float


@dataclass(frozen=True)
class Manifest:
    """What a backup holds.

    Attributes:
        backup: its name: the time it was begun at, as ``20261129T101500Z``.
        key: of the instance in the repository.
        kind: one of `KINDS`.
        product: the product.
        version: its version, None where it was not known.
        instance: the instance.
        host: the host that made the backup.
        nodes: all hosts of the cluster, or the one.
        started: when, in UTC.
        finished: when all parts had been read back.
        collection: version of the collection.
        parts: all snapshots but the manifest's.
        database: None of a `kind` ``node``, and where the instance has none.
        sample: files with their hashes.
        needed: what product data wants to be there.
        lock: of Bitbucket; None where nothing was locked.
        snapshot: of the storage; None where files were taken from where they are.

    """

    backup: str
    key: str
    kind: str
    product: str
    version: str | None
    instance: Instance
    host: str
    nodes: tuple[str, ...]
    started: str
    finished: str
    collection: str
    parts: tuple[Part, ...]
    database: DatabaseDump | None
    sample: tuple[SampleFile, ...]
    needed: tuple[NeededPath, ...]
    lock: Lock | None = None
    snapshot: Snapshot | None = None

    @property
    def total_bytes(self) -> int:
        """Size of all that is in it."""
        return sum(part.bytes for part in self.parts)

    def part(self, name: str) -> Part | None:
        """Return a part, None where the backup has none of this name."""
        return next((part for part in self.parts if part.part == name), None)

    def to_json(self) -> str:
        """Return the text of ``manifest.json``."""
        return json.dumps({"format": FORMAT, **dataclasses.asdict(self)}, indent=1, sort_keys=True) + "\n"


def parse_manifest(text: str | bytes) -> Manifest:
    """Return the manifest that a text is.

    Raises:
        ManifestError: it is none, or contradicts itself.

    """
    top = JsonObject(load_json(text), "")
    if top.number("format") != FORMAT:
        raise ManifestError(f"format: {top.number('format')} is not known; this version reads {FORMAT}")
    database, lock, snapshot = top.child("database"), top.child("lock"), top.child("snapshot")
    manifest = Manifest(
        backup=top.like("backup", _BACKUP, "no name of a backup"),
        key=top.like("key", _KEY, "no key of an instance"),
        kind=top.one_of("kind", KINDS),
        product=top.text("product"),
        version=top.text_or_none("version"),
        instance=_instance(top.object("instance")),
        host=top.text("host"),
        nodes=top.texts("nodes"),
        started=top.time("started"),
        finished=top.time("finished"),
        collection=top.text("collection"),
        parts=tuple(map(_part, top.objects("parts"))),
        database=None if database is None else _database(database),
        sample=tuple(map(_sample, top.objects("sample"))),
        needed=tuple(map(_needed, top.objects("needed"))),
        lock=None if lock is None else _lock(lock),
        snapshot=None if snapshot is None else _snapshot(snapshot),
    )
    _agree(manifest)
    return manifest


def _agree(manifest: Manifest) -> None:
    """See that the pieces of a manifest fit together."""
    names = [part.part for part in manifest.parts]
    if not names:
        raise ManifestError("parts: there are none")
    for name in names:
        if names.count(name) > 1:
            raise ManifestError(f"parts: {name} is listed twice")
    if (manifest.database is not None) != (DATABASE in names):
        raise ManifestError(f"database: is told of, or part {DATABASE} is listed, but not both")
    if manifest.database is not None:
        dump = manifest.part(DATABASE)
        expected = f"/{DUMPS[manifest.database.kind]}"
        if dump is None or (dump.paths, dump.root) != ((expected,), "") or dump.sha256 is None or dump.bytes == 0:
            raise ManifestError(f"parts: {DATABASE} is no dump {expected} with a length and a hash")
    for number, sample in enumerate(manifest.sample):
        if sample.part not in names:
            raise ManifestError(f"sample[{number}].part: {sample.part} is not listed in parts")
    for number, needed in enumerate(manifest.needed):
        if needed.present and (needed.part not in names or needed.place is None):
            raise ManifestError(f"needed[{number}]: is present, but in no part that is listed, or nowhere in it")


def _instance(item: JsonObject) -> Instance:
    return Instance(
        name=item.text("name"),
        install_dir=item.path_or_none("install_dir"),
        home_dir=item.path_or_none("home_dir"),
        shared_home_dir=item.path_or_none("shared_home_dir"),
        user=item.text_or_none("user"),
        group=item.text_or_none("group"),
        unit=item.text_or_none("unit"),
    )


def _part(item: JsonObject) -> Part:
    return Part(
        part=item.like("part", _PART, "no part of a backup"),
        snapshot=item.like("snapshot", _SHA256, "no whole number of a snapshot"),
        paths=item.paths("paths"),
        bytes=item.number("bytes"),
        files=item.number("files"),
        seconds=item.seconds("seconds"),
        sha256=item.sha256_or_none("sha256"),
        exclude=item.texts("exclude"),
        root=item.path_or_empty("root"),
    )


def _database(item: JsonObject) -> DatabaseDump:
    return DatabaseDump(
        kind=item.one_of("kind", tuple(DUMPS)),
        server_version=item.text_or_none("server_version"),
        client_version=item.text_or_none("client_version"),
        name=item.text_or_none("name"),
        tables=item.numbers_or_none("tables"),
    )


def _sample(item: JsonObject) -> SampleFile:
    return SampleFile(
        part=item.text("part"),
        path=item.path("path"),
        size=item.number("size"),
        sha256=item.like("sha256", _SHA256, "no hash"),
        changed=item.flag("changed"),
    )


def _needed(item: JsonObject) -> NeededPath:
    return NeededPath(
        tree=item.one_of("tree", TREES),
        path=item.text("path"),
        needed=item.flag("needed"),
        part=item.text_or_none("part"),
        place=item.path_or_none("place"),
        present=item.flag("present"),
        sha256=item.hashes("sha256"),
    )


def _lock(item: JsonObject) -> Lock:
    return Lock(
        locked=item.time("locked"), drained=item.time_or_none("drained"), unlocked=item.time_or_none("unlocked")
    )


def _snapshot(item: JsonObject) -> Snapshot:
    return Snapshot(
        database=item.time_or_none("database"),
        begun=item.time("begun"),
        ended=item.time("ended"),
        seconds=item.seconds("seconds"),
    )


def load_json(text: str | bytes) -> Any:
    def number(digits: str) -> int:
        # Turning digits into a number takes the square of their count.
        if len(digits) > MAX_DIGITS + 1:
            raise ManifestError(f"holds a number of more than {MAX_DIGITS} digits")
        return int(digits)

    def constant(word: str) -> Any:
        raise ManifestError(f"holds {word}, which JSON does not have")

    if len(text) > MAX_BYTES:
        raise ManifestError(f"is longer than {MAX_BYTES} bytes")
    try:
        return json.loads(text, parse_int=number, parse_constant=constant)
    except UnicodeDecodeError:
        raise ManifestError("is not in UTF-8") from None
    except json.JSONDecodeError as exc:
        raise ManifestError(f"line {exc.lineno}, column {exc.colno}: not JSON ({exc.msg})") from None
    except RecursionError:
        raise ManifestError("is nested too deeply") from None


def _is_path(value: Any) -> bool:
    """Whether a value is an absolute path that leads nowhere else than it says."""
    return (
        isinstance(value, str)
        and value.startswith("/")
        and "\0" not in value
        and not {"", ".", ".."} & set(value[1:].split("/") if value != "/" else ())
    )


class JsonObject:
    """An object of JSON whose members are asked for by name and kind.

    Args:
        value: what JSON has there.
        where: its place in the manifest, for messages.

    Raises:
        ManifestError: by every method, where the member is missing or of another kind.

    """

    def __init__(self, value: Any, where: str) -> None:
        if not isinstance(value, dict):
            raise ManifestError(f"{where or 'manifest'}: {_named(value)}, not an object")
        self._members = value
        self._where = where

    def _place(self, name: str) -> str:
        return f"{self._where}.{name}" if self._where else name

    def _get(self, name: str, fits: Callable[[Any], bool], what: str) -> Any:
        if name not in self._members:
            raise ManifestError(f"{self._place(name)}: is missing")
        value = self._members[name]
        if not fits(value):
            raise ManifestError(f"{self._place(name)}: {_named(value)}, not {what}")
        return value

    def text(self, name: str) -> str:
        """Return a text that is not empty."""
        return str(self._get(name, lambda value: isinstance(value, str) and value != "", "a text"))

    def word(self, name: str) -> str:
        """Return a text that may be empty."""
        return str(self._get(name, lambda value: isinstance(value, str), "a text"))

    def text_or_none(self, name: str) -> str | None:
        """Return a text or None."""
        return None if self._members.get(name, "") is None else self.text(name)

    def like(self, name: str, pattern: re.Pattern[str], complaint: str) -> str:
        """Return a text that a pattern takes as a whole."""
        text = self.text(name)
        if pattern.fullmatch(text) is None:
            raise ManifestError(f"{self._place(name)}: {text[:100]!a} is {complaint}")
        return text

    def one_of(self, name: str, words: tuple[str, ...]) -> str:
        """Return one of some words."""
        return str(self._get(name, lambda value: value in words, f"one of {', '.join(words)}"))

    def sha256_or_none(self, name: str) -> str | None:
        """Return a hash or None."""
        return None if self._members.get(name, "") is None else self.like(name, _SHA256, "no hash")

    def time(self, name: str) -> str:
        """Return a time in UTC."""
        return self.like(name, _TIME, "no time in UTC")

    def time_or_none(self, name: str) -> str | None:
        """Return a time in UTC or None."""
        return None if self._members.get(name, "") is None else self.time(name)

    def path(self, name: str) -> str:
        """Return an absolute path."""
        return str(self._get(name, _is_path, "an absolute path without . and .. in it"))

    def path_or_none(self, name: str) -> str | None:
        """Return an absolute path or None."""
        return None if self._members.get(name, "") is None else self.path(name)

    def path_or_empty(self, name: str) -> str:
        """Return an absolute path other than ``/``; empty where it is, or is not told, as of older versions."""
        path = "" if self._members.get(name, "") == "" else self.path(name)
        if path == "/":
            raise ManifestError(f"{self._place(name)}: is /")
        return path

    def flag(self, name: str) -> bool:
        """Return true or false."""
        return bool(self._get(name, lambda value: isinstance(value, bool), "true or false"))

    def number(self, name: str) -> int:
        """Return a whole number that is not negative."""
        return int(self._get(name, _is_count, "a whole number from 0 on"))

    def seconds(self, name: str) -> float:
        """Return a number of seconds."""

        def fits(value: Any) -> bool:
            return _is_count(value) or (isinstance(value, float) and math.isfinite(value) and value >= 0)

        return float(self._get(name, fits, "a number of seconds"))

    def _list(self, name: str) -> list[Any]:
        return list(self._get(name, lambda value: isinstance(value, list), "a list"))

    def texts(self, name: str) -> tuple[str, ...]:
        """Return texts."""
        items = self._list(name)
        for number, item in enumerate(items):
            if not isinstance(item, str):
                raise ManifestError(f"{self._place(name)}[{number}]: {_named(item)}, not a text")
        return tuple(items)

    def paths(self, name: str) -> tuple[str, ...]:
        """Return absolute paths, one at least."""
        items = self._list(name)
        for number, item in enumerate(items):
            if not _is_path(item):
                raise ManifestError(f"{self._place(name)}[{number}]: {_named(item)}, not an absolute path")
        if not items:
            raise ManifestError(f"{self._place(name)}: there are none")
        return tuple(items)

    def object(self, name: str) -> JsonObject:
        """Return a member that is an object itself."""
        return JsonObject(self._get(name, lambda _value: True, ""), self._place(name))

    def child(self, name: str) -> JsonObject | None:
        """Return a member that is an object itself or None."""
        return None if self._members.get(name) is None else self.object(name)

    def objects(self, name: str) -> Iterator[JsonObject]:
        """Yield the objects of a list."""
        for number, item in enumerate(self._list(name)):
            yield JsonObject(item, f"{self._place(name)}[{number}]")

    def _mapping(self, name: str) -> dict[str, Any]:
        return dict(self._get(name, lambda value: isinstance(value, dict), "an object"))

    def numbers_or_none(self, name: str) -> dict[str, int] | None:
        """Return whole numbers by name, or None."""
        if self._members.get(name, "") is None:
            return None
        items = self._mapping(name)
        for key, value in items.items():
            if not _is_count(value):
                raise ManifestError(
                    f"{self._place(name)}[{key[:100]!a}]: {_named(value)}, not a whole number from 0 on"
                )
        return items

    def hashes(self, name: str) -> dict[str, str]:
        """Return hashes by absolute path."""
        items = self._mapping(name)
        for key, value in items.items():
            if not _is_path(key) or not isinstance(value, str) or _SHA256.fullmatch(value) is None:
                raise ManifestError(f"{self._place(name)}[{key[:100]!a}]: no hash of an absolute path")
        return items


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _named(value: Any) -> str:
    """Return what kind of thing a value is, for messages; what it says itself may be anything."""
    if value is None:
        return "null"
    kinds = {bool: "true or false", int: "a number", float: "a number", str: "a text", list: "a list"}
    return kinds.get(type(value), "an object")
