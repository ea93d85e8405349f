"""A Proxmox VE cluster as observed: nodes, guests, storages, HA. Sizes in bytes, rates in bytes/s."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


@dataclass(frozen=True, slots=True, order=True)
class NodeId:
    """A node is known by its cluster and its name there; ``str()`` is ``ams1/pve3``."""

    cluster: str
    name: str

    def __hash__(self) -> int:  # asked for millions of times where a large cluster is planned: the name will do
        return hash(self.name)

    def __str__(self) -> str:
        return f"{self.cluster}/{self.name}"

    @classmethod
    def parse(cls, text: str) -> NodeId:
        """``ams1/pve3`` -> NodeId; ValueError when either part is missing."""
        cluster, slash, name = text.partition("/")
        if not (cluster and slash and name):
            raise ValueError(f"not a node id: {text!r}")
        return cls(cluster, name)


@dataclass(frozen=True, slots=True, order=True)
class GuestId:
    """A guest is known by its cluster and vmid, never by its name; ``str()`` is ``ams1/101``."""

    cluster: str
    vmid: int

    def __hash__(self) -> int:
        return self.vmid

    def __str__(self) -> str:
        return f"{self.cluster}/{self.vmid}"

    @classmethod
    def parse(cls, text: str) -> GuestId:
        """``ams1/101`` -> GuestId; ValueError when it is not one."""
        cluster, slash, vmid = text.partition("/")
        if not (cluster and slash and vmid.isdigit()):
            raise ValueError(f"not a guest id: {text!r}")
        return cls(cluster, int(vmid))


class GuestKind(StrEnum):
    QEMU = "qemu"
    LXC = "lxc"


class GuestStatus(StrEnum):
    RUNNING = "running"
    STOPPED = "stopped"
    PAUSED = "paused"
    POSTMIGRATE = "postmigrate"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Disk:
    """One drive or mount point. ``shared`` = every node of the storage reaches the same bytes."""

    key: str  # "scsi0", "rootfs", "ide2"
    volume: str  # "rbd:vm-100-disk-0"
    storage: str
    size_bytes: int
    shared: bool
    cdrom: bool = False
    replicate: bool = True  # taken along by the guest's storage replication, where it has one
    linked: bool = False  # a linked clone: its base image stays with the template

    @property
    def path(self) -> bool:
        """A file, directory or device of the node itself, on no storage."""
        return not self.storage


@dataclass(frozen=True, slots=True)
class Nic:
    """One network card of a guest."""

    key: str  # "net0"
    bridge: str
    tag: int | None = None  # VLAN
    trunks: bool = False  # several VLANs at once
    firewall: bool = False  # behind the PVE firewall


@dataclass(frozen=True, slots=True)
class Replica:
    """A storage replication job of a guest: ``target`` is a node's name."""

    target: str
    removing: bool = False  # marked for removal: PVE refuses to migrate to its target


@dataclass(frozen=True, slots=True)
class MappedDevice:
    """A device given by a cluster-wide mapping. ``lacking``: names of nodes for which the mapping has no device."""

    key: str  # "hostpci0"
    name: str
    live: bool = False  # the mapping says that it can be migrated live
    lacking: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class HaService:
    """What the CRM says of a guest it manages."""

    sid: str  # "vm:100"
    state: str  # started, migrate, relocate, fence, error, stopped ...
    node: str
    target: str | None = None
    requested_state: str = "started"
    failback: bool = True


@dataclass(frozen=True, slots=True)
class Guest:
    id: GuestId
    name: str
    kind: GuestKind
    node: NodeId
    status: GuestStatus
    ram_bytes: int  # what it may use (maxmem)
    cpus: int
    cpu_used: float = 0.0  # in cores
    dirty_bytes_s: int | None = None  # None: not known, the plan states its default
    tags: frozenset[str] = frozenset()
    pool: str | None = None
    template: bool = False
    onboot: bool = False
    lock: str | None = None
    disks: tuple[Disk, ...] = ()
    local_resources: tuple[str, ...] = ()  # "usb0", "hostpci0": bound to this node
    bridges: tuple[str, ...] = ()
    cpu_type: str = ""
    ha: HaService | None = None
    addresses: tuple[str, ...] = ()
    uuid: str = ""  # the SMBIOS UUID that the machine sees from within; "" for a container

    qmp_status: str = ""  # QEMU's own word where there is one: "paused", "io-error", "prelaunch" ...
    nics: tuple[Nic, ...] = ()
    cpu_flags: frozenset[str] = frozenset()  # asked for beyond its CPU type: "aes", "pcid"
    not_live: tuple[str, ...] = ()  # settings with which PVE migrates it only while it is stopped: "amd-sev"
    mapped: tuple[MappedDevice, ...] = ()
    snapshots: tuple[str, ...] = ()
    kept: tuple[Disk, ...] = ()  # local volumes that only its snapshots refer to: saved RAM, old disks, ISOs
    replicas: tuple[Replica, ...] = ()

    @property
    def running(self) -> bool:
        return self.status is GuestStatus.RUNNING

    @property
    def alive(self) -> bool:
        """It has a process: it runs, or a VM is paused, which PVE moves live and leaves paused."""
        return self.running or (self.kind is GuestKind.QEMU and self.status is GuestStatus.PAUSED)

    @property
    def firewalled(self) -> bool:
        return any(nic.firewall for nic in self.nics)

    @property
    def carried(self) -> tuple[Disk, ...]:
        """Every local volume that goes where the guest goes, those of its snapshots included."""
        return (*self.local_disks, *(disk for disk in self.kept if not disk.cdrom))

    def replicated_to(self, node: str) -> bool:
        """Whether that node holds a copy of its replicated disks."""
        return any(each.target == node for each in self.replicas)

    @property
    def local_disks(self) -> tuple[Disk, ...]:
        """Disks (not drives with an ISO) that live on one node only."""
        return tuple(disk for disk in self.disks if not disk.shared and not disk.cdrom)

    @property
    def local_isos(self) -> tuple[Disk, ...]:
        return tuple(disk for disk in self.disks if not disk.shared and disk.cdrom)


@dataclass(frozen=True, slots=True)
class Storage:
    """A storage as one node sees it."""

    name: str
    node: NodeId
    kind: str
    shared: bool
    total_bytes: int
    used_bytes: int
    content: frozenset[str] = frozenset()
    available: bool = True


@dataclass(frozen=True, slots=True)
class Node:
    id: NodeId
    online: bool
    ram_bytes: int
    ram_used_bytes: int
    cpus: int
    cpu_used: float = 0.0  # in cores
    uptime_s: int = 0
    ha_state: str = ""  # online, maintenance, unknown, fence, gone; "" without HA
    ip: str = ""
    pve_version: str = ""
    kernel: str = ""
    cpu_model: str = ""
    bridges: frozenset[str] = frozenset()  # with the SDN networks that work here
    storages: frozenset[str] = frozenset()
    description: str = ""
    vlan_aware: frozenset[str] = frozenset()  # the bridges that pass VLAN tags on
    cpu_flags: frozenset[str] = frozenset()
    cpu_vendor: str = ""


class Affinity(StrEnum):
    NODE = "node-affinity"
    TOGETHER = "resource-affinity-positive"
    APART = "resource-affinity-negative"


@dataclass(frozen=True, slots=True)
class Rule:
    """An HA rule. ``nodes`` maps node name -> priority (node-affinity only)."""

    name: str
    kind: Affinity
    guests: frozenset[GuestId]
    nodes: tuple[tuple[str, int], ...] = ()
    strict: bool = True
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class Task:
    """A task of the cluster. ``ok`` is None while it runs."""

    upid: str
    node: str
    kind: str  # qmigrate, vzmigrate, hamigrate, qmshutdown ...
    subject: str  # the vmid, as text; may be empty
    running: bool
    exit_status: str | None = None

    @property
    def ok(self) -> bool | None:
        """``OK`` and ``WARNINGS: n`` are success; anything else, "unexpected status" included, is not."""
        if self.running or self.exit_status is None:
            return None
        return self.exit_status == "OK" or self.exit_status.startswith("WARNINGS:")


@dataclass(frozen=True, slots=True)
class MigrationProgress:
    """Read from a running migration's task log. ``rate_bytes_s`` is the last minute's own measurement."""

    transferred_bytes: int
    total_bytes: int
    rate_bytes_s: float | None = None
    blackout_ms: int | None = None  # what QEMU calls downtime; only at the end
    target: str = ""  # the node's name; "" before the log says it
    over: bool = False  # the task has ended, well or not


@dataclass(frozen=True, slots=True)
class Votes:
    """Corosync's count: ``left`` of ``total``, of which ``needed`` make a quorum."""

    left: int
    needed: int
    total: int


@dataclass(frozen=True, slots=True)
class ClusterState:
    """One observation of one cluster. ``at`` = when it was finished (Clock time, UTC)."""

    name: str
    at: datetime
    quorate: bool
    version: str
    nodes: tuple[Node, ...]
    guests: tuple[Guest, ...]
    storages: tuple[Storage, ...] = ()
    rules: tuple[Rule, ...] = ()
    ha_armed: bool = True
    ha_requests: tuple[tuple[str, str], ...] = ()  # (node, "maintenance")
    running_tasks: tuple[Task, ...] = ()
    migration_network: str = ""
    migration_type: str = ""  # "secure" (over SSH) or "insecure"; "" where datacenter.cfg says nothing: secure
    corosync_addresses: frozenset[str] = frozenset()  # of every link of every node; empty: not seen
    votes: Mapping[str, int] = field(default_factory=dict)  # by node name; a node that is not in it has one
    qdevice_votes: int = 0  # of a QDevice that is connected
    vnets: tuple[tuple[str, str], ...] = ()  # (SDN network, its zone); a node where it works has it as a bridge
    crs: str = ""  # how HA places and rebalances, as datacenter.cfg says it, keys sorted; "" when unset

    def votes_without(self, *away: NodeId) -> Votes:
        """What is left when these nodes are away, beside those that are offline already."""
        votes = {node.id: self.votes.get(node.id.name, 1) for node in self.nodes}
        total = sum(votes.values()) + self.qdevice_votes
        left = sum(votes[node.id] for node in self.nodes if node.online and node.id not in away) + self.qdevice_votes
        return Votes(left, total // 2 + 1, total)

    def node(self, node: NodeId) -> Node | None:
        return next((each for each in self.nodes if each.id == node), None)

    def guest(self, guest: GuestId) -> Guest | None:
        return next((each for each in self.guests if each.id == guest), None)

    def guests_on(self, node: NodeId) -> tuple[Guest, ...]:
        return tuple(each for each in self.guests if each.node == node)


@dataclass(frozen=True, slots=True)
class Near:
    """What a look is confined to while guests move as they were asked to, and all else was looked at a while ago.

    ``flying``: guests on their way: until they are asked for, they count as where they started. ``guests``: each is
    asked for by itself on the node where it should be (one that HA moves, once HA has it there). ``nodes``: all guests
    of these are listed, ``tasks``: what runs on these. ``ha``: what HA says now. ``effect``: one may follow: members,
    quorum and everybody's place and lock are of now."""

    flying: frozenset[GuestId] = frozenset()
    guests: frozenset[tuple[GuestId, NodeId]] = frozenset()
    nodes: frozenset[NodeId] = frozenset()
    tasks: frozenset[NodeId] = frozenset()
    ha: bool = False
    effect: bool = False
