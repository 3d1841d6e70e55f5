# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The client of REST, against a server that answers anything."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import time
import urllib.error
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.module_utils import _rest as rest
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._rest import (
    ADVICE,
    FATAL,
    Allowance,
    Answer,
    PageForm,
    RestClient,
    RestError,
    logins_of,
    wait_before,
)
from unit.rest.scripted_server import Scripted, scripted_server

TOKEN, PASSWORD = "NjYxOTk3MDk2Mzkz", "hunter2-or-so"
BOTH = {"token": TOKEN, "username": "admin", "password": PASSWORD}
HTML = (200, {"Content-Type": "text/html"}, b"<!DOCTYPE html><html>Log in</html>")


@pytest.fixture
def server() -> Iterator[Scripted]:
    with scripted_server() as script:
        yield script


def client(server: Scripted, entry: Any = None, **more: Any) -> tuple[RestClient, list[float]]:
    slept: list[float] = []
    values: dict[str, Any] = {"status": {"path": "/status"}, "timeout": 30.0, "sleep": slept.append, **more}
    return RestClient(server.url, logins_of({"token": TOKEN} if entry is None else entry), **values), slept


def error(server: Scripted, entry: Any = None, path: str = "/rest/x", **more: Any) -> RestError:
    asked, _slept = client(server, entry, **more)
    with pytest.raises(RestError) as caught:
        asked.get(path)
    told = str(caught.value) + repr(caught.value) + repr(caught.value.__dict__)
    assert TOKEN not in told
    assert PASSWORD not in told
    return caught.value


# ---- logins -------------------------------------------------------------------------------------------------------


def test_the_token_comes_first_and_nothing_shows_it() -> None:
    logins = logins_of(BOTH)
    assert [login.form for login in logins] == ["token", "password"]
    assert logins[0].header == f"Bearer {TOKEN}"
    assert TOKEN not in repr(logins)
    assert PASSWORD not in repr(logins)


@pytest.mark.parametrize("entry", [None, {}, {"token": ""}, {"username": "a"}, {"password": "b"}, "x", []])
def test_what_is_empty_is_no_login(server: Scripted, entry: Any) -> None:
    assert logins_of(entry) == []
    if entry == {}:
        assert error(server, {}).kind == "no_credentials"
        assert server.asked == []


def test_a_request_carries_what_products_ask_for(server: Scripted) -> None:
    server.on("GET /rest/x", {"a": 1})
    asked, _slept = client(server)
    assert asked.get("/rest/x", {"key": "b c"}) == {"a": 1}
    method, path, headers, _body = server.asked[-1]
    assert (method, path) == ("GET", "/rest/x?key=b+c")
    assert headers["authorization"] == f"Bearer {TOKEN}"
    assert headers["x-atlassian-token"] == "no-check"
    assert "authorization" not in server.asked[0][2]  # the status page is asked without


def test_what_lies_in_one_resource_is_asked_once(server: Scripted) -> None:
    server.on("GET /rest/x", {"a": 1}, {"a": 2})
    asked, _slept = client(server)
    assert [asked.get("/rest/x")["a"] for _time in range(3)] == [1, 1, 1]
    assert asked.get("/rest/x", fresh=True) == {"a": 2}
    assert server.paths() == ["GET /rest/x"] * 2
    for _time in range(2):
        with pytest.raises(RestError):
            asked.get("/rest/none")
    assert server.paths().count("GET /rest/none") == 1


def test_a_refused_login_is_tried_once_and_then_the_next_one(server: Scripted) -> None:
    server.on("GET /rest/x", (401, {}, {}), {"a": 1})
    server.on("GET /rest/y", {"b": 2})
    asked, _slept = client(server, BOTH)
    assert asked.get("/rest/x") == {"a": 1}
    assert asked.get("/rest/y") == {"b": 2}
    sent = [headers["authorization"][:6] for _m, path, headers, _b in server.asked if path != "/status"]
    assert sent == ["Bearer", "Basic ", "Basic "]
    assert asked.rejected == ["token"]


def test_asking_for_the_password_once_more_refuses_no_login(server: Scripted) -> None:
    server.on("GET /rest/x", (401, {}, {"message": "This resource requires WebSudo.", "status-code": 401}))
    server.on("GET /rest/y", {"b": 2})
    asked, _slept = client(server, {"username": "admin", "password": PASSWORD})
    with pytest.raises(RestError) as caught:
        asked.get("/rest/x")
    assert caught.value.kind == "websudo"
    assert asked.get("/rest/y") == {"b": 2}
    assert asked.rejected == []


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ((401, {}, {}), "unauthorised"),
        ((403, {"X-Authentication-Denied-Reason": "CAPTCHA_CHALLENGE; login-url=http://x/"}, {}), "captcha"),
        ((401, {"X-Authentication-Denied-Reason": "CAPTCHA_CHALLENGE; login-url=http://x/"}, {}), "captcha"),
        ((403, {}, {"message": "Basic Authentication has been disabled on this instance."}), "basic_auth_off"),
        ((302, {"Location": "/login.jsp?os_destination=x"}, b""), "unauthorised"),
    ],
)
def test_nothing_more_is_sent_with_a_login_that_was_refused(server: Scripted, answer: Any, kind: str) -> None:
    server.on("GET /rest/x", answer)
    server.on("GET /rest/y", {"b": 2})
    asked, _slept = client(server, {"username": "admin", "password": PASSWORD}, login_paths=("/login.jsp",))
    for path in ("/rest/x", "/rest/x", "/rest/y"):
        with pytest.raises(RestError) as caught:
            asked.get(path)
        assert caught.value.kind == kind
    assert server.paths() == ["GET /rest/x"]
    assert asked.rejected == ["password"]


def test_a_login_that_was_accepted_before_lacks_rights(server: Scripted) -> None:
    server.on("GET /rest/x", {"a": 1})
    server.on("GET /rest/y", (401, {}, {}))
    asked, _slept = client(server)
    asked.get("/rest/x")
    with pytest.raises(RestError) as caught:
        asked.get("/rest/y")
    assert caught.value.kind == "forbidden"
    assert asked.get("/rest/x", fresh=True) == {"a": 1}


# ---- answers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (HTML, "not_json", "page of HTML"),
        ((200, {}, b'{"a": [1, 2'), "not_json", "broken or cut off JSON"),
        ((200, {}, b"[" * 100_000), "not_json", "broken"),
        ((200, {"Content-Length": "50"}, b'{"a": 1'), "not_json", "cut off"),
        ((403, {}, {}), "forbidden", "forbidden"),
        ((404, {}, {}), "missing", "there is no"),
        ((400, {}, {}), "refused", "status 400"),
        ((500, {}, b"<html>stack trace"), "unavailable", "status 500"),
        (
            (302, {"Location": "https://user:pw@elsewhere.example/x?token=s3cret"}, b""),
            "redirect",
            "//elsewhere.example/x",
        ),
        ((302, {}, b""), "redirect", "leads to"),
    ],
)
def test_what_is_no_answer_is_told_with_its_cause(server: Scripted, answer: Any, kind: str, words: str) -> None:
    server.on("GET /rest/x", answer)
    found = error(server)
    assert found.kind == kind
    assert words in str(found)
    assert ADVICE[kind] in str(found)
    assert "s3cret" not in str(found)
    assert "pw@" not in str(found)
    assert len(server.paths()) == 1


def test_a_redirect_loop_is_not_gone_round(server: Scripted) -> None:
    server.on("GET /rest/x", (302, {"Location": "/rest/x"}, b""))
    assert error(server).kind == "redirect"
    assert len(server.paths()) == 1


def test_an_endless_answer_is_cut(server: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = []

    def endless(handler: Any) -> None:
        handler.wfile.write(b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n[")
        for _time in range(1000):
            sent.append(handler.wfile.write(b"1," * 50_000))

    monkeypatch.setattr(rest, "MAX_BYTES", 1024**2)
    server.on("GET /rest/x", endless)
    assert error(server).kind == "too_large"
    assert sum(sent) < 30 * 1024**2


def test_an_answer_that_dribbles_is_given_up(server: Scripted) -> None:
    def dribble(handler: Any) -> None:
        handler.wfile.write(b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n")
        for _time in range(1200):
            handler.wfile.write(b" ")
            time.sleep(0.05)

    server.on("GET /rest/x", dribble)
    before = time.monotonic()
    assert error(server, timeout=0.5).kind == "timeout"
    assert time.monotonic() - before < 30


def test_one_that_never_comes_is_given_up_for_good(server: Scripted) -> None:
    server.on("GET /rest/x", lambda _handler: time.sleep(1.5))
    server.on("GET /rest/y", {})
    asked, _slept = client(server, timeout=0.3)
    for path in ("/rest/x", "/rest/y"):
        with pytest.raises(RestError) as caught:
            asked.get(path)
        assert caught.value.kind == "timeout"


def test_nobody_listens() -> None:
    asked = RestClient("http://127.0.0.1:1", logins_of(BOTH))
    with pytest.raises(RestError, match="cannot be asked") as caught:
        asked.get("/rest/x")
    assert caught.value.kind == "unreachable"


def test_a_certificate_that_nobody_has_signed() -> None:
    why = ssl.SSLCertVerificationError(1, "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed")
    why.verify_message = "self-signed certificate"
    found = rest._failed(urllib.error.URLError(why), "https://wiki.example", 5)
    assert found.kind == "tls"
    assert "self-signed certificate" in str(found)
    assert "ca_file" in str(found)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ((200, {}, {"state": "STARTING"}), "starting"),
        ((503, {}, {"state": "MAINTENANCE"}), "maintenance"),
        ((200, {}, {"state": "FIRST_RUN"}), "first_run"),
        ((200, {}, {"state": 1}), "not_this_product"),
        ((200, {}, {"state": "x" * 100}), "not_this_product"),
        ((404, {}, b"nginx"), "not_this_product"),
        (HTML, "not_this_product"),
    ],
)
def test_a_product_that_is_not_up_gets_no_login(server: Scripted, status: Any, kind: str) -> None:
    server.on("GET /status", status)
    server.on("GET /rest/x", {})
    assert error(server).kind == kind
    assert server.paths() == []
    assert kind in FATAL


# ---- patience -----------------------------------------------------------------------------------------------------


def test_who_asks_too_often_waits_as_long_as_told(server: Scripted) -> None:
    server.on("GET /rest/x", (429, {"Retry-After": "3"}, {}), (503, {}, b""), {"a": 1})
    asked, slept = client(server)
    assert asked.get("/rest/x") == {"a": 1}
    assert slept == [3.0, 2.0]


def test_nobody_waits_for_ever(server: Scripted) -> None:
    server.on("GET /rest/x", (429, {"Retry-After": "86400"}, {}))
    asked, slept = client(server)
    for _time in range(2):
        with pytest.raises(RestError, match="86400 seconds"):
            asked.get("/rest/x", fresh=True)
    assert slept == []
    assert len(server.paths()) == 1


def test_a_product_that_stays_busy_is_given_up(server: Scripted) -> None:
    server.on("GET /rest/x", (429, {}, {}))
    asked, slept = client(server)
    with pytest.raises(RestError) as caught:
        asked.get("/rest/x")
    assert caught.value.kind == "busy"
    assert slept == [1.0, 2.0, 4.0]


@pytest.mark.parametrize(
    ("status", "after", "attempt", "seconds"),
    [
        (429, "7", 1, 7.0),
        (429, "Thu, 01 Jan 1970 00:01:40 GMT", 1, 40.0),
        (429, "Thu, 01 Jan 1970 00:00:01 GMT", 1, 0.0),
        (429, "soon", 2, 2.0),
        (429, "-5", 1, 1.0),
        (429, "9" * 400, 1, 1e6),
        (429, "\u0663", 1, 1.0),
        (503, "", 3, 4.0),
        (503, "1", 4, None),
        (500, "1", 1, None),
    ],
)
def test_how_long_to_wait(status: int, after: str, attempt: int, seconds: float | None) -> None:
    assert wait_before(Answer(status, {"retry-after": after}), attempt, 60.0) == seconds


# ---- certificates --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def self_signed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a certificate of 127.0.0.1 that only itself has signed, in a file with its key."""
    if not shutil.which("openssl"):
        pytest.skip("needs openssl")
    file = tmp_path_factory.mktemp("tls") / "both.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=product"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(file), "-out", f"{file}.crt"]
    subprocess.run(command, check=True, capture_output=True)
    file.write_text(file.read_text() + Path(f"{file}.crt").read_text())
    return file


def test_a_certificate_nobody_has_signed_gets_no_login(self_signed: Path) -> None:
    with scripted_server(self_signed) as server:
        server.on("GET /rest/x", {"a": 1})
        asked = RestClient(server.url, logins_of({"token": "t"}), status={"path": "/status"}, timeout=5)
        with pytest.raises(RestError) as caught:
            asked.get("/rest/x")
        assert caught.value.kind == "tls"
        assert "self-signed certificate" in str(caught.value).replace("self signed", "self-signed")
        assert "atlassian_dc_product_settings_ca_file" in str(caught.value)
        with pytest.raises(RestError):
            asked.get("/rest/other")
        assert server.asked == []
        known = RestClient(
            server.url, logins_of({"token": "t"}), status={"path": "/status"}, timeout=5, ca_file=f"{self_signed}.crt"
        )
        assert known.get("/rest/x") == {"a": 1}


# ---- pages --------------------------------------------------------------------------------------------------------

STARTS = PageForm("values", "startAt", "maxResults", 50, last="isLast")
NEXT = PageForm("values", "start", "limit", 2, last="isLastPage", next="nextPageStart")
LINKS = PageForm("results", "start", "limit", 2, more=("_links", "next"))
BARE = PageForm("values", "page", "limit", 2, counts="pages")


@pytest.mark.parametrize(
    ("form", "pages", "starts"),
    [
        (STARTS, [{"values": [1, 2], "isLast": False}, {"values": [3], "isLast": True}], ["0", "2"]),
        (STARTS, [{"values": [1], "isLast": False}, {"values": [], "isLast": False}], ["0", "1"]),
        (
            NEXT,
            [{"values": [1], "isLastPage": False, "nextPageStart": 40}, {"values": [2], "isLastPage": True}],
            ["0", "40"],
        ),
        (NEXT, [{"values": [1], "isLastPage": False, "nextPageStart": 0}], ["0"]),
        (LINKS, [{"results": [1, 2], "_links": {"next": "/x"}}, {"results": [3], "_links": {}}], ["0", "2"]),
        (BARE, [{"values": [1, 2]}, {"values": [3]}], ["0", "1"]),
        (BARE, [{"values": []}], ["0"]),
    ],
)
def test_lists_are_read_to_their_end(server: Scripted, form: PageForm, pages: list[Any], starts: list[str]) -> None:
    server.on("GET /rest/l", *pages)
    asked, _slept = client(server)
    assert list(asked.pages("/rest/l", form, Allowance(5))) == [item for page in pages for item in page[form.items]]
    assert [path.partition(f"{form.start}=")[2].partition("&")[0] for path in server.paths()] == starts


def test_a_list_asked_for_with_a_body(server: Scripted) -> None:
    server.on("POST /rest/l", {"values": [1, 2]}, {"values": [3]})
    asked, _slept = client(server)
    assert list(asked.pages("/rest/l", BARE, Allowance(5), {"name": "\u00fc"}, post=True)) == [1, 2, 3]
    assert [body for _m, path, _h, body in server.asked if path == "/rest/l"][1] == (
        b'{"name": "\\u00fc", "page": 1, "limit": 2}'
    )


@pytest.mark.parametrize(
    "body", [[], {"values": {}}, {"value": []}, None, "x", {"values": [1]}, {"values": [], "isLast": 1}]
)
def test_a_page_that_is_none(server: Scripted, body: Any) -> None:
    server.on("GET /rest/l", body)
    asked, _slept = client(server)
    with pytest.raises(RestError) as caught:
        list(asked.pages("/rest/l", STARTS, Allowance(20)))
    assert caught.value.kind == "not_json"


def test_pages_without_an_end(server: Scripted) -> None:
    server.on("GET /rest/l", {"values": [1], "isLast": False})
    asked, _slept = client(server)
    with pytest.raises(RestError) as caught:
        list(asked.pages("/rest/l", STARTS, Allowance(20)))
    assert caught.value.kind == "paging"
    assert len(server.paths()) == 20


def test_lists_share_what_may_be_asked_for(server: Scripted) -> None:
    server.on("GET /rest/l", {"values": [1], "isLast": False}, {"values": [2], "isLast": True})
    asked, _slept = client(server)
    allowance = Allowance(2)
    assert list(asked.pages("/rest/l", STARTS, allowance)) == [1, 2]
    with pytest.raises(RestError):
        list(asked.pages("/rest/l", STARTS, allowance))
    assert len(server.paths()) == 2


# ---- administrator sessions ---------------------------------------------------------------------------------------

WEBSUDO = {
    "websudo": {"method": "POST", "path": "/sudo", "page": "/sudo", "form": {"word": "{password}", "to": "/admin"}},
    "websudo_drop": {"method": "DELETE", "path": "/rest/sudo"},
}


def test_the_password_is_entered_once_more_and_the_rights_are_given_back(server: Scripted) -> None:
    server.on("POST /sudo", (302, {"Location": "/admin"}, b""))
    server.on("PUT /rest/x", {})
    server.on("DELETE /rest/sudo", (204, {}, b""))
    asked, _slept = client(server, {"username": "admin", "password": "a&b"}, rest=WEBSUDO)
    for _time in range(2):
        asked.write("PUT", "/rest/x", {"on": True}, websudo=True)
    asked.close()
    asked.close()
    assert server.paths() == ["POST /sudo", "PUT /rest/x", "PUT /rest/x", "DELETE /rest/sudo"]
    assert server.asked[0][3] == b"word=a%26b&to=%2Fadmin"


@pytest.mark.parametrize("answer", [HTML, (302, {"Location": "/sudo?x"}, b""), (401, {}, b"")])
def test_a_password_that_is_not_taken_is_not_entered_again(server: Scripted, answer: Any) -> None:
    server.on("POST /sudo", answer)
    asked, _slept = client(server, {"username": "admin", "password": "x"}, rest=WEBSUDO)
    for _time in range(2):
        with pytest.raises(RestError) as caught:
            asked.write("PUT", "/rest/x", {}, websudo=True)
        assert caught.value.kind in ("websudo", "unauthorised")
    asked.close()
    assert server.paths() == ["POST /sudo"]


def test_a_token_has_no_password(server: Scripted) -> None:
    asked, _slept = client(server, rest=WEBSUDO)
    with pytest.raises(RestError, match="a token has none"):
        asked.write("PUT", "/rest/x", {}, websudo=True)
    assert server.paths() == []


def test_being_sent_to_its_page_says_that_it_is_wanted(server: Scripted) -> None:
    server.on("GET /rest/x", (302, {"Location": "/ctx/sudo?destination=x"}, b""))
    assert error(server, rest=WEBSUDO).kind == "websudo"


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_certificates_that_cannot_be_used(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(RestError, match=str(path)) as caught:
        RestClient("https://wiki.example", logins_of(BOTH), ca_file=str(path))
    assert caught.value.kind == "tls"


def test_the_host_itself_is_asked_without_a_proxy(server: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    server.on("GET /rest/x", {"a": 1})
    assert client(server)[0].get("/rest/x") == {"a": 1}
    asked = RestClient("http://wiki.invalid", logins_of(BOTH), timeout=1)
    with pytest.raises(RestError) as caught:
        asked.get("/rest/x")
    assert caught.value.kind == "unreachable"
