# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the address of a restic repository tells: whether it is off the host, and whether it can be append-only.

Sources: https://restic.readthedocs.io/en/stable/030_preparing_a_new_repo.html (addresses),
https://github.com/restic/rest-server#readme and https://rclone.org/commands/rclone_serve_restic/ (``--append-only``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from ansible_collections.atlassian_dc.hardening.plugins.module_utils._jdbc import is_local

APPEND_ONLY = {
    "local": "a folder cannot be append-only: who becomes root here can remove all backups",
    "sftp": "SFTP cannot be append-only: who becomes root here can remove all backups",
    "rest": "append-only where the server was started with --append-only, which cannot be seen from here",
    "s3": "append-only where the policy of the bucket denies deleting, which cannot be seen from here",
    "rclone": "append-only as far as the storage behind it denies deleting, which cannot be seen from here",
    "other": "whether it can be append-only depends on the storage, which cannot be seen from here",
}
"""By kind of address, whether what was written can be kept from being removed with the credentials of the host."""
_CLOUD = ("s3", "b2", "azure", "gs", "swift")


@dataclass(frozen=True)
class Repository:
    """A repository, by its address.

    Attributes:
        kind: one of `APPEND_ONLY`.
        path: the folder, of kind ``local``; else "".
        off_host: whether it is on another machine; of a folder, as far as its file system tells.

    """

    kind: str
    path: str
    off_host: bool

    @property
    def append_only(self) -> str:
        """Whether it can be append-only, in words."""
        return APPEND_ONLY[self.kind]


def repository_of(url: str, network_type: Callable[[str], str]) -> Repository:
    """Return what an address tells.

    Args:
        url: as restic takes it.
        network_type: returns the type of the file system of a path where that lies on another machine, else "".

    """
    scheme, colon, rest = url.partition(":")
    if not colon or "/" in scheme or scheme == "local":
        path = rest if scheme == "local" and colon else url
        return Repository("local", path, bool(network_type(path)))
    if scheme == "rest":
        return Repository("rest", "", not is_local(urlsplit(rest).hostname or ""))
    if scheme == "sftp":
        # Either sftp://user@host:port//path or sftp:user@host:path.
        host = urlsplit(url).hostname if rest.startswith("//") else rest.partition(":")[0].rpartition("@")[2]
        return Repository("sftp", "", not is_local(host or ""))
    if scheme in _CLOUD:
        place = rest if "://" in rest else f"https://{rest}"
        return Repository(
            "s3" if scheme == "s3" else "other", "", scheme != "s3" or not is_local(urlsplit(place).hostname or "")
        )
    # Of rclone only its own configuration tells where it leads.
    return Repository("rclone" if scheme == "rclone" else "other", "", True)
