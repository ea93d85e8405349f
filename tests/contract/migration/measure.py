"""Measure real migrations and print the constants of the simulator's model (``noout.lab.world.precopy``).

    sudo .venv/bin/python -m tests.contract.migration.measure [--moves 6] [--rates 0 8 32]

For each dirty rate one guest goes to and fro between two hosts, probed all the time by three kinds of client. A move
during which the probers themselves came late says more about this machine than about migration: it is printed and not
counted. Needs what the tests need (scripts/install-real-parts, root); about five seconds a move. On a busy machine,
give it precedence (``nice -n -10``).
"""

from __future__ import annotations

import argparse
import asyncio
import math
import statistics
import sys
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from noout.lab.real.needs import lacking
from noout.lab.real.qemu import DOWNTIME_LIMIT_MS, Machine
from tests.contract.migration.accounts import lost_ms, silence_ms, witnessed
from tests.support.realqemu import LINK_BYTES_PER_S, TwoHosts
from tests.support.savedguest import saved_guest

LAG_MS_MAX = 30.0


@dataclass(frozen=True)
class Row:
    """One move; ms unless the name says otherwise."""

    dirty_mib_s: int
    setup: float
    total: float
    passes: int
    throttle_pct: int
    downtime: float
    rest: float  # the part of the downtime that sending the rest would take on the link
    seen: float  # from QEMU's end to the poll that saw it
    handover: float  # from that poll to the target's leave to go on
    udp: float
    stream: float
    connect: float
    lag: float  # the probers' own, the largest

    @property
    def own(self) -> float:
        """What the switch itself cost QEMU: stopping, device state, the last words."""
        return max(self.downtime - self.rest, 1.0)

    @property
    def rest_share(self) -> float:
        """The rest as a percentage of what the downtime limit allows."""
        return self.rest / DOWNTIME_LIMIT_MS * 100

    @property
    def beyond(self) -> float:
        """What a client lost more than QEMU says."""
        return max(self.udp - self.downtime, 1.0)

    @property
    def relearn(self) -> float:
        """What is left of that: the network learns the new place, the guest gets going, the probe asks again."""
        return max(self.beyond - self.seen - self.handover, 1.0)


async def one(hosts: TwoHosts, source: Machine, rate: int) -> tuple[Machine, Row]:
    target = await hosts.start("b" if source.host == "a" else "a", incoming=True)
    async with hosts.probing() as prober:
        await prober.get(f"/dirty/{rate}")
        await asyncio.sleep(0.5)
        report = await hosts.migrate(source, target)
        await asyncio.sleep(0.5)
        state = await prober.get("/check")
    if state["lost"]:
        raise RuntimeError(f"{state['lost']} pages lost their last write: this QEMU cannot be measured")
    told = witnessed(prober, report)
    lag = max(*prober.datagrams.lag_s, *prober.stream.lag_s, *(sample.lag_s for sample in prober.connections))
    return target, Row(
        dirty_mib_s=rate,
        setup=report.setup_ms,
        total=report.total_ms,
        passes=report.ram["dirty-sync-count"],
        throttle_pct=report.throttle_pct,
        downtime=report.downtime_ms,
        rest=report.ram["downtime-bytes"] / LINK_BYTES_PER_S * 1000,
        seen=max((report.completed - report.started).total_seconds() * 1000 - report.total_ms, 0.0),
        handover=report.handover_ms,
        udp=lost_ms(prober.datagrams),
        stream=silence_ms(prober.stream),
        connect=(told.longest_gap_s or math.nan) * 1000,
        lag=lag * 1000,
    )


def spread(name: str, values: list[float]) -> str:
    """Median, p90, max, and the same as a log-normal: its median and sigma."""
    values = sorted(values)
    logs = [math.log(value) for value in values if value > 0]
    sigma = statistics.stdev(logs) if len(logs) > 1 else 0.0
    p90 = values[min(math.ceil(0.9 * len(values)), len(values)) - 1]
    figures = (statistics.median(values), p90, values[-1], math.exp(statistics.mean(logs)) if logs else 0.0, sigma)
    return f"{name:12} {figures[0]:7.0f} {figures[1]:7.0f} {figures[2]:7.0f}   {figures[3]:7.0f} x e^±{sigma:.2f}"


async def measure(template: Path, moves: int, rates: list[int]) -> list[Row]:
    rows = []
    tell(" ".join(f"{field.name:>12}" for field in fields(Row)))
    for rate in rates:
        async with TwoHosts(template.parent, template) as hosts:
            machine = await hosts.start("a", restored=True)
            for _ in range(moves):
                machine, row = await one(hosts, machine, rate)
                rows.append(row)
                tell(" ".join(f"{value:12.0f}" for value in asdict(row).values()))
    return rows


def tell(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--moves", type=int, default=6, help="of each dirty rate")
    parser.add_argument("--rates", type=int, nargs="+", default=[0, 8, 32], help="MiB/s that the guest rewrites")
    asked = parser.parse_args()
    if lacking():
        tell(lacking())
        return 1
    with saved_guest() as template:
        rows = asyncio.run(measure(template, asked.moves, asked.rates))
    counted = [row for row in rows if row.lag <= LAG_MS_MAX]
    tell(f"\n{len(counted)} of {len(rows)} moves counted: the others' probers were late by more than {LAG_MS_MAX:g} ms")
    if not counted:
        return 1
    tell(f"{'ms':12} {'median':>7} {'p90':>7} {'max':>7}   {'as a log-normal':>17}")
    for name in (
        "setup",
        "downtime",
        "rest",
        "rest_share",
        "own",
        "beyond",
        "seen",
        "handover",
        "relearn",
        "udp",
        "stream",
        "connect",
        "lag",
    ):
        tell(spread(name, [getattr(row, name) for row in counted]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
