"""What the commands share: their options, the console, and how they open an installation."""

from __future__ import annotations

import asyncio
import gc
import getpass
import json
import sys
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console

from noout.app.compose import Installation, installation
from noout.domain.errors import Broken
from noout.domain.maintenance import Json
from noout.lab.real.box import enter
from noout.settings import find, load

T = TypeVar("T")

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="The configuration (else NOOUT_CONFIG, ./noout.toml, /etc/noout/noout.toml).",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print a versioned JSON document instead.")]
NodeArgument = Annotated[str, typer.Argument(metavar="NODE", help="CLUSTER/NODE, or NODE alone where unique.")]
ConsentOption = Annotated[
    list[str] | None,
    typer.Option(
        "--consent", metavar="GUEST", help="Its owner agrees to an interruption, for this maintenance; may be repeated."
    ),
]
IdArgument = Annotated[str, typer.Argument(metavar="ID", help="The maintenance, as `noout status` shows it.")]

# How long a thread may keep the others waiting (usual is 5 ms): the prober's own lateness depends on it.
SWITCH_S = 0.00005

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


@asynccontextmanager
async def opened(config: Path | None) -> AsyncIterator[Installation]:
    """The installation that the configuration names."""
    settings = load(find(config))
    if settings.lab is not None and settings.lab.namespace:
        join(settings.lab.namespace)
    async with installation(settings) as found:
        yield found


def join(namespace: str) -> None:
    """Go where a lab with real parts is, and its guests' clients."""
    try:
        enter(namespace)
    except OSError as error:
        raise Broken(f"the lab is not there: {error}", remedy="start `noout lab --real` anew, and be root") from None


@contextmanager
def working(what: str) -> Iterator[None]:
    """Say on a terminal that something takes its time; nothing where nobody watches."""
    if not err.is_terminal:
        yield
        return
    with err.status(what, spinner="dots"):
        yield


def wait(work: Coroutine[Any, Any, T], *, lasting: bool = False) -> T:
    """Run one command's work to its end.

    ``lasting``: for days perhaps. What was imported by now stays then, and the collector need not look through it again
    and again, which would keep every probe waiting for a tenth of a second. A thread that computes gives way sooner
    than by Python's default (5 ms), for the same reason.
    """
    if lasting:
        gc.collect()
        gc.freeze()
        sys.setswitchinterval(SWITCH_S)
    return asyncio.run(work)


def operator() -> str:
    """Who is at the keyboard, as the journal names them."""
    return f"operator:{getpass.getuser()}"


def print_json(document: Json) -> None:
    typer.echo(json.dumps(document, indent=2, ensure_ascii=False))


def print_plain(lines: list[str]) -> None:
    """Commands and addresses, each on a line of its own however long: to be copied."""
    for line in lines:
        typer.echo(line)
