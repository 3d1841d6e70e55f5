# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write docs/filters.md from what the filters say of themselves: python tests/filter_docs.py."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

CHECKOUT = Path(__file__).resolve().parents[1]
PAGE = CHECKOUT / "docs" / "filters.md"
FILTERS = sorted((CHECKOUT / "plugins" / "filter").glob("*.py"))
INTRODUCTION = """\
# Filters

<!-- Written by tests/filter_docs.py from the filters' own documentation; `ansible-doc -t filter` shows the same. -->

Filters are pure: the same input gives the same result, and they ask neither the host nor the network. What they cannot
read they refuse, saying what is wrong and where. Their examples are run as tests.
"""


def documented(path: Path, part: str) -> Any:
    """Return a part of the documentation of a filter as it is read."""
    return yaml.safe_load(written(path, part))


def written(path: Path, part: str) -> str:
    """Return a part of the documentation of a filter as it is written."""
    match = re.search(rf'^{part} = r"""\n(.*?)"""', path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    if match is None:
        raise ValueError(f"{path}: there is no {part}")
    return match[1]


def _plain(text: str) -> str:
    """Return a text with Ansible's markup turned into that of the page."""
    named = re.sub(r"[MP]\(([^)#]*)(?:#[a-z]+)?\)", r"`\1`", text)
    return re.sub(r"\b[CVO]\(((?:[^()]|\([^()]*\))*)\)", lambda found: f"`{found[1].rpartition(':')[2]}`", named)


def _sentences(value: Any) -> str:
    return " ".join(_plain(part) for part in ([value] if isinstance(value, str) else value))


def page() -> str:
    """Return the page."""
    parts = [INTRODUCTION, "| filter | what it does |\n|---|---|"]
    for path in FILTERS:
        short = _plain(documented(path, "DOCUMENTATION")["short_description"])
        parts[-1] += f"\n| [`{path.stem}`](#{path.stem}) | {short} |"
    for path in FILTERS:
        told = documented(path, "DOCUMENTATION")
        parts.append(f"## {path.stem}\n\n{_sentences(told['description'])}")
        rows = ["| input | type | default | |", "|---|---|---|---|"]
        for name, option in told["options"].items():
            default = f"`{str(option['default']).lower()}`" if "default" in option else ""
            shown = "(before the bar)" if name == "_input" else f"`{name}`"
            rows.append(f"| {shown} | {option['type']} | {default} | {_sentences(option['description'])} |")
        parts.append("\n".join(rows))
        value = documented(path, "RETURN")["_value"]
        keys = ", ".join(f"`{name}`" for name in value.get("contains", {}))
        parts.append(f"Result ({value['type']}): {_sentences(value['description'])}{f' Keys: {keys}.' if keys else ''}")
        parts.append(f"```yaml\n{written(path, 'EXAMPLES').strip()}\n```")
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
