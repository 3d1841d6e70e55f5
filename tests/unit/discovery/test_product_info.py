# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module, its action plugin and the role around them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils import basic
from ansible.module_utils.basic import AnsibleModule
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._discovery_host import Host
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._platform import read_platform
from ansible_collections.atlassian_dc.hardening.plugins.modules import product_info
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils import _products
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._collection import collection_root
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._platforms import load_platforms
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._preflight import load_specification

ROOT = collection_root()
ROLE = ROOT / "roles" / "discovery"


def ad_hoc(tmp_path: Path, arguments: dict[str, Any], *options: str) -> dict[str, Any]:
    """Run the module through Ansible on this machine and return its result."""
    done = subprocess.run(
        [
            sys.executable, "-m", "ansible", "adhoc", "-i", "localhost,", "-c", "local", "all",
            "-e", f"ansible_python_interpreter={sys.executable}",
            "-m", "atlassian_dc.hardening.product_info", "-a", json.dumps(arguments),
            "-vvv", "-t", str(tmp_path / "result"), *options,
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={
            **os.environ,
            "ANSIBLE_LOCAL_TEMP": str(tmp_path),
            "ANSIBLE_REMOTE_TEMP": str(tmp_path),
        },
    )  # fmt: skip
    place = tmp_path / "result" / "localhost"
    assert place.exists(), done.stderr
    result: dict[str, Any] = json.loads(place.read_text(encoding="utf-8"))
    result["exit_code"] = done.returncode
    return result


class TestThroughAnsible:
    def test_nothing_declared(self, tmp_path: Path) -> None:
        result = ad_hoc(tmp_path, {"instances": []}, "--check")
        assert result["exit_code"] == 0
        assert result["changed"] is False
        assert result["dc_instances"] == []
        assert result["ansible_facts"]["atlassian_dc"]["instances"] == []
        assert result["message"] == "None of the declared instances is on this host."
        # What ansible-core 2.21 and newer leave out of results.
        assert not {"products", "platforms"} & set(result.get("invocation", {}).get("module_args", {}))
        assert result["ansible_facts"]["atlassian_dc"]["platform"]["title"]

    @pytest.mark.parametrize(("value", "words"), [("platform.title", "atlassian_dc_backup_wait"), ("nowhere", "")])
    def test_variables_that_refer_to_what_was_found(self, tmp_path: Path, value: str, words: str) -> None:
        variables = {
            "ansible_facts": {"_atlassian_dc_waiting": ["atlassian_dc_backup_wait", "atlassian_dc_of_another_host"]},
            "atlassian_dc_backup_wait": f"{{{{ ansible_facts.atlassian_dc.{value} }}}}",
        }
        result = ad_hoc(tmp_path, {"instances": []}, "-e", json.dumps(variables))
        # One that still refers to nothing is told by the task that needs it.
        assert bool(result["exit_code"]) == bool(words)
        assert words in result.get("msg", "")

    def test_declared_in_an_odd_place(self, tmp_path: Path) -> None:
        install = tmp_path / "jira"
        (install / "bin").mkdir(parents=True)
        (install / "bin" / "start-jira.sh").touch()
        result = ad_hoc(tmp_path, {"instances": [{"product": "jira", "name": "tickets", "install_dir": str(install)}]})
        (instance,) = result["dc_instances"]
        assert (instance["name"], instance["install_dir"], instance["version"]) == ("tickets", str(install), None)
        assert result["ansible_facts"]["atlassian_dc"]["instances"] == [instance]

    @pytest.mark.parametrize(
        ("arguments", "complaint"),
        [
            ({"instances": [{"product": "jirra"}]}, "atlassian_dc_instances: instances[0]: product must be one of"),
            ({"instances": [{"name": "x"}]}, "missing required arguments: product"),
            ({"instances": [{"product": "jira", "hme": "x"}]}, "Unsupported parameters"),
            ({"products": []}, "products is empty"),
            ({"platforms": []}, "platforms is empty"),
        ],
    )
    def test_mistakes_are_told(self, tmp_path: Path, arguments: dict[str, Any], complaint: str) -> None:
        result = ad_hoc(tmp_path, arguments)
        assert result["exit_code"] != 0
        assert complaint in result["msg"]


class TestRunCommand:
    @pytest.fixture
    def module(self, monkeypatch: pytest.MonkeyPatch) -> AnsibleModule:
        monkeypatch.setattr(basic, "_ANSIBLE_ARGS", b'{"ANSIBLE_MODULE_ARGS": {}}')
        monkeypatch.setattr(basic, "_ANSIBLE_PROFILE", "legacy", raising=False)  # ansible-core 2.19 and newer
        return AnsibleModule(argument_spec={})

    def test_output(self, module: AnsibleModule) -> None:
        assert product_info.run_command(module, ["printf", "a\nb"]) == "a\nb"

    def test_output_is_in_english_and_nothing_is_expanded(self, module: AnsibleModule) -> None:
        assert product_info.run_command(module, ["sh", "-c", 'echo "$LC_ALL $1"', "sh", "$HOME"]) == "C $HOME\n"

    def test_output_that_is_no_text(self, module: AnsibleModule) -> None:
        assert product_info.run_command(module, ["printf", "a\\377b"]) == "a\ufffdb"

    def test_failure(self, module: AnsibleModule) -> None:
        with pytest.raises(OSError, match="nowhere"):
            product_info.run_command(module, ["ls", "/nowhere"])

    def test_failure_without_words(self, module: AnsibleModule) -> None:
        with pytest.raises(OSError, match="exit code 3"):
            product_info.run_command(module, ["sh", "-c", "exit 3"])

    def test_missing_program(self, module: AnsibleModule) -> None:
        with pytest.raises(OSError, match="No such file"):
            product_info.run_command(module, ["/nowhere/systemctl"])

    def test_time_limit(self, module: AnsibleModule, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(product_info, "SYSTEMCTL_SECONDS", 0.1)
        with pytest.raises(OSError, match=r"no answer within 0\.1 seconds"):
            product_info.run_command(module, ["sleep", "5"])


class TestRole:
    CONTRACT = (
        "instances", "admin_networks", "proxy_addresses", "proxy_hosts", "cluster_peers", "credentials", "certificate",
        "log_collector", "backup_repository", "allow_restart", "skip_controls", "waivers_file", "attestations_file",
        "report_dir", "fail_on",
    )  # fmt: skip
    LATER = (
        "rollback_run", "allow_unsupported_platform", "drill_host", "drill_instance", "drill_backup", "drill_read_data",
        "drill_folder", "drill_wait", "restore_host", "restore_instance", "restore_backup", "restore_parts",
        "restore_overwrite", "restore_database", "restore_start", "restore_wait",
    )  # fmt: skip

    def spec(self) -> dict[str, Any]:
        data = yaml.safe_load((ROLE / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))
        options: dict[str, Any] = data["argument_specs"]["main"]["options"]
        return options

    def defaults(self) -> dict[str, Any]:
        data: dict[str, Any] = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text(encoding="utf-8"))
        return data

    def test_specifies_every_shared_variable(self) -> None:
        assert sorted(self.spec()) == sorted(f"atlassian_dc_{name}" for name in (*self.CONTRACT, *self.LATER))

    def test_defaults_agree_with_the_spec(self) -> None:
        with_default = {name: option["default"] for name, option in self.spec().items() if "default" in option}
        assert with_default == self.defaults()

    def test_secrets_are_not_logged(self) -> None:
        spec = self.spec()
        assert spec["atlassian_dc_credentials"]["no_log"] is True
        assert spec["atlassian_dc_backup_repository"]["no_log"] is True

    def test_everything_is_described(self) -> None:
        def complain(options: dict[str, Any], where: str) -> list[str]:
            found = []
            for name, option in options.items():
                if not option.get("description") or not option.get("type"):
                    found.append(f"{where}{name}")
                if option.get("type") == "list" and "elements" not in option:
                    found.append(f"{where}{name}.elements")
                found += complain(option.get("options", {}), f"{where}{name}.")
            return found

        assert complain(self.spec(), "") == []

    def test_instance_options_agree_with_the_module(self) -> None:
        assert set(self.spec()["atlassian_dc_instances"]["options"]) == set(product_info.INSTANCE_OPTIONS)

    def test_known_products_and_no_others_can_be_declared(self) -> None:
        choices = load_specification()["atlassian_dc_instances"]["options"]["product"]["choices"]
        assert choices == sorted(_products.load_products())
        assert "choices" not in self.spec()["atlassian_dc_instances"]["options"]["product"]


class TestDocumentation:
    def test_options_agree_with_the_code(self) -> None:
        options = yaml.safe_load(product_info.DOCUMENTATION)["options"]
        assert set(options) == {"instances", "products", "platforms"}
        assert set(options["instances"]["suboptions"]) == set(product_info.INSTANCE_OPTIONS)

    def test_every_key_of_an_instance_is_documented(self, tmp_path: Path) -> None:
        from unit.discovery.fake_host import FakeHost

        host = FakeHost(tmp_path)
        host.install()
        documented = yaml.safe_load(product_info.RETURN)
        assert set(documented["dc_instances"]["contains"]) == set(host.instance())
        contains = documented["ansible_facts"]["contains"]["atlassian_dc"]["contains"]
        assert set(contains) == set(host.discover()) - {"message"} | {"platform"}
        platform, _problems = read_platform(Host(str(tmp_path)), load_platforms())
        assert set(contains["platform"]["contains"]) == set(platform)
