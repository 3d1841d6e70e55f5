# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A client that others have written talks to the stand-ins as it does to the products."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from atlassian import Bamboo, Bitbucket, Confluence, Crowd, Jira
from doubles.common import double

from .lab import Lab
from .login_lines import unpacking

Row = Callable[[str, str, str, bool], None]

DOUBLES = double.COMMON.parent
SETTINGS = double.settings_for(DOUBLES / "jira", "unhardened", [])
TOKEN = SETTINGS["admin_token"]
ADMIN = (SETTINGS["admin_user"], SETTINGS["admin_password"])
# Debian 12 has two products out of their image, Debian 13 the others, built there.
PLACES = {
    "jira": ("rest-image", 8080, ""),
    "confluence": ("rest-image", 8090, ""),
    "bitbucket": ("rest-built", 7990, ""),
    "bamboo": ("rest-built", 8085, ""),
    "crowd": ("rest-built", 8095, "/crowd"),
}
UNITS = {"bitbucket": "atlbitbucket", "bamboo": "bamboo", "crowd": "crowd"}
STATUS = {"bamboo": "/rest/api/latest/status"}
PEOPLE, TEAMS = 30000, 400


class Hosts:
    """The hosts, and where each product on them answers."""

    def __init__(self, lab: Lab) -> None:
        """Only stores the laboratory."""
        self.lab = lab
        self.addresses = {name: host.address for name, host in lab.group.hosts().items()}

    def url(self, product: str) -> str:
        name, port, context = PLACES[product]
        return f"http://{self.addresses[name]}:{port}{context}"

    def text(self, product: str, path: str) -> str:
        """Return a file of a product's home."""
        return self.lab.sh(PLACES[product][0], f"cat /var/atlassian/application-data/{product}/{path}")


def sources() -> dict[str, str]:
    """Return the files that building a stand-in takes."""
    paths = [path for path in DOUBLES.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    return {str(path.relative_to(DOUBLES)): path.read_text() for path in paths}


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    lab = Lab("fidelity-rest", tmp_path_factory.mktemp("rest"))
    try:
        lab.up(["rest-image=two:bookworm", "rest-built=java:trixie"])
        for folder in ("common", *UNITS, "bitbucket_mesh"):
            part = {name: text for name, text in sources().items() if Path(name).parts[0] == folder}
            lab.sh("rest-built", unpacking(part, "/root/doubles"))
        for product, unit in UNITS.items():
            port, context = PLACES[product][1:]
            page = f"http://127.0.0.1:{port}{context}{STATUS.get(product, '/status')}"
            more = f"--set people={PEOPLE} --set teams={TEAMS}" if product == "bitbucket" else ""
            lab.sh(
                "rest-built",
                f"touch /root/doubles/__init__.py; python3 /root/doubles/{product}/build.py {more}\n"
                f"systemctl daemon-reload; systemctl start {unit}\n"
                f"for i in $(seq 240); do\n"
                f"  python3 -c 'import urllib.request as u; u.urlopen(\"{page}\")' 2> /dev/null && exit; sleep 0.5\n"
                f"done; exit 1",
            )
        yield Hosts(lab)
    finally:
        lab.down()


def told(product: str, row: Row, what: str, expected: Any, found: Any) -> None:
    row(f"{product}: {what}", str(expected)[:60], str(found)[:60], found == expected)
    assert found == expected


class TestJira:
    def test_tells_version_settings_and_people(self, hosts: Hosts, row: Row) -> None:
        jira = Jira(hosts.url("jira"), token=TOKEN)
        told("jira", row, "version", "10.3.15", jira.get_server_info()["version"])
        attempts = "jira.maximum.authentication.attempts.allowed"
        jira.set_property(attempts, "5")
        told("jira", row, "a property it has set", "5", jira.get_property(attempts)["value"])
        assert attempts in {entry["id"] for entry in jira.get_property()}
        members = jira.get_all_users_from_group("jira-administrators", include_inactive_users=True)
        told(
            "jira", row, "members of a group", ["admin", "bert", "carla"], [user["name"] for user in members["values"]]
        )
        everybody = jira.user_find_by_user_string(username=".", limit=1000, include_inactive_users=True)
        told("jira", row, "users", 7, len(everybody))
        assert jira.get_permissions("SYSTEM_ADMIN")["permissions"]["SYSTEM_ADMIN"]["havePermission"] is True
        assert {app["userInstalled"] for app in jira.get_plugins_info()["plugins"]} == {True, False}
        assert jira.health_check()["statuses"][0]["isHealthy"] is True
        assert jira.get_all_permissionschemes()[0]["name"] == "Default Permission Scheme"

    def test_tells_in_the_audit_log_what_was_changed(self, hosts: Hosts, row: Row) -> None:
        jira = Jira(hosts.url("jira"), token=TOKEN)
        path = "rest/auditing/1.0/configuration/coverage"
        jira.put(path, data={"levelByArea": {"security": "full"}})
        assert jira.get(path)["levelByArea"]["security"] == "full"
        event = jira.get("rest/auditing/1.0/events", params={"limit": 1})["entities"][0]
        told("jira", row, "last event", "security : full", event["changedValues"][0]["to"])
        assert event["source"]
        assert '"to":"security : full"' in hosts.text("jira", "log/audit/*.audit.log")

    def test_asks_once_more_for_the_password_and_logs_wrong_ones(self, hosts: Hosts, row: Row) -> None:
        """The client sends forms as JSON: the session it has is given the form by hand."""
        jira = Jira(hosts.url("jira"), *ADMIN)
        licence = "rest/plugins/applications/1.0/installed/jira-software/license"
        assert jira.get(licence, advanced_mode=True).status_code == 401
        form = {"webSudoPassword": ADMIN[1], "webSudoDestination": "/secure/Dashboard.jspa", "webSudoIsPost": "false"}
        url = f"{hosts.url('jira')}/secure/admin/WebSudoAuthenticate.jspa"
        jira.session.post(url, data=form, headers=jira.no_check_headers)
        told("jira", row, "licence after websudo", True, jira.get(licence)["dataCenter"])
        jira.invalidate_websudo()
        assert jira.get(licence, advanced_mode=True).status_code == 401
        anna = Jira(hosts.url("jira"), "anna", "wrong", advanced_mode=True)
        answers = [anna.myself() for _attempt in range(4)]
        told("jira", row, "wrong passwords", [401, 401, 401, 403], [answer.status_code for answer in answers])
        assert answers[3].headers["X-Authentication-Denied-Reason"].startswith("CAPTCHA_CHALLENGE")
        log = hosts.text("jira", "log/atlassian-jira-security.log")
        found = re.findall(r"/rest/api/\w+/myself The user 'anna' has FAILED authentication\.  Failure count", log)
        told("jira", row, "wrong passwords in the security log", 3, len(found))

    def test_keeps_a_session_of_the_login_form(self, hosts: Hosts, row: Row) -> None:
        session = requests.Session()
        url = hosts.url("jira")
        form = {"os_username": ADMIN[0], "os_password": ADMIN[1]}
        session.post(f"{url}/login.jsp", data=form, headers={"X-Atlassian-Token": "no-check"})
        told("jira", row, "who a session is", "admin", Jira(url, session=session).myself()["name"])


class TestConfluence:
    def test_tells_groups_members_and_apps(self, hosts: Hosts, row: Row) -> None:
        wiki = Confluence(hosts.url("confluence"), token=TOKEN)
        groups = [group["name"] for group in wiki.get_all_groups()]
        told("confluence", row, "groups", 4, len(groups))
        members = wiki.get_group_members("confluence-administrators")["results"]
        told("confluence", row, "members", ["admin", "carla"], [user["username"] for user in members])
        assert wiki.get_user_details_by_username("dora")["displayName"] == "Dora"
        assert {app["key"] for app in wiki.get_plugins_info()["plugins"]} >= {"com.example.forms-app"}
        assert wiki.get("rest/api/server-information")["version"] == "9.2.13"
        assert wiki.get("rest/auditing/1.0/events")["pagingInfo"]["lastPage"] in (True, False)

    def test_has_a_form_for_the_password(self, hosts: Hosts, row: Row) -> None:
        wiki = Confluence(hosts.url("confluence"), *ADMIN)
        assert wiki.get("rest/api/user/current")["username"] == "admin"
        form = {"authenticate": "Confirm", "destination": "/dashboard.action", "password": ADMIN[1]}
        url = f"{hosts.url('confluence')}/doauthenticate.action"
        without = wiki.session.post(url, data=form, allow_redirects=False)
        right = wiki.session.post(url, data=form, headers=wiki.no_check_headers, allow_redirects=False)
        statuses = (without.status_code, right.status_code)
        told("confluence", row, "the form without and with the header", (403, 302), statuses)


class TestBitbucket:
    def test_tells_thirty_thousand_users_page_by_page(self, hosts: Hosts, row: Row) -> None:
        git = Bitbucket(hosts.url("bitbucket"), token=TOKEN)
        names = {user["name"] for user in git.get_users_info(limit=1000)}
        told("bitbucket", row, "users", PEOPLE + 7, len(names))
        told("bitbucket", row, "groups", TEAMS + 4, len(list(git.get_groups(limit=1000))))
        members = [user["name"] for user in git.group_members("bitbucket-admins")]
        told("bitbucket", row, "members of a group", ["admin", "carla"], members)
        assert git.get_cluster_info()["running"] is True
        assert git.get("rest/api/1.0/application-properties")["version"] == "9.4.16"

    def test_limits_who_asks_too_often(self, hosts: Hosts, row: Row) -> None:
        git = Bitbucket(hosts.url("bitbucket"), token=SETTINGS["user_token"])
        path = "/var/atlassian/application-data/bitbucket/database/rate-limit.json"
        for enabled, expected in ((True, 429), (False, 200)):
            limits = json.dumps({"enabled": enabled, "defaultSettings": {"capacity": 1, "fillRate": 0}})
            hosts.lab.sh("rest-built", f"echo '{limits}' > {path}")
            answers = [git.get("rest/api/1.0/users", advanced_mode=True) for _request in range(2)]
            told("bitbucket", row, f"status when limited is {enabled}", expected, answers[1].status_code)


class TestBamboo:
    def test_tells_and_takes_security_settings(self, hosts: Hosts, row: Row) -> None:
        bamboo = Bamboo(hosts.url("bamboo"), token=TOKEN)
        assert bamboo.server_info()["version"] == "10.2.12"
        bamboo.update_security_settings({"signUp": {"enabled": False}})
        settings = bamboo.get_security_settings()
        told("bamboo", row, "sign-up it has set", {"enabled": False, "enabledCaptcha": False}, settings["signUp"])
        assert settings["bruteForceProtection"]["enabled"] is True
        users = bamboo.get_users(limit=3)
        told("bamboo", row, "a page of users", (3, 7), (len(users["results"]), users["size"]))
        assert bamboo.get_users_in_global_permissions()["results"][0]["name"] == "dora"
        assert bamboo.get_current_user()["name"] == "admin"


class TestCrowd:
    def test_answers_applications_and_administrators(self, hosts: Hosts, row: Row) -> None:
        url = hosts.url("crowd")
        path = "/var/atlassian/application-data/crowd/database"
        crowd = Crowd(url, *ADMIN)
        addresses = [entry["value"] for entry in crowd.get_remote_addresses(2)["addresses"]]
        told("crowd", row, "addresses of an application", ["127.0.0.1", "0.0.0.0/0"], addresses)
        crowd.put("rest/admin/1.0/remember-me/config", data={"enabled": False})
        kept = json.loads(hosts.lab.sh("rest-built", f"cat {path}/remember-me.json"))
        told("crowd", row, "what it has set", False, kept["enabled"])
        application = Crowd(url, "jira", "any")
        path = "rest/usermanagement/1/group/user/direct?groupname=crowd-administrators"
        answer = application.get(path, advanced_mode=True)
        told("crowd", row, "an address that is not in the list", 403, answer.status_code)
