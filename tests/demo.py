# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo: audit a host with an unhardened Jira, harden it, audit it again, show the difference."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hosts.groups import Group, Host
from hosts.progress import HostsError, fail, say, step

CHECKOUT = Path(__file__).resolve().parent.parent
REPORTS = CHECKOUT / ".demo"
GROUP = "demo"
HOST = "jira1"
JUDGED = ("pass", "fixed", "fail", "waived", "error")
STATUSES = ("pass", "fixed", "fail", "waived", "manual", "not_applicable", "not_checked", "error")


def play(group: Group, playbook: str, report: str, *arguments: str) -> bool:
    """Run a playbook of the collection, its output as a user would see it."""
    command = [
        str(CHECKOUT / ".venv" / "bin" / "ansible-playbook"),
        f"--inventory={group.inventory}",
        f"atlassian_dc.hardening.{playbook}",
        f"--extra-vars=atlassian_dc_report_dir={REPORTS / report}",
        *arguments,
    ]
    say("    $ " + " ".join(command).replace(f"{CHECKOUT}/", ""))
    env = {**os.environ, "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg")}
    return subprocess.run(command, cwd=CHECKOUT, env=env, check=False).returncode == 0


def read(report: str) -> dict[str, Any]:
    """Read report.json of a run."""
    path = REPORTS / report / "report.json"
    try:
        content: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        raise HostsError(
            f"There is no {path.relative_to(CHECKOUT)}: the run above ended before it was written."
        ) from None
    return content


def controls(report: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    """Sort controls of the demo's host by id and instance."""
    return {(control["id"], control["instance"] or "host"): control for control in report["hosts"][HOST]["controls"]}


def show(before: dict[str, Any], after: dict[str, Any]) -> None:
    """Print what changed, control by control, and both results."""
    first, second = controls(before), controls(after)
    looked_at = [key for key in first if first[key]["status"] in JUDGED or second[key]["status"] in JUDGED]
    say(f"\n{'control':<12} {'on':<8} {'before':<8} {'after':<8} title")
    for key in sorted(looked_at):
        told = (first[key]["status"], second[key]["status"])
        say(f"{key[0]:<12} {key[1]:<8} {told[0]:<8} {told[1]:<8} {first[key]['title']}")
    say(f"\n{'':<16}{'before':>8}{'after':>8}")
    counts = [Counter(control["status"] for control in found.values()) for found in (first, second)]
    for status in STATUSES:
        if any(count[status] for count in counts):
            say(f"{status:<16}{counts[0][status]:>8}{counts[1][status]:>8}")
    say(f"{'score':<16}{before['summary']['score']:>8}{after['summary']['score']:>8}")


def run() -> bool:
    """Run the whole demo; true when each step ended well."""
    started = time.monotonic()
    group = Group(GROUP)
    with step("starting a test host with an unhardened Jira"):
        group.up([Host(HOST)], fresh=True)
    well = True
    for title, playbook, report, arguments in (
        ("auditing the host (nothing is changed)", "audit", "before", ()),
        ("hardening it", "harden", "harden", ("--extra-vars=atlassian_dc_allow_restart=true",)),
        ("auditing it again", "audit", "after", ()),
    ):
        with step(title):
            well = play(group, playbook, report, *arguments) and well
    show(read("before"), read("after"))
    hosts = f".venv/bin/python tests/hosts/hosts.py -g {GROUP}"
    say(
        f"\nReport:      {REPORTS.name}/after/report.html (and before it: {REPORTS.name}/before/report.html)"
        f"\nLook inside: {hosts} ssh {HOST}"
        "\nRemove it:   make clean"
        f"\nAll this took {time.monotonic() - started:.0f} s."
    )
    return well


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demo; errors that a person can act on come without a traceback."""
    try:
        return 0 if run() else fail("A step of the demo did not end well: see above.")
    except HostsError as error:
        return fail(str(error))
    except KeyboardInterrupt:
        return fail("interrupted")


if __name__ == "__main__":
    sys.exit(main())
