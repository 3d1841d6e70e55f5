# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What drills have left: on the host they ran on, and on the controller."""

from __future__ import annotations

from ansible_collections.atlassian_dc.hardening.plugins.module_utils._backup_state import FOLDER
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._files import read_regular
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._restore_result import (
    Result,
    ResultError,
    parse_result,
)

MAX_RESULT = 1024 * 1024
"""Longest result that is read, in bytes."""


def path_on_host(key: str) -> str:
    """Return where a host keeps the result of the last drill of an instance, by its key."""
    return f"{FOLDER}/{key}/drill.json"


def last_drill(key: str, kept: str | None, path: str) -> tuple[Result | None, str]:
    """Return the newest result that is known, and what is wrong with one that cannot be read.

    Args:
        key: of the instance.
        kept: that on the controller, None where there is none.
        path: where that of the host lies.

    """
    texts: list[str | bytes] = [] if kept is None else [kept]
    found: list[Result] = []
    problem = ""
    try:
        texts.append(read_regular(path, MAX_RESULT)[0])
    except FileNotFoundError:
        pass
    except OSError as exc:
        problem = f"{path}: {exc.strerror}"
    for text in texts:
        try:
            result = parse_result(text)
        except ResultError as exc:
            problem = f"the result of the last drill cannot be used: {exc}"
            continue
        if result.key == key:
            found.append(result)
        else:
            problem = f"the result of the last drill is that of {result.key}"
    return max(found, key=lambda result: result.finished, default=None), problem
