# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks into the places where a product keeps its settings: start arguments, files, the product itself, its database.

The places of a setting are tried in order; the first one that names it wins, as it does for the product. One that
cannot be looked into ends the search: what lies behind it may be overruled.
"""

from __future__ import annotations

import os
import urllib.parse
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, TypeVar

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._discovery_parse import (
    REDACTED,
    ParseError,
    jvm_properties,
    parse_properties,
    parse_xml,
    text_of,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._files import read_regular
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._rest import (
    RestClient,
    RestError,
    logins_of,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._settings_database import (
    VARIABLE as DATABASES,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._settings_database import (
    Database,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._settings_values import (
    UNSET,
    Reading,
    UnknownValueError,
    concerns,
    normal,
    picked,
    reached,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._stored_config import parse_stored_settings
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._systemd import RunCommand

Result = TypeVar("Result")

MAX_FILE = 1024 * 1024
"""Longest configuration file that is read."""

CREDENTIALS = "atlassian_dc_credentials"

CONNECTION_ARGUMENTS: dict[str, dict[str, Any]] = {
    "instances": {"type": "list", "elements": "dict", "required": True},
    "credentials": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "name": {"type": "str", "required": True},
            "token": {"type": "str", "no_log": True},
            "username": {"type": "str"},
            "password": {"type": "str", "no_log": True},
        },
    },
    "databases": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "name": {"type": "str", "required": True},
            "username": {"type": "str", "required": True},
            "password": {"type": "str", "required": True, "no_log": True},
        },
    },
    "rejected": {"type": "list", "elements": "str", "default": []},
    "ca_file": {"type": "path"},
    "timeout": {"type": "int", "default": 10},
    "products": {"type": "dict"},
}
"""Argument spec of every module that asks products; documented in the ``product_rest`` fragment."""


class Product:
    """One instance, and what is known of its product.

    Args:
        instance: as discovery describes it.
        params: the module's parameters.
        run_command: of the module.
        root: folder that stands for ``/``; anything but ``/`` only in tests.
        client: asks it; made from the parameters by default.

    """

    def __init__(
        self,
        instance: Mapping[str, Any],
        params: Mapping[str, Any],
        run_command: RunCommand,
        root: str = "/",
        client: RestClient | None = None,
    ) -> None:
        self.instance = instance
        self.name = str(instance["name"])
        self.root = root
        self.data: Mapping[str, Any] | None = (params.get("products") or {}).get(str(instance.get("product")))
        self._params = params
        self._run_command = run_command
        self._client = client
        self._database: Database | None = None
        self._files: dict[tuple[str, str], Any] = {}

    # -- the product itself ------------------------------------------------------------------------------------------

    @property
    def version(self) -> str | None:
        """Its version."""
        found = self.instance.get("version")
        return None if found is None else str(found)

    @property
    def url(self) -> str | None:
        """Where it answers: the declared address, else as seen from the host itself."""
        declared = self.instance.get("url")
        if declared:
            return str(declared).rstrip("/")
        page, path = self.instance.get("status_url"), ((self.data or {}).get("status") or {}).get("path")
        return str(page)[: -len(path)] if page and path and str(page).endswith(path) else None

    @property
    def client(self) -> RestClient:
        """Asks it.

        Raises:
            RestError: nobody knows where it answers.

        """
        if self._client is None:
            data, entry = self.data or {}, self._given("credentials")
            url = self.url
            if url is None:
                raise RestError("unreachable", "its address is not known")
            parts = urllib.parse.urlsplit(url)
            if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
                raise RestError("unreachable", "its url is none of HTTP")
            self._client = RestClient(
                url,
                logins_of(entry),
                data.get("rest"),
                data.get("status"),
                tuple(data.get("login_paths") or ()),
                timeout=float(self._params.get("timeout") or 10),
                ca_file=self._params.get("ca_file"),
            )
            if self.name in (self._params.get("rejected") or ()):
                self._client.give_up(RestError("unauthorised", "its login was refused before in this run"))
            elif not logins_of(entry):
                why = f"{CREDENTIALS} has no entry for {self.name}"
                self._client.give_up(RestError("no_credentials", why))
        return self._client

    def _given(self, option: str) -> Mapping[str, Any] | None:
        """Return the entry of an option that is meant for this instance: the one with its name, else its product's."""
        names = (self.name, str(self.instance.get("product")))
        given = self._params.get(option) or []
        return next((entry for name in names for entry in given if entry["name"] == name), None)

    @property
    def rejected(self) -> bool:
        """Whether every login was refused."""
        return self._client is not None and self._client.exhausted

    @property
    def requests(self) -> int:
        """How many requests were made."""
        return 0 if self._client is None else self._client.requests

    def close(self) -> None:
        """Give back what was taken for the time being."""
        if self._client is not None:
            self._client.close()

    # -- reading -----------------------------------------------------------------------------------------------------

    def concerned(self, entry: Mapping[str, Any]) -> bool | None:
        """Whether a setting is one of this instance; None where nobody can tell."""
        if entry.get("clustered") and not self.instance.get("cluster"):
            return False
        return concerns(entry, self.version)

    def read(self, entry: Mapping[str, Any]) -> list[Reading]:
        """Return what is known of a setting, as the product runs; and for its next start, where that differs."""
        running = self.instance.get("jvm_arguments")
        coming = self.instance.get("start_jvm_arguments")
        found = self._read(entry, running, "")
        following = found if coming is None or coming == running else self._read(entry, coming, " of the next start")
        return [found] if following.value == found.value else [found, following]

    def _read(self, entry: Mapping[str, Any], arguments: Any, which: str) -> Reading:
        for place in entry["read"]:
            if place["kind"] == "unknown":
                return Reading(None, "", "unknown", str(place["why"]))
            if place["kind"] != "version":
                here = concerns(place, self.version)
                if here is None:
                    return Reading(None, "", "unknown", "its version is not known, and so not where it keeps this")
                if not here:
                    continue
            try:
                value, where = self._look(place, arguments, which)
                if value is not UNSET:
                    value = normal(entry["type"], value, place.get("values"))
            except (UnknownValueError, RestError) as exc:
                return Reading(None, "", "unknown", str(exc))
            if value is not UNSET:
                return Reading(value, where, place["kind"])
        if "default" in entry:
            return Reading(entry["default"], "default", "default")
        return Reading(None, "", "unknown", "none of the places where it may be set names it")

    def _look(self, place: Mapping[str, Any], arguments: Any, which: str) -> tuple[Any, str]:
        """Return what a place says and what it is called.

        Raises:
            UnknownValueError: it cannot be looked into.
            RestError: the same.

        """
        kind = place["kind"]
        if kind == "jvm_property":
            return self._jvm_property(str(place["name"]), arguments, which)
        if kind in ("properties_file", "xml_file"):
            return self._in_file(place)
        if kind == "version":
            if not self.version:
                raise UnknownValueError("its version is not known")
            return reached(self.version, place["since"]), f"version {self.version}"
        if kind == "status":
            state = self.client.state()
            if state is None or state not in place["values"]:
                raise UnknownValueError(f"its status page says {state or 'nothing'}")
            return state, "status page"
        if kind == "rest":
            query = place.get("query")
            return picked(self.client.get(place["path"], query), place), f"REST {place['path']}"
        return self._in_database(place)

    def _jvm_property(self, name: str, arguments: Any, which: str) -> tuple[Any, str]:
        if arguments is None:
            raise UnknownValueError("the arguments of its JVM are not known")
        value = jvm_properties([str(argument) for argument in arguments]).get(name, UNSET)
        if value == REDACTED:
            raise UnknownValueError(f"-D{name} is kept secret")
        return value, f"-D{name}{which}"

    def _in_file(self, place: Mapping[str, Any]) -> tuple[Any, str]:
        folder = self.instance.get(f"{place['tree']}_dir")
        if not folder:
            raise UnknownValueError(f"the folder of {place['path']} is not known")
        path = os.path.join(str(folder), place["path"])
        key = (place["kind"], path)
        if key not in self._files:
            self._files[key] = self._file(place["kind"], path)
        content = self._files[key]
        if isinstance(content, UnknownValueError):
            raise content
        if content is None:
            return UNSET, path
        if place["kind"] == "properties_file":
            return content.get(place["name"], UNSET), f"{path}: {place['name']}"
        element = content.find(place["element"])
        return (UNSET if element is None else (element.text or "").strip()), f"{path}: {place['element']}"

    def _file(self, kind: str, path: str) -> Any:
        """Return the content of a file, None where there is none, a `UnknownValueError` where it cannot be read."""
        try:
            data, _info = read_regular(os.path.join(self.root, path.lstrip("/")), MAX_FILE)
            return parse_xml(data) if kind == "xml_file" else parse_properties(text_of(data))
        except FileNotFoundError:
            return None
        except OSError as exc:
            return UnknownValueError(f"{path}: {exc.strerror}")
        except ParseError as exc:
            return UnknownValueError(f"{path}: {exc}")

    def _in_database(self, place: Mapping[str, Any]) -> tuple[Any, str]:
        if self._database is None:
            account, where = self._given("databases"), (self.data or {}).get("database")
            if account is None or not where:
                raise UnknownValueError(f"it is kept in the database ({DATABASES} has no entry for {self.name})")
            kind = f"{where['format']}_file"
            address, _where = self._in_file({**where, "kind": kind, "name": where.get("key")})
            if address is UNSET:
                raise UnknownValueError("the address of its database is not known")
            self._database = Database(str(address), account, self._run_command)
        found = self._database.value(place["query"])
        if found is None:
            return UNSET, "database"
        form = place.get("form")
        return (found if form is None else picked(stored(found, form), place)), "database"


def stored(text: str, form: str) -> dict[str, Any]:
    """Return settings that a database keeps as one document.

    Raises:
        UnknownValueError: it is none.

    """
    try:
        # What is a flag or a number the setting itself says.
        return parse_stored_settings(text, form, (), ())
    except ParseError as exc:
        raise UnknownValueError(f"what the database holds is no {form.upper()}: {exc}") from exc


def products_of(module: AnsibleModule) -> list[Product]:
    """Return the instances that a module is handed."""
    return [Product(instance, module.params, module.run_command) for instance in module.params["instances"]]


def side_by_side(function: Callable[[Product], Result], products: Sequence[Product]) -> list[Result]:
    """Return what a function returns for each of several instances, asked side by side, in their order."""
    with ThreadPoolExecutor(max_workers=max(len(products), 1)) as pool:
        return list(pool.map(function, products))


def asked(products: Sequence[Product]) -> dict[str, Any]:
    """Return what modules return of how the instances were asked."""
    return {
        "rejected": [product.name for product in products if product.rejected],
        "requests": {product.name: product.requests for product in products},
    }
