# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every setting that products tell over REST, changed for the worse in the tables of their stand-ins."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from doubles.common import double

STATE = double.settings_for(double.COMMON.parent / "jira", "unhardened", [])
TOKEN = STATE["admin_token"]
AUDITED = ("jira", "confluence", "bitbucket")
"""Products whose audit log is one app of the vendor."""
WITH_LOGINS = (*AUDITED, "bamboo")
"""Products that have the vendor's app for ways to log in."""


@dataclass(frozen=True)
class Flip:
    """A setting that somebody changes for the worse.

    Attributes:
        control: that must fail.
        name: of the setting.
        products: that have it.
        table: of the stand-in.
        value: what is written over it; of a table with rows, over those in which ``where`` holds.
        becomes: the control's status after harden; `not_checked` where it is put right and something else is not known.
        where: column and value.

    """

    control: str
    name: str
    products: tuple[str, ...]
    table: str
    value: Any
    becomes: str
    where: tuple[str, str] | None = None


ATTEMPTS = "jira.maximum.authentication.attempts.allowed"
TOKENS = "personalAccessTokensExpirationConfiguration"
ROUNDS: list[list[Flip]] = [
    [
        Flip("DC-AUT-01", "sso_bypass", WITH_LOGINS, "sso", {"enable-authentication-fallback": True}, "fail"),
        Flip("DC-AUT-03", "basic_auth_blocked", WITH_LOGINS, "basic-auth", {"block-requests": False}, "fixed"),
        Flip(
            "DC-AUT-04",
            "tokens_without_end",
            ("bamboo",),
            "security-settings",
            {TOKENS: {"expirationRequired": False}},
            "fixed",
        ),
        Flip("DC-AUT-06", "password_policy", ("jira",), "password-policy", [], "fail"),
        Flip(
            "DC-AUT-07", "public_signup", ("bamboo",), "security-settings", {"signUp": {"enabled": True}}, "not_checked"
        ),
        Flip("DC-BRU-05", "captcha_attempts", ("jira",), "properties", {"value": "99"}, "fixed", ("id", ATTEMPTS)),
        Flip(
            "DC-BRU-05",
            "captcha_asked",
            ("bamboo",),
            "security-settings",
            {"bruteForceProtection": {"enabled": False}},
            "fixed",
        ),
        Flip("DC-RAT-01", "rate_limit", ("bitbucket",), "rate-limit", {"enabled": False}, "fixed"),
        Flip("DC-LOG-01", "audit_coverage", AUDITED, "audit-coverage", {"levelByArea": {"security": "base"}}, "fixed"),
        Flip("DC-LOG-02", "audit_exclusions", AUDITED, "audit-denylist", {"actions": ["user.created"]}, "fixed"),
    ],
    [
        Flip("DC-AUT-01", "sso", WITH_LOGINS, "idps", [], "fail"),
        Flip("DC-AUT-03", "basic_auth_users", WITH_LOGINS, "basic-auth", {"allowed-users": ["build"]}, "fail"),
        Flip(
            "DC-AUT-04", "token_days", ("bamboo",), "security-settings", {TOKENS: {"maxDaysUntilExpiry": 3650}}, "fixed"
        ),
        Flip(
            "DC-BRU-05",
            "captcha_attempts",
            ("bamboo",),
            "security-settings",
            {"bruteForceProtection": {"loginAttempts": 99}},
            "fixed",
        ),
        Flip("DC-BRU-05", "captcha_attempts", ("jira",), "properties", {"value": "0"}, "fixed", ("id", ATTEMPTS)),
        Flip(
            "DC-LOG-02",
            "audit_retention_days",
            AUDITED,
            "audit-retention",
            {"period": {"years": 0, "months": 1, "days": 0}},
            "fixed",
        ),
    ],
    [
        Flip("DC-AUT-01", "login_form", WITH_LOGINS, "sso", {"show-login-form": True}, "fail"),
        Flip("DC-AUT-03", "basic_auth_paths", WITH_LOGINS, "basic-auth", {"allowed-paths": ["/rest/*"]}, "fail"),
    ],
]
GOOD: dict[str, Any] = {
    "sso": {"show-login-form": False, "enable-authentication-fallback": False},
    "idps": [{"id": 1, "name": "Example", "sso-type": "OIDC", "enabled": True}],
    "password-policy": ["The password must have at least 12 characters."],
    "tokens": [
        {
            "id": 1,
            "name": "audit",
            "user": STATE["admin_user"],
            "createdAt": "2026-10-01T08:00:00.000+0000",
            "expiringAt": (datetime.now(UTC) + timedelta(days=30)).strftime("%Y-%m-%dT%H:%M:%S.000+0000"),
            "lastAccessedAt": None,
            "rawToken": TOKEN,
        }
    ],
}
"""What only a person can put right, done before the first round."""
BY_ARGUMENT = ("jira", "confluence")
"""Products that an argument of the JVM tells when tokens end."""
GOOD_FOR = {"password-policy": ("jira",), "tokens": BY_ARGUMENT}
