# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Configurations of Log4j: what a logger writes and where to, and the smallest change that makes it write more.

Three formats: Log4j 1 in properties, Log4j 2 in properties and in XML. All three are read into the same loggers and
appenders. A change replaces or adds a few bytes of the file; everything else stays as it is, byte by byte.

Sources: https://logging.apache.org/log4j/1.x/apidocs/org/apache/log4j/PropertyConfigurator.html and
https://logging.apache.org/log4j/2.x/manual/configuration.html.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from xml.parsers import expat
from xml.sax.saxutils import quoteattr

from ansible_collections.atlassian_dc.hardening.plugins.module_utils._properties import (
    PropertiesError,
    Property,
    parse_entries,
)

MAX_SIZE = 4 * 1024 * 1024
"""Longest file that is read, in bytes; the products' own have less than 64 KiB."""

MAX_XML_DEPTH = 64
MAX_XML_ELEMENTS = 100_000
MAX_NESTING = 16
"""How deep variables may stand in the values of others."""

LEVELS = ("OFF", "FATAL", "ERROR", "WARN", "INFO", "DEBUG", "TRACE", "ALL")
"""From what writes nothing to what writes everything."""

ROOT = ""
"""Name of the logger above all others."""

PASSING_ON = ("async", "rewrite")
"""Appenders that pass every message on to others, in small letters; what else does may pass on some only."""

FILE_KEYS = ("file", "filename", "logfilename")
"""What the settings of an appender that name its file are called, in small letters."""

_ADDED = "atlassianDcLogins"
"""What a logger that is added to a properties file of Log4j 2 is called in its keys."""


class LogConfigError(Exception):
    """A configuration that cannot be read or changed; says which file, which line and why."""


@dataclass(frozen=True)
class Wanted:
    """What a logger is wanted to do.

    Attributes:
        logger: its name.
        level: level of the messages that have to be written, in capitals.
        log: name of the file they have to reach, without folders.
        classes: appenders that write that file whatever their settings say.

    """

    logger: str
    level: str
    log: str
    classes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ref:
    """A logger's reference to an appender, and the level that it lets pass, None for all."""

    appender: str
    level: str | None = None


@dataclass
class Logger:
    """A logger as it is configured. A level of None is not set."""

    name: str
    line: int
    level: str | None = None
    additive: bool = True
    refs: list[Ref] = field(default_factory=list)
    filters: list[tuple[str, str | None]] = field(default_factory=list)


@dataclass
class Appender:
    """An appender as it is configured: class or type, files it names, what it lets pass, and to which others."""

    name: str
    kind: str = ""
    files: list[str] = field(default_factory=list)
    filters: list[tuple[str, str | None]] = field(default_factory=list)
    refs: list[Ref] = field(default_factory=list)


@dataclass(frozen=True)
class Writing:
    """What a logger does, compared with what is wanted of it.

    Attributes:
        level: the level in force, as it is written.
        level_from: in words, which logger sets it.
        enough: whether that level writes what is wanted; None where nobody can tell.
        reaches: whether it reaches the wanted file; None where nobody can tell.
        files: the files it reaches.
        doubt: why nobody can tell.

    """

    level: str
    level_from: str
    enough: bool | None
    reaches: bool | None
    files: tuple[str, ...]
    doubt: str = ""

    @property
    def right(self) -> bool:
        """Whether what is wanted is written."""
        return self.enough is True and self.reaches is True


def writes(level: str, wanted: str) -> bool:
    """Whether a level writes messages of another one; a word that is no level writes none."""
    word = level.strip().upper()
    return word in LEVELS and LEVELS.index(word) >= LEVELS.index(wanted)


def parents(name: str) -> Iterator[str]:
    """Yield the name of a logger and those of the loggers above it, the root last."""
    while name != ROOT:
        yield name
        name = name.rpartition(".")[0]
    yield ROOT


def _indent(text: str, offset: int) -> str:
    """Return the spaces right before an offset."""
    line = text[max(text.rfind("\n", 0, offset), text.rfind("\r", 0, offset)) + 1 : offset]
    return line[len(line.rstrip(" \t")) :]


@dataclass(frozen=True)
class Splice:
    """A replacement of some bytes of a file."""

    start: int
    end: int
    text: str


class LogConfiguration(ABC):
    """A configuration of Log4j.

    Args:
        path: where it lies, for messages.
        data: its content.
        properties: system properties of the JVM, which values may name.

    Raises:
        LogConfigError: it is no such configuration.

    """

    def __init__(self, path: str, data: bytes, properties: Mapping[str, str]) -> None:
        if len(data) > MAX_SIZE:
            raise LogConfigError(f"{path}: larger than {MAX_SIZE >> 20} MiB")
        self.path = path
        self.data = data
        self.system = properties
        # One character for each byte, so that offsets are the same; names and levels are ASCII.
        self.text = data.decode("latin-1")
        self.loggers: dict[str, Logger] = {}
        self.appenders: dict[str, Appender] = {}
        self.filters: list[tuple[str, str | None]] = []
        self.doubts: list[str] = []
        """What decides about logging and is not looked at."""
        self.twice: dict[str, int] = {}
        """Loggers that are configured twice, and in which line."""
        self.monitor_interval = 0
        """After how many seconds the product reads a changed file again; 0 when it does not."""
        self._read()

    @abstractmethod
    def _read(self) -> None:
        """Fill loggers and appenders."""

    @abstractmethod
    def _set_level(self, logger: str, level: str) -> list[Splice]:
        """Return what gives a logger that is configured another level."""

    @abstractmethod
    def _add_ref(self, logger: str, appender: str) -> list[Splice]:
        """Return what adds a reference to a logger that is configured."""

    @abstractmethod
    def _add_logger(self, logger: str, level: str, appender: str | None) -> list[Splice]:
        """Return what adds a logger."""

    @abstractmethod
    def _variable(self, name: str) -> str | None:
        """Return the value of a variable, None when it cannot be known."""

    # ---- reading ---------------------------------------------------------------------------------

    def error(self, line: int, why: str) -> LogConfigError:
        """Return an error that names file and line."""
        return LogConfigError(f"{self.path}: line {line}: {why}")

    @property
    def newline(self) -> str:
        """How the lines of the file end."""
        found = re.search(r"\r\n|\r|\n", self.text)
        return found.group() if found else "\n"

    def expand(self, value: str, nesting: int = 0) -> str | None:
        """Return a value with its variables replaced, None when one cannot be known."""
        if nesting > MAX_NESTING:
            return None
        parts: list[str] = []
        rest = value
        while "${" in rest:
            before, _start, rest = rest.partition("${")
            inner, end, rest = rest.partition("}")
            known = self._variable(inner) if end else None
            known = None if known is None else self.expand(known, nesting + 1)
            if known is None:
                return None
            parts += [before, known]
        return "".join([*parts, rest])

    def judge(self, wanted: Wanted) -> Writing:
        """Return what a logger does, compared with what is wanted of it."""
        level, level_from, doubt = self._level(wanted.logger)
        enough = None if doubt else writes(level, wanted.level)
        reached: dict[str, Appender] = {}
        blocked: list[str] = []
        for name in parents(wanted.logger):
            logger = self.loggers.get(name)
            if logger is not None:
                self._follow(logger.refs, [*self.filters, *logger.filters], wanted, reached, blocked)
                if not logger.additive:
                    break
        to_log = [self._writes_to(appender, wanted) for appender in reached.values()]
        reaches: bool | None = any(to_log)
        if not reaches and None in to_log:
            reaches, doubt = None, doubt or "the name of a log file holds a variable"
        if not reaches and blocked:
            reaches, doubt = None, doubt or blocked[0]
        again = [
            f"line {self.twice[name]}: logger {name[:60] or 'root'} is configured twice"
            for name in parents(wanted.logger)
            if name in self.twice
        ]
        if self.doubts or again:
            # Whatever is right here may be overruled elsewhere, and what is wrong put right.
            doubt, enough, reaches = [*self.doubts, *again][0], None, None
        files = tuple(dict.fromkeys(file for appender in reached.values() for file in self._files(appender, wanted)))
        return Writing(level, level_from, enough, reaches, files, doubt)

    def _follow(
        self,
        refs: Iterable[Ref],
        filters: list[tuple[str, str | None]],
        wanted: Wanted,
        reached: dict[str, Appender],
        blocked: list[str],
    ) -> None:
        """Add the appenders that a message reaches by some references, and why nobody can tell of others."""
        for ref in refs:
            appender = self.appenders.get(ref.appender)
            if (
                appender is None
                or appender.name in reached
                or not (ref.level is None or writes(ref.level, wanted.level))
            ):
                continue
            why = self._held_back([*filters, *appender.filters], wanted.level)
            if why is None and appender.refs and appender.kind.lower() not in PASSING_ON:
                why = f"appender {appender.name[:60]} passes on what it decides"
            if why is None:
                reached[appender.name] = appender
                self._follow(appender.refs, filters, wanted, reached, blocked)
            elif why and (appender.refs or self._writes_to(appender, wanted)):
                blocked.append(why)

    def _level(self, name: str) -> tuple[str, str, str]:
        """Return the level in force, in words where it is set, and why nobody can tell it."""
        for parent in parents(name):
            logger = self.loggers.get(parent)
            if logger is None:
                continue
            where = f"set by {parent or 'the root logger'}, line {logger.line}"
            if logger.level is None:
                # Some releases take the level of the logger above, others ERROR.
                return "not set", where, ""
            level = self.expand(logger.level)
            if level is None:
                return logger.level, where, f"line {logger.line}: the level holds a variable"
            return level.strip().upper(), where, ""
        return "not set", "no logger sets it", ""

    def _held_back(self, filters: Iterable[tuple[str, str | None]], level: str) -> str | None:
        """Return None where filters let a level pass, "" where they do not, else the reason why nobody can tell."""
        unknown = None
        for kind, threshold in filters:
            known = None if threshold is None else self.expand(threshold)
            if known is None:
                unknown = f"a filter decides what is written ({kind[:60]})"
            elif not writes(known, level):
                return ""
        return unknown

    def _files(self, appender: Appender, wanted: Wanted) -> list[str]:
        if appender.kind in wanted.classes:
            return [wanted.log]
        return [self._base_name(file) for file in appender.files]

    def _base_name(self, file: str) -> str:
        """Return the name of a file without its folders, which may hold variables that nobody knows."""
        whole = self.expand(file)
        name = (file if whole is None else whole).replace("\\", "/").rpartition("/")[2].strip()
        known = self.expand(name)
        return name if known is None else known

    def _writes_to(self, appender: Appender, wanted: Wanted) -> bool | None:
        names = self._files(appender, wanted)
        if wanted.log in names:
            return True
        return None if any("${" in name or name.endswith("}") for name in names) else False

    # ---- changing --------------------------------------------------------------------------------

    def put_right(self, wanted: Wanted) -> bytes:
        """Return the content of the file with a logger that does what is wanted.

        Raises:
            LogConfigError: that takes more than a level or a reference to an appender that is there.

        """
        now = self.judge(wanted)
        if now.right:
            return self.data
        if now.doubt:
            raise LogConfigError(f"{self.path}: {now.doubt}")
        appender = None
        if not now.reaches:
            usable = (
                item.name
                for item in self.appenders.values()
                if self._writes_to(item, wanted)
                and self._held_back([*self.filters, *item.filters], wanted.level) is None
            )
            appender = next(usable, None)
            if appender is None:
                raise LogConfigError(
                    f"{self.path}: no appender writes messages of level {wanted.level} to {wanted.log}"
                )
        if wanted.logger not in self.loggers:
            splices = self._add_logger(wanted.logger, now.level if now.enough else wanted.level, appender)
        else:
            splices = [] if now.enough else self._set_level(wanted.logger, wanted.level)
            splices += self._add_ref(wanted.logger, appender) if appender else []
        new = self._spliced(splices)
        # Nothing is written that does not read back as what is wanted, with everything else as it was.
        again = type(self)(self.path, new, self.system)
        kept = {name: item for name, item in again.loggers.items() if name != wanted.logger}
        same = [(item.name, item.level, item.additive, item.refs) for item in kept.values()] == [
            (item.name, item.level, item.additive, item.refs)
            for name, item in self.loggers.items()
            if name != wanted.logger
        ]
        if not again.judge(wanted).right or not same or list(again.appenders) != list(self.appenders):
            raise LogConfigError(
                f"{self.path}: cannot be changed safely; set {wanted.logger} to {wanted.level} by hand"
            )
        return new

    def _spliced(self, splices: Sequence[Splice]) -> bytes:
        text = self.text
        # From the end of the file to its beginning; of two at one place the first one comes first in the file.
        for splice in sorted(splices, key=lambda item: item.start)[::-1]:
            text = text[: splice.start] + splice.text + text[splice.end :]
        try:
            return text.encode("latin-1")
        except UnicodeEncodeError:
            raise LogConfigError(f"{self.path}: a name in it cannot be written") from None


# ---- properties ------------------------------------------------------------------------------------------------------


class _PropertiesConfiguration(LogConfiguration):
    """What both formats of properties have in common."""

    def _read(self) -> None:
        try:
            entries, self._open_ended = parse_entries(self.text)
        except PropertiesError as exc:
            raise LogConfigError(f"{self.path}: {exc}") from None
        # Of several entries with one key the last one counts.
        self.properties = {entry.key: entry for entry in entries}
        self._interpret()

    @abstractmethod
    def _interpret(self) -> None:
        """Fill loggers and appenders from the properties."""

    def _value(self, key: str) -> str | None:
        entry = self.properties.get(key)
        return None if entry is None else entry.value.strip()

    def _appended(self, *lines: str) -> list[Splice]:
        """Return what adds lines at the end of the file."""
        newline = self.newline
        start = newline if self.text and self.text[-1] not in "\r\n" else ""
        # A line that goes on does so in an empty one.
        start += newline if self._open_ended else ""
        return [Splice(len(self.text), len(self.text), start + "".join(line + newline for line in lines))]

    @staticmethod
    def _level_part(entry: Property) -> tuple[int, int]:
        """Return where the level stands in a value such as ``WARN, filelog``, spaces around it left out."""
        head = entry.value.partition(",")[0]
        return len(head) - len(head.lstrip()), len(head.rstrip())

    def _replaced_level(self, entry: Property, level: str) -> Splice:
        start, end = self._level_part(entry)
        if end <= start:
            place = entry.places[0][0] if entry.places else entry.value_end
            separated = self.text[place - 1] in "=: \t\f"
            return Splice(place, place, level if separated else f"={level}")
        return Splice(*entry.span(start, end), level)

    @staticmethod
    def _with_ref(entry: Property, appender: str) -> Splice:
        return Splice(entry.value_end, entry.value_end, f", {appender}")

    @staticmethod
    def _words(value: str) -> tuple[str | None, list[str]]:
        """Return level and appenders of a value such as ``WARN, filelog``."""
        head, *rest = value.split(",")
        return head.strip() or None, [word.strip() for word in rest if word.strip()]


class Log4jProperties(_PropertiesConfiguration):
    """A properties file of Log4j 1, which products with Log4j 2 may read too."""

    _LOGGER = re.compile(r"log4j\.(?:logger|category)\.(.+)", re.DOTALL)

    def _interpret(self) -> None:
        root = "log4j.rootLogger" if "log4j.rootLogger" in self.properties else "log4j.rootCategory"
        for key, entry in self.properties.items():
            match = self._LOGGER.fullmatch(key)
            if match or key == root:
                self._logger(match[1] if match else ROOT, entry)
            elif key.startswith("log4j.appender."):
                self._appender(key[len("log4j.appender.") :], entry.value.strip())
        threshold = self._value("log4j.threshold")
        if threshold is not None:
            self.filters.append(("log4j.threshold", threshold))

    def _logger(self, name: str, entry: Property) -> None:
        level, appenders = self._words(entry.value)
        if level is not None and level.upper() in ("INHERITED", "NULL"):
            level = None
        additive = (self._value(f"log4j.additivity.{name}") or "true").lower() != "false"
        refs = [Ref(word) for word in appenders]
        earlier = self.loggers.get(name)
        if earlier is not None:
            # Set as logger and as category: nobody can tell which of them is read last.
            if earlier.level is not None and (level is None or writes(level, earlier.level.upper())):
                level = earlier.level
            refs = [ref for ref in refs if ref in earlier.refs]
        self.loggers[name] = Logger(name, entry.line, level, additive, refs)

    def _appender(self, rest: str, value: str) -> None:
        name, _dot, setting = rest.partition(".")
        appender = self.appenders.setdefault(name, Appender(name))
        if not setting:
            appender.kind = value
        elif setting.lower() in FILE_KEYS:
            appender.files.append(value)
        elif setting.lower() == "threshold":
            appender.filters.append(("Threshold", value))
        elif re.fullmatch(r"filter\.[^.]+", setting):
            appender.filters.append((value, None))

    def _variable(self, name: str) -> str | None:
        return self.system.get(name, self._value(name))

    def _entries_of(self, logger: str) -> list[Property]:
        keys = (f"log4j.logger.{logger}", f"log4j.category.{logger}")
        return [self.properties[key] for key in keys if key in self.properties]

    def _set_level(self, logger: str, level: str) -> list[Splice]:
        return [self._replaced_level(entry, level) for entry in self._entries_of(logger)]

    def _add_ref(self, logger: str, appender: str) -> list[Splice]:
        return [
            self._with_ref(entry, appender)
            for entry in self._entries_of(logger)
            if appender not in self._words(entry.value)[1]
        ]

    def _add_logger(self, logger: str, level: str, appender: str | None) -> list[Splice]:
        return self._appended(f"log4j.logger.{logger}={level}{f', {appender}' if appender else ''}")


class Log4j2Properties(_PropertiesConfiguration):
    """A properties file of Log4j 2."""

    def _interpret(self) -> None:
        self.ids: dict[str, str] = {}
        """What loggers are called in the keys, by name."""
        groups: dict[str, dict[str, dict[str, Property]]] = {"logger": {}, "appender": {}, "filter": {}}
        for key, entry in self.properties.items():
            kind, _dot, rest = key.partition(".")
            if kind in groups and rest:
                identifier, _dot, setting = rest.partition(".")
                groups[kind].setdefault(identifier, {})[setting] = entry
        root = {key[len("rootLogger.") :]: entry for key, entry in self.properties.items() if key[:11] == "rootLogger."}
        if "rootLogger" in self.properties:
            root[""] = self.properties["rootLogger"]
        if root:
            self._logger(ROOT, root)
        for identifier, settings in self._listed("loggers", groups["logger"], ("name",)):
            name = settings["name"].value.strip()
            if name in self.ids:
                self.twice[name] = settings["name"].line
            self.ids[name] = identifier
            self._logger(name, settings)
        for _identifier, settings in self._listed("appenders", groups["appender"], ("name", "type")):
            self._appender({key: entry.value.strip() for key, entry in settings.items()})
        for _identifier, settings in self._listed("filters", groups["filter"]):
            self.filters += self._filters({f"filter.f.{key}": entry.value.strip() for key, entry in settings.items()})
        interval = self.expand(self._value("monitorInterval") or "0")
        self.monitor_interval = int(interval) if interval and re.fullmatch(r"[0-9]{1,9}", interval) else 0

    def _listed(
        self, key: str, groups: dict[str, dict[str, Property]], required: Sequence[str] = ()
    ) -> list[tuple[str, dict[str, Property]]]:
        """Return those of some groups that count: where they are listed, no others do.

        Raises:
            LogConfigError: one lacks what Log4j insists on.

        """
        listed = self.properties.get(key)
        names = list(groups) if listed is None else [name.strip() for name in listed.value.split(",")]
        for name in names:
            missing = [setting for setting in required if not groups.get(name, {}).get(setting)]
            if missing:
                entries = [*groups.get(name, {}).values(), *([listed] if listed else [])]
                raise self.error(entries[0].line, f"{key[:-1]} {name[:60]!r} has no {missing[0]}, which Log4j refuses")
        return [(name, groups[name]) for name in dict.fromkeys(names) if name in groups]

    def _logger(self, name: str, settings: dict[str, Property]) -> None:
        texts = {key: entry.value.strip() for key, entry in settings.items()}
        line = min(entry.line for entry in settings.values())
        level, refs = self._words(texts.get("", ""))
        logger = Logger(name, line, texts.get("level", level), refs=[Ref(word) for word in refs])
        logger.additive = texts.get("additivity", "true").lower() != "false"
        logger.refs += self._refs(texts)
        logger.filters = self._filters(texts)
        self.loggers[name] = logger

    def _appender(self, texts: dict[str, str]) -> None:
        appender = Appender(texts.get("name", ""), texts.get("type", ""))
        appender.files = [value for key, value in texts.items() if key.lower() in FILE_KEYS]
        appender.filters = self._filters(texts)
        appender.refs = self._refs(texts)
        self.appenders[appender.name] = appender

    @staticmethod
    def _refs(texts: dict[str, str]) -> list[Ref]:
        found = []
        for key, value in texts.items():
            match = re.fullmatch(r"(appenderRef(?:\.[^.]+)?)\.ref", key)
            if match:
                found.append(Ref(value, texts.get(f"{match[1]}.level")))
        return found

    @staticmethod
    def _filters(texts: dict[str, str]) -> list[tuple[str, str | None]]:
        found = []
        for key, kind in texts.items():
            # Those of references too: what they hold back is not told apart by reference.
            match = re.fullmatch(r"((?:appenderRef\.[^.]+\.)?filter\.[^.]+)\.type", key)
            if match:
                settings = {name: texts.get(f"{match[1]}.{name}") for name in ("level", "onMatch", "onMismatch")}
                found.append(_threshold(kind, settings))
        return found

    def _variable(self, name: str) -> str | None:
        own = {key[len("property.") :]: self._value(key) for key in self.properties if key.startswith("property.")}
        return _variable_of_log4j2(name, self.system, own)

    def _set_level(self, logger: str, level: str) -> list[Splice]:
        base = f"logger.{self.ids[logger]}"
        if f"{base}.level" in self.properties:
            return [self._replaced_level(self.properties[f"{base}.level"], level)]
        if base in self.properties:
            return [self._replaced_level(self.properties[base], level)]
        named = self.properties[f"{base}.name"]
        return [Splice(named.end, named.end, f"{self.newline}{base}.level = {level}")]

    def _add_ref(self, logger: str, appender: str) -> list[Splice]:
        base = f"logger.{self.ids[logger]}"
        named = self.properties[f"{base}.name"]
        return [Splice(named.end, named.end, f"{self.newline}{base}.appenderRef.{_ADDED}.ref = {appender}")]

    def _add_logger(self, logger: str, level: str, appender: str | None) -> list[Splice]:
        taken = {key.split(".")[1] for key in self.properties if key.startswith("logger.")}
        identifier = next(
            name for name in (_ADDED + "X" * count for count in range(len(taken) + 1)) if name not in taken
        )
        lines = [f"logger.{identifier}.name = {logger}", f"logger.{identifier}.level = {level}"]
        if appender:
            lines.append(f"logger.{identifier}.appenderRef.{_ADDED}.ref = {appender}")
        splices = self._appended(*lines)
        if "loggers" in self.properties:
            splices.append(self._with_ref(self.properties["loggers"], identifier))
        return splices


def _threshold(kind: str, settings: Mapping[str, str | None]) -> tuple[str, str | None]:
    """Return a filter of Log4j 2 with the level it lets pass, None where that is not all it does."""
    usual = (settings.get("onMatch") or "NEUTRAL").upper() != "DENY" and (
        settings.get("onMismatch") or "DENY"
    ).upper() == "DENY"
    return kind, settings.get("level") or "ERROR" if kind == "ThresholdFilter" and usual else None


def _variable_of_log4j2(name: str, system: Mapping[str, str], own: Mapping[str, str | None]) -> str | None:
    name, has_default, default = name.partition(":-")
    kind, colon, key = name.partition(":")
    if not colon:
        value = own.get(name)
    elif kind == "sys":
        value = system.get(key)
    else:
        return None  # environment, JNDI and the like: whatever stands there, the default may not count
    return value if value is not None else default if has_default else None


# ---- XML -------------------------------------------------------------------------------------------------------------


@dataclass
class Node:
    """An element, its names in small letters as Log4j compares them, and where it lies in the file."""

    name: str
    """As it is written."""
    line: int
    start: int
    attributes: dict[str, str]
    children: list[Node] = field(default_factory=list)
    text: str = ""
    end: int = 0
    """Where its end tag begins; where it ends itself when it has none."""

    @property
    def tag(self) -> str:
        """What it is called without its namespace."""
        return self.name.rpartition(":")[2].lower()

    @property
    def prefix(self) -> str:
        """What its name has before that."""
        return self.name[: len(self.name) - len(self.tag)]

    def get(self, name: str) -> str | None:
        """Return a setting, given as an attribute or as an element that only holds text."""
        inner = (child.text.strip() for child in self.children if child.tag == name and not child.children)
        return self.attributes.get(name, next(inner, None))

    def named(self, *tags: str) -> list[Node]:
        """Return the elements in it that are called so."""
        return [child for child in self.children if child.tag in tags]


_ATTRIBUTE = re.compile(r"\s+([^\s=/>]+)\s*=\s*(\"[^\"]*\"|'[^']*')", re.ASCII)
_TAG_NAME = re.compile(r"<[^\s/>]+", re.ASCII)
_TAG_END = re.compile(r"\s*(/?)>", re.ASCII)
_ASCII_ENCODINGS = re.compile(r"utf-?8|us-ascii|iso-?8859-\d+|windows-125\d|latin-?1", re.IGNORECASE)


class _XmlReader:
    """Reads a document into nodes that know where they lie."""

    def __init__(self, path: str, data: bytes) -> None:
        self.path = path
        self.root: Node | None = None
        self.encoding = "utf-8"
        self._open: list[Node] = []
        self._count = 0
        self._parser = parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        parser.XmlDeclHandler = self._declaration
        for handler in (
            "StartDoctypeDeclHandler",
            "EntityDeclHandler",
            "UnparsedEntityDeclHandler",
            "ExternalEntityRefHandler",
            "SkippedEntityHandler",
        ):
            setattr(parser, handler, self._refuse)
        try:
            parser.Parse(data, True)
        except expat.ExpatError as exc:
            why = expat.errors.messages[exc.code]
            raise LogConfigError(f"{path}: line {exc.lineno}: not well-formed XML ({why})") from None
        except (LookupError, ValueError) as exc:
            raise LogConfigError(f"{path}: line 1: not readable as XML ({type(exc).__name__})") from None

    def _error(self, why: str) -> LogConfigError:
        return LogConfigError(f"{self.path}: line {self._parser.CurrentLineNumber}: {why}")

    def _declaration(self, _version: str, encoding: str | None, _standalone: int) -> None:
        self.encoding = encoding or "utf-8"

    def _refuse(self, *_arguments: object) -> int:
        raise self._error("a document type declaration or an entity, refused")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._count += 1
        if self._count > MAX_XML_ELEMENTS or len(self._open) >= MAX_XML_DEPTH:
            raise self._error("too many or too deeply nested elements")
        lowered = {key.lower(): value for key, value in attributes.items()}
        parser = self._parser
        node = Node(name, parser.CurrentLineNumber, parser.CurrentByteIndex, lowered)
        if self._open:
            self._open[-1].children.append(node)
        else:
            self.root = node
        self._open.append(node)

    def _end(self, _name: str) -> None:
        self._open.pop().end = self._parser.CurrentByteIndex

    def _characters(self, text: str) -> None:
        self._open[-1].text += text


class Log4j2Xml(LogConfiguration):
    """An XML file of Log4j 2."""

    def _read(self) -> None:
        reader = _XmlReader(self.path, self.data)
        root = reader.root
        if root is None or root.tag != "configuration":
            raise self.error(root.line if root else 1, "not a configuration of Log4j 2")
        # Offsets are those of bytes, and what is added is ASCII.
        self.editable = bool(_ASCII_ENCODINGS.fullmatch(reader.encoding)) and self.data[:2] not in (
            b"\xff\xfe",
            b"\xfe\xff",
        )
        self.nodes: dict[str, Node] = {}
        self.section: Node | None = None
        self.own: dict[str, str | None] = {}
        self._look_for_others(root)
        for section in root.children:
            if section.tag == "properties":
                for item in section.named("property"):
                    self.own[item.get("name") or ""] = item.get("value") or item.text.strip()
            elif section.tag == "appenders":
                for item in section.children:
                    self._appender(item)
            elif section.tag == "loggers":
                self.section = section
                for item in section.children:
                    self._logger(item)
        self.filters = self._filters(root)
        interval = self.expand(root.get("monitorinterval") or "0")
        self.monitor_interval = int(interval) if interval and re.fullmatch(r"[0-9]{1,9}", interval) else 0

    def _look_for_others(self, node: Node) -> None:
        if node.tag == "include":
            self.doubts.append(f"line {node.line}: another file is included, which is not looked at")
        elif node.tag == "select" or node.tag.endswith("arbiter"):
            self.doubts.append(f"line {node.line}: a part counts under a condition only ({node.tag})")
        for child in node.children:
            self._look_for_others(child)

    def _logger(self, node: Node) -> None:
        root = node.tag in ("root", "asyncroot")
        name = ROOT if root else node.get("name") or ""
        if not root and (node.tag not in ("logger", "asynclogger") or not name):
            return
        level, words = (None, [])
        shorthand = node.get("levelandrefs")
        if shorthand is not None:
            head, *rest = shorthand.split(",")
            level, words = head.strip() or None, [word.strip() for word in rest if word.strip()]
        logger = Logger(name, node.line, node.get("level") or level, refs=[Ref(word) for word in words])
        logger.additive = (node.get("additivity") or "true").strip().lower() != "false"
        logger.refs += self._refs(node)
        logger.filters = self._filters(node)
        if name in self.loggers:
            self.twice[name] = node.line
        self.loggers[name] = logger
        self.nodes[name] = node

    def _appender(self, node: Node) -> None:
        kind = node.get("type") if node.tag == "appender" else node.tag
        appender = Appender(node.get("name") or "", kind or "")
        appender.files = [value for key in FILE_KEYS for value in [node.get(key)] if value]
        appender.filters = self._filters(node)
        appender.refs = self._refs(node)
        self.appenders[appender.name] = appender

    @staticmethod
    def _refs(node: Node) -> list[Ref]:
        return [Ref(ref.get("ref") or "", ref.get("level")) for ref in node.named("appenderref", "appender-ref")]

    @staticmethod
    def _filters(node: Node) -> list[tuple[str, str | None]]:
        # Those of references too: what they hold back is not told apart by reference.
        groups = node.named("filters", "appenderref", "appender-ref")
        inner = [*node.children, *(item for group in groups for item in group.children)]
        return [
            _threshold(
                "ThresholdFilter" if item.tag == "thresholdfilter" else item.tag,
                {"level": item.get("level"), "onMatch": item.get("onmatch"), "onMismatch": item.get("onmismatch")},
            )
            for item in inner
            if item.tag.endswith("filter")
        ]

    def _variable(self, name: str) -> str | None:
        return _variable_of_log4j2(name, self.system, self.own)

    def _tag(self, node: Node) -> tuple[dict[str, tuple[int, int]], re.Match[str]]:
        """Return where the values of a start tag lie, and its end.

        Raises:
            LogConfigError: it cannot be found in the file.

        """
        name = _TAG_NAME.match(self.text, node.start) if self.editable else None
        if name is None:
            raise self.error(node.line, "cannot be changed in its encoding")
        index = name.end()
        values: dict[str, tuple[int, int]] = {}
        while True:
            attribute = _ATTRIBUTE.match(self.text, index)
            if attribute is None:
                break
            values[attribute[1].lower()] = (attribute.start(2) + 1, attribute.end(2) - 1)
            index = attribute.end()
        end = _TAG_END.match(self.text, index)
        if end is None:
            raise self.error(node.line, "cannot be changed")
        return values, end

    def _set_level(self, logger: str, level: str) -> list[Splice]:
        values, end = self._tag(self.nodes[logger])
        if "level" in values:
            return [Splice(*values["level"], level)]
        # It counts before elements and a short form that give a level.
        return [Splice(end.start(), end.start(), f' level="{level}"')]

    def _add_ref(self, logger: str, appender: str) -> list[Splice]:
        node = self.nodes[logger]
        _values, end = self._tag(node)
        ref = self._ref(appender, node.prefix)
        if not end[1]:
            return [Splice(end.end(), end.end(), ref)]
        return [Splice(end.start(1), end.end(), f">{ref}</{node.name}>")]

    @staticmethod
    def _ref(appender: str, prefix: str) -> str:
        return f"<{prefix}AppenderRef ref={quoteattr(appender)}/>"

    def _add_logger(self, logger: str, level: str, appender: str | None) -> list[Splice]:
        section = self.section
        if section is None or self.text[section.end : section.end + 2] != "</":
            raise self.error(section.line if section else 1, "has no loggers to add one to")
        self._tag(section)
        prefix = section.prefix
        element = f"<{prefix}Logger name={quoteattr(logger)} level={quoteattr(level)}"
        element += f">{self._ref(appender, prefix)}</{prefix}Logger>" if appender else "/>"
        place = section.end - len(_indent(self.text, section.end))
        alone = self.text[place - 1] in "\r\n"
        if not alone or not section.children:
            return [Splice(section.end, section.end, element)]
        return [Splice(place, place, f"{_indent(self.text, section.children[-1].start)}{element}{self.newline}")]


FORMATS: dict[str, type[LogConfiguration]] = {
    "log4j_properties": Log4jProperties,
    "log4j2_properties": Log4j2Properties,
    "log4j2_xml": Log4j2Xml,
}
