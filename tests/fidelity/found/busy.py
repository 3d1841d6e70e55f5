# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""200,000 files, and a service account that keeps creating, renaming and deleting them and swapping them for links."""

import ctypes
import os
import random
import subprocess
import sys
import time

ROOT = "/var/atlassian/application-data/jira/data/attachments/BULK"
FOLDERS, FILES = 400, 500
JIRA = 1000
# What somebody would like the walk, which is root, to hand over.
OUTSIDE = ["/etc", "/root", "/etc/ssh", "/usr/local/sbin"]
OUTSIDE_FILES = ["/etc/shadow", "/etc/ssh/sshd_config", "/root/.bashrc"]
RENAME_EXCHANGE = 2


def fill() -> None:
    # Its work is done by the writers; without it the machine has time for them.
    subprocess.run(["systemctl", "stop", "jira.service"], check=True)
    os.setresgid(JIRA, JIRA, JIRA)
    os.setresuid(JIRA, JIRA, JIRA)
    os.umask(0)
    for number in range(FOLDERS):
        path = f"{ROOT}/{number // 20}/{number}"
        os.makedirs(path)
        folder = os.open(path, os.O_RDONLY)
        for file in range(FILES):
            os.close(os.open(str(file), os.O_CREAT | os.O_WRONLY, 0o666, dir_fd=folder))
        os.close(folder)


def write() -> None:
    """Create, rename and delete files in random folders."""
    chance = random.Random(os.getpid())  # noqa: S311 - disorder, no secret
    while True:
        folder = f"{ROOT}/{chance.randrange(FOLDERS // 20)}"
        try:
            inner = f"{folder}/{chance.choice(os.listdir(folder))}"
            path = f"{inner}/new{chance.randrange(50)}"
            with open(path, "w"):
                pass
            os.chmod(path, 0o666)  # noqa: S103 - as badly as can be
            os.rename(path, f"{path}-renamed")
            if chance.random() < 0.5:
                os.unlink(f"{path}-renamed")
        except OSError:
            pass
        time.sleep(0.003)


def swap() -> None:
    """Exchange folders and files for links to the outside, and back."""
    chance = random.Random(os.getpid())  # noqa: S311 - disorder, no secret
    exchange = ctypes.CDLL(None, use_errno=True).renameat2
    lures = []
    for number, target in enumerate([*OUTSIDE, *OUTSIDE_FILES]):
        lure = f"{ROOT}/lure{number}"
        os.symlink(target, lure)
        lures.append((lure, os.path.isdir(target)))
    while True:
        lure, is_folder = chance.choice(lures)
        path = f"{ROOT}/{chance.randrange(FOLDERS // 20)}"
        try:
            path = f"{path}/{chance.choice(os.listdir(path))}"
            if not is_folder:
                path = f"{path}/{chance.randrange(FILES)}"
            for _there_and_back in range(2):
                exchange(-100, os.fsencode(path), -100, os.fsencode(lure), RENAME_EXCHANGE)
                time.sleep(0.001)
        except OSError:
            pass


{"fill": fill, "write": write, "swap": swap}[sys.argv[1]]()
