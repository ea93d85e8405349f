"""Customers who want to acknowledge what is to come: which of them have not, for a run that waits for them."""

from __future__ import annotations

from datetime import datetime, timedelta

from noout.app.compose import Installation
from noout.app.outbox import Kept, Outbox
from noout.domain.customers import Customer, owner
from noout.domain.maintenance import Maintenance
from noout.domain.notices import BEFORE, Purpose, State, doors, stream_of
from noout.run.opening import Unread
from noout.run.touched import guests_of


async def unacknowledged(found: Installation, m: Maintenance) -> Unread | None:
    """For whom this maintenance waits, by their keys, and until when nobody need do anything about it: the first
    customer's ``acknowledge_h`` since the message was released, or since the maintenance was opened where none was.
    None when nobody is waited for.

    What is waited for is the last message about when it is: a changed notice is acknowledged anew.
    """
    planned = {move.guest for move in m.plan.moves} if m.plan is not None else set()
    theirs = {owner(found.customers, guest) for guest in guests_of(m) if guest.id in planned}
    said: list[str] = []
    limits: list[datetime] = []
    for customer in found.customers:
        if customer not in theirs or not customer.acknowledge_h:
            continue
        last = await _last(found, m, customer)
        if last is not None and last.standing.acknowledged_by:
            continue
        released = last.standing.at if last is not None and last.standing.state is State.RELEASED else None
        said.append(_why(customer, last, has_link=await _has_link(found, customer)))
        limits.append((released or m.opened_at) + timedelta(hours=customer.acknowledge_h))
    return Unread("; ".join(said), min(limits)) if said else None


async def _last(found: Installation, m: Maintenance, customer: Customer) -> Kept | None:
    """The last message to this customer about work to come that was not withdrawn."""
    every = await Outbox(found).all(customer.key)
    own = [each for each in every if each.notice.maintenance == m.id and each.notice.round == m.reopened]
    asked = [each for each in own if each.notice.kind in BEFORE and each.standing.state is not State.WITHDRAWN]
    return asked[-1] if asked else None


async def _has_link(found: Installation, customer: Customer) -> bool:
    """Whether there is a link by which they could acknowledge anything."""
    events = await found.journal.read(stream_of(customer.key))
    return any(each.purpose is Purpose.PORTAL for each in doors(customer.key, events, found.clock.now()))


def _why(customer: Customer, last: Kept | None, *, has_link: bool) -> str:
    if last is None:
        return f"{customer.key} to acknowledge a notice, of which there is no draft (noout tell list makes it)"
    if last.standing.state is not State.RELEASED:
        return f"{customer.key} to acknowledge {last.notice.id}, which nobody has released (noout tell release)"
    link = "" if has_link else f", who has no link to the portal (noout customers link {customer.key})"
    return f"{customer.key} to acknowledge {last.notice.id}{link}"
