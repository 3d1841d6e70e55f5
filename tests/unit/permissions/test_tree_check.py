# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The permission check on real files: what is found, what is changed, what is left alone."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import struct
import subprocess
import tempfile
import threading
from pathlib import Path

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.module_utils import _permissions_tree
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._changes import Changes
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._permissions import PolicyError
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._permissions_tree import check_trees
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._walk import Child, Folder, Mounts, Walk
from unit.permissions.permission_product import (
    OTHER,
    OTHER_UID,
    READER,
    READER_UID,
    SERVICE,
    SERVICE_GID,
    SERVICE_UID,
    FullRecorder,
    Product,
    needs_root,
    run_trees,
    snapshot,
    state,
)

pytestmark = needs_root

ALL = {"DC-DIR-01", "DC-DIR-02", "DC-DIR-03", "DC-DIR-04", "DC-DIR-05", "DC-DIR-06", "DC-LOG-04"}
UNUSED_ID = 54321


def setfacl(*arguments: str) -> None:
    if not shutil.which("setfacl"):
        pytest.skip("setfacl is not installed")
    subprocess.run(["setfacl", *arguments], check=True)


def has_acl(path: Path) -> bool:
    return "system.posix_acl_access" in os.listxattr(path)


# ---- the product as it is usually left ---------------------------------------------------------


def test_unhardened_product_fails_where_it_should(product: Product) -> None:
    result = product.run(check=True)
    assert result.statuses == {
        "DC-DIR-01": "fail",
        "DC-DIR-02": "fail",
        "DC-DIR-03": "fail",
        "DC-DIR-04": "fail",
        "DC-DIR-05": "pass",
        "DC-DIR-06": "pass",
        "DC-LOG-04": "fail",
    }
    assert f"under the install tree are writable by {SERVICE}" in result["DC-DIR-01"]["reason"]
    assert result["DC-DIR-01"]["evidence"][0] == {
        "what": str(product.install),
        "expected": f"root:{SERVICE} 0755",
        "actual": f"{SERVICE}:{SERVICE} 0755",
    }
    assert result["DC-DIR-04"]["reason"] == (
        f"1 path under the install tree is writable by {SERVICE}; 1 path under the home is open to other accounts"
    )


def test_hardening_gives_the_policy_of_the_readme(product: Product) -> None:
    result = product.run()
    assert result.failing == set()
    assert result.statuses["DC-DIR-01"] == "fixed"
    expected = {
        "install": (0, SERVICE_GID, 0o755),
        "install/bin/start-jira.sh": (0, SERVICE_GID, 0o755),
        "install/conf/server.xml": (0, SERVICE_GID, 0o640),
        "install/conf/Catalina": (SERVICE_UID, SERVICE_GID, 0o750),
        "install/conf/Catalina/localhost/x.xml": (SERVICE_UID, SERVICE_GID, 0o640),
        "install/logs": (SERVICE_UID, SERVICE_GID, 0o750),
        "install/logs/catalina.out": (SERVICE_UID, SERVICE_GID, 0o640),
        "install/atlassian-jira/index.jsp": (0, SERVICE_GID, 0o644),
        "home": (SERVICE_UID, SERVICE_GID, 0o750),
        "home/dbconfig.xml": (SERVICE_UID, SERVICE_GID, 0o600),
        "home/log/audit/1.audit.log": (SERVICE_UID, SERVICE_GID, 0o640),
        "home/plugins/installed-plugins/app.jar": (SERVICE_UID, SERVICE_GID, 0o640),
    }
    assert {name: state(product.path(name)) for name in expected} == expected


@pytest.mark.parametrize("secrets", [[], None])
def test_what_a_product_does_not_have_is_not_applicable_and_never_a_pass(
    product: Product, secrets: list[dict[str, str]] | None
) -> None:
    result = product.run(instance=product.instance(secret_files=secrets))
    finding = result["DC-DIR-04"]
    expected = "not checked" if secrets is None else "not applicable"
    assert finding["status"] == expected.replace(" ", "_")
    assert finding["reason"]


def test_folders_above_count_where_there_is_no_install_tree(product: Product) -> None:
    install = str(product.install)
    agent = product.instance(home_dir=install, web_root="", working_dirs=[], log_dirs=[])
    assert product.run(True, instance=agent)["DC-DIR-01"]["status"] == "not_applicable"
    product.root.chmod(0o777)
    assert product.run(True, instance=agent)["DC-DIR-01"]["status"] == "fail"


# ---- folders above the install tree -------------------------------------------------------------


@pytest.mark.parametrize(
    ("uid", "gid", "mode", "fixed"),
    [
        (SERVICE_UID, 0, 0o755, (0, 0, 0o755)),
        (0, SERVICE_GID, 0o775, (0, SERVICE_GID, 0o755)),
        (OTHER_UID, 0, 0o757, (OTHER_UID, 0, 0o755)),
    ],
)
def test_who_may_write_above_the_install_tree_could_replace_it(
    product: Product, uid: int, gid: int, mode: int, fixed: tuple[int, int, int]
) -> None:
    product.run()
    os.chown(product.root, uid, gid)
    product.root.chmod(mode)
    found = product.run(check=True)
    assert found.failing == {"DC-DIR-01"}
    assert list(found.evidence("DC-DIR-01")) == [str(product.root)]
    assert found["DC-DIR-01"]["reason"] == (
        f"1 path in the line of folders above the install tree is writable by {SERVICE}"
    )
    assert product.run()["DC-DIR-01"]["status"] == "fixed"
    assert state(product.root) == fixed
    assert not product.run().changed


@pytest.mark.parametrize(
    ("uid", "gid", "mode"), [(OTHER_UID, OTHER_UID, 0o775), (0, 0, 0o1777), (0, SERVICE_GID, 0o755)]
)
def test_others_keep_what_they_have_above_the_install_tree(product: Product, uid: int, gid: int, mode: int) -> None:
    product.run()
    os.chown(product.root, uid, gid)
    product.root.chmod(mode)
    again = product.run()
    assert again["DC-DIR-01"]["status"] == "pass"
    assert state(product.root) == (uid, gid, mode)


def test_an_access_list_above_the_install_tree_counts(product: Product) -> None:
    product.run()
    setfacl("-m", f"u:{SERVICE}:rwx,u:{OTHER}:rwx", str(product.root))
    assert product.run(check=True).failing == {"DC-DIR-01"}
    assert product.run()["DC-DIR-01"]["status"] == "fixed"
    kept = subprocess.run(["getfacl", "-cnp", str(product.root)], check=True, capture_output=True, text=True).stdout
    assert f"user:{SERVICE_UID}:r-x" in kept
    assert f"user:{OTHER_UID}:rwx" in kept


def test_a_link_to_the_install_tree_is_as_safe_as_the_folder_it_lies_in(product: Product) -> None:
    links = product.root / "links"
    links.mkdir()
    link = links / "current"
    link.symlink_to(product.install)
    instance = product.instance(install_link=str(link))
    product.run(instance=instance)
    os.chown(links, SERVICE_UID, 0)
    found = product.run(instance=instance, check=True)
    assert list(found.evidence("DC-DIR-01")) == [str(links)]


# ---- runs ---------------------------------------------------------------------------------------


def test_second_run_changes_nothing(product: Product) -> None:
    product.run()
    before = snapshot(product.root)
    again = product.run()
    assert not again.changed
    assert set(again.statuses.values()) == {"pass"}
    assert snapshot(product.root) == before


def test_check_mode_changes_nothing_and_predicts_path_by_path(product: Product) -> None:
    product.path("home/data/attachments/1").chmod(0o4777)
    setfacl("-m", f"u:{OTHER}:rw", str(product.path("home/dbconfig.xml")))
    before = snapshot(product.root)
    predicted = product.run(check=True)
    assert snapshot(product.root) == before
    real = product.run()
    assert predicted.raw["dc_changes"] == real.raw["dc_changes"]
    assert predicted.raw["diff"] == real.raw["diff"]
    assert predicted.raw["change_count"] == real.raw["change_count"]
    assert {control for control, status in real.statuses.items() if status == "fixed"} == predicted.failing


def test_controls_are_judged_and_enforced_as_told(product: Product) -> None:
    result = product.run(controls=["DC-DIR-01", "DC-DIR-03"], enforce=["DC-DIR-03"])
    assert result.statuses == {"DC-DIR-01": "fail", "DC-DIR-03": "fixed"}
    assert state(product.install)[0] == SERVICE_UID
    assert state(product.path("home/data")) == (SERVICE_UID, SERVICE_GID, 0o750)
    assert state(product.path("home/dbconfig.xml"))[2] == 0o644


def test_only_the_bits_of_enforced_controls_change(hardened: Product) -> None:
    path = hardened.path("home/data/attachments/1")
    path.chmod(0o4666)
    result = hardened.run(controls=["DC-DIR-03", "DC-DIR-05"], enforce=["DC-DIR-05"])
    assert result.statuses == {"DC-DIR-03": "fail", "DC-DIR-05": "fixed"}
    assert state(path)[2] == 0o664


# ---- modes ------------------------------------------------------------------------------------


def test_unreadable_install_file_is_made_readable(hardened: Product) -> None:
    path = hardened.add("install/lib/new.jar", 0o600, 0, 0)
    script = hardened.add("install/lib/tool", 0o700, 0, 0)
    grouped = hardened.add("install/lib/grouped.jar", 0o600, 0, SERVICE_GID)
    result = hardened.run()
    assert result.statuses["DC-DIR-01"] == "fixed"
    assert f"3 paths under the install tree lack access that {SERVICE} needs" in result["DC-DIR-01"]["reason"]
    assert state(path) == (0, 0, 0o604)
    assert state(script) == (0, 0, 0o705)
    assert state(grouped) == (0, SERVICE_GID, 0o640)
    assert not hardened.run().changed


def test_stricter_modes_survive(hardened: Product) -> None:
    hardened.path("home/data").chmod(0o700)
    hardened.path("home/dbconfig.xml").chmod(0o400)
    hardened.path("install/bin").chmod(0o750)
    hardened.path("install/bin/setenv.sh").chmod(0o550)
    assert not hardened.run().changed


def test_service_account_needs_its_own_files(hardened: Product) -> None:
    path = hardened.add("home/data/root-owned", 0o600, 0, 0)
    assert hardened.run().statuses["DC-DIR-03"] == "fixed"
    assert state(path) == (SERVICE_UID, SERVICE_GID, 0o600)


# ---- traits ------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [0o777, 0o1777])
def test_world_writable_folder(hardened: Product, mode: int) -> None:
    hardened.path("install/temp").chmod(mode)
    result = hardened.run(check=True)
    assert result.failing == {"DC-DIR-02", "DC-DIR-05"}
    assert "1 path under the install tree is writable by everybody" in result["DC-DIR-05"]["reason"]
    assert hardened.run().failing == set()
    assert not hardened.path("install/temp").stat().st_mode & 0o007


def test_setuid_file_is_found_and_cleared(hardened: Product) -> None:
    path = hardened.add("install/bin/helper", 0o4755, 0, 0)
    hardened.add("install/bin/helper2", 0o2755, 0, 0)
    assert hardened.run(check=True).failing == {"DC-DIR-05"}
    assert hardened.run().statuses["DC-DIR-05"] == "fixed"
    assert state(path)[2] == 0o755


def test_setgid_folder_is_harmless(hardened: Product) -> None:
    hardened.path("home/data").chmod(0o2750)
    assert not hardened.run().changed


def test_unowned_file(hardened: Product) -> None:
    path = hardened.path("install/bin/setenv.sh")
    os.chown(path, UNUSED_ID, UNUSED_ID)
    result = hardened.run(check=True)
    assert result.failing == {"DC-DIR-01", "DC-DIR-05"}
    assert "belongs to no existing account" in result["DC-DIR-05"]["reason"]
    only = hardened.run(controls=["DC-DIR-05"])
    assert only.statuses == {"DC-DIR-05": "fixed"}
    assert state(path)[:2] == (0, 0)


def capability(number: int) -> bytes:
    return struct.pack("<5I", 0x02000001, 1 << number, 0, 0, 0)


def test_capabilities_are_taken_away(hardened: Product) -> None:
    path = hardened.path("install/bin/start-jira.sh")
    os.setxattr(path, "security.capability", capability(21))
    assert hardened.run(check=True).failing == {"DC-DIR-05"}
    assert hardened.run().statuses["DC-DIR-05"] == "fixed"
    assert "security.capability" not in os.listxattr(path)


def test_the_right_to_low_ports_is_reported_and_survives_a_change_of_owner(hardened: Product) -> None:
    path = hardened.path("install/bin/start-jira.sh")
    os.chown(path, SERVICE_UID, SERVICE_GID)
    os.setxattr(path, "security.capability", capability(10))
    predicted = hardened.run(check=True)
    result = hardened.run()
    assert predicted.raw["dc_changes"] == result.raw["dc_changes"]
    assert result.statuses["DC-DIR-05"] == "fail"
    assert result.statuses["DC-DIR-01"] == "fixed"
    assert "port below 1024" in result.evidence("DC-DIR-05")[str(path)]
    assert state(path)[0] == 0
    assert os.getxattr(path, "security.capability") == capability(10)
    assert not hardened.run().changed


def test_waived_traits_keep_capabilities(hardened: Product) -> None:
    path = hardened.path("install/bin/start-jira.sh")
    os.chown(path, SERVICE_UID, SERVICE_GID)
    os.setxattr(path, "security.capability", capability(21))
    hardened.run(enforce=sorted(ALL - {"DC-DIR-05"}))
    assert state(path)[0] == 0
    assert os.getxattr(path, "security.capability") == capability(21)


def test_device_nodes_are_reported_only(hardened: Product) -> None:
    path = hardened.path("home/data/null")
    try:
        os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("device nodes may not be made here")
    result = hardened.run()
    assert result.failing == {"DC-DIR-05"}
    assert not result.changed
    assert "character device" in result.evidence("DC-DIR-05")[str(path)]


def test_fifos_and_sockets_do_not_block_and_are_judged_like_files(hardened: Product) -> None:
    fifo = hardened.path("home/data/fifo")
    os.mkfifo(fifo)
    os.chown(fifo, SERVICE_UID, SERVICE_GID)
    fifo.chmod(0o644)
    folder = os.getcwd()
    os.chdir(hardened.path("home/data"))
    try:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.bind("sock")
    finally:
        os.chdir(folder)
    assert hardened.run().statuses["DC-DIR-03"] == "fixed"
    assert state(fifo)[2] == 0o640
    assert stat.S_ISSOCK(hardened.path("home/data/sock").lstat().st_mode)
    assert not hardened.run().changed


# ---- links -------------------------------------------------------------------------------------


def test_symbolic_links_are_not_followed(hardened: Product, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside")
    (outside / "file").write_text("x")
    (outside / "file").chmod(0o777)
    before = snapshot(outside)
    (hardened.path("home/data/deep")).symlink_to(outside)
    (hardened.path("install/bin/file")).symlink_to(outside / "file")
    result = hardened.run()
    assert set(result.statuses.values()) == {"pass"}
    assert snapshot(outside) == before


@pytest.mark.parametrize(
    ("name", "controls"),
    [
        ("home/moved", {"DC-DIR-03", "DC-DIR-05"}),
        ("install/work", {"DC-DIR-02", "DC-DIR-05"}),
        ("home/dbconfig.xml", {"DC-DIR-04"}),
    ],
)
def test_link_in_place_of_a_folder_that_counts_is_named(
    hardened: Product, tmp_path_factory: pytest.TempPathFactory, name: str, controls: set[str]
) -> None:
    outside = tmp_path_factory.mktemp("outside")
    path = hardened.path(name)
    if path.is_dir():
        shutil.rmtree(path)
    elif path.exists():
        path.rename(outside / path.name)
    target = outside / path.name if (outside / path.name).exists() else outside
    path.symlink_to(target)
    result = hardened.run()
    assert {control for control, status in result.statuses.items() if status == "not_checked"} == controls
    for control in controls:
        assert str(path) in result[control]["reason"]
        assert result[control]["evidence"][0]["what"] == str(path)


def test_link_into_another_tree_is_covered_by_that(hardened: Product) -> None:
    hardened.path("home/elsewhere").symlink_to(hardened.path("home/data"))
    assert set(hardened.run().statuses.values()) == {"pass"}


def test_hard_link_to_a_file_of_the_system_is_never_changed(product: Product) -> None:
    victim = product.root / "shadow"
    victim.write_text("secret")
    victim.chmod(0o600)
    os.link(victim, product.path("install/bin/innocent"))
    os.link(victim, product.path("home/data/innocent"))
    before = state(victim)
    predicted = product.run(check=True)
    result = product.run()
    assert state(victim) == before
    assert predicted.raw["dc_changes"] == result.raw["dc_changes"]
    assert result.failing == {"DC-DIR-01", "DC-DIR-03"}
    assert "it has 3 hard links" in result.evidence("DC-DIR-03")[str(product.path("home/data/innocent"))]
    assert "1 could not be put right" in result["DC-DIR-03"]["reason"]
    again = product.run()
    assert again.failing == {"DC-DIR-01", "DC-DIR-03"}
    assert not again.changed
    assert state(victim) == before


def test_hard_links_of_the_service_account_are_changed(hardened: Product) -> None:
    path = hardened.add("home/data/objects/pack", 0o644)
    os.link(path, hardened.path("home/data/objects/clone"))
    assert hardened.run().statuses["DC-DIR-03"] == "fixed"
    assert state(path)[2] == 0o640


# ---- access lists ------------------------------------------------------------------------------


def test_access_list_that_opens_a_secret_is_removed(hardened: Product) -> None:
    path = hardened.path("home/dbconfig.xml")
    setfacl("-m", f"u:{OTHER}:r", str(path))
    result = hardened.run(check=True)
    assert result.failing == {"DC-DIR-04"}
    assert f"user:{OTHER}:r--" in result.evidence("DC-DIR-04")[str(path)]
    assert hardened.run().statuses["DC-DIR-04"] == "fixed"
    assert not has_acl(path)
    assert state(path)[2] == 0o600
    assert not hardened.run().changed


def test_access_list_that_lets_the_service_account_write_code(hardened: Product) -> None:
    path = hardened.path("install/bin/setenv.sh")
    setfacl("-m", f"u:{SERVICE}:rwx", str(path))
    result = hardened.run(check=True)
    assert result.failing == {"DC-DIR-01"}
    assert "1 path under the install tree is writable by" in result["DC-DIR-01"]["reason"]
    hardened.run()
    assert hardened.run(check=True).failing == set()
    shown = subprocess.run(["getfacl", "-cpE", str(path)], capture_output=True, text=True, check=True).stdout
    assert f"user:{SERVICE}:r-x" in shown


def test_access_list_within_the_rule_is_left(hardened: Product) -> None:
    setfacl("-m", f"u:{OTHER}:rx", str(hardened.path("install/bin/setenv.sh")))
    assert not hardened.run().changed


def test_default_access_list_that_opens_new_files(hardened: Product) -> None:
    path = hardened.path("home/data")
    setfacl("-d", "-m", "o::rx", str(path))
    assert hardened.run(check=True).failing == {"DC-DIR-03"}
    hardened.run()
    assert "system.posix_acl_default" not in os.listxattr(path)
    assert not hardened.run().changed


def test_declared_reader_keeps_its_access_and_others_lose_theirs(hardened: Product) -> None:
    settings = {"readers": [{"user": READER}]}
    path, secret = hardened.path("home/log/atlassian-jira.log"), hardened.path("home/dbconfig.xml")
    setfacl("-m", f"u:{READER}:r,u:{OTHER}:r", str(path))
    setfacl("-m", f"u:{READER}:r", str(secret))
    result = hardened.run(settings=settings)
    assert result.statuses["DC-LOG-04"] == "fixed"
    assert result.statuses["DC-DIR-04"] == "fixed"
    shown = subprocess.run(["getfacl", "-cpE", str(path)], capture_output=True, text=True, check=True).stdout
    assert f"user:{READER}:r--" in shown
    assert OTHER not in shown
    assert not has_acl(secret)
    assert not hardened.run(settings=settings).changed


def test_reader_with_a_path_may_read_the_secret_there(hardened: Product) -> None:
    secret = hardened.path("home/dbconfig.xml")
    settings = {"readers": [{"user": READER, "paths": [str(hardened.home)]}]}
    setfacl("-m", f"u:{READER}:r", str(secret))
    assert not hardened.run(settings=settings).changed
    assert hardened.run(check=True).failing == {"DC-DIR-04"}


def test_reader_may_read_but_not_write(hardened: Product) -> None:
    path = hardened.path("home/data/attachments/1")
    setfacl("-m", f"u:{READER}:rw", str(path))
    hardened.run(settings={"readers": [{"user": READER}]})
    shown = subprocess.run(["getfacl", "-cpE", str(path)], capture_output=True, text=True, check=True).stdout
    assert f"user:{READER}:r--" in shown


def test_reader_group_keeps_the_group_of_files(hardened: Product) -> None:
    folder, path = hardened.path("home/log"), hardened.path("home/log/atlassian-jira.log")
    os.chown(folder, SERVICE_UID, READER_UID)
    os.chown(path, SERVICE_UID, READER_UID)
    settings = {"readers": [{"group": str(READER_UID), "paths": [str(folder)]}]}
    assert not hardened.run(settings=settings).changed
    assert hardened.run(check=True).failing == {"DC-DIR-03", "DC-LOG-04"}


# ---- what cannot be looked at or changed -------------------------------------------------------


def test_immutable_file_fails_its_control_and_nothing_else(hardened: Product) -> None:
    path = hardened.add("home/data/stuck", 0o644)
    other = hardened.add("home/data/zz", 0o644)
    if subprocess.run(["chattr", "+i", str(path)], capture_output=True, check=False).returncode:
        pytest.skip("the file system has no immutable attribute")
    try:
        result = hardened.run()
        again = hardened.run()
    finally:
        subprocess.run(["chattr", "-i", str(path)], check=True)
    assert result.failing == {"DC-DIR-03"}
    assert "immutable" in result.evidence("DC-DIR-03")[str(path)]
    assert state(other)[2] == 0o640
    assert not again.changed
    assert again.targets == []


def test_a_record_that_fills_up_ends_the_changes_but_not_the_judging(product: Product) -> None:
    predicted = product.run(check=True)
    before = snapshot(product.root)
    recorder = FullRecorder(room=3)
    result = product.run(recorder=recorder)
    after = snapshot(product.root)
    changed = {path for path in before if before[path] != after[path]}
    assert changed == set(result.targets)
    assert len(changed) == 3
    assert result.failing == predicted.failing
    assert set(result.evidence("DC-DIR-01")) == set(predicted.evidence("DC-DIR-01"))
    assert result["DC-DIR-03"]["reason"].endswith(
        "could not be put right: what is there cannot be saved: No space left on device"
    )
    assert "not attempted, because what is there cannot be saved" in str(result["DC-DIR-03"]["evidence"])


def test_mounted_file_system_is_named_not_entered(hardened: Product) -> None:
    point = hardened.path("home/data/mounted")
    point.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "none", str(point)], capture_output=True, check=False).returncode:
        pytest.skip("file systems may not be mounted here")
    try:
        (point / "file").write_text("x")
        result = hardened.run()
        crossed = hardened.run(check=True, settings={"cross_file_systems": True})
        excepted = hardened.run(
            check=True, settings={"exceptions": [{"path": str(point), "reason": "the storage team looks after it"}]}
        )
    finally:
        subprocess.run(["umount", str(point)], check=True)
    assert {control for control, status in result.statuses.items() if status == "not_checked"} == {
        "DC-DIR-03",
        "DC-DIR-05",
    }
    assert result["DC-DIR-03"]["reason"] == (
        f"not looked at: {point} (it is another file system (tmpfs), "
        "left out unless atlassian_dc_file_permissions_cross_file_systems is true)"
    )
    assert "DC-DIR-03" in crossed.failing
    assert set(excepted.statuses.values()) == {"pass"}
    assert str(point / "file") in crossed.evidence("DC-DIR-03")


def test_bind_mount_of_the_same_file_system_is_named(
    hardened: Product, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("bound")
    (outside / "file").write_text("x")
    point = hardened.path("home/data/bound")
    point.mkdir()
    if subprocess.run(["mount", "--bind", str(outside), str(point)], capture_output=True, check=False).returncode:
        pytest.skip("file systems may not be mounted here")
    try:
        result = hardened.run()
    finally:
        subprocess.run(["umount", str(point)], check=True)
    assert result.statuses["DC-DIR-03"] == "not_checked"
    assert state(outside / "file")[0] == 0


def test_failure_elsewhere_outweighs_what_was_not_looked_at(hardened: Product, tmp_path: Path) -> None:
    table = tmp_path / "mountinfo"
    point = hardened.path("home/data")
    table.write_text(f"1 2 0:1 / {point} rw - nfs4 server:/data rw\n")
    hardened.path("home/export").chmod(0o777)
    trees = _trees(hardened)
    raw = check_trees({"trees": trees}, Changes(check_mode=True), Mounts(str(table)))
    finding = next(finding for finding in raw["dc_findings"] if finding["control"] == "DC-DIR-03")
    assert finding["status"] == "fail"
    assert f"not looked at: {point} (it is another file system (nfs4), left out unless " in finding["reason"]


def test_network_home_is_not_checked(hardened: Product, tmp_path: Path) -> None:
    table = tmp_path / "mountinfo"
    table.write_text(f"1 2 0:1 / {hardened.home} rw shared:1 - nfs4 server:/data rw\n")
    raw = check_trees({"trees": _trees(hardened)}, Changes(check_mode=True), Mounts(str(table)))
    found = {finding["control"]: finding for finding in raw["dc_findings"]}
    assert found["DC-DIR-03"]["status"] == "not_checked"
    assert "network file system (nfs4)" in found["DC-DIR-03"]["reason"]
    assert found["DC-DIR-01"]["status"] == "pass"


def _trees(product: Product) -> list[dict[str, object]]:
    from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._permission_trees import permission_trees

    return permission_trees([product.instance()])


def test_missing_and_unknown_homes_are_not_checked(product: Product) -> None:
    gone = product.run(check=True, instance=product.instance(home_dir="/nonexistent/home"))
    assert gone["DC-DIR-03"]["status"] == "not_checked"
    assert "/nonexistent/home (it does not exist)" in gone["DC-DIR-03"]["reason"]
    unknown = product.run(check=True, instance=product.instance(home_dir=None))
    assert unknown["DC-DIR-03"]["reason"] == "not looked at: home (not known on this host)"


def test_unreadable_folder_is_named(request: pytest.FixtureRequest) -> None:
    """As an account that is not root, as on a network file system that maps root to nobody."""
    root = Path(tempfile.mkdtemp(prefix="permissions-"))
    request.addfinalizer(lambda: shutil.rmtree(root))
    root.chmod(0o755)
    product = Product(root)
    product.run()
    closed = product.path("home/data")
    closed.chmod(0o000)
    trees = _trees(product)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.setgid(SERVICE_GID)
        os.setuid(SERVICE_UID)
        raw = check_trees({"trees": trees, "controls": ["DC-DIR-03"]}, Changes(check_mode=True))
        os.write(write, repr(raw["dc_findings"]).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    assert f"not looked at: {closed} (Permission denied)" in text


def test_files_that_vanish_do_not_matter(product: Product) -> None:
    churn = product.path("home/data/churn")
    churn.mkdir()
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            folder = churn / str(number % 50)
            folder.mkdir(exist_ok=True)
            for name in range(5):
                (folder / str(name)).write_text("x")
            shutil.rmtree(folder)
            number += 1

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for _round in range(40):
            result = product.run()
            assert "error" not in result.statuses.values()
            assert result.failing == set()
    finally:
        stop.set()
        thread.join()


def test_strange_names_are_reported_readably(hardened: Product) -> None:
    folder = os.fsencode(hardened.path("home/data"))
    for name in (b"new\nline", b"\xff\xfe", "ünï".encode()):
        path = os.path.join(folder, name)
        with open(path, "w"):
            pass
        os.chown(path, OTHER_UID, 0)
    result = hardened.run()
    assert result.statuses["DC-DIR-03"] == "fixed"
    found = set(result.evidence("DC-DIR-03"))
    assert any(path.endswith("ünï") for path in found)
    for text in found:
        text.encode("utf-8")
    assert not hardened.run().changed


def test_deeper_than_the_open_folders_allowed(product: Product, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = product.path("home/data")
    fd = os.open(deep, os.O_RDONLY)
    for number in range(300):
        for name in (f"a{number}", "b"):
            os.mkdir(name, 0o777, dir_fd=fd)
        deeper = os.open(f"a{number}", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = deeper
    os.close(fd)
    opened: list[int] = []
    visits = 0

    class Spy(Walk):
        def _enter(self, parent: Folder, child: Child) -> None:
            nonlocal visits
            super()._enter(parent, child)
            visits += 1
            opened.append(sum(folder.fd >= 0 for folder in self._stack))

    monkeypatch.setattr(_permissions_tree, "Walk", Spy)
    assert product.run().statuses["DC-DIR-03"] == "fixed"
    assert max(opened) <= 65
    assert visits > 600
    assert not product.run().changed
    subprocess.run(["rm", "-rf", str(deep)], check=True)


# ---- policy ------------------------------------------------------------------------------------


def test_archives_and_keys(hardened: Product) -> None:
    hardened.add("home/export/deep/backup.zip", 0o600)
    hardened.path("home/export/deep").chmod(0o750)
    hardened.add("install/atlassian-jira/site.tar.gz", 0o644, 0, 0)
    hardened.add("install/atlassian-jira/WEB-INF/classes/dbconfig.xml.old", 0o644, 0, 0)
    hardened.add("install/atlassian-jira/WEB-INF/id_rsa", 0o644, 0, 0)
    (hardened.root / "apps" / "home-2024.tgz").write_text("x")
    hardened.add("home/data/attachments/user.zip", 0o600)
    before = snapshot(hardened.root)
    result = hardened.run()
    assert snapshot(hardened.root) == before
    assert result.failing == {"DC-DIR-06"}
    assert {Path(path).name for path in result.evidence("DC-DIR-06")} == {
        "backup.zip",
        "site.tar.gz",
        "dbconfig.xml.old",
        "id_rsa",
        "home-2024.tgz",
    }
    assert "1 file in the folder beside the home looks like" in result["DC-DIR-06"]["reason"]


def test_hold_changes_nothing_and_is_pending(product: Product) -> None:
    before = snapshot(product.root)
    running = product.instance(running=True, running_uid=OTHER_UID, running_user=OTHER)
    result = product.run(instance=running)
    assert not result.changed
    assert snapshot(product.root) == before
    assert result["DC-DIR-01"]["pending"] == "restart"
    assert f"jira runs as {OTHER}" in result["DC-DIR-01"]["reason"]
    assert result["DC-DIR-05"]["status"] == "pass"


def test_running_as_root_is_no_reason_to_wait(product: Product) -> None:
    result = product.run(instance=product.instance(running=True, running_uid=0, running_user="root"))
    assert result.statuses["DC-DIR-01"] == "fixed"


def test_account_that_does_not_exist_yet(product: Product) -> None:
    missing = product.instance(service_account="atlassian-dc-none", service_group="atlassian-dc-none")
    before = snapshot(product.root)
    predicted = product.run(check=True, instance=missing)
    assert snapshot(product.root) == before
    assert predicted["DC-DIR-03"]["status"] == "fail"
    assert any(
        change["target"] == str(product.home) and change["after"] == "atlassian-dc-none:atlassian-dc-none 0750"
        for change in predicted.raw["dc_changes"]
    )
    real = product.run(instance=missing)
    assert real["DC-DIR-03"]["status"] == "fail"
    assert "account atlassian-dc-none does not exist" in real.evidence("DC-DIR-03")[str(product.home)]
    assert state(product.home) == (SERVICE_UID, SERVICE_GID, 0o755)


def test_exceptions_are_neither_judged_nor_entered(hardened: Product) -> None:
    hardened.add("install/monitoring/agent/state", 0o777)
    settings = {"exceptions": [{"path": str(hardened.install / "monitoring"), "reason": "agent"}]}
    result = hardened.run(settings=settings)
    assert not result.changed
    assert set(result.statuses.values()) == {"pass"}
    assert result.raw["statistics"][0]["excepted"] == 1
    whole = hardened.run(settings={"exceptions": [{"path": str(hardened.home), "reason": "frozen"}]})
    assert whole["DC-DIR-03"]["status"] == "not_checked"
    assert "left out by an exception: frozen" in whole["DC-DIR-03"]["reason"]


def test_home_inside_the_install_tree_is_walked_once(product: Product) -> None:
    inner = product.install / "home"
    shutil.move(str(product.home), str(inner))
    product.home = inner
    result = product.run()
    walked = [entry["name"] for entry in result.raw["statistics"] if "above" not in entry["name"]]
    assert walked == ["install tree", "folder beside the home"]
    assert state(inner / "data") == (SERVICE_UID, SERVICE_GID, 0o750)
    assert state(inner / "dbconfig.xml") == (SERVICE_UID, SERVICE_GID, 0o600)
    assert state(inner / "log" / "atlassian-jira.log") == (SERVICE_UID, SERVICE_GID, 0o640)
    assert state(product.install / "bin")[0] == 0
    assert not product.run().changed


def test_home_and_shared_home_give_one_finding(product: Product) -> None:
    shared = product.root / "shared"
    (shared / "data").mkdir(parents=True)
    result = product.run(check=True, instance=product.instance(shared_home_dir=str(shared)))
    assert "under the home" in result["DC-DIR-03"]["reason"]
    assert "2 paths under the shared home" in result["DC-DIR-03"]["reason"]


def test_evidence_and_lists_are_bounded(product: Product) -> None:
    for number in range(150):
        product.add(f"home/data/many/{number:03d}")
    result = product.run(check=True, listed_changes=10)
    evidence = result["DC-DIR-03"]["evidence"]
    assert len(evidence) <= 50
    assert evidence[-1]["what"].startswith("and ")
    assert len(result.raw["dc_changes"]) == 10
    assert result.raw["change_count"] > 150
    assert max(len(diff["prepared"].splitlines()) for diff in result.raw["diff"]) < 60


def test_bad_rules_are_refused_before_anything_changes(product: Product) -> None:
    before = snapshot(product.root)
    good = {"control": "A", "owner": ["root"]}
    trees = [
        {"path": str(product.install), "rules": [good]},
        {"path": str(product.home), "rules": [{"control": "B", "file_mode": "0640"}]},
    ]
    with pytest.raises(PolicyError, match="0640"):
        run_trees(trees)
    assert snapshot(product.root) == before


# ---- what another host judges ------------------------------------------------------------------


def test_what_another_host_judges_is_neither_walked_nor_a_pass_by_itself(product: Product) -> None:
    rules = [{"control": "DC-DIR-03"}, {"control": "DC-DIR-04"}]
    left = {"path": str(product.home), "name": "shared home", "instance": "jira", "rules": rules, "elsewhere": "n1"}
    own = {"path": str(product.install), "name": "home", "instance": "jira", "rules": [{"control": "DC-DIR-03"}]}
    before = snapshot(product.root)
    result = run_trees([own, left])
    assert snapshot(product.root) == before
    words = f"shared home {product.home} is judged on n1"
    assert (result["DC-DIR-03"]["status"], result["DC-DIR-03"]["reason"]) == ("pass", words)
    assert (result["DC-DIR-04"]["status"], result["DC-DIR-04"]["reason"]) == (
        "not_applicable",
        f"{words}, nothing else here",
    )
    assert {finding["elsewhere"] for finding in (result["DC-DIR-03"], result["DC-DIR-04"])} == {"n1"}
