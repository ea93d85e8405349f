"""``noout report``: the customers' reports of one maintenance."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from noout.app.maintain import Maintenances
from noout.app.telling import reports_of
from noout.cli.options import ConfigOption, IdArgument, opened, out, wait, working
from noout.domain.errors import UsageError

FORMATS = ("html", "pdf", "json")


def report(
    maintenance: IdArgument,
    customer: Annotated[str | None, typer.Option("--customer", metavar="C", help="One customer; all without.")] = None,
    lang: Annotated[
        str | None, typer.Option("--lang", metavar="LANG", help="en, nl or es; else each customer's own.")
    ] = None,
    format: Annotated[
        str | None, typer.Option("--format", metavar="FORMAT", help="html, pdf or json; else all three.")
    ] = None,
    output: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where to write.")] = Path(),
    config: ConfigOption = None,
) -> None:
    """Write report-CUSTOMER.{html,pdf,json} for the customers whose guests were touched."""
    if lang not in (None, "en", "nl", "es"):
        raise UsageError(f"--lang {lang} is not known", remedy="en, nl or es")
    if format not in (None, *FORMATS):
        raise UsageError(f"--format {format} is not known", remedy="html, pdf or json")

    async def work() -> list[Path]:
        async with opened(config) as found:
            state = await Maintenances(found).get(maintenance)
            with working("writing the reports"):
                return await reports_of(
                    found, state, output, customer=customer, language=lang, formats=(format,) if format else FORMATS
                )

    written = wait(work())
    for path in written:
        out.print(f"wrote {path}", markup=False, soft_wrap=True)
    if not written:
        whose = f"no guest of {customer}" if customer else "no customer's guest"
        out.print(f"Nothing to report: {whose} was moved, restarted or shut down.", markup=False)
