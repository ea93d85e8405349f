"""``noout journal``: prove that nobody changed the journal, take it along, and take a person out of it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from noout.app.erasing import erase
from noout.app.heads import breaks, heads_now
from noout.app.maintain import Maintenances
from noout.cli.options import ConfigOption, opened, operator, out, print_json, wait
from noout.codec import encode
from noout.domain.errors import Broken, UsageError
from noout.domain.heads import Head, read_heads
from noout.domain.journal import ERASED, Event
from noout.tell.verify import LIMITS
from noout.tell.verify import verify as check_bundle

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode="markdown")

StreamArgument = Annotated[str, typer.Argument(metavar="ID", help="A maintenance, or another stream of `verify`.")]


@app.callback()
def journal() -> None:
    """The journal: the only truth of every maintenance."""


@app.command("verify")
def verify(
    heads: Annotated[
        Path | None, typer.Option("--heads", metavar="FILE", help="Heads published before: they must still be there.")
    ] = None,
    bundle: Annotated[
        Path | None,
        typer.Option(
            "--bundle", metavar="FILE", help="A report with its proof, as a customer gets it; no store is needed."
        ),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Recompute every hash chain; exit code 1 and the first broken event of each when something was changed.

    A chain that was written anew from some event on, or cut short, is whole in itself: `--heads FILE` finds it by what
    was published before.
    """
    published = _published(heads) if heads is not None else ()
    if bundle is not None:
        _verify_bundle(bundle, published)
        return

    async def work() -> list[str]:
        async with opened(config) as found:
            whole, broken = await breaks(found.journal, published)
        for stream, events in whole.items():
            out.print(
                f"{stream}: {_count(len(events), 'event')}, unbroken, head {events[-1].digest[:16]}",
                soft_wrap=True,
                markup=False,
            )
            for said in _erasures(events):
                out.print(f"  {said}", soft_wrap=True, markup=False)
        if not whole and not broken:
            out.print("The journal is empty.")
        elif published and not broken:
            out.print(f"{_count(len(published), 'published head')} looked for: all lie on these chains")
        return broken

    broken = wait(work())
    for sentence in broken:
        out.print(f"[red]broken[/]: {escape(sentence)}", soft_wrap=True)
    if broken:
        raise typer.Exit(1)


def _verify_bundle(path: Path, published: tuple[Head, ...]) -> None:
    """What holds, what does not, and what cannot be proved by this."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", remedy="check the file and its rights") from None
    except ValueError:
        raise UsageError(f"{path} is no JSON", remedy="download it again") from None
    found = check_bundle(document, published)
    for each in found.checks:
        out.print(f"{'holds' if each.ok else '[red]does not hold[/]'}: {escape(each.says)}", soft_wrap=True)
    out.print(f"fingerprint of the record: {found.head} ({_count(found.events, 'line')})", soft_wrap=True, markup=False)
    for limit in LIMITS:
        out.print(f"not proved: {limit}", soft_wrap=True, markup=False)
    if not found.ok:
        raise typer.Exit(1)


def _published(path: Path) -> tuple[Head, ...]:
    try:
        return tuple(read_heads(path.read_text(encoding="utf-8", errors="replace")))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", remedy="check the file and its rights") from None
    except ValueError as error:
        raise UsageError(f"{path}: {error}", remedy="give a whole file, as `noout journal heads` writes it") from None


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' if number != 1 else ''}"


def _erasures(events: list[Event]) -> list[str]:
    said = []
    for event in events:
        if event.kind == ERASED:
            count = _count(len(event.data["reads"]), "event")
            said.append(f"text of {count} was erased by {event.actor} at {event.at:%Y-%m-%d %H:%M} UTC")
    return said


@app.command("export")
def export(
    stream: StreamArgument,
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Instead of stdout.")] = None,
    config: ConfigOption = None,
) -> None:
    """Print a maintenance's events with their chain as one JSON document (`noout schema journal`)."""

    async def work() -> list[Event]:
        async with opened(config) as found:
            events = list(await found.journal.read(stream))
            if not events:
                await Maintenances(found).get(stream)  # names those there are
            return events

    document = {"format": "noout.journal", "version": 1, "events": [encode(each) for each in wait(work())]}
    if output is None:
        print_json(document)
        return
    try:  # it names guests: its owner alone reads it
        with open(os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    except OSError as error:
        raise Broken(f"{output} cannot be written: {error.strerror}", remedy="choose another place") from None


@app.command("heads")
def heads(config: ConfigOption = None) -> None:
    """Print the head of every chain: keep it where nobody who could rewrite the journal can reach it.

    `noout serve` publishes it every day, by `[journal]` of the configuration.
    """

    async def work() -> str:
        async with opened(config) as found:
            return await heads_now(found)

    typer.echo(wait(work()), nl=False)


@app.command("erase")
def erase_(
    stream: StreamArgument,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="A name, a number, an address: whole words, as written.")],
    config: ConfigOption = None,
) -> None:
    """Take a text out of a closed maintenance, for good: somebody's name, or what they typed into a note.

    The chain stays valid, published heads too; that something was erased, when and by whom, is in it. Reports and
    backups that were made before hold the text still.
    """

    async def work() -> tuple[int, int]:
        async with opened(config) as found:
            return await erase(found, stream, text, operator())

    events, messages = wait(work())
    out.print(f"erased in {_count(events, 'event')} and {_count(messages, 'message')}", markup=False)
