# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hardened host: Jira works, as its own user, writes where it must and nowhere else."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from testinfra.host import Host

GROUP = f"molecule-{os.environ['MOLECULE_SCENARIO_NAME']}"
SSH_CONFIG = Path(os.environ["MOLECULE_PROJECT_DIRECTORY"]) / ".hosts" / "groups" / GROUP / "ssh_config"
REPORTS = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"])
testinfra_hosts = [f"ssh://jira1?ssh_config={SSH_CONFIG}"]

INSTALL = "/opt/atlassian/jira"
HOME = "/var/atlassian/application-data/jira"
WORKING_FOLDERS = ("logs", "temp", "work")
# Tomcat keeps contexts here; the vendor's own automation gives it to the service user.
TOLERATED_FOLDERS = (*WORKING_FOLDERS, "conf/Catalina")
# What the collection must have put right on this host without any variable but atlassian_dc_allow_restart.
PUT_RIGHT = (
    "DC-USR-01",
    "DC-USR-02",
    "DC-USR-03",
    "DC-USR-04",
    "DC-DIR-01",
    "DC-DIR-03",
    "DC-DIR-04",
    "DC-LOG-04",
)


def fetch(host: Host, path: str) -> tuple[int, str]:
    """Status and text of a page, asked for on the host itself."""
    script = (
        "import urllib.error, urllib.request\n"
        "try:\n"
        f"    answer = urllib.request.urlopen('http://127.0.0.1:8080{path}', timeout=20)\n"
        "except urllib.error.HTTPError as error:\n"
        "    answer = error\n"
        "print(answer.status, answer.read().decode())\n"
    )
    status, _space, text = host.check_output("python3 -c %s", script).partition(" ")
    return int(status), text


def main_pid(host: Host) -> int:
    return int(host.check_output("systemctl show --property=MainPID --value jira.service"))


def as_jira(host: Host, command: str, *arguments: str) -> Any:
    """Run a command as the service user inside the sandbox of the running unit."""
    prefix = "nsenter --target %s --mount -- setpriv --reuid=jira --regid=jira --clear-groups --no-new-privs "
    return host.run(prefix + command, str(main_pid(host)), *arguments)


def statuses(name: str) -> dict[str, str]:
    """Status of every control of Jira or its host in one of the reports of this scenario."""
    report = json.loads((REPORTS / name / "report.json").read_text())
    assert report["complete"], f"the report of '{name}' is not complete"
    return {control["id"]: control["status"] for control in report["hosts"]["jira1"]["controls"]}


def test_unit_is_running_and_comes_back_at_boot(host: Host) -> None:
    service = host.service("jira")
    assert service.is_running
    assert service.is_enabled


def test_jira_answers(host: Host) -> None:
    assert fetch(host, "/status") == (200, '{"state":"RUNNING"}')


def test_jira_can_write_while_it_answers(host: Host) -> None:
    status, text = fetch(host, "/secure/Dashboard.jspa")
    assert (status, "RUNNING" in text) == (200, True), fetch(host, "/status")


def test_process_runs_as_service_user(host: Host) -> None:
    processes = host.process.filter(comm="java")
    assert [process.user for process in processes] == ["jira"]


@pytest.mark.parametrize(
    "folder", [*(f"{INSTALL}/{name}" for name in WORKING_FOLDERS), HOME, f"{HOME}/log", f"{HOME}/data"]
)
def test_writes_where_it_must(host: Host, folder: str) -> None:
    probe = f"{folder}/.write-test"
    assert as_jira(host, "touch %s", probe).succeeded
    assert as_jira(host, "rm %s", probe).succeeded


def test_writes_nowhere_else_in_install_tree(host: Host) -> None:
    writable = as_jira(host, "find %s -writable -not -type l", INSTALL).stdout.splitlines()
    allowed = [f"{INSTALL}/{name}" for name in TOLERATED_FOLDERS]
    outside = [path for path in writable if not any(path == top or path.startswith(f"{top}/") for top in allowed)]
    assert outside == []


@pytest.mark.parametrize(
    "folder", ["/etc", "/usr", "/usr/local/bin", "/opt", "/root", "/var/lib", "/etc/systemd/system"]
)
def test_system_is_closed_to_it(host: Host, folder: str) -> None:
    assert as_jira(host, "test -w %s", folder).failed


def test_secrets_are_private(host: Host) -> None:
    secret = host.file(f"{HOME}/dbconfig.xml")
    assert secret.user == "jira"
    assert secret.mode & 0o077 == 0


def test_home_is_closed_to_others(host: Host) -> None:
    others = host.check_output("find %s -not -type l -perm /007", HOME)
    assert others == ""


def test_nobody_can_log_in_as_service_user(host: Host) -> None:
    assert host.user("jira").shell in ("/usr/sbin/nologin", "/sbin/nologin", "/bin/false")
    assert host.check_output("passwd --status jira").split()[1] == "L"
    keys = host.file("/usr/local/jira/.ssh/authorized_keys")
    assert not keys.exists or keys.size == 0


def test_keys_the_product_uses_stay(host: Host) -> None:
    key = host.file("/usr/local/jira/.ssh/id_ed25519")
    assert key.exists
    assert key.user == "jira"


def test_service_user_holds_no_extra_rights(host: Host) -> None:
    assert host.user("jira").groups == ["jira"]
    assert "not allowed" in host.run("sudo --list --other-user=jira").stdout


def test_unit_files_of_others_are_left_alone(host: Host) -> None:
    assert "User=" not in host.file("/etc/systemd/system/jira.service").content_string


@pytest.mark.parametrize("control", PUT_RIGHT)
def test_report_tells_what_was_put_right(control: str) -> None:
    told = {name: statuses(name)[control] for name in ("before", "after")}
    assert told == {"before": "fail", "after": "pass"}
