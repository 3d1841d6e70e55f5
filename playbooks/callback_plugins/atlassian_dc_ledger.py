# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Loads the ledger for the playbooks of this folder, without any configuration."""

from __future__ import annotations

from ansible_collections.atlassian_dc.hardening.plugins.callback.ledger import DOCUMENTATION as LEDGER_DOCUMENTATION
from ansible_collections.atlassian_dc.hardening.plugins.callback.ledger import CallbackModule as Ledger

DOCUMENTATION = LEDGER_DOCUMENTATION


class CallbackModule(Ledger):
    """The ledger, needing no entry in callbacks_enabled."""

    CALLBACK_NEEDS_ENABLED = False
