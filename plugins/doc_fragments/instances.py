# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """Option of every module that works on the products discovery has found."""

    DOCUMENTATION = r"""
options:
  instances:
    description:
      - The instances to work on, as C(ansible_facts.atlassian_dc.instances) lists them.
    type: list
    elements: dict
    required: true
"""
