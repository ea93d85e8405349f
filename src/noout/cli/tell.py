"""``noout tell``: what customers are about to be told, and who says that they may be."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from noout.app.drafting import Drafting
from noout.app.months import Months, as_csv, month_of
from noout.app.outbox import Kept, Outbox
from noout.app.portal import Portals
from noout.app.sending import Delivery, Sending
from noout.app.wording import as_toml
from noout.cli.options import ConfigOption, JsonOption, opened, operator, out, print_json, print_plain, wait
from noout.codec import encode
from noout.domain.errors import UsageError
from noout.domain.notices import Notice, State
from noout.tell.say import SHIPPED
from noout.web.portal.export import export_status

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode="markdown")

NoticeArgument = Annotated[str, typer.Argument(metavar="MESSAGE", help="As `noout tell list` names it.")]


@app.callback()
def tell() -> None:
    """What customers are told: each message is a draft until somebody releases it."""


@app.command("list")
def list_(
    customer: Annotated[str | None, typer.Option("--customer", metavar="C", help="One customer's.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Released and withdrawn ones too.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """The drafts that wait for a release; whatever went on since is drafted first."""

    async def work() -> list[Kept]:
        async with opened(config) as found:
            await Drafting(found).look()
            return await Outbox(found).all(customer)

    found = [each for each in wait(work()) if everything or each.standing.state is State.DRAFT]
    if as_json:
        messages = [{"notice": encode(each.notice), "standing": encode(each.standing)} for each in found]
        print_json({"format": "noout.messages", "version": 1, "messages": messages})
        return
    for each in found:
        _say(each)
    if not found:
        out.print("No draft waits for a release.", markup=False)


def _say(kept: Kept) -> None:
    notice, standing = kept.notice, kept.standing
    state = standing.state.value + (f" by {standing.by}" if standing.by else "")
    state += f", acknowledged by {standing.acknowledged_by}" if standing.acknowledged_by else ""
    out.print(f"{notice.id} {notice.kind.value}, {state}: {notice.texts[0].subject}", markup=False, soft_wrap=True)
    if notice.late:
        out.print(f"  late: {notice.late}", markup=False, soft_wrap=True)


@app.command("show")
def show(
    message: NoticeArgument,
    lang: Annotated[str | None, typer.Option("--lang", metavar="LANG", help="en, nl or es.")] = None,
    config: ConfigOption = None,
) -> None:
    """A message as its readers get it."""

    async def work() -> Kept:
        async with opened(config) as found:
            return await Outbox(found).get(message)

    kept = wait(work())
    _say(kept)
    for text in kept.notice.texts:
        if lang in (None, text.language):
            out.print(
                f"\n[{text.language}, {text.timezone}] {text.subject}\n\n{text.lede}", markup=False, soft_wrap=True
            )
            for line in text.lines:
                out.print(f"{line.label}: {line.text}", markup=False, soft_wrap=True)
            for sentence in text.closing:
                out.print(sentence, markup=False, soft_wrap=True)


@app.command("release")
def release(message: NoticeArgument, config: ConfigOption = None) -> None:
    """Let a message leave, in your name: the journal keeps who released it, and its digest."""

    async def work() -> Notice:
        async with opened(config) as found:
            return await Outbox(found).release(message, operator())

    notice = wait(work())
    out.print(f"{notice.id} is released by {operator()}", markup=False)


@app.command("acknowledge")
def acknowledge(message: NoticeArgument, config: ConfigOption = None) -> None:
    """Say, in your name, that its customer has told you that they know: work that waits for it goes on."""

    async def work() -> Notice:
        async with opened(config) as found:
            return await Outbox(found).acknowledge(message, operator())

    out.print(f"{wait(work()).id} is acknowledged", markup=False)


@app.command("withdraw")
def withdraw(message: NoticeArgument, config: ConfigOption = None) -> None:
    """Never send this draft."""

    async def work() -> Notice:
        async with opened(config) as found:
            return await Outbox(found).withdraw(message, operator())

    out.print(f"{wait(work()).id} is withdrawn", markup=False)


@app.command("wording")
def wording(
    lang: Annotated[str, typer.Option("--lang", metavar="LANG", help="en, nl or es.")] = "en",
    config: ConfigOption = None,
) -> None:
    """The sentences that may be put in your own words, as they are in force: a file to begin with."""
    if lang not in SHIPPED:
        raise UsageError(f"--lang {lang} is not known", remedy="en, nl or es")

    async def work() -> list[str]:
        async with opened(config):
            return list(as_toml(lang))

    print_plain(wait(work()))


@app.command("deliveries")
def deliveries(
    failed: Annotated[bool, typer.Option("--failed", help="Only what was tried and not taken.")] = False,
    config: ConfigOption = None,
) -> None:
    """To whom released messages went, by which way, after how many tries, and why not."""

    async def work() -> list[Delivery]:
        async with opened(config) as found:
            return await Sending(found).all(failed=failed)

    found = wait(work())
    for each in found:
        more = f"; next try {each.next_at:%Y-%m-%d %H:%M} UTC" if each.next_at is not None else ""
        why = f": {each.why}{more}" if each.why else ""
        tries = f"{each.tries} {'try' if each.tries == 1 else 'tries'}"
        out.print(
            f"{each.notice} by {each.channel} to {each.to}: {each.state}, {tries}{why}", markup=False, soft_wrap=True
        )
    if not found:
        out.print("Nothing was sent yet." if not failed else "Nothing failed.", markup=False)


@app.command("export")
def export(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where to write.")],
    config: ConfigOption = None,
) -> None:
    """Write the public status page as files, in three languages with calendar and feed, to be hosted elsewhere."""

    async def work() -> list[Path]:
        async with opened(config) as found:
            return await export_status(Portals(found), folder)

    for path in wait(work()):
        out.print(f"wrote {path}", markup=False, soft_wrap=True)


@app.command("month")
def month(
    name: Annotated[str, typer.Argument(metavar="MONTH", help="Such as 2026-11.")],
    folder: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where to write.")] = Path(),
    customer: Annotated[str | None, typer.Option("--customer", metavar="C", help="One customer; all without.")] = None,
    lang: Annotated[str, typer.Option("--lang", metavar="LANG", help="en, nl or es; else each customer's own.")] = "",
    overview: Annotated[bool, typer.Option("--overview", help="The provider's own, as CSV on stdout.")] = False,
    config: ConfigOption = None,
) -> None:
    """Write each customer's month, as page, PDF and data, from the reports that were released to them."""
    if lang not in ("", "en", "nl", "es"):
        raise UsageError(f"--lang {lang} is not known", remedy="en, nl or es")
    chosen = month_of(name)

    async def work() -> tuple[list[Path], str]:
        async with opened(config) as found:
            if overview:
                return [], as_csv(await Months(found).overview(chosen))
            return await Months(found).write(chosen, folder, only=customer, language=lang), ""

    written, text = wait(work())
    if overview:
        typer.echo(text, nl=False)
        return
    for path in written:
        out.print(f"wrote {path}", markup=False, soft_wrap=True)
    if not written:
        out.print("Nothing was released about work in that month.", markup=False)


@app.command("correct")
def correct(
    message: NoticeArgument,
    why: Annotated[str, typer.Option("--why", metavar="TEXT", help="What was wrong, as the customer reads it.")],
    config: ConfigOption = None,
) -> None:
    """Draft a correction of a released report: it is numbered, and takes the place of what was wrong once released."""

    async def work() -> Notice:
        async with opened(config) as found:
            return await Drafting(found).correct(message, why)

    out.print(f"{wait(work()).id} is drafted: noout tell show, then release", markup=False)
