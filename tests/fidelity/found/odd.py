# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files as they should not be, and names that no report, terminal or shell may stumble over."""

import os
import pwd
import socket
import stat
import subprocess

HOME, INSTALL = b"/var/atlassian/application-data/jira", b"/opt/atlassian/jira"
JIRA = pwd.getpwnam("jira1").pw_uid
NAMES = [
    b"new\nline",
    b"latin-\xe9-\xff",
    b"esc\x1b[31mred\x1b]0;title\x07",
    b"back\r\x08\x08\x08",
    "c1\u009b31m".encode(),
    "bidi\u202egnp.exe".encode(),
    "line\u2028separator".encode(),
    b"-rf",
    b" blanks ",
    b"quotes'\"`$(id)",
    b"<img src=x onerror=alert(1)>&amp;",
    b"]]>",
    b"{{ 1 + 1 }}{% raw %}",
    b"L" * 255,
]


def make(path: bytes, mode: int = 0o666, owner: int = JIRA) -> None:
    with open(path, "wb") as stream:
        stream.write(b"x")
    os.chown(path, owner, owner)
    os.chmod(path, mode)


def names() -> None:
    for folder in (HOME + b"/data/odd", HOME + b"/log/odd", INSTALL + b"/odd"):
        os.mkdir(folder)
        os.chown(folder, JIRA, JIRA)
        for name in NAMES:
            make(folder + b"/" + name)


def deep() -> None:
    """Deeper than a path can name."""
    above = os.open(HOME + b"/data/odd", os.O_RDONLY)
    for _level in range(40):
        name = b"deep\n\xff" + b"d" * 200
        os.mkdir(name, dir_fd=above)
        os.chown(name, JIRA, JIRA, dir_fd=above)
        above = os.open(name, os.O_RDONLY, dir_fd=above)
    bottom = os.open("bottom", os.O_CREAT | os.O_WRONLY, dir_fd=above)
    os.fchmod(bottom, 0o666)


def kinds() -> None:
    folder = HOME + b"/data/odd"
    server = socket.socket(socket.AF_UNIX)
    server.bind(os.fsdecode(folder + b"/socket"))
    os.chmod(folder + b"/socket", 0o777)  # noqa: S103 - as badly as can be
    os.mkfifo(folder + b"/fifo")
    os.chmod(folder + b"/fifo", 0o666)  # noqa: S103 - as badly as can be
    os.mknod(folder + b"/device", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    make(b"/var/atlassian/elsewhere", 0o644, owner=0)
    os.link(b"/var/atlassian/elsewhere", folder + b"/hard-link")
    make(folder + b"/own-link")
    os.link(folder + b"/own-link", folder + b"/own-link-2")


def vanished() -> None:
    make(HOME + b"/data/vanished", owner=54321)
    make(INSTALL + b"/lib/vanished.jar", owner=54321)


def access_lists() -> None:
    log = os.fsdecode(HOME + b"/log")
    subprocess.run(["useradd", "--system", "monitor"], check=True)
    subprocess.run(["groupadd", "--system", "shippers"], check=True)
    subprocess.run(["useradd", "--system", "--groups", "shippers", "shipper"], check=True)
    subprocess.run(["useradd", "--system", "intruder"], check=True)
    for entry in ("u:monitor:rX", "g:shippers:rX", "u:intruder:rwX"):
        subprocess.run(["setfacl", "-R", "-m", entry, log], check=True)
        subprocess.run(["setfacl", "-d", "-m", entry, log], check=True)
    subprocess.run(["setfacl", "-m", "u:monitor:x,g:shippers:x,u:intruder:x", os.fsdecode(HOME)], check=True)
    subprocess.run(["setfacl", "-m", "u:intruder:rw", os.fsdecode(INSTALL + b"/conf/web.xml")], check=True)


def immutable() -> None:
    for flag, path in (
        ("+i", INSTALL + b"/conf/catalina.properties"),
        ("+a", HOME + b"/log/atlassian-jira-sql.log"),
        ("+i", HOME + b"/logos"),
    ):
        subprocess.run(["chattr", flag, path], check=True)


names()
deep()
kinds()
vanished()
access_lists()
immutable()
