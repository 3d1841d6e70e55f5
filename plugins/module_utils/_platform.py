# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which operating system a host has, by its os-release file, and whether that is a supported one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.atlassian_dc.hardening.plugins.module_utils._discovery_host import (
    MAX_SCRIPT,
    Host,
    MissingError,
    UnreadableError,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._discovery_parse import parse_environment_file

OS_RELEASE = ("/etc/os-release", "/usr/lib/os-release")
"""Where the file lies; the first one wins."""

UNKNOWN = "An operating system of unknown name"

_ID = re.compile(r"[a-z0-9._-]{1,40}")
_VERSION = re.compile(r"[a-z0-9._+~-]{1,40}")
_MAX_TITLE = 80


def read_platform(host: Host, platforms: Sequence[Mapping[str, Any]]) -> tuple[dict[str, Any], list[dict[str, str]]]:
    """Return what the operating system of a host is, and the problems with it.

    Args:
        host: the host.
        platforms: the supported operating systems, as in ``meta/platforms.yml``.

    Returns:
        What `identify` returns, and what is to be told: that it cannot be read, or is not supported.

    """
    text, place, problems = "", OS_RELEASE[0], []
    for path in OS_RELEASE:
        try:
            text, place = host.text(path, MAX_SCRIPT), path
            break
        except MissingError:
            continue
        except UnreadableError as exc:
            problems.append({"path": path, "message": str(exc)})
    platform = identify(text, platforms)
    if not platform["supported"]:
        problems.append({"path": place, "message": _unsupported(str(platform["title"]), platforms)})
    return platform, problems


def identify(text: str, platforms: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what a host's operating system is.

    Args:
        text: content of its os-release; empty where it has none.
        platforms: the supported operating systems, as in ``meta/platforms.yml``.

    Returns:
        ``id``, ``version`` and ``family``, each None where the file does not tell it in the form it has to have; the
        ``title``, for people; whether it is ``supported``.

    """
    values = parse_environment_file(text)
    own = _matching(_ID, values.get("ID"))
    version = _matching(_VERSION, values.get("VERSION_ID"))
    like = [word for word in values.get("ID_LIKE", "").split() if _ID.fullmatch(word)]
    known = {str(platform["id"]): platform for platform in platforms}
    family = next((str(known[name]["family"]) for name in [own, *like] if name in known), None)
    return {
        "id": own,
        "version": version,
        "family": family,
        "title": _title(values.get("PRETTY_NAME") or " ".join(word for word in (own, version) if word)),
        "supported": own in known and _is_one_of(version, known[str(own)]["versions"]),
    }


def _unsupported(title: str, platforms: Sequence[Mapping[str, Any]]) -> str:
    known = ", ".join(f"{platform['title']} {' and '.join(platform['versions'])}" for platform in platforms)
    return (
        f"{title} is not supported: it is audited as far as possible, and a real run changes it only if "
        f"atlassian_dc_allow_unsupported_platform is true. Supported are {known}"
    )


def _matching(pattern: re.Pattern[str], value: str | None) -> str | None:
    return value if value and pattern.fullmatch(value) else None


def _is_one_of(version: str | None, versions: Iterable[str]) -> bool:
    return version is not None and any(version == known or version.startswith(f"{known}.") for known in versions)


def _title(text: str) -> str:
    """Return words of a file for a report: one line of characters that can be seen, not too long."""
    words = " ".join("".join(character if character.isprintable() else " " for character in text).split())
    return words[:_MAX_TITLE] or UNKNOWN
