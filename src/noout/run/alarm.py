"""A second fault while the node is away: it becomes a fact of the journal, people are paged, others are frozen."""

from __future__ import annotations

from noout.codec import encode
from noout.domain.journal import Kind
from noout.domain.maintenance import Observation
from noout.domain.reasons import Caution
from noout.run.context import Context
from noout.run.record import Record
from noout.steps import checks
from noout.steps.exposure import SURE_S, baseline, exposure, given_up, second_fault
from noout.steps.step import owns

# Blockers that cannot wait until somebody looks.
PAGED = frozenset({"hold.limit", "invariant", "wait.world", "effect.no-end"})


async def mind_exposure(ctx: Context, record: Record, seen: Observation) -> None:
    """Write down what is at stake while redundancy is given up, and that a second fault has come once it is sure."""
    if "baseline" not in record.m.facts and record.m.step in ("hold-data", "repair"):
        await record.write(Kind.FACT, {"name": "baseline", "value": baseline(record.m, seen)})
    await _mind_inventory(ctx, record, seen)
    m = record.m
    if not given_up(m):
        return
    if (said := exposure(m, seen)) != m.facts.get("exposure"):
        await record.write(Kind.FACT, {"name": "exposure", "value": said})
    await _mind_flag(ctx, record, seen)
    m = record.m
    if m.urgent:
        return
    why, suspected = second_fault(m, seen), m.facts.get("suspected") or {}
    if not why:
        if suspected:
            await record.write(Kind.FACT, {"name": "suspected", "value": None})
    elif not suspected:
        await record.write(Kind.FACT, {"name": "suspected", "value": {"why": why, "since": seen.at.timestamp()}})
    elif seen.at.timestamp() - suspected["since"] >= SURE_S:
        await ctx.page(m, f"{m.node} is away and {why}: close up now")  # first: rather twice than never
        await record.write(Kind.FACT, {"name": "second-fault", "value": why})


async def _mind_flag(ctx: Context, record: Record, seen: Observation) -> None:
    """Somebody cleared our noout while our OSDs are down: the step sets it again; that it happened is paged once."""
    m = record.m
    ours = (owns(m, "noout") or owns(m, "cluster-noout")) and not m.healing
    gone = ours and seen.ceph is not None and not checks.is_held(m, seen)
    if gone == bool(m.facts.get("unheld")):
        return
    if gone:
        await ctx.page(m, f"somebody cleared the noout of {m.node.name} while its OSDs are down: it is set again")
    await record.write(Kind.FACT, {"name": "unheld", "value": gone})


async def _mind_inventory(ctx: Context, record: Record, seen: Observation) -> None:
    """Write down what the node says of itself while it is still up: what comes back is compared with it."""
    m, node = record.m, seen.cluster.node(record.m.node)
    up = node is not None and node.online and m.node_off_at is None
    if ctx.inventory is None or "inventory" in m.facts or m.step != "hold-data" or m.aborting or not up:
        return
    told = await ctx.inventory(m, seen)
    if not told:
        said = f"{m.node.name} said nothing of its links, disks and versions: they cannot be compared when it is back"
        caution = Caution("comeback.unread", str(m.node), said)
        await record.write(Kind.FACT, {"name": "caution", "value": encode(caution)})
    await record.write(Kind.FACT, {"name": "inventory", "value": told})
