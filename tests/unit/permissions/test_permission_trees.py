# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what discovery found to trees and rules."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible_collections.atlassian_dc.hardening.plugins.filter import permission_trees as plugin
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._permissions import ModeExpression, Pattern
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._walk import Mounts
from ansible_collections.atlassian_dc.hardening.plugins.modules import tree_permissions as module
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils import _permission_trees as policy

CONTROLS = {"DC-DIR-01", "DC-DIR-02", "DC-DIR-03", "DC-DIR-04", "DC-DIR-05", "DC-DIR-06", "DC-LOG-04"}


def instance(**more: Any) -> dict[str, Any]:
    return {
        "name": "jira",
        "install_dir": "/opt/jira",
        "home_dir": "/var/apps/jira",
        "shared_home_dir": None,
        "service_account": "jira",
        "service_group": "jira",
        "running": True,
        "running_uid": 998,
        "running_user": "jira",
        "working_dirs": ["/opt/jira/work"],
        "secret_files": [{"path": "/var/apps/jira/keys/**", "tree": "home"}],
        "log_dirs": ["/var/apps/jira/log"],
        "archive_dirs": ["/var/apps/jira/export"],
        "web_root": "/opt/jira/web",
        **more,
    }


def controls(trees: list[dict[str, Any]]) -> set[str]:
    found = set()
    for tree in trees:
        found |= {part["control"] for part in (*tree.get("rules", []), *tree.get("archives", []))}
        found |= {tree["trait_control"]} if tree.get("trait_control") else set()
    return found


@pytest.mark.parametrize("folder", ["/var/apps/jira/export", "/srv/backups"])
def test_backups_are_known_by_the_names_of_the_product(folder: str) -> None:
    trees = policy.permission_trees([instance(archive_dirs=[folder], archive_names=["*.xml"])])
    paths = [path for tree in trees for part in tree.get("archives", []) for path in part["paths"]]
    assert [path for path in paths if path.endswith(".xml")] == [f"{'export/' if 'export' in folder else ''}**/*.xml"]


def names(trees: list[dict[str, Any]]) -> list[str]:
    return [tree["name"] for tree in trees]


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"home_dir": None},
        {"install_dir": None, "web_root": None, "working_dirs": []},
        {"log_dirs": [], "secret_files": [], "working_dirs": None, "archive_dirs": []},
        {"service_account": None, "service_group": None},
    ],
)
def test_every_control_is_judged_whatever_is_unknown(change: dict[str, Any]) -> None:
    assert controls(policy.permission_trees([instance(**change)])) == CONTROLS


def test_everything_fits_the_module() -> None:
    for tree in policy.permission_trees([instance(shared_home_dir="/var/apps/jira/shared")], readers=[{"user": "x"}]):
        assert set(tree) <= set(module.TREE)
        for rule in tree.get("rules", []):
            assert set(rule) <= set(module.RULE)
            for pattern in rule.get("paths", []):
                Pattern(pattern)
            for key in ("directory_mode", "file_mode"):
                if key in rule:
                    ModeExpression(rule[key])


def test_nested_homes_are_one_tree_with_the_inner_rules_first() -> None:
    home = "/opt/jira/home"
    nested = instance(home_dir=home, shared_home_dir=f"{home}/shared", log_dirs=[f"{home}/log"])
    trees = policy.permission_trees([nested])
    walked = [tree for tree in trees if tree.get("trait_control")]
    assert [tree["path"] for tree in walked] == ["/opt/jira"]
    general = [rule["paths"] for rule in walked[0]["rules"] if rule["control"] in ("DC-DIR-01", "DC-DIR-03")]
    assert general == [["home/shared", "home/shared/**"], ["home", "home/**"], [".", "**"]]


def test_install_tree_inside_the_home_keeps_its_rules() -> None:
    trees = policy.permission_trees([instance(install_dir="/var/apps/jira/install", web_root=None, working_dirs=[])])
    tree = next(tree for tree in trees if tree.get("trait_control"))
    assert tree["path"] == "/var/apps/jira"
    general = [rule["control"] for rule in tree["rules"] if rule["control"] in ("DC-DIR-01", "DC-DIR-03")]
    assert general == ["DC-DIR-01", "DC-DIR-03"]


def everywhere(trees: list[dict[str, Any]], path: str) -> list[str]:
    """Return the controls whose rules reach the folder itself."""
    return [
        next(
            rule["control"]
            for rule in tree["rules"]
            if "paths" not in rule or _matches(rule["paths"], path, tree["path"])
        )
        for tree in trees
        if tree.get("rules") and tree.get("path") and policy.below(path, tree["path"]) is not None
        if (tree.get("recurse", True) or path == tree["path"])
        if not any(policy.below(path, f"{tree['path']}/{item['path']}") is not None for item in tree["exceptions"])
    ]


def _matches(patterns: list[str], path: str, root: str) -> bool:
    relative = policy.below(path, root) or "."
    return any(pattern in (relative, "**") or pattern == f"{relative}/**" for pattern in patterns)


@pytest.mark.parametrize(
    "places",
    [
        {"install_dir": "/srv/jira/install", "home_dir": "/srv/jira"},
        {"install_dir": "/srv/jira/a/install", "home_dir": "/srv/jira", "install_link": "/srv/jira/current"},
        {"install_dir": "/opt/jira", "home_dir": "/opt/jira/home"},
        {"install_dir": "/srv/jira", "home_dir": "/srv/jira"},
        {"install_dir": "/opt/a/jira", "home_dir": "/var/apps/jira", "shared_home_dir": "/opt/a"},
    ],
)
def test_every_folder_has_one_rule_however_the_trees_lie_in_each_other(places: dict[str, Any]) -> None:
    trees = policy.permission_trees(
        [instance(**places, working_dirs=[], secret_files=[], log_dirs=[], archive_dirs=[], web_root="")]
    )
    for start in (places["install_dir"], places["home_dir"]):
        path = start
        while path != "/":
            assert len(everywhere(trees, path)) <= 1, path
            path = path.rpartition("/")[0] or "/"


def test_folders_above_are_left_to_the_product_they_belong_to() -> None:
    part = instance(name="part", install_dir="/opt/jira/bin/part", home_dir="/opt/jira/bin/part")
    trees = policy.permission_trees([instance(), part])
    above = [(tree["instance"], tree["path"]) for tree in trees if "above" in tree["name"]]
    assert above == [("jira", "/opt"), ("part", "/opt")]


def test_an_installation_that_is_its_own_home_is_judged_as_a_home() -> None:
    agent = instance(name="agent", install_dir="/srv/agent", home_dir="/srv/agent", working_dirs=[], web_root="")
    trees = policy.permission_trees([agent])
    walked = next(tree for tree in trees if tree.get("trait_control"))
    assert (walked["path"], walked["name"]) == ("/srv/agent", "home")
    assert "DC-DIR-01" not in {rule["control"] for rule in walked["rules"]}
    absent = {tree["rules"][0]["control"]: tree["absent"] for tree in trees if tree.get("absent")}
    assert absent == {
        "DC-DIR-01": "it keeps program and data in one folder, judged as its home",
        "DC-DIR-02": "all it writes is judged as its home",
    }


def test_nothing_of_a_kind_differs_from_not_knowing_it() -> None:
    none = policy.permission_trees([instance(working_dirs=[], secret_files=[], log_dirs=[])])
    unknown = policy.permission_trees([instance(working_dirs=None, secret_files=None, log_dirs=None)])
    for trees, absent in ((none, True), (unknown, False)):
        placeless = [tree for tree in trees if not tree.get("path")]
        assert {tree["rules"][0]["control"] for tree in placeless} == {"DC-DIR-02", "DC-DIR-04", "DC-LOG-04"}
        assert all(bool(tree.get("absent")) is absent for tree in placeless)


def test_folders_outside_are_trees_of_their_own() -> None:
    trees = policy.permission_trees(
        [
            instance(
                log_dirs=["/var/log/jira"],
                working_dirs=["/srv/work"],
                archive_dirs=["/srv/export"],
                secret_files=[{"path": "/etc/jira/*.key", "tree": "home"}],
            )
        ]
    )
    places = {tree["path"]: tree for tree in trees if tree.get("path")}
    assert places["/var/log/jira"]["rules"][-1]["control"] == "DC-LOG-04"
    assert places["/srv/work"]["rules"][-1]["control"] == "DC-DIR-02"
    assert places["/srv/export"]["required"] is False
    assert places["/etc/jira"]["rules"][0]["paths"] == ["*.key"]
    assert places["/etc/jira"]["recurse"] is False
    assert not places["/etc/jira"].get("trait_control")


def test_scripts_that_hold_secrets_stay_executable() -> None:
    secrets = [{"path": f"/opt/jira/{name}", "tree": "install"} for name in ("bin/setenv.sh", "conf/server.xml")]
    trees = policy.permission_trees([instance(secret_files=secrets)])
    modes = {
        path: ModeExpression(rule["file_mode"]).apply(0o755, False)
        for tree in trees
        for rule in tree.get("rules", [])
        if rule["control"] == "DC-DIR-04"
        for path in rule["paths"]
    }
    assert modes == {"bin/setenv.sh": 0o750, "conf/server.xml": 0o640}
    own = [{"path": f"/opt/jira/{name}", "tree": "home"} for name in ("start.sh", "keys")]
    trees = policy.permission_trees([instance(home_dir="/opt/jira", secret_files=own)])
    modes = {
        path: ModeExpression(rule["file_mode"]).apply(0o755, False)
        for tree in trees
        for rule in tree.get("rules", [])
        if rule["control"] == "DC-DIR-04"
        for path in rule["paths"]
    }
    assert modes == {"start.sh": 0o700, "keys": 0o600}


def test_literal_names_are_no_patterns() -> None:
    trees = policy.permission_trees([instance(log_dirs=["/var/apps/jira/lo*g"])])
    rule = next(rule for tree in trees for rule in tree.get("rules", []) if rule["control"] == "DC-LOG-04")
    assert rule["paths"] == ["lo[*]g/**"]


def test_instances_in_each_other_are_judged_once() -> None:
    other = instance(name="crowd", install_dir="/opt/jira/crowd", home_dir="/var/apps/crowd", working_dirs=[])
    trees = policy.permission_trees([instance(), other])
    outer = next(tree for tree in trees if tree.get("path") == "/opt/jira")
    assert outer["exceptions"] == [{"path": "crowd", "reason": "judged with crowd"}]


@pytest.mark.parametrize(
    ("change", "held"),
    [
        ({}, False),
        ({"running_uid": 0, "running_user": "root"}, False),
        ({"running": False, "running_uid": 5, "running_user": "games"}, False),
        ({"running_uid": 5, "running_user": "games"}, True),
    ],
)
def test_hold(change: dict[str, Any], held: bool) -> None:
    assert all(bool(tree.get("hold")) is held for tree in policy.permission_trees([instance(**change)]))


def test_readers_and_exceptions_become_relative() -> None:
    trees = policy.permission_trees(
        [instance()],
        readers=[
            {"user": "a"},
            {"group": "b", "paths": ["/var/apps/jira/log", "/var"]},
            {"user": "c", "paths": ["/x"]},
        ],
        exceptions=[{"path": "/opt/jira/agent*", "reason": "r"}],
        cross_file_systems=True,
    )
    home = next(tree for tree in trees if tree.get("path") == "/var/apps/jira")
    assert home["readers"] == [{"user": "a"}, {"group": "b", "paths": [".", "log", "log/**", "**"]}]
    assert home["exceptions"] == []
    install = next(tree for tree in trees if tree.get("path") == "/opt/jira")
    assert install["exceptions"] == [{"path": "agent*", "reason": "r"}]
    assert install["cross_file_systems"] is True


@pytest.mark.parametrize(
    ("path", "patterns"),
    [
        ("log/audit", [".", "log", "log/audit", "log/audit/**"]),
        ("**/export", [".", "**/export", "**/export/**"]),
        ("a/**/b", [".", "a", "a/**/b", "a/**/b/**"]),
    ],
)
def test_a_reader_keeps_the_way_to_its_paths(path: str, patterns: list[str]) -> None:
    trees = policy.permission_trees([instance()], readers=[{"user": "a", "paths": [f"/var/apps/jira/{path}"]}])
    home = next(tree for tree in trees if tree.get("path") == "/var/apps/jira")
    assert home["readers"] == [{"user": "a", "paths": patterns}]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"readers": "jira"}, "readers must be a list"),
        ({"readers": [{"user": "a", "group": "b"}]}, "one of both"),
        ({"readers": [{"paths": ["/x"]}]}, "needs a user or a group"),
        ({"readers": [{"user": "a", "path": "/x"}]}, "a reader has no path"),
        ({"readers": [{"user": "a", "paths": ["x"]}]}, "absolute"),
        ({"readers": [{"user": "a", "paths": "/x"}]}, "absolute"),
        ({"exceptions": {"path": "/x"}}, "exceptions must be a list"),
        ({"exceptions": [{"path": "/x"}]}, "a path and a reason"),
        ({"exceptions": [{"path": "/x", "reason": ""}]}, "needs a reason"),
        ({"exceptions": [{"path": "x", "reason": "r"}]}, "must be absolute"),
    ],
)
def test_bad_settings_are_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(AnsibleFilterError, match=message):
        plugin.permission_trees([instance()], **settings)


def test_documentation_and_arguments_agree() -> None:
    documented = yaml.safe_load(module.DOCUMENTATION)["options"]

    def compare(options: dict[str, Any], spec: dict[str, Any]) -> None:
        assert set(options) == set(spec)
        for name, option in options.items():
            for key in ("type", "elements", "default"):
                assert option.get(key) == spec[name].get(key), (name, key)
            assert bool(option.get("required")) == bool(spec[name].get("required")), name
            if "suboptions" in option:
                compare(option["suboptions"], spec[name]["options"])

    compare(documented["trees"]["suboptions"], module.TREE)


def test_role_specifies_all_its_variables() -> None:
    role = Path(__file__).parents[3] / "roles" / "file_permissions"
    defaults = yaml.safe_load((role / "defaults" / "main.yml").read_text())
    options = yaml.safe_load((role / "meta" / "argument_specs.yml").read_text())["argument_specs"]["main"]["options"]
    assert {name: option["default"] for name, option in options.items()} == defaults
    tasks = (role / "tasks" / "main.yml").read_text()
    assert set(re.findall(r"DC-[A-Z]+-\d+", tasks)) == CONTROLS
    assert all(name in tasks and name in (role / "README.md").read_text() for name in defaults)


def test_mount_points_with_spaces_and_their_types(tmp_path: Path) -> None:
    table = tmp_path / "mountinfo"
    table.write_text(
        "1 0 0:1 / / rw - ext4 /dev/sda rw\n2 1 0:2 / /mnt/my\\040data rw shared:3 - nfs4 server:/x rw\nshort line\n"
    )
    mounts = Mounts(str(table))
    assert mounts.network_type("/mnt/my data/deep") == "nfs4"
    assert mounts.network_type("/mnt/other") == ""
    assert mounts.below["/mnt"] == {"my data"}
    assert Mounts(str(tmp_path / "missing")).type_of("/x") == ""
