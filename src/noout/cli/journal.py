"""``noout journal``: look at the journal and prove that nobody changed it."""

from __future__ import annotations

import typer
from rich.markup import escape

from noout.cli.options import ConfigOption, opened, out, wait
from noout.domain.journal import chain_error

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode="markdown")


@app.callback()
def journal() -> None:
    """The journal: the only truth of every maintenance."""


@app.command("verify")
def verify(config: ConfigOption = None) -> None:
    """Recompute every hash chain; exit code 1 and the first broken event when something was changed."""

    async def work() -> list[str]:
        broken = []
        async with opened(config) as found:
            streams = await found.journal.streams()
            for stream in streams:
                events = await found.journal.read(stream)
                error = chain_error(events)
                if error is not None:
                    broken.append(error)
                else:
                    head = events[-1].digest[:16]
                    out.print(f"{stream}: {len(events)} events, unbroken, head {head}", soft_wrap=True)
            if not streams:
                out.print("The journal is empty.")
        return broken

    broken = wait(work())
    for sentence in broken:
        out.print(f"[red]broken[/]: {escape(sentence)}", soft_wrap=True)
    if broken:
        raise typer.Exit(1)
