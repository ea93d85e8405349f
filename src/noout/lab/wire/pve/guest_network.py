"""What is within a guest: its interfaces and addresses, by its agent or, of a container, by looking inside."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Any

from noout.lab.wire.pve.call import Call, Methods, PveError
from noout.lab.wire.pve.guests import mac_of
from noout.lab.wire.pve.rows import digest
from noout.lab.world.model import Guest, GuestLink

methods = Methods()
_COMMAND = "guest-network-get-interfaces"
_AGENT = "/vms/{vmid} VM.GuestAgent.Audit|VM.GuestAgent.Unrestricted"


@methods.serve("GET", "/nodes/{node}/qemu/{vmid}/agent/network-get-interfaces", perm=_AGENT)
def by_agent(call: Call) -> Any:
    """Proxmox VE pings the agent first. What the agent itself refuses comes with a status of 200."""
    guest = call.guest("qemu")
    if not guest.has_process:
        raise PveError(f"VM {guest.vmid} is not running")
    if not guest.agent or guest.status != "running" or guest.agent_trouble == "silent":
        raise PveError("QEMU guest agent is not running")
    if guest.agent_trouble == "timeout":
        raise PveError(f"VM {guest.vmid} qmp command '{_COMMAND}' failed - got timeout")
    if guest.agent_trouble == "disabled":
        said = f"Command {_COMMAND} has been disabled: the command is not allowed"
        return {"result": {"error": {"class": "CommandNotFound", "desc": said}}}
    return {"result": [_agents_row(guest, name, mac, addresses) for name, mac, addresses in _links(guest, "ens18")]}


@methods.serve("GET", "/nodes/{node}/lxc/{vmid}/interfaces", perm="/vms/{vmid} VM.Audit")
def by_node(call: Call) -> Any:
    """As ``ip`` shows them in the container's namespace; null without one."""
    guest = call.guest("lxc")
    if not guest.has_process:
        return None
    return [_nodes_row(name, mac, addresses) for name, mac, addresses in _links(guest, "eth0")]


def _links(guest: Guest, first: str) -> Iterator[tuple[str, str, list[str]]]:
    """(name, hardware address, addresses with their prefix length)"""
    yield "lo", "00:00:00:00:00:00", ["127.0.0.1/8", "::1/128"]
    own = [f"{guest.ip}/24"] if guest.ip else []
    card = [GuestLink(first, [*own, "fe80::be24:11ff:fe00:1/64"], card=0)] if guest.bridges else []
    for link in [*card, *guest.links]:
        raw = digest("link", guest.vmid, link.name)
        other = f"02:42:{raw[0:2]}:{raw[2:4]}:{raw[4:6]}:{raw[6:8]}"
        yield link.name, other if link.card is None else mac_of(guest, link.card).lower(), link.addresses


def _agents_row(guest: Guest, name: str, mac: str, addresses: list[str]) -> dict[str, Any]:
    counts = dict.fromkeys(("bytes", "packets", "errs", "dropped"), 0)
    statistics = {f"{way}-{what}": count for way in ("rx", "tx") for what, count in counts.items()}
    row: dict[str, Any] = {"name": name, "hardware-address": mac, "statistics": statistics}
    if addresses:  # of an interface without any the agent leaves the list out
        row["ip-addresses"] = [_address(each, ("ipv4", "ipv6")) for each in addresses]
    return row


def _nodes_row(name: str, mac: str, addresses: list[str]) -> dict[str, Any]:
    """Of several addresses of a family ``inet`` and ``inet6`` hold the last."""
    row: dict[str, Any] = {"name": name, "hwaddr": mac, "hardware-address": mac}
    row["ip-addresses"] = [_address(each, ("inet", "inet6")) for each in addresses]
    return row | {"inet" if _version(each) == 4 else "inet6": each for each in addresses}


def _address(text: str, kinds: tuple[str, str]) -> dict[str, Any]:
    address, _, prefix = text.partition("/")
    return {"ip-address": address, "ip-address-type": kinds[_version(text) == 6], "prefix": int(prefix)}


def _version(text: str) -> int:
    return ipaddress.ip_interface(text).version
