# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is watched: the rules of AIDE and our own say the same."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._integrity_scope import (
    Area,
    Scope,
    can_be_named,
    just_these,
)
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._integrity import areas_of, scope_of
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._products import load_products, product_data

SCOPE = Scope(
    [
        Area("/opt/x-1.2", "program file", "x"),
        Area("/opt/x-1.2/home/apps/in", "app", "x"),
        Area("/srv/one.conf", "file"),
    ],
    ["/opt/x-1.2/logs", "/opt/x-1.2/home"],
)
PATHS = {
    "/opt/x-1.2": True,
    "/opt/x-1.2/bin/a": True,
    "/opt/x-1.2-old/bin/a": False,
    "/opt/x-1.2/logs": False,
    "/opt/x-1.2/logs/a": False,
    "/opt/x-1.2/logs2": True,
    "/opt/x-1.2/home": True,
    "/opt/x-1.2/home/caches/a": False,
    "/opt/x-1.2/home/apps": True,
    "/opt/x-1.2/home/apps2": False,
    "/opt/x-1.2/home/apps/a": False,
    "/opt/x-1.2/home/apps/in": True,
    "/opt/x-1.2/home/apps/in/a/b": True,
    "/opt/x-1.2/home/apps/into": False,
    "/srv/one.conf": True,
    "/srv/one.conf2": False,
    "/srv/oneXconf": False,
    "/etc/fail2ban/jail.d/zz-atlassian-dc.local": True,
    "/etc/atlassian-dc/file-integrity/aide.conf": True,
    "/etc/systemd/system/timers.target.wants/atlassian-dc-x.timer": False,
    "/etc/passwd": False,
    "/var/lib/atlassian-dc/x": False,
}


def by_the_rules(configuration: str, path: str) -> bool:
    """Return what AIDE makes of a path: rules match from its beginning, and one with `!` wins."""
    rules = [line for line in configuration.splitlines() if line.startswith(("/", "!"))]
    left_out = any(re.match(rule[1:].replace("\\ ", " "), path) for rule in rules if rule[0] == "!")
    return not left_out and any(re.match(rule.rsplit(" ", 2)[0], path) for rule in rules if rule[0] == "/")


@pytest.mark.parametrize(("path", "watched"), PATHS.items())
def test_rules_and_our_own_look_agree(path: str, watched: bool) -> None:
    assert SCOPE.covers(path) is watched
    assert by_the_rules(SCOPE.configuration("database_in", "#"), path) is watched


def test_walks_what_it_covers(tmp_path: Path) -> None:
    for name in ("bin/a", "logs/l", "home/caches/c", "home/apps/in/z"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "bin/link").symlink_to("nowhere")
    top = str(tmp_path)
    scope = Scope([Area(top, "p"), Area(f"{top}/home/apps/in", "app")], [f"{top}/logs", f"{top}/home"])
    found = {path for path, _info in scope.walk([]) if path.startswith(top)}
    there = {str(path) for path in (tmp_path, *tmp_path.rglob("*"))}
    assert found == {path for path in there if scope.covers(path)}
    assert {f"{top}/bin/link", f"{top}/home/apps/in/z"} <= found


def test_what_lies_where() -> None:
    assert SCOPE.area_of("/opt/x-1.2/home/apps/in/z").what == "app"
    assert SCOPE.area_of("/etc/atlassian-dc/x").what == "file of this collection"


@pytest.mark.parametrize(
    ("path", "right"),
    [
        ("/opt/a b", True),
        ("/opt/a+b-1.2~", True),
        ("/opt/a(1)", False),
        ("/opt/ü", False),
        ("/opt/a\nb", False),
        ("/@x", False),
    ],
)
def test_paths_that_a_rule_can_name(path: str, right: bool) -> None:
    assert can_be_named(path) is right
    assert (Scope([Area(path, "p")]).unnameable == []) is right


def test_rules_for_just_some_paths() -> None:
    text = just_these("database_in", ["/opt/a.b"], "/x", "/y")
    rule = next(line for line in text.splitlines() if line.startswith("="))
    assert re.match(rule[1:].rsplit(" ", 2)[0], "/opt/a.b")
    assert not re.match(rule[1:].rsplit(" ", 2)[0], "/opt/a.b/c")


def instance(product: str, **more: Any) -> dict[str, Any]:
    found = {"name": product, "product": product, "install_dir": f"/opt/{product}", "home_dir": f"/srv/{product}"}
    return {**found, "shared_home_dir": f"/srv/{product}/shared", "unit": f"{product}.service", **more}


@pytest.mark.parametrize("product", load_products())
def test_every_product_has_something_to_watch(product: str) -> None:
    areas = areas_of(instance(product), product_data(product))
    assert Area(f"/opt/{product}", "program file", product) in areas
    assert Area(f"/etc/systemd/system/{product}.service.d", "unit", product) in areas
    assert all(area.path.startswith("/") and "*" not in area.path for area in areas)


@pytest.mark.parametrize("product", load_products())
def test_a_home_is_not_watched_as_a_whole(product: str) -> None:
    """Wherever it lies: what the product writes all the time would be found all the time."""
    data = product_data(product)
    for home in (f"/srv/{product}", f"/opt/{product}", f"/opt/{product}/home"):
        described = instance(product, home_dir=home, shared_home_dir=f"{home}/shared", log_dirs=[f"{home}/log"])
        scope = Scope(*scope_of([described], {product: data}))
        assert not scope.covers(f"{home}/log/today.log")
        assert not scope.covers(f"{home}/whatever")
        config = [path for entry in data["config_files"] if entry.get("tree") == "home" for path in [entry["path"]]]
        assert all(scope.covers(f"{home}/{path}") for path in config)


def test_paths_of_the_user() -> None:
    areas, _mutable = scope_of([], {}, ["/srv/scripts/"])
    assert Area("/srv/scripts", "file") in areas
