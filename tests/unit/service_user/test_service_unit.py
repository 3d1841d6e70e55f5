# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judging units, staging, going live and going back, on a host made of a folder."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._changes import ChangeError, Changes
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._findings import Findings
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._systemd import (
    live_path,
    previous_path,
    staged_path,
)
from ansible_collections.atlassian_dc.hardening.plugins.modules.service_unit import CONTROLS, ServiceUnits

IDENTITY, CONFINEMENT = CONTROLS


def judge(host: Any, check_mode: bool = False, **params: Any) -> tuple[dict[str, dict[str, Any]], ServiceUnits]:
    values: dict[str, Any] = {
        "instances": [host.instance],
        "phase": "stage",
        "sandbox": {},
        "writable_paths": [],
        "restart_allowed": False,
        "controls": None,
        "enforce": None,
        **params,
    }
    findings = Findings(values, CONTROLS, check_mode)
    units = ServiceUnits(values, findings, Changes(check_mode, host.run), host.run, str(host.root))
    units.run()
    return {item["control"]: item for item in findings.results}, units


def states(found: dict[str, dict[str, Any]]) -> list[tuple[str, str | None]]:
    return [(found[control]["status"], found[control]["pending"]) for control in CONTROLS]


def at(host: Any, path: str) -> Path:
    return Path(host.root) / path.lstrip("/")


@pytest.fixture
def live(host: Any) -> Path:
    return at(host, live_path("jira.service"))


@pytest.fixture
def staged(host: Any) -> Path:
    return at(host, staged_path("jira.service"))


@pytest.fixture
def hardened(host: Any, live: Path) -> Any:
    """Return a host that runs as it should."""
    host.unit["ActiveState"] = "inactive"
    host.instance["pid"] = None
    own(host)
    judge(host)
    assert live.exists()
    host.unit["ActiveState"] = "active"
    host.instance["pid"] = 70
    host.process(confined=True)
    host.commands.clear()
    return host


def own(host: Any) -> None:
    """Let the account be the owner of the folders, which it is when the tests run without root."""
    for folder in ("data/jira", "opt/jira/logs", "usr/local/jira"):
        os.chown(at(host, folder), host.uid, host.gid)


def test_product_of_root_is_staged(host: Any, live: Path, staged: Path) -> None:
    host.process(confined=False, uid=0)
    found, units = judge(host)
    assert states(found) == [("fail", "restart"), ("fail", "restart")]
    assert not live.exists()
    assert staged.stat().st_mode & 0o777 == 0o600
    assert "User=jira" in staged.read_text()
    assert units.restart_pending == ["jira"]
    assert host.ran("systemctl") == []
    again, units = judge(host)
    assert states(again) == states(found)
    assert units.changes.count == 0
    assert len(host.ran("systemd-run")) == 1


def test_check_mode_predicts_staging(host: Any, staged: Path) -> None:
    host.process(confined=False, uid=0)
    found, dry = judge(host, check_mode=True)
    assert states(found) == [("fail", None), ("fail", None)]
    assert not staged.exists()
    assert dry.restart_pending == []
    assert host.commands == []
    assert dry.changes.entries == judge(host)[1].changes.entries
    # what an earlier run has staged is pending in an audit too
    assert states(judge(host, check_mode=True)[0]) == [("fail", "restart"), ("fail", "restart")]


@pytest.mark.parametrize("already_staged", [False, True])
def test_check_mode_predicts_what_an_allowed_restart_brings(host: Any, live: Path, already_staged: bool) -> None:
    host.process(confined=False, uid=0)
    if already_staged:
        judge(host)
    _found, dry = judge(host, check_mode=True, restart_allowed=True)
    assert str(live) in [entry["target"] for entry in dry.changes.entries]
    assert not live.exists()
    _found, real = judge(host, restart_allowed=True)
    assert str(live) not in [entry["target"] for entry in real.changes.entries]


def test_restart_makes_it_live(host: Any, live: Path, staged: Path) -> None:
    host.process(confined=False, uid=0)
    judge(host)
    content = staged.read_text()
    host.unit["ActiveState"] = "inactive"
    at(host, "proc/70/status").unlink()
    found, units = judge(host, phase="live")
    assert found == {}
    assert live.read_text() == content
    assert live.stat().st_mode & 0o777 == 0o644
    assert not staged.exists()
    assert at(host, previous_path("jira.service")).read_text() == ""
    assert host.ran("systemctl", "daemon-reload")
    host.unit["ActiveState"] = "active"
    host.process(confined=True)
    found, units = judge(host)
    assert states(found) == [("pass", None), ("pass", None)]
    assert units.restart_pending == []
    assert not at(host, previous_path("jira.service")).exists()
    assert judge(host)[1].changes.count == 0


@pytest.mark.parametrize("older", ["", "[Service]\nUser=jira\n"])
def test_failed_start_is_put_back(host: Any, live: Path, staged: Path, older: str) -> None:
    host.process(confined=False, uid=0)
    if older:
        live.parent.mkdir(parents=True)
        live.write_text(older)
        host.load()
    judge(host)
    content = staged.read_text()
    host.unit["ActiveState"] = "inactive"
    judge(host, phase="live")
    host.commands.clear()
    judge(host, phase="back")
    assert staged.read_text() == content
    assert live.exists() is bool(older)
    assert not older or live.read_text() == older
    assert not at(host, previous_path("jira.service")).exists()
    assert host.ran("systemctl", "daemon-reload")
    host.commands.clear()
    _found, units = judge(host, phase="back")
    assert units.changes.count == 0


def test_back_leaves_a_unit_alone_that_was_right_all_along(hardened: Any, live: Path) -> None:
    content = live.read_text()
    _found, units = judge(hardened, phase="back")
    assert units.changes.count == 0
    assert live.read_text() == content


def test_the_old_unit_is_back_although_the_disk_is_full(
    host: Any, live: Path, staged: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.process(confined=False, uid=0)
    judge(host)
    host.unit["ActiveState"] = "inactive"
    judge(host, phase="live")
    host.commands.clear()
    monkeypatch.setattr(os, "fchmod", full)
    with pytest.raises(ChangeError, match="No space left on device"):
        judge(host, phase="back")
    assert not live.exists()
    assert host.ran("systemctl", "daemon-reload")
    assert not staged.exists()


def test_a_product_that_somebody_has_started_meanwhile_keeps_its_unit(host: Any, live: Path, staged: Path) -> None:
    host.process(confined=False, uid=0)
    judge(host)
    with pytest.raises(ChangeError, match=r"jira.service .*somebody else has started it meanwhile"):
        judge(host, phase="live")
    assert not live.exists()
    assert staged.exists()


def test_a_full_disk_is_told_and_nothing_is_staged(host: Any, staged: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host.process(confined=False, uid=0)
    monkeypatch.setattr(os, "fchmod", full)
    found, units = judge(host)
    assert states(found) == [("fail", None), ("fail", None)]
    assert "No space left on device" in found[CONFINEMENT]["evidence"][0]["actual"]
    assert "No space left on device" in str(units.changes.fault)
    assert not staged.exists()
    assert units.restart_pending == []


def full(*_arguments: Any) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_trial_that_fails_in_the_restart_changes_nothing(host: Any, live: Path, staged: Path) -> None:
    host.process(confined=False, uid=0)
    judge(host)
    host.unit["ActiveState"] = "inactive"
    host.trial = (1, "/data/jira/export\tRead-only file system\n")
    with pytest.raises(ChangeError, match="/data/jira/export: Read-only file system"):
        judge(host, phase="live")
    assert not live.exists()
    assert staged.exists()


def test_trial_of_every_folder_is_part_of_the_restart(host: Any) -> None:
    host.process(confined=False, uid=0)
    judge(host)
    early = host.ran("systemd-run")[0]
    assert "/data/jira" not in early
    host.unit["ActiveState"] = "inactive"
    judge(host, phase="live")
    full = host.ran("systemd-run")[1]
    assert {"/data/jira", "/opt/jira/logs"} <= set(full)
    assert "NoNewPrivileges=yes" in full
    assert "User=jira" in full


def test_sandbox_that_java_does_not_survive(host: Any, staged: Path) -> None:
    host.process(confined=False, uid=0)
    host.trial = (1, "/usr/bin/java -version\tError occurred during initialization of VM\n")
    found, units = judge(host)
    assert states(found) == [("fail", None), ("fail", None)]
    assert "initialization of VM" in found[CONFINEMENT]["evidence"][0]["actual"]
    assert not staged.exists()
    assert units.restart_pending == []


def test_drop_in_that_verify_complains_about(host: Any, live: Path) -> None:
    host.unit["ActiveState"] = "inactive"
    host.instance["pid"] = None
    own(host)
    host.verify = "FOLDER/jira.service.d/zz-atlassian-dc-service-user.conf:3: Unknown key name\nother.service: bad\n"
    found, _units = judge(host)
    assert states(found) == [("fail", None), ("fail", None)]
    assert "Unknown key name" in str(found[CONFINEMENT]["evidence"])
    assert not live.exists()


def test_stopped_product_is_switched_when_its_folders_are_ready(host: Any, live: Path, staged: Path) -> None:
    host.unit["ActiveState"] = "inactive"
    host.instance["pid"] = None
    own(host)
    found, units = judge(host)
    assert states(found) == [("fixed", None), ("fixed", None)]
    assert live.exists()
    assert not staged.exists()
    assert "/data/jira" in host.ran("systemd-run")[0]
    assert units.restart_pending == []
    assert states(judge(host)[0]) == [("pass", None), ("pass", None)]


@pytest.mark.skipif(os.getuid() != 0, reason="changes owners, which only root may")
def test_stopped_product_with_a_folder_of_root_inside_is_staged(host: Any, live: Path, staged: Path) -> None:
    host.unit["ActiveState"] = "inactive"
    host.instance["pid"] = None
    own(host)
    inner = host.root / "opt/jira/logs/of-root"
    inner.mkdir()
    os.chown(inner, 12345, 12345)
    found, _units = judge(host)
    assert states(found) == [("fail", "restart"), ("fail", "restart")]
    assert staged.exists()
    assert not live.exists()


def test_stopped_product_with_folders_of_somebody_else_is_staged(host: Any, live: Path, staged: Path) -> None:
    host.unit["ActiveState"] = "inactive"
    host.instance["pid"] = None
    host.write("etc/passwd", "root:x:0:0::/root:/bin/sh\njira:x:4242:4242::/usr/local/jira:/usr/sbin/nologin\n")
    found, units = judge(host)
    assert states(found) == [("fail", "restart"), ("fail", "restart")]
    assert staged.exists()
    assert not live.exists()
    assert units.restart_pending == ["jira"]


def test_hardened_host_passes(hardened: Any) -> None:
    found, units = judge(hardened)
    assert states(found) == [("pass", None), ("pass", None)]
    assert units.changes.count == 0
    assert hardened.commands == []


def test_altered_drop_in_is_put_right_and_waits_for_a_restart(hardened: Any, live: Path, staged: Path) -> None:
    content = live.read_text()
    live.write_text(content.replace("ProtectClock=yes\n", "") + "ExecStartPre=+/tmp/x\n")
    hardened.load()
    predicted, dry = judge(hardened, check_mode=True)
    assert states(predicted) == [("pass", None), ("fail", None)]
    found, units = judge(hardened)
    assert states(found) == [("pass", None), ("fail", "restart")]
    assert live.read_text() == content
    assert not staged.exists()
    assert dry.changes.entries == units.changes.entries
    assert units.restart_pending == ["jira"]


def test_process_older_than_the_drop_in(hardened: Any) -> None:
    hardened.write("proc/stat", "btime 1000\n")
    hardened.write("proc/70/stat", "70 (java) S " + " ".join(["0"] * 18) + " 500 0\n")
    found, units = judge(hardened)
    assert states(found) == [("pass", None), ("fail", "restart")]
    assert units.restart_pending == ["jira"]
    assert units.changes.count == 0


def test_process_of_root_under_the_right_unit(hardened: Any) -> None:
    hardened.process(confined=True, uid=0)
    found, units = judge(hardened)
    assert states(found) == [("fail", "restart"), ("pass", None)]
    assert units.restart_pending == ["jira"]
    assert units.changes.count == 0


def test_later_drop_in_is_named(hardened: Any) -> None:
    hardened.late = {"PrivateTmp": "no"}
    hardened.load()
    found, units = judge(hardened)
    assert states(found) == [("pass", None), ("fail", None)]
    assert found[CONFINEMENT]["evidence"][0]["what"].endswith("zzz.conf")
    assert units.changes.count == 0


def test_later_drop_in_found_out_only_after_the_reload(host: Any) -> None:
    host.unit["ActiveState"] = "inactive"
    host.instance["pid"] = None
    own(host)
    host.late = {"User": "root"}
    found, _units = judge(host)
    assert found[IDENTITY]["status"] == "fail"
    assert "zzz.conf" in str(found[IDENTITY]["evidence"])


def test_overridden_directives_of_others_are_named(host: Any) -> None:
    host.unit["ActiveState"] = "inactive"
    host.instance["pid"] = None
    own(host)
    host.write("etc/systemd/system/jira.service", "[Service]\nUMask=0002\nPrivateTmp=yes\nLimitNOFILE=5\n")
    _found, units = judge(host)
    assert [(item["directive"], item["value"], item["used"]) for item in units.overridden] == [
        ("UMask", "0002", "0027")
    ]


def test_unloaded_unit_files_are_loaded(hardened: Any) -> None:
    hardened.unit["NeedDaemonReload"] = "yes"
    found, _units = judge(hardened)
    assert found[CONFINEMENT]["status"] == "fixed"
    assert hardened.ran("systemctl", "daemon-reload")
    assert found[IDENTITY]["status"] == "pass"


@pytest.mark.parametrize(
    ("unit", "instance", "what"),
    [
        ({"LoadState": "masked"}, {}, "masked"),
        ({"ExecStartEx": "{ path=/opt/x ; flags=privileged ; pid=1 }"}, {}, "privileged"),
        ({"ExecStartEx": "{ path=/usr/bin/su ; flags= ; pid=1 }"}, {}, "started through /usr/bin/su"),
        ({}, {"connectors": [{"port": 443}]}, "443"),
        ({}, {"service_account": "nobody-yet"}, "absent"),
    ],
)
def test_what_stands_in_the_way(
    host: Any, staged: Path, unit: dict[str, str], instance: dict[str, Any], what: str
) -> None:
    host.process(confined=False, uid=0)
    host.unit.update(unit)
    host.instance.update(instance)
    found, units = judge(host)
    assert states(found) == [("fail", None), ("fail", None)]
    assert what in found[IDENTITY]["evidence"][0]["actual"]
    assert not staged.exists()
    assert units.changes.count == 0


SCRIPTS = {
    "su - $USER -c /opt/jira/bin/startup.sh": "su",
    "if true; then runuser -u jira -- /opt/jira/bin/startup.sh; fi": "runuser",
    "start-stop-daemon --start --chuid jira --exec /opt/jira/bin/startup.sh": "start-stop-daemon",
    "daemon --user=$USER /opt/jira/bin/startup.sh": "daemon",
    "case $1 in start) sudo -u jira /opt/jira/bin/startup.sh;; esac": "sudo",
    "# su - jira": None,
    "echo 'Use sudo to run this'; /opt/jira/bin/start-jira.sh": None,
    "start-stop-daemon --start --pidfile /run/jira.pid --exec /opt/jira/bin/startup.sh": None,
}


@pytest.mark.parametrize("line", SCRIPTS)
def test_script_of_somebody_else_that_changes_the_account(host: Any, staged: Path, line: str) -> None:
    host.process(confined=False, uid=0)
    host.write("etc/init.d/jira", f"#!/bin/sh\n{line}\n")
    host.unit["ExecStartEx"] = "{ path=/etc/init.d/jira ; argv[]=/etc/init.d/jira start ; flags= ; pid=0 }"
    found, units = judge(host)
    command = SCRIPTS[line]
    assert staged.exists() is (command is None)
    assert units.restart_pending == (["jira"] if command is None else [])
    if command:
        first = found[IDENTITY]["evidence"][0]
        assert first["actual"] == f"/etc/init.d/jira, which changes the account by {command}"
        assert "README of role service_user" in first["expected"]


def test_the_scripts_of_the_product_may_change_the_account(host: Any, staged: Path) -> None:
    host.process(confined=False, uid=0)
    host.write("opt/jira/bin/start-jira.sh", "#!/bin/sh\nrunuser -m jira -c catalina.sh\n")
    (host.root / "etc/init.d").mkdir()
    (host.root / "etc/init.d/jira").symlink_to("../../opt/jira/bin/start-jira.sh")
    host.unit["ExecStartEx"] = "{ path=/etc/init.d/jira ; argv[]=/etc/init.d/jira start ; flags= ; pid=0 }"
    judge(host)
    assert staged.exists()


def test_shell_command_that_changes_the_account(host: Any, staged: Path) -> None:
    host.process(confined=False, uid=0)
    host.unit["ExecStartEx"] = "{ path=/bin/sh ; argv[]=/bin/sh -c su jira -c /opt/jira/bin/x ; flags= ; pid=0 }"
    found, _units = judge(host)
    assert "a shell command that changes the account by su" in found[IDENTITY]["evidence"][0]["actual"]
    assert not staged.exists()


def test_restart_for_something_else_leaves_a_refused_unit_alone(host: Any, live: Path, staged: Path) -> None:
    host.process(confined=False, uid=0)
    host.trial = (1, "/usr/bin/java -version\tError\n")
    judge(host)
    host.unit["ActiveState"] = "inactive"
    found, units = judge(host, phase="live")
    assert units.changes.count == 0
    assert found == {}
    assert not live.exists()
    assert not staged.exists()


def test_sandbox_that_systemd_cannot_set_up_is_told_in_its_words(host: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    host.process(confined=False, uid=0)
    host.trial = (226, "")
    run = host.run
    log = "x.service: Failed at step NAMESPACE\nx.service: Failed to set up mount namespacing: /srv/x: No\n"

    def with_journal(argv: list[str], **options: Any) -> tuple[int, str, str]:
        return (0, log, "") if argv[0] == "journalctl" else run(argv, **options)

    monkeypatch.setattr(host, "run", with_journal)
    found, _units = judge(host)
    assert "Failed to set up mount namespacing: /srv/x: No" in found[CONFINEMENT]["evidence"][0]["actual"]


def test_without_a_unit_it_says_where_the_product_runs(host: Any) -> None:
    host.process(confined=False, uid=0)
    host.write("proc/70/cgroup", "0::/system.slice/rc-local.service\n")
    host.instance.update(unit=None, init_script="/etc/init.d/jira")
    found, _units = judge(host)
    for control in CONTROLS:
        actual = found[control]["evidence"][0]["actual"]
        assert actual == "started by /etc/init.d/jira, process 70 runs in rc-local.service"


def test_process_started_by_hand(host: Any, staged: Path) -> None:
    host.process(confined=False, uid=0)
    host.write("proc/70/cgroup", "0::/user.slice/session-1.scope\n")
    found, _units = judge(host)
    assert "started by hand" in found[IDENTITY]["evidence"][0]["actual"]
    assert not staged.exists()


def test_low_port_with_the_capability_is_fine(host: Any, staged: Path) -> None:
    host.process(confined=False, uid=0)
    host.instance["connectors"] = [{"port": 443}]
    low = "CAP_NET_BIND_SERVICE"
    found, _units = judge(host, sandbox={"AmbientCapabilities": low, "CapabilityBoundingSet": low})
    assert states(found) == [("fail", "restart"), ("fail", "restart")]
    assert f"AmbientCapabilities={low}" in staged.read_text()


def test_a_product_with_a_full_disk_is_not_restarted(host: Any, staged: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.statvfs

    def full(path: Any) -> os.statvfs_result:
        fields = list(real(path))
        fields[4] = 100  # f_bavail: what is left for anybody but root
        return os.statvfs_result(fields)

    monkeypatch.setattr(os, "statvfs", full)
    host.process(confined=False, uid=0)
    found, units = judge(host)
    assert states(found) == [("fail", None), ("fail", None)]
    assert "file system of" in found[IDENTITY]["evidence"][0]["what"]
    assert "MiB free" in found[IDENTITY]["evidence"][0]["actual"]
    assert units.restart_pending == []
    assert not staged.exists()


@pytest.mark.parametrize(("folder", "writable"), [("/srv/wiki/logs", True), ("/srv/wiki", False), ("/", False)])
def test_part_that_logs_where_another_product_writes(host: Any, staged: Path, folder: str, writable: bool) -> None:
    host.unit["WorkingDirectory"] = folder
    host.process(confined=False, uid=0)
    judge(host, instances=[host.instance, {"name": "wiki", "working_dirs": ["/srv/wiki/logs"]}])
    paths = [line.partition("=")[2] for line in staged.read_text().splitlines() if line.startswith("ReadWritePaths=")]
    assert (f"-{folder}" in paths[-1].split()) is writable


def test_product_whose_work_needs_a_weaker_sandbox(host: Any, live: Path) -> None:
    host.instance["sandbox"] = {"PrivateTmp": "no", "SystemCallFilter": None, "RestrictSUIDSGID": None}
    host.unit["ActiveState"] = "inactive"
    host.instance["pid"] = None
    own(host)
    judge(host)
    text = live.read_text()
    assert "PrivateTmp=no\n" in text
    assert text.split("ReadWritePaths=\n")[1].split("\n")[0].endswith(" -/tmp -/var/tmp")
    assert "SystemCallFilter" not in text
    assert "RestrictSUIDSGID" not in text
    assert "NoNewPrivileges=yes\n" in text
    host.unit["ActiveState"] = "active"
    host.instance["pid"] = 70
    host.process(confined=True)
    host.write("proc/70/mountinfo", "1 0 0:1 / / ro - ext4 x rw\n2 1 0:2 / /tmp rw - tmpfs x rw\n")
    assert judge(host)[0][CONFINEMENT]["status"] == "pass"
    assert judge(host, sandbox={"PrivateTmp": "yes"})[0][CONFINEMENT]["status"] == "fail"


def test_no_unit(host: Any) -> None:
    host.instance.update(unit=None, init_script="/etc/init.d/jira")
    found, units = judge(host)
    assert states(found) == [("fail", None), ("fail", None)]
    assert "no systemd unit" in found[IDENTITY]["reason"]
    assert units.changes.count == 0


def test_account_without_sandbox(host: Any, staged: Path) -> None:
    host.process(confined=False, uid=0)
    found, _units = judge(host, enforce=[IDENTITY])
    assert found[IDENTITY]["pending"] == "restart"
    assert "User=jira" in staged.read_text()
    assert "NoNewPrivileges" not in staged.read_text()


def test_no_sandbox_around_root(host: Any, staged: Path) -> None:
    host.process(confined=False, uid=0)
    found, _units = judge(host, enforce=[CONFINEMENT])
    assert states(found) == [("fail", None), ("fail", None)]
    assert not staged.exists()


def test_selecting_one_control_keeps_what_the_other_has_written(hardened: Any, live: Path) -> None:
    content = live.read_text()
    found, units = judge(hardened, controls=[IDENTITY], enforce=[IDENTITY])
    assert list(found) == [IDENTITY]
    assert units.changes.count == 0
    live.write_text(content.replace("User=jira\n", ""))
    hardened.load()
    judge(hardened, controls=[IDENTITY], enforce=[IDENTITY])
    assert "User=jira" in live.read_text()
    assert "SystemCallFilter=@system-service" in live.read_text()


def test_nothing_is_changed_when_both_are_waived(host: Any, staged: Path) -> None:
    host.process(confined=False, uid=0)
    found, units = judge(host, enforce=[])
    assert states(found) == [("fail", None), ("fail", None)]
    assert units.changes.count == 0
    assert not staged.exists()
