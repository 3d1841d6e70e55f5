# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The small private authority on the controller, whose certificates shippers and collectors of logs show each other.

Keys of hosts never leave them: a host sends a request, and gets a certificate that holds the names the controller gives
it, whatever the request says.
"""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

try:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
except ImportError:  # ansible-core depends on it; who uses no authority does without
    USABLE = False
else:
    USABLE = hasattr(x509.Certificate, "not_valid_after_utc")

NAME = "atlassian_dc.hardening log shipping"
YEARS = 10
CLOCKS_APART = datetime.timedelta(hours=1)
MAX_REQUEST = 20_000


class AuthorityError(Exception):
    """The authority cannot be used; says why."""


def now() -> datetime.datetime:
    """Return the time as certificates hold it."""
    return datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)


class Authority:
    """A certificate authority in a folder.

    Args:
        folder: holds ``ca.pem`` and ``ca.key``; made when the first certificate is signed.

    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._certificate = folder / "ca.pem"
        self._key = folder / "ca.key"

    def certificate(self) -> str | None:
        """Return its certificate; None where there is none yet.

        Raises:
            AuthorityError: it is there and cannot be read.

        """
        try:
            return self._certificate.read_text(encoding="ascii")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as exc:
            raise AuthorityError(f"{self._certificate}: {exc}") from exc

    def sign(self, request: str, names: Sequence[str], days: int, serves: bool) -> str:
        """Return a certificate for the key of a request.

        Args:
            request: in PEM; only its key counts.
            names: that the certificate is to hold.
            days: how long it is to be valid.
            serves: whether it is that of a collector, else of a shipper.

        Raises:
            AuthorityError: the request or the authority is broken, or what is needed is not installed.

        """
        if not USABLE:
            raise AuthorityError("the Python that runs Ansible needs cryptography 42 or newer")
        try:
            asked = x509.load_pem_x509_csr(request[:MAX_REQUEST].encode())
            if not asked.is_signature_valid:
                raise AuthorityError("the request for a certificate is not signed with its own key")
            public = asked.public_key()
        except (ValueError, InvalidSignature) as exc:
            raise AuthorityError(f"the request for a certificate cannot be read: {exc}") from exc
        with self._held():
            issuer, key = self._load()
            begin = now()
            end = min(begin + datetime.timedelta(days=days), issuer.not_valid_after_utc)
            usage = ExtendedKeyUsageOID.SERVER_AUTH if serves else ExtendedKeyUsageOID.CLIENT_AUTH
            signed = (
                x509.CertificateBuilder()
                .subject_name(_called(names[0][:64]))
                .issuer_name(issuer.subject)
                .public_key(public)
                .serial_number(x509.random_serial_number())
                .not_valid_before(begin - CLOCKS_APART)
                .not_valid_after(end)
                .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
                .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
                .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
                .add_extension(
                    x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()),
                    critical=False,
                )
                .sign(key, hashes.SHA256())
            )
        return signed.public_bytes(serialization.Encoding.PEM).decode()

    @contextlib.contextmanager
    def _held(self) -> Iterator[None]:
        """Keep other hosts of the run, which are served by other processes, from making an authority of their own."""
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with (self.folder / "lock").open("w", encoding="ascii") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield
        except OSError as exc:
            raise AuthorityError(f"{self.folder}: {exc.strerror or exc}") from exc

    def _load(self) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
        if not self._key.exists():
            key = ec.generate_private_key(ec.SECP256R1())
            text = key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            self._write(self._key, text)
            return self._certify(key), key
        try:
            loaded = serialization.load_pem_private_key(self._key.read_bytes(), password=None)
            certificate = x509.load_pem_x509_certificate(self._certificate.read_bytes())
        except (ValueError, TypeError, FileNotFoundError) as exc:
            raise AuthorityError(f"{self.folder} holds no authority that can be read: {exc}") from exc
        if not isinstance(loaded, ec.EllipticCurvePrivateKey):
            raise AuthorityError(f"{self._key} is of another kind than this collection makes")
        life = certificate.not_valid_after_utc - certificate.not_valid_before_utc
        if certificate.not_valid_after_utc - now() < life / 3:
            # With the same key and name, so that what it has signed before still holds.
            certificate = self._certify(loaded)
        return certificate, loaded

    def _certify(self, key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
        begin = now()
        certificate = (
            x509.CertificateBuilder()
            .subject_name(_called(NAME))
            .issuer_name(_called(NAME))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin - CLOCKS_APART)
            .not_valid_after(begin + datetime.timedelta(days=365 * YEARS))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(
                x509.KeyUsage(
                    digital_signature=False,
                    content_commitment=False,
                    key_encipherment=False,
                    data_encipherment=False,
                    key_agreement=False,
                    key_cert_sign=True,
                    crl_sign=True,
                    encipher_only=False,
                    decipher_only=False,
                ),
                critical=True,
            )
            .sign(key, hashes.SHA256())
        )
        self._write(self._certificate, certificate.public_bytes(serialization.Encoding.PEM))
        return certificate

    @staticmethod
    def _write(path: Path, content: bytes) -> None:
        temporary = path.with_name(f".{path.name}.new")
        temporary.unlink(missing_ok=True)
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.rename(path)


def _called(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
