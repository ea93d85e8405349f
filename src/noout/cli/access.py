"""password and token: the ways in that an administrator hands out."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from noout.app.access import Tokens, hashed
from noout.cli.options import ConfigOption, JsonOption, opened, operator, out, print_json, wait
from noout.domain.access import Grant, Role
from noout.domain.errors import UsageError

PASSWORD_CHARS_MIN = 12

token = typer.Typer(help="Programs' tokens for the HTTP API: make, list, revoke.", no_args_is_help=True)


def password() -> None:
    """Print the hash of a password, for the file that `[access.users.NAME] hash_file` names.

    Asks twice on a terminal; otherwise reads one line from its standard input. `noout password > anna.hash`.
    """
    if sys.stdin.isatty():
        text = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        text = sys.stdin.readline().rstrip("\n")
    if len(text) < PASSWORD_CHARS_MIN:
        raise UsageError(
            f"that password has {len(text)} characters", remedy=f"take {PASSWORD_CHARS_MIN} or more; a sentence is easy"
        )
    sys.stdout.write(hashed(text) + "\n")


@token.command("make")
def make(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What it is for; the journal names it so.")],
    role: Annotated[Role, typer.Option("--role", help="What it may.")] = Role.VIEWER,
    cluster: Annotated[
        list[str] | None, typer.Option("--cluster", metavar="CLUSTER", help="Only there; may be repeated.")
    ] = None,
    days: Annotated[float, typer.Option("--days", metavar="DAYS", help="How long it is good.")] = 90,
    config: ConfigOption = None,
) -> None:
    """Make a token and print it: once, for it is kept nowhere."""

    async def work() -> str:
        async with opened(config) as found:
            for each in cluster or ():
                if each not in found.settings.clusters:
                    raise UsageError(
                        f"--cluster {each}: is not configured", remedy=f"known: {', '.join(found.settings.clusters)}"
                    )
            grant = Grant(role, frozenset(cluster) if cluster else None)
            return await Tokens(found.journal, found.clock).make(name, [grant], days, operator())

    sys.stdout.write(wait(work()) + "\n")


@token.command("list")
def list_(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """The tokens that are good now, and what each may."""

    async def work() -> None:
        async with opened(config) as found:
            tokens = await Tokens(found.journal, found.clock).all()
        if as_json:
            lines = [
                {
                    "name": each.name, "expires": each.expires.isoformat(), "made_by": each.made_by,
                    "grants": [
                        {"role": grant.role.value, "clusters": sorted(grant.clusters) if grant.clusters else None}
                        for grant in each.grants
                    ],
                }
                for each in tokens
            ]  # fmt: skip
            print_json({"format": "noout.tokens", "version": 1, "tokens": lines})
            return
        for each in tokens:
            may = ", ".join(f"{grant.role} in {_where(grant)}" for grant in each.grants)
            out.print(f"{each.name}: {may}, until {each.expires:%Y-%m-%d}, made by {each.made_by}", markup=False)
        if not tokens:
            out.print("no token is good now", markup=False)

    wait(work())


@token.command("revoke")
def revoke(name: Annotated[str, typer.Argument(metavar="NAME")], config: ConfigOption = None) -> None:
    """End a token at once, in every process on this store."""

    async def work() -> None:
        async with opened(config) as found:
            await Tokens(found.journal, found.clock).revoke(name, operator())

    wait(work())
    out.print(f"{name} is no token any more", markup=False)


def _where(grant: Grant) -> str:
    return "every cluster" if grant.clusters is None else ", ".join(sorted(grant.clusters))
