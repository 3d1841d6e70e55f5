# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backups of a product with a real database, in a repository that removes nothing, and what breaks them.

Each fault of `docs/backup.md` is one of these: it is told, leaves no backup, and the next run makes one.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._restore_result import Check, Result, utc

from .held import WAITING, begin
from .lab import BY_HAND, CHECKOUT, Lab, Outcome, differing
from .repositories import PASSWORD, open_at_once, repository, restic, trust

JIRA, BITBUCKET, SERVER = "jira1", "bitbucket1", "repository1"
HOSTS = (f"{JIRA}=jira_database:bookworm", f"{BITBUCKET}=bitbucket_database:trixie", f"{SERVER}=repository:bookworm")
ROLE = ("--tags", "DC-BKP-01,DC-BKP-02,DC-BKP-03,DC-BKP-05", "--limit", JIRA)
CONTROLS = ("DC-BKP-01", "DC-BKP-02", "DC-BKP-03", "DC-BKP-05")
UNIT = "atlassian-dc-backup@jira"
STATE = "/var/lib/atlassian-dc-backup/jira/last.json"
SECRETS = "/etc/atlassian-dc/backup/jira.secrets.json"
HOME = "/var/atlassian/application-data/jira"
Row = Callable[[str, str, str, bool], None]


class Story:
    """The way of the host from pristine to backed up."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        trust(lab, SERVER, JIRA, BITBUCKET)
        # A file of each kind that restic could stumble over.
        lab.sh(
            JIRA,
            f"""
            cd {HOME}/data/attachments
            printf 'odd' > '[a] name* with \\\\ and "quotes"'
            printf 'umlaut' > $(printf 'gr\\303\\274n')
            head -c 3000000 /dev/urandom > large
            chmod 0600 large
            """,
        )
        self.unset = lab.play("audit", *ROLE)
        self.check = self.play("harden", "--check")
        self.before = lab.snapshot(JIRA)
        self.harden = self.play("harden")
        self.after = lab.snapshot(JIRA)
        open_at_once(lab, SERVER, "jira")
        self.second = self.play("harden")

    def play(self, playbook: str, *arguments: str, **variables: Any) -> Outcome:
        return self.lab.play(
            playbook,
            *ROLE,
            *arguments,
            atlassian_dc_backup_repository=repository(SERVER, "jira"),
            **BY_HAND,
            **variables,
        )

    def judge(self, playbook: str) -> Outcome:
        """Run a playbook for all controls of backups."""
        return self.play(playbook, "--tags", "backup")

    def state(self) -> dict[str, Any]:
        return dict(json.loads(self.lab.sh(JIRA, f"cat {STATE}")))

    def backup(self) -> dict[str, Any]:
        """Make a backup; return what it leaves, whatever becomes of it."""
        self.lab.sh(JIRA, f"systemctl start {UNIT} || true")
        return self.state()

    def restic(self, words: str) -> str:
        return restic(self.lab, SERVER, "jira", words)

    def whole(self) -> set[str]:
        """Return the names of the backups that have a manifest."""
        found = json.loads(self.restic("snapshots --json --tag part=manifest"))
        return {tag.partition("=")[2] for item in found for tag in item["tags"] if tag.startswith("backup=")}

    def part(self, name: str) -> str:
        """Return the newest snapshot of a part."""
        found = json.loads(self.restic(f"snapshots --json --tag part={name}"))
        return str(max(found, key=lambda item: item["time"])["id"])


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    lab = Lab("fidelity-backup", tmp_path_factory.mktemp("backup"))
    try:
        lab.up(HOSTS)
        yield Story(lab)
    finally:
        lab.down()


def judged(outcome: Outcome) -> str:
    """Return the statuses of 01, 02, 03 and 05."""
    found = {entry["id"]: entry["status"] for entry in outcome.entries(JIRA) if entry["instance"] == "jira"}
    return " ".join(found[control] for control in CONTROLS)


def test_without_a_repository_all_of_it_fails(story: Story) -> None:
    assert judged(story.unset) == "fail fail fail fail"
    assert "atlassian_dc_backup_repository is not set" in story.unset.reason(JIRA, "DC-BKP-03")


def test_what_is_predicted_is_what_is_done(story: Story, row: Row) -> None:
    for outcome in (story.check, story.harden, story.second):
        assert outcome.code == 0, outcome.output
    predicted, real = story.check.changes(JIRA), story.harden.changes(JIRA)
    row("backup: changes", f"{len(predicted)} predicted", f"{len(real)} made", predicted == real)
    assert predicted == real
    assert judged(story.check) == "fail fail fail fail"
    assert judged(story.harden) == "fixed fixed pass pass", story.harden.output


def test_a_second_run_changes_nothing(story: Story, row: Row) -> None:
    tasks = story.second.changed_tasks(JIRA)
    row("backup: second harden", "0 changes", f"{len(tasks)} changes", not tasks)
    assert tasks == []
    assert judged(story.second) == "pass pass pass pass"


def test_nothing_else_is_written(story: Story) -> None:
    """Packages, the account, and files of ours."""
    changed = {path for path in differing(story.before, story.after) if path.startswith(HOME)}
    assert not {path for path in changed if "/log" not in path}


def test_no_secret_is_shown(story: Story) -> None:
    for outcome in (story.check, story.harden):
        text = outcome.output + json.dumps(outcome.report)
        assert PASSWORD not in text
        assert "take-and-keep" not in text
    assert story.lab.sh(JIRA, f"stat -c %a:%U {SECRETS}").strip() == "600:root"
    assert PASSWORD not in story.lab.sh(JIRA, "journalctl -q -o cat; cat /etc/systemd/system/atlassian-dc-backup*")


def test_files_come_back_as_they_are(story: Story, row: Row) -> None:
    """Byte by byte, with owners, modes and times; whatever of the home is in the repository."""
    last = story.backup()
    assert last["result"] == "success", last
    snapshot = story.part(f"home-{JIRA}")
    listed = (
        f"find {HOME}/data {HOME}/plugins/installed-plugins -type f -printf '%p %s %m %T@ ' -exec sha256sum {{}} \\;"
    )
    here = story.lab.sh(JIRA, f"{listed} | sort")
    story.restic(f"restore {snapshot} --target /srv/back")
    there = story.lab.sh(SERVER, f"{listed.replace(HOME, '/srv/back' + HOME)} | sed s,/srv/back,,g | sort")
    row("backup: files that come back", f"{len(here.splitlines())}", f"{len(there.splitlines())}", here == there)
    assert here == there
    assert "caches" not in story.lab.sh(SERVER, f"ls /srv/back{HOME}").split()


def test_the_database_comes_back_as_it_is(story: Story, row: Row) -> None:
    """Its text, as a dump of the restored one has it, and the rows that the manifest tells."""
    last = story.backup()
    assert last["result"] == "success", last
    dump = story.part("database")
    text = story.restic(f"dump {story.part('manifest')} /manifest.json")
    manifest = json.loads(text)
    story.restic(f"dump {dump} /database.dump > /srv/database.dump")
    size = int(story.lab.sh(SERVER, "stat -c %s /srv/database.dump"))
    digest = story.lab.sh(SERVER, "sha256sum /srv/database.dump").split()[0]
    part = next(part for part in manifest["parts"] if part["part"] == "database")
    assert (size, digest) == (part["bytes"], part["sha256"])
    counted = story.lab.sh(
        JIRA,
        'runuser -u postgres -- psql -At -d jiradb -c "select count(*) from jiraissue" || true',
    ).strip()
    told = manifest["database"]["tables"]["public.jiraissue"]
    row("backup: rows of a table", counted, str(told), str(told) == counted)
    assert str(told) == counted


# ---- a product that is locked ----------------------------------------------------------------------------------------

PORT, LOGIN, TOLD = 7901, "t0ken", "/run/maintenance.json"
LOCKED, FOLDER = "atlassian-dc-backup@bitbucket", "/var/lib/atlassian-dc-backup/bitbucket"


class Locked:
    """Bitbucket, locked by a stand-in for that part of it."""

    def __init__(self, story: Story) -> None:
        self.lab = story.lab
        text = (CHECKOUT / "tests/maintenance.py").read_text(encoding="utf-8")
        self.lab.sh(BITBUCKET, f"cat > /run/maintenance.py <<'END'\n{text}END\n")
        run = f"python3 /run/maintenance.py {PORT} 'Bearer {LOGIN}' 3 {TOLD}"
        self.lab.sh(
            BITBUCKET, f"systemd-run -q --unit=maintenance {run}; until ss -ltn | grep -q :{PORT}; do sleep 0.1; done"
        )
        open_at_once(self.lab, SERVER, "bitbucket")
        self.harden = story.lab.play(
            "harden",
            *ROLE[:3],
            BITBUCKET,
            atlassian_dc_backup_repository=repository(SERVER, "bitbucket"),
            **BY_HAND,
            atlassian_dc_credentials={"bitbucket": {"token": LOGIN}},
            atlassian_dc_instances=[{"product": "bitbucket", "url": f"http://127.0.0.1:{PORT}"}],
        )
        # The first is left to the timer: nobody is locked out at any time of the day.
        self.lab.sh(BITBUCKET, f"systemctl start {LOCKED}")

    def told(self) -> dict[str, Any]:
        return dict(json.loads(self.lab.sh(BITBUCKET, f"cat {TOLD}")))


@pytest.fixture(scope="module")
def locked(story: Story) -> Locked:
    return Locked(story)


def test_the_product_is_locked_and_let_go(locked: Locked, row: Row) -> None:
    assert locked.harden.code == 0, locked.harden.output
    told = locked.told()
    steps = list(dict.fromkeys(told["asked"]))
    right = steps == ["POST lock", "POST backups", "GET state", "POST progress", "DELETE lock"] and not told["locked"]
    row("backup: Bitbucket's lock", "lock, backup, drain, progress, unlock", ", ".join(steps), right)
    assert right, told
    found = {
        entry["id"]: entry["status"] for entry in locked.harden.entries(BITBUCKET) if entry["instance"] == "bitbucket"
    }
    assert [found[control] for control in CONTROLS] == ["fixed", "fixed", "fail", "fail"]
    assert "is left to the timer" in locked.harden.reason(BITBUCKET, "DC-BKP-03")


@pytest.mark.parametrize("step", ["POST backups", "GET state", "POST progress", "DELETE lock"])
@pytest.mark.parametrize("whom", ["all", "main"])
def test_a_kill_at_any_step_leaves_no_lock(locked: Locked, row: Row, step: str, whom: str) -> None:
    locked.lab.sh(
        BITBUCKET,
        f"""
        rm {TOLD}
        echo '{step}' > {TOLD}.hold
        systemctl start --no-block {LOCKED}
        for i in $(seq 15000); do grep -qF '{step}"]' {TOLD} 2>/dev/null && break; sleep 0.02; done
        systemctl kill --kill-whom={whom} --signal=KILL {LOCKED}
        rm {TOLD}.hold
        for i in $(seq 3000); do
          case $(systemctl show -P ActiveState {LOCKED}) in failed|inactive)
            [ -e {FOLDER}/lock.json ] || grep -q '"running"' {FOLDER}/last.json \\
              || systemctl list-jobs --no-legend '*@bitbucket*' | grep -q . || break ;;
          esac
          sleep 0.1
        done
        """,
    )
    told = locked.told()
    lock = locked.lab.sh(BITBUCKET, f"ls {FOLDER}").split()
    right = not told["locked"] and "lock.json" not in lock
    row(f"backup: killed ({whom}) at {step}", "not locked", "locked" if told["locked"] else "not locked", right)
    assert right, told
    state = json.loads(locked.lab.sh(BITBUCKET, f"cat {FOLDER}/last.json"))
    assert (state["result"], "cut short" in state["reason"]) == ("failure", True)


# ---- what breaks it --------------------------------------------------------------------------------------------------

FAULTS: dict[str, tuple[str, str, str, str]] = {
    "the password of the repository is another one": (
        JIRA,
        f"cp {SECRETS} /root/kept; sed -i 's/{PASSWORD}/wrong/' {SECRETS}",
        f"cp /root/kept {SECRETS}",
        "the password of the repository is wrong",
    ),
    "the repository cannot be reached": (
        SERVER,
        "systemctl stop repository",
        "systemctl start repository",
        "it cannot be reached",
    ),
    "the disk of the repository is full": (
        SERVER,
        "mv /srv/repository /srv/kept; mkdir /srv/repository;"
        " mount -t tmpfs -o size=$(($(du -sk /srv/kept | cut -f1) + 64))k tmpfs /srv/repository;"
        " cp -r /srv/kept/jira /srv/repository/; cat /dev/zero > /srv/repository/full || true",
        "umount -l /srv/repository; rmdir /srv/repository; mv /srv/kept /srv/repository; systemctl restart repository",
        "nothing can be written to the repository",
    ),
    "the disk of the host is full": (
        JIRA,
        "mount -t tmpfs -o size=4k,mode=0700 tmpfs /var/lib/atlassian-dc-backup/jira;"
        " chown atlassian-dc-backup: /var/lib/atlassian-dc-backup/jira;"
        " head -c 4096 /dev/zero > /var/lib/atlassian-dc-backup/jira/full || true",
        "umount /var/lib/atlassian-dc-backup/jira",
        "",
    ),
    "the database is gone": (
        JIRA,
        "systemctl stop postgresql 'postgresql@*.service'",
        "systemctl start postgresql; until runuser -u postgres -- psql -c 'select 1' >/dev/null; do sleep 0.2; done",
        "the database refuses",
    ),
    "the database refuses the account": (
        JIRA,
        "runuser -u postgres -- psql -qc \"ALTER ROLE jiradbuser PASSWORD 'another'\"",
        "runuser -u postgres -- psql -qc \"ALTER ROLE jiradbuser PASSWORD 'Sup3rSecret-jiradb'\"",
        "password authentication failed",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_told_and_the_next_run_is_a_good_one(story: Story, row: Row, fault: str) -> None:
    host, break_it, mend_it, words = FAULTS[fault]
    before = story.whole()
    story.lab.sh(host, break_it)
    try:
        story.lab.sh(JIRA, f"! systemctl start {UNIT}")
        said = story.lab.sh(JIRA, "journalctl --sync; journalctl -q -o cat -t atlassian-dc-backup -n 3")
    finally:
        story.lab.sh(host, mend_it)
    after = story.whole()
    right = words in said and after == before
    row(f"backup: {fault}", words or "told", said.strip().splitlines()[-1][:80], right)
    assert right, said
    last = story.backup()
    assert last["result"] == "success", last
    assert story.whole() > before


MOMENTS = {
    "the database": (
        "pg_dump",
        f'case "$*" in *--version*) ;; *) /usr/bin/pg_dump "$@" | head -c 20000; {WAITING} ;; esac',
    ),
    "files": ("restic", f'case "$*" in *"backup "*part=home*) {WAITING} ;; esac'),
}
"""Where a backup waits: the program that waits in its place, and how that begins."""


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_kill_leaves_no_backup_and_the_next_run_makes_one(story: Story, row: Row, moment: str) -> None:
    before = story.whole()
    begin(story.lab, JIRA, f"{UNIT}.service", *MOMENTS[moment])
    story.lab.sh(JIRA, f"systemctl kill --kill-whom=all --signal=KILL {UNIT}")
    deadline = time.monotonic() + 300
    while story.state()["result"] == "running" and time.monotonic() < deadline:
        time.sleep(0.2)
    state, after = story.state(), story.whole()
    right = after == before and state["result"] == "failure" and "cut short" in state["reason"]
    row(f"backup: killed in the middle of {moment}", "no backup, and told", state["reason"], right)
    assert right, state
    outcome = story.play("audit")
    assert judged(outcome) == "pass pass fail pass"
    last = story.backup()
    assert last["result"] == "success", last


def test_a_host_that_dies_leaves_no_backup_and_the_next_run_makes_one(story: Story, row: Row) -> None:
    before = story.whole()
    begin(story.lab, JIRA, f"{UNIT}.service", *MOMENTS["the database"])
    story.lab.crash(JIRA)
    after, state = story.whole(), story.state()
    right = after == before and state["result"] == "running"
    row("backup: the host dies in the middle", "no backup", state["result"], right)
    assert right, state
    story.lab.sh(JIRA, "until runuser -u postgres -- psql -c 'select 1' >/dev/null 2>&1; do sleep 0.2; done")
    last = story.backup()
    assert last["result"] == "success", last


def test_a_damaged_pack_is_found_and_no_success_is_told(story: Story, row: Row) -> None:
    """By the check of the week in which its share of the data is read."""
    pack = story.lab.sh(SERVER, "cd /srv/repository/jira; ls -S data/*/* | head -n 1").strip()
    state = story.state() | {"checked": 0.0, "checks": int(pack.split("/")[-1][:2], 16) % 13}
    story.lab.sh(JIRA, f"cat > {STATE} <<'END'\n{json.dumps(state)}\nEND\n")
    story.lab.sh(
        SERVER,
        f"cd /srv/repository/jira; cp -p {pack} /srv/pack; chmod u+w {pack};"
        f" printf XXXXXXXX | dd of={pack} bs=1 seek=2000 conv=notrunc 2>/dev/null",
    )
    damaged = story.backup()
    right = damaged["result"] == "failure" and "does not pass its check" in damaged["reason"]
    row("backup: a damaged pack", "no success, and told", damaged["reason"][:80], right)
    assert right, damaged
    assert "damaged" in damaged["reason"]
    story.lab.sh(SERVER, f"cp -p /srv/pack /srv/repository/jira/{pack}")
    mended = story.backup()
    assert (mended["result"], mended["damage"]) == ("success", "")


def test_two_at_once_are_one_after_the_other(story: Story, row: Row) -> None:
    before = story.whole()
    story.lab.sh(JIRA, f"systemctl start {UNIT} & systemctl start {UNIT} & wait")
    made = story.whole() - before
    row("backup: started twice at once", "1 backup", f"{len(made)}", len(made) == 1)
    assert len(made) == 1


# ---- what is broken, and found ---------------------------------------------------------------------------------------

DRILL = "/var/lib/atlassian-dc-backup/jira1-jira/drill.json"
DROP_IN = f"/etc/systemd/system/{UNIT}.service.d/local.conf"
CONFIG = "/etc/atlassian-dc/backup/jira.json"


class Way(NamedTuple):
    """A way to break it.

    Attributes:
        name: what is done.
        breaks: the controls that must fail.
        by: shell commands on the host.
        words: must be in what is told of each.
        undo: shell commands that put right what only a person may; "" where the role does, or a backup or drill.

    """

    name: str
    breaks: tuple[str, ...]
    by: str
    words: str
    undo: str = ""


def edited(path: str, change: str) -> str:
    """Return commands that change what JSON in a file says of ``s``."""
    code = f"import json, time; s = json.load(open('{path}')); {change}; open('{path}', 'w').write(json.dumps(s))"
    return f'python3 -c "{code}"'


ROUNDS = (
    (
        Way("timer stopped", ("DC-BKP-01",), f"systemctl disable -q --now {UNIT}.timer", f"{UNIT}.timer"),
        Way("product in the group", ("DC-BKP-02",), "gpasswd -a jira atlassian-dc-backup", "jira is in the group"),
        Way("last try failed", ("DC-BKP-03",), edited(STATE, "s.update(result='failure', reason='no!')"), "no!"),
        Way("old drill", ("DC-BKP-04",), edited(DRILL, "s['finished'] = '2025-01-01T00:00:00Z'"), "days old"),
        Way("no keys", ("DC-BKP-05",), edited(STATE, "s['whole']['needed'][0]['present'] = False"), "not in the last"),
    ),
    (
        Way(
            "unit edited to run as root",
            ("DC-BKP-01",),
            f"sed -i s/^User=.*/User=root/ /etc/systemd/system/{UNIT}.service; systemctl daemon-reload",
            f"{UNIT}.service",
        ),
        Way("keeps one day only", ("DC-BKP-01",), edited(CONFIG, "s['keep'] = {'daily': 1}"), CONFIG),
        Way("old backup", ("DC-BKP-03",), edited(STATE, "s['whole']['finished'] -= 3 * 86400"), "is 3 days old"),
        Way("damaged repository", ("DC-BKP-03",), edited(STATE, "s['damage'] = 'pack 12'"), "is damaged: pack 12"),
        Way(
            "failed drill",
            ("DC-BKP-04",),
            edited(DRILL, "s['outcome'] = s['checks'][0]['outcome'] = 'failed'; s['checks'][0]['detail'] = 'bad'"),
            "bad",
        ),
    ),
    (
        Way("secrets open to others", ("DC-BKP-01", "DC-BKP-02"), f"chmod 0644 {SECRETS}", SECRETS),
        Way(
            "backup of tomorrow", ("DC-BKP-03",), edited(STATE, "s['whole']['finished'] += 2 * 86400"), "in the future"
        ),
        Way("no drill", ("DC-BKP-04",), f"rm {DRILL}", "no restore is known to have been tried"),
    ),
    (
        Way(
            "drop-in that runs it as root",
            ("DC-BKP-01",),
            f"mkdir -p {DROP_IN[:-11]}; printf '[Service]\\nUser=root\\n' > {DROP_IN}; systemctl daemon-reload",
            DROP_IN,
            f"rm -r {DROP_IN[:-11]}; systemctl daemon-reload",
        ),
        Way(
            "timer masked",
            ("DC-BKP-01",),
            f"ln -sf /dev/null /etc/systemd/system/{UNIT}.timer; systemctl daemon-reload",
            f"{UNIT}.timer",
            f"rm /etc/systemd/system/{UNIT}.timer; systemctl daemon-reload",
        ),
        Way("state removed", ("DC-BKP-03", "DC-BKP-05"), f"rm {STATE}", "no backup was made yet"),
    ),
)
TRIALS = [way for ways in ROUNDS for way in ways]


@pytest.fixture(scope="module")
def trials(story: Story) -> dict[str, tuple[set[str], Outcome, Outcome]]:
    """Break it in several ways at once, find that, put it right; return by way what was to fail, and both runs."""
    checks = (Check("repository", "passed", "", 1.0),)
    now = utc(time.time())
    drill = Result("jira1-jira", "20261129T101500Z", "jira", "drill1", now, now, 1, checks).to_json()
    story.lab.sh(JIRA, f"mkdir -p $(dirname {DRILL}); cat > {DRILL} <<'END'\n{drill}END\n")
    found = {}
    for ways in ROUNDS:
        for file in (STATE, DRILL):
            story.lab.sh(JIRA, f"cp -p {file} /root/$(basename {file})")
        for way in ways:
            story.lab.sh(JIRA, way.by)
        told, repaired = story.judge("audit"), story.judge("harden")
        for way in ways:
            story.lab.sh(JIRA, way.undo or "true")
            found[way.name] = ({control for each in ways for control in each.breaks}, told, repaired)
        for file in (STATE, DRILL):
            story.lab.sh(JIRA, f"cp -p /root/$(basename {file}) {file}")
    mended = story.judge("harden")
    # A timer that is new has begun one.
    story.backup()
    told = story.judge("audit")
    found["nothing"] = (set(), told, mended)
    return found


@pytest.mark.parametrize("way", TRIALS, ids=lambda way: way.name)
def test_what_is_broken_is_found_and_repaired(
    trials: dict[str, tuple[set[str], Outcome, Outcome]], row: Row, way: Way
) -> None:
    expected, told, repaired = trials[way.name]
    failing = told.with_status(JIRA, "fail")
    texts = [
        entry["reason"] + json.dumps(entry["evidence"]) for entry in told.entries(JIRA) if entry["id"] in way.breaks
    ]
    fixed = {control for control in way.breaks if control in ("DC-BKP-01", "DC-BKP-02") and not way.undo}
    right = failing == expected and all(way.words in text for text in texts)
    right = right and fixed <= repaired.with_status(JIRA, "fixed")
    row(f"{way.breaks[0]} {way.name} (jira)", "+".join(way.breaks), "found" if right else "+".join(failing), right)
    assert failing == expected
    assert all(way.words in text for text in texts), texts
    assert fixed <= repaired.with_status(JIRA, "fixed"), repaired.output
    assert trials["nothing"][1].with_status(JIRA, "fail") == set()


def test_every_control_is_broken_at_least_once() -> None:
    assert {control for way in TRIALS for control in way.breaks} == {*CONTROLS, "DC-BKP-04"}


def test_rollback_leaves_the_repository(story: Story, row: Row) -> None:
    """Done last; what somebody has edited meanwhile, it leaves alone."""
    before = story.whole()
    meanwhile = {CONFIG, CONFIG.rpartition("/")[0], f"/etc/systemd/system/{UNIT}.service"}
    while True:
        outcome = story.lab.play("rollback", "--tags", "backup", "--limit", JIRA)
        assert outcome.code == 0, outcome.output
        if not outcome.changed_tasks(JIRA):
            break
    left = story.lab.sh(
        JIRA, "find /etc /usr/local -name '*atlassian-dc-backup*' -o -path '*atlassian-dc/backup*'"
    ).split()
    more = set(left) - meanwhile
    row("backup: rollback", "nothing left but what was edited by hand", str(sorted(more)), not more)
    assert more == set()
    assert story.whole() == before
