# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The authority on the controller, and what shippers and collectors with its certificates say to each other."""

from __future__ import annotations

import contextlib
import datetime
import socket
import ssl
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._shipping_config import (
    COLLECTOR,
    SHIPPER,
    Collector,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._shipping_probe import knock
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils import _shipping_authority
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._shipping_authority import (
    Authority,
    AuthorityError,
    now,
)
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

KEY = ec.generate_private_key(ec.SECP256R1())


def request(name: str = "whoever") -> str:
    """Return a request that asks for another name than it will get."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    wished = x509.SubjectAlternativeName([x509.DNSName("admin.example")])
    made = x509.CertificateSigningRequestBuilder().subject_name(subject).add_extension(wished, critical=False)
    return made.sign(KEY, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def names_of(certificate: str) -> list[str]:
    loaded = x509.load_pem_x509_certificate(certificate.encode())
    return loaded.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(
        x509.DNSName
    )


def test_only_the_controller_says_what_a_certificate_is_for(tmp_path: Path) -> None:
    signed = Authority(tmp_path / "ca").sign(request(), ["one", "two"], 30, serves=False)
    assert names_of(signed) == ["one", "two"]


def test_what_it_keeps_is_private_and_stays(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "ca")
    assert authority.certificate() is None
    assert not (tmp_path / "ca").exists()
    authority.sign(request(), ["one"], 30, serves=False)
    first = authority.certificate()
    authority.sign(request(), ["two"], 30, serves=True)
    assert authority.certificate() == first
    assert stat.S_IMODE((tmp_path / "ca").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "ca/ca.key").stat().st_mode) == 0o600


def test_it_is_renewed_so_that_what_it_has_signed_still_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    past = now() - datetime.timedelta(days=365 * 8)
    authority = Authority(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(_shipping_authority, "now", lambda: past)
        signed = authority.sign(request(), ["one"], 365 * 9, serves=False)
        old = authority.certificate()
    authority.sign(request(), ["two"], 30, serves=False)
    new = x509.load_pem_x509_certificate((authority.certificate() or "").encode())
    assert authority.certificate() != old
    x509.load_pem_x509_certificate(signed.encode()).verify_directly_issued_by(new)


@pytest.mark.parametrize(
    "text", ["", "nonsense", "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----"]
)
def test_what_is_no_request_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(AuthorityError):
        Authority(tmp_path).sign(text, ["one"], 30, serves=False)


@pytest.mark.parametrize("broken", ["ca.key", "ca.pem"])
def test_a_broken_authority_is_told_and_not_replaced(tmp_path: Path, broken: str) -> None:
    authority = Authority(tmp_path)
    authority.sign(request(), ["one"], 30, serves=False)
    (tmp_path / broken).write_text("nonsense")
    with pytest.raises(AuthorityError, match="no authority"):
        authority.sign(request(), ["one"], 30, serves=False)
    assert (tmp_path / broken).read_text() == "nonsense"


# ---- knocking ----------------------------------------------------------------------------------------------------


class Site:
    """Certificates in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = Authority(folder / "ca")
        self.foreign = Authority(folder / "other")
        key = KEY.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (folder / "key").write_bytes(key)

    def paths(self, name: str, serves: bool, authority: Authority | None = None) -> dict[str, str]:
        """Sign a certificate; the other side is believed if it is of the authority."""
        signed = (authority or self.authority).sign(request(), [name], 30, serves)
        kind = "server" if serves else "client"
        (self.folder / kind).write_text(signed)
        self.authority.sign(request(), ["x"], 30, serves=False)
        (self.folder / "believed").write_text(self.authority.certificate() or "")
        return {"ca": f"{self.folder}/believed", "cert": f"{self.folder}/{kind}", "key": f"{self.folder}/key"}


@contextlib.contextmanager
def served(paths: dict[str, str], answer: bytes = b"1 rsp 6 200 OK\n") -> Iterator[int]:
    """Serve one connection as a collector does."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(paths["cert"], paths["key"])
    context.load_verify_locations(paths["ca"])
    context.verify_mode = ssl.CERT_REQUIRED

    def serve() -> None:
        with contextlib.suppress(OSError):
            plain, _address = listener.accept()
            with plain, context.wrap_socket(plain, server_side=True) as connection:
                connection.recv(4096)
                connection.sendall(answer)
                connection.recv(4096)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(10)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return Site(tmp_path_factory.mktemp("site"))


def test_both_sides_believe_each_other(site: Site) -> None:
    mine = site.paths(SHIPPER, serves=False)
    with served(site.paths(COLLECTOR, serves=True)) as port:
        assert knock(Collector("127.0.0.1", port, "relp"), mine, [COLLECTOR]) == ""


def test_a_collector_of_another_authority_is_not_believed(site: Site) -> None:
    mine = site.paths(SHIPPER, serves=False)
    with served(site.paths(COLLECTOR, serves=True, authority=site.foreign)) as port:
        assert "not believed" in knock(Collector("127.0.0.1", port, "relp"), mine, [COLLECTOR])


def test_a_certificate_of_a_shipper_makes_no_collector(site: Site) -> None:
    mine = site.paths(SHIPPER, serves=False)
    with served(site.paths("stranger.example", serves=True)) as port:
        said = knock(Collector("127.0.0.1", port, "relp"), mine, [COLLECTOR])
    assert said == f"its certificate is for stranger.example, not for {COLLECTOR}"


def test_a_collector_does_not_believe_everybody(site: Site) -> None:
    theirs = site.paths(COLLECTOR, serves=True)
    with served(theirs) as port:
        mine = site.paths(SHIPPER, serves=False, authority=site.foreign)
        assert "does not believe" in knock(Collector("127.0.0.1", port, "relp"), mine, [COLLECTOR])


def test_what_speaks_no_relp_is_told(site: Site) -> None:
    mine = site.paths(SHIPPER, serves=False)
    with served(site.paths(COLLECTOR, serves=True), b"HTTP/1.1 400 Bad Request\r\n") as port:
        assert knock(Collector("127.0.0.1", port, "relp"), mine, [COLLECTOR]) == "it does not speak RELP"


def test_nobody_there(site: Site) -> None:
    mine = site.paths(SHIPPER, serves=False)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert "cannot be reached" in knock(Collector("127.0.0.1", port, "relp"), mine, [COLLECTOR])
    absent = {**mine, "cert": "/nonexistent"}
    assert "cannot be used" in knock(Collector("127.0.0.1", port, "relp"), absent, [COLLECTOR])


def test_a_controller_without_what_it_needs_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_shipping_authority, "USABLE", False)
    with pytest.raises(AuthorityError, match="cryptography 42"):
        Authority(tmp_path / "ca").sign("", ["x"], 30, serves=False)
    assert not (tmp_path / "ca").exists()
