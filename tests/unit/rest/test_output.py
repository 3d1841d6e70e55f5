# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All modules that ask products, run by Ansible: what they return, and that no output holds a credential."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import packed
import pytest
from unit.rest.scripted_server import scripted_server
from unit.rest.settings_host import AUDIT, WANTED, SettingsHost

CHECKOUT = Path(__file__).resolve().parents[3]
PLAY: list[dict[str, Any]] = [
    {
        "name": "Ask a product",
        "hosts": "all",
        "gather_facts": False,
        "check_mode": True,
        "tasks": [
            {"name": "Find", "fake": {"returns": {"dc_instances": ["{{ instance }}"]}}},
            {"name": "Settings", "atlassian_dc.hardening.product_settings_info": {}},
            {
                "name": "Judge",
                "atlassian_dc.hardening.product_settings": {"wanted": WANTED, "write": list(WANTED)},
                "register": "judged",
                "tags": ["DC-LOG-01", "DC-LOG-02"],
            },
            {
                "name": "Accounts",
                "atlassian_dc.hardening.product_accounts_info": {"rejected": "{{ judged.rejected }}"},
                "tags": ["DC-ADM-03"],
            },
            {"name": "Apps", "atlassian_dc.hardening.product_apps_info": {}},
        ],
    }
]


def run(folder: Path, instance: dict[str, Any], credentials: dict[str, Any], **environment: str) -> str:
    """Run the play in check mode with all output there is; return that output."""
    defaults = {"instances": [instance], "credentials": "{{ given }}", "timeout": 5}
    play = [{**PLAY[0], "module_defaults": {"group/atlassian_dc.hardening.products": defaults}}]
    (folder / "play.yml").write_text(json.dumps(play))
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    (folder / "inventory.json").write_text(json.dumps({"all": {"hosts": {"h1": local}}}))
    (folder / "secrets.json").write_text(json.dumps({"given": credentials, "instance": instance}))
    given = json.dumps({"atlassian_dc_credentials": {"set": True}})
    command = [sys.executable, "-m", "ansible", "playbook", "-i", "inventory.json", "-e", "@secrets.json", "-e", given]
    done = subprocess.run(
        [*command, "-vvvv", "--diff", "play.yml"],
        cwd=folder,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            "ANSIBLE_COLLECTIONS_PATH": str(CHECKOUT / ".collections"),
            "ANSIBLE_CALLBACKS_ENABLED": "atlassian_dc.hardening.ledger",
            "ANSIBLE_LIBRARY": str(CHECKOUT / "tests/unit/ledger/library"),
            "ANSIBLE_LOG_PATH": str(folder / "log"),
            **packed.environment(),
            **environment,
        },
        text=True,
        capture_output=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    reports = [path.read_text(encoding="utf-8") for path in (folder / "atlassian-dc-report").glob("report.*")]
    assert reports
    return "".join([done.stdout, done.stderr, (folder / "log").read_text(encoding="utf-8"), *reports])


@pytest.mark.parametrize("outcome", ["accepted", "accepted from the environment", "refused", "broken"])
def test_no_output_holds_a_credential(tmp_path: Path, outcome: str) -> None:
    token, password = "tOkEn-0f-tHe-tEsT", "pAsSwOrD-0f-tHe-tEsT"
    with scripted_server() as server:
        host = SettingsHost(tmp_path / "host", server)
        host.instance["home_dir"] = str(host.home)
        host.answers[f"{AUDIT}/denylist"]["actions"] = ["hidden"]
        server.on("GET /rest/api/2/group/member", {"values": [{"name": "administrator"}], "isLast": True})
        server.on("GET /rest/plugins/1.0/", {"plugins": [{"key": "com.example"}]})
        answer: Any = {"refused": (401, {}, {}), "broken": (500, {}, b"<html>" + token.encode())}.get(outcome)
        for path in host.answers if answer else ():
            server.on(f"GET {path}", answer)
        entry = {"token": token, "username": "administrator", "password": password}
        if "environment" in outcome:
            told = run(
                tmp_path,
                host.instance,
                {},
                **{f"ATLASSIAN_DC_DESK_{key.upper()}": value for key, value in entry.items()},
            )
        else:
            told = run(tmp_path, host.instance, {"jira": entry})
        assert server.paths()
    for secret in (token, password, "QWRtaW5", "YWRtaW5pc3RyYXRvcjpwQXNT"):
        assert secret not in told
    controls = json.loads((tmp_path / "atlassian-dc-report/report.json").read_text())["hosts"]["h1"]["controls"]
    reasons = {entry["id"]: entry["reason"] for entry in controls if entry["instance"] == "desk"}
    assert reasons["DC-LOG-02"]
    # The task before has found out whether the login is right.
    word = "refused before in this run" if outcome == "refused" else "atlassian_dc_product_settings_admin_groups"
    assert word in reasons["DC-ADM-03"]
    if outcome.startswith("accepted"):
        assert "hidden" in told
        assert "com.example" in told
        assert "member of jira-administrators" not in told  # one is few
        assert "administrator" in told  # names of accounts are no secrets
    else:
        assert "does not accept the login" in told or "status 500" in told
