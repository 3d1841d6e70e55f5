# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Set up the checkout and run its tests; what the Makefile calls. Needs nothing but Python itself."""

from __future__ import annotations

import argparse
import itertools
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

from demo import DEFAULT_PRODUCT, check_product
from environments import CHECKOUT, RESULTS, Environment, ensure_venv_module
from hosts.podman import SYSTEM_PATH
from hosts.progress import HostsError, fail, run_logged, say
from versions import VERSIONS, junit_of

ENVIRONMENT = Environment(CHECKOUT / ".venv", sys.executable, ("-r", str(CHECKOUT / "requirements-dev.txt")))
COLLECTION = CHECKOUT / ".collections" / "ansible_collections" / "atlassian_dc" / "hardening"
HOSTS = [sys.executable, str(CHECKOUT / "tests" / "hosts" / "hosts.py")]
IMAGES = "images of the test hosts"
# Of each failed check, at the very end: many see no more of a long output than that.
LAST_LINES = 10
# The longest check has test hosts and often waits for them; two others compute meanwhile.
WORKERS = 3
# Tests with hosts expect things to happen in time: whatever has none gives way to them.
GIVE_WAY = ("nice", "-n", "10")
# Targets that are a script of their own, with hosts of one image.
SCRIPTS = {"demo": "tests/demo.py", "bench": "tests/bench/bench.py"}


# Setting up


def link_collection() -> None:
    """Let Ansible find the checkout under the collection's name, before any installed copy."""
    if COLLECTION.is_symlink() and COLLECTION.resolve() == CHECKOUT:
        return
    COLLECTION.parent.mkdir(parents=True, exist_ok=True)
    COLLECTION.unlink(missing_ok=True)
    COLLECTION.symlink_to(os.path.relpath(CHECKOUT, COLLECTION.parent), target_is_directory=True)


def setup(images: Sequence[str] | None = ()) -> None:
    """Install what is missing; quick when all is there.

    Args:
        images: images of test hosts to build beforehand; None for all of them, empty for none.

    """
    started = time.monotonic()
    ENVIRONMENT.make()
    link_collection()
    if images is None or images:
        done = subprocess.run([*HOSTS, "setup", *(images or ())], check=False)
        if done.returncode != 0:
            raise HostsError("The test hosts could not be set up: see above.")
    say(f"==> set-up complete after {time.monotonic() - started:.1f} s")


# Running


@dataclass
class Check:
    """One command, and where its results are told test by test, if they are."""

    name: str
    argv: list[str]
    junit: Path | None = None
    env: dict[str, str] = field(default_factory=dict)
    needs_hosts: bool = False
    itself: bool = False
    """Whether its good end is one more test."""
    table: str = ""
    """Heading of the part of its output that is shown although it passed."""


@dataclass
class Outcome:
    """How one check went."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    reasons: list[str] = field(default_factory=list)
    """Why tests were skipped, each reason once."""
    trouble: str = ""
    """What there is to say of its failure."""


def pytest_check(name: str, *arguments: str, needs_hosts: bool = False, table: str = "") -> Check:
    """Check that runs pytest."""
    junit = RESULTS / f"{name}.xml"
    argv = [ENVIRONMENT.tool("pytest"), "-q", f"--junitxml={junit}", *arguments]
    return Check(name, argv, junit, needs_hosts=needs_hosts, table=table)


def molecule_check(scenario: str) -> Check:
    """Check that runs a scenario of Molecule."""
    argv = [ENVIRONMENT.tool("molecule"), "test", f"--scenario-name={scenario}"]
    # The scenario itself is a test too, besides those of its verifier: converge, idempotence and all.
    return Check(f"molecule {scenario}", argv, RESULTS / f"molecule-{scenario}.xml", needs_hosts=True, itself=True)


def versions_check(version: str) -> Check:
    """Check that holds the collection to a version of ansible-core."""
    argv = [sys.executable, str(CHECKOUT / "tests" / "versions.py"), version]
    return Check(f"ansible-core {version}", argv, junit_of(version))


def all_checks() -> dict[str, list[Check]]:
    """Every check by target, in the order they are begun: the longest first."""
    scenarios = sorted(path.parent.name for path in CHECKOUT.glob("molecule/*/molecule.yml"))
    return {
        "fidelity": [
            # Its files are in the order in which they are to be begun.
            pytest_check(
                "fidelity",
                *("-n", "3", "--dist", "loadfile", "--no-loadscope-reorder", "tests/fidelity"),
                needs_hosts=True,
                table="= fidelity =",
            )
        ],
        "unit": [pytest_check("unit", "-n", "2", "tests/unit")],
        "versions": [versions_check(version) for version in reversed(VERSIONS)],
        "molecule": [molecule_check(scenario) for scenario in scenarios],
        "lint": [
            Check("ansible-lint", [ENVIRONMENT.tool("ansible-lint"), "--offline"]),
            Check("mypy", [ENVIRONMENT.tool("mypy"), "plugins", "tests"], env={"MYPYPATH": "tests"}),
            Check("antsibull-docs", [ENVIRONMENT.tool("antsibull-docs"), "lint-collection-docs", "--plugin-docs", "."]),
            Check("antsibull-changelog", [ENVIRONMENT.tool("antsibull-changelog"), "lint"]),
            Check("ruff check", [ENVIRONMENT.tool("ruff"), "check", "."]),
            Check("ruff format", [ENVIRONMENT.tool("ruff"), "format", "--check", "."]),
            Check("yamllint", [ENVIRONMENT.tool("yamllint"), "."]),
        ],
    }


def environment(check: Check) -> dict[str, str]:
    """Environment of a check: programs of .venv first, the checkout's collection only."""
    return {
        **os.environ,
        "PATH": f"{ENVIRONMENT.folder / 'bin'}:{os.environ.get('PATH', SYSTEM_PATH)}",
        "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": str(CHECKOUT / ".collections"),
        "NO_COLOR": "1",
        **check.env,
    }


def count(junit: Path | None, succeeded: bool) -> Outcome:
    """Read results from a JUnit file; a command without one counts as a single test."""
    if junit is None or not junit.is_file():
        return Outcome(int(succeeded), int(not succeeded))
    outcome = Outcome()
    for case in ElementTree.parse(junit).getroot().iter("testcase"):  # noqa: S314 - written by our own tests
        kinds = {child.tag for child in case}
        if kinds & {"failure", "error"}:
            outcome.failed += 1
        elif "skipped" in kinds:
            outcome.skipped += 1
            reasons = [child.get("message", "") for child in case if child.tag == "skipped"]
            outcome.reasons += [reason for reason in reasons if reason not in outcome.reasons]
        else:
            outcome.passed += 1
    if not succeeded and outcome.failed == 0:
        # It failed outside of its tests, or had none.
        outcome.failed = 1
    return outcome


def run_check(check: Check, images: Future[Outcome] | None = None) -> Outcome:
    """Run one check and say how it went.

    Args:
        check: the check.
        images: the outcome of building the images, for which a check with test hosts waits.

    """
    if check.junit:
        check.junit.unlink(missing_ok=True)
    log = RESULTS / f"{check.name.replace(' ', '-')}.log"
    if check.needs_hosts and images is not None and images.result().failed:
        trouble = f"    {check.name}: FAILED, because the {IMAGES} could not be built"
        say(trouble)
        return Outcome(failed=1, trouble=trouble)
    say(f"==> {check.name}")
    started = time.monotonic()
    trouble = ""
    try:
        argv = check.argv if check.needs_hosts else [*GIVE_WAY, *check.argv]
        run_logged(argv, log, check.name, environment(check))
    except HostsError as error:
        trouble = str(error)
    outcome = count(check.junit, succeeded=not trouble)
    outcome.trouble = trouble
    if check.itself and outcome.passed and not trouble:
        outcome.passed += 1
    skipped = f", {outcome.skipped} skipped" if outcome.skipped else ""
    verdict = "FAILED" if outcome.failed else "ok"
    counts = f"{outcome.passed} passed, {outcome.failed} failed{skipped}"
    say(f"    {check.name}: {verdict} after {time.monotonic() - started:.1f} s ({counts}; {log.relative_to(CHECKOUT)})")
    for reason in outcome.reasons:
        say(f"    skipped: {reason}")
    if check.table and log.is_file():
        lines = log.read_text(errors="replace").splitlines()
        start = next((number for number, line in enumerate(lines) if check.table in line), len(lines))
        for line in itertools.takewhile(lambda line: not line.startswith("==="), lines[start + 1 :]):
            say(f"    {line}")
    if trouble:
        say(trouble)
    return outcome


def run_checks(checks: Sequence[Check]) -> int:
    """Set up, then run checks side by side, all of them; the last line is the sum."""
    RESULTS.mkdir(exist_ok=True)
    started = time.monotonic()
    ensure_venv_module(ENVIRONMENT.python)
    with ThreadPoolExecutor(max_workers=1) as builder, ThreadPoolExecutor(max_workers=WORKERS) as pool:
        images = None
        if any(check.needs_hosts for check in checks):
            images = builder.submit(run_check, Check(IMAGES, [*HOSTS, "setup"], needs_hosts=True))
        setup()
        begun = [pool.submit(run_check, check, images) for check in checks]
        outcomes = [future.result() for future in ([images] if images else []) + begun]
    skipped = sum(outcome.skipped for outcome in outcomes)
    say(f"==> all done after {time.monotonic() - started:.1f} s" + (f", {skipped} tests skipped" if skipped else ""))
    for outcome in outcomes:
        if outcome.failed:
            lines = outcome.trouble.splitlines()
            say("\n".join(lines[:1] + lines[1:][-LAST_LINES:]))
    failed = sum(outcome.failed for outcome in outcomes)
    say(f"{sum(outcome.passed for outcome in outcomes)} passed, {failed} failed")
    return int(failed > 0)


# Cleaning


def remove(*paths: Path) -> None:
    """Remove files and folders that may not be there."""
    for path in paths:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def clean() -> int:
    """Remove hosts and results; images and the environment stay."""
    done = subprocess.run([*HOSTS, "down", "--all"], check=False)
    remove(RESULTS, CHECKOUT / ".demo")
    return done.returncode


def distclean() -> int:
    """Remove everything that make has made."""
    done = subprocess.run([*HOSTS, "destroy"], check=False)
    caches = [CHECKOUT / name for name in (".ansible", ".hypothesis", ".mypy_cache", ".pytest_cache", ".ruff_cache")]
    remove(RESULTS, CHECKOUT / ".demo", ENVIRONMENT.folder, CHECKOUT / ".venvs", CHECKOUT / ".collections", *caches)
    return done.returncode


def main(argv: Sequence[str] | None = None) -> int:
    """Run one target of the Makefile."""
    checks = all_checks()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", choices=["setup", "test", *checks, *SCRIPTS, "clean", "distclean"])
    parser.add_argument(
        "product", nargs="?", default=DEFAULT_PRODUCT, help="product of the demo (default: %(default)s)"
    )
    arguments = parser.parse_args(argv)
    target, product = arguments.target, arguments.product
    os.chdir(CHECKOUT)
    try:
        check_product(product)
        if target == "clean":
            return clean()
        if target == "distclean":
            return distclean()
        if target == "setup":
            setup(images=None)
            return 0
        if target in SCRIPTS:
            setup(images=[f"{product}:bookworm"])
            argv = [product] if target == "demo" else []
            return subprocess.run([ENVIRONMENT.tool("python"), SCRIPTS[target], *argv], check=False).returncode
        return run_checks(list(itertools.chain.from_iterable(checks.values())) if target == "test" else checks[target])
    except HostsError as error:
        code = fail(str(error))
        if target == "test":
            say("0 passed, 1 failed")
        return code
    except KeyboardInterrupt:
        return fail("interrupted")


if __name__ == "__main__":
    sys.exit(main())
