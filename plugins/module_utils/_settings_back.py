# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts settings of products back that a run has written, as the record of the run tells them."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from ansible_collections.atlassian_dc.hardening.plugins.module_utils._rest import RestError
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._settings_places import Product
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._settings_values import Reading, shown, written


def write_setting(product: Product, entry: Mapping[str, Any], value: Any) -> Reading:
    """Write a value and return what is read afterwards.

    Raises:
        RestError: the product refused.

    """
    how = entry["write"]
    if "pointer" in how:
        # The product takes all of a resource or nothing: what is read is sent back with one value changed.
        body = copy.deepcopy(product.client.get(how["path"], fresh=True))
        place = body
        for key in how["pointer"][:-1]:
            place = place[key]
        place[how["pointer"][-1]] = written(how["value"], entry["type"], value)
    else:
        body = written(how["body"], entry["type"], value)
    product.client.write(how["method"], how["path"], body, bool(how.get("websudo")))
    return product.read(entry)[0]


class SettingsBack:
    """Puts settings back.

    Args:
        products: the instances, by name.
        check_mode: say what would be put back, change nothing.

    """

    def __init__(self, products: Mapping[str, Product], check_mode: bool) -> None:
        self._products = products
        self._check_mode = check_mode

    def __call__(self, line: Mapping[str, Any]) -> str | None:
        """Put the setting of a line of the record back; return why it stays as it is.

        Returns:
            The reason; "" where it is put back, None where it is as it was before the run.

        """
        before = f"it was {shown(line['before'])}"
        product = self._products.get(line["instance"])
        entries = (product.data or {}).get("settings") or [] if product is not None else []
        entry = next((entry for entry in entries if entry["name"] == line["setting"] and "write" in entry), None)
        if product is None or entry is None:
            return f"there is no such instance, or it cannot be written any more; {before}"
        found = product.read(entry)[0]
        if found.known and found.value == line["before"]:
            return None
        if not found.known:
            return f"{found.why}; {before}"
        if found.value != line["after"]:
            return f"somebody has changed it since, it is {shown(found.value)}; {before}"
        if self._check_mode:
            return ""
        try:
            again = write_setting(product, entry, line["before"])
        except RestError as exc:
            return f"{exc}; {before}"
        return "" if again.value == line["before"] else f"it was written and is {shown(again.value)} still; {before}"
