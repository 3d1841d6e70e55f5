# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find Pythons and make Python environments of them. Needs nothing but Python itself."""

from __future__ import annotations

import glob
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hosts.podman import SYSTEM_PATH
from hosts.progress import HostsError, run_logged, step

CHECKOUT = Path(__file__).resolve().parent.parent
RESULTS = CHECKOUT / ".test-results"
# Where version managers keep Pythons, besides PATH, in which they may have put programs that only fail.
PLACES = ("~/.pyenv/versions/*/bin", "~/.local/share/uv/python/*/bin", "/usr/local/bin", "/usr/bin", "/opt/python*/bin")
PROBE = "import ensurepip, sys, venv; print(*sys.version_info[:2], sep='.')"

Version = tuple[int, int]


def _candidates(name: str) -> Iterator[str]:
    if Path(sys.executable).resolve().name == name:
        yield sys.executable
    for place in os.environ.get("PATH", SYSTEM_PATH).split(os.pathsep):
        yield os.path.join(place, name)
    for pattern in PLACES:
        for folder in sorted(glob.glob(os.path.expanduser(pattern))):
            yield os.path.join(folder, name)


def find_python(oldest: Version, newest: Version) -> str | None:
    """Find a Python that runs and can make environments, the oldest of the versions asked for.

    Args:
        oldest: first version that will do.
        newest: last version that will do.

    Returns:
        Its path; None when there is none.

    """
    for minor in range(oldest[1], newest[1] + 1):
        name = f"python{oldest[0]}.{minor}"
        for path in _candidates(name):
            if not os.access(path, os.X_OK):
                continue
            done = subprocess.run([path, "-c", PROBE], capture_output=True, text=True, check=False)
            if done.returncode == 0 and done.stdout.strip() == name.removeprefix("python"):
                return path
    return None


@dataclass(frozen=True)
class Environment:
    """A Python environment, made anew whenever what it is made from has changed.

    Args:
        folder: where it lies; everything in it goes when it is made anew.
        python: program it is made with.
        packages: arguments of pip that say what to install.

    """

    folder: Path
    python: str
    packages: tuple[str, ...]

    def tool(self, name: str) -> str:
        """Path of one of its programs."""
        return str(self.folder / "bin" / name)

    def _stamp(self) -> str:
        """Say what it is made from, and with which Python."""
        version = subprocess.run([self.python, "-VV"], capture_output=True, check=False).stdout
        digest = hashlib.sha256(version)
        digest.update("\0".join([os.path.realpath(self.python), *self.packages]).encode())
        for path in sorted(CHECKOUT.glob("requirements*.txt")):
            digest.update(path.read_bytes())
        return digest.hexdigest()

    def make(self) -> None:
        """Make it; quick when it is there.

        Raises:
            HostsError: it cannot be made; the text says what to do.

        """
        stamp = self.folder / "requirements.stamp"
        if stamp.is_file() and stamp.read_text().strip() == self._stamp() and os.access(self.tool("python"), os.X_OK):
            return
        ensure_venv_module(self.python)
        name = self.folder.relative_to(CHECKOUT)
        log = RESULTS / f"environment-{self.folder.name.removeprefix('.')}.log"
        with step(f"making the Python environment {name}"):
            if self.folder.is_symlink() or self.folder.is_file():
                self.folder.unlink()
            run_logged([self.python, "-m", "venv", "--clear", str(self.folder)], log, f"{name}: venv")
            pip = [self.tool("python"), "-m", "pip", "install", "--disable-pip-version-check", "--progress-bar=off"]
            try:
                run_logged([*pip, *self.packages], log, f"{name}: pip")
            except HostsError as error:
                raise HostsError(
                    f"{error}\nThe tests need packages from a Python package index."
                    " Check that pip reaches one (pip config list), then run this again."
                ) from None
        stamp.write_text(self._stamp() + "\n")


def ensure_venv_module(python: str) -> None:
    """Debian keeps what virtual environments need in a package of its own: install it for the system's Python.

    Raises:
        HostsError: the Python cannot make environments and it is not for us to change that.

    """
    probe = subprocess.run([python, "-c", PROBE], capture_output=True, check=False)
    if probe.returncode == 0:
        return
    package = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
    apt = shutil.which("apt-get", path=SYSTEM_PATH)
    if apt is None or os.geteuid() != 0 or python != sys.executable or not python.startswith("/usr/bin/"):
        raise HostsError(f"{python} cannot make virtual environments. On Debian: apt-get install {package}")
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with step(f"installing system package {package}"):
        run_logged([apt, "update"], RESULTS / "apt.log", "apt-get update", env)
        run_logged([apt, "install", "--yes", "--no-install-recommends", package], RESULTS / "apt.log", "apt-get", env)
