"""Which trouble strikes when: each history aims one trouble at one kind of action, in turn, and adds some at random.

The pairs are gone through in a fixed order, so that some hundreds of histories have met each pair that can happen.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from tests.simulate.troubles import TROUBLES, WAYS

if TYPE_CHECKING:
    from tests.simulate.stage import Told

# Every kind of action there is, in the order of the story.
VERBS = (
    "rebalancer-off", "failback-off", "eject", "migrate", "ha-migrate", "cancel", "cordon", "add-rule", "led-on",
    "fail-mgr", "fail-mds", "shutdown-guest", "onboot-off", "set-noout", "set-cluster-noout", "stop-mon", "stop-osd",
    "set-noup", "shutdown-node", "force-off", "power-on", "start-mon", "unset-noup", "start-osd", "unset-noout",
    "unset-cluster-noout", "uncordon", "delete-rule", "onboot-back", "start-guest", "insert", "failback-back",
    "rebalancer-back", "led-off",
)  # fmt: skip
NOT_AIMED_AT = {"leave-ejected": "it asks nothing of the world: noout writes down that a drive stays empty"}
# What must go wrong first, and during which action, for an action to be needed at all.
LEADS_TO = {"cancel": ("migration-stalls", "ha-migrate"), "force-off": ("node-hangs", "shutdown-node")}
_AFTER_THE_RELEASE = (
    "uncordon",
    "delete-rule",
    "onboot-back",
    "start-guest",
    "insert",
    "failback-back",
    "rebalancer-back",
    "led-off",
)
# Troubles that leave something behind, and the last moment at which they can begin, where an action comes after it.
_BACK_AT_ONCE = ("insert", "failback-back", "rebalancer-back")
_ON_THE_WAY_HOME = ("migrate", "ha-migrate", "cancel")
BEGINS_AT = {
    **{("operator-clears-our-flag", verb): "unset-noup" for verb in (*_AFTER_THE_RELEASE, *_ON_THE_WAY_HOME)},
    ("the-node-dies", "power-on"): "stop-osd",
    ("operator-clears-our-flag", "unset-cluster-noout"): "start-osd",
    ("operator-clears-our-flag", "delete-rule"): "start-osd",
    **{("target-dies", verb): "ha-migrate" for verb in ("eject", *_BACK_AT_ONCE)},
}
# What has to happen beside it for the action to come while it lasts.
WITH = {
    **{("target-dies", verb): ("operator-aborts", "ha-migrate") for verb in _BACK_AT_ONCE},
    ("operator-clears-our-flag", "cancel"): ("migration-stalls", "start-osd"),
}
# Seconds after the action was asked for, where before them there is nothing to strike.
MOMENT_S = {
    ("operator-clears-our-flag", "set-noout"): 0.5,
    ("operator-clears-our-flag", "set-cluster-noout"): 0.5,
    ("target-dies", "migrate"): 3.0,
    **{("target-dies", verb): 20.0 for verb in ("ha-migrate", "eject", *_BACK_AT_ONCE)},
}
_BEFORE_THE_HOLD = tuple(verb for verb in VERBS[: VERBS.index("set-noout")] if verb not in _ON_THE_WAY_HOME)
_AFTER_THE_LAST_MOVE = tuple(verb for verb in VERBS[VERBS.index("cordon") :] if verb not in _BACK_AT_ONCE)
# What cannot befall an action, whatever one does, and why.
IMPOSSIBLE: dict[tuple[str, str], str] = {
    **{("operator-clears-our-flag", verb): "none of ours is set then" for verb in _BEFORE_THE_HOLD},
    ("the-node-dies", "force-off"): "it is down already",
    **{("target-dies", verb): "no guest is on its way yet" for verb in ("rebalancer-off", "failback-off")},
    **{("target-dies", verb): "the run waits while another of four nodes is down" for verb in _AFTER_THE_LAST_MOVE},
}  # fmt: skip
# How the technician and the operator of a family are, whatever befalls its histories.
MANNERS = ("prompt", "late", "twice", "wrong-server", "never", "stays-away")
MOODS = ("calm", "pauses", "aborts", "aborts-late")
PEOPLE = (*(f"a technician who is {each}" for each in MANNERS), *(f"an operator who is {each}" for each in MOODS))
FOR_GOOD_S = 1e6  # until the operator gives up
FAMILY = 1 + len(VERBS)  # histories that begin alike: one that nothing befalls, and one for each kind of action
STEP = 5  # neighbours in a family differ in both halves of the pair


@dataclass
class Strike:
    """A trouble that waits for its moment: some seconds after the n-th action of a kind ("": of any)."""

    name: str
    verb: str = ""
    nth: int = 1  # of any kind: counted from the moment at which the history parts from its family
    delay_s: float = 0.0
    lasts_s: float = 20.0
    aimed: bool = False

    def waits_for(self, verb: str, of_kind: int, of_any: int) -> bool:
        if self.aimed:  # not possible the first time? then the next
            return verb == self.verb and of_kind >= self.nth
        return self.nth == (of_kind if self.verb else of_any) and self.verb in ("", verb)


def pairs() -> list[tuple[str, str]]:
    """All that can be."""
    return [(name, verb) for name in sorted(TROUBLES) for verb in VERBS if (name, verb) not in IMPOSSIBLE]


def aim(seed: int) -> tuple[str, str] | None:
    """The pair that this history is to show; None for the one of each family that nothing is aimed at."""
    family, place = divmod(seed, FAMILY)
    if place == 0:
        return None
    names, turn = sorted(TROUBLES), family + STEP * place
    while (names[turn % len(names)], VERBS[place - 1]) in IMPOSSIBLE:
        turn += 1
    return names[turn % len(names)], VERBS[place - 1]


def strikes(seed: int) -> list[Strike]:
    """Nothing befalls it before the first that is aimed; others may come with it or after it."""
    rng = Random(f"strikes {seed}")
    pair = aim(seed)
    if pair is None:
        return []
    name, verb = pair
    nth = rng.choice((1, 1, 1, 2)) if verb in ("migrate", "stop-osd", "start-osd") and pair not in BEGINS_AT else 1
    lasts_s = 900.0 if pair in BEGINS_AT else _lasts(rng, name)
    delay_s = rng.choice((0.0, 0.0, 0.0, 1.0)) if pair not in MOMENT_S else MOMENT_S[pair]
    chosen = [Strike(name, BEGINS_AT.get(pair, verb), nth, delay_s, lasts_s, aimed=True)]
    if verb in LEADS_TO:
        chosen.append(Strike(*LEADS_TO[verb], lasts_s=900.0))
    if pair in WITH:
        chosen.append(Strike(*WITH[pair], delay_s=40.0, lasts_s=900.0))
    return chosen + [_later(rng) for _ in range(rng.choice((0, 0, 1, 1, 2, 3)))]


def _later(rng: Random) -> Strike:
    by_intent, name = rng.random() < 0.75, rng.choice(sorted(TROUBLES))
    return Strike(
        name,
        nth=rng.randint(0, 15) if by_intent else 0,
        delay_s=rng.choice((0.0, 0.0, 1.0, 5.0, 20.0)) if by_intent else rng.uniform(0, 600),
        lasts_s=_lasts(rng, name),
    )


def _lasts(rng: Random, name: str) -> float:
    lasts_s = rng.choice((3.0, 20.0, 90.0, 300.0, 900.0))
    return FOR_GOOD_S if name == "technician-never" else lasts_s


@dataclass
class Coverage:
    """What the histories have shown so far."""

    troubles: Counter[str]
    actions: Counter[str]
    pairs: Counter[tuple[str, str]]
    missed: Counter[tuple[str, str]]  # aimed at, and the action was there, but the trouble was not possible then

    def add(self, told: Told) -> None:
        self.troubles += told.troubles
        self.actions += told.actions
        self.pairs += told.pairs
        self.missed += told.missed

    def lines(self) -> list[str]:
        every = pairs()
        unseen = [pair for pair in every if not self.pairs[pair]]
        impossible = [pair for pair in unseen if self.missed[pair]]
        lines = [
            "troubles: " + _counts(self.troubles),
            "actions: " + _counts(self.actions),
            f"pairs of trouble and action: {len(every) - len(unseen)} of {len(every)} seen, the rarest "
            f"{min((self.pairs[each] for each in every if self.pairs[each]), default=0)} times; "
            f"{len(impossible)} were tried, and not possible at that moment "
            f"({sum(self.missed[each] for each in impossible)} times)",
        ]
        if seen := [f"{name} during {verb}" for name, verb in IMPOSSIBLE if self.pairs[name, verb]]:
            lines.append(f"  thought to be impossible, and seen: {', '.join(seen)}")
        lines += [f"  {name} cannot be during {verbs}: {reason}" for name, verbs, reason in _impossible()]
        by_name: dict[str, list[str]] = {}
        for name, verb in unseen:
            by_name.setdefault(name, []).append(verb + ("" if (name, verb) in impossible else " (not tried)"))
        lines += [f"  never {name} during: {', '.join(verbs)}" for name, verbs in by_name.items()]
        silent = [name for name in sorted(TROUBLES) if not self.troubles[name]]
        ways = [f"{name}: {way}" for name, ways in sorted(WAYS.items()) for way in ways]
        silent += [each for each in [*ways, *PEOPLE] if not self.troubles[each]]
        silent += [verb for verb in VERBS if not self.actions[verb]]
        return [*lines, f"never seen at all: {', '.join(silent) or 'none'}"]


def _impossible() -> list[tuple[str, str, str]]:
    """A trouble, the actions that it cannot befall, and why."""
    why: dict[tuple[str, str], list[str]] = {}
    for (name, verb), reason in IMPOSSIBLE.items():
        why.setdefault((name, reason), []).append(verb)
    return [(name, ", ".join(verbs), reason) for (name, reason), verbs in why.items()]


def impossible_rows() -> list[str]:
    """The same as rows of a table in Markdown."""
    return [f"| {name} | {verbs} | {reason} |" for name, verbs, reason in _impossible()]


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{name} {n}" for name, n in sorted(counter.items()))
