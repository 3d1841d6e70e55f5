# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the table of settings into docs/product-settings.md."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

try:
    from ansible.template import trust_as_template
except ImportError:  # ansible-core 2.18 trusts every text

    def trust_as_template(value: str) -> str:
        return value


CHECKOUT = Path(__file__).resolve().parents[1]
PAGE = CHECKOUT / "docs/product-settings.md"
ROLE = CHECKOUT / "roles/product_settings"
BEGIN, END = "<!-- table -->\n", "<!-- /table -->"
HEADER = (
    "| product | setting | what | versions | control | readable | writable | default | wanted | sources |\n"
    "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n"
)


def resolved(name: str, **more: Any) -> Any:
    """Return a variable of the role, resolved with its defaults.

    Args:
        name: name of the variable, without its prefix.
        more: other variables.

    """
    variables: dict[str, Any] = {}
    for folder in ("defaults", "vars"):
        variables.update(DataLoader().load_from_file(str(ROLE / folder / "main.yml")))
    variables.update(more)
    text = trust_as_template(str(variables[f"_atlassian_dc_product_settings_{name}"]))
    return Templar(loader=DataLoader(), variables=variables).template(text)


def wanted() -> dict[str, Any]:
    """Return what the role wants with its defaults, by name of the setting."""
    return dict(resolved("wanted"))


def place_words(place: dict[str, Any]) -> str:
    """Return what a place is called."""
    words = {
        "jvm_property": "`-D{name}`",
        "properties_file": "`{path}`: `{name}`",
        "xml_file": "`{path}`",
        "status": "status page",
        "version": "the version",
        "rest": "REST `{path}`",
        "database": "database",
        "unknown": "not known",
    }[place["kind"]].format(**{"name": "", "path": "", **place})
    limits = [f"{word} {place[key]}" for key, word in (("since", "from"), ("before", "before")) if key in place]
    return words + (f" ({' '.join(limits)})" if limits and place["kind"] != "version" else "")


def writable(entry: dict[str, Any]) -> str:
    """Return how a setting is written, or who does it."""
    how = entry.get("write")
    if how is None:
        return str(entry.get("page", "by hand"))
    return f"`{how['path']}`, by a restart" if "argument" in how else f"REST `{how['path']}`"


def row(
    product: str, entry: dict[str, Any], raw: dict[str, Any], sources: dict[str, Any], rules: dict[str, Any]
) -> str:
    """Return one line of the table."""
    from ansible_collections.atlassian_dc.hardening.plugins.module_utils._settings_values import Rule, shown

    name = entry["name"]
    limits = [f"{word} {entry[key]}" for key, word in (("since", "from"), ("before", "before")) if key in entry]
    used: list[str] = []
    for node in (raw, *raw["read"]):
        given = node.get("source", [])
        used += [given] if isinstance(given, str) else given
    links = [
        f"[{key}]({sources[key]['url']})" for key in dict.fromkeys(used) if sources[key].get("confidence") != "policy"
    ]
    cells = (
        product,
        f"`{name}`",
        entry["title"],
        " ".join(limits) or "all",
        entry["control"],
        ", ".join(dict.fromkeys(map(place_words, entry["read"]))),
        writable(entry),
        shown(entry["default"]) if "default" in entry else "",
        Rule.of(name, rules[name]).words if name in rules else "",
        ", ".join(links),
    )
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def table() -> str:
    """Return the table."""
    from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._products import load_products
    from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._settings_data import settings_of

    rules = wanted()
    rows = [
        row(data["title"], entry, raw, data["sources"], rules)
        for name, data in load_products().items()
        for entry, raw in zip(settings_of(name), data.get("settings", []), strict=True)
    ]
    return HEADER + "".join(rows)


def page(text: str) -> str:
    """Return the page with the table as it should be."""
    return re.sub(f"(?s){re.escape(BEGIN)}.*{re.escape(END)}", lambda _found: BEGIN + table() + END, text)


if __name__ == "__main__":
    sys.path.insert(0, str(CHECKOUT / ".collections"))
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
