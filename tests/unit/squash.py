# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Root without the rights that mounts take from it which squash root."""

from __future__ import annotations

import ctypes
import json
import os
import struct
from collections.abc import Callable
from typing import Any

CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER = 0, 1, 2, 3
CAPABILITY_VERSION_3 = 0x20080522


def drop_capabilities(*numbers: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    header = ctypes.create_string_buffer(struct.pack("<Ii", CAPABILITY_VERSION_3, 0))
    data = ctypes.create_string_buffer(24)
    assert libc.capget(header, data) == 0
    words = list(struct.unpack("<6I", data.raw))
    for number in numbers:
        words[0] &= ~(1 << number)
    assert libc.capset(header, ctypes.create_string_buffer(struct.pack("<6I", *words))) == 0


def squashed(work: Callable[[], dict[str, Any]], *more: int) -> dict[str, Any]:
    """Return what a function returns in a process whose root may not pass by permissions."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            drop_capabilities(CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, *more)
            with os.fdopen(writing, "w") as pipe:
                json.dump(work(), pipe)
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    return dict(json.loads(text))
