# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What products have written down about themselves, in files and in their database, as dictionaries.

The texts are hostile input: work is bounded by their size, and `ParseError`, which quotes nothing of them, is all that
is ever raised.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any
from xml.etree import ElementTree

from ansible_collections.atlassian_dc.hardening.plugins.module_utils._discovery_parse import (
    ParseError,
    jvm_command,
    jvm_properties,
    parse_properties,
    parse_xml,
    redact_value,
    split_words,
    usable,
)

MAX_TEXT = 4 * 1024 * 1024
"""Most characters of a text."""
MAX_DIGITS = 30

_SIZES = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3, "t": 1024**4}
_AGENTS = ("-javaagent:", "-agentlib:", "-agentpath:", "-Xrun")
_DATA_SOURCES = ("jdbc-datasource", "jndi-datasource")


def parse_database_config(text: str) -> dict[str, Any]:
    """Return a file ``dbconfig.xml`` as a dictionary of its elements.

    Raises:
        ParseError: it cannot be read, or tells of no database.

    """
    settings = _elements(_root(text))
    if not isinstance(settings, dict) or not any(isinstance(settings.get(name), dict) for name in _DATA_SOURCES):
        raise ParseError(f"is no dbconfig.xml: it has no element {' or '.join(_DATA_SOURCES)} with settings in it")
    return settings


def parse_application_config(text: str) -> dict[str, Any]:
    """Return a file ``*.cfg.xml``: its elements, and under ``properties`` what it calls properties, by name.

    Raises:
        ParseError: it cannot be read, or is another file.

    """
    root = _root(text)
    listed = root.find("properties")
    if listed is None:
        raise ParseError("is no configuration of this kind: it has no element properties")
    properties: dict[str, str] = {}
    for number, item in enumerate(listed, 1):
        name = item.get("name")
        if item.tag != "property" or name is None:
            raise ParseError(f"entry {number} of its properties is no property with a name")
        properties[usable(name)] = usable((item.text or "").strip())
    root.remove(listed)
    rest = _elements(root)
    return {**(rest if isinstance(rest, dict) else {}), "properties": properties}


def parse_stored_settings(text: str, form: str, flags: Collection[str], numbers: Collection[str]) -> dict[str, Any]:
    """Return settings from the product's database as a dictionary.

    Args:
        text: the value of the row.
        form: ``xml`` or ``json``.
        flags: names of settings that are true or false, which XML writes as words.
        numbers: names of settings that are numbers, the same.

    Raises:
        ParseError: it cannot be read in this form.

    """
    settings = _elements(_root(text)) if form == "xml" else _json(text)
    if not isinstance(settings, dict):
        raise ParseError("holds no settings")
    return dict(_typed(settings, flags, numbers, ""))


def parse_java_properties(text: str) -> dict[str, str]:
    """Return a properties file as a dictionary; a later key replaces an earlier one.

    Raises:
        ParseError: Java would refuse the file, or it is too large.

    """
    return parse_properties(_bounded(text))


def jvm_settings(arguments: str | list[str]) -> dict[str, Any]:
    """Return the arguments of a JVM as settings; of what is given twice the last one wins, as in the JVM.

    Args:
        arguments: as one line, or word by word; with or without the program before and the main class after them.

    Returns:
        ``properties`` (``-D``), ``flags`` (``-XX:``: true, false or text), ``memory`` in bytes (``initial``,
        ``maximum``, ``stack``; None where not given), ``agents``, and ``others`` in their order.

    """
    words = split_words(_bounded(arguments)) if isinstance(arguments, str) else [_bounded(word) for word in arguments]
    if not words or words[0].startswith("-"):
        words = ["", *words]
    flags: dict[str, bool | str] = {}
    memory: dict[str, int | None] = {"initial": None, "maximum": None, "stack": None}
    agents: list[str] = []
    others: list[str] = []
    given = jvm_command(words).arguments
    sizes = {"-Xms": "initial", "-Xmx": "maximum", "-Xss": "stack"}
    for argument in given:
        if argument.startswith("-D"):
            continue
        if argument[:4] in sizes and _size(argument[4:]) is not None:
            memory[sizes[argument[:4]]] = _size(argument[4:])
        elif argument.startswith("-XX:"):
            name, equals, value = argument[4:].partition("=")
            on = name[:1] == "+"
            flags[name if equals else name.lstrip("+-")] = value if equals else on
        elif argument.startswith(_AGENTS):
            agents.append(argument)
        else:
            others.append(argument)
    return {
        "properties": jvm_properties(given),
        "flags": flags,
        "memory": memory,
        "agents": agents,
        "others": others,
    }


def without_secrets(settings: Any, name: str = "") -> Any:
    """Return settings with the values of everything that looks like a secret replaced."""
    if isinstance(settings, dict):
        return {key: without_secrets(value, str(key)) for key, value in settings.items()}
    if isinstance(settings, list):
        return [without_secrets(value, name) for value in settings]
    return redact_value(name, settings) if isinstance(settings, str) else settings


def _bounded(text: str) -> str:
    if len(text) > MAX_TEXT:
        raise ParseError(f"has {len(text)} characters; more than {MAX_TEXT} are not read")
    return text


def _root(text: str) -> ElementTree.Element:
    # It has been decoded already, whatever its declaration says of its encoding.
    return parse_xml(_bounded(text).lstrip("\ufeff").strip().encode("utf-8", "replace"), "utf-8")


def _elements(element: ElementTree.Element) -> Any:
    """Return an element: its text, or a dictionary of what is in it; of elements with one name a list."""
    if not len(element):
        return usable((element.text or "").strip())
    result: dict[str, Any] = {}
    lists: set[str] = set()
    for child in element:
        name, value = usable(child.tag), _elements(child)
        if name in lists:
            result[name].append(value)
        elif name in result:
            result[name] = [result[name], value]
            lists.add(name)
        else:
            result[name] = value
    return result


def _json(text: str) -> Any:
    def number(digits: str) -> int:
        # Turning digits into a number takes the square of their count.
        if len(digits) > MAX_DIGITS:
            raise ParseError(f"holds a number of more than {MAX_DIGITS} digits")
        return int(digits)

    def constant(_word: str) -> Any:
        raise ParseError("holds a number that JSON does not have")

    try:
        return _usable(json.loads(_bounded(text), parse_int=number, parse_constant=constant))
    except json.JSONDecodeError as exc:
        raise ParseError(f"line {exc.lineno}, column {exc.colno}: not JSON ({exc.msg})") from None
    except RecursionError:
        raise ParseError("is nested too deeply") from None


def _usable(value: Any) -> Any:
    if isinstance(value, dict):
        return {usable(key): _usable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_usable(item) for item in value]
    return usable(value) if isinstance(value, str) else value


def _typed(value: Any, flags: Collection[str], numbers: Collection[str], name: str) -> Any:
    """Return settings with flags and numbers that are written as words turned into such."""
    if isinstance(value, dict):
        return {key: _typed(item, flags, numbers, key) for key, item in value.items()}
    if name in flags and value in ("true", "false"):
        return value == "true"
    if name in numbers and isinstance(value, str) and value.lstrip("-").isascii() and value.lstrip("-").isdigit():
        return int(value) if len(value) <= MAX_DIGITS else value
    return value


def _size(text: str) -> int | None:
    """Return the bytes of a size such as ``2g``."""
    digits, unit = (text, "") if text[-1:].isdigit() else (text[:-1], text[-1:].lower())
    known = digits.isascii() and digits.isdigit() and len(digits) <= MAX_DIGITS and unit in _SIZES
    return int(digits) * _SIZES[unit] if known else None
