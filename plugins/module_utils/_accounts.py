# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Local accounts and groups as the files of the system tell them, and the keys that open an account over SSH."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

NO_LOGIN_SHELLS = (
    "/usr/sbin/nologin",
    "/sbin/nologin",
    "/usr/bin/nologin",
    "/bin/nologin",
    "/bin/false",
    "/usr/bin/false",
)
"""Shells that end a login at once, in the order in which they are looked for."""

ROOT_GROUPS = frozenset(["root", "sudo", "wheel", "admin", "docker", "podman", "disk", "lxd", "incus"])
"""Groups whose members can make themselves root."""

PRIVILEGED_GROUPS = ROOT_GROUPS | frozenset(
    [
        "adm",
        "shadow",
        "libvirt",
        "kvm",
        "kmem",
        "mem",
        "sys",
        "staff",
        "systemd-journal",
    ]
)
"""Groups that give rights far beyond a product's own files: never the primary group of a service account."""

DEFAULT_KEY_FILES = (".ssh/authorized_keys", ".ssh/authorized_keys2")

MAX_FILE = 1024 * 1024
"""Most bytes read of a file that an account may write itself."""


@dataclass(frozen=True)
class Account:
    """One line of the account database."""

    name: str
    uid: int
    gid: int
    home: str
    shell: str
    local: bool = True


@dataclass(frozen=True)
class Group:
    """One line of the group database."""

    name: str
    gid: int
    members: tuple[str, ...] = ()


def _fields(text: str, count: int) -> Iterable[list[str]]:
    for line in text.splitlines():
        fields = line.split(":")
        # Lines starting with + and - are NIS inclusions, not accounts.
        if len(fields) >= count and fields[0] and fields[0][0] not in "+-#":
            yield fields


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() else None


def parse_passwd(text: str) -> list[Account]:
    """Return the accounts of a passwd file; lines that are none are left out."""
    accounts = []
    for fields in _fields(text, 7):
        uid, gid = _number(fields[2]), _number(fields[3])
        if uid is not None and gid is not None:
            accounts.append(Account(fields[0], uid, gid, fields[5], fields[6]))
    return accounts


def parse_group(text: str) -> list[Group]:
    """Return the groups of a group file; lines that are none are left out."""
    groups = []
    for fields in _fields(text, 4):
        gid = _number(fields[2])
        if gid is not None:
            groups.append(Group(fields[0], gid, tuple(name.strip() for name in fields[3].split(",") if name.strip())))
    return groups


def password_state(field: str) -> str:
    """Return ``locked``, ``empty`` or ``set`` for the password field of a shadow or passwd line."""
    if not field:
        return "empty"
    return "locked" if field[0] in "!*" else "set"


def parse_passwords(passwd: str, shadow: str) -> dict[str, str]:
    """Return the state of the password of each account, never anything of the password itself."""
    states = {}
    shadowed = {fields[0]: password_state(fields[1]) for fields in _fields(shadow, 2)}
    for fields in _fields(passwd, 7):
        # "x" refers to the shadow file; an account missing there has no password to log in with.
        states[fields[0]] = shadowed.get(fields[0], "locked") if fields[1] == "x" else password_state(fields[1])
    return states


def read_text(path: str, limit: int = 16 * MAX_FILE) -> str:
    """Return a file's text, empty when it is absent; bytes that are no UTF-8 survive a round trip."""
    try:
        with open(path, "rb") as handle:
            return handle.read(limit).decode("utf-8", "surrogateescape")
    except FileNotFoundError:
        return ""


class AccountDatabase:
    """Local accounts, groups and password states.

    Args:
        root: folder that stands for ``/``.

    """

    def __init__(self, root: str = "/") -> None:
        self.root = root
        passwd = read_text(os.path.join(root, "etc/passwd"))
        self.accounts = parse_passwd(passwd)
        self.groups = parse_group(read_text(os.path.join(root, "etc/group")))
        self.passwords = parse_passwords(passwd, read_text(os.path.join(root, "etc/shadow")))

    def account(self, name: str) -> Account | None:
        """Return the first local account of this name, as the system does."""
        return next((account for account in self.accounts if account.name == name), None)

    def group(self, name: str) -> Group | None:
        """Return the first local group of this name."""
        return next((group for group in self.groups if group.name == name), None)

    def group_name(self, gid: int) -> str:
        """Return the name of a group, its number when it has none."""
        return next((group.name for group in self.groups if group.gid == gid), str(gid))

    def supplementary(self, account: Account) -> list[str]:
        """Return the names of the local groups that list the account as a member, its primary group left out."""
        names = {group.name for group in self.groups if account.name in group.members and group.gid != account.gid}
        return sorted(names)

    def sharing(self, accounts: Iterable[Account], allowed: Iterable[str]) -> list[tuple[str, str, str]]:
        """Return what others share with service accounts, as (what, expected, actual).

        Args:
            accounts: the service accounts of the host.
            allowed: names of accounts that may be members of a service group.

        """
        permitted = set(allowed)
        found = []
        for account in sorted(set(accounts), key=lambda item: item.name):
            others = [item for item in self.accounts if item.name != account.name]
            same_uid = sorted(item.name for item in others if item.uid == account.uid)
            if same_uid:
                found.append((f"UID {account.uid}", f"{account.name} alone", f"also {', '.join(same_uid)}"))
            group = self.group_name(account.gid)
            primary = sorted(item.name for item in others if item.gid == account.gid and item.name not in permitted)
            if primary:
                found.append((f"primary group {group}", f"{account.name} alone", f"also {', '.join(primary)}"))
            members = sorted(
                {
                    name
                    for item in self.groups
                    if item.gid == account.gid
                    for name in item.members
                    if name != account.name and name not in permitted
                }
            )
            if members:
                found.append((f"members of group {group}", "none but declared ones", ", ".join(members)))
            names = sorted({item.name for item in self.groups if item.gid == account.gid})
            if len(names) > 1:
                found.append((f"GID {account.gid}", "one group", f"groups {', '.join(names)}"))
        return found


def key_files(account: Account, configured: Iterable[str]) -> list[str]:
    """Return the absolute paths of the files that sshd takes the account's keys from.

    Args:
        account: whose keys.
        configured: values of ``AuthorizedKeysFile``, looked at besides sshd's default ones.

    """
    paths = []
    for pattern in (*DEFAULT_KEY_FILES, *configured):
        if pattern == "none":
            continue
        tokens = {"%%": "%", "%h": account.home, "%u": account.name, "%U": str(account.uid)}
        path, rest = "", pattern
        while rest:
            token = rest[:2]
            path += tokens.get(token, rest[0])
            rest = rest[2:] if token in tokens else rest[1:]
        paths.append(os.path.normpath(path if path.startswith("/") else os.path.join(account.home or "/", path)))
    return list(dict.fromkeys(paths))


def count_keys(text: str) -> int:
    """Return how many lines of an authorized_keys file are keys."""
    lines = (line.strip() for line in text.splitlines())
    return sum(1 for line in lines if line and not line.startswith("#"))


@dataclass
class KeyFile:
    """An authorized_keys file that was found."""

    path: str
    folder: int
    """Descriptor of its folder, opened without following links below the account's home."""
    text: str
    link: str | None
    """Where it leads when it is a symbolic link."""

    @property
    def keys(self) -> int:
        """How many keys it holds."""
        return count_keys(self.text)

    def close(self) -> None:
        """Close the folder."""
        os.close(self.folder)


class UnsafePathError(Exception):
    """A path that an account could bend to somewhere else."""


def open_key_file(path: str, home: str, root: str = "/") -> KeyFile | None:
    """Open the folder of a key file and read the file; None when there is no such file.

    The account may write its home, so below it no symbolic link is followed on the way: else it could have somebody
    else's keys removed.

    Raises:
        UnsafePathError: a folder on the way is a symbolic link.

    """
    base = os.path.realpath(os.path.join(root, home.lstrip("/"))) if home else root
    inside = home not in ("", "/") and path.startswith(home.rstrip("/") + "/")
    relative = os.path.relpath(path, home) if inside else path.lstrip("/")
    folder_path, name = os.path.split(relative)
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    try:
        if inside:
            folder = os.open(base, flags | os.O_NOFOLLOW)
            for part in filter(None, folder_path.split("/")):
                try:
                    deeper = os.open(part, flags | os.O_NOFOLLOW, dir_fd=folder)
                except OSError as exc:
                    is_link = _is_link(part, folder)
                    os.close(folder)
                    if is_link:
                        raise UnsafePathError(f"{os.path.dirname(path)} is reached through a symbolic link") from exc
                    raise
                os.close(folder)
                folder = deeper
        else:
            folder = os.open(os.path.join(root, folder_path), flags)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        link = os.readlink(name, dir_fd=folder) if _is_link(name, folder) else None
        text = _read_regular(name, folder)
    except FileNotFoundError:
        os.close(folder)
        return None
    return KeyFile(path, folder, text, link)


def _is_link(name: str, folder: int) -> bool:
    try:
        return stat.S_ISLNK(os.lstat(name, dir_fd=folder).st_mode)
    except OSError:
        return False


def _read_regular(name: str, folder: int) -> str:
    try:
        # Without blocking: the account could have put a named pipe there.
        handle = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except FileNotFoundError:
        if _is_link(name, folder):
            return ""  # a dangling link holds no key
        raise
    with os.fdopen(handle, "rb") as stream:
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            return ""
        return stream.read(MAX_FILE).decode("utf-8", "surrogateescape")


def parse_authorized_keys_file(sshd_config: str) -> list[str]:
    """Return the values of AuthorizedKeysFile in the output of ``sshd -T``."""
    for line in sshd_config.splitlines():
        words = line.split()
        if words and words[0].lower() == "authorizedkeysfile":
            return words[1:]
    return []


def unique_instances(instances: Iterable[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Return the instances by the name of their service account, in the order given; those without one left out."""
    by_account: dict[str, list[dict[str, Any]]] = {}
    for instance in instances:
        if instance.get("service_account"):
            by_account.setdefault(instance["service_account"], []).append(instance)
    return by_account
