# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which apps a product has."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._settings_places import Product
from ansible_collections.atlassian_dc.hardening.plugins.modules.product_apps_info import describe
from unit.rest.scripted_server import scripted_server
from unit.rest.settings_host import SettingsHost

APPS = "GET /rest/plugins/1.0/"
MINE = {
    "key": "b.mine",
    "name": "Mine",
    "version": "1.0",
    "enabled": False,
    "userInstalled": True,
    "vendor": {"name": "Me"},
}


@pytest.fixture
def host(tmp_path: Path) -> Iterator[SettingsHost]:
    with scripted_server() as server:
        server.on(
            APPS, {"plugins": [MINE, {"key": "a.theirs", "userInstalled": False, "enabled": True, "vendor": "X"}]}
        )
        yield SettingsHost(tmp_path, server)


def read(host: SettingsHost) -> dict[str, Any]:
    return describe(Product(host.instance, host.params, host.run_command, str(host.root)))


def test_apps_are_listed(host: SettingsHost) -> None:
    assert read(host) == {
        "apps": [
            {"key": "a.theirs", "name": "", "version": "", "vendor": "X", "enabled": True, "user_installed": False},
            {
                "key": "b.mine",
                "name": "Mine",
                "version": "1.0",
                "vendor": "Me",
                "enabled": False,
                "user_installed": True,
            },
        ],
        "user_installed": 1,
        "disabled": 1,
        "signatures_checked": True,
        "upload_enabled": False,
        "why": "",
    }


def test_what_arguments_of_the_jvm_allow(host: SettingsHost) -> None:
    host.instance["jvm_arguments"] = [
        "-Datlassian.upm.signature.check.disabled=true",
        "-Dupm.plugin.upload.enabled=true",
    ]
    found = read(host)
    assert (found["signatures_checked"], found["upload_enabled"]) == (False, True)
    host.instance["jvm_arguments"] = None
    found = read(host)
    assert (found["signatures_checked"], found["upload_enabled"]) == (None, None)


@pytest.mark.parametrize(
    "body", [[], {}, {"plugins": {}}, {"plugins": [{}]}, {"plugins": ["x"]}, {"plugins": [MINE] * 5001}, (403, {}, {})]
)
def test_a_list_that_is_none(host: SettingsHost, body: Any) -> None:
    host.server.on(APPS, body)
    found = read(host)
    assert found["apps"] == []
    assert found["why"]


def test_a_product_of_which_nothing_is_known(host: SettingsHost) -> None:
    host.instance["product"] = "unheard_of"
    assert "no source tells" in read(host)["why"]
