# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What fail2ban prints, as releases 1.0.2 and 1.1.0 were seen to print it."""

from __future__ import annotations

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._fail2ban import jail_list
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._fail2ban_dump import (
    PROMPT,
    JailDump,
    differences,
    flaws_of_sshd,
    items,
    merged,
    not_covered,
    parse_answers,
    parse_dump,
    seconds,
    stray,
)

DUMP = """\
['set', 'dbpurgeage', '1d']
['add', 'sshd', 'auto']
['set', 'sshd', 'maxretry', 5]
['multi-set', 'sshd', 'addfailregex', ['^a <HOST>', '^b <HOST>']]
['set', 'sshd', 'addjournalmatch', '_SYSTEMD_UNIT=sshd.service', '+', '_COMM=sshd']
['set', 'sshd', 'addignoreip', '127.0.0.0/8', '::1']
['set', 'sshd', 'addlogpath', '/var/log/auth.log', 'head']
['set', 'sshd', 'addlogpath', '/var/log/secure', 'head']
['set', 'sshd', 'addaction', 'nftables']
['multi-set', 'sshd', 'action', 'nftables', [['actionban', 'nft add'], ['port', 'ssh'], ['type', 'multiport']]]
['add', 'mine', 'polling']
['config-error', "Jail 'x' skipped, because of wrong configuration: Unable to read the filter 'x'"]
['start', 'sshd']
ERROR: something else
"""
ANSWERS = (
    """\
Fail2Ban v1.0.2 reads log file that contains password failure report
and bans the corresponding IP addresses using firewall rules.

fail2ban> Status
|- Number of jail:\t2
`- Jail list:\tmine, sshd
fail2ban> 5
fail2ban> These IP addresses/networks are ignored:
|- 127.0.0.0/8
`- ::1
fail2ban> Sorry but the jail 'nojail' does not exist
"""
    + PROMPT
)


class TestDump:
    def test_is_read(self) -> None:
        dump = parse_dump(DUMP)
        sshd = dump.jails["sshd"]
        assert dump.server == {"dbpurgeage": "1d"}
        assert (sshd.backend, sshd.values["maxretry"]) == ("auto", 5)
        assert sshd.logs == ["/var/log/auth.log", "/var/log/secure"]
        assert sshd.ignore == ["127.0.0.0/8", "::1"]
        assert sshd.values["addfailregex"] == ["^a <HOST>", "^b <HOST>"]
        assert sshd.actions["nftables"]["port"] == "ssh"
        assert dump.logless == ["mine"]
        assert len(dump.errors) == 1

    @pytest.mark.parametrize("text", ["", "ERROR\n", "['set']\n", "[\n", "__import__('os').getcwd()\n", "[[]]\n"])
    def test_of_another_form_is_passed_over(self, text: str) -> None:
        assert parse_dump(text) == parse_dump("")

    def test_differences_are_named(self) -> None:
        wanted, actual = parse_dump(DUMP).jails["sshd"], parse_dump(DUMP.replace("5]", "50]")).jails["sshd"]
        assert differences(wanted, wanted) == []
        assert differences(wanted, actual) == [("maxretry", "5", "50")]
        assert differences(wanted, actual, ["bantime"]) == []

    def test_further_actions_are_none_and_others_are(self) -> None:
        wanted = JailDump("polling", {}, {"nftables": {"port": "1"}})
        assert differences(wanted, JailDump("polling", {}, {"nftables": {"port": "1"}, "mail": {}})) == []
        assert differences(wanted, JailDump("polling", {}, {"mail": {}})) == [("nftables[port]", "1", "not set")]


class TestServer:
    def test_answers_are_told_apart(self) -> None:
        answers = parse_answers(ANSWERS)
        assert jail_list(answers[0]) == ["mine", "sshd"]
        assert answers[1] == "5"
        assert items(answers[2]) == ["127.0.0.0/8", "::1"]
        assert answers[4] == ""

    def test_no_jails(self) -> None:
        assert jail_list("Status\n|- Number of jail:\t0\n`- Jail list:\t") == []

    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("600", 600),
            (600, 600),
            ("10m", 600),
            ("1d 12h", 129600),
            ("1w", 604800),
            ("-1", None),
            ("", None),
            ("x", None),
        ],
    )
    def test_times(self, text: object, value: int | None) -> None:
        assert seconds(text) == value

    def test_stray_values(self) -> None:
        dump = JailDump(
            "polling", {"maxretry": 5, "findtime": "10m", "addignoreip": ["192.0.2.0/24"], "addlogpath": ["/a"]}
        )
        right = {"maxretry": "5", "findtime": "600", "ignoreip": "|- 192.0.2.0/24", "logpath": "`- /a"}
        assert stray(dump, right) == []
        assert [entry[0] for entry in stray(dump, {**right, "maxretry": "9"})] == ["maxretry"]
        assert [entry[0] for entry in stray(dump, {})] == ["maxretry", "findtime", "ignoreip", "logpath"]


class TestIgnored:
    @pytest.mark.parametrize(
        ("words", "missing"),
        [
            (["192.0.2.0/24"], []),
            (["192.0.2.0/25", "192.0.2.128/25"], []),
            (["192.0.2.0/25"], ["192.0.2.0/24"]),
            (["example.org"], ["192.0.2.0/24"]),
            (["::/0"], ["192.0.2.0/24"]),
            ([], ["192.0.2.0/24"]),
        ],
    )
    def test_coverage(self, words: list[str], missing: list[str]) -> None:
        assert not_covered(["192.0.2.0/24"], words) == missing

    def test_nothing_is_taken_away(self) -> None:
        theirs = ["example.org", "192.0.2.0/24"]
        assert merged(theirs, ["192.0.2.7", "::1"]) == [*theirs, "::1"]
        assert merged(merged(theirs, ["::1"]), ["::1"]) == [*theirs, "::1"]


class TestSshd:
    @pytest.mark.parametrize(
        ("jail", "flaws"),
        [
            (None, ["jail sshd"]),
            (JailDump("systemd", {}, {"nftables": {"port": "ssh"}}), []),
            (JailDump("systemd", {}, {"iptables": {"port": "20:30"}}), []),
            (JailDump("systemd", {}, {"iptables-allports": {"actname": "iptables-allports", "port": "1"}}), []),
            (JailDump("systemd", {}, {"nftables": {"port": "2222"}}), ["its ports"]),
            (JailDump("auto", {}, {"nftables": {"port": "22"}}), ["its log"]),
            (JailDump("auto", {"addlogpath": ["/a"]}, {}), ["its action"]),
        ],
    )
    def test_what_keeps_it_from_working(self, jail: JailDump | None, flaws: list[str]) -> None:
        assert [flaw[0] for flaw in flaws_of_sshd(jail, [22])] == flaws
