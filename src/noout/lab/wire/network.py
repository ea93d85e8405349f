"""A node's own network commands: its links as the kernel has them, and one packet to a neighbour."""

from __future__ import annotations

import json
from typing import Any

from noout.lab.wire.outcome import Outcome
from noout.lab.wire.pve.rows import digest
from noout.lab.world.after import CONFIGURED_PORTS
from noout.lab.world.laws import Laws
from noout.lab.world.model import Cluster, Node

LINK_MTU = 1500


def ip(laws: Laws, cluster: Cluster, node: str, args: list[str]) -> Outcome:
    """``ip -json -details address show``, in iproute2's shape: ports, bond, bridges, and what its guests bring."""
    if args != ["-json", "-details", "address", "show"]:
        return Outcome(255, "", f'Object "{" ".join(args)}" is unknown, try "ip help".\n')
    record = cluster.nodes[node]
    rows = [_row("lo", "loopback", 65536, ["LOOPBACK", "UP", "LOWER_UP"], "00:00:00:00:00:00", [("127.0.0.1", 8)])]
    rows += [_port(record, i, name) for i, name in enumerate(record.ports)]
    held = [name for name in record.ports if name in CONFIGURED_PORTS and name not in record.ports_down]
    rows.append(_device("bond0", "bond", _mac(record, 0), up=bool(held), master=record.bridges[0]))
    for i, bridge in enumerate(record.bridges):
        addresses = [(record.ip, 24)] if i == 0 else []
        rows.append(_device(bridge, "bridge", _mac(record, 0), up=bool(held), addresses=addresses))
    for guest in cluster.guests.values():
        if guest.node == node and guest.has_process:
            tap = f"{'tap' if guest.type == 'qemu' else 'veth'}{guest.vmid}i0"
            rows.append(_device(tap, "tun", f"fe:00:00:00:{guest.vmid // 256:02x}:{guest.vmid % 256:02x}"))
    return Outcome(0, json.dumps([{"ifindex": i, **row} for i, row in enumerate(rows, start=1)]) + "\n")


def _mac(node: Node, slot: int) -> str:
    return ":".join(["b4", "96", "91", *(digest("nic", node.name)[i : i + 2] for i in (0, 2)), f"{slot:02x}"])


def _row(
    name: str, kind: str, mtu: int, flags: list[str], mac: str, addresses: list[tuple[str, int]]
) -> dict[str, Any]:
    told = [
        {"family": "inet", "local": address, "prefixlen": bits, "scope": "host" if name == "lo" else "global",
         "label": name, "valid_life_time": 4294967295, "preferred_life_time": 4294967295}
        for address, bits in addresses
    ]  # fmt: skip
    state = "UNKNOWN" if name == "lo" else "UP" if "LOWER_UP" in flags else "DOWN"
    return {
        "ifname": name, "flags": flags, "mtu": mtu, "qdisc": "noqueue", "operstate": state, "group": "default",
        "txqlen": 1000, "link_type": kind, "address": mac, "addr_info": told,
    }  # fmt: skip


def _device(
    name: str, kind: str, mac: str, *, up: bool = True, master: str = "", addresses: list[tuple[str, int]] | None = None
) -> dict[str, Any]:
    flags = ["BROADCAST", "MULTICAST", "UP", "LOWER_UP"] if up else ["NO-CARRIER", "BROADCAST", "MULTICAST", "UP"]
    row = _row(name, "ether", LINK_MTU, flags, mac, addresses or [])
    return {**row, "linkinfo": {"info_kind": kind}, **({"master": master} if master else {})}


def _port(node: Node, slot: int, name: str) -> dict[str, Any]:
    """A port in the bond shows the bond's address; its own is in what the bond tells of it."""
    if name not in CONFIGURED_PORTS:
        return _row(name, "ether", LINK_MTU, ["BROADCAST", "MULTICAST"], _mac(node, slot), [])
    up = name not in node.ports_down
    flags = ["BROADCAST", "MULTICAST", "SLAVE", "UP", *(["LOWER_UP"] if up else ["NO-CARRIER"])]
    told = {
        "state": "ACTIVE", "mii_status": "UP" if up else "DOWN", "link_failure_count": 0,
        "perm_hwaddr": _mac(node, slot), "queue_id": 0,
    }  # fmt: skip
    info = {"info_slave_kind": "bond", "info_slave_data": told}
    return {**_row(name, "ether", LINK_MTU, flags, _mac(node, 0), []), "master": "bond0", "linkinfo": info}


def ping(laws: Laws, cluster: Cluster, node: str, args: list[str]) -> Outcome:
    """``ping [-c N] [-M do] [-s SIZE] HOST``: answered by nodes that are on, as far as both switch ports let it."""
    values = {"-c": "1", "-s": "56", "-M": "want", "-W": "1", "-w": "10", "-i": "1"}
    hosts, rest = [], list(args)
    while rest:
        word = rest.pop(0)
        if word in values and rest:
            values[word] = rest.pop(0)
        elif not word.startswith("-"):
            hosts.append(word)
    if len(hosts) != 1 or not values["-s"].isdigit() or not values["-c"].isdigit():
        return Outcome(2, "", "ping: usage error: Destination address required\n")
    size, count = int(values["-s"]), int(values["-c"])
    peer = next((n for n in cluster.nodes.values() if hosts[0] in (n.name, n.ip)), None)
    if peer is None:
        return Outcome(2, "", f"ping: {hosts[0]}: Name or service not known\n")
    whole = values["-M"] == "do"
    too_long = whole and size + 28 > 9000
    lost = whole and size + 28 > min(cluster.nodes[node].path_mtu, peer.path_mtu)
    got = 0 if too_long or lost or not peer.online else count
    stderr = "ping: local error: message too long, mtu=9000\n" if too_long else ""
    head = f"PING {hosts[0]} ({peer.ip}) {size}({size + 28}) bytes of data.\n\n--- {hosts[0]} ping statistics ---\n"
    loss = 0 if got else 100
    tail = f"{count} packets transmitted, {got} received, {loss}% packet loss, time 0ms\n"
    return Outcome(0 if got else 1, head + tail, stderr)
