"""One cluster, every planner: what it would do, carried out by the same simulator, judged by the same validator."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

from benchmarks.plan.bound import best_s, leaving_bytes, once_s, sum_forbids_spare, survives
from benchmarks.plan.executors import Carried
from benchmarks.plan.instances import GIB, RESERVE_GIB, Instance, make
from benchmarks.plan.others import Others
from benchmarks.plan.precopy import MIB, TEN, TWENTY_FIVE_SSH, Executor, Network, Player, totals
from benchmarks.plan.rivals import SIMPLE, Proposal
from benchmarks.plan.validator import Verdict, judge
from noout.domain.cluster import ClusterState
from noout.domain.maintenance import Plan
from noout.plan.plan import make_plan
from noout.plan.policy import Policy

NOOUT, PROXLB, PROXLB_5, SOLVER = "noout", "ProxLB", "ProxLB (parallel 5)", "proxlb-solver"
BANDS: dict[str, tuple[float, ...]] = {  # wanted fill of the instances of each band
    "70-85 %": (0.72, 0.77, 0.82),
    "85-95 %": (0.86, 0.89, 0.92, 0.94),
    "95-99 %": (0.955, 0.965, 0.975, 0.985),
}
NETWORKS: tuple[Network, ...] = (TEN, TWENTY_FIVE_SSH)
DIRTY: dict[str, float] = {"as drawn": 1.0, "ten times": 10.0}


@dataclass(frozen=True, slots=True)
class Row:
    """What one planner did with one instance. Sizes in GiB, times in seconds."""

    planner: str
    instance: str
    band: str
    hosts: int
    mix: str
    refused: bool
    why: str
    ram_safe: bool
    all_left: bool
    sound: bool  # RAM, rules, everybody left
    moved_gib: float
    leaving_gib: float
    evacuation_s: float
    spare: bool | None  # N+1 kept; None: arithmetic forbids it
    plan_s: float

    @property
    def aside_gib(self) -> float:
        return self.moved_gib - self.leaving_gib


@dataclass(frozen=True, slots=True)
class Played:
    """One evacuation on one network. ``once_s``/``best_s``: the bounds of ``bound``."""

    planner: str
    instance: str
    network: str
    dirty: str
    sound: bool
    seconds: float
    once_s: float
    best_s: float
    single_s: float
    single_to_alone: float
    throttled: float
    blackout_s: float


def policy_for(network: Network) -> Policy:
    """The network is noout's alone here, as it is the others'; RAM as the instances say."""
    return Policy(
        os_reserve_bytes=RESERVE_GIB * GIB,
        nic_bytes_s=network.nic_bytes_s,
        migration_bytes_s=400 * MIB,
        encrypted=network.encrypted,
        shared=False,
    )


def planned(instance: Instance, network: Network = TEN) -> tuple[Plan, float]:
    """noout's plan and the CPU seconds it took, the way home, N+1 and the lint included."""
    began = time.process_time()
    plan = make_plan(instance.state, None, instance.leaving, now=instance.state.at, policy=policy_for(network))
    return plan, time.process_time() - began


def band_of(index: int, band: str) -> float:
    fills = BANDS[band]
    return fills[index % len(fills)]


def compared(seed: int, hosts: int, mix: str, band: str, others: Others | None, solver_s: float = 0.0) -> list[Row]:
    """All planners on the instance of this seed; the solver only if it is given time."""
    instance = make(seed, hosts, mix, band_of(seed, band))
    plan, seconds = planned(instance)
    mine: Executor = Carried(plan)
    why = "; ".join(blocker.message for blocker in plan.blockers)
    proposals: list[tuple[str, Proposal, Executor]] = [
        (NOOUT, Proposal((), 0, 0.0, not plan.feasible, why, seconds), mine)
    ]
    for name, propose in SIMPLE.items():
        began = time.process_time()
        proposal = propose(instance)
        proposal = replace(proposal, seconds=time.process_time() - began)
        proposals.append((name, proposal, proposal.executor()))
    for name, proposal in _asked(instance, others, solver_s).items():
        proposals.append((name, proposal, proposal.executor()))
    player = Player(instance.state, TEN)
    no_spare = sum_forbids_spare(instance.state, instance.limits, instance.leaving)
    return [_row(name, instance, band, proposal, executor, player, no_spare) for name, proposal, executor in proposals]


def _asked(instance: Instance, others: Others | None, solver_s: float) -> Mapping[str, Proposal]:
    if others is None:
        return {}
    one = others.proxlb(instance, 1)
    found = {PROXLB: one, PROXLB_5: replace(one, parallel=5)}
    if solver_s:
        found[SOLVER] = others.solver(instance, 5, solver_s)
    return found


def _row(
    name: str,
    instance: Instance,
    band: str,
    proposal: Proposal,
    executor: Executor,
    player: Player,
    no_spare: bool,
) -> Row:
    """A planner that knows no way carries nothing out."""
    felt = [] if proposal.refused else player.play(executor)
    trace = [each.executed for each in felt]
    verdict: Verdict = judge(instance.state, instance.limits, instance.leaving, trace)
    size = {guest.id: guest.ram_bytes for guest in instance.state.guests}
    at = {guest.id: guest.node for guest in instance.state.guests} | {
        each.guest: each.target for each in sorted(trace, key=lambda each: each.end_s)
    }
    spare = None
    if not no_spare:
        spare = verdict.sound and survives(instance.state, instance.limits, instance.leaving, at)
    return Row(
        planner=name,
        instance=instance.name,
        band=band,
        hosts=len(instance.state.nodes),
        mix=instance.mix,
        refused=proposal.refused,
        why=proposal.why,
        ram_safe=verdict.ram_safe and not verdict.left,
        all_left=not verdict.left,
        sound=verdict.sound,
        moved_gib=sum(size[each.guest] for each in trace) / GIB,
        leaving_gib=leaving_bytes(instance.state, instance.leaving) / GIB,
        evacuation_s=totals(felt)["seconds"],
        spare=spare,
        plan_s=proposal.seconds,
    )


def rewritten(state: ClusterState, times: float) -> ClusterState:
    """The same cluster with every guest rewriting so many times as much."""
    guests = (replace(guest, dirty_bytes_s=int((guest.dirty_bytes_s or 0) * times)) for guest in state.guests)
    return replace(state, guests=tuple(guests))


def played(seed: int, hosts: int, mix: str, others: Others | None) -> list[Played]:
    """One instance of the middle band on every network, with every rate of rewriting."""
    drawn = make(seed, hosts, mix, band_of(seed, "85-95 %"))
    asked = {name: p for name, p in _asked(drawn, others, 0.0).items()}
    asked |= {name: propose(drawn) for name, propose in SIMPLE.items() if name != "PVE HA (basic)"}
    found: list[Played] = []
    for network in NETWORKS:
        for label, times in DIRTY.items():
            instance = replace(drawn, state=rewritten(drawn.state, times))
            plan, _ = planned(instance, network)
            player = Player(instance.state, network)
            executors: dict[str, Executor] = {NOOUT: Carried(plan)} if plan.feasible else {}
            executors |= {name: each.executor() for name, each in asked.items() if not each.refused}
            bounds = (once_s(instance.state, instance.leaving, network), best_s(player, instance.leaving))
            for name, executor in executors.items():
                felt = player.play(executor)
                verdict = judge(instance.state, instance.limits, instance.leaving, [each.executed for each in felt])
                found.append(
                    Played(name, instance.name, network.name, label, verdict.sound, once_s=bounds[0], best_s=bounds[1],
                           **totals(felt))
                )  # fmt: skip
    return found
