"""Plans as people see them in a terminal."""

from __future__ import annotations

from rich.console import Group, RenderableType

from noout.domain.maintenance import Plan


def plan_picture(plan: Plan) -> RenderableType:
    lines = [f"plan {plan.id} for {plan.node}: {len(plan.moves)} moves"]
    lines += [f"  {move.name} {move.kind.value} -> {move.target}" for move in plan.moves]
    lines += [f"  ! {each.message} -> {each.remedy}" for each in plan.blockers]
    return Group(*lines)
