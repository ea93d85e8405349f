"""Is this journal the latest there is? The descriptions of the nodes say how far a journal was when they were written.

A virtual machine brought back from a snapshot, a backup restored, a second noout made from a copy of the first: their
journal knows nothing of what was done since, and whoever acts by it does what was done already, or undoes it. So the
note is read before a run does anything in this process, and again and again while it goes on. And a process that sees
the database lose what it had read (a standby that took over without the newest events) says so at once.
"""

from __future__ import annotations

from datetime import timedelta

from noout.domain.cluster import NodeId
from noout.domain.errors import NooutError, Retryable
from noout.domain.maintenance import Maintenance, Observation
from noout.domain.note import Note, read_note
from noout.domain.reasons import Blocker
from noout.ports import Journal
from noout.run.context import Context

CODE = "journal.older"
LOOK_BACK_S = 60.0  # a note that was found in order is not read again for so long
PEOPLE = frozenset({"technician", "approval", "confirmation", "operator"})
UNREAD_S = 120.0  # so long a note is waited for that cannot be read now; it is a help, and no condition
REMEDY = "`noout status` compares the cluster with the journal; when no other noout acts on it: noout allow-all"


async def unknown_to(journal: Journal, note: Note, node: NodeId) -> str:
    """Why this journal is not the one, or not as far as the one, that the note was written from; "" when it is."""
    found = await journal.read(note.run, note.seq - 1)
    if found and (found[0].seq, found[0].digest) == (note.seq, note.digest):
        return ""
    # Not how far this journal is: it grows by being blocked, and the sentence would be another one each time.
    lacks = "event" if await journal.read(note.run) else "maintenance"
    return f"the description of {node} was written at event {note.seq} of {note.run}; this journal has no such {lacks}"


async def mind_age(ctx: Context, m: Maintenance, seen: Observation) -> Blocker | None:
    """What blocks the run while the node tells of more than its journal has. Raises Retryable while that cannot be
    read, for some time; whoever may not read it at all goes on without."""
    node = seen.cluster.node(m.node)
    if node is None or not node.online or _is_known(ctx, m, seen):
        return None
    first = ctx.unread.setdefault(m.id, seen.at)
    try:
        there = await ctx.site(m.node).hypervisor.describe(m.node)
        ctx.described[m.id] = seen.at, there
        note = read_note(there.text)
    except Retryable:
        if seen.at - first < timedelta(seconds=UNREAD_S):
            raise
        note = None
    except NooutError:
        note = None
    if note is not None and (why := await unknown_to(ctx.journal, note, m.node)) and await ctx.doubt(m, note, why):
        return Blocker(CODE, str(m.node), f"this journal is older than what was done: {why}", REMEDY)
    ctx.unread.pop(m.id, None)
    ctx.looked_back[m.id] = seen.at + timedelta(seconds=LOOK_BACK_S), m.seq
    return None


async def mind_lost(ctx: Context, m: Maintenance) -> None:
    """A database that took over lacks what this process had read: everything stands still until a person has looked.

    What was lost may have been an intent whose effect has happened, and the note may be older than it."""
    lost = ctx.known.lost.get(m.id)
    if lost is None:
        return
    why = f"event {lost.seq} of {m.id} was read here, and the database has it no longer"
    if await ctx.doubt(m, lost, why):
        await ctx.page(m, f"this journal is older than what was done: {why}")
    ctx.known.lost.pop(m.id, None)
    ctx.looked_back.pop(m.id, None)


def _is_known(ctx: Context, m: Maintenance, seen: Observation) -> bool:
    """Looked at a moment ago; or nothing was written since, and only somebody's word, which is, will set it going."""
    until, seq = ctx.looked_back.get(m.id, (None, 0))
    return until is not None and (seen.at < until or (m.seq == seq and m.needs in PEOPLE))
