"""``noout serve``: the runs, the watch, the witness and the web application; on PostgreSQL in several processes."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Coroutine, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from noout.app.access import access_of
from noout.app.carrying import Carrier, carrying
from noout.app.compose import Installation
from noout.app.duty import PUBLIC, WATCH, WEBHOOKS, on_duty
from noout.app.heads import Publisher
from noout.app.metrics import metrics
from noout.app.notice import watcher_of
from noout.app.post import POST, keep_telling
from noout.app.public.settings import load_public
from noout.app.public.shelf import Shelf
from noout.app.public.wiring import courier_of
from noout.app.pulse import Heartbeat, Pulse
from noout.app.reconciler import Reconciler
from noout.app.sending import mailer_of
from noout.app.sentences import sentence
from noout.app.watcher import Watcher
from noout.app.webhooks import run_webhooks, webhooks_of
from noout.cli.live import Teller
from noout.cli.options import ConfigOption, opened, out, wait
from noout.cli.webapp import listening, web_served
from noout.domain.errors import NooutError, Refused, UsageError
from noout.settings import find
from noout.tell.say import reword
from noout.web.public import create_public_app

log = logging.getLogger(__name__)

ROLES = ("all", "control", "public")
LOOK_EVERY_S = 1.0  # wall seconds between two looks for maintenances opened by others


def serve(
    role: Annotated[
        str,
        typer.Option(
            "--role",
            metavar="ROLE",
            help="all: everything in this process; control: all but the technicians' and customers' pages; "
            "public: those alone, with a configuration of its own that holds no credential.",
        ),
    ] = "all",
    config: ConfigOption = None,
) -> None:
    """Carry out the maintenances, watch the hardware and serve the technicians' page, until Ctrl-C.

    With a PostgreSQL store, any number of these may run: each run, and the watch, is carried by one of them, and taken
    over by another when that one is gone.
    """
    if role not in ROLES:
        raise UsageError(f"--role {role} is not known", remedy=f"one of {', '.join(ROLES)}")
    if role == "public":
        wait(_public(config), lasting=True)
        return

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
            stop = _stop()
            courier = courier_of(found) if role == "control" or found.settings.public is not None else None
            webhooks_of(found)  # what is wrong with a secret is said at once
            mailer_of(found)
            watcher = watcher_of(found)
            pulse = Pulse(found, carrier, watcher)
            figures = partial(metrics, pulse)
            listen, here = found.settings.serve.listen, role == "all"
            async with web_served(found, listen, watcher, figures, access, partial(_well, pulse), technicians=here) as (
                client,
                _token,
            ):
                out.print(f"serving {client.base_url}; the watch asks {len(found.bmcs)} BMCs. Stop with Ctrl-C.")
                watching = on_duty(found.leases, WATCH, partial(_watch, found, watcher))
                beating = Heartbeat(pulse).run()
                telling = on_duty(found.leases, WEBHOOKS, lambda: run_webhooks(webhooks_of(found)))
                showing = [on_duty(found.leases, PUBLIC, courier.run)] if courier is not None else []
                posting = on_duty(found.leases, POST, partial(keep_telling, found))
                others = (Publisher(found).run(), telling, posting, *showing)
                await _until(stop, watching, _carry_all(found, carrier), beating, *others)

    wait(work(), lasting=True)


def _stop() -> asyncio.Event:
    """Set by Ctrl-C, and by whoever ends this process in good order."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


async def _well(pulse: Pulse) -> bool:
    return not await pulse.troubles()


async def _public(config: Path | None) -> None:
    """The public process: it opens no connection to anybody, and no store."""
    chosen = load_public(find(config))
    reword(chosen.wording)
    stop, serve = _stop(), chosen.serve
    app = create_public_app(Shelf(chosen.key), serve.base_url)
    async with listening(app, serve.listen, ",".join(serve.proxies)) as url:
        out.print(f"serving {url}; shows what control tells. Stop with Ctrl-C.")
        await stop.wait()


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
