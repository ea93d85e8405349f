"""The floor of a maintenance: a column for each node, a block for each guest, and what streams between them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from noout.domain.cluster import ClusterState, Guest, GuestId, MigrationProgress
from noout.domain.customers import Customer, owner
from noout.domain.maintenance import Maintenance
from noout.web.console.view import GIB

SIZES = (2, 4, 8, 16, 24)  # GiB of a guest's memory, for the area of its block; more is the largest
MARKS = 8  # colours that customers are marked with; more customers begin again
WIRES_MAX = 8  # columns beside each other in one row: of more nodes no wires are drawn
MIB = 2**20
DRAWN_GIB, SCALE_MAX = 192.0, 8.0  # a node with so much memory is drawn as it is, smaller ones up to so much larger


@dataclass(frozen=True, slots=True)
class Block:
    """One guest where it is, was, or goes to. ``state``: home, leaving, coming, arrived, ghost, held."""

    guest: GuestId
    name: str
    gib: float
    state: str
    mark: int = 0  # of its customer; 0: nobody's
    customer: str = ""
    copied: int | None = None  # per cent, of one that arrives
    scale: float = 1.0  # where nodes are small, the same memory is drawn larger

    @property
    def size(self) -> int:
        return next((size for size in SIZES if self.gib * self.scale <= size), 32)

    @property
    def says(self) -> str:
        words = {
            "home": "runs here", "leaving": "leaving now", "coming": "arriving",
            "arrived": "has come in this maintenance",
            "ghost": "has left", "held": "stays until it is dealt with", "off": "does not run",
        }  # fmt: skip
        whose = f", {self.customer}" if self.customer else ""
        copied = f", {self.copied} % copied" if self.copied is not None else ""
        return f"{self.guest.vmid} {self.name}, {self.gib:.3g} GiB{whose}, {words[self.state]}{copied}"


@dataclass(frozen=True, slots=True)
class Column:
    node: str
    used_gib: float
    has_gib: float
    online: bool
    leaving: bool  # the node in maintenance
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Wire:
    """A guest on its way, drawn from column to column. ``path`` in a picture 1000 wide and 60 high."""

    says: str
    path: str
    wide: float


@dataclass(frozen=True, slots=True)
class Floor:
    columns: tuple[Column, ...] = ()
    wires: tuple[Wire, ...] = ()
    streams: str = ""  # in one sentence


@dataclass(frozen=True, slots=True)
class Marks:
    """Which colour and name a guest's customer has, and how large its block is drawn."""

    customers: Sequence[Customer]
    scale: float = 1.0
    _known: dict[GuestId, tuple[int, str]] = field(default_factory=dict)

    def of(self, guest: Guest) -> tuple[int, str]:
        if guest.id not in self._known:
            whose = owner(self.customers, guest)
            self._known[guest.id] = (self.number(whose), whose.name) if whose is not None else (0, "")
        return self._known[guest.id]

    def number(self, customer: Customer) -> int:
        return 1 + list(self.customers).index(customer) % MARKS


def scale_of(state: ClusterState) -> float:
    largest = max((node.ram_bytes / GIB for node in state.nodes), default=DRAWN_GIB)
    return min(SCALE_MAX, max(1.0, DRAWN_GIB / largest)) if largest else 1.0


def floor(m: Maintenance, state: ClusterState, progress: Mapping[GuestId, MigrationProgress], marks: Marks) -> Floor:
    """Guests by memory, the largest first, with those on their way and those that left."""
    going = {
        each.action.subject: str(each.action.args.get("target", ""))
        for each in m.pending
        if "target" in each.action.args
    }
    moved = {each.guest for each in m.moved if not each.homeward}
    home = {each.guest for each in m.moved if each.homeward}
    found: dict[str, list[Block]] = {node.id.name: [] for node in state.nodes}
    flying: list[tuple[Guest, str]] = []
    for guest in state.guests:
        if guest.template:
            continue
        target = going.get(str(guest.id), "")
        target = "" if target == guest.node.name else target
        here = "leaving" if target else _standing(guest, m, moved, home)
        found.setdefault(guest.node.name, []).append(_block(guest, here, marks))
        if target in found:
            found[target].append(_block(guest, "coming", marks, progress.get(guest.id)))
            flying.append((guest, target))
        elif guest.id in moved - home and guest.node != m.node and m.open:
            found[m.node.name].append(_block(guest, "ghost", marks))
    columns = tuple(
        Column(
            node.id.name, node.ram_used_bytes / GIB, node.ram_bytes / GIB, node.online, node.id == m.node and m.open,
            tuple(sorted(found[node.id.name], key=lambda block: (-block.gib, block.guest))),
        )
        for node in sorted(state.nodes, key=lambda node: node.id)
    )  # fmt: skip
    return Floor(columns, _wires(columns, flying, progress), _streams(flying, progress))


def _wires(
    columns: Sequence[Column], flying: Sequence[tuple[Guest, str]], progress: Mapping[GuestId, MigrationProgress]
) -> tuple[Wire, ...]:
    if not 1 < len(columns) <= WIRES_MAX:
        return ()
    middle = {column.node: (index + 0.5) * 1000 / len(columns) for index, column in enumerate(columns)}
    found = []
    for number, (guest, target) in enumerate(flying):
        if guest.node.name not in middle or target not in middle:
            continue
        here = middle[guest.node.name] + 14 * (number - (len(flying) - 1) / 2)
        there, high = middle[target], 10 + 14 * (number % 3)
        turn = 6 if there > here else -6
        path = f"M{here:.0f} 60V{high + 6}q0-6 {turn}-6H{there - turn:.0f}q{turn} 0 {turn} 6V60"
        rate = progress[guest.id].rate_bytes_s if guest.id in progress else None
        wide = 2.0 if rate is None else min(6.0, 2.0 + rate / (200 * MIB))
        found.append(Wire(f"{guest.id.vmid} {guest.name} to {target}", path, wide))
    return tuple(found)


def _streams(flying: Sequence[tuple[Guest, str]], progress: Mapping[GuestId, MigrationProgress]) -> str:
    parts = []
    for guest, target in flying:
        known = progress.get(guest.id)
        rate = f" at {known.rate_bytes_s / MIB:.0f} MiB/s" if known is not None and known.rate_bytes_s else ""
        done = f" {copied} %" if (copied := _copied(known)) is not None else ""
        parts.append(f"{guest.id.vmid} {guest.name} → {target}{done}{rate}")
    return "; ".join(parts)


def _copied(known: MigrationProgress | None) -> int | None:
    """Of the memory there is; what is rewritten meanwhile is sent again, so it may stand at 100 for a while."""
    if known is None or not known.total_bytes:
        return None
    return min(100, round(100 * known.transferred_bytes / known.total_bytes))


def _standing(guest: Guest, m: Maintenance, moved: Iterable[GuestId], home: Iterable[GuestId]) -> str:
    if not guest.running:
        return "off"
    if guest.id in moved and guest.id not in home and guest.node != m.node:
        return "arrived"
    blocked = any(each.subject == str(guest.id) for each in m.blockers)
    return "held" if blocked and guest.node == m.node else "home"


def _block(guest: Guest, state: str, marks: Marks, known: MigrationProgress | None = None) -> Block:
    mark, customer = marks.of(guest)
    return Block(guest.id, guest.name, guest.ram_bytes / GIB, state, mark, customer, _copied(known), marks.scale)
