#!/usr/bin/python
# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: gate
short_description: End a run with an error when its findings ask for it
version_added: 0.1.0
author:
  - the atlassian_dc.hardening contributors (@atlassian-dc-hardening)
description:
  - Runs on the controller, as the last task of a playbook.
  - Fails when a check itself broke (status C(error)), or when a control at or above O(fail_on) fails.
options:
  fail_on:
    description:
      - Lowest severity of a failing control that makes the run exit with an error.
      - Unset, failing controls do not.
    type: str
    choices: [low, medium, high, critical]
extends_documentation_fragment:
  - atlassian_dc.hardening.attributes.info_module
seealso:
  - plugin: atlassian_dc.hardening.ledger
    plugin_type: callback
"""

EXAMPLES = r"""
- name: End with an error if a control of severity high or critical fails
  atlassian_dc.hardening.gate:
    fail_on: high
  run_once: true
"""

RETURN = r"""
failing:
  description: The controls that made the run fail, as C(host/instance control reason).
  returned: always
  type: list
  elements: str
  sample: ["jira1/jira DC-USR-01: runs as root"]
"""
