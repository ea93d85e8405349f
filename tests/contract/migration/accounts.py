"""One move seen by everyone: QEMU, three kinds of client, and noout's own witness."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

from noout.domain.cluster import NodeId
from noout.domain.impact import Experience, Service
from noout.domain.maintenance import Moved, MoveKind
from noout.witness.ledger import experience
from tests.support.guestprobe import CONNECT_EVERY_S, GUEST, Talk
from tests.support.realqemu import Prober, Report

WEB = Service(GUEST, "web", "tcp:80")


def witnessed(prober: Prober, report: Report | None = None) -> Experience:
    """What noout would tell of it: the same ledger, fed by the same prober, as in production."""
    times = [sample.at for sample in prober.connections]
    moves = []
    if report is not None:
        nodes = (NodeId("real", "a"), NodeId("real", "b"))
        span = (report.started, report.resumed)
        moves = [Moved(GUEST, "guest", MoveKind.LIVE, *nodes, *span, report.downtime_ms, homeward=False)]
    return experience(WEB, prober.connections, min(times), max(times), CONNECT_EVERY_S, moves)


def silence_ms(talk: Talk) -> float:
    """The longest time between two answers as they came in."""
    return max(later[0] - earlier[0] for earlier, later in pairwise(talk.answers)) * 1000


def lost_ms(talk: Talk) -> float:
    """The longest time between two questions that were answered: for datagrams, which nobody sends again."""
    asked = [talk.asked[question] for question in sorted({answer[1] for answer in talk.answers})]
    return max(later - earlier for earlier, later in pairwise(asked)) * 1000


@dataclass(frozen=True)
class Silence:
    """What one prober makes of a move. Unix seconds: the question before it that was answered, and the one after;
    ``resolution_s``: the widest distance between two questions around it; ``lag_s``: its own, the largest there."""

    last_good: float
    next_good: float
    resolution_s: float
    lag_s: float


def datagrams_say(talk: Talk, report: Report) -> Silence:
    """The longest during the move: from datagrams alone, by a prober that shares nothing with noout's."""
    answered = [talk.asked[question] for question in sorted({answer[1] for answer in talk.answers})]
    since, until = report.started.timestamp(), report.resumed.timestamp()
    during = [pair for pair in pairwise(answered) if pair[0] < until and pair[1] > since]
    last, following = max(during, key=lambda pair: pair[1] - pair[0])
    there = [i for i, at in enumerate(talk.asked) if last <= at <= following]
    asked = [talk.asked[i] for i in there]
    return Silence(last, following, max(b - a for a, b in pairwise(asked)), max(talk.lag_s[i] for i in there))


def noout_says(told: Experience, prober: Prober, theirs: Silence) -> Silence:
    """What noout tells of the same time: the interruption that shares most of it; where there is none, the two good
    answers around it."""
    spans = [
        (each.last_good.timestamp(), each.next_good.timestamp(), each.resolution_s)
        for each in told.interruptions
        if each.next_good is not None
    ]
    good = sorted(sample.at.timestamp() for sample in prober.connections if sample.ok)
    spans += [(a, b, b - a) for a, b in pairwise(good) if all(b <= x or y <= a for x, y, _ in spans)]
    shared = [min(b, theirs.next_good) - max(a, theirs.last_good) for a, b, _ in spans]
    since, until, resolution_s = spans[shared.index(max(shared))]
    lags = [sample.lag_s for sample in prober.connections if since <= sample.at.timestamp() <= until]
    return Silence(since, until, resolution_s, max(lags))


def when(unix_s: float) -> datetime:
    return datetime.fromtimestamp(unix_s, UTC)
