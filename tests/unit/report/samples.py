# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reports as the ledger builds them: realistic ones, and one in which everything a host can influence is hostile."""

from __future__ import annotations

from typing import Any

Report = dict[str, Any]

HOSTILE = {
    "markup": "<script>alert(1)</script><img src=x onerror=alert(2)>",
    "attribute": '" onmouseover="alert(3)" x=\'',
    "closes_style": "</style></title><!--",
    "template": "{{ 7 * 7 }}{% for x in y %}{# #}",
    "newline": "first\nFAIL  critical  forged line\r\nthird",
    "terminal": "\x1b]0;owned\x07\x1b[2J\x1b[1;1H\x9b31m",
    "direction": "invoice\u202egpj.exe\u2066\u2069",
    "invisible": "zero\u200bwidth\ufeff and \u2028 line",
    "bytes": "caf\udce9-\udcff",
    "surrogate": "lone \ud800 half",
    "long": "A" * 10_000,
    "nul": "before\x00after",
    "wide": "設定ファイル" * 30,
}
"""Texts that must neither steer a browser or terminal nor mislead a reader."""

RESTART = "restart"


def evidence(what: str, expected: str, actual: str) -> dict[str, str]:
    return {"what": what, "expected": expected, "actual": actual}


def entry(control: str, status: str, severity: str, title: str, **values: Any) -> dict[str, Any]:
    """Return one control of a host; what is not given is as in a report without anything special."""
    made = {
        "id": control,
        "scope": "instance",
        "instance": "jira",
        "status": status,
        "severity": severity,
        "title": title,
        "reason": "",
        "evidence": [],
        "remediation": "",
        "pending": None,
        "waiver": None,
        "references": [],
        **values,
    }
    if made["scope"] in ("host", "site"):
        made["instance"] = None
    return made


def waiver(judged: str = "fail", expires: str = "2026-12-01", expired: bool = False, **values: Any) -> dict[str, Any]:
    return {
        "justification": "Migration to the new proxy ends in November",
        "owner": "Dana Novak",
        "expires": expires,
        "judged": judged,
        "expired": expired,
        **values,
    }


def summary(hosts: dict[str, Any]) -> dict[str, Any]:
    """Count as the contract says."""
    statuses = [control["status"] for host in hosts.values() for control in host["controls"]]
    names = ("pass", "fail", "fixed", "waived", "not_applicable", "manual", "not_checked", "error")
    counts: dict[str, Any] = {name: statuses.count(name) for name in names}
    good = counts["pass"] + counts["fixed"]
    judged = good + counts["fail"]
    applying = len(statuses) - counts["not_applicable"]
    return {**counts, "score": f"{good}/{judged}", "coverage": f"{judged + counts['waived']}/{applying}"}


def report(hosts: dict[str, Any], **values: Any) -> Report:
    return {
        "schema": "atlassian_dc.hardening/report/1",
        "collection_version": "1.0.0",
        "mode": "audit",
        "started": "2026-11-23T15:00:00Z",
        "finished": "2026-11-23T15:00:09Z",
        "complete": True,
        "selection": {"tags": ["all"], "skip_tags": [], "skip_controls": []},
        "messages": [],
        "hosts": hosts,
        "summary": summary(hosts),
        **values,
    }


def host(controls: list[dict[str, Any]], **values: Any) -> dict[str, Any]:
    return {"reachable": True, "duration_seconds": 7.1, "instances": [jira()], "controls": controls, **values}


def jira(**values: Any) -> dict[str, Any]:
    return {
        "name": "jira",
        "product": "jira",
        "version": "10.3.15",
        "install_dir": "/opt/atlassian/jira",
        "home_dir": "/var/atlassian/application-data/jira",
        **values,
    }


def jira_controls() -> list[dict[str, Any]]:
    """Return the controls of an unhardened Jira host, every status but fixed among them."""
    return [
        entry(
            "DC-USR-02",
            "pass",
            "high",
            "Service account cannot be logged in to (no shell, no password, no authorized keys)",
        ),
        entry(
            "DC-USR-01",
            "fail",
            "critical",
            "Product runs as its own non-root account",
            reason="the main process 1234 runs as root, not as jira",
            evidence=[
                evidence("user of process 1234", "jira", "root"),
                evidence("jira.service: User=", "jira", "not set (root)"),
            ],
            pending=RESTART,
            remediation="Run harden with atlassian_dc_allow_restart=true: it stops Jira, hands its folders over "
            "and starts it again.",
            references=[
                "https://confluence.atlassian.com/adminjiraserver/security-checklist.html",
                "CIS Controls v8: 5.4",
            ],
        ),
        entry(
            "DC-DIR-01",
            "fail",
            "critical",
            "Install tree is owned by root and not writable by the service account",
            reason="41 paths under the install tree are writable by jira",
            evidence=[
                evidence("/opt/atlassian/jira/bin/setenv.sh", "root:root go-w", "jira:jira 0755"),
                evidence("/opt/atlassian/jira/conf/server.xml", "root:root go-w", "jira:jira 0755"),
                evidence(
                    "/opt/atlassian/jira/atlassian-jira/WEB-INF/classes/jira-application.properties",
                    "root:root go-w",
                    "jira:jira 0755",
                ),
                evidence("38 more paths", "root:root go-w", "writable by jira"),
            ],
            remediation="Run harden.\n\nBy hand: chown -R root:root /opt/atlassian/jira && "
            "chmod -R go-w /opt/atlassian/jira, then give logs, temp and work back to jira.",
        ),
        entry(
            "DC-DIR-04",
            "waived",
            "critical",
            "Files holding secrets are readable by the service account only",
            reason="dbconfig.xml is readable by everybody",
            evidence=[
                evidence("/var/atlassian/application-data/jira/dbconfig.xml", "jira:jira 0600", "jira:jira 0644")
            ],
            waiver=waiver(approver="Sam Okafor", ticket="SEC-1182"),
        ),
        entry(
            "DC-DIR-06",
            "fail",
            "high",
            "No backup archive or secret lies where the web server can serve it or beside the live home",
            reason="1 backup archive lies in the export folder; its waiver expired on 2026-10-01",
            evidence=[evidence("/var/atlassian/application-data/jira/export/2025-02-11.zip", "absent", "312 MB")],
            waiver=waiver(expires="2026-10-01", expired=True),
            remediation="Move the archive to the backup server and delete it here.",
        ),
        entry(
            "DC-DIR-05",
            "pass",
            "high",
            "No world-writable, setuid or unowned file in the product's trees",
            waiver=waiver(judged="pass", expires="2027-06-30"),
        ),
        entry(
            "DC-USR-05",
            "error",
            "medium",
            "No account shares the service account's UID or group by accident",
            scope="host",
            reason="getent passwd ended with status 2 after 10 s",
        ),
        entry(
            "DC-NET-01",
            "fail",
            "critical",
            "Inbound traffic is denied by default and only needed ports are open",
            scope="host",
            reason="no rule set denies inbound traffic; not applied because atlassian_dc_admin_networks is not set",
            evidence=[evidence("policy of the input hook", "drop", "no table")],
            remediation="Set atlassian_dc_admin_networks and atlassian_dc_proxy_addresses, then run harden.",
        ),
        entry(
            "DC-NET-03",
            "not_applicable",
            "critical",
            "Cluster and agent ports are reachable from known peers only",
            reason="jira is not clustered",
        ),
        entry(
            "DC-ADM-01",
            "not_checked",
            "critical",
            "Secure administrator sessions (websudo) are on",
            scope="cluster",
            reason="no credentials for jira (set atlassian_dc_credentials)",
        ),
        entry("DC-TOM-05", "pass", "critical", "No dangerous JVM flag (debugger, recovery password, websudo off)"),
        entry("DC-LOG-04", "pass", "medium", "Log folders are closed to other accounts"),
        entry(
            "DC-ORG-01",
            "manual",
            "medium",
            "A named person owns the security of each product",
            scope="site",
            reason="no live attestation",
            remediation="Answer it in the attestations file: who owns it, until when, with what proof.",
        ),
    ]


def audit() -> Report:
    """Return the audit of one unhardened Jira host."""
    return report(
        {"jira1": host(jira_controls())},
        messages=["The waiver of DC-DIR-04 on jira1 expires on 2026-12-01, in 8 days (owner: Dana Novak)."],
    )


def hardened() -> Report:
    """Return the run that put right what could be."""
    controls = jira_controls()
    for control in controls:
        if control["id"] == "DC-DIR-01":
            control.update(status="fixed", reason="41 paths under the install tree were writable by jira")
    return report({"jira1": host(controls)}, mode="harden")


def two_hosts_one_unreachable() -> Report:
    """Return an incomplete audit: one host answered, one did not."""
    gone = [
        {**control, "instance": None, "status": "not_checked", "reason": "the host could not be reached"}
        | {"evidence": [], "pending": None, "waiver": None}
        for control in jira_controls()
        if control["scope"] != "site"
    ]
    return report(
        {
            "jira1": host(jira_controls()),
            "jira2": host(gone, reachable=False, duration_seconds=0, instances=[]),
        },
        complete=False,
    )


def nothing_installed() -> Report:
    """Return the audit of a host without any product."""
    controls = [
        entry("DC-USR-01", "not_applicable", "critical", "Product runs as its own non-root account", instance=None)
        | {"reason": "no Atlassian product was found on this host"}
    ]
    return report({"web1": host(controls, instances=[])})


def preflight_stop() -> Report:
    """Return what a run leaves that was stopped before it touched a host."""
    controls = [
        {**control, "status": "not_checked", "reason": "the run stopped in preflight"}
        | {"evidence": [], "pending": None, "waiver": None, "instance": None}
        for control in jira_controls()
    ]
    return report(
        {"jira1": host(controls, instances=[], duration_seconds=0)},
        complete=False,
        messages=["jira1: unknown variable atlassian_dc_admin_netwroks; did you mean atlassian_dc_admin_networks?"],
    )


def hostile() -> Report:
    """Return a report with a hostile text in every place that a host or a user's file can fill."""
    controls = []
    for number, text in enumerate(HOSTILE.values(), 1):
        controls.append(
            entry(
                f"DC-DIR-{number:02}",
                "fail",
                "high",
                f"Title {text}",
                instance=text,
                reason=f"because of {text}",
                evidence=[evidence(text, text, text)],
                remediation=f"Remove {text}",
                references=[f"https://example.com/{text}", f"javascript:{text}", text],
                waiver=waiver(expires="2026-01-01", expired=True, justification=text, owner=text),
            )
        )
    instances = [
        jira(name=text, version=text, install_dir=f"/{text}", home_dir=f"/{text}") for text in HOSTILE.values()
    ]
    return report(
        {f"host {text[:300]}": host(controls, instances=instances) for text in HOSTILE.values()},
        messages=list(HOSTILE.values()),
        selection={"tags": list(HOSTILE.values()), "skip_tags": [], "skip_controls": []},
        complete=False,
    )


ALL = {
    "audit": audit,
    "hardened": hardened,
    "two_hosts_one_unreachable": two_hosts_one_unreachable,
    "nothing_installed": nothing_installed,
    "preflight_stop": preflight_stop,
    "hostile": hostile,
}
