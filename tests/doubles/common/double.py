# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for a product: account, directories, configuration, logs, unit. A product fills in what is its own."""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import tomllib

from . import java, people, tree

COMMON = Path(__file__).resolve().parent
STATES = "states.toml"
REST = "rest.txt"


class Double:
    """One stand-in, in one state. Its folder holds states.toml, instance.txt and files/."""

    # What the product is called in its files.
    name: ClassVar[str]
    title: ClassVar[str]
    folder: ClassVar[Path]
    # Folders below the installation the product has to write, and files of its home that hold secrets.
    writable: ClassVar[Sequence[str]] = ()
    secrets: ClassVar[Sequence[str]] = ()
    # Groups of all and of administrators, and the version from which basic authentication is off, if it ever is.
    user_group: ClassVar[str] = ""
    admin_group: ClassVar[str] = ""
    basic_off_since: ClassVar[str] = ""

    def __init__(self, settings: dict[str, Any], root: Path) -> None:
        """Only stores what to build."""
        self.settings = settings
        self.root = root
        self.install = self.real(settings["install"])
        self.home = self.real(settings["home"])

    def real(self, path: str) -> Path:
        """Return where a path of the system lies while it is built."""
        return self.root / path.lstrip("/")

    @property
    def roots(self) -> list[Path]:
        """Return the folders that are the product's; one that lies in another is not named."""
        named = (self.settings[name] for name in ("install", "home"))
        return [self.real(path) for path in named if path and self.real(path).is_dir()]

    # What a product fills in

    def values(self) -> dict[str, str]:
        """Return values of placeholders of its files beside the settings, whose names are in capitals."""
        return {}

    def skipped(self) -> frozenset[str]:
        """Return the files of files/home this state does without."""
        return frozenset()

    def content(self) -> None:
        """Make everything that is not a text file of files/."""
        raise NotImplementedError

    def stray_archives(self) -> None:
        """Leave backups and exports that nobody cleaned up."""

    def units(self) -> list[str]:
        """Return the units of files/system this state has."""
        return [path.stem for path in sorted((self.folder / "files/system").glob("*.service"))]

    # Building

    def build(self) -> None:
        """Make everything; owners and modes come last."""
        self._account()
        values = self.all_values()
        self.texts(values)
        self.content()
        if self.settings["stray_archives"]:
            self.stray_archives()
        self._owners_and_modes()
        for unit in self.units():
            self._unit(unit, values)

    def texts(self, values: Mapping[str, str]) -> None:
        """Write what is text: files of the installation and the home, and what a database would hold."""
        tree.install_templates(self.folder / "files" / "install", self.install, values)
        if (self.folder / REST).exists():
            self._database(values)
        tree.install_templates(self.folder / "files" / "home", self.home, values, self.skipped())

    def _database(self, values: Mapping[str, str]) -> None:
        """Write the tables that are the same for all; a product's own files take their place."""
        s = self.settings
        database = self.home / "database"
        tree.install_templates(COMMON / "files" / "database", database, values)
        named = (s["admin_user"], s["login_user"], self.admin_group, self.user_group)
        rows = {
            "users": people.users(*named, s["people"], s["teams"]),
            "groups": people.groups(self.admin_group, self.user_group, s["teams"]),
        }
        for name, table in rows.items():
            tree.write(database / f"{name}.json", json.dumps(table, ensure_ascii=False, separators=(",", ":")) + "\n")

    def all_values(self) -> dict[str, str]:
        """Return the values of all placeholders."""
        settings = {key.upper(): str(value) for key, value in self.settings.items()}
        user = self.settings["unit_user"]
        return {
            **settings,
            "PRODUCT": self.name,
            "TITLE": self.title,
            "JAVA_HOME": str(java.home()),
            # No User= line at all, rather than an empty one.
            "UNIT_USER_LINE": f"\nUser={user}" if user else "",
            "ADMIN_GROUP": self.admin_group,
            "USER_GROUP": self.user_group,
            "BASIC_BLOCKED": self._basic_blocked(),
            **self.values(),
        }

    def _basic_blocked(self) -> str:
        """Whether basic authentication is off: what was said, else as the version comes."""
        said = self.settings["basic_blocked"]
        if said != "":
            return str(said).lower()
        since, version = (
            [int(part) for part in text.split(".")] for text in (self.basic_off_since or "0", self.settings["version"])
        )
        return str(bool(self.basic_off_since) and version >= since).lower()

    def script(self, values: Mapping[str, str], name: str = "instance.txt") -> str:
        """Return what the running product does, see README.md of the doubles."""
        text = (self.folder / name).read_text()
        if name == "instance.txt" and (self.folder / REST).exists():
            text += f"\n[rest]\n{self._rest()}"
        return tree.fill(text, values, name)

    def _rest(self) -> str:
        """Return the resources of the product, with those of apps that several products share."""
        parts = []
        for line in (self.folder / REST).read_text().splitlines():
            command, *names = line.split(" ")
            if command == "include":
                parts += [f"{(COMMON / 'rest' / f'{name}.txt').read_text()}\n[rest]" for name in names]
            else:
                parts.append(line)
        return "\n".join(parts) + "\n"

    def compile(
        self,
        target: Path,
        classes: Sequence[str],
        libraries: Path | None = None,
        main: str = "",
        values: Mapping[str, str] | None = None,
    ) -> None:
        """Compile common classes into a folder; `main` is the class the process is started by."""
        package, _dot, name = main.rpartition(".")
        known = {"LAUNCHER": "Launcher", **self.all_values(), "MAIN_PACKAGE": package, "MAIN_CLASS": name}
        java.compile_templates(COMMON / "java", classes, {**known, **(values or {})}, target, libraries)

    def program(self, target: Path, main: str, script: str, values: Mapping[str, str] | None = None) -> None:
        """Make an archive that runs a script without any servlet container."""
        with tempfile.TemporaryDirectory() as folder:
            self.compile(Path(folder), (*java.CORE, "Launcher", "Main"), main=main, values=values)
            classes = sorted(Path(folder).rglob("*.class"))
            compiled = {str(path.relative_to(folder)): path.read_bytes() for path in classes}
        manifest = f"Manifest-Version: 1.0\nMain-Class: {main}\n"
        tree.archive(target, {"META-INF/MANIFEST.MF": manifest, **compiled, "instance.txt": script})

    def _account(self) -> None:
        s = self.settings
        user = s["user"]
        for group in s["groups"]:
            tree.run("groupadd", "--force", "--system", group)
        if tree.has_account(user):
            return
        kind = ["--system", "--user-group"] if s["system_account"] else []
        options = ["--create-home", "--home-dir", s["user_home"], "--shell", s["shell"]]
        tree.run("useradd", *kind, *options, *(["--groups", ",".join(s["groups"])] if s["groups"] else []), user)
        if s["password"]:
            tree.run("chpasswd", data=f"{user}:{s['password']}\n")
        ssh = self.real(s["user_home"]) / ".ssh"
        ssh.mkdir(mode=0o700)
        # A key the product itself uses, for repositories and the like: it has to stay.
        tree.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"{user}@{user}1", "-f", str(ssh / "id_ed25519"))
        if s["authorized_keys"]:
            with tempfile.TemporaryDirectory() as folder:
                key = Path(folder) / "key"
                tree.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "admin@laptop", "-f", str(key))
                (ssh / "authorized_keys").write_text(key.with_suffix(".pub").read_text())
                (ssh / "authorized_keys").chmod(0o600)
        tree.own(ssh, user, user)
        if s["sudoers"]:
            sudoers = self.root / "etc/sudoers.d" / user
            tree.write(sudoers, s["sudoers"] + "\n")
            sudoers.chmod(0o440)

    def _owners_and_modes(self) -> None:
        user = self.settings["user"]
        if self.settings["tree"] == "everything-755":
            for root in self.roots:
                tree.own(root, user, user)
                tree.modes(root, 0o755, 0o755)
            return
        homes = [root for root in self.roots if root != self.install]
        if self.install in self.roots:
            tree.own(self.install, "root", "root")
            tree.modes(self.install, 0o755, 0o644, 0o755)
        for folder in [*(self.install / name for name in self.writable), *homes]:
            tree.own(folder, user, user)
            tree.modes(folder, 0o750, 0o640, 0o750)
        for name in self.secrets:
            if (self.home / name).exists():
                (self.home / name).chmod(0o600)

    def _unit(self, name: str, values: Mapping[str, str]) -> None:
        unit = self.root / "etc/systemd/system" / f"{name}.service"
        text = tree.fill((self.folder / f"files/system/{name}.service").read_text(), values, unit.name)
        tree.write(unit, text)
        unit.chmod(int(self.settings["unit_mode"], 8))
        if self.settings["enabled"]:
            tree.run("systemctl", f"--root={self.root}", "enable", unit.name)


def settings_for(folder: Path, state: str, changes: Sequence[str]) -> dict[str, Any]:
    """Return the settings of a state with changes KEY=VALUE applied; a value that is not TOML is a string."""
    layers = [tomllib.loads((where / STATES).read_text()) for where in (COMMON, folder)]
    states = {name for layer in layers for name in layer["states"]}
    if state not in states:
        raise SystemExit(f"There is no state '{state}'. There are: {', '.join(sorted(states))}.")
    settings: dict[str, Any] = {}
    for part in [layer["defaults"] for layer in layers] + [layer["states"].get(state, {}) for layer in layers]:
        settings.update(part)
    for change in changes:
        key, separator, value = change.partition("=")
        if not separator or key not in settings:
            raise SystemExit(f"--set {change}: there is no such setting. There are: {', '.join(sorted(settings))}.")
        try:
            settings[key] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            settings[key] = value
    user = settings["user"]
    return {key: value.replace("@USER@", user) if isinstance(value, str) else value for key, value in settings.items()}


def main(double: type[Double], argv: Sequence[str] | None = None) -> int:
    """Build a stand-in on this system."""
    parser = argparse.ArgumentParser(description=f"Put a stand-in for {double.title} on this system.")
    parser.add_argument("--state", default="unhardened", help="state of states.toml (default: unhardened)")
    parser.add_argument("--version", help="version the files tell")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change a setting of the state")
    parser.add_argument("--root", type=Path, default=Path("/"), help="where the file system begins (default: /)")
    arguments = parser.parse_args(argv)
    changes = [*arguments.set, *([f'version="{arguments.version}"'] if arguments.version else [])]
    double(settings_for(double.folder, arguments.state, changes), arguments.root).build()
    return 0
