# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ports of the products, as their files and JVMs configure them."""

from __future__ import annotations

import time
from typing import Any, ClassVar

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._discovery_parse import ParseError
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._discovery_ports import parse_endpoints
from unit.discovery import build_products as build
from unit.discovery.build_products import BAMBOO_HOME, BITBUCKET_HOME, MESH_HOME
from unit.discovery.fake_host import HOME, INSTALL, FakeHost, messages
from unit.discovery.test_confluence_crowd import SYNCHRONY, Confluence, crowd
from unit.discovery.test_product_kinds import only as only_desk

JDWP = "-agentlib:jdwp=transport=dt_socket,server=y,suspend=n,address="
CLUSTER = "jira.node.id=node1\njira.shared.home=/mnt/jira\n"


def one(host: FakeHost, product: str) -> dict[str, Any]:
    (instance,) = (item for item in host.discover()["instances"] if item["product"] == product)
    result: dict[str, Any] = instance
    return result


def short(instance: dict[str, Any], *keys: str) -> dict[str, list[tuple[Any, ...]]]:
    """Return some facts of the ports by name."""
    result: dict[str, list[tuple[Any, ...]]] = {}
    for port in instance["ports"]:
        result.setdefault(port["name"], []).append(tuple(port[key] for key in keys or ("port", "value_from", "open")))
    return result


class TestEndpoints:
    @pytest.mark.parametrize(
        ("value", "form", "expected"),
        [
            (" 8080 ", "port", [(None, 8080)]),
            ("5005", "address", [(None, 5005)]),
            ("*:5005", "address", [(None, 5005)]),
            (":5005", "address", [(None, 5005)]),
            ("localhost:5005", "address", [("localhost", 5005)]),
            ("[::1]:5005", "address", [("::1", 5005)]),
            ("nio://0.0.0.0:54663", "uri", [(None, 54663)]),
            ("tcp://[::]:54663?wireFormat.maxInactivityDuration=300000", "uri", [(None, 54663)]),
            ("ssl://127.0.0.1:54663?needClientAuth=true&x=tcp://a:1", "uri", [("127.0.0.1", 54663)]),
            ("tcp://user:word@ci.example.com:61616/x", "uri", [("ci.example.com", 61616)]),
            ("failover:(tcp://a:1?x=1,ssl://b:2)?maxReconnectAttempts=10", "uri", [("a", 1), ("b", 2)]),
            ("failover://(tcp://a:1,tcp://a:1)", "uri", [("a", 1)]),
        ],
    )
    def test_forms(self, value: str, form: str, expected: list[tuple[str | None, int]]) -> None:
        assert parse_endpoints(value, form) == expected

    @pytest.mark.parametrize("form", ["port", "address", "uri"])
    @pytest.mark.parametrize(
        "value",
        [
            *("", "x", "0", "-1", "65536", "70000", "80 81", "\u0661", "\n", "1" * 5000, "tcp://" * 900),
            *("host:", "host:x", "tcp://host", "tcp://5005", "tcp://h:0", "tcp://[::1]", "vm://localhost", "://:80:"),
            "failover:(tcp://a:1,tcp://b)",
        ],
    )
    def test_what_names_no_port(self, value: str, form: str) -> None:
        with pytest.raises(ParseError) as caught:
            parse_endpoints(value, form)
        assert not value.strip() or value not in str(caught.value)

    def test_a_long_value_takes_no_time(self) -> None:
        started = time.process_time()
        for value in ("a" * 1_000_000, "a" * 4096, "?" * 4096, "a://" * 1024, "(" * 4096):
            with pytest.raises(ParseError):
                parse_endpoints(value, "uri")
        assert time.process_time() - started < 1


class TestTomcat:
    def server(self, host: FakeHost, connectors: str, attributes: str = 'port="8005"') -> dict[str, Any]:
        host.write(f"{INSTALL}/conf/server.xml", f"<Server {attributes}><Service>{connectors}</Service></Server>")
        return host.instance()

    def test_single_node(self, jira: FakeHost) -> None:
        assert jira.instance()["ports"][0] == {
            "name": "http",
            "port": 8080,
            "protocol": "tcp",
            "from": "proxy",
            "address": None,
            "value_from": "conf/server.xml",
            "clustered_only": False,
            "open": True,
            "note": None,
        }
        assert short(jira.instance()) == {
            "http": [(8080, "conf/server.xml", True)],
            "shutdown": [(8005, "conf/server.xml", True)],
            "cluster cache listener": [(None, None, False)],
            "cluster cache objects": [(None, None, False)],
            "debugger": [(None, "default", False)],
            "JMX": [(None, "default", False)],
        }

    def test_each_connector_is_a_port(self, jira: FakeHost) -> None:
        instance = self.server(
            jira,
            '<Connector port="8080" address="127.0.0.1" scheme="https" secure="true"/>'
            '<Connector port="8081" address="0.0.0.0"/><Connector port="8443" SSLEnabled="true" address="::1"/>'
            '<Connector port="8009" protocol="org.apache.coyote.ajp.AjpNioProtocol"/>',
        )
        found = short(instance, "port", "address", "from")
        assert found["http"] == [(8080, "127.0.0.1", "proxy"), (8081, None, "proxy")]
        assert found["https"] == [(8443, "::1", "proxy")]
        assert found["ajp"] == [(8009, None, "proxy")]
        assert [item["port"] for item in instance["connectors"]] == [8080, 8081, 8443, 8009]

    def test_no_connector(self, jira: FakeHost) -> None:
        instance = self.server(jira, "")
        assert short(instance)["http"] == [(None, "conf/server.xml", False)]
        assert instance["problems"] == []

    def test_the_offset_counts(self, jira: FakeHost) -> None:
        instance = self.server(
            jira, '<Connector port="8080"/><Connector port="8443" SSLEnabled="true"/>', 'port="8005" portOffset="100"'
        )
        assert [port["port"] for port in instance["ports"][:3]] == [8180, 8543, 8105]
        assert (instance["http_port"], instance["shutdown_port"]) == (8180, 8105)

    @pytest.mark.parametrize("offset", ["x", "-1", "${offset}", "60000"])
    def test_an_offset_that_leads_nowhere(self, jira: FakeHost, offset: str) -> None:
        instance = self.server(jira, '<Connector port="8080"/>', f'port="8005" portOffset="{offset}"')
        assert (short(instance)["http"], instance["http_port"]) == ([(None, "conf/server.xml", True)], None)
        assert "conf/server.xml: port of Connector is no port number" in messages(instance)

    def test_shutdown(self, jira: FakeHost) -> None:
        def shutdown(attributes: str) -> tuple[Any, ...]:
            (port,) = short(self.server(jira, "", attributes), "port", "address", "open", "from")["shutdown"]
            return port

        assert shutdown('port="8005"') == (8005, "localhost", True, "local")
        assert shutdown('port="8006" address="0.0.0.0"') == (8006, None, True, "local")
        assert shutdown('port="-1" portOffset="5"') == (None, None, False, "local")
        assert shutdown('port="${shutdown.port:-8007}"') == (8007, "localhost", True, "local")
        assert shutdown("") == (None, "localhost", True, "local")

    @pytest.mark.parametrize("port", ["${http.port}", "", "x", "0", "-1", "70000", "8080; rm", "\u0661\u0662"])
    def test_port_that_is_none(self, jira: FakeHost, port: str) -> None:
        instance = self.server(jira, f'<Connector port="{port}"/><Connector port="8081"/>', f'port="{port}x"')
        http = [item for item in instance["ports"] if item["name"] == "http"]
        assert [(item["port"], item["open"]) for item in http] == [(None, True), (8081, True)]
        assert http[0]["note"] == "port of Connector of conf/server.xml names no port"
        text = f"{INSTALL}/conf/server.xml: port of {{}} is no port number, so it is not known what listens where"
        assert [f"{item['path']}: {item['message']}" for item in instance["problems"]] == [
            text.format("Connector"),
            text.format("Server"),
        ]
        assert instance["http_port"] == 8081

    def test_placeholders(self, jira: FakeHost) -> None:
        jira.process(100, arguments=["-Dhttp.port=8090", "-Dhttp.address=127.0.0.1"])
        instance = self.server(jira, '<Connector port="${http.port}" address="${http.address}"/>')
        assert short(instance, "port", "address")["http"] == [(8090, "127.0.0.1")]

    @pytest.mark.parametrize("content", [None, "", "<Server", "<!DOCTYPE x><Server/>", b"\xff\xfe\x00"])
    def test_unread_file_is_no_default(self, jira: FakeHost, content: str | bytes | None) -> None:
        if content is None:
            jira.path(f"{INSTALL}/conf/server.xml").unlink()
        else:
            jira.write(f"{INSTALL}/conf/server.xml", content)
        instance = jira.instance()
        note = "conf/server.xml is missing or cannot be read"
        for name in ("http", "shutdown"):
            assert short(instance, "port", "open", "note")[name] == [(None, None, note)]
        assert f"{INSTALL}/conf/server.xml" in messages(instance)


class TestCluster:
    NAMES = ("cluster cache listener", "cluster cache objects")

    def ports(self, jira: FakeHost, text: str) -> list[tuple[Any, ...]]:
        jira.write(f"{HOME}/cluster.properties", text)
        found = short(jira.instance(), "port", "value_from", "open", "from", "clustered_only")
        return [port for name in self.NAMES for port in found[name]]

    def test_set(self, jira: FakeHost) -> None:
        text = f"{CLUSTER}ehcache.listener.port = 40101\nehcache.object.port=40111\n"
        assert self.ports(jira, text) == [
            (40101, "cluster.properties", True, "peers", True),
            (40111, "cluster.properties", True, "peers", True),
        ]

    def test_not_set(self, jira: FakeHost) -> None:
        assert self.ports(jira, CLUSTER) == [
            (40001, "default", True, "peers", True),
            (None, None, True, "peers", True),
        ]
        ((note,),) = short(jira.instance(), "note")["cluster cache objects"]
        assert "takes a random free port" in note
        assert "No rule can name it" in note
        assert "port" not in messages(jira.instance())

    @pytest.mark.parametrize("port", ["dynamic", "0", "70000", "${PORT}", "40 001", "-1"])
    def test_no_port(self, jira: FakeHost, port: str) -> None:
        text = f"{CLUSTER}ehcache.listener.port={port}\nehcache.object.port={port}\n"
        assert self.ports(jira, text) == [(None, "cluster.properties", True, "peers", True)] * 2
        for key in ("ehcache.listener.port", "ehcache.object.port"):
            assert f"{HOME}/cluster.properties: {key} is no port number" in messages(jira.instance())

    @pytest.mark.parametrize("how", ["malformed", "folder"])
    def test_unread_file_leaves_it_open_whether_there_is_a_cluster(self, jira: FakeHost, how: str) -> None:
        if how == "folder":
            jira.path(f"{HOME}/cluster.properties").mkdir()
            found = short(jira.instance(), "port", "value_from", "open")
            ports = [port for name in self.NAMES for port in found[name]]
        else:
            ports = [port[:3] for port in self.ports(jira, "jira.node.id=\\u00zz\n")]
        assert ports == [(None, "cluster.properties", None)] * 2

    def test_single_node_has_none(self, jira: FakeHost) -> None:
        assert self.ports(jira, "ehcache.listener.port=x\n") == [(None, None, False, "peers", True)] * 2
        assert jira.instance()["problems"] == []


class TestJvm:
    """A debugger and JMX are the same for all products."""

    @pytest.mark.parametrize(
        ("argument", "expected"),
        [
            (f"{JDWP}*:5006", (5006, None, True)),
            (f"{JDWP}5007", (5007, None, True)),
            (f"{JDWP}localhost:5008", (5008, "localhost", True)),
            ("-Xrunjdwp:transport=dt_socket,address=127.0.0.1:5009,server=y", (5009, "127.0.0.1", True)),
            ("-agentpath:/opt/lib/libjdwp.so=transport=dt_socket,server=y,address=5010", (5010, None, True)),
            ("-agentlib:jdwp=transport=dt_socket,server=n,address=desk.example.com:5005", (None, None, False)),
            ("-agentlib:jdwp=transport=dt_socket,address=desk.example.com:5005", (None, None, False)),
            ("-agentlib:hprof=server=y,address=5005", (None, None, False)),
            ("-Dx=-agentlib:jdwp=server=y,address=5005", (None, None, False)),
        ],
    )
    def test_debugger(self, jira: FakeHost, argument: str, expected: tuple[Any, ...]) -> None:
        jira.process(100, arguments=[argument])
        assert short(jira.instance(), "port", "address", "open")["debugger"] == [expected]
        assert jira.instance()["problems"] == []

    @pytest.mark.parametrize("address", ["", ",address=0", ",address=", ",address=x", ",address=localhost:70000"])
    def test_debugger_without_a_port(self, jira: FakeHost, address: str) -> None:
        jira.process(100, arguments=[f"-agentlib:jdwp=transport=dt_socket,server=y{address}"])
        instance = jira.instance()
        assert short(instance)["debugger"] == [(None, "JVM arguments", True)]
        assert f"{INSTALL}: address of -agentlib:jdwp is no port number" in messages(instance)

    def test_jmx(self, jira: FakeHost) -> None:
        jira.process(
            100, arguments=["-Dcom.sun.management.jmxremote.port=1", "-Dcom.sun.management.jmxremote.port=9010"]
        )
        assert short(jira.instance(), "port", "from", "open")["JMX"] == [(9010, "nobody", True)]

    def test_jmx_without_a_port(self, jira: FakeHost) -> None:
        jira.process(100, arguments=["-Dcom.sun.management.jmxremote.port=0"])
        assert short(jira.instance())["JMX"] == [(None, "JVM arguments", True)]
        assert "-Dcom.sun.management.jmxremote.port is no port number" in messages(jira.instance())

    def test_the_next_start_counts_where_nothing_runs(self, jira: FakeHost) -> None:
        jira.write(f"{INSTALL}/bin/setenv.sh", f'CATALINA_OPTS="{JDWP}5005"\n')
        assert short(jira.instance())["debugger"] == [(5005, "JVM arguments", True)]
        jira.process(100)
        assert short(jira.instance())["debugger"] == [(None, "default", False)]


class TestConfluence:
    @pytest.fixture
    def confluence(self, host: FakeHost) -> Confluence:
        result = Confluence(host)
        result.unit()
        return result

    def arguments(self, confluence: Confluence, text: str) -> dict[str, list[tuple[Any, ...]]]:
        confluence.host.write("/opt/atlassian/confluence/bin/setenv.sh", f'CATALINA_OPTS="{text}"\n')
        return short(one(confluence.host, "confluence"), "port", "value_from", "from", "open")

    def test_single_node(self, confluence: Confluence) -> None:
        found = short(one(confluence.host, "confluence"), "port", "value_from", "from", "open")
        assert found["http"] == [(8090, "conf/server.xml", "proxy", True)]
        assert found["shutdown"] == [(8000, "conf/server.xml", "local", True)]
        assert found["managed Synchrony"] == [(8091, "default", "local", True)]
        assert found["cluster"] == [(None, None, "peers", False)]
        assert found["cluster of managed Synchrony"] == [(None, None, "local", None)]

    def test_node_of_a_cluster(self, confluence: Confluence) -> None:
        confluence.config(confluence_cluster="true", confluence_cluster_home="/mnt/confluence")
        found = self.arguments(confluence, "-Dsynchrony.port=8191")
        assert found["cluster"] == [(5801, "default", "peers", True)]
        assert found["managed Synchrony"] == [(8191, "JVM arguments", "local", True)]
        found = self.arguments(confluence, "-Dconfluence.cluster.hazelcast.listenPort=5701")
        assert found["cluster"] == [(5701, "JVM arguments", "peers", True)]
        found = self.arguments(confluence, "-Dconfluence.cluster.hazelcast.listenPort=${HOME} -Dsynchrony.port=many")
        assert found["managed Synchrony"] == [(None, "JVM arguments", "local", True)]
        assert "-Dsynchrony.port is no port number" in messages(one(confluence.host, "confluence"))


class TestSynchrony:
    PRODUCT = "confluence_synchrony"

    def start(self, host: FakeHost, *arguments: str) -> dict[str, Any]:
        host.write(f"{SYNCHRONY}/synchrony-standalone.jar", "")
        host.write(f"{SYNCHRONY}/start-synchrony.sh", "#!/bin/bash\n")
        command = ["java", "-classpath", f"{SYNCHRONY}/synchrony-standalone.jar", *arguments, "synchrony.core", "sql"]
        host.process(7, command=command, cgroup="0::/system.slice/synchrony.service", folder=SYNCHRONY)
        return one(host, self.PRODUCT)

    def test_defaults(self, host: FakeHost) -> None:
        found = short(self.start(host), "port", "value_from", "from", "open")
        assert found["http"] == [(8091, "default", "proxy", True)]
        # Nothing on the host tells whether it is the only one.
        assert found["cluster"] == [(5701, "default", "peers", None)]
        assert found["cluster messages"] == [(25500, "default", "peers", None)]

    def test_set(self, host: FakeHost) -> None:
        arguments = ("-Dsynchrony.port=8092", "-Dsynchrony.bind=192.0.2.7", "-Dcluster.listen.port=5702")
        instance = self.start(host, *arguments, "-Dsynchrony.cluster.base.port=25600")
        found = short(instance, "port", "value_from", "address")
        assert found["http"] == [(8092, "JVM arguments", "192.0.2.7")]
        assert found["cluster"] == [(5702, "JVM arguments", None)]
        assert found["cluster messages"] == [(25600, "JVM arguments", None)]

    def test_bad(self, host: FakeHost) -> None:
        instance = self.start(host, "-Dsynchrony.port=70000", "-Dcluster.listen.port=any")
        found = short(instance, "port", "value_from")
        assert (found["http"], found["cluster"]) == ([(None, "JVM arguments")], [(None, "JVM arguments")])
        assert "-Dsynchrony.port is no port number" in messages(instance)
        assert "-Dcluster.listen.port is no port number" in messages(instance)


class TestBitbucket:
    @pytest.fixture
    def bitbucket(self, host: FakeHost) -> FakeHost:
        build.bitbucket(host, home=BITBUCKET_HOME, user="atlbitbucket")
        build.bitbucket_home(host)
        host.unit("atlbitbucket.service", build.BITBUCKET_UNIT)
        return host

    def instance(self, host: FakeHost, text: str) -> dict[str, Any]:
        host.write(f"{BITBUCKET_HOME}/shared/bitbucket.properties", text)
        return one(host, "bitbucket")

    def test_defaults(self, bitbucket: FakeHost) -> None:
        found = short(self.instance(bitbucket, ""), "port", "value_from", "from", "open")
        assert found["http"] == [(7990, "default", "proxy", True)]
        assert found["Git over SSH"] == [(7999, "default", "users", True)]
        assert found["Hazelcast"] == [(None, None, "peers", False)]
        assert found["Mesh sidecar"] == [(7777, "default", "local", True)]
        assert found["search"] == [(7992, "default", "local", None)]
        assert "shutdown" not in found

    def test_set(self, bitbucket: FakeHost) -> None:
        instance = self.instance(
            bitbucket,
            "server.port=7443\nserver.ssl.enabled=true\nserver.additional-connector.1.port=7991\n"
            "server.additional-connector.1.address=127.0.0.1\nhazelcast.network.tcpip=true\nhazelcast.port=5702\n"
            "plugin.bitbucket-git.mesh.sidecar.default-port=7778\n",
        )
        found = short(instance, "port", "value_from", "address")
        assert found["https"] == [(7443, "bitbucket.properties", None)]
        assert found["http"] == [(7991, "bitbucket.properties", "127.0.0.1")]
        assert found["Hazelcast"] == [(5702, "bitbucket.properties", None)]
        assert found["Mesh sidecar"] == [(7778, "bitbucket.properties", None)]

    def test_bad(self, bitbucket: FakeHost) -> None:
        instance = self.instance(
            bitbucket,
            "server.port=${env:PORT}\nserver.additional-connector.2.port=none\nhazelcast.network.aws=true\n"
            "hazelcast.port=0\nplugin.bitbucket-git.mesh.sidecar.default-port=99999\n",
        )
        found = short(instance)
        unknown = (None, "bitbucket.properties", True)
        assert (found["http"], found["Hazelcast"], found["Mesh sidecar"]) == ([unknown] * 2, [unknown], [unknown])
        for key in (
            "server.port",
            "server.additional-connector.2.port",
            "hazelcast.port",
            "plugin.bitbucket-git.mesh.sidecar.default-port",
        ):
            assert f"shared/bitbucket.properties: {key} is no port number" in messages(instance)
        assert instance["http_port"] is None

    @pytest.mark.parametrize("how", ["no home", "malformed", "folder"])
    def test_unread_file_is_no_default(self, bitbucket: FakeHost, how: str) -> None:
        path = bitbucket.path(f"{BITBUCKET_HOME}/shared/bitbucket.properties")
        if how == "no home":
            build.bitbucket(bitbucket, home="/srv/git-home")
        elif how == "malformed":
            path.write_text("server.port=\\u00zz\n", encoding="utf-8")
        else:
            path.unlink()
            path.mkdir()
        found = short(one(bitbucket, "bitbucket"))
        assert found["http"] == [(None, "bitbucket.properties", None)]
        assert found["Mesh sidecar"] == [(None, "bitbucket.properties", None)]
        assert found["Git over SSH"] == [(7999, "default", True)]

    def test_mesh(self, host: FakeHost) -> None:
        build.mesh(host, properties="grpc.server.port=7878\n")
        build.mesh_unit(host)
        assert short(one(host, "bitbucket_mesh"), "port", "value_from", "from")["gRPC"] == [
            (7878, "mesh.properties", "peers")
        ]

    @pytest.mark.parametrize(("text", "expected"), [("", 7777), (None, 7777), ("grpc.server.port=high\n", None)])
    def test_mesh_without_a_port(self, host: FakeHost, text: str | None, expected: int | None) -> None:
        build.mesh(host, properties=text)
        host.write(f"{MESH_HOME}/log/atlassian-mesh.log", "")
        build.mesh_unit(host)
        instance = one(host, "bitbucket_mesh")
        assert short(instance, "port")["gRPC"] == [(expected,)]
        assert ("grpc.server.port is no port number" in messages(instance)) is (expected is None)


class TestBamboo:
    CFG = "<application-configuration><properties>{}</properties></application-configuration>"
    BROKER = "broker of the remote agents"

    def instance(self, host: FakeHost, uri: str | None) -> dict[str, Any]:
        build.bamboo(host)
        host.unit("bamboo.service", build.BAMBOO_UNIT)
        line = "" if uri is None else f'<property name="bamboo.jms.broker.uri">{uri}</property>'
        host.write(f"{BAMBOO_HOME}/bamboo.cfg.xml", self.CFG.format(line))
        return one(host, "bamboo")

    @pytest.mark.parametrize(
        ("uri", "expected"),
        [
            (None, (54663, None, "default")),
            ("", (54663, None, "default")),
            ("nio://0.0.0.0:54663", (54663, None, "bamboo.cfg.xml")),
            ("tcp://localhost:54664?wireFormat.x=1&amp;y=2", (54664, "localhost", "bamboo.cfg.xml")),
            ("\n  ssl://[::1]:54665  ", (54665, "::1", "bamboo.cfg.xml")),
            ("failover:(tcp://ci.example.com:54666)?x=1", (54666, "ci.example.com", "bamboo.cfg.xml")),
        ],
    )
    def test_broker(self, host: FakeHost, uri: str | None, expected: tuple[Any, ...]) -> None:
        instance = self.instance(host, uri)
        assert short(instance, "port", "address", "value_from")[self.BROKER] == [expected]
        assert instance["problems"] == []
        assert short(instance, "from", "open")[self.BROKER] == [("agents", True)]

    def test_two_addresses(self, host: FakeHost) -> None:
        instance = self.instance(host, "tcp://127.0.0.1:1,tcp://192.0.2.1:2")
        assert short(instance, "port", "address")[self.BROKER] == [(1, "127.0.0.1"), (2, "192.0.2.1")]

    @pytest.mark.parametrize("uri", ["vm://localhost", "tcp://host", "tcp://host:0", "tcp://host:70000", "${BROKER}"])
    def test_no_port(self, host: FakeHost, uri: str) -> None:
        instance = self.instance(host, uri)
        assert short(instance)[self.BROKER] == [(None, "bamboo.cfg.xml", True)]
        key = "properties/property[@name='bamboo.jms.broker.uri']"
        assert f"{BAMBOO_HOME}/bamboo.cfg.xml: {key} " in messages(instance)

    def test_the_rest(self, host: FakeHost) -> None:
        found = short(self.instance(host, None), "port", "address", "from", "open")
        assert found["http"] == [(8085, "127.0.0.1", "proxy", True)]
        assert found["shutdown"] == [(8007, "localhost", "local", True)]
        assert found["cluster"] == [(None, None, "peers", None)]

    def test_malformed_file_is_no_default(self, host: FakeHost) -> None:
        self.instance(host, None)
        host.write(f"{BAMBOO_HOME}/bamboo.cfg.xml", "<application-configuration>")
        assert short(one(host, "bamboo"))[self.BROKER] == [(None, "bamboo.cfg.xml", None)]

    def test_agent(self, host: FakeHost) -> None:
        conf = build.WRAPPER_CONF + f"wrapper.java.additional.3={JDWP}5005\n"
        build.agent(host, conf=conf)
        host.unit("bamboo-agent.service", build.AGENT_UNIT.format(home=build.AGENT))
        found = short(one(host, "bamboo_agent"), "port", "from", "open")
        assert found == {
            "wrapper": [(None, "local", True)],
            "debugger": [(5005, "nobody", True)],
            "JMX": [(None, "nobody", False)],
        }


class TestCrowd:
    def test_single_node(self, host: FakeHost) -> None:
        crowd(host)
        found = short(one(host, "crowd"))
        assert found["http"] == [(8095, "apache-tomcat/conf/server.xml", True)]
        assert found["shutdown"] == [(8020, "apache-tomcat/conf/server.xml", True)]
        assert found["cluster"] == [(None, None, False)]

    def test_node_of_a_cluster(self, host: FakeHost) -> None:
        crowd(host)
        path = host.path("/var/atlassian/application-data/crowd/shared/crowd.cfg.xml")
        path.write_text(path.read_text().replace(">false<", ">true<"))
        ((port, opened, note),) = short(one(host, "crowd"), "port", "open", "note")["cluster"]
        assert (port, opened) == (None, None)
        assert "if there are any" in note


class TestAnotherProduct:
    """What no product of today has."""

    PORT: ClassVar[dict[str, Any]] = {"name": "chat", "port": 9000, "protocol": "udp", "from": "users"}

    @pytest.fixture
    def desk(self, host: FakeHost) -> FakeHost:
        host.write("/opt/desk/bin/start-desk.sh", "")
        host.write("/var/desk/desk.properties", "chat=192.0.2.1:9001\n")
        host.unit("desk.service", "[Service]\nUser=daemon\nExecStart=/opt/desk/bin/start-desk.sh\n")
        return host

    def test_none_and_unknown(self, desk: FakeHost) -> None:
        assert only_desk(desk)["ports"] == []
        assert only_desk(desk, ports=None)["ports"] is None

    def test_first_place_that_says_something(self, desk: FakeHost) -> None:
        places = [
            {"kind": "properties_file", "tree": "install", "path": "gone.properties", "name": "chat"},
            {"kind": "jvm_property", "name": "chat"},
            {"kind": "properties_file", "tree": "home", "path": "desk.properties", "name": "chat", "form": "address"},
            {"kind": "xml_file", "tree": "home", "path": "gone.xml", "element": "chat"},
        ]
        instance = only_desk(desk, ports=[{**self.PORT, "configured_in": places}])
        assert short(instance, "port", "address", "protocol", "from") == {"chat": [(9001, "192.0.2.1", "udp", "users")]}
        instance = only_desk(desk, ports=[{**self.PORT, "configured_in": [places[0], places[3]]}])
        assert short(instance) == {"chat": [(9000, "default", True)]}

    def test_connectors_of_a_product_without_any(self, desk: FakeHost) -> None:
        instance = only_desk(desk, ports=[{**self.PORT, "configured_in": [{"kind": "connectors"}]}])
        assert short(instance) == {"chat": [(9000, "default", True)]}
