# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host made of a folder, with one instance of a product as product data describes it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ansible_collections.atlassian_dc.hardening.plugins.action.secret_storage import knowledge
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._discovery_host import Host
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._findings import Findings
from ansible_collections.atlassian_dc.hardening.plugins.modules.secret_storage import CONTROLS, Secrets
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._products import product_data

SECRET = "hunter2-Zx9"  # noqa: S105 - what must never be shown
KNOWLEDGE = knowledge()
INSTALL, HOME, SHARED = "/opt/product", "/data/product", "/data/shared"
URL = "jdbc:postgresql://db.example.com:5432/product?sslmode=verify-full"
VERSIONS = {"jira": "10.3.15", "confluence": "9.2.13", "bitbucket": "9.4.16", "bamboo": "10.2.12", "crowd": "7.1.4"}
PRODUCTS = tuple(VERSIONS)
KEYS = {
    "confluence": f"{HOME}/keys/secret.key",
    "bamboo": f"{SHARED}/configuration/cipher/key_0",
    "crowd": f"{SHARED}/keys/db/k",
}

DBCONFIG = """<?xml version="1.0" encoding="UTF-8"?>
<jira-database-config>
  <database-type>postgres72</database-type>
  <jdbc-datasource>
    <url>{url}</url>
    <username>{user}</username>
    {cipher}
    <password>{password}</password>
  </jdbc-datasource>
</jira-database-config>
"""
CFG_XML = """<application-configuration>
  <setupStep>complete</setupStep>
  <properties>
    <property name="hibernate.connection.password">{password}</property>
    <property name="hibernate.connection.url">{url}</property>
    <property name="hibernate.connection.username">{user}</property>
    {cipher}
  </properties>
</application-configuration>
"""
PROPERTIES = "jdbc.url={url}\njdbc.user={user}\njdbc.password={password}\n{cipher}\n"
CIPHER = "<atlassian-password-cipher-provider>{}</atlassian-password-cipher-provider>"
CIPHER_PROPERTY = '<property name="jdbc.password.decrypter.classname">{}</property>'
TREES = {"install": INSTALL, "home": HOME, "shared_home": SHARED}


class SecretHost:
    """A host with one instance whose secrets are kept well, as far as its files tell."""

    def __init__(self, root: Path, product: str = "jira") -> None:
        self.root = root
        self.product = product
        self.shown: dict[str, str] = {
            "Environment": "",
            "ExecStart": "{ path=/opt/product/bin/start ; argv[]=/opt/start ; ignore_errors=no ; }",
        }
        self.instance: dict[str, Any] = {
            "name": "it",
            "product": product,
            "version": VERSIONS.get(product, "1.0"),
            "install_dir": INSTALL,
            "home_dir": HOME,
            "shared_home_dir": SHARED,
            "web_root": f"{INSTALL}/webapp",
            "unit": "product.service",
            "pid": None,
            "companions": [],
            "cluster": None,
            "service_account": "product",
            "jvm_arguments": ["-Xmx1g"],
            "start_jvm_arguments": ["-Xmx1g"],
            "start_files": [f"{INSTALL}/bin/setenv.sh"],
            "secret_files": [{"path": f"{INSTALL}/webapp/WEB-INF/classes/crowd.properties", "tree": "install"}],
        }
        self.write("/etc/passwd", f"root:x:0:0::/:/bin/sh\nproduct:x:{os.getuid()}:{os.getgid()}::/:/bin/sh\n")
        self.write("/etc/group", "root:x:0:\n")
        self.write(f"{INSTALL}/webapp/WEB-INF/web.xml", "<web-app/>")
        self.mounts("36 1 252:1 / / rw - ext4 /dev/mapper/root rw")
        self.block("252:1", "dm-0", uuid="CRYPT-LUKS2-0123-root")
        if product in KEYS:
            self.write(KEYS[product], "key", 0o600)
        self.database()

    @property
    def config(self) -> str:
        """The first file that holds the password of the database."""
        entry = product_data(self.product)["secrets"]["database"][0]
        return f"{TREES[entry['tree']]}/{entry['path']}"

    def database(self, password: str = "{ATL_SECURED}", cipher: str = "", url: str = URL, user: str = "app") -> None:  # noqa: S107
        form = product_data(self.product)["secrets"]["database"][0]["form"]
        text = {"dbconfig": DBCONFIG, "cfg_xml": CFG_XML, "properties": PROPERTIES}[form]
        named = {"dbconfig": CIPHER, "cfg_xml": CIPHER_PROPERTY, "properties": "jdbc.password.decrypter.classname={}"}
        if form != "properties":
            url, password = url.replace("&", "&amp;"), password.replace("&", "&amp;")
        filled = text.format(password=password, url=url, user=user, cipher=named[form].format(cipher) if cipher else "")
        self.write(self.config, filled, 0o600)

    def write(self, path: str, text: str | bytes, mode: int = 0o644) -> Path:
        place = self.root / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(text if isinstance(text, bytes) else text.encode())
        place.chmod(mode)
        return place

    def running(self, *words: str, pid: int = 4711) -> None:
        self.write(f"/proc/{pid}/cmdline", "\0".join(["/usr/bin/java", *words]) + "\0")
        self.instance["pid"] = pid

    def mounts(self, *lines: str) -> None:
        self.write("/proc/self/mountinfo", "\n".join(lines) + "\n")

    def block(
        self, number: str, name: str, uuid: str = "", slaves: tuple[str, ...] = (), partition_of: str = ""
    ) -> None:
        folder = f"/sys/devices/block/{partition_of + '/' if partition_of else ''}{name}"
        self.write(f"{folder}/dev", number)
        if uuid:
            self.write(f"{folder}/dm/uuid", uuid)
        if partition_of:
            self.write(f"{folder}/partition", "1")
        for slave in slaves:
            link = self.root / folder.lstrip("/") / "slaves" / slave
            link.parent.mkdir(exist_ok=True)
            link.symlink_to(f"/sys/class/block/{slave}")
        for place in (f"sys/dev/block/{number}", f"sys/class/block/{name}"):
            (self.root / place).parent.mkdir(parents=True, exist_ok=True)
            (self.root / place).unlink(missing_ok=True)
            (self.root / place).symlink_to(folder)

    def systemctl(self, command: list[str]) -> tuple[int, str, str]:
        assert command[:2] == ["systemctl", "show"]
        units = command[command.index("--") + 1 :]
        return (
            0,
            "\n\n".join(
                "".join(f"{key}={value}\n" for key, value in {"Id": unit, **self.shown}.items()) for unit in units
            ),
            "",
        )

    def judge(self, *controls: str, products: dict[str, Any] | None = None) -> dict[str, dict[str, Any]]:
        """Judge; return the findings by control. No secret may be in any of them."""
        params = {
            "instances": [self.instance],
            "products": KNOWLEDGE if products is None else products,
            "controls": list(controls) or None,
            "enforce": None,
        }
        findings = Findings(params, CONTROLS, check_mode=True)
        before = self.files()
        Secrets(params, findings, Host(str(self.root)), self.systemctl).run()
        assert self.files() == before
        assert SECRET not in repr(findings.results)
        found = {finding["control"]: finding for finding in findings.results}
        assert len(found) == len(findings.results)
        return found

    def files(self) -> dict[str, bytes]:
        return {
            str(path): path.read_bytes() for path in self.root.rglob("*") if path.is_file() and os.access(path, os.R_OK)
        }
