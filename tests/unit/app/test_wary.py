"""While a node has a proposal that nobody declined, every plan of another node spares it, and says so."""

from __future__ import annotations

from collections import Counter

from noout.app.carrying import context_of
from noout.app.notice import proposals_of, ready_plan
from noout.app.planning import plan_now
from noout.app.rolling import roll_now
from noout.domain.cluster import NodeId
from noout.domain.hardware import Condition, SensorKind, Verdict
from noout.domain.maintenance import Plan
from noout.watch.policy import propose
from tests.sim.play import installation, settings_of
from tests.support.labsite import lab_site

NODE = NodeId("ams1", "pve3")
SAID = {"plan.spares-ill", "plan.onto-ill"}


def onto(plan: Plan, node: NodeId) -> int:
    return sum(move.target == node for move in plan.moves)


def said(plan: Plan) -> list[tuple[str, str]]:
    return [(caution.code, caution.subject) for caution in plan.cautions if caution.code in SAID]


async def test_plan_plan_anew_and_turn_by_turn_spare_it_until_it_is_declined() -> None:
    lab = lab_site(wall=lambda: 0.0)
    found, _ = installation(lab, settings_of(lab))
    before = await plan_now(found, NODE)
    ill = Counter(move.target for move in before.moves if move.target).most_common(1)[0][0]
    assert not said(before)

    proposals = proposals_of(found)
    proposals.ready = None
    why = "FAN2 flaps."
    fault = propose(ill, [Verdict(ill, "FAN2", Condition.FLAPPING, lab.clock.now(), why, kind=SensorKind.FAN)])
    assert fault is not None and await proposals.consider(fault) is not None

    plan = await plan_now(found, NODE)
    assert plan.feasible and onto(plan, ill) < onto(before, ill)
    code = "plan.onto-ill" if onto(plan, ill) else "plan.spares-ill"
    assert said(plan) == [(code, str(ill))]
    cluster, ceph = await found.hypervisor(NODE).observe(), await found.cephs["ams1"].observe()
    anew = await context_of(found, {}).make_plan(cluster, ceph, NODE, lab.clock.now(), None, {})
    assert onto(anew, ill) == onto(plan, ill) and said(anew) == said(plan)
    rolling = await roll_now(found, "ams1")
    assert any(said(stage.plan) for stage in rolling.stages)
    assert (await ready_plan(found, ill)).feasible, "its own plan is not in its own way"

    await proposals.decline(ill, "a healthy slow fan", "operator:anna")
    declined = await plan_now(found, NODE)
    assert onto(declined, ill) == onto(before, ill) and not said(declined)
