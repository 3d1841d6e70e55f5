# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """Options of every module that judges controls of the catalogue."""

    DOCUMENTATION = r"""
options:
  controls:
    description:
      - Ids of the controls to judge, such as V(DC-DIR-01). Others are neither judged nor put right.
      - Filled in from the task's tags, the tags selected for the run and C(atlassian_dc_skip_controls); all
        controls the module knows when it is used by itself.
    type: list
    elements: str
  enforce:
    description:
      - Ids of the controls that a real run may put right. One that is judged but not listed here is only reported.
      - Filled in from the waivers and the variables each control needs; the same as O(controls) when the module is
        used by itself.
    type: list
    elements: str
"""
