# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads files that somebody else may swap at any moment."""

from __future__ import annotations

import errno
import os
import stat


def read_regular(path: str, limit: int, end: bool = False) -> tuple[bytes, os.stat_result]:
    """Return the content of a regular file, and what the system says of it.

    Args:
        path: where it is opened; the file itself may be no link.
        limit: most bytes it may have.
        end: of a larger file only its end is read.

    Raises:
        OSError: it cannot be read, is no regular file, or too large; ``strerror`` says which.

    """
    # Without blocking: somebody could have put a named pipe there.
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as stream:
        info = os.fstat(stream.fileno())
        if not stat.S_ISREG(info.st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        if end and info.st_size > limit:
            stream.seek(info.st_size - limit)
            return stream.read(limit), info
        data = stream.read(limit + 1)
    if len(data) > limit:
        raise OSError(errno.EFBIG, f"larger than {limit // 1024} KiB")
    return data, info
