# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Print which ports of other hosts are open from this one, as JSON: a word for each port asked for, in their order.

Asked for are [address, protocol, port]; `open`: something answers, `closed`: the host says that nothing listens,
`filtered`: no answer.
"""

from __future__ import annotations

import asyncio
import json
import sys

SECONDS = 2.5
ATTEMPTS = 2
"""A packet may be lost, and a test machine may be busy."""
Port = tuple[str, str, int]


class Answer(asyncio.DatagramProtocol):
    """Waits for one datagram."""

    def __init__(self) -> None:
        self.said: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, addr: object) -> None:
        if not self.said.done():
            self.said.set_result("open")

    def error_received(self, exc: Exception) -> None:
        if not self.said.done():
            self.said.set_result("closed" if isinstance(exc, ConnectionRefusedError) else "filtered")


async def tcp(address: str, port: int) -> str:
    _reader, writer = await asyncio.open_connection(address, port)
    writer.close()
    return "open"


async def udp(address: str, port: int) -> str:
    loop = asyncio.get_running_loop()
    transport, answer = await loop.create_datagram_endpoint(Answer, remote_addr=(address, port))
    try:
        transport.sendto(b"anybody there?")
        return await answer.said
    finally:
        transport.close()


async def look(asked: Port) -> str:
    address, protocol, port = asked
    for _attempt in range(ATTEMPTS):
        try:
            return await asyncio.wait_for((tcp if protocol == "tcp" else udp)(address, port), SECONDS)
        except ConnectionRefusedError:
            return "closed"
        except OSError:  # no route, or nothing came back in time
            continue
    return "filtered"


async def main() -> None:
    print(json.dumps(await asyncio.gather(*map(look, json.loads(sys.argv[1])))))


asyncio.run(main())
