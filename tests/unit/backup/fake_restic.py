# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stands for restic: what it takes, writes and ends with, as seen of 0.14, with a folder of JSON files as repository.

A file ``trouble.json`` in the repository makes it fail: by command, the code and words it ends with; of ``backup`` also
paths that cannot be read, as ``unreadable``. With ``keeps nothing`` it has no cache, with ``forgets`` it lists nothing;
with ``loses`` only its cache has the snapshot of a stream, which 0.18 reads by its whole number all the same.
"""

from __future__ import annotations

import base64
import datetime
import fnmatch
import hashlib
import json
import os
import re
import sys
from pathlib import Path
from typing import Any, NoReturn

REPOSITORY = Path(os.environ["RESTIC_REPOSITORY"])
VALUED = ("--host", "--tag", "--stdin-filename", "--cacert")


def fail(code: int, words: str) -> NoReturn:
    sys.stderr.write(f"Fatal: {words}\n")
    raise SystemExit(code)


def tell(**told: Any) -> None:
    print(json.dumps(told), flush=True)


def snapshots() -> list[Path]:
    return sorted((REPOSITORY / "snapshots").iterdir())


def find(number: str) -> dict[str, Any]:
    for path in snapshots():
        if path.name.startswith(number):
            return dict(json.loads(path.read_text()))
    fail(1, f"no matching ID found for prefix {number!r}")


def lost(number: str) -> Path:
    return Path(os.environ["RESTIC_CACHE_DIR"], f"lost-{number}")


def pattern_of(text: str) -> re.Pattern[str]:
    """Return what a pattern matches in which a backslash takes the meaning from what follows."""
    parts = re.split(r"\\(.)", text)
    return re.compile("".join(re.escape(p) if n % 2 else fnmatch.translate(p)[4:-3] for n, p in enumerate(parts)))


def walk(path: Path, excluded: list[re.Pattern[str]], unreadable: list[str], nodes: list[dict[str, Any]]) -> None:
    if any(pattern.fullmatch(str(path)) for pattern in excluded):
        return
    if str(path) in unreadable:
        told = {"Op": "open", "Path": str(path), "Err": 13}
        sys.stderr.write(
            json.dumps({"message_type": "error", "error": told, "during": "archival", "item": str(path)}) + "\n"
        )
        return
    info = path.lstat()
    kind = "symlink" if path.is_symlink() else "dir" if path.is_dir() else "file"
    seconds, rest = divmod(info.st_mtime_ns, 10**9)
    stamp = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")
    node: dict[str, Any] = {"struct_type": "node", "type": kind, "path": str(path), "mtime": f"{stamp}.{rest:09d}Z"}
    if kind == "file":
        content = path.read_bytes()
        node.update(size=len(content), content=base64.b64encode(content).decode())
    nodes.append(node)
    if kind == "dir":
        for entry in sorted(path.iterdir()):
            walk(entry, excluded, unreadable, nodes)


def parents(paths: list[str]) -> list[dict[str, Any]]:
    found = {str(parent) for path in paths for parent in Path(path).parents} - {"/"}
    return [{"struct_type": "node", "type": "dir", "path": path, "mtime": "2026-11-29T10:00:00Z"} for path in found]


def backup(options: dict[str, list[str]], flags: list[str], paths: list[str], trouble: dict[str, Any]) -> int:
    nodes: list[dict[str, Any]] = []
    unreadable = trouble.get("unreadable", [])
    if "--stdin" in flags:
        content = sys.stdin.buffer.read()
        name = f"/{options['--stdin-filename'][0]}"
        node = {"struct_type": "node", "type": "file", "path": name, "size": len(content)}
        nodes.append({**node, "content": base64.b64encode(content).decode(), "mtime": "2026-11-29T10:00:00Z"})
    else:
        excluded = [pattern_of(flag.partition("=")[2]) for flag in flags if flag.startswith("--exclude=")]
        nodes += parents(paths)
        for path in paths:
            walk(Path(path), excluded, unreadable, nodes)
    tell(message_type="status", percent_done=1)
    body = {"tags": options["--tag"], "hostname": options["--host"][0], "paths": paths, "nodes": nodes}
    body["time"] = datetime.datetime.now(datetime.timezone.utc).isoformat()
    number = hashlib.sha256(json.dumps([body, len(snapshots())]).encode()).hexdigest()
    (REPOSITORY / "snapshots" / number).write_text(json.dumps({"id": number, **body}))
    cache = Path(os.environ["RESTIC_CACHE_DIR"], "0123")
    for folder in () if trouble.get("keeps nothing") else ("index", f"snapshots/{number[:2]}"):
        (cache / folder).mkdir(parents=True, exist_ok=True)
        (cache / folder / number).write_text("as in the repository")
    files = [node for node in nodes if node["type"] == "file"]
    sizes = {"total_files_processed": len(files), "total_bytes_processed": sum(node["size"] for node in files)}
    tell(message_type="summary", snapshot_id=number[:8], **sizes)
    incomplete = any(Path(path).is_relative_to(root) for path in unreadable for root in paths)
    if incomplete:
        sys.stderr.write("Warning: at least one source file could not be read\n")
    if trouble.get("loses") in options.get("--stdin-filename", ()):
        (REPOSITORY / "snapshots" / number).rename(lost(number))
    return 3 if incomplete else 0


def main() -> int:
    options: dict[str, list[str]] = {}
    flags: list[str] = []
    words: list[str] = []
    rest = sys.argv[1:]
    while rest:
        word = rest.pop(0)
        if word in VALUED:
            options.setdefault(word, []).append(rest.pop(0))
        elif word == "--":
            words += rest
            break
        elif word.startswith("--"):
            flags.append(word)
        else:
            words.append(word)
    command, *words = words
    if command == "version":
        print("restic 0.14.0 compiled with go1.19 on linux/amd64")
        return 0
    trouble: dict[str, Any] = {}
    if (REPOSITORY / "trouble.json").exists():
        trouble = json.loads((REPOSITORY / "trouble.json").read_text())
    with open(os.environ["FAKE_LOG"], "a", encoding="utf-8") as log:
        log.write(json.dumps(sys.argv[1:]) + "\n")
    kind = command if "--stdin" not in flags else f"{command} {options['--stdin-filename'][0]}"
    if kind in trouble:
        fail(*trouble[kind])
    if command == "init":
        (REPOSITORY / "snapshots").mkdir(parents=True)
        (REPOSITORY / "password").write_text(os.environ["RESTIC_PASSWORD"])
        return 0
    if not (REPOSITORY / "password").exists():
        fail(1, f"unable to open config file: stat {REPOSITORY}/config: no such file or directory")
    if (REPOSITORY / "password").read_text() != os.environ["RESTIC_PASSWORD"]:
        fail(1, "wrong password or no key found")
    if command == "backup":
        return backup(options, flags, words, trouble)
    if command == "snapshots":
        wanted = set(options["--tag"][0].split(",")) if "--tag" in options else set()
        found = [json.loads(path.read_text()) for path in snapshots()]
        found = [item for item in found if wanted <= set(item["tags"]) and item["id"].startswith("".join(words))]
        found = [] if trouble.get("forgets") else found
        print(json.dumps([{key: value for key, value in item.items() if key != "nodes"} for item in found]))
    elif command == "ls":
        tell(struct_type="snapshot", id=words[0])
        for node in find(words[0])["nodes"]:
            tell(**{key: value for key, value in node.items() if key != "content"})
    elif command == "dump":
        kept = lost(words[0])
        snapshot = json.loads(kept.read_text()) if kept.exists() else find(words[0])
        node = next((node for node in snapshot["nodes"] if node["path"] == words[1]), None)
        if node is None:
            fail(1, f"path {words[1]!r} not found in snapshot")
        sys.stdout.buffer.write(base64.b64decode(node["content"]))
    elif command == "forget":
        for number in words:
            (REPOSITORY / "snapshots" / find(number)["id"]).unlink()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
