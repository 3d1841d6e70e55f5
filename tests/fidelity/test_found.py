# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Installations as they are found: without a unit, on odd mounts, with odd files, while others write."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from .lab import ACCOUNTS_AND_FILES, CHECKOUT, Lab, Outcome

SYSV, BY_HAND, MOUNTS, ODD, BUSY = "sysv", "byhand", "mounts", "odd", "busy"
SETUPS = {
    SYSV: ["sysv.sh"],
    BY_HAND: ["byhand.sh"],
    MOUNTS: ["mounts.sh"],
    ODD: ["installer.sh", "odd.py"],
    BUSY: ["busy.py fill"],
}
HOME, LOG = "/var/atlassian/application-data/jira", "/var/atlassian/application-data/jira/log"
ATTACHMENTS, SHARED, STORE = f"{HOME}/data/attachments", "/srv/jira-shared", "/srv/store"
CROSS = "atlassian_dc_file_permissions_cross_file_systems"
RESTART = {"atlassian_dc_allow_restart": True}
VARIABLES: dict[str, dict[str, Any]] = {
    **dict.fromkeys(SETUPS, RESTART),
    ODD: {
        **RESTART,
        "atlassian_dc_file_permissions_readers": [
            {"user": "monitor", "paths": [LOG]},
            {"group": "shippers", "paths": [LOG]},
        ],
    },
    BUSY: {},  # its product is stopped, and is changed as soon as its files are right
}
FILES = ("DC-DIR-01", "DC-DIR-02", "DC-DIR-03", "DC-DIR-04", "DC-DIR-05", "DC-LOG-04")
UNIT = ("DC-USR-01", "DC-USR-04")
# What a run changes on purpose outside the trees.
OURS = re.compile(
    r"/etc/((passwd|shadow|group|gshadow|subuid|subgid)-?|\.pwd\.lock|sudoers\.d/jira|systemd/system(/.*)?)"
)
STATES = """
find /etc /root /usr/local/sbin -path /root/.ansible -prune -o -printf '%p %y %U:%G %m %l\\n' | sort
find /etc /root /usr/local/sbin -path /root/.ansible -prune -o -type f -exec sha256sum {} + | sort -k 2
getfacl -R -s -p /etc /root /usr/local/sbin
"""
# Most memory and longest life of a module: a Python that gets its program through a pipe has no arguments.
WATCH = """
import glob, json, os, time
seen = {}
while True:
    for folder in glob.glob('/proc/[0-9]*'):
        try:
            words = open(f'{folder}/cmdline', 'rb').read().rstrip(bytes(1)).split(bytes(1))
            if len(words) != 1 or b'python3' not in words[0]:
                continue
            status = dict(line.split(':', 1) for line in open(f'{folder}/status') if ':' in line)
            begun = int(open(f'{folder}/stat').read().rpartition(')')[2].split()[19]) / os.sysconf('SC_CLK_TCK')
        except (OSError, ValueError):
            continue
        most, _age = seen.get((folder, begun), (0, 0))
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - begun
        seen[(folder, begun)] = (max(most, int(status.get('VmHWM', '0').split()[0])), age)
    if seen:
        figures = {'megabytes': max(seen.values())[0] / 1024, 'seconds': max(age for _most, age in seen.values())}
        with open('/run/watched.new', 'w') as stream:
            json.dump(figures, stream)
        os.rename('/run/watched.new', '/run/watched')
    time.sleep(0.1)
"""
Row = Callable[[str, str, str, bool], None]


def entries(outcome: Outcome, host: str, instance: str = "jira") -> dict[str, dict[str, Any]]:
    """Return the controls of an instance and of the host, by id."""
    return {entry["id"]: entry for entry in outcome.entries(host) if entry["instance"] in (instance, None)}


def proof(entry: dict[str, Any]) -> dict[str, str]:
    """Return what was found, by what it was found at."""
    return {item["what"]: item["actual"] for item in entry["evidence"]}


def code_block(language: str) -> str:
    """Return what the README of role service_user tells to write or run for a product without a unit."""
    text = (CHECKOUT / "roles/service_user/README.md").read_text(encoding="utf-8")
    section = text.split("## A unit for a product that has none")[1].split("\n## ")[0]
    return section.split(f"```{language}\n")[1].split("```")[0]


class Story:
    """What was done to all hosts, in order; what does not depend on one another, side by side."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.labs = [lab, Lab(lab.group.name, lab.folder / "second", lab.roles)]
        self.labs[1].folder.mkdir()
        self.variables = lab.folder / "variables.yml"
        self.declare(VARIABLES)
        with ThreadPoolExecutor(len(SETUPS)) as pool:
            list(pool.map(self.set_up, SETUPS))
        self.store_before = self.store()
        self.outside_before = lab.sh(BUSY, STATES)
        self.disturb()
        self.audit = self.play(lab, "audit")
        self.declare({**VARIABLES, MOUNTS: {**RESTART, CROSS: True}})
        self.harden = self.side_by_side(("harden", [SYSV, BY_HAND]), ("harden", [MOUNTS, ODD, BUSY]))
        self.figures = json.loads(lab.sh(BUSY, "cat /run/watched"))
        self.quiet()
        self.outside_after = lab.sh(BUSY, STATES)
        self.again = self.side_by_side(("harden", [SYSV, BY_HAND, MOUNTS, ODD]), ("audit", [BUSY]))
        self.home_hardened = lab.sh(MOUNTS, f"stat -c '%U %a' {HOME} {HOME}/dbconfig.xml {HOME}/plugins")
        self.store_hardened = self.store()
        self.make_units()
        self.last = self.side_by_side(("harden", [SYSV, BUSY]), ("harden", [BY_HAND]))
        self.end = self.side_by_side(("audit", [BUSY]), ("rollback", [MOUNTS]))
        self.store_after = self.store()

    @property
    def outcomes(self) -> list[Outcome]:
        """All runs."""
        return [self.audit, *(run for runs in (self.harden, self.again, self.last, self.end) for run in runs.values())]

    def play(self, lab: Lab, playbook: str, hosts: Iterable[str] = tuple(SETUPS)) -> Outcome:
        only = ["--tags", "file_permissions"] if playbook == "rollback" else []
        return lab.play(playbook, "-i", str(self.variables), "--limit", ",".join(hosts), *only)

    def side_by_side(self, *runs: tuple[str, list[str]]) -> dict[str, Outcome]:
        """Run playbooks at the same time, each on hosts of its own; return the outcome by host."""
        with ThreadPoolExecutor(len(runs)) as pool:
            outcomes = list(pool.map(lambda lab, run: self.play(lab, *run), self.labs, runs))
        return {host: outcome for outcome, (_playbook, hosts) in zip(outcomes, runs, strict=True) for host in hosts}

    def declare(self, variables: dict[str, Any]) -> None:
        """Give hosts variables of their own."""
        self.variables.write_text(json.dumps({"all": {"hosts": variables}}), encoding="utf-8")

    @staticmethod
    def script(name: str) -> str:
        return (Path(__file__).parent / "found" / name).read_text(encoding="utf-8")

    def set_up(self, host: str) -> None:
        for name, *arguments in (setup.split() for setup in SETUPS[host]):
            program = ["sh", "-euc"] if name.endswith(".sh") else ["python3", "-c"]
            self.lab.group.output(host, [*program, self.script(name), *arguments])

    def disturb(self) -> None:
        """Let the service account of the busy host write and swap, and watch the module."""
        script = self.script("busy.py")
        run = ["systemd-run", "--quiet", "--collect"]
        for number, what in enumerate(("write", "write", "write", "swap")):
            unit = [f"--unit=disturb-{number}", "--uid=jira"]
            self.lab.group.output(BUSY, [*run, *unit, "python3", "-c", script.replace("$", "$$"), what])
        self.lab.group.output(BUSY, [*run, "--unit=watch", "python3", "-c", WATCH])

    def quiet(self) -> None:
        self.lab.sh(
            BUSY, "systemctl is-active disturb-0 disturb-1 disturb-2 disturb-3; systemctl stop 'disturb-*' watch"
        )

    def store(self) -> str:
        """Owner, mode and access lists of all that lies on the FUSE mounts, looked at where root may."""
        return self.lab.sh(
            MOUNTS,
            f"cd {STORE}; find attachments shared -printf '%p %u:%g %m\\n' | sort; getfacl -R -s attachments shared",
        )

    def make_units(self) -> None:
        """Do what the README tells."""
        self.lab.sh(BY_HAND, "sh /etc/init.d/jira stop; rm /etc/rc.local; systemctl stop rc-local.service")
        for host, steps in ((SYSV, code_block("sh")), (BY_HAND, code_block("sh").split("mv /etc/init.d/jira")[1])):
            steps = steps if host == SYSV else f"mv /etc/init.d/jira{steps}"
            unit = code_block("ini")
            self.lab.sh(host, f"cat > /etc/systemd/system/jira.service <<'EOF'\n{unit}EOF\n{steps}")


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    lab = Lab("fidelity-found", tmp_path_factory.mktemp("found"), ACCOUNTS_AND_FILES)
    try:
        lab.up([f"{host}=found" for host in SETUPS])
        yield Story(lab)
    finally:
        lab.down()


# ---- all of them -----------------------------------------------------------------------------------


def test_the_runs_end_well(story: Story) -> None:
    for outcome in story.outcomes:
        assert outcome.code == 0, outcome.output
        assert outcome.report.get("complete", True)
        assert outcome.report.get("summary", {}).get("error", 0) == 0


@pytest.mark.parametrize("host", [SYSV, BY_HAND, MOUNTS, ODD])
def test_a_second_harden_changes_nothing(story: Story, row: Row, host: str) -> None:
    found = story.again[host].changed_tasks(host)
    row(f"found, {host}: second harden", "no changes", ", ".join(found) or "no changes", not found)
    assert found == []
    assert not [action for action in story.again[host].executions(host) if action.endswith("product_service")]


@pytest.mark.parametrize(
    ("host", "unit", "port", "account"),
    [
        (SYSV, "jira.service", 8080, "jira"),
        (SYSV, "jira-ops.service", 8081, "jiraops"),
        (BY_HAND, "jira.service", 8080, "jira"),
        (MOUNTS, "jira.service", 8080, "jira"),
        (ODD, "jira.service", 8080, "jira1"),
    ],
)
def test_the_product_serves_as_the_right_account(
    story: Story, row: Row, host: str, unit: str, port: int, account: str
) -> None:
    found = story.lab.served_by(host, unit, port)
    row(f"found, {host}: {unit} in the end", f"serves as {account}", f"serves as {found}", found == account)
    assert found == account
    last = {**story.again, **story.last}[host]
    name = "jira" if host != SYSV else f"jira-{unit.removesuffix('.service')}"
    assert {entries(last, host, name)[control]["status"] for control in UNIT} <= {"pass", "fixed"}


# ---- how it is started -----------------------------------------------------------------------------


def test_a_sysv_script_that_changes_the_account_is_left_and_told(story: Story, row: Row) -> None:
    found = entries(story.harden[SYSV], SYSV, "jira-jira")
    told = proof(found["DC-USR-01"]).get("ExecStart= of jira.service", "")
    right = told == "/etc/init.d/jira, which changes the account by su"
    row("found, sysv: script with su", "fail, the script named", f"{found['DC-USR-01']['status']}, {told}", right)
    assert right
    assert {found[control]["status"] for control in UNIT} == {"fail"}
    assert {found[control]["pending"] for control in UNIT} == {None}
    assert told in found["DC-USR-01"]["reason"]
    # It goes on as it was, but for the groups its account no longer has.
    assert found["DC-USR-02"]["status"] == "fail"
    assert "login shell, which stays" in found["DC-USR-02"]["reason"]
    assert found["DC-USR-03"]["status"] == "fixed"
    instances = story.again[SYSV].report["hosts"][SYSV]["instances"]
    assert {item["name"]: item["running_user"] for item in instances} == {
        "jira-jira": "jira",
        "jira-jira-ops": "jiraops",
    }


def test_a_generated_unit_gets_its_drop_in(story: Story, row: Row) -> None:
    found = entries(story.harden[SYSV], SYSV, "jira-jira-ops")
    statuses = {control: found[control]["status"] for control in UNIT}
    row("found, sysv: script without su", "moved by a drop-in", ", ".join(statuses.values()), True)
    assert set(statuses.values()) == {"fixed"}
    path = story.lab.sh(SYSV, "systemctl show -P FragmentPath jira-ops.service").strip()
    assert path == "/run/systemd/generator.late/jira-ops.service"


def test_without_a_unit_it_is_told_and_nothing_breaks(story: Story, row: Row) -> None:
    for outcome in (story.audit, story.harden[BY_HAND], story.again[BY_HAND]):
        found = entries(outcome, BY_HAND)
        assert {found[control]["status"] for control in UNIT} == {"fail"}
        assert "the product has no systemd unit; make one" in found["DC-USR-01"]["reason"]
    actual = proof(entries(story.harden[BY_HAND], BY_HAND)["DC-USR-01"])["systemd unit"]
    right = re.fullmatch(r"started by /etc/init\.d/jira, process \d+ runs in session-\S+\.scope", actual) is not None
    row("found, byhand: unit", "fail, what starts it named", actual, right)
    assert right
    account = entries(story.harden[BY_HAND], BY_HAND)
    assert "login shell, which stays" in account["DC-USR-02"]["reason"]
    assert account["DC-USR-03"]["pending"] is None
    assert "restart the product the way you start it" in account["DC-USR-03"]["reason"]
    assert {account[control]["status"] for control in FILES} <= {"fixed", "pass"}


@pytest.mark.parametrize(("host", "instance"), [(SYSV, "jira-jira"), (BY_HAND, "jira")])
def test_what_the_readme_tells_puts_it_right(story: Story, row: Row, host: str, instance: str) -> None:
    found = entries(story.last[host], host, instance)
    controls = [*UNIT, "DC-USR-02", "DC-USR-03"]
    statuses = [found[control]["status"] for control in controls]
    right = set(statuses) <= {"pass", "fixed"}
    row(f"found, {host}: a unit as in the README", "all of DC-USR pass or fixed", ", ".join(statuses), right)
    assert right, [found[control]["reason"] for control in controls]


def test_the_account_of_the_user_file_is_taken(story: Story, row: Row) -> None:
    report = story.harden[ODD].report["hosts"][ODD]["instances"][0]
    owners = story.lab.sh(ODD, f"stat -c %U {HOME} {HOME}/dbconfig.xml; systemctl show -P User jira.service").split()
    row(
        "found, odd: account",
        "jira1",
        f"{report['service_account']}, {'/'.join(owners)}",
        set(owners) == {"jira1"},
    )
    assert report["service_account"] == "jira1"
    assert owners == ["jira1"] * 3
    messages = "\n".join(story.audit.report["messages"])
    assert "user.sh: names jira1, but the home directory belongs to legacy" in messages
    shells = story.lab.sh(ODD, "getent passwd jira legacy jira1 | cut -d: -f7").split()
    assert shells == ["/bin/bash", "/bin/bash", "/usr/sbin/nologin"]
    pids = story.lab.sh(ODD, "systemctl show -P MainPID jira; cat /opt/atlassian/jira/work/catalina.pid").split()
    assert pids[0] == pids[1] != "0"


# ---- mounts ----------------------------------------------------------------------------------------


def test_other_file_systems_are_not_checked_and_say_how(story: Story, row: Row) -> None:
    found = entries(story.audit, MOUNTS)["DC-DIR-05"]
    row(
        "found, mounts: FUSE and network mounts",
        "DC-DIR-05 not_checked",
        found["status"],
        found["status"] == "not_checked",
    )
    assert found["status"] == "not_checked"
    left = {
        ATTACHMENTS: f"not looked at: it is another file system (fuse), left out unless {CROSS} is true",
        SHARED: f"not looked at: it is on a network file system (fuse.sshfs), left out unless {CROSS} is true",
    }
    assert proof(found) == left
    assert left.items() <= proof(entries(story.audit, MOUNTS)["DC-DIR-03"]).items()
    problems = "\n".join(story.audit.report["messages"])
    assert f"{SHARED}: is the shared home according to cluster.properties, but root may not look at it" in problems
    assert "missing" not in problems


def test_the_home_on_its_own_mount_is_put_right(story: Story) -> None:
    assert story.home_hardened.splitlines() == ["jira 750", "jira 600", "jira 750"]
    assert story.lab.sh(MOUNTS, f"stat -f -c %T {HOME}").strip() == "tmpfs"


def test_the_sandbox_lets_the_product_write_where_root_may_not_look(story: Story, row: Row) -> None:
    script = f"""
    inside="nsenter --target=$(systemctl show -P MainPID jira.service) --mount -- runuser -u jira --"
    for folder in {ATTACHMENTS} {SHARED}/data {HOME}/tmp; do
      $inside touch $folder/probe
      $inside rm $folder/probe
    done
    $inside touch /srv/probe /usr/local/probe 2>&1 || true
    """
    said = story.lab.sh(MOUNTS, script)
    row("found, mounts: sandbox", "writes there, nowhere else", said.strip().rpartition(": ")[2], "Read-only" in said)
    assert "Read-only file system" in said


def test_where_root_may_not_look_the_account_puts_it_right(story: Story, row: Row) -> None:
    found = entries(story.again[MOUNTS], MOUNTS)
    path = f"{ATTACHMENTS}/DEMO/10000/DEMO-1/10000"
    files, _marker, lists = story.store_hardened.partition("# file: ")
    wrong = [line for line in files.splitlines() if not re.fullmatch(r"\S+ jira:jira [0-7][045]0", line)]
    row(
        "found, mounts: files below FUSE mounts",
        "wrong: the one of root",
        f"wrong: {', '.join(wrong)}",
        len(wrong) == 1,
    )
    assert wrong == ["attachments/DEMO/10000/DEMO-1/10000 root:root 777"]
    assert "user:daemon:rw" in story.store_before
    assert "user:daemon" not in lists
    assert {found[control]["status"] for control in ("DC-DIR-03", "DC-DIR-05")} == {"fail"}
    assert list(proof(found["DC-DIR-03"])) == [path]
    why = proof(found["DC-DIR-03"])[path]
    assert "root:root" in why
    assert "another account owns it" in why
    assert "tried as jira because root may not look here" in why
    assert {found[control]["status"] for control in ("DC-DIR-01", "DC-DIR-02", "DC-DIR-04", "DC-LOG-04")} == {"pass"}


def test_what_the_account_changed_is_taken_back(story: Story, row: Row) -> None:
    before, after = story.store_before.splitlines(), story.store_after.splitlines()
    changed = set(story.store_hardened.splitlines()) ^ set(before)
    left = set(before) ^ set(after)
    row(
        "found, mounts: rollback below FUSE mounts",
        "as before",
        f"{len(left)} of {len(changed)} lines differ",
        not left,
    )
    assert len(changed) > 1000
    assert sorted(left)[:10] == []


# ---- odd files -------------------------------------------------------------------------------------


def test_declared_readers_keep_their_access_and_nobody_else(story: Story, row: Row) -> None:
    read = f"cat {LOG}/atlassian-jira.log {LOG}/audit/20261120.00000.audit.log > /dev/null 2>&1"
    accounts = ("monitor", "shipper", "intruder")
    found = story.lab.sh(
        ODD, "".join(f"runuser -u {who} -- {read} && echo {who}\n" for who in accounts) + "true"
    ).split()
    row("found, odd: who reads the logs", "monitor, shipper", ", ".join(found), found == ["monitor", "shipper"])
    assert found == ["monitor", "shipper"]
    # Also for what the product writes from now on.
    story.lab.sh(ODD, f"runuser -u jira1 -- sh -c 'umask 027; echo new > {LOG}/new.log'")
    lists = story.lab.sh(ODD, f"getfacl -R -p {HOME} /opt/atlassian/jira 2>/dev/null | grep -c user:intruder || true")
    assert int(lists) == 1  # of the file that cannot be changed
    for account in ("monitor", "shipper"):
        story.lab.sh(ODD, f"runuser -u {account} -- cat {LOG}/new.log")
    assert entries(story.again[ODD], ODD)["DC-LOG-04"]["status"] == "fail"


def test_files_of_vanished_accounts_get_an_owner(story: Story) -> None:
    said = proof(entries(story.audit, ODD)["DC-DIR-05"])
    assert "owner or group does not exist" in said[f"{HOME}/data/vanished"]
    owners = story.lab.sh(ODD, f"stat -c %U:%G {HOME}/data/vanished /opt/atlassian/jira/lib/vanished.jar").split()
    assert owners == ["jira1:jira1", "root:root"]
    assert story.lab.sh(ODD, f"find {HOME} /opt/atlassian/jira -nouser -o -nogroup") == ""


def test_what_cannot_be_changed_fails_with_its_reason(story: Story, row: Row) -> None:
    found = {control: proof(entry) for control, entry in entries(story.again[ODD], ODD).items()}
    immutable = "not put right: Operation not permitted (immutable attribute, which lsattr shows"
    for control, path, why in (
        ("DC-DIR-01", "/opt/atlassian/jira/conf/catalina.properties", immutable),
        ("DC-LOG-04", f"{LOG}/atlassian-jira-sql.log", immutable),
        ("DC-DIR-03", f"{HOME}/logos", immutable),
        ("DC-DIR-03", f"{HOME}/data/odd/hard-link", "it has 2 hard links; remove the others or replace it by a copy"),
        ("DC-DIR-05", f"{HOME}/data/odd/device", "character device"),
    ):
        said = found[control].get(path, "not named")
        row(f"found, odd: {path.rpartition('/')[2]}", "fail, with the reason", said, why in said)
        assert why in said
        assert len(found[control]) <= 3
    assert story.lab.sh(ODD, "stat -c '%U %a' /var/atlassian/elsewhere").strip() == "root 644"
    modes = story.lab.sh(ODD, f"cd {HOME}/data/odd; stat -c '%n %a' socket fifo own-link own-link-2").split("\n")
    assert modes[:4] == ["socket 750", "fifo 640", "own-link 640", "own-link-2 640"]


def test_names_of_any_bytes_are_put_right(story: Story) -> None:
    wrong = story.lab.sh(
        ODD, f"find {HOME} /opt/atlassian/jira -perm /022 ! -type l -printf '%i %m %f\\n'"
    ).splitlines()
    left = {"catalina.properties", "logos", "atlassian-jira-sql.log", "device", "hard-link"}
    assert {line.split(" ", 2)[2] for line in wrong} <= left


def test_reports_with_such_names_are_valid_and_readable(story: Story, row: Row) -> None:
    folder = story.lab.folder / "report1"
    text = (folder / "report.json").read_text(encoding="utf-8")
    names = "".join(item["what"] for entry in entries(story.audit, ODD).values() for item in entry["evidence"])
    for part in ("new\nline", "latin-\\xe9-\\xff", "esc\x1b[31mred", "<img src=x onerror=alert(1)>", "\u202e"):
        assert part in names
    assert json.loads(text) == story.audit.report

    parser = HTMLParser()
    page = (folder / "report.html").read_text(encoding="utf-8")
    parser.feed(page)
    parser.close()
    suites = ElementTree.parse(folder / "report.junit.xml").getroot()  # noqa: S314 - written by our own run
    steering = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2028\u2029\u2066-\u2069]")
    found = [name for name, shown in (("html", page), ("terminal", story.audit.output)) if steering.search(shown)]
    row(
        "found, odd: names in reports",
        "nothing steers a reader",
        ", ".join(found) or "nothing steers a reader",
        not found,
    )
    assert found == []
    assert "<img src=x" not in page
    assert len(list(suites.iter("testcase"))) > 80


# ---- while others write ----------------------------------------------------------------------------


def test_nothing_outside_is_touched_while_links_are_swapped_in(story: Story, row: Row) -> None:
    before, after = (
        {line for line in text.splitlines() if not OURS.search(line)}
        for text in (story.outside_before, story.outside_after)
    )
    changed = sorted(before ^ after)
    row("found, busy: /etc and /root", "as before", f"{len(changed)} lines differ", not changed)
    assert changed == []


def test_time_and_memory_are_bounded(story: Story, row: Row) -> None:
    figures = story.figures
    found = f"{figures['seconds']:.0f} s, {figures['megabytes']:.0f} MB"
    row("found, busy: walk over 200,000 files", "figures only", found, True)
    assert 0 < figures["megabytes"] < 300


def test_the_result_is_honest_and_the_next_run_ends_it(story: Story, row: Row) -> None:
    for control in ("DC-DIR-03", "DC-DIR-05"):
        during = entries(story.harden[BUSY], BUSY)[control]["status"]
        after = [entries(runs[BUSY], BUSY)[control]["status"] for runs in (story.again, story.last, story.end)]
        found = f"{during}, then {', '.join(after)}"
        right = during in ("fixed", "fail") and after == ["fail", "fixed", "pass"]
        row(f"found, busy: {control} while others write", "then fail, fixed, pass", found, right)
        assert right
    predicted, real, left = (
        {path for path in runs[BUSY].changes(BUSY) if path.startswith(HOME)}
        for runs in (story.again, story.last, story.end)
    )
    assert predicted == real != set()
    assert left == set()
