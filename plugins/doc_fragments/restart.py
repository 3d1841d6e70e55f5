# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """Option of every module whose changes may wait for a restart."""

    DOCUMENTATION = r"""
options:
  restart_allowed:
    description:
      - Whether the same run goes on to restart the products. Only what check mode predicts depends on it.
    type: bool
    default: false
"""
