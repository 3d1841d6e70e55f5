# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks a product over REST, and takes nothing it answers on trust.

A login that was refused is not tried again: a second and a third time would lock the account or ask it for a CAPTCHA.
No redirect is followed, so that no credential goes where nobody sent it. Answers are bounded in size and time. Nothing
of a credential stands in an error, a URL or a log.
"""

from __future__ import annotations

import base64
import contextlib
import email.utils
import http.client
import json
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.cookiejar import CookieJar
from typing import Any, Callable

AGENT = "atlassian_dc.hardening"

MAX_BYTES = 8 * 1024 * 1024
"""Longest answer that is read."""

ATTEMPTS = 4
"""How often a request is made that the product asks to make later."""

MAX_WAIT = 30.0
"""Seconds that are waited for that, all requests of a client together."""

CHUNK = 64 * 1024

ADVICE = {
    "unauthorised": "check its entry in atlassian_dc_credentials; it is not tried again in this run",
    "captcha": "log in once in a browser, or use a personal access token",
    "basic_auth_off": "use a personal access token in atlassian_dc_credentials",
    "forbidden": "the account needs to be a system administrator of the product",
    "websudo": "do it in the browser, or set username and password in atlassian_dc_credentials",
    "starting": "run this again once it is up",
    "maintenance": "run this again once that is over",
    "first_run": "finish its setup assistant",
    "unavailable": "see its log, and run this again",
    "busy": "run this again later, or exempt the account from rate limiting",
    "missing": "this version or a disabled app does not offer it, or another product answers there",
    "not_this_product": "check the url of the instance in atlassian_dc_instances",
    "redirect": "declare the url it leads to in atlassian_dc_instances, if that is the product",
    "not_json": "check that the url of the instance leads to the product and not to a proxy's page",
    "too_large": "it was not read to its end",
    "paging": "what comes after them was not looked at",
    "timeout": "check whether the product answers at all",
    "tls": "give the certificate of its authority as atlassian_dc_product_settings_ca_file, or the name it has as url",
    "unreachable": "check that it runs, and its port",
    "refused": "see the log of the product",
    "no_credentials": "set atlassian_dc_credentials",
    "log": "see the logs of the product",
}
"""By kind of error, what somebody does about it."""


class RestError(Exception):
    """What was asked for did not come.

    Args:
        kind: one of `ADVICE`.
        cause: what happened, in words, the instance left out.

    """

    def __init__(self, kind: str, cause: str) -> None:
        super().__init__(f"{cause}; {ADVICE[kind]}")
        self.kind = kind
        self.cause = cause


@dataclass(frozen=True)
class Answer:
    """An answer of HTTP; names of headers are in lower case."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True)
class Login:
    """One way to log in."""

    form: str
    """``token`` or ``password``."""
    header: str = field(repr=False)
    password: str = field(default="", repr=False)


def logins_of(entry: Any) -> list[Login]:
    """Return the ways to log in that an entry of ``atlassian_dc_credentials`` gives: the token first.

    What is empty is not set, as a lookup of an environment variable that is not there gives it.
    """
    entry = entry if isinstance(entry, Mapping) else {}
    found = []
    token, username, password = (str(entry.get(key) or "") for key in ("token", "username", "password"))
    if token:
        found.append(Login("token", f"Bearer {token}"))
    if username and password:
        pair = base64.b64encode(f"{username}:{password}".encode()).decode("ascii")
        found.append(Login("password", f"Basic {pair}", password))
    return found


# ---- what an answer means --------------------------------------------------------------------------------------------


def refusal(
    answer: Answer, url: str, login_paths: tuple[str, ...] = (), websudo_page: str | None = None
) -> RestError | None:
    """Return why an answer is not what was asked for, None where it is.

    Args:
        answer: the answer.
        url: what was asked, without a query.
        login_paths: paths of the product's login pages.
        websudo_page: path of the page that asks an administrator for the password once more.

    """
    status, headers = answer.status, answer.headers
    if "captcha" in headers.get("x-authentication-denied-reason", "").lower():
        return RestError("captcha", "it wants the account to solve a CAPTCHA first, after failed logins")
    if 300 <= status < 400:
        target = urllib.parse.urlsplit(urllib.parse.urljoin(url, headers.get("location", "")))
        if any(target.path.endswith(path.rstrip("*")) for path in login_paths):
            return RestError("unauthorised", "it answers with its login page")
        if websudo_page and target.path.endswith(websudo_page):
            return RestError("websudo", "it wants an administrator to enter the password once more")
        # What stands in a query may be secret.
        return RestError(
            "redirect", f"{url} leads to {target.scheme}://{target.netloc.rpartition('@')[2]}{target.path}"
        )
    if status == 401:
        # The vendor's REST module answers so to whoever is logged in, with "This resource requires WebSudo."
        if b"requires websudo" in answer.body[:CHUNK].lower():
            return RestError("websudo", "it wants an administrator to enter the password once more")
        return RestError("unauthorised", "it does not accept the login")
    if status == 403:
        if b"basic authentication has been disabled" in answer.body[:CHUNK].lower():
            return RestError("basic_auth_off", "it accepts no user name and password over REST")
        if "websudo" in " ".join(headers).lower():
            return RestError("websudo", "it wants an administrator to enter the password once more")
        return RestError("forbidden", f"{url} is forbidden for the account")
    if status in (404, 405, 410):
        return RestError("missing", f"there is no {url}")
    if status == 429:
        return RestError("busy", "it limits the rate of requests")
    if status >= 500:
        return RestError("unavailable", f"{url} answers with status {status}")
    if status >= 400:
        return RestError("refused", f"{url} answers with status {status}")
    return None


def json_of(answer: Answer, url: str) -> Any:
    """Return what an answer holds.

    Raises:
        RestError: it is no JSON.

    """
    if not answer.body.strip():
        return None
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError):
        kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
        what = "a page of HTML" if "html" in kind or answer.body.lstrip()[:1] == b"<" else "broken or cut off JSON"
        raise RestError("not_json", f"{url} answers with {what}") from None


def wait_before(answer: Answer, attempt: int, now: float) -> float | None:
    """Return the seconds to wait before a request is made again, None where that would not help.

    Args:
        answer: what it was answered with.
        attempt: how often it was made, counted from 1.
        now: seconds since 1970.

    """
    if answer.status not in (429, 503) or attempt >= ATTEMPTS:
        return None
    wanted = answer.headers.get("retry-after", "").strip()
    if wanted.isascii() and wanted.isdigit():
        return float(min(int(wanted[:9]), 10**6))
    if wanted:
        try:
            return max(email.utils.parsedate_to_datetime(wanted).timestamp() - now, 0.0)
        except (TypeError, ValueError, OverflowError):
            pass
    return float(2 ** (attempt - 1))


def state_of(answer: Answer, key: str) -> str | None:
    """Return the state that a status page tells, None where it is none."""
    try:
        body = json.loads(answer.body)
    except (ValueError, RecursionError):
        return None
    state = body.get(key) if isinstance(body, dict) else None
    return state if isinstance(state, str) and len(state) < 40 else None


@dataclass(frozen=True)
class PageForm:
    """How a product splits a list into pages.

    Attributes:
        items: key of the answer that holds the items.
        start: name of the parameter that says where to begin.
        limit: name of the parameter that says how many.
        size: how many are asked for.
        last: key that is true on the last page.
        next: key that holds the next start.
        more: keys, one below the other, that are only there where there is another page.
        counts: what the start counts, ``items`` or ``pages``.

    """

    items: str
    start: str
    limit: str
    size: int = 1000
    last: str | None = None
    next: str | None = None
    more: tuple[str, ...] = ()
    counts: str = "items"

    @classmethod
    def of(cls, described: Mapping[str, Any]) -> PageForm:
        """Return the form that product data describes."""
        return cls(**{**described, "more": tuple(described.get("more") or ())})

    def query(self, start: int) -> dict[str, Any]:
        """Return the parameters of a page."""
        return {self.start: start, self.limit: self.size}

    def items_of(self, body: Any, url: str) -> list[Any]:
        """Return the items of a page.

        Raises:
            RestError: it is no page.

        """
        items = body.get(self.items) if isinstance(body, dict) else None
        if not isinstance(items, list):
            raise RestError("not_json", f"{url} answers with something that is no list")
        return items

    def after(self, body: dict[str, Any], start: int) -> int | None:
        """Return where the next page begins, None after the last one.

        Raises:
            RestError: the answer does not tell.

        """
        count = len(body[self.items])
        if self.last is not None:
            if not isinstance(body.get(self.last), bool):
                raise RestError("not_json", "a page of a list does not say whether it is the last one")
            if body[self.last]:
                return None
        if count == 0:
            return None
        if self.more:
            inner: Any = body
            for key in self.more:
                inner = inner.get(key) if isinstance(inner, dict) else None
            if not inner:
                return None
        elif self.last is None and count < self.size:
            return None
        if self.next is not None:
            following = body.get(self.next)
            return following if isinstance(following, int) and following > start else None
        return start + (1 if self.counts == "pages" else count)


class Allowance:
    """How many pages may still be asked for, of all the lists that share it.

    Args:
        pages: how many.

    """

    def __init__(self, pages: int) -> None:
        self.pages = pages
        self._left = pages

    def take(self) -> bool:
        """Take one page; whether there was one left."""
        self._left -= 1
        return self._left >= 0


# ---- how it is sent ------------------------------------------------------------------------------------------------


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Leaves a redirect as the answer it is."""

    def redirect_request(self, *_arguments: Any, **_more: Any) -> None:
        """Follow none."""


class Transport:
    """Makes requests of one instance.

    Args:
        url: where it is; who asks the host itself does not mean to ask a proxy.
        timeout: seconds that an answer may take.
        ca_file: certificates of authorities that are accepted beside those of the host.

    Raises:
        RestError: the certificates cannot be read.

    """

    def __init__(self, url: str, timeout: float, ca_file: str | None) -> None:
        parts = urllib.parse.urlsplit(url)
        host = parts.hostname or ""
        self.timeout = timeout
        # An opener of its own: others of the process are shared by all threads.
        handlers: list[Any] = [_NoRedirects, urllib.request.HTTPCookieProcessor(CookieJar())]
        if host in ("localhost", "::1") or host.startswith("127."):
            handlers.append(urllib.request.ProxyHandler({}))
        if parts.scheme == "https":
            try:
                context = ssl.create_default_context()
                if ca_file:
                    context.load_verify_locations(ca_file)
            except OSError as exc:
                raise RestError(
                    "tls", f"{ca_file} cannot be used: {exc.strerror or 'it holds no certificate'}"
                ) from None
            handlers.append(urllib.request.HTTPSHandler(context=context))
        self._opener = urllib.request.build_opener(*handlers)

    def __call__(self, method: str, url: str, headers: dict[str, str], data: bytes | None) -> Answer:
        """Make one request and return the answer, whatever it is.

        Raises:
            RestError: none came, or it is too long or too slow.

        """
        asked = url.partition("?")[0]
        end = time.monotonic() + self.timeout
        request = urllib.request.Request(url, data, {"User-Agent": AGENT, **headers}, method=method)  # noqa: S310
        try:
            try:
                reply: Any = self._opener.open(request, timeout=self.timeout)
            except urllib.error.HTTPError as exc:
                reply = exc
            with reply:
                body = b""
                # Whatever there is: who waits for a whole piece waits as long as somebody dribbles.
                while chunk := reply.read1(CHUNK):
                    body += chunk
                    if len(body) > MAX_BYTES:
                        raise RestError("too_large", f"{asked} answers with more than {MAX_BYTES // 1024**2} MiB")
                    if time.monotonic() > end:
                        raise RestError("timeout", f"{asked} did not answer within {self.timeout:g} seconds")
                headers = {key.lower(): value for key, value in reply.headers.items()}
                return Answer(int(reply.code), headers, body)
        except (OSError, http.client.HTTPException) as exc:
            raise _failed(exc, asked, self.timeout) from None


def _failed(exc: BaseException, asked: str, timeout: float) -> RestError:
    """Return what an error of the network means."""
    reason = getattr(exc, "reason", None)
    for error in (exc, reason, getattr(reason, "reason", None)):
        if isinstance(error, ssl.SSLError):
            why = getattr(error, "verify_message", "") or error.reason or "TLS failed"
            return RestError("tls", f"the certificate or TLS of {asked} is not accepted: {why}")
        if isinstance(error, TimeoutError) or "timed out" in str(error):
            return RestError("timeout", f"{asked} did not answer within {timeout:g} seconds")
    words = getattr(reason, "strerror", None) or getattr(exc, "strerror", None) or type(exc).__name__
    return RestError("unreachable", f"{asked} cannot be asked: {words}")


class RestClient:
    """Asks one instance.

    Args:
        url: where the product answers, context path included.
        logins: the ways to log in, the first one first.
        rest: section ``rest`` of its product data.
        status: its status page: ``path``, and optionally ``key`` and ``up``, the states in which it can be asked.
        login_paths: paths of its login pages.
        timeout: seconds that an answer may take.
        ca_file: certificates of authorities that are accepted beside those of the host.
        transport: makes a request; that of the network by default.
        now: tells the time.
        sleep: waits.

    Raises:
        RestError: the certificates cannot be read.

    """

    def __init__(
        self,
        url: str,
        logins: list[Login],
        rest: Mapping[str, Any] | None = None,
        status: Mapping[str, Any] | None = None,
        login_paths: tuple[str, ...] = (),
        timeout: float = 10.0,
        ca_file: str | None = None,
        transport: Callable[..., Answer] | None = None,
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.url = url.rstrip("/")
        self.rest = rest or {}
        self.rejected: list[str] = []
        """Forms of the logins that were refused."""
        self.requests = 0
        self._logins = list(logins)
        self._proven = False
        self._status = status or {}
        self._login_paths = login_paths
        self._transport = transport or Transport(self.url, timeout, ca_file)
        self._now = now
        self._sleep = sleep
        self._waited = 0.0
        self._elevated = False
        self._refused: RestError | None = None
        """Why it gives no administrator session, once it gave none."""
        self._known: dict[str, Any] = {}
        self._failure: RestError | None = None
        """Why nothing more is asked, once something was that every request would meet."""

    # -- what modules use ------------------------------------------------------------------------------------------

    def get(self, path: str, query: Mapping[str, Any] | None = None, fresh: bool = False) -> Any:
        """Return what a resource holds. It is asked once, however many settings lie in it.

        Args:
            path: below the context path.
            query: parameters.
            fresh: ask again.

        Raises:
            RestError: it did not come.

        """
        key = path + ("?" + urllib.parse.urlencode(sorted(query.items())) if query else "")
        if fresh or key not in self._known:
            try:
                self._known[key] = self._json("GET", path, query)
            except RestError as exc:
                self._known[key] = exc
        if isinstance(self._known[key], RestError):
            raise self._known[key]
        return self._known[key]

    def write(self, method: str, path: str, body: Any, websudo: bool = False) -> Any:
        """Change something; what was read before counts no longer.

        Raises:
            RestError: it was refused.

        """
        self._known.clear()
        if websudo:
            self.elevate()
        return self._json(method, path, None, body)

    def post(self, path: str, body: Any) -> Any:
        """Ask something that has to be asked with a body; it changes nothing.

        Raises:
            RestError: it did not come.

        """
        return self._json("POST", path, None, body)

    def pages(
        self,
        path: str,
        form: PageForm,
        allowance: Allowance,
        query: Mapping[str, Any] | None = None,
        post: bool = False,
    ) -> Iterator[Any]:
        """Yield the items of a list, page after page.

        Args:
            path: below the context path.
            form: how it is split.
            allowance: how many pages may be asked for.
            query: parameters beside those of the page.
            post: the parameters are sent as a body.

        Raises:
            RestError: a page did not come, or there are more than may be asked for.

        """
        start: int | None = 0
        while allowance.take():
            asked = {**(query or {}), **form.query(start or 0)}
            body = self.post(path, asked) if post else self._json("GET", path, asked)
            yield from form.items_of(body, self.url + path)
            start = form.after(body, start or 0)
            if start is None:
                return
        raise RestError("paging", f"{self.url + path} goes on after the {allowance.pages} pages that are asked for")

    def state(self) -> str | None:
        """Return what the status page tells, None where it tells nothing. No login is sent."""
        path = self._status.get("path")
        if not path:
            return None
        return state_of(self._send("GET", self.url + str(path), {"Accept": "application/json"}, None), self._key)

    def give_up(self, why: RestError) -> None:
        """Ask nothing more that needs a login."""
        self._failure = why
        self._known.clear()

    @property
    def form(self) -> str:
        """The form of the login that is in use, "" where there is none."""
        return self._logins[0].form if self._logins else ""

    @property
    def exhausted(self) -> bool:
        """Whether logins were sent and every one was refused."""
        return bool(self.rejected) and not self._logins

    def close(self) -> None:
        """Give the rights of an administrator session back, where it was given some."""
        drop = self.rest.get("websudo_drop")
        if self._elevated and drop:
            self._elevated = False
            with contextlib.suppress(RestError):  # it ends by itself after some minutes
                self._json(drop["method"], drop["path"])

    def elevate(self) -> None:
        """Enter the password once more, as the product asks of administrators.

        Raises:
            RestError: there is no password, or it was not taken.

        """
        form = self.rest.get("websudo")
        if self._elevated or form is None:
            return
        if self._refused is not None:
            raise self._refused
        login = self._login
        if not login.password:
            raise RestError("websudo", "it wants the password of an administrator once more, and a token has none")
        fields = {key: str(value).replace("{password}", login.password) for key, value in form["form"].items()}
        data = urllib.parse.urlencode(fields).encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded", **self._headers(login)}
        answer = self._send(form["method"], self.url + form["path"], headers, data)
        refused = refusal(answer, self.url + form["path"], self._login_paths, form.get("page"))
        # Who is let in is sent on to the page that was wanted; who is not sees the form again.
        if refused is None or refused.kind != "redirect":
            self._refused = refused or RestError("websudo", "it does not accept the password of the administrator")
            raise self._refused
        self._elevated = True

    # -- how -------------------------------------------------------------------------------------------------------

    @property
    def _key(self) -> str:
        return str(self._status.get("key") or "state")

    @property
    def _login(self) -> Login:
        if not self._logins:
            raise self._failure or RestError("no_credentials", "there are no credentials for it")
        return self._logins[0]

    @staticmethod
    def _headers(login: Login) -> dict[str, str]:
        # Without the second one, products take a change for a forged one.
        return {"Authorization": login.header, "X-Atlassian-Token": "no-check", "Accept": "application/json"}

    def _look(self) -> None:
        """Look whether the product can be asked at all, before a login is sent.

        Raises:
            RestError: it cannot.

        """
        if not self._status.get("path"):
            return
        state = self.state()
        if state is None:
            raise RestError(
                "not_this_product", f"{self.url}{self._status['path']} is not the status page of the product"
            )
        up = self._status.get("up") or ["RUNNING"]
        if state not in up:
            kind = {"FIRST_RUN": "first_run", "MAINTENANCE": "maintenance"}.get(state, "starting")
            raise RestError(kind, f"it says that it is in state {state}")

    def _json(self, method: str, path: str, query: Mapping[str, Any] | None = None, body: Any = None) -> Any:
        """Make a request with a login; take the next login where one is refused."""
        if self._failure is not None:
            raise self._failure
        url = self.url + path
        asked = url + ("?" + urllib.parse.urlencode(query) if query else "")
        data = None if body is None else json.dumps(body).encode()
        try:
            login = self._login
            if not self._proven and not self.rejected:
                self._look()
            while True:
                headers = self._headers(login)
                if data is not None:
                    headers["Content-Type"] = "application/json"
                answer = self._send(method, asked, headers, data)
                refused = refusal(answer, url, self._login_paths, (self.rest.get("websudo") or {}).get("page"))
                if refused is None:
                    self._proven = True
                    return json_of(answer, url)
                if self._proven and refused.kind == "unauthorised":
                    raise RestError("forbidden", f"{url} is forbidden for the account")
                if refused.kind not in ("unauthorised", "captcha", "basic_auth_off"):
                    # It was looked at and found short of rights, or something else is the matter: the login is right.
                    self._proven = self._proven or refused.kind in ("forbidden", "missing")
                    raise refused
                self.rejected.append(self._logins.pop(0).form)
                if not self._logins:
                    raise refused
                login = self._login
        except RestError as exc:
            if exc.kind in FATAL:
                self._failure = exc
            raise

    def _send(self, method: str, url: str, headers: dict[str, str], data: bytes | None) -> Answer:
        """Make a request, again where the product asks to come back later."""
        attempt = 0
        while True:
            attempt += 1
            self.requests += 1
            answer = self._transport(method, url, headers, data)
            seconds = wait_before(answer, attempt, self._now())
            if seconds is None or state_of(answer, self._key) is not None:
                return answer
            if self._waited + seconds > MAX_WAIT:
                what = "it limits the rate of requests" if answer.status == 429 else "it is not available"
                raise RestError("busy", f"{what} and asks to come back in {seconds:.0f} seconds")
            self._waited += seconds
            self._sleep(seconds)


FATAL = frozenset(
    (
        "unauthorised",
        "captcha",
        "basic_auth_off",
        "starting",
        "maintenance",
        "first_run",
        "not_this_product",
        "timeout",
        "tls",
        "unreachable",
        "busy",
        "no_credentials",
    )
)
"""Kinds of errors that the next request would meet too."""
