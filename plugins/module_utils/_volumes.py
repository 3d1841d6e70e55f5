# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether folders lie on encrypted volumes, as far as the kernel shows it.

Sources: proc_pid_mountinfo(5); the kernel's documentation of /sys/dev/block and of the device mapper, whose encrypted
targets have an identifier that begins with ``CRYPT-``.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from ansible_collections.atlassian_dc.hardening.plugins.module_utils._discovery_host import Host, UnreadableError

MAX_DEPTH = 12
_VOLATILE = ("tmpfs", "ramfs", "proc", "sysfs", "cgroup2", "devtmpfs")
_OCTAL = re.compile(r"\\([0-7]{3})")


class Mount(NamedTuple):
    """A mounted file system.

    Attributes:
        place: where it is mounted.
        device: number of its device, ``8:1``.
        kind: its type.
        source: what is mounted.

    """

    place: str
    device: str
    kind: str
    source: str


class Volume(NamedTuple):
    """What is known of one file system.

    Attributes:
        mount: the file system.
        encrypted: whether it is; None where the host cannot see it.
        why: in words.

    """

    mount: Mount
    encrypted: bool | None
    why: str


def read_mounts(host: Host) -> list[Mount]:
    """Return what is mounted, in the order of the kernel.

    Raises:
        UnreadableError: the kernel does not tell.

    """
    mounts = []
    for line in host.text("/proc/self/mountinfo").split("\n"):
        first, _dash, last = line.partition(" - ")
        fields, ends = first.split(" "), last.split(" ")
        if len(fields) >= 6 and len(ends) >= 2:
            place, source = (_OCTAL.sub(lambda code: chr(int(code[1], 8)), text) for text in (fields[4], ends[1]))
            mounts.append(Mount(place, fields[2], ends[0], source))
    return mounts


def volumes_of(host: Host, mounts: list[Mount], folder: str, depth: int = 0) -> list[Volume]:
    """Return the file systems that a folder lies on, and those mounted below it.

    Args:
        host: the host.
        mounts: what is mounted on it.
        folder: the folder.
        depth: in how many images of disks the folder is.

    """
    real = host.real(folder)
    above = [mount for mount in mounts if real == mount.place or real.startswith(mount.place.rstrip("/") + "/")]
    below = [mount for mount in mounts if mount.place.startswith(real.rstrip("/") + "/")]
    # Of what is mounted in one place the last one counts.
    longest = max((len(mount.place) for mount in above), default=0)
    found = {mount.place: mount for mount in above if len(mount.place) == longest}
    found.update((mount.place, mount) for mount in below)
    kept = [mount for mount in found.values() if mount.kind not in _VOLATILE]
    return [_volume(host, mounts, mount, depth) for mount in kept]


def _volume(host: Host, mounts: list[Mount], mount: Mount, depth: int) -> Volume:
    path = f"/sys/dev/block/{mount.device}"
    if mount.device.startswith("0:") and mount.source.startswith("/dev/"):
        # A file system over several devices has a number of its own.
        path = f"/sys/class/block/{host.real(mount.source).rpartition('/')[2]}"
    device = host.real(path)
    if host.stat(device) is None:
        return Volume(mount, None, f"what lies under {mount.kind} cannot be seen from here")
    encrypted = _encrypted(host, mounts, device, depth)
    name = device.rpartition("/")[2]
    if encrypted is None:
        return Volume(mount, None, f"what lies under {name} cannot be seen from here")
    return Volume(mount, encrypted, f"{name} is {'' if encrypted else 'not '}encrypted by dm-crypt")


def _encrypted(host: Host, mounts: list[Mount], device: str, depth: int) -> bool | None:
    """Say whether a block device is encrypted, or all that it is made of."""
    if depth > MAX_DEPTH:
        return None
    if _mapped(host, device):
        return True
    if host.stat(f"{device}/partition") is not None:
        return _encrypted(host, mounts, device.rpartition("/")[0], depth + 1)
    parts = [host.real(f"{device}/slaves/{name}") for name in host.names(f"{device}/slaves")]
    if parts:
        answers = [_encrypted(host, mounts, part, depth + 1) for part in parts]
        return False if False in answers else None if None in answers else True
    try:
        backing = host.text(f"{device}/loop/backing_file").strip()
    except UnreadableError:
        return False
    volumes = volumes_of(host, mounts, backing, depth + 1)
    return volumes[0].encrypted if volumes else None


def _mapped(host: Host, device: str) -> bool:
    try:
        return host.text(f"{device}/dm/uuid").startswith("CRYPT-")
    except UnreadableError:
        return False
