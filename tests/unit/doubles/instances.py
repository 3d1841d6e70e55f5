# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Doubles that run on this machine: their classes without a servlet container, their files below a folder."""

from __future__ import annotations

import json
import shutil
import subprocess
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
from doubles.bamboo.build import Bamboo
from doubles.bitbucket.build import Bitbucket
from doubles.common import double, java, tree
from doubles.confluence.build import Confluence
from doubles.crowd.build import Crowd
from doubles.jira.build import Jira

DOUBLES: dict[str, type[double.Double]] = {cls.name: cls for cls in (Jira, Confluence, Bitbucket, Bamboo, Crowd)}
# Steps of a start that need nothing but the files of a double.
STEPS = ("home", "folders", "set", "loggers", "database", "account", "patience", "login")
# Where the status page is, which needs no login.
STATUS = {**dict.fromkeys(DOUBLES, "/status"), "bamboo": "/rest/api/latest/status"}

Attempt = tuple[str, str, str, dict[str, str]]


@dataclass
class Answer:
    """What a resource answered."""

    status: int
    headers: Message
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """Leave redirects to who asked."""

    def redirect_request(self, *_arguments: Any) -> None:
        return None


@dataclass
class Client:
    """Asks an instance over HTTP, as somebody, or nobody; keeps no cookies."""

    base: str
    authorization: str = ""

    def ask(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None, form: str = ""
    ) -> Answer:
        """Send one request; `form` is a body as browsers send it, `body` one of JSON."""
        sent = {"Authorization": self.authorization} if self.authorization else {}
        data = None if body is None else json.dumps(body).encode()
        kind = "application/json"
        if form:
            data, kind = form.encode(), "application/x-www-form-urlencoded"
        sent.update({"Content-Type": kind, **(headers or {})})
        request = urllib.request.Request(self.base + path, data, sent, method=method)  # noqa: S310 - to this machine
        try:
            with urllib.request.build_opener(NoRedirect).open(request, timeout=60) as answer:
                return Answer(answer.status, answer.headers, answer.read().decode())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.headers, error.read().decode())

    def get(self, path: str) -> Answer:
        return self.ask("GET", path)

    def with_token(self, token: str) -> Client:
        return Client(self.base, f"Bearer {token}")

    def with_password(self, name: str, password: str) -> Client:
        return Client(self.base, "Basic " + b64encode(f"{name}:{password}".encode()).decode())


class Instance:
    """A double's home, script and loggers below a folder, run by the driver."""

    def __init__(self, folder: Path, classes: Path, product: str, *changes: str) -> None:
        """Write the double's text files."""
        self.home = folder / "home"
        self.classes = classes
        settings = [f"install={folder / 'install'}", f"home={self.home}"]
        one = built(product, *settings, *changes)
        values = one.all_values()
        one.texts(values)
        self.settings = one.settings
        self.script = folder / "instance.txt"
        script = self._without_what_needs_a_system(one.script(values))
        self.script.write_text(script.replace("[start]\n", f"[start]\nset version {one.settings['version']}\n", 1))
        webapp = getattr(one, "web_root", one.install)
        self.product = product
        self.places = [f"install={one.install}", f"webapp={webapp}"]
        self.loggers = next(iter(webapp.rglob("log4j*")), None)

    @staticmethod
    def _without_what_needs_a_system(script: str) -> str:
        start, end = script.split("[ready]", 1)
        lines = [line for line in start.splitlines() if line.split(" ")[0] in ("[start]", *STEPS)]
        return "\n".join([*lines, "[ready]" + end])

    def _command(self, name: str, *arguments: str) -> list[str]:
        """Return what runs a class with the script, with arguments of the virtual machine."""
        machine = ["java", java.QUICK, f"-Dbitbucket.home={self.home}", *arguments, "-cp", str(self.classes)]
        return [*machine, f"dc.testing.driven.{name}", str(self.script), *self.places]

    def run(self, attempts: Sequence[Attempt]) -> list[str]:
        """Let people log in; how each login went."""
        records = [
            "\x1f".join([path, name, password, *(f"{key}={value}" for key, value in facts.items())])
            for path, name, password, facts in attempts
        ]
        done = subprocess.run(
            self._command("Driver"),
            input="\x1e".join(records),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        *went, status = done.stdout.splitlines()
        assert "RUNNING" in status, status
        return went

    @contextmanager
    def serving(self, *arguments: str) -> Iterator[Client]:
        """Serve its resources, with arguments of the virtual machine; the client is nobody yet."""
        process = subprocess.Popen(
            [*self._command("Server", *arguments), f"status={STATUS[self.product]}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        with process:
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                yield Client(f"http://127.0.0.1:{process.stdout.readline().strip()}")
            finally:
                process.stdin.close()

    def keep(self, table: str, value: Any) -> None:
        """Put something into the database while the instance runs."""
        (self.home / f"database/{table}.json").write_text(json.dumps(value))

    def kept(self, table: str) -> Any:
        return json.loads((self.home / f"database/{table}.json").read_text())

    def lines(self, path: str) -> list[str]:
        """Return the lines of a log, as bytes are divided, or none."""
        log = self.home / path
        return log.read_text().split("\n")[:-1] if log.exists() else []

    def audit(self) -> list[dict[str, Any]]:
        """Return the entries of all audit files."""
        return [json.loads(line) for path in sorted((self.home / "log/audit").iterdir()) for line in path.open()]


def built(product: str, *changes: str) -> double.Double:
    cls = DOUBLES[product]
    return cls(double.settings_for(cls.folder, "unhardened", changes), Path("/"))


def compiled(folder: Path) -> Path:
    """Compile the common classes and those that tests run them with."""
    if not shutil.which("javac"):
        pytest.skip("needs a Java compiler")
    for name in java.CORE:
        text = (double.COMMON / f"java/{name}.java").read_text()
        (folder / f"{name}.java").write_text(tree.fill(text, {"PRODUCT": "driven", "TITLE": "It"}, name))
    sources = [*folder.glob("*.java"), *Path(__file__).parent.glob("*.java")]
    tree.run("javac", "-Xlint:all", "-Werror", "-d", str(folder / "classes"), *map(str, sources))
    return folder / "classes"
