# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A folder that looks like /proc, with sockets and the processes that hold them."""

from __future__ import annotations

import ipaddress
import struct
from pathlib import Path

TCP_HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
UDP_HEAD = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref\n"

FIB_TRIE = """Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 192.0.2.0/24 2 0 2
        |-- 192.0.2.0
           /24 link UNICAST
        |-- 192.0.2.10
           /32 host LOCAL
        |-- 192.0.2.255
           /32 link BROADCAST
     +-- 127.0.0.0/8 2 0 2
        |-- 127.0.0.1
           /32 host LOCAL
"""
IF_INET6 = """00000000000000000000000000000001 01 80 10 80       lo
20010db8000000000000000000000010 02 40 00 80     eth0
fe800000000000000000000000000010 02 40 20 80     eth0
"""
TRACKED_TCP = (
    "ipv4     2 tcp      6 431999 ESTABLISHED src=192.0.2.1 dst=192.0.2.10 sport=40000 dport=22 "
    "src=192.0.2.10 dst=192.0.2.1 sport=22 dport=40000 [ASSURED] mark=0 zone=0 use=2\n"
)


def kernel_address(address: str) -> str:
    """Return an address as the kernel's tables have it."""
    packed = ipaddress.ip_address(address).packed
    return "".join(f"{word:08X}" for word in struct.unpack(f"={len(packed) // 4}I", packed))


class FakeProc:
    """Builds a /proc, piece by piece; the host is 192.0.2.10 and 2001:db8::10, its first process systemd."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._inodes = 1000
        for name in ("tcp", "tcp6"):
            self.write(f"net/{name}", TCP_HEAD)
        for name in ("udp", "udp6"):
            self.write(f"net/{name}", UDP_HEAD)
        self.write("net/fib_trie", FIB_TRIE)
        self.write("net/if_inet6", IF_INET6)
        self.write("net/nf_conntrack", TRACKED_TCP)
        self.write("sys/net/ipv4/ip_local_port_range", "32768\t60999\n")
        self.write("sys/net/ipv4/ip_local_reserved_ports", "\n")
        self.process(1, "systemd", parent=0, cgroup="0::/init.scope\n", ticks=1)

    @property
    def path(self) -> str:
        return str(self.root)

    def write(self, name: str, content: str | bytes) -> None:
        place = self.root / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content.encode() if isinstance(content, str) else content)

    def append(self, name: str, line: str) -> None:
        with (self.root / name).open("a") as handle:
            handle.write(line)

    def process(
        self,
        pid: int,
        name: str,
        sockets: list[int] | None = None,
        parent: int = 1,
        cgroup: str | None = None,
        ticks: int | None = None,
        title: str = "",
        environment: dict[str, str] | None = None,
    ) -> int:
        """Add a process that holds sockets; return its number."""
        group = f"0::/system.slice/{name}.service\n" if cgroup is None else cgroup
        rest = " ".join(["0"] * 17)
        self.write(f"{pid}/stat", f"{pid} ({name}) S {parent} {rest} {pid if ticks is None else ticks} 0 0\n")
        self.write(f"{pid}/cgroup", group)
        self.write(f"{pid}/cmdline", title)
        self.write(f"{pid}/environ", "".join(f"{key}={value}\0" for key, value in (environment or {}).items()))
        folder = self.root / str(pid) / "fd"
        folder.mkdir()
        (folder / "0").symlink_to("/dev/null")
        for number, inode in enumerate(sockets or [], start=3):
            (folder / str(number)).symlink_to(f"socket:[{inode}]")
        return pid

    def socket(
        self,
        protocol: str,
        address: str,
        port: int,
        state: str,
        remote: str | None = None,
        remote_port: int = 0,
        uid: int = 0,
        inode: int | None = None,
    ) -> int:
        """Add a line to one of the tables; return the socket's inode."""
        if inode is None:
            self._inodes += 1
            inode = self._inodes
        v6 = ":" in address
        local, peer = kernel_address(address), kernel_address(remote or ("::" if v6 else "0.0.0.0"))
        tail = f"00000000:00000000 00:00000000 00000000 {uid:5d}        0 {inode} 1 00000000d03e69bf 100 0 0 10 0"
        name = protocol + ("6" if v6 else "")
        self.append(f"net/{name}", f"   0: {local}:{port:04X} {peer}:{remote_port:04X} {state} {tail}\n")
        return inode

    def listen(self, address: str, port: int, uid: int = 0, inode: int | None = None) -> int:
        return self.socket("tcp", address, port, "0A", uid=uid, inode=inode)

    def bind(self, address: str, port: int, uid: int = 0, inode: int | None = None) -> int:
        return self.socket("udp", address, port, "07", uid=uid, inode=inode)

    def connect(
        self, address: str, port: int, remote: str, remote_port: int, inode: int | None = None, protocol: str = "tcp"
    ) -> int:
        return self.socket(protocol, address, port, "01", remote, remote_port, inode=inode)
