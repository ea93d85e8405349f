"""What would have happened had the server failed by itself: conditional, a range that begins at nothing. Pure.

It is an estimate and no more. It is told only where it could have happened: of a server with a suspected fault that was
worked on, and of services that were on it. Nothing in it is added up, and nothing is added to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from noout.domain.cluster import Guest
from noout.tell.say import NBSP, Say
from noout.tell.subject import Subject


@dataclass(frozen=True, slots=True)
class Assumptions:
    """(low, high), in seconds; the provider's own. They are printed wherever something rests on them."""

    ha_restart_s: tuple[float, float] = (68.0, 137.0)  # measured after a power loss: fenced, then restarted elsewhere
    technician_s: tuple[float, float] = (1800.0, 14400.0)
    recovery_s: tuple[float, float] = (600.0, 3600.0)


@dataclass(frozen=True, slots=True)
class Without:
    """Services that would have gone without an answer for 0 to ``high_s`` seconds."""

    services: tuple[str, ...]
    low_s: float
    high_s: float
    figure: str
    text: str


@dataclass(frozen=True, slots=True)
class Counterfactual:
    """``ranges``: one for each way in which services would have come back."""

    title: str
    lede: str
    ranges: tuple[Without, ...]
    storage: str  # "" where the storage had nowhere to copy anything to, or that is not known
    assumptions_title: str
    assumptions: tuple[str, ...]


def had_it_failed(about: Subject, say: Say, assumed: Assumptions) -> Counterfactual | None:
    """None where nothing of the kind could have happened, or the work that would have prevented it was not done."""
    m = about.m
    if m.fault is None or about.called_off or m.closing_up or m.node_off_at is None:
        return None
    there = [guest for guest in about.guests if guest.alive and guest.node == m.node]
    ha, others = [each for each in there if looked_after(each)], [each for each in there if not looked_after(each)]
    by_hand_s = assumed.technician_s[1] + assumed.recovery_s[1]
    ranges = [
        *([_range("whatif.ha", ha, assumed.ha_restart_s[1], say)] if ha else []),
        *([_range("whatif.hand", others, by_hand_s, say)] if others else []),
    ]
    if not ranges:
        return None
    told = [
        *([_assumed("whatif.assume.ha", assumed.ha_restart_s, say)] if ha else []),
        *([_assumed("whatif.assume.technician", assumed.technician_s, say)] if others else []),
        *([_assumed("whatif.assume.recovery", assumed.recovery_s, say)] if others else []),
        say("whatif.apart"),
    ]
    return Counterfactual(
        title=say("whatif"),
        lede=say("whatif.lede"),
        ranges=tuple(ranges),
        storage=say("whatif.storage") if could_copy(m.facts) else "",
        assumptions_title=say("whatif.assumptions"),
        assumptions=tuple(told),
    )


def looked_after(guest: Guest) -> bool:
    """HA would have started it elsewhere: it was asked to keep it running, and nothing ties it to its node."""
    ha = guest.ha
    return ha is not None and ha.requested_state == "started" and not guest.local_disks and not guest.local_resources


def could_copy(facts: Mapping[str, object]) -> bool:
    """Whether the storage had a host left over on which the copies of an absent one could be made again.

    With as many hosts as copies there is none: noout avoided no copying there. Unknown is no.
    """
    before = facts.get("baseline")
    if not isinstance(before, Mapping):
        return False
    hosts, copies = before.get("hosts"), before.get("copies")
    return isinstance(hosts, int) and isinstance(copies, int) and hosts > copies > 0


def _range(key: str, guests: list[Guest], high_s: float, say: Say) -> Without:
    names = tuple(guest.name for guest in guests)
    figure = f"0{NBSP}– {say.span(timedelta(seconds=high_s))}"
    return Without(names, 0.0, high_s, figure, say.counted(key, len(names), names=say.names(names)))


def _assumed(key: str, span: tuple[float, float], say: Say) -> str:
    low, high = (say.span(timedelta(seconds=each)) for each in span)
    return say(key, low=low, high=high)
