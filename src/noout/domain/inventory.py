"""What a node says of itself from inside: taken before it goes down, and again when it is back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from noout.domain.cluster import NodeId
from noout.domain.survey import Unread


@dataclass(frozen=True, slots=True)
class Link:
    """A network interface. ``kind`` "eth" (a physical port) | "bond" | "bridge" | "vlan". ``part_of``: the bond or
    bridge it works in, "" for none. ``up``: whether it has a carrier and its bond uses it; None = nobody said."""

    name: str
    kind: str
    mtu: int | None = None
    mac: str = ""  # of the hardware, also while a bond lends it another
    part_of: str = ""
    up: bool | None = None
    addresses: tuple[str, ...] = ()  # with their prefix length, sorted: "10.0.0.3/24"


@dataclass(frozen=True, slots=True)
class InstalledDisk:
    """``id``: serial number or WWN; path and size where it has neither."""

    id: str
    path: str
    model: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Passage:
    """How large a packet passed from ``source`` to ``target`` at ``address`` without being cut up (DF set).

    ``packet_bytes``: with its IP header, so the MTU of the way; 0 = none passed; None = it could not be tried."""

    source: str
    target: str
    address: str
    use: str  # "corosync", "Ceph", or the interface of the node that lies in the same network
    packet_bytes: int | None


@dataclass(frozen=True, slots=True)
class NodeInventory:
    """None and empty = it was not said. ``links_from`` "ip" (what the kernel has) | "pve" (what is configured) | "".

    ``clock_ahead_s``: the node's time less noout's, with ``clock_doubt_s`` of doubt. ``kernel_next``: the newest
    that is installed, which the next boot takes.
    """

    node: NodeId
    at: datetime
    links: tuple[Link, ...] = ()
    links_from: str = ""
    passages: tuple[Passage, ...] = ()
    kvm: bool | None = None  # the CPU's virtualisation is there and not switched off
    cpu_model: str = ""
    cpu_flags: frozenset[str] = frozenset()
    cpus: int | None = None  # logical
    memory_bytes: int | None = None
    kernel: str = ""
    kernel_next: str = ""
    packages: Mapping[str, str] = field(default_factory=dict)  # pve-qemu-kvm and its like -> installed version
    disks: tuple[InstalledDisk, ...] | None = None
    clock_ahead_s: float | None = None
    clock_doubt_s: float = 0.0
    unread: tuple[Unread, ...] = ()
