#!/usr/bin/python
# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: secret_storage
short_description: Judge how the products of a host keep their secrets
version_added: 0.5.0
author:
  - the atlassian_dc.hardening contributors (@atlassian-dc-hardening)
description:
  - DC-SEC-01 judges how the password of the database is kept. What the product keeps in a store of its own
    (C({ATL_SECURED})) is protected, so is what a class with a key protects; plain text and mere encoding are not. Of a
    class that product data does not know nobody can tell.
  - DC-SEC-02 judges whether the key files are there, are closed to other accounts, and belong to what is backed up.
  - DC-SEC-03 looks for secrets that everybody can read, in command lines, in units, in environment files, and for those
    below the web root, which a request may reach.
  - DC-SEC-04 judges whether connections to databases and directories are encrypted and verified, as far as files tell.
  - DC-SEC-05 judges the account of the database by its name; its rights are known to the database alone.
  - DC-SEC-06 judges, once for the host, whether homes and local databases lie on encrypted volumes.
  - Nothing is changed. No secret is returned.
options:
  products:
    description:
      - What product data tells of each product, by its name.
      - Filled in when the module is called by its full name.
    type: dict
extends_documentation_fragment:
  - atlassian_dc.hardening.attributes.info_module
  - atlassian_dc.hardening.controls
  - atlassian_dc.hardening.instances
seealso:
  - module: atlassian_dc.hardening.product_info
  - module: atlassian_dc.hardening.tree_permissions
"""

EXAMPLES = r"""
- name: Find the products
  atlassian_dc.hardening.product_info:

- name: Judge how they keep their secrets
  atlassian_dc.hardening.secret_storage:
    instances: "{{ ansible_facts.atlassian_dc.instances }}"

- name: Judge only the passwords of the databases
  atlassian_dc.hardening.secret_storage:
    instances: "{{ ansible_facts.atlassian_dc.instances }}"
    controls: [DC-SEC-01]
"""

RETURN = r"""
dc_findings:
  description: One finding per control and instance; DC-SEC-06 is one of the host.
  returned: always
  type: list
  elements: dict
  sample:
    - control: DC-SEC-01
      instance: jira
      status: fail
      reason: dbconfig.xml keeps the password of the database in plain text
      evidence:
        - what: "/var/atlassian/application-data/jira/dbconfig.xml: jdbc-datasource/password"
          expected: "{ATL_SECURED}, or encrypted"
          actual: plain text
      pending: null
"""

import os
import re
import stat
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._database_logins import (
    Login,
    read_logins,
    weak_algorithm,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._discovery_host import (
    MAX_SCRIPT,
    Host,
    MissingError,
    UnreadableError,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._discovery_parse import (
    REDACTED,
    ParseError,
    names_secret,
    parse_environment_file,
    parse_properties,
    redact,
    secret_in,
    split_words,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._findings import (
    CONTROL_ARGUMENTS,
    Evidence,
    Findings,
    evidence,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._jdbc import is_local, parse_jdbc
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._systemd import RunCommand, below, show_units
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._versions import VersionError, parse_version
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._volumes import read_mounts, volumes_of

PASSWORD = "DC-SEC-01"  # noqa: S105 - a control
KEYS = "DC-SEC-02"
EXPOSED = "DC-SEC-03"
TLS = "DC-SEC-04"
RIGHTS = "DC-SEC-05"
VOLUMES = "DC-SEC-06"
CONTROLS = (PASSWORD, KEYS, EXPOSED, TLS, RIGHTS, VOLUMES)

DATABASES = ("/var/lib/postgresql", "/var/lib/pgsql", "/var/lib/mysql", "/var/opt/mssql")
"""Where the packages of database servers keep their data."""
UNIT_PROPERTIES = ("Environment", "EnvironmentFiles", "ExecStart", "ExecStartPre", "ExecStartPost", "ExecStop")
STRAY = (".env", ".pgpass", ".netrc", ".git-credentials", ".my.cnf", "id_rsa", "id_ed25519", "id_ecdsa")
"""Names of files that hold nothing but secrets."""

MAX_KEY_FILES = 1000
MAX_KEY_DEPTH = 6
MAX_WEB_FILES = 200_000
MAX_COMMAND = 2 * 1024 * 1024
MAX_SEALED = 64 * 1024

_ARGUMENTS = re.compile(r"argv\[\]=(.*?) ; ignore_errors=")
_ENVIRONMENT_FILE = re.compile(r"^(/.*?)(?: \(ignore_errors=(?:yes|no)\))?$")
_UNVERIFIED = re.compile(r"-Dcom\.sun\.jndi\.ldap\.object\.disableEndpointIdentification(=(true)?)?", re.IGNORECASE)


class Secrets:
    """Judges how the products of one host keep their secrets.

    Args:
        params: the module's parameters.
        findings: where to put what was found.
        host: the host.
        run_command: to ask systemd.

    """

    def __init__(self, params: dict[str, Any], findings: Findings, host: Host, run_command: RunCommand) -> None:
        self.instances: list[dict[str, Any]] = params["instances"]
        self.products: dict[str, dict[str, Any]] = params.get("products") or {}
        self.findings = findings
        self.host = host
        self.run_command = run_command

    def run(self) -> None:
        """Judge every instance, then the host."""
        for instance in self.instances:
            _Instance(self, instance).run()
        if self.instances and self.findings.judges(VOLUMES):
            self._volumes()

    @cached_property
    def units(self) -> dict[str, dict[str, str]]:
        """What systemd tells of the units of all products, by name."""
        units = [unit for instance in self.instances for unit in units_of(instance)]
        return show_units(self.run_command, units, UNIT_PROPERTIES)

    def _volumes(self) -> None:
        try:
            mounts = read_mounts(self.host)
        except UnreadableError as exc:
            return self.findings.add(VOLUMES, None, "not_checked", f"/proc/self/mountinfo {exc}")
        homes = {
            str(instance[tree])
            for instance in self.instances
            for tree in ("home_dir", "shared_home_dir")
            if instance.get(tree)
        }
        folders = sorted(homes) + [folder for folder in DATABASES if self.host.is_folder(folder)]
        plain: dict[str, Evidence] = {}
        unseen: dict[str, str] = {}
        for folder in folders:
            for volume in volumes_of(self.host, mounts, folder):
                place = volume.mount.place
                if volume.encrypted is None:
                    unseen.setdefault(place, f"{folder}: {volume.why}")
                elif not volume.encrypted:
                    plain.setdefault(place, evidence(f"{place}, on which {folder} lies", "encrypted", volume.why))
        stated = "where the storage encrypts out of the host's sight, state so in atlassian_dc_attestations_file"
        if plain:
            names = ", ".join(list(plain)[:3])
            return self.findings.judge(
                VOLUMES, None, plain.values(), f"not encrypted as far as the host shows: {names}; {stated}"
            )
        if unseen or not folders:
            why = next(iter(unseen.values()), "no home is known")
            return self.findings.add(VOLUMES, None, "not_checked", f"{why}; {stated}")
        return self.findings.add(VOLUMES, None, "pass")


def units_of(instance: dict[str, Any]) -> list[str]:
    """Return the units that start an instance and what accompanies it."""
    named = [instance.get("unit"), *(companion.get("unit") for companion in instance.get("companions") or [])]
    return list(dict.fromkeys(unit for unit in named if unit))


class _Instance:
    """The judgement of one instance."""

    def __init__(self, run: Secrets, instance: dict[str, Any]) -> None:
        self.findings = run.findings
        self.host = run.host
        self.asked = run
        self.instance = instance
        self.name = str(instance["name"])
        told = run.products.get(str(instance.get("product"))) or {}
        self.known: dict[str, Any] | None = told.get("secrets")
        self.public: list[str] = told.get("public_properties") or []
        self.backed_up: list[dict[str, Any]] = told.get("backup") or []
        self.problems: list[str] = []
        """Why something could not be read."""

    def run(self) -> None:
        """Judge what was selected."""
        if self.findings.judges(EXPOSED):
            self._exposed()
        if self.known is None:
            for control in (PASSWORD, KEYS, TLS, RIGHTS):
                reason = f"where {self.instance.get('product')} keeps secrets is not known"
                self.findings.add(control, self.name, "not_checked", reason)
            return
        for control, judge in (
            (PASSWORD, self._password),
            (KEYS, self._keys),
            (TLS, self._tls),
            (RIGHTS, self._rights),
        ):
            if self.findings.judges(control):
                judge()

    # ---- what there is ---------------------------------------------------------------------------

    def _path(self, entry: dict[str, Any]) -> str | None:
        folder = self.instance.get(f"{entry['tree']}_dir")
        return None if not folder else os.path.join(folder, entry["path"])

    @cached_property
    def logins(self) -> list[Login]:
        """The logins to databases that the product's files hold."""
        known = self.known or {}
        found: list[Login] = []
        for entry in [*(known.get("database") or []), *(known.get("tomcat") or [])]:
            path = self._path(entry)
            try:
                if path:
                    found += read_logins(path, self.host.read(path), entry)
            except MissingError:
                continue
            except (UnreadableError, ParseError) as exc:
                self.problems.append(f"{path} {exc}" if isinstance(exc, UnreadableError) else f"{path}: {exc}")
        return found

    def _without_logins(self, control: str) -> bool:
        """Say why there is no login to judge; whether that was so."""
        if self.logins:
            return False
        entries = (self.known or {}).get("database")
        if self.problems:
            self.findings.add(control, self.name, "not_checked", "; ".join(self.problems))
        elif entries == []:
            self.findings.add(control, self.name, "not_applicable", "it has no database of its own")
        elif not entries:
            self.findings.add(
                control, self.name, "not_checked", "where it keeps the password of a database is not known"
            )
        else:
            names = ", ".join(dict.fromkeys(self._path(entry) or entry["path"] for entry in entries))
            self.findings.add(control, self.name, "not_checked", f"no password of a database was found in {names}")
        return True

    @cached_property
    def _secures(self) -> bool | None:
        """Whether its version has a store for passwords; None where nobody tells."""
        return self._at_least((self.known or {}).get("secured_since"))

    def _at_least(self, since: str | None) -> bool | None:
        try:
            return None if since is None else parse_version(str(self.instance.get("version"))) >= parse_version(since)
        except VersionError:
            return None

    # ---- DC-SEC-01 -------------------------------------------------------------------------------

    def _password(self) -> None:
        if self._without_logins(PASSWORD):
            return
        drift: list[Evidence] = []
        reasons: list[str] = []
        unknown = list(self.problems)
        for login in self.logins:
            name = os.path.basename(login.path)
            what = f"{login.path}: {shortened(login.key)}"
            cipher = self._cipher(login)
            if login.secured:
                if self._secures is False:
                    unknown.append(
                        f"{name} has {{ATL_SECURED}}, which version {self.instance.get('version')} does not know"
                    )
            elif login.plain or cipher == "encodes":
                how = "plain text" if login.plain else f"encoded without a key ({login.cipher.rpartition('.')[2]})"
                drift.append(evidence(what, "{ATL_SECURED}, or encrypted", how))
                reasons.append(f"{name} keeps the password of the database {'in ' if login.plain else ''}{how}")
            elif cipher == "unknown":
                unknown.append(f"whether {shortened(login.cipher)} in {name} protects the password is not known")
            else:
                for path, algorithm in self._weak(login):
                    drift.append(evidence(path, "sealed with AES", f"sealed with {algorithm}"))
                    reasons.append(f"the password of the database in {name} is encrypted with {algorithm}")
        if drift and self._secures:
            reasons.append(f"version {self.instance.get('version')} would keep it in a store of its own")
        self._conclude(PASSWORD, drift, reasons, unknown)

    def _cipher(self, login: Login) -> str:
        """Say what the class beside a password does: ``protects``, ``encodes`` or ``unknown``."""
        for entry in (self.known or {}).get("ciphers") or []:
            if re.fullmatch(entry["match"], login.cipher):
                return "protects" if entry["protects"] else "encodes"
        return "unknown"

    def _weak(self, login: Login) -> Iterator[tuple[str, str]]:
        for path in login.key_files:
            try:
                algorithm = weak_algorithm(self.host.read(path, MAX_SEALED))
            except UnreadableError:
                continue  # DC-SEC-02 tells that it is missing
            if algorithm:
                yield path, algorithm

    # ---- DC-SEC-02 -------------------------------------------------------------------------------

    def _keys(self) -> None:
        drift: list[Evidence] = []
        unknown: list[str] = []
        absent: list[str] = []
        files: list[str] = []
        secured = any(login.secured for login in self.logins)
        for login in self.logins:
            for path in [] if login.secured or login.plain else login.key_files:
                files.append(path)
                if self.host.stat(path) is None:
                    drift.append(evidence(path, f"there, as {login.path} names it", "missing"))
        entries = (self.known or {}).get("keys")
        for entry in entries or []:
            place = self._path(entry)
            if place is None or not self._concerned(entry):
                continue
            found = self._key_files(place)
            files += found
            if not found and entry["always"] and self._at_least("0") is not None:
                drift.append(evidence(place, "key files", "none"))
            elif not found:
                absent.append(f"there is no key file in {place}, so perhaps nothing is encrypted yet")
        if entries is None and secured:
            unknown.append("where the key files of its secret store lie is not known")
        unknown += [] if files else absent
        for path in dict.fromkeys(files):
            drift += self._not_private(path)
            if not self._in_backup(path):
                drift.append(
                    evidence(path, "in a folder that belongs to the backup of the product", "outside of all of them")
                )
        if not drift and not files and not unknown:
            if self.problems:
                return self.findings.add(KEYS, self.name, "not_checked", "; ".join(self.problems))
            return self.findings.add(KEYS, self.name, "not_applicable", "nothing that it keeps is encrypted with a key")
        reason = [f"{drift[0]['what']}: {drift[0]['actual']}"] if drift else []
        return self._conclude(KEYS, drift, reason, [*unknown, *self.problems])

    def _concerned(self, entry: dict[str, Any]) -> bool:
        """Whether keys are kept there, by version and by whether the instance is in a cluster."""
        if "clustered" in entry and entry["clustered"] != bool(self.instance.get("cluster")):
            return False
        since, before = self._at_least(entry.get("since")), self._at_least(entry.get("before"))
        return since is not False and before is not True

    def _key_files(self, path: str, depth: int = 0) -> list[str]:
        """Return a file, or all files below a folder."""
        info = self.host.stat(path)
        if info is None:
            return []
        if not stat.S_ISDIR(info.st_mode):
            return [path]
        found: list[str] = []
        for name in self.host.names(self.host.real(path)) if depth < MAX_KEY_DEPTH else []:
            found += self._key_files(f"{path}/{name}", depth + 1)
            if len(found) >= MAX_KEY_FILES:
                break
        return found[:MAX_KEY_FILES]

    def _not_private(self, path: str) -> list[Evidence]:
        info = self.host.stat(path)
        if info is None:
            return []
        account = self.host.user(str(self.instance.get("service_account") or ""))
        owners = {0, *([account[0]] if account else [info.st_uid])}
        mode = stat.S_IMODE(info.st_mode)
        if info.st_uid in owners and not mode & 0o077:
            return []
        expected = f"{self.instance.get('service_account') or 'root'}, readable by nobody else"
        return [evidence(path, expected, f"{self.host.user_name(info.st_uid)} {mode:04o}")]

    def _in_backup(self, path: str) -> bool:
        places = [self._path(entry) for entry in self.backed_up]
        return any(place and (path == place or below(path, place)) for place in places)

    # ---- DC-SEC-03 -------------------------------------------------------------------------------

    def _exposed(self) -> None:
        unknown: list[str] = []
        drift = [*self._processes(), *self._start_files(), *self._units(unknown), *self._web_root()]
        reason = [f"{drift[0]['what']} shows {drift[0]['actual']}"] if drift else []
        self._conclude(EXPOSED, drift, reason, unknown)

    def _processes(self) -> Iterator[Evidence]:
        pids = [self.instance.get("pid"), *(one.get("pid") for one in self.instance.get("companions") or [])]
        for pid in pids:
            try:
                data = self.host.read(f"/proc/{pid}/cmdline", MAX_COMMAND) if isinstance(pid, int) else b""
            except UnreadableError:
                continue  # it has ended
            words = [word.decode("utf-8", "replace") for word in data.split(b"\0")]
            what, expected = f"command line of process {pid}", "no secret, as everybody can read it"
            yield from self._words(words, what, expected)
            for entry in (self.known or {}).get("arguments") or []:
                if entry["after"] in words[1:-1]:
                    yield evidence(what, expected, f"the {entry['holds']} after {entry['after']}")

    def _start_files(self) -> Iterator[Evidence]:
        """Yield what the next start would put on the command line; discovery has replaced the secrets already."""
        files = ", ".join(os.path.basename(path) for path in self.instance.get("start_files") or []) or "start script"
        arguments = self.instance.get("start_jvm_arguments") or []
        yield from self._words(
            arguments, f"arguments of the next start ({files})", "no secret, as everybody can read it"
        )

    def _units(self, unknown: list[str]) -> Iterator[Evidence]:
        for unit in units_of(self.instance):
            shown = self.asked.units.get(unit)
            if not shown:
                unknown.append(f"systemd tells nothing of {unit}")
                continue
            public = "no secret, as systemctl show tells it to everybody"
            yield from self._words(split_words(shown.get("Environment", "")), f"Environment= of {unit}", public)
            for name in UNIT_PROPERTIES[2:]:
                for command in _ARGUMENTS.findall(shown.get(name, "")):
                    yield from self._words(split_words(command), f"{name}= of {unit}", public)
            for line in shown.get("EnvironmentFiles", "").split("\n"):
                match = _ENVIRONMENT_FILE.match(line)
                if match:
                    yield from self._environment_file(match[1])

    def _environment_file(self, path: str) -> Iterator[Evidence]:
        info = self.host.stat(path)
        if info is None or not stat.S_IMODE(info.st_mode) & 0o007:
            return
        try:
            variables = parse_environment_file(self.host.text(path, MAX_SCRIPT))
        except UnreadableError:
            return
        for name, value in variables.items():
            mode = f"mode {stat.S_IMODE(info.st_mode):04o}"
            yield from self._words([f"{name}={value}"], path, f"readable by root and the service account ({mode})")

    def _words(self, words: Iterable[str], what: str, expected: str) -> Iterator[Evidence]:
        for word in words:
            # An assignment may hold arguments in turn, as that of JAVA_OPTS does.
            shown = secret_in(word, self.public)
            if shown is None and " " in word:
                inner = (secret_in(part, self.public) for part in split_words(word))
                shown = next((part for part in inner if part is not None), None)
            if shown is not None:
                # What follows may belong to a secret with blanks and the like in it.
                yield evidence(what, expected, shortened(shown.partition(REDACTED)[0] + REDACTED))

    def _web_root(self) -> Iterator[Evidence]:
        root = self.instance.get("web_root")
        if not root:
            return
        expected = "no secret below the web root"
        for entry in self.instance.get("secret_files") or []:
            for path in self.host.glob(entry["path"]) if below(entry["path"], root) else []:
                for name in self._secret_keys(path):
                    yield evidence(path, expected, f"a value of {shortened(name)}")
        copies = {os.path.basename(login.path) for login in self.logins if not below(login.path, root)}
        count = 0
        for folder, folders, names in os.walk(self.host.at(self.host.real(root))):
            folders.sort()
            count += len(names)
            if count > MAX_WEB_FILES:
                return
            for name in sorted(names):
                if name in STRAY or any(name.startswith(copy) for copy in copies):
                    shown = os.path.join(folder, name)[len(self.host.root) :]
                    yield evidence(shown.encode("utf-8", "replace").decode(), expected, "a file for secrets")

    def _secret_keys(self, path: str) -> list[str]:
        try:
            values = parse_properties(self.host.text(path))
        except (UnreadableError, ParseError):
            return []
        return [
            name
            for name, value in values.items()
            if value and names_secret(name) and redact([f"{name}={value}"]) != [f"{name}={value}"]
        ]

    # ---- DC-SEC-04 -------------------------------------------------------------------------------

    def _tls(self) -> None:
        drift: list[Evidence] = []
        reasons: list[str] = []
        unknown: list[str] = []
        for login in self.logins:
            database = parse_jdbc(login.url)
            name = os.path.basename(login.path)
            if database.local:
                continue
            flaw = database.flaw
            if flaw:
                drift.append(evidence(f"{login.path}: address of the database", "TLS that verifies the server", flaw))
                reasons.append(f"the connection to the database does not verify the server ({name}: {flaw})")
            elif flaw is None:
                kind = database.kind or "unknown"
                unknown.append(f"how a connection of kind {shortened(kind)} in {name} is encrypted is not known")
        for path, host in self._plain_servers():
            drift.append(evidence(path, "https", f"http to {shortened(host)}"))
            reasons.append(f"{os.path.basename(path)} asks {shortened(host)} about users without TLS")
        arguments = [*(self.instance.get("jvm_arguments") or []), *(self.instance.get("start_jvm_arguments") or [])]
        for argument in dict.fromkeys(argument for argument in arguments if _UNVERIFIED.fullmatch(argument)):
            drift.append(evidence("arguments of the JVM", "names of LDAP servers are verified", argument))
            reasons.append("names of LDAP servers are not verified")
        if not self.logins and not drift:
            self._without_logins(TLS)
            return
        unknown.append("directories of users stand in the database of the product and were not looked at")
        self._conclude(TLS, drift, reasons, [*unknown, *self.problems])

    def _plain_servers(self) -> Iterator[tuple[str, str]]:
        for entry in (self.known or {}).get("servers") or []:
            path = self._path(entry)
            if path is None:
                continue
            try:
                address = urlsplit(parse_properties(self.host.text(path)).get(entry["key"], ""))
                host = address.hostname or ""
            except MissingError:
                continue
            except (UnreadableError, ParseError, ValueError) as exc:
                self.problems.append(f"{path}: {exc}")
                continue
            if address.scheme == "http" and not is_local(host):
                yield f"{path}: {entry['key']}", host

    # ---- DC-SEC-05 -------------------------------------------------------------------------------

    def _rights(self) -> None:
        if self._without_logins(RIGHTS):
            return
        drift = [
            evidence(f"{login.path}: account of the database", "one with rights in its own database only", login.user)
            for login in self.logins
            if parse_jdbc(login.url).superuser(login.user)
        ]
        reasons = [f"it logs in to the database as {drift[0]['actual']}, who may do anything there"] if drift else []
        accounts = ", ".join(dict.fromkeys(shortened(login.user) for login in self.logins if login.user))
        unknown = f"only the database tells what rights {accounts or 'its account'} has; see the remediation"
        self._conclude(RIGHTS, drift, reasons, [unknown, *self.problems])

    def _conclude(self, control: str, drift: list[Evidence], reasons: list[str], unknown: list[str]) -> None:
        """Add the finding: what is wrong, else why it is not known, else a pass."""
        if drift:
            self.findings.judge(control, self.name, drift, "; ".join(dict.fromkeys(reasons)))
        elif unknown:
            self.findings.add(control, self.name, "not_checked", "; ".join(dict.fromkeys(unknown)))
        else:
            self.findings.add(control, self.name, "pass")


def shortened(text: str) -> str:
    """Return a text from a file of a product, for one line of a report."""
    return re.sub(r"[^\x20-\x7e]", "?", text)[:200]


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "instances": {"type": "list", "elements": "dict", "required": True},
            "products": {"type": "dict"},
            **CONTROL_ARGUMENTS,
        },
        supports_check_mode=True,
    )
    findings = Findings(module.params, CONTROLS, module.check_mode)
    Secrets(module.params, findings, Host(), module.run_command).run()
    module.exit_json(changed=False, dc_findings=findings.results)


if __name__ == "__main__":
    main()
