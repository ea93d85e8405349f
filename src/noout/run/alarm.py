"""A second fault while the node is away: it becomes a fact of the journal, people are paged, others are frozen."""

from __future__ import annotations

from noout.codec import encode
from noout.domain.errors import StoreBroken
from noout.domain.journal import Kind, MessageKind
from noout.domain.maintenance import Observation
from noout.domain.reasons import Blocker, Caution
from noout.run.context import Context
from noout.run.invariants import violations
from noout.run.record import Record
from noout.steps import checks
from noout.steps.exposure import SURE_S, baseline, exposure, given_up, second_fault
from noout.steps.neighbours import AROUND, WRONG_SERVER, at_the_rack, gone, names
from noout.steps.step import owns

# Blockers that cannot wait until somebody looks.
PAGED = frozenset({"hold.limit", "invariant", "journal.older", "wait.world", "effect.no-end"})


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


async def mind_neighbours(ctx: Context, record: Record, seen: Observation) -> None:
    """Another server goes away while hands are at work on this one: it is paged and written down at once, for it may
    be the wrong one that they opened; what is back, or was not their doing, is taken from the list."""
    m = record.m
    told: list[str] = list(m.facts.get(WRONG_SERVER) or ())
    if not at_the_rack(m):
        if told:
            await record.write(Kind.FACT, {"name": WRONG_SERVER, "value": []})
        return
    stand = await ctx.neighbours(m, seen)
    if AROUND not in m.facts:
        await record.write(Kind.FACT, {"name": AROUND, "value": sorted(each for each, up in stand.items() if up)})
        return
    away = gone(m, stand)
    # What nobody can say now stays as it was said last.
    away = sorted({*away, *(each for each in told if each not in stand)})
    if away == told:
        return
    if new := [each for each in away if each not in told]:
        others = names(new, m.node.cluster)
        await ctx.page(m, f"{others} went away while a technician works on {m.node}: WRONG SERVER? Call them now")
    await record.write(Kind.FACT, {"name": WRONG_SERVER, "value": away})


async def mind_invariants(record: Record, seen: Observation) -> tuple[Blocker, ...]:
    """What must never be and is: nothing is done while it lasts. Seen twice in a row it pauses the run, so that a
    person looks before it goes on; but not one that has given up redundancy, whose way back must not take longer."""
    m = record.m
    by_itself = given_up(m)
    then = "the run goes on when it is mended" if by_itself else f"when it is mended: noout resume {m.id}"
    remedy = f"look at once; {then}"
    found = tuple(Blocker("invariant", str(m.node), each, remedy) for each in violations(m, seen))
    again = any(each.code == "invariant" for each in m.blockers)
    if found and again and not (m.paused or by_itself):
        told = {"reason": found[0].message}
        key = f"noout/invariant/{m.seq}"
        said = {"key": key, "kind": MessageKind.PAUSE.value, "at": seen.at.isoformat(), "data": told}
        await record.write(Kind.MESSAGE, said)
    return found


async def say_unkept(ctx: Context, maintenance: str, error: StoreBroken) -> None:
    """Wake somebody once for each time that the journal can no longer be written, while that can still be told."""
    m = ctx.known.states.get(maintenance)
    ctx.known.forget(maintenance)
    if m is not None and maintenance not in ctx.unkept:
        ctx.unkept.add(maintenance)
        await ctx.page(m, unkept(maintenance, error))


def unkept(maintenance: str, error: StoreBroken) -> str:
    return f"nothing new is done for {maintenance}: {error}"


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
