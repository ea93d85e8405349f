"""The table of services: one row for each of the customer's guests, every interruption with its cause. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from noout.domain.cluster import Guest
from noout.domain.impact import Cause, Confidence, Experience, Interruption
from noout.tell.say import Say
from noout.tell.subject import PROMISED_S, Subject

_NOTES = {
    Cause.MOVE: "note.move",
    Cause.RELOCATION: "note.relocation",
    Cause.RESTART: "note.restart",
    Cause.UNRELATED: "note.unrelated",
}


@dataclass(frozen=True, slots=True)
class ServiceRow:
    """``told``: something happened that the reader must not overlook; ``notes`` say what."""

    service: str
    moved: str
    longest: str
    own: str
    interruptions: str
    notes: tuple[str, ...]
    told: bool


def service_rows(about: Subject, say: Say) -> tuple[ServiceRow, ...]:
    """All of the customer's guests, by name: those left alone too."""
    return tuple(_row(about, guest, say) for guest in about.guests)


def _row(about: Subject, guest: Guest, say: Say) -> ServiceRow:
    seen = about.experience_of(guest)
    moved = _moved(about, guest, say)
    if seen is None or not seen.measured or seen.longest_gap_s is None:
        own = say.millis(seen.blackout_ms) if seen and seen.blackout_ms is not None else _own(about, guest, say)
        # An agreed restart is an interruption even when no probe saw how long it was.
        told = guest.id in about.restarted
        return ServiceRow(guest.name, moved, say("not-measured"), own, say("not-measured"), (), told)
    notes = [_note(gap, say) for gap in seen.interruptions]
    if seen.interruptions or seen.disputed:
        notes += [*_disputed(seen, say), _method(seen, say), *_usual(seen, say)]
    notes += [*_held(seen, say), *_available(seen, say)]
    return ServiceRow(
        service=guest.name,
        moved=moved,
        longest=say.pause(seen.longest_gap_s),
        own=_own(about, guest, say),
        interruptions=_counted(seen, say),
        notes=tuple(notes),
        told=seen.held_broken > 0 or any(_worth_telling(gap) for gap in seen.interruptions),
    )


def _moved(about: Subject, guest: Guest, say: Say) -> str:
    way = about.way_of(guest)
    if way == "no":
        return say("moved.no")
    directions = {move.homeward for move in about.moved if move.guest == guest.id}
    direction = "both" if len(directions) == 2 else ("home" if True in directions else "out")
    return say(f"moved.{way}.{direction}")


def _own(about: Subject, guest: Guest, say: Say) -> str:
    """The longest blackout the hypervisor reported; a dash where it reports none (a restart, or left alone)."""
    figures = [move.blackout_ms for move in about.moved if move.guest == guest.id and move.blackout_ms is not None]
    return say.millis(max(figures)) if figures else "–"


def _counted(seen: Experience, say: Say) -> str:
    lengths = [gap.length for gap in seen.interruptions if gap.length is not None]
    if not seen.interruptions:
        return say("none-seen")
    if not lengths:
        return say.whole(len(seen.interruptions))
    longest = say.pause(max(lengths))
    if len(seen.interruptions) == 1:
        return f"1 × {longest}"
    return say("up-to", n=say.whole(len(seen.interruptions)), length=longest)


def _note(gap: Interruption, say: Say) -> str:
    if gap.next_good is None or gap.length is None:
        told = say("note.ongoing", time=say.clock(gap.last_good))
        return f"{say('note.already')} {told}" if gap.already_failing else told
    if gap.already_failing:
        return say("note.already")
    told = say(_NOTES[gap.cause], time=say.clock(gap.last_good), length=say.pause(gap.length))
    return f"{told} {_surely(gap, say)}".rstrip()


def _surely(gap: Interruption, say: Say) -> str:
    """What stands behind it, where that is more or less than several questions in a row from one place."""
    if gap.confidence is Confidence.AGREED:
        return say("note.agreed", n=say.in_words(len(gap.seen_from)))
    return say("note.single") if gap.confidence is Confidence.SINGLE else ""


def _usual(seen: Experience, say: Say) -> list[str]:
    """What the service did before its guest was moved: blamed on nobody, and not hidden."""
    usual = seen.baseline
    if usual is None:
        return []
    span = say.span(usual.until - usual.since)
    if not usual.interruptions:
        return [say("note.usual.none", span=span)]
    return [say.counted("note.usual", usual.interruptions, span=span, rate=say.rate(usual.per_hour))]


def _disputed(seen: Experience, say: Say) -> list[str]:
    if not seen.disputed:
        return []
    longest = max((gap.next_good or seen.until) - gap.last_good for gap in seen.disputed)
    return [say.counted("note.disputed", len(seen.disputed), length=say.pause(longest))]


def _held(seen: Experience, say: Say) -> list[str]:
    if not seen.held_asked:
        return []
    if not seen.held_broken:
        return [say("note.held.none", times=say.whole(seen.held_asked))]
    return [say.counted("note.held", seen.held_broken)]


def _available(seen: Experience, say: Say) -> list[str]:
    """The raw share first; the contract's beside it where the contract leaves something out."""
    raw, counted = seen.availability, seen.contractual
    if raw is None or raw.measured_us <= 0 or not (raw.unanswered_us or counted):
        return []
    span = say.span(timedelta(microseconds=raw.measured_us))
    share = say.percent(raw.measured_us - raw.unanswered_us, raw.measured_us)
    told = [say("note.available", share=share, span=span)]
    if counted is not None and counted.measured_us > 0:
        share = say.percent(counted.measured_us - counted.unanswered_us, counted.measured_us)
        out = say.span(timedelta(microseconds=seen.excluded_us))
        told.append(say("note.contract", share=share, out=out))
    return told


def _method(seen: Experience, say: Say) -> str:
    every = seen.every_s or seen.resolution_s or 0.0
    resolution = max((gap.resolution_s for gap in (*seen.interruptions, *seen.disputed)), default=every)
    return say("note.method", how=say.how(seen.probe), every=say.interval(every), resolution=say.pause(resolution))


def _worth_telling(gap: Interruption) -> bool:
    return gap.cause is not Cause.MOVE or gap.length is None or gap.length.total_seconds() > PROMISED_S
