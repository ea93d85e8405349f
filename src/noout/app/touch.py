"""May the technician touch the node? One verdict, from the journal's state and one fresh look at the node. Pure.

Only a live confirmation is green. It says that the node is off by its BMC's word and that its data is held; it makes
no claim of electrical safety. What it says is phrases: whoever draws the page puts them into the reader's language.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from noout.domain.ceph import CephState
from noout.domain.hardware import HardwareState, Power
from noout.domain.journal import Message, MessageKind
from noout.domain.maintenance import Maintenance, Phase
from noout.domain.workorder import Touch
from noout.steps.neighbours import WRONG_SERVER, at_the_rack, names
from noout.tell.field import Phrase, phrase, quoted

FRESH_S = 15.0

_LEAVE = (Phase.RETURNING, Phase.DONE, Phase.ABORTED, Phase.REFUSED)


@dataclass(frozen=True, slots=True)
class Sight:
    """What was just seen of the node. ``host`` is its CRUSH host; ``has_ceph`` False: Ceph keeps no data on it.
    ``gone``: other servers that went away since the technician came."""

    hardware: HardwareState | None
    ceph: CephState | None = None
    host: str = ""
    has_ceph: bool = True
    gone: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TouchFact:
    """One line under the verdict. ``ok`` None: not known now. ``key``: power, data, led, guests, stake, gone."""

    key: str
    ok: bool | None
    text: Phrase
    detail: Phrase
    at: datetime | None


@dataclass(frozen=True, slots=True)
class TouchVerdict:
    """``at``: when the oldest look it rests on was made; it counts until ``at`` + 15 s.

    ``gone``: other servers that went away: the technician may be at the wrong one.
    """

    touch: Touch
    title: Phrase
    says: Phrase
    note: Phrase
    at: datetime
    facts: tuple[TouchFact, ...]
    gone: tuple[str, ...] = ()

    @property
    def valid_until(self) -> datetime:
        return self.at + timedelta(seconds=FRESH_S)

    def fresh(self, now: datetime) -> bool:
        return now <= self.valid_until


def signed_off(m: Maintenance, messages: Iterable[Message] = ()) -> bool:
    """Whether the technician gave the node back; true from the moment the message is there, before the run reads it."""
    sent = (each for each in messages if each.kind == MessageKind.SIGN_OFF)
    return m.signed_off_at is not None or any(message.key not in m.messages_seen for message in sent)


def verdict(m: Maintenance, sight: Sight, now: datetime, messages: Iterable[Message] = ()) -> TouchVerdict:
    """The verdict at ``now``. Green needs all of: work under way, power Off and data held, seen at most 15 s ago, and
    no other server gone away meanwhile."""
    name = m.node.name
    power, data, led = _power(sight, now), _data(m, sight, now), _led(sight, now)
    looked = [fact.at for fact in (power, data) if fact.at is not None]
    at = min(looked, default=now)
    facts = (power, data, led, *_stake(m))
    if m.phase in _LEAVE or not m.open:
        says = phrase("says.off" if m.phase in (Phase.ABORTED, Phase.REFUSED) else "says.back", node=name)
        return TouchVerdict(
            Touch.YOU_MAY_LEAVE, phrase("title.leave"), says, phrase("note.leave"), now, facts
        )  # fmt: skip
    signed = signed_off(m, messages)
    if not signed and (gone := away(m, sight)):
        return _wrong_server(m, gone, at, (power, data, led))
    red = _why_not(m, signed, power, data)
    if red is not None:
        guests = _guests(m)
        shown = (power, *((guests,) if guests else ()), data, led)
        return TouchVerdict(
            Touch.DO_NOT_TOUCH, phrase("title.no"), phrase(f"says.{red}", node=name), phrase(f"note.{red}"), at, shown
        )
    if power.ok is None or data.ok is None:
        return TouchVerdict(
            Touch.UNKNOWN, phrase("title.no"), phrase("says.old", node=name), phrase("note.old"), at, facts
        )  # fmt: skip
    if m.closing_up:
        how = "close-now" if m.urgent else "close"
        return TouchVerdict(
            Touch.CLOSE_UP, phrase(f"title.{how}"), phrase(f"says.{how}", why=m.closing_up),
            phrase("note.close", node=name), at, facts,
        )  # fmt: skip
    held = data.text.key == "data.held"  # not where there is none to hold, or where it heals elsewhere
    title = phrase("title.off-held" if held else "title.off")
    return TouchVerdict(Touch.NODE_OFF, title, phrase("says.pull", node=name), phrase("note.off"), at, facts)


def away(m: Maintenance, sight: Sight) -> list[str]:
    """Other servers that went away while the technician is at work: as just seen, and as the run wrote it down."""
    if not at_the_rack(m):
        return []
    return sorted({*sight.gone, *(m.facts.get(WRONG_SERVER) or ())})


def wrong_server(m: Maintenance) -> str:
    """The servers that went away while the technician is at work on this one, as the run wrote it down; "" for none."""
    return names(list(m.facts.get(WRONG_SERVER) or ()), m.node.cluster) if at_the_rack(m) else ""


def _wrong_server(m: Maintenance, gone: list[str], at: datetime, facts: tuple[TouchFact, ...]) -> TouchVerdict:
    others = names(gone, m.node.cluster)
    said = TouchFact("gone", False, phrase("gone", other=others), phrase("gone.why"), None)
    return TouchVerdict(
        Touch.DO_NOT_TOUCH, phrase("title.wrong"), phrase("says.wrong", others=others, node=m.node.name),
        phrase("note.wrong"), at, (said, *facts), tuple(gone),
    )  # fmt: skip


def _why_not(m: Maintenance, signed: bool, power: TouchFact, data: TouchFact) -> str | None:
    """Why it is red, as the end of a phrase's key; None when nothing says no."""
    if signed:
        return "signed"
    if m.aborting or m.phase is Phase.ABORTING:
        return "aborting"
    if power.ok is False:
        return "running"
    if data.ok is False:
        return "not-held"
    if m.phase is not Phase.REPAIR or m.hands_on_at is None or m.node_off_at is None:
        return "not-yours"
    return None


def _fresh(at: datetime, now: datetime) -> bool:
    return now - at <= timedelta(seconds=FRESH_S)


def _fact(key: str, ok: bool | None, text: str, detail: str, at: datetime | None) -> TouchFact:
    return TouchFact(key, ok, phrase(text), phrase(detail), at)


def _power(sight: Sight, now: datetime) -> TouchFact:
    seen = sight.hardware
    if seen is None or not seen.reachable or not _fresh(seen.at, now) or seen.power is Power.UNKNOWN:
        return _fact("power", None, "power.unknown", "power.unknown.why", seen.at if seen else None)
    if seen.power is Power.OFF:
        return _fact("power", True, "power.off", "power.off.why", seen.at)
    how = "power.changing" if seen.power is Power.CHANGING else "power.on"
    return _fact("power", False, how, f"{how}.why", seen.at)


def _data(m: Maintenance, sight: Sight, now: datetime) -> TouchFact:
    if not sight.has_ceph:
        return _fact("data", True, "data.none", "data.none.why", now)
    if m.healing:
        return _fact("data", True, "data.heals", "data.heals.why", now)
    ours = next((owned for owned in m.owned if owned.kind in ("noout", "cluster-noout")), None)
    if sight.ceph is None or not _fresh(sight.ceph.at, now):
        text = "data.was" if ours is not None else "data.unknown"
        return _fact("data", None, text, "data.unknown.why", ours.since if ours is not None else None)
    on_host = "noout" in sight.ceph.host_flags.get(sight.host, frozenset())
    if not on_host and "noout" not in sight.ceph.flags:
        why = "data.taken.why" if ours is not None else "data.later.why"
        return _fact("data", False, "data.not", why, sight.ceph.at)
    how = f"data.{'host' if on_host else 'all'}{'' if ours is not None else '-others'}.why"
    detail = phrase(how, host=sight.host) if on_host else phrase(how)
    return TouchFact("data", True, phrase("data.held"), detail, sight.ceph.at)


def _led(sight: Sight, now: datetime) -> TouchFact:
    seen = sight.hardware
    if seen is None or not seen.reachable or not _fresh(seen.at, now) or seen.led_on is None:
        return _fact("led", None, "led.unknown", "led.why", seen.at if seen else None)
    if seen.led_on:
        return _fact("led", True, "led.on", "led.on.why", seen.at)
    return _fact("led", False, "led.off", "led.why", seen.at)


def _stake(m: Maintenance) -> tuple[TouchFact, ...]:
    """What one more loss would cost, as the run last said it, while the node is off."""
    said = m.facts.get("exposure") or ()
    if m.node_off_at is None or m.node_on_at is not None or not said:
        return ()
    return (TouchFact("stake", None, phrase("stake"), quoted("; ".join(str(each) for each in said)), None),)


def _guests(m: Maintenance) -> TouchFact | None:
    """Guests of the plan that have not left yet."""
    if m.plan is None or m.phase not in (Phase.PROPOSED, Phase.PLANNED, Phase.EVACUATING):
        return None
    gone = {moved.guest for moved in m.moved if not moved.homeward}
    left = sum(move.guest not in gone for move in m.plan.moves)
    if not left:
        return None
    text = phrase("guests.one") if left == 1 else phrase("guests.many", n=left)
    return TouchFact("guests", False, text, phrase("guests.why"), None)
