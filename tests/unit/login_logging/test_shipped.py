# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What product data tells of failed logins is what the module understands, and the module gets it."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.action.login_logging import ActionModule
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._audit_coverage import LEVELS as COVERAGE
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._log4j import FORMATS, LEVELS, Wanted
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._products import load_products, product_data

SOURCES = [
    pytest.param(product, source, id=f"{product}-{source['name']}")
    for product in load_products()
    for source in product_data(product).get("failed_logins") or []
]


def conditions(product: str, kind: str) -> list[dict[str, Any]]:
    sources = product_data(product)["failed_logins"]
    return [condition for source in sources for condition in source["written"] if condition["kind"] == kind]


@pytest.mark.parametrize(("product", "source"), SOURCES)
def test_every_log_is_one_of_the_product_and_every_condition_is_understood(
    product: str, source: dict[str, Any]
) -> None:
    data = product_data(product)
    assert (source["tree"], source["path"]) in {(log["tree"], log["path"]) for log in data["logs"]}
    names = [other["name"] for other in data["failed_logins"]]
    assert len(set(names)) == len(names)
    assert source.get("alternative_to", names[0]) in names
    configured = {(file["tree"], file["path"]) for file in data["config_files"]}
    for condition in source["written"]:
        assert "source" not in condition
        if condition["kind"] == "logger":
            assert condition["level"].upper() in LEVELS
            assert {file["format"] for file in condition["files"]} <= set(FORMATS)
            assert {(condition["tree"], file["path"]) for file in condition["files"]} <= configured
            assert all(set(file) == {"path", "format"} for file in condition["files"])
        elif condition["kind"] == "audit_coverage":
            assert condition["level"] in COVERAGE
        else:
            assert re.compile(condition["forbidden"])


def test_the_logging_that_jira_ships_is_right() -> None:
    # Lines of the log4j.properties of Jira 7.13.2.
    shipped = """\
log4j.rootLogger=WARN, filelog
log4j.appender.filelog=com.atlassian.jira.logging.JiraHomeAppender
log4j.appender.filelog.File=atlassian-jira.log
log4j.appender.securitylog=com.atlassian.jira.logging.JiraHomeAppender
log4j.appender.securitylog.File=atlassian-jira-security.log
log4j.logger.com.atlassian.jira.login.security = INFO, securitylog
log4j.additivity.com.atlassian.jira.login.security = false
log4j.logger.com.atlassian.seraph = WARN, securitylog
log4j.additivity.com.atlassian.seraph = false
log4j.logger.com.atlassian = WARN, filelog
log4j.additivity.com.atlassian = false
"""
    configuration = FORMATS["log4j_properties"]("log4j.properties", shipped.encode(), {})
    for condition in conditions("jira", "logger"):
        level = condition["level"].upper()
        assert configuration.judge(Wanted(condition["name"], level, "atlassian-jira-security.log")).right


@pytest.mark.parametrize(
    ("argument", "found"),
    [
        ("-DConfluenceHomeLogAppender.disabled=true", True),
        ("-DConfluenceHomeLogAppender.disabled=True", True),
        ("-DConfluenceHomeLogAppender.disabled=false", False),
        ("-DConfluenceHomeLogAppender.disabled=", False),
        ("-DConfluenceHomeLogAppenderXdisabled=true", False),
    ],
)
def test_the_switch_that_keeps_confluence_from_writing_is_known(argument: str, found: bool) -> None:
    switches = conditions("confluence", "argument")
    assert switches
    assert {bool(re.fullmatch(switch["forbidden"], argument)) for switch in switches} == {found}


def arguments_of(**given: Any) -> dict[str, Any]:
    plugin: Any = object.__new__(ActionModule)
    plugin._task = SimpleNamespace(args=given, check_mode=True, _role=None)
    return dict(plugin.module_arguments({}))


def test_the_module_is_handed_product_data() -> None:
    sources = arguments_of(instances=[])["sources"]
    assert set(sources) == set(load_products())
    assert sources["bitbucket"] == product_data("bitbucket")["failed_logins"]
    assert sources["bitbucket_mesh"] is None


def test_what_the_task_says_itself_wins() -> None:
    assert arguments_of(instances=[], sources={"jira": []})["sources"] == {"jira": []}
