"""The fans of one node, poll by poll: which readings are low, which fans are failing, wearing out or erratic.

A poll in which all fans agree with their peers costs a few comparisons (``feed``'s first lines); everything else is
looked at closely. Nothing here knows of BMCs or logs: ``node.py`` brings the readings, and joins in the log.

Validity comes first. Polls without an answer, all zeros, gaps, and the three polls after any of these are lost
telemetry, never evidence; so are the first three readings of a fan that was away. A poll in which half of the fans are
low at once tells of something they share, not of each fan. What only its peers make low or odd waits for the next poll:
they may be the ones that were read too early or too late (``close.py``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from noout.watch import baseline, close, standby
from noout.watch.close import OF_CRITICAL
from noout.watch.fan import Fan
from noout.watch.peers import learn, learn_one, regrouped
from noout.watch.rows import ROWS_MAX, Rows, level

AFTER_GAP = 3  # polls after a gap that are not believed: fans spin up, BMCs come to themselves
GAP_MIN_S, GAP_STEPS = 180.0, 3
BLOCK_S = 600.0
AGREE = 1.18  # greatest proportion between the fans of a group in a poll that needs no closer look
BOUNDS_EVERY = 36  # rows after which it is learned anew when a standby fan may stop
FIRST_POLLS = 8  # before these nothing is known of the proportions between the fans
ROWS_GROUPED, ROWS_KNOWN = 36, 144  # rows from which peers are told apart; from which they are taken as known
LEARN_AT = (ROWS_GROUPED, ROWS_KNOWN, ROWS_MAX)
JUST_BACK = "it has only just answered again"


_KEPT = ("silent", "polls", "common", "common_low", "learned_rows", "groups", "_distrust", "_gap_s", "_steps")


class FanWatch:
    """``feed`` or ``silence`` once for every poll, in the order of time; then ask ``fans``, ``common`` and ``silent``.

    Times are Unix seconds; a speed is None where a fan gave no valid reading in that poll.
    """

    def __init__(self) -> None:
        self.fans: list[Fan] = []
        self.silent = "it was never asked"  # why the latest poll is no evidence; "" when it is
        self.polls = 0  # believed ones
        self.common: list[float] = []  # when half of the fans were low together, in a row up to now
        self.common_low = 0
        self.rows = Rows(0)
        self.learned_rows = 0  # how many rows the peers are learned from
        self.groups: tuple[tuple[int, ...], ...] = ()
        self._quick: tuple[tuple[tuple[tuple[int, float], ...], float], ...] = ()
        self._alert = True  # the next poll needs the closer look
        self._distrust = 0
        self._last = -math.inf
        self._gap_s = GAP_MIN_S
        self._steps: list[float] = []
        self._block: list[Sequence[float | None]] = []
        self._before: Sequence[float | None] = ()  # the poll before this one
        self._doubts: list[close.Doubt] = []  # of that poll: what this one confirms, or not
        self._block_until = -math.inf

    # --- what comes in ---

    def add(self, name: str) -> int:
        """A fan that was not listed before; its place in ``feed``'s speeds."""
        self._close_block()
        self.fans.append(Fan(name))
        self.rows.widen()
        if self.learned_rows:
            self.groups = (*self.groups, (len(self.fans) - 1,))
        else:
            self.groups = (tuple(range(len(self.fans))),)
        self._prepare()
        return len(self.fans) - 1

    def limit(self, fan: int, lower_critical: float) -> None:
        if self.fans[fan].limit != lower_critical:
            self.fans[fan].limit = lower_critical
            self._prepare()

    def silence(self, at: float, why: str) -> None:
        """A poll that is no evidence, and why."""
        self._last, self.silent, self._distrust, self._alert = at, why, AFTER_GAP, True

    def feed(self, at: float, speeds: Sequence[float | None]) -> bool:
        """One poll; True when something may have changed that a verdict depends on."""
        if not self._alert and at - self._last <= self._gap_s:
            for members, floor in self._quick:
                some = [speed * k for i, k in members if (speed := speeds[i]) is not None]
                least = min(some, default=0.0)
                if least < floor or max(some) > AGREE * least or len(some) != len(members):
                    break
            else:
                self._last, self._before = at, speeds
                self.polls += 1
                self._block.append(speeds)
                return at >= self._block_until and self._end_block(at)
        return self._look(at, speeds)

    def state(self) -> dict[str, Any]:
        """What ``memory.py`` keeps of this class itself, beside its fans and rows."""
        kept: dict[str, Any] = {name: getattr(self, name) for name in _KEPT}
        polls = {"block": [list(poll) for poll in self._block], "before": list(self._before)}
        doubts = [list(each) for each in self._doubts]
        return kept | polls | {"last": None if math.isinf(self._last) else self._last, "doubts": doubts}

    def restore(self, state: Mapping[str, Any]) -> None:
        for name in _KEPT:
            setattr(self, name, list(state[name]) if isinstance(state[name], list) else state[name])
        self.groups = tuple(tuple(group) for group in state["groups"])
        self._last = -math.inf if state["last"] is None else float(state["last"])
        self._block, self._before = [list(poll) for poll in state["block"]], list(state["before"])
        self._doubts = [close.Doubt(*each) for each in state["doubts"]]
        if len(self.rows.kept) % max(1, len(self.fans)):
            raise ValueError("rows and fans do not fit")
        self._prepare()

    # --- the closer look ---

    def _look(self, at: float, speeds: Sequence[float | None]) -> bool:
        gap = self._is_gap(at)
        before, self._last = self._signs(), at
        valid = {i: speed for i, speed in enumerate(speeds) if speed is not None}
        if not valid:
            self.silence(at, "the BMC gives no readings")
            return True
        if len(valid) > 1 and not any(valid.values()):
            self.silence(at, "every fan reads 0 at once")
            return True
        if gap:
            self._distrust = AFTER_GAP
        if self._distrust:
            self._distrust -= 1
            changed, self.silent, self._alert, self._doubts = self.silent != JUST_BACK, JUST_BACK, True, []
            return changed
        self.silent = ""
        self.polls += 1
        self._judge(at, self._present(valid))
        self._before = speeds
        if self.polls == FIRST_POLLS and not self.learned_rows:
            self._learn_first()
        sinking = at >= self._block_until and self._end_block(at)
        self._alert = (
            self.polls < FIRST_POLLS
            or bool(self.common or self._doubts)
            or any(fan.open or fan.run or fan.absent or fan.distrust or fan.standby for fan in self.fans)
        )
        return sinking or self._signs() != before

    def _signs(self) -> tuple[object, ...]:
        """What a verdict depends on, as far as a single poll can change it."""
        return (
            self.silent,
            len(self.common),
            *((fan.run, len(fan.low), fan.open, fan.absent > 0, fan.standby, fan.odd) for fan in self.fans),
        )

    def _is_gap(self, at: float) -> bool:
        """Whether polls are missing before this one. A new rhythm is taken up after three equal steps."""
        step, first = at - self._last, math.isinf(self._last)
        if first or step <= self._gap_s:
            if not first and len(self._steps) < AFTER_GAP:
                self._steps.append(step)
                self._gap_s = max(GAP_MIN_S, GAP_STEPS * median(self._steps))
            return False
        self._steps.append(step)
        latest = self._steps[-AFTER_GAP:]
        if len(latest) == AFTER_GAP and max(latest) <= 1.5 * min(latest):
            self._steps, self._gap_s = latest, max(GAP_MIN_S, GAP_STEPS * median(latest))
        return True

    def _present(self, valid: dict[int, float]) -> dict[int, float]:
        """The readings to be believed: a fan that was away is believed from its fourth reading on."""
        believed = {}
        for i, fan in enumerate(self.fans):
            if i not in valid:
                fan.absent += 1
                continue
            if fan.absent:
                if fan.absent >= AFTER_GAP or fan.open:  # gone for a while, or it stood still and was gone: pulled out
                    fan.start_anew()
                    self._prepare()
                fan.absent, fan.distrust = 0, AFTER_GAP
            if fan.distrust:
                fan.distrust -= 1
                continue
            believed[i] = valid[i]
        return believed

    def _judge(self, at: float, speeds: dict[int, float]) -> None:
        self._settle(speeds)
        low: list[int] = []
        hunting: list[int] = []
        doubts: dict[int, close.Doubt] = {}
        for i, speed in speeds.items():
            fan, apart = self.fans[i], self._apart(i, speeds)
            fan.turned = fan.turned or speed > 0
            if speed == 0 and (fan.limit > 0 or any(speeds.values())):
                low.append(i)
                continue
            kind = close.kind(fan, speed, apart, self._known(fan))
            if apart is not None and kind != close.kind(fan, speed, 0.0, self._known(fan)):
                doubts[i] = close.Doubt(i, at, speed, apart, kind)
            elif kind == "low":
                low.append(i)
            elif kind == "hunting":
                hunting.append(i)
        still_now = [i for i in low if speeds[i] == 0 and not self.fans[i].limit]
        low = [i for i in low if not self._stands_by(i, at, speeds, still_now)]
        for i in speeds.keys() - set(still_now):
            self.fans[i].standby = False
        lows = len(low) + sum(each.kind == "low" for each in doubts.values())
        if lows > 1 and 2 * lows >= len(speeds):
            self.common.append(at)
            del self.common[1:-100]
            self.common_low = lows
            return
        self.common.clear()
        if 2 * sum(each.kind == "odd" for each in doubts.values()) >= len(speeds):
            doubts = {i: each for i, each in doubts.items() if each.kind != "odd"}
        self._note(at, speeds, low, hunting, doubts)

    def _note(
        self, at: float, speeds: dict[int, float], low: list[int], hunting: list[int], doubts: dict[int, close.Doubt]
    ) -> None:
        for i, speed in speeds.items():
            if i in low or i in hunting:
                self.fans[i].is_low(at, speed, i in hunting)
            elif i not in doubts and not self.fans[i].standby:
                self.fans[i].is_well(at)
        self._doubts = list(doubts.values())
        left_out = {*low, *(i for i, each in doubts.items() if each.kind == "low")}
        self._block.append([None if i in left_out else speeds.get(i) for i in range(len(self.fans))])

    def _settle(self, speeds: dict[int, float]) -> None:
        """What was in doubt in the poll before counts when the peers now say the same."""
        doubts, self._doubts = self._doubts, []
        for i, at, speed, apart, _ in doubts:
            fan, said = self.fans[i], self._peers_say(i, speeds)
            if said <= 0:
                continue
            apart = close.nearest(apart, math.log(speed) - (fan.offset or 0.0) - math.log(said))
            kind = close.kind(fan, speed, apart, self._known(fan))
            if kind in ("low", "hunting"):
                fan.is_low(at, speed, kind == "hunting")
            else:
                fan.is_well(at)
            if kind == "odd":
                # Of two that disagree neither is known to be the one out of line: half a reading each.
                known = sum(each in speeds for group in self.groups if i in group for each in group)
                fan.is_odd(at, min(1.0, self._gap_s / GAP_MIN_S) * (1.0 if known > 2 else 0.5))

    def _known(self, fan: Fan) -> bool:
        """Whether this fan's peers, and its proportion to them, are known well enough to hold it against them."""
        return self.learned_rows >= ROWS_KNOWN and fan.offset is not None

    def _apart(self, i: int, speeds: dict[int, float]) -> float | None:
        """ln of a fan's speed in proportion to what its turning peers say; None without peers, or as it starts.

        A BMC reads its sensors one after the other and fans take seconds to follow: what the peers said a poll ago
        is as good as what they say now, and the nearer of the two counts. Who has just started says neither.
        """
        before = {j: value for j, value in enumerate(self._before) if value is not None}
        if self.polls <= FIRST_POLLS or speeds[i] <= 0 or before.get(i) == 0:
            return None
        if (now := self._peers_say(i, {j: speed for j, speed in speeds.items() if before.get(j) != 0})) <= 0:
            return None
        past = self._peers_say(i, before) or now
        own = math.log(speeds[i]) - (self.fans[i].offset or 0.0)
        return close.nearest(own - math.log(now), own - math.log(past))

    def _peers_say(self, i: int, speeds: Mapping[int, float]) -> float:
        """The speed that a fan's peers stand for; 0 when none turns, or they are new themselves."""
        group, fans = next(some for some in self.groups if i in some), self.fans
        turning = [(j, speed) for j in group if j != i and (speed := speeds.get(j, 0.0)) > 0]
        some = [speed * math.exp(-offset) for j, speed in turning if (offset := fans[j].offset) is not None]
        return median(some) if some else 0.0

    def _stands_by(self, i: int, at: float, speeds: dict[int, float], still: list[int]) -> bool:
        """Whether a fan that stands still may do so: its BMC gives no limit and finds nothing wrong, and it was never
        seen turning, or is known to stand at times, or is not known yet; or others like it stopped with it; or less
        is asked of the fans than mostly while it turned (``standby.py``)."""
        fan = self.fans[i]
        if fan.limit > 0 or speeds[i] > 0:
            fan.standby = False
            return False
        young = len(self.rows) < ROWS_MAX
        if not fan.standby:
            fan.stood_since = at
        elif young and at - fan.stood_since >= BLOCK_S:
            fan.stands = True
        others = [speed for j, speed in speeds.items() if j != i and speed > 0]
        fan.standby = (
            not fan.turned
            or young
            or fan.stands
            or len(still) > 1
            or (fan.standby and any(self.fans[j].standby for j in still if j != i))
            or self._little_asked(i, others)
        )
        if fan.standby:
            fan.run = 0
        return fan.standby

    def _little_asked(self, i: int, others: list[float]) -> bool:
        fan = self.fans[i]
        if fan.bounds_rows < 0 or fan.fresh_rows - fan.bounds_rows >= BOUNDS_EVERY:
            fan.bounds, fan.bounds_rows = standby.bounds(i, self.rows.latest()), fan.fresh_rows
        if fan.bounds is None or not others:
            return False
        return math.log(median(others)) <= fan.bounds[fan.standby]

    # --- blocks of ten minutes ---

    def _end_block(self, at: float) -> bool:
        """True when the block changed what is to be said of a fan, or may have."""
        self._close_block()
        self._block_until = at + BLOCK_S
        return any(fan.deficit for fan in self.fans)

    def _close_block(self) -> None:
        block, self._block = self._block, []
        if not block:
            return
        levels = [level(column) for column in zip(*block, strict=True)]
        self.rows.append(levels)
        for fan, each in zip(self.fans, levels, strict=True):
            if each is not None:
                fan.turned_at(math.exp(each))
        rows = len(self.rows)
        if self.learned_rows < rows and (rows < ROWS_GROUPED or rows in LEARN_AT):
            self._learn(rows)
        elif self.learned_rows >= ROWS_MAX:
            self._compare(levels)

    def _compare(self, levels: Sequence[float | None]) -> None:
        """Each fan against its own baseline, once that is three days old."""
        sinking = []
        for members in self.groups:
            for i, deficit in baseline.below(levels, self.fans, members).items():
                fan = self.fans[i]
                baseline.add(fan, self._last, deficit)
                if fan.deficit >= baseline.DEGRADED_FROM / 3:
                    sinking.append(i)
        for i, fan in enumerate(self.fans):
            if (fan.offset is None and self._enough(i)) or (fan.young and fan.fresh_rows >= ROWS_MAX):
                self._learn_one(i)
                fan.young = fan.fresh_rows < ROWS_MAX
        if len(sinking) > 1 and any(self.fans[i].degraded_since is not None for i in sinking):
            self._learn(len(self.rows))  # several at once: they are not worn, they are others' peers
            for fan in self.fans:
                fan.deficit, fan.degraded_since = 0.0, None

    def _learn(self, rows: int) -> None:
        known = learn(self.rows.latest(), len(self.fans), group=rows >= ROWS_GROUPED)
        self.groups, self.learned_rows = known.groups, rows
        for i, fan in enumerate(self.fans):
            fan.offset, fan.slack = known.offset[i], baseline.slack(known.spread[i])
        for i, fan in enumerate(self.fans):
            if fan.young:  # what was learned is the proportion of the fan that was in its place
                fan.offset = None
                if self._enough(i):
                    self._learn_one(i)
        self._prepare()

    def _learn_first(self) -> None:
        """A first idea of the proportions, from the first polls alone."""
        rows = [[math.log(speed) if speed else None for speed in poll] for poll in self._block]
        for fan, offset in zip(self.fans, learn(rows, len(self.fans), group=False).offset, strict=True):
            fan.offset = offset
        self._prepare()

    def _enough(self, i: int) -> bool:
        """Whether a fan put in meanwhile has turned long enough to be held against its peers, or to find them."""
        return self.fans[i].fresh_rows >= (ROWS_KNOWN if (i,) in self.groups else ROWS_GROUPED)

    def _learn_one(self, i: int) -> None:
        """The proportion of a fan that was put in meanwhile, to peers that are known."""
        fan = self.fans[i]
        rows, offsets = self.rows.latest(fan.fresh_rows), [each.offset for each in self.fans]
        if len(rows) >= ROWS_MAX or (i,) in self.groups:
            self.groups = regrouped(i, rows, self.groups)
        fan.offset, spread = learn_one(i, rows, next(some for some in self.groups if i in some), offsets)
        fan.slack = baseline.slack(spread)
        self._prepare()

    def _prepare(self) -> None:
        """What the quick look needs: for each group its fans with 1 / usual proportion, and the least that is well."""
        quick = []
        for group in self.groups:
            members = tuple((i, math.exp(-(self.fans[i].offset or 0.0))) for i in group)
            floor = max((OF_CRITICAL * self.fans[i].limit * k for i, k in members), default=0.0)
            quick.append((members, max(floor, 1e-9)))
        self._quick = tuple(quick)
        self._alert = True
