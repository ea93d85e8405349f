"""The node's own description says that it is in maintenance, whose, and how far the journal was: for whoever looks at
Proxmox VE alone, and for a noout whose journal turns out to be an older one.

A help and nothing more: it is written down before it is asked for, no step knows of it, and what fails is a caution.
Nothing is noted before the first effect.
"""

from __future__ import annotations

from datetime import timedelta

from noout.codec import encode
from noout.domain.errors import NooutError, Refused
from noout.domain.journal import Kind
from noout.domain.maintenance import Maintenance, Observation
from noout.domain.note import Note, with_note, without_note
from noout.domain.reasons import Caution
from noout.ports import Description, Hypervisor
from noout.run.context import Context, Noted
from noout.run.record import Record

FACT = "note"
NOTE_S = 300.0  # so far it may lag behind, where nothing is taken or given back: moves are seen in the cluster itself
JUST_NOW = timedelta(seconds=2)
TRIES = 3  # somebody else may write at the same moment


async def mind_note(ctx: Context, record: Record, seen: Observation) -> None:
    """Write the note when the run has begun, anew at every step, and within a step so that it never lags far behind
    the journal: an older one is told by it."""
    m = record.m
    where = "undo" if m.aborting else m.step
    begun = bool(m.owned or m.pending or m.moved)
    there = (m.facts.get(FACT) or {}).get("at") == where
    if not begun or not where or (there and not _lags(ctx, m, seen)):
        return
    if not _online(m, seen) or not ctx.leads() or await ctx.frozen(m):
        return
    if there:
        event = (await ctx.journal.read(m.id, m.seq - 1))[0]
    else:
        event = await record.write(Kind.FACT, {"name": FACT, "value": {"at": where}})
    owner, reason = m.approved_by or m.opened_by, m.reason
    note = Note(m.id, event.seq, event.digest, where, owner, reason, ctx.link(m))
    await _try(ctx, record, note, seen)
    ctx.noted[m.id] = Noted(seen.at, record.m.seq, record.m.owned)


def _lags(ctx: Context, m: Maintenance, seen: Observation) -> bool:
    """At once where something was taken or given back since, else now and then."""
    known = ctx.noted.get(m.id)
    if known is None:
        return True
    late = seen.at - known.at >= timedelta(seconds=NOTE_S)
    return m.seq != known.seq and (late or m.owned != known.owned)


def announced(m: Maintenance) -> str:
    """What the question for the first effect says of the note beside it: in step mode nothing is done unasked."""
    if m.facts.get(FACT) is not None or m.owned or m.pending or m.moved:
        return ""
    name = m.node.name
    return f"; from then on the description of {name} says that it is in maintenance, until it no longer is"


async def take_away(ctx: Context, record: Record, seen: Observation) -> None:
    """The description as others have it. What cannot be taken away stays in the ledger, with its command."""
    if record.m.facts.get(FACT) is None or not _online(record.m, seen) or await ctx.frozen(record.m):
        return
    if await _try(ctx, record, None, seen):
        await record.write(Kind.FACT, {"name": FACT, "value": None})


async def put_note(hypervisor: Hypervisor, m: Maintenance, note: Note | None, read: Description | None = None) -> None:
    """Read, change our lines alone, write what was read nowhere else changed. Raises what the door raises.

    ``read``: a moment ago; who writes in between has it refused, and it is read again."""
    for left in reversed(range(TRIES)):
        there, read = read or await hypervisor.describe(m.node), None
        try:
            wanted = without_note(there.text) if note is None else with_note(there.text, note)
        except ValueError as error:
            raise Refused(str(error), remedy=f"shorten the notes of {m.node.name}") from None
        if wanted.rstrip("\n") == there.text.rstrip("\n"):
            return
        try:
            await hypervisor.set_description(m.node, wanted, there.digest)
        except Refused:
            if not left:
                raise
        else:
            return


async def _try(ctx: Context, record: Record, note: Note | None, seen: Observation) -> bool:
    m = record.m
    try:
        at, there = ctx.described.pop(m.id, (None, None))
        fresh = there if at is not None and seen.at - at < JUST_NOW and there and there.digest else None
        await put_note(ctx.site(m.node).hypervisor, m, note, fresh)
    except NooutError as error:
        what = "written into" if note is not None else "taken out of"
        said = f"noout's note could not be {what} the description of {m.node.name}: {error.message}"
        caution = Caution("node.note", str(m.node), said, error.remedy or "look at it in Proxmox VE (Notes)")
        if not any((each.code, each.subject) == (caution.code, caution.subject) for each in m.cautions):
            await record.write(Kind.FACT, {"name": "caution", "value": encode(caution)})
        return False
    return True


def _online(m: Maintenance, seen: Observation) -> bool:
    node = seen.cluster.node(m.node)
    return node is not None and node.online
