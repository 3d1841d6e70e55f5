# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Repositories of backups that are opened at once.

To make guesses expensive, each start of restic derives a key from the password for half a second of processor time.
Tests start it a thousand times, and nobody guesses their passwords: the key is derived for next to nothing.

Source: https://restic.readthedocs.io/en/stable/100_references.html (keys, encryption and MAC)
"""

from __future__ import annotations

import base64
import hashlib
import json
import shlex
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.poly1305 import Poly1305

from .lab import Lab

CHEAP = {"N": 2, "r": 8, "p": 1}
"""The least that restic takes for its scrypt."""
BLOCK = 16
"""Bytes of a nonce, and of an authentication code."""


def open_at_once(lab: Lab, server: str, name: str, password: str) -> None:
    """Have a repository be opened at once; make it where there is none.

    Args:
        lab: the group of hosts.
        server: host that keeps it.
        name: of its folder there.
        password: the only one it has.

    """
    text = lab.sh(
        server,
        f"""
        cd /srv/repository
        [ -e {name}/config ] || RESTIC_PASSWORD={shlex.quote(password)} restic -q -r {name} init
        cat {name}/keys/*
        """,
    )
    key = with_cheap_password(json.loads(text), password)
    digest = hashlib.sha256(key.encode()).hexdigest()
    lab.sh(
        server,
        f"""
        cd /srv/repository/{name}/keys
        printf %s {shlex.quote(key)} > ../{digest}
        rm -f -- *
        mv ../{digest} .
        """,
    )


def with_cheap_password(key: dict[str, Any], password: str) -> str:
    """Return the content of the file of a key, encrypted anew."""
    data = base64.b64decode(key["data"])
    nonce, secret = data[:BLOCK], data[BLOCK:-BLOCK]
    plain = _crypt(_derived(key, password)[:32], nonce, secret)
    cheap = {**key, **CHEAP}
    derived = _derived(cheap, password)
    secret = _crypt(derived[:32], nonce, plain)
    block = Cipher(algorithms.AES(derived[32:48]), modes.ECB()).encryptor()  # noqa: S305 - of a single block
    code = Poly1305.generate_tag(derived[48:] + block.update(nonce), secret)
    return json.dumps({**cheap, "data": base64.b64encode(nonce + secret + code).decode()})


def _derived(key: dict[str, Any], password: str) -> bytes:
    """Return keys for encryption (32 bytes) and authentication (16 and 16)."""
    salt = base64.b64decode(key["salt"])
    return hashlib.scrypt(password.encode(), salt=salt, n=key["N"], r=key["r"], p=key["p"], maxmem=2**27, dklen=64)


def _crypt(key: bytes, nonce: bytes, data: bytes) -> bytes:
    """Encrypt, or decrypt."""
    return Cipher(algorithms.AES(key), modes.CTR(nonce)).encryptor().update(data)
