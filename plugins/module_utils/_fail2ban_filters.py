# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters of fail2ban for the failed logins of products, made from product data and the trusted proxies of a host.

What a log tells of where a login came from is in part what the client sent: ``X-Forwarded-For`` as it came, then what
proxies added, then the peer. Only the end of it can be relied on, as far as trusted proxies go. So the address that
counts is the last one that is no trusted proxy, whatever stands before it; if the last word that is no trusted proxy is
no address, then there is none.

fail2ban looks for a date first and cuts it out of the line; expressions see what is left, with a blank at its start
where the date stood. A line without a date is handed over whole. The expressions of product data begin with that one
blank and a word after it, which no line does that a product indents because it belongs to the one before.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.atlassian_dc.hardening.plugins.module_utils._address_patterns import ADDRESS, ZONE, any_pattern

ADDRESSES_TAG = "<ADDRESSES>"
"""In an expression: a list of addresses of which the last that is no trusted proxy counts."""
ADDRESS_TAG = "<ADDRESS>"
"""In an expression: one address, which counts unless it is a trusted proxy."""
PROXY_TAG = "<PROXY>"
"""In an expression: a trusted proxy. Without any, the expression is left out."""

# Where a proxy in front of the products may have been told to serve them: one folder down at most.
_CONTEXT = r'(?:/+[^/?;" \\]+)?'
_PARAMETERS = r'(?:;[^/?" \\]*)?'
# A quoted part of a log line: quotes in it have a backslash before them, or are written as a code.
_QUOTED = r'(?:[^"\\]|\\.)*'
_ANSWERS = "(?:401|403)"


@dataclass(frozen=True)
class Source:
    """Where failed logins are logged, and how.

    Attributes:
        product: name of the product.
        name: name of the source, one of a kind within the product.
        timestamp: date pattern of fail2ban.
        lines: regular expressions for what is left of an entry without its date, with the tags above.
        column: expression for one character of a list of addresses, where there is a list.
        separator: expression for what stands between two addresses of a list.
        multiline: lines of an entry at most.

    """

    product: str
    name: str
    timestamp: str
    lines: tuple[str, ...]
    column: str = ""
    separator: str = ""
    multiline: int = 1

    @classmethod
    def from_data(cls, product: str, entry: Mapping[str, Any]) -> Source:
        """Return the source that an entry of the section ``failed_logins`` of product data describes."""
        return cls(
            product=product,
            name=entry["name"],
            timestamp=entry["timestamp"],
            lines=tuple(entry["lines"]),
            column=entry.get("column", ""),
            separator=entry.get("separator", ""),
            multiline=entry.get("multiline", 1),
        )


def filter_name(product: str, source: str) -> str:
    """Return the name of the filter for a source of a product."""
    return f"atlassian-dc-{product}-{source}"


def fail_expressions(source: Source, proxies: Sequence[str]) -> list[str]:
    """Return the expressions of a source for a host, as fail2ban takes them.

    Args:
        source: what to write a filter for.
        proxies: addresses and networks of the trusted proxies.

    Raises:
        ValueError: one of the proxies is neither an address nor a network.

    """
    proxy = any_pattern(proxies)
    client = f"(?={ADDRESS})(?!{proxy})<ADDR>{ZONE}"
    trusted = f"(?:{source.separator}{proxy})*" if proxies else ""
    tags = {
        ADDRESSES_TAG: f"(?:(?:{source.column})*{source.separator})?{client}{trusted}",
        ADDRESS_TAG: client,
        PROXY_TAG: proxy,
    }
    any_tag = re.compile("|".join(tags))
    return [
        any_tag.sub(lambda tag: tags[tag.group()], line) for line in source.lines if proxies or PROXY_TAG not in line
    ]


def render_filter(source: Source, proxies: Sequence[str]) -> str:
    """Return the text of the filter of a source for a host.

    Args:
        source: what to write a filter for.
        proxies: addresses and networks of the trusted proxies.

    Raises:
        ValueError: one of the proxies is neither an address nor a network.

    """
    expressions = "\n            ".join(_written(line) for line in fail_expressions(source, proxies))
    text = (
        "# Written by the role fail2ban of atlassian_dc.hardening; changes here are lost.\n"
        "[Definition]\n"
        f"failregex = {expressions}\n"
        "ignoreregex =\n"
        f"datepattern = {_written(source.timestamp)}\n"
    )
    return text + (f"\n[Init]\nmaxlines = {source.multiline}\n" if source.multiline > 1 else "")


def _written(expression: str) -> str:
    """Return an expression as it stands in a configuration: ``%`` begins a reference there, ``;`` a comment."""
    return re.sub(r"\\?;", r"\\x3b", expression.replace("%", "%%"))


def access_log_source(login_paths: Mapping[str, Sequence[str]]) -> Source:
    """Return the source for the access log of a reverse proxy, in the combined format of nginx and Apache.

    Answers 401 and 403 to the login paths of the products count, below a context path as well.

    Args:
        login_paths: by product; ``*`` in a path stands for anything.

    """
    paths = sorted({path for product in login_paths.values() for path in product})
    login = "|".join(map(_path_pattern, paths)) or "(?!)"
    request = f"[A-Z]+ {_CONTEXT}(?:{login}){_PARAMETERS}(?:[?]{_QUOTED})? HTTP/[0-9.]+"
    return Source(
        product="proxy",
        name="access",
        # The user is what the client says it is, but without a quote: the date before the first quote is the true one.
        timestamp=r'^[^"]*\[(%d/%b/%Y:%H:%M:%S %z)\] "',
        lines=(rf'^{ADDRESS_TAG} [^ "]+ [^"]*\[\] "{request}" {_ANSWERS} .*$',),
    )


def _path_pattern(path: str) -> str:
    """Return an expression for the ways to write a path that reach the same page.

    Slashes may be doubled, parameters may follow a part of it, letters may be encoded. REST of the products takes
    ``latest`` for any version.
    """
    return "".join(_segment_pattern(segment) for segment in path.strip("/").split("/"))


def _segment_pattern(segment: str) -> str:
    if re.fullmatch("[0-9]+([.][0-9]+)?", segment):
        text = "(?:[0-9.]+|latest)"
    else:
        text = "".join(map(_letter_pattern, segment))
    return f"{_PARAMETERS}/+{text}"


def _letter_pattern(letter: str) -> str:
    if letter == "*":
        return r'[^?;" \\]*'
    return f"(?:{re.escape(letter)}|%(?i:{ord(letter):02x}))"
