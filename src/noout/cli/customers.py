"""``noout customers``: whose the guests are, and who is written to at each customer's."""

from __future__ import annotations

from typing import Annotated

import typer

from noout.app.agenda import SUBSCRIPTIONS
from noout.app.contacts import Contacts
from noout.app.mapping import Mapped, mapped
from noout.app.portal import Portals
from noout.app.privileges import LOOK, require
from noout.cli.options import ConfigOption, JsonOption, opened, operator, out, print_json, print_plain, wait
from noout.codec import encode
from noout.domain.customers import Contact, Customer, Wants
from noout.domain.errors import Refused
from noout.domain.notices import Purpose

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode="markdown")

CustomerArgument = Annotated[str, typer.Argument(metavar="CUSTOMER", help="Its key in the configuration.")]
MailArgument = Annotated[str, typer.Argument(metavar="MAIL", help="A mail address.")]


@app.callback()
def customers() -> None:
    """Whose the guests are, and who is written to."""


@app.command("list")
def list_(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """How many guests each customer has, and every guest that is nobody's: nothing is guessed."""

    async def work() -> tuple[tuple[Customer, ...], Mapped]:
        async with opened(config) as found:
            states = []
            for hypervisor in found.hypervisors.values():
                await require(hypervisor, LOOK)
                states.append(await hypervisor.observe())
            return found.customers, mapped(found.customers, states)

    known, seen = wait(work())
    if as_json:
        print_json({"format": "noout.customers", "version": 1, **encode(seen)})
        return
    for each in known:
        count = seen.guests[each.key]
        out.print(f"{each.key}: {each.name}, {count} guest{'s' if count != 1 else ''}", markup=False, soft_wrap=True)
    if not known:
        out.print("No customer is configured: [customers.KEY] names them.", markup=False)
    for guest in seen.unmapped:
        why = f"claimed by {' and '.join(guest.claims)}" if guest.claims else "nobody's"
        out.print(f"{guest.guest} {guest.name}: {why}; in no report", markup=False, soft_wrap=True)


@app.command("contacts")
def contacts(
    customer: Annotated[str | None, typer.Argument(metavar="[CUSTOMER]", help="Of one; of all without.")] = None,
    config: ConfigOption = None,
) -> None:
    """Who is written to, in which language, and how often."""

    async def work() -> list[Contact]:
        async with opened(config) as found:
            return await Contacts(found.papers, found.customers).of(customer)

    found = wait(work())
    for each in found:
        more = ", ".join(part for part in (each.name, each.language, each.timezone) if part)
        line = f"{each.customer}: {each.mail} ({each.wants.value})"
        out.print(f"{line} {more}".rstrip(), markup=False, soft_wrap=True)
    if not found:
        out.print("Nobody is written to: add somebody with `noout customers contact`.", markup=False)


@app.command("contact")
def contact(
    customer: CustomerArgument,
    mail: MailArgument,
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="As they are addressed.")] = "",
    lang: Annotated[str, typer.Option("--lang", metavar="LANG", help="en, nl or es; else the customer's.")] = "",
    timezone: Annotated[str, typer.Option("--timezone", metavar="ZONE", help="Else the customer's.")] = "",
    wants: Annotated[
        Wants, typer.Option("--wants", help="every: each notice; digest: once a month; silent: nothing.")
    ] = Wants.DIGEST,
    config: ConfigOption = None,
) -> None:
    """Write to somebody at a customer's from now on, or change how."""

    async def work() -> None:
        async with opened(config) as found:
            await Contacts(found.papers, found.customers).keep(Contact(customer, mail, name, lang, timezone, wants))

    wait(work())
    out.print(f"{customer}: {mail} is written to ({wants.value})", markup=False, soft_wrap=True)


@app.command("uncontact")
def uncontact(customer: CustomerArgument, mail: MailArgument, config: ConfigOption = None) -> None:
    """Never write to somebody again, and forget the address."""

    async def work() -> None:
        async with opened(config) as found:
            await Contacts(found.papers, found.customers).drop(customer, mail)

    wait(work())
    out.print(f"{mail} is forgotten", markup=False, soft_wrap=True)


@app.command("link")
def link(
    customer: CustomerArgument,
    purpose: Annotated[
        Purpose, typer.Option("--for", help="portal: all of it; feed: calendar and feed alone, for programs.")
    ] = Purpose.PORTAL,
    days: Annotated[
        float | None, typer.Option("--days", metavar="DAYS", help="How long it is good; else 30, a feed's 400.")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Print a link into a customer's portal: once, for its secret is kept nowhere."""

    async def work() -> list[str]:
        async with opened(config) as found:
            tell, serve = found.settings.tell, found.settings.serve
            base = (tell.portal_url or serve.base_url or f"http://{serve.listen}").rstrip("/")
            names = [name for name, way in SUBSCRIPTIONS.items() if way in tell.channels]
            if not (names if purpose is Purpose.FEED else "portal" in tell.channels):
                wanted = "calendar or feed" if purpose is Purpose.FEED else "portal"
                raise Refused("such a link would open nothing: it is off", remedy=f"add {wanted} to tell.channels")
            address = f"{base}/p/{await Portals(found).make_link(customer, purpose, operator(), days)}"
            return [address] if purpose is Purpose.PORTAL else [f"{address}/{name}" for name in names]

    print_plain(wait(work()))


@app.command("unlink")
def unlink(customer: CustomerArgument, config: ConfigOption = None) -> None:
    """End every link into a customer's portal at once."""

    async def work() -> None:
        async with opened(config) as found:
            await Portals(found).revoke(customer, operator())

    wait(work())
    out.print(f"no link of {customer} opens anything any more", markup=False)


@app.command("forget")
def forget(customer: CustomerArgument, config: ConfigOption = None) -> None:
    """Erase a customer: contacts, what was written to them and their ways in. The journal's chain stays whole.

    The journal itself holds the customer's key alone. Names that people typed: `noout journal erase`.
    """

    async def work() -> int:
        async with opened(config) as found:
            await Portals(found).revoke(customer, operator())
            return await found.papers.forget(customer)

    out.print(f"{customer}: {wait(work())} papers erased", markup=False)
