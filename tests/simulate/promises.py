"""What must hold in the world whatever happens to the run, looked at from outside after every event.

A promise that somebody else has broken (a node that died, an operator who cleared a flag) is not held against noout;
what it did itself is, however bad the moment was.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from noout.domain.journal import Event, Kind, chain_error
from noout.domain.maintenance import Maintenance, MoveKind, Phase
from noout.lab.world.laws import Laws
from noout.lab.world.model import Cluster
from tests.sim.promises import arrival
from tests.sim.story import NODE
from tests.simulate.truth import is_so

STOPPED_S = 120.0  # a container's restart is over by then
UNHELD_S = 90.0  # after somebody else took our flag away


@dataclass
class Promises:
    laws: Laws
    cluster: Cluster
    broken: list[str] = field(default_factory=list)
    foreign: set[tuple[str, str]] = field(default_factory=set)  # (host or "", flag) set by others
    moves: Counter[int] = field(default_factory=Counter)  # by others
    excused: set[int] = field(default_factory=set)  # guests that a fault stopped
    dead: set[str] = field(default_factory=set)  # nodes that died at least once
    unheld_at: float = -1e18  # when others took our flag away
    redundancy_lost: bool = False  # something else failed in this history
    consented_down: set[int] = field(default_factory=set)
    _down_since: dict[int, float] = field(default_factory=dict)
    _off: bool = False
    _paused: bool = False
    _noted: bool = False
    _open: dict[str, dict[str, Any]] = field(default_factory=dict)  # intents without an end, by key
    _osds_down: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.guests = set(self.cluster.guests)
        self.running = {guest.vmid for guest in self.cluster.guests.values() if guest.status == "running"}
        self.onboot = {guest.vmid for guest in self.cluster.guests.values() if guest.onboot}
        self.homes = {guest.vmid: guest.node for guest in self.cluster.guests.values()}
        ceph = self.cluster.ceph
        assert ceph is not None
        self.flags = set(ceph.flags)
        self.host_flags = {(host, flag) for host, flags in ceph.crush_node_flags.items() for flag in flags}
        self._seen = len(self.laws.world.happened)

    # --- what others did ------------------------------------------------------------------------------------

    def lost_by_fault(self, node: str) -> None:
        self.dead.add(node)
        self.redundancy_lost = True
        self.excused |= {guest.vmid for guest in self.cluster.guests.values() if guest.node == node}

    def redundancy_lost_by_fault(self) -> None:
        self.redundancy_lost = True

    def moved_by_others(self, vmid: int) -> None:
        self.moves[vmid] += 1

    def foreign_flag(self, host: str, flag: str) -> None:
        self.foreign.add((host, flag))

    def foreign_flag_gone(self, host: str, flag: str) -> None:
        """Its owner clears it now; if it is gone already, somebody else did."""
        if (host, flag) in self.foreign and not self._is_set(host, flag):
            self._say(f"somebody else's {flag} on {host or 'the cluster'} was cleared")
        self.foreign.discard((host, flag))
        if host == NODE.name:
            self.unheld_by_others()

    def is_foreign(self, host: str, flag: str) -> bool:
        return (host, flag) in self.foreign

    def unheld_by_others(self) -> None:
        self.unheld_at = self.laws.now

    # --- what noout writes and does ---------------------------------------------------------------------------

    def written(self, event: Event, disturbed: bool) -> None:
        """``disturbed``: something changes the world, or the picture of it, in this very moment."""
        if event.kind == Kind.MESSAGE:
            said = str(event.data.get("kind"))
            self._paused = said == "pause" or (self._paused and said not in ("resume", "abort"))
        elif event.kind == Kind.INTENT:
            self._open[event.data["key"]] = event.data["action"]
            if self._paused:
                self._say(f"{event.data['key']} was begun while it was paused")
            if not disturbed:
                self._begun(event.data["action"]["verb"])
        elif event.kind == Kind.FACT and event.data["name"] == "note":
            self._noted = True
        elif event.kind == Kind.FAILED:
            self._open.pop(event.data["key"], None)
        elif event.kind == Kind.DONE:
            action = self._open.pop(event.data["key"], None)
            if action is not None and not disturbed and not self.dead:
                so = is_so(self.cluster, action["verb"], action["subject"], action["args"])
                if so is False:
                    self._say(f"{event.data['key']} was called done, and it is not so")

    def _begun(self, verb: str) -> None:
        """The world at the moment of the intent: none of these may be begun in it."""
        ceph, bmc = self.cluster.ceph, self.cluster.bmcs[NODE.name]
        assert ceph is not None
        own = [osd.id for osd in ceph.osds.values() if osd.host == NODE.name]
        up = [osd for osd in own if ceph.osds[osd].up]
        if verb == "stop-osd" and not self.laws.ok_to_stop(self.cluster, up)["ok_to_stop"]:
            self._say("an OSD was stopped though Ceph would not have it")
        left = sum(mon.in_quorum for mon in ceph.mons.values() if mon.name != NODE.name)
        if verb == "stop-mon" and left * 2 <= len(ceph.mons):
            self._say("the mon was stopped though the others have no majority")
        if verb == "unset-noout" and len(up) < len(own):
            self._say("noout was released while the node's OSDs are down")
        if verb == "unset-noout" and any(pg.behind for pg in ceph.pgs.values()) and not self.redundancy_lost:
            self._say("noout was released before all was clean")
        if verb == "power-on" and (bmc.lid_open or bmc.cords_pulled):
            self._say("the node was switched on under the technician's hands")

    def effect(self, what: str) -> None:
        """Something was asked of the world: there must be an intent for it in the journal, still open."""
        note = self._noted and what.endswith(f"/nodes/{NODE.name}/config")  # written down as a fact, not as an effect
        if not self._open and not note and "/Sessions" not in what:
            self._say(f"an effect without an intent: {what}")

    # --- at every look ----------------------------------------------------------------------------------------

    def look(self) -> None:
        self.laws.advance()
        self._guests()
        self._node()
        self._ceph()

    def _say(self, text: str) -> None:
        if text not in self.broken:
            self.broken.append(text)

    def _guests(self) -> None:
        there = set(self.cluster.guests)
        if lost := self.guests - there:
            self._say(f"guests lost: {sorted(lost)}")
        for guest in self.cluster.guests.values():
            if guest.vmid not in self.running or guest.vmid in self.excused or guest.vmid in self.consented_down:
                continue
            if not self.cluster.nodes[guest.node].online and guest.node in self.dead:
                self.excused.add(guest.vmid)
            elif guest.status == "stopped":
                since = self._down_since.setdefault(guest.vmid, self.laws.now)
                if self.laws.now - since > STOPPED_S:
                    self._say(f"guest {guest.vmid} was stopped without consent, on {guest.node}")
            else:
                self._down_since.pop(guest.vmid, None)

    def _node(self) -> None:
        """The moment the node goes off: empty and held, unless a fault took it."""
        node = self.cluster.nodes[NODE.name]
        off = not node.power
        if off and not self._off and NODE.name not in self.dead:
            here = [g.vmid for g in self.cluster.guests.values() if g.node == NODE.name and g.status == "running"]
            if here:
                self._say(f"{NODE.name} was switched off with guests {here} running")
            if not self._held():
                self._say(f"{NODE.name} was switched off with its data not held")
        self._off = off

    def _ceph(self) -> None:
        ceph = self.cluster.ceph
        assert ceph is not None
        own = {osd.id for osd in ceph.osds.values() if osd.host == NODE.name}
        down = {osd for osd in own if not ceph.osds[osd].up}
        fresh = down - self._osds_down
        if fresh and NODE.name not in self.dead and not self._held():
            self._say(f"OSDs {sorted(fresh)} of {NODE.name} went down and were not held")
        self._osds_down = down
        for host, flag in self.foreign:
            if not self._is_set(host, flag):
                self._say(f"somebody else's {flag} on {host or 'the cluster'} was cleared")
        happened = self.laws.world.happened
        for _, _, text in happened[self._seen :]:
            if text == "ceph I/O blocked" and not self.redundancy_lost:
                self._say("clients' writes waited for Ceph, and nothing but noout was at work")
            if text == "cluster lost its quorum" and not self.dead:
                self._say("the cluster lost its quorum by our hand")
        self._seen = len(happened)

    def _held(self) -> bool:
        if self.laws.now - self.unheld_at < UNHELD_S:
            return True
        return self._is_set("", "noout") or self._is_set(NODE.name, "noout")

    def _is_set(self, host: str, flag: str) -> bool:
        ceph = self.cluster.ceph
        assert ceph is not None
        return flag in (ceph.flags if not host else ceph.crush_node_flags.get(host, set()))

    # --- at the end -------------------------------------------------------------------------------------------

    def at_the_end(self, m: Maintenance, events: list[Event]) -> None:
        self.look()
        if (wrong := chain_error(events)) is not None:
            self._say(wrong)
        self._moves(events)
        self._named_state(m)
        if m.phase not in (Phase.DONE, Phase.ABORTED):
            self._say(f"all troubles are long over, and it is not closed: it is in {m.step}")
            return
        ceph = self.cluster.ceph
        assert ceph is not None
        if self.cluster.bmcs[NODE.name].led:
            self._say("the LED was left on")
        asleep = [vmid for vmid in sorted(self.onboot - set(self.moves)) if not self.cluster.guests[vmid].onboot]
        if asleep:
            self._say(f"guests {asleep} do not start at boot any more")
        left = {("", flag) for flag in ceph.flags - self.flags}
        left |= {(h, f) for h, flags in ceph.crush_node_flags.items() for f in flags if (h, f) not in self.host_flags}
        for host, flag in sorted(left - self.foreign):
            self._say(f"{flag} was left on {host or 'the cluster'} by a closed maintenance")
        if self.cluster.ha.node_request.get(NODE.name, {}).get("maintenance"):
            self._say("HA's maintenance mode was left on")
        if m.owned:
            self._say(f"closed while it still owns {[own.kind for own in m.owned]}")
        away = {guest.id.vmid: guest for guest in self._leftovers(m)}
        for vmid in sorted(self.running - self.excused - set(self.moves)):
            guest = self.cluster.guests[vmid]
            if guest.status != "running":
                self._say(f"guest {vmid} does not run at the end")
            elif m.phase is Phase.DONE and guest.node != self.homes[vmid] and vmid not in away and not self.dead:
                self._say(f"guest {vmid} is on {guest.node}, not at home, and nobody says so")

    def _leftovers(self, m: Maintenance) -> list[object]:
        return []

    def _moves(self, events: list[Event]) -> None:
        ordered: Counter[tuple[int, str]] = Counter()
        for event in events:
            if event.kind == Kind.INTENT and event.data["action"]["verb"] in ("migrate", "ha-migrate"):
                action = event.data["action"]
                ordered[int(action["subject"].rpartition("/")[2]), str(action["args"]["target"])] += 1
        happened: Counter[tuple[int, str]] = Counter()
        for _, _, text in self.laws.world.happened:
            if (move := arrival(text)) is not None:
                happened[move] += 1
        for (vmid, target), times in sorted((happened - ordered).items()):
            if times > self.moves[vmid] and not self.dead:
                self._say(f"guest {vmid} came to {target} without order")

    def _named_state(self, m: Maintenance) -> None:
        if m.phase in (Phase.DONE, Phase.ABORTED):
            return
        nameless = [each.code for each in m.blockers if not each.remedy]
        if nameless or not (m.blockers or m.needs or m.paused):
            self._say(f"it hangs in {m.step} without a next action: {nameless or m.waiting_for}")


__all__ = ["MoveKind", "Promises"]
