"""The lab's fans as the watch sees them: one that wears out leads to a proposal, days before it would stop."""

from __future__ import annotations

from datetime import UTC, datetime

from noout.domain.cluster import NodeId
from noout.domain.hardware import Condition, HardwareState, Power, Reading, SensorKind, Unit, Urgency
from noout.watch.node import NodeWatch
from noout.watch.policy import propose
from noout.watch.verdict import verdicts
from tests.unit.lab.play import Play

DAY = 86400
EVERY_S = 600


def polls(play: Play, seconds: float):
    """What the BMC of pve3 tells every ten minutes."""
    for _ in range(int(seconds / EVERY_S)):
        play.forward(EVERY_S)
        fans = play.c.bmcs["pve3"].fans
        readings = tuple(
            Reading(name, SensorKind.FAN, value, Unit.RPM, lower_critical=fans[name].lower_critical, health="OK")
            for name, value in play.laws.fan_readings(play.c, "pve3").items()
        )
        at = datetime.fromtimestamp(play.laws.now, UTC)
        yield HardwareState(NodeId("ams1", "pve3"), at, True, Power.ON, readings=readings)


def ill(told: NodeWatch):
    now = told.fed_at
    return [v for v in verdicts(told, now) if v.condition not in (Condition.OK, Condition.LOST_TELEMETRY)]


def test_a_slowly_wearing_fan_is_proposed_while_it_still_turns():
    play, told = Play(nodes=3, guests=0), NodeWatch(NodeId("ams1", "pve3"))
    for state in polls(play, 4 * DAY):
        told.feed(state)
        assert not ill(told)
    play.laws.fault(play.c, "fan-wear", node="pve3", fan="FAN3B", per_day=0.03)
    began = told.fed_at
    for state in polls(play, 5 * DAY):
        told.feed(state)
        if ill(told):
            break
    [found] = ill(told)
    assert (found.sensor, found.condition) == ("FAN3B", Condition.DEGRADED)
    assert "slower than its own first three days" in found.why and "wearing out" in found.why
    assert 2 * DAY < (told.fed_at - began).total_seconds() < 4.5 * DAY
    fault = propose(told.node, verdicts(told, told.fed_at))
    assert fault is not None and (fault.sensors, fault.urgency) == (("FAN3B",), Urgency.SCHEDULE)
    assert play.laws.fan_readings(play.c, "pve3")["FAN3B"] > play.c.bmcs["pve3"].fans["FAN3B"].lower_critical


def test_a_new_fan_ends_it():
    play, told = Play(nodes=3, guests=0), NodeWatch(NodeId("ams1", "pve3"))
    for state in polls(play, 4 * DAY):
        told.feed(state)
    play.laws.fault(play.c, "fan-wear", node="pve3", fan="FAN3B", per_day=0.05)
    for state in polls(play, 4 * DAY):
        told.feed(state)
    assert [v.sensor for v in ill(told)] == ["FAN3B"]
    play.laws.hands(play.c, "pve3", "open_lid")
    play.laws.hands(play.c, "pve3", "replace_fan", fan="FAN3B")
    play.laws.hands(play.c, "pve3", "close_lid")
    for state in polls(play, 2 * DAY):
        told.feed(state)
    assert not ill(told)
