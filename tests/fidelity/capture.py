# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs on a host: prints how many bytes come in for a TCP port, and whether a word is among them: `PORT WORD FILE`.

It makes the file once it looks, and does so until somebody removes it.
"""

from __future__ import annotations

import socket
import sys
from pathlib import Path

port, word, looking = int(sys.argv[1]), sys.argv[2].encode(), Path(sys.argv[3])
EVERY_PROTOCOL = 0x0003
everything = b""
with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(EVERY_PROTOCOL)) as sniffer:
    sniffer.settimeout(0.5)
    looking.touch()
    while looking.exists():
        try:
            packet = sniffer.recv(65535)
        except TimeoutError:
            continue
        header = (packet[0] & 15) * 4
        is_tcp = packet[0] >> 4 == 4 and packet[9] == socket.IPPROTO_TCP
        if is_tcp and int.from_bytes(packet[header + 2 : header + 4], "big") == port:
            everything += packet[header + (packet[header + 12] >> 4) * 4 :]
print(len(everything), word in everything)
