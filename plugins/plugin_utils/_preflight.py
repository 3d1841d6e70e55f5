# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is checked on the controller before a run touches any host."""

from __future__ import annotations

import difflib
import functools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import yaml
from ansible.errors import AnsibleError, AnsibleUndefinedVariable
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.template import Templar
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._addresses import (
    WORDS,
    Resolver,
    check_firewall,
    elements_of,
)
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._catalogue import Catalogue, load_catalogue
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._collection import (
    ATTESTATIONS_FILE,
    PREFIX,
    REPORT_DIR,
    SKIP_CONTROLS,
    WAIVERS_FILE,
    collection_root,
)
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._products import load_products
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._report_files import (
    ReportError,
    prepare_directory,
)
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._selection import as_list
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._statements import (
    StatementError,
    load_attestations,
    load_waivers,
)

CONTROL_PREFIX = "DC-"
WAITING = "_atlassian_dc_waiting"
"""Fact that names the variables which refer to what is yet to be found."""


@functools.lru_cache(maxsize=1)
def load_specification() -> dict[str, dict[str, Any]]:
    """Return the options of all entry points of all roles: every variable a user may set."""
    options: dict[str, dict[str, Any]] = {}
    for path in sorted(collection_root().glob("roles/*/meta/argument_specs.yml")):
        for entry_point in yaml.safe_load(path.read_text(encoding="utf-8"))["argument_specs"].values():
            options.update(entry_point.get("options", {}))
    # A product is a file: there is no second list of them.
    options["atlassian_dc_instances"]["options"]["product"]["choices"] = sorted(load_products())
    return options


class Resolved(Mapping[str, Any]):
    """Variables that are templated when they are looked at: what nobody looks at may refer to what is not there.

    Args:
        raw: the variables as somebody wrote them.
        templar: knows what they refer to.

    """

    def __init__(self, raw: Mapping[str, Any], templar: Templar) -> None:
        """Template nothing yet."""
        self._raw, self._templar = raw, templar

    def __getitem__(self, name: str) -> Any:
        """Return the value of one; raise AnsibleUndefinedVariable where it refers to what is not known."""
        return self._templar.template(self._raw[name])

    def __iter__(self) -> Iterator[str]:
        """Go through their names."""
        return iter(self._raw)

    def __len__(self) -> int:
        """Count them."""
        return len(self._raw)


def check_run(run_tags: Iterable[str], catalogue: Catalogue) -> list[str]:
    """Return what is wrong with the tags of a run: an id that no control has would select nothing, silently."""
    return [
        f"--tags {tag}: there is no such control{_meant(tag, catalogue)}"
        for tag in run_tags
        if tag.upper().startswith(CONTROL_PREFIX) and tag not in catalogue
    ]


def doubtful_tags(run_tags: Iterable[str], own_tags: Iterable[str]) -> list[str]:
    """Return a warning for each tag that looks like a misspelt role; it may be somebody else's, so it is no error.

    Args:
        run_tags: the tags of the run.
        own_tags: tags that a user has put on the import of the playbook.

    """
    roles = [path.name for path in collection_root().glob("roles/*")]
    known = {*roles, *own_tags}
    return [
        f"--tags {tag}: no role of the collection is called so{meant}"
        for tag in run_tags
        if tag not in known and (meant := _meant(tag, roles))
    ]


def check_variables(
    variables: Mapping[str, Any],
    specification: Mapping[str, Mapping[str, Any]],
    catalogue: Catalogue,
    resolver: Resolver | None = None,
    waiting: set[str] | None = None,
) -> list[str]:
    """Return what is wrong with the variables of one host, in the order of their names.

    Args:
        variables: of the host.
        specification: options of all roles.
        catalogue: the controls.
        resolver: asked for the names in variables that are right. A name without an address is no mistake here: what
            needs it says so.
        waiting: given the names of variables that refer to facts nobody has gathered yet; see `check_waiting`.

    """
    problems = []
    values: dict[str, Any] = {}
    converted: dict[str, Any] = {}
    for name in sorted(key for key in variables if str(key).startswith(PREFIX)):
        if name not in specification:
            problems.append(f"unknown variable '{name}'{_meant(name, specification)}")
            continue
        try:
            values[name] = variables[name]
        except AnsibleUndefinedVariable:
            if waiting is not None:
                waiting.add(name)
            continue
        except AnsibleError as exc:
            problems.append(f"variable '{name}' cannot be resolved: {exc}")
            continue
        outcome = ArgumentSpecValidator({name: dict(specification[name])}).validate({name: values[name]})
        converted.update(outcome.validated_parameters)
        problems.extend(_of_wrong_type(name, outcome.error_messages, specification[name]))
    if not problems:
        problems.extend(_check_contents(values, catalogue))
        problems.extend(check_firewall(converted))
    if resolver and not problems:
        resolver.addresses("", elements_of(converted), WORDS)
    return problems


def check_waiting(variables: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with variables that had to wait until the products of a host were found.

    Whatever needs one that refers to still more fails and says so.
    """
    return check_variables(variables, load_specification(), load_catalogue())


def _of_wrong_type(name: str, messages: Iterable[str], option: Mapping[str, Any]) -> list[str]:
    if messages and option.get("no_log"):
        # Ansible's own words may quote the value.
        return [f"variable '{name}' is not of the documented form (its value is secret and not shown)"]
    return [f"variable '{name}': {message}" for message in messages]


def _check_contents(values: Mapping[str, Any], catalogue: Catalogue) -> list[str]:
    problems = [
        f"{SKIP_CONTROLS}: there is no control '{control}'{_meant(control, catalogue)}"
        for control in as_list(values.get(SKIP_CONTROLS))
        if control not in catalogue
    ]
    try:
        if values.get(WAIVERS_FILE):
            load_waivers(values[WAIVERS_FILE], catalogue)
        if values.get(ATTESTATIONS_FILE):
            load_attestations(values[ATTESTATIONS_FILE], catalogue.attestable)
        if values.get(REPORT_DIR):
            prepare_directory(values[REPORT_DIR])
    except (StatementError, ReportError) as exc:
        problems.append(str(exc))
    return problems


def _meant(name: str, known: Iterable[str]) -> str:
    # Ids of controls are upper case, names of roles and variables lower case.
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.8) or difflib.get_close_matches(
        name.upper(), list(known), n=1, cutoff=0.8
    )
    return f"; did you mean '{close[0]}'?" if close else ""
