# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Taking settings of products back that a run has written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._changes import Changes
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._findings import Findings
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._recorder import Recorder, read_run
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._rollback import Rollback
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._settings_back import SettingsBack
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._settings_places import Product
from ansible_collections.atlassian_dc.hardening.plugins.modules.product_settings import CONTROLS, ProductSettings
from unit.rest.scripted_server import scripted_server
from unit.rest.settings_host import AUDIT, TOKEN, SettingsHost

DENYLIST = f"{AUDIT}/denylist"
BEFORE = ["hidden", "known", *(f"action {number}" for number in range(30))]


@pytest.fixture
def host(tmp_path: Path) -> Iterator[SettingsHost]:
    with scripted_server() as server:
        host = SettingsHost(tmp_path, server)
        host.answers[DENYLIST] = {"actions": BEFORE}
        host.accepts(DENYLIST, DENYLIST, lambda answer, body: answer.update(body))
        yield host


def harden(host: SettingsHost) -> str:
    """Make a run that writes the setting; return the folder of its record."""
    findings = Findings(host.params, CONTROLS, False)
    recorder = Recorder("run1", "product_settings", str(host.root / "state"))
    products = [Product(host.instance, host.params, host.run_command, str(host.root))]
    ProductSettings(host.params, findings, Changes(False, recorder=recorder), products, host.run_command).run()
    recorder.close()
    assert host.answers[DENYLIST] == {"actions": ["known"]}
    return recorder.folder


def back(host: SettingsHost, folder: str, check_mode: bool = False, **more: Any) -> Rollback:
    products = {"desk": Product(host.instance, {**host.params, **more}, host.run_command, str(host.root))}
    rollback = Rollback(folder, check_mode, lambda *_a, **_k: (1, "", ""), SettingsBack(products, check_mode))
    rollback.run(list(read_run(folder, None)))
    return rollback


def test_what_a_run_has_set_is_set_back(host: SettingsHost) -> None:
    folder = harden(host)
    predicted = back(host, folder, check_mode=True)
    assert host.answers[DENYLIST] == {"actions": ["known"]}
    done = back(host, folder)
    assert host.answers[DENYLIST] == {"actions": BEFORE}
    assert done.restored == predicted.restored
    assert [item["target"] for item in done.restored] == ["desk: audit_exclusions"]
    assert done.kept == []
    again = back(host, folder)
    assert (again.restored, again.kept) == ([], [])


def test_what_somebody_has_changed_since_stays(host: SettingsHost) -> None:
    folder = harden(host)
    host.answers[DENYLIST] = {"actions": ["other"]}
    done = back(host, folder)
    assert host.answers[DENYLIST] == {"actions": ["other"]}
    assert done.restored == []
    assert "somebody has changed it since, it is other" in done.kept[0]


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ({"credentials": []}, "atlassian_dc_credentials"),
        ({"products": {}}, "no such instance"),
        ({"rejected": ["desk"]}, "refused before"),
    ],
)
def test_what_cannot_be_set_back_is_named_with_its_value(host: SettingsHost, more: dict[str, Any], word: str) -> None:
    done = back(host, harden(host), **more)
    assert done.restored == []
    assert word in done.kept[0]
    assert "it was hidden, known, action 0" in done.kept[0]
    assert done.faults == []


@pytest.mark.parametrize(("answer", "word"), [((403, {}, {}), "forbidden"), ((200, {}, {}), "is known still")])
def test_a_product_that_refuses(host: SettingsHost, answer: Any, word: str) -> None:
    folder = harden(host)
    host.server.on(f"PUT {DENYLIST}", answer)
    done = back(host, folder)
    assert done.restored == []
    assert word in done.kept[0]


def test_the_record_holds_no_credential(host: SettingsHost) -> None:
    folder = Path(harden(host))
    assert TOKEN not in (folder / "manifest.jsonl").read_text()
