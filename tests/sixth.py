# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A copy of the collection with one product more: the one that docs/adding-a-product.md adds, from that very page."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
PAGE = CHECKOUT / "docs" / "adding-a-product.md"
PRODUCT = "almanac"
# What the collection needs at run time.
PARTS = ("galaxy.yml", "meta", "playbooks", "plugins", "roles")


def product_file() -> str:
    """Return the file of the product as the page shows it."""
    (shown,) = re.findall(r"^```yaml\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return str(shown)


def add_product(folder: Path) -> None:
    """Write the file of the product into a folder of product files."""
    (folder / f"{PRODUCT}.yml").write_text(product_file(), encoding="utf-8")


def collection_with_product(folder: Path) -> Path:
    """Make a copy of the collection with the product in a folder; return where Ansible looks for collections."""
    target = folder / "ansible_collections" / "atlassian_dc" / "hardening"
    target.mkdir(parents=True)
    for part in PARTS:
        source = CHECKOUT / part
        if source.is_dir():
            shutil.copytree(source, target / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target / part)
    add_product(target / "meta" / "products")
    return folder
