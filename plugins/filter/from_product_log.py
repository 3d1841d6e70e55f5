# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: from_product_log
short_description: Turn lines of a log of a product into events
version_added: 0.5.0
author:
  - the atlassian_dc.hardening contributors (@atlassian-dc-hardening)
description:
  - How the lines look is product data; the name of the file tells which log it is.
  - Known are the access logs, the audit logs in JSON, and those to which failed logins are written.
  - Lines without a time of their own belong to the event before them.
positional: _input, product, file
options:
  _input:
    description: The log, or a list of its lines.
    type: raw
    required: true
  product:
    description: Name of the product.
    type: str
    required: true
  file:
    description: Name or path of the file.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Who could not log in
  ansible.builtin.assert:
    that:
      - events | length == 1
      - events[0].event == 'login_failed'
      - events[0].name == 'admin'
      - events[0].addresses == '198.51.100.7,192.0.2.80'
  vars:
    events: "{{ lines | atlassian_dc.hardening.from_product_log('jira', 'atlassian-jira-security.log') }}"
    lines:
      - >-
        2026-06-09 05:11:11,681+0000 http-nio-8080-exec-17 anonymous 311x2831x1 1qvu69a 198.51.100.7,192.0.2.80
        /login.jsp The user 'admin' has FAILED authentication.  Failure count equals 1
"""

RETURN = r"""
_value:
  description: The events in their order. What a line does not tell is left out.
  type: list
  elements: dict
  contains:
    line:
      description: Number of the first line.
      type: int
    event:
      description: V(login_failed), V(login_succeeded), V(locked_out), or V(null).
      type: str
    time:
      description: The time as it is written; in audit logs seconds since 1970.
      type: raw
    name:
      description: Who logged in or tried to, as it was typed.
      type: str
    addresses:
      description: Addresses as the product writes them. What a client sent comes first, so believe the last ones.
      type: str
    objects:
      description: In audit logs names of what an entry is about, such as a group and its new member.
      type: list
      elements: str
    changes:
      description: In audit logs what has changed, C(from) what C(to) what.
      type: list
      elements: dict
    attributes:
      description: In audit logs further attributes of an entry, by name.
      type: dict
    more:
      description: Further lines of it.
      type: list
      elements: str
    text:
      description: The line, where nothing can be said of it. Other keys are the columns of the log.
      type: str
"""

import fnmatch
import os
from collections.abc import Callable
from typing import Any

from ansible_collections.atlassian_dc.hardening.plugins.module_utils._product_logs import parse_log
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._filters import text, told
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._products import product_data


@told
def from_product_log(value: Any, product: Any, file: Any) -> list[dict[str, Any]]:
    """Return the events of a log."""
    data = product_data(text(product, "product"))
    name = os.path.basename(text(file, "file"))
    logs = [log for log in data.get("logs") or [] if fnmatch.fnmatchcase(name, os.path.basename(log["path"]))]
    if not logs:
        names = sorted({os.path.basename(log["path"]) for log in data.get("logs") or []})
        raise ValueError(f"{product} has no log {name[:100]!r}; known are {', '.join(names)}")
    whole = "\n".join(text(line, "each line") for line in value) if isinstance(value, list) else text(value)
    try:
        return parse_log(whole, (data.get("log_formats") or {}).get(logs[0]["format"]) or {})
    except ValueError as exc:
        raise ValueError(f"{name[:100]}: {exc}") from exc


class FilterModule:
    """The filter."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter by its name."""
        return {"from_product_log": from_product_log}
