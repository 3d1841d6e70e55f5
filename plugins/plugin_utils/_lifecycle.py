# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a version of a product is supported, and whether it is free of known critical vulnerabilities."""

from __future__ import annotations

import datetime
from typing import Any

from ansible_collections.atlassian_dc.hardening.plugins.module_utils._versions import (
    VersionError,
    in_cycle,
    parse_version,
)
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._products import ProductDataError, product_data


class LifecycleError(ValueError):
    """A question that cannot be answered; says which part of it is wrong."""


def lifecycle(product: str, version: str, day: str | None = None) -> dict[str, Any]:
    """Return what product data tells of the release line of a version.

    Args:
        product: name of the product.
        version: the version.
        day: the day of interest, ``YYYY-MM-DD``; None leaves ``supported`` and ``days_left`` open.

    Raises:
        LifecycleError: the product, the version or the day is none, or nothing is known of the product's lines.

    """
    try:
        known = product_data(product).get("lifecycle")
        asked = parse_version(version)
    except (ProductDataError, VersionError) as exc:
        raise LifecycleError(str(exc)) from None
    if not known:
        raise LifecycleError(f"product data of {product} tells no release lines")
    lines: list[dict[str, Any]] = known["cycles"] or []
    line = next((entry for entry in lines if in_cycle(version, entry["cycle"])), {})
    ends = line.get("ends")
    asked_for = None if day is None else _date(day)
    days = (datetime.date.fromisoformat(ends) - asked_for).days if asked_for and ends else None
    safe, target = _safe(known["minimum_versions"], version, asked)
    return {
        "cycle": line.get("cycle"),
        "lts": line.get("lts"),
        "released": line.get("released"),
        "ends": ends,
        "days_left": days,
        "supported": None if days is None else days >= 0,
        "safe": safe,
        "upgrade_to": target.get("version") if safe is False else None,
        "because": target.get("because") if safe is False else None,
        "read": known["read"],
    }


def _safe(minimum: list[dict[str, str]] | None, version: str, asked: Any) -> tuple[bool | None, dict[str, str]]:
    """Say whether a version has no known critical vulnerability, None where nobody tells, and what to go to."""
    entries = sorted(minimum or [], key=lambda entry: parse_version(entry["version"]))
    for entry in entries:
        if in_cycle(version, entry["cycle"]):
            return asked >= parse_version(entry["version"]), entry
    # A line between those that were repaired has no repaired release; of newer ones nobody tells.
    above = next((entry for entry in entries if asked < parse_version(entry["version"])), None)
    return (False, above) if above else (None, {})


def _date(text: str) -> datetime.date:
    try:
        return datetime.datetime.strptime(text, "%Y-%m-%d").date()
    except (TypeError, ValueError):
        raise LifecycleError(f"{str(text)[:60]!r} is no day such as 2026-11-28") from None
