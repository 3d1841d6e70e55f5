# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Readers of the configuration files that tell how a product is installed.

The files belong to the product or to whoever broke into it, so they are hostile input: nothing is executed, nothing is
included, work is bounded by the size of the text, and `ParseError` is the only thing ever raised.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from xml.etree import ElementTree
from xml.parsers import expat

from ansible_collections.atlassian_dc.hardening.plugins.module_utils._properties import PropertiesError, parse_entries

UNKNOWN = "\x00"
"""Stands in a value for a part that only running the script would tell."""

REDACTED = "********"

MAX_EXPANSION = 2 * 1024 * 1024
"""Most characters all expansions of one script may yield."""

MAX_NESTING = 60
MAX_WORDS = 5000
MAX_XML_DEPTH = 100
MAX_XML_ELEMENTS = 50000


class ParseError(ValueError):
    """A text that cannot be read; says where and why, and never quotes the text, which may hold secrets."""


def text_of(data: bytes) -> str:
    """Return file content as text: bytes that are no UTF-8 become replacement characters, NUL likewise."""
    return data.decode("utf-8", errors="replace").replace("\x00", "\ufffd").replace("\r\n", "\n")


# ---- Java properties -------------------------------------------------------------------------------------------------
_UNUSABLE = re.compile("[\0\ud800-\udfff]")


def usable(text: str) -> str:
    """Return a text with what can be no character of a path or a report replaced; escapes may stand for such."""
    return _UNUSABLE.sub("\ufffd", text)


def parse_properties(text: str) -> dict[str, str]:
    """Return the keys and values of a Java properties file; a later key replaces an earlier one.

    Raises:
        ParseError: Java would refuse the file.

    """
    try:
        entries, _open_ended = parse_entries(text)
    except PropertiesError as exc:
        raise ParseError(str(exc)) from None
    return {usable(entry.key): usable(entry.value) for entry in entries}


# ---- systemd ---------------------------------------------------------------------------------------------------------
def parse_unit(text: str) -> list[tuple[str, str, str]]:
    """Return the assignments of a systemd unit or drop-in in their order, as (section, key, value)."""
    result: list[tuple[str, str, str]] = []
    section = ""
    pending: list[str] = []
    for raw in text.split("\n"):
        line = raw.strip(" \t\r")
        if line[:1] in ("#", ";"):
            # systemd skips comments also between the parts of a continued line.
            continue
        if line.endswith("\\"):
            pending.append(line[:-1])
            continue
        line = " ".join([*pending, line]).strip()
        pending = []
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1]
            continue
        key, separator, value = line.partition("=")
        if separator:
            result.append((section, key.strip(), value.strip()))
    return result


def split_words(value: str) -> list[str]:
    """Split a line the way systemd and shells do: quotes group, a backslash takes the next character literally.

    An unfinished quote reaches to the end of the line.
    """
    words: list[str] = []
    current: list[str] = []
    inside = False
    quote = ""
    index = 0
    while index < len(value):
        char = value[index]
        index += 1
        if char == "\\" and quote != "'" and index < len(value):
            current.append(value[index])
            inside = True
            index += 1
        elif quote:
            if char == quote:
                quote = ""
            else:
                current.append(char)
        elif char in "'\"":
            quote = char
            inside = True
        elif char in " \t\n\r":
            if inside:
                words.append("".join(current))
            current, inside = [], False
        else:
            current.append(char)
            inside = True
    if inside:
        words.append("".join(current))
    return words


def parse_environment(words: list[str]) -> dict[str, str]:
    """Return the variables of ``NAME=value`` words; words of another form are left out."""
    result: dict[str, str] = {}
    for word in words:
        name, separator, value = word.partition("=")
        if separator and _NAME.fullmatch(name):
            result[name] = value
    return result


def parse_environment_file(text: str) -> dict[str, str]:
    """Return the variables of a file for systemd's ``EnvironmentFile=``: no expansion, quotes removed."""
    result: dict[str, str] = {}
    for line in re.sub(r"\\\n", "", text).split("\n"):
        stripped = line.strip()
        if not stripped or stripped[0] in "#;":
            continue
        name, separator, value = stripped.partition("=")
        name = re.sub(r"^export\s+", "", name).strip()
        if separator and _NAME.fullmatch(name):
            result[name] = " ".join(split_words(value))
    return result


# ---- shell -----------------------------------------------------------------------------------------------------------
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(\+?)=(.*)", re.DOTALL)
_PARAMETER = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?:(:?[-=+?])(.*))?", re.DOTALL)
_HEREDOC = re.compile(r"<<-?[ \t]*(['\"\\]?)([A-Za-z0-9_]+)['\"]?")
_DECLARING = ("export", "declare", "typeset", "readonly", "local")

Command = tuple  # (separator before it, its raw words)


class ShellValues:
    """What a script assigns.

    Attributes:
        values: variable to value; parts that cannot be told are ``UNKNOWN``.
        uncertain: variables set under a condition that cannot be told.
        sourced: files the script reads by itself; what they set is not known.

    """

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.uncertain: set[str] = set()
        self.sourced: list[str] = []

    def certain(self, name: str) -> str | None:
        """Return the value of a variable the script sets, or None when it does not or nobody can tell."""
        value = self.values.get(name)
        if value is None or name in self.uncertain or UNKNOWN in value:
            return None
        return value


def parse_shell(text: str, environment: Mapping[str, str] | None = None) -> ShellValues:
    """Return what a shell script assigns, without running it.

    Understood are plain assignments, ``export``, quotes, ``$NAME``, ``${NAME}`` with defaults, and simple tests on
    variables. Command substitution, functions, loops and other tests are not: what depends on them is unknown.

    Args:
        text: the script.
        environment: variables it starts with.

    Raises:
        ParseError: the script is cut off inside a quote or expands without end.

    """
    return _Shell(environment or {}).run(text)


def _skip_quoted(text: str, start: int) -> int:
    """Return the index behind the quote or substitution that begins at ``start``."""
    stack: list[str] = []
    index = start
    while index < len(text):
        char = text[index]
        top = stack[-1] if stack else ""
        pair = text[index : index + 2]
        if top == "'":
            if char == "'":
                stack.pop()
        elif char == "\\" and stack:
            index += 1
        elif stack and char == top:
            stack.pop()
        elif top == "`":
            pass
        elif pair in ("$(", "${"):
            stack.append(")" if pair == "$(" else "}")
            index += 1
        elif char == "`":
            stack.append("`")
        elif char == '"' and top != '"':
            stack.append('"')
        elif char == "'" and top != '"' and not (top == "}" and '"' in stack):
            stack.append("'")
        elif char == "(" and top == ")":
            stack.append(")")
        if len(stack) > MAX_NESTING:
            raise ParseError(f"line {text.count(chr(10), 0, index) + 1}: nested too deeply")
        index += 1
        if not stack:
            return index
    raise ParseError(f"line {text.count(chr(10), 0, start) + 1}: a quote or substitution does not end")


def _commands(text: str) -> Iterator[Command]:
    """Cut a script into commands: yields (separator before it, raw words)."""
    separator = "\n"
    words: list[str] = []
    heredocs: list[str] = []
    index = 0
    while index <= len(text):
        char = text[index] if index < len(text) else "\n"
        if char in " \t\r":
            index += 1
        elif text.startswith("\\\n", index):
            index += 2
        elif char == "#":
            end = text.find("\n", index)
            index = len(text) if end < 0 else end
        elif char in "\n;&|":
            operator = text[index : index + 2] if text[index : index + 2] in ("&&", "||", ";;") else char
            if words:
                if len(words) > MAX_WORDS:
                    raise ParseError("a command has too many words")
                yield separator, words
                words = []
                separator = operator
            elif operator != "\n":
                separator = operator
            index += len(operator)
            if char == "\n" and heredocs:
                index = _skip_heredocs(text, index, heredocs)
                heredocs = []
        elif char in "()":
            words.append(char)
            index += 1
        elif char in "<>":
            here = _HEREDOC.match(text, index)
            if here and not text.startswith("<<<", index):
                heredocs.append(here.group(2))
                index = here.end()
                continue
            start = index
            while index < len(text) and text[index] in "<>&-":
                index += 1
            words.append(text[start:index])
        else:
            start = index
            index = _word_end(text, index)
            words.append(text[start:index].replace("\\\n", ""))


def _word_end(text: str, index: int) -> int:
    while index < len(text):
        char = text[index]
        if char in " \t\r\n;&|()<>":
            break
        if char == "\\":
            index += 2
        elif char in "'\"`" or text[index : index + 2] in ("$(", "${"):
            index = _skip_quoted(text, index)
        else:
            index += 1
    return min(index, len(text))


def _skip_heredocs(text: str, index: int, delimiters: list[str]) -> int:
    for delimiter in delimiters:
        while index < len(text):
            end = text.find("\n", index)
            end = len(text) if end < 0 else end
            line = text[index:end].strip()
            index = end + 1
            if line == delimiter:
                break
    return min(index, len(text))


class _Frame:
    """A block of the script: ``state`` says whether it runs (None: nobody can tell)."""

    def __init__(self, kind: str, state: bool | None) -> None:
        self.kind = kind
        self.state = state
        self.taken: bool | None = False
        self.testing = kind == "if"


class _Shell:
    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = environment
        self.result = ShellValues()
        self.frames: list[_Frame] = []
        self.last: bool | None = True
        self.function = False
        self.touched = False
        self.budget = MAX_EXPANSION
        self.ended = False

    def run(self, text: str) -> ShellValues:
        for separator, words in _commands(text):
            self._command(separator, list(words))
            if self.ended:
                break
        return self.result

    def _running(self) -> bool | None:
        """Whether the current block runs: False when skipped, None when nobody can tell."""
        states = [frame.state for frame in self.frames]
        return False if False in states else None if None in states else True

    def _command(self, separator: str, words: list[str]) -> None:
        words = self._blocks(words)
        closing = 0
        while words and words[-1] == ")" and any(frame.kind == "(" for frame in self.frames):
            words.pop()
            closing += 1
        if words:
            self._gated(separator, words)
        for _count in range(min(closing, len(self.frames))):
            self.frames.pop()

    def _gated(self, separator: str, words: list[str]) -> None:
        """Carry a command out if its block and the command before it let it run."""
        frame = self.frames[-1] if self.frames else None
        running = self._running_outside(frame) if frame and frame.testing else self._running()
        if separator == "&&":
            gate: bool | None = self.last
        elif separator == "||":
            gate = None if self.last is None else not self.last
        else:
            gate = separator != "|"
        if running is False or gate is False:
            return
        certain = running is True and gate is True
        outcome = self._simple(words, certain)
        self.last = outcome if gate is True else None
        if frame and frame.testing:
            frame.state = self.last

    def _running_outside(self, frame: _Frame) -> bool | None:
        states = [other.state for other in self.frames if other is not frame]
        if frame.taken is True:
            return False
        return False if False in states else None if None in states or frame.taken is None else True

    def _blocks(self, words: list[str]) -> list[str]:
        """Take the words that open and close blocks off the front; return the command that is left."""
        while words:
            word = words[0]
            frame = self.frames[-1] if self.frames else None
            if len(self.frames) > MAX_NESTING:
                raise ParseError("blocks are nested too deeply")
            if word in ("if", "while", "until", "for", "select", "case"):
                self.frames.append(_Frame("if" if word == "if" else word, True if word == "if" else None))
                if word in ("for", "select", "case"):
                    return []
            elif word in ("then", "do") and frame:
                if word == "then" and frame.kind == "if":
                    self._open_branch(frame)
            elif word in ("elif", "else") and frame and frame.kind == "if":
                frame.taken = (
                    True
                    if True in (frame.taken, frame.state)
                    else (None if None in (frame.taken, frame.state) else False)
                )
                frame.testing = word == "elif"
                frame.state = True if word == "elif" else None if frame.taken is None else not frame.taken
            elif word in ("fi", "done", "esac", "}", ")") and frame:
                self.frames.pop()
            elif word == "{" or word == "(":
                self.frames.append(_Frame(word, not self.function and word == "{"))
                self.function = False
            elif word == "function" or words[1:3] == ["(", ")"]:
                self.function = True
                words = words[2:] if word == "function" else words[1:]
                if words[:2] == ["(", ")"]:
                    words = words[2:]
                continue
            elif frame and frame.kind == "case" and ")" in words:
                words = words[words.index(")") + 1 :]
                continue
            elif word == "!":
                # A negated command is a test nobody relies on here: its outcome is unknown.
                self.last = None
                return []
            else:
                return words
            words = words[1:]
        return words

    @staticmethod
    def _open_branch(frame: _Frame) -> None:
        frame.testing = False
        if frame.taken is True:
            frame.state = False
        elif frame.taken is None and frame.state is True:
            frame.state = None

    def _simple(self, words: list[str], certain: bool) -> bool | None:
        """Carry out one command; return whether it succeeds, None when nobody can tell."""
        name = words[0]
        if name in ("[", "[[", "test"):
            return self._test(words[1:] if name == "test" else words[1:-1] if words[-1] in ("]", "]]") else [])
        if name == ":":
            for word in words[1:]:
                self._expand(word, certain)
            return True
        if name in (".", "source"):
            self.result.sourced.append(self._expand(words[1], certain).replace(UNKNOWN, "…") if len(words) > 1 else "")
            return None
        if name == "unset":
            for word in words[1:]:
                self.result.values[word] = ""
                self._certainty(word, certain)
            return True
        if name in ("exit", "return") and certain:
            self.ended = True
            return True
        if name in _DECLARING:
            words = [word for word in words[1:] if not word.startswith("-")]
        elif not all(_ASSIGNMENT.fullmatch(word) for word in words):
            return None
        for word in words:
            assignment = _ASSIGNMENT.fullmatch(word)
            if assignment:
                self._assign(assignment, certain)
        return True

    def _assign(self, assignment: re.Match[str], certain: bool) -> None:
        name, plus, raw = assignment.groups()
        self.touched = False
        value = self._expand(raw, certain)
        if plus:
            value = self._lookup(name) + value
        self.result.values[name] = value
        self._certainty(name, certain and not self.touched)

    def _certainty(self, name: str, certain: bool) -> None:
        if certain:
            self.result.uncertain.discard(name)
        else:
            self.result.uncertain.add(name)

    def _test(self, words: list[str]) -> bool | None:
        negated = words[:1] == ["!"]
        if negated:
            words = words[1:]
        self.touched = False
        operator = words[0] if len(words) == 2 else words[1] if len(words) == 3 else ""
        if len(words) == 1:
            operator, operands = "-n", words
        elif len(words) == 2 and operator in ("-n", "-z"):
            operands = words[1:]
        elif len(words) == 3 and operator in ("=", "==", "!="):
            operands = [words[0], words[2]]
        else:
            return None
        texts = [self._expand(operand, True) for operand in operands]
        if self.touched or any(UNKNOWN in text or "*" in text for text in texts):
            return None
        if operator in ("-n", "-z"):
            outcome = (texts[0] == "") == (operator == "-z")
        else:
            outcome = (texts[0] == texts[1]) == (operator != "!=")
        return outcome != negated

    def _lookup(self, name: str) -> str:
        if name in self.result.uncertain:
            self.touched = True
        value = self.result.values.get(name)
        return self.environment.get(name, "") if value is None else value

    def _expand(self, raw: str, certain: bool, nesting: int = 0) -> str:
        """Return a raw word as the shell would pass it on, ``UNKNOWN`` where only running it would tell."""
        if nesting > MAX_NESTING:
            return UNKNOWN
        out: list[str] = []
        quoted = False
        index = 0
        while index < len(raw):
            char = raw[index]
            if char == "'" and not quoted:
                end = raw.find("'", index + 1)
                end = len(raw) if end < 0 else end
                out.append(raw[index + 1 : end])
                index = end + 1
            elif char == '"':
                quoted = not quoted
                index += 1
            elif char == "\\" and index + 1 < len(raw):
                follower = raw[index + 1]
                out.append(follower if not quoted or follower in '$`"\\' else char + follower)
                index += 2
            elif char == "`" or raw.startswith("$(", index):
                out.append(UNKNOWN)
                index = _skip_quoted(raw, index)
            elif raw.startswith("${", index):
                end = _skip_quoted(raw, index)
                out.append(self._parameter(raw[index + 2 : end - 1], certain, nesting))
                index = end
            elif char == "$":
                name = _NAME.match(raw, index + 1)
                if name:
                    out.append(self._lookup(name.group()))
                    index = name.end()
                else:
                    special = raw[index + 1 : index + 2]
                    out.append(UNKNOWN if special and special in "0123456789?$@*#!-'" else "$")
                    index += 2 if special and special in "0123456789?$@*#!-" else 1
            else:
                out.append(char)
                index += 1
            self.budget -= len(out[-1]) if out else 0
            if self.budget < 0:
                raise ParseError("its variables expand to too much text")
        return "".join(out)

    def _parameter(self, inner: str, certain: bool, nesting: int) -> str:
        match = _PARAMETER.fullmatch(inner)
        if not match:
            return UNKNOWN
        name, operator, word = match.groups()
        value = self._lookup(name)
        if not operator:
            return value
        known = name in self.result.values or name in self.environment
        missing = not known or (operator.startswith(":") and value == "")
        kind = operator[-1]
        if kind == "+":
            return "" if missing else self._expand(word, certain, nesting + 1)
        if not missing:
            return value
        default = UNKNOWN if kind == "?" else self._expand(word, certain, nesting + 1)
        if kind == "=":
            self.result.values[name] = default
            self._certainty(name, certain)
        return default


# ---- XML -------------------------------------------------------------------------------------------------------------
def parse_xml(data: bytes, encoding: str | None = None) -> ElementTree.Element:
    """Return the root element of an XML document.

    Args:
        data: the document.
        encoding: how it is encoded, whatever it says itself; None where it tells.

    Raises:
        ParseError: not well formed, too large, or with a document type declaration or entities, which are never read.

    """
    builder = ElementTree.TreeBuilder()
    parser = expat.ParserCreate(encoding)
    counts = {"depth": 0, "elements": 0}

    def start(name: str, attributes: dict[str, str]) -> None:
        counts["depth"] += 1
        counts["elements"] += 1
        if counts["depth"] > MAX_XML_DEPTH or counts["elements"] > MAX_XML_ELEMENTS:
            raise ParseError("holds too many or too deeply nested elements")
        builder.start(name, attributes)

    def end(name: str) -> None:
        counts["depth"] -= 1
        builder.end(name)

    def refuse(*_arguments: Any) -> Any:
        raise ParseError("contains a document type declaration or entities, refused")

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    parser.UnparsedEntityDeclHandler = refuse
    parser.ExternalEntityRefHandler = refuse
    parser.SkippedEntityHandler = refuse
    try:
        parser.Parse(data, True)
        return builder.close()
    except expat.ExpatError as exc:
        if exc.code == expat.errors.codes[expat.errors.XML_ERROR_UNDEFINED_ENTITY]:
            raise ParseError("contains a document type declaration or entities, refused") from None
        raise ParseError(f"line {exc.lineno}: not well-formed XML ({expat.errors.messages[exc.code]})") from None
    except ParseError:
        raise
    except (AssertionError, LookupError, ValueError) as exc:
        # Unknown or unusable encodings end here.
        raise ParseError(f"not readable as XML ({type(exc).__name__})") from None


# ---- JVM arguments ---------------------------------------------------------------------------------------------------
_SECRET_KEY = re.compile(
    r"passw|pwd|passphrase|secret|token|credential|recovery|apikey|api[._-]key|private[._-]?key|licen[cs]e",
    re.IGNORECASE,
)
_USERINFO = re.compile(r"(://[^/@\s:]*:)[^/@\s]+@")
_INNER_SECRET = re.compile(
    r"((?:^|[?&;,\s=:])[A-Za-z0-9_.-]*(?:passw(?:or)?d|pwd|passphrase|secret|token|credential)[A-Za-z0-9_.-]*=)(?!(?:true|false)(?:[&;,\s]|$))[^&;,\s]+",
    re.IGNORECASE,
)
_HARMLESS = re.compile(r"true|false|", re.IGNORECASE)


def redact(arguments: list[str], public: list[str] | None = None) -> list[str]:
    """Return JVM arguments with the values of everything that looks like a secret replaced.

    Args:
        arguments: as the JVM has them.
        public: properties whose name looks like a secret and whose value is none; ``*`` stands for anything.

    """
    patterns = [re.escape(item).replace(r"\*", ".*") for item in public or []]
    known = re.compile("|".join(patterns)) if patterns else None
    result = []
    for argument in arguments:
        key, separator, value = argument.partition("=")
        name = key[2:] if key.startswith("-D") else key
        if known and known.fullmatch(name):
            result.append(argument)
        elif separator and _SECRET_KEY.search(key) and not _HARMLESS.fullmatch(value):
            result.append(f"{key}={REDACTED}")
        else:
            shown = _USERINFO.sub(rf"\g<1>{REDACTED}@", argument)
            result.append(_INNER_SECRET.sub(rf"\g<1>{REDACTED}", shown))
    return result


SECURED = "{ATL_SECURED}"
"""Stands in a configuration file for a value that the product keeps in its own secret store."""

_DESCRIBES_SECRET = re.compile(
    r"provider|class|classname|algorithm|type|file|path|location|enabled|days|minutes|seconds|timeout|length",
    re.IGNORECASE,
)


def names_secret(name: str) -> bool:
    """Whether a setting of this name holds a secret, and not what protects one or says where it is."""
    words = re.split(r"[._-]", name)
    return bool(_SECRET_KEY.search(name)) and not _DESCRIBES_SECRET.fullmatch(words[-1])


def redact_value(name: str, value: str) -> str:
    """Return the value of a setting with what looks like a secret replaced."""
    if names_secret(name) and value != SECURED and not _HARMLESS.fullmatch(value):
        return REDACTED
    return _INNER_SECRET.sub(rf"\g<1>{REDACTED}", _USERINFO.sub(rf"\g<1>{REDACTED}@", value))


_LICENCE = re.compile(r"licen[cs]e", re.IGNORECASE)


def secret_in(word: str, public: list[str] | None = None) -> str | None:
    """Return a word of a command line or an environment without the secret in it, None where there is none.

    Args:
        word: as it stands there, or with secrets replaced already.
        public: as of `redact`.

    """
    shown = redact([word], public)[0]
    key, _equals, value = word.partition("=")
    if shown == word:
        # One that is replaced already is told by what stands there.
        return word if REDACTED in word and names_secret(key) and not _LICENCE.search(key) else None
    if shown == f"{key}={REDACTED}" and (not names_secret(key) or _LICENCE.search(key) or value[:1] in ("/", "")):
        inner = redact_value("", value)
        return f"{key}={inner}" if inner != value else None
    return None if value == SECURED else shown


_PATH_OPTIONS = ("-cp", "-classpath", "--class-path")

_VALUE_OPTIONS = (
    *_PATH_OPTIONS,
    "-p",
    "--module-path",
    "--upgrade-module-path",
    "--add-modules",
    "--add-exports",
    "--add-opens",
    "--add-reads",
    "--limit-modules",
    "--patch-module",
    "--enable-native-access",
)
"""Options of the JVM whose value may be the next word."""

_MAIN_OPTIONS = ("-jar", "-m", "--module")


class JvmCommand(NamedTuple):
    """The command line of a JVM, taken apart.

    Attributes:
        arguments: those for the JVM itself, without module and class paths; an option and its value are one word.
        class_path: its entries, in their order.
        main: the main class, jar or module; "" when there is none.

    """

    arguments: list[str]
    class_path: list[str]
    main: str


def jvm_command(command: list[str], whole: bool = True) -> JvmCommand:
    """Take the command line of a JVM apart; what follows the main class belongs to the program and is left out.

    Args:
        command: the words, the program first.
        whole: whether these are all words; in a part of them, one that is no option need not be the main class.

    """
    arguments: list[str] = []
    class_path: list[str] = []
    words = iter(command[1:])
    for word in words:
        option, equals, value = word.partition("=")
        if word in _MAIN_OPTIONS:
            main = next(words, "")
            # A program in a jar is its own class path; any other is ignored.
            return JvmCommand(arguments, [main] if word == "-jar" and main else class_path, main)
        if option in _VALUE_OPTIONS:
            value = value if equals else next(words, "")
            if option in _PATH_OPTIONS:
                class_path = [entry for entry in value.split(":") if entry]
            elif not option.endswith("-path") and option != "-p":
                arguments.append(f"{option}={value}")
        elif word.startswith("-"):
            arguments.append(word)
        elif whole and not word.startswith("@"):  # the name of a file with further arguments
            return JvmCommand(arguments, class_path, word)
    return JvmCommand(arguments, class_path, "")


def jvm_properties(arguments: list[str]) -> dict[str, str]:
    """Return the system properties set by JVM arguments; the last one wins, as in the JVM."""
    result: dict[str, str] = {}
    for argument in arguments:
        if argument.startswith("-D"):
            key, _separator, value = argument[2:].partition("=")
            result[key] = value
    return result
