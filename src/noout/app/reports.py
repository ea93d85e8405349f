"""Each affected customer's report, written as HTML, PDF and JSON."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from noout.adapters.render import data, html, pdf
from noout.domain.cluster import Guest
from noout.domain.customers import Customer, owner
from noout.domain.errors import UsageError
from noout.domain.impact import Experience
from noout.domain.journal import Event
from noout.domain.maintenance import Maintenance
from noout.tell.report import Policy, Report, make_report

log = logging.getLogger(__name__)

FORMATS: Mapping[str, Callable[[Report], bytes]] = {"html": html.render, "pdf": pdf.render, "json": data.render}


def affected(m: Maintenance, customers: Sequence[Customer], guests: Sequence[Guest]) -> tuple[Customer, ...]:
    """The customers of whom a guest was moved, restarted or shut down. A guest that two would claim is nobody's."""
    touched = {move.guest for move in m.moved}
    owners = [owner(customers, guest) for guest in guests if guest.id in touched]
    return tuple(customer for customer in customers if customer in owners)


def report_for(
    m: Maintenance,
    customer: Customer,
    customers: Sequence[Customer],
    experiences: Sequence[Experience],
    guests: Sequence[Guest],
    events: Sequence[Event],
    *,
    generated_at: datetime,
    policy: Policy | None = None,
    language: str | None = None,
) -> Report:
    """One customer's report, over the guests that are this customer's and nobody else's."""
    own = [guest for guest in guests if owner(customers, guest) == customer]
    return make_report(
        m,
        customer,
        experiences,
        own,
        language=language,
        generated_at=generated_at,
        events=events,
        policy=policy,
    )


def write_reports(
    m: Maintenance,
    events: Sequence[Event],
    experiences: Sequence[Experience],
    customers: Sequence[Customer],
    guests: Sequence[Guest],
    out_dir: Path,
    *,
    generated_at: datetime,
    policy: Policy | None = None,
    language: str | None = None,
    only: str | None = None,
    formats: Sequence[str] = ("html", "pdf", "json"),
) -> list[Path]:
    """Write ``report-<customer>.{html,pdf,json}`` for every affected customer; returns the paths in that order.

    ``only``: one customer's key. Whose a guest is, is decided among all of them all the same.

    Raises UsageError for an unknown format or a customer key that is no file name.
    """
    unknown = [each for each in formats if each not in FORMATS]
    if unknown:
        raise UsageError(f"no report format {unknown[0]!r}", remedy=f"use one of {', '.join(FORMATS)}")
    out_dir.mkdir(parents=True, exist_ok=True)
    written = []
    for customer in affected(m, customers, guests):
        if only not in (None, customer.key):
            continue
        if not customer.key.replace("-", "").replace("_", "").isalnum():
            raise UsageError(f"customer key {customer.key!r} is no file name", remedy="use letters, digits, - and _")
        report = report_for(
            m,
            customer,
            customers,
            experiences,
            guests,
            events,
            generated_at=generated_at,
            policy=policy,
            language=language,
        )
        for each in formats:
            path = out_dir / f"report-{customer.key}.{each}"
            path.write_bytes(FORMATS[each](report))
            written.append(path)
    log.info("%s: %d report files in %s", m.id, len(written), out_dir)
    return written
