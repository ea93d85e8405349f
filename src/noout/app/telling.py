"""From one maintenance to what its customers are told: samples -> experiences -> reports."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from noout.app.compose import Installation
from noout.app.reports import write_reports
from noout.app.witnessing import services_of
from noout.domain.customers import Customer, owner
from noout.domain.errors import UsageError
from noout.domain.impact import Experience
from noout.domain.journal import Kind
from noout.domain.maintenance import Maintenance
from noout.domain.windows import openings
from noout.run.touched import guests_of
from noout.tell.counterfactual import Assumptions
from noout.tell.report import Policy
from noout.witness.ledger import experience

FORMATS = ("html", "pdf", "json")


async def experiences_of(found: Installation, state: Maintenance) -> list[Experience]:
    """The witness's account of every guest touched; one without a probe, or without answers, is not measured."""
    guests = guests_of(state)
    services = {service.guest: service for service in services_of(guests, found.settings.probes)}
    until: datetime = state.closed_at or found.clock.now()
    accounts = []
    for guest in guests:
        service = services.get(guest.id)
        if service is None:
            accounts.append(Experience(guest.id, guest.name, state.opened_at, until, 0, 0, None, None))
            continue
        samples = await found.measurements.samples(state.id, guest.id)
        moves = [move for move in state.moved if move.guest == guest.id]
        probes = found.settings.probes
        finest_s, coarsest_s = sorted((probes.every_s, probes.every_moving_s))
        accounts.append(
            experience(
                service,
                samples,
                state.opened_at,
                until,
                # Found by the finer interval, told by the coarser: only that one was kept to all the time.
                finest_s,
                moves,
                calm_s=coarsest_s,
                excluded=_left_out(owner(found.customers, guest), state.opened_at, until),
            )
        )
    return accounts


def policy_of(found: Installation) -> Policy:
    """What the provider decided about reports."""
    assumed = found.settings.tell.assumptions
    technician, recovery = assumed.technician_min, assumed.recovery_min
    return Policy(
        provider=found.settings.serve.provider,
        show_estimates=found.settings.policy.show_estimates,
        stop_start_s=assumed.stop_start_s,
        assumptions=Assumptions(
            assumed.ha_restart_s,
            (technician[0] * 60, technician[1] * 60),
            (recovery[0] * 60, recovery[1] * 60),
        ),
    )


def _left_out(customer: Customer | None, since: datetime, until: datetime) -> tuple[tuple[datetime, datetime], ...]:
    """What the contract of the guest's customer leaves out of its availability."""
    if customer is None or not customer.contract_excludes:
        return ()
    return openings(since, until, customer.contract_excludes, ZoneInfo(customer.timezone))


async def reports_of(
    found: Installation,
    state: Maintenance,
    out_dir: Path,
    *,
    customer: str | None = None,
    language: str | None = None,
    formats: Sequence[str] = FORMATS,
) -> list[Path]:
    """Write report-CUSTOMER.{html,pdf,json} for the customers whose guests were touched; the files written."""
    known = {each.key for each in found.customers}
    if customer is not None and customer not in known:
        raise UsageError(f"there is no customer {customer}", remedy=f"known: {', '.join(sorted(known)) or 'none'}")
    events = await found.journal.read(state.id)
    begun = max((number for number, event in enumerate(events) if event.kind == Kind.REOPENED), default=0)
    return await asyncio.to_thread(
        write_reports,
        state,
        events[begun:],  # of a maintenance that was taken up again, the last round
        await experiences_of(found, state),
        found.customers,
        guests_of(state),
        out_dir,
        only=customer,
        language=language,
        formats=formats,
        policy=policy_of(found),
        generated_at=found.clock.now(),
    )
