# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running long commands so that whoever watches sees what happens and how long it takes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

HEARTBEAT_SECONDS = 10
FAILURE_LINES = 30
# Escape sequences of terminals, and the frames Molecule draws.
DECORATION = re.compile(r"\x1b\[[0-9;]*m|\x1b\]8;;[^\x1b]*\x1b\\\\|[│┌└─]")
_print_lock = threading.Lock()


class HostsError(Exception):
    """Something a person has to know or do; the text is complete and needs no traceback."""


def say(message: str) -> None:
    """Print one line at once, also when output is a pipe."""
    with _print_lock:
        print(message, flush=True)


@contextmanager
def step(title: str) -> Iterator[None]:
    """Announce a step and say how long it took."""
    say(f"==> {title}")
    started = time.monotonic()
    yield
    say(f"    {title}: done in {time.monotonic() - started:.1f} s")


def _last_line(path: Path) -> str:
    """Return the last line that says something, without colours and frames."""
    with path.open("rb") as log:
        log.seek(0, os.SEEK_END)
        log.seek(max(0, log.tell() - 4000))
        text = log.read().decode("utf-8", "replace")
    lines = [DECORATION.sub("", line).strip() for line in text.splitlines()]
    telling = [line for line in lines if re.search(r"\w", line)]
    return telling[-1][:100] if telling else ""


def run_logged(argv: Sequence[str], log: Path, what: str, env: Mapping[str, str] | None = None) -> None:
    """Run a long command with its output in a file; every few seconds say that it still runs, and what it does."""
    log.parent.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    with log.open("wb") as out:
        out.write(f"$ {' '.join(argv)}\n".encode())
        out.flush()
        with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, env=env) as process:
            while True:
                try:
                    code = process.wait(timeout=HEARTBEAT_SECONDS)
                    break
                except subprocess.TimeoutExpired:
                    say(f"    {what}: {time.monotonic() - started:.0f} s … {_last_line(log)}")
                except BaseException:
                    process.terminate()
                    raise
    if code != 0:
        tail = "\n".join(f"    | {line}" for line in log.read_text("utf-8", "replace").splitlines()[-FAILURE_LINES:])
        raise HostsError(f"{what} failed (exit code {code}). Last lines of {log}:\n{tail}")


def fail(message: str) -> int:
    """Print an error for people and return the exit code."""
    with _print_lock:
        print(f"\nERROR: {message}", file=sys.stderr, flush=True)
    return 1
