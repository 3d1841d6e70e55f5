# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which jails are wanted, and the files they stand in."""

from __future__ import annotations

import configparser
import dataclasses
import glob
import itertools
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._fail2ban_jails import (
    EMPTY_LOG,
    LOGS_SCRIPT,
    LOGS_SERVICE,
    OFF,
    PROXY_JAIL,
    Jail,
    JailsError,
    Limits,
    Networks,
    Product,
    filter_files,
    http_ports,
    in_scratch,
    log_pattern,
    networks_of,
    product_jails,
    proxy_jail,
    render_defaults,
    render_jails,
    render_section,
    render_server,
    render_watcher,
    safe_name,
    sshd_jail,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._firewall_rules import RulesError
from unit.fail2ban.banning_host import AUDIT, JIRA, SECURITY

LIMITS = Limits(failures=5, find_time=600, ban_time=3600, max_ban_time=604800)
NETWORKS = Networks(ignore=("127.0.0.0/8", "::1", "192.0.2.1"), proxies=())
PRODUCT = Product("jira", (SECURITY, AUDIT))


def parsed(text: str) -> configparser.ConfigParser:
    """Return a file as Python reads it, as fail2ban does."""
    parser = configparser.ConfigParser(inline_comment_prefixes=(";",))
    parser.read_string(text)
    return parser


def jail(**changes: Any) -> Jail:
    [first, _second] = product_jails(JIRA, PRODUCT, NETWORKS, LIMITS, ())
    return dataclasses.replace(first, **changes)


class TestNetworks:
    def test_everybody_who_counts_is_never_banned(self) -> None:
        lists = {"admins": ["192.0.2.0/26"], "proxies": ["192.0.2.80"], "peers": None, "ignore": []}
        found = networks_of(lists, ["192.0.2.10", "127.0.0.1", "::1", "2001:db8::10", "fe80::1"], ["192.0.2.80"])
        wanted = ("127.0.0.0/8", "::1", "192.0.2.0/26", "192.0.2.80", "192.0.2.10", "2001:db8::10")
        assert found.ignore == wanted
        assert found.everybody is None

    def test_a_proxy_on_the_host_itself_is_believed_too(self) -> None:
        assert networks_of({}, [], ["192.0.2.80"]).proxies == ("192.0.2.80", "127.0.0.0/8", "::1")

    @pytest.mark.parametrize("proxies", [None, []])
    def test_without_proxies_nobody_is_believed(self, proxies: list[str] | None) -> None:
        assert networks_of({}, [], proxies).proxies == ()

    def test_any_is_told(self) -> None:
        assert networks_of({"admins": ["any"], "peers": ["192.0.2.1"]}, [], None).everybody == "admins"

    def test_what_is_no_network_is_named(self) -> None:
        with pytest.raises(RulesError, match=r"peers\[0\]"):
            networks_of({"peers": ["192.0.2.300"]}, [], None)


class TestNames:
    @pytest.mark.parametrize("name", ["jira", "jira-2_b"])
    def test_plain_ones_stay(self, name: str) -> None:
        assert safe_name(name) == name

    @pytest.mark.parametrize("name", ["jira/a", "jira a", "jira.a", "ĵira", "a]\nb", "%(x)s", "\udcff", "x" * 300])
    def test_odd_ones_are_safe_and_differ(self, name: str) -> None:
        safe = safe_name(name)
        assert all(letter.isascii() and (letter.isalnum() or letter in "-_") for letter in safe)
        assert len(safe) <= 47
        assert safe != safe_name(f"{name} ")

    def test_those_that_look_alike_differ(self) -> None:
        assert len({safe_name("jira/a"), safe_name("jira a"), safe_name("jira-a")}) == 3


class TestLogs:
    @pytest.mark.parametrize("folder", ["/srv/jira", "/srv/ji[r]a*?", "/srv/100%", "/srv/a b", "/srv/#x"])
    def test_pattern_finds_what_lies_in_the_folder_and_nothing_else(self, tmp_path: Path, folder: str) -> None:
        home = tmp_path / folder.lstrip("/")
        (home / "log").mkdir(parents=True)
        (home / "log/a.log").touch()
        (tmp_path / "srv/jira/log").mkdir(parents=True, exist_ok=True)
        (tmp_path / "srv/jira/log/b.log").touch()
        found = glob.glob(log_pattern(str(home), "log/a*.log"))
        assert found == [str(home / "log/a.log")]

    @pytest.mark.parametrize("folder", ["/a\nb", "/a;b", "/a\\b", "/a<b>", "/a\x7f"])
    def test_what_would_be_read_otherwise_is_refused(self, folder: str) -> None:
        with pytest.raises(JailsError, match="cannot be written"):
            log_pattern(folder, "log/x.log")


class TestProducts:
    def test_a_jail_for_each_source(self) -> None:
        jails = product_jails(JIRA, PRODUCT, NETWORKS, LIMITS, (443,))
        assert [item.name for item in jails] == ["atlassian-dc-jira-security", "atlassian-dc-jira-audit"]
        assert {item.ports for item in jails} == {(443, 8080)}
        assert sorted(filter_files(jails)) == [
            "filter.d/atlassian-dc-jira-audit.conf",
            "filter.d/atlassian-dc-jira-security.conf",
        ]

    def test_only_ports_that_users_reach(self) -> None:
        entries = [
            {"port": 1, "from": "proxy", "open": False},
            {"port": None, "from": "proxy", "open": True},
            {"port": 2, "from": "proxy", "open": None},
            {"port": 3, "from": "peers", "open": True},
        ]
        assert http_ports({"ports": entries}) == {2}
        assert http_ports({"ports": None}) == set()

    def test_all_ports_where_those_are_not_known(self) -> None:
        [first, *_rest] = product_jails({**JIRA, "ports": None}, PRODUCT, NETWORKS, LIMITS, (443,))
        assert first.ports == ()
        assert "type=allports" in render_section(first)

    def test_none_without_the_folder(self) -> None:
        assert product_jails({**JIRA, "home_dir": None}, PRODUCT, NETWORKS, LIMITS, ()) == []

    def test_two_instances_of_a_product_share_filters(self) -> None:
        jails = [
            item
            for name in ("jira", "jira-b")
            for item in product_jails({**JIRA, "name": name}, PRODUCT, NETWORKS, LIMITS, ())
        ]
        assert len({item.name for item in jails}) == 4
        assert len(filter_files(jails)) == 2

    def test_that_of_a_proxy(self) -> None:
        made = proxy_jail(["/var/log/nginx/*.log"], {443, 80}, {"jira": ["/login.jsp"]}, NETWORKS, LIMITS)
        assert (made.name, made.ports, made.logs) == (PROXY_JAIL, (80, 443), ("/var/log/nginx/*.log",))


class TestFiles:
    def test_sections_say_everything_themselves(self) -> None:
        section = parsed(render_jails([jail(logs=("/srv/100%/a b.log",))]))["atlassian-dc-jira-security"]
        assert section["logpath"].split("\n") == ["/srv/100%/a b.log head", f"{EMPTY_LOG} head"]
        assert section["ignoreip"].split() == list(NETWORKS.ignore)
        assert section["backend"] == "polling"
        assert section["usedns"] == "no"
        assert section["maxretry"] == "5"
        assert section["bantime.increment"] == "true"

    def test_longest_ban_is_not_shorter_than_the_first(self) -> None:
        limits = dataclasses.replace(LIMITS, max_ban_time=60)
        assert "bantime.maxtime = 3600" in render_section(jail(limits=limits))
        assert "dbpurgeage = 90000" in render_server(limits)

    def test_further_actions_stand_beside_the_own(self) -> None:
        section = parsed(render_section(jail(actions=("tell[host=proxy1]",))))["atlassian-dc-jira-security"]
        assert section["action"].split("\n")[1:] == ["tell[host=proxy1]"]

    def test_that_of_ssh_reads_the_journal(self) -> None:
        section = parsed(render_section(sshd_jail([2222, 22], NETWORKS, LIMITS)))["sshd"]
        assert section["backend"] == "systemd"
        assert "_UID=0" in section["journalmatch"]
        assert 'port="22,2222"' in section["action"]
        assert "logpath" not in section

    def test_off_is_off(self) -> None:
        assert parsed(OFF)["sshd"]["enabled"] == "false"

    def test_defaults_say_nothing_but_who_is_never_banned(self) -> None:
        parser = parsed(render_defaults(["127.0.0.1", "a.example.org"]))
        assert dict(parser.defaults()) == {"ignoreip": "127.0.0.1\na.example.org"}

    @pytest.mark.parametrize(
        "changes",
        [{"filter_text": "x"}, {"ports": (1,)}, {"ignore": ()}, {"limits": dataclasses.replace(LIMITS, failures=6)}],
    )
    def test_running_jail_tells_from_what_it_was_made(self, changes: dict[str, Any]) -> None:
        assert jail(**changes).digest != jail().digest
        assert f"rendered={jail().digest}" in render_section(jail())

    def test_copies_read_an_empty_log_of_their_own(self) -> None:
        files = in_scratch({"a": render_section(jail())}, "/tmp/100%/empty.log")
        assert "/tmp/100%/empty.log head" in parsed(files["a"])["atlassian-dc-jira-security"]["logpath"]
        assert EMPTY_LOG not in files["a"]


class TestWatcher:
    def test_all_jails_with_logs_are_loaded(self) -> None:
        jails = [
            *product_jails({**JIRA, "home_dir": "/srv/[a] 100%"}, PRODUCT, NETWORKS, LIMITS, ()),
            jail(name="x", logs=("/a/*/b/*.log",)),
            sshd_jail([22], NETWORKS, LIMITS),
        ]
        files = render_watcher(jails)
        assert "in atlassian-dc-jira-security atlassian-dc-jira-audit x; do" in files[LOGS_SCRIPT]
        assert f"ExecStart=/bin/sh {LOGS_SCRIPT}" in files[LOGS_SERVICE].splitlines()

    def test_jails_are_loaded_anew_for_each_new_file_and_no_other(self, tmp_path: Path) -> None:
        home = tmp_path / "it's [a] $home"
        (home / "log").mkdir(parents=True)
        programs = {
            # Its first try fails; a file that comes up while the jails are loaded must not be missed.
            "fail2ban-client": "echo load >> ../calls; [ $(grep -c load ../calls) != 1 ] && touch log/c.log",
            "sleep": """
                echo sleep >> ../calls
                case $(grep -c sleep ../calls) in
                    2) touch log/a.log;;
                    7) touch log/d.log;;
                    9) mv log/d.log log/d.log.1; touch log/d.log;;
                    12) exit 1;;
                esac
            """,
        }
        for name, text in programs.items():
            (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
            (tmp_path / name).chmod(0o755)
        script = render_watcher([jail(logs=(log_pattern(str(home), "log/*.log"),))])[LOGS_SCRIPT]
        subprocess.run(
            ["/bin/sh", "-c", script], check=True, cwd=home, env={"PATH": f"{tmp_path}:{os.environ['PATH']}"}
        )
        calls = (tmp_path / "calls").read_text().split()
        rounds = [len(list(group)) for call, group in itertools.groupby(calls) if call == "sleep"]
        # Nothing to read; a.log, whose loading fails, then succeeds, then c.log; d.log; the new d.log.
        assert rounds == [2, 1, 1, 3, 2, 3]
