# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bitbucket with its Mesh nodes and Bamboo with its agents, as they are found on hosts."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest
from unit.discovery import build_products as build
from unit.discovery.build_products import AGENT, BAMBOO, BAMBOO_HOME, BITBUCKET, BITBUCKET_HOME, MESH, MESH_HOME
from unit.discovery.fake_host import FakeHost, messages


def names(host: FakeHost) -> list[str]:
    return [instance["name"] for instance in host.discover()["instances"]]


def only(host: FakeHost, product: str, **options: Any) -> dict[str, Any]:
    (instance,) = host.discover(**options)["instances"]
    assert instance["product"] == product
    result: dict[str, Any] = instance
    return result


def secrets(instance: dict[str, Any]) -> set[str]:
    return {secret["path"] for secret in instance["secret_files"]}


@pytest.fixture
def bitbucket(host: FakeHost) -> FakeHost:
    """Return a host with a stopped Bitbucket as the installer leaves it."""
    build.bitbucket(host, home=BITBUCKET_HOME, user="atlbitbucket")
    build.bitbucket_home(host)
    host.account("atlbitbucket", 1003, 1003, "atlbitbucket")
    host.unit("atlbitbucket.service", build.BITBUCKET_UNIT)
    return host


@pytest.fixture
def bamboo(host: FakeHost) -> FakeHost:
    """Return a host with a stopped Bamboo."""
    build.bamboo(host)
    host.unit("bamboo.service", build.BAMBOO_UNIT)
    return host


@pytest.fixture
def agent(host: FakeHost) -> FakeHost:
    """Return a host with a stopped agent."""
    build.agent(host)
    host.account("bamboo", 1005, 1005, "bamboo")
    host.unit("bamboo-agent.service", build.AGENT_UNIT.format(home=AGENT))
    return host


class TestBitbucket:
    def test_stopped(self, bitbucket: FakeHost) -> None:
        instance = only(bitbucket, "bitbucket")
        assert instance["problems"] == []
        assert (instance["install_dir"], instance["home_dir"]) == (BITBUCKET, BITBUCKET_HOME)
        assert instance["home_source"] == "bin/set-bitbucket-home.sh"
        assert instance["shared_home_dir"] == f"{BITBUCKET_HOME}/shared"
        assert (instance["version"], instance["version_source"]) == (
            "9.4.26",
            f"{BITBUCKET}/app/WEB-INF/lib/bitbucket-process-9.4.26.jar",
        )
        assert (instance["unit"], instance["unit_user"]) == ("atlbitbucket.service", "atlbitbucket")
        assert (instance["user_file_user"], instance["service_account"]) == ("atlbitbucket", "atlbitbucket")
        assert (instance["http_port"], instance["context_path"]) == (7990, "")
        assert instance["status_url"] == "http://127.0.0.1:7990/status"
        assert instance["shutdown_port"] is None
        assert instance["web_root"] == f"{BITBUCKET}/app"
        assert instance["working_dirs"] == [
            f"{BITBUCKET}/{name}" for name in ("conf/Catalina", "elasticsearch/logs", "opensearch/logs")
        ]
        assert instance["log_dirs"] == [f"{BITBUCKET_HOME}/log"]
        assert f"{BITBUCKET_HOME}/shared/bitbucket.properties" in secrets(instance)
        assert instance["needed_groups"] == []
        assert instance["cluster"] is None

    def test_running_with_search_and_sidecar(self, bitbucket: FakeHost) -> None:
        build.bitbucket_process(bitbucket)
        unit = "0::/system.slice/atlbitbucket.service"
        jar = f"{BITBUCKET_HOME}/tmp/mesh-app.jar"
        bitbucket.process(101, command=["java", "-jar", jar], cgroup=unit, parent=100)
        search = ["java", "-cp", f"{BITBUCKET}/opensearch/lib/*", "org.opensearch.bootstrap.OpenSearch", "-d"]
        bitbucket.process(102, command=search, cgroup=unit)
        instance = only(bitbucket, "bitbucket")
        assert instance["pid"] == 100
        assert [(item["name"], item["pid"]) for item in instance["companions"]] == [
            ("Mesh sidecar", 101),
            ("search server (up to 9.x)", 102),
        ]
        assert instance["home_source"] == "argument -Dbitbucket.home of the running process"
        assert f"-Dbitbucket.install={BITBUCKET}" in instance["jvm_arguments"]
        assert instance["problems"] == []

    def test_connectors(self, bitbucket: FakeHost) -> None:
        more = (
            "server.port = 8080\nserver.address=127.0.0.1\nserver.context-path=/git\nserver.secure=true\n"
            "server.scheme=https\nserver.proxy-name=git.example.com\nserver.proxy-port=443\n"
            "server.additional-connector.1.port=7991\nserver.additional-connector.2.port=8443\n"
            "server.additional-connector.2.ssl.enabled=true\n"
        )
        bitbucket.write(f"{BITBUCKET_HOME}/shared/bitbucket.properties", build.PROPERTIES + more)
        instance = only(bitbucket, "bitbucket")
        assert [(item["port"], item["address"], item["ssl"]) for item in instance["connectors"]] == [
            (8080, "127.0.0.1", False),
            (7991, None, False),
            (8443, None, True),
        ]
        assert instance["connectors"][0]["proxy_name"] == "git.example.com"
        assert instance["status_url"] == "http://127.0.0.1:8080/git/status"

    def test_home_by_the_environment_of_the_unit(self, bitbucket: FakeHost) -> None:
        build.bitbucket_home(bitbucket, home="/media/atl/bitbucket")
        bitbucket.unit(
            "atlbitbucket.service", build.BITBUCKET_UNIT + "Environment=BITBUCKET_HOME=/media/atl/bitbucket\n"
        )
        assert only(bitbucket, "bitbucket")["home_dir"] == "/media/atl/bitbucket"

    def test_arguments_of_the_next_start(self, bitbucket: FakeHost) -> None:
        build.bitbucket(bitbucket, home=BITBUCKET_HOME, arguments="-Dfeature.public.access=true -Xss2m")
        instance = only(bitbucket, "bitbucket")
        assert {"-Dfeature.public.access=true", "-Xss2m"} <= set(instance["start_jvm_arguments"])
        assert not any("INST_DIR" in word for word in instance["start_jvm_arguments"])

    def test_arguments_of_the_unit(self, bitbucket: FakeHost) -> None:
        bitbucket.write(f"{BITBUCKET}/bin/_start-webapp.sh", 'JAVA_OPTS="$JAVA_OPTS $JVM_SUPPORT_RECOMMENDED_ARGS"\n')
        line = 'Environment="JVM_SUPPORT_RECOMMENDED_ARGS=-Dfeature.websudo=false -Xmx2g"\n'
        bitbucket.unit("atlbitbucket.service", build.BITBUCKET_UNIT + line)
        assert only(bitbucket, "bitbucket")["start_jvm_arguments"] == ["-Dfeature.websudo=false", "-Xmx2g"]

    @pytest.mark.parametrize(
        ("lines", "clustered"),
        [
            ("", False),
            ("hazelcast.network.multicast=false\n", False),
            ("hazelcast.network.tcpip=true\nhazelcast.network.tcpip.members=10.0.0.1:5701\n", True),
            ("hazelcast.network.multicast=true\n", True),
            ("hazelcast.network.aws=true\nhazelcast.network.multicast=false\n", True),
        ],
    )
    def test_cluster(self, bitbucket: FakeHost, lines: str, clustered: bool) -> None:
        bitbucket.write(f"{BITBUCKET_HOME}/shared/bitbucket.properties", build.PROPERTIES + lines)
        cluster = only(bitbucket, "bitbucket")["cluster"]
        assert bool(cluster) == clustered
        if clustered:
            assert cluster["id"].startswith("bitbucket-")
            assert cluster["shared_home"] == f"{BITBUCKET_HOME}/shared"

    def test_shared_home_on_a_mount(self, bitbucket: FakeHost) -> None:
        shared = bitbucket.path(f"{BITBUCKET_HOME}/shared")
        bitbucket.path("/mnt/git").mkdir(parents=True)
        shared.rename(bitbucket.path("/mnt/git/shared"))
        bitbucket.link(f"{BITBUCKET_HOME}/shared", "/mnt/git/shared")
        instance = only(bitbucket, "bitbucket")
        assert instance["shared_home_dir"] == "/mnt/git/shared"
        assert instance["http_port"] == 7990
        assert "/mnt/git/shared/bitbucket.properties" in secrets(instance)

    def test_no_properties_file(self, bitbucket: FakeHost) -> None:
        bitbucket.path(f"{BITBUCKET_HOME}/shared/bitbucket.properties").unlink()
        instance = only(bitbucket, "bitbucket")
        assert (instance["http_port"], instance["problems"]) == (7990, [])

    def test_malformed_properties(self, bitbucket: FakeHost) -> None:
        bitbucket.write(f"{BITBUCKET_HOME}/shared/bitbucket.properties", "server.port=\\u00zz\n")
        instance = only(bitbucket, "bitbucket")
        assert instance["http_port"] is None
        assert "bitbucket.properties" in messages(instance)

    @pytest.mark.parametrize("port", ["99999", "seven", "${port}"])
    def test_port_that_is_none(self, bitbucket: FakeHost, port: str) -> None:
        bitbucket.write(f"{BITBUCKET_HOME}/shared/bitbucket.properties", f"server.port={port}\n")
        assert only(bitbucket, "bitbucket")["status_url"] is None

    def test_home_absent(self, bitbucket: FakeHost) -> None:
        build.bitbucket(bitbucket, home="/srv/git-home")
        instance = only(bitbucket, "bitbucket")
        assert instance["home_dir"] == "/srv/git-home"
        assert (instance["shared_home_dir"], instance["http_port"]) == (None, None)
        assert "is it mounted?" in messages(instance)

    def test_home_nowhere(self, host: FakeHost) -> None:
        build.bitbucket(host, home="")
        host.unit("bitbucket.service", build.BITBUCKET_UNIT)
        instance = only(host, "bitbucket")
        assert (instance["home_dir"], instance["log_dirs"], instance["http_port"]) == (None, None, None)
        assert {secret["tree"] for secret in instance["secret_files"]} == {"install"}

    def test_version_by_the_folder(self, bitbucket: FakeHost) -> None:
        for jar in bitbucket.path(f"{BITBUCKET}/app/WEB-INF/lib").iterdir():
            jar.unlink()
        instance = only(bitbucket, "bitbucket")
        assert (instance["version"], instance["version_source"]) == ("9.4.26", BITBUCKET)

    def test_version_nobody_knows(self, host: FakeHost) -> None:
        build.bitbucket(host, install="/opt/atlassian/bitbucket", home=BITBUCKET_HOME)
        for jar in host.path("/opt/atlassian/bitbucket/app/WEB-INF/lib").iterdir():
            jar.unlink()
        assert only(host, "bitbucket")["version"] is None

    def test_left_over_version(self, bitbucket: FakeHost) -> None:
        build.bitbucket(bitbucket, install="/opt/atlassian/bitbucket/8.19.2", home=BITBUCKET_HOME)
        found = bitbucket.discover()
        assert [item["install_dir"] for item in found["instances"]] == [BITBUCKET]
        assert found["unused_installs"] == [{"product": "bitbucket", "install_dir": "/opt/atlassian/bitbucket/8.19.2"}]


class TestMesh:
    def test_unit(self, host: FakeHost) -> None:
        build.mesh(host)
        build.mesh_unit(host)
        instance = only(host, "bitbucket_mesh")
        assert (instance["install_dir"], instance["home_dir"]) == (MESH, MESH_HOME)
        assert (instance["version"], instance["service_account"]) == ("3.4.5", "bitbucket")
        assert (instance["http_port"], instance["status_url"], instance["connectors"]) == (None, None, [])
        assert instance["working_dirs"] == []
        assert f"{MESH_HOME}/mesh.properties" in secrets(instance)
        assert instance["problems"] == []

    def test_process_by_its_jar(self, host: FakeHost) -> None:
        build.mesh(host)
        command: list[str | bytes] = ["/usr/bin/java", "-Xmx1g", "-jar", f"{MESH}/bin/mesh-app.jar"]
        host.process(
            400, command=command, environment={"MESH_HOME": MESH_HOME}, cgroup="0::/user.slice/session-1.scope"
        )
        instance = only(host, "bitbucket_mesh")
        assert (instance["pid"], instance["home_dir"], instance["unit"]) == (400, MESH_HOME, None)

    def test_defaults_only(self, host: FakeHost) -> None:
        build.mesh(host, properties=None)
        build.mesh_unit(host)
        assert only(host, "bitbucket_mesh")["home_dir"] == MESH_HOME

    def test_nothing_starts_it(self, host: FakeHost) -> None:
        build.mesh(host)
        assert names(host) == []

    def test_beside_bitbucket(self, bitbucket: FakeHost) -> None:
        build.mesh(bitbucket)
        build.mesh_unit(bitbucket)
        build.bitbucket_process(bitbucket)
        bitbucket.process(
            400, command=["java", "-jar", f"{MESH}/bin/mesh-app.jar"], cgroup="0::/system.slice/mesh.service"
        )
        sidecar = ["java", "-jar", f"{BITBUCKET_HOME}/tmp/mesh-app.jar"]
        bitbucket.process(101, command=sidecar, cgroup="0::/system.slice/atlbitbucket.service", parent=100)
        found = bitbucket.discover()
        assert [(item["name"], item["pid"]) for item in found["instances"]] == [
            ("bitbucket", 100),
            ("bitbucket_mesh", 400),
        ]
        assert [item["pid"] for item in found["instances"][0]["companions"]] == [101]
        assert found["problems"] == []

    def test_unpacked_over_bitbucket(self, bitbucket: FakeHost) -> None:
        build.mesh(bitbucket, install=BITBUCKET)
        build.mesh_unit(bitbucket, install=BITBUCKET)
        found = {item["name"]: item for item in bitbucket.discover()["instances"]}
        assert {name: item["unit"] for name, item in found.items()} == {
            "bitbucket": "atlbitbucket.service",
            "bitbucket_mesh": "mesh.service",
        }
        assert found["bitbucket_mesh"]["home_dir"] == MESH_HOME
        assert found["bitbucket"]["home_dir"] == BITBUCKET_HOME


class TestBamboo:
    def test_stopped(self, bamboo: FakeHost) -> None:
        instance = only(bamboo, "bamboo")
        assert instance["problems"] == []
        assert (instance["install_dir"], instance["home_dir"]) == (BAMBOO, BAMBOO_HOME)
        assert instance["home_source"] == "atlassian-bamboo/WEB-INF/classes/bamboo-init.properties"
        assert instance["shared_home_dir"] == f"{BAMBOO_HOME}/shared"
        assert (instance["version"], instance["version_source"]) == ("12.1.12", f"{BAMBOO}/bin/bamboobanner.txt")
        assert (instance["http_port"], instance["shutdown_port"]) == (8085, 8007)
        assert instance["status_url"] == "http://127.0.0.1:8085/bamboo/rest/api/latest/status"
        assert instance["status_key"] == "status"
        assert "-Dbamboo.websudo.disabled=true" in instance["start_jvm_arguments"]
        assert instance["user_file"] is None
        assert {f"{BAMBOO_HOME}/bamboo.cfg.xml", f"{BAMBOO_HOME}/shared/configuration/cipher/**"} <= secrets(instance)
        assert instance["cluster"] is None

    def test_running_without_a_marker(self, bamboo: FakeHost) -> None:
        build.bamboo_process(bamboo)
        instance = only(bamboo, "bamboo")
        assert (instance["pid"], instance["unit"]) == (200, "bamboo.service")

    def test_home_by_setenv(self, bamboo: FakeHost) -> None:
        bamboo.write("/srv/ci/bamboo.cfg.xml", "<a/>")
        text = build.BAMBOO_SETENV.replace('#BAMBOO_HOME=""', 'BAMBOO_HOME="/srv/ci"')
        bamboo.write(f"{BAMBOO}/bin/setenv.sh", text)
        instance = only(bamboo, "bamboo")
        assert (instance["home_dir"], instance["home_source"]) == ("/srv/ci", "bin/setenv.sh")

    @pytest.mark.parametrize(
        ("files", "version"),
        [
            (
                {
                    "atlassian-bamboo/META-INF/maven/com.atlassian.bamboo/atlassian-bamboo-web-app/pom.properties": (
                        "version=5.8.1\ngroupId=com.atlassian.bamboo\n"
                    )
                },
                "5.8.1",
            ),
            (
                {
                    "atlassian-bamboo/WEB-INF/lib/atlassian-bamboo-core-agent-bootstrap-9.9.9.jar": "",
                    "atlassian-bamboo/WEB-INF/lib/atlassian-bamboo-core-10.2.24.jar": "",
                },
                "10.2.24",
            ),
        ],
    )
    def test_version(self, bamboo: FakeHost, files: dict[str, str], version: str) -> None:
        for path, text in files.items():
            bamboo.write(f"{BAMBOO}/{path}", text)
        assert only(bamboo, "bamboo")["version"] == version

    @pytest.mark.parametrize("text", ["", "bamboo.home=\n", "# nothing\n"])
    def test_home_not_set(self, bamboo: FakeHost, text: str) -> None:
        bamboo.write(f"{BAMBOO}/atlassian-bamboo/WEB-INF/classes/bamboo-init.properties", text)
        instance = only(bamboo, "bamboo")
        assert (instance["home_dir"], instance["home_source"]) == (BAMBOO_HOME, "known default place")

    def test_home_of_something_else(self, bamboo: FakeHost) -> None:
        bamboo.write("/srv/www/index.html", "")
        init = f"{BAMBOO}/atlassian-bamboo/WEB-INF/classes/bamboo-init.properties"
        bamboo.write(init, "bamboo.home=/srv/www\n")
        instance = only(bamboo, "bamboo")
        assert instance["home_dir"] is None
        assert "holds other things but nothing of Bamboo" in messages(instance)

    def test_malformed_server_xml(self, bamboo: FakeHost) -> None:
        bamboo.write(f"{BAMBOO}/conf/server.xml", "<Server")
        instance = only(bamboo, "bamboo")
        assert (instance["http_port"], instance["status_url"]) == (None, None)
        assert "server.xml" in messages(instance)


class TestAgent:
    def test_stopped(self, agent: FakeHost) -> None:
        instance = only(agent, "bamboo_agent")
        assert instance["problems"] == []
        assert (instance["install_dir"], instance["home_dir"]) == (AGENT, AGENT)
        assert (instance["version"], instance["service_account"]) == ("12.1.12", "bamboo")
        assert instance["start_jvm_arguments"] == [
            f"-Dbamboo.home={AGENT}",
            "-Dbamboo.agent.ignoreServerCertName=true",
        ]
        assert instance["needed_groups"] == ["docker", "podman"]
        assert instance["declared_groups"] is None
        assert instance["sandbox"]["PrivateTmp"] == "no"
        assert instance["scratch_dirs"] == [f"{AGENT}/xml-data/build-dir"]
        assert instance["working_dirs"] == []
        assert {f"{AGENT}/conf/wrapper.conf", f"{AGENT}/.ssh/id_*"} <= secrets(instance)
        assert instance["status_url"] is None

    def test_running(self, agent: FakeHost) -> None:
        build.agent_process(agent, uid=1005)
        found = agent.discover()
        (instance,) = found["instances"]
        assert (instance["pid"], instance["running_user"], instance["unit"]) == (300, "bamboo", "bamboo-agent.service")
        assert "0123456789abcdef" not in json.dumps(found)

    def test_started_by_hand_in_a_home_directory(self, host: FakeHost) -> None:
        home = "/home/ci/bamboo-agent-home"
        build.agent(host, home)
        build.agent_process(host, home=home, unit="ssh")
        instance = only(host, "bamboo_agent")
        assert (instance["home_dir"], instance["unit"]) == (home, None)

    def test_several_on_a_host(self, agent: FakeHost) -> None:
        build.agent(agent, "/home/ci/bamboo-agent-home2")
        agent.unit("agent2.service", build.AGENT_UNIT.format(home="/home/ci/bamboo-agent-home2"))
        assert names(agent) == ["bamboo_agent-agent2", "bamboo_agent-bamboo-agent"]

    def test_beside_its_server(self, agent: FakeHost) -> None:
        build.bamboo(agent)
        agent.unit("bamboo.service", build.BAMBOO_UNIT)
        build.bamboo_process(agent)
        build.agent_process(agent)
        found = agent.discover()
        assert [(item["name"], item["pid"]) for item in found["instances"]] == [("bamboo", 200), ("bamboo_agent", 300)]
        assert found["problems"] == []

    def test_folder_of_an_agent_that_nothing_starts(self, bamboo: FakeHost) -> None:
        build.agent(bamboo)
        assert names(bamboo) == ["bamboo"]

    def test_groups_declared(self, agent: FakeHost) -> None:
        declared = [{"product": "bamboo_agent", "groups": ["docker"]}]
        assert only(agent, "bamboo_agent", declared=declared)["declared_groups"] == ["docker"]
        declared = [{"product": "bamboo_agent", "groups": []}]
        assert only(agent, "bamboo_agent", declared=declared)["declared_groups"] == []

    def test_no_wrapper_configuration(self, agent: FakeHost) -> None:
        agent.path(f"{AGENT}/conf/wrapper.conf").unlink()
        instance = only(agent, "bamboo_agent")
        assert (instance["start_jvm_arguments"], instance["jvm_arguments"]) == (None, [])

    def test_malformed_wrapper_configuration(self, agent: FakeHost) -> None:
        agent.write(f"{AGENT}/conf/wrapper.conf", "wrapper.java.additional.1=\\u12\n")
        instance = only(agent, "bamboo_agent")
        assert instance["start_jvm_arguments"] is None
        assert "wrapper.conf" in messages(instance)

    def test_version_not_fetched_yet(self, agent: FakeHost) -> None:
        agent.path(f"{AGENT}/classpath/atlassian-bamboo-agent-core-12.1.12.jar").unlink()
        instance = only(agent, "bamboo_agent")
        assert instance["version"] is None
        assert "no file tells the version" in messages(instance)


@pytest.mark.skipif(os.getuid() != 0, reason="changing owners needs root")
def test_account_by_the_owner_of_the_home(host: FakeHost) -> None:
    build.agent(host)
    host.account("ci", 1007, 1007, "ci")
    os.chown(host.path(AGENT), 1007, 1007)
    build.agent_process(host, uid=0)
    instance = only(host, "bamboo_agent")
    assert (instance["service_account"], instance["service_account_source"]) == ("ci", "owner of the home directory")
