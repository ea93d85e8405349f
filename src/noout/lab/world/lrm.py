"""The LRMs: what each node does with the HA services that the CRM gave it. Rounds every 10 s, at most four workers."""

from __future__ import annotations

from noout.lab.world.kernel import HasNow
from noout.lab.world.migration import MigrationLaws
from noout.lab.world.model import Cluster, HaService, Lrm, World
from noout.lab.world.movers import Done

MAX_WORKERS = 4


class LrmLaws(MigrationLaws):
    def __init__(self, world: World, clock: HasNow) -> None:
        super().__init__(world, clock)
        self._queues: dict[str, list[tuple[str, str, str]]] = {}  # CRM commands waiting for the next round
        # By (cluster, sid): None while an LRM worker is busy, then whether it succeeded.
        self._workers: dict[tuple[str, str], bool | None] = {}
        self._awake: dict[str, int] = {}  # rounds still to run before a cluster at rest is left alone
        self._phases: dict[str, float] = {}  # where in its ten seconds a cluster's CRM works
        self._waking: dict[str, int] = {}  # how often a cluster's rounds were begun anew
        self._lost_at: dict[tuple[str, str], float] = {}  # when a node went away
        self._released: set[tuple[str, str]] = set()  # nodes that gave their agent lock back before they went
        self._tries: dict[tuple[str, str], int] = {}  # failed starts
        self._by_stop: set[tuple[str, str]] = set()  # services whose next move is a relocation
        self._closing_nodes: set[tuple[str, str]] = set()  # shutting down: their LRM begins nothing
        self._leaving: set[tuple[str, str]] = set()  # a shutdown waits for HA to move the guests away

    def _lrm_node(self, cluster: Cluster, name: str) -> None:
        ha = cluster.ha
        lrm = ha.lrm.setdefault(name, Lrm(state="wait_for_agent_lock"))
        lrm.timestamp = self.now
        asked = bool(ha.node_request.get(name, {}).get("maintenance"))
        leaving = (cluster.name, name) in self._leaving
        if (cluster.name, name) in self._closing_nodes and not leaving:
            return
        lrm.mode = "maintenance" if asked or leaving else "active"
        mine = [s for s in ha.services.values() if s.node == name]
        held = lrm.state in ("active", "maintenance")
        if lrm.mode == "maintenance":
            lrm.state = "maintenance" if held else "wait_for_agent_lock"
        elif mine or held:
            lrm.state = "active"
        coming = any(s.target == name for s in ha.services.values())
        if lrm.mode == "active" and coming:
            lrm.state = "active"
        if lrm.state == "wait_for_agent_lock":
            return
        busy = 0
        for service in mine:
            result = self._workers.get((cluster.name, service.sid), False)
            if result is None:
                busy += 1
            elif (cluster.name, service.sid) in self._workers and service.state != "started":
                code = 0 if result else 1
                lrm.results[service.uid] = {"sid": service.sid, "state": service.state, "exit_code": code}
        limit = int(cluster.options.get("max_workers", MAX_WORKERS))
        for service in sorted(mine, key=lambda s: s.sid):
            if busy < limit and (cluster.name, service.sid) not in self._workers:
                busy += self._lrm_work(cluster, service)

    def _lrm_work(self, cluster: Cluster, service: HaService) -> int:
        """Begin what the service's state asks of its node; 1 if a worker is busy with it."""
        guest = cluster.guests[int(service.sid.split(":")[1])]
        if guest.lock or (cluster.name, guest.node) in self._closing_nodes:
            return 0
        key = (cluster.name, service.sid)
        target = service.target

        def done(ok: bool) -> None:
            """A move is judged by where the guest is, as the real LRM looks for its configuration."""
            self._workers[key] = guest.node == target if target else ok
            self._ha_wake(cluster)

        if guest.node != service.node:  # somebody else has it: nothing can be done with it from here
            done(False)
            return 0

        if service.state in ("migrate", "relocate") and service.target:
            if service.uid in cluster.ha.lrm[service.node].results:
                return 0
            self._workers[key] = None
            if service.state == "relocate" and guest.type == "qemu" and guest.status == "running":
                self._relocate_vm(cluster, service, done)
                return 1
            self.start_migration(
                cluster, guest.vmid, service.target, online=guest.type == "qemu", user="root@pam", by_ha=True,
                with_local_disks=True, restart=guest.type == "lxc", done=done,
            )  # fmt: skip
            return 1
        if service.state == "request_stop":
            self._workers[key] = None
            if guest.status == "stopped":
                done(True)
            else:
                self.shutdown_now(cluster, guest, "root@pam", force_stop=True, done=done)
            return 1
        if service.state == "started" and guest.status == "stopped":
            self._workers[key] = None
            self.start_now(cluster, guest, "root@pam", done)
            return 1
        return 0

    def _relocate_vm(self, cluster: Cluster, service: HaService, done: Done) -> None:
        """Shutdown, move; the next round starts it there."""
        guest, target = cluster.guests[int(service.sid.split(":")[1])], service.target or ""

        def move(ok: bool) -> None:
            if not ok or guest.lock:
                done(False)
                return
            self.start_migration(cluster, guest.vmid, target, online=False, user="root@pam", by_ha=True, done=done)

        self.shutdown_now(cluster, guest, "root@pam", force_stop=True, why="restart", done=move)
