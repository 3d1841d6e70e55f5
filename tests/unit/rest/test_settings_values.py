# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What settings of products say, and what is wanted of them."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._settings_places import stored
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._settings_values import (
    UNSET,
    Rule,
    RuleError,
    UnknownValueError,
    concerns,
    normal,
    picked,
    reached,
    shown,
    written,
)
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._products import load_products
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._settings_data import hand_over, settings_data


@pytest.mark.parametrize(
    ("kind", "raw", "values", "value"),
    [
        ("boolean", "TRUE ", None, True),
        ("boolean", False, None, False),
        ("boolean", "DRY_RUN", {"DRY_RUN": False}, False),
        ("boolean", True, {"true": False}, False),
        ("number", " 12", None, 12),
        ("number", 0, None, 0),
        ("number", "", {"": 0}, 0),
        ("words", ["a"], None, ["a"]),
        ("words", [], None, []),
        ("levels", {"SECURITY": "Full", "AUDIT_LOG": "off"}, None, {"security": "full", "audit-log": "off"}),
        ("period", {"years": 3, "months": 1, "days": 2}, None, 3 * 365 + 32),
        ("period", {"days": 0}, None, 0),
    ],
)
def test_values_in_one_form(kind: str, raw: Any, values: Any, value: Any) -> None:
    assert normal(kind, raw, values) == value


@pytest.mark.parametrize(
    ("kind", "raw"),
    [
        ("boolean", "yes"),
        ("boolean", 1),
        ("boolean", None),
        ("number", True),
        ("number", "-1"),
        ("number", "1.5"),
        ("number", "9" * 400),
        ("number", "\u0663"),
        ("words", "a"),
        ("words", [1]),
        ("words", ["a"] * 1001),
        ("levels", {}),
        ("levels", {"security": "more"}),
        ("levels", ["full"]),
        ("period", {}),
        ("period", {"years": "3"}),
        ("period", {"years": -1}),
        ("period", 3),
    ],
)
def test_what_is_no_value_is_not_guessed(kind: str, raw: Any) -> None:
    with pytest.raises(UnknownValueError, match=f"no {kind}"):
        normal(kind, raw)


def test_a_word_may_say_nothing() -> None:
    assert normal("boolean", "false", {"false": None}) is UNSET


@pytest.mark.parametrize(
    ("body", "place", "value"),
    [
        ({"a": {"b": 1}}, {"pointer": ["a", "b"]}, 1),
        ({"a": {}}, {"pointer": ["a", "b"]}, UNSET),
        ([1, 2], {"pointer": []}, [1, 2]),
        ([{"id": "x", "value": 1}, {"id": "y", "value": 2}], {"where": {"id": "y"}, "pointer": ["value"]}, 2),
        ({"id": "y", "value": 2}, {"where": {"id": "y"}, "pointer": ["value"]}, 2),
        ([{"id": "x"}], {"where": {"id": "y"}, "pointer": ["value"]}, UNSET),
        ({"results": [{"n": "a", "on": True}, {"n": "b", "on": False}]}, {"where": {"on": True}, "each": "n"}, ["a"]),
        ([], {"each": "n"}, []),
    ],
)
def test_the_part_of_an_answer_that_is_meant(body: Any, place: dict[str, Any], value: Any) -> None:
    assert picked(body, place) == value


@pytest.mark.parametrize(
    ("body", "place"),
    [([1], {"each": "n"}), ("x", {"where": {"a": 1}}), ([], {"pointer": ["a"]}), (None, {"pointer": ["a"]})],
)
def test_an_answer_of_another_form_is_told(body: Any, place: dict[str, Any]) -> None:
    with pytest.raises(UnknownValueError):
        picked(body, place)


@pytest.mark.parametrize(
    ("rule", "good", "bad", "nearest"),
    [
        (True, [True], False, True),
        ({"at_most": 10}, [0, 10], 11, 10),
        ({"at_least": 365}, [365, 999], 30, 365),
        ({"between": [1, 3]}, [1, 3], 0, 3),
        ({"between": [2, 3]}, [2], 1, 2),
        ({"between": [1, 3]}, [2], 9, 3),
        ({"only": ["a"]}, [[], ["a"]], ["a", "b"], ["a"]),
        ({"some": True}, [["x"]], [], None),
        (
            {"levels": {"security": "full", "nowhere": "full"}},
            [{"security": "full"}, {"security": "full", "other": "off"}],
            {"security": "base", "other": "off"},
            {"security": "full", "other": "off"},
        ),
    ],
)
def test_rules(rule: Any, good: list[Any], bad: Any, nearest: Any) -> None:
    wanted = Rule.of("x", rule)
    assert all(wanted.broken("it", value, "there") == [] for value in good)
    (proof,) = wanted.broken("it", bad, "there")
    assert proof["what"].startswith("it")
    assert "there" in proof["what"]
    assert proof["expected"]
    assert wanted.nearest(bad) == nearest
    if nearest is not None:
        assert wanted.broken("it", nearest, "there") == []


@pytest.mark.parametrize(
    "rule",
    [
        {"most": 1},
        {},
        {"at_most": 1, "at_least": 2},
        {"at_most": "x"},
        {"between": [1]},
        {"only": "a"},
        {"levels": {"a": "x"}},
    ],
)
def test_what_is_no_rule_is_refused(rule: Any) -> None:
    with pytest.raises(RuleError, match="x: "):
        Rule.of("x", rule)


def test_an_audit_log_without_any_of_the_areas_is_not_right() -> None:
    rule = Rule.of("x", {"levels": {"security": "full"}})
    assert rule.broken("it", {"other": "full"}, "there")
    assert Rule.of("x", {"levels": {}}).broken("it", {"other": "off"}, "there")


def test_what_is_sent_to_set_a_value() -> None:
    assert written({"id": "a", "value": "{text}"}, "number", 3) == {"id": "a", "value": "3"}
    assert written({"a": {"b": "{value}"}}, "boolean", True) == {"a": {"b": True}}
    assert written({"p": "{value}"}, "period", 400) == {"p": {"years": 1, "months": 0, "days": 35}}


@pytest.mark.parametrize(
    ("version", "since", "before", "outcome"),
    [
        ("10.3.1", "8.16", None, True),
        ("8.9", "8.16", None, False),
        ("10.1", None, "10.1", False),
        ("10.0.3", None, "10.1", True),
        ("9.2-rc1", "9.2", None, False),
        ("9.2-rc1", None, "9.2", True),
        (None, "9.2", None, None),
        (None, None, None, True),
        ("x", "1.0", None, None),
    ],
)
def test_which_versions_have_it(version: str | None, since: Any, before: Any, outcome: bool | None) -> None:
    entry = {key: value for key, value in (("since", since), ("before", before)) if value}
    assert concerns(entry, version) is outcome


def test_a_release_that_came_to_several_lines() -> None:
    since = ["8.17.0", "8.13.8", "8.5.16"]
    known = {
        "8.5.15": False,
        "8.5.16": True,
        "8.13.7": False,
        "8.13.20": True,
        "8.16.9": False,
        "8.17.0": True,
        "9.0": True,
    }
    assert {version: reached(version, since) for version in known} == known


def test_people_are_not_flooded() -> None:
    assert len(shown(["x" * 500] * 500)) < 1000
    assert shown(["a"] * 12).endswith("and 2 more")
    assert (shown([]), shown(True), shown(3)) == ("none", "on", "3")


@pytest.mark.parametrize("form", ["json", "xml"])
def test_settings_that_a_database_keeps_as_one_document(form: str) -> None:
    text = {
        "json": '{"webSudoTimeout": 10, "login": {"threshold": 3}}',
        "xml": "<settings><webSudoTimeout>10</webSudoTimeout><login><threshold>3</threshold></login></settings>",
    }[form]
    found = stored(text, form)
    assert normal("number", picked(found, {"pointer": ["webSudoTimeout"]})) == 10
    assert normal("number", picked(found, {"pointer": ["login", "threshold"]})) == 3
    assert picked(found, {"pointer": ["absent"]}) is UNSET
    for broken in (text[:20], "<!DOCTYPE x [<!ENTITY a 'b'>]><settings>&a;</settings>", "[" * 100_000):
        with pytest.raises(UnknownValueError, match=form.upper()):
            stored(broken, form)


ACCOUNTS = {"DC-ADM-03", "DC-ADM-04", "DC-ADM-05", "DC-AUT-05", "DC-AUT-10"}
"""Controls that accounts decide, not settings."""


# ---- product data -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("product", sorted(name for name, data in settings_data().items() if data["settings"]))
def test_every_control_that_concerns_a_product_has_a_setting_or_a_reason(product: str) -> None:
    data = settings_data()[product]
    assert {entry["control"] for entry in data["settings"]} == set(data["controls"]) - ACCOUNTS
    paths = {entry["path"].partition("?")[0] for entry in data["rest"].values()}
    for entry in data["settings"]:
        asked = [place["path"] for place in entry["read"] if place["kind"] == "rest"]
        assert set(asked) <= paths
        assert "method" not in entry.get("write", {}) or asked, "what is written over REST is read over REST again"
        assert all(place["why"] for place in entry["read"] if place["kind"] == "unknown")
    names = [entry["name"] for entry in data["settings"]]
    assert len(names) == len(set(names))


def test_parts_of_products_have_no_settings() -> None:
    assert [name for name, data in settings_data().items() if data["part_of"] and data["settings"]] == []
    assert {name for name, data in load_products().items() if data.get("settings")} >= {"jira", "confluence"}


def test_credentials_become_a_list_without_what_is_empty() -> None:
    given = {"jira": {"token": "t", "username": ""}, "wiki": {"username": "a", "password": "b", "x": 1}, "odd": None}
    assert hand_over({"credentials": given, "products": {}})["credentials"] == [
        {"name": "jira", "token": "t"},
        {"name": "wiki", "username": "a", "password": "b"},
    ]
    assert hand_over({"credentials": [{"name": "jira"}], "products": {}})["credentials"] == [{"name": "jira"}]
