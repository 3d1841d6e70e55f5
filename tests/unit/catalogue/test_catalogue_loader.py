# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading the catalogue: what comes out of a good file, and what each kind of bad file is refused with."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleError
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._catalogue import (
    SEVERITIES,
    CatalogueError,
    Mappings,
    Need,
    load_catalogue,
    read_catalogue,
    severity_rank,
)

FIRST: dict[str, Any] = {
    "id": "DC-AAA-01",
    "title": "First",
    "mode": "enforce",
    "severity": "high",
    "products": "all",
    "role": "firewall",
    "scope": "host",
    "needs": ["atlassian_dc_admin_networks", {"variable": "atlassian_dc_cluster_peers", "when": "clustered"}],
    "impact": "cuts_traffic",
    "item": "INIT something",
    "rationale": "Why it matters.",
    "remediation": "What to do.",
    "references": ["https://confluence.atlassian.com/x/abc"],
    "mappings": {"cis_v8": ["4.1"], "nist_800_53r5": ["AC-6", "AC-6(9)"], "iso_27001_2022": ["A.8.2"]},
    "implies": ["DC-BBB-01"],
}
SECOND: dict[str, Any] = {
    **{key: FIRST[key] for key in ("title", "item", "rationale", "remediation", "references", "mappings")},
    "id": "DC-BBB-01",
    "mode": "audit",
    "severity": "low",
    "products": ["jira", "crowd"],
    "role": "secrets",
    "scope": "instance",
}
STEP = {"step": "IR1 isolate", "by": "playbooks/incident/isolate.yml", "must": "be reversible"}

Write = Callable[[Any], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def _write(document: Any) -> Path:
        path = tmp_path / "controls.yml"
        text = document if isinstance(document, str) else yaml.safe_dump(document, sort_keys=False)
        path.write_text(text, encoding="utf-8")
        return path

    return _write


@pytest.fixture
def document() -> dict[str, Any]:
    return copy.deepcopy({"controls": [FIRST, SECOND], "recovery": [STEP]})


def test_everything_is_read(write: Write, document: dict[str, Any]) -> None:
    catalogue = read_catalogue(write(document))
    first, second = catalogue.values()
    assert catalogue.ids == tuple(catalogue) == ("DC-AAA-01", "DC-BBB-01")
    assert len(catalogue) == 2
    assert catalogue["DC-AAA-01"] is first
    assert first.needs == (Need("atlassian_dc_admin_networks"), Need("atlassian_dc_cluster_peers", "clustered"))
    assert first.mappings == Mappings(("4.1",), ("AC-6", "AC-6(9)"), ("A.8.2",))
    assert first.references == ("https://confluence.atlassian.com/x/abc",)
    assert first.implies == ("DC-BBB-01",)
    for key in ("title", "mode", "severity", "products", "role", "scope", "impact", "item", "rationale", "remediation"):
        assert getattr(first, key) == FIRST[key]
    assert (second.needs, second.impact, second.implies) == ((), "none", ())
    assert second.products == ("jira", "crowd")
    assert [dataclasses.asdict(step) for step in catalogue.recovery] == [STEP]


def test_products_a_control_applies_to(write: Write, document: dict[str, Any]) -> None:
    first, second = read_catalogue(write(document)).values()
    assert first.applies_to("bamboo")
    assert second.applies_to("crowd")
    assert not second.applies_to("bamboo")


def test_controls_of_a_role(write: Write, document: dict[str, Any]) -> None:
    catalogue = read_catalogue(write(document))
    assert [control.id for control in catalogue.controls_of_role("secrets")] == ["DC-BBB-01"]
    assert catalogue.controls_of_role("discovery") == ()
    with pytest.raises(ValueError, match="'fierwall' is not a role"):
        catalogue.controls_of_role("fierwall")


def test_controls_of_a_role_keep_the_order_of_the_file() -> None:
    found = [control.id for control in load_catalogue().controls_of_role("file_permissions")]
    assert found == [*(f"DC-DIR-0{n}" for n in range(1, 7)), "DC-LOG-04"]


def test_unknown_id_is_a_key_error() -> None:
    assert "DC-XXX-99" not in load_catalogue()
    with pytest.raises(KeyError):
        load_catalogue()["DC-XXX-99"]


def test_the_catalogue_cannot_be_changed(write: Write, document: dict[str, Any]) -> None:
    catalogue = read_catalogue(write(document))
    with pytest.raises(dataclasses.FrozenInstanceError):
        catalogue["DC-AAA-01"].severity = "low"  # type: ignore[misc]
    with pytest.raises(TypeError):
        catalogue["DC-AAA-01"] = catalogue["DC-BBB-01"]  # type: ignore[index]
    assert len({*catalogue.values()}) == 2  # hashable, hence nothing mutable inside


def test_loaded_once() -> None:
    assert load_catalogue() is load_catalogue()


def test_works_from_any_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    load_catalogue.cache_clear()
    assert "DC-DIR-01" in load_catalogue()


def test_severities_are_ordered() -> None:
    assert sorted(("critical", "low", "high", "medium"), key=severity_rank) == list(SEVERITIES)
    assert [severity_rank(severity) for severity in ("low", "medium", "high", "critical")] == [0, 1, 2, 3]


def test_severity_rank_refuses_anything_else() -> None:
    with pytest.raises(ValueError, match="'fatal' is not a severity; use one of low, medium, high, critical"):
        severity_rank("fatal")


# One entry per kind of bad data: key to replace in the first control, its value, the key named, words of the message.
BAD_VALUES: list[tuple[str, Any, str, str]] = [
    ("titel", "First", "titel", "unknown key"),
    ("id", "DC-AAA-1", "id", "an id such as DC-DIR-01"),
    ("id", 17, "id", "found int 17"),
    ("title", "", "title", "must not be empty"),
    ("title", None, "title", "found nothing"),
    ("item", 5, "item", "found int 5"),
    ("rationale", "  ", "rationale", "must not be empty"),
    ("rationale", "Two\nlines.", "rationale", "one paragraph"),
    ("remediation", "Trailing blank. ", "remediation", "one paragraph"),
    ("remediation", ["Do it."], "remediation", "found a list"),
    ("mode", "enforced", "mode", "'enforced' is not one of enforce, audit, attest"),
    ("severity", "hgih", "severity", "'hgih' is not one of low, medium, high, critical"),
    ("severity", None, "severity", "nothing is not one of"),
    ("scope", "node", "scope", "'node' is not one of host, instance, cluster, site"),
    ("role", "fierwall", "role", "'fierwall' is not one of discovery, service_user"),
    ("attestable", "yes", "attestable", "'yes' is not true or false"),
    ("impact", "reboot", "impact", "'reboot' is not one of none, restart"),
    ("impact", True, "impact", "bool True is not one of"),
    ("products", "jira", "products", "expected all or a list of products"),
    ("products", [], "products", "must not be empty"),
    ("products", ["all"], "products", "all stands alone"),
    ("products", ["Jira"], "products", "the name of a product"),
    ("products", ["jira", "jira"], "products", "'jira' is there twice"),
    ("needs", "atlassian_dc_admin_networks", "needs", "expected a list"),
    ("needs", ["atlassian_dc_admin_network"], "needs", "'atlassian_dc_admin_network' is not one of"),
    ("needs", ["atlassian_dc_cluster_peers when clustered"], "needs", "is not one of"),
    ("needs", ["atlassian_dc_certificate", "atlassian_dc_certificate"], "needs", "is there twice"),
    ("needs", [{"variable": "atlassian_dc_cluster_peers"}], "needs.when", "is missing"),
    ("needs", [{"variable": "atlassian_dc_cluster_peers", "when": "alone"}], "needs.when", "not one of clustered"),
    ("needs", [{"variable": "atlassian_dc_cluster_peers", "if": "clustered"}], "needs.if", "unknown key"),
    ("references", "https://confluence.atlassian.com/x/abc", "references", "expected a list"),
    ("references", ["http://confluence.atlassian.com/x/abc"], "references", "expected an https URL"),
    ("references", ["https://confluence.atlassian.com/a b"], "references", "expected an https URL"),
    ("references", ["https://confluence.atlassian.com/x/abc"] * 2, "references", "is there twice"),
    ("mappings", ["4.1"], "mappings", "expected a mapping"),
    ("mappings", {**FIRST["mappings"], "pci": ["1"]}, "mappings.pci", "unknown key"),
    ("mappings", {"cis_v8": ["4.1"], "nist_800_53r5": ["AC-6"]}, "mappings.iso_27001_2022", "is missing"),
    ("mappings", {**FIRST["mappings"], "cis_v8": [4.1]}, "mappings.cis_v8", "found float 4.1; quote it"),
    ("mappings", {**FIRST["mappings"], "cis_v8": ["4"]}, "mappings.cis_v8", "an id of that framework"),
    ("mappings", {**FIRST["mappings"], "nist_800_53r5": ["AC-06"]}, "mappings.nist_800_53r5", "an id of that"),
    ("mappings", {**FIRST["mappings"], "iso_27001_2022": ["8.2"]}, "mappings.iso_27001_2022", "an id of that"),
    ("mappings", {**FIRST["mappings"], "cis_v8": ["4.1", "4.1"]}, "mappings.cis_v8", "'4.1' is there twice"),
    ("implies", "DC-BBB-01", "implies", "expected a list"),
    ("implies", ["DC-CCC-01"], "implies", "there is no control 'DC-CCC-01'"),
    ("implies", ["DC-AAA-01"], "implies", "cannot imply itself"),
    ("implies", ["DC-BBB-01", "DC-BBB-01"], "implies", "is there twice"),
    ("implies", ["BBB"], "implies", "expected a control id"),
]


@pytest.mark.parametrize(("key", "value", "named", "words"), BAD_VALUES)
def test_bad_value_is_refused(
    write: Write, document: dict[str, Any], key: str, value: Any, named: str, words: str
) -> None:
    document["controls"][0][key] = value
    path = write(document)
    with pytest.raises(CatalogueError) as caught:
        read_catalogue(path)
    error = caught.value
    assert (error.path, error.key) == (str(path), named)
    assert error.control == ("control number 1" if value == 17 else f"control {document['controls'][0]['id']}")
    assert words in error.problem
    assert str(error) == f"{path}, {error.control}, key '{named}': {error.problem}"


@pytest.mark.parametrize("key", sorted(set(SECOND)))
def test_missing_key_is_refused(write: Write, document: dict[str, Any], key: str) -> None:
    del document["controls"][1][key]
    with pytest.raises(CatalogueError, match="is missing") as caught:
        read_catalogue(write(document))
    assert caught.value.key == key
    assert caught.value.control == ("control number 2" if key == "id" else "control DC-BBB-01")


def test_id_used_twice_is_refused(write: Write, document: dict[str, Any]) -> None:
    document["controls"][1]["id"] = "DC-AAA-01"
    with pytest.raises(CatalogueError, match=r"control DC-AAA-01, key 'id': an earlier control has the same id"):
        read_catalogue(write(document))


@pytest.mark.parametrize("mode", ["audit", "attest"])
@pytest.mark.parametrize(("key", "value"), [("needs", ["atlassian_dc_credentials"]), ("impact", "restart")])
def test_only_enforced_controls_need_or_cost_something(
    write: Write, document: dict[str, Any], mode: str, key: str, value: Any
) -> None:
    document["controls"][1].update({"mode": mode, key: value})
    with pytest.raises(CatalogueError, match="only a control of mode enforce") as caught:
        read_catalogue(write(document))
    assert caught.value.key == key


@pytest.mark.parametrize(
    ("replacement", "key", "words"),
    [
        ({"controls": []}, "controls", "must not be empty"),
        ({"controls": {"DC-AAA-01": FIRST}}, "controls", "expected a list, found a dict"),
        ({"controls": ["DC-AAA-01"]}, None, "expected a mapping, found 'DC-AAA-01'"),
        ({"recovery": []}, "recovery", "must not be empty"),
        ({"recovery": [{**STEP, "when": "now"}]}, "when", "unknown key"),
        ({"recovery": [{"step": "x", "by": "y"}]}, "must", "is missing"),
        ({"recovery": [{**STEP, "must": ""}]}, "must", "must not be empty"),
        ({"version": 1}, "version", "unknown key"),
    ],
)
def test_bad_outline_is_refused(
    write: Write, document: dict[str, Any], replacement: dict[str, Any], key: str | None, words: str
) -> None:
    document.update(replacement)
    with pytest.raises(CatalogueError) as caught:
        read_catalogue(write(document))
    assert caught.value.key == key
    assert words in caught.value.problem


@pytest.mark.parametrize("missing", ["controls", "recovery"])
def test_missing_part_is_refused(write: Write, document: dict[str, Any], missing: str) -> None:
    del document[missing]
    with pytest.raises(CatalogueError, match=rf"key '{missing}': is missing"):
        read_catalogue(write(document))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "expected a mapping, found nothing"),
        ("- a\n", "expected a mapping, found a list"),
        ("controls: [", "is not well-formed YAML"),
        ("controls: []\ncontrols: []\n", "key 'controls' is there twice"),
        ("controls:\n  - id: DC-AAA-01\n    title: a\n    title: b\n", "key 'title' is there twice"),
        ("controls: !!python/object/apply:os.getcwd []\n", "could not determine a constructor"),
    ],
)
def test_bad_file_is_refused(write: Write, text: str, words: str) -> None:
    path = write(text)
    with pytest.raises(CatalogueError) as caught:
        read_catalogue(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert words in str(caught.value)


def test_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match=r"none\.yml: cannot be read: .*No such file"):
        read_catalogue(tmp_path / "none.yml")
    (tmp_path / "latin.yml").write_bytes(b"controls: \xe9\n")
    with pytest.raises(CatalogueError, match=r"latin\.yml: cannot be read: .*utf-8"):
        read_catalogue(tmp_path / "latin.yml")


def test_ansible_prints_the_error_as_a_message() -> None:
    """Anything but an AnsibleError reaches the user as an unexpected failure."""
    assert issubclass(CatalogueError, AnsibleError)
