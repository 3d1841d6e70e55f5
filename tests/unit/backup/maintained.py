# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stands for a product that can be locked: its part of the protocol, as the vendor's own scripts use it."""

from __future__ import annotations

import json
import urllib.parse
from typing import Any

from ansible_collections.atlassian_dc.hardening.plugins.module_utils._rest import Answer, RestError

PROTOCOL = {
    "lock": "/mvc/maintenance/lock",
    "state": "/mvc/maintenance",
    "backups": "/mvc/admin/backups",
    "progress": "/mvc/admin/backups/progress/client",
    "header": "X-Atlassian-Maintenance-Token",
}
LOCK, CANCEL = "unlock-1234", "cancel-5678"


class Maintained:
    """The product.

    Attributes:
        locked: whether it is.
        backing_up: whether a backup was begun.
        polls: how often its state is asked until nothing is going on any more.
        trouble: by what is asked (``POST lock``), the answer that is given in the place of the right one: a status, a
            body, or an error of the network.

    """

    def __init__(self, polls: int = 2) -> None:
        self.locked = False
        self.backing_up = False
        self.polls = polls
        self.trouble: dict[str, Any] = {}
        self.asked: list[str] = []

    def __call__(self, method: str, url: str, headers: dict[str, str], _data: bytes | None) -> Answer:
        parts = urllib.parse.urlsplit(url)
        query = dict(urllib.parse.parse_qsl(parts.query))
        name = next(
            (name for name in ("progress", "lock", "backups", "state") if parts.path.startswith(PROTOCOL[name])), ""
        )
        what = f"{method} {name}"
        self.asked.append(what)
        if what in self.trouble:
            told = self.trouble[what]
            if isinstance(told, RestError):
                raise told
            return Answer(told, {}, b"{}") if isinstance(told, int) else self._json(told)
        if headers.get("Authorization") != "Bearer t0ken":
            return Answer(401)
        return self._answer(what, query, headers.get(PROTOCOL["header"]), parts.path)

    def _answer(self, what: str, query: dict[str, str], token: str | None, path: str) -> Answer:
        if what == "POST lock":
            if self.locked:
                return Answer(409)
            self.locked = True
            return self._json({"unlockToken": LOCK})
        if what == "DELETE lock":
            if not self.locked or query.get("token") != LOCK:
                return Answer(404)
            self.locked = self.backing_up = False
            return Answer(204)
        if what == "POST progress":
            return Answer(200) if self.locked and query["token"] == LOCK else Answer(409)
        if token != LOCK:
            return Answer(403)
        if what == "POST backups":
            self.backing_up = True
            return self._json({"cancelToken": CANCEL})
        if what == "DELETE backups":
            self.backing_up = not path.endswith(f"/{CANCEL}")
            return Answer(204)
        self.polls -= 1
        state = "DRAINED" if self.locked and self.polls < 0 else "LATCHED"
        return self._json({"task": {"state": "RUNNING"}, "db-state": state, "scm-state": state})

    @staticmethod
    def _json(told: Any) -> Answer:
        return Answer(200, {"content-type": "application/json"}, json.dumps(told).encode())
