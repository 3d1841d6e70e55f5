# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stands for what Bitbucket answers while it is locked for a backup, in the order of the vendor's own scripts.

Source: bitbucket-diy-backup, ``common.sh``, for paths, header, fields and order; statuses of refusals are ours. As a
program it answers at a port of the host itself, and keeps what it was asked in a file.
"""

from __future__ import annotations

import http.server
import json
import os
import sys
import time
import urllib.parse
from typing import Any

LOCK, STATE, BACKUPS = "/mvc/maintenance/lock", "/mvc/maintenance", "/mvc/admin/backups"
PROGRESS = f"{BACKUPS}/progress/client"
HEADER = "X-Atlassian-Maintenance-Token"
UNLOCK_TOKEN, CANCEL_TOKEN = "unlock-1234", "cancel-5678"
NAMES = {PROGRESS: "progress", LOCK: "lock", BACKUPS: "backups", STATE: "state"}


class Maintenance:
    """The product, as far as locking it goes.

    Args:
        login: value of the header with which one logs in.
        polls: how often its state is asked until nothing is going on any more.

    """

    def __init__(self, login: str, polls: int) -> None:
        self.login = login
        self.polls = polls
        self.locked = False
        self.backing_up = False
        self.asked: list[str] = []

    @staticmethod
    def name_of(method: str, path: str) -> str:
        """Return what is asked, in two words."""
        return f"{method} {next((name for start, name in NAMES.items() if path.startswith(start)), path)}"

    def answer(self, method: str, url: str, headers: dict[str, str]) -> tuple[int, Any]:
        """Return status and body of the answer to a request."""
        parts = urllib.parse.urlsplit(url)
        query = dict(urllib.parse.parse_qsl(parts.query))
        what = self.name_of(method, parts.path)
        self.asked.append(what)
        if headers.get("Authorization") != self.login:
            return 401, None
        if what == "POST lock":
            if self.locked:
                return 409, None
            self.locked = True
            return 200, {"unlockToken": UNLOCK_TOKEN}
        if what == "DELETE lock":
            if not self.locked or query.get("token") != UNLOCK_TOKEN:
                return 404, None
            self.locked = self.backing_up = False
            return 204, None
        if what == "POST progress":
            return (200, None) if self.locked and query.get("token") == UNLOCK_TOKEN else (409, None)
        if headers.get(HEADER) != UNLOCK_TOKEN:
            return 403, None
        if what == "POST backups":
            self.backing_up = True
            return 200, {"cancelToken": CANCEL_TOKEN}
        if what == "DELETE backups":
            self.backing_up = not parts.path.endswith(f"/{CANCEL_TOKEN}")
            return 204, None
        self.polls -= 1
        state = "DRAINED" if self.locked and self.polls < 0 else "LATCHED"
        return 200, {"task": {"state": "RUNNING"}, "db-state": state, "scm-state": state}


def serve(port: int, login: str, polls: int, path: str) -> None:
    """Answer at a port of the host itself until the end.

    Args:
        port: the port.
        login: as for the class.
        polls: as for the class; as often for each lock.
        path: file that is told of each request, and whether the product is locked. What another one with `.hold` after
            its name names is answered once that one is gone.

    """
    product = Maintenance(login, polls)

    def held() -> str:
        try:
            with open(f"{path}.hold", encoding="utf-8") as stream:
                return stream.read().strip()
        except FileNotFoundError:
            return ""

    class Handler(http.server.BaseHTTPRequestHandler):
        def _answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, told = product.answer(self.command, self.path, dict(self.headers))
            if not product.locked:
                product.polls = polls
            with open(f"{path}.new", "w", encoding="utf-8") as stream:
                json.dump({"locked": product.locked, "asked": product.asked}, stream)
            os.replace(f"{path}.new", path)
            while held() == product.name_of(self.command, self.path):
                time.sleep(0.02)
            body = b"" if told is None else json.dumps(told).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    for method in ("GET", "POST", "DELETE"):
        setattr(Handler, f"do_{method}", Handler._answer)
    http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


if __name__ == "__main__":
    serve(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4])
