"""The live view: every event as a sentence with its time; on a terminal, below them, what moves right now."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from dataclasses import dataclass
from datetime import datetime
from typing import NoReturn

from rich.console import Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from noout.app.carrying import Carrier, carrying
from noout.app.compose import Installation
from noout.app.duty import COMMAND, WATCH, on_duty
from noout.app.maintain import Maintenances
from noout.app.notice import watcher_of
from noout.cli.options import err, operator, out
from noout.cli.webapp import web_served
from noout.domain.cluster import MigrationProgress
from noout.domain.errors import NooutError
from noout.domain.journal import MessageKind
from noout.domain.maintenance import Maintenance, Pending
from noout.ports import Clock

MOVES = ("migrate", "ha-migrate")
GIB = 1024**3
LOOK_EVERY_S = 1.0  # wall seconds between two looks at the running migrations


class Teller:
    """Prints sentences with the Clock's time before them."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def say(self, text: str) -> None:
        out.print(f"[dim]{self.clock.now():%H:%M:%S}[/] {escape(text)}", soft_wrap=True)


@dataclass
class Moving:
    """What the running migrations say of themselves, looked up now and then for people to see."""

    found: Installation
    state: Maintenance | None = None
    progress: dict[str, MigrationProgress] | None = None

    async def run(self) -> None:
        while True:
            with contextlib.suppress(NooutError):
                await self.look()
            await asyncio.sleep(LOOK_EVERY_S)

    async def look(self) -> None:
        if self.state is None:
            return
        hypervisor = self.found.hypervisor(self.state.node)
        seen = {}
        for pending in self.state.pending:
            if pending.action.verb in MOVES and pending.upid:
                known = await hypervisor.progress(pending.upid)
                if known is not None:
                    seen[pending.action.subject] = known
        self.progress = seen


def picture(state: Maintenance, moving: Moving, now: datetime) -> RenderableType:
    """The bottom lines: phase, what it waits for, what is held, and a bar for each guest on the move."""
    head = Text.from_markup(f"[bold]{state.node.name}[/] {state.phase.value}")
    if state.waiting_for:
        head.append(f"  waits for {state.waiting_for}", "dim")
    held = ", ".join(sorted({f"{owned.kind} {owned.subject}" for owned in state.owned}))
    lines: list[RenderableType] = [Text(""), head]
    if held:
        lines.append(Text(f"  holds {held}", "dim"))
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 1))
    for _ in range(4):
        table.add_column(no_wrap=True, overflow="ellipsis")
    for pending in state.pending:
        if pending.action.verb in MOVES:
            table.add_row(*_row(pending, (moving.progress or {}).get(pending.action.subject), now))
    lines.append(table)
    return Group(*lines)


def _row(pending: Pending, known: MigrationProgress | None, now: datetime) -> tuple[RenderableType, ...]:
    args = pending.action.args
    name = Text(f"  {args.get('name', pending.action.subject)}")
    way = Text(f"{args.get('source')} → {args.get('target')}", "cyan")
    since = f"{max(0.0, (now - pending.since).total_seconds()):.0f} s"
    if known is None or not known.total_bytes:
        return name, way, Text("is being set up", "dim"), Text(since, "dim")
    done = min(1.0, known.transferred_bytes / known.total_bytes)
    figures = f"{known.transferred_bytes / GIB:.1f} of {known.total_bytes / GIB:.1f} GiB"
    if known.rate_bytes_s:
        left = max(0.0, known.total_bytes - known.transferred_bytes) / known.rate_bytes_s
        figures += f", {left:.0f} s left"
    return name, way, ProgressBar(total=1.0, completed=done, width=8), Text(f"{since}  {figures}", "dim")


async def follow(found: Installation, maintenance: str) -> Maintenance:
    """Show a maintenance until it is over, and carry it out here when no other process does."""
    showing = asyncio.create_task(show(found, maintenance))
    helping = asyncio.create_task(_help(found, maintenance))
    try:
        await asyncio.wait({showing, helping}, return_when=asyncio.FIRST_COMPLETED)
        return helping.result() if helping.done() else showing.result()
    finally:
        showing.cancel()
        helping.cancel()
        await asyncio.gather(showing, helping, return_exceptions=True)


async def _help(found: Installation, maintenance: str) -> NoReturn:
    """Carry out all that is open, with the watch and the technician's page, from when it falls to this process."""
    said = False
    while True:
        async with carrying(found) as carrier:
            while carrier is not None:
                if await _falls_here(found):
                    await _carry(found, carrier, maintenance)
                said = said or _leave_it()
                await asyncio.sleep(LOOK_EVERY_S)
        said = said or _leave_it()
        await asyncio.sleep(LOOK_EVERY_S)


def _leave_it() -> bool:
    err.print("another noout process carries this out; following it")
    return True


async def _falls_here(found: Installation) -> bool:
    """Processes that serve go before; of several commands, the first one."""
    try:
        return not await found.leases.served() and COMMAND in await found.leases.take([COMMAND])
    except NooutError:  # the store is away, for the others too
        return False


async def _carry(found: Installation, carrier: Carrier, maintenance: str) -> NoReturn:
    watcher = watcher_of(found)
    async with web_served(found, found.settings.serve.listen, watcher) as (client, _token):
        err.print(f"the technician's page is served at {client.base_url} (noout workorder {maintenance} --link)")
        watching = asyncio.create_task(on_duty(found.leases, WATCH, watcher.run))
        try:
            while True:
                with contextlib.suppress(NooutError):  # the store is away: what is carried waits, and so does this
                    await carrier.mind([each for each in await Maintenances(found).all() if each.open])
                await asyncio.sleep(LOOK_EVERY_S)
        finally:
            watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watching


async def show(found: Installation, maintenance: str) -> Maintenance:
    """Follow a maintenance on the terminal until it is over; its last state."""
    teller, moving = Teller(found.clock), Moving(found)
    asked: set[datetime | None] = set()
    looking = asyncio.create_task(moving.run())
    try:
        with Live(console=out, refresh_per_second=4, transient=True, auto_refresh=out.is_terminal) as live:
            async for state in Maintenances(found).follow(maintenance, teller.say):
                moving.state = state
                if out.is_terminal:
                    live.update(picture(state, moving, found.clock.now()))
                if state.needs == "confirmation" and state.waiting_since not in asked and sys.stdin.isatty():
                    asked.add(state.waiting_since)
                    live.stop()
                    await confirm(found, state)
                    live.start()
        return state
    finally:
        looking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await looking


async def confirm(found: Installation, state: Maintenance) -> None:
    """Step mode: ask the person at this terminal about the next effect. Whoever says no can say yes later."""
    out.print(f"[bold]{escape(state.waiting_for.partition(': ')[2])}[/]? \\[y/N] ", end="")
    if (await _line()).strip().lower() not in ("y", "yes"):
        out.print(f"Not now. `noout approve {state.id}` says yes, `noout abort {state.id}` undoes what was done.")
        return
    actor = operator()
    await Maintenances(found).tell(state.id, MessageKind.CONFIRM, actor, {"action": state.facts["to_confirm"]})


async def _line() -> str:
    """One line from the terminal, without a thread that would outlive a Ctrl-C."""
    loop = asyncio.get_running_loop()
    line: asyncio.Future[str] = loop.create_future()

    def read() -> None:
        if not line.done():
            line.set_result(sys.stdin.readline())

    loop.add_reader(sys.stdin.fileno(), read)
    try:
        return await line
    finally:
        loop.remove_reader(sys.stdin.fileno())
