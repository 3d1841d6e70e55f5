# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stand-in for a product that can be locked, asked without a network, and what may go wrong with it."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.atlassian_dc.hardening.plugins.module_utils._rest import Answer, RestError
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._products import product_data
from maintenance import CANCEL_TOKEN, UNLOCK_TOKEN, Maintenance

PROTOCOL: dict[str, str] = product_data("bitbucket")["backup"]["maintenance"]
LOCK, CANCEL = UNLOCK_TOKEN, CANCEL_TOKEN


class Maintained(Maintenance):
    """The product.

    Attributes:
        trouble: by what is asked (``POST lock``), the answer that is given in the place of the right one: a status, a
            body, or an error of the network.

    """

    def __init__(self, polls: int = 2) -> None:
        super().__init__("Bearer t0ken", polls)
        self.trouble: dict[str, Any] = {}

    def __call__(self, method: str, url: str, headers: dict[str, str], _data: bytes | None) -> Answer:
        what = self.name_of(method, urlsplit(url).path)
        if what in self.trouble:
            self.asked.append(what)
            told = self.trouble[what]
            if isinstance(told, RestError):
                raise told
            return self._answer(told if isinstance(told, int) else 200, None if isinstance(told, int) else told)
        return self._answer(*self.answer(method, url, headers))

    @staticmethod
    def _answer(status: int, told: Any) -> Answer:
        return Answer(status, {"content-type": "application/json"}, b"" if told is None else json.dumps(told).encode())
