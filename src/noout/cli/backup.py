"""``noout backup`` and ``noout restore``: everything that noout keeps as one file, and back into an empty store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from noout.app.backup import Copied, Progress, back_up, open_in, stored
from noout.app.backup import restore as fill
from noout.cli.options import ConfigOption, err, operator, out, wait
from noout.settings import find, load

FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="The backup.")]
WORDS = {
    "events": "events", "messages": "messages", "sample_blocks": "blocks of samples",
    "hardware_states": "sensor states", "hardware_trends": "times ten minutes of trends",
}  # fmt: skip


@contextmanager
def _progress(doing: str) -> Iterator[Progress]:
    """What is done by now, on a terminal."""
    if not err.is_terminal:
        yield lambda table, count: None
        return
    with err.status(doing, spinner="dots") as status:
        yield lambda table, count: status.update(f"{doing}: {count:,} {WORDS.get(table, table)}")


def _told(copied: Copied) -> str:
    counted = [f"{copied.rows[table]:,} {said}" for table, said in WORDS.items() if copied.rows[table]]
    return ", ".join(counted)


def backup(
    file: FileArgument,
    without_measurements: Annotated[
        bool, typer.Option("--without-measurements", help="The journal alone: no samples, no sensor states.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Write everything that noout keeps, as of one moment, into FILE; runs go on meanwhile.

    The file is the same whatever the database is. It names guests and people and holds no secrets; only its owner can
    read it. An older FILE is replaced once the new one is complete.
    """

    async def work() -> Copied:
        async with stored(load(find(config)), there=True) as (store, clock):
            with _progress("backing up") as progress:
                return await back_up(store, clock, file, progress, measured=not without_measurements)

    copied = wait(work())
    out.print(f"wrote {file}: {_told(copied)}, as of {copied.made_at:%Y-%m-%d %H:%M:%S} UTC", markup=False)


def restore(file: FileArgument, config: ConfigOption = None) -> None:
    """Fill the empty store that the configuration names from FILE; every hash chain is checked.

    Then no effect is started anywhere: `noout status` shows where the clusters differ from the journal, and
    `noout allow-all` lets it go on. Stop every noout of the old store first: two that act are one too many.
    """

    async def work() -> tuple[Copied, list[str]]:
        async with stored(load(find(config)), there=False) as (store, clock):
            with _progress("restoring") as progress:
                copied = await fill(store, clock, file, operator(), progress)
            return copied, await open_in(store)

    copied, open_ones = wait(work())
    out.print(f"restored {_told(copied)}, as of {copied.made_at:%Y-%m-%d %H:%M:%S} UTC", markup=False)
    named = f": {', '.join(open_ones)}" if open_ones else ""
    out.print(f"{len(open_ones)} maintenance{'s' * (len(open_ones) != 1)} open{named}", markup=False)
    out.print("no effect is started anywhere until `noout allow-all`; look first: `noout status`", markup=False)
