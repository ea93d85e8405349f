"""What a node says of itself from inside: Proxmox VE's API, and by its shell the kernel's own links and test packets.

``Sys.Audit`` is enough. The API has the links as they are configured; whether one has a carrier, its MTU in force and
what a bond really uses are known to the kernel only (``ip``). What cannot be read is empty and named in ``unread``.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

from noout.adapters.pve import parse
from noout.adapters.pve.client import PveClient
from noout.adapters.pve.survey import ROUNDING_S, alike, kernels
from noout.domain.cluster import NodeId
from noout.domain.errors import NooutError, Untrusted
from noout.domain.inventory import InstalledDisk, Link, NodeInventory, Passage
from noout.domain.survey import Unread
from noout.ports import Shell

AT_ONCE = 8  # questions or test packets in flight
TRIES = 2  # of one test packet: a single one may be lost on the way
HEADERS = {4: 28, 6: 48}  # bytes of IP and ICMP around what `ping -s` counts
SMALLEST_MTU = 1500  # tried when nothing larger passes
IP = ("ip", "-json", "-details", "address", "show")
KINDS = {"": "eth", "bond": "bond", "bridge": "bridge", "vlan": "vlan", "openvswitch": "bridge"}
GUESTS_OWN = re.compile(r"(?:tap|veth)\d+i\d+|fw(?:br|ln|pr)\d+\w*")

Addresses = Mapping[str, Mapping[str, str]]  # node name -> address -> what for


class PveInspector:
    """Asks one cluster. ``ceph``: node name -> its OSDs' addresses, where there is a Ceph to ask."""

    def __init__(
        self,
        client: PveClient,
        shell: Shell | None = None,
        ceph: Callable[[], Awaitable[Mapping[str, frozenset[str]]]] | None = None,
    ) -> None:
        self._client = client
        self._shell = shell
        self._ceph = ceph
        self._gate = asyncio.Semaphore(AT_ONCE)

    async def inspect(self, node: NodeId, peers: Sequence[NodeId]) -> NodeInventory:
        """``peers``: the other nodes that are online. Raises nothing but Untrusted."""
        unread: list[Unread] = []
        base = f"/nodes/{node.name}"
        status, packages, network, disks, (ahead_s, doubt_s), kernel_links = await asyncio.gather(
            self._ask(unread, f"{base}/status", "its CPU, memory and kernel"),
            self._ask(unread, f"{base}/apt/versions", "its packages"),
            self._ask(unread, f"{base}/network", "its network configuration"),
            self._ask(unread, f"{base}/disks/list", "its disks"),
            self._clock(unread, node),
            self._kernel_links(unread, node),
        )
        cpu = parse.table(parse.table(status).get("cpuinfo"))
        links = kernel_links if kernel_links is not None else configured_links(parse.rows(network))
        passages = await self._passages(unread, node, peers, links) if self._shell is not None else ()
        return NodeInventory(
            node=node,
            at=self._client.clock.now(),
            links=links,
            links_from=("pve" if kernel_links is None else "ip") if links else "",
            passages=passages,
            kvm=parse.boolean(cpu["hvm"]) if "hvm" in cpu else None,
            cpu_model=str(cpu.get("model") or ""),
            cpu_flags=frozenset(str(cpu.get("flags") or "").split()),
            cpus=parse.whole(cpu.get("cpus")) or None,
            memory_bytes=parse.whole(parse.table(parse.table(status).get("memory")).get("total")) or None,
            kernel=str(parse.table(parse.table(status).get("current-kernel")).get("release") or ""),
            kernel_next=kernels(parse.rows(packages))[1],
            packages=alike(parse.rows(packages)),
            disks=None if disks is None else installed_disks(parse.rows(disks)),
            clock_ahead_s=ahead_s,
            clock_doubt_s=doubt_s,
            unread=tuple(unread),
        )

    async def _ask(self, unread: list[Unread], path: str, what: str) -> Any:
        async with self._gate:
            try:
                return await self._client.get(path)
            except Untrusted:
                raise
            except NooutError as error:
                unread.append(Unread(what, error.message))
                return None

    async def _clock(self, unread: list[Unread], node: NodeId) -> tuple[float | None, float]:
        before = self._client.clock.now()
        told = await self._ask(unread, f"/nodes/{node.name}/time", "its clock")
        took_s = (self._client.clock.now() - before).total_seconds()
        time = parse.whole(parse.table(told).get("time"))
        ahead_s = time + ROUNDING_S - (before.timestamp() + took_s / 2) if time else None
        return ahead_s, ROUNDING_S + took_s / 2

    # --- by the shell ------------------------------------------------------------------------------------------

    async def _run(self, node: NodeId, argv: Sequence[str]) -> tuple[int, str]:
        """(exit code, what it printed, or what it says is wrong)."""
        assert self._shell is not None
        async with self._gate:
            done = await self._shell.run(node, argv, timeout_s=10.0)
        return done.exit, done.stdout if done.exit == 0 else done.stderr.strip()

    async def _kernel_links(self, unread: list[Unread], node: NodeId) -> tuple[Link, ...] | None:
        if self._shell is None:
            return None
        try:
            code, said = await self._run(node, IP)
            if code == 0:
                return kernel_links(parse.rows(json.loads(said)))
            unread.append(Unread("the kernel's network links", said or f"exit code {code}"))
        except Untrusted:
            raise
        except NooutError as error:
            unread.append(Unread("the kernel's network links", error.message))
        except ValueError:
            unread.append(Unread("the kernel's network links", "`ip` did not print JSON"))
        return None

    async def _passages(
        self, unread: list[Unread], node: NodeId, peers: Sequence[NodeId], links: Sequence[Link]
    ) -> tuple[Passage, ...]:
        """There and back between the node and every peer, at each address that the two have for each other."""
        known = await self._addresses(unread, node, peers, links)
        own = known.get(node.name, {})
        mtus = sorted({SMALLEST_MTU, *(link.mtu for link in links if link.mtu and link.addresses)}, reverse=True)
        ways = [(node, peer, address, use) for peer in peers for address, use in known.get(peer.name, {}).items()]
        ways += [(peer, node, address, use) for peer in peers for address, use in own.items()]
        return tuple(await asyncio.gather(*(self._passage(*way, mtus) for way in ways)))

    async def _addresses(
        self, unread: list[Unread], node: NodeId, peers: Sequence[NodeId], links: Sequence[Link]
    ) -> Addresses:
        members, *networks = await asyncio.gather(
            self._ask(unread, "/cluster/config/nodes", "corosync's addresses"),
            *(self._ask(unread, f"/nodes/{peer.name}/network", f"{peer.name}'s addresses") for peer in peers),
        )
        data: Mapping[str, frozenset[str]] = {}
        if self._ceph is not None:
            try:
                data = await self._ceph()
            except Untrusted:
                raise
            except NooutError as error:
                unread.append(Unread("Ceph's addresses", error.message))
        of_peers = {
            peer.name: [address for link in configured_links(parse.rows(told)) for address in link.addresses]
            for peer, told in zip(peers, networks, strict=True)
        }
        return meeting_places(node.name, links, of_peers, corosync_addresses(parse.rows(members)), data)

    async def _passage(self, source: NodeId, target: NodeId, address: str, use: str, mtus: Sequence[int]) -> Passage:
        """The largest of ``mtus`` that passes; 0 for none. Without an answer from the shell nothing is known."""
        head = HEADERS[ipaddress.ip_address(address).version]
        tried = False
        for mtu in mtus:
            argv = ("ping", "-M", "do", "-n", "-q", "-c", "1", "-W", "1", "-s", str(mtu - head), address)
            for _ in range(TRIES):
                try:
                    code, _ = await self._run(source, argv)
                except Untrusted:
                    raise
                except NooutError:
                    continue
                tried = tried or code in (0, 1)  # 1: no answer; anything else: it was not even sent
                if code == 0:
                    return Passage(source.name, target.name, address, use, mtu)
        return Passage(source.name, target.name, address, use, 0 if tried else None)


# --- what the answers mean ------------------------------------------------------------------------------------


def configured_links(rows: Iterable[parse.Row]) -> tuple[Link, ...]:
    """``GET /nodes/N/network``: names, members and MTU as configured; an MTU that is not set is not told."""
    rows = list(rows)
    part_of: dict[str, str] = {}
    for row in rows:
        for port in f"{row.get('slaves') or ''} {row.get('bridge_ports') or ''} {row.get('ovs_ports') or ''}".split():
            part_of[port] = str(row.get("iface") or "")
    kinds = {"eth": "eth", "bond": "bond", "bridge": "bridge", "vlan": "vlan", "OVSBridge": "bridge", "OVSBond": "bond"}
    return tuple(
        Link(
            name=str(row["iface"]),
            kind=kinds[str(row["type"])],
            mtu=parse.whole(row.get("mtu")) or None,
            part_of=part_of.get(str(row["iface"]), ""),
            addresses=tuple(sorted(str(row[key]) for key in ("cidr", "cidr6") if row.get(key))),
        )
        for row in sorted(rows, key=lambda row: str(row.get("iface")))
        if row.get("iface") and row.get("type") in kinds
    )


def kernel_links(rows: Iterable[parse.Row]) -> tuple[Link, ...]:
    """``ip -json -details address show``, without the guests' own devices; the loopback only for its addresses."""
    found = []
    for row in sorted(rows, key=lambda row: str(row.get("ifname"))):
        name, info = str(row.get("ifname") or ""), parse.table(row.get("linkinfo"))
        kind = KINDS.get(str(info.get("info_kind") or ""))
        addresses = _global(row)
        loopback = row.get("link_type") == "loopback"
        if not name or kind is None or GUESTS_OWN.fullmatch(name) or (loopback and not addresses):
            continue
        slave = parse.table(info.get("info_slave_data")) if info.get("info_slave_kind") == "bond" else {}
        carrier = "LOWER_UP" in (row.get("flags") or ())
        found.append(
            Link(
                name=name,
                kind="loopback" if loopback else kind,
                mtu=parse.whole(row.get("mtu")) or None,
                mac=str(slave.get("perm_hwaddr") or row.get("permaddr") or row.get("address") or ""),
                part_of=str(row.get("master") or ""),
                up=carrier and str(slave.get("mii_status", "UP")).upper() == "UP",
                addresses=addresses,
            )
        )
    return tuple(found)


def _global(row: parse.Row) -> tuple[str, ...]:
    told = [each for each in parse.rows(row.get("addr_info")) if each.get("scope") == "global"]
    lasting = [each for each in told if not each.get("temporary") and not each.get("dynamic")]
    return tuple(sorted(f"{each.get('local')}/{each.get('prefixlen')}" for each in lasting))


def installed_disks(rows: Iterable[parse.Row]) -> tuple[InstalledDisk, ...]:
    found = []
    for row in rows:
        path, size = str(row.get("devpath") or ""), parse.whole(row.get("size"))
        names = (str(row.get(key) or "").strip() for key in ("serial", "wwn"))
        known = next((name for name in names if name and name != "unknown"), f"{path} of {size} bytes")
        found.append(InstalledDisk(known, path, str(row.get("model") or ""), size))
    return tuple(sorted(found, key=lambda disk: disk.id))


def corosync_addresses(rows: Iterable[parse.Row]) -> dict[str, frozenset[str]]:
    """Node name -> the addresses of its corosync links; names that would have to be looked up are left out."""
    return {
        str(row.get("name") or row.get("node")): frozenset(
            str(value) for key, value in row.items() if re.fullmatch(r"ring\d_addr", key) and _address(value)
        )
        for row in rows
    }


def _address(text: Any) -> bool:
    try:
        ipaddress.ip_address(str(text))
    except ValueError:
        return False
    return True


def _place(text: str) -> ipaddress.IPv4Interface | ipaddress.IPv6Interface | None:
    """An address with its network; None for what is none ("auto", a typing error in the configuration)."""
    try:
        return ipaddress.ip_interface(text)
    except ValueError:
        return None


def meeting_places(
    node: str,
    links: Iterable[Link],
    of_peers: Mapping[str, Sequence[str]],
    corosync: Mapping[str, frozenset[str]],
    ceph: Mapping[str, frozenset[str]],
) -> dict[str, dict[str, str]]:
    """Node -> address -> what for: every network in which the node and a peer both have an address, and whatever
    corosync and Ceph use."""
    own = [(place, link.name) for link in links for text in link.addresses if (place := _place(text)) is not None]
    found: dict[str, dict[str, str]] = {}
    for peer, texts in of_peers.items():
        for text in texts:
            theirs = _place(text)
            name = next((name for mine, name in own if theirs is not None and mine.network == theirs.network), "")
            if name and theirs is not None:
                found.setdefault(peer, {})[str(theirs.ip)] = name
    met = {name for places in found.values() for name in places.values()}
    found[node] = {str(mine.ip): name for mine, name in own if name in met}
    for known, use in ((ceph, "Ceph"), (corosync, "corosync")):
        for name in (node, *of_peers):
            found.setdefault(name, {}).update(dict.fromkeys(sorted(known.get(name, ())), use))
    return found
