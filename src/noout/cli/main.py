"""The ``noout`` command: its log, and the one place where an error becomes an exit code."""

from __future__ import annotations

import logging
import os
import sys
import traceback
from typing import Annotated, NoReturn

import typer
from typer.exceptions import TyperException

from noout import __version__
from noout.cli.commands import Commands
from noout.domain.errors import NooutError

app = typer.Typer(
    cls=Commands,
    name="noout",
    help="Carries Proxmox VE + Ceph clusters through hardware maintenance so that no customer notices.",
    epilog="`noout COMMAND --help` says more. Exit codes: 0 done, 1 failed, 2 usage, 3 refused, 4 outcome unknown.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"noout {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", envvar="NOOUT_DEBUG", help="Log in detail to stderr.")] = False,
) -> None:
    """What every command shares: the log."""
    logging.basicConfig(
        level=logging.DEBUG if debug else logging.WARNING,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    if not debug:
        # Libraries that narrate; what matters of theirs reaches people through our own errors.
        for name in ("dbos", "asyncssh", "httpx2", "httpcore2", "uvicorn"):
            logging.getLogger(name).setLevel(logging.CRITICAL)


def _stop(sentence: str, remedy: str, code: int) -> NoReturn:
    typer.echo(f"noout: {sentence}", err=True)
    if remedy:
        typer.echo(f"  → {remedy}", err=True)
    sys.exit(code)


def _misunderstood(error: TyperException) -> NoReturn:
    """A command line that is none. Without a sentence it was the help that was asked for, and is printed."""
    said = error.format_message() if hasattr(error, "format_message") else str(error)
    sentence = " ".join(said.split())
    if not sentence:
        sys.exit(getattr(error, "exit_code", 2))
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "noout"
    _stop(sentence[0].lower() + sentence[1:].rstrip("."), f"see `{path} --help`", getattr(error, "exit_code", 2))


def run() -> NoReturn:
    """The console script. Exit codes: 0 done, 1 failed, 2 usage, 3 refused, 4 outcome unknown."""
    try:
        code = app(prog_name="noout", standalone_mode=False)
    except NooutError as error:
        _stop(error.message, error.remedy, error.exit_code)
    except TyperException as error:
        _misunderstood(error)
    except (KeyboardInterrupt, typer.Abort):
        _stop("stopped here; nothing that was begun is lost", "the same command goes on where this one stopped", 130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:  # noqa: BLE001 - the last door: a person gets a sentence, never a traceback
        if logging.getLogger().isEnabledFor(logging.DEBUG):
            traceback.print_exc()
        _stop(f"a fault in noout itself: {type(error).__name__}: {error}", "run it with --debug and report it", 1)
    sys.exit(code if isinstance(code, int) else 0)
