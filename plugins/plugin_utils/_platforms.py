# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The operating systems the collection supports (``meta/platforms.yml``)."""

from __future__ import annotations

import functools
from typing import Any

import yaml
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._collection import collection_root


@functools.lru_cache(maxsize=1)
def load_platforms() -> list[dict[str, Any]]:
    """Return them as the file lists them: ``title``, ``id``, ``family`` and ``versions`` of each."""
    path = collection_root() / "meta" / "platforms.yml"
    platforms: list[dict[str, Any]] = yaml.safe_load(path.read_text(encoding="utf-8"))["platforms"]
    return platforms
