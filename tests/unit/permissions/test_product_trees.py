# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The permission policy of Bitbucket, Mesh, Bamboo and agents, from what discovery finds of them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._permission_trees import permission_trees
from unit.discovery import build_products as build
from unit.discovery.build_products import AGENT, BAMBOO, BAMBOO_HOME, BITBUCKET, BITBUCKET_HOME, MESH, MESH_HOME
from unit.discovery.fake_host import FakeHost
from unit.permissions.permission_product import SERVICE, SERVICE_GID, SERVICE_UID, needs_root, run_trees


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    return FakeHost(tmp_path)


def policy(host: FakeHost) -> dict[tuple[str, str | None], dict[str, Any]]:
    """Return the walked trees of a host by instance and path, and those without a path by their name."""
    trees = permission_trees(host.discover()["instances"])
    return {(tree["instance"], tree.get("path") or tree["name"]): tree for tree in trees if tree.get("rules")}


def rules(tree: dict[str, Any], pattern: str) -> list[tuple[str, list[str] | None]]:
    """Return control and owner of the rules that name a pattern, first match first."""
    return [(rule["control"], rule.get("owner")) for rule in tree["rules"] if pattern in rule.get("paths", [])]


def controls(trees: dict[tuple[str, str | None], dict[str, Any]], instance: str) -> dict[str, str]:
    """Return why an instance has no tree, by name of the tree."""
    return {
        str(name): tree["absent"] for (owner, name), tree in trees.items() if owner == instance and tree.get("absent")
    }


class TestBitbucket:
    @pytest.fixture
    def trees(self, host: FakeHost) -> dict[tuple[str, str | None], dict[str, Any]]:
        build.bitbucket(host, home=BITBUCKET_HOME, user="atlbitbucket")
        build.bitbucket_home(host)
        host.unit("atlbitbucket.service", build.BITBUCKET_UNIT)
        build.mesh(host)
        build.mesh_unit(host)
        return policy(host)

    def test_install_tree_is_roots_but_what_the_product_writes(self, trees: Any) -> None:
        install = trees["bitbucket", BITBUCKET]
        assert rules(install, ".") == [("DC-DIR-01", ["root"])]
        assert rules(install, "conf/Catalina/**") == [("DC-DIR-02", ["atlbitbucket"])]
        assert rules(install, "opensearch/logs") == [("DC-DIR-02", ["atlbitbucket"])]
        assert rules(install, "bin/_start-webapp.sh") == [("DC-DIR-04", ["root"])]

    def test_shared_home_is_a_home_inside_the_home(self, trees: Any) -> None:
        home = trees["bitbucket", BITBUCKET_HOME]
        assert rules(home, "shared/bitbucket.properties") == [("DC-DIR-04", ["atlbitbucket"])]
        assert rules(home, "shared/**") == [("DC-DIR-03", ["atlbitbucket"])]
        assert rules(home, "log/**") == [("DC-LOG-04", ["atlbitbucket"])]
        assert ("bitbucket", f"{BITBUCKET_HOME}/shared") not in trees

    def test_mesh_has_trees_of_its_own(self, trees: Any) -> None:
        assert rules(trees["bitbucket_mesh", MESH], "**") == [("DC-DIR-01", ["root"])]
        assert rules(trees["bitbucket_mesh", MESH_HOME], "mesh.properties") == [("DC-DIR-04", ["bitbucket"])]
        assert controls(trees, "bitbucket_mesh") == {"working folders": "it writes nowhere in its install tree"}

    def test_one_folder_for_both(self, host: FakeHost) -> None:
        build.bitbucket(host, home=BITBUCKET_HOME, user="atlbitbucket")
        build.bitbucket_home(host)
        host.unit("atlbitbucket.service", build.BITBUCKET_UNIT)
        build.mesh(host, install=BITBUCKET)
        build.mesh_unit(host, install=BITBUCKET)
        trees = policy(host)
        left_out = {
            name: {item["path"] for item in trees[name, BITBUCKET]["exceptions"]}
            for name in ("bitbucket", "bitbucket_mesh")
        }
        assert left_out["bitbucket"] == {"bin/_start-mesh.sh"}
        assert {"conf/Catalina", "opensearch/logs", "bin/_start-webapp.sh"} <= left_out["bitbucket_mesh"]

    def test_nothing_is_unknown(self, trees: Any) -> None:
        assert [name for _instance, name in trees if not name.startswith("/")] == ["working folders"]


class TestBamboo:
    @pytest.fixture
    def trees(self, host: FakeHost) -> dict[tuple[str, str | None], dict[str, Any]]:
        build.bamboo(host)
        host.unit("bamboo.service", build.BAMBOO_UNIT)
        build.agent(host)
        host.unit("bamboo-agent.service", build.AGENT_UNIT.format(home=AGENT))
        return policy(host)

    def test_server(self, trees: Any) -> None:
        assert rules(trees["bamboo", BAMBOO], "work/**") == [("DC-DIR-02", ["bamboo"])]
        home = trees["bamboo", BAMBOO_HOME]
        assert rules(home, "shared/configuration/cipher/**") == [("DC-DIR-04", ["bamboo"])]
        assert rules(home, "bamboo.cfg.xml") == [("DC-DIR-04", ["bamboo"])]

    def test_agent_is_a_home_and_nothing_of_it_is_roots(self, trees: Any) -> None:
        agent = trees["bamboo_agent", AGENT]
        assert rules(agent, "**") == [("DC-DIR-03", ["bamboo"])]
        assert rules(agent, "conf/wrapper.conf") == [("DC-DIR-04", ["bamboo"])]
        assert not any(rule.get("owner") == ["root"] for rule in agent["rules"])
        assert controls(trees, "bamboo_agent") == {
            "install tree": "it keeps program and data in one folder, judged as its home",
            "working folders": "all it writes is judged as its home",
        }

    def test_what_builds_make_is_left_alone(self, trees: Any) -> None:
        made = {"path": "xml-data/build-dir/*", "reason": "made by builds, which deliver it as it is"}
        assert trees["bamboo_agent", AGENT]["exceptions"] == [made]
        assert trees["bamboo", BAMBOO_HOME]["exceptions"] == []


@needs_root
def test_scratch_folder_is_closed_and_its_contents_stay(tmp_path: Path) -> None:
    agent = tmp_path / "agent"
    build_dir = agent / "xml-data/build-dir"
    made = build_dir / "PROJ-PLAN-JOB1/debian/postinst"
    made.parent.mkdir(parents=True)
    made.write_text("x")
    made.chmod(0o4777)
    (agent / "bin").mkdir()
    (agent / "bin/bamboo-agent.sh").write_text("x")
    for folder, _folders, files in os.walk(agent):
        for path in (folder, *(f"{folder}/{name}" for name in files)):
            os.chown(path, SERVICE_UID, SERVICE_GID)
    os.chown(made, 0, 0)
    made.chmod(0o4777)
    instance = {
        "name": "agent",
        "install_dir": str(agent),
        "home_dir": str(agent),
        "service_account": SERVICE,
        "service_group": SERVICE,
        "working_dirs": [],
        "secret_files": [],
        "log_dirs": [],
        "web_root": "",
        "scratch_dirs": [str(build_dir)],
    }
    run_trees(permission_trees([instance]))
    assert build_dir.stat().st_mode & 0o777 == 0o750
    assert (agent / "bin").stat().st_mode & 0o777 == 0o750
    assert (made.stat().st_mode & 0o7777, made.stat().st_uid) == (0o4777, 0)
    assert (build_dir / "PROJ-PLAN-JOB1").stat().st_mode & 0o777 == 0o755
