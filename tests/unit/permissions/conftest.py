# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Products on disk, as administrators leave them and as the role leaves them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

# The helper is imported late: this file is loaded before the checkout is importable as a collection.


@pytest.fixture
def product(tmp_path: Path) -> Any:
    """Return an unhardened product."""
    from unit.permissions import permission_product

    tmp_path.chmod(0o755)
    return permission_product.Product(tmp_path)


@pytest.fixture
def hardened(product: Any) -> Any:
    """Return a hardened product."""
    product.run()
    result = product.run(check=True)
    assert set(result.statuses.values()) == {"pass"}, result.raw["dc_findings"]
    return product
