"""The HA manager: the CRM's rounds decide, each node's LRM does; maintenance mode, rules, fencing, recovery.

The CRM works every 10 s, each LRM every 5 s; a request is only a line in a queue until the next round. When
nothing is left to decide the rounds are skipped (and only their time stamps kept up), so a quiet cluster costs
nothing.
"""

from __future__ import annotations

from typing import Any

from noout.lab.world import balance, ha_rules
from noout.lab.world.chance import between
from noout.lab.world.crm import CRM_S, CrmLaws
from noout.lab.world.kernel import LawError
from noout.lab.world.model import Cluster, HaResource, HaRule, Task

LRM_S = 10.0
LRM_OFFSET_S = 5.5  # the LRMs work half-way between two rounds of the CRM


class HaLaws(CrmLaws):
    """Requests go in here; what becomes of them shows in ``cluster.ha``."""

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
        if cluster.name not in self._phases:
            self._phases[cluster.name] = between(0, CRM_S, self.world.seed, "crm", cluster.name)
        return self._phases[cluster.name]

    def _ha_wake(self, cluster: Cluster) -> None:
        asleep = self._awake.get(cluster.name, 0) <= 0
        self._awake[cluster.name] = 6
        if asleep:
            phase = self._phase(cluster)
            waking = self._waking[cluster.name] = self._waking.get(cluster.name, 0) + 1
            self.at(self.now + (phase - self.now) % CRM_S, lambda: self._crm_round(cluster, waking))
            self.at(self.now + (phase + LRM_OFFSET_S - self.now) % LRM_S, lambda: self._lrm_round(cluster, waking))

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
            if (move := balance.next_move(cluster)) is not None:
                self._queue(cluster, ("migrate", *move))
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
                    lrm.timestamp = max(lrm.timestamp, self.now - (self.now - phase - LRM_OFFSET_S) % LRM_S)

    def _lrm_round(self, cluster: Cluster, waking: int) -> None:
        if waking != self._waking[cluster.name]:
            return
        if cluster.ha.armed and cluster.quorate:
            for name in sorted(cluster.nodes):
                if cluster.nodes[name].online:
                    self._lrm_node(cluster, name)
        if self._awake.get(cluster.name, 0) > 0:
            self.after(LRM_S, lambda: self._lrm_round(cluster, waking))
