# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Repositories of backups on hosts of image ``repository``, which are opened at once.

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

PASSWORD = "open sesame"  # noqa: S105 - of repositories that live for a minute
CERTIFICATE = "/etc/ssl/certs/backup.pem"
"""Where hosts have that of the server."""
FOLDER = "/srv/repository"
"""Where the server has its repositories."""
CHEAP = {"N": 2, "r": 8, "p": 1}
"""The least that restic takes for its scrypt."""
BLOCK = 16
"""Bytes of a nonce, and of an authentication code."""


def repository(server: str, name: str, password: str = PASSWORD) -> dict[str, Any]:
    """Return the variable that tells where backups go."""
    return {
        "url": f"rest:https://backup:take-and-keep@{server}:8000/{name}",
        "password": password,
        "environment": {"RESTIC_CACERT": CERTIFICATE},
    }


def trust(lab: Lab, server: str, *hosts: str) -> None:
    """Have hosts trust the certificate of a server."""
    certificate = lab.sh(server, "cat /etc/repository/certificate.pem")
    for host in hosts:
        lab.sh(host, f"cat > {CERTIFICATE} <<'END'\n{certificate}END\n")


def restic(lab: Lab, server: str, name: str, words: str) -> str:
    """Ask a repository on its own host; the words are those of a shell."""
    return lab.sh(server, f"RESTIC_PASSWORD='{PASSWORD}' restic -q -r {FOLDER}/{name} --no-lock {words}")


def open_at_once(lab: Lab, server: str, name: str) -> None:
    """Have a repository be opened at once; make it where there is none."""
    text = lab.sh(
        server,
        f"""
        cd {FOLDER}
        [ -e {name}/config ] || RESTIC_PASSWORD='{PASSWORD}' restic -q -r {name} init
        cat {name}/keys/*
        """,
    )
    key = with_cheap_password(json.loads(text))
    digest = hashlib.sha256(key.encode()).hexdigest()
    lab.sh(
        server,
        f"""
        cd {FOLDER}/{name}/keys
        rm -f -- *
        printf %s {shlex.quote(key)} > {digest}
        """,
    )


def with_cheap_password(key: dict[str, Any]) -> str:
    """Return the content of the file of a key, encrypted anew."""
    data = base64.b64decode(key["data"])
    nonce, secret = data[:BLOCK], data[BLOCK:-BLOCK]
    plain = _crypt(_derived(key)[:32], nonce, secret)
    cheap = {**key, **CHEAP}
    derived = _derived(cheap)
    secret = _crypt(derived[:32], nonce, plain)
    block = Cipher(algorithms.AES(derived[32:48]), modes.ECB()).encryptor()  # noqa: S305 - of a single block
    code = Poly1305.generate_tag(derived[48:] + block.update(nonce), secret)
    return json.dumps({**cheap, "data": base64.b64encode(nonce + secret + code).decode()})


def _derived(key: dict[str, Any]) -> bytes:
    """Return keys for encryption (32 bytes) and authentication (16 and 16)."""
    salt = base64.b64decode(key["salt"])
    return hashlib.scrypt(PASSWORD.encode(), salt=salt, n=key["N"], r=key["r"], p=key["p"], maxmem=2**27, dklen=64)


def _crypt(key: bytes, nonce: bytes, data: bytes) -> bytes:
    """Encrypt, or decrypt."""
    return Cipher(algorithms.AES(key), modes.CTR(nonce)).encryptor().update(data)
