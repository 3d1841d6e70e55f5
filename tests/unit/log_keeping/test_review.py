# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The look at the logs, and how it is set up."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.action.log_review import reviewed
from ansible_collections.atlassian_dc.hardening.plugins.module_utils import _review
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._changes import ChangeError, Changes
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._findings import Findings
from ansible_collections.atlassian_dc.hardening.plugins.modules import log_review
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._products import load_products
from hypothesis import given
from hypothesis import strategies as st
from unit.log_keeping.kept_host import JIRA, KeptHost

CHANGED = "atlassian.audit.event.action.audit.config.updated"
ADDED = "jira.auditing.user.added.to.group"
FAILURE = (
    "2026-06-09 05:11:11,681+0000 http-nio-8080-exec-17 anonymous 311x2831x1 1qvu69a {addresses} /login.jsp"
    " The user '{name}' has FAILED authentication.  Failure count equals 1\n"
)


def entry(action: str, **more: Any) -> str:
    """Return an entry of an audit log."""
    kind = {"action": "something", "actionI18nKey": action, "categoryI18nKey": more.pop("category", "x")}
    return json.dumps({"auditType": kind, "author": {"name": "admin"}, "timestamp": {"epochSecond": 1}, **more}) + "\n"


def group(name: str) -> str:
    return entry(ADDED, affectedObjects=[{"name": name, "type": "GROUP"}, {"name": "mallory", "type": "USER"}])


def coverage(before: str, after: str) -> str:
    change = {"i18nKey": "atlassian.audit.event.change.coverage.level", "from": before, "to": after}
    return entry(CHANGED, changedValues=[change])


class Looks:
    """Looks at the logs of one host, one after the other."""

    def __init__(self, folder: Path, product: str = "jira") -> None:
        self.folder = folder
        self.state: dict[str, Any] = {}
        known = reviewed(product)
        logs = [{"path": str(folder / log["path"]), "form": log["form"]} for log in known["logs"]]
        self.config = {
            "failures": 5,
            "proxies": ["192.0.2.80"],
            "instances": [{"name": product, "logs": logs, "unusual": known["unusual"] or []}],
        }

    def write(self, path: str, text: str, mode: str = "a") -> Path:
        place = self.folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open(mode, encoding="utf-8") as stream:
            stream.write(text)
        return place

    def __call__(self) -> list[str]:
        said: list[str] = []
        _review.Review(self.config, self.state, said.append).run()
        # As it comes back from its file.
        self.state = json.loads(json.dumps(self.state))
        return said


SECURITY, AUDIT = "log/atlassian-jira-security.log", "log/audit/20261129.00000.audit.log"


@pytest.fixture
def looks(tmp_path: Path) -> Looks:
    return Looks(tmp_path)


class TestUnusual:
    @pytest.mark.parametrize(
        ("product", "text", "kind"),
        [
            ("jira", group("jira-administrators"), "admin_granted"),
            ("jira", group("jira-users"), None),
            ("jira", entry("jira.auditing.global.permission.added"), "permission_granted"),
            ("jira", coverage("security : full", "security : base"), "coverage_lowered"),
            ("jira", coverage("security : base", "security : full"), None),
            ("jira", coverage("security : base", "nothing"), None),
            ("jira", entry("jira.auditing.user.created"), None),
            ("confluence", entry("audit.logging.summary.plugin.enabled"), "app_installed"),
            ("confluence", entry("any", category="audit.logging.category.import.export"), "exported"),
            (
                "confluence",
                entry("audit.logging.summary.global.permission.added", changedValues=[{"to": "SYSTEMADMINISTRATOR"}]),
                "admin_granted",
            ),
            (
                "bitbucket",
                entry(
                    "bitbucket.service.user.audit.action.globalpermissiongranted",
                    extraAttributes=[{"name": "Permission", "value": "SYS_ADMIN"}],
                ),
                "admin_granted",
            ),
        ],
    )
    def test_entries(self, tmp_path: Path, product: str, text: str, kind: str | None) -> None:
        looks = Looks(tmp_path, product)
        looks.write(AUDIT, text)
        *warnings, last = looks()
        assert [line.split(": ")[1] for line in warnings] == ([kind] if kind else [])
        assert last.startswith("<5>looked at 1 entries: ")

    def test_tells_who_and_what(self, looks: Looks) -> None:
        looks.write(AUDIT, group("jira-administrators"))
        line = looks()[0]
        assert line.startswith("<4>jira: admin_granted: {")
        told = json.loads(line.partition("admin_granted: ")[2])
        assert told == {"when": "1", "action": ADDED, "by": "admin", "objects": ["jira-administrators", "mallory"]}

    def test_many_of_a_kind_are_counted(self, looks: Looks) -> None:
        looks.write(AUDIT, group("jira-administrators") * 150)
        said = looks()
        assert len(said) == _review.MAX_SHOWN + 2
        assert '"and more of them": 50' in said[-2]


class TestFailures:
    def test_too_many_of_a_name_or_from_an_address(self, looks: Looks) -> None:
        for number in range(5):
            looks.write(SECURITY, FAILURE.format(addresses="198.51.100.7,192.0.2.80", name=f"n{number}"))
            looks.write(SECURITY, FAILURE.format(addresses=f"198.51.100.{number + 20}", name="admin"))
        said = looks()
        assert '<4>jira: failed_logins: {"count": 5, "name": "admin"}' in said
        assert '<4>jira: failed_logins: {"address": "198.51.100.7", "count": 5}' in said
        assert len(said) == 3

    def test_two_looks_count_together_and_a_burst_is_named_once(self, looks: Looks) -> None:
        line = FAILURE.format(addresses="198.51.100.7", name="admin")
        looks.write(SECURITY, line * 3)
        assert len(looks()) == 1
        looks.write(SECURITY, line * 2)
        assert len(looks()) == 3
        looks.write(SECURITY, line)
        assert len(looks()) == 1


class TestFiles:
    def test_only_what_is_new_is_read(self, looks: Looks) -> None:
        looks.write(AUDIT, group("jira-administrators"))
        assert len(looks()) == 2
        assert len(looks()) == 1
        looks.write(AUDIT, group("jira-administrators")[:-1])
        assert len(looks()) == 1
        looks.write(AUDIT, "\n")
        assert len(looks()) == 2

    def test_a_log_that_is_rotated_by_number_is_followed(self, looks: Looks) -> None:
        looks.write(SECURITY, FAILURE.format(addresses="198.51.100.7", name="admin") * 2)
        looks()
        place = looks.write(SECURITY, FAILURE.format(addresses="198.51.100.7", name="admin") * 2)
        place.rename(f"{place}.1")
        looks.write(SECURITY, FAILURE.format(addresses="198.51.100.7", name="admin"))
        assert '"count": 5' in looks()[0]

    def test_a_log_that_is_cut_is_read_from_its_beginning(self, looks: Looks) -> None:
        looks.write(AUDIT, entry("one") + entry("two"))
        looks()
        looks.write(AUDIT, group("jira-administrators"), "w")
        assert "admin_granted" in looks()[0]

    def test_a_file_that_takes_the_place_of_another_is_read_from_its_beginning(self, looks: Looks) -> None:
        place = looks.write(AUDIT, entry("one"))
        looks()
        with place.open("r+") as stream:
            stream.write(group("jira-administrators") * 3)
        assert len([line for line in looks() if "admin_granted" in line]) == 3

    def test_links_and_pipes_are_not_followed(self, looks: Looks) -> None:
        (looks.folder / "log/audit").mkdir(parents=True)
        os.symlink("/etc/passwd", looks.folder / AUDIT)
        os.mkfifo(looks.folder / "log/audit/x.audit.log")
        assert looks() == ["<5>looked at 0 entries: 0 unusual, 0 logs could not be read"]

    def test_what_cannot_be_read_is_said(self, looks: Looks, monkeypatch: pytest.MonkeyPatch) -> None:
        looks.write(AUDIT, entry("one"))

        def refuse(*_arguments: Any) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(_review, "_read_on", refuse)
        assert looks()[0].startswith('<4>jira: unreadable: {"log": ')

    def test_a_large_file_is_read_in_pieces(self, looks: Looks, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(_review, "MAX_BYTES", 500)
        looks.write(AUDIT, entry("one") * 40 + "x" * 2000 + "\n" + group("jira-administrators"))
        said = looks()
        assert "admin_granted" in said[0]


@given(lines=st.lists(st.one_of(st.binary(max_size=60), st.text(max_size=60).map(str.encode)), max_size=20))
def test_whatever_stands_in_a_log_no_line_of_it_is_forged(lines: list[bytes], tmp_path_factory: Any) -> None:
    looks = Looks(tmp_path_factory.mktemp("hostile"))
    looks.write(AUDIT, "")
    (looks.folder / AUDIT).write_bytes(b"\n".join(lines) + b"\n")
    assert len(looks()) == 1


@given(name=st.text(max_size=300))
def test_whatever_somebody_is_called_it_is_one_line_of_ascii(name: str, tmp_path_factory: Any) -> None:
    looks = Looks(tmp_path_factory.mktemp("names"))
    looks.write(AUDIT, entry("jira.auditing.global.permission.added", affectedObjects=[{"name": name}]))
    for line in looks():
        assert line.isascii()
        assert line.isprintable()
        assert len(line) < 2000


@pytest.mark.parametrize("product", sorted(load_products()))
def test_every_log_that_is_looked_at_can_be_read(product: str, tmp_path: Path) -> None:
    looks = Looks(tmp_path, product)
    for log in looks.config["instances"][0]["logs"]:  # type: ignore[index]
        looks.write(log["path"].replace("*", "x"), "nonsense\n")
    assert looks()[-1].endswith("0 logs could not be read")


# ---- the module --------------------------------------------------------------------------------------


def run(host: KeptHost, check: bool = False, **params: Any) -> dict[str, Any]:
    values = {
        "instances": [JIRA],
        "products": {name: reviewed(name) for name in ("jira", "bamboo_agent")},
        "failures": 20,
        "schedule": "hourly",
        "proxies": [],
        **params,
    }
    findings, changes = Findings(values, log_review.CONTROLS, check), Changes(check, host.run)
    log_review.LogReview(values, findings, changes, host.run, str(host.root)).run()
    (result,) = findings.results
    return {**result, "changes": [(entry["target"], entry["attribute"]) for entry in changes.entries]}


@pytest.fixture
def host(tmp_path: Path) -> KeptHost:
    return KeptHost(tmp_path)


def test_predicts_does_and_is_done(host: KeptHost) -> None:
    predicted = run(host, check=True)
    assert (predicted["status"], host.commands) == ("fail", [])
    real = run(host)
    assert (real["status"], real["changes"]) == ("fixed", predicted["changes"])
    assert (run(host)["status"], run(host)["changes"]) == ("pass", [])
    assert host.ran("systemctl", "start") == [["systemctl", "start", "--no-block", f"{log_review.UNIT}.service"]]


def test_what_is_installed_runs_by_itself(host: KeptHost) -> None:
    """As the unit runs it: without the environment, and without what is installed for Python."""
    run(host)
    host.write(f"/data/jira/{AUDIT}", group("jira-administrators"))
    launcher = host.root / log_review.LIBRARY.lstrip("/") / "review.py"
    text = launcher.read_text()
    for path in (log_review.LIBRARY, log_review.CONFIG, log_review.STATE):
        text = text.replace(path, str(host.root / path.lstrip("/")))
    launcher.write_text(text)
    (host.root / log_review.STATE.lstrip("/")).mkdir(parents=True)
    config = host.root / log_review.CONFIG.lstrip("/")
    config.write_text(config.read_text().replace("/data/jira", str(host.root / "data/jira")))
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-B", launcher], capture_output=True, text=True, check=False, cwd="/"
    )
    assert done.stderr == ""
    assert "admin_granted" in done.stdout
    assert (host.root / log_review.STATE.lstrip("/") / "state.json").is_file()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"files"'])
def test_a_state_that_was_cut_off_is_begun_anew(host: KeptHost, text: str) -> None:
    config = host.write("/config", json.dumps({"failures": 1, "proxies": [], "instances": []}))
    state = host.write("/s", text)
    assert _review.main(str(config), str(state)) == 0
    assert json.loads(state.read_text()) == {}


def test_a_look_that_failed_is_no_pass(host: KeptHost) -> None:
    run(host)
    host.units[f"{log_review.UNIT}.service"]["Result"] = "exit-code"
    result = run(host, check=True)
    assert result["status"] == "fail"
    assert result["reason"].endswith("exit-code")
    assert run(host)["status"] == "fixed"
    assert run(host)["changes"] == []


@pytest.mark.parametrize("code", [0, 1])
def test_units_are_verified_first(host: KeptHost, code: int) -> None:
    host.answers["systemd-analyze"] = (code, "", "x.timer:4: Failed to parse calendar specification")
    result = run(host)
    assert result["status"] == ("fail" if code else "fixed")
    assert ("calendar" in result["reason"]) == bool(code)
    assert (host.root / f"etc/systemd/system/{log_review.UNIT}.timer").exists() == (not code)


def test_a_schedule_is_one_line(host: KeptHost) -> None:
    with pytest.raises(ChangeError, match="is no schedule"):
        run(host, schedule="hourly\nUnit=x")


@pytest.mark.parametrize(
    ("instances", "reason"),
    [
        ([], "no product was found on this host"),
        ([{**JIRA, "part_of": "bamboo"}], "nobody logs in to what is on this host"),
    ],
)
def test_where_there_is_nothing_to_look_at(host: KeptHost, instances: list[dict[str, Any]], reason: str) -> None:
    result = run(host, instances=instances)
    assert (result["status"], result["reason"]) == ("not_applicable", reason)


def test_logs_of_which_nobody_knows_how_they_look_are_no_pass(host: KeptHost) -> None:
    result = run(host, instances=[{**JIRA, "product": "almanac"}])
    assert (result["status"], result["reason"]) == ("not_checked", "how the logs of jira look is not known")
