# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The control catalogue (``meta/controls.yml``), read once per process on the controller and checked strictly."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NoReturn, cast

import yaml
from ansible.errors import AnsibleError
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._collection import collection_root
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._products import load_products, plain

try:  # libyaml reads the file several times faster; PyYAML may be built without it
    from yaml import CSafeLoader as _SafeLoader
except ImportError:  # pragma: no cover
    from yaml import SafeLoader as _SafeLoader  # type: ignore[assignment]

Mode = Literal["enforce", "audit", "attest"]
Severity = Literal["low", "medium", "high", "critical"]
Scope = Literal["host", "instance", "cluster", "site"]
Impact = Literal["none", "restart", "cuts_traffic", "breaks_integrations"]

MODES: tuple[str, ...] = ("enforce", "audit", "attest")
SEVERITIES: tuple[str, ...] = ("low", "medium", "high", "critical")  # lowest first
SCOPES: tuple[str, ...] = ("host", "instance", "cluster", "site")
IMPACTS: tuple[str, ...] = ("none", "restart", "cuts_traffic", "breaks_integrations")
CONDITIONS: tuple[str, ...] = ("clustered",)
ROLES: tuple[str, ...] = (
    "discovery",
    "service_user",
    "file_permissions",
    "firewall",
    "fail2ban",
    "tomcat",
    "reverse_proxy",
    "product_settings",
    "secrets",
    "log_shipping",
    "file_integrity",
    "backup",
    "updates",
    "compliance",
    "incident_response",
)
# Variables shared by several roles; only these can be a need, because a role's own variable has a default.
SHARED_VARIABLES: tuple[str, ...] = (
    "atlassian_dc_instances",
    "atlassian_dc_admin_networks",
    "atlassian_dc_proxy_addresses",
    "atlassian_dc_proxy_hosts",
    "atlassian_dc_cluster_peers",
    "atlassian_dc_credentials",
    "atlassian_dc_certificate",
    "atlassian_dc_log_collector",
    "atlassian_dc_backup_repository",
    "atlassian_dc_allow_restart",
    "atlassian_dc_skip_controls",
    "atlassian_dc_waivers_file",
    "atlassian_dc_attestations_file",
    "atlassian_dc_report_dir",
    "atlassian_dc_fail_on",
)

_ID = re.compile(r"DC-[A-Z0-9]{3}-[0-9]{2}")
_PRODUCT = re.compile(r"[a-z][a-z0-9_]*")
_URL = re.compile(r"https://[a-z0-9.-]+/[!-~]+")
_FRAMEWORKS: Mapping[str, re.Pattern[str]] = MappingProxyType(
    {
        "cis_v8": re.compile(r"[1-9][0-9]?\.[1-9][0-9]?"),
        "nist_800_53r5": re.compile(r"[A-Z]{2}-[1-9][0-9]?(?:\([1-9][0-9]?\))?"),
        "iso_27001_2022": re.compile(r"A\.[5-8]\.[1-9][0-9]?"),
    }
)
_REQUIRED = (
    "id",
    "title",
    "mode",
    "severity",
    "products",
    "role",
    "scope",
    "item",
    "rationale",
    "remediation",
    "references",
    "mappings",
)
_OPTIONAL = ("needs", "impact", "implies", "attestable")
_STEP_KEYS = ("step", "by", "must")


class CatalogueError(AnsibleError):
    """The catalogue is not usable; says in which file, at which control and which key."""

    def __init__(self, path: Path | str, problem: str, control: str | None = None, key: str | None = None) -> None:
        self.path = str(path)
        self.control = control
        self.key = key
        self.problem = problem
        where = [self.path]
        if control is not None:
            where.append(control)
        if key is not None:
            where.append(f"key '{key}'")
        super().__init__(f"{', '.join(where)}: {problem}")


@dataclass(frozen=True)
class Need:
    """A variable without which a control is judged but never applied."""

    variable: str
    when: str | None = None


@dataclass(frozen=True)
class Mappings:
    """Ids of the same requirement in other frameworks."""

    cis_v8: tuple[str, ...]
    nist_800_53r5: tuple[str, ...]
    iso_27001_2022: tuple[str, ...]


@dataclass(frozen=True)
class Control:
    """One control; the fields are described at the top of ``meta/controls.yml``."""

    id: str
    title: str
    mode: Mode
    severity: Severity
    products: Literal["all"] | tuple[str, ...]
    role: str
    scope: Scope
    item: str
    rationale: str
    remediation: str
    references: tuple[str, ...]
    mappings: Mappings
    needs: tuple[Need, ...] = ()
    impact: Impact = "none"
    implies: tuple[str, ...] = ()
    attestable: bool = False

    def applies_to(self, product: str) -> bool:
        """Return whether the control is judged for this product at all."""
        return self.products == "all" or product in self.products


@dataclass(frozen=True)
class RecoveryStep:
    """One step of the recovery after a compromise, done by a playbook."""

    step: str
    by: str
    must: str


class Catalogue(Mapping[str, Control]):
    """All controls by id, in file order; never changes once loaded."""

    def __init__(self, controls: Iterable[Control], recovery: Iterable[RecoveryStep] = ()) -> None:
        self._controls: Mapping[str, Control] = MappingProxyType({control.id: control for control in controls})
        self._ids = tuple(self._controls)
        self._recovery = tuple(recovery)

    def __getitem__(self, control_id: str) -> Control:
        return self._controls[control_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._ids)

    def __len__(self) -> int:
        return len(self._ids)

    def __repr__(self) -> str:
        return f"<Catalogue of {len(self)} controls>"

    @property
    def attestable(self) -> tuple[str, ...]:
        """Ids of the controls that a person may vouch for, in file order."""
        return tuple(control.id for control in self.values() if control.mode == "attest" or control.attestable)

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids in file order."""
        return self._ids

    @property
    def recovery(self) -> tuple[RecoveryStep, ...]:
        """Recovery steps in file order."""
        return self._recovery

    def controls_of_role(self, role: str) -> tuple[Control, ...]:
        """Return the controls a role answers for, in file order; none for a role that only serves the others."""
        if role not in ROLES:
            raise ValueError(f"'{role}' is not a role of this collection; its roles are {', '.join(ROLES)}")
        return tuple(control for control in self._controls.values() if control.role == role)


def severity_rank(severity: str) -> int:
    """Return the position in low < medium < high < critical, from 0."""
    try:
        return SEVERITIES.index(severity)
    except ValueError:
        raise ValueError(f"'{severity}' is not a severity; use one of {', '.join(SEVERITIES)}") from None


@lru_cache(maxsize=1)
def load_catalogue() -> Catalogue:
    """Return the catalogue of the copy of the collection this code runs from, with what product files add to it."""
    catalogue = read_catalogue(collection_root() / "meta" / "controls.yml")
    return with_products(catalogue, {name: plain(data.get("controls", [])) for name, data in load_products().items()})


def with_products(catalogue: Catalogue, concerned: Mapping[str, Iterable[str] | None]) -> Catalogue:
    """Return a catalogue in which controls that concern only some products concern further ones.

    Args:
        catalogue: the catalogue.
        concerned: ids of such controls by product, as product files name them; None where nobody knows.

    Raises:
        CatalogueError: there is no such control, or it concerns the product anyhow.

    """
    controls = dict(catalogue)
    for product, ids in concerned.items():
        for control_id in ids or ():
            if control_id not in controls:
                raise CatalogueError(f"{product}.yml", f"there is no control '{control_id}'", key="controls")
            control = controls[control_id]
            if control.products == "all" or product in control.products:
                raise CatalogueError(f"{product}.yml", f"{control_id} concerns the product anyhow", key="controls")
            controls[control_id] = replace(control, products=(*control.products, product))
    return Catalogue(controls.values(), catalogue.recovery)


def read_catalogue(path: Path | str) -> Catalogue:
    """Read and check a catalogue file; raise CatalogueError at the first thing that is wrong."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise CatalogueError(path, f"cannot be read: {exc}") from exc
    try:
        # The loader derives from SafeLoader: no object of an arbitrary class can come out of it.
        document = yaml.load(text, Loader=_StrictLoader)  # noqa: S506
    except yaml.YAMLError as exc:
        raise CatalogueError(path, f"is not well-formed YAML: {' '.join(str(exc).split())}") from exc
    return _Reader(path).catalogue(document)


class _StrictLoader(_SafeLoader):
    """Safe loader that refuses a key written twice, where plain YAML silently keeps the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Hashable] = set()
        for key_node, _value in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, Hashable):
                if key in seen:
                    raise yaml.constructor.ConstructorError(
                        "while reading a mapping", node.start_mark, f"key '{key}' is there twice", key_node.start_mark
                    )
                seen.add(key)
        return super().construct_mapping(node, deep=deep)


class _Reader:
    """Turns the parsed document into a Catalogue; knows the place it is at, for messages."""

    def __init__(self, path: Path | str) -> None:
        self.path = path
        self.control: str | None = None

    def fail(self, problem: str, key: str | None = None) -> NoReturn:
        raise CatalogueError(self.path, problem, self.control, key)

    def catalogue(self, document: object) -> Catalogue:
        top = self.mapping(document, None, required=("controls", "recovery"))
        controls: dict[str, Control] = {}
        for number, entry in enumerate(self.sequence(top["controls"], "controls", empty=False), start=1):
            control = self.one_control(entry, number)
            if control.id in controls:
                self.fail("an earlier control has the same id", "id")
            controls[control.id] = control
        for control in controls.values():
            self.control = f"control {control.id}"
            for other in control.implies:
                if other not in controls:
                    self.fail(f"there is no control '{other}'", "implies")
                if other == control.id:
                    self.fail("a control cannot imply itself", "implies")
        recovery = []
        for number, entry in enumerate(self.sequence(top["recovery"], "recovery", empty=False), start=1):
            self.control = f"recovery step number {number}"
            step = self.mapping(entry, None, required=_STEP_KEYS)
            recovery.append(RecoveryStep(**{key: self.text(step[key], key) for key in _STEP_KEYS}))
        return Catalogue(controls.values(), recovery)

    def one_control(self, entry: object, number: int) -> Control:
        # Until the id is known the position names the control.
        self.control = f"control number {number}"
        if isinstance(entry, dict) and isinstance(entry.get("id"), str):
            self.control = f"control {entry['id']}"
        raw = self.mapping(entry, None, required=_REQUIRED, optional=_OPTIONAL)
        mode = self.choice(raw["mode"], "mode", MODES)
        needs = self.needs(raw.get("needs", []))
        impact = self.choice(raw.get("impact", "none"), "impact", IMPACTS)
        if mode != "enforce":
            if needs:
                self.fail(f"only a control of mode enforce has needs, this one has mode {mode}", "needs")
            if impact != "none":
                self.fail(f"only a control of mode enforce has an impact, this one has mode {mode}", "impact")
        mappings = self.mapping(raw["mappings"], "mappings", required=tuple(_FRAMEWORKS))
        return Control(
            id=self.matching(raw["id"], "id", _ID, "an id such as DC-DIR-01"),
            title=self.text(raw["title"], "title"),
            mode=cast(Mode, mode),
            severity=cast(Severity, self.choice(raw["severity"], "severity", SEVERITIES)),
            products=self.products(raw["products"]),
            role=self.choice(raw["role"], "role", ROLES),
            scope=cast(Scope, self.choice(raw["scope"], "scope", SCOPES)),
            item=self.text(raw["item"], "item"),
            rationale=self.text(raw["rationale"], "rationale"),
            remediation=self.text(raw["remediation"], "remediation"),
            references=self.matching_list(raw["references"], "references", _URL, "an https URL"),
            mappings=Mappings(
                **{
                    name: self.matching_list(mappings[name], f"mappings.{name}", pattern, "an id of that framework")
                    for name, pattern in _FRAMEWORKS.items()
                }
            ),
            needs=needs,
            impact=cast(Impact, impact),
            implies=self.matching_list(raw.get("implies", []), "implies", _ID, "a control id"),
            attestable=self.flag(raw.get("attestable", False), "attestable"),
        )

    def products(self, value: object) -> Literal["all"] | tuple[str, ...]:
        if value == "all":
            return "all"
        if not isinstance(value, list):
            self.fail(f"expected all or a list of products, found {_shown(value)}", "products")
        self.sequence(value, "products", empty=False)
        # Which products there are is data elsewhere (meta/products): a sixth one needs no change here.
        names = self.matching_list(value, "products", _PRODUCT, "the name of a product")
        if "all" in names:
            self.fail("all stands alone, not in a list", "products")
        return names

    def needs(self, value: object) -> tuple[Need, ...]:
        needs: list[Need] = []
        for entry in self.sequence(value, "needs"):
            when = None
            if isinstance(entry, dict):
                entry = self.mapping(entry, "needs", required=("variable", "when"))
                when = self.choice(entry["when"], "needs.when", CONDITIONS)
                entry = entry["variable"]
            need = Need(self.choice(entry, "needs", SHARED_VARIABLES), when)
            if need.variable in {other.variable for other in needs}:
                self.fail(f"'{need.variable}' is there twice", "needs")
            needs.append(need)
        return tuple(needs)

    def mapping(
        self, value: object, key: str | None, required: tuple[str, ...], optional: tuple[str, ...] = ()
    ) -> dict[str, Any]:
        if not isinstance(value, dict):
            self.fail(f"expected a mapping, found {_shown(value)}", key)
        prefix = f"{key}." if key else ""
        allowed = required + optional
        for name in value:
            if name not in allowed:
                self.fail(f"unknown key; expected only {', '.join(allowed)}", f"{prefix}{name}")
        for name in required:
            if name not in value:
                self.fail("is missing", f"{prefix}{name}")
        return value

    def sequence(self, value: object, key: str, empty: bool = True) -> list[Any]:
        if not isinstance(value, list):
            self.fail(f"expected a list, found {_shown(value)}", key)
        if not value and not empty:
            self.fail("the list must not be empty", key)
        return value

    def text(self, value: object, key: str) -> str:
        if not isinstance(value, str):
            self.fail(f"expected text, found {_shown(value)}", key)
        if not value.strip():
            self.fail("must not be empty", key)
        if value != value.strip() or "\n" in value:
            self.fail("must be one paragraph without blanks around it (use a folded block, >-)", key)
        return value

    def choice(self, value: object, key: str, allowed: tuple[str, ...]) -> str:
        if not isinstance(value, str) or value not in allowed:
            self.fail(f"{_shown(value)} is not one of {', '.join(allowed)}", key)
        return value

    def flag(self, value: object, key: str) -> bool:
        if not isinstance(value, bool):
            self.fail(f"{_shown(value)} is not true or false", key)
        return value

    def matching(self, value: object, key: str, pattern: re.Pattern[str], what: str) -> str:
        if not isinstance(value, str):
            hint = "; quote it" if isinstance(value, (int, float)) and not isinstance(value, bool) else ""
            self.fail(f"expected {what}, found {_shown(value)}{hint}", key)
        if not pattern.fullmatch(value):
            self.fail(f"expected {what}, found {_shown(value)}", key)
        return value

    def matching_list(self, value: object, key: str, pattern: re.Pattern[str], what: str) -> tuple[str, ...]:
        items: list[str] = []
        for entry in self.sequence(value, key):
            item = self.matching(entry, key, pattern, what)
            if item in items:
                self.fail(f"'{item}' is there twice", key)
            items.append(item)
        return tuple(items)


def _shown(value: object) -> str:
    """Return a value for a message: short, and with its kind where the kind is what is wrong."""
    if value is None:
        return "nothing"
    if isinstance(value, str):
        return f"'{value}'" if len(value) <= 60 else f"'{value[:57]}...'"
    return f"{type(value).__name__} {value!r}" if isinstance(value, (bool, int, float)) else f"a {type(value).__name__}"
