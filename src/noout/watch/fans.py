"""The fans of one node, poll by poll: which readings are low, which fans are failing, wearing out or erratic.

A poll in which all fans agree with their peers costs a few comparisons (``feed``'s first lines); everything else is
looked at closely. Nothing here knows of BMCs or logs: ``node.py`` brings the readings, and joins in the log.

Validity comes first. Polls without an answer, all zeros, gaps, and the three polls after any of these are lost
telemetry, never evidence; so are the first three readings of a fan that was away. A poll in which half of the fans are
low at once tells of something they share, not of each fan.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from noout.watch import baseline, standby
from noout.watch.fan import Fan
from noout.watch.peers import learn
from noout.watch.rows import ROWS_MAX, Rows

AFTER_GAP = 3  # polls after a gap that are not believed: fans spin up, BMCs come to themselves
GAP_MIN_S, GAP_STEPS = 180.0, 3
BLOCK_S = 600.0
OF_CRITICAL, OF_PEERS = 0.9, 0.5  # low = below 0.9 of the lower critical limit, or half of what the peers say
OF_UNKNOWN_PEERS = 0.2  # the same while it is not yet known which fans are peers
HUNTING_FROM, HUNTING_OF_PEERS = 0.6, 0.8  # a reading below its limit, yet as its peers say: the limit is wrong
COLLAPSE = 2.0  # a fan that usually turns at this many times its limit does not get there by hunting
AGREE = 1.18  # greatest proportion between the fans of a group in a poll that needs no closer look
ODD = 0.2  # ln: a reading so far from its peers is out of line
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
        return kept | {"last": None if math.isinf(self._last) else self._last, "block": [list(b) for b in self._block]}

    def restore(self, state: Mapping[str, Any]) -> None:
        for name in _KEPT:
            setattr(self, name, list(state[name]) if isinstance(state[name], list) else state[name])
        self.groups = tuple(tuple(group) for group in state["groups"])
        self._last = -math.inf if state["last"] is None else float(state["last"])
        self._block = [list(poll) for poll in state["block"]]
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
            changed, self.silent, self._alert = self.silent != JUST_BACK, JUST_BACK, True
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
            or bool(self.common)
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
                if fan.absent >= AFTER_GAP:
                    fan.start_anew()
                    self._prepare()
                fan.absent, fan.distrust = 0, AFTER_GAP
            if fan.distrust:
                fan.distrust -= 1
                continue
            believed[i] = valid[i]
        return believed

    def _judge(self, at: float, speeds: dict[int, float]) -> None:
        low: list[int] = []
        hunting: list[int] = []
        odd: dict[int, float] = {}
        for i, speed in speeds.items():
            fan, apart = self.fans[i], self._apart(i, speeds)
            fan.turned = fan.turned or speed > 0
            by_peers = apart is not None and apart < math.log(OF_PEERS if self._known(fan) else OF_UNKNOWN_PEERS)
            still = speed == 0 and (fan.limit > 0 or any(speeds.values()))
            if still or by_peers or speed < OF_CRITICAL * fan.limit:
                alike = apart is None or apart >= math.log(HUNTING_OF_PEERS)
                slow = speed >= HUNTING_FROM * fan.limit > 0 and fan.usual < COLLAPSE * fan.limit
                (hunting if slow and alike and not still and not by_peers else low).append(i)
            elif apart is not None and abs(apart) > ODD and self._known(fan):
                odd[i] = apart
        still_now = [i for i in low if speeds[i] == 0 and not self.fans[i].limit]
        low = [i for i in low if not self._stands_by(i, at, speeds, still_now)]
        for i in speeds.keys() - set(still_now):
            self.fans[i].standby = False
        if len(low) > 1 and 2 * len(low) >= len(speeds):
            self.common.append(at)
            del self.common[1:-100]
            self.common_low = len(low)
            return
        self.common.clear()
        self._note(at, speeds, low, hunting, odd)

    def _note(
        self, at: float, speeds: dict[int, float], low: list[int], hunting: list[int], odd: dict[int, float]
    ) -> None:
        for i, speed in speeds.items():
            if i in low or i in hunting:
                self.fans[i].is_low(at, speed, i in hunting)
            elif not self.fans[i].standby:
                self.fans[i].is_well(at)
        if 2 * len(odd) < len(speeds):
            for i in odd:
                # Of two that disagree neither is known to be the one out of line: half a reading each.
                known = sum(each in speeds for group in self.groups if i in group for each in group)
                self.fans[i].is_odd(at, min(1.0, self._gap_s / GAP_MIN_S) * (1.0 if known > 2 else 0.5))
        if low or hunting:
            speeds = {i: speed for i, speed in speeds.items() if i not in low}
        self._block.append([speeds.get(i) for i in range(len(self.fans))])

    def _known(self, fan: Fan) -> bool:
        """Whether this fan's peers, and its proportion to them, are known well enough to hold it against them."""
        return self.learned_rows >= ROWS_KNOWN and fan.offset is not None

    def _apart(self, i: int, speeds: dict[int, float]) -> float | None:
        """ln of a fan's speed in proportion to what its turning peers say; None without peers, -9 if it stands still.

        A BMC reads its sensors one after the other and fans take seconds to follow: what the peers said a poll ago
        is as good as what they say now, and the nearer of the two counts.
        """
        if self.polls <= FIRST_POLLS:
            return None
        group = next(some for some in self.groups if i in some)
        others = [(math.exp(-(self.fans[j].offset or 0.0)), j) for j in group if j != i]
        now = median([speeds[j] * k for k, j in others if j in speeds] or [0.0])
        before = self._before
        past = median([value * k for k, j in others if j < len(before) and (value := before[j]) is not None] or [now])
        if now <= 0:
            return None
        if speeds[i] <= 0:
            return -9.0
        own = math.log(speeds[i]) - (self.fans[i].offset or 0.0)
        apart = [own - math.log(each) for each in (now, past) if each > 0]
        return 0.0 if min(apart) <= 0 <= max(apart) else min(apart, key=abs)

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
        levels = [_level(column) for column in zip(*block, strict=True)]
        self.rows.append(levels)
        for fan, level in zip(self.fans, levels, strict=True):
            if level is not None:
                fan.usual = (
                    math.exp(level)
                    if fan.fresh_rows == 0
                    else fan.usual + (math.exp(level) - fan.usual) / min(fan.fresh_rows + 1, ROWS_MAX)
                )
                fan.fresh_rows += 1
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
            if (fan.offset is None and fan.fresh_rows >= ROWS_GROUPED) or (fan.young and fan.fresh_rows >= ROWS_MAX):
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
        self._prepare()

    def _learn_first(self) -> None:
        """A first idea of the proportions, from the first polls alone."""
        rows = [[math.log(speed) if speed else None for speed in poll] for poll in self._block]
        for fan, offset in zip(self.fans, learn(rows, len(self.fans), group=False).offset, strict=True):
            fan.offset = offset
        self._prepare()

    def _learn_one(self, i: int) -> None:
        """The proportion of a fan that was put in meanwhile, to peers that are known: the group it correlates with."""
        fan = self.fans[i]
        known = learn(self.rows.latest(fan.fresh_rows), len(self.fans))
        fan.offset, fan.slack = known.offset[i], baseline.slack(known.spread[i])
        home = next(some for some in known.groups if i in some)
        kept = [tuple(j for j in group if j != i) for group in self.groups]
        best = max(kept, key=lambda group: len(set(group) & set(home)), default=())
        joined = best if set(best) & set(home) else ()
        self.groups = (*(g for g in kept if g and g != joined), tuple(sorted((*joined, i))))
        if joined:
            rows = self.rows.latest(fan.fresh_rows)
            apart = [
                own - median(some)
                for row in rows
                if (own := row[i]) is not None
                and (some := [v - (self.fans[j].offset or 0.0) for j in joined if (v := row[j]) is not None])
            ]
            fan.offset = median(apart) if apart else None
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


def _level(column: Sequence[float | None]) -> float | None:
    """ln of the mean speed in a block; None for a fan that stood still in all of it, or gave none."""
    some = [speed for speed in column if speed]
    return math.log(sum(some) / len(some)) if some else None
