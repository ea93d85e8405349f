"""After an effect was asked for: look whether it happened, and write down what that means for moves and ownership."""

from __future__ import annotations

from collections.abc import Callable

from noout.codec import encode
from noout.domain.cluster import GuestId, NodeId
from noout.domain.journal import Kind
from noout.domain.maintenance import Doubted, Maintenance, Moved, MoveKind, Observation, Pending
from noout.run.look import adopted
from noout.run.record import Record
from noout.steps.effects import EFFECTS
from noout.steps.step import Failed, Step, Verified, owns

MOVES = frozenset({"migrate", "ha-migrate", "shutdown-guest", "start-guest"})
# How long after it was taken for failed an effect that shows is still our doing: a guest that took its time to shut
# down, a move that HA began late. What shows later is somebody else's.
MAY_COME_S = 900.0


async def settle(record: Record, seen: Observation, step_named: Callable[[str], Step]) -> bool:
    """Verify every pending effect by what is seen; True when one was settled."""
    settled = False
    for pending in record.m.pending:
        if (upid := adopted(pending, seen)) is not None:
            await record.write(Kind.STARTED, {"key": pending.action.key, "upid": upid, "adopted": True})
            pending = next(each for each in record.m.pending if each.action.key == pending.action.key)
        verdict = step_named(pending.action.step).verify(pending, record.m, seen)
        if isinstance(verdict, Verified):
            await _verified(record, pending, verdict, seen)
            settled = True
        elif isinstance(verdict, Failed):
            # An effect that we crashed before asking for has not failed: its next attempt is still the first.
            data = {"key": pending.action.key, "why": verdict.why, "counts": 1 if pending.started else 0}
            may_come = {"may_come": True} if leaves_something(pending) else {}
            await record.write(Kind.FAILED, data | may_come)
            settled = True
    for late in still_doubted(record.m, seen):
        verdict = step_named(late.pending.action.step).verify(late.pending, record.m, seen)
        if isinstance(verdict, Verified):
            await _verified(record, late.pending, verdict, seen)
            settled = True
    return settled


def leaves_something(pending: Pending) -> bool:
    """Whether its success, seen or unseen, has to be undone one day."""
    return bool(EFFECTS[pending.action.verb].takes) or pending.action.verb in MOVES


def still_doubted(m: Maintenance, seen: Observation) -> list[Doubted]:
    """Effects taken for failed that would still be ours if they showed now."""
    return [each for each in m.doubted if (seen.at - each.since).total_seconds() < MAY_COME_S]


async def settle_what_is_so(record: Record, seen: Observation, step: Step, key: str) -> bool:
    """An effect that gives something back and has happened already (a daemon that came with the boot) needs no asking.

    So does one that we asked for before, took for failed, and see now. What others did for us is not taken as ours.
    """
    pending = next(each for each in record.m.pending if each.action.key == key)
    if not EFFECTS[pending.action.verb].releases and key not in record.m.failed:
        return False
    verdict = step.verify(pending, record.m, seen)
    if isinstance(verdict, Verified):
        await _verified(record, pending, verdict, seen)
    return isinstance(verdict, Verified)


async def _verified(record: Record, pending: Pending, verdict: Verified, seen: Observation) -> None:
    """Ownership and moves are written before the effect is called done; after a crash in between, only what is left."""
    action, effect = pending.action, EFFECTS[pending.action.verb]
    if effect.releases and owns(record.m, effect.releases, action.subject):
        await record.write(Kind.RELEASED, {"kind": effect.releases, "subject": action.subject})
    if effect.takes and not owns(record.m, effect.takes, action.subject):
        await record.write(Kind.OWNED, {"kind": effect.takes, "subject": action.subject})
    if action.verb in MOVES:
        what = moved(record.m, pending, verdict, seen)
        if not any((each.guest, each.started) == (what.guest, what.started) for each in record.m.moved):
            await record.write(Kind.MOVED, {"moved": encode(what)})
    await record.write(Kind.DONE, {"key": action.key, **verdict.evidence})


def moved(m: Maintenance, pending: Pending, verdict: Verified, seen: Observation) -> Moved:
    """The move as it was observed. A guest started again where it was shut down is home."""
    args = pending.action.args
    guest = GuestId.parse(pending.action.subject)
    known = seen.cluster.guest(guest)
    name = str(args.get("name") or (known.name if known else guest))
    target = args.get("target")
    blackout, rate = verdict.evidence.get("blackout_ms"), verdict.evidence.get("rate_bytes_s")
    return Moved(
        guest=guest,
        name=name,
        kind=MoveKind(str(args["kind"])) if args.get("kind") else MoveKind.SHUTDOWN,
        source=NodeId(m.node.cluster, str(args.get("source") or m.node.name)),
        target=NodeId(m.node.cluster, str(target)) if target else None,
        started=pending.since,
        finished=seen.at,
        blackout_ms=int(blackout) if isinstance(blackout, int | float) else None,
        homeward=bool(args.get("homeward", pending.action.verb == "start-guest" or pending.action.step == "return")),
        arrived=str(verdict.evidence.get("arrived", "")),
        rate_bytes_s=float(rate) if isinstance(rate, int | float) else None,
    )
