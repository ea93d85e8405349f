"""Local ISOs taken out of their drives by consent, so that a guest can move, and put back when it is home again.

What was taken out is owned under ``GUEST:DRIVE=VOLUME`` until it is back, or until it is said that it stays out.
"""

from __future__ import annotations

from dataclasses import dataclass

from noout.domain.cluster import Guest, GuestId, NodeId
from noout.domain.errors import Refused
from noout.domain.maintenance import Action, Maintenance, Move, Observation, Pending
from noout.steps.site import Site
from noout.steps.step import Decision, Failed, NotYet, Verdict, Verified, attempt
from noout.steps.whereabouts import homes

OWNED = "ejected"
SETTLE_S = 60.0


@dataclass(frozen=True, slots=True)
class Medium:
    guest: GuestId
    drive: str  # "ide2"
    volume: str  # "local:iso/x.iso"

    def __str__(self) -> str:
        return f"{self.guest}:{self.drive}={self.volume}"

    @classmethod
    def parse(cls, text: str) -> Medium:
        """``ams1/104:ide2=local:iso/x.iso`` -> Medium."""
        guest, _, rest = text.partition(":")
        drive, _, volume = rest.partition("=")
        return cls(GuestId.parse(guest), drive, volume)


def is_in(medium: Medium, guest: Guest) -> bool:
    return any((disk.key, disk.volume) == (medium.drive, medium.volume) for disk in guest.disks)


def ejects_left(step: str, move: Move, guest: Guest) -> list[Action]:
    """What must be taken out before this move, and still is in."""
    media = [Medium(guest.id, drive, volume) for drive, volume in move.ejects]
    return [eject(step, each, guest) for each in media if is_in(each, guest)]


def eject(step: str, medium: Medium, guest: Guest) -> Action:
    return Action(
        step, "eject", str(medium),
        f"Take {medium.volume} out of drive {medium.drive} of {guest.name} ({guest.id}), by consent: "
        f"only {guest.node.name} can read it",
        by_hand(medium, guest.node, "none"),
    )  # fmt: skip


def insert(step: str, medium: Medium, guest: Guest) -> Action:
    return Action(
        step, "insert", str(medium),
        f"Put {medium.volume} back into drive {medium.drive} of {guest.name} ({guest.id})",
        by_hand(medium, guest.node, medium.volume),
    )  # fmt: skip


def leave_out(step: str, medium: Medium, why: str) -> Action:
    says = f"Leave drive {medium.drive} of {medium.guest} without {medium.volume}: {why}"
    return Action(step, "leave-ejected", str(medium), says)


def by_hand(medium: Medium, node: NodeId, volume: str) -> str:
    """The command that puts ``volume`` ("none": nothing) into the drive, while the guest is on ``node``."""
    where = f"/nodes/{node.name}/qemu/{medium.guest.vmid}/config"
    return f"pvesh set {where} --{medium.drive} {volume},media=cdrom"


def put_back(step: str, m: Maintenance, seen: Observation) -> Decision | None:
    """Every medium back to where it was taken out; None when nothing is left that is ours.

    A guest that is not where it belongs cannot read it: then its drive stays empty, and that is said.
    """
    for owned in (each for each in m.owned if each.kind == OWNED):
        medium = Medium.parse(owned.subject)
        guest = seen.cluster.guest(medium.guest)
        home = homes(m).get(medium.guest, m.node)
        remedy = f"put it in by hand ({medium.drive}: {medium.volume}), then resume"
        if guest is None:
            action = leave_out(step, medium, "the guest is no longer there")
        elif guest.node != home:
            action = leave_out(step, medium, f"it is on {guest.node.name}, which cannot read it")
        elif any(disk.key == medium.drive and disk.volume != medium.volume for disk in guest.disks):
            action = leave_out(step, medium, "somebody has put something else in")
        elif medium.guest in m.left_away:
            action = leave_out(step, medium, "an operator said so")
        else:
            action = insert(step, medium, guest)
            remedy = f"see whether {medium.volume} is still there; `noout resume --leave {medium.guest}` leaves it out"
        return attempt(m, seen, action, code="guest.iso", remedy=remedy)
    return None


# --- effects ---------------------------------------------------------------------------------------------------


async def _set(action: Action, seen: Observation, site: Site, *, empty: bool) -> None:
    medium = Medium.parse(action.subject)
    guest = seen.cluster.guest(medium.guest)
    if guest is None:
        raise Refused(f"guest {medium.guest} is no longer there", remedy="see who removed it")
    await site.hypervisor.set_drive(guest, medium.drive, None if empty else medium.volume)


async def take_out(action: Action, seen: Observation, site: Site) -> None:
    await _set(action, seen, site, empty=True)


async def put_in(action: Action, seen: Observation, site: Site) -> None:
    await _set(action, seen, site, empty=False)


async def let_be(action: Action, seen: Observation, site: Site) -> None:
    """Nothing is done to the world: noout only stops owing it."""


def is_out(pending: Pending, m: Maintenance, seen: Observation) -> Verdict:
    return _is(pending, seen, wanted=False)


def is_back(pending: Pending, m: Maintenance, seen: Observation) -> Verdict:
    return _is(pending, seen, wanted=True)


def is_left(pending: Pending, m: Maintenance, seen: Observation) -> Verdict:
    return Verified()


def _is(pending: Pending, seen: Observation, *, wanted: bool) -> Verdict:
    medium = Medium.parse(pending.action.subject)
    guest = seen.cluster.guest(medium.guest)
    if guest is None:
        return Failed("the guest is no longer there")
    if is_in(medium, guest) is wanted:
        return Verified()
    what = f"{medium.volume} is {'not in' if wanted else 'still in'} drive {medium.drive}"
    late = (seen.at - pending.since).total_seconds() >= SETTLE_S
    return Failed(what) if late else NotYet(what)
