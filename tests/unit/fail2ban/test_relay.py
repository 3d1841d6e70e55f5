# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The relay of bans: what each end believes of the other, and what is written on both hosts."""

from __future__ import annotations

import os
import re
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase
from ansible_collections.atlassian_dc.hardening.plugins.action.fail2ban_relay import ActionModule
from ansible_collections.atlassian_dc.hardening.plugins.module_utils import _fail2ban_relay as relay
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._changes import Changes
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._fail2ban_relay import Bans, Proxy, RelayError
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._findings import Findings
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._packages import PackageManager
from ansible_collections.atlassian_dc.hardening.plugins.modules import fail2ban_relay
from ansible_collections.atlassian_dc.hardening.plugins.modules.fail2ban_relay import CONTROL, RelayHost
from unit.packages.installing import Installing

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8n9qtfHcK1dDLbiTz8cmkbLBzPTwOqGFlxQCkTw1fR"
OTHER = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEv5cwrLl2Ufa1bHoJ6xUY7Bc1wWkR9oU1FmGxQz0aBc"
BANS = Bans((80, 443), 3600, 604800, ("192.0.2.0/26", "2001:db8::/64"))
JIRA = relay.source("jira1", KEY, ["192.0.2.10"])


# ---- what hosts say of themselves --------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["jira1", "jira1.example.org", "a_b", "A-1"])
def test_usual_names_stay(host: str) -> None:
    assert relay.safe_name(host) == host


@pytest.mark.parametrize("host", ['j"', "j i", "2001:db8::1", "../x", "", "-x", ".x", "j\n", "ä", "x" * 64, "j]"])
def test_other_names_become_harmless_and_stay_apart(host: str) -> None:
    name = relay.safe_name(host)
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9-]{0,62}", name)
    assert relay.safe_name(name) == name
    assert name != relay.safe_name(f"{host}!")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ssh-ed25519",
        f'command="sh" {KEY}',
        f"{KEY}\n{OTHER}",
        KEY.replace("ssh-ed25519", "ssh-rsa"),
        KEY[:-3],
        f"{KEY[:40]} {KEY[40:]}",
        "ssh-dss AAAAB3NzaC1kc3MAAACBAJ8n9qtfHcK1dDLbiTz8cmkbLBzPTwOqGFlxQCkTw1fR",
    ],
)
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(RelayError):
        relay.public_key(text)


def test_a_key_loses_its_comment() -> None:
    assert relay.public_key(f'{KEY} root@jira1",from="*\n') == KEY


@pytest.mark.parametrize("addresses", [[], ["jira1"], ["192.0.2.1,0.0.0.0/0"], ["*"], ['192.0.2.1" x']])
def test_a_source_needs_addresses(addresses: list[str]) -> None:
    with pytest.raises(RelayError):
        relay.source("jira1", KEY, addresses)


# ---- keys that let in --------------------------------------------------------------------------------------------


def test_a_line_lets_a_source_say_one_thing_from_one_place() -> None:
    entry = relay.source("jira1", KEY, ["192.0.2.10", "2001:DB8::0:10"])
    assert relay.authorized_line(entry) == (
        f'restrict,command="/etc/atlassian-dc-fail2ban/receive jira1",from="192.0.2.10,2001:db8::10" {KEY} jira1'
    )


def test_sources_do_not_take_each_others_line() -> None:
    text = relay.render_authorized_keys("", relay.source("jira2", OTHER, ["192.0.2.11"]), ["jira1", "jira2"])
    text = relay.render_authorized_keys(text, JIRA, ["jira1", "jira2"])
    assert [line.split()[-1] for line in text.splitlines()[1:]] == ["jira1", "jira2"]
    assert relay.render_authorized_keys(text, JIRA, ["jira1", "jira2"]) == text


def test_only_who_knows_the_whole_inventory_takes_out_a_host_that_left_it() -> None:
    text = relay.render_authorized_keys("", relay.source("old", OTHER, ["192.0.2.9"]), None)
    assert " old\n" in relay.render_authorized_keys(text, JIRA, None)
    assert " old\n" not in relay.render_authorized_keys(text, JIRA, ["jira1"])


@pytest.mark.parametrize(
    "line",
    [
        OTHER,
        f'command="/etc/atlassian-dc-fail2ban/receive jira1" {OTHER} jira1',
        f'restrict,command="/etc/atlassian-dc-fail2ban/receive jira2",from="192.0.2.1",pty {OTHER} jira2',
        f'restrict,command="/etc/atlassian-dc-fail2ban/receive jira2",from="*" {OTHER} jira2',
        f'restrict,command="/bin/sh",from="192.0.2.1" {OTHER} jira2',
    ],
)
def test_no_other_line_stays(line: str) -> None:
    assert relay.render_authorized_keys(f"{line}\n", JIRA, None) == relay.render_authorized_keys("", JIRA, None)


def test_a_key_that_changed_replaces_the_one_before() -> None:
    text = relay.render_authorized_keys("", relay.source("jira1", OTHER, ["192.0.2.10"]), None)
    assert relay.render_authorized_keys(text, JIRA, None).count("jira1\n") == 1


# ---- the forced command ------------------------------------------------------------------------------------------


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[socket.socket]:
    """Stand in for the journal's socket; what is sent there can be read."""
    server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    server.bind(str(tmp_path / "journal"))
    server.setblocking(False)
    yield server
    server.close()


def received(journal: socket.socket, asked: str | None) -> tuple[int, str]:
    """Run the forced command; return its exit code and what came into the journal."""
    folder = Path(journal.getsockname()).parent
    script = folder / "receive"
    text = relay.RECEIVE_SCRIPT.replace("/run/systemd/journal/socket", str(folder / "journal"))
    script.write_text(text, encoding="utf-8")
    environment = {} if asked is None else {"SSH_ORIGINAL_COMMAND": asked}
    done = subprocess.run(
        ["/usr/bin/python3", "-I", script, "jira1"], env=environment, capture_output=True, check=False
    )
    try:
        return done.returncode, journal.recv(1000).decode()
    except BlockingIOError:
        return done.returncode, ""


@pytest.mark.parametrize(
    ("asked", "logged"),
    [
        ("ban 198.51.100.7", "ban 198.51.100.7 by jira1"),
        ("unban 198.51.100.7", "unban 198.51.100.7 by jira1"),
        ("ban 2001:db8:0:0:0:0:0:7", "ban 2001:db8::7 by jira1"),
        ("ban 2001:DB8::7", "ban 2001:db8::7 by jira1"),
        ("ban ::ffff:198.51.100.7", "ban 198.51.100.7 by jira1"),
    ],
)
def test_an_address_is_written_to_the_journal(journal: socket.socket, asked: str, logged: str) -> None:
    message = f"SYSLOG_IDENTIFIER=atlassian-dc-fail2ban\nPRIORITY=5\nMESSAGE={logged}\n"
    assert received(journal, asked) == (0, message)


@pytest.mark.parametrize(
    "asked",
    [
        None,
        "",
        "sh",
        "ban",
        "ban ",
        "ban  198.51.100.7",
        "ban 198.51.100.7 ",
        " ban 198.51.100.7",
        "ban 198.51.100.7\n",
        "ban 198.51.100.7\nMESSAGE=ban 192.0.2.1 by jira2",
        "ban 198.51.100.7; reboot",
        "ban $(id)",
        "ban `id`",
        "ban 198.51.100.7 by jira2",
        "BAN 198.51.100.7",
        "ban 198.51.100.0/24",
        "ban 198.51.100.007",
        "ban 1.2.3",
        "ban 3325256709",
        "ban fe80::1%eth0",
        "ban ١٩٨.51.100.7",
        "ban 0.0.0.0",
        "ban ::",
        "ban 127.0.0.1",
        "ban ::ffff:127.0.0.1",
        "ban 224.0.0.1",
        "ban jira1",
        "check 198.51.100.7",
        "ban " + "1" * 100000,
    ],
)
def test_anything_else_is_refused(journal: socket.socket, asked: str | None) -> None:
    assert received(journal, asked) == (2, "")


def test_a_question_for_an_answer_leaves_no_trace(journal: socket.socket) -> None:
    assert received(journal, "check") == (0, "")


def test_a_ban_that_cannot_be_written_is_not_said_to_be(journal: socket.socket) -> None:
    Path(journal.getsockname()).unlink()
    assert received(journal, "ban 198.51.100.7")[0] == 1


# ---- jails -------------------------------------------------------------------------------------------------------


def failregex(section: str) -> re.Pattern[str]:
    """Return what fail2ban makes of filter and options of a jail, for IPv4."""
    name, source = re.search(r'filter = (\S+?)\[source="(.*)"\]', section).groups()  # type: ignore[union-attr]
    filters = {relay.FILTER: relay.render_filter(), relay.UNBAN: relay.render_unban_filter()}
    text = re.search(r"^failregex = (.*)$", filters[name], re.MULTILINE)[1]  # type: ignore[index]
    tags = {"F-ID": "(?P<id>", "/F-ID": ")", "F-WHO": "(?P<ip>", "/F-WHO": ")", "ADDR": r"(?P<ip>[\d.]+)"}
    for tag, value in {"source": source, **tags}.items():
        text = text.replace(f"<{tag}>", value)
    return re.compile(text)


def test_a_jail_hears_its_own_source_only() -> None:
    ban, unban = (failregex(text) for text in relay.render_jails("jira1.example.org", 998, BANS).split("\n\n"))
    line = "proxy1 atlassian-dc-fail2ban[99]: {} 198.51.100.7 by {}"
    assert ban.search(line.format("ban", "jira1.example.org"))
    assert unban.search(line.format("unban", "jira1.example.org"))
    for pattern, word in ((ban, "unban"), (unban, "ban")):
        assert not pattern.search(line.format(word, "jira1.example.org"))
        assert not pattern.search(line.format("ban" if word == "unban" else "unban", "jira1xexample.org"))
        assert not pattern.search(line.format("ban" if word == "unban" else "unban", "jira1.example.org2"))


def test_a_ban_is_lifted_as_often_as_that_is_said() -> None:
    """Messages are told from each other, while fail2ban counts an address once as long as it knows it."""
    _ban, unban = (failregex(text) for text in relay.render_jails("jira1", 998, BANS).split("\n\n"))
    lines = [f"proxy1 atlassian-dc-fail2ban[{number}]: unban 198.51.100.7 by jira1" for number in (99, 100)]
    first, second = (unban.search(line) for line in lines)
    assert first
    assert second
    assert first["ip"] == second["ip"] == "198.51.100.7"
    assert first["id"] != second["id"]


def test_lifting_a_ban_waits_for_nothing() -> None:
    """It asks the server, which does one thing at a time and is waiting for it."""
    assert re.search(r"^actionban = .* &$", relay.render_unban_action(), re.MULTILINE)
    assert "norestored = true\n" in relay.render_unban_action()


def test_jails_believe_the_account_only_and_ban_nobody_who_is_protected() -> None:
    ban, unban = relay.render_jails("jira1", 998, BANS).split("\n\n")
    for section in (ban, unban):
        assert "journalmatch = SYSLOG_IDENTIFIER=atlassian-dc-fail2ban _UID=998\n" in section
        assert "maxretry = 1\n" in section
    assert "ignoreip = 127.0.0.0/8 ::1 192.0.2.0/26 2001:db8::/64\n" in ban
    assert "ignoreself = true\n" in ban
    assert 'action = nftables[type=multiport, port="80,443", protocol=tcp]' in ban
    assert "action = atlassian-dc-relay-unban[jail=atlassian-dc-relay-jira1]\n" in unban


def test_jails_of_different_sources_never_have_the_same_name() -> None:
    names = [
        name for host in ("a", "a-unban", "unban-a") for name in (relay.jail_name(host), relay.unban_jail_name(host))
    ]
    assert len(set(names)) == len(names)


# ---- telling -----------------------------------------------------------------------------------------------------


PROXIES = [Proxy("proxy1", "192.0.2.80", 22, (KEY, OTHER)), Proxy("proxy2", "2001:db8::80", 2222, (OTHER,))]


def test_ssh_uses_nothing_but_what_is_ours(tmp_path: Path) -> None:
    config = tmp_path / "ssh_config"
    config.write_text(relay.render_ssh_config(PROXIES), encoding="utf-8")
    out = subprocess.run(["ssh", "-G", "-F", config, "proxy2"], capture_output=True, text=True, check=True).stdout
    expected = {
        *("hostname 2001:db8::80", "port 2222", "user atlassian-dc-fail2ban", "hostkeyalias proxy2"),
        *("identityfile /etc/atlassian-dc-fail2ban/relay_ed25519", "identitiesonly yes", "identityagent none"),
        *("batchmode yes", "connecttimeout 3", "connectionattempts 1", "stricthostkeychecking true"),
        *("userknownhostsfile /etc/atlassian-dc-fail2ban/known_hosts", "globalknownhostsfile /dev/null"),
        *("forwardagent no", "forwardx11 no", "clearallforwardings yes", "permitlocalcommand no", "requesttty false"),
        *("preferredauthentications publickey", "updatehostkeys false", "controlmaster false"),
    }
    assert expected <= set(out.splitlines())
    assert out.count("identityfile ") == 1


def test_what_is_known_of_a_proxy_can_be_read_back() -> None:
    texts = relay.render_ssh_config(PROXIES), relay.render_known_hosts(PROXIES)
    assert [relay.read_proxy(proxy.name, *texts) for proxy in PROXIES] == PROXIES
    assert relay.read_proxy("proxy", *texts) is None
    assert relay.read_proxy("proxy1", "", "") is None


class Teller:
    """Runs the script that tells a proxy, with an ssh that ends as wanted."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = folder / "run"
        self.state.mkdir()
        script = relay.TELL_SCRIPT.replace("/run/fail2ban", str(self.state))
        (folder / "tell").write_text(script, encoding="utf-8")
        (folder / "bin").mkdir()

    def run(self, word: str, ends_with: int) -> tuple[int, list[str]]:
        """Return the exit code and the arguments of ssh, none where it was not run."""
        ssh, asked = self.folder / "bin/ssh", self.folder / "asked"
        ssh.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {asked}\nexit {ends_with}\n', encoding="utf-8")
        ssh.chmod(0o755)
        asked.unlink(missing_ok=True)
        argv = ["sh", str(self.folder / "tell"), "proxy1", "jail", word, "198.51.100.7"]
        path = f"{self.folder / 'bin'}:{os.environ['PATH']}"
        code = subprocess.run(argv, env={"PATH": path}, capture_output=True, check=False).returncode
        return code, asked.read_text(encoding="utf-8").splitlines() if asked.exists() else []

    @property
    def marks(self) -> list[str]:
        return sorted(path.name for path in self.state.iterdir())


@pytest.fixture
def teller(tmp_path: Path) -> Teller:
    return Teller(tmp_path)


SILENT, UNTOLD = "atlassian-dc-relay.proxy1", "atlassian-dc-relay.proxy1.jail"


def test_a_ban_is_told_as_one_argument(teller: Teller) -> None:
    code, argv = teller.run("ban", 0)
    assert code == 0
    assert argv[:3] == ["-n", "-F", "/etc/atlassian-dc-fail2ban/ssh_config"]
    assert argv[-3:] == ["--", "proxy1", "ban 198.51.100.7"]
    assert teller.marks == []


def test_a_proxy_that_is_down_is_not_waited_for_again_at_once(teller: Teller) -> None:
    assert teller.run("ban", 255)[0] == 255
    assert teller.marks == [SILENT, UNTOLD]
    assert teller.run("ban", 0) == (255, [])
    os.utime(teller.state / SILENT, (0, 0))
    assert teller.run("ban", 0)[0] == 0
    # That another ban was told does not tell the one before.
    assert teller.marks == [UNTOLD]


def test_what_a_proxy_refuses_is_no_silence(teller: Teller) -> None:
    assert teller.run("ban", 2)[0] == 2
    assert teller.marks == [UNTOLD]


def test_an_unban_that_was_not_told_is_not_asked_again(teller: Teller) -> None:
    assert teller.run("unban", 255)[0] == 255
    assert teller.marks == [SILENT]


def test_the_action_looks_at_the_mark_of_the_script() -> None:
    action = relay.render_action()
    mark = f"/run/fail2ban/{UNTOLD}".replace("proxy1", "<proxy>").replace("jail", "<name>")
    assert f"actioncheck = test ! -e {mark}\n" in action
    assert f"actionrepair = rm -f {mark}\n" in action


def test_a_jail_has_an_action_for_each_proxy() -> None:
    assert relay.jail_actions(["proxy2", "proxy1"]) == [
        "atlassian-dc-relay[proxy=proxy1, actname=atlassian-dc-relay-proxy1]",
        "atlassian-dc-relay[proxy=proxy2, actname=atlassian-dc-relay-proxy2]",
    ]


# ---- sshd --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "keywords"),
    [
        ("", []),
        ("allowusers atlassian-dc-fail2ban", []),
        ("allowusers atlassian-*", []),
        ("allowusers atlassian-dc-fail2ban@192.0.2.0/24", []),
        ("allowusers atlassian-dc-fail2ban@192.0.2.*", []),
        ("allowusers admin\nallowusers atlassian-dc-fail2ban@192.0.2.10", []),
        ("allowusers admin", ["AllowUsers"]),
        ("allowusers atlassian-dc-fail2ban@198.51.100.0/24", ["AllowUsers"]),
        ("denyusers *-fail2ban", ["DenyUsers"]),
        ("denyusers *@198.51.100.0/24", []),
        ("allowgroups ssh", ["AllowGroups"]),
        ("allowgroups ssh\nallowgroups atlassian-dc-fail2ban", []),
        ("denygroups atlassian-dc-*", ["DenyGroups"]),
        ("pubkeyauthentication no", ["PubkeyAuthentication"]),
        ("pubkeyacceptedalgorithms rsa-sha2-512,ecdsa-sha2-nistp256", ["PubkeyAcceptedAlgorithms"]),
        ("pubkeyacceptedalgorithms ssh-ed25519-cert-v01@openssh.com,ssh-ed25519", []),
        ("authenticationmethods publickey,password", ["AuthenticationMethods"]),
        ("authenticationmethods publickey,password publickey", []),
        ("authorizedkeysfile .ssh/authorized_keys .ssh/authorized_keys2", []),
        ("authorizedkeysfile %h/.ssh/authorized_keys", []),
        ("authorizedkeysfile /etc/ssh/keys/%u", ["AuthorizedKeysFile"]),
        ("forcecommand /usr/bin/menu", ["ForceCommand"]),
        ("forcecommand none\nchrootdirectory none", []),
        ("chrootdirectory /srv", ["ChrootDirectory"]),
    ],
)
def test_what_keeps_the_account_out_is_found(settings: str, keywords: list[str]) -> None:
    found = relay.sshd_obstacles(relay.parse_sshd(settings), relay.ACCOUNT, "192.0.2.10")
    assert [keyword for keyword, _wrong in found] == keywords


def test_the_line_is_named() -> None:
    files = {
        "/etc/ssh/sshd_config.d/a.conf": "# AllowUsers x\n",
        "/etc/ssh/sshd_config": "Port 22\n  allowusers  admin\n",
    }
    assert relay.find_setting(files, "AllowUsers") == "/etc/ssh/sshd_config:2: allowusers admin"
    assert relay.find_setting(files, "DenyUsers") == "DenyUsers"


# ---- a host ------------------------------------------------------------------------------------------------------


class Host:
    """A host made of a folder and canned answers of its tools."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.commands: list[list[str]] = []
        self.packages: set[str] = set()
        self.sshd = "hostkey /etc/ssh/ssh_host_ed25519_key\nauthorizedkeysfile .ssh/authorized_keys\n"
        self.refuses = ""
        self.jails: list[str] = []
        self.loads = True
        self.answer = (0, "", "")
        self.active = False
        for folder in ("etc/ssh", "proc/net", "usr/bin", "run"):
            (root / folder).mkdir(parents=True)
        self.write("etc/ssh/ssh_host_ed25519_key.pub", f"{OTHER} root@proxy1\n")
        self.write("etc/ssh/sshd_config", "Port 22\nAllowUsers admin\n")
        self.write("etc/passwd", "root:x:0:0::/root:/bin/sh\n")

    def write(self, path: str, text: str) -> None:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")

    def read(self, path: str) -> str:
        return (self.root / path.lstrip("/")).read_text(encoding="utf-8")

    def run_command(self, argv: list[str], **_more: Any) -> tuple[int, str, str]:
        self.commands.append(argv)
        tool, *words = argv
        if tool == "ssh-keygen" and "-y" in words:
            return (0, f"{KEY}\n", "") if self.read(relay.KEY) == "secret\n" else (255, "", "invalid format\n")
        if tool == "ssh-keygen":
            Path(words[-1]).write_text("secret\n", encoding="utf-8")
            Path(words[-1]).chmod(0o600)
        elif tool == "useradd":
            self.write("etc/passwd", f"{self.read('etc/passwd')}{relay.ACCOUNT}:x:998:998::{relay.HOME}:/bin/sh\n")
            self.write("etc/shadow", f"{relay.ACCOUNT}:*:1::::::\n")
        elif tool.endswith("sshd"):
            return 0, self.sshd, ""
        elif tool == "systemctl":
            state = "active" if self.active else "inactive"
            enabled = "enabled" if self.active else "disabled"
            if words[0] == "start":
                self.active = True
                self.load()
            return 0, f"Id={words[-1]}\nActiveState={state}\nUnitFileState={enabled}\n", ""
        elif tool == "fail2ban-client":
            if words[0] == "-c":
                broken = self.refuses and not (Path(words[1]) / "jail.d/zz-atlassian-dc-relay.local").exists()
                return (
                    (255, "", f"2026-11-28 21:10:54,146 fail2ban [145]: ERROR   {self.refuses}\n")
                    if broken
                    else (0, "", "")
                )
            if words[0] == "reload":
                self.load()
            return 0, f"`- Jail list:\t{', '.join(self.jails)}\n", ""
        elif tool == "timeout":
            return self.answer
        return 0, "", ""

    def load(self) -> None:
        """Run the jails of all files."""
        files = (self.root / "etc/fail2ban/jail.d").glob("*.local")
        texts = [path.read_text(encoding="utf-8") for path in files if self.loads]
        self.jails = [name for text in texts for name in re.findall(r"^\[(.+)\]$", text, re.MULTILINE)]

    def run(
        self, phase: str, check_mode: bool = False, enforce: bool = True, **params: Any
    ) -> tuple[dict[str, Any], Changes]:
        values: dict[str, Any] = {
            **{"phase": phase, "instances": [{"name": "jira"}], "proxies": [], "results": [], "inventory": None},
            **{"source": "jira1", "proxy": "proxy1", "address": "192.0.2.80", "key": KEY, "addresses": ["192.0.2.10"]},
            **{"ports": [80, 443], "ban_time": 3600, "max_ban_time": 604800, "ignore": ["192.0.2.0/26"]},
            **{"controls": [CONTROL], "enforce": [CONTROL] if enforce else []},
            **params,
        }
        changes = Changes(check_mode, self.run_command)
        host = RelayHost(values, Findings(values, (CONTROL,), check_mode), changes, self.run_command, str(self.root))
        return host.run(), changes

    def tree(self) -> dict[str, tuple[int, str]]:
        """Return mode and content of each file, those that the fake tools need left out."""
        return {
            str(path.relative_to(self.root)): (path.stat().st_mode, path.read_text(encoding="utf-8"))
            for path in self.root.rglob("*")
            if path.is_file()
        }

    def manager(self, _run_command: Any) -> PackageManager:
        return Installing(self.packages, self.bring)

    def bring(self, name: str) -> None:
        if name == "fail2ban":
            self.write("etc/fail2ban/jail.conf", "")
            self.write("usr/bin/fail2ban-client", "")


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    found = Host(tmp_path / "host")
    listener = SimpleNamespace(protocol="tcp", port=443)
    sockets = SimpleNamespace(listeners=[listener], flows=[], problems=[])
    monkeypatch.setattr(fail2ban_relay, "package_manager", found.manager)
    monkeypatch.setattr(fail2ban_relay, "read_sockets", lambda *_arguments: sockets)
    monkeypatch.setattr(fail2ban_relay, "connection_in_use", lambda _proc: SimpleNamespace(port=2222))
    return found


def predicted(changes: Changes) -> list[tuple[str, str]]:
    return [(entry["target"], entry["attribute"]) for entry in changes.entries]


def test_a_key_is_made_once_and_never_shown(host: Host) -> None:
    wanted, check = host.run("key", check_mode=True)
    assert wanted["public_key"] is None
    assert not (host.root / "etc/atlassian-dc-fail2ban").exists()
    made, real = host.run("key")
    assert predicted(check) == predicted(real)
    assert made["public_key"] == KEY
    assert "secret" not in str(real.result())
    again, nothing = host.run("key")
    assert (again["evidence"], nothing.count, again["public_key"]) == ([], 0, KEY)


def test_a_key_that_others_can_read_is_closed(host: Host) -> None:
    host.run("key")
    (host.root / relay.KEY[1:]).chmod(0o644)
    result, changes = host.run("key")
    assert [piece["what"] for piece in result["evidence"]] == [relay.KEY]
    assert (host.root / relay.KEY[1:]).stat().st_mode & 0o777 == 0o600
    assert "secret\n" not in str(changes.diff)


def test_a_broken_key_is_left_to_a_person(host: Host) -> None:
    host.run("key")
    host.write(relay.KEY[1:], "damaged\n")
    result, _changes = host.run("key")
    assert result["public_key"] is None
    assert result["refused"] == [f"{relay.KEY} is no key that can be used: invalid format; remove it"]


def test_a_proxy_is_set_up_as_predicted(host: Host) -> None:
    before = host.tree()
    _wanted, check = host.run("proxy", check_mode=True, key=None)
    assert host.tree() == before
    result, real = host.run("proxy")
    assert predicted(check) == predicted(real)
    assert result["refused"] == []
    assert (result["port"], result["host_keys"], result["address"]) == (2222, [OTHER], "192.0.2.80")
    assert host.read(relay.AUTHORIZED_KEYS).splitlines()[1:] == [relay.authorized_line(JIRA)]
    assert "_UID=998\n" in host.read(relay.jail_path("jira1"))
    assert host.active
    useradd = next(argv for argv in host.commands if argv[0] == "useradd")
    assert useradd[useradd.index("--password") + 1] == "*"
    again, nothing = host.run("proxy")
    assert (again["evidence"], nothing.count) == ([], 0)


def test_all_addresses_of_a_proxy_are_told(host: Host) -> None:
    """Clients of some come to it over another address than the inventory has."""
    trie = "Local:\n  |-- 127.0.0.1\n     /32 host LOCAL\n  |-- 192.0.2.80\n     /32 host LOCAL\n"
    host.write("proc/net/fib_trie", trie)
    wide, local = "20010db8000000000000000000000080", "fe800000000000000000000000000080"
    host.write("proc/net/if_inet6", f"{wide} 02 40 00 80 eth0\n{local} 02 40 20 80 eth0\n")
    result, _changes = host.run("proxy", check_mode=True)
    assert result["own_addresses"] == ["192.0.2.80", "2001:db8::80"]


def test_a_second_source_is_added_and_loaded(host: Host) -> None:
    host.run("proxy")
    _result, changes = host.run("proxy", source="jira2", key=OTHER, addresses=["192.0.2.11"])
    assert host.read(relay.AUTHORIZED_KEYS).count("restrict,") == 2
    # The first is what a rollback does last.
    assert predicted(changes)[0] == ("fail2ban.service", "way back")
    assert ["fail2ban-client", "reload"] in host.commands


def test_jails_that_do_not_run_are_loaded(host: Host) -> None:
    host.run("proxy")
    host.jails.remove("atlassian-dc-unban-jira1")
    result, changes = host.run("proxy")
    assert [piece["what"] for piece in result["evidence"]] == ["fail2ban"]
    assert predicted(changes) == [("fail2ban.service", "configuration")]


def test_jails_that_do_not_come_up_are_told(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fail2ban_relay, "PATIENCE", 0)
    host.loads = False
    result, _changes = host.run("proxy")
    assert result["refused"] == ["fail2ban does not run the jails for jira1; its log says why"]
    assert not (host.root / relay.AUTHORIZED_KEYS[1:]).exists()


def test_a_host_that_left_the_inventory_is_forgotten(host: Host) -> None:
    host.run("proxy")
    host.run("proxy", source="old", key=OTHER, addresses=["192.0.2.9"], inventory=None)
    assert (host.root / relay.jail_path("old")[1:]).exists()
    host.run("proxy", inventory=["jira1", "proxy1"])
    assert not (host.root / relay.jail_path("old")[1:]).exists()
    assert (host.root / relay.jail_path("jira1")[1:]).exists()
    assert " old" not in host.read(relay.AUTHORIZED_KEYS)


def test_sshd_that_refuses_the_account_is_named_and_nothing_is_changed(host: Host) -> None:
    host.sshd += "allowusers admin\n"
    result, changes = host.run("proxy")
    assert result["refused"] == [
        "/etc/ssh/sshd_config:2: AllowUsers admin: does not name atlassian-dc-fail2ban; "
        "the configuration of sshd is yours to change"
    ]
    assert changes.count == 0


def test_the_broken_jail_of_the_distribution_is_helped(host: Host) -> None:
    host.refuses = "Failed during configuration: Have not found any log file for sshd jail"
    result, _changes = host.run("proxy")
    assert result["refused"] == []
    assert "backend = systemd" in host.read(relay.SSHD_JAIL)


def test_what_others_broke_is_reported_and_nothing_is_changed(host: Host) -> None:
    host.packages = {*fail2ban_relay.NEEDED, "fail2ban"}
    host.write("etc/fail2ban/jail.conf", "")
    host.write("usr/bin/fail2ban-client", "")
    host.refuses = "Found no accessible config files for 'filter.d/mine'"
    result, changes = host.run("proxy")
    assert result["refused"] == [f"fail2ban does not take its configuration, nothing was changed: {host.refuses}"]
    assert changes.count == 0


def test_a_locked_account_is_opened_to_its_key(host: Host) -> None:
    host.run("proxy")
    host.write("etc/shadow", f"{relay.ACCOUNT}:!:1::::::\n")
    result, _changes = host.run("proxy")
    assert {"what": "password of account atlassian-dc-fail2ban", "expected": "*", "actual": "locked"} in result[
        "evidence"
    ]
    assert ["usermod", "--password", "*", relay.ACCOUNT] in host.commands


@pytest.mark.parametrize("word", ["any", "192.0.2.0/33", "proxy1", "192.0.2.1 0.0.0.0/0", "::/0"])
def test_who_is_never_banned_has_to_be_a_network(host: Host, word: str) -> None:
    result, changes = host.run("proxy", ignore=["192.0.2.1", word])
    assert word in result["refused"][0]
    assert changes.count == 0


def test_a_longest_ban_is_not_shorter_than_the_first(host: Host) -> None:
    host.run("proxy", ban_time=7200, max_ban_time=60)
    assert "bantime.maxtime = 7200\n" in host.read(relay.jail_path("jira1"))


def test_ports_that_nothing_listens_on_are_told(host: Host) -> None:
    result, _changes = host.run("proxy", ports=[8080])
    assert result["refused"] == ["nothing listens on tcp 8080 (atlassian_dc_fail2ban_relay_ports)"]


def test_others_remember_bans_long_enough(host: Host) -> None:
    host.write("etc/fail2ban/fail2ban.d/zz-atlassian-dc-fail2ban.local", "[Definition]\ndbpurgeage = 691200\n")
    host.run("proxy")
    assert not (host.root / relay.PURGE[1:]).exists()
    host.run("proxy", max_ban_time=700000)
    assert "dbpurgeage = 700000\n" in host.read(relay.PURGE)


def test_what_is_not_enforced_is_judged_only(host: Host) -> None:
    before = host.tree()
    result, changes = host.run("proxy", enforce=False)
    assert result["evidence"]
    assert changes.count == 0
    assert host.tree() == before


FINE = {
    **{"proxy": "proxy1", "address": "192.0.2.80", "port": 22, "host_keys": [OTHER]},
    **{"evidence": [], "refused": []},
}


def test_a_host_that_is_heard_is_fixed_and_then_passes(host: Host) -> None:
    first, _changes = host.run("tell", results=[FINE])
    assert [finding["status"] for finding in first["dc_findings"]] == ["fixed"]
    second, changes = host.run("tell", results=[FINE])
    assert [finding["status"] for finding in second["dc_findings"]] == ["pass"]
    assert changes.count == 0
    assert host.commands[-1][-2:] == ["proxy1", "check"]


def test_what_the_key_needs_is_part_of_it(host: Host) -> None:
    key, _changes = host.run("key", check_mode=True)
    result, _changes = host.run("tell", check_mode=True, results=[key, FINE])
    evidence = [piece["what"] for piece in result["dc_findings"][0]["evidence"]]
    assert evidence[:2] == [relay.TELL, relay.KEY]
    assert result["dc_findings"][0]["reason"].startswith("bans have to be told to proxy1, in front of this host: ")


def test_a_proxy_without_an_answer_is_a_failure(host: Host) -> None:
    host.run("tell", results=[FINE])
    host.answer = (255, "", "ssh: connect to host 192.0.2.80 port 22: Connection timed out\n")
    result, _changes = host.run("tell", results=[FINE])
    finding = result["dc_findings"][0]
    assert finding["status"] == "fail"
    assert "proxy1 does not answer: ssh: connect to host" in finding["reason"]


def test_nobody_is_asked_before_what_is_predicted_is_there(host: Host) -> None:
    result, _changes = host.run("tell", check_mode=True, results=[FINE])
    assert [finding["status"] for finding in result["dc_findings"]] == ["fail"]
    assert not any(argv[0] == "timeout" for argv in host.commands)


def test_nobody_is_asked_where_nothing_may_be_put_in_place(host: Host) -> None:
    host.run("tell", enforce=False, results=[FINE])
    assert not any(argv[0] == "timeout" for argv in host.commands)


def test_a_proxy_that_is_away_stays_known(host: Host) -> None:
    host.run("tell", results=[FINE])
    before = host.read(relay.SSH_CONFIG)
    away = {**FINE, "port": None, "host_keys": [], "refused": ["the controller does not reach it"]}
    result, changes = host.run("tell", results=[away])
    assert changes.count == 0
    assert host.read(relay.SSH_CONFIG) == before
    assert result["dc_findings"][0]["status"] == "fail"
    assert "proxy1: the controller does not reach it" in result["dc_findings"][0]["reason"]


def test_what_a_proxy_says_of_its_keys_is_not_believed_blindly(host: Host) -> None:
    result, changes = host.run("tell", results=[{**FINE, "host_keys": [f"* {KEY}"]}])
    assert "is no public key" in result["dc_findings"][0]["reason"]
    assert changes.count == 0


def test_no_line_is_written_for_a_host_without_a_key(host: Host) -> None:
    result, changes = host.run("proxy", key=None)
    assert result["refused"] == ["jira1 has no key to be let in with"]
    assert changes.count == 0


# ---- the controller ----------------------------------------------------------------------------------------------


class Controller:
    """Runs the action plugin; remembers what the module is asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[dict[str, Any]] = []
        self.answer: dict[str, Any] = {"changed": False}
        self.failure: Exception | None = None
        monkeypatch.setattr(ActionBase, "run", lambda *_arguments: {})
        monkeypatch.setattr(ActionBase, "_execute_module", lambda _self, **asked: self.execute(**asked))

    def execute(self, module_args: dict[str, Any], **_more: Any) -> dict[str, Any]:
        self.asked.append(module_args)
        if self.failure:
            raise self.failure
        return dict(self.answer)

    def run(self, phase: str, limit: str | None = None, **args: Any) -> dict[str, Any]:
        name = "atlassian_dc.hardening.fail2ban_relay"
        args = {"phase": phase, "instances": [{"name": "jira", "product": "jira"}], **args}
        named = {"resolved_action": name, "action": name}
        task: Any = SimpleNamespace(args=args, check_mode=True, tags=[], _role=None, **named)
        action: Any = ActionModule.__new__(ActionModule)
        action._task = task
        addresses = {"jira1": "192.0.2.10", "proxy1": "192.0.2.80"}
        hosts = {name: {"ansible_host": address} for name, address in addresses.items()}
        limited = {"ansible_limit": limit} if limit else {}
        result = action.run(None, {"hostvars": hosts, "inventory_hostname": "jira1", **limited})
        return dict(result)


@pytest.fixture
def controller(monkeypatch: pytest.MonkeyPatch) -> Controller:
    return Controller(monkeypatch)


def test_the_module_gets_addresses(controller: Controller) -> None:
    controller.run("key", proxies=["proxy1"])
    assert controller.asked[0]["proxies"] == ["192.0.2.80"]
    controller.run("proxy", proxy="proxy1", addresses=["2001:db8::10"], ignore=["198.51.100.0/24"])
    asked = controller.asked[1]
    assert asked["addresses"] == ["2001:db8::10", "192.0.2.10"]
    assert (asked["source"], asked["address"]) == ("jira1", "192.0.2.80")
    assert asked["ignore"] == ["198.51.100.0/24", "2001:db8::10", "192.0.2.10", "192.0.2.80"]
    assert asked["inventory"] == ["jira1", "proxy1"]


def test_nothing_is_told_for_a_host_nobody_logs_in_to(controller: Controller) -> None:
    agent, jira = {"name": "agent", "product": "bamboo_agent"}, {"name": "jira", "product": "jira"}
    assert controller.run("key", instances=[agent])["skipped"]
    assert controller.asked == []
    controller.run("key", instances=[agent, jira])
    assert controller.asked[0]["instances"] == [jira]


def test_a_limited_run_does_not_know_the_inventory(controller: Controller) -> None:
    controller.run("proxy", limit="jira1", proxy="proxy1")
    assert "inventory" not in controller.asked[0]


@pytest.mark.parametrize("reached", [False, True])
def test_a_proxy_that_is_away_does_not_stop_the_host(controller: Controller, reached: bool) -> None:
    controller.failure = None if reached else AnsibleConnectionFailure("timed out")
    controller.answer = {"failed": True, "msg": "sudo: timed out", "changed": False}
    result = controller.run("proxy", proxy="proxy1")
    assert not result.get("failed")
    assert "timed out" in result["refused"][0]
    assert (result["proxy"], result["port"]) == ("proxy1", None)


def test_a_proxy_without_an_address_is_told(controller: Controller) -> None:
    result = controller.run("proxy", proxy="nowhere.invalid")
    assert controller.asked == []
    assert result["refused"][0].startswith("nowhere.invalid: ")


def test_the_other_phases_fail_as_usual(controller: Controller) -> None:
    controller.failure = AnsibleConnectionFailure("timed out")
    with pytest.raises(AnsibleConnectionFailure):
        controller.run("key", proxies=["proxy1"])
