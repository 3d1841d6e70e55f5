# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module fail2ban on a host that is a folder."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.module_utils import _fail2ban_host
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._fail2ban import SERVICE
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._fail2ban_jails import (
    DEFAULTS,
    LOGS_SERVICE,
    OFF,
    PRODUCTS,
    SERVER,
    SSHD,
)
from ansible_collections.atlassian_dc.hardening.plugins.modules import fail2ban
from unit.fail2ban.banning_host import (
    ADMIN,
    DATA,
    JIRA,
    OWN,
    PEER,
    PROXY,
    SECURITY,
    BanningHost,
    changed,
    proof,
    reason,
    statuses,
)

LOGINS, SSH, NEVER = fail2ban.CONTROLS
PASS = {LOGINS: "pass", SSH: "pass", NEVER: "pass"}
FIXED = {LOGINS: "fixed", SSH: "fixed", NEVER: "fixed"}
FAIL = {LOGINS: "fail", SSH: "fail", NEVER: "fail"}
SECURITY_JAIL = "atlassian-dc-jira-security"


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BanningHost:
    made = BanningHost(tmp_path)
    monkeypatch.setattr(_fail2ban_host, "package_manager", made.manager)
    monkeypatch.setattr(fail2ban, "PATIENCE", 0)
    monkeypatch.setattr(_fail2ban_host, "PATIENCE", 0)
    return made


@pytest.fixture
def hardened(host: BanningHost) -> BanningHost:
    assert statuses(host.module()) == FIXED
    return host


class TestNewHost:
    def test_check_mode_predicts_what_a_run_does(self, host: BanningHost) -> None:
        before = host.files()
        predicted = host.module(check_mode=True)
        assert statuses(predicted) == FAIL
        assert host.files() == before
        real = host.module()
        assert real.changes.entries == predicted.changes.entries
        assert real.refused == predicted.refused == []
        assert ("package fail2ban", "existence") in changed(real)
        assert (f"unit {SERVICE}", "at boot") in changed(real)
        assert statuses(real) == FIXED

    def test_a_second_run_changes_nothing(self, hardened: BanningHost) -> None:
        files = hardened.files()
        again = hardened.module()
        assert changed(again) == []
        assert statuses(again) == PASS
        assert hardened.files() == files

    def test_nothing_but_asking_happens_in_check_mode(self, hardened: BanningHost) -> None:
        assert statuses(hardened.module(check_mode=True)) == PASS
        assert {tuple(argv[:2]) for argv in hardened.commands} == {
            ("systemctl", "show"),
            ("fail2ban-client", "-c"),
            ("fail2ban-client", "-i"),
        }

    def test_host_without_products_is_left_alone(self, host: BanningHost) -> None:
        module = host.module(instances=[])
        assert set(statuses(module).values()) == {"not_applicable"}
        assert changed(module) == []

    def test_system_whose_packages_nobody_knows(self, host: BanningHost) -> None:
        module = host.module(packages=None)
        assert set(statuses(module).values()) == {"not_checked"}
        assert changed(module) == []

    @pytest.mark.parametrize("enforce", [[LOGINS], [NEVER]])
    def test_the_jail_the_package_brings_is_off_until_it_is_known_whom_it_must_not_ban(
        self, host: BanningHost, enforce: list[str]
    ) -> None:
        options: dict[str, Any] = {"enforce": enforce, "admin_networks": None if enforce == [LOGINS] else [ADMIN]}
        predicted = host.module(check_mode=True, **options)
        real = host.module(**options)
        assert real.changes.entries == predicted.changes.entries
        assert host.read(SSHD) == OFF
        assert statuses(real)[SSH] == "fail"
        assert changed(host.module(**options)) == []

    def test_the_jail_that_was_off_is_put_right(self, host: BanningHost) -> None:
        host.module(enforce=[LOGINS], admin_networks=None)
        assert statuses(host.module())[SSH] == "fixed"


class TestRepairs:
    @pytest.mark.parametrize("name", [PRODUCTS, SSHD, DEFAULTS, SERVER])
    def test_of_files(self, hardened: BanningHost, name: str) -> None:
        right = hardened.read(name)
        hardened.etc(name, f"{right}# mine\n")
        judged = hardened.module(check_mode=True)
        control = {PRODUCTS: LOGINS, SSHD: SSH, DEFAULTS: NEVER, SERVER: LOGINS}[name]
        assert f"/etc/fail2ban/{name}" in [piece["what"] for piece in proof(judged, control)]
        real = hardened.module()
        assert real.changes.entries == judged.changes.entries
        assert statuses(real)[control] == "fixed"
        assert hardened.read(name) == right
        assert statuses(hardened.module()) == PASS

    def test_way_back_is_noted_before_files_and_loading_after_them(self, hardened: BanningHost) -> None:
        hardened.etc(PRODUCTS, "")
        targets = [target for target, _attribute in changed(hardened.module())]
        assert targets[0] == targets[-1] == SERVICE
        assert targets[1].endswith(PRODUCTS)

    def test_of_a_server_that_does_not_run(self, hardened: BanningHost) -> None:
        hardened.active.discard(SERVICE)
        assert statuses(hardened.module(check_mode=True)) == FAIL
        assert changed(hardened.module()) == [(f"unit {SERVICE}", "state")]
        assert statuses(hardened.module()) == PASS

    def test_of_a_server_that_no_boot_starts(self, hardened: BanningHost) -> None:
        hardened.enabled.discard(SERVICE)
        assert statuses(hardened.module()) == FIXED
        assert SERVICE in hardened.enabled

    @pytest.mark.parametrize(
        ("question", "answer"),
        [
            ("maxretry", "500"),
            ("bantime", "1"),
            ("bantime.increment", "False"),
            ("logpath", ""),
            ("action nftables rendered", "0123"),
        ],
    )
    def test_of_a_server_that_runs_something_else(self, hardened: BanningHost, question: str, answer: str) -> None:
        hardened.write("srv/jira home/log/atlassian-jira-security.log", "")
        hardened.load()
        hardened.said = {SECURITY_JAIL: {question: answer}}
        judged = hardened.module(check_mode=True)
        assert statuses(judged) == {**PASS, LOGINS: "fail"}
        assert statuses(hardened.module()) == {**PASS, LOGINS: "fixed"}

    def test_of_a_running_jail_that_may_ban_a_peer(self, hardened: BanningHost) -> None:
        hardened.said = {"sshd": {"ignoreip": f"|- {ADMIN}"}}
        assert statuses(hardened.module(check_mode=True)) == {**PASS, SSH: "fail", NEVER: "fail"}
        assert statuses(hardened.module()) == {**PASS, SSH: "fixed", NEVER: "fixed"}

    def test_of_the_unit_that_has_new_files_read(self, hardened: BanningHost) -> None:
        hardened.active.discard(LOGS_SERVICE)
        assert statuses(hardened.module()) == {**PASS, LOGINS: "fixed"}
        assert LOGS_SERVICE in hardened.active

    def test_of_ports_sets_up_the_action_anew(self, hardened: BanningHost) -> None:
        moved = {**JIRA, "ports": [{**JIRA["ports"][0], "port": 8443}]}
        module = hardened.module(instances=[moved])
        assert (f"jail {SECURITY_JAIL}", "ports") in changed(module)
        assert ["fail2ban-client", "reload", "--restart", SECURITY_JAIL] in hardened.commands

    def test_only_what_is_selected_is_judged_and_changed(self, hardened: BanningHost) -> None:
        hardened.etc(PRODUCTS, "")
        hardened.etc(SSHD, "[sshd]\nenabled = true\nbackend = systemd\n")
        module = hardened.module(controls=[SSH])
        assert statuses(module) == {SSH: "fixed"}
        assert hardened.read(PRODUCTS) == ""

    def test_a_waived_control_is_judged_and_left(self, hardened: BanningHost) -> None:
        hardened.etc(PRODUCTS, "")
        module = hardened.module(enforce=[SSH, NEVER])
        assert statuses(module)[LOGINS] == "fail"
        assert hardened.read(PRODUCTS) == ""


class TestOthers:
    def test_broken_file_is_named_and_nothing_touched(self, hardened: BanningHost) -> None:
        hardened.etc("jail.d/mine.conf", "no section\n")
        files, loaded = hardened.files(), hardened.loaded
        module = hardened.module(max_failures=9)
        assert statuses(module) == FAIL
        assert "/etc/fail2ban/jail.d/mine.conf" in reason(module, LOGINS)
        assert changed(module) == []
        assert (hardened.files(), hardened.loaded) == (files, loaded)

    def test_jail_without_a_log_keeps_everything_as_it_is(self, host: BanningHost) -> None:
        host.install()
        host.etc("jail.d/mine.conf", "[nginx-http-auth]\nenabled = true\n")
        module = host.module()
        assert statuses(module) == FAIL
        assert "broken without it too" in reason(module, LOGINS)
        assert "nginx-http-auth" in reason(module, LOGINS)
        assert changed(module) == []
        assert changed(host.module(check_mode=True)) == []

    def test_jail_without_a_log_fails_what_is_right_until_the_next_boot(self, hardened: BanningHost) -> None:
        hardened.etc("jail.d/mine.conf", "[nginx-http-auth]\nenabled = true\n")
        module = hardened.module()
        assert statuses(module) == FAIL
        assert "jail nginx-http-auth: none is there" in reason(module, SSH)
        assert changed(module) == []

    def test_ignoreip_is_added_to(self, host: BanningHost) -> None:
        host.install()
        host.etc("jail.local", "[DEFAULT]\nignoreip = backup.example.org 203.0.113.7\n")
        host.module()
        words = host.read(DEFAULTS).split()
        assert {"backup.example.org", "203.0.113.7", "127.0.0.0/8", ADMIN, PEER, OWN} <= set(words)
        assert changed(host.module()) == []

    def test_jail_with_an_ignoreip_of_its_own_is_named(self, hardened: BanningHost) -> None:
        hardened.write("var/log/nginx/error.log", "")
        mine = "[nginx-http-auth]\nenabled = true\nignoreip = 203.0.113.7\n"
        hardened.etc("jail.d/mine.conf", mine)
        hardened.load()
        module = hardened.module()
        assert statuses(module) == {**PASS, NEVER: "fail"}
        assert "/etc/fail2ban/jail.d/mine.conf" in str(proof(module, NEVER))
        assert hardened.read("jail.d/mine.conf") == mine
        assert changed(module) == []

    def test_later_override_is_named(self, hardened: BanningHost) -> None:
        hardened.etc("jail.d/zzz-mine.local", f"[{SECURITY_JAIL}]\nmaxretry = 5000\n")
        module = hardened.module()
        assert statuses(module) == {**PASS, LOGINS: "fail"}
        assert "5000 (overridden by /etc/fail2ban/jail.d/zzz-mine.local)" in str(proof(module, LOGINS))
        assert changed(hardened.module()) == []

    def test_server_that_forgets_bans_is_named(self, hardened: BanningHost) -> None:
        hardened.etc("fail2ban.d/zzz-mine.local", "[Definition]\ndbpurgeage = 1h\n")
        module = hardened.module()
        assert statuses(module) == {LOGINS: "fail", SSH: "fail", NEVER: "pass"}
        assert "1h (overridden" in str(proof(module, LOGINS))

    def test_jail_that_is_disabled_later_is_named(self, hardened: BanningHost) -> None:
        hardened.etc("jail.d/zzz-mine.local", f"[{SECURITY_JAIL}]\nenabled = false\n")
        assert "disabled by /etc/fail2ban/jail.d/zzz-mine.local" in str(proof(hardened.module(), LOGINS))

    def test_filter_that_takes_another_address_fails_both(self, hardened: BanningHost) -> None:
        hardened.etc("filter.d/atlassian-dc-jira-security.local", "[Definition]\nfailregex = <HOST>\n")
        hardened.load()
        assert statuses(hardened.module()) == {LOGINS: "fail", SSH: "pass", NEVER: "fail"}

    def test_jail_of_ssh_that_works_stays(self, host: BanningHost) -> None:
        host.install()
        host.etc("jail.local", "[sshd]\nenabled = true\nbackend = systemd\nport = 22\nmaxretry = 3\n")
        module = host.module()
        assert statuses(module) == FIXED
        assert not (host.root / "etc/fail2ban" / SSHD).exists()
        assert statuses(host.module()) == PASS

    @pytest.mark.parametrize("text", ["enabled = true\n", "enabled = true\nbackend = systemd\nport = 2222\n"])
    def test_jail_of_ssh_that_does_not_work_is_overridden(self, host: BanningHost, text: str) -> None:
        host.install()
        host.etc("jail.local", f"[sshd]\n{text}")
        assert statuses(host.module()) == FIXED
        assert "backend = systemd" in host.read(SSHD)

    def test_default_jail_that_works_is_not_turned_off(self, host: BanningHost) -> None:
        host.install()
        host.write("var/log/auth.log", "")
        host.module(admin_networks=None, enforce=[LOGINS])
        assert not (host.root / "etc/fail2ban" / SSHD).exists()


class TestRefusals:
    def test_masked_unit(self, hardened: BanningHost) -> None:
        hardened.active.discard(SERVICE)
        hardened.masked.add(SERVICE)
        module = hardened.module()
        assert statuses(module) == FAIL
        assert "systemctl unmask" in reason(module, LOGINS)
        assert changed(module) == []

    def test_name_that_does_not_resolve(self, host: BanningHost) -> None:
        entry = {"variable": "atlassian_dc_cluster_peers", "name": "node9", "why": "unknown"}
        module = host.module(unresolved=[entry])
        assert statuses(module) == FAIL
        assert "node9" in reason(module, NEVER)
        assert changed(module) == []

    def test_admin_networks_that_are_everybody(self, host: BanningHost) -> None:
        module = host.module(admin_networks=["any"])
        assert statuses(module) == FAIL
        assert changed(module) == []

    def test_connection_from_elsewhere_keeps_the_jail_of_ssh_off(self, host: BanningHost) -> None:
        predicted = host.module(check_mode=True, admin_networks=["198.51.100.0/24"])
        module = host.module(admin_networks=["198.51.100.0/24"])
        assert module.changes.entries == predicted.changes.entries
        assert statuses(module) == {LOGINS: "fixed", SSH: "fail", NEVER: "fixed"}
        assert ADMIN in reason(module, SSH)
        assert host.read(SSHD) == OFF

    @pytest.mark.parametrize(
        ("unset", "failed"),
        [("proxy_addresses", {LOGINS, NEVER}), ("admin_networks", {SSH, NEVER})],
    )
    def test_variables_that_are_not_set(self, host: BanningHost, unset: str, failed: set[str]) -> None:
        options: dict[str, Any] = {unset: None, "enforce": sorted(set(fail2ban.CONTROLS) - failed)}
        module = host.module(**options)
        found = statuses(module)
        assert {control for control, status in found.items() if status == "fail"} == failed
        assert all(f"atlassian_dc_{unset}: not set" in reason(module, control) for control in failed)


class TestProxies:
    def test_elsewhere_fails_and_detects_all_the_same(self, host: BanningHost) -> None:
        module = host.module(proxy_addresses=[PROXY])
        assert statuses(module) == {**FIXED, LOGINS: "fail"}
        assert f"reverse proxy {PROXY}" in str(proof(module, LOGINS))
        assert SECURITY_JAIL in host.read(PRODUCTS)
        assert PROXY in host.read(PRODUCTS)
        assert changed(host.module(proxy_addresses=[PROXY])) == []

    def test_elsewhere_is_told_whom_to_ban(self, host: BanningHost) -> None:
        relay = {"name": "proxy1", "addresses": [PROXY]}
        options: dict[str, Any] = {"proxy_addresses": [PROXY], "relays": [relay]}
        assert statuses(host.module(**options)) == FIXED
        assert host.read(PRODUCTS).count("atlassian-dc-relay[proxy=proxy1, ") == 2
        assert "relay" not in host.read(SSHD)
        assert statuses(host.module(**options)) == PASS

    @pytest.mark.parametrize("address", [OWN, "127.0.0.1"])
    def test_here_is_banned_on_its_ports_and_by_its_log(self, host: BanningHost, address: str) -> None:
        host.proc.process(60, "nginx", [host.proc.listen("0.0.0.0", 443)])
        host.write("var/log/nginx/access.log", "")
        module = host.module(proxy_addresses=[address])
        assert statuses(module) == FIXED
        products = host.read(PRODUCTS)
        assert 'port="443,8080"' in products
        assert "[atlassian-dc-proxy]" in products
        assert "/var/log/nginx/access.log head" in products

    def test_here_without_a_listener_has_the_usual_ports(self, host: BanningHost) -> None:
        host.module(proxy_addresses=["::1"])
        assert 'port="80,443,8080"' in host.read(PRODUCTS)

    def test_declared_logs(self, host: BanningHost) -> None:
        host.module(access_logs=[{"path": "/srv/log/*.log", "ports": [8443]}])
        products = host.read(PRODUCTS)
        assert "/srv/log/*.log head" in products
        assert 'port="8443"' in products

    def test_product_of_which_nobody_knows_how_it_logs(self, host: BanningHost) -> None:
        crowd = {**JIRA, "name": "crowd", "product": "crowd"}
        assert statuses(host.module(instances=[crowd]))[LOGINS] == "not_checked"
        behind = host.module(instances=[crowd], access_logs=[{"path": "/var/log/nginx/access.log", "ports": None}])
        assert statuses(behind)[LOGINS] == "fixed"

    def test_part_of_a_product(self, host: BanningHost) -> None:
        part = {**JIRA, "name": "synchrony", "product": "synchrony"}
        assert statuses(host.module(instances=[part]))[LOGINS] == "not_applicable"

    def test_unknown_home(self, host: BanningHost) -> None:
        module = host.module(instances=[{**JIRA, "home_dir": None}])
        assert statuses(module)[LOGINS] == "fail"
        assert "nobody knows where they lie" in reason(module, LOGINS)

    def test_log_that_is_none(self, host: BanningHost) -> None:
        """fail2ban would not start any more."""
        (host.root / "srv/jira home/log/atlassian-jira-security.log").mkdir(parents=True)
        module = host.module()
        assert statuses(module) == FAIL
        assert "log/atlassian-jira-security.log: no file; move it away" in reason(module, LOGINS)
        assert changed(module) == []

    def test_log_where_root_may_not_look(self, host: BanningHost, monkeypatch: pytest.MonkeyPatch) -> None:
        listdir = os.listdir

        def refused(path: str) -> list[str]:
            if str(path).endswith("/srv/jira home/log"):
                raise PermissionError(errno.EACCES, "Permission denied")
            return listdir(path)

        monkeypatch.setattr(os, "listdir", refused)
        for module in (host.module(), host.module()):
            assert statuses(module)[LOGINS] == "fail"
            assert "/srv/jira home/log: Permission denied" in reason(module, LOGINS)
        assert SECURITY_JAIL in host.read(PRODUCTS)
        assert changed(module) == []

    def test_log_that_links_to_nothing_is_yet_to_come(self, host: BanningHost) -> None:
        log = host.root / "srv/jira home/log/atlassian-jira-security.log"
        log.parent.mkdir(parents=True)
        log.symlink_to("/nowhere")
        assert statuses(host.module()) == FIXED

    def test_path_that_cannot_be_written(self, host: BanningHost) -> None:
        module = host.module(instances=[{**JIRA, "home_dir": "/srv/ji;ra"}])
        assert "cannot be written" in reason(module, LOGINS)

    def test_jails_of_the_same_name(self, host: BanningHost) -> None:
        data = {**DATA, "jira": {**DATA["jira"], "failed_logins": [SECURITY, {**SECURITY, "name": "b-security"}]}}
        module = host.module(instances=[JIRA, {**JIRA, "name": "jira-b"}], products=data)
        assert [result["status"] for result in module.findings.results][:2] == ["fixed", "fail"]
        assert "atlassian-dc-jira-b-security is another instance's" in str(proof(module, LOGINS))
