"""Everything that noout owns on its clusters, from the journal, held against what the clusters say now.

What is set with no live maintenance, and what somebody took away under a live one, is an oddity: it is told once, with
the one command that puts it right. Only what this journal says is ours, of a maintenance that is over, is released
from here; a run releases its own, and what is others' is theirs.
"""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from noout.app.byhand import release_action
from noout.app.compose import Installation
from noout.app.standstill import standstill
from noout.domain.ceph import CephState
from noout.domain.cluster import Affinity, ClusterState, NodeId
from noout.domain.errors import NooutError, Refused, UnknownOutcome
from noout.domain.hardware import HardwareState
from noout.domain.journal import Event
from noout.domain.maintenance import Action, Json, Maintenance, Mode, Observation, Pending
from noout.domain.note import read_note, without_note
from noout.domain.ownership import Hold, Holding, Line, Now, Oddity
from noout.run.holdings import NOTE, Holdings
from noout.run.noting import put_note
from noout.steps.effects import EFFECTS
from noout.steps.site import Site
from noout.steps.step import Failed, Verified

STREAM = "ledger"  # what was released from here, and what was told
RELEASING, RELEASED, KEPT = "release.intended", "release.verified", "release.failed"
HOST_FLAGS = ("noout", "noup")
OUR_RULES = "noout-"
# What stays set until noout itself takes it back. (Daemons come up with their node, a LED goes out by itself.)
LASTING = frozenset(
    {
        "noout", "noup", "cluster-noout", "maintenance-mode", "ha-rule", "failback", "onboot", "rebalancer", "ejected",
    }
)  # fmt: skip
SETTLED_S = 60.0  # a setting may take some time until every node says it
LOOK_S = 2.0
STEP = "by-hand"


@dataclass(frozen=True, slots=True)
class Ledger:
    """``unread``: clusters that could not be asked, with the reason."""

    lines: tuple[Line, ...]
    oddities: tuple[Oddity, ...]
    unread: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Books:
    """The journal's side, each stream read only from where it was left off. Scratch memory, never a truth."""

    found: Installation
    known: dict[str, Holdings] = field(default_factory=dict)
    own: list[Event] = field(default_factory=list)

    async def read(self) -> None:
        journal = self.found.journal
        self.own += await journal.read(STREAM, self.own[-1].seq if self.own else 0)
        for stream in await journal.streams():
            if (await self.found.known.find(stream)) is None:
                continue
            books = self.known.setdefault(stream, Holdings())
            books.feed(await journal.read(stream, books.seq))

    def latest(self) -> dict[tuple[str, str, str], tuple[Holding, bool]]:
        """By place, the holding that counts and whether its maintenance is open: of several, a live one, else the
        last. What was given back is not in it."""
        found: dict[tuple[str, str, str], tuple[Holding, bool]] = {}
        for books in self.known.values():
            for each in books.all:
                rank = books.live, each.since
                other = found.get(each.place)
                if other is None or rank > (other[1], other[0].since):
                    found[each.place] = each, books.live
        released = {_place(event): event.at for event in self.own if event.kind == RELEASED}
        return {
            place: (each, live)
            for place, (each, live) in found.items()
            if each.hold is not Hold.RELEASED and (live or released.get(place, each.since) <= each.since)
        }


def _place(event: Event) -> tuple[str, str, str]:
    return event.data["cluster"], event.data["kind"], event.data["subject"]


# --- what the cluster says ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class View:
    """One look at one cluster. ``boards``: the BMCs of the nodes whose LED is ours. ``notes``: the descriptions of the
    nodes that told theirs."""

    cluster: ClusterState
    ceph: CephState | None
    boards: Mapping[NodeId, HardwareState]
    notes: Mapping[NodeId, str] = field(default_factory=dict)

    def of(self, node: NodeId) -> Observation:
        return Observation(self.cluster.at, self.cluster, self.ceph, self.boards.get(node))


async def look(found: Installation, cluster: str, holdings: Sequence[Holding]) -> View:
    ceph = found.cephs.get(cluster)
    lit = {each.node for each in holdings if each.kind == "led" and each.node in found.bmcs}
    boards = {node: await found.bmcs[node].observe(log=False) for node in sorted(lit)}
    state = await found.hypervisors[cluster].observe()
    return View(state, await ceph.observe() if ceph is not None else None, boards, await notes_of(found, state))


async def notes_of(found: Installation, state: ClusterState) -> dict[NodeId, str]:
    """Of the nodes that are up; one that does not tell its own is left out."""
    online = [node.id for node in state.nodes if node.online]

    async def told(node: NodeId) -> str | None:
        try:
            return (await found.hypervisor(node).describe(node)).text
        except NooutError:
            return None

    texts = await asyncio.gather(*(told(node) for node in online))
    return {node: text for node, text in zip(online, texts, strict=True) if text is not None}


def now(holding: Holding, view: View) -> Now:
    """By the same eyes with which a run verifies its release: what they do not see given back is set."""
    if holding.kind == NOTE:
        text = view.notes.get(holding.node)
        return Now.UNKNOWN if text is None else Now.SET if read_note(text) is not None else Now.GONE
    action = release_action(holding.kind, holding.subject, holding.node, view.cluster.guests)
    if action is None:
        return Now.GONE if holding.kind in ("guest-down", "onboot", "failback", "ejected") else Now.UNKNOWN
    of_ceph = holding.kind in {*HOST_FLAGS, "cluster-noout", "osd-stopped", "mon-stopped"}
    board = view.boards.get(holding.node)
    if (of_ceph and view.ceph is None) or (holding.kind == "led" and (board is None or not board.reachable)):
        return Now.UNKNOWN
    return Now.GONE if _is_back(action, holding, view.of(holding.node)) else Now.SET


def _is_back(action: Action, holding: Holding, seen: Observation) -> bool:
    pending = Pending(action, seen.at, 1, started=True)
    return isinstance(EFFECTS[action.verb].verify(pending, _of(holding, seen), seen), Verified)


def _of(holding: Holding, seen: Observation) -> Maintenance:
    """A release is verified by what is seen; whose it is, is all that is taken from here."""
    return Maintenance(holding.maintenance, holding.node, "", Mode.AUTO, seen.at, holding.by, 0)


# --- the two held against each other --------------------------------------------------------------------------


async def read_ledger(found: Installation, books: Books | None = None, only: str | None = None) -> Ledger:
    """Every line, and what is odd. ``only``: of this cluster. Asks every cluster, changes nothing."""
    books = books or Books(found)
    await books.read()
    held = books.latest()
    lines: list[Line] = []
    odd: list[Oddity] = []
    unread: dict[str, str] = {}
    for cluster in (each for each in found.hypervisors if only in (None, each)):
        here = [(holding, live) for holding, live in held.values() if holding.cluster == cluster]
        try:
            view = await look(found, cluster, [holding for holding, _ in here])
        except NooutError as error:
            unread[cluster] = error.message
            lines += [Line(holding, live, Now.UNKNOWN) for holding, live in here]
            continue
        told = lines_of(here, view)
        lines += [each for each in told if each.live or each.now is Now.SET]
        odd += oddities(told, view, _in_work(books, found, cluster))
    return Ledger(tuple(sorted(lines, key=lambda each: each.holding.since)), tuple(odd), unread)


async def odd_in(found: Installation, state: ClusterState, ceph: CephState | None) -> tuple[Oddity, ...]:
    """What is odd in a cluster that was looked at just now. LEDs are not asked for."""
    books = Books(found)
    await books.read()
    here = [each for each in books.latest().values() if each[0].cluster == state.name]
    view = View(state, ceph, {}, await notes_of(found, state))
    return tuple(oddities(lines_of(here, view), view, _in_work(books, found, state.name)))


def lines_of(held: Sequence[tuple[Holding, bool]], view: View) -> list[Line]:
    return [Line(holding, live, now(holding, view)) for holding, live in held]


def _in_work(books: Books, found: Installation, cluster: str) -> frozenset[str]:
    """Names under which Ceph and PVE know the nodes whose maintenance is open."""
    nodes = [each.node for each in books.known.values() if each.live and each.node and each.node.cluster == cluster]
    return frozenset(name for node in nodes for name in (node.name, found.crush_host(node)) if name)


def oddities(lines: Sequence[Line], view: View, in_work: frozenset[str]) -> list[Oddity]:
    """``in_work``: hosts of open maintenances: what others set there is said by the run that came upon it."""
    found = [odd for line in lines if (odd := _odd(line, view)) is not None]
    return [*found, *_foreign(lines, view, in_work)]


def _odd(line: Line, view: View) -> Oddity | None:
    each = line.holding
    what = f"{each.kind} {each.subject}"
    if not line.live and line.now is Now.SET:
        asked = "set by" if each.hold is Hold.HELD else "asked for by"
        said = f"{what} in {each.cluster} is set, with no live maintenance: {asked} {each.maintenance}, which is over"
        command = f"noout ledger --release {each.kind} {each.subject} --cluster {each.cluster}"
        return Oddity("left", each.cluster, each.kind, each.subject, said, command, each.maintenance)
    old = (view.cluster.at - each.since) >= timedelta(seconds=SETTLED_S)
    if not (line.live and line.now is Now.GONE and each.hold is Hold.HELD and each.kind in LASTING and old):
        return None
    if each.releasing or not each.command:
        return None
    said = f"somebody cleared {what} in {each.cluster}, which {each.maintenance} has set and still needs"
    return Oddity("cleared", each.cluster, each.kind, each.subject, said, each.command, each.maintenance)


def _foreign(lines: Sequence[Line], view: View, in_work: frozenset[str]) -> Iterator[Oddity]:
    """It looks like ours, but this journal knows nothing of it: never released from here."""
    name = view.cluster.name
    ours = {(line.holding.kind, line.holding.subject) for line in lines}
    for host, flags in sorted((view.ceph.host_flags if view.ceph else {}).items()):
        for flag in sorted(flags.intersection(HOST_FLAGS)):
            if (flag, host) not in ours and host not in in_work:
                said = f"{flag} is set for host {host} of {name} with no live maintenance, and not by this noout"
                command = f"ceph osd unset-group {flag} {host}"
                yield Oddity("foreign", name, flag, host, said, command)
    for rule in view.cluster.rules:
        named = rule.kind is Affinity.NODE and rule.strict and rule.name.startswith(OUR_RULES)
        if named and ("ha-rule", rule.name) not in ours:
            said = f"rule {rule.name} of {name} is named like one of noout's, and this journal knows no owner of it"
            yield Oddity("foreign", name, "ha-rule", rule.name, said, f"ha-manager rules remove {rule.name}")
    for node, text in sorted(view.notes.items()):
        note = read_note(text)
        if note is not None and (NOTE, str(node)) not in ours:
            said = f"the description of {node} says that {note.run} works there, which has no such note by this journal"
            yield Oddity("foreign", name, NOTE, str(node), said, unnote_command(node, text))


def unnote_command(node: NodeId, text: str) -> str:
    """What leaves in the description of a node, ``text``, only what others wrote."""
    rest = without_note(text)
    value = f"--description {shlex.quote(rest)}" if rest else "--delete description"
    return f"pvesh set /nodes/{node.name}/config {value}"


# --- giving back what was left --------------------------------------------------------------------------------


async def release(found: Installation, kind: str, subject: str, actor: str, cluster: str | None = None) -> Holding:
    """Give back what a maintenance that is over has left, and see that it is so.

    Refused for what is not ours by this journal, what a live maintenance holds, what is not set, and for a noout
    whose data is not all there. UnknownOutcome when it did not show in time.
    """
    if (stopped := await standstill(found.journal)) is not None:
        raise Refused(f"nothing is released: {stopped}", remedy="noout allow-all")
    books = Books(found)
    await books.read()
    line = _the_one(books, kind, subject, cluster)
    holding = line.holding
    view = await look(found, holding.cluster, [holding])
    if now(holding, view) is not Now.SET:
        raise Refused(f"{kind} {subject} is not seen to be set: nothing is left to give back", remedy="noout ledger")
    _safe(holding, view)
    data: dict[str, Json] = {"cluster": holding.cluster, "kind": kind, "subject": subject}
    data |= {"maintenance": holding.maintenance}
    await _write(books, RELEASING, data, actor)
    if kind == NOTE:
        await put_note(found.hypervisors[holding.cluster], _of(holding, view.of(holding.node)), None)
        await _write(books, RELEASED, data, actor)
        return holding
    action = release_action(kind, subject, holding.node, view.cluster.guests)
    assert action is not None  # it is seen to be set by the same action's eyes
    seen = view.of(holding.node)
    site = Site(
        found.hypervisors[holding.cluster],
        found.cephs.get(holding.cluster),
        found.bmc(holding.node),
        found.clock,
        found.crush_host,
    )
    unknown = ""
    try:
        await EFFECTS[action.verb].act(action, seen, site)
    except UnknownOutcome as error:
        unknown = error.message  # it may have happened: look
    except NooutError as error:
        await _write(books, KEPT, data | {"why": str(error)}, actor)
        raise
    await _see_it_gone(found, books, holding, action, data, actor, unknown)
    return holding


async def _see_it_gone(
    found: Installation, books: Books, holding: Holding, action: Action, data: dict[str, Json], actor: str, why: str
) -> None:
    pending = Pending(action, found.clock.now(), 1, started=True)
    while True:
        view = await look(found, holding.cluster, [holding])
        seen = replace(view.of(holding.node), at=found.clock.now())
        verdict = EFFECTS[action.verb].verify(pending, _of(holding, seen), seen)
        if isinstance(verdict, Verified):
            await _write(books, RELEASED, data, actor)
            return
        if isinstance(verdict, Failed):
            await _write(books, KEPT, data | {"why": why or verdict.why}, actor)
            raise UnknownOutcome(f"{action.says}: {why or verdict.why}", remedy=f"look, then by hand: {action.command}")
        await found.clock.sleep(LOOK_S)


async def _write(books: Books, kind: str, data: Mapping[str, Json], actor: str) -> None:
    """Superseded where somebody else wrote to the ledger since it was read: then nothing is done."""
    seq = books.own[-1].seq if books.own else 0
    books.own.append(await books.found.journal.append(STREAM, seq, kind, data, actor))


def _the_one(books: Books, kind: str, subject: str, cluster: str | None) -> Line:
    held = [
        Line(holding, live, Now.UNKNOWN)
        for holding, live in books.latest().values()
        if (holding.kind, holding.subject) == (kind, subject)
        and cluster in (None, holding.cluster)
        and holding.cluster in books.found.hypervisors
    ]
    if not held:
        raise Refused(
            f"this journal does not say that noout has set {kind} {subject}: it is not ours to release",
            remedy="find out who set it; `noout ledger` names the command for your own hands",
        )
    if len(held) > 1:
        named = ", ".join(sorted(each.holding.cluster for each in held))
        raise Refused(f"{kind} {subject} is held in {named}", remedy="say which with --cluster NAME")
    if held[0].live:
        mid = held[0].holding.maintenance
        raise Refused(f"{mid} is open and gives {kind} {subject} back itself", remedy=f"noout abort {mid}, or let it")
    return held[0]


def _safe(holding: Holding, view: View) -> None:
    """A noout goes only when there is nothing that it protects."""
    if holding.kind in ("noout", "cluster-noout") and (view.ceph is None or not view.ceph.all_clean):
        raise Refused(
            f"{holding.kind} {holding.subject} is not released: not every placement group is active+clean",
            remedy="bring the OSDs up first; `ceph pg stat` says when",
        )
