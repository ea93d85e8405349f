"""A month's report for many customers: page, PDF and data of each, from what was released to them.

    python -m benchmarks.tell [--customers 200] [--maintenances 4]

Each customer has five guests, each maintenance touches every customer; what is timed is what ``noout tell month`` does.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import sys
import tempfile
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from tests.support.telling import House
from tests.unit.tell.cast import EXPERIENCES, GUESTS, MOVES, at, journal, make_maintenance

from noout.adapters.store.papers import MemoryPapers
from noout.app.months import Months
from noout.app.outbox import Outbox, notice_of
from noout.domain.cluster import GuestId
from noout.domain.maintenance import Maintenance
from noout.domain.notices import Class, Text
from noout.tell.report import Report, make_report

PER_CUSTOMER = 5


async def fill(customers: int, maintenances: int) -> House:
    """Everything drafted and released; the languages in turn."""
    languages = ("en", "nl", "es")
    tables = {
        f"c{n}": {"name": f"Customer {n}", "pools": [f"pool-{n}"], "language": languages[n % 3]}
        for n in range(customers)
    }
    house = House.make(customers=tables, probes={})
    house.found.papers = MemoryPapers()
    outbox = Outbox(house.found)
    for number in range(maintenances):
        later = timedelta(days=3 * number)
        for n, customer in enumerate(house.found.customers):
            ids = [GuestId("ams1", 10_000 + PER_CUSTOMER * n + one) for one in range(PER_CUSTOMER)]
            guests = [replace(GUESTS[0], id=id, name=f"guest-{id.vmid}", pool=f"pool-{n}") for id in ids]
            moves = tuple(
                replace(MOVES[0], guest=each.id, name=each.name, started=at(9, 0) + later, finished=at(9, 1) + later)
                for each in guests
            )
            spanned = replace(EXPERIENCES[0], since=at(8, 55) + later, until=at(9, 51) + later, interruptions=())
            seen = [replace(spanned, guest=each.id, name=each.name) for each in guests]
            m: Maintenance = replace(make_maintenance(), moved=moves)
            reports: dict[str, Report] = {
                language: make_report(
                    m, customer, seen, guests, language=language, generated_at=at(10, 0) + later, events=journal(m)
                )
                for language in languages
            }
            text = Text(customer.language, "UTC", "Done", "Done.", (), ())
            drafted = await outbox.draft(
                notice_of(
                    Class.DONE, customer, f"m-{number}", f"r{number}", [text], at(8, 55) + later, at(9, 51) + later,
                    at(10, 0) + later,
                ),
                reports,
            )  # fmt: skip
            await outbox.release(drafted.id, "operator:bench")
    return house


async def run(customers: int, maintenances: int) -> int:
    house = await fill(customers, maintenances)
    with tempfile.TemporaryDirectory() as folder:
        wall, cpu = time.perf_counter(), time.process_time()
        written = await Months(house.found).write("2026-11", Path(folder))
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        size = sum(path.stat().st_size for path in written)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sys.stdout.write(
        f"{customers} customers, {maintenances} maintenances each: {len(written)} files, {size / 2**20:.1f} MiB\n"
        f"wall {wall:.1f} s, processor {cpu:.1f} s (aim: at most 60 s for 200), {peak:.0f} MiB of memory\n"
    )
    return 0 if wall <= 60.0 * max(1.0, customers / 200) else 1


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.tell", description=__doc__)
    parser.add_argument("--customers", type=int, default=200)
    parser.add_argument("--maintenances", type=int, default=4)
    chosen = parser.parse_args()
    return asyncio.run(run(chosen.customers, chosen.maintenances))


if __name__ == "__main__":
    sys.exit(main())
