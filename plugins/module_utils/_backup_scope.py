# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of an instance is backed up: its homes but for what it makes anew by itself, edited files, keys, its database.

A home is taken as a whole and not by a list of what is known to matter: what an app or a person has put there is lost
otherwise. What product data calls needed is never left out.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ansible_collections.atlassian_dc.hardening.plugins.module_utils._backup_manifest import (
    HOME,
    INSTALL,
    SHARED_HOME,
    key_of,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._database_logins import Login, read_logins
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._discovery_host import (
    Host,
    MissingError,
    UnreadableError,
    is_system_folder,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._discovery_parse import ParseError
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._jdbc import is_local, parse_jdbc
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._systemd import below, outer_folders

DATABASES = "atlassian_dc_backup_databases"
PORTS = {"postgresql": 5432, "mysql": 3306, "mariadb": 3306}
CA_FILES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")
"""Where the authorities lie that the host trusts: on the Debian and on the Red Hat family."""


class ScopeError(Exception):
    """What is to be backed up cannot be told; says why and what to do."""


def path_in(instance: Mapping[str, Any], entry: Mapping[str, Any]) -> str | None:
    """Return where an entry of product data lies, None where the instance has no such tree."""
    tree = instance.get(f"{entry['tree']}_dir")
    return os.path.join(tree, entry["path"]) if tree else None


def needs_backup(data: Mapping[str, Any]) -> bool:
    """Whether a product has anything that a restore needs."""
    return any(entry["needed"] for entry in (data.get("backup") or {}).get("sets") or ())


class Scope:
    """What of one instance is backed up.

    Args:
        instance: as discovery describes it.
        data: of its product: ``backup``, ``secrets`` and ``caches``.
        host: name of the host.
        files: the host's files.

    """

    def __init__(self, instance: Mapping[str, Any], data: Mapping[str, Any], host: str, files: Host) -> None:
        self.instance = instance
        self.data = data
        self.host = key_of(host)
        self.files = files
        self.clustered = bool(instance.get("cluster"))
        cluster = instance.get("cluster") or {}
        self.key = key_of(str(cluster.get("id") or f"{host}-{instance['name']}"))
        self.node_key = key_of(f"{self.key}-{host}")
        self.home: str | None = instance.get("home_dir")
        shared: str | None = instance.get("shared_home_dir")
        # One that lies in the home of a single node is part of it.
        within = bool(shared and self.home and below(shared, self.home))
        self.shared = None if within and not self.clustered else shared
        self.logins, self.problems = self._logins()

    # ---- files -------------------------------------------------------------------------------

    def needed(self) -> list[dict[str, Any]]:
        """Return what product data wants to be in the backup, keys among it, by the place where it lies."""
        secrets = self.data.get("secrets") or {}
        entries: dict[tuple[str, str], dict[str, Any]] = {}
        for entry in (self.data.get("backup") or {}).get("sets") or ():
            entries[entry["tree"], entry["path"]] = {**entry, "key": False}
        for entry in secrets.get("keys") or ():
            entries.setdefault((entry["tree"], entry["path"]), {**entry, "needed": True})["key"] = True
        found: dict[str, dict[str, Any]] = {}
        for (tree, path), entry in entries.items():
            place = path_in(self.instance, entry)
            if place:
                place = self._resolved(place)
                found.setdefault(
                    place, {"tree": tree, "path": path, "place": place, "needed": entry["needed"], "key": entry["key"]}
                )
        return list(found.values())

    def parts(self) -> list[dict[str, Any]]:
        """Return the snapshots that are made, with what each is made of and what is left out."""
        parts: list[dict[str, Any]] = []
        wanted = [item["place"] for item in self.needed()]
        roots = [(f"{HOME}{self.host}", self.home), (SHARED_HOME, self.shared)]
        for part, root in roots:
            if root:
                linked = self._linked(root, wanted)
                exclude = self._excluded(root, wanted)
                if root == self.home and self.shared and below(self.shared, root):
                    exclude.append(self.shared)
                parts.append({"part": part, "paths": outer_folders([root, *linked]), "exclude": sorted(exclude)})
        edited = self._edited()
        if edited:
            parts.append({"part": f"{INSTALL}{self.host}", "paths": edited, "exclude": [], "as_far_as_there": True})
        return parts

    def _excluded(self, root: str, wanted: Iterable[str]) -> list[str]:
        """Return what lies below a home and is made anew by the product, or is a copy of what is backed up anyway."""
        folders = ("log_dirs", "scratch_dirs", "archive_dirs")
        paths = [path for key in folders for path in self.instance.get(key) or ()]
        entries = [*(self.data.get("caches") or ()), *((self.data.get("backup") or {}).get("exclude") or ())]
        paths += [path for path in (path_in(self.instance, entry) for entry in entries) if path]
        found = {path for path in paths if path != root and below(path, root)}
        # Excluded as a whole or not at all.
        kept = {path for path in found if not any(below(place, path) for place in wanted)}
        return [path for path in kept if not any(path != other and below(path, other) for other in kept)]

    def _linked(self, root: str, wanted: Iterable[str]) -> Iterator[str]:
        """Yield the folders that links in a home lead to, for restic takes links as they are.

        Of all that product data knows, and of what else lies in the home itself.
        """
        places = [*wanted, *(self._resolved(os.path.join(root, name)) for name in self.files.names(root))]
        for place in places:
            if self._is_outside(place) and self.files.is_folder(place):
                yield place

    def links(self) -> dict[str, str]:
        """Return the links among what lies in the homes themselves and what product data knows, and where they lead."""
        sets = (self.data.get("backup") or {}).get("sets") or ()
        paths = [path for path in (path_in(self.instance, entry) for entry in sets) if path]
        for root in (self.home, self.shared):
            paths += [os.path.join(root, name) for name in self.files.names(root)] if root else []
        return {path: target for path in paths for target in [self._resolved(path)] if target != path}

    def _resolved(self, path: str) -> str:
        """Return a path without links; as it is, where its links lead nowhere."""
        try:
            return self.files.resolve(path)
        except UnreadableError:
            return path

    def _is_outside(self, path: str) -> bool:
        """Whether a path lies in no home and in no installation, and is no folder of the system."""
        trees = [tree for tree in (self.home, self.shared, self.instance.get("install_dir")) if tree]
        return not is_system_folder(path) and not any(below(path, tree) for tree in trees)

    def _edited(self) -> list[str]:
        """Return files that somebody may have edited and that an installation does not bring back."""
        instance = self.instance
        trees = [tree for tree in (self.home, self.shared) if tree]
        sets = (self.data.get("backup") or {}).get("sets") or ()
        paths = [path_in(instance, entry) for entry in sets if entry["tree"] == "install"]
        paths += [entry["path"] for entry in instance.get("secret_files") or () if "*" not in entry["path"]]
        paths += [instance.get("unit_path"), instance.get("init_script"), instance.get("user_file")]
        if instance.get("unit"):
            paths.append(f"/etc/systemd/system/{instance['unit']}.d")
        paths += [path for login in self.logins for path in login.key_files]
        known = {self._resolved(path) for path in paths if path and path.startswith("/")}
        return sorted(path for path in known if not any(below(path, tree) for tree in trees))

    # ---- database ----------------------------------------------------------------------------

    def _logins(self) -> tuple[list[Login], list[str]]:
        found: list[Login] = []
        problems: list[str] = []
        for entry in (self.data.get("secrets") or {}).get("database") or ():
            path = path_in(self.instance, entry)
            try:
                if path:
                    found += read_logins(path, self.files.read(path), entry)
            except MissingError:
                continue
            except (UnreadableError, ParseError) as exc:
                problems.append(f"{path} {exc}" if isinstance(exc, UnreadableError) else f"{path}: {exc}")
        return found, problems

    @property
    def has_database(self) -> bool:
        """Whether the product keeps anything in a database; a part of one does where product data says so."""
        known = (self.data.get("secrets") or {}).get("database")
        return bool(known) or (known is None and not self.instance.get("part_of"))

    def database(self, given: Mapping[str, Any] | None) -> tuple[dict[str, Any] | None, str]:
        """Return how the database is dumped, and the password for that.

        Args:
            given: entry of the user's variable for this instance: ``username`` and ``password``, or ``command``.

        Raises:
            ScopeError: it cannot be dumped like this.

        """
        if not self.has_database:
            return None, ""
        given = given or {}
        if given.get("command"):
            return {"kind": "command", "name": "database", "command": [str(word) for word in given["command"]]}, ""
        name = self.instance["name"]
        login = next((login for login in self.logins if login.url), None)
        if login is None:
            why = "; ".join(self.problems) or "no address of a database is in its files"
            raise ScopeError(f"its database cannot be told ({why}): give a command in {DATABASES} for {name}")
        found = parse_jdbc(login.url)
        if found.kind not in PORTS:
            raise ScopeError(
                f"its database is of kind {found.kind or 'unknown'}, for which there is no tool here: give a command"
                f" in {DATABASES} for {name}"
            )
        if len(found.hosts) != 1 or not found.hosts[0] or not found.name:
            raise ScopeError(
                f"the address of its database is of a form that is not known: give a command in {DATABASES}"
            )
        user, password = str(given.get("username") or login.user), str(given.get("password") or "")
        if not password:
            if login.secured or not login.plain:
                raise ScopeError(
                    f"the password of its database is encrypted: give username and password of an account that may"
                    f" read it in {DATABASES} for {name}"
                )
            password = login.password
        config = {
            "kind": found.kind,
            "host": found.hosts[0],
            "port": found.port or PORTS[found.kind],
            "name": found.name,
            "user": user,
            **self._tls(found.parameters, found.hosts[0]),
        }
        return config, password

    def _tls(self, parameters: Mapping[str, str], host: str) -> dict[str, Any]:
        """Return how the connection is encrypted, as the product does it."""
        mode = parameters.get("sslmode", "").lower().replace("_", "-")
        mode = {"verify-identity": "verify-full", "required": "require", "disabled": "disable"}.get(mode, mode)
        if not mode and parameters.get("ssl", "false").lower() in ("", "true"):
            mode = "verify-full"
        if not mode:
            # What does not leave the host need not be encrypted, unless the server wants it.
            return {"ssl_mode": "allow"} if is_local(host) else {}
        root = parameters.get("sslrootcert") or ""
        if not root.startswith("/"):
            root = next((path for path in CA_FILES if self.files.stat(path)), CA_FILES[0])
        return {"ssl_mode": mode, "ssl_root": root}
