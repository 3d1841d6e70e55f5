# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Product data: read it, hold it to its rules, hand it out without its sources.

One file per product lies in ``meta/products``. Its form is described in ``docs/product-data.md``.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import yaml
from ansible.errors import AnsibleActionFail
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._collection import collection_root

SCHEMA_VERSION = 1

REQUIRED_HEADER = ("schema_version", "product", "title", "sources")

HEADER = (*REQUIRED_HEADER, "part_of")
"""Keys of a product file that are not facts and need no source."""

CONFIDENCES = ("documented", "vendor code", "third-party code", "public post", "policy")
"""How far a source can be relied on. Memory is no source."""

ANNOTATIONS = ("source", "confidence", "note", "versions")
"""Keys of an entry that say something about it and are left out when it is handed to a task."""

DISCOVERY_SECTIONS = (
    "product",
    "part_of",
    "title",
    "process",
    "install",
    "home",
    "service",
    "user",
    "needs",
    "http",
    "ports",
    "cluster",
    "version",
    "secret_files",
    "log_dirs",
    "archives",
    "code",
    "jvm",
)
"""What the discovery module needs to know of a product."""


class ProductDataError(Exception):
    """A product file that breaks the rules; says which file, where in it and what is wrong."""


def products_folder() -> Path:
    """Return the folder that holds the product files."""
    return collection_root() / "meta" / "products"


def check(data: Any, where: str) -> list[str]:
    """Return everything in a product file that breaks the rule "no value without a source".

    Args:
        data: the file as read from YAML.
        where: name of the file, for the messages.

    """
    if not isinstance(data, dict):
        return [f"{where}: must be a mapping"]
    problems = [f"{where}: {key} is missing" for key in REQUIRED_HEADER if key not in data]
    if data.get("schema_version", SCHEMA_VERSION) != SCHEMA_VERSION:
        problems.append(f"{where}: schema_version must be {SCHEMA_VERSION}, found {data['schema_version']!r}")
    sources = data.get("sources")
    if not isinstance(sources, dict):
        return [*problems, f"{where}: sources must be a mapping of names to sources"]
    used: set[str] = set()
    for name, source in sources.items():
        problems += _check_source(source, f"{where}: sources.{name}")
    for key, node in data.items():
        if key not in HEADER:
            problems += _check_node(node, f"{where}: {key}", sources, used)
    problems += [f"{where}: sources.{name} is used by no value" for name in sorted(set(sources) - used)]
    return problems


def _check_source(source: Any, where: str) -> list[str]:
    if not isinstance(source, dict):
        return [f"{where}: must be a mapping"]
    problems = [] if source.get("title") else [f"{where}: title is missing"]
    confidence = source.get("confidence")
    if confidence not in CONFIDENCES:
        problems.append(f"{where}: confidence must be one of {', '.join(CONFIDENCES)}, found {confidence!r}")
    if confidence != "policy" and not str(source.get("url", "")).startswith("https://"):
        problems.append(f"{where}: url must be an https address")
    return problems


def _check_node(node: Any, where: str, sources: dict[str, Any], used: set[str]) -> list[str]:
    if isinstance(node, list):
        return [
            problem
            for index, item in enumerate(node)
            for problem in (
                _check_node(item, f"{where}[{index}]", sources, used)
                if isinstance(item, dict)
                else [f"{where}[{index}]: a value without a source"]
            )
        ]
    if not isinstance(node, dict):
        return [f"{where}: a value without a source"]
    if "unknown" in node:
        extra = sorted(set(node) - {"unknown", "consequence"})
        problems = [f"{where}: {key} does not belong to an unknown value" for key in extra]
        problems += [f"{where}: {key} must say something" for key in ("unknown", "consequence") if not node.get(key)]
        return problems
    if "source" in node:
        names = node["source"] if isinstance(node["source"], list) else [node["source"]]
        used.update(str(name) for name in names)
        problems = [f"{where}: there is no source {name!r}" for name in names if name not in sources]
        if not names:
            problems.append(f"{where}: a value without a source")
        if not set(node) - set(ANNOTATIONS):
            problems.append(f"{where}: a source without a value")
        # A part of an entry may be unknown, and lists in it may hold entries of their own.
        parts = [(key, item) for key, item in node.items() if isinstance(item, dict) and "unknown" in item]
        parts += [
            (f"{key}[{index}]", item)
            for key, items in node.items()
            if isinstance(items, list)
            for index, item in enumerate(items)
            if isinstance(item, dict) and ("source" in item or "unknown" in item)
        ]
        return problems + [found for key, item in parts for found in _check_node(item, f"{where}.{key}", sources, used)]
    if not node:
        return [f"{where}: is empty"]
    return [problem for key, item in node.items() for problem in _check_node(item, f"{where}.{key}", sources, used)]


def plain(node: Any) -> Any:
    """Return product data as tasks use it: values without sources, ``None`` where nothing is known.

    An entry ``{value: x, source: s}`` becomes ``x``; one with other keys loses only its annotations; unknown
    entries of a list are left out, and a list of nothing else becomes ``None``, unlike an empty one, which says that
    there is none.
    """
    if isinstance(node, list):
        known = [plain(item) for item in node if not (isinstance(item, dict) and "unknown" in item)]
        return known if known or not node else None
    if not isinstance(node, dict):
        return node
    if "unknown" in node:
        return None
    if "source" in node:
        if "value" in node:
            return node["value"]
        return {
            key: plain(value) if isinstance(value, list) else value
            for key, value in node.items()
            if key not in ANNOTATIONS
        }
    return {key: plain(value) for key, value in node.items()}


@functools.lru_cache(maxsize=8)
def load_products(folder: Path | None = None) -> dict[str, dict[str, Any]]:
    """Return all product data with its sources, by product name.

    Args:
        folder: where the files lie; the collection's own by default.

    Raises:
        ProductDataError: a file cannot be read or breaks the rules.

    """
    folder = folder or products_folder()
    products: dict[str, dict[str, Any]] = {}
    # The C loader reads the same YAML ten times faster; every worker process of Ansible reads it anew.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    for path in sorted(folder.glob("*.yml")):
        try:
            data = yaml.load(path.read_text(encoding="utf-8"), Loader=loader)  # noqa: S506 - a safe loader either way
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as exc:
            raise ProductDataError(f"{path}: cannot be read: {exc}") from exc
        problems = check(data, path.name)
        if not problems and data["product"] != path.stem:
            problems = [f"{path.name}: product must be {path.stem!r} like the file, found {data['product']!r}"]
        if problems:
            raise ProductDataError("; ".join(problems))
        products[data["product"]] = data
    for name, data in products.items():
        whole = data.get("part_of")
        if whole is not None and "part_of" in products.get(whole, {"part_of": None}):
            raise ProductDataError(f"{name}.yml: part_of must name a product that is no part itself, found {whole!r}")
    if not products:
        raise ProductDataError(f"{folder}: there is no product file")
    return products


def product_data(product: str) -> dict[str, Any]:
    """Return everything known of one product, without the sources.

    Raises:
        ProductDataError: there is no such product.

    """
    products = load_products()
    if product not in products:
        raise ProductDataError(f"no such product: {product!r}; known are {', '.join(sorted(products))}")
    return {key: plain(value) for key, value in products[product].items() if key != "sources"}


def add_product_data(arguments: dict[str, Any], option: str, make: Callable[[], Any]) -> None:
    """Give a module, which cannot read it on the target, product data in an option, unless it is given.

    Args:
        arguments: of the module.
        option: its name.
        make: returns the data.

    Raises:
        AnsibleActionFail: the data is broken.

    """
    if arguments.get(option) is None:
        try:
            arguments[option] = make()
        except ProductDataError as exc:
            raise AnsibleActionFail(f"the collection's product data is broken: {exc}") from exc


def leave_out(result: dict[str, Any], added: Iterable[str]) -> None:
    """Take out of what a result tells of its module's arguments those that an action plugin has added.

    Most of it is product data nobody asked for, in verbose output and in what every callback is handed.

    Args:
        result: of the module.
        added: names of the arguments.

    """
    shown = result.get("invocation", {}).get("module_args", {})
    for name in added:
        shown.pop(name, None)


def discovery_products() -> list[dict[str, Any]]:
    """Return what the discovery module is handed: the sections it reads, of every product, without sources."""
    return [
        {section: data[section] for section in DISCOVERY_SECTIONS if section in data}
        for data in (product_data(product) for product in sorted(load_products()))
    ]


@functools.lru_cache(maxsize=1)
def jvm_switches() -> dict[str, tuple[str, ...]]:
    """Return by product the regular expressions of the arguments of its JVM that weaken or harden it."""
    found = {}
    for name in load_products():
        jvm = product_data(name)["jvm"]
        recommended = [re.escape(item["argument"]) for item in jvm.get("recommended") or []]
        found[name] = (*(item["match"] for item in jvm.get("dangerous") or []), *recommended)
    return found
