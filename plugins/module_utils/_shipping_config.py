# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the shipper of logs is made of: an instance of rsyslog of its own, with its units and scripts.

Lines go from the files into a queue on disk, and from there to the first collector that takes them. None is lost when
the process is killed: rsyslog writes down where it is in a file only after its lines are queued, and a script, run
before every start, takes the queue up to the last whole entry in it and has sent again what may not be confirmed.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.atlassian_dc.hardening.plugins.module_utils._shipping_logs import Input, word

NAME = "atlassian-dc-log-shipping"
SERVICE = f"{NAME}.service"
CANARY_SERVICE = f"{NAME}-canary.service"
CANARY_TIMER = f"{NAME}-canary.timer"
ROOM_SERVICE = f"{NAME}-room.service"
UNITS = (SERVICE, ROOM_SERVICE, CANARY_SERVICE, CANARY_TIMER)
SERVED = (SERVICE, ROOM_SERVICE, CANARY_TIMER)
"""Those that run all the time and are started at boot."""

FOLDER = "/etc/atlassian-dc/log-shipping"
STATE = f"/var/lib/{NAME}"
CONFIG = f"{FOLDER}/rsyslog.conf"
RECOVER_SCRIPT = f"{FOLDER}/recover"
CANARY_SCRIPT = f"{FOLDER}/canary"
TURN_SCRIPT = f"{FOLDER}/turn"
ROOM_SCRIPT = f"{FOLDER}/room"
STATS = f"{STATE}/stats.json"
SENT = f"{STATE}/sent"
REPLAY = f"{STATE}/replay.log"
SYSTEMD = "/etc/systemd/system"
RSYSLOGD = "/usr/sbin/rsyslogd"

HEADER = "# Made by the role log_shipping of atlassian_dc.hardening; changes are overwritten.\n"

SHIPPER = "shipper.atlassian-dc.internal"
COLLECTOR = "collector.atlassian-dc.internal"
"""Names in certificates of the collection's own authority, by which each side knows what the other one is."""

CANARY = "canary"
CANARY_MINUTES = 5
STATS_SECONDS = 10
STUCK_SAMPLES = 6
LONGEST = 1100
"""Longest entry in KiB that is shipped whole; a longer one comes in parts."""

WINDOW = 128
"""Messages that RELP sends before it waits for the first of them to be confirmed; librelp's own default."""
BATCH = 64
RESENT = WINDOW + 2 * BATCH
"""Messages that are sent again after a start: more than can have been on their way."""
ROOM_MEGABYTES = 64
"""What has to be free beside the queue: on a full disk rsyslog would take lines for queued that are not."""
SENT_BYTES = 4 * 1024 * 1024
CHECKPOINT = 500
QUEUE_FILE_MEGABYTES = 4


@dataclass(frozen=True)
class Collector:
    """Where logs are sent."""

    host: str
    port: int
    protocol: str


@dataclass(frozen=True)
class Plan:
    """What is shipped, and where to.

    Attributes:
        node: name of the host in what is shipped.
        collectors: in the order in which they are tried.
        inputs: files that are read.
        units: units whose journal is read, by the name and the product of their instance.
        peers: names of which a collector's certificate has to hold one.
        certificate: paths of ``ca``, ``cert`` and ``key``.
        queue_megabytes: cap of the queue.

    """

    node: str
    collectors: tuple[Collector, ...]
    inputs: tuple[Input, ...]
    units: tuple[tuple[str, str, str], ...]
    peers: tuple[str, ...]
    certificate: Mapping[str, str]
    queue_megabytes: int

    @property
    def canaries(self) -> tuple[tuple[str, str, str], ...]:
        """Instance, product and kind of everything that a canary is sent for."""
        found = [(item.instance, item.product, kind) for item in self.inputs for kind in item.kinds]
        return tuple(dict.fromkeys(found))


def quoted(text: str) -> str:
    """Return a text as a string of RainerScript."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _array(items: Iterable[str]) -> str:
    return "[" + ", ".join(quoted(item) for item in items) + "]"


# ---- configuration -------------------------------------------------------------------------------------------------

_GLOBALS = f"""\
global(
    workDirectory="{STATE}"
    maxMessageSize="{LONGEST}k"
    net.enableDNS="off"
    processInternalMessages="off"
    internalmsg.severity="warn"
%s)
main_queue(queue.type="Direct")
"""

_TEMPLATES = f"""\
template(name="head" type="list") {{
    constant(value="<") property(name="pri") constant(value=">1 ")
    property(name="timereported" dateFormat="rfc3339")
    constant(value=" %s ") property(name="$!app") constant(value=" - ") property(name="$!id")
    constant(value=" [atlassian-dc@32473 product=\\"") property(name="$!product")
    constant(value="\\" instance=\\"") property(name="$!instance")
    constant(value="\\" node=\\"%s\\" kind=\\"") property(name="$!kind")
    constant(value="\\" file=\\"") property(name="$!metadata!filename" controlCharacters="escape")
    constant(value="\\"] ")
}}
# What stands in an entry can be neither a line of its own nor the end of the message.
template(name="line" type="list") {{ property(name="$!head") property(name="msg" controlCharacters="escape") }}
template(name="sent" type="list") {{
    property(name="$!head") property(name="msg" controlCharacters="escape") constant(value="\\n")
}}
$outchannel sent,{SENT},{SENT_BYTES},/bin/sh {TURN_SCRIPT}
"""


def render_config(plan: Plan) -> str:
    """Return the configuration of the shipper."""
    streamed = any(collector.protocol == "tcp" for collector in plan.collectors)
    relp = any(collector.protocol == "relp" for collector in plan.collectors)
    files = plan.certificate
    stream = (
        f'    defaultNetstreamDriver="ossl"\n    defaultNetstreamDriverCAFile={quoted(files["ca"])}\n'
        f"    defaultNetstreamDriverCertFile={quoted(files['cert'])}\n"
        f"    defaultNetstreamDriverKeyFile={quoted(files['key'])}\n"
    )
    node = word(plan.node)
    parts = [
        HEADER,
        _GLOBALS % (stream if streamed else ""),
        'module(load="imfile" mode="inotify")\n',
        # Debian 12's librelp is linked with two libraries and takes the one it is told.
        'module(load="omrelp" tls.tlslib="openssl")\n' if relp else "",
        f'module(load="impstats" interval="{STATS_SECONDS}" format="json" resetCounters="on" log.syslog="off"'
        f' log.file="{STATS}")\n',
        _TEMPLATES % (node, node),
        _queue(plan),
        *(_input(number, item) for number, item in enumerate(plan.inputs)),
        *(_canary(*source) for source in plan.canaries),
        _journal(plan) if plan.units else "",
        _read(REPLAY, "replay"),
        '\nruleset(name="replay") {\n    set $!head = "";\n    unset $!metadata;\n    call ship\n}\n',
    ]
    return "".join(parts)


def _queue(plan: Plan) -> str:
    actions = []
    last = len(plan.collectors) - 1
    for number, collector in enumerate(plan.collectors):
        actions.append(_action(plan, collector, number, retry=last == 0, fallback=number > 0))
    if last > 0:
        # When none takes it, the first is tried until it does.
        actions.append(_action(plan, plan.collectors[0], last + 1, retry=True, fallback=True))
    return (
        '\nruleset(name="ship" queue.type="Disk" queue.filename="queue"'
        f' queue.maxDiskSpace="{plan.queue_megabytes}m" queue.maxFileSize="{QUEUE_FILE_MEGABYTES}m"'
        ' queue.size="50000000"\n'
        f'    queue.checkpointInterval="{CHECKPOINT}" queue.dequeueBatchSize="{BATCH}" queue.saveOnShutdown="on"'
        ' queue.timeoutShutdown="1000" queue.timeoutActionCompletion="5000"\n'
        '    queue.timeoutEnqueue="2000") {\n'
        "    :omfile:$sent;sent\n" + "".join(actions) + "}\n"
    )


def _action(plan: Plan, collector: Collector, number: int, retry: bool, fallback: bool) -> str:
    options = [
        f'name="collector{number}"',
        *(
            ['type="omrelp"', 'tls="on"', 'tls.authMode="name"']
            if collector.protocol == "relp"
            else ['type="omfwd"', 'protocol="tcp"', 'tcp_framing="octet-counted"', 'streamDriverMode="1"']
        ),
        f"target={quoted(collector.host)}",
        f'port="{collector.port}"',
        'template="line"',
    ]
    if collector.protocol == "relp":
        options += [
            f"tls.caCert={quoted(plan.certificate['ca'])}",
            f"tls.myCert={quoted(plan.certificate['cert'])}",
            f"tls.myPrivKey={quoted(plan.certificate['key'])}",
            f"tls.permittedPeer={_array(plan.peers)}",
            'timeout="20"',
        ]
    else:
        options += [
            'streamDriver="ossl"',
            'streamDriverAuthMode="x509/name"',
            f"streamDriverPermittedPeers={quoted(','.join(plan.peers))}",
        ]
    options += [
        f'action.resumeRetryCount="{-1 if retry else 0}"',
        'action.resumeInterval="2"',
        'action.resumeIntervalMax="30"',
    ]
    if fallback:
        options.append('action.execOnlyWhenPreviousIsSuspended="on"')
    return "    action(" + "\n        ".join(options) + ")\n"


def _read(path: str, ruleset: str, begins: str | None = None) -> str:
    """Return an input. What was read is in the queue before it is noted that it was read: one line at a time."""
    # An entry ends when the next begins, or nothing follows it for this long.
    multiline = f' startmsg.regex={quoted(begins)} readTimeout="3"' if begins else ""
    return (
        f'input(type="imfile" file={quoted(path)} tag="x" ruleset="{ruleset}" addMetadata="on" reopenOnTruncate="on"'
        f' persistStateInterval="200" maxSubmitAtOnce="1"{multiline})\n'
    )


def _told(item: Input, app: str, identity: str) -> str:
    return (
        f"    set $!product = {quoted(word(item.product))};\n    set $!instance = {quoted(word(item.instance))};\n"
        f"    set $!app = {quoted(app)};\n    set $!kind = {quoted(word(item.kind))};\n    set $!id = {identity};\n"
    )


_HANDED_ON = (
    # A file may be called anything; its name must not end the value it stands in.
    '    set $!metadata!filename = replace($!metadata!filename, "\\"", "_");\n'
    '    set $.head = exec_template("head");\n    unset $!;\n    set $!head = $.head;\n    unset $.head;\n'
    "    call ship\n}\n"
)


def _input(number: int, item: Input) -> str:
    lines = [f'\nruleset(name="in{number}") {{\n']
    if item.path.endswith("*"):
        lines.append('    if re_match($!metadata!filename, "\\\\.(gz|bz2|xz|zst|zip)\\$") then stop\n')
    lines.append(_told(item, word(item.instance), quoted(word(item.kind))))
    for path, kind in item.named:
        lines.append(
            f"    if $!metadata!filename startswith {quoted(path)} then {{\n"
            f"        set $!kind = {quoted(word(kind))};\n        set $!id = {quoted(word(kind))};\n    }}\n"
        )
    lines.append(_HANDED_ON)
    lines += [_read(pattern, f"in{number}", item.begins) for pattern in item.patterns]
    return "".join(lines)


def canary_id(instance: str, kind: str) -> str:
    """Return how the canary of a kind of logs is called at the collector."""
    return f"{word(instance)}.{word(kind)}"


def _canary(instance: str, product: str, kind: str) -> str:
    name = canary_id(instance, kind)
    item = Input(instance, product, kind, f"{STATE}/canary/{name}")
    return (
        f'\nruleset(name="canary.{name}") {{\n{_told(item, CANARY, quoted(name))}{_HANDED_ON}'
        f"{_read(item.path, f'canary.{name}')}"
    )


def _journal(plan: Plan) -> str:
    choices = []
    for number, (unit, instance, product) in enumerate(plan.units):
        item = Input(instance, product, "application", "/")
        condition = "if" if number == 0 else "else if"
        told = (
            _told(item, word(instance), '"journal"')
            .replace("\n    ", "\n        ")
            .replace("    set", "        set", 1)
        )
        choices.append(f"    {condition} $!_SYSTEMD_UNIT == {quoted(unit)} then {{\n{told}    }}\n")
    return (
        '\nmodule(load="imjournal" stateFile="journal.state" persistStateInterval="50" ratelimit.interval="0")\n'
        'ruleset(name="journal") {\n' + "".join(choices) + "    else stop\n"
        '    set $!metadata!filename = "journal";\n'
        + _HANDED_ON
        +
        # Not every version lets the journal be read into a ruleset of its own; nothing else comes this way.
        "call journal\n"
    )


# ---- units ---------------------------------------------------------------------------------------------------------


def digest(*texts: str) -> str:
    """Return a short digest of texts."""
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]


def render_files(plan: Plan, certificate: str) -> dict[str, str]:
    """Return all files by path.

    Args:
        plan: what is shipped.
        certificate: digest of the certificate, so that a new one restarts the shipper.

    """
    config = render_config(plan)
    recover, canary = render_recover(), render_canary(plan)
    service = f"""\
{HEADER}[Unit]
Description=Logs of Atlassian Data Center products to the collector
After=network-online.target nss-lookup.target
Wants=network-online.target
StartLimitIntervalSec=0

[Service]
# Which configuration the process has read.
Environment=ATLASSIAN_DC_CONFIG={digest(config, recover, certificate)}
# No start without room for the queue, but one try after the other.
ExecStartPre=/bin/sh {ROOM_SCRIPT}
ExecStartPre=/usr/bin/env python3 {RECOVER_SCRIPT}
ExecStart={RSYSLOGD} -n -i NONE -f {CONFIG}
Restart=always
RestartSec=2
TimeoutStopSec=30
StateDirectory={NAME}
StateDirectoryMode=0700
UMask=0077
CapabilityBoundingSet=CAP_DAC_READ_SEARCH
NoNewPrivileges=yes
PrivateDevices=yes
PrivateTmp=yes
ProtectControlGroups=yes
ProtectHome=read-only
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectSystem=strict
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
RestrictNamespaces=yes
RestrictRealtime=yes
LockPersonality=yes
SystemCallArchitectures=native
LimitNOFILE=16384
# It must not slow the product down: where a collector is not believed, rsyslog tries again without a pause.
CPUWeight=20

[Install]
WantedBy=multi-user.target
"""
    canary_service = f"""\
{HEADER}[Unit]
Description=Sign of life of the shipper of logs
After={SERVICE}

[Service]
Type=oneshot
ExecStart=/bin/sh {CANARY_SCRIPT}
ProtectSystem=strict
ReadWritePaths=-{STATE}
PrivateTmp=yes
UMask=0077
LogLevelMax=notice
"""
    canary_timer = f"""\
{HEADER}[Unit]
Description=Signs of life of the shipper of logs

[Timer]
OnActiveSec=1min
OnUnitActiveSec={CANARY_MINUTES}min
AccuracySec=10s

[Install]
WantedBy=timers.target
"""
    return {
        CONFIG: config,
        RECOVER_SCRIPT: recover,
        CANARY_SCRIPT: canary,
        ROOM_SCRIPT: render_room(STATE, SERVICE),
        TURN_SCRIPT: f"{HEADER}# Run by the shipper whenever what it has sent fills a file.\nmv -f {SENT} {SENT}.1\n",
        f"{SYSTEMD}/{SERVICE}": service,
        f"{SYSTEMD}/{ROOM_SERVICE}": render_room_service(ROOM_SCRIPT, SERVICE),
        f"{SYSTEMD}/{CANARY_SERVICE}": canary_service,
        f"{SYSTEMD}/{CANARY_TIMER}": canary_timer,
    }


# ---- scripts -------------------------------------------------------------------------------------------------------

_ROOM = """\
# Run before the service starts, and as long as it runs: where its disk is about to be full it does not run, and the
# lines stay where they come from until there is room again.
room() {{
    set -- $(stat -f -c '%a %S' {state}) || return 0
    [ $(($1 * $2 / 1048576)) -ge {megabytes} ]
}}
if [ "$1" = watch ]; then
    while room; do sleep 3; done
    exec systemctl restart --no-block {service}
fi
room || {{ echo "fewer than {megabytes} MB are free for {state}"; exit 1; }}
"""


def render_room(folder: str, service: str) -> str:
    """Return the script that keeps a service from running where its disk is about to be full."""
    return HEADER + _ROOM.format(state=folder, megabytes=ROOM_MEGABYTES, service=service)


def render_room_service(script: str, service: str) -> str:
    """Return the unit that runs this script as long as the service runs."""
    return f"""\
{HEADER}[Unit]
Description=Room on the disk for {service}
BindsTo={service}
After={service}
StartLimitIntervalSec=0

[Service]
ExecStart=/bin/sh {script} watch
Restart=always
RestartSec=2
ProtectSystem=strict
PrivateTmp=yes

[Install]
WantedBy={service}
"""


_CANARY = """\
# A line for every kind of logs, which the collector must get; and what statistics are too many are dropped.
state={state}
umask 077
mkdir -p $state/canary
now=$(date +%s)
for name in {names}; do
    file=$state/canary/$name
    # Small enough never to matter, and never a new file that would have to be found first.
    [ "$(stat -c %s $file 2>/dev/null || echo 0)" -lt 100000 ] || : > $file
    echo "canary $now" >> $file
done
if [ "$(stat -c %s {stats} 2>/dev/null || echo 0)" -gt 4000000 ]; then
    tail -n 5000 {stats} > {stats}.new && cat {stats}.new > {stats}
    rm -f {stats}.new
fi
"""

_WATCH = """\
# A log was cut short unseen: from the start on it is read from its begin.
if /usr/bin/env python3 {recover} look; then
    systemctl try-restart {service}
    exit 0
fi
# rsyslog never again tries a collector that has once shown it a wrong certificate, and where several are configured it
# waits for the first when none has answered. So it starts anew, with all that waits in its queue, when something waits,
# nothing was sent for {samples} samples of its statistics, and one of them can be reached.
recent() {{ tail -c 100000 {stats} 2>/dev/null | grep -F "$1" | tail -n "$2"; }}
[ "$(recent '"name": "ship"' {samples} | grep -vc '"size": 0,')" -eq {samples} ] || exit 0
! recent '"name": "collector' {sent} | grep -vq '"processed": 0,' || exit 0
for target in {targets}; do
    if timeout 5 bash -c "exec 3<>/dev/tcp/${{target%%/*}}/${{target##*/}}" 2>/dev/null; then
        systemctl try-restart {service}
        exit 0
    fi
done
"""


def render_canary(plan: Plan) -> str:
    """Return the script that sends a sign of life for every kind of logs."""
    names = " ".join(canary_id(instance, kind) for instance, _product, kind in plan.canaries)
    script = HEADER + _CANARY.format(state=STATE, names=names, stats=STATS)
    targets = " ".join(f"{word_of_shell(item.host)}/{item.port}" for item in plan.collectors)
    actions = len(plan.collectors) + (len(plan.collectors) > 1)
    return script + _WATCH.format(
        targets=targets,
        service=SERVICE,
        recover=RECOVER_SCRIPT,
        stats=STATS,
        samples=STUCK_SAMPLES,
        sent=STUCK_SAMPLES * actions,
    )


def word_of_shell(text: str) -> str:
    """Return a host as a word of a script; what no host has in its name is dropped."""
    return "".join(letter for letter in text if letter.isalnum() or letter in ".:-_")


_RECOVER = '''\
"""Makes the queue whole after the shipper was killed, and has sent again what may have been on its way."""

import glob
import json
import os
import re
import sys

STATE = {state!r}
SENT = {sent!r}
REPLAY = {replay!r}
RESENT = {resent}
LONGEST = {longest}
BEGIN, END = b"<Obj:1:msg:1:\\n", b">End\\n.\\n"


def records(path):
    """Return the offsets of a file at which a whole entry ends."""
    with open(path, "rb") as stream:
        data = stream.read()
    ends, at = [], 0
    while data.startswith(BEGIN, at):
        at += len(BEGIN)
        # Each field tells its length: the text of an entry may hold anything, also what looks like the end of one.
        while data.startswith(b"+", at):
            head = data[at : at + 100].split(b":", 3)
            if len(head) < 4 or not head[2].isdigit():
                return ends
            at += sum(map(len, head[:3])) + 3 + int(head[2]) + 2
        if not data.startswith(END, at):
            return ends
        at += len(END)
        ends.append(at)
    return ends


def stream(number, offset, reads):
    """Return a position as rsyslog writes it down."""
    def field(name, value, kind=2):
        return "+%s:%d:%d:%s:\\n" % (name, kind, len(str(value)), value)

    return (
        "<Obj:1:strm:1:\\n" + field("iCurrFNum", number) + field("pszFName", "queue", 1) + field("iMaxFiles", 10000000)
        + field("bDeleteOnClose", int(reads)) + field("sType", 1) + field("tOperationsMode", 1 if reads else 2)
        + field("tOpenMode", 384) + field("iCurrOffs", offset) + field("inode", 0)
        + field("strtOffs", offset if reads else 0) + field("bPrevWasNL", 0) + ">End\\n.\\n"
    )


def mend(folder):
    """Write down where the queue begins and ends, from what is in it."""
    numbers = sorted(
        int(path.rpartition(".")[2]) for path in glob.glob(os.path.join(glob.escape(folder), "queue.[0-9]*"))
    )
    index = os.path.join(folder, "queue.qi")
    if not numbers:
        if os.path.exists(index):
            os.unlink(index)
        return
    path = lambda number: os.path.join(folder, "queue.%08d" % number)
    # What a file before a gap holds would never be reached from one after it.
    gaps = [place for place in range(1, len(numbers)) if numbers[place] != numbers[place - 1] + 1]
    for place in gaps:
        os.rename(path(numbers[place]), path(numbers[place - 1] + 1))
        numbers[place] = numbers[place - 1] + 1
    ends = {{number: records(path(number)) for number in numbers}}
    torn = {{}}
    for number in numbers:
        whole = ends[number][-1] if ends[number] else 0
        with open(path(number), "rb") as handle:
            handle.seek(whole)
            rest = handle.read()
        if END in rest:
            # Written by a version that this script does not know: better some twice than none.
            print("the form of %s is not known; the queue is left as it is" % path(number))
            return
        if rest:
            torn[number] = whole
    for number, whole in torn.items():
        os.truncate(path(number), whole)
    first, last = numbers[0], numbers[-1]
    begin = 0
    if os.path.exists(index):
        with open(index, encoding="latin-1") as handle:
            noted = re.findall(r"\\+iCurrFNum:2:\\d+:(\\d+):.*?\\+iCurrOffs:2:\\d+:(\\d+):", handle.read(), re.DOTALL)
        # What was taken out before this was written down; what was taken out after it is sent again.
        if len(noted) == 2 and int(noted[1][0]) == first and int(noted[1][1]) in ends[first]:
            begin = int(noted[1][1])
    count = sum(len(found) for found in ends.values()) - (ends[first].index(begin) + 1 if begin else 0)
    # rsyslog takes off the size of a file once it is through with all of it.
    size = sum(os.path.getsize(path(number)) for number in numbers)
    text = (
        "<OPB:1:qqueue:1:\\n+iQueueSize:2:%d:%d:\\n+tVars.disk.sizeOnDisk:2:%d:%d:\\n>End\\n.\\n"
        % (len(str(count)), count, len(str(size)), size)
    )
    end = ends[last][-1] if ends[last] else 0
    with open(index + ".new", "w", encoding="latin-1") as handle:
        handle.write(text + stream(last, end, False) + stream(first, begin, True))
        handle.flush()
        os.fsync(handle.fileno())
    os.rename(index + ".new", index)


def resend():
    """Put the last messages that were sent where they are read again."""
    data = b""
    for path in (SENT + ".1", SENT):
        if os.path.exists(path):
            with open(path, "rb") as handle:
                handle.seek(max(0, os.path.getsize(path) - (RESENT + 2) * LONGEST * 1024))
                data += handle.read()
    lines = [line for line in data.split(b"\\n")[:-1] if line.startswith(b"<")][-RESENT:]
    with open(REPLAY + ".new", "wb") as handle:
        handle.write(b"".join(line + b"\\n" for line in lines))
    os.rename(REPLAY + ".new", REPLAY)
    # They are in the new file; sent once more, they are written here again.
    for path in (SENT, SENT + ".1"):
        if os.path.exists(path):
            os.unlink(path)


def cut_short():
    """Return the positions in logs that have since become shorter than that.

    rsyslog sees that only of a log of which it has read something since it was started.
    """
    found = []
    for state in glob.glob(os.path.join(glob.escape(STATE), "imfile-state:*")):
        try:
            with open(state, encoding="utf-8") as handle:
                noted = json.load(handle)
            info = os.stat(noted["filename"])
            if str(info.st_ino) == os.path.basename(state).split(":")[1] and info.st_size < noted["curr_offs"]:
                found.append(state)
        except (OSError, ValueError, LookupError, TypeError):
            continue
    return found


if sys.argv[1:] == ["look"]:
    sys.exit(0 if cut_short() else 1)
os.umask(0o077)
mend(STATE)
resend()
for state in cut_short():
    os.unlink(state)
'''


def render_recover() -> str:
    """Return the script that is run before every start."""
    return HEADER + _RECOVER.format(state=STATE, sent=SENT, replay=REPLAY, resent=RESENT, longest=LONGEST)


# ---- what the shipper says of itself -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Stats:
    """What the shipper has counted.

    Attributes:
        dropped: entries dropped because the queue was full, as far back as statistics are kept.
        waiting: entries in the queue, of each sample of the last minutes, oldest first.
        suspended: names of the collectors that did not answer in the newest sample.

    """

    dropped: int = 0
    waiting: tuple[int, ...] = ()
    suspended: tuple[str, ...] = ()


def read_stats(lines: Sequence[str]) -> Stats:
    """Return what the statistics tell; lines that are none are passed over."""
    dropped, waiting = 0, []
    suspended: dict[str, bool] = {}
    for line in lines:
        try:
            entry: Any = json.loads(line[line.index("{") :])
        except (ValueError, RecursionError):
            continue
        if not isinstance(entry, dict):
            continue
        if entry.get("name") == "ship" and entry.get("origin") == "core.queue":
            dropped += _count(entry, "discarded.full") + _count(entry, "discarded.nf")
            waiting.append(_count(entry, "size"))
        elif str(entry.get("name", "")).startswith("collector"):
            # The time it has been out of reach is told once it is back; as long as it is not, nothing is.
            suspended[str(entry["name"])] = _count(entry, "suspended") > _count(entry, "resumed")
    return Stats(dropped, tuple(waiting[-30:]), tuple(name for name, gone in suspended.items() if gone))


def _count(entry: Mapping[str, Any], key: str) -> int:
    value = entry.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else 0


def is_growing(stats: Stats, threshold: int = 1000) -> bool:
    """Whether more and more waits: every third of the last minutes more than the one before."""
    size = len(stats.waiting) // 3
    if size < 2 or stats.waiting[-1] < threshold:
        return False
    thirds = [min(stats.waiting[-(place + 1) * size : len(stats.waiting) - place * size]) for place in (2, 1, 0)]
    return thirds[0] < thirds[1] < thirds[2]


def state_path(name: str) -> str:
    """Return where something of the shipper's state lies."""
    return os.path.join(STATE, name)
