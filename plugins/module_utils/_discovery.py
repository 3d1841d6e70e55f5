# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds the installed products of a host and how each is set up.

Nothing in here knows a product: what to look for comes from product data. What lies in a product's own files is
hostile input, because whoever breaks into a product can change them; a path or account they name is checked before
other tasks act on it. What cannot be known is None and leaves a problem that says what to declare.
"""

from __future__ import annotations

import fnmatch
import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from typing import Any, Callable
from xml.etree import ElementTree

from ansible_collections.atlassian_dc.hardening.plugins.module_utils._discovery_host import (
    INIT_FOLDER,
    MAX_SCRIPT,
    SESSION_UNITS,
    Host,
    MissingError,
    Process,
    Unit,
    Units,
    UnreadableError,
    is_system_folder,
    processes,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._discovery_parse import (
    UNKNOWN,
    ParseError,
    ShellValues,
    jvm_command,
    jvm_properties,
    parse_environment,
    parse_properties,
    parse_shell,
    parse_xml,
    redact,
    split_words,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._discovery_ports import (
    ANY_ADDRESS,
    DEFAULT,
    JVM_ARGUMENTS,
    Configured,
    bound_address,
    connector_name,
    describe_ports,
    parse_endpoints,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._systemd import STOPPED_FOLDER, below

DECLARE = "declare it in atlassian_dc_instances"

_PATH = re.compile(r"/[^\s'\"`;:&|<>()=,]+")
_ACCOUNT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,63}\$?")
_VERSION = re.compile(r"\d{1,5}(?:\.\d{1,6}){1,4}(?:[.-][A-Za-z0-9]{1,20}){0,3}")
_JVM = re.compile(r"java|jsvc")
_MAX_CONNECTORS = 9

Run = Callable[[list[str]], str]


class DeclarationError(Exception):
    """A declared instance that makes no sense; says which and why."""


class Candidate:
    """An installation and everything that speaks for it."""

    def __init__(self, product: dict[str, Any], install: str) -> None:
        self.product = product
        self.install = install
        self.links: dict[str, str] = {}
        self.processes: list[Process] = []
        self.companions: list[tuple[str, Process]] = []
        self.units: dict[str, Unit] = {}
        self.init_scripts: list[str] = []
        self.declared: dict[str, Any] = {}
        self.problems: dict[tuple[str, str], None] = {}

    def problem(self, path: str, message: str) -> None:
        """Note something about this installation that could not be found out, once."""
        self.problems[(path, message)] = None

    @property
    def in_use(self) -> bool:
        """Whether something starts this installation or runs from it."""
        return bool(self.processes or self.companions or self.units or self.init_scripts)

    @property
    def link(self) -> str | None:
        """The installation as it is configured, when that is a symbolic link."""
        for origin in ("declared", "unit", "init", "process", "known"):
            path = self.links.get(origin)
            if path and path != self.install:
                return path
        return None


class Discovery:
    """One look at a host.

    Args:
        products: product data without sources.
        host: the host.
        run: runs a command and returns what it prints; None where systemd does not run.

    """

    def __init__(self, products: list[dict[str, Any]], host: Host, run: Run | None = None) -> None:
        self.products = products
        self.host = host
        self.run = run
        self.candidates: dict[tuple[str, str], Candidate] = {}
        self.problems: dict[tuple[str, str], None] = {}
        self.searched: list[str] = []
        self.loose: list[Process] = []
        self.units: Units | None = None
        self.live: dict[str, dict[str, str]] = {}

    def problem(self, path: str, message: str) -> None:
        """Note something about the host that could not be found out, once."""
        self.problems[(path, message)] = None

    def search(self) -> None:
        """Look everywhere a product can show."""
        found = self._search_processes()
        self._search_units(found)
        self._search_init_scripts()
        self._search_known_places()
        self._settle_loose_processes()
        self._attach_process_units()
        self._ask_systemd()

    def candidate(self, product: dict[str, Any], path: str, origin: str) -> Candidate | None:
        """Return the installation a path leads to, None when there is none of this product."""
        try:
            install = self.host.resolve(path)
        except UnreadableError:
            return None
        if is_system_folder(install) or not self.host.holds(install, product["install"]["evidence"]):
            return None
        candidate = self.candidates.setdefault((product["product"], install), Candidate(product, install))
        candidate.links.setdefault(origin, path.rstrip("/"))
        return candidate

    # -- where products show -------------------------------------------------------------------------------------------
    def _search_processes(self) -> list[str]:
        """Look at every JVM once; return the units of those that run an installation."""
        self.searched.append("running processes")
        units: list[str] = []
        for pid, words in processes(self.host):
            if not _JVM.search(os.path.basename(words[0])):
                continue
            process = Process(self.host, pid, words)
            # A service that is part of a product may have the same installation: the marker tells them apart.
            products = sorted(self.products, key=lambda item: not _marked(item["process"]["markers"], process.words))
            candidate = next(filter(None, (self._process_install(product, process) for product in products)), None)
            if candidate is None:
                self.loose.append(process)
                continue
            candidate.processes.append(process)
            if process.unit:
                units.append(process.unit)
        return units

    def _process_install(self, product: dict[str, Any], process: Process) -> Candidate | None:
        """Return the installation of a product that a process runs."""
        properties = jvm_properties(process.jvm.arguments)
        base = product["install"].get("tomcat_base") or "."
        evidence = product["install"]["evidence"]
        paths: list[str] = []
        for name in product["process"].get("install_properties") or []:
            value = properties.get(name, "").rstrip("/")
            if value.startswith("/"):
                paths += [value[: -len(base) - 1]] if base != "." and value.endswith(f"/{base}") else []
                paths.append(value)
        if not paths and _marked(product["process"]["markers"], process.words):
            places = (self.host.above(place, evidence) for place in [*process.class_path, process.folder])
            paths = [place for place in places if place]
        for path in paths:
            if self.host.holds(path, evidence) and self._same_file_system_view(process.pid, path):
                return self.candidate(product, path, "process")
        return None

    def _settle_loose_processes(self) -> None:
        """Give processes that do not tell their own installation to the one that starts them."""
        for process in self.loose:
            owners = [candidate for candidate in self.candidates.values() if self._same_view(process, candidate)]
            for candidate in owners:
                markers = candidate.product["process"]["markers"]
                if process.unit in candidate.units and _marked(markers, process.words):
                    candidate.processes.append(process)
                    break
            else:
                for candidate in owners:
                    name = self._companion_name(candidate, process)
                    if name:
                        candidate.companions.append((name, process))
                        break
                else:
                    self._complain_of(process)

    def _same_view(self, process: Process, candidate: Candidate) -> bool:
        return self._same_file_system_view(process.pid, candidate.install)

    def _companion_name(self, candidate: Candidate, process: Process) -> str | None:
        """Return what a process is to an installation whose program it runs or that started it."""
        for companion in candidate.product["process"].get("companions") or []:
            if _marked(companion["markers"], process.words):
                children = process.parent in {other.pid for other in candidate.processes}
                if children or any(below(self.host.real(path), candidate.install) for path in process.class_path):
                    return str(companion["name"])
        return None

    def _complain_of(self, process: Process) -> None:
        for product in self.products:
            if _marked(product["process"]["markers"], process.words):
                self.problem(
                    "running processes",
                    f"a process looks like {product['title']}, but its installation is not on this host or lies in a "
                    "folder of the system; products in containers are not looked at",
                )
                return

    def _same_file_system_view(self, pid: int, path: str) -> bool:
        """Whether the process means the same folder by a path as this host does, which one in a container does not."""
        try:
            there = os.stat(self.host.at(f"/proc/{pid}/root{path}"))
            here = os.stat(self.host.at(self.host.resolve(path)))
        except (OSError, ValueError, UnreadableError):
            return True
        return (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)

    def _search_units(self, running: list[str]) -> None:
        self.units = Units(self.host, self.problem)
        self.searched += self.units.searched
        for unit in self.units.instances(running):
            for product in self.products:
                candidate = self._unit_install(product, unit)
                if candidate:
                    candidate.units[unit.name] = unit
                    break

    def _unit_install(self, product: dict[str, Any], unit: Unit) -> Candidate | None:
        """Return the installation that a unit starts; mentioning it in passing is not enough."""
        scripts = product["service"]["start_scripts"] or []
        lines = unit.command_lines()
        for line in lines:
            for path in _PATH.findall(line):
                for script in scripts:
                    if path.endswith("/" + script):
                        candidate = self.candidate(product, path[: -len(script) - 1], "unit")
                        if candidate:
                            return candidate
        text = "\n".join(lines)
        words = split_words(text.replace("\n", " "))
        if _marked(product["process"]["markers"], words):
            properties = jvm_properties(words)
            for name in product["process"].get("install_properties") or []:
                candidate = self.candidate(product, properties.get(name, ""), "unit") if properties.get(name) else None
                if candidate:
                    return candidate
        pid_file = product["install"].get("pid_file")
        if pid_file and unit.last("PIDFile").endswith("/" + pid_file):
            candidate = self.candidate(product, unit.last("PIDFile")[: -len(pid_file) - 1], "unit")
            if candidate:
                return candidate
        folder = unit.last("WorkingDirectory").lstrip("-")
        if folder.startswith("/") and any(os.path.basename(script) in text for script in scripts):
            above = self.host.above(folder.rstrip("/"), product["install"]["evidence"])
            if above:
                return self.candidate(product, above, "unit")
        return None

    def _search_init_scripts(self) -> None:
        names = self.host.names(INIT_FOLDER)
        if names:
            self.searched.append(INIT_FOLDER)
        for name in names:
            path = f"{INIT_FOLDER}/{name}"
            try:
                text = self.host.text(path, MAX_SCRIPT)
            except UnreadableError:
                continue
            for product in self.products:
                scripts = [os.path.basename(script) for script in product["service"]["start_scripts"] or []]
                if not any(script in text for script in scripts):
                    continue
                candidate = self._script_install(product, text)
                if candidate:
                    candidate.init_scripts.append(path)
                    generated = (self.units.load(f"{name}.service") if self.units else None) or None
                    if generated and generated.generated:
                        candidate.units[generated.name] = generated
                    break

    def _script_install(self, product: dict[str, Any], text: str) -> Candidate | None:
        try:
            values = list(parse_shell(text).values.values())
        except ParseError:
            values = []
        uncommented = re.sub(r"^\s*#.*$", "", text, flags=re.MULTILINE)
        for path in _PATH.findall("\n".join([uncommented, *values]).replace(UNKNOWN, "\n"))[:2000]:
            above = self.host.above(path.rstrip("/"), product["install"]["evidence"])
            candidate = self.candidate(product, above, "init") if above else None
            if candidate:
                return candidate
        return None

    def _search_known_places(self) -> None:
        for product in self.products:
            for place in product["install"]["paths"] or []:
                self.searched.append(place["path"])
                for path in self.host.glob(place["path"]):
                    self.candidate(product, path, "known")

    def _attach_process_units(self) -> None:
        """Believe the control group of a running product where its unit starts it through a script of its own."""
        for candidate in self.candidates.values():
            for process in candidate.processes:
                name = process.unit
                if not name or name in candidate.units or SESSION_UNITS.fullmatch(name):
                    continue
                unit = self.units.load(name) if self.units else None
                if unit:
                    candidate.units[name] = unit

    def _ask_systemd(self) -> None:
        """Learn the effective values of all units found from systemd, in one call."""
        names = sorted({name for candidate in self.candidates.values() for name in candidate.units})
        if not names or self.run is None or not self.host.is_folder("/run/systemd/system"):
            return
        try:
            output = self.run(
                ["systemctl", "show", "--property=Id,LoadState,User,Environment,UnitFileState,MainPID", "--", *names]
            )
        except OSError as exc:
            self.problem("systemctl show", f"failed, so units are judged by their files alone: {exc}")
            return
        for block in output.split("\n\n"):
            values = dict(line.partition("=")[::2] for line in block.split("\n") if "=" in line)
            if values.get("Id") and values.get("LoadState") == "loaded":
                self.live[values["Id"]] = values
        for candidate in self.candidates.values():
            for name, unit in candidate.units.items():
                environment = parse_environment(split_words(self.live.get(name, {}).get("Environment", "")))
                for key, value in environment.items():
                    if unit.origins.get(key, "unit environment") == "unit environment":
                        unit.environment[key] = value
                        unit.origins[key] = "unit environment"


def _marked(markers: list[str] | None, words: list[str]) -> bool:
    """Whether one of the words of a command line is one of the markers, which may be shell patterns."""
    return any(fnmatch.fnmatchcase(word, marker) for marker in markers or [] for word in words)


class Instance:
    """Everything about one installation, found out step by step."""

    def __init__(self, discovery: Discovery, candidate: Candidate) -> None:
        self.discovery = discovery
        self.host = discovery.host
        self.candidate = candidate
        self.product = candidate.product
        self.install = candidate.install
        self.declared = candidate.declared
        self.process = min(candidate.processes, key=lambda process: process.pid) if candidate.processes else None
        self.unit = self._choose_unit()
        self.running_arguments = self.process.jvm.arguments if self.process else None
        self.start_arguments = self._start_arguments()
        self.arguments = self.running_arguments if self.running_arguments is not None else self.start_arguments or []
        self.properties = jvm_properties(self.arguments)
        self.configured: dict[str, list[Configured]] = {}
        """The ports that the settings of the web server open, by kind; filled in while these are read."""
        self.home, self.home_source = self._home()
        self.shared_home = self._shared_home()

    def problem(self, path: str, message: str) -> None:
        """Note something that could not be found out."""
        self.candidate.problem(path, message)

    def path(self, relative: str) -> str:
        """Return a path inside the installation."""
        return f"{self.install}/{relative}"

    def text(self, path: str, limit: int = MAX_SCRIPT) -> str | None:
        """Return the content of a file; None when it is missing, None and a problem when it is unreadable."""
        try:
            return self.host.text(path, limit)
        except MissingError:
            return None
        except UnreadableError as exc:
            self.problem(path, str(exc))
            return None

    # -- unit ----------------------------------------------------------------------------------------------------------
    def _choose_unit(self) -> Unit | None:
        units = self.candidate.units
        wanted = self.declared.get("unit")
        if wanted:
            unit = self.discovery.units.load(wanted) if self.discovery.units else None
            if unit is None:
                self.problem(wanted, "is declared as the unit of this instance, but there is no such unit")
            return unit
        if not units:
            return None
        running = {process.unit for process in self.candidate.processes}
        known = [f"{name}.service" for name in self.product["service"]["unit_names"] or []]
        enabled = self.discovery.units.wanted if self.discovery.units else set()
        chosen = min(
            units.values(),
            key=lambda unit: (unit.name not in running, unit.name not in enabled, unit.name not in known, unit.name),
        )
        if len(units) > 1:
            others = ", ".join(name for name in sorted(units) if name != chosen.name)
            self.problem(chosen.path, f"is taken as the unit of this instance, but {others} would start it as well")
        return chosen

    def _unit_user(self) -> str | None:
        if self.unit is None:
            return None
        live = self.discovery.live.get(self.unit.name)
        user = live.get("User", "") if live else self.unit.last("User")
        if user.isdigit():
            user = self.host.user_name(int(user))
        return user or "root"

    # -- start files ---------------------------------------------------------------------------------------------------
    def _unit_environment(self) -> dict[str, str]:
        return self.unit.environment if self.unit else {}

    def _script(self, relative: str, inherited: dict[str, str] | None = None) -> ShellValues | None:
        """Return what one of the product's start files sets, started in the environment of its unit."""
        path = self.path(relative)
        text = self.text(path)
        if text is None:
            return None
        try:
            values = parse_shell(text, {**self._unit_environment(), **(inherited or {})})
        except ParseError as exc:
            self.problem(path, str(exc))
            return None
        folder = path.rpartition("/")[0]
        known = [self.path(file["path"]) for file in self.product["jvm"]["start_files"] or []]
        for sourced in values.sourced:
            sibling = f"{folder}/{sourced.rpartition('/')[2]}"
            if sibling not in known:
                self.problem(path, f"reads {sourced or 'another file'}, which is not looked at")
        return values

    def _start_arguments(self) -> list[str] | None:
        """Return the JVM arguments the next start would bring, None when no start file can be read."""
        arguments: dict[str, None] = {}
        read = False
        inherited: dict[str, str] = {}
        for file in self.product["jvm"]["start_files"] or []:
            if "properties" in file:
                settings = self._properties(self.path(file["path"]))
                if settings is None:
                    continue
                texts = [text for name, text in settings.items() if _marked(file["properties"], [name])]
            else:
                given = dict.fromkeys(file.get("given") or [], UNKNOWN)
                values = self._script(file["path"], {**given, **inherited})
                if values is None:
                    continue
                # The files are read one after the other by the same shell.
                inherited.update(values.values)
                names = file["variables"]
                texts = [values.values.get(name, self._unit_environment().get(name, "")) for name in names]
            read = True
            words = ["java", *split_words(" ".join(texts))]
            arguments.update((word, None) for word in jvm_command(words, whole=False).arguments if UNKNOWN not in word)
        return list(arguments) if read else None

    # -- homes ---------------------------------------------------------------------------------------------------------
    def _home(self) -> tuple[str | None, str | None]:
        """Return the home and where it is written down."""
        if self.declared.get("home_dir"):
            return self._trusted_folder(self.declared["home_dir"], "home_dir"), "declared"
        evidence = self.product["home"]["evidence"] or []
        locations = self.product["home"]["locations"] or []
        in_install = any(location["kind"] == "install" for location in locations)
        for value, source, path in self._written(locations):
            if in_install and value.startswith("/") and self.host.real(value) == self.install:
                home = self._install_as_home()
                return home, source if home else None
            home = self._believable(value, path, source, "home directory", evidence)
            return (home, source) if home else (None, None)
        for path in self.product["home"].get("default_paths") or []:
            if self.host.holds(path, evidence):
                home = self._believable(path, path, "known default place", "home directory", evidence)
                return (home, "known default place") if home else (None, None)
        return None, None

    def _install_as_home(self) -> str | None:
        """Return the installation, unless it is another product's as well: then not all of it may be written."""
        for other in self.discovery.candidates.values():
            if other is not self.candidate and other.install == self.install:
                self.problem(self.install, f"is an installation of {other.product['title']} too; {DECLARE}")
                return None
        return self.install

    def _shared_home(self) -> str | None:
        declared = self.declared.get("shared_home_dir")
        if declared:
            return self._trusted_folder(declared, "shared_home_dir")
        section = self.product["home"]
        evidence = section.get("shared_evidence") or []
        for value, source, path in self._written(section.get("shared_locations")):
            return self._believable(value, path, source, "shared home", evidence)
        default = f"{self.home}/{section['shared_default']}" if self.home and section.get("shared_default") else None
        if default and self.host.is_folder(default):
            return self._believable(default, default, "known default place", "shared home", evidence)
        return None

    def _written(self, locations: list[dict[str, Any]] | None) -> Iterator[tuple[str, str, str]]:
        """Yield where a folder is written down, best first: (value, source in words, file)."""
        for location in locations or []:
            if location["kind"] == "jvm_property" and self.process:
                value = jvm_properties(self.process.jvm.arguments).get(location["name"])
                if value:
                    yield value, f"argument -D{location['name']} of the running process", f"/proc/{self.process.pid}"
        for location in locations or []:
            found = self._written_at(location)
            if found and found[0]:
                yield found

    def _written_at(self, location: dict[str, Any]) -> tuple[str, str, str] | None:
        kind, name = location["kind"], location.get("name", "")
        if kind == "install":
            return self.install, "the installation itself", self.install
        if kind == "jvm_property":
            value = jvm_properties(self.start_arguments or []).get(name, "")
            return value, f"argument -D{name} in the start files", self.install
        base = self._base(location.get("tree", "install"))
        if base is None:
            return None
        path = f"{base}/{location['path']}" if location.get("path") else ""
        if kind == "properties_file":
            return (self._properties(path) or {}).get(name, "").strip(), location["path"], path
        if kind == "xml_file":
            root = self._xml(path)
            return None if root is None else (_element_text(root, location["element"]), location["path"], path)
        if kind == "shell_variable":
            values = self._script(location["path"])
            if values is not None and name in values.values:
                set_to = values.certain(name)
                if set_to is None:
                    self.problem(path, f"sets {name} in a way that only running it would tell; {DECLARE}")
                    return UNKNOWN, location["path"], path
                if set_to and set_to != self._unit_environment().get(name):
                    return set_to, location["path"], path
        if self.process and self.process.environment.get(name):
            return self.process.environment[name], "environment of the running process", f"/proc/{self.process.pid}"
        if self.unit and self.unit.environment.get(name):
            return self.unit.environment[name], self.unit.origins[name], self.unit.path
        return None

    def _believable(self, value: str, path: str, source: str, what: str, evidence: list[str]) -> str | None:
        """Return a folder named by the product's own files, resolved, unless taking it over could do harm."""
        if UNKNOWN in value:
            return None
        if not value.startswith("/"):
            self.problem(path, f"names a {what} that is no absolute path ({source}); {DECLARE}")
            return None
        try:
            folder = self.host.resolve(value)
        except UnreadableError as exc:
            self.problem(value, f"{what}: {exc}")
            return None
        if is_system_folder(folder) or below(self.install, folder):
            self.problem(path, f"names {folder} as {what}, refused because it belongs to the system; {DECLARE}")
            return None
        if self.host.is_folder(folder) and not self.host.holds(folder, evidence) and self.host.names(folder):
            self.problem(
                path, f"names {folder} as {what}, which holds other things but nothing of {self.title}; {DECLARE}"
            )
            return None
        if not self.host.is_folder(folder):
            self.problem(folder, f"is the {what} according to {source}, but {self._why_no_folder(folder)}")
        return folder

    def _trusted_folder(self, value: str, what: str) -> str | None:
        """Return a folder the administrator declared, resolved."""
        try:
            folder = self.host.resolve(value)
        except UnreadableError as exc:
            self.problem(value, f"declared as {what}: {exc}")
            return None
        if is_system_folder(folder):
            self.problem(value, f"declared as {what}, but {folder} belongs to the system; refused")
            return None
        if not self.host.is_folder(folder):
            self.problem(value, f"declared as {what}, but {self._why_no_folder(folder)}")
        return folder

    def _why_no_folder(self, path: str) -> str:
        if self.host.hidden(path):
            return "root may not look at it (a FUSE mount of another account, or a server that squashes root)"
        return "it is missing; is it mounted?"

    @property
    def title(self) -> str:
        """Name of the product in messages."""
        return str(self.product.get("title") or self.product["product"])

    # -- version -------------------------------------------------------------------------------------------------------
    def _version(self) -> tuple[str | None, str | None]:
        for entry in self.product["version"] or []:
            path = self.path(entry["path"]) if "path" in entry else self.install
            found, source = None, path
            if entry["kind"] == "folder_name":
                match = re.fullmatch(entry["pattern"], os.path.basename(path))
                found = match.group("version") if match else None
            elif entry["kind"] == "file_name":
                for name in self.host.names(path):
                    match = re.fullmatch(entry["pattern"], name)
                    if match:
                        found, source = match.group("version"), f"{path}/{name}"
                        break
            else:
                text = self.text(path)
                if text is None:
                    continue
                if entry["kind"] == "properties":
                    found = (self._properties(path) or {}).get(entry["key"], "").strip()
                else:
                    match = re.search(entry["pattern"], text)
                    found = match.group("version") if match else None
            if found and _VERSION.fullmatch(found):
                return found, source
            if found:
                self.problem(path, "holds something that is no version number")
        if self.product["version"]:
            self.problem(self.install, "no file tells the version")
        return None, None

    # -- accounts ------------------------------------------------------------------------------------------------------
    def _user_file(self) -> tuple[str | None, str | None]:
        relative = self.product["user"].get("file")
        if not relative or self.host.stat(self.path(relative)) is None:
            return None, None
        path = self.path(relative)
        text = self.text(path)
        if text is None:
            return path, None
        try:
            value = parse_shell(text).certain(self.product["user"]["variable"] or "")
        except ParseError as exc:
            self.problem(path, str(exc))
            return path, None
        value = (value or "").strip()
        if value and not _ACCOUNT.fullmatch(value):
            self.problem(path, "names something that is no account")
            return path, None
        return path, value or None

    def _is_root(self, account: str) -> bool:
        entry = self.host.user(account)
        return account == "root" or account == "0" or (entry is not None and entry[0] == 0)

    def _service_account(self, user_file_user: str | None, unit_user: str | None) -> tuple[str, str]:
        """Return the account the product should run as and where that comes from; never root."""
        if self.declared.get("service_account"):
            return self.declared["service_account"], "declared"
        info = self.host.stat(self.home) if self.home else None
        owner = self.host.user_name(info.st_uid) if info else None
        if user_file_user and not self._is_root(user_file_user):
            if owner and not self._is_root(owner) and owner != user_file_user:
                self.problem(
                    self.path(self.product["user"]["file"]),
                    f"names {user_file_user}, but the home directory belongs to {owner}; {DECLARE} if that is wrong",
                )
            return user_file_user, f"user file {self.product['user']['file']}"
        if unit_user and not self._is_root(unit_user):
            return unit_user, "User= of the unit"
        if owner and not self._is_root(owner) and not owner.isdigit():
            return owner, "owner of the home directory"
        return self.product["user"]["default"], "default of the product"

    def _service_group(self, account: str) -> str:
        if self.declared.get("service_group"):
            return str(self.declared["service_group"])
        entry = self.host.user(account)
        if entry is None:
            return account
        group = self.host.group_name(entry[1])
        return account if group in ("root", "0") else group

    # -- HTTP ----------------------------------------------------------------------------------------------------------
    def _xml(self, path: str) -> ElementTree.Element | None:
        try:
            return parse_xml(self.host.read(path))
        except MissingError:
            return None
        except (UnreadableError, ParseError) as exc:
            self.problem(path, str(exc))
            return None

    def _is_missing(self, path: str) -> bool:
        """Whether there is no such file, so that what it would set has its default; an unreadable one may set it."""
        try:
            self.host.read(path)
        except MissingError:
            return True
        except UnreadableError:
            pass
        return False

    def _properties(self, path: str) -> dict[str, str] | None:
        text = self.text(path)
        try:
            return None if text is None else parse_properties(text)
        except ParseError as exc:
            self.problem(path, str(exc))
            return None

    def _placeholders(self, value: str | None) -> str | None:
        """Return an attribute with ``${property}`` replaced as Tomcat does it; None when a property is not known."""
        if value is None or "${" not in value:
            return value
        text: str = value
        for name in re.findall(r"\$\{([^{}]*)\}", text):
            key, separator, default = name.partition(":-")
            if key not in self.properties and not separator:
                return None
            text = text.replace(f"${{{name}}}", self.properties.get(key, default))
        return text

    def _port(self, value: str | None) -> int | None:
        text = (self._placeholders(value) or "").strip()
        return int(text) if re.fullmatch(r"-?[0-9]{1,5}", text) and -1 <= int(text) <= 65535 else None

    def _listening_port(self, value: str | None, path: str, key: str, offset: int | None = 0) -> int | None:
        """Return the port something listens on; None and a problem where that cannot be told.

        Args:
            value: as configured.
            path: the file that says so.
            key: what names the value there, in words.
            offset: is added, None where nobody knows what.

        """
        port = self._port(value)
        if port is not None and port > 0 and offset is not None and port + offset <= 65535:
            return port + offset
        self.problem(path, f"{key} is no port number, so it is not known what listens where")
        return None

    def _connector(self, get: Callable[[str], str | None], port: int | None) -> dict[str, Any]:
        """Return a connector from its port and a function that tells its other settings by the names below."""

        def text(name: str) -> str | None:
            return self._placeholders(get(name)) or None

        def flag(name: str) -> bool | None:
            value = text(name)
            return None if value is None else value.strip().lower() == "true"

        return {
            "port": port,
            "protocol": text("protocol") or "HTTP/1.1",
            "address": text("address"),
            "secure": flag("secure"),
            "scheme": text("scheme"),
            "proxy_name": text("proxy_name"),
            "proxy_port": self._port(get("proxy_port")),
            "ssl": bool(flag("ssl")),
        }

    def _http(self) -> dict[str, Any]:
        """Return where the product listens and where it tells its state."""
        section = self.product.get("http") or {}
        source = section.get("connectors") or {}
        result: dict[str, Any] = {
            "http_port": None,
            "context_path": None,
            "status_url": None,
            "status_key": section.get("state_key") or "state",
            "shutdown_port": None,
            "connectors": [],
            "up_states": [state["state"] for state in section.get("states") or [] if state["ready"] or state.get("up")],
        }
        if source.get("kind") == "server_xml":
            self._read_server_xml(source["path"], result)
        elif source:
            self._read_listener(source, section, result)
        web = [
            connector
            for connector in result["connectors"]
            if "ajp" not in connector["protocol"].lower() and (connector["port"] or 0) > 0
        ]
        chosen = next((connector for connector in web if not connector["ssl"]), web[0] if web else None)
        if chosen:
            result["http_port"] = chosen["port"]
            if section.get("status_path") and result["context_path"] is not None:
                address = chosen["address"]
                if address in ANY_ADDRESS:
                    address = "127.0.0.1"
                scheme = "https" if chosen["ssl"] else "http"
                shown = f"[{address}]" if ":" in address else address
                result["status_url"] = (
                    f"{scheme}://{shown}:{chosen['port']}{result['context_path']}{section['status_path']}"
                )
        return result

    def _read_server_xml(self, relative: str, result: dict[str, Any]) -> None:
        """Read Tomcat's own configuration."""
        path = self.path(relative)
        root = self._xml(path)
        if root is None:
            if self.host.stat(path) is None:
                self.problem(path, "is missing, so port and context path are not known")
            self.configured = {kind: [_unread(relative)] for kind in ("connectors", "shutdown")}
            return
        names = {"ssl": "SSLEnabled", "proxy_name": "proxyName", "proxy_port": "proxyPort"}

        def attributes(element: ElementTree.Element) -> Callable[[str], str | None]:
            return lambda name: element.get(names.get(name, name))

        offset = self._port(root.get("portOffset", "0"))
        if offset is None or offset < 0:
            self.problem(path, "portOffset of Server is no number, so no port is known")
            offset = None
        key = "port of Server"
        closed = self._port(root.get("port")) == -1
        shutdown = -1 if closed else self._listening_port(root.get("port"), path, key, offset)
        result["shutdown_port"] = shutdown
        address = bound_address(self._placeholders(root.get("address", "localhost")))
        self.configured["shutdown"] = [
            Configured(relative, open=False) if closed else _opened(relative, key, shutdown, address)
        ]
        key = "port of Connector"
        for element in root.iter("Connector"):
            port = self._listening_port(element.get("port"), path, key, offset)
            self._add_connector(self._connector(attributes(element), port), result, relative, key)
        if not result["connectors"]:
            self.configured["connectors"] = [Configured(relative, open=False)]
        web_root = self.product["install"].get("web_root") or ""
        contexts = list(root.iter("Context"))
        named = [
            element for element in contexts if element.get("docBase", "").rstrip("/").endswith(web_root.split("/")[-1])
        ]
        if named or contexts:
            context = self._placeholders((named or contexts)[0].get("path", ""))
            result["context_path"] = None if context is None else _context_path(context)
        else:
            # The context has a file of its own, named after the path.
            result["context_path"] = self.product["http"].get("default_context_path")

    def _add_connector(self, connector: dict[str, Any], result: dict[str, Any], value_from: str, key: str) -> None:
        result["connectors"].append(connector)
        port = _opened(value_from, key, connector["port"], bound_address(connector["address"]))
        self.configured.setdefault("connectors", []).append(port._replace(name=connector_name(connector)))

    def _read_listener(self, source: dict[str, Any], section: dict[str, Any], result: dict[str, Any]) -> None:
        """Read keys of a properties file or system properties of the JVM; what is not set has its default."""
        settings: dict[str, str] | None = self.properties
        path, value_from, form = self.install, JVM_ARGUMENTS, "-D{}"
        if source["kind"] == "properties":
            base = self._base(source["tree"])
            path, value_from, form = f"{base}/{source['path']}", source["path"], "{}"
            settings = self._properties(path) if base else None
            if settings is None and (base is None or not self._is_missing(path)):
                self.configured["connectors"] = [_unread(value_from)]
                return
        known = settings or {}
        keys: dict[str, str] = source["keys"]

        def main(name: str) -> str | None:
            return known.get(keys.get(name, ""))

        def additional(number: int) -> Callable[[str], str | None]:
            prefix = source["additional"].replace("{number}", str(number))
            return lambda name: known.get(prefix + keys[name].partition(".")[2]) if name in keys else None

        if main("port"):
            key = form.format(keys["port"])
            self._add_connector(
                self._connector(main, self._listening_port(main("port"), path, key)), result, value_from, key
            )
        else:
            self._add_connector(self._connector(main, section.get("default_port")), result, DEFAULT, keys["port"])
        for number in range(1, _MAX_CONNECTORS + 1) if source.get("additional") else ():
            get = additional(number)
            if get("port"):
                key = source["additional"].replace("{number}", str(number)) + keys["port"].partition(".")[2]
                self._add_connector(
                    self._connector(get, self._listening_port(get("port"), path, key)), result, value_from, key
                )
        result["context_path"] = _context_path(
            self._placeholders(main("context_path") or section.get("default_context_path"))
        )

    # -- ports ---------------------------------------------------------------------------------------------------------
    def _ports(self, cluster: dict[str, Any] | None) -> list[dict[str, Any]] | None:
        """Return the ports of the product as they are configured; None when product data does not know them."""
        entries = self.product.get("ports", [])
        if entries is None:
            return None
        clustered = True if cluster else self._may_be_clustered()
        return [port for entry in entries for port in describe_ports(entry, clustered, self._configured)]

    def _may_be_clustered(self) -> bool | None:
        """Return None where a cluster was not found because its settings are unknown or cannot be read, else False."""
        spec = (self.product.get("cluster") or {}).get("settings")
        base = self._base(spec["tree"]) if spec else None
        if spec is None or base is None:
            return None
        return False if self._settings(spec) or self._is_missing(f"{base}/{spec['path']}") else None

    def _configured(self, place: dict[str, Any]) -> list[Configured] | None:
        """Return the ports that one place of the configuration opens; None where it says nothing."""
        kind = place["kind"]
        if kind == "jvm_property":
            value = self.properties.get(place["name"])
            return self._endpoints(place, value, self.install, JVM_ARGUMENTS, f"-D{place['name']}") if value else None
        if kind == "jvm_option":
            return self._option(place)
        if kind not in ("properties_file", "xml_file"):
            return self.configured.get(kind)
        base = self._base(place["tree"])
        path = f"{base}/{place['path']}"
        if base is None:
            return [_unread(place["path"])]
        if kind == "xml_file":
            root = self._xml(path)
            known = None if root is None else {place["element"]: _element_text(root, place["element"])}
            key = place["element"]
        else:
            known = self._properties(path)
            key = place["name"]
        if known is None:
            return None if self._is_missing(path) else [_unread(place["path"])]
        value = known.get(key, "").strip()
        return self._endpoints(place, value, path, place["path"], key) if value else None

    def _option(self, place: dict[str, Any]) -> list[Configured] | None:
        """Return the ports that an option of the JVM with options of its own opens."""
        for argument in self.arguments:
            match = re.fullmatch(place["match"], argument)
            if match:
                options = dict(part.partition("=")[::2] for part in match.group("options").split(","))
                if any(options.get(name) != value for name, value in place["only"].items()):
                    return [Configured(JVM_ARGUMENTS, open=False)]
                key = f"{place['name']} of {argument[: match.start('options') - 1]}"
                return self._endpoints(place, options.get(place["name"], ""), self.install, JVM_ARGUMENTS, key)
        return None

    def _endpoints(self, place: dict[str, Any], value: str, path: str, value_from: str, key: str) -> list[Configured]:
        """Return the ports of a configured value, unknown and with a problem where it names none."""
        try:
            found = parse_endpoints(self._placeholders(value) or "", place.get("form", "port"))
        except ParseError as exc:
            self.problem(path, f"{key} {exc}, so it is not known what listens where")
            return [_opened(value_from, key, None, None)]
        return [Configured(value_from, endpoint.port, endpoint.address) for endpoint in found]

    # -- cluster -------------------------------------------------------------------------------------------------------
    def _settings(self, spec: dict[str, Any]) -> Callable[[str], str] | None:
        """Return a function that looks a key up in a settings file of the product, None when there is none."""
        base = self._base(spec["tree"])
        if base is None:
            return None
        path = f"{base}/{spec['path']}"
        if spec["format"] == "xml":
            root = self._xml(path)
            if root is None:
                return None
            return lambda key: _element_text(root, spec["element"].replace("{key}", key))
        values = self._properties(path)
        if values is None:
            return None
        return lambda key: values.get(key, "").strip()

    def _cluster(self) -> dict[str, Any] | None:
        """Return membership in a cluster."""
        cluster = self.product.get("cluster")
        if not cluster:
            return None
        database = ""
        spec = cluster.get("database")
        if spec:
            # Read even when not clustered: a broken file is worth a problem.
            reader = self._settings(spec)
            database = reader(spec.get("key", "")) if reader else ""
        lookup = self._settings(cluster["settings"])
        if lookup is None or all(lookup(key).lower() in ("", "false") for key in cluster["member_keys"]):
            return None
        identity = _without_credentials(database) or self.shared_home
        digest = hashlib.sha256(identity.encode()).hexdigest()[:12] if identity else None
        if digest is None:
            self.problem(
                self.home or self.install, "the cluster cannot be told: neither database nor shared home is known"
            )
        return {
            "id": f"{self.product['product']}-{digest}" if digest else None,
            "node_id": lookup(cluster["node_id_key"]) or None if cluster["node_id_key"] else None,
            "shared_home": self.shared_home,
        }

    def _shared_home_id(self) -> int | None:
        """Return by what nodes tell that they have the same folder, None where it cannot be a common one.

        All hosts that mount a file system know a folder by the same number. One on the host's root file system is its
        own, as when the shared home is not mounted.
        """
        folder = self.host.stat(self.shared_home) if self.shared_home else None
        root = self.host.stat("/")
        return None if folder is None or root is None or folder.st_dev == root.st_dev else folder.st_ino

    # -- folders -------------------------------------------------------------------------------------------------------
    def _base(self, tree: str) -> str | None:
        if tree == "install":
            return self.install
        return self.home if tree == "home" else self.shared_home

    def _folder(self, base: str, relative: str) -> str | None:
        """Return a folder of the product, resolved, unless a link leads where only the administrator may point it."""
        path = base if relative == "." else f"{base}/{relative}"
        try:
            folder = self.host.resolve(path)
        except UnreadableError as exc:
            self.problem(path, str(exc))
            return None
        if below(folder, base) or (self.home and below(folder, self.home)):
            return folder
        info = self.host.lstat(path)
        if is_system_folder(folder) or info is None or info.st_uid != 0:
            self.problem(
                path, f"is a symbolic link to {folder} that root did not make, or to a system folder; left alone"
            )
            return None
        return folder

    def _folders(self, entries: Iterable[dict[str, Any]] | None) -> list[str] | None:
        """Return the folders of entries of product data; None when it does not know them or not where they lie."""
        if entries is None:
            return None
        folders = set()
        for entry in entries:
            base = self._base(entry.get("tree", "install"))
            folder = self._folder(base, entry["path"]) if base else None
            if folder:
                folders.add(folder)
        return sorted(folders) if folders or not entries else None

    def _section(self, section: str, key: str) -> list[str] | None:
        """Return the folders of a section that a product need not have."""
        entries = self.product.get(section, {})
        return self._folders(entries.get(key, []) if entries is not None else None)

    def _secret_files(self) -> list[dict[str, str]] | None:
        if self.product["secret_files"] is None:
            return None
        based = [(self._base(entry["tree"]), entry) for entry in self.product["secret_files"]]
        found = [{"path": f"{base}/{entry['path']}", "tree": entry["tree"]} for base, entry in based if base]
        return found if found or not based else None

    def _web_root(self) -> str | None:
        """Return the folder the web application is served from, "" when the product serves none."""
        relative = self.product["install"].get("web_root", "")
        return self._folder(self.install, relative) if relative else relative

    def _companions(self) -> list[dict[str, Any]]:
        """Return the processes that belong to the product beside its main one."""
        result = []
        for name, process in sorted(self.candidate.companions, key=lambda item: item[1].pid):
            unit = self.unit.name if self.unit else None
            if process.unit and process.unit != unit and not SESSION_UNITS.fullmatch(process.unit):
                self.problem(
                    self.install, f"{name} runs from here in {process.unit}, a unit of its own that is not judged"
                )
            result.append(
                {
                    "name": name,
                    "pid": process.pid,
                    "running_user": None if process.uid is None else self.host.user_name(process.uid),
                    "running_uid": process.uid,
                    "unit": process.unit,
                }
            )
        return result

    # -- all of it -----------------------------------------------------------------------------------------------------
    def describe(self) -> dict[str, Any]:
        """Return the instance as later roles read it, still without its final name."""
        version, version_source = self._version()
        user_file, user_file_user = self._user_file()
        unit_user = self._unit_user()
        account, account_source = self._service_account(user_file_user, unit_user)
        public = self.product["jvm"].get("public_properties") or []
        native = self.unit is not None and not self.unit.generated
        http, cluster = self._http(), self._cluster()
        uid = self.process.uid if self.process else None
        return {
            "name": self.declared.get("name"),
            "product": self.product["product"],
            "part_of": self.product.get("part_of"),
            "version": version,
            "version_source": version_source,
            "install_dir": self.install,
            "install_link": self.candidate.link,
            "home_dir": self.home,
            "home_source": self.home_source if self.home else None,
            "shared_home_dir": self.shared_home,
            "shared_home_id": self._shared_home_id(),
            "unit": self.unit.name if self.unit else None,
            "unit_path": self.unit.path if self.unit else None,
            "init_script": None
            if native or not self.candidate.init_scripts
            else sorted(self.candidate.init_scripts)[0],
            "stopped_by_run": self.unit is not None
            and self.host.stat(f"{STOPPED_FOLDER}/{self.unit.name}") is not None,
            "running": self.process is not None,
            "pid": self.process.pid if self.process else None,
            "started": self.process.started if self.process else None,
            "running_user": None if uid is None else self.host.user_name(uid),
            "running_uid": uid,
            "unit_user": unit_user,
            "user_file": user_file,
            "user_file_user": user_file_user,
            "service_account": account,
            "service_group": self._service_group(account),
            "service_account_source": account_source,
            **http,
            "ports": self._ports(cluster),
            "jvm_arguments": redact(self.arguments, public),
            "start_files": [self.path(file["path"]) for file in self.product["jvm"]["start_files"] or []],
            "start_jvm_arguments": None if self.start_arguments is None else redact(self.start_arguments, public),
            "cluster": cluster,
            "companions": self._companions(),
            "needed_groups": [entry["name"] for entry in (self.product.get("needs") or {}).get("groups") or []],
            "declared_groups": self.declared.get("groups"),
            "url": self.declared.get("url"),
            "sandbox": self.product["service"].get("sandbox") or {},
            "working_dirs": self._folders(self.product["install"]["working_dirs"]),
            "scratch_dirs": self._folders(self.product["home"].get("scratch") or []),
            "secret_files": self._secret_files(),
            "log_dirs": self._folders(self.product["log_dirs"]),
            "web_root": self._web_root(),
            "archive_dirs": self._section("archives", "dirs"),
            "archive_names": (self.product.get("archives") or {}).get("patterns"),
            "code_dirs": self._section("code", "dirs"),
            "problems": [],
        }


def _unread(file: str) -> Configured:
    return Configured(file, open=None, note=f"{file} is missing or cannot be read")


def _opened(value_from: str, key: str, port: int | None, address: str | None) -> Configured:
    """Return a port that is open, also where a value that is none keeps it from being known."""
    return Configured(value_from, port, address, note=None if port else f"{key} of {value_from} names no port")


def _element_text(root: ElementTree.Element, path: str) -> str:
    element = root.find(path)
    return (element.text or "").strip() if element is not None else ""


def _context_path(value: str | None) -> str:
    """Return a context path as URLs need it: with a slash at its front, none at its end."""
    inner = (value or "").strip("/")
    return f"/{inner}" if inner else ""


def _without_credentials(url: str) -> str:
    """Return a database address without user and password, which may differ between nodes and must not be hashed."""
    url = re.sub(r"(://)[^/@\s]*@", r"\1", url.strip())
    return re.sub(r"(?i)([?&;])(?:user(?:name)?|password|pwd)=[^&;]*", r"\1", url)


def _printable(value: Any) -> Any:
    """Return a result that JSON can carry: bytes that are no UTF-8 are written out."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, list):
        return [_printable(item) for item in value]
    if isinstance(value, dict):
        return {key: _printable(item) for key, item in value.items()}
    return value


def _problem_list(problems: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"path": path, "message": message} for path, message in sorted(problems)]


def _name(instances: list[dict[str, Any]]) -> None:
    """Give every instance its report name: the declared one, else the product, with the unit when it occurs twice."""
    counts: dict[str, int] = {}
    for instance in instances:
        counts[instance["product"]] = counts.get(instance["product"], 0) + 1
    taken = {instance["name"] for instance in instances if instance["name"]}
    for instance in sorted(instances, key=lambda item: item["install_dir"]):
        if instance["name"]:
            continue
        name = instance["product"]
        if counts[name] > 1:
            unit = instance["unit"] or os.path.basename(instance["install_dir"])
            name = f"{name}-{unit[: -len('.service')] if unit.endswith('.service') else unit}"
        number = 1
        unique = name
        while unique in taken:
            number += 1
            unique = f"{name}-{number}"
        instance["name"] = unique
        taken.add(unique)


def check_declarations(declared: list[dict[str, Any]], products: list[dict[str, Any]]) -> None:
    """Raise DeclarationError for the first declared instance that makes no sense."""
    known = sorted(product["product"] for product in products)
    names: set[str] = set()
    for index, entry in enumerate(declared):
        where = f"instances[{index}]"
        if entry.get("product") not in known:
            raise DeclarationError(
                f"{where}: product must be one of {', '.join(known)}, found {entry.get('product')!r}"
            )
        for key in ("install_dir", "home_dir", "shared_home_dir"):
            if entry.get(key) and not str(entry[key]).startswith("/"):
                raise DeclarationError(f"{where}: {key} must be an absolute path, found {entry[key]!r}")
        for key in ("service_account", "service_group"):
            if entry.get(key) in ("root", "0"):
                raise DeclarationError(f"{where}: {key} must not be root: a product never runs as root")
            if entry.get(key) and not _ACCOUNT.fullmatch(str(entry[key])):
                raise DeclarationError(f"{where}: {key} is no valid account name: {entry[key]!r}")
        name = entry.get("name")
        if name in names:
            raise DeclarationError(f"{where}: name {name!r} is used twice")
        if name:
            names.add(name)


def _declared_candidates(discovery: Discovery, declared: list[dict[str, Any]]) -> list[Candidate]:
    """Return the installations of the declared instances; one that is not on this host leaves a problem."""
    result: list[Candidate] = []
    for entry in declared:
        product = next(item for item in discovery.products if item["product"] == entry["product"])
        what = f"instance {entry.get('name') or entry['product']}"
        unit = entry.get("unit")
        if unit and not unit.endswith(".service"):
            unit = f"{unit}.service"
        install = entry.get("install_dir")
        if install:
            candidate = _declared_install(discovery, product, install, what)
        else:
            candidate = _match(discovery, product, unit, entry, result, what)
        if candidate is None:
            continue
        if candidate in result:
            discovery.problem(
                candidate.install, f"{what} is the same installation as another declared instance; left out"
            )
            continue
        candidate.declared = {
            # An empty list is an answer.
            **{key: value for key, value in entry.items() if value or value == []},
            **({"unit": unit} if unit else {}),
        }
        result.append(candidate)
    return result


def _declared_install(discovery: Discovery, product: dict[str, Any], install: str, what: str) -> Candidate | None:
    candidate = discovery.candidate(product, install, "declared")
    if candidate:
        return candidate
    try:
        real = discovery.host.resolve(install)
    except UnreadableError as exc:
        discovery.problem(install, f"{what}: {exc}")
        return None
    if is_system_folder(real) or not discovery.host.is_folder(real):
        discovery.problem(install, f"{what} is declared there, but there is no such installation on this host")
        return None
    candidate = Candidate(product, real)
    candidate.links["declared"] = install.rstrip("/")
    candidate.problem(real, f"does not look like an installation of {product['title']}")
    return candidate


def _match(
    discovery: Discovery,
    product: dict[str, Any],
    unit: str | None,
    entry: dict[str, Any],
    taken: list[Candidate],
    what: str,
) -> Candidate | None:
    """Return the one installation found that fits a declared instance without install_dir."""
    fitting = [
        candidate
        for candidate in _used_first(discovery.candidates.values())
        if candidate.product is product and candidate not in taken and (not unit or unit in candidate.units)
    ]
    if len(fitting) > 1 and entry.get("home_dir"):
        home = entry["home_dir"]
        fitting = [
            item for item in fitting if Instance(discovery, item).home == discovery.host.resolve(home)
        ] or fitting
    in_use = [candidate for candidate in fitting if candidate.in_use]
    fitting = in_use or fitting
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        places = ", ".join(sorted(candidate.install for candidate in fitting))
        discovery.problem(places, f"{what}: several installations fit; declare its install_dir")
    else:
        discovery.problem(
            f"unit {unit}" if unit else product["product"], f"{what} is declared, but it is not on this host"
        )
    return None


def _name_borrowed_programs(host: Host, described: list[tuple[Candidate, dict[str, Any]]]) -> None:
    """Leave a problem for programs run out of the home of a product with another account, to which homes are closed."""
    for candidate, instance in described:
        account = instance["service_account"]
        programs = {host.real(path) for process in candidate.processes for path in process.class_path}
        for _other, owner in described:
            homes = [owner[key] for key in ("home_dir", "shared_home_dir") if owner[key]]
            for path in sorted(programs) if owner["service_account"] != account else ():
                if any(below(path, home) for home in homes):
                    candidate.problem(
                        path,
                        f"is run by {account}, but lies in a home only {owner['service_account']} may read; copy it",
                    )


def _used_first(candidates: Iterable[Candidate]) -> list[Candidate]:
    return sorted(candidates, key=lambda item: (not item.in_use, item.product["product"], item.install))


def _message(instances: list[dict[str, Any]], titles: dict[str, str], declared: bool) -> str:
    if not instances:
        if declared:
            return "None of the declared instances is on this host."
        return (
            f"No installation of {', '.join(titles[name] for name in sorted(titles))} was found on this host. If there "
            "is one, declare it in atlassian_dc_instances (product and install_dir)."
        )
    lines = []
    for item in instances:
        state = f"running as {item['running_user']}" if item["running"] else "not running"
        lines.append(
            f"{item['name']}: {titles[item['product']]} {item['version'] or '(version unknown)'} "
            f"in {item['install_dir']}, {state}"
        )
    return "Found " + "; ".join(lines) + "."


def discover(
    products: list[dict[str, Any]],
    declared: list[dict[str, Any]] | None = None,
    root: str = "/",
    run: Run | None = None,
) -> dict[str, Any]:
    """Return the products of a host.

    Args:
        products: product data without sources.
        declared: instances the administrator declared; only those are looked at. None: everything that is found.
        root: folder that holds the host.
        run: runs a command and returns what it prints; raises OSError when that fails.

    Returns:
        ``instances``, ``unused_installs``, ``searched``, ``problems`` and ``message``.

    Raises:
        DeclarationError: a declared instance makes no sense.

    """
    check_declarations(declared or [], products)
    discovery = Discovery(products, Host(root), run)
    discovery.search()
    unused: list[Candidate] = []
    if declared is not None:
        chosen = _declared_candidates(discovery, declared)
    else:
        chosen = []
        for product in products:
            found = [item for item in _used_first(discovery.candidates.values()) if item.product is product]
            in_use = [item for item in found if item.in_use]
            # Folders of former versions stay behind after upgrades: where one is in use, the others are not. A service
            # that is part of another product comes with it, used or not.
            chosen += in_use or ([] if product.get("part_of") else found)
            unused += [item for item in found if in_use and not item.in_use]
    described: list[tuple[Candidate, dict[str, Any]]] = []
    for candidate in chosen:
        try:
            described.append((candidate, Instance(discovery, candidate).describe()))
        except UnreadableError as exc:
            discovery.problem(candidate.install, f"was left out: {exc}")
    _name_borrowed_programs(discovery.host, described)
    for candidate, instance in described:
        instance["problems"] = _problem_list(candidate.problems)
    instances = [instance for _candidate, instance in described]
    _name(instances)
    instances.sort(key=lambda item: item["name"])
    titles = {product["product"]: str(product["title"]) for product in products}
    return _printable(
        {
            "instances": instances,
            "unused_installs": sorted(
                ({"product": item.product["product"], "install_dir": item.install} for item in unused),
                key=lambda item: (item["product"], item["install_dir"]),
            ),
            "searched": list(dict.fromkeys(discovery.searched)),
            "problems": _problem_list(discovery.problems),
            "message": _message(instances, titles, declared is not None),
        }
    )
