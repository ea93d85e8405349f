"""May the technician touch the node? One verdict, from the journal's state and one fresh look at the node. Pure.

Only a live confirmation is green. It says that the node is off by its BMC's word and that its data is held; it makes
no claim of electrical safety.
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

FRESH_S = 15.0

_LEAVE = (Phase.RETURNING, Phase.DONE, Phase.ABORTED, Phase.REFUSED)


@dataclass(frozen=True, slots=True)
class Sight:
    """What was just seen of the node. ``host`` is its CRUSH host; ``has_ceph`` False: Ceph keeps no data on it."""

    hardware: HardwareState | None
    ceph: CephState | None = None
    host: str = ""
    has_ceph: bool = True


@dataclass(frozen=True, slots=True)
class TouchFact:
    """One line under the verdict. ``ok`` None: not known now. ``key``: power, data, led, guests, stake."""

    key: str
    ok: bool | None
    text: str
    detail: str
    at: datetime | None


@dataclass(frozen=True, slots=True)
class TouchVerdict:
    """``at``: when the oldest look it rests on was made; it counts until ``at`` + 15 s."""

    touch: Touch
    title: str
    says: str
    note: str
    at: datetime
    facts: tuple[TouchFact, ...]

    @property
    def valid_until(self) -> datetime:
        return self.at + timedelta(seconds=FRESH_S)


def signed_off(m: Maintenance, messages: Iterable[Message] = ()) -> bool:
    """Whether the technician gave the node back; true from the moment the message is there, before the run reads it."""
    sent = (each for each in messages if each.kind == MessageKind.SIGN_OFF)
    return m.signed_off_at is not None or any(message.key not in m.messages_seen for message in sent)


def verdict(m: Maintenance, sight: Sight, now: datetime, messages: Iterable[Message] = ()) -> TouchVerdict:
    """The verdict at ``now``. Green needs all of: work under way, power Off and data held, seen at most 15 s ago."""
    name = m.node.name
    power, data, led = _power(sight, now), _data(m, sight, now), _led(sight, now)
    looked = [fact.at for fact in (power, data) if fact.at is not None]
    at = min(looked, default=now)
    facts = (power, data, led, *_stake(m))
    if m.phase in _LEAVE or not m.open:
        undone = m.phase in (Phase.ABORTED, Phase.REFUSED)
        says = "The work was called off." if undone else f"{name} passed its tests and is back at work."
        return TouchVerdict(
            Touch.YOU_MAY_LEAVE, "YOU MAY LEAVE", says, "Do not open it any more. Thank you.", now, facts
        )
    red = _why_not(m, signed_off(m, messages), power, data)
    if red is not None:
        says, note = red
        guests = _guests(m)
        return TouchVerdict(
            Touch.DO_NOT_TOUCH, "DO NOT TOUCH", says, note, at, (power, *((guests,) if guests else ()), data, led)
        )
    if power.ok is None or data.ok is None:
        note = "Cover closed, or you walked away? Then wait for a fresh verdict before you open it again."
        says = f"No fresh verdict. Cords out and cover open: go on; noout will not start {name} without your sign-off."
        return TouchVerdict(Touch.UNKNOWN, "DO NOT TOUCH", says, note, at, facts)
    if m.closing_up:
        what = f"Something else failed: {m.closing_up}" if m.urgent else m.closing_up
        says = f"{what}. Lid on, all cords in, hands clear, sign off"
        return TouchVerdict(
            Touch.CLOSE_UP, "CLOSE UP NOW" if m.urgent else "CLOSE UP", says,
            f"No check needs an answer any more. noout starts {name} when you have signed off.", at, facts,
        )  # fmt: skip
    note = "It stays off until you sign off: noout will not start it."
    says = f"{name}, and only {name}: pull all power cords"
    title = "NODE OFF, DATA HELD" if sight.has_ceph else "NODE OFF"
    return TouchVerdict(Touch.NODE_OFF, title, says, note, at, facts)


def _why_not(m: Maintenance, signed: bool, power: TouchFact, data: TouchFact) -> tuple[str, str] | None:
    """Why it is red: (what it means, what comes next); None when nothing says no."""
    name = m.node.name
    if signed:
        return f"You signed off: noout starts {name} now", "Hands away. Stay near until this screen says YOU MAY LEAVE."
    if m.aborting or m.phase is Phase.ABORTING:
        return "The work is being called off", "Close up if it is open, and call whoever leads this maintenance."
    if power.ok is False:
        return f"{name} is running", "Pulling a part from a running server can switch it off within seconds."
    if data.ok is False:
        return f"The data of {name} is not held", "Taking it apart now would cost the storage its redundancy."
    if m.phase is not Phase.REPAIR or m.hands_on_at is None or m.node_off_at is None:
        return f"{name} is not yours yet", "This screen turns green when you may open it."
    return None


def _fresh(at: datetime, now: datetime) -> bool:
    return now - at <= timedelta(seconds=FRESH_S)


def _power(sight: Sight, now: datetime) -> TouchFact:
    seen = sight.hardware
    if seen is None or not seen.reachable or not _fresh(seen.at, now) or seen.power is Power.UNKNOWN:
        return TouchFact("power", None, "Power is not known", "its BMC does not answer", seen.at if seen else None)
    if seen.power is Power.OFF:
        return TouchFact("power", True, "Power is off", "its BMC says Off", seen.at)
    if seen.power is Power.CHANGING:
        return TouchFact("power", False, "Power is changing", "its BMC says it is going on or off", seen.at)
    return TouchFact("power", False, "Power is ON", "its BMC says On", seen.at)


def _data(m: Maintenance, sight: Sight, now: datetime) -> TouchFact:
    if not sight.has_ceph:
        return TouchFact("data", True, "No data to hold", "Ceph keeps none on it", now)
    if m.healing:
        return TouchFact("data", True, "Data heals elsewhere", "by an operator's decision", now)
    ours = next((owned for owned in m.owned if owned.kind in ("noout", "cluster-noout")), None)
    if sight.ceph is None or not _fresh(sight.ceph.at, now):
        text = "Data was held" if ours is not None else "Data: not known"
        return TouchFact("data", None, text, "Ceph was not read just now", ours.since if ours is not None else None)
    host = sight.host
    if "noout" not in sight.ceph.host_flags.get(host, frozenset()) | sight.ceph.flags:
        why = "somebody took noout away" if ours is not None else "noout comes after the last guest"
        return TouchFact("data", False, "Data is NOT held", why, sight.ceph.at)
    whose = "" if ours is not None else ", set by others"
    where = f"on host {host}" if "noout" in sight.ceph.host_flags.get(host, frozenset()) else "for the whole cluster"
    return TouchFact("data", True, "Data is held", f"noout {where}{whose}, read back", sight.ceph.at)


def _led(sight: Sight, now: datetime) -> TouchFact:
    seen = sight.hardware
    if seen is None or not seen.reachable or not _fresh(seen.at, now) or seen.led_on is None:
        return TouchFact("led", None, "Locate LED is not known", "read the serial", seen.at if seen else None)
    if seen.led_on:
        return TouchFact("led", True, "Locate LED is on", "asked for and read back", seen.at)
    return TouchFact("led", False, "Locate LED is off", "read the serial", seen.at)


def _stake(m: Maintenance) -> tuple[TouchFact, ...]:
    """What one more loss would cost, as the run last said it, while the node is off."""
    said = m.facts.get("exposure") or ()
    if m.node_off_at is None or m.node_on_at is not None or not said:
        return ()
    return (TouchFact("stake", None, "While it is off", "; ".join(str(each) for each in said), None),)


def _guests(m: Maintenance) -> TouchFact | None:
    """Guests of the plan that have not left yet."""
    if m.plan is None or m.phase not in (Phase.PROPOSED, Phase.PLANNED, Phase.EVACUATING):
        return None
    gone = {moved.guest for moved in m.moved if not moved.homeward}
    left = sum(move.guest not in gone for move in m.plan.moves)
    if not left:
        return None
    return TouchFact("guests", False, f"{left} guest{'s' if left != 1 else ''} still on it", "they leave first", None)
