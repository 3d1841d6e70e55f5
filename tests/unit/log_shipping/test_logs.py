# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which logs are shipped, and how their entries begin."""

from __future__ import annotations

import fnmatch
import re
from typing import Any

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._shipping_logs import (
    DATE,
    UNINDENTED,
    LogsError,
    begin_of,
    checked,
    host_inputs,
    inputs_of,
    kinds_of,
    word,
)
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._products import load_products, product_data

JIRA: dict[str, Any] = {"name": "jira", "product": "jira", "home_dir": "/home/jira [1]", "install_dir": "/opt/jira"}


def entry(path: str, kind: str = "application", **more: Any) -> dict[str, Any]:
    return {"kind": kind, "tree": "home", "path": path, "format": "text", **more}


def test_what_a_pattern_covers_is_read_once() -> None:
    known = {
        "logs": [entry("log/a.log", "security"), entry("log/a*.log"), entry("log/b.log"), entry("audit/*.log", "audit")]
    }
    first, second, third = inputs_of(JIRA, known)
    assert first.path == "/home/jira [[]1]/log/b.log"
    assert second.path == "/home/jira [[]1]/log/a*.log"
    assert second.named == (("/home/jira [1]/log/a.log", "security"),)
    assert second.kinds == ("application", "security")
    assert third.begins is None
    assert kinds_of([first, second, third], "jira") == ["application", "audit", "security"]


def test_a_tree_that_is_not_known_has_no_logs() -> None:
    assert inputs_of(JIRA, {"logs": [entry("log/a.log", tree="shared_home")]}) == []
    assert inputs_of(JIRA, {"logs": None}) == []


@pytest.mark.parametrize(
    ("kind", "form", "begin"),
    [
        ("access", {"grammar": "access"}, None),
        ("audit", {"grammar": "audit"}, None),
        ("security", {"grammar": "columns", "columns": ["timestamp", "thread"]}, DATE),
        ("security", {"grammar": "columns", "columns": ["thread", "timestamp"]}, UNINDENTED),
        ("application", {"grammar": "log4j", "pattern": "%d %p %m%n"}, DATE),
        ("application", {"grammar": "log4j", "pattern": "%p %d %m%n"}, UNINDENTED),
        ("application", None, UNINDENTED),
    ],
)
def test_how_an_entry_begins(kind: str, form: dict[str, Any] | None, begin: str | None) -> None:
    assert begin_of(kind, form) == begin


@pytest.mark.parametrize(
    ("line", "begins"),
    [
        ("29-Nov-2026 04:00:00 INFO", True),
        ("Context is up", True),
        ("C", True),
        ("Cause for concern", False),
        ("Caused by: java.lang.X", False),
        ("\tat one.two(Three.java:4)", False),
        ("  ... 12 more", False),
    ],
)
def test_lines_of_an_unknown_form(line: str, begins: bool) -> None:
    assert bool(re.match(UNINDENTED.replace("[:space:]", r"\s"), line)) == begins


@pytest.mark.parametrize(
    ("name", "described"),
    [
        *((name, True) for name in ("a.log", "a.log.1", "a.log.10", "a.log.2026-11-29", "a.log-20261129")),
        *((name, False) for name in ("a.log.1.gz", "a.logs", "a.log.100")),
    ],
)
def test_rotated_files_are_read_and_packed_ones_are_not(name: str, described: bool) -> None:
    (item,) = host_inputs([{"path": "/var/log/a.log", "kind": "access"}])
    assert any(fnmatch.fnmatchcase(f"/var/log/{name}", pattern) for pattern in item.patterns) == described


@pytest.mark.parametrize("path", ["relative", '/a"b', "/a\nb", "/a\\b", "/a$b"])
def test_paths_that_would_be_read_otherwise_are_refused(path: str) -> None:
    with pytest.raises(LogsError):
        checked(path)


def test_words_of_a_header() -> None:
    assert word('jira "1"] ü') == "jira__1____"
    assert word("") == "_"
    assert len(word("x" * 100)) == 48


@pytest.mark.parametrize("product", sorted(load_products()))
def test_every_product_has_its_logs_shipped(product: str) -> None:
    data = product_data(product)
    found = inputs_of({**JIRA, "name": product, "product": product, "shared_home_dir": "/s"}, data)
    assert set(kinds_of(found, product)) == {item["kind"] for item in data["logs"] or ()}
    paths = [path for item in found for path in item.patterns]
    assert len(paths) == len(set(paths))
