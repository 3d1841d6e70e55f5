# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters over what products write, and over what somebody may write into it."""

from __future__ import annotations

import contextlib
import functools
import importlib
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.atlassian_dc.hardening.plugins.module_utils import _product_logs, _stored_config
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._versions import parse_version
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._products import load_products, product_data
from fidelity import login_lines
from hypothesis import given, settings
from hypothesis import strategies as st

SECRET = "c0rrect-h0rse-battery"  # noqa: S105 - what must not be shown
NAMES = (
    "from_cfg_xml", "from_dbconfig", "from_jvm_arguments", "from_product_log", "from_properties",
    "from_stored_settings", "merge_audit_coverage", "product_lifecycle", "version_compare",
)  # fmt: skip
DBCONFIG = "<c><jdbc-datasource><url>{url}</url><password>{password}</password></jdbc-datasource></c>"


def filter_named(name: str) -> Callable[..., Any]:
    module = importlib.import_module(f"ansible_collections.atlassian_dc.hardening.plugins.filter.{name}")
    found: Callable[..., Any] = module.FilterModule().filters()[name]
    return found


(
    from_cfg_xml, from_dbconfig, from_jvm_arguments, from_product_log, from_properties,
    from_stored_settings, merge_audit_coverage, product_lifecycle, version_compare,
) = map(filter_named, NAMES)  # fmt: skip


class TestVersions:
    @pytest.mark.parametrize(
        "ordered",
        [
            [
                "9.12",
                "9.12.1",
                "9.12.27",
                "10.3.0-EAP01",
                "10.3.0-EAP2",
                "10.3.0-m03",
                "10.3",
                "10.3.0.1",
                "10.30",
                "11",
            ],
        ],
    )
    def test_come_in_their_order(self, ordered: list[str]) -> None:
        shuffled = ordered[::2] + ordered[1::2]
        assert sorted(shuffled, key=parse_version) == ordered
        assert all(version_compare(a, b, "<") for a, b in zip(ordered, ordered[1:], strict=False))

    def test_zeros_at_the_end_say_nothing(self) -> None:
        assert version_compare("10.3", "10.3.0")
        assert not version_compare("10.3", "10.3.0", "!=")

    @pytest.mark.parametrize("text", ["", "latest", "v10.3", "10..3", "1" * 50, "10.3 ", "10.3\n", "²"])
    def test_what_is_none_is_told(self, text: str) -> None:
        with pytest.raises(AnsibleFilterError, match=r"version_compare: .* is no version"):
            version_compare(text, "10.3")

    def test_an_operator_that_there_is_none_of(self) -> None:
        with pytest.raises(AnsibleFilterError, match=r"operator must be one of ==, .*'=<'"):
            version_compare("1", "2", "=<")

    @given(st.text(max_size=40), st.text(max_size=40))
    def test_any_text(self, one: str, other: str) -> None:
        with contextlib.suppress(AnsibleFilterError):
            held = [version_compare(one, other, operator) for operator in ("<", "==", ">")]
            assert held.count(True) == 1


class TestLifecycle:
    def test_the_last_day_counts(self) -> None:
        found = product_lifecycle("10.3.26", "jira", day="2026-12-05")
        assert (found["supported"], found["days_left"], found["safe"], found["upgrade_to"]) == (True, 0, True, None)
        assert product_lifecycle("10.3.26", "jira", day="2026-12-06")["supported"] is False

    def test_a_line_between_those_repaired_has_to_be_left(self) -> None:
        found = product_lifecycle("10.7.4", "jira")
        assert (found["cycle"], found["safe"], found["upgrade_to"]) == ("10.7", False, "11.3.12")
        assert (found["supported"], found["days_left"]) == (None, None)

    def test_of_a_newer_line_nobody_tells(self) -> None:
        found = product_lifecycle("99.1", "jira", day="2026-11-28")
        assert (found["cycle"], found["supported"], found["safe"]) == (None, None, None)

    def test_lines_are_told_by_whole_numbers(self) -> None:
        assert product_lifecycle("10.30.1", "jira")["cycle"] is None

    @pytest.mark.parametrize("product", sorted(load_products()))
    def test_every_product_is_answered_or_named(self, product: str) -> None:
        try:
            assert product_lifecycle("1.0", product)["read"]
        except AnsibleFilterError as exc:
            assert f"product data of {product} tells no release lines" in str(exc)

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (("10.3", "jirra"), "no such product: 'jirra'"),
            (("ten", "jira"), "'ten' is no version"),
            ((10.3, "jira"), "the input must be text, found float"),
            (("10.3", "jira", "28.11.2026"), "is no day"),
        ],
    )
    def test_a_question_that_makes_no_sense(self, arguments: tuple[Any, ...], words: str) -> None:
        with pytest.raises(AnsibleFilterError, match=rf"product_lifecycle: .*{words}"):
            product_lifecycle(*arguments)


class TestCoverage:
    LEVELS = ("off", "base", "advanced", "full")

    @given(
        st.dictionaries(st.sampled_from(["security", "permissions"]), st.sampled_from(LEVELS)),
        st.dictionaries(st.sampled_from(["SECURITY", "END_USER_ACTIVITY"]), st.sampled_from(LEVELS)),
    )
    def test_raises_and_never_lowers(self, current: dict[str, str], wanted: dict[str, str]) -> None:
        merged = merge_audit_coverage(current, wanted)
        names = {name.lower().replace("_", "-"): level for name, level in wanted.items()}
        assert set(merged) == {*current, *names}
        for area, level in merged.items():
            asked = [self.LEVELS.index(told[area]) for told in (current, names) if area in told]
            assert self.LEVELS.index(level) == max(asked)
        assert merge_audit_coverage(merged, wanted) == merged

    def test_names_what_is_no_level(self) -> None:
        with pytest.raises(AnsibleFilterError, match=r"wanted: security: level must be one of off.*'all'"):
            merge_audit_coverage({"security": "base"}, {"security": "all"})
        with pytest.raises(AnsibleFilterError, match=r"wanted must be a dictionary, found list"):
            merge_audit_coverage({}, ["security"])


class TestSecretsAreShownOnlyWhenAsked:
    @pytest.mark.parametrize(
        ("read", "content"),
        [
            (
                from_dbconfig,
                DBCONFIG.format(url=f"jdbc:postgresql://db/j?user=j&amp;password={SECRET}", password=SECRET),
            ),
            (from_dbconfig, DBCONFIG.format(url=f"jdbc:postgresql://j:{SECRET}@db/j", password="")),
            (from_cfg_xml, f'<a><properties><property name="license.string">{SECRET}</property></properties></a>'),
            (from_properties, f"jdbc.password={SECRET}\nplugin.search.config.baseurl=http://x:{SECRET}@es:9200"),
            (from_jvm_arguments, f"-Djavax.net.ssl.keyStorePassword={SECRET} -javaagent:/a.jar=token={SECRET}"),
            (
                functools.partial(from_stored_settings, product="confluence", version="9.2.1"),
                f"<settings><webdavPassword>{SECRET}</webdavPassword><a><secret>{SECRET}</secret></a></settings>",
            ),
            (
                functools.partial(from_stored_settings, product="confluence", version="10.2.1"),
                json.dumps({"webdavPassword": SECRET, "list": [{"apiToken": SECRET}]}),
            ),
        ],
    )
    def test_in_every_form(self, read: Callable[..., Any], content: str) -> None:
        assert SECRET not in repr(read(content))
        assert SECRET in repr(read(content, secrets=True))

    def test_what_protects_a_secret_is_none(self) -> None:
        classes = {
            "jdbc.password.decrypter.classname": "com.atlassian.secrets.store.base64.Base64SecretStore",
            "jdbc.password": "{ATL_SECURED}",
            "hibernate.connection.password": "",
        }
        content = "".join(f'<property name="{name}">{value}</property>' for name, value in classes.items())
        assert from_cfg_xml(f"<a><properties>{content}</properties></a>")["properties"] == classes
        arguments = from_jvm_arguments("-Datlassian.pats.max.tokens.expiry.days=90 -Datlassian.recovery.password=x")
        assert arguments["properties"] == {
            "atlassian.pats.max.tokens.expiry.days": "90",
            "atlassian.recovery.password": "********",
        }


XML = (
    ("not closed", "<a>\n<b>", r"line 2: not well-formed XML"),
    ("entities", '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>\n<a>&x;</a>', "entities, refused"),
    ("laughs", '<!DOCTYPE a [<!ENTITY x "xxxxxxxx"><!ENTITY y "&x;&x;&x;">]><a>&y;</a>', "entities, refused"),
    ("an entity nobody has declared", "<a>&x;</a>", "entities, refused"),
    ("nested deeply", "<a>" * 5000 + "</a>" * 5000, "too many or too deeply nested"),
    ("many elements", f"<a>{'<b/>' * 60_000}</a>", "too many or too deeply nested"),
    ("huge", f"<a>{'x' * (5 * 1024 * 1024)}</a>", "has 5242887 characters; more than 4194304 are not read"),
    ("two documents", "<a/><b/>", "line 1: not well-formed XML"),
    ("nothing", "", "line 1: not well-formed XML"),
    ("characters that XML does not have", "<a>\x00\ud800</a>", "line 1: not well-formed XML"),
)


class TestXml:
    READERS = (
        from_dbconfig,
        from_cfg_xml,
        functools.partial(from_stored_settings, product="confluence", version="8.5"),
    )

    @pytest.mark.parametrize(("content", "words"), [row[1:] for row in XML], ids=[row[0] for row in XML])
    @pytest.mark.parametrize("read", READERS[:2], ids=["dbconfig", "cfg"])
    def test_what_is_broken_or_hostile_is_told(self, read: Callable[..., Any], content: str, words: str) -> None:
        with pytest.raises(AnsibleFilterError, match=words):
            read(content)

    def test_another_file_is_told(self) -> None:
        with pytest.raises(AnsibleFilterError, match=r"from_dbconfig: is no dbconfig.xml"):
            from_dbconfig("<a><properties/></a>")
        with pytest.raises(AnsibleFilterError, match=r"from_cfg_xml: .* has no element properties"):
            from_cfg_xml("<a><b/></a>")
        with pytest.raises(AnsibleFilterError, match=r"entry 2 of its properties is no property with a name"):
            from_cfg_xml('<a><properties><property name="x">1</property><property/></properties></a>')
        with pytest.raises(AnsibleFilterError, match=r"the input must be text, found bytes"):
            from_dbconfig(b"<a/>")

    @pytest.mark.parametrize("encoding", ["UTF-8", "utf-16", "ISO-8859-1", "no-such-encoding"])
    @pytest.mark.parametrize("before", ["", "\ufeff", "\n"])
    def test_text_is_read_whatever_it_says_of_its_encoding(self, encoding: str, before: str) -> None:
        content = f"{before}<?xml version='1.0' encoding='{encoding}'?>{DBCONFIG.format(url='jdbc:ü', password='')}"
        assert from_dbconfig(content)["jdbc-datasource"]["url"] == "jdbc:ü"

    def test_elements_that_occur_more_than_once_are_a_list(self) -> None:
        found = from_dbconfig("<c><jdbc-datasource><a/></jdbc-datasource><x>1</x><x><y>2</y></x><x>3</x></c>")
        assert found == {"jdbc-datasource": {"a": ""}, "x": ["1", {"y": "2"}, "3"]}

    @given(st.text())
    def test_any_text(self, content: str) -> None:
        for read in self.READERS:
            with pytest.raises(AnsibleFilterError):
                read(content)

    @given(st.recursive(st.text("a<>&;\"'![]-x \n"), lambda inner: st.lists(inner).map("<b>{}</b>".format)))
    def test_any_content(self, inner: str) -> None:
        try:
            found = from_dbconfig(f"<c><jdbc-datasource><x>1</x></jdbc-datasource>{inner}</c>")
        except AnsibleFilterError:
            return
        json.dumps(found)


class TestStoredSettings:
    def test_the_row_an_upgrade_has_left_is_refused(self) -> None:
        with pytest.raises(
            AnsibleFilterError, match=r"version 10\.1 keeps its settings as JSON in table plugin_setting"
        ):
            from_stored_settings("<settings/>", "confluence", "10.1")
        with pytest.raises(AnsibleFilterError, match=r"version 10\.0\.9 keeps its settings as XML in table bandana"):
            from_stored_settings("{}", "confluence", "10.0.9")

    def test_a_product_without_such_a_row(self) -> None:
        with pytest.raises(AnsibleFilterError, match=r"product data of jira tells no settings"):
            from_stored_settings("{}", "jira", "10.3")

    def test_either_form_says_the_same(self) -> None:
        xml = (
            "<settings><webSudoTimeout>15</webSudoTimeout><siteTitle>2026</siteTitle><allowRemoteApi>false</allowRemoteApi>"
            "<loginManagerSettings><enableElevatedSecurityCheck>true</enableElevatedSecurityCheck></loginManagerSettings>"
            "<maxRssItems>many</maxRssItems></settings>"
        )
        wanted = {
            "webSudoTimeout": 15,
            "siteTitle": "2026",
            "allowRemoteApi": False,
            "loginManagerSettings": {"enableElevatedSecurityCheck": True},
            "maxRssItems": "many",
        }
        assert from_stored_settings(xml, "confluence", "9.2.4") == wanted
        assert from_stored_settings(json.dumps(wanted), "confluence", "10.2.4") == wanted

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            ('{"a":\n 1,}', "line 2, column "),
            ("[1]", "holds no settings"),
            ("[" * 200_000, "nested too deeply|not JSON"),
            ('{"a": ' * 5000, "nested too deeply|not JSON"),
            ('{"a": NaN}', "a number that JSON does not have"),
            ('{"a": ' + "9" * 1_000_000 + "}", "more than 30 digits"),
            ('{"a": "' + "x" * 5_000_000 + '"}', "more than 4194304 are not read"),
        ],
    )
    def test_json_that_is_broken_or_hostile_is_told(self, content: str, words: str) -> None:
        with pytest.raises(AnsibleFilterError, match=words):
            from_stored_settings(content, "confluence", "10.2.4")

    def test_characters_no_report_can_hold_are_replaced(self) -> None:
        found = from_stored_settings('{"a\\ud800": "\\u0000"}', "confluence", "10.2.4")
        assert found == {"a\ufffd": "\ufffd"}


class TestJvmArguments:
    def test_the_last_one_wins(self) -> None:
        found = from_jvm_arguments(["-Xmx1g", "-Dx=1", "-XX:+UseG1GC", "-Xmx768M", "-Dx=2", "-XX:-UseG1GC"])
        assert found["memory"] == {"initial": None, "maximum": 768 * 1024**2, "stack": None}
        assert found["properties"] == {"x": "2"}
        assert found["flags"] == {"UseG1GC": False}

    def test_a_whole_command(self) -> None:
        command = "/usr/bin/java -cp /a.jar -XX:MaxMetaspaceSize=512m -agentlib:jdwp=x -Xloggc:/gc -ea Main -Dnot=ours"
        found = from_jvm_arguments(command)
        assert found["flags"] == {"MaxMetaspaceSize": "512m"}
        assert (found["agents"], found["others"], found["properties"]) == (
            ["-agentlib:jdwp=x"],
            ["-Xloggc:/gc", "-ea"],
            {},
        )

    @pytest.mark.parametrize("size", ["", "x", "1x", "1gg", "-1g", "9" * 5000 + "g", "²"])
    def test_a_size_that_is_none_is_another_argument(self, size: str) -> None:
        assert from_jvm_arguments([f"-Xmx{size}"])["others"] == [f"-Xmx{size}"]

    @given(
        st.one_of(st.text(), st.lists(st.one_of(st.text(), st.text().map("-D{}".format), st.text().map("-X{}".format))))
    )
    def test_any_arguments(self, arguments: Any) -> None:
        json.dumps(from_jvm_arguments(arguments))

    def test_what_is_neither(self) -> None:
        with pytest.raises(AnsibleFilterError, match=r"from_jvm_arguments: each word must be text, found int"):
            from_jvm_arguments(["-Xmx1g", 1])


class TestProperties:
    def test_an_escape_that_java_refuses_is_told_with_its_line(self) -> None:
        with pytest.raises(AnsibleFilterError, match=r"from_properties: line 3: a \\u escape"):
            from_properties("a=1\n# x\nb=\\u12\n")

    @given(st.text())
    def test_any_text(self, content: str) -> None:
        try:
            found = from_properties(content)
        except AnsibleFilterError:
            return
        json.dumps(found).encode()


LOGS = {
    "jira": "atlassian-jira-security.log",
    "confluence": "atlassian-confluence-security.log",
    "bitbucket": "20260123.00000.audit.log",
    "bamboo": "atlassian-bamboo.log",
    "crowd": "atlassian-crowd.log",
}
ACCESS = {
    ("jira", "access_log.2026-11-28"): (
        '192.0.2.9 546x1x1 anna [28/Nov/2026:09:06:01 +0000] "GET /login.jsp?x=1 HTTP/1.1" 200 512 31 "-"'
        ' "curl/8 \\"x\\"" "ab1"'
    ),
    ("confluence", "conf_access_log.2026-11-28.log"): (
        "[28/Nov/2026:09:06:01 +0000] anna http-nio-8090-exec-3 192.0.2.9 GET /login.jsp?x=1 HTTP/1.1 200 31ms"
        " 512 - curl/8 x"
    ),
    ("bamboo", "access_log.2026-11-28"): (
        '192.0.2.9 [28/Nov/2026:09:06:01 +0000] "GET /login.jsp?x=1 HTTP/1.1" 200 512 31 "-" "curl/8"'
    ),
    ("crowd", "crowd_access.2026-11-28.log"): (
        '192.0.2.9 anna [28/Nov/2026:09:06:01 +0000] "GET /login.jsp?x=1 HTTP/1.1" 200 512 31'
        ' /login.jsp exec-3 "curl/8"'
    ),
}


class TestLogs:
    @pytest.mark.parametrize(("product", "file"), ACCESS)
    def test_access_logs(self, product: str, file: str) -> None:
        (event,) = from_product_log(ACCESS[product, file], product, f"/some/where/{file}")
        assert "text" not in event
        assert event["addresses"] == "192.0.2.9"
        assert event["time"] == "[28/Nov/2026:09:06:01 +0000]"
        assert (event["status"], event["bytes"], event["duration"]) == ("200", "512", "31")
        assert event["user_agent"].startswith("curl/8")
        assert "/login.jsp" in event.get("request", event.get("path", ""))
        assert event.get("user", "anna") == "anna"

    def test_names_with_blanks_stay_in_their_column(self) -> None:
        line = ACCESS["jira", "access_log.2026-11-28"].replace("anna", 'a 200 "GET / HTTP/1.1" b')
        (event,) = from_product_log(line, "jira", "access_log.x")
        assert (event["user"], event["status"]) == ('a 200 "GET / HTTP/1.1" b', "200")

    def test_failed_logins_of_published_lines(self) -> None:
        """Whoever the filters of fail2ban find in a published line is found here too, where both read one log."""
        found: dict[str, int] = dict.fromkeys(LOGS, 0)
        for sample in login_lines.samples():
            product = next((source.partition("/")[0] for source, _address in sample.found), None)
            sources = {source.partition("/")[2] for source, _address in sample.found}
            if sample.kind not in ("genuine", "completed") or product not in LOGS or sources & {"seraph", "clients"}:
                continue
            file = LOGS[product]
            if sources == {"audit"}:
                file = "20260123.00000.audit.log"
            events = from_product_log("\n".join(sample.lines), product, file)
            failed = [event for event in events if event["event"] == "login_failed"]
            assert failed, sample
            found[product] += len(failed)
        assert all(found[product] for product in ("jira", "bitbucket", "bamboo")), found

    def test_crowd_and_those_who_are_locked_out(self) -> None:
        lines = [
            "2026-11-28 09:06:01,123 http-nio-8095-exec-1 INFO [c.a.c.m.Login] The user: 'x y' attempted to login"
            " with incorrect credentials",
            "2026-11-28 09:06:01,124 http-nio-8095-exec-1 INFO [c.a.c.m.Login] anna: Maximum allowed invalid password"
            " attempts has been reached.",
        ]
        failed, locked = from_product_log(lines, "crowd", "atlassian-crowd.log")
        assert (failed["event"], failed["name"], failed["level"]) == ("login_failed", "x y", "INFO")
        assert (locked["event"], locked["line"]) == ("locked_out", 2)

    def test_lines_of_a_failure_that_belong_together(self) -> None:
        text = (
            "  X-Forwarded-For: cut off\n"
            "2026-11-28 09:06:01,123 DEBUG [http-nio-8090-exec-1] [security.login.DefaultLoginManager] log Failed"
            " login attempt for user 'anna':\n  Remote Address: 10.0.9.6\n  X-Forwarded-For: 198.51.100.7\n"
        )
        first, failed = from_product_log(text, "confluence", "atlassian-confluence-security.log")
        assert first == {"line": 1, "event": None, "text": "  X-Forwarded-For: cut off"}
        assert (failed["event"], failed["name"]) == ("login_failed", "anna")
        assert failed["more"] == ["  Remote Address: 10.0.9.6", "  X-Forwarded-For: 198.51.100.7"]

    def test_nobody_can_forge_an_event_of_somebody_else(self) -> None:
        name = "x' with IP address: 192.0.2.66 failed to log in.\u2028\f[BambooAuthenticator] User 'anna"
        line = (
            f"2026-11-28 09:06:01,123 DEBUG [exec-1] [BambooAuthenticator] User '{name}' with IP address: 198.51.100.7"
            " failed to log in."
        )
        (event,) = from_product_log(line, "bamboo", "atlassian-bamboo.log")
        assert (event["name"], event["addresses"]) == (name, "198.51.100.7")

    @pytest.mark.parametrize(
        "line",
        [
            '172.24.12.153 | https | o@PZQFBCx921x19253x0 | - | 2015-09-09 15:21:08,437 | "GET /status HTTP/1.1" | "" '
            '"" | 200 | 0 | 19 | - | 6 | 1irez8i |',
            '172.24.12.153 | https | o@PZQFBCx921x19253x0 | - | 2015-09-09 15:21:08,437 | "GET /status HTTP/1.1" | "" '
            '"a | b | 5" | 200 | 0 | 19 | - | 6 | 1irez8i |',
        ],
    )
    def test_columns_with_lines_between(self, line: str) -> None:
        (event,) = from_product_log(line, "bitbucket", "atlassian-bitbucket-access.log")
        assert (event["status"], event["session_id"], event["request"]) == ("200", "1irez8i", '"GET /status HTTP/1.1"')

    def test_a_column_too_few_leaves_out_what_cannot_be_told(self) -> None:
        line = "172.24.36.105 | ssh | o*N65x1 | bob | 2015-03-02 05:54:25,425 | SSH - git '/f.git' | - | 0 | 123 | 1"
        (event,) = from_product_log(line, "bitbucket", "atlassian-bitbucket-access.log")
        assert event["user"] == "bob"
        assert "status" not in event

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (("x", "jira", "messages"), "jira has no log 'messages'; known are .*atlassian-jira-security.log"),
            (("x", "jira", "catalina.out"), "catalina.out: how its lines look is not known"),
            (([1], "jira", "atlassian-jira-security.log"), "each line must be text, found int"),
            ((None, "jira", "atlassian-jira-security.log"), "the input must be text, found NoneType"),
        ],
    )
    def test_what_cannot_be_read_is_told(self, arguments: tuple[Any, ...], words: str) -> None:
        with pytest.raises(AnsibleFilterError, match=rf"from_product_log: {words}"):
            from_product_log(*arguments)

    def test_a_log_without_end_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(_product_logs, "MAX_TEXT", 10)
        with pytest.raises(AnsibleFilterError, match=r"has 11 characters; more than 10 are not read"):
            from_product_log("x" * 11, "jira", "atlassian-jira-security.log")

    @pytest.mark.parametrize("product", sorted(load_products()))
    def test_every_described_log_has_a_grammar_that_can_be_used(self, product: str) -> None:
        for form in (product_data(product).get("log_formats") or {}).values():
            if "grammar" in form:
                assert isinstance(_product_logs.parse_log("x\n{}\n", form), list)

    @settings(deadline=None, max_examples=30)
    @given(st.text(max_size=300))
    def test_any_text(self, text: str) -> None:
        for product, file in [*LOGS.items(), *ACCESS, ("bitbucket", "atlassian-bitbucket-access.log")]:
            events = from_product_log(text, product, file)
            json.dumps(events).encode()
            assert all(event["event"] is None for event in events)

    @pytest.mark.parametrize(
        "piece", ["x ", " [", "] [", '" "', "\\", "1x1", " 1x1x1", " | ", "' ", " url: x", '{"a":']
    )
    def test_hostile_lines_take_no_time(self, piece: str) -> None:
        stamp = "2026-11-28 09:06:01,123 "
        line = piece * (_product_logs.MAX_LINE // len(piece))
        begun = time.process_time()
        for product, file in [*LOGS.items(), *ACCESS, ("bitbucket", "atlassian-bitbucket-access.log")]:
            for start in ("", stamp, f"{stamp}DEBUG [", f"{stamp}x ", "[28/Nov/2026:09:06:01 +0000] ", '1 1 1 [1] "'):
                from_product_log(start + line, product, file)
        assert time.process_time() - begun < 20  # milliseconds each; hours, if a piece were tried in several ways


def test_texts_without_end_are_refused_by_all() -> None:
    assert _stored_config.MAX_TEXT < 5_000_000
    for read in (from_properties, from_jvm_arguments, from_dbconfig, from_cfg_xml):
        with pytest.raises(AnsibleFilterError, match=r"has 5000000 characters; more than 4194304 are not read"):
            read("x" * 5_000_000)
