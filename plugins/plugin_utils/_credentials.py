# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logins to products that stand in the environment of the controller, where ``atlassian_dc_credentials`` names none."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

VARIABLE = "atlassian_dc_credentials"
KEYS = ("token", "username", "password")


def environment_name(name: str, key: str) -> str:
    """Return the variable of the environment that holds a part of the login to an instance or product."""
    return f"ATLASSIAN_DC_{re.sub('[^A-Za-z0-9]', '_', name)}_{key}".upper()


def from_environment(
    instances: Iterable[Any], environment: Mapping[str, str] | None = None
) -> dict[str, dict[str, str]]:
    """Return the logins that the environment has for instances, by name of the instance or product.

    Args:
        instances: as discovery describes them.
        environment: variables, those of this process by default; empty ones are not set.

    """
    variables = os.environ if environment is None else environment
    known = [instance for instance in instances if isinstance(instance, Mapping)]
    names = dict.fromkeys(str(instance[key]) for instance in known for key in ("name", "product") if instance.get(key))
    found = {}
    for name in names:
        entry = {key: value for key in KEYS if (value := variables.get(environment_name(name, key)))}
        # A name alone logs nobody in.
        if "token" in entry or {"username", "password"} <= set(entry):
            found[name] = entry
    return found
