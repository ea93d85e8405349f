"""Power and the operating system: shutdown, reboot, power loss, boot, and what each does to guests and daemons."""

from __future__ import annotations

from collections.abc import Callable

from noout.lab.world.after import AFTER
from noout.lab.world.ceph import CephLaws
from noout.lab.world.chance import between
from noout.lab.world.kernel import HasNow, LawError
from noout.lab.world.model import Cluster, Guest, World

POLL_S = 2.0
GUESTS_S = 60.0  # how long the node's shutdown waits for its guests
OS_DOWN_S = 12.0  # from the last daemon to the power being off


class PowerLaws(CephLaws):
    """Nothing here asks whether it is safe: neither does PVE."""

    def __init__(self, world: World, clock: HasNow) -> None:
        super().__init__(world, clock)
        self._dead: set[tuple[str, str]] = set()  # boards that will not power on (a fault)
        self._hanging: set[tuple[str, str]] = set()  # systems that go down and leave the power on (a fault)
        self._lying: dict[tuple[str, str], str] = {}  # BMCs that lie, and about what
        self._lost_status: dict[tuple[str, int], str] = {}  # what a guest was when its node went away
        self._dimm_lost: set[tuple[str, str]] = set()  # a DIMM will be missing after the next power-on
        self._after: dict[tuple[str, str], set[str]] = {}  # what else will be different then

    # --- commands ---

    def node_shutdown(self, cluster: Cluster, node: str) -> None:
        """``shutdown``: answers at once; guests are shut down and stay dark."""
        self._go_down(cluster, node, reboot=False)

    def node_reboot(self, cluster: Cluster, node: str) -> None:
        self._go_down(cluster, node, reboot=True)

    def bmc_reset(self, cluster: Cluster, node: str, reset_type: str) -> None:
        """ComputerSystem.Reset. Accepting it promises nothing: the power state has to be read."""
        bmc, record = cluster.bmcs[node], cluster.nodes[node]
        if reset_type not in bmc.reset_types:
            raise LawError(f"The value {reset_type} is not in the list of allowable values", 400)
        self.note(cluster, f"BMC of {node}: reset {reset_type}")
        if self._lying.get((cluster.name, node)) == "reset" or bmc.cords_pulled:
            return
        if reset_type == "On" or (reset_type == "PushPowerButton" and not record.power):
            self.after(2.0, lambda: self.power_on(cluster, node))
        elif reset_type == "ForceOff":
            self.after(1.0, lambda: self.power_cut(cluster, node, "by the BMC"))
        elif reset_type in ("ForceRestart", "PowerCycle"):
            self.after(1.0, lambda: self.power_cut(cluster, node, "by the BMC"))
            self.after(6.0, lambda: self.power_on(cluster, node))
        elif record.online:  # GracefulShutdown, GracefulRestart, PushPowerButton: ACPI asks the system
            self._go_down(cluster, node, reboot=reset_type == "GracefulRestart")

    def power_state(self, cluster: Cluster, node: str) -> str:
        """``On`` or ``Off``, as the BMC tells it (which may be a lie)."""
        power = cluster.nodes[node].power
        if self._lying.get((cluster.name, node)) == "power":
            power = not power
        return "On" if power else "Off"

    # --- going down ---

    def _go_down(self, cluster: Cluster, node: str, reboot: bool) -> None:
        key = (cluster.name, node)
        record = self.node(cluster, node)
        if not record.online or key in self._closing_nodes or key in self._leaving:
            return
        self.note(cluster, f"{node} {'reboots' if reboot else 'shuts down'}")
        if "migrate" in cluster.options.get("ha", "") and cluster.ha.armed:
            self._leaving.add(key)
            self._ha_wake(cluster)
            self._wait_for_ha(cluster, node, reboot)
        else:
            self._close(cluster, node, reboot)

    def _wait_for_ha(self, cluster: Cluster, node: str, reboot: bool) -> None:
        """``shutdown_policy=migrate``: the shutdown waits until HA has moved its services away."""
        if (cluster.name, node) not in self._leaving:
            return
        if any(s.node == node and s.state not in ("stopped", "error") for s in cluster.ha.services.values()):
            self._awake[cluster.name] = 6
            self.after(POLL_S, lambda: self._wait_for_ha(cluster, node, reboot))
        else:
            self._close(cluster, node, reboot)

    def _close(self, cluster: Cluster, node: str, reboot: bool) -> None:
        """Freeze or give up the HA services, shut the guests down, wait for them."""
        self._closing_nodes.add((cluster.name, node))
        lrm = cluster.ha.lrm.get(node)
        if lrm is not None and lrm.mode == "active":  # maintenance mode stays what it is
            lrm.mode = "restart" if reboot else "shutdown"
        self._ha_wake(cluster)
        for service in cluster.ha.services.values():
            if service.node == node and service.state == "started" and reboot and cluster.ha.armed:
                service.state = "freeze"
        for guest in self._guests_on(cluster, node):
            if not guest.lock:
                self.shutdown_now(cluster, guest, "root@pam", timeout=GUESTS_S, force_stop=True)
        self._wait_for_guests(cluster, node, reboot, self.now + GUESTS_S + POLL_S)

    def _wait_for_guests(self, cluster: Cluster, node: str, reboot: bool, until: float) -> None:
        if (cluster.name, node) not in self._closing_nodes:
            return
        if self._guests_on(cluster, node) and self.now < until:
            self.after(POLL_S, lambda: self._wait_for_guests(cluster, node, reboot, until))
            return
        for name in self._services(cluster, node, "ceph") if cluster.ceph else []:
            self.daemon_stop(cluster, name)
        self.after(OS_DOWN_S, lambda: self._off(cluster, node, reboot))

    def _guests_on(self, cluster: Cluster, node: str) -> list[Guest]:
        return [g for g in cluster.guests.values() if g.node == node and g.status != "stopped"]

    def _off(self, cluster: Cluster, node: str, reboot: bool) -> None:
        if (cluster.name, node) not in self._closing_nodes:
            return
        self._vanish(cluster, node)
        self._released.add((cluster.name, node))
        if (cluster.name, node) in self._hanging:
            cluster.nodes[node].power = True
            self.note(cluster, f"{node} is down and keeps its power")
            return
        self.note(cluster, f"{node} powered off")
        if reboot:
            self.after(3.0, lambda: self.power_on(cluster, node))

    def power_cut(self, cluster: Cluster, node: str, why: str = "") -> None:
        """The power goes without a word: guests lost, daemons silent."""
        record = cluster.nodes[node]
        if not record.power:
            return
        for name in self._services(cluster, node, "ceph") if cluster.ceph else []:
            self.daemon_stop(cluster, name, silent=True)
        self._vanish(cluster, node)
        self.note(cluster, f"{node} lost power {why}".rstrip())

    def _vanish(self, cluster: Cluster, node: str) -> None:
        record = cluster.nodes[node]
        for guest in self._guests_on(cluster, node):
            self._lost_status[cluster.name, guest.vmid] = guest.status
            self._set_status(cluster, guest, "stopped")
            self.darken(guest, "lost")
            self.note(cluster, f"guest {guest.vmid} lost with {node}")
        self.nodes_met(cluster, node)
        record.power, record.booted_at, record.boot_ready_at = False, None, None
        self._closing_nodes.discard((cluster.name, node))
        self._leaving.discard((cluster.name, node))
        self._lost_at[cluster.name, node] = self.now
        self._released.discard((cluster.name, node))
        for task in cluster.tasks.values():
            if task.node == node and task.status == "running":
                self.finish_task(cluster, task, "unexpected status")
        for service in cluster.ha.services.values():
            if service.node == node:
                self._workers.pop((cluster.name, service.sid), None)
        self._membership(cluster)

    def _membership(self, cluster: Cluster) -> None:
        quorate = sum(n.online for n in cluster.nodes.values()) > len(cluster.nodes) // 2
        if quorate != cluster.quorate:
            cluster.quorate = quorate
            self.note(cluster, "cluster quorate" if quorate else "cluster lost its quorum")
        self._ha_wake(cluster)
        self._io_check(cluster)

    def published_status(self, cluster: Cluster, vmid: int) -> str:
        """As the kernel's, but a guest of a node that went away keeps its last status for 5 min, then ``unknown``."""
        guest = cluster.guests[vmid]
        if guest.node in cluster.nodes and not cluster.nodes[guest.node].online:
            gone = self.now - self._lost_at.get((cluster.name, guest.node), self.now)
            return self._lost_status.get((cluster.name, vmid), guest.status) if gone < 300 else "unknown"
        return super().published_status(cluster, vmid)

    # --- coming up ---

    def power_on(self, cluster: Cluster, node: str) -> None:
        record, bmc = cluster.nodes[node], cluster.bmcs[node]
        if record.power or bmc.cords_pulled or (cluster.name, node) in self._dead:
            return
        record.power = True
        record.boot_ready_at = ready = self.now + self.boot_s(node)
        self.note(cluster, f"{node} powered on")
        if (cluster.name, node) in self._dimm_lost:
            self._dimm_lost.discard((cluster.name, node))
            record.maxmem -= record.maxmem // bmc.dimms
            bmc.dimms -= 1
        for name in sorted(self._after.pop((cluster.name, node), set())):
            AFTER[name][0](cluster, record)
        self.at(ready, lambda: self._booted(cluster, node, ready))

    def boot_s(self, node: str) -> float:
        return between(70, 110, self.world.seed, "boot", node, int(self.now))

    def _booted(self, cluster: Cluster, node: str, ready: float) -> None:
        """The OS answers; daemons and ``onboot`` guests start, whether or not anybody accepted the repair."""
        record = cluster.nodes[node]
        if record.boot_ready_at != ready or not record.power:
            return
        record.booted_at, record.boot_ready_at = self.now, None
        self.note(cluster, f"{node} booted")
        lrm = cluster.ha.lrm.get(node)
        if lrm is not None:
            asked = cluster.ha.node_request.get(node, {}).get("maintenance")
            lrm.state, lrm.mode, lrm.results = "wait_for_agent_lock", "maintenance" if asked else "active", {}
        self._membership(cluster)
        for guest in cluster.guests.values():
            if guest.node == node:
                self._lost_status.pop((cluster.name, guest.vmid), None)
                guest.lock = None if guest.lock == "migrate" else guest.lock
        self.after(4.0, self._while_up(cluster, node, lambda: self._start_daemons(cluster, node)))
        self.after(12.0, self._while_up(cluster, node, lambda: self._onboot(cluster, node)))

    def _while_up(self, cluster: Cluster, node: str, fn: Callable[[], None]) -> Callable[[], None]:
        booted = cluster.nodes[node].booted_at
        return lambda: fn() if cluster.nodes[node].booted_at == booted else None

    def _start_daemons(self, cluster: Cluster, node: str) -> None:
        for name in self._services(cluster, node, "ceph") if cluster.ceph else []:
            self.daemon_start(cluster, name)

    def _onboot(self, cluster: Cluster, node: str) -> None:
        """``startall``: guests with onboot that are not under HA."""
        if not cluster.quorate:
            self.after(5.0, self._while_up(cluster, node, lambda: self._onboot(cluster, node)))
            return
        for guest in sorted(cluster.guests.values(), key=lambda g: g.vmid):
            managed = self.sid(guest) in cluster.ha.resources
            if guest.node == node and guest.onboot and guest.status == "stopped" and not managed and not guest.template:
                self.start_now(cluster, guest, "root@pam")
