# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters for failed logins: over the lines that the fidelity tests give to fail2ban itself, and over hostile ones."""

from __future__ import annotations

import configparser
import functools
import ipaddress
import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.module_utils import _fail2ban_filters as filters
from fidelity import login_lines
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.fail2ban.address_spellings import ADDRESSES, member, members, networks, spellings

SOURCES = login_lines.sources()
SAMPLES = login_lines.samples()
DATES = {"Y": "[0-9]{4}", "b": "[A-Z][a-z]{2}", "f": "[0-9]{3}", "z": "[+-][0-9]{4}"}
ADDR = r"(?:(?:::ffff:)?(?P<ip4>[0-9]+(?:\.[0-9]+){3})|(?P<ip6>[0-9A-Fa-f:]+))"
GENEROUS = 20
"""Seconds. What takes a few milliseconds a line would take hours if it were tried in several ways."""


class Filter:
    """A filter as fail2ban works with it: cuts out the date, looks at as many lines at once as an entry may have."""

    def __init__(self, source: filters.Source, proxies: Sequence[str] = login_lines.PROXIES) -> None:
        date = re.sub("%([A-Za-z])", lambda part: DATES.get(part[1], "[0-9]{2}"), source.timestamp)
        date = date.replace("{EPOCH}", "[0-9]{10}")
        grouped = re.search(r"(?<!\\)\((?!\?)", date)
        self.date = re.compile(date if grouped else re.sub(r"^(\^?)(.*)$", r"\1(\2)", date))
        flags = re.MULTILINE if source.multiline > 1 else 0
        self.expressions = [
            re.compile(line.replace("<ADDR>", ADDR), flags) for line in filters.fail_expressions(source, proxies)
        ]
        self.lines = source.multiline

    def found(self, lines: Sequence[str]) -> Iterator[str]:
        """Yield the address of each failed login."""
        kept: list[str] = []
        for line in lines:
            date = self.date.search(line)
            kept = [*kept, line[: date.start(1)] + line[date.end(1) :] if date else line][-self.lines :]
            for expression in self.expressions:
                match = expression.search("\n".join(kept) + "\n")
                if match:
                    kept = []
                    yield str(ipaddress.ip_address(match["ip4"] or match["ip6"]))
                    break


@functools.cache
def filter_of(source: str) -> Filter:
    return Filter(SOURCES[source])


class TestSamples:
    @pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.place)
    def test_finds_who_failed_and_nobody_else(self, sample: login_lines.Sample) -> None:
        found = Counter((source, address) for source in SOURCES for address in filter_of(source).found(sample.lines))
        assert found == Counter(sample.found)

    def test_every_source_has_some_of_them(self) -> None:
        found = {(source, sample.kind) for sample in SAMPLES for source, _address in sample.found}
        assert {source for source, kind in found if kind == "constructed"} == set(SOURCES)
        assert {sample.kind for sample in SAMPLES} == set(login_lines.KINDS)
        assert {sample.place.split(".")[0] for sample in SAMPLES if sample.kind == "adversarial"} == {
            source.split("/")[0] for source in SOURCES
        }


# ---- the list of addresses -------------------------------------------------------------------------------------------
LINE = (
    "2026-06-09 05:11:11,681+0200 http-nio-8080-exec-17 anonymous 311x2831x1 1qvu69a {} /login.jsp "
    "The user 'admin' has FAILED authentication.  Failure count equals 1"
)
GARBAGE = st.one_of(
    st.sampled_from(
        ["", "unknown", "999.1.1.1", "10.0.0.1x", "x10.0.0.1", "10.0.0.1-", "12:30", "::", "[::1]", "1.2.3.4:80"]
    ),
    st.text(alphabet="0123456789abcdef.:%x'\"\\<>;#", max_size=20),
)


Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def last_stranger(elements: Sequence[str], trusted: Sequence[Network]) -> str | None:
    """Return the last address that is no trusted proxy, as plain Python has it; nothing if that is no address."""
    for element in reversed(elements):
        text, zone, name = element.partition("%")
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            return None
        if zone and not re.fullmatch("[0-9A-Za-z_.-]+", name):
            return None
        if any(member(element, network) for network in trusted):
            continue
        if isinstance(address, ipaddress.IPv6Address) and "." in text:
            # Of IPv6 addresses that end like an IPv4 one fail2ban reads those in the usual spelling.
            return str(address.ipv4_mapped) if text.startswith("::ffff:") else None
        return str(address)
    return None


@st.composite
def lists(draw: st.DrawFn) -> tuple[list[str], list[Network]]:
    """Draw a list of strangers, proxies and garbage, and the trusted networks."""
    trusted = draw(st.lists(networks(), max_size=3))
    kinds = [ADDRESSES.flatmap(spellings), GARBAGE, *(members(network).flatmap(spellings) for network in trusted)]
    return draw(st.lists(st.one_of(kinds), min_size=1, max_size=6)), trusted


class TestList:
    @settings(deadline=None)
    @given(lists())
    def test_the_last_stranger_counts(self, drawn: tuple[list[str], list[Network]]) -> None:
        elements, trusted = drawn
        tried = Filter(SOURCES["jira/security"], [str(network) for network in trusted])
        stranger = last_stranger(elements, trusted)
        assert list(tried.found([LINE.format(",".join(elements))])) == [stranger] * (stranger is not None)

    def test_without_proxies_the_last_address_counts(self) -> None:
        tried = Filter(SOURCES["jira/security"], [])
        assert list(tried.found([LINE.format("198.51.100.66,10.0.9.6")])) == ["10.0.9.6"]
        assert list(tried.found([LINE.format("198.51.100.66,unknown")])) == []

    def test_eight_kilobytes_of_commas(self) -> None:
        line = LINE.format("," * 8000 + "192.0.2.1,10.0.9.6")
        assert list(filter_of("jira/security").found([line])) == ["192.0.2.1"]

    def test_a_thousand_proxies(self) -> None:
        proxies = [f"10.{number // 200}.{number % 200}.0/25" for number in range(500)]
        proxies += [f"2001:db8:{number:x}::/57" for number in range(500)]
        tried = Filter(SOURCES["jira/security"], proxies)
        assert list(tried.found([LINE.format("192.0.2.1,2001:db8:0:0:0:0:0:1,10.2.99.127")])) == ["192.0.2.1"]
        assert list(tried.found([LINE.format("192.0.2.1,2001:db8:0:80:0:0:0:1,10.2.99.127")])) == ["2001:db8:0:80::1"]
        assert len(filters.render_filter(SOURCES["jira/security"], proxies)) < 500_000

    def test_without_proxies_nothing_is_taken_for_one(self) -> None:
        source = SOURCES["confluence/debug"]
        assert len(filters.fail_expressions(source, [])) == 1
        assert len(filters.fail_expressions(source, ["10.0.0.1"])) == 2

    def test_what_is_no_network_is_refused(self) -> None:
        with pytest.raises(ValueError, match="does not appear to be"):
            filters.render_filter(SOURCES["jira/security"], ["10.0.0.1\nfailregex = <HOST>"])


# ---- how long it takes -----------------------------------------------------------------------------------------------
class TestTime:
    @pytest.mark.parametrize("source", sorted(SOURCES))
    def test_long_lines_of_the_same_again_and_again(self, source: str) -> None:
        started = time.process_time()
        for line in login_lines.hostile_lines(source):
            list(filter_of(source).found([line]))
            assert time.process_time() - started < GENEROUS, line[:200]

    @pytest.mark.parametrize("source", ["confluence/debug", "confluence/debug-main"])
    def test_long_lines_of_an_entry_of_several(self, source: str) -> None:
        entry = next(sample.lines for sample in SAMPLES if source in dict(sample.found))
        started = time.process_time()
        for place in range(len(entry)):
            for piece in login_lines.PIECES:
                lines = [line + login_lines.again(piece) * (number == place) for number, line in enumerate(entry)]
                list(filter_of(source).found(lines))
                assert time.process_time() - started < GENEROUS, piece


# ---- the file --------------------------------------------------------------------------------------------------------
class TestFile:
    @pytest.mark.parametrize("source", sorted(SOURCES))
    def test_reads_back_as_what_was_meant(self, source: str) -> None:
        # As fail2ban reads its configuration.
        parser = configparser.ConfigParser(inline_comment_prefixes=(";",))
        parser.read_string(filters.render_filter(SOURCES[source], login_lines.PROXIES))
        definition = parser["Definition"]
        meant = filters.fail_expressions(SOURCES[source], login_lines.PROXIES)
        assert definition["failregex"].split("\n") == [line.replace(";", r"\x3b") for line in meant]
        assert definition["ignoreregex"] == ""
        assert definition["datepattern"] == SOURCES[source].timestamp
        lines = parser.getint("Init", "maxlines") if parser.has_section("Init") else 1
        assert lines == SOURCES[source].multiline

    def test_names(self) -> None:
        assert filters.filter_name("jira", "security") == "atlassian-dc-jira-security"

    @pytest.mark.parametrize("source", sorted(SOURCES))
    def test_expressions_are_anchored_and_hold_no_tag_of_ours(self, source: str) -> None:
        for line in filters.fail_expressions(SOURCES[source], login_lines.PROXIES):
            assert line.startswith("^")
            assert line.endswith("$")
            assert "<HOST>" not in line
            assert line.count("<ADDR>") == 1
            assert not re.search("<(ADDRESS|ADDRESSES|PROXY)>", line)


class TestData:
    @pytest.mark.parametrize("product", sorted(login_lines.products()))
    def test_sources_and_logs_fit(self, product: str) -> None:
        data = login_lines.products()[product]
        entries = data.get("failed_logins") or []
        logs = {(log["tree"], log["path"]) for log in data["logs"] or []}
        names = [entry["name"] for entry in entries]
        assert len(names) == len(set(names))
        for entry in entries:
            assert (entry["tree"], entry["path"]) in logs
            assert entry.get("alternative_to", "audit") in names or "alternative_to" not in entry
            assert ("column" in entry) == any(filters.ADDRESSES_TAG in line for line in entry["lines"])
            assert all(("\\n" in line) == ("multiline" in entry) for line in entry["lines"])


class TestAccessLog:
    def test_login_paths_of_all_products_are_in_it(self) -> None:
        for name, data in login_lines.products().items():
            for path in (entry["path"].replace("*", "x") for entry in data.get("web", {}).get("login_paths", [])):
                line = f'192.0.2.1 - - [09/Jun/2026:05:11:11 +0200] "POST {path} HTTP/1.1" 401 0 "-" "-"'
                assert list(filter_of("proxy/access").found([line])) == ["192.0.2.1"], name

    def test_without_login_paths_there_are_no_logins(self) -> None:
        tried = Filter(filters.access_log_source({"jira": []}))
        line = '192.0.2.1 - - [09/Jun/2026:05:11:11 +0200] "GET /jira HTTP/1.1" 401 0 "-" "-"'
        assert list(tried.found([line])) == []

    @pytest.mark.parametrize("answer", [200, 302, 400, 404, 429, 500])
    def test_other_answers_do_not_count(self, answer: int) -> None:
        line = f'192.0.2.1 - - [09/Jun/2026:05:11:11 +0200] "POST /login.jsp HTTP/1.1" {answer} 0 "-" "-"'
        assert list(filter_of("proxy/access").found([line])) == []
