# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The firewall as others see it: what is open to whom, and that nobody is cut off whatever happens to a run.

What listens where, and who may reach it, is in `firewalled.py`. Most hosts share the same few runs.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

import pytest
import yaml

from .firewalled import (
    CLIENTS,
    CLUSTER_PORTS,
    COMMON,
    MEMBER,
    PRODUCTS,
    SCAN,
    STAND_INS,
    Scan,
    addresses,
    expected,
    listen,
    reachable,
    say_of,
    scan,
    wanted,
    watch,
)
from .lab import CHECKOUT, Lab, Outcome, Run

ROLE = ("--tags", "firewall")
TASK = yaml.safe_load((CHECKOUT / "roles/firewall/tasks/main.yml").read_text(encoding="utf-8"))[0]["name"]
TABLE = "inet atlassian-dc-firewall"
LOADED = f"told('nft', 'list', 'table', *{TABLE.split()!r})"
"""The moment at which our rules are in force."""
CONFIRMED = "/etc/atlassian-dc-firewall/rules.nft"
CANDIDATE = "/run/atlassian-dc-firewall/candidate"
TIMER = "/run/systemd/transient/atlassian-dc-firewall-restore.timer"
UNIT = "atlassian-dc-firewall.service"
ENFORCED = {"DC-NET-01", "DC-NET-02", "DC-NET-03", "DC-NET-04"}
PATIENCE = 15
"""Seconds after which the timer restores in the runs that are broken off."""
NEW = "ct state new"
"""What nftables calls packets of connections that begin."""
CONFIRMING: dict[str, Any] = {"atlassian_dc_firewall_confirm_timeout": 120}
"""For those that are not broken off before they confirm."""
LOCKED_OUT, WATCHED, BEHIND, ODD, BANNED = OTHERS = ("lockedout", "watched", "behind", "odd", "banned")
"""Hosts of an agent: who runs it is left out; with a flow nobody declared; reached through another host, its SSH
started by a socket on another port; without IPv6, with policy routing, reached through sudo; with fail2ban's bans."""
BROKEN_OFF = ("early", "late", "ruled", "cut")
"""Hosts whose runs are broken off."""
SCANNED = (*PRODUCTS, ODD, BANNED)
EDITED = ("jira1", "crowd1", "bamboo1", BANNED)
RESTARTED = ("jira1", "walled1")
BOXED = ("confluence1", "bitbucket1")
"""Hosts with what looks like a container; the interface of the first one's is trusted."""
BOX = """
    ip netns add box
    ip link add ctr0 type veth peer name eth0 netns box
    ip address add 192.0.2.1/24 dev ctr0
    ip link set ctr0 up
    ip -n box address add 192.0.2.2/24 dev eth0
    ip -n box link set eth0 up
    nft -f - <<'END'
table ip container-net {
    chain postrouting {
        type nat hook postrouting priority srcnat; policy accept;
        ip saddr 192.0.2.0/24 ip daddr != 192.0.2.0/24 masquerade
    }
}
END
"""
FOREIGN = """nft -f - <<'END'
table inet foreign {
    set unwanted {
        type ipv4_addr
        elements = { 198.51.100.7 }
    }
    chain input {
        type filter hook input priority 10; policy accept;
        ip saddr @unwanted drop
    }
}
END
"""
BY_SOCKET = """
    mkdir -p /etc/systemd/system/ssh.socket.d
    printf '[Socket]\\nListenStream=\\nListenStream=2222\\n' > /etc/systemd/system/ssh.socket.d/port.conf
    systemctl daemon-reload
    systemctl disable --now --quiet ssh.service
    systemctl enable --now --quiet ssh.socket
"""
UNUSUAL = """
    sysctl -qw net.ipv6.conf.all.disable_ipv6=1
    ip route add default via "$(ip route show default | cut -d' ' -f3)" dev eth0 table 100
    ip route add "$(ip route show proto kernel | cut -d' ' -f1)" dev eth0 table 100
    ip rule add from all lookup 100 priority 100
    useradd --create-home visitor
    install -d -m 0700 -o visitor ~visitor/.ssh
    install -m 0600 -o visitor ~/.ssh/authorized_keys ~visitor/.ssh/authorized_keys
    echo 'visitor ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/visitor
"""
BAN = """
    fail2ban-client set sshd bantime 86400
    fail2ban-client set sshd banip 203.0.113.7 2001:db8::7
    until nft list set inet f2b-table addr6-set-sshd 2>/dev/null | grep -q 2001:db8::7; do sleep 0.1; done
"""
READY = "import subprocess; subprocess.run(['systemd-notify', '--ready'], check=True)"
KEEP_CONNECTION = f"""
import socket, time
kept = socket.create_connection(("{{}}", 9100))
{READY}
time.sleep(100000)
"""
# A query sent before the rules are loaded, and its answer after that.
ANSWER_LATE = f"""
import pathlib, socket, time
server = socket.create_server(("", 7000))
{READY}
connection = server.accept()[0]
while not pathlib.Path("/run/answer-now").exists():
    time.sleep(0.1)
connection.sendall(b"late")
time.sleep(100000)
"""
ASK_EARLY = f"""
import pathlib, socket, time
connection = socket.create_connection(("stranger", 7000))
{READY}
pathlib.Path("/run/answer").write_bytes(connection.recv(10))
time.sleep(100000)
"""
SERVICES = "atlassian_dc_firewall_services"
MANY = [f"172.{16 + number // 250}.{number % 250}.0/25" for number in range(1000)]
"""Further networks of administrators."""
OUTBOUND = [
    {"name": "broker", "ports": [54663], "to": ["bamboo1"]},
    {"name": "SSH", "ports": [22], "to": ["admin"]},
]
Row = Callable[[str, str, str, bool], None]


def ruleset(lab: Lab, host: str) -> str:
    return lab.sh(host, "nft -s list ruleset")


def ours(lab: Lab, host: str) -> str:
    """Return our rules as they are in force; empty where there are none. firewalld tells a policy's in any order."""
    return lab.sh(
        host,
        f"""
        nft -s list table {TABLE} 2>/dev/null || true
        command -v firewall-cmd >/dev/null || exit 0
        for policy in $(firewall-cmd --get-policies); do
            case $policy in atlassian-dc-*) firewall-cmd --info-policy="$policy" | sort ;; esac
        done
        """,
    )


def others(lab: Lab, host: str) -> str:
    """Return all tables but ours; with firewalld, which has all in one, the zones of its administrator."""
    if host == "walled1":
        return lab.sh(host, "firewall-cmd --list-all-zones")
    tables = lab.sh(host, "nft list tables").replace("table ", "").splitlines()
    return "".join(lab.sh(host, f"nft -s list table {table}") for table in tables if table != TABLE)


def told(outcome: Outcome, host: str, control: str) -> str:
    """Return all that was said of a control."""
    entries = [entry for entry in outcome.entries(host) if entry["id"] == control]
    return json.dumps([[entry["reason"], entry["evidence"]] for entry in entries])


# ---- runs that are broken off ------------------------------------------------------------------


class Broken:
    """A host whose runs are broken off one after the other, and what came of each."""

    def __init__(self, lab: Lab, host: str) -> None:
        self.lab, self.host = lab, host
        self.rows: dict[str, tuple[str, str, bool]] = {}

    def harden(self, during: Callable[[Run], None] | None = None, **options: Any) -> Outcome:
        options = {"atlassian_dc_firewall_confirm_timeout": PATIENCE, **options}
        return self.lab.play("harden", *ROLE, "--limit", self.host, during=during, **options)

    def kill_at(self, moment: str, *options: str, **more: Any) -> Outcome:
        """Run, and kill the controller at a moment; with `kill`, what works on the host too."""

        def during(run: Run) -> None:
            watch(self.lab, self.host, moment, *options)
            run.kill()

        return self.harden(during, **more)

    def kill_loaded(self, moment: str, **more: Any) -> Outcome:
        """Kill it once the rules are loaded; from there on the host lets no new connection in, to confirm them."""

        def during(run: Run) -> None:
            self.cut_at(moment)
            run.kill()
            self.join()

        return self.harden(during, **more)

    def cut_at(self, moment: str, words: str = NEW) -> None:
        """Let nothing in any more from a moment on that comes from here over SSH and is as these words say."""
        # On the host: the run must not be faster.
        watch(self.lab, self.host, moment, "cut", self.lab.group.controller()[0], words)

    def join(self) -> None:
        """Let it in again."""
        self.lab.sh(self.host, "nft delete table inet cut")

    def state(self) -> str:
        """Return how far the run came."""
        return self.lab.sh(
            self.host,
            f"""
            [ ! -e {CANDIDATE} ] || echo written
            [ ! -e {TIMER} ] || echo armed
            ! nft list table {TABLE} >/dev/null 2>&1 || echo loaded
            [ ! -e {CONFIRMED} ] || echo confirmed
            """,
        ).replace("\n", " ")

    def after(self, title: str, found: str, rules: str | None, restart: bool = True) -> None:
        """Wait until nothing is under way any more and look at the host, also after a restart.

        Args:
            title: when it was broken off.
            found: how far the run was seen to have come.
            rules: the rules that must be there; None: those of the run or none, a new connection has proved them.
            restart: whether to restart the host.

        """
        watch(self.lab, self.host, f"not there({TIMER!r})")
        here = reachable(self.lab, self.host)
        loaded = ours(self.lab, self.host)
        if restart:
            self.lab.group.restart(self.host)
        here_again = reachable(self.lab, self.host)
        booted = ours(self.lab, self.host)
        right = (
            here and here_again and rules in (None, loaded) and booted in ((loaded, "") if rules is None else (rules,))
        )
        names = {rules: "earlier rules", "": "no rules"}
        seen = f"{found.strip() or 'nothing'} → {names.get(loaded, 'rules of the run')}"
        seen += f", {'reachable' if here else 'CUT OFF'}"
        seen += f", after a restart {names.get(booted, 'rules of the run')}, {'reachable' if here_again else 'CUT OFF'}"
        wanted_rules = {None: "either", "": "no rules"}.get(rules, "earlier rules")
        self.rows[title] = (f"reachable, {wanted_rules}", seen, right)


def early(broken: Broken) -> None:
    """Break off before anything is loaded."""

    def before(run: Run) -> None:
        run.held()
        run.kill()

    assert broken.harden(before, hold_before=TASK).code == -signal.SIGKILL
    broken.after("before it begins", broken.state(), "", restart=False)
    broken.kill_at(f"there({CANDIDATE!r})", "kill")
    broken.after("when the rules are written", broken.state(), "")
    broken.kill_at(f"there({TIMER!r})", "kill")
    broken.after("when the timer is armed", broken.state(), "")


def late(broken: Broken) -> None:
    """Break off once the rules are loaded, and while they are confirmed."""
    broken.kill_loaded(LOADED)
    found = broken.state()
    broken.after("between load and confirmation", found, "")

    def stopped(run: Run) -> None:
        watch(broken.lab, broken.host, f"there({TIMER!r})")
        watch(broken.lab, broken.host, f"not there({TIMER!r})", "kill")
        run.kill()

    broken.harden(stopped, **CONFIRMING)
    broken.after("when the timer is stopped", broken.state(), None)
    # Without what that left in force or confirmed, the next one does something.
    broken.lab.sh(broken.host, f"rm -f {CONFIRMED}; nft delete table {TABLE} 2>/dev/null || true")
    broken.kill_at(f"there({CONFIRMED!r})", "kill", **CONFIRMING)
    broken.after("while it confirms", broken.state(), None)


def ruled(broken: Broken) -> None:
    """Break off a second run: the rules of the first are those that stay."""
    broken.kill_at(f"there({CONFIRMED!r}) and not there({TIMER!r})", **CONFIRMING)
    broken.after("when it has confirmed", broken.state(), None)
    first = broken.harden(**CONFIRMING)
    assert first.code == 0, first.output
    rules = ours(broken.lab, broken.host)
    assert rules
    more = {SERVICES: [{"name": "more", "ports": [9200], "protocol": "tcp", "from": ["any"]}]}
    loaded = f"'9200' in {LOADED}"
    broken.kill_loaded(loaded, **more)
    broken.after("second run, between load and confirmation", broken.state(), rules)

    def crash(run: Run) -> None:
        broken.cut_at(loaded)
        run.kill()
        broken.lab.crash(broken.host)

    broken.harden(crash, **more)
    broken.after("second run, the host crashes between load and confirmation", broken.state(), rules)


def cut(broken: Broken) -> None:
    """Cut the line after the load: for new connections, then for all, until the timer has restored."""
    for what, words in (("new connections", NEW), ("the line", "")):

        def cut_off(_run: Run, words: str = words) -> None:
            broken.cut_at(LOADED, words)
            watch(broken.lab, broken.host, f"not {LOADED}")
            broken.join()

        outcome = broken.harden(cut_off)
        title = f"{what} cut after the load"
        broken.after(title, f"exit code {outcome.code}", "", restart=False)
        wanted_words, seen, right = broken.rows[title]
        failing = ENFORCED & outcome.with_status(broken.host, "fail", "error")
        right = right and {"DC-NET-01", "DC-NET-04"} <= failing and not outcome.with_status(broken.host, "fixed")
        broken.rows[title] = (f"{wanted_words}, nothing called fixed", f"{seen}, failing: {len(failing)}", right)


def walled(broken: Broken) -> None:
    """Break off a run with firewalld that follows another."""
    rules = ours(broken.lab, broken.host)
    more: dict[str, Any] = {SERVICES: [{"name": "more", "ports": [9100, 9200], "from": ["any"]}]}
    more["atlassian_dc_firewall_closed"] = [{"ports": [5161, 5405], "protocol": "udp"}]
    broken.kill_loaded("'9200' in told('firewall-cmd', '--list-all-policies')", **more)
    broken.after("firewalld, between load and confirmation", broken.state(), rules)


BREAKS: dict[str, Callable[[Broken], None]] = {
    "early": early,
    "late": late,
    "ruled": ruled,
    "cut": cut,
    "walled1": walled,
}
TITLES = {
    "early": ["before it begins", "when the rules are written", "when the timer is armed"],
    "late": ["between load and confirmation", "when the timer is stopped", "while it confirms"],
    "ruled": [
        "when it has confirmed",
        "second run, between load and confirmation",
        "second run, the host crashes between load and confirmation",
    ],
    "cut": ["new connections cut after the load", "the line cut after the load"],
    "walled1": ["firewalld, between load and confirmation"],
}


# ---- runs that come to their end ---------------------------------------------------------------


class Story:
    """All hosts, from what their images are to hardened, edited, restarted and rolled back."""

    def __init__(self, lab: Lab, pool: ThreadPoolExecutor) -> None:
        self.lab = lab
        agents = dict.fromkeys((*OTHERS, *BROKEN_OFF), "agent") | {BANNED: "fail2ban"}
        lab.up([f"{host}={image}" for host, image in {**CLIENTS, **PRODUCTS, **agents}.items()])
        list(pool.map(self.prepare, (*PRODUCTS, *OTHERS)))
        self.declare()
        self.before = self.scan()
        self.broken: dict[str, Future[Broken]] = {host: pool.submit(self.break_off, host) for host in BROKEN_OFF}
        self.rulesets = self.of_all(ruleset)
        self.others = self.of_all(others)
        bad_port: dict[str, Any] = {SERVICES: [{"name": "x", "ports": [70000], "from": ["any"]}]}
        looks = {
            "audit": pool.submit(self.play, "audit"),
            "check": pool.submit(self.play, "harden", "--check"),
            "bad_networks": pool.submit(self.play, "harden", atlassian_dc_admin_networks=["10.0.0.0/8", "10.1.2.3/33"]),
            "bad_port": pool.submit(self.play, "harden", **bad_port),
            "bad_name": pool.submit(
                self.lab.play, "harden", *ROLE, "--limit", "jira1", atlassian_dc_cluster_peers=["node2.example.invalid"]
            ),
        }
        self.looks = {name: look.result() for name, look in looks.items()}
        self.audit, self.check = self.looks["audit"], self.looks["check"]
        self.rulesets_after_looks = self.of_all(ruleset)
        self.harden = self.play("harden")
        lab.sh("stranger", "touch /run/answer-now")
        self.after = self.scan()
        self.outbound = self.scan_from(BANNED, [(host, 22) for host in ("admin", "stranger")])
        self.boxed = {host: self.scan_from_box(host) for host in BOXED}
        self.others_after = self.of_all(others)
        self.refused = {host: ruleset(lab, host) for host in (LOCKED_OUT, WATCHED)}
        say_of(lab, WATCHED, {})
        self.second = self.play("harden")
        self.watched = scan(lab, {WATCHED: ["tcp/9100"]})
        self.answer = lab.sh("jira1", "cat /run/answer || true")
        self.kept = lab.sh("monitoring", "systemctl is-active keeps-connection.service || true").strip()
        # Each on hosts of their own, so side by side.
        rolled_back = pool.submit(self.roll_back)
        self.rules_before_restart = {host: ours(lab, host) for host in RESTARTED}
        restarted = [pool.submit(lab.group.restart, "walled1")]
        self.edit()
        self.edited = self.play("audit", hosts=EDITED)
        self.repaired = self.play("harden", hosts=EDITED)
        restarted.append(pool.submit(lab.group.restart, "jira1"))
        for step in (*restarted, rolled_back):
            step.result()
        self.rules_after_restart = {host: ours(lab, host) for host in RESTARTED}
        self.restarted = scan(lab, {host: wanted(host) for host in RESTARTED})
        self.broken["walled1"] = pool.submit(self.break_off, "walled1")
        wait(self.broken.values())
        self.last = lab.play("harden", *ROLE, "--limit", ",".join(BROKEN_OFF))

    def prepare(self, host: str) -> None:
        """Make a host what it plays."""
        lab = self.lab
        if host in (*PRODUCTS, ODD, BANNED):
            cluster = {"stand-in-cluster": CLUSTER_PORTS[host]} if host in CLUSTER_PORTS else {}
            listen(lab, host, {**STAND_INS, **cluster}, MEMBER.get(host, ""))
        if host in BOXED:
            lab.sh(host, BOX)
        if host == "jira1":
            lab.sh(host, FOREIGN)
            self.start("stranger", "answers-late", ANSWER_LATE)
            self.start(host, "asks-early", ASK_EARLY)
        if host == "walled1":
            ports = " ".join(f"--add-port={number}/{protocol}" for protocol, number in map(split, COMMON))
            lab.sh(host, f"firewall-cmd -q --permanent {ports} && firewall-cmd -q --reload")
        if host == WATCHED:
            listen(lab, host, {"stand-in-node-exporter": ["tcp/9100"]})
            self.start("monitoring", "keeps-connection", KEEP_CONNECTION.format(lab.group.hosts()[host].address))
        if host == BEHIND:
            lab.sh(host, BY_SOCKET)
            # Nothing has brought it yet.
            lab.sh(host, "apt-get purge -qq -y nftables")
        if host == ODD:
            lab.sh(host, UNUSUAL)
        if host == BANNED:
            lab.sh(host, BAN)
        if host in SCANNED:
            # Not all of them have a page that tells of them.
            numbers = [number for protocol, number in map(split, wanted(host)) if protocol == "tcp" and number != "22"]
            watch(lab, host, f"all(f':{{number}} ' in told('ss', '-ltn') for number in {numbers!r})")

    def start(self, host: str, unit: str, program: str) -> None:
        """Start a Python program as a unit, return when it says that it is ready."""
        ready = ["--property=Type=notify", "--property=NotifyAccess=all"]
        self.lab.group.output(host, ["systemd-run", "-q", *ready, f"--unit={unit}", "/usr/bin/python3", "-c", program])

    def declare(self) -> None:
        """Say what an administrator says; once for all hosts, and what is different on some."""
        lab = self.lab
        watcher = addresses(lab, "monitoring")
        admins = [*lab.group.controller(), *addresses(lab, "admin")]
        say_of(
            lab,
            "all",
            {
                "atlassian_dc_admin_networks": admins,
                # The controller too looks at pages of test hosts, to see that they are up.
                "atlassian_dc_proxy_addresses": [*lab.group.controller(), *addresses(lab, "proxy")],
                # By their names in the inventory, which knows the IPv4 address only.
                "atlassian_dc_cluster_peers": ["peer", *addresses(lab, "peer")[1:]],
                # All hosts with an agent, for they all talk to bamboo1.
                "atlassian_dc_firewall_agents": ["agent", *addresses(lab, "agent")[1:], *OTHERS, *BROKEN_OFF],
                SERVICES: [
                    {"name": "metrics", "ports": [9100], "protocol": "tcp", "from": watcher},
                    {"name": "state of devices", "ports": [5161], "protocol": "udp", "from": watcher},
                ],
                "atlassian_dc_firewall_closed": [{"ports": [5405], "protocol": "udp"}],
            },
        )
        admin_only = {"atlassian_dc_admin_networks": addresses(lab, "admin")}
        through_admin = {"ansible_port": 2222, "ansible_ssh_common_args": "-o ProxyJump=admin"}
        say_of(lab, LOCKED_OUT, admin_only)
        say_of(lab, WATCHED, {SERVICES: []})
        say_of(lab, BEHIND, {**admin_only, **through_admin})
        say_of(lab, ODD, {"ansible_user": "visitor"})
        say_of(lab, BOXED[0], {"atlassian_dc_firewall_trusted_interfaces": ["ctr0"]})
        say_of(lab, BANNED, {"atlassian_dc_firewall_outbound": OUTBOUND})
        many = {"atlassian_dc_admin_networks": [*admins, *MANY]}
        say_of(lab, "walled1", many)
        # One is reached over IPv6, where there is any.
        say_of(lab, "crowd1", {**many, "ansible_host": addresses(lab, "crowd1")[-1]})

    def play(
        self, playbook: str, *arguments: str, hosts: Iterable[str] = (*PRODUCTS, *OTHERS), **variables: Any
    ) -> Outcome:
        return self.lab.play(playbook, *ROLE, "--limit", ",".join(hosts), *arguments, **variables)

    def scan(self) -> Scan:
        found = scan(self.lab, {host: wanted(host) for host in SCANNED})
        return {key: word for key, word in found.items() if (key[1], key[2]) != (ODD, "IPv6")}

    def of_all(self, look: Callable[[Lab, str], str]) -> dict[str, str]:
        # One of the others has no program to look with before it is hardened.
        return {host: look(self.lab, host) for host in (*PRODUCTS, *OTHERS) if host != BEHIND}

    def scan_from(self, host: str, targets: Sequence[tuple[str, int]]) -> list[str]:
        known = self.lab.group.hosts()
        asked = json.dumps([(known[target].address, "tcp", port) for target, port in targets])
        return list(json.loads(self.lab.group.output(host, ["python3", "-c", SCAN, asked])))

    def scan_from_box(self, host: str) -> list[str]:
        asked = json.dumps([["192.0.2.1", "tcp", 9100], ["192.0.2.1", "udp", 5405]])
        return list(
            json.loads(self.lab.group.output(host, ["ip", "netns", "exec", "box", "python3", "-c", SCAN, asked]))
        )

    def break_off(self, host: str) -> Broken:
        broken = Broken(self.lab, host)
        BREAKS[host](broken)
        return broken

    def edit(self) -> None:
        """Change by hand what is loaded, what is confirmed, and whether it is loaded at boot."""
        self.lab.sh("jira1", f"nft insert rule {TABLE} input tcp dport 8080 accept")
        self.lab.sh("crowd1", f"sed -i 's/8095/8096/' {CONFIRMED}")
        self.lab.sh("bamboo1", f"systemctl disable --quiet {UNIT}")
        self.lab.sh(BANNED, f"nft delete table {TABLE}")

    def roll_back(self) -> None:
        """Load other rules on one of the hosts, then take them back, and then the first ones."""
        host, lab = "bitbucket1", self.lab
        limit = ("--limit", host)
        first = lab.sh(host, "ls /var/lib/atlassian-dc/runs").split()[0]
        states = [ours(lab, host)]
        more: dict[str, Any] = {
            SERVICES: [{"name": "more", "ports": [9100, "9200-9299"], "protocol": "tcp", "from": ["any"]}]
        }
        more["atlassian_dc_firewall_closed"] = [{"ports": [5161, 5405], "protocol": "udp"}]
        self.other_rules = lab.play("harden", *ROLE, *limit, **more)
        states.append(ours(lab, host))
        self.rollbacks = [lab.play("rollback", *limit)]
        states.append(ours(lab, host))
        self.rollbacks.append(lab.play("rollback", *limit, atlassian_dc_rollback_run=first))
        states.append(ours(lab, host))
        self.rolled_back = states
        self.left = lab.sh(host, f"ls {CONFIRMED} /etc/systemd/system/{UNIT} 2>/dev/null || true")


def split(port: str) -> tuple[str, str]:
    protocol, _slash, number = port.partition("/")
    return protocol, number


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    lab = Lab("fidelity-firewall", tmp_path_factory.mktemp("firewall"))
    try:
        with ThreadPoolExecutor(max_workers=12) as pool:
            yield Story(lab, pool)
    finally:
        lab.down()


def compare(found: Scan, right: Scan, host: str, family: str) -> tuple[int, list[str]]:
    """Return how many ports of a host were looked at over a family, and those that were not as they should be."""
    keys = [key for key in found if key[1:3] == (host, family)]
    if not keys:
        pytest.skip(f"{family} is not known to this machine's kernel")
    wrong = [f"{key[3]} from {key[0]}: {found[key]}, not {right[key]}" for key in keys if found[key] != right[key]]
    return len(keys), wrong


FAMILIES = [(host, family) for host in SCANNED for family in ("IPv4", "IPv6") if (host, family) != (ODD, "IPv6")]


@pytest.mark.parametrize(("host", "family"), FAMILIES)
def test_before_it_is_hardened_everything_is_open(story: Story, row: Row, host: str, family: str) -> None:
    # The firewalld of the image lets those in that its administrator has named.
    right = dict.fromkeys(story.before, "open")
    number, wrong = compare(story.before, right, host, family)
    row(f"{host}: before, {family}", f"{number} open to everybody", "; ".join(wrong) or f"{number} are", not wrong)
    assert wrong == []


@pytest.mark.parametrize(("host", "family"), FAMILIES)
def test_after_it_is_hardened_each_port_is_open_to_those_it_is_for(
    story: Story, row: Row, host: str, family: str
) -> None:
    assert story.harden.code == 0, story.harden.output
    number, wrong = compare(story.after, expected(story.after), host, family)
    found = "; ".join(wrong) or f"{number} are"
    row(f"{host}: hardened, {family}", f"{number} ports and clients as declared", found, not wrong)
    assert wrong == []


@pytest.mark.parametrize("host", PRODUCTS)
def test_what_was_predicted_is_fixed(story: Story, row: Row, host: str) -> None:
    predicted, checked = (ENFORCED & run.with_status(host, "fail") for run in (story.audit, story.check))
    fixed = ENFORCED & story.harden.with_status(host, "fixed")
    right = predicted == checked == fixed and "DC-NET-01" in fixed
    row(f"{host}: firewall", f"{len(predicted)} predicted", f"{len(fixed)} fixed", right)
    assert predicted == checked == fixed
    assert {"DC-NET-01", "DC-NET-02", "DC-NET-04"} <= fixed
    assert not story.harden.with_status(host, "error")


def test_audit_and_check_mode_change_nothing(story: Story, row: Row) -> None:
    for outcome in (story.audit, story.check):
        assert outcome.code == 0, outcome.output
    right = story.rulesets == story.rulesets_after_looks
    row("all hosts: audit, harden --check: rule set", "unchanged", "unchanged" if right else "changed", right)
    assert story.rulesets_after_looks == story.rulesets


@pytest.mark.parametrize("host", [*PRODUCTS, BEHIND, ODD, BANNED])
def test_a_second_run_changes_nothing(story: Story, row: Row, host: str) -> None:
    tasks = story.second.changed_tasks(host)
    row(f"{host}: second harden, firewall", "changed=0", f"changed={len(tasks)}", not tasks)
    assert tasks == []
    assert not story.second.with_status(host, "fixed", "error")
    assert not ENFORCED & story.second.with_status(host, "fail")


@pytest.mark.parametrize("host", [BEHIND, ODD])
def test_the_connection_in_use_is_known(story: Story, row: Row, host: str) -> None:
    fixed = ENFORCED & story.harden.with_status(host, "fixed")
    row(f"{host}: hardened", "DC-NET-01 and DC-NET-04 fixed", " ".join(sorted(fixed)), "DC-NET-04" in fixed)
    assert {"DC-NET-01", "DC-NET-04"} <= fixed, story.harden.output


def test_who_would_lock_himself_out_is_refused(story: Story, row: Row) -> None:
    controller = story.lab.group.controller()[0]
    failing = ENFORCED & story.harden.with_status(LOCKED_OUT, "fail")
    what = told(story.harden, LOCKED_OUT, "DC-NET-04")
    untouched = story.refused[LOCKED_OUT] == story.rulesets[LOCKED_OUT] and not story.harden.changed_tasks(LOCKED_OUT)
    right = "DC-NET-04" in failing and untouched and controller in what
    row("admin networks without the controller", "refused, nothing changed", f"{what[:60]}…", right)
    assert "DC-NET-04" in failing, story.harden.output
    assert untouched
    assert controller in what


def test_a_flow_that_nobody_declared_is_refused_with_its_name(story: Story, row: Row) -> None:
    watcher = story.lab.group.hosts()["monitoring"].address
    what = told(story.harden, WATCHED, "DC-NET-01")
    right = all(word in what for word in ("9100", watcher, "stand-in-node-exporter.service"))
    untouched = story.refused[WATCHED] == story.rulesets[WATCHED]
    row("undeclared flow of monitoring", "refused with its name", f"{what[:60]}…", right and untouched)
    assert right, what
    assert untouched


def test_the_flow_is_kept_once_it_is_declared(story: Story, row: Row) -> None:
    fixed = {"DC-NET-01", "DC-NET-04"} <= story.second.with_status(WATCHED, "fixed")
    wrong = [key for key, word in expected(story.watched).items() if story.watched[key] != word]
    right = fixed and not wrong and story.kept == "active"
    row("declared flow of monitoring", "fixed, the flow lives", f"{'fixed' if fixed else 'not'}, {story.kept}", right)
    assert fixed, story.second.output
    assert wrong == []
    assert story.kept == "active"


@pytest.mark.parametrize("host", [*PRODUCTS, BANNED])
def test_tables_of_others_stay_as_they_are(story: Story, row: Row, host: str) -> None:
    before, after = story.others[host], story.others_after[host]
    tables = [line.removesuffix(" {") for line in before.splitlines() if line.startswith("table ")]
    what = "zones of firewalld" if host == "walled1" else ", ".join(tables) or "no other table"
    row(
        f"{host}: {what}",
        "unchanged",
        "same" if before == after else after,
        before == after,
    )
    assert after == before
    assert bool(tables) == (host in ("jira1", BANNED, *BOXED))


def test_an_answer_comes_in_although_the_rules_came_before_it(story: Story, row: Row) -> None:
    right = story.answer == "late"
    row("query sent before the load", "answered after it", story.answer or "no answer", right)
    assert right


def test_a_trusted_interface_is_open_and_others_are_not(story: Story, row: Row) -> None:
    right = story.boxed == {BOXED[0]: ["open", "open"], BOXED[1]: ["filtered", "filtered"]}
    row("from a container, trusted and not", "open, filtered", str([*story.boxed.values()]), right)
    assert right


@pytest.mark.parametrize("host", EDITED)
def test_what_was_changed_by_hand_is_found_and_repaired(story: Story, row: Row, host: str) -> None:
    found = ENFORCED & story.edited.with_status(host, "fail")
    fixed = ENFORCED & story.repaired.with_status(host, "fixed")
    right = bool(found) and found == fixed
    row(f"{host}: rules changed by hand", "found and repaired", f"{len(found)} found, {len(fixed)} repaired", right)
    assert found
    assert found == fixed


def test_confirmed_rules_come_back_with_a_restart(story: Story, row: Row) -> None:
    wrong = [key for key, word in expected(story.restarted).items() if story.restarted[key] != word]
    right = not wrong and story.rules_after_restart == story.rules_before_restart
    row("after a restart of jira1 and walled1", "as before", "; ".join(map(str, wrong)) or "as before", right)
    assert wrong == []
    assert story.rules_after_restart == story.rules_before_restart


def test_rollback_restores_the_earlier_rules(story: Story, row: Row) -> None:
    for outcome in (story.other_rules, *story.rollbacks):
        assert outcome.code == 0, outcome.output
    first, second, third, fourth = story.rolled_back
    right = third == first != second and fourth == "" and first != ""
    row("rollback of the second run, then of the first", "first rules, none", "so" if right else "not so", right)
    assert first != second
    assert third == first
    assert fourth == ""
    assert story.left == ""


@pytest.mark.parametrize("title", [title for titles in TITLES.values() for title in titles])
def test_nobody_is_cut_off_when_a_run_is_broken_off(story: Story, row: Row, title: str) -> None:
    host = next(host for host, titles in TITLES.items() if title in titles)
    wanted_words, found, right = story.broken[host].result().rows[title]
    row(f"broken off {title}", wanted_words, found, right)
    assert right, found


@pytest.mark.parametrize("host", BROKEN_OFF)
def test_the_next_run_comes_to_its_end(story: Story, host: str) -> None:
    assert story.last.code == 0, story.last.output
    assert not ENFORCED & story.last.with_status(host, "fail", "error")
    assert ours(story.lab, host)


@pytest.mark.parametrize(
    ("run", "words"),
    [
        ("bad_networks", ("atlassian_dc_admin_networks", "10.1.2.3/33")),
        ("bad_port", ("atlassian_dc_firewall_services", "70000")),
    ],
)
def test_bad_input_is_named_and_nothing_touched(story: Story, row: Row, run: str, words: tuple[str, str]) -> None:
    outcome = story.looks[run]
    named = all(word in outcome.output for word in words)
    untouched = story.rulesets_after_looks == story.rulesets and not outcome.executions("jira1")
    row(
        f"{words[0]}: {words[1]}",
        "named, nothing touched",
        "so" if named and untouched else "not so",
        named and untouched,
    )
    assert outcome.code != 0
    assert named, outcome.output
    assert untouched


def test_a_name_that_nobody_knows_is_refused(story: Story, row: Row) -> None:
    outcome = story.looks["bad_name"]
    what = told(outcome, "jira1", "DC-NET-03")
    untouched = story.rulesets_after_looks == story.rulesets and not outcome.changed_tasks("jira1")
    right = "node2.example.invalid" in what and untouched
    row("peer with an unknown name", "refused with its name, nothing touched", f"{what[:60]}…", right)
    assert outcome.code == 0, outcome.output
    assert "DC-NET-03" in outcome.with_status("jira1", "fail")
    assert "node2.example.invalid" in what
    assert untouched


def test_an_outbound_policy_lets_out_what_is_declared(story: Story, row: Row) -> None:
    # What is not let out is refused at once, so that programs need not wait.
    right = story.outbound == ["open", "closed"]
    row("outbound: SSH to admin, to a stranger", "open, refused", ", ".join(story.outbound), right)
    assert right


def test_what_listens_undeclared_is_named(story: Story, row: Row) -> None:
    what = told(story.harden, WATCHED, "DC-NET-05")
    right = all(word in what for word in ("9100", "stand-in-node-exporter.service", "python3"))
    row("undeclared listener", "DC-NET-05 names port, unit and process", f"{what[:60]}…", right)
    assert "DC-NET-05" in story.harden.with_status(WATCHED, "fail")
    assert right, what
