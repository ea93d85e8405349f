"""``noout serve``: the runs, the watch, the witness and the web application in one process."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from typing import Annotated

import typer

from noout.app.carrying import Carrier, carrying
from noout.app.compose import Installation
from noout.app.maintain import Maintenances
from noout.app.notice import watcher_of
from noout.app.reconciler import Reconciler
from noout.cli.live import Teller
from noout.cli.options import ConfigOption, opened, out, wait
from noout.cli.webapp import web_served
from noout.domain.errors import Refused, UsageError

LOOK_EVERY_S = 1.0  # wall seconds between two looks for maintenances opened by others


def serve(
    role: Annotated[str, typer.Option("--role", metavar="ROLE", help="all: everything in this process.")] = "all",
    config: ConfigOption = None,
) -> None:
    """Carry out the maintenances, watch the hardware and serve the technicians' page, until Ctrl-C."""
    if role != "all":
        raise UsageError(f"--role {role} is not available yet", remedy="use --role all")

    async def work() -> None:
        async with opened(config) as found, carrying(found) as carrier:
            if carrier is None:
                raise Refused("another noout process serves this store", remedy="stop it first")
            stop = asyncio.Event()
            for number in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(number, stop.set)
            watcher = watcher_of(found)
            async with web_served(found, found.settings.serve.listen, watcher) as (client, _token):
                out.print(f"serving {client.base_url}; the watch asks {len(found.bmcs)} BMCs. Stop with Ctrl-C.")
                await _until(stop, watcher.run(), Reconciler(found).run(), _carry_all(found, carrier))

    wait(work())


async def _carry_all(found: Installation, carrier: Carrier) -> None:
    """Carry out every open maintenance, and those opened later, telling what happens."""
    teller, shown = Teller(found.clock), set[str]()
    maintenances = Maintenances(found)
    async with asyncio.TaskGroup() as group:
        while True:
            for state in await maintenances.all():
                if not state.open:
                    shown.discard(state.id)  # it may be taken up again
                elif state.id not in shown:
                    shown.add(state.id)
                    await carrier.begin(state.id)
                    group.create_task(_tell(maintenances, state.id, teller))
            await asyncio.sleep(LOOK_EVERY_S)


async def _tell(maintenances: Maintenances, maintenance: str, teller: Teller) -> None:
    async for _ in maintenances.follow(maintenance, lambda text: teller.say(f"{maintenance}: {text}")):
        pass


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
