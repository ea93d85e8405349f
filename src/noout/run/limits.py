"""No wait without an end: what lasts longer than its kind may becomes a blocker, and is waited for all the same."""

from __future__ import annotations

from datetime import datetime, timedelta

from noout.domain.maintenance import Maintenance, Pending
from noout.domain.reasons import Blocker
from noout.steps.step import Hold
from noout.steps.waits import NO_END_S, WAITS

GRACE_S = 60.0  # a step may turn its own wait into something better at the very limit


def limit_of(m: Maintenance, hold: Hold, now: datetime) -> datetime | None:
    """Until when this is waited for without a word; None: until a person decides."""
    limit_s = WAITS[hold.code].limit_s
    if hold.limit_at is not None or limit_s is None:
        return hold.limit_at
    return _since(m, hold, now) + timedelta(seconds=limit_s)


def outstayed(m: Maintenance, hold: Hold, now: datetime) -> tuple[Blocker, ...]:
    """What people are told when this has lasted too long; empty while it has not."""
    if m.pending and not hold.needs:  # effects are under way: each has an end of its own
        return tuple(_without_end(each) for each in m.pending if now - each.since >= _end(each))
    limit = limit_of(m, hold, now)
    if limit is None or (now - limit).total_seconds() < GRACE_S:
        return ()
    what = m.waiting_for if m.waiting_code == hold.code and m.waiting_for else hold.why  # it may name what ticks
    message = f"waits for {what}, since {_since(m, hold, now):%Y-%m-%d %H:%M} UTC: that is longer than it should take"
    return (Blocker(f"wait.{hold.code}", str(m.node), message, next_action(m, hold.code)),)


def is_known(m: Maintenance, hold: Hold) -> bool:
    """Whether the journal says already that just this is waited for."""
    same = (m.waiting_for, m.waiting_code, m.needs) == (hold.why, hold.code, hold.needs)
    return same and not m.blockers and hold.limit_at in (None, m.waiting_limit)


def next_action(m: Maintenance, code: str) -> str:
    """What a person can do about a wait of this kind; "" for one that is not known."""
    kind = WAITS.get(code)
    return kind.then.format(id=m.id, node=m.node) if kind is not None else ""


def _since(m: Maintenance, hold: Hold, now: datetime) -> datetime:
    same = m.waiting_code == hold.code
    return m.waiting_kind_since if same and m.waiting_kind_since is not None else now


def _end(pending: Pending) -> timedelta:
    expected_s = float(pending.action.args.get("expected_s") or 0.0)
    return timedelta(seconds=NO_END_S + 20 * expected_s)


def _without_end(pending: Pending) -> Blocker:
    action = pending.action
    return Blocker(
        "effect.no-end", action.subject,
        f"{action.says}: asked for at {pending.since:%Y-%m-%d %H:%M} UTC, and neither done nor failed since",
        "see its task in Proxmox VE; the run goes on when it is seen to be over, or when it is ended there",
        {"task": pending.upid or ""},
    )  # fmt: skip
