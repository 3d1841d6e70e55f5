# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the shipper is configured with, and what its own statistics say."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import socket
import subprocess
from pathlib import Path

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._shipping_collector import (
    Receiver,
    canaries_seen,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._shipping_collector import (
    render_files as collector_files,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._shipping_config import (
    CANARY_SCRIPT,
    CONFIG,
    SERVICE,
    STATE,
    SYSTEMD,
    Collector,
    Plan,
    Stats,
    is_growing,
    quoted,
    read_stats,
    render_config,
    render_files,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._shipping_logs import Input
from hypothesis import given
from hypothesis import strategies as st

FIRST, SECOND = Collector("logs1", 2514, "relp"), Collector("192.0.2.9", 6514, "tcp")
CERTIFICATE = {"ca": "/etc/ca.pem", "cert": "/etc/cert.pem", "key": "/etc/key.pem"}
PLAN = Plan(
    node="node 1",
    collectors=(FIRST,),
    inputs=(
        Input("jira", "jira", "security", "/srv/a*", "^x$", (("/srv/ab", "audit"),)),
        Input("jira", "jira", "access", "/srv/b.log"),
    ),
    units=(("jira.service", "jira", "jira"),),
    peers=("logs1",),
    certificate=CERTIFICATE,
    queue_megabytes=77,
)


def test_one_collector_is_tried_for_ever() -> None:
    text = render_config(PLAN)
    assert text.count('action.resumeRetryCount="-1"') == 1
    assert 'queue.maxDiskSpace="77m"' in text
    assert "omfwd" not in text
    assert " node_1 " in text


def test_the_next_collector_is_tried_only_when_the_one_before_does_not_answer() -> None:
    text = render_config(dataclasses.replace(PLAN, collectors=(FIRST, SECOND)))
    actions = re.findall(r'action\(name="(collector\d)".*?\)\n', text, re.DOTALL)
    assert actions == ["collector0", "collector1", "collector2"]
    assert text.count("action.execOnlyWhenPreviousIsSuspended") == 2
    # Only the last try, of the first collector, never gives up.
    assert re.findall(r'resumeRetryCount="(-?\d)"', text) == ["0", "0", "-1"]
    assert 'streamDriverAuthMode="x509/name"' in text


def test_packed_files_are_passed_over_where_a_pattern_may_mean_them() -> None:
    text = render_config(PLAN)
    assert text.count("then stop") == 1
    assert 'startmsg.regex="^x$" readTimeout="3"' in text
    assert text.count('file="/srv/b.log') == 5


def test_a_file_among_others_is_of_its_own_kind() -> None:
    assert 'startswith "/srv/ab"' in render_config(PLAN)
    assert ("jira", "jira", "audit") in PLAN.canaries


def test_another_certificate_starts_the_shipper_anew() -> None:
    one, two = render_files(PLAN, "a"), render_files(PLAN, "b")
    assert {path for path in one if one[path] != two[path]} == {f"{SYSTEMD}/{SERVICE}"}
    assert one[CONFIG] == render_config(PLAN)


@pytest.mark.parametrize("collectors", [(FIRST,), (FIRST, SECOND)])
def test_scripts_are_scripts(collectors: tuple[Collector, ...]) -> None:
    receiver = Receiver({"relp": 1, "tcp": 2}, ("x",), CERTIFICATE, 30)
    files = {**render_files(dataclasses.replace(PLAN, collectors=collectors), ""), **collector_files(receiver, "")}
    scripts = [text for path, text in files.items() if path.endswith(("canary", "keep", "turn"))]
    assert len(scripts) == 3
    for text in scripts:
        assert subprocess.run(["sh", "-n"], input=text, text=True, check=False).returncode == 0


@pytest.mark.parametrize(
    ("sizes", "sent", "stuck"),
    [
        ([5] * 6, [0] * 6, True),
        ([5] * 5, [0] * 5, False),
        ([5] * 5 + [0], [0] * 6, False),
        ([5] * 6, [0] * 5 + [1], False),
        ([5] * 6, [1] + [0] * 6, True),
    ],
)
def test_a_shipper_that_stands_still_is_started_anew(
    tmp_path: Path, sizes: list[int], sent: list[int], stuck: bool
) -> None:
    """Where its collector can be reached."""
    stats, log = tmp_path / "stats.json", tmp_path / "called"
    action = '{"name": "collector0", "origin": "core.action", "processed": %d, "failed": 0}'
    stats.write_text("".join(f"now: {action % count}\n" for count in sent) + "".join(sample(n) + "\n" for n in sizes))
    (tmp_path / "systemctl").write_text(f'#!/bin/sh\necho "$@" >> {log}\n')
    (tmp_path / "systemctl").chmod(0o755)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        collector = Collector("127.0.0.1", listener.getsockname()[1], "relp")
        plan = dataclasses.replace(PLAN, collectors=(collector,), inputs=())
        script = render_files(plan, "")[CANARY_SCRIPT].replace(STATE, str(tmp_path))
        path = f"{tmp_path}:{os.environ['PATH']}"
        subprocess.run(["sh", "-c", script], check=False, env={**os.environ, "PATH": path})
    assert log.exists() == stuck


@given(st.text(st.characters(codec="ascii", exclude_categories=["Cc"])))
def test_strings_end_where_they_should(text: str) -> None:
    assert re.fullmatch(r'"(?:[^"\\]|\\.)*"', quoted(text))


def sample(size: int, dropped: int = 0, **more: int) -> str:
    entry = {"name": "ship", "origin": "core.queue", "size": size, "discarded.full": dropped, "discarded.nf": 0, **more}
    return f"Sun Nov 29 04:02:15 2026: {json.dumps(entry)}"


def test_what_statistics_tell() -> None:
    gone = '{"name": "collector0", "origin": "core.action", "suspended": 2, "resumed": 1}'
    stats = read_stats([sample(5, 3), "nonsense", "{", "x {[]", gone, sample(7, 4)])
    assert stats == Stats(dropped=7, waiting=(5, 7), suspended=("collector0",))


@given(st.lists(st.text()))
def test_statistics_may_hold_anything(lines: list[str]) -> None:
    assert read_stats(lines).dropped == 0


@pytest.mark.parametrize(
    ("waiting", "growing"),
    [
        ((), False),
        (tuple(range(0, 9000, 300)), True),
        (tuple(range(0, 900, 30)), False),
        (tuple(range(9000, 0, -300)), False),
        ((5000,) * 30, False),
        ((0, 9000), False),
        ((0, 0, 3000, 3000, 6000, 0), False),
    ],
)
def test_whether_a_queue_grows(waiting: tuple[int, ...], growing: bool) -> None:
    assert is_growing(Stats(waiting=waiting)) == growing


def test_signs_of_life_at_the_collector(tmp_path: Path) -> None:
    folder = tmp_path / "node1"
    for day, sent in (("2026-11-27", 1), ("2026-11-28", 9), ("2026-11-29", 5)):
        (folder / day).mkdir(parents=True)
        (folder / day / "canary.jira.audit.log").write_text(f"x [a] canary {sent}\n")
        (folder / day / "jira.audit.log").write_text(f"x [a] canary {sent + 100}\n")
    (folder / "2026-11-29" / "canary.jira.access.log").write_text("x [a] canary torn")
    assert canaries_seen(str(tmp_path)) == {"node1": {"jira.audit": 9}}
    assert canaries_seen(str(tmp_path / "absent")) == {}
