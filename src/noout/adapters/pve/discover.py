"""What `noout init` reads of a cluster to write its configuration. Reading only; the rights to look are enough."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from noout.adapters.pve import parse
from noout.adapters.pve.client import PveClient
from noout.domain.errors import NooutError, Untrusted


@dataclass(frozen=True, slots=True)
class FoundNode:
    """``fingerprint`` of its API's certificate, as the cluster itself knows it; ``crush_host`` "" = it has no OSD."""

    name: str
    ip: str
    fingerprint: str = ""
    crush_host: str = ""


@dataclass(frozen=True, slots=True)
class FoundCluster:
    """``pools``: id -> comment, of those with guests; ``tags`` of all guests."""

    name: str
    nodes: tuple[FoundNode, ...]
    guests: int = 0
    pools: Mapping[str, str] = field(default_factory=dict)
    tags: frozenset[str] = frozenset()
    has_ceph: bool = False


async def discover(client: PveClient) -> FoundCluster:
    """Raises what the client raises when the cluster itself cannot be read; Ceph may be missing."""
    status, listed, resources, pools = await asyncio.gather(
        client.get("/cluster/status"), client.get("/nodes"), client.get("/cluster/resources"), client.get("/pools")
    )
    name = next((str(row.get("name")) for row in parse.rows(status) if row.get("type") == "cluster"), "")
    prints = {str(row.get("node")): str(row.get("ssl_fingerprint") or "") for row in parse.rows(listed)}
    members = [row for row in parse.rows(status) if row.get("type") == "node"]
    asked = next((str(row.get("name")) for row in members if parse.boolean(row.get("online"))), "")
    machines, has_ceph = await _ceph(client, asked)
    guests = parse.resource_guests(resources)
    used = set(parse.pools(resources).values())
    return FoundCluster(
        name=name,
        nodes=tuple(
            FoundNode(each, str(row.get("ip") or ""), prints.get(each, ""), machines.get(each, ""))
            for row in sorted(members, key=lambda row: parse.whole(row.get("nodeid")))
            if (each := str(row.get("name") or ""))
        ),
        guests=len(guests),
        pools={
            str(row["poolid"]): str(row.get("comment") or "")
            for row in parse.rows(pools)
            if str(row.get("poolid")) in used
        },
        tags=frozenset(tag for row in guests.values() for tag in parse.words(row.get("tags"))),
        has_ceph=has_ceph,
    )


async def _ceph(client: PveClient, node: str) -> tuple[dict[str, str], bool]:
    """Machine -> the CRUSH host of its OSDs, and whether there is a Ceph at all."""
    try:
        tree, metadata = await asyncio.gather(
            client.get(f"/nodes/{node}/ceph/osd"), client.get("/cluster/ceph/metadata")
        )
    except Untrusted:
        raise
    except NooutError:
        return {}, False
    hosts = dict(crush_hosts(parse.table(parse.table(tree).get("root"))))
    found = {}
    for row in parse.rows(parse.table(metadata).get("osd")):
        number = parse.whole(row.get("id"), -1)
        if number in hosts and row.get("hostname"):
            found[str(row["hostname"]).split(".")[0]] = hosts[number]
    return found, True


def crush_hosts(bucket: Mapping[str, Any], host: str = "") -> Iterator[tuple[int, str]]:
    """(OSD, CRUSH host) of a tree as Proxmox VE shows it."""
    if bucket.get("type") == "osd":
        yield parse.whole(bucket.get("id"), -1), host
    inside = str(bucket.get("name") or "") if bucket.get("type") == "host" else host
    for child in parse.rows(bucket.get("children")):
        yield from crush_hosts(child, inside)
