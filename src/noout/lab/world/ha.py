"""The HA manager: the CRM's rounds decide, each node's LRM does; maintenance mode, rules, fencing, recovery.

The CRM works every 10 s, each LRM every 5 s; a request is only a line in a queue until the next round. When
nothing is left to decide the rounds are skipped (and only their time stamps kept up), so a quiet cluster costs
nothing.
"""

from __future__ import annotations

from typing import Any

from noout.lab.world import ha_rules
from noout.lab.world.chance import between, hexdigits
from noout.lab.world.kernel import HasNow, LawError
from noout.lab.world.migration import MigrationLaws
from noout.lab.world.model import Cluster, HaResource, HaRule, HaService, Lrm, Task, World

CRM_S, LRM_S = 10.0, 5.0
FENCE_AFTER_S = 60.0  # since the node was last seen
LOCK_EXPIRES_S = 120.0  # the dead node's agent lock, last touched up to a round before it died
MASTER_LOCK_S = 120.0
MAX_WORKERS = 4


class HaLaws(MigrationLaws):
    """Requests go in here; what becomes of them shows in ``cluster.ha``."""

    def __init__(self, world: World, clock: HasNow) -> None:
        super().__init__(world, clock)
        self._queues: dict[str, list[tuple[str, str, str]]] = {}  # CRM commands waiting for the next round
        # By (cluster, sid): None while an LRM worker is busy, then whether it succeeded.
        self._workers: dict[tuple[str, str], bool | None] = {}
        self._awake: dict[str, int] = {}  # rounds still to run before a cluster at rest is left alone
        self._waking: dict[str, int] = {}  # how often a cluster's rounds were begun anew
        self._lost_at: dict[tuple[str, str], float] = {}  # when a node went away
        self._tries: dict[tuple[str, str], int] = {}  # failed starts
        self._by_stop: set[tuple[str, str]] = set()  # services whose next move is a relocation
        self._closing_nodes: set[tuple[str, str]] = set()  # shutting down: their LRM begins nothing
        self._leaving: set[tuple[str, str]] = set()  # a shutdown waits for HA to move the guests away

    # --- requests ---

    def ha_request(self, cluster: Cluster, sid: str, target: str, relocate: bool = False) -> dict[str, Any]:
        """Queue ``ha-manager migrate|relocate``; tells ``blocking-resources`` (then nothing is queued)."""
        if sid not in cluster.ha.resources:
            raise LawError(f"no such resource '{sid}'")
        self.node(cluster, target)
        answer: dict[str, Any] = {"sid": sid, "requested-node": target}
        stopping = ha_rules.blocking(cluster, sid, target)
        if stopping:
            answer["blocking-resources"] = [{"cause": "resource-affinity", "sid": s} for s in stopping]
            return answer
        together = ha_rules.kept_together(cluster, sid)
        if together:
            answer["comigrated-resources"] = together
        for one in [sid, *together]:
            self._queue(cluster, ("relocate" if relocate else "migrate", one, target))
        return answer

    def ha_migrate(self, cluster: Cluster, sid: str, target: str, user: str, relocate: bool = False) -> Task:
        """The task ``hamigrate``: it ends within about 2 s, long before anything moves."""
        kind, vmid = sid.split(":", 1)
        source = self.guest(cluster, int(vmid)).node
        verb = "relocate" if relocate else "migrate"
        what = "CT" if kind == "ct" else "VM"
        line = f"Requesting HA migration for {what} {vmid} to node {target}"
        blocked = self.ha_request(cluster, sid, target, relocate).get("blocking-resources")
        task = self.new_task(cluster, source, "hamigrate", vmid, user)
        task.log.append(line)
        error = "OK"
        if blocked:
            task.log += [f"cannot migrate resource '{sid}' to node '{target}':", ""]
            for one in blocked:
                who = f"resource '{one['sid']}' on target node '{target}'"
                task.log.append(f"- {who} in negative affinity with resource '{sid}'")
            error = f"command 'ha-manager {verb} {sid} {target}' failed: exit code 2"
        self.after(1.6, lambda: self.finish_task(cluster, task, error))
        return task

    def ha_relocate(self, cluster: Cluster, sid: str, target: str, user: str) -> Task:
        return self.ha_migrate(cluster, sid, target, user, relocate=True)

    def ha_blocking(self, cluster: Cluster, sid: str, target: str) -> list[str]:
        return ha_rules.blocking(cluster, sid, target) if sid in cluster.ha.resources else []

    def crm_maintenance(self, cluster: Cluster, node: str, enable: bool) -> None:
        """``ha-manager crm-command node-maintenance enable|disable NODE``."""
        self.node(cluster, node)
        self._queue(cluster, ("enable" if enable else "disable", node, ""))

    def rule_set(self, cluster: Cluster, rule: HaRule) -> None:
        """Create or replace a rule; at most one node-affinity rule may name a resource."""
        for sid in rule.resources:
            if sid not in cluster.ha.resources:
                raise LawError(f"cannot use unmanaged resource(s) {sid}.")
            other = ha_rules.node_rule(cluster, sid) if rule.type == "node-affinity" and not rule.disable else None
            if other is not None and other.rule != rule.rule:
                raise LawError(f"resource '{sid}' is already used in another node affinity rule '{other.rule}'")
        for name in rule.nodes:
            self.node(cluster, name)
        cluster.ha.rules[rule.rule] = rule
        self.note(cluster, f"HA rule {rule.rule} set")
        self._ha_wake(cluster)

    def rule_delete(self, cluster: Cluster, rule: str) -> None:
        if cluster.ha.rules.pop(rule, None) is None:
            raise LawError(f"HA rule '{rule}' not configured")
        self.note(cluster, f"HA rule {rule} deleted")
        self._ha_wake(cluster)

    def resource_set(self, cluster: Cluster, resource: HaResource) -> None:
        cluster.ha.resources[resource.sid] = resource
        self._ha_wake(cluster)

    def resource_delete(self, cluster: Cluster, sid: str) -> None:
        if cluster.ha.resources.pop(sid, None) is None:
            raise LawError(f"cannot delete service '{sid}', not HA managed!")
        self._ha_wake(cluster)

    def ha_arm(self, cluster: Cluster, armed: bool) -> None:
        """Disarmed, the HA manager neither moves, starts nor fences."""
        cluster.ha.armed = armed
        self.note(cluster, f"HA {'armed' if armed else 'disarmed'}")
        self._ha_wake(cluster)

    # --- the rounds' clockwork ---

    def _queue(self, cluster: Cluster, command: tuple[str, str, str]) -> None:
        self._queues.setdefault(cluster.name, []).append(command)
        self._ha_wake(cluster)

    def _phase(self, cluster: Cluster) -> float:
        return between(0, CRM_S, self.world.seed, "crm", cluster.name)

    def _ha_wake(self, cluster: Cluster) -> None:
        asleep = self._awake.get(cluster.name, 0) <= 0
        self._awake[cluster.name] = 6
        if asleep:
            phase = self._phase(cluster)
            waking = self._waking[cluster.name] = self._waking.get(cluster.name, 0) + 1
            self.at(self.now + (phase - self.now) % CRM_S, lambda: self._crm_round(cluster, waking))
            self.at(self.now + (phase + 0.7 - self.now) % LRM_S, lambda: self._lrm_round(cluster, waking))

    def _crm_round(self, cluster: Cluster, waking: int) -> None:
        if waking != self._waking[cluster.name]:
            return
        self._awake[cluster.name] = 6 if self._ha_busy(cluster) else self._awake.get(cluster.name, 0) - 1
        cluster.ha.timestamp = self.now
        if cluster.ha.armed and self._master(cluster):
            self._crm_commands(cluster)
            for name in sorted(cluster.nodes):
                self._crm_node(cluster, name)
            for sid in sorted(set(cluster.ha.services) | set(cluster.ha.resources)):
                self._crm_service(cluster, sid)
        if self._awake[cluster.name] > 0:
            self.after(CRM_S, lambda: self._crm_round(cluster, waking))

    def _ha_busy(self, cluster: Cluster) -> bool:
        ha = cluster.ha
        settled = ("started", "stopped", "error")
        if self._queues.setdefault(cluster.name, []) or any(
            v is None for (c, _), v in self._workers.items() if c == cluster.name
        ):
            return True
        if any(
            s.state not in settled or s.requested or not s.running for s in ha.services.values() if s.state != "error"
        ):
            return any(ha.node_status.get(s.node) in ("online", "unknown", "fence") for s in ha.services.values())
        return any(
            (status == "online") != node.online or status in ("unknown", "fence")
            for name, node in cluster.nodes.items()
            for status in [ha.node_status.get(name, "unknown")]
            if status != "maintenance"
        )

    def _settle(self) -> None:
        super()._settle()
        for cluster in self.world.clusters.values():
            phase = self._phase(cluster)
            master = cluster.nodes.get(cluster.ha.master)
            if master is not None and master.online:
                cluster.ha.timestamp = max(cluster.ha.timestamp, self.now - (self.now - phase) % CRM_S)
            for name, lrm in cluster.ha.lrm.items():
                if cluster.nodes[name].online:
                    lrm.timestamp = max(lrm.timestamp, self.now - (self.now - phase - 0.7) % LRM_S)

    # --- the CRM ---

    def _master(self, cluster: Cluster) -> bool:
        """Is a master at work? One that died is replaced when its lock has expired."""
        if not cluster.quorate:
            return False
        if cluster.nodes[cluster.ha.master].online:
            return True
        if self.now - self._lost_at.get((cluster.name, cluster.ha.master), 0.0) < MASTER_LOCK_S:
            return False
        cluster.ha.master = min(n.name for n in cluster.nodes.values() if n.online)
        self.note(cluster, f"HA master is now {cluster.ha.master}")
        return True

    def _crm_commands(self, cluster: Cluster) -> None:
        queue = self._queues.setdefault(cluster.name, [])
        for verb, what, target in queue:
            if verb in ("enable", "disable"):
                cluster.ha.node_request[what] = {"maintenance": 1} if verb == "enable" else {}
                self.note(cluster, f"HA maintenance of {what} {verb}d")
            elif what in cluster.ha.services:
                service = cluster.ha.services[what]
                service.requested = target
                if verb == "relocate":
                    self._by_stop.add((cluster.name, what))
        queue.clear()

    def _crm_node(self, cluster: Cluster, name: str) -> None:
        ha, node = cluster.ha, cluster.nodes[name]
        status = ha.node_status.get(name, "unknown")
        lrm = ha.lrm.setdefault(name, Lrm(state="wait_for_agent_lock"))
        lost = self._lost_at.get((cluster.name, name), self.now)
        if node.online:
            wanted = "maintenance" if lrm.mode == "maintenance" else "online"
            if status == "fence" or (status == "maintenance" and self._boot_fresh(cluster, name)):
                return
            ha.node_status[name] = wanted
        elif status == "online":
            if self.now - lost > 5.0:
                ha.node_status[name] = "unknown"
        elif status == "unknown" and self.now - lost >= FENCE_AFTER_S:
            if any(s.node == name and s.state not in ("stopped", "error", "fence") for s in ha.services.values()):
                ha.node_status[name] = "fence"
                self.note(cluster, f"HA fences {name}")
        elif status == "fence" and self.now - lost >= LOCK_EXPIRES_S + CRM_S - 1:
            ha.node_status[name] = "unknown"
            self.note(cluster, f"HA fencing of {name} acknowledged")

    def _boot_fresh(self, cluster: Cluster, name: str) -> bool:
        """The LRM of a node that has just come up has not reported yet."""
        booted = cluster.nodes[name].booted_at
        return booted is not None and self.now - booted < 3.0

    def _crm_service(self, cluster: Cluster, sid: str) -> None:
        ha = cluster.ha
        resource = ha.resources.get(sid)
        if resource is None:
            ha.services.pop(sid, None)
            return
        service = ha.services.get(sid)
        if service is None:
            vmid = int(sid.split(":")[1])
            guest = cluster.guests.get(vmid)
            if guest is None:
                return
            service = HaService(sid, guest.node, running=guest.status == "running", uid=self._uid(sid))
            ha.services[sid] = service
        status = ha.node_status.get(service.node, "unknown")
        if status == "fence" and service.state in ("started", "migrate", "relocate", "request_stop", "freeze"):
            service.state, service.target, service.running = "fence", None, False
        elif service.state == "fence" and status != "fence":
            service.state = "recovery"
        if service.state == "recovery":
            self._recover(cluster, service)
        elif service.state in ("migrate", "relocate", "request_stop"):
            self._crm_result(cluster, service)
        elif service.state == "freeze":
            if cluster.nodes[service.node].online and ha.lrm[service.node].mode == "active":
                service.state = "started"
        elif service.state == "stopped":
            if resource.state == "started":
                service.state, service.running = "started", False
        elif service.state == "started":
            self._crm_started(cluster, service, resource)

    def _crm_started(self, cluster: Cluster, service: HaService, resource: HaResource) -> None:
        ha, sid = cluster.ha, service.sid
        status = ha.node_status.get(service.node, "unknown")
        worker = self._workers.get((cluster.name, sid), True)
        if worker is None or status == "unknown":
            return
        self._workers.pop((cluster.name, sid), None)
        if worker is False and not service.running:
            self._start_failed(cluster, service, resource)
            return
        guest = cluster.guests[int(sid.split(":")[1])]
        service.running = guest.status == "running"
        if resource.state in ("stopped", "disabled"):
            service.state, service.uid = "request_stop", self._uid(sid)
            return
        target = None
        if service.requested is not None:
            wish, service.requested = service.requested, None
            if ha.node_status.get(wish) == "online" and wish != service.node:
                target = wish
                service.maintenance_node = None
        elif status == "maintenance":
            target = ha_rules.best(cluster, sid, service.node)
            if target is not None:
                service.maintenance_node = service.maintenance_node or service.node
        elif service.maintenance_node and ha.node_status.get(service.maintenance_node) == "online":
            home, service.maintenance_node = service.maintenance_node, None
            target = home if resource.failback and home != service.node else None
        else:
            target = ha_rules.misplaced(cluster, sid)
        if target is not None and target != service.node:
            by_stop = (cluster.name, sid) in self._by_stop or sid.startswith("ct:") or not service.running
            service.state = "relocate" if by_stop else "migrate"
            service.target, service.running, service.uid = target, False, self._uid(sid)

    def _crm_result(self, cluster: Cluster, service: HaService) -> None:
        key = (cluster.name, service.sid)
        if service.uid not in cluster.ha.lrm[service.node].results:
            return
        ok = cluster.ha.lrm[service.node].results.pop(service.uid)["exit_code"] == 0
        self._workers.pop(key, None)
        if service.state == "request_stop":
            service.state = "stopped" if ok else "error"
            return
        if ok and service.target is not None:
            service.node = service.target
        service.state, service.target = "started", None
        self._by_stop.discard(key)

    def _start_failed(self, cluster: Cluster, service: HaService, resource: HaResource) -> None:
        """One more try on another node (``max_relocate``), then the state ``error``."""
        count = self._tries[cluster.name, service.sid] = self._tries.get((cluster.name, service.sid), 0) + 1
        target = ha_rules.best(cluster, service.sid, service.node)
        if count > resource.max_relocate or target is None:
            service.state = "error"
            self._tries.pop((cluster.name, service.sid), None)
            self.note(cluster, f"HA gives up on {service.sid}: state error")
            return
        service.state, service.target, service.uid = "relocate", target, self._uid(service.sid)

    def _recover(self, cluster: Cluster, service: HaService) -> None:
        target = ha_rules.best(cluster, service.sid, service.node)
        if target is None:
            return
        guest = cluster.guests[int(service.sid.split(":")[1])]
        self.note(cluster, f"HA recovers {service.sid} from {service.node} to {target}")
        guest.node = service.node = target
        guest.lock = None
        service.state, service.running, service.target = "started", False, None

    def _uid(self, sid: str) -> str:
        return hexdigits(22, self.world.seed, "uid", sid, self.now)

    # --- the LRMs ---

    def _lrm_round(self, cluster: Cluster, waking: int) -> None:
        if waking != self._waking[cluster.name]:
            return
        if cluster.ha.armed and cluster.quorate:
            for name in sorted(cluster.nodes):
                if cluster.nodes[name].online:
                    self._lrm_node(cluster, name)
        if self._awake.get(cluster.name, 0) > 0:
            self.after(LRM_S, lambda: self._lrm_round(cluster, waking))

    def _lrm_node(self, cluster: Cluster, name: str) -> None:
        ha = cluster.ha
        lrm = ha.lrm.setdefault(name, Lrm(state="wait_for_agent_lock"))
        lrm.timestamp = self.now
        asked = bool(ha.node_request.get(name, {}).get("maintenance"))
        leaving = (cluster.name, name) in self._leaving
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

        def done(ok: bool) -> None:
            self._workers[key] = ok
            self._ha_wake(cluster)

        if service.state in ("migrate", "relocate") and service.target:
            if service.uid in cluster.ha.lrm[service.node].results:
                return 0
            self._workers[key] = None
            if service.state == "relocate" and guest.type == "qemu" and guest.status == "running":
                self._relocate_vm(cluster, service, done)
                return 1
            self.start_migration(
                cluster, guest.vmid, service.target, online=guest.type == "qemu", user="root@pam", by_ha=True,
                restart=guest.type == "lxc", done=done,
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

    def _relocate_vm(self, cluster: Cluster, service: HaService, done: Any) -> None:
        """Shutdown, move; the next round starts it there."""
        guest, target = cluster.guests[int(service.sid.split(":")[1])], service.target or ""

        def move(ok: bool) -> None:
            if not ok or guest.lock:
                done(False)
                return
            self.start_migration(cluster, guest.vmid, target, online=False, user="root@pam", by_ha=True, done=done)

        self.shutdown_now(cluster, guest, "root@pam", force_stop=True, why="restart", done=move)
