# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes modules that another run has packed, leaves those that this one has packed, and collects no garbage."""

from __future__ import annotations

import base64
import dataclasses
import gc
import importlib.util
import io
import marshal
import os
import shutil
import zipfile
from pathlib import Path
from typing import Any

from ansible import constants
from ansible.executor import module_common
from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: packed
type: aggregate
short_description: Shares packed modules between runs, which collect no garbage
description: Used by the tests only.
"""


# The head of bytecode that is not compared with its source: the two lie in one archive.
HEAD = importlib.util.MAGIC_NUMBER + (1).to_bytes(4, "little") + bytes(8)


def compiled(archive: bytes) -> bytes:
    """Return an archive of Python modules with their bytecode, which every run on a host would make anew.

    A host with another Python than this one takes the source that is there as well.
    """
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for info in old.infolist():
            source = old.read(info)
            new.writestr(info, source)
            if info.filename.endswith(".py"):
                code = compile(source, info.filename, "exec", dont_inherit=True)
                new.writestr(f"{info.filename}c", HEAD + marshal.dumps(code))
    return target.getvalue()


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "packed"

    def __init__(self) -> None:
        super().__init__()
        # A run ends before there is much of it, and to look for it takes a tenth of the time.
        gc.disable()
        # Where Ansible keeps them for the length of a run; nothing is saved should it once keep them elsewhere.
        self._own = Path(constants.DEFAULT_LOCAL_TMP) / "ansiballz_cache"
        self._packed = Path(os.environ["PACKED_MODULES"])
        self._own.mkdir(exist_ok=True)
        for path in self._packed.glob("*.*"):
            shutil.copyfile(path, self._own / path.name)

    def v2_playbook_on_stats(self, stats: Any) -> None:
        for path in self._own.glob("*.*"):
            if path.suffix != ".lock" and not (self._packed / path.name).exists():
                # Others may be about to do the same.
                part = self._packed / f"part-{os.getpid()}"
                self._keep(path, part)
                part.rename(self._packed / path.name)

    @staticmethod
    def _keep(path: Path, part: Path) -> None:
        # From ansible-core 2.19 on; before, and should it be called otherwise one day, they are kept as they are.
        kind = getattr(module_common, "_CachedModule", None)
        if kind is None:
            shutil.copyfile(path, part)
            return
        module = kind.load(str(path))
        archive = compiled(base64.b64decode(module.zip_data))
        dataclasses.replace(module, zip_data=base64.b64encode(archive)).dump(str(part))
