"""What an operator can tell a run now, and what each of it means for whom, said before it is done."""

from __future__ import annotations

from dataclasses import dataclass, replace

from noout.app.standing import hangs
from noout.domain.access import Person, Right
from noout.domain.journal import MessageKind
from noout.domain.maintenance import Maintenance, MoveKind

RIGHT = {MessageKind.APPROVE: Right.APPROVE}
ROLE = {Right.APPROVE: "approver", Right.OPERATE: "operator"}


@dataclass(frozen=True, slots=True)
class Deed:
    """A button: ``why`` says what it means, ``locked`` what opens it ("" where it can be pressed).

    ``asks``: it is asked for again on a page of its own, with all that it means (``means``). ``reason``: what is to be
    typed there; "" where nothing is.
    """

    kind: MessageKind
    label: str
    why: str
    look: str = ""
    asks: bool = False
    reason: str = ""
    means: tuple[str, ...] = ()
    locked: str = ""
    hours: bool = False

    @property
    def right(self) -> Right:
        return RIGHT.get(self.kind, Right.OPERATE)


def deeds(m: Maintenance, rights: frozenset[Right]) -> list[Deed]:
    """``rights``: of whoever looks, in the cluster of this maintenance."""
    return [_for(deed, m, rights) for deed in _possible(m)] if m.open else []


def rights_in(person: Person, cluster: str) -> frozenset[Right]:
    return frozenset(right for right in Right if person.may(right, cluster))


def _for(deed: Deed, m: Maintenance, rights: frozenset[Right]) -> Deed:
    if deed.right in rights:
        return deed
    return replace(deed, locked=f"Locked: needs the role {ROLE[deed.right]} in {m.node.cluster}")


def _possible(m: Maintenance) -> list[Deed]:
    found = []
    if m.needs == "approval":
        found.append(_approve(m))
    if m.needs == "confirmation":
        asked = m.waiting_for.removeprefix("somebody to confirm: ")
        found.append(Deed(MessageKind.CONFIRM, "Do it", asked, look="go"))
    if m.paused or m.needs == "operator":
        found.append(Deed(MessageKind.RESUME, "Resume", "Looks at everything again, and goes on", look="go"))
    if not m.paused:
        under_way = len(m.pending)
        ends = f"What is under way ({under_way}) ends by itself; nothing" if under_way else "Nothing"
        found.append(Deed(MessageKind.PAUSE, "Pause", f"{ends} new starts. All guests keep running"))
    if m.node_off_at is not None and m.node_on_at is None and not m.closing_up:
        found.append(_close_up(m))
    if _held(m):
        found += _hold(m)
    if hangs(m):
        found.append(_force_off(m))
    if not m.aborting:
        found.append(_abort(m))
    return found


def _approve(m: Maintenance) -> Deed:
    plan, node = m.plan, m.node.name
    moves = plan.moves if plan else ()
    live = [move for move in moves if move.kind is MoveKind.LIVE]
    stopped = [move for move in moves if move.kind in (MoveKind.RELOCATE, MoveKind.SHUTDOWN)]
    means = [f"{len(live)} guests leave {node} live, from now on."]
    means += [
        f"{move.guest.vmid} {move.name} is {'restarted on the way' if move.target else 'shut down for the repair'}, by "
        "its owner's consent."
        for move in stopped
    ]
    means.append(f"{node} keeps its data and its power until a technician has confirmed to stand at it.")
    why = f"{len(moves)} guest{'s' if len(moves) != 1 else ''} leave{'s' if len(moves) == 1 else ''} {node} then"
    return Deed(MessageKind.APPROVE, "Approve…", why, look="go", asks=True, means=tuple(means))


def _close_up(m: Maintenance) -> Deed:
    node = m.node.name
    means = (
        f"{m.hands_on_by or 'The technician'} at the rack is told CLOSE UP NOW, at once.",
        f"When hands are clear and signed off, {node} is switched on as it is: not repaired.",
        "Its data and its guests come back as planned. The fault is still there, and is proposed again.",
    )
    return Deed(
        MessageKind.CLOSE_UP, "Close up…", f"The technician's phone says CLOSE UP NOW; {node} goes back not repaired",
        look="danger", asks=True, reason="Why; the technician reads it", means=means,
    )  # fmt: skip


def _held(m: Maintenance) -> bool:
    return any(own.kind in ("noout", "cluster-noout") for own in m.owned) and not m.aborting


def _hold(m: Maintenance) -> list[Deed]:
    node = m.node.name
    extend = Deed(
        MessageKind.EXTEND, "Hold longer…", f"The data of {node} is held beyond the limit", asks=True, hours=True,
        means=(
            f"Until then Ceph does not copy the data of {node} elsewhere: one copy of it is missing meanwhile.",
            *(f"{str(each).capitalize()}." for each in m.facts.get("exposure") or ()),
        ),
    )  # fmt: skip
    heal = Deed(
        MessageKind.LET_HEAL, "Let it heal…", f"Ceph copies the data of {node} to the others", look="danger", asks=True,
        means=(
            f"noout is released while {node} is away: Ceph copies all its data to the other hosts, if they have room.",
            "Customers may notice the load. It is copied back when the node returns.",
        ),
    )  # fmt: skip
    return [extend, *([] if m.healing or m.node_off_at is None or m.node_on_at is not None else [heal])]


def _force_off(m: Maintenance) -> Deed:
    node = m.node.name
    means = (
        f"The BMC cuts the power of {node}, if every check still holds: its guests are away, its data is held, the "
        "cluster no longer sees it.",
        "What its system has not written by now is lost. The decision is good for ten minutes.",
    )
    return Deed(
        MessageKind.FORCE_OFF, "Cut the power…", f"{node} did not shut down; its BMC says On", look="danger", asks=True,
        reason="What its console shows", means=means,
    )  # fmt: skip


def _abort(m: Maintenance) -> Deed:
    node = m.node.name
    home = {each.guest for each in m.moved if each.homeward}
    away = {each.guest: each.name for each in m.moved if not each.homeward and each.guest not in home}
    names = ", ".join(f"{guest.vmid} {name}" for guest, name in sorted(away.items()))
    means = [f"{len(m.pending)} effects under way end by themselves or are cancelled where that is safe."]
    if away:
        means.append(f"{len(away)} guest{'s' if len(away) != 1 else ''} that left: {names}. Each keeps running.")
    means += [f"{own.kind} of {own.subject} is given back." for own in m.owned]
    if m.node_off_at is not None and m.node_on_at is None:
        means.append(f"{node} is off: it is started only when the technician has signed off.")
    means.append("What could not be undone is said at the end, with the commands.")
    guests = f"; the {len(away)} that left keep running where they are" if away else ""
    return Deed(
        MessageKind.ABORT, "Abort…", f"Undoes what was done to {node}, as far as that is safe{guests}", look="danger",
        asks=True, reason="Why", means=tuple(means),
    )  # fmt: skip
