"""What a plan says of the hours in which customers want their guests left alone: what is kept, and what cannot be."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from noout.domain.maintenance import Move, MoveKind
from noout.domain.reasons import Caution
from noout.domain.windows import free_from

NO_GAP = "guest.quiet-hours-short"


def cautions(moves: Sequence[Move], at: datetime) -> list[Caution]:
    """One for all guests with the same quiet hours, and one for each of which they cannot be kept."""
    found: list[Caution] = []
    alike: dict[tuple[str, ...], list[Move]] = {}
    for move in moves:
        if not move.quiet:
            continue
        if move.kind is MoveKind.SHUTDOWN:
            found.append(_off(move))
        elif free_from(at, move.quiet, move.expected_s) is None:
            found.append(_no_gap(move))
        else:
            alike.setdefault(move.quiet, []).append(move)
    return [_kept(quiet, some, at) for quiet, some in alike.items()] + found


def _kept(quiet: tuple[str, ...], moves: Sequence[Move], at: datetime) -> Caution:
    first = min(free_from(at, quiet, move.expected_s) or at for move in moves)
    zone = ZoneInfo(quiet[0].rpartition(" ")[2])
    when = "they may go now" if first <= at else f"not before {first.astimezone(zone):%Y-%m-%d %H:%M} {zone}"
    who = ", ".join(_named(move) for move in moves)
    said = f"{who}: not moved in the quiet hours of the customer ({', '.join(quiet)}); {when}"
    remedy = "the others go meanwhile; the run waits with these, there and back, which the estimate does not count"
    return Caution("guest.quiet-hours", str(moves[0].guest), said, remedy, {"guests": _ids(moves)})


def _no_gap(move: Move) -> Caution:
    said = (
        f"{_named(move)} takes about {move.expected_s / 60:.0f} min to move, and its customer's quiet hours "
        f"({', '.join(move.quiet)}) leave no gap as long: it begins when they end and may run on into them"
    )
    return Caution(NO_GAP, str(move.guest), said, "agree with its customer on a longer gap")


def _off(move: Move) -> Caution:
    said = (
        f"{_named(move)} is off during the repair: when that is, the technician's visit decides, and noout does not "
        f"keep it out of the customer's quiet hours ({', '.join(move.quiet)})"
    )
    return Caution("guest.quiet-hours-off", str(move.guest), said, "let the technician come outside of them")


def _named(move: Move) -> str:
    return f"{move.name or move.guest} ({move.guest})"


def _ids(moves: Sequence[Move]) -> str:
    return ", ".join(str(move.guest) for move in moves)
