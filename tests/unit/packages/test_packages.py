# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages are installed by the system's own tools, here by stand-ins that answer in their words."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils import basic
from ansible_collections.atlassian_dc.hardening.plugins.module_utils import _packages
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._changes import ChangeError, Changes
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._packages import Apt, Dnf, State, package_manager
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._recorder import Recorder
from ansible_collections.atlassian_dc.hardening.plugins.modules import packages

Answer = tuple[int, str, str]

NO_NETWORK = (
    "W: Failed to fetch http://deb.example.com/dists/x/InRelease  Temporary failure resolving 'deb.example.com'\n"
    "E: Some index files failed to download. They have been ignored, or old ones used instead.\n"
)
LOCKED = "E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 4711 (unattended-upgr)\n"
NOT_FOUND = "E: Failed to fetch http://deb.example.com/tree_2.1.0-1.deb  404  Not Found\n"


class Debian:
    """A host of the Debian family, as its tools answer."""

    def __init__(self, folder: Path) -> None:
        self.policy, self.lock = folder / "policy-rc.d", folder / "lock"
        self.installed: dict[str, str] = {}
        self.states: dict[str, str] = {}
        self.lists: set[str] = set()
        self.repository = {"tree": "2.1.0-1", "fail2ban": "1.0.2-2"}
        self.files: dict[str, list[str]] = {}
        self.ran: list[list[str]] = []
        self.environments: list[dict[str, str]] = []
        self.update: Answer = (0, "", "")
        self.failures: list[Answer] = []
        self.foreign_policy = 0
        self.policies: list[str | None] = []

    def manager(self, lock_timeout: float = 0) -> Apt:
        return Apt(self, lock_timeout, policy=str(self.policy), lock=str(self.lock))

    def __call__(self, argv: list[str], environ_update: dict[str, str], **_options: Any) -> Answer:
        self.ran.append(argv)
        self.environments.append(environ_update)
        if argv[0] == "flock":
            argv = argv[argv.index(str(self.lock)) + 1 :]
        tool, name = Path(argv[0]).name, argv[-1]
        names = argv[argv.index("DPkg::Lock::Timeout=0") + 1 :] if argv[:2] == ["apt-get", "install"] else []
        if tool == "dpkg-query":
            if "--listfiles" in argv:
                return 0, "\n".join(self.files.get(name, [])), ""
            if name in self.installed:
                return 0, f"config-files\t0.9\ninstalled\t{self.installed[name]}\n", ""
            if name in self.states:
                return 0, f"{self.states[name]}\t1.0\n", ""
            return 1, "", f"dpkg-query: no packages found matching {name}\n"
        if tool == "apt-cache":
            return 0, f"{name}:\n  Installed: (none)\n  Candidate: 1\n" if name in self.lists else "", ""
        if argv[:2] == ["apt-get", "update"]:
            if not self.update[0]:
                self.lists |= set(self.repository)
            return self.update
        if argv[:2] == ["apt-get", "install"]:
            self.policies.append(self.policy.read_text(encoding="utf-8") if self.policy.is_file() else None)
            if self.failures:
                return self.failures.pop(0)
            self.installed.update({name: self.repository[name] for name in names})
            return 0, f"Setting up {name}\n", ""
        if tool == "policy-rc.d":
            return self.foreign_policy, "", ""
        assert argv[:3] == ["systemctl", "disable", "--"], argv
        return 0, "", ""

    def count(self, *words: str) -> int:
        return sum(all(word in argv for word in words) for argv in self.ran)


@pytest.fixture
def debian(tmp_path: Path) -> Debian:
    """Return a pristine host: nothing is installed, and it has no lists."""
    return Debian(tmp_path)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_packages, "POLL_SECONDS", 0.01)


def changes(check_mode: bool = False) -> Changes:
    return Changes(check_mode)


def refused(system: Any, name: str = "tree", **options: Any) -> str:
    """Return why a package was not installed."""
    made = changes()
    with pytest.raises(ChangeError) as caught:
        system.manager().ensure(made, name, **options)
    assert made.result() == {"changed": False, "dc_changes": [], "diff": []}
    return str(caught.value)


class TestCheckMode:
    def test_pristine(self, debian: Debian) -> None:
        made = changes(check_mode=True)
        assert debian.manager().ensure(made, "tree")
        entry = {"target": "package tree", "attribute": "existence", "before": "absent", "after": "installed"}
        assert made.entries == [entry]
        assert made.diff[0]["after"] == "existence: installed\n"
        assert {argv[0] for argv in debian.ran} == {"dpkg-query"}
        assert not debian.policy.exists()

    def test_predicts_what_a_real_run_does(self, debian: Debian) -> None:
        debian.installed["fail2ban"] = "1"
        results = []
        for check_mode in (True, False):
            made = changes(check_mode)
            assert debian.manager().ensure(made, "tree", "fail2ban") == ["tree"]
            results.append(made.result())
        assert results[0] == results[1]

    def test_broken_package_is_told(self, debian: Debian) -> None:
        debian.states["tree"] = "half-configured"
        with pytest.raises(ChangeError, match=r"package tree: is half-configured, .*dpkg --configure -a"):
            debian.manager().ensure(changes(check_mode=True), "tree")


class TestDebian:
    def test_installs_and_does_nothing_the_second_time(self, debian: Debian) -> None:
        assert debian.manager().ensure(changes(), "tree")
        assert debian.manager().state("tree") == State("2.1.0-1")
        ran = len(debian.ran)
        assert not debian.manager().ensure(changes(), "tree")
        assert {argv[0] for argv in debian.ran[ran:]} == {"dpkg-query"}

    def test_is_quiet_keeps_files_and_removes_nothing(self, debian: Debian) -> None:
        debian.manager().ensure(changes(), "tree")
        (argv,) = (argv for argv in debian.ran if "install" in argv)
        for word in ("--yes", "--no-install-recommends", "--no-remove", "DPkg::Options::=--force-confold"):
            assert word in argv
        environment = {"DEBIAN_FRONTEND": "noninteractive", "NEEDRESTART_SUSPEND": "1", "LC_ALL": "C"}
        assert all(given.items() >= environment.items() for given in debian.environments)

    @pytest.mark.parametrize("state", ["config-files", "not-installed"])
    def test_removed_before(self, debian: Debian, state: str) -> None:
        debian.states["tree"] = state
        assert debian.manager().ensure(changes(), "tree")

    @pytest.mark.parametrize("state", ["triggers-awaited", "triggers-pending"])
    def test_waiting_for_triggers_is_installed(self, debian: Debian, state: str) -> None:
        debian.states["tree"] = state
        assert debian.manager().state("tree") == State("1.0")

    @pytest.mark.parametrize("state", ["half-installed", "unpacked", "half-configured"])
    def test_unfinished(self, debian: Debian, state: str) -> None:
        debian.states["tree"] = state
        assert refused(debian).startswith(f"package tree: is {state}, because its installation was not ended; run dpkg")
        assert not debian.count("install")

    def test_broken_database(self, debian: Debian, monkeypatch: pytest.MonkeyPatch) -> None:
        answer = (2, "", "dpkg-query: error: parsing file '/var/lib/dpkg/status' near line 7\n")
        monkeypatch.setattr(Debian, "__call__", lambda *_arguments, **_options: answer)
        assert "package tree: dpkg-query cannot tell whether it is installed: dpkg-query: error" in refused(debian)


class TestSeveral:
    def test_all_at_once(self, debian: Debian) -> None:
        made = changes()
        assert debian.manager().ensure(made, "tree", "fail2ban", "tree") == ["tree", "fail2ban"]
        assert [entry["target"] for entry in made.entries] == ["package tree", "package fail2ban"]
        (argv,) = (argv for argv in debian.ran if "install" in argv)
        assert argv[-2:] == ["tree", "fail2ban"]
        assert debian.count("apt-get", "update") == 1

    def test_one_that_cannot_be_had_keeps_no_other_away(self, debian: Debian) -> None:
        made = changes()
        with pytest.raises(ChangeError, match=r"^package treee: no repository of this host offers it$"):
            debian.manager().ensure(made, "treee", "fail2ban")
        assert [entry["target"] for entry in made.entries] == ["package fail2ban"]
        assert "fail2ban" in debian.installed

    def test_which_of_them_fails_is_told(self, debian: Debian) -> None:
        debian.lists = {"tree", "fail2ban"}
        debian.failures = [(100, "", "E: Something\n")] * 2
        with pytest.raises(ChangeError, match=r"^package tree: E: Something$"):
            debian.manager().ensure(changes(), "tree", "fail2ban")
        assert set(debian.installed) == {"fail2ban"}

    def test_an_unfinished_one_and_a_good_one(self, debian: Debian) -> None:
        debian.states["tree"] = "half-configured"
        with pytest.raises(ChangeError, match="package tree: is half-configured"):
            debian.manager().ensure(changes(), "tree", "fail2ban")
        assert set(debian.installed) == {"fail2ban"}

    def test_after_a_full_disk_none_is_tried(self, debian: Debian) -> None:
        debian.lists = {"tree", "fail2ban"}
        debian.failures = [(100, "", "E: write error (28: No space left on device)\n")] * 9
        made = changes()
        with pytest.raises(ChangeError, match=r"package tree: .*No space left.*; package fail2ban: not attempted"):
            debian.manager().ensure(made, "tree", "fail2ban")
        assert (made.entries, debian.count("install")) == ([], 2)

    def test_another_program_is_waited_for_once(self, debian: Debian) -> None:
        debian.failures = [(100, "", LOCKED)] * 1000
        with pytest.raises(ChangeError, match=r"package tree: another program.*; package fail2ban: another program"):
            debian.manager(lock_timeout=0.5).ensure(changes(), "tree", "fail2ban")
        assert len(debian.failures) < 997

    def test_services_of_all_are_left_alone(self, debian: Debian) -> None:
        debian.files = {"fail2ban": ["/lib/systemd/system/fail2ban.service"], "tree": ["/usr/bin/tree"]}
        debian.manager().ensure(changes(), "tree", "fail2ban", start=False)
        assert debian.ran[-1] == ["systemctl", "disable", "--", "fail2ban.service"]


class TestLists:
    def test_fetched_where_they_miss_it(self, debian: Debian) -> None:
        debian.manager().ensure(changes(), "tree")
        assert debian.count("apt-get", "update") == 1

    def test_not_fetched_where_they_have_it(self, debian: Debian) -> None:
        debian.lists = {"tree"}
        debian.manager().ensure(changes(), "tree")
        assert debian.count("apt-get", "update") == 0

    def test_fetched_where_the_repository_has_a_newer_one(self, debian: Debian) -> None:
        debian.lists = {"tree"}
        debian.failures = [(100, "", NOT_FOUND)]
        assert debian.manager().ensure(changes(), "tree")
        assert (debian.count("apt-get", "update"), debian.count("install")) == (1, 2)

    def test_fetched_once(self, debian: Debian) -> None:
        debian.failures = [(100, "", NOT_FOUND)] * 2
        assert "files cannot be fetched" in refused(debian)
        assert (debian.count("apt-get", "update"), debian.count("install")) == (1, 1)

    def test_no_network(self, debian: Debian) -> None:
        debian.update = (100, "", NO_NETWORK)
        text = refused(debian)
        assert text.startswith("package tree: the lists of this host do not have it, and cannot be fetched anew: files")
        assert "does this host reach its repositories?" in text

    def test_one_repository_of_several_fails(self, debian: Debian) -> None:
        class Half(Debian):
            def __call__(self, argv: list[str], environ_update: dict[str, str], **options: Any) -> Answer:
                answer = super().__call__(argv, environ_update, **options)
                return (100, "", NO_NETWORK) if argv[:2] == ["apt-get", "update"] else answer

        assert Half(debian.policy.parent).manager().ensure(changes(), "tree")

    def test_no_candidate(self, debian: Debian) -> None:
        assert refused(debian, "treee") == "package treee: no repository of this host offers it"
        assert not debian.count("install")


class TestComplaints:
    @pytest.mark.parametrize(
        ("said", "meant"),
        [
            (NOT_FOUND, "files cannot be fetched; does this host reach its repositories?: E: Failed to fetch"),
            ("E: Unable to fetch some archives, maybe run apt-get update\n", "files cannot be fetched"),
            (
                "E: dpkg was interrupted, you must manually run 'dpkg --configure -a' to correct the problem.\n",
                "the installation of some package was cut off on this host; run dpkg --configure -a: E: dpkg was",
            ),
            (
                "E: Unmet dependencies. Try 'apt --fix-broken install' with no packages\n",
                "what other packages depend on is missing on this host; run apt-get --fix-broken install",
            ),
            (
                "E: Packages need to be removed but remove is disabled.\n",
                "other packages would have to be removed for it",
            ),
            ("E: Unable to correct problems, you have held broken packages.\n", "something that it depends on cannot"),
            ("W: GPG error: NO_PUBKEY 0123\nE: The repository is not signed.\n", "not signed as it should be: E: The"),
            (
                "dpkg: error processing package tree (--configure):\n installed post-installation script returned 1\n"
                "E: Sub-process /usr/bin/dpkg returned an error code (1)\n",
                "a script of the package failed: dpkg: error processing package tree (--configure):; installed post-",
            ),
            ("E: Something new\n", "package tree: E: Something new"),
            ("", "package tree: no message"),
        ],
    )
    def test_apt(self, debian: Debian, said: str, meant: str) -> None:
        debian.lists = {"tree"}
        debian.failures = [(100, "", said)] * 2
        text = refused(debian)
        assert text.startswith("package tree: ")
        assert meant in text
        assert not debian.policy.exists()

    def test_what_is_left_half_done_is_told(self, debian: Debian) -> None:
        def fail(argv: list[str], environ_update: dict[str, str], **_options: Any) -> Answer:
            if "install" in argv:
                debian.states["tree"] = "half-configured"
                return 100, "", "E: Sub-process /usr/bin/dpkg returned an error code (1)\n"
            return debian(argv, environ_update)

        debian.lists = {"tree"}
        manager = Apt(fail, 0, policy=str(debian.policy), lock=str(debian.lock))
        with pytest.raises(ChangeError, match=r"a script of the package failed.*\. It is left half-configured$"):
            manager.ensure(changes(), "tree")

    def test_success_that_is_none(self, debian: Debian) -> None:
        debian.failures = [(0, "", "")]
        assert refused(debian) == "package tree: was not installed after all"

    def test_full_disk_is_a_fault_of_the_host(self, debian: Debian) -> None:
        debian.failures = [
            (
                100,
                "",
                "dpkg: error processing archive /var/cache/apt/archives/tree.deb (--unpack):\n"
                " cannot copy extracted data for './usr/bin/tree': failed to write (No space left on device)\n"
                "E: Sub-process /usr/bin/dpkg returned an error code (1)\n",
            )
        ]
        made = changes()
        with pytest.raises(ChangeError):
            debian.manager().ensure(made, "tree")
        assert "No space left on device" in str(made.fault)

    def test_long_complaints_are_cut(self, debian: Debian) -> None:
        debian.lists = {"tree"}
        debian.failures = [(100, "", f"E: {'x' * 9000}\n")]
        assert len(refused(debian)) < 600


class TestLock:
    def test_waits(self, debian: Debian) -> None:
        debian.failures = [(100, "", LOCKED)] * 3
        assert debian.manager(lock_timeout=60).ensure(changes(), "tree")
        assert debian.count("install") == 4

    @pytest.mark.parametrize(("failure", "who"), [((100, "", LOCKED), ": E: Could not get lock"), ((75, "", ""), "")])
    def test_gives_up(self, debian: Debian, failure: Answer, who: str) -> None:
        debian.failures = [failure] * 1000
        made = changes()
        with pytest.raises(ChangeError) as caught:
            debian.manager(lock_timeout=0.5).ensure(made, "tree")
        text = "package tree: another program is using the package manager, and still was after 0.5 seconds; wait until"
        assert str(caught.value).startswith(f"{text} it has ended{who}")
        assert len(debian.failures) < 999
        assert not debian.policy.exists()

    def test_of_the_lists(self, debian: Debian) -> None:
        debian.update = (100, "", "E: Could not get lock /var/lib/apt/lists/lock. It is held by process 12 (apt-get)\n")
        assert "held by process 12 (apt-get)" in refused(debian)


class TestServices:
    UNITS = ("/lib/systemd/system/fail2ban.service", "/usr/lib/systemd/system/fail2ban.timer")

    def allowed(self, debian: Debian, action: str) -> int:
        """Return what the policy that was in force says to an action, while the installation goes on."""
        script = debian.policies[0]
        assert script is not None
        argv = ["flock", "--close", str(debian.lock), "sh", "-c", script, "policy", "x.service", action]
        return subprocess.run(argv, check=False).returncode

    def test_only_new_ones_are_started(self, debian: Debian) -> None:
        debian.manager().ensure(changes(), "fail2ban")
        assert self.allowed(debian, "start") == 0
        assert [self.allowed(debian, action) for action in ("restart", "stop", "try-restart")] == [101] * 3
        assert not debian.policy.exists()
        assert not debian.count("systemctl")

    def test_none_is_started_or_enabled(self, debian: Debian) -> None:
        debian.files["fail2ban"] = [*self.UNITS, "/lib/systemd/system/x@.service", "/usr/share/doc/fail2ban"]
        debian.manager().ensure(changes(), "fail2ban", start=False)
        assert [self.allowed(debian, action) for action in ("start", "restart", "stop")] == [101] * 3
        assert debian.ran[-1] == ["systemctl", "disable", "--", "fail2ban.service", "fail2ban.timer"]
        assert not debian.policy.exists()

    def test_one_that_was_installed_is_left_enabled(self, debian: Debian) -> None:
        debian.installed["fail2ban"] = "1"
        debian.files["fail2ban"] = [*self.UNITS]
        assert not debian.manager().ensure(changes(), "fail2ban", start=False)
        assert not debian.count("systemctl")

    def test_a_policy_left_behind_is_void_and_goes(self, debian: Debian) -> None:
        debian.manager().ensure(changes(), "tree")
        script = debian.policies[0] or ""
        assert subprocess.run(["sh", "-c", script, "policy", "x", "restart"], check=False).returncode == 0
        debian.policy.write_text(script)
        debian.manager().ensure(changes(), "fail2ban", start=False)
        assert not debian.policy.exists()

    def test_a_policy_of_the_host_stays(self, debian: Debian) -> None:
        debian.policy.write_text("#!/bin/sh\nexit 101\n")
        debian.policy.chmod(0o755)
        debian.foreign_policy = 101
        assert debian.manager().ensure(changes(), "tree", start=False)
        assert debian.manager().ensure(changes(), "fail2ban", start=True)
        assert debian.policies == ["#!/bin/sh\nexit 101\n"] * 2
        assert debian.policy.read_text() == "#!/bin/sh\nexit 101\n"

    @pytest.mark.parametrize("mode", [0o755, 0o644])
    def test_a_policy_of_the_host_that_lets_it_start(self, debian: Debian, mode: int) -> None:
        debian.policy.write_text("#!/bin/sh\nexit 0\n")
        debian.policy.chmod(mode)
        assert f"but {debian.policy} of this host lets it start" in refused(debian, start=False)
        assert not debian.count("install")
        assert debian.manager().ensure(changes(), "tree", start=True)

    def test_a_link_in_its_place_is_not_followed(self, debian: Debian, tmp_path: Path) -> None:
        debian.policy.symlink_to(tmp_path / "nowhere")
        assert "lets it start" in refused(debian, start=False)
        assert not (tmp_path / "nowhere").exists()

    def test_a_policy_that_cannot_be_written(self, debian: Debian) -> None:
        manager = Apt(debian, 0, policy="/nowhere/policy-rc.d", lock=str(debian.lock))
        with pytest.raises(ChangeError, match=r"package tree: /nowhere/policy-rc\.d, which keeps services from being"):
            manager.ensure(changes(), "tree")
        assert not debian.count("install")


class RedHat:
    """A host of the Red Hat family, as its tools answer."""

    def __init__(self) -> None:
        self.installed: dict[str, str] = {}
        self.ran: list[list[str]] = []
        self.failures: list[Answer] = []

    def manager(self, lock_timeout: float = 0) -> Dnf:
        return Dnf(self, lock_timeout)

    def __call__(self, argv: list[str], **_options: Any) -> Answer:
        self.ran.append(argv)
        name = argv[-1]
        if argv[:2] == ["rpm", "--query"]:
            if "--list" in argv:
                return 0, "/usr/lib/systemd/system/firewalld.service\n/usr/bin/firewall-cmd\n", ""
            if name in self.installed:
                return 0, f"{self.installed[name]}\n", ""
            return 1, f"package {name} is not installed\n", ""
        if argv[0] == "dnf":
            if self.failures:
                return self.failures.pop(0)
            self.installed[name] = "1.2-3.el9"
        return 0, "", ""


@pytest.fixture
def redhat() -> RedHat:
    return RedHat()


class TestRedHat:
    def test_check_mode(self, redhat: RedHat) -> None:
        made = changes(check_mode=True)
        assert redhat.manager().ensure(made, "firewalld")
        assert made.entries[0]["target"] == "package firewalld"
        assert {argv[0] for argv in redhat.ran} == {"rpm"}

    def test_installs(self, redhat: RedHat) -> None:
        assert redhat.manager().ensure(changes(), "firewalld")
        assert redhat.manager().state("firewalld") == State("1.2-3.el9")
        assert not redhat.manager().ensure(changes(), "firewalld")
        (argv,) = (argv for argv in redhat.ran if argv[0] == "dnf")
        assert argv[1:] == [
            "--assumeyes",
            "--setopt=install_weak_deps=False",
            "--setopt=exit_on_lock=True",
            "install",
            "firewalld",
        ]

    def test_not_enabled(self, redhat: RedHat) -> None:
        redhat.manager().ensure(changes(), "firewalld", start=False)
        assert redhat.ran[-1] == ["systemctl", "disable", "--", "firewalld.service"]

    def test_waits_for_the_lock(self, redhat: RedHat) -> None:
        redhat.failures = [(200, "", ""), (1, "", "Failed to obtain the transaction lock\n")]
        assert redhat.manager(lock_timeout=60).ensure(changes(), "firewalld")
        redhat.failures = [(200, "", "")] * 1000
        assert "another program is using the package manager" in refused(redhat, "tree")

    @pytest.mark.parametrize(
        ("said", "meant"),
        [
            ("Error: Unable to find a match: tree\n", "no repository of this host offers it: Error: Unable to find"),
            ("Error: Failed to download metadata for repo 'baseos'\n", "files cannot be fetched; does this host reach"),
            ("Error: Error downloading packages:\n  Curl error (6)\n", "Error downloading packages:; Curl error (6)"),
            ("Error: \n Problem: nothing provides libx needed by tree\n", "something that it depends on cannot be"),
            ("Error: GPG check FAILED\n", "the repository is not signed"),
            ("Error: There are no enabled repositories in /etc/yum.repos.d\n", "no repository is enabled on this host"),
        ],
    )
    def test_complaints(self, redhat: RedHat, said: str, meant: str) -> None:
        redhat.failures = [(1, "", said)]
        text = refused(redhat)
        assert text.startswith("package tree: ")
        assert meant in text

    def test_broken_database(self, redhat: RedHat, monkeypatch: pytest.MonkeyPatch) -> None:
        answer = (1, "", "error: rpmdb open failed\n")
        monkeypatch.setattr(RedHat, "__call__", lambda *_arguments, **_options: answer)
        assert "rpm cannot tell whether it is installed: the database of rpm is broken" in refused(redhat)


class TestWhichOne:
    @pytest.mark.parametrize(
        ("there", "expected"),
        [(Apt.tools, Apt), (Dnf.tools, Dnf), ((*Apt.tools, *Dnf.tools), Apt), (("apt-get", *Dnf.tools), Dnf)],
    )
    def test_by_its_tools(self, debian: Debian, there: tuple[str, ...], expected: type) -> None:
        found = package_manager(debian, find=lambda tool: tool if tool in there else None)
        assert isinstance(found, expected)

    def test_none(self, debian: Debian) -> None:
        with pytest.raises(ChangeError, match="neither apt-get with dpkg nor dnf with rpm"):
            package_manager(debian, find=lambda _tool: None)

    @pytest.mark.parametrize(
        "name", ["", "-y", "tree-", "tree=1", "a b", "tree/stable", "tree*", "../x", "x\n", "é", "@c"]
    )
    def test_names_that_are_none(self, debian: Debian, name: str) -> None:
        with pytest.raises(ChangeError, match="is no name of a package"):
            debian.manager().ensure(changes(check_mode=True), name)
        assert debian.ran == []

    @pytest.mark.parametrize("name", ["g++", "libnftables1", "python3.11", "fonts-dejavu-core"])
    def test_names(self, name: str) -> None:
        _packages.check_name(name)


def test_the_record_says_that_it_stays(debian: Debian, tmp_path: Path) -> None:
    recorder = Recorder("run1", "firewall", str(tmp_path / "state"))
    debian.manager().ensure(Changes(False, recorder=recorder), "tree")
    recorder.close()
    (journal,) = (tmp_path / "state").rglob("*.jsonl")
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    (line,) = (line for line in lines if isinstance(line, dict) and line.get("kind") == "command")
    assert (line["target"], line["attribute"], line["undo"]) == ("package tree", "existence", None)


class TestModule:
    @pytest.fixture
    def run(
        self, debian: Debian, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> Callable[..., dict[str, Any]]:
        monkeypatch.setattr(basic, "_ANSIBLE_PROFILE", "legacy", raising=False)  # ansible-core 2.19 and newer
        monkeypatch.setattr(packages, "package_manager", lambda _run, timeout: debian.manager(timeout))

        def run(**arguments: Any) -> dict[str, Any]:
            parameters = {"lock_timeout": 0, **arguments, "_ansible_check_mode": arguments.pop("check", False)}
            parameters.pop("check", None)
            monkeypatch.setattr(basic, "_ANSIBLE_ARGS", json.dumps({"ANSIBLE_MODULE_ARGS": parameters}).encode())
            with pytest.raises(SystemExit):
                packages.main()
            result: dict[str, Any] = json.loads(capsys.readouterr().out)
            return result

        return run

    def test_both_modes(self, debian: Debian, run: Callable[..., dict[str, Any]]) -> None:
        debian.installed["fail2ban"] = "1"
        names = ["tree", "fail2ban", "tree"]
        predicted = run(names=names, check=True)
        assert (predicted["changed"], predicted["installed"]) == (True, ["tree"])
        assert predicted["versions"] == {"tree": None, "fail2ban": "1"}
        done = run(names=names)
        assert done["dc_changes"] == predicted["dc_changes"]
        assert (done["installed"], done["versions"]) == (["tree"], {"tree": "2.1.0-1", "fail2ban": "1"})
        again = run(names=names)
        assert (again["changed"], again["installed"], again["diff"]) == (False, [], [])

    def test_the_others_are_installed_where_one_fails(self, run: Callable[..., dict[str, Any]]) -> None:
        result = run(names=["treee", "tree"])
        assert result["failed"]
        assert result["msg"] == "package treee: no repository of this host offers it"
        assert (result["installed"], result["versions"]) == (["tree"], {"treee": None, "tree": "2.1.0-1"})

    def test_a_bad_name_stops_before_anything_is_done(self, debian: Debian, run: Callable[..., dict[str, Any]]) -> None:
        assert "'tree=1' is no name of a package" in run(names=["fail2ban", "tree=1"])["msg"]
        assert debian.ran == []

    def test_documentation(self) -> None:
        options = yaml.safe_load(packages.DOCUMENTATION)["options"]
        assert set(options) == {"names", "state", "start", "lock_timeout"}
        assert options["lock_timeout"]["default"] == _packages.LOCK_SECONDS
