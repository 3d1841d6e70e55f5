# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What docs/adding-a-product.md shows is what the collection takes."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils import _products as products
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._catalogue import (
    CatalogueError,
    load_catalogue,
    with_products,
)
from sixth import CHECKOUT, PAGE, PRODUCT, add_product, product_file


def shown() -> dict[str, Any]:
    data: dict[str, Any] = yaml.safe_load(product_file())
    return data


def test_the_file_of_the_page_keeps_the_rules(tmp_path: Path) -> None:
    schema = json.loads((products.products_folder() / "schema.json").read_text(encoding="utf-8"))
    assert [error.message for error in jsonschema.Draft202012Validator(schema).iter_errors(shown())] == []
    for path in products.products_folder().glob("*.yml"):
        shutil.copy(path, tmp_path)
    add_product(tmp_path)
    assert PRODUCT in products.load_products(tmp_path)
    assert products.load_products(tmp_path).keys() - {PRODUCT} == products.load_products().keys()


def test_the_image_of_the_page_is_the_one_of_the_tests() -> None:
    (table,) = re.findall(r"^```toml\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert table in (CHECKOUT / "tests/hosts/images.toml").read_text(encoding="utf-8")


class TestControlsOfAProduct:
    def test_a_control_for_some_products_concerns_one_more(self) -> None:
        control = products.plain(shown()["controls"])[0]
        catalogue = load_catalogue()
        assert not catalogue[control].applies_to(PRODUCT)
        more = with_products(catalogue, {PRODUCT: [control], "other": [], "unknown": None})
        assert more[control].applies_to(PRODUCT)
        assert more[control].applies_to("jira")
        assert [name for name in catalogue if more[name] != catalogue[name]] == [control]
        assert more.recovery == catalogue.recovery

    @pytest.mark.parametrize(
        ("control", "complaint"),
        [
            ("DC-ADM-99", "almanac.yml, key 'controls': there is no control 'DC-ADM-99'"),
            ("DC-USR-01", "almanac.yml, key 'controls': DC-USR-01 concerns the product anyhow"),
        ],
    )
    def test_others_are_mistakes(self, control: str, complaint: str) -> None:
        with pytest.raises(CatalogueError, match=complaint):
            with_products(load_catalogue(), {PRODUCT: [control]})

    def test_the_collection_with_the_file_has_it_in_its_catalogue(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        add_product(tmp_path)
        monkeypatch.setattr(products, "products_folder", lambda: tmp_path)
        products.load_products.cache_clear()
        load_catalogue.cache_clear()
        try:
            assert load_catalogue()["DC-ADM-01"].applies_to(PRODUCT)
        finally:
            products.load_products.cache_clear()
            load_catalogue.cache_clear()
