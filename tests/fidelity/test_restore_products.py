# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each product is backed up, its host is taken away, and a new one gets everything.

That is called the same, has the product installed as it comes, and neither home nor database. Jira is restored in
`test_restore.py`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

from .lab import BY_HAND, CHECKOUT, Lab
from .repositories import open_at_once, repository, restic, trust

REPOSITORY = "repo1"
HOMES = "/var/atlassian/application-data"
HASHES = "find . -type f ! -newermt @{} -print0 | sort -z | xargs -0 sha256sum"
"""Of files that have not changed since a point in time."""
CHANGE = """
find /opt -name server.xml -exec sh -c 'echo "<!-- only here -->" >> "$0"' {{}} \\;
find /opt '(' -name setenv.sh -o -name _start-webapp.sh ')' -exec sh -c 'echo "# only here" >> "$0"' {{}} \\;
echo 'only here' > {home}/only-here
chown --reference={home} {home}/only-here
runuser -u postgres -- psql -q {database} -c "INSERT INTO no_rows VALUES (1, 'only here')"
sleep 1
date +%s
"""
"""Has a host hold what no image does; tells the time then."""
PORT, TOKEN = 7901, "t0ken"
LOCKING = f"""
systemd-run -q --unit=maintenance python3 /run/maintenance.py {PORT} 'Bearer {TOKEN}' 1 /run/maintenance.json
until ss -ltn | grep -q :{PORT}; do sleep 0.1; done
"""
"""Stands for the part of Bitbucket that locks it."""
DESTROY = """
systemctl disable --now {unit}
rm -r {home}
runuser -u postgres -- dropdb {database}
runuser -u postgres -- dropuser {account}
"""
DUMP = r"runuser -u postgres -- pg_dump {} | grep -v '^.\(un\)\?restrict '"
STATUS = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:{}{}').read().decode())"
Row = Callable[[str, str, str, bool], None]


class Product(NamedTuple):
    """A product on a host that is called like it.

    Attributes:
        unit: its unit.
        page: port and path of its status page.
        database: name of its database.
        account: the account of that.

    """

    unit: str
    page: tuple[int, str]
    database: str
    account: str


PRODUCTS = {
    "confluence": Product("confluence", (8090, "/status"), "confluencedb", "confluencedbuser"),
    "bamboo": Product("bamboo", (8085, "/rest/api/latest/status"), "bamboodb", "bamboodbuser"),
    "crowd": Product("crowd", (8095, "/crowd/status"), "crowddb", "crowddbuser"),
    "bitbucket": Product("atlbitbucket", (7990, "/status"), "bitbucketdb", "bitbucketdbuser"),
}


IMAGES = [f"{name}={name}_database" for name in PRODUCTS]


class Story:
    """What each product had, and what it has again."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        trust(lab, REPOSITORY, *PRODUCTS)
        for name in PRODUCTS:
            open_at_once(lab, REPOSITORY, name)
        begun = {name: self.on(name, CHANGE).strip() for name in PRODUCTS}
        only = ("--limit", ",".join(PRODUCTS))
        text = (CHECKOUT / "tests/maintenance.py").read_text(encoding="utf-8")
        lab.sh("bitbucket", f"cat > /run/maintenance.py << 'END'\n{text}END\n{LOCKING}")
        self.backup = lab.play("harden", "--tags", "backup", *only, **self.settings())
        # It is locked meanwhile: that is never begun by a play.
        lab.sh("bitbucket", "systemctl start atlassian-dc-backup@bitbucket")
        self.manifests = {name: self.manifest(name) for name in PRODUCTS}
        self.files: dict[str, dict[str, str]] = {}
        self.dumps: dict[str, str] = {}
        self.changing: dict[str, list[str]] = {}
        for name, product in PRODUCTS.items():
            lab.sh(name, f"systemctl stop {product.unit}")
            self.files[name] = self.hashes(name, begun[name])
            self.changing[name] = lab.sh(
                name, f"cd {HOMES}/{name}; find . -type f -newermt @{begun[name]}"
            ).splitlines()
            self.dumps[name] = lab.sh(name, DUMP.format(product.database))
        self.installed = {name: self.edited(name) for name in PRODUCTS}
        # Other hosts, though they are called the same.
        lab.up(list(IMAGES))
        trust(lab, REPOSITORY, *PRODUCTS)
        self.fresh = {name: self.edited(name) for name in PRODUCTS}
        for name in PRODUCTS:
            self.on(name, DESTROY)
        self.restored = {
            name: lab.play(
                "restore",
                **self.settings(),
                atlassian_dc_restore_host=name,
                atlassian_dc_restore_instance=f"{name}-{name}",
                atlassian_dc_restore_overwrite=[f"install-{name}"],
            )
            for name in PRODUCTS
        }
        self.files_after = {name: self.after(name, begun[name]) for name in PRODUCTS}
        self.dumps_after = {name: lab.sh(name, DUMP.format(each.database)) for name, each in PRODUCTS.items()}
        self.installed_after = {name: self.edited(name) for name in PRODUCTS}
        self.status = {name: self.started(name) for name in PRODUCTS}

    def on(self, name: str, script: str) -> str:
        """Run a script that is made for a product on its host."""
        return self.lab.sh(name, script.format(home=f"{HOMES}/{name}", **PRODUCTS[name]._asdict()))

    def edited(self, name: str) -> dict[str, str]:
        """Return hashes of the files of an installation that are in its backup, by path."""
        manifest = self.manifests[name]
        install = manifest["instance"]["install_dir"]
        paths = [path for part in manifest["parts"] if part["part"] == f"install-{name}" for path in part["paths"]]
        files = " ".join(path for path in paths if path.startswith(f"{install}/"))
        return {line[66:]: line[:64] for line in self.lab.sh(name, f"sha256sum {files}").splitlines()}

    @staticmethod
    def settings() -> dict[str, Any]:
        url_of = f"{{'url': 'http://127.0.0.1:{PORT}'}} if inventory_hostname == 'bitbucket' else {{}}"
        return {
            "atlassian_dc_backup_repository": repository(REPOSITORY, "{{ inventory_hostname }}"),
            **BY_HAND,
            "atlassian_dc_credentials": {"bitbucket": {"token": TOKEN}},
            "atlassian_dc_instances": f"{{{{ [{{'product': inventory_hostname}} | combine({url_of})] }}}}",
        }

    def manifest(self, name: str) -> dict[str, Any]:
        """Return the manifest of a product's backup as it is in the repository."""
        words = f"dump --tag instance={name}-{name},part=manifest latest /manifest.json"
        return dict(json.loads(restic(self.lab, REPOSITORY, name, words)))

    def hashes(self, name: str, begun: str) -> dict[str, str]:
        """Return hashes of what lies in a home, by path."""
        lines = self.lab.sh(name, f"cd {HOMES}/{name}; {HASHES.format(begun)}").splitlines()
        found = {f"{HOMES}/{name}/{line[66:].removeprefix('./')}": line[:64] for line in lines}
        # What a product that runs has locked is in a backup, and gone once it is stopped.
        return {path: digest for path, digest in found.items() if not path.endswith("lock")}

    def after(self, name: str, begun: str) -> dict[str, str]:
        """Return the same of what was restored, without what has changed between the backup and the loss."""
        changed = {f"{HOMES}/{name}/{path.removeprefix('./')}" for path in self.changing[name]}
        return {path: digest for path, digest in self.hashes(name, begun).items() if path not in changed}

    def started(self, name: str) -> str:
        """Start a product; return what its status page says then."""
        unit, (port, path), _database, _account = PRODUCTS[name]
        asked = f'python3 -c "{STATUS.format(port, path)}" 2>&1'
        wait = f"for i in $(seq 120); do {asked} | grep -q RUNNING && break; sleep 0.5; done"
        return self.lab.sh(name, f"systemctl start {unit}; {wait}; {asked}")


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    lab = Lab("fidelity-restores", tmp_path_factory.mktemp("restores"))
    try:
        lab.up([*IMAGES, f"{REPOSITORY}=repository"])
        yield Story(lab)
    finally:
        lab.down()


def kept(story: Story, name: str) -> dict[str, str]:
    """Return the hashes of what the backup does not leave out."""
    excluded = [path for part in story.manifests[name]["parts"] for path in part["exclude"]]
    return {
        path: digest
        for path, digest in story.files[name].items()
        if not any(path == other or path.startswith(f"{other}/") for other in excluded)
    }


def test_every_product_was_backed_up(story: Story) -> None:
    assert story.backup.code == 0, story.backup.output
    found = {
        name: entry["status"]
        for name in PRODUCTS
        for entry in story.backup.entries(name)
        if (entry["id"], entry["instance"]) == ("DC-BKP-03", name)
    }
    assert found == {**dict.fromkeys(PRODUCTS, "pass"), "bitbucket": "fail"}
    assert {name: manifest["product"] for name, manifest in story.manifests.items()} == {
        name: name for name in PRODUCTS
    }


@pytest.mark.parametrize("name", PRODUCTS)
def test_files_and_rows_are_there_again(story: Story, name: str, row: Row) -> None:
    assert story.restored[name].code == 0, story.restored[name].output
    expected = kept(story, name)
    installed = story.installed[name]
    same = (
        story.files_after[name] == expected,
        story.dumps_after[name] == story.dumps[name],
        story.installed_after[name] == installed,
    )
    told = f"{len(expected)} files, {len(story.dumps[name])} characters of SQL, {len(installed)} files of the program"
    row(f"restore of {name} on a new host: files, database, edited files", "the same", f"{same}: {told}", all(same))
    assert story.files_after[name] == expected
    assert story.dumps_after[name] == story.dumps[name]
    assert story.installed_after[name] == installed
    # What is compared is not what every host of the image has.
    assert f"{HOMES}/{name}/only-here" in expected
    assert "only here" in story.dumps[name]
    assert story.fresh[name] != installed
    assert len(expected) > 10


@pytest.mark.parametrize("name", PRODUCTS)
def test_it_runs_again(story: Story, name: str) -> None:
    assert "RUNNING" in story.status[name]
