# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shipped catalogue: the contract part never changes, the rest is complete and usable."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._catalogue import (
    ROLES,
    SHARED_VARIABLES,
    Control,
    load_catalogue,
)

# What reports, tags and documentation rely on, frozen: id, severity, mode, scope, role.
CONTRACT = """
DC-USR-01 critical enforce instance service_user
DC-USR-02 high enforce instance service_user
DC-USR-03 high enforce instance service_user
DC-USR-04 medium enforce instance service_user
DC-USR-05 medium audit host service_user
DC-DIR-01 critical enforce instance file_permissions
DC-DIR-02 high enforce instance file_permissions
DC-DIR-03 high enforce instance file_permissions
DC-DIR-04 critical enforce instance file_permissions
DC-DIR-05 high enforce instance file_permissions
DC-DIR-06 high audit instance file_permissions
DC-FIM-01 high enforce host file_integrity
DC-FIM-02 critical audit host file_integrity
DC-FIM-03 medium enforce host file_integrity
DC-NET-01 critical enforce host firewall
DC-NET-02 high enforce instance firewall
DC-NET-03 critical enforce instance firewall
DC-NET-04 high enforce host firewall
DC-NET-05 high audit host firewall
DC-NET-06 critical audit cluster product_settings
DC-NET-07 high audit cluster product_settings
DC-TOM-01 high enforce instance tomcat
DC-TOM-02 high enforce instance tomcat
DC-TOM-03 low enforce instance tomcat
DC-TOM-04 medium enforce instance tomcat
DC-TOM-05 critical enforce instance tomcat
DC-PRX-01 high enforce instance reverse_proxy
DC-PRX-02 high enforce instance reverse_proxy
DC-PRX-03 high enforce instance reverse_proxy
DC-PRX-04 high enforce instance reverse_proxy
DC-PRX-05 medium enforce instance reverse_proxy
DC-PRX-06 high enforce instance reverse_proxy
DC-SEC-01 high audit instance secrets
DC-SEC-02 high audit instance secrets
DC-SEC-03 high audit instance secrets
DC-SEC-04 medium audit instance secrets
DC-SEC-05 high audit instance secrets
DC-SEC-06 medium audit host secrets
DC-ADM-01 critical enforce cluster product_settings
DC-ADM-02 medium audit cluster product_settings
DC-ADM-03 high audit cluster product_settings
DC-ADM-04 high audit cluster product_settings
DC-ADM-05 high audit cluster product_settings
DC-AUT-01 high audit cluster product_settings
DC-AUT-02 high audit cluster product_settings
DC-AUT-03 high enforce cluster product_settings
DC-AUT-04 medium enforce cluster product_settings
DC-AUT-05 high audit cluster product_settings
DC-AUT-06 medium audit cluster product_settings
DC-AUT-07 high enforce cluster product_settings
DC-AUT-08 medium enforce cluster product_settings
DC-AUT-09 medium audit cluster product_settings
DC-AUT-10 medium audit cluster product_settings
DC-BRU-01 high enforce instance fail2ban
DC-BRU-02 medium enforce host fail2ban
DC-BRU-03 high enforce instance fail2ban
DC-BRU-04 high enforce host fail2ban
DC-BRU-05 medium enforce cluster product_settings
DC-RAT-01 medium enforce cluster product_settings
DC-LOG-01 high enforce cluster product_settings
DC-LOG-02 high enforce cluster product_settings
DC-LOG-03 high enforce instance log_shipping
DC-LOG-04 medium enforce instance file_permissions
DC-LOG-05 medium enforce instance log_shipping
DC-LOG-06 medium enforce host log_shipping
DC-LOG-07 medium enforce instance tomcat
DC-LOG-08 medium enforce site log_shipping
DC-BKP-01 critical enforce cluster backup
DC-BKP-02 high enforce cluster backup
DC-BKP-03 critical audit cluster backup
DC-BKP-04 high audit cluster backup
DC-BKP-05 high audit cluster backup
DC-UPD-01 high audit instance updates
DC-UPD-02 critical audit instance updates
DC-UPD-03 high audit host updates
DC-UPD-04 medium enforce host updates
DC-UPD-05 medium audit instance updates
DC-UPD-06 high audit cluster updates
DC-UPD-07 medium audit host updates
DC-ORG-01 medium attest site compliance
DC-ORG-02 medium attest site compliance
DC-ORG-03 medium audit site compliance
DC-ORG-04 low attest site compliance
DC-ORG-05 medium enforce site compliance
DC-ORG-06 low attest site compliance
DC-ORG-07 low attest site compliance
"""

# The controls that are not for all products, need variables or cost something: id, products, needs (without the
# common prefix; @ names the condition), impact.
CONDITIONS = """
DC-USR-01 all - restart
DC-USR-04 all - restart
DC-NET-01 all admin_networks,proxy_addresses cuts_traffic
DC-NET-02 all proxy_addresses cuts_traffic
DC-NET-03 all cluster_peers@clustered cuts_traffic
DC-NET-04 all admin_networks cuts_traffic
DC-NET-07 jira,confluence,bitbucket,bamboo - none
DC-TOM-01 all proxy_addresses restart
DC-TOM-02 jira,confluence,bamboo,crowd - restart
DC-TOM-03 jira,confluence,bamboo,crowd - restart
DC-TOM-04 all - restart
DC-TOM-05 all - restart
DC-PRX-01 all certificate cuts_traffic
DC-PRX-02 all admin_networks cuts_traffic
DC-PRX-04 all - cuts_traffic
DC-PRX-05 all - cuts_traffic
DC-ADM-01 jira,confluence,bitbucket,bamboo credentials breaks_integrations
DC-ADM-02 jira,confluence,bitbucket,bamboo - none
DC-AUT-03 all credentials breaks_integrations
DC-AUT-04 jira,confluence,bitbucket,bamboo credentials restart
DC-AUT-07 all credentials breaks_integrations
DC-AUT-08 jira,confluence,bamboo credentials breaks_integrations
DC-AUT-09 jira,confluence,bitbucket,bamboo - none
DC-BRU-01 all proxy_addresses none
DC-BRU-02 all admin_networks none
DC-BRU-03 all - restart
DC-BRU-04 all proxy_addresses,admin_networks none
DC-BRU-05 all credentials none
DC-RAT-01 jira,confluence,bitbucket,bamboo credentials breaks_integrations
DC-LOG-01 all credentials none
DC-LOG-02 all credentials none
DC-LOG-03 all log_collector none
DC-LOG-07 all - restart
DC-BKP-01 all backup_repository none
DC-BKP-02 all backup_repository none
"""

CONTRACT_ROLES = [
    *("discovery", "service_user", "file_permissions", "firewall", "fail2ban", "tomcat", "reverse_proxy"),
    *("product_settings", "secrets", "log_shipping", "file_integrity", "backup", "updates", "compliance"),
    "incident_response",
]
CONTRACT_VARIABLES = {
    f"atlassian_dc_{name}"
    for name in (
        *("instances", "admin_networks", "proxy_addresses", "proxy_hosts", "cluster_peers", "credentials"),
        *("certificate", "log_collector", "backup_repository", "allow_restart", "skip_controls", "waivers_file"),
        *("attestations_file", "report_dir", "fail_on"),
    )
}
CONTRACT_PLAYBOOKS = {
    *("audit", "harden", "rollback", "backup_drill", "restore"),
    *("incident/isolate", "incident/release", "incident/collect_evidence", "incident/investigate"),
    *("incident/rotate_credentials", "incident/report"),
}
PRODUCTS = {"jira", "confluence", "bitbucket", "bamboo", "crowd"}

# Safeguards per CIS control (v8), Annex A controls per theme (2022), and the last base control per NIST family (r5).
CIS_SAFEGUARDS = dict(enumerate((5, 7, 14, 12, 6, 8, 7, 12, 7, 7, 5, 8, 11, 9, 7, 14, 9, 5), start=1))
ISO_CONTROLS = {5: 37, 6: 8, 7: 14, 8: 34}
NIST_FAMILIES = {
    **{"AC": 25, "AT": 6, "AU": 16, "CA": 9, "CM": 14, "CP": 13, "IA": 13, "IR": 9, "MA": 7, "MP": 8, "PE": 23},
    **{"PL": 11, "PM": 32, "PS": 9, "PT": 8, "RA": 10, "SA": 23, "SC": 51, "SI": 23, "SR": 12},
}
# Gone in revision 5: withdrawn or moved into another control.
NIST_WITHDRAWN = {
    *("AC-13", "AC-15", "AT-5", "AU-15", "CA-4", "CP-5", "PL-3", "PL-5", "PL-6", "SA-6", "SA-7", "SA-12", "SA-13"),
    *("SA-14", "SA-18", "SA-19", "SA-22(1)", "SC-9", "SC-14", "SC-19", "SC-33", "SI-9", "AU-8(1)", "AC-6(11)"),
}

CATALOGUE = load_catalogue()
EACH_CONTROL = pytest.mark.parametrize("control", CATALOGUE.values(), ids=CATALOGUE.ids)


def _rows(table: str) -> list[tuple[str, ...]]:
    return [tuple(line.split()) for line in table.strip().splitlines()]


def test_contract_is_unchanged() -> None:
    found = [(c.id, c.severity, c.mode, c.scope, c.role) for c in CATALOGUE.values()]
    assert found == _rows(CONTRACT)


def test_products_needs_and_impact_are_unchanged() -> None:
    found = []
    for control in CATALOGUE.values():
        products = control.products if control.products == "all" else ",".join(control.products)
        needs = ",".join(
            need.variable.removeprefix("atlassian_dc_") + (f"@{need.when}" if need.when else "")
            for need in control.needs
        )
        row = (products, needs or "-", control.impact)
        if row != ("all", "-", "none"):
            found.append((control.id, *row))
    assert found == _rows(CONDITIONS)


def test_counts() -> None:
    scopes = Counter(control.scope for control in CATALOGUE.values())
    modes = Counter(control.mode for control in CATALOGUE.values())
    assert len(CATALOGUE) == 86
    assert scopes == {"host": 14, "instance": 37, "cluster": 27, "site": 8}
    assert modes == {"enforce": 49, "audit": 32, "attest": 5}
    assert len(CATALOGUE.recovery) == 11


def test_names_are_those_of_the_contract() -> None:
    assert list(ROLES) == CONTRACT_ROLES
    assert set(SHARED_VARIABLES) == CONTRACT_VARIABLES


def test_every_role_that_answers_for_controls_has_some() -> None:
    without = {role for role in ROLES if not CATALOGUE.controls_of_role(role)}
    assert without == {"discovery", "incident_response"}


def test_titles_are_unique() -> None:
    assert [title for title, n in Counter(c.title for c in CATALOGUE.values()).items() if n > 1] == []


@EACH_CONTROL
def test_products_are_known(control: Control) -> None:
    assert control.products == "all" or set(control.products) < PRODUCTS


@EACH_CONTROL
@pytest.mark.parametrize("field", ["rationale", "remediation"])
def test_prose_is_whole_sentences(control: Control, field: str) -> None:
    text: str = getattr(control, field)
    assert len(text) >= 60
    assert text[0].isupper()
    assert text.endswith(".")
    assert "  " not in text
    assert text.count("(") == text.count(")")
    assert not re.search(r"\b(TODO|FIXME|TBD|XXX)\b|\betc\.", text)
    # Angle brackets vanish in HTML and Markdown; places to fill in are written in capitals.
    assert not re.search(r"<[A-Za-z_-]+>", text)


@EACH_CONTROL
def test_rationale_is_short(control: Control) -> None:
    assert len(re.findall(r"[.!?](?=\s+[A-Z]|$)", control.rationale)) <= 3
    assert len(control.rationale) <= 400


@EACH_CONTROL
def test_remediation_is_short(control: Control) -> None:
    assert len(control.remediation) <= 520


@EACH_CONTROL
def test_prose_names_only_variables_that_exist(control: Control) -> None:
    prefixes = tuple(f"atlassian_dc_{role}_" for role in CONTRACT_ROLES)
    for name in re.findall(r"\batlassian_dc_\w+", f"{control.rationale} {control.remediation}"):
        assert name in CONTRACT_VARIABLES or name.startswith(prefixes), name


@EACH_CONTROL
def test_remediation_names_its_role_and_only_roles_that_exist(control: Control) -> None:
    named = set(re.findall(r"\b[Rr]oles? ([a-z0-9_]+)", control.remediation))
    assert named <= set(CONTRACT_ROLES)
    if control.mode != "audit":
        assert control.role in named


@EACH_CONTROL
def test_remediation_names_what_the_control_needs(control: Control) -> None:
    assert {need.variable for need in control.needs} <= set(re.findall(r"\batlassian_dc_\w+", control.remediation))
    if control.impact == "restart":
        assert "atlassian_dc_allow_restart" in control.remediation
    if control.impact == "breaks_integrations":
        assert "switch for it" in control.remediation
    if control.mode == "attest" or control.attestable:
        assert "atlassian_dc_attestations_file" in control.remediation


@EACH_CONTROL
def test_prose_names_only_playbooks_of_the_contract(control: Control) -> None:
    text = f"{control.rationale} {control.remediation}"
    assert set(re.findall(r"\bplaybooks/([\w/]+)\.yml", text)) <= CONTRACT_PLAYBOOKS


@EACH_CONTROL
def test_prose_names_only_controls_that_exist(control: Control) -> None:
    named = re.findall(r"\bDC-[A-Z]{3}-\d{2}\b", f"{control.rationale} {control.remediation}")
    assert set(named) <= set(CATALOGUE) - {control.id}


@EACH_CONTROL
def test_references_are_pages_of_the_vendor(control: Control) -> None:
    assert control.references
    for url in control.references:
        assert re.match(r"https://(?:[a-z.]+\.)?atlassian\.com/|https://github\.com/atlassian/", url), url


@EACH_CONTROL
def test_mappings_exist_in_their_frameworks(control: Control) -> None:
    mappings = control.mappings
    assert mappings.cis_v8
    assert mappings.nist_800_53r5
    assert mappings.iso_27001_2022
    for safeguard in mappings.cis_v8:
        chapter, number = map(int, safeguard.split("."))
        assert number <= CIS_SAFEGUARDS.get(chapter, 0), safeguard
    for annex in mappings.iso_27001_2022:
        theme, number = map(int, annex.removeprefix("A.").split("."))
        assert number <= ISO_CONTROLS[theme], annex
    for nist in mappings.nist_800_53r5:
        family, _dash, base = nist.partition("(")[0].partition("-")
        assert int(base) <= NIST_FAMILIES[family], nist
        assert nist not in NIST_WITHDRAWN, nist


@EACH_CONTROL
def test_mappings_are_in_order(control: Control) -> None:
    def key(name: str) -> list[tuple[str, int]]:
        return [(word, int(number)) for word, number in re.findall(r"([A-Z]*)\D*?(\d+)", name)]

    for ids in (control.mappings.cis_v8, control.mappings.nist_800_53r5, control.mappings.iso_27001_2022):
        assert list(ids) == sorted(ids, key=key)


@pytest.mark.parametrize(
    ("broken", "shows_in"),
    [
        # A world-writable, setuid or unowned file also breaks the rule of whichever tree it lies in.
        ("DC-DIR-05", {"DC-DIR-01", "DC-DIR-02", "DC-DIR-03", "DC-DIR-04", "DC-LOG-04"}),
        # The other way round: the commonest way to break a tree's rule is a write bit for others.
        ("DC-DIR-01", {"DC-DIR-05"}),
        ("DC-DIR-02", {"DC-DIR-05", "DC-LOG-04"}),
        ("DC-DIR-03", {"DC-DIR-05", "DC-LOG-04"}),
        ("DC-LOG-04", {"DC-DIR-02", "DC-DIR-03", "DC-DIR-05"}),
        # A secret file open to others breaks the rule of the home as well, and the other way round.
        ("DC-DIR-04", {"DC-DIR-01", "DC-DIR-03", "DC-SEC-02"}),
        ("DC-DIR-03", {"DC-DIR-04", "DC-SEC-02"}),
        # One drop-in carries User=, the sandbox and the umask.
        ("DC-USR-01", {"DC-USR-04"}),
        ("DC-USR-04", {"DC-USR-01", "DC-LOG-04"}),
        # One table, one service, one file.
        ("DC-NET-01", {"DC-NET-02", "DC-NET-03", "DC-NET-04"}),
        ("DC-BRU-01", {"DC-BRU-02"}),
        ("DC-LOG-01", {"DC-BRU-03"}),
    ],
)
def test_consequences(broken: str, shows_in: set[str]) -> None:
    assert shows_in <= set(CATALOGUE[broken].implies)


def test_edits_of_the_start_and_tomcat_files_show_in_the_integrity_check() -> None:
    for control in CATALOGUE.controls_of_role("tomcat"):
        assert "DC-FIM-02" in control.implies, control.id


def test_consequences_stay_few() -> None:
    """A fidelity test that accepts every other control as a consequence proves nothing."""
    assert max(len(control.implies) for control in CATALOGUE.values()) <= 10


def test_recovery_steps_name_playbooks_of_the_contract() -> None:
    for step in CATALOGUE.recovery:
        match = re.match(r"playbooks/([\w/]+)\.yml(?: on a schedule)?$", step.by)
        assert match, step.by
        assert match[1] in CONTRACT_PLAYBOOKS
