# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings that only the database tells."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._settings_database import Database
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._settings_values import UnknownValueError
from unit.rest.scripted_server import scripted_server
from unit.rest.settings_host import SettingsHost

ACCOUNT = {"username": "auditor", "password": "only-to-read"}
ADDRESS = "jdbc:postgresql://db.example:5433/wiki?ssl=true"


class Psql:
    """Stands in for psql."""

    def __init__(self, answer: str = "", code: int = 0) -> None:
        self.answer, self.code = answer, code
        self.calls: list[tuple[list[str], dict[str, Any]]] = []

    def __call__(self, command: list[str], **more: Any) -> tuple[int, str, str]:
        self.calls.append((command, more))
        return self.code, self.answer, ""


def test_a_value_is_read_by_an_account_that_only_reads() -> None:
    psql = Psql("<a>\n</a>\n")
    assert Database(ADDRESS, ACCOUNT, psql).value("SELECT x") == "<a>\n</a>"
    command, more = psql.calls[0]
    words = " ".join(command)
    assert "--host db.example --port 5433 --username auditor --dbname wiki --command SELECT x" in words
    assert "only-to-read" not in words
    assert more["environ_update"]["PGPASSWORD"] == "only-to-read"
    assert "default_transaction_read_only=on" in more["environ_update"]["PGOPTIONS"]


@pytest.mark.parametrize(("answer", "value"), [("", None), ("\n", ""), ("ON\n", "ON")])
def test_what_comes(answer: str, value: str | None) -> None:
    assert Database(ADDRESS, ACCOUNT, Psql(answer)).value("SELECT x") == value


@pytest.mark.parametrize(
    "address",
    [
        "",
        "jdbc:mysql://db/wiki",
        "jdbc:postgresql://db/",
        "jdbc:postgresql://db/host=elsewhere",
        "jdbc:postgresql://a,b/wiki",
        "jdbc:postgresql://db/wiki\nx",
        "jdbc:postgresql:wiki",
    ],
)
def test_an_address_that_is_none(address: str) -> None:
    with pytest.raises(UnknownValueError, match="PostgreSQL"):
        Database(address, ACCOUNT, Psql())


@pytest.mark.parametrize("address", ["jdbc:postgresql://[::1]/wiki", "jdbc:postgresql://127.0.0.1:5432/wiki_1"])
def test_addresses(address: str) -> None:
    psql = Psql("1\n")
    assert Database(address, ACCOUNT, psql).value("SELECT x") == "1"


@pytest.mark.parametrize(
    ("psql", "words", "calls"),
    [
        (Psql(code=127), "not installed", 1),
        (Psql(code=124), "does not answer", 1),
        (Psql(code=2), "atlassian_dc_product_settings_databases", 1),
        (Psql(code=1), "no such table", 2),
        (Psql("x" * 5_000_000), "more than is read", 2),
    ],
)
def test_what_does_not_come(psql: Psql, words: str, calls: int) -> None:
    asked = Database(ADDRESS, ACCOUNT, psql)
    for _time in range(2):
        with pytest.raises(UnknownValueError, match=words):
            asked.value("SELECT x")
    assert len(psql.calls) == calls  # who is not let in does not knock again


# ---- settings of a product -----------------------------------------------------------------------------------------

SETTINGS: dict[str, Any] = {
    "webSudoEnabled": True,
    "webSudoTimeout": 10,
    "denyPublicSignup": True,
    "allowRemoteApiAnonymous": False,
    "loginManagerSettings": {"enableElevatedSecurityCheck": True, "loginAttemptsThreshold": 3},
}


def xml(settings: dict[str, Any]) -> str:
    def element(key: str, value: Any) -> str:
        inner = "".join(element(*item) for item in value.items()) if isinstance(value, dict) else str(value).lower()
        return f"<{key}>{inner}</{key}>"

    return element("settings", settings)


@pytest.fixture
def host(tmp_path: Path) -> Iterator[SettingsHost]:
    with scripted_server() as server:
        host = SettingsHost(tmp_path, server, "confluence")
        name = "hibernate.connection.url"
        (host.home / "confluence.cfg.xml").write_text(
            f'<c><properties><property name="{name}">{ADDRESS}</property></properties></c>'
        )
        yield host


def judge(host: SettingsHost, monkeypatch: pytest.MonkeyPatch, version: str, settings: dict[str, Any]) -> Any:
    host.instance["version"] = version
    new = json.dumps(settings) + "\n"
    old = xml(settings) + "\n"

    def answer(command: list[str], **_more: Any) -> tuple[int, str, str]:
        if "plugin_setting" in command[-1]:
            return 0, new, ""
        # What an upgrade leaves there is not what holds.
        stale = xml({**SETTINGS, "webSudoEnabled": False})
        found = (old if version.startswith("9") else stale) if "bandana" in command[-1] else "ON\n"
        return 0, found, ""

    monkeypatch.setattr(host, "run_command", answer)
    return host.judge(databases=[{"name": "confluence", **ACCOUNT}])[0]


CHANGES: list[tuple[str, dict[str, Any]]] = [
    ("DC-ADM-01", {"webSudoEnabled": False}),
    ("DC-ADM-01", {"webSudoTimeout": 600}),
    ("DC-AUT-07", {"denyPublicSignup": False}),
    ("DC-BRU-05", {"loginManagerSettings": {"enableElevatedSecurityCheck": False, "loginAttemptsThreshold": 3}}),
    ("DC-BRU-05", {"loginManagerSettings": {"enableElevatedSecurityCheck": True, "loginAttemptsThreshold": 300}}),
]
JUDGED = ("DC-ADM-01", "DC-AUT-07", "DC-BRU-05", "DC-RAT-01")


@pytest.mark.parametrize("version", ["9.2.19", "10.2.7"])
def test_settings_of_either_kind_of_version(host: SettingsHost, monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    found = judge(host, monkeypatch, version, SETTINGS)
    assert {found[control]["status"] for control in JUDGED} == {"pass"}
    for control, change in CHANGES:
        found = judge(host, monkeypatch, version, {**SETTINGS, **change})
        assert {name for name in JUDGED if found[name]["status"] == "fail"} == {control}


def test_what_is_not_named_there_is_not_known(host: SettingsHost, monkeypatch: pytest.MonkeyPatch) -> None:
    found = judge(host, monkeypatch, "10.2.7", {"webSudoTimeout": 10})
    assert found["DC-ADM-01"]["status"] == "not_checked"
    assert found["DC-BRU-05"]["status"] == "not_checked"


def test_without_an_address(host: SettingsHost, monkeypatch: pytest.MonkeyPatch) -> None:
    (host.home / "confluence.cfg.xml").unlink()
    found = judge(host, monkeypatch, "10.2.7", SETTINGS)
    assert "address of its database is not known" in found["DC-ADM-01"]["reason"]
