"""The state of the simulated world: what exists, as plain mutable records.

Behaviour lives beside it (``migration``, ``ha``, ``ceph``, ``bmc``, ``faults``); the wire only reads these
records and calls those laws. Times are Unix seconds (float, UTC, virtual); sizes are bytes; rates bytes/s.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

KiB = 1024
MiB = 1024**2
GiB = 1024**3
TiB = 1024**4


# --- guests -------------------------------------------------------------------------------------------------


@dataclass
class Disk:
    key: str  # "scsi0", "rootfs", "ide2"
    volid: str  # "rbd:vm-100-disk-0", "local:iso/debian.iso", "local-lvm:vm-104-disk-0"
    size: int
    cdrom: bool = False
    replicate: bool = True

    @property
    def storage(self) -> str:
        return self.volid.split(":", 1)[0]


@dataclass
class Snapshot:
    name: str
    taken: float = 0.0
    vmstate: str = ""  # volume with the saved RAM, where it was saved
    vmstate_size: int = 0


GuestType = Literal["qemu", "lxc"]


@dataclass
class Guest:
    vmid: int
    name: str
    type: GuestType
    node: str
    status: str = "running"  # running | stopped | paused | postmigrate
    maxmem: int = 4 * GiB
    cores: int = 2
    cpu: float = 0.1  # share of all its cores, 0..1
    dirty_rate: int = 4 * MiB  # bytes/s of memory it rewrites
    disks: list[Disk] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    pool: str | None = None
    onboot: bool = True
    template: bool = False
    lock: str | None = None  # "migrate", "backup", "snapshot"
    local_resources: list[str] = field(default_factory=list)  # "usb0", "hostpci0"
    bridges: list[str] = field(default_factory=lambda: ["vmbr0"])
    cpu_type: str = "x86-64-v2-AES"
    agent: bool = True
    # What comes of asking its agent: "" an answer, "silent", "timeout" (it hangs), "disabled" (it may not tell).
    agent_trouble: str = ""
    ip: str = ""  # of its first card
    links: list[GuestLink] = field(default_factory=list)  # what it has beside its loopback and its first card
    service: str = "tcp:443"  # what a customer's client talks to; probed through the lab
    started_at: float = 0.0
    # Intervals in which a client gets no answer: [from, to); ``to`` None while it lasts.
    dark: list[DarkSpell] = field(default_factory=list)
    digest: str = ""
    description: str = ""
    qmpstatus: str = ""  # QEMU's own word where it is not the status: "io-error"
    net_options: list[str] = field(default_factory=list)  # by network card: "tag=120,firewall=1"
    settings: dict[str, str] = field(default_factory=dict)  # further lines of its configuration: "vga", "amd-sev"
    mapped: dict[str, str] = field(default_factory=dict)  # "hostpci0" -> name of the mapping
    snapshots: list[Snapshot] = field(default_factory=list)  # the last one is the parent of now

    @property
    def has_process(self) -> bool:
        return self.status in ("running", "paused")


@dataclass
class GuestLink:
    """A network interface within a guest. ``card``: the number of the card whose hardware address it has; None: it
    has one of its own, as Docker's bridges do. ``addresses``: "172.17.0.1/16"."""

    name: str
    addresses: list[str] = field(default_factory=list)
    card: int | None = None


@dataclass
class DarkSpell:
    since: float
    until: float | None
    why: str  # "blackout", "restart", "stopped", "unplugged" (task OK, customer down), "io-blocked", "lost"


# --- tasks and migrations -----------------------------------------------------------------------------------


@dataclass
class Task:
    upid: str
    node: str
    type: str  # qmigrate, vzmigrate, hamigrate, qmstart, qmshutdown, srvstop ...
    id: str
    user: str  # "root@pam" or "noout@pve!lab"
    starttime: float
    pid: int
    pstart: int
    status: Literal["running", "stopped"] = "running"
    exitstatus: str | None = None
    endtime: float | None = None
    log: list[str] = field(default_factory=list)


@dataclass
class Migration:
    """One pre-copy migration in progress (or an LXC relocation)."""

    guest: int
    source: str
    target: str
    task: Task
    online: bool
    started: float
    by_ha: bool = False
    bwlimit: int | None = None
    phase: Literal["setup", "disks", "precopy", "switchover", "done", "failed", "cancelled"] = "setup"
    transferred: int = 0
    remaining: int = 0
    round: int = 0
    rate: int = 0
    throttle: float = 0.0  # auto-converge share taken from the guest's CPUs
    downtime_limit: float = 0.1
    downtime: float | None = None
    stalled: bool = False


# --- nodes, storages, HA ------------------------------------------------------------------------------------


@dataclass
class Storage:
    storage: str
    type: str  # rbd, dir, lvmthin, cephfs
    shared: bool
    content: str
    total: int
    used: dict[str, int] = field(default_factory=dict)  # by node; shared storages use the key ""
    nodes: list[str] = field(default_factory=list)  # empty = all
    server: str = ""  # of a storage in the network: its address


@dataclass
class Node:
    name: str
    nodeid: int
    ip: str
    power: bool = True  # what the PSU gives to the board
    booted_at: float | None = 0.0  # None while off or booting
    boot_ready_at: float | None = None  # set at power-on: when the OS will answer
    maxmem: int = 256 * GiB
    base_mem: int = 12 * GiB  # the OS, the OSDs, the daemons
    cores: int = 32
    cpu_model: str = "AMD EPYC 7543 32-Core Processor"
    kernel: str = "6.14.11-4-pve"
    migration_rate: int = 1100 * MiB  # share of the migration network this node can fill (10 GbE)
    bridges: list[str] = field(default_factory=lambda: ["vmbr0"])
    vlan_aware: list[str] = field(default_factory=list)  # the bridges that pass VLAN tags on
    cpu_vendor: str = "AuthenticAMD"
    cpu_flags: str = "fpu vme de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 sse sse2 avx avx2 aes"
    description: str = ""
    fingerprint: str = ""  # of its API's certificate (SHA-256), once it is served on a socket
    wakeonlan: str = ""  # MAC address set in the node's configuration; empty: cannot be woken by another node
    proxy_broken: bool = False  # 595 when reached through another node
    kernel_installed: str = ""  # the newest that is installed; empty: the one that runs
    network_changes: str = ""  # configured and not applied, as a diff
    clock_ahead: float = 0.0  # seconds by which its clock is wrong
    pve_version: str = ""  # of its pve-manager; empty: the cluster's
    boot_disk_health: str = "PASSED"
    boot_disk_wearout: int = 96  # per cent left
    cordoned_by: list[str] = field(default_factory=list)
    ports: list[str] = field(default_factory=lambda: ["eno1", "eno2"])  # as the kernel calls them, in their slots
    ports_down: list[str] = field(default_factory=list)  # those without a carrier
    path_mtu: int = 9000  # what its switch ports let through, whatever the node is configured for
    hvm: bool = True  # the firmware lets the CPU virtualise
    disks_lost: int = 0  # how many of its disks are not found

    @property
    def online(self) -> bool:
        return self.power and self.booted_at is not None


@dataclass
class Mapping:
    """A device under a cluster-wide name: which nodes have one, and whether it can be migrated live."""

    name: str
    nodes: list[str]
    live: bool = False


@dataclass
class HaResource:
    sid: str  # "vm:100", "ct:200"
    state: str = "started"  # requested
    failback: bool = True
    max_restart: int = 1
    max_relocate: int = 1
    comment: str = ""


@dataclass
class HaService:
    """What the CRM knows of a resource (manager_status.service_status)."""

    sid: str
    node: str
    state: str = "started"  # started, migrate, relocate, fence, recovery, freeze, stopped, error, request_stop
    target: str | None = None
    maintenance_node: str | None = None
    running: bool = True
    uid: str = ""
    requested: str | None = None  # a queued `ha-manager migrate|relocate`: target node


@dataclass
class HaRule:
    rule: str
    type: Literal["node-affinity", "resource-affinity"]
    resources: list[str]
    nodes: dict[str, int] = field(default_factory=dict)  # node -> priority (node-affinity)
    strict: bool = False
    affinity: Literal["positive", "negative"] | None = None  # resource-affinity
    disable: bool = False
    comment: str = ""


@dataclass
class Lrm:
    mode: str = "active"  # active, maintenance, restart, shutdown
    state: str = "active"  # active, wait_for_agent_lock, maintenance, lost_agent_lock
    timestamp: float = 0.0
    results: dict[str, dict[str, object]] = field(default_factory=dict)


@dataclass
class Ha:
    master: str
    armed: bool = True
    disarm_mode: str = "freeze"  # while not armed: "freeze" or "ignore"
    resources: dict[str, HaResource] = field(default_factory=dict)
    services: dict[str, HaService] = field(default_factory=dict)
    rules: dict[str, HaRule] = field(default_factory=dict)
    lrm: dict[str, Lrm] = field(default_factory=dict)
    node_status: dict[str, str] = field(default_factory=dict)  # online, maintenance, unknown, fence, gone
    node_request: dict[str, dict[str, int]] = field(default_factory=dict)
    timestamp: float = 0.0

    def manages(self, sid: str) -> bool:
        """A resource that HA is told to ignore is nobody's business but its node's."""
        return sid in self.resources and self.resources[sid].state != "ignored"


# --- Ceph ---------------------------------------------------------------------------------------------------


@dataclass
class Osd:
    id: int
    host: str
    uuid: str
    size: int
    used: int
    machine: str = ""  # where its daemon runs; empty: the machine is called as its CRUSH host
    up: bool = True
    in_: bool = True
    running: bool = True  # the daemon's process
    weight: float = 1.0
    down_since: float | None = None
    will_not_start: bool = False  # fault
    preboot: bool = False  # started, held down by noup
    disk_health: str = "PASSED"  # as SMART says


@dataclass
class Pool:
    id: int
    name: str
    size: int = 3
    min_size: int = 2
    pg_num: int = 128
    used: int = 0
    crush_rule: int = 0
    kind: Literal["replicated", "erasure"] = "replicated"


@dataclass
class Pg:
    pgid: str
    acting: list[int]  # the OSDs that hold it (up or down), in the map's order
    up: list[int] = field(default_factory=list)  # where it is now mapped (after out)
    behind: dict[int, int] = field(default_factory=dict)  # bytes still to copy, by OSD of ``acting`` or ``up``
    scrubbing: bool = False

    @property
    def missing(self) -> int:
        """Bytes to copy until clean."""
        return sum(self.behind.values())


@dataclass
class Mon:
    name: str
    rank: int
    addr: str
    running: bool = True
    in_quorum: bool = True
    clock_skew: float = 0.0


@dataclass
class Mgr:
    name: str
    running: bool = True


@dataclass
class Ceph:
    fsid: str
    version: str = "19.2.3"
    epoch: int = 100
    flags: set[str] = field(default_factory=set)  # cluster-wide: noout, norebalance ...
    crush_node_flags: dict[str, set[str]] = field(default_factory=dict)
    osds: dict[int, Osd] = field(default_factory=dict)
    mons: dict[str, Mon] = field(default_factory=dict)
    mgrs: dict[str, Mgr] = field(default_factory=dict)
    mgr_active: str = ""
    mds_active: str | None = None
    pools: dict[int, Pool] = field(default_factory=dict)
    pgs: dict[str, Pg] = field(default_factory=dict)
    down_out_interval: float = 600.0
    min_in_ratio: float = 0.75
    recovery_rate: int = 200 * MiB
    bytes_moved: int = 0  # re-replication and backfill since the world began
    write_rate: int = 40 * MiB  # client writes: what a returning OSD has to catch up
    domains: dict[int, str] = field(default_factory=lambda: {0: "host"})  # CRUSH rule -> what it spreads copies over
    services: list[tuple[str, str]] = field(default_factory=list)  # (kind, node): mds and rgw daemons


# --- the board management controllers -----------------------------------------------------------------------


@dataclass
class Fan:
    name: str  # "FAN3B"
    rpm: float = 8400.0  # at its present duty
    lower_critical: float = 1800.0
    zone: int = 0
    # Fault: stops of a few seconds. Each is (from, to); the reading within is 0.
    stops: list[tuple[float, float]] = field(default_factory=list)
    flap_per_hour: float = 0.0
    # Fault: wear. From ``wears_since`` on it turns ever slower, by this share of its speed a day.
    wear_per_day: float = 0.0
    wears_since: float = 0.0
    cause: Literal["", "dust", "connector", "bearing"] = ""  # what a technician's hands can put right
    present: bool = True


@dataclass
class Temperature:
    name: str
    celsius: float
    upper_critical: float


@dataclass
class Psu:
    name: str
    watts: float = 210.0
    present: bool = True
    healthy: bool = True


@dataclass
class LogRecord:
    id: int
    at: float
    severity: Literal["OK", "Warning", "Critical"]
    message: str
    sensor: str = ""
    message_id: str = ""


@dataclass
class Bmc:
    node: str
    vendor: str = "noout lab"
    model: str = "LAB-2U"
    serial: str = ""
    fans: dict[str, Fan] = field(default_factory=dict)
    temperatures: dict[str, Temperature] = field(default_factory=dict)
    psus: dict[str, Psu] = field(default_factory=dict)
    log: list[LogRecord] = field(default_factory=list)
    led: bool = False
    reset_types: list[str] = field(
        default_factory=lambda: [
            "On",
            "ForceOff",
            "GracefulShutdown",
            "GracefulRestart",
            "ForceRestart",
            "PushPowerButton",
        ]
    )
    mute: bool = False  # fault: answers nothing
    lid_open: bool = False
    cords_pulled: bool = False
    dimms: int = 16
    power_restore_policy: str = "AlwaysOff"


# --- access, clusters, the world ----------------------------------------------------------------------------


@dataclass
class Token:
    """An API token or user: what it may do, path by path (propagating)."""

    userid: str  # "noout@pve"
    name: str | None  # token name; None for a user that logs in with a password
    secret: str
    acl: dict[str, frozenset[str]]  # path -> privileges; frozenset({"*"}) = all


@dataclass
class WireFault:
    """A fault of the API or of a BMC, by pattern; used up when ``times`` reaches 0."""

    kind: Literal["slow", "error", "lost-answer", "drop", "stale"]  # lost-answer: done, but the answer never comes
    pattern: str  # regular expression on "METHOD /path"
    status: int = 500
    seconds: float = 0.0
    times: int = 1


@dataclass
class Cluster:
    name: str
    nodes: dict[str, Node]
    guests: dict[int, Guest]
    storages: dict[str, Storage]
    pools: dict[str, str]  # pool id -> comment
    ha: Ha
    ceph: Ceph | None
    bmcs: dict[str, Bmc]
    tokens: list[Token]
    tasks: dict[str, Task] = field(default_factory=dict)
    migrations: dict[int, Migration] = field(default_factory=dict)  # running, by vmid
    options: dict[str, str] = field(default_factory=dict)  # datacenter.cfg
    wire_faults: list[WireFault] = field(default_factory=list)
    # Migration faults by vmid: "fail", "stall", "no-converge", "unplugged" (OK, but nobody can reach it).
    migration_faults: dict[int, str] = field(default_factory=dict)
    mappings: dict[str, Mapping] = field(default_factory=dict)
    vnets: dict[str, str] = field(default_factory=dict)  # SDN network -> zone
    zone_nodes: dict[str, list[str]] = field(default_factory=dict)  # zone -> nodes where it works
    quorate: bool = True
    qdevice: bool = False
    version: str = "9.2.11"
    # As their lists show them.
    sdn_zones: list[dict[str, object]] = field(default_factory=list)
    backup_jobs: list[dict[str, object]] = field(default_factory=list)
    replication_jobs: list[dict[str, object]] = field(default_factory=list)


@dataclass
class World:
    """Everything. ``happened`` is the world's own log of what came about, for tests to compare with."""

    seed: int
    epoch: float
    now: float
    clusters: dict[str, Cluster]
    happened: list[tuple[float, str, str]] = field(default_factory=list)  # (at, cluster, text)
