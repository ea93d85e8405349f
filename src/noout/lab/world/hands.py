"""The technician's hands at the rack. What they do repairs only what its cause is."""

from __future__ import annotations

from typing import Any

from noout.lab.world.faults import FaultLaws
from noout.lab.world.kernel import LawError
from noout.lab.world.model import Cluster

REPAIRS = {"clean_fans": "dust", "reseat_connector": "connector", "replace_fan": "bearing"}
ACTIONS = ("open_lid", "close_lid", "pull_cords", "plug_cords", "press_power", "reseat_dimms", *REPAIRS)


class HandsLaws(FaultLaws):
    def hands(self, cluster: Cluster, node: str, action: str, **params: Any) -> None:
        """One of ``ACTIONS`` at the node; ``replace_fan`` needs ``fan``, other repairs may name one. LawError 400."""
        if node not in cluster.bmcs:
            raise LawError(f"no such node: {node}", 400)
        if action not in ACTIONS:
            raise LawError(f"no such action: {action}; there are {', '.join(ACTIONS)}", 400)
        bmc = cluster.bmcs[node]
        inside = action in REPAIRS or action == "reseat_dimms"
        if inside and not bmc.lid_open:
            raise LawError(f"{action}: the lid of {node} is closed", 400)
        unknown = set(params) - {"fan"}
        if unknown or ("fan" in params and params["fan"] not in bmc.fans):
            raise LawError(f"{action}: no such parameter or fan: {params}", 400)
        self.note(cluster, f"hands on {node}: {action} {params.get('fan', '')}".rstrip())
        if action in REPAIRS:
            self._repair(cluster, node, action, params.get("fan"))
        else:
            getattr(self, f"_hands_{action}")(cluster, node)

    def _repair(self, cluster: Cluster, node: str, action: str, which: str | None) -> None:
        fans = cluster.bmcs[node].fans
        if action == "replace_fan" and which is None:
            raise LawError("replace_fan: which fan?", 400)
        for name, fan in fans.items():
            if which not in (None, name):
                continue
            new = action == "replace_fan"
            if new:
                fan.present, fan.stops = True, []
                self.bmc_record(cluster, node, "OK", f"{name}: removed and inserted", name, "FanInserted")
            if fan.cause and (fan.cause == REPAIRS[action] or new):
                fan.flap_per_hour, fan.wear_per_day, fan.cause = 0.0, 0.0, ""
                self.note(cluster, f"fan {name} of {node} repaired")

    def _hands_open_lid(self, cluster: Cluster, node: str) -> None:
        cluster.bmcs[node].lid_open = True
        self.bmc_record(cluster, node, "Warning", "Chassis intrusion asserted", "Intrusion", "ChassisIntrusion")

    def _hands_close_lid(self, cluster: Cluster, node: str) -> None:
        cluster.bmcs[node].lid_open = False
        self.bmc_record(cluster, node, "OK", "Chassis intrusion deasserted", "Intrusion", "ChassisIntrusionCleared")

    def _hands_pull_cords(self, cluster: Cluster, node: str) -> None:
        self.power_cut(cluster, node, "at the cords")
        cluster.bmcs[node].cords_pulled = True
        cluster.bmcs[node].led = False

    def _hands_plug_cords(self, cluster: Cluster, node: str) -> None:
        bmc = cluster.bmcs[node]
        if not bmc.cords_pulled:
            return
        bmc.cords_pulled = False
        self.bmc_record(cluster, node, "OK", "AC power restored", "PSU1", "ACRestored")
        if bmc.power_restore_policy != "AlwaysOff":
            self.after(5.0, lambda: self.power_on(cluster, node))

    def _hands_press_power(self, cluster: Cluster, node: str) -> None:
        if cluster.nodes[node].online:
            self.node_shutdown(cluster, node)
        elif not cluster.nodes[node].power:
            self.after(1.0, lambda: self.power_on(cluster, node))

    def _hands_reseat_dimms(self, cluster: Cluster, node: str) -> None:
        bmc, record = cluster.bmcs[node], cluster.nodes[node]
        if record.power:
            raise LawError(f"reseat_dimms: {node} is powered on", 400)
        while bmc.dimms < 16:
            record.maxmem += record.maxmem // bmc.dimms
            bmc.dimms += 1
