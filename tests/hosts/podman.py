# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Podman of the checkout's own: its storage lies in the state folder, so nothing of the machine's own is touched.

Where control groups are mounted in hybrid mode, which the container runtime refuses, podman runs in a mount namespace
with a plain version 2 hierarchy. The namespace is bound to a file, so that it outlives each single call.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import resource
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from .progress import HostsError, run_logged, say, step

CHECKOUT = Path(__file__).resolve().parent.parent.parent
RUN_ROOT = Path("/run/atlassian-dc-hosts")
# Test networks are 10.213.0.0/24 to 10.213.255.0/24.
NETWORK_PREFIX = "10.213."

# What has to be there, and the Debian package that brings it.
PROGRAMS = {
    "podman": "podman",
    "crun": "crun",
    "mmdebstrap": "mmdebstrap",
    "ip": "iproute2",
    "iptables": "iptables",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "nsenter": "util-linux",
    "unshare": "util-linux",
    "mount": "mount",
    # For unit tests.
    "setfacl": "acl",
    "visudo": "sudo",
}
# Enters a host: first its control group, beside its systemd; with it where a group with controllers takes no process.
ENTER = """
group=/sys/fs/cgroup$1
{ echo $$ >"${group%/*}/cgroup.procs" || echo $$ >"$group/cgroup.procs"; } 2>/dev/null
shift
exec nsenter --all --target "$@"
"""
# Gives a mount namespace plain version 2 control groups.
PLAIN_GROUPS = (
    "umount --recursive /sys/fs/cgroup 2>/dev/null || umount --lazy /sys/fs/cgroup || true; "
    "mount -t cgroup2 cgroup2 /sys/fs/cgroup"
)
# What podman says, whatever it was asked, while a host runs whose network went with the mount namespace it began in.
LOST_NETWORK = re.compile(r"retrieving network namespace at /run/netns/([\w-]+): failed to Statfs")
# Podman starts these from its own folders, not through PATH.
HELPERS = {
    "netavark": "netavark",
    "aardvark-dns": "aardvark-dns",
}
HELPER_FOLDERS = ("/usr/lib/podman", "/usr/libexec/podman", "/usr/local/lib/podman", "/usr/local/libexec/podman")
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
INSIDE_SECONDS = 3600
"""Seconds after which what is done inside a container is taken to wait for what never comes."""


def default_state_dir() -> Path:
    """Return the state folder: `.hosts` of the checkout, or what ATLASSIAN_DC_HOSTS_DIR says."""
    return Path(os.environ.get("ATLASSIAN_DC_HOSTS_DIR") or CHECKOUT / ".hosts").resolve()


def missing_packages() -> list[str]:
    """Debian packages that would bring the programs that are not there."""
    missing = {package for name, package in PROGRAMS.items() if shutil.which(name, path=SYSTEM_PATH) is None}
    for name, package in HELPERS.items():
        if not any(os.access(f"{folder}/{name}", os.X_OK) for folder in HELPER_FOLDERS):
            missing.add(package)
    return sorted(missing)


def install_packages(log_dir: Path) -> None:
    """Install what is missing through apt, or say what is missing and how to get it."""
    missing = missing_packages()
    if not missing:
        return
    wanted = " ".join(missing)
    apt = shutil.which("apt-get", path=SYSTEM_PATH)
    if apt is None:
        raise HostsError(
            f"The test hosts need these Debian packages, and there is no apt-get here: {wanted}.\n"
            "Install what brings the same programs with your package manager, then run this again."
        )
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with step(f"installing system packages: {wanted}"):
        try:
            run_logged([apt, "update"], log_dir / "apt-update.log", "apt-get update", env)
            run_logged(
                [apt, "install", "--yes", "--no-install-recommends", *missing],
                log_dir / "apt-install.log",
                "apt-get install",
                env,
            )
        except HostsError as error:
            raise HostsError(
                f"{error}\nThe test hosts need these packages: {wanted}.\n"
                f"Check the machine's package sources, then try: apt-get install {wanted}"
            ) from None
    still = missing_packages()
    if still:
        raise HostsError(f"apt-get reported success, yet programs of these packages are not there: {' '.join(still)}")


def _mounts() -> list[tuple[str, str]]:
    """Mount point and file system type of everything mounted here, oldest first."""
    result = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _dash, after = line.partition(" - ")
        result.append((before.split()[4].replace("\\040", " "), after.split()[0]))
    return result


def _mounted(path: Path, kind: str) -> bool:
    return (str(path), kind) in _mounts()


def needs_namespace() -> bool:
    """Tell whether anything but version 2 control groups is mounted at /sys/fs/cgroup."""
    kinds = [kind for point, kind in _mounts() if point == "/sys/fs/cgroup"]
    return not kinds or kinds[-1] != "cgroup2"


@contextlib.contextmanager
def locked(path: Path, shared: bool = False) -> Iterator[None]:
    """Hold a lock between processes, alone or with others that share it; a crash leaves none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        yield


def write_whole(path: Path, text: str) -> None:
    """Write a file in one step: who reads it meanwhile, or after a crash, has the old text or the new one.

    Who writes it holds a lock.
    """
    new = path.with_name(f"{path.name}.new")
    new.write_text(text)
    new.rename(path)


def remove_empty_bridges() -> None:
    """Remove bridges of test networks that nothing is attached to: a start that was killed leaves its bridge behind."""
    for link in json.loads(_run(["ip", "-json", "address", "show", "type", "bridge"]) or "[]"):
        addresses = [address.get("local", "") for address in link.get("addr_info", [])]
        if not any(address.startswith(NETWORK_PREFIX) for address in addresses):
            continue
        if not json.loads(_run(["ip", "-json", "link", "show", "master", link["ifname"]]) or "[]"):
            _run(["ip", "link", "delete", link["ifname"]])


WATCHERS = Path("/proc/sys/fs/inotify/max_user_instances")
ENOUGH_WATCHERS = 1024
"""Systemd and its like hold seven on a host: the usual 128 are used up by 18 hosts, and units of the next one fail."""


def allow_watchers(setting: Path = WATCHERS) -> None:
    """Let more programs watch files until the machine is started again, where that is allowed."""
    with contextlib.suppress(OSError, ValueError):
        if int(setting.read_text()) < ENOUGH_WATCHERS:
            setting.write_text(str(ENOUGH_WATCHERS))


class Process:
    """A process that is told apart from a later one with its number."""

    def __init__(self, pid: int) -> None:
        """Remembers when it was started."""
        self.pid = pid
        self._started = self._start()

    def _start(self) -> str:
        try:
            return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[19]
        except (FileNotFoundError, ProcessLookupError):
            return ""

    def runs(self) -> bool:
        """Whether it still runs."""
        return bool(self._started) and self._start() == self._started

    def group(self) -> str:
        """Return its control group of version 2."""
        groups = Path(f"/proc/{self.pid}/cgroup").read_text().splitlines()
        return next(line.removeprefix("0::") for line in groups if line.startswith("0::"))


class Podman:
    """Runs podman on the storage of one state folder."""

    def __init__(self, state: Path | None = None) -> None:
        """Only computes paths: nothing is changed before prepare()."""
        self.state = state or default_state_dir()
        self.store = self.state / "podman"
        self.log_dir = self.state / "log"
        # Sockets and the namespace live under /run: their paths must be short, and a restart should clear them.
        self.id = hashlib.sha256(str(self.state).encode()).hexdigest()[:8]
        self.run_dir = RUN_ROOT / self.id
        self.namespace = self.run_dir / "mnt"
        self._prefix: list[str] = []
        self._ready = False
        self._inits: dict[str, Process] = {}

    def lock(self, name: str, shared: bool = False) -> Any:
        """Lock among the processes that use this state folder."""
        return locked(self.state / "lock" / name, shared)

    @staticmethod
    def machine_lock() -> Any:
        """Lock among all checkouts on this machine, for what they share: network names and addresses."""
        return locked(RUN_ROOT / "lock")

    def prepare(self) -> None:
        """Make podman usable; safe to call again and after a crash."""
        if self._ready:
            return
        if os.geteuid() != 0:
            raise HostsError("The test hosts are system containers: run this as root.")
        missing = missing_packages()
        if missing:
            raise HostsError(
                f"Not installed: {' '.join(missing)}. Run 'make setup', or: apt-get install {' '.join(missing)}"
            )
        with self.lock("prepare"):
            self._drop_moved_store()
            self.store.mkdir(parents=True, exist_ok=True)
            (self.state / ".gitignore").write_text("*\n")
            write_whole(self.store / "location", f"{self.id}\n")
            self._write_config()
            allow_watchers()
            self.run_dir.mkdir(parents=True, exist_ok=True)
            self.run_dir.chmod(0o700)
            if needs_namespace():
                self._make_namespace()
                self._prefix = ["nsenter", f"--mount={self.namespace}", "--"]
        self._ready = True

    def _drop_moved_store(self) -> None:
        """Podman remembers absolute paths: a copied or moved checkout starts afresh."""
        location = self.store / "location"
        if location.exists() and location.read_text().strip() != self.id:
            say("    the checkout was moved: its test images are built again")
            shutil.rmtree(self.store)

    def _write_config(self) -> None:
        limits = []
        # Where limits cannot be raised, podman's own defaults are refused; it also lowers its own limit of processes.
        for name, kind, most in (("nofile", resource.RLIMIT_NOFILE, 1048576), ("nproc", resource.RLIMIT_NPROC, 9000)):
            hard = resource.getrlimit(kind)[1]
            limit = most if hard == resource.RLIM_INFINITY else min(hard, most)
            limits.append(f"{name}={limit}:{limit}")
        text = "\n".join(
            (
                "[containers]",
                'base_hosts_file = "none"',
                "pids_limit = 0",
                f"default_ulimits = {json.dumps(limits)}",
                "[network]",
                'network_backend = "netavark"',
                f"network_config_dir = {json.dumps(str(self.store / 'networks'))}",
                "[engine]",
                'cgroup_manager = "cgroupfs"',
                'events_logger = "file"',
                'runtime = "crun"',
                "",
            )
        )
        # Calls of other processes read it at any moment; without it podman would look for everything elsewhere.
        write_whole(self.store / "containers.conf", text)

    def _make_namespace(self) -> None:
        """Make a mount namespace with plain version 2 control groups, kept alive by a bind mount."""
        if not _mounted(self.run_dir, "tmpfs"):
            _run(["mount", "-t", "tmpfs", "-o", "mode=0700", "tmpfs", str(self.run_dir)])
            # A mount namespace can only be bound inside a private mount.
            _run(["mount", "--make-private", str(self.run_dir)])
        complete = self.run_dir / "namespace-complete"
        if _mounted(self.namespace, "nsfs"):
            if complete.exists():
                return
            _run(["umount", str(self.namespace)])
        self.namespace.touch()
        _run(["unshare", f"--mount={self.namespace}", "true"])
        script = f"{PLAIN_GROUPS} && mkdir -p /run/netns && mount -t tmpfs tmpfs /run/netns"
        _run(["nsenter", f"--mount={self.namespace}", "--", "sh", "-c", script])
        complete.touch()

    def argv(self, *arguments: str) -> list[str]:
        """Return the full command line of one podman call."""
        return [
            *self._prefix,
            "env",
            f"CONTAINERS_CONF={self.store / 'containers.conf'}",
            f"PATH={SYSTEM_PATH}",
            "podman",
            f"--root={self.store / 'root'}",
            f"--runroot={self.run_dir / 'run'}",
            f"--tmpdir={self.run_dir / 'tmp'}",
            *arguments,
        ]

    def run(self, *arguments: str, data: bytes | None = None, check: bool = True) -> subprocess.CompletedProcess[bytes]:
        """Run podman, output captured."""
        self.prepare()
        given: set[str] = set()
        while True:
            # Not in the caller's folder: podman would look for it inside its namespace.
            done = subprocess.run(self.argv(*arguments), input=data, capture_output=True, cwd="/", check=False)
            if done.returncode == 0:
                return done
            message = done.stderr.decode("utf-8", "replace").strip()
            lost = LOST_NETWORK.search(message)
            if not lost or lost[1] in given:
                break
            # An empty one in its place: with it the host can be removed. Another process may have made it meanwhile.
            given.add(lost[1])
            subprocess.run([*self._prefix, "ip", "netns", "add", lost[1]], capture_output=True, cwd="/", check=False)
        if check:
            raise HostsError(f"podman {' '.join(arguments[:3])} failed: {message}")
        return done

    def run_inside(
        self, container: str, command: Sequence[str], check: bool = True
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a command in a running container, output captured; `podman exec` would take many times as long."""
        self.prepare()
        init = self.init(container)
        script = ["sh", "-c", ENTER, "enter", init.group(), str(init.pid), "--", *command]
        done = subprocess.run(
            [*self._prefix, *script],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            cwd="/",
            env={"PATH": SYSTEM_PATH, "HOME": "/root", "container": "podman"},
            check=False,
            timeout=INSIDE_SECONDS,
        )
        if check and done.returncode != 0:
            message = done.stderr.decode("utf-8", "replace").strip()
            raise HostsError(f"{' '.join(command[:3])} failed in {container}: {message}")
        return done

    def init(self, container: str) -> Process:
        """Return the first process of a running container."""
        known = self._inits.get(container)
        if known is None or not known.runs():
            pid = int(self.lines("container", "inspect", "--format={{.State.Pid}}", container)[0])
            if pid == 0:
                raise HostsError(f"{container} does not run.")
            known = self._inits[container] = Process(pid)
        return known

    def lines(self, *arguments: str) -> list[str]:
        """Output of a podman call, by line."""
        return [line for line in self.run(*arguments).stdout.decode().splitlines() if line]

    def build_logged(self, what: str, *arguments: str) -> None:
        """Run a long podman command with progress."""
        self.prepare()
        run_logged(self.argv(*arguments), self.log_dir / f"{what.replace(' ', '-')}.log", what)

    def remove_strays(self) -> None:
        """Remove containers and networks that no group knows of any more, whatever left them."""
        if not self.store.exists() or missing_packages():
            return
        self.run("rm", "--all", "--force", "--time=0", check=False)
        for name in self.lines("network", "ls", "--quiet", "--filter=driver=bridge"):
            if name != "podman":
                self.run("network", "rm", "--force", name, check=False)
        if self._prefix:
            script = 'for file in /run/netns/netns-*; do umount "$file"; rm -f "$file"; done'
            subprocess.run([*self._prefix, "sh", "-c", script], capture_output=True, check=False, cwd="/")
        with self.machine_lock():
            remove_empty_bridges()

    def destroy(self) -> None:
        """Remove containers, images, the namespace and the storage."""
        self.remove_strays()
        if self.store.exists() and not missing_packages():
            self.run("umount", "--all", "--force", check=False)
        if _mounted(self.namespace, "nsfs"):
            _run(["umount", str(self.namespace)])
        while _mounted(self.run_dir, "tmpfs"):
            _run(["umount", "--lazy", str(self.run_dir)])
        shutil.rmtree(self.run_dir, ignore_errors=True)
        for point in [Path(point) for point, _kind in _mounts() if Path(point).is_relative_to(self.store)]:
            _run(["umount", "--lazy", str(point)])
        shutil.rmtree(self.store, ignore_errors=True)
        if self.store.exists():
            raise HostsError(f"Could not remove all of {self.store}: is something still running in it?")
        self._ready = False


def _run(argv: Sequence[str]) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd="/")
    if done.returncode != 0:
        raise HostsError(f"{' '.join(argv)} failed: {done.stderr.strip()}")
    return done.stdout
