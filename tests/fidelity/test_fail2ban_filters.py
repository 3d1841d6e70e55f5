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
# What the server would be told, with a jail of each filter.
DUMP = """
cp -a /etc/fail2ban conf
cp filter.d/* conf/filter.d
for filter in filter.d/*.conf; do
  name=$(basename $filter .conf)
  printf '[%s]\\nenabled = true\\nfilter = %s\\nlogpath = %s\\nbackend = polling\\n' $name $name $PWD/log
done > conf/jail.d/zz.local
fail2ban-client -c $PWD/conf -d
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
        for line in lab.sh(HOSTS[distribution], f"cd {FOLDER}; {DUMP}").splitlines():
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
