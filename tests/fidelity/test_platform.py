# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host whose operating system is not supported: told once, judged, left as it is until somebody says otherwise."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from .lab import Lab, differing

Row = Callable[[str, str, str, bool], None]

HOST = "old1"
OS_RELEASE = 'PRETTY_NAME="Debian GNU/Linux 11 (bullseye)"\\nVERSION_ID="11"\\nID=debian\\n'


class Story:
    """From an audit over a real run that is refused to one that is not."""

    def __init__(self, lab: Lab) -> None:
        lab.sh(HOST, f"printf '{OS_RELEASE}' > /etc/os-release; systemctl kill --signal=STOP crowd.service")
        self.before: dict[str, list[Any]] = lab.snapshot(HOST)
        self.audit = lab.play("audit")
        self.refused = lab.play("harden", atlassian_dc_allow_restart=True)
        self.after = lab.snapshot(HOST)
        lab.sh(HOST, "systemctl kill --signal=CONT crowd.service")
        self.allowed = lab.play("harden", atlassian_dc_allow_unsupported_platform=True)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    lab = Lab("fidelity-platform", tmp_path_factory.mktemp("platform"))
    try:
        lab.up([f"{HOST}=crowd"])
        yield Story(lab)
    finally:
        lab.down()


def test_it_is_told_once(story: Story) -> None:
    for run in (story.audit, story.refused, story.allowed):
        assert run.code == 0, run.output
        (message,) = run.report["messages"]
        assert message.startswith(f"{HOST}: /etc/os-release: Debian GNU/Linux 11 (bullseye) is not supported: ")
        assert "Debian 12 and 13" in message
        assert "bullseye" in run.output


def test_it_is_judged_all_the_same(story: Story) -> None:
    assert story.audit.report["complete"]
    assert len(story.audit.with_status(HOST, "fail")) > 8
    assert story.audit.changes(HOST) == {}
    assert not story.audit.with_status(HOST, "error")


def test_a_real_run_changes_nothing(story: Story, row: Row) -> None:
    changed = differing(story.before, story.after)
    row(f"{HOST}: harden where it is not supported", "nothing changed", f"{len(changed)} differ", not changed)
    assert changed == {}
    assert story.refused.statuses(HOST) == story.audit.statuses(HOST)
    assert story.refused.changed_tasks(HOST) == []


def test_it_is_changed_when_somebody_says_so(story: Story) -> None:
    assert story.allowed.with_status(HOST, "fixed") >= {"DC-DIR-01", "DC-DIR-03", "DC-USR-03"}
