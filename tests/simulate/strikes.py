"""Which trouble strikes when: each history aims one trouble at one kind of action, in turn, and adds some at random.

The pairs are gone through in a fixed order, so that some hundreds of histories have met each pair that can happen.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from tests.simulate.troubles import TROUBLES

if TYPE_CHECKING:
    from tests.simulate.stage import Told

# Every kind of action that these clusters give occasion for.
VERBS = (
    "migrate", "ha-migrate", "cancel", "shutdown-guest", "onboot-off", "cordon", "led-on",
    "fail-mgr", "set-noout", "stop-mon", "stop-osd", "set-noup", "shutdown-node", "force-off", "power-on",
    "start-mon", "unset-noup", "start-osd", "unset-noout", "uncordon", "onboot-back", "start-guest", "led-off",
)  # fmt: skip
# What must go wrong first, and during which action, for an action to be needed at all.
LEADS_TO = {"cancel": ("migration-stalls", "ha-migrate"), "force-off": ("node-hangs", "shutdown-node")}
# Troubles that leave something behind, and the last moment at which they can begin, where an action comes after it.
BEGINS_AT = {
    ("operator-clears-our-flag", verb): "unset-noup" for verb in ("uncordon", "led-off", "onboot-back", "start-guest")
}
# Seconds after the action was asked for, where before them there is nothing to strike.
MOMENT_S = {
    ("operator-clears-our-flag", "set-noout"): 0.5,
    ("target-dies", "migrate"): 3.0,
    ("target-dies", "ha-migrate"): 20.0,
}
_BEFORE_THE_HOLD = ("migrate", "ha-migrate", "cancel", "shutdown-guest", "onboot-off", "cordon", "led-on", "fail-mgr")
# What cannot befall an action, whatever one does, and why.
IMPOSSIBLE: dict[tuple[str, str], str] = {
    **{("operator-clears-our-flag", verb): "none of ours is set then" for verb in _BEFORE_THE_HOLD},
    **{("the-node-dies", verb): "it is down already" for verb in ("force-off", "power-on")},
    **{("target-dies", verb): "no guest is on its way to another node then"
       for verb in VERBS[VERBS.index("fail-mgr"):]},
}  # fmt: skip
FAMILY = 1 + len(VERBS)  # histories that begin alike: one that nothing befalls, and one for each kind of action
STEP = 11  # neighbours in a family differ in both halves of the pair


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
    nth = rng.choice((1, 1, 1, 2, 3)) if verb in ("migrate", "ha-migrate", "stop-osd", "start-osd") else 1
    lasts_s = 900.0 if pair in BEGINS_AT else _lasts(rng)
    delay_s = rng.choice((0.0, 0.0, 0.0, 1.0)) if pair not in MOMENT_S else MOMENT_S[pair]
    chosen = [Strike(name, BEGINS_AT.get(pair, verb), nth, delay_s, lasts_s, aimed=True)]
    if verb in LEADS_TO:
        chosen.append(Strike(*LEADS_TO[verb], lasts_s=900.0))
    return chosen + [_later(rng) for _ in range(rng.choice((0, 0, 1, 1, 2, 3)))]


def _later(rng: Random) -> Strike:
    by_intent = rng.random() < 0.75
    return Strike(
        rng.choice(sorted(TROUBLES)),
        nth=rng.randint(0, 15) if by_intent else 0,
        delay_s=rng.choice((0.0, 0.0, 1.0, 5.0, 20.0)) if by_intent else rng.uniform(0, 600),
        lasts_s=_lasts(rng),
    )


def _lasts(rng: Random) -> float:
    return rng.choice((3.0, 20.0, 90.0, 300.0, 900.0))


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
        why: dict[tuple[str, str], list[str]] = {}
        for (name, verb), reason in IMPOSSIBLE.items():
            why.setdefault((name, reason), []).append(verb)
        lines += [f"  {name} cannot be during {', '.join(verbs)}: {reason}" for (name, reason), verbs in why.items()]
        by_name: dict[str, list[str]] = {}
        for name, verb in unseen:
            by_name.setdefault(name, []).append(verb + ("" if (name, verb) in impossible else " (not tried)"))
        lines += [f"  never {name} during: {', '.join(verbs)}" for name, verbs in by_name.items()]
        silent = [name for name in sorted(TROUBLES) if not self.troubles[name]]
        silent += [verb for verb in VERBS if not self.actions[verb]]
        return [*lines, f"never seen at all: {', '.join(silent) or 'none'}"]


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{name} {n}" for name, n in sorted(counter.items()))
