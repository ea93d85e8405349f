"""What the console's templates are drawn from: pure functions of what was seen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from noout.app.sentences import sentence
from noout.app.waiting import how_long, what_now
from noout.domain.access import Person, Right
from noout.domain.ceph import CephState
from noout.domain.cluster import ClusterState, Guest, GuestId, NodeId
from noout.domain.hardware import Condition
from noout.domain.journal import Event, MessageKind
from noout.domain.maintenance import Maintenance, Phase

GIB = 2**30
JOURNAL_LINES = 14
STEPS = (
    ("evacuate", "Evacuate"), ("dispatch", "Technician to the rack"), ("hold-data", "Hold data"), ("repair", "Repair"),
    ("reintegrate", "Test and reintegrate"), ("return", "Guests home"),
)  # fmt: skip
# Of the OSD map's flags those that somebody sets and takes away again; the others say how the cluster was made.
SET_BY_HAND = frozenset(
    {
        "noout", "noup", "nodown", "noin", "norebalance", "norecover", "nobackfill", "noscrub", "nodeep-scrub", "pause",
        "pauserd", "pausewr", "full",
    }
)  # fmt: skip
SIZES = (2, 4, 8, 16, 24)  # GiB of a guest's memory, for the area of its block; more is the largest
WORDS = {
    Condition.OK: ("ok", "ok"), Condition.DEGRADED: ("caution", "degraded"),
    Condition.FLAPPING: ("caution", "flapping"), Condition.HUNTING: ("caution", "hunting"),
    Condition.FAILED: ("stop", "failed"),
    Condition.LOST_TELEMETRY: ("unk", "lost telemetry"),
}  # fmt: skip
WORST = (
    Condition.FAILED, Condition.FLAPPING, Condition.DEGRADED, Condition.HUNTING, Condition.LOST_TELEMETRY, Condition.OK,
)  # fmt: skip

_env = Environment(
    loader=PackageLoader("noout.web", "console/templates"),
    autoescape=select_autoescape(default=True),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_env.filters["first_upper"] = lambda text: text[:1].upper() + text[1:]


def icon(name: str, says: str = "") -> Markup:
    label = Markup('role="img" aria-label="{}"').format(says) if says else Markup('aria-hidden="true"')
    return Markup('<svg class="i {0}" viewBox="0 0 24 24" {1}><use href="#{0}"/></svg>').format(name, label)


def clock(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC" if at else ""


_env.globals |= {"icon": icon, "clock": clock}


def render(template: str, **what: Any) -> str:
    return _env.get_template(template).render(**what)


# --- the floor: nodes and guests --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Block:
    """One guest where it is, was, or goes to. ``state``: home, leaving, coming, arrived, ghost, held."""

    guest: GuestId
    name: str
    gib: float
    state: str

    @property
    def size(self) -> int:
        return next((size for size in SIZES if self.gib <= size), 32)

    @property
    def says(self) -> str:
        words = {
            "home": "runs here", "leaving": "leaving now", "coming": "arriving",
            "arrived": "has come in this maintenance",
            "ghost": "has left", "held": "stays until it is dealt with", "off": "does not run",
        }  # fmt: skip
        return f"{self.guest.vmid} {self.name}, {self.gib:.3g} GiB, {words[self.state]}"


@dataclass(frozen=True, slots=True)
class Column:
    node: str
    used_gib: float
    has_gib: float
    online: bool
    leaving: bool  # the node in maintenance
    blocks: tuple[Block, ...]


def floor(m: Maintenance, state: ClusterState) -> list[Column]:
    """A column for each node: its guests by memory, the largest first, with those on their way and those that left."""
    going = {
        each.action.subject: str(each.action.args.get("target", ""))
        for each in m.pending
        if "target" in each.action.args
    }
    moved = {each.guest for each in m.moved if not each.homeward}
    home = {each.guest for each in m.moved if each.homeward}
    found: dict[str, list[Block]] = {node.id.name: [] for node in state.nodes}
    for guest in state.guests:
        if guest.template:
            continue
        target = going.get(str(guest.id), "")
        here = "leaving" if target else _standing(guest, m, moved, home)
        found.setdefault(guest.node.name, []).append(_block(guest, here))
        if target in found:
            found[target].append(_block(guest, "coming"))
        elif guest.id in moved - home and guest.node != m.node and m.open:
            found[m.node.name].append(_block(guest, "ghost"))
    return [
        Column(
            node.id.name, node.ram_used_bytes / GIB, node.ram_bytes / GIB, node.online, node.id == m.node and m.open,
            tuple(sorted(found[node.id.name], key=lambda block: (-block.gib, block.guest))),
        )
        for node in sorted(state.nodes, key=lambda node: node.id)
    ]  # fmt: skip


def _standing(guest: Guest, m: Maintenance, moved: Iterable[GuestId], home: Iterable[GuestId]) -> str:
    if not guest.running:
        return "off"
    if guest.id in moved and guest.id not in home and guest.node != m.node:
        return "arrived"
    blocked = any(each.subject == str(guest.id) for each in m.blockers)
    return "held" if blocked and guest.node == m.node else "home"


def _block(guest: Guest, state: str) -> Block:
    return Block(guest.id, guest.name, guest.ram_bytes / GIB, state)


def flags(ceph: CephState | None) -> list[tuple[str, str]]:
    """Where, and which."""
    if ceph is None:
        return []
    found = [("the whole cluster", ceph.flags & SET_BY_HAND)]
    found += [(f"host {host}", each) for host, each in sorted(ceph.host_flags.items())]
    return [(where, ", ".join(sorted(each))) for where, each in found if each]


# --- the run ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Stop:
    """One step on the rail. ``state``: done, now, wait."""

    title: str
    state: str
    at: datetime | None
    note: str = ""


def rail(m: Maintenance) -> list[Stop]:
    done = dict(m.steps_done)
    found = []
    for name, title in STEPS:
        if name in done and name != m.step:
            found.append(Stop(title, "done", done[name]))
        elif name == m.step and m.open:
            found.append(Stop(title, "now", None, _note(m)))
        else:
            found.append(Stop(title, "done" if m.outcome == "done" else "wait", done.get(name)))
    return found


def _note(m: Maintenance) -> str:
    if m.plan is not None and m.phase is Phase.EVACUATING:
        away = len({each.guest for each in m.moved if not each.homeward})
        return f"{away} of {len(m.plan.moves)} away, {len(m.pending)} under way"
    return "; ".join(each.action.says for each in m.pending[:2])


def lines(events: Sequence[Event]) -> list[tuple[datetime, str, str]]:
    """The journal's last sentences, the newest first: when, who, what."""
    told = [(event.at, event.actor, said) for event in events if (said := sentence(event)) is not None]
    return told[-JOURNAL_LINES:][::-1]


# --- what can be done -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Deed:
    """A button: ``why`` says what it means, ``locked`` what opens it ("" where it can be pressed)."""

    kind: MessageKind
    label: str
    why: str
    locked: str = ""
    look: str = ""
    asks: str = ""  # what is to be typed with it; "" where it is done at once


RIGHT = {MessageKind.APPROVE: Right.APPROVE}


def deeds(m: Maintenance, person: Person) -> list[Deed]:
    """What an operator can say to this run now, and what each means for whom."""
    if not m.open:
        return []
    node, found = m.node.name, []
    under_way = len(m.pending)
    if m.needs in {"approval", "confirmation"}:
        says = _asked(m)
        kind = MessageKind.CONFIRM if m.needs == "confirmation" else MessageKind.APPROVE
        found.append(Deed(kind, "Do it" if kind is MessageKind.CONFIRM else "Approve", says, look="go"))
    if m.paused:
        found.append(Deed(MessageKind.RESUME, "Resume", "Looks at everything again, and goes on", look="go"))
    else:
        ends = f"What is under way ({under_way}) ends by itself; nothing" if under_way else "Nothing"
        found.append(Deed(MessageKind.PAUSE, "Pause", f"{ends} new starts. All guests keep running"))
        if m.needs == "operator":
            found.append(Deed(MessageKind.RESUME, "Resume", "Looks at everything again, and goes on", look="go"))
    if m.node_off_at is not None and m.node_on_at is None and not m.closing_up:
        says = f"The technician's phone says CLOSE UP NOW; {node} goes back as it was, not repaired"
        found.append(Deed(MessageKind.CLOSE_UP, "Close up…", says, look="danger", asks="Why"))
    if not m.aborting:
        found.append(Deed(MessageKind.ABORT, "Abort…", _abort(m), look="danger", asks="Why"))
    return [_for(deed, m, person) for deed in found]


def _asked(m: Maintenance) -> str:
    if m.needs == "confirmation":
        return m.waiting_for.removeprefix("somebody to confirm: ")
    moves = len(m.plan.moves) if m.plan else 0
    return f"{moves} guest{'s' if moves != 1 else ''} leave{'s' if moves == 1 else ''} {m.node.name} then, as planned"


def _abort(m: Maintenance) -> str:
    away = len(
        {each.guest for each in m.moved if not each.homeward} - {each.guest for each in m.moved if each.homeward}
    )
    guests = f"; the {away} that left stay{'s' if away == 1 else ''} where they are" if away else ""
    return f"Undoes what was done to {m.node.name}, as far as that is safe{guests}"


def _for(deed: Deed, m: Maintenance, person: Person) -> Deed:
    right = RIGHT.get(deed.kind, Right.OPERATE)
    if person.may(right, m.node.cluster):
        return deed
    role = "approver" if right is Right.APPROVE else "operator"
    return Deed(deed.kind, deed.label, deed.why, f"Locked: needs the role {role} in {m.node.cluster}", deed.look)


def waits(m: Maintenance) -> tuple[str, str]:
    """What it waits for since when, and what a person can do about it."""
    return (f"{m.waiting_for}{how_long(m)}", what_now(m)) if m.open and m.waiting_for else ("", "")


# --- the fleet --------------------------------------------------------------------------------------------------------


def worst(conditions: Iterable[Condition]) -> Condition:
    found = set(conditions)
    return next((each for each in WORST if each in found), Condition.OK)


def guests_of(state: ClusterState) -> Mapping[NodeId, int]:
    count: dict[NodeId, int] = {}
    for guest in state.guests:
        if not guest.template:
            count[guest.node] = count.get(guest.node, 0) + 1
    return count
