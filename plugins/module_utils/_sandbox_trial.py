# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The trial of a sandbox: what the product is going to do is done once by a shell, as its account, inside it."""

from __future__ import annotations

import os
import re
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
mode=write
write() {
  probe="$1/.$label"
  output=$( { set -C; : > "$probe"; } 2>&1 ) || { complain "$1" "${output##*: }"; return; }
  output=$(rm "$probe" 2>&1) || complain "$1" "${output##*: }"
}
for path in "$@"; do
  case $path in
    --read) mode=read; continue ;;
  esac
  if [ "$mode" = read ]; then
    [ -r "$path" ] || complain "$path" "not readable"
    continue
  fi
  write "$path"
  for inner in "$path"/*/; do
    inner=${inner%/}
    if [ -d "$inner" ] && [ ! -L "$inner" ] && [ "${inner##*/}" != lost+found ]; then write "$inner"; fi
  done
done
exit $failed
"""
"""Arguments: Java or nothing, a name for probes, folders to write to, ``--read``, files to read."""

RunCommand = Callable[..., "tuple[int, str, str]"]


def trial_command(
    name: str,
    identity: Mapping[str, str],
    sandbox: Mapping[str, str],
    java: str | None,
    folders: Sequence[str],
    readable: Sequence[str],
) -> list[str]:
    """Return the command that runs the trial under exactly the directives of the drop-in."""
    command = ["/bin/sh", "-c", _SCRIPT, "trial", java or "", name, *folders, "--read", *readable]
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
    readable: Sequence[str] = (),
) -> list[tuple[str, str]]:
    """Return what did not work, as (what, why); nothing when all did."""
    code, out, err = run_command(trial_command(name, identity, sandbox, java, folders, readable))
    complaints = [
        (what, why.strip() or "failed") for what, tab, why in (line.partition("\t") for line in out.splitlines()) if tab
    ]
    if code != 0 and not complaints:
        words = (err or out).strip().splitlines()[-1:] or ["no message"]
        complaints = [("the sandbox itself", f"systemd-run ended with {code}: {words[0]}")]
    return complaints[:MAX_COMPLAINTS]


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
    texts = [environment.replace(" ", "\n"), *_start_files(install)]
    for text in texts:
        for match in re.finditer(r"^\s*(?:export\s+)?(?:JRE_HOME|JAVA_HOME)=[\"']?(/[^\"'\s;]+)", text, re.MULTILINE):
            candidates.append(f"{match[1]}/bin/java")
    candidates += [f"{install}/jre/bin/java", "/usr/bin/java", "/usr/local/bin/java"]
    return next((path for path in candidates if os.access(path, os.X_OK)), None)


def _start_files(install: str) -> Iterable[str]:
    for name in ("setjre.sh", "setenv.sh", "set-jre-home.sh"):
        try:
            with open(os.path.join(install, "bin", name), encoding="utf-8", errors="replace") as handle:
                yield handle.read(1024 * 1024)
        except OSError:
            continue
