# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeps the clock right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.module_utils import _clock as clock
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._changes import Changes
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._findings import Findings
from unit.log_keeping.kept_host import JIRA, KeptHost

NORMAL = (0, "0AD5700B,10.0.0.1,9,1795925707.48,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,2.0,Normal\n", "")
LOST = (0, "7F7F0101,,0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,1.0,1.0,0.0,Not synchronised\n", "")
RUNNING = {"ActiveState": "active", "UnitFileState": "enabled"}


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KeptHost:
    host = KeptHost(tmp_path)
    host.answers["chronyc"] = NORMAL
    monkeypatch.setattr(clock, "package_manager", host.manager)
    return host


CHRONY = {"package": "chrony", "service": "chrony.service"}


def run(
    host: KeptHost,
    check: bool = False,
    enforce: bool = True,
    instances: tuple[dict[str, Any], ...] = (JIRA,),
    known: bool = True,
) -> dict[str, Any]:
    findings = Findings({"enforce": None if enforce else []}, (clock.CONTROL,), check)
    changes = Changes(check, host.run)
    waited: list[float] = []
    judge = clock.Clock(
        [*instances], CHRONY if known else None, findings, changes, host.run, str(host.root), waited.append
    )
    judge.run()
    (result,) = findings.results
    made = [entry["target"] for entry in changes.entries]
    return {**result, "changes": made, "waited": sum(waited), "by": judge.provider}


def test_chrony_is_installed_where_there_is_none(host: KeptHost) -> None:
    predicted = run(host, check=True)
    assert (predicted["status"], host.commands) == ("fail", [])
    assert predicted["changes"] == ["package chrony", "unit chrony.service", "unit chrony.service"]
    real = run(host)
    assert (real["status"], real["changes"]) == ("fixed", predicted["changes"])
    assert (run(host)["status"], run(host)["changes"]) == ("pass", [])


@pytest.mark.parametrize("name", ["chronyd.service", "systemd-timesyncd.service", "ntpsec.service"])
def test_the_service_in_use_is_left(host: KeptHost, name: str) -> None:
    host.unit(name, **RUNNING)
    host.unit("openntpd.service")
    host.answers["timedatectl"] = (0, "yes\n", "")
    result = run(host)
    assert (result["status"], result["changes"], result["by"]) == ("pass", [], name)


def test_one_that_is_installed_is_started(host: KeptHost) -> None:
    host.unit("systemd-timesyncd.service")
    host.answers["timedatectl"] = (0, "yes\n", "")
    result = run(host)
    assert (result["status"], result["by"]) == ("fixed", "systemd-timesyncd.service")
    assert host.packages == set()


def test_one_that_is_not_started_at_boot_is_enabled(host: KeptHost) -> None:
    host.unit("chrony.service", ActiveState="active")
    assert run(host)["changes"] == ["unit chrony.service"]


def test_servers_that_are_not_reached_are_somebody_elses(host: KeptHost) -> None:
    host.unit("chrony.service", **RUNNING)
    host.answers["chronyc"] = LOST
    result = run(host)
    assert (result["status"], result["changes"], result["waited"]) == ("fail", [], 0)
    assert "not synchronised" in result["reason"]


def test_a_service_that_was_just_started_is_waited_for(host: KeptHost) -> None:
    host.answers["chronyc"] = LOST
    result = run(host)
    assert (result["status"], result["waited"]) == ("fail", clock.PATIENCE)


def test_what_is_masked_is_left(host: KeptHost) -> None:
    host.packages.add("chrony")
    host.unit("chrony.service", LoadState="masked", UnitFileState="masked")
    result = run(host)
    assert result["status"] == "fail"
    assert "systemctl unmask chrony.service" in result["reason"]
    assert host.commands == []


@pytest.mark.parametrize(
    ("params", "status", "reason"),
    [
        ({"instances": ()}, "not_applicable", "no product was found on this host"),
        ({"known": False}, "fail", "a time service: none is installed"),
        ({"enforce": False}, "fail", "a time service: none is installed"),
    ],
)
def test_nothing_is_changed(host: KeptHost, params: dict[str, Any], status: str, reason: str) -> None:
    result = run(host, **params)
    assert (result["status"], result["reason"], result["changes"]) == (status, reason, [])


def test_a_container_has_no_clock(host: KeptHost) -> None:
    host.write("/run/systemd/container", "podman")
    assert run(host)["status"] == "not_applicable"
