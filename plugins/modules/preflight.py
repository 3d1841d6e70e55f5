#!/usr/bin/python
# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: preflight
short_description: Check all variables and files of a run before any host is touched
version_added: 0.1.0
author:
  - the atlassian_dc.hardening contributors (@atlassian-dc-hardening)
description:
  - Runs on the controller, once for all targeted hosts, and connects to none of them.
  - Checks every variable whose name starts with C(atlassian_dc_) against the argument specifications of all roles, and
    names misspelt ones with the name that was probably meant.
  - Checks the waivers and attestations files, control ids in C(atlassian_dc_skip_controls) and in C(--tags), and that
    the report can be written.
  - Lists every problem found, not only the first.
options: {}
extends_documentation_fragment:
  - atlassian_dc.hardening.attributes.info_module
"""

EXAMPLES = r"""
- name: Check the variables of all hosts
  atlassian_dc.hardening.preflight:
  run_once: true
"""

RETURN = r"""
problems:
  description: What has to be put right before a run can start.
  returned: always
  type: list
  elements: str
  sample: ["jira1: unknown variable 'atlassian_dc_admin_network'; did you mean 'atlassian_dc_admin_networks'?"]
"""
