# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guard: only the controller can prove that a new connection is let in by new rules."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleConnectionFailure
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._firewall_rules import ANY, GROUPS
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._addresses import WORDS, Resolver
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._collection import PROXY_HOSTS
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._control_action import ControlAction
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._selection import as_list

LISTS = {"admin": "admin_networks", "proxies": "proxy_addresses", "peers": "cluster_peers"}
"""Options that are lists of addresses, by the word for them where they are called otherwise."""
NESTED = {"services": "from", "closed": "from", "outbound": "to"}
"""Options that are lists of entries with such a list, and its key."""

OVER_THE_NETWORK = frozenset(("ssh", "paramiko", "paramiko_ssh", "ansible.netcommon.libssh"))
"""Connections that a firewall of the host can cut."""

MARGIN = 5
"""Seconds after which rules that were not confirmed are put back for sure."""

ATTEMPTS = 3
"""How often a host is tried to reach after that, before it counts as unreachable."""

SSH_PORT = 22


class ActionModule(ControlAction):
    """Lets the module judge, load rules and, over a new connection, confirm them."""

    def module_arguments(self, task_vars: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments of the module, names replaced by addresses."""
        arguments = super().module_arguments(task_vars)
        resolver = Resolver.of(task_vars)
        for word, variable in GROUPS.items():
            option = LISTS.get(word, word)
            if arguments.get(option) is not None:
                arguments[option] = resolver.addresses(variable, as_list(arguments[option]), (ANY,))
        for option, key in NESTED.items():
            if isinstance(arguments.get(option), list):
                variable = f"atlassian_dc_firewall_{option}"
                arguments[option] = [
                    {**entry, key: resolver.addresses(variable, as_list(entry[key]), WORDS)}
                    if isinstance(entry, dict) and entry.get(key) is not None
                    else entry
                    for entry in arguments[option]
                ]
        told_by = told_to_ban_by(task_vars["hostvars"], task_vars["inventory_hostname"])
        if told_by:
            # They come over SSH, which otherwise only administrators may reach.
            port = str(task_vars.get("ansible_port") or SSH_PORT)
            relay = {"name": "ban relay", "ports": [port], "from": resolver.addresses(PROXY_HOSTS, told_by)}
            arguments["services"] = [*(arguments.get("services") or ()), relay]
        arguments.setdefault("unresolved", resolver.unresolved)
        arguments.setdefault("remote", self._connection.transport in OVER_THE_NETWORK)
        return arguments

    def execute(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Judge; then, where it is due and nothing is against it, load rules and confirm them."""

        def run(phase: str, **more: Any) -> dict[str, Any]:
            return super(ActionModule, self).execute({**arguments, "phase": phase, **more}, task_vars)

        judged = run("judge")
        if self._task.check_mode or judged.get("outcome") != "due":
            return judged
        token, seconds = secrets.token_hex(8), int(judged["confirm_timeout"])
        try:
            loaded = run("load", token=token)
        except AnsibleConnectionFailure as exc:
            return self._restored(run, seconds, f"the connection broke while they were loaded: {exc}")
        if loaded.get("failed") or loaded.get("outcome") != "loaded":
            return loaded
        end = time.monotonic() + seconds
        why = "no new connection was tried"
        while time.monotonic() < end:
            try:
                self._connection.reset()
                confirmed = run("confirm", token=token, loaded_over=loaded["connection"])
            except AnsibleConnectionFailure as exc:
                why = str(exc)
                time.sleep(1)
                continue
            if confirmed.get("outcome") == "confirmed":
                return _joined(loaded, confirmed)
            return self._restored(run, end - time.monotonic(), str(confirmed.get("msg") or "no message"))
        return self._restored(run, end - time.monotonic(), f"no new connection within {seconds} seconds: {why}")

    def _restored(self, run: Any, seconds: float, why: str) -> dict[str, Any]:
        """Wait until the host has put the rules before back, and judge again."""
        time.sleep(max(seconds, 0) + MARGIN)
        for _attempt in range(ATTEMPTS - 1):
            with contextlib.suppress(AnsibleConnectionFailure):
                self._connection.reset()
                return {**run("judge", setback=why), "outcome": "restored"}
            time.sleep(MARGIN)
        self._connection.reset()
        return {**run("judge", setback=why), "outcome": "restored"}


def told_to_ban_by(hostvars: Mapping[str, Mapping[str, Any]], host: str) -> list[str]:
    """Return the hosts of the inventory that have a reverse proxy on this one, and tell it whom to ban.

    Args:
        hostvars: variables of all hosts of the inventory.
        host: this one.

    """
    return [name for name in hostvars if name != host and host in as_list(hostvars[name].get(PROXY_HOSTS))]


def _joined(loaded: dict[str, Any], confirmed: dict[str, Any]) -> dict[str, Any]:
    """Return what both executions have changed as the result of one."""
    return {
        **loaded,
        "outcome": confirmed["outcome"],
        "connection": confirmed["connection"],
        "changed": loaded["changed"] or confirmed["changed"],
        "dc_changes": loaded["dc_changes"] + confirmed["dc_changes"],
        "diff": loaded["diff"] + confirmed["diff"],
    }
