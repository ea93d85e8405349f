"""The laws of the world: the one door through which anything in it changes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

from noout.lab.world.model import Cluster, Guest, HaRule, Task, World


class HasNow(Protocol):
    def now(self) -> float: ...


class LawError(Exception):
    """What PVE answers at once, before any task exists: ``status`` and a one-line ``message``."""

    def __init__(self, message: str, status: int = 500) -> None:
        super().__init__(message)
        self.message = message
        self.status = status


class Laws:
    """Every wire handler calls ``advance()`` first, then reads records or calls one law."""

    def __init__(self, world: World, clock: HasNow) -> None:
        self.world = world
        self.clock = clock

    # time
    @property
    def now(self) -> float:
        return self.world.now

    def advance(self) -> float:
        """Run every due event up to clock.now(); return now."""
        raise NotImplementedError

    def at(self, when: float, fn: Callable[[], None]) -> None:
        raise NotImplementedError

    def note(self, cluster: Cluster, text: str) -> None:
        raise NotImplementedError

    # tasks
    def new_task(self, cluster: Cluster, node: str, type: str, id: str, user: str) -> Task:
        raise NotImplementedError

    def finish_task(self, cluster: Cluster, task: Task, exitstatus: str = "OK") -> None:
        raise NotImplementedError

    def stop_task(self, cluster: Cluster, upid: str) -> None:
        raise NotImplementedError

    # guests
    def start_migration(
        self, cluster: Cluster, vmid: int, target: str, *, online: bool, user: str, with_local_disks: bool = False,
        targetstorage: str | None = None, bwlimit: int | None = None, by_ha: bool = False, restart: bool = False,
    ) -> Task:  # fmt: skip
        raise NotImplementedError

    def migration_precondition(self, cluster: Cluster, vmid: int, target: str | None = None) -> dict[str, Any]:
        """The facts of the GET migrate precondition, with underscores (QEMU's spelling)."""
        raise NotImplementedError

    def start_guest(self, cluster: Cluster, vmid: int, user: str) -> Task:
        raise NotImplementedError

    def shutdown_guest(
        self, cluster: Cluster, vmid: int, user: str, timeout: float = 180, force_stop: bool = False
    ) -> Task:
        raise NotImplementedError

    def stop_guest(self, cluster: Cluster, vmid: int, user: str) -> Task:
        raise NotImplementedError

    def create_guest(self, cluster: Cluster, guest: Guest, user: str) -> Task:
        raise NotImplementedError

    def destroy_guest(self, cluster: Cluster, vmid: int, user: str) -> Task:
        raise NotImplementedError

    def published_status(self, cluster: Cluster, vmid: int) -> str:
        """The guest's status as /cluster/resources shows it: up to 10 s old."""
        raise NotImplementedError

    # HA
    def ha_migrate(self, cluster: Cluster, sid: str, target: str, user: str) -> Task:
        raise NotImplementedError

    def ha_relocate(self, cluster: Cluster, sid: str, target: str, user: str) -> Task:
        raise NotImplementedError

    def crm_maintenance(self, cluster: Cluster, node: str, enable: bool) -> None:
        raise NotImplementedError

    def rule_set(self, cluster: Cluster, rule: HaRule) -> None:
        raise NotImplementedError

    def rule_delete(self, cluster: Cluster, rule: str) -> None:
        raise NotImplementedError

    def ha_arm(self, cluster: Cluster, armed: bool) -> None:
        raise NotImplementedError

    # Ceph
    def ceph_service(self, cluster: Cluster, node: str, action: str, service: str, user: str) -> Task:
        """``action`` start|stop|restart; ``service`` "osd.3", "mon.pve3", "mgr.pve3", "mon", "osd"."""
        raise NotImplementedError

    def ceph_flag(self, cluster: Cluster, flag: str, on: bool, by: str = "") -> None:
        raise NotImplementedError

    def ceph_group_flags(self, cluster: Cluster, host: str, flags: Iterable[str], on: bool, by: str = "") -> None:
        raise NotImplementedError

    def osd_in_out(self, cluster: Cluster, osd: int, in_: bool, by: str = "") -> None:
        raise NotImplementedError

    def mgr_fail(self, cluster: Cluster, name: str | None = None) -> None:
        raise NotImplementedError

    def ok_to_stop(self, cluster: Cluster, ids: Iterable[int]) -> dict[str, Any]:
        """What ``ceph osd ok-to-stop --format json`` prints: ok_to_stop, osds, num_ok_pgs, num_not_ok_pgs, ..."""
        raise NotImplementedError

    def pg_states(self, cluster: Cluster) -> dict[str, int]:
        raise NotImplementedError

    def ceph_quorum(self, cluster: Cluster) -> list[str]:
        """Names of the mons in quorum; empty without a majority."""
        raise NotImplementedError

    # power and BMC
    def node_shutdown(self, cluster: Cluster, node: str) -> None:
        raise NotImplementedError

    def node_reboot(self, cluster: Cluster, node: str) -> None:
        raise NotImplementedError

    def bmc_reset(self, cluster: Cluster, node: str, reset_type: str) -> None:
        raise NotImplementedError

    def set_led(self, cluster: Cluster, node: str, on: bool) -> None:
        raise NotImplementedError

    def fan_readings(self, cluster: Cluster, node: str) -> dict[str, float | None]:
        """RPM by fan; empty while the cords are out, None for a fan that is not present."""
        raise NotImplementedError

    def temperatures(self, cluster: Cluster, node: str) -> dict[str, float | None]:
        raise NotImplementedError

    def bmc_log(self, cluster: Cluster, node: str) -> list[Any]:
        """LogRecords, oldest first."""
        raise NotImplementedError

    # probes, faults, hands
    def probe(self, cluster: Cluster, vmid: int, at: float) -> bool:
        raise NotImplementedError

    def fault(self, cluster: Cluster, name: str, **params: Any) -> None:
        raise NotImplementedError

    def clear_fault(self, cluster: Cluster, name: str, **params: Any) -> None:
        raise NotImplementedError

    def hands(self, cluster: Cluster, node: str, action: str, **params: Any) -> None:
        raise NotImplementedError
