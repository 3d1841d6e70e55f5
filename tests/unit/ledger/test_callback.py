# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ledger, preflight and gate in real runs of ansible-playbook."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import packed
import pytest

CHECKOUT = Path(__file__).resolve().parents[3]
LIBRARY = Path(__file__).parent / "library"
PLAY = """
- hosts: all
  gather_facts: false
  tasks:
    - name: find
      fake: {returns: {dc_instances: [{name: jira, product: jira, version: 10.3.15}]}}
      tags: always
    - name: makes the play one that concerns controls
      ansible.builtin.debug: {msg: x}
      tags: [always, DC-DIR-06]
"""
GATE = """
- hosts: all
  gather_facts: false
  tags: always
  tasks:
    - atlassian_dc.hardening.gate: {fail_on: "{{ atlassian_dc_fail_on | default(omit) }}"}
      run_once: true
"""


class Run:
    """The outcome of one ansible-playbook process."""

    def __init__(self, folder: Path, process: subprocess.CompletedProcess[str]) -> None:
        self.code, self.output = process.returncode, process.stdout + process.stderr
        path = folder / "report" / "report.json"
        self.report: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}

    def entry(self, control: str, instance: str | None = "jira", host: str = "h1") -> dict[str, Any]:
        (entry,) = [
            entry
            for entry in self.report["hosts"][host]["controls"]
            if (entry["id"], entry["instance"]) == (control, instance)
        ]
        return entry

    def status(self, control: str, instance: str | None = "jira", host: str = "h1") -> str:
        return str(self.entry(control, instance, host)["status"])


class Playbook:
    """A folder with an inventory of two local hosts and one that refuses connections."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        gone = {"ansible_host": "127.0.0.1", "ansible_port": 1, "ansible_ssh_retries": 0}
        inventory = {"all": {"hosts": {"h1": local, "h2": local}}, "far": {"hosts": {"gone": gone}}}
        (folder / "inventory.json").write_text(json.dumps(inventory))

    def run(self, content: str, *arguments: str, limit: str = "h1", enabled: bool = True) -> Run:
        path = self.folder / "play.yml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(textwrap.dedent(content))
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
            "ANSIBLE_COLLECTIONS_PATH": str(CHECKOUT / ".collections"),
            "ANSIBLE_LIBRARY": str(LIBRARY),
            "ANSIBLE_NOCOLOR": "1",
            **packed.environment(),
        }
        if enabled:
            environment["ANSIBLE_CALLBACKS_ENABLED"] = "atlassian_dc.hardening.ledger"
        command = [sys.executable, "-m", "ansible", "playbook", "-i", "inventory.json", path.name]
        # Whatever is on this machine, it is none of the hosts that are hardened here.
        settings = {"atlassian_dc_report_dir": f"{self.folder}/report", "atlassian_dc_instances": []}
        extra = ["-e", json.dumps(settings)]
        limits = ["--limit", limit] if limit else []
        process = subprocess.run(
            [*command, *extra, *limits, *arguments],
            cwd=self.folder,
            env=environment,
            text=True,
            capture_output=True,
            check=False,
            timeout=600,
        )
        return Run(self.folder, process)


@pytest.fixture
def playbook(tmp_path: Path) -> Playbook:
    return Playbook(tmp_path)


EVIDENCE = (
    PLAY
    + """
    - name: drifting file
      ansible.builtin.copy: {content: new, dest: "{{ playbook_dir }}/new", mode: "0600"}
      tags: DC-TOM-01
    - name: file as wanted
      ansible.builtin.file: {path: "{{ playbook_dir }}", state: directory}
      tags: DC-TOM-02
    - name: only steers
      ansible.builtin.set_fact: {x: 1}
      tags: DC-TOM-03
    - name: a probe
      ansible.builtin.command: 'true'
      changed_when: false
      tags: DC-TOM-04
    - name: skipped
      ansible.builtin.file: {path: "{{ playbook_dir }}/never", state: directory}
      when: false
      tags: DC-TOM-05
    - name: per instance
      ansible.builtin.copy: {content: x, dest: "{{ playbook_dir }}/{{ dc_instance.name }}", mode: "0600"}
      loop: [{name: jira}]
      loop_control: {loop_var: dc_instance}
      tags: DC-PRX-01
    - name: secret drift
      ansible.builtin.copy: {content: hunter2, dest: "{{ playbook_dir }}/secret", mode: "0600"}
      no_log: true
      tags: DC-PRX-03
    - name: two controls and no findings
      ansible.builtin.copy: {content: x, dest: "{{ playbook_dir }}/two", mode: "0600"}
      tags: [DC-PRX-04, DC-PRX-05]
    - name: findings
      fake:
        returns:
          dc_changes: [{target: /etc/x, attribute: content, before: absent, after: present}]
          dc_findings:
            - control: DC-SEC-01
              instance: jira
              status: fail
              reason: plain
              evidence: [{what: w, expected: e, actual: a}]
            - {control: DC-SEC-02, instance: jira, status: pass}
      tags: [DC-SEC-01, DC-SEC-02]
    - block:
        - name: falls
          ansible.builtin.command: 'false'
      rescue:
        - name: rescued by
          ansible.builtin.copy: {content: x, dest: "{{ playbook_dir }}/rescue", mode: "0600"}
          tags: DC-SEC-03
    - name: notifies
      ansible.builtin.copy: {content: x, dest: "{{ playbook_dir }}/notifies", mode: "0600"}
      notify: handler
      tags: DC-SEC-05
  handlers:
    - name: handler
      ansible.builtin.copy: {content: x, dest: "{{ playbook_dir }}/handler", mode: "0600"}
      tags: DC-SEC-04
"""
    + GATE
)


@pytest.fixture(scope="module", params=["real", "check"])
def evidence(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Run]:
    folder = tmp_path_factory.mktemp(request.param)
    arguments = ["--check"] if request.param == "check" else []
    return request.param, Playbook(folder).run(EVIDENCE, *arguments)


class TestEvidence:
    def test_the_run_ends_well(self, evidence: tuple[str, Run]) -> None:
        assert evidence[1].code == 0, evidence[1].output
        assert evidence[1].report["complete"]
        assert evidence[1].report["mode"] == "audit"  # no role of ours took part

    def test_a_run_that_changed_something_tells_how_to_take_it_back(self, evidence: tuple[str, Run]) -> None:
        mode, run = evidence
        assert ("  ansible-playbook -i INVENTORY atlassian_dc.hardening.rollback\n" in run.output) == (mode == "real")

    @pytest.mark.parametrize("control", ["DC-TOM-01", "DC-PRX-01", "DC-PRX-03", "DC-SEC-05"])
    def test_changed_is_drift(self, evidence: tuple[str, Run], control: str) -> None:
        mode, run = evidence
        assert run.status(control) == ("fixed" if mode == "real" else "fail")
        assert run.entry(control)["evidence"]

    def test_unchanged_is_a_pass(self, evidence: tuple[str, Run]) -> None:
        assert evidence[1].status("DC-TOM-02") == "pass"

    @pytest.mark.parametrize(
        "control", ["DC-TOM-03", "DC-TOM-04", "DC-TOM-05", "DC-PRX-04", "DC-PRX-05", "DC-SEC-03", "DC-SEC-04"]
    )
    def test_what_proves_nothing(self, evidence: tuple[str, Run], control: str) -> None:
        assert evidence[1].status(control) == "not_checked"

    def test_findings_are_taken_as_they_are(self, evidence: tuple[str, Run]) -> None:
        assert evidence[1].status("DC-SEC-01") == "fail"
        assert evidence[1].status("DC-SEC-02") == "pass"

    def test_secrets_stay_out(self, evidence: tuple[str, Run]) -> None:
        assert "hunter2" not in json.dumps(evidence[1].report)


def test_a_failed_task_is_an_error_and_fails_the_run(playbook: Playbook) -> None:
    run = playbook.run(
        PLAY
        + """
    - name: breaks
      fake: {returns: {failed: true, msg: "no such tool"}}
      tags: [DC-DIR-01, DC-DIR-02]
"""
        + GATE
    )
    assert run.code == 2
    assert run.status("DC-DIR-01") == "error"
    assert "no such tool" in run.entry("DC-DIR-02")["reason"]
    assert not run.report["complete"]


def test_what_a_failed_run_judged_only_in_part_is_not_checked(playbook: Playbook) -> None:
    good = "{returns: {dc_findings: [{control: DC-USR-01, instance: jira, status: pass}]}}"
    run = playbook.run(
        PLAY
        + f"""
    - name: judges a part
      fake: {good}
      tags: [DC-USR-01]
    - name: has nothing to judge here
      fake: {good}
      when: false
      tags: [DC-USR-01]
    - name: breaks
      fake: {{returns: {{failed: true, msg: "disk full"}}}}
    - name: judges the rest
      fake: {good}
      tags: [DC-USR-01]
"""
        + GATE
    )
    assert run.status("DC-USR-01") == "not_checked"
    assert "before task 'judges the rest' judged its part" in run.entry("DC-USR-01")["reason"]
    assert "disk full" in run.entry("DC-USR-01")["reason"]


def test_an_ignored_error_still_is_an_error_and_meets_the_gate(playbook: Playbook) -> None:
    run = playbook.run(
        PLAY
        + """
    - name: breaks
      fake: {returns: {failed: true, msg: "no such tool"}}
      ignore_errors: true
      tags: DC-DIR-01
"""
        + GATE
    )
    assert run.code == 2
    assert run.status("DC-DIR-01") == "error"
    assert "controls make this run fail" in run.output


FAILING = (
    PLAY
    + """
    - name: findings
      fake:
        returns:
          dc_findings:
            - control: DC-DIR-03
              instance: jira
              status: fail
              reason: open
              evidence: [{what: w, expected: e, actual: a}]
      tags: DC-DIR-03
"""
    + GATE
)


@pytest.mark.parametrize(("fail_on", "code"), [(None, 0), ("critical", 0), ("high", 2), ("low", 2)])
def test_fail_on(playbook: Playbook, fail_on: str | None, code: int) -> None:
    run = playbook.run(FAILING, *(["-e", f"atlassian_dc_fail_on={fail_on}"] if fail_on else []))
    assert run.code == code, run.output
    assert run.report["complete"]


def test_tags_select_controls_and_the_rest_says_so(playbook: Playbook) -> None:
    run = playbook.run(FAILING, "--tags", "DC-DIR-01")
    assert run.status("DC-DIR-03") == "not_checked"
    assert "--tags" in run.entry("DC-DIR-03")["reason"]
    assert run.report["selection"]["tags"] == ["DC-DIR-01"]
    assert run.report["complete"]


def test_an_unreachable_host_among_good_ones(playbook: Playbook) -> None:
    run = playbook.run(PLAY + GATE, limit="")
    assert run.code == 4
    assert not run.report["complete"]
    reachable = {name: host["reachable"] for name, host in run.report["hosts"].items()}
    assert reachable == {"h1": True, "h2": True, "gone": False}
    assert run.status("DC-USR-01", None, "gone") == "not_checked"
    assert "Connection refused" in run.entry("DC-USR-01", None, "gone")["reason"]


def test_limit_leaves_other_hosts_out(playbook: Playbook) -> None:
    run = playbook.run(PLAY + GATE, limit="h2")
    assert list(run.report["hosts"]) == ["h2"]
    assert run.report["complete"]


def test_preflight_stops_before_any_host_and_reports(playbook: Playbook) -> None:
    run = playbook.run(
        """
- hosts: all
  gather_facts: false
  tasks:
    - atlassian_dc.hardening.preflight:
      run_once: true
- hosts: all
  gather_facts: false
  tasks:
    - ansible.builtin.file: {path: "{{ playbook_dir }}/touched", state: touch}
      tags: DC-TOM-01
""",
        *["-e", "atlassian_dc_admin_network=10.0.0.0/8", "-e", "atlassian_dc_allow_restart=maybe"],
        limit="h1,h2",
    )
    assert run.code == 2
    assert not (playbook.folder / "touched").exists()
    assert "did you mean 'atlassian_dc_admin_networks'" in run.output
    assert not run.report["complete"]
    assert {entry["status"] for entry in run.report["hosts"]["h2"]["controls"]} <= {"not_checked", "manual"}


def test_loaded_twice_it_counts_once(playbook: Playbook) -> None:
    shutil.copytree(CHECKOUT / "playbooks" / "callback_plugins", playbook.folder / "callback_plugins")
    run = playbook.run(FAILING)
    assert run.output.count("report.json") == 1
    assert len(run.entry("DC-DIR-03")["evidence"]) == 1


def test_the_playbook_folder_loads_it_without_configuration(playbook: Playbook) -> None:
    shutil.copytree(CHECKOUT / "playbooks" / "callback_plugins", playbook.folder / "callback_plugins")
    run = playbook.run(FAILING, enabled=False)
    assert run.status("DC-DIR-03") == "fail"


def test_without_it_a_playbook_works_and_says_how_to_get_a_report(playbook: Playbook) -> None:
    run = playbook.run(FAILING.replace(GATE, ""), enabled=False)
    assert run.code == 0
    assert not run.report


def test_the_report_directory_is_private_and_keeps_the_last_report(playbook: Playbook) -> None:
    playbook.run(PLAY)
    playbook.run(PLAY)
    report = playbook.folder / "report"
    assert report.stat().st_mode & 0o777 == 0o700
    assert (report / "report.json").stat().st_mode & 0o777 == 0o600
    assert len(list((report / "history").rglob("report.json"))) == 1


class Old:
    """A result as ansible-core 2.18 gives it: only private names."""

    def __init__(self, **attributes: Any) -> None:
        self.__dict__.update(attributes)


def test_both_forms_of_results() -> None:
    from ansible_collections.atlassian_dc.hardening.plugins.callback.ledger import _fields, _parts

    host = Old(name="h1")
    old = Old(_task="task", _host=host, _result={"a": 1}, _task_fields={"tags": []})
    new = Old(task="task", host=host, result={"a": 1}, task_fields={"tags": []})
    assert _parts(old) == _parts(new) == ("task", "h1", {"a": 1})
    assert _fields(old) == _fields(new) == {"tags": []}


class TestTheCollectionsPlaybooks:
    """As people run them; this machine has no product, so an audit of it finds nothing to judge."""

    IMPORT = "- ansible.builtin.import_playbook: atlassian_dc.hardening.audit\n"
    ONE_ROLE = ("--tags", "service_user")
    """For what does not depend on how many roles there are."""

    def test_imported_into_somebody_elses_repository_they_report(self, playbook: Playbook) -> None:
        run = playbook.run(self.IMPORT, enabled=False)
        assert run.code == 0, run.output
        assert run.report["complete"]
        assert run.report["mode"] == "audit"
        assert run.status("DC-USR-01", None) == "not_applicable"
        assert "changed=0" in run.output
        # However many roles need it.
        assert run.output.count("Find the installed products") == 1

    def test_several_in_one_run_do_not_get_in_each_others_way(self, playbook: Playbook) -> None:
        run = playbook.run(self.IMPORT + self.IMPORT.replace("audit", "harden"), *self.ONE_ROLE, enabled=False)
        assert run.code == 0, run.output
        assert run.report["mode"] == "harden"

    def test_a_role_by_itself_reports_when_the_ledger_is_enabled(self, playbook: Playbook) -> None:
        run = playbook.run(
            "- {hosts: all, gather_facts: false, check_mode: true, roles: [atlassian_dc.hardening.file_permissions]}\n"
        )
        assert run.code == 0, run.output
        assert run.report["complete"]
        assert "no task of this playbook judged it" in run.entry("DC-USR-05", None)["reason"]

    def test_only_the_group_is_targeted_where_the_inventory_has_it(self, playbook: Playbook) -> None:
        inventory = json.loads((playbook.folder / "inventory.json").read_text())
        inventory["atlassian_dc"] = {"hosts": {"h2": {}}}
        (playbook.folder / "inventory.json").write_text(json.dumps(inventory))
        run = playbook.run(self.IMPORT, *self.ONE_ROLE, enabled=False, limit="")
        assert list(run.report["hosts"]) == ["h2"]

    def test_an_unreachable_host_does_not_keep_others_from_being_judged(self, playbook: Playbook) -> None:
        run = playbook.run(self.IMPORT, *self.ONE_ROLE, enabled=False, limit="h1,gone")
        assert run.code == 4
        assert not run.report["complete"]
        assert run.status("DC-USR-01", None) == "not_applicable"
        assert run.status("DC-USR-01", None, "gone") == "not_checked"

    def test_variables_given_to_the_import_are_checked_like_others(self, playbook: Playbook) -> None:
        given = """
  vars:
    patience: [soon]
    atlassian_dc_backup_wait: "{{ patience[0] }}"
    atlassian_dc_fail_on: "{{ inventory_hostname }}"
    atlassian_dc_admin_networks: "{{ ansible_facts.atlassian_dc.networks }}"
    atlassian_dc_alow_restart: true
"""
        run = playbook.run(self.IMPORT.rstrip() + given, enabled=False, limit="h1,h2")
        assert run.code == 2
        assert "h1: variable 'atlassian_dc_fail_on'" in run.output
        assert "h2: variable 'atlassian_dc_fail_on'" in run.output
        assert "argument 'atlassian_dc_backup_wait'" in run.output
        assert "did you mean 'atlassian_dc_allow_restart'" in run.output
        # It refers to what is yet to be found.
        assert "atlassian_dc_admin_networks" not in run.output
        assert "Find the installed products" not in run.output

    def test_those_that_refer_to_what_is_found_are_checked_then(self, playbook: Playbook) -> None:
        given = '{"atlassian_dc_backup_wait": "{{ ansible_facts.atlassian_dc.platform.title }}"}'
        settings = playbook.folder / "ansible.cfg"
        settings.write_text("[defaults]\ninject_facts_as_vars = false\n")
        run = playbook.run(self.IMPORT, "-e", given, *self.ONE_ROLE, enabled=False)
        assert run.code == 2
        assert "To be put right before any role goes on" in run.output
        assert "argument 'atlassian_dc_backup_wait'" in run.output

    def test_a_misspelt_variable_stops_the_run_and_the_report_says_so(self, playbook: Playbook) -> None:
        run = playbook.run(self.IMPORT, "-e", "atlassian_dc_alow_restart=true", enabled=False)
        assert run.code == 2
        assert "did you mean 'atlassian_dc_allow_restart'" in run.output
        assert not run.report["complete"]
        assert any("atlassian_dc_alow_restart" in message for message in run.report["messages"])
        assert "Find the installed products" not in run.output

    @pytest.mark.parametrize("value", ["false", "no"])
    def test_booleans_from_the_command_line(self, playbook: Playbook, value: str) -> None:
        run = playbook.run(
            self.IMPORT.replace("audit", "harden"),
            *("--check", "-e", f"atlassian_dc_allow_restart={value}"),
            *self.ONE_ROLE,
            enabled=False,
        )
        assert run.code == 0, run.output
        assert run.report["mode"] == "audit"


def test_the_checkout_wins_over_an_installed_copy(playbook: Playbook) -> None:
    """With the checkout's ansible.cfg, as everything started from the checkout has it."""
    copy = playbook.folder / ".ansible/collections/ansible_collections/atlassian_dc/hardening"
    (copy / "playbooks").mkdir(parents=True)
    (copy / "galaxy.yml").write_text("namespace: atlassian_dc\nname: hardening\nversion: 0.0.1\n")
    (copy / "playbooks/audit.yml").write_text("- {name: the old copy, hosts: all, tasks: []}\n")
    listing = subprocess.run(
        [sys.executable, "-m", "ansible", "playbook", "--list-tasks", "-i", "h,", "atlassian_dc.hardening.audit"],
        cwd=CHECKOUT,
        env={"PATH": os.environ["PATH"], "HOME": str(playbook.folder), "LANG": "C.UTF-8"},
        text=True,
        capture_output=True,
        check=True,
    ).stdout
    assert "the old copy" not in listing
    assert "file_permissions" in listing


CLUSTER = """
- hosts: all
  gather_facts: false
  vars:
    node:
      name: jira
      product: jira
      service_account: jira
      cluster: {id: jira-1}
      shared_home_dir: /srv/shared
      shared_home_id: 7
  tasks:
    - name: finds
      fake:
        returns:
          dc_instances: ["{{ node }}"]
          ansible_facts: {atlassian_dc: {instances: ["{{ node }}"]}}
    - name: looks at accounts
      fake:
        returns:
          dc_accounts: [{name: jira, uid: "{{ 998 if inventory_hostname == 'h1' else 1001 }}", group: jira, gid: 998}]
          dc_findings: [{control: DC-USR-05, instance: null, status: pass}]
      tags: DC-USR-05
    - name: walks
      fake:
        returns:
          dc_findings:
            - control: DC-DIR-03
              instance: jira
              status: pass
              reason: "{{ homes | string }}"
              elsewhere: "{{ homes.jira.judge | default('') }}"
      vars:
        homes: >-
          {{ hostvars | atlassian_dc.hardening.shared_homes(
               inventory_hostname, ansible_play_batch, ansible_play_hosts_all) }}
      when: inventory_hostname != skipped | default('')
      tags: DC-DIR-03
"""


class TestClusters:
    def test_nodes_are_compared_and_share_the_work(self, playbook: Playbook) -> None:
        run = playbook.run(CLUSTER + GATE, limit="h1,h2")
        assert run.code == 0, run.output
        for host in ("h1", "h2"):
            assert run.status("DC-USR-05", None, host) == "fail"
            reason = run.entry("DC-USR-05", None, host)["reason"]
            assert "h1: 998" in reason
            assert "h2: 1001" in reason
            assert run.status("DC-DIR-03", "jira", host) == "pass"
        assert run.entry("DC-DIR-03", "jira", "h1")["reason"] == "{}"
        assert run.entry("DC-DIR-03", "jira", "h2")["reason"] == "{'jira': {'judge': 'h1'}}"
        assert run.report["messages"] == [
            "cluster jira-1 (h1, h2): not compared with gone (left out by --limit, perhaps nodes too)"
        ]

    def test_what_the_other_host_did_not_judge_is_no_pass(self, playbook: Playbook) -> None:
        run = playbook.run(CLUSTER + GATE, "-e", "skipped=h1", limit="h1,h2")
        assert run.status("DC-DIR-03", "jira", "h2") == "not_checked"
        assert "where it was not: no task of this playbook judged it" in run.entry("DC-DIR-03", "jira", "h2")["reason"]

    @pytest.mark.parametrize(
        ("peers", "status"), [("[gone]", "not_checked"), ("[127.0.0.1]", "not_checked"), ("[h1]", "pass")]
    )
    def test_a_host_that_is_not_reached_counts_when_it_may_be_a_node(
        self, playbook: Playbook, peers: str, status: str
    ) -> None:
        run = playbook.run(CLUSTER + GATE, "-e", f"{{atlassian_dc_cluster_peers: {peers}}}", limit="h1,gone")
        assert run.status("DC-USR-05", None, "h1") == status
