# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How backups are judged and set up."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.action.backup import ActionModule, knowledge
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._backup_state import State, Success, place_of
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._changes import ChangeError, Changes
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._findings import Findings
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._restore_result import Check, Result, utc
from ansible_collections.atlassian_dc.hardening.plugins.modules import backup
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._drills import Drills
from unit.log_keeping.kept_host import KeptHost

CONFIG = """<jira-database-config><jdbc-datasource><url>{url}</url><username>jira</username>
<password>{password}</password></jdbc-datasource></jira-database-config>"""
URL = "jdbc:postgresql://db.example.com:5433/jiradb?sslmode=verify-full"
REPOSITORY = {"url": "rest:https://backup:pass@backup.example.com/", "password": "sesame", "environment": {"A": "b"}}
PLACE = place_of("rest:https://backup.example.com/")
PACKAGES = {"restic": "restic", "postgresql": "postgresql-client", "mariadb": "mariadb-client", "rclone": "rclone"}
JIRA = {
    "name": "jira",
    "product": "jira",
    "version": "10.3.15",
    "install_dir": "/opt/jira",
    "home_dir": "/data/jira",
    "shared_home_dir": None,
    "unit": "jira.service",
    "unit_path": "/etc/systemd/system/jira.service",
    "service_account": "jira",
    "service_group": "jira",
    "log_dirs": ["/data/jira/log", "/opt/jira/logs"],
    "archive_dirs": ["/data/jira/export"],
    "http_port": 8080,
}
UNIT = "atlassian-dc-backup@jira"


class Backed(KeptHost):
    """A host with Jira and its database."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.configure()
        self.write("/data/jira/data/attachments/1", "x")
        self.write("/opt/jira/conf/server.xml", "<Server/>")
        self.write("/etc/passwd", "root:x:0:0::/root:/bin/sh\njira:x:900:900::/data/jira:/usr/sbin/nologin\n")
        self.write("/etc/group", "root:x:0:\njira:x:900:\n")
        self.write("/usr/sbin/nologin", "")

    def configure(self, url: str = URL, password: str = "hunter2") -> None:  # noqa: S107 - of a database that is none
        self.write("/data/jira/dbconfig.xml", CONFIG.format(url=url, password=password))

    def run(self, argv: list[str], **options: Any) -> tuple[int, str, str]:
        answer = super().run(argv, **options)
        if argv[0] == "useradd":
            line = f"{argv[-1]}:x:901:901::/var/lib/atlassian-dc-backup:/usr/sbin/nologin\n"
            self.write("/etc/passwd", self.read("/etc/passwd") + line)
            self.write("/etc/group", self.read("/etc/group") + f"{argv[-1]}:x:901:\n")
        if argv[0] == "gpasswd":
            self.write("/etc/group", self.read("/etc/group").replace(f":{argv[2]}\n", ":\n"))
        return answer

    def damaged(self) -> State:
        """Return what a backup leaves to a damaged repository."""
        return State("jira1-jira", time.time(), "failure", "pack 1234", damage="pack 1234", repository=PLACE)

    def left(self, state: State | None = None, **success: Any) -> None:
        """Have a backup leave a state; by default that of a good one, just now, with all that is needed."""
        if state is None:
            scope = backup.Scope(JIRA, knowledge()["jira"], "jira1", backup.Host(str(self.root)))
            needed = tuple({**item, "present": True} for item in scope.needed())
            told = {"finished": time.time(), "needed": needed, **success}
            whole = Success("20261129T100000Z", "instance", "jira1", seconds=5.0, bytes=1, files=1, **told)
            state = State("jira1-jira", time.time(), "success", whole=whole, repository=PLACE)
        self.write("/var/lib/atlassian-dc-backup/jira/last.json", state.to_json())


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Backed:
    host = Backed(tmp_path)
    monkeypatch.setattr(backup, "package_manager", host.manager)
    return host


class Outcome:
    """What the module said and did."""

    def __init__(self, host: Backed, check_mode: bool = False, **given: Any) -> None:
        params = {
            "instances": [JIRA],
            "packages": PACKAGES,
            "products": knowledge(),
            "host": "jira1",
            "collection": "0.2.0",
            "repository": REPOSITORY,
            "databases": None,
            "credentials": None,
            "other": None,
            "schedule": "daily",
            "interval": 86400,
            "time_limit": 3600,
            "keep": {"daily": 7},
            "forget": True,
            "create": True,
            "drain": 300,
            "snapshot": None,
            "textfile_dir": None,
            "wait": 5,
            "drills": {},
            "drill_max_age": 100,
            "controls": None,
            "enforce": ["DC-BKP-01", "DC-BKP-02"] if given.get("repository", True) else [],
            **given,
        }
        self.findings = Findings(params, backup.CONTROLS, check_mode)
        self.changes = Changes(check_mode, host.run)
        module = backup.Backups(params, self.findings, self.changes, host.run, str(host.root))
        module.run()
        self.by_control = {finding["control"]: finding for finding in self.findings.results}

    @property
    def statuses(self) -> str:
        """Statuses of 01, 02, 03 and 05."""
        return " ".join(self.by_control[f"DC-BKP-0{number}"]["status"] for number in (1, 2, 3, 5))

    def reason(self, control: str) -> str:
        return str(self.by_control[f"DC-BKP-{control}"]["reason"])


def config_of(host: Backed) -> dict[str, Any]:
    return dict(json.loads(host.read("/etc/atlassian-dc/backup/jira.json")))


class TestSettingUp:
    def test_check_mode_predicts_what_a_real_run_does(self, host: Backed) -> None:
        predicted, real = Outcome(host, check_mode=True), Outcome(host)
        assert predicted.changes.entries == real.changes.entries
        assert predicted.statuses == "fail fail fail fail"
        assert real.by_control["DC-BKP-01"]["status"] == "fixed", real.reason("01")

    def test_a_second_run_changes_nothing(self, host: Backed) -> None:
        Outcome(host)
        host.left()
        again = Outcome(host)
        assert again.changes.entries == []
        assert again.statuses == "pass pass pass pass"
        assert "append-only where the server" in again.reason("02")

    def test_no_secret_is_shown_or_stands_where_others_read(self, host: Backed) -> None:
        outcome = Outcome(host)
        shown = json.dumps([outcome.findings.results, outcome.changes.entries, outcome.changes.diff])
        for path in host.root.rglob("*"):
            if path.is_file() and path.stat().st_mode & 0o077 and path.name != "dbconfig.xml":
                shown += path.read_text()
        assert not any(secret in shown for secret in ("sesame", "hunter2", "backup:pass"))
        secrets = json.loads(host.read("/etc/atlassian-dc/backup/jira.secrets.json"))
        assert (secrets["database"], secrets["repository"]["password"]) == ("hunter2", "sesame")

    def test_what_is_backed_up(self, host: Backed) -> None:
        Outcome(host)
        config = config_of(host)
        home, edited = config["parts"]
        assert home["paths"] == ["/data/jira"]
        assert {"/data/jira/log", "/data/jira/export", "/data/jira/plugins/.osgi-plugins"} <= set(home["exclude"])
        assert {"/opt/jira/conf/server.xml", "/etc/systemd/system/jira.service"} <= set(edited["paths"])
        assert config["database"] == {
            "kind": "postgresql",
            "host": "db.example.com",
            "port": 5433,
            "name": "jiradb",
            "user": "jira",
            "ssl_mode": "verify-full",
            "ssl_root": "/etc/ssl/certs/ca-certificates.crt",
        }

    @pytest.mark.parametrize(
        ("place", "wanted"),
        [
            ("localhost/jiradb", "allow"),
            ("[::1]/jiradb", "allow"),
            ("localhost/jiradb?sslmode=require", "require"),
            ("db.example.com/jiradb", None),
        ],
    )
    def test_only_what_leaves_the_host_has_to_be_encrypted(self, host: Backed, place: str, wanted: str | None) -> None:
        host.configure(f"jdbc:postgresql://{place}")
        Outcome(host)
        assert config_of(host)["database"].get("ssl_mode") == wanted

    def test_what_a_link_leads_to_is_backed_up_too(self, host: Backed) -> None:
        host.write("/mnt/big/attachments/1", "x")
        attachments = host.root / "data/jira/data/attachments"
        (attachments / "1").unlink()
        attachments.rmdir()
        (host.root / "data/jira/data").rmdir()
        (host.root / "data/jira/data").symlink_to("/mnt/big")
        Outcome(host)
        assert config_of(host)["parts"][0]["paths"] == ["/data/jira", "/mnt/big"]

    def test_a_link_to_the_system_is_not_followed(self, host: Backed) -> None:
        (host.root / "data/jira/x").symlink_to("/etc")
        (host.root / "data/jira/loop").symlink_to("loop")
        Outcome(host)
        assert config_of(host)["parts"][0]["paths"] == ["/data/jira"]

    def test_the_program_starts_on_its_own(self, host: Backed, tmp_path: Path) -> None:
        """With nothing but the standard library and what was sent."""
        Outcome(host)
        program = host.read("/usr/local/libexec/atlassian-dc-backup")
        copy = tmp_path / "program.py"
        copy.write_text(program.replace("/usr/local/lib/", f"{host.root}/usr/local/lib/"))
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-B", copy, "run", "jira"], capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (2, "this is started by atlassian-dc-backup@INSTANCE.service\n")

    def test_a_failure_starts_what_puts_it_in_order(self, host: Backed) -> None:
        Outcome(host)
        release = "atlassian-dc-backup-release@jira.service"
        assert f"OnFailure={release}\n" in host.read(f"/etc/systemd/system/{UNIT}.service")
        unit = host.read(f"/etc/systemd/system/{release}")
        assert "User=atlassian-dc-backup\n" in unit
        assert "ExecStart=/usr/local/libexec/atlassian-dc-backup release jira\n" in unit

    def test_the_account_may_read_and_nothing_else(self, host: Backed) -> None:
        Outcome(host)
        unit = host.read(f"/etc/systemd/system/{UNIT}.service")
        for line in (
            "User=atlassian-dc-backup",
            "AmbientCapabilities=CAP_DAC_READ_SEARCH",
            "CapabilityBoundingSet=CAP_DAC_READ_SEARCH",
            "ProtectSystem=strict",
            "MemoryMax=1G",
        ):
            assert line in unit.splitlines()
        assert "ReadWritePaths" not in unit

    def test_the_first_backup_is_begun(self, host: Backed) -> None:
        Outcome(host)
        assert host.ran("systemctl", "start", "--no-block") == [["systemctl", "start", "--no-block", f"{UNIT}.service"]]

    def test_that_of_a_product_that_is_locked_meanwhile_is_left_to_the_timer(self, host: Backed) -> None:
        told = knowledge()
        told["jira"]["backup"] = {**told["jira"]["backup"], "maintenance": told["bitbucket"]["backup"]["maintenance"]}
        outcome = Outcome(host, products=told, credentials={"jira": {"token": "t"}})
        assert outcome.by_control["DC-BKP-01"]["status"] == "fixed", outcome.reason("01")
        assert host.ran("systemctl", "start", "--no-block") == []
        assert "the first is left to the timer" in outcome.reason("03")

    def test_a_first_backup_that_failed_is_tried_again_once_something_was_put_right(self, host: Backed) -> None:
        Outcome(host)
        host.left(State("jira1-jira", time.time(), "failure", "no", repository=PLACE))
        host.commands.clear()
        predicted, real = Outcome(host, check_mode=True, schedule="hourly"), Outcome(host, schedule="hourly")
        assert predicted.changes.entries == real.changes.entries
        assert ["systemctl", "start", "--no-block", f"{UNIT}.service"] in host.commands

    def test_figures_are_linked_where_the_exporter_looks(self, host: Backed) -> None:
        folder = "/var/lib/prometheus/node-exporter"
        link = host.root / f"{folder[1:]}/atlassian-dc-backup-jira.prom"
        target = "/var/lib/atlassian-dc-backup/metrics/jira.prom"
        outcome = Outcome(host, textfile_dir=folder)
        assert ["ln", "-sfn", target, f"{folder}/{link.name}"] in host.commands
        assert "node-exporter" in outcome.reason("01")  # made by nobody here
        link.parent.mkdir(parents=True)
        link.symlink_to(target)
        assert Outcome(host, textfile_dir=folder).changes.entries == []
        link.unlink()
        link.write_text("somebody else's")
        assert "exists and is no link" in Outcome(host, textfile_dir=folder).reason("01")

    def test_what_systemd_refuses_is_the_reason(self, host: Backed) -> None:
        host.answers["systemd-analyze"] = (1, "", "Invalid calendar")
        assert "systemd refuses" in Outcome(host).reason("01")
        assert not (host.root / f"etc/systemd/system/{UNIT}.service").exists()

    def test_a_folder_as_repository(self, host: Backed, monkeypatch: pytest.MonkeyPatch) -> None:
        account = type("Account", (), {"pw_uid": os.getuid(), "pw_gid": os.getgid()})
        monkeypatch.setattr(backup.pwd, "getpwnam", lambda _name: account)
        (host.root / "srv").mkdir()
        outcome = Outcome(host, repository={**REPOSITORY, "url": "/srv/backup"})
        assert (host.root / "srv/backup").stat().st_mode & 0o777 == 0o700
        assert "ReadWritePaths=-/srv/backup" in host.read(f"/etc/systemd/system/{UNIT}.service")
        assert outcome.by_control["DC-BKP-02"]["status"] == "fail"
        assert "the repository is on the host itself" in outcome.reason("02")
        assert "cannot be append-only" in outcome.reason("02")


SOCKET = "atlassian-dc-backup-snapshot-jira"
STORAGE = {"create": ["/usr/local/sbin/storage", "create"], "remove": ["/usr/local/sbin/storage", "remove"]}


class TestSnapshots:
    def test_a_socket_and_a_service_of_root(self, host: Backed) -> None:
        told: dict[str, Any] = {"snapshot": {"jira": STORAGE}}
        predicted, real = Outcome(host, check_mode=True, **told), Outcome(host, **told)
        assert predicted.changes.entries == real.changes.entries
        assert real.by_control["DC-BKP-01"]["status"] == "fixed", real.reason("01")
        assert [f"{SOCKET}.socket"] in [argv[2:] for argv in host.ran("systemctl", "enable")]
        config = json.loads(host.read("/etc/atlassian-dc/backup/jira.snapshot.json"))
        assert (config["create"], config["remove"]) == (STORAGE["create"], STORAGE["remove"])
        assert (config["paths"], config["parts"]) == (["/data/jira"], ["home-jira1"])
        assert config_of(host)["snapshot"]["socket"] in host.read(f"/etc/systemd/system/{SOCKET}.socket")
        host.left()
        again = Outcome(host, **told)
        assert again.changes.entries == []
        assert "as atlassian_dc_backup_snapshot states" in again.reason("01")

    def test_what_was_declared_and_is_no_more_is_removed(self, host: Backed) -> None:
        Outcome(host, snapshot={"jira": STORAGE})
        host.commands.clear()
        predicted, real = Outcome(host, check_mode=True), Outcome(host)
        assert predicted.changes.entries == real.changes.entries
        assert ["systemctl", "disable", "--now", f"{SOCKET}.socket"] in host.commands
        assert not list(host.root.rglob("*snapshot-jira*"))
        assert config_of(host)["snapshot"] is None
        assert Outcome(host).changes.entries == []

    def test_one_that_is_still_there_is_not_forgotten(self, host: Backed) -> None:
        Outcome(host, snapshot={"jira": STORAGE})
        host.write("/var/lib/atlassian-dc-backup-snapshots/jira", "")
        assert "atlassian-dc-backup clear jira first" in Outcome(host).reason("01")
        assert (host.root / "etc/atlassian-dc/backup/jira.snapshot.json").exists()

    def test_a_socket_that_is_off(self, host: Backed) -> None:
        Outcome(host, snapshot={"jira": STORAGE})
        host.left()
        host.units[f"{SOCKET}.socket"]["ActiveState"] = "inactive"
        found = Outcome(host, snapshot={"jira": STORAGE})
        assert found.by_control["DC-BKP-01"]["status"] == "fixed"
        assert [change["target"] for change in found.changes.entries] == [f"unit {SOCKET}.socket"]

    @pytest.mark.parametrize(
        ("given", "words"),
        [
            ({"jira": {"create": ["/x"]}}, "jira: has to have create and remove and nothing else"),
            ({"jira": {**STORAGE, "mount": ["/x"]}}, "jira: has to have create and remove and nothing else"),
            ({"jira": "lvcreate"}, "jira: has to have create and remove and nothing else"),
            ({"jira": {**STORAGE, "create": "/sbin/lvcreate -s"}}, "jira: create: has to be a list of words"),
            ({"jira": {**STORAGE, "remove": []}}, "jira: remove: has to be a list of words"),
            ({"jira": {**STORAGE, "remove": ["/x", 7]}}, "jira: remove: has to be a list of words"),
            ({"jira": {**STORAGE, "create": ["lvcreate"]}}, "create: 'lvcreate' is no absolute path of a program"),
            ({"jira": {**STORAGE, "create": ["/x", "a\0"]}}, "create: a word holds a NUL"),
        ],
    )
    def test_commands_that_cannot_be_run(self, host: Backed, given: dict[str, Any], words: str) -> None:
        with pytest.raises(ChangeError, match=f"atlassian_dc_backup_snapshot: .*{words}"):
            Outcome(host, snapshot=given)
        assert host.commands == []

    def git(self, host: Backed, url: str = URL) -> dict[str, Any]:
        host.write("/data/git/bitbucket.properties", f"jdbc.url={url}\njdbc.user=x\njdbc.password=x\n")
        return {**JIRA, "name": "bitbucket", "product": "bitbucket", "shared_home_dir": "/data/git"}

    def test_bitbucket_is_not_locked_then(self, host: Backed) -> None:
        """And needs no login; of its homes the shared one is what has to be of one moment."""
        outcome = Outcome(host, instances=[self.git(host)], snapshot={"bitbucket": STORAGE})
        assert outcome.by_control["DC-BKP-01"]["status"] == "fixed", outcome.reason("01")
        config = json.loads(host.read("/etc/atlassian-dc/backup/bitbucket.json"))
        assert (config["maintenance"], config["snapshot"]["parts"]) == (None, ["shared_home"])
        assert config["snapshot"]["paths"] == ["/data/git"]
        assert ["systemctl", "start", "--no-block", "atlassian-dc-backup@bitbucket.service"] in host.commands
        again = Outcome(host, instances=[self.git(host)], snapshot={"bitbucket": STORAGE})
        assert "bitbucket is not locked meanwhile" in again.reason("01")

    def test_it_is_where_the_moment_of_its_dump_is_not_known(self, host: Backed) -> None:
        given: dict[str, Any] = {"instances": [self.git(host)], "snapshot": {"bitbucket": STORAGE}}
        given["databases"] = {"bitbucket": {"command": ["/usr/local/bin/dump"]}}
        assert "atlassian_dc_credentials" in Outcome(host, **given).reason("01")
        given["credentials"] = {"bitbucket": {"token": "t"}}
        Outcome(host, **given)
        config = json.loads(host.read("/etc/atlassian-dc/backup/bitbucket.json"))
        assert config["maintenance"] is not None
        assert "is locked while its database is dumped" in Outcome(host, **given).reason("01")

    def test_without_one_it_says_that_it_is_locked(self, host: Backed) -> None:
        given: dict[str, Any] = {"instances": [self.git(host)], "credentials": {"bitbucket": {"token": "t"}}}
        Outcome(host, **given)
        assert Outcome(host, **given).reason("01") == "bitbucket is locked while it is backed up"


class TestDatabases:
    def test_mariadb(self, host: Backed) -> None:
        host.configure("jdbc:mariadb://localhost/jiradb")
        Outcome(host)
        assert config_of(host)["database"]["port"] == 3306
        assert "mariadb-client" in host.packages

    @pytest.mark.parametrize(
        ("url", "password", "words"),
        [
            (URL, "{ATL_SECURED}", "its database is encrypted"),
            ("jdbc:oracle:thin:@//db:1521/x", "x", "kind oracle"),
            ("jdbc:h2:file:/x", "x", "kind h2"),
            ("jdbc:postgresql://a,b/x", "x", "of a form that is not known"),
            ("jdbc:postgresql://db/a b", "x", "of a form that is not known"),
        ],
    )
    def test_what_cannot_be_dumped_is_set_up_by_nobody(self, host: Backed, url: str, password: str, words: str) -> None:
        host.configure(url, password)
        outcome = Outcome(host)
        assert words in outcome.reason("01")
        assert "atlassian_dc_backup_databases" in outcome.reason("01")
        assert outcome.changes.entries == []
        assert outcome.by_control["DC-BKP-01"]["by_hand"]

    def test_an_account_of_its_own(self, host: Backed) -> None:
        host.configure(password="{ATL_SECURED}")  # noqa: S106 - a marker
        Outcome(host, databases={"jira": {"username": "reader", "password": "other"}})
        assert config_of(host)["database"]["user"] == "reader"

    def test_a_command(self, host: Backed) -> None:
        host.configure("jdbc:oracle:thin:@//db:1521/x")
        Outcome(host, databases={"jira": {"command": ["/usr/local/sbin/dump", "jira"]}})
        assert config_of(host)["database"]["command"] == ["/usr/local/sbin/dump", "jira"]
        assert host.packages == {"restic"}


class TestDrills:
    def result(self, outcome: str, key: str = "jira1-jira") -> str:
        when = utc(time.time())
        checks = (Check("database", outcome, "other rows", 1.0),)
        return Result(key, "20261129T100000Z", "jira", "drill1", when, when, 1, checks).to_json()

    def test_one_that_was_never_tried_says_what_to_do(self, host: Backed) -> None:
        outcome = Outcome(host, repository=None)
        assert outcome.by_control["DC-BKP-04"]["status"] == "fail"
        assert (
            outcome.reason("04") == "no restore is known to have been tried: run playbook backup_drill for jira1-jira"
        )

    @pytest.mark.parametrize(
        ("found", "status"), [("passed", "pass"), ("failed", "fail"), ("not tried", "not_checked")]
    )
    def test_its_result_counts_wherever_it_is_kept(self, host: Backed, found: str, status: str) -> None:
        outcome = Outcome(host, drills={"jira1-jira": self.result(found)})
        assert outcome.by_control["DC-BKP-04"]["status"] == status
        host.write("/var/lib/atlassian-dc-backup/jira1-jira/drill.json", self.result(found))
        assert Outcome(host).by_control["DC-BKP-04"]["status"] == status

    def test_that_of_a_cluster_is_looked_up_by_its_id(self, host: Backed) -> None:
        node = {**JIRA, "cluster": {"id": "db:5432/jira"}}
        outcome = Outcome(host, instances=[node], drills={"db_5432_jira": self.result("passed", "db_5432_jira")})
        assert outcome.by_control["DC-BKP-04"]["status"] == "pass"

    def test_the_module_is_told_what_the_controller_keeps(self, tmp_path: Path) -> None:
        Drills(str(tmp_path)).keep("jira1-jira", "text")
        plugin = ActionModule.__new__(ActionModule)
        plugin._task = SimpleNamespace(args={"copies": str(tmp_path), "instances": [JIRA]}, check_mode=True)
        assert plugin.module_arguments({"inventory_hostname": "jira1"})["drills"] == {"jira1-jira": "text"}


class TestJudging:
    def test_without_a_repository(self, host: Backed) -> None:
        outcome = Outcome(host, repository=None)
        assert outcome.statuses == "fail fail fail fail"
        assert "atlassian_dc_backup_repository is not set" in outcome.reason("03")
        assert outcome.changes.entries == []

    def test_another_tool(self, host: Backed) -> None:
        done = host.write("/var/lib/other/done", "")
        other = {"jira": {"path": "/var/lib/other/done", "max_age": 3600}}
        assert Outcome(host, other=other).statuses == "pass not_checked pass not_checked"
        for when in (1, time.time() + 86400):
            os.utime(done, (when, when))
            assert Outcome(host, other=other).statuses == "fail not_checked fail not_checked"
        assert Outcome(host, other={"jira": {"path": "/gone"}}).statuses == "fail not_checked fail not_checked"

    def test_a_host_without_a_product(self, host: Backed) -> None:
        assert Outcome(host, instances=[]).statuses == " ".join(["not_applicable"] * 4)

    def test_a_service_of_which_nothing_is_needed(self, host: Backed) -> None:
        part = {"name": "synchrony", "product": "confluence_synchrony", "part_of": "confluence"}
        assert Outcome(host, instances=[part]).statuses == " ".join(["not_applicable"] * 4)

    def test_a_node_of_mesh_is_not_said_to_fit_to_its_bitbucket(self, host: Backed) -> None:
        node = {**JIRA, "name": "mesh", "product": "bitbucket_mesh", "part_of": "bitbucket"}
        for name in ("mesh.properties", "config/x"):
            host.write(f"/data/jira/{name}", "x")
        Outcome(host, instances=[node])
        scope = backup.Scope(node, knowledge()["bitbucket_mesh"], "jira1", backup.Host(str(host.root)))
        needed = tuple({**item, "present": True} for item in scope.needed())
        whole = Success("20261129T100000Z", "instance", "jira1", time.time(), 5.0, 1, 1, needed)
        state = State("jira1-mesh", time.time(), "success", whole=whole, repository=PLACE)
        host.write("/var/lib/atlassian-dc-backup/mesh/last.json", state.to_json())
        outcome = Outcome(host, instances=[node])
        assert outcome.by_control["DC-BKP-05"]["status"] == "not_checked"
        assert "whether it fits to the database of bitbucket is not known" in outcome.reason("05")

    def test_a_product_that_has_to_be_locked_needs_a_login(self, host: Backed) -> None:
        git = {**JIRA, "name": "bitbucket", "product": "bitbucket", "shared_home_dir": "/data/jira/shared"}
        host.write("/data/jira/shared/bitbucket.properties", f"jdbc.url={URL}\njdbc.user=x\njdbc.password=x\n")
        assert "atlassian_dc_credentials" in Outcome(host, instances=[git]).reason("01")
        outcome = Outcome(host, instances=[git], credentials={"bitbucket": {"token": "t"}})
        assert outcome.by_control["DC-BKP-01"]["status"] == "fixed"
        config = json.loads(host.read("/etc/atlassian-dc/backup/bitbucket.json"))
        assert config["maintenance"]["url"] == "http://127.0.0.1:8080"
        # The shared home of a single node is part of its home.
        assert [part["part"] for part in config["parts"]] == ["home-jira1", "install-jira1"]

    @pytest.mark.parametrize(
        ("change", "control", "words"),
        [
            (lambda h: h.left(finished=time.time() - 3 * 86400), "03", "the last success is 3 days old"),
            (
                lambda h: h.left(State("jira1-jira", 1.0, "failure", "disk full", repository=PLACE)),
                "03",
                "the last try failed: disk full",
            ),
            (
                lambda h: h.left(State("jira1-jira", 1.0, "running", repository=PLACE)),
                "03",
                "the first backup is still being made",
            ),
            (
                lambda h: h.left(State("jira1-jira", 1.0, "running", repository=PLACE)),
                "03",
                "the last try was cut short",
            ),
            (
                lambda h: h.left(State("jira1-jira", time.time() + 9e6, "running", repository=PLACE)),
                "03",
                "the last try was cut short",
            ),
            (lambda h: h.left(finished=time.time() + 86400), "03", "the last success is dated in the future"),
            (
                lambda h: h.left(dataclasses.replace(h.damaged(), repository="another")),
                "03",
                "no backup was made in this repository yet",
            ),
            (lambda h: h.left(h.damaged()), "03", "the repository is damaged: pack 1234"),
            (
                lambda h: h.write("/var/lib/atlassian-dc-backup/jira/last.json", "{"),
                "03",
                "is not what a backup leaves",
            ),
            (lambda h: h.left(needed=()), "05", "3 paths that a restore needs are not in the last backup"),
        ],
    )
    def test_what_the_last_backup_has_left(self, host: Backed, change: Any, control: str, words: str) -> None:
        Outcome(host)
        host.left()
        change(host)
        outcome = Outcome(host)
        assert outcome.by_control[f"DC-BKP-{control}"]["status"] == "fail"
        assert words in outcome.reason(control)
        assert outcome.by_control["DC-BKP-01"]["status"] == "pass"

    def test_secrets_that_others_can_read(self, host: Backed) -> None:
        Outcome(host)
        host.left()
        (host.root / "etc/atlassian-dc/backup/jira.secrets.json").chmod(0o644)
        assert Outcome(host, check_mode=True).statuses == "fail fail pass pass"
        assert Outcome(host).statuses == "fixed fixed pass pass"

    @pytest.mark.parametrize(
        ("told", "waits"),
        [
            ({"ActiveState": "activating", "Job": "17"}, True),
            # systemd has the job, and has not come to it.
            ({"ActiveState": "inactive", "Job": "17"}, True),
            ({"ActiveState": "inactive", "Job": "0"}, False),
            ({"ActiveState": "failed"}, False),
        ],
    )
    def test_the_first_one_is_waited_for_while_it_is_made(
        self, host: Backed, monkeypatch: pytest.MonkeyPatch, told: dict[str, str], waits: bool
    ) -> None:
        run = host.run

        def begun(argv: list[str], **options: Any) -> tuple[int, str, str]:
            answer = run(argv, **options)
            if argv == ["systemctl", "start", "--no-block", f"{UNIT}.service"]:
                host.unit(f"{UNIT}.service", **told)
            return answer

        monkeypatch.setattr(host, "run", begun)
        Outcome(host)
        assert host.ran("systemctl", "start", "--no-block")
        assert bool(host.ran("timeout")) == waits

    def test_a_product_in_the_group_of_backups(self, host: Backed) -> None:
        Outcome(host)
        host.left()
        host.write("/etc/group", host.read("/etc/group").replace("backup:x:901:", "backup:x:901:jira"))
        assert Outcome(host, check_mode=True).statuses == "pass fail pass pass"
        found = Outcome(host)
        assert found.statuses == "pass fixed pass pass"
        assert Outcome(host).changes.entries == []

    @pytest.mark.parametrize(
        ("unit", "properties"),
        [
            (f"{UNIT}.service", {"User": "", "ExecStart": "{ path=/usr/local/libexec/atlassian-dc-backup ; }"}),
            (f"{UNIT}.service", {"User": "atlassian-dc-backup", "ExecStart": "{ path=/bin/true ; }"}),
            (f"{UNIT}.timer", {"TimersCalendar": "", "ActiveState": "active", "UnitFileState": "enabled"}),
        ],
    )
    def test_what_a_drop_in_overrules_is_left_to_who_made_it(
        self, host: Backed, unit: str, properties: dict[str, str]
    ) -> None:
        Outcome(host)
        host.left()
        host.unit(unit, DropInPaths=f"/etc/systemd/system/{unit}.d/local.conf", **properties)
        found = Outcome(host)
        assert found.statuses == "fail pass pass pass"
        assert f"by /etc/systemd/system/{unit}.d/local.conf" in found.reason("01")

    def test_a_drop_in_that_does_no_harm_is_left_alone(self, host: Backed) -> None:
        Outcome(host)
        host.left()
        running = {"User": "atlassian-dc-backup", "ExecStart": "{ path=/usr/local/libexec/atlassian-dc-backup ; }"}
        host.unit(f"{UNIT}.service", DropInPaths="/etc/systemd/system/proxy.conf", **running)
        assert Outcome(host).statuses == "pass pass pass pass"

    def test_a_timer_that_is_off(self, host: Backed) -> None:
        Outcome(host)
        host.left()
        host.unit(f"{UNIT}.timer", ActiveState="inactive", UnitFileState="disabled")
        assert Outcome(host, check_mode=True).statuses == "fail pass pass pass"
        assert Outcome(host).statuses == "fixed pass pass pass"
