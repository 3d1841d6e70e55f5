# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of fail2ban wherever it is set up: on hosts of products and on those of their proxies."""

from __future__ import annotations

import re

FOLDER = "/etc/fail2ban"
CLIENT = "fail2ban-client"
SERVICE = "fail2ban.service"

PATIENCE = 60
"""Seconds that a server may take until all of its jails run."""

HEADER = "# Written by atlassian_dc.hardening, role fail2ban. Change its variables, not this file.\n"


def jail_list(status: str) -> list[str]:
    """Return the names of the jails in the answer to ``status``."""
    match = re.search(r"Jail list:[ \t]*(.*)", status)
    return [name.strip() for name in match[1].split(",") if name.strip()] if match else []
