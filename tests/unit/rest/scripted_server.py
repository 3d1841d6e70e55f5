# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A web server that answers as it is told, however wrong."""

from __future__ import annotations

import contextlib
import http.server
import json
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

PATIENCE = 5
"""Seconds after which a client of the tests gives up."""


class Scripted:
    """What it answers, by method and path, and what it was asked."""

    def __init__(self) -> None:
        self.answers: dict[str, list[Any]] = {}
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []
        self.url = ""
        self.on("GET /status", {"state": "RUNNING"})

    def on(self, what: str, *answers: Any) -> None:
        """Answer a request with these, the last one for ever.

        An answer is a body, a tuple of status, headers and body, or a function that writes to the connection itself.
        """
        self.answers[what] = list(answers)

    def paths(self) -> list[str]:
        """Return what it was asked, the status page left out."""
        return [f"{method} {path}" for method, path, _headers, _body in self.asked if path != "/status"]

    def reply(self, what: str) -> Any:
        """Return the next answer."""
        known = self.answers.get(what)
        if known is None:
            return (404, {}, {"message": "null for uri"})
        return known.pop(0) if len(known) > 1 else known[0]


@contextlib.contextmanager
def scripted_server(certificate: Path | None = None) -> Iterator[Scripted]:
    """Run one on a port of the loopback interface, with TLS where there is a certificate, in a file with its key."""
    script = Scripted()

    class Handler(http.server.BaseHTTPRequestHandler):
        timeout = PATIENCE

        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            headers = {key.lower(): value for key, value in self.headers.items()}
            script.asked.append((self.command, self.path, headers, self.rfile.read(length)))
            reply = script.reply(f"{self.command} {self.path.partition('?')[0]}")
            if isinstance(reply, Callable):  # type: ignore[arg-type]
                with contextlib.suppress(OSError):
                    reply(self)
                return
            status, more, body = reply if isinstance(reply, tuple) else (200, {}, reply)
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            for key, value in {"Content-Type": "application/json", "Content-Length": str(len(data)), **more}.items():
                self.send_header(key, value)
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(data)

        def __getattr__(self, name: str) -> Any:
            if name.startswith("do_"):
                return self._answer
            raise AttributeError(name)

        def log_message(self, *_arguments: Any) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    script.url = f"http{'s' if certificate else ''}://127.0.0.1:{server.server_address[1]}"
    try:
        yield script
    finally:
        server.shutdown()
        server.server_close()
        thread.join(PATIENCE)
