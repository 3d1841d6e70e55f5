# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Give the stand-in for a product on this system its database, on this system as well."""

from __future__ import annotations

import argparse
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
ELSEWHERE = "db.example.com"
POSTGRESQL_URL = re.compile(r"jdbc:postgresql://[^/]*/(\w+)")


class Product(NamedTuple):
    """Where a stand-in has its connection, and what some of its tables are called.

    Attributes:
        configuration: the file.
        account: pattern of the account in it.
        password: pattern of its password.
        tables: of what the product manages, of what belongs to that, of users, of binary values, and of an app.

    """

    configuration: str
    account: str
    password: str
    tables: tuple[str, str, str, str, str]


HIBERNATE = (r'"hibernate\.connection\.username">([^<]+)<', r'"hibernate\.connection\.password">([^<]+)<')
DATA = "/var/atlassian/application-data"
PRODUCTS = {
    "jira": Product(
        f"{DATA}/jira/dbconfig.xml",
        "<username>([^<]+)<",
        "<password>([^<]+)<",
        ("jiraissue", "jiraaction", "cwd_user", "propertytext", "AO_60DB71_RAPIDVIEW"),
    ),
    "confluence": Product(
        f"{DATA}/confluence/confluence.cfg.xml",
        *HIBERNATE,
        ("content", "bodycontent", "cwd_user", "imagedetails", "AO_9412A1_AONOTIFICATION"),
    ),
    "bitbucket": Product(
        f"{DATA}/bitbucket/shared/bitbucket.properties",
        r"(?m)^jdbc\.user=(.+)$",
        r"(?m)^jdbc\.password=(.+)$",
        ("repository", "sta_pull_request", "cwd_user", "plugin_setting", "AO_B586BC_GPGKEY"),
    ),
    "bamboo": Product(
        f"{DATA}/bamboo/bamboo.cfg.xml",
        *HIBERNATE,
        ("build", "buildresultsummary", "cwd_user", "credentials", "AO_7A45FB_AOTRACKING_USER"),
    ),
    "crowd": Product(
        f"{DATA}/crowd/shared/crowd.cfg.xml",
        *HIBERNATE,
        ("cwd_directory", "cwd_group", "cwd_user", "cwd_property", "AO_723324_CLIENT_CONFIG"),
    ),
}


def run(argv: Sequence[str], text: str = "") -> None:
    """Run a command that must succeed."""
    subprocess.run(argv, input=text, text=True, check=True, stdout=subprocess.DEVNULL)


def main() -> None:
    """Make the database."""
    parser = argparse.ArgumentParser(description=str(__doc__))
    parser.add_argument("product", choices=sorted(PRODUCTS))
    parser.add_argument("--kind", choices=("postgresql", "mariadb"), default="postgresql")
    parser.add_argument("--rows", type=int, default=2000, help="rows of the largest tables")
    arguments = parser.parse_args()
    product = PRODUCTS[arguments.product]
    configuration = Path(product.configuration)
    text = configuration.read_text()
    found = {
        name: re.search(pattern, text)
        for name, pattern in (("account", product.account), ("password", product.password))
    }
    database = POSTGRESQL_URL.search(text)
    if database is None or None in found.values():
        raise SystemExit(f"{configuration} tells of no database.")
    values = {"database": database[1], "rows": str(arguments.rows)}
    values |= {name: match[1] for name, match in found.items() if match is not None}
    values |= dict(zip(("main", "detail", "users", "binary", "app"), product.tables, strict=True))

    def filled(name: str) -> str:
        return re.sub(r"@(\w+)@", lambda match: values[match[1]], (HERE / name).read_text())

    if arguments.kind == "postgresql":
        version = max(path.name for path in Path("/etc/postgresql").iterdir())
        # Images are built in the network of this machine, on which another one may be built, or a server run.
        run(["pg_ctlcluster", version, "main", "start", "--options=-c listen_addresses="])
        run(["runuser", "-u", "postgres", "--", "psql", "--quiet", "--set=ON_ERROR_STOP=1"], filled("postgresql.sql"))
        run(["pg_ctlcluster", version, "main", "stop"])
        text = text.replace(ELSEWHERE, "localhost")
    else:
        run(["sh", str(HERE / "mariadb.sh")], filled("mariadb.sql"))
        text = text.replace(database[0], f"jdbc:mariadb://localhost:3306/{database[1]}")
        text = text.replace(">postgres72<", ">mariadb10<").replace("org.postgresql.Driver", "org.mariadb.jdbc.Driver")
    # Its owner and mode stay.
    configuration.write_text(text)


if __name__ == "__main__":
    main()
