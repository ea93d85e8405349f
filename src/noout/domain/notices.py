"""What customers are written: each message as one immutable document, and where it stands by the journal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from noout.domain.journal import Event


class Class(StrEnum):
    PLANNED = "planned"
    CHANGED = "changed"
    DONE = "done"
    CALLED_OFF = "called-off"  # or ended without the repair
    REPAIRED = "repaired"  # only once the probation is over
    CAME_BACK = "came-back"
    INCIDENT = "incident"  # for the account manager: something was interrupted
    INTERRUPTED = "interrupted"  # the same to the customer, when the account manager says so
    CORRECTION = "correction"  # takes the place of a message that was wrong
    DIGEST = "digest"


# Never sent by themselves, whatever the configuration says.
BY_HAND = frozenset({Class.INCIDENT, Class.INTERRUPTED})
BEFORE = frozenset({Class.PLANNED, Class.CHANGED})
AFTER = frozenset({Class.DONE, Class.CALLED_OFF, Class.INTERRUPTED, Class.CORRECTION})


class Impact(StrEnum):
    """What is expected of a service, in the words of the maintenance-notification convention (BCOP MAINTNOTE).

    There is no NO-IMPACT: whatever moves pauses, and a host that is away takes redundancy with it.
    """

    REDUCED_REDUNDANCY = "REDUCED-REDUNDANCY"  # it moves while it runs
    DEGRADED = "DEGRADED"  # it restarts, twice
    OUTAGE = "OUTAGE"  # it is off during the work


@dataclass(frozen=True, slots=True)
class Concerned:
    """One service of the customer's, and what is expected of it."""

    service: str
    impact: Impact


@dataclass(frozen=True, slots=True)
class Line:
    label: str
    text: str


@dataclass(frozen=True, slots=True)
class Text:
    """The message as one reader reads it."""

    language: str
    timezone: str
    subject: str
    lede: str
    lines: tuple[Line, ...]
    closing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Notice:
    """``number``: the SEQUENCE of its maintenance's messages to this customer. ``reference``: the maintenance as the
    customer may know it. ``late``: why the contract's notice period is not kept, "" where it is."""

    id: str
    customer: str
    kind: Class
    maintenance: str
    reference: str
    number: int
    made_at: datetime
    since: datetime
    until: datetime
    services: tuple[Concerned, ...]
    texts: tuple[Text, ...]
    round: int = 0  # how often the maintenance had been taken up again
    supersedes: str = ""
    late: str = ""
    has_report: bool = False

    def text_for(self, language: str, timezone: str) -> Text:
        """The reader's own, else one of the language, else the first."""
        own = [each for each in self.texts if each.language == language]
        exact = [each for each in own if each.timezone == timezone]
        return (exact or own or list(self.texts))[0]


class State(StrEnum):
    DRAFT = "draft"
    RELEASED = "released"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class Standing:
    """``digest``: of the notice as drafted, and as it had to be when it was released."""

    notice: str
    kind: Class
    digest: str
    drafted_at: datetime
    state: State = State.DRAFT
    by: str = ""
    at: datetime | None = None
    superseded_by: str = ""
    acknowledged_by: str = ""  # "customer:KEY" by their own link, or whoever they said it to
    acknowledged_at: datetime | None = None


class Purpose(StrEnum):
    """What a customer's link opens. That of a feed goes into programs and agendas, and opens less."""

    PORTAL = "portal"
    FEED = "feed"


@dataclass(frozen=True, slots=True)
class Door:
    """A link into a customer's portal. ``digest``: SHA-256 (hex) of its secret, which is kept nowhere."""

    digest: str
    customer: str
    purpose: Purpose
    until: datetime


LINK_MADE, LINKS_REVOKED = "link.made", "links.revoked"
DRAFTED, RELEASED, WITHDRAWN = "notice.drafted", "notice.released", "notice.withdrawn"
ACKNOWLEDGED = "notice.acknowledged"


def stream_of(customer: str) -> str:
    """The journal's stream of what a customer was told. It holds keys and digests, no names and no addresses."""
    return f"told-{customer}"


def standings(events: Iterable[Event]) -> Mapping[str, Standing]:
    """Where each notice of a customer's stands, in the order they were drafted."""
    found: dict[str, Standing] = {}
    for event in events:
        id = str(event.data.get("notice", ""))
        if event.kind == DRAFTED:
            found[id] = Standing(id, Class(event.data["class"]), str(event.data["digest"]), event.at)
        elif event.kind == RELEASED and id in found:
            found[id] = replace(found[id], state=State.RELEASED, by=event.actor, at=event.at)
            before = str(event.data.get("supersedes", ""))
            if before in found:
                found[before] = replace(found[before], superseded_by=id)
        elif event.kind == WITHDRAWN and id in found:
            found[id] = replace(found[id], state=State.WITHDRAWN, by=event.actor, at=event.at)
        elif event.kind == ACKNOWLEDGED and id in found and not found[id].acknowledged_by:
            found[id] = replace(found[id], acknowledged_by=event.actor, acknowledged_at=event.at)
    return found


def doors(customer: str, events: Iterable[Event], now: datetime) -> tuple[Door, ...]:
    """The links that open a customer's portal now."""
    found: list[Door] = []
    for event in events:
        if event.kind == LINK_MADE:
            until = datetime.fromisoformat(event.data["until"])
            found.append(Door(str(event.data["digest"]), customer, Purpose(event.data["purpose"]), until))
        elif event.kind == LINKS_REVOKED:
            found = []
    return tuple(each for each in found if each.until > now)
