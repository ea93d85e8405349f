"""What came of it, as tables for a terminal and for the page in docs/explanation, between its markers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.plan import picture
from benchmarks.plan.reach import reached
from benchmarks.plan.run import Results
from benchmarks.plan.tables import Table, tables

DOCS = Path(__file__).parents[2] / "docs" / "explanation"
PAGE, PICTURE = DOCS / "planning.md", DOCS / "planning.svg"
BEGIN, END = "<!-- begin: make bench-plan -->", "<!-- end: make bench-plan -->"


def text(results: Results) -> str:
    """For a terminal."""
    parts = [_plain(table) for table in tables(results)]
    parts.append("\n".join(["Reach", "", *(f"  {line}" for line in reached(results))]))
    return "\n\n".join(parts)


def markdown(results: Results) -> str:
    parts = [_pipes(table) for table in tables(results)]
    told = "\n".join(f"- {line}" for line in reached(results))
    return "\n\n".join(["![The shares and times of the tables below](planning.svg)", *parts, f"### Reach\n\n{told}"])


def write(results: Results) -> list[str]:
    """Put the tables between the page's markers, and draw the picture beside it."""
    page = PAGE.read_text()
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n\n{markdown(results)}\n\n{END}{after}")
    PICTURE.write_text(picture.svg(results))
    root = Path(__file__).parents[2]
    return [str(each.relative_to(root)) for each in (PAGE, PICTURE)]


def _plain(table: Table) -> str:
    widths = [max(len(row[i]) for row in (table.head, *table.rows)) for i in range(len(table.head))]

    def line(row: Sequence[str]) -> str:
        first, *rest = row
        return "  ".join([first.ljust(widths[0]), *(c.rjust(w) for c, w in zip(rest, widths[1:], strict=True))])

    rule = "  ".join("-" * width for width in widths)
    notes = ["", *table.notes] if table.notes else []
    return "\n".join([table.title, "", line(table.head), rule, *(line(row) for row in table.rows), *notes])


def _pipes(table: Table) -> str:
    def line(row: Sequence[str]) -> str:
        return "| " + " | ".join(row) + " |"

    rule = "|" + "---|" + "---:|" * (len(table.head) - 1)
    notes = "".join(f"\n{note}\n" for note in table.notes)
    body = "\n".join([line(table.head), rule, *(line(row) for row in table.rows)])
    return f"### {table.title}\n\n{body}\n{notes}".rstrip()
