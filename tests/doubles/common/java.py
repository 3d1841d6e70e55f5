# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Java for the doubles: Tomcat out of Debian's packages, classes compiled by the compiler Tomcat brings."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from . import tree

COMMON = Path(__file__).resolve().parent
# Where images.toml of the test hosts puts Debian's Tomcat and the Eclipse compiler.
TOMCAT = Path("/usr/local/lib/doubles")
COMPILER = TOMCAT / "ecj.jar"
TOMCAT_SCRIPTS = ("catalina.sh", "configtest.sh", "digest.sh", "setclasspath.sh", "shutdown.sh", "startup.sh",
                  "tool-wrapper.sh", "version.sh", "bootstrap.jar", "tomcat-juli.jar")  # fmt: skip
# It ends so soon that what the virtual machine would optimise further costs more than it saves.
QUICK = "-XX:TieredStopAtLevel=1"
# Classes of every double, and of those that have pages.
CORE = (
    "Instance",
    "Accounts",
    "AuditFiles",
    "Callers",
    "Database",
    "Json",
    "Loggers",
    "Login",
    "Occasion",
    "Rest",
    "Text",
)
PAGES = (*CORE, "Dashboard", "Visit")
TOMCAT_FOLDERS = ("logs", "temp", "work", "webapps", "conf/Catalina/localhost")


def home() -> Path:
    """Return where the system's Java lies."""
    return Path("/usr/bin/java").resolve().parent.parent


def install_libraries(target: Path) -> None:
    """Copy Tomcat's libraries into a folder."""
    target.mkdir(parents=True, exist_ok=True)
    for jar in (TOMCAT / "lib").glob("*.jar"):
        shutil.copy(jar, target / jar.name)


def install_tomcat(target: Path, values: Mapping[str, str]) -> None:
    """Put a Tomcat into a folder; its server.xml is the product's."""
    for name in TOMCAT_SCRIPTS:
        (target / "bin").mkdir(parents=True, exist_ok=True)
        shutil.copy(TOMCAT / "bin" / name, target / "bin" / name)
    install_libraries(target / "lib")
    shutil.copy(COMPILER, target / "lib")
    for folder in TOMCAT_FOLDERS:
        (target / folder).mkdir(parents=True, exist_ok=True)
    tree.install_templates(COMMON / "files" / "tomcat", target, values)


def compile_templates(
    source: Path, classes: Sequence[str], values: Mapping[str, str], target: Path, libraries: Path | None
) -> None:
    """Fill in and compile some classes of a folder; `libraries` is where the servlet container's lie."""
    with tempfile.TemporaryDirectory() as folder:
        for name in classes:
            text = tree.fill((source / f"{name}.java").read_text(), values, f"{name}.java")
            # A public class lies in a file of its own name.
            tree.write(Path(folder) / f"{values['MAIN_CLASS'] if name == 'Main' else name}.java", text)
        jars = [str(path) for path in sorted(libraries.glob("*.jar"))] if libraries else []
        command = ["java", QUICK, "-cp", str(COMPILER), "org.eclipse.jdt.internal.compiler.batch.Main"]
        options = ["-17", "-proc:none", "-nowarn", *(["-cp", ":".join(jars)] if jars else [])]
        tree.run(*command, *options, "-d", str(target), folder)
