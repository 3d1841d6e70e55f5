# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module secret_storage on a host that is a folder: what is kept well, what is not, and what nobody can tell."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.module_utils import _database_logins
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._discovery_parse import parse_xml
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._jdbc import parse_jdbc
from ansible_collections.atlassian_dc.hardening.plugins.modules.secret_storage import CONTROLS
from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._products import load_products, product_data
from hypothesis import given
from hypothesis import strategies as st
from unit.secrets.secret_host import HOME, INSTALL, KEYS, KNOWLEDGE, PRODUCTS, SECRET, SHARED, SecretHost

PASSWORD, KEY_FILES, EXPOSED, TLS, RIGHTS, VOLUMES = CONTROLS
BASE64 = (
    "com.atlassian.secrets.store.base64.Base64SecretStore",
    "com.atlassian.db.config.password.ciphers.base64.Base64Cipher",
)
ALGORITHM = "com.atlassian.secrets.store.algorithm.AlgorithmSecretStore"
OLD_ALGORITHM = "com.atlassian.db.config.password.ciphers.algorithm.AlgorithmCipher"
SEALED, KEY = f"{SHARED}/keys/javax.crypto.SealedObject_1", f"{SHARED}/keys/javax.crypto.spec.SecretKeySpec_1"


@pytest.fixture
def host(tmp_path: Path) -> SecretHost:
    return SecretHost(tmp_path)


@pytest.fixture(params=PRODUCTS)
def any_host(request: pytest.FixtureRequest, tmp_path: Path) -> SecretHost:
    return SecretHost(tmp_path, request.param)


def status(found: dict[str, dict[str, Any]], control: str) -> str:
    return str(found[control]["status"])


def shown(found: dict[str, dict[str, Any]], control: str) -> str:
    return str(found[control]["reason"]) + json.dumps(found[control]["evidence"])


def test_a_host_that_keeps_its_secrets(any_host: SecretHost) -> None:
    found = any_host.judge()
    known = any_host.product not in ("jira", "bitbucket")
    assert {control: status(found, control) for control in CONTROLS} == {
        PASSWORD: "pass",
        KEY_FILES: "pass" if known else "not_checked",
        EXPOSED: "pass",
        TLS: "not_checked",
        RIGHTS: "not_checked",
        VOLUMES: "pass",
    }
    assert found[VOLUMES]["instance"] is None
    assert "directories of users stand in the database" in found[TLS]["reason"]
    assert "what rights app has" in found[RIGHTS]["reason"]


def test_only_what_was_selected_is_judged(host: SecretHost) -> None:
    assert list(host.judge(EXPOSED)) == [EXPOSED]


def test_no_product_and_unknown_products(host: SecretHost) -> None:
    found = host.judge(products={})
    assert {status(found, control) for control in (PASSWORD, KEY_FILES, TLS, RIGHTS)} == {"not_checked"}
    assert status(found, EXPOSED) == "pass"


@pytest.mark.parametrize("product", sorted(load_products()))
def test_every_product_tells_how_it_keeps_secrets(product: str) -> None:
    told = product_data(product)["secrets"]
    assert set(told) - {"arguments"} == {"database", "tomcat", "secured_since", "ciphers", "keys", "servers"}
    if "part_of" not in load_products()[product]:
        assert told["database"]
        assert KNOWLEDGE[product]["backup"]


class TestPasswords:
    def test_plain_text(self, any_host: SecretHost) -> None:
        any_host.database(password=SECRET)
        found = any_host.judge()
        assert status(found, PASSWORD) == "fail"
        assert "in plain text" in found[PASSWORD]["reason"]
        assert found[PASSWORD]["evidence"][0]["what"].startswith(any_host.config)

    @pytest.mark.parametrize("cipher", BASE64)
    def test_mere_encoding(self, any_host: SecretHost, cipher: str) -> None:
        any_host.database(password="aHVudGVyMi1aeDk=", cipher=cipher)  # noqa: S106 - what nothing protects
        found = any_host.judge()
        assert status(found, PASSWORD) == "fail"
        assert f"encoded without a key ({cipher.rpartition('.')[2]})" in found[PASSWORD]["reason"]
        assert "aHVudGVyMi1aeDk" not in repr(found)

    @pytest.mark.parametrize("cipher", [ALGORITHM, OLD_ALGORITHM])
    def test_a_key_protects(self, host: SecretHost, cipher: str) -> None:
        host.write(SEALED, b"\xac\xed sealAlg\x00\x14AES/CBC/PKCS5Padding", 0o600)
        host.write(KEY, b"\xac\xed key", 0o400)
        host.database(password=json.dumps({"sealedObjectFilePath": SEALED, "keyFilePath": KEY}), cipher=cipher)
        found = host.judge()
        assert status(found, PASSWORD) == "pass"

    @pytest.mark.parametrize("algorithm", ["DES", "DESede"])
    def test_an_algorithm_of_the_past_does_not(self, host: SecretHost, algorithm: str) -> None:
        host.write(SEALED, f"\0\x15{algorithm}/CBC/PKCS5Padding".encode(), 0o600)
        host.database(password=json.dumps({"sealedObjectFilePath": SEALED}), cipher=ALGORITHM)
        found = host.judge(PASSWORD)
        assert status(found, PASSWORD) == "fail"
        assert f"encrypted with {algorithm}" in found[PASSWORD]["reason"]
        assert found[PASSWORD]["evidence"][0]["what"] == SEALED

    def test_a_class_that_was_given_the_plain_password(self, host: SecretHost) -> None:
        host.database(password=json.dumps({"plainTextPassword": SECRET, "algorithm": "AES"}), cipher=ALGORITHM)
        assert status(host.judge(), PASSWORD) == "fail"

    def test_a_class_nobody_has_described(self, host: SecretHost) -> None:
        host.database(password="https://vault.example.com/x", cipher="org.example.VaultCipher")  # noqa: S106
        found = host.judge()
        assert status(found, PASSWORD) == "not_checked"
        assert "org.example.VaultCipher" in found[PASSWORD]["reason"]

    @pytest.mark.parametrize(
        ("product", "version", "wanted"),
        [
            ("jira", "10.2.0", "pass"),
            ("jira", "10.1.2", "not_checked"),
            ("bitbucket", "9.2.1", "pass"),
            ("bitbucket", "8.19.2", "not_checked"),
            ("crowd", "6.3.0", "pass"),
            ("crowd", "6.2.9", "not_checked"),
            ("confluence", "8.5.1", "pass"),
            ("jira", None, "pass"),
        ],
    )
    def test_the_marker_counts_where_it_is_known(self, tmp_path: Path, product: str, version: Any, wanted: str) -> None:
        host = SecretHost(tmp_path, product)
        host.instance["version"] = version
        found = host.judge(PASSWORD)
        assert status(found, PASSWORD) == wanted
        assert wanted == "pass" or "does not know" in found[PASSWORD]["reason"]

    def test_a_data_source_of_tomcat(self, host: SecretHost) -> None:
        host.write(
            f"{INSTALL}/conf/server.xml", f'<Server><Resource name="jdbc/x" username="u" password="{SECRET}"/></Server>'
        )
        found = host.judge(PASSWORD)
        assert status(found, PASSWORD) == "fail"
        assert f"{INSTALL}/conf/server.xml: password of resource jdbc/x" in shown(found, PASSWORD)

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            ("<a>\n<b>", "line 2: not well-formed XML"),
            (f'<!DOCTYPE x [<!ENTITY p "{SECRET}">]><x>&p;</x>', "entities, refused"),
            ("<a/>", "is no dbconfig.xml"),
            ("x" * (1024 * 1024 + 1), "is larger than 1024 KiB and was not read"),
        ],
    )
    def test_a_file_that_cannot_be_read_is_told(self, host: SecretHost, content: str, words: str) -> None:
        host.write(host.config, content)
        found = host.judge()
        assert {status(found, control) for control in (PASSWORD, KEY_FILES, TLS, RIGHTS)} == {"not_checked"}
        assert all(words in found[control]["reason"] for control in (PASSWORD, KEY_FILES, TLS, RIGHTS))

    def test_a_file_in_the_place_of_which_there_is_something_else(self, host: SecretHost) -> None:
        (host.root / host.config.lstrip("/")).unlink()
        os.mkfifo(host.root / host.config.lstrip("/"))
        assert "is not a regular file" in host.judge(PASSWORD)[PASSWORD]["reason"]

    def test_no_file(self, host: SecretHost) -> None:
        (host.root / host.config.lstrip("/")).unlink()
        found = host.judge()
        assert status(found, PASSWORD) == "not_checked"
        assert host.config in found[PASSWORD]["reason"]

    def test_a_start_script_with_a_password(self, tmp_path: Path) -> None:
        host = SecretHost(tmp_path)
        host.instance["product"] = "confluence_synchrony"
        host.write(f"{INSTALL}/start-synchrony.sh", f'DATABASE_PASSWORD="{SECRET}"\nDATABASE_USER=u\n')
        assert status(host.judge(PASSWORD), PASSWORD) == "fail"
        host.write(f"{INSTALL}/start-synchrony.sh", 'DATABASE_PASSWORD=""\n')
        assert status(host.judge(PASSWORD), PASSWORD) == "not_checked"

    def test_a_part_without_a_database(self, host: SecretHost) -> None:
        host.instance["product"] = "bamboo_agent"
        found = host.judge()
        assert {status(found, control) for control in (PASSWORD, KEY_FILES, TLS, RIGHTS)} == {"not_applicable"}


class TestKeyFiles:
    @pytest.mark.parametrize("product", KEYS)
    @pytest.mark.parametrize("mode", [0o640, 0o604, 0o644])
    def test_open_to_others(self, tmp_path: Path, product: str, mode: int) -> None:
        host = SecretHost(tmp_path, product)
        host.write(KEYS[product], "key", mode)
        found = host.judge(KEY_FILES)
        assert status(found, KEY_FILES) == "fail"
        assert (found[KEY_FILES]["evidence"][0]["what"], f"{mode:04o}" in shown(found, KEY_FILES)) == (
            KEYS[product],
            True,
        )

    def test_of_another_account(self, tmp_path: Path) -> None:
        host = SecretHost(tmp_path, "crowd")
        host.write("/etc/passwd", f"product:x:{os.getuid() + 1}:1::/:/bin/sh\nother:x:{os.getuid()}:1::/:/bin/sh\n")
        found = host.judge(KEY_FILES)
        if os.getuid() == 0:  # then it belongs to root, which may have it
            assert status(found, KEY_FILES) == "pass"
        else:
            assert "other 0600" in shown(found, KEY_FILES)

    @pytest.mark.parametrize(
        ("product", "wanted"), [("crowd", "fail"), ("bamboo", "fail"), ("confluence", "not_checked")]
    )
    def test_missing(self, tmp_path: Path, product: str, wanted: str) -> None:
        host = SecretHost(tmp_path, product)
        (host.root / KEYS[product].lstrip("/")).unlink()
        assert status(host.judge(KEY_FILES), KEY_FILES) == wanted

    def test_those_the_password_names(self, host: SecretHost) -> None:
        host.database(password=json.dumps({"sealedObjectFilePath": SEALED, "keyFilePath": KEY}), cipher=ALGORITHM)
        found = host.judge(KEY_FILES)
        assert status(found, KEY_FILES) == "fail"
        assert {piece["what"] for piece in found[KEY_FILES]["evidence"] if piece["actual"] == "missing"} == {
            SEALED,
            KEY,
        }
        for path in (SEALED, KEY):
            host.write(path, "x", 0o600)
        found = host.judge(KEY_FILES)
        assert {piece["actual"] for piece in found[KEY_FILES]["evidence"]} == {"outside of all of them"}

    def test_those_the_password_names_in_what_is_backed_up(self, tmp_path: Path) -> None:
        host = SecretHost(tmp_path, "crowd")
        host.write(SEALED, "x", 0o600)
        host.database(password=json.dumps({"sealedObjectFilePath": SEALED}), cipher=ALGORITHM)
        assert status(host.judge(KEY_FILES), KEY_FILES) == "pass"

    @pytest.mark.parametrize("cluster", [None, {"id": "wiki-1"}])
    def test_a_cluster_keeps_them_elsewhere(self, tmp_path: Path, cluster: Any) -> None:
        host = SecretHost(tmp_path, "confluence")
        host.instance["cluster"] = cluster
        host.write(f"{SHARED}/keys/k", "key", 0o644)
        assert status(host.judge(KEY_FILES), KEY_FILES) == ("fail" if cluster else "pass")

    def test_the_place_depends_on_the_version(self, tmp_path: Path) -> None:
        host = SecretHost(tmp_path, "bamboo")
        host.instance["version"] = "7.2.1"
        host.write(f"{HOME}/xml-data/configuration/cipher/k", "key", 0o644)
        assert f"{HOME}/xml-data" in shown(host.judge(KEY_FILES), KEY_FILES)

    def test_without_a_version_nothing_has_to_be_there(self, tmp_path: Path) -> None:
        host = SecretHost(tmp_path, "bamboo")
        host.instance["version"] = None
        assert status(host.judge(KEY_FILES), KEY_FILES) == "pass"
        (host.root / KEYS["bamboo"].lstrip("/")).unlink()
        assert status(host.judge(KEY_FILES), KEY_FILES) == "not_checked"

    def test_nothing_is_encrypted(self, host: SecretHost) -> None:
        host.database(password=SECRET)
        assert status(host.judge(KEY_FILES), KEY_FILES) == "not_applicable"


class TestExposed:
    @pytest.mark.parametrize(
        "word",
        [
            f"-Datlassian.recovery.password={SECRET}",
            f"-Djavax.net.ssl.keyStorePassword={SECRET} x",
            f"-Dsynchrony.database.password={SECRET}",
            f"-Ddb=jdbc:postgresql://db/x?user=a&password={SECRET}&b",
            f"-Dproxy=http://user:{SECRET}@proxy:3128/",
            f"-javaagent:/agent.jar=token={SECRET}",
            f"--auth-token={SECRET}",
        ],
    )
    def test_in_a_command_line(self, any_host: SecretHost, word: str) -> None:
        any_host.running("-Xmx1g", word, "Main")
        found = any_host.judge(EXPOSED)
        assert status(found, EXPOSED) == "fail"
        assert "command line of process 4711" in shown(found, EXPOSED)

    def test_in_the_command_line_of_a_companion(self, host: SecretHost) -> None:
        host.running("-Xmx1g", pid=12)
        host.write("/proc/13/cmdline", f"java\0-Dx.password={SECRET}\0")
        host.instance["companions"] = [{"name": "helper", "pid": 13, "unit": None}, {"name": "gone", "pid": 14}]
        assert "process 13" in shown(host.judge(EXPOSED), EXPOSED)

    def test_as_the_word_after_another(self, host: SecretHost) -> None:
        host.instance["product"] = "bamboo_agent"
        host.running("Bootstrap", "http://server/agentServer/", "-t", SECRET)
        assert "the security token after -t" in shown(host.judge(EXPOSED), EXPOSED)
        host.running("Bootstrap", "http://server/agentServer/")
        assert status(host.judge(EXPOSED), EXPOSED) == "pass"

    @pytest.mark.parametrize(
        "word",
        [
            "-Dcom.sun.management.jmxremote.password.file=/etc/jmx",
            "-Djdbc.password={ATL_SECURED}",
            "-Djdbc.password=",
            "-Dpassword.confirmation.disabled=true",
            "-Djdbc.password.decrypter.classname=com.example.X",
            "-Datlassian.license.message=AAAB",
            "-Dkey.passwordFile=/run/secret",
            "-Dtls.secret.enabled=yes",
        ],
    )
    def test_what_is_no_secret(self, host: SecretHost, word: str) -> None:
        host.running(word)
        assert status(host.judge(EXPOSED), EXPOSED) == "pass"

    def test_what_a_product_calls_public(self, host: SecretHost) -> None:
        host.running("-Datlassian.pats.max.tokens.expiry.days=90")
        assert status(host.judge(EXPOSED), EXPOSED) == "pass"

    def test_in_the_arguments_of_the_next_start(self, host: SecretHost) -> None:
        host.instance["start_jvm_arguments"] = ["-Datlassian.recovery.password=********", "-Dx.license=********"]
        found = host.judge(EXPOSED)
        assert [piece["actual"] for piece in found[EXPOSED]["evidence"]] == ["-Datlassian.recovery.password=********"]
        assert "setenv.sh" in found[EXPOSED]["reason"]

    def test_in_a_unit(self, any_host: SecretHost) -> None:
        any_host.shown["Environment"] = f'JAVA_HOME=/java "DB_PASSWORD={SECRET}"'
        found = any_host.judge(EXPOSED)
        assert status(found, EXPOSED) == "fail"
        assert "Environment= of product.service" in shown(found, EXPOSED)

    def test_in_arguments_in_a_unit(self, host: SecretHost) -> None:
        host.shown["ExecStart"] = f"{{ path=/x ; argv[]=/x --password={SECRET} ; ignore_errors=no ; }}"
        assert "ExecStart= of product.service" in shown(host.judge(EXPOSED), EXPOSED)

    @pytest.mark.parametrize(("mode", "wanted"), [(0o600, "pass"), (0o640, "pass"), (0o644, "fail")])
    def test_in_an_environment_file(self, host: SecretHost, mode: int, wanted: str) -> None:
        host.write("/etc/default/product", f"export DB_PASSWORD='{SECRET}'\nHOME=/x\n", mode)
        host.shown["EnvironmentFiles"] = "/etc/default/product (ignore_errors=yes)\n/etc/gone (ignore_errors=yes)"
        assert status(host.judge(EXPOSED), EXPOSED) == wanted

    def test_arguments_in_a_variable(self, host: SecretHost) -> None:
        host.write("/etc/default/product", f'JAVA_OPTS="-Xmx1g -Da.password={SECRET};{SECRET}"\n', 0o644)
        host.shown["EnvironmentFiles"] = "/etc/default/product (ignore_errors=no)"
        assert status(host.judge(EXPOSED), EXPOSED) == "fail"

    def test_a_systemd_that_does_not_answer(self, host: SecretHost, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(host, "systemctl", lambda _command: (1, "", "no bus"))
        found = host.judge(EXPOSED)
        assert status(found, EXPOSED) == "not_checked"
        assert "systemd tells nothing of product.service" in found[EXPOSED]["reason"]

    def test_below_the_web_root(self, any_host: SecretHost) -> None:
        path = f"{INSTALL}/webapp/WEB-INF/classes/crowd.properties"
        any_host.write(path, f"application.name=x\napplication.password={SECRET}\n", 0o600)
        found = any_host.judge(EXPOSED)
        assert status(found, EXPOSED) == "fail"
        assert (found[EXPOSED]["evidence"][0]["what"], "application.password" in shown(found, EXPOSED)) == (path, True)
        any_host.write(path, "application.name=x\napplication.password=\n", 0o600)
        assert status(any_host.judge(EXPOSED), EXPOSED) == "pass"

    @pytest.mark.parametrize(
        "name", [".pgpass", "sub/.env", "images/id_rsa", "WEB-INF/dbconfig.xml.bak", "dbconfig.xml"]
    )
    def test_a_stray_file_below_the_web_root(self, host: SecretHost, name: str) -> None:
        host.write(f"{INSTALL}/webapp/{name}", "x")
        found = host.judge(EXPOSED)
        assert [piece["what"] for piece in found[EXPOSED]["evidence"]] == [f"{INSTALL}/webapp/{name}"]

    def test_names_of_any_bytes(self, host: SecretHost) -> None:
        folder = os.fsencode(host.root) + b"/opt/product/webapp/\xff\n"
        os.mkdir(folder)
        Path(os.fsdecode(folder + b"/.env")).write_text("x")
        json.dumps(host.judge(EXPOSED), ensure_ascii=False).encode()

    def test_a_command_line_of_absurd_length(self, host: SecretHost) -> None:
        host.running("-Dx.password=" + "x" * (3 * 1024 * 1024))
        assert status(host.judge(EXPOSED), EXPOSED) == "pass"


class TestTls:
    @pytest.mark.parametrize(
        ("url", "wanted", "words"),
        [
            ("jdbc:postgresql://db.example.com/x", "fail", "sslmode is not set, not verify-full"),
            ("jdbc:postgresql://db.example.com/x?sslmode=require", "fail", "sslmode is require"),
            ("jdbc:postgresql://db.example.com/x?sslmode=verify-ca", "fail", "sslmode is verify-ca"),
            ("jdbc:postgresql://db.example.com/x?ssl=true", "not_checked", ""),
            (
                "jdbc:postgresql://db.example.com/x?ssl=true&sslfactory=org.postgresql.ssl.NonValidatingFactory",
                "fail",
                "any certificate",
            ),
            ("jdbc:postgresql://db.example.com/x?sslmode=verify-full&sslmode=disable", "fail", "given twice"),
            (f"jdbc:postgresql://db.example.com/x?sslmode={SECRET}", "fail", "not a word"),
            ("jdbc:postgresql://localhost,db.example.com/x", "fail", "sslmode"),
            ("jdbc:postgresql://localhost:5432/x", "not_checked", ""),
            ("jdbc:postgresql://127.0.0.1,[::1]:5432/x", "not_checked", ""),
            ("jdbc:mysql://db.example.com/x?useSSL=true", "fail", "VERIFY_IDENTITY"),
            ("jdbc:mysql://db.example.com/x?sslMode=VERIFY_IDENTITY", "not_checked", ""),
            (
                "jdbc:sqlserver://db.example.com:1433;encrypt=true;trustServerCertificate=true",
                "fail",
                "any certificate",
            ),
            ("jdbc:sqlserver://db.example.com:1433;encrypt=false", "fail", "encrypt is false"),
            ("jdbc:sqlserver://db.example.com:1433;encrypt=true", "not_checked", ""),
            ("jdbc:sqlserver://db.example.com:1433", "not_checked", "kind sqlserver"),
            ("jdbc:oracle:thin:@db:1521/x", "not_checked", "kind oracle"),
            ("jdbc:h2:file:/data/db", "not_checked", ""),
            ("nonsense", "not_checked", "kind unknown"),
            ("", "not_checked", "kind unknown"),
        ],
    )
    def test_of_databases(self, host: SecretHost, url: str, wanted: str, words: str) -> None:
        host.database(url=url)
        found = host.judge(TLS)
        assert status(found, TLS) == wanted
        assert words in shown(found, TLS)
        assert wanted == "fail" or ("is not known" in found[TLS]["reason"]) == bool(words)

    def test_of_every_product(self, any_host: SecretHost) -> None:
        any_host.database(url="jdbc:postgresql://db.example.com/x")
        assert status(any_host.judge(TLS), TLS) == "fail"

    @pytest.mark.parametrize(
        ("address", "wanted"),
        [("http\\://crowd.example.com\\:8095/crowd", "fail"), ("https://crowd.example.com/crowd", "not_checked"),
         ("http://localhost:8095/crowd", "not_checked"), ("http://[", "not_checked")],
    )  # fmt: skip
    def test_of_a_server_that_is_asked_about_users(self, host: SecretHost, address: str, wanted: str) -> None:
        host.write(f"{INSTALL}/atlassian-jira/WEB-INF/classes/crowd.properties", f"crowd.server.url={address}\n")
        found = host.judge(TLS)
        assert status(found, TLS) == wanted
        assert wanted != "fail" or "http to crowd.example.com" in shown(found, TLS)

    def test_of_directories(self, host: SecretHost) -> None:
        host.instance["jvm_arguments"] = ["-Dcom.sun.jndi.ldap.object.disableEndpointIdentification=true"]
        assert "names of LDAP servers are not verified" in shown(host.judge(TLS), TLS)
        host.instance["jvm_arguments"] = ["-Dcom.sun.jndi.ldap.object.disableEndpointIdentification=false"]
        assert status(host.judge(TLS), TLS) == "not_checked"


class TestRights:
    @pytest.mark.parametrize(
        ("url", "user"),
        [
            ("jdbc:postgresql://db/x", "postgres"),
            ("jdbc:mysql://db/x", "root"),
            ("jdbc:sqlserver://db", "SA"),
            ("jdbc:oracle:thin:@db", "system"),
        ],
    )
    def test_an_account_that_may_do_anything(self, any_host: SecretHost, url: str, user: str) -> None:
        any_host.database(url=url, user=user)
        found = any_host.judge(RIGHTS)
        assert status(found, RIGHTS) == "fail"
        assert user in found[RIGHTS]["reason"]

    def test_a_name_that_means_nothing_there(self, host: SecretHost) -> None:
        host.database(url="jdbc:postgresql://db/x", user="sa")
        assert status(host.judge(RIGHTS), RIGHTS) == "not_checked"


class TestVolumes:
    @pytest.mark.parametrize("name", ["sda1", "vda1"])
    def test_a_partition(self, host: SecretHost, name: str) -> None:
        host.block("8:0", name[:-1])
        host.block("8:1", name, partition_of=name[:-1])
        host.mounts("36 1 8:1 / / rw - ext4 /dev/x rw")
        found = host.judge(VOLUMES)
        assert status(found, VOLUMES) == "fail"
        assert f"{name} is not encrypted by dm-crypt" in shown(found, VOLUMES)
        assert "atlassian_dc_attestations_file" in found[VOLUMES]["reason"]

    @pytest.mark.parametrize(("uuid", "wanted"), [("CRYPT-LUKS2-1", "pass"), ("LVM-1", "fail")])
    def test_a_volume_of_volumes(self, host: SecretHost, uuid: str, wanted: str) -> None:
        host.block("252:2", "dm-2", uuid="CRYPT-PLAIN-x")
        host.block("252:3", "dm-3", uuid=uuid)
        host.block("9:0", "md0", slaves=("dm-2", "dm-3"))
        host.block("252:1", "dm-0", uuid="LVM-home", slaves=("md0",))
        assert status(host.judge(VOLUMES), VOLUMES) == wanted

    def test_what_is_mounted_below_a_home_counts(self, host: SecretHost) -> None:
        host.block("8:1", "sdb")
        plain = rf"37 36 8:1 / {HOME}/data/my\040files rw shared:1 - xfs /dev/sdb rw"
        host.mounts("36 1 252:1 / / rw - ext4 /dev/x rw", plain, "38 36 0:30 / /data/product/tmp rw - tmpfs none rw")
        assert f"{HOME}/data/my files" in shown(host.judge(VOLUMES), VOLUMES)

    def test_the_last_mount_in_a_place_counts(self, host: SecretHost) -> None:
        host.block("8:1", "sdb")
        host.mounts("36 1 8:1 / / rw - ext4 /dev/sdb rw", "37 36 252:1 / / rw - ext4 /dev/x rw")
        assert status(host.judge(VOLUMES), VOLUMES) == "pass"

    @pytest.mark.parametrize("kind", ["overlay", "nfs4", "zfs", "fuse.sshfs"])
    def test_what_cannot_be_seen(self, host: SecretHost, kind: str) -> None:
        host.mounts(f"36 1 0:50 / / rw - {kind} source rw")
        found = host.judge(VOLUMES)
        assert status(found, VOLUMES) == "not_checked"
        assert f"what lies under {kind} cannot be seen" in found[VOLUMES]["reason"]

    @pytest.mark.parametrize(("uuid", "wanted"), [("CRYPT-LUKS2-1", "pass"), ("", "fail")])
    def test_a_file_system_over_several_devices(self, host: SecretHost, uuid: str, wanted: str) -> None:
        host.block("252:9", "dm-9", uuid=uuid)
        host.write("/dev/dm-9", "")
        (host.root / "dev/mapper").mkdir()
        (host.root / "dev/mapper/home").symlink_to("/dev/dm-9")
        host.mounts("36 1 0:42 /@ / rw - btrfs /dev/mapper/home rw")
        assert status(host.judge(VOLUMES), VOLUMES) == wanted

    def test_an_image_of_a_disk_is_as_good_as_where_it_lies(self, host: SecretHost) -> None:
        host.block("7:0", "loop0")
        host.write("/sys/devices/block/loop0/loop/backing_file", "/images/disk\n")
        host.mounts("36 1 252:1 / / rw - ext4 /dev/x rw", f"37 36 7:0 / {HOME} rw - ext4 /dev/loop0 rw")
        assert status(host.judge(VOLUMES), VOLUMES) == "pass"
        host.block("8:1", "sdb")
        host.mounts("36 1 8:1 / / rw - ext4 /dev/x rw", f"37 36 7:0 / {HOME} rw - ext4 /dev/loop0 rw")
        assert status(host.judge(VOLUMES), VOLUMES) == "fail"

    def test_a_local_database(self, host: SecretHost) -> None:
        host.write("/var/lib/postgresql/16/main/PG_VERSION", "16")
        host.block("8:1", "sdb")
        host.mounts("36 1 252:1 / / rw - ext4 /dev/x rw", "37 36 8:1 / /var rw - ext4 /dev/sdb rw")
        assert "/var, on which /var/lib/postgresql lies" in shown(host.judge(VOLUMES), VOLUMES)

    def test_images_of_disks_in_a_circle_end(self, host: SecretHost) -> None:
        host.block("7:0", "loop0")
        host.write("/sys/devices/block/loop0/loop/backing_file", f"{HOME}/disk\n")
        host.mounts(f"37 36 7:0 / {HOME} rw - ext4 /dev/loop0 rw")
        assert status(host.judge(VOLUMES), VOLUMES) == "not_checked"

    def test_no_kernel_to_ask(self, host: SecretHost) -> None:
        (host.root / "proc/self/mountinfo").unlink()
        assert status(host.judge(VOLUMES), VOLUMES) == "not_checked"


@given(st.text())
def test_any_address_of_a_database(url: str) -> None:
    for address in (url, f"jdbc:{url}", f"jdbc:postgresql:{url}", f"jdbc:sqlserver://{url}"):
        database = parse_jdbc(address)
        assert isinstance(database.local, bool)
        assert database.flaw is None or len(database.flaw) < 100


@given(st.binary(max_size=300), st.sampled_from(["dbconfig", "cfg_xml", "properties", "shell", "tomcat"]))
def test_any_file(data: bytes, form: str) -> None:
    entry = {"form": form, "password": "a/b", "user": "u", "url": "x"}
    try:
        list(_database_logins.read_logins("/x", data, entry))
    except ValueError as exc:
        assert type(exc).__name__ == "ParseError"


def test_a_password_is_not_part_of_what_a_login_looks_like() -> None:
    login = _database_logins.Login("/x", "key", SECRET, "user", f"jdbc:postgresql://db/x?password={SECRET}")
    assert SECRET not in repr(login)


def test_xml_is_read_as_it_says_or_as_it_is_told() -> None:
    data = '<?xml version="1.0" encoding="ISO-8859-1"?><a>ü</a>'.encode()
    assert parse_xml(data, "utf-8").text == "ü"
    assert parse_xml(data).text == "Ã¼"
