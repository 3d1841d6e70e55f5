# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines of logs with who failed to log in by them, and all filters run over all of them by fail2ban itself.

The lines lie in ``failed_logins``, where each file explains its form.
"""

from __future__ import annotations

import base64
import io
import tarfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._fail2ban_filters import (
    Source,
    access_log_source,
    filter_name,
    render_filter,
)
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._products import load_products, plain, product_data
from sixth import product_file

FOLDER = Path(__file__).resolve().parent / "failed_logins"
PROXIES = ("10.0.9.6", "100.100.0.6", "10.0.0.2", "10.20.0.0/20", "2001:db8:0:80::/57")
KINDS = ("genuine", "completed", "constructed", "adversarial")

LENGTH = 100_000
"""Letters of a hostile line."""
PIECES = (
    ",", ", ", " ", "x", "1", " 1", "1x", " 1x1x1 ", " 1x1x1 - 198.51.100.66 ", "198.51.100.66,", "10.0.9.6,",
    "10.0.9.6, ", "198.51.100.66,10.0.9.6,", "0:", ":", "::", "%", "'", "' ", '"', "\\", '\\"', "[", "]",
    "] [BambooAuthenticator] User '", "' with IP address: ", " failed to log in.", " from ", " url: x", " user: x",
    " anonymous", " The user 'x' has FAILED authentication.", " login : 'x", '"actionI18nKey":"', '"source":"',
    '"source":"198.51.100.66,', '{,"nano":1}', "[01/Jan/2026:00:00:00 +0000] ", '] "',
    " Client with address '198.51.100.66' is forbidden", "/login.jsp", ";x/", "//", "%6c", " DEBUG [x] ",
)  # fmt: skip
"""What a hostile line is made of: whatever means something to one of the expressions, again and again."""

Found = Counter[tuple[str, str, str]]
"""Who failed to log in: source, address, and the line, or the first of the lines, that tells."""


@dataclass(frozen=True)
class Sample:
    """Some lines of a log that belong together.

    Attributes:
        place: file and line where the sample stands.
        kind: one of :data:`KINDS`.
        origin: where it comes from.
        lines: the lines.
        found: address by source, of those that have to find somebody.

    """

    place: str
    kind: str
    origin: str
    lines: tuple[str, ...]
    found: tuple[tuple[str, str], ...]


def samples() -> list[Sample]:
    """Return all samples of all files."""
    return [sample for path in sorted(FOLDER.glob("*.txt")) for sample in _read(path)]


def _read(path: Path) -> Iterator[Sample]:
    blocks = path.read_text(encoding="utf-8").split("\n\n=== ")
    number = blocks[0].count("\n") + 3
    for block in blocks[1:]:
        head, *rest = block.rstrip("\n").split("\n")
        kind, origin = head.split(" | ", 1)
        lines = [line for line in rest if not line.startswith("--> ")]
        found = [line.split(" ")[1:] for line in rest if line.startswith("--> ")]
        yield Sample(
            f"{path.name}:{number}", kind, origin, tuple(lines), tuple((source, address) for source, address in found)
        )
        number += block.count("\n") + 2


def products() -> dict[str, dict[str, Any]]:
    """Return what is known of all products, the made-up one of docs/adding-a-product.md among them."""
    known = {name: product_data(name) for name in load_products()}
    made_up = {key: plain(value) for key, value in yaml.safe_load(product_file()).items() if key != "sources"}
    return {**known, made_up["product"]: made_up}


def sources() -> dict[str, Source]:
    """Return every source of failed logins by "product/name", the access log of a reverse proxy among them."""
    known = products()
    found = [Source.from_data(name, entry) for name, data in known.items() for entry in data.get("failed_logins") or ()]
    paths = {
        name: [entry["path"] for entry in data["web"]["login_paths"]] for name, data in known.items() if "web" in data
    }
    return {f"{source.product}/{source.name}": source for source in [*found, access_log_source(paths)]}


def expected() -> Found:
    """Return who has to be found."""
    return Counter((source, address, sample.lines[0]) for sample in samples() for source, address in sample.found)


def again(piece: str) -> str:
    """Return a long text of the same again and again."""
    return piece * (LENGTH // len(piece))


def hostile_lines(source: str) -> Iterator[str]:
    """Yield long lines that begin like those in which a source finds somebody."""
    heads = [sample.lines[0] for sample in samples() if source in dict(sample.found)][:2]
    for head in heads:
        cut = max(head.rfind(word) for word in ("192.0.2", "10.100.", "172.17", "'", '"source'))
        for piece in PIECES:
            yield head[:30] + again(piece)
            yield head[:cut] + again(piece) + head[cut:]
            yield head + again(piece)


def unpacking(files: Mapping[str, str], folder: str) -> str:
    """Return a shell command that writes files into a folder."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:xz") as archive:
        for name, text in files.items():
            data = text.encode()
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    # Hosts have no xz.
    unpack = "tarfile.open(fileobj=io.BytesIO(base64.b64decode(sys.argv[1])), mode='r:xz').extractall(sys.argv[2])"
    text = base64.b64encode(packed.getvalue()).decode()
    return f'mkdir -p {folder}; python3 -c "import base64, io, sys, tarfile; {unpack}" {text} {folder}'


def filter_files(proxies: Sequence[str] = PROXIES) -> dict[str, str]:
    """Return all filters, by the path below the folder of fail2ban."""
    return {
        f"filter.d/{filter_name(source.product, source.name)}.conf": render_filter(source, proxies)
        for source in sources().values()
    }


def log() -> str:
    """Return the lines of all samples as one log."""
    return "".join(f"{line}\n" for sample in samples() for line in sample.lines)


RUN_FILTERS = r"""
# Prints the name of each filter, then by line: an address, a tab, the line of the log that told it.
for filter in filter.d/*.conf; do
  echo "=== $(basename "$filter" .conf)"
  ${REGEX:-fail2ban-regex} --encoding UTF-8 --usedns no -o '<ip>	<msg>' log "$PWD/$filter"
done
"""


def read_found(output: str) -> Found:
    """Return whom they have found."""
    by_filter = {filter_name(source.product, source.name): (key, source) for key, source in sources().items()}
    first_lines = {sample.lines[0] for sample in samples()}
    found: Found = Counter()
    for block in ("\n" + output).split("\n=== ")[1:]:
        name, _end, rest = block.partition("\n")
        key, source = by_filter[name]
        for row in rest.split("\n"):
            address, _tab, line = row.partition("\t")
            # Of an entry of several lines each is printed.
            if address and (source.multiline == 1 or line in first_lines):
                found[(key, address, line)] += 1
    return found
