# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Listen on ports given as PROTOCOL/PORT, over IPv4 and IPv6: a connection is kept, a datagram comes back.

To be run by a unit of systemd, which is told when all listen.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import threading

BOTH = socket.has_dualstack_ipv6()
FAMILY = socket.AF_INET6 if BOTH else socket.AF_INET


def keep(connection: socket.socket) -> None:
    with connection:
        while connection.recv(1024):
            pass


def tcp(port: int) -> threading.Thread:
    server = socket.create_server(("", port), family=FAMILY, backlog=64, dualstack_ipv6=BOTH)

    def serve() -> None:
        while True:
            threading.Thread(target=keep, args=(server.accept()[0],), daemon=True).start()

    return threading.Thread(target=serve)


def udp(port: int) -> threading.Thread:
    server = socket.socket(FAMILY, socket.SOCK_DGRAM)
    if BOTH:
        server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    server.bind(("", port))

    def serve() -> None:
        while True:
            server.sendto(*server.recvfrom(1024))

    return threading.Thread(target=serve)


for word in sys.argv[1:]:
    protocol, _slash, number = word.partition("/")
    (tcp if protocol == "tcp" else udp)(int(number)).start()
subprocess.run(["systemd-notify", "--ready"], check=True)
