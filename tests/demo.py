# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo: audit a host with an unhardened product, harden it, audit it again, show the difference."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tomllib
from hosts.groups import Group, Host
from hosts.images import RECIPES
from hosts.progress import HostsError, fail, say, step

CHECKOUT = Path(__file__).resolve().parent.parent
REPORTS = CHECKOUT / ".demo"
GROUP = "demo"
DEFAULT_PRODUCT = "jira"
JUDGED = ("pass", "fixed", "fail", "waived", "error")
STATUSES = ("pass", "fixed", "fail", "waived", "manual", "not_applicable", "not_checked", "error")


def products() -> list[str]:
    """Return the products that there is a demo of: those the collection knows and an image is made for."""
    known = {path.stem for path in (CHECKOUT / "meta" / "products").glob("*.yml")}
    return sorted(known & tomllib.loads(RECIPES.read_text(encoding="utf-8"))["images"].keys())


def check_product(product: str) -> None:
    """Refuse a product that there is no demo of.

    Raises:
        HostsError: with the names of those there are.

    """
    if product not in products():
        raise HostsError(f"There is no demo of '{product}'. There are demos of {', '.join(products())}.")


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


def controls(report: dict[str, Any], host: str) -> dict[tuple[str, str], dict[str, Any]]:
    """Sort controls of the demo's host by id and instance."""
    return {(control["id"], control["instance"] or "host"): control for control in report["hosts"][host]["controls"]}


def show(before: dict[str, Any], after: dict[str, Any], host: str) -> None:
    """Print what changed, control by control, and both results."""
    first, second = controls(before, host), controls(after, host)
    looked_at = [key for key in first if first[key]["status"] in JUDGED or second[key]["status"] in JUDGED]
    width = max(len(instance) for _id, instance in first)
    say(f"\n{'control':<12} {'on':<{width}} {'before':<8} {'after':<8} title")
    for key in sorted(looked_at):
        told = (first[key]["status"], second[key]["status"])
        say(f"{key[0]:<12} {key[1]:<{width}} {told[0]:<8} {told[1]:<8} {first[key]['title']}")
    say(f"\n{'':<16}{'before':>8}{'after':>8}")
    counts = [Counter(control["status"] for control in found.values()) for found in (first, second)]
    for status in STATUSES:
        if any(count[status] for count in counts):
            say(f"{status:<16}{counts[0][status]:>8}{counts[1][status]:>8}")
    say(f"{'score':<16}{before['summary']['score']:>8}{after['summary']['score']:>8}")


def run(product: str) -> bool:
    """Run the whole demo; true when each step ended well."""
    check_product(product)
    started = time.monotonic()
    group, host = Group(GROUP), f"{product}1"
    with step(f"starting a test host with an unhardened {product.capitalize()}"):
        others = [name for name in group.hosts() if name != host]
        if others:
            group.down(others)  # of the demo before, with another product
        group.up([Host(host, product)], fresh=True)
    well = True
    for title, playbook, report, arguments in (
        ("auditing the host (nothing is changed)", "audit", "before", ()),
        ("hardening it", "harden", "harden", ("--extra-vars=atlassian_dc_allow_restart=true",)),
        ("auditing it again", "audit", "after", ()),
    ):
        with step(title):
            well = play(group, playbook, report, *arguments) and well
    show(read("before"), read("after"), host)
    hosts = f".venv/bin/python tests/hosts/hosts.py -g {GROUP}"
    say(
        f"\nReport:      {REPORTS.name}/after/report.html (and before it: {REPORTS.name}/before/report.html)"
        f"\nLook inside: {hosts} ssh {host}"
        "\nRemove it:   make clean"
        f"\nAll this took {time.monotonic() - started:.0f} s."
    )
    return well


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demo; errors that a person can act on come without a traceback."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("product", nargs="?", default=DEFAULT_PRODUCT)
    product = parser.parse_args(argv).product
    try:
        return 0 if run(product) else fail("A step of the demo did not end well: see above.")
    except HostsError as error:
        return fail(str(error))
    except KeyboardInterrupt:
        return fail("interrupted")


if __name__ == "__main__":
    sys.exit(main())
