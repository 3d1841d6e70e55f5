# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What listens on a host, who is connected to it, and over which SSH connection we are here: all from ``/proc``.

Only the network namespace of the calling process is looked at, which is the one whose firewall it would change.

What ``/proc`` does not tell, and what is assumed therefore:

- Whether a socket on ``::`` takes IPv4 as well. It does, unless its program asked for IPv6 only; so it is taken to.
- Whether a UDP socket is there to be asked or to ask. One in the range of ports that the kernel hands out
  (``ip_local_port_range`` without ``ip_local_reserved_ports``) is a client's and left out, unless the kernel itself
  holds it, as it does WireGuard's usual port.
- Who is connected over UDP. That is read from the table of the connection tracker, where the kernel shows one
  and some rule of the host's makes it track connections.
- Which socket unit a socket belongs to that systemd holds for a service not yet started: asked from ``systemctl``.

Processes end and sockets close while they are looked at, and processes choose their own names: no name is trusted
for more than a label, except together with the account that opened the socket.
"""

from __future__ import annotations

import ipaddress
import os
import re
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice
from typing import Callable, NamedTuple, Union

from ansible_collections.atlassian_dc.hardening.plugins.module_utils._discovery_parse import parse_environment
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._findings import plural
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._systemd import (
    ProcessStat,
    parse_show,
    process_stat,
    process_unit,
)

Address = Union[ipaddress.IPv4Address, ipaddress.IPv6Address]
RunCommand = Callable[..., "tuple[int, str, str]"]

KERNEL = "kernel"
"""Process of a socket that no process holds (NFS, WireGuard)."""

UNKNOWN = "unknown"
"""Process of a socket whose holder could not be seen."""

SYSTEMD = "systemd"

SSH_SERVERS = ("sshd", "dropbear")
SSH_UNITS = re.compile(r"(sshd?|dropbear)(@.*)?\.socket")
"""Socket units that start an SSH server."""

MAX_LINES = 1_000_000
"""Most lines of one table that are looked at."""

MAX_BYTES = 4 * 1024 * 1024
"""Most bytes of one process's environment or title."""

MAX_ANCESTORS = 100

# Only what is needed of the states in the kernel's include/net/tcp_states.h.
_ESTABLISHED, _UDP_BOUND, _TCP_LISTENS = "01", "07", "0A"
_LINE = re.compile(
    r"\s*[0-9]+: (?P<local>[0-9A-F]{8}|[0-9A-F]{32}):(?P<port>[0-9A-F]{4})"
    r" (?P<remote>[0-9A-F]{8}|[0-9A-F]{32}):(?P<remote_port>[0-9A-F]{4})"
    r" (?P<state>[0-9A-F]{2}) [0-9A-F:]+ [0-9A-F:]+ [0-9A-F]+ +(?P<uid>[0-9]{1,10}) +[0-9]+ (?P<inode>[0-9]{1,20})\b"
)
_TRACKED = re.compile(r"\b(src|dst|sport|dport)=(\S+)")
_LISTEN_OF_UNIT = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+)):([0-9]{1,5})(?:%\S+)? \((Stream|Datagram)\)")

_PRIVATE = [
    ipaddress.ip_network(network)
    for network in (
        *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16"),
        *("fc00::/7", "fe80::/10"),
    )
]
"""RFC 1918, 6598 and 3927; RFC 4193 and 4291. A list of our own, for Python's changes from version to version."""


def scope_of(address: str) -> str:
    """Return who can reach an address: ``loopback``, ``wildcard``, ``private`` or ``public``."""
    parsed = ipaddress.ip_address(address)
    if parsed.is_unspecified:
        return "wildcard"
    if parsed.is_loopback:
        return "loopback"
    return "private" if any(parsed in network for network in _PRIVATE) else "public"


@dataclass(frozen=True)
class Listener:
    """A TCP socket that listens, or a UDP socket that is bound and not connected."""

    protocol: str
    address: str
    port: int
    pid: int | None
    process: str
    unit: str | None
    uid: int = 0
    """Account that opened it."""
    forwarded: bool = False
    """Whether a session of an SSH server opened it for its user (port forwarding), not the server itself."""

    @property
    def scope(self) -> str:
        """Who can reach it: ``loopback``, ``wildcard``, ``private`` or ``public``."""
        return scope_of(self.address)


@dataclass(frozen=True)
class Flow:
    """A connection that lives now; who opened it is its source."""

    protocol: str
    source: str
    source_port: int
    address: str
    port: int
    process: str
    unit: str | None


@dataclass(frozen=True)
class SshConnection:
    """An SSH connection as the host sees it; addresses without a zone."""

    source: str
    source_port: int
    address: str
    port: int


@dataclass(frozen=True)
class Sockets:
    """What listens, who is connected, and what could not be looked at."""

    listeners: tuple[Listener, ...]
    flows: tuple[Flow, ...]
    """Inbound ones."""
    problems: tuple[str, ...] = ()
    outbound: tuple[Flow, ...] = ()
    """Those that the host has opened."""
    blind: str = ""
    """Why it is not known who is connected over UDP, where something listens there."""


def read_sockets(proc: str = "/proc", run_command: RunCommand | None = None) -> Sockets:
    """Return listeners and inbound flows of the host. Whatever goes wrong is a problem or passed over.

    Args:
        proc: where the kernel's file system of processes is mounted.
        run_command: to ask ``systemctl`` which socket units systemd holds sockets for; without it these listeners
            have no unit. Answers with a code other than 0 where there is no such command.

    """
    return _Reader(proc, run_command).read()


def connection_in_use(proc: str = "/proc", pid: int | None = None) -> SshConnection | None:
    """Return the SSH connection over which a process was started, None when it was started without one.

    The nearest ancestor counts whose environment names a connection that lives: sudo, su and pkexec take the variables
    away, while terminal multiplexers keep those of an earlier login.

    Args:
        proc: where the kernel's file system of processes is mounted.
        pid: the process; the calling one when not given.

    """
    known: set[int] = set()
    current = os.getpid() if pid is None else pid
    established: list[_Entry] | None = None
    while current > 0 and current not in known and len(known) < MAX_ANCESTORS:
        known.add(current)
        for claim in _claims(proc, current):
            if established is None:
                established = [entry for entry in _entries(proc, "tcp", []) if entry.state == _ESTABLISHED]
            for entry in established:
                if claim.matches(entry):
                    return SshConnection(_address(entry.remote), entry.remote_port, _address(entry.local), entry.port)
        stat = process_stat(current, proc)
        current = stat.parent if stat else 0
    return None


def established(proc: str = "/proc") -> list[tuple[str, int, str, int]]:
    """Return the TCP connections that live, in and out: own address and port, those of the other side."""
    return [
        (_address(entry.local), entry.port, _address(entry.remote), entry.remote_port)
        for entry in _entries(proc, "tcp", [])
        if entry.state == _ESTABLISHED
    ]


def ssh_ports(sockets: Sockets, connection: SshConnection | None) -> list[int]:
    """Return the ports on which an SSH server can be reached from elsewhere, that of the connection in use included.

    An SSH server is a process of that name whose socket root opened, or a socket that systemd holds for one. Ports
    that sessions forward are none: whoever logs in can open them.
    """
    ports = {listener.port for listener in sockets.listeners if _serves_ssh(listener, sockets.flows)}
    return sorted(ports | ({connection.port} if connection else set()))


def _serves_ssh(listener: Listener, flows: Iterable[Flow]) -> bool:
    if listener.protocol != "tcp" or listener.uid != 0 or listener.forwarded or listener.scope == "loopback":
        return False
    if listener.process in SSH_SERVERS:
        return True
    if listener.pid != 1:
        return False
    # One server for each connection: systemd keeps the socket. Its unit may be unknown, or of another name.
    return bool(SSH_UNITS.fullmatch(listener.unit or "")) or any(
        flow.port == listener.port and (flow.process in SSH_SERVERS or flow.process == "sshd-session")
        for flow in flows
        if flow.protocol == "tcp"
    )


# ---- the kernel's tables ---------------------------------------------------------------------------


class _Entry(NamedTuple):
    """A line of one of the tables of sockets; addresses as the kernel writes them."""

    protocol: str
    local: str
    port: int
    remote: str
    remote_port: int
    state: str
    uid: int
    inode: str

    @property
    def listens(self) -> bool:
        """Whether it waits for whoever comes."""
        if self.protocol == "tcp":
            return self.state == _TCP_LISTENS
        return self.state == _UDP_BOUND and self.port != 0 and self.remote_port == 0


def _lines(path: str) -> Iterator[str]:
    """Yield the lines of a table, at most `MAX_LINES`.

    Raises:
        OSError: it cannot be read.

    """
    with open(path, encoding="utf-8", errors="replace") as handle:
        yield from islice(handle, MAX_LINES)


def _read(path: str) -> str:
    """Return the beginning of a file, "" when it cannot be read."""
    try:
        with open(path, "rb") as handle:
            return os.fsdecode(handle.read(MAX_BYTES))
    except (OSError, ValueError):
        return ""


def _entries(proc: str, protocol: str, problems: list[str]) -> Iterator[_Entry]:
    """Yield the sockets of a protocol that listen or are connected, IPv4's first."""
    for name in (protocol, protocol + "6"):
        path = f"{proc}/net/{name}"
        odd = 0
        try:
            for line in islice(_lines(path), 1, None):
                match = _LINE.match(line)
                if not match or len(match["local"]) != len(match["remote"]):
                    odd += 1
                elif match["state"] in (_ESTABLISHED, _UDP_BOUND, _TCP_LISTENS):
                    yield _Entry(
                        protocol,
                        match["local"],
                        int(match["port"], 16),
                        match["remote"],
                        int(match["remote_port"], 16),
                        match["state"],
                        int(match["uid"]),
                        match["inode"],
                    )
        except FileNotFoundError:
            # There is no such table where IPv6 is off.
            if name == protocol:
                problems.append(f"{path} is missing")
        except OSError as exc:
            problems.append(f"{path} cannot be read: {exc.strerror}")
        if odd:
            problems.append(f"{plural(odd, 'line')} of {path} not understood")


@lru_cache(maxsize=65536)
def _address(word: str) -> str:
    """Return an address of a table: words of 32 bits in the byte order of the machine. IPv4 inside IPv6 is IPv4."""
    words = [int(word[start : start + 8], 16) for start in range(0, len(word), 8)]
    return _plain(ipaddress.ip_address(struct.pack(f"={len(words)}I", *words)))


def _plain(address: Address) -> str:
    return str(getattr(address, "ipv4_mapped", None) or address)


def _parse_address(text: str) -> str | None:
    """Return an address as `_address` gives it, without a zone; None when it is none."""
    try:
        return _plain(ipaddress.ip_address(text.partition("%")[0]))
    except ValueError:
        return None


def _handed_out(proc: str) -> Callable[[int], bool]:
    """Return a function that tells whether the kernel gives a port to sockets that do not ask for one."""
    folder = f"{proc}/sys/net/ipv4"
    limits = re.fullmatch(r"([0-9]{1,5})\s+([0-9]{1,5})\s*", _read(f"{folder}/ip_local_port_range"))
    low, high = (int(limits[1]), int(limits[2])) if limits else (32768, 60999)
    reserved = [
        (int(match[1]), int(match[2] or match[1]))
        for match in re.finditer(r"([0-9]{1,5})(?:-([0-9]{1,5}))?", _read(f"{folder}/ip_local_reserved_ports"))
    ]
    return lambda port: low <= port <= high and not any(first <= port <= last for first, last in reserved)


def own_addresses(proc: str, problems: list[str]) -> tuple[set[str], set[str]]:
    """Return the host's own addresses, and those of broadcasts that reach it."""
    own: set[str] = set()
    broadcast = {"255.255.255.255"}
    path = f"{proc}/net/fib_trie"
    address = None
    try:
        for line in _lines(path):
            if "|-- " in line:
                address = _parse_address(line.partition("|-- ")[2].strip())
            elif address and " host LOCAL" in line:
                own.add(address)
            elif address and " BROADCAST" in line:
                broadcast.add(address)
    except OSError as exc:
        problems.append(f"{path} cannot be read: {exc.strerror}; connections of the host to itself may be listed")
    for match in re.finditer(r"^([0-9a-f]{32}) ", _read(f"{proc}/net/if_inet6"), re.MULTILINE):
        own.add(_plain(ipaddress.ip_address(bytes.fromhex(match[1]))))
    return own, broadcast


def reachable_at(own: Iterable[str]) -> list[str]:
    """Return those of a host's own addresses that others can reach it at, sorted.

    A link-local address means nothing without its interface, and none of them comes through a router.
    """
    return sorted(address for address in own if scope_of(address) != "loopback" and not address.startswith("fe80:"))


# ---- processes -------------------------------------------------------------------------------------


class _Holder(NamedTuple):
    pid: int
    process: str
    unit: str | None


class _Processes:
    """Finds out which processes hold sockets."""

    def __init__(self, proc: str) -> None:
        self.proc = proc
        self.denied = 0
        self.complete = False
        """Whether every process of the host was seen."""
        self._of_inode: dict[str, list[int]] = {}
        self._stats: dict[int, ProcessStat | None] = {}
        self._units: dict[int, str | None] = {}

    def walk(self, inodes: set[str]) -> None:
        """Look for the holders of sockets, all processes in one pass.

        Raises:
            OSError: processes cannot be listed.

        """
        pids = [name for name in os.listdir(self.proc) if name.isdecimal()]
        for name in pids:
            folder = f"{self.proc}/{name}/fd"
            try:
                descriptors = os.listdir(folder)
            except PermissionError:
                self.denied += 1
                continue
            except OSError:
                continue  # it has ended
            for descriptor in descriptors:
                try:
                    target = os.readlink(f"{folder}/{descriptor}")
                except OSError:
                    continue
                if target.startswith("socket:[") and target[8:-1] in inodes:
                    self._of_inode.setdefault(target[8:-1], []).append(int(name))
        # Mounted with hidepid, /proc shows nobody but root the processes of others, the first one among them.
        self.complete = not self.denied and "1" in pids

    def holder(self, inode: str) -> _Holder | None:
        """Return the process that holds a socket, the eldest of several; the one systemd passed it to, not systemd."""
        pids = self._of_inode.get(inode, [])
        alive = [(stat.ticks, pid, stat) for pid in pids for stat in [self._stat(pid)] if stat]
        if not alive:
            return None
        _ticks, pid, stat = min(alive, key=lambda item: (item[1] == 1, item[0], item[1]))
        return _Holder(pid, _printable(stat.name), self._unit(pid))

    def is_session(self, holder: _Holder) -> bool:
        """Whether a process serves one session of an SSH server."""
        if holder.process == "sshd-session":
            return True
        if holder.process == "sshd":
            # The server calls itself "sshd: /usr/sbin/sshd [listener] 0 of 10-100 startups", or by its command line.
            title = _read(f"{self.proc}/{holder.pid}/cmdline")
            return title.startswith("sshd: ") and "[listener]" not in title
        stat = self._stat(holder.pid)
        parent = self._stat(stat.parent) if stat and holder.process == "dropbear" else None
        return parent is not None and parent.name == "dropbear"

    def _stat(self, pid: int) -> ProcessStat | None:
        if pid not in self._stats:
            self._stats[pid] = process_stat(pid, self.proc)
        return self._stats[pid]

    def _unit(self, pid: int) -> str | None:
        if pid not in self._units:
            unit = process_unit(pid, self.proc)
            self._units[pid] = _printable(unit) if unit else None
        return self._units[pid]


def _printable(text: str) -> str:
    """Return a name that goes into a report: a process may call itself anything."""
    return "".join(char if char.isprintable() else "?" for char in text)


class _Claim(NamedTuple):
    """A connection as an environment names it; what it does not name is None."""

    source: str
    source_port: int
    address: str | None
    port: int

    def matches(self, entry: _Entry) -> bool:
        return (
            (entry.remote_port, entry.port) == (self.source_port, self.port)
            and _address(entry.remote) == self.source
            and self.address in (None, _address(entry.local))
        )


def _claims(proc: str, pid: int) -> Iterator[_Claim]:
    """Yield the connections that the environment of a process names."""
    if "SSH_C" not in (text := _read(f"{proc}/{pid}/environ")):
        return
    environment = parse_environment(text.split("\0"))
    for name, count in (("SSH_CONNECTION", 4), ("SSH_CLIENT", 3)):
        words = environment.get(name, "").split()
        if len(words) != count or not all(re.fullmatch(r"[0-9]{1,5}", word) for word in (words[1], words[-1])):
            continue
        source, address = _parse_address(words[0]), _parse_address(words[2]) if count == 4 else None
        if source and (address or count == 3):
            yield _Claim(source, int(words[1]), address, int(words[-1]))


# ---- together --------------------------------------------------------------------------------------


class _Reader:
    """Reads everything once."""

    def __init__(self, proc: str, run_command: RunCommand | None) -> None:
        self.proc = proc
        self.run_command = run_command
        self.problems: list[str] = []
        self.blind = ""
        self.processes = _Processes(proc)

    def read(self) -> Sockets:
        entries = [entry for protocol in ("tcp", "udp") for entry in _entries(self.proc, protocol, self.problems)]
        listening = [entry for entry in entries if entry.listens]
        own, broadcast = own_addresses(self.proc, self.problems)
        ports = {(entry.protocol, entry.port) for entry in listening}
        alive = [
            entry for entry in entries if entry.state == _ESTABLISHED and _is_elsewhere(_address(entry.remote), own)
        ]
        connected = [entry for entry in alive if (entry.protocol, entry.port) in ports]
        self._find_processes({entry.inode for entry in (*listening, *alive)} - {"0"})
        listeners = self._listeners(listening)
        by_port: dict[tuple[str, int], list[Listener]] = {}
        for listener in listeners:
            by_port.setdefault((listener.protocol, listener.port), []).append(listener)
        flows = set(self._connected(connected, by_port))
        if any(listener.protocol == "udp" and listener.scope != "loopback" for listener in listeners):
            flows.update(self._tracked(by_port, own, broadcast))
        return Sockets(
            tuple(sorted(set(listeners), key=_listener_order)),
            tuple(sorted(flows, key=_flow_order)),
            tuple(self.problems),
            tuple(sorted(map(self._opened, set(alive) - set(connected)), key=_flow_order)),
            self.blind,
        )

    def _opened(self, entry: _Entry) -> Flow:
        holder = self.processes.holder(entry.inode)
        ends = (_address(entry.local), entry.port, _address(entry.remote), entry.remote_port)
        return Flow(entry.protocol, *ends, holder.process if holder else UNKNOWN, holder.unit if holder else None)

    def _find_processes(self, inodes: set[str]) -> None:
        try:
            self.processes.walk(inodes)
        except OSError as exc:
            self.problems.append(f"{self.proc} cannot be listed: {exc.strerror}; no process of a socket is known")
            return
        if self.processes.denied:
            denied = plural(self.processes.denied, "process", "processes")
            self.problems.append(f"the open files of {denied} cannot be read; who holds a socket may be unknown")
        elif not self.processes.complete:
            self.problems.append(f"{self.proc} does not show all processes; who holds a socket may be unknown")

    def _listeners(self, listening: list[_Entry]) -> list[Listener]:
        handed_out = _handed_out(self.proc)
        holders = {entry.inode: self.processes.holder(entry.inode) for entry in listening}
        gone = self._gone([entry for entry in listening if not holders[entry.inode] and entry.inode != "0"])
        found: list[Listener] = []
        for entry in listening:
            holder = holders[entry.inode]
            of_kernel = holder is None and (entry.inode == "0" or self.processes.complete)
            if entry in gone or (entry.protocol == "udp" and not of_kernel and handed_out(entry.port)):
                continue
            what = (entry.protocol, _address(entry.local), entry.port)
            if holder is None:
                found.append(Listener(*what, None, KERNEL if of_kernel else UNKNOWN, None, entry.uid))
            else:
                found.append(Listener(*what, *holder, entry.uid, self.processes.is_session(holder)))
        return self._with_socket_units(found)

    def _gone(self, nobodys: list[_Entry]) -> set[_Entry]:
        """Return those sockets that nobody holds because they were closed in the meantime."""
        if not nobodys:
            return set()
        protocols = sorted({entry.protocol for entry in nobodys})
        return set(nobodys).difference(*(_entries(self.proc, protocol, []) for protocol in protocols))

    def _with_socket_units(self, listeners: list[Listener]) -> list[Listener]:
        """Name the units of the sockets that systemd itself holds."""
        if not any(listener.pid == 1 and listener.process == SYSTEMD for listener in listeners):
            return listeners
        units = _socket_units(self.run_command) if self.run_command else {}
        return [
            replace(listener, unit=units.get((listener.protocol, listener.address, listener.port)))
            if listener.pid == 1 and listener.process == SYSTEMD
            else listener
            for listener in listeners
        ]

    def _connected(self, entries: list[_Entry], by_port: dict[tuple[str, int], list[Listener]]) -> Iterator[Flow]:
        for entry in entries:
            address = _address(entry.local)
            listener = _listener_of(by_port.get((entry.protocol, entry.port), []), address)
            if listener is None:
                continue
            # Nobody holds a connection that was not accepted yet.
            holder = self.processes.holder(entry.inode) or listener
            yield Flow(
                entry.protocol,
                _address(entry.remote),
                entry.remote_port,
                address,
                entry.port,
                holder.process,
                holder.unit,
            )

    def _tracked(
        self, by_port: dict[tuple[str, int], list[Listener]], own: set[str], broadcast: set[str]
    ) -> Iterator[Flow]:
        """Yield the inbound flows over UDP that the connection tracker knows."""
        path = f"{self.proc}/net/nf_conntrack"
        trouble, line = None, ""
        try:
            for line in _lines(path):
                flow = _tracked_flow(line, own, broadcast) if " udp " in line else None
                listener = _listener_of(by_port.get(("udp", flow.port), []), flow.address) if flow else None
                if flow and listener:
                    yield replace(flow, process=listener.process, unit=listener.unit)
        except FileNotFoundError:
            trouble = "is missing"
        except OSError as exc:
            trouble = f"cannot be read: {exc.strerror}"
        else:
            # Connections are tracked only where some rule asks for it; then ours, at least, would be there.
            trouble = None if line else "is empty"
        if trouble:
            self.blind = f"{path} {trouble}"


def _is_elsewhere(address: str, own: set[str]) -> bool:
    # Addresses are in their one written form here; there may be very many of them.
    return address not in own and not address.startswith("127.") and address not in ("::1", "::", "0.0.0.0")  # noqa: S104


def _listener_of(listeners: Iterable[Listener], address: str) -> Listener | None:
    """Return which of the listeners on a port is asked at an address: the one bound to it goes before all others."""
    candidates = {listener.address: listener for listener in listeners}
    wildcards = ("::",) if ":" in address else ("0.0.0.0", "::")  # noqa: S104 - looked for, not bound to
    return next((candidates[place] for place in (address, *wildcards) if place in candidates), None)


def _tracked_flow(line: str, own: set[str], broadcast: set[str]) -> Flow | None:
    """Return the flow of a line of the connection tracker, None where it is none that comes to the host itself.

    The first half of the line is as the other side sent it, the second as the answer goes: after all translation.
    """
    fields = _TRACKED.findall(line)
    if [name for name, _value in fields[:8]] != ["src", "dst", "sport", "dport"] * 2:
        return None
    values = [value for _name, value in fields]
    source, address = _parse_address(values[0]), _parse_address(values[4])
    if source is None or address is None or not all(re.fullmatch("[0-9]{1,5}", values[place]) for place in (2, 6)):
        return None
    reaches = address in own or address in broadcast or ipaddress.ip_address(address).is_multicast
    if not reaches or not _is_elsewhere(source, own):
        return None
    return Flow("udp", source, int(values[2]), address, int(values[6]), "", None)


def _socket_units(run_command: RunCommand) -> dict[tuple[str, str, int], str]:
    """Return the units of all sockets of systemd's, by protocol, address and port."""
    code, out, _err = run_command(["systemctl", "show", "--property=Id,Listen", "--", "*.socket"])
    units: dict[tuple[str, str, int], str] = {}
    for shown in parse_show(out) if code == 0 else []:
        for match in _LISTEN_OF_UNIT.finditer(shown.get("Listen", "")):
            address = _parse_address(match[1] or match[2])
            if address is not None:
                protocol = "tcp" if match[4] == "Stream" else "udp"
                units.setdefault((protocol, address, int(match[3])), _printable(shown.get("Id", "")))
    return units


def _listener_order(listener: Listener) -> tuple[object, ...]:
    """Sort by what a person looks for; numbers of processes come last."""
    address = ipaddress.ip_address(listener.address)
    place = (listener.protocol, listener.port, address.version, address.packed)
    return (*place, listener.process, listener.unit or "", listener.pid or 0)


def _flow_order(flow: Flow) -> tuple[object, ...]:
    place = (flow.protocol, flow.port, flow.source, flow.source_port, flow.address)
    return (*place, flow.process, flow.unit or "")
