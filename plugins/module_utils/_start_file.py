# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Arguments of the JVM in a start script of a product: a block at its end, which leaves the rest as it is.

Of two arguments that set one property the JVM takes the last one.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping

from ansible_collections.atlassian_dc.hardening.plugins.module_utils._changes import ChangeError, Changes
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._discovery_parse import jvm_properties, split_words
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._files import read_regular
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._systemd import RunCommand

MAX_SIZE = 1024 * 1024
BEGIN = "# BEGIN atlassian_dc.hardening: arguments of the JVM"
END = "# END atlassian_dc.hardening"

_BLOCK = re.compile(rf"^{re.escape(BEGIN)}\n(?P<lines>.*?)^{re.escape(END)}\n", re.DOTALL | re.MULTILINE)
_PLAIN = re.compile(r"[A-Za-z0-9_.-]+")


def with_properties(text: str, variable: str, properties: Mapping[str, str]) -> str:
    """Return a script in which a variable gives the JVM these system properties too.

    Args:
        text: the script.
        variable: of the shell, whose words reach the JVM last.
        properties: what is wanted. What the block has besides stays.

    Raises:
        ValueError: a property or a value is no plain word.

    """
    found = _BLOCK.search(text)
    # Between the words of ours stands nothing but them.
    words = split_words(found["lines"].replace('"', " ")) if found else []
    known = {**jvm_properties(words), **properties}
    if not all(map(_PLAIN.fullmatch, [variable, *known, *known.values()])):
        raise ValueError("no plain words")
    arguments = " ".join(f"-D{name}={value}" for name, value in sorted(known.items()))
    block = f'{BEGIN}\n{variable}="${{{variable}}} {arguments}"\nexport {variable}\n{END}\n'
    rest = _BLOCK.sub("", text)
    return f"{rest}{'' if rest.endswith(chr(10)) or not rest else chr(10)}{block}"


def write_properties(
    changes: Changes, run_command: RunCommand, path: str, variable: str, properties: Mapping[str, str], root: str = "/"
) -> None:
    """Write system properties into a start script; owner and mode stay.

    Args:
        changes: through which to change it.
        run_command: of the module, to have the shell look at the result.
        path: the script.
        variable: as for `with_properties`.
        properties: the same.
        root: folder that stands for ``/``.

    Raises:
        ChangeError: it cannot be read, is no script that a shell understands, or cannot be written.

    """
    real = os.path.join(root, path.lstrip("/"))
    if os.path.realpath(real) != real:
        raise ChangeError(f"{path} is reached through a symbolic link, which is not followed")
    try:
        data, info = read_regular(real, MAX_SIZE)
    except OSError as exc:
        raise ChangeError(f"{path}: {exc.strerror}") from exc
    if not data:
        raise ChangeError(f"{path} is empty")
    try:
        content = with_properties(data.decode("utf-8", "surrogateescape"), variable, properties)
    except ValueError as exc:
        raise ChangeError(f"{path}: its block of atlassian_dc.hardening has been changed by hand; {exc}") from exc

    def wrong(new: str) -> str | None:
        code, _out, err = run_command(["sh", "-n", new])
        return None if code == 0 else f"the shell does not understand it: {err.strip()[:200]}"

    owner = (info.st_uid, info.st_gid)
    wanted = content.encode("utf-8", "surrogateescape")
    changes.write_file(real, wanted, stat.S_IMODE(info.st_mode), owner, validate=wrong, changed_lines=True)
