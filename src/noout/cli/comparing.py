"""What the clusters say otherwise than the journal, as text: for whoever has to say which of them counts."""

from __future__ import annotations

from rich.markup import escape

from noout.app.older import Compared
from noout.app.standstill import Standstill
from noout.cli.options import err, out
from noout.domain.maintenance import Maintenance


def show_stopped(stopped: Standstill) -> None:
    """That everything stands still, and what to do about it."""
    look = "what the clusters say otherwise is below; if no other noout acts on them: " if stopped.doubted else ""
    out.print(f"[red]⛔[/] {escape(stopped.headline)}\n  → {look}noout allow-all", soft_wrap=True)


def show_differences(m: Maintenance, compared: Compared) -> None:
    """Of one open maintenance."""
    said = [each.why for each in compared.ahead if each.node == m.node] + list(compared.of.get(m.id, ()))
    for each in said:
        out.print(f"  [yellow]≠[/] {escape(each)}", soft_wrap=True)
    if m.id in compared.of and not said:
        out.print("  [green]=[/] its cluster is as the journal says", soft_wrap=True)


def show_others(open_ones: list[Maintenance], compared: Compared) -> None:
    """What is of no open maintenance, and which cluster could not be asked."""
    ours = {each.node for each in open_ones}
    for each in compared.ahead:
        if each.node not in ours:
            out.print(f"[yellow]≠[/] {escape(each.why)}\n  → noout adopt", soft_wrap=True)
    for cluster, why in compared.unread.items():
        err.print(f"{cluster} could not be asked: {why}", markup=False, soft_wrap=True)
