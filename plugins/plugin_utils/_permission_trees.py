# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The permission policy: from what discovery found to the trees and rules ``tree_permissions`` judges."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

SHARED_HOME = "shared home"

INSTALL = "DC-DIR-01"
WORKING = "DC-DIR-02"
HOME = "DC-DIR-03"
SECRETS = "DC-DIR-04"
TRAITS = "DC-DIR-05"
ARCHIVES = "DC-DIR-06"
LOGS = "DC-LOG-04"

# The vendor's own automation sets u=rwX,g=rX,o=rX on the install tree and u=rwX,g=rX,o= on what the product writes. The
# expressions below ask for the same bits at most, and at least for what the product needs: stricter modes survive.
INSTALL_MODE = "u+rX,go-w"
CLOSED_MODE = "u+rwX,g-w,o-rwx"
SHARED_DIRECTORY_MODE = "u+rX,g+rX,g-w,o-rwx"  # secrets of the install tree: the product reads them through its group
SHARED_FILE_MODE = "u+r,g+r,a-x,g-w,o-rwx"
SHARED_SCRIPT_MODE = "u+r,g+rX,g-w,o-rwx"
PRIVATE_DIRECTORY_MODE = "u+rwX,go-rwx"
PRIVATE_FILE_MODE = "u+r,a-x,go-rwx"
PRIVATE_SCRIPT_MODE = "u+r,go-rwx"

DUMPS = (
    "*.bak",
    "*.dmp",
    "*.dump",
    "*.pgdump",
    "*.sql.bz2",
    "*.sql.gz",
    "*.sql.xz",
    "*.sql.zst",
    "*.tar",
    "*.tar.bz2",
    "*.tar.gz",
    "*.tar.xz",
    "*.tar.zst",
    "*.tbz2",
    "*.tgz",
    "*.txz",
    "*~",
)
"""Names of backups and dumps that no product ships anywhere in its web application."""

ARCHIVE_NAMES = (*DUMPS, "*.7z", "*.rar", "*.sql", "*.zip")
"""Names of backups, wherever nothing of the product has such names."""

KEYS = ("*.kdbx", "*.p12", "*.pfx", "*.ppk", "id_dsa", "id_ecdsa", "id_ed25519", "id_rsa")
"""Names of private keys that no product ships anywhere in its web application."""

KEY_NAMES = (*KEYS, "*.jks", "*.key", "*.keystore", "*.pem", ".env")
"""Names of files that hold keys or passwords, wherever nothing of the product has such names."""


class SettingsError(ValueError):
    """A setting of the role that cannot be used; says which and why."""


def below(path: str, root: str) -> str | None:
    """Return a path relative to a root ("" for the root itself), None when it lies elsewhere."""
    root = root.rstrip("/")
    path = path.rstrip("/")
    if path == root:
        return ""
    return path[len(root) + 1 :] if path.startswith(f"{root}/") else None


def literal(path: str) -> str:
    """Return a pattern that matches just this path."""
    return re.sub(r"([*?\[])", r"[\1]", path)


def _join(prefix: str, pattern: str) -> str:
    if not prefix:
        return pattern
    return prefix if pattern == "." else f"{prefix}/{pattern}"


def _both(relative: str) -> list[str]:
    """Return the patterns of a folder and everything below it."""
    return [relative or ".", _join(relative, "**")]


def hold_reason(instance: Mapping[str, Any]) -> str | None:
    """Return why nothing of an instance may change owner before it is restarted, None when it may."""
    uid = instance.get("running_uid")
    user = instance.get("running_user")
    account = instance.get("service_account")
    if not instance.get("running") or uid in (None, 0) or user == account:
        return None
    remedy = f"it has to be restarted as {account} first"
    return f"{instance['name']} runs as {user} and would lose access to its files; {remedy}"


class _Root:
    """A folder with a policy of its own: the install tree, a home, or a folder of a home that lies elsewhere."""

    def __init__(self, kind: str, name: str, path: str) -> None:
        self.kind = kind
        self.name = name
        self.path = path.rstrip("/") or "/"


def _paths(values: Any) -> list[str]:
    return [value for value in values or [] if value]


class _Instance:
    """Builds the trees of one instance."""

    def __init__(self, instance: dict[str, Any], shared: Mapping[str, str]) -> None:
        self.instance = instance
        self.shared = shared
        self.name: str = instance["name"]
        self.account: str | None = instance.get("service_account")
        self.group: str | None = instance.get("service_group") or self.account
        self.install: str | None = instance.get("install_dir")
        self.home: str | None = instance.get("home_dir")
        self.logs = _paths(instance.get("log_dirs"))
        self.working = _paths(instance.get("working_dirs"))
        self.self_contained = bool(self.install) and self.install == self.home
        self.secrets = _paths([secret.get("path") for secret in instance.get("secret_files") or []])
        self.archive_dirs = _paths(instance.get("archive_dirs"))
        self.archive_names = tuple(dict.fromkeys((*ARCHIVE_NAMES, *(instance.get("archive_names") or ()))))
        self.scratch = _paths(instance.get("scratch_dirs"))
        self.web_root: str | None = instance.get("web_root")
        self.roots = self._roots()
        self.shared_home = next((root for root in self.roots if root.name == SHARED_HOME), None)

    def _roots(self) -> list[_Root]:
        """Return the folders with a policy of their own, each once.

        A product that writes all over its own installation has no install tree, only a home.
        """
        found: list[_Root] = []

        def add(kind: str, name: str, path: str | None) -> None:
            if path and all(root.path != path.rstrip("/") for root in found):
                found.append(_Root(kind, name, path))

        add("install", "install tree", None if self.self_contained else self.install)
        add("home", "home", self.home)
        add("home", SHARED_HOME, self.instance.get("shared_home_dir"))
        for kind, name, paths in (("working", "working folder", self.working), ("log", "log folder", self.logs)):
            for path in paths:
                if all(below(path, root.path) is None for root in found):
                    add(kind, name, path)
        return found

    def _owned(self) -> dict[str, Any]:
        """Return owner and group of what the product writes."""
        return {
            "owner": [self.account] if self.account else None,
            "group": [self.group] if self.group else None,
        }

    def _rule(self, control: str, paths: list[str] | None, **more: Any) -> dict[str, Any]:
        rule = {"control": control, **more}
        if paths is not None:
            rule["paths"] = paths
        return {key: value for key, value in rule.items() if value is not None}

    def _closed(self, control: str, paths: list[str]) -> dict[str, Any]:
        return self._rule(control, paths, directory_mode=CLOSED_MODE, file_mode=CLOSED_MODE, **self._owned())

    def _innermost(self, path: str) -> _Root | None:
        holders = [root for root in self.roots if below(path, root.path) is not None]
        return max(holders, key=lambda root: len(root.path), default=None)

    def _block(self, root: _Root, prefix: str) -> list[dict[str, Any]]:
        """Return the rules of one root, most specific first, with patterns relative to the tree that holds it."""

        def mine(paths: Iterable[str], as_pattern: bool = False) -> list[str]:
            result = []
            for path in paths:
                if self._innermost(path) is root:
                    relative = below(path, root.path) or ""
                    result.append(_join(prefix, (relative if as_pattern else literal(relative)) or "."))
            return result

        rules: list[dict[str, Any]] = []
        install = root.kind == "install"
        secrets = mine(self.secrets, as_pattern=True)
        scripts = [path for path in secrets if path.endswith(".sh") or "bin" in path.split("/")[:-1]]
        others = [path for path in secrets if path not in scripts]
        shared = {"owner": ["root"], "group": [self.group] if self.group else None}
        for paths, shared_mode, private_mode in (
            (scripts, SHARED_SCRIPT_MODE, PRIVATE_SCRIPT_MODE),
            (others, SHARED_FILE_MODE, PRIVATE_FILE_MODE),
        ):
            if paths:
                rules.append(
                    self._rule(
                        SECRETS,
                        paths,
                        directory_mode=SHARED_DIRECTORY_MODE if install else PRIVATE_DIRECTORY_MODE,
                        file_mode=shared_mode if install else private_mode,
                        readers=False,
                        **(shared if install else self._owned()),
                    )
                )
        logs = mine(self.logs)
        if logs:
            rules.append(self._closed(LOGS, [_join("" if path == "." else path, "**") for path in logs]))
        working = mine(self.working)
        if install:
            # A log folder of the install tree is a folder the product writes, also when it is not listed as one.
            working += [path for path in logs if path not in working]
        if working:
            patterns = [pattern for path in working for pattern in _both("" if path == "." else path)]
            rules.append(self._closed(WORKING, list(dict.fromkeys(patterns))))
        if install:
            rules.append(
                self._rule(
                    INSTALL,
                    _both(prefix),
                    owner=["root"],
                    group=list(dict.fromkeys(["root", *([self.group] if self.group else [])])),
                    directory_mode=INSTALL_MODE,
                    file_mode=INSTALL_MODE,
                    readable_by_service=True,
                )
            )
        else:
            control = {"home": HOME, "working": WORKING, "log": LOGS}[root.kind]
            rules.append(self._closed(control, _both(prefix)))
        return rules

    def _archives(self, outer: _Root) -> list[dict[str, Any]]:
        """Return the names that should not occur below a tree."""
        result = []
        if self.web_root:
            inside = below(self.web_root, outer.path)
            if inside is not None:
                prefix = literal(inside)
                result.append(self._web_root_names(prefix))
                result.append(self._web_inf_names(prefix))
        for path in self.archive_dirs:
            inside = below(path, outer.path)
            if inside is not None:
                names = [_join(literal(inside), f"**/{name}") for name in self.archive_names]
                result.append({"control": ARCHIVES, "paths": names})
        return result

    def _secret_names(self) -> list[str]:
        """Return the names of secret files of the homes, and of copies of them, that never belong in the web root."""
        names = []
        for path in self.secrets:
            if self.install is None or below(path, self.install) is None:
                name = posixpath.basename(path)
                if not re.search(r"[*?\[]", name):
                    names += [name, f"{name}.*"]
        return list(dict.fromkeys(names))

    def _web_root_names(self, prefix: str) -> dict[str, Any]:
        names = (*ARCHIVE_NAMES, *KEY_NAMES, *self._secret_names())
        inner = [_join(prefix, f"{folder}/**") for folder in ("WEB-INF", "META-INF")]
        return {"control": ARCHIVES, "paths": [_join(prefix, f"**/{name}") for name in names], "except": inner}

    def _web_inf_names(self, prefix: str) -> dict[str, Any]:
        """Return what should not be in WEB-INF, where products ship archives, key stores and scripts of their own.

        It is not served, but file reading flaws have opened it before. Files of the same name as a secret one are part
        of some products in WEB-INF/classes.
        """
        secrets = self._secret_names()
        names = (*DUMPS, *KEYS, *secrets)
        paths = [_join(prefix, f"{folder}/**/{name}") for folder in ("WEB-INF", "META-INF") for name in names]
        shipped = [_join(prefix, f"WEB-INF/classes/{name}") for name in secrets if not name.endswith(".*")]
        return {"control": ARCHIVES, "paths": paths, "except": shipped}

    def _hold(self, path: str | None, recurse: bool) -> str | None:
        """Return why nothing below a path may change now, None when it may."""
        shared = self.shared_home.path if self.shared_home else None
        inside = path and shared and below(path, shared) is not None
        around = path and shared and recurse and below(shared, path) is not None
        reasons = [hold_reason(self.instance), self.shared.get("hold") if inside or around else None]
        return "; ".join(reason for reason in reasons if reason) or None

    def _tree(self, outer: _Root | None, name: str, **more: Any) -> dict[str, Any]:
        tree = {
            "path": outer.path if outer else None,
            "name": name,
            "instance": self.name,
            "service_account": self.account,
            "service_group": self.group,
            "hold": self._hold(outer.path if outer else None, more.get("recurse", True)),
            **more,
        }
        return {key: value for key, value in tree.items() if value is not None}

    def outermost(self) -> list[_Root]:
        """Return those folders with a policy of their own that lie in no other."""
        return [
            root
            for root in self.roots
            if not any(other is not root and below(root.path, other.path) for other in self.roots)
        ]

    def trees(self, covered: Sequence[str]) -> list[dict[str, Any]]:
        """Return the trees: each outermost folder once, with the rules of all that lies in it.

        Args:
            covered: the outermost folders of all instances of the host.

        """
        result = []
        outermost = self.outermost()
        for outer in outermost:
            inner = [root for root in self.roots if below(root.path, outer.path) is not None]
            inner.sort(key=lambda root: (-root.path.count("/"), root.path))
            rules = [rule for root in inner for rule in self._block(root, literal(below(root.path, outer.path) or ""))]
            links = []
            for root in inner:
                prefix = literal(below(root.path, outer.path) or "")
                if root.kind == "home":
                    links.append(_join(prefix, "*"))
            for path in (*self.working, *self.logs):
                relative = below(path, outer.path)
                if relative:
                    links.append(literal(relative))
            links += [relative for relative in (below(path, outer.path) for path in self.secrets) if relative]
            result.append(
                self._tree(
                    outer,
                    outer.name,
                    rules=rules,
                    trait_control=TRAITS,
                    archives=self._archives(outer),
                    links=list(dict.fromkeys(links)),
                )
            )
        trees = result + self._small(outermost, covered) + self._unknown() + self._absent()
        return self._without_shared_home(trees, self.shared["judge"]) if self.shared.get("judge") else trees

    def _without_shared_home(self, trees: list[dict[str, Any]], judge: str) -> list[dict[str, Any]]:
        """Leave the shared home to the host that judges it for all nodes of the cluster."""
        home = self.shared_home
        if home is None:
            return trees
        kept = []
        for tree in trees:
            inside = below(home.path, tree["path"]) if tree.get("path") else None
            if inside and tree.get("recurse", True):
                tree["exceptions"] = [{"path": literal(inside), "reason": f"{SHARED_HOME}, judged on {judge}"}]
            if not tree.get("path") or below(tree["path"], home.path) is None:
                kept.append(tree)
        archives = any(below(path, home.path) is not None for path in self.archive_dirs)
        controls = [rule["control"] for rule in self._block(home, "")] + [TRAITS] + ([ARCHIVES] if archives else [])
        rules = [{"control": control} for control in dict.fromkeys(controls)]
        return [*kept, self._tree(home, home.name, rules=rules, elsewhere=judge, hold=None)]

    def _small(self, outermost: Sequence[_Root], covered: Sequence[str]) -> list[dict[str, Any]]:
        """Return small trees for what lies in none of the others."""
        result = []
        for path in self.secrets:
            if all(below(path, root.path) is None for root in outermost):
                folder, name = posixpath.split(path)
                while re.search(r"[*?\[]", folder):
                    folder, first = posixpath.split(folder)
                    name = f"{first}/{name}"
                rule = self._rule(
                    SECRETS,
                    [name],
                    directory_mode=PRIVATE_DIRECTORY_MODE,
                    file_mode=PRIVATE_FILE_MODE,
                    readers=False,
                    **self._owned(),
                )
                result.append(
                    self._tree(
                        _Root("secret", "", folder),
                        "folder of secret files",
                        rules=[rule],
                        links=[name],
                        recurse="/" in name,
                        required=False,
                    )
                )
        for path in self.archive_dirs:
            if all(below(path, root.path) is None for root in outermost):
                names = {"control": ARCHIVES, "paths": [f"**/{name}" for name in self.archive_names]}
                result.append(self._tree(_Root("archive", "", path), "backup folder", archives=[names], required=False))
        for path in self._above_install(covered):
            # Who may write there can put another installation in the place of this one.
            rule = self._rule(INSTALL, ["."], closed_to_service=True)
            above = _Root("above", "", path)
            result.append(self._tree(above, "line of folders above the install tree", rules=[rule], recurse=False))
        for root in self.roots:
            parent = posixpath.dirname(root.path)
            if root.kind == "home" and parent not in ("", "/"):
                names = {"control": ARCHIVES, "paths": list(ARCHIVE_NAMES)}
                result.append(
                    self._tree(
                        _Root("parent", "", parent), f"folder beside the {root.name}", archives=[names], recurse=False
                    )
                )
        return result

    def _above_install(self, covered: Sequence[str]) -> list[str]:
        """Return the folders above the install tree and above a link that leads to it, without the root directory.

        What lies in a tree, be it another product's, has a rule there: two for one path would undo each other.
        """
        found: set[str] = set()
        for path in _paths([self.install, self.instance.get("install_link")]):
            while (path := posixpath.dirname(path)) not in ("", "/"):
                found.add(path)
        return sorted(path for path in found if all(below(path, folder) is None for folder in covered))

    def _unknown(self) -> list[dict[str, Any]]:
        """Return trees without a path for what discovery could not find, so that its controls do not pass unseen."""
        result = []
        for key, name, controls in (
            ("install_dir", "install tree", [INSTALL]),
            ("home_dir", "home", [HOME, ARCHIVES]),
            ("working_dirs", "list of working folders", [WORKING]),
            ("secret_files", "list of secret files", [SECRETS]),
            ("log_dirs", "list of log folders", [LOGS]),
            ("web_root", "web root", [ARCHIVES]),
        ):
            if self.instance.get(key) is None:
                result.append(self._tree(None, name, rules=[{"control": control} for control in controls]))
        return result

    def _absent(self) -> list[dict[str, Any]]:
        """Return trees without a path for what a product of this kind does not have, each with the reason."""
        result = []
        for missing, name, control, reason in (
            (
                self.self_contained,
                "install tree",
                INSTALL,
                "it keeps program and data in one folder, judged as its home",
            ),
            (
                self._has_no("working_dirs"),
                "working folders",
                WORKING,
                "all it writes is judged as its home"
                if self.self_contained
                else "it writes nowhere in its install tree",
            ),
            (self._has_no("secret_files"), "secret files", SECRETS, "it keeps no secrets in files"),
            (self._has_no("log_dirs"), "log folders", LOGS, "it has no log folder of its own"),
        ):
            if missing:
                result.append(self._tree(None, name, rules=[{"control": control}], absent=reason))
        return result

    def own_places(self) -> set[str]:
        """Return what has a rule of its own in the install tree, as patterns relative to it."""
        if not self.install:
            return set()
        places = [(path, literal(path)) for path in (*self.working, *self.logs)] + [
            (path, path) for path in self.secrets
        ]
        return {below(pattern, literal(self.install)) or "" for path, pattern in places if below(path, self.install)}

    def _has_no(self, key: str) -> bool:
        """Whether an empty list says that there is none; None says that nobody knows."""
        return self.instance.get(key) == []


def _checked_readers(readers: Any) -> list[dict[str, Any]]:
    if not isinstance(readers, list):
        raise SettingsError(f"readers must be a list, not {type(readers).__name__}")
    for reader in readers:
        if not isinstance(reader, dict) or bool(reader.get("user")) == bool(reader.get("group")):
            raise SettingsError(f"a reader needs a user or a group, one of both: {reader!r}")
        unknown = set(reader) - {"user", "group", "paths"}
        if unknown:
            raise SettingsError(f"a reader has no {', '.join(sorted(unknown))}: {reader!r}")
        paths = reader.get("paths") or []
        if not isinstance(paths, list) or not all(isinstance(path, str) and path.startswith("/") for path in paths):
            raise SettingsError(f"the paths of a reader must be a list of absolute paths: {reader!r}")
    return readers


def _checked_exceptions(exceptions: Any) -> list[dict[str, Any]]:
    if not isinstance(exceptions, list):
        raise SettingsError(f"exceptions must be a list, not {type(exceptions).__name__}")
    for exception in exceptions:
        if not isinstance(exception, dict) or set(exception) != {"path", "reason"}:
            raise SettingsError(f"an exception needs a path and a reason, nothing else: {exception!r}")
        if not isinstance(exception["path"], str) or not exception["path"].startswith("/"):
            raise SettingsError(f"the path of an exception must be absolute: {exception!r}")
        if not exception["reason"]:
            raise SettingsError(f"an exception needs a reason: {exception!r}")
    return exceptions


def _folders_above(relative: str) -> list[str]:
    """Return the patterns of the folders on the way to a place in a tree, the root of the tree included."""
    steps = relative.split("/")
    if "**" in steps:
        steps = [*steps[: steps.index("**")], ""]
    return [] if relative in ("", ".") else ["/".join(steps[:count]) or "." for count in range(len(steps))]


def _reader_of(reader: dict[str, Any], path: str) -> dict[str, Any] | None:
    """Return a reader with its paths relative to a tree, None when it has none there."""
    account = {key: reader[key] for key in ("user", "group") if reader.get(key)}
    if not reader.get("paths"):
        return account
    patterns: list[str] = []
    for wanted in reader["paths"]:
        if below(path, wanted) is not None:
            patterns += [".", "**"]
        else:
            relative = below(wanted, path)
            if relative is not None:
                # The folders on the way too: who may not pass them cannot read what lies below.
                patterns += [*_folders_above(relative), *_both(relative)]
    return {**account, "paths": list(dict.fromkeys(patterns))} if patterns else None


def permission_trees(
    instances: Any,
    readers: Any = None,
    exceptions: Any = None,
    cross_file_systems: bool = False,
    shared_homes: Mapping[str, Mapping[str, str]] | None = None,
) -> list[dict[str, Any]]:
    """Return the trees ``tree_permissions`` is to judge.

    Args:
        instances: what discovery found.
        readers: accounts that keep read access, each a ``user`` or ``group``; without ``paths``, all but secrets.
        exceptions: places to leave alone; each a ``path``, which may hold patterns, and a ``reason``.
        cross_file_systems: enter other file systems and network mounts.
        shared_homes: what other nodes of a cluster mean for a shared home, by name of the instance.

    Raises:
        SettingsError: a setting that cannot be used.

    """
    readers = _checked_readers(readers or [])
    exceptions = _checked_exceptions(exceptions or [])
    if not isinstance(instances, list):
        raise SettingsError(f"instances must be a list, not {type(instances).__name__}")
    policies = [_Instance(instance, (shared_homes or {}).get(instance["name"], {})) for instance in instances]
    covered = [root.path for policy in policies for root in policy.outermost()]
    trees = [tree for policy in policies for tree in policy.trees(covered)]
    scratch = [path for policy in policies for path in policy.scratch]
    walked = [(tree["instance"], tree["path"]) for tree in trees if tree.get("path") and tree.get("rules")]
    for tree in trees:
        path = tree.get("path")
        if not path:
            continue
        tree["cross_file_systems"] = bool(cross_file_systems)
        if tree.get("rules"):
            tree["readers"] = [found for found in (_reader_of(reader, path) for reader in readers) if found]
        left_out = tree.get("exceptions", [])
        for exception in exceptions:
            if below(path, exception["path"]) is not None:
                left_out.append({"path": ".", "reason": exception["reason"]})
            else:
                relative = below(exception["path"], path)
                if relative:
                    left_out.append({"path": relative, "reason": exception["reason"]})
        for other_policy in policies:
            # One folder may hold two products: what the other one writes or keeps secret there is judged with it.
            if other_policy.install == path and other_policy.name != tree["instance"] and tree.get("rules"):
                mine = {
                    place for policy in policies if policy.name == tree["instance"] for place in policy.own_places()
                }
                left_out += [
                    {"path": place, "reason": f"judged with {other_policy.name}"}
                    for place in sorted(other_policy.own_places() - mine)
                ]
        for folder in scratch:
            relative = below(folder, path)
            if relative and tree.get("recurse", True):
                # The folder itself is judged and closed. What builds make in it they also deliver, modes and all.
                left_out.append(
                    {"path": f"{literal(relative)}/*", "reason": "made by builds, which deliver it as it is"}
                )
        for name, other in walked:
            relative = below(other, path)
            if name != tree["instance"] and relative and tree.get("recurse", True):
                left_out.append({"path": literal(relative), "reason": f"judged with {name}"})
        tree["exceptions"] = left_out
    return trees
