"""Thirty days of one node's fans as its BMC would tell them, once a minute. Every assumption is a constant here.

A node has six fans in one or two zones. A zone's PWM follows the hour of day, weekends, and bursts of load of its own.
A fan turns in its own proportion to its zone, drifts a little, reads with noise and in steps. The wire drops polls and
single readings; BMCs restart (silence, then up to three polls of nonsense); nodes are rebooted; fans are swapped while
the node runs; now and then one reading is plain wrong, and now and then the log has an entry of a stop that never was.

All of it is drawn from the seed alone. Times are seconds since the beginning of the trace.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Kind = Literal["none", "flap", "mild", "wear", "dead", "erratic"]
Board = Literal["plain", "percent", "standby", "misconfigured"]

DAYS, EVERY_S, FANS = 30, 60, 6
POLLS = DAYS * 86400 // EVERY_S
A_DAY = 86400 // EVERY_S

ZONES = ((0, 0, 0, 1, 1, 1), (0, 0, 0, 0, 1, 1), (0, 0, 0, 0, 0, 0))  # which fan is in which zone
PWM_IDLE = 0.28
DIURNAL = (0.04, 0.12)  # amplitude, from..to
WEEKEND = 0.6  # of the diurnal amplitude at weekends
BURSTS_A_DAY, BURST_MINUTES, BURST_HEIGHT = 10.0, 25.0, (0.08, 0.45)
FULL_RPM = (9000.0, 16000.0)
OWN_PROPORTION = 0.05  # sd of a fan's own proportion to its zone
CURVE = 0.02  # sd of the exponent of speed over PWM: no two fans are quite alike
DRIFT = 0.015  # amplitude of a slow drift over 10..30 days
NOISE = 0.008
STEPS_RPM = (1.0, 60.0, 100.0, 120.0)  # quantisation, one for each node
LATE = 0.04  # share of readings that are a minute old: a BMC reads its sensors one after the other
LIMIT_OF_IDLE = (0.25, 0.45)  # the lower critical limit as a share of the idle speed

NO_ANSWER = 0.002  # share of polls
NO_READING = 0.0004  # share of single readings that are null
RESTARTS, REBOOTS, SWAPS = 2.0, 1.0, 0.3  # of the BMC, of the node, of a fan; a node in 30 days
GLITCHES_A_YEAR = 2.0  # a fan: one reading that is plain wrong (0 .. 0.5 of the truth)
GLITCH_LOGGED = 0.2
FALSE_ENTRIES_A_YEAR = 0.2  # a fan: the log has a stop that never was

ONSET_DAYS = (6.0, 10.0)  # a fault begins; a baseline takes three days
RAMP_DAYS = 14.0  # its rate grows exponentially for so long
STOPS_AN_HOUR = {"flap": (0.3, 6.0), "mild": (0.05, 0.5)}
STOP_S, STOP_SPREAD = 20.0, 1.0  # a stop's length: lognormal, median and sigma
BUNCHED, BUNCH = 0.3, 0.1  # share of the waits that are so much shorter: stops come in bunches
LOGGED = 0.85  # share of the stops of which the BMC's log knows
WEAR = 0.25  # how much slower a worn fan is at the end of the ramp
ERRATIC = (0.02, 0.15)  # share of its readings that are wrong, at the onset and after the ramp
ERRATIC_BY = 2.2  # they are up to so many times too high or too low

STANDBY_STOPS, STANDBY_STARTS = 0.34, 0.40  # PWM
# Limits set too high, so that healthy fans fall below them when little is asked: a board's default is one number for
# all of its fans, or fits all but one slower fan. Where a fan turns about at its limit the BMC, which looks every
# second and not every minute, logs it down and up again by threes and fours.
MISCONFIGURED = (0.9, 1.15)  # the limit as a share of the idle speed
ONE_NUMBER = 0.5  # share of the nodes with one number for all fans; else it is wrong for one fan, or two
ABOUT = 0.02  # a fan within this share of its limit is about there
HUNTS_AN_HOUR = 1.0  # while it is
HYSTERESIS = 0.02  # a fall is logged anew after the fan was so far above its limit
DIPS, DIP_S = 3.0, 4.0  # mean number of entries in a hunt; mean seconds until up again
DIP = (0.93, 1.0)  # the reading, as a share of the limit
UNNAMED = 0.5  # share of the nodes whose log names neither reading nor limit
DEEPEST = 0.2  # share of the dips, there, in which the lowest limit of all is crossed too


@dataclass(frozen=True)
class Event:
    """The BMC's log: from when till when this fan was below ``limit``, and what it read then. ``named``: whether the
    log says that reading; ``deepest``: whether it fell below the lowest limit of all, too."""

    at_s: float
    fan: int
    reading: float
    limit: float
    until_s: float
    named: bool = True
    deepest: bool = False


@dataclass
class Trace:
    """``speeds``: polls x fans, NaN where there is no reading. ``answered``: polls that came at all; ``on``: the node's
    power. ``limits``: 0 = none. ``target``: what the control asked for, in the fans' unit. ``stops``: true ones."""

    board: Board
    kind: Kind
    speeds: Floats
    target: Floats
    limits: Floats
    answered: NDArray[np.bool_]
    on: NDArray[np.bool_]
    fault: int = -1
    onset_s: float = 0.0
    stops: list[tuple[float, float]] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)


def trace(seed: int, board: Board = "plain", kind: Kind = "none") -> Trace:
    """One node's thirty days."""
    rng = np.random.default_rng([seed, hash_of(board), hash_of(kind)])
    zones = ZONES[rng.integers(len(ZONES))]
    pwm = np.stack([_pwm(rng) for _ in range(2)], axis=1)[:, zones]
    full = np.full(FANS, rng.uniform(*FULL_RPM)) * np.where(np.array(zones) == 0, 1.0, rng.uniform(0.6, 1.4))
    curve = 1 + CURVE * rng.standard_normal(FANS)
    own = np.exp(OWN_PROPORTION * rng.standard_normal(FANS))
    asked = full * pwm**curve
    idle = (full * PWM_IDLE**curve * own).astype(float)
    found = Trace(
        board, kind, np.empty(0), asked, idle * rng.uniform(*LIMIT_OF_IDLE), np.ones(POLLS, bool), np.ones(POLLS, bool)
    )
    minute = np.arange(POLLS)[:, None]
    drift = DRIFT * np.sin(2 * np.pi * (minute / A_DAY / rng.uniform(10, 30, FANS) + rng.random(FANS)))
    speeds = asked * own * (1 + drift)
    late = rng.random((POLLS, FANS)) < LATE
    late[0] = False
    speeds = np.where(late, np.roll(speeds, 1, axis=0), speeds)
    speeds = speeds * (1 + NOISE * rng.standard_normal((POLLS, FANS)))
    if board == "standby":
        _standby(found, speeds, pwm)
    elif board == "misconfigured":
        _misconfigured(rng, found, idle)
    hunting = speeds / np.where(found.limits > 0, found.limits, np.inf)
    _swaps(rng, found, speeds)
    if kind != "none":
        _fault(rng, found, speeds)
    step = float(rng.choice(STEPS_RPM))
    speeds = np.round(speeds / step) * step
    if board == "percent":
        _percent(found, speeds, pwm)
    if board == "misconfigured":
        _hunting(rng, found, hunting)
    found.speeds = speeds
    _glitches(rng, found)
    _wire(rng, found)
    if board == "misconfigured" and rng.random() < UNNAMED:
        found.events = [replace(each, named=False, deepest=_deepest(rng, each)) for each in found.events]
    found.events.sort(key=lambda each: each.at_s)
    return found


def hash_of(word: str) -> int:
    """A number of a word that is the same in every process."""
    return int.from_bytes(word.encode(), "big") % 2**31


def _pwm(rng: np.random.Generator) -> Floats:
    minute = np.arange(POLLS)
    day = minute / A_DAY
    swing = rng.uniform(*DIURNAL) * np.where((day.astype(int) + rng.integers(7)) % 7 < 5, 1.0, WEEKEND)
    pwm = PWM_IDLE + swing * (1 + np.sin(2 * np.pi * (day + rng.normal(0, 0.05) - 0.3)))
    for start in np.flatnonzero(rng.random(POLLS) < BURSTS_A_DAY / A_DAY):
        pwm[start : start + 1 + int(rng.exponential(BURST_MINUTES))] += rng.uniform(*BURST_HEIGHT)
    return np.asarray(np.round(np.clip(pwm, 0.2, 1.0), 2))


def _standby(found: Trace, speeds: Floats, pwm: Floats) -> None:
    """The last two fans stand still while little is asked of their zone; they have no limit."""
    turning = False
    state = np.empty(POLLS, bool)
    for i, asked in enumerate(pwm[:, -1]):
        turning = asked > STANDBY_STARTS or (turning and asked > STANDBY_STOPS)
        state[i] = turning
    speeds[~state, -2:] = 0.0
    found.target = found.target.copy()
    found.target[~state, -2:] = 0.0
    found.limits[-2:] = 0.0


def _percent(found: Trace, speeds: Floats, pwm: Floats) -> None:
    """It tells what is asked of a fan, and that one has failed; no limits."""
    still = (speeds <= 0) & (found.target > 0)
    speeds[:] = np.where(still, 0.0, np.round(100 * pwm))
    found.limits[:] = 0.0


def _misconfigured(rng: np.random.Generator, found: Trace, idle: Floats) -> None:
    if rng.random() < ONE_NUMBER:
        found.limits = np.full(FANS, float(np.median(idle)) * rng.uniform(*MISCONFIGURED))
    else:
        found.limits = idle * rng.uniform(*LIMIT_OF_IDLE)
        for fan in rng.choice(FANS, rng.integers(1, 3), replace=False):
            found.limits[fan] = idle[fan] * rng.uniform(*MISCONFIGURED)


def _hunting(rng: np.random.Generator, found: Trace, of_limit: Floats) -> None:
    """Each fall below a limit that is set too high is logged, and what a fan does there between two polls."""
    hunts = (np.abs(of_limit - 1.0) < ABOUT) & (rng.random(of_limit.shape) < HUNTS_AN_HOUR / 60)
    for fan in range(FANS):
        clear = np.flatnonzero((of_limit[:, fan] < 1.0) | (of_limit[:, fan] > 1.0 + HYSTERESIS))
        down = of_limit[clear, fan] < 1.0
        falls = clear[1:][down[1:] & ~down[:-1]]
        hunts[falls[rng.random(len(falls)) < LOGGED], fan] = True
    for poll, fan in np.argwhere(hunts):
        at, limit = float(poll * EVERY_S) - 20.0, float(found.limits[fan])
        for _ in range(int(rng.geometric(1 / DIPS))):
            until = at + float(rng.exponential(DIP_S))
            found.events.append(Event(at, int(fan), limit * float(rng.uniform(*DIP)), limit, until))
            at = until + float(rng.exponential(30.0))


def _deepest(rng: np.random.Generator, event: Event) -> bool:
    return event.reading == 0.0 or rng.random() < DEEPEST


def _swaps(rng: np.random.Generator, found: Trace, speeds: Floats) -> None:
    for poll in rng.integers(A_DAY, POLLS - 100, rng.poisson(SWAPS)):
        fan, away = int(rng.integers(FANS)), int(rng.integers(2, 11))
        speeds[poll, fan] = 0.0
        speeds[poll + 1 : poll + 1 + away, fan] = np.nan
        speeds[poll + 1 + away :, fan] *= np.exp(OWN_PROPORTION * rng.standard_normal())
        if found.limits[fan] > 0:
            at = float(poll * EVERY_S - 5)
            found.events.append(Event(at, fan, 0.0, float(found.limits[fan]), at + 60 * away))


def _fault(rng: np.random.Generator, found: Trace, speeds: Floats) -> None:
    found.fault = fan = int(rng.integers(FANS - (2 if found.board == "standby" else 0)))
    found.onset_s = float(rng.uniform(*ONSET_DAYS) * 86400)
    poll = int(found.onset_s // EVERY_S) + 1
    ramp = np.clip((np.arange(POLLS) * EVERY_S - found.onset_s) / (RAMP_DAYS * 86400), 0, 1)
    if found.kind in STOPS_AN_HOUR:
        _stops(rng, found, speeds, *STOPS_AN_HOUR[found.kind])
    elif found.kind == "wear":
        speeds[:, fan] *= 1 - WEAR * ramp
    elif found.kind == "dead":
        speeds[poll:, fan] = 0.0
        found.stops = [(found.onset_s, DAYS * 86400.0)]
        if rng.random() < LOGGED and found.limits[fan] > 0:
            found.events.append(Event(found.onset_s, fan, 0.0, float(found.limits[fan]), DAYS * 86400.0))
    elif found.kind == "erratic":
        share = ERRATIC[0] * (ERRATIC[1] / ERRATIC[0]) ** ramp * (np.arange(POLLS) >= poll)
        wrong = rng.random(POLLS) < share
        speeds[wrong, fan] *= np.exp(rng.uniform(-1, 1, int(wrong.sum())) * np.log(ERRATIC_BY))


def _stops(rng: np.random.Generator, found: Trace, speeds: Floats, first: float, last: float) -> None:
    at, fan = found.onset_s, found.fault
    while True:
        grown = min(1.0, (at - found.onset_s) / (RAMP_DAYS * 86400))
        wait = rng.exponential(3600 / (first * (last / first) ** grown))
        at += max(2.0, wait * (BUNCH if rng.random() < BUNCHED else 1.0))
        if at >= DAYS * 86400 - 600:
            return
        length = STOP_S * float(np.exp(STOP_SPREAD * rng.standard_normal()))
        found.stops.append((at, at + length))
        speeds[int(-(-at // EVERY_S)) : int((at + length) // EVERY_S) + 1, fan] = 0.0
        if rng.random() < LOGGED:
            limit = float(found.limits[fan]) or 1000.0
            found.events.append(Event(at, fan, 0.0, limit, at + length))
        at += length


def _glitches(rng: np.random.Generator, found: Trace) -> None:
    for fan in range(FANS):
        for poll in rng.integers(0, POLLS, rng.poisson(GLITCHES_A_YEAR * DAYS / 365)):
            found.speeds[poll, fan] *= rng.choice([0.0, rng.uniform(0, 0.5)])
            if rng.random() < GLITCH_LOGGED and found.limits[fan] > 0:
                at = float(poll * EVERY_S)
                found.events.append(Event(at, fan, float(found.speeds[poll, fan]), float(found.limits[fan]), at + 60))
        for at in rng.uniform(0, DAYS * 86400, rng.poisson(FALSE_ENTRIES_A_YEAR * DAYS / 365)):
            if found.limits[fan] > 0:
                found.events.append(Event(float(at), fan, 0.0, float(found.limits[fan]), float(at) + 5))


def _wire(rng: np.random.Generator, found: Trace) -> None:
    found.answered &= rng.random(POLLS) >= NO_ANSWER
    found.speeds[rng.random((POLLS, FANS)) < NO_READING] = np.nan
    for poll in rng.integers(10, POLLS - 50, rng.poisson(RESTARTS)):
        back = poll + int(rng.integers(3, 9))
        found.answered[poll:back] = False
        found.answered[back : back + 4] = True
        for after in range(back, back + int(rng.integers(1, 4))):
            some = rng.random(FANS) < 0.5
            found.speeds[after, some] = rng.choice([0.0, 0.3, 1.7]) * found.speeds[after, some]
    for poll in rng.integers(10, POLLS - 50, rng.poisson(REBOOTS)):
        back = poll + int(rng.integers(2, 7))
        found.on[poll:back] = False
        found.speeds[poll:back] = 0.0
        found.speeds[back : back + 2] *= 1.8
        for fan in np.flatnonzero(found.limits > 0):  # as it goes down and comes up, each fan crosses its limit
            at = float(poll * EVERY_S + rng.uniform(0, 5))
            found.events.append(Event(at, int(fan), 0.0, float(found.limits[fan]), float(back * EVERY_S)))
