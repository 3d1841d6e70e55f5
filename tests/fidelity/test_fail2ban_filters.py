# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All filters over all lines of logs, by the fail2ban of each distribution itself."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._fail2ban_filters import (
    fail_expressions,
    filter_name,
)

from .lab import DISTRIBUTIONS, Lab
from .login_lines import PROXIES, RUN_FILTERS, expected, filter_files, log, read_found, samples, sources, unpacking

Row = Callable[[str, str, str, bool], None]

FOLDER = "/root/filters"
HOSTS = {distribution: f"{distribution}-filters" for distribution in DISTRIBUTIONS}
# Makes a jail of each filter, which bans nobody, in a configuration apart.
JAILS = """
rm -rf conf
cp -a /etc/fail2ban conf
rm -f conf/jail.d/* conf/jail.local
cp filter.d/* conf/filter.d
echo The server has to have come to the end of the file once, before it takes what comes for what happens now. > live
for filter in filter.d/*.conf; do
  name=$(basename $filter .conf)
  printf '[%s]\\nenabled = true\\nfilter = %s\\nlogpath = %s\\n' $name $name $PWD/live
  printf 'backend = polling\\nusedns = no\\nmaxretry = 1000\\naction =\\n'
done > conf/jail.d/zz.local
"""
# Prints what the server would be told.
DUMP = "fail2ban-client -c $PWD/conf -d"
# Has a server read all lines while it runs, and prints how many failed logins each jail has counted.
COUNT = """
client="fail2ban-client -c $PWD/conf -s $PWD/socket -p $PWD/pid"
rm -f positions
printf '[Definition]\\ndbfile = %s\\nlogtarget = %s\\n' $PWD/positions $PWD/server.log > conf/fail2ban.d/zz.local
$client start > /dev/null
cat > look.py <<'END'
import sqlite3
print(sqlite3.connect("positions").execute("select count(*) from logs where lastfilepos > 0").fetchone()[0])
END
for i in $(seq 600); do
  [ "$(python3 look.py 2>/dev/null)" != $(ls filter.d/*.conf | wc -l) ] || break
  sleep 0.2
done
cat log >> live
counts() {
  for filter in filter.d/*.conf; do
    name=$(basename $filter .conf)
    echo $name $($client status $name | sed -n 's/.*Total failed:[^0-9]*//p')
  done
}
for i in $(seq 120); do
  sleep 1
  [ $(counts | awk '{n += $2} END {print n + 0}') -lt $wanted ] || break
done
# Whether more are counted.
sleep 2
counts
$client stop > /dev/null
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    lab = Lab("fidelity-filters", tmp_path_factory.mktemp("filters"))
    try:
        lab.up([f"{host}=fail2ban:{distribution}" for distribution, host in HOSTS.items()])
        for host in HOSTS.values():
            lab.sh(host, unpacking({**filter_files(), "log": log()}, FOLDER))
        yield lab
    finally:
        lab.down()


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
class TestFilters:
    def test_find_who_failed_and_nobody_else(self, lab: Lab, distribution: str, row: Row) -> None:
        found = read_found(lab.sh(HOSTS[distribution], f"cd {FOLDER}; {RUN_FILTERS}"))
        missed, wrong = expected() - found, found - expected()
        row(
            f"{len(sources())} filters over {len(samples())} samples by fail2ban of {distribution}",
            f"{expected().total()} failed logins",
            f"{found.total()} of them"
            if not missed and not wrong
            else f"{missed.total()} missed, {wrong.total()} wrong",
            not missed and not wrong,
        )
        assert missed == wrong

    def test_reach_the_server_as_they_are_meant(self, lab: Lab, distribution: str) -> None:
        told: dict[tuple[str, str], list[object]] = {}
        for line in lab.sh(HOSTS[distribution], f"cd {FOLDER}; {JAILS}\n{DUMP}").splitlines():
            command = ast.literal_eval(line)
            if command[0] in ("set", "multi-set"):
                values = command[3] if command[0] == "multi-set" else command[3:]
                told.setdefault((command[1], command[2]), []).extend(values)
        for source in sources().values():
            jail = filter_name(source.product, source.name)
            expressions = [line.replace(";", r"\x3b") for line in fail_expressions(source, PROXIES)]
            assert told[jail, "addfailregex"] == expressions
            assert told[jail, "datepattern"] == [source.timestamp]
            assert told.get((jail, "maxlines"), [1]) == [source.multiline]

    def test_count_what_is_written_while_the_server_runs(self, lab: Lab, distribution: str, row: Row) -> None:
        # Times that are long past count as now, and lines of an entry that have none as those before them.
        wanted = {
            filter_name(source.product, source.name): sum(
                number for (found, _address, _line), number in expected().items() if found == key
            )
            for key, source in sources().items()
        }
        output = lab.sh(HOSTS[distribution], f"cd {FOLDER}; wanted={sum(wanted.values())}\n{JAILS}\n{COUNT}")
        counted = {name: int(number) for name, number in (line.split() for line in output.splitlines())}
        row(
            f"the same lines, written while fail2ban of {distribution} runs",
            f"{sum(wanted.values())} counted",
            f"{sum(counted.values())} counted",
            counted == wanted,
        )
        assert counted == wanted
