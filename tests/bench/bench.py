# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures walks, audits, filters, large products, shipping, checks of files and backups; writes docs/performance.md.

Nothing here passes or fails on time: machines differ. What is compared runs in turn in the same minutes on one machine.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(CHECKOUT / "tests"), str(CHECKOUT / ".collections")]

from fidelity import login_lines  # noqa: E402
from fidelity.lab import Lab  # noqa: E402
from fidelity.repositories import repository, trust  # noqa: E402
from fidelity.shipped import DISTURBANCES, FIVE, LOGS, UNIT, Disturbed  # noqa: E402
from hosts.progress import HostsError, fail, say, step  # noqa: E402
from unit.doubles import asked  # noqa: E402
from unit.doubles.instances import compiled  # noqa: E402

HERE = Path(__file__).resolve().parent
PAGE = CHECKOUT / "docs" / "performance.md"
BEGIN, END = "<!-- begin: written by make bench -->", "<!-- end: written by make bench -->"
SERVICE = "daemon"
"""An account that every Debian has; the tree is made to belong to it."""
FILES_PER_FOLDER = 24

# Runs a module and notes the most memory it had resident.
INTERPRETER = """#!{python}
import os, resource, subprocess, sys
code = subprocess.call([sys.executable, *sys.argv[1:]])
with open({peaks!r}, "a") as handle:
    handle.write(f"{{resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss}}\\n")
sys.exit(code)
"""
# The least any walk in Python has to do: read each folder and the status of each entry.
BARE_WALK = """
import os, sys
folders = [sys.argv[1]]
while folders:
    with os.scandir(folders.pop()) as listing:
        for entry in listing:
            entry.stat(follow_symlinks=False)
            if entry.is_dir(follow_symlinks=False):
                folders.append(entry.path)
"""


MANY_FILES = """
python3 -c '
import os
content = os.urandom(150_000)
for number in range(20_000):
    folder = f"/srv/bench/{number // 200}"
    os.makedirs(folder, exist_ok=True)
    with open(f"{folder}/{number}", "wb") as stream:
        stream.write(number.to_bytes(8, "big") + content[8:])
'
"""
HASHES, LOOK = "find /srv/bench -type f -print0 | xargs -0 sha256sum", "/etc/atlassian-dc/file-integrity/look"
THOUSAND_PROXIES = [
    *(f"10.{number // 200}.{number % 200}.0/25" for number in range(500)),
    *(f"2001:db8:{number:x}::/57" for number in range(500)),
]
# Prints the processor's time, user's and system's.
TIME_FILTER = """
cd /root/bench
TIMEFORMAT='%U %S' bash -c '
  time fail2ban-regex --encoding UTF-8 --usedns no -o "<ip>" {text} $PWD/filter.d/{name}.conf > /dev/null' 2>&1
"""


def make_tree(root: Path, entries: int) -> None:
    """Make the home of an issue tracker with many attachments, readable and owned as on hosts nobody cared for."""
    made = 0
    for number in range(entries):
        folder = root / "data" / "attachments" / f"P{number % 40}" / f"{number // 400}0000" / f"P{number % 40}-{number}"
        folder.mkdir(parents=True)
        for attachment in range(FILES_PER_FOLDER):
            (folder / f"{10000 + attachment}").touch()
        made += FILES_PER_FOLDER + 1
        if made >= entries:
            break
    for path, _folders, files in os.walk(root):
        Path(path).chmod(0o755)
        for name in files:
            Path(path, name).chmod(0o644)


class Tree:
    """The tree, and what is run on it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.home = root / "home"
        self.peaks = root / "peaks"
        self.interpreter = root / "interpreter"
        self.interpreter.write_text(INTERPRETER.format(python=sys.executable, peaks=str(self.peaks)))
        self.interpreter.chmod(0o755)
        self.settings = root / "ansible.cfg"
        self.settings.touch()

    def instance(self) -> dict[str, Any]:
        """Return what discovery would tell of a product with this home."""
        home = str(self.home)
        return {
            **{"name": "jira", "product": "jira", "install_dir": None, "home_dir": home, "shared_home_dir": None},
            **{"running": False, "running_uid": None, "running_user": None},
            **{"service_account": SERVICE, "service_group": SERVICE, "working_dirs": [], "web_root": None},
            "secret_files": [{"path": f"{home}/dbconfig.xml", "tree": "home"}],
            "log_dirs": [f"{home}/log"],
            "archive_dirs": [f"{home}/export"],
        }

    def ansible(self, subject: str, check: bool = True) -> str:
        """Run one task of the playbook; return what Ansible printed."""
        variables = {
            **{"subject": subject, "instance": self.instance()},
            "ansible_python_interpreter": str(self.interpreter),
        }
        argv = [sys.executable, "-m", "ansible", "playbook", "-i", "localhost,", str(HERE / "subjects.yml")]
        argv += ["-e", json.dumps(variables), *(["--check"] if check else [])]
        env = {
            **os.environ,
            **{"ANSIBLE_CONFIG": str(self.settings), "ANSIBLE_NOCOLOR": "1", "ANSIBLE_PIPELINING": "1"},
            "ANSIBLE_COLLECTIONS_PATH": str(CHECKOUT / ".collections"),
        }
        return output(argv, env)

    def find(self) -> str:
        with open(os.devnull, "w", encoding="utf-8") as null:
            argv = ["find", str(self.home), "-printf", "%u %g %m %p\n"]
            subprocess.run(argv, stdout=null, check=True)
        return ""

    def bare_walk(self) -> str:
        return output([sys.executable, "-c", BARE_WALK, str(self.home)])

    def peak(self) -> float:
        """Return the most memory, in MB, that the last module had."""
        return int(self.peaks.read_text().splitlines()[-1]) / 1024


def output(argv: Sequence[str], env: dict[str, str] | None = None) -> str:
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise HostsError(f"{' '.join(argv[:6])} … failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def seconds(action: Callable[[], str], changed: bool | None = None) -> float:
    """Time an action, and make sure that it found what it was meant to find."""
    started = time.monotonic()
    text = action()
    gone = time.monotonic() - started
    if changed is not None and (f"changed={int(changed)} " not in text):
        raise HostsError(f"The tree was not {'drifted' if changed else 'clean'} for this command:\n{text}")
    return gone


def compare(tree: Tree, drifted: bool, rounds: int) -> dict[str, tuple[float, float | None]]:
    """Return the median time, and the memory where it is known, of each way to look at the tree."""
    times: dict[str, list[float]] = {}
    peaks: dict[str, float] = {}
    for number in range(rounds):
        with step(f"{'drifted' if drifted else 'clean'} tree, round {number + 1} of {rounds}"):
            times.setdefault("bare walk", []).append(seconds(tree.bare_walk))
            times.setdefault("find", []).append(seconds(tree.find))
            nothing = seconds(lambda: tree.ansible("nothing"))
            peaks["nothing"] = tree.peak()
            for subject in ("tree_permissions", "file"):
                taken = seconds(lambda subject=subject: tree.ansible(subject), drifted)  # type: ignore[misc]
                times.setdefault(subject, []).append(taken - nothing)
                peaks[subject] = max(peaks.get(subject, 0), tree.peak())
    return {name: (statistics.median(values), peaks.get(name)) for name, values in times.items()} | {
        "nothing": (0, peaks["nothing"])
    }


NAMES = {
    "tree_permissions": "`tree_permissions`, the whole policy, extended attributes included",
    "find": "`find -printf '%u %g %m %p\\n'`",
    "file": "`ansible.builtin.file` with `recurse`, one rule",
    "bare walk": "bare `os.scandir` and `stat` in Python",
}


def table(kind: str, found: dict[str, tuple[float, float | None]]) -> list[str]:
    """Write the lines of a table of Markdown."""
    own = found["tree_permissions"][0]
    lines = [f"| {kind} | seconds | against `tree_permissions` | most memory |", "| --- | --: | --: | --: |"]
    for name, title in NAMES.items():
        taken, peak = found[name]
        memory = "" if peak is None else f"{peak:.0f} MB"
        lines.append(f"| {title} | {taken:.2f} | {taken / own:.2f} | {memory} |")
    return lines


def judge_tree(entries: int, rounds: int) -> list[str]:
    """Compare the ways to look at a tree, drifted and clean."""
    # In memory where possible: the bench is about programs, not about disks.
    memory = Path("/dev/shm")
    root = Path(tempfile.mkdtemp(prefix="atlassian-dc-bench-", dir=memory if memory.is_dir() else None))
    try:
        tree = Tree(root)
        with step(f"making a tree of {entries} entries"):
            make_tree(tree.home, entries)
            count = sum(len(folders) + len(files) for _path, folders, files in os.walk(tree.home)) + 1
        seconds(tree.bare_walk)
        drifted = compare(tree, True, rounds)
        repair = seconds(lambda: tree.ansible("tree_permissions", check=False), True)
        clean = compare(tree, False, rounds)
        return [
            f"One tree of {count:,} entries, medians of {rounds} rounds, all of it in memory. Both tasks in check mode;"
            " their time is that of the whole `ansible-playbook` less that of one that only pings.",
            "",
            *table("Nothing to put right", clean),
            "",
            *table("Everything to put right", drifted),
            "",
            f"A module that does nothing has {clean['nothing'][1]:.0f} MB. Putting all of it right took {repair:.1f} s,"
            " Ansible's own time included.",
        ]
    finally:
        shutil.rmtree(root)


def audit(rounds: int) -> list[str]:
    """Time the audit of one host."""
    with tempfile.TemporaryDirectory() as folder:
        lab = Lab("bench", Path(folder))
        try:
            lab.up(["jira1"])
            times, executions = [], 0
            for number in range(rounds):
                with step(f"audit, round {number + 1} of {rounds}"):
                    started = time.monotonic()
                    outcome = lab.play("audit")
                    times.append(time.monotonic() - started)
                if outcome.code != 0:
                    raise HostsError(f"The audit failed:\n{outcome.output}")
                executions = len(outcome.executions("jira1"))
                judged = len(outcome.with_status("jira1", "pass", "fail", "waived"))
        finally:
            lab.down()
    return [
        "An audit of one unhardened test host with one product over SSH, start of Ansible and reports included, takes"
        f" **{statistics.median(times):.1f} s** (median of {rounds}), with **{executions} executions of modules** on"
        f" the host for {judged} judged controls.",
    ]


def judge_filters(lines: int) -> list[str]:
    """Time the filters for failed logins, by the processor's time of the whole `fail2ban-regex`."""
    names = {login_lines.filter_name(source.product, source.name): key for key, source in login_lines.sources().items()}
    times: dict[tuple[str, int, str], float] = {}
    with tempfile.TemporaryDirectory() as folder:
        lab = Lab("bench", Path(folder))
        try:
            lab.up(["banned1=fail2ban"])
            for proxies in ([], THOUSAND_PROXIES):
                with step(f"filters, {len(proxies)} trusted networks"):
                    files = {**login_lines.filter_files(proxies), "log": login_lines.log()}
                    lab.sh("banned1", login_lines.unpacking(files, "/root/bench"))
                    lab.sh("banned1", f"cd /root/bench; while cat log; do :; done | head -n {lines} > mixed")
                    for name, source in names.items():
                        hostile = {"hostile": "".join(f"{line}\n" for line in login_lines.hostile_lines(source))}
                        lab.sh("banned1", login_lines.unpacking(hostile, "/root/bench"))
                        for text in ("mixed", "hostile"):
                            output = lab.sh("banned1", TIME_FILTER.format(text=text, name=name))
                            times[source, len(proxies), text] = sum(map(float, output.split()))
        finally:
            lab.down()
    count = len(list(login_lines.hostile_lines("jira/security")))
    return [
        "Filters for failed logins, seconds of one processor for the whole `fail2ban-regex` of Debian 12: over"
        f" {lines:,} lines of all products' logs mixed, and over {count} hostile lines of {login_lines.LENGTH:,}"
        " letters each made for the filter.",
        "",
        "| Filter | mixed | mixed, 1,000 trusted networks | hostile | hostile, 1,000 trusted networks |",
        "| --- | --: | --: | --: | --: |",
        *(
            "| "
            + " | ".join(
                [source, *(f"{times[source, size, text]:.1f}" for text in ("mixed", "hostile") for size in (0, 1000))]
            )
            + " |"
            for source in names.values()
        ),
    ]


def judge_products(rounds: int) -> list[str]:
    """Time settings, accounts and apps of large products over REST, one by one and all at once."""
    times: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        say(f"starting five products with {asked.PEOPLE:,} users each")
        with asked.large_instances(Path(folder), compiled(Path(folder))) as instances:
            groups = {instance["name"]: [instance] for instance in instances} | {"all at once": instances}
            # What is slow the first time are the virtual machines, not the modules.
            requests = asked.audit(instances).requests
            for number in range(rounds):
                with step(f"large products, round {number + 1} of {rounds}"):
                    for name, group in groups.items():
                        started = time.monotonic()
                        asked.audit(group)
                        times.setdefault(name, []).append(time.monotonic() - started)
    requests["all at once"] = sum(requests.values())
    return [
        f"Settings, accounts and apps of products with {asked.PEOPLE:,} users, {asked.TEAMS} groups, {asked.TOKENS:,}"
        f" tokens and {asked.ADMINISTRATORS:,} administrators over REST, read and judged; medians of {rounds} rounds."
        " The stand-ins run on the same machine, and most of the time is theirs.",
        "",
        "| product | requests | seconds |",
        "| --- | --: | --: |",
        *(f"| {name} | {requests[name]} | {statistics.median(taken):.1f} |" for name, taken in times.items()),
    ]


ATTACHMENTS = "/var/atlassian/application-data/jira/data/attachments/bench"
LARGE_HOME = """
python3 -c '
import os
for number in range(100_000):
    folder = f"FOLDER/{number // 500}"
    if not number % 500:
        os.makedirs(folder)
    with open(f"{folder}/{number}", "wb") as stream:
        stream.write(os.urandom(52_000))
'
runuser -u postgres -- psql -q -d jiradb -c "set role jiradbuser" -c "create table bench as
  select n, md5(n::text) || repeat(md5((n * 7)::text), 9) as text from generate_series(1, 3000000) as n"
""".replace("FOLDER", ATTACHMENTS)
ONE_ROW = "runuser -u postgres -- psql -q -d jiradb -c \"insert into bench values (0, 'one more')\""
# Prints how long it took, and the most memory that its programs had together: not all test hosts count that themselves.
# It looks seldom, for looking takes time from what is looked at.
TIME_BACKUP = """
peak=0
systemctl start --no-block {unit}
sleep 0.5
until systemctl show -P ActiveState {unit} | grep -qxE 'inactive|failed'; do
  now=$(ps -u atlassian-dc-backup -o rss= | awk '{{sum += $1}} END {{print sum + 0}}')
  [ "$now" -le $peak ] || peak=$now
  sleep 1
done
[ "$(systemctl show -P Result {unit})" = success ]
begun=$(systemctl show -P InactiveExitTimestampMonotonic {unit})
ended=$(systemctl show -P InactiveEnterTimestampMonotonic {unit})
echo "$begun $ended $peak" | awk '{{print ($2 - $1) / 1e6, $3}}'
"""


def ship(lines: int, rounds: int) -> list[str]:
    """Return what shipping costs, and how many lines come through each disturbance."""
    host, sink = "jira1", "logs"
    with tempfile.TemporaryDirectory(prefix="atlassian-dc-bench-") as scratch:
        lab = Lab("bench-shipping", Path(scratch))
        try:
            lab.up([f"{host}=jira:bookworm", f"{sink}=base:bookworm"])
            lab.sh(host, f"mkdir -p {LOGS}")
            settings: dict[str, Any] = {
                "atlassian_dc_log_collector": [{"host": lab.group.hosts()[sink].address, "port": 2514}],
                "atlassian_dc_log_shipping_collector_hosts": [sink],
                "atlassian_dc_log_shipping_ca_dir": str(Path(scratch) / "ca"),
                "atlassian_dc_log_shipping_extra_logs": FIVE,
            }
            outcome = lab.play("harden", "--tags", "log_shipping", "--limit", host, **settings)
            if outcome.statuses(host)["DC-LOG-03"] != "fixed":
                raise HostsError(f"logs are not shipped: {outcome.reason(host, 'DC-LOG-03')}")
            disturbed = Disturbed(lab, host, sink)
            rates = []
            for number in range(rounds):
                used = -int(lab.sh(host, f"systemctl show --value --property=CPUUsageNSec {UNIT}"))
                came, _twice = disturbed.disturb(f"speed{number}", lines // 5, [], False, False, 120)
                used += int(lab.sh(host, f"systemctl show --value --property=CPUUsageNSec {UNIT}"))
                rates.append(came / (used / 1e9))
            found = [
                "## Shipping logs",
                "",
                f"{statistics.median(rates):,.0f} lines for each second of one core, on the host of the product.",
                "",
                f"{lines} lines to five logs while something happens:",
                "",
                "| what happens | lines that came | twice |",
                "|---|---|---|",
            ]
            for number, (name, steps) in enumerate(DISTURBANCES.items()):
                together = len(steps) > 5
                rotated = together or not steps
                came, twice = disturbed.disturb(f"case{number}", lines // 5, steps, rotated, together, 300)
                also = ", then the host restarted" if together else ""
                found.append(f"| {name}{also} | {came} | {twice} |")
            return found
        finally:
            lab.down()


def check_integrity(rounds: int) -> list[str]:
    """Time a check of AIDE, as the timer runs it, against the least it has to do: read and hash every file."""
    ratios: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        lab = Lab("bench", Path(folder))
        hosts = {"checked12": "Debian 12", "checked13": "Debian 13"}
        try:
            lab.up(["checked12=jira:bookworm", "checked13=jira:trixie"])
            for host in hosts:
                lab.sh(host, MANY_FILES)
            watched: dict[str, Any] = {"atlassian_dc_file_integrity_paths": ["/srv/bench"]}
            with step("baselines"):
                outcome = lab.play("harden", "--tags", "file_integrity", **watched)
            if outcome.code != 0:
                raise HostsError(f"The baselines could not be taken:\n{outcome.output}")
            for host, title in hosts.items():
                times: dict[str, list[float]] = {HASHES: [], LOOK: []}
                for number in range(rounds):
                    with step(f"integrity, {title}, round {number + 1} of {rounds}"):
                        for command, taken in times.items():
                            started = time.monotonic()
                            lab.sh(host, f"({command}) > /dev/null")
                            taken.append(time.monotonic() - started)
                ratios[title] = statistics.median(times[LOOK]) / statistics.median(times[HASHES])
        finally:
            lab.down()
    told = " and ".join(f"**{ratio:.2f}** times on {title}" for title, ratio in ratios.items())
    return [
        f"A check of 20,000 files of 3 GB by AIDE takes as long as `sha256sum` over them {told} (median of {rounds})."
    ]


LARGE_TREE = f"cd {ATTACHMENTS}; find . -type f -exec sha256sum {{}} + | LC_ALL=C sort | sha256sum"
# Without two lines that pg_dump makes up anew each time.
LARGE_DUMP = "runuser -u postgres -- pg_dump jiradb | grep -v '^.\\(un\\)\\?restrict ' | sha256sum"
NOTHING = """
systemctl disable -q --now jira
rm -rf /var/atlassian/application-data/jira
runuser -u postgres -- dropdb jiradb
"""


# As between most hosts and where their backups go; between test hosts there is no limit.
LINK = "tc qdisc add dev eth0 root tbf rate 1gbit burst 256kb latency 50ms"


def back_up(rounds: int) -> list[str]:
    """Time backups of a large home and database, and a restore, with restic of each distribution."""
    lines = [
        "A backup of a home of 100,000 files and 5 GB with a database of 1 GB, to a repository behind a link of 1"
        f" Gbit/s, whose server shares the processor; then {rounds} backups with a new file and row each, and a restore"
        " on another host, where hashes of all files and of the database as text are the same.",
        "",
        "| | first, s | next (median), s | of the first | most memory, MiB | restore, s |",
        "| --- | --: | --: | --: | --: | --: |",
    ]
    for distribution, title in (("bookworm", "Debian 12, restic 0.14"), ("trixie", "Debian 13, restic 0.18")):
        taken, peak, restored = back_up_on(distribution, rounds)
        first, later = taken[0], statistics.median(taken[1:])
        share = f"{100 * later / first:.0f} %"
        lines.append(f"| {title} | {first:.1f} | {later:.1f} | {share} | {peak / 1024:.0f} | {restored:.0f} |")
    return lines


def back_up_on(distribution: str, rounds: int) -> tuple[list[float], int, float]:
    """Back up one host and restore it on another.

    Returns:
        Seconds of each backup, the most memory that programs of one had together in KiB, seconds of the restore.

    """
    host, fresh, server, unit = "jira1", "jira2", "repository1", "atlassian-dc-backup@jira"
    with tempfile.TemporaryDirectory(prefix="atlassian-dc-bench-") as scratch:
        lab = Lab("bench-backup", Path(scratch))
        try:
            hosts = [f"{name}=jira_database:{distribution}" for name in (host, fresh)]
            lab.up([*hosts, f"{server}=repository:bookworm"])
            trust(lab, server, host, fresh)
            lab.sh(host, LINK)
            lab.sh(server, LINK)
            settings: dict[str, Any] = {
                "atlassian_dc_backup_repository": repository(server, "jira"),
                "atlassian_dc_backup_prune": False,
            }
            # The first backup, of nearly nothing, makes the repository.
            outcome = lab.play("harden", "--tags", "backup", "--limit", host, **settings)
            if outcome.statuses(host)["DC-BKP-03"] != "pass":
                raise HostsError(f"There is no backup: {outcome.reason(host, 'DC-BKP-03')}")
            with step("a home of 100,000 files and 5 GB, a database of 1 GB"):
                lab.sh(host, LARGE_HOME)
            taken, peak = [], 0
            for number in range(rounds + 1):
                with step("the first backup of them" if not number else f"backup {number} of {rounds} after it"):
                    lab.sh(host, f"echo {number} > {ATTACHMENTS}/{number}.txt; {ONE_ROW}")
                    seconds, memory = lab.sh(host, TIME_BACKUP.format(unit=unit)).split()
                    taken.append(float(seconds))
                    peak = max(peak, int(memory))
            lab.sh(host, "systemctl stop jira")
            lab.sh(fresh, NOTHING)
            with step("a restore of it all on another host"):
                begun = time.monotonic()
                restored = lab.play(
                    "restore",
                    **settings,
                    atlassian_dc_restore_host=fresh,
                    atlassian_dc_restore_overwrite=[f"install-{host}"],
                )
                restore_seconds = time.monotonic() - begun
            if restored.code != 0:
                raise HostsError(f"It was not restored:\n{restored.output}")
            for what in (LARGE_TREE, LARGE_DUMP):
                if lab.sh(host, what) != lab.sh(fresh, what):
                    raise HostsError("What was restored is something else.")
        finally:
            lab.down()
    return taken, peak, restore_seconds


def machine() -> str:
    """Say on what kind of machine this is, without naming it."""
    cores = len(os.sched_getaffinity(0))
    return f"{cores} shared {'core' if cores == 1 else 'cores'}, Python {sys.version.split()[0]}"


def write_page(lines: Sequence[str]) -> None:
    """Replace the generated part of the page."""
    before, _begin, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _old, _end, after = rest.partition(END)
    PAGE.write_text("\n".join([before + BEGIN, *lines, END + after]), encoding="utf-8")


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=200_000, help="size of the tree (default: %(default)s)")
    parser.add_argument("--lines", type=int, default=50_000, help="lines of the mixed log (default: %(default)s)")
    parser.add_argument("--shipped", type=int, default=200_000, help="lines that are shipped (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured (default: %(default)s)")
    parser.add_argument(
        "--part",
        choices=["tree", "audit", "filters", "products", "shipping", "integrity", "backup"],
        help="only print one part, write nothing",
    )
    arguments = parser.parse_args(argv)
    if os.geteuid() != 0:
        return fail("The bench changes owners and starts test hosts: run it as root.")
    try:
        lines = [f"Measured on {machine()}."]
        parts = {
            "tree": lambda: judge_tree(arguments.entries, arguments.rounds),
            "audit": lambda: audit(arguments.rounds),
            "integrity": lambda: check_integrity(arguments.rounds),
            "filters": lambda: judge_filters(arguments.lines),
            "products": lambda: judge_products(arguments.rounds),
            "shipping": lambda: ship(arguments.shipped, arguments.rounds),
            "backup": lambda: back_up(arguments.rounds),
        }
        for name, part in parts.items():
            if arguments.part in (None, name):
                lines += ["", *part()]
    except HostsError as error:
        return fail(str(error))
    say("\n" + "\n".join(lines))
    if not arguments.part:
        write_page(lines)
        say(f"\nwritten to {PAGE.relative_to(CHECKOUT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
