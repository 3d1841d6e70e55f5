# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ten clients fail to log in to five products, directly and through a proxy: exactly the guilty ones are banned.

All products run on one host; the proxy is on another, which is told whom to ban. Whoever guesses passwords
also says in headers and names that somebody else does. Clocks are moved to midnight at the end.
"""

from __future__ import annotations

import base64
import ipaddress
import json
import re
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from .firewalled import SCAN, families
from .lab import Lab, Outcome

HERE = Path(__file__).parent
SEND = (HERE / "send.py").read_text(encoding="utf-8")
PRODUCTS = {"jira": 8080, "confluence": 8090, "bitbucket": 7990, "bamboo": 8085, "crowd": 8095}
CLIENTS = [f"client{number}" for number in range(10)]
GUILTY = {
    "directly": dict(zip(PRODUCTS, CLIENTS[:5], strict=True)),
    "through the proxy": dict(zip(PRODUCTS, CLIENTS[5:], strict=True)),
}
"""Who guesses passwords of which product in which way; those of the other way are the innocent."""
OVER_IPV6 = ("confluence", "bamboo")
"""Products whose guilty ones come over IPv6, where the machine has it."""
ENOUGH, NOT_ENOUGH = 5, 4
PATIENCE = 120
"""Seconds after which no ban is waited for any more; it takes less than ten unless the machine is busy."""
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
JSON = {"Content-Type": "application/json"}
CONTROLS = {"DC-BRU-01", "DC-BRU-02", "DC-BRU-03", "DC-BRU-04"}
NGINX = """
server {{
    listen 80;
    listen [::]:80;
    server_name {product}.example;
    location / {{
        proxy_pass http://{address}:{port};
        proxy_set_header Host $host;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    }}
}}
"""
CLOCK = "/run/moved-clock"
MOVED = f"""[Service]
Environment=LD_PRELOAD=/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1
Environment=FAKETIME_TIMESTAMP_FILE={CLOCK} FAKETIME_CACHE_DURATION=1 FAKETIME_DONT_FAKE_MONOTONIC=1
"""
"""For a unit whose clock a file moves."""
Request = tuple[str, dict[str, str], str | None]
Row = Callable[[str, str, str, bool], None]


def form(path: str, **fields: str) -> Request:
    return (path, FORM, urllib.parse.urlencode(fields))


def login(product: str, name: str, password: str, old: bool) -> Request:
    """Return a login: by the page that browsers use now, or by an older way."""
    if product == "crowd":
        # What an application asks that Crowd does not know under this address.
        headers = {**JSON, "Authorization": "Basic " + base64.b64encode(b"jira:secret").decode()}
        return (
            "/crowd/rest/usermanagement/1/authentication",
            headers,
            json.dumps({"username": name, "value": password}),
        )
    if not old:
        return ("/rest/tsv/1.0/authenticate", JSON, json.dumps({"username": name, "password": password}))
    if product == "jira":
        return form("/login.jsp", os_username=name, os_password=password)
    if product == "confluence":
        return form("/dologin.action", os_username=name, os_password=password)
    if product == "bamboo":
        return form("/userlogin.action", os_username=name, os_password=password)
    basic = base64.b64encode(f"{name}:{password}".encode()).decode()
    return ("/rest/api/1.0/users", {"Authorization": f"Basic {basic}"}, None)


def lies(product: str, victim: str) -> list[str]:
    """Return names that say in the words of a log that somebody else has failed."""
    return [
        f"x' with IP address: {victim} failed to log in.",
        f'x","source":"{victim}","x":"',
        f"x 1x1x1 - {victim} /login.jsp The user 'anna' has FAILED authentication.  Failure count equals 9",
        f"x {victim} {product}",
        "anna" if product != "jira" else f"'anna' {victim}",
    ]


class Story:
    """What the clients do, one way after the other, and who is banned after each."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.addresses = {name: families(lab, name) for name in lab.group.hosts()}
        self._set_up()
        self.settings: dict[str, Any] = {
            "atlassian_dc_admin_networks": lab.group.controller(),
            "atlassian_dc_proxy_addresses": list(self.addresses["proxy"].values()),
            "atlassian_dc_proxy_hosts": ["proxy"],
            "atlassian_dc_cluster_peers": [],
            "atlassian_dc_allow_restart": True,
        }
        self.harden = self.play("harden")
        self.second = self.play("harden")
        self.answers: dict[str, dict[str, list[int]]] = {}
        self.banned: dict[str, dict[str, set[str]]] = {}
        self.seconds: dict[str, float] = {}
        self.seen: dict[str, dict[tuple[str, str, int], str]] = {}
        for way in GUILTY:
            self._try(way)
        self.audit = self.play("audit")

    def _set_up(self) -> None:
        products = self.addresses["products"]["IPv4"]
        sites = "".join(NGINX.format(product=name, address=products, port=port) for name, port in PRODUCTS.items())
        self.lab.sh("proxy", f"cat > /etc/nginx/sites-enabled/default <<'END'\n{sites}\nEND\nsystemctl restart nginx")
        # Somebody has told Bamboo another time zone: its log is hours late.
        options = {
            "crowd": f"trusted.proxies={self.addresses['proxy']['IPv4']}",
            "bamboo": "user.timezone=Pacific/Apia",
        }
        self.lab.sh(
            "products",
            "".join(
                f"mkdir -p /etc/systemd/system/{unit}.service.d\n"
                f"printf '[Service]\\nEnvironment=\"JAVA_TOOL_OPTIONS=-XX:TieredStopAtLevel=1 -D{option}\"\\n'"
                f" > /etc/systemd/system/{unit}.service.d/option.conf\n"
                for unit, option in options.items()
            )
            + f"systemctl daemon-reload\nsystemctl restart {' '.join(options)}",
        )

    def play(self, playbook: str) -> Outcome:
        return self.lab.play(playbook, "--tags", "fail2ban", "--limit", "products", **self.settings)

    def family(self, product: str) -> str:
        return "IPv6" if product in OVER_IPV6 and "IPv6" in self.addresses["products"] else "IPv4"

    def address(self, way: str, product: str) -> str:
        """Return the address of the guilty one."""
        return self.addresses[GUILTY[way][product]][self.family(product)]

    def wanted(self, way: str) -> set[str]:
        return {self.address(way, product) for product in PRODUCTS}

    def requests(self, way: str, product: str, logins: list[tuple[str, str]], victim: str) -> list[Request]:
        """Return failed logins, or others, in which headers and names tell of a victim."""
        proxied = way != "directly"
        target = self.addresses["proxy" if proxied else "products"][self.family(product)]
        host = f"[{target}]" if ":" in target else target
        port = 80 if proxied else PRODUCTS[product]
        # Crowd takes an address out of the header itself and counts nobody who sends one through a proxy.
        forged = {} if proxied and product == "crowd" else {"X-Forwarded-For": f"{victim}, {victim}"}
        sent = []
        for name, password in logins:
            path, headers, body = login(product, name, password, old=proxied)
            sent.append((f"http://{host}:{port}{path}", {"Host": f"{product}.example", **forged, **headers}, body))
        return sent

    def send(self, client: str, requests: list[Request]) -> list[int]:
        return list(json.loads(self.lab.group.output(client, ["python3", "-c", SEND, json.dumps(requests)])))

    def _try(self, way: str) -> None:
        """Let the guilty guess, and the others log in and mistype less often than is too much, all at once."""
        guilty = GUILTY[way]
        innocent = next(others for other, others in GUILTY.items() if other != way)

        def act(product: str, bad: bool) -> list[int]:
            if bad:
                victim = self.addresses[innocent[product]][self.family(product)]
                names = [(name, "guess") for name in lies(product, victim)[:ENOUGH]]
                return self.send(guilty[product], self.requests(way, product, names, victim))
            victim = self.addresses["proxy"][self.family(product)]
            names = [("nobody", "guess")] * NOT_ENOUGH
            if product != "crowd":  # counts applications, and knows no other from these addresses
                names.insert(0, ("anna", "correct-horse"))
            return self.send(innocent[product], self.requests(way, product, names, victim))

        with ThreadPoolExecutor(max_workers=len(CLIENTS)) as pool:
            begun = {
                (innocent if not bad else guilty)[product]: pool.submit(act, product, bad)
                for product in PRODUCTS
                for bad in (True, False)
            }
            self.answers[way] = {client: future.result() for client, future in begun.items()}
        ended = time.monotonic()
        hosts = ("products", "proxy")
        while True:
            self.banned[way] = {host: self.bans(host) for host in hosts}
            self.seconds[way] = time.monotonic() - ended
            if all(self.wanted(way) <= found for found in self.banned[way].values()) or self.seconds[way] > PATIENCE:
                break
            time.sleep(0.3)
        self.seen[way] = self.scan()
        if way == "directly":
            # Whoever is let off here is let off at the proxy.
            self.lab.sh("products", f"fail2ban-client unban {' '.join(self.wanted(way))}")
            deadline = time.monotonic() + PATIENCE
            while (left := self.bans("proxy")) and time.monotonic() < deadline:
                time.sleep(0.3)
            self.let_off = left

    def bans(self, host: str) -> set[str]:
        """Return the addresses that nftables rejects."""
        table = self.lab.sh(host, "nft list table inet f2b-table 2>/dev/null || true")
        found = {word for elements in re.findall(r"elements = \{([^}]*)\}", table) for word in elements.split(",")}
        return {str(ipaddress.ip_address(word.strip())) for word in found}

    def scan(self) -> dict[tuple[str, str, int], str]:
        """Look from every client: client, family and port to open, closed or filtered; port 80 is the proxy's."""
        keys = [(family, port) for family in self.addresses["products"] for port in (*PRODUCTS.values(), 80)]
        asked = [(self.addresses["proxy" if port == 80 else "products"][family], "tcp", port) for family, port in keys]

        def look(client: str) -> list[str]:
            return list(json.loads(self.lab.group.output(client, ["python3", "-c", SCAN, json.dumps(asked)])))

        with ThreadPoolExecutor(max_workers=len(CLIENTS)) as pool:
            words = dict(zip(CLIENTS, pool.map(look, CLIENTS), strict=True))
        return {(client, *key): word for client in CLIENTS for key, word in zip(keys, words[client], strict=True)}

    def expected(self, way: str) -> dict[tuple[str, str, int], str]:
        """Return what a scan has to find: the guilty see neither their product nor the proxy."""
        shut = {
            (client, self.family(product), port)
            for product, client in GUILTY[way].items()
            for port in (PRODUCTS[product], 80)
        }
        return {key: "closed" if key in shut else "open" for key in self.seen[way]}


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    lab = Lab("fidelity-guilty", tmp_path_factory.mktemp("guilty"))
    try:
        clients = [f"{client}=base:{('bookworm', 'trixie')[number % 2]}" for number, client in enumerate(CLIENTS)]
        lab.up(["products=products:bookworm", "proxy=proxy:trixie", *clients])
        yield Story(lab)
    finally:
        lab.down()


def test_no_run_fails(story: Story) -> None:
    for outcome in (story.harden, story.second, story.audit):
        assert outcome.code == 0, outcome.output


def test_a_second_run_changes_nothing(story: Story, row: Row) -> None:
    tasks = story.second.changed_tasks("products")
    row("ten clients: second run", "changed=0", f"changed={len(tasks)}", not tasks)
    assert tasks == [], story.second.changes("products")


def test_all_controls_pass_for_all_products(story: Story) -> None:
    """Also that audit logs hold failed logins: they do by now."""
    entries = [entry for entry in story.audit.entries("products") if entry["id"] in CONTROLS]
    assert {entry["instance"] for entry in entries} >= set(PRODUCTS)
    assert {(entry["id"], entry["instance"]): entry["reason"] for entry in entries if entry["status"] != "pass"} == {}


@pytest.mark.parametrize("way", GUILTY)
@pytest.mark.parametrize("product", PRODUCTS)
def test_logins_go_as_they_should(story: Story, way: str, product: str) -> None:
    """Whoever was not heard proves nothing: all logins arrive, and only the right password is right."""
    guilty = GUILTY[way][product]
    innocent = next(others[product] for other, others in GUILTY.items() if other != way)
    bad, good = story.answers[way][guilty], story.answers[way][innocent]
    # Those through the proxy have failed before, as the innocent of the first way: the last ones may meet a ban.
    heard = bad if way == "directly" else bad[: ENOUGH - NOT_ENOUGH]
    assert (len(bad), 0 in heard, 0 in good) == (ENOUGH, False, False), (bad, good)
    succeeded = (200, 201, 302)
    if product == "crowd":
        assert not {*bad, *good} & {*succeeded}
    else:
        # Pages of a login that has failed have status 200 too, so it is told by what is different.
        assert good[0] in succeeded
        assert good[0] not in {*bad, *good[1:]}, (bad, good)


@pytest.mark.parametrize("host", ["products", "proxy"])
@pytest.mark.parametrize("way", GUILTY)
def test_exactly_the_guilty_are_banned(story: Story, way: str, host: str, row: Row) -> None:
    found, wanted = story.banned[way][host], story.wanted(way)
    right = found == wanted
    row(
        f"ten clients {way}, nftables of {host}",
        f"{len(wanted)} guilty",
        f"{len(found & wanted)} of them, {len(found - wanted)} others",
        right,
    )
    assert found == wanted


@pytest.mark.parametrize("way", GUILTY)
def test_they_are_banned_in_time(story: Story, way: str, row: Row) -> None:
    right = story.seconds[way] <= PATIENCE
    row(f"ten clients {way}: ban", f"within {PATIENCE} s", f"after {story.seconds[way]:.0f} s", right)
    assert right


@pytest.mark.parametrize("way", GUILTY)
def test_only_they_notice(story: Story, way: str, row: Row) -> None:
    wrong = {key: word for key, word in story.seen[way].items() if word != story.expected(way)[key]}
    row(f"ten clients {way}, from their side", f"{len(story.seen[way])} ports", f"{len(wrong)} wrong", not wrong)
    assert wrong == {}


def test_who_is_let_off_is_let_off_at_the_proxy(story: Story, row: Row) -> None:
    row(
        "ten clients: unban on the host of the products",
        "none left at the proxy",
        f"{len(story.let_off)} left",
        not story.let_off,
    )
    assert story.let_off == set()


def test_administrators_and_proxies_are_never_banned(story: Story) -> None:
    """Let this machine and the proxy mistype for ever."""
    for way in GUILTY:
        requests = story.requests(way, "jira", [("nobody", "guess")] * 20, "198.51.100.9")
        for _url, headers, _body in requests:
            del headers["X-Forwarded-For"]
        assert 0 not in story.send("proxy", requests)
        done = subprocess.run([sys.executable, "-c", SEND, json.dumps(requests)], capture_output=True, check=True)
        assert 0 not in json.loads(done.stdout)
    time.sleep(5)
    for host in ("products", "proxy"):
        assert story.bans(host) == story.wanted("through the proxy")


def test_midnight_comes(story: Story, row: Row) -> None:
    """The clock of Confluence is moved to shortly before it: the day's file ends, counts go on.

    It is ahead of that of fail2ban by then, as that of a host may be which nobody has set.
    """
    client = GUILTY["through the proxy"]["jira"]
    lab, address = story.lab, story.addresses[client]["IPv4"]
    home = "/var/atlassian/application-data/confluence"
    lab.sh(
        "products",
        f"""
        echo +0 > {CLOCK}; chmod 0644 {CLOCK}
        mkdir -p /etc/systemd/system/confluence.service.d
        printf %s '{MOVED}' > /etc/systemd/system/confluence.service.d/clock.conf
        fail2ban-client unban {address}
        systemctl daemon-reload
        systemctl restart confluence
        """,
    )
    assert lab.served_by("products", "confluence.service", 8090) not in ("down", "not serving")

    def move_clock(seconds: int) -> None:
        """Have it be so many seconds after the midnight after next."""
        lab.sh("products", f"echo +$((2 * 86400 - $(date +%s) % 86400 + {seconds})) > {CLOCK}; sleep 2")

    move_clock(-120)
    requests = story.requests("directly", "jira", [(f"guest{number}", "guess") for number in range(5)], "198.51.100.9")
    requests = [(url.replace(":8080", ":8090"), headers, body) for url, headers, body in requests]
    assert story.send(client, requests[:3]) == [401] * 3
    move_clock(5)
    assert story.send(client, requests[3:]) == [401] * 2
    ended = time.monotonic()
    while address not in story.bans("products") and time.monotonic() - ended < PATIENCE:
        time.sleep(0.3)
    days = lab.sh(
        "products", f'grep -l \'"source":"[^"]*{address}"\' {home}/log/audit/*.audit.log | xargs -n1 basename'
    ).split()
    right = address in story.bans("products") and len(days) == 2
    row("midnight between two failed logins", "two files, banned", f"{len(days)} files, {right}", right)
    assert len(days) == 2, days
    assert address in story.bans("products")
