# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who administers a product, and its tokens."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._findings import Findings
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._settings_places import Product
from ansible_collections.atlassian_dc.hardening.plugins.modules.product_accounts_info import (
    CONTROLS,
    Accounts,
    AccountsReader,
    moment,
)
from unit.rest.scripted_server import Scripted, scripted_server
from unit.rest.settings_host import SettingsHost

DAY = 86400
NOW = 1_800_000_000.0
"""2027-01-15"""
MEMBERS, TOKENS = "GET /rest/api/2/group/member", "POST /rest/pat/latest/tokens/search"
FEW, NAMES, DECLARED, LONG = "DC-ADM-03", "DC-ADM-04", "DC-ADM-05", "DC-AUT-04"


@pytest.fixture
def server() -> Iterator[Scripted]:
    with scripted_server() as script:
        yield script


@pytest.fixture
def host(tmp_path: Path, server: Scripted) -> SettingsHost:
    host = SettingsHost(tmp_path, server)
    server.on(MEMBERS, page(["alice", "bob"]))
    server.on(TOKENS, {"values": [token("nightly", "2027-02-01T00:00:00.000+0000")]})
    return host


def page(names: list[str], last: bool = True, **more: Any) -> dict[str, Any]:
    return {"values": [{"name": name, "active": True, **more} for name in names], "isLast": last}


def token(name: str, end: str) -> dict[str, Any]:
    owner = {"username": "robot"}
    return {"name": name, "expiringAt": end, "createdAt": "2026-12-24T10:00:00Z", "userProfileResource": owner}


def judge(host: SettingsHost, **more: Any) -> tuple[dict[str, dict[str, Any]], Accounts]:
    params = {
        **host.params,
        "max_administrators": 3,
        "guessable_names": ["admin", "*-admin"],
        "token_days": 90,
        "idle_days": 90,
        "admin_groups": None,
        "administrators": None,
        **more,
    }
    findings = Findings(params, CONTROLS, True)
    products = [Product(host.instance, params, host.run_command, str(host.root))]
    reader = AccountsReader(params, findings, products, now=lambda: NOW)
    reader.run()
    return {finding["control"]: finding for finding in findings.results}, reader.found.get("desk", Accounts())


COMPLETE = {"admin_groups": {"jira": ["jira-administrators"]}, "administrators": ["alice", "bob"]}


def test_few_administrators_with_names_of_their_own(host: SettingsHost) -> None:
    found, accounts = judge(host, **COMPLETE)
    assert {control: finding["status"] for control, finding in found.items()} == {
        FEW: "pass",
        NAMES: "pass",
        DECLARED: "pass",
        LONG: "pass",
        "DC-AUT-05": "not_checked",
        "DC-AUT-10": "not_checked",
    }
    assert accounts.told() == {
        "administrators": [
            {"name": name, "active": True, "groups": ["jira-administrators"]} for name in ("alice", "bob")
        ],
        "complete": True,
        "tokens": 1,
        "long_tokens": [],
        "accounts": None,
        "idle": [],
        "passwords": [],
        "problems": [found[control]["reason"].partition(": ")[2] for control in ("DC-AUT-05", "DC-AUT-10")],
    }


def test_nothing_passes_while_other_groups_may_administer_it(host: SettingsHost) -> None:
    found, _accounts = judge(host)
    assert {found[control]["status"] for control in (FEW, NAMES, DECLARED)} == {"not_checked"}
    assert "atlassian_dc_product_settings_admin_groups" in found[FEW]["reason"]
    assert "atlassian_dc_product_settings_administrators" in found[DECLARED]["reason"]
    host.server.on(MEMBERS, page(["a", "b", "c", "Site-Admin"]))
    found, _accounts = judge(host, administrators=["a", "b", "c"])
    assert {found[control]["status"] for control in (FEW, NAMES, DECLARED)} == {"fail"}
    assert [piece["actual"] for piece in found[NAMES]["evidence"]] == ["Site-Admin"]
    assert [piece["actual"] for piece in found[DECLARED]["evidence"]] == ["Site-Admin"]


def test_groups_are_read_to_their_end_and_accounts_count_once(host: SettingsHost) -> None:
    host.server.on(MEMBERS, page(["a", "b"], last=False), page(["c"]), page(["a", "d"]))
    found, accounts = judge(host, admin_groups={"desk": ["one & two", "three"]})
    assert accounts.active == ["a", "b", "c", "d"]
    assert accounts.administrators["a"]["groups"] == ["one & two", "three"]
    assert found[FEW]["status"] == "fail"
    assert "groupname=one+%26+two" in host.server.paths()[0]


def test_who_cannot_log_in_does_not_count(host: SettingsHost) -> None:
    host.server.on(MEMBERS, page(["admin", "b", "c", "d"], active=False))
    found, _accounts = judge(host, **COMPLETE)
    assert {found[control]["status"] for control in (FEW, NAMES, DECLARED)} == {"pass"}


@pytest.mark.parametrize(
    "name",
    ["<script>alert(1)</script>", "\u202egnirts", "a\nb", "x" * 5000, "../../etc", "%00", "{{ 1 }}", "\U0001f600"],
)
def test_names_with_every_character(host: SettingsHost, name: str) -> None:
    host.server.on(MEMBERS, page([name]))
    found, accounts = judge(host, administrators=[])
    assert found[DECLARED]["status"] == "fail"
    assert accounts.active == [name[:200]]
    json.dumps(found)


@pytest.mark.parametrize(
    "body", [{"values": [{}], "isLast": True}, {"values": ["a"], "isLast": True}, [], (403, {}, {})]
)
def test_members_that_cannot_be_read_are_not_passed_over(host: SettingsHost, body: Any) -> None:
    host.server.on(MEMBERS, body)
    found, accounts = judge(host, **COMPLETE)
    assert {found[control]["status"] for control in (FEW, NAMES, DECLARED)} == {"not_checked"}
    assert accounts.told()["problems"]
    assert found[LONG]["status"] == "pass"


def test_tokens_without_an_end(host: SettingsHost) -> None:
    tokens = [token("eternal", "9999-12-31T00:00:00.000+0000"), token("long", "2027-05-01"), token("odd", "soon")]
    host.server.on(TOKENS, {"values": [token(str(n), "2027-02-01") for n in range(100)]}, {"values": tokens})
    found, accounts = judge(host)
    assert accounts.tokens == 103
    assert [(item["name"], item["expires"]) for item in accounts.long_tokens] == [
        ("eternal", "never"),
        ("long", "2027-05-01"),
        ("odd", "soon"),
    ]
    assert accounts.long_tokens[0] == {
        "name": "eternal",
        "owner": "robot",
        "created": "2026-12-24",
        "expires": "never",
        "used": "",
    }
    assert found[LONG]["status"] == "fail"
    assert [json.loads(body)["page"] for _m, path, _h, body in host.server.asked if "pat" in path] == [0, 1]


def test_without_credentials(host: SettingsHost) -> None:
    host.credentials = []
    found, _accounts = judge(host, **COMPLETE)
    assert {finding["status"] for finding in found.values()} == {"not_checked"}
    assert host.server.paths() == []


def test_what_was_not_selected_is_not_asked(host: SettingsHost) -> None:
    found, _accounts = judge(host, controls=[FEW], **COMPLETE)
    assert list(found) == [FEW]
    assert [path.split("?")[0] for path in host.server.paths()] == ["GET /rest/api/2/group/member"]


def test_parts_and_strangers(host: SettingsHost) -> None:
    host.instance["product"] = "confluence_synchrony"
    assert {finding["status"] for finding in judge(host)[0].values()} == {"not_applicable"}
    host.instance["product"] = "unheard_of"
    assert {finding["status"] for finding in judge(host)[0].values()} == {"not_checked"}


def test_members_by_path_and_links(tmp_path: Path, server: Scripted) -> None:
    host = SettingsHost(tmp_path, server, "confluence")
    path = "GET /rest/api/group/wiki%20admins/member"
    first = {"results": [{"username": "alice"}], "_links": {"next": "/rest/api/x"}}
    server.on(path, first, {"results": [{"username": "bob"}], "_links": {"self": "x"}})
    _found, accounts = judge(host, admin_groups={"confluence": ["wiki admins"]})
    assert accounts.active == ["alice", "bob"]


def test_groups_in_groups_of_releases_that_tell_them(tmp_path: Path, server: Scripted) -> None:
    host = SettingsHost(tmp_path, server, "confluence")
    for group, name in (("a", "alice"), ("b", "bob"), ("c%20%2F", "carol")):
        server.on(f"GET /rest/api/group/{group}/member", {"results": [{"username": name}], "_links": {}})
        # A circle of them ends.
        server.on(f"GET /rest/api/group/{group}/groupmember", {"results": [{"name": "a"}], "_links": {}})
    inner = [{"name": "b"}, {"name": "c /"}]
    server.on("GET /rest/api/group/a/groupmember", {"results": inner, "_links": {}})
    declared = {"admin_groups": {"confluence": ["a"]}}
    _found, accounts = judge(host, **declared)
    assert accounts.active == ["alice", "bob", "carol"]
    assert accounts.administrators["carol"]["groups"] == ["c / in a"]
    host.instance["version"] = "9.2.13"
    _found, accounts = judge(host, **declared)
    assert accounts.active == ["alice"]
    host.instance["version"] = "10.2.0"
    server.on("GET /rest/api/group/a/groupmember", {"results": [{}], "_links": {}})
    found, _accounts = judge(host, **declared)
    assert found[FEW]["status"] == "not_checked"


def test_more_administrators_than_are_read(host: SettingsHost) -> None:
    names = [f"u{number}" for number in range(1500)]
    host.server.on(MEMBERS, page(names[:990]), page(names))
    found, accounts = judge(host, admin_groups={"desk": ["one", "two"]}, max_administrators=2000, administrators=names)
    assert len(accounts.active) == 1000
    assert not accounts.told()["complete"]
    assert {found[control]["status"] for control in (FEW, NAMES, DECLARED)} == {"not_checked"}
    assert "more than 1000 accounts" in found[FEW]["reason"]
    found, _accounts = judge(host, admin_groups={"desk": ["one", "two"]}, administrators=[])
    assert {found[control]["status"] for control in (FEW, DECLARED)} == {"fail"}
    assert "more than 1000 accounts" in found[DECLARED]["reason"]


def test_lists_that_go_on(host: SettingsHost) -> None:
    host.server.on(TOKENS, {"values": [token(str(n), "2027-02-01") for n in range(100)]})
    host.server.on(MEMBERS, page(["a"], last=False))
    found, accounts = judge(host, **COMPLETE)
    assert len(host.server.paths()) <= 180
    assert accounts.tokens == 7000
    assert found[LONG]["status"] == found[FEW]["status"] == "not_checked"
    assert "70 pages" in found[LONG]["reason"]


IDLE = "DC-AUT-05"
LOGINS = "GET /rest/api/admin/users/list/active"


def last_logins(*entries: Any) -> dict[str, Any]:
    users = [{"username": f"u{number}", **entry} for number, entry in enumerate(entries)]
    return {"results": users, "_links": {}}


@pytest.mark.parametrize(
    ("entries", "status", "told"),
    [
        ([{"lastLogin": "2027-01-10T10:00:00.000Z"}], "pass", []),
        ([{"lastLogin": 1_799_000_000_000}], "pass", []),
        ([{"lastLogin": "2027-01-10"}, {}, {"lastLogin": "2026-01-31"}], "fail", ["never", "2026-01-31"]),
        ([{}, {}], "not_checked", []),
        ([{"lastLogin": "yesterday"}], "not_checked", []),
        ([{"lastLogin": 10**30}], "not_checked", []),
        ([{"lastLogin": "2027-01-10", "username": ""}], "not_checked", []),
        ([], "pass", []),
    ],
)
def test_accounts_nobody_uses(
    tmp_path: Path, server: Scripted, entries: list[Any], status: str, told: list[str]
) -> None:
    host = SettingsHost(tmp_path, server, "confluence")
    host.instance["version"] = "10.2.7"
    server.on(LOGINS, last_logins(*entries))
    found, accounts = judge(host)
    assert found[IDLE]["status"] == status
    assert [item["last"] for item in accounts.told()["idle"]] == told
    assert "expand=lastLogin" in "".join(server.paths())


def test_releases_that_do_not_tell_when_accounts_were_used(tmp_path: Path, server: Scripted) -> None:
    host = SettingsHost(tmp_path, server, "confluence")
    for version in ("10.1.9", None):
        host.instance["version"] = version
        found, _accounts = judge(host)
        assert found[IDLE]["status"] == "not_checked"
        assert "does not tell" in found[IDLE]["reason"]
    assert "users/list" not in "".join(server.paths())


def test_accounts_that_are_off_are_not_idle(tmp_path: Path, server: Scripted) -> None:
    host = SettingsHost(tmp_path, server, "bitbucket")
    users = [
        {"name": "a", "active": True, "lastAuthenticationTimestamp": 1_799_000_000_000},
        {"name": "b", "active": False},
    ]
    server.on("GET /rest/api/latest/admin/users", {"values": users, "isLastPage": True})
    found, accounts = judge(host)
    assert found[IDLE]["status"] == "pass"
    assert accounts.logins == 1


PASSWORDS = "DC-AUT-10"


def security_line(day: str, name: str, path: str, word: str = "PASSED authentication.") -> str:
    """Return a line as the vendor shows it."""
    start = f"{day} 14:01:34,042-0300 http-nio-8080-exec-25 admin 841x20x1 - 0:0:0:0:0:0:0:1"
    return f"{start} {path} The user '{name}' has {word}"


@pytest.mark.parametrize(
    ("lines", "status", "names"),
    [
        ([("2027-01-10", "robot", "/rest/api/2/issue/SWA-1")], "fail", ["robot"]),
        ([("2027-01-10", "robot", "/jira/rest/api/2/search?x=secret")], "fail", ["robot"]),
        ([("2027-01-10", "a b'c", "/rest/api/2/x"), ("2027-01-11", "alice", "/login.jsp")], "fail", ["a b'c"]),
        ([("2027-01-10", "alice", "/login.jsp"), ("2027-01-10", "alice", "/rest/gadget/1.0/login")], "pass", []),
        ([("2027-01-10", "alice", "/rest/tsv/1.0/authenticate")], "pass", []),
        ([("2026-11-10", "robot", "/rest/api/2/x"), ("2027-01-11", "alice", "/login.jsp")], "pass", []),
        ([("2026-11-10", "robot", "/rest/api/2/x")], "not_checked", []),
        ([], "not_checked", []),
    ],
)
def test_who_used_a_password_over_rest(
    host: SettingsHost, lines: list[tuple[str, str, str]], status: str, names: list[str]
) -> None:
    log = host.home / "log/atlassian-jira-security.log"
    log.parent.mkdir()
    log.write_text("".join(f"{security_line(*line)}\n" for line in lines))
    found, accounts = judge(host)
    assert found[PASSWORDS]["status"] == status
    assert [item["name"] for item in accounts.told()["passwords"]] == names
    assert "secret" not in json.dumps(found)


def test_logins_that_failed_are_no_use_of_a_password(host: SettingsHost) -> None:
    log = host.home / "log/atlassian-jira-security.log"
    log.parent.mkdir()
    failed = security_line("2027-01-10", "x", "/rest/api/2/x", "FAILED authentication.  Failure count equals 1")
    log.write_text(f"{failed}\n{security_line('2027-01-10', 'alice', '/login.jsp')}\n")
    assert judge(host)[0][PASSWORDS]["status"] == "pass"


def test_a_log_that_cannot_be_read(host: SettingsHost) -> None:
    found, _accounts = judge(host)
    assert found[PASSWORDS]["status"] == "not_checked"
    assert "atlassian-jira-security.log" in found[PASSWORDS]["reason"]
    log = host.home / "log/atlassian-jira-security.log"
    log.parent.mkdir()
    log.symlink_to("/dev/null")
    assert judge(host)[0][PASSWORDS]["status"] == "not_checked"


def test_who_holds_the_right_is_asked_where_the_product_tells(tmp_path: Path, server: Scripted) -> None:
    host = SettingsHost(tmp_path, server, "bitbucket")
    admin = "/rest/api/latest/admin"
    users = [
        {"user": {"name": "root", "active": True}, "permission": "SYS_ADMIN"},
        {"user": {"name": "gone", "active": False}, "permission": "ADMIN"},
        {"user": {"name": "user", "active": True}, "permission": "LICENSED_USER"},
    ]
    groups = [
        {"group": {"name": "staff"}, "permission": "ADMIN"},
        {"group": {"name": "all"}, "permission": "LICENSED_USER"},
    ]
    server.on(f"GET {admin}/permissions/users", {"values": users, "isLastPage": True})
    server.on(f"GET {admin}/permissions/groups", {"values": groups, "isLastPage": True})
    first = {"values": [{"name": "alice", "active": True}], "isLastPage": False, "nextPageStart": 1}
    server.on(
        f"GET {admin}/groups/more-members", first, {"values": [{"name": "root", "active": True}], "isLastPage": True}
    )
    found, accounts = judge(host, guessable_names=["x"])
    assert accounts.active == ["alice", "root"]
    assert accounts.administrators["root"]["groups"] == ["the account itself", "staff"]
    assert [found[control]["status"] for control in (FEW, NAMES)] == ["pass", "pass"]
    assert "context=staff" in "".join(server.paths())
    assert "context=all" not in "".join(server.paths())
    server.on(f"GET {admin}/permissions/groups", {"values": [], "isLastPage": True})
    assert judge(host)[1].active == ["root"]
    server.on(f"GET {admin}/permissions/users", {"values": [{"permission": "ADMIN"}], "isLastPage": True})
    assert judge(host)[0][FEW]["status"] == "not_checked"


@pytest.mark.parametrize("product", ["bamboo", "crowd"])
def test_a_product_that_nobody_knows_how_to_ask(tmp_path: Path, server: Scripted, product: str) -> None:
    found, _accounts = judge(SettingsHost(tmp_path, server, product))
    assert {finding["status"] for finding in found.values()} == {"not_checked"}


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("9999-12-31T23:59:59", float("inf")),
        ("1970-01-02T10:00:00.000+0000", DAY),
        (1_000_000, 1000.0),
        ("", None),
        (None, None),
        (True, None),
        ("1970-13-45", None),
        ({}, None),
    ],
)
def test_moments(value: Any, seconds: float | None) -> None:
    assert moment(value) == seconds
