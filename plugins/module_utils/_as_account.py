# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Does something as another account, where root may not: mounts that squash root, FUSE mounts of that account."""

from __future__ import annotations

import errno
import json
import os
import pwd
from typing import Any, Callable

DENIED = (errno.EACCES, errno.EPERM)
"""What the system says where even root may not look or change something."""


def as_account(uid: int, work: Callable[[str], Any]) -> Any:
    """Return what a function returns in a process that is this account and nothing else.

    All ids of the process have to be the account's, so this one cannot do it and come back. The function gets the name
    of the account; what it changes in memory is lost, what it returns has to fit into JSON.

    Returns:
        None when there is no such account, this process may not become it, or the function failed.

    """
    if uid <= 0 or os.geteuid() != 0:
        return None
    try:
        account = pwd.getpwuid(uid)
    except KeyError:
        return None
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.close(reading)
            os.setgroups(os.getgrouplist(account.pw_name, account.pw_gid))
            os.setresgid(account.pw_gid, account.pw_gid, account.pw_gid)
            os.setresuid(uid, uid, uid)
            # As bytes: the account may not be able to load the modules of another encoding.
            data = json.dumps(work(account.pw_name)).encode()
            while data:
                data = data[os.write(writing, data) :]
            code = 0
        finally:
            # Nothing of the module may run twice.
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        answer = pipe.read()
    _pid, status = os.waitpid(child, 0)
    return json.loads(answer) if status == 0 else None
