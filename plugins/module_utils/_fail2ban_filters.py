# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters of fail2ban made from product data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Source:
    """How failed logins are logged."""

    product: str
    name: str
    timestamp: str
    separator: str
    lines: tuple[str, ...]
    multiline: int = 1

    @classmethod
    def from_data(cls, product: str, entry: Mapping[str, Any]) -> Source:
        """Return a source from product data."""
        return cls(
            product,
            entry["name"],
            entry["timestamp"],
            entry.get("separator", ","),
            tuple(entry["lines"]),
            entry.get("multiline", 1),
        )


def filter_name(product: str, source: str) -> str:
    """Return the name of a filter."""
    return f"atlassian-dc-{product}-{source}"


def render_filter(source: Source, proxies: Sequence[str]) -> str:
    """Return the text of a filter."""
    lines = "\n            ".join(line.replace("<ADDRESSES>", "<ADDR>") for line in source.lines)
    pattern = source.timestamp.replace("%", "%%")
    return f"[Definition]\nfailregex = {lines}\ndatepattern = {pattern}\n# {','.join(proxies)}\n"


def access_log_source(login_paths: Mapping[str, Sequence[str]]) -> Source:
    """Return the source of a proxy's access log."""
    return Source("proxy", "access", r"\[%d/%b/%Y:%H:%M:%S %z\]", ",", (r"^<ADDRESSES> .*$",))
