# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images of the test hosts: a base made by mmdebstrap, and layers on it. images.toml says what is in them.

An image is built again when anything it is made from changes: its name carries a hash of that.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tomllib

from .podman import SYSTEM_PATH, Podman
from .progress import HostsError, run_logged, say, step

TESTS = Path(__file__).resolve().parent.parent
RECIPES = Path(__file__).resolve().parent / "images.toml"
DEFAULT_DISTRIBUTION = "bookworm"
PREFIX = "localhost/atlassian-dc-test"
DEBIAN = "http://deb.debian.org/debian"
DEBIAN_SECURITY = "http://deb.debian.org/debian-security"
IGNORED = ("__pycache__", "README.md")
# Whether the lists of packages were fetched within the hour, for an image below: the mirror still has what they name.
# Not by the time of their content, which is the mirror's.
FRESH_LISTS = "find /var/lib/apt/lists -name '*_InRelease' -cmin -60 | grep -q ."

# Systemd makes the root mount shared on real hardware; in a container it finds it private and leaves it so, and
# LoadCredential= fails.
SHARED_ROOT_UNIT = """\
[Unit]
Description=Make the root mount shared, as on a machine of its own
DefaultDependencies=no
Before=sysinit.target

[Service]
Type=oneshot
ExecStart=/usr/bin/mount --make-rshared /

[Install]
WantedBy=sysinit.target
"""


class Apt:
    """What this machine's apt needs to reach its package mirror; used to build images, never left in them."""

    OPTIONS = re.compile(
        r"^Acquire::(?:(?:http|https)(?:::[^ ]+)?|Check-Valid-Until|Check-Date|Retries|ForceIPv[46]|"
        r"AllowInsecureRepositories|Proxy)(?:::)? "
    )

    def __init__(self) -> None:
        """Read the machine's apt configuration."""
        self.options = self._options()
        self.mirror, self.security = self._mirrors()
        self.credentials = [
            path
            for path in (Path("/etc/apt/auth.conf"), *sorted(Path("/etc/apt/auth.conf.d").glob("*.conf")))
            if path.is_file()
        ]

    def _options(self) -> list[str]:
        try:
            dump = subprocess.run(
                ["apt-config", "dump"],
                capture_output=True,
                text=True,
                check=True,
                env={"PATH": SYSTEM_PATH, **os.environ},
            )
        except (OSError, subprocess.CalledProcessError):
            return []
        return [
            line
            for line in dump.stdout.splitlines()
            if self.OPTIONS.match(line) and not line.endswith(' "";') and "Auto-Detect" not in line
        ]

    @staticmethod
    def _entries() -> list[tuple[str, list[str]]]:
        """(address, suites) of every enabled Debian source."""
        found: list[tuple[str, list[str]]] = []
        base = Path("/etc/apt")
        for path in (base / "sources.list", *sorted((base / "sources.list.d").glob("*.list"))):
            for line in path.read_text().splitlines() if path.is_file() else []:
                match = re.match(r"\s*deb\s+(?:\[[^]]*\]\s+)?(\S+)\s+(\S+)\s", line)
                if match:
                    found.append((match[1], [match[2]]))
        for path in sorted((base / "sources.list.d").glob("*.sources")):
            for stanza in re.split(r"\n\s*\n", path.read_text()):
                lines = [line for line in stanza.splitlines() if not line.startswith("#")]
                fields = dict(line.split(":", 1) for line in lines if ":" in line and not line.startswith(" "))
                fields = {name.strip().lower(): value.strip() for name, value in fields.items()}
                if fields.get("enabled", "yes").lower() == "no" or "deb" not in fields.get("types", "").split():
                    continue
                found.extend((uri, fields.get("suites", "").split()) for uri in fields.get("uris", "").split())
        return found

    def _mirrors(self) -> tuple[str, str]:
        """Find the Debian mirrors this machine uses, or Debian's own where it uses none."""
        release = Path("/etc/os-release").read_text()
        codename = re.search(r"^VERSION_CODENAME=\"?(\w+)", release, re.MULTILINE)
        is_debian = re.search(r"^ID=\"?debian\"?$", release, re.MULTILINE)
        mirror, security = DEBIAN, DEBIAN_SECURITY
        if is_debian and codename:
            for uri, suites in self._entries():
                if codename[1] in suites:
                    mirror = uri
                if f"{codename[1]}-security" in suites:
                    security = uri
        return mirror, security

    def sources(self, suite: str) -> list[str]:
        """One-line sources of a Debian release."""
        return [
            f"deb {self.mirror} {suite} main",
            f"deb {self.mirror} {suite}-updates main",
            f"deb {self.security} {suite}-security main",
        ]

    def configuration(self, folder: str | None = None) -> str:
        """Content of a configuration file; `folder` is where the files of copy_to() are found."""
        lines = list(self.options)
        if folder:
            if self.credentials:
                lines += [f'Dir::Etc::netrcparts "{folder}/auth.conf.d/";']
            if self.uses_https:
                lines += [f'Acquire::https::CAInfo "{folder}/ca-certificates.crt";']
        return "".join(f"{line}\n" for line in lines)

    @property
    def uses_https(self) -> bool:
        """Whether certificates of this machine are needed to reach the mirror."""
        return any(uri.startswith("https:") for uri in (self.mirror, self.security))

    def copy_to(self, target: Path, folder: str) -> None:
        """Put configuration, credentials and certificates where a build can read them as `folder`."""
        (target / "auth.conf.d").mkdir(parents=True)
        for number, path in enumerate(self.credentials):
            shutil.copy(path, target / "auth.conf.d" / f"{number}.conf")
        bundle = Path("/etc/ssl/certs/ca-certificates.crt")
        if bundle.is_file():
            shutil.copy(bundle, target / bundle.name)
        (target / "apt.conf").write_text(self.configuration(folder))


def _hash_tree(digest: Any, root: Path) -> None:
    for path in sorted(root.rglob("*")):
        relative = path.relative_to(root)
        if path.is_file() and not any(part in IGNORED for part in relative.parts) and path.suffix != ".pyc":
            digest.update(f"{relative}\0{path.stat().st_mode & 0o777:o}\0".encode())
            digest.update(path.read_bytes() + b"\0")


class Images:
    """Finds, builds and removes the images described in images.toml."""

    def __init__(self, podman: Podman) -> None:
        """Read the recipes."""
        self.podman = podman
        recipes = tomllib.loads(RECIPES.read_text())
        self.distributions: dict[str, dict[str, Any]] = recipes["distributions"]
        self.recipes: dict[str, dict[str, Any]] = recipes["images"]

    def recipe(self, image: str, distribution: str) -> dict[str, Any]:
        """Recipe of an image; an unknown name is an error that lists the known ones."""
        if image not in self.recipes:
            raise HostsError(f"No image is called '{image}'. There are: {', '.join(sorted(self.recipes))}.")
        if distribution not in self.distributions:
            known = ", ".join(sorted(self.distributions))
            raise HostsError(f"No distribution is called '{distribution}'. There are: {known}.")
        return self.recipes[image]

    def _packages(self, image: str, distribution: str) -> list[str]:
        names: dict[str, str] = self.distributions[distribution].get("substitute", {})
        return [names.get(package, package) for package in self.recipes[image].get("packages", [])]

    def name(self, image: str, distribution: str = DEFAULT_DISTRIBUTION) -> str:
        """Full name of an image; the same input gives the same name."""
        recipe = self.recipe(image, distribution)
        digest = hashlib.sha256()
        if "from" in recipe:
            digest.update(self.name(recipe["from"], distribution).encode())
            digest.update(self._containerfile(image, distribution, "parent").encode())
            for folder in recipe.get("copy", []):
                digest.update(folder.encode() + b"\0")
                _hash_tree(digest, TESTS / folder)
        else:
            command = self._base_command(image, distribution, Path("base.tar"), Path("apt.conf"), [])
            digest.update(repr(command).encode())
            digest.update(SHARED_ROOT_UNIT.encode())
        return f"{PREFIX}-{image}:{distribution}-{digest.hexdigest()[:12]}"

    def ensure(self, image: str, distribution: str = DEFAULT_DISTRIBUTION, rebuild: bool = False) -> str:
        """Build an image and those it stands on, unless they are there; returns its name."""
        return self.ensure_all([image], distribution, rebuild)[0]

    def beforehand(self, image: str) -> list[str]:
        """Return the distributions of which tests need an image."""
        known = list(self.distributions)
        return list(self.recipe(image, known[0]).get("beforehand", known))

    def ensure_all(self, images: Sequence[str], distribution: str, rebuild: bool = False) -> list[str]:
        """Do so for several images of a distribution, each built once; returns their names."""
        for image in images:
            self.recipe(image, distribution)
        built: set[str] = set()
        with self.podman.lock(f"images-{distribution}"), self.podman.lock("images", shared=True):
            names = [self._ensure(image, distribution, rebuild, built) for image in images]
        if built:
            # Podman gives an image its name only after it has put it into its storage: while any is being built, none
            # is removed, not even listed.
            with self.podman.lock("images"):
                self._remove_older(built, distribution)
        return names

    def _ensure(self, image: str, distribution: str, rebuild: bool, built: set[str]) -> str:
        recipe = self.recipe(image, distribution)
        name = self.name(image, distribution)
        parent = recipe.get("from")
        if parent:
            self._ensure(parent, distribution, rebuild, built)
        exists = self.podman.run("image", "exists", name, check=False).returncode == 0
        if exists and (not rebuild or image in built):
            return name
        built.add(image)
        with step(f"building test image '{image}' ({distribution})"):
            if parent:
                self._build_layer(image, distribution, name)
            else:
                self._build_base(image, distribution, name)
        return name

    def _remove_older(self, images: set[str], distribution: str) -> None:
        """Images of earlier recipes only fill the disk; those in use by a host stay."""
        current = {self.name(image, distribution) for image in images}
        older = tuple(f"{PREFIX}-{image}:{distribution}-" for image in images)
        for other in self.podman.lines("images", "--format={{.Repository}}:{{.Tag}}"):
            if other.startswith(older) and other not in current:
                self.podman.run("image", "rm", other, check=False)
        self.podman.run("image", "prune", "--force", check=False)

    def _base_command(
        self, image: str, distribution: str, tar: Path, apt_configuration: Path, sources: list[str]
    ) -> list[str]:
        units = " ".join(self.distributions[distribution].get("mask", []))
        unit = "etc/systemd/system/root-mount-shared.service"
        hooks = [
            f'printf %s {shlex.quote(SHARED_ROOT_UNIT)} > "$1/{unit}"',
            'chroot "$1" systemctl enable root-mount-shared.service',
            f'chroot "$1" systemctl mask {units}',
            # Each host gets its own when it starts.
            'rm -f "$1"/etc/ssh/ssh_host_*',
            # What only this machine needs to reach its mirror.
            'rm -f "$1/etc/apt/apt.conf.d/99mmdebstrap"',
        ]
        return [
            "mmdebstrap",
            "--mode=root",
            "--variant=minbase",
            "--skip=cleanup/apt/lists",
            f"--include={','.join(self._packages(image, distribution))}",
            f"--aptopt={apt_configuration}",
            *(f"--customize-hook={hook}" for hook in hooks),
            distribution,
            str(tar),
            *sources,
        ]

    def _build_base(self, image: str, distribution: str, name: str) -> None:
        apt = Apt()
        self.podman.prepare()
        with tempfile.TemporaryDirectory(prefix="build-", dir=self.podman.state) as folder:
            tar = Path(folder) / "base.tar"
            options = Path(folder) / "apt.conf"
            lines = apt.configuration()
            if apt.credentials:
                lines += 'Dir::Etc::netrc "/etc/apt/auth.conf";\nDir::Etc::netrcparts "/etc/apt/auth.conf.d/";\n'
            options.write_text(lines)
            env = {**os.environ, "PATH": SYSTEM_PATH, "TMPDIR": folder}
            command = self._base_command(image, distribution, tar, options, apt.sources(distribution))
            try:
                run_logged(
                    command, self.podman.log_dir / f"mmdebstrap-{distribution}.log", f"mmdebstrap {distribution}", env
                )
            except HostsError as error:
                raise HostsError(
                    f"{error}\nThe base image is made from Debian's packages at {apt.mirror}: check that this machine"
                    " reaches it (apt-get update), then run this again."
                ) from None
            say("    importing the image")
            self.podman.build_logged(
                f"podman import {distribution}", "import", "--change=CMD /sbin/init", str(tar), name
            )

    def _containerfile(self, image: str, distribution: str, parent: str) -> str:
        recipe = self.recipes[image]
        packages = self._packages(image, distribution)
        apt_get = "APT_CONFIG=/run/machine-apt/apt.conf DEBIAN_FRONTEND=noninteractive apt-get"
        lines = ["set -e"]
        if packages:
            lines += [f"{FRESH_LISTS} || {apt_get} update"]
            lines += [f"{apt_get} install -y --no-install-recommends {' '.join(packages)}"]
        lines += ["cd /usr/local/src", *recipe.get("run", [])]
        # Who has such lines as well passes on what they would remove.
        lines += [] if "finish" in recipe else self.recipes[recipe["from"]].get("finish", [])
        lines += [
            "cd /",
            # Its lists and what apt has made of them stay: to fetch them takes a host longer than most packages.
            "rm -rf /usr/local/src/* /var/cache/apt/archives/*.deb",
            "rm -f /var/log/apt/* /var/log/dpkg.log",
        ]
        return "\n".join(
            (
                f"FROM {parent}",
                *(f"COPY {folder}/ /usr/local/src/{folder}/" for folder in recipe.get("copy", [])),
                f"RUN {'; '.join(lines)}",
                "CMD /sbin/init",
                "",
            )
        )

    def _build_layer(self, image: str, distribution: str, name: str) -> None:
        recipe = self.recipes[image]
        self.podman.prepare()
        with tempfile.TemporaryDirectory(prefix="build-", dir=self.podman.state) as folder:
            context = Path(folder) / "context"
            context.mkdir()
            for source in recipe.get("copy", []):
                shutil.copytree(TESTS / source, context / source, ignore=shutil.ignore_patterns(*IGNORED, "*.pyc"))
            parent = self.name(recipe["from"], distribution)
            (context / "Containerfile").write_text(self._containerfile(image, distribution, parent))
            Apt().copy_to(Path(folder) / "apt", "/run/machine-apt")
            self.podman.build_logged(
                f"podman build {image} {distribution}",
                "build",
                "--isolation=chroot",
                "--layers=false",
                "--pull-never",
                f"--volume={folder}/apt:/run/machine-apt:ro",
                f"--tag={name}",
                f"--file={context / 'Containerfile'}",
                str(context),
            )

    def ready_checks(self, image: str) -> list[dict[str, Any]]:
        """Return the pages that tell that the software of an image is up."""
        ready: list[dict[str, Any]] = self.recipes[image].get("ready", [])
        return ready
