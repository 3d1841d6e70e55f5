# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judging and repairing accounts, on a host made of a folder."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._changes import Changes
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._findings import Findings
from ansible_collections.atlassian_dc.hardening.plugins.modules.service_account import CONTROLS, ServiceAccounts

KEY = "ssh-ed25519 AAAA admin\n"


def judge(host: Any, check_mode: bool = False, **params: Any) -> tuple[dict[str, dict[str, Any]], ServiceAccounts]:
    values: dict[str, Any] = {
        "instances": [host.instance],
        "groups": [],
        "sudo_allowed": [],
        "group_members": [],
        "restart_allowed": False,
        "sandbox": {},
        "controls": None,
        "enforce": None,
        **params,
    }
    findings = Findings(values, CONTROLS, check_mode)
    accounts = ServiceAccounts(values, findings, Changes(check_mode, host.run), host.run, str(host.root))
    accounts.run()
    return {item["control"]: item for item in findings.results}, accounts


def statuses(found: dict[str, dict[str, Any]]) -> dict[str, str]:
    return {control: item["status"] for control, item in found.items()}


def test_closed_account_passes(host: Any) -> None:
    found, accounts = judge(host)
    assert statuses(found) == dict.fromkeys(CONTROLS, "pass")
    assert accounts.changes.count == 0
    assert host.commands == []


@pytest.mark.parametrize(
    ("other", "own"),
    [
        ({"product": "jira_part", "part_of": "jira"}, True),
        ({"product": "jira", "part_of": None}, False),
        ({"product": "wiki", "part_of": None}, False),
        ({"product": "wiki_part", "part_of": "wiki"}, False),
    ],
    ids=["a part of it", "a second one", "another product", "a part of another product"],
)
def test_who_may_run_as_the_same_account(host: Any, other: dict[str, Any], own: bool) -> None:
    host.instance["product"] = "jira"
    found, _accounts = judge(host, instances=[host.instance, {**host.instance, "name": "other", **other}])
    assert (found["DC-USR-01"]["status"] == "pass") is own


def test_false_is_no_login_shell_either(host: Any) -> None:
    host.accounts(login="/bin/false")
    assert judge(host)[0]["DC-USR-02"]["status"] == "pass"


def test_open_account_is_closed(host: Any) -> None:
    host.accounts(login="/bin/bash", field="$6$s$h", groups="adm:x:4:jira\nssl:x:50:jira\n")
    keys = host.write("usr/local/jira/.ssh/authorized_keys", KEY)
    rules = host.write("etc/sudoers", "root ALL=(ALL) ALL\njira ALL=ALL\n")
    found, _accounts = judge(host, groups=["ssl"])
    assert (found["DC-USR-02"]["status"], found["DC-USR-03"]["status"]) == ("fixed", "fixed")
    assert host.ran("usermod") == [
        ["usermod", "--shell", "/usr/sbin/nologin", "jira"],
        ["usermod", "--lock", "jira"],
        ["usermod", "--groups", "ssl", "jira"],
    ]
    assert not keys.exists()
    copy = host.root / "var/lib/atlassian-dc/removed/jira_usr_local_jira_.ssh_authorized_keys"
    assert copy.read_text() == KEY
    assert copy.stat().st_mode & 0o777 == 0o600
    assert rules.read_text() == "root ALL=(ALL) ALL\n"
    assert "$6$" not in str(found)


def test_groups_a_product_may_need_are_left_to_a_person_until_declared(host: Any) -> None:
    host.instance["needed_groups"] = ["docker"]
    host.accounts(groups="adm:x:4:jira\ndocker:x:50:jira\n")
    found, _accounts = judge(host)
    assert found["DC-USR-03"]["status"] == "fail"
    assert "member of docker, which its work may need (members of docker can make" in found["DC-USR-03"]["reason"]
    assert host.ran("usermod") == [["usermod", "--groups", "docker", "jira"]]
    host.accounts(groups="docker:x:50:jira\n")
    for groups in (["docker"], []):
        kept = judge(host, groups=groups)[0]["DC-USR-03"]
        assert kept["status"] == "pass"
        assert kept["reason"] == (
            "account jira is in docker as declared (members of docker can make themselves root on this host)"
        )
        host.instance["declared_groups"] = ["docker"]


def test_a_group_declared_for_another_product_is_nobody_elses(host: Any) -> None:
    host.instance.update(needed_groups=["docker"], declared_groups=["kvm"])
    host.accounts(groups="kvm:x:51:jira\ndocker:x:50:jira\n")
    found, _accounts = judge(host)
    assert found["DC-USR-03"]["status"] == "fixed"
    assert host.ran("usermod") == [["usermod", "--groups", "kvm", "jira"]]
    host.accounts(groups="kvm:x:51:jira\n")
    assert (judge(host)[0]["DC-USR-03"]["status"], judge(host)[0]["DC-USR-03"]["reason"]) == ("pass", "")


def test_no_group_declared_has_one_that_might_be_needed_taken_away(host: Any) -> None:
    host.instance.update(needed_groups=["docker"], declared_groups=[])
    host.accounts(groups="docker:x:50:jira\n")
    predicted, _accounts = judge(host, check_mode=True)
    assert predicted["DC-USR-03"]["reason"] == "account jira holds extra rights: member of docker"
    assert host.ran("usermod") == []
    judge(host)
    assert host.ran("usermod") == [["usermod", "--groups", "", "jira"]]


def test_a_process_with_a_group_that_is_left_to_a_person_needs_no_restart(host: Any) -> None:
    host.instance.update(needed_groups=["docker"])
    host.accounts(groups="docker:x:50:jira\n")
    host.process(True, groups="50")
    found, accounts = judge(host)
    assert found["DC-USR-03"]["status"] == "fail"
    assert "taken away" not in found["DC-USR-03"]["reason"].replace("takes it away", "")
    assert [piece["what"] for piece in found["DC-USR-03"]["evidence"]] == ["groups of jira"]
    assert accounts.restart_pending == []


def test_the_accounts_own_private_keys_stay(host: Any) -> None:
    host.write("usr/local/jira/.ssh/authorized_keys", KEY)
    kept = [host.write(f"usr/local/jira/.ssh/{name}", "x") for name in ("id_ed25519", "known_hosts", "config")]
    judge(host)
    assert not (host.root / "usr/local/jira/.ssh/authorized_keys").exists()
    assert all(path.read_text() == "x" for path in kept)


def test_check_mode_predicts_the_same_changes(host: Any) -> None:
    host.accounts(login="/bin/bash", field="", groups="adm:x:4:jira\n")
    host.write("usr/local/jira/.ssh/authorized_keys2", KEY)
    host.write("etc/sudoers", "jira ALL=ALL\n")
    predicted, dry = judge(host, check_mode=True)
    assert host.commands == []
    assert (host.root / "usr/local/jira/.ssh/authorized_keys2").exists()
    done, real = judge(host)
    assert dry.changes.entries == real.changes.entries
    assert {control: item["evidence"] for control, item in predicted.items() if item["status"] == "fail"} == {
        control: item["evidence"] for control, item in done.items() if item["status"] == "fixed"
    }


def test_what_is_not_enforced_is_left_alone(host: Any) -> None:
    host.accounts(login="/bin/bash", groups="adm:x:4:jira\n")
    found, accounts = judge(host, enforce=["DC-USR-03"])
    assert (found["DC-USR-02"]["status"], found["DC-USR-03"]["status"]) == ("fail", "fixed")
    assert [argv[1] for argv in host.ran("usermod")] == ["--groups"]
    assert accounts.changes.count == 1


def test_only_selected_controls_are_judged(host: Any) -> None:
    host.accounts(login="/bin/bash")
    found, accounts = judge(host, controls=["DC-USR-03"], enforce=["DC-USR-03"])
    assert list(found) == ["DC-USR-03"]
    assert accounts.changes.count == 0


@pytest.mark.parametrize(
    ("unit_user", "named", "script", "held"),
    [
        ("", "jira", None, True),
        ("root", "jira", None, True),
        ("jira", "jira", None, False),
        ("", None, None, False),
        ("", None, "/etc/init.d/jira", True),
        ("jira", None, "/etc/init.d/jira", False),
    ],
)
def test_shell_that_the_start_script_needs(
    host: Any, unit_user: str, named: str | None, script: str | None, held: bool
) -> None:
    host.accounts(login="/bin/bash")
    host.unit["User"] = unit_user
    host.instance.update(user_file_user=named, init_script=script)
    found, accounts = judge(host)
    assert (found["DC-USR-02"]["status"], found["DC-USR-02"]["pending"]) == (
        ("fail", "restart") if held else ("fixed", None)
    )
    assert accounts.restart_pending == (["jira"] if held else [])
    assert bool(host.ran("usermod")) is not held


def test_held_shell_is_not_pending_before_anything_is_staged(host: Any) -> None:
    host.accounts(login="/bin/bash")
    host.instance["user_file_user"] = "jira"
    found, accounts = judge(host, check_mode=True)
    assert found["DC-USR-02"]["pending"] is None
    assert accounts.restart_pending == []
    host.write("var/lib/atlassian-dc/staged/jira.service.conf", "x")
    assert judge(host, check_mode=True)[0]["DC-USR-02"]["pending"] == "restart"


def test_check_mode_predicts_that_an_allowed_restart_takes_a_held_shell(host: Any) -> None:
    host.accounts(login="/bin/bash")
    host.instance["user_file_user"] = "jira"
    _found, dry = judge(host, check_mode=True, restart_allowed=True)
    assert "login shell" in [entry["attribute"] for entry in dry.changes.entries]
    _found, real = judge(host, restart_allowed=True)
    assert "login shell" not in [entry["attribute"] for entry in real.changes.entries]


@pytest.mark.parametrize(
    ("instance", "kept"),
    [
        ({"running": True, "running_uid": 0}, False),
        ({"running": True, "running_uid": 0, "user_file_user": "jira"}, True),
        ({"running": True, "running_uid": 1001}, True),
        ({"running": False, "running_uid": None}, True),
    ],
)
def test_shell_stays_where_nobody_knows_what_starts_the_product(
    host: Any, instance: dict[str, Any], kept: bool
) -> None:
    host.accounts(login="/bin/bash")
    host.instance.update(unit=None, **instance)
    found, accounts = judge(host, restart_allowed=True)
    assert found["DC-USR-02"]["status"] == ("fail" if kept else "fixed")
    assert found["DC-USR-02"]["pending"] is None
    assert bool(host.ran("usermod", "--shell")) is not kept
    assert accounts.restart_pending == []
    _found, dry = judge(host, check_mode=True, restart_allowed=True)
    assert ("login shell" in [entry["attribute"] for entry in dry.changes.entries]) is not kept


def test_shell_stays_without_a_restart_where_the_unit_cannot_be_moved(host: Any) -> None:
    host.accounts(login="/bin/bash")
    host.instance["init_script"] = "/etc/init.d/jira"
    host.write("etc/init.d/jira", "#!/bin/sh\nsu - jira -c /opt/jira/bin/start-jira.sh\n")
    host.unit["ExecStartEx"] = "{ path=/etc/init.d/jira ; argv[]=/etc/init.d/jira start ; flags= ; pid=0 }"
    found, accounts = judge(host, restart_allowed=True)
    assert (found["DC-USR-02"]["status"], found["DC-USR-02"]["pending"]) == ("fail", None)
    assert "DC-USR-01" in found["DC-USR-02"]["reason"]
    assert accounts.restart_pending == []
    assert not host.ran("usermod")
    _found, dry = judge(host, check_mode=True, restart_allowed=True)
    assert dry.changes.count == 0


@pytest.mark.parametrize(
    ("cgroup", "unit", "shown", "restarted"),
    [
        ("0::/system.slice/jira.service", "jira.service", {}, True),
        ("0::/user.slice/user-0.slice/session-3.scope", "jira.service", {}, False),
        ("0::/user.slice/user-9.slice/session-3.scope", "jira.service", {"SubState": "exited"}, True),
        ("0::/system.slice/rc-local.service", None, {}, False),
    ],
)
def test_groups_of_the_process_go_with_a_restart_if_one_is_possible(
    host: Any, cgroup: str, unit: str | None, shown: dict[str, str], restarted: bool
) -> None:
    host.accounts(groups="adm:x:4:jira\n")
    host.process(confined=False, groups="4")
    host.write("proc/70/cgroup", cgroup + "\n")
    host.unit.update(shown)
    host.instance.update(unit=unit, running=True, running_uid=host.uid)
    found, accounts = judge(host)
    assert host.ran("usermod", "--groups")
    assert (found["DC-USR-03"]["status"], found["DC-USR-03"]["pending"]) == ("fail", "restart" if restarted else None)
    assert ("restart the product the way you start it" in found["DC-USR-03"]["reason"]) is not restarted
    assert accounts.restart_pending == (["jira"] if restarted else [])


def test_missing_account_is_made(host: Any) -> None:
    host.write("etc/passwd", "root:x:0:0::/root:/bin/sh\n")
    host.write("etc/group", "root:x:0:\n")
    found, _accounts = judge(host)
    assert host.commands[0] == ["groupadd", "--system", "jira"]
    useradd = host.commands[1]
    assert useradd[:2] == ["useradd", "--system"]
    assert {"--no-create-home", "/usr/sbin/nologin", "/data/jira"} <= set(useradd)
    assert [found[control]["status"] for control in CONTROLS[:3]] == ["fixed"] * 3


def test_missing_account_in_check_mode(host: Any) -> None:
    host.write("etc/passwd", "root:x:0:0::/root:/bin/sh\n")
    found, accounts = judge(host, check_mode=True)
    assert [found[control]["status"] for control in CONTROLS[:3]] == ["fail"] * 3
    assert accounts.changes.count == 1
    assert host.commands == []


def test_missing_account_that_may_not_be_made(host: Any) -> None:
    host.write("etc/passwd", "root:x:0:0::/root:/bin/sh\n")
    found, _accounts = judge(host, enforce=["DC-USR-02", "DC-USR-03"])
    assert statuses(found)["DC-USR-01"] == "fail"
    assert "blocked by DC-USR-01" in found["DC-USR-02"]["reason"]
    assert found["DC-USR-03"]["status"] == "not_checked"
    assert host.commands == []


def test_account_of_two_products(host: Any) -> None:
    other = {**host.instance, "name": "crowd", "product": "crowd", "unit": None}
    found, _accounts = judge(host, instances=[host.instance, other])
    assert found["DC-USR-01"]["status"] == "fail"
    assert "several products" in found["DC-USR-01"]["reason"]


def test_privileged_primary_group(host: Any) -> None:
    host.write("etc/group", f"docker:x:{host.gid}:\n")
    found, _accounts = judge(host)
    assert found["DC-USR-03"]["status"] == "fail"
    assert "docker" in found["DC-USR-03"]["reason"]


def test_process_keeps_groups_until_it_is_restarted(host: Any) -> None:
    host.accounts(groups="adm:x:4:\n")
    host.process(confined=True, groups=f"4 {host.gid}")
    found, accounts = judge(host)
    assert (found["DC-USR-03"]["status"], found["DC-USR-03"]["pending"]) == ("fail", "restart")
    assert accounts.restart_pending == ["jira"]
    host.process(confined=True, groups=str(host.gid))
    assert judge(host)[0]["DC-USR-03"]["status"] == "pass"


def test_sudo_rule_through_a_group_is_left_to_a_person(host: Any) -> None:
    host.write("etc/sudoers", "%jira ALL=ALL\n")
    found, accounts = judge(host)
    assert found["DC-USR-03"]["status"] == "fail"
    assert accounts.changes.count == 0


def test_sudo_rule_through_a_group_that_is_taken_away_is_settled_with_it(host: Any) -> None:
    host.accounts(groups="sudo:x:27:jira\n")
    host.write("etc/sudoers", "%sudo ALL=ALL\n")
    assert judge(host)[0]["DC-USR-03"]["status"] == "fixed"


def test_declared_sudo_stays(host: Any) -> None:
    host.write("etc/sudoers", "jira ALL=/bin/ls\n")
    assert judge(host, sudo_allowed=["jira"])[0]["DC-USR-03"]["status"] == "pass"


def test_rules_that_visudo_refuses_stay(host: Any) -> None:
    rules = host.write("etc/sudoers", "alice, jira ALL=ALL\n")
    run = host.run
    host.run = lambda argv, **options: (1, "", "syntax error") if argv[0] == "visudo" else run(argv, **options)
    found, _accounts = judge(host)
    assert found["DC-USR-03"]["status"] == "fail"
    assert "syntax error" in str(found["DC-USR-03"]["evidence"])
    assert rules.read_text() == "alice, jira ALL=ALL\n"


def test_keys_of_a_shared_home_stay(host: Any) -> None:
    host.accounts(extra="alice:x:2000:2000::/usr/local/jira:/bin/sh\n")
    keys = host.write("usr/local/jira/.ssh/authorized_keys", KEY)
    found, _accounts = judge(host)
    assert found["DC-USR-02"]["status"] == "fail"
    assert "alice" in found["DC-USR-02"]["reason"]
    assert keys.exists()


def test_keys_behind_a_link_stay(host: Any) -> None:
    keys = host.write("root/.ssh/authorized_keys", KEY)
    (host.root / "usr/local/jira/.ssh").symlink_to(host.root / "root/.ssh")
    found, _accounts = judge(host)
    assert found["DC-USR-02"]["status"] == "fail"
    assert keys.exists()


def test_failed_repair_is_told(host: Any) -> None:
    host.accounts(login="/bin/bash")
    run = host.run
    host.run = lambda argv, **options: (1, "", "passwd is locked") if argv[0] == "usermod" else run(argv, **options)
    found, _accounts = judge(host)
    assert found["DC-USR-02"]["status"] == "fail"
    assert "passwd is locked" in str(found["DC-USR-02"]["evidence"])


def test_a_full_disk_ends_the_repairs(host: Any) -> None:
    host.accounts(login="/bin/bash", field="$y$x", groups="ssl:x:70:jira\n")
    run = host.run
    words = "usermod: failure while writing changes to /etc/passwd: No space left on device"
    calls: list[list[str]] = []

    def full(argv: list[str], **options: Any) -> tuple[int, str, str]:
        if argv[0] != "usermod":
            result: tuple[int, str, str] = run(argv, **options)
            return result
        calls.append(argv)
        return 1, "", words

    host.run = full
    found, accounts = judge(host)
    assert len(calls) == 1
    assert {found[control]["status"] for control in ("DC-USR-02", "DC-USR-03")} == {"fail"}
    assert f"not attempted, because account jira: {' '.join(calls[0])} ended with 1" in str(found["DC-USR-03"])
    assert words in str(accounts.changes.fault)
    assert accounts.changes.entries == []


def test_others_with_the_same_uid(host: Any) -> None:
    host.accounts(extra=f"twin:x:{host.uid}:9::/:/bin/sh\n")
    found, accounts = judge(host)
    assert found["DC-USR-05"]["instance"] is None
    assert found["DC-USR-05"]["status"] == "fail"
    assert accounts.changes.count == 0


def test_no_product(host: Any) -> None:
    found, _accounts = judge(host, instances=[])
    assert statuses(found) == {"DC-USR-05": "not_applicable"}


def test_accounts_are_told_as_they_are_in_the_end(host: Any) -> None:
    told = judge(host)[1].told()
    assert [sorted(item) for item in told] == [["gid", "group", "name", "uid"]]
    known = judge(host)[1].database.account("jira")
    assert known is not None
    assert (told[0]["uid"], told[0]["gid"], told[0]["group"]) == (known.uid, known.gid, "jira")
    host.instance["service_account"] = "nobody-here"
    assert judge(host, check_mode=True)[1].told() == [{"name": "nobody-here", "uid": None, "gid": None, "group": None}]
