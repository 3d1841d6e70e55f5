# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the filters have in common: what they are given is checked, and what is wrong is told under their name."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._stored_config import without_secrets
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._products import ProductDataError


def told(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let a filter fail with its name and with what is wrong, whatever it was given."""

    @functools.wraps(function)
    def wrapper(*arguments: Any, **options: Any) -> Any:
        try:
            return function(*arguments, **options)
        except (TypeError, ValueError, ProductDataError) as exc:
            raise AnsibleFilterError(f"{function.__name__}: {exc}") from exc

    return wrapper


def text(value: Any, what: str = "the input") -> str:
    """Return a text that a filter was given.

    Raises:
        TypeError: it is none.

    """
    if not isinstance(value, str):
        raise TypeError(f"{what} must be text, found {type(value).__name__}")
    return value


def mapping(value: Any, what: str = "the input") -> Mapping[str, Any]:
    """Return a dictionary that a filter was given.

    Raises:
        TypeError: it is none.

    """
    if not isinstance(value, Mapping):
        raise TypeError(f"{what} must be a dictionary, found {type(value).__name__}")
    return value


def shown(settings: dict[str, Any], secrets: bool) -> dict[str, Any]:
    """Return settings as a filter does: with their secrets only where they are asked for."""
    return settings if secrets else dict(without_secrets(settings))
