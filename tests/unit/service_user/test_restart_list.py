# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which products are restarted: those for which a module of any role says that a change waits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

try:
    from ansible.template import trust_as_template
except ImportError:  # ansible-core 2.18 trusts every text

    def trust_as_template(value: str) -> str:
        return value


CHECKOUT = Path(__file__).resolve().parents[3]
INSTANCES = [{"name": name} for name in ("bamboo", "crowd", "jira")]


def resolved(name: str, **registered: list[str]) -> list[str]:
    """Return names from a variable of role service_user, in the play that restarts."""
    loader = DataLoader()
    texts = dict(loader.load_from_file(str(CHECKOUT / "roles/service_user/vars/main.yml")))
    for task in loader.load_from_file(str(CHECKOUT / "playbooks/harden.yml"))[2]["tasks"]:
        texts.update(task.get("vars", {}))
    variables: dict[str, Any] = {
        key: trust_as_template(text) if isinstance(text, str) else text for key, text in texts.items()
    }
    variables.update({f"_atlassian_dc_{key}": {"restart_pending": value} for key, value in registered.items()})
    variables["ansible_facts"] = {"atlassian_dc": {"instances": INSTANCES}}
    found: Any = Templar(loader=loader, variables=variables).template(variables[f"_atlassian_dc_service_user_{name}"])
    return sorted(item["name"] if isinstance(item, dict) else item for item in found)


@pytest.mark.parametrize(
    ("registered", "names"),
    [
        ({}, []),
        ({"service_user_unit": ["jira"]}, ["jira"]),
        ({"service_user_account": ["crowd"], "service_user_unit": ["jira"]}, ["crowd", "jira"]),
        ({"fail2ban_login_logging": ["bamboo"]}, ["bamboo"]),
        ({"fail2ban_login_logging": ["bamboo"], "product_settings_asked": ["jira"]}, ["bamboo", "jira"]),
        ({"fail2ban_login_logging": ["jira"], "service_user_unit": ["jira"]}, ["jira"]),
        ({"fail2ban_login_logging": [], "service_user_unit": []}, []),
    ],
)
def test_whatever_waits_is_restarted_once(registered: dict[str, list[str]], names: list[str]) -> None:
    assert resolved("waiting", **registered) == names
    assert resolved("affected", **registered) == names
