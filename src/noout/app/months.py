"""The month: each customer's report, the mail that says so, and the provider's own overview."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from noout.adapters.render import month as rendered
from noout.app.compose import Installation
from noout.app.maintain import Maintenances
from noout.app.outbox import Kept, Outbox, notice_of
from noout.codec import decode
from noout.domain.customers import Customer
from noout.domain.errors import UsageError
from noout.domain.notices import Class, Notice, stream_of
from noout.tell.month import Month, digest_text, figures, make_month, of_month
from noout.tell.portal import Told
from noout.tell.report import Report
from noout.tell.say import Say

FORMATS: Mapping[str, Callable[[Month], bytes]] = {"html": rendered.html, "pdf": rendered.pdf, "json": rendered.data}


def month_of(text: str) -> str:
    """ "2026-11"; UsageError for anything else."""
    try:
        return datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC).strftime("%Y-%m")
    except ValueError:
        raise UsageError(f"{text!r} is no month", remedy="such as 2026-11") from None


def month_before(now: datetime) -> str:
    return (now.replace(day=1) - timedelta(days=1)).strftime("%Y-%m")


def _told(kept: Sequence[Kept], language: str) -> list[Told]:
    return [
        Told(
            each.notice,
            each.standing.at or each.standing.drafted_at,
            decode(Report, each.reports[language]) if language in each.reports else None,
        )
        for each in kept
    ]


class Months:
    def __init__(self, found: Installation) -> None:
        self.found, self.outbox = found, Outbox(found)

    async def one(self, customer: Customer, month: str, language: str = "", timezone: str = "") -> Month:
        """One customer's, in a language and time of their choice."""
        say = Say(language or customer.language, timezone or customer.timezone)
        kept = await self.outbox.published(customer.key)
        head = (await self.found.journal.heads([stream_of(customer.key)])).get(stream_of(customer.key))
        last = await self.found.journal.read(stream_of(customer.key), head.events - 1) if head and head.events else ()
        return make_month(
            customer.name, _told(kept, say.language), month, say,
            provider=self.found.settings.serve.provider, generated_at=self.found.clock.now(),
            digest=last[-1].digest if last else "",
        )  # fmt: skip

    async def write(
        self, month: str, folder: Path, *, only: str | None = None, language: str = "", formats: Sequence[str] = ()
    ) -> list[Path]:
        """``month-<customer>-<month>.{html,pdf,json}`` of everybody who was told something; the paths."""
        chosen = [self.outbox.contacts.customer(only)] if only else list(self.found.customers)
        await asyncio.to_thread(lambda: folder.mkdir(parents=True, exist_ok=True))
        written: list[Path] = []
        for customer in chosen:
            made = await self.one(customer, month, language)
            if not made.works and only is None:
                continue
            for name in formats or FORMATS:
                path = folder / f"month-{customer.key}-{month}.{name}"
                await asyncio.to_thread(_write, path, FORMATS[name], made)
                written.append(path)
        return written

    async def digests(self) -> list[Notice]:
        """Drafts of last month's mail, for each customer of whom something was done, once."""
        tell = self.found.settings.tell
        now = self.found.clock.now()
        made: list[Notice] = []
        if "digest" not in tell.channels:
            return made
        month = month_before(now)
        for customer in self.found.customers:
            name = f"month-{month}"
            known = await self.outbox.all(customer.key)
            if not known or any(each.notice.maintenance == name for each in known):
                continue
            own = await self.one(customer, month)
            if not own.works:
                continue
            readers = await self.outbox.readers(customer)
            texts = [
                digest_text(await self.one(customer, month, each.language, each.timezone), each.url, each.phone)
                for each in readers
            ]
            since = datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC)
            notice = notice_of(Class.DIGEST, customer, name, name, texts, since, now, now)
            made.append(await self.outbox.draft(notice))
        return made

    async def overview(self, month: str) -> list[Line]:
        """For the provider: what the month came to, by customer and cluster."""
        found: list[Line] = []
        maintenances = Maintenances(self.found)
        for customer in self.found.customers:
            say = Say("en", customer.timezone)
            kept = await self.outbox.published(customer.key)
            by_cluster: dict[str, list[Told]] = {}
            minutes: dict[str, float] = {}
            clusters = {each.notice.reference: each.notice.maintenance for each in kept}
            for each in of_month(_told(kept, "en"), month, say):
                m = await maintenances.find(clusters[each.notice.reference])
                if m is None:
                    continue
                by_cluster.setdefault(m.node.cluster, []).append(each)
                if m.hands_on_at is not None and m.signed_off_at is not None:
                    worked = (m.signed_off_at - m.hands_on_at).total_seconds() / 60
                    minutes[m.node.cluster] = minutes.get(m.node.cluster, 0.0) + worked
            for cluster, told in sorted(by_cluster.items()):
                found.append(_line(customer.key, cluster, told, minutes.get(cluster)))
        return found


def _write(path: Path, render: Callable[[Month], bytes], made: Month) -> None:
    path.write_bytes(render(made))


@dataclass(frozen=True, slots=True)
class Line:
    """``spared_s_max``: the largest single estimate of the month, of which the low end is always 0: estimates are never
    added up. None where none was made. ``human_min``: technicians at the rack, from hands-on to sign-off; the same
    minutes stand in the line of every customer of that maintenance."""

    customer: str
    cluster: str
    maintenances: int
    interruptions: int
    agreed_restarts: int
    longest_pause_s: float | None
    measured_h: float
    spared_s_max: float | None
    human_min: float | None


def _line(customer: str, cluster: str, told: Sequence[Told], minutes: float | None) -> Line:
    sums = figures(told)
    highs = [
        one.high_s
        for each in told
        if each.report is not None and each.report.had_it_failed is not None
        for one in each.report.had_it_failed.ranges
    ]
    return Line(
        customer, cluster, sums.maintenances, sums.unagreed, sums.restarts, sums.longest_s,
        round(sums.measured_s / 3600, 2), max(highs, default=None), None if minutes is None else round(minutes, 1),
    )  # fmt: skip


COLUMNS = (
    "customer", "cluster", "maintenances", "interruptions", "agreed_restarts", "longest_pause_s", "measured_h",
    "spared_s_min", "spared_s_max", "human_min",
)  # fmt: skip


def as_csv(lines: Sequence[Line]) -> str:
    """One line each; an empty cell is what was not measured, or not estimated."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for each in lines:
        low = None if each.spared_s_max is None else 0
        row = (
            each.customer, each.cluster, each.maintenances, each.interruptions, each.agreed_restarts,
            each.longest_pause_s, each.measured_h, low, each.spared_s_max, each.human_min,
        )  # fmt: skip
        writer.writerow(["" if cell is None else cell for cell in row])
    return out.getvalue()
