# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What listens, who is connected, and over which connection we came: from folders that look like /proc."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.module_utils import _sockets
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._sockets import (
    Flow,
    Listener,
    Sockets,
    SshConnection,
    connection_in_use,
    established,
    read_sockets,
    scope_of,
    ssh_ports,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._systemd import process_unit
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.firewall.fake_proc import FakeProc


@pytest.fixture
def proc(tmp_path: Path) -> FakeProc:
    return FakeProc(tmp_path)


def listeners(proc: FakeProc) -> list[tuple[str, str, int, str]]:
    return [(item.protocol, item.address, item.port, item.process) for item in read_sockets(proc.path).listeners]


def read(proc: FakeProc) -> Sockets:
    """Return everything, nothing having gone wrong."""
    sockets = read_sockets(proc.path)
    assert not sockets.problems
    return sockets


class TestListeners:
    def test_lines_as_kernels_write_them(self, proc: FakeProc) -> None:
        proc.append(
            "net/tcp",
            "   0: 00000000:07E8 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1603 1"
            " 00000000d03e69bf 100 0 0 10 0                      \n"
            "   1: 0100007F:8ACB 0100007F:D8FA 06 00000000:00000000 03:000014C5 00000000     0        0 0 3"
            " 0000000059b5c63d\n",
        )
        proc.append(
            "net/tcp6",
            "   0: B80D0120000000000000000010000000:CE91 00000000000000000000000000000000:0000 0A 00000000:00000001"
            " 00:00000000 00000000  1001        0 2097485 2 00000000122483bf 100 0 0 10 0\n",
        )
        proc.append(
            "net/udp6",
            "10828: 00000000000000000000000001000000:15B3 00000000000000000000000000000000:0000 07 00000000:00000000"
            " 00:00000000 00000000     0        0 2097486 2 00000000174f6db7 0\n",
        )
        proc.process(700, "nc", [1603, 2097485, 2097486])
        assert read(proc).listeners == (
            Listener("tcp", "0.0.0.0", 2024, 700, "nc", "nc.service"),
            Listener("tcp", "2001:db8::10", 52881, 700, "nc", "nc.service", uid=1001),
            Listener("udp", "::1", 5555, 700, "nc", "nc.service"),
        )

    def test_ipv4_inside_ipv6_is_ipv4(self, proc: FakeProc) -> None:
        proc.process(7, "java", [proc.listen("::ffff:192.0.2.10", 8080), proc.listen("::", 8005)])
        assert listeners(proc) == [("tcp", "::", 8005, "java"), ("tcp", "192.0.2.10", 8080, "java")]

    def test_sockets_of_the_kernel(self, proc: FakeProc) -> None:
        proc.listen("0.0.0.0", 2049, inode=0)
        proc.bind("0.0.0.0", 51820)  # WireGuard: in the range of clients, and nobody holds it
        assert listeners(proc) == [("tcp", "0.0.0.0", 2049, "kernel"), ("udp", "0.0.0.0", 51820, "kernel")]

    def test_udp_sockets_of_clients(self, proc: FakeProc) -> None:
        sockets = [proc.bind("0.0.0.0", port) for port in (32767, 32768, 60999, 61000)]
        proc.process(7, "resolver", [*sockets, proc.bind("::", 0), proc.connect("192.0.2.10", 900, "192.0.2.1", 53)])
        assert [port for _protocol, _address, port, _process in listeners(proc)] == [32767, 61000]

    def test_udp_port_the_kernel_must_not_hand_out(self, proc: FakeProc) -> None:
        proc.write("sys/net/ipv4/ip_local_reserved_ports", "40000,50000-50002\n")
        proc.process(7, "game", [proc.bind("0.0.0.0", port) for port in (40000, 40001, 50001)])
        assert [item.port for item in read(proc).listeners] == [40000, 50001]

    def test_tcp_listener_on_a_port_handed_out(self, proc: FakeProc) -> None:
        proc.process(7, "java", [proc.listen("0.0.0.0", 45678)])
        assert listeners(proc) == [("tcp", "0.0.0.0", 45678, "java")]

    def test_one_socket_of_several_processes(self, proc: FakeProc) -> None:
        inode = proc.listen("0.0.0.0", 80)
        proc.process(90, "nginx", [inode], ticks=500)
        proc.process(4000, "nginx-master", [inode], ticks=200)
        assert [item.pid for item in read(proc).listeners] == [4000]

    def test_socket_that_systemd_passed_on(self, proc: FakeProc) -> None:
        inode = proc.listen("::", 22)
        (proc.root / "1/fd/9").symlink_to(f"socket:[{inode}]")
        proc.process(800, "sshd", [inode], cgroup="0::/system.slice/ssh.service\n")
        assert [(item.pid, item.unit) for item in read(proc).listeners] == [(800, "ssh.service")]

    def test_socket_that_systemd_keeps(self, proc: FakeProc) -> None:
        for number, inode in enumerate((proc.listen("::", 22), proc.bind("0.0.0.0", 69), proc.listen("::1", 631))):
            (proc.root / f"1/fd/{number + 3}").symlink_to(f"socket:[{inode}]")
        asked = []

        def run_command(arguments: list[str], **_options: Any) -> tuple[int, str, str]:
            asked.append(arguments)
            text = "Id=dbus.socket\nListen=/run/dbus/system_bus_socket (Stream)\n\n"
            text += "Id=ssh.socket\nListen=[::]:22 (Stream)\n\nId=tftp.socket\nListen=0.0.0.0:69 (Datagram)\n"
            return 0, text, ""

        found = read_sockets(proc.path, run_command).listeners
        assert [(item.process, item.unit) for item in found] == [
            ("systemd", "ssh.socket"),
            ("systemd", None),
            ("systemd", "tftp.socket"),
        ]
        assert len(asked) == 1
        assert {item.unit for item in read(proc).listeners} == {None}
        assert {item.unit for item in read_sockets(proc.path, lambda *_a, **_k: (1, "", "no")).listeners} == {None}

    def test_nobody_asks_systemd_in_vain(self, proc: FakeProc) -> None:
        proc.process(7, "java", [proc.listen("0.0.0.0", 8080)])
        read_sockets(proc.path, mock.Mock(side_effect=AssertionError))

    def test_order_does_not_depend_on_the_tables(self, proc: FakeProc) -> None:
        proc.process(
            7, "x", [proc.listen("192.0.2.10", 9), proc.listen("10.0.0.9", 9), proc.listen("::", 9), proc.bind("::", 5)]
        )
        proc.process(8, "y", [proc.listen("0.0.0.0", 10), proc.listen("0.0.0.0", 1)])
        assert [(item.port, item.address) for item in read(proc).listeners] == [
            *((1, "0.0.0.0"), (9, "10.0.0.9"), (9, "192.0.2.10"), (9, "::"), (10, "0.0.0.0"), (5, "::"))
        ]

    @pytest.mark.parametrize(
        ("address", "scope"),
        [
            ("127.0.0.53", "loopback"),
            ("::1", "loopback"),
            ("0.0.0.0", "wildcard"),
            ("::", "wildcard"),
            ("10.255.0.1", "private"),
            ("172.31.0.1", "private"),
            ("192.168.1.1", "private"),
            ("100.64.0.1", "private"),
            ("169.254.1.1", "private"),
            ("fd00::1", "private"),
            ("fe80::1", "private"),
            ("172.32.0.1", "public"),
            ("192.0.2.10", "public"),
            ("2001:db8::1", "public"),
            ("224.0.0.251", "public"),
        ],
    )
    def test_scope(self, address: str, scope: str) -> None:
        assert scope_of(address) == scope
        assert Listener("tcp", address, 1, None, "x", None).scope == scope


class TestUnits:
    @pytest.mark.parametrize(
        ("cgroup", "unit"),
        [
            ("0::/system.slice/jira.service\n", "jira.service"),
            ("0::/system.slice/system-app.slice/app@one.service\n", "app@one.service"),
            ("0::/system.slice/node\\x2dexporter.service\n", "node\\x2dexporter.service"),
            ("0::/system.slice/_cgroup.service\n", "cgroup.service"),
            ("0::/system.slice/old.service (deleted)\n", "old.service"),
            ("0::/system.slice/docker-0123.scope\n", "docker-0123.scope"),
            ("0::/machine.slice/libpod-1.scope/container/system.slice/web.service\n", "libpod-1.scope"),
            ("0::/user.slice/user-1000.slice/session-3.scope\n", "session-3.scope"),
            (
                "0::/user.slice/user-1000.slice/user@1000.service/app.slice/proxy.service\n",
                "user@1000.service/proxy.service",
            ),
            ("0::/user.slice/user-1000.slice/user@1000.service\n", "user@1000.service"),
            ("12:pids:/x.service\n1:name=systemd:/system.slice/jira.service\n0::/\n", "jira.service"),
            ("9:name=systemd:/\n0::/system.slice/jira.service\n", "jira.service"),
            ("4:memory:/system.slice/jira.service\n", None),
            ("0::/\n", None),
            ("0::/docker/0123\n", None),
            ("", None),
            ("garbage", None),
        ],
    )
    def test_of_a_process(self, proc: FakeProc, cgroup: str, unit: str | None) -> None:
        proc.process(7, "x", [proc.listen("0.0.0.0", 1)], cgroup=cgroup)
        assert process_unit(7, proc.path) == unit
        assert read(proc).listeners[0].unit == unit

    def test_names_are_printable(self, proc: FakeProc) -> None:
        proc.process(7, "a) b\x1b[2J", [proc.listen("0.0.0.0", 1)], cgroup="0::/x.slice/y\x07z.service\n")
        found = read(proc).listeners[0]
        assert (found.process, found.unit) == ("a) b?[2J", "y?z.service")


class TestFlows:
    def test_inbound_only(self, proc: FakeProc) -> None:
        proc.process(
            7,
            "java",
            [
                proc.listen("0.0.0.0", 8080),
                proc.listen("127.0.0.1", 8005),
                proc.connect("192.0.2.10", 8080, "192.0.2.1", 40000),
                proc.connect("192.0.2.10", 50000, "192.0.2.2", 5432),  # to the database
                proc.connect("192.0.2.10", 8005, "192.0.2.2", 5432),  # out, by chance from the port of a listener
            ],
        )
        proc.connect("127.0.0.1", 8080, "127.0.0.1", 40001)
        proc.connect("192.0.2.10", 8080, "192.0.2.10", 40002)
        proc.socket("tcp", "192.0.2.10", 8080, "06", "192.0.2.1", 40003, inode=0)
        assert read(proc).flows == (Flow("tcp", "192.0.2.1", 40000, "192.0.2.10", 8080, "java", "java.service"),)

    def test_ipv6_and_mapped(self, proc: FakeProc) -> None:
        proc.process(7, "java", [proc.listen("::", 8080)])
        proc.connect("::ffff:192.0.2.10", 8080, "::ffff:198.51.100.1", 1)
        proc.connect("2001:db8::10", 8080, "2001:db8::1", 2)
        proc.connect("2001:db8::10", 8080, "2001:db8::10", 3)
        proc.connect("::1", 8080, "::1", 4)
        proc.connect("::ffff:127.0.0.1", 8080, "::ffff:127.0.0.1", 5)
        assert [(flow.source, flow.address) for flow in read(proc).flows] == [
            ("198.51.100.1", "192.0.2.10"),
            ("2001:db8::1", "2001:db8::10"),
        ]

    def test_connection_not_yet_accepted(self, proc: FakeProc) -> None:
        proc.process(7, "java", [proc.listen("0.0.0.0", 8080)])
        proc.connect("192.0.2.10", 8080, "192.0.2.1", 40000, inode=0)
        assert [flow.process for flow in read(proc).flows] == ["java"]

    def test_who_serves_it(self, proc: FakeProc) -> None:
        proc.process(7, "sshd", [proc.listen("0.0.0.0", 22)], cgroup="0::/system.slice/ssh.service\n")
        inode = proc.connect("192.0.2.10", 22, "192.0.2.1", 40000)
        proc.process(9, "sshd-session", [inode], cgroup="0::/user.slice/user-0.slice/session-1.scope\n")
        assert [(flow.process, flow.unit) for flow in read(proc).flows] == [("sshd-session", "session-1.scope")]

    def test_own_addresses_not_known(self, proc: FakeProc) -> None:
        (proc.root / "net/fib_trie").unlink()
        assert any("fib_trie" in problem for problem in read_sockets(proc.path).problems)

    TRACKED = (
        "ipv4     2 udp      17 14 src={src} dst={dst} sport={sport} dport={dport} {mark}"
        "src={back} dst={src} sport={port} dport={sport} mark=0 zone=0 use=2\n"
    )

    @pytest.mark.parametrize(
        ("change", "expected"),
        [
            ({}, ("192.0.2.1", 4000, "192.0.2.10", 514)),
            ({"mark": "[UNREPLIED] "}, ("192.0.2.1", 4000, "192.0.2.10", 514)),
            ({"mark": "packets=1 bytes=9 "}, ("192.0.2.1", 4000, "192.0.2.10", 514)),
            ({"dst": "203.0.113.9", "dport": 1514}, ("192.0.2.1", 4000, "192.0.2.10", 514)),  # translated to us
            ({"dst": "239.1.1.1", "back": "239.1.1.1"}, ("192.0.2.1", 4000, "239.1.1.1", 514)),
            ({"dst": "192.0.2.255", "back": "192.0.2.255"}, ("192.0.2.1", 4000, "192.0.2.255", 514)),
            (
                {"src": "2001:0db8:0000:0000:0000:0000:0000:0001", "back": "2001:0db8:0000:0000:0000:0000:0000:0010"},
                ("2001:db8::1", 4000, "2001:db8::10", 514),
            ),
            ({"src": "192.0.2.10"}, None),  # from us
            ({"src": "127.0.0.1"}, None),
            ({"src": "0.0.0.0"}, None),
            ({"back": "10.88.0.2"}, None),  # on its way to a container
            ({"port": 515}, None),  # nobody listens
            ({"src": "x"}, None),
            ({"sport": "1e3"}, None),
        ],
    )
    def test_udp(self, proc: FakeProc, change: dict[str, Any], expected: tuple[str, int, str, int] | None) -> None:
        proc.process(7, "rsyslogd", [proc.bind("::", 514)])
        values = {"src": "192.0.2.1", "dst": "192.0.2.10", "sport": 4000, "dport": 514, "mark": ""}
        line = self.TRACKED.format(**{**values, "back": "192.0.2.10", "port": 514, **change})
        proc.write("net/nf_conntrack", line.replace("udp      17", "tcp      6") + line)
        wanted = (Flow("udp", *expected, "rsyslogd", "rsyslogd.service"),) if expected else ()
        assert read(proc).flows == wanted

    def test_connected_udp(self, proc: FakeProc) -> None:
        inode = proc.connect("192.0.2.10", 1194, "192.0.2.1", 4000, protocol="udp")
        proc.process(7, "openvpn", [proc.bind("0.0.0.0", 1194), inode])
        assert [flow.source for flow in read(proc).flows] == ["192.0.2.1"]

    @pytest.mark.parametrize("table", ["missing", "empty"])
    def test_udp_not_known(self, proc: FakeProc, table: str) -> None:
        (proc.root / "net/nf_conntrack").unlink()
        if table == "empty":
            proc.write("net/nf_conntrack", "")
        proc.process(7, "chronyd", [proc.bind("127.0.0.1", 323)])
        assert not read(proc).flows
        proc.process(8, "rsyslogd", [proc.bind("0.0.0.0", 514)])
        path = f"{proc.path}/net/nf_conntrack"
        sockets = read_sockets(proc.path)
        assert (sockets.problems, sockets.blind) == ((), f"{path} is {table}")

    def test_what_the_host_has_opened(self, proc: FakeProc) -> None:
        inode = proc.connect("192.0.2.10", 40000, "198.51.100.5", 5432)
        proc.process(7, "java", [proc.listen("0.0.0.0", 8080), inode])
        proc.connect("192.0.2.10", 8080, "198.51.100.1", 1)
        proc.connect("192.0.2.10", 40001, "192.0.2.10", 8080)
        clock = proc.connect("2001:db8::10", 40002, "2001:db8::123", 123, protocol="udp")
        proc.process(8, "chronyd", [clock])
        assert read(proc).outbound == (
            Flow("tcp", "192.0.2.10", 40000, "198.51.100.5", 5432, "java", "java.service"),
            Flow("udp", "2001:db8::10", 40002, "2001:db8::123", 123, "chronyd", "chronyd.service"),
        )

    def test_all_tcp_connections_that_live(self, proc: FakeProc) -> None:
        proc.listen("::", 8080)
        proc.connect("::ffff:192.0.2.10", 8080, "::ffff:198.51.100.1", 1)
        proc.connect("192.0.2.10", 40000, "198.51.100.5", 5432)
        assert established(proc.path) == [
            ("192.0.2.10", 40000, "198.51.100.5", 5432),
            ("192.0.2.10", 8080, "198.51.100.1", 1),
        ]


class TestTrouble:
    def test_nothing_there(self, tmp_path: Path) -> None:
        sockets = read_sockets(str(tmp_path / "none"))
        assert (sockets.listeners, sockets.flows) == ((), ())
        assert len(sockets.problems) == 4  # two tables, own addresses, processes

    def test_no_ipv6(self, proc: FakeProc) -> None:
        for name in ("tcp6", "udp6", "if_inet6"):
            (proc.root / "net" / name).unlink()
        proc.process(7, "java", [proc.listen("0.0.0.0", 8080)])
        assert [item.port for item in read(proc).listeners] == [8080]

    def test_lines_cut_short(self, proc: FakeProc) -> None:
        proc.process(7, "java", [proc.listen("0.0.0.0", 8080)])
        proc.append("net/tcp", "   1: 00000000:1F90 00000000:0000 0A 0000")
        sockets = read_sockets(proc.path)
        assert [item.port for item in sockets.listeners] == [8080]
        assert [problem.partition("/")[0] for problem in sockets.problems] == ["1 line of "]

    def test_processes_are_hidden(self, proc: FakeProc) -> None:
        proc.listen("0.0.0.0", 8080)
        proc.bind("0.0.0.0", 40000)
        (proc.root / "1").rename(proc.root / "hidden")
        sockets = read_sockets(proc.path)
        assert [(item.port, item.process) for item in sockets.listeners] == [(8080, "unknown")]
        assert any("does not show all processes" in problem for problem in sockets.problems)

    def test_open_files_of_others(self, proc: FakeProc) -> None:
        proc.process(7, "java", [proc.listen("0.0.0.0", 8080)])
        listdir = os.listdir

        def denied(path: str) -> list[str]:
            if path.endswith("/7/fd"):
                raise PermissionError(13, "Permission denied")
            return listdir(path)

        with mock.patch.object(_sockets.os, "listdir", denied):
            sockets = read_sockets(proc.path)
        assert [item.process for item in sockets.listeners] == ["unknown"]
        assert any("open files of 1 process " in problem for problem in sockets.problems)

    def test_socket_closed_meanwhile(self, proc: FakeProc) -> None:
        proc.listen("0.0.0.0", 8080)
        proc.listen("0.0.0.0", 2049)
        walk = _sockets._Processes.walk

        def close_one(processes: _sockets._Processes, inodes: set[str]) -> None:
            walk(processes, inodes)
            proc.write("net/tcp", "head\n")
            proc.listen("0.0.0.0", 2049, inode=1002)

        with mock.patch.object(_sockets._Processes, "walk", close_one):
            assert listeners(proc) == [("tcp", "0.0.0.0", 2049, "kernel")]

    def test_process_ends_meanwhile(self, proc: FakeProc) -> None:
        inode = proc.listen("0.0.0.0", 80)
        proc.process(90, "nginx", [inode], ticks=500)
        proc.process(91, "nginx", [inode], ticks=400)
        (proc.root / "91/stat").unlink()
        (proc.root / "91/cgroup").unlink()
        assert [item.pid for item in read(proc).listeners] == [90]

    LINES = st.lists(
        st.one_of(
            st.text(),
            st.from_regex(_sockets._LINE),
            st.builds(
                "   0: {}:{} {}:{} {} 0:0 0:0 0 {} 0 {} 1".format,
                *[st.text("0123456789ABCDEFG", max_size=33), st.text("0123456789ABCDEFG", max_size=5)] * 2,
                st.sampled_from(["01", "07", "0A", "xx"]),
                st.integers(),
                st.integers(),
            ),
        ),
        max_size=5,
    )

    @settings(max_examples=60)
    @given(
        tables=st.fixed_dictionaries(dict.fromkeys(("tcp", "tcp6", "udp", "udp6"), LINES)),
        others=st.fixed_dictionaries(
            {
                name: st.binary(max_size=60)
                for name in (
                    *("net/fib_trie", "net/if_inet6", "net/nf_conntrack", "sys/net/ipv4/ip_local_port_range"),
                    *("sys/net/ipv4/ip_local_reserved_ports", "7/stat", "7/cgroup", "7/cmdline", "7/environ"),
                )
            }
        ),
        tracked=st.lists(st.tuples(st.sampled_from(["src", "dst", "sport", "dport"]), st.text(max_size=9))),
        name=st.text(st.characters(blacklist_characters="\0"), max_size=20),
        environment=st.tuples(st.text(), st.text()),
    )
    def test_hostile_content(
        self,
        tables: dict[str, list[str]],
        others: dict[str, bytes],
        tracked: list[tuple[str, str]],
        name: str,
        environment: tuple[str, str],
    ) -> None:
        with tempfile.TemporaryDirectory() as folder:
            proc = FakeProc(Path(folder))
            proc.process(7, "x", [proc.bind("0.0.0.0", 514), 0, 1, 2])
            for file, content in others.items():
                proc.write(file, content)
            for table, lines in tables.items():
                for line in lines:
                    proc.append(f"net/{table}", line.encode(errors="replace").decode() + "\n")
            text = " udp " + " ".join(f"{key}={value}" for key, value in tracked)
            proc.write("net/nf_conntrack", text.encode(errors="replace") + b"\n" + others["net/nf_conntrack"])
            words = (f"{key}={value}" for key, value in zip(("SSH_CONNECTION", "SSH_CLIENT"), environment))
            proc.write("8/environ", "\0".join(words).encode(errors="replace"))
            proc.write("8/stat", f"8 ({name}) S 7 {'0 ' * 18}".encode(errors="replace"))
            sockets = read_sockets(proc.path, lambda *_a, **_k: (0, name, ""))
            assert any(item.port == 514 for item in sockets.listeners)
            assert all(item.process.isprintable() for item in sockets.listeners)
            connection_in_use(proc.path, 8)
            ssh_ports(sockets, None)


class TestConnectionInUse:
    HERE = SshConnection("192.0.2.1", 40000, "192.0.2.10", 22)

    @pytest.fixture
    def session(self, proc: FakeProc) -> FakeProc:
        """Return a host with a live connection and, from it: sshd, a shell, sudo, a module."""
        proc.connect("192.0.2.10", 22, "192.0.2.1", 40000)
        proc.process(50, "sshd", parent=1)
        proc.process(51, "sh", parent=50, environment={"SSH_CONNECTION": "192.0.2.1 40000 192.0.2.10 22", "A": "b"})
        proc.process(52, "sudo", parent=51)
        proc.process(53, "python3", parent=52)
        return proc

    def test_below_sudo(self, session: FakeProc) -> None:
        assert connection_in_use(session.path, 53) == self.HERE
        assert connection_in_use(session.path, 51) == self.HERE

    def test_own_process(self, session: FakeProc) -> None:
        session.process(os.getpid(), "python3", parent=52)
        assert connection_in_use(session.path) == self.HERE

    def test_not_over_ssh(self, session: FakeProc) -> None:
        session.process(90, "cron", parent=1)
        session.process(91, "ansible-pull", parent=90)
        assert connection_in_use(session.path, 91) is None
        assert connection_in_use(session.path, 4711) is None

    def test_client_variable(self, proc: FakeProc) -> None:
        proc.connect("192.0.2.10", 22, "192.0.2.1", 40000)
        proc.process(51, "sh", environment={"SSH_CLIENT": "192.0.2.1 40000 22"})
        assert connection_in_use(proc.path, 51) == self.HERE

    def test_left_from_an_earlier_login(self, proc: FakeProc) -> None:
        environment = {"SSH_CONNECTION": "192.0.2.1 39999 192.0.2.10 22", "SSH_CLIENT": "192.0.2.1 39999 22"}
        proc.process(60, "tmux: server", environment=environment)
        proc.process(61, "bash", parent=60, environment=environment)
        proc.connect("192.0.2.10", 22, "192.0.2.1", 40000)
        proc.socket("tcp", "192.0.2.10", 22, "06", "192.0.2.1", 39999, inode=0)
        assert connection_in_use(proc.path, 61) is None

    def test_further_up_than_a_stale_one(self, session: FakeProc) -> None:
        session.process(54, "x", parent=53, environment={"SSH_CONNECTION": "192.0.2.9 1 192.0.2.10 22"})
        assert connection_in_use(session.path, 54) == self.HERE

    def test_nearest_of_two(self, session: FakeProc) -> None:
        session.connect("2001:db8::10", 22, "2001:db8::1", 5)
        session.process(54, "x", parent=53, environment={"SSH_CONNECTION": "2001:db8::1 5 2001:db8::10 22"})
        assert connection_in_use(session.path, 54) == SshConnection("2001:db8::1", 5, "2001:db8::10", 22)

    @pytest.mark.parametrize(
        ("local", "remote", "value", "source"),
        [
            ("fe80::10", "fe80::1", "fe80::1%eth0 5 fe80::10%eth0 22", "fe80::1"),
            ("::ffff:192.0.2.10", "::ffff:192.0.2.1", "192.0.2.1 5 192.0.2.10 22", "192.0.2.1"),
            ("::ffff:192.0.2.10", "::ffff:192.0.2.1", "::ffff:192.0.2.1 5 ::ffff:192.0.2.10 22", "192.0.2.1"),
            ("127.0.0.1", "127.0.0.1", "127.0.0.1 5 127.0.0.1 22", "127.0.0.1"),
        ],
    )
    def test_addresses(self, proc: FakeProc, local: str, remote: str, value: str, source: str) -> None:
        proc.connect(local, 22, remote, 5)
        proc.process(51, "sh", environment={"SSH_CONNECTION": value})
        connection = connection_in_use(proc.path, 51)
        assert connection is not None
        assert connection.source == source

    @pytest.mark.parametrize(
        "value",
        [
            "UNKNOWN 65535 UNKNOWN 65535",
            "192.0.2.1 40000 192.0.2.10",
            "192.0.2.1 x 192.0.2.10 22",
            "192.0.2.1 40000 192.0.2.11 22",
            "192.0.2.1 40000 x 22",
            "192.0.2.1 40000 192.0.2.10 23",
            "",
        ],
    )
    def test_values_of_no_connection(self, proc: FakeProc, value: str) -> None:
        proc.connect("192.0.2.10", 22, "192.0.2.1", 40000)
        proc.process(51, "sh", environment={"SSH_CONNECTION": value})
        assert connection_in_use(proc.path, 51) is None

    def test_ancestors_in_a_circle(self, proc: FakeProc) -> None:
        proc.process(60, "a", parent=61)
        proc.process(61, "b", parent=60)
        assert connection_in_use(proc.path, 60) is None


class TestSshPorts:
    SESSION = "0::/user.slice/user-0.slice/session-1.scope\n"

    @pytest.mark.parametrize(
        "title",
        ["/usr/sbin/sshd\0-D\0", "sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups"],
    )
    def test_server(self, proc: FakeProc, title: str) -> None:
        inodes = [proc.listen("0.0.0.0", 2222), proc.listen("::", 2222), proc.listen("192.0.2.10", 22)]
        proc.process(50, "sshd", [*inodes, proc.listen("127.0.0.1", 2022)], title=title)
        proc.process(60, "java", [proc.listen("0.0.0.0", 7999)])
        assert ssh_ports(read(proc), None) == [22, 2222]
        assert ssh_ports(read(proc), SshConnection("192.0.2.1", 1, "192.0.2.10", 10022)) == [22, 2222, 10022]

    def test_dropbear(self, proc: FakeProc) -> None:
        proc.process(50, "dropbear", [proc.listen("0.0.0.0", 22)])
        proc.process(51, "dropbear", [proc.listen("0.0.0.0", 9000)], parent=50)
        assert ssh_ports(read(proc), None) == [22]

    def test_none(self, proc: FakeProc) -> None:
        assert ssh_ports(read(proc), None) == []

    @pytest.mark.parametrize(
        ("name", "title"),
        [("sshd", "sshd: root@pts/0"), ("sshd", "sshd: admin [priv]"), ("sshd-session", "sshd-session: root@notty")],
    )
    def test_forwarded_by_a_session(self, proc: FakeProc, name: str, title: str) -> None:
        inode = proc.connect("192.0.2.10", 9000, "192.0.2.1", 40000)
        proc.process(51, name, [proc.listen("0.0.0.0", 9000), inode], cgroup=self.SESSION, title=title)
        sockets = read(proc)
        assert sockets.listeners[0].forwarded
        assert ssh_ports(sockets, None) == []

    def test_name_alone_proves_nothing(self, proc: FakeProc) -> None:
        proc.process(51, "sshd", [proc.listen("0.0.0.0", 9000, uid=1001)])
        proc.process(52, "sshd", [proc.bind("0.0.0.0", 9001)])
        assert ssh_ports(read(proc), None) == []

    @pytest.mark.parametrize("unit", ["ssh.socket", "sshd.socket", "dropbear.socket", "sshd@two.socket"])
    def test_systemd_keeps_the_socket(self, unit: str) -> None:
        sockets = Sockets((Listener("tcp", "::", 22, 1, "systemd", unit),), ())
        assert ssh_ports(sockets, None) == [22]

    def test_systemd_keeps_another_socket(self) -> None:
        sockets = Sockets((Listener("tcp", "::", 9090, 1, "systemd", "cockpit.socket"),), ())
        assert ssh_ports(sockets, None) == []

    def test_systemd_keeps_a_socket_of_unknown_unit(self, proc: FakeProc) -> None:
        inodes = (proc.listen("::", 22), proc.listen("::", 9090))
        for number, inode in enumerate(inodes):
            (proc.root / f"1/fd/{number + 3}").symlink_to(f"socket:[{inode}]")
        assert ssh_ports(read(proc), None) == []
        inode = proc.connect("2001:db8::10", 22, "2001:db8::1", 40000)
        proc.process(51, "sshd", [inode], cgroup="0::/system.slice/system-ssh.slice/ssh@0.service\n")
        assert ssh_ports(read(proc), None) == [22]
