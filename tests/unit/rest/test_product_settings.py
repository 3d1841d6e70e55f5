# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judging settings of products and putting them right, against a server that answers as the products do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._settings_places import Product, side_by_side
from ansible_collections.atlassian_dc.hardening.plugins.modules.product_settings import CONTROLS
from ansible_collections.atlassian_dc.hardening.plugins.modules.product_settings_info import describe
from unit.rest.scripted_server import Scripted, scripted_server
from unit.rest.settings_host import AUDIT, CAPTCHA, GOOD_ARGUMENTS, RATE, SECURITY, TOKEN, SettingsHost

PROPERTIES = "/rest/api/2/application-properties"
BASIC = "/rest/basicauth/1.0/config"
SSO = "/rest/authconfig/1.0/sso"

UNKNOWN = {"DC-ADM-02", "DC-AUT-02", "DC-AUT-07", "DC-AUT-08", "DC-AUT-09", "DC-RAT-01"}
"""Controls of which no source tells where Jira keeps them, or which are in its database."""
OFFLINE = {"DC-ADM-01", "DC-AUT-04"}
"""Controls that files and arguments of the JVM decide."""

Change = Callable[[SettingsHost], Any]


@pytest.fixture
def server() -> Iterator[Scripted]:
    with scripted_server() as script:
        yield script


@pytest.fixture
def host(tmp_path: Path, server: Scripted) -> SettingsHost:
    return SettingsHost(tmp_path, server)


def statuses(found: dict[str, dict[str, Any]]) -> dict[str, str]:
    return {control: finding["status"] for control, finding in found.items()}


def arguments(host: SettingsHost, *more: str) -> None:
    host.instance["jvm_arguments"] = host.instance["start_jvm_arguments"] = [*GOOD_ARGUMENTS, *more]


def config(host: SettingsHost, text: str) -> None:
    (host.home / "jira-config.properties").write_text(text)


def test_a_product_that_is_as_it_should_be(host: SettingsHost) -> None:
    found, settings = host.judge()
    assert set(found) == set(CONTROLS)
    assert statuses(found) == {
        control: "not_checked" if control in UNKNOWN else "not_applicable" if control == "DC-NET-07" else "pass"
        for control in CONTROLS
    }
    assert all(found[control]["reason"] for control in UNKNOWN)
    assert settings.changes.count == 0
    assert settings.products[0].requests <= 12


FLIPPED: list[tuple[str, Change, str]] = [
    ("DC-NET-06", lambda host: host.server.on("GET /status", {"state": "FIRST_RUN"}), "setup assistant"),
    ("DC-ADM-01", lambda host: arguments(host, "-Djira.websudo.is.disabled=true"), "decided by -Djira.websudo"),
    ("DC-ADM-01", lambda host: config(host, "jira.websudo.is.disabled = true\n"), "jira-config.properties"),
    ("DC-ADM-01", lambda host: config(host, "jira.websudo.timeout = 120\n"), "120"),
    ("DC-AUT-01", lambda host: host.answers.update({"/rest/authconfig/1.0/idps": {"results": []}}), "at least one"),
    ("DC-AUT-01", lambda host: host.answers[SSO].update({"enable-authentication-fallback": True}), "wanted off"),
    ("DC-AUT-01", lambda host: host.answers[SSO].update({"show-login-form": True}), "wanted off"),
    (
        "DC-AUT-03",
        lambda host: arguments(host, "-Dcom.atlassian.plugins.authentication.basic.auth.filter.force.allow=true"),
        "force.allow",
    ),
    ("DC-AUT-03", lambda host: host.answers[BASIC].update({"block-requests": False}), "wanted on"),
    ("DC-AUT-03", lambda host: host.answers[BASIC].update({"allowed-users": ["robot"]}), "robot"),
    ("DC-AUT-03", lambda host: host.answers[BASIC].update({"allowed-paths": ["/rest/*"]}), "/rest/*"),
    ("DC-AUT-04", lambda host: arguments(host, "-Datlassian.pats.eternal.tokens.enabled=true"), "never expire"),
    ("DC-AUT-04", lambda host: arguments(host, "-Datlassian.pats.max.tokens.expiry.days=3650"), "3650"),
    ("DC-AUT-04", lambda host: arguments(host, "-Datlassian.pats.enabled=false"), "wanted on"),
    ("DC-AUT-06", lambda host: host.answers.update({"/rest/api/2/password/policy": []}), "at least one"),
    ("DC-BRU-05", lambda host: arguments(host, f"-D{CAPTCHA}=99999"), f"decided by -D{CAPTCHA}"),
    ("DC-BRU-05", lambda host: config(host, f"{CAPTCHA}=\n"), "jira-config.properties"),
    ("DC-BRU-05", lambda host: host.answers.update({PROPERTIES: {"id": CAPTCHA, "value": ""}}), "wanted 1 to 3"),
    ("DC-BRU-05", lambda host: host.answers.update({PROPERTIES: [{"id": CAPTCHA, "value": "10"}]}), "10"),
    (
        "DC-LOG-01",
        lambda host: host.answers[f"{AUDIT}/coverage"]["levelByArea"].update(security="base"),
        "base",
    ),
    ("DC-LOG-02", lambda host: host.answers[f"{AUDIT}/denylist"].update(actions=["known", "hidden"]), "hidden"),
    (
        "DC-LOG-02",
        lambda host: host.answers[f"{AUDIT}/retention"].update(period={"years": 0, "months": 1}),
        "30",
    ),
]


BY_A_RUN = [FLIPPED[number][1] for number in (8, 11, 12, 17, 18, 19, 20, 21)]
"""Those of them of which a way to put them right is known."""


@pytest.mark.parametrize(("control", "flip", "word"), FLIPPED)
def test_each_setting_that_is_wrong_fails_its_control_and_no_other(
    host: SettingsHost, control: str, flip: Change, word: str
) -> None:
    expected = {**statuses(host.judge(enforce=[])[0]), control: "fail"}
    flip(host)
    found, settings = host.judge(enforce=[])
    if control == "DC-NET-06":  # nothing else can be asked of a product that is not set up
        assert found[control]["status"] == "fail"
        assert "pass" not in {found[other]["status"] for other in set(found) - OFFLINE}
    else:
        assert statuses(found) == expected
    assert word in found[control]["reason"] + str(found[control]["evidence"])
    assert found[control]["evidence"]
    assert found[control].get("by_hand", False) == (flip not in BY_A_RUN)
    assert settings.changes.count == 0


WRITES: list[tuple[str, Change, str, str, Any]] = [
    ("DC-AUT-03", FLIPPED[8][1], BASIC, BASIC, {"block-requests": True}),
    ("DC-BRU-05", FLIPPED[18][1], f"{PROPERTIES}/{CAPTCHA}", PROPERTIES, {"id": CAPTCHA, "value": "3"}),
    ("DC-LOG-01", FLIPPED[19][1], f"{AUDIT}/coverage", f"{AUDIT}/coverage", None),
    ("DC-LOG-02", FLIPPED[20][1], f"{AUDIT}/denylist", f"{AUDIT}/denylist", {"actions": ["known"]}),
    (
        "DC-LOG-02",
        FLIPPED[21][1],
        f"{AUDIT}/retention",
        f"{AUDIT}/retention",
        {"period": {"years": 1, "months": 0, "days": 0}},
    ),
]


@pytest.mark.parametrize(("control", "flip", "path", "target", "body"), WRITES)
def test_what_may_be_written_is_predicted_written_and_then_right(
    host: SettingsHost, control: str, flip: Change, path: str, target: str, body: Any
) -> None:
    def change(answer: Any, sent: Any) -> None:
        if body is not None:
            assert sent == body
        if isinstance(answer, list):
            answer[0]["value"] = sent["value"]
        else:
            answer.update(sent)

    flip(host)
    host.accepts(path, target, change)
    dry, predicting = host.judge(check_mode=True)
    assert dry[control]["status"] == "fail"
    assert not [path for path in host.server.paths() if not path.startswith("GET")]
    found, settings = host.judge()
    assert found[control]["status"] == "fixed"
    assert settings.changes.entries == predicting.changes.entries
    assert settings.changes.diff == predicting.changes.diff
    again, settings = host.judge()
    assert again[control]["status"] == "pass"
    assert settings.changes.count == 0


def test_only_areas_below_the_level_are_raised(host: SettingsHost) -> None:
    sent = {}
    levels = {"security": "base", "permissions": "full", "ecosystem": "off"}
    host.answers[f"{AUDIT}/coverage"] = {"levelByArea": levels}
    host.accepts(
        f"{AUDIT}/coverage", f"{AUDIT}/coverage", lambda answer, body: (sent.update(body), answer.update(body))
    )
    found, _settings = host.judge()
    assert found["DC-LOG-01"]["status"] == "fixed"
    assert sent["levelByArea"] == {"security": "full", "permissions": "full", "ecosystem": "off"}


@pytest.mark.parametrize(
    ("control", "more"),
    [
        ("DC-LOG-02", {"enforce": ["DC-LOG-01"]}),  # waived, or what it needs is not set
        ("DC-LOG-02", {"write": ["audit_coverage"]}),  # nobody asked for it
    ],
)
def test_nothing_is_written_that_nobody_asked_for(host: SettingsHost, control: str, more: dict[str, Any]) -> None:
    FLIPPED[20][1](host)
    found, settings = host.judge(**more)
    assert found[control]["status"] == "fail"
    assert settings.changes.count == 0
    assert all(path.startswith("GET") for path in host.server.paths())


@pytest.mark.parametrize("flip", [FLIPPED[15][1], FLIPPED[16][1]])
def test_what_an_argument_or_a_file_decides_is_not_written_to_the_product(host: SettingsHost, flip: Change) -> None:
    host.answers[PROPERTIES] = [{"id": CAPTCHA, "value": "50"}]
    flip(host)
    found, settings = host.judge()
    assert found["DC-BRU-05"]["status"] == "fail"
    assert settings.changes.count == 0


def test_an_argument_wins_over_the_file_and_the_product(host: SettingsHost) -> None:
    arguments(host, f"-D{CAPTCHA}=3")
    config(host, f"{CAPTCHA}=900\n")
    host.answers[PROPERTIES] = [{"id": CAPTCHA, "value": "50"}]
    assert host.judge()[0]["DC-BRU-05"]["status"] == "pass"


def test_what_the_next_start_would_bring_counts_too(host: SettingsHost) -> None:
    host.instance["start_jvm_arguments"] = [*GOOD_ARGUMENTS, "-Djira.websudo.is.disabled=true"]
    found, _settings = host.judge()
    assert found["DC-ADM-01"]["status"] == "fail"
    assert "of the next start" in found["DC-ADM-01"]["reason"]


@pytest.mark.parametrize(("answer", "word"), [((403, {}, {}), "forbidden"), ((200, {}, {}), "is 10 still")])
def test_a_write_that_does_not_work_is_told(host: SettingsHost, answer: Any, word: str) -> None:
    FLIPPED[18][1](host)
    host.server.on(f"PUT {PROPERTIES}/{CAPTCHA}", answer)
    found, settings = host.judge()
    assert found["DC-BRU-05"]["status"] == "fail"
    assert word in found["DC-BRU-05"]["reason"]
    assert settings.changes.count == (answer[0] == 200)


def test_the_login_in_use_is_not_locked_out(host: SettingsHost) -> None:
    FLIPPED[8][1](host)
    host.accepts(BASIC, BASIC, lambda answer, body: answer.update(body))
    host.credentials = [{"name": "jira", "username": "admin", "password": "x"}]
    dry, _settings = host.judge(check_mode=True)
    found, settings = host.judge()
    assert found["DC-AUT-03"] == dry["DC-AUT-03"]
    assert found["DC-AUT-03"]["status"] == "fail"
    assert "set a token" in found["DC-AUT-03"]["reason"]
    assert settings.changes.count == 0
    assert host.answers[BASIC]["block-requests"] is False


# ---- what cannot be asked -----------------------------------------------------------------------------------------


def test_without_credentials_arguments_and_files_are_judged_all_the_same(host: SettingsHost) -> None:
    host.credentials = []
    found, _settings = host.judge()
    assert {control for control, status in statuses(found).items() if status == "pass"} == OFFLINE | {"DC-NET-06"}
    assert "atlassian_dc_credentials has no entry for desk" in found["DC-LOG-01"]["reason"]
    assert host.server.paths() == []
    FLIPPED[7][1](host)
    FLIPPED[2][1](host)
    found, _settings = host.judge()
    assert {control for control, status in statuses(found).items() if status == "fail"} == {"DC-ADM-01", "DC-AUT-03"}
    assert "Not known: " in found["DC-AUT-03"]["reason"]


@pytest.mark.parametrize(
    ("spoil", "word"),
    [
        (lambda host: host.server.on("GET /status", {"state": "STARTING"}), "STARTING"),
        (lambda host: host.server.on("GET /status", (404, {}, b"")), "not the status page"),
        (lambda host: host.instance.update(status_url="http://127.0.0.1:1/status"), "cannot be asked"),
        (lambda host: host.instance.update(status_url=None), "its address is not known"),
        (lambda host: host.instance.update(url="ftp://desk/"), "none of HTTP"),
        (lambda host: host.instance.update(url="http://me:pw@desk/"), "none of HTTP"),
    ],
)
def test_a_product_that_cannot_be_asked_is_not_called_right(host: SettingsHost, spoil: Change, word: str) -> None:
    spoil(host)
    found, settings = host.judge()
    asked = set(CONTROLS) - UNKNOWN - OFFLINE - {"DC-NET-06", "DC-NET-07"}
    assert {found[control]["status"] for control in {*asked, "DC-NET-06"}} == {"not_checked"}
    assert all(word in found[control]["reason"] for control in asked)
    assert settings.changes.count == 0


def test_a_login_that_was_refused_is_not_sent_again(host: SettingsHost) -> None:
    for path in host.answers:
        host.server.on(f"GET {path}", (401, {}, {}))
    found, settings = host.judge()
    assert len(host.server.paths()) == 1
    assert "does not accept the login" in found["DC-LOG-02"]["reason"]
    assert settings.products[0].rejected
    found, _settings = host.judge(rejected=["desk"])
    assert len(host.server.paths()) == 1
    assert "refused before in this run" in found["DC-LOG-02"]["reason"]


@pytest.mark.parametrize(
    "answer", [[], {}, {"levelByArea": []}, {"levelByArea": {"security": "most"}}, {"levelByArea": {}}, "x", None]
)
def test_an_answer_of_another_form_is_not_called_right(host: SettingsHost, answer: Any) -> None:
    host.answers[f"{AUDIT}/coverage"] = answer
    found, _settings = host.judge()
    assert found["DC-LOG-01"]["status"] == "not_checked"


@pytest.mark.parametrize("content", ["jira.websudo.timeout = \\u12\n", None, "x" * 2_000_000])
def test_a_file_that_cannot_be_read_is_not_passed_over(host: SettingsHost, content: str | None) -> None:
    if content is None:
        (host.home / "elsewhere").write_text("")
        (host.home / "jira-config.properties").symlink_to("elsewhere")
    else:
        config(host, content)
    found, _settings = host.judge()
    assert found["DC-ADM-01"]["status"] == "not_checked"
    assert found["DC-BRU-05"]["status"] == "not_checked"
    assert "jira-config.properties" in found["DC-BRU-05"]["reason"]


def test_a_value_that_is_kept_secret_is_not_known(host: SettingsHost) -> None:
    arguments(host, f"-D{CAPTCHA}=********")
    assert host.judge()[0]["DC-BRU-05"]["status"] == "not_checked"


# ---- which instances ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "status"),
    [("8.13.7", "fail"), ("8.13.8", "pass"), ("8.14.1", "fail"), ("10.3.15", "pass"), (None, "not_checked")],
)
def test_nodes_of_a_cluster_prove_who_they_are_from_some_version_on(
    host: SettingsHost, version: str | None, status: str
) -> None:
    host.instance.update(cluster={"id": "c"}, version=version)
    assert host.judge()[0]["DC-NET-07"]["status"] == status


def test_what_a_version_does_not_have_is_not_applicable(host: SettingsHost) -> None:
    host.instance["version"] = "8.13.8"
    found, _settings = host.judge()
    assert found["DC-ADM-02"]["status"] == "not_applicable"
    assert "8.13.8" in found["DC-ADM-02"]["reason"]


def test_a_part_of_a_product_has_none(host: SettingsHost) -> None:
    host.instance["product"] = "confluence_synchrony"
    found, _settings = host.judge()
    assert set(statuses(found).values()) == {"not_applicable"}
    host.instance["product"] = "unheard_of"
    found, _settings = host.judge()
    assert set(statuses(found).values()) == {"not_checked"}


def test_instances_are_asked_side_by_side_each_with_its_own_login(host: SettingsHost, tmp_path: Path) -> None:
    with scripted_server() as second:
        other = SettingsHost(tmp_path / "other", second)
        other.instance["name"] = "second"
        FLIPPED[20][1](other)
        credentials = [*host.credentials, {"name": "second", "token": "another"}]
        params = {**host.params, "instances": [host.instance, other.instance], "credentials": credentials}
        products = [Product(instance, params, host.run_command, str(tmp_path)) for instance in params["instances"]]
        told = dict(zip((product.name for product in products), side_by_side(describe, products), strict=True))
        assert {headers.get("authorization") for _m, _p, headers, _b in second.asked} == {None, "Bearer another"}
        assert {headers.get("authorization") for _m, _p, headers, _b in host.server.asked} == {None, f"Bearer {TOKEN}"}
    assert told["desk"]["audit_exclusions"]["value"] == []
    assert told["second"]["audit_exclusions"]["value"] == ["known", "hidden"]
    assert told["desk"]["websudo"]["where"] == "default"
    assert told["desk"]["audit_coverage"]["writable"] is True
    assert told["desk"]["allowlist"]["value"] is None
    assert told["desk"]["allowlist"]["why"]
    assert told["desk"]["sso"] == {
        "value": ["corporate"],
        "where": "REST /rest/authconfig/1.0/idps",
        "why": "",
        "title": "identity providers that are enabled",
        "control": "DC-AUT-01",
        "writable": False,
        "next_start": {},
    }


# ---- other products ---------------------------------------------------------------------------------------------


def test_confirmation_of_passwords_that_is_switched_off_takes_more_with_it(tmp_path: Path, server: Scripted) -> None:
    host = SettingsHost(tmp_path, server, "confluence")
    found, _settings = host.judge()
    assert {found[control]["status"] for control in ("DC-ADM-01", "DC-BRU-05")} == {"not_checked"}
    assert "atlassian_dc_product_settings_databases" in found["DC-ADM-01"]["reason"]
    assert "viewsecurityconfig" in found["DC-ADM-01"]["reason"]
    arguments(host, "-Dpassword.confirmation.disabled=true")
    found, _settings = host.judge()
    assert {control for control, status in statuses(found).items() if status == "fail"} == {"DC-ADM-01", "DC-BRU-05"}


@pytest.mark.parametrize(("value", "status"), [("true", "pass"), ("false", "fail"), ("perhaps", "not_checked")])
def test_authentication_of_nodes_in_a_file(tmp_path: Path, server: Scripted, value: str, status: str) -> None:
    host = SettingsHost(tmp_path, server, "confluence")
    host.instance["cluster"] = {"id": "c"}
    assert host.judge()[0]["DC-NET-07"]["status"] == "pass"
    name = "confluence.cluster.authentication.enabled"
    (host.home / "confluence.cfg.xml").write_text(
        f'<confluence-configuration><properties><property name="{name}">{value}</property></properties>'
        "</confluence-configuration>"
    )
    assert host.judge()[0]["DC-NET-07"]["status"] == status


@pytest.mark.parametrize(
    ("control", "part", "wrong", "right"),
    [
        (
            "DC-BRU-05",
            "bruteForceProtection",
            {"enabled": False, "loginAttempts": 3},
            {"enabled": True, "loginAttempts": 3},
        ),
        (
            "DC-BRU-05",
            "bruteForceProtection",
            {"enabled": True, "loginAttempts": 0},
            {"enabled": True, "loginAttempts": 3},
        ),
        (
            "DC-AUT-04",
            "personalAccessTokensExpirationConfiguration",
            {"expirationRequired": False, "maxDaysUntilExpiry": 3650},
            {"expirationRequired": True, "maxDaysUntilExpiry": 90},
        ),
        ("DC-AUT-07", "signUp", {"enabled": True, "enabledCaptcha": True}, {"enabled": False, "enabledCaptcha": True}),
    ],
)
def test_what_is_sent_back_whole_keeps_all_else(
    tmp_path: Path, server: Scripted, control: str, part: str, wrong: Any, right: Any
) -> None:
    host = SettingsHost(tmp_path, server, "bamboo")
    before = host.judge()[0]
    assert before[control]["status"] == ("not_checked" if control == "DC-AUT-07" else "pass")
    good = dict(host.answers[SECURITY])
    host.answers[SECURITY] = {**good, part: wrong}
    host.accepts(SECURITY, SECURITY, lambda answer, body: (answer.clear(), answer.update(body)))
    assert host.judge(check_mode=True)[0][control]["status"] == "fail"
    found, _settings = host.judge()
    assert found[control]["status"] == ("not_checked" if control == "DC-AUT-07" else "fixed")
    assert host.answers[SECURITY] == {**good, part: right}


def test_the_rate_of_requests_is_limited_with_the_numbers_there_are(tmp_path: Path, server: Scripted) -> None:
    host = SettingsHost(tmp_path, server, "bitbucket")
    host.answers[RATE]["enabled"] = False
    host.accepts(RATE, RATE, lambda answer, body: answer.update(body))
    assert host.judge()[0]["DC-RAT-01"]["status"] == "fixed"
    assert host.answers[RATE] == {"enabled": True, "defaultSettings": {"capacity": 60, "fillRate": 5}}


@pytest.mark.parametrize(
    ("version", "line", "status", "word"),
    [
        ("9.4.1", "", "not_checked", "sign-up"),
        ("9.4.1", "feature.public.access=true", "fail", "feature.public.access"),
        ("8.17.0", "", "not_checked", "before 8.18"),
        ("8.17.0", "feature.public.access=true", "fail", "feature.public.access"),
    ],
)
def test_public_access_by_version(
    tmp_path: Path, server: Scripted, version: str, line: str, status: str, word: str
) -> None:
    host = SettingsHost(tmp_path, server, "bitbucket")
    host.instance.update(version=version, shared_home_dir=host.instance["home_dir"])
    (host.home / "bitbucket.properties").write_text(line + "\n")
    found, _settings = host.judge()
    assert found["DC-AUT-07"]["status"] == status
    assert word in found["DC-AUT-07"]["reason"]
    assert found["DC-ADM-01"]["status"] == "pass"
    (host.home / "bitbucket.properties").write_text("feature.websudo=false\n")
    assert host.judge()[0]["DC-ADM-01"]["status"] == "fail"
    (host.home / "bitbucket.properties").write_text("atlassian.authentication.2sv.websudo.disabled=true\n")
    assert host.judge()[0]["DC-ADM-01"]["status"] == "fail"


@pytest.mark.parametrize("product", ["bitbucket", "bamboo", "crowd"])
def test_every_product_has_a_judgement_of_every_control_that_concerns_it(
    tmp_path: Path, server: Scripted, product: str
) -> None:
    host = SettingsHost(tmp_path, server, product)
    found, _settings = host.judge()
    assert set(found) == set(CONTROLS) & set(host.data[product]["controls"])
    assert "fail" not in statuses(found).values()
    assert found["DC-NET-06"]["status"] == "pass"
