"""The noout.toml that the lab writes: everything a client needs, secrets included, for its owner's eyes only."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from noout.lab.world.model import Cluster, Token

LANGUAGES = {"B.V.": "nl", "S.L.": "es"}  # by the company's form; others read English
CUSTOMER_TAG = "customer-"

Table = dict[str, Any]


@dataclass(frozen=True)
class Address:
    """Where one node answers."""

    pve: int
    bmc: int
    ssh: int
    pve_fingerprint: str
    bmc_fingerprint: str
    bmc_user: str
    bmc_password: str
    ssh_host_key: str  # "ssh-ed25519 AAAA..."


def orchestrator(cluster: Cluster) -> Token:
    """The token that noout gets: the least that its role needs, if the world has one; else any token."""
    tokens = [token for token in cluster.tokens if token.name is not None]
    return next((t for t in tokens if t.userid.startswith("noout@") and t.name == "lab"), tokens[0])


def cluster_table(cluster: Cluster, addresses: Mapping[str, Address], key_file: str, known_hosts: str) -> Table:
    token = orchestrator(cluster)
    ceph: Table = {"enabled": cluster.ceph is not None}
    return {
        "entrypoints": [f"https://127.0.0.1:{address.pve}" for address in addresses.values()],
        "token": f"{token.userid}!{token.name}={token.secret}",
        "fingerprints": {f"127.0.0.1:{a.pve}": a.pve_fingerprint for a in addresses.values()},
        "ceph": ceph,
        "shell": {
            "user": "root",
            "key_file": key_file,
            "known_hosts_file": known_hosts,
            "ports": {name: address.ssh for name, address in addresses.items()},
            "hosts": dict.fromkeys(addresses, "127.0.0.1"),
        },
        "bmc": {
            name: {
                "url": f"https://127.0.0.1:{a.bmc}",
                "user": a.bmc_user,
                "password": a.bmc_password,
                "fingerprint": a.bmc_fingerprint,
            }
            for name, a in addresses.items()
        },
        "nodes": {
            name: {
                "room": f"{cluster.name.upper()} hall 2",
                "rack": f"B{7 + i // 4}",
                "unit": f"U{11 + 4 * (i % 4)}",
                "serial": cluster.bmcs[name].serial,
            }
            for i, name in enumerate(addresses)
        },
    }


def customers(clusters: Mapping[str, Cluster]) -> dict[str, Table]:
    """Every pool is a customer, and so is every tag that says so."""
    pools: dict[str, str] = {}
    tags: set[str] = set()
    for cluster in clusters.values():
        pools |= cluster.pools
        tags |= {tag for guest in cluster.guests.values() for tag in guest.tags if tag.startswith(CUSTOMER_TAG)}
    found: dict[str, Table] = {pool: {"name": comment or pool, "pools": [pool]} for pool, comment in pools.items()}
    for tag in sorted(tags):
        short = tag.removeprefix(CUSTOMER_TAG)
        found.setdefault(short, {"name": short.capitalize()}).setdefault("tags", []).append(tag)
    for customer in found.values():
        customer["language"] = LANGUAGES.get(str(customer["name"]).rsplit(" ", 1)[-1], "en")
    return found


def services(clusters: Mapping[str, Cluster]) -> dict[str, str]:
    """What is probed of every guest: ``{"ams1/101": "tcp:443"}``."""
    return {
        f"{cluster.name}/{vmid}": guest.service
        for cluster in clusters.values()
        for vmid, guest in cluster.guests.items()
        if not guest.template
    }


# --- writing ------------------------------------------------------------------------------------------------


def toml(table: Mapping[str, Any], path: tuple[str, ...] = ()) -> str:
    """TOML of nested dicts with text, numbers, booleans and lists of texts."""
    plain = {key: value for key, value in table.items() if not isinstance(value, dict)}
    nested = {key: value for key, value in table.items() if isinstance(value, dict)}
    lines = [f"{_key(key)} = {json.dumps(value, ensure_ascii=False)}" for key, value in plain.items()]
    if path and (lines or not nested):
        lines = [f"\n[{'.'.join(_key(part) for part in path)}]", *lines]
    text = "".join(f"{line}\n" for line in lines)
    return text + "".join(toml(value, (*path, key)) for key, value in nested.items())


def _key(key: str) -> str:
    bare = key and key.isascii() and all(c.isalnum() or c in "-_" for c in key)
    return key if bare else json.dumps(key, ensure_ascii=False)


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, from its first byte on and over any older one."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(fresh, path)
