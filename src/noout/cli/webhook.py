"""``noout webhook``: a secret for a receiver, and how the receivers are doing."""

from __future__ import annotations

import typer
from rich.markup import escape

from noout.app.webhooks import Standing, make_secret, standings
from noout.cli.options import ConfigOption, JsonOption, opened, out, print_json, wait
from noout.codec import encode

app = typer.Typer(
    help="Others' programs that are told what happens.", no_args_is_help=True, add_completion=False,
    rich_markup_mode="markdown",
)  # fmt: skip


@app.command("secret")
def secret() -> None:
    """Print a new secret, for the file that `[webhooks.NAME] secret_file` names, and for the receiver."""
    typer.echo(make_secret())


@app.command("list")
def list_(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """The receivers, and which of them does not take what it is told. Exit code 3 when one does not."""

    async def work() -> list[Standing]:
        async with opened(config) as found:
            return await standings(found)

    found = wait(work())
    if as_json:
        print_json({"format": "noout.webhooks", "version": 1, "webhooks": [encode(each) for each in found]})
    for each in found if not as_json else ():
        if each.failing_since is not None:
            since = f"{each.failing_since:%Y-%m-%d %H:%M} UTC, {each.tries} tries"
            out.print(f"[red]⛔[/] {each.name}: takes nothing since {since}: {escape(each.why)}; {each.waiting} wait")
        else:
            told = f"told at {each.told_at:%Y-%m-%d %H:%M} UTC" if each.told_at else "nothing told yet"
            out.print(f"[green]✓[/] {each.name}: {told}", soft_wrap=True)
    if not found and not as_json:
        out.print("No webhook is configured.")
    if any(each.failing_since is not None for each in found):
        raise typer.Exit(3)
