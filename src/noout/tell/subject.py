"""What one customer's report is about: their guests, what happened to those, and what was measured of those. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from noout.domain.cluster import Guest, GuestId
from noout.domain.customers import Customer
from noout.domain.impact import Cause, Experience, Interruption
from noout.domain.journal import Event, Kind
from noout.domain.maintenance import Maintenance, Moved, MoveKind, Phase

# A pause of a live move up to this is what a live move is; a longer one is an interruption we must answer for.
PROMISED_S = 2.0
NOOUT = frozenset({"noout", "cluster-noout"})


@dataclass(frozen=True, slots=True)
class Subject:
    m: Maintenance
    guests: tuple[Guest, ...]  # the customer's own, by name
    moved: tuple[Moved, ...]  # their moves, in the order they began
    experiences: tuple[Experience, ...]  # of these guests, measured or not
    held_at: datetime | None
    released_at: datetime | None

    @property
    def called_off(self) -> bool:
        return self.m.aborting or self.m.phase in (Phase.ABORTED, Phase.ABORTING, Phase.REFUSED)

    @property
    def affected(self) -> tuple[Guest, ...]:
        """The guests that were moved, restarted or shut down."""
        touched = {move.guest for move in self.moved}
        return tuple(guest for guest in self.guests if guest.id in touched)

    @property
    def since(self) -> datetime | None:
        """When the work on the node began: the first guest left (anybody's), or the technician came."""
        return min(self._times(), default=None)

    @property
    def until(self) -> datetime | None:
        return max(self._times(), default=None)

    def _times(self) -> list[datetime]:
        moves = [when for move in self.m.moved for when in (move.started, move.finished)]
        stops = [self.m.node_off_at, self.m.node_on_at, self.released_at]
        return [*moves, *(when for when in stops if when is not None)]

    def moves(self, *, homeward: bool) -> tuple[Moved, ...]:
        return tuple(move for move in self.moved if move.homeward == homeward)

    def way_of(self, guest: Guest) -> str:
        """How the guest was moved: live, relocate, shutdown or offline; "no" when it was left alone.

        When there were several ways the one a visitor feels most counts.
        """
        kinds = {move.kind for move in self.moved if move.guest == guest.id}
        for kind in (MoveKind.SHUTDOWN, MoveKind.RELOCATE, MoveKind.LIVE, MoveKind.OFFLINE):
            if kind in kinds:
                return kind.value
        return "no"

    @property
    def restarted(self) -> frozenset[GuestId]:
        """Guests that were restarted or shut down, by consent."""
        return frozenset(move.guest for move in self.moved if move.kind in (MoveKind.RELOCATE, MoveKind.SHUTDOWN))

    def experience_of(self, guest: Guest) -> Experience | None:
        return next((each for each in self.experiences if each.guest == guest.id), None)

    def is_measured(self, guest: Guest) -> bool:
        seen = self.experience_of(guest)
        return seen is not None and seen.measured

    @property
    def measured(self) -> tuple[Experience, ...]:
        """What was measured of the affected guests."""
        touched = {guest.id for guest in self.affected}
        return tuple(each for each in self.experiences if each.measured and each.guest in touched)

    @property
    def every_s(self) -> float:
        return min((each.every_s or each.resolution_s or 0.0 for each in self.measured), default=0.0)

    @property
    def longest(self) -> Experience | None:
        """The affected guest with the longest pause."""
        return max(self.measured, key=lambda each: each.longest_gap_s or 0.0, default=None)

    @property
    def partly_measured(self) -> Experience | None:
        """The affected guest of which most of the work went unmeasured, at its begin or its end; None when all was."""
        since, until = self.since, self.until
        if since is None or until is None:
            return None

        def missed_s(each: Experience) -> float:
            slack_s = max(2 * self.every_s, each.resolution_s or 0.0)  # so much may lie between two questions anyway
            missed = max((each.since - since).total_seconds(), (until - each.until).total_seconds())
            return missed if missed > slack_s else 0.0

        worst = max(self.measured, key=missed_s, default=None)
        return worst if worst is not None and missed_s(worst) > 0 else None

    @property
    def ongoing(self) -> tuple[str, Interruption] | None:
        """An affected service that gave no good answer any more when the measurement ended."""
        for each in self.measured:
            for interruption in each.interruptions:
                if interruption.next_good is None:
                    return each.name, interruption
        return None

    @property
    def ours(self) -> list[str]:
        """Services that a live move interrupted for longer than a live move may."""
        found = []
        for each in self.measured:
            lengths = [(gap.cause, gap.length) for gap in each.interruptions]
            if any(
                cause is Cause.MOVE and (length is None or length.total_seconds() > PROMISED_S)
                for cause, length in lengths
            ):
                found.append(each.name)
        return found


def make_subject(
    m: Maintenance,
    customer: Customer,
    experiences: Sequence[Experience],
    guests: Sequence[Guest],
    events: Sequence[Event],
) -> Subject:
    """Everything of this customer, and nothing of another's."""
    own = {guest.id: guest for guest in guests if customer.owns(guest) and not guest.template}
    held = [event.at for event in events if event.kind == Kind.OWNED and event.data.get("kind") in NOOUT]
    released = [event.at for event in events if event.kind == Kind.RELEASED and event.data.get("kind") in NOOUT]
    return Subject(
        m=m,
        guests=tuple(sorted(own.values(), key=lambda guest: (guest.name, guest.id))),
        moved=tuple(sorted((move for move in m.moved if move.guest in own), key=lambda move: move.started)),
        experiences=tuple(
            sorted((each for each in experiences if each.guest in own), key=lambda each: (each.name, each.guest))
        ),
        held_at=min(held, default=None),
        released_at=max(released, default=None),
    )
