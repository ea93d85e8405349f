"""The CRM: which node is what, where each HA service should be; fencing and recovery.

The order and the delays are those of a real cluster: a node is ``unknown`` a round after it vanished, ``fence``
after 60 s, its services are recovered when its agent lock has expired (at once if it was given back).
"""

from __future__ import annotations

from noout.lab.world import ha_rules
from noout.lab.world.chance import hexdigits
from noout.lab.world.lrm import LrmLaws
from noout.lab.world.model import Cluster, HaResource, HaService, Lrm

CRM_S = 10.0
FENCE_AFTER_S = 60.0  # since the node was last seen
LOCK_EXPIRES_S = 120.0  # the dead node's agent lock, last touched up to a round before it died
MASTER_LOCK_S = 120.0


class CrmLaws(LrmLaws):
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
        gone_s = self.now - self._lost_at.get((cluster.name, name), self.now)
        released = (cluster.name, name) in self._released
        if status == "fence":
            if gone_s >= (FENCE_AFTER_S + CRM_S - 1 if released else LOCK_EXPIRES_S + CRM_S - 1):
                ha.node_status[name] = "unknown"
                self.note(cluster, f"HA fencing of {name} acknowledged")
        elif node.online:
            if not (status == "maintenance" and self._boot_fresh(cluster, name)):
                ha.node_status[name] = "maintenance" if lrm.mode == "maintenance" else "online"
        elif status == "online":
            if gone_s > 5.0:
                ha.node_status[name] = "unknown"
        elif status == "unknown" and gone_s >= FENCE_AFTER_S:
            unfenced = ("stopped", "error", "fence", "freeze")
            if any(s.node == name and s.state not in unfenced for s in ha.services.values()):
                ha.node_status[name] = "fence"
                self.note(cluster, f"HA fences {name}")

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
        if status == "fence" and service.state in ("started", "migrate", "relocate", "request_stop"):
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
        if resource.state == "ignored":
            return
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
