# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Groups of hosts: each has its own network, SSH keys and inventory, so that several can exist at once."""

from __future__ import annotations

import hashlib
import io
import ipaddress
import json
import re
import secrets
import shutil
import socket
import subprocess
import tarfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from .images import DEFAULT_DISTRIBUTION, Apt, Images
from .podman import NETWORK_PREFIX, SYSTEM_PATH, Podman, write_whole
from .progress import HostsError, say

DEFAULT_IMAGE = "jira"
DEFAULT_GROUP = "default"
NAME = re.compile(r"^[a-z][a-z0-9-]{0,30}$")
# Hosts get addresses out of these networks, one /24 for each group.
NETWORKS = [ipaddress.IPv4Network(f"{NETWORK_PREFIX}{number}.0/24") for number in range(256)]
# The same for IPv6, by the same number: unique local addresses, without a way out of the machine.
PREFIX6 = "fd10:213:0:"
FIRST_ADDRESS = 10
START_SECONDS = 300
STOP_SECONDS = 300
READY_SECONDS = 600


def own_networks(prefix: str, names: Iterable[str]) -> list[str]:
    """Return the networks of one group; the name of another may begin with that of this one."""
    return [name for name in names if re.fullmatch(re.escape(prefix) + "[0-9a-f]{6}", name)]


@dataclass
class Host:
    """One host of a group."""

    name: str
    image: str = DEFAULT_IMAGE
    distribution: str = DEFAULT_DISTRIBUTION
    address: str = ""
    address6: str = ""
    """Empty where the machine's kernel has no IPv6."""

    @classmethod
    def parse(cls, text: str) -> Host:
        """Read NAME[=IMAGE[:DISTRIBUTION]]."""
        name, _sign, rest = text.partition("=")
        image, _colon, distribution = rest.partition(":")
        if not NAME.match(name):
            raise HostsError(f"'{name}' is no host name: lower case letters, digits and '-', starting with a letter.")
        return cls(name, image or DEFAULT_IMAGE, distribution or DEFAULT_DISTRIBUTION)


def address6(address: str) -> str:
    """Return the IPv6 address that goes with an IPv4 address; empty where the kernel has no IPv6."""
    if not Path("/proc/sys/net/ipv6").exists():
        return ""
    _ten, _prefix, group, host = address.split(".")
    return str(ipaddress.IPv6Address(f"{PREFIX6}{int(group):x}::{int(host):x}"))


def mac_address(address: str) -> str:
    """Return the hardware address that goes with an IPv4 address."""
    return "02:00:" + ":".join(f"{int(part):02x}" for part in address.split("."))


class AddressTakenError(Exception):
    """Podman believes that an address is in use."""

    def __init__(self, address: str) -> None:
        """Only keeps the address."""
        super().__init__(address)
        self.address = address


class Group:
    """A named set of hosts; everything about it lies in one folder."""

    def __init__(self, name: str = DEFAULT_GROUP, podman: Podman | None = None) -> None:
        """Nothing is started or read before it is asked for."""
        if not NAME.match(name):
            raise HostsError(f"'{name}' is no group name: lower case letters, digits and '-', starting with a letter.")
        self.name = name
        self.podman = podman or Podman()
        self.images = Images(self.podman)
        self.dir = self.podman.state / "groups" / name
        self.inventory = self.dir / "inventory.yml"
        self.key = self.dir / "id_ed25519"
        self.known_hosts = self.dir / "known_hosts"
        self.ssh_config = self.dir / "ssh_config"
        self.baselines = self.dir / "baselines"
        """Where the collection keeps what it knows of the files of its hosts."""
        self.drills = self.dir / "drills"
        """Where it keeps the results of restores that were tried."""
        # Where its hosts see one and the same folder, as nodes of a cluster do; empty: nowhere.
        self.shared_path = ""
        # Sockets of kept SSH connections: under /run, as their path must be short.
        self.control_dir = self.podman.run_dir / hashlib.sha256(name.encode()).hexdigest()[:8]  # socket paths are short

    @property
    def network(self) -> str:
        """Name of the group's network; empty when it has none."""
        path = self.dir / "network"
        return path.read_text().strip() if path.is_file() else ""

    @staticmethod
    def existing(podman: Podman) -> list[str]:
        """Names of the groups that have a folder."""
        return sorted(path.parent.name for path in (podman.state / "groups").glob("*/hosts.json"))

    # State

    def hosts(self) -> dict[str, Host]:
        """Hosts this group was told to have, running or not."""
        try:
            known = json.loads((self.dir / "hosts.json").read_text())
        except FileNotFoundError:
            return {}
        return {name: Host(**values) for name, values in known.items()}

    def _save(self, hosts: dict[str, Host]) -> None:
        self.dir.mkdir(parents=True, exist_ok=True)
        write_whole(
            self.dir / "hosts.json", json.dumps({name: asdict(host) for name, host in hosts.items()}, indent=2) + "\n"
        )

    def controller(self) -> list[str]:
        """Return the addresses of this machine, as its hosts see them."""
        host = next(iter(self.hosts().values()))
        first = str(ipaddress.IPv4Interface(f"{host.address}/24").network[1])
        return [address for address in (first, address6(first)) if address]

    def container(self, name: str) -> str:
        """Name of a host's container."""
        return f"{self.name}-{name}"

    def state(self, name: str) -> str:
        """Return what podman says of a host: running, exited, …; `gone` when there is none."""
        done = self.podman.run("container", "inspect", "--format={{.State.Status}}", self.container(name), check=False)
        return done.stdout.decode().strip() if done.returncode == 0 else "gone"

    # Starting

    def up(self, wanted: Sequence[Host], fresh: bool = False) -> None:
        """Start hosts in parallel. Those that run already stay as they are, unless `fresh`."""
        for host in wanted:
            self.images.recipe(host.image, host.distribution)
        if len({host.name for host in wanted}) != len(wanted):
            raise HostsError("The same host is named twice.")
        self.podman.prepare()
        images = {host.name: self.images.ensure(host.image, host.distribution) for host in wanted}
        with self.podman.lock(f"group-{self.name}"):
            self._up(wanted, images, fresh)

    def _up(self, wanted: Sequence[Host], images: dict[str, str], fresh: bool) -> None:
        known = self.hosts()
        new = []
        for host in wanted:
            if not fresh and host.name in known and self.state(host.name) == "running":
                host.address = known[host.name].address
                say(f"    {host.name}: runs already")
                continue
            self._remove_containers([host.name])
            known.pop(host.name, None)
            new.append(host)
        started = time.monotonic()
        if new:
            say(f"==> starting {', '.join(host.name for host in new)} (group {self.name})")
            # Another checkout may look for a free network at the same time: it is taken once a host of it runs.
            with self.podman.machine_lock():
                self._start_all(new, images, known)
        self._write_keys(known)
        self._write_inventory(known)
        with ThreadPoolExecutor(max_workers=len(wanted)) as pool:
            list(pool.map(lambda host: self._wait(host, started), wanted))
        say(f"    inventory: {self.inventory}")

    def _start_all(self, new: Sequence[Host], images: dict[str, str], known: dict[str, Host]) -> None:
        network = self._ensure_network()
        taken: set[str] = set()
        while True:
            self._addresses(new, known, network, taken)
            self._save(known)
            self._write_keys(known)
            try:
                with ThreadPoolExecutor(max_workers=len(new)) as pool:
                    list(pool.map(lambda host: self._start(host, images[host.name], known), new))
                return
            except AddressTakenError as error:
                taken.add(error.address)
                self._remove_containers([host.name for host in new])

    def _ensure_network(self) -> ipaddress.IPv4Network:
        prefix = f"atlassian-dc-{self.podman.id}-{self.name}-"
        mine = own_networks(prefix, self.podman.lines("network", "ls", "--format={{.Name}}"))
        if self.network in mine:
            described = json.loads(self.podman.run("network", "inspect", self.network).stdout)
            return ipaddress.IPv4Network(described[0]["subnets"][0]["subnet"])
        for name in mine:
            self.podman.run("network", "rm", "--force", name, check=False)
        routes = json.loads(_output(["ip", "-json", "-4", "route", "show", "table", "all"]))
        taken = [ipaddress.IPv4Network(route["dst"], strict=False) for route in routes if "/" in route.get("dst", "")]
        for name in self.podman.lines("network", "ls", "--format={{.Name}}"):
            inspected = self.podman.run("network", "inspect", name, check=False)
            if inspected.returncode != 0:  # of another group, which has just gone
                continue
            described = json.loads(inspected.stdout)
            taken += [ipaddress.IPv4Network(subnet["subnet"]) for subnet in described[0].get("subnets") or []]
        start = int.from_bytes(hashlib.sha256(f"{self.podman.id}/{self.name}".encode()).digest()[:1])
        candidates = [*NETWORKS[start:], *NETWORKS[:start]]
        network = next((one for one in candidates if not any(one.overlaps(other) for other in taken)), None)
        if network is None:
            raise HostsError(f"No free network among {NETWORKS[0]} … {NETWORKS[-1]}: see 'ip route'.")
        arguments = ["network", "create", f"--subnet={network}", "--disable-dns"]
        mtu = self._mtu(routes)
        if mtu:
            arguments.append(f"--opt=mtu={mtu}")
        # A name of its own each time: by the name podman remembers taken addresses, also those of a crashed start.
        name = prefix + secrets.token_hex(3)
        self.podman.run(*arguments, name)
        self.dir.mkdir(parents=True, exist_ok=True)
        write_whole(self.dir / "network", name)
        return network

    @staticmethod
    def _mtu(routes: list[dict[str, str]]) -> int | None:
        """Packet size of the way out: packages of a host must fit through it."""
        for route in routes:
            if route.get("dst") == "default" and "dev" in route:
                return int(Path(f"/sys/class/net/{route['dev']}/mtu").read_text())
        return None

    @staticmethod
    def _addresses(
        new: Sequence[Host], known: dict[str, Host], network: ipaddress.IPv4Network, taken: set[str]
    ) -> None:
        """Give addresses to new hosts: none that another host has, none that a crash left taken."""
        used = {host.address for host in known.values() if host not in new} | taken
        free = (str(address) for address in list(network.hosts())[FIRST_ADDRESS - 1 :] if str(address) not in used)
        for host in new:
            host.address = next(free)
            host.address6 = address6(host.address)
            known[host.name] = host

    def _write_keys(self, known: dict[str, Host]) -> None:
        """Make a key to log in with and one for each host: nobody has to trust what first answers."""
        for key in [self.key, *(self.dir / f"host_{name}" for name in known)]:
            if not key.exists():
                _output(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"test {key.name}", "-f", str(key)])
        write_whole(
            self.known_hosts,
            "".join(
                f"{','.join(filter(None, (host.address, host.address6)))} {(self.dir / f'host_{name}.pub').read_text()}"
                for name, host in known.items()
            ),
        )

    def _start(self, host: Host, image: str, known: dict[str, Host]) -> None:
        container = self.container(host.name)
        for path in self.baselines.glob(f"{host.name}.*"):
            path.unlink()  # of another host that was called so
        self.podman.run(
            "create",
            "--pull=never",
            "--systemd=always",
            "--privileged",
            f"--name={container}",
            f"--hostname={host.name}",
            f"--network={self.network}",
            f"--ip={host.address}",
            # It keeps it when it is started again: its neighbours know it by that.
            f"--mac-address={mac_address(host.address)}",
            f"--label=atlassian-dc.group={self.name}",
            *([f"--volume={self._shared()}:{self.shared_path}"] if self.shared_path else []),
            *(f"--add-host={other.name}:{other.address}" for other in known.values() if other.name != host.name),
            image,
            "/sbin/init",
        )
        self.podman.run("cp", "-", f"{container}:/", data=self._files_for(host))
        done = self.podman.run("start", container, check=False)
        if done.returncode != 0:
            message = done.stderr.decode("utf-8", "replace").strip()
            if "already allocated" in message:
                raise AddressTakenError(host.address)
            raise HostsError(f"{host.name} did not start: {message}")
        self._add_address6(host)

    def _add_address6(self, host: Host) -> None:
        """Give a host that has started its IPv6 address, and the bridge one.

        Podman could do it, but with forwarding and so without the router advertisements of the whole machine.
        """
        if not host.address6:
            return
        network = json.loads(self.podman.run("network", "inspect", self.network).stdout)[0]
        inside = ["nsenter", f"--net=/proc/{self.podman.init(self.container(host.name)).pid}/ns/net", "--"]
        bridge = network["network_interface"]
        _first, first6 = self.controller()
        for prefix, interface, address in (([], bridge, first6), (inside, "eth0", host.address6)):
            # Also where IPv6 is turned off for interfaces nobody has asked it for.
            _output([*prefix, "sh", "-c", f"echo 0 >/proc/sys/net/ipv6/conf/{interface}/disable_ipv6"])
            _output([*prefix, "ip", "-6", "address", "replace", f"{address}/64", "dev", interface, "nodad"])

    def _shared(self) -> Path:
        """Return the folder on this machine that the hosts have in common."""
        folder = self.dir / "shared"
        folder.mkdir(exist_ok=True)
        return folder

    def _files_for(self, host: Host) -> bytes:
        """Files every host gets before its first start, as an archive."""
        files = {
            "root/.ssh/authorized_keys": (self.key.with_suffix(".pub").read_bytes(), 0o600),
            "etc/ssh/ssh_host_ed25519_key": ((self.dir / f"host_{host.name}").read_bytes(), 0o600),
            "etc/ssh/ssh_host_ed25519_key.pub": ((self.dir / f"host_{host.name}.pub").read_bytes(), 0o644),
        }
        apt = Apt()
        if apt.configuration():
            files["etc/apt/apt.conf.d/90test-host"] = (apt.configuration().encode(), 0o644)
        bundle = Path("/etc/ssl/certs/ca-certificates.crt")
        if apt.uses_https and bundle.is_file():
            files["etc/ssl/certs/ca-certificates.crt"] = (bundle.read_bytes(), 0o644)
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            folder = tarfile.TarInfo("root/.ssh")
            folder.type, folder.mode = tarfile.DIRTYPE, 0o700
            tar.addfile(folder)
            for path, (content, mode) in files.items():
                entry = tarfile.TarInfo(path)
                entry.size, entry.mode, entry.mtime = len(content), mode, int(time.time())
                tar.addfile(entry, io.BytesIO(content))
        return archive.getvalue()

    def _write_inventory(self, known: dict[str, Host]) -> None:
        self.control_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._write_ssh_config(known)
        hosts = "".join(f"    {name}:\n      ansible_host: {host.address}\n" for name, host in sorted(known.items()))
        text = (
            "---\n"
            f"# Test hosts of group '{self.name}', written by tests/hosts.\n"
            "all:\n"
            "  hosts:\n"
            f"{hosts}"
            "  vars:\n"
            "    ansible_user: root\n"
            "    ansible_python_interpreter: /usr/bin/python3\n"
            "    ansible_ssh_pipelining: true\n"
            f"    atlassian_dc_file_integrity_copies: {self.baselines}\n"
            f"    atlassian_dc_backup_copies: {self.drills}\n"
            "    ansible_ssh_args: >-\n"
            f"      -F {self.ssh_config}\n"
            "      -o ControlMaster=auto -o ControlPersist=60s\n"
            f"      -o ControlPath={self.control_dir}/%C\n"
        )
        write_whole(self.inventory, text)

    def _write_ssh_config(self, known: dict[str, Host]) -> None:
        hosts = "".join(
            f"Host {name} {host.address}\n  HostName {host.address}\n" for name, host in sorted(known.items())
        )
        options = (
            "Host *\n"
            "  User root\n"
            f"  IdentityFile {self.key}\n"
            "  IdentitiesOnly yes\n"
            f"  UserKnownHostsFile {self.known_hosts}\n"
            "  StrictHostKeyChecking yes\n"
            "  ConnectTimeout 60\n"
            "  BatchMode yes\n"
        )
        write_whole(self.ssh_config, hosts + options)

    def ssh_argv(self, name: str, *command: str) -> list[str]:
        """Command line that logs in to a host, or runs a command on it, through a connection of its own."""
        known = self.hosts()
        if name not in known:
            raise self._no_such_host(name, known)
        return ["ssh", "-F", str(self.ssh_config), name, *command]

    def _no_such_host(self, name: str, known: dict[str, Host]) -> HostsError:
        return HostsError(f"Group '{self.name}' has no host '{name}'. It has: {', '.join(known) or 'none'}.")

    def restart(self, name: str, crash: bool = False, ready: bool = True) -> None:
        """Shut a host down and start it again, as `reboot` does; returns when it is up. Addresses and keys stay.

        Args:
            name: of the host.
            crash: stop it as a loss of power does.
            ready: wait until its software answers, too.

        """
        known = self.hosts()
        if name not in known:
            raise self._no_such_host(name, known)
        self.podman.prepare()
        started = time.monotonic()
        self.podman.run("restart", f"--time={0 if crash else STOP_SECONDS}", self.container(name))
        self._add_address6(known[name])
        self._wait(known[name], started, ready)

    # Waiting

    def _wait(self, host: Host, started: float, ready: bool = True) -> None:
        self._wait_for_systemd(host)
        systemd = time.monotonic() - started
        self._wait_for_ssh(host)
        ssh = time.monotonic() - started
        say(f"    {host.name}: systemd running after {systemd:.1f} s, SSH at {host.address} after {ssh:.1f} s")
        for page in self.images.ready_checks(host.image) if ready else ():
            self._wait_for_page(host, page["port"], page["path"], page["text"])
            say(f"    {host.name}: port {page['port']} answers after {time.monotonic() - started:.1f} s")

    def _wait_for_systemd(self, host: Host) -> None:
        container = self.container(host.name)
        deadline = time.monotonic() + START_SECONDS
        status = ""
        while time.monotonic() < deadline:
            status = self.podman.run_inside(container, ["systemctl", "is-system-running"], check=False).stdout.decode()
            status = status.strip()
            if status == "running":
                return
            if status == "degraded":
                failed = self.output(host.name, ["systemctl", "--failed", "--plain", "--no-legend"])
                raise HostsError(f"{host.name}: units failed at start:\n{failed}{self._journal(host)}")
            time.sleep(0.2)
        raise HostsError(f"{host.name}: systemd is '{status}' after {START_SECONDS} s.{self._journal(host)}")

    def _journal(self, host: Host) -> str:
        command = ["journalctl", "--boot", "--no-pager", "--lines=30"]
        tail = self.podman.run_inside(self.container(host.name), command, check=False).stdout.decode("utf-8", "replace")
        return "\n" + "\n".join(f"    | {line}" for line in tail.splitlines())

    def _wait_for_ssh(self, host: Host) -> None:
        deadline = time.monotonic() + START_SECONDS
        message = ""
        while time.monotonic() < deadline:
            try:
                socket.create_connection((host.address, 22), timeout=2).close()
            except OSError as error:
                message = str(error)
                time.sleep(0.2)
                continue
            done = subprocess.run(
                self.ssh_argv(host.name, "true"),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode == 0:
                return
            message = done.stderr.strip()
            time.sleep(0.3)
        raise HostsError(f"{host.name}: no SSH at {host.address} after {START_SECONDS} s: {message}")

    def _wait_for_page(self, host: Host, port: int, path: str, text: str) -> None:
        url = f"http://{host.address}:{port}{path}"
        # Test hosts are on this machine: a proxy for the outside world must not be asked for them.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        deadline = time.monotonic() + READY_SECONDS
        answer = "nothing"
        while time.monotonic() < deadline:
            try:
                with opener.open(url, timeout=10) as response:
                    answer = response.read(2000).decode("utf-8", "replace")
                if text in answer:
                    return
            except urllib.error.HTTPError as error:
                answer = f"{error.code} {error.read(2000).decode('utf-8', 'replace')}"
                if error.code == 500:
                    break
            except OSError as error:
                answer = str(error)
            time.sleep(0.3)
        raise HostsError(f"{host.name}: {url} does not tell {text}; it says: {answer.strip()}{self._journal(host)}")

    # Looking, stopping

    def exec(self, name: str, command: Sequence[str], interactive: bool = False) -> int:
        """Run a command in a host without SSH; returns its exit code."""
        self.podman.prepare()
        options = ["--interactive", "--tty"] if interactive else ["--interactive"]
        argv = self.podman.argv("exec", *options, self.container(name), *command)
        return subprocess.run(argv, check=False, cwd="/").returncode

    def output(self, name: str, command: Sequence[str]) -> str:
        """Run a command in a host without SSH; returns what it prints, raises when it fails."""
        return self.podman.run_inside(self.container(name), command).stdout.decode()

    def status(self) -> list[tuple[Host, str]]:
        """Every host of the group and its state."""
        return [(host, self.state(name)) for name, host in sorted(self.hosts().items())]

    def down(self, names: Sequence[str] = ()) -> None:
        """Remove hosts, or the whole group with its network and keys. Removing what is not there is no error."""
        self.podman.prepare()
        with self.podman.lock(f"group-{self.name}"):
            known = self.hosts()
            unknown = [name for name in names if name not in known]
            if unknown:
                raise self._no_such_host(unknown[0], known)
            rest = {name: host for name, host in known.items() if names and name not in names}
            self._remove_containers(list(names) if names else None)
            if rest:
                self._save(rest)
                self._write_keys(rest)
                self._write_inventory(rest)
                return
            if self.network:
                self.podman.run("network", "rm", "--force", self.network, check=False)
            shutil.rmtree(self.control_dir, ignore_errors=True)
            shutil.rmtree(self.dir, ignore_errors=True)

    def _remove_containers(self, names: Sequence[str] | None) -> None:
        self._close_connections()
        containers = self.podman.lines(
            "ps", "--all", "--format={{.Names}}", f"--filter=label=atlassian-dc.group={self.name}"
        )
        if names is not None:
            wanted = {self.container(name) for name in names}
            containers = [container for container in containers if container in wanted]
        if containers:
            remove = ("rm", "--force", "--time=0", "--volumes", *containers)
            # One that ends by itself at that moment is taken for a failure; the next time it has ended.
            if self.podman.run(*remove, check=False).returncode != 0:
                self.podman.run(*remove)

    def _close_connections(self) -> None:
        """End kept connections: one to a host that is gone would make the next user of its address hang."""
        for path in self.control_dir.glob("*"):
            subprocess.run(
                ["ssh", "-F", "/dev/null", "-o", f"ControlPath={path}", "-O", "exit", "none"],
                capture_output=True,
                check=False,
            )
            path.unlink(missing_ok=True)


def _output(argv: Sequence[str]) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env={"PATH": SYSTEM_PATH})
    if done.returncode != 0:
        raise HostsError(f"{' '.join(argv)} failed: {done.stderr.strip()}")
    return done.stdout
