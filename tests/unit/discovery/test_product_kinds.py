# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A product is data: what can be said of one, tried on products made up for it."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._discovery import discover
from unit.discovery.fake_host import FakeHost, messages

UNIT = "[Service]\nUser=daemon\nExecStart=/opt/desk/bin/start-desk.sh\n"


def product(**sections: Any) -> dict[str, Any]:
    """Return product data, as discovery is handed it, with some sections replaced."""
    return {
        "product": "desk",
        "title": "Desk",
        "process": {"markers": ["-Ddesk=*", "desk.Main"], "install_properties": ["desk.install"]},
        "install": {"paths": [{"path": "/opt/desk"}], "evidence": ["bin/start-desk.sh"], "working_dirs": []},
        "home": {
            "default_paths": ["/var/desk"],
            "locations": [{"kind": "jvm_property", "name": "desk.home"}],
            "evidence": ["desk.properties"],
        },
        "service": {"unit_names": ["desk"], "start_scripts": ["bin/start-desk.sh"]},
        "user": {"default": "desk"},
        "version": [],
        "secret_files": [],
        "log_dirs": [{"tree": "home", "path": "log"}],
        "jvm": {"start_files": []},
        **sections,
    }


def found(host: FakeHost, *products: dict[str, Any]) -> dict[str, Any]:
    return discover(list(products), root=str(host.root))


def only(host: FakeHost, **sections: Any) -> dict[str, Any]:
    (result,) = found(host, product(**sections))["instances"]
    instance: dict[str, Any] = result
    return instance


@pytest.fixture
def desk(host: FakeHost) -> FakeHost:
    host.write("/opt/desk/bin/start-desk.sh", "")
    host.write("/var/desk/desk.properties", "desk.port=7000\n")
    host.unit("desk.service", UNIT)
    return host


class TestSmallest:
    def test_what_it_does_not_have_is_empty_not_unknown(self, desk: FakeHost) -> None:
        instance = only(desk)
        assert instance["problems"] == []
        assert (instance["working_dirs"], instance["secret_files"], instance["web_root"]) == ([], [], "")
        assert (instance["archive_dirs"], instance["code_dirs"], instance["connectors"]) == ([], [], [])
        assert (instance["version"], instance["user_file"], instance["cluster"]) == (None, None, None)
        assert instance["log_dirs"] == ["/var/desk/log"]

    def test_what_nobody_knows_is_null(self, desk: FakeHost) -> None:
        install = {**product()["install"], "working_dirs": None, "web_root": None}
        instance = only(desk, install=install, secret_files=None, log_dirs=None, archives=None, code={"dirs": None})
        for key in ("working_dirs", "web_root", "secret_files", "log_dirs", "archive_dirs", "code_dirs"):
            assert instance[key] is None, key

    def test_folders_of_an_unknown_home_are_unknown(self, desk: FakeHost) -> None:
        desk.path("/var/desk/desk.properties").unlink()
        instance = only(desk, secret_files=[{"tree": "home", "path": "desk.properties"}])
        assert (instance["home_dir"], instance["log_dirs"], instance["secret_files"]) == (None, None, None)

    def test_groups_its_work_needs(self, desk: FakeHost) -> None:
        needs = {"groups": [{"name": "docker", "why": "builds"}]}
        assert only(desk, needs=needs)["needed_groups"] == ["docker"]


class TestProcess:
    def test_marker_with_a_pattern(self, host: FakeHost) -> None:
        host.process(7, command=["/usr/bin/java", "-Ddesk=", "Main"])
        assert "looks like Desk" in messages(found(host, product()))

    def test_class_path_tells_the_installation(self, desk: FakeHost) -> None:
        desk.process(7, command=["java", "-cp", "/opt/desk/lib/a.jar:/x.jar", "-Xmx1g", "desk.Main"], cgroup="0::/")
        instance = only(desk)
        assert (instance["pid"], instance["jvm_arguments"]) == (7, ["-Xmx1g"])

    def test_class_path_of_a_process_without_marker_does_not(self, desk: FakeHost) -> None:
        desk.process(7, command=["java", "-cp", "/opt/desk/lib/tool.jar", "backup.Tool"], cgroup="0::/")
        assert not only(desk)["running"]

    def test_relative_class_path(self, desk: FakeHost) -> None:
        desk.process(7, command=["java", "-cp", "../lib/a.jar", "desk.Main"], cgroup="0::/", folder="/opt/desk/bin")
        assert only(desk)["pid"] == 7

    def test_working_folder_tells_the_installation(self, desk: FakeHost) -> None:
        desk.process(7, command=["java", "desk.Main"], cgroup="0::/", folder="/opt/desk/bin")
        assert only(desk)["pid"] == 7

    def test_unit_tells_the_installation(self, desk: FakeHost) -> None:
        desk.process(
            7, command=["java", "-cp", "/usr/share/java/a.jar", "desk.Main"], cgroup="0::/x.slice/desk.service"
        )
        found_on_host = found(desk, product())
        assert found_on_host["instances"][0]["pid"] == 7
        assert found_on_host["problems"] == []

    def test_other_process_of_the_unit_is_not_it(self, desk: FakeHost) -> None:
        desk.process(7, command=["java", "-jar", "/usr/share/java/tool.jar"], cgroup="0::/x.slice/desk.service")
        assert not only(desk)["running"]

    def test_no_jvm(self, desk: FakeHost) -> None:
        desk.process(7, command=["pgrep", "-f", "desk.Main"], folder="/opt/desk")
        assert not only(desk)["running"]


class TestCompanions:
    SEARCH: ClassVar[dict[str, Any]] = {"name": "search", "markers": ["search.Main"]}

    @pytest.fixture
    def running(self, desk: FakeHost) -> FakeHost:
        desk.process(7, command=["java", "-Ddesk.install=/opt/desk", "desk.Main"], cgroup="0::/desk.service")
        return desk

    def companions(self, host: FakeHost) -> tuple[list[dict[str, Any]], str]:
        process = {**product()["process"], "companions": [self.SEARCH]}
        instance = only(host, process=process)
        return instance["companions"], messages(instance)

    def test_by_its_program(self, running: FakeHost) -> None:
        running.link("/opt/link", "/opt/desk")
        running.process(9, command=["java", "-cp", "/opt/link/search/a.jar", "search.Main"], cgroup="0::/desk.service")
        expected = {"name": "search", "pid": 9, "running_user": "root", "running_uid": 0, "unit": "desk.service"}
        assert self.companions(running) == ([expected], "")

    def test_by_its_parent(self, running: FakeHost) -> None:
        running.process(9, command=["java", "-cp", "/srv/a.jar", "search.Main"], cgroup="0::/desk.service", parent=7)
        assert [item["pid"] for item in self.companions(running)[0]] == [9]

    def test_of_somebody_else(self, running: FakeHost) -> None:
        running.process(9, command=["java", "-cp", "/usr/share/search/a.jar", "search.Main"])
        assert self.companions(running) == ([], "")

    def test_in_a_unit_of_its_own(self, running: FakeHost) -> None:
        running.process(9, command=["java", "-cp", "/opt/desk/a.jar", "search.Main"], cgroup="0::/search.service")
        companions, problems = self.companions(running)
        assert companions[0]["unit"] == "search.service"
        assert "search runs from here in search.service, a unit of its own that is not judged" in problems

    def test_same_path_in_a_container(self, running: FakeHost) -> None:
        running.process(9, command=["java", "-cp", "/opt/desk/a.jar", "search.Main"])
        running.path("/proc/9/root/opt/desk").mkdir(parents=True)
        assert self.companions(running) == ([], "")


class TestParts:
    """A service that is part of another product."""

    def part(self, **sections: Any) -> dict[str, Any]:
        return product(
            product="desk_agent",
            part_of="desk",
            title="Desk agent",
            process={"markers": ["desk.Agent"]},
            install={"paths": [{"path": "/opt/desk/agent"}], "evidence": ["start-agent.sh"], "working_dirs": []},
            home={"locations": [{"kind": "install"}], "evidence": ["start-agent.sh"]},
            service={"unit_names": ["agent"], "start_scripts": ["start-agent.sh"]},
            **sections,
        )

    @pytest.fixture
    def agent(self, desk: FakeHost) -> FakeHost:
        desk.write("/opt/desk/agent/start-agent.sh", "")
        return desk

    def test_comes_with_the_product_and_is_nothing_by_itself(self, agent: FakeHost) -> None:
        assert [item["product"] for item in found(agent, product(), self.part())["instances"]] == ["desk"]

    def test_is_an_instance_once_something_starts_it(self, agent: FakeHost) -> None:
        agent.unit("agent.service", "[Service]\nUser=jira\nExecStart=/opt/desk/agent/start-agent.sh\n")
        desk, part = found(agent, product(), self.part())["instances"]
        assert (desk["install_dir"], desk["unit"]) == ("/opt/desk", "desk.service")
        assert (part["name"], part["unit"], part["service_account"]) == ("desk_agent", "agent.service", "jira")
        assert part["install_dir"] == part["home_dir"] == "/opt/desk/agent"
        assert part["home_source"] == "the installation itself"

    def test_same_installation_as_the_product(self, desk: FakeHost) -> None:
        desk.write("/opt/desk/start-agent.sh", "")
        part = self.part()
        part["process"]["install_properties"] = ["desk.install"]
        desk.process(7, command=["java", "-Ddesk.install=/opt/desk", "desk.Main"], cgroup="0::/desk.service")
        desk.process(5, command=["java", "-Ddesk.install=/opt/desk", "desk.Agent"], cgroup="0::/agent.service")
        instances = found(desk, product(), part)["instances"]
        assert [(item["product"], item["pid"]) for item in instances] == [("desk", 7), ("desk_agent", 5)]

    def test_another_installation_is_no_home(self, agent: FakeHost) -> None:
        agent.write("/opt/desk/start-agent.sh", "")
        agent.unit("agent.service", "[Service]\nExecStart=/opt/desk/start-agent.sh\n")
        part = found(agent, product(), self.part())["instances"][1]
        assert (part["install_dir"], part["home_dir"]) == ("/opt/desk", None)
        assert "is an installation of Desk too" in messages(part)


class TestHomes:
    def test_installation_is_no_home_unless_the_product_says_so(self, desk: FakeHost) -> None:
        desk.process(7, command=["java", "-Ddesk.install=/opt/desk", "-Ddesk.home=/opt/desk", "desk.Main"])
        instance = only(desk)
        assert instance["home_dir"] is None
        assert "refused because it belongs to the system" in messages(instance)

    def test_xml_file(self, desk: FakeHost) -> None:
        desk.write("/opt/desk/conf.xml", "<a><b name='home'> /var/desk </b></a>")
        locations = [{"kind": "xml_file", "path": "conf.xml", "element": "b[@name='home']"}]
        instance = only(desk, home={**product()["home"], "locations": locations})
        assert (instance["home_dir"], instance["home_source"]) == ("/var/desk", "conf.xml")

    @pytest.mark.parametrize("content", ["<a>", "<!DOCTYPE a><a/>", ""])
    def test_broken_xml_file_is_told(self, desk: FakeHost, content: str) -> None:
        desk.write("/opt/desk/conf.xml", content)
        locations = [{"kind": "xml_file", "path": "conf.xml", "element": "b"}]
        instance = only(desk, home={**product()["home"], "locations": locations, "default_paths": None})
        assert instance["home_dir"] is None
        assert "/opt/desk/conf.xml: " in messages(instance)

    def shared(self, host: FakeHost, *locations: dict[str, Any]) -> tuple[Any, str]:
        home = {
            **product()["home"],
            "shared_locations": list(locations),
            "shared_evidence": ["data"],
            "shared_default": "shared",
        }
        instance = only(host, home=home)
        return instance["shared_home_dir"], messages(instance)

    def test_shared_home_below_the_home(self, desk: FakeHost) -> None:
        assert self.shared(desk) == (None, "")
        desk.write("/var/desk/shared/data/x", "")
        assert self.shared(desk) == ("/var/desk/shared", "")

    def test_shared_home_is_a_link_below_the_home(self, desk: FakeHost) -> None:
        desk.write("/mnt/desk/data/x", "")
        desk.link("/var/desk/shared", "/mnt/desk")
        assert self.shared(desk) == ("/mnt/desk", "")

    def test_link_to_something_else_is_refused(self, desk: FakeHost) -> None:
        desk.write("/home/admin/.ssh/authorized_keys", "")
        desk.link("/var/desk/shared", "/home/admin")
        shared, problems = self.shared(desk)
        assert shared is None
        assert "holds other things but nothing of Desk" in problems

    def test_written_shared_home_wins(self, desk: FakeHost) -> None:
        desk.write("/var/desk/shared/data/x", "")
        desk.write("/mnt/desk/data/x", "")
        desk.write("/var/desk/desk.properties", "desk.shared=/mnt/desk\n")
        location = {"kind": "properties_file", "tree": "home", "path": "desk.properties", "name": "desk.shared"}
        assert self.shared(desk, location) == ("/mnt/desk", "")

    @pytest.mark.parametrize("value", ["", "false", "FALSE"])
    def test_switched_off_cluster_is_none(self, desk: FakeHost, value: str) -> None:
        desk.write("/var/desk/desk.properties", f"desk.cluster={value}\ndesk.node=a\n")
        settings = {"tree": "home", "path": "desk.properties", "format": "properties"}
        cluster = {"settings": settings, "member_keys": ["desk.cluster"], "node_id_key": "desk.node"}
        assert only(desk, cluster=cluster)["cluster"] is None
        desk.write("/var/desk/desk.properties", "desk.cluster=true\ndesk.node=a\n")
        assert only(desk, cluster=cluster)["cluster"]["node_id"] == "a"


class TestStartFiles:
    def test_wrapper(self, desk: FakeHost) -> None:
        desk.write(
            "/opt/desk/conf/wrapper.conf",
            "#wrapper.java.additional.9=-Dcommented\nwrapper.java.additional.1=-Ddesk.home=/var/desk\n"
            "wrapper.java.additional.2=-Xmx1g\nwrapper.app.parameter.1=-Dnot.for.the.jvm\n",
        )
        jvm = {"start_files": [{"path": "conf/wrapper.conf", "properties": ["wrapper.java.additional.*"]}]}
        instance = only(desk, jvm=jvm)
        assert instance["start_jvm_arguments"] == ["-Ddesk.home=/var/desk", "-Xmx1g"]
        assert instance["home_source"] == "argument -Ddesk.home in the start files"

    def test_broken_wrapper_is_told(self, desk: FakeHost) -> None:
        desk.write("/opt/desk/conf/wrapper.conf", "a=\\u12\n")
        jvm = {"start_files": [{"path": "conf/wrapper.conf", "properties": ["a"]}]}
        instance = only(desk, jvm=jvm)
        assert instance["start_jvm_arguments"] is None
        assert "four hexadecimal digits" in messages(instance)


class TestListener:
    KEYS: ClassVar[dict[str, str]] = {
        "port": "server.port",
        "address": "server.address",
        "context_path": "server.context-path",
        "scheme": "server.scheme",
        "secure": "server.secure",
        "ssl": "server.ssl.enabled",
        "proxy_name": "server.proxy-name",
        "proxy_port": "server.proxy-port",
    }

    def http(self, **more: Any) -> dict[str, Any]:
        properties = {"kind": "properties", "tree": "home", "path": "desk.properties", "keys": self.KEYS}
        return {"connectors": {**properties, **more}, "default_port": 7990, "status_path": "/status"}

    def test_all_settings(self, desk: FakeHost) -> None:
        desk.write(
            "/var/desk/desk.properties",
            "server.port=7443\nserver.address=192.0.2.1\nserver.context-path=/desk/\nserver.scheme=https\n"
            "server.secure=true\nserver.ssl.enabled=true\nserver.proxy-name=desk.example.com\nserver.proxy-port=443\n",
        )
        instance = only(desk, http=self.http())
        assert instance["connectors"] == [
            {
                "port": 7443,
                "protocol": "HTTP/1.1",
                "address": "192.0.2.1",
                "secure": True,
                "scheme": "https",
                "proxy_name": "desk.example.com",
                "proxy_port": 443,
                "ssl": True,
            }
        ]
        assert instance["status_url"] == "https://192.0.2.1:7443/desk/status"
        assert instance["shutdown_port"] is None

    def test_defaults(self, desk: FakeHost) -> None:
        desk.write("/var/desk/desk.properties", "")
        instance = only(desk, http=self.http())
        assert (instance["http_port"], instance["context_path"]) == (7990, "")
        assert instance["status_url"] == "http://127.0.0.1:7990/status"

    def test_defaults_without_the_file(self, desk: FakeHost) -> None:
        assert only(desk, http=self.http(path="gone.properties"))["http_port"] == 7990

    def test_unreadable_file_is_no_default(self, desk: FakeHost) -> None:
        desk.path("/var/desk/broken.properties").mkdir()
        instance = only(desk, http=self.http(path="broken.properties"))
        assert (instance["http_port"], instance["connectors"]) == (None, [])
        assert "broken.properties: is not a regular file" in messages(instance)

    def test_unknown_home_is_no_default(self, desk: FakeHost) -> None:
        desk.path("/var/desk/desk.properties").unlink()
        assert only(desk, http=self.http())["http_port"] is None

    def test_port_that_is_none(self, desk: FakeHost) -> None:
        desk.write("/var/desk/desk.properties", "server.port=${env:PORT}\n")
        instance = only(desk, http=self.http())
        assert (instance["http_port"], instance["status_url"]) == (None, None)

    def test_additional_connectors(self, desk: FakeHost) -> None:
        desk.write(
            "/var/desk/desk.properties",
            "server.additional-connector.1.port=7991\nserver.additional-connector.1.secure=true\n"
            "server.additional-connector.4.port=7994\n",
        )
        http = self.http(additional="server.additional-connector.{number}.")
        connectors = only(desk, http=http)["connectors"]
        assert [(item["port"], item["secure"]) for item in connectors] == [(7990, None), (7991, True), (7994, None)]

    def test_system_properties(self, desk: FakeHost) -> None:
        desk.process(
            7, command=["java", "-Ddesk.install=/opt/desk", "-Ddesk.port=8091", "-Ddesk.path=/live", "desk.Main"]
        )
        keys = {"port": "desk.port", "context_path": "desk.path"}
        http = {"connectors": {"kind": "jvm_properties", "keys": keys}, "default_port": 1, "status_path": "/heartbeat"}
        assert only(desk, http=http)["status_url"] == "http://127.0.0.1:8091/live/heartbeat"

    def test_default_context_path(self, desk: FakeHost) -> None:
        http = {
            "connectors": {"kind": "jvm_properties", "keys": {"port": "p"}},
            "default_port": 81,
            "status_path": "/s",
        }
        assert only(desk, http={**http, "default_context_path": "/live"})["status_url"] == "http://127.0.0.1:81/live/s"
