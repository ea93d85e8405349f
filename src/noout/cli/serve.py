"""``noout serve``: the runs, the watch, the witness and the web application; on PostgreSQL in several processes."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Coroutine, Mapping
from functools import partial
from typing import Annotated

import typer

from noout.app.access import access_of
from noout.app.carrying import Carrier, carrying
from noout.app.compose import Installation
from noout.app.duty import WATCH, on_duty
from noout.app.heads import Publisher
from noout.app.metrics import metrics
from noout.app.notice import watcher_of
from noout.app.pulse import Heartbeat, Pulse
from noout.app.reconciler import Reconciler
from noout.app.sentences import sentence
from noout.app.watcher import Watcher
from noout.cli.live import Teller
from noout.cli.options import ConfigOption, opened, out, wait
from noout.cli.webapp import web_served
from noout.domain.errors import NooutError, Refused, UsageError

log = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0  # wall seconds between two looks for maintenances opened by others


def serve(
    role: Annotated[str, typer.Option("--role", metavar="ROLE", help="all: everything in this process.")] = "all",
    config: ConfigOption = None,
) -> None:
    """Carry out the maintenances, watch the hardware and serve the technicians' page, until Ctrl-C.

    With a PostgreSQL store, any number of these may run: each run, and the watch, is carried by one of them, and taken
    over by another when that one is gone.
    """
    if role != "all":
        raise UsageError(f"--role {role} is not available yet", remedy="use --role all")

    async def work() -> None:
        async with (
            opened(config) as found,
            access_of(found) as access,
            carrying(found, serves=True) as carrier,
        ):
            if carrier is None:
                raise Refused(
                    "another noout process carries this store's maintenances, and SQLite is for one at a time",
                    remedy="stop it first, or move to PostgreSQL, which several processes share",
                )
            stop = asyncio.Event()
            for number in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(number, stop.set)
            watcher = watcher_of(found)
            pulse = Pulse(found, carrier, watcher)
            figures = partial(metrics, pulse)
            async with web_served(found, found.settings.serve.listen, watcher, figures, access) as (client, _token):
                out.print(f"serving {client.base_url}; the watch asks {len(found.bmcs)} BMCs. Stop with Ctrl-C.")
                watching = on_duty(found.leases, WATCH, partial(_watch, found, watcher))
                beating = Heartbeat(pulse).run()
                await _until(stop, watching, _carry_all(found, carrier), beating, Publisher(found).run())

    wait(work(), lasting=True)


async def _carry_all(found: Installation, carrier: Carrier) -> None:
    """Carry out every open maintenance that no other process carries, and those opened later, telling what happens."""
    teller, told = Teller(found.clock), dict[str, int]()
    while True:
        try:
            states = await found.news.open_ones()
            await carrier.mind(states)
            await _tell(found, {each.id: each.seq for each in states}, told, teller)
        except NooutError as error:  # the store is away: what is carried waits, and so does this
            log.warning("%s", error)
        await asyncio.sleep(LOOK_EVERY_S)


async def _tell(found: Installation, now: Mapping[str, int], told: dict[str, int], teller: Teller) -> None:
    """Say what happened since. ``now``: the last event of each open maintenance; ``told``: the last that was said."""
    for maintenance in sorted({*told, *now}):
        if now.get(maintenance) == told.get(maintenance):
            continue
        for event in await found.journal.read(maintenance, told.get(maintenance, 0)):
            told[maintenance] = event.seq
            if (text := sentence(event)) is not None:
                teller.say(f"{maintenance}: {text}")
        if maintenance not in now:  # over
            told.pop(maintenance, None)


async def _watch(found: Installation, watcher: Watcher) -> None:
    """The watch, from what the store knows: another process may have watched until now."""
    watcher.forget()
    async with asyncio.TaskGroup() as group:
        group.create_task(watcher.run())
        group.create_task(Reconciler(found).run())


async def _until(stop: asyncio.Event, *works: Coroutine[object, object, None]) -> None:
    """Run these until ``stop``; what fails in one of them is raised."""
    tasks = [asyncio.create_task(each) for each in works]
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait([*tasks, stopping], return_when=asyncio.FIRST_COMPLETED)
    for task in (*tasks, stopping):
        task.cancel()
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(result, Exception):
            raise result
