# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host whose configuration files are broken or hostile: said in the report, nothing fails, is expanded or run."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from .lab import UNSAID, Lab, Outcome

HOST = "broken"
BREAK = r"""
cat > /opt/atlassian/jira/conf/server.xml <<'XML'
<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/shadow">]><Server port="8005">&a;</Server>
XML
truncate --size=300 /var/atlassian/application-data/jira/dbconfig.xml
echo 'JAVA_OPTS="$(touch /tmp/executed' >> /opt/atlassian/jira/bin/setenv.sh
printf 'jira.title=\xff\xfe\n' >> /var/atlassian/application-data/jira/jira-config.properties
"""
FILES = ("conf/server.xml: contains a document type", "dbconfig.xml: line", "bin/setenv.sh: line")
Row = Callable[[str, str, str, bool], None]


@pytest.fixture(scope="module")
def audit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcome]:
    lab = Lab("fidelity-broken", tmp_path_factory.mktemp("broken"))
    try:
        lab.up([HOST])
        lab.sh(HOST, BREAK)
        outcome = lab.play("audit")
        assert lab.sh(HOST, "ls /tmp/executed 2>/dev/null || true") == "", "a start script of the product was executed"
        yield outcome
    finally:
        lab.down()


def test_the_audit_ends_well(audit: Outcome) -> None:
    assert audit.code == 0, audit.output
    assert audit.report["complete"]
    assert not audit.with_status(HOST, "error")
    assert len(audit.with_status(HOST, "pass", "fail") - UNSAID) == 15


@pytest.mark.parametrize("words", FILES)
def test_each_broken_file_is_named(audit: Outcome, row: Row, words: str) -> None:
    found = [message for message in audit.report["messages"] if words in message]
    row(
        f"broken file {words.partition(':')[0]}", "named with place and cause", "named" if found else "not", bool(found)
    )
    assert found


def test_nothing_of_other_files_is_disclosed(audit: Outcome) -> None:
    assert "root:" not in "".join(audit.report["messages"])
    assert "root:*" not in audit.output
