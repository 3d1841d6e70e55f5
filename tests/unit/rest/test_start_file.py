# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Arguments of the JVM in start scripts: what is written, when it is live, and what is left alone."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._changes import ChangeError, Changes
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._discovery_parse import (
    jvm_properties,
    parse_shell,
    split_words,
)
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._start_file import (
    BEGIN,
    END,
    with_properties,
    write_properties,
)
from unit.rest.scripted_server import scripted_server
from unit.rest.settings_host import SettingsHost

DAYS, ETERNAL = "atlassian.pats.max.tokens.expiry.days", "atlassian.pats.eternal.tokens.enabled"
SCRIPT = 'CATALINA_OPTS="-Xmx1g ${CATALINA_OPTS}"\nexport CATALINA_OPTS\n'
WANTED = {DAYS: "90", ETERNAL: "false"}


def properties(text: str) -> dict[str, str]:
    return jvm_properties(split_words(parse_shell(text).values["CATALINA_OPTS"]))


@pytest.mark.parametrize("script", [SCRIPT, SCRIPT.rstrip(), "", f'CATALINA_OPTS="-D{DAYS}=3650"\n', "JAVA_OPTS=x\n"])
def test_the_last_word_is_ours_and_the_rest_stays(script: str) -> None:
    text = with_properties(script, "CATALINA_OPTS", WANTED)
    assert text.startswith(script)
    assert properties(text) == WANTED
    assert with_properties(text, "CATALINA_OPTS", WANTED) == text
    done = subprocess.run(
        ["sh", "-c", f'{text}\nprintf %s "$CATALINA_OPTS"'], capture_output=True, text=True, check=True, env={}
    )
    assert jvm_properties(done.stdout.split()) == WANTED


def test_what_the_block_has_besides_stays_and_it_goes_to_the_end() -> None:
    text = with_properties(SCRIPT, "CATALINA_OPTS", {ETERNAL: "false"}) + f'CATALINA_OPTS="$CATALINA_OPTS -D{DAYS}=7"\n'
    again = with_properties(text, "CATALINA_OPTS", {DAYS: "90"})
    assert properties(again) == WANTED
    assert again.endswith(f"{END}\n")
    assert again.count(BEGIN) == 1


@pytest.mark.parametrize("value", ['90"; rm x; "', "$(id)", "", "a b", "90\n"])
def test_nothing_but_plain_words_is_written(value: str) -> None:
    with pytest.raises(ValueError, match="plain"):
        with_properties(SCRIPT, "CATALINA_OPTS", {DAYS: value})
    changed = with_properties(SCRIPT, "CATALINA_OPTS", WANTED).replace("=90", "=`id`")
    with pytest.raises(ValueError, match="plain"):
        with_properties(changed, "CATALINA_OPTS", {ETERNAL: "false"})


def run_command(command: list[str], **_more: Any) -> tuple[int, str, str]:
    """Have a shell look at scripts, and nothing else."""
    if command[0] != "sh":
        return 127, "", "not found"
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("content", ['A="\n', "", "x" * (1024 * 1024 + 1), None])
def test_scripts_that_are_left_alone(tmp_path: Path, content: str | None) -> None:
    script = tmp_path / "setenv.sh"
    if content is not None:
        script.write_text(content)
    with pytest.raises(ChangeError):
        write_properties(Changes(False), run_command, "/setenv.sh", "CATALINA_OPTS", WANTED, str(tmp_path))
    assert content is None or script.read_text() == content


def test_links_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real/setenv.sh").write_text(SCRIPT)
    (tmp_path / "bin").symlink_to("real")
    with pytest.raises(ChangeError, match="symbolic link"):
        write_properties(Changes(False), run_command, "/bin/setenv.sh", "CATALINA_OPTS", WANTED, str(tmp_path))
    assert (tmp_path / "real/setenv.sh").read_text() == SCRIPT


# ---- the module ------------------------------------------------------------------------------------------------------


class StartedHost(SettingsHost):
    """An instance that runs in a unit, started by a script that says nothing of tokens."""

    def __init__(self, root: Path, server: Any, product: str = "jira") -> None:
        super().__init__(root, server, product)
        self.script = root / "opt/product/bin/setenv.sh"
        self.script.parent.mkdir(parents=True)
        self.script.write_text(SCRIPT)
        self.script.chmod(0o750)
        self.instance.update(running=True, unit="product.service", jvm_arguments=["-Xmx1g"])
        self.look()

    def look(self) -> None:
        """Discover again what the next start brings."""
        words = split_words(parse_shell(self.script.read_text()).values["CATALINA_OPTS"])
        self.instance["start_jvm_arguments"] = words

    def run_command(self, _command: list[str], **_more: Any) -> tuple[int, str, str]:
        """Have a shell and systemd."""
        if _command[0] == "systemctl":
            return 0, "Id=product.service\nLoadState=loaded\nActiveState=active\nSubState=running\n", ""
        return run_command(_command)


@pytest.fixture
def host(tmp_path: Path) -> Iterator[StartedHost]:
    with scripted_server() as server:
        yield StartedHost(tmp_path, server)


def test_tokens_are_made_to_end_by_a_restart(host: StartedHost) -> None:
    found, settings = host.judge(check_mode=True)
    predicted = settings.changes.result()
    assert (found["DC-AUT-04"]["status"], found["DC-AUT-04"]["pending"]) == ("fail", None)
    assert host.script.read_text() == SCRIPT
    found, settings = host.judge()
    assert settings.changes.result()["dc_changes"] == predicted["dc_changes"]
    assert len(predicted["dc_changes"]) == 1
    assert (found["DC-AUT-04"]["status"], found["DC-AUT-04"]["pending"]) == ("fail", "restart")
    assert settings.restart_pending == ["desk"]
    assert host.script.read_text().startswith(SCRIPT)
    assert host.script.stat().st_mode & 0o777 == 0o750
    host.look()
    found, settings = host.judge()
    assert settings.changes.count == 0
    assert (found["DC-AUT-04"]["status"], found["DC-AUT-04"]["pending"]) == ("fail", "restart")
    found, settings = host.judge(enforce=[])
    assert (found["DC-AUT-04"]["pending"], settings.restart_pending) == ("restart", [])
    host.instance["jvm_arguments"] = host.instance["start_jvm_arguments"]
    assert host.judge()[0]["DC-AUT-04"]["status"] == "pass"


def test_what_is_not_to_be_enforced_is_not_written(host: StartedHost) -> None:
    for option in ("enforce", "write"):
        found, settings = host.judge(**{option: []})  # type: ignore[arg-type]
        assert (found["DC-AUT-04"]["status"], found["DC-AUT-04"]["pending"]) == ("fail", None)
        assert settings.changes.count == 0
    assert host.script.read_text() == SCRIPT


def test_a_product_that_runs_in_no_unit_is_restarted_by_hand(host: StartedHost) -> None:
    host.instance["unit"] = None
    found, settings = host.judge()
    assert (found["DC-AUT-04"]["status"], found["DC-AUT-04"]["pending"]) == ("fail", None)
    assert "the way you start it" in found["DC-AUT-04"]["reason"]
    assert settings.restart_pending == []


def test_something_else_that_is_wrong_keeps_it_from_waiting(host: StartedHost) -> None:
    host.script.write_text('CATALINA_OPTS="-Datlassian.pats.enabled=false"\n')
    host.look()
    host.instance["jvm_arguments"] = ["-Datlassian.pats.enabled=false"]
    found, settings = host.judge()
    assert (found["DC-AUT-04"]["status"], found["DC-AUT-04"]["pending"]) == ("fail", None)
    assert settings.restart_pending == []


def test_a_script_that_cannot_be_written_fails_with_the_reason(host: StartedHost) -> None:
    host.script.write_text(f"{SCRIPT}if\n")
    found, settings = host.judge()
    assert found["DC-AUT-04"]["status"] == "fail"
    assert "the shell does not understand it" in found["DC-AUT-04"]["reason"]
    assert settings.restart_pending == []
