# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the doubles answer over REST; they run without a servlet container."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any
from urllib.parse import quote

import pytest
from doubles.common import double, people
from unit.doubles.instances import DOUBLES, Answer, Client, Instance, built

Start = Callable[..., tuple[Instance, Client]]

SETTINGS = double.settings_for(DOUBLES["jira"].folder, "unhardened", [])
ADMIN, USER, EXPIRED, LEFT = (SETTINGS[f"{whose}_token"] for whose in ("admin", "user", "expired", "left"))
COVERAGE = "/rest/auditing/1.0/configuration/coverage"
EVENTS = "/rest/auditing/1.0/events"
BASIC = "/rest/basicauth/1.0/config"
LICENCE = "/rest/plugins/applications/1.0/installed/jira-software/license"
WEBSUDO = "/secure/admin/WebSudoAuthenticate.jspa"
UPDATED = "atlassian.audit.event.action.audit.config.updated"
WITH_REST = [name for name, cls in DOUBLES.items() if (cls.folder / double.REST).exists()]


@pytest.fixture
def start(instance: Callable[..., Instance]) -> Iterator[Start]:
    """Start a double; the client is nobody yet."""
    with ExitStack() as stack:

        def started(product: str, *changes: str, arguments: tuple[str, ...] = ()) -> tuple[Instance, Client]:
            one = instance(product, *changes)
            return one, stack.enter_context(one.serving(*arguments))

        yield started


def lines(product: str) -> list[list[str]]:
    """Return the resources of a double's script, word by word."""
    one = built(product)
    section, found = "", []
    for line in one.script(one.all_values()).splitlines():
        section = line if line.startswith("[") else section
        words = line.split(" ")
        if section == "[rest]" and re.fullmatch("[A-Z]+", words[0]):
            found.append(words)
    return found


@pytest.mark.parametrize("product", WITH_REST)
class TestScripts:
    def test_hold_only_levels_and_kinds_there_are(self, product: str) -> None:
        java = (double.COMMON / "java/Rest.java").read_text()
        kinds = set(re.findall(r'"(\w+)"', "".join(re.findall(r"^ +case (.+) ->", java, re.MULTILINE))))
        for words in lines(product):
            assert words[2] in ("anyone", "user", "admin", "sysadmin"), words
            assert words[3] in kinds, words

    def test_name_only_forms_pages_and_tables_there_are(self, product: str) -> None:
        one = built(product)
        script = one.script(one.all_values())
        tables = {path.stem for path in double.COMMON.glob("files/database/*.json")} | {"users", "groups"}
        tables |= {path.stem for path in (one.folder / "files/home/database").glob("*.json")}
        for words in lines(product):
            options = dict(word.split("=", 1) for word in words[4:] if re.match(r"[a-z]+=", word))
            assert options.get("in", "users") in tables, words
            assert f"\nform {options['as']} " in script if "as" in options else True, words
            assert f"\npage {options['page']} " in script if "page" in options else True, words

    def test_answer_an_administrator_with_json_everywhere(self, product: str, start: Start) -> None:
        _one, nobody = start(product)
        administrator = nobody.with_token(ADMIN)
        for words in lines(product):
            method, path, level = words[:3]
            if method != "GET" or "type=" in " ".join(words) or "{" in path or "websudo=" in words:
                continue
            path = re.sub(r"\|[^/]*", "", path)
            answer = administrator.get(path)
            assert answer.status in (200, 400, 404, 405), path
            assert answer.json is not None, path
            assert nobody.get(path).status in ((answer.status,) if level == "anyone" else (401, 404)), path

    def test_answer_the_other_spelling_of_a_version_too(self, product: str, start: Start) -> None:
        _one, nobody = start(product)
        assert nobody.with_token(ADMIN).get("/rest/plugins/latest/").status == 200
        assert nobody.with_token(ADMIN).get("/rest/plugins/1.0/").status == 200
        assert nobody.with_token(ADMIN).get("/rest/plugins/0.9/").status == 404


class TestWhoAsks:
    def test_a_token_is_looked_up_with_its_owner_and_its_end(self, start: Start) -> None:
        _jira, nobody = start("jira")
        names = [nobody.with_token(token).get("/rest/api/2/myself") for token in (ADMIN, USER)]
        assert [answer.json["name"] for answer in names] == ["admin", "anna"]
        assert [answer.headers["X-AUSERNAME"] for answer in names] == ["admin", "anna"]
        for token in (EXPIRED, LEFT, "wrong"):
            assert nobody.with_token(token).get("/rest/api/2/serverInfo").status == 401

    def test_rights_come_by_groups_and_by_groups_in_them(self, start: Start) -> None:
        jira, nobody = start("jira")
        assert nobody.with_token(USER).get(COVERAGE).status == 403
        jira.keep("tokens", [{**row, "user": "bert"} for row in jira.kept("tokens")])
        assert nobody.with_token(ADMIN).get(COVERAGE).status == 200
        jira.keep("groups", [{**row, "groups": []} for row in jira.kept("groups")])
        assert nobody.with_token(ADMIN).get(COVERAGE).status == 403

    def test_passwords_are_tried_and_logged_until_a_captcha_bars_them(self, start: Start) -> None:
        jira, nobody = start("jira")
        assert nobody.with_password("anna", "correct-horse").get("/rest/api/2/myself").json["name"] == "anna"
        failed = [nobody.with_password("anna", "wrong").get("/rest/api/2/myself") for _attempt in range(4)]
        assert [answer.status for answer in failed] == [401, 401, 401, 403]
        assert failed[0].headers["X-Seraph-LoginReason"] == "AUTHENTICATED_FAILED"
        assert failed[3].headers["X-Seraph-LoginReason"] == "AUTHENTICATION_DENIED"
        assert failed[3].headers["X-Authentication-Denied-Reason"].startswith("CAPTCHA_CHALLENGE; login-url=")
        told = [line for line in jira.lines("log/atlassian-jira-security.log") if "/rest/api/2/myself" in line]
        assert "The user 'anna' has PASSED authentication." in told[0]
        assert told[2].endswith("The user 'anna' has FAILED authentication.  Failure count equals 1")
        assert "is required to answer a CAPTCHA" in told[-1]
        assert "AUTHENTICATION_DENIED" in failed[3].text

    @pytest.mark.parametrize(
        ("product", "level", "action"),
        [
            ("confluence", "full", "audit.logging.summary.login.failed"),
            ("bitbucket", "advanced", "bitbucket.service.user.audit.action.authenticationfailure"),
        ],
    )
    def test_wrong_passwords_are_audited_as_far_as_coverage_goes(
        self, start: Start, product: str, level: str, action: str
    ) -> None:
        one, nobody = start(product, "audit_security=base")
        administrator, wrong = nobody.with_token(ADMIN), nobody.with_password("admin", "wrong")
        assert wrong.get(COVERAGE).status == 401
        administrator.ask("PUT", COVERAGE, {"levelByArea": {"security": level}})
        assert wrong.get(COVERAGE).status == 401
        assert [entry["auditType"]["actionI18nKey"] for entry in one.audit()] == [UPDATED, action]
        assert [event["type"]["actionI18nKey"] for event in administrator.get(EVENTS).json["entities"]] == [
            action,
            UPDATED,
        ]

    def test_an_application_of_crowd_asks_by_its_name(self, start: Start) -> None:
        _crowd, nobody = start("crowd")
        path = "/rest/usermanagement/1/group/user/direct?groupname=crowd-administrators"
        members = nobody.with_password("jira", "any").get(path).json["users"]
        assert [row["name"] for row in members] == ["admin", "carla"]
        assert nobody.with_password("admin", "battery-staple").get(path).status == 401
        assert nobody.with_password("jira", "any").get("/rest/admin/1.0/server-info").status == 401

    @pytest.mark.parametrize(
        ("product", "version", "status"),
        [
            ("jira", "9.12.40", 200),
            ("jira", "10.3.15", 200),
            ("jira", "11.3.1", 403),
            ("confluence", "9.2.13", 200),
            ("confluence", "10.2.7", 403),
        ],
    )
    def test_newer_versions_come_with_basic_authentication_off(
        self, start: Start, product: str, version: str, status: int
    ) -> None:
        _one, nobody = start(product, f"version={version}")
        answer = nobody.with_password("admin", "battery-staple").get(BASIC)
        assert answer.status == status
        if status == 403:
            assert answer.json == {"message": "Basic Authentication has been disabled on this instance."}
            administrator = nobody.with_token(ADMIN)
            assert administrator.ask("PUT", BASIC, {"block-requests": False}).status == 200
            assert nobody.with_password("admin", "battery-staple").get(BASIC).json["block-requests"] is False

    def test_the_allowlist_and_the_virtual_machine_let_basic_authentication_through(self, start: Start) -> None:
        force = "-Dcom.atlassian.plugins.authentication.basic.auth.filter.force.allow=true"
        jira, nobody = start("jira", "basic_blocked=true")
        anna = nobody.with_password("anna", "correct-horse")
        assert anna.get("/rest/api/2/myself").status == 403
        jira.keep("basic-auth", {"block-requests": True, "allowed-paths": ["/rest/api/*"], "allowed-users": []})
        assert anna.get("/rest/api/2/myself").status == 200
        assert anna.get("/rest/pat/latest/tokens").status == 403
        jira.keep("basic-auth", {"block-requests": True, "allowed-paths": [], "allowed-users": ["ANNA"]})
        assert anna.get("/rest/pat/latest/tokens").status == 200
        jira.keep("basic-auth", {"block-requests": True, "allowed-paths": [], "allowed-users": []})
        with jira.serving(force) as other:
            assert other.with_password("anna", "correct-horse").get("/rest/api/2/myself").status == 200

    @pytest.mark.parametrize(
        ("product", "limits", "wait"),
        [
            (
                "jira",
                {
                    "mode": "ON",
                    "defaultCapacity": 3,
                    "defaultFillRate": 1,
                    "defaultIntervalFrequency": 1,
                    "defaultIntervalTimeUnit": "HOURS",
                },
                "3600",
            ),
            ("bitbucket", {"enabled": True, "defaultSettings": {"capacity": 3, "fillRate": 0}}, "1"),
        ],
    )
    def test_who_asks_too_often_is_told_when_to_come_back(
        self, start: Start, product: str, limits: dict[str, Any], wait: str
    ) -> None:
        one, nobody = start(product)
        one.keep("rate-limit", limits)
        answers = [nobody.with_token(USER).get("/rest/pat/latest/nothing") for _request in range(4)]
        assert [answer.status for answer in answers] == [404, 404, 404, 429]
        assert [answer.headers["X-RateLimit-Remaining"] for answer in answers] == ["2", "1", "0", "0"]
        assert [answer.headers["Retry-After"] for answer in answers] == ["0", "0", "0", wait]
        assert nobody.with_token(ADMIN).get(BASIC).status == 200
        assert nobody.get("/rest/authconfig/1.0/login-options").status == 200


class TestWebsudo:
    """A resource that wants the password once more, and the form that takes it."""

    def elevated(self, nobody: Client, password: str, destination: str = "/secure/admin/x") -> tuple[Answer, str]:
        """Send the form; what it answers, and the session's cookie."""
        page = nobody.with_password("admin", "battery-staple").get(WEBSUDO)
        cookie = page.headers["Set-Cookie"].split(";")[0]
        token = re.search(r'name="atlassian-token" content="([^"]+)"', page.text)
        assert token is not None
        form = f"webSudoPassword={quote(password)}&webSudoDestination={quote(destination)}&atl_token={quote(token[1])}"
        return nobody.ask("POST", WEBSUDO, headers={"Cookie": cookie}, form=form), cookie

    def test_a_session_is_raised_by_the_form_and_lowered_again(self, start: Start) -> None:
        _jira, nobody = start("jira")
        refused = nobody.with_password("admin", "battery-staple").get(LICENCE)
        assert refused.status == 401
        assert refused.json == {"message": "This resource requires WebSudo.", "status-code": 401}
        answer, cookie = self.elevated(nobody, "battery-staple")
        assert answer.status == 302
        assert answer.headers["Location"] == f"{nobody.base}/secure/admin/x"
        session = {"Cookie": cookie}
        assert nobody.ask("GET", LICENCE, headers=session).json["dataCenter"] is True
        assert nobody.ask("DELETE", "/rest/auth/1/websudo", headers=session).status == 204
        assert nobody.ask("GET", LICENCE, headers=session).status == 401

    def test_a_wrong_password_raises_nothing(self, start: Start) -> None:
        _jira, nobody = start("jira")
        answer, cookie = self.elevated(nobody, "wrong")
        assert answer.status == 200
        assert nobody.ask("GET", LICENCE, headers={"Cookie": cookie}).status == 401

    @pytest.mark.parametrize(("elevate", "status"), [("false", 401), ("true", 200)])
    def test_whether_a_token_does_is_a_setting(self, start: Start, elevate: str, status: int) -> None:
        _jira, nobody = start("jira", arguments=(f"-Drest.tokens-elevate={elevate}",))
        assert nobody.with_token(ADMIN).get(LICENCE).status == status

    @pytest.mark.parametrize(
        ("headers", "status"),
        [({}, 403), ({"X-Atlassian-Token": "no-check"}, 302), ({"X-Atlassian-Token": "yes"}, 403)],
    )
    def test_a_form_of_another_site_is_turned_away(self, start: Start, headers: dict[str, str], status: int) -> None:
        _wiki, nobody = start("confluence")
        form = "authenticate=Confirm&destination=/admin/systeminfo.action&password=battery-staple"
        client = nobody.with_password("admin", "battery-staple")
        answer = client.ask("POST", "/doauthenticate.action", headers=headers, form=form)
        assert answer.status == status
        assert (answer.text == "XSRF check failed") is (status == 403)

    def test_what_a_browser_changes_needs_the_header(self, start: Start) -> None:
        _jira, nobody = start("jira")
        administrator, agent = nobody.with_token(ADMIN), {"User-Agent": "Mozilla/5.0"}
        body: dict[str, list[str]] = {"actions": []}
        path = "/rest/auditing/1.0/configuration/denylist"
        assert administrator.ask("PUT", path, body, agent).status == 403
        assert administrator.ask("PUT", path, body, {**agent, "X-Atlassian-Token": "no-check"}).status == 200


class TestSettings:
    def test_what_is_written_is_answered_and_audited(self, start: Start) -> None:
        jira, nobody = start("jira")
        administrator = nobody.with_token(ADMIN)
        answer = administrator.ask("PUT", COVERAGE, {"levelByArea": {"security": "full"}})
        assert answer.status == 200
        assert administrator.get(COVERAGE).json == answer.json
        levels = answer.json["levelByArea"]
        assert (levels["security"], levels["permissions"]) == ("full", "base")
        assert jira.kept("audit-coverage") == answer.json
        (event,) = administrator.get(EVENTS).json["entities"]
        assert event["type"]["actionI18nKey"] == UPDATED
        assert event["author"]["name"] == "admin"
        (change,) = event["changedValues"]
        assert (change["from"], change["to"]) == ("security : base", "security : full")
        (entry,) = jira.audit()
        assert entry["changedValues"] == [change]

    def test_the_same_again_is_no_change(self, start: Start) -> None:
        jira, nobody = start("jira")
        nobody.with_token(ADMIN).ask("PUT", COVERAGE, {"levelByArea": {"security": "base"}})
        assert not list((jira.home / "log/audit").iterdir())

    def test_coverage_and_exclusions_decide_what_is_audited(self, start: Start) -> None:
        jira, nobody = start("jira")
        administrator = nobody.with_token(ADMIN)
        denylist = "/rest/auditing/1.0/configuration/denylist"
        administrator.ask("POST", denylist, {"add": [UPDATED, "other"], "delete": []})
        assert administrator.ask("POST", denylist, {"delete": ["other"]}).json == {"actions": [UPDATED]}
        administrator.ask("PUT", COVERAGE, {"levelByArea": {"permissions": "full"}})
        assert not list((jira.home / "log/audit").iterdir())
        administrator.ask("PUT", denylist, {"actions": []})
        assert len(jira.audit()) == 1
        administrator.ask("PUT", COVERAGE, {"levelByArea": {"audit-log": "off"}})
        assert len(jira.audit()) == 1

    def test_a_property_is_changed_alone(self, start: Start) -> None:
        jira, nobody = start("jira")
        administrator = nobody.with_token(ADMIN)
        path = "/rest/api/2/application-properties"
        attempts = "jira.maximum.authentication.attempts.allowed"
        before = administrator.get(path).json
        assert administrator.ask("PUT", f"{path}/{attempts}", {"id": attempts, "value": "5"}).json["value"] == "5"
        assert administrator.get(f"{path}?key={attempts}").json["value"] == "5"
        assert len(administrator.get(path).json) == len(before)
        assert [row["id"] for row in administrator.get(f"{path}?keyFilter=websudo").json] == [
            "jira.websudo.is.disabled",
            "jira.websudo.timeout",
        ]
        assert administrator.ask("PUT", f"{path}/no.such", {"value": "5"}).status == 404
        assert jira.kept("properties")[4]["value"] == "5"

    def test_what_cannot_be_read_is_an_error_and_no_other_state(self, start: Start) -> None:
        jira, nobody = start("jira")
        (jira.home / "database/audit-coverage.json").write_text('{"levelByArea"')
        assert nobody.with_token(ADMIN).get(COVERAGE).status == 500
        assert nobody.get("/rest/api/2/serverInfo").status == 200
        assert nobody.with_token(ADMIN).ask("PUT", "/rest/basicauth/1.0/config", ["x"]).status == 400

    @pytest.mark.parametrize(
        ("version", "status"),
        [("9.2.17", 404), ("9.2.18", 200), ("9.3.1", 404), ("9.5.1", 404), ("9.5.2", 200), ("10.2.15", 200)],
    )
    def test_a_resource_is_there_from_its_version_on(self, start: Start, version: str, status: int) -> None:
        _wiki, nobody = start("confluence", f"version={version}")
        assert nobody.with_token(ADMIN).get("/rest/api/permissions").status == status


class TestTokens:
    PATH = "/rest/pat/latest/tokens"

    def test_a_new_one_works_and_is_told_only_once(self, start: Start) -> None:
        _jira, nobody = start("jira")
        anna = nobody.with_token(USER)
        made = anna.ask("POST", self.PATH, {"name": "new", "expirationDuration": 90})
        assert made.status == 201
        assert nobody.with_token(made.json["rawToken"]).get("/rest/api/2/myself").json["name"] == "anna"
        own = anna.get(self.PATH).json
        assert [row["name"] for row in own] == ["dashboard", "new"]
        assert own[0]["expiringAt"].startswith("9999")
        assert own[0]["lastAccessedAt"] is None
        assert "rawToken" not in json.dumps(own)
        assert anna.ask("DELETE", f"{self.PATH}/1").status == 404
        assert anna.ask("DELETE", f"{self.PATH}/{made.json['id']}").status == 204
        assert nobody.with_token(made.json["rawToken"]).get("/rest/api/2/myself").status == 401

    def test_administrators_find_and_revoke_those_of_others(self, start: Start) -> None:
        _jira, nobody = start("jira")
        administrator = nobody.with_token(ADMIN)
        search = {"page": 1, "limit": 3, "name": "", "userKeys": []}
        found = administrator.ask("POST", f"{self.PATH}/search", search).json
        assert found["page"] == 1
        assert [row["userProfileResource"]["username"] for row in found["values"]] == ["carla"]
        assert nobody.with_token(USER).ask("POST", f"{self.PATH}/search", search).status == 403
        assert administrator.ask("DELETE", "/rest/pat/latest/admin/tokens", [2, 4]).status == 204
        assert nobody.with_token(USER).get("/rest/api/2/myself").status == 401


class TestPeople:
    def test_jira_divides_lists_as_each_resource_does(self, start: Start) -> None:
        _jira, nobody = start("jira", "people=120", "teams=4")
        administrator = nobody.with_token(ADMIN)
        member = "/rest/api/2/group/member?groupname=jira-software-users"
        first = administrator.get(f"{member}&maxResults=1000").json
        assert (first["maxResults"], len(first["values"]), first["isLast"]) == (50, 50, False)
        last = administrator.get(f"{member}&startAt=100").json
        assert (last["startAt"], last["total"], last["isLast"]) == (100, 126, True)
        assert len(last["values"]) == 26
        stream = administrator.get("/rest/api/2/user/list?maxResults=100").json
        rest = administrator.get(f"/rest/api/2/user/list?maxResults=100&cursor={stream['nextCursor']}").json
        assert "nextCursor" not in rest
        assert len({row["name"] for row in stream["values"] + rest["values"]}) == 127
        assert administrator.get("/rest/api/2/group/member?groupname=nobody").status == 404

    def test_inactive_users_are_told_only_when_asked_for(self, start: Start) -> None:
        _jira, nobody = start("jira")
        administrator = nobody.with_token(ADMIN)
        path = "/rest/api/2/group/member?groupname=jira-administrators"
        active, everybody = (
            [row["name"] for row in administrator.get(f"{path}{more}").json["values"]]
            for more in ("", "&includeInactiveUsers=true")
        )
        # Members of a group in the group are among them.
        assert (active, everybody) == (["admin", "bert"], ["admin", "bert", "carla"])

    def test_confluence_follows_groups_both_ways_and_links_the_next_page(self, start: Start) -> None:
        _wiki, nobody = start("confluence", "version=10.2.7", "people=30", "teams=3")
        administrator = nobody.with_token(ADMIN)
        page = administrator.get("/rest/api/group/confluence-users/member?limit=20").json
        assert (page["size"], page["limit"]) == (20, 20)
        following = administrator.get(page["_links"]["next"]).json
        assert following["start"] == 20
        assert "next" not in following["_links"]
        of_bert = administrator.get("/rest/api/user/memberof?username=bert").json["results"]
        assert [row["name"] for row in of_bert] == ["confluence-users", people.NESTED]
        nested = administrator.get("/rest/api/group/confluence-administrators/groupmember").json["results"]
        assert [row["name"] for row in nested] == [people.NESTED]

    def test_a_name_may_hold_every_character(self, start: Start) -> None:
        _jira, nobody = start("jira")
        odd = people.users("a", "b", "c", "d", 0, 0)[-1]["name"]
        answer = nobody.with_token(ADMIN).get(f"/rest/api/2/user?username={quote(odd, safe='')}")
        assert answer.json["name"] == odd
        assert quote(odd, safe="") in answer.json["self"].replace("+", "%20")

    def test_thirty_thousand_users_are_served_in_few_requests(self, start: Start) -> None:
        jira, nobody = start("jira", "people=30000", "teams=400", arguments=("-Xmx256m",))
        administrator = nobody.with_token(ADMIN)
        names, path = set(), "/rest/api/2/user/list"
        for _request in range(20):
            page = administrator.get(path).json
            names |= {row["name"] for row in page["values"]}
            if page["isLast"]:
                break
            path = page["nextPage"].removeprefix(nobody.base)
        assert len(names) == 30007
        assert len(jira.kept("groups")) == 404
        in_team = administrator.get("/rest/api/2/group/member?groupname=team-007&startAt=0&maxResults=50").json
        assert 75 <= in_team["total"] <= 300


class TestEvents:
    def test_are_told_by_cursor_the_last_first(self, start: Start) -> None:
        _jira, nobody = start("jira")
        administrator = nobody.with_token(ADMIN)
        for level in ("advanced", "full", "off", "base", "advanced"):
            administrator.ask("PUT", COVERAGE, {"levelByArea": {"security": level}})
        path, told = f"{EVENTS}?limit=2", []
        for _page in range(3):
            page = administrator.get(path).json
            told += [event["changedValues"][0]["to"] for event in page["entities"]]
            path = page["pagingInfo"].get("nextPageLink", "").removeprefix(nobody.base)
        assert page["pagingInfo"]["lastPage"] is True
        assert told == [f"security : {level}" for level in ("advanced", "base", "off", "full", "advanced")]
        assert administrator.get(f"{EVENTS}?search=nothing").json["entities"] == []
        assert administrator.get(f"{EVENTS}?from=2999-01-01T00:00:00Z").json["entities"] == []
