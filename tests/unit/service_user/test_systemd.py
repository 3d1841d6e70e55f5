# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a unit and a process should be, what they are, and where the drop-in goes."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._systemd import (
    SANDBOX,
    Process,
    compare_process,
    compare_unit,
    directives_set_by,
    jvm_folders,
    needed_folders,
    parse_drop_in,
    parse_exposure,
    parse_process,
    parse_show,
    parse_syscall_sets,
    place,
    quote_word,
    read_process,
    render,
    same_value,
    sandbox_directives,
)
from hypothesis import given
from hypothesis import strategies as st

SYSCALLS = parse_syscall_sets(
    """\
@default
    # Always
    exit
    rt_sigreturn

@io
    read
    @default

@system-service
    # Services
    @io
    write

# Unlisted System Calls
    odd
"""
)

HARDENED = {
    "Name": "java",
    "Uid": "1001\t1001\t1001\t1001",
    "Gid": "1001\t1001\t1001\t1001",
    "Groups": "1001 50 ",
    "Umask": "0027",
    "NoNewPrivs": "1",
    "CapEff": "0000000000000000",
    "CapBnd": "0000000000000000",
    "Seccomp": "2",
}
MOUNTS = (
    "22 1 0:20 / / rw,relatime - overlay overlay rw\n"
    "23 22 0:20 / / ro,relatime - overlay overlay rw\n"
    "24 23 0:31 /systemd-private-1-jira.service-x/tmp /tmp rw - tmpfs tmpfs rw\n"
)


def process(**fields: str) -> Process:
    mounts = fields.pop("mounts", MOUNTS)
    found = parse_process(7, {**HARDENED, **fields}, mounts, "0::/system.slice/jira.service\n", "/usr/bin/java")
    assert found is not None
    return found


def test_show_of_several_units() -> None:
    text = "Id=a.service\nExecStart={ path=/a }\nExecStart={ path=/b }\nUser=\n\nId=b.service\nUser=x=y\n"
    assert parse_show(text) == [
        {"Id": "a.service", "ExecStart": "{ path=/a }\n{ path=/b }", "User": ""},
        {"Id": "b.service", "User": "x=y"},
    ]


def test_sets_of_system_calls() -> None:
    assert SYSCALLS["@system-service"] == {"read", "write", "exit", "rt_sigreturn"}
    assert "odd" not in SYSCALLS["@system-service"]


@pytest.mark.parametrize(
    ("directive", "expected", "actual", "same"),
    [
        ("NoNewPrivileges", "yes", "yes", True),
        ("NoNewPrivileges", "true", "yes", True),
        ("NoNewPrivileges", "yes", "no", False),
        ("ProtectSystem", "strict", "strict", True),
        ("ProtectSystem", "strict", "full", False),
        ("UMask", "0027", "0027", True),
        ("UMask", "0027", "0077", True),
        ("UMask", "0027", "0022", False),
        ("CapabilityBoundingSet", "", "", True),
        ("CapabilityBoundingSet", "", "cap_chown", False),
        ("CapabilityBoundingSet", "CAP_NET_BIND_SERVICE", "cap_net_bind_service", True),
        ("RestrictAddressFamilies", "AF_UNIX AF_INET", "AF_INET AF_UNIX", True),
        ("RestrictAddressFamilies", "AF_UNIX", "~", False),
        ("SystemCallErrorNumber", "EPERM", "1", True),
        ("SystemCallErrorNumber", "EPERM", "2147483646", False),
        ("SystemCallFilter", "@system-service", "exit read write", True),
        ("SystemCallFilter", "@system-service", "read", True),
        ("SystemCallFilter", "@system-service", "read mount", False),
        ("SystemCallFilter", "@system-service", "~mount", False),
        ("SystemCallFilter", "@system-service", "~", False),
        ("SystemCallFilter", "@system-service mount", "read mount", True),
        ("ReadWritePaths", '-/a "-/b c"', "-/b c -/a", True),
        ("ReadWritePaths", "-/a", "-/a /etc", False),
    ],
)
def test_same_value(directive: str, expected: str, actual: str, same: bool) -> None:
    assert same_value(directive, expected, actual, SYSCALLS) is same


def test_directives_unknown_to_this_systemd_are_left_out() -> None:
    wanted = {"User": "jira", "ProtectClock": "yes", "MemoryMax": "4G"}
    shown = {"User": "", "MemoryMax": "infinity"}
    assert [item.directive for item in compare_unit(wanted, shown, SYSCALLS)] == ["User"]


def test_exposure() -> None:
    text = "→ Overall exposure level for jira.service: 9.6 UNSAFE\n\n→ Overall exposure level for b.service: 2 OK\n"
    assert parse_exposure(text) == {"jira.service": 9.6, "b.service": 2.0}


def test_drop_in() -> None:
    text = render({"User": "jira", "Group": "jira"}, sandbox_directives({}, ["/opt/a b", "/var/50%"]))
    assert "\n[Service]\nUser=jira\nGroup=jira\nUMask=0027\n" in text
    assert "\nCapabilityBoundingSet=\n" in text
    assert "\nSystemCallFilter=\nSystemCallFilter=@system-service\n" in text
    assert '\nReadWritePaths=\nReadWritePaths="-/opt/a b" -/var/50%%\n' in text
    assert "MemoryDenyWriteExecute" not in text


def test_sandbox_can_be_changed() -> None:
    found = sandbox_directives(
        {
            "PrivateDevices": None,
            "RestrictNamespaces": False,
            "ProtectProc": "invisible",
            "CapabilityBoundingSet": ["A", "B"],
        },
        [],
    )
    assert "PrivateDevices" not in found
    assert (found["RestrictNamespaces"], found["ProtectProc"], found["CapabilityBoundingSet"]) == (
        "no",
        "invisible",
        "A B",
    )
    assert "PrivateDevices" in SANDBOX


@pytest.mark.parametrize(
    ("folder", "expected"),
    [("/home/jira/data", "read-only"), ("/root/jira", "read-only"), ("/var/home", "yes"), ("/homes/jira", "yes")],
)
def test_homes_stay_visible_where_the_product_lives_in_one(folder: str, expected: str) -> None:
    assert sandbox_directives({}, [folder])["ProtectHome"] == expected


@given(
    st.dictionaries(
        st.from_regex(r"\A[A-Z][A-Za-z]{1,12}\Z"), st.text("abc/-@%: ", max_size=20).map(str.strip), max_size=6
    )
)
def test_drop_in_round_trip(directives: dict[str, str]) -> None:
    assert parse_drop_in(render({}, directives)) == directives


def test_words_with_special_characters() -> None:
    assert quote_word("-/opt/atlassian/jira-9.1") == "-/opt/atlassian/jira-9.1"
    assert quote_word('-/a "b"\\c') == '"-/a \\"b\\"\\\\c"'


def test_directives_of_other_files() -> None:
    text = "[Unit]\nUMask=1\n[Service]\n# UMask=2\nUMask = 0022\nReadWritePaths=/a \\\n /b\nReadWritePaths=/c\n"
    assert directives_set_by(text) == {"UMask": "0022", "ReadWritePaths": "/a   /b /c"}


def test_needed_folders() -> None:
    instance: dict[str, Any] = {
        "working_dirs": ["/opt/jira/logs", "/opt/jira/work/"],
        "log_dirs": ["/opt/jira/logs", "/data/log"],
        "home_dir": "/data",
        "shared_home_dir": None,
        "jvm_arguments": ["-Djava.io.tmpdir=/scratch/jira", "-Xmx2g", "-Djava.io.tmpdir=/tmp/x"],
    }
    assert needed_folders(instance, "/usr/local/jira", ["/spool"]) == [
        "/data",
        "/opt/jira/logs",
        "/opt/jira/work",
        "/scratch/jira",
        "/spool",
        "/usr/local/jira",
    ]


def test_folders_of_the_jvm() -> None:
    arguments = [
        "-Xlog:gc*:file=/gc/jira/gc.log:time,uptime:filecount=5,filesize=20M",
        "-Xloggc:/old/gc.log",
        "-Xlog:gc:file=../logs/gc.log",
        "-Dother.tmpdir=/no",
    ]
    assert jvm_folders(arguments) == ["/gc/jira", "/old"]


def test_hardened_process_has_it_all() -> None:
    assert compare_process(sandbox_directives({}, []), process()) == []


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"Umask": "0022"}, ["umask"]),
        ({"NoNewPrivs": "0"}, ["NoNewPrivs"]),
        ({"CapBnd": "000001ffffffffff"}, ["capability bounding set"]),
        ({"CapEff": "0000000000000400"}, ["effective capabilities"]),
        ({"Seccomp": "0"}, ["system call filter"]),
        ({"mounts": MOUNTS.replace(" / / ro,", " / / rw,")}, ["file system outside its own folders"]),
        ({"mounts": MOUNTS.replace("/systemd-private-1-jira.service-x/tmp", "/")}, ["folder /tmp"]),
    ],
)
def test_what_a_process_lacks(fields: dict[str, str], what: list[str]) -> None:
    assert [item.directive for item in compare_process(sandbox_directives({}, []), process(**fields))] == what


def test_stricter_umask_is_fine() -> None:
    assert compare_process({"UMask": "0027"}, process(Umask="0077")) == []


def test_only_what_is_wanted_is_compared() -> None:
    naked = process(Umask="0000", NoNewPrivs="0", CapBnd="ff", CapEff="ff", Seccomp="0", mounts="")
    assert compare_process({"CapabilityBoundingSet": "CAP_NET_BIND_SERVICE"}, naked) == []


@pytest.mark.parametrize("missing", ["Uid", "Gid", "CapEff", "CapBnd"])
def test_senseless_status_is_no_process(missing: str) -> None:
    fields = {name: value for name, value in HARDENED.items() if name != missing}
    assert parse_process(7, fields, "", "", None) is None


def test_process_of_proc(tmp_path: Any) -> None:
    folder = tmp_path / "proc/7"
    folder.mkdir(parents=True)
    (folder / "status").write_text("".join(f"{name}:\t{value}\n" for name, value in HARDENED.items()))
    (folder / "mountinfo").write_text(MOUNTS)
    (folder / "cgroup").write_text("0::/system.slice/jira.service\n")
    (folder / "stat").write_text("7 (ja) va) S " + " ".join(["0"] * 18) + " 500 0\n")
    (tmp_path / "proc/stat").write_text("cpu 1\nbtime 1000\n")
    found = read_process(7, str(tmp_path))
    assert found is not None
    assert (found.uid, found.groups, found.private_tmp, found.root_read_only) == (1001, {1001, 50}, True, True)
    assert found.started is not None
    assert found.started > 1000
    assert read_process(8, str(tmp_path)) is None
    assert read_process(None, str(tmp_path)) is None


@pytest.mark.parametrize(
    ("phase", "unit_right", "process_right", "active", "trees_ready", "expected"),
    [
        # runs as root: wait for the restart, whatever the folders look like
        ("stage", False, False, True, False, "stage"),
        ("stage", False, False, True, True, "stage"),
        # runs as wanted already: the next start shall do the same
        ("stage", False, True, True, False, "live"),
        # stopped: only when the account can work in its folders
        ("stage", False, True, False, True, "live"),
        ("stage", False, True, False, False, "stage"),
        # inside the restart
        ("live", False, True, False, False, "live"),
        ("live", False, False, True, False, "live"),
        # nothing to do, even where the process still is of the old kind
        ("stage", True, False, True, True, "nothing"),
        ("live", True, True, False, True, "nothing"),
    ],
)
def test_where_the_drop_in_goes(
    phase: str, unit_right: bool, process_right: bool, active: bool, trees_ready: bool, expected: str
) -> None:
    assert place(phase, unit_right, process_right, active, trees_ready) == expected
