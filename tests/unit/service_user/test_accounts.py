# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Account files: what is read from them, and the keys that open an account."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._accounts import (
    Account,
    AccountDatabase,
    UnsafePathError,
    count_keys,
    key_files,
    open_key_file,
    parse_authorized_keys_file,
    parse_group,
    parse_passwd,
    parse_passwords,
)
from hypothesis import given
from hypothesis import strategies as st

JIRA = Account("jira", 1001, 1001, "/home/jira", "/bin/bash")

names = st.text("abcdefghijklmnopqrstuvwxyz0123456789_-", min_size=1, max_size=12).filter(
    lambda name: name[0].isalpha()
)
numbers = st.integers(0, 2**32 - 2)


@given(st.lists(st.tuples(names, numbers, numbers), max_size=8))
def test_passwd_round_trip(entries: list[tuple[str, int, int]]) -> None:
    text = "".join(f"{name}:x:{uid}:{gid}:Some One:/home/{name}:/bin/sh\n" for name, uid, gid in entries)
    assert [(item.name, item.uid, item.gid) for item in parse_passwd(text)] == entries


@given(st.lists(st.tuples(names, numbers, st.lists(names, max_size=4)), max_size=8))
def test_group_round_trip(entries: list[tuple[str, int, list[str]]]) -> None:
    text = "".join(f"{name}:x:{gid}:{','.join(members)}\n" for name, gid, members in entries)
    assert [(item.name, item.gid, list(item.members)) for item in parse_group(text)] == entries


@given(st.text())
def test_any_text_is_read_without_an_error(text: str) -> None:
    parse_passwd(text)
    parse_group(text)
    parse_passwords(text, text)


def test_lines_that_are_no_accounts() -> None:
    text = "+::::::\n#jira:x:1:1::/:/bin/sh\nbad:x:one:1::/:/bin/sh\nshort:x:1\njira:x:5:6::/home:/bin/sh\n"
    assert [item.name for item in parse_passwd(text)] == ["jira"]


@pytest.mark.parametrize(
    ("passwd", "shadow", "state"),
    [
        ("x", "!", "locked"),
        ("x", "*", "locked"),
        ("x", "!$6$salt$hash", "locked"),
        ("x", "", "empty"),
        ("x", "$6$salt$hash", "set"),
        ("x", None, "locked"),
        ("", "!", "empty"),
        ("abJnggxhB/yWI", None, "set"),
    ],
)
def test_password_state(passwd: str, shadow: str | None, state: str) -> None:
    line = f"jira:{passwd}:1:1::/:/bin/sh\n"
    assert parse_passwords(line, "" if shadow is None else f"jira:{shadow}:1:::::\n") == {"jira": state}


def database(tmp_path: Path, passwd: str, group: str) -> AccountDatabase:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text(passwd)
    (tmp_path / "etc/group").write_text(group)
    return AccountDatabase(str(tmp_path))


def test_sharing(tmp_path: Path) -> None:
    found = database(
        tmp_path,
        "jira:x:1001:1001::/home/jira:/bin/sh\ntwin:x:1001:5::/:/bin/sh\nguest:x:7:1001::/:/bin/sh\nmon:x:8:8::/:/bin/sh\n",
        "jira:x:1001:jira,mon,backup\njira2:x:1001:\nmon:x:8:\n",
    )
    account = found.account("jira")
    assert account is not None
    assert found.sharing([account], ["mon"]) == [
        ("UID 1001", "jira alone", "also twin"),
        ("primary group jira", "jira alone", "also guest"),
        ("members of group jira", "none but declared ones", "backup"),
        ("GID 1001", "one group", "groups jira, jira2"),
    ]
    assert found.sharing([account], ["mon", "backup", "guest"])[1:] == [("GID 1001", "one group", "groups jira, jira2")]


def test_nothing_is_shared(tmp_path: Path) -> None:
    found = database(tmp_path, "jira:x:1001:1001::/home/jira:/bin/sh\nmon:x:8:8::/:/bin/sh\n", "jira:x:1001:\n")
    account = found.account("jira")
    assert account is not None
    assert found.sharing([account], []) == []


def test_supplementary_groups(tmp_path: Path) -> None:
    found = database(tmp_path, "jira:x:1:1::/:/bin/sh\n", "jira:x:1:jira\nadm:x:4:syslog,jira\nsudo:x:27:bob\n")
    account = found.account("jira")
    assert account is not None
    assert found.supplementary(account) == ["adm"]


def test_key_files_expand_tokens() -> None:
    configured = [".ssh/authorized_keys", "/etc/ssh/keys/%u", "%h/more", "/k/%U/100%%", "none"]
    assert key_files(JIRA, configured) == [
        "/home/jira/.ssh/authorized_keys",
        "/home/jira/.ssh/authorized_keys2",
        "/etc/ssh/keys/jira",
        "/home/jira/more",
        "/k/1001/100%",
    ]


def test_authorized_keys_file_of_sshd() -> None:
    text = "port 22\nauthorizedkeyscommand none\nauthorizedkeysfile .ssh/a /etc/b\n"
    assert parse_authorized_keys_file(text) == [".ssh/a", "/etc/b"]
    assert parse_authorized_keys_file("port 22\n") == []


def test_only_keys_count() -> None:
    assert count_keys('# note\n\n  \nssh-ed25519 AAAA a\ncommand="x" ssh-rsa BBBB b\n') == 2


def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home/jira/.ssh"
    folder.mkdir(parents=True)
    return folder


def test_key_file_is_found(tmp_path: Path) -> None:
    (home(tmp_path) / "authorized_keys").write_text("ssh-ed25519 AAAA a\n")
    found = open_key_file("/home/jira/.ssh/authorized_keys", "/home/jira", str(tmp_path))
    assert found is not None
    assert (found.keys, found.link) == (1, None)
    found.close()


def test_no_key_file(tmp_path: Path) -> None:
    assert open_key_file("/home/jira/.ssh/authorized_keys", "/home/jira", str(tmp_path)) is None
    home(tmp_path)
    assert open_key_file("/home/jira/.ssh/authorized_keys", "/home/jira", str(tmp_path)) is None


def test_folder_that_leads_elsewhere_is_refused(tmp_path: Path) -> None:
    (tmp_path / "root/.ssh").mkdir(parents=True)
    (tmp_path / "root/.ssh/authorized_keys").write_text("ssh-ed25519 AAAA root\n")
    (tmp_path / "home/jira").mkdir(parents=True)
    (tmp_path / "home/jira/.ssh").symlink_to(tmp_path / "root/.ssh")
    with pytest.raises(UnsafePathError, match="symbolic link"):
        open_key_file("/home/jira/.ssh/authorized_keys", "/home/jira", str(tmp_path))


def test_link_to_keys_is_seen_as_one(tmp_path: Path) -> None:
    (tmp_path / "others").write_text("ssh-ed25519 AAAA root\n")
    (home(tmp_path) / "authorized_keys").symlink_to(tmp_path / "others")
    found = open_key_file("/home/jira/.ssh/authorized_keys", "/home/jira", str(tmp_path))
    assert found is not None
    assert (found.keys, found.link) == (1, str(tmp_path / "others"))
    found.close()


def test_named_pipe_does_not_block(tmp_path: Path) -> None:
    import os

    os.mkfifo(home(tmp_path) / "authorized_keys")
    found = open_key_file("/home/jira/.ssh/authorized_keys", "/home/jira", str(tmp_path))
    assert found is not None
    assert found.keys == 0
    found.close()
