# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What discovery finds on hosts of all kinds."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._discovery import DeclarationError
from unit.discovery.fake_host import HOME, INIT_SCRIPT, INSTALL, POM, PROPERTIES, SETENV, UNIT, FakeHost, messages
from unit.squash import squashed

as_root = pytest.mark.skipif(os.getuid() != 0, reason="changing owners needs root")


class TestNothing:
    def test_empty_host(self, host: FakeHost) -> None:
        found = host.discover()
        assert found["instances"] == []
        assert found["problems"] == []
        assert "No installation of " in found["message"]
        assert "Jira" in found["message"]
        assert "atlassian_dc_instances" in found["message"]
        assert {"running processes", "/opt/atlassian/jira"} <= set(found["searched"])

    def test_other_software(self, host: FakeHost) -> None:
        host.process(
            10, command=["/usr/bin/java", "-Dcatalina.base=/opt/other", "org.apache.catalina.startup.Bootstrap"]
        )
        host.process(11, command=["nginx: master process"])
        host.unit("other.service", UNIT.replace("/opt/atlassian/jira", "/opt/other"))
        host.write("/opt/other/bin/startup.sh", "")
        host.write("/opt/atlassian/jira/README", "an empty shell")
        assert host.discover()["instances"] == []

    def test_same_bytes_twice(self, jira: FakeHost) -> None:
        jira.process(100)
        assert json.dumps(jira.discover()) == json.dumps(jira.discover())


class TestWhole:
    def test_running_jira(self, jira: FakeHost) -> None:
        jira.process(100, arguments=["-Xmx2g", "-Datlassian.recovery.password=hunter2"])
        instance = jira.instance()
        secrets = instance.pop("secret_files")
        assert [port["name"] for port in instance.pop("ports")][:2] == ["http", "shutdown"]
        assert {"path": f"{HOME}/dbconfig.xml", "tree": "home"} in secrets
        assert {"path": f"{INSTALL}/conf/server.xml", "tree": "install"} in secrets
        owner = "root" if os.getuid() == 0 else "jira"
        assert instance == {
            "name": "jira",
            "product": "jira",
            "part_of": None,
            "version": "10.3.15",
            "version_source": f"{INSTALL}/{POM}",
            "install_dir": INSTALL,
            "install_link": None,
            "home_dir": HOME,
            "home_source": PROPERTIES,
            "shared_home_dir": None,
            "shared_home_id": None,
            "unit": "jira.service",
            "unit_path": "/etc/systemd/system/jira.service",
            "init_script": None,
            "stopped_by_run": False,
            "running": True,
            "pid": 100,
            "started": 1_700_000_042.0,
            "running_user": "root",
            "running_uid": 0,
            "unit_user": "root",
            "user_file": f"{INSTALL}/bin/user.sh",
            "user_file_user": None,
            "service_account": "jira",
            "service_group": "jira",
            "service_account_source": "default of the product" if owner == "root" else "owner of the home directory",
            "http_port": 8080,
            "context_path": "",
            "status_url": "http://127.0.0.1:8080/status",
            "status_key": "state",
            "shutdown_port": 8005,
            "up_states": ["RUNNING", "FIRST_RUN"],
            "connectors": [
                {
                    "port": 8080,
                    "protocol": "HTTP/1.1",
                    "address": None,
                    "secure": None,
                    "scheme": None,
                    "proxy_name": None,
                    "proxy_port": None,
                    "ssl": False,
                }
            ],
            "jvm_arguments": [
                "-Datlassian.standalone=JIRA",
                "-Xmx2g",
                "-Datlassian.recovery.password=********",
                f"-Dcatalina.base={INSTALL}",
                f"-Dcatalina.home={INSTALL}",
            ],
            "start_files": [f"{INSTALL}/bin/setenv.sh", f"{INSTALL}/bin/set-gc-params.sh"],
            "start_jvm_arguments": [
                "-Xms384m",
                "-Xmx2048m",
                "-Djava.awt.headless=true",
                "-Datlassian.standalone=JIRA",
            ],
            "cluster": None,
            "companions": [],
            "needed_groups": [],
            "declared_groups": None,
            "url": None,
            "sandbox": {},
            "scratch_dirs": [],
            "working_dirs": [f"{INSTALL}/{name}" for name in ("conf/Catalina", "logs", "temp", "work")],
            "log_dirs": [f"{INSTALL}/logs", f"{HOME}/log"],
            "web_root": f"{INSTALL}/atlassian-jira",
            "archive_dirs": [f"{HOME}/export", f"{HOME}/import"],
            "archive_names": ["*.zip", "*.xml.zip", "*.tar", "*.tar.gz", "*.tgz", "*.sql", "*.sql.gz", "*.dump"],
            "code_dirs": [f"{HOME}/plugins/installed-plugins"],
            "problems": [],
        }

    def test_message(self, jira: FakeHost) -> None:
        assert jira.discover()["message"] == f"Found jira: Jira 10.3.15 in {INSTALL}, not running."
        jira.process(100)
        assert jira.discover()["message"] == f"Found jira: Jira 10.3.15 in {INSTALL}, running as root."

    def test_stopped(self, jira: FakeHost) -> None:
        instance = jira.instance()
        assert (instance["running"], instance["pid"], instance["running_user"], instance["running_uid"]) == (
            False,
            None,
            None,
            None,
        )
        assert instance["home_dir"] == HOME
        assert instance["jvm_arguments"] == instance["start_jvm_arguments"]


class TestInstallations:
    def test_known_place_alone(self, host: FakeHost) -> None:
        host.install(INSTALL, home=None)
        instance = host.instance()
        assert instance["install_dir"] == INSTALL
        assert instance["unit"] is None
        assert instance["unit_user"] is None
        assert instance["home_dir"] is None
        assert instance["home_source"] is None
        assert instance["log_dirs"] == [f"{INSTALL}/logs"]

    def test_link_inside_the_folder(self, host: FakeHost) -> None:
        host.install("/opt/atlassian/jira/10.3.15-standalone")
        host.link("/opt/atlassian/jira/current", "10.3.15-standalone")
        host.home()
        host.unit(content=UNIT.replace("/opt/atlassian/jira/", "/opt/atlassian/jira/current/"))
        instance = host.instance()
        assert instance["install_dir"] == "/opt/atlassian/jira/10.3.15-standalone"
        assert instance["install_link"] == "/opt/atlassian/jira/current"
        assert instance["unit"] == "jira.service"

    def test_folder_is_a_link(self, host: FakeHost) -> None:
        host.install("/srv/jira-10.3.15")
        host.link("/opt/atlassian/jira", "/srv/jira-10.3.15")
        host.unit()
        host.process(100)
        instance = host.instance()
        assert instance["install_dir"] == "/srv/jira-10.3.15"
        assert instance["install_link"] == "/opt/atlassian/jira"
        assert instance["running"]

    def test_unusual_place_by_unit_only(self, host: FakeHost) -> None:
        host.install("/data/apps/tickets")
        host.unit("tickets.service", UNIT.replace("/opt/atlassian/jira", "/data/apps/tickets"))
        assert host.instance()["install_dir"] == "/data/apps/tickets"

    def test_unusual_place_by_process_only(self, host: FakeHost) -> None:
        host.install("/data/apps/tickets")
        host.process(100, install="/data/apps/tickets", cgroup="0::/user.slice/session-1.scope")
        instance = host.instance()
        assert instance["install_dir"] == "/data/apps/tickets"
        assert instance["unit"] is None

    def test_process_without_marker(self, host: FakeHost) -> None:
        host.install("/data/apps/tickets")
        host.process(100, command=["/usr/bin/java", "-Dcatalina.base=/data/apps/tickets", "Bootstrap"])
        assert host.instance()["running"]

    def test_process_that_only_mentions_it(self, jira: FakeHost) -> None:
        jira.process(100, command=["tail", "-f", f"{INSTALL}/logs/catalina.out"])
        jira.process(101, command=["grep", "-Datlassian.standalone=JIRA"])
        assert not jira.instance()["running"]

    def test_main_process_is_the_first(self, jira: FakeHost) -> None:
        jira.process(200, uid=1)
        jira.process(100)
        assert jira.instance()["pid"] == 100

    def test_left_over_version(self, jira: FakeHost) -> None:
        jira.install("/opt/atlassian/jira-9.12.0", version="9.12.0")
        found = jira.discover()
        assert [item["install_dir"] for item in found["instances"]] == [INSTALL]
        assert found["unused_installs"] == [{"product": "jira", "install_dir": "/opt/atlassian/jira-9.12.0"}]
        assert found["instances"][0]["name"] == "jira"

    def test_two_installations(self, jira: FakeHost) -> None:
        jira.install("/opt/atlassian/jira2", home="/var/atlassian/application-data/jira2")
        jira.home("/var/atlassian/application-data/jira2")
        jira.unit("tickets.service", UNIT.replace("/jira/", "/jira2/"))
        jira.process(100)
        instances = jira.discover()["instances"]
        assert [item["name"] for item in instances] == ["jira-jira", "jira-tickets"]
        assert [item["running"] for item in instances] == [True, False]
        assert [item["home_dir"] for item in instances] == [HOME, "/var/atlassian/application-data/jira2"]

    def test_two_installations_without_units(self, host: FakeHost) -> None:
        host.install("/opt/atlassian/jira")
        host.install("/opt/jira")
        assert [item["name"] for item in host.discover()["instances"]] == ["jira-jira", "jira-jira-2"]

    def test_in_a_container(self, host: FakeHost) -> None:
        host.process(100, cgroup="0::/system.slice/docker-0123.scope")
        found = host.discover()
        assert found["instances"] == []
        assert "containers are not looked at" in messages(found)
        assert "100" not in messages(found)

    def test_same_path_in_a_container(self, jira: FakeHost) -> None:
        jira.process(100)
        jira.path(f"/proc/100/root{INSTALL}").mkdir(parents=True)
        found = jira.discover()
        assert not found["instances"][0]["running"]
        assert "containers are not looked at" in messages(found)

    def test_system_folder_is_no_installation(self, host: FakeHost) -> None:
        host.write("/etc/bin/start-jira.sh", "")
        host.process(100, install="/etc")
        assert host.discover()["instances"] == []

    def test_circle_of_links(self, jira: FakeHost) -> None:
        jira.link("/opt/jira", "/opt/atlassian/jira-loop")
        jira.link("/opt/atlassian/jira-loop", "/opt/jira")
        assert jira.instance()["install_dir"] == INSTALL


class TestUnits:
    @pytest.mark.parametrize(
        "settings",
        [
            "ExecStart=/opt/atlassian/jira/bin/start-jira.sh -fg",
            "ExecStart=-/opt/atlassian/jira/bin/catalina.sh run",
            "ExecStart=/bin/bash -c 'source /etc/profile; /opt/atlassian/jira/bin/start-jira.sh'",
            'Environment="JIRA_INSTALL=/opt/atlassian/jira"\nExecStart=${JIRA_INSTALL}/bin/start-jira.sh',
            'EnvironmentFile=/etc/default/jira\nExecStart=/bin/sh -c "$BASE/bin/start-jira.sh"',
            "ExecStart=/usr/local/bin/run-jira\nPIDFile=/opt/atlassian/jira/work/catalina.pid",
            "WorkingDirectory=/opt/atlassian/jira/bin\nExecStart=/bin/sh start-jira.sh",
            "ExecStart=/usr/bin/java -Datlassian.standalone=JIRA -Dcatalina.base=/opt/atlassian/jira Bootstrap",
            "ExecStart=/opt/atlassian/jira/bin/start-jira.sh \\\n   -fg",
        ],
    )
    def test_ways_to_start(self, host: FakeHost, settings: str) -> None:
        host.install()
        host.write("/etc/default/jira", "BASE=/opt/atlassian/jira\n")
        host.unit("tickets.service", f"[Service]\n{settings}\n")
        assert host.instance()["unit"] == "tickets.service"

    @pytest.mark.parametrize(
        "settings",
        [
            "ExecStart=/opt/atlassian/jira/bin/backup.sh",
            "ExecStart=/usr/bin/tar c /opt/atlassian/jira",
            "ExecStart=/usr/bin/restic backup /var/atlassian",
            "# ExecStart=/opt/atlassian/jira/bin/start-jira.sh",
            "ExecStart=/opt/atlassian/jira/bin/start-jira.sh\nExecStart=\nExecStart=/bin/true",
        ],
    )
    def test_units_that_start_something_else(self, host: FakeHost, settings: str) -> None:
        host.install()
        host.unit("helper.service", f"[Service]\n{settings}\n")
        assert host.instance()["unit"] is None

    def test_user_and_drop_ins(self, jira: FakeHost) -> None:
        jira.unit(content=UNIT.replace("[Install]", "User=nobody\n\n[Install]"))
        jira.write("/etc/systemd/system/jira.service.d/10-user.conf", "[Service]\nUser=daemon\n")
        jira.write("/usr/lib/systemd/system/jira.service.d/10-user.conf", "[Service]\nUser=hidden\n")
        jira.write("/run/systemd/system/jira.service.d/05-user.conf", "[Service]\nUser=early\n")
        instance = jira.instance()
        assert instance["unit_user"] == "daemon"
        assert instance["service_account"] == "daemon"
        assert instance["service_account_source"] == "User= of the unit"

    def test_exec_start_in_a_drop_in(self, host: FakeHost) -> None:
        host.install()
        host.unit("app.service", "[Service]\nExecStart=/bin/false\n", "/usr/lib/systemd/system")
        host.write(
            "/etc/systemd/system/app.service.d/run.conf",
            "[Service]\nExecStart=\nExecStart=/opt/atlassian/jira/bin/start-jira.sh\n",
        )
        assert host.instance()["unit"] == "app.service"

    def test_number_as_user(self, jira: FakeHost) -> None:
        jira.account("tickets", 4242, 4243, "tickets")
        jira.unit(content=UNIT.replace("[Install]", "User=4242\n\n[Install]"))
        instance = jira.instance()
        assert instance["unit_user"] == "tickets"
        assert (instance["service_account"], instance["service_group"]) == ("tickets", "tickets")

    def test_etc_wins_over_usr(self, jira: FakeHost) -> None:
        jira.unit(content=UNIT.replace("[Install]", "User=other\n[Install]"), folder="/usr/lib/systemd/system")
        instance = jira.instance()
        assert instance["unit_path"] == "/etc/systemd/system/jira.service"
        assert instance["unit_user"] == "root"

    def test_masked(self, jira: FakeHost) -> None:
        jira.path("/etc/systemd/system/jira.service").unlink()
        jira.link("/etc/systemd/system/jira.service", "/dev/null")
        jira.unit(folder="/usr/lib/systemd/system")
        assert jira.instance()["unit"] is None

    def test_alias_counts_once(self, jira: FakeHost) -> None:
        jira.link("/etc/systemd/system/atlassian.service", "/etc/systemd/system/jira.service")
        instance = jira.instance()
        assert instance["unit"] == "jira.service"
        assert instance["problems"] == []

    def test_template(self, host: FakeHost) -> None:
        host.install("/opt/jira/prod")
        host.unit("app@.service", "[Service]\nUser=%i\nExecStart=/opt/jira/%i/bin/start-jira.sh\n")
        host.link("/etc/systemd/system/multi-user.target.wants/app@prod.service", "../app@.service")
        instance = host.instance()
        assert instance["unit"] == "app@prod.service"
        assert instance["unit_user"] == "prod"

    def test_two_units_for_one(self, jira: FakeHost) -> None:
        jira.unit("old-jira.service")
        assert jira.instance()["unit"] == "jira.service"
        assert "old-jira.service would start it as well" in messages(jira.instance())
        jira.process(100, cgroup="1:name=systemd:/system.slice/old-jira.service\n0::/")
        assert jira.instance()["unit"] == "old-jira.service"

    def test_unit_known_from_control_group_only(self, host: FakeHost) -> None:
        host.install()
        host.unit("wrapper.service", "[Service]\nExecStart=/usr/local/bin/run-it\n")
        host.process(100, cgroup="0::/libpod_parent/x/system.slice/wrapper.service")
        assert host.instance()["unit"] == "wrapper.service"

    @pytest.mark.parametrize(
        "cgroup",
        [
            "0::/system.slice/ssh.service",
            "0::/system.slice/cron.service",
            "0::/user.slice/user-1000.slice/user@1000.service/app.slice/jira.service",
            "0::/",
            "garbage",
        ],
    )
    def test_started_by_hand(self, host: FakeHost, cgroup: str) -> None:
        host.install()
        host.unit("ssh.service", "[Service]\nExecStart=/usr/sbin/sshd -D\n")
        host.unit("cron.service", "[Service]\nExecStart=/usr/sbin/cron\n")
        host.process(100, cgroup=cgroup)
        instance = host.instance()
        assert instance["running"]
        assert instance["unit"] is None

    def test_sysv_script(self, host: FakeHost) -> None:
        host.install()
        host.write("/etc/init.d/jira", INIT_SCRIPT.format(install=INSTALL))
        host.write("/etc/init.d/cron", "#!/bin/sh\n/usr/sbin/cron\n")
        instance = host.instance()
        assert instance["init_script"] == "/etc/init.d/jira"
        assert instance["unit"] is None

    def test_sysv_script_with_variables(self, host: FakeHost) -> None:
        host.install("/data/tickets")
        host.write("/etc/init.d/tickets", '#!/bin/sh\nROOT=/data\nBASE="$ROOT/tickets"\n$BASE/bin/startup.sh\n')
        instance = host.instance()
        assert (instance["install_dir"], instance["init_script"]) == ("/data/tickets", "/etc/init.d/tickets")

    def test_generated_unit(self, host: FakeHost) -> None:
        host.install()
        host.write("/etc/init.d/jira", INIT_SCRIPT.format(install=INSTALL))
        generated = "[Unit]\nSourcePath=/etc/init.d/jira\n[Service]\nExecStart=/etc/init.d/jira start\n"
        host.unit(content=generated, folder="/run/systemd/generator.late")
        instance = host.instance()
        assert instance["init_script"] == "/etc/init.d/jira"
        assert instance["unit"] == "jira.service"
        assert instance["unit_path"].startswith("/run/systemd/generator.late/")

    def test_native_unit_hides_the_script(self, jira: FakeHost) -> None:
        jira.write("/etc/init.d/jira", INIT_SCRIPT.format(install=INSTALL))
        assert jira.instance()["init_script"] is None

    def test_asks_systemd_once(self, jira: FakeHost) -> None:
        jira.path("/run/systemd/system").mkdir(parents=True)
        jira.install("/opt/atlassian/jira2", home=None)
        jira.unit("jira2.service", UNIT.replace("/jira/", "/jira2/"))
        calls: list[list[str]] = []

        def run(argv: list[str]) -> str:
            calls.append(argv)
            return (
                'Id=jira.service\nLoadState=loaded\nUser=jira\nEnvironment=A=b "JIRA_HOME=/srv/jira home"\n\n'
                "Id=jira2.service\nLoadState=not-found\nUser=ghost\n"
            )

        jira.path("/srv/jira home").mkdir(parents=True)
        instances = jira.discover(run=run)["instances"]
        assert len(calls) == 1
        assert calls[0][:2] == ["systemctl", "show"]
        assert calls[0][-2:] == ["jira.service", "jira2.service"]
        assert [item["unit_user"] for item in instances] == ["jira", "root"]
        assert instances[0]["home_dir"] == "/srv/jira home"

    def test_systemd_does_not_answer(self, jira: FakeHost) -> None:
        jira.path("/run/systemd/system").mkdir(parents=True)

        def run(argv: list[str]) -> str:
            raise OSError("no answer within 20 seconds")

        found = jira.discover(run=run)
        assert found["instances"][0]["unit_user"] == "root"
        assert "no answer within 20 seconds" in messages(found)

    def test_not_asked_where_it_does_not_run(self, jira: FakeHost) -> None:
        def run(argv: list[str]) -> str:
            raise AssertionError(argv)

        assert jira.discover(run=run)["instances"]

    def test_missing_environment_file(self, jira: FakeHost) -> None:
        text = "[Service]\nEnvironmentFile=/etc/default/jira\nEnvironmentFile=-/etc/default/optional\n"
        jira.write("/etc/systemd/system/jira.service.d/env.conf", text)
        found = jira.discover()
        assert "/etc/default/jira: is missing" in messages(found)
        assert "optional" not in messages(found)


class TestHome:
    OTHER = "/srv/jira-home"

    @pytest.fixture
    def bare(self, host: FakeHost) -> FakeHost:
        host.install(home=None)
        host.home(self.OTHER)
        host.unit()
        return host

    def home(self, host: FakeHost) -> tuple[Any, Any]:
        instance = host.instance()
        return instance["home_dir"], instance["home_source"]

    def test_argument_of_the_running_process(self, jira: FakeHost) -> None:
        jira.home(self.OTHER)
        jira.process(100, arguments=["-Djira.home=/wrong", f"-Djira.home={self.OTHER}"])
        assert self.home(jira) == (self.OTHER, "argument -Djira.home of the running process")

    def test_environment_of_the_running_process(self, bare: FakeHost) -> None:
        bare.process(100, environment={"JIRA_HOME": self.OTHER, "LANG": "C"})
        assert self.home(bare) == (self.OTHER, "environment of the running process")

    def test_unit_environment(self, bare: FakeHost) -> None:
        bare.write("/etc/systemd/system/jira.service.d/home.conf", f'[Service]\nEnvironment="JIRA_HOME={self.OTHER}"\n')
        assert self.home(bare) == (self.OTHER, "unit environment")
        assert f"-Djira.home={self.OTHER}" in bare.instance()["start_jvm_arguments"]

    def test_environment_file(self, bare: FakeHost) -> None:
        bare.write("/etc/systemd/system/jira.service.d/home.conf", "[Service]\nEnvironmentFile=-/etc/default/jira\n")
        bare.write("/etc/default/jira", f"# comment\nJIRA_HOME='{self.OTHER}'\n")
        assert self.home(bare) == (self.OTHER, "environment file /etc/default/jira")

    @pytest.mark.parametrize(
        "line",
        [
            'JIRA_HOME="{home}"',
            "export JIRA_HOME={home}",
            ": ${{JIRA_HOME:={home}}}",
            "BASE=/srv\nJIRA_HOME=$BASE/jira-home",
            'JIRA_HOME="${{JIRA_HOME:-{home}}}"',
            '[ -z "$JIRA_HOME" ] && JIRA_HOME={home}',
        ],
    )
    def test_setenv(self, bare: FakeHost, line: str) -> None:
        bare.write(f"{INSTALL}/bin/setenv.sh", line.format(home=self.OTHER) + "\n" + SETENV)
        assert self.home(bare) == (self.OTHER, "bin/setenv.sh")

    def test_setenv_wins_over_properties(self, jira: FakeHost) -> None:
        jira.home(self.OTHER)
        jira.write(f"{INSTALL}/bin/setenv.sh", f"JIRA_HOME={self.OTHER}\n")
        assert self.home(jira) == (self.OTHER, "bin/setenv.sh")

    def test_argument_in_setenv(self, bare: FakeHost) -> None:
        bare.write(f"{INSTALL}/bin/setenv.sh", f'CATALINA_OPTS="-Djira.home={self.OTHER}"\n')
        assert self.home(bare) == (self.OTHER, "argument -Djira.home in the start files")

    def test_properties(self, bare: FakeHost) -> None:
        bare.write(f"{INSTALL}/{PROPERTIES}", f"# jira.home = /wrong\njira.home = {self.OTHER}\n")
        assert self.home(bare) == (self.OTHER, PROPERTIES)

    def test_default_place(self, bare: FakeHost) -> None:
        bare.home()
        assert self.home(bare) == (HOME, "known default place")

    def test_nowhere(self, bare: FakeHost) -> None:
        assert self.home(bare) == (None, None)

    def test_computed_is_not_guessed(self, bare: FakeHost) -> None:
        bare.home()
        bare.write(f"{INSTALL}/bin/setenv.sh", "JIRA_HOME=$(cat /etc/jira-home)\n")
        assert self.home(bare) == (None, None)
        assert "declare it in atlassian_dc_instances" in messages(bare.instance())

    def test_link_is_resolved(self, jira: FakeHost) -> None:
        jira.home("/data/jira")
        jira.link("/srv/link", "/data/jira")
        jira.process(100, arguments=["-Djira.home=/srv/link"])
        assert self.home(jira)[0] == "/data/jira"

    def test_missing(self, host: FakeHost) -> None:
        host.install()
        assert self.home(host) == (HOME, PROPERTIES)
        assert f"{HOME}: is the home directory according to" in messages(host.instance())

    @pytest.mark.parametrize(
        "path", ["/etc", "/", "/var/lib", "/usr/bin", "/opt/atlassian", "/opt", "/root/x", "/tmp/.."]
    )
    def test_system_folder_is_refused(self, bare: FakeHost, path: str) -> None:
        bare.write(f"{INSTALL}/bin/setenv.sh", f"JIRA_HOME={path}\n")
        bare.path(path.replace("..", ".")).mkdir(parents=True, exist_ok=True)
        assert self.home(bare) == (None, None)
        assert "belongs to the system" in messages(bare.instance())

    def test_folder_of_somebody_else_is_refused(self, bare: FakeHost) -> None:
        bare.write("/var/lib/postgresql/15/main/PG_VERSION", "15")
        bare.write(f"{INSTALL}/bin/setenv.sh", "JIRA_HOME=/var/lib/postgresql\n")
        assert self.home(bare) == (None, None)
        assert "holds other things but nothing of Jira" in messages(bare.instance())

    def test_link_to_somebody_else_is_refused(self, bare: FakeHost) -> None:
        bare.write("/home/admin/.ssh/authorized_keys", "")
        bare.link("/srv/trap", "/home/admin")
        bare.write(f"{INSTALL}/bin/setenv.sh", "JIRA_HOME=/srv/trap\n")
        assert self.home(bare) == (None, None)

    def test_relative_is_refused(self, bare: FakeHost) -> None:
        bare.write(f"{INSTALL}/bin/setenv.sh", "JIRA_HOME=srv/home\n")
        assert self.home(bare) == (None, None)
        assert "no absolute path" in messages(bare.instance())

    def test_empty_folder_is_believed(self, bare: FakeHost) -> None:
        bare.path("/srv/new").mkdir(parents=True)
        bare.write(f"{INSTALL}/bin/setenv.sh", "JIRA_HOME=/srv/new\n")
        assert self.home(bare)[0] == "/srv/new"


class TestVersion:
    def test_fallbacks_in_order(self, jira: FakeHost) -> None:
        base = f"{INSTALL}/atlassian-jira"
        maven = "META-INF/maven/com.atlassian.jira"
        jira.write(f"{base}/{maven}/atlassian-jira-webapp/pom.properties", "version=9.0.2\n")
        jira.write(f"{base}/WEB-INF/classes/{maven}/jira-core/pom.properties", "version=9.0.3\n")
        jira.write(f"{base}/WEB-INF/lib/jira-api-9.0.4.jar", "")
        jira.write(f"{base}/WEB-INF/lib/jira-api-extra.jar", "")
        jira.write(f"{INSTALL}/bin/jirabanner.txt", "   Atlassian Jira\n   Version : 9.0.5\n")
        seen = []
        for _step in range(6):
            instance = jira.instance()
            seen.append(instance["version"])
            if instance["version_source"]:
                jira.path(instance["version_source"]).unlink()
        assert seen == ["10.3.15", "9.0.2", "9.0.3", "9.0.4", "9.0.5", None]
        assert "no file tells the version" in messages(jira.instance())

    @pytest.mark.parametrize(
        "text", ["version=", "version=10", "version=../../x", "version=1.2.3; rm", "groupId=x", ""]
    )
    def test_nonsense(self, jira: FakeHost, text: str) -> None:
        jira.write(f"{INSTALL}/{POM}", text)
        assert jira.instance()["version"] is None

    @pytest.mark.parametrize("version", ["11.3.12", "9.12.40", "11.0.0-m0001", "10.5.0-EAP02"])
    def test_forms(self, jira: FakeHost, version: str) -> None:
        jira.write(f"{INSTALL}/{POM}", f"version={version}\r\n")
        assert jira.instance()["version"] == version


class TestAccounts:
    def account(self, host: FakeHost, **options: Any) -> tuple[str, str, str]:
        instance = host.instance(**options)
        return instance["service_account"], instance["service_group"], instance["service_account_source"]

    def test_user_file(self, jira: FakeHost) -> None:
        jira.write(f"{INSTALL}/bin/user.sh", 'JIRA_USER="jira7" ## made by the installer\nexport JIRA_USER\n')
        assert self.account(jira) == ("jira7", "jira7", "user file bin/user.sh")
        assert jira.instance()["user_file_user"] == "jira7"

    def test_user_file_wins_over_unit(self, jira: FakeHost) -> None:
        jira.write(f"{INSTALL}/bin/user.sh", "JIRA_USER=daemon\n")
        jira.unit(content=UNIT.replace("[Install]", "User=jira\n[Install]"))
        assert self.account(jira)[0] == "daemon"

    @pytest.mark.parametrize("name", ["root", "toor", "$(id -un)", "a b", "../x", "-x", "x;y"])
    def test_never_root_never_nonsense(self, jira: FakeHost, name: str) -> None:
        jira.account("toor", 0, 0, "root")
        jira.write(f"{INSTALL}/bin/user.sh", f'JIRA_USER="{name}"\n')
        assert self.account(jira)[0] == "jira"

    @as_root
    def test_owner_of_the_home(self, jira: FakeHost) -> None:
        jira.account("tickets", 4242, 4243, "staff")
        jira.home(owner=4242)
        assert self.account(jira) == ("tickets", "staff", "owner of the home directory")

    @as_root
    def test_owner_without_name(self, jira: FakeHost) -> None:
        jira.home(owner=54321)
        assert self.account(jira)[2] == "default of the product"

    @as_root
    def test_user_file_against_owner(self, jira: FakeHost) -> None:
        jira.account("tickets", 4242, 4242, "tickets")
        jira.home(owner=4242)
        jira.write(f"{INSTALL}/bin/user.sh", "JIRA_USER=daemon\n")
        assert self.account(jira)[0] == "daemon"
        assert "names daemon, but the home directory belongs to tickets" in messages(jira.instance())

    def test_account_to_be_made(self, host: FakeHost) -> None:
        host.install(home=None)
        host.passwd.pop("jira")
        host._accounts()
        assert self.account(host) == ("jira", "jira", "default of the product")

    def test_group_root_is_not_taken(self, jira: FakeHost) -> None:
        jira.account("jira", 1001, 0, "root")
        jira.unit(content=UNIT.replace("[Install]", "User=jira\n[Install]"))
        assert self.account(jira)[:2] == ("jira", "jira")

    def test_runs_as_unknown_account(self, jira: FakeHost) -> None:
        jira.process(100, uid=54321)
        instance = jira.instance()
        assert (instance["running_user"], instance["running_uid"]) == ("54321", 54321)

    def test_declared(self, jira: FakeHost) -> None:
        jira.write(f"{INSTALL}/bin/user.sh", "JIRA_USER=daemon\n")
        declared = [{"product": "jira", "service_account": "svc", "service_group": "svcs"}]
        assert self.account(jira, declared=declared) == ("svc", "svcs", "declared")


class TestTomcat:
    def server(self, host: FakeHost, connectors: str, context: str = "", shutdown: str = "8005") -> dict[str, Any]:
        host.write(
            f"{INSTALL}/conf/server.xml",
            f'<Server port="{shutdown}"><Service>{connectors}<Engine><Host>'
            '<Context path="/docs" docBase="docs"/>'
            f'<Context path="{context}" docBase="${{catalina.home}}/atlassian-jira"/>'
            "</Host></Engine></Service></Server>",
        )
        return host.instance()

    def test_context_path(self, jira: FakeHost) -> None:
        instance = self.server(jira, '<Connector port="8081"/>', "/jira/")
        assert instance["context_path"] == "/jira"
        assert instance["status_url"] == "http://127.0.0.1:8081/jira/status"

    def test_plain_connector_is_preferred(self, jira: FakeHost) -> None:
        instance = self.server(
            jira,
            '<Connector port="8009" protocol="AJP/1.3"/><Connector port="8443" SSLEnabled="true"/>'
            '<Connector port="8080" address="192.0.2.1" secure="true" scheme="https"'
            ' proxyName="j.example.com" proxyPort="443"/>',
        )
        assert instance["http_port"] == 8080
        assert instance["status_url"] == "http://192.0.2.1:8080/status"
        assert [item["port"] for item in instance["connectors"]] == [8009, 8443, 8080]
        assert instance["connectors"][2] == {
            "port": 8080,
            "protocol": "HTTP/1.1",
            "address": "192.0.2.1",
            "secure": True,
            "scheme": "https",
            "proxy_name": "j.example.com",
            "proxy_port": 443,
            "ssl": False,
        }

    def test_tls_only(self, jira: FakeHost) -> None:
        instance = self.server(jira, '<Connector port="8443" SSLEnabled="true" address="::1"/>')
        assert instance["status_url"] == "https://[::1]:8443/status"

    def test_closed_shutdown_port(self, jira: FakeHost) -> None:
        assert self.server(jira, "", shutdown="-1")["shutdown_port"] == -1

    @pytest.mark.parametrize("address", ["0.0.0.0", "::"])
    def test_any_address(self, jira: FakeHost, address: str) -> None:
        instance = self.server(jira, f'<Connector port="8080" address="{address}"/>')
        assert instance["status_url"] == "http://127.0.0.1:8080/status"
        assert instance["connectors"][0]["address"] == address

    def test_placeholders(self, jira: FakeHost) -> None:
        jira.process(100, arguments=["-Dhttp.port=8090"])
        instance = self.server(jira, '<Connector port="${http.port}"/>', shutdown="${shutdown.port:-8006}")
        assert (instance["http_port"], instance["shutdown_port"]) == (8090, 8006)

    @pytest.mark.parametrize("port", ["${http.port}", "", "x", "70000", "-2", "8080; rm"])
    def test_port_that_cannot_be_known(self, jira: FakeHost, port: str) -> None:
        instance = self.server(jira, f'<Connector port="{port}"/>')
        assert instance["http_port"] is None
        assert instance["status_url"] is None

    @pytest.mark.parametrize("content", ["", "<Server", "<Server><Service>", "\x00\x01", "<a/><b/>"])
    def test_truncated(self, jira: FakeHost, content: str) -> None:
        jira.write(f"{INSTALL}/conf/server.xml", content)
        instance = jira.instance()
        assert instance["http_port"] is None
        assert instance["connectors"] == []
        assert "conf/server.xml: line 1: not well-formed XML" in messages(instance)
        assert instance["version"] == "10.3.15"

    def test_missing(self, jira: FakeHost) -> None:
        jira.path(f"{INSTALL}/conf/server.xml").unlink()
        assert "is missing, so port and context path are not known" in messages(jira.instance())

    def test_entities_are_refused(self, jira: FakeHost) -> None:
        jira.write("/etc/shadow", "root:verysecret")
        jira.write(
            f"{INSTALL}/conf/server.xml",
            f'<!DOCTYPE x [<!ENTITY e SYSTEM "file://{jira.root}/etc/shadow">]><Server port="8005"><a>&e;</a></Server>',
        )
        instance = jira.instance()
        assert "contains a document type declaration or entities, refused" in messages(instance)
        assert instance["shutdown_port"] is None
        assert "verysecret" not in json.dumps(instance)

    def test_too_large(self, jira: FakeHost) -> None:
        jira.write(f"{INSTALL}/conf/server.xml", b"<Server>" + b" " * 1024 * 1024 + b"</Server>")
        assert "is larger than 1024 KiB and was not read" in messages(jira.instance())


class TestHostileFiles:
    def test_pipe(self, jira: FakeHost) -> None:
        place = jira.path(f"{HOME}/dbconfig.xml")
        place.unlink()
        os.mkfifo(place)
        assert "dbconfig.xml: is not a regular file" in messages(jira.instance())

    def test_folder(self, jira: FakeHost) -> None:
        jira.path(f"{INSTALL}/bin/setenv.sh").unlink()
        jira.path(f"{INSTALL}/bin/setenv.sh").mkdir()
        instance = jira.instance()
        assert "setenv.sh: is not a regular file" in messages(instance)
        assert instance["start_jvm_arguments"] is None

    def test_device(self, jira: FakeHost) -> None:
        jira.path(f"{INSTALL}/conf/server.xml").unlink()
        jira.link(f"{INSTALL}/conf/server.xml", "/dev/zero")
        jira.link("/dev/zero", "../../../../../../../../dev/zero")
        assert jira.instance()["http_port"] is None

    def test_content_of_linked_file_is_not_shown(self, jira: FakeHost) -> None:
        jira.write("/etc/shadow", "root:$6$verysecret:1:2:3\n")
        for name in ("conf/server.xml", "bin/user.sh", PROPERTIES, POM):
            jira.path(f"{INSTALL}/{name}").unlink()
            jira.link(f"{INSTALL}/{name}", "/etc/shadow")
        assert "verysecret" not in json.dumps(jira.discover())

    @as_root
    def test_working_folder_that_leads_elsewhere(self, jira: FakeHost) -> None:
        jira.path(f"{INSTALL}/logs").rmdir()
        jira.path("/home/admin").mkdir(parents=True)
        jira.link(f"{INSTALL}/logs", "/home/admin")
        os.chown(jira.path(f"{INSTALL}/logs"), 1001, 1001, follow_symlinks=False)
        instance = jira.instance()
        assert "/home/admin" not in instance["working_dirs"] + instance["log_dirs"]
        assert "is a symbolic link to /home/admin" in messages(instance)

    @as_root
    def test_working_folder_the_administrator_moved(self, jira: FakeHost) -> None:
        jira.path(f"{INSTALL}/logs").rmdir()
        jira.path("/data/log/jira").mkdir(parents=True)
        jira.link(f"{INSTALL}/logs", "/data/log/jira")
        instance = jira.instance()
        assert "/data/log/jira" in instance["working_dirs"]
        assert "/data/log/jira" in instance["log_dirs"]

    def test_link_to_the_system_even_by_root(self, jira: FakeHost) -> None:
        jira.path(f"{INSTALL}/work").rmdir()
        jira.link(f"{INSTALL}/work", "/etc")
        assert "/etc" not in jira.instance()["working_dirs"]

    def test_no_utf8_anywhere(self, jira: FakeHost) -> None:
        junk = b"\xff\xfe\x80 = \xc3\x28\n"
        for name in ("bin/setenv.sh", "bin/user.sh", PROPERTIES, POM, "conf/server.xml"):
            place = jira.path(f"{INSTALL}/{name}")
            place.write_bytes(junk + place.read_bytes())
        for name in (f"{HOME}/cluster.properties", "/etc/init.d/junk", "/etc/systemd/system/junk.service"):
            jira.write(name, junk)
        marked: list[str | bytes] = ["/usr/bin/java", "-Datlassian.standalone=JIRA", b"-Dx=\xff"]
        jira.process(50, command=[*marked, b"-Dcatalina.base=/opt/\xff"])
        jira.process(51, command=[*marked, f"-Dcatalina.base={INSTALL}"])
        jira.process(52, command=[b"\xff"])
        found = jira.discover()
        assert found["instances"][0]["home_dir"] == HOME
        json.dumps(found).encode("utf-8")
        assert "\\\\udcff" in json.dumps(found["instances"][0]["jvm_arguments"])

    def test_one_broken_installation_does_not_hide_the_other(self, jira: FakeHost) -> None:
        jira.install("/opt/jira/second", home=None)
        jira.unit("second.service", UNIT.replace("/opt/atlassian/jira", "/opt/jira/second"))
        for name in ("bin/setenv.sh", "conf/server.xml", POM, PROPERTIES):
            jira.path(f"/opt/jira/second/{name}").write_bytes(b"\x00\xff'\"$(<")
        good, bad = jira.discover()["instances"]
        assert (good["version"], good["problems"]) == ("10.3.15", [])
        assert bad["version"] is None
        assert bad["problems"]

    def test_endless_script(self, jira: FakeHost) -> None:
        lines = ["A=xxxxxxxxxxxxxxxx"] + ['A="$A$A$A$A"'] * 100
        jira.write(f"{INSTALL}/bin/setenv.sh", "\n".join(lines))
        assert "expand to too much text" in messages(jira.instance())

    def test_unreadable_because_of_rights(self, jira: FakeHost) -> None:
        if os.getuid() == 0:
            pytest.skip("root reads everything")
        jira.path(f"{HOME}/dbconfig.xml").chmod(0)
        assert "dbconfig.xml: cannot be read: Permission denied" in messages(jira.instance())


class TestCluster:
    SHARED = "/mnt/jira-shared"

    def node(self, host: FakeHost, text: str = "") -> dict[str, Any]:
        host.path(f"{self.SHARED}/data").mkdir(parents=True, exist_ok=True)
        default = f"jira.node.id = node1\njira.shared.home = {self.SHARED}\nehcache.listener.port=40001\n"
        host.write(f"{HOME}/cluster.properties", text or default)
        return host.instance()

    def test_member(self, jira: FakeHost) -> None:
        instance = self.node(jira)
        assert instance["shared_home_dir"] == self.SHARED
        assert instance["cluster"]["node_id"] == "node1"
        assert instance["cluster"]["shared_home"] == self.SHARED
        assert instance["cluster"]["id"].startswith("jira-")
        assert {"path": f"{self.SHARED}/jira-config.properties", "tree": "shared_home"} in instance["secret_files"]
        assert f"{self.SHARED}/plugins/installed-plugins" in instance["code_dirs"]
        assert f"{self.SHARED}/export" in instance["archive_dirs"]

    def test_single_node(self, jira: FakeHost) -> None:
        instance = self.node(jira, "# jira.node.id = node1\n")
        assert instance["cluster"] is None
        assert instance["shared_home_dir"] is None

    def test_same_id_on_all_nodes(self, jira: FakeHost) -> None:
        first = self.node(jira)["cluster"]["id"]
        text = jira.path(f"{HOME}/dbconfig.xml").read_text()
        jira.write(f"{HOME}/dbconfig.xml", text.replace("password=hunter2", "password=other"))
        assert self.node(jira)["cluster"]["id"] == first
        jira.write(f"{HOME}/dbconfig.xml", text.replace("5432/jira", "5432/other"))
        assert self.node(jira)["cluster"]["id"] != first

    def test_id_from_shared_home_without_database(self, jira: FakeHost) -> None:
        jira.path(f"{HOME}/dbconfig.xml").unlink()
        assert self.node(jira)["cluster"]["id"].startswith("jira-")

    def test_no_id_without_both(self, jira: FakeHost) -> None:
        jira.path(f"{HOME}/dbconfig.xml").unlink()
        instance = self.node(jira, "jira.node.id=node1\n")
        assert instance["cluster"] == {"id": None, "node_id": "node1", "shared_home": None}
        assert "the cluster cannot be told" in messages(instance)

    def test_no_secret_is_shown(self, jira: FakeHost) -> None:
        text = json.dumps(self.node(jira))
        assert "hunter2" not in text
        assert "db.example.com" not in text

    @pytest.mark.parametrize("path", ["/etc", "/", "relative", "/var/lib"])
    def test_shared_home_refused(self, jira: FakeHost, path: str) -> None:
        instance = self.node(jira, f"jira.node.id=n\njira.shared.home={path}\n")
        assert instance["shared_home_dir"] is None
        assert "shared home" in messages(instance)

    @pytest.mark.skipif(os.getuid() != 0, reason="shows what root may not look at")
    def test_shared_home_hidden_from_root(self, jira: FakeHost) -> None:
        self.node(jira)
        jira.path("/mnt").chmod(0)
        os.chown(jira.path("/mnt"), 1, 1)
        instance = squashed(jira.instance)
        assert instance["shared_home_dir"] == self.SHARED
        assert "is the shared home according to cluster.properties, but root may not look at it" in messages(instance)

    def test_shared_home_not_mounted(self, jira: FakeHost) -> None:
        instance = self.node(jira, "jira.node.id=n\njira.shared.home=/mnt/gone\n")
        assert instance["shared_home_dir"] == "/mnt/gone"
        assert "is it mounted?" in messages(instance)

    @pytest.mark.parametrize("content", ["<jira-database-config><url>", "", "<!DOCTYPE a><a/>"])
    def test_broken_dbconfig(self, jira: FakeHost, content: str) -> None:
        jira.write(f"{HOME}/dbconfig.xml", content)
        instance = self.node(jira)
        assert "dbconfig.xml: " in messages(instance)
        assert instance["cluster"]["node_id"] == "node1"

    def test_broken_dbconfig_is_told_without_a_cluster(self, jira: FakeHost) -> None:
        jira.write(f"{HOME}/dbconfig.xml", "<a>")
        assert "dbconfig.xml: line 1: not well-formed XML" in messages(jira.instance())


class TestDeclared:
    def test_only_what_is_declared(self, jira: FakeHost) -> None:
        jira.install("/opt/atlassian/jira2", home=None)
        jira.unit("jira2.service", UNIT.replace("/jira/", "/jira2/"))
        instance = jira.instance(declared=[{"product": "jira", "name": "tickets", "install_dir": INSTALL}])
        assert instance["name"] == "tickets"
        assert (instance["install_dir"], instance["unit"], instance["home_dir"]) == (INSTALL, "jira.service", HOME)

    def test_product_alone(self, jira: FakeHost) -> None:
        assert jira.instance(declared=[{"product": "jira", "name": None}])["install_dir"] == INSTALL

    def test_by_unit(self, jira: FakeHost) -> None:
        jira.install("/opt/atlassian/jira2", home=None)
        jira.unit("jira2.service", UNIT.replace("/jira/", "/jira2/"))
        assert jira.instance(declared=[{"product": "jira", "unit": "jira2"}])["install_dir"] == "/opt/atlassian/jira2"

    def test_by_home(self, jira: FakeHost) -> None:
        jira.install("/opt/atlassian/jira2", home="/srv/home2")
        jira.home("/srv/home2")
        jira.unit("jira2.service", UNIT.replace("/jira/", "/jira2/"))
        declared = [{"product": "jira", "home_dir": "/srv/home2"}]
        assert jira.instance(declared=declared)["install_dir"] == "/opt/atlassian/jira2"

    def test_ambiguous(self, jira: FakeHost) -> None:
        jira.install("/opt/atlassian/jira2", home=None)
        jira.unit("jira2.service", UNIT.replace("/jira/", "/jira2/"))
        found = jira.discover(declared=[{"product": "jira"}])
        assert found["instances"] == []
        assert "several installations fit; declare its install_dir" in messages(found)

    def test_through_a_link(self, jira: FakeHost) -> None:
        jira.link("/srv/current", INSTALL)
        instance = jira.instance(declared=[{"product": "jira", "install_dir": "/srv/current"}])
        assert (instance["install_dir"], instance["install_link"]) == (INSTALL, "/srv/current")

    def test_left_over_version_when_declared(self, jira: FakeHost) -> None:
        jira.install("/opt/atlassian/jira-9", version="9.12.0")
        declared = [{"product": "jira", "install_dir": "/opt/atlassian/jira-9"}]
        assert jira.instance(declared=declared)["version"] == "9.12.0"

    def test_not_on_this_host(self, host: FakeHost) -> None:
        found = host.discover(
            declared=[{"product": "jira", "install_dir": "/opt/gone"}, {"product": "jira", "unit": "x"}]
        )
        assert found["instances"] == []
        assert "there is no such installation on this host" in messages(found)
        assert "is declared, but it is not on this host" in messages(found)
        assert found["message"] == "None of the declared instances is on this host."

    def test_declared_as_none(self, jira: FakeHost) -> None:
        assert jira.discover(declared=[])["instances"] == []

    def test_twice_the_same(self, jira: FakeHost) -> None:
        declared = [
            {"product": "jira", "install_dir": INSTALL},
            {"product": "jira", "name": "b", "install_dir": INSTALL},
        ]
        found = jira.discover(declared=declared)
        assert len(found["instances"]) == 1
        assert "the same installation as another declared instance" in messages(found)

    def test_folders_are_believed(self, jira: FakeHost) -> None:
        jira.write("/srv/mixed/other", "")
        jira.path("/mnt/shared").mkdir(parents=True)
        declared = [{"product": "jira", "home_dir": "/srv/mixed", "shared_home_dir": "/mnt/shared"}]
        instance = jira.instance(declared=declared)
        assert (instance["home_dir"], instance["home_source"]) == ("/srv/mixed", "declared")
        assert instance["shared_home_dir"] == "/mnt/shared"

    def test_system_folder_is_refused_even_when_declared(self, jira: FakeHost) -> None:
        assert jira.instance(declared=[{"product": "jira", "home_dir": "/etc"}])["home_dir"] is None

    def test_unit_that_is_not_there(self, jira: FakeHost) -> None:
        instance = jira.instance(declared=[{"product": "jira", "install_dir": INSTALL, "unit": "gone"}])
        assert instance["unit"] is None
        assert "there is no such unit" in messages(instance)

    def test_looks_different(self, host: FakeHost) -> None:
        host.path("/srv/empty").mkdir(parents=True)
        instance = host.instance(declared=[{"product": "jira", "install_dir": "/srv/empty"}])
        assert "does not look like an installation of Jira" in messages(instance)

    @pytest.mark.parametrize(
        ("entry", "complaint"),
        [
            ({"product": "jirra"}, r"product must be one of .*jira.*, found 'jirra'"),
            ({"product": "jira", "home_dir": "home"}, r"home_dir must be an absolute path, found 'home'"),
            ({"product": "jira", "service_account": "root"}, r"service_account must not be root"),
            ({"product": "jira", "service_group": "a b"}, r"service_group is no valid account name"),
        ],
    )
    def test_nonsense(self, jira: FakeHost, entry: dict[str, Any], complaint: str) -> None:
        with pytest.raises(DeclarationError, match=complaint):
            jira.discover(declared=[entry])

    def test_name_used_twice(self, jira: FakeHost) -> None:
        with pytest.raises(DeclarationError, match=r"instances\[1\]: name 'a' is used twice"):
            jira.discover(declared=[{"product": "jira", "name": "a"}, {"product": "jira", "name": "a"}])


class TestJvmArguments:
    def test_start_files(self, jira: FakeHost) -> None:
        jira.write(
            f"{INSTALL}/bin/setenv.sh",
            SETENV.replace('ARGS=""', 'ARGS="-Djira.websudo.is.disabled=true -Dmy.password=hunter2"'),
        )
        jira.write(
            f"{INSTALL}/bin/set-gc-params.sh",
            'CATALINA_OPTS="-Dgc=1 -Dlog=$PRGDIR/gc.log -Dmin=$JVM_MINIMUM_MEMORY ${CATALINA_OPTS}"\n',
        )
        jira.write("/etc/systemd/system/jira.service.d/env.conf", '[Service]\nEnvironment="CATALINA_OPTS=-Dunit=1"\n')
        arguments = jira.instance()["start_jvm_arguments"]
        assert {"-Djira.websudo.is.disabled=true", "-Dmy.password=********", "-Dgc=1", "-Dunit=1", "-Dmin=384m"} <= set(
            arguments
        )
        assert not [word for word in arguments if word.startswith("-Dlog")]

    def test_changed_since_the_start(self, jira: FakeHost) -> None:
        jira.process(100, arguments=["-Dold=1"])
        jira.write(f"{INSTALL}/bin/setenv.sh", 'JAVA_OPTS="-Dnew=1"\n')
        instance = jira.instance()
        assert "-Dold=1" in instance["jvm_arguments"]
        assert instance["start_jvm_arguments"] == ["-Dnew=1"]

    def test_sourced_file_is_told(self, jira: FakeHost) -> None:
        jira.write(f"{INSTALL}/bin/setenv.sh", '. /etc/default/jira\n. "${PRGDIR}"/set-gc-params.sh\n')
        assert messages(jira.instance()) == f"{INSTALL}/bin/setenv.sh: reads /etc/default/jira, which is not looked at"


class TestOtherProducts:
    """A product is data: another one needs no code."""

    def test_tomcat_below_the_installation(self, host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
        from ansible_collections.atlassian_dc.hardening.plugins.module_utils._discovery import discover

        product: dict[str, Any] = {
            "product": "desk",
            "title": "Desk",
            "process": {"markers": [], "install_properties": ["catalina.base"]},
            "install": {
                "paths": [{"path": "/opt/desk"}],
                "evidence": ["start_desk.sh"],
                "tomcat_base": "apache-tomcat",
                "web_root": "desk-webapp",
                "working_dirs": [{"path": "apache-tomcat/logs"}],
                "pid_file": None,
            },
            "home": {
                "default_paths": None,
                "evidence": ["desk.cfg.xml"],
                "locations": [{"kind": "environment", "name": "DESK_HOME"}],
                "shared_locations": [
                    {
                        "kind": "xml_file",
                        "tree": "home",
                        "path": "desk.cfg.xml",
                        "element": "properties/property[@name='desk.shared']",
                    }
                ],
                "shared_evidence": ["attachments"],
            },
            "service": {"unit_names": ["desk"], "start_scripts": ["start_desk.sh"], "init_scripts": []},
            "user": {"default": "desk"},
            "http": {
                "connectors": {"kind": "server_xml", "path": "apache-tomcat/conf/server.xml"},
                "status_path": "/status",
            },
            "cluster": {
                "settings": {
                    "tree": "home",
                    "path": "desk.cfg.xml",
                    "format": "xml",
                    "element": "properties/property[@name='{key}']",
                },
                "member_keys": ["desk.cluster"],
                "node_id_key": "desk.node",
                "database": {
                    "tree": "home",
                    "path": "desk.cfg.xml",
                    "format": "xml",
                    "element": "properties/property[@name='url']",
                },
            },
            "version": [{"kind": "text", "path": "README.txt", "pattern": "Desk (?P<version>[0-9.]+)"}],
            "secret_files": [],
            "log_dirs": [{"tree": "install", "path": "apache-tomcat/logs"}],
            "archives": None,
            "code": None,
            "jvm": {"start_files": []},
        }
        host.write("/opt/desk/start_desk.sh", "")
        host.write("/opt/desk/README.txt", "Desk 6.3.1\n")
        host.write(
            "/opt/desk/apache-tomcat/conf/server.xml",
            '<Server port="8020"><Connector port="8095"/><Context path="/desk" docBase="../../desk-webapp"/></Server>',
        )
        host.write(
            "/srv/desk/desk.cfg.xml",
            '<desk><properties><property name="desk.cluster">true</property><property name="desk.node">a</property>'
            '<property name="url">jdbc:postgresql://db/desk</property></properties></desk>',
        )
        host.process(
            7,
            command=["java", "-Dcatalina.base=/opt/desk/apache-tomcat", "Bootstrap"],
            environment={"DESK_HOME": "/srv/desk"},
        )
        (instance,) = discover([product], root=str(host.root))["instances"]
        assert instance["install_dir"] == "/opt/desk"
        assert instance["version"] == "6.3.1"
        assert (instance["home_dir"], instance["home_source"]) == ("/srv/desk", "environment of the running process")
        assert instance["status_url"] == "http://127.0.0.1:8095/desk/status"
        assert instance["cluster"]["node_id"] == "a"
        assert instance["working_dirs"] == ["/opt/desk/apache-tomcat/logs"]
