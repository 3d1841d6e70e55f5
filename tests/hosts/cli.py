# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Command line of the test hosts."""

from __future__ import annotations

import argparse
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from .groups import DEFAULT_GROUP, Group, Host
from .images import Images
from .podman import Podman, install_packages
from .progress import HostsError, fail, say


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hosts.py", description="Systemd hosts in containers, reached over SSH. See tests/hosts/README.md."
    )
    parser.add_argument(
        "-g", "--group", default=DEFAULT_GROUP, help=f"group of hosts to work on (default: {DEFAULT_GROUP})"
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    setup = commands.add_parser("setup", help="install missing system packages and build missing images")
    setup.add_argument(
        "images",
        nargs="*",
        metavar="IMAGE[:DISTRIBUTION]",
        help="images to build (default: all; without DISTRIBUTION: of those that tests need)",
    )
    setup.add_argument("--rebuild", action="store_true", help="build the images again, with the newest packages")

    up = commands.add_parser("up", help="start hosts and write their inventory")
    up.add_argument("hosts", nargs="+", metavar="NAME[=IMAGE[:DISTRIBUTION]]")
    up.add_argument("--fresh", action="store_true", help="start again from the image, also hosts that run")

    down = commands.add_parser("down", help="remove hosts (default: the whole group)")
    down.add_argument("hosts", nargs="*", metavar="NAME")
    down.add_argument("--all", action="store_true", help="every group")

    restart = commands.add_parser("restart", help="shut hosts down and start them again, as a reboot does")
    restart.add_argument("hosts", nargs="+", metavar="NAME")

    commands.add_parser("reset", help="start all hosts of the group again from their images")
    commands.add_parser("status", help="list hosts of all groups")

    run = commands.add_parser("exec", help="run a command in a host, without SSH (default: a shell)")
    run.add_argument("host", metavar="NAME")
    run.add_argument("argv", nargs=argparse.REMAINDER, metavar="COMMAND")

    ssh = commands.add_parser("ssh", help="log in to a host, or run a command, over SSH")
    ssh.add_argument("host", metavar="NAME")
    ssh.add_argument("argv", nargs=argparse.REMAINDER, metavar="COMMAND")

    commands.add_parser("destroy", help="remove all hosts and all images")
    return parser


def _command(argv: Sequence[str]) -> list[str]:
    return list(argv[1:] if argv and argv[0] == "--" else argv)


def _setup(podman: Podman, arguments: argparse.Namespace) -> int:
    install_packages(podman.log_dir)
    images = Images(podman)
    wanted: dict[str, list[str]] = {}
    for text in arguments.images or images.recipes:
        image, _colon, distribution = text.partition(":")
        for one in [distribution] if distribution else images.beforehand(image):
            wanted.setdefault(one, []).append(image)
    # Side by side: while one waits for its downloads, the other unpacks.
    with ThreadPoolExecutor(max_workers=len(wanted)) as pool:
        for names in pool.map(lambda one: images.ensure_all(wanted[one], one, arguments.rebuild), wanted):
            for name in names:
                say(f"    test image {name}")
    return 0


def _status(podman: Podman) -> int:
    groups = Group.existing(podman)
    if not groups:
        say("no hosts")
        return 0
    for name in groups:
        group = Group(name, podman)
        say(f"{name}: {group.inventory}")
        for host, state in group.status():
            say(f"  {host.name:<16} {host.address:<16} {host.image}:{host.distribution:<12} {state}")
    return 0


def _down(podman: Podman, arguments: argparse.Namespace) -> int:
    if arguments.all:
        for name in Group.existing(podman):
            Group(name, podman).down()
            say(f"    group {name}: removed")
        podman.remove_strays()
        return 0
    Group(arguments.group, podman).down(arguments.hosts)
    say(f"    {', '.join(arguments.hosts) or 'group ' + arguments.group}: removed")
    return 0


def _dispatch(arguments: argparse.Namespace) -> int:
    podman = Podman()
    if arguments.command == "setup":
        return _setup(podman, arguments)
    if arguments.command == "destroy":
        for name in Group.existing(podman):
            Group(name, podman).down()
        podman.destroy()
        shutil.rmtree(podman.state, ignore_errors=True)
        say("    all hosts and images removed")
        return 0
    if arguments.command == "status":
        return _status(podman)
    if arguments.command == "down":
        return _down(podman, arguments)
    group = Group(arguments.group, podman)
    if arguments.command == "up":
        group.up([Host.parse(text) for text in arguments.hosts], arguments.fresh)
        return 0
    if arguments.command == "restart":
        for name in arguments.hosts:
            group.restart(name)
        return 0
    if arguments.command == "reset":
        hosts = list(group.hosts().values())
        if not hosts:
            raise HostsError(f"Group '{group.name}' has no hosts: start some with 'up'.")
        group.up(hosts, fresh=True)
        return 0
    if arguments.command == "exec":
        return group.exec(arguments.host, _command(arguments.argv) or ["/bin/bash", "-l"], sys.stdin.isatty())
    command = [shlex.join(_command(arguments.argv))] if arguments.argv else []
    argv = group.ssh_argv(arguments.host, *command)
    return subprocess.run(argv, check=False).returncode


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; errors that a person can act on come without a traceback."""
    arguments = _parser().parse_args(argv)
    try:
        return _dispatch(arguments)
    except HostsError as error:
        return fail(str(error))
    except KeyboardInterrupt:
        return fail("interrupted")
