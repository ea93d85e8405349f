"""What a planner may assume and must keep free: every figure that is a choice, with its default."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from noout.domain.cluster import Guest, GuestId
from noout.domain.customers import Customer
from noout.domain.errors import UsageError
from noout.plan.groups import Part
from noout.plan.release import CLEANUP_S

MIB = 1024**2
GIB = 1024**3
GBIT_BYTES_S = 110.0 * MIB  # what is left of a gigabit when frames and TCP have had their part
# Locks that end by themselves when the work that holds them is done. Every other lock waits for a person.
PASSING_LOCKS = frozenset({"backup", "snapshot", "snapshot-delete", "clone", "migrate", "fstrim", "disk"})
EJECT_CHOICES = ("ask", "eject")


@dataclass(frozen=True, slots=True)
class Policy:
    """Reserves in bytes, rates in bytes/s, times in s.

    ``nic_bytes_s`` is what a node's link of the migration network carries; of one that is ``shared`` with Ceph or
    corosync, all migrations together get ``network_share``. ``migration_bytes_s`` bounds one ``encrypted`` stream
    (SSH: one core). Those two are as observed where they are None, and yes where nothing is seen. ``streams``: at
    most so many at once, whatever the network carries. ``consents`` are guests whose owner agreed to an interruption,
    given by the operator; the tags say the same of a guest for good.
    """

    os_reserve_bytes: int = 8 * GIB
    osd_reserve_bytes: int = 4 * GIB  # for each OSD of the node
    streams: int = 8
    migration_bytes_s: float = 400.0 * MIB
    nic_bytes_s: float = 10 * GBIT_BYTES_S
    network_share: float = 0.5
    encrypted: bool | None = None
    shared: bool | None = None
    default_dirty_bytes_s: int = 16 * MIB  # where a guest's own rate is not known
    relocate_tag: str = "relocate-ok"
    shutdown_tag: str = "shutdown-ok"
    eject_tag: str = "eject-ok"
    pin_tag: str = "pin-"  # before a node's name: planned moves take the guest there, or to others so named, only
    prefer_tag: str = "prefer-"  # before a node's name: there rather than elsewhere
    tolerant_tag: str = "tolerant"  # its owner minds a pause least: it comes home before all others
    eject_isos: str = "ask"  # "eject": any local ISO may be taken out of its drive and put back afterwards
    lock_wait_s: float = 3600.0  # how long a guest's passing lock (a backup) is waited for
    consents: frozenset[GuestId] = field(default_factory=frozenset)
    noout_guests: frozenset[GuestId] = field(default_factory=frozenset)  # what noout and its database run in
    customers: tuple[Customer, ...] = ()  # whose quiet hours count
    parts: tuple[Part, ...] = ()  # that several nodes share: a chassis, a PDU, a switch
    machine_uuid: str = ""  # of the machine that noout runs on; "" where it is not known
    setup_s: float = 5.0  # measured: about 5 s before the first page is sent
    cleanup_s: float = CLEANUP_S
    ha_latency_s: float = 20.0  # the CRM and LRM work in rounds of 10 s
    relocate_s: float = 12.0  # a container's stop, move and start with its disks on shared storage
    repair_s: float = 2700.0  # how long a guest shut down by consent is away: an assumption
    restarts: int = 24  # how long room is searched for before "no room" is said, in units of counted effort
    cpu_ratio: float = 0.8  # of a node's cores that guests may use before a plan calls it tight; never a limit

    def __post_init__(self) -> None:
        for name in ("os_reserve_bytes", "osd_reserve_bytes", "default_dirty_bytes_s", "restarts"):
            if not getattr(self, name) >= 0:
                raise UsageError(f"policy {name} is {getattr(self, name)}", remedy="give 0 or more")
        for name in ("streams", "migration_bytes_s", "nic_bytes_s"):
            value = getattr(self, name)
            if not 0 < value < float("inf"):
                raise UsageError(f"policy {name} is {value}", remedy="give a figure above 0")
        if not 0 < self.network_share <= 1:
            raise UsageError(f"policy network_share is {self.network_share}", remedy="give a part: above 0, at most 1")
        if not 0 < self.cpu_ratio < float("inf"):
            raise UsageError(f"policy cpu_ratio is {self.cpu_ratio}", remedy="give a figure above 0, such as 0.8")
        if not 0 <= self.lock_wait_s < float("inf"):
            raise UsageError(f"policy lock_wait_s is {self.lock_wait_s}", remedy="give 0 or more seconds")
        if self.eject_isos not in EJECT_CHOICES:
            raise UsageError(f"policy eject_isos is {self.eject_isos!r}", remedy=f"one of {', '.join(EJECT_CHOICES)}")

    @property
    def cap_bytes_s(self) -> float:
        """What all migrations of one node may send together."""
        return self.nic_bytes_s * (self.network_share if self.shared is not False else 1.0)

    @property
    def single_bytes_s(self) -> float:
        """What a migration gets beside which no other runs."""
        return self._one(self.cap_bytes_s)

    @property
    def ha_bytes_s(self) -> float:
        """The same of HA's own, which keep to no limit."""
        return self._one(self.nic_bytes_s)

    def _one(self, carried: float) -> float:
        return min(self.migration_bytes_s, carried) if self.encrypted is not False else carried

    @property
    def parallel(self) -> int:
        """How many migrations fill what they may use, at most ``streams``."""
        return max(1, min(int(self.streams), math.ceil(self.cap_bytes_s / self.single_bytes_s - 1e-6)))

    @property
    def stream_bytes_s(self) -> float:
        """What one of ``parallel`` migrations gets."""
        return min(self.single_bytes_s, self.cap_bytes_s / self.parallel)

    def may_relocate(self, guest: Guest) -> bool:
        return self._agreed(guest, self.relocate_tag)

    def may_shut_down(self, guest: Guest) -> bool:
        return self._agreed(guest, self.shutdown_tag)

    def _agreed(self, guest: Guest, tag: str) -> bool:
        """noout's own guest is not stopped whoever agreed: nobody would start it again."""
        return guest.id not in self.noout_guests and (tag in guest.tags or guest.id in self.consents)

    def may_eject(self, guest: Guest) -> bool:
        """Consent to an interruption is none to this: an ISO in a drive may be what the guest boots from."""
        return self.eject_isos == "eject" or self.eject_tag in guest.tags

    def dirty_bytes_s(self, guest: Guest) -> int:
        return self.default_dirty_bytes_s if guest.dirty_bytes_s is None else guest.dirty_bytes_s
