"""One move seen by everyone: QEMU, three kinds of client, and noout's own witness."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

from noout.domain.cluster import NodeId
from noout.domain.impact import Experience, Service
from noout.domain.maintenance import Moved, MoveKind
from noout.lab.real.clients import Silence, Talk
from noout.witness.ledger import experience
from tests.support.guestprobe import CONNECT_EVERY_S, GUEST
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


def datagrams_say(talk: Talk, report: Report) -> Silence:
    """The longest during the move: from datagrams alone, by a prober that shares nothing with noout's."""
    return talk.longest(report.started.timestamp(), report.resumed.timestamp())


def when(unix_s: float) -> datetime:
    return datetime.fromtimestamp(unix_s, UTC)
