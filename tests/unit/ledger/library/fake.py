# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A module that returns what a test tells it to return."""

from __future__ import annotations

from ansible.module_utils.basic import AnsibleModule


def main() -> None:
    module = AnsibleModule({"returns": {"type": "dict", "required": True}}, supports_check_mode=True)
    answer = module.params["returns"]
    if answer.get("failed"):
        module.fail_json(**answer)
    module.exit_json(**{"changed": False, **answer})


if __name__ == "__main__":
    main()
