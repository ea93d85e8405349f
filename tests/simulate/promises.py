"""What must hold in the world whatever happens to the run, looked at from outside after every event.

A promise that somebody else has broken (a node that died, an operator who cleared a flag) is not held against noout;
what it did itself is, however bad the moment was.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from noout.domain.journal import Event, Kind, chain_error
from noout.domain.maintenance import Maintenance, Phase
from noout.lab.world.laws import Laws
from noout.lab.world.model import Cluster
from tests.sim.promises import arrival
from tests.sim.story import NODE
from tests.simulate.truth import is_so

STOPPED_S = 120.0  # a container's restart is over by then
MOVES = ("migrate", "ha-migrate")
PLACES = (*MOVES, "shutdown-guest", "start-guest")  # what is asked of one guest, one at a time
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
    _owned: set[str] = field(default_factory=set)  # kinds of what the journal calls ours
    _may_come: set[str] = field(default_factory=set)  # verbs of effects taken for failed, which may come late
    _ordered: Counter[tuple[int, str]] = field(default_factory=Counter)  # moves: guest and target
    _came: Counter[tuple[int, str]] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.guests = set(self.cluster.guests)
        self.running = {guest.vmid for guest in self.cluster.guests.values() if guest.status == "running"}
        self.onboot = {guest.vmid for guest in self.cluster.guests.values() if guest.onboot}
        self.homes = {guest.vmid: guest.node for guest in self.cluster.guests.values()}
        ceph = self.cluster.ceph
        assert ceph is not None
        self._cluster_flags = {("", flag) for flag in ceph.flags}
        self.host_flags = {(host, flag) for host, flags in ceph.crush_node_flags.items() for flag in flags}
        self._seen = len(self.laws.world.happened)
        self._settings = self._as_set()

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

    def is_ours(self, host: str, flag: str) -> bool:
        """It stands, and nobody else has set it."""
        return self._is_set(host, flag) and not {(host, flag)} & (self.foreign | self.host_flags | self._cluster_flags)

    def unheld_by_others(self) -> None:
        self.unheld_at = self.laws.now

    # --- what noout writes and does ---------------------------------------------------------------------------

    def written(self, event: Event, disturbed: bool) -> None:
        """``disturbed``: something changes the world, or the picture of it, in this very moment."""
        if event.kind == Kind.MESSAGE:
            said = str(event.data.get("kind"))
            self._paused = said == "pause" or (self._paused and said not in ("resume", "abort"))
        elif event.kind == Kind.INTENT:
            self._intended(event.data["key"], event.data["action"], disturbed)
        elif event.kind == Kind.FACT:
            self._noted |= event.data["name"] == "note"
            value = event.data["value"]
            if event.data["name"] == "caution" and value["code"] == "ha.failback-moves":  # the cause is recorded
                self.moved_by_others(int(value["subject"].rpartition("/")[2]))
        elif event.kind == Kind.OWNED:
            self._owned.add(event.data["kind"])
        elif event.kind == Kind.RELEASED:
            self._owned.discard(event.data["kind"])
        elif event.kind == Kind.FAILED:
            action = self._open.pop(event.data["key"], None)
            if action is not None and event.data.get("may_come"):
                self._may_come.add(action["verb"])
        elif event.kind == Kind.DONE:
            action = self._open.pop(event.data["key"], None)
            if action is not None and not disturbed and not self.dead:
                so = is_so(self.cluster, action["verb"], action["subject"], action["args"])
                if so is False:
                    self._say(f"{event.data['key']} was called done, and it is not so")
        elif event.kind == Kind.BLOCKED:
            for each in event.data["blockers"]:
                if not each["remedy"]:
                    self._say(f"it is blocked by {each['code']}, and nobody is told what to do")
        elif event.kind == Kind.WAITING and not (event.data["needs"] or event.data["limit"]):
            self._say(f"it waits for {event.data['why']} without an end, and for nobody")

    def _intended(self, key: str, action: dict[str, Any], disturbed: bool) -> None:
        verb, subject = action["verb"], action["subject"]
        if self._paused:
            self._say(f"{key} was begun while it was paused")
        if verb in PLACES and any(e["subject"] == subject and e["verb"] in PLACES for e in self._open.values()):
            self._say(f"{key} was begun while something else was asked of the same guest: it may be on two nodes")
        if verb in MOVES:
            self._ordered[int(subject.rpartition("/")[2]), str(action["args"]["target"])] += 1
        self._open[key] = action
        if not disturbed:
            self._begun(verb)

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
        others = sum(node.online for name, node in self.cluster.nodes.items() if name != NODE.name)
        if verb == "shutdown-node" and others * 2 <= len(self.cluster.nodes):
            self._say("the node was to go off though the others have no majority")
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
        self._happened()

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
        for host, flag in ((NODE.name, "noout"), (NODE.name, "noup"), ("", "noout")):
            if self.is_ours(host, flag) and not self._is_known(flag if host else f"cluster-{flag}"):
                self._say(f"{flag} of {host or 'the cluster'} is ours, and the journal does not know it")

    def _is_known(self, kind: str) -> bool:
        asked = {action["verb"] for action in self._open.values()} | self._may_come
        return kind in self._owned or not asked.isdisjoint((f"set-{kind}", f"unset-{kind}"))

    def _happened(self) -> None:
        happened = self.laws.world.happened
        for _, _, text in happened[self._seen :]:
            if (move := arrival(text)) is not None:
                self._came[move] += 1
                if self._came[move] - self._ordered[move] > self.moves[move[0]] and not self.dead:
                    self._say(f"guest {move[0]} came to {move[1]} without order")
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
        left = {("", flag) for flag in ceph.flags} - self._cluster_flags
        left |= {(h, f) for h, flags in ceph.crush_node_flags.items() for f in flags if (h, f) not in self.host_flags}
        for host, flag in sorted(left - self.foreign):
            self._say(f"{flag} was left on {host or 'the cluster'} by a closed maintenance")
        if self.cluster.ha.node_request.get(NODE.name, {}).get("maintenance"):
            self._say("HA's maintenance mode was left on")
        now, closed = self._as_set(), events[-1].data
        asked = [event.data["action"] for event in events if event.kind == Kind.INTENT]
        left_out = {a["subject"].partition("=")[0].partition("/")[2] for a in asked if a["verb"] == "leave-ejected"}
        for what, value in self._settings.items():
            if now.get(what) != value and what not in left_out:
                self._say(f"{what} was {value!r}, and is {now.get(what)!r} at the end")
        if more := sorted(set(now) - set(self._settings)):
            self._say(f"left at the end: {', '.join(more)}")
        if m.owned:
            self._say(f"closed while it still owns {[own.kind for own in m.owned]}")
        said = {str(each["guest"]) for each in closed.get("leftovers", ())}
        for vmid in sorted(self.running - self.excused - set(self.moves)):
            guest = self.cluster.guests[vmid]
            if guest.status != "running":
                self._say(f"guest {vmid} does not run at the end")
            elif guest.node != self.homes[vmid] and f"{NODE.cluster}/{vmid}" not in said and not self.dead:
                self._say(f"guest {vmid} is on {guest.node}, not at home, and nobody says so")

    def _as_set(self) -> dict[str, object]:
        """What noout changes for the time, and nobody else in these histories."""
        ha = self.cluster.ha
        found: dict[str, object] = {"crs": self.cluster.options.get("crs", "")}
        found |= {f"the failback of {sid}": each.failback for sid, each in ha.resources.items()}
        found |= {f"the rule {name}": sorted(rule.nodes) for name, rule in ha.rules.items()}
        for guest in self.cluster.guests.values():
            found |= {f"{guest.vmid}:{disk.key}": disk.volid for disk in guest.disks if disk.cdrom}
        return found

    def _named_state(self, m: Maintenance) -> None:
        if m.phase in (Phase.DONE, Phase.ABORTED):
            return
        nameless = [each.code for each in m.blockers if not each.remedy]
        if nameless or not (m.blockers or m.needs or m.paused):
            self._say(f"it hangs in {m.step} without a next action: {nameless or m.waiting_for}")
