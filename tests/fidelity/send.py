# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Send requests from the host this runs on, one after the other, and print their statuses as JSON.

Each is [address, headers, body]; a status of 0: no answer came.
"""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.request

SECONDS = 20


class Stay(urllib.request.HTTPRedirectHandler):
    """A redirect is an answer, not somewhere to go."""

    def redirect_request(self, *_arguments: object) -> None:
        return None


def send(address: str, headers: dict[str, str], body: str | None) -> int:
    opener = urllib.request.build_opener(Stay, urllib.request.ProxyHandler({}))
    request = urllib.request.Request(address, None if body is None else body.encode(), headers)  # noqa: S310 - ours
    try:
        with opener.open(request, timeout=SECONDS) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return int(error.code)
    except OSError:
        return 0


print(json.dumps([send(*request) for request in json.loads(sys.argv[1])]))
