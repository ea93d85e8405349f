"""Guests that are locked when their move is due: waited for with a limit, while the others go on; then it is said."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from noout.domain.cluster import Guest, GuestId, GuestKind, Task
from noout.domain.maintenance import Json, Maintenance, Observation
from noout.domain.reasons import Blocker
from noout.steps.guest_effects import running_move
from noout.steps.rules import PASSING_LOCKS, Rules

FACT = "locks"  # guest -> {"lock": ..., "since": when the wait for it began}
HOLDERS: Mapping[str, frozenset[str]] = {
    "backup": frozenset({"vzdump"}),
    "snapshot": frozenset({"qmsnapshot", "vzsnapshot"}),
    "snapshot-delete": frozenset({"qmdelsnapshot", "vzdelsnapshot"}),
    "clone": frozenset({"qmclone", "vzclone"}),
    "migrate": frozenset({"qmigrate", "vzmigrate"}),
    "disk": frozenset({"qmmove", "imgmove", "resize", "move_volume"}),
}


def lock_of(guest: Guest, seen: Observation) -> str | None:
    """What PVE would refuse the move for: its lock, or a migration by others that is about to lock it."""
    return guest.lock or ("migrate" if running_move(seen, guest.id) is not None else None)


def recorded(m: Maintenance) -> Mapping[str, Mapping[str, str]]:
    found = m.facts.get(FACT)
    return found if isinstance(found, Mapping) else {}


def waits_now(due: Mapping[GuestId, str], m: Maintenance, seen: Observation) -> dict[str, Json]:
    """The record as it should be: each guest that is due and locked, since when it has been so at every look."""
    before = recorded(m)
    return {
        str(guest): {"lock": lock, "since": before.get(str(guest), {}).get("since") or seen.at.isoformat()}
        for guest, lock in sorted(due.items())
    }


def waited_s(guest: Guest, m: Maintenance, seen: Observation) -> float:
    since = recorded(m).get(str(guest.id), {}).get("since")
    return (seen.at - datetime.fromisoformat(since)).total_seconds() if since else 0.0


def limit(guests: Iterable[GuestId], m: Maintenance, rules: Rules) -> datetime | None:
    """Until when the first of these locks is waited for; None when no wait for one has begun."""
    told = (recorded(m).get(str(guest), {}).get("since") for guest in guests)
    began = min((datetime.fromisoformat(since) for since in told if since), default=None)
    return None if began is None else began + timedelta(seconds=rules.lock_wait_s)


def holder(guest: Guest, lock: str, seen: Observation) -> Task | None:
    """The running task that holds the lock, where one is seen: a backup job of many guests names none of them."""
    kinds = HOLDERS.get(lock, frozenset())
    running = [task for task in seen.cluster.running_tasks if task.kind in kinds]
    own = (task for task in running if task.subject == str(guest.id.vmid))
    whole = (task for task in running if not task.subject and task.node == guest.node.name)
    return next(own, None) or next(whole, None)


def waiting_for(guest: Guest, lock: str, seen: Observation) -> str:
    """A stable sentence: what is waited for."""
    held = holder(guest, lock, seen)
    by = f" (held by {held.kind} on {held.node})" if held else ""
    return f"the {lock} lock of {guest.name} ({guest.id}) to be released{by}"


def too_long(guest: Guest, lock: str, m: Maintenance, seen: Observation, rules: Rules) -> Blocker | None:
    """What is said when the wait is over its limit, or when the lock is of a kind that does not end by itself."""
    passing = lock in PASSING_LOCKS
    if passing and waited_s(guest, m, seen) < rules.lock_wait_s:
        return None
    held = holder(guest, lock, seen)
    tool = "pct" if guest.kind is GuestKind.LXC else "qm"
    unlock = f"if nothing works on it any more: {tool} unlock {guest.id.vmid}"
    if held is not None:
        remedy = f"see task {held.upid} on {held.node} (noout does not stop it), or {unlock}; the run goes on by itself"
    else:
        remedy = f"no task that holds it is to be seen on {guest.node.name}; {unlock}; the run goes on by itself"
    waited = f"waited for {rules.lock_wait_s / 60:.0f} min" if passing else "it does not end by itself"
    return Blocker(
        "guest.locked", str(guest.id), f"{guest.name} ({guest.id}) is locked ({lock}): {waited}", remedy,
        {"lock": lock, "task": held.upid if held else ""},
    )  # fmt: skip
