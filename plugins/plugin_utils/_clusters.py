# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes of one cluster: which they are, who judges what they share, and what differs between them.

No host can see these things alone. All functions are pure: they get what was found on the hosts of a run.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.atlassian_dc.hardening.plugins.plugin_utils._permission_trees import hold_reason

Instance = Mapping[str, Any]


def cluster_id(instance: Instance) -> str | None:
    """Return what all nodes of an instance's cluster have in common, None for a standalone instance."""
    cluster = instance.get("cluster")
    found = cluster.get("id") if isinstance(cluster, Mapping) else None
    return str(found) if found else None


def cluster_key(host: str, instance: Instance) -> str:
    """Return what identifies the cluster of an instance; a standalone one is a cluster of its own."""
    cluster = cluster_id(instance)
    return f"cluster {cluster}" if cluster else f"{host} {instance['name']}"


@dataclass(frozen=True)
class Node:
    """A node of a cluster: an instance on a host."""

    host: str
    instance: Instance

    @property
    def name(self) -> str:
        """What it is called in reports."""
        return str(self.instance.get("name"))


def clusters(found: Mapping[str, Iterable[Instance]]) -> dict[str, list[Node]]:
    """Return the nodes of each cluster by its id, in the order of the hosts.

    Args:
        found: the instances of each host; in the order of the inventory.

    """
    nodes: dict[str, list[Node]] = {}
    for host, instances in found.items():
        for instance in instances:
            cluster = cluster_id(instance)
            if cluster:
                nodes.setdefault(cluster, []).append(Node(host, instance))
    return nodes


# -- the shared home ---------------------------------------------------------------------------------------------------
def shared_homes(host: str, batch: Sequence[str], found: Mapping[str, Iterable[Instance]]) -> dict[str, dict[str, str]]:
    """Return what a host has to know about shared homes that its instances have in common with nodes on other hosts.

    By name of the instance: ``judge``, the host that judges it, where that is another one, and ``hold``, why its owner
    may not change now, where a node on another host still needs the old one.

    Args:
        host: the host.
        batch: the hosts that run side by side and are still in the run, in the order of the inventory. Others may have
            written there since an earlier batch looked, so each batch looks itself.
        found: the instances of each host of the run that was looked at.

    """
    result: dict[str, dict[str, str]] = {}
    nodes = clusters(found)
    for instance in found.get(host, ()):
        path, number = instance.get("shared_home_dir"), instance.get("shared_home_id")
        same = [
            node for node in nodes.get(cluster_id(instance) or "", ()) if node.instance.get("shared_home_dir") == path
        ]
        if not path or all(node.host == host for node in same):
            continue
        about = {}
        # Where it is not mounted, a folder of the host's own is in its place.
        common = {node.host for node in same if number is not None and node.instance.get("shared_home_id") == number}
        judge = next((name for name in batch if name in common), host)
        if judge != host:
            about["judge"] = judge
        held = [f"{node.host}: {why}" for node in same if node.host != host and (why := hold_reason(node.instance))]
        if held:
            about["hold"] = "; ".join(held)
        result[str(instance["name"])] = about
    return {name: about for name, about in result.items() if about}


# -- what differs between nodes ----------------------------------------------------------------------------------------
SAME_NUMBERS = "DC-USR-05"
"""The control that service accounts of nodes belong to: files on the shared home are known by number."""

ACCOUNT_FACTS = (("name", "name"), ("uid", "UID"), ("group", "name of the group"), ("gid", "GID"))


@dataclass(frozen=True)
class Comparison:
    """What comparing the account of a node with that of others gave."""

    differing: tuple[Mapping[str, str], ...] = ()
    """Evidence."""
    unknown: tuple[str, ...] = ()
    """What could not be compared, in words."""


def _account_of(node: Node, accounts: Mapping[str, Sequence[Mapping[str, Any]]]) -> Mapping[str, Any] | None:
    """Return the service account of a node as it was found on the host, None when it was not looked at."""
    known = accounts.get(node.host, ())
    return next((item for item in known if item.get("name") == node.instance.get("service_account")), None)


def compare_accounts(
    node: Node, others: Iterable[Node], accounts: Mapping[str, Sequence[Mapping[str, Any]]]
) -> Comparison:
    """Compare the service account of a node with those of the other nodes in the run.

    Args:
        node: the node.
        others: the other nodes of its cluster.
        accounts: service accounts by host, each a mapping with ``name``, ``uid``, ``group`` and ``gid``, which are None
            where there is no such account.

    """
    differing: list[Mapping[str, str]] = []
    unknown: list[str] = []
    mine = _account_of(node, accounts)
    if mine is None:
        unknown.append(f"the service account on {node.host} is not known")
    elif mine.get("uid") is None:
        unknown.append(f"account {mine.get('name')} does not exist on {node.host}")
    for other in others:
        theirs = _account_of(other, accounts)
        if theirs is None:
            unknown.append(f"the service account on {other.host} was not looked at")
        elif theirs.get("uid") is None:
            unknown.append(f"account {theirs.get('name')} does not exist on {other.host}")
        if not mine or not theirs:
            continue
        for key, words in ACCOUNT_FACTS:
            ours, its = mine.get(key), theirs.get(key)
            if ours != its and None not in (ours, its):
                differing.append(
                    {
                        "what": f"{words} of the service account on {node.host} and {other.host}",
                        "expected": "the same on all nodes of the cluster",
                        "actual": f"{node.host}: {ours}, {other.host}: {its}",
                    }
                )
    return Comparison(tuple(differing), tuple(dict.fromkeys(unknown)))


def differences(nodes: Sequence[Node], matters: Mapping[str, Sequence[str]]) -> list[str]:
    """Return in words what else differs between the nodes of a cluster and should not.

    Args:
        nodes: the nodes of one cluster.
        matters: by product, regular expressions of the arguments of its JVM that weaken or harden it.

    """
    told: list[str] = []

    def compare(what: str, values: Mapping[str, str | None]) -> None:
        known = {label: value for label, value in values.items() if value is not None}
        if len(set(known.values())) > 1:
            told.append(f"{what}: {', '.join(f'{label} {value}' for label, value in known.items())}")

    hosts = [node.host for node in nodes]
    labels = [node.host if hosts.count(node.host) == 1 else f"{node.host}/{node.name}" for node in nodes]

    def fact(name: str) -> dict[str, str | None]:
        values = (node.instance.get(name) for node in nodes)
        return {label: str(value) if value else None for label, value in zip(labels, values, strict=True)}

    compare("version", fact("version"))
    places = fact("shared_home_dir")
    compare("place of the shared home", places)
    folders = {str(node.instance.get("shared_home_id")) for node in nodes}
    if len(set(places.values())) == 1 and None not in places.values() and len(folders) > 1:
        told.append(
            f"the folder at {places[labels[0]]}: it is not the same on {', '.join(labels)}; is it mounted on all?"
        )
    arguments: dict[str, set[str]] = {}
    for label, node in zip(labels, nodes, strict=True):
        patterns = [re.compile(pattern) for pattern in matters.get(str(node.instance.get("product")), ())]
        given = [str(argument) for argument in node.instance.get("jvm_arguments") or ()]
        if given:
            arguments[label] = {item for item in given if any(pattern.fullmatch(item) for pattern in patterns)}
    for argument in sorted({argument for found in arguments.values() for argument in found}):
        compare(
            f"argument {argument} of the JVM",
            {label: "has it" if argument in found else "does not" for label, found in arguments.items()},
        )
    return told


# -- who may be a node -------------------------------------------------------------------------------------------------
def may_be_node(names: Iterable[str], peers: Sequence[str] | None, known: Iterable[str]) -> bool:
    """Whether a host may be a node, of which nothing is known but its names.

    Without declared peers any host may be. So it may where a declared peer is none of the hosts by its name: it may be
    another name of this one.

    Args:
        names: name and address of the host in the inventory.
        peers: ``atlassian_dc_cluster_peers`` of a node, None when unset.
        known: names and addresses of all hosts of the run.

    """
    return peers is None or bool(set(peers) & set(names)) or not set(peers) <= set(known)
