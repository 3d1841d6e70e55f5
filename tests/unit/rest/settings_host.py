# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An instance of a product on a host made of a folder, in front of a server that answers as it should."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from ansible_collections.atlassian_dc.hardening.plugins.module_utils._changes import Changes
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._findings import Findings
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._settings_places import Product
from ansible_collections.atlassian_dc.hardening.plugins.modules.product_settings import CONTROLS, ProductSettings
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._settings_data import settings_data
from unit.rest.scripted_server import Scripted

TOKEN, HOME = "NjYxOTk3MDk2Mzkz", "/var/atlassian/application-data/product"
GOOD_ARGUMENTS = ["-Datlassian.pats.eternal.tokens.enabled=false", "-Datlassian.pats.max.tokens.expiry.days=90"]

AUDIT = "/rest/auditing/1.0/configuration"
SECURITY = "/rest/admin/latest/security/settings"
RATE = "/rest/api/latest/admin/rate-limit/settings"
AREAS = (
    "audit-log",
    "ecosystem",
    "end-user-activity",
    "global-config-and-administration",
    "local-config-and-administration",
    "permissions",
    "security",
    "user-management",
)
CAPTCHA = "jira.maximum.authentication.attempts.allowed"

WANTED: dict[str, Any] = {
    "setup_finished": True,
    "cluster_authentication": True,
    "websudo": True,
    "websudo_timeout": {"at_most": 10},
    "sso": {"some": True},
    "sso_bypass": False,
    "login_form": False,
    "basic_auth_forced": False,
    "basic_auth_blocked": True,
    "basic_auth_paths": {"only": []},
    "basic_auth_users": {"only": []},
    "tokens": True,
    "tokens_without_end": False,
    "token_days": {"at_most": 90},
    "password_policy": {"some": True},
    "captcha_attempts": {"between": [1, 3]},
    "captcha_asked": True,
    "public_signup": False,
    "public_access": False,
    "rate_limit": True,
    "audit_coverage": {"levels": {"security": "full", "permissions": "advanced"}},
    "audit_exclusions": {"only": ["known"]},
    "audit_retention_days": {"at_least": 365},
}

DATA = settings_data()


class SettingsHost:
    """A host with one instance that is as it should be."""

    def __init__(self, root: Path, server: Scripted, product: str = "jira") -> None:
        self.root = root
        self.server = server
        self.home = root / HOME.lstrip("/")
        self.home.mkdir(parents=True)
        self.data = copy.deepcopy(DATA)
        self.instance: dict[str, Any] = {
            "name": "desk",
            "product": product,
            "version": "10.3.15",
            "install_dir": "/opt/product",
            "home_dir": HOME,
            "status_url": server.url + DATA[product]["status"]["path"],
            "jvm_arguments": list(GOOD_ARGUMENTS),
            "start_jvm_arguments": list(GOOD_ARGUMENTS),
            "cluster": None,
        }
        status = DATA[product]["status"]
        server.on(f"GET {status['path']}", {status["key"] or "state": "RUNNING"})
        self.credentials = [{"name": product, "token": TOKEN}]
        self.answers: dict[str, Any] = {
            "/rest/authconfig/1.0/idps": [{"name": "corporate", "enabled": True}, {"name": "old", "enabled": False}],
            "/rest/authconfig/1.0/sso": {"enable-authentication-fallback": False, "show-login-form": False},
            "/rest/basicauth/1.0/config": {"block-requests": True, "allowed-paths": [], "allowed-users": []},
            "/rest/api/2/password/policy": ["The password must have at least 12 characters."],
            "/rest/api/2/application-properties": [{"id": CAPTCHA, "key": CAPTCHA, "value": "3"}],
            SECURITY: {
                "bruteForceProtection": {"enabled": True, "loginAttempts": 3},
                "personalAccessTokensExpirationConfiguration": {"expirationRequired": True, "maxDaysUntilExpiry": 90},
                "signUp": {"enabled": False, "enabledCaptcha": True},
                "xsrfProtection": {"enabled": True},
            },
            RATE: {"enabled": True, "defaultSettings": {"capacity": 60, "fillRate": 5}},
            f"{AUDIT}/coverage": {"levelByArea": dict.fromkeys(AREAS, "full")},
            f"{AUDIT}/denylist": {"actions": []},
            f"{AUDIT}/retention": {"period": {"years": 3, "months": 0, "days": 0}},
        }
        for path in self.answers:
            server.on(f"GET {path}", lambda handler, path=path: self._reply(handler, path))

    def run_command(self, _command: list[str], **_more: Any) -> tuple[int, str, str]:
        """Have no program to run."""
        return 127, "", "not found"

    def accepts(self, path: str, target: str, change: Any) -> None:
        """Let a request of PUT change an answer."""

        def put(handler: Any) -> None:
            body = json.loads(self.server.asked[-1][3])
            change(self.answers[target], body)
            self._send(handler, {})

        self.server.on(f"PUT {path}", put)

    def _reply(self, handler: Any, path: str) -> None:
        self._send(handler, self.answers[path])

    @staticmethod
    def _send(handler: Any, body: Any) -> None:
        data = json.dumps(body).encode()
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    @property
    def params(self) -> dict[str, Any]:
        """Return the parameters of a module."""
        return {
            "instances": [self.instance],
            "credentials": self.credentials,
            "products": self.data,
            "timeout": 5,
            "wanted": dict(WANTED),
            "write": list(WANTED),
        }

    def judge(self, check_mode: bool = False, **more: Any) -> tuple[dict[str, dict[str, Any]], ProductSettings]:
        """Run the module; return its findings by control, and itself."""
        params = {**self.params, **more}
        findings = Findings(params, CONTROLS, check_mode)
        changes = Changes(check_mode)
        products = [Product(instance, params, self.run_command, str(self.root)) for instance in params["instances"]]
        settings = ProductSettings(params, findings, changes, products, self.run_command, str(self.root))
        settings.run()
        found = {finding["control"]: finding for finding in findings.results}
        assert len(found) == len(findings.results)
        assert TOKEN not in json.dumps([findings.results, changes.result()])
        return found, settings
