# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Code of this collection that runs on a host by itself: the very files that modules are made of."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence

from ansible_collections.atlassian_dc.hardening.plugins.module_utils._changes import ChangeError
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._own_timer import OwnFile

PACKAGE = __name__.rpartition(".")[0]


def path_of(part: str) -> str:
    """Return where a file of the collection lies below a library."""
    return f"{PACKAGE}.{part}".replace(".", "/") + ".py"


def source_of(part: str) -> str:
    """Return the source of a file of the collection, wherever this module was started from.

    Raises:
        ChangeError: it has none.

    """
    spec = importlib.util.find_spec(f"{PACKAGE}.{part}")
    source = spec.loader.get_source(spec.name) if spec and spec.loader and hasattr(spec.loader, "get_source") else None
    if not source:
        raise ChangeError(f"the source of {part} was not sent to this host")
    # Which of the two depends on what has loaded it.
    return source.decode() if isinstance(source, bytes) else str(source)


def library(folder: str, parts: Sequence[str]) -> tuple[OwnFile, ...]:
    """Return the files of a library.

    Args:
        folder: where it lies.
        parts: the files of this collection that it consists of. The module has to import them, or they are not sent.

    """
    return tuple(OwnFile(f"{folder}/{path_of(part)}", source_of(part)) for part in parts)
