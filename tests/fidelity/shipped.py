# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logs that are written to while everything between them and the collector is disturbed, and what came of them."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

from .lab import Lab

UNIT = "atlassian-dc-log-shipping.service"
SINK_UNIT = "atlassian-dc-log-shipping-collector.service"
KEPT = "/var/log/atlassian-dc-log-shipping-collector"
LOGS = "/srv/logs"
FIVE = [{"path": f"{LOGS}/log{number}", "kind": "access"} for number in range(1, 6)]
"""The logs, as role log_shipping is told of them."""

WRITE = """
for log in 1 2 3 4 5; do (
    file=%(logs)s/log$log
    for part in $(seq 20); do
        seq -f "%(word)s $log-%%.0f of a log that is written to while everything is disturbed" \
            $(((part - 1) * %(lines)d / 20 + 1)) $((part * %(lines)d / 20)) >> $file
        sleep %(pause)s
        case %(rotated)s$part in
            yes6 | yes13) [ ! -e $file.1 ] || mv $file.1 $file.2; mv $file $file.1 ;;
        esac
    done
) & done
wait
"""

KILL = ("host", f"systemctl kill --signal=KILL {UNIT}")
STOP, START = ("sink", f"systemctl stop {SINK_UNIT}"), ("sink", f"systemctl start {SINK_UNIT}")
CUT, JOIN = ("sink", "ip route add blackhole {address}"), ("sink", "ip route del blackhole {address}")
DISTURBANCES: dict[str, list[tuple[str, str]]] = {
    "collector stopped": [STOP, START],
    "network cut": [CUT, JOIN],
    "shipper killed with -9, five times": [KILL] * 5,
    "logs rotated": [],
    "all of these": [KILL, STOP, KILL, START, KILL, CUT, KILL, JOIN, KILL],
}


class Disturbed:
    """A host that ships five logs, and its collector.

    Args:
        lab: their group.
        host: the one.
        sink: the other.

    """

    def __init__(self, lab: Lab, host: str, sink: str) -> None:
        self.lab, self.host, self.sink = lab, host, sink

    def kept(self, pattern: str, host: str = "") -> list[str]:
        """Return what the collector has of a host that an expression describes, each as often as it came."""
        script = f"find {KEPT}/{host or self.host} -name '*.log' -exec grep -haoE '{pattern}' {{}} + || true"
        return self.lab.sh(self.sink, script).splitlines()

    def disturb(
        self, word: str, lines: int, steps: list[tuple[str, str]], rotated: bool, reboot: bool, patience: float
    ) -> tuple[int, int]:
        """Return how many lines came, and how many came once more.

        Args:
            word: that all lines begin with.
            lines: for each of the logs.
            steps: what happens meanwhile, a second apart.
            rotated: whether the logs are rotated meanwhile.
            reboot: whether the host is restarted afterwards.
            patience: seconds after which no more are waited for.

        """
        pause = max(0.1, (1.5 * len(steps) + 2) / 20)
        told = {"logs": LOGS, "word": word, "lines": lines, "pause": pause, "rotated": "yes" if rotated else "no"}
        address = self.lab.group.hosts()[self.host].address
        with ThreadPoolExecutor(1) as pool:
            writer = pool.submit(self.lab.sh, self.host, WRITE % told)
            for where, script in steps:
                time.sleep(1)
                self.lab.sh(self.host if where == "host" else self.sink, script.format(address=address))
            writer.result()
        if reboot:
            self.lab.group.restart(self.host)
        found: list[str] = []
        end = time.monotonic() + patience
        while len(set(found)) < 5 * lines and time.monotonic() < end:
            time.sleep(2)
            found = self.kept(f"{word} [1-5]-[0-9]+ of")
        return len(set(found)), len(found) - len(set(found))
