# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which operating system a host has, and what follows where the collection does not support it."""

from __future__ import annotations

import random
import re
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._discovery_host import MAX_SCRIPT, Host
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._platform import identify, read_platform
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._collection import collection_root
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._platforms import load_platforms
from platforms import OS_RELEASES, SUPPORTED

if TYPE_CHECKING:
    from unit.discovery.fake_host import FakeHost

PATH = "/etc/os-release"


def looked_at(host: FakeHost) -> tuple[dict[str, Any], str]:
    platform, problems = read_platform(Host(str(host.root)), load_platforms())
    return platform, "\n".join(f"{problem['path']}: {problem['message']}" for problem in problems)


@pytest.mark.parametrize(("name", "version"), SUPPORTED)
def test_supported(host: FakeHost, name: str, version: str) -> None:
    host.write(PATH, OS_RELEASES[name])
    platform, problems = looked_at(host)
    assert problems == ""
    assert platform["supported"]
    assert (platform["id"], platform["version"]) == (name.split()[0], version)
    assert platform["family"] == ("debian" if platform["id"] in ("debian", "ubuntu") else "redhat")


def test_every_supported_one_is_tried() -> None:
    listed = {f"{entry['id']} {version}" for entry in load_platforms() for version in entry["versions"]}
    assert listed == {name for name, _version in SUPPORTED}


@pytest.mark.parametrize(
    ("text", "title", "family"),
    [
        ('ID=debian\nVERSION_ID="11"\nPRETTY_NAME="Debian 11 (bullseye)"', "Debian 11 (bullseye)", "debian"),
        ('ID=debian\nPRETTY_NAME="Debian GNU/Linux forky/sid"', "Debian GNU/Linux forky/sid", "debian"),
        ("ID=debian\nVERSION_ID=120\n", "debian 120", "debian"),
        ('ID=ubuntu\nID_LIKE=debian\nVERSION_ID="22.10"', "ubuntu 22.10", "debian"),
        ('ID="rhel"\nID_LIKE="fedora"\nVERSION_ID="8.9"', "rhel 8.9", "redhat"),
        ('ID="rhel"\nVERSION_ID="90.1"', "rhel 90.1", "redhat"),
        ('ID="centos"\nID_LIKE="rhel fedora"\nVERSION_ID="9"', "centos 9", "redhat"),
        ('ID="ol"\nID_LIKE="fedora"\nVERSION_ID="9.4"', "ol 9.4", None),
        ('ID="sles"\nID_LIKE="suse"\nVERSION_ID="15.7"', "sles 15.7", None),
        ("ID=alpine\nVERSION_ID=3.20.3\nPRETTY_NAME='Alpine Linux v3.20'\n", "Alpine Linux v3.20", None),
        ("", "An operating system of unknown name", None),
    ],
)  # fmt: skip
def test_any_other_is_told_once_with_what_is_supported(
    host: FakeHost, text: str, title: str, family: str | None
) -> None:
    host.write(PATH, text)
    platform, problems = looked_at(host)
    assert not platform["supported"]
    assert (platform["title"], platform["family"]) == (title, family)
    assert problems.startswith(f"{PATH}: {title} is not supported: ")
    assert problems.count("\n") == 0
    for words in (
        "Debian 12 and 13",
        "Ubuntu 22.04 and 24.04",
        "AlmaLinux 9",
        "atlassian_dc_allow_unsupported_platform",
    ):
        assert words in problems


def test_the_other_place_counts_where_the_first_is_missing(host: FakeHost) -> None:
    host.write("/usr/lib/os-release", OS_RELEASES["debian 12"])
    assert looked_at(host) == (identify(OS_RELEASES["debian 12"], load_platforms()), "")
    host.link(PATH, "../usr/lib/os-release")
    assert looked_at(host)[1] == ""


def test_none_at_all(host: FakeHost) -> None:
    platform, problems = looked_at(host)
    assert platform["supported"] is False
    assert "An operating system of unknown name is not supported" in problems


class TestHostileFile:
    @pytest.mark.parametrize(
        "text",
        [
            "ID=$(reboot)\nVERSION_ID=`id`\n",
            "ID='debian;rm'\nVERSION_ID='12'\n",
            "ID=../../etc\nVERSION_ID=12",
            "ID=DEBIAN\nVERSION_ID=12",
            "ID=debian\nVERSION_ID='12 or 13'\n",
            "ID=debian\nVERSION_ID=12\nID=\n",
            "ID={{ lookup('pipe', 'id') }}\nVERSION_ID={{ 12 }}\n",
            "ID=debian\0\nVERSION_ID=12\0\n",
            "PRETTY_NAME='\x1b[2J\u202edebian\u0000'\n",
            f"ID={'a' * 100000}\nVERSION_ID={'1' * 100000}\nPRETTY_NAME={'x' * 100000}\n",
            "ID_LIKE=" + " ".join(["{{", "debian'", "$(id)"] * 1000),
            "=\n==\nID\n'\n\"\n\\\n",
        ],
    )
    def test_is_not_believed(self, text: str) -> None:
        platform = identify(text, load_platforms())
        assert not platform["supported"]
        assert platform["id"] is None or re.fullmatch(r"[a-z0-9._-]{1,40}", platform["id"])
        assert platform["version"] is None or re.fullmatch(r"[a-z0-9._+~-]{1,40}", platform["version"])
        assert platform["title"].isprintable()
        assert 0 < len(platform["title"]) <= 80

    def test_whatever_bytes(self, host: FakeHost) -> None:
        dice = random.Random(4)  # noqa: S311 - no secret
        for _turn in range(200):
            host.write(
                PATH,
                bytes(dice.choice(b"ID=VERSN_\"'\\\n $debian12\x00\xff#") for _number in range(dice.randrange(200))),
            )
            platform, problems = looked_at(host)
            assert platform["title"].isprintable()
            assert platform["supported"] == (problems == "")

    def test_too_large_or_no_file(self, host: FakeHost) -> None:
        host.write(PATH, OS_RELEASES["debian 12"] + "#" * MAX_SCRIPT)
        platform, problems = looked_at(host)
        assert not platform["supported"]
        assert f"{PATH}: is larger than" in problems
        host.path(PATH).unlink()
        host.path(PATH).mkdir()
        assert f"{PATH}: is not a regular file" in looked_at(host)[1]

    def test_a_link_out_of_the_host_is_not_followed(self, host: FakeHost) -> None:
        host.link(PATH, "../" * 30 + "etc/hostname")
        assert "is not supported" in looked_at(host)[1]


def test_the_readme_names_every_platform() -> None:
    readme = (collection_root() / "README.md").read_text(encoding="utf-8")
    (section,) = re.findall(r"^## Platforms\n(.*?)^## ", readme, re.MULTILINE | re.DOTALL)
    for platform in load_platforms():
        assert f"{platform['title']} {' and '.join(platform['versions'])}" in section
