"""``noout serve``: the runs, the watch, the witness and the web application in one process."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from typing import Annotated

import typer

from noout.app.maintain import Maintenances
from noout.cli.live import Teller
from noout.cli.options import ConfigOption, opened, out, wait
from noout.cli.webapp import web_served
from noout.domain.errors import UsageError


def serve(
    role: Annotated[str, typer.Option("--role", help="all: everything in this process.")] = "all",
    config: ConfigOption = None,
) -> None:
    """Carry out the maintenances, watch the hardware and serve the technicians' page, until Ctrl-C."""
    if role != "all":
        raise UsageError(f"--role {role} is not available yet", remedy="use --role all")

    async def work() -> None:
        async with opened(config) as found:
            stop = asyncio.Event()
            for number in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(number, stop.set)
            async with web_served(found, listen=found.settings.serve.listen) as (client, _token):
                out.print(f"serving {client.base_url}; the watch asks {len(found.bmcs)} BMCs. Stop with Ctrl-C.")
                teller = Teller(found.clock)
                tasks = [
                    asyncio.create_task(found.watcher().run()),
                    asyncio.create_task(Maintenances(found).carry_all(teller.say)),
                ]
                stopping = asyncio.create_task(stop.wait())
                done, _ = await asyncio.wait({*tasks, stopping}, return_when=asyncio.FIRST_COMPLETED)
                for task in (*tasks, stopping):
                    task.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        if task not in done:
                            await task
                for task in done:
                    task.result()

    wait(work())
