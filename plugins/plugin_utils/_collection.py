# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the collection lies and which version it is."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import yaml

COLLECTION = "atlassian_dc.hardening"
PREFIX = "atlassian_dc_"
"""Every variable of the collection starts with this."""

ALLOW_UNSUPPORTED_PLATFORM = PREFIX + "allow_unsupported_platform"
ATTESTATIONS_FILE = PREFIX + "attestations_file"
CLUSTER_PEERS = PREFIX + "cluster_peers"
PROXY_HOSTS = PREFIX + "proxy_hosts"
REPORT_DIR = PREFIX + "report_dir"
SKIP_CONTROLS = PREFIX + "skip_controls"
WAIVERS_FILE = PREFIX + "waivers_file"


def collection_root() -> Path:
    """Return the folder of the collection this code runs from."""
    return Path(__file__).resolve().parent.parent.parent


@functools.lru_cache(maxsize=1)
def collection_version() -> str:
    """Return the version: from the manifest when installed, from galaxy.yml in a checkout."""
    manifest = collection_root() / "MANIFEST.json"
    if manifest.exists():
        return str(json.loads(manifest.read_text(encoding="utf-8"))["collection_info"]["version"])
    return str(yaml.safe_load((collection_root() / "galaxy.yml").read_text(encoding="utf-8"))["version"])


@functools.lru_cache(maxsize=1)
def existing_roles() -> frozenset[str]:
    """Return the names of the roles this version has."""
    return frozenset(path.parent.parent.name for path in collection_root().glob("roles/*/tasks/main.yml"))
