# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the doubles write when somebody logs in; the classes run without a servlet container."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable

import pytest
import yaml
from doubles.common import double, tree
from unit.doubles.instances import DOUBLES, Attempt, Instance, built

META = double.COMMON.parent.parent.parent / "meta/products"
STAMP = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}"
THREAD = "main"
PEER = "2001:db8:0:0:0:0:0:7"
PASSWORD = "correct-horse"  # noqa: S105 - of states.toml


def script_of(product: str) -> str:
    one = built(product)
    return one.script(one.all_values())


def attempt(
    path: str,
    name: str = "anna",
    password: str = "wrong",  # noqa: S107
    peer: str = PEER,
    forwarded: str = "",
    zone: str = "UTC",
) -> Attempt:
    addresses = re.sub(r"\s", "", f"{forwarded},{peer}" if forwarded else peer)
    facts = {
        "peer": peer,
        "forwarded": forwarded,
        "addresses": addresses,
        "list": f"{forwarded}, {peer}" if forwarded else peer,
        "path": path,
        "uri": path,
        "url": f"http://wiki.example{path}",
        "agent": "curl/8 (x y)",
        "authentication": "form",
        "account": "",
        "zone": zone,
    }
    return path, name, password, facts


@pytest.mark.parametrize("product", DOUBLES)
class TestScripts:
    def test_take_logins_where_the_product_does(self, product: str) -> None:
        taken = re.findall(r"^login (\S+) ", script_of(product), re.MULTILINE)
        for entry in yaml.safe_load((META / f"{product}.yml").read_text())["web"]["login_paths"]:
            assert fnmatch.filter(taken, entry["path"]), entry["path"]

    def test_hold_only_filters_there_are(self, product: str) -> None:
        known = set(re.findall(r'case "(\w+)" ->', (double.COMMON / "java/Text.java").read_text()))
        used = re.findall(r"\{[a-zA-Z.-]+((?:\|\w+)+)\}", script_of(product))
        assert {name for names in used for name in names.strip("|").split("|")} <= known


class TestJira:
    LOG = "log/atlassian-jira-security.log"

    def test_a_wrong_password_writes_two_lines_of_one_request_and_an_unknown_name_one(
        self, instance: Callable[..., Instance]
    ) -> None:
        jira = instance("jira")
        tries = [
            attempt("/login.jsp"),
            attempt("/login.jsp", "nobody"),
            attempt("/rest/tsv/1.0/authenticate", password=PASSWORD),
        ]
        assert jira.run(tries) == ["failed 200", "unknown 200", "succeeded 200"]
        seraph, failed, unknown, passed = jira.lines(self.LOG)
        head = rf"{STAMP}\+0000 {THREAD} anonymous (\d+x\d+x1) (\w{{6}}) {PEER} /login.jsp "
        told = "tried to login but they do not have USE permission or weren't found. Deleting remember me cookie."
        first = re.fullmatch(head + re.escape(f"login : 'anna' {told}"), seraph)
        second = re.fullmatch(head + r"The user 'anna' has FAILED authentication\.  Failure count equals 1", failed)
        assert first is not None
        assert second is not None
        assert first.groups() == second.groups()
        assert re.fullmatch(head + re.escape(f"login : 'nobody' {told}"), unknown)
        tsv = rf"{STAMP}\+0000 {THREAD} anna \S+ \S+ {PEER} /rest/tsv/1.0/authenticate "
        assert re.fullmatch(tsv + r"The user 'anna' has PASSED authentication\.", passed)

    def test_the_fourth_failure_needs_a_captcha_even_with_the_right_password(
        self, instance: Callable[..., Instance]
    ) -> None:
        jira = instance("jira")
        tries = [attempt("/rest/auth/1/session")] * 3 + [attempt("/rest/auth/1/session", "ANNA", PASSWORD)]
        assert jira.run(tries) == ["failed 401"] * 3 + ["barred 403"]
        lines = jira.lines(self.LOG)
        assert len(lines) == 7
        assert lines[-1].endswith(
            " The user 'anna' is required to answer a CAPTCHA elevated security check.  Failure count equals 4"
        )

    def test_addresses_are_the_header_without_blanks_and_the_peer(self, instance: Callable[..., Instance]) -> None:
        jira = instance("jira", "thread_url=true")
        jira.run([attempt("/login.jsp", "nobody", peer="10.0.0.5", forwarded="evil, 203.0.113.9")])
        (line,) = jira.lines(self.LOG)
        assert f"+0000 {THREAD} url: /login.jsp anonymous " in line
        assert " evil,203.0.113.9,10.0.0.5 /login.jsp login : 'nobody' " in line

    def test_no_line_but_the_first_of_a_name_begins_at_the_margin(self, instance: Callable[..., Instance]) -> None:
        jira = instance("jira")
        jira.run([attempt("/login.jsp", "a\nb\r\nc\rd\u2028e\\n{home}{user|json}")])
        entry = (jira.home / self.LOG).read_bytes().decode()
        assert "login : 'a\n    b\r\n    c\r    d\u2028    e\\n{home}{user|json}' tried" in entry

    def test_a_logger_that_is_off_writes_nothing(self, instance: Callable[..., Instance]) -> None:
        jira = instance("jira")
        assert jira.loggers is not None
        text = jira.loggers.read_text()
        jira.loggers.write_text(text.replace('login.security" level="INFO"', 'login.security" level="OFF"'))
        jira.run([attempt("/login.jsp")])
        assert [line.split(" ")[-1] for line in jira.lines(self.LOG)] == ["cookie."]


class TestConfluence:
    LOG = "logs/atlassian-confluence-security.log"
    LOGGER = "log4j.logger.com.atlassian.confluence.impl.security.login.DefaultLoginManager"

    def test_writes_no_login_as_it_comes(self, instance: Callable[..., Instance]) -> None:
        wiki = instance("confluence")
        went = wiki.run([attempt("/dologin.action", "nobody")] * 4 + [attempt("/dologin.action", password=PASSWORD)])
        assert went == ["unknown 200"] * 3 + ["barred 200", "succeeded 302"]
        assert not wiki.lines(self.LOG)
        assert not wiki.audit()

    def test_an_audit_entry_at_coverage_full(self, instance: Callable[..., Instance]) -> None:
        wiki = instance("confluence", "audit_security=full")
        hostile = 'x"},"source":"192.0.2.1","y":{"\n\\'
        tries = [
            attempt("/dologin.action", hostile, peer="10.0.0.5", forwarded="evil, 203.0.113.9"),
            attempt("/rest/tsv/1.0/authenticate", password=PASSWORD),
        ]
        wiki.run(tries)
        failed, passed = wiki.audit()
        assert failed["auditType"]["actionI18nKey"] == "audit.logging.summary.login.failed"
        assert failed["affectedObjects"] == [{"name": hostile, "type": "User"}]
        assert failed["source"] == "10.0.0.5"
        assert failed["extraAttributes"][-1]["nameI18nKey"] == "atlassian.audit.event.attribute.forwarder"
        assert failed["extraAttributes"][-1]["value"] == "evil, 203.0.113.9"
        assert passed["auditType"]["actionI18nKey"] == "audit.logging.summary.login.success"
        assert passed["affectedObjects"][0]["name"] == "anna"
        assert list(failed) == sorted(failed)

    def test_both_addresses_may_stand_in_one_field(self, instance: Callable[..., Instance]) -> None:
        wiki = instance("confluence", "audit_security=full", "audit_forwarded=source")
        wiki.run([attempt("/dologin.action", forwarded="203.0.113.9")])
        assert [entry["source"] for entry in wiki.audit()] == [f"203.0.113.9, {PEER}"]

    @pytest.mark.parametrize("coverage", ["advanced", "off"])
    def test_no_audit_entry_below_that(self, instance: Callable[..., Instance], coverage: str) -> None:
        wiki = instance("confluence", f"audit_security={coverage}")
        wiki.run([attempt("/dologin.action")])
        assert not wiki.audit()

    def test_full_audit_files_are_followed_by_others_and_the_oldest_go(self, instance: Callable[..., Instance]) -> None:
        wiki = instance("confluence", "audit_security=full", "audit_bytes=800", "audit_files=3", "patience=0")
        old = wiki.home / "log/audit/20260101.00007.audit.log"
        tree.write(old, "old\n")
        wiki.run([attempt("/dologin.action")] * 9)
        names = sorted(path.name.split(".")[1] for path in old.parent.iterdir())
        assert names == ["00002", "00003", "00004"]

    def test_the_next_day_begins_the_next_file(self, instance: Callable[..., Instance]) -> None:
        wiki = instance("confluence", "audit_security=full")
        zones = ("GMT-12", "GMT-12", "GMT+14")
        wiki.run([attempt("/dologin.action", f"in {zone}", zone=zone) for zone in zones])
        files = sorted((wiki.home / "log/audit").iterdir())
        assert [path.name.split(".", 1)[1] for path in files] == ["00000.audit.log"] * 2
        assert [path.read_text().count('"in GMT-12"') for path in files] == [2, 0]
        assert [path.read_text().count('"in GMT+14"') for path in files] == [0, 1]

    def test_several_lines_at_debug_in_the_security_log(self, instance: Callable[..., Instance]) -> None:
        wiki = instance("confluence")
        assert wiki.loggers is not None
        wiki.loggers.write_text(wiki.loggers.read_text() + f"{self.LOGGER}=DEBUG\n")
        wiki.run([attempt("/dologin.action", "an na\n9", forwarded="1.2.3.4, 5.6.7.8")])
        head, *rest = wiki.lines(self.LOG)
        name = r"\[impl\.security\.login\.DefaultLoginManager\] recordLoginFailure "
        assert re.fullmatch(rf"{STAMP} DEBUG \[{THREAD}\] {name}", head)
        assert rest == [
            "Failed login attempt for user 'anna9':",
            "  Request URL: http://wiki.example/dologin.action",
            "  User-Agent: curl/8(xy)",
            f"  Remote Address: {PEER}",
            "  X-Forwarded-For: 1.2.3.4,5.6.7.8",
            "",
        ]

    def test_at_info_only_when_a_captcha_is_required(self, instance: Callable[..., Instance]) -> None:
        wiki = instance("confluence", "patience=1")
        assert wiki.loggers is not None
        wiki.loggers.write_text(wiki.loggers.read_text() + f"{self.LOGGER}=INFO\n")
        wiki.run([attempt("/dologin.action")] * 2)
        assert " INFO " in wiki.lines(self.LOG)[0]
        assert sum("Remote Address" in line for line in wiki.lines(self.LOG)) == 1


class TestBitbucket:
    @pytest.mark.parametrize(
        ("coverage", "actions"), [("base", []), ("advanced", ["failure"]), ("full", ["failure", "success"])]
    )
    def test_audit_entries_by_coverage(
        self, instance: Callable[..., Instance], coverage: str, actions: list[str]
    ) -> None:
        git = instance("bitbucket", f"audit_security={coverage}")
        tries = [
            attempt("/j_atl_security_check", 'o"x', forwarded="203.0.113.9"),
            attempt("/j_atl_security_check", password=PASSWORD),
        ]
        assert git.run(tries) == ["unknown 200", "succeeded 302"]
        keys = [entry["auditType"]["actionI18nKey"] for entry in git.audit()]
        assert keys == [f"bitbucket.service.user.audit.action.authentication{action}" for action in actions]
        if actions:
            failed = git.audit()[0]
            assert failed["source"] == f"203.0.113.9,{PEER}"
            assert {item["name"]: item["value"] for item in failed["extraAttributes"]}["target"] == 'o"x'

    def test_two_lines_of_the_access_log_for_each_request(self, instance: Callable[..., Instance]) -> None:
        git = instance("bitbucket")
        git.run([attempt("/rest/tsv/1.0/authenticate")])
        asked, answered = git.lines("log/atlassian-bitbucket-access.log")
        assert asked.startswith(f"{PEER} | http | i@")
        assert answered.startswith(f"{PEER} | http | o@")
        assert " | - | " in answered.split('"')[0]
        assert " | 401 | " in answered


class TestBamboo:
    LOG = "logs/atlassian-bamboo.log"
    USER = "\nlogger.user.name = com.atlassian.bamboo.user\nlogger.user.level = DEBUG\n"

    def test_writes_failures_only_at_debug(self, instance: Callable[..., Instance]) -> None:
        bamboo = instance("bamboo")
        tries = [attempt("/userlogin.action", "o'x", peer="10.0.9.6", forwarded="192.168.56.1")]
        bamboo.run(tries)
        assert not [line for line in bamboo.lines(self.LOG) if "DEBUG" in line]
        assert bamboo.loggers is not None
        bamboo.loggers.write_text(bamboo.loggers.read_text() + self.USER)
        bamboo.run(tries)
        line = bamboo.lines(self.LOG)[-1]
        told = r"\[BambooAuthenticator\] User 'o'x' with IP address: 192\.168\.56\.1, 10\.0\.9\.6 failed to log in\."
        assert re.fullmatch(rf"{STAMP} DEBUG \[{THREAD} url: /userlogin\.action\] {told}", line)

    @pytest.mark.parametrize(("message", "name"), [("%m", "a\nb"), ("%enc{%m}{CRLF}", "a\\nb")])
    def test_the_layout_decides_on_line_breaks(
        self, instance: Callable[..., Instance], message: str, name: str
    ) -> None:
        bamboo = instance("bamboo")
        assert bamboo.loggers is not None
        text = bamboo.loggers.read_text().replace("%m%n", f"{message}%n")
        bamboo.loggers.write_text(text + self.USER)
        bamboo.run([attempt("/userlogin.action", "a\nb")])
        assert f"User '{name}' with" in (bamboo.home / self.LOG).read_text()


class TestCrowd:
    LOG = "logs/atlassian-crowd.log"

    def test_the_console_tells_names_and_no_addresses(self, instance: Callable[..., Instance]) -> None:
        crowd = instance("crowd")
        crowd.run([attempt("/console/login.action"), attempt("/console/login.action", "nobody")])
        told = [line.split("] ")[1] for line in crowd.lines(self.LOG) if "credentials" in line]
        assert told == [
            "Invalid credentials for user anna in directory Example Company (163841), aborting",
            "The user: 'anna' attempted to login with incorrect credentials",
            "The user: 'nobody' attempted to login with incorrect credentials",
        ]
        assert re.match(rf"{STAMP} {THREAD} INFO \[crowd\.console\.action\.Login\] ", crowd.lines(self.LOG)[-1])
        assert PEER not in (crowd.home / self.LOG).read_text()

    def test_a_name_that_failed_too_often_is_locked(self, instance: Callable[..., Instance]) -> None:
        crowd = instance("crowd", "patience=1")
        went = crowd.run([attempt("/rest/usermanagement/1/session")] * 2)
        assert went == ["failed 400", "barred 400"]
        locked = "anna: Maximum allowed invalid password attempts has been reached."
        assert crowd.lines(self.LOG)[-1].endswith(f"[atlassian.crowd.directory.InternalDirectory] {locked}")
