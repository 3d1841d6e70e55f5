# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The trial of a sandbox: what the product is going to do is done once by a shell, as its account, inside it."""

from __future__ import annotations

import fcntl
import os
import re
import stat
import struct
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Callable

TRIAL_UNIT = "atlassian-dc-service-user-trial"

MAX_COMPLAINTS = 20

_SCRIPT = r"""
java=$1 label=$2 failed=0
shift 2
complain() { printf '%s\t%s\n' "$1" "$2"; failed=1; }
if [ -n "$java" ]; then
  output=$("$java" -Xshare:auto -version 2>&1) ||
    complain "$java -version" "$(printf %s "$output" | head -n 3 | tr '\n\t' '  ')"
fi
mode=--write closed=
write() {
  case $closed in
    *"|$1|"*) return ;;
  esac
  probe="$1/.$label"
  output=$( { set -C; : > "$probe"; } 2>&1 ) || { complain "$1" "${output##*: }"; return; }
  output=$(rm "$probe" 2>&1) || complain "$1" "${output##*: }"
}
for path in "$@"; do
  case $path in
    --closed | --write | --read) mode=$path; continue ;;
  esac
  case $mode in
    --closed) closed="$closed|$path|"; continue ;;
    --read) [ -r "$path" ] || complain "$path" "not readable"; continue ;;
  esac
  write "$path"
  for inner in "$path"/*/; do
    inner=${inner%/}
    if [ -d "$inner" ] && [ ! -L "$inner" ] && [ "${inner##*/}" != lost+found ]; then write "$inner"; fi
  done
done
exit $failed
"""
"""Arguments: Java or nothing, a name for probes, ``--closed``, folders to pass over, ``--write``, folders to write to,
``--read``, files to read."""

RunCommand = Callable[..., "tuple[int, str, str]"]


def trial_command(
    name: str,
    identity: Mapping[str, str],
    sandbox: Mapping[str, str],
    java: str | None,
    folders: Sequence[str],
    closed: Sequence[str],
    readable: Sequence[str],
) -> list[str]:
    """Return the command that runs the trial under exactly the directives of the drop-in."""
    command = ["/bin/sh", "-c", _SCRIPT, "trial", java or "", name]
    command += ["--closed", *closed, "--write", *folders, "--read", *readable]
    properties = []
    for directive, value in {**identity, **sandbox}.items():
        properties += ["--property", f"{directive}={value}"]
    return [
        *("systemd-run", "--quiet", "--wait", "--collect", "--pipe", f"--unit={name}", "--service-type=exec"),
        *("--property", "WorkingDirectory=/", *properties),
        # systemd replaces what looks like a variable in the arguments, as in ExecStart=.
        *(word.replace("$", "$$") for word in command),
    ]


def run_trial(
    run_command: RunCommand,
    name: str,
    identity: Mapping[str, str],
    sandbox: Mapping[str, str],
    java: str | None,
    folders: Sequence[str] = (),
    closed: Sequence[str] = (),
    readable: Sequence[str] = (),
) -> list[tuple[str, str]]:
    """Return what did not work, as (what, why); nothing when all did."""
    code, out, err = run_command(trial_command(name, identity, sandbox, java, folders, closed, readable))
    complaints = [
        (what, why.strip() or "failed") for what, tab, why in (line.partition("\t") for line in out.splitlines()) if tab
    ]
    if code != 0 and not complaints:
        words = (err or out).strip().splitlines()[-1:] or _journal(run_command, name) or ["no message"]
        complaints = [("the sandbox itself", f"systemd-run ended with {code}: {words[0]}")]
    return complaints[:MAX_COMPLAINTS]


def _journal(run_command: RunCommand, name: str) -> list[str]:
    """Return what systemd has logged about a trial it could not even start, the most telling line first."""
    run_command(["journalctl", "--sync"])
    code, out, _err = run_command(["journalctl", "--no-pager", "--output=cat", "--lines=20", f"--unit={name}.service"])
    lines = [line.split(": ", 1)[-1] for line in out.splitlines() if "Failed" in line] if code == 0 else []
    return sorted(lines, key=lambda line: "namespacing" not in line)


def may_exist(path: str) -> bool:
    """Whether a folder is there, or is hidden from root so that only the account can tell."""
    try:
        return stat.S_ISDIR(os.stat(path).st_mode)
    except PermissionError:
        return True
    except OSError:
        return False


def closed_to_all(folder: str) -> list[str]:
    """Return the folders directly inside another one that nobody can write to, whoever the product runs as.

    They are immutable, or a file system mounted read-only.
    """
    found = []
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return []
    for name in names:
        path = os.path.join(folder, name)
        try:
            handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            if os.fstatvfs(handle).f_flag & os.ST_RDONLY or _immutable(handle):
                found.append(path)
        finally:
            os.close(handle)
    return found


_GET_FLAGS = 0x80086601 if sys.maxsize > 2**32 else 0x80046601
_IMMUTABLE = 0x10


def _immutable(handle: int) -> bool:
    try:
        answer = fcntl.ioctl(handle, _GET_FLAGS, bytes(8))
    except OSError:
        return False  # a file system without such attributes
    return bool(struct.unpack("=i4x", answer)[0] & _IMMUTABLE)


def readable_files(instance: Mapping[str, Any]) -> list[str]:
    """Return existing files that the product has to read to start."""
    listed = [item["path"] for item in instance.get("secret_files") or () if not re.search(r"[*?\[]", item["path"])]
    return [path for path in listed if os.path.isfile(path)]


def find_java(instance: Mapping[str, Any], environment: str, executable: str | None) -> str | None:
    """Return the Java that the product runs on, None when it cannot be told.

    Args:
        instance: the instance, as discovery tells it.
        environment: property Environment of its unit.
        executable: what its running process executes.

    """
    candidates = [executable] if executable and os.path.basename(executable) == "java" else []
    install = instance.get("install_dir") or "/nonexistent"
    texts = [environment.replace(" ", "\n"), *_start_files(instance)]
    for text in texts:
        for match in re.finditer(r"^\s*(?:export\s+)?(?:JRE_HOME|JAVA_HOME)=[\"']?(/[^\"'\s;]+)", text, re.MULTILINE):
            candidates.append(f"{match[1]}/bin/java")
    candidates += [f"{install}/jre/bin/java", "/usr/bin/java", "/usr/local/bin/java"]
    return next((path for path in candidates if os.access(path, os.X_OK)), None)


def _start_files(instance: Mapping[str, Any]) -> Iterable[str]:
    """Yield the scripts that may name the Java to use: some products do that in a script beside their start files."""
    paths = list(instance.get("start_files") or ())
    folders = dict.fromkeys(os.path.dirname(path) for path in paths)
    beside = [os.path.join(folder, name) for folder in folders for name in ("setjre.sh", "set-jre-home.sh")]
    for path in [*beside, *paths]:
        try:
            with open(path, encoding="utf-8", errors="replace") as handle:
                yield handle.read(1024 * 1024)
        except OSError:
            continue
