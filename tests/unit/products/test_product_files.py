# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every product file keeps the rules: the schema, and no value without a source."""

from __future__ import annotations

import copy
import functools
import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils import _products as products

FILES = sorted(products.products_folder().glob("*.yml"))


@functools.cache
def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def load(path: Path) -> dict[str, Any]:
    data: dict[str, Any] = copy.deepcopy(read(path))
    return data


@functools.cache
def validator() -> jsonschema.Draft202012Validator:
    data = json.loads((products.products_folder() / "schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(data)
    return jsonschema.Draft202012Validator(data)


def complaints(data: dict[str, Any]) -> list[str]:
    found = validator().iter_errors(data)
    return [f"{'.'.join(str(part) for part in error.absolute_path)}: {error.message}" for error in found]


@pytest.fixture
def jira() -> dict[str, Any]:
    return load(products.products_folder() / "jira.yml")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
class TestEveryFile:
    def test_matches_schema(self, path: Path) -> None:
        assert complaints(load(path)) == []

    def test_no_value_without_source(self, path: Path) -> None:
        assert products.check(load(path), path.name) == []

    def test_is_named_like_its_product(self, path: Path) -> None:
        assert load(path)["product"] == path.stem

    def test_patterns_compile(self, path: Path) -> None:
        data = products.plain({key: value for key, value in load(path).items() if key != "sources"})
        for entry in data["version"] or []:
            if "pattern" in entry:
                assert "version" in re.compile(entry["pattern"]).groupindex
        for entry in [*data["jvm"]["dangerous"], *data["jvm"].get("dangerous_properties", [])]:
            re.compile(entry["match"])

    def test_every_connector_is_one_of_the_ports(self, path: Path) -> None:
        data = load(path)
        kinds = [place["kind"] for port in data["ports"] for place in port.get("configured_in", [])]
        assert kinds.count("connectors") == ("connectors" in data.get("http", {}))
        reads_server_xml = data.get("http", {}).get("connectors", {}).get("kind") == "server_xml"
        assert kinds.count("shutdown") == reads_server_xml

    def test_every_log_format_is_described_or_common(self, path: Path) -> None:
        data = products.plain({key: value for key, value in load(path).items() if key != "sources"})
        logs = data["logs"] or []
        assert logs or "part_of" in data
        judged = {entry["format"] for entry in logs if entry["kind"] in ("security", "audit", "access")}
        assert judged <= set(data.get("log_formats", {}))

    def test_minimum_versions_belong_to_known_cycles(self, path: Path) -> None:
        lifecycle = products.plain(load(path).get("lifecycle", {"cycles": [], "minimum_versions": []}))
        cycles = {entry["cycle"] for entry in lifecycle["cycles"] or []}
        for entry in lifecycle["minimum_versions"] or []:
            assert entry["cycle"] in cycles
            assert entry["version"].startswith(entry["cycle"] + ".")


def test_there_is_a_file() -> None:
    assert FILES


class TestCheck:
    @pytest.mark.parametrize(
        ("change", "complaint"),
        [
            (lambda data: data["install"].update(web_root="x"), "install.web_root: a value without a source"),
            (lambda data: data["install"]["web_root"].pop("source"), "web_root.value: a value without a source"),
            (lambda data: data["install"]["web_root"].update(source="nobody"), "there is no source 'nobody'"),
            (lambda data: data["install"]["web_root"].update(source=[]), "a value without a source"),
            (lambda data: data["install"]["web_root"].pop("value"), "a source without a value"),
            (lambda data: data["install"]["paths"].append("/opt/x"), "a value without a source"),
            (lambda data: data["install"].update(paths={}), "install.paths: is empty"),
            (lambda data: data.update(edition={"unknown": "which"}), "consequence must say something"),
            (lambda data: data["ports"][0].update(port={"unknown": "which"}), "ports[0].port: consequence must say"),
            (lambda data: data.update(edition={"unknown": "a", "consequence": "b", "value": 1}), "does not belong"),
            (lambda data: data["sources"].update(spare=data["sources"]["helm"]), "is used by no value"),
            (lambda data: data["sources"]["helm"].update(confidence="memory"), "confidence must be one of"),
            (lambda data: data["sources"]["helm"].update(url="http://x"), "url must be an https address"),
            (lambda data: data["sources"]["helm"].pop("title"), "title is missing"),
            (lambda data: data.update(schema_version=2), "schema_version must be 1"),
            (lambda data: data.pop("product"), "product is missing"),
        ],
    )  # fmt: skip
    def test_finds_what_breaks_the_rule(self, jira: dict[str, Any], change: Any, complaint: str) -> None:
        change(jira)
        assert complaint in "; ".join(products.check(jira, "jira.yml"))

    @pytest.mark.parametrize("data", [None, [], "x", {"sources": []}])
    def test_refuses_other_forms(self, data: Any) -> None:
        assert products.check(data, "x.yml")


class TestSchema:
    @pytest.mark.parametrize(
        "change",
        [
            lambda data: data["install"].update(web_rot={"value": "x", "source": "helm"}),
            lambda data: data["http"]["default_port"].update(value="8080"),
            lambda data: data["ports"][0].update({"from": "everybody"}),
            lambda data: data["ports"][0].pop("port"),
            lambda data: data["ports"][0].update(port=70000),
            lambda data: data["ports"][0].update(port={"unknown": "nobody tells it anywhere"}),
            lambda data: data["ports"][0].update(configured_in="conf/server.xml"),
            lambda data: data["ports"][0].update(configured_in=[{"kind": "connectors", "name": "http"}]),
            lambda data: data["ports"][-1].update(port=9010),
            lambda data: data["ports"][-1].update(
                configured_in=[{"kind": "jvm_option", "match": "-x=(.*)", "name": "a", "only": {}}]
            ),
            lambda data: data["secret_files"][0].update(path="/etc/passwd"),
            lambda data: data["secret_files"][0].update(path="../../etc/passwd"),
            lambda data: data["install"]["paths"][0].update(path="opt/jira"),
            lambda data: data["version"][0].update(kind="guess"),
            lambda data: data.pop("lifecycle"),
            lambda data: data["rest"]["status"].update(method="SEND"),
            lambda data: data.pop("http"),
            lambda data: data["http"]["connectors"].update(kind="guess"),
            lambda data: data["http"]["connectors"].update(tree="home"),
            lambda data: data["http"].update(connectors={"kind": "jvm_properties", "keys": {}, "source": "helm"}),
            lambda data: data["home"]["locations"][0].pop("path"),
            lambda data: data["home"]["locations"].append(
                {"kind": "xml_file", "path": "a.xml", "name": "b", "source": "helm"}
            ),
            lambda data: data["jvm"]["start_files"][0].update(properties=["a"]),
            lambda data: data["jvm"]["start_files"][0].pop("variables"),
            lambda data: data["user"].pop("variable"),
            lambda data: data.update(needs={"groups": [{"name": "docker", "source": "helm"}]}),
            lambda data: data["process"].update(companions=[{"name": "x", "source": "helm"}]),
            lambda data: data.pop("failed_logins"),
            lambda data: data["failed_logins"][0].update(name="Security log"),
            lambda data: data["failed_logins"][0].update(lines=["FAILED for <ADDRESSES>"]),
            lambda data: data["failed_logins"][0].update(lines=["^FAILED for <HOST>$"]),
            lambda data: data["failed_logins"][0].pop("separator"),
            lambda data: data["failed_logins"][0].pop("written"),
            lambda data: data["failed_logins"][0]["written"][0].update(level="loud"),
            lambda data: data["failed_logins"][0].update(
                written=[{"kind": "audit_coverage", "area": "security", "level": "off", "proof": ["x"]}]
            ),
        ],
    )
    def test_finds_mistakes(self, jira: dict[str, Any], change: Any) -> None:
        change(jira)
        assert complaints(jira)

    def test_a_service_that_is_part_of_a_product_may_leave_out_what_that_tells(self, jira: dict[str, Any]) -> None:
        for section in ("http", "cluster", "failed_logins", "archives", "code", "web", "rest", "lifecycle", "backup"):
            del jira[section]
        assert complaints(jira)
        jira["part_of"] = "confluence"
        assert complaints(jira) == []


class TestPlain:
    def test_takes_annotations_off(self) -> None:
        data = {
            "a": {"value": [1, 2], "source": "s"},
            "b": {"path": "x", "source": ["s", "t"], "note": "n", "versions": "9+", "confidence": "documented"},
            "c": {"unknown": "what", "consequence": "so"},
            "d": [{"path": "y", "source": "s"}, {"unknown": "what", "consequence": "so"}],
            "none": [],
            "nothing_known": [{"unknown": "what", "consequence": "so"}],
            "e": {"f": {"value": None, "source": "s"}},
        }
        assert products.plain(data) == {
            "a": [1, 2],
            "b": {"path": "x"},
            "c": None,
            "d": [{"path": "y"}],
            "none": [],
            "nothing_known": None,
            "e": {"f": None},
        }

    def test_product_data_has_no_source_left(self) -> None:
        text = json.dumps(products.product_data("jira"))
        assert '"source"' not in text
        assert '"sources"' not in text
        assert "https://" not in text

    def test_discovery_gets_only_what_it_reads(self) -> None:
        for data in products.discovery_products():
            assert set(data) <= set(products.DISCOVERY_SECTIONS)
            assert "rest" not in data

    def test_unknown_product(self) -> None:
        with pytest.raises(products.ProductDataError, match=r"no such product: 'jirra'; known are .*jira"):
            products.product_data("jirra")


class TestLoad:
    def write(self, folder: Path, name: str, data: Any) -> None:
        (folder / name).write_text(data if isinstance(data, str) else yaml.safe_dump(data), encoding="utf-8")

    def test_reads_a_folder(self, tmp_path: Path, jira: dict[str, Any]) -> None:
        self.write(tmp_path, "jira.yml", jira)
        assert list(products.load_products(tmp_path)) == ["jira"]

    def test_names_file_and_place(self, tmp_path: Path, jira: dict[str, Any]) -> None:
        broken = copy.deepcopy(jira)
        del broken["user"]["default"]["source"]
        self.write(tmp_path, "jira.yml", broken)
        with pytest.raises(products.ProductDataError, match=r"jira\.yml: user\.default\.value: a value without"):
            products.load_products(tmp_path)

    def test_product_has_to_match_the_file(self, tmp_path: Path, jira: dict[str, Any]) -> None:
        self.write(tmp_path, "other.yml", jira)
        with pytest.raises(products.ProductDataError, match="product must be 'other' like the file, found 'jira'"):
            products.load_products(tmp_path)

    @pytest.mark.parametrize("whole", ["jirra", "part", "other"])
    def test_a_part_belongs_to_a_product(self, tmp_path: Path, jira: dict[str, Any], whole: str) -> None:
        self.write(tmp_path, "jira.yml", jira)
        self.write(tmp_path, "part.yml", {**jira, "product": "part", "part_of": "jira"})
        assert list(products.load_products(tmp_path)) == ["jira", "part"]
        self.write(tmp_path, "other.yml", {**jira, "product": "other", "part_of": whole})
        products.load_products.cache_clear()
        with pytest.raises(products.ProductDataError, match=r"other\.yml: part_of must name a product that is no part"):
            products.load_products(tmp_path)

    @pytest.mark.parametrize("text", ["a: [", "!!python/object:os.system {}", "\x00"])
    def test_no_yaml(self, tmp_path: Path, text: str) -> None:
        self.write(tmp_path, "jira.yml", text)
        with pytest.raises(products.ProductDataError, match=r"jira\.yml"):
            products.load_products(tmp_path)

    def test_empty_folder(self, tmp_path: Path) -> None:
        with pytest.raises(products.ProductDataError, match="there is no product file"):
            products.load_products(tmp_path)


class TestJira:
    """Facts the collection stands on; a change here is a change of behaviour."""

    def test_working_dirs(self) -> None:
        paths = [entry["path"] for entry in products.product_data("jira")["install"]["working_dirs"]]
        assert paths == ["logs", "temp", "work", "conf/Catalina"]

    @pytest.mark.parametrize(
        ("argument", "dangerous"),
        [
            ("-Djira.websudo.is.disabled=true", True),
            ("-Djira.websudo.is.disabled=false", False),
            ("-Djira.maximum.authentication.attempts.allowed=99999", True),
            ("-Djira.maximum.authentication.attempts.allowed=", True),
            ("-Djira.maximum.authentication.attempts.allowed=3", False),
            ("-Dcom.atlassian.plugins.authentication.basic.auth.filter.force.allow=true", True),
            ("-Datlassian.recovery.password=********", True),
            ("-agentlib:jdwp=transport=dt_socket,server=y,address=*:5005", True),
            ("-Xrunjdwp:transport=dt_socket", True),
            ("-agentpath:/usr/lib/libjdwp.so=server=y", True),
            ("-agentlib:hprof", False),
            ("-Dupm.plugin.upload.enabled=true", True),
            ("-Xmx2g", False),
        ],
    )
    def test_dangerous_arguments(self, argument: str, dangerous: bool) -> None:
        patterns = [entry["match"] for entry in products.product_data("jira")["jvm"]["dangerous"]]
        assert any(re.fullmatch(pattern, argument) for pattern in patterns) == dangerous

    def test_ready_state(self) -> None:
        states = products.product_data("jira")["http"]["states"]
        assert [entry["state"] for entry in states if entry["ready"]] == ["RUNNING"]


WHOLE = sorted(name for name, data in products.load_products().items() if "part_of" not in data)


@pytest.mark.parametrize("product", WHOLE)
class TestWholeProducts:
    """What holds for every product that is not part of another."""

    @pytest.mark.parametrize(
        ("uri", "denied"),
        [
            ("/s/x/_/download/resources/jira.webresources:color-picker-popup/images/..::..::WEB-INF::web.xml", True),
            ("/s/x/_/download/resources/a:b/images/..%3a%3a..%3a%3aWEB-INF", True),
            ("/s/x/%252e%252e%252fWEB-INF", True),
            ("/s/x/_/download/batch/jira.webresources:a/b.js?locale=en", False),
            ("/browse/ABC-1", False),
            ("/secure/attachment/1/file..name.txt", False),
        ],
    )
    def test_deny_pattern(self, product: str, uri: str, denied: bool) -> None:
        assert bool(re.match(products.product_data(product)["web"]["deny_pattern"], uri)) == denied

    def test_a_start_ends_in_what_is_ready(self, product: str) -> None:
        states = products.product_data(product)["http"]["states"]
        assert "RUNNING" in [entry["state"] for entry in states if entry["ready"]]
        assert not [entry for entry in states if entry["ready"] and "up" in entry]

    @pytest.mark.parametrize(
        "argument",
        [
            "-agentlib:jdwp=transport=dt_socket,server=y,address=*:5005",
            "-Dcom.sun.management.jmxremote.authenticate=false",
        ],
    )
    def test_arguments_that_are_dangerous_everywhere(self, product: str, argument: str) -> None:
        patterns = [entry["match"] for entry in products.product_data(product)["jvm"]["dangerous"]]
        assert any(re.fullmatch(pattern, argument) for pattern in patterns)
        assert not any(re.fullmatch(pattern, "-Xmx2g") for pattern in patterns)

    def test_what_it_writes_and_what_it_runs_are_apart(self, product: str) -> None:
        install = products.product_data(product)["install"]
        working = {entry["path"] for entry in install["working_dirs"]}
        assert not working & {entry["path"] for entry in install.get("code_dirs") or []}


class TestConfluence:
    def test_folders_it_writes(self) -> None:
        paths = [entry["path"] for entry in products.product_data("confluence")["install"]["working_dirs"]]
        assert paths == ["logs", "temp", "work", "conf/Catalina"]

    @pytest.mark.parametrize(
        ("product", "argument", "dangerous"),
        [
            ("confluence", "-Dpassword.confirmation.disabled=true", True),
            ("confluence", "-Dpassword.confirmation.disabled=false", False),
            ("confluence", "-Dconfluence.cluster.authentication.enabled=false", True),
            ("confluence", "-Dopensearch.password=********", True),
            ("confluence", "-Dopensearch.username=admin", False),
            ("confluence_synchrony", "-Dsynchrony.database.password=********", True),
            ("confluence_synchrony", "-Dsynchrony.database.username=confluence", False),
            ("confluence_synchrony", "-Djwt.private.key=********", True),
            ("confluence_synchrony", "-Djwt.public.key=abc", False),
            ("confluence_synchrony", "-Dcluster.join.type=multicast", True),
            ("confluence_synchrony", "-Dcluster.join.type=tcpip", False),
        ],
    )
    def test_dangerous_arguments(self, product: str, argument: str, dangerous: bool) -> None:
        patterns = [entry["match"] for entry in products.product_data(product)["jvm"]["dangerous"]]
        assert any(re.fullmatch(pattern, argument) for pattern in patterns) == dangerous


class TestCrowd:
    def test_folders_it_writes(self) -> None:
        paths = [entry["path"] for entry in products.product_data("crowd")["install"]["working_dirs"]]
        assert paths == ["apache-tomcat/logs", "apache-tomcat/temp", "apache-tomcat/work", "database"]

    @pytest.mark.parametrize(
        ("value", "dangerous"),
        [("DEBUG", True), (" debug, crowdlog", True), ("INFO", False), ("INFO, DEBUGGER", False)],
    )
    def test_logging_that_leaks_passwords(self, value: str, dangerous: bool) -> None:
        (entry,) = products.product_data("crowd")["jvm"]["dangerous_properties"]
        assert bool(re.fullmatch(entry["match"], value)) == dangerous


class TestBitbucketAndBamboo:
    """Facts that other roles stand on, and what is easily got wrong."""

    @pytest.mark.parametrize(
        ("product", "argument", "dangerous"),
        [
            ("bitbucket", "-Dfeature.websudo=false", True),
            ("bitbucket", "-Dfeature.websudo=true", False),
            ("bitbucket", "-Dfeature.public.access=true", True),
            ("bitbucket", "-Datlassian.authentication.legacy.mode=true", True),
            ("bitbucket", "-Datlassian.standalone=BITBUCKET", False),
            ("bitbucket_mesh", "-Dcom.sun.management.jmxremote.authenticate=false", True),
            ("bamboo", "-Dbamboo.websudo.disabled=true", True),
            ("bamboo", "-Dbamboo.paths.set.allowed=true", True),
            ("bamboo", "-Dbamboo.home=/srv/ci", False),
            ("bamboo_agent", "-Dbamboo.agent.ignoreServerCertName=true", True),
            ("bamboo_agent", "-Dbamboo.agent.ignoreServerCertName=false", False),
        ],
    )
    def test_dangerous_arguments(self, product: str, argument: str, dangerous: bool) -> None:
        patterns = [entry["match"] for entry in products.product_data(product)["jvm"]["dangerous"]]
        assert any(re.fullmatch(pattern, argument) for pattern in patterns) == dangerous

    @pytest.mark.parametrize(
        ("product", "versions"),
        [
            ("bitbucket", {"9.4": "9.4.26", "10.2": "10.2.8", "10.5": "10.5.1"}),
            ("bamboo", {"10.2": "10.2.24", "12.1": "12.1.12"}),
            ("bitbucket_mesh", {}),
        ],
    )
    def test_lowest_releases(self, product: str, versions: dict[str, str]) -> None:
        entries = products.product_data(product)["lifecycle"]["minimum_versions"]
        assert {entry["cycle"]: entry["version"] for entry in entries} == versions

    def test_agents_and_mesh_nodes_are_reached_by_their_own_only(self) -> None:
        ports = {
            (product, entry["name"]): entry["from"]
            for product in ("bitbucket", "bitbucket_mesh", "bamboo", "bamboo_agent")
            for entry in products.product_data(product)["ports"]
        }
        assert ports["bamboo", "broker of the remote agents"] == "agents"
        assert ports["bitbucket", "Mesh sidecar"] == "local"
        assert ports["bitbucket_mesh", "gRPC"] == "peers"
        assert ports["bitbucket", "Git over SSH"] == "users"
        agent = {source for (product, _name), source in ports.items() if product == "bamboo_agent"}
        assert agent == {"local", "nobody"}

    def test_parts_belong_to_their_products(self) -> None:
        parts = {name: data.get("part_of") for name, data in products.load_products().items()}
        assert (parts["bitbucket_mesh"], parts["bamboo_agent"]) == ("bitbucket", "bamboo")

    @pytest.mark.parametrize(
        "change",
        [
            lambda data: data["version"][0].update(kind="folder_name"),
            lambda data: data["home"]["scratch"][0].update(tree="install"),
            lambda data: data["service"]["sandbox"].update(value={"PrivateTmp": False}),
            lambda data: data["lifecycle"]["cycles"][0].pop("cycle"),
            lambda data: data["web"]["agent_paths"][0].update(path="agentServer"),
        ],
    )
    def test_schema_finds_mistakes(self, change: Any) -> None:
        data = load(products.products_folder() / "bamboo.yml")
        data["home"]["scratch"] = [{"tree": "home", "path": "x", "source": "policy"}]
        data["service"]["sandbox"] = {"value": {"PrivateTmp": "no"}, "source": "policy"}
        assert complaints(data) == []
        change(data)
        assert complaints(data)
